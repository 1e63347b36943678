/*
 * Answers to HTTP requests: their bytes, and their order. One that waits for the disk is given by
 * answers.c; every other is given only when none waits.
 *
 *   I1  Answers leave in the order of the requests.
 */
#include "shard_internal.h"

#include <stdio.h>

enum { RETRY_AFTER_S = 5 };

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

void http_respond(struct gw_shard *sh, struct gw_session *s, const struct http_answer *answer)
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

void http_respond_refusal(struct gw_shard *sh, struct gw_session *s, struct http_answer answer,
                          const char *message, bool legacy)
{
    char body[HTTP_REFUSAL_BYTES_MAX];
    int bytes =
        snprintf(body, sizeof body, legacy ? "%s" : "{\"error\":{\"message\":\"%s\"}}", message);

    gw_assert(bytes > 0 && (size_t)bytes < sizeof body);
    answer.type = legacy ? "text/plain;charset=utf-8" : "application/json;charset=utf-8";
    answer.body = gw_bytes_of(body, (size_t)bytes);
    http_respond(sh, s, &answer);
}

void http_refuse_and_close(struct gw_shard *sh, struct gw_session *s, uint16_t status,
                           const char *message, enum gw_close_reason reason)
{
    struct http_answer answer = {.status = status, .last = true, .reason = reason};

    http_respond_refusal(sh, s, answer, message, false);
}

bool http_may_answer(struct gw_session_cold *cold)
{
    if (cold->http.waits == 0)
        return true;
    cold->http.flags |= GW_SESSION_HTTP_BLOCKED;
    return false;
}

void http_give(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    struct http_answer answer = {.status = 200, .reason = GW_CLOSE_HTTP_DONE};

    gw_assert(cold->http.waits > 0);
    if (--cold->http.waits == 0) {
        cold->http.flags &= (uint8_t)~GW_SESSION_HTTP_BLOCKED;
        answer.last = (cold->http.flags & GW_SESSION_HTTP_LAST) != 0;
    }
    http_respond(sh, s, &answer);
}

void http_remember(struct gw_session_cold *cold, const struct http_answer *answer)
{
    cold->http.flags &= (uint8_t) ~(GW_SESSION_HTTP_HEAD | GW_SESSION_HTTP_LAST);
    cold->http.flags |= (uint8_t)((answer->head ? GW_SESSION_HTTP_HEAD : 0) |
                                  (answer->last ? GW_SESSION_HTTP_LAST : 0));
}

void http_answer_connected(struct gw_shard *sh, struct gw_session *s, bool connected)
{
    uint8_t flags = cold_of(sh, s)->http.flags;
    struct http_answer answer = {.status = 200,
                                 .type = "application/json;charset=utf-8",
                                 .body = gw_bytes_text(connected ? "true" : "false"),
                                 .head = (flags & GW_SESSION_HTTP_HEAD) != 0,
                                 .last = (flags & GW_SESSION_HTTP_LAST) != 0,
                                 .reason = GW_CLOSE_HTTP_DONE};

    http_respond(sh, s, &answer);
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
    http_answer_connected(sh, s, connected);
    flush_replies(sh, s);
    resume_reading(sh, s);
}
