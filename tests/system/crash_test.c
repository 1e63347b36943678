/*
 * kill -9 of the real process under load, at any moment: what was answered is in the log, in order,
 * under the same names before and after recovery, and last values are those of the log; the next
 * one waits for the lock and is quick to serve, however long the log is.
 *
 *     system_crash [--rounds N] [--seed S] [--devices N] [--backlog-mib N]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "ledger.h"
#include "long_run.h"

enum {
    LIFE_MS_MAX = 500,   /* under load, before the kill                    */
    READY_MS_MAX = 2000, /* after a kill, with the whole backlog          */
    LOCK_SEEN_MS = 500,  /* a successor that has not started by then waits */
    EXIT_BUSY = 75,      /* what service managers know as "try again"      */
};

static uint64_t rounds = 4, device_count = 40, backlog_mib = 24, seed;
static struct sys_gateway gateway;
static struct sys_ledger ledger;

static int tear_down(void **state)
{
    (void)state;
    sys_ledger_destroy(&ledger);
    sys_gateway_destroy(&gateway);
    return 0;
}

/* ---- the kill ---- */

struct killer {
    pthread_t thread;
    pid_t pid;
    uint32_t after_us;
    atomic_bool over;
};

static void *kill_later(void *argument)
{
    struct killer *killer = (struct killer *)argument;
    struct timespec left = {.tv_sec = killer->after_us / 1000000,
                            .tv_nsec = (long)(killer->after_us % 1000000) * 1000};

    (void)nanosleep(&left, NULL);
    (void)kill(killer->pid, SIGKILL);
    atomic_store(&killer->over, true);
    return NULL;
}

static void play_and_kill(void)
{
    struct killer killer = {.pid = gateway.pid, .after_us = sys_dice(LIFE_MS_MAX * 1000)};

    atomic_init(&killer.over, false);
    assert_int_equal(pthread_create(&killer.thread, NULL, kill_later, &killer), 0);
    sys_ledger_play(&ledger, &killer.over);
    assert_int_equal(pthread_join(killer.thread, NULL), 0);
    sys_gateway_kill(&gateway);
    sys_ledger_hang_up(&ledger);
}

static void kill_9_loses_nothing_that_was_answered(void **state)
{
    const struct sys_gateway_options options = {
        .config = "rate: { frames_per_s = 100000; burst = 100000; };\n"};
    const struct sys_ledger_options books = {.devices = (uint32_t)device_count,
                                             .http_devices = (uint32_t)device_count / 8};
    uint64_t ready_ms_max = 0;

    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_ledger_create(&ledger, &gateway, &books);
    sys_gateway_start(&gateway);
    sys_gateway_configure(&gateway, options.config); /* the same ports for every start */
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t at;

        sys_ledger_log_in(&ledger);
        play_and_kill();
        sys_ledger_read(&ledger);
        at = sys_now_ms();
        sys_gateway_start(&gateway); /* at once: the old connections are still dying */
        at = sys_now_ms() - at;
        ready_ms_max = at > ready_ms_max ? at : ready_ms_max;
        sys_ledger_replay(&ledger);
        sys_ledger_values(&ledger);
    }
    sys_gateway_stop(&gateway);
    print_message("%llu kills: %llu updates sent, %llu acknowledged, none of these lost; %llu "
                  "batches; ready again after at most %llu ms\n",
                  (unsigned long long)rounds, (unsigned long long)sys_ledger_sent(&ledger),
                  (unsigned long long)sys_ledger_answered(&ledger),
                  (unsigned long long)ledger.batches, (unsigned long long)ready_ms_max);
    assert_true(sys_ledger_answered(&ledger) > 0);
    /* Otherwise the kills always came too late to prove anything. */
    assert_true(sys_ledger_answered(&ledger) < sys_ledger_sent(&ledger));
}

/* ---- one holder ---- */

/* The same installation, with ports of the kernel's choice and a log of lines of its own. */
static struct sys_gateway beside(const char *log)
{
    struct sys_gateway other = gateway;

    other.pid = 0;
    other.log_path = sys_text("%s/%s", gateway.dir, log);
    return other;
}

/*
 * A successor is started while the old process still serves, and waits for the log; that one dies
 * with writes, syncs and completions under way, and the successor goes on where it ended. A third
 * is told who has the log.
 */
static void a_successor_waits_for_the_log_and_then_starts(void **state)
{
    const struct sys_gateway_options options = {
        .config = "rate: { frames_per_s = 100000; burst = 100000; };\n"};
    const struct sys_ledger_options books = {.devices = 24, .http_devices = 3};
    struct sys_gateway successor, third;
    atomic_bool over = false;
    char *holder;
    int exit_code = 0;

    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_ledger_create(&ledger, &gateway, &books);
    sys_gateway_start(&gateway);
    successor = beside("log-of-the-successor");
    third = beside("log-of-the-third");
    sys_ledger_log_in(&ledger);

    sys_gateway_launch(&successor);
    for (uint64_t until = sys_now_ms() + LOCK_SEEN_MS; sys_now_ms() < until;)
        (void)sys_ledger_pass(&ledger, &over, true);
    sys_check(&successor, !sys_gateway_log_has(&successor, "event=journal "),
              "two processes have opened one log");
    play_and_kill();
    sys_gateway_await(&successor);
    ledger.gateway = &successor;
    sys_ledger_read(&ledger);
    sys_ledger_values(&ledger);

    sys_gateway_launch(&third);
    assert_true(sys_wait(third.pid, sys_ms(10000), &exit_code));
    assert_int_equal(exit_code, EXIT_BUSY);
    holder = sys_text("is being written by another process (pid %ld)", (long)successor.pid);
    sys_check(&third, sys_gateway_log_has(&third, holder), "the log does not say \"%s\"", holder);
    sys_ledger_log_in(&ledger); /* and the holder has not noticed */
    for (int i = 0; i < 20; i++)
        (void)sys_ledger_pass(&ledger, &over, true);
    assert_true(sys_ledger_settle(&ledger, sys_ms(5000)));
    sys_gateway_stop(&successor);
    sys_ledger_hang_up(&ledger);
    sys_ledger_read(&ledger);

    free(holder);
    free(successor.log_path);
    free(third.log_path);
}

/* ---- a long log ---- */

static void a_long_log_is_no_long_start(void **state)
{
    const struct sys_gateway_options options = {
        .journal = "batches_per_lane = 32;",
        .config = "rate: { frames_per_s = 1000000; burst = 1000000; };\n"};
    const struct sys_ledger_options books = {.devices = 24, .value_bytes = 3500};
    double bytes = (double)backlog_mib * (1 << 20), have = 0;
    atomic_bool over = false;
    uint64_t ready_ms;

    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_ledger_create(&ledger, &gateway, &books);
    sys_gateway_start(&gateway);
    sys_ledger_log_in(&ledger);
    while (have < bytes) {
        for (int i = 0; i < 50; i++)
            (void)sys_ledger_pass(&ledger, &over, true);
        have = sys_metric(&gateway, "tollgate_journal_written_bytes_total");
    }
    play_and_kill();
    ready_ms = sys_now_ms();
    sys_gateway_start(&gateway);
    ready_ms = sys_now_ms() - ready_ms;
    sys_ledger_read(&ledger);
    sys_ledger_values(&ledger);
    sys_gateway_stop(&gateway);
    print_message("ready %llu ms after a kill with %.0f MiB of log\n", (unsigned long long)ready_ms,
                  have / (1 << 20));
    sys_check(&gateway, ready_ms <= sys_ms(READY_MS_MAX), "ready only after %llu ms",
              (unsigned long long)ready_ms);
}

int main(int argc, char **argv)
{
    static const struct long_run_option names[] = {{"rounds", &rounds},
                                                   {"seed", &seed},
                                                   {"devices", &device_count},
                                                   {"backlog-mib", &backlog_mib}};
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(kill_9_loses_nothing_that_was_answered, tear_down),
        cmocka_unit_test_teardown(a_successor_waits_for_the_log_and_then_starts, tear_down),
        cmocka_unit_test_teardown(a_long_log_is_no_long_start, tear_down),
    };

    if (long_run_read(argc, argv, names, GW_ARRAY_COUNT(names), 0,
                      "system_crash [--rounds N] [--seed S] [--devices N] [--backlog-mib N]") < 0)
        return 64;
    sys_dice_seed(seed);
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
