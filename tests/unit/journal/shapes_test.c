/*
 * What a log has seldom or never: long paths, many segments, many holes, batches and headers that
 * are sound by their hash and were made by no writer.
 */
#include "journal_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <gw/base/bytes.h>

static const struct gw_journal_position beginning = {.segment = 0};

/* ---- headers and options ---- */

static void sealed_header_of_another_format_is_refused(void **state)
{
    enum { AT_HASH = 8, AT_VERSION = 16, AT_LANES = 20 };
    static const struct {
        size_t at;
        uint32_t value;
        bool good;
    } rows[] = {{AT_VERSION, 1, true},
                {AT_VERSION, 2, false},
                {AT_LANES, GW_JOURNAL_LANES_MAX, true},
                {AT_LANES, GW_JOURNAL_LANES_MAX + 1, false}};
    static struct gw_segment_header header = {.number = 1};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        uint8_t page[GW_SEGMENT_HEADER_BYTES];

        gw_segment_header_encode(page, &header);
        gw_store_le32(page + rows[i].at, rows[i].value);
        gw_store_le64(page + AT_HASH, 0);
        gw_store_le64(page + AT_HASH, XXH3_64bits(page, sizeof page));
        assert_int_equal(gw_segment_header_decode(page, &header), rows[i].good);
        header.lanes = 0;
    }
}

static void options_that_make_no_log_are_refused(void **state)
{
    static char longest[1100];
    static const struct {
        struct gw_journal_options options;
        int err;
    } rows[] = {
        {{.path = "/nonexistent/parent/log"}, -ENOENT},
        {{.path = "/dev/null"}, -ENOTDIR},
        {{.path = longest}, -ENAMETOOLONG},
        {{.path = "/tmp", .segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN - 1}, -EINVAL},
        {{.path = "/tmp", .segment_bytes = 1 << 20, .bytes_max = (2 << 20) - 1}, -EINVAL},
    };

    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_journal_recovery recovery;
        struct gw_journal_writer *writer;
        char why[256] = "";

        assert_int_equal(
            gw_journal_writer_open(&rows[i].options, &writer, &recovery, why, sizeof why),
            rows[i].err);
        assert_null(writer);
        assert_true(strlen(why) > 10);
        assert_int_equal(gw_journal_writer_open(&rows[i].options, &writer, &recovery, why, 5),
                         rows[i].err);
        assert_int_equal(strlen(why), 4);
        assert_int_equal(gw_journal_writer_open(&rows[i].options, &writer, &recovery, NULL, 0),
                         rows[i].err);
    }
    gw_journal_writer_close(NULL, true);
    gw_journal_reader_close(NULL);
}

static int visit_none(void *visitor, const char *name, int err, struct gw_journal_position position)
{
    (void)visitor;
    (void)name;
    (void)err;
    (void)position;
    return 1;
}

static void path_that_is_too_long_is_told(void **state)
{
    char longest[1100], shorter[1022];
    const struct gw_journal_reader_options options = {.path = longest};
    struct gw_journal_position position = {.segment = 1};
    struct gw_journal_reader *reader;
    char why[300] = "";

    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memset(shorter, 'a', sizeof shorter - 1);
    shorter[sizeof shorter - 1] = '\0';
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof why), -ENAMETOOLONG);
    assert_true(strlen(why) > 10);
    assert_int_equal(gw_journal_reader_open(&options, &reader, NULL, 0), -ENAMETOOLONG);
    assert_int_equal(gw_cursor_read(NULL, shorter, "c", &position), -ENAMETOOLONG);
    assert_int_equal(gw_cursor_commit(NULL, shorter, "c", position), -ENAMETOOLONG);
    assert_int_equal(gw_cursor_delete(NULL, shorter, "c"), -ENAMETOOLONG);
    assert_int_equal(gw_cursor_list(NULL, shorter, visit_none, NULL), -ENAMETOOLONG);
    shorter[sizeof shorter - 13] = '\0'; /* DIR/cursors/c fits, DIR/cursors/.new-c does not */
    assert_int_equal(gw_cursor_commit(NULL, shorter, "c", position), -ENAMETOOLONG);
    assert_int_equal(gw_cursor_read(NULL, shorter, "a b", &position), -EINVAL);
    assert_int_equal(gw_cursor_delete(NULL, shorter, "a b"), -EINVAL);
}

/* A reader's directory may be as deep as its path has room; what is in it may then have no name. */
static void segment_with_too_long_a_path_is_an_error_and_not_an_end(void **state)
{
    enum { PART_BYTES = 200, PARTS = 5 };
    struct gw_journal_reader_options options = {.from = GW_JOURNAL_FROM_BEGINNING};
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    char path[1100], part[PART_BYTES + 1], why[300];
    int fd, at = 0;

    (void)state;
    memset(part, 'd', PART_BYTES);
    part[PART_BYTES] = '\0';
    at = snprintf(path, sizeof path, "%s", kit_dir.path);
    while (at + PART_BYTES + 1 < 1020) {
        at += snprintf(path + at, sizeof path - (size_t)at, "/%s", part);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    if (at < 1005) {
        at += snprintf(path + at, sizeof path - (size_t)at, "/%.*s", 1010 - at, part);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    options.path = path;
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof why), 0);
    assert_int_equal(gw_journal_reader_next(reader, &item), 0);
    assert_int_equal(item.kind, GW_JOURNAL_END);
    (void)close(openat(fd, "00000000000000000001.seg", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    (void)close(fd);
    assert_int_equal(gw_journal_reader_next(reader, &item), -ENAMETOOLONG);
    assert_false(gw_journal_reader_wait(reader, 60));
    gw_journal_reader_close(reader);
}

/* ---- batches of nobody ---- */

static void batch_that_no_writer_of_this_segment_makes_is_tail(void **state)
{
    static const struct {
        const char *what;
        struct gw_batch batch;
        uint64_t epoch_off;
    } rows[] = {
        {"another epoch", {.kind = GW_BATCH_RECORDS, .sequence = 2}, 1},
        {"a lane that there is not",
         {.kind = GW_BATCH_RECORDS, .lane = GW_JOURNAL_LANES_MAX, .sequence = 2},
         0},
        {"a lane that closes", {.kind = GW_BATCH_CLOSING, .lane = 0, .sequence = 1}, 0},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        uint8_t buffer[256];
        struct gw_batch batch = rows[i].batch;
        struct gw_journal_recovery recovery;
        struct gw_journal_writer *writer;
        struct kit_dir dir;

        print_message("  %s\n", rows[i].what);
        kit_dir_make(&dir);
        writer = kit_writer(&dir, 1 << 20, NULL, NULL);
        assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
        batch.epoch = gw_journal_writer_epoch(writer) + rows[i].epoch_off;
        kit_put_at(
            &dir, kit_place(&dir, writer),
            gw_bytes_of(buffer, gw_batch_seal(buffer, &batch, gw_journal_writer_seed(writer))));
        gw_journal_writer_close(writer, false);
        assert_int_equal(kit_read(&dir, beginning).batches, 1);
        gw_journal_writer_close(kit_writer(&dir, 1 << 20, NULL, &recovery), true);
        assert_int_equal(recovery.batches, 1);
        assert_true(recovery.tail_bytes > 0);
        assert_false(recovery.clean);
        kit_dir_remove(&dir);
    }
}

/* Sound by its hash, and said to hold more records than it does: the rest of it is damage. */
static void batch_with_fewer_records_than_it_says_ends_as_damage(void **state)
{
    uint8_t buffer[512];
    struct gw_record record = {.device = 1, .sequence = 1, .kind = GW_RECORD_ONLINE};
    struct gw_journal_writer *writer;
    struct kit_found found = {.in_order = true};
    struct gw_journal_reader_options options = {.from = GW_JOURNAL_FROM_BEGINNING};
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    struct gw_bytes bytes;
    uint32_t durable;
    char why[256];

    (void)state;
    options.path = kit_dir.path;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    gw_record_encode(buffer + GW_BATCH_HEADER_BYTES, &record);
    bytes = gw_bytes_of(buffer,
                        gw_batch_seal(buffer,
                                      &(struct gw_batch){.kind = GW_BATCH_RECORDS,
                                                         .count = 3,
                                                         .epoch = gw_journal_writer_epoch(writer),
                                                         .sequence = 1,
                                                         .body = {NULL, gw_record_bytes(&record)}},
                                      gw_journal_writer_seed(writer)));
    assert_int_equal(gw_journal_writer_write(writer, &bytes, 1, &durable), 0);
    assert_int_equal(kit_write(writer, 0, 2, 1, 1), 0);
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof why), 0);
    assert_int_equal(gw_journal_reader_next(reader, &item), 0);
    assert_int_equal(item.kind, GW_JOURNAL_RECORD);
    assert_int_equal(gw_journal_reader_next(reader, &item), 0);
    assert_int_equal(item.kind, GW_JOURNAL_DAMAGE);
    assert_int_equal(item.bytes, bytes.size);
    kit_drain(reader, &found);
    assert_int_equal(found.batches, 1);
    assert_int_equal(found.last[0], 2);
    gw_journal_reader_close(reader);
    gw_journal_writer_close(writer, true);
}

static void sealed_closing_batch_has_no_records(void **state)
{
    uint8_t buffer[128];
    const struct gw_batch batch = {
        .kind = GW_BATCH_CLOSING, .lane = GW_BATCH_LANE_WRITER, .count = 7, .sequence = 1};
    struct gw_batch_walk walk;
    struct gw_record record;
    struct gw_batch out;
    size_t used;

    (void)state;
    walk = gw_batch_records_sealed(gw_bytes_of(buffer, gw_batch_seal(buffer, &batch, 1)));
    assert_int_equal(gw_batch_next(&walk, &record), GW_MORE);
    assert_int_equal(gw_batch_decode(gw_bytes_of(NULL, 0), 1, &out, &used), GW_MORE);
}

/* ---- many of them ---- */

static void many_holes_are_reported_each(void **state)
{
    enum { BATCHES = 60 };
    struct gw_journal_position at[BATCHES];
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    struct kit_found found;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    for (uint64_t i = 0; i < BATCHES; i++) {
        at[i] = kit_place(&kit_dir, writer);
        assert_int_equal(kit_write(writer, 0, i + 1, i, 1), 0);
    }
    gw_journal_writer_close(writer, false);
    for (int i = 0; i < BATCHES - 1; i += 2)
        kit_put_at(&kit_dir, at[i], gw_bytes_text("no batch"));
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, BATCHES / 2);
    assert_int_equal(found.batches_lost, BATCHES / 2);
    assert_true(found.in_order);
    gw_journal_writer_close(kit_writer(&kit_dir, 1 << 20, NULL, &recovery), true);
    assert_int_equal(recovery.damaged_ranges, BATCHES / 2);
    assert_int_equal(recovery.batches_lost, BATCHES / 2);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, BATCHES / 2);
}

/* Unproven ones: the segment ends before the first, whatever stands behind the others. */
static void many_holes_without_proof_are_the_tail(void **state)
{
    enum { BATCHES = 24 };
    struct gw_journal_position at[BATCHES];
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char mark[256];

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    for (uint64_t i = 0; i < BATCHES; i++) {
        at[i] = kit_place(&kit_dir, writer);
        assert_int_equal(kit_write(writer, (uint32_t)i % 8, i / 8 + 1, 0, 1), 0);
    }
    gw_journal_writer_close(writer, false);
    (void)snprintf(mark, sizeof mark, "%s/mark", kit_dir.path);
    assert_int_equal(unlink(mark), 0);
    for (int i = 1; i < BATCHES; i += 2)
        kit_put_at(&kit_dir, at[i], gw_bytes_text("no batch"));
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 1);
    gw_journal_writer_close(kit_writer(&kit_dir, 1 << 20, NULL, &recovery), true);
    assert_int_equal(recovery.batches, 1);
    assert_int_equal(recovery.damaged_ranges, 0);
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 1);
}

static void many_segments_and_many_batches_at_once(void **state)
{
    enum { SEGMENTS = 150, AT_ONCE = 300 };
    static uint8_t buffers[AT_ONCE][256];
    struct gw_bytes batches[AT_ONCE];
    struct gw_journal_writer_stat stat;
    struct gw_journal_writer *writer;
    struct kit_found found;
    uint64_t sequence = 0;
    uint32_t durable;

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    do {
        assert_int_equal(kit_write(writer, 0, sequence + 1, sequence, 160), 0);
        sequence++;
        gw_journal_writer_stat(writer, &stat);
    } while (stat.segments < SEGMENTS);
    gw_journal_writer_close(writer, false);
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        batches[i] = kit_batch(buffers[i], writer, 1, i + 1, 0, 1);
    assert_int_equal(gw_journal_writer_write(writer, batches, AT_ONCE, &durable), 0);
    assert_int_equal(durable, AT_ONCE);
    gw_journal_writer_close(writer, true);
    found = kit_read(&kit_dir, beginning);
    assert_int_equal(found.batches, sequence + AT_ONCE);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
}

/* ---- moments ---- */

static void zeros_that_cannot_be_synced_poison_and_lose_nothing(void **state)
{
    struct gw_journal_options options = {.segment_bytes = 1 << 20, .zero_ahead_bytes = 1 << 18};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;
    struct kit_disk disk;
    struct kit_dir dir;
    char why[256];

    (void)state;
    for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) { /* the write, the sync */
        kit_dir_make(&dir);
        kit_disk_init(&disk);
        options.path = dir.path;
        options.io = &disk.io;
        assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof why), 0);
        disk.only_data = true;
        disk.fail_with = -EIO;
        disk.calls = 0;
        disk.fail_at = fail_at;
        assert_false(gw_journal_writer_prepare(writer));
        disk.fail_at = 0;
        gw_journal_writer_stat(writer, &stat);
        assert_int_equal(stat.failures, fail_at == 2 ? 1 : 0);
        assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
        (void)gw_journal_writer_prepare(writer);
        gw_journal_writer_close(writer, true);
        assert_int_equal(kit_read(&dir, beginning).batches, 1);
        kit_dir_remove(&dir);
    }
}

static void segment_that_somebody_took_away_is_no_hindrance_to_retention(void **state)
{
    struct gw_journal_options options = {.segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN,
                                         .bytes_max = UINT64_C(3) * GW_JOURNAL_SEGMENT_BYTES_MIN};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char path[256], why[256];

    (void)state;
    options.path = kit_dir.path;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof why), 0);
    assert_int_equal(kit_write(writer, 0, 1, 0, 160), 0);
    assert_int_equal(kit_write(writer, 0, 2, 1, 160), 0);
    kit_segment_path(path, &kit_dir, 1);
    assert_int_equal(unlink(path), 0);
    for (uint64_t sequence = 3; sequence < 12; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 160), 0);
    gw_journal_writer_close(writer, true);
}

static void first_start_without_room_stalls_with_nothing_to_show(void **state)
{
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;

    (void)state;
    kit_disk.only_data = kit_disk.fail_forever = true;
    kit_disk.fail_with = -ENOSPC;
    kit_disk.fail_at = 2; /* the pid passes, the header of the first segment does not */
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, &recovery);
    assert_true(recovery.stalled);
    assert_int_equal(kit_read(&kit_dir, beginning).records, 0);
    kit_disk.fail_at = 0;
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    assert_int_equal(kit_read(&kit_dir, beginning).batches, 1);
}

static ssize_t takes_nothing(void *context, int fd, const struct iovec *iov, int count,
                             uint64_t offset)
{
    (void)context;
    (void)fd;
    (void)iov;
    (void)count;
    (void)offset;
    return 0;
}

static void disk_that_takes_nothing_is_an_io_error_and_no_loop(void **state)
{
    struct gw_journal_writer *writer;

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    kit_disk.io.pwritev = takes_nothing;
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), -EIO);
    assert_int_equal(gw_cursor_commit(&kit_disk.io, kit_dir.path, "c", beginning), -EIO);
    gw_journal_writer_close(writer, false);
    assert_int_equal(kit_read(&kit_dir, beginning).records, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_header_of_another_format_is_refused),
        cmocka_unit_test(options_that_make_no_log_are_refused),
        cmocka_unit_test(path_that_is_too_long_is_told),
        KIT_TEST(segment_with_too_long_a_path_is_an_error_and_not_an_end),
        cmocka_unit_test(batch_that_no_writer_of_this_segment_makes_is_tail),
        KIT_TEST(batch_with_fewer_records_than_it_says_ends_as_damage),
        cmocka_unit_test(sealed_closing_batch_has_no_records),
        KIT_TEST(many_holes_are_reported_each),
        KIT_TEST(many_holes_without_proof_are_the_tail),
        KIT_TEST(many_segments_and_many_batches_at_once),
        cmocka_unit_test(zeros_that_cannot_be_synced_poison_and_lose_nothing),
        KIT_TEST(segment_that_somebody_took_away_is_no_hindrance_to_retention),
        KIT_TEST(first_start_without_room_stalls_with_nothing_to_show),
        KIT_TEST(disk_that_takes_nothing_is_an_io_error_and_no_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
