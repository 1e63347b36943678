/*
 * One TLS session: ciphertext of the call's io in, plaintext out. Here is the part of its life in
 * which it has an SSL object: the handshake, and everything after it where it cannot go lean.
 *
 * Every call into BoringSSL stands between call_begin and call_end, which lend the session's io to
 * the context's BIO. BoringSSL asks the BIO for exactly one record header, then exactly that
 * record, so what follows a record stays in io->in, and what it holds back between calls is at most
 * one partial record.
 *
 * Runs on the thread of its shard. Invariants:
 *   I1  SSL_read is never called before the session passed gw_handover(), but by client.c, which
 *       looks after each record: a session whose keys move out of the SSL object there has lost
 *       nothing to it
 *   I2  GW_TLS_WANT means that io->in is used up
 *   I3  a failure has a text
 */
#include "tls_internal.h"

#include <openssl/err.h>

#include <gw/base/assert.h>

static void call_begin(struct gw_tls *tls, struct gw_tls_io *io)
{
    struct gw_tls_context *context = tls->context;

    gw_assert(context->io == NULL && context->session == NULL);
    gw_assert(io->out_bytes <= io->out_capacity);
    context->io = io;
    context->session = tls;
    context->out_was_full = false;
    ERR_clear_error(); /* the queue belongs to the thread, not to the session */
}

static void call_end(struct gw_tls *tls)
{
    tls->context->io = NULL;
    tls->context->session = NULL;
}

/* The alert is out, and the SSL object of no more use: the failure takes its place. */
static enum gw_tls_result fail(struct gw_tls *tls)
{
    const uint32_t error = gw_tls_failure_take();
    const char *distrust = tls->client ? gw_client_distrust(tls->ssl, error) : NULL;

    tls->state = GW_TLS_STATE_FAILED;
    gw_handover_ssl_free(tls);
    if (distrust != NULL)
        gw_tls_failure_put(tls, GW_TLS_FAILURE_CERTIFICATE, distrust);
    else
        gw_tls_failure_set(tls, error);
    gw_assert(tls->failure != NULL); /* I3 */
    ERR_clear_error();
    return GW_TLS_FAILED;
}

/* The handshake has ended and nothing was read yet: the facts are taken out of the SSL object. */
static void finish_handshake(struct gw_tls *tls)
{
    tls->version = (uint16_t)SSL_version(tls->ssl);
    tls->suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl));
    tls->group = SSL_get_curve_id(tls->ssl);
    tls->resumed = SSL_session_reused(tls->ssl) == 1;
    tls->established = true;
    tls->state = GW_TLS_STATE_OPEN;
    tls->ticket_due = tls->ticket_due && tls->version == TLS1_3_VERSION; /* 1.2: it has come */
    /* TLS 1.3 tickets wait inside BoringSSL for the first write, and cost memory until then. An
       empty write sends them and nothing else; its answer says nothing. */
    if (tls->version == TLS1_3_VERSION && tls->context->session_tickets > 0)
        (void)SSL_write(tls->ssl, "", 0);
    ERR_clear_error();
}

static enum gw_tls_result go_on_with_handshake(struct gw_tls *tls, struct gw_tls_io *io)
{
    const int done = SSL_do_handshake(tls->ssl);

    if (done == 1) {
        finish_handshake(tls);
        /* Half-sent tickets: BoringSSL would take no other write before the rest of them. */
        return tls->context->out_was_full ? fail(tls) : GW_TLS_WANT;
    }
    if (SSL_get_error(tls->ssl, done) != SSL_ERROR_WANT_READ)
        return fail(tls);
    gw_assert(io->in.size == 0); /* I2 */
    return GW_TLS_WANT;
}

static enum gw_tls_result read_record(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                                      size_t out_capacity, size_t *out_bytes)
{
    int n;

    gw_assert(tls->established); /* I1 */
    n = SSL_read(tls->ssl, out, (int)gw_min_u64(out_capacity, GW_TLS_PLAINTEXT_BYTES_MAX));
    if (n > 0) {
        *out_bytes = (size_t)n;
        return GW_TLS_DATA;
    }
    switch (SSL_get_error(tls->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        gw_assert(io->in.size == 0); /* I2 */
        return GW_TLS_WANT;
    case SSL_ERROR_ZERO_RETURN:
        if (tls->state == GW_TLS_STATE_OPEN)
            (void)SSL_shutdown(tls->ssl); /* RFC 8446 6.1: answered, unless it was the answer */
        tls->state = GW_TLS_STATE_CLOSED;
        return GW_TLS_CLOSED;
    default:
        return fail(tls);
    }
}

struct gw_tls *gw_session_open(struct gw_tls_context *context)
{
    const uint32_t slot = gw_slab_acquire(&context->pool->sessions);
    struct gw_tls *tls;

    if (slot == GW_NONE)
        return NULL;
    tls = gw_slab_at(&context->pool->sessions, slot);
    *tls = (struct gw_tls){.context = context, .record_bytes_max = GW_TLS_PLAINTEXT_BYTES_MAX};
    tls->ssl = SSL_new(context->ssl_ctx);
    if (tls->ssl == NULL) {
        ERR_clear_error();
        gw_slab_release(&context->pool->sessions, slot);
        return NULL;
    }
    gw_tls_context_hold(context);
    /* Read and write side take one reference each: SSL_set_bio takes one when both are the same. */
    BIO_up_ref(context->bio);
    SSL_set_bio(tls->ssl, context->bio, context->bio);
    SSL_set_shed_handshake_config(tls->ssl, 1);
    return tls;
}

struct gw_tls *gw_tls_open(struct gw_tls_context *context)
{
    struct gw_tls *tls = gw_session_open(context);

    if (tls != NULL)
        SSL_set_accept_state(tls->ssl);
    return tls;
}

static void release_session(struct gw_tls_pool *pool, struct gw_tls *tls)
{
    const size_t at = (size_t)((uint8_t *)tls - pool->sessions.slots);

    gw_slab_release(&pool->sessions, (uint32_t)(at / sizeof *tls));
}

void gw_tls_close(struct gw_tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->lean) {
        struct gw_tls_pool *pool = tls->pool;

        if (tls->state != GW_TLS_STATE_FAILED)
            gw_record_release(tls);
        release_session(pool, tls);
        gw_tls_pool_release(pool);
    } else {
        struct gw_tls_context *context = tls->context;

        if (tls->state != GW_TLS_STATE_FAILED)
            gw_handover_ssl_free(tls);
        release_session(context->pool, tls);
        gw_tls_context_release(context);
    }
}

enum gw_tls_result gw_session_read(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                                   size_t out_capacity, size_t *out_bytes)
{
    enum gw_tls_result result = GW_TLS_WANT;

    call_begin(tls, io);
    if (tls->state == GW_TLS_STATE_HANDSHAKE)
        result = go_on_with_handshake(tls, io);
    else
        result = read_record(tls, io, out, out_capacity, out_bytes);
    call_end(tls);
    return result;
}

static bool is_alive(const struct gw_tls *tls)
{
    return tls->state != GW_TLS_STATE_CLOSED && tls->state != GW_TLS_STATE_FAILED;
}

enum gw_tls_result gw_tls_read(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                               size_t out_capacity, size_t *out_bytes)
{
    enum gw_tls_result result = tls->state == GW_TLS_STATE_CLOSED ? GW_TLS_CLOSED : GW_TLS_FAILED;

    *out_bytes = 0;
    gw_assert(out_capacity >= GW_TLS_PLAINTEXT_BYTES_MAX);
    gw_assert(io->out_bytes <= io->out_capacity);
    if (!tls->lean && !tls->hello.first_byte_seen && io->in.size > 0) {
        tls->hello.first_byte = io->in.data[0];
        tls->hello.first_byte_seen = true;
    }
    if (tls->state == GW_TLS_STATE_HANDSHAKE) {
        result = gw_session_read(tls, io, out, out_capacity, out_bytes);
        if (tls->state == GW_TLS_STATE_OPEN && !tls->ticket_due)
            gw_handover(tls); /* I1; after call_end, for it may be the context's last holder */
        if (tls->state == GW_TLS_STATE_HANDSHAKE)
            return result;
    }
    if (is_alive(tls)) {
        if (tls->lean)
            result = gw_record_read(tls, io, out, out_capacity, out_bytes);
        else if (tls->ticket_due)
            result = gw_client_read(tls, io, out, out_capacity, out_bytes);
        else
            result = gw_session_read(tls, io, out, out_capacity, out_bytes);
    }
    if (!is_alive(tls))
        io->in = gw_bytes_of(NULL, 0); /* RFC 8446 6.1: what follows an end is ignored */
    return result;
}

/*
 * Room for `bytes` of plaintext in records of this session, and for the answer to a KeyUpdate,
 * which BoringSSL holds back until the next write.
 */
static size_t sealed_bytes_max(const struct gw_tls *tls, size_t bytes)
{
    const size_t piece_bytes = gw_tls_record_bytes_max(tls);
    const size_t record_count = (bytes + piece_bytes - 1) / piece_bytes;

    return bytes + (record_count + 1) * (SSL_max_seal_overhead(tls->ssl) + 8);
}

bool gw_tls_seal(struct gw_tls *tls, struct gw_tls_io *io, struct gw_bytes plaintext)
{
    int n;

    gw_assert(plaintext.size <= GW_TLS_PLAINTEXT_BYTES_MAX);
    if (tls->state != GW_TLS_STATE_OPEN)
        return false;
    if (plaintext.size == 0)
        return true;
    if (tls->lean)
        return gw_record_seal(tls, io, plaintext);
    /* Asked before the first record is made: a record that is not sent would be missed for ever. */
    if (sealed_bytes_max(tls, plaintext.size) > io->out_capacity - io->out_bytes)
        return false;
    call_begin(tls, io);
    n = SSL_write(tls->ssl, plaintext.data, (int)plaintext.size);
    if (n <= 0)
        (void)fail(tls);
    call_end(tls);
    return n == (int)plaintext.size;
}

void gw_tls_shutdown(struct gw_tls *tls, struct gw_tls_io *io)
{
    if (tls->state != GW_TLS_STATE_OPEN)
        return;
    if (tls->lean) {
        gw_record_shutdown(tls, io);
        return;
    }
    call_begin(tls, io);
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    call_end(tls);
    tls->state = GW_TLS_STATE_SHUT;
}

bool gw_tls_is_established(const struct gw_tls *tls)
{
    return tls->established;
}

void gw_tls_facts(const struct gw_tls *tls, struct gw_tls_facts *out)
{
    const SSL_CIPHER *suite = SSL_get_cipher_by_value(tls->suite);
    const char *group = SSL_get_curve_name(tls->group);

    *out = (struct gw_tls_facts){
        .version = "",
        .version_number = tls->version,
        .suite = suite == NULL ? "" : SSL_CIPHER_standard_name(suite),
        .group = group == NULL ? "" : group,
        .resumed = tls->resumed,
        .ec_leaf = tls->ec_leaf,
        .lean = tls->lean,
        .record_bytes_max = (uint16_t)gw_tls_record_bytes_max(tls),
    };
    if (tls->lean)
        out->lean_bytes =
            (uint16_t)(sizeof *tls +
                       gw_tls_pool_keys_slot_bytes(gw_keys_bytes(gw_keys_shape_at(tls->shape))));
    if (tls->version == TLS1_3_VERSION)
        out->version = "TLSv1.3";
    else if (tls->version == TLS1_2_VERSION)
        out->version = "TLSv1.2";
}

const char *gw_tls_failure(const struct gw_tls *tls)
{
    return tls->state == GW_TLS_STATE_FAILED ? tls->failure : "";
}

enum gw_tls_failure_kind gw_tls_failure_kind(const struct gw_tls *tls)
{
    return (enum gw_tls_failure_kind)tls->failure_kind;
}
