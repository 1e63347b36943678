/* Our client against BoringSSL's server, and against one that says what it should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacker.h"
#include "peer.h"

static const struct suite {
    uint16_t version;
    const char *name; /* NULL: BoringSSL's server chooses among the suites of TLS 1.3 by itself */
} suites[] = {
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {TLS1_3_VERSION, NULL},
};

struct stage {
    struct gw_tls_context *client;
    SSL_CTX *server;
    struct gw_tls_ticket *ticket;
    struct pair pair;
    struct attacker attacker; /* last: it ends in keys */
};

static void stage_make(struct stage *s, const struct suite *suite)
{
    const struct gw_tls_client_options options = our_client_options();

    *s = (struct stage){.client = our_client_create(&options),
                        .server = peer_server_create(suite->version, suite->version)};
    if (suite->name != NULL)
        assert_true(SSL_CTX_set_strict_cipher_list(s->server, suite->name));
    attacker_listen(s->server);
}

static void stage_connect(struct stage *s, bool keeps_ticket, size_t cut)
{
    pair_open_client(&s->pair, s->client, keeps_ticket, s->ticket, s->server, cut);
    pair_pump(&s->pair);
    assert_true(gw_tls_is_established(s->pair.ours));
    assert_false(SSL_in_init(s->pair.peer));
}

static void stage_end(struct stage *s)
{
    pair_close(&s->pair);
    gw_tls_ticket_free(s->ticket);
    gw_tls_context_destroy(s->client);
    SSL_CTX_free(s->server);
}

static bool is_lean(const struct stage *s)
{
    struct gw_tls_facts facts;

    gw_tls_facts(s->pair.ours, &facts);
    return facts.lean;
}

/* Both ways, as often as one likes. */
static void expect_working(struct stage *s)
{
    const size_t got = s->pair.got.size;
    const size_t peer_got = s->pair.peer_got.size;

    assert_true(pair_seal(&s->pair, "up", 2));
    pair_peer_write(&s->pair, "down", 4);
    pair_pump(&s->pair);
    assert_int_equal(s->pair.got.size, got + 4);
    assert_memory_equal(s->pair.got.data + got, "down", 4);
    assert_int_equal(s->pair.peer_got.size, peer_got + 2);
    assert_memory_equal(s->pair.peer_got.data + peer_got, "up", 2);
}

/* ---- with a server that behaves ---- */

static void both_ends_understand_each_other(void **state)
{
    static const size_t cuts[] = {0, 1, 7};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(suites) * GW_ARRAY_COUNT(cuts); i++) {
        const struct suite *suite = &suites[i / GW_ARRAY_COUNT(cuts)];
        struct gw_tls_facts facts;
        struct stage s;

        stage_make(&s, suite);
        stage_connect(&s, false, cuts[i % GW_ARRAY_COUNT(cuts)]);
        gw_tls_facts(s.pair.ours, &facts);
        assert_int_equal(facts.version_number, suite->version);
        assert_int_equal(facts.lean, server_is_lean);
        assert_in_range(facts.lean_bytes, server_is_lean ? 96 : 0, server_is_lean ? 224 : 0);
        assert_false(facts.resumed);
        assert_int_equal(facts.record_bytes_max, GW_TLS_PLAINTEXT_BYTES_MAX);
        for (int round = 0; round < 3; round++)
            expect_working(&s); /* in TLS 1.3 with two tickets before the first data */
        stage_end(&s);
    }
}

static void large_records_go_both_ways(void **state)
{
    static uint8_t data[GW_TLS_PLAINTEXT_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(suites); i++) {
        struct stage s;

        stage_make(&s, &suites[i]);
        stage_connect(&s, false, 0);
        assert_true(pair_seal(&s.pair, data, sizeof data));
        pair_peer_write(&s.pair, data, sizeof data);
        pair_pump(&s.pair);
        assert_int_equal(s.pair.got.size, sizeof data);
        assert_int_equal(s.pair.peer_got.size, sizeof data);
        stage_end(&s);
    }
}

static void keys_change_when_the_server_asks(void **state)
{
    (void)state;
    for (int request = 0; request <= 1; request++) {
        struct stage s;

        stage_make(&s, &suites[3]);
        stage_connect(&s, false, 0);
        for (int round = 0; round < 4; round++) {
            assert_true(SSL_key_update(s.pair.peer, request ? SSL_KEY_UPDATE_REQUESTED
                                                            : SSL_KEY_UPDATE_NOT_REQUESTED));
            expect_working(&s);
            expect_working(&s); /* under our next key, where one was asked for */
        }
        stage_end(&s);
    }
}

static void close_notify_goes_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * GW_ARRAY_COUNT(suites); i++) {
        struct stage s;

        stage_make(&s, &suites[i / 2]);
        stage_connect(&s, false, 0);
        expect_working(&s);
        if (i % 2 == 0)
            assert_int_equal(SSL_shutdown(s.pair.peer), 0);
        else
            pair_shutdown(&s.pair);
        pair_pump(&s.pair);
        assert_int_equal(SSL_get_shutdown(s.pair.peer) & SSL_RECEIVED_SHUTDOWN,
                         SSL_RECEIVED_SHUTDOWN);
        if (i % 2 == 0)
            assert_int_equal(s.pair.result, GW_TLS_CLOSED);
        assert_false(pair_seal(&s.pair, "late", 4));
        stage_end(&s);
    }
}

/* ---- tickets ---- */

static void take_ticket(struct stage *s)
{
    gw_tls_ticket_free(s->ticket);
    s->ticket = gw_tls_client_ticket(s->client);
    assert_non_null(s->ticket);
    assert_null(gw_tls_client_ticket(s->client));
    assert_in_range(gw_tls_ticket_bytes(s->ticket), 200, 2000);
}

static void who_keeps_its_ticket_comes_back_with_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(suites); i++) {
        const bool tls13 = suites[i].version == TLS1_3_VERSION;
        struct gw_tls_facts facts;
        struct stage s;

        stage_make(&s, &suites[i]);
        for (int visit = 0; visit < 3; visit++) {
            stage_connect(&s, true, 0);
            gw_tls_facts(s.pair.ours, &facts);
            assert_int_equal(facts.resumed, visit > 0);
            assert_int_equal(SSL_session_reused(s.pair.peer), visit > 0);
            assert_int_equal(facts.lean, server_is_lean && !tls13);
            expect_working(&s); /* with TLS 1.3's tickets before the data */
            assert_int_equal(is_lean(&s), server_is_lean);
            if (visit == 0 || tls13)
                take_ticket(&s);
            expect_working(&s);
            pair_close(&s.pair);
        }
        stage_end(&s);
    }
}

static void who_asks_for_none_gets_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(suites); i++) {
        struct stage s;

        stage_make(&s, &suites[i]);
        stage_connect(&s, false, 0);
        expect_working(&s);
        assert_null(gw_tls_client_ticket(s.client));
        stage_end(&s);
    }
}

/* BoringSSL reads before the hand-over: whatever it read, both ends go on with the same keys. */
static void a_wait_for_a_ticket_ends_well(void **state)
{
    static const struct {
        const char *claim;
        size_t cut;
        bool tickets, update, lean;
    } rows[] = {
        {"a ticket, then data", 0, true, false, true},
        {"no ticket before the data", 0, false, false, true},
        {"a key that changed unseen", 0, false, true, false},
        {"records in pieces", 3, true, false, false},
        {"pieces, and no ticket", 3, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct stage s;

        stage_make(&s, &suites[3]);
        if (!rows[i].tickets)
            SSL_CTX_set_num_tickets(s.server, 0);
        stage_connect(&s, true, rows[i].cut);
        assert_false(is_lean(&s));
        if (rows[i].update)
            assert_true(SSL_key_update(s.pair.peer, SSL_KEY_UPDATE_REQUESTED));
        expect_working(&s);
        if (is_lean(&s) != (rows[i].lean && server_is_lean))
            fail_msg("%s", rows[i].claim);
        s.ticket = gw_tls_client_ticket(s.client);
        assert_int_equal(s.ticket != NULL, rows[i].tickets);
        s.pair.cut = 0;
        assert_true(SSL_key_update(s.pair.peer, SSL_KEY_UPDATE_REQUESTED));
        expect_working(&s);
        expect_working(&s);
        stage_end(&s);
    }
}

static void a_spoilt_ticket_is_as_good_as_none(void **state)
{
    struct stage s;

    (void)state;
    stage_make(&s, &suites[3]);
    stage_connect(&s, true, 0);
    expect_working(&s);
    take_ticket(&s);
    pair_close(&s.pair);
    memset((uint8_t *)s.ticket + sizeof(size_t), 0, 8);
    stage_connect(&s, true, 0);
    assert_false(SSL_session_reused(s.pair.peer));
    expect_working(&s);
    stage_end(&s);
}

/* ---- certificates ---- */

static void a_certificate_is_trusted_or_not(void **state)
{
    static const struct {
        const char *host;
        bool checked, trusted;
    } rows[] = {
        {"gateway.test", true, true}, {"127.0.0.1", true, true},   {"other.test", true, false},
        {"127.0.0.2", true, false},   {"other.test", false, true},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_tls_client_options options = our_client_options();
        struct gw_tls_context *client;
        SSL_CTX *server = peer_server_create(TLS1_3_VERSION, TLS1_3_VERSION);
        struct pair p;

        options.host = rows[i].host;
        options.ca = rows[i].checked ? pki.ca : NULL;
        client = our_client_create(&options);
        pair_open_client(&p, client, false, NULL, server, 0);
        pair_pump(&p);
        assert_int_equal(gw_tls_is_established(p.ours), rows[i].trusted);
        if (!rows[i].trusted) {
            assert_int_equal(p.result, GW_TLS_FAILED);
            assert_int_equal(gw_tls_failure_kind(p.ours), GW_TLS_FAILURE_CERTIFICATE);
            assert_non_null(strstr(gw_tls_failure(p.ours), "mismatch"));
        }
        pair_close(&p);
        gw_tls_context_destroy(client);
        SSL_CTX_free(server);
    }
}

static void what_cannot_be_configured_is_said(void **state)
{
    struct gw_tls_client_options options = our_client_options();
    struct gw_tls_context *client;
    char why[256] = "";

    (void)state;
    options.ca = "/nonexistent";
    assert_int_not_equal(gw_tls_client_create(&options, &client, why, sizeof why), 0);
    assert_null(client);
    assert_non_null(strstr(why, "/nonexistent"));
}

/* ---- with a server that does not ---- */

static void stage_attack(struct stage *s, const struct suite *suite)
{
    stage_make(s, suite);
    stage_connect(s, false, 0);
    attacker_begin(&s->attacker, &s->pair);
}

static void expect_data(struct stage *s)
{
    const size_t got = s->pair.got.size;

    attacker_send(&s->attacker, GW_RECORD_DATA, "data", 4);
    assert_int_equal(s->pair.got.size, got + 4);
}

static void one_record_is_answered_as_it_deserves(void **state)
{
    enum { LEAN = 1, KEPT = 2, BOTH_WAYS = 3 };
    static const struct {
        const char *claim;
        uint16_t version;
        uint8_t size;
        const char *content;
        enum gw_tls_result result;
        unsigned ways; /* in which the row holds: BoringSSL's client takes no HelloRequest */
    } rows[] = {
        {"HelloRequest", TLS1_2_VERSION, 4, "\0\0\0\0", GW_TLS_WANT, LEAN},
        {"half a HelloRequest", TLS1_2_VERSION, 2, "\0\0", GW_TLS_FAILED, LEAN},
        {"a HelloRequest too long", TLS1_2_VERSION, 5, "\0\0\0\1\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a ticket in 1.2", TLS1_2_VERSION, 5, "\4\0\0\1\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a ClientHello in 1.2", TLS1_2_VERSION, 4, "\1\0\0\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a ServerHello in 1.2", TLS1_2_VERSION, 4, "\2\0\0\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a KeyUpdate in 1.2", TLS1_2_VERSION, 5, "\30\0\0\1\0", GW_TLS_FAILED, BOTH_WAYS},
        {"HelloRequest in 1.3", TLS1_3_VERSION, 4, "\0\0\0\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a ClientHello in 1.3", TLS1_3_VERSION, 4, "\1\0\0\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a ServerHello in 1.3", TLS1_3_VERSION, 4, "\2\0\0\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a CertificateRequest", TLS1_3_VERSION, 4, "\15\0\0\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a Finished in 1.3", TLS1_3_VERSION, 4, "\24\0\0\0", GW_TLS_FAILED, BOTH_WAYS},
        {"a KeyUpdate of another kind", TLS1_3_VERSION, 5, "\30\0\0\1\2", GW_TLS_FAILED, BOTH_WAYS},
        {"a KeyUpdate, then a ticket", TLS1_3_VERSION, 10, "\30\0\0\1\0\4\0\0\1\0", GW_TLS_FAILED,
         BOTH_WAYS},
        {"a ticket of 16 MiB", TLS1_3_VERSION, 4, "\4\377\377\377", GW_TLS_FAILED, BOTH_WAYS},
        {"a ticket, then a Finished", TLS1_3_VERSION, 9, "\4\0\0\1\0\24\0\0\0", GW_TLS_FAILED,
         BOTH_WAYS},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct stage s;

        if ((rows[i].ways & (server_is_lean ? LEAN : KEPT)) == 0)
            continue;
        stage_attack(&s, &suites[rows[i].version == TLS1_3_VERSION ? 3 : i % 3]);
        attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, rows[i].content, rows[i].size);
        if (s.pair.result != rows[i].result)
            fail_msg("%s: result %d", rows[i].claim, s.pair.result);
        if (s.pair.result == GW_TLS_WANT)
            expect_data(&s);
        stage_end(&s);
    }
}

static void a_hello_request_is_refused_by_a_warning(void **state)
{
    static struct answer answer;
    struct stage s;

    (void)state;
    if (!server_is_lean)
        return;
    stage_attack(&s, &suites[0]);
    for (int i = 0; i < 4; i++) {
        attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, "\0\0\0\0", 4);
        assert_true(attacker_next(&s.attacker, &answer));
        assert_int_equal(answer.type, GW_RECORD_ALERT);
        assert_int_equal(answer.size, 2);
        assert_memory_equal(answer.data, "\1\144", 2); /* warning, no_renegotiation */
    }
    expect_data(&s);
    for (int i = 0; i < 4; i++)
        attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, "\0\0\0\0", 4);
    assert_int_equal(s.pair.result, GW_TLS_WANT);
    attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, "\0\0\0\0", 4);
    assert_int_equal(s.pair.result, GW_TLS_FAILED);
    stage_end(&s);
}

/* Two tickets and a KeyUpdate, of which BoringSSL's client would read each. */
static const uint8_t messages[] = {
    4,  0, 0, 23, 0, 0, 14, 16, 1, 2, 3, 4, 1, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, /* */
    4,  0, 0, 23, 0, 0, 14, 16, 1, 2, 3, 4, 1, 1, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, /* */
    24, 0, 0, 1,  1,
};

static void tickets_are_skipped_at_every_cut(void **state)
{
    (void)state;
    for (size_t cut = 1; cut <= sizeof messages; cut++) {
        struct stage s;

        stage_attack(&s, &suites[3]);
        for (size_t at = 0; at < sizeof messages; at += cut) {
            const size_t n = sizeof messages - at < cut ? sizeof messages - at : cut;

            attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, messages + at, n);
            assert_int_equal(s.pair.result, GW_TLS_WANT);
        }
        assert_true(gw_keys_update(s.attacker.shape, &s.attacker.keys, GW_KEYS_WRITE));
        expect_data(&s);
        stage_end(&s);
    }
}

static void nothing_comes_between_the_parts_of_a_ticket(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < 27; cut++) {
        struct stage s;

        stage_attack(&s, &suites[3]);
        attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, messages, cut);
        attacker_send(&s.attacker, GW_RECORD_DATA, "data", 4);
        assert_int_equal(s.pair.result, GW_TLS_FAILED);
        stage_end(&s);
    }
}

static void tickets_without_end_are_not_endured(void **state)
{
    struct stage s;

    (void)state;
    if (!server_is_lean)
        return; /* BoringSSL endures them */
    stage_attack(&s, &suites[3]);
    for (int i = 0; i < 32; i++)
        attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, messages, 27);
    expect_data(&s);
    for (int i = 0; i < 32; i++)
        attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, messages, 27);
    assert_int_equal(s.pair.result, GW_TLS_WANT);
    attacker_send(&s.attacker, GW_RECORD_HANDSHAKE, messages, 27);
    assert_int_equal(s.pair.result, GW_TLS_FAILED);
    stage_end(&s);
}

static void an_altered_record_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(suites); i++) {
        size_t record_bytes = SIZE_MAX;

        for (size_t at = 5; at < record_bytes; at++) {
            static uint8_t record[128];
            struct stage s;

            stage_attack(&s, &suites[i]);
            record_bytes = gw_keys_seal(s.attacker.shape, &s.attacker.keys, GW_RECORD_DATA,
                                        gw_bytes_text("four"), record);
            record[at] ^= 1;
            pair_feed(&s.pair, record, record_bytes);
            assert_int_equal(s.pair.result, GW_TLS_FAILED);
            assert_int_equal(s.pair.got.size, 0);
            assert_int_equal(gw_tls_failure_kind(s.pair.ours), GW_TLS_FAILURE_RECORD);
            stage_end(&s);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_understand_each_other),
        cmocka_unit_test(large_records_go_both_ways),
        cmocka_unit_test(keys_change_when_the_server_asks),
        cmocka_unit_test(close_notify_goes_both_ways),
        cmocka_unit_test(who_keeps_its_ticket_comes_back_with_it),
        cmocka_unit_test(who_asks_for_none_gets_none),
        cmocka_unit_test(a_wait_for_a_ticket_ends_well),
        cmocka_unit_test(a_spoilt_ticket_is_as_good_as_none),
        cmocka_unit_test(a_certificate_is_trusted_or_not),
        cmocka_unit_test(what_cannot_be_configured_is_said),
        cmocka_unit_test(one_record_is_answered_as_it_deserves),
        cmocka_unit_test(a_hello_request_is_refused_by_a_warning),
        cmocka_unit_test(tickets_are_skipped_at_every_cut),
        cmocka_unit_test(nothing_comes_between_the_parts_of_a_ticket),
        cmocka_unit_test(tickets_without_end_are_not_endured),
        cmocka_unit_test(an_altered_record_is_noticed),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
