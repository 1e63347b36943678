/*
 * What a device's frames mean: the rules of docs/protocol.md as a function from (state, frame) to a
 * to-do list. Runs in the shard's thread, in tests and under the fuzzer alike.
 *
 *   I1  A frame leads to at most one record and at most one answer.
 *   I2  Status 9 comes from GW_LOGIN_UNKNOWN and from nowhere else.
 *   I3  An update that was taken is published, held, or refused with a status: never dropped.
 */
#include <gw/session/session.h>

#include <gw/base/assert.h>
#include <gw/wire/body.h>

#define TO(state) (1u << GW_SESSION_##state)
static const uint8_t may_move_to[GW_SESSION_STATES] = {
    [GW_SESSION_FREE] = TO(ACCEPTING),
    [GW_SESSION_ACCEPTING] = TO(HANDSHAKE) | TO(LOGIN) | TO(FREE),
    [GW_SESSION_HANDSHAKE] = TO(LOGIN) | TO(CLOSING),
    [GW_SESSION_LOGIN] = TO(LIVE) | TO(HTTP) | TO(CLOSING),
    [GW_SESSION_LIVE] = TO(CLOSING),
    [GW_SESSION_HTTP] = TO(LOGIN) | TO(CLOSING),
    [GW_SESSION_CLOSING] = TO(FREE),
};
#undef TO

bool gw_session_may_move(enum gw_session_state from, enum gw_session_state to)
{
    return (may_move_to[from] >> to & 1u) != 0;
}

void gw_session_check(const struct gw_session *s)
{
    switch ((enum gw_session_state)s->state) {
    case GW_SESSION_FREE:
        gw_assert(s->ops_inflight == 0);
        gw_assert(s->tls == NULL);
        gw_assert(gw_chunk_queue_is_empty(&s->rx) && gw_chunk_queue_is_empty(&s->tx));
        break;
    case GW_SESSION_ACCEPTING:
        gw_assert(s->tls == NULL && s->device == 0);
        break;
    case GW_SESSION_HANDSHAKE:
    case GW_SESSION_LOGIN:
        gw_assert(s->device == 0);
        break;
    case GW_SESSION_LIVE:
        gw_assert(s->device != 0);
        gw_assert(s->idle_s > 0);
        break;
    case GW_SESSION_HTTP:
        gw_assert((s->flags & (GW_SESSION_REGISTERED | GW_SESSION_ONLINE)) == 0);
        break;
    case GW_SESSION_CLOSING:
        gw_assert(s->close_reason != GW_CLOSE_NONE);
        break;
    case GW_SESSION_STATES:
        gw_unreachable("no such state");
    }
}

void gw_session_move(struct gw_session *s, enum gw_session_state to)
{
    gw_assert(gw_session_may_move((enum gw_session_state)s->state, to));
    s->state = (uint8_t)to;
    gw_session_check(s);
}

uint32_t gw_session_body_bytes_max(const struct gw_session *s,
                                   const struct gw_session_limits *limits)
{
    return s->state == GW_SESSION_LIVE ? limits->frame_body_bytes_max : GW_LOGIN_BODY_BYTES_MAX;
}

bool gw_session_is_http(uint8_t byte)
{
    /* A frame of a known kind is a device that skipped its login. */
    return byte >= 'A' && byte <= 'Z' && byte != GW_FRAME_EVENT_CLEAR;
}

enum gw_close_reason gw_session_first_byte(uint8_t byte)
{
    if (byte == GW_FRAME_HW_LOGIN || byte == GW_FRAME_LOGIN)
        return GW_CLOSE_NONE;
    return gw_session_is_http(byte) ? GW_CLOSE_UNKNOWN_PROTOCOL : GW_CLOSE_NOT_LOGGED_IN;
}

uint16_t gw_session_idle_s(const struct gw_session_limits *limits, int64_t heartbeat_s)
{
    int64_t beat = heartbeat_s < limits->heartbeat_min_s ? limits->heartbeat_min_s : heartbeat_s;

    if (beat > limits->heartbeat_max_s)
        beat = limits->heartbeat_max_s;
    return (uint16_t)((beat * 23 + 9) / 10);
}

static void answer(struct gw_session_todo *todo, uint16_t status)
{
    todo->answer = GW_ANSWER_NOW;
    todo->status = status;
}

static void answer_when_durable(struct gw_session_todo *todo, uint16_t status)
{
    todo->answer = GW_ANSWER_DURABLE;
    todo->status = status;
}

/* A record in the making: its time is the open group's, if there is one. */
static struct gw_record *publish(const struct gw_session *s, const struct gw_session_cold *cold,
                                 uint64_t wall_us, enum gw_record_kind kind,
                                 struct gw_session_todo *todo)
{
    bool grouped = (s->flags & GW_SESSION_GROUPED) != 0;
    bool device_time = grouped && (s->flags & GW_SESSION_GROUP_TIME) != 0;

    todo->publish = true;
    todo->record = (struct gw_record){
        .kind = (uint8_t)kind,
        .time_us = grouped ? cold->group_us : wall_us,
        .msg_id = todo->msg_id,
        .flags = (uint8_t)((grouped ? GW_RECORD_GROUPED : 0) |
                           (device_time ? GW_RECORD_DEVICE_TIME : 0)),
    };
    return &todo->record;
}

static void on_hardware(const struct gw_session *s, const struct gw_session_cold *cold,
                        struct gw_bytes body, uint64_t wall_us, struct gw_session_todo *todo)
{
    struct gw_pin_write pin_write;

    switch (gw_hardware_parse(body, &pin_write)) {
    case GW_HARDWARE_WRITE: {
        struct gw_record *record = publish(s, cold, wall_us, GW_RECORD_PIN_WRITE, todo);

        record->bank = pin_write.bank;
        record->pin = pin_write.pin;
        record->pin_count = 1;
        record->value = pin_write.value;
        break;
    }
    case GW_HARDWARE_IGNORED:
        break;
    case GW_HARDWARE_ILLEGAL:
        answer(todo, GW_RESPONSE_ILLEGAL_COMMAND);
        break;
    }
}

static void on_property(const struct gw_session *s, const struct gw_session_cold *cold,
                        struct gw_bytes body, uint64_t wall_us, struct gw_session_todo *todo)
{
    struct gw_property property;

    if (!gw_property_parse(body, &property)) {
        answer(todo, GW_RESPONSE_ILLEGAL_BODY);
        return;
    }
    struct gw_record *record = publish(s, cold, wall_us, GW_RECORD_PROPERTY, todo);

    record->bank = 'v';
    record->pin = property.pin;
    record->pin_count = property.pin_count;
    record->name = property.name;
    record->value = property.value;
    answer_when_durable(todo, GW_RESPONSE_OK);
}

static void on_event(const struct gw_session *s, const struct gw_session_cold *cold,
                     const struct gw_frame *frame, uint64_t wall_us, struct gw_session_todo *todo)
{
    struct gw_event event;

    if (!gw_event_parse(frame->body, &event)) {
        answer(todo, GW_RESPONSE_ILLEGAL_COMMAND);
        return;
    }
    struct gw_record *record =
        publish(s, cold, wall_us,
                frame->type == GW_FRAME_EVENT_LOG ? GW_RECORD_EVENT : GW_RECORD_EVENT_CLEAR, todo);

    record->name = event.code;
    record->value = event.text;
    answer_when_durable(todo, GW_RESPONSE_OK);
    if (frame->type == GW_FRAME_EVENT_LOG) {
        todo->ask = GW_ASK_EVENT;
        todo->asked = event.code;
    }
}

/* Silent whatever comes: an end without a begin, a begin twice and a group cut short are legal. */
static void on_group(struct gw_session *s, struct gw_session_cold *cold, struct gw_bytes body,
                     uint64_t wall_us, struct gw_session_todo *todo)
{
    struct gw_group group;

    if (!gw_group_parse(body, &group)) {
        answer(todo, GW_RESPONSE_ILLEGAL_COMMAND);
        return;
    }
    if (group.what == GW_GROUP_END) {
        if ((s->flags & GW_SESSION_GROUPED) != 0)
            (void)publish(s, cold, wall_us, GW_RECORD_GROUP_END, todo);
        s->flags &= ~(uint32_t)(GW_SESSION_GROUPED | GW_SESSION_GROUP_TIME);
        return;
    }
    bool timed = group.what == GW_GROUP_BEGIN_AT && group.time_ms <= UINT64_MAX / 1000;

    s->flags &= ~(uint32_t)GW_SESSION_GROUP_TIME;
    s->flags |= GW_SESSION_GROUPED | (timed ? GW_SESSION_GROUP_TIME : 0);
    cold->group_us = timed ? group.time_ms * 1000 : wall_us;
    (void)publish(s, cold, wall_us, GW_RECORD_GROUP_BEGIN, todo);
}

static void on_internal(const struct gw_session *s, const struct gw_session_cold *cold,
                        const struct gw_frame *frame, uint64_t wall_us,
                        struct gw_session_todo *todo)
{
    struct gw_internal_request request;

    gw_internal_parse(frame->body, &request);
    if ((cold->product_flags & GW_PRODUCT_PROVISIONS) != 0 && request.what != GW_INTERNAL_INFO)
        return; /* it is nobody's yet, and there is nothing that it may ask or say */
    switch (request.what) {
    case GW_INTERNAL_EMPTY:
        answer(todo, GW_RESPONSE_ILLEGAL_COMMAND);
        break;
    case GW_INTERNAL_INFO:
        todo->ask = GW_ASK_PRODUCT;
        todo->asked = request.info.product; /* empty: the token alone decides */
        break;
    case GW_INTERNAL_RTC:
    case GW_INTERNAL_UTC:
        todo->ask = GW_ASK_ZONE;
        break;
    case GW_INTERNAL_META_GET:
        todo->ask = GW_ASK_FIELD;
        todo->asked = request.argument;
        break;
    case GW_INTERNAL_META_SET: {
        struct gw_record *record = publish(s, cold, wall_us, GW_RECORD_META_SET, todo);

        record->name = request.argument;
        record->value = request.value;
        answer_when_durable(todo, GW_RESPONSE_OK);
        break;
    }
    case GW_INTERNAL_UNKNOWN:
        break;
    }
}

static void on_sync(struct gw_bytes body, struct gw_session_todo *todo)
{
    struct gw_sync_pins pins;

    switch (gw_sync_parse(body, &pins)) {
    case GW_SYNC_ALL:
    case GW_SYNC_PINS:
        todo->ask = GW_ASK_VALUES;
        todo->asked = body;
        break;
    case GW_SYNC_IGNORED:
        break;
    case GW_SYNC_ILLEGAL:
        answer(todo, GW_RESPONSE_ILLEGAL_COMMAND);
        break;
    }
}

static bool sets_a_field(const struct gw_frame *frame)
{
    struct gw_internal_request request;

    gw_internal_parse(frame->body, &request);
    return request.what == GW_INTERNAL_META_SET;
}

/* Must this frame wait until the info frame named the product? */
static bool must_wait(const struct gw_session *s, const struct gw_session_cold *cold,
                      const struct gw_frame *frame)
{
    if ((cold->product_flags & GW_PRODUCT_INFO_REQUIRED) == 0 ||
        (s->flags & GW_SESSION_INFO_SEEN) != 0)
        return false;
    switch (frame->type) {
    case GW_FRAME_HARDWARE:
    case GW_FRAME_PROPERTY:
    case GW_FRAME_EVENT_LOG:
    case GW_FRAME_EVENT_CLEAR:
    case GW_FRAME_GROUP:
    case GW_FRAME_HARDWARE_SYNC: /* it would miss what is held, and may not be for this board */
    case GW_FRAME_BRIDGE:
        return true;
    case GW_FRAME_INTERNAL: /* the info frame itself must not; who is nobody's yet sets nothing */
        return (cold->product_flags & GW_PRODUCT_PROVISIONS) == 0 && sets_a_field(frame);
    case GW_FRAME_PING: /* its answer would cover what is held: it waits in its place */
        return (s->flags & GW_SESSION_HELD) != 0;
    default:
        return false;
    }
}

static void on_live_frame(struct gw_session *s, struct gw_session_cold *cold,
                          const struct gw_frame *frame, uint64_t wall_us,
                          struct gw_session_todo *todo)
{
    struct gw_bridge bridge;

    if (must_wait(s, cold, frame)) {
        todo->hold = true;
        return;
    }
    switch (frame->type) {
    case GW_FRAME_RESPONSE: /* to a PING of ours, or to nothing we know */
        break;
    case GW_FRAME_LOGIN:
    case GW_FRAME_HW_LOGIN:
        answer(todo, GW_RESPONSE_ALREADY_REGISTERED);
        break;
    case GW_FRAME_PING:
        todo->answer = GW_ANSWER_PING;
        todo->status = GW_RESPONSE_OK;
        break;
    case GW_FRAME_HARDWARE:
        on_hardware(s, cold, frame->body, wall_us, todo);
        break;
    case GW_FRAME_HARDWARE_SYNC:
        on_sync(frame->body, todo);
        break;
    case GW_FRAME_INTERNAL:
        on_internal(s, cold, frame, wall_us, todo);
        break;
    case GW_FRAME_PROPERTY:
        on_property(s, cold, frame->body, wall_us, todo);
        break;
    case GW_FRAME_GROUP:
        on_group(s, cold, frame->body, wall_us, todo);
        break;
    case GW_FRAME_EVENT_LOG:
    case GW_FRAME_EVENT_CLEAR:
        on_event(s, cold, frame, wall_us, todo);
        break;
    case GW_FRAME_BRIDGE:
        if (gw_bridge_parse(frame->body, &bridge)) {
            todo->ask = GW_ASK_BRIDGE;
            todo->asked = frame->body;
        } else {
            answer(todo, GW_RESPONSE_ILLEGAL_COMMAND);
        }
        break;
    default:
        if (frame->type >= GW_FRAME_TYPE_LIMIT)
            todo->close = GW_CLOSE_BAD_COMMAND;
        else
            answer(todo, GW_RESPONSE_ILLEGAL_COMMAND);
        break;
    }
}

void gw_session_frame(struct gw_session *s, struct gw_session_cold *cold,
                      const struct gw_session_limits *limits, const struct gw_frame *frame,
                      uint64_t wall_us, struct gw_session_todo *todo)
{
    (void)limits;
    *todo = (struct gw_session_todo){.msg_id = frame->msg_id};
    if (frame->msg_id != 0)
        cold->last_id = frame->msg_id;
    if (s->state == GW_SESSION_LIVE) {
        on_live_frame(s, cold, frame, wall_us, todo);
    } else if (frame->type == GW_FRAME_HW_LOGIN || frame->type == GW_FRAME_LOGIN) {
        gw_assert(s->state == GW_SESSION_LOGIN);
        todo->ask = GW_ASK_LOGIN;
        todo->asked = frame->body;
    } else {
        todo->close = GW_CLOSE_NOT_LOGGED_IN;
    }
}

static const struct {
    uint16_t status;
    enum gw_close_reason close;
} refusals[] = {
    [GW_LOGIN_UNKNOWN] = {GW_RESPONSE_INVALID_TOKEN, GW_CLOSE_TOKEN_UNKNOWN}, /* I2 */
    [GW_LOGIN_DISABLED] = {GW_RESPONSE_NOT_ALLOWED, GW_CLOSE_DEVICE_DISABLED},
    [GW_LOGIN_CLOSED] = {GW_RESPONSE_NOT_ALLOWED, GW_CLOSE_PRODUCT_CLOSED},
    [GW_LOGIN_NOT_NOW] = {GW_RESPONSE_NOT_ALLOWED, GW_CLOSE_TOKEN_NOT_NOW},
    [GW_LOGIN_PLAIN] = {GW_RESPONSE_NOT_ALLOWED, GW_CLOSE_PLAIN_REFUSED},
    [GW_LOGIN_UNAVAILABLE] = {GW_RESPONSE_SERVER_EXCEPTION, GW_CLOSE_INDEX_UNAVAILABLE},
};

void gw_session_login(struct gw_session *s, struct gw_session_cold *cold,
                      const struct gw_session_limits *limits, uint16_t msg_id, enum gw_login login,
                      const struct gw_grant *grant, struct gw_session_todo *todo)
{
    *todo = (struct gw_session_todo){.msg_id = msg_id};
    if (login != GW_LOGIN_GRANTED) {
        answer(todo, refusals[login].status);
        todo->close = refusals[login].close;
        return;
    }
    s->device = grant->device;
    s->idle_s = gw_session_idle_s(limits, limits->heartbeat_default_s);
    cold->product = grant->product;
    cold->product_flags = grant->product_flags;
    cold->token_generation = grant->generation;
    s->sync_at = 0;
    gw_session_move(s, GW_SESSION_LIVE);
    answer(todo, GW_RESPONSE_OK);
}

void gw_session_rechecked(const struct gw_session_cold *cold, enum gw_login login,
                          const struct gw_grant *grant, struct gw_session_todo *todo)
{
    *todo = (struct gw_session_todo){.msg_id = cold->last_id};
    if (login == GW_LOGIN_UNAVAILABLE)
        return;
    if (login == GW_LOGIN_GRANTED) {
        if (grant->generation != cold->token_generation)
            todo->close = GW_CLOSE_DEVICE_MOVED; /* its token is good: it logs in again */
        return;
    }
    answer(todo, refusals[login].status);
    todo->close = login == GW_LOGIN_UNKNOWN ? GW_CLOSE_TOKEN_REVOKED : refusals[login].close;
}

void gw_session_info(struct gw_session *s, struct gw_session_cold *cold,
                     const struct gw_session_limits *limits, const struct gw_frame *frame,
                     bool product_matches, struct gw_session_todo *todo)
{
    struct gw_internal_request request;

    *todo = (struct gw_session_todo){.msg_id = frame->msg_id};
    if (!product_matches) {
        answer(todo, GW_RESPONSE_NOT_AUTHENTICATED);
        todo->close = GW_CLOSE_PRODUCT_MISMATCH;
        return;
    }
    gw_internal_parse(frame->body, &request);
    if (request.info.heartbeat_s >= 0)
        s->idle_s = gw_session_idle_s(limits, request.info.heartbeat_s);
    if (request.info.buffer_bytes > 0)
        cold->buffer_bytes = (uint16_t)gw_min_u64((uint64_t)request.info.buffer_bytes, UINT16_MAX);
    s->flags |= GW_SESSION_INFO_SEEN;
    todo->publish = true;
    todo->record =
        (struct gw_record){.kind = GW_RECORD_INFO, .msg_id = frame->msg_id, .value = frame->body};
    answer(todo, GW_RESPONSE_OK);
}
