/*
 * Acknowledged means durable: what a PING's answer covered survives kill -9 at once after it, in
 * order, round after round on one log; and a stop in good order loses nothing that was read.
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
#include <sys/random.h>

#include "harness.h"
#include "updates.h"

enum {
    DEVICES = 36,
    ROUNDS = 8,
    BURSTS_MAX = 8, /* of a round; the kill comes somewhere among them, or behind the last */
    WRITES = 7,     /* before each PING: 8 frames, 9 bursts, within the rate's burst         */
    SOON_MS = 5000,
};

/* A device's side of the ledger; values count up over all rounds. */
struct account {
    struct sys_device device;
    struct sys_client client;
    uint32_t sent;                    /* the last value written                              */
    uint32_t answered;                /* the last value that an answered PING covered        */
    uint32_t covered[BURSTS_MAX + 1]; /* by the PING of each burst of this round  */
    uint32_t bursts;
    uint32_t round_first[ROUNDS + 1];    /* the first value of each round     */
    uint32_t round_answered[ROUNDS + 1]; /* `answered` when it was over       */
};

static struct sys_gateway gateway;
static struct account accounts[DEVICES];
static uint64_t seed;

/* A small generator with a printed seed: a failing run can be had again. */
static uint32_t dice(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static size_t put_write(uint8_t *out, size_t capacity, uint32_t value)
{
    char body[24];
    int bytes = snprintf(body, sizeof body, "vw|7|%u", value);
    struct gw_frame frame = {.type = GW_FRAME_HARDWARE, .msg_id = (uint16_t)(value % 60000 + 1)};

    body[2] = body[4] = '\0';
    frame.body = gw_bytes_of(body, (size_t)bytes);
    return gw_frame_encode(out, capacity, &frame);
}

/* PING ids of a round are 60001 and up, one a burst. */
static uint16_t ping_id(uint32_t burst)
{
    return (uint16_t)(60001 + burst);
}

/* WRITES updates and a PING, in one go. */
static bool send_burst(struct account *a)
{
    struct gw_frame ping = {.type = GW_FRAME_PING, .msg_id = ping_id(a->bursts)};
    uint8_t room[(WRITES + 1) * 32];
    size_t bytes = 0;

    for (int i = 0; i < WRITES; i++)
        bytes += put_write(room + bytes, sizeof room - bytes, ++a->sent);
    bytes += gw_frame_encode(room + bytes, sizeof room - bytes, &ping);
    a->covered[a->bursts++] = a->sent;
    return sys_client_send(&a->client, room, bytes);
}

/*
 * Takes what has come; every PING's answer moves the ledger. Answers to older PINGs may be left out
 * for the newest's, never the other way round.
 */
static void take_answers(struct account *a, uint32_t ms)
{
    (void)sys_client_receive(&a->client, ms);
    while (a->client.in_bytes >= GW_FRAME_HEADER_BYTES) {
        struct gw_frame frame;
        uint32_t burst;

        sys_must(&gateway, &a->client, sys_client_frame(&a->client, &frame, 0));
        assert_int_equal(frame.type, GW_FRAME_RESPONSE);
        assert_int_equal(frame.status, GW_RESPONSE_OK);
        burst = (uint32_t)frame.msg_id - ping_id(0);
        assert_true(burst < a->bursts);
        assert_true(a->covered[burst] > a->answered);
        a->answered = a->covered[burst];
    }
}

static void log_all_in(void)
{
    for (size_t i = 0; i < DEVICES; i++) {
        struct account *a = &accounts[i];

        a->bursts = 0;
        sys_must(&gateway, &a->client,
                 sys_connect(&gateway, &a->client, (enum sys_transport)(i % SYS_TRANSPORTS)));
        sys_must(&gateway, &a->client, sys_client_login(&a->client, a->device.token, 200));
    }
}

/*
 * Bursts from every device, and kill -9 after a number of answers that the dice chose: the log's
 * disk is then busy with the rest.
 */
static void play_round_and_kill(uint32_t round)
{
    uint32_t answers = 0, answers_wanted = 1 + dice(DEVICES * BURSTS_MAX);

    for (uint32_t burst = 0; burst < BURSTS_MAX && answers < answers_wanted; burst++) {
        for (size_t i = 0; i < DEVICES; i++)
            sys_must(&gateway, &accounts[i].client, send_burst(&accounts[i]));
        for (size_t i = 0; i < DEVICES && answers < answers_wanted; i++) {
            uint32_t before = accounts[i].answered;

            while (accounts[i].answered == before && accounts[i].client.end == SYS_OPEN)
                take_answers(&accounts[i], 100);
            answers++;
        }
    }
    /* And once more, with the kill in the middle of it: some of this is answered, some on disk and
       not answered yet, some not even read. */
    answers_wanted = dice(DEVICES);
    for (size_t i = 0; i < DEVICES; i++) {
        if (i == answers_wanted)
            kill(gateway.pid, SIGKILL);
        (void)send_burst(&accounts[i]);
    }
    sys_gateway_kill(&gateway);
    for (size_t i = 0; i < DEVICES; i++) { /* answers that were on their way are answers, too */
        while (accounts[i].client.end == SYS_OPEN)
            take_answers(&accounts[i], 100);
        accounts[i].round_answered[round] = accounts[i].answered;
        sys_client_close(&accounts[i].client);
    }
}

/* May the log go on with `value`, the first of a round, after `last`? */
static bool may_follow(const struct account *a, uint32_t rounds, uint32_t last, uint32_t value)
{
    for (uint32_t r = 1; r < rounds; r++)
        if (value == a->round_first[r])
            return value > last && last >= a->round_answered[r - 1];
    return false;
}

/*
 * The log against the ledger: values only rise; those of one session are a prefix of what it sent;
 * nothing that was answered is missing.
 */
static void the_ledger_holds(const struct account *a, const struct sys_updates *updates,
                             uint32_t rounds)
{
    uint32_t last = 0;

    for (size_t i = 0; i < updates->count; i++) {
        const struct gw_record *record = &updates->items[i].record;
        char text[16] = "";
        uint32_t value;

        if (record->device != a->device.number || record->kind != GW_RECORD_PIN_WRITE)
            continue;
        assert_true(record->value.size < sizeof text);
        memcpy(text, record->value.data, record->value.size);
        value = (uint32_t)strtoul(text, NULL, 10);
        if (value != last + 1) /* a session lost its end, then; but none that was answered */
            sys_check(&gateway, may_follow(a, rounds, last, value), "device %u: %u follows %u",
                      a->device.number, value, last);
        last = value;
    }
    sys_check(&gateway, last >= a->answered, "device %u: answered up to %u, the log ends at %u",
              a->device.number, a->answered, last);
    sys_check(&gateway, last <= a->sent, "device %u: sent up to %u, the log ends at %u",
              a->device.number, a->sent, last);
}

static void kill_9_loses_nothing_that_was_answered(void **state)
{
    struct sys_updates updates = {NULL, 0, 0};
    uint32_t answered = 0, sent = 0;

    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        sys_gateway_start(&gateway);
        for (size_t i = 0; i < DEVICES; i++)
            accounts[i].round_first[round] = accounts[i].sent + 1;
        log_all_in();
        play_round_and_kill(round);
        /* Before a writer has recovered it, and after: a reader sees the same. */
        sys_updates_read(&gateway, &updates);
        for (size_t i = 0; i < DEVICES; i++)
            the_ledger_holds(&accounts[i], &updates, round + 1);
    }
    sys_gateway_start(&gateway);
    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < DEVICES; i++) {
        the_ledger_holds(&accounts[i], &updates, ROUNDS);
        answered += accounts[i].answered;
        sent += accounts[i].sent;
    }
    sys_gateway_stop(&gateway);
    print_message("%u updates sent, at least %u acknowledged, %d kills\n", sent, answered, ROUNDS);
    assert_true(answered > 0);
    assert_true(answered < sent); /* otherwise the kills always came too late to prove anything */
    sys_updates_release(&updates);
}

static void every_session_is_numbered_without_gaps(void **state)
{
    struct sys_updates updates = {NULL, 0, 0};

    (void)state;
    sys_updates_read(&gateway, &updates);
    assert_true(updates.count > 0);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;
        size_t k = i;

        while (k > 0 && updates.items[k - 1].record.session != record->session)
            k--;
        assert_int_equal(record->sequence, k > 0 ? updates.items[k - 1].record.sequence + 1 : 1);
        if (k > 0)
            assert_int_equal(record->device, updates.items[k - 1].record.device);
    }
    sys_updates_release(&updates);
}

/* No PING asks for durability here: what the gateway has read, the stop itself must save. */
static void a_stop_under_load_saves_what_was_read(void **state)
{
    struct sys_updates updates = {NULL, 0, 0};
    double before;

    (void)state;
    sys_gateway_start(&gateway);
    log_all_in();
    before = sys_metric(&gateway, "tollgate_updates_total");
    for (size_t i = 0; i < DEVICES; i++) {
        uint8_t room[60 * 32];
        size_t bytes = 0;

        accounts[i].round_first[ROUNDS] = accounts[i].sent + 1;
        for (int n = 0; n < 60; n++)
            bytes += put_write(room + bytes, sizeof room - bytes, ++accounts[i].sent);
        sys_must(&gateway, &accounts[i].client, sys_client_send(&accounts[i].client, room, bytes));
    }
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         sys_metric(&gateway, "tollgate_updates_total") < before + DEVICES * 60;)
        sys_check(&gateway, sys_now_ms() < deadline, "the gateway did not read everything");
    sys_gateway_stop(&gateway);
    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < DEVICES; i++) {
        const struct sys_update *last = NULL;

        accounts[i].answered = accounts[i].sent; /* nothing less will do */
        the_ledger_holds(&accounts[i], &updates, ROUNDS + 1);
        (void)sys_updates_count(&updates, accounts[i].device.number, GW_RECORD_OFFLINE, &last);
        assert_non_null(last);
        assert_true(gw_bytes_are(last->record.name, "shutdown"));
        sys_must(&gateway, &accounts[i].client,
                 sys_client_expect_end(&accounts[i].client, sys_ms(SOON_MS)));
        sys_client_close(&accounts[i].client);
    }
    sys_updates_release(&updates);
}

/*
 * However little time a stop is given, and however long devices take to hang up: who was online is
 * told to be offline, or readers of the log would believe it online for ever.
 */
static void a_stop_in_a_hurry_tells_who_went_offline(void **state)
{
    static const uint32_t seconds[] = {0, 1};
    struct sys_updates updates = {NULL, 0, 0};

    (void)state;
    for (size_t n = 0; n < GW_ARRAY_COUNT(seconds); n++) {
        gateway.options.drain_s = seconds[n];
        sys_gateway_configure(&gateway, NULL);
        sys_gateway_start(&gateway);
        log_all_in();
        sys_gateway_stop(&gateway); /* no client hangs up before it is over */
        sys_updates_read(&gateway, &updates);
        for (size_t i = 0; i < DEVICES; i++) {
            const struct sys_update *online = NULL, *offline = NULL;
            uint32_t number = accounts[i].device.number;

            (void)sys_updates_count(&updates, number, GW_RECORD_ONLINE, &online);
            (void)sys_updates_count(&updates, number, GW_RECORD_OFFLINE, &offline);
            sys_check(&gateway,
                      offline != NULL && offline->record.session == online->record.session,
                      "drain.s_max %u: device %u is online in the log", seconds[n], number);
            sys_client_close(&accounts[i].client);
        }
    }
    sys_updates_release(&updates);
}

static void a_restart_serves_on_the_same_ports(void **state)
{
    uint16_t plain = gateway.plain_port, tls = gateway.tls_port;
    struct sys_client c;

    (void)state;
    sys_gateway_start(&gateway);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, accounts[0].device.token, GW_RESPONSE_OK));
    sys_gateway_kill(&gateway);
    sys_gateway_start(&gateway); /* at once: the old process's connections are still dying */
    assert_int_equal(gateway.plain_port, plain);
    assert_int_equal(gateway.tls_port, tls);
    sys_client_close(&c);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c, sys_client_login(&c, accounts[0].device.token, GW_RESPONSE_OK));
        sys_must(&gateway, &c, sys_client_ping(&c, 2));
        sys_client_close(&c);
    }
    sys_gateway_stop(&gateway);
}

static const struct sys_gateway_options options = {.shards = 2};

static int set_up(void **state)
{
    const char *given = getenv("TOLLGATE_TEST_SEED");

    (void)state;
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return -1;
    print_message("TOLLGATE_TEST_SEED=%llu\n", (unsigned long long)seed);
    sys_gateway_create(&gateway, &options);
    /* Ports of the kernel's choice once, then the same ones for every start. */
    sys_gateway_start(&gateway);
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, NULL);
    for (size_t i = 0; i < DEVICES; i++) {
        accounts[i].client = SYS_CLIENT_NONE;
        sys_devices_add(&gateway, SYS_PRODUCT, &accounts[i].device, 1);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < DEVICES; i++)
        sys_client_close(&accounts[i].client);
    sys_gateway_destroy(&gateway);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_9_loses_nothing_that_was_answered),
        cmocka_unit_test(every_session_is_numbered_without_gaps),
        cmocka_unit_test(a_stop_under_load_saves_what_was_read),
        cmocka_unit_test(a_restart_serves_on_the_same_ports),
        cmocka_unit_test(a_stop_in_a_hurry_tells_who_went_offline),
    };

    return cmocka_run_group_tests_name("durability", tests, set_up, tear_down);
}
