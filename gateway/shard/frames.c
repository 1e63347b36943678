/*
 * Frames to records, answers and closes: does what the session's to-do list says, in its order.
 *
 *   I1  A frame is taken only when whatever it may ask for has room: a record in the lane, an
 *       answer that waits, its reply. So taking one never fails half way.
 *   I2  A granted login is registered with its device's owner before its answer leaves.
 */
#include "shard_internal.h"

#include <arpa/inet.h>
#include <stdio.h>

#include <gw/base/log.h>
#include <gw/crypto/crypto.h>

/* Room that a reply may need: an INTERNAL answer with its header. */
enum {
    REPLY_ROOM_BYTES =
        GW_WEBSOCKET_HEADER_BYTES_MAX + GW_FRAME_HEADER_BYTES + GW_SESSION_ANSWER_BYTES_MAX
};

static size_t record_room(const struct gw_shard *sh)
{
    /* A frame's record, and the ONLINE or OFFLINE record beside it. */
    return sh->options.limits.frame_body_bytes_max + 2 * (size_t)GW_RECORD_HEADER_BYTES + 128;
}

bool lane_has_room(const struct gw_shard *sh)
{
    return gw_lane_has_room(sh->lane, record_room(sh));
}

/* Frames that never write a record; a PING may have to wait for those that were. */
static bool is_recordless(uint8_t type)
{
    return type == GW_FRAME_PING || type == GW_FRAME_RESPONSE || type == GW_FRAME_HARDWARE_SYNC;
}

void publish_record(struct gw_shard *sh, struct gw_session *s, struct gw_record *record)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (cold->sequence ==
        UINT32_MAX) { /* a session that has no number left is followed by another */
        cold->login = sh->login_count++;
        cold->sequence = 0;
    }
    record->device = s->device;
    record->session = epoch_of(sh, cold->login);
    record->sequence = ++cold->sequence;
    if ((record->flags & (GW_RECORD_GROUPED | GW_RECORD_DEVICE_TIME)) == 0)
        record->time_us = gw_ring_wall_us(sh->ring);
    cold->updates_at = gw_lane_append(sh->lane, record, gw_ring_wall_us(sh->ring), now_of(sh));
    COUNT(sh, updates);
}

/* ---- login ---- */

static size_t peer_text(const struct gw_session_cold *cold, char *out, size_t capacity)
{
    char address[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(cold->peer_is_v6 ? AF_INET6 : AF_INET, cold->peer, address, sizeof address);
    int bytes = snprintf(out, capacity, cold->peer_is_v6 ? "[%s]:%u" : "%s:%u", address,
                         (unsigned)cold->peer_port);

    return (size_t)bytes < capacity ? (size_t)bytes : capacity - 1;
}

/* I2: false, and nothing has changed, when the owner cannot be told. */
static bool claim(struct gw_shard *sh, struct gw_session *s)
{
    struct mail mail = {.kind = MAIL_CLAIM,
                        .judged_by = judged_by(sh),
                        .at_us = (uint32_t)(gw_clock_now().ns / GW_NS_PER_US),
                        .place = {.device = s->device,
                                  .shard = sh->options.number,
                                  .slot = slot_of(sh, s),
                                  .generation = s->generation & GW_OP_GENERATION_MASK}};

    if (!mail_has_room(sh) || !mail_send(sh, s->device % sh->options.count, &mail))
        return false;
    s->flags |= GW_SESSION_REGISTERED;
    return true;
}

/* The life of this process began at `epoch` microseconds, and no gateway admits a device every
   microsecond: numbers of this life end before the next one's begin. */
uint64_t epoch_of(const struct gw_shard *sh, uint64_t login)
{
    return sh->options.epoch + login * sh->options.count + sh->options.number;
}

static void on_granted(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    char peer[64];

    sh->live_count++;
    COUNT(sh, logins);
    cold->login = sh->login_count++;
    struct gw_record online = {.kind = GW_RECORD_ONLINE,
                               .value = gw_bytes_of(peer, peer_text(cold, peer, sizeof peer))};

    publish_record(sh, s, &online);
    s->flags |= GW_SESSION_ONLINE;
    cold->deadline_tick = tick_after(sh, sh->options.login_s_max * GW_NS_PER_S);
    arm_by(sh, s, now_of(sh).ns + s->idle_s * GW_NS_PER_S);
}

static void refuse_login(struct gw_shard *sh, uint16_t msg_id, enum gw_close_reason reason,
                         struct gw_session_todo *todo)
{
    *todo = (struct gw_session_todo){
        .msg_id = msg_id,
        .answer = GW_ANSWER_NOW,
        .status = reason == GW_CLOSE_FLAPPING ? GW_RESPONSE_QUOTA_LIMIT : GW_RESPONSE_NOT_ALLOWED,
        .close = reason};
    COUNT(sh, logins_refused);
    if (reason == GW_CLOSE_LOCKED_OUT)
        COUNT(sh, lockout_refused);
}

static void do_login(struct gw_shard *sh, struct gw_session *s, const struct gw_frame *frame,
                     struct gw_session_todo *todo)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint8_t token[GW_TOKEN_BYTES];
    struct gw_grant grant = {0};

    /* What a WebSocket was told before. The claim may close an older session of this shard, and
       closing says whatever is pending. */
    flush_replies(sh, s);
    if (s->state != GW_SESSION_LOGIN) {
        *todo = (struct gw_session_todo){.msg_id = 0};
        return;
    }
    if (is_shut_out(sh, s)) {
        refuse_login(sh, frame->msg_id, GW_CLOSE_LOCKED_OUT, todo);
        return;
    }
    bool shaped = gw_token_from_text(todo->asked, token);
    enum gw_login login = gw_index_login(sh->reader, shaped ? token : NULL, has(s, GW_SESSION_TLS),
                                         gw_ring_wall_us(sh->ring) / 1000000, &grant);

    cold->token_tag = gw_index_token_tag(sh->options.index, token);
    gw_wipe(token, sizeof token);
    if (login == GW_LOGIN_GRANTED &&
        gw_penalty_applies(sh->options.penalties, grant.device, now_of(sh))) {
        refuse_login(sh, frame->msg_id, GW_CLOSE_MISMATCH_DELAY, todo);
        return;
    }
    if (login == GW_LOGIN_GRANTED && is_flapping(sh, s, grant.device)) {
        refuse_login(sh, frame->msg_id, GW_CLOSE_FLAPPING, todo);
        return;
    }
    if (login == GW_LOGIN_UNKNOWN && fail_token(sh, s, cold->token_tag)) {
        refuse_login(sh, frame->msg_id, GW_CLOSE_LOCKED_OUT, todo);
        return;
    }
    stranger_is_known(sh, s);
    gw_session_login(s, cold, &sh->options.limits, frame->msg_id, login, &grant, todo);
    if (s->state != GW_SESSION_LIVE) {
        COUNT(sh, logins_refused);
        if (login == GW_LOGIN_UNKNOWN)
            COUNT(sh, logins_unknown);
        return;
    }
    on_granted(sh, s);
    if (!claim(sh, s)) {
        todo->status = GW_RESPONSE_SERVER_EXCEPTION;
        todo->close = GW_CLOSE_NO_MEMORY;
    } else if (s->state != GW_SESSION_LIVE) { /* this shard is the owner, and turned it away */
        *todo = (struct gw_session_todo){.msg_id = 0};
    }
}

/* ---- info ---- */

static void on_mismatch(struct gw_shard *sh, struct gw_session *s)
{
    uint32_t strikes =
        gw_penalty_add(sh->options.penalties, s->device, now_of(sh), sh->options.mismatch_delay_s,
                       sh->options.mismatch_delay_s_max);

    char tag[9];

    COUNT(sh, mismatches);
    if (strikes != 1)
        return;
    (void)snprintf(tag, sizeof tag, "%08x", cold_of(sh, s)->token_tag);
    gw_log(GW_LOG_WARN, "product_mismatch", GW_U64("device", s->device), GW_TEXT("token", tag),
           GW_TEXT("hint", "the board's firmware was built for another product"));
}

static void do_info(struct gw_shard *sh, struct gw_session *s, const struct gw_frame *frame,
                    struct gw_session_todo *todo)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    bool matches = true, first = !has(s, GW_SESSION_INFO_SEEN);

    if (todo->asked.size > 0 &&
        gw_index_product_is(sh->reader, cold->product, todo->asked, &matches) != 0) {
        /* Not its fault: it comes back in 5 s. */
        *todo = (struct gw_session_todo){.msg_id = frame->msg_id,
                                         .answer = GW_ANSWER_NOW,
                                         .status = GW_RESPONSE_SERVER_EXCEPTION,
                                         .close = GW_CLOSE_INDEX_UNAVAILABLE};
        return;
    }
    gw_session_info(s, cold, &sh->options.limits, frame, matches, todo);
    if (!matches) {
        on_mismatch(sh, s);
        return;
    }
    if (first) /* now it is known what the device takes */
        s->flags |= GW_SESSION_SYNC_OWED;
    arm_by(sh, s, now_of(sh).ns + s->idle_s * GW_NS_PER_S);
}

/* ---- frames that wait for the info frame ---- */

static void hold(struct gw_shard *sh, struct gw_session *s, const struct gw_frame *frame)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint8_t header[GW_FRAME_HEADER_BYTES];
    struct gw_frame bare = *frame;
    size_t held = gw_chunk_queue_bytes(&sh->chunks, &cold->held);

    COUNT(sh, held);
    if (held + gw_frame_bytes(frame) > sh->options.held_bytes_max) {
        close_session(sh, s, GW_CLOSE_INFO_MISSING);
        return;
    }
    /* The header as it came: its length field announces the body that follows. */
    bare.body.size = 0;
    (void)gw_frame_encode(header, sizeof header, &bare);
    gw_store_be16(header + 3, (uint16_t)frame->body.size);
    if (!gw_chunk_queue_append(&sh->chunks, &cold->held, gw_bytes_of(header, sizeof header),
                               false) ||
        (frame->body.size > 0 &&
         !gw_chunk_queue_append(&sh->chunks, &cold->held, frame->body, false))) {
        close_session(sh, s, GW_CLOSE_NO_MEMORY);
        return;
    }
    s->flags |= GW_SESSION_HELD;
    arm_by(sh, s, ns_of_tick(sh, cold->deadline_tick));
}

/* The info frame came: what was held goes in front of what is being read. */
static void unhold(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (!has(s, GW_SESSION_HELD))
        return;
    gw_assert(gw_chunk_queue_is_empty(&s->rx));
    s->flags &= ~(uint32_t)GW_SESSION_HELD;
    s->rx = cold->held;
    cold->held = GW_CHUNK_QUEUE_EMPTY;
    sh->rescan = true;
}

/* ---- one frame ---- */

static void do_todo(struct gw_shard *sh, struct gw_session *s, const struct gw_frame *frame,
                    struct gw_session_todo *todo)
{
    if (todo->hold) {
        hold(sh, s, frame);
        return;
    }
    switch (todo->ask) {
    case GW_ASK_NOTHING:
    case GW_ASK_VALUES: /* answered before the frame was taken */
        break;
    case GW_ASK_LOGIN:
        do_login(sh, s, frame, todo);
        break;
    case GW_ASK_PRODUCT:
        do_info(sh, s, frame, todo);
        break;
    case GW_ASK_ZONE:
        tell_time(sh, s, frame, todo);
        break;
    case GW_ASK_FIELD:
        tell_field(sh, s, todo);
        break;
    case GW_ASK_EVENT:
        check_event(sh, s, todo);
        break;
    case GW_ASK_BRIDGE:
        do_bridge(sh, s, todo);
        break;
    }
    if (todo->publish)
        publish_record(sh, s, &todo->record);
    switch (todo->answer) {
    case GW_ANSWER_NONE:
        break;
    case GW_ANSWER_NOW:
        reply_status(sh, s, todo->msg_id, todo->status);
        break;
    case GW_ANSWER_DURABLE:
        answer_when_durable(sh, s, todo->msg_id, todo->status);
        break;
    case GW_ANSWER_PING:
        COUNT(sh, pings);
        answer_ping(sh, s, todo->msg_id);
        break;
    case GW_ANSWER_BODY: {
        struct gw_frame reply = {
            .type = GW_FRAME_INTERNAL, .msg_id = todo->msg_id, .body = todo->body};

        if (todo->msg_id != 0)
            reply_frame(sh, s, &reply);
        break;
    }
    }
    if (todo->close != GW_CLOSE_NONE)
        close_session(sh, s, todo->close);
}

/* May this frame be taken now? If not, what will wake the session up has been arranged. */
static bool may_take(struct gw_shard *sh, struct gw_session *s, struct gw_session_cold *cold,
                     uint8_t type)
{
    if (has(s, NOT_READ_NOW))
        return false;
    if (!answers_have_room(sh) || (!is_recordless(type) && !lane_has_room(sh))) {
        if (s->state == GW_SESSION_LIVE) {
            park_for_lane(sh, s);
        } else { /* a stranger's bytes are not kept; a device comes back in 5 s */
            reply_status(sh, s, 1, GW_RESPONSE_SERVER_EXCEPTION);
            close_session(sh, s, GW_CLOSE_UPSTREAM_FULL);
        }
        return false;
    }
    if (s->state != GW_SESSION_LIVE)
        return true; /* one frame, and there is no room to keep more than a part of it */
    if (cold->tx_bytes + sh->reply_bytes > sh->options.tx_bytes_max)
        return false; /* on_send resumes */
    return within_rate(sh, s);
}

size_t take_frames(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    size_t taken = 0;

    if (in.size > 0 && s->state == GW_SESSION_LOGIN && sh->options.http.enabled &&
        !has(s, GW_SESSION_WEBSOCKET) && gw_session_is_http(in.data[0]))
        http_begin(sh, s);
    if (s->state == GW_SESSION_HTTP)
        return http_take(sh, s, in);
    if (in.size > 0 && s->state == GW_SESSION_LOGIN) {
        enum gw_close_reason reason = gw_session_first_byte(in.data[0]);

        if (reason != GW_CLOSE_NONE) {
            close_session(sh, s, reason);
            return in.size;
        }
    }
    if (has(s, GW_SESSION_SYNC_OWED) && !give_marked(sh, s))
        return 0;
    while (taken < in.size && s->state != GW_SESSION_CLOSING) {
        struct gw_session_todo todo;
        struct gw_frame frame;
        size_t used;
        enum gw_status status =
            gw_frame_decode(gw_bytes_after(in, taken),
                            gw_session_body_bytes_max(s, &sh->options.limits), &frame, &used);

        if (status == GW_MORE)
            break;
        if (status == GW_BAD_FRAME) {
            close_session(sh, s, GW_CLOSE_BAD_FRAME);
            break;
        }
        if (!may_take(sh, s, cold, frame.type))
            break;
        gw_session_frame(s, cold, &sh->options.limits, &frame, gw_ring_wall_us(sh->ring), &todo);
        if (todo.ask == GW_ASK_VALUES && !answer_sync(sh, s, &todo))
            break;
        if (todo.ask == GW_ASK_PRODUCT && !bind_product(sh, s, &todo))
            break;
        taken += used;
        COUNT(sh, frames);
        if (s->state == GW_SESSION_LIVE)
            charge_rate(sh, s);
        do_todo(sh, s, &frame, &todo);
        if (sh->reply_bytes + REPLY_ROOM_BYTES > REPLY_BYTES_MAX)
            flush_replies(sh, s);
        if (has(s, GW_SESSION_HELD) && has(s, GW_SESSION_INFO_SEEN)) {
            unhold(sh, s); /* the caller goes on with what was held, then with the rest of `in` */
            break;
        }
        if (has(s, GW_SESSION_SYNC_OWED) && !give_marked(sh, s))
            break;
    }
    return taken;
}
