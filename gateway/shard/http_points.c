/*
 * Points of a batch, values with times of their own, out of a JSON body: one at a time, into room
 * that the caller lends. They are gone through twice, to be judged whole and then to be recorded.
 */
#include "http_internal.h"

#include <string.h>

#include <gw/base/assert.h>

static bool read_time(struct gw_json *json, uint64_t *time_ms)
{
    struct gw_json_value value;
    uint8_t none;

    return gw_json_scalar(json, &none, 0, &value) && value.kind == GW_JSON_NUMBER &&
           gw_json_integer(value.text, time_ms);
}

/* One value, or an array of them where there may be one, with NUL between them. */
static bool read_values(struct gw_json *json, bool may_nest, uint8_t room[HTTP_VALUE_BYTES_MAX],
                        struct gw_bytes *out)
{
    bool nested = may_nest && gw_json_take(json, '[');
    struct gw_json_value value;
    size_t bytes = 0;

    do {
        if (bytes > 0) {
            if (bytes == HTTP_VALUE_BYTES_MAX)
                return false;
            room[bytes++] = '\0';
        }
        if (!gw_json_scalar(json, room + bytes, HTTP_VALUE_BYTES_MAX - bytes, &value) ||
            value.text.size == 0 || value.text.size > HTTP_VALUE_BYTES_MAX - bytes ||
            memchr(value.text.data, '\0', value.text.size) != NULL)
            return false;
        if (value.text.data != room + bytes)
            memcpy(room + bytes, value.text.data, value.text.size);
        bytes += value.text.size;
    } while (nested && gw_json_take(json, ','));
    *out = gw_bytes_of(room, bytes);
    return !nested || gw_json_take(json, ']');
}

/* [ms, value] or [ms, [value, value]]: after its first bracket. */
static bool read_pair(struct gw_json *json, uint8_t room[HTTP_VALUE_BYTES_MAX], uint64_t *time_ms,
                      struct gw_bytes *out)
{
    return read_time(json, time_ms) && gw_json_take(json, ',') &&
           read_values(json, true, room, out) && gw_json_take(json, ']');
}

/* {"timestamp": ms, "value": value}: after its brace. RFC 8259 4: members have no order. */
static bool read_object(struct gw_json *json, uint8_t room[HTTP_VALUE_BYTES_MAX], uint64_t *time_ms,
                        struct gw_bytes *out)
{
    bool timed = false, valued = false;
    struct gw_json_value key;
    uint8_t name[16];

    do {
        if (!gw_json_scalar(json, name, sizeof name, &key) || !gw_json_take(json, ':'))
            return false;
        if (!timed && gw_bytes_are(key.text, "timestamp"))
            timed = read_time(json, time_ms);
        else if (!valued && gw_bytes_are(key.text, "value"))
            valued = read_values(json, false, room, out);
        else
            return false;
    } while (gw_json_take(json, ','));
    return timed && valued && gw_json_take(json, '}');
}

enum gw_status http_point_read(struct http_points *points, uint8_t room[HTTP_VALUE_BYTES_MAX],
                               uint64_t *time_ms, struct gw_bytes *value)
{
    struct gw_json *json = &points->json;

    if (!points->begun) {
        points->begun = true;
        if (!gw_json_take(json, '['))
            return GW_BAD_FRAME;
        if (gw_json_take(json, ']'))
            return gw_json_ended(json) ? GW_MORE : GW_BAD_FRAME;
    } else if (gw_json_take(json, ']')) {
        return gw_json_ended(json) ? GW_MORE : GW_BAD_FRAME;
    } else if (!gw_json_take(json, ',')) {
        return GW_BAD_FRAME;
    }
    if (!gw_json_take(json, points->legacy ? '{' : '['))
        return GW_BAD_FRAME;
    return (points->legacy ? read_object : read_pair)(json, room, time_ms, value) ? GW_OK
                                                                                  : GW_BAD_FRAME;
}

void http_points_begin(struct http_points *points, const struct http_call *call)
{
    *points = (struct http_points){.json = {.rest = call->points}, .legacy = call->legacy};
}

bool http_points_next(struct http_points *points, uint8_t room[HTTP_VALUE_BYTES_MAX],
                      const struct http_call *call, struct gw_record *out)
{
    struct gw_bytes value;
    uint64_t time_ms;
    enum gw_status status = http_point_read(points, room, &time_ms, &value);

    gw_assert(status != GW_BAD_FRAME); /* it was judged */
    if (status == GW_MORE)
        return false;
    *out = call->records[0];
    out->time_us = time_ms * 1000;
    out->value = value;
    return true;
}
