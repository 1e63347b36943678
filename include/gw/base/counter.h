/*
 * A counter with one writer and any number of readers: the writer's cost is a plain add, readers
 * see some recent value. Counters of one thread share that thread's own cache lines.
 */
#ifndef GW_BASE_COUNTER_H
#define GW_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct gw_counter {
    _Atomic uint64_t value;
};

static inline uint64_t gw_counter_read(const struct gw_counter *c)
{
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

static inline void gw_counter_set(struct gw_counter *c, uint64_t value)
{
    atomic_store_explicit(&c->value, value, memory_order_relaxed);
}

static inline void gw_counter_add(struct gw_counter *c, uint64_t by)
{
    gw_counter_set(c, gw_counter_read(c) + by);
}

static inline void gw_counter_sub(struct gw_counter *c, uint64_t by)
{
    gw_counter_set(c, gw_counter_read(c) - by);
}

#endif
