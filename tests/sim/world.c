#include "world.h"

#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "client.h"
#include "consumer.h"
#include "operator.h"
#include "pretend_index.h"
#include "pretend_memory.h"
#include "pretend_store.h"
#include "pretend_tls.h"

enum {
    HASH_SEED = 12345,
    DEVICES_MAX = 40,
    CLIENTS_MAX = 6,
    CALM_NS = 1600000000,
    CALM_STEPS = 25, /* every deadline passes                         */
    HUSH_STEPS = 7,  /* shorter than the silence that closes a session */
    TOLD_STEPS = 16,
    ANSWERED_STEPS = 6,
    STOP_STEPS = 200,
    TURNS_MAX = 30,
    OLD_CONNECTIONS_MAX = 1024,
};

struct world {
    struct chance chance;
    struct world_tokens tokens;
    struct life life;
    struct surroundings around;
    struct registrar registrar;
    struct device devices[DEVICES_MAX];
    uint32_t device_count;
    struct client clients[CLIENTS_MAX];
    uint32_t client_count;
    struct operator operator;
    struct consumer follower, onlooker;          /* with a cursor and without */
    struct connection *old[OLD_CONNECTIONS_MAX]; /* their device left; the gateway has not yet */
    uint32_t old_count;
    uint32_t pace_ns;      /* a step takes as long, at most       */
    uint32_t uplink_rests; /* in so many of six steps */
    uint32_t next_event;   /* step                                */
    uint32_t unwell_until; /* step                                */
    uint32_t index_fails_one_in;
    bool stopping;
};

/* ---- a world ---- */

static void on_durable(void *context, const struct gw_batch *batch, const struct gw_record *record)
{
    struct world *w = context;
    struct gw_batch_name name = {
        .lane = batch->lane, .epoch = batch->epoch, .sequence = batch->sequence};

    pretend_trace(record->session ^ (uint64_t)record->sequence << 32);
    ledger_durable(w->life.ledger, &name, record);
}

/* One draw after the other: their order within an initializer would be the compiler's. */
static void make_life(struct world *w, const struct registry *registry)
{
    static const uint32_t fail_one_in[] = {0, 0, 300, 40};
    static const uint32_t logs_of_segments[] = {0, 0, 2, 3, 6};
    struct chance *chance = &w->chance;
    struct life *life = &w->life;
    struct gw_shard_options *shard = &life->shard;

    life->chance = chance;
    life->index = registry->index;
    life->disk = pretend_disk_create(chance, HASH_SEED, on_durable, w);
    life->shard_count = 1 + chance_below(chance, SHARDS_MAX);
    life->segment_bytes = (16 << 10) << chance_below(chance, 3);
    life->batches_per_lane = GW_LANE_BATCHES_MIN;
    life->checkpoint_s = 1 + chance_below(chance, 3);
    uint32_t segments = logs_of_segments[chance_below(chance, GW_ARRAY_COUNT(logs_of_segments))];

    if (segments != 0) /* and a batch, which may be longer than a segment here */
        life->log_bytes_max = (uint64_t)segments * life->segment_bytes + GW_LANE_BATCH_BYTES;
    life->keep_s = chance_one_in(chance, 4) ? 1 + chance_below(chance, 20) : 0;
    life->fail_one_in = fail_one_in[chance_below(chance, GW_ARRAY_COUNT(fail_one_in))];
    pretend_disk_fail(life->disk, life->fail_one_in);
    pretend_disk_fail_in_bursts(life->disk, chance_one_in(chance, 2));
    w->life.disk_has_failed = life->fail_one_in != 0;
    pretend_store_begin(life->disk);
    *shard = (struct gw_shard_options){
        .handshakes_per_turn = 2,
        .handshake_us_per_turn = 2000,
        .handshake_age_s_max = 8,
        .tx_bytes_max = 2048,
        .held_bytes_max = 512,
        .downlink_pending_max = 4,
        .owed_max = 2,
        .bridge_sessions_max = 6,
        .bridge_targets_max = 3,
        .downlink_bytes_max = 256,
        .handshake_s_max = 10,
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
                 .limits = {.head_bytes_max = 1024,
                            .headers_max = 16,
                            .body_bytes_max = 4096,
                            .chunked_bytes_max = 4096},
                 .value_bytes_max = 64,
                 .answer_bytes_max = 1024,
                 .points_max = 16,
                 .point_age_s_max = 86400,
                 .request_s_max = 20,
                 .idle_s_max = 60,
                 .websocket = true,
                 .websocket_message_bytes_max = 512},
        .ring = {.files = 64, .buffer_bytes = 512},
        .listeners = {{.fd = 0, .tls = false}, {.fd = 1, .tls = true}},
        .listener_count = 2,
    };
    shard->handshakes_max = 1 + chance_below(chance, 8);
    shard->stranger_s_max = 2 + chance_below(chance, 6);
    shard->sessions_max = 8 + chance_below(chance, 40);
    shard->accepts_pending = 1 + chance_below(chance, 6);
    shard->chunk_count = 16 + chance_below(chance, 100);
    shard->answers_max = 16u << chance_below(chance, 3);
    shard->ring.buffers = 1u << chance_below(chance, 5);
}

static void make_devices(struct world *w)
{
    const uint32_t tokens = w->around.tokens->count;
    /* Few tokens: takeovers. */
    const uint32_t used = chance_one_in(&w->chance, 3) ? 4 : tokens;

    w->device_count = 4 + chance_below(&w->chance, DEVICES_MAX - 4);
    for (uint32_t i = 0; i < w->device_count; i++) {
        struct device *device = &w->devices[i];

        device->number = i;
        /* Now and then one has a token that is in no index. */
        device->token = chance_one_in(&w->chance, 20) ? tokens : chance_below(&w->chance, used);
        device->stranger = chance_one_in(&w->chance, 20);
        device->seals = chance_one_in(&w->chance, 3);
        device->wraps = chance_one_in(&w->chance, 4);
        device_take_token(device, w->around.tokens);
        device->back_ns = pretend.now_ns + (uint64_t)chance_below(&w->chance, 1000) * 1000000;
    }
    w->client_count = chance_below(&w->chance, CLIENTS_MAX + 1);
    for (uint32_t i = 0; i < w->client_count; i++)
        w->clients[i] = (struct client){
            .number = i, .back_ns = pretend.now_ns, .seals = chance_one_in(&w->chance, 3)};
}

static struct world *make_world(uint64_t seed, struct registry *registry)
{
    static const uint32_t paces_ns[] = {3000000, 20000000, 20000000, 200000000};
    static const uint32_t index_fails_one_in[] = {0, 0, 300, 20};
    struct world *w = aligned_alloc(GW_CACHE_LINE, sizeof *w);

    gw_assert(w != NULL);
    memset(w, 0, sizeof *w);
    w->chance.state = seed;
    memset(&pretend, 0, sizeof pretend);
    pretend.chance.state = seed ^ UINT64_C(0xABCDEF);
    pretend.now_ns = UINT64_C(1000000000);
    pretend.wall_us = UINT64_C(1700000000000000);
    w->registrar = (struct registrar){
        .registry = registry, .tokens = &w->tokens, .life = &w->life, .chance = &w->chance};
    registrar_begin_world(&w->registrar);
    w->index_fails_one_in =
        index_fails_one_in[chance_below(&w->chance, GW_ARRAY_COUNT(index_fails_one_in))];
    pretend_index_fail(&pretend.chance, w->index_fails_one_in);
    make_life(w, registry);
    w->life.ledger = ledger_create(&w->tokens, w->life.log_bytes_max != 0 || w->life.keep_s != 0);
    w->follower =
        (struct consumer){.cursor = "follower", .ledger = w->life.ledger, .chance = &w->chance};
    w->onlooker = (struct consumer){.ledger = w->life.ledger, .chance = &w->chance};
    pretend_disk_watch(w->life.disk, true);
    consumer_begin(&w->follower, life_log_path, pretend_disk_io(w->life.disk));
    pretend_disk_watch(w->life.disk, false);
    w->around =
        (struct surroundings){.tokens = &w->tokens, .ledger = w->life.ledger, .chance = &w->chance};
    w->around.rings = w->life.rings;
    w->around.ring_count = w->life.shard_count;
    w->pace_ns = paces_ns[chance_below(&w->chance, GW_ARRAY_COUNT(paces_ns))];
    w->uplink_rests = chance_one_in(&w->chance, 3) ? 5 : 2; /* what waits is written at once */
    make_devices(w);
    return w;
}

/* ---- lives ---- */

static void begin(struct world *w)
{
    life_begin(&w->life);
    operator_begin(&w->operator);
    registrar_begin_life(&w->registrar);
}

static void kill_and_begin(struct world *w)
{
    life_kill(&w->life);
    begin(w);
}

/* ---- a step ---- */

static void retire_connection(struct world *w, struct connection *before,
                              const struct connection *after)
{
    if (before == NULL || before == after)
        return;
    gw_assert(w->old_count < OLD_CONNECTIONS_MAX);
    w->old[w->old_count++] = before;
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

static void step_people(struct world *w)
{
    for (uint32_t i = 0; i < w->device_count; i++) {
        struct connection *before = w->devices[i].wire.connection;

        if (!pretend.calm && chance_below(&w->chance, 3) != 0)
            continue;
        device_step(&w->devices[i], &w->around);
        if (device_asks_to_be_let_in(&w->devices[i]))
            registrar_hears_of(&w->registrar, w->devices[i].token);
        retire_connection(w, before, w->devices[i].wire.connection);
    }
    for (uint32_t i = 0; i < w->client_count; i++) {
        struct connection *before = w->clients[i].wire.connection;

        client_step(&w->clients[i], &w->around);
        retire_connection(w, before, w->clients[i].wire.connection);
    }
    operator_step(&w->operator, w->life.shards[0], w->around.tokens, &w->chance,
                  !pretend.hush && !w->stopping);
    registrar_step(&w->registrar, !pretend.calm && !w->stopping);
    forget_old_connections(w);
}

/* A shard that sleeps is not turned: a wake that it did not ask for, or did not get, is missed. */
static bool is_awake(void *context, uint32_t shard)
{
    const struct world *w = context;

    return pretend_ring_has_work(w->life.rings[shard]) ||
           pretend.now_ns >= w->life.sleeps_until_ns[shard];
}

static void turn(struct world *w, uint32_t shard)
{
    struct life *life = &w->life;

    life->ended[shard] = !gw_shard_turn(life->shards[shard], 0);
    registrar_turned(&w->registrar, shard);
    if (chance_one_in(&w->chance, 4))
        gw_shard_check(life->shards[shard]);
    if (life->ended[shard])
        return;
    uint64_t ns = gw_shard_sleep_ns(life->shards[shard]);

    life->sleeps_until_ns[shard] =
        ns > UINT64_MAX - pretend.now_ns ? UINT64_MAX : pretend.now_ns + ns;
}

/* False: nobody had anything to do. */
static bool step_shards(struct world *w)
{
    struct life *life = &w->life;
    bool any = false;
    uint32_t start = chance_below(&w->chance, life->shard_count);

    for (uint32_t n = 0; n < life->shard_count; n++) {
        uint32_t i = (start + n) % life->shard_count;

        if (life->ended[i] || (!pretend.calm && chance_one_in(&w->chance, 4)))
            continue;
        pretend_ring_run(life->rings[i]);
        if (!is_awake(w, i))
            continue;
        turn(w, i);
        any = true;
    }
    return any;
}

static void step_uplink(struct world *w)
{
    if (!pretend.calm && chance_below(&w->chance, 6) < w->uplink_rests)
        return;
    (void)gw_uplink_step(w->life.uplink);
    if (chance_one_in(&w->chance, 6))
        gw_uplink_rest(w->life.uplink);
    if (chance_one_in(&w->chance, 4))
        life_step_values(&w->life);
}

static void step_consumers(struct world *w)
{
    consumer_step(&w->follower, life_log_path, w->life.disk);
    consumer_step(&w->onlooker, life_log_path, w->life.disk);
}

/* Whose answers became durable is awake, or was woken for them. */
static void check_wakes(struct world *w)
{
    for (uint32_t i = 0; i < w->life.shard_count; i++)
        gw_assert(w->life.ended[i] || is_awake(w, i) || !life_owes_answers(&w->life, i));
}

/* What anybody could see now. */
static void step_readers(struct world *w)
{
    check_wakes(w);
    life_check_log(&w->life);
    if (chance_one_in(&w->chance, 64))
        ledger_check_values(w->life.ledger, w->life.reader);
    if (chance_one_in(&w->chance, 64))
        life_follow_log(&w->life, !w->life.disk_has_failed);
}

static void step(struct world *w)
{
    uint64_t ns = pretend.calm ? CALM_NS : chance_below(&w->chance, w->pace_ns);

    pretend.now_ns += ns;
    pretend.wall_us += ns / 1000;
    step_people(w);
    /* When it is calm a step is long, and whatever is there to do is done in it. */
    for (int turns = 0; step_shards(w) && pretend.calm && turns < TURNS_MAX; turns++)
        step_uplink(w);
    if (!w->stopping)
        registrar_check(&w->registrar, is_awake, w);
    step_uplink(w);
    step_consumers(w);
    if (pretend_disk_is_dead(w->life.disk)) /* in the middle of what was done to it */
        kill_and_begin(w);
    step_readers(w);
}

/* ---- what befalls it ---- */

static void calm_down(struct world *w)
{
    pretend.calm = true;
    pretend_index_fail(NULL, 0);
    pretend_disk_die_in(w->life.disk, 0);
    pretend_disk_fail(w->life.disk, 0);
    pretend_disk_fill(w->life.disk, false);
    pretend_disk_break(w->life.disk, false);
}

static void stop(struct world *w)
{
    bool all = false;

    w->stopping = true;
    for (uint32_t i = 0; i < w->life.shard_count; i++)
        gw_shard_stop(w->life.shards[i]);
    for (int n = 0; n < STOP_STEPS && !all; n++) {
        step(w);
        all = true;
        for (uint32_t i = 0; i < w->life.shard_count; i++)
            all = all && w->life.ended[i];
    }
    gw_assert(all);
    life_end(&w->life);
    w->stopping = false;
}

static void restart(struct world *w)
{
    calm_down(w);
    stop(w);
    pretend.calm = false;
    pretend_index_fail(&pretend.chance, w->index_fails_one_in);
    pretend_disk_fail(w->life.disk, w->life.fail_one_in);
    begin(w);
}

static void move_wall_clock(struct world *w)
{
    uint64_t us = chance_below(&w->chance, 1u << 31);

    us <<= chance_below(&w->chance, 12);
    if (chance_one_in(&w->chance, 2))
        pretend.wall_us += us;
    else
        pretend.wall_us -= us < pretend.wall_us / 2 ? us : pretend.wall_us / 2;
}

static void befall(struct world *w, uint32_t now)
{
    struct chance *chance = &w->chance;

    if (w->unwell_until != 0 && now >= w->unwell_until) {
        pretend_disk_fill(w->life.disk, false);
        pretend_disk_break(w->life.disk, false);
        w->unwell_until = 0;
    }
    if (now < w->next_event)
        return;
    w->next_event = now + 20 + chance_below(chance, 200);
    switch (chance_below(chance, 10)) {
    case 0:
        life_kill(&w->life);
        if (chance_one_in(chance, 4) && !ledger_may_be_cut(w->life.ledger))
            pretend_store_damage();   /* it is made anew of what the log has */
        if (chance_one_in(chance, 4)) /* again, while it starts */
            pretend_disk_die_in(w->life.disk, 1 + chance_below(chance, 60));
        begin(w);
        break;
    case 1:
        pretend_disk_die_in(w->life.disk, 1 + chance_below(chance, 40));
        break;
    case 2:
        pretend_disk_die_in_sync(w->life.disk, 1 + chance_below(chance, 8));
        break;
    case 3:
        restart(w);
        break;
    case 4:
        pretend_disk_fill(w->life.disk, true);
        w->life.disk_has_failed = true;
        w->unwell_until = now + 10 + chance_below(chance, 60);
        break;
    case 5:
        move_wall_clock(w);
        break;
    case 6: /* the machine slept */
        pretend.now_ns += UINT64_C(30000000000);
        pretend.wall_us += 30000000;
        break;
    case 7: /* new certificates */
        for (uint32_t i = 0; i < w->life.shard_count; i++)
            gw_shard_tls_set(w->life.shards[i], pretend_tls_context());
        break;
    case 8: /* a storm of logins is over, or so it seems */
        for (uint32_t i = 0; i < w->life.shard_count; i++)
            gw_shard_trim(w->life.shards[i]);
        break;
    default: /* a disk that takes files, and syncs nothing in them */
        pretend_disk_break(w->life.disk, true);
        w->life.disk_has_failed = true;
        w->unwell_until = now + 10 + chance_below(chance, 60);
        w->next_event = now + chance_below(chance, 60); /* and may die of it */
        break;
    }
}

/* ---- the end ---- */

/* One live session per token, as far as the shards know, and none by a token that is no good. */
static void check_live_sessions(const struct world *w)
{
    const struct world_tokens *tokens = &w->tokens;
    bool seen[GW_ARRAY_COUNT(tokens->of_device)] = {false};

    for (uint32_t i = 0; i < w->life.shard_count; i++) {
        uint32_t device, cursor = 0;

        while ((device = gw_shard_next_live(w->life.shards[i], &cursor)) != 0) {
            gw_assert(device < GW_ARRAY_COUNT(seen) && !seen[device]);
            gw_assert(tokens->fate[tokens->of_device[device]].is_good);
            seen[device] = true;
        }
    }
}

/* The same, as the devices know it. */
static void check_served_devices(const struct world *w)
{
    for (uint32_t i = 0; i < w->device_count; i++) {
        const struct device *device = &w->devices[i];

        gw_assert(!device_is_served(device) ||
                  token_was_good(&w->tokens, device->token, device->drawn, pretend.now_ns));
    }
}

/*
 * However busy a device was, of what others wrote to its pins it has heard the last: but where more
 * devices were busy at once than the gateway notes, and of products that ask for a name first.
 */
static bool devices_are_up_to_date(const struct world *w)
{
    for (uint32_t i = 0; i < w->life.shard_count; i++)
        if (gw_counter_read(&gw_shard_metrics(w->life.shards[i])->downlinks_busy) > 0)
            return true;
    for (uint32_t i = 0; i < w->device_count; i++) {
        const struct device *device = &w->devices[i];

        for (uint32_t pin = 0; pin < PINS; pin++)
            if (device_is_served(device) && !w->tokens.needs_info[device->token] &&
                !device_is_up_to_date(device, w->around.ledger, (uint8_t)(PIN_FIRST + pin)))
                return false;
    }
    return true;
}

/* A request may have come in the last step of all. */
static void check_told_devices(struct world *w)
{
    for (int i = 0; i < TOLD_STEPS && !devices_are_up_to_date(w); i++)
        step(w);
    gw_assert(devices_are_up_to_date(w));
}

/* To be answered: in a step each, a handshake's messages, a request, an answer. Who never ends its
   handshake says nothing that could be. */
static bool has_had_time(const struct wire *wire)
{
    const struct connection *connection = wire->connection;

    return connection != NULL && connection->accepted && !wire->halts &&
           pretend.now_ns - connection->accepted_ns > ANSWERED_STEPS * (uint64_t)CALM_NS;
}

static void settle(struct world *w)
{
    calm_down(w);
    registrar_last_word(&w->registrar);
    for (int i = 0; i < CALM_STEPS; i++)
        step(w);
    pretend.hush = true;
    for (int i = 0; i < HUSH_STEPS; i++)
        step(w);
    check_live_sessions(w);
    check_served_devices(w);
    check_told_devices(w);
    for (uint32_t i = 0; i < w->life.shard_count; i++) /* every message was answered */
        gw_assert(gw_counter_read(&gw_shard_metrics(w->life.shards[i])->downlinks_pending) == 0);
    gw_assert(operator_waits(&w->operator) == 0);
    for (uint32_t i = 0; i < w->device_count; i++) /* nothing waits for ever on a sound disk */
        gw_assert(w->devices[i].wire.connection == NULL || w->devices[i].ping.id == 0);
    for (uint32_t i = 0; i < w->client_count; i++)
        gw_assert(w->clients[i].request_count == 0 || !has_had_time(&w->clients[i].wire));
}

static struct world_result add_up(struct world *w)
{
    struct world_result result = {
        .trace = pretend.trace,
        .completions = pretend.seen.completions,
        .faults = pretend_disk_faults(w->life.disk) + pretend.seen.accept_errors +
                  pretend.seen.no_buffers + pretend.seen.ended_multishots +
                  pretend.seen.short_reads + pretend.seen.overflows + pretend_index_failures(),
        .acknowledged = ledger_acknowledged_count(w->around.ledger),
        .durable = ledger_durable_count(w->around.ledger),
        .lost = ledger_lost_count(w->around.ledger),
        .changes = w->registrar.changes,
        .read = w->follower.read + w->onlooker.read,
        .gaps = w->onlooker.gaps + w->follower.gaps,
        .life = w->life.counts,
    };

    for (uint32_t i = 0; i < w->device_count; i++) {
        result.bridged += w->devices[i].bridged;
        result.forwarded += w->devices[i].forwarded;
        result.synced += w->devices[i].synced;
        result.told += w->devices[i].told;
    }
    return result;
}

static void end_world(struct world *w)
{
    consumer_stop(&w->follower);
    consumer_stop(&w->onlooker);
    for (uint32_t i = 0; i < w->device_count; i++)
        free(w->devices[i].wire.connection);
    for (uint32_t i = 0; i < w->client_count; i++)
        free(w->clients[i].wire.connection);
    for (uint32_t i = 0; i < w->old_count; i++)
        free(w->old[i]);
    registrar_end_world(&w->registrar);
    gw_assert(pretend_memory_areas() == 0 && pretend_tls_count() == 0);
    pretend_disk_destroy(w->life.disk);
    ledger_destroy(w->around.ledger);
    free(w);
}

struct world_result world_run(uint64_t seed, uint32_t steps, struct registry *registry)
{
    struct world *w = make_world(seed, registry);

    begin(w);
    for (uint32_t i = 0; i < steps; i++) {
        befall(w, i);
        step(w);
    }
    settle(w);
    stop(w);
    life_begin(&w->life); /* what was left in peace is found in peace */
    life_kill(&w->life);

    struct world_result result = add_up(w);

    end_world(w);
    result.steps = steps;
    return result;
}
