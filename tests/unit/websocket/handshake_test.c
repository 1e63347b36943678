/*
 * Requests for a WebSocket: which are, and the answer of the RFC's own example.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <gw/base/defs.h>
#include <gw/websocket/handshake.h>

static const struct gw_http_limits limits = {
    .head_bytes_max = 1024, .headers_max = 16, .body_bytes_max = 16, .chunked_bytes_max = 16};

static struct gw_http_request read_head(const char *text)
{
    struct gw_http_request request;

    assert_int_equal(gw_http_head_read(gw_bytes_text(text), &limits, &request), GW_OK);
    return request;
}

#define GET     "GET /websocket HTTP/1.1\r\nHost: a\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void a_request_is_judged_by_its_fields(void **state)
{
    static const struct {
        const char *head;
        uint16_t status;
    } rows[] = {
        {GET UPGRADE VERSION KEY "\r\n", 101},
        {GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: mqtt\r\nOrigin: null\r\n"
                                 "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         101},
        {GET "Upgrade: h2c, WebSocket\r\nConnection: keep-alive, UPGRADE\r\n" VERSION KEY "\r\n",
         101},
        {GET "\r\n", 426},
        {GET VERSION KEY "Connection: Upgrade\r\n\r\n", 426},
        {GET VERSION KEY "Connection: Upgrade\r\nUpgrade: websockets\r\n\r\n", 426},
        {GET VERSION KEY "Upgrade: websocket\r\n\r\n", 400},
        {GET UPGRADE KEY "\r\n", 426},
        {GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n", 426},
        {GET UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n", 426},
        {GET UPGRADE VERSION "\r\n", 400},
        {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", 400},
        {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ-_\r\n\r\n", 400},
        {GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25-ZQ==\r\n\r\n", 400},
        {"GET /websocket HTTP/1.0\r\n" UPGRADE VERSION KEY "\r\n", 426},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_http_request request = read_head(rows[i].head);
        const char *message = NULL;
        uint16_t status = gw_websocket_judge(&request, &message);

        if (status != rows[i].status)
            fail_msg("row %zu: %u, not %u", i, status, rows[i].status);
        assert_non_null(message);
        assert_true(status == 101 || strlen(message) > 0);
    }
}

static void it_is_asked_for_where_devices_are_served(void **state)
{
    static const struct {
        const char *head;
        bool is_for;
    } rows[] = {
        {"GET /websocket HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET /websockets HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET /websocket/device?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET /websocke HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"GET /dashws HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"HEAD /websocket HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_http_request request = read_head(rows[i].head);

        assert_int_equal(gw_websocket_is_for(&request), rows[i].is_for);
    }
}

static void the_answer_proves_that_the_key_was_read(void **state)
{
    struct gw_http_request request = read_head(GET UPGRADE VERSION KEY "\r\n");
    char out[GW_WEBSOCKET_SWITCH_BYTES_MAX + 1];

    (void)state;
    out[gw_websocket_switch(&request, (uint8_t *)out)] = '\0';
    assert_string_equal(out, "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                             "connection: upgrade\r\n"
                             "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_judged_by_its_fields),
        cmocka_unit_test(it_is_asked_for_where_devices_are_served),
        cmocka_unit_test(the_answer_proves_that_the_key_was_read),
    };

    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
