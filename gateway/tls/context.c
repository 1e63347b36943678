/*
 * What all sessions of a shard share: certificates, policy, and the BIO through which BoringSSL
 * reads and writes. A session knows no buffers of its own: the call under way lends the context an
 * io, and the BIO moves bytes between that and BoringSSL.
 *
 * Runs on the thread of its shard. Invariant:
 *   I1  io and session are set during a call into BoringSSL and at no other time
 */
#include "tls_internal.h"

#include <gw/tls/client.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/nid.h>

#include <gw/base/assert.h>

/*
 * Members of a bracket group are equals, so that the peer's order decides among them: a board
 * without AES instructions puts ChaCha20 first, and knows best. What compat adds is taken only
 * where nothing better is offered. TLS 1.3 has its own three suites, which need no naming.
 */
#define MODERN_SUITES                                                                              \
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-RSA-AES128-GCM-SHA256|"                                  \
    "ECDHE-ECDSA-AES256-GCM-SHA384|ECDHE-RSA-AES256-GCM-SHA384|"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305|ECDHE-RSA-CHACHA20-POLY1305]"
#define COMPAT_SUITES                                                                              \
    MODERN_SUITES ":[ECDHE-ECDSA-AES128-SHA|ECDHE-RSA-AES128-SHA|"                                 \
                  "ECDHE-ECDSA-AES256-SHA|ECDHE-RSA-AES256-SHA]:"                                  \
                  "[AES128-GCM-SHA256|AES256-GCM-SHA384|AES128-SHA|AES256-SHA]"

static int on_bio_read(BIO *bio, char *out, int size)
{
    struct gw_tls_context *context = BIO_get_data(bio);
    struct gw_tls_io *io = context->io;
    size_t n;

    gw_assert(io != NULL); /* I1 */
    BIO_clear_retry_flags(bio);
    if (size <= 0 || io->in.size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    n = gw_min_u64(io->in.size, (uint64_t)size);
    memcpy(out, io->in.data, n);
    io->in = gw_bytes_after(io->in, n);
    return (int)n;
}

/* All or nothing: without room the session has failed, for half a record helps nobody. */
static int on_bio_write(BIO *bio, const char *data, int size)
{
    struct gw_tls_context *context = BIO_get_data(bio);
    struct gw_tls_io *io = context->io;

    gw_assert(io != NULL); /* I1 */
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if ((size_t)size > io->out_capacity - io->out_bytes) {
        context->out_was_full = true;
        return -1;
    }
    memcpy(io->out + io->out_bytes, data, (size_t)size);
    io->out_bytes += (size_t)size;
    return size;
}

static long on_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing is ever held back */
}

/* SSL_set_chain_and_key compares key and leaf each time: the context's default is not set again. */
static bool use_leaf(SSL *ssl, const struct gw_leaf *leaf)
{
    return SSL_set_chain_and_key(ssl, leaf->chain, leaf->chain_count, leaf->key, NULL) == 1;
}

/* Chooses the leaf and the record size, before BoringSSL decides anything about this hello. */
static enum ssl_select_cert_result_t on_hello(const SSL_CLIENT_HELLO *client_hello)
{
    struct gw_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(client_hello->ssl));
    struct gw_tls *tls = context->session;
    struct gw_hello hello;

    gw_assert(tls != NULL && tls->ssl == client_hello->ssl); /* I1 */
    gw_hello_read(client_hello, context->profile, &hello);
    tls->hello.seen = true;
    tls->ec_leaf = context->ec.chain_count > 0 && (hello.takes_ec || context->rsa.chain_count == 0);
    tls->hello.rsa_missing = !hello.takes_ec && context->rsa.chain_count == 0;
    tls->hello.ec_missing = hello.takes_ec && context->ec.chain_count == 0;
    tls->record_bytes_max = hello.record_bytes_max;
    if (!tls->ec_leaf && context->ec.chain_count > 0 && !use_leaf(tls->ssl, &context->rsa))
        return ssl_select_cert_error;
    if (hello.record_bytes_max < GW_TLS_PLAINTEXT_BYTES_MAX &&
        SSL_set_max_send_fragment(tls->ssl, hello.record_bytes_max) != 1)
        return ssl_select_cert_error;
    return ssl_select_cert_success;
}

/*
 * RFC 7301 3.1. A device asks for nothing, an HTTP client for a list with http/1.1 in it. Whoever
 * asks only for what we do not speak goes on without: the first bytes decide anyway.
 */
static int on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_size, const uint8_t *in,
                   unsigned in_size, void *arg)
{
    static const struct gw_bytes http = {.data = (const uint8_t *)"http/1.1", .size = 8};

    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < in_size && in[at] < in_size - at; at += 1u + in[at]) {
        if (gw_bytes_equal(gw_bytes_of(in + at + 1, in[at]), http)) {
            *out = in + at + 1;
            *out_size = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

struct gw_ticket_view *gw_ticket_view_of(SSL_CTX *ctx)
{
    struct gw_tls_context *context = SSL_CTX_get_app_data(ctx);

    return &context->tickets;
}

static bool configure(struct gw_tls_context *context)
{
    /*
     * X25519 first and by our preference: a handshake over P-256 costs 425 us against 235. It stays
     * so for a TLS 1.3 client that sent a share for P-256 alone and must be asked again: measured,
     * the retry is lost in the noise on our side, and costs the client one round trip.
     */
    static const int groups[] = {NID_X25519, NID_X9_62_prime256v1};
    static const uint8_t session_id_context[] = "tollgate";
    SSL_CTX *ctx = context->ssl_ctx;
    const struct gw_leaf *leaf = context->ec.chain_count > 0 ? &context->ec : &context->rsa;
    const bool tickets = context->session_tickets > 0;

    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | (tickets ? 0 : SSL_OP_NO_TICKET));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, context->session_tickets);
    SSL_CTX_set_select_certificate_cb(ctx, on_hello);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    if (context->lean)
        gw_handover_watch(ctx);
    gw_ticket_view_configure(&context->tickets, ctx);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set1_curves(ctx, groups, GW_ARRAY_COUNT(groups)) == 1 &&
           SSL_CTX_set_strict_cipher_list(
               ctx, context->profile == GW_TLS_COMPAT ? COMPAT_SUITES : MODERN_SUITES) == 1 &&
           SSL_CTX_set_session_id_context(ctx, session_id_context, sizeof session_id_context - 1) ==
               1 &&
           SSL_CTX_set_chain_and_key(ctx, leaf->chain, leaf->chain_count, leaf->key, NULL) == 1;
}

static bool create_bio(struct gw_tls_context *context)
{
    BIO_METHOD *method = BIO_meth_new(0, "gw_tls");

    context->bio_method = method;
    if (method == NULL || !BIO_meth_set_read(method, on_bio_read) ||
        !BIO_meth_set_write(method, on_bio_write) || !BIO_meth_set_ctrl(method, on_bio_ctrl))
        return false;
    context->bio = BIO_new(method);
    if (context->bio == NULL)
        return false;
    BIO_set_data(context->bio, context);
    BIO_set_init(context->bio, 1);
    return true;
}

static int load_leaves(struct gw_tls_context *context, const struct gw_tls_options *options,
                       char *why, size_t why_bytes)
{
    const bool rsa = options->rsa_chain != NULL || options->rsa_key != NULL;
    const bool ec = options->ec_chain != NULL || options->ec_key != NULL;
    int err;

    if (!rsa && !ec) {
        snprintf(why, why_bytes, "neither an RSA nor an EC certificate is configured");
        return -EINVAL;
    }
    if (rsa && (err = gw_leaf_load(GW_LEAF_RSA, options->rsa_chain, options->rsa_key, &context->rsa,
                                   why, why_bytes)) != 0)
        return err;
    if (ec && (err = gw_leaf_load(GW_LEAF_EC, options->ec_chain, options->ec_key, &context->ec, why,
                                  why_bytes)) != 0)
        return err;
    return 0;
}

int gw_tls_context_init(struct gw_tls_context *context, uint32_t sessions_max, char *why,
                        size_t why_bytes)
{
    const uint32_t count = sessions_max != 0 ? sessions_max : GW_SESSIONS_MAX_DEFAULT;

    context->holder_count = 1;
    if (gw_tls_pool_create(count, &context->pool) != 0) {
        snprintf(why, why_bytes, "out of memory for %u sessions", count);
        return -ENOMEM;
    }
    context->ssl_ctx = SSL_CTX_new(TLS_method());
    /* Callbacks find the context by its place there, which is memory, too. */
    if (context->ssl_ctx == NULL || !create_bio(context) ||
        SSL_CTX_set_app_data(context->ssl_ctx, context) != 1) {
        snprintf(why, why_bytes, "out of memory");
        return -ENOMEM;
    }
    return 0;
}

/* `model`: a context whose leaves are taken over instead of the files; NULL for the first. */
static int create_one(const struct gw_tls_options *options, const struct gw_tls_context *model,
                      struct gw_tls_context **out, char *why, size_t why_bytes)
{
    struct gw_tls_context *context = calloc(1, sizeof *context);
    int err;

    *out = NULL;
    snprintf(why, why_bytes, "out of memory");
    if (context == NULL)
        return -ENOMEM;
    context->profile = options->profile;
    context->lean = options->lean;
    gw_ticket_view_init(&context->tickets, options->ticket_keys);
    context->session_tickets =
        (uint32_t)gw_min_u64(options->session_tickets, GW_SESSION_TICKETS_MAX);
    err = gw_tls_context_init(context, options->sessions_max, why, why_bytes);
    if (err == 0 && model == NULL)
        err = load_leaves(context, options, why, why_bytes);
    else if (err == 0 && (err = gw_leaf_copy(&model->rsa, &context->rsa)) == 0)
        err = gw_leaf_copy(&model->ec, &context->ec);
    if (err == 0 && !configure(context)) {
        snprintf(why, why_bytes, "TLS library: %s",
                 ERR_peek_error() == 0 ? "out of memory"
                                       : ERR_reason_error_string(ERR_peek_error()));
        err = -ENOMEM;
    }
    ERR_clear_error();
    if (err != 0) {
        gw_tls_context_release(context);
        return err;
    }
    *out = context;
    return 0;
}

int gw_tls_context_create(const struct gw_tls_options *options, struct gw_tls_context **out,
                          char *why, size_t why_bytes)
{
    return create_one(options, NULL, out, why, why_bytes);
}

int gw_tls_contexts_create(const struct gw_tls_options *options, struct gw_tls_context **out,
                           size_t count, char *why, size_t why_bytes)
{
    int err = 0;
    size_t made = 0;

    while (made < count &&
           (err = create_one(options, made == 0 ? NULL : out[0], &out[made], why, why_bytes)) == 0)
        made++;
    while (err != 0 && made > 0) {
        gw_tls_context_destroy(out[--made]);
        out[made] = NULL;
    }
    return err;
}

void gw_tls_context_destroy(struct gw_tls_context *context)
{
    if (context != NULL)
        gw_tls_context_release(context);
}

void gw_tls_context_hold(struct gw_tls_context *context)
{
    context->holder_count++;
}

void gw_tls_context_release(struct gw_tls_context *context)
{
    gw_assert(context->holder_count > 0);
    if (--context->holder_count > 0)
        return;
    SSL_CTX_free(context->ssl_ctx);
    BIO_free(context->bio);
    BIO_meth_free(context->bio_method);
    gw_leaf_fini(&context->rsa);
    gw_leaf_fini(&context->ec);
    if (context->pool != NULL)
        gw_tls_pool_release(context->pool);
    gw_ticket_view_fini(&context->tickets);
    gw_tls_ticket_free(context->ticket);
    free(context->server_name);
    free(context);
}

void gw_tls_context_leaves(const struct gw_tls_context *context, struct gw_tls_leaf *rsa,
                           struct gw_tls_leaf *ec)
{
    *rsa = context->rsa.facts;
    *ec = context->ec.facts;
}
