/*
 * Framing: the first and the last thing that happens to the bytes of a device.
 */
#include <stdio.h>

#include <gw/wire/frame.h>

#include "bench.h"

enum { STREAM_BYTES = 16384, WRITE_BYTES_MAX = 32 };

extern const struct gw_bench_case bench_frame_cases[];

/* A stream of pin writes with values of one to eight digits; returns its bytes. */
static size_t fill_stream(uint8_t stream[STREAM_BYTES], size_t *frames)
{
    uint64_t seed = 1;
    size_t used = 0;

    for (*frames = 0; used + WRITE_BYTES_MAX <= STREAM_BYTES; ++*frames) {
        char body[WRITE_BYTES_MAX];
        uint64_t random = gw_bench_random(&seed);
        int bytes = snprintf(body, sizeof body, "vw%c%u%c%u", 0, (unsigned)(random & 127), 0,
                             (unsigned)((random >> 8 & 0xFFFFFFF) >> (random >> 40) % 28));
        struct gw_frame frame = {.type = GW_FRAME_HARDWARE,
                                 .msg_id = (uint16_t)(random >> 48 | 1),
                                 .body = gw_bytes_of(body, (size_t)bytes)};

        used += gw_frame_encode(stream + used, STREAM_BYTES - used, &frame);
    }
    return used;
}

/*
 * Question: what does framing cost beside opening a TLS record (450 ns and more)?
 * Expected: 5 ns a frame: one length check, three loads, no copy, all in the first-level cache.
 */
static void frame_decode(struct gw_bench *b)
{
    static uint8_t stream[STREAM_BYTES];
    size_t frames, bytes = fill_stream(stream, &frames);
    struct gw_bytes rest = gw_bytes_of(stream, bytes);

    while (gw_bench_next(b)) {
        struct gw_frame frame;
        size_t used;

        if (gw_frame_decode(rest, 4096, &frame, &used) != GW_OK) {
            gw_bench_fail(b, "the stream does not decode");
            return;
        }
        gw_bench_keep(&frame);
        rest = gw_bytes_after(rest, used);
        if (rest.size == 0)
            rest = gw_bytes_of(stream, bytes);
    }
}

/*
 * Question: what does an answer cost to write?
 * Expected: 3 ns for a RESPONSE, which is five stores.
 */
static void frame_encode_response(struct gw_bench *b)
{
    struct gw_frame frame = {.type = GW_FRAME_RESPONSE, .status = GW_RESPONSE_OK};
    uint8_t out[16];

    while (gw_bench_next(b)) {
        frame.msg_id++;
        if (gw_frame_encode(out, sizeof out, &frame) != GW_FRAME_HEADER_BYTES) {
            gw_bench_fail(b, "a response is a header");
            return;
        }
        gw_bench_keep(out);
    }
}

/*
 * Question: does the body's copy matter for a downlink write of 1,000 bytes?
 * Expected: 25 ns: memcpy moves some 50 bytes a nanosecond in the first-level cache.
 */
static void frame_encode_1000(struct gw_bench *b)
{
    static uint8_t body[1000], out[1024];
    struct gw_frame frame = {.type = GW_FRAME_HARDWARE, .body = gw_bytes_of(body, sizeof body)};

    b->bytes_each = sizeof body;
    while (gw_bench_next(b)) {
        frame.msg_id++;
        gw_bench_keep(body);
        if (gw_frame_encode(out, sizeof out, &frame) != sizeof body + GW_FRAME_HEADER_BYTES) {
            gw_bench_fail(b, "the frame fits");
            return;
        }
        gw_bench_keep(out);
    }
}

const struct gw_bench_case bench_frame_cases[] = {
    {"frame_decode", frame_decode},
    {"frame_encode_response", frame_encode_response},
    {"frame_encode_1000", frame_encode_1000},
    {0},
};
