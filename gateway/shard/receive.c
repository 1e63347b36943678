/*
 * Socket to plaintext to frames.
 *
 * Readiness is an edge: a poll event says that bytes came, once. READABLE remembers it; only a recv
 * that found the socket empty clears it, so whoever stops reading must try again later by itself.
 *
 *   I1  At most one recv of a session is in flight, and a session that waits (parked, slowed, or
 *       with too much unsent) has none.
 *   I2  Plaintext that cannot be taken now is kept in s->rx, in order, and taken first later.
 *   I3  A receive buffer goes home in the turn that brought it.
 *   I4  What a session sent before its login, and all that it says in HTTP, is wiped wherever it
 *       lay once it was taken or copied: tokens are in it.
 */
#include "shard_internal.h"

#include <errno.h>
#include <poll.h>

#include <gw/base/log.h>
#include <gw/crypto/crypto.h>

enum { TIMED_ONE_IN = 8 }; /* handshakes */

void slot_list_push(struct gw_shard *sh, struct slot_list *list, uint32_t slot)
{
    struct gw_session *s = session_at(sh, slot);

    gw_assert(!has(s, GW_SESSION_PARKED));
    s->flags |= GW_SESSION_PARKED;
    sh->cold[slot].park_next = GW_NONE;
    if (list->tail == GW_NONE)
        list->head = slot;
    else
        sh->cold[list->tail].park_next = slot;
    list->tail = slot;
    list->count++;
}

uint32_t slot_list_pop(struct gw_shard *sh, struct slot_list *list)
{
    uint32_t slot = list->head;

    if (slot == GW_NONE)
        return GW_NONE;
    list->head = sh->cold[slot].park_next;
    if (list->head == GW_NONE)
        list->tail = GW_NONE;
    list->count--;
    session_at(sh, slot)->flags &= ~(uint32_t)GW_SESSION_PARKED;
    return slot;
}

/* ---- frames out of plaintext ---- */

/*
 * Puts `in` where the next bytes will find it. A stranger has a small room of its own: a crowd that
 * sends a byte each must not empty the pool that devices need.
 */
static void keep(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    if (s->state == GW_SESSION_HTTP) {
        http_keep(sh, s, in);
        return;
    }
    if (s->state != GW_SESSION_LIVE && in.size >= PRELOGIN_BYTES_MAX) {
        gw_assert(has(s, GW_SESSION_WEBSOCKET)); /* a login in pieces, and a Ping in pieces */
        if (!chunks_may_take(sh, in.size) || !gw_chunk_queue_append(&sh->chunks, &s->rx, in, false))
            close_session(sh, s, GW_CLOSE_NO_MEMORY);
        return;
    }
    if (s->state != GW_SESSION_LIVE) {
        gw_assert(in.size == 0 || in.data != NULL);
        if (in.size > 0)
            memcpy(sh->prelogin[slot_of(sh, s)], in.data, in.size);
        cold_of(sh, s)->prelogin_bytes = (uint8_t)in.size;
        return;
    }
    if (in.size > 0 && !gw_chunk_queue_append(&sh->chunks, &s->rx, in, false))
        close_session(sh, s, GW_CLOSE_NO_MEMORY);
}

static bool may_hold_a_token(const struct gw_session *s)
{
    return s->state != GW_SESSION_LIVE;
}

/* I4: it lies in memory of the shard's or of its ring's. */
static void wipe(struct gw_bytes in)
{
    if (in.size > 0)
        gw_wipe((uint8_t *)(uintptr_t)in.data, in.size);
}

void forget_input(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    wipe(gw_bytes_of(sh->prelogin[slot_of(sh, s)], cold->prelogin_bytes));
    cold->prelogin_bytes = 0;
    while (has(s, GW_SESSION_SPEAKS_HTTP) && !gw_chunk_queue_is_empty(&s->rx)) {
        struct gw_bytes front = gw_chunk_queue_front(&sh->chunks, &s->rx);

        wipe(front);
        gw_chunk_queue_drop(&sh->chunks, &s->rx, front.size);
    }
    gw_chunk_queue_clear(&sh->chunks, &s->rx);
}

/* What was kept and then `in`, in one piece; nothing is kept afterwards. */
static struct gw_bytes join(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    size_t joined = cold->prelogin_bytes;

    if (joined == 0 && gw_chunk_queue_is_empty(&s->rx) && !has(s, GW_SESSION_WEBSOCKET))
        return in; /* messages are unwrapped in their place, which must be ours */
    gw_assert(joined + in.size <= sizeof sh->joined);
    memcpy(sh->joined, sh->prelogin[slot_of(sh, s)], joined);
    wipe(gw_bytes_of(sh->prelogin[slot_of(sh, s)], joined));
    cold->prelogin_bytes = 0;
    while (!gw_chunk_queue_is_empty(&s->rx)) {
        struct gw_bytes front = gw_chunk_queue_front(&sh->chunks, &s->rx);

        gw_assert(joined + front.size + in.size <= sizeof sh->joined);
        memcpy(sh->joined + joined, front.data, front.size);
        joined += front.size;
        if (may_hold_a_token(s))
            wipe(front);
        gw_chunk_queue_drop(&sh->chunks, &s->rx, front.size);
    }
    if (in.size > 0)
        memcpy(sh->joined + joined, in.data, in.size);
    return gw_bytes_of(sh->joined, joined + in.size);
}

static void take_plaintext(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    do {
        size_t fresh = in.size, wrapped = 0;

        if (s->state == GW_SESSION_CLOSING)
            return;
        sh->rescan = false;
        bool may_hold = may_hold_a_token(s);
        struct gw_bytes whole = in = join(sh, s, in);

        if (has(s, GW_SESSION_WEBSOCKET))
            wrapped = websocket_unwrap(sh, s, fresh, &in);
        in = gw_bytes_after(in, take_frames(sh, s, gw_bytes_of(in.data, in.size - wrapped)));
        if (s->state != GW_SESSION_CLOSING)
            keep(sh, s, in);
        if (may_hold)
            wipe(whole);
        in = gw_bytes_of(NULL, 0);
    } while (sh->rescan); /* held frames, or a WebSocket's first bytes: once a session each */
    websocket_end_if_told(sh, s);
}

static void on_plaintext(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    bool may_hold = may_hold_a_token(s);

    if (s->state != GW_SESSION_HTTP || !http_gathers(sh, s, in))
        take_plaintext(sh, s, in);
    if (may_hold)
        wipe(in);
}

/* ---- TLS ---- */

static void count_tls_failure(struct gw_shard *sh, const struct gw_tls *tls)
{
    switch (gw_tls_failure_kind(tls)) {
    case GW_TLS_FAILURE_VERSION:
        COUNT(sh, tls_version_refused);
        break;
    case GW_TLS_FAILURE_NO_SUITE:
        COUNT(sh, tls_no_suite);
        break;
    case GW_TLS_FAILURE_PEER_ALERT:
        COUNT(sh, tls_peer_alerts);
        break;
    case GW_TLS_FAILURE_NOT_TLS:
        COUNT(sh, tls_not_tls);
        break;
    case GW_TLS_FAILURE_NONE:
    case GW_TLS_FAILURE_RECORD:
    case GW_TLS_FAILURE_CERTIFICATE:
    case GW_TLS_FAILURE_OTHER:
        break;
    }
}

static void on_tls_failed(struct gw_shard *sh, struct gw_session *s)
{
    bool handshake = s->state == GW_SESSION_HANDSHAKE;

    if (handshake)
        count_tls_failure(sh, s->tls);
    gw_log(GW_LOG_DEBUG, "tls_failed", GW_U64("shard", sh->options.number),
           GW_U64("slot", slot_of(sh, s)), GW_TEXT("cause", gw_tls_failure(s->tls)));
    close_session(sh, s, handshake ? GW_CLOSE_HANDSHAKE_FAILED : GW_CLOSE_TLS_ERROR);
}

static void on_established(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_tls_facts facts;

    gw_tls_facts(s->tls, &facts);
    sh->handshake_count--;
    COUNT(sh, handshakes_done);
    if (facts.resumed)
        COUNT(sh, handshakes_resumed);
    if (!facts.lean)
        COUNT(sh, tls_kept);
    gw_session_move(s, GW_SESSION_LOGIN);
    stranger_waits(sh, s, STRANGER_IDLE);
    set_deadline(sh, s, sh->options.login_s_max);
}

/* It will say no more; what it said and could not be taken yet is still taken. */
static void say_goodbye(struct gw_shard *sh, struct gw_session *s)
{
    s->flags |= GW_SESSION_GOODBYE;
    if (!has(s, NOT_READ_NOW))
        close_session(sh, s, GW_CLOSE_PEER_CLOSED);
}

/* Reads, and sees now and then what a hello's answer takes: the clock of a thread costs a call. */
static enum gw_tls_result read_tls(struct gw_shard *sh, struct gw_session *s, struct gw_tls_io *io,
                                   size_t *bytes)
{
    bool timed = has(s, GW_SESSION_GREETING) && sh->handshakes_answered % TIMED_ONE_IN == 0;
    uint64_t begun_ns = timed ? gw_ring_cpu_ns(sh->ring) : 0;
    enum gw_tls_result result = gw_tls_read(s->tls, io, sh->plain, sizeof sh->plain, bytes);

    if (has(s, GW_SESSION_GREETING) && io->out_bytes > 0) {
        sh->handshakes_answered++;
        if (timed)
            handshake_took(sh, gw_ring_cpu_ns(sh->ring) - begun_ns);
        stranger_waits(sh, s, STRANGER_ANSWERED);
    }
    return result;
}

static void feed_tls(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    struct gw_tls_io io = {
        .in = in, .out = sh->cipher, .out_capacity = sizeof sh->cipher, .now = now_of(sh)};

    while (s->state != GW_SESSION_CLOSING) {
        size_t bytes = 0;
        enum gw_tls_result result = read_tls(sh, s, &io, &bytes);

        /* Out before anything that is said later: alerts, the handshake, key updates. */
        queue_bytes(sh, s, gw_bytes_of(io.out, io.out_bytes));
        io.out_bytes = 0;
        if (s->state == GW_SESSION_HANDSHAKE && gw_tls_is_established(s->tls))
            on_established(sh, s);
        switch (result) {
        case GW_TLS_DATA:
            on_plaintext(sh, s, gw_bytes_of(sh->plain, bytes));
            break;
        case GW_TLS_WANT:
            return;
        case GW_TLS_CLOSED:
            say_goodbye(sh, s);
            return;
        case GW_TLS_FAILED:
            on_tls_failed(sh, s);
            return;
        }
    }
}

static void feed(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    s->alive_tick = tick_of(sh);
    COUNT_BY(sh, bytes_in, in.size);
    sh->fed = s;
    if (s->tls != NULL)
        feed_tls(sh, s, in);
    else
        on_plaintext(sh, s, in);
    flush_replies(sh, s);
    sh->fed = NULL;
    start_send(sh, s);
}

/* ---- when to read ---- */

void park_for_lane(struct gw_shard *sh, struct gw_session *s)
{
    COUNT(sh, parked_for_lane);
    slot_list_push(sh, &sh->lane_parked, slot_of(sh, s));
    ping_meanwhile(sh, s);
}

/*
 * While the lane is full, a session with updates on their way to the disk is not read. One without
 * is: its PING can be answered, and its first update will park it. But what it sent must then be
 * kept, so this ends while chunks are left for those that need them.
 */
static bool must_wait_for_lane(const struct gw_shard *sh, const struct gw_session *s)
{
    const struct gw_session_cold *cold = cold_of(sh, s);

    if (lane_has_room(sh) && answers_have_room(sh))
        return false;
    return cold->updates_at > gw_lane_durable(sh->lane) ||
           sh->chunks.taken_count > sh->chunks.slot_count / 2;
}

void try_receive(struct gw_shard *sh, struct gw_session *s)
{
    uint32_t slot = slot_of(sh, s);

    if (!has(s, GW_SESSION_READABLE) ||
        has(s, GW_SESSION_RECV | GW_SESSION_PARKED | GW_SESSION_PEER_GONE))
        return;
    if (has(s, GW_SESSION_GOODBYE) && s->state != GW_SESSION_CLOSING)
        return;
    if (s->state == GW_SESSION_CLOSING) {
        if (has(s, GW_SESSION_CANCELLED))
            return;
    } else {
        if (sh->phase != SHARD_SERVING || has(s, NOT_READ_NOW) ||
            sh->cold[slot].tx_bytes > sh->options.tx_bytes_max)
            return;
        if (s->state == GW_SESSION_HTTP && http_must_wait(sh, s))
            return; /* the answer resumes */
        if (s->state != GW_SESSION_HTTP && must_wait_for_lane(sh, s)) {
            park_for_lane(sh, s);
            return;
        }
        if (waits_for_handshake(s) && !has(s, GW_SESSION_PROXIED)) {
            wait_for_handshake(sh, s);
            return;
        }
    }
    if (sh->receives_inflight >= sh->options.ring.buffers) {
        slot_list_push(sh, &sh->buffer_parked, slot);
        return;
    }
    if (has(s, GW_SESSION_PROXIED) && s->state != GW_SESSION_CLOSING)
        read_proxy_header(sh, s);
    else
        gw_ring_recv(sh->ring, slot, s->generation);
    s->flags |= GW_SESSION_RECV;
    s->ops_inflight++;
    sh->receives_inflight++;
}

bool has_kept(const struct gw_shard *sh, const struct gw_session *s)
{
    return !gw_chunk_queue_is_empty(&s->rx) ||
           (s->state == GW_SESSION_HTTP && cold_of(sh, s)->prelogin_bytes > 0);
}

/* What is owed first, then what was kept, then the socket. */
void resume_reading(struct gw_shard *sh, struct gw_session *s)
{
    if (s->state == GW_SESSION_LIVE && has(s, GW_SESSION_SYNC_OWED)) {
        (void)give_marked(sh, s);
        flush_replies(sh, s);
    }
    if (s->state != GW_SESSION_CLOSING && has_kept(sh, s)) {
        on_plaintext(sh, s, gw_bytes_of(NULL, 0));
        flush_replies(sh, s);
    }
    websocket_end_if_told(sh, s);
    if (has(s, GW_SESSION_GOODBYE) && s->state != GW_SESSION_CLOSING)
        say_goodbye(sh, s);
    try_receive(sh, s);
    retire_if_quiet(sh, s);
}

void resume_parked(struct gw_shard *sh)
{
    uint32_t lane = sh->lane_parked.count, buffer = sh->buffer_parked.count;

    while (lane-- > 0 && lane_has_room(sh) && answers_have_room(sh))
        resume_reading(sh, session_at(sh, slot_list_pop(sh, &sh->lane_parked)));
    resume_for_downlinks(sh);
    while (buffer-- > 0 && sh->receives_inflight < sh->options.ring.buffers)
        resume_reading(sh, session_at(sh, slot_list_pop(sh, &sh->buffer_parked)));
}

void slow_down(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    COUNT(sh, slowed);
    s->flags |= GW_SESSION_SLOWED;
    if (cold->slow_tick == 0)
        cold->slow_tick = tick_after(sh, sh->options.rate_over_s_max * GW_NS_PER_S);
    /* Half a burst is let in at a time: fewer wake-ups than a frame at a time. */
    arm_by(sh, s, cold->rate_ns - rate_burst_ns(sh) / 2);
}

void unslow(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    s->flags &= ~(uint32_t)GW_SESSION_SLOWED;
    if (tick_of(sh) >= cold->slow_tick && s->state == GW_SESSION_HTTP) {
        http_over_rate(sh, s);
        return;
    }
    if (tick_of(sh) >= cold->slow_tick) {
        reply_status(sh, s, cold->last_id != 0 ? cold->last_id : 1, GW_RESPONSE_QUOTA_LIMIT);
        close_session(sh, s, GW_CLOSE_QUOTA);
        return;
    }
    resume_reading(sh, s);
}

bool within_rate(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (cold->rate_ns <= now_of(sh).ns)
        cold->slow_tick = 0; /* all paid for: it is not over its rate any more */
    if (cold->rate_ns <= now_of(sh).ns + rate_burst_ns(sh))
        return true;
    slow_down(sh, s);
    return false;
}

void charge_rate(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    cold->rate_ns = gw_max_u64(cold->rate_ns, now_of(sh).ns) + rate_frame_ns(sh);
}

/* ---- completions ---- */

void peer_gone(struct gw_shard *sh, struct gw_session *s, enum gw_close_reason reason)
{
    s->flags &= ~(uint32_t)GW_SESSION_READABLE;
    s->flags |= GW_SESSION_PEER_GONE;
    close_session(sh, s, reason);
}

void on_poll(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c)
{
    if (c->last)
        s->flags &= ~(uint32_t)GW_SESSION_POLL;
    if (c->res < 0) {
        if (s->state != GW_SESSION_CLOSING)
            close_session(sh, s, GW_CLOSE_PEER_RESET);
        return;
    }
    if (waits_for_handshake(s) && (c->res & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
        peer_gone(sh, s, GW_CLOSE_PEER_CLOSED);
        return;
    }
    if ((c->res & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
        s->flags |= GW_SESSION_ENDING;
    s->flags |= GW_SESSION_READABLE; /* POLLHUP and POLLERR too: the recv tells which */
    if (c->last && !has(s, GW_SESSION_CANCELLED)) {
        gw_ring_poll(sh->ring, slot_of(sh, s), s->generation);
        s->flags |= GW_SESSION_POLL;
        s->ops_inflight++;
    }
    try_receive(sh, s);
}

void on_recv(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    s->flags &= ~(uint32_t)GW_SESSION_RECV;
    sh->receives_inflight--;
    if (c->res > 0 && has(s, GW_SESSION_PROXIED)) {
        on_proxy_header(sh, s, c);
        gw_ring_buffer_release(sh->ring, c->buffer); /* I3 */
        try_receive(sh, s);
        return;
    }
    s->flags &= ~(uint32_t)GW_SESSION_PROXY_TAKEN; /* it is still in the socket */
    if (c->res > 0) {
        /* A reset makes no socket "nonempty", and its event may have come before this recv. */
        if (!c->nonempty && !has(s, GW_SESSION_ENDING)) {
            s->flags &= ~(uint32_t)GW_SESSION_READABLE;
            cold->slow_tick = 0; /* it caught up */
        }
        if (s->state != GW_SESSION_CLOSING)
            feed(sh, s, c->bytes);
        gw_ring_buffer_release(sh->ring, c->buffer); /* I3 */
        try_receive(sh, s);
        return;
    }
    switch (-c->res) {
    case 0:
        peer_gone(sh, s, GW_CLOSE_PEER_CLOSED);
        break;
    case EAGAIN:
        s->flags &= ~(uint32_t)GW_SESSION_READABLE;
        cold->slow_tick = 0;
        break;
    case ENOBUFS: /* a state, not a fault: every buffer is on loan */
        COUNT(sh, parked_for_buffers);
        if (!has(s, GW_SESSION_PARKED))
            slot_list_push(sh, &sh->buffer_parked, slot_of(sh, s));
        break;
    case ECANCELED:
    case EINTR:
        break;
    default:
        peer_gone(sh, s, GW_CLOSE_PEER_RESET);
        break;
    }
}
