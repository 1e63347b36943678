/* Records after the handshake: whole, cut, altered, hostile; and both ways to say goodbye. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/aead.h>
#include <openssl/err.h>

#include "peer.h"

/* What a test has: both ends of a TLS version, with a handshake behind them or before them. */
struct scene {
    uint16_t version;
    bool connected;
    const char *suite; /* NULL: whatever they agree on */
};

static struct scene tls_12 = {.version = TLS1_2_VERSION, .connected = true};
static struct scene tls_13 = {.version = TLS1_3_VERSION, .connected = true};
static struct scene gcm_12 = {TLS1_2_VERSION, true, "ECDHE-RSA-AES128-GCM-SHA256"};
static struct scene new_12 = {.version = TLS1_2_VERSION}, new_13 = {.version = TLS1_3_VERSION};

static struct {
    struct gw_tls_context *server;
    SSL_CTX *client;
} ends;

static struct pair pair;

static void shake_hands(size_t cut)
{
    pair_open(&pair, ends.server, ends.client, cut);
    pair_pump(&pair);
    assert_true(gw_tls_is_established(pair.ours));
}

static int set_up(void **state)
{
    const struct scene *scene = *state;

    ends.server = server_create(LEAF_BOTH, GW_TLS_COMPAT, 0);
    ends.client = client_create(scene->version, scene->version);
    if (scene->suite != NULL)
        assert_true(SSL_CTX_set_strict_cipher_list(ends.client, scene->suite));
    if (scene->connected)
        shake_hands(0);
    else
        pair_open(&pair, ends.server, ends.client, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    gw_tls_context_destroy(ends.server);
    SSL_CTX_free(ends.client);
    return 0;
}

static void connect_again(size_t cut)
{
    pair_close(&pair);
    shake_hands(cut);
}

static uint8_t pattern[GW_TLS_PLAINTEXT_BYTES_MAX];

static void fill_pattern(void)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 31 + i / 251);
}

static void data_of_any_size_arrives_both_ways_at_every_cut(void **state)
{
    static const size_t sizes[] = {1, 2, 33, 511, 512, 513, 1400, 4096, 16383, 16384};
    static const size_t cuts[] = {0, 1, 5, 6, 1000, 4096};

    (void)state;
    fill_pattern();
    for (size_t c = 0; c < GW_ARRAY_COUNT(cuts); c++) {
        size_t sum = 0;

        connect_again(cuts[c]);
        for (size_t i = 0; i < GW_ARRAY_COUNT(sizes); i++) {
            pair_peer_write(&pair, pattern, sizes[i]);
            pair_pump(&pair);
            assert_true(pair_seal(&pair, pattern, sizes[i]));
            assert_int_equal(pair.got.size, sum + sizes[i]);
            assert_int_equal(pair.peer_got.size, sum + sizes[i]);
            assert_memory_equal(pair.got.data + sum, pattern, sizes[i]);
            assert_memory_equal(pair.peer_got.data + sum, pattern, sizes[i]);
            sum += sizes[i];
        }
    }
}

/* Finished and the first data in one delivery, and many records in another. */
static void coalesced_records_are_all_read_in_one_call(void **state)
{
    const struct scene *scene = *state;
    uint8_t flight[4096];
    int n;

    /* All but the last flight: our side must not be established before the data comes. */
    while (SSL_in_init(pair.peer)) {
        n = BIO_read(pair.peer_out, flight, sizeof flight);
        if (n > 0)
            pair_feed(&pair, flight, (size_t)n);
        (void)SSL_do_handshake(pair.peer);
        if (scene->version == TLS1_2_VERSION && gw_tls_is_established(pair.ours))
            break; /* in TLS 1.2 the last flight is ours */
    }
    for (int i = 0; i < 100; i++)
        pair_peer_write(&pair, "0123456789", 10);
    pair_pump(&pair);
    assert_true(gw_tls_is_established(pair.ours));
    assert_int_equal(pair.got.size, 1000);
    assert_memory_equal(pair.got.data + 990, "0123456789", 10);
}

static void nothing_is_sealed_before_the_handshake_ends(void **state)
{
    uint8_t out[GW_TLS_OUT_BYTES_MAX];
    struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};

    (void)state;
    assert_false(gw_tls_seal(pair.ours, &io, gw_bytes_text("early")));
    gw_tls_shutdown(pair.ours, &io);
    assert_int_equal(io.out_bytes, 0);
    pair_pump(&pair); /* and no harm was done */
    assert_true(gw_tls_is_established(pair.ours));
}

static void a_seal_without_room_leaves_nothing_behind(void **state)
{
    uint8_t out[GW_TLS_OUT_BYTES_MAX];

    (void)state;
    for (size_t room = 0; room < 100 + 22; room++) {
        struct gw_tls_io io = {.out = out, .out_capacity = room + 7, .out_bytes = 7};

        if (gw_tls_seal(pair.ours, &io, gw_bytes_of(pattern, 100))) {
            fail_msg("%zu bytes hold no record of 100", room);
        }
        assert_int_equal(io.out_bytes, 7);
    }
    /* No sequence number was spent: the peer reads what comes next. */
    assert_true(pair_seal(&pair, "after", 5));
    assert_int_equal(pair.peer_got.size, 5);
}

static void the_largest_seal_fits_the_room_promised(void **state)
{
    static const char *const suites[] = {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-SHA",
                                         "ECDHE-ECDSA-CHACHA20-POLY1305"};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(suites); i++) {
        assert_true(SSL_CTX_set_strict_cipher_list(ends.client, suites[i]));
        connect_again(0);
        assert_true(pair_seal(&pair, pattern, sizeof pattern));
        assert_int_equal(pair.peer_got.size, sizeof pattern);
    }
}

static void an_altered_record_ends_the_session(void **state)
{
    uint8_t record[128];
    size_t size = 64;

    (void)state;
    for (size_t at = 0; at < size; at++) {
        connect_again(0);
        pair_peer_write(&pair, "0123456789", 10);
        size = (size_t)BIO_read(pair.peer_out, record, sizeof record);
        assert_in_range(size, 20, 100);
        record[at] ^= 0x01;
        pair_feed(&pair, record, size);
        assert_int_equal(pair.got.size, 0);
        if (at == 3 || at == 4) {
            /* A longer record is waited for, a shorter one fails its check. */
            assert_true(pair.result == GW_TLS_WANT || pair.result == GW_TLS_FAILED);
        } else {
            assert_int_equal(pair.result, GW_TLS_FAILED);
            assert_int_equal(gw_tls_failure_kind(pair.ours), GW_TLS_FAILURE_RECORD);
            assert_false(pair_seal(&pair, "x", 1));
            /* It stays failed, whatever comes. */
            pair_feed(&pair, record, size);
            assert_int_equal(pair.result, GW_TLS_FAILED);
        }
    }
}

static void a_replayed_record_ends_the_session(void **state)
{
    uint8_t record[128];
    size_t size;

    (void)state;
    pair_peer_write(&pair, "0123456789", 10);
    size = (size_t)BIO_read(pair.peer_out, record, sizeof record);
    pair_feed(&pair, record, size);
    assert_int_equal(pair.got.size, 10);
    pair_feed(&pair, record, size);
    assert_int_equal(pair.result, GW_TLS_FAILED);
    assert_int_equal(gw_tls_failure_kind(pair.ours), GW_TLS_FAILURE_RECORD);
    assert_int_equal(pair.got.size, 10);
}

/* RFC 8446 5.2 and RFC 5246 6.2.3: longer than any record may be. */
static void a_record_beyond_the_limit_is_refused_at_its_header(void **state)
{
    static const uint8_t header[] = {0x17, 0x03, 0x03, 0xff, 0xff};

    (void)state;
    pair_feed(&pair, header, sizeof header);
    assert_int_equal(pair.result, GW_TLS_FAILED);
    assert_int_equal(gw_tls_failure_kind(pair.ours), GW_TLS_FAILURE_RECORD);
    assert_non_null(strstr(gw_tls_failure(pair.ours), "longer"));
}

static void the_peers_goodbye_is_answered_once(void **state)
{
    size_t sent;

    (void)state;
    pair_peer_write(&pair, "last words", 10);
    assert_int_equal(SSL_shutdown(pair.peer), 0);
    pair_pump(&pair);
    assert_int_equal(pair.result, GW_TLS_CLOSED);
    assert_int_equal(pair.got.size, 10);
    assert_int_equal(pair.peer_error, SSL_ERROR_ZERO_RETURN);
    assert_int_equal(SSL_shutdown(pair.peer), 1);
    sent = pair.sent.size;
    pair_feed(&pair, "anything", 8);
    assert_int_equal(pair.result, GW_TLS_CLOSED);
    pair_shutdown(&pair);
    assert_int_equal(pair.sent.size, sent);
    assert_false(pair_seal(&pair, "x", 1));
    assert_int_equal(gw_tls_failure_kind(pair.ours), GW_TLS_FAILURE_NONE);
}

static void our_goodbye_still_lets_the_peer_finish(void **state)
{
    size_t sent;

    (void)state;
    pair_shutdown(&pair);
    assert_int_equal(pair.peer_error, SSL_ERROR_ZERO_RETURN);
    assert_false(pair_seal(&pair, "x", 1));
    sent = pair.sent.size;
    pair_peer_write(&pair, "on my way", 9);
    assert_int_equal(SSL_shutdown(pair.peer), 1);
    pair_pump(&pair);
    assert_int_equal(pair.got.size, 9);
    assert_int_equal(pair.result, GW_TLS_CLOSED);
    assert_int_equal(pair.sent.size, sent); /* theirs was the answer to ours */
}

static void keys_are_updated_both_ways_on_request(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 5; i++) {
        assert_true(SSL_key_update(pair.peer, SSL_KEY_UPDATE_REQUESTED));
        pair_peer_write(&pair, "up", 2);
        pair_pump(&pair);
        assert_true(pair_seal(&pair, "down", 4)); /* carries our own KeyUpdate in front */
        assert_int_equal(pair.got.size, 2 * i);
        assert_int_equal(pair.peer_got.size, 4 * i);
    }
}

/*
 * A record as a TLS 1.2 client with AES-128-GCM would protect it: BoringSSL's client has no way to
 * send what a hostile one would. RFC 5246 6.2.3.3, RFC 5288 3, RFC 5246 6.3 for the key block.
 */
static size_t seal_as_client(const struct pair *p, uint8_t type, const void *data, size_t size,
                             uint8_t *out)
{
    uint8_t block[40]; /* client key 16, server key 16, client salt 4, server salt 4 */
    uint8_t nonce[12];
    uint8_t ad[13];
    const uint64_t sequence = SSL_get_write_sequence(p->peer);
    EVP_AEAD_CTX aead;
    size_t sealed = 0;

    assert_int_equal(SSL_get_key_block_len(p->peer), sizeof block);
    assert_true(SSL_generate_key_block(p->peer, block, sizeof block));
    for (size_t i = 0; i < 8; i++)
        ad[i] = (uint8_t)(sequence >> (56 - 8 * i));
    memcpy(nonce, block + 32, 4);
    memcpy(nonce + 4, ad, 8);
    ad[8] = type;
    ad[9] = 3;
    ad[10] = 3;
    gw_store_be16(ad + 11, (uint16_t)size);
    out[0] = type;
    out[1] = 3;
    out[2] = 3;
    memcpy(out + 5, ad, 8);
    assert_true(EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm(), block, 16, 16, NULL));
    assert_true(EVP_AEAD_CTX_seal(&aead, out + 13, &sealed, size + 16, nonce, sizeof nonce, data,
                                  size, ad, sizeof ad));
    EVP_AEAD_CTX_cleanup(&aead);
    gw_store_be16(out + 3, (uint16_t)(8 + sealed));
    return 13 + sealed;
}

static void a_record_sealed_by_the_test_is_read(void **state)
{
    uint8_t record[64];

    (void)state;
    pair_feed(&pair, record, seal_as_client(&pair, 0x17, "hello", 5, record));
    assert_int_equal(pair.result, GW_TLS_WANT);
    assert_int_equal(pair.got.size, 5);
    assert_memory_equal(pair.got.data, "hello", 5);
}

static void renegotiation_is_refused(void **state)
{
    /* The shortest ClientHello: one suite, one compression method, no extension. */
    uint8_t hello[45] = {
        1, 0, 0, 41, 3, 3, [38] = 0, [39] = 0, [40] = 2, [41] = 0xc0, [42] = 0x2f, [43] = 1};
    uint8_t record[128];

    (void)state;
    pair_feed(&pair, record, seal_as_client(&pair, 0x16, hello, sizeof hello, record));
    assert_int_equal(pair.result, GW_TLS_FAILED);
    assert_non_null(strstr(gw_tls_failure(pair.ours), "renegotiate"));
    pair_pump(&pair);
    assert_int_equal(ERR_GET_REASON(pair.peer_reason), SSL_R_TLSV1_ALERT_NO_RENEGOTIATION);
}

static void a_fatal_alert_is_understood(void **state)
{
    static const uint8_t internal_error[] = {2, 80};
    static const uint8_t unassigned[] = {2, 201};
    uint8_t record[64];

    (void)state;
    pair_feed(&pair, record, seal_as_client(&pair, 0x15, internal_error, 2, record));
    assert_int_equal(pair.result, GW_TLS_FAILED);
    assert_int_equal(gw_tls_failure_kind(pair.ours), GW_TLS_FAILURE_PEER_ALERT);
    assert_non_null(strstr(gw_tls_failure(pair.ours), "internal_error"));
    connect_again(0);
    pair_feed(&pair, record, seal_as_client(&pair, 0x15, unassigned, 2, record));
    assert_int_equal(pair.result, GW_TLS_FAILED);
    assert_int_equal(gw_tls_failure_kind(pair.ours), GW_TLS_FAILURE_PEER_ALERT);
}

static void sessions_take_turns_on_one_context(void **state)
{
    enum { SESSIONS = 50 };
    static struct pair pairs[SESSIONS];

    (void)state;
    for (size_t i = 0; i < SESSIONS; i++)
        pair_open(&pairs[i], ends.server, ends.client, 0);
    for (size_t i = 0; i < SESSIONS; i++)
        pair_pump(&pairs[i]);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < SESSIONS; i++) {
            const uint8_t mark[2] = {(uint8_t)i, (uint8_t)round};
            struct pair *p = &pairs[(i * 17) % SESSIONS];

            pair_peer_write(p, mark, 2);
            pair_pump(p);
            assert_memory_equal(p->got.data + p->got.size - 2, mark, 2);
            assert_true(pair_seal(p, mark, 2));
            assert_memory_equal(p->peer_got.data + p->peer_got.size - 2, mark, 2);
        }
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        assert_int_equal(pairs[i].got.size, 6);
        pair_close(&pairs[i]);
    }
}

/* clang-format off */
#define IN(scene, test) {#test " in " #scene, test, set_up, tear_down, &(scene)}
/* clang-format on */
#define IN_BOTH(test) IN(tls_12, test), IN(tls_13, test)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH(data_of_any_size_arrives_both_ways_at_every_cut),
        IN(new_12, coalesced_records_are_all_read_in_one_call),
        IN(new_13, coalesced_records_are_all_read_in_one_call),
        IN(new_13, nothing_is_sealed_before_the_handshake_ends),
        IN_BOTH(a_seal_without_room_leaves_nothing_behind),
        IN(tls_12, the_largest_seal_fits_the_room_promised),
        IN_BOTH(an_altered_record_ends_the_session),
        IN_BOTH(a_replayed_record_ends_the_session),
        IN_BOTH(a_record_beyond_the_limit_is_refused_at_its_header),
        IN_BOTH(the_peers_goodbye_is_answered_once),
        IN_BOTH(our_goodbye_still_lets_the_peer_finish),
        IN(tls_13, keys_are_updated_both_ways_on_request),
        IN(gcm_12, a_record_sealed_by_the_test_is_read),
        IN(gcm_12, renegotiation_is_refused),
        IN(gcm_12, a_fatal_alert_is_understood),
        IN(new_13, sessions_take_turns_on_one_context),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
