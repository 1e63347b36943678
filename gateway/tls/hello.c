/*
 * Reads a ClientHello for two things that BoringSSL leaves to its caller: whether an ECDSA leaf
 * will do, and how large a record the peer can take. Lists that do not parse count as empty:
 * BoringSSL sees the same hello right after and refuses what is malformed.
 */
#include "tls_internal.h"

#include <openssl/bytestring.h>

enum {
    VERSION_TLS13 = 0x0304,
    GROUP_P256 = 23,                           /* RFC 8446 4.2.7 */
    SIGNATURE_ECDSA_SECP256R1_SHA256 = 0x0403, /* RFC 8446 4.2.3 */
    EXTENSION_MAX_FRAGMENT_LENGTH = 1,         /* RFC 6066 4 */
};

static bool list_has(CBS list, uint16_t wanted)
{
    uint16_t value;

    while (CBS_get_u16(&list, &value)) {
        if (value == wanted)
            return true;
    }
    return false;
}

static bool list_has_any(CBS list, const uint16_t *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list_has(list, wanted[i]))
            return true;
    }
    return false;
}

static CBS extension(const SSL_CLIENT_HELLO *hello, uint16_t type)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    CBS body;

    if (!SSL_early_callback_ctx_extension_get(hello, type, &data, &size))
        size = 0;
    CBS_init(&body, data, size);
    return body;
}

/* An extension whose body is a list of 16-bit values behind a 16-bit length. */
static CBS extension_list(const SSL_CLIENT_HELLO *hello, uint16_t type)
{
    CBS body = extension(hello, type);
    CBS list;

    if (!CBS_get_u16_length_prefixed(&body, &list))
        CBS_init(&list, NULL, 0);
    return list;
}

/* RFC 8446 4.2.1: the list of versions has an 8-bit length. */
static bool offers_tls13(const SSL_CLIENT_HELLO *hello)
{
    CBS body = extension(hello, TLSEXT_TYPE_supported_versions);
    CBS list;

    return CBS_get_u8_length_prefixed(&body, &list) && list_has(list, VERSION_TLS13);
}

/*
 * TLS 1.3 binds the curve of a leaf to the signature algorithm alone. In TLS 1.2 the suite names
 * the leaf's kind, and the curve must be among the groups (RFC 8422 5.1).
 */
static bool takes_ec(const SSL_CLIENT_HELLO *hello, enum gw_tls_profile profile)
{
    static const uint16_t ecdsa_suites[] = {
        0xc02b, 0xc02c, 0xcca9, /* ECDHE-ECDSA with AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305 */
        0xc009, 0xc00a,         /* AES-128-CBC, AES-256-CBC: compat only                        */
    };
    const size_t suite_count = profile == GW_TLS_COMPAT ? 5 : 3;
    CBS suites;

    if (!list_has(extension_list(hello, TLSEXT_TYPE_signature_algorithms),
                  SIGNATURE_ECDSA_SECP256R1_SHA256))
        return false;
    if (offers_tls13(hello))
        return true;
    CBS_init(&suites, hello->cipher_suites, hello->cipher_suites_len);
    return list_has(extension_list(hello, TLSEXT_TYPE_supported_groups), GROUP_P256) &&
           list_has_any(suites, ecdsa_suites, suite_count);
}

/*
 * RFC 6066 4: 1 to 4 stand for 2^9 to 2^12. We keep to the limit without echoing the extension: an
 * echo would bind the peer's records too, which we do not need, and clients go on without one. For
 * the same reason another value is not refused, but ignored like any unknown extension.
 */
static uint16_t record_bytes_max(const SSL_CLIENT_HELLO *hello)
{
    CBS body = extension(hello, EXTENSION_MAX_FRAGMENT_LENGTH);
    uint8_t code;

    if (!CBS_get_u8(&body, &code) || CBS_len(&body) != 0 || code < 1 || code > 4)
        return GW_TLS_PLAINTEXT_BYTES_MAX;
    return (uint16_t)(1u << (8 + code));
}

void gw_hello_read(const SSL_CLIENT_HELLO *hello, enum gw_tls_profile profile, struct gw_hello *out)
{
    out->takes_ec = takes_ec(hello, profile);
    out->record_bytes_max = record_bytes_max(hello);
}
