/*
 * HTTP connections: requests out of plaintext, their records into the lane, answers in their order.
 *
 * A connection whose first byte is a letter speaks HTTP to its end. It is a session like any other:
 * same slots, TLS, poll, rates, lane; while it is idle it holds no buffer. A request is taken when
 * it is whole. What it wants recorded goes into the lane at once and is answered when it is
 * durable; more such requests may be taken meanwhile, for answers become due in the order of the
 * lane. Any other answer is given only when none waits.
 *
 *   I1  Answers leave in the order of the requests.
 *   I2  200 to what was recorded comes after it is durable (answers.c, I1).
 *   I3  Of a request that is refused nothing is recorded.
 *   I4  HTTP takes no chunk beyond half of the pool: the rest is for devices that have logged in.
 */
#include "shard_internal.h"

#include <stdio.h>

#include <gw/crypto/crypto.h>

enum {
    RETRY_AFTER_S = 5,
    WAITS_MAX = 1024, /* requests of a connection that were taken and not answered */
};

/* ---- answers ---- */

struct answer {
    uint16_t status;
    const char *type; /* NULL: no body */
    struct gw_bytes body;
    const char *allow;
    bool preflight;
    bool head;                   /* the request was HEAD                  */
    bool last;                   /* the connection closes after it        */
    enum gw_close_reason reason; /* with `last` */
};

/* However long: what the shard's buffer does not take leaves as records before it. */
static void reply_body(struct gw_shard *sh, struct gw_session *s, struct gw_bytes body)
{
    while (body.size > 0) {
        if (sh->reply_bytes == REPLY_BYTES_MAX)
            flush_replies(sh, s);
        size_t piece = gw_min_u64(body.size, REPLY_BYTES_MAX - sh->reply_bytes);

        memcpy(sh->replies + sh->reply_bytes, body.data, piece);
        sh->reply_bytes += (uint32_t)piece;
        body = gw_bytes_after(body, piece);
    }
}

static void respond(struct gw_shard *sh, struct gw_session *s, const struct answer *answer)
{
    struct gw_http_response response = {
        .status = answer->status,
        .keep_alive = !answer->last,
        .head_only = true, /* the body follows it, in pieces */
        .date_s = gw_ring_wall_us(sh->ring) / 1000000,
        .content_type = answer->type,
        .body = answer->body,
        .allow = answer->allow,
        .retry_after_s = answer->status == 503 || answer->status == 429 ? RETRY_AFTER_S : 0,
        .cors_origin = sh->options.http.cors_origin,
        .preflight = answer->preflight,
    };

    gw_assert(cold_of(sh, s)->http.waits == 0 || answer->status == 200); /* I1 */
    if (sh->reply_bytes + GW_HTTP_RESPONSE_HEAD_BYTES > REPLY_BYTES_MAX)
        flush_replies(sh, s);
    size_t bytes = gw_http_response_write(sh->replies + sh->reply_bytes,
                                          sizeof sh->replies - sh->reply_bytes, &response);

    gw_assert(bytes > 0);
    sh->reply_bytes += (uint32_t)bytes;
    if (!answer->head)
        reply_body(sh, s, answer->body);
    COUNT(sh, http_requests);
    if (answer->status >= 400)
        COUNT(sh, http_refused);
    if (answer->last)
        close_session(sh, s, answer->reason);
}

/* A refusal: {"error":{"message":"..."}}, or the message alone as old servers had it. */
static void refuse(struct gw_shard *sh, struct gw_session *s, struct answer answer,
                   const char *message, bool legacy)
{
    char body[HTTP_REFUSAL_BYTES_MAX];
    int bytes =
        snprintf(body, sizeof body, legacy ? "%s" : "{\"error\":{\"message\":\"%s\"}}", message);

    gw_assert(bytes > 0 && (size_t)bytes < sizeof body);
    answer.type = legacy ? "text/plain;charset=utf-8" : "application/json;charset=utf-8";
    answer.body = gw_bytes_of(body, (size_t)bytes);
    respond(sh, s, &answer);
}

static void refuse_and_close(struct gw_shard *sh, struct gw_session *s, uint16_t status,
                             const char *message, enum gw_close_reason reason)
{
    struct answer answer = {.status = status, .last = true, .reason = reason};

    refuse(sh, s, answer, message, false);
}

/* I1: may an answer be given now? If not, the next one that waits and is given resumes. */
static bool may_answer(struct gw_session_cold *cold)
{
    if (cold->http.waits == 0)
        return true;
    cold->http.flags |= GW_SESSION_HTTP_BLOCKED;
    return false;
}

void http_give(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    struct answer answer = {.status = 200, .reason = GW_CLOSE_HTTP_DONE};

    gw_assert(cold->http.waits > 0);
    if (--cold->http.waits == 0) {
        cold->http.flags &= (uint8_t)~GW_SESSION_HTTP_BLOCKED;
        answer.last = (cold->http.flags & GW_SESSION_HTTP_LAST) != 0;
    }
    respond(sh, s, &answer);
}

/* For an answer that comes later. */
static void remember(struct gw_session_cold *cold, const struct answer *answer)
{
    cold->http.flags &= (uint8_t) ~(GW_SESSION_HTTP_HEAD | GW_SESSION_HTTP_LAST);
    cold->http.flags |= (uint8_t)((answer->head ? GW_SESSION_HTTP_HEAD : 0) |
                                  (answer->last ? GW_SESSION_HTTP_LAST : 0));
}

static void answer_connected(struct gw_shard *sh, struct gw_session *s, bool connected)
{
    uint8_t flags = cold_of(sh, s)->http.flags;
    struct answer answer = {.status = 200,
                            .type = "application/json;charset=utf-8",
                            .body = gw_bytes_text(connected ? "true" : "false"),
                            .head = (flags & GW_SESSION_HTTP_HEAD) != 0,
                            .last = (flags & GW_SESSION_HTTP_LAST) != 0,
                            .reason = GW_CLOSE_HTTP_DONE};

    respond(sh, s, &answer);
}

void http_told(struct gw_shard *sh, const struct place *asker, bool connected)
{
    if (!gw_slab_is_taken(&sh->sessions, asker->slot))
        return;
    struct gw_session *s = session_at(sh, asker->slot);
    struct gw_session_cold *cold = cold_of(sh, s);

    if ((s->generation & GW_OP_GENERATION_MASK) != asker->generation || s->state != GW_SESSION_HTTP)
        return;
    gw_assert((cold->http.flags & GW_SESSION_HTTP_ASKED) != 0);
    cold->http.flags &= (uint8_t)~GW_SESSION_HTTP_ASKED;
    answer_connected(sh, s, connected);
    flush_replies(sh, s);
    resume_reading(sh, s);
}

/* ---- what a request asks for ---- */

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
    cold->epoch = next_epoch(sh);
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

static enum progress record_all(struct gw_shard *sh, struct gw_session *s, struct http_call *call)
{
    if (!gw_lane_has_room(sh->lane, bytes_of_records(call)))
        return REFUSED;
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
        answer_connected(sh, s, directory_find(&sh->directory, device).device != 0);
        return TAKEN;
    }
    if (!mail_send(sh, owner, &mail))
        return REFUSED;
    cold->http.flags |= GW_SESSION_HTTP_ASKED;
    return TAKEN;
}

static void answer_time(struct gw_shard *sh, struct gw_session *s, struct answer answer)
{
    char body[32];
    int bytes = snprintf(body, sizeof body, "[\"%llu\"]",
                         (unsigned long long)(gw_ring_wall_us(sh->ring) / 1000000));

    answer.type = "application/json;charset=utf-8";
    answer.body = gw_bytes_of(body, (size_t)bytes);
    respond(sh, s, &answer);
}

bool chunks_may_take(const struct gw_shard *sh, size_t bytes)
{
    return sh->chunks.taken_count + bytes / GW_CHUNK_DATA_BYTES + 1 <= sh->chunks.slot_count / 2;
}

/* They hold what was acknowledged (uplink, I3), and no answer waits for the disk here (I1). */
static enum progress answer_values(struct gw_shard *sh, struct gw_session *s,
                                   struct http_call *call, struct answer answer,
                                   const struct gw_grant *grant)
{
    struct pin_source source = pins_of(sh, grant->device, grant->product);
    struct http_body body;

    if (!http_values_read(&source, call, sh->content, sh->options.http.answer_bytes_max, &body))
        return REFUSED;
    if (body.bytes.size > GW_CHUNK_DATA_BYTES && !chunks_may_take(sh, body.bytes.size))
        return REFUSED;
    answer.type = body.type;
    answer.body = body.bytes;
    respond(sh, s, &answer);
    return TAKEN;
}

static enum progress answer_field(struct gw_shard *sh, struct gw_session *s, struct http_call *call,
                                  struct answer answer, uint32_t device)
{
    struct http_body body;

    if (!http_field_read(sh->reader, device, call, sh->content, sizeof sh->content, &body))
        return REFUSED;
    answer.type = body.type;
    answer.body = body.bytes;
    respond(sh, s, &answer);
    return TAKEN;
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
        if (gw_index_product_is(sh->reader, grant->product, call->field))
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
                                      struct http_call *call, struct answer answer)
{
    const char *folder = has(s, GW_SESSION_TLS) ? NULL : sh->options.http.acme_folder;
    struct http_body body;

    if (!http_challenge_read(folder, call, sh->content, sizeof sh->content, &body))
        return REFUSED;
    answer.type = body.type;
    answer.body = body.bytes;
    respond(sh, s, &answer);
    return TAKEN;
}

/* Does what the call asks for. */
static enum progress carry_out(struct gw_shard *sh, struct gw_session *s, struct http_call *call,
                               const struct answer *answer, const struct gw_grant *grant)
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
            remember(cold_of(sh, s), answer);
            answer_http_when_durable(sh, s);
        }
        return progress;
    case HTTP_CALL_CONNECTED:
        remember(cold_of(sh, s), answer);
        return ask_owner(sh, s, grant->device);
    case HTTP_CALL_APP:
        remember(cold_of(sh, s), answer);
        answer_connected(sh, s, false);
        return TAKEN;
    case HTTP_CALL_TIME:
        answer_time(sh, s, *answer);
        return TAKEN;
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

/* A whole request. False: it has to wait, and is looked at again. */
static bool serve(struct gw_shard *sh, struct gw_session *s, const struct gw_http_request *request,
                  struct gw_bytes body)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    struct http_call *call = &sh->call;
    struct answer answer = {.status = 200,
                            .head = request->method == GW_HTTP_HEAD,
                            .last = !request->keep_alive,
                            .reason = GW_CLOSE_HTTP_DONE};
    struct gw_grant grant = {0};
    enum progress progress;

    http_route(request, call);
    if (call->status == 200 && needs_token(call) && !token_is_refused(sh, s, call, &grant))
        http_call_read(&sh->options.http, request, body,
                       cold->http_done == 0 ? gw_ring_wall_us(sh->ring) : 0, call);
    if (call->status == 200 && cold->http_done == 0) /* nothing of it is recorded yet */
        http_call_check(sh->reader, grant.product, call);
    bool records =
        call->status == 200 && (call->what == HTTP_CALL_RECORDS || call->what == HTTP_CALL_POINTS);

    if (!records && !may_answer(cold))
        return false;
    if (call->status == 200 && call->what == HTTP_CALL_PREFLIGHT) {
        answer.status = 204;
        answer.allow = call->allow;
        answer.preflight = true;
        respond(sh, s, &answer);
        return true;
    }
    if (call->status == 200) {
        progress = carry_out(sh, s, call, &answer, &grant);
        if (progress != REFUSED)
            return progress == TAKEN;
        if (!may_answer(cold)) /* by then there may be room */
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
    refuse(sh, s, answer, call->message, call->legacy);
    return true;
}

/* A request for a WebSocket. False: it has to wait, and is looked at again. */
static bool upgrade(struct gw_shard *sh, struct gw_session *s,
                    const struct gw_http_request *request)
{
    struct answer answer = {.last = !request->keep_alive, .reason = GW_CLOSE_HTTP_DONE};
    const char *message;

    if (!may_answer(cold_of(sh, s)))
        return false;
    answer.status = gw_websocket_judge(request, &message);
    if (answer.status == 101)
        websocket_begin(sh, s, request);
    else
        refuse(sh, s, answer, message, false);
    return true;
}

/* ---- requests out of bytes ---- */

/*
 * The head is here and the body is not: who will be refused anyway need not send it, and who waits
 * to be asked for it is asked.
 */
static void look_at_head(struct gw_shard *sh, struct gw_session *s,
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
        struct answer answer = {.status = call->status,
                                .allow = call->status == 405 ? call->allow : NULL,
                                .last = true,
                                .reason = GW_CLOSE_HTTP_REFUSED};

        audit_http(sh, s, call->login);
        refuse(sh, s, answer, call->message, call->legacy);
        return;
    }
    if (request->expects_continue) { /* RFC 9110 10.1.1 */
        if (sh->reply_bytes + sizeof go_on > REPLY_BYTES_MAX)
            flush_replies(sh, s);
        memcpy(sh->replies + sh->reply_bytes, go_on, sizeof go_on - 1);
        sh->reply_bytes += sizeof go_on - 1;
    }
}

/* The stream is not to be trusted any more. */
static void refuse_fault(struct gw_shard *sh, struct gw_session *s, enum gw_http_fault fault,
                         enum gw_http_method method)
{
    struct answer answer = {.status = gw_http_fault_status(fault),
                            .head = method == GW_HTTP_HEAD,
                            .last = true,
                            .reason = GW_CLOSE_HTTP_REFUSED};

    if (may_answer(cold_of(sh, s)))
        refuse(sh, s, answer, gw_http_fault_text(fault), false);
}

/* Takes one request off the front of `in`; how many bytes it was, 0 when it must wait. */
static size_t take_request(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    const struct gw_http_limits *limits = &sh->options.http.limits;
    struct gw_session_cold *cold = cold_of(sh, s);
    struct gw_http_request request;
    struct gw_http_body body;
    bool served;
    enum gw_status status = gw_http_head_read(in, limits, &request);

    if (status == GW_MORE)
        return 0;
    if (status == GW_BAD_FRAME) {
        refuse_fault(sh, s, request.fault, request.method);
        return 0;
    }
    /* RFC 9110 9.3.1: a body of a GET means nothing, and hints at a request smuggled in. */
    if ((request.method & (GW_HTTP_GET | GW_HTTP_HEAD)) != 0 &&
        (request.chunked || request.content_length > 0)) {
        refuse_fault(sh, s, GW_HTTP_FAULT_BODY_OF_GET, request.method);
        return 0;
    }
    status = gw_http_body_read(gw_bytes_after(in, request.head_bytes), &request, limits,
                               sh->content, &body);
    if (status == GW_BAD_FRAME) {
        refuse_fault(sh, s, body.fault, request.method);
        return 0;
    }
    if (status == GW_MORE) {
        bool looked = (cold->http.flags & GW_SESSION_HTTP_LOOKED) != 0;

        if (!looked && !may_answer(cold))
            return 0; /* it is looked at when those that wait were answered */
        if (!looked)
            look_at_head(sh, s, &request);
        cold->http.need = (uint32_t)(request.head_bytes + body.need);
        return 0;
    }
    served = sh->options.http.websocket && gw_websocket_is_for(&request)
                 ? upgrade(sh, s, &request)
                 : serve(sh, s, &request, body.bytes);
    if (!served)
        return 0;
    cold->http.flags &= (uint8_t)~GW_SESSION_HTTP_LOOKED;
    charge_rate(sh, s);
    return request.head_bytes + body.used;
}

bool http_must_wait(const struct gw_shard *sh, const struct gw_session *s)
{
    const struct gw_session_cold *cold = cold_of(sh, s);

    return (cold->http.flags & (GW_SESSION_HTTP_ASKED | GW_SESSION_HTTP_BLOCKED)) != 0 ||
           ((cold->http.flags & GW_SESSION_HTTP_LAST) != 0 && cold->http.waits > 0) ||
           cold->http.waits == WAITS_MAX;
}

/* May a request be taken now? If not, what will come back to it has been arranged. */
static bool may_take(struct gw_shard *sh, struct gw_session *s)
{
    if (s->state != GW_SESSION_HTTP || http_must_wait(sh, s) ||
        has(s, GW_SESSION_PARKED | GW_SESSION_SLOWED))
        return false;
    if (!answers_have_room(sh)) {
        park_for_lane(sh, s);
        return false;
    }
    return cold_of(sh, s)->tx_bytes + sh->reply_bytes <= sh->options.tx_bytes_max &&
           within_rate(sh, s);
}

/* Sets the deadline: for what is partly here, or for the next request. */
static void watch(struct gw_shard *sh, struct gw_session *s, bool partial)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (!partial) {
        cold->http.flags &= (uint8_t)~GW_SESSION_HTTP_PARTIAL;
        stranger_waits(sh, s, STRANGER_IDLE);
        set_deadline(sh, s, sh->options.http.idle_s_max);
    } else if ((cold->http.flags & GW_SESSION_HTTP_PARTIAL) == 0) {
        cold->http.flags |= GW_SESSION_HTTP_PARTIAL;
        set_deadline(sh, s, sh->options.http.request_s_max);
    }
}

size_t http_take(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    size_t taken = 0, used = 1;
    bool may = true;

    cold_of(sh, s)->http.need = 0;
    while (taken < in.size && used > 0 && (may = may_take(sh, s))) {
        used = take_request(sh, s, gw_bytes_after(in, taken));
        if (used > 0) /* the next one's time begins with it */
            cold_of(sh, s)->http.flags &= (uint8_t)~GW_SESSION_HTTP_PARTIAL;
        taken += used;
    }
    if (has(s, GW_SESSION_WEBSOCKET))
        websocket_follows(sh, s, in.size - taken);
    if (s->state == GW_SESSION_HTTP)
        watch(sh, s,
              taken < in.size && may && !http_must_wait(sh, s) && !has(s, GW_SESSION_PARKED));
    return taken;
}

/* ---- what is kept ---- */

static void put(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    if (in.size == 0)
        return;
    if (chunks_may_take(sh, in.size) && gw_chunk_queue_append(&sh->chunks, &s->rx, in, false))
        return;
    if (cold_of(sh, s)->http.waits == 0)
        refuse_and_close(sh, s, 503, "Try again later.", GW_CLOSE_NO_MEMORY);
    else
        close_session(sh, s, GW_CLOSE_NO_MEMORY);
}

void http_keep(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    gw_assert(gw_chunk_queue_is_empty(&s->rx) && cold->prelogin_bytes == 0);
    if (in.size >= PRELOGIN_BYTES_MAX) {
        put(sh, s, in);
    } else if (in.size > 0) { /* a stranger's first bytes cost no chunk */
        memcpy(sh->prelogin[slot_of(sh, s)], in.data, in.size);
        cold->prelogin_bytes = (uint8_t)in.size & 0x7f;
    }
}

bool http_gathers(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    const struct gw_session_cold *cold = cold_of(sh, s);

    if (!http_must_wait(sh, s)) {
        size_t kept = cold->prelogin_bytes + gw_chunk_queue_bytes(&sh->chunks, &s->rx);

        if (kept + in.size >= cold->http.need)
            return false;
    }
    put(sh, s, in);
    return true;
}

/* ---- the life of a connection ---- */

void http_begin(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    gw_session_move(s, GW_SESSION_HTTP);
    s->flags |= GW_SESSION_SPEAKS_HTTP;
    sh->http_count++;
    cold->http.need = 0;
    cold->http.waits = 0;
    cold->http.flags = 0;
    cold->http_done = 0;
}

void http_over_rate(struct gw_shard *sh, struct gw_session *s)
{
    if (cold_of(sh, s)->http.waits == 0)
        refuse_and_close(sh, s, 429, "Too many requests.", GW_CLOSE_QUOTA);
    else
        close_session(sh, s, GW_CLOSE_QUOTA);
}

bool http_is_ours(const struct gw_shard *sh, const struct gw_session *s)
{
    const struct gw_session_cold *cold = cold_of(sh, s);

    return cold->http.waits > 0 || (cold->http.flags & GW_SESSION_HTTP_ASKED) != 0 ||
           has(s, GW_SESSION_PARKED | GW_SESSION_SLOWED | GW_SESSION_SEND | GW_SESSION_READABLE |
                      GW_SESSION_RECV);
}

void http_on_timer(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint64_t now = now_of(sh).ns, next;

    if (has(s, GW_SESSION_SEND) && tick_of(sh) >= cold->send_tick) {
        s->flags |= GW_SESSION_PEER_GONE;
        close_session(sh, s, GW_CLOSE_SLOW_READER);
        return;
    }
    if (has(s, GW_SESSION_SLOWED) && cold->rate_ns <= now + rate_burst_ns(sh) / 2)
        unslow(sh, s);
    if (s->state != GW_SESSION_HTTP)
        return;
    if (tick_of(sh) >= cold->deadline_tick) {
        if (http_is_ours(sh, s)) {
            cold->deadline_tick = tick_after(sh, GW_NS_PER_S);
        } else if ((cold->http.flags & GW_SESSION_HTTP_PARTIAL) != 0) {
            refuse_and_close(sh, s, 408, "The request was not whole in time.", GW_CLOSE_HTTP_SLOW);
            return;
        } else {
            close_session(sh, s, GW_CLOSE_HTTP_IDLE);
            return;
        }
    }
    next = ns_of_tick(sh, cold->deadline_tick);
    if (has(s, GW_SESSION_SLOWED))
        next = gw_min_u64(next, cold->rate_ns - rate_burst_ns(sh) / 2);
    if (has(s, GW_SESSION_SEND))
        next = gw_min_u64(next, ns_of_tick(sh, cold->send_tick));
    arm_by(sh, s, next);
}
