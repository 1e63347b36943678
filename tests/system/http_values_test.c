/*
 * What HTTP reads and where its writes go, in the real process: last values, whether a device is
 * connected, and the device that gets what was written to it.
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
#include "mfln_client.h"

static struct sys_gateway gateway;
static struct sys_device devices[6];

/* Whichever shard it is on, and whichever shard is asked. */
static void a_connected_device_is_seen_from_everywhere(void **state)
{
    enum { LOOKS = 16 };

    (void)state;
    for (size_t d = 0; d < 2; d++) {
        struct sys_client device, c;
        struct http_answer answer;

        sys_must(&gateway, &device, sys_connect(&gateway, &device, SYS_TLS13));
        sys_must(&gateway, &device, sys_client_login(&device, devices[d].token, GW_RESPONSE_OK));
        for (int i = 0; i < LOOKS; i++) { /* the kernel deals connections to shards */
            sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
            http_ask(&gateway, &c, &devices[d],
                     "GET /external/api/isHardwareConnected?token={T}" END, &answer);
            assert_string_equal(answer.body, "true");
            http_ask(&gateway, &c, &devices[d], "GET /{T}/isHardwareConnected" END, &answer);
            assert_string_equal(answer.body, "true");
            sys_client_close(&c);
        }
        sys_client_close(&device);
        for (int i = 0; i < HTTP_SOON_MS / 20; i++) {
            sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
            http_ask(&gateway, &c, &devices[d],
                     "GET /external/api/isHardwareConnected?token={T}" END, &answer);
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
    struct http_answer answer;

    http_ask(&gateway, c, device, request, &answer);
    assert_int_equal(answer.status, 200);
    sys_check(&gateway, strstr(answer.head, type) != NULL, "no %s in %s", type, answer.head);
}

/* Written as the device protocol does it, and by requests in front of the question. */
static void a_reader_sees_what_was_acknowledged(void **state)
{
    static const char write[] = "vw\0"
                                "1\0"
                                "76";
    const struct sys_device *device = &devices[2];
    struct sys_client board, c;
    struct http_answer answer;
    char *four;

    (void)state;
    sys_must(&gateway, &board, sys_connect(&gateway, &board, SYS_PLAIN));
    sys_must(&gateway, &board, sys_client_login(&board, device->token, GW_RESPONSE_OK));
    sys_must(&gateway, &board,
             sys_client_send_frame(&board, GW_FRAME_HARDWARE, 7, write, sizeof write - 1));
    sys_must(&gateway, &board, sys_client_ping(&board, 8));
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    http_ask(&gateway, &c, device, "GET /external/api/get?token={T}&v1" END, &answer);
    assert_string_equal(answer.body, "76");
    four = http_with_token(
        "GET /external/api/update?token={T}&v1=77" END "GET /external/api/get?token={T}&v1" END
        "GET /external/api/update?token={T}&v1=78" END "GET /external/api/get?token={T}&v1" END,
        device->token);
    sys_must(&gateway, &c, sys_client_send(&c, four, strlen(four)));
    free(four);
    http_expect(&gateway, &c, 200, "");
    http_expect(&gateway, &c, 200, "77");
    http_expect(&gateway, &c, 200, "");
    http_expect(&gateway, &c, 200, "78");
    expect_type(&c, device, "GET /external/api/get?token={T}&v1" END,
                "\r\ncontent-type: text/plain;charset=utf-8\r\n");
    expect_type(&c, device, "GET /external/api/getAll?token={T}" END,
                "\r\ncontent-type: application/json;charset=utf-8\r\n");
    expect_type(&c, device, "GET /{T}/get/V1" END,
                "\r\ncontent-type: application/json;charset=utf-8\r\n");
    sys_client_close(&c);
    sys_client_close(&board);
}

static void a_pin_has_its_initial_value_until_it_is_written(void **state)
{
    struct sys_device device;
    struct sys_client c;

    (void)state;
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLinitial", "--org", "Test",
                 "--plain", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", "TMPLinitial", "V1", "--type", "int",
                 "--default", "5", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", "TMPLinitial", "V2", "--type",
                 "location", "--default", "2.17,41.40", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", "TMPLinitial", "V3", "--type",
                 "string", NULL));
    sys_devices_add(&gateway, "TMPLinitial", &device, 1);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    http_must(&gateway, &c, &device, "GET /external/api/get?token={T}&v1" END, 200, "5");
    http_must(&gateway, &c, &device, "GET /{T}/get/V1" END, 200, "[\"5\"]");
    http_must(&gateway, &c, &device, "GET /external/api/get?token={T}&v2" END, 200, "[2.17,41.40]");
    http_must(&gateway, &c, &device, "GET /external/api/get?token={T}&v3" END, 400, NO_VALUE);
    http_must(&gateway, &c, &device, "GET /external/api/getAll?token={T}" END, 200,
              "{\"v1\":5,\"v2\":[2.17,41.40]}");
    http_must(&gateway, &c, &device, "GET /external/api/update?token={T}&v1=6" END, 200, "");
    http_must(&gateway, &c, &device, "GET /external/api/update?token={T}&v3=7" END, 200, "");
    http_must(&gateway, &c, &device, "GET /external/api/get?token={T}&v3&v2&v1" END, 200,
              "{\"v3\":\"7\",\"v2\":[2.17,41.40],\"v1\":6}");
    http_must(&gateway, &c, &device, "GET /external/api/getAll?token={T}" END, 200,
              "{\"v1\":6,\"v2\":[2.17,41.40],\"v3\":\"7\"}");
    sys_client_close(&c);
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
        struct http_answer answer;

        http_ask(&gateway, &c, device, request, &answer);
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
    const struct sys_device *device = &devices[3];
    char *members = fill_pins(device, 0, 60), *expected = sys_text("{%s}", members);
    char *length = sys_text("\r\ncontent-length: %zu\r\n", strlen(expected));
    struct http_answer answer;

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        http_ask(&gateway, &c, device, "HEAD /external/api/getAll?token={T}" END, &answer);
        assert_non_null(strstr(answer.head, length));
        for (int i = 0; i < 3; i++) {
            http_ask(&gateway, &c, device, "GET /external/api/getAll?token={T}" END, &answer);
            assert_string_equal(answer.body, expected);
        }
        sys_client_close(&c);
    }
    free(fill_pins(device, 60, 70));
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        http_ask(&gateway, &c, device, "GET /external/api/getAll?token={T}" END, &answer);
        assert_string_equal(answer.body,
                            ERROR("The values are too long for one answer. Ask for fewer pins."));
        http_ask(&gateway, &c, device, "GET /external/api/get?token={T}&v69" END, &answer);
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
    char *number = sys_text("%u", devices[2].number), *printed;
    struct sys_client c;
    struct http_answer answer;

    (void)state;
    sys_gateway_stop(&gateway);
    printed = sys_ctl(&gateway, NULL, "values", number, NULL); /* what it kept until then */
    sys_check(&gateway, strstr(printed, "  V1 (http) = 78\n") != NULL, "tollgatectl: %s", printed);
    free(printed);
    free(number);
    sys_gateway_configure(&gateway, "values: { enabled = false; };\n");
    sys_gateway_start(&gateway);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    http_ask(&gateway, &c, &devices[0], "GET /external/api/getAll?token={T}" END, &answer);
    assert_int_equal(answer.status, 501);
    assert_string_equal(answer.body, ERROR("This gateway keeps no last values."));
    http_ask(&gateway, &c, &devices[0], "GET /external/api/update?token={T}&v1=1" END, &answer);
    assert_int_equal(answer.status, 200);
    sys_client_close(&c);
}

/* ---- the device ---- */

/* `body` has | for NUL. */
static void expect_write(struct sys_client *board, const char *body)
{
    struct gw_frame frame;
    char seen[HTTP_ANSWER_BYTES];

    sys_must(&gateway, board, sys_client_frame(board, &frame, sys_ms(HTTP_SOON_MS)));
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
    struct http_answer answer;

    http_ask(&gateway, c, device, request, &answer);
    sys_check(&gateway, answer.status == 200, "%s: %s%s", request, answer.head, answer.body);
}

/* How many were told of, delivered or not, grows by so much; they are counted a moment later. */
static void await_writes(const char *metric, double before, double by)
{
    for (int i = 0; i < HTTP_SOON_MS / 20 && sys_metric(&gateway, metric) < before + by; i++)
        sys_pause_ms(20);
    assert_true(sys_metric(&gateway, metric) == before + by);
}

static void a_write_reaches_the_connected_device(void **state)
{
    static const char delivered[] = "tollgate_http_writes_delivered_total";
    static const char undelivered[] = "tollgate_http_writes_undelivered_total";
    const struct sys_device *device = &devices[4];
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
    points = http_batch(3, http_wall_ms(), device->token, "pin=V7");
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

/*
 * T10: an ESP8266's TLS has buffers of 2048 and 512 bytes. It tells its buff-in and asks for all it
 * has: a hundred updates come down in one go.
 */
static void a_small_board_takes_a_hundred_updates(void **state)
{
    enum { PINS = 100, VALUE = 120, RECORD_BYTES_MAX = 512 + 24 };
    static const uint8_t questions[] = "\x11\0\x02\0\x16ver\0001.4.0\0buff-in\0001024"
                                       "\x10\0\x03\0\0";
    const struct sys_device *device = &devices[5];
    size_t answer_bytes = 5;
    struct mfln_report report;
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    for (int pin = 0; pin < PINS; pin++) {
        char *request =
            sys_text("GET /external/api/update?token={T}&v%d=%0*d" END, pin, VALUE, pin);

        http_must(&gateway, &c, device, request, 200, "");
        free(request);
        /* header, "vw", NUL, the pin's digits, NUL, the value */
        answer_bytes += 5 + 3 + (pin < 10 ? 1 : 2) + 1 + VALUE;
    }
    sys_client_close(&c);
    if (!mfln_client_run(gateway.tls_port, device->token, questions, sizeof questions - 1,
                         answer_bytes, &report))
        sys_fail(&gateway, __FILE__, __LINE__, "%s", report.failure);
    assert_int_equal(report.answer_bytes, answer_bytes);
    assert_in_range(report.record_bytes_max, VALUE, RECORD_BYTES_MAX);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "http values",
        .gateway = &gateway,
        .options = {.shards = 2, .config = "rate: { burst = 100000; };\n"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connected_device_is_seen_from_everywhere),
        cmocka_unit_test(a_reader_sees_what_was_acknowledged),
        cmocka_unit_test(a_pin_has_its_initial_value_until_it_is_written),
        cmocka_unit_test(a_long_answer_comes_whole),
        cmocka_unit_test(a_write_reaches_the_connected_device),
        cmocka_unit_test(a_small_board_takes_a_hundred_updates),
        cmocka_unit_test(without_last_values_nothing_is_read),
    };

    return SYS_GROUP_RUN(&group, tests);
}
