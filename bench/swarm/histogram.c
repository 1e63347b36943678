/*
 * A log-linear histogram. Single-threaded: every thread fills its own, and they are merged once the
 * threads have ended.
 */
#include "histogram.h"

#include <math.h>

static uint32_t bucket_of(uint64_t us)
{
    uint32_t shift, bucket;

    if (us < UINT64_C(2) * SWARM_HISTOGRAM_SUB)
        return (uint32_t)us;
    shift = 63 - 5 - (uint32_t)__builtin_clzll(us); /* leaves 32..63: the top six bits */
    bucket = SWARM_HISTOGRAM_SUB * shift + (uint32_t)(us >> shift);
    return bucket < SWARM_HISTOGRAM_BUCKETS ? bucket : SWARM_HISTOGRAM_BUCKETS - 1;
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_end(uint32_t bucket)
{
    uint32_t shift;

    if (bucket < 2 * SWARM_HISTOGRAM_SUB)
        return bucket;
    shift = bucket / SWARM_HISTOGRAM_SUB - 1;
    return ((uint64_t)(bucket - SWARM_HISTOGRAM_SUB * shift + 1) << shift) - 1;
}

void swarm_histogram_add(struct swarm_histogram *h, uint64_t us)
{
    h->count++;
    h->sum_us += us;
    if (us > h->max_us)
        h->max_us = us;
    h->buckets[bucket_of(us)]++;
}

void swarm_histogram_merge(struct swarm_histogram *into, const struct swarm_histogram *from)
{
    into->count += from->count;
    into->sum_us += from->sum_us;
    if (from->max_us > into->max_us)
        into->max_us = from->max_us;
    for (uint32_t i = 0; i < SWARM_HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t swarm_histogram_at(const struct swarm_histogram *h, double quantile)
{
    uint64_t rank = (uint64_t)ceil(quantile * (double)h->count), seen = 0;

    if (h->count == 0)
        return 0;
    if (rank == 0)
        rank = 1;
    for (uint32_t i = 0; i < SWARM_HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank)
            return i + 1 < SWARM_HISTOGRAM_BUCKETS && bucket_end(i) < h->max_us ? bucket_end(i)
                                                                                : h->max_us;
    }
    return h->max_us;
}
