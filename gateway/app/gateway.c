/*
 * The process: shards, the uplink and the control thread, which is this one.
 *
 * Order of the start: the ports first, for which privileges may be needed, and then nothing but
 * with those that are kept; everything that can be refused comes before anything that changes
 * something; the log is opened last, because opening it starts a new life of it. Listening begins
 * when every shard has its ring. Order of the stop: the shards first (they flush their lanes), then
 * the uplink (it drains them), the last values (what it told them goes to their store), then what
 * all of them used.
 *
 * Signals are blocked in every thread and read from a descriptor here: no handler runs anywhere.
 */
#include "gateway_internal.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <gw/app/notify.h>
#include <gw/base/assert.h>
#include <gw/base/heap.h>
#include <gw/base/log.h>

enum {
    STOP_LOOK_MS = 20,
    BEAT_MS = 1000, /* every shard is woken so often, and must have turned since        */
    HIGH_WATER_EVERY_S = 60,
    LOCK_WAIT_MS = 3000, /* for a killed predecessor to be gone from the log                 */
};

/* ---- shard threads ---- */

static void *shard_main(void *argument)
{
    struct shard_thread *t = argument;
    struct gateway *g = t->gateway;
    char name[16];

    (void)snprintf(name, sizeof name, "shard %u", (unsigned)(t - g->threads));
    (void)pthread_setname_np(pthread_self(), name);
    t->err = gw_shard_begin(t->shard, t->why, sizeof t->why);
    sem_post(&g->begun);
    while (sem_wait(&g->go) != 0 && errno == EINTR)
        ;
    if (t->err != 0)
        return NULL;
    gw_shard_listen(t->shard);
    while (gw_shard_turn(t->shard, UINT64_MAX))
        ;
    gw_shard_end(t->shard);
    atomic_store(&t->ended, true);
    return NULL;
}

static void wake_shard(void *context, uint32_t lane)
{
    struct gateway *g = context;

    gw_shard_wake(g->shards[lane]);
}

static struct gw_shard_listener shard_listener(const struct gateway *g, uint32_t number,
                                               uint32_t shard)
{
    const struct gw_config_listener *from = &g->config->listeners[number];
    struct gw_shard_listener listener = {.fd = g->listeners.rows[number].fds[shard],
                                         .tls = from->tls,
                                         .proxy_count = from->proxy_count};

    _Static_assert((int)GW_CONFIG_PROXIES_MAX <= (int)GW_SHARD_PROXIES_MAX, "a place for each");
    memcpy(listener.proxy_from, from->proxy_from, from->proxy_count * sizeof from->proxy_from[0]);
    return listener;
}

/* The one of shard i is given away, and its place in `contexts` is then empty. */
static int create_shards_with(struct gateway *g, struct gw_tls_context **contexts, char *why)
{
    g->threads = calloc(g->plan.shards, sizeof *g->threads);
    g->shards = calloc(g->plan.shards, sizeof(struct gw_shard *));
    g->penalties = calloc(1, sizeof *g->penalties);
    if (g->threads == NULL || g->shards == NULL || g->penalties == NULL) {
        (void)snprintf(why, WHY_BYTES, "out of memory for %u shards", g->plan.shards);
        return EXIT_SYSTEM;
    }
    for (uint32_t i = 0; i < g->plan.shards; i++) {
        struct gw_shard_options options = plan_shard(g->config, &g->plan, i);
        uint32_t listeners = 0;
        int err;

        options.epoch = gw_journal_writer_epoch(g->writer);
        options.index = g->index;
        options.zones = g->zones;
        options.lane = gw_uplink_lane(g->uplink, i);
        options.penalties = g->penalties;
        options.lockout = g->lockout;
        options.flapping = g->flapping;
        options.values = g->values;
        options.binder = g->provision == NULL ? NULL : provision_binder(g->provision);
        options.audit = g->audit;
        for (uint32_t l = 0; l < g->listeners.count; l++)
            if (g->listeners.rows[l].fds != NULL)
                options.listeners[listeners++] = shard_listener(g, l, i);
        options.listener_count = listeners;
        options.tls = contexts[i];
        if ((err = gw_shard_create(&options, &g->shards[i])) != 0) {
            (void)snprintf(why, WHY_BYTES, "shard %u: %s", i, strerror(-err));
            return EXIT_SYSTEM;
        }
        contexts[i] = NULL;
        gw_shard_peers_set(g->shards[i], g->shards);
        g->threads[i].gateway = g;
        g->threads[i].shard = g->shards[i];
    }
    return EXIT_OK;
}

static int create_shards(struct gateway *g, char *why)
{
    struct gw_tls_context *contexts[GW_SHARDS_MAX] = {0};
    int code = EXIT_OK;

    if (gateway_has_tls(g->config)) {
        if ((code = gateway_tls_create(g->config, g->ticket_keys, contexts, g->plan.shards, why)) !=
            EXIT_OK)
            return code;
        gw_tls_context_leaves(contexts[0], &g->rsa_leaf, &g->ec_leaf);
    }
    code = create_shards_with(g, contexts, why);
    for (uint32_t i = 0; i < g->plan.shards; i++)
        gw_tls_context_destroy(contexts[i]);
    return code;
}

static void join_shards(struct gateway *g)
{
    for (uint32_t i = 0; g->threads != NULL && i < g->plan.shards; i++)
        if (g->threads[i].started)
            (void)pthread_join(g->threads[i].thread, NULL);
}

/* All of them have their rings, or none goes on. */
static int start_shards(struct gateway *g, char *why)
{
    uint32_t started = 0;
    int code = EXIT_OK;

    for (; started < g->plan.shards; started++) {
        struct shard_thread *t = &g->threads[started];
        int err = pthread_create(&t->thread, NULL, shard_main, t);

        if (err != 0) {
            (void)snprintf(why, WHY_BYTES, "thread of shard %u: %s", started, strerror(err));
            code = EXIT_SYSTEM;
            break;
        }
        t->started = true;
    }
    for (uint32_t i = 0; i < started; i++)
        while (sem_wait(&g->begun) != 0 && errno == EINTR)
            ;
    for (uint32_t i = 0; i < started && code == EXIT_OK; i++) {
        if (g->threads[i].err == 0)
            continue;
        (void)snprintf(why, WHY_BYTES, "%s", g->threads[i].why);
        code = g->threads[i].err == -EMFILE ? EXIT_CONFIG : EXIT_UNAVAILABLE;
    }
    if (code == EXIT_OK)
        code = confine_calls(g, why);
    if (code != EXIT_OK)
        for (uint32_t i = 0; i < started; i++)
            if (g->threads[i].err == 0)
                gw_shard_stop(g->shards[i]);
    for (uint32_t i = 0; i < started; i++)
        sem_post(&g->go);
    return code;
}

/* ---- start ---- */

/* What the index says of itself; any other error is the system's, and has words of its own. */
static bool is_verdict(int err)
{
    return err == -ENOENT || err == -EPROTO || err == -EBADMSG || err == -EKEYREJECTED ||
           err == -ESTALE;
}

static int open_index(struct gateway *g, char *why)
{
    struct gw_index_options options = {
        .path = g->config->index_path,
        .pepper = g->config->index_pepper,
        .high_water = g->config->index_high_water,
    };
    const char *reason = "";
    struct gw_index_stat stat;
    uint64_t preloaded = 0;
    int err = gw_index_open(&options, &g->index, &reason);

    if (err != 0) {
        const bool forbidden = err == -EACCES || err == -EPERM;
        const char *hint = "";

        if (err == -ENOENT)
            hint = "; make one with: tollgatectl index init";
        else if (forbidden)
            hint = "; the gateway's group must be able to enter it, read its files and write "
                   "lock.mdb, as 'tollgatectl index init --group NAME' arranges";
        (void)snprintf(why, WHY_BYTES, "token index %s: %s%s%s%s", options.path, reason,
                       is_verdict(err) ? "" : ": ", is_verdict(err) ? "" : strerror(-err), hint);
        return forbidden ? EXIT_PERMISSION : EXIT_UNAVAILABLE;
    }
    if ((err = gw_index_reader_open(g->index, &g->reader)) != 0 ||
        (err = gw_index_stat(g->reader, &stat)) != 0 ||
        (err = gw_index_preload(
             g->reader,
             gw_instant_after(gw_clock_now(), g->config->index_preload_s_max * GW_NS_PER_S),
             &preloaded)) != 0) {
        (void)snprintf(why, WHY_BYTES, "token index %s: %s", options.path, strerror(-err));
        return EXIT_UNAVAILABLE;
    }
    gw_index_reader_pause(g->reader);
    gw_log(stat.authoritative ? GW_LOG_INFO : GW_LOG_ERROR, "index", GW_U64("tokens", stat.tokens),
           GW_U64("preloaded", preloaded), GW_U64("products", stat.products),
           GW_U64("generation", stat.generation), GW_U64("authoritative", stat.authoritative),
           GW_TEXT("why_not", stat.authoritative ? "" : stat.why_not));
    return EXIT_OK;
}

/* Without it devices are served all the same, but for questions about another zone than UTC. */
static void load_zones(struct gateway *g)
{
    uint32_t skipped;
    int err;

    if (g->config->time_zones == NULL)
        return;
    err = gw_zones_load(g->config->time_zones, &g->zones, &skipped);
    if (err != 0)
        gw_log(GW_LOG_WARN, "no_time_zones", GW_TEXT("path", g->config->time_zones),
               GW_TEXT("error", strerror(-err)),
               GW_TEXT("hint",
                       "devices that have a time zone get no answer to rtc; install tzdata, "
                       "or name its folder with time.zones"));
    else
        gw_log(skipped == 0 ? GW_LOG_INFO : GW_LOG_WARN, "time_zones",
               GW_U64("count", gw_zones_count(g->zones)), GW_U64("skipped", skipped));
}

static int open_journal(struct gateway *g, char *why)
{
    struct gw_journal_options options = {
        .path = g->config->journal_path,
        .segment_bytes = g->config->journal_segment_bytes,
        .bytes_max = g->config->journal_bytes_max,
        .keep_s = g->config->journal_keep_hours * UINT64_C(3600),
        .lock_wait_ms = LOCK_WAIT_MS,
    };
    struct gw_uplink_options uplink = {
        .lane_count = g->plan.shards,
        .batches_per_lane = g->config->journal_batches_per_lane,
        .gather_us = g->config->journal_gather_us,
        .wake = wake_shard,
        .wake_context = g,
    };
    int err = gw_journal_writer_open(&options, &g->writer, &g->recovery, why, WHY_BYTES);

    if (err != 0)
        return err == -EWOULDBLOCK ? EXIT_BUSY : err == -EACCES ? EXIT_PERMISSION : EXIT_SYSTEM;
    bool loss = g->recovery.damaged_ranges > 0 || g->recovery.batches_lost > 0;

    gw_log(loss ? GW_LOG_ERROR : GW_LOG_INFO, "journal", GW_TEXT("path", options.path),
           GW_U64("epoch", g->recovery.epoch), GW_U64("bytes", g->recovery.journal_bytes),
           GW_U64("clean", g->recovery.clean), GW_U64("tail_bytes", g->recovery.tail_bytes),
           GW_U64("damaged_bytes", g->recovery.damaged_bytes),
           GW_U64("batches_lost", g->recovery.batches_lost));
    int code = values_open(g, why);

    if (code != EXIT_OK)
        return code;
    if (g->values != NULL) {
        uplink.observe = gw_values_observe;
        uplink.observe_context = g->values;
    }
    uplink.writer = g->writer;
    if ((err = gw_uplink_create(&uplink, &g->uplink)) != 0) {
        (void)snprintf(why, WHY_BYTES, "uplink: %s", strerror(-err));
        return EXIT_SYSTEM;
    }
    return EXIT_OK;
}

static int open_admin(struct gateway *g, char *why)
{
    struct gw_admin_options options = {
        .allow_remote = g->config->admin_allow_remote,
        .routes = gateway_routes,
        .route_count = gateway_route_count,
        .context = g,
    };
    struct gw_address bound;
    const char *reason;
    char text[GW_ADDRESS_TEXT_BYTES];
    int err;

    if (g->config->admin_listen == NULL)
        return EXIT_OK;
    if (!gw_address_parse(g->config->admin_listen, &options.address, &reason)) {
        (void)snprintf(why, WHY_BYTES, "admin.listen: %s", reason);
        return EXIT_CONFIG;
    }
    if ((err = gw_admin_create(&options, &g->admin, why)) != 0)
        return err == -EADDRINUSE ? EXIT_BUSY : EXIT_CONFIG;
    gw_admin_address(g->admin, &bound);
    gw_address_format(&bound, text);
    gw_log(GW_LOG_INFO, "admin", GW_TEXT("address", text));
    return EXIT_OK;
}

static int block_signals(struct gateway *g, char *why)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 ||
        (g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        (void)snprintf(why, WHY_BYTES, "signals: %s", strerror(errno));
        return EXIT_SYSTEM;
    }
    return EXIT_OK;
}

static int start(struct gateway *g, char *why)
{
    int code;

    if ((code = plan_make(g->config, &g->plan, why)) != EXIT_OK ||
        (code = block_signals(g, why)) != EXIT_OK)
        return code;
    plan_log(&g->plan);
    reload_init(g);
    if ((code = listeners_open(g->config, g->plan.shards, &g->listeners, why)) != EXIT_OK ||
        (code = open_admin(g, why)) != EXIT_OK ||
        (code = confine_identity(g->config, why)) != EXIT_OK)
        return code;
    load_zones(g);
    if ((code = tickets_create(g->config, &g->ticket_keys, why)) != EXIT_OK ||
        (code = open_index(g, why)) != EXIT_OK || (code = open_journal(g, why)) != EXIT_OK ||
        (code = lockout_create(g->config, &g->lockout, why)) != EXIT_OK ||
        (code = flapping_create(g->config, &g->flapping, why)) != EXIT_OK ||
        (code = commands_create(g, &g->commands, why)) != EXIT_OK ||
        (code = provision_create(g, &g->provision, why)) != EXIT_OK ||
        (code = audit_create(g, why)) != EXIT_OK || (code = create_shards(g, why)) != EXIT_OK ||
        (code = confine_files(g, why)) != EXIT_OK)
        return code;
    int err = g->audit == NULL ? 0 : gw_audit_start(g->audit);

    if (err != 0) {
        (void)snprintf(why, WHY_BYTES, "audit thread: %s", strerror(-err));
        return EXIT_SYSTEM;
    }
    err = g->values == NULL ? 0 : gw_values_start(g->values);
    if (err != 0) {
        (void)snprintf(why, WHY_BYTES, "values thread: %s", strerror(-err));
        return EXIT_SYSTEM;
    }
    if ((err = gw_uplink_start(g->uplink)) != 0) {
        (void)snprintf(why, WHY_BYTES, "uplink thread: %s", strerror(-err));
        return EXIT_SYSTEM;
    }
    return start_shards(g, why);
}

static void announce(struct gateway *g)
{
    certificates_log(g);
    for (uint32_t i = 0; i < g->listeners.count; i++) {
        char text[GW_ADDRESS_TEXT_BYTES];

        if (g->listeners.rows[i].fds == NULL)
            continue;
        gw_address_format(&g->listeners.rows[i].address, text);
        gw_log(GW_LOG_INFO, "listening", GW_TEXT("address", text),
               GW_U64("tls", g->listeners.rows[i].tls));
    }
    audit_tell(g, GW_AUDIT_START, "", GW_VERSION, "");
    audit_certificates(g, GW_AUDIT_RELOADED, "start");
    gw_log(GW_LOG_INFO, "ready", GW_U64("shards", g->plan.shards), GW_I64("pid", getpid()));
    (void)gw_notify_ready();
}

/* ---- control loop ---- */

/* Of one counter over all shards. */
static uint64_t sum(const struct gateway *g, size_t offset)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < g->plan.shards; i++)
        total += gw_counter_read(
            (const struct gw_counter *)((const char *)gw_shard_metrics(g->shards[i]) + offset));
    return total;
}

/* A shard that sleeps is woken, so that one that does not turn is stuck. */
static void beat(struct gateway *g)
{
    for (uint32_t i = 0; i < g->plan.shards; i++) {
        struct shard_thread *t = &g->threads[i];
        uint64_t turns = gw_counter_read(&gw_shard_metrics(t->shard)->turns);

        t->beats_still = turns == t->turns_seen ? t->beats_still + 1 : 0;
        t->turns_seen = turns;
        gw_shard_wake(t->shard);
    }
}

static uint32_t ended_count(const struct gateway *g)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < g->plan.shards; i++)
        count += atomic_load(&g->threads[i].ended);
    return count;
}

/*
 * A TLS handshake takes some 8 KiB of the heap, which is all that comes and goes there: after a
 * storm what it left behind in each shard's arena would be kept for ever, and so would the buffers
 * that were in use at once. So when a second has passed without a handshake, it is given back.
 */
static void give_memory_back(struct gateway *g)
{
    uint64_t done = sum(g, offsetof(struct gw_shard_metrics, handshakes_done));

    if (done == g->handshakes_seen && done != g->handshakes_trimmed) {
        g->handshakes_trimmed = done;
        (void)malloc_trim(0);
        for (uint32_t i = 0; i < g->plan.shards; i++)
            gw_shard_trim(g->shards[i]);
    }
    g->handshakes_seen = done;
}

static void save_high_water(struct gateway *g)
{
    int err = gw_index_high_water_save(g->reader);

    gw_index_reader_pause(g->reader);
    if (err != 0 && err != -ESTALE) /* an index without authority is not worth remembering */
        gw_log(GW_LOG_WARN, "high_water_not_saved", GW_TEXT("error", strerror(-err)));
}

/* The files under our feet are no longer those at index.path. */
static void watch_index(struct gateway *g)
{
    if (g->index_replaced || !gw_index_replaced(g->index))
        return;
    g->index_replaced = true;
    gw_log(GW_LOG_ERROR, "index_replaced", GW_TEXT("path", g->config->index_path),
           GW_TEXT("hint", "restart the gateway to serve the new index; until then a token that "
                           "it does not know is answered 19, not 9"));
}

/* The shards read the changes themselves; here is looked whether there are any. */
static void watch_changes(struct gateway *g)
{
    uint64_t newest;
    int err = gw_index_change_newest(g->reader, &newest);

    gw_index_reader_pause(g->reader);
    if (err != 0 || newest == g->changes_told)
        return;
    g->changes_told = newest;
    for (uint32_t i = 0; i < g->plan.shards; i++)
        gw_shard_index_changed(g->shards[i], newest);
}

static void tell_status(const struct gateway *g)
{
    char status[64];

    (void)snprintf(status, sizeof status, "%llu devices on %u shards",
                   (unsigned long long)sum(g, offsetof(struct gw_shard_metrics, sessions_live)),
                   g->plan.shards);
    (void)gw_notify_status(status);
}

/* True when it is time to stop. */
static bool read_signals(struct gateway *g)
{
    struct signalfd_siginfo info;
    bool stop = false;

    while (read(g->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            gw_audit_reopen(g->audit); /* it may have been rotated */
            reload(g, "signal");
        } else {
            gw_log(GW_LOG_INFO, "stopping",
                   GW_TEXT("signal", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT"));
            audit_tell(g, GW_AUDIT_STOP, info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT", "", "");
            stop = true;
        }
    }
    return stop;
}

/* Waits for a signal, the admin port, the control socket or devices to be bound, and serves all but
   the first. */
static void poll_once(struct gateway *g, int timeout_ms)
{
    struct pollfd fds[1 + GW_ADMIN_FDS_MAX + COMMANDS_FDS_MAX + PROVISION_FDS_MAX] = {
        {.fd = g->signal_fd, .events = POLLIN}};
    struct gw_instant now = gw_clock_now();
    size_t admin = g->admin == NULL ? 0 : gw_admin_fds(g->admin, now, fds + 1);
    struct pollfd *behind = fds + 1 + admin;
    size_t commands = g->commands == NULL ? 0 : commands_fds(g->commands, now, behind);
    size_t provision = g->provision == NULL ? 0 : provision_fds(g->provision, behind + commands);

    (void)poll(fds, (nfds_t)(1 + admin + commands + provision), timeout_ms);
    now = gw_clock_now();
    if (g->admin != NULL)
        gw_admin_step(g->admin, now, fds + 1, admin);
    if (g->commands != NULL)
        commands_step(g->commands, now, behind, commands);
    if (g->provision != NULL)
        provision_step(g->provision, now, behind + commands);
}

static int control(struct gateway *g)
{
    struct gw_instant next_beat = gw_clock_now();
    struct gw_instant next_save = gw_clock_now();

    for (;;) {
        poll_once(g, (int)g->config->index_follow_ms);
        watch_changes(g);
        struct gw_instant now = gw_clock_now();

        if (read_signals(g))
            return EXIT_OK;
        if (ended_count(g) > 0) {
            gw_log(GW_LOG_ERROR, "stopping", GW_TEXT("error", "a shard failed"));
            return EXIT_INTERNAL;
        }
        if (now.ns >= next_beat.ns) {
            beat(g);
            give_memory_back(g);
            watch_index(g);
            reload_if_changed(g);
            next_beat = gw_instant_after(now, BEAT_MS * GW_NS_PER_MS);
        }
        if (now.ns >= next_save.ns) {
            save_high_water(g);
            tickets_tend(g);
            tell_status(g);
            next_save = gw_instant_after(now, HIGH_WATER_EVERY_S * GW_NS_PER_S);
        }
    }
}

/* ---- stop ---- */

static void stop_shards(struct gateway *g)
{
    g->draining = true;
    (void)gw_notify_stopping();
    for (uint32_t i = 0; i < g->plan.shards; i++)
        gw_shard_stop(g->shards[i]);
    while (ended_count(g) < g->plan.shards) { /* /readyz says that we are stopping */
        poll_once(g, STOP_LOOK_MS);
        (void)read_signals(g);
    }
    join_shards(g);
}

static void release(struct gateway *g)
{
    commands_destroy(g->commands); /* before the log: whoever has that may have the socket */
    provision_destroy(g->provision);
    if (g->values != NULL)
        gw_values_hurry(g->values);
    if (g->uplink != NULL)
        gw_uplink_stop(g->uplink);
    if (g->values != NULL)
        gw_values_stop(g->values);
    for (uint32_t i = 0; g->shards != NULL && i < g->plan.shards; i++)
        gw_shard_destroy(g->shards[i]);
    gw_audit_stop(g->audit);
    gw_audit_close(g->audit);
    if (g->uplink == NULL) /* it would have closed what it was given */
        gw_journal_writer_close(g->writer, false);
    gw_uplink_destroy(g->uplink);
    gw_values_close(g->values);
    gw_admin_destroy(g->admin);
    listeners_close(&g->listeners);
    if (g->reader != NULL)
        gw_index_reader_close(g->reader);
    gw_index_close(g->index);
    gw_zones_destroy(g->zones);
    gw_ticket_keys_release(g->ticket_keys);
    free(g->threads);
    free(g->shards);
    free(g->penalties);
    gw_lockout_destroy(g->lockout);
    gw_lockout_destroy(g->flapping);
    if (g->signal_fd >= 0)
        (void)close(g->signal_fd);
    sem_destroy(&g->begun);
    sem_destroy(&g->go);
}

int gateway_run(const struct gw_config *config)
{
    struct gateway g = {.config = config, .signal_fd = -1, .started = gw_clock_now()};
    char why[WHY_BYTES] = "";
    int code;

    gw_heap_begin();
    sem_init(&g.begun, 0, 0);
    sem_init(&g.go, 0, 0);
    code = start(&g, why);
    if (code == EXIT_OK) {
        announce(&g);
        code = control(&g);
        stop_shards(&g);
        save_high_water(&g);
    } else {
        gw_log(GW_LOG_ERROR, "start_failed", GW_TEXT("error", why), GW_I64("exit", code));
        join_shards(&g);
    }
    uint64_t updates = g.shards == NULL || code != EXIT_OK
                           ? 0
                           : sum(&g, offsetof(struct gw_shard_metrics, updates));

    release(&g);
    if (code == EXIT_OK)
        gw_log(GW_LOG_INFO, "stopped", GW_U64("updates", updates));
    return code;
}
