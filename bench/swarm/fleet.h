/*
 * One thread's part of the swarm: its devices, its connections, its timers, its counts. Fleets
 * share nothing but the phase they are told to be in, so a million devices are fifty fleets, each
 * with a descriptor table of its own.
 */
#ifndef SWARM_FLEET_H
#define SWARM_FLEET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <gw/base/clock.h>
#include <gw/base/counter.h>
#include <gw/base/timer_wheel.h>
#include <gw/wire/token_text.h>

#include "histogram.h"
#include "link.h"
#include "options.h"

enum swarm_phase {
    SWARM_RAMPING,     /* devices come up                                                   */
    SWARM_CALIBRATING, /* overload: how many can be let in                                  */
    SWARM_MEASURING,   /* all are up (or had their chance): load runs and counts            */
    SWARM_DRAINING,    /* no load; last acknowledgements are awaited, then everyone leaves  */
};

#define SWARM_CAUSE(name, word, text) SWARM_CAUSE_##name,
enum swarm_cause {
#include "causes.def"
    SWARM_CAUSES
};
#undef SWARM_CAUSE

extern const char *const swarm_cause_words[SWARM_CAUSES];
extern const char *const swarm_cause_texts[SWARM_CAUSES];

/* Written by the fleet's thread, read by anyone. */
struct swarm_counts {
    struct gw_counter started;    /* devices whose turn in the ramp has come      */
    struct gw_counter connecting; /* attempts between connect and login's answer  */
    struct gw_counter sessions;   /* live now                                     */
    struct gw_counter out;        /* told status 9: out of service                */
    struct gw_counter attempts, logins, handshakes;
    struct gw_counter half_done;    /* handshakes that were answered, and not done       */
    struct gw_counter churned;      /* connections of ours that were cut on purpose  */
    struct gw_counter tls12, tls13; /* logins by version                            */
    struct gw_counter tls12_resumed, tls13_resumed;
    struct gw_counter tls_kept; /* logins whose session keeps its SSL object    */
    struct gw_counter sent, acked, skipped;
    struct gw_counter pings, pongs, merged, heartbeats;
    struct gw_counter server_pings;
    struct gw_counter failures[SWARM_CAUSES];
};

/* Of every cause. */
uint64_t swarm_failure_count(const struct swarm_counts *counts);

struct swarm_device;
struct swarm_dialect;

/* Things due at a steady rate: the k-th is due at start + k * interval, however late we are. */
struct swarm_pacer {
    struct gw_instant start;
    double interval_ns; /* 0: always due        */
    uint64_t done;
};

struct swarm_fleet {
    /* Set before the thread starts. */
    const struct swarm_options *options;
    const struct swarm_dialect *dialect;
    const _Atomic int *phase;                  /* enum swarm_phase */
    const char (*tokens)[GW_TOKEN_TEXT_BYTES]; /* of device `first` and the following */
    uint32_t first, device_count;
    uint32_t run;         /* of the ledger */
    FILE *ledger, *told;  /* or NULL       */
    bool own_descriptors; /* takes a descriptor table of its own */
    double ramp, rate;    /* this fleet's share                  */
    uint64_t at_once;     /* the same                            */
    double churn;         /* mixed: the same                     */
    bool comes_and_goes;  /* devices log in only to leave again  */
    uint32_t calibrating; /* overload: devices that do so while the capacity is measured */
    uint32_t crowd;       /* overload: and afterwards; set before that phase              */
    struct swarm_revocations *revocations; /* of all fleets, or NULL */

    /* The thread's own. */
    struct swarm_links *links;
    struct swarm_device *devices;
    struct gw_timer_wheel wheel;
    struct gw_instant start, now;
    int epoll;
    enum swarm_phase seen_phase;
    struct swarm_pacer starts, load, churns;
    uint32_t next_start;  /* hold, publish: the next device of the ramp         */
    uint32_t next_update; /* publish: whose turn it is                          */
    uint32_t *idle;       /* login: devices that may start, a ring; else NULL   */
    uint32_t idle_head, idle_count;
    uint32_t storm_next;  /* storm: the next device to be cut off and started   */
    uint32_t return_next; /* revoke: the next that may have to log in again    */
    uint32_t drain_next;

    /* Read by others at any time; and after the thread has ended. */
    struct swarm_counts counts;
    struct swarm_histogram ping_us, login_us, late_us; /* of the measured time */
    uint32_t link_bytes;     /* of TLS, of the device that came up last                         */
    char failure[256];       /* text of the first TLS failure; or why the fleet could not start */
    bool failed;             /* the fleet could not start                                       */
    atomic_bool storm_begun; /* everyone was cut off and started */
    atomic_bool ended;
};

/* In the ramp, and as many attempts are under way as may be: more would only take each other's
 * time. */
bool swarm_fleet_is_busy(const struct swarm_fleet *fleet);

/* Overload: whoever has left, or was not let in, comes back after its back-off. */
bool swarm_fleet_is_crowding(const struct swarm_fleet *fleet);

/* The thread's function; `context` is the fleet. */
void *swarm_fleet_run(void *context);

#endif
