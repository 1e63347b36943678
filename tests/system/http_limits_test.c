/*
 * The limits of HTTP connections: times, rates, products, and the switch that turns them all away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "group.h"

enum { SOON_MS = 3000 };

static struct sys_gateway gateway;
static struct sys_device device, plain_less, named;

#define CONFIG                                                                                     \
    "http: { request_s_max = 1; idle_s_max = 2; cors_origin = \"\"; };\n"                          \
    "rate: { frames_per_s = 20; burst = 10; over_s_max = 1; };\n"

static bool send_text(struct sys_client *c, const char *text)
{
    return sys_client_send(c, text, strlen(text));
}

/* The next bytes are a response with this status; the rest of what came is dropped. */
static void expect_status(struct sys_client *c, int status, uint32_t ms)
{
    char line[32];
    int bytes = snprintf(line, sizeof line, "HTTP/1.1 %d ", status);

    sys_must(&gateway, c, sys_client_expect(c, line, (size_t)bytes, ms));
    while (c->end == SYS_OPEN && memmem(c->in, c->in_bytes, "\r\n\r\n", 4) == NULL)
        (void)sys_client_receive(c, 20);
    assert_null(memmem(c->in, c->in_bytes, "access-control", 14)); /* switched off here */
    (void)sys_client_receive(c, 50);
    c->in_bytes = 0;
}

static double closed_for(const char *reason)
{
    char *name = sys_text("tollgate_closed_total{reason=\"%s\"}", reason);
    double count = sys_metric(&gateway, name);

    free(name);
    return count;
}

static void who_is_slow_is_told_so_and_closed(void **state)
{
    static const char *const parts[] = {"G", "GET /external/api/upd",
                                        "POST /external/api/batch/update?token=x HTTP/1.1\r\nHo"};

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++)
        for (size_t i = 0; i < GW_ARRAY_COUNT(parts); i++) {
            double before = closed_for("http_slow");
            struct sys_client c;

            sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
            sys_must(&gateway, &c, send_text(&c, parts[i]));
            sys_must(&gateway, &c, sys_client_expect_silence(&c, 800));
            expect_status(&c, 408, sys_ms(SOON_MS));
            sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
            sys_client_close(&c);
            assert_true(closed_for("http_slow") == before + 1);
        }
}

/* Bytes that come do not buy time: the request has to be whole. */
static void who_sends_a_byte_now_and_then_is_slow_too(void **state)
{
    uint64_t begun = sys_now_ms();
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, send_text(&c, "GET / HTTP/1.1\r\nHost: h\r\nX: "));
    while (c.end == SYS_OPEN && c.in_bytes == 0 && sys_now_ms() < begun + sys_ms(2 * SOON_MS)) {
        (void)send_text(&c, "x");
        (void)sys_client_receive(&c, 100);
    }
    expect_status(&c, 408, sys_ms(SOON_MS));
    sys_client_close(&c);
}

static void who_has_nothing_to_ask_is_closed(void **state)
{
    double before = closed_for("http_idle");
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    for (int i = 0; i < 2; i++) { /* each request begins the time anew */
        sys_must(&gateway, &c, send_text(&c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        expect_status(&c, 404, sys_ms(SOON_MS));
        sys_must(&gateway, &c, sys_client_expect_silence(&c, 1500));
    }
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
    assert_true(closed_for("http_idle") == before + 1);
}

/* Slowed first, as every device; whoever still has more to say after rate.over_s_max is closed. */
static void who_asks_too_often_is_slowed_then_told_so(void **state)
{
    enum { REQUESTS = 400 };
    double before = closed_for("quota");
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    for (int i = 0; i < REQUESTS; i++)
        if (!send_text(&c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
            break;
    for (uint64_t until = sys_now_ms() + sys_ms(4000); c.end == SYS_OPEN && sys_now_ms() < until;)
        (void)sys_client_receive(&c, 50);
    assert_int_not_equal(c.end, SYS_OPEN);
    assert_non_null(memmem(c.in, c.in_bytes, "HTTP/1.1 404 ", 13));
    assert_non_null(memmem(c.in, c.in_bytes, "HTTP/1.1 429 ", 13));
    c.in_bytes = 0;
    sys_client_close(&c);
    assert_true(closed_for("quota") == before + 1);
    assert_true(sys_metric(&gateway, "tollgate_slowed_total") > 0);
}

/* What the token's product asks for, HTTP has to keep as well. */
static void products_that_ask_for_more_are_refused(void **state)
{
    char *plain = sys_text("GET /external/api/update?token=%s&v1=1 HTTP/1.1\r\nHost: h\r\n\r\n",
                           plain_less.token);
    char *unnamed =
        sys_text("GET /external/api/update?token=%s&v1=1 HTTP/1.1\r\nHost: h\r\n\r\n", named.token);
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, send_text(&c, plain));
    expect_status(&c, 403, sys_ms(SOON_MS));
    sys_must(&gateway, &c, send_text(&c, unnamed));
    expect_status(&c, 403, sys_ms(SOON_MS));
    sys_client_close(&c);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, send_text(&c, plain));
    expect_status(&c, 200, sys_ms(SOON_MS));
    sys_client_close(&c);
    free(plain);
    free(unnamed);
}

/* A connection that waits for its next request has no chunk, and neither has one of a few bytes.
   They have a second each, so that on a machine that stands still for longer they are looked for
   again. */
static void a_crowd_of_half_requests_takes_nothing_from_devices(void **state)
{
    enum { CROWD = 100, TRIES = 5 };
    static const char chunks[] = "tollgate_chunks_taken";
    static struct sys_client crowd[CROWD];
    struct sys_client inside;
    double there = 0;

    (void)state;
    sys_must(&gateway, &inside, sys_connect(&gateway, &inside, SYS_TLS13));
    sys_must(&gateway, &inside, sys_client_login(&inside, device.token, GW_RESPONSE_OK));
    for (uint16_t try = 0; try < TRIES && there == 0; try++) {
        for (size_t i = 0; i < CROWD; i++) {
            sys_must(&gateway, &crowd[i], sys_connect(&gateway, &crowd[i], SYS_PLAIN));
            sys_must(&gateway, &crowd[i], send_text(&crowd[i], "GET /external/api/update?to"));
        }
        sys_must(&gateway, &inside, sys_client_ping(&inside, (uint16_t)(2 + try)));
        /* The answer to the PING has one until its send is done. */
        for (int looks = 0; looks < 50 && sys_metric(&gateway, chunks) > 0; looks++)
            sys_pause_ms(20);
        assert_true(sys_metric(&gateway, chunks) == 0);
        there = sys_metric(&gateway, "tollgate_sessions_http");
        for (size_t i = 0; i < CROWD; i++)
            sys_client_close(&crowd[i]);
    }
    assert_true(there > 0);
    sys_client_close(&inside);
}

/* Bodies beyond half of the chunks are refused, so that devices keep theirs. */
static void bodies_take_no_more_than_their_share(void **state)
{
    enum { CROWD = 12, BODY_BYTES = 16000 };
    static struct sys_client crowd[CROWD];
    static char body[BODY_BYTES];
    char *head = sys_text("PUT /external/api/update/pin?token=%s&v1 HTTP/1.1\r\nHost: h\r\n"
                          "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n",
                          device.token, 2 * BODY_BYTES);
    unsigned refused = 0;

    (void)state;
    memset(body, ' ', sizeof body);
    for (size_t i = 0; i < CROWD; i++) {
        sys_must(&gateway, &crowd[i], sys_connect(&gateway, &crowd[i], SYS_PLAIN));
        sys_must(&gateway, &crowd[i], send_text(&crowd[i], head));
        if (!sys_client_send(&crowd[i], body, sizeof body)) /* it may be closed already */
            continue;
    }
    for (size_t i = 0; i < CROWD; i++) {
        (void)sys_client_receive(&crowd[i], 100);
        refused += crowd[i].in_bytes > 13 && memcmp(crowd[i].in, "HTTP/1.1 503 ", 13) == 0;
        assert_true(sys_metric(&gateway, "tollgate_chunks_taken") <= 32);
        sys_client_close(&crowd[i]);
    }
    assert_true(refused > 0);
    free(head);
}

static void switched_off_it_closes_unanswered(void **state)
{
    double before;
    struct sys_client c;

    (void)state;
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, "http: { enabled = false; };\n");
    sys_gateway_start(&gateway);
    before = closed_for("unknown_protocol");
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, send_text(&c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
    assert_true(closed_for("unknown_protocol") == before + 1);
}

static void add_products(void)
{
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLtls", "--org", "Test", "--name",
                 "Lock", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLinfo", "--org", "Test", "--name",
                 "Meter", "--plain", "--info-required", NULL));
    sys_devices_add(&gateway, "TMPLtls", &plain_less, 1);
    sys_devices_add(&gateway, "TMPLinfo", &named, 1);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "http limits",
        .gateway = &gateway,
        .options = {.shards = 1, .config = CONFIG "chunks_per_shard = 64;\n"},
        .devices = &device,
        .device_count = 1,
        .prepare = add_products,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_slow_is_told_so_and_closed),
        cmocka_unit_test(who_sends_a_byte_now_and_then_is_slow_too),
        cmocka_unit_test(who_has_nothing_to_ask_is_closed),
        cmocka_unit_test(who_asks_too_often_is_slowed_then_told_so),
        cmocka_unit_test(products_that_ask_for_more_are_refused),
        cmocka_unit_test(a_crowd_of_half_requests_takes_nothing_from_devices),
        cmocka_unit_test(bodies_take_no_more_than_their_share),
        cmocka_unit_test(switched_off_it_closes_unanswered),
    };

    return SYS_GROUP_RUN(&group, tests);
}
