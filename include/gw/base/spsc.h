/*
 * A bounded queue between two threads: one pushes, one pops, no lock. Items are copied.
 */
#ifndef GW_BASE_SPSC_H
#define GW_BASE_SPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>

struct gw_spsc {
    uint8_t *items;
    uint32_t item_bytes;
    uint32_t mask;                                 /* capacity - 1 */
    _Alignas(GW_CACHE_LINE) _Atomic uint32_t head; /* the popper's */
    uint32_t tail_seen;                            /* the popper's copy of tail */
    _Alignas(GW_CACHE_LINE) _Atomic uint32_t tail; /* the pusher's */
    uint32_t head_seen;                            /* the pusher's copy of head */
};

/* 0 or -ENOMEM; capacity is rounded up to a power of two. */
GW_MUST_USE int gw_spsc_init(struct gw_spsc *queue, uint32_t item_bytes, uint32_t capacity);
void gw_spsc_fini(struct gw_spsc *queue);

/* False when full / empty. */
GW_MUST_USE bool gw_spsc_push(struct gw_spsc *queue, const void *item);
GW_MUST_USE bool gw_spsc_pop(struct gw_spsc *queue, void *item);
/* Any thread; exact for the pusher and the popper, a recent value for others. */
uint32_t gw_spsc_count(const struct gw_spsc *queue);

#endif
