/*
 * A run of the swarm from beginning to end: fleets, phases, result.
 */
#ifndef SWARM_SWARM_H
#define SWARM_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "figures.h"
#include "fleet.h"
#include "histogram.h"
#include "machine.h"
#include "options.h"
#include "process.h"
#include "revoke.h"
#include "timeline.h"

struct swarm_result {
    uint32_t devices, threads, sources, run;
    double rate, churn; /* updates, and broken connections, a second: as planned */
    double ramp_s, measured_s;
    struct swarm_machine machine;
    struct swarm_counts ramp;     /* when the measured time began        */
    struct swarm_counts measured; /* during the measured time            */
    struct swarm_counts total;    /* after everyone left; gauges are 0   */
    uint64_t sessions;            /* live when the measured time ended   */
    struct swarm_histogram ping_us, login_us, late_us;
    char failure[256]; /* the first TLS failure, as text      */
    bool gateway_seen; /* the following are filled            */
    struct swarm_process_usage gateway_before, gateway_up, gateway_begin, gateway_end;
    /* With everyone up and idle: after the ramp; in a storm after the last was in. */
    struct swarm_process_usage gateway_idle;
    struct swarm_slab slab_before, slab_idle;
    uint64_t sessions_idle;                          /* 0: there was no such moment */
    struct swarm_process_usage own_before, own_idle; /* of this process                        */
    uint32_t device_bytes;                           /* of it, as planned, for an idle device  */
    double away_s;   /* --restart: from everyone up to the gateway serving again              */
    double capacity; /* overload: logins a second while nobody waits                     */
    double measured_at_s; /* when the measured time began, as timeline tells time           */
    uint32_t crowd;       /* overload: how many that were                                     */
    struct swarm_revoked revoked;
    struct swarm_timeline timeline;
};

/* 0, or the exit code after the reason was printed. */
GW_MUST_USE int swarm_run(const struct swarm_options *options, struct swarm_result *out);

/* The figures of a run; `lost` is for `verify` to find out. */
void swarm_figures_of(const struct swarm_options *options, const struct swarm_result *result,
                      double out[SWARM_FIGURES]);

/* The result for a person, on standard output. */
void swarm_report_text(const struct swarm_options *options, const struct swarm_result *result);
/* The result as JSON, to options->json. 0 or an exit code after the reason was printed. */
GW_MUST_USE int swarm_report_json(const struct swarm_options *options,
                                  const struct swarm_result *result);

/* Subcommands; argv[0] is their name. They return the exit code. */
int swarm_verify(int argc, char **argv);
int swarm_handshake(int argc, char **argv);
int swarm_compare(int argc, char **argv);
int swarm_plot(int argc, char **argv);

#endif
