/*
 * The writer on disks that fail, rolls, retention, the lock.
 */
#include "journal_kit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct gw_journal_position beginning = {.segment = 0};

/* Everything that was reported durable is read back once and in order, whatever failed. */
static void failing_call(uint64_t n, int fail_with, bool forever, size_t short_bytes,
                         bool *reached_the_end)
{
    enum { WRITES = 8 };
    struct gw_journal_options options = {.segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN,
                                         .zero_ahead_bytes = 4096};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    struct kit_disk disk;
    struct kit_dir dir;
    struct kit_found found;
    uint64_t durable = 0;
    char why[256];

    kit_dir_make(&dir);
    kit_disk_init(&disk);
    disk.fail_with = fail_with;
    disk.fail_forever = forever;
    disk.short_bytes = short_bytes;
    options.path = dir.path;
    options.io = &disk.io;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    disk.calls = 0;
    disk.fail_at = n;
    for (uint64_t sequence = 1; sequence <= WRITES; sequence++) {
        int err = kit_write(writer, 0, sequence, durable, 30);

        if (err != 0) { /* the disk is mended, and the same batch comes again */
            assert_int_equal(err, fail_with);
            disk.fail_at = 0;
            assert_int_equal(kit_write(writer, 0, sequence, durable, 30), 0);
        }
        durable = sequence;
        (void)gw_journal_writer_prepare(writer);
        /* Readers see all that was reported (or less, while the mark cannot be written). */
        found = kit_read(&dir, beginning);
        if (forever && disk.fail_at != 0 && disk.calls >= n)
            assert_true(found.batches <= durable);
        else
            assert_int_equal(found.batches, durable);
        assert_int_equal(found.last[0], found.batches);
        assert_true(found.in_order);
        assert_int_equal(found.damages, 0);
    }
    *reached_the_end = disk.calls < n && disk.fail_at != 0;
    assert_int_equal(disk.syncs_after_failure, 0);
    gw_journal_writer_close(writer, false);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, WRITES);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_close(kit_writer(&dir, 1 << 20, NULL, &recovery), true);
    assert_int_equal(recovery.damaged_ranges, 0);
    assert_int_equal(recovery.batches_lost, 0);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, WRITES);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
    kit_dir_remove(&dir);
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
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    writer = kit_writer(&dir, 1 << 20, &disk.io, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 2), 0);
    disk.only_data = true;
    disk.calls = 0;
    disk.fail_at = 2; /* the write is the first, its sync the second */
    disk.fail_with = -EIO;
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.failures, 1);
    assert_int_equal(stat.last_error, -EIO);
    assert_int_equal(stat.durable.segment, 2);
    assert_int_equal(stat.segments, 2);
    assert_int_equal(disk.syncs_after_failure, 0);
    gw_journal_writer_close(writer, true);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, 2);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
    kit_dir_remove(&dir);
}

/* What no write or sync confirmed must not be readable through the live mark. */
static void readers_never_pass_what_is_durable(void **state)
{
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    writer = kit_writer(&dir, 1 << 20, &disk.io, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 2), 0);
    disk.only_data = true;
    disk.fail_forever = true;
    disk.calls = 0;
    disk.fail_at = 2;
    disk.fail_with = -EIO;
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), -EIO); /* written, but never synced */
    assert_int_equal(kit_read(&dir, beginning).batches, 1);
    disk.fail_at = 0;
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), 0);
    assert_int_equal(kit_read(&dir, beginning).batches, 2);
    gw_journal_writer_close(writer, true);
    kit_dir_remove(&dir);
}

static void full_segments_roll_and_keep_the_order(void **state)
{
    struct kit_dir dir;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;

    (void)state;
    kit_dir_make(&dir);
    writer = kit_writer(&dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 100; sequence++)
        for (uint32_t lane = 0; lane < 3; lane++)
            assert_int_equal(kit_write(writer, lane, sequence, sequence - 1, 10), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_true(stat.segments > 10);
    gw_journal_writer_close(writer, true);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, 300);
    assert_int_equal(found.records, 3000);
    assert_true(found.in_order);
    assert_int_equal(found.damages, 0);
    kit_dir_remove(&dir);
}

static void batch_larger_than_a_segment_is_still_written(void **state)
{
    struct kit_dir dir;
    struct gw_journal_writer *writer;
    struct kit_found found;

    (void)state;
    kit_dir_make(&dir);
    writer = kit_writer(&dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 3; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 1000), 0);
    gw_journal_writer_close(writer, true);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.records, 3000);
    assert_int_equal(found.damages, 0);
    kit_dir_remove(&dir);
}

/* A segment that vanished, as an operator's mistake or a lost directory entry would have it. */
static void missing_segment_is_reported_as_loss(void **state)
{
    struct kit_dir dir;
    struct gw_journal_writer *writer;
    struct kit_found found;
    char path[256];

    (void)state;
    kit_dir_make(&dir);
    writer = kit_writer(&dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 60; sequence++)
        assert_int_equal(kit_write(writer, 1, sequence, sequence - 1, 20), 0);
    gw_journal_writer_close(writer, true);
    kit_segment_path(path, &dir, 3);
    assert_int_equal(unlink(path), 0);
    found = kit_read(&dir, beginning);
    assert_true(found.batches < 60);
    assert_int_equal(found.batches + found.batches_lost, 60);
    assert_true(found.in_order);
    kit_dir_remove(&dir);
}

static struct gw_journal_writer *bounded_writer(const struct kit_dir *dir,
                                                const struct kit_disk *disk, uint64_t bytes_max,
                                                uint64_t keep_s)
{
    struct gw_journal_options options = {.path = dir->path,
                                         .segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN,
                                         .bytes_max = bytes_max,
                                         .keep_s = keep_s,
                                         .io = &disk->io};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char why[256];

    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    return writer;
}

static void without_cursors_the_oldest_segments_go(void **state)
{
    enum { BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    writer = bounded_writer(&dir, &disk, BYTES_MAX, 0);
    for (uint64_t sequence = 1; sequence <= 200; sequence++) {
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
        gw_journal_writer_stat(writer, &stat);
        assert_true(stat.journal_bytes <= BYTES_MAX);
    }
    assert_true(stat.segments_deleted > 0);
    gw_journal_writer_close(writer, true);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.last[0], 200);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
    /* Who resumes where nothing is left is told. */
    found = kit_read(&dir, (struct gw_journal_position){.segment = 1, .offset = 8192});
    assert_int_equal(found.deletions, 1);
    kit_dir_remove(&dir);
}

/* The smallest log that may be asked for, and a newest segment that is longer than half of it. */
static void long_segment_makes_room_for_its_successor(void **state)
{
    enum { SEGMENT = GW_JOURNAL_SEGMENT_BYTES_MIN, BYTES_MAX = 2 * SEGMENT };
    static const struct gw_journal_position needed = {.segment = 1, .offset = GW_SEGMENT_DATA_AT};
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    uint64_t sequence = 1, step = 0, before = GW_SEGMENT_DATA_AT;
    struct stat closed;
    char path[256];

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    /* Segments were longer in the life before. */
    writer = kit_writer(&dir, 1 << 20, NULL, NULL);
    while (sequence < 50) {
        assert_int_equal(kit_write(writer, 7, sequence, sequence - 1, 20), 0);
        sequence++;
    }
    gw_journal_writer_close(writer, true);
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "slow", needed), 0);
    writer = bounded_writer(&dir, &disk, BYTES_MAX, 0);
    assert_int_equal(kit_write(writer, 7, 1, 0, 1), -EDQUOT);
    assert_int_equal(gw_cursor_delete(NULL, dir.path, "slow"), 0);
    assert_int_equal(kit_write(writer, 7, 1, 0, 1), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.segments, 1);
    assert_true(stat.journal_bytes <= BYTES_MAX);
    /* Full to the last batch; the closing one, which names eight lanes, is longer than the rest. */
    for (sequence = 2; stat.durable.offset + step <= SEGMENT; sequence++) {
        assert_int_equal(kit_write(writer, 7, sequence, sequence - 1, 1), 0);
        gw_journal_writer_stat(writer, &stat);
        step = stat.durable.offset - before;
        before = stat.durable.offset;
    }
    assert_int_equal(stat.durable.segment, 2);
    gw_journal_writer_close(writer, true);
    kit_segment_path(path, &dir, 2);
    assert_int_equal(lstat(path, &closed), 0);
    assert_true(closed.st_size > SEGMENT);
    writer = bounded_writer(&dir, &disk, BYTES_MAX, 0);
    assert_int_equal(kit_write(writer, 7, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    kit_dir_remove(&dir);
}

/* A name that is not on the disk and cannot be taken back: who came later must not go before it. */
static void segment_that_was_given_up_goes_first(void **state)
{
    enum { BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat = {.writes = 0};
    struct gw_journal_io sound;
    struct kit_found found;
    uint64_t sequence = 1;
    char orphan[256], next[256];

    (void)state;
    kit_dir_make(&dir);
    kit_segment_path(orphan, &dir, 2);
    kit_segment_path(next, &dir, 3);
    kit_disk_init(&disk);
    sound = disk.io;
    writer = bounded_writer(&dir, &disk, BYTES_MAX, 0);
    disk.io.unlink = kit_unlink_fails;
    disk.io.fsync = kit_fsync_of_directories_fails;
    while (kit_write(writer, 0, sequence, sequence - 1, 20) == 0)
        sequence++;
    assert_int_equal(access(orphan, F_OK), 0);
    /* A reader that has been there needs nothing in front of it. */
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, sequence - 1);
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "fast",
                                      (struct gw_journal_position){2, GW_SEGMENT_DATA_AT}),
                     0);
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.held_bytes, 0);
    assert_int_equal(gw_cursor_delete(NULL, dir.path, "fast"), 0);
    disk.io.fsync = sound.fsync;
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), -EIO);
    assert_int_equal(access(next, F_OK), -1);
    disk.io = sound;
    while (stat.segments_deleted < 3) {
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
        sequence++;
        gw_journal_writer_stat(writer, &stat);
    }
    assert_int_equal(access(orphan, F_OK), -1);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.last[0], sequence - 1);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_close(writer, true);
    kit_dir_remove(&dir);
}

/* What was behind the ends of segments is there again: nobody had synced that it was given back. */
static void tails_that_came_back_are_no_reason_to_stall(void **state)
{
    enum { LIVES = 3, BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    static const struct gw_journal_position first = {.segment = 1, .offset = GW_SEGMENT_DATA_AT};
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;
    char path[256];

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    for (uint32_t life = 1; life <= LIVES; life++) {
        writer = kit_writer(&dir, 1 << 20, NULL, NULL);
        assert_int_equal(kit_write(writer, life, 1, 0, 1), 0);
        gw_journal_writer_close(writer, true);
    }
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "slow", first), 0);
    for (uint32_t number = 1; number < LIVES; number++) {
        kit_segment_path(path, &dir, number);
        assert_int_equal(truncate(path, BYTES_MAX), 0);
    }
    writer = bounded_writer(&dir, &disk, BYTES_MAX, 0);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_true(stat.journal_bytes <= BYTES_MAX);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, LIVES + 1);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_close(writer, true);
    kit_dir_remove(&dir);
}

static void segment_that_a_cursor_needs_stalls_the_writer(void **state)
{
    enum { BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;
    uint64_t sequence = 1;

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    writer = bounded_writer(&dir, &disk, BYTES_MAX, 1);
    assert_int_equal(kit_write(writer, 0, sequence++, 0, 20), 0);
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "slow",
                                      (struct gw_journal_position){.segment = 1, .offset = 8192}),
                     0);
    while (kit_write(writer, 0, sequence, sequence - 1, 20) == 0) {
        sequence++;
        disk.now_us += 10000000; /* age makes no difference to a cursor */
        assert_true(sequence < 1000);
    }
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), -EDQUOT);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.segments_deleted, 0);
    assert_string_equal(stat.reader, "slow");
    assert_int_equal(stat.held_bytes, stat.journal_bytes); /* nothing is written to at the moment */
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, sequence - 1);
    /* The reader catches up and commits: the writer goes on without a hand. */
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "slow", found.after), 0);
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    found = kit_read(&dir, found.after);
    assert_int_equal(found.batches, 1);
    assert_int_equal(found.last[0], sequence);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.held_bytes, 0);
    gw_journal_writer_close(writer, true);
    kit_dir_remove(&dir);
}

static void old_segments_go_by_age_when_nobody_needs_them(void **state)
{
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    writer = bounded_writer(&dir, &disk, 0, 60);
    for (uint64_t sequence = 1; sequence <= 50; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    disk.now_us += 59000000;
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.segments_deleted, 0);
    disk.now_us += 2000000;
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_true(stat.segments_deleted > 0);
    assert_int_equal(stat.segments, 1);
    gw_journal_writer_close(writer, true);
    kit_dir_remove(&dir);
}

static void unreadable_cursor_holds_everything(void **state)
{
    enum { BYTES_MAX = 3 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_writer *writer;
    struct gw_journal_position position;
    char path[256];
    uint64_t sequence = 1;

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    writer = bounded_writer(&dir, &disk, BYTES_MAX, 0);
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "c", (struct gw_journal_position){9, 8192}),
                     0);
    (void)snprintf(path, sizeof(path), "%s/cursors/c", dir.path);
    kit_file_write(path, "tollgate-cursor 1 9 8193 0000000000000000\n", 42);
    assert_int_equal(gw_cursor_read(NULL, dir.path, "c", &position), -EBADMSG);
    while (kit_write(writer, 0, sequence, sequence - 1, 20) == 0) {
        sequence++;
        assert_true(sequence < 1000);
    }
    assert_int_equal(kit_read(&dir, beginning).batches, sequence - 1);
    assert_int_equal(gw_cursor_delete(NULL, dir.path, "c"), 0);
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    gw_journal_writer_close(writer, true);
    kit_dir_remove(&dir);
}

static void lock_that_is_held_gives_a_clear_error(void **state)
{
    struct kit_dir dir;
    struct gw_journal_options options = {.lock_wait_ms = 30};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer, *second;
    char why[256], pid[24];

    (void)state;
    kit_dir_make(&dir);
    options.path = dir.path;
    writer = kit_writer(&dir, 1 << 20, NULL, NULL);
    assert_int_equal(gw_journal_writer_open(&options, &second, &recovery, why, sizeof(why)),
                     -EWOULDBLOCK);
    assert_null(second);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_non_null(strstr(why, pid));
    assert_non_null(strstr(why, dir.path));
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0); /* undisturbed */
    gw_journal_writer_close(writer, true);
    assert_int_equal(gw_journal_writer_open(&options, &second, &recovery, why, sizeof(why)), 0);
    gw_journal_writer_close(second, true);
    kit_dir_remove(&dir);
}

/* A child that dies without closing anything: the lock is free, and what it reported is there. */
static void killed_writer_leaves_everything_it_reported(void **state)
{
    struct kit_dir dir;
    struct gw_journal_recovery recovery;
    struct kit_found found;
    int status;
    pid_t child;

    (void)state;
    kit_dir_make(&dir);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct gw_journal_writer *writer = kit_writer(&dir, 32768, NULL, NULL);

        for (uint64_t sequence = 1; sequence <= 20; sequence++) {
            if (kit_write(writer, 0, sequence, sequence - 1, 50) != 0)
                _exit(1);
        }
        (void)kill(getpid(), 9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(kit_read(&dir, beginning).batches, 20);
    gw_journal_writer_close(kit_writer(&dir, 32768, NULL, &recovery), true);
    assert_false(recovery.clean);
    found = kit_read(&dir, beginning);
    assert_int_equal(found.batches, 20);
    assert_int_equal(found.damages, 0);
    kit_dir_remove(&dir);
}

static void full_disk_at_start_opens_stalled_and_recovers(void **state)
{
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_options options = {.path = dir.path};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char why[256];

    (void)state;
    kit_dir_make(&dir);
    gw_journal_writer_close(kit_writer(&dir, 1 << 20, NULL, NULL), true);
    kit_disk_init(&disk);
    disk.fail_with = -ENOSPC;
    disk.fail_forever = true;
    disk.only_data = true; /* opening files works, writing does not */
    disk.fail_at = 3;      /* the pid and the sync of the old segment pass */
    options.io = &disk.io;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    assert_true(recovery.stalled);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), -ENOSPC);
    disk.fail_at = 0;
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    assert_int_equal(kit_read(&dir, beginning).batches, 1);
    kit_dir_remove(&dir);
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
    struct kit_disk disk;
    struct kit_dir dir;
    char path[256], why[256];
    uint8_t *mark;
    size_t size;

    (void)state;
    kit_dir_make(&dir);
    (void)snprintf(path, sizeof(path), "%s/mark", dir.path);
    writer = kit_writer(&dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 2), 0);
    mark = kit_file_read(path, &size);
    assert_int_equal(kit_write(writer, 0, 2, 1, 2), 0);
    gw_journal_writer_close(writer, false);
    kit_file_write(path, mark, size);
    free(mark);

    kit_disk_init(&disk);
    disk.io.rename = kit_rename_has_no_room;
    options.path = dir.path;
    options.io = &disk.io;
    for (int life = 0; life < 2; life++) {
        assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
        assert_true(recovery.stalled);
        assert_int_equal(recovery.batches, 2);
        assert_int_equal(kit_read(&dir, beginning).batches, 2);
        gw_journal_writer_close(writer, false);
    }
    kit_dir_remove(&dir);
}

/* While nothing can be written, a reader sees all that was found. */
static void stalled_start_shows_what_was_recovered(void **state)
{
    struct kit_dir dir;
    struct kit_disk disk;
    struct gw_journal_options options = {.path = dir.path, .segment_bytes = 1 << 20};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char path[256], why[256];

    (void)state;
    kit_dir_make(&dir);
    writer = kit_writer(&dir, 1 << 20, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 3; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 1), 0);
    gw_journal_writer_close(writer, false);
    (void)snprintf(path, sizeof path, "%s/mark", dir.path);
    kit_file_write(path, "", 0); /* a power cut took it: it is never synced */
    kit_disk_init(&disk);
    disk.fail_with = -ENOSPC;
    disk.only_data = true;
    disk.fail_at = 3; /* the header of the new segment */
    options.io = &disk.io;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    assert_true(recovery.stalled);
    assert_int_equal(kit_read(&dir, beginning).batches, 3);
    gw_journal_writer_close(writer, false);
    kit_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nth_call_fails_and_nothing_durable_is_lost),
        cmocka_unit_test(failed_sync_is_not_repeated_and_its_batches_move_on),
        cmocka_unit_test(readers_never_pass_what_is_durable),
        cmocka_unit_test(full_segments_roll_and_keep_the_order),
        cmocka_unit_test(batch_larger_than_a_segment_is_still_written),
        cmocka_unit_test(missing_segment_is_reported_as_loss),
        cmocka_unit_test(without_cursors_the_oldest_segments_go),
        cmocka_unit_test(long_segment_makes_room_for_its_successor),
        cmocka_unit_test(segment_that_was_given_up_goes_first),
        cmocka_unit_test(tails_that_came_back_are_no_reason_to_stall),
        cmocka_unit_test(segment_that_a_cursor_needs_stalls_the_writer),
        cmocka_unit_test(old_segments_go_by_age_when_nobody_needs_them),
        cmocka_unit_test(unreadable_cursor_holds_everything),
        cmocka_unit_test(lock_that_is_held_gives_a_clear_error),
        cmocka_unit_test(killed_writer_leaves_everything_it_reported),
        cmocka_unit_test(full_disk_at_start_opens_stalled_and_recovers),
        cmocka_unit_test(stalled_start_shows_readers_what_was_recovered),
        cmocka_unit_test(stalled_start_shows_what_was_recovered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
