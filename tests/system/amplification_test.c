/*
 * What a byte from a stranger costs the gateway: bytes that it sends, memory that it holds while
 * the connection lasts, and its CPU time beside that of whoever sent it. An entry point that gives
 * a small effort a large effect is one that is worth attacking. Prints a table.
 *
 * CPU times include the kernel's on both sides of the loopback device, in which each side pays for
 * part of the other's work: only large ratios mean something.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "group.h"
#include "websocket_client.h"

enum {
    ROUNDS = 400,
    RECEIVES = 64,
    SOON_MS = 5000,
    FACTOR_MAX = 10,
    /* A small hello that has RSA's longer certificates and its dearer signature for an answer. */
    RSA_FACTOR_MAX = 20,
    /* Of a connection that has sent nothing yet: its slot. */
    SLOT_BYTES = 1024,
    /* Of a handshake under way; there are handshakes_max of them. */
    HANDSHAKE_BYTES = 16384,
};

static struct sys_gateway gateway;
static struct sys_device insider;

/* ---- entry points ---- */

static uint8_t hello[2048], rsa_hello[2048];
static size_t hello_bytes, rsa_hello_bytes;
static char half_request[8000];

static const char wrong_login[] = "\x1d\0\1\0\x20"
                                  "nobody-has-this-token-0123456789";
static const char wrong_request[] =
    "GET /external/api/get?token=nobody-has-this-token-0123456789&v1 HTTP/1.1\r\nHost: a\r\n\r\n";

enum point {
    CONNECTION,
    HALF_LOGIN,
    WRONG_LOGIN,
    WRONG_REQUEST,
    HALF_REQUEST,
    WEBSOCKET,
    HALF_HELLO,
    HELLO,
    RSA_HELLO,
    TLS_12,
    TLS_13,
    TLS_LOGIN,
    POINTS,
};

static const struct {
    const char *name;
    enum sys_transport transport;
    bool bare;     /* to the port of TLS, whatever the transport */
    bool answered; /* something is said to it                    */
    bool shakes;   /* holds a handshake that is under way        */
    unsigned factor_max;
} points[POINTS] = {
    [CONNECTION] = {"a connection", SYS_PLAIN, false, false, false, FACTOR_MAX},
    [HALF_LOGIN] = {"half a login", SYS_PLAIN, false, false, false, FACTOR_MAX},
    [WRONG_LOGIN] = {"a wrong login", SYS_PLAIN, false, true, false, FACTOR_MAX},
    [WRONG_REQUEST] = {"a request with a wrong token", SYS_PLAIN, false, true, false, FACTOR_MAX},
    [HALF_REQUEST] = {"a request of 8 KB, not whole", SYS_PLAIN, false, false, false, FACTOR_MAX},
    [WEBSOCKET] = {"a WebSocket", SYS_PLAIN, false, true, false, FACTOR_MAX},
    [HALF_HELLO] = {"half a hello", SYS_PLAIN, true, false, true, FACTOR_MAX},
    [HELLO] = {"a hello, canned", SYS_PLAIN, true, true, true, FACTOR_MAX},
    [RSA_HELLO] = {"a hello, canned, that wants RSA", SYS_PLAIN, true, true, true, RSA_FACTOR_MAX},
    [TLS_12] = {"a handshake of TLS 1.2", SYS_TLS12, false, false, false, FACTOR_MAX},
    [TLS_13] = {"a handshake of TLS 1.3", SYS_TLS13, false, false, false, FACTOR_MAX},
    [TLS_LOGIN] = {"a wrong login in TLS 1.3", SYS_TLS13, false, true, false, FACTOR_MAX},
};

static bool say(struct sys_client *c, enum point point)
{
    switch (point) {
    case HALF_LOGIN:
        return sys_client_send(c, wrong_login, 6);
    case WRONG_LOGIN:
    case TLS_LOGIN:
        return sys_client_send(c, wrong_login, sizeof wrong_login - 1);
    case WRONG_REQUEST:
        return sys_client_send(c, wrong_request, sizeof wrong_request - 1);
    case HALF_REQUEST:
        return sys_client_send(c, half_request, sizeof half_request - 1);
    case WEBSOCKET:
        return sys_client_send(c, SYS_WEBSOCKET_OPEN, sizeof SYS_WEBSOCKET_OPEN - 1);
    case HALF_HELLO:
        return sys_client_send(c, hello, hello_bytes / 2);
    case HELLO:
        return sys_client_send(c, hello, hello_bytes);
    case RSA_HELLO:
        return sys_client_send(c, rsa_hello, rsa_hello_bytes);
    case CONNECTION:
    case TLS_12:
    case TLS_13:
    case POINTS:
        break;
    }
    return true;
}

/* ---- what is measured ---- */

struct cost {
    uint64_t cpu_ns, own_cpu_ns;
    uint64_t in_bytes, out_bytes; /* as the gateway counts them: TLS included */
    size_t resident_bytes;
};

static uint64_t cpu_of_gateway(void)
{
    char *path = sys_text("/proc/%d/task", (int)gateway.pid);
    DIR *tasks = opendir(path);
    uint64_t sum = 0;

    assert_non_null(tasks);
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        char *file, *text;

        if (task->d_name[0] == '.')
            continue;
        file = sys_text("%s/%s/schedstat", path, task->d_name);
        text = sys_file_text(file);
        sum += strtoull(text, NULL, 10);
        free(text);
        free(file);
    }
    (void)closedir(tasks);
    free(path);
    return sum;
}

static void take_stock(struct cost *out)
{
    char *path = sys_text("/proc/%d/statm", (int)gateway.pid);
    char *text;
    struct timespec own;

    sys_pause_ms(50); /* whatever was said has been taken */
    text = sys_file_text(path);
    out->resident_bytes = strtoull(strchr(text, ' '), NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
    free(text);
    free(path);
    out->in_bytes = (uint64_t)sys_metric(&gateway, "tollgate_bytes_in_total");
    out->out_bytes = (uint64_t)sys_metric(&gateway, "tollgate_bytes_out_total");
    out->cpu_ns = cpu_of_gateway();
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own), 0);
    out->own_cpu_ns = (uint64_t)own.tv_sec * 1000000000 + (uint64_t)own.tv_nsec;
}

/* What is done once after a start, and what the first of each kind touches, is charged to nobody.
 */
static void settle(void)
{
    struct cost now, before = {.resident_bytes = 0};

    for (take_stock(&now); now.resident_bytes != before.resident_bytes; take_stock(&now)) {
        before = now;
        sys_pause_ms(200);
    }
}

static void open_one(struct sys_client *c, enum point point, size_t i)
{
    struct sys_client_options options = sys_client_options(&gateway, points[point].transport);
    char source[32];

    (void)snprintf(source, sizeof source, "127.2.%zu.%zu", i / 250, 1 + i % 250);
    options.source = source; /* or the address would be locked out */
    if (points[point].bare)
        options.port = gateway.tls_port;
    sys_must(&gateway, c, sys_client_open(c, &options));
    sys_must(&gateway, c, say(c, point));
    if (points[point].answered)
        assert_true(sys_client_receive(c, sys_ms(SOON_MS)));
}

static void wait_until_gone(void)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(3 * SOON_MS);
         sys_metric(&gateway, "tollgate_sessions") > 0; sys_pause_ms(20))
        sys_check(&gateway, sys_now_ms() < deadline, "sessions are left");
}

static double ratio(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : (double)a / (double)b;
}

static void measure(enum point point)
{
    static struct sys_client clients[ROUNDS];
    struct cost before, held;
    uint64_t in, memory, slot_bytes;

    take_stock(&before);
    for (size_t i = 0; i < ROUNDS; i++)
        open_one(&clients[i], point, i);
    take_stock(&held);
    for (size_t i = 0; i < ROUNDS; i++)
        sys_client_cut(&clients[i]);
    wait_until_gone();
    in = held.in_bytes - before.in_bytes;
    memory = held.resident_bytes > before.resident_bytes
                 ? held.resident_bytes - before.resident_bytes
                 : 0;
    print_message("%-30s %8.0f %8.0f %8.1f %8.0f %8.1f %8.1f %8.1f\n", points[point].name,
                  ratio(in, ROUNDS), ratio(held.out_bytes - before.out_bytes, ROUNDS),
                  ratio(held.out_bytes - before.out_bytes, in), ratio(memory, ROUNDS),
                  ratio(held.cpu_ns - before.cpu_ns, ROUNDS) / 1000,
                  ratio(held.own_cpu_ns - before.own_cpu_ns, ROUNDS) / 1000,
                  ratio(held.cpu_ns - before.cpu_ns, held.own_cpu_ns - before.own_cpu_ns));
    slot_bytes = (uint64_t)ROUNDS * (points[point].shakes ? HANDSHAKE_BYTES : SLOT_BYTES);
    sys_check(&gateway, held.out_bytes - before.out_bytes <= points[point].factor_max * in,
              "%s: it says too much", points[point].name);
    if (sys_is_sanitized())
        return;
    sys_check(&gateway, memory <= slot_bytes + FACTOR_MAX * in, "%s: it holds too much",
              points[point].name);
    sys_check(&gateway,
              held.cpu_ns - before.cpu_ns <=
                  points[point].factor_max * (held.own_cpu_ns - before.own_cpu_ns),
              "%s: it works too much", points[point].name);
}

static void no_entry_point_costs_ten_times_what_it_takes(void **state)
{
    (void)state;
    print_message("%-30s %8s %8s %8s %8s %8s %8s %8s\n", "each, on average", "bytes in", "out",
                  "out/in", "held", "CPU us", "client", "ratio");
    for (int point = 0; point < POINTS; point++)
        measure((enum point)point);
}

/* What is touched once is touched before anything is weighed. */
static void warm_up(void)
{
    static const char head[] = "POST /external/api/batch/update?token=";
    struct sys_client c;
    SSL_CTX *rsa;

    memset(half_request, 'a', sizeof half_request - 1);
    memcpy(half_request, head, sizeof head - 1);
    hello_bytes = sys_client_hello(gateway.tls, TLS1_3_VERSION, hello, sizeof hello);
    rsa = SSL_CTX_new(TLS_client_method());
    assert_true(rsa != NULL && SSL_CTX_set_cipher_list(rsa, "ECDHE-RSA-AES128-GCM-SHA256") == 1);
    rsa_hello_bytes = sys_client_hello(rsa, TLS1_2_VERSION, rsa_hello, sizeof rsa_hello);
    SSL_CTX_free(rsa);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_login(&c, insider.token, GW_RESPONSE_OK));
        for (unsigned id = 2; id < 2 + RECEIVES; id++) /* a receive buffer each, in turn */
            sys_must(&gateway, &c, sys_client_ping(&c, (uint16_t)id));
        sys_client_close(&c);
    }
    settle();
}

int main(void)
{
    static const struct sys_group group = {
        .name = "amplification",
        .gateway = &gateway,
        .options = {.shards = 1,
                    .config = "ring: { receive_buffers = 64; };\n" /* RECEIVES */
                              "rate: { frames_per_s = 1000000; burst = 1000000; };\n"},
        .devices = &insider,
        .device_count = 1,
        .started = warm_up,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_entry_point_costs_ten_times_what_it_takes),
    };

    return SYS_GROUP_RUN(&group, tests);
}
