/*
 * What only a hostile or broken peer sends after the handshake. Both ways of keeping a session are
 * held to the same table, each suite of the record layer in turn: where they answer differently,
 * the row says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "attacker.h"
#include "peer.h"

static const struct suite {
    uint16_t version;
    uint16_t id;
    const char *name; /* NULL: TLS 1.3 suites have no names to choose by */
} suites[] = {
    {TLS1_2_VERSION, 0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"},
    {TLS1_2_VERSION, 0xc030, "ECDHE-RSA-AES256-GCM-SHA384"},
    {TLS1_2_VERSION, 0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"},
    {TLS1_3_VERSION, 0x1301, NULL},
};

struct stage {
    struct gw_tls_context *server;
    SSL_CTX *client;
    struct pair pair;
    struct attacker attacker; /* last: it ends in keys */
};

static void stage_open(struct stage *s, const struct suite *suite)
{
    struct gw_tls_facts facts;

    s->server = server_create(LEAF_BOTH, GW_TLS_MODERN, 1);
    s->client = client_create(suite->version, suite->version);
    if (suite->name != NULL)
        assert_true(SSL_CTX_set_strict_cipher_list(s->client, suite->name));
    attacker_listen(s->client);
    pair_open(&s->pair, s->server, s->client, 0);
    pair_pump(&s->pair);
    assert_true(gw_tls_is_established(s->pair.ours));
    gw_tls_facts(s->pair.ours, &facts);
    assert_int_equal(facts.lean, server_is_lean);
    attacker_begin(&s->attacker, &s->pair);
    assert_int_equal(s->attacker.shape->suite, suite->id);
}

static void stage_close(struct stage *s)
{
    pair_close(&s->pair);
    gw_tls_context_destroy(s->server);
    SSL_CTX_free(s->client);
}

enum {
    NO_ALERT = -1,
    ANY_ALERT = -2, /* or none: the two ways differ, and no peer can tell them apart by it */
    CLOSE_NOTIFY = 0,
};

/* What our side has answered is this one alert, or nothing. */
static void expect_alert(struct stage *s, const char *claim, int alert)
{
    static struct answer answer;

    if (!attacker_next(&s->attacker, &answer)) {
        if (alert >= 0)
            fail_msg("%s: no alert", claim);
        return;
    }
    assert_int_equal(answer.type, GW_RECORD_ALERT);
    assert_int_equal(answer.size, 2);
    if (alert == NO_ALERT || (alert >= 0 && answer.data[1] != alert))
        fail_msg("%s: alert %d", claim, answer.data[1]);
    assert_int_equal(answer.data[0], answer.data[1] == CLOSE_NOTIFY ? 1 : 2);
    assert_false(attacker_next(&s->attacker, &answer));
}

enum { TLS_12 = 1, TLS_13 = 2, BOTH = TLS_12 | TLS_13 };

static bool is_of(const struct suite *suite, unsigned versions)
{
    return (versions & (suite->version == TLS1_3_VERSION ? TLS_13 : TLS_12)) != 0;
}

#define ALERT     GW_RECORD_ALERT
#define HANDSHAKE GW_RECORD_HANDSHAKE
#define DATA      GW_RECORD_DATA

static void one_record_is_answered_as_it_deserves(void **state)
{
    static const struct {
        const char *claim;
        unsigned versions;
        uint8_t type;
        uint8_t size;
        const char *content;
        enum gw_tls_result result;
        int alert;
        bool lean_only;
    } rows[] = {
        {"data is data", BOTH, DATA, 2, "hi", GW_TLS_WANT, NO_ALERT, false},
        {"an empty record is nothing", BOTH, DATA, 0, "", GW_TLS_WANT, NO_ALERT, false},
        {"a protected CCS", BOTH, GW_RECORD_CHANGE_CIPHER_SPEC, 1, "\1", GW_TLS_FAILED, 10, false},
        {"a type nobody knows", BOTH, 99, 1, "\1", GW_TLS_FAILED, 10, false},
        {"a heartbeat", BOTH, 24, 3, "\1\0\0", GW_TLS_FAILED, 10, false},
        {"half an alert", BOTH, ALERT, 1, "\1", GW_TLS_FAILED, 50, false},
        {"one and a half alerts", BOTH, ALERT, 3, "\1\0\1", GW_TLS_FAILED, 50, false},
        {"no alert at all", BOTH, ALERT, 0, "", GW_TLS_FAILED, 50, true},
        {"an alert of another level", BOTH, ALERT, 2, "\3\0", GW_TLS_FAILED, 47, false},
        {"close_notify", BOTH, ALERT, 2, "\1\0", GW_TLS_CLOSED, CLOSE_NOTIFY, false},
        {"a fatal alert", BOTH, ALERT, 2, "\2\120", GW_TLS_FAILED, NO_ALERT, false},
        {"a fatal close_notify", BOTH, ALERT, 2, "\2\0", GW_TLS_FAILED, NO_ALERT, false},
        {"user_canceled", BOTH, ALERT, 2, "\1\132", GW_TLS_WANT, NO_ALERT, false},
        {"a warning in 1.2", TLS_12, ALERT, 2, "\1\144", GW_TLS_WANT, NO_ALERT, false},
        {"a warning in 1.3", TLS_13, ALERT, 2, "\1\144", GW_TLS_FAILED, ANY_ALERT, false},
        {"a ClientHello in 1.3", TLS_13, HANDSHAKE, 4, "\1\0\0\0", GW_TLS_FAILED, 10, false},
        {"a ClientHello in 1.2", TLS_12, HANDSHAKE, 4, "\1\0\0\0", GW_TLS_FAILED, 100, false},
        {"a Finished in 1.2", TLS_12, HANDSHAKE, 4, "\24\0\0\0", GW_TLS_FAILED, ANY_ALERT, false},
        {"a Finished in 1.3", TLS_13, HANDSHAKE, 4, "\24\0\0\0", GW_TLS_FAILED, 10, false},
        {"an empty handshake record", BOTH, HANDSHAKE, 0, "", GW_TLS_FAILED, 10, true},
        {"a KeyUpdate in 1.2", TLS_12, HANDSHAKE, 5, "\30\0\0\1\0", GW_TLS_FAILED, ANY_ALERT,
         false},
        {"a KeyUpdate of another kind", TLS_13, HANDSHAKE, 5, "\30\0\0\1\2", GW_TLS_FAILED,
         ANY_ALERT, false},
        {"a KeyUpdate too long", TLS_13, HANDSHAKE, 6, "\30\0\0\2\0\0", GW_TLS_FAILED, 50, false},
        {"an empty KeyUpdate", TLS_13, HANDSHAKE, 4, "\30\0\0\0", GW_TLS_FAILED, 50, false},
        {"a KeyUpdate and a byte", TLS_13, HANDSHAKE, 6, "\30\0\0\1\0\30", GW_TLS_FAILED, 10,
         false},
        {"two KeyUpdates in a record", TLS_13, HANDSHAKE, 10, "\30\0\0\1\0\30\0\0\1\0",
         GW_TLS_FAILED, 10, false},
    };

    (void)state;
    for (size_t v = 0; v < GW_ARRAY_COUNT(suites); v++) {
        for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
            struct stage s;

            if (!is_of(&suites[v], rows[i].versions) || (rows[i].lean_only && !server_is_lean))
                continue;
            stage_open(&s, &suites[v]);
            attacker_send(&s.attacker, rows[i].type, rows[i].content, rows[i].size);
            if (s.pair.result != rows[i].result)
                fail_msg("%s: result %d", rows[i].claim, s.pair.result);
            expect_alert(&s, rows[i].claim, rows[i].alert);
            assert_int_equal(s.pair.got.size, rows[i].type == DATA ? rows[i].size : 0);
            assert_int_equal(gw_tls_failure(s.pair.ours)[0] != 0, s.pair.result == GW_TLS_FAILED);
            if (s.pair.result == GW_TLS_WANT) {
                attacker_send(&s.attacker, DATA, "on", 2);
                assert_int_equal(s.pair.result, GW_TLS_WANT);
                assert_true(pair_seal(&s.pair, "down", 4));
            } else {
                assert_false(pair_seal(&s.pair, "down", 4));
            }
            stage_close(&s);
        }
    }
}

static void a_header_is_judged_before_its_body(void **state)
{
    static const struct {
        const char *claim;
        unsigned versions;
        const char *header;
        int alert;
        bool lean_only; /* the SSL object wants to see the body first */
    } rows[] = {
        {"a CCS after Finished", BOTH, "\x14\3\3\0\1", 10, true},
        {"a plain alert", TLS_13, "\x15\3\3\0\2", 10, true},
        {"a plain handshake record", TLS_13, "\x16\3\3\0\4", 10, true},
        {"no TLS record at all", BOTH, "GET /", 10, true},
        {"another version", TLS_12, "\x17\3\1\0\x40", 70, false},
        {"a body shorter than its tag", BOTH, "\x17\3\3\0\xf", 20, true},
        {"an empty body", BOTH, "\x17\3\3\0\0", 20, true},
        {"the longest body and one byte", TLS_13, "\x17\3\3\x40\x12", 22, true},
        {"a body beyond 2^14 + 256", TLS_13, "\x17\3\3\x41\1", 22, true},
        {"a body beyond 2^14 + 2048", TLS_12, "\x17\3\3\x48\1", 22, false},
    };

    (void)state;
    for (size_t v = 0; v < GW_ARRAY_COUNT(suites); v++) {
        for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
            for (size_t cut = 0; cut <= 1; cut++) {
                struct stage s;

                if (!is_of(&suites[v], rows[i].versions) || (rows[i].lean_only && !server_is_lean))
                    continue;
                stage_open(&s, &suites[v]);
                s.pair.cut = cut;
                pair_feed(&s.pair, rows[i].header, 5);
                if (s.pair.result != GW_TLS_FAILED)
                    fail_msg("%s: result %d", rows[i].claim, s.pair.result);
                expect_alert(&s, rows[i].claim, rows[i].alert);
                stage_close(&s);
            }
        }
    }
}

static void content_may_be_as_long_as_tls_allows_and_no_longer(void **state)
{
    static uint8_t content[GW_TLS_PLAINTEXT_BYTES_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 7);
    for (size_t v = 0; v < GW_ARRAY_COUNT(suites); v++) {
        struct stage s;

        stage_open(&s, &suites[v]);
        attacker_send(&s.attacker, DATA, content, sizeof content - 1);
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        assert_int_equal(s.pair.got.size, sizeof content - 1);
        assert_memory_equal(s.pair.got.data, content, sizeof content - 1);
        /* The record as a whole, in pieces. */
        s.pair.cut = 4096;
        attacker_send(&s.attacker, DATA, content, sizeof content - 1);
        assert_int_equal(s.pair.got.size, 2 * (sizeof content - 1));
        assert_memory_equal(s.pair.got.data + sizeof content - 1, content, sizeof content - 1);
        s.pair.cut = 0;
        attacker_send(&s.attacker, DATA, content, sizeof content);
        assert_int_equal(s.pair.result, GW_TLS_FAILED);
        assert_int_equal(gw_tls_failure_kind(s.pair.ours), GW_TLS_FAILURE_RECORD);
        expect_alert(&s, "one byte too many", 22);
        stage_close(&s);
    }
}

static void padding_is_taken_off_and_is_not_all(void **state)
{
    static const size_t paddings[] = {0, 1, 15, 16, 255, 1000, GW_TLS_PLAINTEXT_BYTES_MAX - 5};
    const struct suite *suite = &suites[GW_ARRAY_COUNT(suites) - 1];
    static const uint8_t zeros[64];
    struct stage s;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(paddings); i++) {
        stage_open(&s, suite);
        attacker_send_padded(&s.attacker, DATA, "hello", 5, paddings[i]);
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        assert_int_equal(s.pair.got.size, 5);
        /* Zeros of the content stay. */
        attacker_send_padded(&s.attacker, DATA, "x\0\0", 3, paddings[i]);
        assert_int_equal(s.pair.got.size, 8);
        assert_memory_equal(s.pair.got.data, "hellox\0\0", 8);
        stage_close(&s);

        stage_open(&s, suite); /* RFC 8446 5.4: nothing but padding */
        attacker_send_padded(&s.attacker, 0, zeros, 3, paddings[i] < 60 ? paddings[i] : 60);
        assert_int_equal(s.pair.result, GW_TLS_FAILED);
        expect_alert(&s, "all zero", server_is_lean ? 10 : 51);
        stage_close(&s);
    }
    stage_open(&s, suite); /* one byte of padding beyond 2^14 + 1 */
    attacker_send_padded(&s.attacker, DATA, "hello", 5, GW_TLS_PLAINTEXT_BYTES_MAX - 4);
    assert_int_equal(s.pair.result, GW_TLS_FAILED);
    expect_alert(&s, "padding beyond the limit", 22);
    stage_close(&s);
}

/* So many of them are borne in a row, and after data as many again; one more ends the session. */
static void flood(const struct suite *suite, uint8_t type, const char *content, size_t size,
                  size_t borne)
{
    struct stage s;

    stage_open(&s, suite);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < borne; i++) {
            attacker_send(&s.attacker, type, content, size);
            if (s.pair.result != GW_TLS_WANT)
                fail_msg("%zu of type %d: %s", i, type, gw_tls_failure(s.pair.ours));
        }
        attacker_send(&s.attacker, DATA, "x", 1);
        assert_int_equal(s.pair.got.size, round + 1);
    }
    for (size_t i = 0; i < borne; i++)
        attacker_send(&s.attacker, type, content, size);
    assert_int_equal(s.pair.result, GW_TLS_WANT);
    attacker_send(&s.attacker, type, content, size);
    assert_int_equal(s.pair.result, GW_TLS_FAILED);
    assert_int_equal(gw_tls_failure_kind(s.pair.ours), GW_TLS_FAILURE_RECORD);
    assert_non_null(strstr(gw_tls_failure(s.pair.ours), "flood"));
    expect_alert(&s, "flood", 10);
    stage_close(&s);
}

static void floods_of_nothing_are_cut_off(void **state)
{
    (void)state;
    for (size_t v = 0; v < GW_ARRAY_COUNT(suites); v++) {
        flood(&suites[v], DATA, "", 0, 32);
        flood(&suites[v], ALERT, "\1\132", 2, 4);
    }
}

static const struct suite *const tls13 = &suites[GW_ARRAY_COUNT(suites) - 1];

static void key_updates_are_followed_and_answered_once(void **state)
{
    static struct answer answer;
    struct stage s;
    size_t update_count = 0;

    (void)state;
    stage_open(&s, tls13);
    for (size_t i = 0; i < 20; i++) {
        attacker_update_keys(&s.attacker, i % 2 == 0);
        attacker_send(&s.attacker, DATA, "x", 1);
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        assert_int_equal(s.pair.got.size, i + 1);
        /* What comes behind an answer is under new keys, which attacker_next follows. */
        assert_true(pair_seal(&s.pair, "down", 4));
        while (attacker_next(&s.attacker, &answer) && answer.type == HANDSHAKE)
            update_count++;
        assert_int_equal(answer.type, DATA);
        assert_int_equal(answer.size, 4);
        assert_int_equal(update_count, i / 2 + 1);
    }
    stage_close(&s);
}

static void a_key_update_may_come_in_pieces(void **state)
{
    static const uint8_t message[] = {24, 0, 0, 1, 0};
    struct stage s;

    (void)state;
    for (unsigned cuts = 0; cuts < 1u << 4; cuts++) {
        size_t from = 0;

        stage_open(&s, tls13);
        for (size_t at = 1; at <= sizeof message; at++) {
            if (at < sizeof message && (cuts >> (at - 1) & 1) == 0)
                continue;
            attacker_send(&s.attacker, HANDSHAKE, message + from, at - from);
            assert_int_equal(s.pair.result, GW_TLS_WANT);
            from = at;
        }
        assert_true(gw_keys_update(s.attacker.shape, &s.attacker.keys, GW_KEYS_WRITE));
        attacker_send(&s.attacker, DATA, "after", 5);
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        assert_int_equal(s.pair.got.size, 5);
        stage_close(&s);
    }
}

/* RFC 8446 5.1: between the parts of a message there is nothing else. */
static void data_between_the_parts_of_a_message_is_refused(void **state)
{
    struct stage s;

    (void)state;
    for (size_t part = 1; part < 5; part++) {
        stage_open(&s, tls13);
        attacker_send(&s.attacker, HANDSHAKE, "\30\0\0\1", part);
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        attacker_send(&s.attacker, DATA, "x", 1);
        assert_int_equal(s.pair.result, GW_TLS_FAILED);
        assert_int_equal(s.pair.got.size, 0);
        expect_alert(&s, "interleaved", 10);
        stage_close(&s);
    }
}

static void key_updates_in_a_row_are_limited(void **state)
{
    static struct answer answer;
    struct stage s;

    (void)state;
    stage_open(&s, tls13);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 32; i++) {
            attacker_update_keys(&s.attacker, true);
            assert_int_equal(s.pair.result, GW_TLS_WANT);
        }
        if (round == 0)
            attacker_send(&s.attacker, DATA, "x", 1);
    }
    attacker_update_keys(&s.attacker, true);
    assert_int_equal(s.pair.result, GW_TLS_FAILED);
    assert_non_null(strstr(gw_tls_failure(s.pair.ours), "flood"));
    while (attacker_next(&s.attacker, &answer))
        ;
    assert_int_equal(answer.type, ALERT);
    assert_int_equal(answer.data[1], 10);
    stage_close(&s);
}

/* Each costs us more than it costs the peer, whatever stands between them. The SSL object does not
 * count so, and is not told the time. */
static void key_updates_per_minute_are_limited(void **state)
{
    struct stage s;
    size_t borne = 0;

    (void)state;
    if (!server_is_lean)
        return;
    stage_open(&s, tls13);
    s.pair.now.ns = 100 * GW_NS_PER_S;
    for (size_t minute = 0; minute < 3; minute++) {
        for (size_t i = 0; i < 60; i++) {
            attacker_update_keys(&s.attacker, false);
            attacker_send(&s.attacker, DATA, "x", 1);
            assert_int_equal(s.pair.result, GW_TLS_WANT);
            assert_int_equal(s.pair.got.size, ++borne);
        }
        s.pair.now.ns += 60 * GW_NS_PER_S;
    }
    for (size_t i = 0; i < 61; i++) {
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        attacker_send(&s.attacker, DATA, "x", 1);
        attacker_update_keys(&s.attacker, false);
    }
    assert_int_equal(s.pair.result, GW_TLS_FAILED);
    expect_alert(&s, "too many a minute", 10);
    stage_close(&s);
}

/* After our close_notify nothing is sealed: no alert, no answer to a KeyUpdate. */
static void after_our_goodbye_nothing_is_said(void **state)
{
    static struct answer answer;
    struct stage s;

    (void)state;
    for (size_t v = 0; v < GW_ARRAY_COUNT(suites); v++) {
        stage_open(&s, &suites[v]);
        pair_shutdown(&s.pair);
        assert_true(attacker_next(&s.attacker, &answer));
        assert_int_equal(answer.type, ALERT);
        assert_memory_equal(answer.data, "\1\0", 2);
        if (s.attacker.shape->tls13)
            attacker_update_keys(&s.attacker, true);
        attacker_send(&s.attacker, DATA, "late", 4);
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        assert_int_equal(s.pair.got.size, 4);
        attacker_send(&s.attacker, 99, "?", 1);
        assert_int_equal(s.pair.result, GW_TLS_FAILED);
        assert_false(attacker_next(&s.attacker, &answer));
        stage_close(&s);
    }
}

/* What a record says when it is whole, it says when it comes byte by byte. */
static void two_records_are_the_same_at_every_cut(void **state)
{
    uint8_t records[256];
    size_t size;

    (void)state;
    for (size_t v = 0; v < GW_ARRAY_COUNT(suites); v++) {
        size = 1;
        for (size_t cut = 0; cut < size; cut++) {
            struct stage s;

            stage_open(&s, &suites[v]);
            size = gw_keys_seal(s.attacker.shape, &s.attacker.keys, DATA, gw_bytes_text("first"),
                                records);
            size += gw_keys_seal(s.attacker.shape, &s.attacker.keys, DATA, gw_bytes_text("second"),
                                 records + size);
            if (cut > 0)
                pair_feed(&s.pair, records, cut);
            pair_feed(&s.pair, records + cut, size - cut);
            assert_int_equal(s.pair.result, GW_TLS_WANT);
            assert_int_equal(s.pair.got.size, 11);
            assert_memory_equal(s.pair.got.data, "firstsecond", 11);
            stage_close(&s);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_record_is_answered_as_it_deserves),
        cmocka_unit_test(a_header_is_judged_before_its_body),
        cmocka_unit_test(content_may_be_as_long_as_tls_allows_and_no_longer),
        cmocka_unit_test(padding_is_taken_off_and_is_not_all),
        cmocka_unit_test(floods_of_nothing_are_cut_off),
        cmocka_unit_test(key_updates_are_followed_and_answered_once),
        cmocka_unit_test(a_key_update_may_come_in_pieces),
        cmocka_unit_test(data_between_the_parts_of_a_message_is_refused),
        cmocka_unit_test(key_updates_in_a_row_are_limited),
        cmocka_unit_test(key_updates_per_minute_are_limited),
        cmocka_unit_test(after_our_goodbye_nothing_is_said),
        cmocka_unit_test(two_records_are_the_same_at_every_cut),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
