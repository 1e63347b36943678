/*
 * From SSL object to keys.
 *
 * TLS 1.3 secrets are shown to the keylog callback when they are derived, which is before the
 * client's Finished; until then they wait in a slot of the pool whose number the SSL object
 * carries. The callback shows the first secrets only: a KeyUpdate that BoringSSL read itself would
 * go unseen, and so the hand-over stands in the very call that ends the handshake, before any
 * SSL_read. (A client that waits for its ticket reads before that, and proves with each record that
 * no key has changed; see client.c.)
 *
 * Runs on the thread of its shard. Invariant:
 *   I1  a session that cannot be handed over keeps its SSL object and loses nothing
 */
#include "tls_internal.h"

#include <openssl/err.h>
#include <openssl/mem.h>

#include <gw/base/assert.h>

/* Index by enum gw_keys_side: an end reads what the other one seals. */
struct secrets {
    uint8_t bytes[2][GW_KEYS_SECRET_BYTES_MAX];
    uint8_t byte_count[2]; /* 0: not shown yet */
};

enum { RANDOM_HEX_BYTES = 64 }; /* of the client random in a keylog line */

/* A slot's number travels as the SSL object's pointer for applications: number + 1, or NULL. */
static uint32_t secrets_slot(const SSL *ssl)
{
    const uintptr_t named = (uintptr_t)SSL_get_app_data(ssl);

    return named == 0 ? GW_NONE : (uint32_t)(named - 1);
}

static struct secrets *secrets_at(struct gw_tls_pool *pool, uint32_t slot)
{
    return gw_tls_pool_keys_at(pool, sizeof(struct secrets), slot);
}

/* NULL when there is no room for them: the session will keep its SSL object. */
static struct secrets *secrets_of(struct gw_tls_pool *pool, SSL *ssl)
{
    uint32_t slot = secrets_slot(ssl);

    if (slot != GW_NONE)
        return secrets_at(pool, slot);
    slot = gw_tls_pool_keys_acquire(pool, sizeof(struct secrets));
    if (slot == GW_NONE)
        return NULL;
    *secrets_at(pool, slot) = (struct secrets){0};
    if (SSL_set_app_data(ssl, (void *)((uintptr_t)slot + 1)) != 1) {
        gw_tls_pool_keys_release(pool, sizeof(struct secrets), slot);
        return NULL;
    }
    return secrets_at(pool, slot);
}

static void secrets_release(struct gw_tls_pool *pool, SSL *ssl)
{
    const uint32_t slot = secrets_slot(ssl);

    if (slot == GW_NONE)
        return;
    gw_tls_pool_keys_release(pool, sizeof(struct secrets), slot);
    (void)SSL_set_app_data(ssl, NULL); /* cannot fail: the place is there */
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes up to the end of the text; 0 unless all of it is hex and fits. */
static size_t decode_hex(const char *hex, uint8_t *out, size_t capacity)
{
    size_t n = 0;

    for (; hex[0] != '\0'; hex += 2, n++) {
        const int high = hex_digit(hex[0]);
        const int low = hex[1] == '\0' ? -1 : hex_digit(hex[1]);

        if (high < 0 || low < 0 || n == capacity)
            return 0;
        out[n] = (uint8_t)(high << 4 | low);
    }
    return n;
}

/* "CLIENT_TRAFFIC_SECRET_0 <client random> <secret>", both in hex; other lines are of no use. */
static void on_keylog(const SSL *ssl, const char *line)
{
    static const char *const labels_of[2][2] = {
        {[GW_KEYS_READ] = "SERVER_TRAFFIC_SECRET_0 ", [GW_KEYS_WRITE] = "CLIENT_TRAFFIC_SECRET_0 "},
        {[GW_KEYS_READ] = "CLIENT_TRAFFIC_SECRET_0 ", [GW_KEYS_WRITE] = "SERVER_TRAFFIC_SECRET_0 "},
    };
    const char *const *labels = labels_of[SSL_is_server(ssl)];
    struct gw_tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    gw_assert(context->session != NULL && context->session->ssl == ssl);
    for (size_t side = 0; side < GW_ARRAY_COUNT(labels_of[0]); side++) {
        const size_t label_bytes = strlen(labels[side]);
        struct secrets *secrets;

        if (strncmp(line, labels[side], label_bytes) != 0 ||
            strlen(line) < label_bytes + RANDOM_HEX_BYTES + 1)
            continue;
        secrets = secrets_of(context->pool, context->session->ssl);
        if (secrets != NULL)
            secrets->byte_count[side] =
                (uint8_t)decode_hex(line + label_bytes + RANDOM_HEX_BYTES + 1, secrets->bytes[side],
                                    sizeof secrets->bytes[side]);
    }
}

void gw_handover_watch(SSL_CTX *ctx)
{
    SSL_CTX_set_keylog_callback(ctx, on_keylog);
}

static bool fill_keys(const struct gw_tls *tls, const struct gw_keys_shape *shape,
                      struct gw_keys *keys)
{
    const uint64_t read_sequence = SSL_get_read_sequence(tls->ssl);
    const uint64_t write_sequence = SSL_get_write_sequence(tls->ssl);

    if (shape->tls13) {
        const uint32_t slot = secrets_slot(tls->ssl);
        const struct secrets *secrets =
            slot == GW_NONE ? NULL : secrets_at(tls->context->pool, slot);

        if (secrets == NULL || secrets->byte_count[GW_KEYS_READ] != shape->secret_bytes ||
            secrets->byte_count[GW_KEYS_WRITE] != shape->secret_bytes ||
            !gw_keys_from_secrets(shape, secrets->bytes[GW_KEYS_READ],
                                  secrets->bytes[GW_KEYS_WRITE], keys))
            return false;
    } else if (!gw_keys_from_block(shape, tls->ssl, keys)) {
        return false;
    }
    gw_assert(read_sequence < UINT32_MAX && write_sequence < UINT32_MAX);
    keys->sequence[GW_KEYS_READ] = (uint32_t)read_sequence;
    keys->sequence[GW_KEYS_WRITE] = (uint32_t)write_sequence;
    return true;
}

/* The keys of an established session, in a slot of the pool. GW_NONE: they cannot be had. */
static uint32_t take_keys(const struct gw_tls *tls, const struct gw_keys_shape *shape)
{
    struct gw_tls_pool *pool = tls->context->pool;
    const size_t bytes = gw_keys_bytes(shape);
    const uint32_t slot = gw_tls_pool_keys_acquire(pool, bytes);

    if (slot == GW_NONE)
        return GW_NONE;
    if (fill_keys(tls, shape, gw_tls_pool_keys_at(pool, bytes, slot)))
        return slot;
    gw_tls_pool_keys_release(pool, bytes, slot);
    ERR_clear_error();
    return GW_NONE;
}

void gw_handover(struct gw_tls *tls)
{
    struct gw_tls_context *context = tls->context;
    struct gw_tls_pool *pool = context->pool;
    const int row = context->lean ? gw_keys_shape_find(tls->version, tls->suite) : -1;
    uint32_t slot = GW_NONE;

    gw_assert(!tls->lean && tls->state == GW_TLS_STATE_OPEN);
    /* What BoringSSL has read ahead, only BoringSSL can deal with. */
    if (row >= 0 && !SSL_has_pending(tls->ssl))
        slot = take_keys(tls, gw_keys_shape_at((unsigned)row));
    if (slot == GW_NONE) {
        gw_handover_forgo(tls);
        return; /* I1 */
    }
    gw_handover_ssl_free(tls);
    gw_tls_pool_hold(pool);
    gw_tls_context_release(context);
    tls->lean = true;
    tls->pool = pool;
    tls->keys = slot;
    tls->partial = GW_NONE;
    tls->shape = (uint8_t)row;
    tls->conduct = (struct gw_tls_conduct){0};
    if (tls->client)
        tls->skip_bytes = 0;
}

void gw_handover_forgo(struct gw_tls *tls)
{
    secrets_release(tls->context->pool, tls->ssl);
}

void gw_handover_ssl_free(struct gw_tls *tls)
{
    gw_assert(!tls->lean);
    secrets_release(tls->context->pool, tls->ssl);
    SSL_free(tls->ssl); /* cleanses what it frees */
    tls->ssl = NULL;
}
