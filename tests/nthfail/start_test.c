/*
 * The nth failure while a gateway starts. Whatever call fails: it ends with an exit code that fits
 * and says why, or it serves all the same; no sanitizer has anything to report, nothing that was
 * acknowledged is gone, and the last value of a pin is still the last.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

enum { START_MS = 20000, SOON_MS = 5000, SYNC_ID = 3, LOOK_AGAIN_MS = 2 };

static const struct kind {
    const char *name;
    uint32_t classes;
    int error;
    uint32_t points; /* calls that are tried unless all are */
} kinds[] = {
    {"memory", NTHFAIL_MEMORY, ENOMEM, 12},        {"files: I/O error", NTHFAIL_FILE, EIO, 12},
    {"files: disk full", NTHFAIL_FILE, ENOSPC, 4}, {"descriptors", NTHFAIL_SYSTEM, EMFILE, 8},
    {"threads", NTHFAIL_THREAD, EAGAIN, 8},        {"rings", NTHFAIL_RING, ENOMEM, 4},
    {"entering rings", NTHFAIL_ENTER, EAGAIN, 4},  {"LMDB: I/O error", NTHFAIL_LMDB, EIO, 10},
    {"LMDB: no memory", NTHFAIL_LMDB, ENOMEM, 4},
};

static struct kit_account account;

/* ---- one start ---- */

/* True once it serves; false when it ended. */
static bool wait_for_start(int *exit_code)
{
    uint64_t deadline = sys_now_ms() + sys_ms(START_MS);

    for (;;) {
        if (sys_gateway_log_has(&kit_gateway, "event=ready"))
            return true;
        if (sys_wait(kit_gateway.pid, 0, exit_code)) {
            kit_gateway.pid = 0;
            return false;
        }
        sys_check(&kit_gateway, sys_now_ms() < deadline, "neither serving nor ended");
        sys_pause_ms(LOOK_AGAIN_MS);
    }
}

/* The kernel, the index, the system, the configuration; nobody else's fault, and no crash. */
static bool is_refusal(int exit_code)
{
    return exit_code == 69 || exit_code == 71 || exit_code == 77 || exit_code == 78;
}

/* The system's own words, or what the libraries say for a lack of memory. */
static bool is_named(const char *why, int error)
{
    return strstr(why, strerror(error)) != NULL ||
           (error == ENOMEM && (strstr(why, "memory") != NULL || strstr(why, "malloc") != NULL));
}

static void the_refusal_is_clear(const struct kind *kind, int exit_code)
{
    char *log = sys_gateway_log(&kit_gateway);
    const char *failed = strstr(log, "event=start_failed");
    const char *why = failed != NULL ? failed : strstr(log, "tollgate.conf"); /* before the log */
    /* BoringSSL does not always say that it was memory. */
    bool theirs = strstr(log, "nthfail: OPENSSL_malloc") != NULL;
    bool named = why != NULL &&
                 (is_named(why, kind->error) || (theirs && strstr(why, "error=\"\"") == NULL));

    free(log);
    sys_gateway_expect_no_report(&kit_gateway);
    sys_check(&kit_gateway, is_refusal(exit_code), "exit code %d", exit_code);
    sys_check(&kit_gateway, named, "exit code %d, and not a word of \"%s\"", exit_code,
              strerror(kind->error));
}

/* What the log holds of the pin is what a device gets back. */
static void the_last_value_is_given_back(struct sys_client *c)
{
    static const char ask[] = "vr\0"
                              "7";
    char wanted[64];
    struct gw_frame frame;
    int bytes = snprintf(wanted, sizeof wanted, "vw%c%d%c%u ", 0, KIT_PIN, 0, account.sent);

    sys_must(&kit_gateway, c,
             sys_client_send_frame(c, GW_FRAME_HARDWARE_SYNC, SYNC_ID, ask, sizeof ask - 1));
    sys_must(&kit_gateway, c, sys_client_frame(c, &frame, sys_ms(SOON_MS)));
    sys_check(&kit_gateway,
              frame.type == GW_FRAME_HARDWARE && frame.body.size == (size_t)bytes &&
                  memcmp(frame.body.data, wanted, (size_t)bytes) == 0,
              "the last value is %u, and another is given", account.sent);
}

static void the_gateway_serves(void)
{
    struct sys_client c;
    uint32_t from;

    sys_must(&kit_gateway, &c, sys_connect(&kit_gateway, &c, SYS_TLS13));
    sys_check(&kit_gateway, kit_login(&c, &account) == GW_RESPONSE_OK, "the login is refused");
    if (account.sent > 0)
        the_last_value_is_given_back(&c);
    from = account.sent + 1;
    sys_must(&kit_gateway, &c, kit_write(&c, &account, 0));
    sys_must(&kit_gateway, &c, kit_ping(&c, &account, from, sys_ms(SOON_MS)));
    sys_client_close(&c);
}

/* Starts it once with these failures. Whether it served. */
static bool start_once(const struct kind *kind, uint64_t first, uint64_t count)
{
    int exit_code = 0;
    bool serves;

    kit_arm(kind->classes, kind->error, first, count);
    sys_gateway_launch(&kit_gateway);
    serves = wait_for_start(&exit_code);
    if ((kind->classes & NTHFAIL_ENTER) == 0) /* rings are first entered when it serves */
        kit_disarm();
    if (serves) {
        the_gateway_serves();
        kit_disarm();
        sys_gateway_stop(&kit_gateway);
    } else {
        sys_check(&kit_gateway, atomic_load(&kit_nthfail->failed) > 0, "ended by itself");
        the_refusal_is_clear(kind, exit_code);
    }
    return serves;
}

/* ---- a log to start from ---- */

/* A start leaves a segment, and looks into each that is there. So each begins with the same small
   log: its nth call is the same one each time, and not one of thousands that are all alike. */
static char *kept_path;
static struct kit_account kept;

static void copy_tree(const char *from, const char *to)
{
    const char *const argv[] = {"cp", "-a", from, to, NULL};
    struct sys_output out;

    sys_tree_remove(to);
    sys_check(&kit_gateway, sys_run(argv, NULL, &out) && out.exit_code == 0, "%s cannot be copied",
              from);
    sys_output_release(&out);
}

static void keep_the_log(void)
{
    kept_path = sys_text("%s.kept", kit_gateway.journal_path);
    copy_tree(kit_gateway.journal_path, kept_path);
    kept = account;
}

static void back_to_the_kept_log(void)
{
    copy_tree(kept_path, kit_gateway.journal_path);
    account = kept;
}

/* ---- the tests ---- */

static void the_nth_call_fails(const struct kind *kind, uint64_t count)
{
    struct kit_account *const accounts[] = {&account};
    uint64_t calls, stride, tried = 0;

    back_to_the_kept_log();
    (void)start_once(kind, 0, 0); /* none fails */
    calls = atomic_load(&kit_nthfail->calls);
    stride = kit_stride(calls, kind->points);
    for (uint64_t n = kit_first(calls, kind->points); n <= calls; n += stride, tried++) {
        back_to_the_kept_log();
        if (!start_once(kind, n, count))
            (void)start_once(kind, 0, 0); /* what a start that failed leaves is started from */
        kit_ledger_holds(accounts, 1);
    }
    print_message("%s: %llu calls, %llu starts\n", kind->name, (unsigned long long)calls,
                  (unsigned long long)tried);
    assert_true(tried > 0);
}

static void a_start_survives_the_failure_of_any_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(kinds); i++)
        the_nth_call_fails(&kinds[i], 1);
}

/* Not a single moment of trouble, but a system that has had enough. */
static void a_start_survives_the_failure_of_all_calls_from_one_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(kinds); i++) {
        struct kind kind = kinds[i];

        if ((kind.classes & NTHFAIL_ENTER) != 0)
            continue; /* a ring that can never be entered is a gateway that never does anything */
        kind.points = kind.points / 6 + 1;
        the_nth_call_fails(&kind, NTHFAIL_FOR_EVER);
    }
}

static int set_up(void **state)
{
    (void)state;
    /* All of the tz database would be thousands of calls that are all alike. */
    kit_create("time: { zones = \"" FEW_ZONES "\"; };");
    kit_account_open(&account);
    (void)start_once(&kinds[0], 0, 0);
    keep_the_log();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(kept_path);
    kit_destroy();
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_survives_the_failure_of_any_call),
        cmocka_unit_test(a_start_survives_the_failure_of_all_calls_from_one_on),
    };

    if (!kit_arguments(argc, argv))
        return 64;
    return cmocka_run_group_tests_name("nthfail start", tests, set_up, tear_down);
}
