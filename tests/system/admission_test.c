/*
 * Who may begin a TLS handshake, and when: one at a time here, so that all others wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "group.h"

enum { AGE_S = 1, STRANGER_S = 2, SOON_MS = 10000 };

static struct sys_gateway gateway;
static struct sys_device device;

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
}

/* A TCP connection that says this and no more. */
static int say(const uint8_t *bytes, size_t size)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(gateway.tls_port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
    return fd;
}

/* The first bytes of a ClientHello. */
static int speak(void)
{
    static const uint8_t part[] = {0x16, 0x03, 0x01, 0x01, 0x00};

    return say(part, sizeof part);
}

/* A whole one: it is answered, and that answer is not. */
static int stall(void)
{
    uint8_t hello[2048];

    return say(hello, sys_client_hello(gateway.tls, TLS1_3_VERSION, hello, sizeof hello));
}

static void wait_for(const char *metric, double value)
{
    for (int i = 0; i < SOON_MS / 20; i++) {
        if (sys_metric(&gateway, metric) == value)
            return;
        sleep_ms(20);
    }
    sys_fail(&gateway, __FILE__, __LINE__, "%s is %g and not %g", metric,
             sys_metric(&gateway, metric), value);
}

static double closed_for(const char *reason)
{
    char name[96];

    (void)snprintf(name, sizeof name, "tollgate_closed_total{reason=\"%s\"}", reason);
    return sys_metric(&gateway, name);
}

/* The first takes the only place; the second is too old when that becomes free. */
static void who_waited_too_long_is_closed_without_a_handshake(void **state)
{
    double late = closed_for("handshake_late");
    int first = stall();
    int second;
    char byte;

    (void)state;
    wait_for("tollgate_handshakes", 1);
    second = speak();
    wait_for("tollgate_handshakes_waiting", 1);
    wait_for("tollgate_closed_total{reason=\"handshake_late\"}", late + 1);
    assert_true(read(second, &byte, 1) <= 0); /* no alert, no ServerHello */
    wait_for("tollgate_handshakes", 0);
    assert_true(sys_metric(&gateway, "tollgate_handshakes_done_total") == 0);
    (void)close(first);
    (void)close(second);
}

/* The rest of a hello comes with its beginning: who waits need not wait for that of another. */
static void half_a_hello_makes_room_at_once(void **state)
{
    double crowded = closed_for("crowded_out");
    int first = speak();
    struct sys_client client;

    (void)state;
    wait_for("tollgate_handshakes", 1);
    sleep_ms(200);
    sys_must(&gateway, &client, sys_connect(&gateway, &client, SYS_TLS13));
    sys_must(&gateway, &client, sys_client_login(&client, device.token, GW_RESPONSE_OK));
    assert_true(closed_for("crowded_out") == crowded + 1);
    sys_client_close(&client);
    (void)close(first);
}

/* It is given time, for its answer may be on its way; and no more than that. */
static void who_stalls_makes_room_after_a_while(void **state)
{
    double crowded = closed_for("crowded_out");
    int first = stall();
    struct sys_client client;

    (void)state;
    wait_for("tollgate_handshakes", 1);
    sleep_ms(STRANGER_S * 1000L - 500);
    assert_true(closed_for("crowded_out") == crowded);
    sys_must(&gateway, &client, sys_connect(&gateway, &client, SYS_TLS12));
    sys_must(&gateway, &client, sys_client_login(&client, device.token, GW_RESPONSE_OK));
    assert_true(closed_for("crowded_out") == crowded + 1);
    sys_client_close(&client);
    (void)close(first);
}

/* Slow to speak, but then there is nobody to wait for. */
static void who_speaks_late_is_served_at_once(void **state)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(gateway.tls_port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    sleep_ms(AGE_S * 1000L + 300);
    assert_int_equal(send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
    wait_for("tollgate_handshakes", 1);
    (void)close(fd);
    wait_for("tollgate_sessions", 0);
}

static void who_hung_up_while_waiting_is_gone_at_once(void **state)
{
    double gone = closed_for("peer_closed");
    int first = stall();
    int second;

    (void)state;
    wait_for("tollgate_handshakes", 1);
    second = speak();
    wait_for("tollgate_handshakes_waiting", 1);
    (void)close(second);
    wait_for("tollgate_closed_total{reason=\"peer_closed\"}", gone + 1);
    assert_true(sys_metric(&gateway, "tollgate_handshakes") == 1);
    (void)close(first);
    wait_for("tollgate_sessions", 0);
}

static void *leave_soon(void *fd)
{
    sleep_ms(AGE_S * 1000L / 3);
    (void)close(*(int *)fd);
    return NULL;
}

static void who_waits_is_served_when_its_turn_comes(void **state)
{
    int first = stall();
    struct sys_client client;
    pthread_t leaver;

    (void)state;
    wait_for("tollgate_handshakes", 1);
    assert_int_equal(pthread_create(&leaver, NULL, leave_soon, &first), 0);
    sys_must(&gateway, &client, sys_connect(&gateway, &client, SYS_TLS13));
    sys_must(&gateway, &client, sys_client_login(&client, device.token, GW_RESPONSE_OK));
    assert_int_equal(pthread_join(leaver, NULL), 0);
    sys_client_close(&client);
}

/* A crowd that says nothing takes slots, and nobody's turn. */
static void the_silent_take_no_turn(void **state)
{
    enum { CROWD = 100 };
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(gateway.tls_port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sys_client client;
    int fds[CROWD];

    (void)state;
    for (int i = 0; i < CROWD; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&to, sizeof to), 0);
    }
    wait_for("tollgate_sessions", CROWD);
    assert_true(sys_metric(&gateway, "tollgate_handshakes") == 0);
    sys_must(&gateway, &client, sys_connect(&gateway, &client, SYS_TLS12));
    sys_must(&gateway, &client, sys_client_login(&client, device.token, GW_RESPONSE_OK));
    sys_client_close(&client);
    for (int i = 0; i < CROWD; i++)
        (void)close(fds[i]);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "admission",
        .gateway = &gateway,
        .options = {.shards = 1,
                    .config = "handshakes_max = 1; handshake_age_s_max = 1; "
                              "stranger_s_max = 2; handshake_s_max = 10;\n"},
        .devices = &device,
        .device_count = 1,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waited_too_long_is_closed_without_a_handshake),
        cmocka_unit_test(half_a_hello_makes_room_at_once),
        cmocka_unit_test(who_stalls_makes_room_after_a_while),
        cmocka_unit_test(who_speaks_late_is_served_at_once),
        cmocka_unit_test(who_hung_up_while_waiting_is_gone_at_once),
        cmocka_unit_test(who_waits_is_served_when_its_turn_comes),
        cmocka_unit_test(the_silent_take_no_turn),
    };

    return SYS_GROUP_RUN(&group, tests);
}
