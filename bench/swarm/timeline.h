/*
 * What a run looked like over time, in a bounded number of samples: when they are all taken, every
 * other one is dropped and the rest come half as often.
 */
#ifndef SWARM_TIMELINE_H
#define SWARM_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

enum { SWARM_TIMELINE_SAMPLES = 512, SWARM_TIMELINE_MS_FIRST = 500 };

struct swarm_sample {
    double at_s; /* since the start */
    uint64_t sessions, connecting, logins, sent, acked, failed, gateway_rss_bytes;
};

struct swarm_timeline {
    uint32_t count, every_ms; /* every_ms 0: nothing was taken yet */
    struct swarm_sample samples[SWARM_TIMELINE_SAMPLES];
};

bool swarm_timeline_is_due(const struct swarm_timeline *timeline, double at_s);
void swarm_timeline_add(struct swarm_timeline *timeline, const struct swarm_sample *sample);

#endif
