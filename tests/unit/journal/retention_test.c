/*
 * What goes and what stays: retention by size, by age and for readers.
 */
#include "journal_kit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct gw_journal_position beginning = {.segment = 0};

static struct gw_journal_writer *bounded_writer(uint64_t bytes_max, uint64_t keep_s)
{
    struct gw_journal_options options = {.path = kit_dir.path,
                                         .segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN,
                                         .bytes_max = bytes_max,
                                         .keep_s = keep_s,
                                         .io = &kit_disk.io};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char why[256];

    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    return writer;
}

static void without_cursors_the_oldest_segments_go(void **state)
{
    enum { BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;

    (void)state;
    writer = bounded_writer(BYTES_MAX, 0);
    for (uint64_t sequence = 1; sequence <= 200; sequence++) {
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
        gw_journal_writer_stat(writer, &stat);
        assert_true(stat.journal_bytes <= BYTES_MAX);
    }
    assert_true(stat.segments_deleted > 0);
    gw_journal_writer_close(writer, true);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.last[0], 200);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
    /* Who resumes where nothing is left is told. */
    found = kit_read(&kit_dir, (struct gw_journal_position){.segment = 1, .offset = 8192});
    assert_int_equal(found.deletions, 1);
}

/* The smallest log that may be asked for, and a newest segment that is longer than half of it. */
static void long_segment_makes_room_for_its_successor(void **state)
{
    enum { SEGMENT = GW_JOURNAL_SEGMENT_BYTES_MIN, BYTES_MAX = 2 * SEGMENT };
    static const struct gw_journal_position needed = {.segment = 1, .offset = GW_SEGMENT_DATA_AT};
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    uint64_t sequence = 1, step = 0, before = GW_SEGMENT_DATA_AT;
    struct stat closed;
    char path[256];

    (void)state;
    /* Segments were longer in the life before. */
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    while (sequence < 50) {
        assert_int_equal(kit_write(writer, 7, sequence, sequence - 1, 20), 0);
        sequence++;
    }
    gw_journal_writer_close(writer, true);
    assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "slow", needed), 0);
    writer = bounded_writer(BYTES_MAX, 0);
    assert_int_equal(kit_write(writer, 7, 1, 0, 1), -EDQUOT);
    assert_int_equal(gw_cursor_delete(NULL, kit_dir.path, "slow"), 0);
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
    kit_segment_path(path, &kit_dir, 2);
    assert_int_equal(lstat(path, &closed), 0);
    assert_true(closed.st_size > SEGMENT);
    writer = bounded_writer(BYTES_MAX, 0);
    assert_int_equal(kit_write(writer, 7, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
}

/* A name that is not on the disk and cannot be taken back: who came later must not go before it. */
static void segment_that_was_given_up_goes_first(void **state)
{
    enum { BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat = {.writes = 0};
    struct gw_journal_io sound;
    struct kit_found found;
    uint64_t sequence = 1;
    char orphan[256], next[256];

    (void)state;
    kit_segment_path(orphan, &kit_dir, 2);
    kit_segment_path(next, &kit_dir, 3);
    sound = kit_disk.io;
    writer = bounded_writer(BYTES_MAX, 0);
    kit_disk.io.unlink = kit_unlink_fails;
    kit_disk.io.fsync = kit_fsync_of_directories_fails;
    while (kit_write(writer, 0, sequence, sequence - 1, 20) == 0)
        sequence++;
    assert_int_equal(access(orphan, F_OK), 0);
    /* A reader that has been there needs nothing in front of it. */
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, sequence - 1);
    assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "fast",
                                      (struct gw_journal_position){2, GW_SEGMENT_DATA_AT}),
                     0);
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.held_bytes, 0);
    assert_int_equal(gw_cursor_delete(NULL, kit_dir.path, "fast"), 0);
    kit_disk.io.fsync = sound.fsync;
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), -EIO);
    assert_int_equal(access(next, F_OK), -1);
    kit_disk.io = sound;
    while (stat.segments_deleted < 3) {
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
        sequence++;
        gw_journal_writer_stat(writer, &stat);
    }
    assert_int_equal(access(orphan, F_OK), -1);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.last[0], sequence - 1);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_close(writer, true);
}

/* What was behind the ends of segments is there again: nobody had synced that it was given back. */
static void tails_that_came_back_are_no_reason_to_stall(void **state)
{
    enum { LIVES = 3, BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    static const struct gw_journal_position first = {.segment = 1, .offset = GW_SEGMENT_DATA_AT};
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;
    char path[256];

    (void)state;
    for (uint32_t life = 1; life <= LIVES; life++) {
        writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
        assert_int_equal(kit_write(writer, life, 1, 0, 1), 0);
        gw_journal_writer_close(writer, true);
    }
    assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "slow", first), 0);
    for (uint32_t number = 1; number < LIVES; number++) {
        kit_segment_path(path, &kit_dir, number);
        assert_int_equal(truncate(path, BYTES_MAX), 0);
    }
    writer = bounded_writer(BYTES_MAX, 0);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_true(stat.journal_bytes <= BYTES_MAX);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, LIVES + 1);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_close(writer, true);
}

static void segment_that_a_cursor_needs_stalls_the_writer(void **state)
{
    enum { BYTES_MAX = 4 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_found found;
    uint64_t sequence = 1;

    (void)state;
    writer = bounded_writer(BYTES_MAX, 1);
    assert_int_equal(kit_write(writer, 0, sequence++, 0, 20), 0);
    assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "slow",
                                      (struct gw_journal_position){.segment = 1, .offset = 8192}),
                     0);
    while (kit_write(writer, 0, sequence, sequence - 1, 20) == 0) {
        sequence++;
        kit_disk.now_us += 10000000; /* age makes no difference to a cursor */
        assert_true(sequence < 1000);
    }
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), -EDQUOT);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.segments_deleted, 0);
    assert_string_equal(stat.reader, "slow");
    assert_int_equal(stat.held_bytes, stat.journal_bytes); /* nothing is written to at the moment */
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, sequence - 1);
    /* The reader catches up and commits: the writer goes on without a hand. */
    assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "slow", found.after), 0);
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    found = kit_read(&kit_dir, found.after);
    assert_int_equal(found.batches, 1);
    assert_int_equal(found.last[0], sequence);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.held_bytes, 0);
    gw_journal_writer_close(writer, true);
}

static void old_segments_go_by_age_when_nobody_needs_them(void **state)
{
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;

    (void)state;
    writer = bounded_writer(0, 60);
    for (uint64_t sequence = 1; sequence <= 50; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    kit_disk.now_us += 59000000;
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.segments_deleted, 0);
    kit_disk.now_us += 2000000;
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_true(stat.segments_deleted > 0);
    assert_int_equal(stat.segments, 1);
    gw_journal_writer_close(writer, true);
}

static void unreadable_cursor_holds_everything(void **state)
{
    enum { BYTES_MAX = 3 * GW_JOURNAL_SEGMENT_BYTES_MIN };
    struct gw_journal_writer *writer;
    struct gw_journal_position position;
    char path[256];
    uint64_t sequence = 1;

    (void)state;
    writer = bounded_writer(BYTES_MAX, 0);
    assert_int_equal(
        gw_cursor_commit(NULL, kit_dir.path, "c", (struct gw_journal_position){9, 8192}), 0);
    (void)snprintf(path, sizeof(path), "%s/cursors/c", kit_dir.path);
    kit_file_write(path, "tollgate-cursor 1 9 8193 0000000000000000\n", 42);
    assert_int_equal(gw_cursor_read(NULL, kit_dir.path, "c", &position), -EBADMSG);
    while (kit_write(writer, 0, sequence, sequence - 1, 20) == 0) {
        sequence++;
        assert_true(sequence < 1000);
    }
    assert_int_equal(kit_read(&kit_dir, beginning).batches, sequence - 1);
    assert_int_equal(gw_cursor_delete(NULL, kit_dir.path, "c"), 0);
    assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    gw_journal_writer_close(writer, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(without_cursors_the_oldest_segments_go),
        KIT_TEST(long_segment_makes_room_for_its_successor),
        KIT_TEST(segment_that_was_given_up_goes_first),
        KIT_TEST(tails_that_came_back_are_no_reason_to_stall),
        KIT_TEST(segment_that_a_cursor_needs_stalls_the_writer),
        KIT_TEST(old_segments_go_by_age_when_nobody_needs_them),
        KIT_TEST(unreadable_cursor_holds_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
