/*
 * Starts: after a stop, after a crash, with a store that is missing or of no use, with a log that
 * has let go of something.
 */
#include "values_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gw/journal/cursor.h>

#include "values_internal.h"

static struct kit kit;

static int set_up(void **state)
{
    (void)state;
    kit_make(&kit);
    kit_open(&kit);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_stop(&kit);
    kit_remove(&kit);
    return 0;
}

static void expect_position(struct gw_journal_position a, struct gw_journal_position b)
{
    assert_int_equal(a.segment, b.segment);
    assert_int_equal(a.offset, b.offset);
}

static void after_a_stop_nothing_is_read_again(void **state)
{
    struct gw_journal_position durable;

    (void)state;
    assert_true(kit.found.rebuilt);
    kit_write(&kit, 7, 1, "a");
    kit_write(&kit, 7, 2, "b");
    durable = kit_durable(&kit);
    kit_stop(&kit);
    expect_position(kit_cursor(&kit), durable);
    kit_open(&kit);
    assert_false(kit.found.rebuilt);
    assert_false(kit.found.incomplete);
    assert_int_equal(kit.found.replayed, 0);
    assert_int_equal(kit.found.rows, 2);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=a 2=b ");
}

static void after_a_crash_the_log_tells(void **state)
{
    (void)state;
    kit_write(&kit, 7, 1, "a");
    kit_write(&kit, 7, 2, "b");
    kit_write(&kit, 7, 1, "c");
    kit_crash(&kit);
    kit_open(&kit);
    assert_int_equal(kit.found.replayed, 3);
    assert_int_equal(kit.found.rows, 0);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=c 2=b ");
}

static bool disk_is_full;

static ssize_t write_where_there_is_room(void *context, int fd, const struct iovec *iov, int count,
                                         uint64_t offset)
{
    (void)context;
    return disk_is_full ? -ENOSPC : gw_journal_io_system.pwritev(NULL, fd, iov, count, offset);
}

/* The power went, the log's mark with it, and the disk has no room for another one. */
static void a_full_disk_without_a_mark_is_started_on(void **state)
{
    struct gw_journal_io io = gw_journal_io_system;
    char mark[128];

    (void)state;
    kit_write(&kit, 7, 1, "a");
    kit_write(&kit, 7, 2, "b");
    kit_crash(&kit);
    (void)snprintf(mark, sizeof mark, "%s/mark", kit.path);
    assert_int_equal(truncate(mark, 0), 0);
    io.pwritev = write_where_there_is_room;
    kit.io = &io;
    disk_is_full = true;
    kit_open(&kit);
    assert_int_equal(kit.found.replayed, 2);
    assert_false(kit.found.incomplete);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=a 2=b ");
    disk_is_full = false;
    kit_write(&kit, 7, 1, "c");
    kit_crash(&kit);
    kit.io = NULL;
    kit_open(&kit);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=c 2=b ");
}

static void only_what_the_checkpoint_lacks_is_read_again(void **state)
{
    (void)state;
    kit_write(&kit, 7, 1, "a");
    kit_write(&kit, 7, 2, "b");
    assert_int_equal(values_freeze(kit.values, false), 0);
    kit_write(&kit, 7, 2, "newer");
    kit_crash(&kit);
    kit_open(&kit);
    assert_int_equal(kit.found.replayed, 1);
    assert_int_equal(kit.found.rows, 2);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=a 2=newer ");
    /* And a crash before the next checkpoint changes nothing. */
    kit_crash(&kit);
    kit_open(&kit);
    assert_int_equal(kit.found.replayed, 1);
    assert_string_equal(kit_pins(&kit, 7, 0), "1=a 2=newer ");
}

static void what_is_on_disk_was_acknowledged_though_nobody_was_told(void **state)
{
    struct gw_record record = {
        .device = 7, .kind = GW_RECORD_PIN_WRITE, .bank = 'v', .pin = 1, .value = {(void *)"x", 1}};

    (void)state;
    kit_record(&kit, &record, true);
    kit_expect(&kit, 7, 1, NULL);
    kit_crash(&kit);
    kit_open(&kit);
    kit_expect(&kit, 7, 1, "x");
}

static void records_of_other_kinds_move_the_cursor_too(void **state)
{
    struct gw_record info = {.device = 7, .kind = GW_RECORD_INFO};
    struct gw_journal_position durable;

    (void)state;
    kit_record(&kit, &info, false);
    durable = kit_durable(&kit);
    kit_stop(&kit);
    expect_position(kit_cursor(&kit), durable);
    kit_open(&kit);
}

/* ---- stores of no use ---- */

static void data_path(char out[160])
{
    (void)snprintf(out, 160, "%s/data.mdb", kit.store);
}

static void remove_it(void)
{
    char path[160];

    data_path(path);
    assert_int_equal(unlink(path), 0);
}

static void empty_it(void)
{
    char path[160];

    data_path(path);
    assert_int_equal(truncate(path, 0), 0);
}

static void cut_it(void)
{
    char path[160];

    data_path(path);
    assert_int_equal(truncate(path, 8192), 0); /* its two meta pages alone */
}

static void overwrite_it(void)
{
    char path[160], page[8192];
    FILE *file;

    data_path(path);
    memset(page, 0xa5, sizeof page);
    assert_non_null(file = fopen(path, "r+b"));
    assert_int_equal(fwrite(page, 1, sizeof page, file), sizeof page);
    assert_int_equal(fclose(file), 0);
}

/* A store of another format. */
static void damage_its_head(void)
{
    static char head[] = "head", row[32] = "something else";
    MDB_val key = {.mv_size = 4, .mv_data = head}, value = {.mv_size = 32, .mv_data = row};
    struct values_store store;
    const char *why;
    MDB_txn *txn;

    assert_int_equal(values_store_open(&store, kit.store, VALUES_STORE_WRITE, &why), 0);
    assert_int_equal(mdb_txn_begin(store.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, store.head, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    values_store_close(&store);
}

static void an_unreadable_store_is_built_anew(void **state)
{
    static const struct {
        const char *what;
        void (*harm)(void);
        bool told; /* with a reason, not as if there had been none */
    } rows[] = {{"removed", remove_it, false},
                {"empty", empty_it, false},
                {"cut", cut_it, true},
                {"overwritten", overwrite_it, true},
                {"head", damage_its_head, true}};
    char value[16];

    (void)state;
    for (uint32_t pin = 0; pin < 250; pin++) { /* some pages of rows */
        (void)snprintf(value, sizeof value, "%u", pin);
        for (uint32_t device = 1; device <= 20; device++)
            kit_write(&kit, device, (uint8_t)pin, value);
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        kit_stop(&kit);
        rows[i].harm();
        kit_open(&kit);
        if (!kit.found.rebuilt || (kit.found.why[0] != '\0') != rows[i].told)
            fail_msg("%s: rebuilt %d, why \"%s\"", rows[i].what, kit.found.rebuilt, kit.found.why);
        assert_false(kit.found.incomplete);
        assert_int_equal(kit.found.replayed, 250 * 20);
        kit_expect(&kit, 1, 0, "0");
        kit_expect(&kit, 20, 249, "249");
        kit_expect(&kit, 21, 0, NULL);
    }
}

/* So few pages that all of them might be missing for a good reason. */
static void a_small_store_that_was_cut_is_built_anew(void **state)
{
    (void)state;
    kit_write(&kit, 7, 1, "a");
    kit_stop(&kit);
    cut_it();
    kit_open(&kit);
    assert_true(kit.found.rebuilt);
    assert_true(kit.found.why[0] != '\0');
    kit_expect(&kit, 7, 1, "a");
}

/* What the log no longer has would not come back, and the next start finds descriptors. */
static void a_start_without_descriptors_leaves_the_store_alone(void **state)
{
    struct gw_values_options options = {.path = kit.store,
                                        .journal_path = kit.path,
                                        .memory_bytes = 4 << 20,
                                        .checkpoint_s = kit.checkpoint_s};
    struct gw_values_recovery found;
    struct gw_values *values;
    struct rlimit limit, none;
    char path[160], why[512] = "";
    int free_fd;

    (void)state;
    kit_write(&kit, 7, 1, "a");
    kit_stop(&kit);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true((free_fd = dup(STDERR_FILENO)) > 0);
    assert_int_equal(close(free_fd), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)free_fd, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(gw_values_open(&options, &values, &found, why, sizeof why), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_null(values);
    assert_non_null(strstr(why, strerror(EMFILE)));
    data_path(path);
    assert_int_equal(access(path, F_OK), 0);
    kit_open(&kit);
    assert_false(kit.found.rebuilt);
    assert_int_equal(kit.found.replayed, 0);
    kit_expect(&kit, 7, 1, "a");
}

static void a_log_larger_than_the_memory_is_applied(void **state)
{
    enum { DEVICES = 50000 };

    (void)state;
    for (uint32_t n = 1; n <= DEVICES; n++) {
        struct gw_record record = {.device = n,
                                   .kind = GW_RECORD_PIN_WRITE,
                                   .bank = 'v',
                                   .pin = 1,
                                   .value = {(void *)"x", 1}};

        kit_record(&kit, &record, true);
    }
    kit_crash(&kit);
    kit_open(&kit);
    assert_int_equal(kit.found.replayed, DEVICES);
    assert_true(kit.found.rows > 0); /* it did not fit, so some of it is in the store */
    for (uint32_t n = 1; n <= DEVICES; n++)
        kit_expect(&kit, n, 1, "x");
}

/* ---- without us ---- */

static void remove_first_segment(void)
{
    char path[160];

    (void)snprintf(path, sizeof path, "%s/00000000000000000001.seg", kit.path);
    assert_int_equal(unlink(path), 0);
}

static void a_gap_in_the_log_is_told_and_the_rest_is_kept(void **state)
{
    struct gw_journal_position position;

    (void)state;
    kit_write(&kit, 7, 1, "stored");
    assert_int_equal(values_freeze(kit.values, false), 0);
    kit_write(&kit, 7, 2, "lost");
    kit_crash(&kit);
    kit_open(&kit); /* the log goes on in a second segment */
    kit_crash(&kit);
    /* Values were off for a while: nobody kept the log. */
    assert_int_equal(gw_values_forget_cursor(kit.path), 0);
    assert_int_equal(gw_values_forget_cursor(kit.path), 0);
    assert_int_equal(gw_cursor_read(NULL, kit.path, GW_VALUES_CURSOR, &position), -ENOENT);
    remove_first_segment();
    kit_open(&kit);
    assert_true(kit.found.incomplete);
    assert_false(kit.found.rebuilt);
    kit_expect(&kit, 7, 1, "stored");
    kit_expect(&kit, 7, 2, NULL);
    kit_write(&kit, 7, 2, "again");
    kit_expect(&kit, 7, 2, "again");
    /* It is told once. */
    kit_stop(&kit);
    kit_open(&kit);
    assert_false(kit.found.incomplete);
}

static void the_log_keeps_what_the_store_lacks(void **state)
{
    char big[60000];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (int n = 0; n < 60; n++) /* 3.6 MB in segments of 1 MiB */
        kit_write(&kit, 7, (uint8_t)n, big);
    kit_crash(&kit);
    assert_true(kit_cursor(&kit).segment > 1); /* checkpoints came along with the segments */
    kit_open(&kit);
    for (int n = 0; n < 60; n++)
        kit_expect(&kit, 7, (uint8_t)n, big);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(after_a_stop_nothing_is_read_again),
        TEST(after_a_crash_the_log_tells),
        TEST(a_full_disk_without_a_mark_is_started_on),
        TEST(only_what_the_checkpoint_lacks_is_read_again),
        TEST(what_is_on_disk_was_acknowledged_though_nobody_was_told),
        TEST(records_of_other_kinds_move_the_cursor_too),
        TEST(an_unreadable_store_is_built_anew),
        TEST(a_small_store_that_was_cut_is_built_anew),
        TEST(a_start_without_descriptors_leaves_the_store_alone),
        TEST(a_log_larger_than_the_memory_is_applied),
        TEST(a_gap_in_the_log_is_told_and_the_rest_is_kept),
        TEST(the_log_keeps_what_the_store_lacks),
    };
#undef TEST
    return cmocka_run_group_tests_name("values recovery", tests, NULL, NULL);
}
