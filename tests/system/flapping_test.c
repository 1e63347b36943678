/*
 * One token on several boards: each takes the other's session away until one is left in peace. Four
 * shards, so that logins are counted over all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "websocket_client.h"

enum { SHARDS = 4, LOGINS = 8, LOCK_S = 4, BOARDS = 6, TRIES_EACH = 8, SOON_MS = 3000 };

static struct sys_gateway gateway;
static struct sys_device devices[3];

static uint16_t log_in(struct sys_client *c, const struct sys_device *device)
{
    struct gw_frame frame = {.status = 0};

    if (!sys_connect(&gateway, c, SYS_PLAIN) ||
        !sys_client_send_frame(c, GW_FRAME_HW_LOGIN, 1, device->token, 32) ||
        !sys_client_frame(c, &frame, sys_ms(SOON_MS)))
        return 0;
    return frame.status;
}

static double closed_as_flapping(void)
{
    return sys_metric(&gateway, "tollgate_closed_total{reason=\"flapping\"}");
}

/* Two boards in turn, as fast as they can. */
static void the_last_of_so_many_logins_is_left_in_peace(void **state)
{
    struct sys_client boards[LOGINS], late;
    double refused = closed_as_flapping();
    uint64_t locked;
    char *named;

    (void)state;
    for (size_t i = 0; i < LOGINS; i++)
        assert_int_equal(log_in(&boards[i], &devices[0]), GW_RESPONSE_OK);
    locked = sys_now_ms();
    for (size_t i = 0; i + 1 < LOGINS; i++) {
        sys_must(&gateway, &boards[i], sys_client_expect_end(&boards[i], sys_ms(SOON_MS)));
        sys_client_close(&boards[i]);
    }
    /* By TCP, in TLS and over WebSocket. */
    assert_int_equal(log_in(&late, &devices[0]), GW_RESPONSE_QUOTA_LIMIT);
    sys_must(&gateway, &late, sys_client_expect_end(&late, sys_ms(SOON_MS)));
    sys_client_close(&late);
    sys_must(&gateway, &late, sys_connect(&gateway, &late, SYS_TLS13));
    sys_must(&gateway, &late, sys_client_login(&late, devices[0].token, GW_RESPONSE_QUOTA_LIMIT));
    sys_client_close(&late);
    sys_must(&gateway, &late, sys_connect(&gateway, &late, SYS_PLAIN));
    sys_must(&gateway, &late, sys_websocket_open(&late));
    sys_must(&gateway, &late,
             sys_websocket_login(&late, devices[0].token, GW_RESPONSE_QUOTA_LIMIT));
    sys_must(&gateway, &late, sys_websocket_expect_close(&late, GW_WEBSOCKET_POLICY));
    sys_client_close(&late);
    assert_true(closed_as_flapping() == refused + 3);
    /* The last one works, other devices do, and the operator is told which it is. */
    sys_must(&gateway, &boards[LOGINS - 1], sys_client_ping(&boards[LOGINS - 1], 2));
    assert_int_equal(log_in(&late, &devices[1]), GW_RESPONSE_OK);
    sys_client_close(&late);
    named = sys_gateway_log_wait(&gateway, "flapping", 0, "device");
    assert_int_equal(strtoul(named, NULL, 10), devices[0].number);
    free(named);
    assert_true(sys_metric(&gateway, "tollgate_flapping_total") == 1);
    while (sys_now_ms() < locked + LOCK_S * 1000 + 200) /* it ends by itself */
        sys_pause_ms(50);
    assert_int_equal(log_in(&late, &devices[0]), GW_RESPONSE_OK);
    sys_must(&gateway, &boards[LOGINS - 1],
             sys_client_expect_end(&boards[LOGINS - 1], sys_ms(SOON_MS)));
    sys_client_close(&late);
    sys_client_close(&boards[LOGINS - 1]);
}

static atomic_uint granted, refused, otherwise;

static void *try_on(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < TRIES_EACH; i++) {
        struct sys_client c;
        uint16_t status = log_in(&c, &devices[2]);

        atomic_fetch_add(status == GW_RESPONSE_OK            ? &granted
                         : status == GW_RESPONSE_QUOTA_LIMIT ? &refused
                                                             : &otherwise,
                         1);
        sys_client_close(&c);
    }
    return NULL;
}

static void logins_are_counted_over_all_shards(void **state)
{
    pthread_t boards[BOARDS];
    struct sys_client c;

    (void)state;
    for (size_t i = 0; i < BOARDS; i++)
        assert_int_equal(pthread_create(&boards[i], NULL, try_on, NULL), 0);
    for (size_t i = 0; i < BOARDS; i++)
        assert_int_equal(pthread_join(boards[i], NULL), 0);
    sys_check(&gateway,
              atomic_load(&granted) == LOGINS &&
                  atomic_load(&refused) == BOARDS * TRIES_EACH - LOGINS,
              "%u granted, %u refused, %u otherwise", atomic_load(&granted), atomic_load(&refused),
              atomic_load(&otherwise));
    sys_device_rotate(&gateway, &devices[2]); /* a new token begins anew */
    assert_int_equal(log_in(&c, &devices[2]), GW_RESPONSE_OK);
    sys_client_close(&c);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "flapping",
        .gateway = &gateway,
        .options = {.shards = SHARDS, .flapping = "lock_s = 4;" /* LOCK_S */},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_of_so_many_logins_is_left_in_peace),
        cmocka_unit_test(logins_are_counted_over_all_shards),
    };

    return SYS_GROUP_RUN(&group, tests);
}
