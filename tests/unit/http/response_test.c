/*
 * Responses, byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <gw/http/response.h>

/* RFC 9110 5.6.7's own example. */
enum { EXAMPLE_S = 784111777 };
#define EXAMPLE_DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define PRIVATE      "cache-control: no-store\r\nreferrer-policy: no-referrer\r\n"

static const struct {
    struct gw_http_response response;
    const char *bytes;
} cases[] = {
    {{.status = 200, .keep_alive = true, .date_s = EXAMPLE_S},
     "HTTP/1.1 200 OK\r\ndate: " EXAMPLE_DATE
     "\r\ncontent-length: 0\r\nconnection: keep-alive\r\n" PRIVATE "\r\n"},
    {{.status = 405,
      .date_s = EXAMPLE_S,
      .content_type = "text/plain",
      .body = {(const uint8_t *)"no", 2},
      .allow = "GET"},
     "HTTP/1.1 405 Method Not Allowed\r\ndate: " EXAMPLE_DATE
     "\r\ncontent-type: text/plain\r\ncontent-length: 2\r\nconnection: close\r\n" PRIVATE
     "allow: GET\r\n\r\nno"},
    {{.status = 503,
      .head_only = true,
      .date_s = EXAMPLE_S,
      .content_type = "text/plain",
      .body = {(const uint8_t *)"later", 5},
      .retry_after_s = 5},
     "HTTP/1.1 503 Service Unavailable\r\ndate: " EXAMPLE_DATE
     "\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n" PRIVATE
     "retry-after: 5\r\n\r\n"},
    {{.status = 426, .keep_alive = true, .date_s = EXAMPLE_S},
     "HTTP/1.1 426 Upgrade Required\r\ndate: " EXAMPLE_DATE
     "\r\ncontent-length: 0\r\nconnection: upgrade, keep-alive\r\nupgrade: websocket\r\n"
     "sec-websocket-version: 13\r\n" PRIVATE "\r\n"},
    {{.status = 204,
      .keep_alive = true,
      .date_s = EXAMPLE_S,
      .cors_origin = "*",
      .preflight = true},
     "HTTP/1.1 204 No Content\r\ndate: " EXAMPLE_DATE "\r\nconnection: keep-alive\r\n" PRIVATE
     "access-control-allow-origin: *\r\naccess-control-allow-methods: GET, HEAD, POST, PUT\r\n"
     "access-control-allow-headers: authorization, content-type\r\n"
     "access-control-max-age: 86400\r\n\r\n"},
};

static void responses_are_these_bytes_and_fit_or_are_none(void **state)
{
    uint8_t out[1024];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        size_t size = strlen(cases[i].bytes);

        assert_int_equal(gw_http_response_write(out, sizeof out, &cases[i].response), size);
        assert_memory_equal(out, cases[i].bytes, size);
        for (size_t capacity = 0; capacity < size; capacity++)
            assert_int_equal(gw_http_response_write(out, capacity, &cases[i].response), 0);
    }
}

static void the_largest_head_is_within_what_is_promised(void **state)
{
    char origin[GW_HTTP_ORIGIN_BYTES_MAX + 1];
    struct gw_http_response response = {.status = 431,
                                        .content_type = "application/json;charset=utf-8",
                                        .allow = "GET, HEAD, POST, PUT",
                                        .retry_after_s = UINT32_MAX,
                                        .cors_origin = origin,
                                        .preflight = true};
    uint8_t out[GW_HTTP_RESPONSE_HEAD_BYTES];

    (void)state;
    memset(origin, 'o', sizeof origin - 1);
    origin[sizeof origin - 1] = '\0';
    assert_true(gw_http_response_write(out, sizeof out, &response) > 0);
}

static void dates_are_those_of_the_calendar(void **state)
{
    static const struct {
        uint64_t unix_s;
        const char *text;
    } dates[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {EXAMPLE_S, EXAMPLE_DATE},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    char out[GW_HTTP_DATE_BYTES];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(dates); i++) {
        gw_http_date(dates[i].unix_s, out);
        assert_string_equal(out, dates[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_are_these_bytes_and_fit_or_are_none),
        cmocka_unit_test(the_largest_head_is_within_what_is_promised),
        cmocka_unit_test(dates_are_those_of_the_calendar),
    };

    return cmocka_run_group_tests_name("http response", tests, NULL, NULL);
}
