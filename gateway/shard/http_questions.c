/*
 * Requests that ask something, read.
 */
#include "http_reading.h"

void http_read_connected(struct http_reading *r)
{
    r->call->what = HTTP_CALL_CONNECTED;
}

/* Apps of the vendor's speak to a cloud; who sends to devices here is a program, and tells nobody.
 */
void http_read_app(struct http_reading *r)
{
    r->call->what = HTTP_CALL_APP;
}

void http_read_time(struct http_reading *r)
{
    r->call->what = HTTP_CALL_TIME;
}

static void add_pin(struct http_call *call, char bank, uint8_t number)
{
    for (uint32_t i = 0; i < call->pin_count; i++)
        if (call->pins[i].bank == bank && call->pins[i].number == number)
            return;
    if (call->pin_count == HTTP_RECORDS_MAX)
        http_refuse(call, 400, "Too many pins. Ask for 256 at most.");
    else
        call->pins[call->pin_count++] = (struct http_pin){.bank = bank, .number = number};
}

void http_read_metadata(struct http_reading *r)
{
    if (http_field_parameter(r, &r->call->field, true))
        r->call->what = HTTP_CALL_FIELD;
}

/* get: "v1[&v2 ...]", or "pin=V1". A value here was meant for update. */
void http_read_get(struct http_reading *r)
{
    struct gw_bytes rest = r->request->query, name, value;
    struct http_call *call = r->call;
    bool by_name = !http_has_parameter(r, "pin") && !http_has_parameter(r, "dataStreamId");
    uint8_t pin;
    char bank;

    if (!by_name && http_pin_alone(r, NULL, &bank, &pin))
        add_pin(call, bank, pin);
    while (by_name && call->status == 200 && gw_http_query_next(&rest, &name, &value)) {
        if (gw_bytes_are(name, "token"))
            continue;
        if (http_pin_of(name, &bank, &pin) && value.size == 0)
            add_pin(call, bank, pin);
        else
            http_refuse(call, 400, HTTP_WRONG_PIN);
    }
    if (call->status == 200 && call->pin_count == 0)
        http_refuse(call, 400, HTTP_WRONG_PIN);
    call->what = HTTP_CALL_VALUES;
    call->form = call->pin_count == 1 ? HTTP_VALUES_TEXT : HTTP_VALUES_NAMED;
}

void http_read_get_all(struct http_reading *r)
{
    r->call->what = HTTP_CALL_VALUES;
    r->call->form = HTTP_VALUES_ALL;
}

void http_read_legacy_get(struct http_reading *r)
{
    uint8_t pin;
    char bank;

    if (!http_pin_segment(r, &bank, &pin))
        return;
    add_pin(r->call, bank, pin);
    r->call->what = HTTP_CALL_VALUES;
    r->call->form = HTTP_VALUES_ARRAY;
}
