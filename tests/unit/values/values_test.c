/*
 * What readers see while values move from memory to the store, in one thread and in several (run
 * under ThreadSanitizer too).
 */
#include "values_kit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "values_internal.h"

static struct kit kit;

static int set_up(void **state)
{
    (void)state;
    kit_make(&kit);
    kit_open(&kit);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_stop(&kit);
    kit_remove(&kit);
    return 0;
}

static struct gw_values_stat stat_now(void)
{
    struct gw_values_stat stat;

    gw_values_stat(kit.values, &stat);
    return stat;
}

static void what_was_told_is_seen(void **state)
{
    (void)state;
    kit_expect(&kit, 7, 1, NULL);
    kit_write(&kit, 7, 1, "10");
    kit_expect(&kit, 7, 1, "10");
    kit_write(&kit, 7, 1, "11");
    kit_expect(&kit, 7, 1, "11");
    kit_expect(&kit, 8, 1, NULL);
    kit_expect(&kit, 7, 2, NULL);
    assert_int_equal(stat_now().applied, 2);
    assert_int_equal(stat_now().lag_records, 2);
    assert_int_equal(stat_now().memory_pins, 1);
}

static void only_pin_writes_are_values(void **state)
{
    static const uint8_t kinds[] = {
        GW_RECORD_PROPERTY, GW_RECORD_EVENT,       GW_RECORD_EVENT_CLEAR,
        GW_RECORD_META_SET, GW_RECORD_GROUP_BEGIN, GW_RECORD_GROUP_END,
        GW_RECORD_INFO,     GW_RECORD_ONLINE,      GW_RECORD_OFFLINE,
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(kinds); i++) {
        struct gw_record record = {.device = 7,
                                   .kind = kinds[i],
                                   .bank = 'v',
                                   .pin = 1,
                                   .name = gw_bytes_text("color"),
                                   .value = gw_bytes_text("no value")};

        kit_record(&kit, &record, false);
    }
    kit_expect(&kit, 7, 1, NULL);
    assert_int_equal(stat_now().applied, 0);
}

static void time_bytes_and_bank_are_those_of_the_record(void **state)
{
    static const uint8_t opaque[] = {0, 1, 2, 0, 255};
    struct gw_record record = {.device = 7,
                               .kind = GW_RECORD_PIN_WRITE,
                               .time_us = UINT64_C(1700000000123000),
                               .bank = 'a',
                               .pin = 255,
                               .flags = GW_RECORD_GROUPED | GW_RECORD_DEVICE_TIME,
                               .value = gw_bytes_of(opaque, sizeof opaque)};
    struct gw_value value;

    (void)state;
    kit_record(&kit, &record, false);
    for (int stored = 0; stored < 2; stored++) {
        assert_int_equal(gw_values_get(kit.reader, 7, 'a', 255, &value), 0);
        assert_int_equal(value.bank, 'a');
        assert_int_equal(value.pin, 255);
        assert_int_equal(value.origin, GW_VALUE_FROM_DEVICE);
        assert_int_equal(value.time_us, record.time_us);
        assert_true(gw_bytes_equal(value.bytes, record.value));
        assert_int_equal(gw_values_get(kit.reader, 7, 'v', 255, &value), -ENOENT);
        gw_values_reader_pause(kit.reader);
        assert_int_equal(values_freeze(kit.values, false), 0);
    }
    assert_int_equal(stat_now().rows, 1);
}

static void who_wrote_it_is_kept(void **state)
{
    static const struct {
        uint8_t flags, origin;
    } rows[] = {
        {GW_RECORD_FROM_HTTP, GW_VALUE_FROM_HTTP},
        {GW_RECORD_FROM_CONTROL, GW_VALUE_FROM_CONTROL},
        {GW_RECORD_FROM_BRIDGE, GW_VALUE_FROM_BRIDGE},
        {GW_RECORD_GROUPED | GW_RECORD_DEVICE_TIME, GW_VALUE_FROM_DEVICE},
    };
    struct gw_record record = {.device = 7,
                               .kind = GW_RECORD_PIN_WRITE,
                               .time_us = UINT64_C(1700000000123000),
                               .bank = 'v',
                               .value = gw_bytes_text("on")};
    struct gw_value value;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        record.flags = rows[i].flags;
        kit_record(&kit, &record, false);
        for (int stored = 0; stored < 2; stored++) {
            assert_int_equal(gw_values_get(kit.reader, 7, 'v', 0, &value), 0);
            assert_int_equal(value.origin, rows[i].origin);
            gw_values_reader_pause(kit.reader);
            assert_int_equal(values_freeze(kit.values, false), 0);
        }
    }
    record.flags = 0;
    kit_record(&kit, &record, false);
    assert_int_equal(gw_values_get(kit.reader, 7, 'v', 0, &value), 0);
    assert_int_equal(value.origin, GW_VALUE_FROM_DEVICE);
    gw_values_reader_pause(kit.reader);
}

static void memory_is_newer_than_the_store(void **state)
{
    (void)state;
    kit_write(&kit, 7, 1, "old");
    kit_write(&kit, 7, 2, "stays");
    kit_write(&kit, 6, 2, "of 6");
    kit_write(&kit, 8, 2, "of 8");
    assert_int_equal(values_freeze(kit.values, false), 0);
    kit_expect(&kit, 7, 1, "old");
    kit_write(&kit, 7, 1, "new");
    kit_write(&kit, 7, 200, "only here");
    kit_expect(&kit, 7, 1, "new");
    kit_expect(&kit, 7, 2, "stays");
    assert_string_equal(kit_pins(&kit, 7, 0), "1=new 2=stays 200=only here ");
    assert_string_equal(kit_pins(&kit, 7, 2), "2=stays 200=only here ");
    assert_string_equal(kit_pins(&kit, 7, 201), "");
    assert_string_equal(kit_pins(&kit, 8, 0), "2=of 8 ");
    assert_int_equal(stat_now().rows, 4);
    assert_int_equal(stat_now().lag_records, 2);
    assert_int_equal(values_freeze(kit.values, false), 0);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=new 2=stays 200=only here ");
    assert_int_equal(stat_now().lag_records, 0);
    assert_int_equal(stat_now().rows, 5);
}

static bool visit_one(void *context, const struct gw_value *value)
{
    (void)value;
    return --*(int *)context > 0;
}

static void a_visitor_may_stop(void **state)
{
    int left = 2;

    (void)state;
    for (uint8_t pin = 0; pin < 5; pin++)
        kit_write(&kit, 7, pin, "x");
    assert_int_equal(gw_values_each(kit.reader, 7, 'v', 0, visit_one, &left), 0);
    assert_int_equal(left, 0);
    gw_values_reader_pause(kit.reader);
}

static void a_checkpoint_is_due_by_age_and_by_segment(void **state)
{
    char big[60000];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    kit_write(&kit, 7, 1, "a");
    assert_int_equal(stat_now().checkpoints, 0);
    for (uint64_t segment = kit_durable(&kit).segment; kit_durable(&kit).segment == segment;)
        kit_write(&kit, 7, 2, big);
    assert_int_equal(stat_now().checkpoints, 1);
    assert_int_equal(kit_cursor(&kit).segment, kit_durable(&kit).segment);
    kit_stop(&kit);
    kit.checkpoint_s = 0;
    kit_open(&kit);
    uint64_t before = stat_now().checkpoints;

    kit_write(&kit, 7, 3, "b");
    assert_int_equal(stat_now().checkpoints, before + 1);
    /* And where nothing came, nothing is written. */
    gw_values_observe(kit.values, NULL, 0, kit_durable(&kit));
    assert_int_equal(stat_now().checkpoints, before + 1);
}

static _Atomic bool turn_is_held;

static void wait_for_checkpoints(uint64_t count)
{
    for (int tries = 0; stat_now().checkpoints < count; tries++) {
        assert_true(tries < 5000);
        (void)usleep(1000);
    }
}

static void what_a_reader_holds_stays_until_its_turn_ends(void **state)
{
    struct gw_value first, second;

    (void)state;
    assert_int_equal(gw_values_start(kit.values), 0);
    kit_write(&kit, 7, 1, "held");
    kit_write(&kit, 7, 2, "asked for later");
    assert_int_equal(gw_values_get(kit.reader, 7, 'v', 1, &first), 0);
    assert_int_equal(values_freeze(kit.values, false), 0);
    wait_for_checkpoints(1);
    /* It is in the store, and our transaction is older than that. */
    kit_write(&kit, 7, 1, "newer");
    assert_int_equal(gw_values_get(kit.reader, 7, 'v', 2, &second), 0);
    assert_true(gw_bytes_are(second.bytes, "asked for later"));
    assert_int_equal(gw_values_get(kit.reader, 7, 'v', 1, &second), 0);
    assert_true(gw_bytes_are(second.bytes, "newer"));
    (void)usleep(20000); /* time for a mistake */
    assert_true(gw_bytes_are(first.bytes, "held"));
    assert_int_equal(values_freeze(kit.values, false), -EAGAIN); /* its memory is not free yet */
    gw_values_reader_pause(kit.reader);
    for (int tries = 0; values_freeze(kit.values, false) != 0; tries++) {
        assert_true(tries < 5000);
        (void)usleep(1000);
    }
    wait_for_checkpoints(2);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=newer 2=asked for later ");
}

static void what_a_reader_holds_is_not_written_over(void **state)
{
    enum { WRITES = 2000 };
    struct gw_value held;

    (void)state;
    kit_write(&kit, 7, 1, "first");
    kit_write(&kit, 7, 1, "held");
    assert_int_equal(gw_values_get(kit.reader, 7, 'v', 1, &held), 0);
    for (int n = 0; n < WRITES; n++)
        kit_write(&kit, 7, 1, "newer");
    assert_true(gw_bytes_are(held.bytes, "held"));
    assert_int_equal(held.bank, 'v');
    gw_values_reader_pause(kit.reader);
    kit_expect(&kit, 7, 1, "newer");

    /* After its turn nothing more is taken for a pin that is written again and again. */
    uint64_t used = kit.values->tables[kit.values->in_use].used;

    for (int n = 0; n < WRITES; n++) {
        kit_write(&kit, 7, 1, "newest");
        kit_expect(&kit, 7, 1, "newest");
    }
    assert_true(kit.values->tables[kit.values->in_use].used <=
                used + 4 * values_entry_bytes(sizeof "newest"));
}

/* Inside a turn until somebody waits for its end. */
static void *holds_its_turn(void *context)
{
    struct gw_values_reader *reader = context;
    struct gw_value value;
    uintptr_t mistakes = gw_values_get(reader, 1, 'v', 1, &value) != -ENOENT;

    atomic_store(&turn_is_held, true);
    for (int tries = 0; stat_now().waits == 0 && tries < 20000; tries++)
        (void)usleep(1000);
    gw_values_reader_pause(reader);
    return (void *)mistakes;
}

/* More pins than both tables hold, and none is written twice: the store sets the pace. */
static void without_coalescing_the_log_waits_for_the_store(void **state)
{
    enum { DEVICES = 60000 };
    pthread_t holder;
    void *mistakes;

    (void)state;
    assert_int_equal(gw_values_start(kit.values), 0);
    assert_int_equal(pthread_create(&holder, NULL, holds_its_turn, kit.reader), 0);
    while (!atomic_load(&turn_is_held))
        (void)usleep(100);
    for (uint32_t n = 1; n <= DEVICES; n++)
        kit_write(&kit, n * 7919 % 1000003, 1, "x");
    assert_int_equal(pthread_join(holder, &mistakes), 0);
    assert_int_equal((uintptr_t)mistakes, 0);
    assert_true(stat_now().checkpoints >= 2);
    assert_true(stat_now().waits > 0);
    assert_true(stat_now().lag_records <= 2 * (uint64_t)kit.values->tables[0].cells_used_max);
    for (uint32_t n = 1; n <= DEVICES; n++)
        kit_expect(&kit, n * 7919 % 1000003, 1, "x");
}

/* ---- several threads ---- */

enum { RACE_PINS = 16, RACE_WRITES = 30000, RACE_READERS = 3 };

static _Atomic uint32_t race_durable[RACE_PINS]; /* what a lane would say */
static _Atomic bool race_over;

static uint32_t number_of(struct gw_bytes bytes)
{
    char text[12] = "";

    memcpy(text, bytes.data, bytes.size < sizeof text ? bytes.size : sizeof text - 1);
    return (uint32_t)strtoul(text, NULL, 10);
}

/*
 * What was durable before the question is in the answer; a value does not go back within a turn,
 * and what was given stays until the end of it.
 */
static void *race_reader(void *context)
{
    struct gw_values_reader *reader = context;
    uintptr_t mistakes = 0;
    struct gw_value value, given[3 * RACE_PINS];
    uint32_t numbers[3 * RACE_PINS];

    while (!atomic_load(&race_over)) {
        for (uint32_t n = 0; n < 3 * RACE_PINS; n++) {
            uint8_t pin = (uint8_t)(n % RACE_PINS);
            uint32_t durable = atomic_load_explicit(&race_durable[pin], memory_order_acquire);
            int err = gw_values_get(reader, 7, 'v', pin, &value);

            if (durable > 0 && (err != 0 || number_of(value.bytes) < durable))
                mistakes++;
            given[n] = err == 0 ? value : (struct gw_value){.pin = 0};
            numbers[n] = err == 0 ? number_of(value.bytes) : 0;
        }
        for (uint32_t n = 0; n < 3 * RACE_PINS; n++)
            mistakes += numbers[n] != 0 && number_of(given[n].bytes) != numbers[n];
        gw_values_reader_pause(reader);
    }
    return (void *)mistakes;
}

static void readers_never_miss_what_is_durable(void **state)
{
    static const char filler[] = "                                                               ";
    struct gw_values_reader *readers[RACE_READERS];
    pthread_t threads[RACE_READERS];

    (void)state;
    atomic_store(&race_over, false);
    assert_int_equal(gw_values_start(kit.values), 0);
    for (size_t i = 0; i < RACE_READERS; i++) {
        assert_int_equal(gw_values_reader_open(kit.values, &readers[i]), 0);
        assert_int_equal(pthread_create(&threads[i], NULL, race_reader, readers[i]), 0);
    }
    for (uint32_t n = 1; n <= RACE_WRITES; n++) {
        char text[80];
        uint8_t pin = (uint8_t)(n % RACE_PINS);

        (void)snprintf(text, sizeof text, "%u%s", n, filler);
        kit_write(&kit, 7, pin, text);
        atomic_store_explicit(&race_durable[pin], n, memory_order_release);
        if (n % 256 == 0 && values_freeze(kit.values, false) != 0)
            continue; /* the store is not done with the last one */
    }
    atomic_store(&race_over, true);
    for (size_t i = 0; i < RACE_READERS; i++) {
        void *mistakes;

        assert_int_equal(pthread_join(threads[i], &mistakes), 0);
        assert_int_equal((uintptr_t)mistakes, 0);
        gw_values_reader_close(readers[i]);
    }
    assert_true(stat_now().checkpoints > 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(what_was_told_is_seen),
        TEST(only_pin_writes_are_values),
        TEST(time_bytes_and_bank_are_those_of_the_record),
        TEST(who_wrote_it_is_kept),
        TEST(memory_is_newer_than_the_store),
        TEST(a_visitor_may_stop),
        TEST(a_checkpoint_is_due_by_age_and_by_segment),
        TEST(what_a_reader_holds_stays_until_its_turn_ends),
        TEST(what_a_reader_holds_is_not_written_over),
        TEST(without_coalescing_the_log_waits_for_the_store),
        TEST(readers_never_miss_what_is_durable),
    };
#undef TEST
    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
