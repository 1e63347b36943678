/*
 * Addresses that keep failing, by login, over WebSocket and by HTTP, on four shards at once: how
 * many tries they have, what they are told then, and who is let in all the same. Each case has an
 * address of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "websocket_client.h"

enum {
    SOON_MS = 3000,
    SHARDS = 4,
    FAILURES = 5,
    TRIERS = 8,
    TRIES_EACH = 6,
    LOCK_S = 4 /* of the last case */
};

static struct sys_gateway gateway;
static struct sys_device device;
static char *socket_path;
static atomic_uint guesses;

/* A token that nobody has. */
static void guess(char out[33])
{
    (void)snprintf(out, 33, "guess%027u", atomic_fetch_add(&guesses, 1));
}

static bool open_from(struct sys_client *c, const char *source, enum sys_transport transport)
{
    struct sys_client_options options = sys_client_options(&gateway, transport);

    options.source = source;
    return sys_client_open(c, &options);
}

/* The status of a login, 0 when there is none. */
static uint16_t log_in(const char *source, const char *token)
{
    struct gw_frame frame = {.status = 0};
    struct sys_client c;

    if (!open_from(&c, source, SYS_PLAIN) ||
        !sys_client_send_frame(&c, GW_FRAME_HW_LOGIN, 1, token, 32) ||
        !sys_client_frame(&c, &frame, sys_ms(SOON_MS)))
        frame.status = 0;
    sys_client_close(&c);
    return frame.status;
}

/* The same over WebSocket. Whoever is refused is told so by the Close as well. */
static uint16_t log_in_by_websocket(const char *source, const char *token,
                                    enum sys_transport transport)
{
    enum { STATUS_AT = 5, MESSAGE_BYTES = 7 }; /* a header of WebSocket, then RESPONSE */
    struct sys_client c;
    uint16_t status;

    sys_must(&gateway, &c, open_from(&c, source, transport));
    sys_must(&gateway, &c, sys_websocket_open(&c));
    sys_must(&gateway, &c, sys_websocket_send_frame(&c, GW_FRAME_HW_LOGIN, 1, token, 32));
    while (c.in_bytes < MESSAGE_BYTES && sys_client_receive(&c, sys_ms(SOON_MS)))
        continue;
    assert_true(c.in_bytes >= MESSAGE_BYTES);
    status = gw_load_be16(c.in + STATUS_AT);
    sys_must(&gateway, &c, sys_websocket_expect_response(&c, 1, status));
    if (status != GW_RESPONSE_OK)
        sys_must(&gateway, &c, sys_websocket_expect_close(&c, GW_WEBSOCKET_POLICY));
    sys_client_close(&c);
    return status;
}

static void fail_from(const char *source, unsigned times, uint16_t status)
{
    for (unsigned i = 0; i < times; i++) {
        char token[33];

        guess(token);
        assert_int_equal(log_in(source, token), status);
    }
}

/* The status of a request. */
static int ask_from(const char *source, const char *token)
{
    char request[256], head[14] = "";
    struct sys_client c;
    int bytes = snprintf(request, sizeof request,
                         "GET /external/api/isHardwareConnected?token=%s HTTP/1.1\r\n"
                         "Host: a\r\n\r\n",
                         token);
    uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);

    sys_must(&gateway, &c, open_from(&c, source, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_send(&c, request, (size_t)bytes));
    while (c.in_bytes < sizeof head - 1 && sys_now_ms() < deadline)
        (void)sys_client_receive(&c, 20);
    assert_true(c.in_bytes >= sizeof head - 1);
    memcpy(head, c.in, sizeof head - 1);
    sys_client_close(&c);
    return atoi(head + strlen("HTTP/1.1 "));
}

static char *ctl(int code, const char *const *words)
{
    struct sys_output out;

    sys_ctl_over(&gateway, socket_path, &out, words);
    sys_check(&gateway, out.exit_code == code, "%s: exit %d\n%s%s", words[0], out.exit_code,
              out.out, out.err);
    free(out.err);
    return out.out;
}

#define CTL(code, ...) ctl((code), (const char *const[]){__VA_ARGS__, NULL})

/* ---- many at once ---- */

struct trier {
    pthread_t thread;
    const char *source;
    atomic_uint *unknown, *refused, *other;
};

static void *try_on(void *argument)
{
    const struct trier *t = argument;

    for (unsigned i = 0; i < TRIES_EACH; i++) {
        char token[33];
        uint16_t status;

        guess(token);
        status = log_in(t->source, token);
        atomic_fetch_add(status == GW_RESPONSE_INVALID_TOKEN ? t->unknown
                         : status == GW_RESPONSE_NOT_ALLOWED ? t->refused
                                                             : t->other,
                         1);
    }
    return NULL;
}

static void so_many_tries_there_are_on_all_shards_together(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        char *source = sys_text("127.0.1.%u", round + 1);
        atomic_uint unknown = 0, refused = 0, other = 0;
        struct trier triers[TRIERS];

        for (size_t i = 0; i < TRIERS; i++) {
            triers[i] = (struct trier){
                .source = source, .unknown = &unknown, .refused = &refused, .other = &other};
            assert_int_equal(pthread_create(&triers[i].thread, NULL, try_on, &triers[i]), 0);
        }
        for (size_t i = 0; i < TRIERS; i++)
            assert_int_equal(pthread_join(triers[i].thread, NULL), 0);
        sys_check(&gateway,
                  atomic_load(&unknown) == FAILURES &&
                      atomic_load(&refused) == TRIERS * TRIES_EACH - FAILURES,
                  "%u answered 9, %u 6, %u otherwise", atomic_load(&unknown), atomic_load(&refused),
                  atomic_load(&other));
        free(source);
    }
}

/* ---- who is let in ---- */

static void in_nat_good_tokens_come_in_all_the_same(void **state)
{
    static const char source[] = "127.0.2.1";
    struct sys_client before;
    char stale[33];

    (void)state;
    sys_must(&gateway, &before, open_from(&before, source, SYS_TLS13));
    sys_must(&gateway, &before, sys_client_login(&before, device.token, GW_RESPONSE_OK));
    guess(stale);
    for (unsigned i = 0; i < 3 * FAILURES; i++) /* the same token counts once */
        assert_int_equal(log_in(source, stale), GW_RESPONSE_INVALID_TOKEN);
    fail_from(source, FAILURES - 1, GW_RESPONSE_INVALID_TOKEN);
    fail_from(source, 2, GW_RESPONSE_NOT_ALLOWED);
    assert_int_equal(log_in(source, stale), GW_RESPONSE_NOT_ALLOWED); /* never 9 */
    sys_must(&gateway, &before, sys_client_ping(&before, 2));
    assert_int_equal(ask_from(source, device.token), 200);
    assert_int_equal(ask_from(source, stale), 429);
    assert_int_equal(log_in(source, device.token), GW_RESPONSE_OK);
    fail_from("127.0.2.2", 1, GW_RESPONSE_INVALID_TOKEN); /* others are not touched */
    sys_client_close(&before);
}

static void http_websockets_and_logins_count_together(void **state)
{
    static const char source[] = "127.0.3.1";
    char token[33];

    (void)state;
    for (unsigned i = 0; i < FAILURES; i++) {
        guess(token);
        if (i % 3 == 0)
            assert_int_equal(ask_from(source, token), 400);
        else if (i % 3 == 1)
            assert_int_equal(log_in(source, token), GW_RESPONSE_INVALID_TOKEN);
        else
            assert_int_equal(log_in_by_websocket(source, token, SYS_PLAIN),
                             GW_RESPONSE_INVALID_TOKEN);
    }
    guess(token);
    assert_int_equal(ask_from(source, token), 429);
    fail_from(source, 1, GW_RESPONSE_NOT_ALLOWED);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        guess(token);
        assert_int_equal(log_in_by_websocket(source, token, (enum sys_transport)t),
                         GW_RESPONSE_NOT_ALLOWED);
        assert_int_equal(log_in_by_websocket(source, device.token, (enum sys_transport)t),
                         GW_RESPONSE_OK);
    }
}

/* They alone lock an address out, too. */
static void guesses_over_websocket_lock_out(void **state)
{
    static const char source[] = "127.0.3.2";
    char token[33];

    (void)state;
    for (unsigned i = 0; i <= FAILURES; i++) {
        guess(token);
        assert_int_equal(log_in_by_websocket(source, token, SYS_TLS13),
                         i < FAILURES ? GW_RESPONSE_INVALID_TOKEN : GW_RESPONSE_NOT_ALLOWED);
    }
    guess(token);
    assert_int_equal(ask_from(source, token), 429);
}

/* ---- by hand ---- */

static void an_operator_locks_and_unlocks(void **state)
{
    static const char source[] = "127.0.5.1";
    struct sys_client before;
    char *text;

    (void)state;
    sys_must(&gateway, &before, open_from(&before, source, SYS_PLAIN));
    sys_must(&gateway, &before, sys_websocket_open(&before));
    sys_must(&gateway, &before, sys_websocket_login(&before, device.token, GW_RESPONSE_OK));
    free(CTL(0, "ban", source, "--seconds", "100"));
    assert_int_equal(log_in(source, device.token), GW_RESPONSE_NOT_ALLOWED);
    assert_int_equal(log_in_by_websocket(source, device.token, SYS_TLS12), GW_RESPONSE_NOT_ALLOWED);
    assert_int_equal(ask_from(source, device.token), 429);
    sys_must(&gateway, &before, sys_websocket_ping(&before, 2)); /* it is up already */
    text = CTL(0, "locked");
    sys_check(&gateway, strstr(text, "127.0.5.1  ") != NULL && strstr(text, "by hand") != NULL,
              "locked: %s", text);
    free(text);
    text = CTL(0, "locked", "--json");
    sys_check(&gateway, strstr(text, "\"source\":\"127.0.5.1\"") != NULL, "locked: %s", text);
    free(text);
    free(CTL(0, "unban", source));
    assert_int_equal(log_in(source, device.token), GW_RESPONSE_OK);
    free(CTL(1, "unban", source));
    free(CTL(2, "ban", "nowhere"));
    free(CTL(0, "ban", "2001:db8:1:2:3::4"));
    text = CTL(0, "locked");
    assert_non_null(strstr(text, "2001:db8:1:2::/64"));
    free(text);
    sys_client_close(&before);
}

static void metrics_tell_of_it(void **state)
{
    (void)state;
    assert_true(sys_metric(&gateway, "tollgate_lockouts_total") >= 8);
    assert_true(sys_metric(&gateway, "tollgate_lockout_refused_total") >=
                5 * (TRIERS * TRIES_EACH - FAILURES));
    assert_true(sys_metric(&gateway, "tollgate_lockout_sources") >= 1);
    assert_true(sys_metric(&gateway, "tollgate_lockout_overflows_total") == 0);
}

/* ---- literal ---- */

static void in_literal_each_try_counts_and_nobody_comes_in(void **state)
{
    static const char source[] = "127.0.6.1";
    char stale[33];

    (void)state;
    sys_gateway_stop(&gateway);
    gateway.options.lockout = "profile = \"literal\"; lock_s = 4;"; /* LOCK_S */
    sys_gateway_configure(&gateway, gateway.options.config);
    sys_gateway_start(&gateway);
    guess(stale);
    for (unsigned i = 0; i < FAILURES; i++)
        assert_int_equal(log_in(source, stale), GW_RESPONSE_INVALID_TOKEN);
    assert_int_equal(log_in(source, stale), GW_RESPONSE_NOT_ALLOWED);
    assert_int_equal(log_in(source, device.token), GW_RESPONSE_NOT_ALLOWED);
    assert_int_equal(ask_from(source, device.token), 429);
    assert_int_equal(log_in("127.0.6.2", device.token), GW_RESPONSE_OK);
    free(CTL(0, "unban", source));
    assert_int_equal(log_in(source, device.token), GW_RESPONSE_OK);
}

static void a_lock_ends(void **state)
{
    static const char source[] = "127.0.4.1";
    uint64_t locked;

    (void)state;
    fail_from(source, FAILURES, GW_RESPONSE_INVALID_TOKEN);
    locked = sys_now_ms();
    while (sys_now_ms() < locked + LOCK_S * 1000 - 1500) { /* tries do not lengthen it */
        fail_from(source, 1, GW_RESPONSE_NOT_ALLOWED);
        sys_pause_ms(200);
    }
    while (sys_now_ms() < locked + LOCK_S * 1000 + 200)
        sys_pause_ms(50);
    fail_from(source, 1, GW_RESPONSE_INVALID_TOKEN);
}

static void name_socket(void)
{
    socket_path = sys_text("%s/control", gateway.dir);
}

static void forget_socket(void)
{
    free(socket_path);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "lockout",
        .gateway = &gateway,
        .options = {.shards = SHARDS,
                    .config = "control: { path = \"control\"; };\n",
                    .lockout = "lock_s = 60;"}, /* the profile is nat by itself */
        .devices = &device,
        .device_count = 1,
        .prepare = name_socket,
        .finish = forget_socket,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_tries_there_are_on_all_shards_together),
        cmocka_unit_test(in_nat_good_tokens_come_in_all_the_same),
        cmocka_unit_test(http_websockets_and_logins_count_together),
        cmocka_unit_test(guesses_over_websocket_lock_out),
        cmocka_unit_test(an_operator_locks_and_unlocks),
        cmocka_unit_test(metrics_tell_of_it),
        cmocka_unit_test(in_literal_each_try_counts_and_nobody_comes_in),
        cmocka_unit_test(a_lock_ends),
    };

    return SYS_GROUP_RUN(&group, tests);
}
