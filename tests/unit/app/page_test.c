/*
 * Growing texts and the metrics page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/app/metrics_text.h>

static void assert_page(struct gw_text *page, const char *expected)
{
    assert_false(page->failed);
    assert_int_equal(page->bytes, strlen(expected));
    assert_memory_equal(page->data, expected, page->bytes);
    gw_text_fini(page);
}

static void a_family_says_once_what_it_is(void **state)
{
    static const struct gw_metric_label shard[] = {{"shard", "0"}, {"transport", "tls"}};
    struct gw_text page = GW_TEXT_EMPTY;

    (void)state;
    gw_metrics_family(&page, "tollgate_logins_total", GW_METRIC_COUNTER, "Logins.");
    gw_metrics_sample(&page, "tollgate_logins_total", shard, 2, UINT64_MAX);
    gw_metrics_sample(&page, "tollgate_logins_total", NULL, 0, 0);
    gw_metrics_family(&page, "tollgate_up", GW_METRIC_GAUGE, "One.");
    gw_metrics_sample_real(&page, "tollgate_up", shard, 1, 0.25);
    assert_page(&page, "# HELP tollgate_logins_total Logins.\n"
                       "# TYPE tollgate_logins_total counter\n"
                       "tollgate_logins_total{shard=\"0\",transport=\"tls\"} 18446744073709551615\n"
                       "tollgate_logins_total 0\n"
                       "# HELP tollgate_up One.\n"
                       "# TYPE tollgate_up gauge\n"
                       "tollgate_up{shard=\"0\"} 0.25\n");
}

static void labels_and_help_are_escaped_each_in_its_way(void **state)
{
    static const struct gw_metric_label label[] = {{"why", "a\\b \"c\"\nd"}};
    struct gw_text page = GW_TEXT_EMPTY;

    (void)state;
    gw_metrics_family(&page, "m", GW_METRIC_GAUGE, "a\\b \"c\"\nd");
    gw_metrics_sample(&page, "m", label, 1, 1);
    assert_page(&page, "# HELP m a\\\\b \"c\"\\nd\n# TYPE m gauge\n"
                       "m{why=\"a\\\\b \\\"c\\\"\\nd\"} 1\n");
}

static void reals_are_exact_and_may_be_no_number(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{NAN, "NaN"},
                {INFINITY, "+Inf"},
                {-INFINITY, "-Inf"},
                {0.0, "0"},
                {1e300, "1.0000000000000001e+300"},
                {-2.5, "-2.5"}};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_text page = GW_TEXT_EMPTY;
        char expected[64];

        gw_metrics_sample_real(&page, "m", NULL, 0, rows[i].value);
        snprintf(expected, sizeof expected, "m %s\n", rows[i].text);
        assert_page(&page, expected);
    }
}

static void a_text_grows_to_what_is_appended(void **state)
{
    struct gw_text text = GW_TEXT_EMPTY;
    char block[1000];

    (void)state;
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 1000; i++) {
        gw_text_append(&text, gw_bytes_of(block, sizeof block));
        gw_text_print(&text, "%03d", i);
    }
    assert_false(text.failed);
    assert_int_equal(text.bytes, 1003000);
    for (size_t i = 0; i < 1000; i++) {
        char number[4];

        assert_memory_equal(text.data + i * 1003, block, sizeof block);
        snprintf(number, sizeof number, "%03zu", i);
        assert_memory_equal(text.data + i * 1003 + 1000, number, 3);
    }
    gw_text_append(&text, gw_bytes_of(NULL, 0));
    assert_int_equal(text.bytes, 1003000);
    gw_text_fini(&text);
    gw_text_fini(&text);
}

static void a_text_that_failed_stays_as_it_is(void **state)
{
    struct gw_text text = GW_TEXT_EMPTY;

    (void)state;
    gw_text_print(&text, "before");
    text.failed = true;
    gw_text_print(&text, "after");
    gw_text_append(&text, gw_bytes_text("after"));
    assert_int_equal(text.bytes, 6);
    assert_true(text.failed);
    gw_text_fini(&text);
    assert_false(text.failed);
    /* More than there is room for in an address space: the append is refused, nothing is read. */
    gw_text_append(&text, gw_bytes_of("x", SIZE_MAX));
    assert_true(text.failed);
    assert_int_equal(text.bytes, 0);
    gw_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_says_once_what_it_is),
        cmocka_unit_test(labels_and_help_are_escaped_each_in_its_way),
        cmocka_unit_test(reals_are_exact_and_may_be_no_number),
        cmocka_unit_test(a_text_grows_to_what_is_appended),
        cmocka_unit_test(a_text_that_failed_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
