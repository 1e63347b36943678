#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <gw/base/defs.h>

#include "dialect.h"

static const struct swarm_dialect *const http = &swarm_dialect_http;

static void a_question_is_a_whole_request(void **state)
{
    static const char expected[] = "GET /external/api/isHardwareConnected?token="
                                   "0123456789abcdefghijklmnopqrstuv HTTP/1.1\r\n"
                                   "Host: gateway\r\n\r\n";
    struct swarm_speaker who = {.token = gw_bytes_text("0123456789abcdefghijklmnopqrstuv")};
    uint8_t out[SWARM_WRITE_BYTES_MAX];

    (void)state;
    assert_int_equal(http->put_login(out, sizeof out, &who), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
    assert_int_equal(http->put_ping(out, sizeof out, 9, &who), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void answers_are_responses_at_every_cut(void **state)
{
    static const struct {
        const char *text;
        uint16_t status;
    } answers[] = {
        {"HTTP/1.1 200 OK\r\ndate: x\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nfalse",
         GW_RESPONSE_OK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", GW_RESPONSE_OK},
        {"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}", GW_RESPONSE_INVALID_TOKEN},
        {"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n{}", GW_RESPONSE_NOT_ALLOWED},
        {"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", GW_RESPONSE_ILLEGAL_COMMAND},
        {"HTTP/1.1 429 Too Many\r\ncontent-length: 2\r\n\r\n{}", GW_RESPONSE_QUOTA_LIMIT},
        {"HTTP/1.1 503 Later\r\ncontent-length: 2\r\n\r\n{}", GW_RESPONSE_SERVER_EXCEPTION},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(answers); i++) {
        const size_t size = strlen(answers[i].text);
        struct gw_frame frame;
        size_t used = 99;

        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(http->decode(gw_bytes_of(answers[i].text, cut), &frame, &used),
                             GW_MORE);
            assert_int_equal(used, 0);
        }
        assert_int_equal(http->decode(gw_bytes_of(answers[i].text, size), &frame, &used), GW_OK);
        assert_int_equal(used, size);
        assert_int_equal(frame.type, GW_FRAME_RESPONSE);
        assert_int_equal(frame.msg_id, SWARM_LOGIN_ID);
        assert_int_equal(frame.msg_id, http->ping_id);
        assert_int_equal(frame.status, answers[i].status);
    }
}

static void what_is_no_answer_is_refused(void **state)
{
    static const char *const others[] = {
        "\x00",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", /* longer than a frame may be */
        "HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n",
    };
    static uint8_t endless[SWARM_BODY_BYTES_MAX];
    struct gw_frame frame;
    size_t used;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(others); i++)
        assert_int_equal(
            http->decode(gw_bytes_of(others[i], i == 0 ? 1 : strlen(others[i])), &frame, &used),
            GW_BAD_FRAME);
    memset(endless, 'x', sizeof endless);
    (void)snprintf((char *)endless, sizeof endless, "HTTP/1.1 ");
    endless[9] = 'x';
    assert_int_equal(http->decode(gw_bytes_of(endless, sizeof endless - 1), &frame, &used),
                     GW_MORE);
    assert_int_equal(http->decode(gw_bytes_of(endless, sizeof endless), &frame, &used),
                     GW_BAD_FRAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_a_whole_request),
        cmocka_unit_test(answers_are_responses_at_every_cut),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
