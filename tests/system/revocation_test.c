/*
 * What an operator takes away, devices that are connected lose: four shards, so that the one that
 * has a session is mostly not the owner of its device, and every way to be connected in turn. Each
 * is told why, nothing of it is recorded any more, and nobody else notices.
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
    EACH = 12, /* connections of a case: each way twice, and shards that are not the owner's */
    FLEET = 48,
    WRITERS = 8,
    RACERS = 6,
    RACES = 12,
};

#define OTHER_PRODUCT "TMPLotherone1"
#define BULK_PRODUCT  "TMPLthebulk01"

static struct sys_gateway gateway;
static struct sys_updates updates;
static struct sys_device bystander_device;
static struct sys_client bystander;

/* The ways to be connected, in turn: each transport, and each with messages of WebSocket. */
static bool is_websocket(size_t i)
{
    return i / SYS_TRANSPORTS % 2 == 1;
}

static void log_in_for(struct sys_client *c, const char *token, size_t i, uint16_t status)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, (enum sys_transport)(i % SYS_TRANSPORTS)));
    if (is_websocket(i)) {
        sys_must(&gateway, c, sys_websocket_open(c));
        sys_must(&gateway, c, sys_websocket_login(c, token, status));
    } else {
        sys_must(&gateway, c, sys_client_login(c, token, status));
    }
}

static void log_in(struct sys_client *c, const struct sys_device *device, size_t i)
{
    log_in_for(c, device->token, i, GW_RESPONSE_OK);
}

/* The gateway hangs up, and says why where that can be said. */
static void expect_end(struct sys_client *c, size_t i)
{
    if (is_websocket(i))
        sys_must(&gateway, c, sys_websocket_expect_close(c, GW_WEBSOCKET_POLICY));
    else
        sys_must(&gateway, c, sys_client_expect_end(c, sys_ms(SOON_MS)));
    sys_client_close(c);
}

static void expect_login(const char *token, size_t i, uint16_t status)
{
    struct sys_client c;

    log_in_for(&c, token, i, status);
    if (status == GW_RESPONSE_OK)
        sys_client_close(&c);
    else
        expect_end(&c, i);
}

static void write_one(struct sys_client *c, size_t i, uint16_t msg_id)
{
    static const char write[] = "vw\0001\0007";

    if (is_websocket(i))
        sys_must(&gateway, c,
                 sys_websocket_send_frame(c, GW_FRAME_HARDWARE, msg_id, write, sizeof write - 1));
    else
        sys_must(&gateway, c,
                 sys_client_send_frame(c, GW_FRAME_HARDWARE, msg_id, write, sizeof write - 1));
}

static void ping(struct sys_client *c, size_t i, uint16_t msg_id)
{
    if (is_websocket(i))
        sys_must(&gateway, c, sys_websocket_ping(c, msg_id));
    else
        sys_must(&gateway, c, sys_client_ping(c, msg_id));
}

/* tollgatectl FAMILY VERB DEVICE [WORD ...] */
static void change(const char *family, const char *verb, uint32_t device, const char *option,
                   const char *value)
{
    char number[16];

    (void)snprintf(number, sizeof number, "%u", device);
    free(sys_ctl(&gateway, NULL, family, verb, number, option, value, NULL));
}

/* It is told `status` in answer to its newest frame (0: nothing), and closed. */
static void expect_closed(struct sys_client *c, size_t i, uint16_t last_id, uint16_t status)
{
    if (status != 0 && is_websocket(i))
        sys_must(&gateway, c, sys_websocket_expect_response(c, last_id, status));
    else if (status != 0)
        sys_must(&gateway, c, sys_client_expect_response(c, last_id, status, sys_ms(SOON_MS)));
    expect_end(c, i);
}

/* Its newest session ended for this reason, and has nothing after its end. */
static void expect_offline(uint32_t device, size_t nth, const char *reason)
{
    const struct sys_update *last = NULL;
    size_t seen = 0;

    sys_updates_wait(&gateway, &updates, device, GW_RECORD_OFFLINE, nth);
    (void)sys_updates_count(&updates, device, GW_RECORD_OFFLINE, &last);
    sys_check(&gateway, gw_bytes_are(last->record.name, reason), "device %u: offline because %s",
              device, (const char *)last->record.name.data);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;

        if (record->session == last->record.session) {
            sys_check(&gateway, record->sequence == ++seen, "device %u: a record is missing",
                      device);
            sys_check(&gateway, record->sequence <= last->record.sequence,
                      "device %u: a record after its end", device);
        }
    }
}

static void each_change_closes_with_its_reason(void **state)
{
    static const struct {
        const char *family, *verb, *option, *value;
        uint16_t told, then; /* what the connected one hears; what its next login is answered */
        const char *reason;
    } rows[] = {
        {"token", "revoke", NULL, NULL, 9, 9, "token_revoked"},
        {"token", "rotate", NULL, NULL, 9, 9, "token_revoked"},
        {"device", "disable", NULL, NULL, 6, 6, "device_disabled"},
        {"device", "move", "--product", OTHER_PRODUCT, 0, GW_RESPONSE_OK, "device_moved"},
        {"token", "window", "--not-after", "1000", 6, 6, "token_not_now"},
    };
    struct sys_device devices[EACH];
    struct sys_client clients[EACH];

    (void)state;
    for (size_t r = 0; r < GW_ARRAY_COUNT(rows); r++) {
        sys_devices_add(&gateway, SYS_PRODUCT, devices, EACH);
        for (size_t i = 0; i < EACH; i++) {
            log_in(&clients[i], &devices[i], i);
            write_one(&clients[i], i, 2);
            ping(&clients[i], i, 3);
        }
        for (size_t i = 0; i < EACH; i++)
            change(rows[r].family, rows[r].verb, devices[i].number, rows[r].option, rows[r].value);
        for (size_t i = 0; i < EACH; i++)
            expect_closed(&clients[i], i, 3, rows[r].told);
        for (size_t i = 0; i < EACH; i++) {
            expect_offline(devices[i].number, 1, rows[r].reason);
            expect_login(devices[i].token, i, rows[r].then);
        }
    }
    sys_must(&gateway, &bystander, sys_client_ping(&bystander, 4));
}

static void changes_that_take_nothing_away_close_nobody(void **state)
{
    struct sys_device devices[EACH], more;
    struct sys_client clients[EACH];

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, devices, EACH);
    for (size_t i = 0; i < EACH; i++)
        sys_device_rotate(&gateway, &devices[i]);
    for (size_t i = 0; i < EACH; i++)
        log_in(&clients[i], &devices[i], i); /* with the new token */
    for (size_t i = 0; i < EACH; i++) {
        change("device", "enable", devices[i].number, NULL, NULL);
        change("token", "window", devices[i].number, "--not-after", "4000000000");
    }
    sys_devices_add(&gateway, SYS_PRODUCT, &more, 1);
    free(sys_ctl(&gateway, NULL, "product", "open", SYS_PRODUCT, NULL));
    for (size_t i = 0; i < EACH; i++) {
        sys_must(&gateway, &clients[i], sys_client_expect_silence(&clients[i], 50));
        ping(&clients[i], i, 2);
        sys_client_close(&clients[i]);
    }
}

static void a_closed_product_loses_its_devices_and_no_other_does(void **state)
{
    static const char *const closes[][3] = {{"product", BULK_PRODUCT, "open"},
                                            {"org", "Bulk", "open"}};
    static struct sys_device devices[FLEET];
    static struct sys_client clients[FLEET];

    (void)state;
    free(sys_ctl(&gateway, NULL, "org", "add", "Bulk", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", BULK_PRODUCT, "--org", "Bulk", "--plain",
                 NULL));
    sys_devices_add(&gateway, BULK_PRODUCT, devices, FLEET);
    for (size_t r = 0; r < GW_ARRAY_COUNT(closes); r++) {
        double swept = sys_metric(&gateway, "tollgate_sweeps_total");

        for (size_t i = 0; i < FLEET; i++)
            log_in(&clients[i], &devices[i], i);
        free(sys_ctl(&gateway, NULL, closes[r][0], "close", closes[r][1], NULL));
        for (size_t i = 0; i < FLEET; i++)
            expect_closed(&clients[i], i, 1, GW_RESPONSE_NOT_ALLOWED);
        expect_login(devices[0].token, r, GW_RESPONSE_NOT_ALLOWED);
        sys_must(&gateway, &bystander, sys_client_ping(&bystander, 5));
        sys_check(&gateway, sys_metric(&gateway, "tollgate_sweeps_total") == swept + SHARDS,
                  "each shard sweeps once");
        free(sys_ctl(&gateway, NULL, closes[r][0], closes[r][2], closes[r][1], NULL));
        for (size_t i = 0; i < FLEET; i++)
            expect_offline(devices[i].number, r + 1, "product_closed");
    }
}

/* ---- while they write ---- */

struct writer {
    pthread_t thread;
    const struct sys_device *device;
    size_t number;
    uint32_t sent;
    char failure[1024];
};

/* Writes until it is closed, and on for a while when it has been told so. */
static void *write_on(void *argument)
{
    struct writer *w = argument;
    struct sys_client c;

    if (!sys_connect(&gateway, &c, (enum sys_transport)(w->number % SYS_TRANSPORTS)) ||
        !sys_client_login(&c, w->device->token, GW_RESPONSE_OK)) {
        (void)snprintf(w->failure, sizeof w->failure, "%s", c.failure);
        return NULL;
    }
    while (c.end == SYS_OPEN && w->sent < 100000) {
        if (!sys_client_send_frame(&c, GW_FRAME_HARDWARE, 2, "vw\0001\0007", 6))
            break; /* it was closed */
        w->sent++;
        (void)sys_client_receive(&c, 5);
    }
    sys_client_close(&c);
    return NULL;
}

static void nothing_is_recorded_after_the_end(void **state)
{
    struct sys_device devices[WRITERS];
    struct writer writers[WRITERS] = {{.number = 0}};

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, devices, WRITERS);
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i].device = &devices[i];
        writers[i].number = i;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
    for (size_t i = 0; i < WRITERS; i++)
        sys_updates_wait(&gateway, &updates, devices[i].number, GW_RECORD_PIN_WRITE, 3);
    for (size_t i = 0; i < WRITERS; i++)
        if (i % 2 == 0)
            change("token", "revoke", devices[i].number, NULL, NULL);
        else
            change("device", "disable", devices[i].number, NULL, NULL);
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        sys_check(&gateway, writers[i].failure[0] == '\0', "%s", writers[i].failure);
        assert_true(writers[i].sent < 100000);
        expect_offline(devices[i].number, 1, i % 2 == 0 ? "token_revoked" : "device_disabled");
        assert_true(sys_updates_count(&updates, devices[i].number, GW_RECORD_PIN_WRITE, NULL) <=
                    writers[i].sent);
    }
}

/* ---- while they log in ---- */

struct racer {
    pthread_t thread;
    const char *token;
    size_t number;
    atomic_uint *granted;
    char failure[1024];
};

/* Logs in again and again, until the token is unknown. */
static void *race(void *argument)
{
    struct racer *r = argument;
    uint64_t deadline = sys_now_ms() + sys_ms(4 * SOON_MS);
    uint16_t status = GW_RESPONSE_OK;

    while (status == GW_RESPONSE_OK) {
        struct sys_client c;
        struct gw_frame frame;

        if (!sys_connect(&gateway, &c, SYS_PLAIN) ||
            !sys_client_send_frame(&c, GW_FRAME_HW_LOGIN, 1, r->token, 32) ||
            !sys_client_frame(&c, &frame, sys_ms(SOON_MS)) || sys_now_ms() > deadline) {
            (void)snprintf(r->failure, sizeof r->failure, "%s", c.failure);
            sys_client_close(&c);
            break;
        }
        status = frame.status;
        if (status == GW_RESPONSE_OK)
            atomic_fetch_add(r->granted, 1);
        if (status != GW_RESPONSE_OK && status != GW_RESPONSE_INVALID_TOKEN)
            (void)snprintf(r->failure, sizeof r->failure, "status %u", status);
        sys_client_cut(&c);
    }
    return NULL;
}

static void a_login_under_way_does_not_escape(void **state)
{
    struct sys_device devices[RACES];
    atomic_uint granted = 0;

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, devices, RACES);
    for (size_t k = 0; k < RACES; k++) {
        struct racer racers[RACERS] = {{.number = 0}};
        struct sys_client holder;
        unsigned before = atomic_load(&granted);

        for (size_t i = 0; i < RACERS; i++) {
            racers[i] = (struct racer){.token = devices[k].token, .number = i, .granted = &granted};
            assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        while (atomic_load(&granted) < before + RACERS)
            sys_pause_ms(1);
        change("token", k % 2 == 0 ? "revoke" : "rotate", devices[k].number, NULL, NULL);
        for (size_t i = 0; i < RACERS; i++) {
            assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
            sys_check(&gateway, racers[i].failure[0] == '\0', "%s", racers[i].failure);
        }
        /* Whoever got in has cut the link or is closed; nobody can come now. */
        sys_must(&gateway, &holder, sys_connect(&gateway, &holder, SYS_PLAIN));
        sys_must(&gateway, &holder,
                 sys_client_login(&holder, devices[k].token, GW_RESPONSE_INVALID_TOKEN));
        sys_client_close(&holder);
    }
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         sys_metric(&gateway, "tollgate_sessions_live") != 1; sys_pause_ms(10))
        sys_check(&gateway, sys_now_ms() < deadline, "%g live", /* the bystander alone */
                  sys_metric(&gateway, "tollgate_sessions_live"));
}

/* ---- what speaks for a device without being its session ---- */

static void bridge(struct sys_client *c, uint16_t msg_id, const void *body, size_t size)
{
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_BRIDGE, msg_id, body, size));
}

static void a_target_is_forgotten_with_its_token(void **state)
{
    static const char write64[] = "64\0vw\0001\0005";
    struct sys_client from, to;

    (void)state;
    for (size_t pairs = 0; pairs < EACH; pairs++) {
        size_t i = pairs % SYS_TRANSPORTS;
        struct sys_device pair[2];
        char body[64];
        int size;

        sys_devices_add(&gateway, SYS_PRODUCT, pair, 2);
        log_in(&from, &pair[0], i);
        log_in(&to, &pair[1], i);
        size = snprintf(body, sizeof body, "64%ci%c%s", 0, 0, pair[1].token);
        bridge(&from, 2, body, (size_t)size);
        sys_must(&gateway, &from,
                 sys_client_expect_response(&from, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        bridge(&from, 3, write64, sizeof write64 - 1);
        sys_must(&gateway, &to,
                 sys_client_expect(&to, "\x0f\0\3\0\6vw\0001\0005", 11, sys_ms(SOON_MS)));
        sys_device_rotate(&gateway, &pair[1]);
        expect_closed(&to, i, 1, GW_RESPONSE_INVALID_TOKEN);
        log_in(&to, &pair[1], i);
        /* Every shard reads the change for itself: the writer's may be a moment behind. */
        for (uint16_t id = 4;; id++) {
            bridge(&from, id, write64, sizeof write64 - 1);
            if (sys_client_expect_response(&from, id, GW_RESPONSE_NOT_ALLOWED, 300))
                break;
            assert_true(id < 10);
        }
        size = snprintf(body, sizeof body, "64%ci%c%s", 0, 0, pair[1].token);
        bridge(&from, 20, body, (size_t)size);
        sys_must(&gateway, &from,
                 sys_client_expect_response(&from, 20, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        change("device", "disable", pair[1].number, NULL, NULL);
        expect_closed(&to, i, 1, GW_RESPONSE_NOT_ALLOWED);
        for (uint16_t id = 21;; id++) {
            struct gw_frame frame;

            bridge(&from, id, write64, sizeof write64 - 1);
            sys_must(&gateway, &from, sys_client_frame(&from, &frame, sys_ms(SOON_MS)));
            if (frame.status == GW_RESPONSE_NOT_ALLOWED)
                break;
            assert_int_equal(frame.status, GW_RESPONSE_NOT_IN_NETWORK);
            assert_true(id < 100);
            sys_pause_ms(10);
        }
        sys_client_close(&from);
    }
}

/* Their requests bring a token each: the connection stays, the answer changes. */
static void a_kept_http_connection_is_refused_from_then_on(void **state)
{
    static const struct {
        const char *family, *verb, *option, *value;
        const char *refused;
    } rows[] = {
        {"token", "revoke", NULL, NULL, "HTTP/1.1 400 "},
        {"token", "rotate", NULL, NULL, "HTTP/1.1 400 "},
        {"device", "disable", NULL, NULL, "HTTP/1.1 403 "},
        {"token", "window", "--not-after", "1000", "HTTP/1.1 403 "},
    };
    static const char ok[] = "HTTP/1.1 200 ";

    (void)state;
    for (size_t r = 0; r < GW_ARRAY_COUNT(rows); r++) {
        struct sys_device device;
        struct sys_client c;
        char *request;

        sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
        request = sys_text("GET /external/api/update?token=%s&v1=5 HTTP/1.1\r\nHost: a\r\n\r\n",
                           device.token);
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)(r % SYS_TRANSPORTS)));
        sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
        sys_must(&gateway, &c, sys_client_expect(&c, ok, sizeof ok - 1, sys_ms(SOON_MS)));
        while (memmem(c.in, c.in_bytes, "\r\n\r\n", 4) == NULL && sys_client_receive(&c, 20))
            continue;
        c.in_bytes = 0; /* the rest of its head */
        change(rows[r].family, rows[r].verb, device.number, rows[r].option, rows[r].value);
        sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
        sys_must(&gateway, &c,
                 sys_client_expect(&c, rows[r].refused, strlen(rows[r].refused), sys_ms(SOON_MS)));
        sys_client_close(&c);
        sys_updates_read(&gateway, &updates);
        assert_int_equal(sys_updates_count(&updates, device.number, GW_RECORD_PIN_WRITE, NULL), 1);
        free(request);
    }
}

static void the_metrics_tell_how_many_and_how_late(void **state)
{
    double count = sys_metric(&gateway, "tollgate_revocations_total");
    double mean_ms = sys_metric(&gateway, "tollgate_revocation_delay_ms_total") / count;

    (void)state;
    sys_check(&gateway, count >= 5 * EACH + 2 * FLEET + WRITERS - EACH, "only %g were counted",
              count);
    print_message("%g revocations, %.1f ms after the change on average\n", count, mean_ms);
    sys_check(&gateway, mean_ms < 1000, "a mean of %g ms", mean_ms);
    sys_must(&gateway, &bystander, sys_client_ping(&bystander, 6));
}

static void add_others(void)
{
    free(sys_ctl(&gateway, NULL, "org", "add", "Elsewhere", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", OTHER_PRODUCT, "--org", "Elsewhere",
                 "--plain", NULL));
    sys_devices_fill(&gateway, 1000);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "revocation",
        .gateway = &gateway,
        .options = {.shards = SHARDS},
        .devices = &bystander_device,
        .device_count = 1,
        .updates = &updates,
        .bystander = &bystander,
        .prepare = add_others,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_closes_with_its_reason),
        cmocka_unit_test(changes_that_take_nothing_away_close_nobody),
        cmocka_unit_test(a_closed_product_loses_its_devices_and_no_other_does),
        cmocka_unit_test(nothing_is_recorded_after_the_end),
        cmocka_unit_test(a_login_under_way_does_not_escape),
        cmocka_unit_test(a_target_is_forgotten_with_its_token),
        cmocka_unit_test(a_kept_http_connection_is_refused_from_then_on),
        cmocka_unit_test(the_metrics_tell_how_many_and_how_late),
    };

    return SYS_GROUP_RUN(&group, tests);
}
