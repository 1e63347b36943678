/*
 * What a device asks the gateway to tell: the time of its zone, and its metadata. Bodies are parts
 * joined by NULs, the question first.
 *
 * The forms are those that blynk-library's documentation shows; where it is silent,
 * docs/protocol.md says what was chosen.
 */
#include <gw/session/session.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>

/* A body in the making; what does not fit is a mistake of ours. */
struct body {
    uint8_t *out;
    size_t bytes;
};

static void add(struct body *body, struct gw_bytes part)
{
    const size_t at = body->bytes == 0 ? 0 : body->bytes + 1;

    gw_assert(at + part.size <= GW_SESSION_ANSWER_BYTES_MAX);
    if (at != 0)
        body->out[body->bytes] = '\0';
    if (part.size != 0)
        memcpy(body->out + at, part.data, part.size);
    body->bytes = at + part.size;
}

static void add_text(struct body *body, const char *text)
{
    add(body, gw_bytes_text(text));
}

static void add_number(struct body *body, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, number);
    add_text(body, text);
}

/* 2020-10-06T10:16:26+03:00, with +00:00 for UTC: sketches look for the sign. */
static void add_iso(struct body *body, const struct gw_zone *zone, int64_t now_s)
{
    const int32_t offset_s = gw_zone_at(zone, now_s).offset_s;
    const unsigned ahead_s = (unsigned)(offset_s < 0 ? -offset_s : offset_s);
    const struct gw_civil c = gw_civil_of(now_s + offset_s);
    char text[64];

    (void)snprintf(text, sizeof text, "%04d-%02u-%02uT%02u:%02u:%02u%c%02u:%02u", (int)c.year,
                   (unsigned)c.month, (unsigned)c.day, (unsigned)c.hour, (unsigned)c.minute,
                   (unsigned)c.second, offset_s < 0 ? '-' : '+', ahead_s / 3600, ahead_s / 60 % 60);
    add_text(body, text);
}

/* The next two changes of the offset: when, in seconds since 1970, and to how many minutes. */
static void add_changes(struct body *body, const struct gw_zone *zone, int64_t now_s)
{
    struct gw_zone_change changes[2];
    const size_t count = gw_zone_changes(zone, now_s, changes, GW_ARRAY_COUNT(changes));

    for (size_t i = 0; i < count; i++) {
        add_number(body, changes[i].at_s);
        add_number(body, changes[i].offset_s / 60);
    }
}

/* False when there is no such question, or no answer to it. */
static bool answer_utc(struct body *body, struct gw_bytes question, const struct gw_zone *zone,
                       uint64_t wall_us)
{
    const int64_t now_s = (int64_t)(wall_us / 1000000);

    add_text(body, "utc");
    add(body, question.size <= 16 ? question : gw_bytes_of(NULL, 0));
    if (gw_bytes_are(question, "time")) {
        add_number(body, (int64_t)(wall_us / 1000));
        return true;
    }
    if (zone == NULL)
        return false;
    if (gw_bytes_are(question, "tz_name")) {
        add_text(body, gw_zone_name(zone));
    } else if (gw_bytes_are(question, "iso")) {
        add_iso(body, zone, now_s);
    } else if (gw_bytes_are(question, "tz")) {
        const struct gw_zone_time now = gw_zone_at(zone, now_s);

        add_number(body, (now.offset_s - now.saving_s) / 60);
        add_number(body, now.saving_s / 60);
    } else if (gw_bytes_are(question, "tz_rule") && gw_zone_rule(zone)[0] != '\0') {
        add_text(body, gw_zone_rule(zone));
    } else if (gw_bytes_are(question, "dst_next")) {
        add_changes(body, zone, now_s);
    } else {
        return false;
    }
    return true;
}

void gw_session_time(const struct gw_frame *frame, const struct gw_zone *zone, uint64_t wall_us,
                     uint8_t out[GW_SESSION_ANSWER_BYTES_MAX], struct gw_session_todo *todo)
{
    static_assert(3 + 1 + 16 + 1 + GW_ZONE_NAME_BYTES_MAX <= GW_SESSION_ANSWER_BYTES_MAX &&
                      3 + 1 + 16 + 1 + GW_ZONE_RULE_BYTES_MAX <= GW_SESSION_ANSWER_BYTES_MAX,
                  "a name or a rule fits behind its question");
    struct gw_internal_request request;
    struct body body = {.out = out};
    bool answered;

    gw_internal_parse(frame->body, &request);
    if (request.what == GW_INTERNAL_UTC) {
        answered = answer_utc(&body, request.argument, zone, wall_us);
    } else if ((answered = zone != NULL)) {
        const int64_t now_s = (int64_t)(wall_us / 1000000);

        add_text(&body, "rtc");
        add_number(&body, now_s + gw_zone_at(zone, now_s).offset_s);
    }
    *todo = (struct gw_session_todo){.msg_id = frame->msg_id};
    if (answered) {
        todo->answer = GW_ANSWER_BODY;
        todo->body = gw_bytes_of(out, body.bytes);
    }
}

void gw_session_field(const struct gw_session_cold *cold, struct gw_bytes name,
                      const struct gw_bytes *value, uint8_t out[GW_SESSION_ANSWER_BYTES_MAX],
                      struct gw_session_todo *todo)
{
    struct body body = {.out = out};

    *todo = (struct gw_session_todo){.msg_id = todo->msg_id};
    if (value == NULL)
        return;
    add_text(&body, "meta");
    add(&body, name);
    add(&body, *value);
    if (GW_FRAME_HEADER_BYTES + body.bytes > cold->buffer_bytes) /* it would drop the connection */
        return;
    todo->answer = GW_ANSWER_BODY;
    todo->body = gw_bytes_of(out, body.bytes);
}

void gw_session_event_unknown(struct gw_session_todo *todo)
{
    *todo = (struct gw_session_todo){
        .msg_id = todo->msg_id, .answer = GW_ANSWER_NOW, .status = GW_RESPONSE_ILLEGAL_COMMAND};
}
