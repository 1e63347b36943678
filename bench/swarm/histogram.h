/*
 * Latencies: how many fell where, at a relative error of at most 1/32, in 9 KiB whatever the range.
 * Values below 64 us are counted one by one; above, each power of two has 32 buckets.
 */
#ifndef SWARM_HISTOGRAM_H
#define SWARM_HISTOGRAM_H

#include <stdint.h>

enum {
    SWARM_HISTOGRAM_SUB = 32, /* buckets for a power of two                                  */
    SWARM_HISTOGRAM_OCTAVES = 36,
    SWARM_HISTOGRAM_BUCKETS = SWARM_HISTOGRAM_SUB * (SWARM_HISTOGRAM_OCTAVES + 1),
};

struct swarm_histogram {
    uint64_t count, sum_us, max_us;
    uint64_t buckets[SWARM_HISTOGRAM_BUCKETS];
};

/* Values beyond the last bucket (about 25 days) are counted in it; max_us stays exact. */
void swarm_histogram_add(struct swarm_histogram *h, uint64_t us);
void swarm_histogram_merge(struct swarm_histogram *into, const struct swarm_histogram *from);

/*
 * The value that `quantile` (0 to 1) of all values do not exceed, rounded up to its bucket's end
 * and never above max_us. 0 when nothing was added.
 */
uint64_t swarm_histogram_at(const struct swarm_histogram *h, double quantile);

#endif
