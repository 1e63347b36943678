/*
 * One TLS session: ciphertext of the call's io in, plaintext out.
 *
 * Every call into BoringSSL stands between call_begin and call_end, which lend the session's io to
 * the context's BIO. BoringSSL asks the BIO for exactly one record header, then exactly that
 * record, so what follows a record stays in io->in, and what it holds back between calls is at most
 * one partial record.
 *
 * Runs on the thread of its shard. Invariants:
 *   I1  SSL_read is never called before the session passed hand_over(): a session whose keys move
 *       out of the SSL object there has lost nothing to it
 *   I2  GW_TLS_WANT means that io->in is used up
 *   I3  a failure has a text
 */
#include "tls_internal.h"

#include <stdlib.h>

#include <openssl/err.h>

#include <gw/base/assert.h>

static void call_begin(struct gw_tls *tls, struct gw_tls_io *io)
{
    struct gw_tls_context *context = tls->context;

    gw_assert(context->io == NULL && context->session == NULL);
    gw_assert(io->out_bytes <= io->out_capacity);
    context->io = io;
    context->session = tls;
    ERR_clear_error(); /* the queue belongs to the thread, not to the session */
}

static void call_end(struct gw_tls *tls)
{
    tls->context->io = NULL;
    tls->context->session = NULL;
}

static enum gw_tls_result fail(struct gw_tls *tls)
{
    tls->state = GW_TLS_STATE_FAILED;
    gw_tls_failure_set(tls);
    gw_assert(tls->failure != NULL); /* I3 */
    ERR_clear_error();
    return GW_TLS_FAILED;
}

/*
 * The handshake has ended and nothing was read yet: the facts are taken out of the SSL object. A
 * session that is to live without that object parts with it here, in the very call that ended the
 * handshake, for only now are the sequence numbers and the traffic secrets known for certain.
 */
static void hand_over(struct gw_tls *tls)
{
    tls->version = (uint16_t)SSL_version(tls->ssl);
    tls->suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(tls->ssl));
    tls->group = SSL_get_curve_id(tls->ssl);
    tls->resumed = SSL_session_reused(tls->ssl) == 1;
    tls->established = true;
    tls->state = GW_TLS_STATE_OPEN;
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
        hand_over(tls);
        return GW_TLS_WANT;
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

struct gw_tls *gw_tls_open(struct gw_tls_context *context)
{
    struct gw_tls *tls = calloc(1, sizeof *tls);

    if (tls == NULL)
        return NULL;
    tls->ssl = SSL_new(context->ssl_ctx);
    if (tls->ssl == NULL) {
        ERR_clear_error();
        free(tls);
        return NULL;
    }
    tls->context = context;
    tls->record_bytes_max = GW_TLS_PLAINTEXT_BYTES_MAX;
    gw_tls_context_hold(context);
    /* Read and write side take one reference each: SSL_set_bio takes one when both are the same. */
    BIO_up_ref(context->bio);
    SSL_set_bio(tls->ssl, context->bio, context->bio);
    SSL_set_accept_state(tls->ssl);
    SSL_set_shed_handshake_config(tls->ssl, 1);
    return tls;
}

void gw_tls_close(struct gw_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl); /* cleanses what it frees */
    gw_tls_context_release(tls->context);
    free(tls);
}

enum gw_tls_result gw_tls_read(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                               size_t out_capacity, size_t *out_bytes)
{
    enum gw_tls_result result = GW_TLS_WANT;

    *out_bytes = 0;
    gw_assert(out_capacity >= GW_TLS_PLAINTEXT_BYTES_MAX);
    if (!tls->first_byte_seen && io->in.size > 0) {
        tls->first_byte = io->in.data[0];
        tls->first_byte_seen = true;
    }
    call_begin(tls, io);
    if (tls->state == GW_TLS_STATE_HANDSHAKE)
        result = go_on_with_handshake(tls, io);
    if (tls->state == GW_TLS_STATE_OPEN || tls->state == GW_TLS_STATE_SHUT)
        result = read_record(tls, io, out, out_capacity, out_bytes);
    else if (tls->state == GW_TLS_STATE_CLOSED)
        result = GW_TLS_CLOSED;
    else if (tls->state == GW_TLS_STATE_FAILED)
        result = GW_TLS_FAILED;
    call_end(tls);
    if (result == GW_TLS_CLOSED || result == GW_TLS_FAILED)
        io->in = gw_bytes_of(NULL, 0); /* RFC 8446 6.1: what follows an end is ignored */
    return result;
}

/*
 * Room for `bytes` of plaintext in records of this session, and for the answer to a KeyUpdate,
 * which BoringSSL holds back until the next write.
 */
static size_t sealed_bytes_max(const struct gw_tls *tls, size_t bytes)
{
    const size_t record_count = (bytes + tls->record_bytes_max - 1) / tls->record_bytes_max;

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
        .suite = suite == NULL ? "" : SSL_CIPHER_standard_name(suite),
        .group = group == NULL ? "" : group,
        .resumed = tls->resumed,
        .ec_leaf = tls->ec_leaf,
        .record_bytes_max = tls->record_bytes_max,
    };
    if (tls->version == TLS1_3_VERSION)
        out->version = "TLSv1.3";
    else if (tls->version == TLS1_2_VERSION)
        out->version = "TLSv1.2";
}

const char *gw_tls_failure(const struct gw_tls *tls)
{
    return tls->failure == NULL ? "" : tls->failure;
}

enum gw_tls_failure_kind gw_tls_failure_kind(const struct gw_tls *tls)
{
    return (enum gw_tls_failure_kind)tls->failure_kind;
}
