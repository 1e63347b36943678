/*
 * Datastreams and metadata fields that a request names by number, as the vendor's documentation
 * does. A pin and a name are what the gateway knows them by; which number is which, the product
 * says.
 */
#include "http_internal.h"

#include <errno.h>

#include <gw/token/details.h>

bool http_number_of(struct gw_bytes text, uint16_t *out)
{
    uint64_t number;

    if (!gw_json_integer(text, &number))
        return false;
    *out = number <= UINT16_MAX ? (uint16_t)number : 0;
    return true;
}

static const char *missing(const struct http_call *call)
{
    if (call->numbered == HTTP_NUMBER_OF_STREAM)
        return call->what == HTTP_CALL_VALUES ? HTTP_NO_STREAM : GW_STREAM_TEXT_MISSING;
    return call->what == HTTP_CALL_FIELD ? HTTP_NO_FIELD "." : HTTP_NO_FIELD;
}

static void put_pin(struct http_call *call, uint8_t pin)
{
    for (uint32_t i = 0; i < call->record_count; i++)
        call->records[i].pin = pin;
    for (uint32_t i = 0; i < call->pin_count; i++)
        call->pins[i].number = pin;
}

static void put_field(struct http_call *call, struct gw_bytes name)
{
    call->field = name;
    for (uint32_t i = 0; i < call->record_count; i++)
        call->records[i].name = name;
}

void http_call_resolve(struct gw_index_reader *reader, uint32_t product, struct http_call *call)
{
    struct gw_stream stream;
    struct gw_bytes name;
    int err = -ENOENT;

    if (call->numbered == HTTP_NUMBER_OF_NONE)
        return;
    if (call->number != 0)
        err = call->numbered == HTTP_NUMBER_OF_STREAM
                  ? gw_index_stream_numbered(reader, product, call->number, &stream)
                  : gw_index_field_name(reader, product, call->number, &name);
    if (err == -ENOENT || err == -ENODATA)
        http_refuse(call, 400, missing(call));
    else if (err != 0)
        http_refuse(call, 503, "Try again later.");
    else if (call->numbered == HTTP_NUMBER_OF_STREAM)
        put_pin(call, stream.pin);
    else
        put_field(call, name);
}
