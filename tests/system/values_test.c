/*
 * Last values, as a board asks for them with HARDWARE_SYNC: after a write, after it came back,
 * after the gateway did.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

#define INFO_REQUIRED "TMPLinfoneed1"

enum { SOON_MS = 3000, FENCE_ID = 0x7abc, BODY_BYTES_MAX = 4096 };

static struct sys_gateway gateway;

static struct sys_device new_device(const char *product)
{
    struct sys_device device;

    sys_devices_add(&gateway, product, &device, 1);
    return device;
}

static void log_in(struct sys_client *c, const struct sys_device *device,
                   enum sys_transport transport)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, transport));
    sys_must(&gateway, c, sys_client_login(c, device->token, GW_RESPONSE_OK));
}

/* '|' stands for NUL. */
static size_t body_of(char out[BODY_BYTES_MAX], const char *text)
{
    size_t bytes = strlen(text);

    assert_true(bytes <= BODY_BYTES_MAX);
    for (size_t i = 0; i < bytes; i++)
        out[i] = text[i] == '|' ? '\0' : text[i];
    return bytes;
}

static void say(struct sys_client *c, uint8_t type, uint16_t msg_id, const char *text)
{
    char body[BODY_BYTES_MAX];

    sys_must(&gateway, c, sys_client_send_frame(c, type, msg_id, body, body_of(body, text)));
}

static void write_pin(struct sys_client *c, const char *text)
{
    say(c, GW_FRAME_HARDWARE, 100, text);
}

static void expect_write(struct sys_client *c, uint16_t msg_id, const char *text)
{
    char body[BODY_BYTES_MAX];
    size_t bytes = body_of(body, text);
    struct gw_frame frame;

    sys_must(&gateway, c, sys_client_frame(c, &frame, sys_ms(SOON_MS)));
    assert_int_equal(frame.type, GW_FRAME_HARDWARE);
    assert_int_equal(frame.msg_id, msg_id);
    sys_check(&gateway, gw_bytes_equal(frame.body, gw_bytes_of(body, bytes)),
              "\"%.*s\", not \"%s\"", (int)frame.body.size, (const char *)frame.body.data, text);
}

/* Asks, and gets these writes in this order, and nothing else: "vw|1|a vw|2|b". */
static void sync_gives(struct sys_client *c, const char *asked, const char *writes)
{
    static uint16_t msg_id = 1000;
    char *all = sys_text("%s", writes), *rest = NULL;

    say(c, GW_FRAME_HARDWARE_SYNC, ++msg_id, asked);
    for (char *one = strtok_r(all, " ", &rest); one != NULL; one = strtok_r(NULL, " ", &rest))
        expect_write(c, msg_id, one);
    sys_must(&gateway, c, sys_client_ping(c, FENCE_ID));
    free(all);
}

static void a_device_gets_what_it_wrote(void **state)
{
    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_device device = new_device(SYS_PRODUCT);
        struct sys_client c;

        log_in(&c, &device, (enum sys_transport)t);
        sync_gives(&c, "vr|1", ""); /* E46 */
        sync_gives(&c, "", "");
        write_pin(&c, "vw|1|55");
        sync_gives(&c, "vr|1", "vw|1|55");   /* E44; at once behind the write, without a PING */
        sync_gives(&c, "vr|0|1", "vw|1|55"); /* E45 */
        write_pin(&c, "vw|2|on");
        sync_gives(&c, "", "vw|1|55 vw|2|on"); /* E47 */
        sync_gives(&c, "vr|2|1", "vw|2|on vw|1|55");
        write_pin(&c, "vw|1|56");
        sync_gives(&c, "vr|1", "vw|1|56");
        write_pin(&c, "vw|3|a|2|c");
        sync_gives(&c, "vr|3", "vw|3|a|2|c"); /* one update with three values */
        sys_client_close(&c);
    }
}

static void what_is_asked_for_twice_is_given_once(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    struct sys_client c;

    (void)state;
    log_in(&c, &device, SYS_TLS13);
    write_pin(&c, "vw|0|a");
    write_pin(&c, "vw|255|z");
    sync_gives(&c, "vr|255|0|255|0|00|255", "vw|255|z vw|0|a");
    sync_gives(&c, "vr|256|x||-1|0", "vw|0|a"); /* what is no pin has no value */
    sync_gives(&c, "xx|0", "");                 /* and an operation nobody knows, no answer */
    sys_client_close(&c);
}

static void banks_are_apart_and_all_means_virtual(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    struct sys_client c;

    (void)state;
    log_in(&c, &device, SYS_PLAIN);
    write_pin(&c, "vw|5|virtual");
    write_pin(&c, "dw|5|1");
    write_pin(&c, "aw|5|512");
    sync_gives(&c, "vr|5", "vw|5|virtual");
    sync_gives(&c, "dr|5", "dw|5|1");
    sync_gives(&c, "ar|5", "aw|5|512");
    sync_gives(&c, "", "vw|5|virtual");
    sys_client_close(&c);
}

static void a_property_is_no_value_and_a_member_of_a_group_is_one(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    struct sys_client c;

    (void)state;
    log_in(&c, &device, SYS_PLAIN);
    say(&c, GW_FRAME_PROPERTY, 2, "1|color|#D3435C");
    sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    sync_gives(&c, "vr|1", "");
    say(&c, GW_FRAME_GROUP, 3, "t|1700000000123");
    write_pin(&c, "vw|1|7");
    say(&c, GW_FRAME_GROUP, 4, "e");
    sync_gives(&c, "vr|1", "vw|1|7");
    sys_client_close(&c);
}

static void nobody_gets_the_values_of_another(void **state)
{
    struct sys_device one = new_device(SYS_PRODUCT), other = new_device(SYS_PRODUCT);
    struct sys_client c, d;

    (void)state;
    log_in(&c, &one, SYS_PLAIN);
    log_in(&d, &other, SYS_TLS12);
    write_pin(&c, "vw|1|mine");
    sync_gives(&c, "vr|1", "vw|1|mine");
    sync_gives(&d, "vr|1", "");
    sync_gives(&d, "", "");
    sys_client_close(&c);
    sys_client_close(&d);
}

/* Over and over, so that it comes to every shard. */
static void they_are_there_when_the_device_comes_back(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    struct sys_client c;

    (void)state;
    for (uint32_t n = 0; n < 12; n++) {
        char *before = n == 0 ? sys_text("%s", "") : sys_text("vw|1|%u", n - 1);
        char *now = sys_text("vw|1|%u", n);

        log_in(&c, &device, (enum sys_transport)(n % SYS_TRANSPORTS));
        sync_gives(&c, "vr|1", before);
        write_pin(&c, now);
        sync_gives(&c, "vr|1", now);
        sys_client_close(&c);
        free(before);
        free(now);
    }
}

static void a_sync_waits_for_the_disk_with_what_was_written_before(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    struct sys_client c;

    (void)state;
    log_in(&c, &device, SYS_TLS13);
    write_pin(&c, "vw|1|old");
    sync_gives(&c, "vr|1", "vw|1|old");
    sys_disk_stall(&gateway);
    write_pin(&c, "vw|1|new");
    say(&c, GW_FRAME_HARDWARE_SYNC, 7, "vr|1");
    write_pin(&c, "vw|2|behind");
    sys_must(&gateway, &c, sys_client_expect_silence(&c, 500));
    sys_disk_resume(&gateway);
    expect_write(&c, 7, "vw|1|new");
    sync_gives(&c, "", "vw|1|new vw|2|behind");
    sys_client_close(&c);
}

/* Far more than a device may have unsent, in the order of the pins, and the rest goes on. */
static void a_long_answer_comes_in_pieces(void **state)
{
    enum { PINS = 60, VALUE_BYTES = 3000 };
    struct sys_device device = new_device(SYS_PRODUCT);
    char *text = malloc(VALUE_BYTES + 16);
    struct sys_client c;

    (void)state;
    assert_non_null(text);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        log_in(&c, &device, (enum sys_transport)t);
        say(&c, GW_FRAME_INTERNAL, 2, "ver|1.4.0|h-beat|45|buff-in|4096|tmpl|" SYS_PRODUCT);
        sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        for (int pin = 0; pin < PINS; pin++) {
            int head = sprintf(text, "vw|%d|", pin);

            memset(text + head, 'a' + pin % 26, VALUE_BYTES);
            text[head + VALUE_BYTES] = '\0';
            write_pin(&c, text);
        }
        say(&c, GW_FRAME_HARDWARE_SYNC, 9, "");
        write_pin(&c, "vw|200|behind");
        for (int pin = 0; pin < PINS; pin++) {
            int head = sprintf(text, "vw|%d|", pin);

            memset(text + head, 'a' + pin % 26, VALUE_BYTES);
            text[head + VALUE_BYTES] = '\0';
            expect_write(&c, 9, text);
        }
        if (t > 0) /* from the second time on it is there already */
            expect_write(&c, 9, "vw|200|behind");
        say(&c, GW_FRAME_HARDWARE_SYNC, 10, "vr|200");
        expect_write(&c, 10, "vw|200|behind");
        sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
        sys_client_close(&c);
    }
    free(text);
}

static void a_value_that_the_device_cannot_take_is_not_sent(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    double before = sys_metric(&gateway, "tollgate_sync_refused_total");
    char text[400];
    struct sys_client c;

    (void)state;
    memcpy(text, "vw|1|", 5);
    memset(text + 5, 'x', 300);
    text[305] = '\0';
    log_in(&c, &device, SYS_PLAIN);
    write_pin(&c, text);
    write_pin(&c, "vw|2|short");
    sync_gives(&c, "vr|1|2", "vw|2|short");
    assert_true(sys_metric(&gateway, "tollgate_sync_refused_total") == before + 1);
    say(&c, GW_FRAME_INTERNAL, 2, "ver|1.4.0|buff-in|1024|tmpl|" SYS_PRODUCT);
    sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    sync_gives(&c, "vr|1", text);
    sys_client_close(&c);
}

static void an_id_of_0_is_not_answered(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    struct sys_client c;

    (void)state;
    log_in(&c, &device, SYS_PLAIN);
    write_pin(&c, "vw|1|x");
    sys_must(&gateway, &c, sys_client_ping(&c, 5));
    say(&c, GW_FRAME_HARDWARE_SYNC, 0, "vr|1");
    sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
    sys_client_close(&c);
}

static void before_the_info_frame_that_a_product_requires_nothing_is_told(void **state)
{
    struct sys_device device = new_device(INFO_REQUIRED);
    struct sys_client c;

    (void)state;
    log_in(&c, &device, SYS_PLAIN);
    write_pin(&c, "vw|1|held");
    say(&c, GW_FRAME_HARDWARE_SYNC, 3, "vr|1");
    sys_must(&gateway, &c, sys_client_expect_silence(&c, 300));
    say(&c, GW_FRAME_INTERNAL, 4, "ver|1.4.0|tmpl|" INFO_REQUIRED);
    sys_must(&gateway, &c, sys_client_expect_response(&c, 4, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    expect_write(&c, 3, "vw|1|held");
    sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
    sys_client_close(&c);
}

/* ---- restarts: these come last and leave the gateway running ---- */

static void write_acknowledged(const struct sys_device *device, const char *text)
{
    struct sys_client c;

    log_in(&c, device, SYS_TLS13);
    write_pin(&c, text);
    sys_must(&gateway, &c, sys_client_ping(&c, 5));
    sys_client_close(&c);
}

static void expect_after_login(const struct sys_device *device, const char *writes)
{
    struct sys_client c;

    log_in(&c, device, SYS_TLS13);
    sync_gives(&c, "", writes);
    sys_client_close(&c);
}

static uint64_t logged(const char *key)
{
    char *text = sys_gateway_log_wait(&gateway, "values", 0, key);
    uint64_t number = strtoull(text, NULL, 10);

    free(text);
    return number;
}

static void a_stop_and_a_start_keep_them(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    char *number, *printed;

    (void)state;
    write_acknowledged(&device, "vw|1|before");
    sys_gateway_stop(&gateway);
    number = sys_text("%u", device.number);
    printed = sys_ctl(&gateway, NULL, "values", number, NULL);
    sys_check(&gateway, strstr(printed, "  V1 = before\n") != NULL, "tollgatectl: %s", printed);
    free(printed);
    free(number);
    sys_gateway_start(&gateway);
    assert_int_equal(logged("replayed"), 0); /* SIGTERM made a checkpoint of all */
    expect_after_login(&device, "vw|1|before");
}

static void kill_9_keeps_what_was_acknowledged(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);

    (void)state;
    write_acknowledged(&device, "vw|1|first");
    for (int n = 0; n < 3; n++) {
        char *text = sys_text("vw|2|%d", n), *all = sys_text("vw|1|first vw|2|%d", n);

        write_acknowledged(&device, text);
        sys_gateway_kill(&gateway);
        sys_gateway_start(&gateway);
        assert_true(logged("replayed") > 0);
        expect_after_login(&device, all);
        free(text);
        free(all);
    }
}

static void a_damaged_store_is_built_from_the_log(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    char *data = sys_text("%s/values/data.mdb", gateway.journal_path), *why;

    (void)state;
    write_acknowledged(&device, "vw|1|kept");
    sys_gateway_stop(&gateway);
    sys_check(&gateway, sys_file_write(data, "this is no store"), "%s", data);
    sys_gateway_start(&gateway);
    assert_int_equal(logged("rebuilt"), 1);
    why = sys_gateway_log_wait(&gateway, "values", 0, "why");
    assert_true(strlen(why) > 2);
    free(why);
    expect_after_login(&device, "vw|1|kept");
    free(data);
}

static void what_the_store_lags_behind_is_told(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);

    (void)state;
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, "rate: { burst = 1000; };\nvalues: { checkpoint_s = 1; };\n");
    sys_gateway_start(&gateway);
    write_acknowledged(&device, "vw|1|x");
    for (uint64_t deadline = sys_now_ms() + sys_ms(5000);
         sys_metric(&gateway, "tollgate_values_checkpoints_total") < 1 ||
         sys_metric(&gateway, "tollgate_values_lag_updates") > 0;)
        sys_check(&gateway, sys_now_ms() < deadline, "no checkpoint came");
    assert_true(sys_metric(&gateway, "tollgate_values_pins") > 0);
    assert_true(sys_metric(&gateway, "tollgate_values_lag_seconds") < 5);
    expect_after_login(&device, "vw|1|x"); /* from the disk now */
}

static void without_values_a_sync_is_silence(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);

    (void)state;
    write_acknowledged(&device, "vw|1|x");
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, "values: { enabled = false; };\n");
    sys_gateway_start(&gateway);
    expect_after_login(&device, "");
    write_acknowledged(&device, "vw|1|written");
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, NULL);
    sys_gateway_start(&gateway);
    assert_int_equal(logged("incomplete"), 0); /* the log still had all of it */
    expect_after_login(&device, "vw|1|written");
}

/* ---- datastreams: initial values, and pins that are marked for devices ---- */

#define STREAMS "TMPLstreams01"

/* V1 marked, 5; V2 hello; V3 marked, a place; V4 marked, without an initial value. */
static void add_streams(void)
{
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", STREAMS, "--org", "Test", "--plain",
                 NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STREAMS, "V1", "--type", "int",
                 "--default", "5", "--sync", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STREAMS, "V2", "--type", "string",
                 "--default", "hello", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STREAMS, "V3", "--type", "location",
                 "--default", "2.17,41.40", "--sync", NULL));
    free(sys_ctl(&gateway, NULL, "product", "stream", "add", STREAMS, "V4", "--type", "string",
                 "--sync", NULL));
}

static void a_pin_has_its_initial_value_until_it_is_written(void **state)
{
    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_device device = new_device(STREAMS);
        struct sys_client c;

        log_in(&c, &device, (enum sys_transport)t);
        sync_gives(&c, "vr|4|3|2|1|0", "vw|3|2.17|41.40 vw|2|hello vw|1|5");
        write_pin(&c, "vw|2|written");
        sync_gives(&c, "vr|1|2", "vw|1|5 vw|2|written");
        sys_client_close(&c);
    }
}

static void all_are_those_that_are_marked(void **state)
{
    struct sys_device device = new_device(STREAMS);
    struct sys_client c;

    (void)state;
    log_in(&c, &device, SYS_TLS13);
    sync_gives(&c, "", "vw|1|5 vw|3|2.17|41.40");
    write_pin(&c, "vw|2|unmarked");
    write_pin(&c, "vw|9|no stream");
    write_pin(&c, "vw|4|x");
    write_pin(&c, "vw|1|6");
    sync_gives(&c, "", "vw|1|6 vw|3|2.17|41.40 vw|4|x");
    sync_gives(&c, "vr|2|4", "vw|2|unmarked vw|4|x");
    sys_client_close(&c);
}

static void tell_who(struct sys_client *c, const char *body)
{
    say(c, GW_FRAME_INTERNAL, 2, body);
    sys_must(&gateway, c, sys_client_expect_response(c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
}

/* Frames that nobody asked for, numbered by the gateway, from `*id` + 1 on. */
static void expect_unasked(struct sys_client *c, uint16_t *id, const char *text)
{
    expect_write(c, ++*id, text);
}

static void who_comes_online_is_given_what_is_marked(void **state)
{
    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_device device = new_device(STREAMS), plain = new_device(SYS_PRODUCT);
        uint16_t id = 0;
        struct sys_client c;

        log_in(&c, &device, (enum sys_transport)t);
        sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID)); /* not before it said who it is */
        tell_who(&c, "ver|1.4.0|buff-in|1024");
        expect_unasked(&c, &id, "vw|1|5");
        expect_unasked(&c, &id, "vw|3|2.17|41.40");
        sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
        tell_who(&c, "ver|1.4.0|buff-in|1024"); /* once */
        write_pin(&c, "vw|1|7");
        write_pin(&c, "vw|2|unmarked");
        sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
        sys_client_close(&c);

        id = 0;
        log_in(&c, &device, (enum sys_transport)t);
        tell_who(&c, "ver|1.4.0");
        expect_unasked(&c, &id, "vw|1|7");
        expect_unasked(&c, &id, "vw|3|2.17|41.40");
        sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
        sys_client_close(&c);

        log_in(&c, &plain, (enum sys_transport)t); /* no datastreams, no marks */
        write_pin(&c, "vw|1|7");
        tell_who(&c, "ver|1.4.0");
        sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
        sys_client_close(&c);
    }
}

/* More than may be unsent: what the device sends behind its info frame waits, and nothing is lost.
 */
static void what_is_marked_may_be_much(void **state)
{
    enum { MANY = 60, BYTES = 1000 };
    struct sys_device device;
    struct sys_client c;

    (void)state;
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLmany", "--org", "Test", "--plain",
                 NULL));
    for (int pin = 0; pin < MANY; pin++) {
        char *name = sys_text("V%d", pin);

        free(sys_ctl(&gateway, NULL, "product", "stream", "add", "TMPLmany", name, "--type",
                     "string", "--sync", NULL));
        free(name);
    }
    device = new_device("TMPLmany");
    log_in(&c, &device, SYS_TLS13);
    for (int pin = 0; pin < MANY; pin++) {
        char *write = sys_text("vw|%d|%0*d", pin, BYTES, pin);

        write_pin(&c, write);
        free(write);
    }
    sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
    sys_client_close(&c);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        uint16_t id = 0;

        log_in(&c, &device, (enum sys_transport)t);
        say(&c, GW_FRAME_INTERNAL, 2, "ver|1.4.0|buff-in|2048");
        say(&c, GW_FRAME_HARDWARE_SYNC, 3, "vr|1"); /* is answered behind it */
        say(&c, GW_FRAME_PING, 4, "");
        sys_pause_ms(100);
        sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        for (int pin = 0; pin < MANY; pin++) {
            char *write = sys_text("vw|%d|%0*d", pin, BYTES, pin);

            expect_unasked(&c, &id, write);
            free(write);
        }
        char *write = sys_text("vw|1|%0*d", BYTES, 1);

        expect_write(&c, 3, write);
        free(write);
        sys_must(&gateway, &c, sys_client_expect_response(&c, 4, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        sys_client_close(&c);
    }
}

static void add_products(void)
{
    add_streams();
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", INFO_REQUIRED, "--org", "Test", "--name",
                 "Strict", "--plain", "--info-required", NULL));
}

int main(void)
{
    static const struct sys_group group = {
        .name = "values",
        .gateway = &gateway,
        .options = {.shards = 2, .slow_disk = true, .config = "rate: { burst = 1000; };\n"},
        .prepare = add_products,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_gets_what_it_wrote),
        cmocka_unit_test(a_pin_has_its_initial_value_until_it_is_written),
        cmocka_unit_test(all_are_those_that_are_marked),
        cmocka_unit_test(who_comes_online_is_given_what_is_marked),
        cmocka_unit_test(what_is_marked_may_be_much),
        cmocka_unit_test(what_is_asked_for_twice_is_given_once),
        cmocka_unit_test(banks_are_apart_and_all_means_virtual),
        cmocka_unit_test(a_property_is_no_value_and_a_member_of_a_group_is_one),
        cmocka_unit_test(nobody_gets_the_values_of_another),
        cmocka_unit_test(they_are_there_when_the_device_comes_back),
        cmocka_unit_test(a_sync_waits_for_the_disk_with_what_was_written_before),
        cmocka_unit_test(a_long_answer_comes_in_pieces),
        cmocka_unit_test(a_value_that_the_device_cannot_take_is_not_sent),
        cmocka_unit_test(an_id_of_0_is_not_answered),
        cmocka_unit_test(before_the_info_frame_that_a_product_requires_nothing_is_told),
        cmocka_unit_test(a_stop_and_a_start_keep_them),
        cmocka_unit_test(kill_9_keeps_what_was_acknowledged),
        cmocka_unit_test(a_damaged_store_is_built_from_the_log),
        cmocka_unit_test(what_the_store_lags_behind_is_told),
        cmocka_unit_test(without_values_a_sync_is_silence),
    };

    return SYS_GROUP_RUN(&group, tests);
}
