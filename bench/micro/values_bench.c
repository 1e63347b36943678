/*
 * Last values: what they add to an update, and what a look costs.
 *
 * The log is a fresh one in a temporary folder; the batches are sealed but not written to it.
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/journal/batch.h>
#include <gw/journal/writer.h>
#include <gw/values/values.h>

#include "bench.h"

extern const struct gw_bench_case bench_values_cases[];

enum {
    DEVICES = 5000,
    PINS = 4,
    RECORDS = 1000, /* of a batch */
    BATCHES = 20,   /* every pin of every device once */
    BATCH_BYTES = 65536,
    MEMORY_BYTES = 64 << 20,
    BATCHES_WARM = 2 * (MEMORY_BYTES / 2 / 32) / RECORDS, /* every page of both tables was used */
};

struct values_bench {
    char path[32];
    struct gw_journal_writer *writer;
    struct gw_values *values;
    struct gw_values_reader *reader;
    uint8_t *batches;
    struct gw_bytes sealed[BATCHES];
};

static struct gw_record record_at(uint32_t n)
{
    /* Devices come in no order, as they do from the network. */
    uint32_t place = (uint32_t)((uint64_t)n * 7919 % ((uint64_t)DEVICES * PINS));

    return (struct gw_record){.device = place / PINS + 1,
                              .session = 1,
                              .time_us = UINT64_C(1700000000000000) + n,
                              .kind = GW_RECORD_PIN_WRITE,
                              .bank = 'v',
                              .pin = (uint8_t)(place % PINS),
                              .pin_count = 1,
                              .value = {(const uint8_t *)"1023", 4}};
}

static void seal_batches(struct values_bench *v)
{
    for (uint32_t i = 0; i < BATCHES; i++) {
        uint8_t *buffer = v->batches + (size_t)i * BATCH_BYTES;
        size_t filled = GW_BATCH_HEADER_BYTES;
        struct gw_batch batch = {.kind = GW_BATCH_RECORDS, .count = RECORDS, .sequence = i + 1};

        for (uint32_t r = 0; r < RECORDS; r++) {
            struct gw_record record = record_at(i * RECORDS + r);

            gw_record_encode(buffer + filled, &record);
            filled += gw_record_bytes(&record);
        }
        batch.body = gw_bytes_of(NULL, filled - GW_BATCH_HEADER_BYTES);
        v->sealed[i] = gw_bytes_of(buffer, gw_batch_seal(buffer, &batch, 1));
    }
}

static bool set_up(struct gw_bench *b, struct values_bench *v)
{
    struct gw_journal_options journal = {.segment_bytes = 1 << 20};
    struct gw_values_options options = {.memory_bytes = MEMORY_BYTES, .checkpoint_s = 30};
    struct gw_journal_recovery recovery;
    struct gw_values_recovery found;
    char why[512] = "no temporary folder", store[64];

    *v = (struct values_bench){.path = "/tmp/gw_values_XXXXXX"};
    v->batches = malloc((size_t)BATCHES * BATCH_BYTES);
    if (v->batches == NULL || mkdtemp(v->path) == NULL) {
        gw_bench_fail(b, why);
        return false;
    }
    (void)snprintf(store, sizeof store, "%s/values", v->path);
    journal.path = options.journal_path = v->path;
    options.path = store;
    if (gw_journal_writer_open(&journal, &v->writer, &recovery, why, sizeof why) != 0 ||
        gw_values_open(&options, &v->values, &found, why, sizeof why) != 0 ||
        gw_values_start(v->values) != 0 || gw_values_reader_open(v->values, &v->reader) != 0) {
        gw_bench_fail(b, why);
        return false;
    }
    seal_batches(v);
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void tear_down(struct values_bench *v)
{
    gw_values_reader_close(v->reader);
    if (v->values != NULL)
        gw_values_stop(v->values);
    gw_values_close(v->values);
    gw_journal_writer_close(v->writer, false);
    free(v->batches);
    (void)nftw(v->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void apply(struct values_bench *v, uint32_t batch)
{
    struct gw_journal_position position = {.segment = 1, .offset = 8192};

    gw_values_observe(v->values, &v->sealed[batch % BATCHES], 1, position);
}

/*
 * Question: what do last values add to an update of one of 5,000 devices, with the checkpoints that
 * fall due (their CPU is another thread's, and not counted here)?
 * Expected: 80 ns: a record decoded, three places of memory looked at that are not in a cache of
 * the first level, 32 bytes written.
 */
static void values_apply(struct gw_bench *b)
{
    struct values_bench v;
    uint32_t n = 0;

    if (set_up(b, &v)) {
        for (uint32_t i = 0; i < BATCHES_WARM; i++)
            apply(&v, i);
        while (gw_bench_next(b))
            if (n++ % RECORDS == 0)
                apply(&v, n / RECORDS);
    }
    tear_down(&v);
}

static void look(struct gw_bench *b, struct values_bench *v)
{
    uint64_t seed = 1;

    while (gw_bench_next(b)) {
        uint32_t place = (uint32_t)(gw_bench_random(&seed) % ((uint64_t)DEVICES * PINS));
        struct gw_value value;

        if (gw_values_get(v->reader, place / PINS + 1, 'v', (uint8_t)(place % PINS), &value) != 0 ||
            value.bytes.size != 4) {
            gw_bench_fail(b, "a value is missing");
            return;
        }
        gw_bench_keep(&value);
        gw_values_reader_pause(v->reader);
    }
}

/*
 * Question: what does a look at a value in memory cost a shard, with its turn begun and ended?
 * Expected: 150 ns: two atomic stores and a fence, a read transaction renewed and reset (20 ns),
 * two places of memory.
 */
static void values_get_memory(struct gw_bench *b)
{
    struct values_bench v;

    if (set_up(b, &v)) {
        for (uint32_t i = 0; i < BATCHES; i++)
            apply(&v, i);
        look(b, &v);
    }
    tear_down(&v);
}

/*
 * Question: and at one on disk, in the page cache?
 * Expected: 700 ns: LMDB's search through three levels.
 */
static void values_get_store(struct gw_bench *b)
{
    struct values_bench v;

    if (set_up(b, &v)) {
        struct gw_journal_position segment = {.segment = 2, .offset = 8192};
        struct gw_values_stat stat;

        for (uint32_t i = 0; i < BATCHES; i++)
            apply(&v, i);
        gw_values_observe(v.values, NULL, 0, segment); /* a new segment: a checkpoint is due */
        do
            gw_values_stat(v.values, &stat);
        while (stat.lag_records > 0);
        look(b, &v);
    }
    tear_down(&v);
}

const struct gw_bench_case bench_values_cases[] = {
    {"values_apply", values_apply},
    {"values_get_memory", values_get_memory},
    {"values_get_store", values_get_store},
    {0},
};
