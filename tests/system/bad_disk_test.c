/*
 * The log on a disk that fills up, whose medium runs out of blocks under it, or that hangs: nobody
 * is told that something is durable before it is, nobody is sent away, nothing that was taken is
 * lost, and when the disk is well again the gateway goes on by itself.
 *
 *     system_bad_disk [--hold-s N] [--seed S]
 *
 * Exits with 77 and the reason where there is no root, no loop device or no ext4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "ledger.h"
#include "long_run.h"
#include "loop_disk.h"

enum {
    SKIPPED = 77,
    DEVICES = 24,
    HTTP_DEVICES = 4,
    VALUE_BYTES = 3500, /* what is unanswered is more than a lane holds */
    SOON_MS = 5000,     /* within which all is well again, and the bar for it */
    OWN_PING_S = 4,     /* then a device that waits hears a PING of ours      */
    LOOK_AGAIN_MS = 20,
    UNDER_WAY_MS = 300, /* answers that were on their way when the disk froze */
};

static uint64_t hold_s = 5; /* how long the disk is bad */
static uint64_t seed;
static struct sys_disk disk;
static struct sys_gateway gateway;
static struct sys_ledger ledger;
static char *journal_path;

static const atomic_bool never = false;

/* Everybody writes until `metric` has come to `value`. */
static void play_until(const char *metric, double value)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(30000); sys_metric(&gateway, metric) < value;) {
        sys_check(&gateway, sys_now_ms() < deadline, "%s did not come to %.0f", metric, value);
        for (int i = 0; i < 20; i++)
            (void)sys_ledger_pass(&ledger, &never, true);
    }
}

/* Everybody stays and waits for answers; the process is well, but not ready for more devices. */
static void hold(uint64_t seconds)
{
    for (uint64_t until = sys_now_ms() + seconds * 1000; sys_now_ms() < until;) {
        (void)sys_ledger_pass(&ledger, &never, true);
        sys_pause_ms(LOOK_AGAIN_MS);
    }
    assert_int_equal(sys_admin_get(&gateway, "/livez", NULL), 200);
}

static void all_is_well_soon(void)
{
    uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);

    sys_check(&gateway, sys_ledger_settle(&ledger, sys_ms(SOON_MS)),
              "not all are answered %d s after the disk was well again", SOON_MS / 1000);
    while (sys_admin_get(&gateway, "/readyz", NULL) != 200) {
        sys_check(&gateway, sys_now_ms() < deadline, "still not ready");
        sys_pause_ms(LOOK_AGAIN_MS);
    }
    assert_true(sys_metric(&gateway, "tollgate_journal_stalled") == 0);
    for (int i = 0; i < 20; i++) /* and it goes on as before */
        (void)sys_ledger_pass(&ledger, &never, true);
    assert_true(sys_ledger_settle(&ledger, sys_ms(SOON_MS)));
}

/* What was answered is on the medium, not only in memory. */
static void the_books_agree(void)
{
    sys_gateway_kill(&gateway);
    sys_ledger_hang_up(&ledger);
    sys_disk_remount(&disk);
    sys_ledger_read(&ledger);
    sys_gateway_start(&gateway);
    sys_ledger_replay(&ledger);
    sys_ledger_values(&ledger);
}

static void over_http_one_is_told_to_come_again(void)
{
    char *request = sys_text("GET /external/api/update?token=%s&v9=1 HTTP/1.1\r\n"
                             "Host: gateway.example\r\n\r\n",
                             ledger.accounts[0].device.token);
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         c.in_bytes == 0 || memmem(c.in, c.in_bytes, "\r\n\r\n", 4) == NULL;) {
        sys_check(&gateway, c.end == SYS_OPEN && sys_now_ms() < deadline, "no answer over HTTP");
        (void)sys_client_receive(&c, 20);
    }
    assert_memory_equal(c.in, "HTTP/1.1 503 ", strlen("HTTP/1.1 503 "));
    assert_non_null(memmem(c.in, c.in_bytes, "\r\nretry-after: ", strlen("\r\nretry-after: ")));
    sys_client_close(&c);
    free(request);
}

static void a_full_disk_is_waited_for(void **state)
{
    uint64_t answered;

    (void)state;
    sys_ledger_log_in(&ledger);
    sys_disk_fill(&disk, UINT64_C(3) << 20);
    play_until("tollgate_journal_stalled", 1);
    assert_int_equal(sys_admin_get(&gateway, "/readyz", NULL), 503);
    play_until("tollgate_parked_for_lane_total", 1);
    hold(1); /* what was durable before is still on its way */
    answered = sys_ledger_answered(&ledger);
    hold((hold_s + 1) / 2);
    assert_int_equal(sys_ledger_answered(&ledger), answered);
    over_http_one_is_told_to_come_again();
    assert_true(sys_metric(&gateway, "tollgate_journal_pressure") == 3);
    sys_disk_unfill(&disk);
    all_is_well_soon();
    the_books_agree();
}

/* It starts all the same, serves what needs no disk, and waits like one that was there before. */
static void a_start_on_a_full_disk_needs_no_hand(void **state)
{
    (void)state;
    sys_ledger_log_in(&ledger);
    sys_disk_fill(&disk, UINT64_C(3) << 20);
    play_until("tollgate_journal_stalled", 1);
    sys_gateway_kill(&gateway);
    sys_ledger_hang_up(&ledger);
    sys_ledger_read(&ledger);
    sys_gateway_start(&gateway);
    sys_ledger_replay(&ledger);
    sys_ledger_values(&ledger);
    sys_ledger_log_in(&ledger);
    play_until("tollgate_journal_stalled", 1);
    assert_int_equal(sys_admin_get(&gateway, "/readyz", NULL), 503);
    sys_disk_unfill(&disk);
    all_is_well_soon();
    the_books_agree();
}

/*
 * The medium has no block left for what the file system believes to have room for: fdatasync says
 * EIO once, and would then call the lost bytes synced. So the segment is given up, and what was not
 * durable is written again elsewhere, once there is room.
 */
static void what_a_failed_sync_took_is_written_again(void **state)
{
    (void)state;
    sys_ledger_log_in(&ledger);
    sys_medium_fill(&disk, UINT64_C(2) << 20);
    play_until("tollgate_journal_failures_total", 1);
    hold((hold_s + 3) / 4);
    sys_disk_unfill(&disk);
    all_is_well_soon();
    the_books_agree();
}

/* A write that hangs says nothing, for as long as it likes. */
static void a_disk_that_hangs_loses_no_client_and_confirms_nothing(void **state)
{
    uint64_t answered, frozen_ms;

    (void)state;
    sys_ledger_log_in(&ledger);
    for (int i = 0; i < 50; i++)
        (void)sys_ledger_pass(&ledger, &never, true);
    ledger.own_pings = 0;
    sys_disk_freeze(&disk);
    frozen_ms = sys_now_ms();
    while (sys_now_ms() < frozen_ms + UNDER_WAY_MS)
        (void)sys_ledger_pass(&ledger, &never, true);
    answered = sys_ledger_answered(&ledger);
    hold(hold_s);
    assert_int_equal(sys_ledger_answered(&ledger), answered);
    assert_true(sys_metric(&gateway, "tollgate_journal_pressure") == 3);
    assert_true(sys_metric(&gateway, "tollgate_journal_sync_seconds_max") >= (double)hold_s);
    assert_true(hold_s <= OWN_PING_S || ledger.own_pings >= DEVICES - HTTP_DEVICES);
    sys_disk_thaw(&disk);
    all_is_well_soon();
    the_books_agree();
}

static int set_up(void **state)
{
    struct sys_gateway_options options = {
        .shards = 1,
        .journal = "segment_bytes = 1048576; batches_per_lane = 8;",
        .config = "rate: { frames_per_s = 1000000; burst = 1000000; };\n"};
    const struct sys_ledger_options books = {
        .devices = DEVICES, .http_devices = HTTP_DEVICES, .value_bytes = VALUE_BYTES};

    (void)state;
    journal_path = sys_text("%s/journal", disk.path);
    options.journal_path = journal_path;
    sys_gateway_create(&gateway, &options);
    sys_ledger_create(&ledger, &gateway, &books);
    sys_gateway_start(&gateway);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_disk_thaw(&disk);
    sys_disk_unfill(&disk);
    sys_ledger_destroy(&ledger);
    sys_gateway_destroy(&gateway);
    sys_tree_remove(journal_path);
    free(journal_path);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    static const struct long_run_option names[] = {{"hold-s", &hold_s}, {"seed", &seed}};
    static const struct CMUnitTest tests[] = {
        TEST(a_full_disk_is_waited_for),
        TEST(a_start_on_a_full_disk_needs_no_hand),
        TEST(what_a_failed_sync_took_is_written_again),
        TEST(a_disk_that_hangs_loses_no_client_and_confirms_nothing),
    };
    const struct sys_disk_options options = {.kind = "ext4",
                                             .page_writes = true,
                                             .image_bytes = UINT64_C(160) << 20,
                                             .medium_bytes = UINT64_C(200) << 20};
    char why[512];
    int failed;

    if (long_run_read(argc, argv, names, GW_ARRAY_COUNT(names), 0,
                      "system_bad_disk [--hold-s N] [--seed S]") < 0)
        return 64;
    if (!sys_disk_create(&disk, &options, why, sizeof why)) {
        (void)fprintf(stderr, "skipped: %s\n", why);
        return SKIPPED;
    }
    sys_dice_seed(seed);
    failed = cmocka_run_group_tests_name("bad disk", tests, NULL, NULL);
    sys_disk_destroy(&disk);
    return failed;
}
