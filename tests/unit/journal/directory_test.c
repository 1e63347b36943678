/*
 * What is in the directory of a log: segments, marks, locks and cursors that are not what the last
 * writer left.
 */
#include "journal_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <gw/base/bytes.h>

static const struct gw_journal_position beginning = {.segment = 0};

static void segment_under_another_number_is_damage(void **state)
{
    struct gw_journal_writer *writer;
    struct kit_found found;
    char from[256], to[256];

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    kit_segment_path(from, &kit_dir, 1);
    kit_segment_path(to, &kit_dir, 5);
    assert_int_equal(rename(from, to), 0);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.records, 0);
    assert_true(found.damaged_bytes > 0);
}

/* Half a mark is none; what the log itself proves is there all the same. */
static void mark_with_a_flipped_bit_is_none(void **state)
{
    (void)state;
    for (size_t at = 0; at < 48; at += 5) {
        struct gw_journal_recovery recovery;
        struct gw_journal_writer *writer;
        struct kit_dir dir;
        char path[256];
        uint8_t *mark;
        size_t size;

        kit_dir_make(&dir);
        writer = kit_writer(&dir, 1 << 20, NULL, NULL);
        assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
        gw_journal_writer_close(writer, false);
        (void)snprintf(path, sizeof path, "%s/mark", dir.path);
        mark = kit_file_read(path, &size);
        mark[at] ^= 1;
        kit_file_write(path, mark, size);
        free(mark);
        assert_int_equal(kit_read(&dir, beginning).batches, 1);
        gw_journal_writer_close(kit_writer(&dir, 1 << 20, NULL, &recovery), true);
        assert_int_equal(recovery.batches, 1);
        assert_int_equal(recovery.damaged_ranges, 0);
        kit_dir_remove(&dir);
    }
}

/* Sound by its hash, and neither open nor closed: no writer of this format made it. */
static void sealed_mark_of_another_format_is_none(void **state)
{
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    uint8_t *mark;
    char path[256];
    size_t size;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    kit_put_at(&kit_dir, (struct gw_journal_position){1, GW_SEGMENT_DATA_AT},
               gw_bytes_text("no batch"));
    gw_journal_writer_close(writer, false);
    (void)snprintf(path, sizeof path, "%s/mark", kit_dir.path);
    mark = kit_file_read(path, &size);
    assert_int_equal(size, 48);
    gw_store_le64(mark + 40, 2);
    gw_store_le64(mark + 8, XXH3_64bits(mark + 16, size - 16));
    kit_file_write(path, mark, size);
    free(mark);
    gw_journal_writer_close(kit_writer(&kit_dir, 1 << 20, NULL, &recovery), true);
    assert_int_equal(recovery.damaged_ranges, 0); /* it proves nothing: what is there is a tail */
    assert_true(recovery.tail_bytes > 0);
}

static void batch_that_stands_twice_is_given_out_once(void **state)
{
    uint8_t buffer[256];
    struct gw_journal_writer *writer;
    struct kit_found found;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    kit_put_at(&kit_dir, kit_place(&kit_dir, writer), kit_batch(buffer, writer, 0, 1, 0, 1));
    gw_journal_writer_close(writer, false);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, 1);
    assert_true(found.in_order);
    assert_int_equal(found.damages, 0);
}

/* Who had read all of a segment misses nothing when it is deleted; who had not is told. */
static void position_at_the_end_of_a_deleted_segment_misses_nothing(void **state)
{
    struct gw_journal_position end;
    struct gw_journal_writer *writer;
    char path[256];

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    end = kit_read(&kit_dir, beginning).after;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    kit_segment_path(path, &kit_dir, 1);
    assert_int_equal(unlink(path), 0);
    end.offset += GW_BATCH_HEADER_BYTES + 8; /* behind the closing batch, which says one lane */
    assert_int_equal(kit_read(&kit_dir, end).deletions, 0);
    assert_int_equal(kit_read(&kit_dir, end).batches, 1);
    end.offset = GW_SEGMENT_DATA_AT;
    assert_int_equal(kit_read(&kit_dir, end).deletions, 1);
    kit_segment_path(path, &kit_dir, 2); /* without a header nobody knows what came before */
    kit_put_at(&kit_dir, (struct gw_journal_position){2, 0}, gw_bytes_text("no header"));
    kit_put_at(&kit_dir, (struct gw_journal_position){2, GW_SEGMENT_HEADER_BYTES},
               gw_bytes_text("no header"));
    assert_int_equal(kit_read(&kit_dir, end).deletions, 1);
}

static void empty_directory_has_an_end_and_no_beginning(void **state)
{
    static const struct gw_journal_position far = {.segment = 7, .offset = 9000};
    static const enum gw_journal_from places[] = {GW_JOURNAL_FROM_BEGINNING, GW_JOURNAL_FROM_END,
                                                  GW_JOURNAL_FROM_POSITION};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(places); i++) {
        const struct gw_journal_reader_options options = {
            .path = kit_dir.path, .from = places[i], .position = far, .io = &gw_journal_io_system};
        struct gw_journal_reader *reader;
        struct gw_journal_item item;
        char why[256];

        assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof why), 0);
        assert_int_equal(gw_journal_reader_next(reader, &item), 0);
        assert_int_equal(item.kind, GW_JOURNAL_END);
        gw_journal_reader_close(reader);
    }
}

static void mark_is_good_for_one_wait(void **state)
{
    struct gw_journal_reader_options options = {.from = GW_JOURNAL_FROM_BEGINNING};
    struct gw_journal_reader *reader;
    struct gw_journal_writer *writer;
    char why[256];

    (void)state;
    options.path = kit_dir.path;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof why), 0);
    assert_true(gw_journal_reader_wait(reader, 0));
    assert_false(gw_journal_reader_wait(reader, 0)); /* nobody has read; nobody shall spin */
    gw_journal_reader_close(reader);
    gw_journal_writer_close(writer, true);
}

static void lock_without_a_name_in_it_is_held_all_the_same(void **state)
{
    struct gw_journal_options options = {.segment_bytes = 1 << 20};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer, *second;
    char path[256], why[256];

    (void)state;
    options.path = kit_dir.path;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    (void)snprintf(path, sizeof path, "%s/lock", kit_dir.path);
    assert_int_equal(truncate(path, 0), 0); /* opened by nobody: its lock is of the open file */
    assert_int_equal(gw_journal_writer_open(&options, &second, &recovery, why, sizeof why),
                     -EWOULDBLOCK);
    assert_non_null(strstr(why, "unknown"));
    gw_journal_writer_close(writer, true);
}

static int count_good(void *visitor, const char *name, int err, struct gw_journal_position position)
{
    (void)name;
    (void)position;
    assert_int_equal(err, 0);
    ++*(int *)visitor;
    return 0;
}

/* The reader furthest behind holds the segments, in whatever order the directory names them. */
static void the_earliest_of_several_cursors_counts(void **state)
{
    enum { CURSORS = 6 };
    struct gw_journal_options options = {.segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN,
                                         .bytes_max = UINT64_C(2) * GW_JOURNAL_SEGMENT_BYTES_MIN};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer_stat stat;
    struct gw_journal_writer *writer;
    char path[256], name[8], why[256];
    int good = 0;

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= CURSORS; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 160), 0);
    gw_journal_writer_close(writer, true);
    for (uint64_t i = 0; i < CURSORS; i++) {
        (void)snprintf(name, sizeof name, "c%d", (int)i);
        assert_int_equal(
            gw_cursor_commit(NULL, kit_dir.path, name,
                             (struct gw_journal_position){1 + i * 5 % CURSORS, GW_SEGMENT_DATA_AT}),
            0);
    }
    (void)snprintf(path, sizeof path, "%s/cursors/no name", kit_dir.path); /* nobody's cursor */
    kit_file_write(path, "", 0);
    assert_int_equal(gw_cursor_list(NULL, kit_dir.path, count_good, &good), 0);
    assert_int_equal(good, CURSORS);
    options.path = kit_dir.path;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof why), 0);
    assert_true(recovery.stalled); /* more than it may have, and c0 needs all of it */
    gw_journal_writer_retain(writer);
    gw_journal_writer_stat(writer, &stat);
    assert_string_equal(stat.reader, "c0");
    assert_int_equal(stat.segments_deleted, 0);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), -EDQUOT);
    gw_journal_writer_close(writer, true);
}

static void remove_segment(uint64_t number)
{
    char path[256];

    kit_segment_path(path, &kit_dir, number);
    assert_int_equal(unlink(path), 0);
}

static void write_batches(uint32_t lane, uint64_t count, struct gw_journal_recovery *recovery)
{
    struct gw_journal_writer *writer = kit_writer(&kit_dir, 1 << 20, NULL, recovery);

    for (uint64_t sequence = 1; sequence <= count; sequence++)
        assert_int_equal(kit_write(writer, lane, sequence, sequence - 1, 1), 0);
    gw_journal_writer_close(writer, true);
}

/* The mark proves that there was one: it is told at the start and to readers, old and new. */
static void newest_segment_that_is_gone_is_reported_as_loss(void **state)
{
    struct gw_journal_recovery recovery;
    struct gw_journal_position between, after;
    struct kit_found found;

    (void)state;
    write_batches(0, 5, NULL);
    between = kit_read(&kit_dir, beginning).after;
    write_batches(0, 23, NULL);
    after = kit_read(&kit_dir, beginning).after;
    remove_segment(2);
    write_batches(0, 40, &recovery);
    assert_false(recovery.clean);
    assert_int_equal(recovery.damaged_ranges, 1);
    assert_int_equal(recovery.damage_at.segment, 2);
    assert_true(recovery.damaged_bytes > 0);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, 5 + 40);
    assert_true(found.damages + found.deletions > 0);
    found = kit_read(&kit_dir, between);
    assert_int_equal(found.batches, 40);
    assert_true(found.damages + found.deletions > 0);
    assert_int_equal(kit_read(&kit_dir, after).batches, 40);
    write_batches(0, 1, &recovery); /* it is told once */
    assert_int_equal(recovery.damaged_ranges, 0);
}

/* Whatever was removed, by hand or by a repair: a place that a reader was told is never another. */
static void numbers_of_segments_do_not_come_back(void **state)
{
    struct gw_journal_position after;
    struct gw_journal_recovery recovery;
    char path[256];

    (void)state;
    for (int with_mark = 1; with_mark >= 0; with_mark--) {
        kit_dir_remove(&kit_dir);
        kit_dir_make(&kit_dir);
        write_batches(0, 30, NULL);
        after = kit_read(&kit_dir, beginning).after;
        assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "reader", after), 0);
        remove_segment(1);
        (void)snprintf(path, sizeof path, "%s/mark", kit_dir.path);
        assert_int_equal(with_mark ? 0 : unlink(path), 0);
        write_batches(0, 40, &recovery);
        assert_int_equal(recovery.damaged_ranges, with_mark);
        assert_int_equal(kit_read(&kit_dir, after).batches, 40);
        kit_segment_path(path, &kit_dir, 1);
        assert_int_equal(access(path, F_OK), -1);
    }
}

/* Last values are written beside the log until its lock goes. */
static void finished_log_keeps_its_lock(void **state)
{
    struct gw_journal_options options = {.path = kit_dir.path};
    struct gw_journal_writer *writer, *second;
    struct gw_journal_recovery recovery;
    char why[256];

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_finish(writer);
    assert_int_equal(gw_journal_writer_open(&options, &second, &recovery, why, sizeof why),
                     -EWOULDBLOCK);
    gw_journal_writer_close(writer, false);
    assert_int_equal(gw_journal_writer_open(&options, &second, &recovery, why, sizeof why), 0);
    assert_true(recovery.clean);
    gw_journal_writer_close(second, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(segment_under_another_number_is_damage),
        cmocka_unit_test(mark_with_a_flipped_bit_is_none),
        KIT_TEST(sealed_mark_of_another_format_is_none),
        KIT_TEST(batch_that_stands_twice_is_given_out_once),
        KIT_TEST(position_at_the_end_of_a_deleted_segment_misses_nothing),
        KIT_TEST(empty_directory_has_an_end_and_no_beginning),
        KIT_TEST(mark_is_good_for_one_wait),
        KIT_TEST(lock_without_a_name_in_it_is_held_all_the_same),
        KIT_TEST(the_earliest_of_several_cursors_counts),
        KIT_TEST(newest_segment_that_is_gone_is_reported_as_loss),
        KIT_TEST(numbers_of_segments_do_not_come_back),
        KIT_TEST(finished_log_keeps_its_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
