/*
 * Segments that were begun and given up before anything in them was durable: what readers make of
 * them, in whose midst they come and go, and how many are left.
 */
#include "journal_kit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct gw_journal_position beginning = {.segment = 0};

static struct gw_journal_reader *reader_of(const struct kit_dir *dir)
{
    struct gw_journal_reader_options options = {.path = dir->path};
    struct gw_journal_reader *reader;
    char why[256];

    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof(why)), 0);
    return reader;
}

static struct gw_journal_position end_of(struct gw_journal_reader *reader)
{
    struct gw_journal_item item;

    assert_int_equal(gw_journal_reader_next(reader, &item), 0);
    assert_int_equal(item.kind, GW_JOURNAL_END);
    return item.position;
}

static bool is_there(const struct kit_dir *dir, uint64_t number)
{
    char path[256];

    kit_segment_path(path, dir, number);
    return access(path, F_OK) == 0;
}

/*
 * One batch is durable, the sync of the next fails, and the segment that was to take it has its
 * name, but not for certain. `found` is what a reader made of it that stands there now.
 */
static struct gw_journal_reader *reader_beside_an_orphan(const struct kit_dir *dir,
                                                         struct kit_disk *disk,
                                                         struct gw_journal_writer **writer,
                                                         struct kit_found *found)
{
    struct gw_journal_reader *reader;

    kit_disk_init(disk);
    *writer = kit_writer(dir, 1 << 20, &disk->io, NULL);
    assert_int_equal(kit_write(*writer, 0, 1, 0, 3), 0);
    disk->io.unlink = kit_unlink_fails;
    disk->io.fsync = kit_fsync_of_directories_fails;
    disk->only_data = true;
    disk->fail_with = -EIO;
    disk->fail_at = disk->calls + 2; /* written, and not synced */
    assert_int_equal(kit_write(*writer, 0, 2, 1, 3), -EIO);
    assert_true(is_there(dir, 2));
    *found = (struct kit_found){.in_order = true};
    reader = reader_of(dir);
    kit_drain(reader, found);
    assert_int_equal(found->batches, 1);
    return reader;
}

static void kill_and_lose_the_orphan(const struct kit_dir *dir, struct kit_disk *disk,
                                     struct gw_journal_writer *writer)
{
    char path[256];

    gw_journal_writer_close(writer, false);
    kit_segment_path(path, dir, 2);
    assert_int_equal(unlink(path), 0);
    kit_disk_init(disk);
}

/* A reader that was in it, went away with its cursor, and comes back when it is gone. */
static void cursor_is_good_when_the_segment_is_gone(void **state)
{
    struct kit_found found;
    struct gw_journal_writer *writer;
    struct gw_journal_reader *reader;
    struct gw_journal_position cursor;

    (void)state;
    reader = reader_beside_an_orphan(&kit_dir, &kit_disk, &writer, &found);
    cursor = end_of(reader);
    gw_journal_reader_close(reader);
    kill_and_lose_the_orphan(&kit_dir, &kit_disk, writer);
    kit_disk.io.rename = kit_rename_has_no_room; /* the next life has no segment either */
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    found = kit_read(&kit_dir, cursor);
    assert_int_equal(found.damages, 0);
    assert_int_equal(found.batches, 1); /* that nobody was told of, and recovery has found */
    assert_int_equal(found.last[0], 2);
    kit_disk_init(&kit_disk);
    assert_int_equal(kit_write(writer, 0, 1, 0, 3), 0);
    found = kit_read(&kit_dir, cursor);
    assert_int_equal(found.damages, 0);
    assert_int_equal(found.batches, 2);
    gw_journal_writer_close(writer, true);
}

/* The same with a reader that stays: the next life begins another segment of that number. */
static void reader_that_stays_reads_the_next_one_of_that_number(void **state)
{
    struct kit_found found;
    struct gw_journal_writer *writer;
    struct gw_journal_reader *reader;

    (void)state;
    reader = reader_beside_an_orphan(&kit_dir, &kit_disk, &writer, &found);
    assert_false(gw_journal_reader_wait(reader, 0));
    kill_and_lose_the_orphan(&kit_dir, &kit_disk, writer);
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    assert_true(is_there(&kit_dir, 2));
    kit_drain(reader, &found);
    assert_int_equal(found.batches, 2); /* as above */
    found.last[0] = 0;                  /* the next epoch counts from 1 */
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 3), 0);
        assert_true(gw_journal_reader_wait(reader, 0));
        kit_drain(reader, &found);
        assert_int_equal(found.batches, 2 + sequence);
        assert_false(gw_journal_reader_wait(reader, 0));
    }
    assert_true(found.in_order);
    assert_int_equal(found.damages, 0);
    gw_journal_reader_close(reader);
    gw_journal_writer_close(writer, true);
}

static int fdatasync_fails(void *context, int fd)
{
    (void)context;
    (void)fd;
    return -EIO;
}

/* A disk that takes segments and syncs nothing in them, for as many tries as a night has. */
static void tries_leave_no_segments_behind(void **state)
{
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct gw_journal_reader *reader;
    struct kit_found found = {.in_order = true};
    struct gw_journal_position end;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 3), 0);
    reader = reader_of(&kit_dir);
    kit_drain(reader, &found);
    end = end_of(reader);
    kit_disk.io.fdatasync = fdatasync_fails;
    for (int tries = 0; tries < 100; tries++) {
        assert_int_equal(kit_write(writer, 0, 2, 1, 3), -EIO);
        gw_journal_writer_stat(writer, &stat);
        assert_int_equal(stat.segments, 1);
        assert_memory_equal(&stat.durable, &end, sizeof end);
        kit_drain(reader, &found);
        end = end_of(reader);
        assert_memory_equal(&stat.durable, &end, sizeof end);
    }
    kit_disk_init(&kit_disk);
    assert_int_equal(kit_write(writer, 0, 2, 1, 3), 0);
    kit_drain(reader, &found);
    assert_int_equal(found.batches, 2);
    assert_int_equal(found.damages, 0);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.segments, 2);
    gw_journal_reader_close(reader);
    gw_journal_writer_close(writer, true);
}

/* Where retention has deleted the one before, its number must not return: it stays. */
static void segment_without_a_predecessor_stays(void **state)
{
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    kit_disk.io.fdatasync = fdatasync_fails;
    assert_int_equal(kit_write(writer, 0, 1, 0, 3), -EIO);
    assert_true(is_there(&kit_dir, 1));
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(stat.segments, 1);
    assert_int_equal(stat.failures, 2);
    kit_disk_init(&kit_disk);
    assert_int_equal(kit_write(writer, 0, 1, 0, 3), 0);
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 1);
    gw_journal_writer_close(writer, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(cursor_is_good_when_the_segment_is_gone),
        KIT_TEST(reader_that_stays_reads_the_next_one_of_that_number),
        KIT_TEST(tries_leave_no_segments_behind),
        KIT_TEST(segment_without_a_predecessor_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
