/*
 * A hierarchical timer wheel over slots: 6 levels of 64 lists, ticks of 64 ms, counted in 32 bits
 * from the start (8.7 years; later deadlines are clamped to that). Nodes live inside the owner's
 * array (12 bytes each, links are slots). Arming, disarming and firing cost O(1), and a wheel on
 * which nothing is armed costs nothing: gw_timer_wheel_next tells how long the loop may sleep.
 *
 * A timer never fires early and at most one tick late (plus how late the loop runs).
 */
#ifndef GW_BASE_TIMER_WHEEL_H
#define GW_BASE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/clock.h>
#include <gw/base/defs.h>

enum { GW_TIMER_LEVELS = 6, GW_TIMER_LISTS = 64, GW_TIMER_TICK_MS = 64 };

struct gw_timer_node {
    uint32_t next, prev;    /* neighbours, as slots; prev carries the list when first in it */
    uint32_t deadline_tick; /* 0 while not armed                                            */
};

struct gw_timer_wheel {
    uint8_t *nodes; /* address of slot 0's node            */
    size_t stride;  /* bytes from one slot's node to the next */
    struct gw_instant start;
    uint32_t tick; /* everything due at or before it has fired */
    uint32_t armed_count;
    uint32_t lists[GW_TIMER_LEVELS][GW_TIMER_LISTS]; /* first slot, or GW_NONE */
    uint64_t filled[GW_TIMER_LEVELS];                /* bit i: lists[level][i] is not empty */
};

void gw_timer_wheel_init(struct gw_timer_wheel *wheel, void *nodes, size_t stride,
                         struct gw_instant start);

/* Arms or re-arms. `at` in the past fires at the next tick. */
void gw_timer_arm(struct gw_timer_wheel *wheel, uint32_t slot, struct gw_instant at);
/* Nothing happens when it is not armed. */
void gw_timer_disarm(struct gw_timer_wheel *wheel, uint32_t slot);
bool gw_timer_is_armed(const struct gw_timer_wheel *wheel, uint32_t slot);

/*
 * Takes one due timer off the wheel, or GW_NONE when none is due at `now`. Call until GW_NONE;
 * the caller may arm and disarm any slot in between.
 */
GW_MUST_USE uint32_t gw_timer_wheel_pop(struct gw_timer_wheel *wheel, struct gw_instant now);

/* How long until something may be due, in ns; 0 if something is; UINT64_MAX when nothing is armed.
 */
uint64_t gw_timer_wheel_next(const struct gw_timer_wheel *wheel, struct gw_instant now);

/* Asserts that lists, bits and counts agree. */
void gw_timer_wheel_check(const struct gw_timer_wheel *wheel);

#endif
