/*
 * Crowds from thousands of networks: IPv6, each from a /64 of its own, as whoever rents a /32 can
 * have them. In a network namespace of this test's own, where a whole /32 is routed to the
 * machine itself; skipped where none may be made.
 *
 * With TOLLGATE_TEST_CROWD=N there are N networks at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

enum {
    SKIPPED = 77,
    PLAIN_PORT = 7080, /* nobody else is in this network */
    TLS_PORT = 7443,
    SHARDS = 2,
    CROWD = 600,
    FLOOD = 3000, /* networks; more than `sources` of the lockout */
    FAILURES = 5,
    SOON_MS = 5000,
    LOGIN_MS_MAX = 5500, /* a device gives up at 6 s */
};

static const char wrong_login[] = "\x1d\0\1\0\x20"
                                  "nobody-has-this-token-0123456789";

static struct sys_gateway gateway;
static struct sys_device device;
static size_t crowd_count;
static struct sys_client *crowd;
static unsigned guesses;

/* From address `host` of network number `network`. */
static bool come(struct sys_client *c, unsigned network, unsigned host,
                 enum sys_transport transport, uint16_t port)
{
    struct sys_client_options options = sys_client_options(&gateway, transport);
    char source[64];

    (void)snprintf(source, sizeof source, "2001:db8:%x:%x::%x", network >> 16, network & 0xffff,
                   host);
    options.source = source;
    options.port = port;
    return sys_client_open(c, &options);
}

/* A token that nobody has; the status of its login. */
static uint16_t guess_from(unsigned network, unsigned host)
{
    struct gw_frame frame = {.status = 0};
    struct sys_client c;
    char token[33];

    (void)snprintf(token, sizeof token, "guess%027u", guesses++);
    sys_must(&gateway, &c, come(&c, network, host, SYS_PLAIN, PLAIN_PORT));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_HW_LOGIN, 1, token, 32));
    sys_must(&gateway, &c, sys_client_frame(&c, &frame, sys_ms(SOON_MS)));
    sys_client_close(&c);
    return frame.status;
}

static void log_in_from(unsigned network, unsigned host, enum sys_transport transport)
{
    struct sys_client c;

    sys_must(&gateway, &c,
             come(&c, network, host, transport, transport == SYS_PLAIN ? PLAIN_PORT : TLS_PORT));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    sys_client_close(&c);
}

static void wait_until_gone(void)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(3 * SOON_MS);
         sys_metric(&gateway, "tollgate_sessions") > 0; sys_pause_ms(20))
        sys_check(&gateway, sys_now_ms() < deadline, "%g sessions are left",
                  sys_metric(&gateway, "tollgate_sessions"));
}

/* Whatever of its 2^64 addresses the guesses come from. */
static void a_network_is_one_source(void **state)
{
    enum { GUESSER = 7, NEIGHBOUR = 8 };

    (void)state;
    for (unsigned host = 1; host <= FAILURES; host++)
        assert_int_equal(guess_from(GUESSER, host * 0x1111), GW_RESPONSE_INVALID_TOKEN);
    assert_int_equal(guess_from(GUESSER, 99), GW_RESPONSE_NOT_ALLOWED);
    assert_int_equal(guess_from(NEIGHBOUR, 1), GW_RESPONSE_INVALID_TOKEN);
    log_in_from(GUESSER, 100, SYS_TLS13); /* profile nat: with a good token */
    assert_true(sys_metric(&gateway, "tollgate_lockout_sources") == 1);
}

/* More networks than are remembered, each of which fails once: none is locked out for it, and the
   one that is stays so. */
static void a_flood_of_networks_locks_nobody_out_and_frees_nobody(void **state)
{
    double unknown = sys_metric(&gateway, "tollgate_logins_unknown_total");
    double accepted = sys_metric(&gateway, "tollgate_accepted_total");
    enum { GUESSER = 7, FIRST = 0x10000 };

    (void)state;
    for (unsigned i = 0; i < FLOOD; i++) {
        struct sys_client c;

        sys_must(&gateway, &c, come(&c, FIRST + i, 1, SYS_PLAIN, PLAIN_PORT));
        if (sys_client_send(&c, wrong_login, sizeof wrong_login - 1) && i % 2 == 0)
            (void)sys_client_receive(&c, sys_ms(SOON_MS));
        sys_client_cut(&c);
        if (i % (FLOOD / 4) == 0)
            log_in_from(FIRST + i, 2, (enum sys_transport)(i % SYS_TRANSPORTS));
    }
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         sys_metric(&gateway, "tollgate_accepted_total") - accepted < FLOOD; sys_pause_ms(20))
        sys_check(&gateway, sys_now_ms() < deadline, "not all were accepted");
    wait_until_gone();
    assert_true(sys_metric(&gateway, "tollgate_logins_unknown_total") - unknown >= FLOOD / 2);
    assert_true(sys_metric(&gateway, "tollgate_lockout_sources") == 1);
    assert_int_equal(guess_from(GUESSER, 101), GW_RESPONSE_NOT_ALLOWED);
}

/* Each from a network of its own, so no count by address would tell them apart. */
static void half_open_handshakes_from_everywhere_keep_nobody_out(void **state)
{
    static const uint8_t half_hello[] = {0x16, 0x03, 0x01, 0x01, 0x00};
    enum { FIRST = 0x20000 };

    (void)state;
    for (size_t i = 0; i < crowd_count; i++)
        if (!come(&crowd[i], FIRST + (unsigned)i, 1, SYS_PLAIN, TLS_PORT) ||
            !sys_client_send(&crowd[i], half_hello, sizeof half_hello))
            sys_client_close(&crowd[i]); /* those that cannot come in wait, or are cut off */
    for (unsigned n = 0; n < 6; n++) {
        uint64_t from = sys_now_ms();

        log_in_from(FIRST + n, 2, n % 2 == 0 ? SYS_TLS13 : SYS_TLS12);
        sys_check(&gateway, sys_now_ms() - from <= sys_ms(LOGIN_MS_MAX), "a login took %u ms",
                  (unsigned)(sys_now_ms() - from));
    }
    for (size_t i = 0; i < crowd_count; i++)
        sys_client_close(&crowd[i]);
    wait_until_gone();
}

/* False: there can be no such network here. */
static bool enter_own_network(void)
{
    static const char *const steps[][10] = {
        {"ip", "link", "set", "lo", "up", NULL},
        {"ip", "-6", "route", "add", "local", "2001:db8::/32", "dev", "lo", NULL},
    };
    bool done = unshare(CLONE_NEWNET) == 0;

    for (size_t i = 0; done && i < GW_ARRAY_COUNT(steps); i++) {
        struct sys_output output;

        done = sys_run(steps[i], NULL, &output);
        if (!done)
            break;
        done = output.exit_code == 0;
        if (!done)
            (void)fprintf(stderr, "%s", output.err);
        sys_output_release(&output);
    }
    return done;
}

int main(void)
{
    struct sys_group group = {
        .name = "networks",
        .gateway = &gateway,
        .options = {.shards = SHARDS,
                    .listeners = ", { address = \"[::1]:7080\"; tls = false; }" /* PLAIN_PORT */
                                 ", { address = \"[::1]:7443\"; tls = true; }", /* TLS_PORT */
                    .lockout = "profile = \"nat\"; sources = 1024;"},
        .devices = &device,
        .device_count = 1,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_is_one_source),
        cmocka_unit_test(a_flood_of_networks_locks_nobody_out_and_frees_nobody),
        cmocka_unit_test(half_open_handshakes_from_everywhere_keep_nobody_out),
    };
    int failed;

    if (!enter_own_network())
        return SKIPPED;
    crowd = sys_crowd_create(&group, CROWD, &crowd_count);
    if (crowd == NULL)
        return 1;
    failed = SYS_GROUP_RUN(&group, tests);
    free(crowd);
    return failed;
}
