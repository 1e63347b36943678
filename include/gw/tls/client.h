/*
 * The device's end of TLS, for programs that stand in for devices. A session opened here is then
 * read, sealed, shut and closed by the calls of gw/tls/tls.h, and is as lean as the gateway's own.
 * The first gw_tls_read, with nothing to read, leaves the ClientHello in the output.
 *
 *     gw_tls_client_create(&options, &context, why, sizeof why)
 *     tls = gw_tls_client_open(context, true, ticket)          ticket of an earlier session, or
 * NULL
 *     ... gw_tls_read, gw_tls_seal ...
 *     if ((newer = gw_tls_client_ticket(context)) != NULL)     after gw_tls_read
 *
 * Versions 1.2 and 1.3 only; no renegotiation, no 0-RTT, no certificate of its own.
 */
#ifndef GW_TLS_CLIENT_H
#define GW_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>
#include <gw/tls/tls.h>

/* What a server gave a client to come back with: one allocation of its own, some 1,000 bytes with
   an EC certificate. It belongs to no context. */
struct gw_tls_ticket;

struct gw_tls_client_options {
    const char *ca;   /* PEM file the server's chain must end in; NULL: any chain */
    const char *host; /* the name or address that its certificate must carry      */
    uint16_t version_min, version_max; /* as on the wire: 0x0303, 0x0304 */
    uint32_t sessions_max; /* at once; 0 stands for 65,536                             */
    bool lean;             /* sessions part with their SSL object                      */
};

/* 0 or -errno with a reason in `why` (at least 256 bytes). Ended by gw_tls_context_destroy. */
GW_MUST_USE int gw_tls_client_create(const struct gw_tls_client_options *options,
                                     struct gw_tls_context **out, char *why, size_t why_bytes);

/*
 * NULL when out of memory or beyond sessions_max. `keeps_ticket`: asks for a ticket. In TLS 1.3 it
 * comes after the handshake, and such a session is lean only from the call on in which it came, or
 * the first data. `ticket` is used, not taken; one that cannot be read is as good as none.
 */
GW_MUST_USE struct gw_tls *gw_tls_client_open(struct gw_tls_context *context, bool keeps_ticket,
                                              const struct gw_tls_ticket *ticket);

/*
 * The ticket that came in a call of gw_tls_read, to be asked for after each one for a session that
 * keeps its ticket; NULL: none. It is the caller's then; one that nobody takes gives way to the
 * next.
 */
struct gw_tls_ticket *gw_tls_client_ticket(struct gw_tls_context *context);
size_t gw_tls_ticket_bytes(const struct gw_tls_ticket *ticket); /* of memory */
void gw_tls_ticket_free(struct gw_tls_ticket *ticket);          /* cleansed; NULL is fine */

#endif
