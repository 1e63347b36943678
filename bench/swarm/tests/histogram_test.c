#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gw/base/defs.h>

#include "histogram.h"

static void a_value_is_found_again_within_a_thirtysecond(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < UINT64_C(1) << 40; us = us + us / 7 + 1) {
        struct swarm_histogram h = {0};

        swarm_histogram_add(&h, us);
        swarm_histogram_add(&h, UINT64_C(1) << 41); /* so that max_us does not cut the answer */
        assert_true(swarm_histogram_at(&h, 0.5) >= us);
        assert_true(swarm_histogram_at(&h, 0.5) <= us + us / 32);
        assert_int_equal(swarm_histogram_at(&h, 1), UINT64_C(1) << 41);
    }
}

static void quantiles_count_from_below(void **state)
{
    struct swarm_histogram h = {0};
    static const struct {
        double quantile;
        uint64_t us;
    } rows[] = {{0, 1}, {0.1, 1}, {0.11, 2}, {0.5, 5}, {0.9, 9}, {0.99, 10}, {1, 10}};

    (void)state;
    assert_int_equal(swarm_histogram_at(&h, 0.5), 0);
    for (uint64_t us = 1; us <= 10; us++)
        swarm_histogram_add(&h, us);
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        assert_int_equal(swarm_histogram_at(&h, rows[i].quantile), rows[i].us);
}

static void merging_is_adding(void **state)
{
    struct swarm_histogram a = {0}, b = {0}, both = {0};

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t us = i * i * 37 % 100000;

        swarm_histogram_add(i % 3 == 0 ? &a : &b, us);
        swarm_histogram_add(&both, us);
    }
    swarm_histogram_merge(&a, &b);
    assert_memory_equal(&a, &both, sizeof a);
}

static void beyond_the_last_bucket_the_maximum_stays_exact(void **state)
{
    struct swarm_histogram h = {0};

    (void)state;
    swarm_histogram_add(&h, UINT64_MAX / 2);
    assert_int_equal(swarm_histogram_at(&h, 1), UINT64_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_again_within_a_thirtysecond),
        cmocka_unit_test(quantiles_count_from_below),
        cmocka_unit_test(merging_is_adding),
        cmocka_unit_test(beyond_the_last_bucket_the_maximum_stays_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
