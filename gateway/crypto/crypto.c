/*
 * A thin skin over BoringSSL, so that OpenSSL's names stay inside this room and tls/. No state;
 * any thread.
 */
#include <gw/crypto/crypto.h>

#include <assert.h>
#include <string.h>

#include <openssl/base.h>
#include <openssl/base64.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <gw/base/assert.h>

static_assert(GW_SHA256_BYTES == SHA256_DIGEST_LENGTH, "our word for BoringSSL's size");
static_assert(GW_SHA1_BYTES == SHA_DIGEST_LENGTH, "our word for BoringSSL's size");
static_assert(GW_SHA256_BLOCK_BYTES == SHA256_CBLOCK, "our word for BoringSSL's size");
static_assert(sizeof(SHA256_CTX) <= GW_SHA256_STATE_BYTES, "a key holds two of them");

/* A hash that has taken in the key's block, with `pad` on each of its bytes. */
static void begin(uint8_t state[GW_SHA256_STATE_BYTES], const uint8_t key[GW_SHA256_BLOCK_BYTES],
                  uint8_t pad)
{
    uint8_t block[GW_SHA256_BLOCK_BYTES];
    SHA256_CTX hash;

    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    (void)SHA256_Init(&hash);
    (void)SHA256_Update(&hash, block, sizeof block);
    memcpy(state, &hash, sizeof hash);
    gw_wipe(block, sizeof block);
    gw_wipe(&hash, sizeof hash);
}

/* Goes on from there to the end of `data`. */
static void end(const uint8_t state[GW_SHA256_STATE_BYTES], struct gw_bytes data,
                uint8_t out[GW_SHA256_BYTES])
{
    SHA256_CTX hash;

    memcpy(&hash, state, sizeof hash);
    if (data.size != 0)
        (void)SHA256_Update(&hash, data.data, data.size);
    (void)SHA256_Final(out, &hash);
    gw_wipe(&hash, sizeof hash);
}

void gw_hmac_key_set(struct gw_hmac_key *key, struct gw_bytes secret)
{
    uint8_t block[GW_SHA256_BLOCK_BYTES] = {0};

    if (secret.size > sizeof block)
        (void)SHA256(secret.data, secret.size, block); /* RFC 2104, section 2 */
    else if (secret.size != 0)
        memcpy(block, secret.data, secret.size);
    begin(key->inner, block, 0x36);
    begin(key->outer, block, 0x5c);
    gw_wipe(block, sizeof block);
}

void gw_hmac_sha256_keyed(const struct gw_hmac_key *key, struct gw_bytes data,
                          uint8_t out[GW_SHA256_BYTES])
{
    uint8_t inner[GW_SHA256_BYTES];

    end(key->inner, data, inner);
    end(key->outer, gw_bytes_of(inner, sizeof inner), out);
    gw_wipe(inner, sizeof inner);
}

void gw_hmac_sha256(struct gw_bytes key, struct gw_bytes data, uint8_t out[GW_SHA256_BYTES])
{
    struct gw_hmac_key once;

    gw_hmac_key_set(&once, key);
    gw_hmac_sha256_keyed(&once, data, out);
    gw_wipe(&once, sizeof once);
}

void gw_sha1(struct gw_bytes data, uint8_t out[GW_SHA1_BYTES])
{
    (void)SHA1(data.data, data.size, out);
}

void gw_base64(struct gw_bytes data, char *out)
{
    (void)EVP_EncodeBlock((uint8_t *)out, data.data, data.size);
}

void gw_random(void *out, size_t bytes)
{
    /* RAND_bytes answers 1 or aborts; there is no third way out. */
    gw_assert(RAND_bytes(out, bytes) == 1);
}

void gw_wipe(void *memory, size_t bytes)
{
    OPENSSL_cleanse(memory, bytes);
}

bool gw_equal_secret(const void *a, const void *b, size_t bytes)
{
    return CRYPTO_memcmp(a, b, bytes) == 0;
}

#define TEXT_OF(number)  #number
#define TEXT_OF_(number) TEXT_OF(number)

const char *gw_crypto_version(void)
{
    return "BoringSSL (API " TEXT_OF_(BORINGSSL_API_VERSION) ")";
}
