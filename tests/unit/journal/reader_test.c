/*
 * Readers and cursors beside a living writer.
 */
#include "journal_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct gw_journal_position beginning = {.segment = 0};

static struct gw_journal_reader *reader_from(const struct kit_dir *dir, enum gw_journal_from from,
                                             struct gw_journal_position position)
{
    struct gw_journal_reader_options options = {
        .path = dir->path, .from = from, .position = position};
    struct gw_journal_reader *reader;
    char why[256];

    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof(why)), 0);
    return reader;
}

static void reader_follows_a_living_writer_across_rolls(void **state)
{
    struct gw_journal_writer *writer;
    struct gw_journal_reader *reader;
    struct kit_found found = {.in_order = true};

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    reader = reader_from(&kit_dir, GW_JOURNAL_FROM_BEGINNING, beginning);
    kit_drain(reader, &found);
    for (uint64_t sequence = 1; sequence <= 100; sequence++) {
        assert_false(gw_journal_reader_wait(reader, 0));
        assert_int_equal(kit_write(writer, 2, sequence, sequence - 1, 10), 0);
        assert_true(gw_journal_reader_wait(reader, 0));
        kit_drain(reader, &found);
        assert_int_equal(found.last[2], sequence);
        assert_int_equal(found.batches, sequence);
    }
    assert_true(found.after.segment > 3);
    /* The writer goes, another comes: the same reader reads on. */
    gw_journal_writer_close(writer, true);
    kit_drain(reader, &found);
    assert_int_equal(found.batches, 100);
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    kit_drain(reader, &found);
    found.last[2] = 0; /* a new epoch counts from 1 again */
    assert_int_equal(kit_write(writer, 2, 1, 0, 10), 0);
    kit_drain(reader, &found);
    assert_int_equal(found.batches, 101);
    assert_int_equal(found.damages, 0);
    assert_true(found.in_order);
    gw_journal_reader_close(reader);
    gw_journal_writer_close(writer, true);
}

/*
 * A reader stands in a segment, and before it comes back retention has taken what follows: the rest
 * of a boot epoch, whole ones, the first part of one. Nothing of that shows in the lanes'
 * sequences.
 */
static void reader_that_retention_overtakes_is_told(void **state)
{
    struct gw_journal_writer *writer;
    struct gw_journal_reader *reader;
    struct kit_found found = {.in_order = true};
    uint64_t sequence = 1, newest;
    char path[256];

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    reader = reader_from(&kit_dir, GW_JOURNAL_FROM_BEGINNING, beginning);
    kit_drain(reader, &found);
    assert_int_equal(found.batches, 1);
    gw_journal_writer_close(writer, false);
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    while (kit_read(&kit_dir, beginning).after.segment < 4) {
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
        sequence++;
    }
    newest = sequence - 1;
    for (uint64_t number = 1; number <= 3; number++) {
        kit_segment_path(path, &kit_dir, number);
        assert_int_equal(unlink(path), 0);
    }
    memset(found.last, 0, sizeof(found.last)); /* the new epoch counts from 1 */
    kit_drain(reader, &found);
    assert_int_equal(found.deletions, 1);
    assert_int_equal(found.batches, 2);
    assert_int_equal(found.last[0], newest);
    gw_journal_reader_close(reader);
    gw_journal_writer_close(writer, true);
}

static bool no_descriptor_is_left;

static int open_but_no_lock(void *context, const char *path, int flags, mode_t mode)
{
    const char *name = strrchr(path, '/');

    (void)context;
    if (no_descriptor_is_left && name != NULL && strcmp(name, "/lock") == 0)
        return -EMFILE;
    return gw_journal_io_system.open(NULL, path, flags, mode);
}

/* Whoever cannot tell whether a writer lives must not read as if none did: past what is synced. */
static void reader_that_cannot_ask_for_the_writer_reads_nothing(void **state)
{
    struct gw_journal_io io = gw_journal_io_system;
    struct gw_journal_reader_options options = {.from = GW_JOURNAL_FROM_BEGINNING, .io = &io};
    struct kit_found found = {.in_order = true};
    struct gw_journal_writer *writer;
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    char why[256];

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, &kit_disk.io, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    kit_disk.only_data = kit_disk.fail_forever = true;
    kit_disk.calls = 0;
    kit_disk.fail_at = 2; /* the second batch is written, and not synced */
    kit_disk.fail_with = -EIO;
    assert_int_equal(kit_write(writer, 0, 2, 1, 1), -EIO);
    io.open = open_but_no_lock;
    options.path = kit_dir.path;
    no_descriptor_is_left = true;
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof(why)), 0);
    assert_int_equal(gw_journal_reader_next(reader, &item), -EMFILE);
    no_descriptor_is_left = false;
    kit_drain(reader, &found);
    assert_int_equal(found.batches, 1);
    assert_int_equal(found.damages, 0);
    gw_journal_reader_close(reader);
    gw_journal_writer_close(writer, false);
}

static ssize_t read_fails(void *context, int fd, void *buffer, size_t bytes, uint64_t offset)
{
    (void)context;
    (void)fd;
    (void)buffer;
    (void)bytes;
    (void)offset;
    return -EIO;
}

static int64_t size_fails(void *context, int fd)
{
    (void)context;
    (void)fd;
    return -EIO;
}

/* A page that cannot be read is damage; a disk that answers nothing is an error, and says which. */
static void reader_of_a_dead_disk_says_why(void **state)
{
    struct gw_journal_io io = gw_journal_io_system;
    struct gw_journal_reader_options options = {.from = GW_JOURNAL_FROM_BEGINNING, .io = &io};
    struct gw_journal_writer *writer;
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    char why[256];

    (void)state;
    writer = kit_writer(&kit_dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
    gw_journal_writer_close(writer, true);
    io.pread = read_fails;
    options.path = kit_dir.path;
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof(why)), 0);
    io.size = size_fails;
    assert_int_equal(gw_journal_reader_next(reader, &item), -EIO);
    io.size = gw_journal_io_system.size;
    assert_int_equal(gw_journal_reader_next(reader, &item), 0);
    assert_int_equal(item.kind, GW_JOURNAL_DAMAGE);
    gw_journal_reader_close(reader);
}

static void reader_from_the_end_sees_only_what_comes(void **state)
{
    struct gw_journal_writer *writer;

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (int alive = 1; alive >= 0; alive--) {
        struct kit_found found = {.in_order = true};
        struct gw_journal_reader *reader;

        assert_int_equal(kit_write(writer, 0, 1, 0, 5), 0);
        assert_int_equal(kit_write(writer, 1, 1, 0, 5), 0);
        if (!alive)
            gw_journal_writer_close(writer, false);
        reader = reader_from(&kit_dir, GW_JOURNAL_FROM_END, beginning);
        kit_drain(reader, &found);
        assert_int_equal(found.records, 0);
        if (!alive)
            writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
        assert_int_equal(kit_write(writer, 0, alive ? 2 : 1, alive ? 1 : 0, 5), 0);
        kit_drain(reader, &found);
        assert_int_equal(found.records, 5);
        assert_int_equal(found.damages, 0);
        gw_journal_reader_close(reader);
        gw_journal_writer_close(writer, true);
        writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    }
    gw_journal_writer_close(writer, true);
}

/* A consumer that dies after every third batch, before or after its commit. */
static void cursor_gives_every_batch_at_least_once(void **state)
{
    enum { BATCHES = 60 };
    struct gw_journal_writer *writer;
    struct gw_journal_position position = beginning;
    uint32_t seen[BATCHES + 1] = {0};
    bool ended = false;

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= BATCHES; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    for (int life = 0; !ended; life++) {
        struct gw_journal_reader *reader;
        struct gw_journal_item item;
        int err = gw_cursor_read(NULL, kit_dir.path, "consumer", &position);

        assert_int_equal(err, life == 0 ? -ENOENT : 0);
        reader = reader_from(
            &kit_dir, err == 0 ? GW_JOURNAL_FROM_POSITION : GW_JOURNAL_FROM_BEGINNING, position);
        for (int done = 0; done < 3 && !ended;) {
            assert_int_equal(gw_journal_reader_next(reader, &item), 0);
            assert_int_not_equal(item.kind, GW_JOURNAL_DAMAGE);
            ended = item.kind == GW_JOURNAL_END;
            if (ended || !item.last)
                continue;
            seen[item.batch.sequence]++;
            done++;
            /* Every second life dies between the work and the commit of its last batch. */
            if (done < 3 || life % 2 == 0)
                assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "consumer", item.after), 0);
        }
        gw_journal_reader_close(reader);
        assert_true(life < BATCHES);
    }
    for (uint64_t sequence = 1; sequence <= BATCHES; sequence++)
        assert_in_range(seen[sequence], 1, 2);
    gw_journal_writer_close(writer, true);
}

static int count_cursors(void *visitor, const char *name, int err,
                         struct gw_journal_position position)
{
    uint64_t *sum = visitor;

    assert_int_equal(err, 0);
    assert_non_null(name);
    *sum += position.segment;
    return 0;
}

static void cursors_are_listed_replaced_and_deleted(void **state)
{
    static const char *const bad[] = {"", ".", "..", ".x", "a/b", "a b", "\xc3\xa4"};
    struct gw_journal_position position;
    uint64_t sum = 0;
    char longest[GW_CURSOR_NAME_BYTES_MAX + 2];

    (void)state;
    gw_journal_writer_close(kit_writer(&kit_dir, 1 << 20, NULL, NULL), true);
    for (size_t i = 0; i < GW_ARRAY_COUNT(bad); i++)
        assert_int_equal(
            gw_cursor_commit(NULL, kit_dir.path, bad[i], (struct gw_journal_position){0}), -EINVAL);
    memset(longest, 'x', sizeof(longest));
    longest[GW_CURSOR_NAME_BYTES_MAX + 1] = '\0';
    assert_false(gw_cursor_name_is_valid(longest));
    longest[GW_CURSOR_NAME_BYTES_MAX] = '\0';
    assert_int_equal(
        gw_cursor_commit(NULL, kit_dir.path, longest, (struct gw_journal_position){1, 9}), 0);
    assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "b", (struct gw_journal_position){20, 8}),
                     0);
    assert_int_equal(
        gw_cursor_commit(NULL, kit_dir.path, "b", (struct gw_journal_position){300, 8}), 0);
    assert_int_equal(gw_cursor_read(NULL, kit_dir.path, "b", &position), 0);
    assert_int_equal(position.segment, 300);
    assert_int_equal(gw_cursor_list(NULL, kit_dir.path, count_cursors, &sum), 0);
    assert_int_equal(sum, 301);
    assert_int_equal(gw_cursor_delete(NULL, kit_dir.path, "b"), 0);
    assert_int_equal(gw_cursor_delete(NULL, kit_dir.path, "b"), -ENOENT);
}

/* A commit that fails anywhere leaves the old position or the new one. */
static void cursor_commit_is_all_or_nothing(void **state)
{
    bool reached_the_end = false;

    (void)state;
    gw_journal_writer_close(kit_writer(&kit_dir, 1 << 20, NULL, NULL), true);
    for (uint64_t n = 1; !reached_the_end; n++) {
        struct gw_journal_position position;
        struct kit_disk disk;
        int err;

        assert_int_equal(
            gw_cursor_commit(NULL, kit_dir.path, "c", (struct gw_journal_position){1, 8192}), 0);
        kit_disk_init(&disk);
        disk.fail_at = n;
        disk.fail_with = -EIO;
        disk.short_bytes = 7;
        err = gw_cursor_commit(&disk.io, kit_dir.path, "c", (struct gw_journal_position){2, 8192});
        reached_the_end = disk.calls < n;
        assert_int_equal(err, reached_the_end ? 0 : -EIO);
        assert_int_equal(gw_cursor_read(NULL, kit_dir.path, "c", &position), 0);
        assert_true(position.segment == 1 || position.segment == 2);
        assert_true(n < 50);
    }
}

/* Every position that a commit may hold resumes exactly behind it. */
static void reading_resumes_at_every_position(void **state)
{
    enum { BATCHES = 40 };
    struct gw_journal_writer *writer;
    struct gw_journal_reader *reader;
    struct gw_journal_item item;

    (void)state;
    writer = kit_writer(&kit_dir, GW_JOURNAL_SEGMENT_BYTES_MIN, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= BATCHES; sequence++)
        assert_int_equal(kit_write(writer, 0, sequence, sequence - 1, 20), 0);
    gw_journal_writer_close(writer, true);
    reader = reader_from(&kit_dir, GW_JOURNAL_FROM_BEGINNING, beginning);
    for (;;) {
        struct kit_found found;

        assert_int_equal(gw_journal_reader_next(reader, &item), 0);
        if (item.kind == GW_JOURNAL_END)
            break;
        if (!item.last)
            continue;
        found = kit_read(&kit_dir, item.after);
        assert_int_equal(found.batches, BATCHES - item.batch.sequence);
        assert_int_equal(found.damages, 0);
        assert_true(found.in_order);
    }
    gw_journal_reader_close(reader);
}

/* The directory was emptied, its cursors were not: nothing of the new journal may be passed over.
 */
static void cursor_of_another_journal_reads_all_of_this_one(void **state)
{
    struct gw_journal_position far = {.segment = 57, .offset = 9000};
    struct gw_journal_options options = {.segment_bytes = GW_JOURNAL_SEGMENT_BYTES_MIN,
                                         .bytes_max = UINT64_C(3) * GW_JOURNAL_SEGMENT_BYTES_MIN};
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    struct kit_found found;
    uint64_t sequence = 1;
    char why[256];

    (void)state;
    options.path = kit_dir.path;
    assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)), 0);
    assert_int_equal(gw_cursor_commit(NULL, kit_dir.path, "old", far), 0);
    while (kit_write(writer, 0, sequence, sequence - 1, 20) == 0) {
        sequence++;
        assert_true(sequence < 1000); /* the cursor holds everything */
    }
    found = kit_read(&kit_dir, far);
    assert_int_equal(found.deletions, 1);
    assert_int_equal(found.batches, sequence - 1);
    gw_journal_writer_close(writer, true);
}

static void reader_of_nothing_says_why(void **state)
{
    struct gw_journal_reader_options options = {.path = "/nonexistent/journal"};
    struct gw_journal_reader *reader;
    char why[256] = "";

    (void)state;
    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof(why)), -ENOENT);
    assert_null(reader);
    assert_non_null(strstr(why, "/nonexistent/journal"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(reader_follows_a_living_writer_across_rolls),
        KIT_TEST(reader_that_retention_overtakes_is_told),
        KIT_TEST(reader_that_cannot_ask_for_the_writer_reads_nothing),
        KIT_TEST(reader_of_a_dead_disk_says_why),
        KIT_TEST(reader_from_the_end_sees_only_what_comes),
        KIT_TEST(cursor_gives_every_batch_at_least_once),
        KIT_TEST(cursors_are_listed_replaced_and_deleted),
        KIT_TEST(cursor_commit_is_all_or_nothing),
        KIT_TEST(reading_resumes_at_every_position),
        KIT_TEST(cursor_of_another_journal_reads_all_of_this_one),
        cmocka_unit_test(reader_of_nothing_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
