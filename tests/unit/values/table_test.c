/*
 * The table in memory, against a naive one, and at its limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values_internal.h"

static struct values_table table;

static int set_up(void **state)
{
    (void)state;
    return values_table_init(&table, values_sizes_of(4 << 20));
}

static int tear_down(void **state)
{
    (void)state;
    values_table_fini(&table);
    return 0;
}

static bool put(uint64_t key, uint64_t time_us, const char *text)
{
    return values_table_put(&table, key, time_us, GW_VALUE_FROM_DEVICE, gw_bytes_text(text));
}

static void expect(uint64_t key, const char *text)
{
    const struct values_entry *entry = values_table_get(&table, key);

    if (text == NULL) {
        assert_null(entry);
        return;
    }
    assert_non_null(entry);
    assert_true(gw_bytes_are(gw_bytes_of(entry->value, entry->value_bytes), text));
}

static void the_newest_write_is_the_value(void **state)
{
    uint64_t key = values_key(7, 'v', 1);

    (void)state;
    expect(key, NULL);
    assert_true(put(key, 1, "one"));
    const struct values_entry *before = values_table_get(&table, key);

    assert_true(put(key, 2, "a longer two"));
    expect(key, "a longer two");
    assert_int_equal(values_table_get(&table, key)->time_us, 2);
    /* What a reader holds is not touched. */
    assert_true(gw_bytes_are(gw_bytes_of(before->value, before->value_bytes), "one"));
    assert_int_equal(table.pins, 1);
}

static void banks_pins_and_devices_are_apart(void **state)
{
    (void)state;
    assert_true(put(values_key(7, 'v', 1), 1, "v1"));
    assert_true(put(values_key(7, 'd', 1), 1, "d1"));
    assert_true(put(values_key(7, 'v', 2), 1, "v2"));
    assert_true(put(values_key(8, 'v', 1), 1, "of 8"));
    expect(values_key(7, 'v', 1), "v1");
    expect(values_key(7, 'd', 1), "d1");
    expect(values_key(7, 'v', 2), "v2");
    expect(values_key(8, 'v', 1), "of 8");
    expect(values_key(8, 'v', 2), NULL);
    expect(values_key(7 + (1u << 31), 'v', 1), NULL);
    expect(values_key(UINT32_MAX, 'v', 255), NULL);
    assert_true(put(values_key(UINT32_MAX, 'v', 255), 1, "last"));
    expect(values_key(UINT32_MAX, 'v', 255), "last");
}

static void an_empty_value_is_one(void **state)
{
    (void)state;
    assert_true(put(values_key(7, 'v', 1), 1, ""));
    expect(values_key(7, 'v', 1), "");
}

static void the_pins_of_a_device_are_known(void **state)
{
    static const uint8_t wrote[] = {9, 0, 255, 64, 63, 9};
    struct values_pins pins = {{0}};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(wrote); i++) {
        assert_true(put(values_key(7, 'v', wrote[i]), i, "x"));
        assert_true(put(values_key(8, 'v', 5), i, "x"));
        assert_true(put(values_key(7, 'a', 77), i, "x"));
    }
    values_table_pins(&table, 7, 'v', &pins);
    for (unsigned pin = 0; pin < VALUES_PINS; pin++)
        assert_int_equal(values_pins_have(&pins, (uint8_t)pin),
                         pin == 0 || pin == 9 || pin == 63 || pin == 64 || pin == 255);
    memset(&pins, 0, sizeof pins);
    values_table_pins(&table, 9, 'v', &pins);
    for (unsigned pin = 0; pin < VALUES_PINS; pin++)
        assert_false(values_pins_have(&pins, (uint8_t)pin));
}

static const struct values_entry *put_and_get(const char *text)
{
    uint64_t key = values_key(7, 'v', 1);

    assert_true(put(key, 1, text));
    expect(key, text);
    return values_table_get(&table, key);
}

static void a_replaced_entry_is_used_again_after_two_meetings(void **state)
{
    const struct values_entry *first = put_and_get("1"), *second = put_and_get("2"), *third;

    (void)state;
    third = put_and_get("3"); /* the second one is replaced */
    values_recycle_meeting(&table);
    assert_ptr_not_equal(put_and_get("4"), second); /* and the third */
    values_recycle_meeting(&table);
    assert_ptr_not_equal(put_and_get("longer than that"), second);
    assert_ptr_equal(put_and_get("6"), second);
    assert_ptr_not_equal(put_and_get("7"), third);
    values_recycle_meeting(&table);
    assert_ptr_equal(put_and_get("8"), third);
    /* By the first one the pins of the device are found. */
    assert_true(gw_bytes_are(gw_bytes_of(first->value, first->value_bytes), "1"));
    values_table_clear(&table);
    assert_ptr_equal(put_and_get("9"), first);
    assert_ptr_equal(put_and_get("10"), second);
}

static void a_busy_pin_takes_no_more_for_each_write(void **state)
{
    static char value[VALUES_RECYCLED_BYTES_MAX + 2];
    enum { WRITES = 20000, AT_ONCE = 100 };
    uint64_t before;

    (void)state;
    for (size_t bytes = 0; bytes <= VALUES_RECYCLED_BYTES_MAX; bytes += 56) {
        memset(value, 'x', bytes);
        value[bytes] = '\0';
        before = table.used;
        for (uint32_t n = 0; n < WRITES; n++) {
            (void)put_and_get(value);
            if (n % AT_ONCE == 0)
                values_recycle_meeting(&table);
        }
        assert_true(table.used - before <= (3 * AT_ONCE + 2) * values_entry_bytes(bytes));
    }
    /* Longer values wait for the table to be emptied. */
    memset(value, 'x', VALUES_RECYCLED_BYTES_MAX + 1);
    before = table.used;
    for (uint32_t n = 0; n < AT_ONCE; n++) {
        (void)put_and_get(value);
        values_recycle_meeting(&table);
    }
    assert_int_equal(table.used - before, AT_ONCE * values_entry_bytes(strlen(value)));
}

/* Every pin of many devices: chains of cells that run into each other, and over the end. */
static int text_width(uint32_t n)
{
    return (int)(n % 31) + 1;
}

static void it_agrees_with_a_naive_table(void **state)
{
    enum { DEVICES = 300, PINS = 8, WRITES = 20000 };
    static uint32_t naive[DEVICES][PINS];
    uint64_t random = 42;
    char text[40];

    (void)state;
    memset(naive, 0, sizeof naive);
    for (uint32_t n = 1; n <= WRITES; n++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint32_t device = (uint32_t)(random >> 33) % DEVICES;
        uint32_t pin = (uint32_t)(random >> 53) % PINS;

        (void)snprintf(text, sizeof text, "%0*u", text_width(n), n);
        assert_true(put(values_key(device + 1, 'v', (uint8_t)pin), n, text));
        naive[device][pin] = n;
        if (n % 97 == 0)
            values_recycle_meeting(&table);
    }
    for (uint32_t device = 0; device < DEVICES; device++) {
        struct values_pins pins = {{0}};

        values_table_pins(&table, device + 1, 'v', &pins);
        for (uint32_t pin = 0; pin < PINS; pin++) {
            uint32_t n = naive[device][pin];

            (void)snprintf(text, sizeof text, "%0*u", text_width(n), n);
            expect(values_key(device + 1, 'v', (uint8_t)pin), n != 0 ? text : NULL);
            assert_int_equal(values_pins_have(&pins, (uint8_t)pin), n != 0);
        }
    }
}

static void a_full_table_refuses_and_changes_nothing(void **state)
{
    char value[2000];
    uint32_t n = 0;

    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    /* Full of bytes: one pin alone. */
    while (put(values_key(1, 'v', 1), n, value))
        n++;
    assert_in_range(n, table.arena_bytes / 2100, table.arena_bytes / 2000);
    assert_int_equal(values_table_get(&table, values_key(1, 'v', 1))->time_us, n - 1);
    assert_int_equal(table.pins, 1);
    /* Full of pins: a device each. */
    values_table_clear(&table);
    expect(values_key(1, 'v', 1), NULL);
    for (n = 0; put(values_key(n + 1, 'v', 1), n, "x"); n++)
        ;
    assert_int_equal(n, table.pins);
    assert_true(table.cells_used <= table.cells_used_max);
    assert_in_range(n, table.cells_used_max / 2 - 1, table.cells_used_max / 2);
    for (uint32_t i = 0; i < n; i++)
        expect(values_key(i + 1, 'v', 1), "x");
    expect(values_key(n + 1, 'v', 1), NULL);
}

static void the_checkpoint_gets_each_pin_once_in_order(void **state)
{
    struct values_item *items = calloc(table.cells_used_max, sizeof *items);
    uint32_t count;

    (void)state;
    assert_non_null(items);
    for (uint32_t n = 0; n < 5000; n++)
        assert_true(put(values_key(n * 7919 % 1000 + 1, 'v', (uint8_t)(n % 3)), n, "x"));
    count = values_table_sorted(&table, items);
    assert_int_equal(count, table.pins);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(i == 0 || items[i].key > items[i - 1].key);
        assert_ptr_equal(items[i].entry, values_table_get(&table, items[i].key));
    }
    free(items);
}

static void memory_is_divided_without_a_rest_worth_mentioning(void **state)
{
    static const uint64_t sizes[] = {GW_VALUES_MEMORY_BYTES_MIN, 64 << 20, UINT64_C(1) << 30,
                                     UINT64_C(64) << 30};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(sizes); i++) {
        struct values_sizes made = values_sizes_of(sizes[i]);
        uint64_t taken = 2 * made.arena_bytes + (uint64_t)made.cells * 24;

        assert_int_equal(made.cells & (made.cells - 1), 0);
        assert_true(taken <= sizes[i]);
        assert_true(taken > sizes[i] - sizes[i] / 8);
        /* The longest value fits an empty table. */
        assert_true(made.arena_bytes > 65536 + 64);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(the_newest_write_is_the_value),
        TEST(banks_pins_and_devices_are_apart),
        TEST(an_empty_value_is_one),
        TEST(the_pins_of_a_device_are_known),
        TEST(a_replaced_entry_is_used_again_after_two_meetings),
        TEST(a_busy_pin_takes_no_more_for_each_write),
        TEST(it_agrees_with_a_naive_table),
        TEST(a_full_table_refuses_and_changes_nothing),
        TEST(the_checkpoint_gets_each_pin_once_in_order),
        TEST(memory_is_divided_without_a_rest_worth_mentioning),
    };
#undef TEST
    return cmocka_run_group_tests_name("values table", tests, NULL, NULL);
}
