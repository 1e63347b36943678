/*
 * Record protection without an SSL object: the keys of one session in both directions, and what
 * they do to one record. What a record means is record.c's business.
 *
 *     | read sequence, 4 | write sequence, 4 | read: key, iv, secret | write: key, iv, secret |
 *
 * How long key, iv and secret are depends on version and suite; the shape says so. The key schedule
 * is not kept: it is four times as large as the key, and making it anew for each record costs less
 * than fetching it from memory when sessions are visited at random.
 *
 * Sources: RFC 8446 5.2, 5.3, 7.1 to 7.3 (TLS 1.3); RFC 5246 6.2.3.3 and 6.3, RFC 5288 3,
 * RFC 7905 2 (TLS 1.2).
 */
#ifndef GW_TLS_KEYS_INTERNAL_H
#define GW_TLS_KEYS_INTERNAL_H

#include <openssl/ssl.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum gw_keys_side { GW_KEYS_READ, GW_KEYS_WRITE };

enum {
    GW_KEYS_BYTES_MAX = 192, /* AES-256 and SHA-384 in TLS 1.3: three cache lines */
    GW_KEYS_SECRET_BYTES_MAX = 48,
    GW_RECORD_HEADER_BYTES = 5,
    GW_RECORD_TAG_BYTES = 16,
    /* Header; explicit nonce of TLS 1.2 AES-GCM, or inner type of TLS 1.3; tag. */
    GW_RECORD_OVERHEAD_BYTES_MAX = GW_RECORD_HEADER_BYTES + 8 + GW_RECORD_TAG_BYTES,
};

enum gw_record_type { /* RFC 8446 5.1 */
                      GW_RECORD_CHANGE_CIPHER_SPEC = 20,
                      GW_RECORD_ALERT = 21,
                      GW_RECORD_HANDSHAKE = 22,
                      GW_RECORD_DATA = 23,
};

struct gw_keys_shape {
    uint16_t suite; /* as on the wire */
    bool tls13;
    uint8_t key_bytes, iv_bytes, secret_bytes; /* of one side; no secret in TLS 1.2 */
    const EVP_AEAD *(*aead)(void);
    const EVP_MD *(*digest)(void); /* of the key schedule; NULL in TLS 1.2 */
};

struct gw_keys {
    uint32_t sequence[2]; /* of the next record, by side */
    uint8_t bytes[];
};

/* Rows of the table of shapes; -1 for a suite that only an SSL object can handle. */
int gw_keys_shape_find(uint16_t version, uint16_t suite);
const struct gw_keys_shape *gw_keys_shape_at(unsigned row);
size_t gw_keys_bytes(const struct gw_keys_shape *shape); /* of struct gw_keys with its keys */

/* The application traffic secrets of TLS 1.3: a server reads with the client's, a client with the
   server's. */
GW_MUST_USE bool gw_keys_from_secrets(const struct gw_keys_shape *shape, const uint8_t *read,
                                      const uint8_t *write, struct gw_keys *out);
/* The key block of TLS 1.2, of either end's handshake that has ended. */
GW_MUST_USE bool gw_keys_from_block(const struct gw_keys_shape *shape, const SSL *ssl,
                                    struct gw_keys *out);
/* RFC 8446 7.2: the next generation of one side; its sequence starts anew. TLS 1.3 only. */
GW_MUST_USE bool gw_keys_update(const struct gw_keys_shape *shape, struct gw_keys *keys,
                                enum gw_keys_side side);

/* No number is left for a record: the sequence neither wraps nor repeats (RFC 8446 5.3). */
static inline bool gw_keys_are_spent(const struct gw_keys *keys, enum gw_keys_side side)
{
    return keys->sequence[side] == UINT32_MAX;
}

/* What a record's body has besides its content (in TLS 1.3 the inner type counts as content). */
size_t gw_keys_body_overhead(const struct gw_keys_shape *shape);

/*
 * Opens the record `header`, `body`; not spent (asserted), and body not shorter than its overhead.
 * *out_bytes = body.size - overhead; `out` holds so many. False: not what the peer sealed.
 */
GW_MUST_USE bool gw_keys_open(const struct gw_keys_shape *shape, struct gw_keys *keys,
                              const uint8_t header[GW_RECORD_HEADER_BYTES], struct gw_bytes body,
                              uint8_t *out, size_t *out_bytes);

/*
 * Seals `content`, at most 2^14 bytes, as one record into `out`, which holds content.size +
 * GW_RECORD_OVERHEAD_BYTES_MAX; not spent (asserted). A number is used once, even if sealing fails.
 * Bytes written, or 0 when out of memory.
 */
GW_MUST_USE size_t gw_keys_seal(const struct gw_keys_shape *shape, struct gw_keys *keys,
                                uint8_t type, struct gw_bytes content, uint8_t *out);

#endif
