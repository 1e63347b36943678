/*
 * Connections by way of proxies: the address that a trusted one names is the connection's, whatever
 * the cuts; a bad header ends it; and nobody else can name an address.
 *
 * 127.0.0.9 is the trusted proxy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "group.h"

#define PROXY  "127.0.0.9"
#define LINE   "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
#define BINARY "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"
#define HEADER(text)                                                                               \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

enum { SOON_MS = 5000, HAPROXY_MS = 10000 };

static struct sys_gateway gateway;
static struct sys_device device;
static struct sys_updates updates;
static size_t logins; /* of the device so far */

static const struct {
    struct gw_bytes header;
    const char *peer; /* as ONLINE records have it; NULL: the socket's own */
} headers[] = {
    {HEADER(LINE), "192.0.2.1:56324"},
    {HEADER("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"), "[2001:db8::1]:1"},
    {HEADER("PROXY TCP6 ::ffff:192.0.2.3 ::ffff:192.0.2.4 1 2\r\n"), "192.0.2.3:1"},
    {HEADER("PROXY UNKNOWN\r\n"), NULL},
    {HEADER(BINARY "\x21\x11\x00\x0C\xC0\x00\x02\x02\xC6\x33\x64\x07\xDC\x04\x01\xBB"),
     "192.0.2.2:56324"},
    {HEADER(BINARY "\x21\x11\x00\x11\xC0\x00\x02\x05\xC6\x33\x64\x07\xDC\x04\x01\xBB"
                   "\x04\x00\x02\x00\x00"),
     "192.0.2.5:56324"},
    {HEADER(BINARY "\x20\x00\x00\x00"), NULL},
};

static struct sys_client_options from_proxy(enum sys_transport transport, struct gw_bytes header)
{
    struct sys_client_options options = sys_client_options(&gateway, transport);

    options.source = PROXY;
    options.preamble = header;
    return options;
}

/* Logs in and leaves; the peer of its ONLINE record, owned by the caller. */
static char *log_in(struct sys_client *c)
{
    const struct sys_update *last = NULL;

    sys_must(&gateway, c, sys_client_login(c, device.token, GW_RESPONSE_OK));
    sys_must(&gateway, c, sys_client_ping(c, 2));
    sys_client_close(c);
    sys_updates_wait(&gateway, &updates, device.number, GW_RECORD_ONLINE, ++logins);
    (void)sys_updates_count(&updates, device.number, GW_RECORD_ONLINE, &last);
    return strndup((const char *)last->record.value.data, last->record.value.size);
}

static void expect_peer(struct sys_client *c, const char *expected)
{
    char *peer = log_in(c);

    if (expected == NULL)
        sys_check(&gateway, strncmp(peer, PROXY ":", sizeof PROXY) == 0, "peer %s", peer);
    else
        sys_check(&gateway, strcmp(peer, expected) == 0, "peer %s, expected %s", peer, expected);
    free(peer);
}

static void the_named_address_is_the_connections(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(headers); i++)
        for (enum sys_transport transport = 0; transport < SYS_TRANSPORTS; transport++) {
            struct sys_client_options options = from_proxy(transport, headers[i].header);
            struct sys_client c;

            options.cut = i % 2; /* header and hello at once, or each byte alone */
            sys_must(&gateway, &c, sys_client_open(&c, &options));
            expect_peer(&c, headers[i].peer);
        }
    assert_true(sys_metric(&gateway, "tollgate_proxied_total") ==
                (double)(GW_ARRAY_COUNT(headers) * SYS_TRANSPORTS));
}

/* One half, a pause, and the other with a login behind it. */
static void a_header_may_be_cut_anywhere(void **state)
{
    static const size_t both[] = {0, 4};
    uint8_t rest[256];

    (void)state;
    for (size_t h = 0; h < GW_ARRAY_COUNT(both); h++) {
        const struct gw_bytes header = headers[both[h]].header;

        for (size_t at = 1; at < header.size; at++) {
            struct gw_bytes first = gw_bytes_of(header.data, at);
            struct sys_client_options options = from_proxy(SYS_PLAIN, first);
            struct gw_frame login = {
                .type = GW_FRAME_HW_LOGIN, .msg_id = 1, .body = gw_bytes_text(device.token)};
            size_t bytes = header.size - at;
            struct sys_client c;

            memcpy(rest, header.data + at, bytes);
            bytes += gw_frame_encode(rest + bytes, sizeof rest - bytes, &login);
            sys_must(&gateway, &c, sys_client_open(&c, &options));
            sys_pause_ms(2);
            sys_must(&gateway, &c, sys_client_send(&c, rest, bytes));
            sys_must(&gateway, &c,
                     sys_client_expect_response(&c, 1, GW_RESPONSE_OK, sys_ms(SOON_MS)));
            sys_client_close(&c);
            logins++;
        }
    }
}

static double closed_for(const char *reason)
{
    char *name = sys_text("tollgate_closed_total{reason=\"%s\"}", reason);
    double count = sys_metric(&gateway, name);

    free(name);
    return count;
}

static void anything_else_from_a_proxy_is_its_end(void **state)
{
    static const struct gw_bytes bad[] = {
        HEADER("\x1d\x00\x01\x00\x20"),
        HEADER("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        HEADER("PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n"),
        HEADER("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n"),
        HEADER(BINARY "\x21\x31\x00\xD8"),
        HEADER(BINARY "\x21\x11\xFF\xFF"),
    };
    double before = closed_for("proxy_bad");

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(bad); i++) {
        struct sys_client_options options = from_proxy(SYS_PLAIN, bad[i]);
        struct sys_client c;

        sys_must(&gateway, &c, sys_client_open(&c, &options));
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
        sys_client_close(&c);
    }
    assert_true(closed_for("proxy_bad") == before + (double)GW_ARRAY_COUNT(bad));

    /* No header where TLS is spoken: a ClientHello is none. */
    struct sys_client_options options = from_proxy(SYS_TLS13, gw_bytes_of(NULL, 0));
    struct sys_client c;

    assert_false(sys_client_open(&c, &options));
    assert_true(closed_for("proxy_bad") == before + (double)GW_ARRAY_COUNT(bad) + 1);
}

static void nobody_else_can_name_an_address(void **state)
{
    struct sys_client_options options = from_proxy(SYS_PLAIN, headers[4].header);
    struct sys_client c;
    double before = closed_for("proxy_bad"), garbage = closed_for("not_logged_in");

    (void)state;
    options.source = "127.0.0.10";
    sys_must(&gateway, &c, sys_client_open(&c, &options)); /* version 2: no protocol */
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
    assert_true(closed_for("not_logged_in") == garbage + 1);
    options.preamble = headers[0].header; /* version 1: a letter, and no request */
    sys_must(&gateway, &c, sys_client_open(&c, &options));
    while (sys_client_receive(&c, 100))
        continue;
    assert_true(c.in_bytes > 12 && memcmp(c.in, "HTTP/1.1 400", 12) == 0);
    sys_client_close(&c);
    options = sys_client_options(&gateway, SYS_TLS13);
    options.preamble = headers[0].header;
    assert_false(sys_client_open(&c, &options)); /* no ClientHello */
    assert_true(closed_for("proxy_bad") == before);
}

/* ---- a proxy that we did not write ---- */

static const char *find_haproxy(void)
{
    static const char *const places[] = {"/usr/sbin/haproxy", "/usr/local/sbin/haproxy"};

    for (size_t i = 0; i < GW_ARRAY_COUNT(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

static uint16_t free_port(void)
{
    struct sys_client c; /* of a listener that is gone at once: nobody else takes it meanwhile */
    uint16_t port = (uint16_t)(20000 + getpid() % 10000);

    for (;; port++) {
        struct sys_client_options options = {.port = port, .transport = SYS_PLAIN};
        bool taken = sys_client_open(&c, &options);

        sys_client_close(&c);
        if (!taken)
            return port;
    }
}

static void by_haproxy(const char *program, const char *send, enum sys_transport transport)
{
    char *path = sys_text("%s/haproxy.cfg", gateway.dir);
    char *log = sys_text("%s/haproxy.log", gateway.dir);
    const char *const argv[] = {program, "-db", "-f", path, NULL};
    uint16_t port = free_port();
    char *config =
        sys_text("global\n"
                 "    maxconn 100\n"
                 "defaults\n"
                 "    mode tcp\n"
                 "    timeout connect 5s\n"
                 "    timeout client 30s\n"
                 "    timeout server 30s\n"
                 "listen devices\n"
                 "    bind 127.0.0.1:%u\n"
                 "    server gateway 127.0.0.1:%u source " PROXY " %s\n",
                 port, transport == SYS_PLAIN ? gateway.plain_port : gateway.tls_port, send);
    struct sys_client_options options = sys_client_options(&gateway, transport);
    uint64_t deadline = sys_now_ms() + sys_ms(HAPROXY_MS);
    struct sys_client c;
    int exit_code;
    pid_t haproxy;
    char *peer;

    sys_check(&gateway, sys_file_write(path, config), "%s: %s", path, strerror(errno));
    haproxy = sys_spawn(argv, NULL, log);
    options.port = port;
    options.source = "127.0.0.77";
    while (!sys_client_open(&c, &options)) {
        sys_check(&gateway, sys_now_ms() < deadline, "haproxy: %s", sys_file_text(log));
        sys_pause_ms(20);
    }
    peer = log_in(&c);
    sys_check(&gateway, strncmp(peer, "127.0.0.77:", 11) == 0, "peer %s", peer);
    free(peer);
    kill(haproxy, SIGTERM);
    if (!sys_wait(haproxy, sys_ms(SOON_MS), &exit_code)) {
        kill(haproxy, SIGKILL);
        (void)!sys_wait(haproxy, sys_ms(SOON_MS), &exit_code);
    }
    free(config);
    free(path);
    free(log);
}

static void haproxy_is_understood(void **state)
{
    const char *program = find_haproxy();

    (void)state;
    if (program == NULL)
        skip();
    for (enum sys_transport transport = 0; transport < SYS_TRANSPORTS; transport++) {
        by_haproxy(program, "send-proxy", transport);
        by_haproxy(program, "send-proxy-v2", transport);
        by_haproxy(program, "send-proxy-v2 proxy-v2-options crc32c", transport);
    }
}

int main(void)
{
    static const struct sys_group group = {
        .name = "proxy",
        .gateway = &gateway,
        .options = {.shards = 2,
                    .listener = "proxy_from = [\"" PROXY "\", \"2001:db8::/32\"];",
                    .config = "rate: { burst = 10000; };\n"},
        .devices = &device,
        .device_count = 1,
        .updates = &updates,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_named_address_is_the_connections),
        cmocka_unit_test(a_header_may_be_cut_anywhere),
        cmocka_unit_test(anything_else_from_a_proxy_is_its_end),
        cmocka_unit_test(nobody_else_can_name_an_address),
        cmocka_unit_test(haproxy_is_understood),
    };

    return SYS_GROUP_RUN(&group, tests);
}
