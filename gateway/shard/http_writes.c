/*
 * Requests that are to be recorded, read: updates, batches, properties, events, metadata. Each is
 * judged whole before any of it becomes a record.
 */
#include "http_reading.h"

#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/token/details.h>

/* ---- updates ---- */

/* update, batch/update: "pin=V1&value=a[&value=b]", or "v1=a[&v2=b ...]". */
void http_read_update(struct http_reading *r)
{
    struct gw_bytes rest = r->request->query, name, value;
    uint8_t pin;
    char bank;

    if (http_has_parameter(r, "pin") || http_has_parameter(r, "dataStreamId")) {
        struct gw_bytes values;
        uint32_t count;

        if (!http_pin_alone(r, "value", &bank, &pin))
            return;
        count = http_find_values(r->call, r->request->query, "value", &values);
        if (!http_are_values(r, values, count))
            http_refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        else
            http_add_write(r, bank, pin, values);
        return;
    }
    while (r->call->status == 200 && gw_http_query_next(&rest, &name, &value)) {
        if (gw_bytes_are(name, "token"))
            continue;
        if (!http_pin_of(name, &bank, &pin)) {
            http_refuse(r->call, 400, HTTP_WRONG_PIN);
            return;
        }
        value = http_resolve(r->call, value);
        if (!http_is_value(r, value))
            http_refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        else
            http_add_write(r, bank, pin, value);
    }
    if (r->call->status == 200 && r->call->record_count == 0)
        http_refuse(r->call, 400, HTTP_WRONG_PIN);
}

/* Values of a JSON array into the call's text, NUL between them; false, refused, otherwise. */
static bool read_array(struct http_reading *r, struct gw_bytes *out, uint32_t *count)
{
    struct http_call *call = r->call;
    struct gw_json json = {.rest = r->body};
    uint8_t *begin = call->text + call->text_bytes;
    size_t capacity = r->options->value_bytes_max, bytes = 0;

    *count = 0;
    gw_assert(sizeof call->text - call->text_bytes >= capacity);
    if (!gw_http_media_type_is(r->request->content_type, "application/json")) {
        http_refuse(call, 400, HTTP_WRONG_TYPE);
        return false;
    }
    if (!gw_json_take(&json, '['))
        goto malformed;
    while (!gw_json_sees(&json, ']')) {
        struct gw_json_value value;

        if (*count > 0) {
            if (!gw_json_take(&json, ',') || bytes == capacity)
                goto malformed;
            begin[bytes++] = '\0';
        }
        if (!gw_json_scalar(&json, begin + bytes, capacity - bytes, &value) && !value.too_long)
            goto malformed;
        if (value.too_long || value.text.size > capacity - bytes || !http_is_value(r, value.text)) {
            http_refuse(call, 400, call->legacy ? HTTP_WRONG_FORMAT : GW_STREAM_TEXT_MISFIT);
            return false;
        }
        if (value.text.data != begin + bytes)
            memcpy(begin + bytes, value.text.data, value.text.size);
        bytes += value.text.size;
        ++*count;
    }
    if (!gw_json_take(&json, ']') || !gw_json_ended(&json))
        goto malformed;
    call->text_bytes += bytes;
    *out = gw_bytes_of(begin, bytes);
    return true;
malformed:
    http_refuse(call, 400, HTTP_WRONG_FORMAT);
    return false;
}

/*
 * update/pin: a pin in the query, as "pin=V1" or "v1[=value]", and its values in the body, in the
 * query, or in both: then the body counts.
 */
void http_read_put(struct http_reading *r)
{
    struct gw_bytes rest = r->request->query, name, value, values = {.size = 0};
    uint32_t pins = 0, count = 0;
    uint8_t pin = 0;
    char bank = 0;

    if (http_has_parameter(r, "pin") || http_has_parameter(r, "dataStreamId")) {
        if (!http_pin_alone(r, "value", &bank, &pin))
            return;
        count = http_find_values(r->call, r->request->query, "value", &values);
        pins = 1;
    } else {
        while (pins <= 1 && gw_http_query_next(&rest, &name, &value)) {
            if (gw_bytes_are(name, "token"))
                continue;
            pins += http_pin_of(name, &bank, &pin) ? 1 : 2; /* what is no pin counts as too many */
            if (value.size > 0) {
                values = http_resolve(r->call, value);
                count = 1;
            }
        }
    }
    if (pins != 1) {
        http_refuse(r->call, 400, HTTP_WRONG_PIN);
        return;
    }
    if (r->body.size > 0) {
        struct gw_bytes of_body;
        uint32_t of_body_count;

        if (!read_array(r, &of_body, &of_body_count))
            return;
        if (of_body_count > 0) {
            values = of_body;
            count = of_body_count;
        }
    }
    if (!http_are_values(r, values, count))
        http_refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
    else
        http_add_write(r, bank, pin, values);
}

void http_read_legacy_put(struct http_reading *r)
{
    struct gw_bytes values;
    uint32_t count;
    uint8_t pin;
    char bank;

    if (!http_pin_segment(r, &bank, &pin) || !read_array(r, &values, &count))
        return;
    if (count == 0)
        http_refuse(r->call, 400, "No pin for update provided.");
    else
        http_add_write(r, bank, pin, values);
}

/* ---- points with times ---- */

/* Judges every point; records[0] is what they have in common. */
static void read_points_of(struct http_reading *r, char bank, uint8_t pin)
{
    struct http_call *call = r->call;
    struct http_points points;
    uint8_t *room = call->text + call->text_bytes; /* of one point at a time */
    uint64_t age_ms_max = (uint64_t)r->options->point_age_s_max * 1000;
    uint64_t now_ms = r->wall_us / 1000, time_ms;
    struct gw_bytes value;
    enum gw_status status;

    gw_assert(sizeof call->text - call->text_bytes >= HTTP_VALUE_BYTES_MAX);
    if (!gw_http_media_type_is(r->request->content_type, "application/json")) {
        http_refuse(call, 400, HTTP_WRONG_TYPE);
        return;
    }
    http_add_write(r, bank, pin, gw_bytes_of(NULL, 0));
    call->records[0].flags |= GW_RECORD_DEVICE_TIME;
    call->what = HTTP_CALL_POINTS;
    call->points = r->body;
    http_points_begin(&points, call);
    while ((status = http_point_read(&points, room, &time_ms, &value)) == GW_OK) {
        if (call->point_count++ == r->options->points_max) {
            (void)snprintf(call->sentence, sizeof call->sentence,
                           "Too much data in batch. Maximum batch size is %u points.",
                           r->options->points_max);
            http_refuse(call, 400, call->sentence);
            return;
        }
        if (value.size > r->options->value_bytes_max) {
            http_refuse(call, 400, GW_STREAM_TEXT_MISFIT);
            return;
        }
        if (time_ms > UINT64_MAX / 1000 ||
            (r->wall_us != 0 && (time_ms + age_ms_max < now_ms || time_ms > now_ms + age_ms_max))) {
            http_refuse(call, 400, "A point's timestamp is too far from now.");
            return;
        }
    }
    if (status == GW_BAD_FRAME || call->point_count == 0)
        http_refuse(call, 400, call->legacy ? HTTP_WRONG_FORMAT : GW_STREAM_TEXT_MISFIT);
}

void http_read_points(struct http_reading *r)
{
    uint8_t pin;
    char bank;

    if (http_pin_alone(r, NULL, &bank, &pin))
        read_points_of(r, bank, pin);
}

void http_read_legacy_points(struct http_reading *r)
{
    uint8_t pin;
    char bank;

    if (http_pin_segment(r, &bank, &pin))
        read_points_of(r, bank, pin);
}

/* ---- properties, events, metadata ---- */

/* The first parameter that is none of those that have a meaning is the property; only one may be.
 */
static void add_property(struct http_reading *r, char bank, uint8_t pin)
{
    struct gw_bytes rest = r->request->query, name, value, property = {.size = 0}, values;
    struct gw_record *record;
    char word[64];
    bool found = false;
    uint32_t count;

    while (gw_http_query_next(&rest, &name, &value)) {
        if (gw_bytes_are(name, "token") || gw_bytes_are(name, "pin") ||
            gw_bytes_are(name, "dataStreamId"))
            continue;
        if (found && !gw_bytes_equal(property, name)) {
            http_refuse(r->call, 400, "Only one property can be changed at once.");
            return;
        }
        property = name;
        found = true;
    }
    if (property.size == 0 || property.size >= sizeof word) {
        http_refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        return;
    }
    memcpy(word, property.data, property.size);
    word[property.size] = '\0';
    count = http_find_values(r->call, r->request->query, word, &values);
    property = http_resolve(r->call, property);
    if (!http_are_values(r, values, count) || !http_is_value(r, property)) {
        http_refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        return;
    }
    record = http_add_record(r, GW_RECORD_PROPERTY);
    gw_assert(record != NULL);
    record->bank = bank;
    record->pin = pin;
    record->pin_count = 1;
    record->name = property;
    record->value = values;
}

void http_read_property(struct http_reading *r)
{
    uint8_t pin;
    char bank;

    if (http_pin_parameter(r, &bank, &pin))
        add_property(r, bank, pin);
}

/* "value=" writes, any other parameter is a property of the pin. */
void http_read_legacy_update(struct http_reading *r)
{
    struct gw_bytes values;
    uint32_t count = http_find_values(r->call, r->request->query, "value", &values);
    uint8_t pin;
    char bank;

    if (!http_pin_segment(r, &bank, &pin))
        return;
    if (count == 0 && r->request->query.size > 0)
        add_property(r, bank, pin);
    else if (!http_are_values(r, values, count) || http_has_others(r, "value", NULL))
        http_refuse(r->call, 400, HTTP_WRONG_FORMAT);
    else
        http_add_write(r, bank, pin, values);
}

void http_read_event(struct http_reading *r)
{
    struct gw_bytes code, description;
    struct gw_record *record;

    if (!http_find_text(r, "code", &code) || code.size == 0) {
        http_refuse(r->call, 400, "Event code is not provided.");
    } else if (!http_find_text(r, "description", &description)) {
        http_refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
    } else {
        record = http_add_record(r, GW_RECORD_EVENT);
        gw_assert(record != NULL);
        record->name = code;
        record->value = description;
    }
}

void http_read_meta(struct http_reading *r)
{
    struct gw_bytes field, value;
    struct gw_record *record;

    if (!http_field_parameter(r, &field, false))
        return;
    if (!http_find_text(r, "value", &value) || value.size == 0) {
        http_refuse(r->call, 400, "Wrong value");
    } else {
        record = http_add_record(r, GW_RECORD_META_SET);
        gw_assert(record != NULL);
        record->name = field;
        record->value = value;
    }
}

/* ---- provisioning ---- */

/* Behind what is there, as a part of a body of its own. */
static void add_part(struct http_call *call, struct gw_bytes part)
{
    gw_assert(sizeof call->text - call->text_bytes > part.size);
    memcpy(call->text + call->text_bytes, part.data, part.size);
    call->text_bytes += part.size;
    call->text[call->text_bytes++] = '\0';
}

/* The product by its id, and what else an info frame would have said, which is recorded as one. */
void http_read_provision(struct http_reading *r)
{
    static const struct {
        const char *parameter, *key;
    } told[] = {
        {"ver", "mcu"},     {"build", "build"}, {"fwType", "fw-type"},
        {"blVer", "blynk"}, {"boType", "dev"},
    };
    struct gw_bytes type, values[GW_ARRAY_COUNT(told)];
    struct http_call *call = r->call;
    struct gw_record *record;
    uint8_t *body;

    if (!http_find_text(r, "templateId", &call->field) || call->field.size == 0) {
        http_refuse(call, 400, HTTP_WRONG_TEMPLATE);
        return;
    }
    if (!http_find_text(r, "type", &type) ||
        (type.size > 0 && !gw_bytes_are(type, "MCU") && !gw_bytes_are(type, "NCP"))) {
        http_refuse(call, 400, HTTP_WRONG_FORMAT);
        return;
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(told); i++)
        if (!http_find_text(r, told[i].parameter, &values[i])) {
            http_refuse(call, 400, HTTP_WRONG_FORMAT);
            return;
        }
    body = call->text + call->text_bytes;
    for (size_t i = 0; i < GW_ARRAY_COUNT(told); i++) {
        bool ncp = i == 0 && gw_bytes_are(type, "NCP");

        if (values[i].size == 0)
            continue;
        add_part(call, gw_bytes_text(ncp ? "ncp" : told[i].key));
        add_part(call, values[i]);
    }
    add_part(call, gw_bytes_text("tmpl"));
    add_part(call, call->field);
    record = http_add_record(r, GW_RECORD_INFO);
    gw_assert(record != NULL);
    record->value = gw_bytes_of(body, (size_t)(call->text + call->text_bytes - body) - 1);
    call->what = HTTP_CALL_BIND;
}
