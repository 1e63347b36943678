/*
 * The uplink thread. Each turn takes everything that the shards have sealed, hands it to the
 * journal's writer, and only then says so:
 *
 *   write and sync returned  ->  buffers go home, lane->durable rises  ->  waiting shards are woken
 *
 * I1  A lane's durable sequence is stored only from what gw_journal_writer_write called durable.
 * I2  Batches of a lane are written in the order of their sequence: `pending` keeps the order of
 * the sealed queues, and what failed stays at its front.
 * I3  Whoever sees a sequence durable sees what the observer made of it: it was told before.
 *
 * When the journal cannot be written the batches stay where they are and the writer is asked again
 * every RETRY_MS. Nothing grows: the lanes run out of buffers, and the shards stop reading.
 */
#include <gw/uplink/uplink.h>

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/clock.h>
#include <gw/base/log.h>

#include "uplink_internal.h"

enum {
    GROUP_MAX = 128,     /* batches per write and sync: 8 MiB, so that the first need not wait */
    RETRY_MS = 100,      /* after a failed write                                               */
    STOP_TRIES = 50,     /* RETRY_MS each, before a stop gives up on a disk that fails         */
    SLEEP_MS_MAX = 1000, /* then the journal's age limits are looked at                        */
};

/* Waits while *word is `value`, at most `ms`. */
static void futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t ms)
{
    struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void gw_uplink_poke(struct gw_uplink *uplink)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&uplink->asleep, memory_order_relaxed) != 0 &&
        atomic_exchange(&uplink->asleep, 0) != 0)
        futex_wake(&uplink->asleep);
}

/* Everything that has arrived, lane after lane. */
static void collect(struct gw_uplink *uplink)
{
    for (uint32_t i = 0; i < uplink->options.lane_count; i++) {
        struct gw_pending item = {.lane = &uplink->lanes[i]};

        while (gw_spsc_pop(&item.lane->sealed, &item.sealed))
            uplink->pending[uplink->pending_count++] = item;
    }
    gw_assert(uplink->pending_count <=
              uplink->options.lane_count * uplink->options.batches_per_lane);
}

/* The first `count` pending batches are on disk. */
static void publish(struct gw_uplink *uplink, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct gw_pending *item = &uplink->pending[i];
        struct gw_lane *lane = item->lane;
        bool pushed;

        gw_assert(atomic_load_explicit(&lane->durable, memory_order_relaxed) + 1 ==
                  item->sealed.sequence); /* I2 */
        atomic_store_explicit(&lane->durable, item->sealed.sequence, memory_order_release);
        pushed = gw_spsc_push(&lane->home, &item->sealed.buffer);
        gw_assert(pushed);
    }
    uplink->pending_count -= count;
    memmove(uplink->pending, uplink->pending + count,
            uplink->pending_count * sizeof(*uplink->pending));
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < uplink->options.lane_count; i++) {
        if (gw_lane_wake_is_due(&uplink->lanes[i]))
            uplink->options.wake(uplink->options.wake_context, i);
    }
}

/* Around whatever may hang with the disk, so that others can see that it does. */
static struct gw_instant disk_begin(struct gw_uplink *uplink)
{
    struct gw_instant now = gw_clock_now();

    atomic_store_explicit(&uplink->disk_since_ns, now.ns, memory_order_relaxed);
    return now;
}

static void disk_end(struct gw_uplink *uplink)
{
    atomic_store_explicit(&uplink->disk_since_ns, 0, memory_order_relaxed);
}

static void note_time(struct gw_uplink *uplink, struct gw_instant began)
{
    uint64_t us = gw_ns_between(began, gw_clock_now()) / GW_NS_PER_US;
    uint64_t max = atomic_load_explicit(&uplink->sync_us_max, memory_order_relaxed);

    while (us > max && !atomic_compare_exchange_weak(&uplink->sync_us_max, &max, us))
        ;
}

/* One line when what is kept for a reader has come near the limit, long before it stops us. */
static void note_readers(struct gw_uplink *uplink, const struct gw_journal_writer_stat *stat)
{
    bool behind = stat->bytes_max != 0 && stat->held_bytes > stat->bytes_max / 4 * 3;

    if (behind && !uplink->behind)
        gw_log(GW_LOG_WARN, "journal_reader_behind", GW_TEXT("cursor", stat->reader),
               GW_U64("held_bytes", stat->held_bytes), GW_U64("bytes_max", stat->bytes_max),
               GW_TEXT("hint", "at bytes_max devices are no longer read"));
    uplink->behind = behind;
}

static void note_counts(struct gw_uplink *uplink)
{
    struct gw_journal_writer_stat stat;

    gw_journal_writer_stat(uplink->options.writer, &stat);
    gw_counter_set(&uplink->writes, stat.writes);
    gw_counter_set(&uplink->syncs, stat.syncs);
    gw_counter_set(&uplink->bytes, stat.bytes);
    gw_counter_set(&uplink->batches, stat.batches);
    if (stat.failures > gw_counter_read(&uplink->failures))
        gw_log(GW_LOG_ERROR, "journal_segment_poisoned", GW_U64("failures", stat.failures),
               GW_TEXT("error", strerror(-stat.last_error)));
    gw_counter_set(&uplink->failures, stat.failures);
    gw_counter_set(&uplink->journal_bytes, stat.journal_bytes);
    gw_counter_set(&uplink->held_bytes, stat.held_bytes);
    note_readers(uplink, &stat);
}

/* One line when the journal stops taking batches, one when it takes them again. */
static void note_result(struct gw_uplink *uplink, int err)
{
    if (err != 0 && !uplink->failing) {
        struct gw_journal_writer_stat stat;

        gw_journal_writer_stat(uplink->options.writer, &stat);
        gw_log(GW_LOG_ERROR, "journal_stalled",
               GW_TEXT("error", err == -EDQUOT
                                    ? "bytes_max is reached and a cursor needs the oldest segment"
                                    : strerror(-err)),
               GW_TEXT("cursor", err == -EDQUOT ? stat.reader : ""));
    }
    if (err == 0 && uplink->failing)
        gw_log(GW_LOG_INFO, "journal_goes_on");
    uplink->failing = err != 0;
    atomic_store_explicit(&uplink->stalled, err != 0, memory_order_relaxed);
}

/* The first `count` of the batches just became durable. */
static void tell_observer(struct gw_uplink *uplink, const struct gw_bytes *batches, uint32_t count)
{
    struct gw_journal_writer_stat stat;

    if (uplink->options.observe == NULL)
        return;
    gw_journal_writer_stat(uplink->options.writer, &stat);
    uplink->options.observe(uplink->options.observe_context, batches, count, stat.durable);
}

/* Writes the front of what is pending. Returns how many batches became durable. */
static uint32_t write_group(struct gw_uplink *uplink, int *err)
{
    struct gw_bytes batches[GROUP_MAX];
    uint32_t count = uplink->pending_count < GROUP_MAX ? uplink->pending_count : GROUP_MAX;
    uint32_t durable;
    struct gw_instant began;

    for (uint32_t i = 0; i < count; i++) {
        const struct gw_pending *item = &uplink->pending[i];

        batches[i] =
            gw_bytes_of(item->lane->buffers + (size_t)item->sealed.buffer * GW_LANE_BATCH_BYTES,
                        item->sealed.bytes);
    }
    began = disk_begin(uplink);
    *err = gw_journal_writer_write(uplink->options.writer, batches, count, &durable);
    disk_end(uplink);
    note_time(uplink, began);
    note_counts(uplink);
    note_result(uplink, *err);
    tell_observer(uplink, batches, durable); /* I3 */
    publish(uplink, durable);
    return durable;
}

uint32_t gw_uplink_step(struct gw_uplink *uplink)
{
    uint32_t durable = 0;
    int err = 0;

    collect(uplink);
    while (uplink->pending_count > 0 && err == 0)
        durable += write_group(uplink, &err);
    atomic_store(&uplink->asleep, uplink->pending_count == 0);
    return durable;
}

static bool any_sealed(const struct gw_uplink *uplink)
{
    for (uint32_t i = 0; i < uplink->options.lane_count; i++) {
        if (gw_spsc_count(&uplink->lanes[i].sealed) > 0)
            return true;
    }
    return false;
}

static void sleep_until_poked(struct gw_uplink *uplink)
{
    atomic_store_explicit(&uplink->asleep, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (!any_sealed(uplink) && atomic_load(&uplink->stopping) == 0)
        futex_wait(&uplink->asleep, 1, SLEEP_MS_MAX);
    atomic_store_explicit(&uplink->asleep, 0, memory_order_relaxed);
}

static void pause_ms(uint32_t ms)
{
    struct timespec left = {.tv_nsec = (long)ms * 1000000};

    (void)nanosleep(&left, NULL);
}

/* About once a second: what only time asks for. */
static void tend(struct gw_uplink *uplink)
{
    gw_journal_writer_retain(uplink->options.writer);
    note_counts(uplink);
    tell_observer(uplink, NULL, 0);
}

void gw_uplink_rest(struct gw_uplink *uplink)
{
    tend(uplink);
    (void)gw_journal_writer_prepare(uplink->options.writer);
}

static void idle(struct gw_uplink *uplink, struct gw_instant *retained)
{
    struct gw_instant now = disk_begin(uplink);
    bool more;

    if (gw_ns_between(*retained, now) >= SLEEP_MS_MAX * GW_NS_PER_MS) {
        tend(uplink);
        *retained = now;
    }
    /* A piece of zeros at a time: what arrives meanwhile waits for one piece at most. */
    more = gw_journal_writer_prepare(uplink->options.writer);
    disk_end(uplink);
    if (!more)
        sleep_until_poked(uplink);
}

static void *run(void *argument)
{
    struct gw_uplink *uplink = argument;
    struct gw_instant retained = gw_clock_now();
    uint32_t failed_stops = 0;

    (void)pthread_setname_np(pthread_self(), "uplink");
    for (;;) {
        bool stopping = atomic_load(&uplink->stopping) != 0;
        int err = 0;

        collect(uplink);
        if (uplink->pending_count > 0) {
            (void)write_group(uplink, &err);
            if (err != 0) {
                if (stopping && ++failed_stops == STOP_TRIES)
                    break;
                pause_ms(RETRY_MS);
            }
        } else if (stopping) {
            break;
        } else {
            idle(uplink, &retained);
        }
    }
    return NULL;
}

int gw_uplink_create(const struct gw_uplink_options *options, struct gw_uplink **out)
{
    struct gw_uplink *uplink = aligned_alloc(GW_CACHE_LINE, sizeof(*uplink));
    int err = 0;

    gw_assert(options->lane_count > 0 && options->lane_count <= GW_JOURNAL_LANES_MAX);
    gw_assert(options->batches_per_lane >= GW_LANE_BATCHES_MIN && options->gather_us > 0);
    *out = NULL;
    if (uplink == NULL)
        return -ENOMEM;
    memset(uplink, 0, sizeof(*uplink));
    uplink->options = *options;
    atomic_init(&uplink->asleep, 1);
    uplink->pending =
        calloc((size_t)options->lane_count * options->batches_per_lane, sizeof(*uplink->pending));
    uplink->lanes = aligned_alloc(GW_CACHE_LINE, options->lane_count * sizeof(*uplink->lanes));
    if (uplink->lanes != NULL)
        memset(uplink->lanes, 0, options->lane_count * sizeof(*uplink->lanes));
    if (uplink->pending == NULL || uplink->lanes == NULL)
        err = -ENOMEM;
    for (uint32_t i = 0; i < options->lane_count && err == 0; i++)
        err = gw_lane_init(&uplink->lanes[i], uplink, i, options->batches_per_lane);
    if (err != 0) {
        uplink->options.writer = NULL; /* still the caller's */
        gw_uplink_destroy(uplink);
        return err;
    }
    *out = uplink;
    return 0;
}

struct gw_lane *gw_uplink_lane(struct gw_uplink *uplink, uint32_t lane)
{
    gw_assert(lane < uplink->options.lane_count);
    return &uplink->lanes[lane];
}

int gw_uplink_start(struct gw_uplink *uplink)
{
    sigset_t all, before;
    int err;

    gw_assert(!uplink->started);
    /* Signals are for the threads that expect them. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&uplink->thread, NULL, run, uplink);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        return -err;
    uplink->started = true;
    return 0;
}

void gw_uplink_stop(struct gw_uplink *uplink)
{
    if (uplink->finished)
        return;
    if (uplink->started) {
        atomic_store(&uplink->stopping, 1);
        gw_uplink_poke(uplink);
        (void)pthread_join(uplink->thread, NULL);
        uplink->started = false;
    } else {
        (void)gw_uplink_step(uplink);
    }
    if (uplink->pending_count > 0)
        gw_log(GW_LOG_ERROR, "journal_left_unwritten", GW_U64("batches", uplink->pending_count));
    gw_journal_writer_finish(uplink->options.writer);
    uplink->finished = true;
}

void gw_uplink_destroy(struct gw_uplink *uplink)
{
    if (uplink == NULL)
        return;
    gw_assert(!uplink->started);
    gw_journal_writer_close(uplink->options.writer, false);
    for (uint32_t i = 0; i < uplink->options.lane_count && uplink->lanes != NULL; i++)
        gw_lane_fini(&uplink->lanes[i]);
    free(uplink->lanes);
    free(uplink->pending);
    free(uplink);
}

/* For how long the disk has not answered, in us; 0 while it is not asked. */
static uint64_t disk_us(const struct gw_uplink *uplink)
{
    struct gw_instant since = {
        .ns = atomic_load_explicit(&uplink->disk_since_ns, memory_order_relaxed)};

    return since.ns == 0 ? 0 : gw_ns_between(since, gw_clock_now()) / GW_NS_PER_US;
}

static enum gw_pressure worst_pressure(const struct gw_uplink *uplink)
{
    enum gw_pressure worst = GW_PRESSURE_NONE;

    for (uint32_t i = 0; i < uplink->options.lane_count; i++) {
        enum gw_pressure pressure = gw_lane_pressure(&uplink->lanes[i]);

        worst = pressure > worst ? pressure : worst;
    }
    return worst;
}

void gw_uplink_stat(struct gw_uplink *uplink, struct gw_uplink_stat *out)
{
    bool stalled = atomic_load_explicit(&uplink->stalled, memory_order_relaxed) != 0 ||
                   disk_us(uplink) >= GW_UPLINK_HANG_MS * UINT64_C(1000);

    *out = (struct gw_uplink_stat){
        .writes = gw_counter_read(&uplink->writes),
        .syncs = gw_counter_read(&uplink->syncs),
        .bytes = gw_counter_read(&uplink->bytes),
        .batches = gw_counter_read(&uplink->batches),
        .failures = gw_counter_read(&uplink->failures),
        .journal_bytes = gw_counter_read(&uplink->journal_bytes),
        .held_bytes = gw_counter_read(&uplink->held_bytes),
        .stalled = stalled,
        .pressure = stalled ? GW_PRESSURE_STOPPED : worst_pressure(uplink),
    };
}

uint64_t gw_uplink_sync_us_max_take(struct gw_uplink *uplink)
{
    return gw_max_u64(atomic_exchange(&uplink->sync_us_max, 0), disk_us(uplink));
}
