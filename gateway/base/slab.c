/*
 * A pool of equal slots. Slots that were never used are handed out in order, so that the pages of
 * a slab are touched one after the other and only as far as it was ever filled.
 *
 *   I1  A slot is fresh (>= fresh), free (on the list from free_head) or taken (its bit is set).
 *   I2  taken_count + length of the free list == fresh.
 */
#include <gw/base/slab.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/poison.h>

enum { WORD_BITS = 64 };

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static size_t taken_bytes(uint32_t slot_count)
{
    return ((size_t)slot_count + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t);
}

uint64_t gw_slab_bytes(uint32_t slot_bytes, uint32_t slot_count)
{
    return (uint64_t)slot_count * slot_bytes + taken_bytes(slot_count);
}

int gw_slab_init(struct gw_slab *slab, uint32_t slot_bytes, uint32_t slot_count)
{
    gw_assert(slot_bytes > 0 && slot_bytes % 8 == 0);
    gw_assert(slot_count > 0 && slot_count < GW_NONE);
    *slab = GW_SLAB_EMPTY;
    slab->slot_bytes = slot_bytes;
    slab->slot_count = slot_count;
    slab->slots = map((size_t)slot_bytes * slot_count);
    slab->taken = map(taken_bytes(slot_count));
    if (slab->slots == NULL || slab->taken == NULL) {
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
    if (slab->taken != NULL)
        (void)munmap(slab->taken, taken_bytes(slab->slot_count));
    *slab = GW_SLAB_EMPTY;
}

/* ---- slots ---- */

static bool bit_of(const struct gw_slab *slab, uint32_t slot)
{
    return (slab->taken[slot / WORD_BITS] >> slot % WORD_BITS & 1) != 0;
}

static void flip_bit(struct gw_slab *slab, uint32_t slot)
{
    slab->taken[slot / WORD_BITS] ^= UINT64_C(1) << slot % WORD_BITS;
}

/* Of a free slot, which is poisoned. */
static uint32_t next_of(const struct gw_slab *slab, uint32_t slot)
{
    const void *at = gw_slab_at(slab, slot);
    uint32_t next;

    gw_unpoison(at, sizeof next);
    memcpy(&next, at, sizeof next);
    gw_poison(at, sizeof next);
    return next;
}

static void push_free(struct gw_slab *slab, uint32_t slot)
{
    void *at = gw_slab_at(slab, slot);

    gw_unpoison(at, sizeof slab->free_head);
    memcpy(at, &slab->free_head, sizeof slab->free_head);
    gw_poison(at, slab->slot_bytes);
    slab->free_head = slot;
}

uint32_t gw_slab_acquire(struct gw_slab *slab)
{
    uint32_t slot = slab->free_head;

    if (slot != GW_NONE)
        slab->free_head = next_of(slab, slot);
    else if (slab->fresh < slab->slot_count)
        slot = slab->fresh++;
    else
        return GW_NONE;
    flip_bit(slab, slot);
    slab->taken_count++;
    gw_unpoison(gw_slab_at(slab, slot), slab->slot_bytes);
    return slot;
}

void gw_slab_release(struct gw_slab *slab, uint32_t slot)
{
    gw_assert(slot < slab->fresh);
    gw_assert(bit_of(slab, slot));
    flip_bit(slab, slot);
    slab->taken_count--;
    push_free(slab, slot);
}

bool gw_slab_is_taken(const struct gw_slab *slab, uint32_t slot)
{
    return slot < slab->fresh && bit_of(slab, slot);
}

void gw_slab_trim(struct gw_slab *slab)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint32_t fresh = slab->fresh;
    size_t from, to;

    while (fresh > 0 && !bit_of(slab, fresh - 1))
        fresh--;
    from = ((size_t)fresh * slab->slot_bytes + page_bytes - 1) / page_bytes * page_bytes;
    to = (size_t)slab->fresh * slab->slot_bytes;
    slab->fresh = fresh;
    slab->free_head = GW_NONE;
    while (fresh-- > 0)
        if (!bit_of(slab, fresh))
            push_free(slab, fresh);
    /* Slots that begin in front of `from` and are fresh now keep their page. */
    if (to > from)
        (void)madvise(slab->slots + from, to - from, MADV_DONTNEED);
}

void gw_slab_check(const struct gw_slab *slab)
{
    uint32_t free_count = 0;

    for (uint32_t slot = slab->free_head; slot != GW_NONE; slot = next_of(slab, slot)) {
        gw_assert(slot < slab->fresh && !bit_of(slab, slot));
        free_count++;
        gw_assert(free_count <= slab->fresh); /* no cycle */
    }
    gw_assert(free_count + slab->taken_count == slab->fresh);
}
