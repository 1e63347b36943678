/*
 * What is said of a run beside its counts: verdicts on two figures, samples over time, and what of
 * the kernel's slabs belongs to connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"
#include "machine.h"
#include "timeline.h"

static void a_change_within_the_noise_is_none(void **state)
{
    static const struct {
        enum swarm_figure figure;
        double before, after, noise;
        enum swarm_verdict verdict;
    } rows[] = {
        {SWARM_FIGURE_ping_p99_us, 100, 115, 0.15, SWARM_SAME},
        {SWARM_FIGURE_ping_p99_us, 100, 116, 0.15, SWARM_WORSE},
        {SWARM_FIGURE_ping_p99_us, 100, 84, 0.15, SWARM_BETTER},
        {SWARM_FIGURE_updates_per_s, 100, 116, 0.15, SWARM_BETTER},
        {SWARM_FIGURE_updates_per_s, 100, 84, 0.15, SWARM_WORSE},
        {SWARM_FIGURE_updates_per_s, 100, 99, 0, SWARM_WORSE},
        {SWARM_FIGURE_failed, 0, 0, 0.15, SWARM_SAME},
        {SWARM_FIGURE_failed, 0, 1, 0.15, SWARM_WORSE},
        /* Memory may shrink below nothing when others gave some back. */
        {SWARM_FIGURE_slab_bytes_per_session, -100, -110, 0.15, SWARM_SAME},
        {SWARM_FIGURE_slab_bytes_per_session, -100, 100, 0.15, SWARM_WORSE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(
            swarm_figure_compare(rows[i].figure, rows[i].before, rows[i].after, rows[i].noise),
            rows[i].verdict);
}

static void no_noise_excuses_a_loss(void **state)
{
    (void)state;
    assert_int_equal(swarm_figure_compare(SWARM_FIGURE_lost, 100, 101, 0.5), SWARM_WORSE);
    assert_int_equal(swarm_figure_compare(SWARM_FIGURE_sessions, 10000, 9999, 0.5), SWARM_WORSE);
}

static void what_one_run_lacks_is_not_judged(void **state)
{
    (void)state;
    for (int i = 0; i < SWARM_FIGURES; i++) {
        assert_int_equal(swarm_figure_compare(i, (double)NAN, 1, 0), SWARM_UNKNOWN);
        assert_int_equal(swarm_figure_compare(i, 1, (double)NAN, 0), SWARM_UNKNOWN);
    }
}

static void a_timeline_spans_any_time_in_its_samples(void **state)
{
    static struct swarm_timeline timeline;
    double at_s = 0;

    (void)state;
    for (int i = 0; i < 1000000; i++, at_s += 0.1) {
        if (swarm_timeline_is_due(&timeline, at_s))
            swarm_timeline_add(&timeline, &(struct swarm_sample){.at_s = at_s});
        assert_true(timeline.count <= SWARM_TIMELINE_SAMPLES);
    }
    assert_true(timeline.count >= SWARM_TIMELINE_SAMPLES / 2);
    assert_true(timeline.samples[0].at_s == 0);
    for (uint32_t i = 1; i < timeline.count; i++)
        assert_true(timeline.samples[i].at_s > timeline.samples[i - 1].at_s);
    assert_true(at_s - timeline.samples[timeline.count - 1].at_s <= timeline.every_ms / 500.0);
}

static const char slabinfo[] =
    "slabinfo - version: 2.1\n"
    "# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables\n"
    "TCP 10 13 2368 13 8 : tunables 0 0 0 : slabdata 5 5 0\n"
    "sock_inode_cache 39 39 832 39 8 : tunables 0 0 0 : slabdata 7 7 0\n"
    "proc_inode_cache 1 46 712 46 8 : tunables 0 0 0 : slabdata 2 3 0\n"
    "ext4_extent_status 1 102 40 102 1 : tunables 0 0 0 : slabdata 4 4 0\n"
    "dentry 1 21 192 21 1 : tunables 0 0 0 : slabdata 9 10 0\n";

static void inodes_of_files_are_noise_and_those_of_sockets_are_not(void **state)
{
    struct swarm_slab slab = {0};
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *file = fmemopen((void *)(uintptr_t)slabinfo, sizeof slabinfo - 1, "r");

    (void)state;
    assert_non_null(file);
    assert_true(swarm_slab_add_caches(file, &slab));
    fclose(file);
    assert_int_equal(slab.inode_bytes, (3 * 8 + 4) * page);
    assert_int_equal(slab.dentry_bytes, 10 * page);
    assert_int_equal(slab.dentry_size, page / 21);
}

static void a_dentry_for_each_socket_is_no_noise(void **state)
{
    struct swarm_slab before = {.bytes = 100000, .caches_known = true, .dentry_size = 200};
    struct swarm_slab after = before;
    double noise;

    (void)state;
    after.dentry_bytes = 10 * 200 + 700; /* seven hundred bytes beyond those of ten sockets */
    after.inode_bytes = 3000;
    after.bytes += 40000 + 3700;
    assert_true(swarm_slab_growth(&before, &after, 10, &noise) == 40000);
    assert_true(noise == 3700);
    after.caches_known = false; /* then nothing can be taken off */
    assert_true(swarm_slab_growth(&before, &after, 10, &noise) == 43700);
    assert_true(noise == 0);
}

static void this_machine_has_a_name(void **state)
{
    struct swarm_machine machine;
    struct swarm_slab slab;

    (void)state;
    swarm_machine_read(&machine);
    swarm_slab_read(&slab);
    assert_true(machine.cores >= 1);
    assert_true(strlen(machine.kernel) > 0 && strlen(machine.cpu) > 0);
    assert_true(slab.bytes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_within_the_noise_is_none),
        cmocka_unit_test(no_noise_excuses_a_loss),
        cmocka_unit_test(what_one_run_lacks_is_not_judged),
        cmocka_unit_test(a_timeline_spans_any_time_in_its_samples),
        cmocka_unit_test(inodes_of_files_are_noise_and_those_of_sockets_are_not),
        cmocka_unit_test(a_dentry_for_each_socket_is_no_noise),
        cmocka_unit_test(this_machine_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
