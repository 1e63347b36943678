/*
 * Last values in memory: a table that is emptied as a whole, like the memtable of an LSM tree. One
 * thread writes; readers take no lock and never wait.
 *
 *     cell:   | hash 31 | of a device? 1 | place 32 |
 *     arena:  entry, entry, entry ...
 *
 * Cells are looked for by open addressing with linear probing; an empty one is 0. A place is an
 * offset into the arena, in units of 8 bytes.
 *
 * A pin's cell names its newest entry; a write of the pin makes an entry, where an older one was
 * (recycle.c) or at the end, and stores the cell anew. A device's cell names an entry of the pin
 * that came last, and the first entries of its pins are linked: so all pins of a device are found
 * without a look at every cell.
 *
 * I1  An entry is complete before a cell names it (release), and does not change afterwards: what a
 *     reader was given stays as it is until its turn ends.
 *
 * I2  At least half of the cells are empty: every search ends.
 */
#include "values_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gw/base/assert.h>

enum {
    CELLS_MIN = 1 << 10,
    CELLS_PER_PUT = 2, /* a new pin of a new device */
};

#define OF_DEVICE UINT64_C(1)

/* A third of the memory for cells (8 bytes each, two tables) and what is sorted (16 for each cell
   that may be used), the rest for entries. */
struct values_sizes values_sizes_of(uint64_t memory_bytes)
{
    const uint64_t cell_bytes =
        2 * sizeof(uint64_t) + sizeof(struct values_item) / 2; /* I2: half of them are used */
    uint64_t cells = CELLS_MIN;

    gw_assert(memory_bytes >= GW_VALUES_MEMORY_BYTES_MIN);
    while (2 * cells * cell_bytes <= memory_bytes / 3 && cells < UINT64_C(1) << 31)
        cells *= 2;
    return (struct values_sizes){
        .cells = (uint32_t)cells,
        .arena_bytes =
            gw_min_u64((memory_bytes - cells * cell_bytes) / 2 & ~(uint64_t)(VALUES_UNIT_BYTES - 1),
                       (uint64_t)UINT32_MAX * VALUES_UNIT_BYTES),
    };
}

/* Mapped, not calloc'ed: pages are touched as values come. */
static void *map_zeroed(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static size_t cell_array_bytes(const struct values_table *table)
{
    return ((size_t)table->cell_mask + 1) * sizeof *table->cells;
}

int values_table_init(struct values_table *table, struct values_sizes sizes)
{
    *table = (struct values_table){
        .cell_mask = sizes.cells - 1,
        .cells_used_max = sizes.cells / 2,
        .arena_bytes = sizes.arena_bytes,
        .used = VALUES_UNIT_BYTES, /* place 0 is nowhere */
    };
    table->cells = map_zeroed(cell_array_bytes(table));
    table->arena = map_zeroed(sizes.arena_bytes);
    if (table->cells == NULL || table->arena == NULL) {
        values_table_fini(table);
        return -ENOMEM;
    }
    /* Cells lie anywhere, and an entry is written to memory that nothing was in since the start or
       the last checkpoint: small pages would mean a look at a page table for each. */
    (void)madvise(table->cells, cell_array_bytes(table), MADV_HUGEPAGE);
    (void)madvise(table->arena, table->arena_bytes, MADV_HUGEPAGE);
    return 0;
}

void values_table_fini(struct values_table *table)
{
    if (table->cells != NULL)
        (void)munmap(table->cells, cell_array_bytes(table));
    if (table->arena != NULL)
        (void)munmap(table->arena, table->arena_bytes);
    *table = (struct values_table){.cells = NULL};
}

/* ---- cells ---- */

/* Murmur's last steps: devices are numbered one after the other, and nobody chooses a number. */
static uint64_t hash_of(uint64_t key, uint64_t of_device)
{
    uint64_t x = key << 1 | of_device;

    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    return x;
}

static uint64_t device_key(uint64_t key)
{
    return key & ~(uint64_t)UINT16_MAX;
}

struct found {
    uint32_t index; /* of the cell, or of the empty one where it belongs */
    uint32_t place; /* 0: there is none */
};

static uint32_t cells_used(const struct values_table *table)
{
    return atomic_load_explicit(&table->cells_used, memory_order_relaxed);
}

/* Of an empty one no cell is read: what was never touched takes no memory. */
static bool is_empty(const struct values_table *table)
{
    return cells_used(table) == 0;
}

/* `key` is a pin's, or device_key's with OF_DEVICE. */
static struct found find(const struct values_table *table, uint64_t key, uint64_t of_device)
{
    const uint64_t hash = hash_of(key, of_device);
    const uint32_t tag = ((uint32_t)(hash >> 32) & ~UINT32_C(1)) | (uint32_t)of_device;
    uint32_t index = (uint32_t)hash & table->cell_mask;

    for (;; index = (index + 1) & table->cell_mask) { /* I2 */
        uint64_t cell = atomic_load_explicit(&table->cells[index], memory_order_acquire);
        uint32_t place = (uint32_t)cell;

        if (cell == 0)
            return (struct found){.index = index, .place = 0};
        if ((uint32_t)(cell >> 32) != tag)
            continue;
        uint64_t held = values_entry_at(table, place)->key;

        if ((of_device != 0 ? device_key(held) : held) == key)
            return (struct found){.index = index, .place = place};
    }
}

static void store_cell(struct values_table *table, struct found at, uint64_t key,
                       uint64_t of_device, uint32_t place)
{
    const uint32_t hash = (uint32_t)(hash_of(key, of_device) >> 32);
    const uint32_t tag = (hash & ~UINT32_C(1)) | (uint32_t)of_device;

    if (at.place == 0)
        atomic_store_explicit(&table->cells_used, cells_used(table) + 1, memory_order_relaxed);
    atomic_store_explicit(&table->cells[at.index], (uint64_t)tag << 32 | place,
                          memory_order_release); /* I1 */
}

/* ---- the writer ---- */

/* Where an entry of so many bytes goes; 0 when there is no room. */
static uint32_t take_place(struct values_table *table, uint64_t bytes)
{
    uint32_t place = values_recycle_take(table, bytes);

    if (place != 0 || table->used + bytes > table->arena_bytes)
        return place;
    place = (uint32_t)(table->used / VALUES_UNIT_BYTES);
    table->used += bytes;
    return place;
}

bool values_table_put(struct values_table *table, uint64_t key, uint64_t time_us, uint8_t origin,
                      struct gw_bytes value)
{
    struct found pin, device = {.place = 0};
    uint32_t place;

    if (cells_used(table) + CELLS_PER_PUT > table->cells_used_max ||
        (place = take_place(table, values_entry_bytes(value.size))) == 0)
        return false;
    pin = find(table, key, 0);
    if (pin.place == 0)
        device = find(table, device_key(key), OF_DEVICE);
    struct values_entry *entry = values_entry_at(table, place);

    *entry = (struct values_entry){
        .key = key,
        .time_us = time_us,
        .next = device.place,
        .value_bytes = value.size & 0xffffff,
        .origin = origin & 0x7f,
        .is_first = pin.place == 0,
    };
    gw_assert(entry->value_bytes == value.size && entry->origin == origin);
    if (value.size > 0)
        memcpy(entry->value, value.data, value.size);
    store_cell(table, pin, key, 0, place);
    if (pin.place != 0) {
        if (!values_entry_at(table, pin.place)->is_first)
            values_recycle_put(table, pin.place);
        return true;
    }
    table->pins++;
    /* Where it belongs may have been taken by the pin's cell just now. */
    if (device.place == 0)
        device = find(table, device_key(key), OF_DEVICE);
    store_cell(table, device, device_key(key), OF_DEVICE, place);
    return true;
}

void values_table_fetch_cell(const struct values_table *table, uint64_t key)
{
    __builtin_prefetch(&table->cells[(uint32_t)hash_of(key, 0) & table->cell_mask], 1);
}

void values_table_fetch_entry(const struct values_table *table, uint64_t key)
{
    uint32_t index = (uint32_t)hash_of(key, 0) & table->cell_mask;

    /* Mostly it is the first cell; place 0 is memory, too. */
    __builtin_prefetch(values_entry_at(
        table, (uint32_t)atomic_load_explicit(&table->cells[index], memory_order_relaxed)));
}

void values_table_clear(struct values_table *table)
{
    /* Only what was used: pages that were never touched stay untouched. */
    for (uint64_t i = 0; !is_empty(table) && i <= table->cell_mask; i++)
        if (atomic_load_explicit(&table->cells[i], memory_order_relaxed) != 0)
            atomic_store_explicit(&table->cells[i], 0, memory_order_relaxed);
    table->used = VALUES_UNIT_BYTES;
    table->pins = 0;
    memset(table->recycled, 0, sizeof table->recycled);
    atomic_store_explicit(&table->cells_used, 0, memory_order_relaxed);
}

/* ---- readers ---- */

const struct values_entry *values_table_get(const struct values_table *table, uint64_t key)
{
    struct found found = {.place = 0};

    if (!is_empty(table))
        found = find(table, key, 0);
    return found.place == 0 ? NULL : values_entry_at(table, found.place);
}

void values_table_pins(const struct values_table *table, uint32_t device, char bank,
                       struct values_pins *pins)
{
    uint32_t place = is_empty(table) ? 0 : find(table, values_key(device, 0, 0), OF_DEVICE).place;

    while (place != 0) {
        const struct values_entry *entry = values_entry_at(table, place);

        if ((char)(entry->key >> 8 & 0xff) == bank)
            values_pins_add(pins, (uint8_t)entry->key);
        place = entry->next;
    }
}

/* ---- the checkpoint ---- */

static int by_key(const void *a, const void *b)
{
    const struct values_item *left = a, *right = b;

    return left->key < right->key ? -1 : left->key > right->key;
}

uint32_t values_table_sorted(const struct values_table *table, struct values_item *items)
{
    uint32_t count = 0;

    for (uint64_t i = 0; !is_empty(table) && i <= table->cell_mask; i++) {
        uint64_t cell = atomic_load_explicit(&table->cells[i], memory_order_relaxed);

        if (cell == 0 || (cell >> 32 & OF_DEVICE) != 0)
            continue;
        const struct values_entry *entry = values_entry_at(table, (uint32_t)cell);

        items[count++] = (struct values_item){.key = entry->key, .entry = entry};
    }
    gw_assert(count == table->pins);
    qsort(items, count, sizeof *items, by_key);
    return count;
}
