/*
 * Closing is a join: start nothing, send what was said, shut our side, wait a little for the peer,
 * cancel, wait for the last completion, close, free. A slot is not used again before that.
 *
 *   close_session --> last bytes sent --> shut --> peer hangs up, or the linger ends
 *        --> cancel --> ops_inflight is 0 --> close --> debts paid --> FREE
 *
 * The linger matters: closing a socket with unread bytes sends a reset, which can overtake the
 * status that tells a device why it is closed.
 *
 *   I1  The first reason wins and is counted once.
 *   I2  A slot in flight is never freed: FREE asserts ops_inflight == 0.
 *   I3  A session that wrote ONLINE writes OFFLINE; one that claimed its device releases it. What
 *       cannot be done at once is owed, and the slot waits for it.
 */
#include "shard_internal.h"

#include <gw/base/log.h>

static void log_close(const struct gw_shard *sh, const struct gw_session *s)
{
    gw_log(GW_LOG_DEBUG, "session_closed", GW_U64("shard", sh->options.number),
           GW_U64("slot", slot_of(sh, s)), GW_U64("generation", s->generation),
           GW_U64("device", s->device),
           GW_TEXT("reason", gw_close_reason_word((enum gw_close_reason)s->close_reason)));
}

static void close_tls(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_tls_io io = {.out = sh->cipher, .out_capacity = sizeof sh->cipher};

    if (s->tls == NULL || has(s, GW_SESSION_PEER_GONE) || s->close_reason == GW_CLOSE_TLS_ERROR ||
        s->close_reason == GW_CLOSE_HANDSHAKE_FAILED)
        return;
    gw_tls_shutdown(s->tls, &io);
    queue_bytes(sh, s, gw_bytes_of(io.out, io.out_bytes));
}

void close_session(struct gw_shard *sh, struct gw_session *s, enum gw_close_reason reason)
{
    close_session_after(sh, s, reason, 0);
}

void close_session_after(struct gw_shard *sh, struct gw_session *s, enum gw_close_reason reason,
                         uint32_t ms)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint64_t linger_ns = sh->options.linger_ms_max * GW_NS_PER_MS;

    if (s->state == GW_SESSION_CLOSING)
        return; /* I1 */
    gw_assert(reason != GW_CLOSE_NONE);
    stranger_is_known(sh, s);
    s->close_reason = (uint8_t)reason;
    gw_counter_add(&sh->metrics.closed[reason], 1);
    audit_close(sh, s, ms);
    if (s->state == GW_SESSION_HANDSHAKE && s->tls != NULL)
        sh->handshake_count--;
    if (s->state == GW_SESSION_LIVE)
        sh->live_count--;
    if (s->state == GW_SESSION_HTTP)
        sh->http_count--;
    gw_session_move(s, GW_SESSION_CLOSING);
    log_close(sh, s);
    if (has(s, GW_SESSION_WEBSOCKET)) {
        sh->websocket_count--;
        websocket_say_close(sh, s);
    }
    flush_replies(sh, s);
    close_tls(sh, s);
    forget_bridges(sh, s);
    forget_owed(sh, s);
    forget_input(sh, s);
    gw_chunk_queue_clear(&sh->chunks, &cold->held);
    s->flags &= ~(uint32_t)(GW_SESSION_SLOWED | GW_SESSION_PING_WAITS | GW_SESSION_HELD);
    gw_timer_arm(&sh->wheel, slot_of(sh, s), gw_instant_after(now_of(sh), linger_ns));
}

void tell_offline(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_record offline = {
        .kind = GW_RECORD_OFFLINE,
        .name = gw_bytes_text(gw_close_reason_word((enum gw_close_reason)s->close_reason))};

    if (!has(s, GW_SESSION_ONLINE) || !lane_has_room(sh))
        return;
    publish_record(sh, s, &offline);
    s->flags &= ~(uint32_t)GW_SESSION_ONLINE;
}

/* I3: false when something is still owed. */
static bool pay_debts(struct gw_shard *sh, struct gw_session *s)
{
    tell_offline(sh, s);
    if (sh->phase == SHARD_CLOSING)
        s->flags &= ~(uint32_t)GW_SESSION_REGISTERED; /* the directories end with us */
    if (has(s, GW_SESSION_REGISTERED)) {
        struct mail mail = {.kind = MAIL_RELEASE,
                            .place = {.device = s->device,
                                      .shard = sh->options.number,
                                      .slot = slot_of(sh, s),
                                      .generation = s->generation & GW_OP_GENERATION_MASK}};

        if (mail_send(sh, s->device % sh->options.count, &mail))
            s->flags &= ~(uint32_t)GW_SESSION_REGISTERED;
    }
    return !has(s, GW_SESSION_ONLINE | GW_SESSION_REGISTERED);
}

static void free_session(struct gw_shard *sh, struct gw_session *s)
{
    uint32_t slot = slot_of(sh, s);

    gw_timer_disarm(&sh->wheel, slot);
    s->device = 0;
    s->flags = 0;
    s->close_reason = GW_CLOSE_NONE;
    gw_session_move(s, GW_SESSION_FREE);
    s->generation++;
    sh->open_count--;
    gw_slab_release(&sh->sessions, slot);
}

void retire_if_quiet(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint32_t slot = slot_of(sh, s);

    if (s->state != GW_SESSION_CLOSING)
        return;
    if (!has(s, GW_SESSION_PEER_GONE | GW_SESSION_CANCELLED)) {
        if (!gw_chunk_queue_is_empty(&s->tx))
            return; /* on_send comes back */
        if (s->close_reason == GW_CLOSE_PEER_CLOSED) {
            /* Its end of stream is most likely a recv away; a shutdown goes through a thread of
               the kernel's, which costs more than all the rest of a close. */
            try_receive(sh, s);
            if (has(s, GW_SESSION_RECV))
                return; /* on_recv comes back */
        }
        if (!has(s, GW_SESSION_SHUT)) {
            s->flags |= GW_SESSION_SHUT;
            s->ops_inflight++;
            gw_ring_shutdown(sh->ring, slot, s->generation);
            try_receive(sh, s);
        }
        return; /* the peer's end of stream, or the timer, comes next */
    }
    if (!has(s, GW_SESSION_CANCELLED)) {
        s->flags |= GW_SESSION_CANCELLED;
        /* A recv never waits, and neither does what closes. */
        if (has(s, GW_SESSION_POLL))
            gw_ring_cancel(sh->ring, GW_OP_POLL, slot, s->generation);
        if (has(s, GW_SESSION_SEND))
            gw_ring_cancel(sh->ring, GW_OP_SEND, slot, s->generation);
    }
    if (s->ops_inflight > 0)
        return;
    if (!has(s, GW_SESSION_CLOSED)) {
        s->flags |= GW_SESSION_CLOSED;
        gw_chunk_queue_clear(&sh->chunks, &s->tx);
        cold->tx_bytes = 0;
        gw_tls_close(s->tls);
        s->tls = NULL;
        s->ops_inflight++;
        gw_ring_close(sh->ring, slot, s->generation);
        return;
    }
    if (has(s, GW_SESSION_PARKED))
        return; /* whoever takes it off its list comes back */
    if (pay_debts(sh, s))
        free_session(sh, s);
    else
        slot_list_push(sh, &sh->retiring, slot);
}

void retire_stuck(struct gw_shard *sh)
{
    uint32_t count = sh->retiring.count;

    while (count-- > 0)
        retire_if_quiet(sh, session_at(sh, slot_list_pop(sh, &sh->retiring)));
}
