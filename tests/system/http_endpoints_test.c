/*
 * The device API of the real process: every endpoint with good and bad parameters over TCP and TLS,
 * what it leaves in the log, and each line that the documentation shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "http_client.h"

static struct sys_gateway gateway;
static struct sys_device devices[SYS_TRANSPORTS + 2];
static struct sys_updates updates;

/* Answered on one connection, one after the other; `record` is what the log then has of it. */
static const struct {
    const char *request;
    int status;
    const char *body, *record;
} calls[] = {
    /* update */
    {"GET /external/api/update?token={T}&v1=5" END, 200, "", "write v1 35"},
    {"GET /external/api/update?v1=5&token={T}" END, 200, "", "write v1 35"},
    {"GET /external/api/update?token={T}&pin=V2&value=on" END, 200, "", "write v2 6f6e"},
    {"GET /external/api/update?token={T}&pin=v255&value=1" END, 200, "", "write v255 31"},
    {"GET /external/api/update?token={T}&pin=D13&value=1" END, 200, "", "write d13 31"},
    {"GET /external/api/update?token={T}&a3=512" END, 200, "", "write a3 353132"},
    {"GET /external/api/update?token={T}&pin=V3&value=30.5&value=50.4" END, 200, "",
     "write v3 33302e350035302e34"},
    {"GET /external/api/update?token={T}&v4=a%20b+c%C2%B0%26" END, 200, "",
     "write v4 6120622063c2b026"},
    {"GET /external/api/update?v5=1" HOST "Authorization: Bearer {T}\r\n\r\n", 200, "",
     "write v5 31"},
    {"GET /external/api/update?token={T}&v5=2" HOST "Authorization: bearer {T}\r\n\r\n", 200, "",
     "write v5 32"},
    {"GET /external/api/update?token=" UNKNOWN "&v1=5" END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/update?token=short&v1=5" END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/update?token=&v1=5" END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/update?v1=5" END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/update" END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/update?token={T}&token={T}&v1=5" END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/update?v5=2" HOST "Authorization: bearer   {T}\r\n\r\n", 200, "",
     "write v5 32"},
    {"GET /external/api/update?token={T}&v1=5" HOST "Authorization: Bearer " UNKNOWN "\r\n\r\n",
     400, INVALID_TOKEN, NULL},
    {"GET /external/api/update?token={T}%00&v1=5" END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/update?token={T}&pin=x1&value=5" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&x1=5" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&v1=5&x2=6" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&v256=5" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&v=5" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&v-1=5" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&pin=V1&pin=V2&value=5" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&pin=V1&value=6&v2=7" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&pin=V1&value=6&=7" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&pin=V1&dataStreamId=7&value=6" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update?token={T}&v1=" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&v1" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&pin=V1" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&v1=a%00b" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&pin=V1&value=a&value=%00" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&v1=" THOUSAND "0123456789012345678901234" END, 400,
     WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&dataStreamId=x&value=1" END, 400,
     ERROR("Wrong dataStreamId format."), NULL},
    {"GET /external/api/update?token={T}&dataStreamId=1&value=1" END, 400, NO_STREAM, NULL},
    {"GET /external/api/Update?token={T}&v1=5" END, 404, NOTHING_THERE, NULL},
    {"GET /external/api/update/?token={T}&v1=5" END, 404, NOTHING_THERE, NULL},
    /* get, getAll: what the updates above have left */
    {"GET /external/api/get?token={T}&v1" END, 200, "5", NULL},
    {"GET /external/api/get?v1=&token={T}" END, 200, "5", NULL},
    {"GET /external/api/get?token={T}&pin=V2" END, 200, "on", NULL},
    {"GET /external/api/get?token={T}&v3" END, 200, "[30.5,50.4]", NULL},
    {"GET /external/api/get?token={T}&v4" END, 200, "a b c\xc2\xb0&", NULL},
    {"GET /external/api/get?token={T}&v1&v2" END, 200, "{\"v1\":5,\"v2\":\"on\"}", NULL},
    {"GET /external/api/get?token={T}&V2&D13&v2" END, 200, "{\"v2\":\"on\",\"d13\":1}", NULL},
    {"GET /external/api/get?token={T}&v1&v99" END, 200, "{\"v1\":5}", NULL},
    {"GET /external/api/get?token={T}&v98&v99" END, 200, "{}", NULL},
    {"GET /external/api/get?token={T}&v99" END, 400, NO_VALUE, NULL},
    {"GET /external/api/get?token={T}&pin=v99" END, 400, NO_VALUE, NULL},
    {"GET /external/api/get?token={T}&v1=6" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/get?token={T}&q1" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/get?token={T}" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/get?token={T}&pin=V1&pin=V2" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/get?token={T}&pin=V1&v2" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/get?token={T}&v2&pin=V1" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/get?token={T}&dataStreamId=1" END, 400, NO_VALUE, NULL},
    {"GET /external/api/get?token={T}&dataStreamId=" END, 400, ERROR("Wrong dataStreamId format."),
     NULL},
    {"GET /external/api/get?token=" UNKNOWN "&v1" END, 400, INVALID_TOKEN, NULL},
    {"HEAD /external/api/get?token={T}&v1" END, 200, "", NULL},
    {"GET /external/api/getAll?token={T}" END, 200,
     "{\"v1\":5,\"v2\":\"on\",\"v3\":[30.5,50.4],\"v4\":\"a b c\xc2\xb0&\",\"v5\":2,\"v255\":1,"
     "\"d13\":1,\"a3\":512}",
     NULL},
    {"GET /external/api/getAll?token=" UNKNOWN END, 400, INVALID_TOKEN, NULL},
    {"GET /{T}/get/V2" END, 200, "[\"on\"]", NULL},
    {"GET /{T}/get/v3" END, 200, "[\"30.5\",\"50.4\"]", NULL},
    {"GET /{T}/get/V99" END, 400, "Requested pin doesn't exist in the app.", NULL},
    {"GET /{T}/get/Q1" END, 400, "Wrong pin format.", NULL},
    {"GET /" UNKNOWN "/get/V1" END, 400, "Invalid token.", NULL},
    {"GET /.well-known/acme-challenge/aa" END, 404, NOTHING_THERE, NULL},
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 404, NOTHING_THERE, NULL},
    {"POST /external/api/update?token={T}&v1=5" END, 405, ERROR("This method is not allowed here."),
     NULL},
    {"HEAD /external/api/update?token={T}&v1=5" END, 405, "", NULL},
    {"DELETE /external/api/update?token={T}&v1=5" END, 501, ERROR("This method is not served."),
     NULL},
    {"OPTIONS /external/api/update" END, 204, "", NULL},
    /* update/pin */
    {"PUT /external/api/update/pin?token={T}&v1=123" JSON "Content-Length: 7\r\n\r\n[\"123\"]", 200,
     "", "write v1 313233"},
    {"PUT /external/api/update/pin?token={T}&v1=1" JSON "Content-Length: 5\r\n\r\n[\"2\"]", 200, "",
     "write v1 32"},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Content-Length: 5\r\n\r\n[\"3\"]", 200, "",
     "write v1 33"},
    {"PUT /external/api/update/pin?token={T}&v1=4" JSON "Content-Length: 2\r\n\r\n[]", 200, "",
     "write v1 34"},
    {"PUT /external/api/update/pin?token={T}&v1=5" END, 200, "", "write v1 35"},
    {"PUT /external/api/update/pin?token={T}&pin=V6" JSON
     "Content-Length: 23\r\n\r\n[ \"a\\u00b0\" , 2.5,true]",
     200, "", "write v6 61c2b000322e350074727565"},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Transfer-Encoding: chunked\r\n\r\n"
     "3\r\n[\"1\r\n2;x=y\r\n2\"\r\n1\r\n]\r\n0\r\nTrailer: x\r\n\r\n",
     200, "", "write v1 3132"},
    {"PUT /external/api/update/pin?token={T}&v1=1&v2=2" END, 400, WRONG_PIN, NULL},
    {"PUT /external/api/update/pin?token={T}" JSON "Content-Length: 5\r\n\r\n[\"3\"]", 400,
     WRONG_PIN, NULL},
    {"PUT /external/api/update/pin?token={T}&pin=V1&v2" JSON "Content-Length: 5\r\n\r\n[\"3\"]",
     400, WRONG_PIN, NULL},
    {"PUT /external/api/update/pin?token={T}&v1" END, 400, WRONG_VALUE, NULL},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Content-Length: 4\r\n\r\n[\"\"]", 400,
     WRONG_VALUE, NULL},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Content-Length: 10\r\n\r\n[\"\\u0000\"]",
     400, WRONG_VALUE, NULL},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Content-Length: 4\r\n\r\n[\"3]", 400,
     ERROR("Wrong request format."), NULL},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Content-Length: 5\r\n\r\n[1,2,", 400,
     ERROR("Wrong request format."), NULL},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Content-Length: 4\r\n\r\n[[1]", 400,
     ERROR("Wrong request format."), NULL},
    {"PUT /external/api/update/pin?token={T}&v1" HOST "Content-Length: 5\r\n\r\n[\"3\"]", 400,
     ERROR("Unknown content type."), NULL},
    /* batch/update */
    {"GET /external/api/batch/update?token={T}&v1=a&v2=b" END, 200, "", "write v1 61; write v2 62"},
    {"GET /external/api/batch/update?token={T}&v1=a&q=b" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/batch/update?token={T}&v1=a&v2=" END, 400, WRONG_VALUE, NULL},
    {"POST /external/api/batch/update?token={T}&pin=v1" HOST "Content-Length: 2\r\n\r\n[]", 400,
     ERROR("Unknown content type."), NULL},
    {"POST /external/api/batch/update?token={T}&pin=q1" JSON "Content-Length: 2\r\n\r\n[]", 400,
     WRONG_PIN, NULL},
    {"POST /external/api/batch/update?token={T}&pin=v1" JSON "Content-Length: 2\r\n\r\n[]", 400,
     WRONG_VALUE, NULL},
    {"POST /external/api/batch/update?token={T}&pin=v1&v2=3" JSON "Content-Length: 2\r\n\r\n[]",
     400, WRONG_PIN, NULL},
    {"POST /external/api/batch/update?token={T}&pin=v1" JSON "Content-Length: 7\r\n\r\n[[1,2]]",
     400, ERROR("A point's timestamp is too far from now."), NULL},
    {"POST /external/api/batch/update?token={T}&pin=v1" JSON "Content-Length: 9\r\n\r\n[[\"1\",2]]",
     400, WRONG_VALUE, NULL},
    /* property, event, metadata */
    {"GET /external/api/update/property?token={T}&pin=v1&label=Lamp%201" END, 200, "",
     "property v1 (1) label 4c616d702031"},
    {"GET /external/api/update/property?token={T}&pin=v1&labels=a&labels=b" END, 200, "",
     "property v1 (1) labels 610062"},
    {"GET /external/api/update/property?token={T}&pin=v1" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update/property?token={T}&pin=v1&label=" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update/property?token={T}&label=x" END, 400, WRONG_PIN, NULL},
    {"GET /external/api/update/property?token={T}&pin=v1&min=1&max=2" END, 400,
     ERROR("Only one property can be changed at once."), NULL},
    {"GET /external/api/logEvent?token={T}&code=hot&description=too%20hot" END, 200, "",
     "event hot 746f6f20686f74"},
    {"GET /external/api/logEvent?token={T}&code=hot" END, 200, "", "event hot "},
    {"GET /external/api/logEvent?token={T}" END, 400, ERROR("Event code is not provided."), NULL},
    {"GET /external/api/logEvent?token={T}&code=" END, 400, ERROR("Event code is not provided."),
     NULL},
    {"GET /external/api/device/meta?token={T}&metaFieldName=Serial%20Number" END, 200,
     "{\"type\":\"Text\",\"value\":\"A \\\"7\\\"\"}", NULL},
    {"HEAD /external/api/device/meta?token={T}&metaFieldName=Serial%20Number" END, 200, "", NULL},
    {"GET /external/api/device/meta?token={T}&metaFieldName=Serial" END, 400,
     ERROR("MetaField doesn't exist."), NULL},
    {"GET /external/api/device/meta?token={T}&metaFieldId=1" END, 400,
     ERROR("MetaField doesn't exist."), NULL},
    {"GET /external/api/device/meta?token={T}&metaFieldId=x" END, 400,
     ERROR("Wrong metaField format."), NULL},
    {"GET /external/api/device/meta?token={T}" END, 400, ERROR("Wrong metaField format."), NULL},
    {"GET /external/api/device/meta?token=" UNKNOWN "&metaFieldName=Serial%20Number" END, 400,
     INVALID_TOKEN, NULL},
    {"GET /external/api/device/meta/update?token={T}&metaFieldName=Serial%20Number&value=7" END,
     200, "", "meta_set Serial Number 37"},
    {"GET /external/api/device/meta/update?token={T}&metaFieldId=1&value=7" END, 400,
     ERROR("MetaField doesn't exist"), NULL},
    {"GET /external/api/device/meta/update?token={T}&metaFieldId=x&value=7" END, 400,
     ERROR("Wrong metaField format"), NULL},
    {"GET /external/api/device/meta/update?token={T}&metaFieldName=a" END, 400,
     ERROR("Wrong value"), NULL},
    {"GET /external/api/device/meta/update?token={T}&metaFieldId=7&metaFieldName=a&value=1" END,
     400, ERROR("Wrong metaField format"), NULL}, /* which of them? */
    /* what is recorded of metadata changes none */
    {"GET /external/api/device/meta?token={T}&metaFieldName=Serial%20Number" END, 200,
     "{\"type\":\"Text\",\"value\":\"A \\\"7\\\"\"}", NULL},
    /* questions */
    {"GET /external/api/isHardwareConnected?token={T}" END, 200, "false", NULL},
    {"HEAD /external/api/isHardwareConnected?token={T}" END, 200, "", NULL},
    {"GET /external/api/isHardwareConnected?token=" UNKNOWN END, 400, INVALID_TOKEN, NULL},
    {"GET /external/api/isAppConnected?token={T}" END, 200, "false", NULL},
    {"HEAD /external/api/isAppConnected?token={T}" END, 200, "", NULL},
    {"GET /external/api/isAppConnected?token=" UNKNOWN END, 400, INVALID_TOKEN, NULL},
    /* of old servers */
    {"GET /{T}/update/V1?value=9" END, 200, "", "write v1 39"},
    {"GET /{T}/update/d7?value=1&value=2" END, 200, "", "write d7 310032"},
    {"GET /{T}/update/V1?color=%23FF0000" END, 200, "", "property v1 (1) color 23464630303030"},
    {"GET /{T}/update/V1?la%62el=x" END, 200, "", "property v1 (1) label 78"},
    {"GET /{T}/update/V1?=x&label=x" END, 400, "Only one property can be changed at once.", NULL},
    {"PUT /{T}/update/V1" JSON "Content-Length: 1104\r\n\r\n[\"" THOUSAND HUNDRED "\"]", 400,
     "Wrong request format.", NULL},
    {"PUT /external/api/update/pin?token={T}&v1" JSON
     "Content-Length: 1104\r\n\r\n[\"" THOUSAND HUNDRED "\"]",
     400, WRONG_VALUE, NULL},
    {"PUT /{T}/update/V1" JSON "Content-Length: 5\r\n\r\n[\"8\"]", 200, "", "write v1 38"},
    {"PUT /{T}/pin/V1" JSON "Content-Length: 9\r\n\r\n[\"8\",\"9\"]", 200, "", "write v1 380039"},
    {"GET /{T}/isHardwareConnected" END, 200, "false", NULL},
    {"GET /{T}/isAppConnected" END, 200, "false", NULL},
    {"HEAD /{T}/isAppConnected" END, 200, "", NULL},
    {"GET /" UNKNOWN "/isAppConnected" END, 400, "Invalid token.", NULL},
    {"GET /" UNKNOWN "/update/V1?value=9" END, 400, "Invalid token.", NULL},
    {"GET /{T}/update/Q1?value=9" END, 400, "Wrong pin format.", NULL},
    {"GET /{T}/update/V1" END, 400, "Wrong request format.", NULL},
    {"GET /{T}/update/V1?value=9&color=%23FF0000" END, 400, "Wrong request format.", NULL},
    {"GET /{T}/pin/V1?value=9" END, 405, "This method is not allowed here.", NULL},
    {"PUT /{T}/extra/pin/V1" JSON "Content-Length: 17\r\n\r\n[{\"timestamp\":1}]", 400,
     "Wrong request format.", NULL},
    {"PUT /{T}/extra/pin/V1" JSON "Content-Length: 21\r\n\r\n[{\"value\":1,\"value\":2", 400,
     "Wrong request format.", NULL},
    {"PUT /{T}/extra/pin/V1" JSON "Content-Length: 27\r\n\r\n[{\"value\":1,\"timestamp\":[1]", 400,
     "Wrong request format.", NULL},
    {"PUT /{T}/extra/pin/V1" JSON "Content-Length: 17\r\n\r\n[{\"when\":1,\"value", 400,
     "Wrong request format.", NULL},
    {"PUT /{T}/pin/V1" JSON "Content-Length: 2\r\n\r\n[]", 400, "No pin for update provided.",
     NULL},
    {"PUT /{T}/pin/V1" JSON "Content-Length: 2\r\n\r\n{}", 400, "Wrong request format.", NULL},
    {"GET /{T}/data/V1" END, 404, NOTHING_THERE, NULL},
};
static void every_endpoint_answers_as_documented(void **state)
{
    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_device *device = &devices[t];
        struct sys_client c;
        char *expected = NULL, *text;
        size_t expected_bytes = 0, recorded = 0;
        FILE *file = open_memstream(&expected, &expected_bytes);

        assert_non_null(file);
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        for (size_t i = 0; i < GW_ARRAY_COUNT(calls); i++) {
            struct http_answer answer;

            http_ask(&gateway, &c, device, calls[i].request, &answer);
            sys_check(&gateway,
                      answer.status == calls[i].status && strcmp(answer.body, calls[i].body) == 0,
                      "%s: %s\nexpected %d %s, got %s%s", sys_transport_text((enum sys_transport)t),
                      calls[i].request, calls[i].status, calls[i].body, answer.head, answer.body);
            assert_non_null(strstr(answer.head, "\r\ndate: "));
            assert_non_null(strstr(answer.head, "\r\naccess-control-allow-origin: *\r\n"));
            assert_non_null(strstr(answer.head, "\r\nconnection: keep-alive\r\n"));
            assert_int_equal(answer.status == 405,
                             strstr(answer.head, "\r\nallow: ") != NULL && answer.status != 204);
            if (calls[i].record != NULL)
                (void)fprintf(file, "%s%s", recorded++ > 0 ? "; " : "", calls[i].record);
        }
        sys_client_close(&c);
        assert_int_equal(fclose(file), 0);
        sys_updates_read(&gateway, &updates);
        text = sys_updates_text(&updates, device->number);
        assert_string_equal(text, expected);
        free(text);
        free(expected);
    }
}

/* What the log says of where it came from: one session, counted without gaps, no ONLINE. */
static void records_name_their_origin(void **state)
{
    uint64_t session = 0;
    uint32_t sequence = 0;

    (void)state;
    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;

        if (record->device != devices[0].number)
            continue;
        assert_int_equal(record->flags & GW_RECORD_FROM_HTTP, GW_RECORD_FROM_HTTP);
        assert_int_equal(record->msg_id, 0);
        session = session == 0 ? record->session : session;
        assert_int_equal(record->session, session);
        assert_int_equal(record->sequence, ++sequence);
    }
    assert_true(sequence > 0);
}

/* ---- batches ---- */

static void ten_thousand_points_are_a_batch_and_one_more_is_none(void **state)
{
    enum { POINTS = 10000 };
    const struct sys_device *device = &devices[SYS_TRANSPORTS];
    uint64_t first_ms = http_wall_ms() - 3600000;
    char *request = http_batch(POINTS, first_ms, device->token, "pin=V7");
    const struct sys_update *last = NULL;
    struct sys_client c;

    (void)state;
    for (int t = SYS_PLAIN; t <= SYS_TLS13; t += SYS_TLS13) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
        http_expect(&gateway, &c, 200, "");
        sys_client_close(&c);
    }
    free(request);
    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, &last),
                     2 * POINTS);
    assert_true(gw_bytes_are(last->record.value, "9999.5"));
    assert_true(last->record.time_us == (first_ms + POINTS - 1) * 1000);
    assert_int_equal(last->record.flags, GW_RECORD_FROM_HTTP | GW_RECORD_DEVICE_TIME);

    request = http_batch(POINTS + 1, first_ms, device->token, "pin=V7");
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
    http_expect(&gateway, &c, 400,
                ERROR("Too much data in batch. Maximum batch size is 10000 points."));
    sys_client_close(&c);
    free(request);
    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, NULL),
                     2 * POINTS);
}

static void points_have_values_of_every_type(void **state)
{
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 1];
    unsigned long long ms = http_wall_ms();
    char *body =
        sys_text("[[%llu,\"a\"],[%llu, -2.5e3],[%llu,true],[%llu,[2.17,41.4]]]", ms, ms, ms, ms);
    char *request = sys_text("POST /external/api/batch/update?token=%s&pin=v8" JSON
                             "Content-Length: %zu\r\n\r\n%s",
                             device->token, strlen(body), body);
    char *legacy_body = sys_text("[{\"timestamp\":%llu,\"value\":\"x\"},"
                                 "{\"value\":2.5,\"timestamp\":%llu}]",
                                 ms, ms);
    char *legacy = sys_text("PUT /%s/extra/pin/V8" JSON "Content-Length: %zu\r\n\r\n%s",
                            device->token, strlen(legacy_body), legacy_body);
    char *expected = sys_text("write v8 61 at %llu000; write v8 2d322e356533 at %llu000; "
                              "write v8 74727565 at %llu000; "
                              "write v8 322e31370034312e34 at %llu000; write v8 78 at %llu000; "
                              "write v8 322e35 at %llu000",
                              ms, ms, ms, ms, ms, ms);
    struct sys_client c;
    char *text;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS12));
    sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
    http_expect(&gateway, &c, 200, "");
    sys_must(&gateway, &c, sys_client_send(&c, legacy, strlen(legacy)));
    http_expect(&gateway, &c, 200, "");
    sys_client_close(&c);
    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, device->number);
    assert_string_equal(text, expected);
    free(text);
    free(expected);
    free(legacy);
    free(legacy_body);
    free(request);
    free(body);
}

/* ---- what the product has ---- */

#define STRICT "TMPLstrict001"

/* Of a device whose product has datastreams and events; its pins that are not virtual have none. */
static const struct {
    const char *request;
    int status;
    const char *body, *record;
} strict_calls[] = {
    {"GET /external/api/update?token={T}&v1=100" END, 200, "", "write v1 313030"},
    {"GET /external/api/update?token={T}&v1=5.000" END, 200, "", "write v1 352e303030"},
    {"GET /external/api/update?token={T}&v1=5.5" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&v1=warm" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&v1=101" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&pin=v1&value=1&value=2" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&v2=warm" END, 200, "", "write v2 7761726d"},
    {"GET /external/api/update?token={T}&pin=v3&value=2.17&value=41.40" END, 200, "",
     "write v3 322e31370034312e3430"},
    {"GET /external/api/update?token={T}&pin=v3&value=200&value=41.40" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&v4=1" END, 400, NO_STREAM, NULL},
    {"GET /external/api/update?token={T}&d4=x" END, 200, "", "write d4 78"},
    /* of a request that is refused nothing is recorded */
    {"GET /external/api/batch/update?token={T}&v1=1&v2=on&v4=3" END, 400, NO_STREAM, NULL},
    {"GET /external/api/batch/update?token={T}&v2=on&v1=on" END, 400, WRONG_VALUE, NULL},
    {"PUT /external/api/update/pin?token={T}&v1" JSON "Content-Length: 5\r\n\r\n[\"x\"]", 400,
     WRONG_VALUE, NULL},
    {"GET /{T}/update/V1?value=x" END, 400, "Value doesn't match the Datastream data type.", NULL},
    /* by number: V1 has 7, V3 has 300 */
    {"GET /external/api/update?token={T}&dataStreamId=7&value=42" END, 200, "", "write v1 3432"},
    {"GET /external/api/update?token={T}&dataStreamId=7&value=warm" END, 400, WRONG_VALUE, NULL},
    {"GET /external/api/update?token={T}&dataStreamId=300&value=2.5&value=41.40" END, 200, "",
     "write v3 322e350034312e3430"},
    {"GET /external/api/update?token={T}&dataStreamId=1&value=42" END, 400, NO_STREAM, NULL},
    {"GET /external/api/update?token={T}&dataStreamId=0&value=42" END, 400, NO_STREAM, NULL},
    {"GET /external/api/update?token={T}&dataStreamId=65843&value=42" END, 400, NO_STREAM, NULL},
    {"GET /external/api/update?token={T}&dataStreamId=7&dataStreamId=7&value=42" END, 400,
     ERROR("Wrong dataStreamId format."), NULL},
    {"GET /external/api/update?token={T}&dataStreamId=7" END, 400, WRONG_VALUE, NULL},
    {"PUT /external/api/update/pin?token={T}&dataStreamId=7" JSON
     "Content-Length: 6\r\n\r\n[\"43\"]",
     200, "", "write v1 3433"},
    {"GET /external/api/get?token={T}&dataStreamId=7" END, 200, "43", NULL},
    {"GET /external/api/get?token={T}&dataStreamId=300" END, 200, "[2.5,41.40]", NULL},
    {"GET /external/api/get?token={T}&dataStreamId=2" END, 400, NO_VALUE, NULL},
    {"GET /external/api/update/property?token={T}&dataStreamId=7&label=Lamp" END, 200, "",
     "property v1 (1) label 4c616d70"},
    {"GET /external/api/device/meta/update?token={T}&metaFieldId=9&value=A7" END, 200, "",
     "meta_set Serial Number 4137"},
    {"GET /external/api/device/meta?token={T}&metaFieldId=9" END, 200,
     "{\"type\":\"Text\",\"value\":\"B 8\"}", NULL},
    {"GET /external/api/device/meta?token={T}&metaFieldId=10" END, 400,
     ERROR("MetaField doesn't exist."), NULL}, /* the product has one, this device has none */
    {"GET /external/api/device/meta?token={T}&metaFieldId=11" END, 400,
     ERROR("MetaField doesn't exist."), NULL},
    {"GET /external/api/device/meta/update?token={T}&metaFieldId=11&value=7" END, 400,
     ERROR("MetaField doesn't exist"), NULL},
    {"GET /external/api/logEvent?token={T}&code=hot" END, 200, "", "event hot "},
    {"GET /external/api/logEvent?token={T}&code=cold" END, 400,
     ERROR("Can't find Event with this code in Product template"), NULL},
};
static void ask_points(struct sys_client *c, const struct sys_device *device, const char *pin,
                       int status, const char *body)
{
    char *request = http_batch(3, http_wall_ms(), device->token, pin);
    struct http_answer answer;

    http_ask(&gateway, c, device, request, &answer);
    sys_check(&gateway, answer.status == status && strcmp(answer.body, body) == 0, "%s: %s%s", pin,
              answer.head, answer.body);
    free(request);
}

static void what_a_product_has_binds_those_who_write(void **state)
{
    struct sys_device device;
    struct sys_client c;
    struct http_answer answer;
    char *expected = NULL, *text, *number;
    size_t expected_bytes = 0, recorded = 0, written;
    const struct sys_update *last = NULL;
    FILE *file = open_memstream(&expected, &expected_bytes);

    (void)state;
    assert_non_null(file);
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", STRICT, "--org", "Test", "--plain",
                 NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STRICT, "V1", "--type", "int", "--max",
                 "100", "--number", "7", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STRICT, "V2", "--type", "string",
                 "--number", "8", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STRICT, "V3", "--type", "location",
                 "--number", "300", NULL));
    free(sys_ctl(&gateway, NULL, "product", "event", "add", STRICT, "hot", "--name", "Hot", NULL));
    free(sys_ctl(&gateway, NULL, "product", "field", "add", STRICT, "9", "Serial Number", NULL));
    free(sys_ctl(&gateway, NULL, "product", "field", "add", STRICT, "10", "Room", NULL));
    sys_devices_add(&gateway, STRICT, &device, 1);
    number = sys_text("%u", device.number);
    free(sys_ctl(&gateway, NULL, "device", "meta", "set", number, "Serial Number", "B 8", NULL));
    free(number);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    for (size_t i = 0; i < GW_ARRAY_COUNT(strict_calls); i++) {
        http_ask(&gateway, &c, &device, strict_calls[i].request, &answer);
        sys_check(&gateway,
                  answer.status == strict_calls[i].status &&
                      strcmp(answer.body, strict_calls[i].body) == 0,
                  "%s\nexpected %d %s, got %s%s", strict_calls[i].request, strict_calls[i].status,
                  strict_calls[i].body, answer.head, answer.body);
        if (strict_calls[i].record != NULL)
            (void)fprintf(file, "%s%s", recorded++ > 0 ? "; " : "", strict_calls[i].record);
    }
    assert_int_equal(fclose(file), 0);
    /* Points of 0.5 and more are no whole numbers. */
    ask_points(&c, &device, "pin=V1", 400, WRONG_VALUE);
    ask_points(&c, &device, "pin=V4", 400, NO_STREAM);
    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, device.number);
    assert_string_equal(text, expected);
    written = sys_updates_count(&updates, device.number, GW_RECORD_PIN_WRITE, NULL);
    ask_points(&c, &device, "pin=V2", 200, "");
    ask_points(&c, &device, "dataStreamId=8", 200, ""); /* which is V2's */
    ask_points(&c, &device, "dataStreamId=7", 400, WRONG_VALUE);
    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device.number, GW_RECORD_PIN_WRITE, &last),
                     written + 2 * 3);
    assert_int_equal(last->record.pin, 2);
    sys_client_close(&c);
    free(text);
    free(expected);
}

/* ---- secrets, clients of others ---- */

static void no_token_stands_in_the_log(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(devices); i++)
        assert_false(sys_gateway_log_has(&gateway, devices[i].token));
}

/* Every curl line of docs/http-api.md, as it stands there but for the host and the token. */
static void every_curl_line_of_the_documentation_works(void **state)
{
    static const char *const look[] = {"/bin/sh", "-c", "command -v curl", NULL};
    struct sys_output found = {.exit_code = -1};
    char *page, *rest = NULL;
    unsigned lines = 0;

    (void)state;
    assert_true(sys_run(look, NULL, &found));
    sys_output_release(&found);
    if (found.exit_code != 0)
        skip();
    page = sys_file_text(HTTP_API_PAGE);
    for (char *line = strtok_r(page, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *script;
        struct sys_output output = {.exit_code = -1};

        if (strncmp(line, "    curl ", 9) != 0)
            continue;
        script =
            sys_text("GATEWAY=https://127.0.0.1:%u\nTOKEN=%s\n"
                     "curl() { command curl --silent --show-error --fail --cacert %s \"$@\"; }\n"
                     "%s\n",
                     gateway.tls_port, devices[0].token, gateway.ca_path, line);
        const char *const argv[] = {"/bin/sh", "-c", script, NULL};

        assert_true(sys_run(argv, NULL, &output));
        sys_check(&gateway, output.exit_code == 0, "%s\nexit code %d: %s%s", line, output.exit_code,
                  output.out, output.err);
        sys_output_release(&output);
        free(script);
        lines++;
    }
    assert_true(lines >= 20);
    free(page);
}

static void give_fields(void)
{
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        char *number = sys_text("%u", devices[t].number);

        free(sys_ctl(&gateway, NULL, "device", "meta", "set", number, "Serial Number", "A \"7\"",
                     NULL));
        free(number);
    }
}

int main(void)
{
    static const struct sys_group group = {
        .name = "http endpoints",
        .gateway = &gateway,
        .options = {.shards = 2, .debug = true, .config = "rate: { burst = 100000; };\n"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .updates = &updates,
        .prepare = give_fields,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_endpoint_answers_as_documented),
        cmocka_unit_test(records_name_their_origin),
        cmocka_unit_test(ten_thousand_points_are_a_batch_and_one_more_is_none),
        cmocka_unit_test(points_have_values_of_every_type),
        cmocka_unit_test(what_a_product_has_binds_those_who_write),
        cmocka_unit_test(no_token_stands_in_the_log),
        cmocka_unit_test(every_curl_line_of_the_documentation_works),
    };

    return SYS_GROUP_RUN(&group, tests);
}
