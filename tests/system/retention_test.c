/*
 * How long the log is: within its limit while readers keep up, up to it for one that has stopped,
 * and only then are devices held back, until it goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <gw/journal/cursor.h>

#include "harness.h"
#include "ledger.h"

enum {
    SEGMENT_BYTES = 1 << 20,
    BYTES_MAX = 6 << 20,
    SOON_MS = 5000,
    PASSES = 10, /* between two looks at the metrics */
};

static struct sys_gateway gateway;
static struct sys_ledger ledger;

static const atomic_bool never = false;

static void play_a_little(void)
{
    for (int i = 0; i < PASSES; i++)
        (void)sys_ledger_pass(&ledger, &never, true);
}

static void the_log_stays_within_its_limit_while_readers_keep_up(void **state)
{
    double written = 0;

    (void)state;
    while (written < 3.0 * BYTES_MAX) {
        play_a_little();
        sys_ledger_read(&ledger);
        sys_ledger_commit(&ledger);
        assert_true(sys_metric(&gateway, "tollgate_journal_bytes") <= BYTES_MAX);
        assert_true(sys_metric(&gateway, "tollgate_journal_stalled") == 0);
        written = sys_metric(&gateway, "tollgate_journal_written_bytes_total");
    }
    assert_true(sys_ledger_settle(&ledger, sys_ms(SOON_MS)));
    assert_false(sys_gateway_log_has(&gateway, "event=journal_stalled"));
}

static void a_reader_that_stops_stops_devices_at_the_limit_and_not_before(void **state)
{
    uint64_t deadline = sys_now_ms() + sys_ms(30000);
    double bytes;

    (void)state;
    sys_ledger_read(&ledger); /* and from here on no more */
    sys_ledger_commit(&ledger);
    while (sys_metric(&gateway, "tollgate_journal_stalled") == 0) {
        sys_check(&gateway, sys_now_ms() < deadline, "nothing stops the log at its limit");
        play_a_little();
    }
    bytes = sys_metric(&gateway, "tollgate_journal_bytes");
    sys_check(&gateway, bytes <= BYTES_MAX && bytes > BYTES_MAX - 2 * SEGMENT_BYTES,
              "stopped at %.0f bytes", bytes);
    assert_true(sys_metric(&gateway, "tollgate_journal_pressure") == 3);
    assert_true(sys_metric(&gateway, "tollgate_journal_held_bytes") > BYTES_MAX / 4 * 3);
    sys_check(&gateway, sys_gateway_log_has(&gateway, "event=journal_reader_behind cursor=ledger"),
              "nobody was warned");
    sys_check(&gateway,
              sys_gateway_log_has(&gateway, "event=journal_stalled") &&
                  sys_gateway_log_has(&gateway, "oldest segment\" cursor=ledger"),
              "the log does not say who holds it");
    play_a_little(); /* nobody is sent away */

    sys_ledger_read(&ledger);
    sys_ledger_commit(&ledger);
    sys_check(&gateway, sys_ledger_settle(&ledger, sys_ms(SOON_MS)),
              "devices are still held back %d s after the reader went on", SOON_MS / 1000);
    assert_true(sys_metric(&gateway, "tollgate_journal_stalled") == 0);
    assert_true(sys_metric(&gateway, "tollgate_journal_pressure") == 0);
}

static int set_up(void **state)
{
    const struct sys_gateway_options options = {
        .journal = "segment_bytes = 1048576; bytes_max = 6291456; batches_per_lane = 8;",
        .config = "rate: { frames_per_s = 1000000; burst = 1000000; };\n"};
    const struct sys_ledger_options books = {.devices = 16, .value_bytes = 2000};

    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_ledger_create(&ledger, &gateway, &books);
    sys_gateway_start(&gateway);
    sys_ledger_commit(&ledger); /* before anything is written */
    sys_ledger_log_in(&ledger);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_ledger_destroy(&ledger);
    sys_gateway_destroy(&gateway);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_stays_within_its_limit_while_readers_keep_up),
        cmocka_unit_test(a_reader_that_stops_stops_devices_at_the_limit_and_not_before),
    };

    return cmocka_run_group_tests_name("retention", tests, set_up, tear_down);
}
