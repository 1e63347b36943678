/*
 * The uplink thread: takes sealed batches from every lane and makes them durable, one pwrite and
 * one fdatasync at a time over everything that has arrived. It owns the journal's writer.
 *
 * An acknowledgement may be given exactly when a lane's durable sequence covers it; that number is
 * published only after fdatasync returned 0. After a failed write or sync the segment is poisoned
 * and the batches that were not durable go to a new one; the sync is never retried.
 */
#ifndef GW_UPLINK_UPLINK_H
#define GW_UPLINK_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/defs.h>
#include <gw/journal/writer.h>
#include <gw/uplink/lane.h>

struct gw_uplink;

enum { GW_UPLINK_HANG_MS = 2000 };

struct gw_uplink_options {
    struct gw_journal_writer *writer; /* opened and recovered; the uplink uses it alone        */
    uint32_t lane_count;
    uint32_t batches_per_lane; /* buffers of GW_LANE_BATCH_BYTES, >= GW_LANE_BATCHES_MIN       */
    uint32_t gather_us; /* >= 1; what nobody waits for is sealed at its multiples, in all lanes */
    void (*wake)(void *context, uint32_t lane); /* from the uplink thread; must not block      */
    void *wake_context;
    /*
     * NULL, or told of batches that are on disk, before their lanes are: in the order of the log,
     * from the uplink thread. `position` is behind the last of them. It may wait, and then the
     * lanes do. `count` is 0 in idle moments, about once a second, and while nothing can be
     * written: that may be because of what the observer has yet to do with the log.
     */
    void (*observe)(void *context, const struct gw_bytes *batches, uint32_t count,
                    struct gw_journal_position position);
    void *observe_context;
};

/* 0 or -errno; after 0 the writer is the uplink's. The thread is not started. */
GW_MUST_USE int gw_uplink_create(const struct gw_uplink_options *options, struct gw_uplink **out);
/*
 * NULL is fine. The thread was stopped. The lock of the journal is let go, so whoever writes beside
 * it by that right (the last values) has ended. Where gw_uplink_stop was never called, the journal
 * is left as a crash would leave it.
 */
void gw_uplink_destroy(struct gw_uplink *uplink);

struct gw_lane *gw_uplink_lane(struct gw_uplink *uplink, uint32_t lane);

GW_MUST_USE int gw_uplink_start(struct gw_uplink *uplink);

/*
 * Drains what the lanes have sealed, syncs it, ends the journal cleanly and joins the thread; the
 * journal's lock stays. The shards must have flushed and stopped. When the disk fails, it tries for
 * 5 s and leaves what was never acknowledged.
 */
void gw_uplink_stop(struct gw_uplink *uplink);

/*
 * One pass by hand, for simulation and tests that run without the thread: writes and syncs what is
 * there. Returns how many batches became durable.
 */
uint32_t gw_uplink_step(struct gw_uplink *uplink);
/* By hand as well: what the thread does in an idle moment, with a second behind it. */
void gw_uplink_rest(struct gw_uplink *uplink);

/* How hard it is to make updates durable. A level holds for the worst lane. */
enum gw_pressure {
    GW_PRESSURE_NONE,
    GW_PRESSURE_SLOW, /* half of the batches are under way: they are sealed only when full        */
    GW_PRESSURE_FULL, /* all are: who has updates is not read                                     */
    GW_PRESSURE_STOPPED, /* nothing can be written: an error, or a write that does not return     */
};

struct gw_uplink_stat {
    uint64_t writes, syncs, bytes, batches;
    uint64_t failures;      /* segments poisoned                                            */
    uint64_t journal_bytes; /* on disk now                                                  */
    uint64_t held_bytes;    /* of these, kept for readers that have yet to pass them        */
    bool stalled;           /* nothing can be written now (disk full, errors, reader limit), */
                            /* or a write has not returned for GW_UPLINK_HANG_MS            */
    enum gw_pressure pressure;
};
void gw_uplink_stat(struct gw_uplink *uplink, struct gw_uplink_stat *out); /* any thread */

/*
 * The longest write and sync since the last call, in us, one that is under way included. Any
 * thread; one page asks for it.
 */
uint64_t gw_uplink_sync_us_max_take(struct gw_uplink *uplink);

#endif
