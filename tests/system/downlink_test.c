/*
 * What is sent to devices, by tollgatectl, on the control socket and from device to device: four
 * shards, so that asker, owner and holder are mostly three of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control_link.h"
#include "group.h"

enum { SOON_MS = 5000, SHARDS = 4, DEVICES = 24, EXIT_LATER = 75 };

static struct sys_gateway gateway;
static struct sys_device devices[DEVICES];
static struct control_link desk;
static char answer[CONTROL_ANSWER_BYTES];
static char *socket_path;

static void log_in(struct sys_client *c, const struct sys_device *device, size_t i)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, (enum sys_transport)(i % SYS_TRANSPORTS)));
    sys_must(&gateway, c, sys_client_login(c, device->token, GW_RESPONSE_OK));
}

/* An info frame that tells a buff-in. */
static void tell_buffer(struct sys_client *c, unsigned bytes)
{
    char info[64];
    int size = snprintf(info, sizeof info, "ver%c1.4.0%cbuff-in%c%u", 0, 0, 0, bytes);

    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_INTERNAL, 2, info, (size_t)size));
    sys_must(&gateway, c, sys_client_expect_response(c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
}

/* `body` has | for NUL. */
static void expect_frame(struct sys_client *c, uint8_t type, const char *body)
{
    struct gw_frame frame;
    char *seen;

    sys_must(&gateway, c, sys_client_frame(c, &frame, sys_ms(SOON_MS)));
    assert_int_equal(frame.type, type);
    assert_int_not_equal(frame.msg_id, 0);
    seen = malloc(frame.body.size + 1);
    assert_non_null(seen);
    for (size_t i = 0; i < frame.body.size; i++)
        seen[i] = frame.body.data[i] == 0 ? '|' : (char)frame.body.data[i];
    seen[frame.body.size] = '\0';
    assert_string_equal(seen, body);
    free(seen);
}

/* tollgatectl WORDS... --socket: its exit code; both outputs in *out. */
static int ctl(struct sys_output *out, const char *const *words)
{
    const char *args[16];
    size_t count = 0;

    while (words[count] != NULL) {
        args[count] = words[count];
        count++;
    }
    args[count++] = "--socket";
    args[count++] = socket_path;
    args[count] = NULL;
    sys_ctl_try(&gateway, NULL, out, args);
    return out->exit_code;
}

#define CTL(out, ...) ctl((out), (const char *const[]){__VA_ARGS__, NULL})

static void expect_ctl(int code, const char *text, const char *const *words)
{
    struct sys_output out;
    int seen = ctl(&out, words);

    sys_check(&gateway,
              seen == code && (strstr(out.out, text) != NULL || strstr(out.err, text) != NULL),
              "%s %s: exit %d, not %d with \"%s\":\n%s%s", words[0], words[1], seen, code, text,
              out.out, out.err);
    sys_output_release(&out);
}

#define EXPECT_CTL(code, text, ...)                                                                \
    expect_ctl((code), (text), (const char *const[]){__VA_ARGS__, NULL})

static const char *number_text(const struct sys_device *device, char out[16])
{
    (void)snprintf(out, 16, "%u", device->number);
    return out;
}

static const char *send_value(const struct sys_device *device, const char *value)
{
    return control_ask(&desk, answer,
                       "{\"id\":1,\"cmd\":\"send\",\"device\":%u,\"pin\":\"V1\",\"value\":\"%s\"}",
                       device->number, value);
}

static void a_device_on_any_shard_gets_what_is_sent(void **state)
{
    struct sys_client clients[DEVICES];
    unsigned holders = 0, strange = 0;

    (void)state;
    for (size_t i = 0; i < DEVICES; i++)
        log_in(&clients[i], &devices[i], i);
    for (size_t i = 0; i < DEVICES; i++) {
        json_t *object;
        unsigned shard;

        assert_string_equal(send_value(&devices[i], "42"), "delivered");
        expect_frame(&clients[i], GW_FRAME_HARDWARE, "vw|1|42");
        assert_true(control_say(&desk, "{\"id\":\"x\",\"cmd\":\"status\",\"device\":\"%u\"}",
                                devices[i].number));
        assert_true(control_hear(&desk, answer, sys_ms(SOON_MS)));
        object = json_loads(answer, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(object, "result")), "online");
        assert_string_equal(json_string_value(json_object_get(object, "id")), "x");
        shard = (unsigned)json_integer_value(json_object_get(object, "shard"));
        assert_in_range(shard, 0, SHARDS - 1);
        holders |= 1u << shard;
        strange += shard != devices[i].number % SHARDS;
        json_decref(object);
    }
    sys_check(&gateway, holders != 1 && (holders & (holders - 1)) != 0 && strange > 0,
              "holders 0x%x, %u of them not owners: the case was not met", holders, strange);
    for (size_t i = 0; i < DEVICES; i++)
        sys_client_close(&clients[i]);
}

static void tollgatectl_sends_loads_restarts_and_asks(void **state)
{
    struct sys_client c;
    struct sys_output out;
    char number[16];
    const char *device = number_text(&devices[0], number);
    double sent = sys_metric(&gateway, "tollgate_downlinks_sent_total");

    (void)state;
    log_in(&c, &devices[0], 2);
    tell_buffer(&c, 1024);
    EXPECT_CTL(0, "delivered", "send", device, "V7", "23.5 °C");
    expect_frame(&c, GW_FRAME_HARDWARE, "vw|7|23.5 °C");
    EXPECT_CTL(0, "delivered", "send", device, "v255", "a", "b", "c");
    expect_frame(&c, GW_FRAME_HARDWARE, "vw|255|a|b|c");
    EXPECT_CTL(0, "delivered", "send", device, "D13", "1");
    expect_frame(&c, GW_FRAME_HARDWARE, "dw|13|1");
    EXPECT_CTL(0, "delivered", "ota", device, "https://fw.example.net/a.bin?token=x"); /* F66 */
    expect_frame(&c, GW_FRAME_INTERNAL, "ota|https://fw.example.net/a.bin?token=x");
    EXPECT_CTL(0, "delivered", "reboot", device); /* F67 */
    expect_frame(&c, GW_FRAME_INTERNAL, "dbg|reboot");
    EXPECT_CTL(0, "is connected since 20", "status", device);
    assert_int_equal(CTL(&out, "status", device, "--json"), 0);
    assert_non_null(strstr(out.out, "\"result\":\"online\""));
    sys_output_release(&out);
    assert_true(sys_metric(&gateway, "tollgate_downlinks_sent_total") == sent + 5);
    assert_true(sys_gateway_log_has(&gateway, "command=ota"));
    assert_false(sys_gateway_log_has(&gateway, "fw.example.net"));

    EXPECT_CTL(2, "\"pin\" is a text such as", "send", device, "X7", "1");
    EXPECT_CTL(2, "only a virtual pin takes several values", "send", device, "D7", "1", "2");
    EXPECT_CTL(2, "begins with http", "ota", device, "ftp://fw.example.net/");
    EXPECT_CTL(1, "device 4000000000 is not in the gateway's index", "reboot", "4000000000");
    sys_must(&gateway, &c, sys_client_expect_silence(&c, 100));
    sys_client_close(&c);
    for (uint64_t end = sys_now_ms() + sys_ms(SOON_MS); CTL(&out, "status", device) == 0;) {
        assert_true(sys_now_ms() < end);
        sys_output_release(&out);
    }
    assert_int_equal(out.exit_code, EXIT_LATER);
    sys_output_release(&out);
    EXPECT_CTL(EXIT_LATER, "is not connected", "send", device, "V1", "1");
}

/* F65 */
static void a_device_is_told_of_users_of_an_app(void **state)
{
    struct sys_client c;
    char number[16];
    const char *device = number_text(&devices[0], number);

    (void)state;
    log_in(&c, &devices[0], SYS_TLS12);
    EXPECT_CTL(0, "delivered", "app", device, "connected");
    expect_frame(&c, GW_FRAME_INTERNAL, "acon");
    EXPECT_CTL(0, "delivered", "app", device, "gone");
    expect_frame(&c, GW_FRAME_INTERNAL, "adis");
    EXPECT_CTL(2, "an app is 'connected' or 'gone'", "app", device, "maybe");
    sys_client_close(&c);
}

/* T5 is the second row. */
static void a_device_gets_nothing_longer_than_it_takes(void **state)
{
    static const struct {
        unsigned buffer; /* 0: not told */
        unsigned longest;
    } rows[] = {{0, 245}, {256, 246}, {1024, 1014}}; /* header 5, "vw" "1" and NULs 5 */
    char value[2048];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        for (size_t t = 0; t < SYS_TRANSPORTS; t++) {
            struct sys_client c;
            char body[sizeof value + 8];

            log_in(&c, &devices[1], t);
            if (rows[i].buffer > 0)
                tell_buffer(&c, rows[i].buffer);
            (void)snprintf(value, sizeof value, "%0*d", (int)rows[i].longest + 1, 7);
            assert_string_equal(send_value(&devices[1], value), "too_big");
            assert_string_equal(send_value(&devices[1], value + 1), "delivered");
            (void)snprintf(body, sizeof body, "vw|1|%s", value + 1);
            expect_frame(&c, GW_FRAME_HARDWARE, body);
            sys_client_close(&c);
        }
    /* More than any frame of this gateway has. */
    assert_string_equal(control_ask(&desk, answer,
                                    "{\"cmd\":\"send\",\"device\":%u,\"pin\":\"V1\",\"values\":"
                                    "[\"%0*d\",\"%0*d\"]}",
                                    devices[1].number, 3000, 1, 3000, 1),
                        "too_big");
}

static void who_has_yet_to_name_its_product_is_not_there(void **state)
{
    static const char info[] = "ver\0001.4.0\0tmpl\0TMPLtold";
    struct sys_device device;
    struct sys_client c;

    (void)state;
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLtold", "--org", "Test", "--plain",
                 "--info-required", NULL));
    sys_devices_add(&gateway, "TMPLtold", &device, 1);
    log_in(&c, &device, SYS_TLS13);
    assert_string_equal(send_value(&device, "1"), "offline");
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_INTERNAL, 2, info, sizeof info - 1));
    sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    assert_string_equal(send_value(&device, "1"), "delivered");
    expect_frame(&c, GW_FRAME_HARDWARE, "vw|1|1");
    sys_client_close(&c);
}

/* The log may be what takes nothing more, but it does a moment later. */
static bool is_delivered(const struct sys_device *device, const char *value)
{
    if (strcmp(send_value(device, value), "delivered") == 0)
        return true;
    sys_pause_ms(100);
    return strcmp(send_value(device, value), "delivered") == 0;
}

static void a_device_that_reads_nothing_is_busy(void **state)
{
    enum { TRIES = 20000, VALUE = 4000 };
    char value[VALUE + 1];
    struct gw_frame frame;
    struct sys_client c;
    unsigned delivered = 0, tries = 0;

    (void)state;
    log_in(&c, &devices[2], SYS_PLAIN);
    tell_buffer(&c, 4096);
    (void)snprintf(value, sizeof value, "%0*d", VALUE, 7);
    while (tries++ < TRIES && is_delivered(&devices[2], value))
        delivered++; /* the kernel's buffers first */
    assert_string_equal(answer, "busy");
    assert_true(delivered > 1);
    /* Of downlink.bytes_max, not of all that the shard has. */
    assert_true(sys_metric(&gateway, "tollgate_chunks_taken") <= 8);
    /* Others are none the worse for it. */
    struct sys_client other;

    log_in(&other, &devices[3], SYS_TLS13);
    assert_string_equal(send_value(&devices[3], "1"), "delivered");
    expect_frame(&other, GW_FRAME_HARDWARE, "vw|1|1");
    sys_client_close(&other);
    /* What was delivered is all there, and nothing else. */
    for (unsigned i = 0; i < delivered; i++) {
        sys_must(&gateway, &c, sys_client_frame(&c, &frame, sys_ms(SOON_MS)));
        assert_int_equal(frame.body.size, VALUE + 5);
    }
    sys_must(&gateway, &c, sys_client_ping(&c, 9));
    assert_string_equal(send_value(&devices[2], "1"), "delivered");
    expect_frame(&c, GW_FRAME_HARDWARE, "vw|1|1");
    sys_client_close(&c);
    assert_true(sys_metric(&gateway, "tollgate_downlinks_busy_total") >= 1);
}

/* ---- while the device logs in again and again ---- */

enum { FIGHTS = 60, SHOTS = 4000 };

static struct {
    _Atomic bool over;
    unsigned char seen[SHOTS]; /* how often each value arrived */
    unsigned failures;
} fight;

/* Frames until it is closed, or until nothing comes. */
static void collect(struct sys_client *c, uint32_t ms)
{
    struct gw_frame frame;

    while (sys_client_frame(c, &frame, ms)) {
        char digits[16] = "";
        unsigned long value;

        if (frame.type != GW_FRAME_HARDWARE || frame.msg_id == 0 || frame.body.size < 6 ||
            frame.body.size - 5 >= sizeof digits) {
            fight.failures++;
            continue;
        }
        memcpy(digits, frame.body.data + 5, frame.body.size - 5);
        value = strtoul(digits, NULL, 10);
        if (value < SHOTS)
            fight.seen[value]++;
        else
            fight.failures++;
    }
}

static void *log_in_again_and_again(void *context)
{
    const struct sys_device *device = context;
    struct sys_client clients[2] = {SYS_CLIENT_NONE, SYS_CLIENT_NONE};

    for (size_t i = 0; i < FIGHTS; i++) {
        struct sys_client *c = &clients[i % 2], *before = &clients[(i + 1) % 2];

        if (!sys_connect(&gateway, c, (enum sys_transport)(i % SYS_TRANSPORTS)) ||
            !sys_client_login(c, device->token, GW_RESPONSE_OK))
            fight.failures++;
        if (i > 0) {
            collect(before, sys_ms(SOON_MS)); /* until the gateway has closed it */
            sys_client_close(before);
        }
    }
    fight.over = true;
    collect(&clients[(FIGHTS - 1) % 2], 300);
    sys_client_close(&clients[(FIGHTS - 1) % 2]);
    return NULL;
}

static void of_a_device_that_moves_each_frame_reaches_one_place_at_most(void **state)
{
    static char results[SHOTS];
    unsigned counts[128] = {0}, arrived = 0;
    pthread_t thread;
    size_t shot = 0;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, log_in_again_and_again, &devices[4]), 0);
    for (; shot < SHOTS && !fight.over; shot++) {
        char value[16];

        (void)snprintf(value, sizeof value, "%zu", shot);
        results[shot] = send_value(&devices[4], value)[0];
        counts[(unsigned char)results[shot] & 127]++;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(fight.failures, 0);
    for (size_t i = 0; i < shot; i++) {
        assert_true(strchr("dog", results[i]) != NULL); /* delivered, offline, gone */
        assert_true(fight.seen[i] <= 1);
        assert_true(fight.seen[i] == 0 || results[i] != 'o');
        arrived += fight.seen[i];
    }
    print_message("  %zu sent: %u delivered, %u offline, %u gone; %u arrived\n", shot, counts['d'],
                  counts['o'], counts['g'], arrived);
    assert_true(counts['d'] > 0 && arrived > 0);
    struct sys_client c;

    log_in(&c, &devices[4], SYS_TLS12);
    assert_string_equal(send_value(&devices[4], "last"), "delivered");
    expect_frame(&c, GW_FRAME_HARDWARE, "vw|1|last");
    sys_client_close(&c);
}

/* ---- many at once ---- */

enum { SENDERS = 8, ROUNDS = 12, TARGETS = 16 };

struct sender {
    pthread_t thread;
    unsigned number, answered, delivered;
    bool failed;
};

static void *send_to_all(void *context)
{
    struct sender *sender = context;
    struct control_link own;
    char line[CONTROL_ANSWER_BYTES];

    if (!control_open(&own, socket_path)) {
        sender->failed = true;
        return NULL;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned answered = 0; /* a bit for each id */

        for (unsigned i = 0; i < TARGETS; i++)
            if (!control_say(&own,
                             "{\"id\":%u,\"cmd\":\"send\",\"device\":%u,\"pin\":\"V%u\","
                             "\"value\":%u}",
                             i, devices[i].number, sender->number, round))
                sender->failed = true;
        for (unsigned i = 0; i < TARGETS && control_hear(&own, line, sys_ms(SOON_MS)); i++) {
            json_t *object = json_loads(line, 0, NULL);
            unsigned id = (unsigned)json_integer_value(json_object_get(object, "id"));
            const char *result = json_string_value(json_object_get(object, "result"));

            if (id >= TARGETS || (answered >> id & 1) != 0)
                sender->failed = true;
            answered |= 1u << id;
            sender->answered++;
            sender->delivered += result != NULL && strcmp(result, "delivered") == 0;
            json_decref(object);
        }
    }
    control_close(&own);
    return NULL;
}

static void of_many_senders_each_gets_its_own_answers(void **state)
{
    struct sys_client clients[TARGETS];
    struct sender senders[SENDERS] = {0};

    (void)state;
    for (size_t i = 0; i < TARGETS; i++)
        log_in(&clients[i], &devices[i], i);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i].number = i;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_to_all, &senders[i]), 0);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        assert_false(senders[i].failed);
        assert_int_equal(senders[i].answered, ROUNDS * TARGETS);
        assert_int_equal(senders[i].delivered, ROUNDS * TARGETS);
    }
    for (size_t i = 0; i < TARGETS; i++) {
        unsigned next[SENDERS] = {0};

        for (unsigned n = 0; n < SENDERS * ROUNDS; n++) {
            struct gw_frame frame;
            unsigned pin, round;
            char body[32] = "";

            sys_must(&gateway, &clients[i], sys_client_frame(&clients[i], &frame, sys_ms(SOON_MS)));
            assert_true(frame.body.size < sizeof body);
            for (size_t b = 0; b < frame.body.size; b++)
                body[b] = frame.body.data[b] == 0 ? ' ' : (char)frame.body.data[b];
            assert_int_equal(sscanf(body, "vw %u %u", &pin, &round), 2);
            assert_true(pin < SENDERS);
            assert_int_equal(round, next[pin]++); /* one sender's frames come in its order */
        }
        sys_client_close(&clients[i]);
    }
}

/* ---- from device to device ---- */

enum { PAIRS = 3 * SYS_TRANSPORTS };

static void bridge(struct sys_client *c, uint16_t msg_id, const char *body, size_t size)
{
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_BRIDGE, msg_id, body, size));
}

static void name_target(struct sys_client *c, uint16_t msg_id, unsigned number, const char *token,
                        uint16_t status)
{
    char body[64];
    int size = snprintf(body, sizeof body, "%u%ci%c%s", number, 0, 0, token);

    bridge(c, msg_id, body, (size_t)size);
    sys_must(&gateway, c, sys_client_expect_response(c, msg_id, status, sys_ms(SOON_MS)));
}

static void wait_until_all_are_gone(void)
{
    uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);

    while (sys_metric(&gateway, "tollgate_sessions_live") > 0) {
        sys_check(&gateway, sys_now_ms() < deadline, "devices are still there");
        sys_pause_ms(5);
    }
}

static void a_device_writes_to_those_of_its_organisation(void **state)
{
    static const char write64[] = "64\0vw\0001\0005", write65[] = "65\0vw\0001\0006";
    struct sys_client from, to;
    struct sys_device stranger;
    struct gw_frame frame;

    (void)state;
    free(sys_ctl(&gateway, NULL, "org", "add", "Others", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLothers", "--org", "Others",
                 "--plain", NULL));
    sys_devices_add(&gateway, "TMPLothers", &stranger, 1);
    for (size_t i = 0; i < PAIRS; i++) { /* so many that some cross shards */
        log_in(&from, &devices[5], i);
        log_in(&to, &devices[6], i + 1);
        bridge(&from, 20, write64, sizeof write64 - 1); /* F62: nothing was named */
        sys_must(&gateway, &from,
                 sys_client_expect_response(&from, 20, GW_RESPONSE_NOT_ALLOWED, sys_ms(SOON_MS)));
        name_target(&from, 21, 64, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", GW_RESPONSE_NOT_ALLOWED);
        name_target(&from, 22, 64, "no token", GW_RESPONSE_NOT_ALLOWED);
        name_target(&from, 23, 64, stranger.token, GW_RESPONSE_NOT_ALLOWED);
        name_target(&from, 24, 64, devices[6].token, GW_RESPONSE_OK);
        name_target(&from, 25, 65, devices[7].token, GW_RESPONSE_OK);
        name_target(&from, 26, 66, devices[8].token, GW_RESPONSE_NOT_ALLOWED); /* two may be */
        name_target(&from, 27, 65, devices[8].token, GW_RESPONSE_OK); /* in place of another */
        bridge(&from, 28, write64, sizeof write64 - 1);
        sys_must(&gateway, &to, sys_client_frame(&to, &frame, sys_ms(SOON_MS)));
        assert_int_equal(frame.type, GW_FRAME_BRIDGE);
        assert_int_equal(frame.msg_id, 28);
        assert_int_equal(frame.body.size, 6);
        assert_memory_equal(frame.body.data, write64 + 3, 6);
        bridge(&from, 29, write65, sizeof write65 - 1); /* F63: it is offline */
        sys_must(
            &gateway, &from,
            sys_client_expect_response(&from, 29, GW_RESPONSE_NOT_IN_NETWORK, sys_ms(SOON_MS)));
        bridge(&from, 30, "64\0dr\0005", 7);
        sys_must(
            &gateway, &from,
            sys_client_expect_response(&from, 30, GW_RESPONSE_ILLEGAL_COMMAND, sys_ms(SOON_MS)));
        sys_must(&gateway, &from, sys_client_ping(&from, 31)); /* a write is not answered */
        sys_client_close(&from);
        sys_client_close(&to);
    }
    /* More devices than there are places, one after the other: places come back. The next comes
       when the last is gone, for claims that are closer together may be heard of the other way
       round. */
    for (size_t i = 0; i < 20; i++) {
        wait_until_all_are_gone();
        log_in(&from, &devices[5], i);
        name_target(&from, 21, 1, devices[6].token, GW_RESPONSE_OK);
        sys_client_close(&from);
    }
}

/* ---- the log, and last values ---- */

static struct sys_updates updates;

/* The device's newest write, which is the nth. */
static const struct gw_record *newest_write(const struct sys_device *device, size_t count)
{
    const struct sys_update *last = NULL;

    sys_updates_wait(&gateway, &updates, device->number, GW_RECORD_PIN_WRITE, count);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, &last),
                     count);
    return &last->record;
}

/* E44: the one pin that was asked for, with the id of the request. */
static void expect_synced(struct sys_client *c, uint16_t msg_id, const char *body)
{
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_HARDWARE_SYNC, msg_id, "vr\0001", 4));
    expect_frame(c, GW_FRAME_HARDWARE, body);
}

static void what_is_sent_is_recorded_and_found_by_a_device_that_was_away(void **state)
{
    struct sys_device added, *device = &added;
    const struct gw_record *record;
    struct sys_output out;
    char number[16];
    struct sys_client c;

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, device, 1);
    assert_string_equal(send_value(device, "away"), "offline");
    record = newest_write(device, 1);
    assert_int_equal(record->flags, GW_RECORD_FROM_CONTROL);
    assert_int_equal(record->msg_id, 0);
    assert_int_equal(record->bank, 'v');
    assert_int_equal(record->pin, 1);
    assert_true(gw_bytes_are(record->value, "away"));
    log_in(&c, device, SYS_TLS13);
    expect_synced(&c, 3, "vw|1|away");
    assert_string_equal(send_value(device, "here"), "delivered");
    expect_frame(&c, GW_FRAME_HARDWARE, "vw|1|here");
    assert_true(gw_bytes_are(newest_write(device, 2)->value, "here"));
    expect_synced(&c, 4, "vw|1|here");
    EXPECT_CTL(0, "delivered", "reboot", number_text(device, number)); /* an order is no update */
    expect_frame(&c, GW_FRAME_INTERNAL, "dbg|reboot");
    sys_client_close(&c);
    sys_ctl_try(&gateway, NULL, &out,
                (const char *const[]){"tail", "--json", "--device", number, "--pin", "V1", NULL});
    assert_int_equal(out.exit_code, 0);
    assert_non_null(strstr(out.out, "\"origin\":\"control\""));
    sys_output_release(&out);
    (void)newest_write(device, 2);
}

static void what_a_device_writes_to_another_is_recorded_as_the_others(void **state)
{
    static const char write64[] = "64\0vw\0001\0bridged";
    struct sys_device added[2], *from = &added[0], *to = &added[1];
    const struct gw_record *record;
    struct sys_client writer, board;

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, added, GW_ARRAY_COUNT(added));
    log_in(&writer, from, SYS_TLS13);
    name_target(&writer, 21, 64, to->token, GW_RESPONSE_OK);
    bridge(&writer, 22, write64, sizeof write64 - 1); /* F63: the value is stored all the same */
    sys_must(&gateway, &writer,
             sys_client_expect_response(&writer, 22, GW_RESPONSE_NOT_IN_NETWORK, sys_ms(SOON_MS)));
    record = newest_write(to, 1);
    assert_int_equal(record->flags, GW_RECORD_FROM_BRIDGE);
    assert_int_equal(record->msg_id, 22);
    assert_true(gw_bytes_are(record->value, "bridged"));
    assert_int_equal(sys_updates_count(&updates, from->number, GW_RECORD_PIN_WRITE, NULL), 0);
    log_in(&board, to, SYS_PLAIN);
    expect_synced(&board, 3, "vw|1|bridged");
    sys_client_close(&board);
    sys_client_close(&writer);
}

/* ---- the socket ---- */

static void what_is_no_command_is_refused_by_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *error;
    } rows[] = {
        {"{", "not JSON, from byte"},
        {"42", "not JSON, from byte"},
        {"[]", "a command is an object"},
        {"{}", "\"cmd\" is \"send\""},
        {"{\"cmd\":\"launch\",\"device\":1}", "\"cmd\" is \"send\""},
        {"{\"cmd\":\"send\",\"cmd\":\"ota\"}", "not JSON, from byte"},
        {"{\"cmd\":\"reboot\"}", "\"device\" is the number"},
        {"{\"cmd\":\"app\",\"device\":1}", "\"connected\" is true or false"},
        {"{\"cmd\":\"app\",\"device\":1,\"connected\":1}", "\"connected\" is true or false"},
        {"{\"cmd\":\"reboot\",\"device\":0}", "\"device\" is the number"},
        {"{\"cmd\":\"reboot\",\"device\":\"porch\"}", "\"device\" is the number"},
        {"{\"cmd\":\"reboot\",\"device\":4294967296}", "\"device\" is the number"},
        {"{\"cmd\":\"reboot\",\"device\":1,\"now\":true}", "\"reboot\" has no field \"now\""},
        {"{\"cmd\":\"ota\",\"device\":1,\"pin\":\"V1\"}", "\"ota\" has no field \"pin\""},
        {"{\"cmd\":\"send\",\"device\":1,\"value\":\"1\"}", "\"pin\" is a text"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V256\",\"value\":\"1\"}", "\"pin\" is a text"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\"}", "has a \"value\""},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":1,\"values\":[1]}",
         "has a \"value\""},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":\"\"}", "a value is a number"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":null}", "a value is a number"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":\"a\\u0000b\"}",
         "not JSON, from byte"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"values\":[]}", "1 to 64 values"},
        {"{\"id\":[],\"cmd\":\"reboot\",\"device\":1}", "\"id\" is a number or a text"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        const char *error = control_ask(&desk, answer, "%s", rows[i].line);

        if (strstr(error, rows[i].error) == NULL)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].line, error, rows[i].error);
    }
    assert_string_equal(send_value(&devices[20], "1"), "offline"); /* and it goes on */
}

static void a_line_that_is_too_long_is_the_last(void **state)
{
    struct control_link own;
    char line[CONTROL_ANSWER_BYTES];
    static char much[20000];

    (void)state;
    memset(much, 'x', sizeof much);
    assert_true(control_open(&own, socket_path));
    (void)control_push(&own, much, sizeof much);
    assert_true(control_hear(&own, line, sys_ms(SOON_MS)));
    assert_non_null(strstr(line, "a line has at most"));
    assert_false(control_hear(&own, line, sys_ms(SOON_MS)));
    control_close(&own);
}

/* It is read no further, everybody else is served, and it gets all its answers in the end. */
static void a_client_that_reads_nothing_waits_for_itself(void **state)
{
    enum { MOST = 40000 };
    struct control_link own;
    char line[CONTROL_ANSWER_BYTES], command[64];
    unsigned said = 0, heard = 0;
    size_t left = 0, bytes;

    (void)state;
    assert_true(control_open(&own, socket_path));
    bytes = (size_t)snprintf(command, sizeof command, "{\"cmd\":\"status\",\"device\":%u}\n",
                             devices[20].number);
    for (unsigned quiet = 0; quiet < 20 && said < MOST;) {
        left = left > 0 ? left : bytes;
        size_t taken = control_push(&own, command + bytes - left, left);

        left -= taken;
        said += left == 0;
        quiet = taken == 0 ? quiet + 1 : 0;
        if (taken == 0)
            sys_pause_ms(20);
    }
    sys_check(&gateway, said < MOST, "all of %u commands were taken", said);
    assert_string_equal(send_value(&devices[20], "1"), "offline");
    while (heard < said && control_hear(&own, line, sys_ms(SOON_MS)))
        heard++;
    assert_int_equal(heard, said);
    control_close(&own);
}

static void the_socket_is_for_its_group_and_survives_a_kill(void **state)
{
    struct stat file;
    char number[16];

    (void)state;
    assert_int_equal(stat(socket_path, &file), 0);
    assert_true(S_ISSOCK(file.st_mode));
    assert_int_equal(file.st_mode & 0777, 0660);
    control_close(&desk);
    sys_gateway_kill(&gateway);
    EXPECT_CTL(69, "no gateway listens on", "reboot", number_text(&devices[0], number));
    sys_gateway_start(&gateway);
    assert_true(control_open(&desk, socket_path));
    assert_string_equal(send_value(&devices[0], "1"), "offline");
    control_close(&desk);
    sys_gateway_stop(&gateway);
    assert_int_not_equal(stat(socket_path, &file), 0);
    /* What is no socket is left alone. */
    assert_true(sys_file_write(socket_path, "precious"));
    sys_gateway_launch(&gateway);
    int exit_code = 0;

    assert_true(sys_wait(gateway.pid, sys_ms(SOON_MS), &exit_code));
    gateway.pid = 0;
    assert_int_equal(exit_code, 75);
    char *text = sys_file_text(socket_path);

    assert_string_equal(text, "precious");
    free(text);
}

static void open_desk(void)
{
    socket_path = sys_text("%s/control", gateway.dir);
    assert_true(control_open(&desk, socket_path));
}

static void close_desk(void)
{
    control_close(&desk);
    free(socket_path);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "downlink",
        .gateway = &gateway,
        .options = {.shards = SHARDS,
                    .config = "control: { path = \"control\"; };\n"
                              "bridge: { targets_max = 2; sessions_max = 4; };\n"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .updates = &updates,
        .started = open_desk,
        .finish = close_desk,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_on_any_shard_gets_what_is_sent),
        cmocka_unit_test(tollgatectl_sends_loads_restarts_and_asks),
        cmocka_unit_test(a_device_is_told_of_users_of_an_app),
        cmocka_unit_test(a_device_gets_nothing_longer_than_it_takes),
        cmocka_unit_test(who_has_yet_to_name_its_product_is_not_there),
        cmocka_unit_test(a_device_that_reads_nothing_is_busy),
        cmocka_unit_test(of_a_device_that_moves_each_frame_reaches_one_place_at_most),
        cmocka_unit_test(of_many_senders_each_gets_its_own_answers),
        cmocka_unit_test(a_device_writes_to_those_of_its_organisation),
        cmocka_unit_test(what_is_sent_is_recorded_and_found_by_a_device_that_was_away),
        cmocka_unit_test(what_a_device_writes_to_another_is_recorded_as_the_others),
        cmocka_unit_test(what_is_no_command_is_refused_by_what_is_wrong),
        cmocka_unit_test(a_line_that_is_too_long_is_the_last),
        cmocka_unit_test(a_client_that_reads_nothing_waits_for_itself),
        cmocka_unit_test(the_socket_is_for_its_group_and_survives_a_kill),
    };

    return SYS_GROUP_RUN(&group, tests);
}
