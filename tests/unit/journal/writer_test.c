/*
 * The writer on disks that fail, rolls, the lock.
 */
#include "journal_kit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct gw_journal_position beginning = {.segment = 0};

static void begin_anew(void)
{
    kit_dir_remove(&kit_dir);
    kit_dir_make(&kit_dir);
    kit_disk_init(&kit_disk);
}

/* Everything that was reported durable is read back once and in order, whatever failed. */
static void failing_call(uint64_t n, int fail_with, bool forever, size_t short_bytes,
                         bool *reached_the_end)
{
    enum { WRITES = 8 };
    struct gw_journal_options options = {.segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN,
                                         .zero_ahead_bytes = 4096};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    struct kit_found found;
    uint64_t durable = 0;
    char why[256];

    begin_anew();
    kit_disk.fail_with = fail_with;
    kit_disk.fail_forever = forever;
    kit_disk.short_bytes = short_bytes;
    options.path = kit_dir.path;
    options.io = &kit_disk.io;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    kit_disk.calls = 0;
    kit_disk.fail_at = n;
    for (uint64_t sequence = 1; sequence <= WRITES; sequence++) {
        int err = kit_write(writer, 0, sequence, durable, 30);

        if (err != 0) { /* the disk is mended, and the same batch comes again */
            assert_int_equal(err, fail_with);
            kit_disk.fail_at = 0;
            assert_int_equal(kit_write(writer, 0, sequence, durable, 30), 0);
        }
        durable = sequence;
        (void)gw_journal_writer_prepare(writer);
        /* Readers see all that was reported (or less, while the mark cannot be written). */
        found = kit_read(&kit_dir, beginning);
        if (forever && kit_disk.fail_at != 0 && kit_disk.calls >= n)
            assert_true(found.batches <= durable);
        else
            assert_int_equal(found.batches, durable);
        assert_int_equal(found.last[0], found.batches);
        assert_true(found.in_order);
        assert_int_equal(found.damages, 0);
    }
    *reached_the_end = kit_disk.calls < n && kit_disk.fail_at != 0;
    assert_int_equal(kit_disk.syncs_after_failure, 0);
    gw_journal_writer_close(writer, false);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, WRITES);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_close(kit_writer(&kit_dir, 1 << 20, NULL, &recovery), true);
    assert_int_equal(recovery.damaged_ranges, 0);
    assert_int_equal(recovery.batches_lost, 0);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, WRITES);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
}

static void nth_call_fails_and_nothing_durable_is_lost(void **state)
{
    static const struct {
        int fail_with;
        bool forever;
        size_t short_bytes;
    } rows[] = {
        {-EIO, false, 0},    {-EIO, true, 0},     {-EIO, false, 100}, {-ENOSPC, false, 0},
        {-ENOSPC, true, 50}, {-EDQUOT, false, 0}, {-EROFS, true, 0},  {0, false, 0},
        {-EINTR, false, 0},  {-EAGAIN, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        bool reached_the_end = false;

        for (uint64_t n = 1; !reached_the_end; n++) {
            failing_call(n, rows[i].fail_with, rows[i].forever, rows[i].short_bytes,
                         &reached_the_end);
            assert_true(n < 200);
        }
    }
}

static void failed_sync_is_not_repeated_and_its_batches_move_on(void **state)
{
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 2), 0);
    kit_disk.only_data = true;
    kit_disk.calls = 0;
    kit_disk.fail_at = 2; /* the write is the first, its sync the second */
    kit_disk.fail_with = -EIO;
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.failures, 1);
    assert_int_equal(stat.last_error, -EIO);
    assert_int_equal(stat.durable.segment, 2);
    assert_int_equal(stat.segments, 2);
    assert_int_equal(kit_disk.syncs_after_failure, 0);
    gw_journal_writer_close(writer, true);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, 2);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
}

/* What no write or sync confirmed must not be readable through the live mark. */
static void readers_never_pass_what_is_durable(void **state)
{
    struct gw_journal_writer *writer;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 2), 0);
    kit_disk.only_data = true;
    kit_disk.fail_forever = true;
    kit_disk.calls = 0;
    kit_disk.fail_at = 2;
    kit_disk.fail_with = -EIO;
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), -EIO); /* written, but never synced */
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 1);
    kit_disk.fail_at = 0;
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), 0);
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 2);
    gw_journal_writer_close(writer, true);
}

static void full_segments_roll_and_keep_the_order(void **state)
{
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 100; sequence++)
        for (uint32_t lane = 0; lane < 3; lane++)
            assert_int_equal(kit_write(writer, lane, sequence, sequence - 1, 10), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_true(stat.segments > 10);
    gw_journal_writer_close(writer, true);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, 300);
    assert_int_equal(found.records, 3000);
    assert_true(found.in_order);
    assert_int_equal(found.damages, 0);
}

static void batch_larger_than_a_segment_is_still_written(void **state)
{
    struct gw_journal_writer *writer;
    struct kit_found found;

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 3; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 1000), 0);
    gw_journal_writer_close(writer, true);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.records, 3000);
    assert_int_equal(found.damages, 0);
}

/* A segment that vanished, as an operator's mistake or a lost directory entry would have it. */
static void missing_segment_is_reported_as_loss(void **state)
{
    struct gw_journal_writer *writer;
    struct kit_found found;
    char path[256];

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 60; sequence++)
        assert_int_equal(kit_write(writer, 1, sequence, sequence - 1, 20), 0);
    gw_journal_writer_close(writer, true);
    kit_segment_path(path, &kit_dir, 3);
    assert_int_equal(unlink(path), 0);
    found = kit_read(&kit_dir, beginning);
    assert_true(found.batches < 60);
    assert_int_equal(found.batches + found.batches_lost, 60);
    assert_true(found.in_order);
}

static void lock_that_is_held_gives_a_clear_error(void **state)
{
    struct gw_journal_options options = {.lock_wait_ms = 30};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer, *second;
    char why[256], pid[24];

    (void)state;
    options.path = kit_dir.path;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(gw_journal_writer_open(&options, &second, &recovery, why, sizeof(why)),
                     -EWOULDBLOCK);
    assert_null(second);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_non_null(strstr(why, pid));
    assert_non_null(strstr(why, kit_dir.path));
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0); /* undisturbed */
    gw_journal_writer_close(writer, true);
    assert_int_equal(gw_journal_writer_open(&options, &second, &recovery, why, sizeof(why)), 0);
    gw_journal_writer_close(second, true);
}

/* A child that dies without closing anything: the lock is free, and what it reported is there. */
static void killed_writer_leaves_everything_it_reported(void **state)
{
    struct gw_journal_recovery recovery;
    struct kit_found found;
    int status;
    pid_t child;

    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct gw_journal_writer *writer = kit_writer(&kit_dir, 32768, NULL, NULL);

        for (uint64_t sequence = 1; sequence <= 20; sequence++) {
            if (kit_write(writer, 0, sequence, sequence - 1, 50) != 0)
                _exit(1);
        }
        (void)kill(getpid(), 9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 20);
    gw_journal_writer_close(kit_writer(&kit_dir, 32768, NULL, &recovery), true);
    assert_false(recovery.clean);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, 20);
    assert_int_equal(found.damages, 0);
}

static void full_disk_at_start_opens_stalled_and_recovers(void **state)
{
    struct gw_journal_options options = {.path = kit_dir.path};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char why[256];

    (void)state;
    gw_journal_writer_close(kit_writer(&kit_dir, 1 << 20, NULL, NULL), true);
    kit_disk.fail_with = -ENOSPC;
    kit_disk.fail_forever = true;
    kit_disk.only_data = true; /* opening files works, writing does not */
    kit_disk.fail_at = 2;      /* from the sync of the old segment on */
    options.io = &kit_disk.io;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    assert_true(recovery.stalled);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), -ENOSPC);
    kit_disk.fail_at = 0;
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 1);
}

/*
 * Killed between a sync and its mark, and started again where no segment can be begun: readers
 * (the last values are one) see all that recovery has found, or they would miss it for good.
 */
static void stalled_start_shows_readers_what_was_recovered(void **state)
{
    struct gw_journal_options options = {.seed = 0};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char path[256], why[256];
    uint8_t *mark;
    size_t size;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/mark", kit_dir.path);
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 2), 0);
    mark = kit_file_read(path, &size);
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), 0);
    gw_journal_writer_close(writer, false);
    kit_file_write(path, mark, size);
    free(mark);

    kit_disk.io.rename = kit_rename_has_no_room;
    options.path = kit_dir.path;
    options.io = &kit_disk.io;
    for (int life = 0; life < 2; life++) {
        assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
        assert_true(recovery.stalled);
        assert_int_equal(recovery.batches, 2);
        assert_int_equal(kit_read(&kit_dir, beginning).batches, 2);
        gw_journal_writer_close(writer, false);
    }
}

/* A log of three batches whose mark a power cut took: it is never synced. */
static void leave_without_a_mark(void)
{
    struct gw_journal_writer *writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    char path[256];

    for (uint64_t sequence = 1; sequence <= 3; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 1), 0);
    gw_journal_writer_close(writer, false);
    (void)snprintf(path, sizeof path, "%s/mark", kit_dir.path);
    kit_file_write(path, "", 0);
}

static struct gw_journal_writer *open_stalled(void)
{
    struct gw_journal_options options = {
        .path = kit_dir.path, .segment_bytes = 1 << 20, .io = &kit_disk.io};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char why[256];

    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    assert_true(recovery.stalled);
    return writer;
}

/* While nothing can be written, a reader sees all that was found. */
static void stalled_start_shows_what_was_recovered(void **state)
{
    struct gw_journal_writer *writer;

    (void)state;
    leave_without_a_mark();
    kit_disk.fail_with = -ENOSPC;
    kit_disk.only_data = true;
    kit_disk.fail_at = 3; /* the header of the new segment */
    writer = open_stalled();
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 3);
    gw_journal_writer_close(writer, false);
}

/* As a kernel does whose disk did not take a page. */
static int sync_of_the_mark_loses_it(void *context, int fd)
{
    enum { MARK_BYTES = 48 };

    (void)context;
    if (gw_journal_io_system.size(NULL, fd) != MARK_BYTES)
        return gw_journal_io_system.fdatasync(NULL, fd);
    assert_int_equal(ftruncate(fd, 0), 0);
    return -EIO;
}

/* The same, and the mark that is written then does not stay: it is written again. */
static void mark_that_a_failed_sync_took_is_late(void **state)
{
    struct gw_journal_writer *writer;

    (void)state;
    leave_without_a_mark();
    kit_disk.io.rename = kit_rename_has_no_room;
    kit_disk.io.fdatasync = sync_of_the_mark_loses_it;
    writer = open_stalled();
    kit_disk.io.fdatasync = gw_journal_io_system.fdatasync;
    (void)gw_journal_writer_prepare(writer);
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 3);
    gw_journal_writer_close(writer, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(nth_call_fails_and_nothing_durable_is_lost),
        KIT_TEST(failed_sync_is_not_repeated_and_its_batches_move_on),
        KIT_TEST(readers_never_pass_what_is_durable),
        KIT_TEST(full_segments_roll_and_keep_the_order),
        KIT_TEST(batch_larger_than_a_segment_is_still_written),
        KIT_TEST(missing_segment_is_reported_as_loss),
        KIT_TEST(lock_that_is_held_gives_a_clear_error),
        KIT_TEST(killed_writer_leaves_everything_it_reported),
        KIT_TEST(full_disk_at_start_opens_stalled_and_recovers),
        KIT_TEST(stalled_start_shows_readers_what_was_recovered),
        KIT_TEST(stalled_start_shows_what_was_recovered),
        KIT_TEST(mark_that_a_failed_sync_took_is_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
