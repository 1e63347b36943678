/*
 * Records: the only copy that the gateway makes of an update.
 */
#include <gw/journal/record.h>

#include "bench.h"

extern const struct gw_bench_case bench_record_cases[];

static const struct gw_record pin_write = {.device = 7,
                                           .session = UINT64_C(0x100000007),
                                           .time_us = UINT64_C(1700000000000000),
                                           .sequence = 1,
                                           .msg_id = 7,
                                           .kind = GW_RECORD_PIN_WRITE,
                                           .bank = 'v',
                                           .pin = 1,
                                           .pin_count = 1,
                                           .value = {(const uint8_t *)"1023", 4}};

/*
 * Question: what does an update cost on its way into a batch?
 * Expected: 10 ns: 38 bytes of header in a dozen stores, and a copy of four bytes.
 */
static void record_encode(struct gw_bench *b)
{
    struct gw_record record = pin_write;
    uint8_t out[128];

    b->bytes_each = gw_record_bytes(&record);
    while (gw_bench_next(b)) {
        record.sequence++;
        gw_bench_keep(&record);
        gw_record_encode(out, &record);
        gw_bench_keep(out);
    }
}

/*
 * Question: and out of it again, in a reader?
 * Expected: 10 ns.
 */
static void record_decode(struct gw_bench *b)
{
    uint8_t in[128];
    size_t bytes = gw_record_bytes(&pin_write);

    gw_record_encode(in, &pin_write);
    b->bytes_each = bytes;
    while (gw_bench_next(b)) {
        struct gw_record record;
        size_t used;

        gw_bench_keep(in);
        if (gw_record_decode(gw_bytes_of(in, bytes), &record, &used) != GW_OK) {
            gw_bench_fail(b, "the record does not decode");
            return;
        }
        gw_bench_keep(&record);
    }
}

const struct gw_bench_case bench_record_cases[] = {
    {"record_encode", record_encode},
    {"record_decode", record_decode},
    {0},
};
