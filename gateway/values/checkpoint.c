/*
 * A frozen table into the store, and its memory back: the values thread.
 *
 * Readers hold pointers into a table until their turn ends, and look for the tables at its
 * beginning. So a table is taken out of the view, and emptied once every reader that was inside a
 * turn then has left it. Who comes later looks into the store, which has all of it:
 *
 *     checkpoint                            reader
 *     commit                                turn becomes odd
 *     view without the table                full fence
 *     full fence                            look at the view
 *     look at turn                          begin a read transaction
 *
 * Either the checkpoint sees the turn and waits for its end, or the reader sees the new view, and
 * its transaction began after the commit.
 *
 *   I1  A table is emptied when it is in the store, out of the view, and nobody looks at it.
 *   I2  The log's cursor never passes the store's head.
 */
#include "values_internal.h"

#include <string.h>
#include <time.h>

#include <gw/base/log.h>
#include <gw/journal/cursor.h>

enum {
    LOOK_EVERY_MS = 1, /* for readers that have yet to end their turn */
    RETRY_MS = 500,
};

static void sleep_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&left, NULL);
}

static void note_result(struct gw_values *values, int err)
{
    bool before = atomic_load(&values->stalled);

    if (err != 0 && !before)
        gw_log(GW_LOG_ERROR, "values_stalled", GW_TEXT("path", values->store.path),
               GW_TEXT("error", strerror(-err)),
               GW_TEXT("hint", "when no memory is left for newer values, updates wait"));
    if (err == 0 && before)
        gw_log(GW_LOG_INFO, "values_go_on");
    (void)pthread_mutex_lock(&values->lock);
    atomic_store(&values->stalled, err != 0);
    (void)pthread_cond_broadcast(&values->changed); /* who is in a hurry waits no longer */
    (void)pthread_mutex_unlock(&values->lock);
}

/* I2. The log keeps more than it must when this fails, until the next one. */
static void move_cursor(struct gw_values *values)
{
    int err = gw_cursor_commit(values->options.journal_io, values->journal_path, GW_VALUES_CURSOR,
                               values->checkpoint.position);

    atomic_store_explicit(&values->cursor_is_late, err != 0, memory_order_relaxed);
    if (err != 0)
        gw_log(GW_LOG_WARN, "values_cursor", GW_TEXT("error", strerror(-err)));
}

void values_note_size(struct gw_values *values)
{
    uint64_t rows, bytes;

    values_store_size(&values->store, &rows, &bytes);
    gw_counter_set(&values->store_rows, rows);
    gw_counter_set(&values->store_bytes, bytes);
}

int values_checkpoint(struct gw_values *values)
{
    uint32_t in_use = VIEW_IN_USE(atomic_load_explicit(&values->view, memory_order_acquire));
    struct values_table *table = &values->tables[in_use ^ 1];
    uint32_t count = values_table_sorted(table, values->items);
    int err = values_store_write(&values->store, values->items, count, &values->checkpoint);

    note_result(values, err);
    if (err != 0)
        return err;
    gw_counter_set(&values->stored_records, values->checkpoint_records);
    gw_counter_add(&values->rows_written, count);
    gw_counter_add(&values->checkpoints, 1);
    values_note_size(values);
    atomic_store_explicit(&values->view, in_use, memory_order_release);
    values_meet_readers(values, VALUES_OF_CHECKPOINT);
    move_cursor(values);
    while (!values_readers_have_left(values, VALUES_OF_CHECKPOINT))
        sleep_ms(LOOK_EVERY_MS);
    values_table_clear(table); /* I1 */
    (void)pthread_mutex_lock(&values->lock);
    atomic_store_explicit(&values->frozen_since_ns, 0, memory_order_relaxed);
    values->other_is_frozen = false;
    (void)pthread_cond_broadcast(&values->changed);
    (void)pthread_mutex_unlock(&values->lock);
    return 0;
}

void *values_thread(void *context)
{
    struct gw_values *values = context;
    bool stopping;

    (void)pthread_setname_np(pthread_self(), "values");
    do {
        (void)pthread_mutex_lock(&values->lock);
        while (!values->other_is_frozen && !values->stopping)
            (void)pthread_cond_wait(&values->changed, &values->lock);
        bool frozen = values->other_is_frozen;

        stopping = values->stopping;
        (void)pthread_mutex_unlock(&values->lock);
        if (frozen && values_checkpoint(values) != 0 && !stopping)
            sleep_ms(RETRY_MS);
    } while (!stopping);
    return NULL;
}
