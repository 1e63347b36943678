/*
 * Requests: what is refused and for what, what is taken and as what, and that neither depends on
 * where the stream was cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/http/request.h>

#include "../../system/http_cases.h"

static const struct gw_http_limits limits = {.head_bytes_max = CASE_HEAD_BYTES_MAX,
                                             .headers_max = CASE_HEADERS_MAX,
                                             .body_bytes_max = CASE_BODY_BYTES_MAX,
                                             .chunked_bytes_max = CASE_CHUNKED_BYTES_MAX};
static uint8_t room[CASE_CHUNKED_BYTES_MAX];

struct answer {
    enum gw_status status;
    enum gw_http_fault fault;
    struct gw_http_request request;
    struct gw_http_body body;
    size_t used;
};

/* Head and body, from memory of exactly that size. */
static struct answer read_exact(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    struct answer answer = {.used = 0};
    struct gw_bytes in = gw_bytes_of(exact, size);

    assert_non_null(exact);
    memcpy(exact, bytes, size);
    answer.status = gw_http_head_read(in, &limits, &answer.request);
    answer.fault = answer.request.fault;
    if (answer.status == GW_OK) {
        answer.status = gw_http_body_read(gw_bytes_after(in, answer.request.head_bytes),
                                          &answer.request, &limits, room, &answer.body);
        answer.fault = answer.body.fault;
        answer.used = answer.request.head_bytes + answer.body.used;
        if (answer.status == GW_MORE)
            assert_true(answer.body.need > size - answer.request.head_bytes);
    }
    free(exact);
    return answer;
}

static void what_is_malformed_is_refused_for_its_fault(void **state)
{
    (void)state;
    assert_true(GW_ARRAY_COUNT(http_cases) >= 150);
    for (size_t i = 0; i < GW_ARRAY_COUNT(http_cases); i++) {
        const struct http_case *item = &http_cases[i];
        struct answer answer = read_exact((const uint8_t *)item->bytes, item->size);

        if (answer.status != GW_BAD_FRAME || answer.fault != item->fault)
            fail_msg("case %zu: status %d fault %d, not %d:\n%.200s", i, answer.status,
                     answer.fault, item->fault, item->bytes);
        assert_true(gw_http_fault_status(answer.fault) >= 400);
        assert_true(strlen(gw_http_fault_text(answer.fault)) > 0);
    }
}

/* A prefix is not yet refused, or for the same; and once it is, so is everything longer. */
static void a_cut_never_changes_the_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(http_cases); i++) {
        const struct http_case *item = &http_cases[i];
        bool refused = false;

        for (size_t cut = 0; cut <= item->size; cut++) {
            struct answer answer = read_exact((const uint8_t *)item->bytes, cut);

            if (answer.status == GW_OK || (refused && answer.status != GW_BAD_FRAME) ||
                (answer.status == GW_BAD_FRAME && answer.fault != item->fault))
                fail_msg("case %zu cut at %zu: status %d fault %d", i, cut, answer.status,
                         answer.fault);
            refused = answer.status == GW_BAD_FRAME;
        }
    }
}

#define HOST "Host: h\r\n"

static const struct {
    const char *bytes, *path, *query, *body;
    enum gw_http_method method;
    uint8_t minor;
    bool keep_alive;
} good[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", "/", "", "", GW_HTTP_GET, 1, true},
    {"\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "/", "", "", GW_HTTP_GET, 1, true},
    {"HEAD /a?b=c&d HTTP/1.1\r\n" HOST "\r\n", "/a", "b=c&d", "", GW_HTTP_HEAD, 1, true},
    {"GET /a??b?c HTTP/1.1\r\n" HOST "\r\n", "/a", "?b?c", "", GW_HTTP_GET, 1, true},
    {"GET //a/../b%2f HTTP/1.1\r\n" HOST "\r\n", "//a/../b%2f", "", "", GW_HTTP_GET, 1, true},
    {"GET http://h HTTP/1.1\r\n" HOST "\r\n", "/", "", "", GW_HTTP_GET, 1, true},
    {"GET HTTPS://H/x?y HTTP/1.1\r\n" HOST "\r\n", "/x", "y", "", GW_HTTP_GET, 1, true},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "*", "", "", GW_HTTP_OPTIONS, 1, true},
    {"BREW /pot HTTP/1.1\r\n" HOST "\r\n", "/pot", "", "", GW_HTTP_OTHER, 1, true},
    {"get / HTTP/1.1\r\n" HOST "\r\n", "/", "", "", GW_HTTP_OTHER, 1, true},
    {"GET / HTTP/1.9\r\n" HOST "\r\n", "/", "", "", GW_HTTP_GET, 1, true},
    {"GET / HTTP/1.0\r\n\r\n", "/", "", "", GW_HTTP_GET, 0, false},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/", "", "", GW_HTTP_GET, 0, true},
    {"GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n", "/", "", "", GW_HTTP_GET, 0, false},
    {"GET / HTTP/1.1\r\n" HOST "Connection: x,\tCLOSE ,y\r\n\r\n", "/", "", "", GW_HTTP_GET, 1,
     false},
    {"GET / HTTP/1.1\r\n" HOST "Connection: a\r\nConnection: close\r\n\r\n", "/", "", "",
     GW_HTTP_GET, 1, false},
    {"GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", "/", "", "", GW_HTTP_GET, 1, true},
    {"GET / HTTP/1.1\r\nhOsT:h\r\nA:\r\nB: \t\x80 c\td \t\r\n\r\n", "/", "", "", GW_HTTP_GET, 1,
     true},
    {"GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "/", "", "", GW_HTTP_GET, 1, true},
    {"GET / HTTP/1.1\r\nHost: a-b.c_d:\r\n\r\n", "/", "", "", GW_HTTP_GET, 1, true},
    {"PUT /p HTTP/1.1\r\n" HOST "Content-Length: 005\r\n\r\nhello", "/p", "", "hello", GW_HTTP_PUT,
     1, true},
    {"POST /p HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "/p", "", "", GW_HTTP_POST, 1, true},
    {"POST /p HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
     "5\r\nhello\r\n00000001;a=\"b c\"\r\n \r\nA\r\nworld, all\r\n0;x\r\nTrailer: 1\r\nHosts: z\r\n"
     "Content-Lengths: 9\r\n\r\n",
     "/p", "", "hello world, all", GW_HTTP_POST, 1, true},
    {"POST /p HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "/p", "", "",
     GW_HTTP_POST, 1, true},
};

static void what_is_well_formed_is_taken_whole_and_only_then(void **state)
{
    static const char behind[] = "GET /next HTTP/1.1\r\n";

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(good); i++) {
        size_t size = strlen(good[i].bytes);
        uint8_t bytes[1024];

        memcpy(bytes, good[i].bytes, size);
        memcpy(bytes + size, behind, sizeof behind);
        for (size_t cut = 0; cut <= size + sizeof behind; cut++) {
            struct answer answer = read_exact(bytes, cut);

            if (cut < size) {
                if (answer.status != GW_MORE)
                    fail_msg("%s cut at %zu: status %d fault %d", good[i].bytes, cut, answer.status,
                             answer.fault);
                continue;
            }
            if (answer.status != GW_OK)
                fail_msg("%s: fault %d", good[i].bytes, answer.fault);
            assert_int_equal(answer.used, size);
            assert_int_equal(answer.request.method, good[i].method);
            assert_int_equal(answer.request.minor, good[i].minor);
            assert_int_equal(answer.request.keep_alive, good[i].keep_alive);
        }
        /* Views point into the input: looked at while it stands. */
        struct gw_http_request request;
        struct gw_http_body body;
        struct gw_bytes in = gw_bytes_of(bytes, size);

        assert_int_equal(gw_http_head_read(in, &limits, &request), GW_OK);
        assert_true(gw_bytes_are(request.path, good[i].path));
        assert_true(gw_bytes_are(request.query, good[i].query));
        assert_int_equal(gw_http_body_read(gw_bytes_after(in, request.head_bytes), &request,
                                           &limits, room, &body),
                         GW_OK);
        assert_true(gw_bytes_are(body.bytes, good[i].body));
    }
}

static void fields_are_found_in_any_case(void **state)
{
    static const char bytes[] =
        "PUT / HTTP/1.1\r\nHOST: a.example:80\r\nauthorization:Bearer x \r\n"
        "CONTENT-TYPE: a/b\r\nExpect: 100-Continue\r\n"
        "Content-Length: 7\r\n\r\n";
    struct gw_http_request request;

    (void)state;
    assert_int_equal(gw_http_head_read(gw_bytes_text(bytes), &limits, &request), GW_OK);
    assert_true(gw_bytes_are(request.host, "a.example:80"));
    assert_true(gw_bytes_are(request.authorization, "Bearer x"));
    assert_true(gw_bytes_are(request.content_type, "a/b"));
    assert_true(request.expects_continue);
    assert_int_equal(request.content_length, 7);
    assert_int_equal(request.head_bytes, sizeof bytes - 1);
}

/* A head that just fits, and one byte more. */
static void the_limits_are_where_they_are_said_to_be(void **state)
{
    static const char begin[] = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
    static const char end[4] = {'\r', '\n', '\r', '\n'};
    uint8_t bytes[CASE_HEAD_BYTES_MAX + 16];
    struct gw_http_request request;
    size_t size = CASE_HEAD_BYTES_MAX;

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, begin, sizeof begin - 1);
    memcpy(bytes + size - sizeof end, end, sizeof end);
    assert_int_equal(gw_http_head_read(gw_bytes_of(bytes, size), &limits, &request), GW_OK);
    assert_int_equal(request.head_bytes, size);
    bytes[size - sizeof end] = 'x';
    memcpy(bytes + size + 1 - sizeof end, end, sizeof end);
    assert_int_equal(gw_http_head_read(gw_bytes_of(bytes, size + 1), &limits, &request),
                     GW_BAD_FRAME);
    assert_int_equal(request.fault, GW_HTTP_FAULT_HEAD_TOO_LARGE);

    struct gw_http_limits two = limits;

    two.headers_max = 2;
    assert_int_equal(gw_http_head_read(gw_bytes_text("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"),
                                       &two, &request),
                     GW_OK);
    two.headers_max = 1;
    assert_int_equal(gw_http_head_read(gw_bytes_text("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"),
                                       &two, &request),
                     GW_BAD_FRAME);
}

/* RFC 9110 9.1: what has no body is not waited for. */
static void a_refused_head_still_tells_its_method(void **state)
{
    struct gw_http_request request;

    (void)state;
    assert_int_equal(gw_http_head_read(gw_bytes_text("HEAD / HTTP/1.1\r\n\r\n"), &limits, &request),
                     GW_BAD_FRAME);
    assert_int_equal(request.method, GW_HTTP_HEAD);
}

/* What stands where; "" for nothing, whether or not there is a pointer. */
static bool is_text(struct gw_bytes bytes, const char *text)
{
    return bytes.size == 0 ? text[0] == '\0' : gw_bytes_are(bytes, text);
}

static void queries_come_apart(void **state)
{
    static const struct {
        const char *name, *value;
    } pairs[] = {{"token", "abc"}, {"v1", ""},   {"v2", NULL},
                 {"", "x"},        {"a", "b=c"}, {"%41", "+%2b"}};
    struct gw_bytes rest = gw_bytes_text("token=abc&&v1=&v2&=x&a=b=c&%41=+%2b&"), name, value;
    uint8_t out[16];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(pairs); i++) {
        assert_true(gw_http_query_next(&rest, &name, &value));
        assert_true(is_text(name, pairs[i].name));
        if (pairs[i].value == NULL) {
            assert_null(value.data);
        } else {
            assert_non_null(value.data);
            assert_true(is_text(value, pairs[i].value));
        }
    }
    assert_false(gw_http_query_next(&rest, &name, &value));
    assert_int_equal(gw_http_unescape(gw_bytes_text("+%2b%00%fF"), true, out), 4);
    assert_memory_equal(out, " +\0\xff", 4);
    assert_int_equal(gw_http_unescape(gw_bytes_text("+"), false, out), 1);
    assert_int_equal(out[0], '+');
}

static void media_types_are_told_apart(void **state)
{
    (void)state;
    assert_true(gw_http_media_type_is(gw_bytes_text("application/json"), "application/json"));
    assert_true(gw_http_media_type_is(gw_bytes_text("Application/JSON ; charset=utf-8"),
                                      "application/json"));
    assert_false(gw_http_media_type_is(gw_bytes_text("application/jsonp"), "application/json"));
    assert_false(gw_http_media_type_is(gw_bytes_text(""), "application/json"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_malformed_is_refused_for_its_fault),
        cmocka_unit_test(a_cut_never_changes_the_fault),
        cmocka_unit_test(what_is_well_formed_is_taken_whole_and_only_then),
        cmocka_unit_test(fields_are_found_in_any_case),
        cmocka_unit_test(the_limits_are_where_they_are_said_to_be),
        cmocka_unit_test(a_refused_head_still_tells_its_method),
        cmocka_unit_test(queries_come_apart),
        cmocka_unit_test(media_types_are_told_apart),
    };

    return cmocka_run_group_tests_name("http request", tests, NULL, NULL);
}
