/*
 * Parameters of a request: names and values of its query, the pin that it is about, and records in
 * the making. What several endpoints need.
 */
#include "http_reading.h"

#include <string.h>

#include <gw/base/assert.h>
#include <gw/token/details.h>
#include <gw/wire/body.h>

void http_refuse(struct http_call *call, uint16_t status, const char *message)
{
    call->status = status;
    call->message = message;
    call->record_count = 0;
}

struct gw_bytes http_resolve(struct http_call *call, struct gw_bytes raw)
{
    uint8_t *at = call->text + call->text_bytes;

    gw_assert(sizeof call->text - call->text_bytes >= raw.size);
    size_t bytes = gw_http_unescape(raw, true, at);

    call->text_bytes += bytes;
    return gw_bytes_of(at, bytes);
}

uint32_t http_find_values(struct http_call *call, struct gw_bytes query, const char *wanted,
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
        (void)http_resolve(call, value);
    }
    *out = gw_bytes_of(begin, (size_t)(call->text + call->text_bytes - begin));
    return count;
}

bool http_pin_of(struct gw_bytes text, char *bank, uint8_t *pin)
{
    if (text.size < 2)
        return false;
    *bank = (char)(text.data[0] | 0x20);
    return (*bank == 'v' || *bank == 'd' || *bank == 'a') &&
           gw_pin_parse(gw_bytes_after(text, 1), pin);
}

bool http_is_value(const struct http_reading *r, struct gw_bytes value)
{
    return value.size > 0 && value.size <= r->options->value_bytes_max &&
           memchr(value.data, '\0', value.size) == NULL;
}

bool http_are_values(const struct http_reading *r, struct gw_bytes values, uint32_t count)
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

struct gw_record *http_add_record(struct http_reading *r, enum gw_record_kind kind)
{
    struct http_call *call = r->call;

    if (call->record_count == HTTP_RECORDS_MAX) {
        http_refuse(call, 400, "Too much data in batch. Maximum batch size is 256 pins.");
        return NULL;
    }
    call->what = HTTP_CALL_RECORDS;
    call->records[call->record_count] =
        (struct gw_record){.kind = (uint8_t)kind, .flags = GW_RECORD_FROM_HTTP};
    return &call->records[call->record_count++];
}

void http_add_write(struct http_reading *r, char bank, uint8_t pin, struct gw_bytes value)
{
    struct gw_record *record = http_add_record(r, GW_RECORD_PIN_WRITE);

    if (record == NULL)
        return;
    record->bank = bank;
    record->pin = pin;
    record->pin_count = 1;
    record->value = value;
}

bool http_pin_parameter(struct http_reading *r, char *bank, uint8_t *pin)
{
    struct gw_bytes text;

    if (http_find_values(r->call, r->request->query, "dataStreamId", &text) > 0) {
        *bank = 'v';
        *pin = 0;
        r->call->numbered = HTTP_NUMBER_OF_STREAM;
        if (http_number_of(text, &r->call->number))
            return true;
        http_refuse(r->call, 400, "Wrong dataStreamId format.");
        return false;
    }
    if (http_find_values(r->call, r->request->query, "pin", &text) == 1 &&
        http_pin_of(text, bank, pin))
        return true;
    http_refuse(r->call, 400, HTTP_WRONG_PIN);
    return false;
}

bool http_pin_alone(struct http_reading *r, const char *beside, char *bank, uint8_t *pin)
{
    if (!http_pin_parameter(r, bank, pin))
        return false;
    if (!http_has_others(r, r->call->numbered == HTTP_NUMBER_OF_STREAM ? "dataStreamId" : "pin",
                         beside))
        return true;
    http_refuse(r->call, 400, HTTP_WRONG_PIN);
    return false;
}

bool http_pin_segment(struct http_reading *r, char *bank, uint8_t *pin)
{
    if (http_pin_of(r->call->segment, bank, pin))
        return true;
    http_refuse(r->call, 400, HTTP_WRONG_PIN);
    return false;
}

bool http_field_parameter(struct http_reading *r, struct gw_bytes *field, bool dotted)
{
    static const char *const wrong[] = {"Wrong metaField format", "Wrong metaField format."};

    if (http_has_parameter(r, "metaFieldId") && http_has_parameter(r, "metaFieldName")) {
        http_refuse(r->call, 400, wrong[dotted]); /* they may mean two */
        return false;
    }
    if (http_find_text(r, "metaFieldId", field) && field->size > 0) {
        r->call->numbered = HTTP_NUMBER_OF_FIELD;
        if (http_number_of(*field, &r->call->number))
            return true;
    } else if (http_find_text(r, "metaFieldName", field) && field->size > 0) {
        return true;
    }
    http_refuse(r->call, 400, wrong[dotted]);
    return false;
}

bool http_has_parameter(const struct http_reading *r, const char *wanted)
{
    struct gw_bytes rest = r->request->query, name, value;

    while (gw_http_query_next(&rest, &name, &value))
        if (gw_bytes_are(name, wanted))
            return true;
    return false;
}

bool http_has_others(const struct http_reading *r, const char *one, const char *other)
{
    struct gw_bytes rest = r->request->query, name, value;

    while (gw_http_query_next(&rest, &name, &value))
        if (!gw_bytes_are(name, "token") && !gw_bytes_are(name, one) &&
            (other == NULL || !gw_bytes_are(name, other)))
            return true;
    return false;
}

bool http_find_text(struct http_reading *r, const char *wanted, struct gw_bytes *out)
{
    return http_find_values(r->call, r->request->query, wanted, out) <= 1 &&
           (out->size == 0 || http_is_value(r, *out));
}
