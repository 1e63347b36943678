/*
 * max_fragment_length (RFC 6066 4), with BearSSL as the peer: it asks for what its buffers hold,
 * and fails on any record beyond that. BoringSSL's client knows nothing of the extension.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bearssl.h>
#include <stdlib.h>
#include <string.h>

#include "bearssl_anchors.h"
#include "peer.h"

/* BearSSL's own figures for what a record needs around its content. */
enum { RECEIVE_OVERHEAD = 325, SEND_OVERHEAD = 85 };

struct board {
    br_ssl_client_context client;
    br_x509_minimal_context x509;
    unsigned char receive_buffer[16384 + RECEIVE_OVERHEAD];
    unsigned char send_buffer[16384 + SEND_OVERHEAD];
    struct gw_tls *server;
    size_t record_max; /* largest record our side sent once established */
    size_t got_bytes;
    bool got_wrong;
};

static void note_records(struct board *b, const uint8_t *data, size_t size)
{
    const struct wire sent = {.data = (uint8_t *)data, .size = size};
    const size_t max = wire_record_bytes_max(&sent, 0);

    b->record_max = max > b->record_max ? max : b->record_max;
}

static void give_board(struct board *b, const uint8_t *data, size_t size)
{
    br_ssl_engine_context *engine = &b->client.eng;

    while (size > 0 && (br_ssl_engine_current_state(engine) & BR_SSL_CLOSED) == 0) {
        size_t room = 0;
        unsigned char *to = br_ssl_engine_recvrec_buf(engine, &room);
        const size_t n = room < size ? room : size;

        if (to != NULL) {
            memcpy(to, data, n);
            br_ssl_engine_recvrec_ack(engine, n);
            data += n;
            size -= n;
        }
        for (to = br_ssl_engine_recvapp_buf(engine, &room); to != NULL && room > 0;
             to = br_ssl_engine_recvapp_buf(engine, &room)) {
            for (size_t i = 0; i < room; i++)
                b->got_wrong |= to[i] != (uint8_t)((b->got_bytes + i) * 7);
            b->got_bytes += room;
            br_ssl_engine_recvapp_ack(engine, room);
        }
    }
}

/* Carries bytes until neither side has more to say. */
static void pump(struct board *b)
{
    static uint8_t plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    static uint8_t out[GW_TLS_OUT_BYTES_MAX];
    size_t size = 0;
    size_t n = 0;
    unsigned char *from;

    while ((from = br_ssl_engine_sendrec_buf(&b->client.eng, &size)) != NULL) {
        struct gw_tls_io io = {
            .in = gw_bytes_of(from, size), .out = out, .out_capacity = sizeof out};
        enum gw_tls_result result;

        do {
            result = gw_tls_read(b->server, &io, plaintext, sizeof plaintext, &n);
        } while (result == GW_TLS_DATA);
        assert_int_equal(result, GW_TLS_WANT);
        br_ssl_engine_sendrec_ack(&b->client.eng, size);
        note_records(b, out, io.out_bytes);
        give_board(b, out, io.out_bytes);
    }
}

static struct board *board_create(struct gw_tls_context *context,
                                  const br_x509_trust_anchor *anchors, size_t receive_bytes)
{
    struct board *b = calloc(1, sizeof *b);

    assert_non_null(b);
    br_ssl_client_init_full(&b->client, &b->x509, anchors, 1);
    br_ssl_engine_set_buffers_bidi(&b->client.eng, b->receive_buffer,
                                   receive_bytes + RECEIVE_OVERHEAD, b->send_buffer,
                                   receive_bytes + SEND_OVERHEAD);
    assert_true(br_ssl_client_reset(&b->client, "gateway.test", 0));
    b->server = gw_tls_open(context);
    assert_non_null(b->server);
    pump(b);
    assert_true(gw_tls_is_established(b->server));
    assert_int_equal(br_ssl_engine_last_error(&b->client.eng), 0);
    return b;
}

static void seal_to_board(struct board *b, size_t size)
{
    static uint8_t plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    static uint8_t out[GW_TLS_OUT_BYTES_MAX];
    struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};

    for (size_t i = 0; i < size; i++)
        plaintext[i] = (uint8_t)((b->got_bytes + i) * 7);
    assert_true(gw_tls_seal(b->server, &io, gw_bytes_of(plaintext, size)));
    assert_in_range(io.out_bytes, size, GW_TLS_OUT_BYTES_MAX);
    note_records(b, out, io.out_bytes);
    give_board(b, out, io.out_bytes);
}

static void records_keep_to_what_the_peer_asked_for(void **state)
{
    static const size_t limits[] = {512, 1024, 2048, 4096, 16384};
    static const size_t sizes[] = {1, 511, 512, 513, 1500, 4000, 4096, 16384};
    /* Explicit nonce and tag of TLS 1.2 AES-GCM; ChaCha20-Poly1305 needs less. */
    enum { PROTECTION_BYTES_MAX = 24 };
    struct gw_tls_context *context = server_create(LEAF_BOTH, GW_TLS_MODERN, 0);
    br_x509_trust_anchor anchor;

    (void)state;
    assert_int_equal(bearssl_anchors_load(pki.ca, &anchor, 1), 1);
    for (size_t i = 0; i < GW_ARRAY_COUNT(limits); i++) {
        struct board *b = board_create(context, &anchor, limits[i]);
        struct gw_tls_facts facts;
        size_t sum = 0;

        gw_tls_facts(b->server, &facts);
        assert_int_equal(facts.record_bytes_max, limits[i]);
        assert_string_equal(facts.version, "TLSv1.2");
        assert_true(facts.ec_leaf);
        assert_in_range(b->record_max, 1, limits[i] + PROTECTION_BYTES_MAX);
        for (size_t s = 0; s < GW_ARRAY_COUNT(sizes); s++) {
            seal_to_board(b, sizes[s]);
            sum += sizes[s];
            assert_int_equal(br_ssl_engine_last_error(&b->client.eng), 0);
            assert_int_equal(b->got_bytes, sum);
        }
        assert_false(b->got_wrong);
        /* The limit is used, not merely kept. */
        assert_in_range(b->record_max, limits[i] + 16, limits[i] + PROTECTION_BYTES_MAX);
        gw_tls_close(b->server);
        free(b);
    }
    bearssl_anchors_release(&anchor, 1);
    gw_tls_context_destroy(context);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_keep_to_what_the_peer_asked_for),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
