/*
 * Time. An instant is monotonic nanoseconds and a type of its own, so that the compiler keeps it
 * apart from durations and wheel ticks. Wall time is only for people and records, never for a
 * deadline. Inside a shard nobody calls these: time comes with each turn of the loop
 * (gw/io/ring.h), so that a simulated clock drives the same code.
 */
#ifndef GW_BASE_CLOCK_H
#define GW_BASE_CLOCK_H

#include <stdint.h>

#define GW_NS_PER_US UINT64_C(1000)
#define GW_NS_PER_MS UINT64_C(1000000)
#define GW_NS_PER_S  UINT64_C(1000000000)

struct gw_instant {
    uint64_t ns; /* CLOCK_MONOTONIC */
};

struct gw_instant gw_clock_now(void);

/* What the calling thread has had of the processor. A call of the kernel. */
uint64_t gw_clock_thread_ns(void);

/* CLOCK_REALTIME in microseconds since 1970. */
uint64_t gw_clock_wall_us(void);

static inline struct gw_instant gw_instant_after(struct gw_instant at, uint64_t ns)
{
    return (struct gw_instant){.ns = at.ns + ns};
}

/* How long from `from` to `to`; 0 if `to` is not later. */
static inline uint64_t gw_ns_between(struct gw_instant from, struct gw_instant to)
{
    return to.ns > from.ns ? to.ns - from.ns : 0;
}

#endif
