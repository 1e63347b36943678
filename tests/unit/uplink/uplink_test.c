/*
 * Lanes and the uplink: by hand, step by step, on a disk that can be told to fail; and with the
 * real thread under load (run under ThreadSanitizer too).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gw/journal/reader.h>
#include <gw/uplink/uplink.h>

enum { LANES = 2, BUFFERS = GW_LANE_BATCHES_MIN, GATHER_US = 2000 };

/* An uplink on a directory of its own. */
struct bench {
    char path[64];
    struct gw_journal_io io;
    struct gw_uplink *uplink;
    _Atomic int sync_error;
    _Atomic uint64_t durable_at_sync; /* what lane 0 said when a sync began */
    _Atomic uint32_t wakes[LANES];
    int events[LANES];
    struct observed {
        uint32_t calls, batches, records;
        uint64_t durable; /* what lane 0 said at the last call */
        struct gw_journal_position position;
    } observed; /* the uplink thread's */
};

static int bench_fdatasync(void *context, int fd)
{
    struct bench *b = context;
    int error = atomic_load(&b->sync_error);

    if (b->uplink != NULL)
        atomic_store(&b->durable_at_sync, gw_lane_durable(gw_uplink_lane(b->uplink, 0)));
    return error != 0 ? error : gw_journal_io_system.fdatasync(NULL, fd);
}

static void bench_wake(void *context, uint32_t lane)
{
    struct bench *b = context;
    uint64_t one = 1;

    atomic_fetch_add(&b->wakes[lane], 1);
    assert_int_equal(write(b->events[lane], &one, sizeof(one)), sizeof(one));
}

static void bench_observe(void *context, const struct gw_bytes *batches, uint32_t count,
                          struct gw_journal_position position)
{
    struct bench *b = context;

    b->observed.calls++;
    b->observed.batches += count;
    b->observed.durable = gw_lane_durable(gw_uplink_lane(b->uplink, 0));
    b->observed.position = position;
    for (uint32_t i = 0; i < count; i++) {
        struct gw_batch_walk walk = gw_batch_records_sealed(batches[i]);
        struct gw_record record;

        while (gw_batch_next(&walk, &record) == GW_OK)
            b->observed.records++;
    }
}

static void bench_init(struct bench *b)
{
    struct gw_journal_options journal = {.segment_bytes = 1 << 20, .zero_ahead_bytes = 1 << 18};
    struct gw_uplink_options options = {.lane_count = LANES,
                                        .batches_per_lane = BUFFERS,
                                        .gather_us = GATHER_US,
                                        .wake = bench_wake,
                                        .wake_context = b,
                                        .observe = bench_observe,
                                        .observe_context = b};
    struct gw_journal_recovery recovery;
    char why[256];

    memset(b, 0, sizeof(*b));
    (void)snprintf(b->path, sizeof(b->path), "/tmp/gw_uplink_XXXXXX");
    assert_non_null(mkdtemp(b->path));
    b->io = gw_journal_io_system;
    b->io.context = b;
    b->io.fdatasync = bench_fdatasync;
    for (uint32_t i = 0; i < LANES; i++)
        b->events[i] = eventfd(0, EFD_CLOEXEC);
    journal.path = b->path;
    journal.io = &b->io;
    assert_int_equal(gw_journal_writer_open(&journal, &options.writer, &recovery, why, sizeof(why)),
                     0);
    assert_int_equal(gw_uplink_create(&options, &b->uplink), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void bench_fini(struct bench *b)
{
    gw_uplink_destroy(b->uplink);
    for (uint32_t i = 0; i < LANES; i++)
        (void)close(b->events[i]);
    assert_int_equal(nftw(b->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static const struct gw_instant early = {.ns = GATHER_US * GW_NS_PER_US};

static uint64_t append_at(struct gw_lane *lane, uint32_t sequence, size_t bytes,
                          struct gw_instant now)
{
    static const uint8_t value[GW_LANE_RECORD_BYTES_MAX];
    struct gw_record record = {.device = 1,
                               .sequence = sequence,
                               .kind = GW_RECORD_PIN_WRITE,
                               .bank = 'v',
                               .value = gw_bytes_of(value, bytes)};

    return gw_lane_append(lane, &record, 1000, now);
}

static uint64_t append(struct gw_lane *lane, uint32_t sequence, size_t bytes)
{
    return append_at(lane, sequence, bytes, early);
}

static void seal(struct gw_lane *lane)
{
    gw_lane_seal(lane);
}

/* Reads the journal back: records per lane, and that each lane's come in order. */
static void read_back(const struct bench *b, uint64_t records[LANES])
{
    struct gw_journal_reader_options options = {.path = b->path};
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    char why[256];

    memset(records, 0, LANES * sizeof(records[0]));
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof(why)), 0);
    do {
        assert_int_equal(gw_journal_reader_next(reader, &item), 0);
        assert_int_not_equal(item.kind, GW_JOURNAL_DAMAGE);
        if (item.kind == GW_JOURNAL_RECORD) {
            records[item.batch.lane]++;
            assert_int_equal(item.record.sequence, records[item.batch.lane]);
        }
    } while (item.kind != GW_JOURNAL_END);
    gw_journal_reader_close(reader);
}

static void durable_is_published_only_after_the_sync(void **state)
{
    struct bench b;
    struct gw_lane *lane;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    assert_int_equal(append(lane, 1, 10), 1);
    assert_int_equal(gw_lane_durable(lane), 0);
    seal(lane);
    assert_int_equal(gw_lane_durable(lane), 0);
    b.durable_at_sync = 99;
    assert_int_equal(gw_uplink_step(b.uplink), 1);
    assert_int_equal(b.durable_at_sync, 0);
    assert_int_equal(gw_lane_durable(lane), 1);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

/* One batch is open, others are on their way, and some have come home. */
static void trimming_leaves_alone_what_is_not_at_home(void **state)
{
    struct bench b;
    struct gw_lane *lane;
    uint64_t records[LANES];
    uint32_t sequence = 0;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < BUFFERS - 1; i++) {
            (void)append(lane, ++sequence, 1000);
            seal(lane);
            if (i == BUFFERS / 2)
                (void)gw_uplink_step(b.uplink);
        }
        (void)append(lane, ++sequence, 1000);
        gw_lane_trim(lane);
        seal(lane);
        while (gw_lane_durable(lane) < sequence)
            (void)gw_uplink_step(b.uplink);
    }
    gw_uplink_stop(b.uplink);
    read_back(&b, records);
    assert_int_equal(records[0], sequence);
    bench_fini(&b);
}

static enum gw_pressure pressure(struct bench *b)
{
    struct gw_uplink_stat stat;

    gw_uplink_stat(b->uplink, &stat);
    assert_int_equal(stat.stalled, stat.pressure == GW_PRESSURE_STOPPED);
    return stat.pressure;
}

/* A level is that of the worst lane; nothing is worse than a disk that takes nothing. */
static void pressure_rises_with_the_batches_that_are_under_way(void **state)
{
    struct bench b;
    struct gw_lane *lane;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 1);
    for (uint32_t out = 0; out <= BUFFERS; out++) {
        assert_int_equal(pressure(&b), out == BUFFERS      ? GW_PRESSURE_FULL
                                       : out > BUFFERS / 2 ? GW_PRESSURE_SLOW
                                                           : GW_PRESSURE_NONE);
        if (out < BUFFERS) {
            (void)append(lane, out + 1, 10);
            gw_lane_seal(lane);
        }
    }
    b.sync_error = -EIO;
    assert_int_equal(gw_uplink_step(b.uplink), 0);
    assert_int_equal(pressure(&b), GW_PRESSURE_STOPPED);
    b.sync_error = 0;
    assert_int_equal(gw_uplink_step(b.uplink), BUFFERS);
    assert_int_equal(pressure(&b), GW_PRESSURE_NONE);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

static void the_observer_is_told_after_the_disk_and_before_the_lane(void **state)
{
    struct gw_journal_position first;
    struct gw_lane *lane;
    struct bench b;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    (void)append(lane, 1, 10);
    (void)append(lane, 2, 10);
    seal(lane);
    assert_int_equal(gw_uplink_step(b.uplink), 1);
    assert_int_equal(b.observed.calls, 1);
    assert_int_equal(b.observed.durable, 0);
    assert_int_equal(b.observed.records, 2);
    first = b.observed.position;
    /* What could not be written is no news, but the observer may be what is in the way. */
    b.sync_error = -EIO;
    (void)append(lane, 3, 10);
    seal(lane);
    assert_int_equal(gw_uplink_step(b.uplink), 0);
    assert_int_equal(b.observed.calls, 2);
    assert_int_equal(b.observed.records, 2);
    b.sync_error = 0;
    assert_int_equal(gw_uplink_step(b.uplink), 1);
    assert_int_equal(b.observed.durable, 1);
    assert_int_equal(b.observed.batches, 2);
    assert_int_equal(b.observed.records, 3);
    assert_true(gw_journal_position_is_before(first, b.observed.position));
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

static void failed_syncs_publish_nothing_and_keep_the_order(void **state)
{
    struct bench b;
    struct gw_lane *lane;
    struct gw_uplink_stat stat;
    uint64_t records[LANES];

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    b.sync_error = -EIO;
    for (uint32_t i = 1; i <= 3; i++) {
        (void)append(lane, i, 10);
        seal(lane);
        assert_int_equal(gw_uplink_step(b.uplink), 0);
        assert_int_equal(gw_lane_durable(lane), 0);
    }
    gw_uplink_stat(b.uplink, &stat);
    assert_true(stat.stalled);
    assert_true(stat.failures > 0);
    b.sync_error = 0;
    assert_int_equal(gw_uplink_step(b.uplink), 3);
    assert_int_equal(gw_lane_durable(lane), 3);
    gw_uplink_stat(b.uplink, &stat);
    assert_false(stat.stalled);
    gw_uplink_stop(b.uplink);
    read_back(&b, records);
    assert_int_equal(records[0], 3);
    bench_fini(&b);
}

static void lane_without_buffers_has_no_room_and_gets_it_back(void **state)
{
    struct bench b;
    struct gw_lane *lane;
    struct gw_lane_stat stat;
    uint32_t appended = 0;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 1);
    assert_false(gw_lane_wake_at(lane, 0)); /* all are at home */
    while (gw_lane_has_room(lane, 60038)) {
        (void)append(lane, ++appended, 60000);
        assert_true(appended <= BUFFERS);
    }
    assert_int_equal(appended, BUFFERS);
    assert_false(gw_lane_has_room(lane, 1));
    assert_true(gw_lane_wake_at(lane, 0));
    seal(lane);
    assert_int_equal(b.wakes[1], 0);
    assert_int_equal(gw_uplink_step(b.uplink), BUFFERS);
    assert_int_equal(b.wakes[1], 1);
    assert_int_equal(b.wakes[0], 0);
    assert_true(gw_lane_has_room(lane, GW_LANE_ROOM_BYTES_MAX));
    gw_lane_stat(lane, &stat);
    assert_int_equal(stat.buffers_free, BUFFERS);
    assert_int_equal(stat.batches, BUFFERS);
    assert_int_equal(stat.records, BUFFERS);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

/* A disk that hangs costs the lane half of its buffers for what came in dribs; the rest is filled.
 */
static void stalled_disk_is_met_with_full_batches(void **state)
{
    struct bench b;
    struct gw_lane *lane;
    struct gw_lane_stat stat;
    struct gw_instant now = early;
    uint32_t appended = 0;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    for (; appended < 1000; appended++) { /* 100 bytes every 3 ms, and somebody waits for each */
        assert_true(gw_lane_has_room(lane, 200));
        (void)append(lane, appended + 1, 100);
        now = gw_instant_after(now, 3 * GW_NS_PER_MS);
        gw_lane_flush(lane, true, now);
        assert_true(gw_lane_flush_due(lane, now) > 0); /* or the shard would spin */
    }
    gw_lane_stat(lane, &stat);
    assert_in_range(stat.buffers_free, 1, BUFFERS / 2);
    assert_true(gw_uplink_step(b.uplink) > 0);
    gw_lane_flush(lane, false, now); /* what waited is not forgotten */
    assert_int_equal(gw_uplink_step(b.uplink), 1);
    gw_lane_stat(lane, &stat);
    assert_int_equal(stat.buffers_free, BUFFERS);
    assert_int_equal(stat.records, appended);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

/* has_room's promise: whatever the sizes, what was promised fits (append asserts that it does). */
static void promised_room_is_there_however_records_fall(void **state)
{
    struct bench b;
    struct gw_lane *lane;
    uint32_t sequence = 0;
    uint64_t seed = 42;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    for (int round = 0; round < 300; round++) {
        size_t promised = 40000 + seed % (GW_LANE_ROOM_BYTES_MAX - 40000), used = 0;

        if (!gw_lane_has_room(lane, promised)) {
            seal(lane);
            (void)gw_uplink_step(b.uplink);
            assert_true(gw_lane_has_room(lane, promised));
        }
        for (;;) {
            size_t bytes;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes = round % 3 == 0 ? 33000 : (size_t)(seed >> 40) % 64000;
            if (used + bytes + GW_RECORD_HEADER_BYTES > promised)
                break;
            (void)append(lane, ++sequence, bytes);
            used += bytes + GW_RECORD_HEADER_BYTES;
        }
    }
    assert_true(sequence > 300);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

static void open_batch_is_sealed_when_it_is_due(void **state)
{
    const uint64_t after = GATHER_US * GW_NS_PER_US;
    struct bench b;
    struct gw_lane *lane;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    assert_true(gw_lane_flush_due(lane, early) == UINT64_MAX);
    (void)append(lane, 1, 10);
    gw_lane_flush(lane, true, early); /* somebody waits */
    assert_true(gw_lane_flush_due(lane, early) == UINT64_MAX);
    (void)append(lane, 2, 10); /* nobody does */
    assert_true(gw_lane_flush_due(lane, early) == after);
    gw_lane_flush(lane, false, gw_instant_after(early, after - 1));
    assert_int_equal(gw_lane_flush_due(lane, gw_instant_after(early, after - 1)), 1);
    gw_lane_flush(lane, false, gw_instant_after(early, after));
    assert_true(gw_lane_flush_due(lane, early) == UINT64_MAX);
    assert_int_equal(gw_uplink_step(b.uplink), 2);
    assert_int_equal(gw_lane_durable(lane), 2);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

/* Batches that were opened at different times are due together. */
static void lanes_seal_at_the_same_time(void **state)
{
    const uint64_t gather = GATHER_US * GW_NS_PER_US;
    struct gw_instant due = {.ns = 7 * gather};
    struct bench b;

    (void)state;
    bench_init(&b);
    for (uint32_t i = 0; i < LANES; i++) {
        struct gw_lane *lane = gw_uplink_lane(b.uplink, i);
        struct gw_instant now = {.ns = due.ns - gather + i * gather / LANES};

        (void)append_at(lane, i + 1, 10, now);
        assert_int_equal(gw_lane_flush_due(lane, now), due.ns - now.ns);
    }
    for (uint32_t i = 0; i < LANES; i++)
        gw_lane_flush(gw_uplink_lane(b.uplink, i), false, due);
    assert_int_equal(gw_uplink_step(b.uplink), LANES);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

static void wake_comes_once_for_the_lowest_sequence(void **state)
{
    struct bench b;
    struct gw_lane *lane;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    (void)append(lane, 1, 10);
    seal(lane);
    (void)append(lane, 2, 10);
    assert_true(gw_lane_wake_at(lane, 2));
    assert_true(gw_lane_wake_at(lane, 1));
    assert_int_equal(gw_uplink_step(b.uplink), 1);
    assert_int_equal(b.wakes[0], 1);
    assert_false(gw_lane_wake_at(lane, 1)); /* durable already */
    assert_true(gw_lane_wake_at(lane, 2));
    seal(lane);
    assert_int_equal(gw_uplink_step(b.uplink), 1);
    assert_int_equal(b.wakes[0], 2);
    gw_uplink_stop(b.uplink);
    bench_fini(&b);
}

/* Without a stop the journal looks as after a crash: what was durable is there, nothing else is. */
static void uplink_destroyed_without_a_stop_is_a_crash(void **state)
{
    struct bench b;
    uint64_t records[LANES];
    struct gw_lane *lane;

    (void)state;
    bench_init(&b);
    lane = gw_uplink_lane(b.uplink, 0);
    (void)append(lane, 1, 10);
    seal(lane);
    (void)gw_uplink_step(b.uplink);
    (void)append(lane, 2, 10);
    seal(lane);
    gw_uplink_destroy(b.uplink);
    b.uplink = NULL;
    read_back(&b, records);
    assert_int_equal(records[0], 1);
    bench_fini(&b);
}

struct shard {
    struct bench *bench;
    uint32_t lane;
    uint32_t records;
    bool barriers; /* wait for each record, as a device that pings after every update */
};

/* Until the uplink wakes it; meanwhile it flushes when that is due, as a shard does. */
static void shard_sleep(struct shard *s, struct gw_lane *lane)
{
    struct pollfd event = {.fd = s->bench->events[s->lane], .events = POLLIN};
    struct gw_instant late = gw_instant_after(gw_clock_now(), 30 * GW_NS_PER_S);
    uint64_t count;

    for (;;) {
        uint64_t ns = gw_min_u64(gw_lane_flush_due(lane, gw_clock_now()), GW_NS_PER_S);

        if (poll(&event, 1, (int)(ns / GW_NS_PER_MS) + 1) == 1)
            break;
        assert_true(gw_clock_now().ns < late.ns); /* a lost wake-up shows here */
        gw_lane_flush(lane, false, gw_clock_now());
    }
    assert_int_equal(read(event.fd, &count, sizeof(count)), sizeof(count));
}

static void *shard_run(void *argument)
{
    static const uint8_t value[5000];
    struct shard *s = argument;
    struct gw_lane *lane = gw_uplink_lane(s->bench->uplink, s->lane);

    for (uint32_t i = 1; i <= s->records; i++) {
        struct gw_record record = {.sequence = i,
                                   .kind = GW_RECORD_PIN_WRITE,
                                   .value = gw_bytes_of(value, s->barriers ? 20 : i % 5000)};
        bool wait = s->barriers || i == s->records;
        uint64_t sequence;

        while (!gw_lane_has_room(lane, gw_record_bytes(&record))) {
            gw_lane_flush(lane, true, gw_clock_now());
            if (gw_lane_wake_at(lane, 0))
                shard_sleep(s, lane);
        }
        sequence = gw_lane_append(lane, &record, 1000, gw_clock_now());
        gw_lane_flush(lane, wait, gw_clock_now());
        if (wait && gw_lane_wake_at(lane, sequence)) {
            /* A wake that was asked for before may still come; one for this sequence must. */
            do
                shard_sleep(s, lane);
            while (gw_lane_durable(lane) < sequence);
        }
    }
    return NULL;
}

static void lanes_under_load_lose_no_wake_and_no_record(void **state)
{
    struct bench b;
    struct shard shards[LANES];
    pthread_t threads[LANES];
    uint64_t records[LANES];

    (void)state;
    bench_init(&b);
    assert_int_equal(gw_uplink_start(b.uplink), 0);
    for (uint32_t i = 0; i < LANES; i++) {
        shards[i] = (struct shard){
            .bench = &b, .lane = i, .records = i == 0 ? 1000 : 10000, .barriers = i == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, shard_run, &shards[i]), 0);
    }
    for (uint32_t i = 0; i < LANES; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    gw_uplink_stop(b.uplink);
    read_back(&b, records);
    for (uint32_t i = 0; i < LANES; i++)
        assert_int_equal(records[i], shards[i].records);
    bench_fini(&b);
}

static void *break_and_mend(void *argument)
{
    struct bench *b = argument;

    for (int i = 0; i < 5; i++) {
        (void)usleep(20000);
        atomic_store(&b->sync_error, -EIO);
        (void)usleep(20000);
        atomic_store(&b->sync_error, 0);
        (void)usleep(150000);
    }
    return NULL;
}

static void disk_that_fails_now_and_then_loses_nothing(void **state)
{
    struct bench b;
    struct shard shard = {.bench = &b, .lane = 0, .records = 2000, .barriers = true};
    pthread_t threads[2];
    uint64_t records[LANES];
    struct gw_uplink_stat stat;

    (void)state;
    bench_init(&b);
    assert_int_equal(gw_uplink_start(b.uplink), 0);
    assert_int_equal(pthread_create(&threads[0], NULL, break_and_mend, &b), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, shard_run, &shard), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    gw_uplink_stat(b.uplink, &stat);
    assert_true(stat.failures > 0);
    gw_uplink_stop(b.uplink);
    read_back(&b, records);
    assert_int_equal(records[0], shard.records);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durable_is_published_only_after_the_sync),
        cmocka_unit_test(trimming_leaves_alone_what_is_not_at_home),
        cmocka_unit_test(pressure_rises_with_the_batches_that_are_under_way),
        cmocka_unit_test(the_observer_is_told_after_the_disk_and_before_the_lane),
        cmocka_unit_test(failed_syncs_publish_nothing_and_keep_the_order),
        cmocka_unit_test(lane_without_buffers_has_no_room_and_gets_it_back),
        cmocka_unit_test(stalled_disk_is_met_with_full_batches),
        cmocka_unit_test(promised_room_is_there_however_records_fall),
        cmocka_unit_test(open_batch_is_sealed_when_it_is_due),
        cmocka_unit_test(lanes_seal_at_the_same_time),
        cmocka_unit_test(wake_comes_once_for_the_lowest_sequence),
        cmocka_unit_test(uplink_destroyed_without_a_stop_is_a_crash),
        cmocka_unit_test(lanes_under_load_lose_no_wake_and_no_record),
        cmocka_unit_test(disk_that_fails_now_and_then_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
