/*
 * One gateway after the other on the same disk: each begins with what the one before left there,
 * and ends in peace, or by a kill, or with the machine's power. Of what a program has, here are the
 * log, the uplink, the last values and the shards, without their threads.
 */
#ifndef SIM_LIFE_H
#define SIM_LIFE_H

#include <gw/shard/shard.h>
#include <gw/uplink/uplink.h>

#include "ledger.h"
#include "pretend_disk.h"

enum { SHARDS_MAX = 3 };

struct life {
    /* of all of them */
    struct chance *chance;
    struct ledger *ledger;
    struct gw_index *index;
    struct pretend_disk *disk;
    struct gw_shard_options shard; /* as every shard has it, but for what belongs to one life */
    uint32_t shard_count;
    uint32_t segment_bytes, batches_per_lane, checkpoint_s;
    uint64_t log_bytes_max, keep_s; /* 0: no bound */
    uint32_t fail_one_in;           /* operations of the disk */
    bool disk_has_failed;           /* in one way or another */
    bool ended_clean;               /* the one before this */
    struct life_counts {
        uint64_t lives, kills, power_cuts, starts_refused, logins, takeovers, requests, revocations;
    } counts;

    /* of this one */
    struct gw_shard *shards[SHARDS_MAX];
    struct gw_ring *rings[SHARDS_MAX];
    bool ended[SHARDS_MAX];
    uint64_t sleeps_until_ns[SHARDS_MAX]; /* unless it is woken */
    struct gw_uplink *uplink;
    struct gw_values *values;
    struct gw_values_reader *reader;
    struct gw_penalty_table *penalties;
};

/* Starts a gateway, as often as it takes; the log must have all that it must have. */
void life_begin(struct life *life);
/* The disk is dead, or the process dies now. Whoever was connected is cut off. */
void life_kill(struct life *life);
/* What a reader of the log sees now. */
void life_follow_log(struct life *life, bool marked);
/* What the thread of the last values does: a checkpoint that failed is tried again. */
void life_step_values(struct life *life);
/* The log is no longer than it may be, and what is said of it is so. */
void life_check_log(struct life *life);
/* Of what waits for the disk something is durable, and was not answered yet. */
bool life_owes_answers(const struct life *life, uint32_t shard);
extern const char life_log_path[];
/* Every shard has ended. */
void life_end(struct life *life);

#endif
