/*
 * A ring that takes everything and completes nothing, linked in place of the real one.
 */
#ifndef TESTS_UNIT_SHARD_STILL_RING_H
#define TESTS_UNIT_SHARD_STILL_RING_H

#include <stdint.h>

extern unsigned still_ring_sends;
extern uint64_t still_ring_now_ns; /* what the ring's clock shows; 100 s to begin with */

#endif
