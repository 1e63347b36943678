/*
 * What a shard's side of a lane (lane.c) and the uplink's side (uplink.c) share.
 *
 *     shard                                            uplink thread
 *       append -> open batch --seal--> sealed queue -----> pending --write, sync--> durable
 *          ^                                                                           |
 *          +---------------- home queue <--------------- buffers ---------------------+
 *
 * Each buffer is in exactly one place: home (the queue, or the shard's stack of spares that it is
 * emptied onto), open, sealed, or pending. The one that came home last is the next to be used, so a
 * lane touches as much of its memory as it has had under way at once.
 *
 * No wake-up is lost. All three sleepers use the same two-sided rule: who changes something stores
 * the change, passes a full fence, then loads the other's flag; who is about to sleep stores the
 * flag, passes a full fence, then loads what may have changed. The fences order the four accesses,
 * so at least one of the two sees the other:
 *
 *     who sleeps              flag it stores     what it looks at again    who changes that
 *     uplink, no work         asleep             every sealed queue        shard: push to sealed
 *     shard, for a sequence   wake_at            durable                   uplink: store durable
 *     shard, for buffers      wake_room          home queue                uplink: push to home
 *
 * Both may see each other; then the flag is taken by an exchange, and who gets it acts on it.
 */
#ifndef GW_UPLINK_INTERNAL_H
#define GW_UPLINK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <gw/base/counter.h>
#include <gw/base/spsc.h>
#include <gw/uplink/uplink.h>

#define GW_LANE_NO_WAKE UINT64_MAX

/* What goes through the sealed queue. */
struct gw_sealed {
    uint32_t buffer;
    uint32_t bytes;
    uint64_t sequence;
};

struct gw_lane {
    /* the shard's */
    struct gw_uplink *uplink;
    uint8_t *buffers;
    uint32_t buffer_count;
    uint32_t number;
    uint64_t epoch, seed;
    uint32_t open;       /* buffer of the open batch, or GW_NONE                      */
    uint32_t open_bytes; /* filled, header included                                   */
    uint32_t open_count; /* records                                                   */
    uint64_t sequence;   /* of the open batch, or of the last one when none is open   */
    uint64_t first_us, last_us;
    struct gw_instant opened;
    bool wanted; /* somebody waits for the open batch */
    uint64_t batches, records, bytes;

    struct gw_spsc sealed;        /* struct gw_sealed, shard to uplink     */
    struct gw_spsc home;          /* buffer numbers, uplink back to shard  */
    uint32_t *spares;             /* the shard's                           */
    _Atomic uint32_t spare_count; /* the shard writes it; it grows before the queue shrinks */

    _Alignas(GW_CACHE_LINE) _Atomic uint64_t durable; /* the uplink writes it                */
    _Alignas(GW_CACHE_LINE) _Atomic uint64_t wake_at; /* both exchange it; GW_LANE_NO_WAKE   */
    _Atomic uint32_t wake_room;                       /* both exchange it; 1: waits for room */
};

struct gw_pending {
    struct gw_lane *lane;
    struct gw_sealed sealed;
};

struct gw_uplink {
    struct gw_uplink_options options;
    struct gw_lane *lanes;
    bool started, finished;
    pthread_t thread;

    /* the uplink thread's */
    struct gw_pending *pending; /* room for every buffer of every lane */
    uint32_t pending_count;
    bool failing, behind; /* what was said of the journal, and of its readers */

    _Alignas(
        GW_CACHE_LINE) _Atomic uint32_t asleep; /* futex: 1 while the thread has nothing to do */
    _Atomic uint32_t stopping;

    /* single writer: the uplink thread */
    _Alignas(GW_CACHE_LINE) struct gw_counter writes;
    struct gw_counter syncs, bytes, batches, failures, journal_bytes, held_bytes;
    _Atomic uint64_t sync_us_max;
    _Atomic uint64_t disk_since_ns; /* what is asked of the disk now began; 0: nothing is */
    _Atomic uint32_t stalled;
};

/* Has the uplink nothing to do? A batch sealed now is on its way to the disk at once. */
static inline bool gw_uplink_is_idle(const struct gw_uplink *uplink)
{
    return atomic_load_explicit(&uplink->asleep, memory_order_relaxed) != 0;
}

/* After a push to a sealed queue: wakes the thread if it sleeps. */
void gw_uplink_poke(struct gw_uplink *uplink);

GW_MUST_USE int gw_lane_init(struct gw_lane *lane, struct gw_uplink *uplink, uint32_t number,
                             uint32_t buffer_count);
void gw_lane_fini(struct gw_lane *lane); /* safe on zeroed memory */

/* How many of its buffers are under way, as a level. Any thread. */
enum gw_pressure gw_lane_pressure(const struct gw_lane *lane);

/* The uplink's side: takes the wake that the shard asked for, if what it waits for has come. */
GW_MUST_USE bool gw_lane_wake_is_due(struct gw_lane *lane);

#endif
