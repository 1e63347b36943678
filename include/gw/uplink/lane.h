/*
 * A lane: the way of a shard's updates to the journal. The shard appends records to its open batch;
 * sealed batches go through a lock-free queue to the uplink thread, which writes and syncs them and
 * publishes how far the lane is durable. Batch buffers are a fixed set, on loan to one side or the
 * other, so a slow disk shows as a lane without room and never as growing memory.
 *
 * All gw_lane_* functions below are for the one shard thread that owns the lane.
 */
#ifndef GW_UPLINK_LANE_H
#define GW_UPLINK_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/clock.h>
#include <gw/base/defs.h>
#include <gw/journal/record.h>

enum {
    GW_LANE_BATCH_BYTES = 65536,      /* header included                                          */
    GW_LANE_BATCHES_MIN = 8,          /* buffers per lane                                         */
    GW_LANE_RECORD_BYTES_MAX = 65000, /* of one encoded record                               */
    GW_LANE_ROOM_BYTES_MAX = 130000,  /* the most that gw_lane_has_room may be asked for     */
};

struct gw_lane;

/*
 * Room for at least `bytes` more of encoded records (gw_record_bytes each), however they fall on
 * batch boundaries? Asked before input is taken, for at most GW_LANE_ROOM_BYTES_MAX; without room
 * the input stays in the socket. A yes holds until the next gw_lane_flush.
 */
bool gw_lane_has_room(const struct gw_lane *lane, size_t bytes);

/*
 * Copies the record into the open batch, sealing a full one first. Returns the sequence number of
 * the batch that holds it: durable when gw_lane_durable() reaches it. There must be room.
 */
uint64_t gw_lane_append(struct gw_lane *lane, const struct gw_record *record, uint64_t wall_us,
                        struct gw_instant now);

/*
 * Once per loop turn: seals the open batch when it is due (someone waits for it (`urgent`), or a
 * multiple of gw_uplink_options.gather_us has come) and pokes the uplink. A sync costs as much as
 * dozens of updates, so for updates that nobody waits for the disk is not asked more often, idle or
 * not. While it is slow, that is with more than half of the buffers on their way and the uplink at
 * work, only a full batch is sealed, so that the rest holds as much as it can.
 */
void gw_lane_flush(struct gw_lane *lane, bool urgent, struct gw_instant now);

/* Seals the open batch, whatever speaks against it: before the shard stops for good. */
void gw_lane_seal(struct gw_lane *lane);

/* After a peak: gives back the pages of the buffers that are at home. */
void gw_lane_trim(struct gw_lane *lane);

/* When gw_lane_flush must be called again at the latest: ns from `now`, UINT64_MAX for never. */
uint64_t gw_lane_flush_due(const struct gw_lane *lane, struct gw_instant now);

/* Sequence numbers start at 1; everything up to and including this one is on disk. */
uint64_t gw_lane_durable(const struct gw_lane *lane);

/* Of the batch that gw_lane_append last wrote to, sealed or not; 0 before the first. */
uint64_t gw_lane_open_sequence(const struct gw_lane *lane);

/*
 * Asks for one wake (gw_uplink_options.wake) once `sequence` is durable, or (`sequence` = 0) once
 * half of the buffers are at home, which is room for GW_LANE_ROOM_BYTES_MAX. Returns false when
 * that is so already: then no wake comes. Of several sequences asked for, the lowest counts.
 * Whoever waits for the open batch flushes it (`urgent`), before or after.
 */
bool gw_lane_wake_at(struct gw_lane *lane, uint64_t sequence);

struct gw_lane_stat {
    uint64_t batches, records, bytes; /* sealed so far            */
    uint32_t buffers_free, buffers;   /* now                      */
};
void gw_lane_stat(const struct gw_lane *lane, struct gw_lane_stat *out);

#endif
