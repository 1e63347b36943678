/*
 * A pool of equal slots, known by number. Its memory is mapped once and touched only as slots are
 * used, so an empty slab costs address space, not pages. An empty pool is an ordinary answer.
 *
 * One thread. Released slots are poisoned under AddressSanitizer; the last released is the next
 * acquired (warm), and the contents of an acquired slot are whatever they were, but for its first 4
 * bytes: while it is free its link stands there. So a slot costs one bit beside its own bytes.
 */
#ifndef GW_BASE_SLAB_H
#define GW_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>

struct gw_slab {
    uint8_t *slots;      /* slot_count * slot_bytes, mapped                       */
    uint64_t *taken;     /* a bit a slot                                          */
    uint32_t slot_bytes; /* a multiple of 8                                       */
    uint32_t slot_count;
    uint32_t free_head; /* GW_NONE when every slot that was ever used is taken   */
    uint32_t fresh;     /* slots from here on are free, and have no pages yet    */
    uint32_t taken_count;
};

#define GW_SLAB_EMPTY ((struct gw_slab){.free_head = GW_NONE})

/* 0, or -ENOMEM. `slot_bytes` a multiple of 8, 0 < `slot_count` < GW_NONE. */
GW_MUST_USE int gw_slab_init(struct gw_slab *slab, uint32_t slot_bytes, uint32_t slot_count);
/* Safe on GW_SLAB_EMPTY and when called twice. */
void gw_slab_fini(struct gw_slab *slab);

/* A slot, or GW_NONE when all are taken. */
GW_MUST_USE uint32_t gw_slab_acquire(struct gw_slab *slab);
/* The slot must be taken (asserted: releasing twice is our mistake). */
void gw_slab_release(struct gw_slab *slab, uint32_t slot);
bool gw_slab_is_taken(const struct gw_slab *slab, uint32_t slot);

static inline void *gw_slab_at(const struct gw_slab *slab, uint32_t slot)
{
    return slab->slots + (size_t)slot * slab->slot_bytes;
}

/*
 * After a peak: gives pages back that lie behind the last taken slot, and from now on hands out low
 * slots first. Not for slots whose contents shall outlast their release.
 */
void gw_slab_trim(struct gw_slab *slab);

/* Asserts that free + taken + fresh slots make the whole, walking the free list. */
void gw_slab_check(const struct gw_slab *slab);

/* What gw_slab_init maps for these arguments: for the memory plan. */
uint64_t gw_slab_bytes(uint32_t slot_bytes, uint32_t slot_count);

#endif
