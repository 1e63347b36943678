/*
 * Recovery on images of a journal: cut at every byte, with every bit flipped, with and without
 * proof that what is missing was there. The oracle is a ledger of what was written when.
 */
#include "journal_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCHES = 6 };

/* A small journal of one segment, as bytes, and where its batches begin. */
struct image {
    uint8_t *bytes;
    size_t size;
    uint64_t begin[BATCHES + 1]; /* of batch i; the last is the end */
};

/*
 * Two lanes take turns: batch i is sequence i / 2 + 1 of lane i % 2. Each one was synced before the
 * next was sealed, so it proves all earlier ones of its lane.
 */
static void image_make(struct image *image, bool closed)
{
    struct kit_dir dir;
    char path[256];
    struct gw_journal_writer *writer;
    struct gw_journal_writer_stat stat;

    kit_dir_make(&dir);
    writer = kit_writer(&dir, 1 << 20, NULL, NULL);
    image->begin[0] = GW_SEGMENT_DATA_AT;
    for (uint32_t i = 0; i < BATCHES; i++) {
        assert_int_equal(kit_write(writer, i % 2, i / 2 + 1, i / 2, 2), 0);
        gw_journal_writer_stat(writer, &stat);
        image->begin[i + 1] = stat.durable.offset;
    }
    gw_journal_writer_close(writer, closed);
    kit_segment_path(path, &dir, 1);
    image->bytes = kit_file_read(path, &image->size);
    if (!closed) /* the zeros ahead are not what is tested here */
        image->size = image->begin[BATCHES] + 256;
    kit_dir_remove(&dir);
}

/* A directory with this segment and nothing else: no mark, no lock. */
static void image_put(const struct image *image, size_t bytes, struct kit_dir *dir)
{
    char path[256];

    kit_dir_make(dir);
    kit_segment_path(path, dir, 1);
    kit_file_write(path, image->bytes, bytes);
}

/* Recovers, and checks that readers before and after see the same. */
static struct kit_found recover(const struct kit_dir *dir, struct gw_journal_recovery *recovery)
{
    struct kit_found before = kit_read(dir, (struct gw_journal_position){.segment = 0});
    struct gw_journal_writer *writer = kit_writer(dir, 1 << 20, NULL, recovery);
    struct kit_found after;

    gw_journal_writer_close(writer, false);
    after = kit_read(dir, (struct gw_journal_position){.segment = 0});
    assert_int_equal(before.records, after.records);
    assert_int_equal(before.damaged_bytes, after.damaged_bytes);
    assert_int_equal(before.batches_lost, after.batches_lost);
    assert_true(after.in_order);
    assert_true(before.in_order);
    assert_int_equal(after.damaged_bytes, recovery->damaged_bytes);
    assert_int_equal(after.batches_lost, recovery->batches_lost);
    return after;
}

static uint64_t whole_batches(const struct image *image, size_t cut)
{
    uint64_t whole = 0;

    while (whole < BATCHES && image->begin[whole + 1] <= cut)
        whole++;
    return whole;
}

static void journal_cut_anywhere_keeps_its_whole_batches(void **state)
{
    struct image image;
    struct kit_dir dir;
    struct gw_journal_recovery recovery;

    (void)state;
    image_make(&image, false);
    for (size_t cut = GW_SEGMENT_DATA_AT; cut < image.begin[BATCHES] + 8; cut += DAMAGE_STRIDE) {
        struct kit_found found;

        image_put(&image, cut, &dir);
        found = recover(&dir, &recovery);
        assert_int_equal(found.batches, whole_batches(&image, cut));
        assert_int_equal(recovery.damaged_ranges, 0);
        assert_int_equal(recovery.batches_lost, 0);
        assert_int_equal(recovery.tail_bytes > 0 ? 1 : 0,
                         cut > image.begin[found.batches] && cut <= image.begin[BATCHES] &&
                                 cut - image.begin[found.batches] > 0 && found.batches < BATCHES
                             ? 1
                             : 0);
        kit_dir_remove(&dir);
    }
    free(image.bytes);
}

static void journal_cut_inside_its_header_gives_nothing_wrong(void **state)
{
    struct image image;
    struct kit_dir dir;
    struct gw_journal_recovery recovery;

    (void)state;
    image_make(&image, false);
    for (size_t cut = 0; cut < GW_SEGMENT_DATA_AT; cut += 509) {
        struct kit_found found;

        image_put(&image, cut, &dir);
        found = recover(&dir, &recovery);
        assert_int_equal(found.records, 0);
        kit_dir_remove(&dir);
    }
    free(image.bytes);
}

/*
 * A flipped bit in batch i: the batch is gone, nothing wrong comes out, and whether it is loss or
 * tail depends on whether something behind it proves that it was durable. Batch i is proven by the
 * next batch of its lane (i + 2), and through the same hole nothing of the other lane is lost.
 */
static void flips(bool closed)
{
    struct image image;
    struct kit_dir dir;
    struct gw_journal_recovery recovery;

    image_make(&image, closed);
    for (size_t at = image.begin[0]; at < image.begin[BATCHES]; at += DAMAGE_STRIDE) {
        unsigned bit = (unsigned)(at * 5 % 8);
        uint64_t hit = whole_batches(&image, at);
        bool proven = closed || hit + 2 < BATCHES;
        struct kit_found found;

        image.bytes[at] ^= (uint8_t)(1u << bit);
        image_put(&image, image.size, &dir);
        found = recover(&dir, &recovery);
        if (proven) {
            assert_int_equal(found.batches, BATCHES - 1);
            assert_int_equal(recovery.damaged_ranges, 1);
            assert_int_equal(recovery.batches_lost, 1);
            assert_int_equal(recovery.damage_at.offset, image.begin[hit]);
            assert_int_equal(recovery.damaged_bytes, image.begin[hit + 1] - image.begin[hit]);
        } else {
            assert_int_equal(found.batches, hit);
            assert_int_equal(recovery.damaged_ranges, 0);
            assert_int_equal(recovery.batches_lost, 0);
            assert_true(recovery.tail_bytes > 0);
        }
        assert_int_equal(recovery.clean, closed);
        kit_dir_remove(&dir);
        image.bytes[at] ^= (uint8_t)(1u << bit);
    }
    free(image.bytes);
}

static void flipped_bit_before_the_provable_mark_is_loss_and_behind_it_is_tail(void **state)
{
    (void)state;
    flips(false);
}

static void flipped_bit_anywhere_before_a_clean_stop_is_loss(void **state)
{
    (void)state;
    flips(true);
}

static void flipped_bit_in_one_header_copy_changes_nothing(void **state)
{
    struct image image;
    struct kit_dir dir;
    struct gw_journal_recovery recovery;

    (void)state;
    image_make(&image, false);
    for (size_t at = 0; at < GW_SEGMENT_DATA_AT; at += 97) {
        image.bytes[at] ^= 4;
        image_put(&image, image.size, &dir);
        assert_int_equal(recover(&dir, &recovery).batches, BATCHES);
        kit_dir_remove(&dir);
        image.bytes[at] ^= 4;
    }
    free(image.bytes);
}

static void segment_without_any_header_is_reported_whole(void **state)
{
    struct image image;
    struct kit_dir dir;
    struct gw_journal_recovery recovery;
    struct kit_found found;

    (void)state;
    image_make(&image, false);
    image.bytes[100] ^= 1;
    image.bytes[GW_SEGMENT_HEADER_BYTES + 100] ^= 1;
    image_put(&image, image.size, &dir);
    gw_journal_writer_close(kit_writer(&dir, 1 << 20, NULL, &recovery), false);
    assert_int_equal(recovery.damaged_ranges, 1);
    assert_int_equal(recovery.damaged_bytes, image.size);
    found = kit_read(&dir, (struct gw_journal_position){.segment = 0});
    assert_int_equal(found.records, 0);
    assert_int_equal(found.damaged_bytes, image.size);
    kit_dir_remove(&dir);
    free(image.bytes);
}

/* The live mark survives a killed process; it proves the last batches, which nothing else does. */
static void live_mark_proves_what_no_later_batch_can(void **state)
{
    struct kit_dir dir;
    struct gw_journal_recovery recovery;
    struct gw_journal_writer_stat stat;
    struct gw_journal_writer *writer;
    struct kit_found found;
    char path[256];
    uint8_t *bytes;
    size_t size;

    (void)state;
    kit_dir_make(&dir);
    writer = kit_writer(&dir, 1 << 20, NULL, NULL);
    assert_int_equal(kit_write(writer, 0, 1, 0, 3), 0);
    gw_journal_writer_stat(writer, &stat);
    assert_int_equal(kit_write(writer, 0, 2, 1, 3), 0);
    gw_journal_writer_close(writer, false);
    kit_segment_path(path, &dir, 1);
    bytes = kit_file_read(path, &size);
    bytes[stat.durable.offset + 100] ^= 1;
    kit_file_write(path, bytes, size);
    free(bytes);
    writer = kit_writer(&dir, 1 << 20, NULL, &recovery);
    gw_journal_writer_close(writer, false);
    assert_int_equal(recovery.damaged_ranges, 1);
    assert_int_equal(recovery.damage_at.offset, stat.durable.offset);
    found = kit_read(&dir, (struct gw_journal_position){.segment = 0});
    assert_int_equal(found.batches, 1);
    assert_int_equal(found.damages, 1);
    (void)snprintf(path, sizeof(path), "%s/quarantine/%020d-%012d.bad", dir.path, 1,
                   (int)stat.durable.offset);
    bytes = kit_file_read(path, &size);
    assert_int_equal(size, recovery.damaged_bytes);
    free(bytes);
    kit_dir_remove(&dir);
}

/* A mark of another life must prove nothing. */
static void mark_of_another_epoch_proves_nothing(void **state)
{
    struct image image;
    struct kit_dir dir, other;
    struct gw_journal_recovery recovery;
    char from[256], to[256];
    uint8_t *mark;
    size_t size;

    (void)state;
    image_make(&image, false);
    kit_dir_make(&other);
    gw_journal_writer_close(kit_writer(&other, 1 << 20, NULL, NULL), false);
    (void)snprintf(from, sizeof(from), "%s/mark", other.path);
    mark = kit_file_read(from, &size);
    image_put(&image, image.begin[3], &dir);
    (void)snprintf(to, sizeof(to), "%s/mark", dir.path);
    kit_file_write(to, mark, size);
    (void)recover(&dir, &recovery);
    assert_int_equal(recovery.damaged_ranges, 0);
    assert_int_equal(recovery.batches, 3);
    free(mark);
    free(image.bytes);
    kit_dir_remove(&other);
    kit_dir_remove(&dir);
}

/* A disk that has not got what memory still shows: [lost_from, lost_to) of the newest segment. */
static uint64_t lost_from, lost_to;

static void lose_what_was_not_synced(void *context, int fd, uint64_t offset)
{
    static uint8_t zeros[KIT_BATCH_BYTES_MAX];
    struct iovec iov = {.iov_base = zeros, .iov_len = lost_to - lost_from};

    (void)context;
    assert_true(offset <= lost_from);
    assert_int_equal(gw_journal_io_system.pwritev(NULL, fd, &iov, 1, lost_from), iov.iov_len);
}

static int sync_fails(void *context, int fd)
{
    (void)context;
    (void)fd;
    return -EIO;
}

/*
 * A sync failed and the process died of it. The kernel shows the batch as long as it has the memory
 * and calls the next sync a success, unless nobody was told of the error yet; recovery must not
 * build on that, or it is loss later.
 */
static void batch_of_a_failed_sync_is_not_taken_from_memory(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        struct gw_journal_recovery recovery;
        struct gw_journal_writer_stat stat;
        struct gw_journal_writer *writer;
        struct kit_disk disk;
        struct kit_dir dir;
        struct kit_found found;

        kit_dir_make(&dir);
        kit_disk_init(&disk);
        writer = kit_writer(&dir, 1 << 20, &disk.io, NULL);
        assert_int_equal(kit_write(writer, 0, 1, 0, 2), 0);
        gw_journal_writer_stat(writer, &stat);
        disk.only_data = disk.fail_forever = true;
        disk.calls = 0;
        disk.fail_at = 2; /* the batch is written, and from its sync on everything fails */
        disk.fail_with = -EIO;
        assert_int_equal(kit_write(writer, 0, 2, 1, 2), -EIO);
        gw_journal_writer_close(writer, false);

        lost_from = stat.durable.offset;
        lost_to = lost_from + 1024;
        kit_disk_init(&disk);
        disk.io.forget = lose_what_was_not_synced;
        if (told == 0)
            disk.io.fdatasync = sync_fails;
        gw_journal_writer_close(kit_writer(&dir, 1 << 20, &disk.io, &recovery), false);
        assert_int_equal(recovery.damaged_ranges, 0);
        assert_int_equal(recovery.batches_lost, 0);
        assert_int_equal(recovery.tail_bytes, 0);
        found = kit_read(&dir, (struct gw_journal_position){.segment = 0});
        assert_int_equal(found.batches, 1);
        assert_int_equal(found.damages, 0);
        kit_dir_remove(&dir);
    }
}

/* What a value says must never be taken for a batch, not even behind a damaged place. */
static void batch_inside_a_value_is_never_served(void **state)
{
    static uint8_t inner[4096], outer[KIT_BATCH_BYTES_MAX];
    struct kit_dir dir;
    struct gw_journal_recovery recovery;
    struct gw_journal_writer *writer;
    struct gw_record record = {.kind = GW_RECORD_PIN_WRITE, .sequence = 1};
    struct gw_bytes bytes;
    struct kit_found found;
    uint8_t *image;
    char path[256];
    size_t size;
    uint32_t durable;

    (void)state;
    kit_dir_make(&dir);
    writer = kit_writer(&dir, 1 << 20, NULL, NULL);
    {
        /* The device knows everything but the seed. */
        struct gw_batch guess = {.kind = GW_BATCH_RECORDS,
                                 .lane = 0,
                                 .epoch = gw_journal_writer_epoch(writer),
                                 .sequence = 2};

        size = 2; /* so that it begins at a multiple of 8: 72 + 38 + 2 */
        record.value = gw_bytes_of(inner, size + gw_batch_seal(inner + size, &guess, KIT_SEED + 1));
    }
    gw_record_encode(outer + GW_BATCH_HEADER_BYTES, &record);
    bytes = gw_bytes_of(outer,
                        gw_batch_seal(outer,
                                      &(struct gw_batch){.kind = GW_BATCH_RECORDS,
                                                         .count = 1,
                                                         .epoch = gw_journal_writer_epoch(writer),
                                                         .sequence = 1,
                                                         .body = {NULL, gw_record_bytes(&record)}},
                                      KIT_SEED));
    assert_int_equal(gw_journal_writer_write(writer, &bytes, 1, &durable), 0);
    assert_int_equal(kit_write(writer, 0, 2, 1, 1), 0);
    gw_journal_writer_close(writer, true);
    kit_segment_path(path, &dir, 1);
    image = kit_file_read(path, &size);
    image[GW_SEGMENT_DATA_AT + 20] ^= 1; /* the count of the outer batch: its hash is wrong now */
    kit_file_write(path, image, size);
    free(image);
    gw_journal_writer_close(kit_writer(&dir, 1 << 20, NULL, &recovery), false);
    found = kit_read(&dir, (struct gw_journal_position){.segment = 0});
    assert_int_equal(found.batches, 1);
    assert_int_equal(found.last[0], 2);
    assert_int_equal(found.batches_lost, 1);
    assert_true(found.in_order);
    kit_dir_remove(&dir);
}

static void epochs_rise_whatever_the_clock_says(void **state)
{
    struct kit_dir dir;
    struct kit_disk disk;
    uint64_t before = 0;

    (void)state;
    kit_dir_make(&dir);
    kit_disk_init(&disk);
    for (int i = 0; i < 5; i++) {
        struct gw_journal_recovery recovery;
        struct gw_journal_writer *writer;

        disk.now_us -= 1000000; /* the clock goes back */
        writer = kit_writer(&dir, 1 << 20, &disk.io, &recovery);
        /* With room for the numbers of sessions, which are counted from it. */
        assert_true(recovery.epoch >= before + (UINT64_C(1) << 32));
        assert_int_equal(recovery.segments, i);
        assert_int_equal(recovery.clean, i % 2 == 1);
        before = recovery.epoch;
        assert_int_equal(kit_write(writer, 0, 1, 0, 1), 0);
        gw_journal_writer_close(writer, i % 2 == 0);
    }
    assert_int_equal(kit_read(&dir, (struct gw_journal_position){.segment = 0}).records, 5);
    kit_dir_remove(&dir);
}

/* The nth call of recovery fails: opening says so, and the next opening finds everything. */
static void recovery_that_fails_anywhere_may_be_done_again(void **state)
{
    struct image image;
    bool reached_the_end = false;

    (void)state;
    image_make(&image, false);
    image.bytes[image.begin[1] + 20] ^= 1;
    for (uint64_t n = 1; !reached_the_end; n++) {
        struct gw_journal_options options = {.segment_bytes = 1 << 20};
        struct gw_journal_recovery recovery;
        struct gw_journal_writer *writer;
        struct kit_disk disk;
        struct kit_dir dir;
        char why[256];

        image_put(&image, image.size, &dir);
        kit_disk_init(&disk);
        disk.fail_at = n;
        disk.fail_with = -EIO;
        options.path = dir.path;
        options.io = &disk.io;
        if (gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)) == 0)
            gw_journal_writer_close(writer, false);
        else
            assert_true(strlen(why) > 0);
        reached_the_end = disk.calls < n;
        if (gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)) != 0) {
            disk.fail_at = 0;
            assert_int_equal(gw_journal_writer_open(&options, &writer, &recovery, why, sizeof(why)),
                             0);
        }
        gw_journal_writer_close(writer, false);
        {
            struct kit_found found = kit_read(&dir, (struct gw_journal_position){.segment = 0});

            assert_int_equal(found.batches, BATCHES - 1);
            assert_int_equal(found.batches_lost, 1);
            assert_true(found.in_order);
        }
        kit_dir_remove(&dir);
        assert_true(n < 200);
    }
    free(image.bytes);
}

static void random_damage_is_never_served(void **state)
{
    struct image image;
    uint64_t seed = 88172645463325252u;

    (void)state;
    image_make(&image, true);
    for (int round = 0; round < 300; round++) {
        struct gw_journal_recovery recovery;
        struct kit_dir dir;
        struct image copy = image;
        struct kit_found found;

        copy.bytes = malloc(image.size);
        assert_non_null(copy.bytes);
        memcpy(copy.bytes, image.bytes, image.size);
        for (int hit = 0; hit < 1 + round % 4; hit++) {
            size_t at, length;

            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            at = GW_SEGMENT_DATA_AT + seed % (image.begin[BATCHES] - GW_SEGMENT_DATA_AT);
            length = 1 + (seed >> 32) % 64;
            for (size_t i = at; i < at + length && i < image.begin[BATCHES]; i++)
                copy.bytes[i] = round % 2 == 0 ? 0 : (uint8_t)(seed >> (i % 8));
        }
        image_put(&copy, copy.size, &dir);
        found = recover(&dir, &recovery);
        assert_int_equal(found.batches + found.batches_lost, BATCHES);
        kit_dir_remove(&dir);
        free(copy.bytes);
    }
    free(image.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_cut_anywhere_keeps_its_whole_batches),
        cmocka_unit_test(journal_cut_inside_its_header_gives_nothing_wrong),
        cmocka_unit_test(flipped_bit_before_the_provable_mark_is_loss_and_behind_it_is_tail),
        cmocka_unit_test(flipped_bit_anywhere_before_a_clean_stop_is_loss),
        cmocka_unit_test(flipped_bit_in_one_header_copy_changes_nothing),
        cmocka_unit_test(segment_without_any_header_is_reported_whole),
        cmocka_unit_test(live_mark_proves_what_no_later_batch_can),
        cmocka_unit_test(mark_of_another_epoch_proves_nothing),
        cmocka_unit_test(batch_of_a_failed_sync_is_not_taken_from_memory),
        cmocka_unit_test(batch_inside_a_value_is_never_served),
        cmocka_unit_test(epochs_rise_whatever_the_clock_says),
        cmocka_unit_test(recovery_that_fails_anywhere_may_be_done_again),
        cmocka_unit_test(random_damage_is_never_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
