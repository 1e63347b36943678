/*
 * tollgate-microbench: every benchmark of bench/micro in one program. Takes Google Benchmark's
 * options, --benchmark_filter=REGEX and --benchmark_repetitions=N among them.
 */
#include "bench.h"

#define GW_BENCH_SUITE(name) extern const struct gw_bench_case bench_##name##_cases[];
#define GW_BENCH_GRID(name)  extern const struct gw_bench_grid bench_##name##_grid;
#include "suites.def"
#undef GW_BENCH_SUITE
#undef GW_BENCH_GRID

int main(int argc, char **argv)
{
    static const struct gw_bench_suite suites[] = {
#define GW_BENCH_SUITE(name) {.cases = bench_##name##_cases},
#define GW_BENCH_GRID(name)  {.grid = &bench_##name##_grid},
#include "suites.def"
#undef GW_BENCH_SUITE
#undef GW_BENCH_GRID
    };

    return gw_bench_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}
