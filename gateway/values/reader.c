/*
 * A pin's value, wherever it is: in the table in use, in the frozen one, in the store. Without a
 * lock; what it costs a reader is one full fence for the first question of a turn.
 *
 * The view may change within a turn. Then every table that it named since the turn began is looked
 * at, for the read transaction is that of the beginning: what it does not show is still in one of
 * these tables, which nobody empties before the turn ends (checkpoint.c, I1).
 */
#include "values_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

int gw_values_reader_open(struct gw_values *values, struct gw_values_reader **out)
{
    struct gw_values_reader *reader = aligned_alloc(GW_CACHE_LINE, sizeof *reader);
    int err;

    *out = NULL;
    if (reader == NULL)
        return -ENOMEM;
    memset(reader, 0, sizeof *reader);
    if ((err = values_view_open(&values->store, &reader->view)) != 0) {
        free(reader);
        return err;
    }
    reader->values = values;
    (void)pthread_mutex_lock(&values->lock);
    reader->next = values->readers;
    values->readers = reader;
    (void)pthread_mutex_unlock(&values->lock);
    *out = reader;
    return 0;
}

void gw_values_reader_close(struct gw_values_reader *reader)
{
    struct gw_values_reader **link;

    if (reader == NULL)
        return;
    gw_values_reader_pause(reader);
    (void)pthread_mutex_lock(&reader->values->lock);
    for (link = &reader->values->readers; *link != reader; link = &(*link)->next)
        gw_assert(*link != NULL);
    *link = reader->next;
    (void)pthread_mutex_unlock(&reader->values->lock);
    values_view_close(&reader->view);
    free(reader);
}

/*
 * Either a reader's turn is seen here, or its first look, behind a full fence of its own, sees what
 * was stored before this one.
 */
void values_meet_readers(struct gw_values *values, enum values_meeting by)
{
    atomic_thread_fence(memory_order_seq_cst);
    (void)pthread_mutex_lock(&values->lock);
    for (struct gw_values_reader *r = values->readers; r != NULL; r = r->next)
        r->turn_met[by] = atomic_load_explicit(&r->turn, memory_order_acquire);
    (void)pthread_mutex_unlock(&values->lock);
}

bool values_readers_have_left(struct gw_values *values, enum values_meeting by)
{
    bool all = true;

    (void)pthread_mutex_lock(&values->lock);
    for (const struct gw_values_reader *r = values->readers; r != NULL && all; r = r->next)
        all = r->turn_met[by] % 2 == 0 ||
              atomic_load_explicit(&r->turn, memory_order_acquire) != r->turn_met[by];
    (void)pthread_mutex_unlock(&values->lock);
    return all;
}

static void count_turn(struct gw_values_reader *reader, memory_order order)
{
    atomic_store_explicit(&reader->turn,
                          atomic_load_explicit(&reader->turn, memory_order_relaxed) + 1, order);
}

void gw_values_reader_pause(struct gw_values_reader *reader)
{
    if (!reader->inside)
        return;
    values_view_reset(&reader->view);
    reader->inside = false;
    count_turn(reader, memory_order_release);
}

/* The table in use now; `seen` has it, and all since the turn began. */
static uint32_t look_at_view(struct gw_values_reader *reader)
{
    uint32_t view = atomic_load_explicit(&reader->values->view, memory_order_acquire);

    reader->seen |= VIEW_TABLES(view);
    return VIEW_IN_USE(view);
}

static int enter(struct gw_values_reader *reader)
{
    int err;

    if (reader->inside)
        return 0;
    count_turn(reader, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    reader->seen = 0;
    (void)look_at_view(reader);
    err = values_view_renew(&reader->view);
    reader->inside = err == 0;
    if (err != 0)
        count_turn(reader, memory_order_release);
    return err;
}

static void fill(struct gw_value *out, const struct values_entry *entry)
{
    *out = (struct gw_value){
        .bank = (char)(entry->key >> 8 & 0xff),
        .pin = (uint8_t)entry->key,
        .origin = (uint8_t)entry->origin,
        .time_us = entry->time_us,
        .bytes = gw_bytes_of(entry->value, entry->value_bytes),
    };
}

/* Inside a turn. */
static int get(struct gw_values_reader *reader, uint64_t key, struct gw_value *out)
{
    const struct gw_values *values = reader->values;
    uint32_t in_use = look_at_view(reader);
    const struct values_entry *entry = values_table_get(&values->tables[in_use], key);

    if (entry == NULL && (reader->seen >> (in_use ^ 1) & 1) != 0)
        entry = values_table_get(&values->tables[in_use ^ 1], key);
    if (entry == NULL)
        return values_view_get(&reader->view, key, out);
    fill(out, entry);
    return 0;
}

int gw_values_get(struct gw_values_reader *reader, uint32_t device, char bank, uint8_t pin,
                  struct gw_value *out)
{
    int err = enter(reader);

    return err != 0 ? err : get(reader, values_key(device, bank, pin), out);
}

int gw_values_each(struct gw_values_reader *reader, uint32_t device, char bank, uint8_t from,
                   bool (*visit)(void *context, const struct gw_value *value), void *context)
{
    struct values_pins pins = {{0}};
    struct gw_value value;
    int err = enter(reader);

    if (err != 0)
        return err;
    (void)look_at_view(reader);
    for (uint32_t table = 0; table < 2; table++)
        if ((reader->seen >> table & 1) != 0)
            values_table_pins(&reader->values->tables[table], device, bank, &pins);
    err = values_view_pins(&reader->view, device, bank, &pins);
    for (uint32_t pin = from; pin < VALUES_PINS && err == 0; pin++) {
        if (!values_pins_have(&pins, (uint8_t)pin))
            continue;
        err = get(reader, values_key(device, bank, (uint8_t)pin), &value);
        if (err == 0 && !visit(context, &value))
            break;
    }
    return err;
}
