/*
 * What was asked for as bodies of answers. Values: one pin's as plain text, several as a JSON
 * object, one as the array that old servers gave. In JSON a value that is a number is one, unless
 * its datastream is one of strings, and one with several parts is an array. A metadata field is a
 * JSON object, and a text.
 */
#include "http_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/token/details.h>

static const char PLAIN[] = "text/plain;charset=utf-8";
static const char JSON[] = "application/json;charset=utf-8";

static bool refuse(struct http_call *call, uint16_t status, const char *message)
{
    http_refuse(call, status, message);
    return false;
}

static bool has_parts(struct gw_bytes value)
{
    return value.size > 0 && memchr(value.data, '\0', value.size) != NULL;
}

typedef void put_part(struct gw_json_out *out, struct gw_bytes part);

/* Parts of a value, which have NULs between them, each by `put`. */
static void put_array(struct gw_json_out *out, struct gw_bytes value, put_part *put)
{
    gw_json_put(out, "[");
    for (;;) {
        const uint8_t *end = value.size > 0 ? memchr(value.data, '\0', value.size) : NULL;

        if (end == NULL)
            break;
        put(out, gw_bytes_of(value.data, (size_t)(end - value.data)));
        gw_json_put(out, ",");
        value = gw_bytes_after(value, (size_t)(end - value.data) + 1);
    }
    put(out, value);
    gw_json_put(out, "]");
}

struct members {
    struct gw_json_out *out;
    const struct pin_source *source;
    bool untyped; /* the product has no datastreams */
};

/* As a string, if its datastream says so: "0012" and "1e999" are none of the numbers they look
 * like.
 */
static put_part *part_of(struct members *members, const struct gw_value *value)
{
    const struct pin_source *source = members->source;
    struct gw_stream stream;
    int err;

    if (value->bank != 'v' || members->untyped)
        return gw_json_put_value;
    err = gw_index_stream(source->index, source->product, value->pin, &stream);
    members->untyped = err == -ENODATA;
    return err == 0 && stream.type == GW_STREAM_STRING ? gw_json_put_string : gw_json_put_value;
}

/* "v1":VALUE, behind what is there. */
static bool put_member(void *context, const struct gw_value *value)
{
    struct members *members = context;
    struct gw_json_out *out = members->out;
    put_part *put = part_of(members, value);
    char name[sizeof ",\"v255\":"];

    (void)snprintf(name, sizeof name, "%s\"%c%u\":", out->bytes > 1 ? "," : "", value->bank,
                   (unsigned)value->pin);
    gw_json_put(out, name);
    if (has_parts(value->bytes))
        put_array(out, value->bytes, put);
    else
        put(out, value->bytes);
    return !out->full;
}

/* 0, also when pins have no value, or -errno. */
static int put_members(const struct pin_source *source, const struct http_call *call,
                       struct gw_json_out *out)
{
    static const char others[] = {'d', 'a'};
    struct members members = {.out = out, .source = source};
    bool all = call->form == HTTP_VALUES_ALL;
    int err = all ? pin_values_each(source, 0, PINS_ALL, put_member, &members) : 0;

    for (size_t i = 0; all && i < sizeof others && err == 0; i++)
        err = gw_values_each(source->values, source->device, others[i], 0, put_member, &members);
    for (uint32_t i = 0; i < call->pin_count && err == 0; i++) {
        struct gw_value value;

        err = pin_value_get(source, call->pins[i].bank, call->pins[i].number, &value);
        if (err == 0)
            (void)put_member(&members, &value);
        else if (err == -ENOENT)
            err = 0;
    }
    return err;
}

static int read_object(const struct pin_source *source, const struct http_call *call,
                       struct gw_json_out *out)
{
    int err;

    gw_json_put(out, "{");
    err = put_members(source, call, out);
    gw_json_put(out, "}");
    return err;
}

/* One pin's. A value of one part is sent from where it lies. */
static int read_one(const struct pin_source *source, const struct http_call *call,
                    struct gw_json_out *out, struct http_body *body)
{
    struct members members = {.out = out, .source = source};
    struct gw_value value;
    int err = pin_value_get(source, call->pins[0].bank, call->pins[0].number, &value);

    if (err != 0)
        return err;
    if (call->form == HTTP_VALUES_ARRAY) {
        put_array(out, value.bytes, gw_json_put_string);
    } else if (has_parts(value.bytes)) {
        put_array(out, value.bytes, part_of(&members, &value));
    } else {
        body->type = PLAIN;
        body->bytes = value.bytes;
    }
    return 0;
}

bool http_values_read(const struct pin_source *source, struct http_call *call, uint8_t *room,
                      size_t capacity, struct http_body *out)
{
    struct gw_json_out json = {.at = room, .capacity = capacity};
    bool one = call->form == HTTP_VALUES_TEXT || call->form == HTTP_VALUES_ARRAY;
    int err;

    if (source->values == NULL)
        return refuse(call, 501, "This gateway keeps no last values.");
    *out = (struct http_body){.type = JSON};
    err = one ? read_one(source, call, &json, out) : read_object(source, call, &json);
    if (err == -ENOENT)
        return refuse(call, 400,
                      call->legacy ? "Requested pin doesn't exist in the app." : HTTP_NO_STREAM);
    if (err != 0)
        return refuse(call, 503, "Try again later.");
    if (json.full || out->bytes.size > capacity)
        return refuse(call, 400, "The values are too long for one answer. Ask for fewer pins.");
    if (json.bytes > 0)
        out->bytes = gw_bytes_of(room, json.bytes);
    return true;
}

/* Of type Text, whatever it is: the index knows no other. */
bool http_field_read(struct gw_index_reader *reader, uint32_t device, struct http_call *call,
                     uint8_t *room, size_t capacity, struct http_body *out)
{
    struct gw_json_out json = {.at = room, .capacity = capacity};
    struct gw_bytes value;
    int err = gw_index_field(reader, device, call->field, &value);

    if (err == -ENOENT)
        return refuse(call, 400, HTTP_NO_FIELD ".");
    if (err != 0)
        return refuse(call, 503, "Try again later.");
    gw_json_put(&json, "{\"type\":\"Text\",\"value\":");
    gw_json_put_string(&json, value);
    gw_json_put(&json, "}");
    gw_assert(!json.full); /* a value is short */
    *out = (struct http_body){.type = JSON, .bytes = gw_bytes_of(room, json.bytes)};
    return true;
}
