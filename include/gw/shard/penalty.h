/*
 * Devices that must wait before they may log in again: one board with firmware of another product
 * comes back every 5 s for ever, so each mismatch doubles the time in which its token is refused
 * (with 6, at once, without reading the rest), up to a maximum. It never touches other devices.
 *
 * One table for all shards: fixed in size, 4 entries a set, relaxed atomics. A set that is full
 * forgets the entry that ends first: a flood of mismatching devices weakens only the delay.
 */
#ifndef GW_SHARD_PENALTY_H
#define GW_SHARD_PENALTY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <gw/base/clock.h>

enum { GW_PENALTY_SETS = 1024, GW_PENALTY_WAYS = 4 };

struct gw_penalty_table {
    struct gw_penalty {
        _Atomic uint32_t device;   /* 0: free                                                  */
        _Atomic uint32_t strikes;  /* mismatches so far                                        */
        _Atomic uint64_t until_ns; /* refused before this instant                             */
    } entries[GW_PENALTY_SETS][GW_PENALTY_WAYS];
};

/* Must this device still wait? Any thread. */
bool gw_penalty_applies(const struct gw_penalty_table *table, uint32_t device,
                        struct gw_instant now);

/*
 * Another mismatch of this device: refused for first_s, doubling to max_s. A device that kept away
 * for twice its last delay starts anew. Any thread. Returns how many strikes it has now.
 */
uint32_t gw_penalty_add(struct gw_penalty_table *table, uint32_t device, struct gw_instant now,
                        uint32_t first_s, uint32_t max_s);

#endif
