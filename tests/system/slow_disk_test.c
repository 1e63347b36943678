/*
 * A disk that stops, and what devices notice of it: nothing is acknowledged early, nobody is
 * dropped, and a PING that waits is kept company by PINGs of ours every 4 s, because a client that
 * hears nothing for 18 s gives up (docs/protocol.md, "Heartbeat").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

enum { SOON_MS = 3000, OWN_PING_MS = 4000, EARLY_MS = 200, LATE_MS = 1000 };

static struct sys_gateway gateway;
static struct sys_updates updates;
static struct sys_device devices[12];

static void log_in(struct sys_client *c, const struct sys_device *device,
                   enum sys_transport transport)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, transport));
    sys_must(&gateway, c, sys_client_login(c, device->token, GW_RESPONSE_OK));
    sys_must(&gateway, c, sys_client_ping(c, 2)); /* its ONLINE is on disk: nothing is pending */
}

static void write_one(struct sys_client *c, uint16_t msg_id)
{
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_HARDWARE, msg_id, "vw\0001\0007", 6));
}

/* The next frame is a PING of the gateway's, about 4 s after `from`; it is answered. */
static uint64_t expect_own_ping(struct sys_client *c, uint64_t from)
{
    uint8_t answer[GW_FRAME_HEADER_BYTES];
    struct gw_frame frame;
    uint64_t now;

    sys_must(&gateway, c, sys_client_frame(c, &frame, OWN_PING_MS + sys_ms(LATE_MS)));
    now = sys_now_ms();
    assert_int_equal(frame.type, GW_FRAME_PING);
    assert_int_not_equal(frame.msg_id, 0); /* clients drop the connection on an id of 0 */
    assert_int_equal(frame.body.size, 0);
    assert_in_range(now - from, OWN_PING_MS - EARLY_MS, OWN_PING_MS + sys_ms(LATE_MS));
    frame = (struct gw_frame){.type = GW_FRAME_RESPONSE, .msg_id = frame.msg_id, .status = 200};
    sys_must(&gateway, c,
             sys_client_send(c, answer, gw_frame_encode(answer, sizeof answer, &frame)));
    return now;
}

static void c28_a_ping_that_waits_is_kept_company(void **state)
{
    struct sys_client waiting, idle;
    uint64_t at;

    (void)state;
    log_in(&waiting, &devices[0], SYS_TLS13);
    log_in(&idle, &devices[1], SYS_PLAIN);
    sys_disk_stall(&gateway);
    write_one(&waiting, 3);
    at = sys_now_ms();
    sys_must(&gateway, &waiting, sys_client_send_frame(&waiting, GW_FRAME_PING, 4, NULL, 0));
    at = expect_own_ping(&waiting, at);
    /* The device asks again, as the library does every 6 s; only the newest is answered. */
    sys_must(&gateway, &waiting, sys_client_send_frame(&waiting, GW_FRAME_PING, 5, NULL, 0));
    at = expect_own_ping(&waiting, at);
    (void)expect_own_ping(&waiting, at);
    /* Who has nothing pending is not made to wait, whatever the disk does. */
    sys_must(&gateway, &idle, sys_client_ping(&idle, 3));

    sys_disk_resume(&gateway);
    sys_must(&gateway, &waiting,
             sys_client_expect_response(&waiting, 5, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    sys_must(&gateway, &waiting, sys_client_ping(&waiting, 6)); /* and 4 is answered no more */
    sys_client_close(&waiting);
    sys_client_close(&idle);
}

static void nothing_is_acknowledged_before_the_disk_has_it(void **state)
{
    static const struct {
        uint8_t type;
        const char *body;
        size_t bytes;
    } asked[] = {
        {GW_FRAME_PROPERTY, "1\0color\0#D3435C", 15},
        {GW_FRAME_EVENT_LOG, "hot\0desc", 8},
        {GW_FRAME_EVENT_CLEAR, "hot", 3},
        {GW_FRAME_INTERNAL, "meta\0set\0Serial\000123", 19},
    };
    struct sys_client clients[GW_ARRAY_COUNT(asked)];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(asked); i++)
        log_in(&clients[i], &devices[2 + i], (enum sys_transport)(i % SYS_TRANSPORTS));
    sys_disk_stall(&gateway);
    for (size_t i = 0; i < GW_ARRAY_COUNT(asked); i++)
        sys_must(
            &gateway, &clients[i],
            sys_client_send_frame(&clients[i], asked[i].type, 3, asked[i].body, asked[i].bytes));
    for (size_t i = 0; i < GW_ARRAY_COUNT(asked); i++)
        sys_must(&gateway, &clients[i], sys_client_expect_silence(&clients[i], 500));
    /* A reader is not shown what is not durable, either. */
    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < GW_ARRAY_COUNT(asked); i++) {
        char *text = sys_updates_text(&updates, devices[2 + i].number);

        assert_string_equal(text, "");
        free(text);
    }
    sys_disk_resume(&gateway);
    for (size_t i = 0; i < GW_ARRAY_COUNT(asked); i++) {
        sys_must(&gateway, &clients[i],
                 sys_client_expect_response(&clients[i], 3, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        sys_client_close(&clients[i]);
    }
    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < GW_ARRAY_COUNT(asked); i++) {
        char *text = sys_updates_text(&updates, devices[2 + i].number);

        assert_string_not_equal(text, "");
        free(text);
    }
}

/* ---- pressure ---- */

enum { FLOOD_WRITES = 600, FLOOD_BODY_BYTES = 3000 }; /* far more than a lane holds: 8 * 64 KiB */

struct flood {
    struct sys_client client;
    pthread_t thread;
    bool sent;
};

static void *send_flood(void *argument)
{
    struct flood *flood = (struct flood *)argument;
    static char body[FLOOD_BODY_BYTES];

    flood->sent = true;
    for (uint32_t i = 1; i <= FLOOD_WRITES && flood->sent; i++) {
        memset(body, 'x', sizeof body);
        memcpy(body, "vw\0001", 5);
        body[4] = '\0';
        (void)snprintf(body + 5, sizeof body - 5, "%u", i);
        flood->sent = sys_client_send_frame(&flood->client, GW_FRAME_HARDWARE, (uint16_t)i, body,
                                            sizeof body);
    }
    flood->sent = flood->sent &&
                  sys_client_send_frame(&flood->client, GW_FRAME_PING, FLOOD_WRITES + 1, NULL, 0);
    return NULL;
}

/* The flood runs, and the gateway has stopped to read it: the lane is full. */
static void begin_flood(struct flood *flood, const struct sys_device *device)
{
    const double before = sys_metric(&gateway, "tollgate_parked_for_lane_total");
    const uint64_t deadline = sys_now_ms() + sys_ms(10000);

    log_in(&flood->client, device, SYS_TLS13);
    sys_disk_stall(&gateway);
    assert_int_equal(pthread_create(&flood->thread, NULL, send_flood, flood), 0);
    while (sys_metric(&gateway, "tollgate_parked_for_lane_total") <= before) {
        sys_check(&gateway, sys_now_ms() < deadline, "the full lane stopped nobody");
        sys_pause_ms(20);
    }
}

/* The disk is back: what was held back is taken, acknowledged, and in the log in its order. */
static void end_flood(struct flood *flood, const struct sys_device *device)
{
    uint32_t seen = 0;

    sys_disk_resume(&gateway);
    assert_int_equal(pthread_join(flood->thread, NULL), 0);
    sys_check(&gateway, flood->sent, "%s", flood->client.failure);
    for (struct gw_frame frame = {.type = GW_FRAME_PING}; frame.type == GW_FRAME_PING;)
        sys_must(&gateway, &flood->client,
                 sys_client_frame(&flood->client, &frame, sys_ms(SOON_MS)));
    sys_client_close(&flood->client);
    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;

        if (record->device != device->number || record->kind != GW_RECORD_PIN_WRITE)
            continue;
        assert_int_equal(record->value.size, FLOOD_BODY_BYTES - 5);
        assert_int_equal(strtoul((const char *)record->value.data, NULL, 10), ++seen);
    }
    assert_int_equal(seen, FLOOD_WRITES);
}

/* The log's room is bounded: past it the gateway stops reading, and takes all of it up later. */
static void pressure_stops_the_reading_and_loses_nothing(void **state)
{
    static struct flood flood;

    (void)state;
    begin_flood(&flood, &devices[6]);
    assert_int_equal(sys_admin_get(&gateway, "/livez", NULL), 200);
    end_flood(&flood, &devices[6]);
}

/* One shard serves both: who has no updates pending is read and answered as ever. */
static void pressure_does_not_touch_who_has_nothing_pending(void **state)
{
    static struct flood flood;
    struct sys_client idle;

    (void)state;
    log_in(&idle, &devices[7], SYS_TLS12);
    begin_flood(&flood, &devices[8]);
    sys_must(&gateway, &idle, sys_client_ping(&idle, 3));
    sys_client_close(&idle);
    end_flood(&flood, &devices[8]);
}
/*
 * While the lane is full: a login is told to come back (19, never 9), and a device whose update
 * cannot be taken hears a PING of ours every 4 s until it can.
 */
static void a_full_lane_lets_nobody_in_and_keeps_those_inside_company(void **state)
{
    static struct flood flood;
    struct sys_client writer, newcomer;
    uint64_t at;

    (void)state;
    log_in(&writer, &devices[9], SYS_TLS13);
    begin_flood(&flood, &devices[10]);
    sys_must(&gateway, &newcomer, sys_connect(&gateway, &newcomer, SYS_TLS13));
    sys_must(&gateway, &newcomer,
             sys_client_login(&newcomer, devices[11].token, GW_RESPONSE_SERVER_EXCEPTION));
    sys_must(&gateway, &newcomer, sys_client_expect_end(&newcomer, sys_ms(SOON_MS)));
    sys_client_close(&newcomer);
    at = sys_now_ms();
    write_one(&writer, 3);
    sys_must(&gateway, &writer, sys_client_send_frame(&writer, GW_FRAME_PING, 4, NULL, 0));
    at = expect_own_ping(&writer, at);
    (void)expect_own_ping(&writer, at);
    end_flood(&flood, &devices[10]);
    sys_must(&gateway, &writer,
             sys_client_expect_response(&writer, 4, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    sys_client_close(&writer);
}

/*
 * All of a fleet wait for the same sync, many more than the shard has chunks for its answers; some
 * of our PINGs are due meanwhile, all at once as well. Nobody is sent away for want of one.
 */
static void a_crowd_that_waited_is_answered_to_the_last(void **state)
{
    enum { CROWD = 300 }; /* with 64 chunks, see main */
    static struct sys_device fleet[CROWD];
    static struct sys_client crowd[CROWD];
    struct gw_frame frame;

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, fleet, CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        sys_must(&gateway, &crowd[i], sys_connect(&gateway, &crowd[i], SYS_PLAIN));
        sys_must(&gateway, &crowd[i], sys_client_login(&crowd[i], fleet[i].token, GW_RESPONSE_OK));
    }
    sys_disk_stall(&gateway);
    for (size_t i = 0; i < CROWD; i++) {
        write_one(&crowd[i], 3);
        sys_must(&gateway, &crowd[i], sys_client_send_frame(&crowd[i], GW_FRAME_PING, 4, NULL, 0));
    }
    sys_pause_ms(OWN_PING_MS + 1000);
    sys_disk_resume(&gateway);
    for (size_t i = 0; i < CROWD; i++) {
        do
            sys_must(&gateway, &crowd[i], sys_client_frame(&crowd[i], &frame, sys_ms(SOON_MS)));
        while (frame.type == GW_FRAME_PING);
        assert_int_equal(frame.type, GW_FRAME_RESPONSE);
        assert_int_equal(frame.msg_id, 4);
        sys_client_close(&crowd[i]);
    }
}

/* A test that failed with the disk stopped must not take the others with it. */
static int resume(void **state)
{
    (void)state;
    sys_disk_resume(&gateway);
    return 0;
}

int main(void)
{
    static const struct sys_group group = {
        .name = "slow disk",
        .gateway = &gateway,
        .options = {.shards = 1,
                    .slow_disk = true,
                    .config = "rate: { frames_per_s = 100000; burst = 100000; };\n"
                              "chunks_per_shard = 64;\n"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .updates = &updates,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(c28_a_ping_that_waits_is_kept_company, resume),
        cmocka_unit_test_teardown(nothing_is_acknowledged_before_the_disk_has_it, resume),
        cmocka_unit_test_teardown(pressure_stops_the_reading_and_loses_nothing, resume),
        cmocka_unit_test_teardown(pressure_does_not_touch_who_has_nothing_pending, resume),
        cmocka_unit_test_teardown(a_full_lane_lets_nobody_in_and_keeps_those_inside_company,
                                  resume),
        cmocka_unit_test_teardown(a_crowd_that_waited_is_answered_to_the_last, resume),
    };

    return SYS_GROUP_RUN(&group, tests);
}
