/*
 * Changes of the token index, to sessions that live: who lost what the login was granted is closed.
 *
 *     control thread      there is a newer change --> each shard
 *     each shard          reads the changes with its own reader, in their order
 *       of one device     its owner knows where it is connected, and has it rechecked there
 *       of many           a product, an organisation: a sweep over all sessions of the shard
 *
 * A change says only where to look; what happens is decided by asking the index anew, by the shard
 * that has the session, in its thread. So of two changes the newest wins, however late either is
 * heard of, and from that moment on nothing more of the device is taken.
 *
 * HTTP needs none of this: its requests bring a token each, looked up when they are served.
 *
 *   I1  A session that was granted by an older state of the index than its shard has acted upon was
 *       rechecked since, or is about to be. A login is judged by its own shard's newest state; its
 *       claim tells the owner which one that was (mail.c); a sweep begins with the transaction that
 *       showed the change, by which every later login is judged as well.
 *   I2  What could not be told is asked again, and closes nobody meanwhile.
 */
#include "shard_internal.h"

#include <errno.h>

#include <gw/base/log.h>

enum {
    CHANGES_AT_ONCE = 64,
    CHANGES_PER_TURN_MAX = 1024,
    SWEEP_SLOTS_PER_TURN_MAX = 16384,
    SWEEP_LOOKS_PER_TURN_MAX = 1024,
    SWEEP_CLOSES_PER_TURN_MAX = 256,
    RETRY_S = 5,
    LATE_MS = 1000,
};

uint32_t judged_by(struct gw_shard *sh)
{
    uint64_t newest;

    /* On an error: older than whatever the owner has seen. */
    return gw_index_change_newest(sh->reader, &newest) == 0 ? (uint32_t)newest : 0;
}

/* ---- one session ---- */

static void count_revocation(struct gw_shard *sh, uint32_t delay_ms)
{
    COUNT(sh, revocations);
    COUNT_BY(sh, revocation_delay_ms, delay_ms);
    if (delay_ms > LATE_MS)
        COUNT(sh, revocations_late);
}

static uint32_t ms_since(const struct gw_shard *sh, uint32_t changed_ms)
{
    int32_t ms = (int32_t)((uint32_t)(gw_ring_wall_us(sh->ring) / 1000) - changed_ms);

    return ms > 0 ? (uint32_t)ms : 0; /* the change was made by another clock's time */
}

enum verdict { STAYS, CLOSED, UNTOLD };

static enum verdict recheck(struct gw_shard *sh, struct gw_session *s, uint32_t changed_ms)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    struct gw_grant grant = {0};
    struct gw_session_todo todo;
    uint32_t delay_ms;
    enum gw_login login =
        gw_index_recheck(sh->reader, s->device, cold->token_generation, has(s, GW_SESSION_TLS),
                         gw_ring_wall_us(sh->ring) / 1000000, &grant);

    gw_session_rechecked(cold, login, &grant, &todo);
    if (todo.close == GW_CLOSE_DEVICE_MOVED && (cold->product_flags & GW_PRODUCT_PROVISIONS) != 0) {
        /* It was bound, which is what it waits for; its info frame has still to say the same. */
        grant.product_flags |= GW_PRODUCT_INFO_REQUIRED;
        adopt_product(cold, &grant);
        return STAYS;
    }
    if (todo.close == GW_CLOSE_NONE)
        return login == GW_LOGIN_UNAVAILABLE ? UNTOLD : STAYS;
    delay_ms = ms_since(sh, changed_ms);
    count_revocation(sh, delay_ms);
    if (todo.answer == GW_ANSWER_NOW)
        reply_status(sh, s, todo.msg_id, todo.status);
    /* A millisecond at least: no delay at all would not be told. */
    close_session_after(sh, s, todo.close, delay_ms > 0 ? delay_ms : 1);
    retire_if_quiet(sh, s);
    return CLOSED;
}

/* I2 */
static void ask_again(struct gw_shard *sh)
{
    if (sh->sweep_retry.ns == 0)
        sh->sweep_retry = gw_instant_after(now_of(sh), RETRY_S * GW_NS_PER_S);
}

void recheck_place(struct gw_shard *sh, const struct place *place, uint32_t changed_ms)
{
    struct gw_session *s = live_at(sh, place);

    if (s == NULL)
        return;
    uint32_t device = s->device;

    gw_index_reader_pause(sh->reader); /* the turn's transaction may be older than the change */
    switch (recheck(sh, s, changed_ms)) {
    case STAYS:
        break;
    case CLOSED:
        gw_log(GW_LOG_INFO, "revoked", GW_U64("shard", sh->options.number),
               GW_U64("device", device),
               GW_TEXT("reason", gw_close_reason_word((enum gw_close_reason)s->close_reason)),
               GW_U64("delay_ms", ms_since(sh, changed_ms)));
        break;
    case UNTOLD:
        ask_again(sh);
        break;
    }
}

/* ---- all sessions ---- */

static void ask_sweep(struct gw_shard *sh, uint32_t changed_ms)
{
    if (!sh->sweep.asked)
        sh->sweep.asked_ms = changed_ms;
    sh->sweep.asked = true;
}

static void begin_sweep(struct gw_shard *sh)
{
    sh->sweep = (struct sweep){.running = true,
                               .changed_ms = sh->sweep.asked_ms,
                               .bridges = UINT32_MAX,
                               .begun = now_of(sh)};
    COUNT(sh, sweeps);
}

static void end_sweep(struct gw_shard *sh)
{
    struct sweep *sweep = &sh->sweep;

    sweep->running = false;
    if (sweep->untold > 0)
        ask_again(sh);
    gw_log(sweep->untold > 0 ? GW_LOG_WARN : GW_LOG_INFO, "swept",
           GW_U64("shard", sh->options.number), GW_U64("looked_at", sweep->looked),
           GW_U64("closed", sweep->closed), GW_U64("untold", sweep->untold),
           GW_U64("ms", gw_ns_between(sweep->begun, now_of(sh)) / GW_NS_PER_MS));
}

/* Bounded, so that other devices are served meanwhile; the closes most of all. */
static void run_sweep(struct gw_shard *sh)
{
    struct sweep *sweep = &sh->sweep;
    uint32_t slots = 0, looks = 0, closes = 0;

    while (sweep->slot < sh->sessions.fresh && slots++ < SWEEP_SLOTS_PER_TURN_MAX &&
           looks < SWEEP_LOOKS_PER_TURN_MAX && closes < SWEEP_CLOSES_PER_TURN_MAX) {
        struct gw_session *s = session_at(sh, sweep->slot);

        if (!gw_slab_is_taken(&sh->sessions, sweep->slot++) || s->state != GW_SESSION_LIVE)
            continue;
        enum verdict verdict = recheck(sh, s, sweep->changed_ms);

        looks++;
        closes += verdict == CLOSED;
        sweep->untold += verdict == UNTOLD;
    }
    sweep->looked += looks;
    sweep->closed += closes;
    if (sweep->slot < sh->sessions.fresh)
        return;
    /* From the last to the first: the place of one that goes is taken by the last one. */
    if (sweep->bridges > sh->bridge_count)
        sweep->bridges = sh->bridge_count;
    while (sweep->bridges > 0 && looks < SWEEP_LOOKS_PER_TURN_MAX)
        sweep->untold += recheck_bridge_set(sh, --sweep->bridges, &looks);
    if (sweep->bridges == 0)
        end_sweep(sh);
}

/* ---- changes ---- */

static void on_device(struct gw_shard *sh, uint32_t device, uint32_t changed_ms)
{
    struct place place;

    if (recheck_bridges_to(sh, device) > 0)
        ask_again(sh);
    if (device % sh->options.count != sh->options.number)
        return;
    place = directory_find(&sh->directory, device);
    if (place.device != 0)
        mail_send_late(
            sh, &(struct mail){.kind = MAIL_RECHECK, .changed_ms = changed_ms, .place = place});
}

static void on_change(struct gw_shard *sh, const struct gw_index_change *change)
{
    uint32_t changed_ms = (uint32_t)(change->at_us / 1000);

    switch (change->kind) {
    case GW_INDEX_TOKEN_ROTATED:
    case GW_INDEX_TOKEN_REVOKED:
    case GW_INDEX_TOKEN_WINDOW:
    case GW_INDEX_DEVICE_REBOUND:
    case GW_INDEX_DEVICE_DISABLED:
        on_device(sh, change->device, changed_ms);
        break;
    case GW_INDEX_PRODUCT_CLOSED:
    case GW_INDEX_ORG_CLOSED:
        ask_sweep(sh, changed_ms);
        break;
    case GW_INDEX_DEVICES_ADDED:
    case GW_INDEX_DEVICE_ENABLED:
    case GW_INDEX_PRODUCT_ADDED:
    case GW_INDEX_PRODUCT_OPENED:
    case GW_INDEX_ORG_ADDED:
    case GW_INDEX_ORG_OPENED:
        break; /* they take nothing away */
    }
    sh->changes_seen = change->sequence;
    sh->changed_ms = changed_ms;
}

/* Changes are lost to us, among them some of devices whose sessions are other shards'. */
static int on_gap(struct gw_shard *sh)
{
    uint64_t newest;
    int err = gw_index_change_newest(sh->reader, &newest);

    if (err != 0)
        return err;
    gw_log(GW_LOG_WARN, "changes_missed", GW_U64("shard", sh->options.number),
           GW_U64("after", sh->changes_seen), GW_U64("newest", newest));
    sh->changes_seen = newest;
    sh->changed_ms = (uint32_t)(gw_ring_wall_us(sh->ring) / 1000);
    ask_sweep(sh, sh->changed_ms);
    for (uint32_t i = 0; i < sh->options.count; i++) {
        if (i == sh->options.number)
            continue;
        atomic_store_explicit(&sh->peers[i]->sweep_told, true, memory_order_release);
        gw_ring_wake_from(sh->ring, sh->peers[i]->ring);
    }
    return 0;
}

static uint64_t changes_told(const struct gw_shard *sh)
{
    return atomic_load_explicit(&sh->changes_told, memory_order_acquire);
}

static void read_changes(struct gw_shard *sh)
{
    struct gw_index_change changes[CHANGES_AT_ONCE];
    size_t count, done = 0;
    int err = 0;

    while (err == 0 && sh->changes_seen < changes_told(sh) && done < CHANGES_PER_TURN_MAX) {
        err = gw_index_changes(sh->reader, sh->changes_seen, changes, CHANGES_AT_ONCE, &count);
        if (err == -ERANGE) {
            err = on_gap(sh);
            break;
        }
        if (err == 0 && count == 0)
            err = -EAGAIN; /* this transaction does not show what we were told of */
        for (size_t i = 0; err == 0 && i < count; i++) {
            if (!mail_has_room(sh))
                return;
            on_change(sh, &changes[i]);
        }
        done += count;
    }
    if (err == 0)
        return;
    sh->changes_retry = gw_instant_after(now_of(sh), RETRY_S * GW_NS_PER_S);
    gw_log(GW_LOG_WARN, "changes_unread", GW_U64("shard", sh->options.number),
           GW_TEXT("error", strerror(-err)));
}

void follow_changes(struct gw_shard *sh)
{
    struct gw_instant now = now_of(sh);

    if (sh->changes_seen < changes_told(sh) && now.ns >= sh->changes_retry.ns)
        read_changes(sh);
    if (atomic_load_explicit(&sh->sweep_told, memory_order_relaxed) &&
        atomic_exchange_explicit(&sh->sweep_told, false, memory_order_acquire))
        ask_sweep(sh, (uint32_t)(gw_ring_wall_us(sh->ring) / 1000));
    if (sh->sweep_retry.ns != 0 && now.ns >= sh->sweep_retry.ns) {
        sh->sweep_retry.ns = 0;
        ask_sweep(sh, sh->changed_ms);
    }
    if (sh->sweep.asked && !sh->sweep.running)
        begin_sweep(sh);
    if (sh->sweep.running)
        run_sweep(sh);
}

uint64_t changes_due_ns(const struct gw_shard *sh)
{
    struct gw_instant now = now_of(sh);
    uint64_t ns = UINT64_MAX;

    if (sh->sweep.running || sh->sweep.asked ||
        atomic_load_explicit(&sh->sweep_told, memory_order_relaxed))
        return 0;
    if (sh->changes_seen < changes_told(sh))
        ns = gw_ns_between(now, sh->changes_retry);
    if (sh->sweep_retry.ns != 0)
        ns = gw_min_u64(ns, gw_ns_between(now, sh->sweep_retry));
    return ns;
}
