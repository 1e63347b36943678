/*
 * Puts BoringSSL's reasons into words an operator can act on, and into the few classes that are
 * worth a counter each.
 */
#include "tls_internal.h"

#include <openssl/err.h>

/* Alerts a device sends when it does not like what we are. RFC 8446 6. */
static const struct {
    uint8_t alert;
    const char *text;
} peer_alerts[] = {
    {10, "the peer gave up: alert unexpected_message"},
    {20, "the peer could not read a record: alert bad_record_mac"},
    {22, "the peer's receive buffer is too small for our record: alert record_overflow"},
    {40, "the peer finds nothing acceptable in our answer: alert handshake_failure"},
    {42, "the peer finds this certificate broken: alert bad_certificate"},
    {43, "the peer cannot use this kind of certificate: alert unsupported_certificate"},
    {44, "the peer holds this certificate for revoked: alert certificate_revoked"},
    {45, "the peer holds this certificate for expired (or its clock is not set): "
         "alert certificate_expired"},
    {46, "the peer refuses this certificate (name, chain or clock): alert certificate_unknown"},
    {47, "the peer gave up: alert illegal_parameter"},
    {48, "the peer does not trust this certificate: alert unknown_ca"},
    {49, "the peer denies access: alert access_denied"},
    {50, "the peer could not parse our answer: alert decode_error"},
    {51, "the peer could not verify our signature: alert decrypt_error"},
    {70, "the peer does not speak TLS 1.2 or 1.3: alert protocol_version"},
    {71, "the peer wants stronger cryptography: alert insufficient_security"},
    {80, "the peer ran into an error of its own: alert internal_error"},
    {86, "the peer sees a downgrade: alert inappropriate_fallback"},
    {90, "the peer changed its mind: alert user_canceled"},
    {109, "the peer misses an extension: alert missing_extension"},
    {110, "the peer did not ask for an extension: alert unsupported_extension"},
    {112, "the peer does not know this name: alert unrecognized_name"},
    {116, "the peer asks for a client certificate: alert certificate_required"},
    {120, "the peer insists on a protocol we do not speak: alert no_application_protocol"},
};

void gw_tls_failure_put(struct gw_tls *tls, enum gw_tls_failure_kind kind, const char *text)
{
    tls->failure_kind = (uint8_t)kind;
    tls->failure = text;
}

void gw_tls_failure_put_alert(struct gw_tls *tls, uint8_t alert)
{
    for (size_t i = 0; i < GW_ARRAY_COUNT(peer_alerts); i++) {
        if (peer_alerts[i].alert == alert) {
            gw_tls_failure_put(tls, GW_TLS_FAILURE_PEER_ALERT, peer_alerts[i].text);
            return;
        }
    }
    gw_tls_failure_put(tls, GW_TLS_FAILURE_PEER_ALERT, "the peer gave up with an alert of its own");
}

/* Before a ClientHello was seen the only question is what was talking to us. */
static void set_not_tls(struct gw_tls *tls, int reason)
{
    const char *text = "the first bytes are no TLS ClientHello";

    if (reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST)
        text = "plain HTTP on a TLS port";
    else if (tls->hello.first_byte == 0x1d || tls->hello.first_byte == 0x02)
        text = "a device speaks plain TCP to a TLS port";
    gw_tls_failure_put(tls, GW_TLS_FAILURE_NOT_TLS, text);
}

static void set_no_suite(struct gw_tls *tls)
{
    if (tls->hello.rsa_missing)
        gw_tls_failure_put(
            tls, GW_TLS_FAILURE_NO_SUITE,
            "the peer cannot use an EC certificate and no RSA certificate is configured");
    else if (tls->hello.ec_missing)
        gw_tls_failure_put(
            tls, GW_TLS_FAILURE_NO_SUITE,
            "the peer cannot use an RSA certificate and no EC certificate is configured");
    else if (tls->context->profile == GW_TLS_MODERN)
        gw_tls_failure_put(tls, GW_TLS_FAILURE_NO_SUITE,
                           "the peer offers no suite of the modern profile; see tls.profile");
    else
        gw_tls_failure_put(tls, GW_TLS_FAILURE_NO_SUITE,
                           "the peer offers no suite of the compat profile");
}

/*
 * The first error of the TLS library: a record that fails its check, say, is first of all an error
 * of the cipher, which knows nothing of records. Where there is none, the first error of all.
 */
uint32_t gw_tls_failure_take(void)
{
    const uint32_t first = ERR_peek_error();
    uint32_t packed = ERR_get_error();

    while (packed != 0 && ERR_GET_LIB(packed) != ERR_LIB_SSL)
        packed = ERR_get_error();
    return packed == 0 ? first : packed;
}

void gw_tls_failure_set(struct gw_tls *tls, uint32_t packed)
{
    const int reason = ERR_GET_REASON(packed);
    const char *text;

    if (packed == 0) {
        gw_tls_failure_put(tls, GW_TLS_FAILURE_OTHER, "no room for what must be sent");
        return;
    }
    if (ERR_GET_LIB(packed) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
        gw_tls_failure_put_alert(tls, (uint8_t)(reason - SSL_AD_REASON_OFFSET));
        return;
    }
    if (ERR_GET_LIB(packed) == ERR_LIB_SSL && !tls->hello.seen) {
        set_not_tls(tls, reason);
        return;
    }
    switch (ERR_GET_LIB(packed) == ERR_LIB_SSL ? reason : 0) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_VERSION, "the peer speaks TLS 1.1 or older");
        return;
    case SSL_R_NO_SHARED_CIPHER:
        set_no_suite(tls);
        return;
    case SSL_R_NO_SHARED_GROUP:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_NO_SUITE,
                           "the peer offers neither X25519 nor P-256");
        return;
    case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_NO_SUITE,
                           "the peer accepts no signature of the certificates configured");
        return;
    case SSL_R_NO_RENEGOTIATION:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_OTHER,
                           "the peer wants to renegotiate, which is never done");
        return;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_RECORD,
                           "a record fails its check: altered, or keys do not agree");
        return;
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_DATA_LENGTH_TOO_LONG:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_RECORD, "a record is longer than TLS allows");
        return;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_INVALID_OUTER_RECORD_TYPE:
    case SSL_R_UNEXPECTED_RECORD:
    case SSL_R_BAD_ALERT:
    case SSL_R_UNKNOWN_ALERT_TYPE:
    case SSL_R_DECRYPTION_FAILED:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_RECORD,
                           "a record has a header that does not belong there");
        return;
    case SSL_R_TOO_MANY_EMPTY_FRAGMENTS:
    case SSL_R_TOO_MANY_WARNING_ALERTS:
    case SSL_R_TOO_MANY_KEY_UPDATES:
        gw_tls_failure_put(tls, GW_TLS_FAILURE_RECORD, "a flood of records that carry nothing");
        return;
    default:
        text = ERR_reason_error_string(packed); /* static in the library */
        gw_tls_failure_put(tls, GW_TLS_FAILURE_OTHER,
                           text != NULL ? text : "the TLS library gives no reason");
    }
}
