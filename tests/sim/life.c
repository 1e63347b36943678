#include "life.h"

#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <shard_internal.h>
#include <values_internal.h>

#include "pretend_ring.h"
#include "pretend_store.h"
#include "pretend_tls.h"

enum {
    HASH_SEED = 12345,
    REPAIRED_AFTER = 20, /* starts that were refused: somebody looks after the disk */
    STARTS_MAX = 60,
};

const char life_log_path[] = "/sim";

/* ---- the log ---- */

static bool open_log(struct life *life, struct gw_journal_writer **writer,
                     struct gw_journal_recovery *found)
{
    struct gw_journal_options journal = {
        .path = life_log_path,
        .segment_bytes = life->segment_bytes,
        .bytes_max = life->log_bytes_max,
        .keep_s = life->keep_s,
        .zero_ahead_bytes = 8 << 10,
        .seed = HASH_SEED,
        .io = pretend_disk_io(life->disk),
    };
    struct gw_values_options options = {
        .path = "/sim/values",
        .journal_path = life_log_path,
        .journal_io = journal.io,
        .memory_bytes = GW_VALUES_MEMORY_BYTES_MIN,
        .checkpoint_s = life->checkpoint_s,
    };
    struct gw_values_recovery values;
    struct gw_journal_writer_stat stat;
    char why[512];

    if (gw_journal_writer_open(&journal, writer, found, why, sizeof why) != 0)
        return false;
    gw_assert(found->damaged_ranges == 0 && found->batches_lost == 0);
    gw_journal_writer_stat(*writer, &stat);
    options.journal_end = stat.durable;
    if (gw_values_open(&options, &life->values, &values, why, sizeof why) != 0) {
        gw_journal_writer_close(*writer, false);
        return false;
    }
    gw_assert(!values.incomplete);
    if (!pretend_disk_is_dead(life->disk))
        return true;
    gw_values_close(life->values);
    gw_journal_writer_close(*writer, false);
    return false;
}

static void revive(struct life *life)
{
    bool power_was_lost = chance_one_in(life->chance, 2);

    life->counts.kills += !power_was_lost;
    life->counts.power_cuts += power_was_lost;
    pretend_disk_revive(life->disk, power_was_lost);
}

/* A disk that fails refuses to start, or dies meanwhile; then it is tried again. */
static struct gw_journal_writer *open_somehow(struct life *life)
{
    struct gw_journal_writer *writer;
    struct gw_journal_recovery found;

    for (uint32_t tries = 0; !open_log(life, &writer, &found); tries++) {
        gw_assert(tries < STARTS_MAX);
        life->counts.starts_refused++;
        life->ended_clean = false;
        if (pretend_disk_is_dead(life->disk))
            revive(life);
        if (tries == REPAIRED_AFTER) {
            pretend_disk_fail(life->disk, 0);
            pretend_disk_fill(life->disk, false);
            pretend_disk_break(life->disk, false);
        }
    }
    /* Without a segment to write there is no place for a closing batch. */
    gw_assert(!life->ended_clean || found.clean || life->disk_has_failed ||
              life->log_bytes_max != 0);
    pretend_disk_fail(life->disk, pretend.calm ? 0 : life->fail_one_in);
    life->shard.epoch = found.epoch;
    return writer;
}

/* What a program in another process would find, and the readers of last values. */
static void check_log(struct life *life, struct gw_journal_writer *writer)
{
    int err = gw_values_reader_open(life->values, &life->reader);

    gw_assert(err == 0);
    pretend_disk_watch(life->disk, true);
    (void)gw_journal_writer_prepare(
        writer); /* a mark that could not be written is late, not lost */
    ledger_read_log(life->ledger, life_log_path, pretend_disk_io(life->disk));
    pretend_disk_watch(life->disk, false);
    ledger_check_values(life->ledger, life->reader);
}

void life_follow_log(struct life *life, bool marked)
{
    pretend_disk_watch(life->disk, true);
    ledger_follow_log(life->ledger, life_log_path, pretend_disk_io(life->disk), marked);
    pretend_disk_watch(life->disk, false);
}

void life_step_values(struct life *life)
{
    if (life->values->other_is_frozen && values_checkpoint(life->values) != 0)
        return; /* it stays frozen */
}

void life_check_log(struct life *life)
{
    struct gw_uplink_stat stat;

    gw_uplink_stat(life->uplink, &stat);
    gw_assert(life->log_bytes_max == 0 ||
              stat.journal_bytes <= life->log_bytes_max + GW_LANE_BATCH_BYTES);
    gw_assert(stat.stalled == (stat.pressure == GW_PRESSURE_STOPPED));
}

bool life_owes_answers(const struct life *life, uint32_t shard)
{
    const struct gw_shard *sh = life->shards[shard];

    return answers_wait(sh) && !answers_wait_for_chunks(sh) &&
           sh->answers[sh->answers_head & sh->answers_mask].sequence <= gw_lane_durable(sh->lane);
}

/* ---- threads that are none ---- */

static void wake(void *context, uint32_t lane)
{
    const struct life *life = context;

    gw_shard_wake(life->shards[lane]);
}

static void make_uplink(struct life *life, struct gw_journal_writer *writer)
{
    struct gw_uplink_options options = {
        .writer = writer,
        .lane_count = life->shard_count,
        .batches_per_lane = life->batches_per_lane,
        .gather_us = 2000,
        .wake = wake,
        .wake_context = life,
        .observe = gw_values_observe,
        .observe_context = life->values,
    };
    int err = gw_uplink_create(&options, &life->uplink);

    gw_assert(err == 0);
}

static void make_shards(struct life *life)
{
    char why[256];

    life->penalties = calloc(1, sizeof *life->penalties);
    gw_assert(life->penalties != NULL);
    for (uint32_t i = 0; i < life->shard_count; i++) {
        struct gw_shard_options options = life->shard;

        options.number = i;
        options.count = life->shard_count;
        options.index = life->index;
        options.lane = gw_uplink_lane(life->uplink, i);
        options.penalties = life->penalties;
        options.values = life->values;
        options.tls = pretend_tls_context();
        int err = gw_shard_create(&options, &life->shards[i]);

        gw_assert(err == 0);
    }
    for (uint32_t i = 0; i < life->shard_count; i++) {
        gw_shard_peers_set(life->shards[i], life->shards);
        int err = gw_shard_begin(life->shards[i], why, sizeof why);

        gw_assert(err == 0);
        life->rings[i] = gw_shard_ring(life->shards[i]);
        life->ended[i] = false;
        life->sleeps_until_ns[i] = 0;
    }
    for (uint32_t i = 0; i < life->shard_count; i++)
        gw_shard_listen(life->shards[i]);
}

void life_begin(struct life *life)
{
    struct gw_journal_writer *writer;

    pretend_disk_tell(life->disk, false);
    writer = open_somehow(life);
    check_log(life, writer);
    pretend_disk_tell(life->disk, true);
    make_uplink(life, writer);
    make_shards(life);
    life->counts.lives++;
}

/* ---- ends ---- */

static void count_shard(struct life *life, const struct gw_shard *shard)
{
    const struct gw_shard_metrics *metrics = gw_shard_metrics(shard);

    life->counts.logins += gw_counter_read(&metrics->logins);
    life->counts.takeovers += gw_counter_read(&metrics->replaced);
    life->counts.requests += gw_counter_read(&metrics->http_requests);
    life->counts.revocations += gw_counter_read(&metrics->revocations);
}

static void end_shards(struct life *life)
{
    for (uint32_t i = 0; i < life->shard_count; i++)
        gw_shard_end(life->shards[i]);
}

static void release(struct life *life)
{
    for (uint32_t i = 0; i < life->shard_count; i++) {
        count_shard(life, life->shards[i]);
        gw_shard_destroy(life->shards[i]);
    }
    gw_uplink_destroy(life->uplink);
    gw_values_close(life->values);
    free(life->penalties);
}

void life_kill(struct life *life)
{
    pretend_disk_die(life->disk);
    for (uint32_t i = 0; i < life->shard_count; i++)
        pretend_ring_kill(life->rings[i]);
    end_shards(life); /* nothing of it gets anywhere */
    gw_values_reader_close(life->reader);
    release(life);
    life->ended_clean = false;
    revive(life);
}

/* A shard without sessions ends at once when it is told to. What others, who were not told yet, had
   to ask it then is answered by nobody; they end as well. */
static bool some_are_unheard(const struct life *life)
{
    bool any = false;

    for (uint32_t i = 0; i < life->shard_count; i++)
        any = any || !gw_inbox_is_empty(&life->shards[i]->downlinks);
    return any;
}

void life_end(struct life *life)
{
    for (uint32_t i = 0; i < life->shard_count; i++) {
        const struct gw_shard_metrics *metrics = gw_shard_metrics(life->shards[i]);

        gw_assert(gw_counter_read(&metrics->sessions) == 0);
        gw_assert(gw_counter_read(&metrics->chunks_taken) == 0);
        gw_assert(gw_counter_read(&metrics->downlinks_pending) == 0 || some_are_unheard(life));
        gw_assert(pretend_ring_buffers_on_loan(life->rings[i]) == 0);
    }
    end_shards(life);
    gw_values_hurry(life->values);
    gw_uplink_stop(life->uplink);
    ledger_check_values(life->ledger, life->reader);
    gw_values_reader_close(life->reader);
    gw_values_stop(life->values);
    for (uint32_t i = 0; i < life->shard_count; i++)
        pretend_ring_kill(life->rings[i]); /* who still waits to be accepted */
    release(life);
    life->ended_clean = true;
    pretend_disk_revive(life->disk, chance_one_in(life->chance, 2));
}
