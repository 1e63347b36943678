/*
 * Medians and ratios of ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ways.h"

static struct ways_result with(const double *figures, uint32_t count)
{
    struct ways_result result = {.refused = false};

    for (uint32_t i = 0; i < count; i++)
        result.slices[i][WAYS_FIGURE_cpu_us] = figures[i];
    return result;
}

static void a_median_is_of_the_rounds_in_any_order(void **state)
{
    struct ways_result odd = with((double[]){9, 1, 4}, 3);
    struct ways_result even = with((double[]){8, 2, 4, 100}, 4);
    struct ways_spread spread = ways_spread(&odd, NULL, WAYS_FIGURE_cpu_us, 3);

    (void)state;
    assert_float_equal(spread.median, 4, 0);
    assert_float_equal(spread.smallest, 1, 0);
    assert_float_equal(spread.largest, 9, 0);
    assert_float_equal(ways_spread(&even, NULL, WAYS_FIGURE_cpu_us, 4).median, 6, 0);
}

/* A machine that is twice as slow in a round is so for both: the ratio stays. */
static void a_ratio_is_taken_round_by_round(void **state)
{
    struct ways_result base = with((double[]){10, 20, 10}, 3);
    struct ways_result result = with((double[]){5, 10, 4}, 3);
    struct ways_spread spread = ways_spread(&result, &base, WAYS_FIGURE_cpu_us, 3);

    (void)state;
    assert_float_equal(spread.median, 0.5, 1e-9);
    assert_float_equal(spread.smallest, 0.4, 1e-9);
    assert_float_equal(spread.largest, 0.5, 1e-9);
}

static void a_base_without_a_figure_gives_no_ratio(void **state)
{
    struct ways_result base = with((double[]){0}, 1), result = with((double[]){5}, 1);

    (void)state;
    assert_float_equal(ways_spread(&result, &base, WAYS_FIGURE_cpu_us, 1).median, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_median_is_of_the_rounds_in_any_order),
        cmocka_unit_test(a_ratio_is_taken_round_by_round),
        cmocka_unit_test(a_base_without_a_figure_gives_no_ratio),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
