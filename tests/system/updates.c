/*
 * What the log holds. See updates.h.
 */
#include "updates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gw/journal/reader.h>

enum { UPDATE_MS = 5000, LOOK_AGAIN_MS = 10 };

/* A copy that a C string function may read, too. */
static struct gw_bytes copy_of(struct gw_bytes bytes)
{
    uint8_t *copy = (uint8_t *)malloc(bytes.size + 1);

    assert_non_null(copy);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return gw_bytes_of(copy, bytes.size);
}

static void add(struct sys_updates *updates, const struct gw_journal_item *item)
{
    struct sys_update *update;

    if (updates->count == updates->capacity) {
        updates->capacity = updates->capacity * 2 + 64;
        updates->items = (struct sys_update *)realloc(updates->items,
                                                      updates->capacity * sizeof *updates->items);
        assert_non_null(updates->items);
    }
    update = &updates->items[updates->count++];
    update->record = item->record;
    update->record.name = copy_of(item->record.name);
    update->record.value = copy_of(item->record.value);
    update->lane = item->batch.lane;
}

void sys_updates_release(struct sys_updates *updates)
{
    for (size_t i = 0; i < updates->count; i++) {
        free((void *)updates->items[i].record.name.data);
        free((void *)updates->items[i].record.value.data);
    }
    free(updates->items);
    *updates = (struct sys_updates){NULL, 0, 0};
}

void sys_updates_read(struct sys_gateway *g, struct sys_updates *updates)
{
    const struct gw_journal_reader_options options = {
        .path = g->journal_path,
        .from = GW_JOURNAL_FROM_BEGINNING,
    };
    struct gw_journal_reader *reader = NULL;
    struct gw_journal_item item;
    char why[256] = "";
    int err;

    sys_updates_release(updates);
    err = gw_journal_reader_open(&options, &reader, why, sizeof why);
    sys_check(g, err == 0, "cannot read the log: %s: %s", strerror(-err), why);
    do {
        err = gw_journal_reader_next(reader, &item);
        sys_check(g, err == 0, "cannot read the log: %s", strerror(-err));
        sys_check(g, item.kind != GW_JOURNAL_DAMAGE,
                  "the log is damaged at segment %llu offset %llu: %llu bytes, %llu batches lost",
                  (unsigned long long)item.position.segment,
                  (unsigned long long)item.position.offset, (unsigned long long)item.bytes,
                  (unsigned long long)item.batches_lost);
        if (item.kind == GW_JOURNAL_RECORD)
            add(updates, &item);
    } while (item.kind != GW_JOURNAL_END);
    gw_journal_reader_close(reader);
}

static void print_hex(FILE *out, struct gw_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        (void)fprintf(out, "%02x", bytes.data[i]);
}

static void print_update(FILE *out, const struct gw_record *record)
{
    const char *kind = gw_record_kind_text(record->kind);

    switch ((enum gw_record_kind)record->kind) {
    case GW_RECORD_PIN_WRITE:
        (void)fprintf(out, "write %c%u ", record->bank, record->pin);
        break;
    case GW_RECORD_PROPERTY:
        (void)fprintf(out, "property %c%u (%u) %s ", record->bank, record->pin, record->pin_count,
                      (const char *)record->name.data);
        break;
    case GW_RECORD_EVENT:
    case GW_RECORD_EVENT_CLEAR:
    case GW_RECORD_META_SET:
        (void)fprintf(out, "%s %s ", kind, (const char *)record->name.data);
        break;
    default:
        (void)fprintf(out, "%s", kind != NULL ? kind : "unknown");
        break;
    }
    print_hex(out, record->value);
    /* What begins and ends a group is of the group by its kind. */
    if ((record->flags & GW_RECORD_GROUPED) != 0 && record->kind != GW_RECORD_GROUP_BEGIN &&
        record->kind != GW_RECORD_GROUP_END)
        (void)fputs(" grouped", out);
    if ((record->flags & GW_RECORD_DEVICE_TIME) != 0)
        (void)fprintf(out, " at %llu", (unsigned long long)record->time_us);
}

char *sys_updates_text(const struct sys_updates *updates, uint32_t device)
{
    char *text = NULL;
    size_t bytes = 0, printed = 0;
    FILE *out = open_memstream(&text, &bytes);

    assert_non_null(out);
    for (size_t i = 0; i < updates->count; i++) {
        const struct gw_record *record = &updates->items[i].record;

        if (record->device != device || record->kind == GW_RECORD_INFO ||
            record->kind == GW_RECORD_ONLINE || record->kind == GW_RECORD_OFFLINE)
            continue;
        if (printed++ > 0)
            (void)fputs("; ", out);
        print_update(out, record);
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

size_t sys_updates_count(const struct sys_updates *updates, uint32_t device,
                         enum gw_record_kind kind, const struct sys_update **last)
{
    size_t count = 0;

    for (size_t i = 0; i < updates->count; i++)
        if (updates->items[i].record.device == device && updates->items[i].record.kind == kind) {
            count++;
            if (last != NULL)
                *last = &updates->items[i];
        }
    return count;
}

void sys_updates_wait(struct sys_gateway *g, struct sys_updates *updates, uint32_t device,
                      enum gw_record_kind kind, size_t count)
{
    uint64_t deadline = sys_now_ms() + sys_ms(UPDATE_MS);

    for (;;) {
        size_t seen;

        sys_updates_read(g, updates);
        seen = sys_updates_count(updates, device, kind, NULL);
        if (seen >= count)
            return;
        sys_check(g, sys_now_ms() < deadline, "device %u: %zu records of kind %s instead of %zu",
                  device, seen, gw_record_kind_text((uint8_t)kind), count);
        sys_pause_ms(LOOK_AGAIN_MS);
    }
}
