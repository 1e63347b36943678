#include "pretend_store.h"

#include <errno.h>
#include <string.h>

#include <gw/base/assert.h>
#include <values_internal.h>

enum { ROWS_MAX = 1024, BYTES_MAX = 32 };

struct row {
    uint64_t key, time_us;
    uint8_t origin, bytes;
    uint8_t value[BYTES_MAX];
};

static struct {
    struct pretend_disk *disk;
    struct row rows[ROWS_MAX]; /* ascending */
    uint32_t count;
    struct values_head head;
    bool has_head, damaged;
    uint32_t readers; /* in a read transaction */
} store;

void pretend_store_begin(struct pretend_disk *disk)
{
    memset(&store, 0, sizeof store);
    store.disk = disk;
}

void pretend_store_damage(void)
{
    store.damaged = true;
}

/* The first row that is not before `key`. */
static uint32_t find(uint64_t key)
{
    uint32_t low = 0, high = store.count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (store.rows[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int values_store_open(struct values_store *out, const char *path, enum values_store_mode mode,
                      const char **why)
{
    (void)path;
    (void)mode;
    *out = (struct values_store){.env = NULL};
    *why = "it is damaged";
    if (store.damaged)
        return -EBADMSG;
    *why = "the disk fails";
    return pretend_disk_allows(store.disk) ? 0 : -ENOSPC;
}

void values_store_close(struct values_store *closed)
{
    (void)closed;
    gw_assert(store.readers == 0);
}

int values_store_put_aside(const char *path)
{
    (void)path;
    if (!pretend_disk_allows(store.disk))
        return -EIO;
    pretend_store_begin(store.disk);
    return 0;
}

int values_store_head(const struct values_store *from, struct values_head *out)
{
    (void)from;
    if (!store.has_head)
        return -ENOENT;
    *out = store.head;
    return 0;
}

static void put(const struct values_item *item)
{
    const struct values_entry *entry = item->entry;
    uint32_t at = find(item->key);

    gw_assert(entry->value_bytes <= BYTES_MAX);
    if (at == store.count || store.rows[at].key != item->key) {
        gw_assert(store.count < ROWS_MAX);
        memmove(&store.rows[at + 1], &store.rows[at], (store.count - at) * sizeof store.rows[0]);
        store.count++;
    }
    store.rows[at] = (struct row){.key = item->key,
                                  .time_us = entry->time_us,
                                  .origin = (uint8_t)entry->origin,
                                  .bytes = (uint8_t)entry->value_bytes};
    memcpy(store.rows[at].value, entry->value, entry->value_bytes);
}

int values_store_write(const struct values_store *to, const struct values_item *items,
                       uint32_t count, const struct values_head *head)
{
    bool begun = pretend_disk_allows(store.disk);

    (void)to;
    gw_assert(store.readers == 0); /* one thread: nobody is inside a turn */
    if (!begun)
        return -EIO;
    for (uint32_t i = 0; i < count; i++)
        put(&items[i]);
    if (!pretend_disk_allows(store.disk)) /* between two transactions */
        return -ENOSPC;
    store.head = *head;
    store.has_head = true;
    return 0;
}

void values_store_size(const struct values_store *of, uint64_t *rows, uint64_t *bytes)
{
    (void)of;
    *rows = store.count;
    *bytes = store.count * sizeof store.rows[0];
}

int values_view_open(const struct values_store *of, struct values_view *view)
{
    *view = (struct values_view){.store = of};
    return 0;
}

void values_view_close(struct values_view *view)
{
    *view = (struct values_view){.txn = NULL};
}

int values_view_renew(struct values_view *view)
{
    (void)view;
    store.readers++;
    return 0;
}

void values_view_reset(struct values_view *view)
{
    (void)view;
    gw_assert(store.readers > 0);
    store.readers--;
}

int values_view_get(const struct values_view *view, uint64_t key, struct gw_value *out)
{
    uint32_t at = find(key);

    (void)view;
    if (at == store.count || store.rows[at].key != key)
        return -ENOENT;
    const struct row *row = &store.rows[at];

    *out = (struct gw_value){.bank = (char)(key >> 8 & 0xff),
                             .pin = (uint8_t)key,
                             .origin = row->origin,
                             .time_us = row->time_us,
                             .bytes = gw_bytes_of(row->value, row->bytes)};
    return 0;
}

int values_view_pins(const struct values_view *view, uint32_t device, char bank,
                     struct values_pins *pins)
{
    uint64_t first = values_key(device, bank, 0);

    (void)view;
    for (uint32_t at = find(first); at < store.count && store.rows[at].key >> 8 == first >> 8; at++)
        values_pins_add(pins, (uint8_t)store.rows[at].key);
    return 0;
}
