/*
 * The few primitives that token/, tls/ and websocket/ share, over BoringSSL. No OpenSSL type shows
 * here.
 */
#ifndef GW_CRYPTO_CRYPTO_H
#define GW_CRYPTO_CRYPTO_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>

enum { GW_SHA256_BYTES = 32, GW_SHA256_BLOCK_BYTES = 64, GW_SHA256_STATE_BYTES = 112 };
enum { GW_SHA1_BYTES = 20 };

/*
 * HMAC-SHA-256 (RFC 2104, FIPS 180-4) under a key that is used again and again: half of the work is
 * the key's alone, and is done once (RFC 2104, section 4). As secret as the key; wiped by its
 * owner.
 */
struct gw_hmac_key {
    alignas(8) uint8_t inner[GW_SHA256_STATE_BYTES];
    alignas(8) uint8_t outer[GW_SHA256_STATE_BYTES];
};

void gw_hmac_key_set(struct gw_hmac_key *key, struct gw_bytes secret);
void gw_hmac_sha256_keyed(const struct gw_hmac_key *key, struct gw_bytes data,
                          uint8_t out[GW_SHA256_BYTES]);

/* The same under a key that is used once. */
void gw_hmac_sha256(struct gw_bytes key, struct gw_bytes data, uint8_t out[GW_SHA256_BYTES]);

/* RFC 3174. For the handshake of WebSockets alone, where nothing hangs on its strength. */
void gw_sha1(struct gw_bytes data, uint8_t out[GW_SHA1_BYTES]);

/* RFC 4648, section 4, and a NUL: 4 characters for each 3 bytes, the last ones filled up. */
void gw_base64(struct gw_bytes data, char *out);

/* Cryptographic randomness; never fails (the process aborts where the kernel has none). */
void gw_random(void *out, size_t bytes);

/* Cleanses memory that held a secret; the compiler keeps it. */
void gw_wipe(void *memory, size_t bytes);

/* Equality in time that depends on `bytes` alone. */
bool gw_equal_secret(const void *a, const void *b, size_t bytes);

/* "BoringSSL (API 17)": for --version. */
const char *gw_crypto_version(void);

#endif
