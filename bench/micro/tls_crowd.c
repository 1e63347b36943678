#include "tls_crowd.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/nid.h>

#include <gw/base/assert.h>

#include "tls_ends.h"
#include "tls_internal.h"

enum { SESSIONS_MAX = GW_SESSIONS_MAX_DEFAULT };
enum { SECRET_HEX_AT = 65 }; /* behind label and client random in a keylog line */

union device {
    struct gw_keys keys;
    uint8_t room[GW_KEYS_BYTES_MAX];
};

static struct {
    const struct tls_crowd_suite *suite;
    const struct gw_keys_shape *shape;
    bool lean;
    uint32_t count;
    struct gw_tls *sessions[SESSIONS_MAX];
    union device *devices;
} crowd;

static const struct tls_crowd_suite suites[] = {
    {TLS1_3_VERSION, 0x1301, "1.3_aes128", NULL, true},
    {TLS1_3_VERSION, 0x1302, "1.3_aes256", NULL, false},
    {TLS1_3_VERSION, 0x1303, "1.3_chacha", NULL, false},
    {TLS1_2_VERSION, 0xc02b, "1.2_aes128", "ECDHE-ECDSA-AES128-GCM-SHA256", true},
    {TLS1_2_VERSION, 0xc02c, "1.2_aes256", "ECDHE-ECDSA-AES256-GCM-SHA384", true},
    {TLS1_2_VERSION, 0xcca9, "1.2_chacha", "ECDHE-ECDSA-CHACHA20-POLY1305", true},
};

const struct tls_crowd_suite *tls_crowd_suite_at(size_t row)
{
    return row < GW_ARRAY_COUNT(suites) ? &suites[row] : NULL;
}

/* A client writes with what a server reads with. */
static void swap_sides(struct gw_keys *keys)
{
    const size_t side = (gw_keys_bytes(crowd.shape) - sizeof *keys) / 2;
    uint8_t room[GW_KEYS_BYTES_MAX];

    memcpy(room, keys->bytes, side);
    memmove(keys->bytes, keys->bytes + side, side);
    memcpy(keys->bytes + side, room, side);
}

/* ---- lean ---- */

static struct gw_keys *keys_of(const struct gw_tls *tls)
{
    return gw_tls_pool_keys_at(tls->pool, gw_keys_bytes(crowd.shape), tls->keys);
}

/* As gw_handover leaves a session, with keys that nobody agreed upon. */
static struct gw_tls *make_lean(union device *device, uint64_t *seed)
{
    struct gw_tls *tls = gw_tls_open(lean_context);
    struct gw_tls_pool *pool = lean_context->pool;
    const uint32_t slot = gw_tls_pool_keys_acquire(pool, gw_keys_bytes(crowd.shape));

    if (tls == NULL || slot == GW_NONE)
        return NULL;
    gw_handover_ssl_free(tls);
    gw_tls_pool_hold(pool);
    gw_tls_context_release(lean_context);
    tls->lean = tls->established = true;
    tls->state = GW_TLS_STATE_OPEN;
    tls->version = crowd.suite->version;
    tls->suite = crowd.suite->id;
    tls->shape = (uint8_t)gw_keys_shape_find(tls->version, tls->suite);
    tls->pool = pool;
    tls->keys = slot;
    tls->partial = GW_NONE;
    tls->conduct = (struct gw_tls_conduct){0};
    for (size_t i = 0; i < sizeof device->room; i++)
        device->room[i] = (uint8_t)gw_bench_random(seed);
    memcpy(keys_of(tls), &device->keys, gw_keys_bytes(crowd.shape));
    swap_sides(&device->keys);
    return tls;
}

/* ---- with an SSL object ---- */

static uint8_t secrets[2][GW_KEYS_SECRET_BYTES_MAX]; /* of the handshake under way */

static void on_keylog(const SSL *ssl, const char *line)
{
    static const char *const labels[2] = {"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "};

    (void)ssl;
    for (size_t side = 0; side < GW_ARRAY_COUNT(labels); side++) {
        const char *hex = line + strlen(labels[side]) + SECRET_HEX_AT;

        if (strncmp(line, labels[side], strlen(labels[side])) != 0)
            continue;
        for (size_t i = 0; hex[2 * i] != '\0' && i < sizeof secrets[side]; i++) {
            const char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

            secrets[side][i] = (uint8_t)strtoul(byte, NULL, 16);
        }
    }
}

static bool take_keys(union device *device, const SSL *client)
{
    bool taken = crowd.shape->tls13
                     ? gw_keys_from_secrets(crowd.shape, secrets[1], secrets[0], &device->keys)
                     : gw_keys_from_block(crowd.shape, client, &device->keys);

    if (!taken)
        return false;
    device->keys.sequence[GW_KEYS_WRITE] = (uint32_t)SSL_get_write_sequence(client);
    return true;
}

static struct gw_tls *make_kept(union device *device)
{
    SSL *client = client_create(crowd.suite->version, NID_X25519);
    struct gw_tls *tls = gw_tls_open(ec_context);
    bool good = tls != NULL;

    SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(client), on_keylog);
    good = good && (crowd.suite->openssl == NULL ||
                    SSL_set_strict_cipher_list(client, crowd.suite->openssl) == 1);
    for (int flight = 0; flight < 3 && good; flight++) {
        (void)SSL_do_handshake(client);
        good = carry(client, tls);
    }
    good = good && gw_tls_is_established(tls) && tls->suite == crowd.suite->id &&
           take_keys(device, client);
    SSL_free(client);
    if (good)
        return tls;
    gw_tls_close(tls);
    return NULL;
}

/* ---- both ---- */

static void disperse(void)
{
    for (uint32_t i = 0; i < crowd.count; i++)
        gw_tls_close(crowd.sessions[i]);
    free(crowd.devices);
    crowd.devices = NULL;
    crowd.suite = NULL;
    crowd.count = 0;
}

bool tls_crowd_take(struct gw_bench *b, size_t row, bool lean, uint32_t count)
{
    uint64_t seed = 11;

    gw_assert(count <= SESSIONS_MAX);
    if (!create_contexts(b))
        return false;
    if (crowd.suite == &suites[row] && crowd.lean == lean && crowd.count >= count)
        return true;
    disperse();
    crowd.suite = &suites[row];
    crowd.lean = lean;
    crowd.shape =
        gw_keys_shape_at((unsigned)gw_keys_shape_find(suites[row].version, suites[row].id));
    crowd.devices = calloc(count, sizeof *crowd.devices);
    for (; crowd.devices != NULL && crowd.count < count; crowd.count++) {
        union device *device = &crowd.devices[crowd.count];
        struct gw_tls *tls = lean ? make_lean(device, &seed) : make_kept(device);

        if (tls == NULL)
            break;
        crowd.sessions[crowd.count] = tls;
    }
    if (crowd.count == count)
        return true;
    disperse();
    gw_bench_fail(b, "no crowd of sessions");
    return false;
}

void tls_crowd_rewind(uint32_t count)
{
    gw_assert(count <= crowd.count);
    for (uint32_t i = 0; i < count && crowd.lean; i++) {
        struct gw_keys *keys = keys_of(crowd.sessions[i]);

        keys->sequence[GW_KEYS_READ] = keys->sequence[GW_KEYS_WRITE] = 0;
        crowd.devices[i].keys.sequence[GW_KEYS_WRITE] = 0;
    }
}

struct gw_tls *tls_crowd_session(uint32_t number)
{
    return crowd.sessions[number];
}

size_t tls_crowd_seal(uint32_t number, struct gw_bytes content, uint8_t *out)
{
    return gw_keys_seal(crowd.shape, &crowd.devices[number].keys, GW_RECORD_DATA, content, out);
}
