/*
 * How a benchmark is written here: a C function with its set-up before the loop.
 *
 *     static void frame_decode(struct gw_bench *b)
 *     {
 *         ...
 *         while (gw_bench_next(b))
 *             gw_bench_keep(...);
 *     }
 *
 *     const struct gw_bench_case bench_frame_cases[] = {{"frame_decode", frame_decode}, {0}};
 *
 * (or a grid of them, see below) plus a line in suites.def and the file's name in CMakeLists.txt. A
 * function runs several times, with more turns each time until its time is long enough; set-up is
 * paid every time and not measured. Inputs are seeded (gw_bench_random), so every run does the same
 * work.
 */
#ifndef GW_BENCH_H
#define GW_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gw_bench {
    uint64_t left;         /* turns still to go; the shim's                                   */
    uint64_t bytes_each;   /* set it when a turn touches this many bytes, and only then       */
    uint64_t memory_bytes; /* set it to say how large the data is that turns pick from        */
    uint64_t other_cpu_ns; /* set it to what other threads of ours worked during all turns    */
    void *state;           /* the shim's                                                      */
};

struct gw_bench_case {
    const char *name; /* NULL ends a table */
    void (*run)(struct gw_bench *b);
};

/*
 * Benchmarks that are the same function at the places of a grid (suite by size by ...): places are
 * numbered from 0, and `name` says what to do with each.
 */
enum gw_bench_place {
    GW_BENCH_CASE, /* `out` has its name                             */
    GW_BENCH_SKIP, /* there is no such thing, or nobody asked for it */
    GW_BENCH_END,  /* the grid has no place with this number         */
};

struct gw_bench_grid {
    enum gw_bench_place (*name)(size_t at, char *out, size_t out_bytes);
    void (*run)(struct gw_bench *b, size_t at);
};

struct gw_bench_suite {
    const struct gw_bench_case *cases; /* or NULL */
    const struct gw_bench_grid *grid;  /* or NULL */
};

/* Starts the clock, or stops it after the last turn. Called by gw_bench_next. */
bool gw_bench_begin_or_end(struct gw_bench *b);

static inline bool gw_bench_next(struct gw_bench *b)
{
    if (__builtin_expect(b->left > 0, 1)) {
        b->left--;
        return true;
    }
    return gw_bench_begin_or_end(b);
}

/* Stops and restarts the clock within the loop, for input that is used up. Costs about 1 us. */
void gw_bench_pause(struct gw_bench *b);
void gw_bench_resume(struct gw_bench *b);

/* The benchmark cannot be run, or gave a wrong result; the program will end with 1. */
void gw_bench_fail(struct gw_bench *b, const char *why);

/* What `p` points to counts as used and as changed: the compiler may not drop or hoist it. */
static inline void gw_bench_keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* splitmix64: the same numbers for the same seed, everywhere. */
static inline uint64_t gw_bench_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int gw_bench_main(int argc, char **argv, const struct gw_bench_suite *suites, size_t suite_count);

#ifdef __cplusplus
}
#endif

#endif
