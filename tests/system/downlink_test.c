/*
 * What is sent to devices, by tollgatectl and on the control socket.
 */
#include "downlink_kit.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_LATER = 75 };

/* An info frame that tells a buff-in. */
static void tell_buffer(struct sys_client *c, unsigned bytes)
{
    char info[64];
    int size = snprintf(info, sizeof info, "ver%c1.4.0%cbuff-in%c%u", 0, 0, 0, bytes);

    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_INTERNAL, 2, info, (size_t)size));
    sys_must(&gateway, c, sys_client_expect_response(c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
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

/* ---- the log, and last values ---- */

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_on_any_shard_gets_what_is_sent),
        cmocka_unit_test(tollgatectl_sends_loads_restarts_and_asks),
        cmocka_unit_test(a_device_is_told_of_users_of_an_app),
        cmocka_unit_test(a_device_gets_nothing_longer_than_it_takes),
        cmocka_unit_test(who_has_yet_to_name_its_product_is_not_there),
        cmocka_unit_test(a_device_that_reads_nothing_is_busy),
        cmocka_unit_test(of_a_device_that_moves_each_frame_reaches_one_place_at_most),
        cmocka_unit_test(of_many_senders_each_gets_its_own_answers),
        cmocka_unit_test(what_is_sent_is_recorded_and_found_by_a_device_that_was_away),
    };

    return run_downlink_tests("downlink", tests, GW_ARRAY_COUNT(tests));
}
