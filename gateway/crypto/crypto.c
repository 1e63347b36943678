/*
 * A thin skin over BoringSSL, so that OpenSSL's names stay inside this room and tls/. No state;
 * any thread.
 */
#include <gw/crypto/crypto.h>

#include <assert.h>

#include <openssl/base.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <gw/base/assert.h>

static_assert(GW_SHA256_BYTES == SHA256_DIGEST_LENGTH, "our word for BoringSSL's size");

void gw_hmac_sha256(struct gw_bytes key, struct gw_bytes data, uint8_t out[GW_SHA256_BYTES])
{
    static const uint8_t none[1];
    unsigned int size = 0;

    /* BoringSSL takes a NULL key for "the key of the last time"; an empty loan is no such wish. */
    gw_assert(HMAC(EVP_sha256(), key.size == 0 ? none : key.data, key.size,
                   data.size == 0 ? none : data.data, data.size, out, &size) != NULL);
    gw_assert(size == GW_SHA256_BYTES);
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
