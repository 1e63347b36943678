/*
 * A gateway that serves has given up what it does not need, and still does all that it must:
 * somebody inside it (intruder.c) gets nowhere, certificates are read again, the log goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "sanitized_internal.h"

enum {
    STOP_MS = 15000,
    SOON_MS = 5000,
    NOBODY = 65534,
    EXIT_PERMISSION = 77,
    BIG_BYTES = 4000,
    BIG_COUNT = 4600,
    CORE_BYTES = 1 << 20, /* of the beginning of one */
};

static const char unconfined[] =
    "confine: { privileges = false; memory = false; files = false; system_calls = false; };\n"
    "ring: { disable = [\"restrictions\"]; };\n";

static struct sys_gateway gateway;
static struct sys_device device;
static char *elsewhere, *order, *written;
static char *environment[4];

static bool kernel_has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;
}

/* Makes the log's thread write and sync, which is when it obeys. */
static void do_something(void)
{
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    if (!sys_client_ping(&c, 2)) /* unless that was its end */
        c.end = SYS_RESET;
    sys_client_close(&c);
}

static int try_inside(const char *act, unsigned nth)
{
    char *text, *fresh;
    int result;

    /* Whole or not at all: it is looked for all the time. */
    fresh = sys_text("%s.new", order);
    sys_check(&gateway, sys_file_write(fresh, act) && rename(fresh, order) == 0, "%s: %s", order,
              strerror(errno));
    free(fresh);
    do_something();
    text = sys_gateway_log_wait(&gateway, "intruder", nth, "result");
    result = (int)strtol(text, NULL, 10);
    free(text);
    return result;
}

struct attempt {
    const char *act;
    int refusal;
    bool needs_landlock;
    bool is_a_sanitizers; /* whose run time does the same: allowed then */
};

static const struct attempt refused[] = {
    {"read_elsewhere", -EACCES, true, true}, {"write_elsewhere", -EACCES, true, false},
    {"connect_out", -EPERM, false, false},   {"split", -EPERM, false, true},
    {"bring_code", -EPERM, false, true},     {"signal_others", -EPERM, false, true},
};

static const struct attempt fatal[] = {
    {"start_a_program", 0, false, true},
    {"be_traced", 0, false, true},
    {"make_a_ring", 0, false, false},
    {"become_another", 0, false, false},
};

static bool applies(const struct attempt *attempt)
{
    return !(attempt->needs_landlock && !kernel_has_landlock()) &&
           !(attempt->is_a_sanitizers && GW_SANITIZED);
}

static void what_it_never_does_is_refused(void **state)
{
    unsigned nth = 0;

    (void)state;
    sys_gateway_start(&gateway);
    for (size_t i = 0; i < GW_ARRAY_COUNT(refused); i++) {
        if (!applies(&refused[i]))
            continue;
        int result = try_inside(refused[i].act, nth++);

        sys_check(&gateway, result == refused[i].refusal, "%s: %d", refused[i].act, result);
    }
    do_something(); /* and it serves as before */
    sys_gateway_stop(&gateway);
}

static void what_only_an_intruder_does_is_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(fatal); i++) {
        struct sys_client c;
        int exit_code = 0;

        if (!applies(&fatal[i]))
            continue;
        sys_gateway_start(&gateway);
        sys_check(&gateway, sys_file_write(order, fatal[i].act), "%s", order);
        sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
        (void)!sys_client_login(&c, device.token, GW_RESPONSE_OK);
        sys_check(&gateway, sys_wait(gateway.pid, sys_ms(STOP_MS), &exit_code), "%s: it goes on",
                  fatal[i].act);
        gateway.pid = 0;
        sys_check(&gateway, exit_code == 128 + SIGSYS, "%s: exit code %d", fatal[i].act, exit_code);
        sys_client_close(&c);
    }
}

/* The same attempts succeed in a gateway that keeps what it has: it is the confinement that bites.
 */
static void without_confinement_all_of_it_is_possible(void **state)
{
    unsigned nth = 0;

    (void)state;
    sys_gateway_configure(&gateway, unconfined);
    sys_gateway_start(&gateway);
    for (size_t i = 0; i < GW_ARRAY_COUNT(refused); i++)
        assert_int_equal(try_inside(refused[i].act, nth++), 0);
    assert_int_equal(try_inside("make_a_ring", nth), 0);
    sys_gateway_stop(&gateway);
}

/* Does a gateway that dies as of an assertion leave a core, in its own folder here? */
static bool leaves_a_core(void)
{
    char *here = getcwd(NULL, 0);
    int status = 0;

    assert_int_equal(chdir(gateway.dir), 0);
    sys_gateway_start(&gateway);
    assert_int_equal(chdir(here), 0);
    free(here);
    do_something();
    kill(gateway.pid, SIGABRT);
    assert_int_equal(waitpid(gateway.pid, &status, 0), gateway.pid);
    gateway.pid = 0;
    assert_true(WIFSIGNALED(status));
    return WCOREDUMP(status);
}

/* Where cores are kept, the beginning of one would be: keys lie in memory. */
static void a_gateway_that_dies_leaves_no_core(void **state)
{
    struct rlimit before, some;
    bool unconfined_leaves_one;

    (void)state;
    if (GW_SANITIZED)
        skip(); /* whose run time leaves none either */
    assert_int_equal(getrlimit(RLIMIT_CORE, &before), 0);
    some = before;
    some.rlim_cur = before.rlim_max < CORE_BYTES ? before.rlim_max : CORE_BYTES;
    assert_int_equal(setrlimit(RLIMIT_CORE, &some), 0);
    assert_false(leaves_a_core());
    sys_gateway_configure(&gateway, unconfined);
    unconfined_leaves_one = leaves_a_core();
    assert_int_equal(setrlimit(RLIMIT_CORE, &before), 0);
    if (!unconfined_leaves_one)
        print_message("this system keeps no cores: that none is left says nothing\n");
}

/* A line of /proc/PID/task/TID/status, owned by the caller. */
static char *status_of_thread(const char *thread, const char *key)
{
    char *path = sys_text("/proc/%d/task/%s/status", (int)gateway.pid, thread);
    char *text = sys_file_text(path), *at = strstr(text, key), *value;

    sys_check(&gateway, at != NULL, "no %s in %s", key, path);
    at += strlen(key) + 1;
    at += strspn(at, "\t ");
    value = strndup(at, strcspn(at, "\n"));
    free(text);
    free(path);
    return value;
}

struct counted {
    unsigned threads, as_expected;
};

/* Of how many threads /proc says `expected` of `key`. */
static struct counted threads_with(const char *key, const char *expected)
{
    char *path = sys_text("/proc/%d/task", (int)gateway.pid);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    struct counted counted = {.threads = 0};

    sys_check(&gateway, folder != NULL, "%s", path);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char *value = status_of_thread(entry->d_name, key);

        counted.threads++;
        counted.as_expected += strcmp(value, expected) == 0;
        free(value);
    }
    (void)closedir(folder);
    free(path);
    return counted;
}

static void expect_of_every_thread(const char *key, const char *expected)
{
    struct counted counted = threads_with(key, expected);

    sys_check(&gateway, counted.as_expected == counted.threads, "%s %s of %u threads only", key,
              expected, counted.as_expected);
    assert_true(counted.threads >= 5); /* control, uplink, values, two shards */
}

/* Each names itself when it begins, which may be after the gateway is ready. */
static void expect_a_thread(const char *name)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         threads_with("Name:", name).as_expected != 1; sys_pause_ms(10))
        sys_check(&gateway, sys_now_ms() < deadline, "no thread is named %s", name);
}

static void every_thread_is_confined(void **state)
{
    (void)state;
    sys_gateway_start(&gateway);
    expect_of_every_thread("CapEff:", "0000000000000000");
    expect_of_every_thread("CapPrm:", "0000000000000000");
    expect_of_every_thread("NoNewPrivs:", "1");
    expect_of_every_thread("Seccomp:", "2");
    expect_a_thread("shard 0");
    expect_a_thread("shard 1");
    expect_a_thread("uplink");
    expect_a_thread("values");
    sys_gateway_stop(&gateway);
}

/* ---- what must go on ---- */

static void reload(unsigned nth, bool as_nobody)
{
    static const char *const names[] = {"rsa.pem", "rsa.key", "ec.pem", "ec.key"};

    free(sys_ctl(&gateway, NULL, "dev-cert", "--host", "127.0.0.1", "--out", gateway.dir, "--force",
                 NULL));
    for (size_t i = 0; as_nobody && i < GW_ARRAY_COUNT(names); i++) {
        char *path = sys_text("%s/%s", gateway.dir, names[i]);

        assert_int_equal(chown(path, NOBODY, (gid_t)-1), 0);
        free(path);
    }
    kill(gateway.pid, SIGHUP);
    free(sys_gateway_log_wait(&gateway, "reloaded", nth, NULL));
}

/* More than a segment of 16 MiB. */
static void fill_a_segment(void)
{
    static char body[BIG_BYTES] = "vw\0001";
    struct sys_client c;

    memset(body + 5, 'x', sizeof body - 5);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    for (unsigned i = 0; i < BIG_COUNT; i++)
        sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_HARDWARE, 3, body, sizeof body));
    sys_must(&gateway, &c, sys_client_ping(&c, 4));
    sys_client_close(&c);
}

static unsigned segment_count(void)
{
    DIR *folder = opendir(gateway.journal_path);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        count += strstr(entry->d_name, ".seg") != NULL;
    (void)closedir(folder);
    return count;
}

static void certificates_reload_and_the_log_rolls(void **state)
{
    unsigned segments;

    (void)state;
    sys_gateway_configure(&gateway, "rate: { frames_per_s = 1000000; burst = 1000000; };\n");
    sys_gateway_start(&gateway);
    segments = segment_count();
    reload(0, false);
    fill_a_segment();
    assert_true(segment_count() > segments);
    reload(1, false);
    do_something();
    sys_gateway_stop(&gateway); /* and saves its high-water mark */
    sys_check(&gateway, !sys_gateway_log_has(&gateway, "high_water_not_saved"), "no high water");
}

/* ---- another user ---- */

static int give_away(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return lchown(path, NOBODY, (gid_t)-1);
}

static void started_by_root_it_becomes_its_user(void **state)
{
    char *uid;

    (void)state;
    if (geteuid() != 0 || GW_SANITIZED) /* ThreadSanitizer's own thread does not survive it */
        skip();
    assert_int_equal(nftw(gateway.dir, give_away, 16, FTW_PHYS), 0);
    sys_gateway_configure(&gateway, "user = \"nobody\";\n");
    sys_gateway_start(&gateway);
    uid = sys_gateway_log_wait(&gateway, "confined", 0, "uid");
    assert_string_equal(uid, "65534");
    free(uid);
    expect_of_every_thread("Uid:", "65534\t65534\t65534\t65534");
    expect_of_every_thread("CapEff:", "0000000000000000");
    do_something();
    reload(0, true);
    sys_gateway_stop(&gateway);
}

static void a_user_that_is_not_there_is_named(void **state)
{
    int exit_code = 0;

    (void)state;
    sys_gateway_configure(&gateway, "user = \"no-such-user\";\n");
    sys_gateway_launch(&gateway);
    sys_check(&gateway, sys_wait(gateway.pid, sys_ms(STOP_MS), &exit_code), "it runs");
    gateway.pid = 0;
    assert_int_equal(exit_code, EXIT_PERMISSION);
    assert_true(sys_gateway_log_has(&gateway, "no-such-user"));
}

static int set_up(void **state)
{
    static const struct sys_gateway_options options = {.shards = 2};

    (void)state;
    elsewhere = sys_tree_create();
    sys_gateway_create(&gateway, &options);
    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    order = sys_text("%s/order", gateway.dir);
    written = sys_text("%s/written", elsewhere);
    environment[0] = sys_text("LD_PRELOAD=%s", INTRUDER);
    environment[1] = sys_text("INTRUDER_ORDER=%s", order);
    environment[2] = sys_text("INTRUDER_ELSEWHERE=%s", written);
    gateway.options.env = (const char *const *)environment;
    return 0;
}

static int restore(void **state)
{
    (void)state;
    if (gateway.pid != 0)
        sys_gateway_kill(&gateway);
    sys_gateway_configure(&gateway, NULL);
    (void)unlink(order);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_gateway_destroy(&gateway);
    sys_tree_remove(elsewhere);
    for (size_t i = 0; i < GW_ARRAY_COUNT(environment); i++)
        free(environment[i]);
    free(written);
    free(order);
    free(elsewhere);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_it_never_does_is_refused, restore),
        cmocka_unit_test_teardown(what_only_an_intruder_does_is_its_end, restore),
        cmocka_unit_test_teardown(without_confinement_all_of_it_is_possible, restore),
        cmocka_unit_test_teardown(a_gateway_that_dies_leaves_no_core, restore),
        cmocka_unit_test_teardown(every_thread_is_confined, restore),
        cmocka_unit_test_teardown(certificates_reload_and_the_log_rolls, restore),
        cmocka_unit_test_teardown(a_user_that_is_not_there_is_named, restore),
        cmocka_unit_test_teardown(started_by_root_it_becomes_its_user, restore),
    };

    return cmocka_run_group_tests_name("confine", tests, set_up, tear_down);
}
