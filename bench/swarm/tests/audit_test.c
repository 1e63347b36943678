#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/defs.h>

#include "audit.h"
#include "ledger.h"

static int read_text(const char *text, struct swarm_ledger *out, size_t *bad_line)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    int err;

    assert_non_null(file);
    err = swarm_ledger_read(file, out, bad_line);
    fclose(file);
    return err;
}

static void a_value_carries_its_stamp(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < 2000; i++) {
        struct swarm_stamp in = {.run = i * 2654435761u,
                                 .device = i % 7 == 0 ? UINT32_MAX : i,
                                 .counter = i * i},
                           out;
        char value[SWARM_VALUE_BYTES_MAX];
        size_t bytes = swarm_value_write(value, in, 0);

        assert_true(bytes < sizeof value);
        assert_true(swarm_value_read(gw_bytes_of(value, bytes), &out));
        assert_memory_equal(&in, &out, sizeof in);
    }
}

static void a_value_is_as_long_as_is_wanted(void **state)
{
    static const size_t lengths[] = {8, 24, 47, 48, 49, 1024, SWARM_VALUE_BYTES_MAX};
    struct swarm_stamp in = {.run = 7, .device = UINT32_MAX, .counter = UINT32_MAX}, out;
    char value[SWARM_VALUE_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(lengths); i++) {
        assert_int_equal(swarm_value_write(value, in, lengths[i]), lengths[i]);
        if (lengths[i] < SWARM_STAMPED_BYTES_MAX)
            continue;
        assert_true(swarm_value_read(gw_bytes_of(value, lengths[i]), &out));
        assert_memory_equal(&in, &out, sizeof in);
    }
}

static void what_is_no_stamp_is_not_taken_for_one(void **state)
{
    static const char *const values[] = {
        "",
        "21.4",
        "21.4 ",
        " ..",
        "1 a.b.c",
        "1 0a.1",
        "1 0a.1.",
        "1 0a.1.0",
        "1 0a.1.2.3",
        "1 0a.1.2 ",
        "1 0A.1.2",
        "1 123456789.1.2",
        "1 0a.4294967296.1",
        "1 0a.1.99999999999",
        "0a.1.2",
        "1 0a.-1.2",
    };
    struct swarm_stamp out;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(values); i++)
        assert_false(swarm_value_read(gw_bytes_text(values[i]), &out));
}

static void a_ledger_reads_as_it_was_written(void **state)
{
    static const struct swarm_ledger_line lines[] = {
        {.device = 0, .session = 1, .first = 1, .sent = 10, .acked = 10},
        {.device = 39, .session = 4, .first = 7, .sent = 6, .acked = 6},
        {.device = 0, .session = 2, .first = 11, .sent = 4000000000, .acked = 10},
    };
    struct swarm_ledger ledger;
    char text[256];
    FILE *file = fmemopen(text, sizeof text, "w");
    size_t bad_line;

    (void)state;
    assert_non_null(file);
    swarm_ledger_write_head(file, 0xa5, 40);
    for (size_t i = 0; i < GW_ARRAY_COUNT(lines); i++)
        swarm_ledger_write(file, &lines[i]);
    fclose(file);
    assert_int_equal(read_text(text, &ledger, &bad_line), 0);
    assert_int_equal(ledger.run, 0xa5);
    assert_int_equal(ledger.devices, 40);
    assert_int_equal(ledger.line_count, GW_ARRAY_COUNT(lines));
    assert_memory_equal(ledger.lines, lines, sizeof lines);
    swarm_ledger_fini(&ledger);
}

#define HEAD "# tollgate-bench ledger 1 run 000000a5 devices 2\n"

static void a_broken_ledger_is_refused_at_its_line(void **state)
{
    static const struct {
        const char *text;
        size_t line;
    } rows[] = {
        {"0 1 1 2 2\n", 1},
        {"# tollgate-bench ledger 2 run 000000a5 devices 2\n", 1},
        {HEAD "0 1 1 2\n", 2},
        {HEAD "0 1 1 2 2 2\n", 2},
        {HEAD "0 1 1 2 2\n1 1 1 2 3\n", 3},
        {HEAD "0 1 1 2 2\n2 1 1 2 2\n", 3},
        {HEAD "0 1 0 2 2\n", 2},
        {HEAD "0 1 5 3 3\n", 2},
        {HEAD "0 1 5 6 3\n", 2},
        {HEAD "0 1 1 2 2\n0 2 3 5 ", 3}, /* cut by a crash */
        {HEAD "0 1 1 2 2\nx\n", 3},
    };
    struct swarm_ledger ledger;
    size_t bad_line;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        assert_int_equal(read_text(rows[i].text, &ledger, &bad_line), -EINVAL);
        assert_int_equal(bad_line, rows[i].line);
        assert_null(ledger.lines);
    }
}

/* Device 0 published twice: 1..3 all acknowledged, then 4..6 of which 4 and 5. Device 1: 1..2, none
   acknowledged. A journal is told as "number:device.counter ..." of run a5. */
static const char two_devices[] = HEAD "0 1 1 3 3\n1 1 1 2 0\n0 2 4 6 5\n";

static void audit(const char *journal, struct swarm_audit_result *result)
{
    struct swarm_ledger ledger;
    struct swarm_audit *audit;
    size_t bad_line;
    uint32_t number, device, counter;
    int used;

    assert_int_equal(read_text(two_devices, &ledger, &bad_line), 0);
    audit = swarm_audit_create(&ledger);
    assert_non_null(audit);
    while (sscanf(journal, "%9u:%9u.%9u%n", &number, &device, &counter, &used) == 3) {
        char value[64];
        int bytes = snprintf(value, sizeof value, "20.0 000000a5.%u.%u", device, counter);

        swarm_audit_saw(audit, number, gw_bytes_of(value, (size_t)bytes));
        journal += used;
    }
    swarm_audit_saw(audit, 7, gw_bytes_text("20.0 000000a6.0.1")); /* another run */
    swarm_audit_saw(audit, 7, gw_bytes_text("something else"));
    swarm_audit_finish(audit, result);
    swarm_audit_destroy(audit);
    swarm_ledger_fini(&ledger);
}

static void every_kind_of_damage_is_told_apart(void **state)
{
    static const struct {
        const char *journal;
        uint64_t durable, lost, out_of_order, duplicates, invented, misattributed;
        bool clean;
    } rows[] = {
        /* exactly what was acknowledged; more; everything */
        {"7:0.1 7:0.2 7:0.3 7:0.4 7:0.5", 5, 0, 0, 0, 0, 0, true},
        {"7:0.1 9:1.1 7:0.2 7:0.3 7:0.4 7:0.5", 6, 0, 0, 0, 0, 0, true},
        {"9:1.1 9:1.2 7:0.1 7:0.2 7:0.3 7:0.4 7:0.5 7:0.6", 8, 0, 0, 0, 0, 0, true},
        /* an update that was not acknowledged may be missing in front of ones that were */
        {"7:0.1 7:0.3 7:0.4 7:0.5", 4, 1, 0, 0, 0, 0, false},
        {"7:0.1 7:0.2 7:0.3 7:0.4", 4, 1, 0, 0, 0, 0, false},
        {"", 0, 5, 0, 0, 0, 0, false},
        {"7:0.1 7:0.2 7:0.3 7:0.5 7:0.4", 5, 0, 1, 0, 0, 0, false},
        {"7:0.1 7:0.2 7:0.2 7:0.3 7:0.4 7:0.5", 5, 0, 0, 1, 0, 0, true},
        {"7:0.1 7:0.2 7:0.3 7:0.4 7:0.5 7:0.7", 5, 0, 0, 0, 1, 0, false},
        {"7:0.1 7:0.2 7:0.3 7:0.4 7:0.5 8:5.1", 5, 0, 0, 0, 1, 0, false},
        {"7:0.1 7:0.2 8:0.3 7:0.4 7:0.5", 5, 0, 0, 0, 0, 1, false},
        {"7:0.1 7:0.2 7:0.3 7:0.4 7:0.5 7:1.1", 6, 0, 0, 0, 0, 1, false},
    };
    struct swarm_audit_result result;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        audit(rows[i].journal, &result);
        assert_int_equal(result.sessions, 3);
        assert_int_equal(result.sent, 8);
        assert_int_equal(result.acked, 5);
        assert_int_equal(result.durable, rows[i].durable);
        assert_int_equal(result.lost, rows[i].lost);
        assert_int_equal(result.out_of_order, rows[i].out_of_order);
        assert_int_equal(result.duplicates, rows[i].duplicates);
        assert_int_equal(result.invented, rows[i].invented);
        assert_int_equal(result.misattributed, rows[i].misattributed);
        assert_int_equal(swarm_audit_is_clean(&result), rows[i].clean);
    }
    audit("7:0.1 7:0.2 7:0.3 7:0.5", &result);
    assert_int_equal(result.lost_device, 0);
    assert_int_equal(result.lost_counter, 4);
}

static void sessions_that_overlap_are_refused(void **state)
{
    struct swarm_ledger ledger;
    size_t bad_line;

    (void)state;
    assert_int_equal(read_text(HEAD "0 1 1 3 3\n0 2 3 4 4\n", &ledger, &bad_line), 0);
    assert_null(swarm_audit_create(&ledger));
    swarm_ledger_fini(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_carries_its_stamp),
        cmocka_unit_test(a_value_is_as_long_as_is_wanted),
        cmocka_unit_test(what_is_no_stamp_is_not_taken_for_one),
        cmocka_unit_test(a_ledger_reads_as_it_was_written),
        cmocka_unit_test(a_broken_ledger_is_refused_at_its_line),
        cmocka_unit_test(every_kind_of_damage_is_told_apart),
        cmocka_unit_test(sessions_that_overlap_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
