/*
 * Samples of a run, thinned as it goes on.
 */
#include "timeline.h"

#include <stddef.h>

bool swarm_timeline_is_due(const struct swarm_timeline *timeline, double at_s)
{
    return timeline->count == 0 ||
           at_s >= timeline->samples[timeline->count - 1].at_s + timeline->every_ms / 1000.0;
}

void swarm_timeline_add(struct swarm_timeline *timeline, const struct swarm_sample *sample)
{
    if (timeline->every_ms == 0)
        timeline->every_ms = SWARM_TIMELINE_MS_FIRST;
    if (timeline->count == SWARM_TIMELINE_SAMPLES) {
        for (uint32_t i = 0; i < SWARM_TIMELINE_SAMPLES / 2; i++)
            timeline->samples[i] = timeline->samples[(size_t)2 * i];
        timeline->count = SWARM_TIMELINE_SAMPLES / 2;
        timeline->every_ms *= 2;
    }
    timeline->samples[timeline->count++] = *sample;
}
