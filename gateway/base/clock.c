#include <gw/base/clock.h>

#include <time.h>

struct gw_instant gw_clock_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct gw_instant){.ns = (uint64_t)ts.tv_sec * GW_NS_PER_S + (uint64_t)ts.tv_nsec};
}

uint64_t gw_clock_thread_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * GW_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t gw_clock_wall_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}
