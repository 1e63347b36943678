/*
 * What only time shows: heartbeats, deadlines, rates. The scenarios wait for a minute and a half
 * and do nothing meanwhile, so they all run at once, a thread each, begun by the group's set-up;
 * each test then joins its own and repeats its verdict. A scenario touches only its clients and
 * never cmocka.
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

#include "harness.h"
#include "mfln_client.h"
#include "updates.h"

enum {
    SOON_MS = 3000,
    /* A wheel's tick early, and what a loaded machine may add: a claim of 23 s stays one of 23. */
    EARLY_MS = 150,
    LATE_MS = 2000,
    TEST_MS = 95000, /* how long "stays open" is watched */
};

struct scenario {
    const char *(*play)(struct scenario *s); /* NULL, or what went wrong */
    const struct sys_gateway *gateway;
    struct sys_device device;
    const char *heartbeat; /* what the info frame announces; NULL: no info frame */
    uint32_t closed_after_ms;
    enum sys_transport transport;
    uint64_t count; /* what it found out, for its test */
    uint16_t last_id;
    struct sys_client c;
    char verdict[1400];
    pthread_t thread;
    bool begun;
};

static struct sys_gateway gateway;

static const char *failed(struct scenario *s, const char *what)
{
    (void)snprintf(s->verdict, sizeof s->verdict, "%s: %s", what, s->c.failure);
    sys_client_close(&s->c);
    return s->verdict;
}

#define TRY(s, call)                                                                               \
    do {                                                                                           \
        if (!(call))                                                                               \
            return failed((s), #call);                                                             \
    } while (0)

static bool send_info(struct scenario *s)
{
    char body[128];
    int bytes = snprintf(body, sizeof body, "ver|1.4.0|h-beat|%s|buff-in|1024|tmpl|%s",
                         s->heartbeat, SYS_PRODUCT);

    for (int i = 0; i < bytes; i++)
        body[i] = body[i] == '|' ? '\0' : body[i];
    return sys_client_send_frame(&s->c, GW_FRAME_INTERNAL, 2, body, (size_t)bytes) &&
           sys_client_expect_response(&s->c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS));
}

static bool log_in(struct scenario *s)
{
    return sys_connect(s->gateway, &s->c, s->transport) &&
           sys_client_login(&s->c, s->device.token, GW_RESPONSE_OK) &&
           (s->heartbeat == NULL || send_info(s));
}

/* It is closed when `closed_after_ms` have passed since `from`, and not earlier. */
static const char *ends_on_time(struct scenario *s, uint64_t from)
{
    uint32_t latest = s->closed_after_ms + sys_ms(LATE_MS);
    uint64_t took;

    TRY(s, sys_client_expect_end(&s->c, latest));
    took = sys_now_ms() - from;
    sys_client_close(&s->c);
    if (took + EARLY_MS >= s->closed_after_ms && took <= latest)
        return NULL;
    (void)snprintf(s->verdict, sizeof s->verdict, "closed after %u ms instead of %u",
                   (unsigned)took, s->closed_after_ms);
    return s->verdict;
}

static const char *play_silence(struct scenario *s)
{
    TRY(s, log_in(s));
    return ends_on_time(s, sys_now_ms());
}

static const char *play_no_byte(struct scenario *s)
{
    uint64_t from = sys_now_ms();

    TRY(s, sys_connect(s->gateway, &s->c, s->transport));
    return ends_on_time(s, from);
}

/* TCP to the TLS port, and not a byte. */
static const char *play_no_hello(struct scenario *s)
{
    struct sys_client_options options = sys_client_options(s->gateway, SYS_PLAIN);
    uint64_t from = sys_now_ms();

    options.port = s->gateway->tls_port;
    TRY(s, sys_client_open(&s->c, &options));
    return ends_on_time(s, from);
}

/* A login that never ends, a byte a second: bytes do not buy time before the login. */
static const char *play_endless_login(struct scenario *s)
{
    static const uint8_t header[] = {0x1d, 0x00, 0x01, 0x00, 0x20};
    uint64_t from = sys_now_ms();

    TRY(s, sys_connect(s->gateway, &s->c, s->transport));
    TRY(s, sys_client_send(&s->c, header, sizeof header));
    for (unsigned i = 0; i < 30 && s->c.end == SYS_OPEN; i++) {
        uint64_t next = sys_now_ms() + 1000;

        if (!sys_client_send(&s->c, s->device.token + i, 1))
            break;
        while (s->c.end == SYS_OPEN && sys_now_ms() < next)
            (void)sys_client_receive(&s->c, 50);
    }
    return ends_on_time(s, from);
}

static const char *play_pings(struct scenario *s)
{
    TRY(s, log_in(s));
    for (uint16_t id = 3; id < 9; id++) {
        TRY(s, sys_client_expect_silence(&s->c, 10000));
        TRY(s, sys_client_ping(&s->c, id));
    }
    sys_client_close(&s->c);
    return NULL;
}

static const char *play_stays_open(struct scenario *s)
{
    TRY(s, log_in(s));
    TRY(s, sys_client_expect_silence(&s->c, TEST_MS));
    TRY(s, sys_client_ping(&s->c, 3));
    sys_client_close(&s->c);
    return NULL;
}

/* Any byte is life, also one of a frame that is never finished. */
static const char *play_half_frame_is_life(struct scenario *s)
{
    static const uint8_t frame[] = {0x14, 0x00, 0x09, 0x00, 0x40};
    uint64_t from;

    TRY(s, log_in(s));
    TRY(s, sys_client_expect_silence(&s->c, 8000));
    from = sys_now_ms();
    TRY(s, sys_client_send(&s->c, frame, sizeof frame));
    return ends_on_time(s, from);
}

/*
 * 1000 writes a second, each with its own number as value, until the gateway ends it. Its last word
 * is status 1; its log is compared by the test.
 */
static const char *play_flood(struct scenario *s)
{
    uint64_t from, next;
    uint32_t number = 0;
    struct gw_frame frame;

    TRY(s, log_in(s));
    from = next = sys_now_ms();
    while (s->c.end == SYS_OPEN && s->c.in_bytes == 0 && sys_now_ms() - from < 30000) {
        uint8_t room[10 * 32];
        size_t bytes = 0;

        for (int i = 0; i < 10; i++) {
            char body[16];
            struct gw_frame hardware = {.type = GW_FRAME_HARDWARE};

            number++;
            hardware.msg_id = (uint16_t)(number % 65535 + 1);
            hardware.body =
                gw_bytes_of(body, (size_t)snprintf(body, sizeof body, "vw|1|%u", number));
            body[2] = body[4] = '\0';
            bytes += gw_frame_encode(room + bytes, sizeof room - bytes, &hardware);
        }
        if (!sys_client_send(&s->c, room, bytes))
            break;
        for (next += 10; s->c.end == SYS_OPEN && sys_now_ms() < next;)
            (void)sys_client_receive(&s->c, 2);
    }
    s->closed_after_ms = (uint32_t)(sys_now_ms() - from);
    TRY(s, sys_client_frame(&s->c, &frame, sys_ms(SOON_MS)));
    if (frame.type != GW_FRAME_RESPONSE || frame.status != GW_RESPONSE_QUOTA_LIMIT) {
        (void)snprintf(s->verdict, sizeof s->verdict, "type %u status %u instead of status 1",
                       frame.type, frame.status);
        return s->verdict;
    }
    s->last_id = frame.msg_id;
    TRY(s, sys_client_expect_end(&s->c, sys_ms(SOON_MS)));
    sys_client_close(&s->c);
    return NULL;
}

static bool send_burst(struct scenario *s, uint32_t count)
{
    static const uint8_t write[] = {0x14, 0, 9, 0, 8, 'v', 'w', 0, '1', 0, 'a', 'b', 'c'};
    uint8_t burst[400 * sizeof write];

    for (uint32_t i = 0; i < count; i++)
        memcpy(burst + i * sizeof write, write, sizeof write);
    return sys_client_send(&s->c, burst, count * sizeof write);
}

/* A burst above what is allowed at once, a pause in which it is paid for, and a larger one. */
static const char *play_two_bursts(struct scenario *s)
{
    TRY(s, log_in(s));
    TRY(s, send_burst(s, 150));
    TRY(s, sys_client_expect_silence(&s->c, 12000));
    TRY(s, send_burst(s, 400));
    TRY(s, sys_client_send_frame(&s->c, GW_FRAME_PING, 10, NULL, 0));
    TRY(s, sys_client_expect_response(&s->c, 10, GW_RESPONSE_OK, sys_ms(12000)));
    sys_client_close(&s->c);
    return NULL;
}

static struct scenario heartbeat_kept = {.play = play_pings, .heartbeat = "10"};
static struct scenario no_info = {
    .play = play_silence, .closed_after_ms = 23000, .transport = SYS_TLS12};
static struct scenario heartbeat_40 = {
    .play = play_silence, .heartbeat = "40", .closed_after_ms = 92000, .transport = SYS_TLS13};
static struct scenario heartbeat_10 = {
    .play = play_silence, .heartbeat = "10", .closed_after_ms = 23000, .transport = SYS_TLS13};
static struct scenario heartbeat_0 = {
    .play = play_silence, .heartbeat = "0", .closed_after_ms = 12000};
static struct scenario heartbeat_negative = {
    .play = play_silence, .heartbeat = "-40", .closed_after_ms = 12000};
static struct scenario heartbeat_text = {
    .play = play_silence, .heartbeat = "often", .closed_after_ms = 23000};
static struct scenario heartbeat_huge = {.play = play_stays_open, .heartbeat = "4000000"};
static struct scenario heartbeat_beyond_64_bits = {
    .play = play_stays_open, .heartbeat = "99999999999999999999", .transport = SYS_TLS12};
static struct scenario half_frame = {
    .play = play_half_frame_is_life, .heartbeat = "5", .closed_after_ms = 12000};
static struct scenario no_byte_plain = {.play = play_no_byte, .closed_after_ms = 10000};
static struct scenario no_byte_tls = {
    .play = play_no_byte, .closed_after_ms = 10000, .transport = SYS_TLS13};
static struct scenario no_hello = {.play = play_no_hello, .closed_after_ms = 10000};
static struct scenario endless_login = {.play = play_endless_login, .closed_after_ms = 10000};
static struct scenario endless_login_tls = {
    .play = play_endless_login, .closed_after_ms = 10000, .transport = SYS_TLS13};
static struct scenario two_bursts = {.play = play_two_bursts, .heartbeat = "40"};
static struct scenario flood = {.play = play_flood};
static struct scenario flood_tls = {.play = play_flood, .transport = SYS_TLS13};

static struct scenario *const scenarios[] = {
    &heartbeat_kept, &no_info,        &heartbeat_40,
    &heartbeat_10,   &heartbeat_0,    &heartbeat_negative,
    &heartbeat_text, &heartbeat_huge, &heartbeat_beyond_64_bits,
    &half_frame,     &no_byte_plain,  &no_byte_tls,
    &no_hello,       &endless_login,  &endless_login_tls,
    &flood,          &flood_tls,      &two_bursts,
};

static void *play(void *argument)
{
    struct scenario *s = (struct scenario *)argument;

    return (void *)s->play(s);
}

static void the_scenario_held(struct scenario *s)
{
    void *verdict = NULL;

    assert_true(s->begun);
    s->begun = false;
    assert_int_equal(pthread_join(s->thread, &verdict), 0);
    if (verdict != NULL)
        sys_fail(&gateway, __FILE__, __LINE__, "%s", (const char *)verdict);
}

#define SCENARIO_TEST(claim, scenario)                                                             \
    static void claim(void **state)                                                                \
    {                                                                                              \
        (void)state;                                                                               \
        the_scenario_held(&(scenario));                                                            \
    }

SCENARIO_TEST(t1_pings_within_the_heartbeat_keep_it_open, heartbeat_kept)
SCENARIO_TEST(t2_silence_without_info_closes_after_23_s, no_info)
SCENARIO_TEST(t3_heartbeat_40_closes_after_92_s, heartbeat_40)
SCENARIO_TEST(c29_heartbeat_10_closes_after_23_s, heartbeat_10)
SCENARIO_TEST(t4_heartbeat_0_counts_as_the_least_allowed, heartbeat_0)
SCENARIO_TEST(t4_a_negative_heartbeat_counts_as_the_least_allowed, heartbeat_negative)
SCENARIO_TEST(t4_a_heartbeat_in_words_changes_nothing, heartbeat_text)
SCENARIO_TEST(t4_a_huge_heartbeat_does_not_overflow, heartbeat_huge)
SCENARIO_TEST(t4_nor_does_one_beyond_64_bits, heartbeat_beyond_64_bits)
SCENARIO_TEST(bytes_of_half_a_frame_are_life, half_frame)
SCENARIO_TEST(g73_no_byte_after_connect_closes_after_10_s, no_byte_plain)
SCENARIO_TEST(g73_no_login_after_the_handshake_closes_after_10_s, no_byte_tls)
SCENARIO_TEST(g73_no_hello_on_the_tls_port_closes_after_10_s, no_hello)
SCENARIO_TEST(a_login_in_small_bytes_has_10_s, endless_login)
SCENARIO_TEST(a_burst_that_was_paid_for_is_forgotten, two_bursts)
SCENARIO_TEST(a_login_in_small_records_has_10_s, endless_login_tls)

/* ---- T6: what the flood left in the log ---- */

static void flood_left_a_prefix(struct scenario *s)
{
    struct sys_updates updates = {NULL, 0, 0};
    uint32_t writes = 0;
    uint16_t newest_id = 0;

    the_scenario_held(s);
    assert_in_range(s->closed_after_ms, 10000 - EARLY_MS, 14000 + sys_ms(LATE_MS));
    sys_updates_wait(&gateway, &updates, s->device.number, GW_RECORD_OFFLINE, 1);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;
        char number[16];

        if (record->device != s->device.number)
            continue;
        if (record->kind == GW_RECORD_OFFLINE) {
            assert_true(gw_bytes_are(record->name, "quota"));
            continue;
        }
        if (record->kind != GW_RECORD_PIN_WRITE)
            continue;
        (void)snprintf(number, sizeof number, "%u", ++writes);
        if (!gw_bytes_are(record->value, number))
            sys_fail(&gateway, __FILE__, __LINE__, "write %s is not in the log", number);
        newest_id = record->msg_id;
    }
    sys_updates_release(&updates);
    /* A burst of 100, then 50 a second; and it was told at which frame the reading ended. */
    assert_in_range(writes, 100 + 50 * 9, 100 + 50 * (s->closed_after_ms / 1000 + 3));
    assert_int_equal(newest_id, s->last_id);
}

static void t6_a_flood_is_slowed_told_and_closed(void **state)
{
    (void)state;
    flood_left_a_prefix(&flood);
}

static void t6_a_flood_in_tls_is_slowed_told_and_closed(void **state)
{
    (void)state;
    flood_left_a_prefix(&flood_tls);
}

/* ---- what takes no time ---- */

static struct sys_device quick_devices[4];

static void t8_old_tls_is_refused(void **state)
{
    static const uint16_t versions[] = {TLS1_VERSION, TLS1_1_VERSION};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        struct sys_client_options options = sys_client_options(&gateway, SYS_TLS12);
        struct sys_client c;

        options.version = versions[i];
        assert_false(sys_client_open(&c, &options));
        if (strstr(c.failure, "PROTOCOL_VERSION") == NULL)
            sys_fail(&gateway, __FILE__, __LINE__, "no alert protocol_version: %s", c.failure);
    }
}

/*
 * So many questions in one go that their answers fill several records of 512 bytes. The same
 * without the extension shows that the gateway would have sent a longer one.
 */
static void t9_records_respect_max_fragment_length(void **state)
{
    enum { QUESTIONS = 90, QUESTION_BYTES = 13, RECORD_OVERHEAD = 24 };
    const size_t answer_bytes = (size_t)QUESTIONS * 27;
    uint8_t questions[QUESTIONS * QUESTION_BYTES];
    struct mfln_report report;
    struct sys_client c;

    (void)state;
    for (size_t i = 0; i < QUESTIONS; i++)
        memcpy(questions + i * QUESTION_BYTES, "\x11\x00\x0d\x00\x08utc\0time", QUESTION_BYTES);

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS12));
    sys_must(&gateway, &c, sys_client_login(&c, quick_devices[2].token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_client_send(&c, questions, sizeof questions));
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct gw_frame frame;

        sys_must(&gateway, &c, sys_client_frame(&c, &frame, sys_ms(SOON_MS)));
    }
    assert_true(c.record_bytes_max > 512 + RECORD_OVERHEAD);
    sys_client_close(&c);

    if (!mfln_client_run(gateway.tls_port, quick_devices[0].token, questions, sizeof questions,
                         answer_bytes, &report))
        sys_fail(&gateway, __FILE__, __LINE__, "%s", report.failure);
    assert_int_equal(report.answer_bytes, answer_bytes);
    assert_in_range(report.record_bytes_max, 27, 512 + RECORD_OVERHEAD);
}

static void t12_a_login_after_a_cut_link_is_granted(void **state)
{
    struct sys_client cut, back;

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &cut, sys_connect(&gateway, &cut, (enum sys_transport)t));
        sys_must(&gateway, &cut, sys_client_login(&cut, quick_devices[1].token, GW_RESPONSE_OK));
        /* The link is gone, and neither side was told: the old connection just stays there. */
        sys_must(&gateway, &back, sys_connect(&gateway, &back, (enum sys_transport)t));
        sys_must(&gateway, &back, sys_client_login(&back, quick_devices[1].token, GW_RESPONSE_OK));
        sys_must(&gateway, &cut, sys_client_expect_end(&cut, sys_ms(SOON_MS)));
        sys_must(&gateway, &back, sys_client_ping(&back, 2));
        sys_client_close(&cut);
        sys_client_close(&back);
    }
}

static const struct sys_gateway_options options = {.shards = 2};

static int start(void **state)
{
    (void)state;
    sys_gateway_create(&gateway, &options);
    for (size_t i = 0; i < GW_ARRAY_COUNT(scenarios); i++)
        sys_devices_add(&gateway, SYS_PRODUCT, &scenarios[i]->device, 1);
    sys_devices_add(&gateway, SYS_PRODUCT, quick_devices, GW_ARRAY_COUNT(quick_devices));
    sys_gateway_start(&gateway);
    for (size_t i = 0; i < GW_ARRAY_COUNT(scenarios); i++) {
        scenarios[i]->gateway = &gateway;
        scenarios[i]->c = SYS_CLIENT_NONE;
        if (pthread_create(&scenarios[i]->thread, NULL, play, scenarios[i]) != 0)
            return -1;
        scenarios[i]->begun = true;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(scenarios); i++)
        if (scenarios[i]->begun)
            pthread_join(scenarios[i]->thread, NULL);
    if (gateway.pid != 0)
        sys_gateway_stop(&gateway);
    sys_gateway_destroy(&gateway);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(t8_old_tls_is_refused),
        cmocka_unit_test(t9_records_respect_max_fragment_length),
        cmocka_unit_test(t12_a_login_after_a_cut_link_is_granted),
        cmocka_unit_test(g73_no_byte_after_connect_closes_after_10_s),
        cmocka_unit_test(g73_no_login_after_the_handshake_closes_after_10_s),
        cmocka_unit_test(g73_no_hello_on_the_tls_port_closes_after_10_s),
        cmocka_unit_test(a_login_in_small_bytes_has_10_s),
        cmocka_unit_test(a_login_in_small_records_has_10_s),
        cmocka_unit_test(t4_heartbeat_0_counts_as_the_least_allowed),
        cmocka_unit_test(t4_a_negative_heartbeat_counts_as_the_least_allowed),
        cmocka_unit_test(t4_a_heartbeat_in_words_changes_nothing),
        cmocka_unit_test(bytes_of_half_a_frame_are_life),
        cmocka_unit_test(a_burst_that_was_paid_for_is_forgotten),
        cmocka_unit_test(t6_a_flood_is_slowed_told_and_closed),
        cmocka_unit_test(t6_a_flood_in_tls_is_slowed_told_and_closed),
        cmocka_unit_test(t2_silence_without_info_closes_after_23_s),
        cmocka_unit_test(c29_heartbeat_10_closes_after_23_s),
        cmocka_unit_test(t1_pings_within_the_heartbeat_keep_it_open),
        cmocka_unit_test(t3_heartbeat_40_closes_after_92_s),
        cmocka_unit_test(t4_a_huge_heartbeat_does_not_overflow),
        cmocka_unit_test(t4_nor_does_one_beyond_64_bits),
    };

    return cmocka_run_group_tests_name("timing", tests, start, stop);
}
