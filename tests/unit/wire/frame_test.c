/*
 * Frames at every cut of a stream, with every byte altered, and back to bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <gw/wire/frame.h>

enum { BODY_BYTES_MAX = 64, FRAMES = 7 };

/* What a device may say in one segment, conformance cases A17, C30 and D31 among it. */
static const struct gw_frame said[FRAMES] = {
    {GW_FRAME_HW_LOGIN, 1, 0, {(const uint8_t *)"xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl", 32}},
    {GW_FRAME_PING, 0xFFFF, 0, {NULL, 0}},
    {GW_FRAME_RESPONSE, 999, 200, {NULL, 0}},
    {GW_FRAME_HARDWARE, 3, 0, {(const uint8_t *)"vw\0001\00010", 7}},
    {99, 0, 0, {(const uint8_t *)"a", 1}},
    {GW_FRAME_RESPONSE, 5, 0xFFFF, {NULL, 0}},
    {255, 0x8001, 0, {(const uint8_t *)"\xFF\0\xFF", 3}},
};

static const uint8_t bytes_said[] = "\x1d\0\1\0\x20xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl"
                                    "\6\xff\xff\0\0"
                                    "\0\3\xe7\0\xc8"
                                    "\x14\0\3\0\7vw\0001\00010"
                                    "\x63\0\0\0\1a"
                                    "\0\0\5\xff\xff"
                                    "\xff\x80\1\0\3\xff\0\xff";

enum { SAID_BYTES = sizeof bytes_said - 1 };

static bool frames_equal(const struct gw_frame *a, const struct gw_frame *b)
{
    return a->type == b->type && a->msg_id == b->msg_id && a->status == b->status &&
           gw_bytes_equal(a->body, b->body);
}

/* Decodes from an allocation of just this size: AddressSanitizer sees any byte read behind it. */
static enum gw_status decode_exactly(const uint8_t *bytes, size_t size, size_t body_bytes_max,
                                     struct gw_frame *out, size_t *used)
{
    uint8_t *copy = size == 0 ? NULL : malloc(size);

    assert_true(copy != NULL || size == 0);
    if (size > 0)
        memcpy(copy, bytes, size);
    enum gw_status status = gw_frame_decode(gw_bytes_of(copy, size), body_bytes_max, out, used);

    if (status == GW_OK) {
        assert_ptr_equal(out->body.data, copy + GW_FRAME_HEADER_BYTES);
        out->body.data = bytes + GW_FRAME_HEADER_BYTES; /* the same view, of what still lives */
    }
    free(copy);
    return status;
}

static void a_stream_decodes_to_what_was_said_at_every_cut(void **state)
{
    (void)state;
    for (size_t first = 0; first <= SAID_BYTES; first++)
        for (size_t second = first; second <= SAID_BYTES; second++) {
            const size_t arrivals[] = {first, second, SAID_BYTES};
            size_t at = 0, frame_count = 0;

            for (size_t i = 0; i < GW_ARRAY_COUNT(arrivals); i++) {
                struct gw_frame frame;
                size_t used;

                while (decode_exactly(bytes_said + at, arrivals[i] - at, BODY_BYTES_MAX, &frame,
                                      &used) == GW_OK) {
                    assert_true(frame_count < FRAMES);
                    assert_true(frames_equal(&frame, &said[frame_count++]));
                    at += used;
                }
            }
            assert_int_equal(frame_count, FRAMES);
            assert_int_equal(at, SAID_BYTES);
        }
}

static void a_prefix_consumes_nothing_and_leaves_the_output_alone(void **state)
{
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < FRAMES; i++) {
        size_t bytes = gw_frame_bytes(&said[i]);

        for (size_t cut = 0; cut < bytes; cut++) {
            struct gw_frame frame = {.type = 42, .msg_id = 43, .status = 44};
            size_t used = 45;

            assert_int_equal(decode_exactly(bytes_said + at, cut, BODY_BYTES_MAX, &frame, &used),
                             GW_MORE);
            assert_int_equal(used, 0);
            assert_true(frame.type == 42 && frame.msg_id == 43 && frame.status == 44);
        }
        at += bytes;
    }
    assert_int_equal(at, SAID_BYTES);
}

/* The answer is a function of the header: with any byte replaced by any other, too. */
static void an_altered_byte_changes_what_it_should(void **state)
{
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < FRAMES; i++) {
        size_t bytes = gw_frame_bytes(&said[i]);

        for (size_t place = 0; place < bytes; place++)
            for (unsigned value = 0; value < 256; value++) {
                uint8_t altered[GW_FRAME_HEADER_BYTES + BODY_BYTES_MAX], again[sizeof altered];
                struct gw_frame frame;
                size_t used;

                memcpy(altered, bytes_said + at, bytes);
                altered[place] = (uint8_t)value;
                unsigned field = altered[3] * 256u + altered[4];
                unsigned body = altered[0] == 0 ? 0 : field;

                switch (decode_exactly(altered, bytes, BODY_BYTES_MAX, &frame, &used)) {
                case GW_OK:
                    assert_int_equal(used, GW_FRAME_HEADER_BYTES + body);
                    assert_true(used <= bytes);
                    assert_int_equal(frame.type, altered[0]);
                    assert_int_equal(frame.msg_id, altered[1] * 256u + altered[2]);
                    assert_int_equal(frame.status, altered[0] == 0 ? field : 0);
                    assert_int_equal(gw_frame_encode(again, sizeof again, &frame), used);
                    assert_memory_equal(again, altered, used);
                    break;
                case GW_MORE:
                    assert_true(body <= BODY_BYTES_MAX && GW_FRAME_HEADER_BYTES + body > bytes);
                    assert_int_equal(used, 0);
                    break;
                case GW_BAD_FRAME:
                    assert_true(body > BODY_BYTES_MAX);
                    assert_int_equal(used, 0);
                    break;
                }
            }
        at += bytes;
    }
}

static void the_body_limit_is_judged_at_the_header(void **state)
{
    static const struct {
        const char *header;
        size_t body_bytes_max;
        enum gw_status status;
    } rows[] = {
        {"\x14\0\2\xff\xff", 4096, GW_BAD_FRAME}, /* G70 */
        {"\x14\0\2\xff\xff", 65535, GW_MORE},
        {"\x14\0\2\x10\x01", 4096, GW_BAD_FRAME},
        {"\x14\0\2\x10\x00", 4096, GW_MORE},
        {"\x1d\0\1\0\x41", 64, GW_BAD_FRAME},
        {"\x06\0\1\0\0", 0, GW_OK},
        {"\x06\0\1\0\1", 0, GW_BAD_FRAME},
        {"\0\0\1\xff\xff", 0, GW_OK}, /* a RESPONSE has no body, whatever its status */
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_frame frame;
        size_t used;
        const uint8_t *header = (const uint8_t *)rows[i].header;

        assert_int_equal(
            decode_exactly(header, GW_FRAME_HEADER_BYTES, rows[i].body_bytes_max, &frame, &used),
            rows[i].status);
        assert_int_equal(decode_exactly(header, GW_FRAME_HEADER_BYTES - 1, rows[i].body_bytes_max,
                                        &frame, &used),
                         GW_MORE);
    }
}

static void encoding_writes_what_was_said_and_nothing_when_it_does_not_fit(void **state)
{
    uint8_t out[SAID_BYTES + 1];
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < FRAMES; i++) {
        size_t bytes = gw_frame_bytes(&said[i]);

        for (size_t capacity = 0; capacity <= bytes + 1; capacity++) {
            memset(out, 0xAA, sizeof out);
            assert_int_equal(gw_frame_encode(out, capacity, &said[i]),
                             capacity < bytes ? 0 : bytes);
            if (capacity >= bytes)
                assert_memory_equal(out, bytes_said + at, bytes);
            for (size_t behind = capacity < bytes ? 0 : bytes; behind < sizeof out; behind++)
                assert_int_equal(out[behind], 0xAA);
        }
        at += bytes;
    }
}

static void the_longest_body_there_is_goes_both_ways(void **state)
{
    static uint8_t body[GW_FRAME_FIELD_BYTES_MAX], out[sizeof body + GW_FRAME_HEADER_BYTES];
    struct gw_frame frame = {.type = GW_FRAME_HARDWARE, .msg_id = 1}, again;
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 + i / 256);
    frame.body = gw_bytes_of(body, sizeof body);
    assert_int_equal(gw_frame_encode(out, sizeof out, &frame), sizeof out);
    assert_int_equal(gw_frame_decode(gw_bytes_of(out, sizeof out), sizeof body, &again, &used),
                     GW_OK);
    assert_int_equal(used, sizeof out);
    assert_true(frames_equal(&frame, &again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_decodes_to_what_was_said_at_every_cut),
        cmocka_unit_test(a_prefix_consumes_nothing_and_leaves_the_output_alone),
        cmocka_unit_test(an_altered_byte_changes_what_it_should),
        cmocka_unit_test(the_body_limit_is_judged_at_the_header),
        cmocka_unit_test(encoding_writes_what_was_said_and_nothing_when_it_does_not_fit),
        cmocka_unit_test(the_longest_body_there_is_goes_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
