/*
 * The admin port over real loopback sockets, with the clock in the test's hand: what it answers,
 * and what clients cannot do to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gw/app/admin.h>

enum { BIG_BYTES = 8 << 20, ANSWER_BYTES = 2 * BIG_BYTES };

static struct gw_admin *admin;
static struct gw_instant now = {.ns = 1000 * GW_NS_PER_S};
static unsigned pages;

static int hello_page(void *context, struct gw_text *body)
{
    (void)context;
    pages++;
    gw_text_print(body, "hello\n");
    return 200;
}

static int not_ready_page(void *context, struct gw_text *body)
{
    gw_text_print(body, "%s\n", (const char *)context);
    return 503;
}

static int silent_no_page(void *context, struct gw_text *body)
{
    (void)context;
    (void)body;
    return 503;
}

static int big_page(void *context, struct gw_text *body)
{
    (void)context;
    for (int i = 0; i < BIG_BYTES / 16; i++)
        gw_text_print(body, "%015d\n", i);
    return 200;
}

static int broken_page(void *context, struct gw_text *body)
{
    (void)context;
    gw_text_print(body, "half a page");
    body->failed = true; /* as after running out of memory */
    return 200;
}

static const struct gw_admin_route routes[] = {
    {"/metrics", "text/plain; version=0.0.4", hello_page},
    {"/readyz", "text/plain", not_ready_page},
    {"/livez", "text/plain", silent_no_page},
    {"/big", "text/plain", big_page},
    {"/broken", "text/plain", broken_page},
};

static struct gw_admin_options options_for(const char *address)
{
    static char context[] = "the index is missing";
    struct gw_admin_options options = {
        .routes = routes, .route_count = GW_ARRAY_COUNT(routes), .context = context};
    const char *why;

    assert_true(gw_address_parse(address, &options.address, &why));
    return options;
}

static int start(void **state)
{
    struct gw_admin_options options = options_for("127.0.0.1:0");
    char why[GW_ADMIN_WHY_BYTES];

    (void)state;
    pages = 0;
    return gw_admin_create(&options, &admin, why);
}

static int stop(void **state)
{
    (void)state;
    gw_admin_destroy(admin);
    return 0;
}

/* How long nothing must happen to call it quiet: loopback delivers within the sending call. */
enum { QUIET_MS = 3 };

/* One turn of the control thread's loop, without sleeping longer than `wait_ms`. */
static int turn(int wait_ms)
{
    struct pollfd fds[GW_ADMIN_FDS_MAX];
    size_t count = gw_admin_fds(admin, now, fds);
    int ready = poll(fds, count, wait_ms);

    gw_admin_step(admin, now, fds, count);
    return ready;
}

static void turn_until_quiet(void)
{
    while (turn(QUIET_MS) > 0)
        ;
}

static int dial(void)
{
    struct gw_address to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    gw_admin_address(admin, &to);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to.storage, to.bytes), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Everything up to the end of the stream, NUL-terminated; the connection is closed. */
static char *answer_on(int fd, size_t *bytes)
{
    char *text = calloc(1, ANSWER_BYTES);
    size_t used = 0;

    assert_non_null(text);
    for (int idle = 0; idle < 500;) {
        ssize_t n = recv(fd, text + used, ANSWER_BYTES - 1 - used, 0);

        if (n == 0)
            break;
        if (n > 0) {
            used += (size_t)n;
            idle = 0;
        } else {
            assert_int_equal(errno, EAGAIN);
            idle += turn(10) == 0;
        }
    }
    assert_true(recv(fd, text + used, 1, 0) == 0); /* the end, and not our patience's */
    close(fd);
    turn_until_quiet(); /* the server notices */
    if (bytes != NULL)
        *bytes = used;
    return text;
}

static char *ask_bytes(const char *request, size_t bytes)
{
    int fd = dial();

    assert_int_equal(send(fd, request, bytes, MSG_NOSIGNAL), bytes);
    return answer_on(fd, NULL);
}

static char *ask(const char *request)
{
    return ask_bytes(request, strlen(request));
}

#define HOST "Host: localhost\r\n"

static void a_page_is_served_with_its_length_and_type(void **state)
{
    char *text = ask("GET /metrics HTTP/1.1\r\n" HOST "\r\n");

    (void)state;
    assert_true(strncmp(text, "HTTP/1.1 200 OK\r\ndate: ", 23) == 0);
    assert_non_null(strstr(text, "\r\ncontent-type: text/plain; version=0.0.4\r\n"));
    assert_non_null(strstr(text, "\r\ncontent-length: 6\r\n"));
    assert_non_null(strstr(text, "\r\nconnection: close\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nhello\n");
    free(text);
}

static void head_is_answered_without_the_page(void **state)
{
    char *text = ask("HEAD /metrics HTTP/1.1\r\n" HOST "\r\n");

    (void)state;
    assert_non_null(strstr(text, "\r\ncontent-length: 6\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
}

static void a_page_may_say_no_with_its_reason(void **state)
{
    char *text = ask("GET /readyz HTTP/1.1\r\n" HOST "\r\n");

    (void)state;
    assert_true(strncmp(text, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0);
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nthe index is missing\n");
    free(text);
    text = ask("GET /livez HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n503 Service Unavailable\n");
    free(text);
}

static void half_a_page_is_never_sent(void **state)
{
    char *text = ask("GET /broken HTTP/1.1\r\n" HOST "\r\n");

    (void)state;
    assert_true(strncmp(text, "HTTP/1.1 500 ", 13) == 0);
    assert_null(strstr(text, "half"));
    free(text);
}

#define LONG_16 "0123456789abcdef"
#define LONG_256                                                                                   \
    LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16 LONG_16        \
        LONG_16 LONG_16 LONG_16 LONG_16 LONG_16
#define LONG_1024 LONG_256 LONG_256 LONG_256 LONG_256

static const struct {
    const char *request;
    int status;
} requests[] = {
    {"GET /metrics HTTP/1.1\r\n" HOST "\r\n", 200},
    {"\r\n\r\nGET /metrics HTTP/1.1\r\n" HOST "\r\n", 200},
    {"GET /metrics HTTP/1.1\nhost: x\n\n", 400},
    {"GET /metrics?x=1 HTTP/1.1\r\n" HOST "\r\n", 200},
    {"GET http://localhost/metrics?x HTTP/1.1\r\n" HOST "\r\n", 200},
    {"GET http://elsewhere/metrics HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /metrics HTTP/1.0\r\n\r\n", 200},
    {"GET /metrics HTTP/1.9\r\n" HOST "\r\n", 200},
    {"GET /metrics HTTP/1.1\r\nHost: h\r\nX: \x80\xff y\r\n\r\n", 200},
    {"GET /metrics HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 200},
    {"GET /metrics HTTP/1.1\r\n" HOST "\r\nGET /metrics HTTP/1.1\r\n" HOST "\r\n", 200},
    {"GET / HTTP/1.1\r\n" HOST "\r\n", 404},
    {"GET http://localhost HTTP/1.1\r\n" HOST "\r\n", 404},
    {"GET /metrics/ HTTP/1.1\r\n" HOST "\r\n", 404},
    {"GET /METRICS HTTP/1.1\r\n" HOST "\r\n", 404},
    {"POST /metrics HTTP/1.1\r\n" HOST "\r\n", 405},
    {"get /metrics HTTP/1.1\r\n" HOST "\r\n", 405},
    {"GET /metrics HTTP/1.1\r\n\r\n", 400},
    {"GET /metrics HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"GET /metrics HTTP/1.0\r\n" HOST HOST "\r\n", 400},
    {"GET /metrics HTTP/1.1\r\n" HOST "X : y\r\n\r\n", 400},
    {"GET /metrics HTTP/1.1\r\n" HOST " folded: line\r\n\r\n", 400},
    {"GET /metrics HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400},
    {"GET /metrics HTTP/1.1\r\n" HOST ": no name\r\n\r\n", 400},
    {"GET  /metrics HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /metrics  HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /met\trics HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /metrics\r\n\r\n", 400},
    {"GET metrics HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"/metrics\r\n\r\n", 400},
    {"\x16\x03\x01\n\n", 400},
    {" GET /metrics HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /metrics HTTP/1,1\r\n" HOST "\r\n", 400},
    {"GET /metrics HTTP/11\r\n" HOST "\r\n", 400},
    {"GET /metrics http/1.1\r\n" HOST "\r\n", 400},
    {"GET /metrics HTTP/2.0\r\n" HOST "\r\n", 505},
    {"GET /" LONG_1024 LONG_1024 LONG_1024 LONG_1024 " HTTP/1.1\r\n" HOST "\r\n", 414},
    {"GET / HTTP/1.1\r\nX: " LONG_1024 LONG_1024 LONG_1024 LONG_1024 "\r\n\r\n", 431},
};

static void every_request_gets_one_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(requests); i++) {
        char *text = ask(requests[i].request);
        char expected[16];

        snprintf(expected, sizeof expected, "HTTP/1.1 %d ", requests[i].status);
        if (strncmp(text, expected, strlen(expected)) != 0)
            fail_msg("%s\ngot: %s", requests[i].request, text);
        assert_null(strstr(text + 1, "HTTP/1.1 "));
        if (requests[i].status == 405)
            assert_non_null(strstr(text, "\r\nallow: GET, HEAD\r\n"));
        free(text);
    }
    assert_int_equal(gw_admin_wait_ms(admin, now), -1); /* nothing is left open */
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\n" HOST "\r\n";
    int fd = dial();
    char *text;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        assert_int_equal(pages, 0);
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
        turn_until_quiet();
    }
    text = answer_on(fd, NULL);
    assert_int_equal(pages, 1);
    assert_true(strncmp(text, "HTTP/1.1 200 ", 13) == 0);
    free(text);
}

static void a_client_may_close_its_side_after_asking(void **state)
{
    static const char request[] = "GET /big HTTP/1.0\r\n\r\n";
    int fd = dial();
    size_t bytes;
    char *text;

    (void)state;
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    text = answer_on(fd, &bytes);
    assert_true(bytes > BIG_BYTES);
    assert_memory_equal(strstr(text, "\r\n\r\n") + 4, "000000000000000\n000000000000001\n", 32);
    assert_string_equal(text + bytes - 16, "000000000524287\n");
    free(text);
}

static void a_client_that_sends_on_still_gets_its_answer(void **state)
{
    static char noise[64 << 10];
    static const char request[] = "GET /metrics HTTP/1.1\r\n" HOST "\r\n";
    int fd = dial();
    char *text;

    (void)state;
    memset(noise, 'x', sizeof noise);
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    assert_true(send(fd, noise, sizeof noise, MSG_NOSIGNAL) > 0);
    turn_until_quiet();
    text = answer_on(fd, NULL);
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nhello\n");
    free(text);
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t n;

    turn_until_quiet();
    n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void a_silent_client_is_closed_at_the_deadline_and_not_before(void **state)
{
    int fd = dial();

    (void)state;
    turn_until_quiet();
    assert_int_equal(gw_admin_wait_ms(admin, now), 5000);
    now.ns += GW_ADMIN_DEADLINE_NS - 1;
    assert_int_equal(gw_admin_wait_ms(admin, now), 1);
    assert_false(is_closed(fd));
    now.ns += 1;
    assert_int_equal(gw_admin_wait_ms(admin, now), 0);
    assert_true(is_closed(fd));
    assert_int_equal(gw_admin_wait_ms(admin, now), -1);
    close(fd);
}

static void a_client_that_does_not_read_is_closed_at_the_deadline(void **state)
{
    static const char request[] = "GET /big HTTP/1.0\r\n\r\n";
    int fd = dial();

    (void)state;
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    turn_until_quiet();
    assert_int_not_equal(gw_admin_wait_ms(admin, now), -1);
    now.ns += GW_ADMIN_DEADLINE_NS;
    turn(0);
    assert_int_equal(gw_admin_wait_ms(admin, now), -1);
    close(fd);
}

static void silent_clients_can_hold_the_port_no_longer_than_the_deadline(void **state)
{
    int silent[GW_ADMIN_CONNECTIONS_MAX];
    struct pollfd fds[GW_ADMIN_FDS_MAX];
    char *text;
    int fd;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(silent); i++)
        silent[i] = dial();
    turn_until_quiet();
    gw_admin_fds(admin, now, fds);
    assert_int_equal(fds[0].fd, -1); /* full: the listener is not polled, poll does not spin */

    fd = dial();
    assert_int_equal(send(fd, "GET /metrics HTTP/1.0\r\n\r\n", 25, MSG_NOSIGNAL), 25);
    assert_int_equal(turn(20), 0);
    now.ns += GW_ADMIN_DEADLINE_NS;
    turn(0);
    text = answer_on(fd, NULL);
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nhello\n");
    free(text);
    for (size_t i = 0; i < GW_ARRAY_COUNT(silent); i++)
        close(silent[i]);
}

static void a_client_that_vanishes_frees_its_place(void **state)
{
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)state;
    for (int i = 0; i < 3 * GW_ADMIN_CONNECTIONS_MAX; i++) {
        int fd = dial();

        if (i % 3 > 0)
            assert_int_equal(send(fd, "GET /big HTTP/1.0\r\n\r\n", i % 3 == 1 ? 21 : 7, 0),
                             i % 3 == 1 ? 21 : 7);
        turn(20);
        turn(20);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        close(fd);
        turn_until_quiet();
    }
    assert_int_equal(gw_admin_wait_ms(admin, now), -1);
}

static void without_descriptors_accepting_pauses_and_comes_back(void **state)
{
    struct rlimit before, few;
    struct pollfd fds[GW_ADMIN_FDS_MAX];
    int fd = dial(), taken[256];
    size_t count = 0;
    char *text;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 128; /* above GW_ADMIN_FDS_MAX, or poll itself refuses */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while ((taken[count] = dup(fd)) >= 0)
        count++;
    assert_int_equal(errno, EMFILE);
    turn(100);
    while (count > 0)
        close(taken[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    gw_admin_fds(admin, now, fds);
    assert_int_equal(fds[0].fd, -1);
    assert_int_equal(gw_admin_wait_ms(admin, now), 100);
    now.ns += 100 * GW_NS_PER_MS;
    assert_int_equal(send(fd, "GET /metrics HTTP/1.0\r\n\r\n", 25, MSG_NOSIGNAL), 25);
    text = answer_on(fd, NULL);
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\nhello\n");
    free(text);
}

/* From a fixed seed: whatever arrives, there is one answer with a known status, or a silent wait.
 */
static void altered_requests_get_an_answer_or_wait(void **state)
{
    static const char alphabet[] = "\0 \r\n\t:/?GH.1\x80\xff";
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 400; round++) {
        char request[64] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        size_t bytes = strlen(request);
        char answer[16];
        int fd = dial();

        for (int i = 0; i <= round % 2; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            request[(seed >> 33) % bytes] = alphabet[(seed >> 17) % (sizeof alphabet - 1)];
        }
        assert_int_equal(send(fd, request, bytes, MSG_NOSIGNAL), bytes);
        turn(50); /* accepts */
        turn(50); /* reads and answers */
        ssize_t n = recv(fd, answer, sizeof answer, 0);

        if (n > 0)
            assert_memory_equal(answer, "HTTP/1.1 ", 9);
        else
            assert_int_equal(errno, EAGAIN);
        close(fd);
        turn(50);
    }
    turn_until_quiet();
    assert_int_equal(gw_admin_wait_ms(admin, now), -1);
}

static void only_loopback_is_listened_on_unless_told(void **state)
{
    static const char *const remote[] = {"0.0.0.0:0", "[::]:0", "192.0.2.1:0",
                                         "[::ffff:1.2.3.4]:0"};
    struct gw_admin_options options;
    struct gw_admin *other;
    char why[GW_ADMIN_WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(remote); i++) {
        options = options_for(remote[i]);
        assert_int_equal(gw_admin_create(&options, &other, why), -EPERM);
        assert_null(other);
    }
    assert_string_equal(why, "[::ffff:1.2.3.4]:0 is no loopback address, and this port asks nobody "
                             "who they are");
    options = options_for("0.0.0.0:0");
    options.allow_remote = true;
    assert_int_equal(gw_admin_create(&options, &other, why), 0);
    gw_admin_destroy(other);
    gw_admin_destroy(NULL);
}

static void a_busy_port_is_named(void **state)
{
    struct gw_admin_options options = options_for("127.0.0.1:0");
    struct gw_admin *other;
    char why[GW_ADMIN_WHY_BYTES], expected[GW_ADMIN_WHY_BYTES];

    (void)state;
    gw_admin_address(admin, &options.address);
    assert_int_equal(gw_admin_create(&options, &other, why), -EADDRINUSE);
    snprintf(expected, sizeof expected, "127.0.0.1:%u: Address already in use",
             gw_address_port(&options.address));
    assert_string_equal(why, expected);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_served_with_its_length_and_type),
        TEST(head_is_answered_without_the_page),
        TEST(a_page_may_say_no_with_its_reason),
        TEST(half_a_page_is_never_sent),
        TEST(every_request_gets_one_answer),
        TEST(a_request_may_come_byte_by_byte),
        TEST(a_client_may_close_its_side_after_asking),
        TEST(a_client_that_sends_on_still_gets_its_answer),
        TEST(a_silent_client_is_closed_at_the_deadline_and_not_before),
        TEST(a_client_that_does_not_read_is_closed_at_the_deadline),
        TEST(silent_clients_can_hold_the_port_no_longer_than_the_deadline),
        TEST(a_client_that_vanishes_frees_its_place),
        TEST(without_descriptors_accepting_pauses_and_comes_back),
        TEST(altered_requests_get_an_answer_or_wait),
        TEST(only_loopback_is_listened_on_unless_told),
        TEST(a_busy_port_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
