/*
 * Opening: the store, and what the log has since its last checkpoint. The store is never believed
 * against the log: one that cannot be read is put aside, and what the log still has is applied to
 * an empty one.
 *
 * Nothing of the log is let go before its values are in the store: the cursor stands at the store's
 * head before the first record is applied.
 */
#include "values_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/journal/cursor.h>
#include <gw/journal/reader.h>

/*
 * Is it the store that is of no use? What the system lacks (memory, descriptors, room, a right) a
 * new store would lack as well, and it may be there again at the next start; the values that the
 * log has let go of would not.
 */
static bool is_unreadable(int err)
{
    switch (-err) {
    case EACCES:
    case EAGAIN:
    case EDQUOT:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EPERM:
    case EROFS:
    case EUSERS: /* LMDB's readers */
        return false;
    default:
        return true;
    }
}

/* Opens the store and reads its head; one that was just made has none. */
static int open_store(struct gw_values *values, bool *fresh, const char **why)
{
    int err = values_store_open(&values->store, values->options.path, VALUES_STORE_WRITE, why);

    *fresh = false;
    if (err != 0)
        return err;
    *why = "its head row is damaged";
    err = values_store_head(&values->store, &values->checkpoint);
    if (err == -ENOENT) {
        *fresh = true;
        values->checkpoint = (struct values_head){.time_us = 0};
        return 0;
    }
    if (err != 0)
        values_store_close(&values->store);
    return err;
}

static int open_or_rebuild(struct gw_values *values, struct gw_values_recovery *found, char *why,
                           size_t why_bytes)
{
    const char *reason = "";
    int err = open_store(values, &found->rebuilt, &reason);

    if (err != 0 && is_unreadable(err)) {
        (void)snprintf(found->why, sizeof found->why, "%s: %s", reason, strerror(-err));
        err = values_store_put_aside(values->options.path);
        if (err == 0)
            err = open_store(values, &found->rebuilt, &reason);
    }
    if (err != 0)
        (void)snprintf(why, why_bytes, "values %.300s: %s: %s", values->options.path, reason,
                       strerror(-err));
    return err;
}

/* A cursor that holds as much already is left alone: a full disk has no room for another. One that
   holds more than it must is moved as soon as there is time. */
static int keep_log(struct gw_values *values)
{
    struct gw_journal_position from = values->checkpoint.position, held;
    int err =
        gw_cursor_read(values->options.journal_io, values->journal_path, GW_VALUES_CURSOR, &held);

    if (err == 0 && !gw_journal_position_is_before(from, held)) {
        atomic_store_explicit(&values->cursor_is_late, gw_journal_position_is_before(held, from),
                              memory_order_relaxed);
        return 0;
    }
    return gw_cursor_commit(values->options.journal_io, values->journal_path, GW_VALUES_CURSOR,
                            from);
}

static int replay_from(struct gw_values *values, struct gw_journal_reader *reader,
                       struct gw_values_recovery *found)
{
    struct gw_journal_item item;
    int err;

    while ((err = gw_journal_reader_next(reader, &item)) == 0) {
        switch (item.kind) {
        case GW_JOURNAL_RECORD:
            if ((err = values_apply(values, &item.record)) != 0)
                return err;
            found->replayed++;
            if (item.last) {
                values->applied = item.after;
                values_recycle(values);
            }
            break;
        case GW_JOURNAL_DAMAGE:
            found->incomplete = true;
            break;
        case GW_JOURNAL_END:
            values->applied = item.position;
            return 0;
        }
    }
    return err;
}

static int replay(struct gw_values *values, struct gw_values_recovery *found, char *why,
                  size_t why_bytes)
{
    struct gw_journal_reader_options options = {.path = values->journal_path,
                                                .from = GW_JOURNAL_FROM_POSITION,
                                                .position = values->checkpoint.position,
                                                .until = values->options.journal_end,
                                                .io = values->options.journal_io};
    struct gw_instant began = gw_clock_now();
    struct gw_journal_reader *reader;
    int err = gw_journal_reader_open(&options, &reader, why, why_bytes);

    if (err != 0)
        return err;
    values->applied = values->frozen_to = values->checkpoint.position;
    err = replay_from(values, reader, found);
    if (err == 0 && gw_journal_position_is_before(values->applied, values->options.journal_end))
        err = -EAGAIN; /* somebody takes its segments away */
    /* The next batch begins a segment. If more than the newest one is kept for us, the first
     * checkpoint is due at once, because the log may be at its limit and wait for it. */
    if (values->applied.segment > values->checkpoint.position.segment)
        values->segment = VALUES_NO_SEGMENT;
    gw_journal_reader_close(reader);
    found->ms = gw_ns_between(began, gw_clock_now()) / GW_NS_PER_MS;
    if (err != 0)
        (void)snprintf(why, why_bytes, "values %.300s: the log cannot be applied: %s",
                       values->options.path, strerror(-err));
    return err;
}

static int make(const struct gw_values_options *options, struct gw_values **out)
{
    struct gw_values *values = calloc(1, sizeof *values);
    struct values_sizes sizes = values_sizes_of(options->memory_bytes);
    int err;

    if (values == NULL)
        return -ENOMEM;
    gw_assert(pthread_mutex_init(&values->lock, NULL) == 0);
    gw_assert(pthread_cond_init(&values->changed, NULL) == 0);
    values->options = *options;
    values->frozen_at = gw_clock_now();
    values->items = calloc(sizes.cells / 2, sizeof *values->items);
    err = values->items == NULL ? -ENOMEM : 0;
    if (err == 0 && (size_t)snprintf(values->journal_path, sizeof values->journal_path, "%s",
                                     options->journal_path) >= sizeof values->journal_path)
        err = -ENAMETOOLONG;
    if (err == 0)
        err = values_table_init(&values->tables[0], sizes);
    if (err == 0)
        err = values_table_init(&values->tables[1], sizes);
    if (err != 0) {
        gw_values_close(values);
        return err;
    }
    *out = values;
    return 0;
}

int gw_values_open(const struct gw_values_options *options, struct gw_values **out,
                   struct gw_values_recovery *found, char *why, size_t why_bytes)
{
    struct gw_values *values;
    int err = make(options, &values);

    *out = NULL;
    *found = (struct gw_values_recovery){.rows = 0};
    if (err != 0) {
        (void)snprintf(why, why_bytes, "values: %s", strerror(-err));
        return err;
    }
    err = open_or_rebuild(values, found, why, why_bytes);
    if (err == 0 && (err = keep_log(values)) != 0)
        (void)snprintf(why, why_bytes, "values: a cursor in the log: %s", strerror(-err));
    if (err == 0)
        err = replay(values, found, why, why_bytes);
    if (err != 0) {
        gw_values_close(values);
        return err;
    }
    values->options.path = values->store.path;
    values_note_size(values);
    found->rows = gw_counter_read(&values->store_rows);
    *out = values;
    return 0;
}

int gw_values_forget_cursor(const char *journal_path)
{
    int err = gw_cursor_delete(NULL, journal_path, GW_VALUES_CURSOR);

    return err == -ENOENT ? 0 : err;
}
