/*
 * The audit log, its thread's steps taken by hand: every event is accounted for, the numbers have
 * no gap, and a flood is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include <gw/audit/audit.h>

enum { THREADS = 2, PENDING = 256, BIG = 1 << 30 };

static char folder[] = "/tmp/gw_audit_test.XXXXXX";
static char path[64], old_path[72];
static struct gw_audit *audit;
static struct gw_instant now;

static void open_log(uint64_t bytes_max)
{
    struct gw_audit_options options = {
        .path = path, .threads = THREADS, .pending_max = PENDING, .bytes_max = bytes_max};
    char why[256];

    assert_int_equal(gw_audit_open(&options, &audit, why, sizeof why), 0);
}

static void step(void)
{
    gw_audit_step(audit, now, 1700000000000000);
}

static void close_log(void)
{
    gw_audit_stop(audit);
    gw_audit_close(audit);
    audit = NULL;
}

static struct gw_audit_event refusal(uint32_t source)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_LOGIN_REFUSED,
                                   .wall_us = 1700000000123456,
                                   .token_tag = 0xabcdef01,
                                   .address_bytes = 4,
                                   .reason = "token_unknown"};

    memcpy(event.address, &source, sizeof source);
    return event;
}

static void put(uint32_t thread, const struct gw_audit_event *event)
{
    gw_audit_put(audit, thread, event);
}

/* What the lines of a file say: how many there are, what they stand for, whether they are numbered
   from `first` on. */
struct account {
    unsigned lines, lost;
    uint64_t events, first, last;
};

static void read_account(const char *file, struct account *account)
{
    char line[2048];
    FILE *in = fopen(file, "r");

    *account = (struct account){.lines = 0};
    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        json_error_t why;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &why);
        uint64_t number, count;

        if (object == NULL)
            fail_msg("%s: %s", why.text, line);
        number = (uint64_t)json_integer_value(json_object_get(object, "seq"));
        count = (uint64_t)json_integer_value(json_object_get(object, "count"));
        if (account->lines++ == 0)
            account->first = number;
        else
            assert_int_equal(number, account->last + 1);
        account->last = number;
        if (strcmp(json_string_value(json_object_get(object, "event")), "lost") == 0)
            account->lost += (unsigned)count;
        else
            account->events += count == 0 ? 1 : count;
        json_decref(object);
    }
    (void)fclose(in);
}

static void an_event_is_a_line_that_says_what_is_known(void **state)
{
    struct gw_audit_event event = refusal(0x0100007f);
    char text[2048] = "";
    FILE *in;

    (void)state;
    open_log(BIG);
    put(1, &event);
    put(0, &(struct gw_audit_event){.kind = GW_AUDIT_RELOADED,
                                    .wall_us = 1700000000000000,
                                    .subject = "serial \"1\"\n{\"forged\":1}",
                                    .not_after_s = 5});
    step();
    close_log();
    in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, sizeof text - 1, in) > 0);
    (void)fclose(in);
    assert_string_equal(
        text,
        "{\"ts\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\"event\":\"login_refused\","
        "\"seq\":1,\"source\":\"127.0.0.1\",\"token\":\"abcdef01\",\"reason\":\"token_unknown\","
        "\"thread\":1}\n"
        "{\"ts\":\"2023-11-14T22:13:20.000Z\",\"level\":\"info\",\"event\":\"reloaded\",\"seq\":2,"
        "\"subject\":\"serial \\\"1\\\"\\n{\\\"forged\\\":1}\",\"not_after\":5,\"thread\":0}\n");
}

static void append(const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND);

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void numbers_go_on_after_a_restart(void **state)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_START, .wall_us = 1};
    struct account account;

    (void)state;
    for (unsigned life = 0; life < 3; life++) {
        open_log(BIG);
        for (unsigned i = 0; i < 5; i++)
            put(0, &event);
        step();
        close_log();
    }
    read_account(path, &account);
    assert_int_equal(account.first, 1);
    assert_int_equal(account.lines, 15);
}

/* A power cut may leave the beginning of a line: it is ended, and its number given again. */
static void a_line_that_was_cut_is_ended(void **state)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_START, .wall_us = 1};
    char text[1024] = "";
    FILE *in;

    (void)state;
    open_log(BIG);
    put(0, &event);
    step();
    close_log();
    append("{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"event\":\"start\",\"se");
    open_log(BIG);
    put(0, &event);
    step();
    close_log();
    in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, sizeof text - 1, in) > 0);
    (void)fclose(in);
    assert_non_null(strstr(text, "\"se\n{\"ts\""));
    assert_non_null(strstr(text, "\"seq\":2"));
    assert_null(strstr(text, "\"seq\":3"));
}

static void one_source_that_floods_gets_few_lines(void **state)
{
    struct gw_audit_event event = refusal(1), other = refusal(2);
    struct account account;

    (void)state;
    open_log(BIG);
    for (unsigned i = 0; i < 1000; i++) {
        put(0, &event);
        if (i % 100 == 0) {
            put(1, &other);
            step();
        }
    }
    step();
    read_account(path, &account);
    assert_int_equal(account.lines, 20); /* ten of each */
    now.ns += 61 * GW_NS_PER_S;
    step(); /* the minute is over */
    read_account(path, &account);
    assert_int_equal(account.lines, 21);
    assert_int_equal(account.events + account.lost, 1010);
    put(0, &event); /* another minute */
    step();
    close_log();
    read_account(path, &account);
    assert_int_equal(account.lines, 22);
}

/* The number behind a key of the last line. */
static long last_number(const char *key)
{
    char line[2048], last[2048] = "", quoted[32];
    FILE *in = fopen(path, "r");
    const char *at;

    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL)
        (void)snprintf(last, sizeof last, "%s", line);
    (void)fclose(in);
    (void)snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(last, quoted);
    return at == NULL ? 0 : strtol(at + strlen(quoted), NULL, 10);
}

static void of_several_in_one_line_the_longest_delay_is_told(void **state)
{
    static const uint64_t delays[] = {7, 900, 30};
    struct gw_audit_event event = refusal(1);

    (void)state;
    open_log(BIG);
    event.ms = 5000; /* of those with lines of their own */
    for (unsigned i = 0; i < 10; i++)
        put(0, &event);
    step();
    assert_int_equal(last_number("ms"), 5000);
    for (unsigned i = 0; i < 3; i++) {
        event.ms = delays[i];
        put(0, &event);
    }
    step();
    close_log();
    assert_int_equal(last_number("count"), 3);
    assert_int_equal(last_number("ms"), 900);
}

static void a_flood_of_sources_is_bounded_and_accounted_for(void **state)
{
    enum { SOURCES = 20000 };
    struct account account;

    (void)state;
    open_log(BIG);
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct gw_audit_event event = refusal(i);

        put(i % THREADS, &event);
        if (i % PENDING == 0)
            step();
    }
    step();
    close_log(); /* tells of all that it counted */
    read_account(path, &account);
    assert_int_equal(account.events, SOURCES);
    assert_int_equal(account.lost, 0);
    assert_true(account.lines < 1000);
}

static void what_does_not_fit_is_counted_and_told(void **state)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_COMMAND, .wall_us = 1};
    struct account account;
    struct gw_audit_stat stat;

    (void)state;
    open_log(BIG);
    for (unsigned i = 0; i < PENDING + 44; i++)
        put(0, &event);
    put(1, &event); /* whose ring is its own */
    step();
    step(); /* told once */
    gw_audit_stat(audit, &stat);
    assert_int_equal(stat.lost, 44);
    close_log();
    read_account(path, &account);
    assert_int_equal(account.events, PENDING + 1);
    assert_int_equal(account.lost, 44);
}

static void a_disk_that_takes_nothing_leaves_no_gap(void **state)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_COMMAND, .wall_us = 1};
    struct rlimit before, full;
    struct account account;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    open_log(BIG);
    put(0, &event);
    step();
    full = (struct rlimit){.rlim_cur = 150, .rlim_max = before.rlim_max}; /* into a line */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    for (unsigned i = 0; i < 7; i++)
        put(0, &event);
    step();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    step();
    put(0, &event);
    step();
    close_log();
    read_account(path, &account);
    assert_int_equal(account.first, 1);
    assert_int_equal(account.events, 2);
    assert_int_equal(account.lost, 7);
}

static void at_its_largest_it_begins_anew(void **state)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_COMMAND, .wall_us = 1};
    struct account older, newer;

    (void)state;
    open_log(4096);
    for (unsigned i = 0; i < 60; i++) {
        put(0, &event);
        step();
    }
    close_log();
    read_account(old_path, &older);
    read_account(path, &newer);
    assert_int_equal(newer.first, older.last + 1);
    assert_int_equal(newer.last, 60);
}

static void a_renamed_file_is_left_alone_when_told(void **state)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_COMMAND, .wall_us = 1};
    struct account older, newer;

    (void)state;
    open_log(BIG);
    put(0, &event);
    step();
    assert_int_equal(rename(path, old_path), 0);
    put(0, &event);
    step(); /* still there: nobody said so */
    gw_audit_reopen(audit);
    put(0, &event);
    step();
    close_log();
    read_account(old_path, &older);
    read_account(path, &newer);
    assert_int_equal(older.lines, 2);
    assert_int_equal(newer.first, 3);
    assert_int_equal(newer.lines, 1);
}

static void its_thread_writes_what_is_put(void **state)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_START, .wall_us = 1};
    struct account account;

    (void)state;
    open_log(BIG);
    assert_int_equal(gw_audit_start(audit), 0);
    put(0, &event);
    put(1, &event);
    close_log();
    read_account(path, &account);
    assert_int_equal(account.events, 2);
    gw_audit_put(NULL, 0, &event); /* without an audit log nothing happens */
    gw_audit_reopen(NULL);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/audit", folder);
    (void)snprintf(old_path, sizeof old_path, "%s.1", path);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(old_path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_event_is_a_line_that_says_what_is_known, clean),
        cmocka_unit_test_teardown(numbers_go_on_after_a_restart, clean),
        cmocka_unit_test_teardown(a_line_that_was_cut_is_ended, clean),
        cmocka_unit_test_teardown(one_source_that_floods_gets_few_lines, clean),
        cmocka_unit_test_teardown(of_several_in_one_line_the_longest_delay_is_told, clean),
        cmocka_unit_test_teardown(a_flood_of_sources_is_bounded_and_accounted_for, clean),
        cmocka_unit_test_teardown(what_does_not_fit_is_counted_and_told, clean),
        cmocka_unit_test_teardown(a_disk_that_takes_nothing_leaves_no_gap, clean),
        cmocka_unit_test_teardown(at_its_largest_it_begins_anew, clean),
        cmocka_unit_test_teardown(a_renamed_file_is_left_alone_when_told, clean),
        cmocka_unit_test_teardown(its_thread_writes_what_is_put, clean),
    };

    return cmocka_run_group_tests_name("audit", tests, set_up, tear_down);
}
