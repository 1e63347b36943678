/*
 * The device API: a table of endpoints, and for each the reading of its parameters into records.
 * Pure: the same request is the same call, in a test as on a shard.
 *
 * Source: docs/http-api.md.
 */
#include "http_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <gw/base/assert.h>
#include <gw/token/details.h>
#include <gw/wire/body.h>

static const char WRONG_PIN[] = "Wrong pin format.";
static const char WRONG_FORMAT[] = "Wrong request format.";
static const char WRONG_TYPE[] = "Unknown content type.";

/* One request under way. */
struct reading {
    const struct gw_shard_http_options *options;
    const struct gw_http_request *request;
    struct gw_bytes body;
    uint64_t wall_us;
    struct http_call *call;
};

struct http_endpoint {
    unsigned methods; /* enum gw_http_method, several */
    const char *path; /* with "{token}" and "{pin}" for segments that name them */
    void (*read)(struct reading *);
    bool legacy; /* of old servers: the token in the path, refusals in plain text */
};

/* ---- parameters ---- */

static void refuse(struct http_call *call, uint16_t status, const char *message)
{
    call->status = status;
    call->message = message;
    call->record_count = 0;
}

static struct gw_bytes resolve(struct http_call *call, struct gw_bytes raw)
{
    uint8_t *at = call->text + call->text_bytes;

    gw_assert(sizeof call->text - call->text_bytes >= raw.size);
    size_t bytes = gw_http_unescape(raw, true, at);

    call->text_bytes += bytes;
    return gw_bytes_of(at, bytes);
}

/*
 * All values of the parameter, resolved, NUL between them: how one pin holds several values. How
 * many there were; *out is empty when none was. Names are compared as they come: nobody escapes
 * theirs, and one with escapes is another name.
 */
static uint32_t find_values(struct http_call *call, struct gw_bytes query, const char *wanted,
                            struct gw_bytes *out)
{
    struct gw_bytes rest = query, name, value;
    const uint8_t *begin = call->text + call->text_bytes;
    uint32_t count = 0;

    while (gw_http_query_next(&rest, &name, &value)) {
        if (!gw_bytes_are(name, wanted))
            continue;
        if (count++ > 0)
            call->text[call->text_bytes++] = '\0'; /* for the '=' or '&' that stood there */
        (void)resolve(call, value);
    }
    *out = gw_bytes_of(begin, (size_t)(call->text + call->text_bytes - begin));
    return count;
}

/* "V1", "v1", "D2", "A3": a bank, and digits as the device protocol has them. */
static bool read_pin(struct gw_bytes text, char *bank, uint8_t *pin)
{
    if (text.size < 2)
        return false;
    *bank = (char)(text.data[0] | 0x20);
    return (*bank == 'v' || *bank == 'd' || *bank == 'a') &&
           gw_pin_parse(gw_bytes_after(text, 1), pin);
}

/* A NUL would make two values of one. */
static bool is_value(const struct reading *r, struct gw_bytes value)
{
    return value.size > 0 && value.size <= r->options->value_bytes_max &&
           memchr(value.data, '\0', value.size) == NULL;
}

/* Each of the values that find_values put together. */
static bool are_values(const struct reading *r, struct gw_bytes values, uint32_t count)
{
    uint8_t before = '\0';
    uint32_t seen = 1;

    if (values.size == 0 || values.size > r->options->value_bytes_max)
        return false;
    for (size_t i = 0; i < values.size; i++) {
        if (values.data[i] == '\0' && before == '\0') /* one of them is empty */
            return false;
        before = values.data[i];
        seen += before == '\0';
    }
    return before != '\0' && seen == count; /* none of them brought a NUL of its own */
}

static struct gw_record *add_record(struct reading *r, enum gw_record_kind kind)
{
    struct http_call *call = r->call;

    if (call->record_count == HTTP_RECORDS_MAX) {
        refuse(call, 400, "Too much data in batch. Maximum batch size is 256 pins.");
        return NULL;
    }
    call->what = HTTP_CALL_RECORDS;
    call->records[call->record_count] =
        (struct gw_record){.kind = (uint8_t)kind, .flags = GW_RECORD_FROM_HTTP};
    return &call->records[call->record_count++];
}

static void add_write(struct reading *r, char bank, uint8_t pin, struct gw_bytes value)
{
    struct gw_record *record = add_record(r, GW_RECORD_PIN_WRITE);

    if (record == NULL)
        return;
    record->bank = bank;
    record->pin = pin;
    record->pin_count = 1;
    record->value = value;
}

/*
 * The one pin of the query: "pin=V1". False, refused, when it is missing, malformed or there twice.
 * The index knows a datastream by its pin alone, so none has a number.
 */
static bool read_pin_parameter(struct reading *r, char *bank, uint8_t *pin)
{
    struct gw_bytes text;

    if (find_values(r->call, r->request->query, "dataStreamId", &text) > 0) {
        uint64_t number;

        refuse(r->call, 400,
               gw_json_integer(text, &number) ? GW_STREAM_TEXT_MISSING
                                              : "Wrong dataStreamId format.");
        return false;
    }
    if (find_values(r->call, r->request->query, "pin", &text) == 1 && read_pin(text, bank, pin))
        return true;
    refuse(r->call, 400, WRONG_PIN);
    return false;
}

static bool has_parameter(const struct reading *r, const char *wanted)
{
    struct gw_bytes rest = r->request->query, name, value;

    while (gw_http_query_next(&rest, &name, &value))
        if (gw_bytes_are(name, wanted))
            return true;
    return false;
}

/* ---- updates ---- */

/* update, batch/update: "pin=V1&value=a[&value=b]", or "v1=a[&v2=b ...]". */
static void read_update(struct reading *r)
{
    struct gw_bytes rest = r->request->query, name, value;
    uint8_t pin;
    char bank;

    if (has_parameter(r, "pin") || has_parameter(r, "dataStreamId")) {
        struct gw_bytes values;
        uint32_t count;

        if (!read_pin_parameter(r, &bank, &pin))
            return;
        count = find_values(r->call, r->request->query, "value", &values);
        if (!are_values(r, values, count))
            refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        else
            add_write(r, bank, pin, values);
        return;
    }
    while (r->call->status == 200 && gw_http_query_next(&rest, &name, &value)) {
        if (gw_bytes_are(name, "token"))
            continue;
        if (!read_pin(name, &bank, &pin)) { /* nothing that was sent is passed over in silence */
            refuse(r->call, 400, WRONG_PIN);
            return;
        }
        value = resolve(r->call, value);
        if (!is_value(r, value))
            refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        else
            add_write(r, bank, pin, value);
    }
    if (r->call->status == 200 && r->call->record_count == 0)
        refuse(r->call, 400, WRONG_PIN);
}

/* Values of a JSON array into the call's text, NUL between them; false, refused, otherwise. */
static bool read_array(struct reading *r, struct gw_bytes *out, uint32_t *count)
{
    struct http_call *call = r->call;
    struct gw_json json = {.rest = r->body};
    uint8_t *begin = call->text + call->text_bytes;
    size_t capacity = r->options->value_bytes_max, bytes = 0;

    *count = 0;
    gw_assert(sizeof call->text - call->text_bytes >= capacity);
    if (!gw_http_media_type_is(r->request->content_type, "application/json")) {
        refuse(call, 400, WRONG_TYPE);
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
        if (!gw_json_scalar(&json, begin + bytes, capacity - bytes, &value))
            goto malformed;
        if (value.text.size > capacity - bytes || !is_value(r, value.text)) {
            refuse(call, 400, call->legacy ? WRONG_FORMAT : GW_STREAM_TEXT_MISFIT);
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
    refuse(call, 400, WRONG_FORMAT);
    return false;
}

/*
 * update/pin: a pin in the query, as "pin=V1" or "v1[=value]", and its values in the body, in the
 * query, or in both: then the body counts.
 */
static void read_put(struct reading *r)
{
    struct gw_bytes rest = r->request->query, name, value, values = {.size = 0};
    uint32_t pins = 0, count = 0;
    uint8_t pin = 0;
    char bank = 0;

    if (has_parameter(r, "pin") || has_parameter(r, "dataStreamId")) {
        if (!read_pin_parameter(r, &bank, &pin))
            return;
        count = find_values(r->call, r->request->query, "value", &values);
        pins = 1;
    } else {
        while (pins <= 1 && gw_http_query_next(&rest, &name, &value)) {
            if (gw_bytes_are(name, "token"))
                continue;
            pins += read_pin(name, &bank, &pin) ? 1 : 2; /* what is no pin counts as too many */
            if (value.size > 0) {
                values = resolve(r->call, value);
                count = 1;
            }
        }
    }
    if (pins != 1) {
        refuse(r->call, 400, WRONG_PIN);
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
    if (!are_values(r, values, count))
        refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
    else
        add_write(r, bank, pin, values);
}

/* The pin of a path; false, refused, when it is none. */
static bool read_pin_segment(struct reading *r, char *bank, uint8_t *pin)
{
    if (read_pin(r->call->pin_text, bank, pin))
        return true;
    refuse(r->call, 400, WRONG_PIN);
    return false;
}

static void read_legacy_put(struct reading *r)
{
    struct gw_bytes values;
    uint32_t count;
    uint8_t pin;
    char bank;

    if (!read_pin_segment(r, &bank, &pin) || !read_array(r, &values, &count))
        return;
    if (count == 0)
        refuse(r->call, 400, "No pin for update provided.");
    else
        add_write(r, bank, pin, values);
}

/* ---- points with times ---- */

/* Judges every point; records[0] is what they have in common. */
static void read_points_of(struct reading *r, char bank, uint8_t pin)
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
        refuse(call, 400, WRONG_TYPE);
        return;
    }
    add_write(r, bank, pin, gw_bytes_of(NULL, 0));
    call->records[0].flags |= GW_RECORD_DEVICE_TIME;
    call->what = HTTP_CALL_POINTS;
    call->points = r->body;
    http_points_begin(&points, call);
    while ((status = http_point_read(&points, room, &time_ms, &value)) == GW_OK) {
        if (call->point_count++ == r->options->points_max) {
            (void)snprintf(call->sentence, sizeof call->sentence,
                           "Too much data in batch. Maximum batch size is %u points.",
                           r->options->points_max);
            refuse(call, 400, call->sentence);
            return;
        }
        if (value.size > r->options->value_bytes_max) {
            refuse(call, 400, GW_STREAM_TEXT_MISFIT);
            return;
        }
        if (time_ms > UINT64_MAX / 1000 ||
            (r->wall_us != 0 && (time_ms + age_ms_max < now_ms || time_ms > now_ms + age_ms_max))) {
            refuse(call, 400, "A point's timestamp is too far from now.");
            return;
        }
    }
    if (status == GW_BAD_FRAME || call->point_count == 0)
        refuse(call, 400, call->legacy ? WRONG_FORMAT : GW_STREAM_TEXT_MISFIT);
}

static void read_points(struct reading *r)
{
    uint8_t pin;
    char bank;

    if (read_pin_parameter(r, &bank, &pin))
        read_points_of(r, bank, pin);
}

static void read_legacy_points(struct reading *r)
{
    uint8_t pin;
    char bank;

    if (read_pin_segment(r, &bank, &pin))
        read_points_of(r, bank, pin);
}

/* ---- properties, events, metadata ---- */

/* The first parameter that is none of those that have a meaning is the property; only one may be.
 */
static void add_property(struct reading *r, char bank, uint8_t pin)
{
    struct gw_bytes rest = r->request->query, name, value, property = {.size = 0}, values;
    struct gw_record *record;
    char word[64];
    uint32_t count;

    while (gw_http_query_next(&rest, &name, &value)) {
        if (gw_bytes_are(name, "token") || gw_bytes_are(name, "pin"))
            continue;
        if (property.size > 0 && !gw_bytes_equal(property, name)) {
            refuse(r->call, 400, "Only one property can be changed at once.");
            return;
        }
        property = name;
    }
    if (property.size == 0 || property.size >= sizeof word) {
        refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        return;
    }
    memcpy(word, property.data, property.size);
    word[property.size] = '\0';
    count = find_values(r->call, r->request->query, word, &values);
    if (!are_values(r, values, count)) {
        refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
        return;
    }
    record = add_record(r, GW_RECORD_PROPERTY);
    gw_assert(record != NULL);
    record->bank = bank;
    record->pin = pin;
    record->pin_count = 1;
    record->name = property;
    record->value = values;
}

static void read_property(struct reading *r)
{
    uint8_t pin;
    char bank;

    if (read_pin_parameter(r, &bank, &pin))
        add_property(r, bank, pin);
}

/* "value=" writes, any other parameter is a property of the pin. */
static void read_legacy_update(struct reading *r)
{
    struct gw_bytes values;
    uint32_t count = find_values(r->call, r->request->query, "value", &values);
    uint8_t pin;
    char bank;

    if (!read_pin_segment(r, &bank, &pin))
        return;
    if (count == 0 && r->request->query.size > 0)
        add_property(r, bank, pin);
    else if (!are_values(r, values, count))
        refuse(r->call, 400, WRONG_FORMAT);
    else
        add_write(r, bank, pin, values);
}

/* A parameter that may be there once; false when it is longer than a value may be, or holds a NUL.
 */
static bool find_text(struct reading *r, const char *wanted, struct gw_bytes *out)
{
    return find_values(r->call, r->request->query, wanted, out) <= 1 &&
           (out->size == 0 || is_value(r, *out));
}

static void read_event(struct reading *r)
{
    struct gw_bytes code, description;
    struct gw_record *record;

    if (!find_text(r, "code", &code) || code.size == 0) {
        refuse(r->call, 400, "Event code is not provided.");
    } else if (!find_text(r, "description", &description)) {
        refuse(r->call, 400, GW_STREAM_TEXT_MISFIT);
    } else {
        record = add_record(r, GW_RECORD_EVENT);
        gw_assert(record != NULL);
        record->name = code;
        record->value = description;
    }
}

/* By name only: numbers of fields are the template's. */
static void read_meta(struct reading *r)
{
    struct gw_bytes field, value;
    struct gw_record *record;
    uint64_t number;

    if (find_text(r, "metaFieldId", &field) && field.size > 0) {
        refuse(r->call, 400,
               gw_json_integer(field, &number) ? "MetaField doesn't exist"
                                               : "Wrong metaField format");
    } else if (!find_text(r, "metaFieldName", &field) || field.size == 0) {
        refuse(r->call, 400, "Wrong metaField format");
    } else if (!find_text(r, "value", &value) || value.size == 0) {
        refuse(r->call, 400, "Wrong value");
    } else {
        record = add_record(r, GW_RECORD_META_SET);
        gw_assert(record != NULL);
        record->name = field;
        record->value = value;
    }
}

/* ---- questions ---- */

static void read_connected(struct reading *r)
{
    r->call->what = HTTP_CALL_CONNECTED;
}

static void read_time(struct reading *r)
{
    r->call->what = HTTP_CALL_TIME;
}

static void add_pin(struct http_call *call, char bank, uint8_t number)
{
    for (uint32_t i = 0; i < call->pin_count; i++)
        if (call->pins[i].bank == bank && call->pins[i].number == number)
            return;
    if (call->pin_count == HTTP_RECORDS_MAX)
        refuse(call, 400, "Too many pins. Ask for 256 at most.");
    else
        call->pins[call->pin_count++] = (struct http_pin){.bank = bank, .number = number};
}

/* get: "v1[&v2 ...]", or "pin=V1". A value here was meant for update. */
static void read_get(struct reading *r)
{
    struct gw_bytes rest = r->request->query, name, value;
    struct http_call *call = r->call;
    bool by_name = !has_parameter(r, "pin") && !has_parameter(r, "dataStreamId");
    uint8_t pin;
    char bank;

    if (!by_name && read_pin_parameter(r, &bank, &pin))
        add_pin(call, bank, pin);
    while (by_name && call->status == 200 && gw_http_query_next(&rest, &name, &value)) {
        if (gw_bytes_are(name, "token"))
            continue;
        if (read_pin(name, &bank, &pin) && value.size == 0)
            add_pin(call, bank, pin);
        else
            refuse(call, 400, WRONG_PIN);
    }
    if (call->status == 200 && call->pin_count == 0)
        refuse(call, 400, WRONG_PIN);
    call->what = HTTP_CALL_VALUES;
    call->form = call->pin_count == 1 ? HTTP_VALUES_TEXT : HTTP_VALUES_NAMED;
}

static void read_get_all(struct reading *r)
{
    r->call->what = HTTP_CALL_VALUES;
    r->call->form = HTTP_VALUES_ALL;
}

static void read_legacy_get(struct reading *r)
{
    uint8_t pin;
    char bank;

    if (!read_pin_segment(r, &bank, &pin))
        return;
    add_pin(r->call, bank, pin);
    r->call->what = HTTP_CALL_VALUES;
    r->call->form = HTTP_VALUES_ARRAY;
}

/* ---- the table ---- */

static const struct http_endpoint endpoints[] = {
    {GW_HTTP_GET, "/external/api/update", read_update, false},
    {GW_HTTP_PUT, "/external/api/update/pin", read_put, false},
    {GW_HTTP_GET, "/external/api/update/property", read_property, false},
    {GW_HTTP_GET, "/external/api/batch/update", read_update, false},
    {GW_HTTP_POST, "/external/api/batch/update", read_points, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/get", read_get, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/getAll", read_get_all, false},
    {GW_HTTP_GET, "/external/api/logEvent", read_event, false},
    {GW_HTTP_GET, "/external/api/device/meta/update", read_meta, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/isHardwareConnected", read_connected, false},
    {GW_HTTP_GET, "/{token}/update/{pin}", read_legacy_update, true},
    {GW_HTTP_PUT, "/{token}/update/{pin}", read_legacy_put, true},
    {GW_HTTP_PUT, "/{token}/pin/{pin}", read_legacy_put, true},
    {GW_HTTP_PUT, "/{token}/extra/pin/{pin}", read_legacy_points, true},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/{token}/get/{pin}", read_legacy_get, true},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/{token}/isHardwareConnected", read_connected, true},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/{token}/rtc", read_time, true},
};

/* Takes "/segment" off *rest. */
static bool take_segment(struct gw_bytes *rest, struct gw_bytes *segment)
{
    size_t end = 1;

    if (rest->size == 0)
        return false;
    while (end < rest->size && rest->data[end] != '/')
        end++;
    *segment = gw_bytes_of(rest->data + 1, end - 1);
    *rest = gw_bytes_after(*rest, end);
    return true;
}

/* The path as it came: an escape in it is a character of no endpoint. */
static bool path_fits(const char *pattern, struct gw_bytes path, struct gw_bytes *token,
                      struct gw_bytes *pin)
{
    struct gw_bytes wanted_rest = gw_bytes_text(pattern), wanted, segment;

    *token = *pin = gw_bytes_of(NULL, 0);
    while (take_segment(&wanted_rest, &wanted)) {
        if (!take_segment(&path, &segment))
            return false;
        if (gw_bytes_are(wanted, "{token}") && segment.size > 0)
            *token = segment;
        else if (gw_bytes_are(wanted, "{pin}") && segment.size > 0)
            *pin = segment;
        else if (!gw_bytes_equal(wanted, segment))
            return false;
    }
    return path.size == 0;
}

static void name_methods(unsigned methods, char out[32])
{
    (void)snprintf(out, 32, "%s%s%s%s", (methods & GW_HTTP_GET) != 0 ? ", GET" : "",
                   (methods & GW_HTTP_HEAD) != 0 ? ", HEAD" : "",
                   (methods & GW_HTTP_POST) != 0 ? ", POST" : "",
                   (methods & GW_HTTP_PUT) != 0 ? ", PUT" : "");
    memmove(out, out + 2, strlen(out) - 1);
}

/*
 * The token of "token=" in the query or of "Authorization: Bearer". None of them twice, and both
 * only when they agree: otherwise it would be open who speaks.
 */
static struct gw_bytes find_token(const struct gw_http_request *request, struct http_call *call)
{
    static const char scheme[] = "bearer ";
    struct gw_bytes token, bearer = request->authorization, none = gw_bytes_of(NULL, 0);
    uint32_t count = find_values(call, request->query, "token", &token);

    if (count > 1)
        return none;
    if (bearer.size < sizeof scheme - 1 ||
        strncasecmp((const char *)bearer.data, scheme, sizeof scheme - 1) != 0)
        return token;
    bearer = gw_bytes_after(bearer, sizeof scheme - 1);
    return count == 0 || gw_bytes_equal(token, bearer) ? bearer : none;
}

void http_route(const struct gw_http_request *request, struct http_call *call)
{
    struct gw_bytes token, pin;
    unsigned allowed = 0;
    bool everything = gw_bytes_are(request->path, "*");

    call->endpoint = NULL;
    call->status = 200;
    call->message = NULL;
    call->legacy = false;
    call->login = GW_LOGIN_GRANTED; /* nothing speaks against it yet */
    call->what = HTTP_CALL_RECORDS;
    call->record_count = call->point_count = call->pin_count = 0;
    call->text_bytes = 0;
    call->allow[0] = '\0';
    if (request->method == GW_HTTP_OTHER) {
        refuse(call, 501, "This method is not served.");
        return;
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(endpoints); i++) {
        const struct http_endpoint *endpoint = &endpoints[i];

        if (!everything && !path_fits(endpoint->path, request->path, &token, &pin))
            continue;
        allowed |= endpoint->methods;
        if ((endpoint->methods & request->method) == 0 || call->endpoint != NULL)
            continue;
        call->endpoint = endpoint;
        call->legacy = endpoint->legacy;
        call->pin_text = pin;
        call->token = endpoint->legacy ? token : find_token(request, call);
    }
    if (allowed != 0)
        name_methods(allowed, call->allow);
    if (allowed != 0 && request->method == GW_HTTP_OPTIONS)
        call->what = HTTP_CALL_PREFLIGHT;
    else if (allowed == 0)
        refuse(call, 404, "There is nothing of this name.");
    else if (call->endpoint == NULL)
        refuse(call, 405, "This method is not allowed here.");
}

void http_call_read(const struct gw_shard_http_options *options,
                    const struct gw_http_request *request, struct gw_bytes body, uint64_t wall_us,
                    struct http_call *call)
{
    struct reading reading = {
        .options = options, .request = request, .body = body, .wall_us = wall_us, .call = call};

    gw_assert(call->endpoint != NULL && call->status == 200);
    call->endpoint->read(&reading);
}
