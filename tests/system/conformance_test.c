/*
 * Every case of the conformance table, over plain TCP, TLS 1.2 and TLS 1.3, and each of them in
 * three deliveries: frame by frame, byte by byte, and all in one segment with the login. After each
 * case that leaves the connection open a PING is the fence: its answer comes next, so nothing else
 * was said; and what was sent before it is in the log, so the log is compared at once.
 *
 * Each run has a device of its own, so that no case can hide in another's session or be slowed by
 * its rate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "conformance_cases.h"
#include "group.h"

enum delivery { FRAME_BY_FRAME, BYTE_BY_BYTE, ALL_AT_ONCE, DELIVERIES };

enum {
    CASES = GW_ARRAY_COUNT(conformance_cases),
    RUNS = CASES * SYS_TRANSPORTS * DELIVERIES,
};
enum { SOON_MS = 3000, FENCE_ID = 0x7abc, BYTES_MAX = 1024 };

static const char *const delivery_texts[] = {"frame by frame", "byte by byte", "all at once"};

struct run {
    const struct conformance_case *item;
    enum sys_transport transport;
    enum delivery delivery;
    struct sys_device *device;
};

static struct sys_gateway gateway;
static struct sys_updates updates;

/* The frames of a table's text, T and t replaced. Returns how many; they lie one behind another. */
static size_t read_frames(const char *text, const char *token, uint8_t bytes[BYTES_MAX],
                          size_t ends[16])
{
    size_t count = 0, at = 0;

    while (*text != '\0') {
        size_t letters = strcspn(text, " ");

        for (size_t i = 0; i < letters;) {
            if (text[i] == 'T' || text[i] == 't') {
                size_t size = text[i] == 'T' ? 32 : 31;

                memcpy(bytes + at, token, size);
                at += size;
                i++;
            } else {
                char pair[3] = {text[i], text[i + 1], '\0'};

                at += sys_hex(pair, bytes + at, 1);
                i += 2;
            }
        }
        ends[count++] = at;
        text += letters;
        text += *text == ' ';
    }
    return count;
}

/*
 * Sends them in the run's way. A gateway that closes may do so before the last byte: then sending
 * fails, and what it said before is judged all the same.
 */
static bool deliver(struct sys_client *c, const struct run *run, const uint8_t *bytes,
                    const size_t *ends, size_t count)
{
    size_t from = 0;

    switch (run->delivery) {
    case FRAME_BY_FRAME:
        for (size_t i = 0; i < count; from = ends[i++])
            if (!sys_client_send(c, bytes + from, ends[i] - from))
                return false;
        return true;
    case BYTE_BY_BYTE:
        return sys_client_dribble(c, bytes, count > 0 ? ends[count - 1] : 0);
    case ALL_AT_ONCE:
        return count == 0 || sys_client_send(c, bytes, ends[count - 1]);
    case DELIVERIES:
        break;
    }
    return false;
}

static void expect_updates(const struct run *run)
{
    char *seen;

    sys_updates_read(&gateway, &updates);
    seen = sys_updates_text(&updates, run->device->number);
    sys_check(&gateway, strcmp(seen, run->item->updates) == 0,
              "the log should hold \"%s\", it holds \"%s\"", run->item->updates, seen);
    free(seen);
}

static bool brings_login(const struct conformance_case *item)
{
    return item->number[0] == 'A';
}

static void the_case_holds(void **state)
{
    const struct run *run = (const struct run *)*state;
    uint8_t bytes[BYTES_MAX], answer[BYTES_MAX];
    size_t ends[16], answer_ends[16], count, answers;
    char *client =
        sys_text("%s%s", brings_login(run->item) ? "" : "1d00010020T ", run->item->client);
    char *expected =
        sys_text("%s%s", brings_login(run->item) ? "" : "00000100c8 ", run->item->answer);
    struct sys_client c;

    count = read_frames(client, run->device->token, bytes, ends);
    answers = read_frames(expected, run->device->token, answer, answer_ends);
    free(client);
    free(expected);

    sys_must(&gateway, &c, sys_connect(&gateway, &c, run->transport));
    if (!deliver(&c, run, bytes, ends, count) && !run->item->closes)
        sys_fail(&gateway, __FILE__, __LINE__, "%s", c.failure);
    if (answers > 0)
        sys_must(&gateway, &c,
                 sys_client_expect(&c, answer, answer_ends[answers - 1], sys_ms(SOON_MS)));
    if (run->item->closes) {
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    } else {
        sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
    }
    sys_client_close(&c);
    if (run->item->closes &&
        !brings_login(run->item)) /* the end of its records is the fence, then */
        sys_updates_wait(&gateway, &updates, run->device->number, GW_RECORD_OFFLINE, 1);
    expect_updates(run);
}

/* ---- cases that are more than bytes ---- */

static struct sys_device *one_device(void)
{
    static struct sys_device device;

    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    return &device;
}

static void a01_the_token_of_the_documentation_logs_in(void **state)
{
    struct sys_device device;
    struct sys_client c;

    (void)state;
    sys_device_add(&gateway, SYS_PRODUCT, "xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl", &device);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    sys_client_close(&c);
}

/* Sends an INTERNAL request; the number behind `prefix` in its answer. */
static uint64_t asked_time(struct sys_client *c, uint16_t msg_id, const char *body, size_t size,
                           const char *prefix, size_t prefix_bytes)
{
    struct gw_frame frame;
    char digits[32] = "";

    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_INTERNAL, msg_id, body, size));
    sys_must(&gateway, c, sys_client_frame(c, &frame, sys_ms(SOON_MS)));
    assert_int_equal(frame.type, GW_FRAME_INTERNAL);
    assert_int_equal(frame.msg_id, msg_id);
    assert_true(frame.body.size > prefix_bytes);
    assert_true(frame.body.size < prefix_bytes + sizeof digits);
    assert_memory_equal(frame.body.data, prefix, prefix_bytes);
    memcpy(digits, frame.body.data + prefix_bytes, frame.body.size - prefix_bytes);
    assert_int_equal(strspn(digits, "0123456789"), frame.body.size - prefix_bytes);
    return strtoull(digits, NULL, 10);
}

static void f57_f58_the_time_is_told(void **state)
{
    struct sys_device *device = one_device();

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_client c;
        uint64_t rtc, utc;
        time_t now;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_login(&c, device->token, GW_RESPONSE_OK));
        rtc = asked_time(&c, 14, "rtc\0sync", 8, "rtc", 4);
        utc = asked_time(&c, 13, "utc\0time", 8, "utc\0time", 9);
        now = time(NULL);
        assert_in_range(rtc, (uint64_t)now - 5, (uint64_t)now + 1);
        assert_in_range(utc, ((uint64_t)now - 5) * 1000, ((uint64_t)now + 1) * 1000);
        /* The form of old libraries: the key alone. */
        assert_in_range(asked_time(&c, 15, "rtc", 3, "rtc", 4), rtc, rtc + 5);
        sys_client_close(&c);
    }
}

static void f55_members_of_a_group_share_one_time(void **state)
{
    struct sys_device *device = one_device();
    const struct sys_update *first = NULL;
    unsigned members = 0;
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device->token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_GROUP, 2, "b", 1));
    for (uint16_t i = 0; i < 3; i++) {
        sys_must(&gateway, &c,
                 sys_client_send_frame(&c, GW_FRAME_HARDWARE, 3 + i, "vw\0001\0007", 6));
        sys_must(&gateway, &c, sys_client_ping(&c, 100 + i)); /* time passes between them */
    }
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_GROUP, 6, "e", 1));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_HARDWARE, 7, "vw\0001\0008", 6));
    sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
    sys_client_close(&c);

    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;

        if (record->device != device->number || record->kind != GW_RECORD_PIN_WRITE)
            continue;
        if (gw_bytes_are(record->value, "8")) {
            assert_int_equal(record->flags, 0);
            assert_true(record->time_us > first->record.time_us);
            continue;
        }
        first = first == NULL ? &updates.items[i] : first;
        assert_int_equal(record->flags, GW_RECORD_GROUPED);
        assert_int_equal(record->time_us, first->record.time_us);
        members++;
    }
    assert_int_equal(members, 3);
}

static void f56_members_of_a_timed_group_carry_its_time(void **state)
{
    struct sys_device *device = one_device();
    const struct sys_update *last = NULL;
    struct sys_client c;
    char *text;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS12));
    sys_must(&gateway, &c, sys_client_login(&c, device->token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_GROUP, 2, "t\0001700000000123", 15));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_HARDWARE, 3, "vw\0001\0007", 6));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_GROUP, 4, "e", 1));
    sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
    sys_client_close(&c);

    sys_updates_read(&gateway, &updates);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, &last), 1);
    assert_int_equal(last->record.time_us, UINT64_C(1700000000123000));
    assert_int_equal(last->record.flags, GW_RECORD_GROUPED | GW_RECORD_DEVICE_TIME);
    text = sys_updates_text(&updates, device->number);
    assert_string_equal(text, "group_begin at 1700000000123000; "
                              "write v1 37 grouped at 1700000000123000; "
                              "group_end at 1700000000123000");
    free(text);
}

static void g72_half_a_frame_is_no_update(void **state)
{
    static const uint8_t half[] = {0x14, 0x00, 0x03, 0x00, 0x06, 0x76, 0x77, 0x00};

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_device *device = one_device();
        struct sys_client c;
        char *text;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_login(&c, device->token, GW_RESPONSE_OK));
        sys_must(&gateway, &c, sys_client_send(&c, half, sizeof half));
        sys_client_close(&c);
        sys_updates_wait(&gateway, &updates, device->number, GW_RECORD_OFFLINE, 1);
        text = sys_updates_text(&updates, device->number);
        assert_string_equal(text, "");
        free(text);
    }
}

/* The info frame itself goes upstream as it came, and every record has the time it happened at. */
static void info_and_presence_are_published(void **state)
{
    static const char info[] = "ver\0001.4.0\0h-beat\00045\0buff-in\0001024\0tmpl\0TMPL0vFkFmJM7";
    struct sys_device *device = one_device();
    const struct sys_update *online, *told, *offline;
    uint64_t before = (uint64_t)time(NULL) * 1000000;
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device->token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_INTERNAL, 2, info, sizeof info - 1));
    sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    sys_client_close(&c);
    sys_updates_wait(&gateway, &updates, device->number, GW_RECORD_OFFLINE, 1);

    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_ONLINE, &online), 1);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_INFO, &told), 1);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_OFFLINE, &offline), 1);
    assert_int_equal(told->record.value.size, sizeof info - 1);
    assert_memory_equal(told->record.value.data, info, sizeof info - 1);
    assert_true(gw_bytes_are(offline->record.name, "peer_closed"));
    assert_int_equal(online->record.session, told->record.session);
    assert_int_equal(online->record.session, offline->record.session);
    assert_int_equal(online->record.sequence, 1);
    assert_int_equal(told->record.sequence, 2);
    assert_int_equal(offline->record.sequence, 3);
    assert_true(online->record.time_us >= before);
    assert_true(told->record.time_us >= online->record.time_us);
    assert_true(offline->record.time_us >= told->record.time_us);
    assert_true(offline->record.time_us <= (uint64_t)(time(NULL) + 1) * 1000000);
}

/* What an operator sees of the same bytes: text as text, anything else in base64. */
static void tail_prints_what_devices_wrote(void **state)
{
    static const struct {
        const char *frame, *key, *text;
    } writes[] = {
        {"140003000776770030003130", "value", "10"},
        {"140005000a76770036006100320063", "value", "a\0002\0c"},
        {"14001700097677003700000102ff", "value_base64", "AAEC/w=="},
        {"140006000d767700320032322e3520c2b043", "value",
         "22.5 \xc2\xb0"
         "C"},
    };
    static const size_t text_bytes[] = {2, 5, 8, 8};
    struct sys_device *device = one_device();
    char *number = sys_text("%u", device->number), *out, *line, *rest = NULL;
    struct sys_client c;
    size_t seen = 0;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device->token, GW_RESPONSE_OK));
    for (size_t i = 0; i < GW_ARRAY_COUNT(writes); i++) {
        uint8_t bytes[64];

        sys_must(&gateway, &c,
                 sys_client_send(&c, bytes, sys_hex(writes[i].frame, bytes, sizeof bytes)));
    }
    sys_must(&gateway, &c, sys_client_ping(&c, FENCE_ID));
    sys_client_close(&c);
    out = sys_ctl(&gateway, NULL, "tail", "--json", "--device", number, NULL);
    for (line = strtok_r(out, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_error_t why;
        json_t *object = json_loads(line, JSON_ALLOW_NUL, &why), *value;

        sys_check(&gateway, object != NULL, "%s: %s", why.text, line);
        assert_int_equal(json_integer_value(json_object_get(object, "device")), device->number);
        if (strcmp(json_string_value(json_object_get(object, "kind")), "pin_write") == 0) {
            assert_true(seen < GW_ARRAY_COUNT(writes));
            value = json_object_get(object, writes[seen].key);
            assert_int_equal(json_string_length(value), text_bytes[seen]);
            assert_memory_equal(json_string_value(value), writes[seen].text, text_bytes[seen]);
            seen++;
        }
        json_decref(object);
    }
    assert_int_equal(seen, GW_ARRAY_COUNT(writes));
    free(out);
    free(number);
}

/* ---- the table as tests ---- */

static struct run runs[RUNS];
static struct sys_device devices[RUNS];

int main(void)
{
    static const struct sys_group group = {
        .name = "conformance",
        .gateway = &gateway,
        .options = {.shards = 2},
        .devices = devices,
        .device_count = RUNS,
        .updates = &updates,
    };
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(a01_the_token_of_the_documentation_logs_in),
        cmocka_unit_test(f57_f58_the_time_is_told),
        cmocka_unit_test(f55_members_of_a_group_share_one_time),
        cmocka_unit_test(f56_members_of_a_timed_group_carry_its_time),
        cmocka_unit_test(g72_half_a_frame_is_no_update),
        cmocka_unit_test(info_and_presence_are_published),
        cmocka_unit_test(tail_prints_what_devices_wrote),
    };
    static struct CMUnitTest tests[RUNS + GW_ARRAY_COUNT(others)];
    int failed;

    for (size_t i = 0; i < RUNS; i++) {
        struct run *run = &runs[i];

        *run = (struct run){
            .item = &conformance_cases[i % CASES],
            .transport = (enum sys_transport)(i / CASES % SYS_TRANSPORTS),
            .delivery = (enum delivery)(i / CASES / SYS_TRANSPORTS),
            .device = &devices[i],
        };
        tests[i] = (struct CMUnitTest){
            .name = sys_text("%s %s; %s, %s", run->item->number, run->item->claim,
                             sys_transport_text(run->transport), delivery_texts[run->delivery]),
            .test_func = the_case_holds,
            .initial_state = run,
        };
    }
    memcpy(tests + RUNS, others, sizeof others);
    failed = SYS_GROUP_RUN(&group, tests);
    for (size_t i = 0; i < RUNS; i++)
        free((void *)tests[i].name);
    return failed;
}
