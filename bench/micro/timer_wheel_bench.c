/*
 * The timer wheel with a million nodes that lie where they lie in the gateway: one in each cache
 * line of an array of sessions.
 */
#include <stdlib.h>

#include <gw/base/timer_wheel.h>

#include "bench.h"

enum { NODES = 1 << 20, NODE_STRIDE = 64, BEAT_MS = 45000 };

extern const struct gw_bench_case bench_timer_wheel_cases[];

static struct gw_timer_wheel wheel;

static struct gw_instant at_ms(uint64_t ms)
{
    return (struct gw_instant){.ns = ms * GW_NS_PER_MS};
}

/* Every node armed, for some time within the next heartbeat. */
static void *fill_wheel(struct gw_bench *b, uint64_t *seed)
{
    void *nodes = calloc(NODES, NODE_STRIDE);

    b->memory_bytes = (uint64_t)NODES * NODE_STRIDE;
    if (nodes == NULL) {
        gw_bench_fail(b, "out of memory");
        return NULL;
    }
    gw_timer_wheel_init(&wheel, nodes, NODE_STRIDE, at_ms(0));
    for (uint32_t slot = 0; slot < NODES; slot++)
        gw_timer_arm(&wheel, slot, at_ms(1 + gw_bench_random(seed) % BEAT_MS));
    return nodes;
}

/*
 * Question: what does it cost to put a deadline off, for a device out of a million?
 * Expected: 250 ns: three to five cache lines of a 64 MiB array, each a miss: the node's own, its
 * neighbours where it was and the first where it goes. This is why the gateway does not re-arm on
 * every byte.
 * Found: 126 ns, on a machine whose third-level cache (105 MiB) holds the whole array: no miss goes
 * to memory.
 */
static void timer_rearm_1m(struct gw_bench *b)
{
    uint64_t seed = 3;
    void *nodes = fill_wheel(b, &seed);

    while (nodes != NULL && gw_bench_next(b)) {
        uint64_t random = gw_bench_random(&seed);

        gw_timer_arm(&wheel, (uint32_t)(random % NODES), at_ms(1 + (random >> 32) % BEAT_MS));
    }
    free(nodes);
}

/*
 * Question: what does a timer cost from firing to the next firing, a heartbeat later?
 * Expected: 400 ns: taken from its list, armed again, spread to a lower level once on its way; each
 * of the three touches it and a neighbour, and by then they are out of the cache.
 */
static void timer_fire_1m(struct gw_bench *b)
{
    uint64_t seed = 4, ms = 0;
    void *nodes = fill_wheel(b, &seed);

    while (nodes != NULL && gw_bench_next(b)) {
        uint32_t slot;

        while ((slot = gw_timer_wheel_pop(&wheel, at_ms(ms))) == GW_NONE)
            ms += GW_TIMER_TICK_MS;
        gw_timer_arm(&wheel, slot, at_ms(ms + BEAT_MS));
    }
    free(nodes);
}

const struct gw_bench_case bench_timer_wheel_cases[] = {
    {"timer_rearm_1m", timer_rearm_1m},
    {"timer_fire_1m", timer_fire_1m},
    {0},
};
