/*
 * The nth failure in the log: what was acknowledged is there and in its order, a reader gives out
 * nothing else and nothing that is not durable, and a cursor stands where it stood or where it was
 * put.
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/journal/journal_kit.h"

enum { RECORDS = 30, EARLY = 12, TRIES = 3, SEGMENT_BYTES = GW_JOURNAL_SEGMENT_BYTES_MIN };

/* Sequences begin anew with each life of a writer: each has lanes of its own. */
enum { LANE_EARLY, LANE_DAMAGED, LANE_BESIDE, LANE_PLAYED, LANE_LATER };

static const struct gw_journal_position beginning = {.segment = 0};
static const struct gw_journal_position first_batch = {.segment = 1, .offset = GW_SEGMENT_DATA_AT};

static struct kit_dir dir;

/* What the scene saw. */
static struct {
    struct kit_found before;
    uint64_t durable; /* acknowledged in lane LANE_PLAYED */
    uint64_t sent;
    struct gw_journal_position put; /* a cursor, successfully */
    struct gw_journal_reader *reader;
    struct kit_found found;
} seen;

static const struct room_failure writing[] = {
    {"no memory", NTHFAIL_MEMORY, ENOMEM, 1},
    {"no memory any more", NTHFAIL_MEMORY, ENOMEM, NTHFAIL_FOR_EVER},
    {"I/O error", NTHFAIL_FILE, EIO, 1},
    {"I/O error, twice", NTHFAIL_FILE, EIO, 2},
    {"I/O errors", NTHFAIL_FILE, EIO, NTHFAIL_FOR_EVER},
    {"disk full", NTHFAIL_FILE, ENOSPC, 1},
    {"disk full for long", NTHFAIL_FILE, ENOSPC, NTHFAIL_FOR_EVER},
    {"quota used up", NTHFAIL_FILE, EDQUOT, 1},
    {"interrupted", NTHFAIL_FILE, EINTR, 1},
    {"read-only", NTHFAIL_FILE, EROFS, 2},
    {"held by another", NTHFAIL_FILE, EAGAIN, 2},
    {"not permitted", NTHFAIL_FILE, EACCES, 1},
    {"not supported", NTHFAIL_FILE, EINVAL, 1},
    {"no random numbers", NTHFAIL_SYSTEM, ENOSYS, 1},
};

static const struct room_failure reading[] = {
    {"no memory", NTHFAIL_MEMORY, ENOMEM, 1},
    {"I/O error", NTHFAIL_FILE, EIO, 1},
    {"I/O error, twice", NTHFAIL_FILE, EIO, 2},
    {"interrupted", NTHFAIL_FILE, EINTR, 1},
    {"not permitted", NTHFAIL_FILE, EACCES, 1},
    {"no more descriptors", NTHFAIL_FILE, EMFILE, NTHFAIL_FOR_EVER},
};

/* Here nobody writes, and a file that is gone is one that was never there. */
static const struct room_failure reading_what_is_left[] = {
    {"no memory", NTHFAIL_MEMORY, ENOMEM, 1},    {"I/O error", NTHFAIL_FILE, EIO, 1},
    {"I/O error, twice", NTHFAIL_FILE, EIO, 2},  {"a file is gone", NTHFAIL_FILE, ENOENT, 1},
    {"files are gone", NTHFAIL_FILE, ENOENT, 2}, {"not permitted", NTHFAIL_FILE, EACCES, 1},
};

/* ---- steps ---- */

static void write_early(struct gw_journal_writer *writer, uint32_t lane, uint64_t count)
{
    for (uint64_t sequence = 1; sequence <= count; sequence++)
        assert_int_equal(kit_write(writer, lane, sequence, sequence - 1, RECORDS), 0);
}

/* The next batch of the scene's lane, once; it comes again until it is durable. */
static bool give(struct gw_journal_writer *writer)
{
    static uint8_t buffer[KIT_BATCH_BYTES_MAX];
    struct gw_bytes batch =
        kit_batch(buffer, writer, LANE_PLAYED, seen.durable + 1, seen.durable, RECORDS);
    uint32_t durable;
    int err = gw_journal_writer_write(writer, &batch, 1, &durable);

    seen.sent = seen.durable + 1;
    room_check(durable == (err == 0 ? 1 : 0));
    seen.durable += durable;
    return err == 0;
}

static void give_many(struct gw_journal_writer *writer, uint64_t count)
{
    for (uint64_t done = 0, tries = 0; done < count && tries < TRIES;) {
        if (give(writer)) {
            done++;
            tries = 0;
        } else {
            tries++;
        }
        (void)gw_journal_writer_prepare(writer);
    }
}

static struct gw_journal_writer *open_or_say_why(uint64_t bytes_max)
{
    const struct gw_journal_options options = {.path = dir.path,
                                               .segment_bytes = SEGMENT_BYTES,
                                               .bytes_max = bytes_max,
                                               .zero_ahead_bytes = 4096,
                                               .lock_wait_ms = 1};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    char why[256] = "";
    int err = gw_journal_writer_open(&options, &writer, &recovery, why, sizeof why);

    room_check((err == 0) == (writer != NULL));
    room_check(err == 0 || (room_has_failed() && why[0] != '\0'));
    return writer;
}

static void flip_byte(uint64_t segment, uint64_t offset)
{
    char path[256];
    uint8_t *bytes;
    size_t size;

    kit_segment_path(path, &dir, segment);
    bytes = kit_file_read(path, &size);
    assert_true(offset < size);
    bytes[offset] ^= 1;
    kit_file_write(path, bytes, size);
    free(bytes);
}

static bool is_at(struct gw_journal_position a, struct gw_journal_position b)
{
    return a.segment == b.segment && a.offset == b.offset;
}

/* All that was there before is there, and of the scene's lane what was acknowledged, without gaps.
 */
static void all_is_there(struct kit_found found)
{
    const uint64_t played = found.last[LANE_PLAYED];

    room_check(found.in_order);
    room_check(found.batches_lost == seen.before.batches_lost);
    room_check(played >= seen.durable && played <= seen.sent);
    room_check(found.batches == seen.before.batches + played);
}

/* ---- a writer's life, behind one that stopped and one that was killed and then damaged ---- */

static void prepare_lives(void)
{
    struct gw_journal_writer *writer;
    struct gw_journal_position hit;

    memset(&seen, 0, sizeof seen);
    kit_dir_make(&dir);
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, NULL);
    write_early(writer, LANE_EARLY, EARLY);
    gw_journal_writer_close(writer, true);
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, NULL);
    write_early(writer, LANE_BESIDE, 1);
    hit = kit_place(&dir, writer);
    write_early(writer, LANE_DAMAGED, 3);
    gw_journal_writer_close(writer, false);
    flip_byte(hit.segment, hit.offset + 100);
    seen.before = kit_read(&dir, beginning);
    assert_int_equal(seen.before.batches, EARLY + 3);
    assert_int_equal(seen.before.batches_lost, 1);
}

static void play_life(void)
{
    struct gw_journal_writer *writer = open_or_say_why(0);
    struct gw_journal_position position;

    if (writer == NULL)
        return;
    give_many(writer, 8);
    gw_journal_writer_retain(writer);
    position = kit_place(&dir, writer);
    if (gw_cursor_commit(NULL, dir.path, "reader", position) == 0)
        seen.put = position;
    gw_journal_writer_close(writer, true);
}

static void check_life(void)
{
    struct gw_journal_writer *writer;
    struct gw_journal_recovery recovery;
    struct gw_journal_position position;
    struct kit_found found = kit_read(&dir, beginning);

    all_is_there(found);
    if (seen.put.segment != 0) {
        room_check(gw_cursor_read(NULL, dir.path, "reader", &position) == 0);
        room_check(is_at(position, seen.put));
    }
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, &recovery);
    assert_int_equal(kit_write(writer, LANE_LATER, 1, 0, RECORDS), 0);
    gw_journal_writer_close(writer, true);
    found = kit_read(&dir, beginning);
    room_check(found.last[LANE_LATER] == 1);
    found.batches--;
    all_is_there(found);
    kit_dir_remove(&dir);
}

static void a_life_survives_the_failure_of_any_call(void **state)
{
    static const struct room_scene scene = {"a life",   prepare_lives, play_life,
                                            check_life, writing,       GW_ARRAY_COUNT(writing)};

    (void)state;
    room_play(&scene);
}

/* ---- a log that is full, and a reader that makes room ---- */

enum { SEGMENTS_MAX = 4 };

static void prepare_full(void)
{
    struct gw_journal_writer *writer;

    memset(&seen, 0, sizeof seen);
    kit_dir_make(&dir);
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, NULL);
    write_early(writer, LANE_EARLY, EARLY);
    gw_journal_writer_close(writer, true);
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "slow", first_batch), 0);
    seen.before = kit_read(&dir, beginning);
    seen.put = first_batch;
}

static void play_full(void)
{
    struct gw_journal_writer *writer = open_or_say_why((uint64_t)SEGMENTS_MAX * SEGMENT_BYTES);
    struct gw_journal_position position;

    if (writer == NULL)
        return;
    give_many(writer, 40);
    position = kit_place(&dir, writer);
    if (seen.durable > 0 && gw_cursor_commit(NULL, dir.path, "slow", position) == 0)
        seen.put = position;
    gw_journal_writer_retain(writer);
    give_many(writer, 3);
    gw_journal_writer_close(writer, false);
}

static void check_full(void)
{
    struct gw_journal_position position;
    struct kit_found found;

    room_check(gw_cursor_read(NULL, dir.path, "slow", &position) == 0);
    /* A commit that failed may have been made all the same, but for its place on the disk. */
    room_check(is_at(position, seen.put) || is_at(seen.put, first_batch));
    found = kit_read(&dir, position);
    room_check(found.deletions == 0 && found.damages == 0);
    if (is_at(position, first_batch))
        all_is_there(found);
    found = kit_read(&dir, beginning);
    room_check(found.in_order && found.last[LANE_PLAYED] >= seen.durable);
    kit_dir_remove(&dir);
}

static void a_full_log_keeps_what_its_reader_needs(void **state)
{
    static const struct room_scene scene = {"a full log", prepare_full, play_full,
                                            check_full,   writing,      GW_ARRAY_COUNT(writing)};

    (void)state;
    room_play(&scene);
}

/* ---- a reader beside a writer that lives ---- */

static struct gw_journal_writer *living;
static struct kit_disk disk;

/* The last batch is written and not synced: nobody may see it. */
static void prepare_living(void)
{
    memset(&seen, 0, sizeof seen);
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    living = kit_writer(&dir, SEGMENT_BYTES, &disk.io, NULL);
    write_early(living, LANE_PLAYED, EARLY);
    disk.only_data = disk.fail_forever = true;
    disk.calls = 0;
    disk.fail_at = 2;
    disk.fail_with = -EIO;
    assert_int_equal(kit_write(living, LANE_PLAYED, EARLY + 1, EARLY, RECORDS), -EIO);
}

static void take(const struct gw_journal_item *item)
{
    struct kit_found *found = &seen.found;

    if (item->kind == GW_JOURNAL_DAMAGE) {
        found->damages++;
        found->batches_lost += item->batches_lost;
        return;
    }
    room_check(item->batch.lane == LANE_PLAYED);
    found->records++;
    if (item->index == 0) {
        room_check(item->batch.sequence > found->last[LANE_PLAYED]);
        found->last[LANE_PLAYED] = item->batch.sequence;
        found->batches++;
    }
}

/* Until there is no more, or the third error. */
static void read_on(void)
{
    for (int errors = 0; errors < TRIES;) {
        struct gw_journal_item item;

        if (gw_journal_reader_next(seen.reader, &item) != 0) {
            room_check(room_has_failed());
            errors++;
        } else if (item.kind == GW_JOURNAL_END) {
            return;
        } else {
            take(&item);
        }
    }
}

static void open_reader(enum gw_journal_from from, struct gw_journal_position position)
{
    const struct gw_journal_reader_options options = {
        .path = dir.path, .from = from, .position = position};
    char why[256] = "";
    int err = gw_journal_reader_open(&options, &seen.reader, why, sizeof why);

    room_check((err == 0) == (seen.reader != NULL));
    room_check(err == 0 || (room_has_failed() && why[0] != '\0'));
}

static void play_living(void)
{
    open_reader(GW_JOURNAL_FROM_BEGINNING, beginning);
    if (seen.reader == NULL)
        return;
    read_on();
    (void)gw_journal_reader_wait(seen.reader, 1);
}

static void check_living(void)
{
    if (seen.reader != NULL) {
        read_on();
        room_check(seen.found.last[LANE_PLAYED] <= EARLY);
        if (room_failure()->count == 1)
            room_check(seen.found.damages == 0 && seen.found.records == EARLY * RECORDS);
    }
    gw_journal_writer_close(living, false);
    if (seen.reader != NULL) { /* what could not be read, not even in pieces, is called damage */
        read_on();
        room_check(seen.found.damages > 0 || seen.found.batches >= EARLY);
    }
    gw_journal_reader_close(seen.reader);
    kit_dir_remove(&dir);
}

static void a_reader_gives_out_what_is_durable_and_each_of_it_once(void **state)
{
    static const struct room_scene scene = {
        "a reader beside a writer", prepare_living, play_living, check_living, reading,
        GW_ARRAY_COUNT(reading)};

    (void)state;
    room_play(&scene);
}

/* ---- a reader of what a broken machine left ---- */

static struct gw_journal_position middle;

/* Sound segments, one with a hole, one without a header, and one that a kill ended. */
static void prepare_left(void)
{
    struct gw_journal_writer *writer;
    struct gw_journal_position at;

    memset(&seen, 0, sizeof seen);
    kit_dir_make(&dir);
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, NULL);
    write_early(writer, LANE_EARLY, 8);
    middle = kit_place(&dir, writer);
    gw_journal_writer_close(writer, true);
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, NULL);
    at = kit_place(&dir, writer);
    write_early(writer, LANE_DAMAGED, 3);
    gw_journal_writer_close(writer, false);
    flip_byte(at.segment, at.offset + 100);
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, NULL);
    at = kit_place(&dir, writer);
    write_early(writer, LANE_BESIDE, 2);
    gw_journal_writer_close(writer, false);
    flip_byte(at.segment, 100);
    flip_byte(at.segment, GW_SEGMENT_HEADER_BYTES + 100);
    writer = kit_writer(&dir, SEGMENT_BYTES, NULL, NULL);
    write_early(writer, LANE_LATER, 2);
    gw_journal_writer_close(writer, false);
    seen.before = kit_read(&dir, beginning);
    assert_int_equal(seen.before.batches, 8 + 2 + 2);
}

static void read_from(enum gw_journal_from from, struct gw_journal_position position)
{
    uint64_t last[8] = {0};

    open_reader(from, position);
    for (int errors = 0; seen.reader != NULL && errors < TRIES;) {
        struct gw_journal_item item;

        if (gw_journal_reader_next(seen.reader, &item) != 0) {
            room_check(room_has_failed());
            errors++;
        } else if (item.kind == GW_JOURNAL_END) {
            break;
        } else if (item.kind == GW_JOURNAL_RECORD && item.index == 0) {
            room_check(item.batch.sequence > last[item.batch.lane]);
            last[item.batch.lane] = item.batch.sequence;
            /* Where the newest segment is gone the end is that of the one before it. */
            room_check(from != GW_JOURNAL_FROM_END || room_failure()->error == ENOENT);
        }
    }
    for (uint32_t lane = 0; lane < GW_ARRAY_COUNT(last); lane++)
        room_check(last[lane] <= seen.before.last[lane]);
    gw_journal_reader_close(seen.reader);
}

static void play_left(void)
{
    read_from(GW_JOURNAL_FROM_BEGINNING, beginning);
    read_from(GW_JOURNAL_FROM_POSITION, middle);
    read_from(GW_JOURNAL_FROM_END, beginning);
}

/* Reading has changed nothing. */
static void check_left(void)
{
    const struct kit_found found = kit_read(&dir, beginning), *before = &seen.before;

    room_check(found.in_order && found.records == before->records);
    room_check(found.damaged_bytes == before->damaged_bytes);
    room_check(found.batches_lost == before->batches_lost && found.damages == before->damages);
    kit_dir_remove(&dir);
}

static void a_reader_of_a_broken_log_gives_out_nothing_wrong(void **state)
{
    static const struct room_scene scene = {
        "what is left", prepare_left,         play_left,
        check_left,     reading_what_is_left, GW_ARRAY_COUNT(reading_what_is_left)};

    (void)state;
    room_play(&scene);
}

/* ---- cursors ---- */

static void prepare_cursors(void)
{
    char path[256];

    memset(&seen, 0, sizeof seen);
    kit_dir_make(&dir);
    gw_journal_writer_close(kit_writer(&dir, SEGMENT_BYTES, NULL, NULL), true);
    assert_int_equal(gw_cursor_commit(NULL, dir.path, "a", first_batch), 0);
    (void)snprintf(path, sizeof path, "%s/cursors/b", dir.path);
    kit_file_write(path, "no cursor\n", 10);
}

static int count_good(void *visitor, const char *name, int err, struct gw_journal_position position)
{
    uint32_t *good = visitor;

    room_check(err == 0 ? strcmp(name, "a") == 0 && position.offset == GW_SEGMENT_DATA_AT
                        : strcmp(name, "b") == 0 || room_has_failed());
    *good += err == 0;
    return 0;
}

static void play_cursors(void)
{
    const struct gw_journal_position next = {.segment = 2, .offset = GW_SEGMENT_DATA_AT};
    struct gw_journal_position position;
    uint32_t good = 0;

    seen.put = gw_cursor_commit(NULL, dir.path, "a", next) == 0 ? next : first_batch;
    if (gw_cursor_read(NULL, dir.path, "a", &position) == 0)
        room_check(is_at(position, next) || is_at(position, seen.put));
    if (gw_cursor_list(NULL, dir.path, count_good, &good) == 0)
        room_check(good == 1 || room_has_failed());
    room_check(gw_cursor_delete(NULL, dir.path, "b") == 0 || room_has_failed());
}

static void check_cursors(void)
{
    struct gw_journal_position position;

    room_check(gw_cursor_read(NULL, dir.path, "a", &position) == 0);
    room_check(position.segment >= seen.put.segment && position.segment <= 2);
    kit_dir_remove(&dir);
}

static void a_cursor_stands_where_it_stood_or_where_it_was_put(void **state)
{
    static const struct room_failure failures[] = {
        {"I/O error", NTHFAIL_FILE, EIO, 1},
        {"I/O errors", NTHFAIL_FILE, EIO, NTHFAIL_FOR_EVER},
        {"disk full", NTHFAIL_FILE, ENOSPC, 1},
        {"a file is gone", NTHFAIL_FILE, ENOENT, 1},
        {"interrupted", NTHFAIL_FILE, EINTR, 1},
    };
    static const struct room_scene scene = {"cursors",    prepare_cursors,
                                            play_cursors, check_cursors,
                                            failures,     GW_ARRAY_COUNT(failures)};

    (void)state;
    room_play(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_survives_the_failure_of_any_call),
        cmocka_unit_test(a_full_log_keeps_what_its_reader_needs),
        cmocka_unit_test(a_reader_gives_out_what_is_durable_and_each_of_it_once),
        cmocka_unit_test(a_reader_of_a_broken_log_gives_out_nothing_wrong),
        cmocka_unit_test(a_cursor_stands_where_it_stood_or_where_it_was_put),
    };

    return cmocka_run_group_tests_name("nthfail journal", tests, NULL, NULL);
}
