/*
 * The arithmetic of record protection: nonces, additional data, key derivation.
 *
 * Invariant:
 *   I1  a sequence number is taken before it is used, so that no nonce is ever used twice
 */
#include "keys_internal.h"

#include <openssl/aead.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#include <gw/base/assert.h>

enum {
    NONCE_BYTES = 12,
    EXPLICIT_NONCE_BYTES = 8,
    KEY_BLOCK_BYTES_MAX = 2 * (32 + 12),
    AD_BYTES_MAX = 13,
};

/* Salt and explicit nonce in TLS 1.2 AES-GCM; everywhere else a whole nonce that is never sent. */
enum { IV_SALT = 4, IV_WHOLE = 12 };

static const struct gw_keys_shape shapes[] = {
    {0x1301, true, 16, IV_WHOLE, 32, EVP_aead_aes_128_gcm, EVP_sha256},
    {0x1302, true, 32, IV_WHOLE, 48, EVP_aead_aes_256_gcm, EVP_sha384},
    {0x1303, true, 32, IV_WHOLE, 32, EVP_aead_chacha20_poly1305, EVP_sha256},
    {0xc02b, false, 16, IV_SALT, 0, EVP_aead_aes_128_gcm, NULL}, /* ECDHE-ECDSA */
    {0xc02c, false, 32, IV_SALT, 0, EVP_aead_aes_256_gcm, NULL},
    {0xcca9, false, 32, IV_WHOLE, 0, EVP_aead_chacha20_poly1305, NULL},
    {0xc02f, false, 16, IV_SALT, 0, EVP_aead_aes_128_gcm, NULL}, /* ECDHE-RSA */
    {0xc030, false, 32, IV_SALT, 0, EVP_aead_aes_256_gcm, NULL},
    {0xcca8, false, 32, IV_WHOLE, 0, EVP_aead_chacha20_poly1305, NULL},
    {0x009c, false, 16, IV_SALT, 0, EVP_aead_aes_128_gcm, NULL}, /* RSA key exchange */
    {0x009d, false, 32, IV_SALT, 0, EVP_aead_aes_256_gcm, NULL},
};

int gw_keys_shape_find(uint16_t version, uint16_t suite)
{
    for (size_t row = 0; row < GW_ARRAY_COUNT(shapes); row++) {
        if (shapes[row].suite == suite && shapes[row].tls13 == (version == TLS1_3_VERSION))
            return (int)row;
    }
    return -1;
}

const struct gw_keys_shape *gw_keys_shape_at(unsigned row)
{
    gw_assert(row < GW_ARRAY_COUNT(shapes));
    return &shapes[row];
}

static size_t side_bytes(const struct gw_keys_shape *shape)
{
    return (size_t)shape->key_bytes + shape->iv_bytes + shape->secret_bytes;
}

size_t gw_keys_bytes(const struct gw_keys_shape *shape)
{
    return sizeof(struct gw_keys) + 2 * side_bytes(shape);
}

static uint8_t *key_of(const struct gw_keys_shape *shape, struct gw_keys *keys,
                       enum gw_keys_side side)
{
    return keys->bytes + side * side_bytes(shape);
}

static uint8_t *iv_of(const struct gw_keys_shape *shape, struct gw_keys *keys,
                      enum gw_keys_side side)
{
    return key_of(shape, keys, side) + shape->key_bytes;
}

static uint8_t *secret_of(const struct gw_keys_shape *shape, struct gw_keys *keys,
                          enum gw_keys_side side)
{
    return iv_of(shape, keys, side) + shape->iv_bytes;
}

/* ---- key derivation ---- */

/* RFC 8446 7.1: HKDF-Expand-Label with an empty context. */
static bool expand_label(const struct gw_keys_shape *shape, const uint8_t *secret,
                         const char *label, uint8_t *out, size_t out_bytes)
{
    static const char prefix[6] = {'t', 'l', 's', '1', '3', ' '};
    const size_t label_bytes = strlen(label);
    uint8_t info[2 + 1 + sizeof prefix + 16 + 1];

    gw_assert(label_bytes <= 16);
    gw_store_be16(info, (uint16_t)out_bytes);
    info[2] = (uint8_t)(sizeof prefix + label_bytes);
    memcpy(info + 3, prefix, sizeof prefix);
    memcpy(info + 3 + sizeof prefix, label, label_bytes);
    info[3 + sizeof prefix + label_bytes] = 0;
    return HKDF_expand(out, out_bytes, shape->digest(), secret, shape->secret_bytes, info,
                       4 + sizeof prefix + label_bytes) == 1;
}

/* RFC 8446 7.3: key and iv from the secret that stands beside them. */
static bool derive(const struct gw_keys_shape *shape, struct gw_keys *keys, enum gw_keys_side side)
{
    const uint8_t *secret = secret_of(shape, keys, side);

    keys->sequence[side] = 0;
    return expand_label(shape, secret, "key", key_of(shape, keys, side), shape->key_bytes) &&
           expand_label(shape, secret, "iv", iv_of(shape, keys, side), shape->iv_bytes);
}

bool gw_keys_from_secrets(const struct gw_keys_shape *shape, const uint8_t *read,
                          const uint8_t *write, struct gw_keys *out)
{
    gw_assert(shape->tls13);
    memcpy(secret_of(shape, out, GW_KEYS_READ), read, shape->secret_bytes);
    memcpy(secret_of(shape, out, GW_KEYS_WRITE), write, shape->secret_bytes);
    return derive(shape, out, GW_KEYS_READ) && derive(shape, out, GW_KEYS_WRITE);
}

bool gw_keys_from_block(const struct gw_keys_shape *shape, const SSL *ssl, struct gw_keys *out)
{
    /* RFC 5246 6.3: client key, server key, client iv, server iv; AEAD suites have no MAC keys. */
    const size_t key_bytes = shape->key_bytes;
    const size_t iv_bytes = shape->iv_bytes;
    const enum gw_keys_side of_client = SSL_is_server(ssl) ? GW_KEYS_READ : GW_KEYS_WRITE;
    const enum gw_keys_side of_server = SSL_is_server(ssl) ? GW_KEYS_WRITE : GW_KEYS_READ;
    uint8_t block[KEY_BLOCK_BYTES_MAX];
    bool ok;

    gw_assert(!shape->tls13);
    ok = SSL_get_key_block_len(ssl) == 2 * (key_bytes + iv_bytes) &&
         SSL_generate_key_block(ssl, block, 2 * (key_bytes + iv_bytes)) == 1;
    if (ok) {
        memcpy(key_of(shape, out, of_client), block, key_bytes);
        memcpy(key_of(shape, out, of_server), block + key_bytes, key_bytes);
        memcpy(iv_of(shape, out, of_client), block + 2 * key_bytes, iv_bytes);
        memcpy(iv_of(shape, out, of_server), block + 2 * key_bytes + iv_bytes, iv_bytes);
    }
    OPENSSL_cleanse(block, sizeof block);
    return ok;
}

bool gw_keys_update(const struct gw_keys_shape *shape, struct gw_keys *keys, enum gw_keys_side side)
{
    uint8_t next[GW_KEYS_SECRET_BYTES_MAX];
    bool ok;

    gw_assert(shape->tls13);
    ok =
        expand_label(shape, secret_of(shape, keys, side), "traffic upd", next, shape->secret_bytes);
    if (ok)
        memcpy(secret_of(shape, keys, side), next, shape->secret_bytes);
    OPENSSL_cleanse(next, sizeof next);
    ok = ok && derive(shape, keys, side);
    if (!ok)
        ERR_clear_error();
    return ok;
}

/* ---- one record ---- */

static void store_be64(uint8_t *p, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t take_sequence(struct gw_keys *keys, enum gw_keys_side side)
{
    gw_assert(!gw_keys_are_spent(keys, side));
    return keys->sequence[side]++; /* I1 */
}

/* RFC 8446 5.3 and RFC 7905 2: the iv, its last 8 bytes combined with the sequence number. */
static void make_whole_nonce(const uint8_t *iv, uint64_t sequence, uint8_t out[NONCE_BYTES])
{
    uint8_t number[8];

    store_be64(number, sequence);
    memcpy(out, iv, NONCE_BYTES);
    for (size_t i = 0; i < sizeof number; i++)
        out[NONCE_BYTES - sizeof number + i] ^= number[i];
}

/* RFC 8446 5.2: the record's header. RFC 5246 6.2.3.3: sequence, header, length of the content. */
static size_t make_ad(const struct gw_keys_shape *shape, uint64_t sequence,
                      const uint8_t header[GW_RECORD_HEADER_BYTES], size_t content_bytes,
                      uint8_t out[AD_BYTES_MAX])
{
    if (shape->tls13) {
        memcpy(out, header, GW_RECORD_HEADER_BYTES);
        return GW_RECORD_HEADER_BYTES;
    }
    store_be64(out, sequence);
    memcpy(out + 8, header, 3);
    gw_store_be16(out + 11, (uint16_t)content_bytes);
    return AD_BYTES_MAX;
}

static bool has_explicit_nonce(const struct gw_keys_shape *shape)
{
    return shape->iv_bytes == IV_SALT;
}

size_t gw_keys_body_overhead(const struct gw_keys_shape *shape)
{
    return (has_explicit_nonce(shape) ? EXPLICIT_NONCE_BYTES : 0) + GW_RECORD_TAG_BYTES;
}

static bool begin_aead(EVP_AEAD_CTX *aead, const struct gw_keys_shape *shape, struct gw_keys *keys,
                       enum gw_keys_side side)
{
    return EVP_AEAD_CTX_init(aead, shape->aead(), key_of(shape, keys, side), shape->key_bytes,
                             GW_RECORD_TAG_BYTES, NULL) == 1;
}

/* The key schedule stood on the stack, and goes from there. */
static void end_aead(EVP_AEAD_CTX *aead, bool ok)
{
    EVP_AEAD_CTX_cleanup(aead);
    OPENSSL_cleanse(aead, sizeof *aead);
    if (!ok)
        ERR_clear_error();
}

bool gw_keys_open(const struct gw_keys_shape *shape, struct gw_keys *keys,
                  const uint8_t header[GW_RECORD_HEADER_BYTES], struct gw_bytes body, uint8_t *out,
                  size_t *out_bytes)
{
    const uint64_t sequence = take_sequence(keys, GW_KEYS_READ);
    const uint8_t *iv = iv_of(shape, keys, GW_KEYS_READ);
    const size_t content_bytes = body.size - gw_keys_body_overhead(shape);
    uint8_t nonce[NONCE_BYTES], ad[AD_BYTES_MAX];
    const size_t ad_bytes = make_ad(shape, sequence, header, content_bytes, ad);
    EVP_AEAD_CTX aead;
    bool ok;

    gw_assert(body.size >= gw_keys_body_overhead(shape));
    if (has_explicit_nonce(shape)) { /* RFC 5288 3: whatever the sender has chosen */
        memcpy(nonce, iv, IV_SALT);
        memcpy(nonce + IV_SALT, body.data, EXPLICIT_NONCE_BYTES);
        body = gw_bytes_after(body, EXPLICIT_NONCE_BYTES);
    } else {
        make_whole_nonce(iv, sequence, nonce);
    }
    EVP_AEAD_CTX_zero(&aead);
    ok = begin_aead(&aead, shape, keys, GW_KEYS_READ) &&
         EVP_AEAD_CTX_open(&aead, out, out_bytes, content_bytes, nonce, sizeof nonce, body.data,
                           body.size, ad, ad_bytes) == 1;
    end_aead(&aead, ok);
    return ok;
}

size_t gw_keys_seal(const struct gw_keys_shape *shape, struct gw_keys *keys, uint8_t type,
                    struct gw_bytes content, uint8_t *out)
{
    const uint64_t sequence = take_sequence(keys, GW_KEYS_WRITE);
    const uint8_t *iv = iv_of(shape, keys, GW_KEYS_WRITE);
    const size_t inner_type_bytes = shape->tls13 ? 1 : 0;
    const size_t body_bytes = content.size + inner_type_bytes + gw_keys_body_overhead(shape);
    uint8_t nonce[NONCE_BYTES], ad[AD_BYTES_MAX];
    uint8_t *at = out + GW_RECORD_HEADER_BYTES;
    size_t ad_bytes, tag_bytes = 0;
    EVP_AEAD_CTX aead;
    bool ok;

    out[0] = shape->tls13 ? GW_RECORD_DATA : type;
    gw_store_be16(out + 1, 0x0303); /* RFC 8446 5.1: 1.3 says 1.2 here */
    gw_store_be16(out + 3, (uint16_t)body_bytes);
    ad_bytes = make_ad(shape, sequence, out, content.size, ad);
    if (has_explicit_nonce(shape)) { /* RFC 5288 3: must not repeat, so it is the sequence number */
        memcpy(nonce, iv, IV_SALT);
        store_be64(nonce + IV_SALT, sequence);
        memcpy(at, nonce + IV_SALT, EXPLICIT_NONCE_BYTES);
        at += EXPLICIT_NONCE_BYTES;
    } else {
        make_whole_nonce(iv, sequence, nonce);
    }
    EVP_AEAD_CTX_zero(&aead);
    ok = begin_aead(&aead, shape, keys, GW_KEYS_WRITE) &&
         EVP_AEAD_CTX_seal_scatter(&aead, at, at + content.size, &tag_bytes,
                                   inner_type_bytes + GW_RECORD_TAG_BYTES, nonce, sizeof nonce,
                                   content.data, content.size, shape->tls13 ? &type : NULL,
                                   inner_type_bytes, ad, ad_bytes) == 1;
    end_aead(&aead, ok);
    gw_assert(!ok || tag_bytes == inner_type_bytes + GW_RECORD_TAG_BYTES);
    return ok ? GW_RECORD_HEADER_BYTES + body_bytes : 0;
}
