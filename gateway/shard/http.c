/*
 * HTTP connections: requests out of plaintext, one after the other.
 *
 * A connection whose first byte is a letter speaks HTTP to its end. It is a session like any other:
 * same slots, TLS, poll, rates, lane; while it is idle it holds no buffer. A request is taken when
 * it is whole (http_serve.c). What it wants recorded goes into the lane at once and is answered
 * when it is durable; more such requests may be taken meanwhile, for answers become due in the
 * order of the lane. Any other answer is given only when none waits (http_answers.c).
 *
 *   I1  HTTP takes no chunk beyond half of the pool: the rest is for devices that have logged in.
 */
#include "shard_internal.h"

enum { WAITS_MAX = 1024 }; /* requests of a connection that were taken and not answered */

/* ---- requests out of bytes ---- */

/* The stream is not to be trusted any more. */
static void refuse_fault(struct gw_shard *sh, struct gw_session *s, enum gw_http_fault fault,
                         enum gw_http_method method)
{
    struct http_answer answer = {.status = gw_http_fault_status(fault),
                                 .head = method == GW_HTTP_HEAD,
                                 .last = true,
                                 .reason = GW_CLOSE_HTTP_REFUSED};

    if (http_may_answer(cold_of(sh, s)))
        http_respond_refusal(sh, s, answer, gw_http_fault_text(fault), false);
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

        if (!looked && !http_may_answer(cold))
            return 0; /* it is looked at when those that wait were answered */
        if (!looked)
            http_look_at_head(sh, s, &request);
        cold->http.need = (uint32_t)(request.head_bytes + body.need);
        return 0;
    }
    served = sh->options.http.websocket && gw_websocket_is_for(&request)
                 ? http_upgrade(sh, s, &request)
                 : http_serve(sh, s, &request, body.bytes);
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

bool chunks_may_take(const struct gw_shard *sh, size_t bytes)
{
    return sh->chunks.taken_count + bytes / GW_CHUNK_DATA_BYTES + 1 <= sh->chunks.slot_count / 2;
}

static void put(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    if (in.size == 0)
        return;
    if (chunks_may_take(sh, in.size) && gw_chunk_queue_append(&sh->chunks, &s->rx, in, false))
        return;
    if (cold_of(sh, s)->http.waits == 0)
        http_refuse_and_close(sh, s, 503, "Try again later.", GW_CLOSE_NO_MEMORY);
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
        http_refuse_and_close(sh, s, 429, "Too many requests.", GW_CLOSE_QUOTA);
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

    if (has(s, GW_SESSION_SEND) && tick_of(sh) >= s->send_tick) {
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
            http_refuse_and_close(sh, s, 408, "The request was not whole in time.",
                                  GW_CLOSE_HTTP_SLOW);
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
        next = gw_min_u64(next, ns_of_tick(sh, s->send_tick));
    arm_by(sh, s, next);
}
