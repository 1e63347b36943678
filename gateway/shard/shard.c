/*
 * One shard: the loop, its timers, its start and its end. The loop is its own summary; each step
 * takes a bounded amount of work, so that no device starves another.
 *
 *   I1  Everything here belongs to the shard's thread, but for stop_asked, trim_asked, tls_next,
 *       changes_told, sweep_told, the counters (read by others), the mailboxes (pushed by peers)
 *       and the two inboxes.
 *   I2  No transaction of the token index or the last values lasts over a wait, or beyond a turn.
 *   I3  Before it sleeps, a shard has asked for every wake that it will need.
 */
#include "shard_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <gw/base/heap.h>
#include <gw/base/log.h>

enum { COMPLETIONS_PER_TURN_MAX = 4096, TIMERS_PER_TURN_MAX = 4096 };

/* ---- memory ---- */

static uint32_t power_of_two(uint32_t at_least)
{
    uint32_t power = 16;

    while (power < at_least)
        power *= 2;
    return power;
}

static uint32_t accept_peer_count(const struct gw_shard_options *options)
{
    return options->accepts_pending * (options->listener_count == 0 ? 1 : options->listener_count);
}

/* Devices are dealt to their owners by number and to shards by the kernel: an owner may know of
   some more devices than it could serve. */
static uint32_t directory_entries(const struct gw_shard_options *options)
{
    return options->sessions_max + options->sessions_max / 4 + 64;
}

uint32_t gw_shard_session_bytes(const struct gw_shard_options *options)
{
    return (uint32_t)(sizeof(struct gw_session) + 1 /* a bit of its pool */ +
                      sizeof(struct gw_session_cold) + PRELOGIN_BYTES_MAX +
                      sizeof(struct websocket) +
                      directory_bytes(directory_entries(options)) / options->sessions_max);
}

uint64_t gw_shard_bytes(const struct gw_shard_options *options)
{
    return sizeof(struct gw_shard) +
           (uint64_t)options->sessions_max * gw_shard_session_bytes(options) +
           gw_slab_bytes(GW_CHUNK_BYTES, options->chunk_count) +
           (uint64_t)options->ring.buffers * options->ring.buffer_bytes +
           (uint64_t)power_of_two(options->answers_max) * sizeof(struct waiting_answer) +
           bridge_bytes(options) + owed_bytes(options) +
           gw_slab_bytes(downlink_slot_bytes(options), options->downlink_pending_max) +
           gw_slab_bytes(sizeof(struct gw_binding), options->bindings_max) +
           (uint64_t)options->count * MAIL_PER_PAIR * sizeof(struct mail);
}

/* Mapped, not calloc'ed: pages are touched as sessions come. */
static void *map_zeroed(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static size_t cold_bytes(const struct gw_shard *sh)
{
    return (size_t)sh->options.sessions_max * sizeof *sh->cold;
}

static size_t prelogin_bytes(const struct gw_shard *sh)
{
    return (size_t)sh->options.sessions_max * sizeof *sh->prelogin;
}

static size_t websockets_bytes(const struct gw_shard *sh)
{
    return (size_t)sh->options.sessions_max * sizeof *sh->websockets;
}

static size_t bridges_bytes(const struct gw_shard *sh)
{
    return (sh->options.bridge_sessions_max + (size_t)1) * sizeof *sh->bridges;
}

static int allocate(struct gw_shard *sh)
{
    const struct gw_shard_options *options = &sh->options;
    int err;

    if ((err = gw_slab_init(&sh->sessions, sizeof(struct gw_session), options->sessions_max)) !=
            0 ||
        (err = gw_slab_init(&sh->chunks, GW_CHUNK_BYTES, options->chunk_count)) != 0 ||
        (err = gw_slab_init(&sh->accept_peers, sizeof(struct accept_peer),
                            accept_peer_count(options))) != 0 ||
        (err = gw_slab_init(&sh->asked, downlink_slot_bytes(options),
                            options->downlink_pending_max)) != 0 ||
        (options->binder != NULL && (err = gw_slab_init(&sh->bindings, sizeof(struct gw_binding),
                                                        options->bindings_max)) != 0) ||
        (err = directory_init(&sh->directory, directory_entries(options))) != 0)
        return err;
    sh->answers_mask = power_of_two(options->answers_max) - 1;
    sh->answers = map_zeroed((sh->answers_mask + (size_t)1) * sizeof *sh->answers);
    sh->cold = map_zeroed(cold_bytes(sh));
    sh->prelogin = map_zeroed(prelogin_bytes(sh));
    sh->websockets = map_zeroed(websockets_bytes(sh));
    sh->mailboxes = calloc(options->count, sizeof *sh->mailboxes);
    sh->bridges = map_zeroed(bridges_bytes(sh));
    sh->owed = map_zeroed(owed_bytes(options));
    if (sh->bridges == NULL || sh->owed == NULL || sh->answers == NULL || sh->cold == NULL ||
        sh->prelogin == NULL || sh->websockets == NULL || sh->mailboxes == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < options->count; i++)
        if (i != options->number &&
            (err = gw_spsc_init(&sh->mailboxes[i], sizeof(struct mail), MAIL_PER_PAIR)) != 0)
            return err;
    return 0;
}

int gw_shard_create(const struct gw_shard_options *options, struct gw_shard **out)
{
    struct gw_shard *sh = map_zeroed(sizeof *sh);
    int err;

    *out = NULL;
    if (sh == NULL)
        return -ENOMEM;
    gw_assert(options->number < options->count && options->count <= GW_SHARDS_MAX);
    gw_assert(options->rate_frames_per_s > 0 && options->listener_count <= GW_SHARD_LISTENERS_MAX);
    gw_assert(options->http.limits.head_bytes_max <= HTTP_HEAD_BYTES_MAX &&
              options->http.limits.chunked_bytes_max <= HTTP_CONTENT_BYTES_MAX &&
              options->http.answer_bytes_max <= HTTP_CONTENT_BYTES_MAX &&
              options->http.value_bytes_max <= HTTP_VALUE_BYTES_MAX);
    gw_assert(options->http.limits.head_bytes_max + options->http.limits.body_bytes_max +
                  options->ring.buffer_bytes + 2 * PLAIN_BYTES_MAX <=
              JOINED_BYTES_MAX);
    gw_assert(GW_FRAME_HEADER_BYTES + options->limits.frame_body_bytes_max +
                  options->held_bytes_max + options->ring.buffer_bytes + 2 * PLAIN_BYTES_MAX +
                  GW_WEBSOCKET_UNREAD_BYTES_MAX <=
              JOINED_BYTES_MAX);
    sh->options = *options;
    sh->lane = options->lane;
    sh->tls = options->tls;
    sh->sessions = GW_SLAB_EMPTY;
    sh->chunks = GW_SLAB_EMPTY;
    sh->accept_peers = GW_SLAB_EMPTY;
    sh->asked = GW_SLAB_EMPTY;
    sh->bindings = GW_SLAB_EMPTY;
    sh->lane_parked = SLOT_LIST_EMPTY;
    sh->asked_parked = SLOT_LIST_EMPTY;
    sh->buffer_parked = SLOT_LIST_EMPTY;
    sh->hellos = SLOT_LIST_EMPTY;
    sh->retiring = SLOT_LIST_EMPTY;
    for (size_t i = 0; i < STRANGER_KINDS; i++)
        sh->strangers[i] = (struct stranger_list){.head = GW_NONE, .tail = GW_NONE};
    if ((err = allocate(sh)) != 0) {
        sh->tls = NULL; /* still the caller's */
        gw_shard_destroy(sh);
        return err;
    }
    *out = sh;
    return 0;
}

void gw_shard_destroy(struct gw_shard *sh)
{
    if (sh == NULL)
        return;
    gw_ring_destroy(sh->ring); /* first: the kernel may still read and write our memory */
    gw_tls_context_destroy(sh->tls);
    gw_tls_context_destroy(atomic_load(&sh->tls_next));
    for (uint32_t i = 0; sh->mailboxes != NULL && i < sh->options.count; i++)
        gw_spsc_fini(&sh->mailboxes[i]);
    free(sh->mailboxes);
    if (sh->bridges != NULL)
        (void)munmap(sh->bridges, bridges_bytes(sh));
    if (sh->owed != NULL)
        (void)munmap(sh->owed, owed_bytes(&sh->options));
    if (sh->cold != NULL)
        (void)munmap(sh->cold, cold_bytes(sh));
    if (sh->prelogin != NULL)
        (void)munmap(sh->prelogin, prelogin_bytes(sh));
    if (sh->websockets != NULL)
        (void)munmap(sh->websockets, websockets_bytes(sh));
    if (sh->answers != NULL)
        (void)munmap(sh->answers, (sh->answers_mask + (size_t)1) * sizeof *sh->answers);
    directory_fini(&sh->directory);
    gw_slab_fini(&sh->asked);
    gw_slab_fini(&sh->bindings);
    gw_slab_fini(&sh->accept_peers);
    gw_slab_fini(&sh->chunks);
    gw_slab_fini(&sh->sessions);
    (void)munmap(sh, sizeof *sh);
}

void gw_shard_peers_set(struct gw_shard *sh, struct gw_shard *const *shards)
{
    sh->peers = shards;
}

/* ---- start ---- */

int gw_shard_begin(struct gw_shard *sh, char *why, size_t why_bytes)
{
    int err = gw_ring_create(&sh->options.ring, &sh->ring, why, why_bytes);

    if (err != 0)
        return err;
    for (uint32_t i = 0; i < sh->options.listener_count; i++) {
        int listener = gw_ring_listener_add(sh->ring, sh->options.listeners[i].fd);

        gw_assert(listener == (int)i);
    }
    if ((err = gw_index_reader_open(sh->options.index, &sh->reader)) != 0) {
        (void)snprintf(why, why_bytes, "no reader slot in the token index: %s", strerror(-err));
        return err;
    }
    if (sh->options.values != NULL &&
        (err = gw_values_reader_open(sh->options.values, &sh->values)) != 0) {
        (void)snprintf(why, why_bytes, "no reader of the last values: %s", strerror(-err));
        gw_index_reader_close(sh->reader);
        sh->reader = NULL;
        return err;
    }
    if (gw_index_change_newest(sh->reader, &sh->changes_seen) != 0)
        sh->changes_seen = 0; /* then all of them are read, and nobody has logged in yet */
    gw_index_reader_pause(sh->reader);
    sh->start = now_of(sh);
    gw_timer_wheel_init(&sh->wheel, &session_at(sh, 0)->timer, sizeof(struct gw_session),
                        sh->start);
    return 0;
}

void gw_shard_listen(struct gw_shard *sh)
{
    sh->listening = true;
    accept_refill(sh);
}

/* ---- timers ---- */

void arm_by(struct gw_shard *sh, struct gw_session *s, uint64_t ns)
{
    uint32_t slot = slot_of(sh, s);

    /* Lazy: a timer that goes off sooner stays, on_timer arms what is left. So a byte from a device
       that moves its deadline costs nothing here. */
    if (gw_timer_is_armed(&sh->wheel, slot) &&
        sh->start.ns + s->timer.deadline_tick * TICK_NS <= ns + TICK_NS)
        return;
    gw_timer_arm(&sh->wheel, slot, (struct gw_instant){.ns = ns});
}

void set_deadline(struct gw_shard *sh, struct gw_session *s, uint32_t seconds)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    cold->deadline_tick = tick_after(sh, seconds * GW_NS_PER_S);
    arm_by(sh, s, ns_of_tick(sh, cold->deadline_tick));
}

static uint64_t idle_deadline_ns(const struct gw_shard *sh, const struct gw_session *s)
{
    /* The byte came somewhere inside its tick: never early. */
    return ns_of_tick(sh, s->alive_tick + 1) + s->idle_s * GW_NS_PER_S;
}

static void on_live_timer(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint64_t now = now_of(sh).ns;
    uint32_t tick = tick_of(sh);
    uint64_t idle = idle_deadline_ns(sh, s);
    uint64_t next;

    if (has(s, GW_SESSION_SEND) && tick >= s->send_tick) {
        s->flags |= GW_SESSION_PEER_GONE;
        close_session(sh, s, GW_CLOSE_SLOW_READER);
        return;
    }
    if (has(s, GW_SESSION_HELD) && tick >= cold->deadline_tick) {
        close_session(sh, s, GW_CLOSE_INFO_MISSING);
        return;
    }
    if (now >= idle) {
        /* Bytes may be there that we have not taken yet: after a pause of the process, or because
           reading is delayed. Then it is we who are silent. */
        if (!has(s, GW_SESSION_READABLE | GW_SESSION_RECV | NOT_READ_NOW)) {
            close_session(sh, s, GW_CLOSE_HEARTBEAT_LOST);
            return;
        }
        idle = now + GW_NS_PER_S;
    }
    ping_on_timer(sh, s);
    if (has(s, GW_SESSION_SLOWED) && cold->rate_ns <= now + rate_burst_ns(sh) / 2)
        unslow(sh, s);
    if (s->state != GW_SESSION_LIVE)
        return;
    next = idle;
    if (has(s, GW_SESSION_SLOWED))
        next = gw_min_u64(next, cold->rate_ns - rate_burst_ns(sh) / 2);
    if (has(s, GW_SESSION_PING_WAITS | GW_SESSION_SYNC_WAITS | GW_SESSION_PARKED))
        next = gw_min_u64(next, ns_of_tick(sh, cold->ping_tick));
    if (has(s, GW_SESSION_HELD))
        next = gw_min_u64(next, ns_of_tick(sh, cold->deadline_tick));
    if (has(s, GW_SESSION_SEND))
        next = gw_min_u64(next, ns_of_tick(sh, s->send_tick));
    arm_by(sh, s, next);
}

static void on_timer(struct gw_shard *sh, struct gw_session *s)
{
    const struct gw_session_cold *cold = cold_of(sh, s);
    bool late = tick_of(sh) >= cold->deadline_tick;

    switch ((enum gw_session_state)s->state) {
    case GW_SESSION_HANDSHAKE:
    case GW_SESSION_LOGIN:
        if (!late)
            arm_by(sh, s, ns_of_tick(sh, cold->deadline_tick));
        else
            close_session(sh, s,
                          s->state == GW_SESSION_LOGIN ? GW_CLOSE_LOGIN_TIMEOUT
                                                       : GW_CLOSE_HANDSHAKE_TIMEOUT);
        break;
    case GW_SESSION_LIVE:
        on_live_timer(sh, s);
        break;
    case GW_SESSION_HTTP:
        http_on_timer(sh, s);
        break;
    case GW_SESSION_CLOSING:
        s->flags |= GW_SESSION_PEER_GONE;
        break;
    case GW_SESSION_FREE:
    case GW_SESSION_ACCEPTING:
    case GW_SESSION_STATES:
        gw_unreachable("a timer of a session that has none");
    }
    retire_if_quiet(sh, s);
}

static void run_timers(struct gw_shard *sh)
{
    for (uint32_t n = 0; n < TIMERS_PER_TURN_MAX; n++) {
        uint32_t slot = gw_timer_wheel_pop(&sh->wheel, now_of(sh));

        if (slot == GW_NONE)
            break;
        on_timer(sh, session_at(sh, slot));
    }
}

/* ---- completions ---- */

static void on_completion(struct gw_shard *sh, const struct gw_completion *c)
{
    if (c->kind == GW_OP_WAKE) { /* what else it announces is looked for in every turn */
        sh->mail_arrived = true;
        return;
    }

    struct gw_session *s = session_at(sh, c->slot);

    gw_assert(gw_slab_is_taken(&sh->sessions, c->slot));
    gw_assert((s->generation & GW_OP_GENERATION_MASK) == c->generation);
    gw_assert(s->ops_inflight > 0);
    s->ops_inflight = (uint8_t)(s->ops_inflight - c->last);
    switch (c->kind) { /* no default: the compiler names a forgotten kind */
    case GW_OP_ACCEPT:
        on_accept(sh, s, c);
        if (!gw_slab_is_taken(&sh->sessions, c->slot))
            return;
        break;
    case GW_OP_POLL:
        on_poll(sh, s, c);
        break;
    case GW_OP_RECV:
        on_recv(sh, s, c);
        break;
    case GW_OP_SEND:
        on_send(sh, s, c);
        break;
    case GW_OP_SHUTDOWN:
    case GW_OP_CLOSE:
        break;
    case GW_OP_WAKE:
        gw_unreachable("a wake that carries a slot");
    }
    retire_if_quiet(sh, s);
}

static void drain_completions(struct gw_shard *sh)
{
    struct gw_completion c;

    for (uint32_t n = 0; n < COMPLETIONS_PER_TURN_MAX && gw_ring_next(sh->ring, &c); n++)
        on_completion(sh, &c);
}

/* ---- stop ---- */

static void each_open_session(struct gw_shard *sh,
                              void (*act)(struct gw_shard *, struct gw_session *))
{
    for (uint32_t slot = 0; slot < sh->sessions.fresh; slot++) {
        if (!gw_slab_is_taken(&sh->sessions, slot))
            continue;
        struct gw_session *s = session_at(sh, slot);

        if (s->state != GW_SESSION_ACCEPTING)
            act(sh, s);
    }
}

static void close_for_shutdown(struct gw_shard *sh, struct gw_session *s)
{
    close_session(sh, s, GW_CLOSE_SHUTDOWN);
    retire_if_quiet(sh, s);
}

/*
 * DRAINING: nothing is accepted or read any more; what was read becomes durable and is answered.
 * CLOSING: every session is told. ENDED: all are gone, or the time is up.
 */
static void run_stop(struct gw_shard *sh)
{
    bool late = now_of(sh).ns >= sh->drain_deadline.ns;

    if (sh->phase == SHARD_SERVING) {
        if (!atomic_load_explicit(&sh->stop_asked, memory_order_acquire))
            return;
        sh->phase = SHARD_DRAINING;
        sh->drain_deadline = gw_instant_after(now_of(sh), sh->options.drain_s_max * GW_NS_PER_S);
        accept_stop(sh);
        late = false;
    }
    if (sh->phase == SHARD_DRAINING) {
        sh->flush_urgent = true;
        if (answers_wait(sh) && !late)
            return;
        sh->phase = SHARD_CLOSING;
        sh->drain_deadline = gw_instant_after(now_of(sh), sh->options.drain_s_max * GW_NS_PER_S);
        each_open_session(sh, close_for_shutdown);
        late = false;
    }
    if (sh->phase == SHARD_CLOSING) {
        sh->flush_urgent = true;
        if ((sh->open_count == 0 && sh->accepting_count == 0 && !mail_waits(sh)) || late)
            sh->phase = SHARD_ENDED;
    }
}

/* The time was up before the peer left: its socket goes with the ring, its records do not. */
static void abandon(struct gw_shard *sh, struct gw_session *s)
{
    tell_offline(sh, s);
    gw_tls_close(s->tls);
}

void gw_shard_end(struct gw_shard *sh)
{
    if (sh->open_count > 0)
        gw_log(GW_LOG_WARN, "shard_ended_early", GW_U64("shard", sh->options.number),
               GW_U64("sessions", sh->open_count));
    int err = gw_ring_wait(sh->ring, 0); /* a wake promised to a peer leaves with it */

    if (err != 0)
        gw_log(GW_LOG_ERROR, "ring_failed", GW_U64("shard", sh->options.number),
               GW_TEXT("error", strerror(-err)));
    each_open_session(sh, abandon);
    gw_lane_seal(sh->lane);
    gw_index_reader_close(sh->reader);
    sh->reader = NULL;
    gw_values_reader_close(sh->values);
    sh->values = NULL;
}

/* ---- the loop ---- */

static void take_new_certificates(struct gw_shard *sh)
{
    struct gw_tls_context *next =
        atomic_exchange_explicit(&sh->tls_next, NULL, memory_order_acq_rel);

    if (next == NULL)
        return;
    gw_tls_context_destroy(sh->tls); /* sessions keep what they need of it */
    sh->tls = next;
}

/*
 * A storm makes everything that grows with what happens at once larger than it need be afterwards:
 * receive buffers, chunks, batches, the heap of handshakes. Asked for when it is over.
 */
static void trim_if_asked(struct gw_shard *sh)
{
    if (!atomic_load_explicit(&sh->trim_asked, memory_order_relaxed) || !gw_ring_trim(sh->ring))
        return;
    atomic_store_explicit(&sh->trim_asked, false, memory_order_relaxed);
    gw_slab_trim(&sh->chunks);
    gw_lane_trim(sh->lane);
    gw_heap_trim();
}

static void publish_gauges(struct gw_shard *sh)
{
    struct gw_ring_stat stat;

    gw_ring_stat(sh->ring, &stat);
    GAUGE(sh, sessions, sh->open_count);
    GAUGE(sh, sessions_live, sh->live_count);
    GAUGE(sh, sessions_http, sh->http_count);
    GAUGE(sh, sessions_websocket, sh->websocket_count);
    GAUGE(sh, handshakes, sh->handshake_count);
    GAUGE(sh, handshakes_waiting, sh->hellos.count);
    GAUGE(sh, chunks_taken, sh->chunks.taken_count);
    GAUGE(sh, downlinks_pending, sh->asked.taken_count);
    GAUGE(sh, ring_enters, stat.enters);
    GAUGE(sh, ring_completions, stat.completions);
    GAUGE(sh, ring_overflows, stat.overflows);
    COUNT(sh, turns);
}

/* I3 */
uint64_t gw_shard_sleep_ns(struct gw_shard *sh)
{
    struct gw_instant now = now_of(sh);
    uint64_t ns =
        gw_min_u64(gw_timer_wheel_next(&sh->wheel, now), gw_lane_flush_due(sh->lane, now));

    if (!answers_ask_for_wake(sh))
        return 0;
    if (answers_wait_for_chunks(sh)) /* not all are taken by sends, whose ends would wake us */
        ns = gw_min_u64(ns, 20 * GW_NS_PER_MS);
    if (sh->lane_parked.count + sh->retiring.count > 0) {
        /* Full: the lane wakes us. Otherwise it is answers that leave no room, and they do. */
        if (!lane_has_room(sh) && !gw_lane_wake_at(sh->lane, 0))
            return 0;
        if (sh->lane_parked.count > 0 && lane_has_room(sh) && answers_have_room(sh))
            return 0;
    }
    ns = gw_min_u64(ns, gw_min_u64(changes_due_ns(sh), strangers_due_ns(sh)));
    ns = gw_min_u64(ns, owed_due_ns(sh));
    if (mail_is_due(sh) || may_admit(sh) || !gw_inbox_is_empty(&sh->downlinks) ||
        !gw_inbox_is_empty(&sh->bound))
        return 0;
    if (sh->accept_retry.ns > now.ns)
        ns = gw_min_u64(ns, sh->accept_retry.ns - now.ns);
    if (sh->retiring.count > 0 || sh->lane_parked.count > 0)
        ns = gw_min_u64(ns, 100 * GW_NS_PER_MS); /* debts may wait for a peer's mailbox too */
    if (sh->phase != SHARD_SERVING)
        ns = gw_min_u64(ns, 20 * GW_NS_PER_MS);
    return ns;
}

bool gw_shard_turn(struct gw_shard *sh, uint64_t wait_ns_max)
{
    uint64_t wait_ns = gw_min_u64(gw_shard_sleep_ns(sh), wait_ns_max);
    struct gw_inbox_item *downlinks;
    int err;

    if ((err = gw_ring_wait(sh->ring, wait_ns)) != 0) {
        gw_log(GW_LOG_ERROR, "ring_failed", GW_U64("shard", sh->options.number),
               GW_TEXT("error", strerror(-err)));
        return false;
    }
    take_new_certificates(sh);
    follow_changes(sh);
    drain_completions(sh);
    downlinks = downlinks_take(sh); /* before the mail: a claim that came before one is known */
    mail_read_all(sh);
    downlinks_handle(sh, downlinks);
    bindings_handle(sh);
    run_timers(sh);
    give_durable_answers(sh);
    pay_owed(sh);
    resume_parked(sh);
    admit_handshakes(sh);
    retire_stuck(sh);
    accept_refill(sh);
    run_stop(sh);
    gw_lane_flush(sh->lane, sh->flush_urgent, now_of(sh));
    sh->flush_urgent = false;
    trim_if_asked(sh);
    publish_gauges(sh);
    gw_index_reader_pause(sh->reader); /* I2 */
    if (sh->values != NULL)
        gw_values_reader_pause(sh->values);
    return sh->phase != SHARD_ENDED;
}

/* ---- other threads ---- */

void gw_shard_wake(struct gw_shard *sh)
{
    gw_ring_wake(sh->ring);
}

void gw_shard_trim(struct gw_shard *sh)
{
    atomic_store_explicit(&sh->trim_asked, true, memory_order_relaxed);
    gw_ring_wake(sh->ring);
}

void gw_shard_stop(struct gw_shard *sh)
{
    atomic_store_explicit(&sh->stop_asked, true, memory_order_release);
    gw_ring_wake(sh->ring);
}

void gw_shard_index_changed(struct gw_shard *sh, uint64_t newest)
{
    atomic_store_explicit(&sh->changes_told, newest, memory_order_release);
    gw_ring_wake(sh->ring);
}

void gw_shard_tls_set(struct gw_shard *sh, struct gw_tls_context *context)
{
    gw_tls_context_destroy(atomic_exchange_explicit(&sh->tls_next, context, memory_order_acq_rel));
    gw_ring_wake(sh->ring);
}

const struct gw_shard_metrics *gw_shard_metrics(const struct gw_shard *sh)
{
    return &sh->metrics;
}

void gw_shard_check(const struct gw_shard *sh)
{
    uint32_t open = 0, live = 0, http = 0, websocket = 0, handshakes = 0, accepting = 0, idle = 0;

    gw_slab_check(&sh->sessions);
    gw_slab_check(&sh->chunks);
    gw_slab_check(&sh->asked);
    gw_timer_wheel_check(&sh->wheel);
    for (uint32_t slot = 0; slot < sh->sessions.fresh; slot++) {
        if (!gw_slab_is_taken(&sh->sessions, slot))
            continue;
        const struct gw_session *s = session_at(sh, slot);

        gw_session_check(s);
        accepting += s->state == GW_SESSION_ACCEPTING;
        open += s->state != GW_SESSION_ACCEPTING;
        live += s->state == GW_SESSION_LIVE;
        http += s->state == GW_SESSION_HTTP;
        websocket += has(s, GW_SESSION_WEBSOCKET) && s->state != GW_SESSION_CLOSING;
        handshakes += s->state == GW_SESSION_HANDSHAKE && s->tls != NULL;
        idle += s->state == GW_SESSION_LOGIN || s->state == GW_SESSION_HTTP ||
                (s->state == GW_SESSION_HANDSHAKE && s->tls == NULL);
    }
    gw_assert(open == sh->open_count && live == sh->live_count);
    gw_assert(http == sh->http_count && websocket == sh->websocket_count);
    gw_assert(handshakes == sh->handshake_count && accepting == sh->accepting_count);
    gw_assert(idle == sh->strangers[STRANGER_IDLE].count);
    gw_assert(handshakes ==
              sh->strangers[STRANGER_GREETING].count + sh->strangers[STRANGER_ANSWERED].count);
}

struct gw_ring *gw_shard_ring(const struct gw_shard *sh)
{
    return sh->ring;
}

uint32_t gw_shard_next_live(const struct gw_shard *sh, uint32_t *cursor)
{
    while (*cursor < sh->sessions.fresh) {
        uint32_t slot = (*cursor)++;

        if (gw_slab_is_taken(&sh->sessions, slot) && session_at(sh, slot)->state == GW_SESSION_LIVE)
            return session_at(sh, slot)->device;
    }
    return 0;
}
