/*
 * What a context holds of the ticket keys.
 */
#ifndef GW_TLS_TICKET_INTERNAL_H
#define GW_TLS_TICKET_INTERNAL_H

#include <openssl/ssl.h>

#include <gw/tls/ticket.h>

struct gw_tls_context;

/* A copy of the ring in use, of the context's own thread. */
struct gw_ticket_view {
    struct gw_ticket_keys *keys; /* NULL: BoringSSL draws a key for each context */
    uint64_t version;            /* of `ring`; 0: nothing was copied yet         */
    struct gw_ticket_ring ring;
};

/* `keys` may be NULL. The view outlives the SSL_CTX, whose callback finds it with
 * gw_ticket_view_of. */
void gw_ticket_view_init(struct gw_ticket_view *view, struct gw_ticket_keys *keys);
void gw_ticket_view_fini(struct gw_ticket_view *view); /* safe on zeros, and twice */
/* The view of an SSL_CTX that stands in its context; context.c knows where. */
struct gw_ticket_view *gw_ticket_view_of(SSL_CTX *ctx);

/* How long tickets are good, and with which keys. Before the first session. */
void gw_ticket_view_configure(struct gw_ticket_view *view, SSL_CTX *ctx);

#endif
