/*
 * Streams of WebSocket messages: what they hold and how they end is the same at every cut, and what
 * no client may send is refused with its code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/websocket/stream.h>

enum { MESSAGE_BYTES_MAX = 70000, DATA_BYTES_MAX = 80000 };

/* ---- what a client sends ---- */

enum { FIN = 0x80, MASKED = 0x80 };

struct sent {
    uint8_t bytes[2 * DATA_BYTES_MAX];
    size_t size;
};

/* One frame, its mask made of `seed`. */
static void put(struct sent *sent, uint8_t first, const void *payload, size_t size, uint8_t seed)
{
    uint8_t *at = sent->bytes + sent->size, *begin = at;
    const uint8_t mask[4] = {seed, (uint8_t)(seed * 7), (uint8_t)(seed * 31), (uint8_t)~seed};

    *at++ = first;
    if (size < 126) {
        *at++ = (uint8_t)(MASKED | size);
    } else if (size < 65536) {
        *at++ = MASKED | 126;
        gw_store_be16(at, (uint16_t)size);
        at += 2;
    } else {
        *at++ = MASKED | 127;
        memset(at, 0, 8);
        at[5] = (uint8_t)(size >> 16);
        gw_store_be16(at + 6, (uint16_t)size);
        at += 8;
    }
    memcpy(at, mask, sizeof mask);
    at += sizeof mask;
    for (size_t i = 0; i < size; i++)
        *at++ = ((const uint8_t *)payload)[i] ^ mask[i % 4];
    sent->size += (size_t)(at - begin);
    assert_true(sent->size <= sizeof sent->bytes);
}

/* ---- what is read of it ---- */

struct reader {
    struct gw_websocket stream;
    uint8_t unread[GW_WEBSOCKET_UNREAD_BYTES_MAX];
    size_t unread_bytes;
    uint8_t data[DATA_BYTES_MAX];
    size_t data_bytes;
    uint32_t controls;
    uint8_t ping[GW_WEBSOCKET_CONTROL_BYTES_MAX];
    size_t ping_bytes;
};

/* Gives it what was left and these, in memory of exactly that size. */
static void feed(struct reader *reader, const uint8_t *bytes, size_t size)
{
    size_t all = reader->unread_bytes + size;
    uint8_t *exact = malloc(all == 0 ? 1 : all);
    struct gw_websocket_input input;

    assert_non_null(exact);
    memcpy(exact, reader->unread, reader->unread_bytes);
    if (size > 0)
        memcpy(exact + reader->unread_bytes, bytes, size);
    gw_websocket_read(&reader->stream, MESSAGE_BYTES_MAX, exact, all, &input);
    assert_true(input.data_bytes <= input.used && input.used <= all);
    assert_true(all - input.used < GW_WEBSOCKET_UNREAD_BYTES_MAX);
    assert_true(reader->data_bytes + input.data_bytes <= sizeof reader->data);
    memcpy(reader->data + reader->data_bytes, exact, input.data_bytes);
    reader->data_bytes += input.data_bytes;
    reader->controls += input.control_count;
    if (input.pinged) {
        memcpy(reader->ping, input.ping, input.ping_bytes);
        reader->ping_bytes = input.ping_bytes;
    }
    reader->unread_bytes = all - input.used;
    memcpy(reader->unread, exact + input.used, reader->unread_bytes);
    free(exact);
}

static void expect_same(const struct reader *seen, const struct reader *whole)
{
    assert_int_equal(seen->data_bytes, whole->data_bytes);
    assert_memory_equal(seen->data, whole->data, whole->data_bytes);
    assert_int_equal(seen->controls, whole->controls);
    assert_int_equal(seen->ping_bytes, whole->ping_bytes);
    assert_memory_equal(seen->ping, whole->ping, whole->ping_bytes);
    assert_int_equal(seen->stream.close_code, whole->stream.close_code);
    assert_int_equal(seen->stream.refused, whole->stream.refused);
    assert_int_equal(seen->unread_bytes, whole->unread_bytes);
}

static struct sent sent;
static struct reader whole, part;

static void read_whole(void)
{
    whole = (struct reader){.data_bytes = 0};
    feed(&whole, sent.bytes, sent.size);
}

/* ---- tests ---- */

static void messages_hold_one_stream_at_every_cut(void **state)
{
    uint8_t filler[126];

    (void)state;
    memset(filler, 'f', sizeof filler);
    sent.size = 0;
    put(&sent, FIN | GW_WEBSOCKET_BINARY, "hello", 5, 1);
    put(&sent, GW_WEBSOCKET_BINARY, "a fr", 4, 2);
    put(&sent, FIN | GW_WEBSOCKET_PING, filler, 125, 3);
    put(&sent, GW_WEBSOCKET_CONTINUATION, "", 0, 4);
    put(&sent, FIN | GW_WEBSOCKET_PONG, "x", 1, 5);
    put(&sent, FIN | GW_WEBSOCKET_CONTINUATION, "agment", 6, 6);
    put(&sent, FIN | GW_WEBSOCKET_TEXT, "text is passed over", 19, 12);
    put(&sent, GW_WEBSOCKET_TEXT, "in fragments", 12, 13);
    put(&sent, FIN | GW_WEBSOCKET_CONTINUATION, "too", 3, 14);
    put(&sent, FIN | GW_WEBSOCKET_BINARY, "", 0, 7);
    put(&sent, FIN | GW_WEBSOCKET_PING, "newest", 6, 8);
    put(&sent, FIN | GW_WEBSOCKET_BINARY, filler, 126, 9);
    put(&sent, FIN | GW_WEBSOCKET_CLOSE,
        "\x0f\xa1"
        "bye",
        5, 10);
    put(&sent, FIN | GW_WEBSOCKET_BINARY, "nobody reads this", 17, 11);
    read_whole();
    assert_int_equal(whole.data_bytes, 5 + 10 + 126);
    assert_memory_equal(whole.data, "helloa fragmentfff", 18);
    assert_int_equal(whole.controls, 4);
    assert_int_equal(whole.ping_bytes, 6);
    assert_memory_equal(whole.ping, "newest", 6);
    assert_int_equal(whole.stream.close_code, 4001);
    assert_false(whole.stream.refused);
    for (size_t cut = 0; cut <= sent.size; cut++) {
        part = (struct reader){.data_bytes = 0};
        feed(&part, sent.bytes, cut);
        feed(&part, sent.bytes + cut, sent.size - cut);
        expect_same(&part, &whole);
    }
    for (size_t step = 1; step < 9; step++) {
        part = (struct reader){.data_bytes = 0};
        for (size_t at = 0; at < sent.size; at += step)
            feed(&part, sent.bytes + at, gw_min_u64(step, sent.size - at));
        expect_same(&part, &whole);
    }
}

static void a_message_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    static uint8_t payload[MESSAGE_BYTES_MAX + 1];
    /* How it comes: in fragments of these sizes. */
    static const struct {
        size_t sizes[3];
        uint16_t code;
    } rows[] = {
        {{MESSAGE_BYTES_MAX, 0, 0}, 0},
        {{MESSAGE_BYTES_MAX + 1, 0, 0}, 1009},
        {{MESSAGE_BYTES_MAX - 5, 5, 0}, 0},
        {{MESSAGE_BYTES_MAX - 5, 5, 1}, 1009},
    };

    (void)state;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 13);
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        sent.size = 0;
        put(&sent, GW_WEBSOCKET_BINARY, payload, rows[i].sizes[0], 21);
        put(&sent, GW_WEBSOCKET_CONTINUATION, payload, rows[i].sizes[1], 22);
        put(&sent, FIN | GW_WEBSOCKET_CONTINUATION, payload, rows[i].sizes[2], 23);
        put(&sent, FIN | GW_WEBSOCKET_BINARY, "next", 4, 24); /* the count begins anew */
        read_whole();
        assert_int_equal(whole.stream.close_code, rows[i].code);
        if (rows[i].code == 0) {
            assert_int_equal(whole.data_bytes, MESSAGE_BYTES_MAX + 4);
            assert_memory_equal(whole.data, payload, rows[i].sizes[0]);
        }
    }
    /* 2^62 bytes are refused at the header. */
    part = (struct reader){.data_bytes = 0};
    feed(&part, (const uint8_t *)"\x82\xff\x40\0\0\0\0\0\0\0mask", 14);
    assert_int_equal(part.stream.close_code, 1009);
}

static void what_no_client_may_send_is_refused_with_its_code(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        uint16_t code;
        bool refused;
    } rows[] = {
#define ROW(text, code, refused) {text, sizeof(text) - 1, code, refused}
#define MASK                     "\0\0\0\0"
        ROW("\x82\x02hi", 1002, true),    /* not masked                */
        ROW("\xc2\x80" MASK, 1002, true), /* a reserved bit            */
        ROW("\xa2\x80" MASK, 1002, true),
        ROW("\x92\x80" MASK, 1002, true),
        ROW("\x83\x80" MASK, 1002, true), /* reserved opcodes          */
        ROW("\x87\x80" MASK, 1002, true),
        ROW("\x8b\x80" MASK, 1002, true),
        ROW("\x8f\x80" MASK, 1002, true),
        ROW("\x80\x80" MASK, 1002, true),                 /* nothing to continue       */
        ROW("\x02\x80" MASK "\x82\x80" MASK, 1002, true), /* a message inside another  */
        ROW("\x01\x80" MASK "\x82\x80" MASK, 1002, true),
        ROW("\x02\x80" MASK "\x81\x80" MASK, 1002, true),
        ROW("\x09\x80" MASK, 1002, true),       /* a Ping in fragments       */
        ROW("\x89\xfe\0\x7e" MASK, 1002, true), /* a Ping of 126             */
        ROW("\x82\xfe\0\x7d" MASK, 1002, true), /* lengths longer than need be */
        ROW("\x82\xff\0\0\0\0\0\0\xff\xff" MASK, 1002, true),
        ROW("\x82\xff\x80\0\0\0\0\0\0\0" MASK, 1002, true), /* 2^63                      */
        ROW("\x88\x81" MASK "\x03", 1002, true),            /* half a code               */
        ROW("\x88\x82" MASK "\x03\xe7", 1002, true),        /* 999                       */
        ROW("\x88\x82" MASK "\x03\xec", 1002, true),        /* 1004, 1005, 1006, 1015    */
        ROW("\x88\x82" MASK "\x03\xed", 1002, true),
        ROW("\x88\x82" MASK "\x03\xee", 1002, true),
        ROW("\x88\x82" MASK "\x03\xf7", 1002, true),
        ROW("\x88\x82" MASK "\x0b\xb7", 1002, true), /* 2999                      */
        ROW("\x88\x82" MASK "\x13\x88", 1002, true), /* 5000                      */
        ROW("\x88\x80" MASK, 1000, false),           /* what may be said          */
        ROW("\x88\x82" MASK "\x03\xe8", 1000, false),
        ROW("\x88\x82" MASK "\x03\xe9", 1001, false),
        ROW("\x88\x82" MASK "\x0b\xb8", 3000, false),
        ROW("\x88\x82" MASK "\x13\x87", 4999, false),
        ROW("\x02\x80" MASK "\x88\x80" MASK, 1000, false), /* inside of a message       */
#undef MASK
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        for (size_t cut = 0; cut <= rows[i].size; cut++) {
            const uint8_t *bytes = (const uint8_t *)rows[i].bytes;

            sent.size = 0;
            put(&sent, FIN | GW_WEBSOCKET_BINARY, "before", 6, 31);
            part = (struct reader){.data_bytes = 0};
            feed(&part, sent.bytes, sent.size);
            feed(&part, bytes, cut);
            feed(&part, bytes + cut, rows[i].size - cut);
            feed(&part, sent.bytes, sent.size);
            if (part.stream.close_code != rows[i].code || part.stream.refused != rows[i].refused)
                fail_msg("row %zu, cut %zu: code %u, refused %d", i, cut, part.stream.close_code,
                         part.stream.refused);
            assert_int_equal(part.data_bytes, 6); /* what came before, and nothing after */
        }
    }
}

static void headers_of_ours_have_the_shortest_length(void **state)
{
    static const struct {
        size_t payload_bytes;
        const char *header;
        size_t bytes;
    } rows[] = {
        {0, "\x82\x00", 2},         {5, "\x82\x05", 2},           {125, "\x82\x7d", 2},
        {126, "\x82\x7e\0\x7e", 4}, {256, "\x82\x7e\x01\x00", 4}, {65535, "\x82\x7e\xff\xff", 4},
    };
    uint8_t out[GW_WEBSOCKET_HEADER_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        assert_int_equal(gw_websocket_header(GW_WEBSOCKET_BINARY, rows[i].payload_bytes, out),
                         rows[i].bytes);
        assert_memory_equal(out, rows[i].header, rows[i].bytes);
    }
    assert_int_equal(gw_websocket_header(GW_WEBSOCKET_CLOSE, 2, out), 2);
    assert_memory_equal(out, "\x88\x02", 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_hold_one_stream_at_every_cut),
        cmocka_unit_test(a_message_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(what_no_client_may_send_is_refused_with_its_code),
        cmocka_unit_test(headers_of_ours_have_the_shortest_length),
    };

    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
