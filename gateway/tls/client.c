/*
 * The client's end: what differs from a server's before the handshake, and what a ticket asks for
 * after it.
 *
 * In TLS 1.2 a ticket comes within the handshake, in TLS 1.3 behind it, and only BoringSSL can make
 * something of it: it alone knows the secret that belongs to it. So a client that keeps its ticket
 * keeps its SSL object until then, or until the first data, before which a server sends its
 * tickets. Keys can be handed over after that only if none has changed: BoringSSL acts on a
 * KeyUpdate by itself and starts the sequence anew. It is therefore given one whole record at a
 * time, and the sequence must have grown by one; if it has not, or a record came in pieces, the
 * session keeps its SSL object for good.
 *
 * Runs on the thread of its context.
 */
#include <gw/tls/client.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

#include <gw/base/assert.h>

#include "tls_internal.h"

/* A session as SSL_SESSION_to_bytes writes it: as an object it is several times as large. */
struct gw_tls_ticket {
    size_t bytes;
    uint8_t data[];
};

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct gw_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct gw_tls_ticket *ticket = NULL;
    uint8_t *data = NULL;
    size_t bytes;

    gw_assert(context->session != NULL && context->session->ssl == ssl);
    if (!context->session->keeps_ticket)
        return 0;
    if (SSL_SESSION_to_bytes(session, &data, &bytes) == 1 &&
        (ticket = malloc(sizeof *ticket + bytes)) != NULL) {
        ticket->bytes = bytes;
        memcpy(ticket->data, data, bytes);
        gw_tls_ticket_free(context->ticket);
        context->ticket = ticket;
        context->session->ticket_due = false;
    }
    OPENSSL_free(data); /* cleanses */
    return 0;           /* the session stays BoringSSL's */
}

static bool is_address(const char *host)
{
    uint8_t scratch[16];

    return inet_pton(AF_INET, host, scratch) == 1 || inet_pton(AF_INET6, host, scratch) == 1;
}

static bool expect_host(SSL_CTX *ctx, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);

    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) == 1;
}

static int configure(struct gw_tls_context *context, const struct gw_tls_client_options *options,
                     char *why, size_t why_bytes)
{
    SSL_CTX *ctx = context->ssl_ctx;

    if (!is_address(options->host) && (context->server_name = strdup(options->host)) == NULL) {
        snprintf(why, why_bytes, "out of memory");
        return -ENOMEM;
    }
    if (SSL_CTX_set_min_proto_version(ctx, options->version_min) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, options->version_max) != 1) {
        snprintf(why, why_bytes, "versions 0x%04x to 0x%04x are not to be had",
                 options->version_min, options->version_max);
        return -EINVAL;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_ticket);
    if (context->lean)
        gw_handover_watch(ctx);
    if (options->ca == NULL)
        return 0;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(ctx, options->ca, NULL) != 1) {
        snprintf(why, why_bytes, "%s: no PEM certificate could be read", options->ca);
        return -EINVAL;
    }
    if (!expect_host(ctx, options->host)) {
        snprintf(why, why_bytes, "%s: no host name or address", options->host);
        return -EINVAL;
    }
    return 0;
}

int gw_tls_client_create(const struct gw_tls_client_options *options, struct gw_tls_context **out,
                         char *why, size_t why_bytes)
{
    struct gw_tls_context *context = calloc(1, sizeof *context);
    int err;

    *out = NULL;
    if (context == NULL) {
        snprintf(why, why_bytes, "out of memory");
        return -ENOMEM;
    }
    context->lean = options->lean;
    err = gw_tls_context_init(context, options->sessions_max, why, why_bytes);
    if (err == 0)
        err = configure(context, options, why, why_bytes);
    ERR_clear_error();
    if (err != 0)
        gw_tls_context_release(context);
    else
        *out = context;
    return err;
}

/* A ticket is a help, not a condition: without it the handshake is a full one. */
static void offer(SSL *ssl, const struct gw_tls_ticket *ticket)
{
    SSL_SESSION *session =
        SSL_SESSION_from_bytes(ticket->data, ticket->bytes, SSL_get_SSL_CTX(ssl));

    if (session != NULL)
        (void)SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
    ERR_clear_error();
}

struct gw_tls *gw_tls_client_open(struct gw_tls_context *context, bool keeps_ticket,
                                  const struct gw_tls_ticket *ticket)
{
    struct gw_tls *tls = gw_session_open(context);

    if (tls == NULL)
        return NULL;
    tls->client = true;
    tls->hello.seen = true; /* it is ours: a failure is never for want of one */
    tls->keeps_ticket = keeps_ticket;
    tls->ticket_due = keeps_ticket && context->lean;
    SSL_set_connect_state(tls->ssl);
    if (!keeps_ticket)
        SSL_set_options(tls->ssl, SSL_OP_NO_TICKET);
    if (ticket != NULL)
        offer(tls->ssl, ticket);
    if (context->server_name != NULL &&
        SSL_set_tlsext_host_name(tls->ssl, context->server_name) != 1) {
        ERR_clear_error();
        gw_tls_close(tls);
        return NULL;
    }
    return tls;
}

const char *gw_client_distrust(const SSL *ssl, uint32_t error)
{
    if (ERR_GET_LIB(error) != ERR_LIB_SSL ||
        ERR_GET_REASON(error) != SSL_R_CERTIFICATE_VERIFY_FAILED)
        return NULL;
    return X509_verify_cert_error_string(SSL_get_verify_result(ssl)); /* static in the library */
}

/* 0: the input does not hold the whole of its first record. */
static size_t first_record_bytes(struct gw_bytes in)
{
    const size_t bytes = in.size < GW_RECORD_HEADER_BYTES
                             ? SIZE_MAX
                             : GW_RECORD_HEADER_BYTES + (size_t)gw_load_be16(in.data + 3);

    return bytes <= in.size ? bytes : 0;
}

/*
 * Gives BoringSSL the one record at the front of the input. False: what it did with it cannot be
 * told, and the session keeps its SSL object.
 */
static bool read_first_record(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                              size_t out_capacity, size_t *out_bytes, enum gw_tls_result *result)
{
    const size_t bytes = first_record_bytes(io->in);
    const struct gw_bytes rest = gw_bytes_after(io->in, bytes);
    uint64_t before;

    if (bytes == 0)
        return false;
    before = SSL_get_read_sequence(tls->ssl);
    io->in = gw_bytes_of(io->in.data, bytes);
    *result = gw_session_read(tls, io, out, out_capacity, out_bytes);
    if (*result == GW_TLS_CLOSED || *result == GW_TLS_FAILED)
        return true;
    gw_assert(io->in.size == 0);
    io->in = rest;
    return SSL_get_read_sequence(tls->ssl) == before + 1;
}

enum gw_tls_result gw_client_read(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                                  size_t out_capacity, size_t *out_bytes)
{
    enum gw_tls_result result = GW_TLS_WANT;

    while (tls->ticket_due && io->in.size > 0 && result == GW_TLS_WANT) {
        if (!read_first_record(tls, io, out, out_capacity, out_bytes, &result)) {
            tls->ticket_due = false;
            gw_handover_forgo(tls);
        } else if (tls->state == GW_TLS_STATE_OPEN && (result == GW_TLS_DATA || !tls->ticket_due)) {
            tls->ticket_due = false;
            gw_handover(tls);
        }
    }
    if (result != GW_TLS_WANT || io->in.size == 0)
        return result;
    return tls->lean ? gw_record_read(tls, io, out, out_capacity, out_bytes)
                     : gw_session_read(tls, io, out, out_capacity, out_bytes);
}

struct gw_tls_ticket *gw_tls_client_ticket(struct gw_tls_context *context)
{
    struct gw_tls_ticket *ticket = context->ticket;

    context->ticket = NULL;
    return ticket;
}

size_t gw_tls_ticket_bytes(const struct gw_tls_ticket *ticket)
{
    return sizeof *ticket + ticket->bytes;
}

void gw_tls_ticket_free(struct gw_tls_ticket *ticket)
{
    if (ticket == NULL)
        return;
    OPENSSL_cleanse(ticket->data, ticket->bytes);
    free(ticket);
}
