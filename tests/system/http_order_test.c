/*
 * Connections of the real process that speak HTTP: answers come in the order of the requests and
 * only for what is on disk, however the bytes were cut; what is malformed ends the connection.
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
#include "http_cases.h"
#include "http_client.h"

static struct sys_gateway gateway;
static struct sys_device devices[2];
static struct sys_updates updates;

static void malformed_requests_are_refused_and_closed(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(http_cases); i++) {
        const struct http_case *item = &http_cases[i];
        struct http_answer answer;
        struct sys_client c;
        char *good = http_with_token("GET /external/api/isHardwareConnected?token={T}" END,
                                     devices[0].token);

        /* Behind a good one: what a stranger says first may be no HTTP at all. */
        sys_must(&gateway, &c, sys_connect(&gateway, &c, i % 8 == 0 ? SYS_TLS13 : SYS_PLAIN));
        sys_must(&gateway, &c, sys_client_send(&c, good, strlen(good)));
        http_expect(&gateway, &c, 200, "false");
        sys_must(&gateway, &c, sys_client_send(&c, item->bytes, item->size));
        http_read(&gateway, &c, &answer, false);
        sys_check(&gateway, answer.status == gw_http_fault_status(item->fault), "case %zu: %s", i,
                  answer.head);
        assert_non_null(strstr(answer.head, "\r\nconnection: close\r\n"));
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(HTTP_SOON_MS)));
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
    http_expect(&gateway, &c, 400, ERROR("A GET has no body."));
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(HTTP_SOON_MS)));
    sys_client_close(&c);
}

/* G74: the first byte decides, on whichever listener. */
static void devices_and_http_share_each_port(void **state)
{
    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client board, c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &board, sys_connect(&gateway, &board, (enum sys_transport)t));
        sys_must(&gateway, &board, sys_client_login(&board, devices[1].token, GW_RESPONSE_OK));
        http_must(&gateway, &c, &devices[1], "GET /external/api/isHardwareConnected?token={T}" END,
                  200, "true");
        sys_client_close(&board);
        sys_client_close(&c);
    }
}

/* T11, and more: updates and questions in one piece; answers come in the order of the requests. */
static void pipelined_requests_are_answered_in_order(void **state)
{
    enum { ROUNDS = 12 };
    struct sys_device *device = &devices[0];

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
        text = http_with_token(all, device->token);
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_send(&c, text, strlen(text)));
        for (int i = 0; i < ROUNDS; i++) {
            http_expect(&gateway, &c, 200, "");
            http_expect(&gateway, &c, 200, "");
            http_expect(&gateway, &c, 200, "false");
            http_expect(&gateway, &c, 404, NOTHING_THERE);
        }
        http_expect(&gateway, &c, 200, "");
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(HTTP_SOON_MS)));
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
        char *text = http_with_token(request, devices[1].token);
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_dribble(&c, text, strlen(text)));
        http_expect(&gateway, &c, 200, "");
        sys_client_close(&c);
        free(text);
    }
}

static void a_body_that_waits_to_be_asked_for_is_asked_for(void **state)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct sys_device *device = &devices[1];
    struct sys_client c;
    char *head = http_with_token("PUT /external/api/update/pin?token={T}&v9" JSON
                                 "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                                 device->token);

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        for (int twice = 0; twice < 2; twice++) {
            sys_must(&gateway, &c, sys_client_send(&c, head, strlen(head)));
            sys_must(&gateway, &c,
                     sys_client_expect(&c, go_on, sizeof go_on - 1, sys_ms(HTTP_SOON_MS)));
            sys_must(&gateway, &c, sys_client_send(&c, "[\"1\"]", 5));
            http_expect(&gateway, &c, 200, "");
        }
        sys_client_close(&c);
    }
    free(head);
    /* Who has no token need not send the body. */
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    head = http_with_token("PUT /external/api/update/pin?token=" UNKNOWN "&v9" JSON
                           "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                           "");
    sys_must(&gateway, &c, sys_client_send(&c, head, strlen(head)));
    http_expect(&gateway, &c, 400, INVALID_TOKEN);
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(HTTP_SOON_MS)));
    sys_client_close(&c);
    free(head);
}

static void an_update_is_answered_when_it_is_on_disk(void **state)
{
    char *request =
        http_with_token("GET /external/api/update?token={T}&v1=durable" END, devices[1].token);

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_disk_stall(&gateway);
        sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
        sys_must(&gateway, &c, sys_client_expect_silence(&c, 200));
        sys_disk_resume(&gateway);
        http_expect(&gateway, &c, 200, "");
        sys_client_close(&c);
    }
    free(request);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "http order",
        .gateway = &gateway,
        .options = {.shards = 2, .slow_disk = true, .config = "rate: { burst = 100000; };\n"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .updates = &updates,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_requests_are_refused_and_closed),
        cmocka_unit_test(a_get_with_a_body_is_refused_and_closed),
        cmocka_unit_test(devices_and_http_share_each_port),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(a_body_that_waits_to_be_asked_for_is_asked_for),
        cmocka_unit_test(an_update_is_answered_when_it_is_on_disk),
    };

    return SYS_GROUP_RUN(&group, tests);
}
