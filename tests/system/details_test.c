/*
 * What a device is told of itself: the time of its zone, its metadata, and which events its product
 * has. The index changes while the gateway runs.
 *
 * The gateway reads a tz database of the test's own. It links to zones of the machine's, which are
 * compared with what libc shows, and holds one whose clock is put forward while the test looks, so
 * that both sides of a change are seen in a process whose clock nobody moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "group.h"
#include "http_client.h"

enum { SOON_MS = 3000, JUMP_AFTER_S = 8, FROM_S = 20700, TO_S = 24300 }; /* +05:45, +06:45 */

#define STRICT "TMPLstrict001"

static struct sys_gateway gateway;
static struct sys_updates updates;
static char *zones_path;
static int64_t jump_s; /* when the clocks of Test/Jump go forward */

/* ---- the tz database ---- */

static uint8_t *put_be32(uint8_t *p, uint32_t v)
{
    gw_store_be16(p, (uint16_t)(v >> 16));
    gw_store_be16(p + 2, (uint16_t)v);
    return p + 4;
}

/* RFC 8536: one change, from standard time to daylight saving, and no rule behind it. */
static void write_jump(const char *path)
{
    uint8_t bytes[256] = {0}, *p = bytes;
    FILE *out = fopen(path, "wb");

    for (int block = 0; block < 2; block++) {
        memcpy(p, "TZif2", 5);
        if (block == 1)
            (void)put_be32(p + 32, 1); /* times */
        (void)put_be32(p + 36, 2);     /* types */
        (void)put_be32(p + 40, 4);     /* chars */
        p += 44;
        if (block == 1) {
            p = put_be32(p, (uint32_t)((uint64_t)jump_s >> 32));
            p = put_be32(p, (uint32_t)jump_s);
            *p++ = 1;
        }
        p = put_be32(p, FROM_S);
        p += 2;
        p = put_be32(p, TO_S);
        *p = 1;
        p += 2 + 4;
    }
    memcpy(p, "\n\n", 2);
    p += 2;
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, (size_t)(p - bytes), out), (size_t)(p - bytes));
    assert_int_equal(fclose(out), 0);
}

static void make_database(void)
{
    static const char *const linked[] = {"Asia", "America", "Australia", "Europe", "UTC"};
    char *folder = sys_text("%s/tz", gateway.dir), *path = sys_text("%s/tz/Test", gateway.dir);

    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
    for (size_t i = 0; i < GW_ARRAY_COUNT(linked); i++) {
        char *target = sys_text("/usr/share/zoneinfo/%s", linked[i]);

        path = sys_text("%s/%s", folder, linked[i]);
        assert_int_equal(symlink(target, path), 0);
        free(target);
        free(path);
    }
    path = sys_text("%s/Test/Jump", folder);
    write_jump(path);
    free(path);
    assert_int_equal(setenv("TZDIR", folder, 1), 0);
    zones_path = folder;
}

static void set_zone(const struct sys_device *device, const char *zone)
{
    char *number = sys_text("%u", device->number);

    free(sys_ctl(&gateway, NULL, "device", "set", number, "--time-zone", zone, NULL));
    free(number);
}

/* ---- questions ---- */

/*
 * Not time(2), which lags by a tick of the kernel's. The gateway takes the time once a turn: an
 * answer may be older than its question by as much.
 */
static int64_t now_ms(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

enum { TURN_MS = 100 };

static struct sys_device new_device(const char *product)
{
    struct sys_device device;

    sys_devices_add(&gateway, product, &device, 1);
    return device;
}

static void connect_as(struct sys_client *c, const struct sys_device *device)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, SYS_TLS13));
    sys_must(&gateway, c, sys_client_login(c, device->token, GW_RESPONSE_OK));
}

static void send_parts(struct sys_client *c, uint8_t type, uint16_t msg_id, const char *parts)
{
    uint8_t body[512];
    const size_t size = strlen(parts);

    assert_true(size < sizeof body);
    for (size_t i = 0; i < size; i++)
        body[i] = parts[i] == '|' ? '\0' : (uint8_t)parts[i];
    sys_must(&gateway, c, sys_client_send_frame(c, type, msg_id, body, size));
}

/* Asks in an INTERNAL frame; the answer, owned by the caller. '|' stands for NUL both ways. */
static char *ask(struct sys_client *c, const char *question)
{
    static uint16_t msg_id = 100;
    struct gw_frame frame;
    char *text;

    send_parts(c, GW_FRAME_INTERNAL, ++msg_id, question);
    sys_must(&gateway, c, sys_client_frame(c, &frame, sys_ms(SOON_MS)));
    assert_int_equal(frame.type, GW_FRAME_INTERNAL);
    assert_int_equal(frame.msg_id, msg_id);
    text = malloc(frame.body.size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < frame.body.size; i++)
        text[i] = frame.body.data[i] == '\0' ? '|' : (char)frame.body.data[i];
    text[frame.body.size] = '\0';
    return text;
}

static void expect_answer(struct sys_client *c, const char *question, const char *answer)
{
    char *text = ask(c, question);

    assert_string_equal(text, answer);
    free(text);
}

/* The number behind "rtc|". */
static int64_t ask_rtc(struct sys_client *c)
{
    char *text = ask(c, "rtc|sync");
    int64_t value;

    assert_memory_equal(text, "rtc|", 4);
    value = strtoll(text + 4, NULL, 10);
    free(text);
    return value;
}

/* The number in the answer to the device's question over HTTP: ["1700000000"]. */
static int64_t ask_http_rtc(const struct sys_device *device)
{
    struct http_answer answer;
    struct sys_client c;
    int64_t value;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    http_ask(&gateway, &c, device, "GET /{T}/rtc" END, &answer);
    sys_client_close(&c);
    assert_int_equal(answer.status, 200);
    assert_int_equal(sscanf(answer.body, "[\"%" SCNd64 "\"]", &value), 1);
    return value;
}

/* What `rtc` and `utc iso` say for this device is what libc shows in the zone. */
static void expect_libc(const struct sys_device *device, const char *zone)
{
    char iso[64], *text = NULL, *name = sys_text("utc|tz_name|%s", zone);
    int64_t before_ms, after_ms, rtc;
    struct sys_client c;
    struct tm parts;
    time_t second;

    set_zone(device, zone);
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
    connect_as(&c, device);
    before_ms = now_ms() - TURN_MS;
    rtc = ask_rtc(&c);
    after_ms = now_ms();
    second = before_ms / 1000;
    assert_non_null(localtime_r(&second, &parts));
    assert_in_range(rtc, before_ms / 1000 + parts.tm_gmtoff, after_ms / 1000 + parts.tm_gmtoff);
    rtc = ask_http_rtc(device);
    after_ms = now_ms();
    assert_in_range(rtc, before_ms / 1000 + parts.tm_gmtoff, after_ms / 1000 + parts.tm_gmtoff);
    do { /* within one second, or there are two right answers */
        free(text);
        before_ms = now_ms() - TURN_MS;
        text = ask(&c, "utc|iso");
        after_ms = now_ms();
    } while (before_ms / 1000 != after_ms / 1000);
    second = before_ms / 1000;
    assert_non_null(localtime_r(&second, &parts));
    assert_true(strftime(iso, sizeof iso, "utc|iso|%Y-%m-%dT%H:%M:%S%z", &parts) > 0);
    memmove(iso + strlen(iso) - 1, iso + strlen(iso) - 2, 3); /* +0545 to +05:45 */
    iso[strlen(iso) - 3] = ':';
    assert_string_equal(text, iso);
    free(text);
    expect_answer(&c, "utc|tz_name", name);
    sys_client_close(&c);
    free(name);
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

/* ---- time ---- */

static void the_time_is_that_of_the_devices_zone(void **state)
{
    static const char *const zones[] = {"Europe/Berlin",
                                        "Asia/Kathmandu",
                                        "Australia/Lord_Howe",
                                        "America/St_Johns",
                                        "Asia/Kolkata",
                                        "America/New_York",
                                        "UTC"};
    struct sys_device device = new_device(SYS_PRODUCT);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(zones); i++)
        expect_libc(&device, zones[i]);
}

static void rules_and_offsets_are_told(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    struct sys_client c;

    (void)state;
    connect_as(&c, &device);
    expect_answer(&c, "utc|tz_name", "utc|tz_name|UTC");
    expect_answer(&c, "utc|tz", "utc|tz|0|0");
    expect_answer(&c, "utc|tz_rule", "utc|tz_rule|UTC0");
    expect_answer(&c, "utc|dst_next", "utc|dst_next");
    set_zone(&device, "Asia/Kathmandu"); /* the session that is up sees it */
    expect_answer(&c, "utc|tz", "utc|tz|345|0");
    expect_answer(&c, "utc|tz_rule", "utc|tz_rule|<+0545>-5:45");
    sys_client_close(&c);
}

/* In one session: before the change, at it, after it. */
static void a_change_of_the_clocks_is_seen_when_it_happens(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    char *next = sys_text("utc|dst_next|%" PRId64 "|%d", jump_s, TO_S / 60);
    struct sys_client c;
    int64_t before_ms, after_ms, rtc;
    bool seen = false;

    (void)state;
    set_zone(&device, "Test/Jump");
    connect_as(&c, &device);
    for (;;) {
        before_ms = now_ms() - TURN_MS;
        rtc = ask_rtc(&c);
        after_ms = now_ms();
        if (before_ms >= jump_s * 1000)
            break;
        if (after_ms < jump_s * 1000) {
            assert_in_range(rtc, before_ms / 1000 + FROM_S, after_ms / 1000 + FROM_S);
            seen = true;
        }
        if (after_ms < (jump_s - 1) * 1000) {
            expect_answer(&c, "utc|tz", "utc|tz|345|0");
            expect_answer(&c, "utc|dst_next", next);
        }
        sys_pause_ms(100);
    }
    assert_in_range(rtc, before_ms / 1000 + TO_S, after_ms / 1000 + TO_S);
    expect_answer(&c, "utc|tz", "utc|tz|345|60");
    expect_answer(&c, "utc|dst_next", "utc|dst_next");
    if (!seen)
        print_message("the machine was too slow to see the time before the change\n");
    sys_client_close(&c);
    free(next);
}

/* Set by a tollgatectl that knows more zones than the gateway read at its start. */
static void a_zone_that_the_gateway_does_not_know_is_not_made_up(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    const double counted = sys_metric(&gateway, "tollgate_zones_unknown_total");
    char *text;
    struct sys_client c;

    (void)state;
    assert_int_equal(setenv("TZDIR", "/usr/share/zoneinfo", 1), 0);
    set_zone(&device, "Pacific/Chatham");
    assert_int_equal(setenv("TZDIR", zones_path, 1), 0);
    connect_as(&c, &device);
    send_parts(&c, GW_FRAME_INTERNAL, 2, "rtc");
    send_parts(&c, GW_FRAME_INTERNAL, 3, "utc|iso");
    text = ask(&c, "utc|time"); /* which needs no zone, and is the first answer to come */
    assert_memory_equal(text, "utc|time|", 9);
    free(text);
    assert_true(sys_metric(&gateway, "tollgate_zones_unknown_total") >= counted + 3);
    sys_client_close(&c);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    http_must(&gateway, &c, &device, "GET /{T}/rtc" END, 503, "Try again later.");
    sys_client_close(&c);
}

/* ---- metadata ---- */

static void a_field_is_read_as_it_stands_now(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT), other = new_device(SYS_PRODUCT);
    char *number = sys_text("%u", device.number);
    struct sys_client c;

    (void)state;
    connect_as(&c, &device);
    free(sys_ctl(&gateway, NULL, "device", "meta", "set", number, "Serial Number", "123", NULL));
    expect_answer(&c, "meta|get|Serial Number", "meta|Serial Number|123"); /* F59 */
    free(sys_ctl(&gateway, NULL, "device", "meta", "set", number, "Serial Number", "4", NULL));
    expect_answer(&c, "meta|get|Serial Number", "meta|Serial Number|4");
    send_parts(&c, GW_FRAME_INTERNAL, 2, "meta|get|Serial");
    sys_must(&gateway, &c, sys_client_ping(&c, 3)); /* silence before its answer */
    sys_client_close(&c);
    connect_as(&c, &other);
    send_parts(&c, GW_FRAME_INTERNAL, 2, "meta|get|Serial Number");
    sys_must(&gateway, &c, sys_client_ping(&c, 3));
    sys_client_close(&c);
    free(number);
}

static void follow(void)
{
    free(sys_ctl(&gateway, NULL, "device", "meta", "follow", "--once", "--journal",
                 gateway.journal_path, NULL));
}

/*
 * Asked by the device and over HTTP, set by the program that may write the index: a field that the
 * device has, or that its product has given a number, and no other; each once.
 */
static void what_is_asked_to_be_set_is_set_by_who_follows(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    char *number = sys_text("%u", device.number);
    struct sys_client c, http;

    (void)state;
    free(sys_ctl(&gateway, NULL, "product", "field", "add", SYS_PRODUCT, "7", "Room", NULL));
    free(sys_ctl(&gateway, NULL, "device", "meta", "set", number, "Owner", "Ada", NULL));
    connect_as(&c, &device);
    sys_must(&gateway, &http, sys_connect(&gateway, &http, SYS_TLS13));
    send_parts(&c, GW_FRAME_INTERNAL, 2, "meta|set|Owner|Grace");
    sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    send_parts(&c, GW_FRAME_INTERNAL, 3, "meta|set|Nobody's|x");
    sys_must(&gateway, &c, sys_client_expect_response(&c, 3, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    http_must(&gateway, &http, &device,
              "GET /external/api/device/meta/update?token={T}&metaFieldId=7&value=Attic" END, 200,
              "");
    expect_answer(&c, "meta|get|Owner", "meta|Owner|Ada");
    follow();
    expect_answer(&c, "meta|get|Owner", "meta|Owner|Grace");
    expect_answer(&c, "meta|get|Room", "meta|Room|Attic");
    http_must(&gateway, &http, &device, "GET /external/api/device/meta?token={T}&metaFieldId=7" END,
              200, "{\"type\":\"Text\",\"value\":\"Attic\"}");
    http_must(&gateway, &http, &device,
              "GET /external/api/device/meta?token={T}&metaFieldName=Nobody's" END, 400,
              ERROR("MetaField doesn't exist."));
    /* What an operator sets since then stays: nothing is read twice. */
    free(sys_ctl(&gateway, NULL, "device", "meta", "set", number, "Room", "Cellar", NULL));
    follow();
    expect_answer(&c, "meta|get|Room", "meta|Room|Cellar");
    sys_client_close(&http);
    sys_client_close(&c);
    free(number);
}

/* ---- events ---- */

static void send_event(struct sys_client *c, uint16_t msg_id, const char *event, uint16_t status)
{
    send_parts(c, GW_FRAME_EVENT_LOG, msg_id, event);
    sys_must(&gateway, c, sys_client_expect_response(c, msg_id, status, sys_ms(SOON_MS)));
}

static void a_product_with_events_is_refused_others(void **state)
{
    struct sys_device strict = new_device(STRICT), lenient = new_device(SYS_PRODUCT);
    struct sys_client c;
    char *text;

    (void)state;
    connect_as(&c, &strict);
    send_event(&c, 2, "hot|before there are any", GW_RESPONSE_OK);
    free(sys_ctl(&gateway, NULL, "product", "event", "add", STRICT, "hot", "--name", "Hot", NULL));
    send_event(&c, 3, "hot|a", GW_RESPONSE_OK);
    send_event(&c, 4, "cold|b", GW_RESPONSE_ILLEGAL_COMMAND);
    send_event(&c, 5, "hot", GW_RESPONSE_OK);
    sys_client_close(&c);
    connect_as(&c, &lenient);
    send_event(&c, 2, "cold|c", GW_RESPONSE_OK);
    sys_client_close(&c);
    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, strict.number);
    assert_string_equal(text, "event hot 6265666f72652074686572652061726520616e79; "
                              "event hot 61; event hot ");
    free(text);
    text = sys_updates_text(&updates, lenient.number);
    assert_string_equal(text, "event cold 63");
    free(text);
}

/* The protocol says nothing of a device's value that does not suit its datastream: it is taken. */
static void datastreams_bind_no_device(void **state)
{
    struct sys_device device = new_device(STRICT);
    struct sys_client c;
    char *text;

    (void)state;
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STRICT, "V1", "--type", "int", "--max",
                 "100", NULL));
    connect_as(&c, &device);
    send_parts(&c, GW_FRAME_HARDWARE, 2, "vw|1|101");
    send_parts(&c, GW_FRAME_HARDWARE, 3, "vw|2|x");
    sys_must(&gateway, &c, sys_client_ping(&c, 4));
    sys_client_close(&c);
    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, device.number);
    assert_string_equal(text, "write v1 313031; write v2 78");
    free(text);
}

static void make_zones(void)
{
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", STRICT, "--org", "Test", NULL));
    jump_s = time(NULL) + (int64_t)sys_ms(JUMP_AFTER_S * 1000) / 1000;
    make_database();
}

int main(void)
{
    static const struct sys_group group = {
        .name = "details",
        .gateway = &gateway,
        .options = {.shards = 2, .config = "time: { zones = \"tz\"; };\n"},
        .updates = &updates,
        .prepare = make_zones,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_the_clocks_is_seen_when_it_happens), /* first: it is soon */
        cmocka_unit_test(the_time_is_that_of_the_devices_zone),
        cmocka_unit_test(rules_and_offsets_are_told),
        cmocka_unit_test(a_zone_that_the_gateway_does_not_know_is_not_made_up),
        cmocka_unit_test(a_field_is_read_as_it_stands_now),
        cmocka_unit_test(what_is_asked_to_be_set_is_set_by_who_follows),
        cmocka_unit_test(a_product_with_events_is_refused_others),
        cmocka_unit_test(datastreams_bind_no_device),
    };
    int failed;

    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
        print_message("no tz database on this machine: install tzdata\n");
        return 77;
    }
    failed = SYS_GROUP_RUN(&group, tests);
    free(zones_path);
    return failed;
}
