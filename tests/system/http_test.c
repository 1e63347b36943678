/*
 * The device API of the real process: every endpoint with good and bad parameters over TCP and TLS,
 * answers in their order and only for what is on disk, and what clients cannot do to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_cases.h"
#include "updates.h"

enum { SOON_MS = 3000, ANSWER_BYTES = 1 << 17, HEAD_BYTES_MAX = 1024 };

static struct sys_gateway gateway;
static struct sys_device devices[SYS_TRANSPORTS + 7];
static struct sys_updates updates;

/* ---- a client ---- */

/* The text with every "{T}" replaced; owned. */
static char *with_token(const char *text, const char *token)
{
    size_t bytes = 0;
    char *out = NULL;
    FILE *file = open_memstream(&out, &bytes);

    assert_non_null(file);
    while (*text != '\0') {
        if (strncmp(text, "{T}", 3) == 0) {
            (void)fputs(token, file);
            text += 3;
        } else {
            (void)fputc(*text++, file);
        }
    }
    assert_int_equal(fclose(file), 0);
    return out;
}

struct answer {
    int status;
    char head[HEAD_BYTES_MAX];
    char body[ANSWER_BYTES];
};

/* The next response; `head_only` for the answer to a HEAD. */
static void read_answer(struct sys_client *c, struct answer *out, bool head_only)
{
    uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
    const char *end = NULL, *length;
    size_t head_bytes, body_bytes = 0;

    *out = (struct answer){.status = 0};
    for (;;) {
        end = c->in_bytes == 0 ? NULL : memmem(c->in, c->in_bytes, "\r\n\r\n", 4);
        if (end != NULL)
            break;
        sys_check(&gateway, c->end == SYS_OPEN && sys_now_ms() < deadline,
                  "no answer; %zu bytes of one, end %d", c->in_bytes, c->end);
        (void)sys_client_receive(c, 20);
    }
    head_bytes = (size_t)(end + 4 - (const char *)c->in);
    assert_true(head_bytes < sizeof out->head);
    memcpy(out->head, c->in, head_bytes);
    assert_int_equal(sscanf(out->head, "HTTP/1.1 %3d ", &out->status), 1);
    length = strstr(out->head, "\r\ncontent-length: ");
    if (length != NULL && !head_only)
        body_bytes = strtoul(length + strlen("\r\ncontent-length: "), NULL, 10);
    assert_true(body_bytes < sizeof out->body);
    sys_must(&gateway, c, sys_client_expect(c, out->head, head_bytes, sys_ms(SOON_MS)));
    while (c->in_bytes < body_bytes && c->end == SYS_OPEN && sys_now_ms() < deadline)
        (void)sys_client_receive(c, 20);
    assert_true(c->in_bytes >= body_bytes);
    if (body_bytes > 0)
        memcpy(out->body, c->in, body_bytes);
    sys_must(&gateway, c, sys_client_expect(c, out->body, body_bytes, sys_ms(SOON_MS)));
}

static void ask(struct sys_client *c, const struct sys_device *device, const char *request,
                struct answer *out)
{
    char *text = with_token(request, device->token);

    sys_must(&gateway, c, sys_client_send(c, text, strlen(text)));
    read_answer(c, out, strncmp(request, "HEAD", 4) == 0);
    free(text);
}

static void expect_answer(struct sys_client *c, int status, const char *body)
{
    struct answer answer;

    read_answer(c, &answer, false);
    sys_check(&gateway, answer.status == status && strcmp(answer.body, body) == 0,
              "expected %d %s, got %s%s", status, body, answer.head, answer.body);
}

/* ---- every endpoint ---- */

#define HOST          " HTTP/1.1\r\nHost: gateway.example\r\n"
#define END           HOST "\r\n"
#define JSON          HOST "Content-Type: application/json\r\n"
#define ERROR(text)   "{\"error\":{\"message\":\"" text "\"}}"
#define INVALID_TOKEN ERROR("Invalid token.")
#define WRONG_PIN     ERROR("Wrong pin format.")
#define WRONG_VALUE   ERROR("Value doesn't match the Datastream data type.")
#define NO_STREAM     ERROR("No datastream setup for that pin.")
#define NO_VALUE      ERROR("Requested dataStream doesn't exist in the product.")
#define HUNDRED                                                                                    \
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
    "23456789"
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
#define UNKNOWN  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

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
    {"GET /external/api/Update?token={T}&v1=5" END, 404, ERROR("There is nothing of this name."),
     NULL},
    {"GET /external/api/update/?token={T}&v1=5" END, 404, ERROR("There is nothing of this name."),
     NULL},
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
    {"GET /external/api/get?token={T}&dataStreamId=1" END, 400, NO_STREAM, NULL},
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
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 404, ERROR("There is nothing of this name."), NULL},
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
    {"GET /external/api/device/meta/update?token={T}&metaFieldName=Serial%20Number&value=7" END,
     200, "", "meta_set Serial Number 37"},
    {"GET /external/api/device/meta/update?token={T}&metaFieldId=1&value=7" END, 400,
     ERROR("MetaField doesn't exist"), NULL},
    {"GET /external/api/device/meta/update?token={T}&metaFieldId=x&value=7" END, 400,
     ERROR("Wrong metaField format"), NULL},
    {"GET /external/api/device/meta/update?token={T}&metaFieldName=a" END, 400,
     ERROR("Wrong value"), NULL},
    /* questions */
    {"GET /external/api/isHardwareConnected?token={T}" END, 200, "false", NULL},
    {"HEAD /external/api/isHardwareConnected?token={T}" END, 200, "", NULL},
    {"GET /external/api/isHardwareConnected?token=" UNKNOWN END, 400, INVALID_TOKEN, NULL},
    /* of old servers */
    {"GET /{T}/update/V1?value=9" END, 200, "", "write v1 39"},
    {"GET /{T}/update/d7?value=1&value=2" END, 200, "", "write d7 310032"},
    {"GET /{T}/update/V1?color=%23FF0000" END, 200, "", "property v1 (1) color 23464630303030"},
    {"PUT /{T}/update/V1" JSON "Content-Length: 5\r\n\r\n[\"8\"]", 200, "", "write v1 38"},
    {"PUT /{T}/pin/V1" JSON "Content-Length: 9\r\n\r\n[\"8\",\"9\"]", 200, "", "write v1 380039"},
    {"GET /{T}/isHardwareConnected" END, 200, "false", NULL},
    {"GET /" UNKNOWN "/update/V1?value=9" END, 400, "Invalid token.", NULL},
    {"GET /{T}/update/Q1?value=9" END, 400, "Wrong pin format.", NULL},
    {"GET /{T}/update/V1" END, 400, "Wrong request format.", NULL},
    {"PUT /{T}/pin/V1" JSON "Content-Length: 2\r\n\r\n[]", 400, "No pin for update provided.",
     NULL},
    {"PUT /{T}/pin/V1" JSON "Content-Length: 2\r\n\r\n{}", 400, "Wrong request format.", NULL},
    {"GET /{T}/data/V1" END, 404, ERROR("There is nothing of this name."), NULL},
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
            struct answer answer;

            ask(&c, device, calls[i].request, &answer);
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

/* ---- the connection ---- */

static void malformed_requests_are_refused_and_closed(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(http_cases); i++) {
        const struct http_case *item = &http_cases[i];
        struct answer answer;
        struct sys_client c;
        char *good =
            with_token("GET /external/api/isHardwareConnected?token={T}" END, devices[0].token);

        /* Behind a good one: what a stranger says first may be no HTTP at all. */
        sys_must(&gateway, &c, sys_connect(&gateway, &c, i % 8 == 0 ? SYS_TLS13 : SYS_PLAIN));
        sys_must(&gateway, &c, sys_client_send(&c, good, strlen(good)));
        expect_answer(&c, 200, "false");
        sys_must(&gateway, &c, sys_client_send(&c, item->bytes, item->size));
        read_answer(&c, &answer, false);
        sys_check(&gateway, answer.status == gw_http_fault_status(item->fault), "case %zu: %s", i,
                  answer.head);
        assert_non_null(strstr(answer.head, "\r\nconnection: close\r\n"));
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
        sys_client_close(&c);
        free(good);
    }
}

static void a_get_with_a_body_is_refused_and_closed(void **state)
{
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c,
             sys_client_send(&c, "GET /" HOST "Content-Length: 5\r\n\r\nhello",
                             strlen("GET /" HOST "Content-Length: 5\r\n\r\nhello")));
    expect_answer(&c, 400, ERROR("A GET has no body."));
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
}

/* Updates and questions in one piece; answers come in the order of the requests. */
static void pipelined_requests_are_answered_in_order(void **state)
{
    enum { ROUNDS = 12 };
    struct sys_device *device = &devices[SYS_TRANSPORTS];

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        char *all = NULL, *text;
        size_t bytes = 0;
        FILE *file = open_memstream(&all, &bytes);
        struct sys_client c;

        assert_non_null(file);
        for (int i = 0; i < ROUNDS; i++)
            (void)fprintf(file,
                          "GET /external/api/update?token={T}&v1=%d" END
                          "GET /external/api/update?token={T}&v2=%d" END
                          "GET /external/api/isHardwareConnected?token={T}" END "GET /nothing" END,
                          i, i);
        (void)fprintf(file, "GET /external/api/update?token={T}&v3=1" HOST
                            "Connection: close\r\n\r\nGET /never" END);
        assert_int_equal(fclose(file), 0);
        text = with_token(all, device->token);
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_send(&c, text, strlen(text)));
        for (int i = 0; i < ROUNDS; i++) {
            expect_answer(&c, 200, "");
            expect_answer(&c, 200, "");
            expect_answer(&c, 200, "false");
            expect_answer(&c, 404, ERROR("There is nothing of this name."));
        }
        expect_answer(&c, 200, "");
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
        sys_client_close(&c);
        free(text);
        free(all);
    }
    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, NULL),
                     SYS_TRANSPORTS * (2 * ROUNDS + 1));
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] =
        "PUT /external/api/update/pin?token={T}&v9" JSON "Content-Length: 7\r\n\r\n[\"789\"]";

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        char *text = with_token(request, devices[SYS_TRANSPORTS + 1].token);
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_dribble(&c, text, strlen(text)));
        expect_answer(&c, 200, "");
        sys_client_close(&c);
        free(text);
    }
}

static void a_body_that_waits_to_be_asked_for_is_asked_for(void **state)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 1];
    struct sys_client c;
    char *head = with_token("PUT /external/api/update/pin?token={T}&v9" JSON
                            "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                            device->token);

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        for (int twice = 0; twice < 2; twice++) {
            sys_must(&gateway, &c, sys_client_send(&c, head, strlen(head)));
            sys_must(&gateway, &c, sys_client_expect(&c, go_on, sizeof go_on - 1, sys_ms(SOON_MS)));
            sys_must(&gateway, &c, sys_client_send(&c, "[\"1\"]", 5));
            expect_answer(&c, 200, "");
        }
        sys_client_close(&c);
    }
    free(head);
    /* Who has no token need not send the body. */
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    head = with_token("PUT /external/api/update/pin?token=" UNKNOWN "&v9" JSON
                      "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                      "");
    sys_must(&gateway, &c, sys_client_send(&c, head, strlen(head)));
    expect_answer(&c, 400, INVALID_TOKEN);
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
    free(head);
}

/* Whichever shard it is on, and whichever shard is asked. */
static void a_connected_device_is_seen_from_everywhere(void **state)
{
    enum { LOOKS = 16 };

    (void)state;
    for (size_t d = SYS_TRANSPORTS; d < SYS_TRANSPORTS + 2; d++) {
        struct sys_client device, c;
        struct answer answer;

        sys_must(&gateway, &device, sys_connect(&gateway, &device, SYS_TLS13));
        sys_must(&gateway, &device, sys_client_login(&device, devices[d].token, GW_RESPONSE_OK));
        for (int i = 0; i < LOOKS; i++) { /* the kernel deals connections to shards */
            sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
            ask(&c, &devices[d], "GET /external/api/isHardwareConnected?token={T}" END, &answer);
            assert_string_equal(answer.body, "true");
            ask(&c, &devices[d], "GET /{T}/isHardwareConnected" END, &answer);
            assert_string_equal(answer.body, "true");
            sys_client_close(&c);
        }
        sys_client_close(&device);
        for (int i = 0; i < SOON_MS / 20; i++) {
            sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
            ask(&c, &devices[d], "GET /external/api/isHardwareConnected?token={T}" END, &answer);
            sys_client_close(&c);
            if (strcmp(answer.body, "false") == 0)
                break;
            sys_pause_ms(20);
        }
        assert_string_equal(answer.body, "false");
    }
}

/* ---- last values ---- */

static void expect_type(struct sys_client *c, const struct sys_device *device, const char *request,
                        const char *type)
{
    struct answer answer;

    ask(c, device, request, &answer);
    assert_int_equal(answer.status, 200);
    sys_check(&gateway, strstr(answer.head, type) != NULL, "no %s in %s", type, answer.head);
}

/* Written as the device protocol does it, and by requests in front of the question. */
static void a_reader_sees_what_was_acknowledged(void **state)
{
    static const char write[] = "vw\0"
                                "1\0"
                                "76";
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 4];
    struct sys_client board, c;
    struct answer answer;
    char *four;

    (void)state;
    sys_must(&gateway, &board, sys_connect(&gateway, &board, SYS_PLAIN));
    sys_must(&gateway, &board, sys_client_login(&board, device->token, GW_RESPONSE_OK));
    sys_must(&gateway, &board,
             sys_client_send_frame(&board, GW_FRAME_HARDWARE, 7, write, sizeof write - 1));
    sys_must(&gateway, &board, sys_client_ping(&board, 8));
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    ask(&c, device, "GET /external/api/get?token={T}&v1" END, &answer);
    assert_string_equal(answer.body, "76");
    four = with_token(
        "GET /external/api/update?token={T}&v1=77" END "GET /external/api/get?token={T}&v1" END
        "GET /external/api/update?token={T}&v1=78" END "GET /external/api/get?token={T}&v1" END,
        device->token);
    sys_must(&gateway, &c, sys_client_send(&c, four, strlen(four)));
    free(four);
    expect_answer(&c, 200, "");
    expect_answer(&c, 200, "77");
    expect_answer(&c, 200, "");
    expect_answer(&c, 200, "78");
    expect_type(&c, device, "GET /external/api/get?token={T}&v1" END,
                "\r\ncontent-type: text/plain;charset=utf-8\r\n");
    expect_type(&c, device, "GET /external/api/getAll?token={T}" END,
                "\r\ncontent-type: application/json;charset=utf-8\r\n");
    expect_type(&c, device, "GET /{T}/get/V1" END,
                "\r\ncontent-type: application/json;charset=utf-8\r\n");
    sys_client_close(&c);
    sys_client_close(&board);
}

/* Gives pins a thousand bytes each; what getAll says of them, but for the braces. Owned. */
static char *fill_pins(const struct sys_device *device, int from, int to)
{
    char *members = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&members, &bytes);
    struct sys_client c;

    assert_non_null(file);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    for (int pin = from; pin < to; pin++) {
        char *request = sys_text("GET /external/api/update?token={T}&v%d=x" THOUSAND END, pin);
        struct answer answer;

        ask(&c, device, request, &answer);
        assert_int_equal(answer.status, 200);
        free(request);
        (void)fprintf(file, "%s\"v%d\":\"x" THOUSAND "\"", pin > from ? "," : "", pin);
    }
    sys_client_close(&c);
    assert_int_equal(fclose(file), 0);
    return members;
}

/* Of several records and sends; one that would be too long is refused, and others come after it. */
static void a_long_answer_comes_whole(void **state)
{
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 5];
    char *members = fill_pins(device, 0, 60), *expected = sys_text("{%s}", members);
    char *length = sys_text("\r\ncontent-length: %zu\r\n", strlen(expected));
    struct answer answer;

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        ask(&c, device, "HEAD /external/api/getAll?token={T}" END, &answer);
        assert_non_null(strstr(answer.head, length));
        for (int i = 0; i < 3; i++) {
            ask(&c, device, "GET /external/api/getAll?token={T}" END, &answer);
            assert_string_equal(answer.body, expected);
        }
        sys_client_close(&c);
    }
    free(fill_pins(device, 60, 70));
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        ask(&c, device, "GET /external/api/getAll?token={T}" END, &answer);
        assert_string_equal(answer.body,
                            ERROR("The values are too long for one answer. Ask for fewer pins."));
        ask(&c, device, "GET /external/api/get?token={T}&v69" END, &answer);
        assert_int_equal(strlen(answer.body), 1001);
        sys_client_close(&c);
    }
    free(members);
    free(expected);
    free(length);
}

/* Last in its group: the gateway is started anew. */
static void without_last_values_nothing_is_read(void **state)
{
    struct sys_client c;
    struct answer answer;

    (void)state;
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, "values: { enabled = false; };\n");
    sys_gateway_start(&gateway);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    ask(&c, &devices[0], "GET /external/api/getAll?token={T}" END, &answer);
    assert_int_equal(answer.status, 501);
    assert_string_equal(answer.body, ERROR("This gateway keeps no last values."));
    ask(&c, &devices[0], "GET /external/api/update?token={T}&v1=1" END, &answer);
    assert_int_equal(answer.status, 200);
    sys_client_close(&c);
}

/* ---- batches ---- */

static char *batch_of(unsigned points, uint64_t first_ms, const char *token, const char *pin)
{
    char *body = NULL, *request;
    size_t bytes = 0;
    FILE *file = open_memstream(&body, &bytes);

    assert_non_null(file);
    (void)fputc('[', file);
    for (unsigned i = 0; i < points; i++)
        (void)fprintf(file, "%s[%llu,%u.5]", i > 0 ? "," : "", (unsigned long long)first_ms + i, i);
    (void)fputc(']', file);
    assert_int_equal(fclose(file), 0);
    request = sys_text("POST /external/api/batch/update?token=%s&pin=%s" JSON
                       "Content-Length: %zu\r\n\r\n%s",
                       token, pin, bytes, body);
    free(body);
    return request;
}

static uint64_t wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void ten_thousand_points_are_a_batch_and_one_more_is_none(void **state)
{
    enum { POINTS = 10000 };
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 2];
    uint64_t first_ms = wall_ms() - 3600000;
    char *request = batch_of(POINTS, first_ms, device->token, "V7");
    const struct sys_update *last = NULL;
    struct sys_client c;

    (void)state;
    for (int t = SYS_PLAIN; t <= SYS_TLS13; t += SYS_TLS13) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
        expect_answer(&c, 200, "");
        sys_client_close(&c);
    }
    free(request);
    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, &last),
                     2 * POINTS);
    assert_true(gw_bytes_are(last->record.value, "9999.5"));
    assert_true(last->record.time_us == (first_ms + POINTS - 1) * 1000);
    assert_int_equal(last->record.flags, GW_RECORD_FROM_HTTP | GW_RECORD_DEVICE_TIME);

    request = batch_of(POINTS + 1, first_ms, device->token, "V7");
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
    expect_answer(&c, 400, ERROR("Too much data in batch. Maximum batch size is 10000 points."));
    sys_client_close(&c);
    free(request);
    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, NULL),
                     2 * POINTS);
}

static void points_have_values_of_every_type(void **state)
{
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 3];
    unsigned long long ms = wall_ms();
    char *body =
        sys_text("[[%llu,\"a\"],[%llu, -2.5e3],[%llu,true],[%llu,[2.17,41.4]]]", ms, ms, ms, ms);
    char *request = sys_text("POST /external/api/batch/update?token=%s&pin=v8" JSON
                             "Content-Length: %zu\r\n\r\n%s",
                             device->token, strlen(body), body);
    char *legacy_body = sys_text("[{\"timestamp\":%llu,\"value\":\"x\"}]", ms);
    char *legacy = sys_text("PUT /%s/extra/pin/V8" JSON "Content-Length: %zu\r\n\r\n%s",
                            device->token, strlen(legacy_body), legacy_body);
    char *expected = sys_text("write v8 61 at %llu000; write v8 2d322e356533 at %llu000; "
                              "write v8 74727565 at %llu000; "
                              "write v8 322e31370034312e34 at %llu000; write v8 78 at %llu000",
                              ms, ms, ms, ms, ms);
    struct sys_client c;
    char *text;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS12));
    sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
    expect_answer(&c, 200, "");
    sys_must(&gateway, &c, sys_client_send(&c, legacy, strlen(legacy)));
    expect_answer(&c, 200, "");
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

/* ---- the device ---- */

/* `body` has | for NUL. */
static void expect_write(struct sys_client *board, const char *body)
{
    struct gw_frame frame;
    char seen[ANSWER_BYTES];

    sys_must(&gateway, board, sys_client_frame(board, &frame, sys_ms(SOON_MS)));
    assert_int_equal(frame.type, GW_FRAME_HARDWARE);
    assert_int_not_equal(frame.msg_id, 0);
    assert_true(frame.body.size < sizeof seen);
    for (size_t i = 0; i < frame.body.size; i++)
        seen[i] = frame.body.data[i] == 0 ? '|' : (char)frame.body.data[i];
    seen[frame.body.size] = '\0';
    assert_string_equal(seen, body);
}

static void must_answer_200(struct sys_client *c, const struct sys_device *device,
                            const char *request)
{
    struct answer answer;

    ask(c, device, request, &answer);
    sys_check(&gateway, answer.status == 200, "%s: %s%s", request, answer.head, answer.body);
}

/* How many were told of, delivered or not, grows by so much; they are counted a moment later. */
static void await_writes(const char *metric, double before, double by)
{
    for (int i = 0; i < SOON_MS / 20 && sys_metric(&gateway, metric) < before + by; i++)
        sys_pause_ms(20);
    assert_true(sys_metric(&gateway, metric) == before + by);
}

static void a_write_reaches_the_connected_device(void **state)
{
    static const char delivered[] = "tollgate_http_writes_delivered_total";
    static const char undelivered[] = "tollgate_http_writes_undelivered_total";
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 6];
    double were_delivered = sys_metric(&gateway, delivered);
    double were_undelivered;
    struct sys_client board, c;
    char *points;

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &board, sys_connect(&gateway, &board, (enum sys_transport)t));
        sys_must(&gateway, &board, sys_client_login(&board, device->token, GW_RESPONSE_OK));
        for (int i = 0; i < 8; i++) { /* the kernel deals connections to shards */
            sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
            must_answer_200(&c, device, "GET /external/api/update?token={T}&v1=5" END);
            expect_write(&board, "vw|1|5");
            must_answer_200(&c, device, "GET /external/api/update?token={T}&pin=d255&value=1" END);
            expect_write(&board, "dw|255|1");
            must_answer_200(&c, device, "GET /external/api/batch/update?token={T}&v2=a&a13=b" END);
            expect_write(&board, "vw|2|a");
            expect_write(&board, "aw|13|b");
            must_answer_200(&c, device,
                            "PUT /external/api/update/pin?token={T}&v3" JSON
                            "Content-Length: 9\r\n\r\n[\"8\",\"9\"]");
            expect_write(&board, "vw|3|8|9");
            must_answer_200(&c, device, "GET /{T}/update/V1?value=9" END);
            expect_write(&board, "vw|1|9");
            sys_client_close(&c);
        }
        sys_client_close(&board);
    }
    await_writes(delivered, were_delivered, SYS_TRANSPORTS * 8 * 6);

    /* What it does not get: what is too long for it, and what is no write to a pin of now. */
    were_undelivered = sys_metric(&gateway, undelivered);
    sys_must(&gateway, &board, sys_connect(&gateway, &board, SYS_TLS13));
    sys_must(&gateway, &board, sys_client_login(&board, device->token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    must_answer_200(&c, device, "GET /external/api/update?token={T}&v1=" THOUSAND END);
    await_writes(undelivered, were_undelivered, 1);
    points = batch_of(3, wall_ms(), device->token, "V7");
    must_answer_200(&c, device, points);
    free(points);
    must_answer_200(&c, device, "GET /external/api/update/property?token={T}&pin=v1&label=x" END);
    must_answer_200(&c, device, "GET /external/api/logEvent?token={T}&code=hot" END);
    must_answer_200(&c, device, "GET /external/api/update?token={T}&v1=last" END);
    expect_write(&board, "vw|1|last");
    sys_must(&gateway, &board, sys_client_ping(&board, 9));
    sys_client_close(&board);
    sys_client_close(&c);
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
    {"GET /external/api/logEvent?token={T}&code=hot" END, 200, "", "event hot "},
    {"GET /external/api/logEvent?token={T}&code=cold" END, 400,
     ERROR("Can't find Event with this code in Product template"), NULL},
};

static void ask_points(struct sys_client *c, const struct sys_device *device, const char *pin,
                       int status, const char *body)
{
    char *request = batch_of(3, wall_ms(), device->token, pin);
    struct answer answer;

    ask(c, device, request, &answer);
    sys_check(&gateway, answer.status == status && strcmp(answer.body, body) == 0, "%s: %s%s", pin,
              answer.head, answer.body);
    free(request);
}

static void what_a_product_has_binds_those_who_write(void **state)
{
    struct sys_device device;
    struct sys_client c;
    struct answer answer;
    char *expected = NULL, *text;
    size_t expected_bytes = 0, recorded = 0;
    FILE *file = open_memstream(&expected, &expected_bytes);

    (void)state;
    assert_non_null(file);
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", STRICT, "--org", "Test", "--plain",
                 NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STRICT, "V1", "--type", "int", "--max",
                 "100", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STRICT, "V2", "--type", "string",
                 NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STRICT, "V3", "--type", "location",
                 NULL));
    free(sys_ctl(&gateway, NULL, "product", "event", "add", STRICT, "hot", "--name", "Hot", NULL));
    sys_devices_add(&gateway, STRICT, &device, 1);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    for (size_t i = 0; i < GW_ARRAY_COUNT(strict_calls); i++) {
        ask(&c, &device, strict_calls[i].request, &answer);
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
    ask_points(&c, &device, "V1", 400, WRONG_VALUE);
    ask_points(&c, &device, "V4", 400, NO_STREAM);
    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, device.number);
    assert_string_equal(text, expected);
    ask_points(&c, &device, "V2", 200, "");
    sys_client_close(&c);
    free(text);
    free(expected);
}

/* ---- the disk ---- */

static void an_update_is_answered_when_it_is_on_disk(void **state)
{
    char *request = with_token("GET /external/api/update?token={T}&v1=durable" END,
                               devices[SYS_TRANSPORTS + 1].token);

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_disk_stall(&gateway);
        sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
        sys_must(&gateway, &c, sys_client_expect_silence(&c, 200));
        sys_disk_resume(&gateway);
        expect_answer(&c, 200, "");
        sys_client_close(&c);
    }
    free(request);
}

/* While the log takes nothing more, who comes is told to come again, and what was taken is kept. */
static void a_full_lane_is_told_and_nothing_taken_is_lost(void **state)
{
    enum { CONNECTIONS = 12, POINTS = 9000 };
    const struct sys_device *device = &devices[SYS_TRANSPORTS + 2];
    char *batch = batch_of(POINTS, wall_ms(), device->token, "V7");
    struct sys_client clients[CONNECTIONS];
    size_t before, taken = 0, refused = 0;

    (void)state;
    sys_updates_read(&gateway, &updates);
    before = sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, NULL);
    sys_disk_stall(&gateway);
    for (int i = 0; i < CONNECTIONS; i++) {
        sys_must(&gateway, &clients[i], sys_connect(&gateway, &clients[i], SYS_PLAIN));
        sys_must(&gateway, &clients[i], sys_client_send(&clients[i], batch, strlen(batch)));
    }
    for (uint64_t until = sys_now_ms() + sys_ms(500); sys_now_ms() < until;)
        for (int i = 0; i < CONNECTIONS; i++)
            (void)sys_client_receive(&clients[i], 5);
    sys_disk_resume(&gateway);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct answer answer;

        read_answer(&clients[i], &answer, false);
        if (answer.status == 200) {
            taken++;
        } else {
            assert_int_equal(answer.status, 503);
            assert_non_null(strstr(answer.head, "\r\nretry-after: "));
            refused++;
        }
        sys_client_close(&clients[i]);
    }
    assert_true(taken > 0 && refused > 0);
    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, NULL),
                     before + taken * POINTS);
    free(batch);
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
    assert_true(lines >= 14);
    free(page);
}

static const struct sys_gateway_options options = {
    .shards = 2, .slow_disk = true, .debug = true, .config = "rate: { burst = 100000; };\n"};

static int start(void **state)
{
    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_devices_add(&gateway, SYS_PRODUCT, devices, GW_ARRAY_COUNT(devices));
    sys_gateway_start(&gateway);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (gateway.pid != 0)
        sys_gateway_stop(&gateway);
    sys_updates_release(&updates);
    sys_gateway_destroy(&gateway);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_endpoint_answers_as_documented),
        cmocka_unit_test(records_name_their_origin),
        cmocka_unit_test(malformed_requests_are_refused_and_closed),
        cmocka_unit_test(a_get_with_a_body_is_refused_and_closed),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(a_body_that_waits_to_be_asked_for_is_asked_for),
        cmocka_unit_test(a_connected_device_is_seen_from_everywhere),
        cmocka_unit_test(a_reader_sees_what_was_acknowledged),
        cmocka_unit_test(a_long_answer_comes_whole),
        cmocka_unit_test(ten_thousand_points_are_a_batch_and_one_more_is_none),
        cmocka_unit_test(points_have_values_of_every_type),
        cmocka_unit_test(a_write_reaches_the_connected_device),
        cmocka_unit_test(what_a_product_has_binds_those_who_write),
        cmocka_unit_test(an_update_is_answered_when_it_is_on_disk),
        cmocka_unit_test(a_full_lane_is_told_and_nothing_taken_is_lost),
        cmocka_unit_test(no_token_stands_in_the_log),
        cmocka_unit_test(every_curl_line_of_the_documentation_works),
        cmocka_unit_test(without_last_values_nothing_is_read),
    };

    return cmocka_run_group_tests_name("http", tests, start, stop);
}
