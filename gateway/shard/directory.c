/*
 * Where each device that this shard owns is connected: open addressing with linear probing, 12
 * bytes a cell, at most 7 in 8 cells filled; deletion shifts the cluster back, so there are no
 * tombstones to clean up. The number of cells is any, not a power of two: up to twice the memory
 * would be for nothing.
 *
 *   I1  A device has at most one place.
 *   I2  Only the same life of the same slot releases a place: a late goodbye of an old connection
 *       never takes the new one offline.
 */
#include "directory.h"

#include <errno.h>
#include <sys/mman.h>

#include <gw/base/assert.h>

static uint32_t cells_for(uint32_t entries_max)
{
    return (uint32_t)((uint64_t)entries_max * 8 / 7 + 8);
}

uint64_t directory_bytes(uint32_t entries_max)
{
    return (uint64_t)cells_for(entries_max) * sizeof(struct directory_cell);
}

int directory_init(struct directory *directory, uint32_t entries_max)
{
    void *cells = mmap(NULL, directory_bytes(entries_max), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    *directory = (struct directory){.cell_count = cells_for(entries_max), .count_max = entries_max};
    if (cells == MAP_FAILED)
        return -ENOMEM;
    directory->cells = cells;
    return 0;
}

void directory_fini(struct directory *directory)
{
    if (directory->cells != NULL)
        (void)munmap(directory->cells, directory_bytes(directory->count_max));
    *directory = (struct directory){0};
}

static uint32_t home_of(const struct directory *directory, uint32_t device)
{
    uint32_t hash = (uint32_t)((device * UINT64_C(0x9E3779B97F4A7C15)) >> 32);

    return (uint32_t)((uint64_t)hash * directory->cell_count >> 32);
}

static uint32_t cell_after(const struct directory *directory, uint32_t cell)
{
    return cell + 1 == directory->cell_count ? 0 : cell + 1;
}

/* Cells from `from` to `to`, going forward. */
static uint32_t distance(const struct directory *directory, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + directory->cell_count - from;
}

/* The device's cell, or the empty one where it would go. */
static uint32_t cell_of(const struct directory *directory, uint32_t device)
{
    uint32_t cell = home_of(directory, device);

    while (directory->cells[cell].device != 0 && directory->cells[cell].device != device)
        cell = cell_after(directory, cell);
    return cell;
}

static struct place place_in(const struct directory_cell *cell)
{
    return (struct place){.device = cell->device,
                          .shard = cell->shard,
                          .slot = cell->slot,
                          .generation = cell->generation};
}

bool directory_claim(struct directory *directory, struct place place, struct place *before)
{
    struct directory_cell *cell = &directory->cells[cell_of(directory, place.device)];

    gw_assert(place.device != 0 && place.generation <= GW_OP_GENERATION_MASK);
    *before = place_in(cell);
    if (cell->device == 0) {
        if (directory->count == directory->count_max)
            return false;
        directory->count++;
    }
    *cell = (struct directory_cell){.device = place.device,
                                    .slot = place.slot,
                                    .shard = place.shard & UINT8_MAX,
                                    .generation = place.generation & GW_OP_GENERATION_MASK};
    return true;
}

struct place directory_find(const struct directory *directory, uint32_t device)
{
    return place_in(&directory->cells[cell_of(directory, device)]);
}

void directory_release(struct directory *directory, struct place place)
{
    uint32_t hole = cell_of(directory, place.device);
    const struct directory_cell *cell = &directory->cells[hole];

    if (cell->device == 0 || cell->shard != place.shard || cell->slot != place.slot ||
        cell->generation != place.generation)
        return; /* I2 */
    directory->count--;
    for (uint32_t next = cell_after(directory, hole); directory->cells[next].device != 0;
         next = cell_after(directory, next)) {
        uint32_t home = home_of(directory, directory->cells[next].device);

        /* It may move into the hole unless its home lies behind the hole, cyclically. */
        if (distance(directory, home, next) >= distance(directory, hole, next)) {
            directory->cells[hole] = directory->cells[next];
            hole = next;
        }
    }
    directory->cells[hole] = (struct directory_cell){0};
}
