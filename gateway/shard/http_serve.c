/*
 * What an HTTP request asks for, once it is whole: who is it, may it, and then it is done.
 *
 *   I1  200 to what was recorded comes after it is durable (answers.c, I1).
 *   I2  Of a request that is refused nothing is recorded.
 */
#include "shard_internal.h"

#include <stdio.h>

#include <gw/crypto/crypto.h>

/* Where it was decoded to; what it was decoded from is wiped with the request. */
static void wipe_decoded(struct http_call *call)
{
    size_t at = (size_t)((uintptr_t)call->token.data - (uintptr_t)call->text);

    if (at < sizeof call->text)
        gw_wipe(call->text + at, call->token.size);
}

static void refuse_locked(struct http_call *call)
{
    call->status = 429;
    call->message = "Too many wrong tokens from your address. Try again later.";
}

/* Before a refusal is given: once a request, however often it was looked at. */
static void count_failure(struct gw_shard *sh, const struct gw_session *s, struct http_call *call)
{
    if (call->token_unknown && fail_token(sh, s, call->token_tag))
        refuse_locked(call);
    if (call->status == 429)
        COUNT(sh, lockout_refused);
}

/* Refuses the call for its token's sake; false: it is granted. */
static bool token_is_refused(struct gw_shard *sh, const struct gw_session *s,
                             struct http_call *call, struct gw_grant *grant)
{
    static const struct {
        uint16_t status;
        const char *message;
    } refusals[] = {
        [GW_LOGIN_UNKNOWN] = {400, "Invalid token."},
        [GW_LOGIN_DISABLED] = {403, "The device is disabled."},
        [GW_LOGIN_CLOSED] = {403, "The product or organisation is closed."},
        [GW_LOGIN_NOT_NOW] = {403, "The token is not valid now."},
        [GW_LOGIN_PLAIN] = {403, "This product's devices must use HTTPS."},
        [GW_LOGIN_UNAVAILABLE] = {503, "Try again later."},
    };
    uint8_t token[GW_TOKEN_BYTES];

    if (is_shut_out(sh, s)) {
        refuse_locked(call);
        return true;
    }
    bool shaped = gw_token_from_text(call->token, token);
    enum gw_login login = gw_index_login(sh->reader, shaped ? token : NULL, has(s, GW_SESSION_TLS),
                                         gw_ring_wall_us(sh->ring) / 1000000, grant);

    call->token_unknown = login == GW_LOGIN_UNKNOWN;
    if (call->token_unknown)
        call->token_tag = gw_index_token_tag(sh->options.index, token);
    gw_wipe(token, sizeof token);
    wipe_decoded(call);
    call->login = login;
    if (login != GW_LOGIN_GRANTED) {
        call->status = refusals[login].status;
        call->message = refusals[login].message;
        return true;
    }
    /* Such a product's updates count only once its info frame named it, and HTTP has none. */
    if ((grant->product_flags & GW_PRODUCT_INFO_REQUIRED) != 0 && !call->binds) {
        call->status = 403;
        call->message =
            (grant->product_flags & GW_PRODUCT_PROVISIONS) != 0
                ? "The device has to be provisioned first."
                : "This product's devices must name it, which needs the device protocol.";
        return true;
    }
    return false;
}

/* Records are one session's as long as one connection speaks for one device. */
static void speak_for(struct gw_shard *sh, struct gw_session *s, uint32_t device)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (s->device == device)
        return;
    s->device = device;
    cold->login = sh->login_count++;
    cold->sequence = 0;
}

static size_t bytes_of_records(const struct http_call *call)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < call->record_count; i++)
        bytes += gw_record_bytes(&call->records[i]);
    return bytes;
}

enum progress {
    TAKEN,   /* it was answered, or will be */
    REFUSED, /* it has to be: with 503, unless the call says otherwise */
    WAITS,   /* it must be looked at again  */
};

static uint32_t writes_of(const struct http_call *call)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < call->record_count; i++)
        count += call->records[i].kind == GW_RECORD_PIN_WRITE;
    return count;
}

static enum progress record_all(struct gw_shard *sh, struct gw_session *s, struct http_call *call)
{
    if (!gw_lane_has_room(sh->lane, bytes_of_records(call)))
        return REFUSED;
    if (!may_ask_for_downlinks(sh, writes_of(call))) {
        park_for_downlinks(sh, s);
        return WAITS;
    }
    for (uint32_t i = 0; i < call->record_count; i++) {
        publish_record(sh, s, &call->records[i]);
        if (call->records[i].kind == GW_RECORD_PIN_WRITE)
            http_forward(sh, s, &call->records[i]);
    }
    return TAKEN;
}

/* More points than the lane has room for go in pieces: they were judged, so none will be refused.
 */
static enum progress record_points(struct gw_shard *sh, struct gw_session *s,
                                   const struct http_call *call)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint8_t room[HTTP_VALUE_BYTES_MAX];
    struct http_points points;
    struct gw_record record;
    uint32_t number = 0;

    http_points_begin(&points, call);
    while (http_points_next(&points, room, call, &record)) {
        if (number++ < cold->http_done)
            continue;
        if (!gw_lane_has_room(sh->lane, gw_record_bytes(&record))) {
            if (cold->http_done == 0)
                return REFUSED;
            park_for_lane(sh, s);
            return WAITS;
        }
        publish_record(sh, s, &record);
        cold->http_done++;
    }
    cold->http_done = 0;
    return TAKEN;
}

/* Whether the device is connected, its owner knows. */
static enum progress ask_owner(struct gw_shard *sh, struct gw_session *s, uint32_t device)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint32_t owner = device % sh->options.count;
    struct mail mail = {.kind = MAIL_ASK,
                        .place = {.device = device,
                                  .shard = sh->options.number,
                                  .slot = slot_of(sh, s),
                                  .generation = s->generation & GW_OP_GENERATION_MASK}};

    if (owner == sh->options.number) {
        http_answer_connected(sh, s, directory_find(&sh->directory, device).device != 0);
        return TAKEN;
    }
    if (!mail_send(sh, owner, &mail))
        return REFUSED;
    cold->http.flags |= GW_SESSION_HTTP_ASKED;
    return TAKEN;
}

/* The wall clock of the device's zone as if it were UTC, which is what a device is told as well. */
static enum progress answer_time(struct gw_shard *sh, struct gw_session *s,
                                 struct http_answer answer, uint32_t device)
{
    const struct gw_zone *zone = zone_of(sh, device);
    const int64_t now_s = (int64_t)(gw_ring_wall_us(sh->ring) / 1000000);
    char body[32];
    int bytes;

    if (zone == NULL) /* no clock is better than a wrong one */
        return REFUSED;
    bytes = snprintf(body, sizeof body, "[\"%lld\"]",
                     (long long)(now_s + gw_zone_at(zone, now_s).offset_s));
    answer.type = "application/json;charset=utf-8";
    answer.body = gw_bytes_of(body, (size_t)bytes);
    http_respond(sh, s, &answer);
    return TAKEN;
}

static enum progress answer_body(struct gw_shard *sh, struct gw_session *s,
                                 struct http_answer answer, const struct http_body *body)
{
    answer.type = body->type;
    answer.body = body->bytes;
    http_respond(sh, s, &answer);
    return TAKEN;
}

/* They hold what was acknowledged (uplink, I3), and no answer waits for the disk here
 * (http_answers.c, I1). */
static enum progress answer_values(struct gw_shard *sh, struct gw_session *s,
                                   struct http_call *call, struct http_answer answer,
                                   const struct gw_grant *grant)
{
    struct pin_source source = pins_of(sh, grant->device, grant->product);
    struct http_body body;

    if (!http_values_read(&source, call, sh->content, sh->options.http.answer_bytes_max, &body))
        return REFUSED;
    if (body.bytes.size > GW_CHUNK_DATA_BYTES && !chunks_may_take(sh, body.bytes.size))
        return REFUSED;
    return answer_body(sh, s, answer, &body);
}

static enum progress answer_field(struct gw_shard *sh, struct gw_session *s, struct http_call *call,
                                  struct http_answer answer, uint32_t device)
{
    struct http_body body;

    if (!http_field_read(sh->reader, device, call, sh->content, sizeof sh->content, &body))
        return REFUSED;
    return answer_body(sh, s, answer, &body);
}

/*
 * The device of a token for provisioning is bound by others, and meanwhile the request stays where
 * it is. When it is looked at again, the device is of its product, and what it told is recorded.
 */
static enum progress provision(struct gw_shard *sh, struct gw_session *s, struct http_call *call,
                               const struct gw_grant *grant)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    bool unbound = (cold->http.flags & GW_SESSION_HTTP_UNBOUND) != 0;
    uint16_t status;

    cold->http.flags &= (uint8_t)~GW_SESSION_HTTP_UNBOUND;
    if ((grant->product_flags & GW_PRODUCT_PROVISIONS) == 0) {
        bool is = false;

        if (gw_index_product_is(sh->reader, grant->product, call->field, &is) != 0)
            return REFUSED;
        if (is)
            return record_all(sh, s, call);
        http_refuse(call, 400, "The device is provisioned for another template.");
        return REFUSED;
    }
    if (unbound)
        return REFUSED;
    status = ask_binding(sh, s, grant->device, grant->product, call->field);
    if (status == GW_RESPONSE_NOT_AUTHENTICATED)
        http_refuse(call, 400, HTTP_WRONG_TEMPLATE);
    if (status != 0)
        return REFUSED;
    cold->http.flags |= GW_SESSION_HTTP_ASKED;
    return WAITS;
}

void http_bound(struct gw_shard *sh, struct gw_session *s, enum gw_binding_result result)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    gw_assert((cold->http.flags & GW_SESSION_HTTP_ASKED) != 0);
    cold->http.flags &= (uint8_t)~GW_SESSION_HTTP_ASKED;
    if (result == GW_BINDING_BOUND)
        COUNT(sh, bindings_made);
    else
        COUNT(sh, bindings_refused);
    if (result != GW_BINDING_BOUND)
        cold->http.flags |= GW_SESSION_HTTP_UNBOUND;
    gw_index_reader_pause(sh->reader); /* the turn's transaction may be older than the answer */
    resume_reading(sh, s);
}

/* On the plain port alone: whoever holds the name's certificate need not prove that he has it. */
static enum progress answer_challenge(struct gw_shard *sh, struct gw_session *s,
                                      struct http_call *call, struct http_answer answer)
{
    const char *folder = has(s, GW_SESSION_TLS) ? NULL : sh->options.http.acme_folder;
    struct http_body body;

    if (!http_challenge_read(folder, call, sh->content, sizeof sh->content, &body))
        return REFUSED;
    return answer_body(sh, s, answer, &body);
}

/* Does what the call asks for. */
static enum progress carry_out(struct gw_shard *sh, struct gw_session *s, struct http_call *call,
                               const struct http_answer *answer, const struct gw_grant *grant)
{
    enum progress progress;

    switch (call->what) {
    case HTTP_CALL_RECORDS:
    case HTTP_CALL_POINTS:
    case HTTP_CALL_BIND:
        speak_for(sh, s, grant->device);
        progress = call->what == HTTP_CALL_RECORDS  ? record_all(sh, s, call)
                   : call->what == HTTP_CALL_POINTS ? record_points(sh, s, call)
                                                    : provision(sh, s, call, grant);
        if (progress == TAKEN) {
            http_remember(cold_of(sh, s), answer);
            answer_http_when_durable(sh, s);
        }
        return progress;
    case HTTP_CALL_CONNECTED:
        http_remember(cold_of(sh, s), answer);
        return ask_owner(sh, s, grant->device);
    case HTTP_CALL_APP:
        http_remember(cold_of(sh, s), answer);
        http_answer_connected(sh, s, false);
        return TAKEN;
    case HTTP_CALL_TIME:
        return answer_time(sh, s, *answer, grant->device);
    case HTTP_CALL_VALUES:
        return answer_values(sh, s, call, *answer, grant);
    case HTTP_CALL_FIELD:
        return answer_field(sh, s, call, *answer, grant->device);
    case HTTP_CALL_CHALLENGE:
        return answer_challenge(sh, s, call, *answer);
    case HTTP_CALL_PREFLIGHT:
        break;
    }
    gw_unreachable("a preflight asks for nothing");
}

static bool needs_token(const struct http_call *call)
{
    return call->what != HTTP_CALL_PREFLIGHT && call->what != HTTP_CALL_CHALLENGE;
}

bool http_serve(struct gw_shard *sh, struct gw_session *s, const struct gw_http_request *request,
                struct gw_bytes body)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    struct http_call *call = &sh->call;
    struct http_answer answer = {.status = 200,
                                 .head = request->method == GW_HTTP_HEAD,
                                 .last = !request->keep_alive,
                                 .reason = GW_CLOSE_HTTP_DONE};
    struct gw_grant grant = {0};
    enum progress progress;

    http_route(request, call);
    if (call->status == 200 && needs_token(call) && !token_is_refused(sh, s, call, &grant))
        http_call_read(&sh->options.http, request, body,
                       cold->http_done == 0 ? gw_ring_wall_us(sh->ring) : 0, call);
    if (call->status == 200)
        http_call_resolve(sh->reader, grant.product, call);
    if (call->status == 200 && cold->http_done == 0) /* nothing of it is recorded yet */
        http_call_check(sh->reader, grant.product, call);
    bool records =
        call->status == 200 && (call->what == HTTP_CALL_RECORDS || call->what == HTTP_CALL_POINTS);

    if (!records && !http_may_answer(cold))
        return false;
    if (call->status == 200 && call->what == HTTP_CALL_PREFLIGHT) {
        answer.status = 204;
        answer.allow = call->allow;
        answer.preflight = true;
        http_respond(sh, s, &answer);
        return true;
    }
    if (call->status == 200) {
        progress = carry_out(sh, s, call, &answer, &grant);
        if (progress != REFUSED)
            return progress == TAKEN;
        if (!http_may_answer(cold)) /* by then there may be room */
            return false;
        if (call->status == 200) {
            call->status = 503;
            call->message = "Try again later.";
        }
    }
    cold->http_done = 0; /* of a token that was revoked meanwhile, what was recorded stays so */
    count_failure(sh, s, call);
    answer.status = call->status;
    answer.allow = call->status == 405 ? call->allow : NULL;
    audit_http(sh, s, call->login);
    http_respond_refusal(sh, s, answer, call->message, call->legacy);
    return true;
}

bool http_upgrade(struct gw_shard *sh, struct gw_session *s, const struct gw_http_request *request)
{
    struct http_answer answer = {.last = !request->keep_alive, .reason = GW_CLOSE_HTTP_DONE};
    const char *message;

    if (!http_may_answer(cold_of(sh, s)))
        return false;
    answer.status = gw_websocket_judge(request, &message);
    if (answer.status == 101)
        websocket_begin(sh, s, request);
    else
        http_respond_refusal(sh, s, answer, message, false);
    return true;
}

void http_look_at_head(struct gw_shard *sh, struct gw_session *s,
                       const struct gw_http_request *request)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct gw_session_cold *cold = cold_of(sh, s);
    struct http_call *call = &sh->call;
    struct gw_grant grant;

    cold->http.flags |= GW_SESSION_HTTP_LOOKED;
    http_route(request, call);
    if (call->status == 200 && needs_token(call))
        (void)token_is_refused(sh, s, call, &grant);
    count_failure(sh, s, call);
    if (call->status != 200) {
        struct http_answer answer = {.status = call->status,
                                     .allow = call->status == 405 ? call->allow : NULL,
                                     .last = true,
                                     .reason = GW_CLOSE_HTTP_REFUSED};

        audit_http(sh, s, call->login);
        http_respond_refusal(sh, s, answer, call->message, call->legacy);
        return;
    }
    if (request->expects_continue) { /* RFC 9110 10.1.1 */
        if (sh->reply_bytes + sizeof go_on > REPLY_BYTES_MAX)
            flush_replies(sh, s);
        memcpy(sh->replies + sh->reply_bytes, go_on, sizeof go_on - 1);
        sh->reply_bytes += sizeof go_on - 1;
    }
}
