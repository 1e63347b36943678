/*
 * Power cuts of the log's disk under load, half of them within 5 ms of a segment's beginning or
 * end: what was answered is in the log when the disk is mounted again, in order and without damage,
 * nothing needs a hand, and last values are those of the log.
 *
 *     system_powercut [--rounds N] [--seed S] ext4|xfs
 *
 * Exits with 77 and the reason where there is no root, no loop device or no such file system.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "ledger.h"
#include "long_run.h"
#include "loop_disk.h"

enum {
    SKIPPED = 77,
    DEVICES = 24,
    VALUE_BYTES = 1500,
    CUT_MS_MAX = 400,     /* under load, before the cut                             */
    NEAR_US_MAX = 5000,   /* behind what happened to a segment                      */
    EVENT_MS_MAX = 3000,  /* for that to happen                                     */
    AFTER_US_MAX = 50000, /* that the gateway lives on without a disk, taking input */
};

static uint64_t rounds = 6, seed;
static struct sys_disk disk;
static struct sys_gateway gateway;
static struct sys_ledger ledger;
static char *journal_path;

/* ---- the cut ---- */

struct cutter {
    pthread_t thread;
    int watch; /* an inotify of the log's folder, or -1 for a cut at any time */
    uint32_t after_us, live_on_us;
    bool near; /* it came by what the watch saw */
    atomic_bool cut, over;
};

static void pause_us(uint32_t us)
{
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};

    (void)nanosleep(&left, NULL);
}

/* A segment was begun, named or deleted; true when one was before the time is over. */
static bool wait_for_segment(int watch)
{
    struct pollfd fd = {.fd = watch, .events = POLLIN};
    _Alignas(struct inotify_event) char room[4096];

    return poll(&fd, 1, EVENT_MS_MAX) > 0 && read(watch, room, sizeof room) > 0;
}

static void *cut_later(void *argument)
{
    struct cutter *cutter = (struct cutter *)argument;

    if (cutter->watch >= 0)
        cutter->near = wait_for_segment(cutter->watch);
    pause_us(cutter->after_us);
    atomic_store(&cutter->cut, true);
    sys_disk_cut(&disk);
    pause_us(cutter->live_on_us);
    atomic_store(&cutter->over, true);
    return NULL;
}

/*
 * A cut is not of one moment here: a sync that is under way may still be called a success by a file
 * system that has just given up its log. So what comes from the gateway once the cut has begun
 * counts as little as it would with the whole machine gone.
 */
static void play_and_cut(bool near, uint32_t *near_count)
{
    struct cutter cutter = {.watch = -1,
                            .after_us = near ? sys_dice(NEAR_US_MAX) : sys_dice(CUT_MS_MAX * 1000),
                            .live_on_us = sys_dice(AFTER_US_MAX)};

    if (near) {
        cutter.watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        assert_true(cutter.watch >= 0);
        assert_true(inotify_add_watch(cutter.watch, journal_path,
                                      sys_dice(2) == 0 ? IN_CREATE : IN_MOVED_TO | IN_DELETE) >= 0);
    }
    atomic_init(&cutter.over, false);
    atomic_init(&cutter.cut, false);
    ledger.deaf = &cutter.cut;
    assert_int_equal(pthread_create(&cutter.thread, NULL, cut_later, &cutter), 0);
    sys_ledger_play(&ledger, &cutter.over);
    assert_int_equal(pthread_join(cutter.thread, NULL), 0);
    if (near)
        (void)close(cutter.watch);
    *near_count += cutter.near;
    sys_gateway_kill(&gateway);
    sys_ledger_hang_up(&ledger);
    ledger.deaf = NULL;
}

static void a_power_cut_loses_nothing_that_was_answered(void **state)
{
    uint32_t near = 0;

    (void)state;
    sys_gateway_start(&gateway);
    sys_ledger_commit(&ledger);
    for (uint64_t round = 0; round < rounds; round++) {
        sys_ledger_log_in(&ledger);
        play_and_cut(round % 2 == 1, &near);
        sys_disk_remount(&disk);
        sys_ledger_read(&ledger);
        sys_gateway_start(&gateway);
        sys_ledger_replay(&ledger);
        sys_ledger_values(&ledger);
        sys_ledger_commit(&ledger);
    }
    sys_gateway_stop(&gateway);
    print_message("%llu power cuts of %s, %u of them within 5 ms of a segment's beginning or end: "
                  "%llu updates sent, %llu acknowledged, none of these lost\n",
                  (unsigned long long)rounds, disk.kind, near,
                  (unsigned long long)sys_ledger_sent(&ledger),
                  (unsigned long long)sys_ledger_answered(&ledger));
    assert_true(sys_ledger_answered(&ledger) > 0);
    assert_true(sys_ledger_answered(&ledger) < sys_ledger_sent(&ledger));
    assert_true(near > 0);
}

/* Segments are as small as the configuration allows: a round begins and deletes some. */
static int set_up(void **state)
{
    struct sys_gateway_options options = {
        .journal = "segment_bytes = 1048576; bytes_max = 8388608; batches_per_lane = 8;",
        .config = "rate: { frames_per_s = 1000000; burst = 1000000; };\n"};
    const struct sys_ledger_options books = {.devices = DEVICES, .value_bytes = VALUE_BYTES};

    (void)state;
    journal_path = sys_text("%s/journal", disk.path);
    options.journal_path = journal_path;
    sys_gateway_create(&gateway, &options);
    sys_ledger_create(&ledger, &gateway, &books);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_ledger_destroy(&ledger);
    sys_gateway_destroy(&gateway);
    free(journal_path);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct long_run_option names[] = {{"rounds", &rounds}, {"seed", &seed}};
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_loses_nothing_that_was_answered),
    };
    struct sys_disk_options options = {.image_bytes = UINT64_C(320) << 20,
                                       .medium_bytes = UINT64_C(320) << 20};
    char why[512];
    int failed;

    int at = long_run_read(argc, argv, names, GW_ARRAY_COUNT(names), 1,
                           "system_powercut [--rounds N] [--seed S] ext4|xfs");

    if (at < 0)
        return 64;
    options.kind = argv[at];
    if (strcmp(options.kind, "ext4") != 0 && strcmp(options.kind, "xfs") != 0) {
        (void)fprintf(stderr, "%s: no file system of these tests\n", options.kind);
        return 64;
    }
    if (!sys_disk_create(&disk, &options, why, sizeof why)) {
        (void)fprintf(stderr, "skipped: %s\n", why);
        return SKIPPED;
    }
    sys_dice_seed(seed);
    failed = cmocka_run_group_tests_name("power cut", tests, set_up, tear_down);
    sys_disk_destroy(&disk);
    return failed;
}
