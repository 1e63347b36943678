/*
 * Google Benchmark behind the C face of micro/bench.h.
 *
 * The loop's counter lives in struct gw_bench and is counted down inline: a call into this file for
 * every turn would cost as much as the smaller of the things that are measured. Google Benchmark is
 * asked twice, when the loop begins and when it ends, for all turns of the run at once.
 */
#include <benchmark/benchmark.h>

#include "micro/bench.h"

namespace
{
bool failed;

benchmark::State &state_of(gw_bench *b)
{
    return *static_cast<benchmark::State *>(b->state);
}

template <typename Run> void add(const char *name, Run run)
{
    benchmark::RegisterBenchmark(name, [run](benchmark::State &state) {
        gw_bench b = {0, 0, 0, 0, &state};

        run(&b);
        state.SetItemsProcessed(state.iterations());
        if (b.bytes_each > 0)
            state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(b.bytes_each));
        if (b.memory_bytes > 0)
            state.counters["memory"] =
                benchmark::Counter(static_cast<double>(b.memory_bytes),
                                   benchmark::Counter::kDefaults, benchmark::Counter::kIs1024);
        if (b.other_cpu_ns > 0)
            state.counters["other_cpu_ns"] = benchmark::Counter(static_cast<double>(b.other_cpu_ns),
                                                                benchmark::Counter::kAvgIterations);
    });
}
} // namespace

bool gw_bench_begin_or_end(gw_bench *b)
{
    benchmark::State &state = state_of(b);

    if (!state.KeepRunningBatch(state.max_iterations))
        return false;
    b->left = static_cast<uint64_t>(state.max_iterations) - 1; /* this turn is the first */
    return true;
}

void gw_bench_pause(gw_bench *b)
{
    state_of(b).PauseTiming();
}

void gw_bench_resume(gw_bench *b)
{
    state_of(b).ResumeTiming();
}

void gw_bench_fail(gw_bench *b, const char *why)
{
    failed = true;
    state_of(b).SkipWithError(why);
}

int gw_bench_main(int argc, char **argv, const gw_bench_suite *suites, size_t suite_count)
{
    for (size_t i = 0; i < suite_count; i++) {
        const gw_bench_grid *grid = suites[i].grid;
        char name[128];

        for (const gw_bench_case *c = suites[i].cases; c != nullptr && c->name != nullptr; c++)
            add(c->name, c->run);
        for (size_t at = 0; grid != nullptr; at++) {
            const gw_bench_place place = grid->name(at, name, sizeof name);

            if (place == GW_BENCH_END)
                break;
            if (place == GW_BENCH_CASE)
                add(name, [grid, at](gw_bench *b) { grid->run(b, at); });
        }
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 64;
    if (benchmark::RunSpecifiedBenchmarks() == 0)
        return 1;
    benchmark::Shutdown();
    return failed ? 1 : 0;
}
