/*
 * A run of the swarm from beginning to end: fleets, phases, result.
 */
#ifndef SWARM_SWARM_H
#define SWARM_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet.h"
#include "histogram.h"
#include "options.h"
#include "process.h"

struct swarm_result {
    uint32_t devices, threads, sources, run;
    double ramp_s, measured_s;
    struct swarm_counts ramp;     /* when the measured time began        */
    struct swarm_counts measured; /* during the measured time            */
    struct swarm_counts total;    /* after everyone left; gauges are 0   */
    uint64_t sessions;            /* live when the measured time ended   */
    struct swarm_histogram ping_us, login_us, late_us;
    char failure[256]; /* the first TLS failure, as text      */
    bool gateway_seen; /* the following are filled            */
    struct swarm_process_usage gateway_before, gateway_begin, gateway_end;
};

/* 0, or the exit code after the reason was printed. */
GW_MUST_USE int swarm_run(const struct swarm_options *options, struct swarm_result *out);

/* The result for a person, on standard output. */
void swarm_report_text(const struct swarm_options *options, const struct swarm_result *result);
/* The result as JSON, to options->json. 0 or an exit code after the reason was printed. */
GW_MUST_USE int swarm_report_json(const struct swarm_options *options,
                                  const struct swarm_result *result);

/* The subcommand `verify`; argv[0] is its name. Returns the exit code. */
int swarm_verify(int argc, char **argv);

#endif
