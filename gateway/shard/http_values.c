/*
 * Last values as bodies of answers: one pin's as plain text, several as a JSON object, one as the
 * array that old servers gave. In JSON a value that is a number is one, and one with several parts
 * is an array; what a value was meant to be, the gateway is not told.
 */
#include "http_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* Parts of a value, which have NULs between them, each by `put`. */
static void put_array(struct gw_json_out *out, struct gw_bytes value,
                      void (*put)(struct gw_json_out *out, struct gw_bytes part))
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

/* "v1":VALUE, behind what is there. */
static bool put_member(void *context, const struct gw_value *value)
{
    struct gw_json_out *out = context;
    char name[sizeof ",\"v255\":"];

    (void)snprintf(name, sizeof name, "%s\"%c%u\":", out->bytes > 1 ? "," : "", value->bank,
                   (unsigned)value->pin);
    gw_json_put(out, name);
    if (has_parts(value->bytes))
        put_array(out, value->bytes, gw_json_put_value);
    else
        gw_json_put_value(out, value->bytes);
    return !out->full;
}

/* 0, also when pins have no value, or -errno. */
static int put_members(struct gw_values_reader *values, uint32_t device,
                       const struct http_call *call, struct gw_json_out *out)
{
    static const char banks[] = {'v', 'd', 'a'};
    int err = 0;

    for (size_t i = 0; call->form == HTTP_VALUES_ALL && i < sizeof banks && err == 0; i++)
        err = gw_values_each(values, device, banks[i], 0, put_member, out);
    for (uint32_t i = 0; i < call->pin_count && err == 0; i++) {
        struct gw_value value;

        err = gw_values_get(values, device, call->pins[i].bank, call->pins[i].number, &value);
        if (err == 0)
            (void)put_member(out, &value);
        else if (err == -ENOENT)
            err = 0;
    }
    return err;
}

static int read_object(struct gw_values_reader *values, uint32_t device,
                       const struct http_call *call, struct gw_json_out *out)
{
    int err;

    gw_json_put(out, "{");
    err = put_members(values, device, call, out);
    gw_json_put(out, "}");
    return err;
}

/* One pin's. A value of one part is sent from where it lies. */
static int read_one(struct gw_values_reader *values, uint32_t device, const struct http_call *call,
                    struct gw_json_out *out, struct http_values_body *body)
{
    struct gw_value value;
    int err = gw_values_get(values, device, call->pins[0].bank, call->pins[0].number, &value);

    if (err != 0)
        return err;
    if (call->form == HTTP_VALUES_ARRAY) {
        put_array(out, value.bytes, gw_json_put_string);
    } else if (has_parts(value.bytes)) {
        put_array(out, value.bytes, gw_json_put_value);
    } else {
        body->type = PLAIN;
        body->bytes = value.bytes;
    }
    return 0;
}

bool http_values_read(struct gw_values_reader *values, uint32_t device, struct http_call *call,
                      uint8_t *room, size_t capacity, struct http_values_body *out)
{
    struct gw_json_out json = {.at = room, .capacity = capacity};
    bool one = call->form == HTTP_VALUES_TEXT || call->form == HTTP_VALUES_ARRAY;
    int err;

    if (values == NULL)
        return refuse(call, 501, "This gateway keeps no last values.");
    *out = (struct http_values_body){.type = JSON};
    err =
        one ? read_one(values, device, call, &json, out) : read_object(values, device, call, &json);
    if (err == -ENOENT)
        return refuse(call, 400,
                      call->legacy ? "Requested pin doesn't exist in the app."
                                   : "Requested dataStream doesn't exist in the product.");
    if (err != 0)
        return refuse(call, 503, "Try again later.");
    if (json.full || out->bytes.size > capacity)
        return refuse(call, 400, "The values are too long for one answer. Ask for fewer pins.");
    if (json.bytes > 0)
        out->bytes = gw_bytes_of(room, json.bytes);
    return true;
}
