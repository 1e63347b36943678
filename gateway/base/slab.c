/*
 * A pool of equal slots. Slots that were never used are handed out in order, so that the pages of
 * a slab are touched one after the other and only as far as it was ever filled.
 *
 *   I1  A slot is fresh (>= fresh), free (on the list from free_head) or taken (next == TAKEN).
 *   I2  taken_count + length of the free list == fresh.
 */
#include <gw/base/slab.h>

#include <errno.h>
#include <sys/mman.h>

#include <gw/base/assert.h>
#include <gw/base/poison.h>

#define TAKEN (GW_NONE - 1)

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

uint64_t gw_slab_bytes(uint32_t slot_bytes, uint32_t slot_count)
{
    return (uint64_t)slot_count * (slot_bytes + sizeof(uint32_t));
}

int gw_slab_init(struct gw_slab *slab, uint32_t slot_bytes, uint32_t slot_count)
{
    gw_assert(slot_bytes > 0 && slot_bytes % 8 == 0);
    gw_assert(slot_count > 0 && slot_count < TAKEN);
    *slab = GW_SLAB_EMPTY;
    slab->slot_bytes = slot_bytes;
    slab->slot_count = slot_count;
    slab->slots = map((size_t)slot_bytes * slot_count);
    slab->next = map(sizeof(uint32_t) * (size_t)slot_count);
    if (slab->slots == NULL || slab->next == NULL) {
        gw_slab_fini(slab);
        return -ENOMEM;
    }
    return 0;
}

void gw_slab_fini(struct gw_slab *slab)
{
    size_t bytes = (size_t)slab->slot_bytes * slab->slot_count;

    if (slab->slots != NULL) {
        gw_unpoison(slab->slots, bytes);
        (void)munmap(slab->slots, bytes);
    }
    if (slab->next != NULL)
        (void)munmap(slab->next, sizeof(uint32_t) * (size_t)slab->slot_count);
    *slab = GW_SLAB_EMPTY;
}

uint32_t gw_slab_acquire(struct gw_slab *slab)
{
    uint32_t slot = slab->free_head;

    if (slot != GW_NONE)
        slab->free_head = slab->next[slot];
    else if (slab->fresh < slab->slot_count)
        slot = slab->fresh++;
    else
        return GW_NONE;
    slab->next[slot] = TAKEN;
    slab->taken_count++;
    gw_unpoison(gw_slab_at(slab, slot), slab->slot_bytes);
    return slot;
}

void gw_slab_release(struct gw_slab *slab, uint32_t slot)
{
    gw_assert(slot < slab->fresh);
    gw_assert(slab->next[slot] == TAKEN);
    slab->next[slot] = slab->free_head;
    slab->free_head = slot;
    slab->taken_count--;
    gw_poison(gw_slab_at(slab, slot), slab->slot_bytes);
}

bool gw_slab_is_taken(const struct gw_slab *slab, uint32_t slot)
{
    return slot < slab->fresh && slab->next[slot] == TAKEN;
}

void gw_slab_check(const struct gw_slab *slab)
{
    uint32_t free_count = 0;

    for (uint32_t slot = slab->free_head; slot != GW_NONE; slot = slab->next[slot]) {
        gw_assert(slot < slab->fresh);
        free_count++;
        gw_assert(free_count <= slab->fresh); /* no cycle */
    }
    gw_assert(free_count + slab->taken_count == slab->fresh);
}
