/* What only a lean session has: limits of keys, its own memory, and a way not to become lean. */
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
#include "tls_internal.h"

enum { KEY_RECORDS_TLS13 = 1 << 23, KEY_RECORDS_TLS12_GCM = 23726566 };

struct stage {
    struct gw_tls_context *server;
    SSL_CTX *client;
    struct pair pair;
    struct attacker attacker; /* last: it ends in keys */
};

static void stage_open(struct stage *s, uint16_t version, const char *suite)
{
    s->server = server_create(LEAF_BOTH, GW_TLS_MODERN, 1);
    s->client = client_create(version, version);
    if (suite != NULL)
        assert_true(SSL_CTX_set_strict_cipher_list(s->client, suite));
    attacker_listen(s->client);
    pair_open(&s->pair, s->server, s->client, 0);
    pair_pump(&s->pair);
    assert_true(gw_tls_is_established(s->pair.ours));
    assert_true(s->pair.ours->lean);
    attacker_begin(&s->attacker, &s->pair);
}

static void stage_close(struct stage *s)
{
    pair_close(&s->pair);
    gw_tls_context_destroy(s->server);
    SSL_CTX_free(s->client);
}

static struct gw_keys *keys_of(const struct gw_tls *tls)
{
    return gw_tls_pool_keys_at(tls->pool, gw_keys_bytes(gw_keys_shape_at(tls->shape)), tls->keys);
}

/* Both ends stand so many records further. */
static void set_sequence(struct stage *s, enum gw_keys_side ours, uint32_t sequence)
{
    keys_of(s->pair.ours)->sequence[ours] = sequence;
    s->attacker.keys.sequence[ours == GW_KEYS_READ ? GW_KEYS_WRITE : GW_KEYS_READ] = sequence;
}

/* ---- sequence numbers ---- */

static void keys_are_renewed_before_their_limit(void **state)
{
    static struct answer answer;
    struct stage s;

    (void)state;
    stage_open(&s, TLS1_3_VERSION, NULL);
    set_sequence(&s, GW_KEYS_WRITE, KEY_RECORDS_TLS13 - 1);
    assert_true(pair_seal(&s.pair, "last", 4));
    assert_true(attacker_next(&s.attacker, &answer));
    assert_int_equal(answer.type, GW_RECORD_DATA);
    assert_true(pair_seal(&s.pair, "first", 5));
    assert_true(attacker_next(&s.attacker, &answer));
    assert_int_equal(answer.type, GW_RECORD_HANDSHAKE); /* and the keys behind it are others */
    assert_true(attacker_next(&s.attacker, &answer));
    assert_int_equal(answer.type, GW_RECORD_DATA);
    assert_memory_equal(answer.data, "first", 5);
    assert_int_equal(keys_of(s.pair.ours)->sequence[GW_KEYS_WRITE], 1);
    stage_close(&s);
}

static void a_session_that_cannot_renew_its_keys_ends_politely(void **state)
{
    static struct answer answer;
    struct stage s;

    (void)state;
    stage_open(&s, TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256");
    set_sequence(&s, GW_KEYS_WRITE, KEY_RECORDS_TLS12_GCM - 1);
    assert_true(pair_seal(&s.pair, "last", 4));
    assert_true(attacker_next(&s.attacker, &answer));
    assert_false(pair_seal(&s.pair, "more", 4));
    assert_non_null(strstr(gw_tls_failure(s.pair.ours), "one key"));
    assert_int_equal(gw_tls_failure_kind(s.pair.ours), GW_TLS_FAILURE_OTHER);
    stage_close(&s);
}

static void sequence_numbers_never_wrap(void **state)
{
    static struct answer answer;
    struct stage s;

    (void)state;
    stage_open(&s, TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305");
    set_sequence(&s, GW_KEYS_WRITE, UINT32_MAX - 1);
    assert_true(pair_seal(&s.pair, "last", 4));
    assert_true(attacker_next(&s.attacker, &answer));
    assert_false(pair_seal(&s.pair, "more", 4));
    stage_close(&s);

    stage_open(&s, TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305");
    set_sequence(&s, GW_KEYS_READ, UINT32_MAX - 1);
    attacker_send(&s.attacker, GW_RECORD_DATA, "last", 4);
    assert_int_equal(s.pair.got.size, 4);
    s.attacker.keys.sequence[GW_KEYS_WRITE] = 0; /* where a counter that wraps would stand */
    attacker_send(&s.attacker, GW_RECORD_DATA, "more", 4);
    assert_int_equal(s.pair.result, GW_TLS_FAILED);
    assert_non_null(strstr(gw_tls_failure(s.pair.ours), "sequence"));
    assert_int_equal(s.pair.got.size, 4);
    stage_close(&s);
}

/* TLS 1.2 AES-GCM shows its nonces: from the first protected record on, across the hand-over, each
 * is used once. */
static void no_nonce_is_used_twice(void **state)
{
    static uint8_t plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    struct stage s;
    uint64_t next = 0;
    bool protected = false;

    (void)state;
    stage_open(&s, TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256");
    for (size_t i = 1; i < 40; i++) {
        uint8_t out[64];
        struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};

        assert_true(pair_seal(&s.pair, plaintext, i * 400));
        assert_false(gw_tls_seal(s.pair.ours, &io, gw_bytes_of(plaintext, 40))); /* no room */
        pair_peer_write(&s.pair, "x", 1);
        pair_pump(&s.pair);
    }
    pair_shutdown(&s.pair);
    for (size_t at = 0; at < s.pair.sent.size;) {
        const uint8_t *record = s.pair.sent.data + at;

        if (protected) {
            assert_int_equal((uint64_t)gw_load_be16(record + 5) << 48 |
                                 (uint64_t)gw_load_be16(record + 7) << 32 |
                                 (uint64_t)gw_load_be16(record + 9) << 16 |
                                 gw_load_be16(record + 11),
                             next);
            next++;
        }
        protected = protected || record[0] == GW_RECORD_CHANGE_CIPHER_SPEC;
        at += 5 + (size_t)gw_load_be16(record + 3);
    }
    assert_int_equal(next, 1 + 39 + 1); /* Finished, data, close_notify */
    stage_close(&s);
}

/* ---- memory ---- */

static void everything_goes_back_to_the_pool(void **state)
{
    static const uint8_t garbage[] = {0x17, 3, 3, 0, 40, 1, 2, 3};
    struct stage s;
    struct gw_tls_pool *pool;

    (void)state;
    for (int how = 0; how < 4; how++) {
        stage_open(&s, TLS1_3_VERSION, NULL);
        pool = s.pair.ours->pool;
        assert_int_equal(pool->keys[2].taken_count, 0); /* TLS_AES_128: two lines */
        assert_int_equal(pool->keys[1].taken_count, 1);
        assert_int_equal(pool->partials[0].taken_count, 0);
        pair_feed(&s.pair, garbage, sizeof garbage); /* a part of a record */
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        assert_int_equal(pool->partials[0].taken_count, 1);
        if (how == 1) { /* the rest of it is no good */
            static const uint8_t rest[37];

            pair_feed(&s.pair, rest, sizeof rest);
            assert_int_equal(s.pair.result, GW_TLS_FAILED);
        }
        if (how == 2)
            pair_shutdown(&s.pair);
        if (how == 1) {
            assert_int_equal(pool->partials[0].taken_count, 0);
            assert_int_equal(pool->keys[1].taken_count, 0);
        }
        gw_tls_close(s.pair.ours); /* whatever state it is in */
        s.pair.ours = NULL;
        assert_int_equal(pool->sessions.taken_count, 0);
        assert_int_equal(pool->keys[1].taken_count, 0);
        assert_int_equal(pool->partials[0].taken_count, 0);
        stage_close(&s);
    }
}

static void a_record_in_pieces_needs_a_buffer_and_gets_one_or_the_door(void **state)
{
    static const uint8_t small[] = {0x17, 3, 3, 0, 40, 1};
    static const uint8_t large[] = {0x17, 3, 3, 0x20, 0, 1};
    static const struct {
        const uint8_t *bytes;
        size_t class, size;
    } rows[] = {{small, 0, sizeof small}, {large, 1, sizeof large}};

    (void)state;
    for (size_t i = 0; i < 2 * GW_ARRAY_COUNT(rows); i++) {
        const size_t row = i / 2;
        struct gw_slab *slab;
        struct stage s;
        uint32_t taken = 0;

        stage_open(&s, TLS1_3_VERSION, NULL);
        s.pair.cut = i % 2; /* byte by byte the large one begins as a small one */
        slab = &s.pair.ours->pool->partials[rows[row].class];
        while (gw_slab_acquire(slab) != GW_NONE)
            taken++;
        pair_feed(&s.pair, rows[row].bytes, rows[row].size);
        assert_int_equal(s.pair.result, GW_TLS_FAILED);
        assert_non_null(strstr(gw_tls_failure(s.pair.ours), "no buffer"));
        while (taken > 0)
            gw_slab_release(slab, --taken);
        assert_int_equal(slab->taken_count, 0);
        stage_close(&s);
    }
}

static void while_buffers_are_scarce_a_slow_record_is_given_up(void **state)
{
    for (int scarce = 0; scarce <= 1; scarce++) {
        struct stage s;
        struct gw_slab *slab;
        uint32_t taken = 0;

        (void)state;
        stage_open(&s, TLS1_3_VERSION, NULL);
        slab = &s.pair.ours->pool->partials[0];
        while (scarce && taken <= slab->slot_count / 2) {
            assert_int_not_equal(gw_slab_acquire(slab), GW_NONE);
            taken++;
        }
        s.pair.now.ns = 5 * GW_NS_PER_S;
        pair_feed(&s.pair, "\x17\3\3", 3);
        s.pair.now.ns += 30 * GW_NS_PER_S;
        pair_feed(&s.pair, "\0", 1);
        assert_int_equal(s.pair.result, GW_TLS_WANT);
        s.pair.now.ns += 1;
        pair_feed(&s.pair, "\x40", 1);
        assert_int_equal(s.pair.result, scarce ? GW_TLS_FAILED : GW_TLS_WANT);
        while (taken > 0)
            gw_slab_release(slab, --taken);
        stage_close(&s);
    }
}

/* Reads what AddressSanitizer would not let one read: a slot that was given back. */
__attribute__((no_sanitize("address"))) static bool all_zero(const volatile uint8_t *p, size_t size)
{
    while (size > 0 && *p == 0) {
        p++;
        size--;
    }
    return size == 0;
}

static void keys_are_cleansed_when_a_session_ends(void **state)
{
    for (int fails = 0; fails <= 1; fails++) {
        struct stage s;
        struct gw_slab *slab;
        const uint8_t *keys;

        (void)state;
        stage_open(&s, TLS1_3_VERSION, NULL);
        slab = &s.pair.ours->pool->keys[1];
        keys = gw_slab_at(slab, s.pair.ours->keys);
        assert_false(all_zero(keys, slab->slot_bytes));
        if (fails)
            attacker_send(&s.attacker, 99, "?", 1);
        else
            pair_close(&s.pair);
        for (uint32_t slot = 0; slot < slab->fresh; slot++) /* but for the link of a free one */
            assert_true(all_zero((uint8_t *)gw_slab_at(slab, slot) + sizeof(uint32_t),
                                 slab->slot_bytes - sizeof(uint32_t)));
        stage_close(&s);
    }
}

static void keys_are_left_out_of_core_dumps(void **state)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    struct stage s;
    char line[512];
    bool inside = false;
    size_t found = 0;

    (void)state;
    stage_open(&s, TLS1_3_VERSION, NULL);
    assert_non_null(smaps);
    while (fgets(line, sizeof line, smaps) != NULL) {
        unsigned long from = 0;
        unsigned long to = 0;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = false;
            for (size_t i = 0; i < GW_KEYS_CLASSES; i++) {
                const uintptr_t slots = (uintptr_t)s.pair.ours->pool->keys[i].slots;

                inside = inside || (slots >= from && slots < to);
            }
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            assert_non_null(strstr(line, " dd"));
            found++;
        }
    }
    assert_in_range(found, 1, GW_KEYS_CLASSES); /* neighbours may be one mapping */
    assert_int_equal(fclose(smaps), 0);
    stage_close(&s);
}

/* Session, keys, and nothing else: with the 240 bytes a shard keeps, 400. */
static void a_lean_session_is_small(void **state)
{
    static const struct {
        uint16_t suite;
        uint16_t version;
        size_t bytes;
    } rows[] = {
        {0x1301, TLS1_3_VERSION, 128}, {0x1302, TLS1_3_VERSION, 192}, {0x1303, TLS1_3_VERSION, 192},
        {0xc02b, TLS1_2_VERSION, 64},  {0xc030, TLS1_2_VERSION, 128}, {0xcca8, TLS1_2_VERSION, 128},
    };

    (void)state;
    assert_int_equal(sizeof(struct gw_tls), 32);
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        const int row = gw_keys_shape_find(rows[i].version, rows[i].suite);
        size_t lines;

        assert_true(row >= 0);
        lines = (gw_keys_bytes(gw_keys_shape_at((unsigned)row)) + 63) / 64;
        assert_int_equal(lines * 64, rows[i].bytes);
    }
    assert_true(gw_keys_shape_find(TLS1_2_VERSION, 0x1301) < 0);
    assert_true(gw_keys_shape_find(TLS1_2_VERSION, 0xc009) < 0); /* CBC */
}

/* A lean session holds the pool alone: certificates and private keys do not live on in it. */
static void the_context_goes_before_lean_sessions(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, TLS1_3_VERSION, NULL);
    assert_int_equal(s.server->holder_count, 1);
    assert_int_equal(s.server->pool->holder_count, 2);
    gw_tls_context_destroy(s.server);
    s.server = NULL;
    assert_int_equal(s.pair.ours->pool->holder_count, 1);
    attacker_send(&s.attacker, GW_RECORD_DATA, "still here", 10);
    assert_int_equal(s.pair.got.size, 10);
    assert_true(pair_seal(&s.pair, "yes", 3));
    stage_close(&s);
}

/* ---- sessions that do not become lean ---- */

static void expect_working(struct pair *p)
{
    pair_peer_write(p, "up", 2);
    pair_pump(p);
    assert_int_equal(p->got.size, 2);
    assert_true(pair_seal(p, "down", 4));
    assert_int_equal(p->peer_got.size, 4);
}

static void without_room_for_keys_a_session_keeps_its_ssl_object(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    /* In TLS 1.3 secrets and keys each take a slot: run dry at either. */
    for (uint32_t left = 0; left <= 2; left++) {
        for (size_t v = 0; v < GW_ARRAY_COUNT(versions); v++) {
            const bool tls13 = versions[v] == TLS1_3_VERSION;
            struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, 1);
            SSL_CTX *client = client_create(versions[v], versions[v]);
            struct gw_slab *slab = &server->pool->keys[tls13 ? 1 : 0];
            uint32_t taken = 0;
            struct pair p;

            while (slab->slot_count - slab->taken_count > left) {
                assert_int_not_equal(gw_slab_acquire(slab), GW_NONE);
                taken++;
            }
            pair_open(&p, server, client, 0);
            pair_pump(&p);
            assert_true(gw_tls_is_established(p.ours));
            assert_int_equal(p.ours->lean, left >= (tls13 ? 2u : 1u));
            expect_working(&p);
            assert_int_equal(slab->taken_count, taken + p.ours->lean);
            /* Nor later, when there is room: SSL_read may have seen a KeyUpdate by then. */
            if (!p.ours->lean) {
                while (taken > 0)
                    gw_slab_release(slab, --taken);
                pair_peer_write(&p, "up", 2);
                pair_pump(&p);
                assert_int_equal(p.got.size, 4);
                assert_false(p.ours->lean);
            }
            pair_close(&p);
            assert_int_equal(slab->taken_count, taken);
            while (taken > 0)
                gw_slab_release(slab, --taken);
            gw_tls_context_destroy(server);
            SSL_CTX_free(client);
        }
    }
}

/* They are BoringSSL's to send, and it would take no other write before them. */
static void a_session_whose_tickets_find_no_room_fails(void **state)
{
    static uint8_t finished[4096], plaintext[GW_TLS_PLAINTEXT_BYTES_MAX], out[64];
    struct gw_tls_context *server = server_create(LEAF_BOTH, GW_TLS_MODERN, 2);
    SSL_CTX *client = client_create(TLS1_3_VERSION, TLS1_3_VERSION);
    struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};
    size_t n = 0;
    struct pair p;
    int size;

    (void)state;
    pair_open(&p, server, client, 0);
    (void)SSL_do_handshake(p.peer);
    size = BIO_read(p.peer_out, finished, sizeof finished);
    pair_feed(&p, finished, (size_t)size);
    assert_int_equal(SSL_do_handshake(p.peer), 1);
    size = BIO_read(p.peer_out, finished, sizeof finished);
    io.in = gw_bytes_of(finished, (size_t)size);
    assert_int_equal(gw_tls_read(p.ours, &io, plaintext, sizeof plaintext, &n), GW_TLS_FAILED);
    assert_non_null(strstr(gw_tls_failure(p.ours), "no room"));
    assert_int_equal(server->pool->keys[1].taken_count, 0);
    pair_close(&p);
    gw_tls_context_destroy(server);
    SSL_CTX_free(client);
}

static void beyond_sessions_max_no_session_is_opened(void **state)
{
    struct gw_tls_options options = server_options(LEAF_EC, GW_TLS_MODERN);
    struct gw_tls_context *context = NULL;
    struct gw_tls *sessions[2], *one_more;
    char why[256];

    (void)state;
    options.sessions_max = 2;
    assert_int_equal(gw_tls_context_create(&options, &context, why, sizeof why), 0);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(sessions[i] = gw_tls_open(context));
    assert_null(gw_tls_open(context));
    gw_tls_close(sessions[0]);
    assert_non_null(one_more = gw_tls_open(context));
    gw_tls_close(sessions[1]);
    gw_tls_context_destroy(context);
    gw_tls_close(one_more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_renewed_before_their_limit),
        cmocka_unit_test(a_session_that_cannot_renew_its_keys_ends_politely),
        cmocka_unit_test(sequence_numbers_never_wrap),
        cmocka_unit_test(no_nonce_is_used_twice),
        cmocka_unit_test(everything_goes_back_to_the_pool),
        cmocka_unit_test(a_record_in_pieces_needs_a_buffer_and_gets_one_or_the_door),
        cmocka_unit_test(while_buffers_are_scarce_a_slow_record_is_given_up),
        cmocka_unit_test(keys_are_cleansed_when_a_session_ends),
        cmocka_unit_test(keys_are_left_out_of_core_dumps),
        cmocka_unit_test(a_lean_session_is_small),
        cmocka_unit_test(the_context_goes_before_lean_sessions),
        cmocka_unit_test(without_room_for_keys_a_session_keeps_its_ssl_object),
        cmocka_unit_test(a_session_whose_tickets_find_no_room_fails),
        cmocka_unit_test(beyond_sessions_max_no_session_is_opened),
    };

    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
