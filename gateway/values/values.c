/*
 * The two tables: which one is in use, and when it is frozen.
 *
 *     free --frozen the other one--> in use --full, or old--> frozen --in the store, unseen--> free
 *          (uplink)                          (uplink)                (checkpoint.c)
 *
 * One of the two is always in use. When it is full while the other one is not free yet, the uplink
 * waits; then lanes fill up and shards stop reading. So what the store lags behind is bounded by
 * one table and a half, whatever devices write.
 *
 *   I1  A table is frozen with a position up to which it and the store hold all that the log has:
 *       that of the last group of batches that was applied whole.
 *   I2  `view` names every table that holds what the store may lack.
 */
#include "values_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <gw/base/assert.h>
#include <gw/base/log.h>
#include <gw/journal/batch.h>

enum { AHEAD = 16 }; /* records: a look at memory takes as long as several of them */

static bool is_same(struct gw_journal_position a, struct gw_journal_position b)
{
    return a.segment == b.segment && a.offset == b.offset;
}

/* Under the lock: is there any use in waiting for the other table? */
static bool may_wait(const struct gw_values *values)
{
    return values->started && !(values->hurry && atomic_load(&values->stalled));
}

static void wait_for_other(struct gw_values *values)
{
    gw_counter_add(&values->waits, 1);
    while (values->other_is_frozen && may_wait(values))
        (void)pthread_cond_wait(&values->changed, &values->lock);
}

/* Under the lock, with the other table free. */
static void exchange(struct gw_values *values)
{
    uint64_t since = atomic_load_explicit(&values->in_use_since_ns, memory_order_relaxed);

    values->checkpoint =
        (struct values_head){.position = values->applied, .time_us = gw_clock_wall_us()}; /* I1 */
    values->checkpoint_records = gw_counter_read(&values->applied_records);
    values->other_is_frozen = true;
    values->frozen_to = values->applied;
    values->segment = values->applied.segment;
    values->frozen_at = gw_clock_now();
    values->in_use ^= 1;
    gw_counter_set(&values->memory_pins, 0);
    atomic_store_explicit(&values->frozen_since_ns, since, memory_order_relaxed);
    atomic_store_explicit(&values->in_use_since_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&values->view, values->in_use | VIEW_FROZEN, memory_order_release);
    (void)pthread_cond_broadcast(&values->changed);
}

int values_freeze(struct gw_values *values, bool wait)
{
    bool done = false;
    int err = 0;

    (void)pthread_mutex_lock(&values->lock);
    bool busy = values->other_is_frozen;

    if (busy && wait && values->started)
        wait_for_other(values);
    (void)pthread_mutex_unlock(&values->lock);
    if (!values->started && busy && (err = values_checkpoint(values)) != 0)
        return err;
    (void)pthread_mutex_lock(&values->lock);
    if (!values->other_is_frozen) {
        exchange(values);
        done = true;
    }
    (void)pthread_mutex_unlock(&values->lock);
    if (!done)
        return -EAGAIN;
    return values->started ? 0 : values_checkpoint(values);
}

static bool has_value(const struct gw_record *record)
{
    return record->kind == GW_RECORD_PIN_WRITE;
}

static uint64_t key_of(const struct gw_record *record)
{
    return values_key(record->device, record->bank, record->pin);
}

static uint8_t origin_of(const struct gw_record *record)
{
    if ((record->flags & GW_RECORD_FROM_HTTP) != 0)
        return GW_VALUE_FROM_HTTP;
    if ((record->flags & GW_RECORD_FROM_CONTROL) != 0)
        return GW_VALUE_FROM_CONTROL;
    return (record->flags & GW_RECORD_FROM_BRIDGE) != 0 ? GW_VALUE_FROM_BRIDGE
                                                        : GW_VALUE_FROM_DEVICE;
}

int values_apply(struct gw_values *values, const struct gw_record *record)
{
    uint64_t key = key_of(record);
    int err;

    if (!has_value(record))
        return 0;
    while (!values_table_put(&values->tables[values->in_use], key, record->time_us,
                             origin_of(record), record->value))
        if ((err = values_freeze(values, true)) != 0)
            return err;
    gw_counter_add(&values->applied_records, 1);
    gw_counter_set(&values->memory_pins, values->tables[values->in_use].pins);
    if (atomic_load_explicit(&values->in_use_since_ns, memory_order_relaxed) == 0)
        atomic_store_explicit(&values->in_use_since_ns, gw_clock_now().ns, memory_order_relaxed);
    return 0;
}

/*
 * The uplink wakes every few milliseconds, to caches that others have used: most of what a record
 * costs is waiting for memory. So records are looked at some time before their turn.
 */
static int apply_batch(struct gw_values *values, struct gw_bytes sealed)
{
    struct gw_batch_walk walk = gw_batch_records_sealed(sealed);
    struct gw_record ahead[AHEAD];
    uint32_t read = 0, applied = 0;
    int err = 0;

    for (; err == 0; applied++) {
        const struct values_table *table = &values->tables[values->in_use];

        while (read - applied < AHEAD && gw_batch_next(&walk, &ahead[read % AHEAD]) == GW_OK) {
            const struct gw_record *record = &ahead[read++ % AHEAD];

            if (has_value(record))
                values_table_fetch_cell(table, key_of(record));
        }
        if (applied == read)
            break;
        const struct gw_record *soon = &ahead[(applied + AHEAD / 2) % AHEAD];

        if (read - applied > AHEAD / 2 && has_value(soon))
            values_table_fetch_entry(table, key_of(soon));
        err = values_apply(values, &ahead[applied % AHEAD]);
    }
    return err;
}

/*
 * Old, or the log has begun a new segment: what is kept for us there is then never much more than
 * one of them, however small the log may be.
 */
static bool is_due(const struct gw_values *values)
{
    return !is_same(values->applied, values->frozen_to) &&
           (values->applied.segment != values->segment ||
            gw_ns_between(values->frozen_at, gw_clock_now()) >=
                values->options.checkpoint_s * GW_NS_PER_S);
}

void values_recycle(struct gw_values *values)
{
    if (!values_readers_have_left(values, VALUES_OF_UPLINK))
        return;
    values_recycle_meeting(&values->tables[values->in_use]);
    values_meet_readers(values, VALUES_OF_UPLINK);
}

void gw_values_observe(void *context, const struct gw_bytes *batches, uint32_t count,
                       struct gw_journal_position position)
{
    struct gw_values *values = context;

    for (uint32_t i = 0; i < count && !values->gave_up; i++)
        values->gave_up = apply_batch(values, batches[i]) != 0;
    if (values->gave_up)
        return;
    values->applied = position;
    values_recycle(values);
    if (values->segment == 0 && count > 0)
        values->segment = position.segment;
    /* A log at its limit takes nothing new, and so nothing would fall due, while it is kept for us.
     */
    bool late = count == 0 && atomic_load_explicit(&values->cursor_is_late, memory_order_relaxed);

    if ((late || is_due(values)) && values_freeze(values, false) != 0)
        return; /* the other one is not free yet: the next call tries again */
}

/* ---- start and stop ---- */

int gw_values_start(struct gw_values *values)
{
    sigset_t all, before;
    int err;

    gw_assert(!values->started);
    values->started = true; /* the thread reads it */
    /* Signals are for the threads that expect them. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&values->thread, NULL, values_thread, values);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0) {
        values->started = false;
        return -err;
    }
    return 0;
}

void gw_values_hurry(struct gw_values *values)
{
    (void)pthread_mutex_lock(&values->lock);
    values->hurry = true;
    (void)pthread_cond_broadcast(&values->changed);
    (void)pthread_mutex_unlock(&values->lock);
}

void gw_values_stop(struct gw_values *values)
{
    int err = 0;

    (void)pthread_mutex_lock(&values->lock);
    values->stopping = true;
    (void)pthread_cond_broadcast(&values->changed);
    (void)pthread_mutex_unlock(&values->lock);
    if (values->started)
        (void)pthread_join(values->thread, NULL);
    values->started = false;
    if (values->other_is_frozen)
        err = values_checkpoint(values);
    if (err == 0 && !values->gave_up && !is_same(values->applied, values->frozen_to))
        err = values_freeze(values, false);
    if (err != 0 || values->gave_up)
        gw_log(GW_LOG_WARN, "values_behind",
               GW_TEXT("hint", "the next start reads from the log what the store lacks"));
}

void gw_values_close(struct gw_values *values)
{
    if (values == NULL)
        return;
    gw_assert(!values->started && values->readers == NULL);
    values_store_close(&values->store);
    values_table_fini(&values->tables[0]);
    values_table_fini(&values->tables[1]);
    free(values->items);
    (void)pthread_cond_destroy(&values->changed);
    (void)pthread_mutex_destroy(&values->lock);
    free(values);
}

void gw_values_stat(struct gw_values *values, struct gw_values_stat *out)
{
    uint64_t stored = gw_counter_read(&values->stored_records);
    uint64_t since = atomic_load_explicit(&values->frozen_since_ns, memory_order_relaxed);
    uint64_t now = gw_clock_now().ns;

    if (since == 0)
        since = atomic_load_explicit(&values->in_use_since_ns, memory_order_relaxed);
    *out = (struct gw_values_stat){
        .applied = gw_counter_read(&values->applied_records),
        .lag_s = since == 0 || now < since ? 0 : (double)(now - since) / (double)GW_NS_PER_S,
        .memory_pins = gw_counter_read(&values->memory_pins),
        .rows_written = gw_counter_read(&values->rows_written),
        .rows = gw_counter_read(&values->store_rows),
        .store_bytes = gw_counter_read(&values->store_bytes),
        .checkpoints = gw_counter_read(&values->checkpoints),
        .waits = gw_counter_read(&values->waits),
        .stalled = atomic_load_explicit(&values->stalled, memory_order_relaxed),
    };
    out->lag_records = out->applied - gw_min_u64(stored, out->applied);
}
