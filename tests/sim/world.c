#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/shard/shard.h>
#include <gw/uplink/uplink.h>

#include "pretend_disk.h"

enum {
    SHARDS_MAX = 3,
    STEPS = 2500,
    CALM_STEPS = 600, /* 100 ms each: every deadline passes                       */
    HUSH_STEPS = 200, /* shorter than the silence that closes a session           */
    STOP_STEPS = 1000,
    OLD_CONNECTIONS_MAX = 4096,
    HASH_SEED = 12345,
};

struct world {
    struct chance chance;
    struct gw_shard *shards[SHARDS_MAX];
    struct gw_ring *rings[SHARDS_MAX];
    bool ended[SHARDS_MAX];
    uint32_t shard_count;
    struct pretend_disk *disk;
    struct gw_uplink *uplink;
    struct gw_penalty_table *penalties;
    struct device devices[DEVICES_MAX];
    uint32_t device_count;
    struct connection *old[OLD_CONNECTIONS_MAX]; /* the device left; the gateway has not yet */
    uint32_t old_count;
    struct world_result result;
};

/* What each connection of a device has on disk: values of one connection have no gap. */
static void on_durable(void *context, const struct gw_record *record)
{
    struct world *w = context;
    char value[VALUE_BYTES_MAX];
    unsigned number, counter;

    if (record->kind != GW_RECORD_PIN_WRITE || (record->flags & GW_RECORD_FROM_BRIDGE) != 0)
        return; /* what another device wrote to it is none of its numbers */
    gw_assert(record->value.size < sizeof value);
    memcpy(value, record->value.data, record->value.size);
    value[record->value.size] = '\0';
    int fields = sscanf(value, "%u:%u", &number, &counter);

    gw_assert(fields == 2 && number < w->device_count);
    struct device *device = &w->devices[number];

    w->result.updates_durable++;
    /* A batch that was written twice tells its updates again; new ones come in order. */
    if (counter > device->durable)
        device->durable = counter;
}

static void wake(void *context, uint32_t lane)
{
    struct world *w = context;

    gw_shard_wake(w->shards[lane]);
}

static void make_uplink(struct world *w)
{
    struct gw_journal_options journal = {
        .path = "/sim",
        .segment_bytes = 128 << 10,
        .zero_ahead_bytes = 8 << 10,
        .seed = HASH_SEED,
    };
    struct gw_journal_writer *writer;
    struct gw_journal_recovery recovery;
    char why[256];

    w->disk = pretend_disk_create(&w->chance, HASH_SEED, on_durable, w);
    journal.io = pretend_disk_io(w->disk);
    do /* a disk that fails refuses to start; the operator tries again */
        if (gw_journal_writer_open(&journal, &writer, &recovery, why, sizeof why) == 0)
            break;
    while (pretend_disk_faults(w->disk) < 1000);
    struct gw_uplink_options uplink = {
        .writer = writer,
        .lane_count = w->shard_count,
        .batches_per_lane = GW_LANE_BATCHES_MIN,
        .gather_us = 2000,
        .wake = wake,
        .wake_context = w,
    };
    int err = gw_uplink_create(&uplink, &w->uplink);

    gw_assert(err == 0);
}

static void make_shards(struct world *w, struct gw_index *index)
{
    char why[256];

    for (uint32_t i = 0; i < w->shard_count; i++) {
        struct gw_shard_options options = {
            .number = i,
            .count = w->shard_count,
            .sessions_max = 8 + chance_below(&w->chance, 64),
            .handshakes_max = 8,
            .accepts_pending = 1 + chance_below(&w->chance, 6),
            .chunk_count = 16 + chance_below(&w->chance, 200),
            .answers_max = 64,
            .tx_bytes_max = 2048,
            .held_bytes_max = 512,
            .downlink_pending_max = 4,
            .bridge_sessions_max = 6,
            .bridge_targets_max = 3,
            .downlink_bytes_max = 256,
            .handshake_s_max = 10,
            .stranger_s_max = 3,
            .login_s_max = 10,
            .linger_ms_max = 2000,
            .send_s_max = 30,
            .drain_s_max = 10,
            .rate_frames_per_s = 20,
            .rate_burst = 30,
            .rate_over_s_max = 10,
            .mismatch_delay_s = 5,
            .mismatch_delay_s_max = 300,
            .limits = {.frame_body_bytes_max = 4096,
                       .heartbeat_default_s = 10,
                       .heartbeat_min_s = 5,
                       .heartbeat_max_s = 3600},
            .http = {.enabled = true,
                     .limits = {.head_bytes_max = 512,
                                .headers_max = 16,
                                .body_bytes_max = 512,
                                .chunked_bytes_max = 512},
                     .value_bytes_max = 64,
                     .answer_bytes_max = 512,
                     .points_max = 16,
                     .point_age_s_max = 3600,
                     .request_s_max = 10,
                     .idle_s_max = 10,
                     .websocket = true,
                     .websocket_message_bytes_max = 512},
            .epoch = 1000,
            .ring = {.files = 128,
                     .buffers = 1u << chance_below(&w->chance, 5),
                     .buffer_bytes = 512},
            .listeners = {{.fd = 0, .tls = false}},
            .listener_count = 1,
            .index = index,
            .lane = gw_uplink_lane(w->uplink, i),
            .penalties = w->penalties,
        };
        int err = gw_shard_create(&options, &w->shards[i]);

        gw_assert(err == 0);
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        gw_shard_peers_set(w->shards[i], w->shards);
        int err = gw_shard_begin(w->shards[i], why, sizeof why);

        gw_assert(err == 0);
        w->rings[i] = gw_shard_ring(w->shards[i]);
    }
    for (uint32_t i = 0; i < w->shard_count; i++)
        gw_shard_listen(w->shards[i]);
}

static void make_devices(struct world *w, const struct world_tokens *tokens)
{
    w->device_count = 4 + chance_below(&w->chance, DEVICES_MAX - 4);
    for (uint32_t i = 0; i < w->device_count; i++)
        w->devices[i] = (struct device){
            .number = i,
            /* Some share a token; now and then one has a token that is in no index. */
            .token = chance_one_in(&w->chance, 20) ? tokens->count
                                                   : chance_below(&w->chance, tokens->count),
            .stranger = chance_one_in(&w->chance, 10),
            .websocket = chance_one_in(&w->chance, 4),
            .rings = w->rings,
            .ring_count = w->shard_count,
            .back_ns = pretend.now_ns + (uint64_t)chance_below(&w->chance, 3000) * 1000000,
        };
}

static void forget_old_connections(struct world *w)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < w->old_count; i++)
        if (connection_is_over(w->old[i]))
            free(w->old[i]);
        else
            w->old[kept++] = w->old[i];
    w->old_count = kept;
}

static void step_devices(struct world *w, const struct world_tokens *tokens, bool calm)
{
    for (uint32_t i = 0; i < w->device_count; i++) {
        struct device *device = &w->devices[i];
        struct connection *before = device->connection;

        if (!calm && chance_below(&w->chance, 3) != 0)
            continue;
        device_step(device, tokens, &w->chance, calm);
        if (before != NULL && device->connection != before) {
            gw_assert(w->old_count < OLD_CONNECTIONS_MAX);
            w->old[w->old_count++] = before;
        }
    }
    forget_old_connections(w);
}

static void step_shards(struct world *w)
{
    uint32_t start = chance_below(&w->chance, w->shard_count);

    for (uint32_t n = 0; n < w->shard_count; n++) {
        uint32_t i = (start + n) % w->shard_count;

        if (w->ended[i] || (!pretend.calm && chance_one_in(&w->chance, 4)))
            continue;
        w->ended[i] = !gw_shard_turn(w->shards[i], 0);
        gw_shard_check(w->shards[i]);
    }
}

static void step(struct world *w, const struct world_tokens *tokens)
{
    uint64_t ns = pretend.calm ? 100000000 : chance_below(&w->chance, 20000000);

    if (!pretend.calm && chance_one_in(&w->chance, 500))
        ns += UINT64_C(30000000000); /* the machine slept */
    pretend.now_ns += ns;
    pretend.wall_us += ns / 1000;
    step_devices(w, tokens, pretend.calm);
    step_shards(w);
    if (pretend.calm || !chance_one_in(&w->chance, 3))
        (void)gw_uplink_step(w->uplink);
}

/* One live session per token, as far as the shards know. */
static void check_one_live_per_device(const struct world *w)
{
    static uint32_t seen[4096];

    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        uint32_t device, cursor = 0;

        while ((device = gw_shard_next_live(w->shards[i], &cursor)) != 0) {
            gw_assert(device < GW_ARRAY_COUNT(seen));
            gw_assert(++seen[device] == 1);
        }
    }
}

static void settle(struct world *w, const struct world_tokens *tokens)
{
    pretend.calm = true;
    pretend_disk_calm(w->disk);
    for (int i = 0; i < CALM_STEPS; i++)
        step(w, tokens);
    pretend.hush = true;
    for (int i = 0; i < HUSH_STEPS; i++)
        step(w, tokens);
    check_one_live_per_device(w);
    for (uint32_t i = 0; i < w->shard_count; i++) /* every message was answered */
        gw_assert(gw_counter_read(&gw_shard_metrics(w->shards[i])->downlinks_pending) == 0);
    for (uint32_t i = 0; i < w->device_count; i++) /* nothing waits for ever on a sound disk */
        gw_assert(w->devices[i].connection == NULL || w->devices[i].ping_id == 0);
}

static void stop(struct world *w, const struct world_tokens *tokens)
{
    bool all = false;

    for (uint32_t i = 0; i < w->shard_count; i++)
        gw_shard_stop(w->shards[i]);
    for (int i = 0; i < STOP_STEPS && !all; i++) {
        step(w, tokens);
        all = true;
        for (uint32_t s = 0; s < w->shard_count; s++)
            all = all && w->ended[s];
    }
    gw_assert(all);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        const struct gw_shard_metrics *metrics = gw_shard_metrics(w->shards[i]);

        gw_assert(gw_counter_read(&metrics->sessions) == 0);
        gw_assert(gw_counter_read(&metrics->chunks_taken) == 0);
        gw_assert(pretend_ring_buffers_on_loan(w->rings[i]) == 0);
        w->result.logins += gw_counter_read(&metrics->logins);
        w->result.websockets += gw_counter_read(&metrics->websockets);
        w->result.takeovers += gw_counter_read(&metrics->replaced);
        gw_shard_end(w->shards[i]);
    }
    while (gw_uplink_step(w->uplink) > 0)
        ;
}

struct world_result world_run(uint64_t seed, struct gw_index *index,
                              const struct world_tokens *tokens)
{
    struct world *w = calloc(1, sizeof *w);
    struct world_result result;

    gw_assert(w != NULL);
    w->chance.state = seed;
    memset(&pretend, 0, sizeof pretend);
    pretend.chance.state = seed ^ UINT64_C(0xABCDEF);
    pretend.now_ns = UINT64_C(1000000000);
    pretend.wall_us = UINT64_C(1700000000000000);
    w->shard_count = 1 + chance_below(&w->chance, SHARDS_MAX);
    w->penalties = calloc(1, sizeof *w->penalties);
    make_uplink(w);
    make_shards(w, index);
    make_devices(w, tokens);
    for (int i = 0; i < STEPS; i++)
        step(w, tokens);
    settle(w, tokens);
    stop(w, tokens);
    for (uint32_t i = 0; i < w->device_count; i++) {
        w->result.updates_acked += w->devices[i].acked;
        w->result.bridged += w->devices[i].bridged;
        gw_assert(w->devices[i].durable >= w->devices[i].acked);
        free(w->devices[i].connection);
    }
    for (uint32_t i = 0; i < w->old_count; i++)
        free(w->old[i]);
    for (uint32_t i = 0; i < w->shard_count; i++)
        gw_shard_destroy(w->shards[i]);
    gw_uplink_destroy(w->uplink);
    w->result.trace = pretend.trace;
    w->result.completions = pretend.seen.completions;
    w->result.faults = pretend_disk_faults(w->disk) + pretend.seen.accept_errors +
                       pretend.seen.no_buffers + pretend.seen.ended_multishots +
                       pretend.seen.short_reads;
    pretend_disk_destroy(w->disk);
    free(w->penalties);
    result = w->result;
    free(w);
    return result;
}
