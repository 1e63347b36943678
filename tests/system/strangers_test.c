/*
 * Connections that never log in, and what they cost those that did: nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "group.h"

enum { STRANGERS = 200, SOON_MS = 3000 };

static struct sys_gateway gateway;
static struct sys_device device;

/* The pool of chunks is far smaller than the crowd, each of which leaves part of a login behind. */
static void a_crowd_of_half_logins_takes_nothing_from_devices(void **state)
{
    static const uint8_t part[] = {0x1d, 0x00, 0x01, 0x00, 0x20, 'x', 'w', '7'};
    static struct sys_client strangers[STRANGERS];
    struct sys_client inside, later;

    (void)state;
    sys_must(&gateway, &inside, sys_connect(&gateway, &inside, SYS_TLS13));
    sys_must(&gateway, &inside, sys_client_login(&inside, device.token, GW_RESPONSE_OK));
    for (size_t i = 0; i < STRANGERS; i++) {
        sys_must(&gateway, &strangers[i], sys_connect(&gateway, &strangers[i], SYS_PLAIN));
        sys_must(&gateway, &strangers[i],
                 sys_client_send(&strangers[i], part, 1 + i % sizeof part));
    }
    sys_must(&gateway, &inside, sys_client_ping(&inside, 2));
    sys_must(&gateway, &later, sys_connect(&gateway, &later, SYS_TLS12));
    sys_must(&gateway, &later, sys_client_login(&later, device.token, GW_RESPONSE_OK));
    sys_must(&gateway, &later, sys_client_ping(&later, 2));
    assert_true(sys_metric(&gateway, "tollgate_closed_total{reason=\"no_memory\"}") == 0);
    sys_client_close(&later);
    sys_client_close(&inside);
    for (size_t i = 0; i < STRANGERS; i++)
        sys_client_close(&strangers[i]);
}

/* Its last bytes and its end come in one event; the end is seen all the same, and at once. */
static void who_speaks_and_leaves_is_gone_at_once(void **state)
{
    enum { VISITS = 20 };
    static const uint8_t part[] = {0x1d, 0x00, 0x01};
    struct sys_client visitors[VISITS];
    double before = sys_metric(&gateway, "tollgate_accepted_total");

    (void)state;
    assert_int_equal(kill(gateway.pid, SIGSTOP), 0); /* all of it is there when it looks */
    for (int i = 0; i < VISITS; i++) {
        sys_must(&gateway, &visitors[i], sys_connect(&gateway, &visitors[i], SYS_PLAIN));
        sys_must(&gateway, &visitors[i], sys_client_send(&visitors[i], part, sizeof part));
        assert_int_equal(shutdown(visitors[i].fd, SHUT_WR), 0);
    }
    assert_int_equal(kill(gateway.pid, SIGCONT), 0);
    while (sys_metric(&gateway, "tollgate_accepted_total") < before + VISITS)
        (void)poll(NULL, 0, 20);
    for (int i = 0; i < SOON_MS / 20 && sys_metric(&gateway, "tollgate_sessions") > 0; i++)
        (void)poll(NULL, 0, 20);
    assert_true(sys_metric(&gateway, "tollgate_sessions") == 0);
    for (int i = 0; i < VISITS; i++)
        sys_client_close(&visitors[i]);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "strangers",
        .gateway = &gateway,
        .options = {.shards = 1, .config = "chunks_per_shard = 16;\n"},
        .devices = &device,
        .device_count = 1,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_of_half_logins_takes_nothing_from_devices),
        cmocka_unit_test(who_speaks_and_leaves_is_gone_at_once),
    };

    return SYS_GROUP_RUN(&group, tests);
}
