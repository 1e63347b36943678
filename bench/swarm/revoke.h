/*
 * Tokens that are taken away while their devices are connected, one commit each, as tollgatectl
 * does it; and for how long the devices still were. Every other one is made to log in again at that
 * very moment, so that the change meets logins at each of their steps.
 *
 * A thread of its own changes the index. Fleets see their devices' ends and note them.
 */
#ifndef SWARM_REVOKE_H
#define SWARM_REVOKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <gw/base/clock.h>
#include <gw/base/defs.h>

#include "histogram.h"

/* Instants as nanoseconds of gw_clock_now; 0: not yet. */
struct swarm_revocation {
    uint32_t device;                /* its place among the tokens                           */
    bool returns;                   /* it is made to log in again                           */
    struct gw_instant return_at;    /* when, if it is                                       */
    struct gw_instant due;          /* of the commit                                        */
    _Atomic uint64_t committed_ns;  /* when it was on the disk                              */
    _Atomic uint64_t last_alive_ns; /* the end of a session of the device, the newest       */
    atomic_bool refused;            /* a login was answered 9                               */
};

struct swarm_revocations {
    struct swarm_revocation *items; /* in the order in which they are due                   */
    uint32_t *by_device;            /* their numbers, in the order of their devices         */
    uint32_t count;
    const char *index;
    atomic_bool stop;
    const char *failure; /* NULL, or why the index could not be changed; once it has ended */
    int error;
};

/* `count` of `devices`, chosen evenly. False: no memory. */
GW_MUST_USE bool swarm_revocations_create(uint32_t count, uint32_t devices, const char *index,
                                          struct swarm_revocations **out);
void swarm_revocations_destroy(struct swarm_revocations *all); /* NULL is fine */

/* From `begin` on, over so many seconds; before any fleet looks. */
void swarm_revocations_schedule(struct swarm_revocations *all, struct gw_instant begin,
                                double seconds);
/* Makes the changes; the thread's function, `context` is the struct swarm_revocations. */
void *swarm_revocations_run(void *context);

/* A connection of the device came to its end: it was logged in, or was answered 9, or neither. */
void swarm_revocations_note(struct swarm_revocations *all, uint32_t device, bool was_live,
                            bool refused);

struct swarm_revoked {
    uint32_t asked, committed;
    uint32_t at_login; /* refused without having been logged in after the commit         */
    uint32_t left;     /* neither ended nor refused                                       */
    struct swarm_histogram delay_us; /* of all others: from the commit to the end seen here */
};

/* How it stands. True: every one was made, and its device was told that it may not come again. */
bool swarm_revocations_count(const struct swarm_revocations *all, struct swarm_revoked *out);

#endif
