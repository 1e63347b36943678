/*
 * Crowds that want nothing but to be in the way: more connections than there are slots, all of one
 * kind, and beside them devices that log in. Each crowd takes slots for a while and no more, costs
 * what is planned for a slot, and leaves nothing behind.
 *
 * With TOLLGATE_TEST_CROWD=N each crowd has N connections, and the gateway slots in
 * proportion: some 18,000 are what one process may open here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "group.h"
#include "websocket_client.h"

enum {
    SHARDS = 2,
    CROWD = 600, /* to begin with */
    SOON_MS = 5000,
    LOGINS = 12,
    LOGIN_MS_MAX = 5500, /* stranger_s_max, a SYN sent again, a busy machine: it gives up at 6 s */
    BACK_MS = 5000,      /* firmware's way after a failure */
    SLOT_BYTES_MAX = 1024,
    HANDSHAKE_BYTES_MAX = 16384,
};

static struct sys_gateway gateway;
static struct sys_device devices[2]; /* the second comes and goes */
static struct sys_client inside;
static size_t crowd_count;
static struct sys_client *crowd;
static uint8_t hello[2048];

/* ---- what they do ---- */

struct manner {
    const char *name;
    enum sys_transport transport;
    bool bare;            /* to the port of TLS, whatever the transport is         */
    const uint8_t *bytes; /* what it says                                          */
    size_t size;
    bool dribbles; /* a byte each round, not all at once                    */
};

static const uint8_t half_hello[] = {0x16, 0x03, 0x01, 0x01, 0x00};
static const uint8_t half_login[] = {0x1d, 0x00, 0x01, 0x00, 0x20, 'x'};
static const char half_request[] = "GET /external/api/get?token=";
static const char request[] = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";

static struct manner manners[] = {
    {"silent on the port of TLS", SYS_PLAIN, true, NULL, 0, false},
    {"half a hello", SYS_PLAIN, true, half_hello, sizeof half_hello, false},
    {"a hello, a byte at a time", SYS_PLAIN, true, hello, sizeof hello, true},
    {"a hello, and no answer to ours", SYS_PLAIN, true, hello, sizeof hello, false},
    {"a handshake, and no login", SYS_TLS13, true, NULL, 0, false},
    {"silent on the plain port", SYS_PLAIN, false, NULL, 0, false},
    {"half a login, a byte at a time", SYS_PLAIN, false, half_login, sizeof half_login, true},
    {"half a request", SYS_PLAIN, false, (const uint8_t *)half_request, sizeof half_request - 1,
     false},
    {"a request, and no other", SYS_PLAIN, false, (const uint8_t *)request, sizeof request - 1,
     false},
    {"a WebSocket, and no login", SYS_PLAIN, false, (const uint8_t *)SYS_WEBSOCKET_OPEN,
     sizeof SYS_WEBSOCKET_OPEN - 1, false},
};

/* Those that cannot come in are cut off, or wait in the listen queue: that is their matter. */
static void come(struct sys_client *c, const struct manner *manner, size_t i)
{
    struct sys_client_options options = sys_client_options(&gateway, manner->transport);
    char source[32];

    (void)snprintf(source, sizeof source, "127.%zu.%zu.%zu", 1 + i / 250 / 250, i / 250 % 250,
                   1 + i % 250);
    options.source = source;
    if (manner->bare)
        options.port = gateway.tls_port;
    if (!sys_client_open(c, &options) ||
        (!manner->dribbles && !sys_client_send(c, manner->bytes, manner->size)))
        sys_client_close(c);
}

static void dribble(const struct manner *manner, size_t round)
{
    for (size_t i = 0; manner->dribbles && round < manner->size && i < crowd_count; i++)
        if (crowd[i].fd >= 0 && !sys_client_send(&crowd[i], manner->bytes + round, 1))
            sys_client_close(&crowd[i]);
}

/* ---- what they cost ---- */

static size_t resident_bytes(void)
{
    char *path = sys_text("/proc/%d/statm", (int)gateway.pid);
    char *text = sys_file_text(path);
    size_t pages = 0;

    assert_int_equal(sscanf(text, "%*u %zu", &pages), 1); /* NOLINT(cert-err34-c): the kernel's */
    free(text);
    free(path);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void wait_until_gone(void)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(3 * SOON_MS);
         sys_metric(&gateway, "tollgate_sessions") > 1; sys_pause_ms(20))
        sys_check(&gateway, sys_now_ms() < deadline, "%g sessions are left",
                  sys_metric(&gateway, "tollgate_sessions"));
    assert_true(sys_metric(&gateway, "tollgate_handshakes") == 0);
    assert_true(sys_metric(&gateway, "tollgate_chunks_taken") == 0);
}

/*
 * A device logs in, and where the crowd is more than the processor bears at once (thousands of
 * hellos that want their signature) it may be turned away and comes back as firmware does.
 */
static void log_in(enum sys_transport transport)
{
    struct sys_client c;
    bool is_in = sys_connect(&gateway, &c, transport) &&
                 sys_client_login(&c, devices[1].token, GW_RESPONSE_OK);

    if (!is_in && crowd_count > CROWD) {
        print_message("turned away (%s), and comes again\n", c.failure);
        sys_client_close(&c);
        sys_pause_ms(BACK_MS);
        is_in = sys_connect(&gateway, &c, transport) &&
                sys_client_login(&c, devices[1].token, GW_RESPONSE_OK);
    }
    sys_must(&gateway, &c, is_in);
    sys_client_close(&c);
}

static void keeps_nobody_out(const struct manner *manner)
{
    size_t before = resident_bytes(), most = before;
    uint64_t slowest = 0;

    for (size_t i = 0; i < crowd_count; i++)
        come(&crowd[i], manner, i);
    for (size_t n = 0; n < LOGINS; n++) {
        uint64_t from = sys_now_ms(), took;

        dribble(manner, n);
        log_in((enum sys_transport)(n % SYS_TRANSPORTS));
        took = sys_now_ms() - from;
        slowest = took > slowest ? took : slowest;
        sys_must(&gateway, &inside, sys_client_ping(&inside, (uint16_t)(n + 3)));
        if (resident_bytes() > most)
            most = resident_bytes();
    }
    print_message("%s: slowest login %u ms, %zu bytes each\n", manner->name, (unsigned)slowest,
                  (most - before) / crowd_count);
    sys_check(&gateway, slowest <= sys_ms(LOGIN_MS_MAX + (crowd_count > CROWD ? 2 * BACK_MS : 0)),
              "%s: a login took %u ms", manner->name, (unsigned)slowest);
    sys_check(&gateway,
              sys_is_sanitized() ||
                  most - before <= crowd_count * SLOT_BYTES_MAX +
                                       SHARDS * (crowd_count / 9) * HANDSHAKE_BYTES_MAX,
              "%s: it took %zu bytes", manner->name, most - before);
    for (size_t i = 0; i < crowd_count; i++)
        sys_client_close(&crowd[i]);
    wait_until_gone();
}

static void no_crowd_keeps_devices_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(manners); i++)
        keeps_nobody_out(&manners[i]);
}

/* Connections that come, say something wrong and are cut at once, from an address each. */
static void a_flood_of_connections_leaves_nothing_behind(void **state)
{
    double unknown = sys_metric(&gateway, "tollgate_logins_unknown_total");
    double accepted = sys_metric(&gateway, "tollgate_accepted_total");
    static const char login[] = "\x1d\0\1\0\x20"
                                "nobody-has-this-token-0123456789";
    static const struct manner liar = {"a wrong token",        SYS_PLAIN,        false,
                                       (const uint8_t *)login, sizeof login - 1, false};
    struct sys_client c;
    size_t count = 5 * crowd_count;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        come(&c, &liar, i);
        if (i % 2 == 0 && c.fd >= 0) /* every second one hears the answer */
            (void)sys_client_receive(&c, sys_ms(SOON_MS));
        sys_client_cut(&c);
    }
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, devices[1].token, GW_RESPONSE_OK));
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         sys_metric(&gateway, "tollgate_accepted_total") - accepted < (double)count;
         sys_pause_ms(20))
        sys_check(&gateway, sys_now_ms() < deadline, "not all were accepted");
    sys_client_close(&c);
    wait_until_gone();
    assert_true(sys_metric(&gateway, "tollgate_logins_unknown_total") - unknown >=
                (double)count / 2);
    /* Each address failed once: none is locked out, however many there are. */
    assert_true(sys_metric(&gateway, "tollgate_lockout_sources") == 0);
}

static void make_hello(void)
{
    for (size_t i = 0; i < GW_ARRAY_COUNT(manners); i++)
        if (manners[i].bytes == hello)
            manners[i].size = sys_client_hello(gateway.tls, TLS1_3_VERSION, hello, sizeof hello);
}

int main(void)
{
    struct sys_group group = {
        .name = "crowd",
        .gateway = &gateway,
        .options = {.shards = SHARDS, .lockout = "profile = \"nat\";"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .bystander = &inside,
        .started = make_hello,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_crowd_keeps_devices_out),
        cmocka_unit_test(a_flood_of_connections_leaves_nothing_behind),
    };

    int failed;

    crowd = sys_crowd_create(&group, CROWD, &crowd_count);
    if (crowd == NULL)
        return 1;
    failed = SYS_GROUP_RUN(&group, tests);
    free(crowd);
    return failed;
}
