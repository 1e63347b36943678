/*
 * Batches: what it costs to make an update durable, apart from the disk, and with it.
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/journal/batch.h>
#include <gw/uplink/uplink.h>

#include "bench.h"

enum { VALUE_BYTES = 8, BATCH_BYTES = GW_LANE_BATCH_BYTES };

extern const struct gw_bench_case bench_batch_cases[];

static struct gw_record record_of(uint32_t sequence)
{
    return (struct gw_record){.device = sequence % 1000,
                              .session = 7,
                              .time_us = sequence,
                              .sequence = sequence,
                              .kind = GW_RECORD_PIN_WRITE,
                              .bank = 'v',
                              .pin = 1,
                              .value = gw_bytes_of("12345678", VALUE_BYTES)};
}

/* Fills a batch as a lane does; returns the bytes of its body. */
static size_t fill_batch(uint8_t *buffer, uint32_t *count)
{
    size_t filled = GW_BATCH_HEADER_BYTES;
    struct gw_record record = record_of(1);

    for (*count = 0; filled + gw_record_bytes(&record) <= BATCH_BYTES; ++*count) {
        record = record_of(*count + 1);
        gw_record_encode(buffer + filled, &record);
        filled += gw_record_bytes(&record);
    }
    return filled - GW_BATCH_HEADER_BYTES;
}

/*
 * Question: what does sealing a full batch cost, for its 1,423 records together?
 * Expected: 5 us: XXH3 reads 64 KiB at some 13 bytes a nanosecond; nothing is copied.
 */
static void batch_seal(struct gw_bench *b)
{
    static uint8_t buffer[BATCH_BYTES];
    struct gw_batch batch = {.kind = GW_BATCH_RECORDS, .sequence = 1};

    batch.body = gw_bytes_of(NULL, fill_batch(buffer, &batch.count));
    b->bytes_each = GW_BATCH_HEADER_BYTES + batch.body.size;
    while (gw_bench_next(b)) {
        (void)gw_batch_seal(buffer, &batch, 42);
        gw_bench_keep(buffer);
    }
}

/*
 * Question: how fast does a reader check and walk a full batch?
 * Expected: 5 us for the hash and 4 us for 1,423 records at 3 ns: a gigabyte in 0.15 s. Seen: 25
 * us, 13 ns a record: a record's head is 13 fields, each loaded and stored. Still a gigabyte in 0.4
 * s.
 */
static void batch_decode_and_walk(struct gw_bench *b)
{
    static uint8_t buffer[BATCH_BYTES];
    struct gw_batch batch = {.kind = GW_BATCH_RECORDS, .sequence = 1}, out;
    size_t size;

    batch.body = gw_bytes_of(NULL, fill_batch(buffer, &batch.count));
    size = gw_batch_seal(buffer, &batch, 42);
    b->bytes_each = size;
    while (gw_bench_next(b)) {
        struct gw_batch_walk walk;
        struct gw_record record;
        uint32_t count = 0;
        size_t used;

        if (gw_batch_decode(gw_bytes_of(buffer, size), 42, &out, &used) != GW_OK) {
            gw_bench_fail(b, "the batch does not decode");
            return;
        }
        walk = gw_batch_records(&out);
        while (gw_batch_next(&walk, &record) == GW_OK)
            count++;
        if (count != batch.count) {
            gw_bench_fail(b, "records are missing");
            return;
        }
        gw_bench_keep(&record);
    }
}

/* An uplink on a fresh journal below TMPDIR, stepped by hand. */
struct journal {
    char path[256];
    struct gw_uplink *uplink;
};

static void nobody_waits(void *context, uint32_t lane)
{
    (void)context;
    (void)lane;
}

static int no_sync(void *context, int fd)
{
    (void)context;
    (void)fd;
    return 0;
}

static bool journal_open(struct journal *journal, const struct gw_journal_io *io)
{
    const char *top = getenv("TMPDIR");
    struct gw_journal_options options = {
        .path = journal->path, .bytes_max = UINT64_C(512) << 20, .io = io};
    struct gw_uplink_options uplink = {.lane_count = 1,
                                       .batches_per_lane = GW_LANE_BATCHES_MIN,
                                       .gather_us = 1000,
                                       .wake = nobody_waits};
    struct gw_journal_recovery recovery;
    char why[256];

    (void)snprintf(journal->path, sizeof(journal->path), "%.200s/gw_bench_XXXXXX",
                   top != NULL ? top : "/tmp");
    if (mkdtemp(journal->path) == NULL ||
        gw_journal_writer_open(&options, &uplink.writer, &recovery, why, sizeof(why)) != 0)
        return false;
    if (gw_uplink_create(&uplink, &journal->uplink) != 0) {
        gw_journal_writer_close(uplink.writer, false);
        return false;
    }
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void journal_close(struct journal *journal)
{
    gw_uplink_stop(journal->uplink);
    gw_uplink_destroy(journal->uplink);
    (void)nftw(journal->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Appends one record, with its share of sealing and writing when the lane is full. */
static void append(struct gw_uplink *uplink, struct gw_lane *lane, uint32_t sequence)
{
    struct gw_record record = record_of(sequence);

    if (!gw_lane_has_room(lane, gw_record_bytes(&record)))
        (void)gw_uplink_step(uplink);
    (void)gw_lane_append(lane, &record, sequence, (struct gw_instant){.ns = sequence});
}

/*
 * Question: what does one update cost a shard and the uplink together, the disk's time left out?
 * Expected: 25 ns: 10 for the copy of 46 bytes, 4 for its share of the hash, and 10 for the page
 * cache, which takes 46 bytes at some 5 bytes a nanosecond. Seen: 63 ns; each byte goes through the
 * page cache twice, first as a zero ahead.
 */
static void lane_append(struct gw_bench *b)
{
    struct gw_journal_io io = gw_journal_io_system;
    struct journal journal;
    uint32_t sequence = 0;

    io.fdatasync = no_sync;
    if (!journal_open(&journal, &io)) {
        gw_bench_fail(b, "no journal");
        return;
    }
    while (gw_bench_next(b))
        append(journal.uplink, gw_uplink_lane(journal.uplink, 0), ++sequence);
    journal_close(&journal);
}

/* Appends updates, and makes every `group` of them durable together. */
static void commit_groups(struct gw_bench *b, uint32_t group)
{
    struct journal journal;
    uint32_t sequence = 0;

    if (!journal_open(&journal, NULL)) {
        gw_bench_fail(b, "no journal");
        return;
    }
    while (gw_bench_next(b)) {
        struct gw_lane *lane = gw_uplink_lane(journal.uplink, 0);

        append(journal.uplink, lane, ++sequence);
        if (sequence % group != 0)
            continue;
        gw_lane_flush(lane, true, (struct gw_instant){.ns = sequence});
        if (gw_uplink_step(journal.uplink) != 1 ||
            gw_lane_durable(lane) != gw_lane_open_sequence(lane)) {
            gw_bench_fail(b, "the update is not durable");
            break;
        }
    }
    journal_close(&journal);
}

/*
 * Question: how long is a PING's answer held up that waits for one update of its session?
 * Expected: 250 us, all of it the disk's sync of 4 KiB; ours is under 3 us (a batch of 120 bytes
 * sealed, one pwrite, one mark).
 */
static void ping_barrier(struct gw_bench *b)
{
    commit_groups(b, 1);
}

/*
 * Question: and what is an update's share, when a hundred of them are made durable together?
 * Expected: 2.5 us of time and 300 ns of CPU: a hundredth of the above, and its 70 ns of the way
 * into the lane and to the page cache.
 */
static void group_commit_100(struct gw_bench *b)
{
    commit_groups(b, 100);
}

const struct gw_bench_case bench_batch_cases[] = {
    {"batch_seal_64k", batch_seal},         {"batch_decode_and_walk_64k", batch_decode_and_walk},
    {"lane_append", lane_append},           {"ping_barrier", ping_barrier},
    {"group_commit_100", group_commit_100}, {0},
};
