/*
 * One token, many connections, two shards: the newest lives, each older one is closed, and the log
 * tells it so that a reader knows in the end who is online.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "group.h"

enum { SOON_MS = 3000, LOGINS = 24, AT_ONCE = 16 };

static struct sys_gateway gateway;
static struct sys_updates updates;
static struct sys_device devices[5];

static void log_in(struct sys_client *c, const struct sys_device *device, size_t i)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, (enum sys_transport)(i % SYS_TRANSPORTS)));
    sys_must(&gateway, c, sys_client_login(c, device->token, GW_RESPONSE_OK));
}

/* The sessions that a log says are online: every one has ONLINE once, OFFLINE at most once, after.
 */
static size_t online_sessions(const struct sys_device *device, uint64_t *session)
{
    size_t online = 0;

    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;
        unsigned came = 0, went = 0;

        if (record->device != device->number || record->kind != GW_RECORD_ONLINE)
            continue;
        for (size_t k = 0; k < updates.count; k++) {
            const struct gw_record *other = &updates.items[k].record;

            if (other->session != record->session)
                continue;
            came += other->kind == GW_RECORD_ONLINE;
            went += other->kind == GW_RECORD_OFFLINE;
            sys_check(&gateway, other->kind != GW_RECORD_OFFLINE || k > i,
                      "OFFLINE before its ONLINE");
        }
        assert_int_equal(came, 1);
        assert_true(went <= 1);
        if (went == 0) {
            online++;
            *session = record->session;
        }
    }
    return online;
}

static void each_login_closes_the_one_before(void **state)
{
    struct sys_client clients[LOGINS];
    const struct sys_update *last = NULL;
    uint64_t newest = 0;
    uint32_t lanes = 0;

    (void)state;
    for (size_t i = 0; i < LOGINS; i++) {
        log_in(&clients[i], &devices[0], i);
        if (i > 0)
            sys_must(&gateway, &clients[i - 1],
                     sys_client_expect_end(&clients[i - 1], sys_ms(SOON_MS)));
        sys_must(&gateway, &clients[i], sys_client_ping(&clients[i], 2));
    }
    sys_updates_wait(&gateway, &updates, devices[0].number, GW_RECORD_OFFLINE, LOGINS - 1);
    assert_int_equal(sys_updates_count(&updates, devices[0].number, GW_RECORD_ONLINE, &last),
                     LOGINS);
    assert_int_equal(online_sessions(&devices[0], &newest), 1);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;

        if (record->device != devices[0].number)
            continue;
        lanes |= 1u << updates.items[i].lane;
        if (record->kind == GW_RECORD_OFFLINE)
            assert_true(gw_bytes_are(record->name, "replaced"));
    }
    sys_check(&gateway, lanes == 3, "both shards should have been hit, lanes 0x%x were", lanes);

    sys_client_close(&clients[LOGINS - 1]);
    sys_updates_wait(&gateway, &updates, devices[0].number, GW_RECORD_OFFLINE, LOGINS);
    assert_int_equal(online_sessions(&devices[0], &newest), 0);
    for (size_t i = 0; i < LOGINS - 1; i++)
        sys_client_close(&clients[i]);
}

static void of_logins_at_once_one_lives(void **state)
{
    struct sys_client clients[AT_ONCE];
    uint64_t survivor = 0;
    size_t alive = 0;

    (void)state;
    for (size_t i = 0; i < AT_ONCE; i++)
        sys_must(&gateway, &clients[i],
                 sys_connect(&gateway, &clients[i], (enum sys_transport)(i % SYS_TRANSPORTS)));
    for (size_t i = 0; i < AT_ONCE; i++)
        sys_must(&gateway, &clients[i],
                 sys_client_send_frame(&clients[i], GW_FRAME_HW_LOGIN, 1, devices[1].token, 32));
    for (size_t i = 0; i < AT_ONCE; i++) /* every one of them is told that it was granted */
        sys_must(&gateway, &clients[i],
                 sys_client_expect_response(&clients[i], 1, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    sys_updates_wait(&gateway, &updates, devices[1].number, GW_RECORD_OFFLINE, AT_ONCE - 1);
    assert_int_equal(online_sessions(&devices[1], &survivor), 1);
    for (size_t i = 0; i < AT_ONCE; i++)
        if (sys_client_ping(&clients[i], 2))
            alive++;
        else
            sys_must(&gateway, &clients[i], sys_client_expect_end(&clients[i], sys_ms(SOON_MS)));
    assert_int_equal(alive, 1);
    for (size_t i = 0; i < AT_ONCE; i++)
        sys_client_close(&clients[i]);
}

static void a_late_close_of_the_old_leaves_the_new_online(void **state)
{
    struct sys_client old[4], newest;
    uint64_t session = 0;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(old); i++) /* four, so that some cross shards */
        log_in(&old[i], &devices[2], i);
    log_in(&newest, &devices[2], 0);
    /* The old clients have neither read nor closed anything yet. Now they do, late. */
    sys_must(&gateway, &newest, sys_client_ping(&newest, 2));
    for (size_t i = 0; i < GW_ARRAY_COUNT(old); i++)
        sys_client_cut(&old[i]);
    sys_updates_wait(&gateway, &updates, devices[2].number, GW_RECORD_OFFLINE, GW_ARRAY_COUNT(old));
    assert_int_equal(online_sessions(&devices[2], &session), 1);
    /* The directory still knows the newest: another login finds and closes it. */
    log_in(&old[0], &devices[2], 1);
    sys_must(&gateway, &newest, sys_client_expect_end(&newest, sys_ms(SOON_MS)));
    sys_must(&gateway, &old[0], sys_client_ping(&old[0], 2));
    sys_client_close(&newest);
    sys_client_close(&old[0]);
}

static void what_the_old_one_wrote_is_kept(void **state)
{
    struct sys_client old, newest;
    char *text;

    (void)state;
    log_in(&old, &devices[3], 0);
    sys_must(&gateway, &old, sys_client_send_frame(&old, GW_FRAME_HARDWARE, 2, "vw\0001\0007", 6));
    sys_must(&gateway, &old, sys_client_ping(&old, 3));
    log_in(&newest, &devices[3], 1);
    sys_must(&gateway, &newest,
             sys_client_send_frame(&newest, GW_FRAME_HARDWARE, 2, "vw\0001\0008", 6));
    sys_must(&gateway, &newest, sys_client_ping(&newest, 3));
    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, devices[3].number);
    assert_string_equal(text, "write v1 37; write v1 38");
    free(text);
    sys_client_close(&old);
    sys_client_close(&newest);
}

static void other_devices_never_notice(void **state)
{
    struct sys_client bystander, fighters[6];

    (void)state;
    log_in(&bystander, &devices[4], 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(fighters); i++)
        log_in(&fighters[i], &devices[0], i);
    sys_must(&gateway, &bystander, sys_client_ping(&bystander, 2));
    sys_client_close(&bystander);
    for (size_t i = 0; i < GW_ARRAY_COUNT(fighters); i++)
        sys_client_close(&fighters[i]);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "newest wins",
        .gateway = &gateway,
        .options = {.shards = 2},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .updates = &updates,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_login_closes_the_one_before),
        cmocka_unit_test(of_logins_at_once_one_lives),
        cmocka_unit_test(a_late_close_of_the_old_leaves_the_new_online),
        cmocka_unit_test(what_the_old_one_wrote_is_kept),
        cmocka_unit_test(other_devices_never_notice),
    };

    return SYS_GROUP_RUN(&group, tests);
}
