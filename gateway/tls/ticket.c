/*
 * Session tickets: the ring in use, and the callback that seals and opens with it.
 *
 * An SSL_CTX is not changed once it has sessions, so the ring does not live in it. It lives in
 * gw_ticket_keys, shared by all shards, under a lock and with a version; a context copies it and
 * looks at the version alone, one load, until that moves. The lock is taken once per context and
 * ring, that is every twelve hours, and no thread ever sees half a ring.
 *
 * BoringSSL has two ways to bring one's own keys. The AEAD method cannot ask for a ticket to be
 * renewed in TLS 1.2, the older callback can; so it is AES-256-CBC under HMAC-SHA-256 (RFC 5077,
 * section 4), encrypted first and authenticated after, which BoringSSL carries out and we key. The
 * age of a ticket stands in the session that is sealed, and BoringSSL refuses one that is older
 * than the time we set.
 *
 * Invariants:
 *   I1  the version moves with every change of the ring, and only under the lock
 *   I2  a ticket older than GW_TICKET_AGE_S_MAX resumes nothing: BoringSSL knows its age, and a
 *       key that no longer seals is not used beyond that time at all
 */
#include "ticket_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/cipher.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>

#include <gw/base/assert.h>
#include <gw/base/clock.h>
#include <gw/crypto/crypto.h>

/* What the callback answers; the numbers are BoringSSL's. */
enum { TICKET_FATAL = -1, TICKET_IGNORED = 0, TICKET_OK = 1, TICKET_OK_RENEW = 2 };

static_assert(GW_TICKET_NAME_BYTES == SSL_TICKET_KEY_NAME_LEN, "our word for BoringSSL's size");

struct gw_ticket_keys {
    atomic_uint holder_count;
    _Atomic uint64_t version; /* from 1 on; I1 */
    pthread_mutex_t lock;
    struct gw_ticket_ring ring;
};

/* ---- the ring ---- */

static void draw_key(struct gw_ticket_key *key, uint64_t since_s)
{
    gw_random(key->name, sizeof key->name);
    gw_random(key->cipher, sizeof key->cipher);
    gw_random(key->mac, sizeof key->mac);
    key->since_s = since_s;
}

void gw_ticket_ring_draw(struct gw_ticket_ring *out, uint64_t now_s)
{
    draw_key(&out->keys[GW_TICKET_NEXT], 0);
    draw_key(&out->keys[GW_TICKET_CURRENT], now_s);
    draw_key(&out->keys[GW_TICKET_PREVIOUS], now_s); /* of nobody: three places, always filled */
}

bool gw_ticket_ring_is_due(const struct gw_ticket_ring *ring, uint64_t now_s)
{
    const uint64_t since_s = ring->keys[GW_TICKET_CURRENT].since_s;

    return since_s > now_s || now_s - since_s >= GW_TICKET_ROTATE_S;
}

void gw_ticket_ring_rotate(struct gw_ticket_ring *ring, uint64_t now_s)
{
    ring->keys[GW_TICKET_PREVIOUS] = ring->keys[GW_TICKET_CURRENT];
    if (ring->keys[GW_TICKET_PREVIOUS].since_s > now_s) /* the clock was wrong then, or is now */
        ring->keys[GW_TICKET_PREVIOUS].since_s = now_s;
    ring->keys[GW_TICKET_CURRENT] = ring->keys[GW_TICKET_NEXT];
    ring->keys[GW_TICKET_CURRENT].since_s = now_s;
    draw_key(&ring->keys[GW_TICKET_NEXT], 0);
}

/* ---- shared ---- */

int gw_ticket_keys_create(const struct gw_ticket_ring *ring, struct gw_ticket_keys **out)
{
    struct gw_ticket_keys *keys = calloc(1, sizeof *keys);

    *out = NULL;
    if (keys == NULL)
        return -ENOMEM;
    if (pthread_mutex_init(&keys->lock, NULL) != 0) {
        free(keys);
        return -ENOMEM;
    }
    atomic_init(&keys->holder_count, 1);
    atomic_init(&keys->version, 1);
    keys->ring = *ring;
    *out = keys;
    return 0;
}

struct gw_ticket_keys *gw_ticket_keys_hold(struct gw_ticket_keys *keys)
{
    gw_assert(atomic_fetch_add_explicit(&keys->holder_count, 1, memory_order_relaxed) > 0);
    return keys;
}

void gw_ticket_keys_release(struct gw_ticket_keys *keys)
{
    if (keys == NULL || atomic_fetch_sub_explicit(&keys->holder_count, 1, memory_order_acq_rel) > 1)
        return;
    (void)pthread_mutex_destroy(&keys->lock);
    gw_wipe(keys, sizeof *keys);
    free(keys);
}

static void keys_lock(struct gw_ticket_keys *keys)
{
    gw_assert(pthread_mutex_lock(&keys->lock) == 0);
}

static void keys_unlock(struct gw_ticket_keys *keys)
{
    gw_assert(pthread_mutex_unlock(&keys->lock) == 0);
}

void gw_ticket_keys_set(struct gw_ticket_keys *keys, const struct gw_ticket_ring *ring)
{
    keys_lock(keys);
    keys->ring = *ring;
    atomic_fetch_add_explicit(&keys->version, 1, memory_order_release);
    keys_unlock(keys);
}

bool gw_ticket_keys_rotate_if_due(struct gw_ticket_keys *keys, uint64_t now_s)
{
    bool due;

    keys_lock(keys);
    due = gw_ticket_ring_is_due(&keys->ring, now_s);
    if (due) {
        gw_ticket_ring_rotate(&keys->ring, now_s);
        atomic_fetch_add_explicit(&keys->version, 1, memory_order_release);
    }
    keys_unlock(keys);
    return due;
}

uint64_t gw_ticket_keys_since_s(struct gw_ticket_keys *keys)
{
    uint64_t since_s;

    keys_lock(keys);
    since_s = keys->ring.keys[GW_TICKET_CURRENT].since_s;
    keys_unlock(keys);
    return since_s;
}

/* ---- one context's copy ---- */

void gw_ticket_view_init(struct gw_ticket_view *view, struct gw_ticket_keys *keys)
{
    *view = (struct gw_ticket_view){.keys = keys == NULL ? NULL : gw_ticket_keys_hold(keys)};
}

void gw_ticket_view_fini(struct gw_ticket_view *view)
{
    gw_ticket_keys_release(view->keys);
    gw_wipe(view, sizeof *view);
}

static const struct gw_ticket_ring *newest_ring(struct gw_ticket_view *view)
{
    struct gw_ticket_keys *keys = view->keys;

    if (atomic_load_explicit(&keys->version, memory_order_acquire) != view->version) {
        keys_lock(keys);
        view->ring = keys->ring;
        view->version = atomic_load_explicit(&keys->version, memory_order_relaxed);
        keys_unlock(keys);
    }
    return &view->ring;
}

/* ---- the callback ---- */

static bool set_mac(HMAC_CTX *mac, const struct gw_ticket_key *key)
{
    return HMAC_Init_ex(mac, key->mac, sizeof key->mac, EVP_sha256(), NULL) == 1;
}

static int seal(const struct gw_ticket_key *key, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                HMAC_CTX *mac)
{
    memcpy(name, key->name, sizeof key->name);
    gw_random(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc()));
    return EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) == 1 &&
                   set_mac(mac, key)
               ? TICKET_OK
               : TICKET_FATAL;
}

static const struct gw_ticket_key *find_key(const struct gw_ticket_ring *ring, const uint8_t *name)
{
    for (size_t place = 0; place < GW_TICKET_PLACES; place++)
        if (memcmp(ring->keys[place].name, name, GW_TICKET_NAME_BYTES) == 0) /* names are public */
            return &ring->keys[place];
    return NULL;
}

/* The previous key's last ticket is as old as the current key. I2 */
static bool has_expired(const struct gw_ticket_ring *ring, const struct gw_ticket_key *key)
{
    const uint64_t now_s = gw_clock_wall_us() / 1000000;
    const uint64_t until_s = ring->keys[GW_TICKET_CURRENT].since_s + GW_TICKET_AGE_S_MAX;

    return key == &ring->keys[GW_TICKET_PREVIOUS] && now_s > until_s;
}

static int unseal(const struct gw_ticket_ring *ring, const uint8_t *name, const uint8_t *iv,
                  EVP_CIPHER_CTX *cipher, HMAC_CTX *mac)
{
    const struct gw_ticket_key *key = find_key(ring, name);

    if (key == NULL || has_expired(ring, key))
        return TICKET_IGNORED; /* RFC 5077 3.1: a full handshake, and no alert */
    if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1 ||
        !set_mac(mac, key))
        return TICKET_FATAL;
    return key == &ring->keys[GW_TICKET_CURRENT] ? TICKET_OK : TICKET_OK_RENEW;
}

static int on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, HMAC_CTX *mac,
                     int sealing)
{
    const struct gw_ticket_ring *ring = newest_ring(gw_ticket_view_of(SSL_get_SSL_CTX(ssl)));

    return sealing == 1 ? seal(&ring->keys[GW_TICKET_CURRENT], name, iv, cipher, mac)
                        : unseal(ring, name, iv, cipher, mac);
}

void gw_ticket_view_configure(struct gw_ticket_view *view, SSL_CTX *ctx)
{
    (void)SSL_CTX_set_timeout(ctx, GW_TICKET_AGE_S_MAX); /* answers the old one */
    SSL_CTX_set_session_psk_dhe_timeout(ctx, GW_TICKET_AGE_S_MAX);
    if (view->keys != NULL)
        (void)SSL_CTX_set_tlsext_ticket_key_cb(ctx, on_ticket); /* it cannot fail */
}
