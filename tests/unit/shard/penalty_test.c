/*
 * Delays after product mismatches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <gw/shard/penalty.h>

static struct gw_instant at_s(uint64_t s)
{
    return (struct gw_instant){.ns = (1000 + s) * GW_NS_PER_S};
}

static void delays_double_up_to_their_maximum(void **state)
{
    static const uint64_t delays_s[] = {5, 10, 20, 40, 80, 160, 300, 300};
    struct gw_penalty_table *table = calloc(1, sizeof *table);
    uint64_t s = 0;

    (void)state;
    assert_non_null(table);
    assert_false(gw_penalty_applies(table, 7, at_s(0)));
    for (size_t i = 0; i < sizeof delays_s / sizeof delays_s[0]; i++) {
        assert_int_equal(gw_penalty_add(table, 7, at_s(s), 5, 300), i + 1);
        assert_true(gw_penalty_applies(table, 7, at_s(s + delays_s[i] - 1)));
        assert_false(gw_penalty_applies(table, 7, at_s(s + delays_s[i])));
        s += delays_s[i];
    }
    free(table);
}

static void other_devices_never_wait(void **state)
{
    struct gw_penalty_table *table = calloc(1, sizeof *table);

    (void)state;
    assert_non_null(table);
    assert_int_equal(gw_penalty_add(table, 7, at_s(0), 5, 300), 1);
    for (uint32_t device = 1; device < 20000; device++)
        assert_int_equal(gw_penalty_applies(table, device, at_s(1)), device == 7);
    free(table);
}

static void a_device_that_kept_away_starts_anew(void **state)
{
    struct gw_penalty_table *table = calloc(1, sizeof *table);

    (void)state;
    assert_non_null(table);
    (void)gw_penalty_add(table, 7, at_s(0), 5, 300);
    assert_int_equal(gw_penalty_add(table, 7, at_s(10), 5, 300), 2);
    assert_int_equal(gw_penalty_add(table, 7, at_s(1000), 5, 300), 1);
    free(table);
}

static void a_flood_costs_other_delays_and_nothing_else(void **state)
{
    struct gw_penalty_table *table = calloc(1, sizeof *table);

    (void)state;
    assert_non_null(table);
    for (uint32_t device = 1; device < 100000; device++) {
        (void)gw_penalty_add(table, device, at_s(0), 5, 300);
        assert_true(gw_penalty_applies(table, device, at_s(1)));
    }
    assert_false(gw_penalty_applies(table, 100001, at_s(1)));
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_their_maximum),
        cmocka_unit_test(other_devices_never_wait),
        cmocka_unit_test(a_device_that_kept_away_starts_anew),
        cmocka_unit_test(a_flood_costs_other_delays_and_nothing_else),
    };

    return cmocka_run_group_tests_name("penalty", tests, NULL, NULL);
}
