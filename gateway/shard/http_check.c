/*
 * Is what a request writes anything that its product has? Devices are not held to it, for they look
 * at no refusal; who writes over HTTP is told.
 */
#include "http_internal.h"

#include <errno.h>
#include <stddef.h>

#include <gw/token/details.h>

static const char NO_EVENT[] = "Can't find Event with this code in Product template";

/* What a look-up said: 0 there is one; -ENODATA the product has none, and anything goes. */
static bool is_there(struct http_call *call, int err, const char *missing)
{
    if (err == -ENOENT)
        http_refuse(call, 400, missing);
    else if (err != 0 && err != -ENODATA)
        http_refuse(call, 503, "Try again later.");
    return err == 0;
}

/* Is there a stream to hold this write to? Only virtual pins have one. */
static bool find_stream(struct gw_index_reader *reader, uint32_t product, struct http_call *call,
                        const struct gw_record *record, struct gw_stream *stream)
{
    return record->bank == 'v' &&
           is_there(call, gw_index_stream(reader, product, record->pin, stream),
                    GW_STREAM_TEXT_MISSING);
}

static void check_value(struct http_call *call, const struct gw_stream *stream,
                        struct gw_bytes value)
{
    if (gw_stream_check(stream, value) != GW_STREAM_FITS)
        http_refuse(call, 400, GW_STREAM_TEXT_MISFIT);
}

static void check_record(struct gw_index_reader *reader, uint32_t product, struct http_call *call,
                         const struct gw_record *record)
{
    struct gw_stream stream;
    struct gw_bytes name;

    if (record->kind == GW_RECORD_PIN_WRITE && find_stream(reader, product, call, record, &stream))
        check_value(call, &stream, record->value);
    if (record->kind == GW_RECORD_EVENT)
        (void)is_there(call, gw_index_event(reader, product, record->name, &name), NO_EVENT);
}

/* All of one pin. */
static void check_points(struct gw_index_reader *reader, uint32_t product, struct http_call *call)
{
    uint8_t room[HTTP_VALUE_BYTES_MAX];
    struct http_points points;
    struct gw_record record;
    struct gw_stream stream;

    if (!find_stream(reader, product, call, &call->records[0], &stream))
        return;
    http_points_begin(&points, call);
    while (call->status == 200 && http_points_next(&points, room, call, &record))
        check_value(call, &stream, record.value);
}

void http_call_check(struct gw_index_reader *reader, uint32_t product, struct http_call *call)
{
    if (call->what == HTTP_CALL_POINTS)
        check_points(reader, product, call);
    for (uint32_t i = 0;
         call->what == HTTP_CALL_RECORDS && i < call->record_count && call->status == 200; i++)
        check_record(reader, product, call, &call->records[i]);
}
