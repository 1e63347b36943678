/*
 * Where each device that this shard owns is connected: open addressing with linear probing, 16
 * bytes a cell, at most 7 in 8 cells filled; deletion shifts the cluster back, so there are no
 * tombstones to clean up.
 *
 *   I1  A device has at most one place.
 *   I2  Only the same life of the same slot releases a place: a late goodbye of an old connection
 *       never takes the new one offline.
 */
#include "shard_internal.h"

#include <errno.h>
#include <stdlib.h>

int directory_init(struct directory *directory, uint32_t entries_max)
{
    uint32_t cells = 16;

    while ((uint64_t)cells * 7 / 8 < entries_max)
        cells *= 2;
    *directory = (struct directory){.mask = cells - 1, .count_max = entries_max};
    directory->cells = calloc(cells, sizeof *directory->cells);
    return directory->cells == NULL ? -ENOMEM : 0;
}

void directory_fini(struct directory *directory)
{
    free(directory->cells);
    *directory = (struct directory){0};
}

static uint32_t home_of(const struct directory *directory, uint32_t device)
{
    return (uint32_t)((device * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & directory->mask;
}

/* The device's cell, or the empty one where it would go. */
static uint32_t cell_of(const struct directory *directory, uint32_t device)
{
    uint32_t cell = home_of(directory, device);

    while (directory->cells[cell].device != 0 && directory->cells[cell].device != device)
        cell = (cell + 1) & directory->mask;
    return cell;
}

bool directory_claim(struct directory *directory, struct place place, struct place *before)
{
    struct place *cell = &directory->cells[cell_of(directory, place.device)];

    gw_assert(place.device != 0);
    *before = *cell;
    if (cell->device == 0) {
        if (directory->count == directory->count_max)
            return false;
        directory->count++;
    }
    *cell = place;
    return true;
}

void directory_release(struct directory *directory, struct place place)
{
    uint32_t hole = cell_of(directory, place.device);
    struct place *cell = &directory->cells[hole];

    if (cell->device == 0 || cell->shard != place.shard || cell->slot != place.slot ||
        cell->generation != place.generation)
        return; /* I2 */
    directory->count--;
    for (uint32_t next = (hole + 1) & directory->mask; directory->cells[next].device != 0;
         next = (next + 1) & directory->mask) {
        uint32_t home = home_of(directory, directory->cells[next].device);

        /* It may move into the hole unless its home lies behind the hole, cyclically. */
        if (((next - home) & directory->mask) >= ((next - hole) & directory->mask)) {
            directory->cells[hole] = directory->cells[next];
            hole = next;
        }
    }
    directory->cells[hole] = (struct place){0};
}
