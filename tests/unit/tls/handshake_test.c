/* Who gets in, with what, and what the others are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/nid.h>

#include "peer.h"

static void assert_echo(struct pair *p)
{
    static const char hello[] = "hello";

    pair_peer_write(p, hello, sizeof hello);
    pair_pump(p);
    assert_int_equal(p->got.size, sizeof hello);
    assert_memory_equal(p->got.data, hello, sizeof hello);
    assert_true(pair_seal(p, hello, sizeof hello));
    assert_int_equal(p->peer_got.size, sizeof hello);
    assert_memory_equal(p->peer_got.data, hello, sizeof hello);
}

static struct gw_tls_facts facts_of(const struct pair *p)
{
    struct gw_tls_facts facts;

    gw_tls_facts(p->ours, &facts);
    return facts;
}

static void a_handshake_is_the_same_at_every_cut(void **state)
{
    static const size_t cuts[] = {0, 1, 2, 3, 5, 7, 64, 500};
    static const struct {
        uint16_t version;
        unsigned leaves;
        const char *name;
    } cases[] = {
        {TLS1_2_VERSION, LEAF_RSA, "TLSv1.2"},  {TLS1_2_VERSION, LEAF_EC, "TLSv1.2"},
        {TLS1_3_VERSION, LEAF_RSA, "TLSv1.3"},  {TLS1_3_VERSION, LEAF_EC, "TLSv1.3"},
        {TLS1_3_VERSION, LEAF_BOTH, "TLSv1.3"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        struct gw_tls_context *server = server_create(cases[i].leaves, GW_TLS_MODERN, 2);
        SSL_CTX *client = client_create(cases[i].version, cases[i].version);

        for (size_t c = 0; c < GW_ARRAY_COUNT(cuts); c++) {
            struct pair p;

            pair_open(&p, server, client, cuts[c]);
            assert_false(gw_tls_is_established(p.ours));
            pair_pump(&p);
            assert_int_equal(p.result, GW_TLS_WANT);
            assert_true(gw_tls_is_established(p.ours));
            assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_NONE);
            assert_string_equal(gw_tls_failure(p.ours), "");
            assert_string_equal(facts_of(&p).version, cases[i].name);
            assert_string_equal(facts_of(&p).group, "X25519");
            assert_int_equal(facts_of(&p).ec_leaf, (cases[i].leaves & LEAF_EC) != 0);
            assert_int_equal(facts_of(&p).record_bytes_max, GW_TLS_PLAINTEXT_BYTES_MAX);
            assert_false(facts_of(&p).resumed);
            assert_int_equal(facts_of(&p).lean, server_is_lean);
            assert_echo(&p);
            pair_close(&p);
        }
        SSL_CTX_free(client);
        gw_tls_context_destroy(server);
    }
}

static const struct suite {
    const char *openssl, *standard;
    bool modern, ec;
} suites[] = {
    {"ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", true, true},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", true, true},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", true, true},
    {"ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", true, false},
    {"ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", true, false},
    {"ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", true, false},
    {"ECDHE-ECDSA-AES128-SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", false, true},
    {"ECDHE-ECDSA-AES256-SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", false, true},
    {"ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", false, false},
    {"ECDHE-RSA-AES256-SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", false, false},
    {"AES128-GCM-SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256", false, false},
    {"AES256-GCM-SHA384", "TLS_RSA_WITH_AES_256_GCM_SHA384", false, false},
    {"AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA", false, false},
    {"AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA", false, false},
};

static void try_suite(const struct suite *suite, struct gw_tls_context *server, bool taken)
{
    SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_2_VERSION);
    struct pair p;

    assert_true(SSL_CTX_set_strict_cipher_list(client, suite->openssl));
    pair_open(&p, server, client, 0);
    pair_pump(&p);
    assert_int_equal(gw_tls_is_established(p.ours), taken);
    if (taken) {
        assert_string_equal(facts_of(&p).suite, suite->standard);
        assert_int_equal(facts_of(&p).ec_leaf, suite->ec);
        assert_string_equal(facts_of(&p).group,
                            strncmp(suite->openssl, "ECDHE", 5) == 0 ? "X25519" : "");
        /* CBC needs the SSL object. */
        assert_int_equal(facts_of(&p).lean,
                         server_is_lean && strstr(suite->standard, "CBC") == NULL);
        assert_echo(&p);
    } else {
        assert_int_equal(p.result, GW_TLS_FAILED);
        assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_NO_SUITE);
        assert_non_null(strstr(gw_tls_failure(p.ours), "tls.profile"));
        assert_int_equal(ERR_GET_REASON(p.peer_reason), SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    }
    pair_close(&p);
    SSL_CTX_free(client);
}

static void every_suite_of_a_profile_is_taken_and_no_other(void **state)
{
    struct gw_tls_context *modern = server_create(LEAF_BOTH, GW_TLS_MODERN, 0);
    struct gw_tls_context *compat = server_create(LEAF_BOTH, GW_TLS_COMPAT, 0);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(suites); i++) {
        try_suite(&suites[i], modern, suites[i].modern);
        try_suite(&suites[i], compat, true);
    }
    gw_tls_context_destroy(modern);
    gw_tls_context_destroy(compat);
}

static void the_peers_order_decides_among_equals(void **state)
{
    static const struct {
        const char *offer, *taken;
    } cases[] = {
        {"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256",
         "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
        {"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305",
         "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
        /* but not over what compat has added */
        {"AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384",
         "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
        {"AES128-SHA:ECDHE-ECDSA-AES128-SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
    };
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_COMPAT, 0);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_2_VERSION);
        struct pair p;

        assert_true(SSL_CTX_set_strict_cipher_list(client, cases[i].offer));
        pair_open(&p, server, client, 0);
        pair_pump(&p);
        assert_string_equal(facts_of(&p).suite, cases[i].taken);
        pair_close(&p);
        SSL_CTX_free(client);
    }
    gw_tls_context_destroy(server);
}

/* RSA with SHA-256, as PKCS#1 for TLS 1.2 and as PSS for 1.3; ECDSA on P-256 with SHA-256. */
static const uint16_t rsa_signatures[] = {SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256};
static const uint16_t ec_signatures[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256};
static const uint16_t both_signatures[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256,
                                           SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256};
static const int curve_x25519[] = {NID_X25519};
static const int curve_p256[] = {NID_X9_62_prime256v1};

static void a_peer_gets_the_leaf_it_can_use(void **state)
{
    static const struct {
        const char *claim;
        uint16_t version;
        uint16_t signature_count;
        unsigned leaves;
        const uint16_t *signatures;
        const int *curve;
        const char *group;
        bool established, ec_leaf;
    } cases[] = {
        {"1.2, both: EC", TLS1_2_VERSION, 3, LEAF_BOTH, both_signatures, curve_p256, "P-256", true,
         true},
        {"1.2, RSA only: RSA", TLS1_2_VERSION, 2, LEAF_BOTH, rsa_signatures, curve_p256, "P-256",
         true, false},
        {"1.2, EC only: EC", TLS1_2_VERSION, 1, LEAF_BOTH, ec_signatures, curve_p256, "P-256", true,
         true},
        {"1.2, both but no P-256: RSA", TLS1_2_VERSION, 3, LEAF_BOTH, both_signatures, curve_x25519,
         "X25519", true, false},
        {"1.3, both: EC", TLS1_3_VERSION, 3, LEAF_BOTH, both_signatures, curve_p256, "P-256", true,
         true},
        {"1.3, both, no P-256: EC all the same", TLS1_3_VERSION, 3, LEAF_BOTH, both_signatures,
         curve_x25519, "X25519", true, true},
        {"1.3, RSA only: RSA", TLS1_3_VERSION, 2, LEAF_BOTH, rsa_signatures, curve_x25519, "X25519",
         true, false},
        {"1.3, EC only: EC", TLS1_3_VERSION, 1, LEAF_BOTH, ec_signatures, curve_x25519, "X25519",
         true, true},
        {"1.2, EC welcome but not there: RSA", TLS1_2_VERSION, 3, LEAF_RSA, both_signatures,
         curve_p256, "P-256", true, false},
        {"1.2, RSA only and not there", TLS1_2_VERSION, 2, LEAF_EC, rsa_signatures, curve_p256, "",
         false, true},
        {"1.3, RSA only and not there", TLS1_3_VERSION, 2, LEAF_EC, rsa_signatures, curve_p256, "",
         false, true},
        {"1.3, EC only and not there", TLS1_3_VERSION, 1, LEAF_RSA, ec_signatures, curve_p256, "",
         false, false},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        struct gw_tls_context *server = server_create(cases[i].leaves, GW_TLS_MODERN, 0);
        SSL_CTX *client = client_create(cases[i].version, cases[i].version);
        struct pair p;

        assert_true(SSL_CTX_set_verify_algorithm_prefs(client, cases[i].signatures,
                                                       cases[i].signature_count));
        assert_true(SSL_CTX_set1_curves(client, cases[i].curve, 1));
        pair_open(&p, server, client, 0);
        pair_pump(&p);
        if (gw_tls_is_established(p.ours) != cases[i].established)
            fail_msg("%s", cases[i].claim);
        assert_int_equal(facts_of(&p).ec_leaf, cases[i].ec_leaf);
        assert_string_equal(facts_of(&p).group, cases[i].group);
        if (cases[i].established)
            assert_echo(&p);
        else
            assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_NO_SUITE);
        pair_close(&p);
        SSL_CTX_free(client);
        gw_tls_context_destroy(server);
    }
}

static void the_leaf_that_is_missing_is_named(void **state)
{
    static const struct {
        const char *offer;
        unsigned leaves;
        const char *word;
    } cases[] = {
        {"ECDHE-RSA-AES128-GCM-SHA256", LEAF_EC, "no RSA certificate"},
        {"ECDHE-ECDSA-AES128-GCM-SHA256", LEAF_RSA, "no EC certificate"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        struct gw_tls_context *server = server_create(cases[i].leaves, GW_TLS_MODERN, 0);
        SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_2_VERSION);
        struct pair p;

        assert_true(SSL_CTX_set_strict_cipher_list(client, cases[i].offer));
        pair_open(&p, server, client, 0);
        pair_pump(&p);
        assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_NO_SUITE);
        assert_non_null(strstr(gw_tls_failure(p.ours), cases[i].word));
        pair_close(&p);
        SSL_CTX_free(client);
        gw_tls_context_destroy(server);
    }
}

/* In TLS 1.3 this client sends a share for P-256 alone, and is asked again. */
static void x25519_is_taken_before_p256_whatever_the_peer_prefers(void **state)
{
    static const int p256_first[] = {NID_X9_62_prime256v1, NID_X25519};
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, 0);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        SSL_CTX *client = client_create(versions[i], versions[i]);
        struct pair p;

        assert_true(SSL_CTX_set1_curves(client, p256_first, 2));
        pair_open(&p, server, client, 0);
        pair_pump(&p);
        assert_string_equal(facts_of(&p).group, "X25519");
        assert_echo(&p);
        pair_close(&p);
        SSL_CTX_free(client);
    }
    gw_tls_context_destroy(server);
}

static void tls_1_1_and_older_are_refused_by_protocol_version(void **state)
{
    static const uint16_t versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_COMPAT, 0);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        SSL_CTX *client = client_create(TLS1_VERSION, versions[i]);
        struct pair p;

        pair_open(&p, server, client, 0);
        pair_pump(&p);
        assert_int_equal(p.result, GW_TLS_FAILED);
        assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_VERSION);
        assert_int_equal(ERR_GET_REASON(p.peer_reason), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
        pair_close(&p);
        SSL_CTX_free(client);
    }
    gw_tls_context_destroy(server);
}

static void what_is_not_tls_is_called_so(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *word;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "HTTP"},
        {"\x1d\x00\x01\x00\x20xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl", 37, "plain TCP"},
        {"\x02\x00\x01\x00\x20xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl", 37, "plain TCP"},
        {"SSH-2.0-OpenSSH_9.2\r\n", 21, "no TLS ClientHello"},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, "no TLS ClientHello"},
        {"\x16\x03\x01\x00\x05garbage", 12, "no TLS ClientHello"},
        {"\x17\x03\x03\x00\x05hello", 10, "no TLS ClientHello"},
    };
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, 0);
    SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_3_VERSION);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        for (size_t cut = 0; cut <= 1; cut++) {
            struct pair p;

            pair_open(&p, server, client, cut);
            pair_feed(&p, cases[i].bytes, cases[i].size);
            assert_int_equal(p.result, GW_TLS_FAILED);
            assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_NOT_TLS);
            if (strstr(gw_tls_failure(p.ours), cases[i].word) == NULL)
                fail_msg("case %zu: %s", i, gw_tls_failure(p.ours));
            assert_false(gw_tls_is_established(p.ours));
            assert_false(pair_seal(&p, "x", 1));
            pair_close(&p);
        }
    }
    SSL_CTX_free(client);
    gw_tls_context_destroy(server);
}

static void a_peer_that_does_not_trust_us_is_understood(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, 0);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        SSL_CTX *client = SSL_CTX_new(TLS_method());
        struct pair p;

        SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
        assert_true(SSL_CTX_set_max_proto_version(client, versions[i]));
        pair_open(&p, server, client, 0);
        pair_pump(&p);
        assert_int_equal(p.result, GW_TLS_FAILED);
        assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_PEER_ALERT);
        assert_string_equal(gw_tls_failure(p.ours),
                            "the peer does not trust this certificate: alert unknown_ca");
        pair_close(&p);
        SSL_CTX_free(client);
    }
    gw_tls_context_destroy(server);
}

static SSL_SESSION *kept_session;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept_session);
    kept_session = session;
    return 1;
}

static void tickets_resume_where_they_are_configured(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (uint32_t tickets = 0; tickets <= 1; tickets++) {
        struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, tickets);

        for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
            SSL_CTX *client = client_create(versions[i], versions[i]);
            struct pair p;

            SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
            SSL_CTX_sess_set_new_cb(client, keep_session);
            pair_open(&p, server, client, 0);
            pair_pump(&p); /* the tickets come with the end of the handshake, not with data */
            assert_true(gw_tls_is_established(p.ours));
            assert_false(facts_of(&p).resumed);
            pair_close(&p);
            /* Without tickets TLS 1.2 still makes a session, but one nobody can come back to. */
            assert_int_equal(kept_session != NULL && SSL_SESSION_has_ticket(kept_session),
                             tickets > 0);

            pair_open(&p, server, client, 0);
            if (kept_session != NULL)
                assert_true(SSL_set_session(p.peer, kept_session));
            pair_pump(&p);
            assert_int_equal(facts_of(&p).resumed, tickets > 0);
            assert_int_equal(facts_of(&p).lean, server_is_lean);
            assert_echo(&p);
            pair_close(&p);
            SSL_SESSION_free(kept_session);
            kept_session = NULL;
            SSL_CTX_free(client);
        }
        gw_tls_context_destroy(server);
    }
}

static void only_http_is_agreed_by_alpn_and_nothing_is_refused(void **state)
{
    static const struct {
        const char *offer;
        unsigned size;
        const char *chosen;
    } cases[] = {
        {"", 0, ""},
        {"\x02h2\x08http/1.1", 12, "http/1.1"},
        {"\x08http/1.1", 9, "http/1.1"},
        {"\x02h2\x04mqtt", 8, ""},
        {"\x08http/1.0", 9, ""},
    };
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, 0);
    SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_3_VERSION);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        const uint8_t *chosen = NULL;
        unsigned size = 0;
        struct pair p;

        pair_open(&p, server, client, 0);
        assert_int_equal(
            SSL_set_alpn_protos(p.peer, (const uint8_t *)cases[i].offer, cases[i].size), 0);
        pair_pump(&p);
        SSL_get0_alpn_selected(p.peer, &chosen, &size);
        assert_int_equal(size, strlen(cases[i].chosen));
        assert_memory_equal(chosen == NULL ? (const uint8_t *)"" : chosen, cases[i].chosen, size);
        assert_echo(&p);
        pair_close(&p);
    }
    SSL_CTX_free(client);
    gw_tls_context_destroy(server);
}

static void sessions_outlive_their_context(void **state)
{
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, 1);
    SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_3_VERSION);
    struct pair before;
    struct pair after;

    (void)state;
    pair_open(&before, server, client, 0);
    pair_open(&after, server, client, 0);
    pair_pump(&after);
    gw_tls_context_destroy(server);
    pair_pump(&before); /* a whole handshake with the certificates of a context that was dropped */
    assert_echo(&before);
    assert_echo(&after);
    pair_close(&before);
    pair_close(&after);
    SSL_CTX_free(client);
}

static void take_hello(struct gw_tls_context *server, SSL_CTX *client, uint8_t *out, size_t *size)
{
    struct pair p;

    pair_open(&p, server, client, 0);
    assert_true(SSL_do_handshake(p.peer) <= 0);
    *size = BIO_pending(p.peer_out);
    assert_in_range(*size, 50, 2048);
    assert_int_equal(BIO_read(p.peer_out, out, 2048), (int)*size);
    pair_close(&p);
}

/* Failing is fine, and so is an answer; a half-read hello must want more and nothing must break. */
static void a_hello_may_be_cut_or_altered_anywhere(void **state)
{
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_COMPAT, 0);
    SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_3_VERSION);
    uint8_t hello[2048];
    size_t size = 0;
    struct pair p;

    (void)state;
    take_hello(server, client, hello, &size);
    for (size_t at = 0; at < size; at++) {
        pair_open(&p, server, client, 0);
        pair_feed(&p, hello, at);
        assert_int_equal(p.result, GW_TLS_WANT);
        assert_int_equal(p.sent.size, 0);
        pair_close(&p);

        hello[at] ^= 0xff;
        pair_open(&p, server, client, 0);
        pair_feed(&p, hello, size);
        hello[at] ^= 0xff;
        assert_false(gw_tls_is_established(p.ours));
        assert_true(p.result == GW_TLS_WANT || p.result == GW_TLS_FAILED);
        if (p.result == GW_TLS_FAILED)
            assert_true(gw_tls_failure(p.ours)[0] != 0);
        pair_close(&p);
    }
    SSL_CTX_free(client);
    gw_tls_context_destroy(server);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_is_the_same_at_every_cut),
        cmocka_unit_test(every_suite_of_a_profile_is_taken_and_no_other),
        cmocka_unit_test(the_peers_order_decides_among_equals),
        cmocka_unit_test(a_peer_gets_the_leaf_it_can_use),
        cmocka_unit_test(the_leaf_that_is_missing_is_named),
        cmocka_unit_test(x25519_is_taken_before_p256_whatever_the_peer_prefers),
        cmocka_unit_test(tls_1_1_and_older_are_refused_by_protocol_version),
        cmocka_unit_test(what_is_not_tls_is_called_so),
        cmocka_unit_test(a_peer_that_does_not_trust_us_is_understood),
        cmocka_unit_test(tickets_resume_where_they_are_configured),
        cmocka_unit_test(only_http_is_agreed_by_alpn_and_nothing_is_refused),
        cmocka_unit_test(sessions_outlive_their_context),
        cmocka_unit_test(a_hello_may_be_cut_or_altered_anywhere),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
