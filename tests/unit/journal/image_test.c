/*
 * A log of several segments and lanes, as a kill or a power cut may leave it, damaged in thousands
 * of places: cut at every byte of its end, with a bit flipped, a sector torn, a block zeroed. What
 * is damaged is never given out; it is reported when the log can prove that it was durable once,
 * and is the tail otherwise; everything else is still there.
 *
 *     unit_journal_image_test [--rounds N] [--every N] [--seed S]
 */
#include "journal_kit.h"
#include "long_run.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/bytes.h>

enum {
    SEGMENT_BYTES = 128 << 10,
    CUT_BYTES = 64 << 10, /* of the end, at each byte of which the log is cut */
    LANES = 3,
    GROUP_MAX = 6, /* batches that share a sync */
    BATCHES_MAX = 4096,
    SEGMENTS_MAX = 8,
    RECOVER_EVERY = 50, /* damages between two that the writer recovers, too */
    SECTOR_BYTES = 512,
    BLOCK_BYTES = 4096,
};

static uint64_t rounds = 100, every = 499;
static uint64_t seed = 1;

static uint32_t dice(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

/* How the log was left, and so what proves its last batches. */
enum ending {
    POWER_CUT, /* the mark has not reached the disk: only what batches say      */
    KILLED,    /* the mark lies at the end                                      */
    CLOSED,    /* a closing batch behind everything                             */
    ENDINGS,
};

struct batch {
    uint32_t segment; /* counted from 0 */
    uint64_t begin, end;
    uint32_t lane;
    uint64_t sequence, durable;
};

struct image {
    struct kit_dir dir;
    enum ending ending;
    uint32_t segments;
    uint8_t *bytes[SEGMENTS_MAX];
    size_t size[SEGMENTS_MAX];
    struct batch batches[BATCHES_MAX]; /* in the order of the log, the closing one left out */
    uint32_t count;
    uint64_t end; /* of the newest segment's batches */
};

static void write_groups(const struct kit_dir *dir, enum ending ending)
{
    static uint8_t room[GROUP_MAX][KIT_BATCH_BYTES_MAX];
    struct gw_journal_writer *writer = kit_writer(dir, SEGMENT_BYTES, NULL, NULL);
    uint64_t sealed[LANES] = {0}, synced[LANES] = {0};
    struct gw_journal_writer_stat stat;

    do {
        uint32_t count = 1 + dice(GROUP_MAX), durable;
        struct gw_bytes group[GROUP_MAX];

        for (uint32_t i = 0; i < count; i++) {
            uint32_t lane = dice(LANES);

            group[i] = kit_batch(room[i], writer, lane, ++sealed[lane], synced[lane], 1 + dice(60));
        }
        assert_int_equal(gw_journal_writer_write(writer, group, count, &durable), 0);
        assert_int_equal(durable, count);
        memcpy(synced, sealed, sizeof synced);
        gw_journal_writer_stat(writer, &stat);
    } while (stat.durable.segment < 3 ||
             stat.durable.offset < GW_SEGMENT_DATA_AT + CUT_BYTES * 5 / 4);
    gw_journal_writer_close(writer, ending == CLOSED);
}

/* The batches of a segment that is whole, from its bytes. */
static void note_batches(struct image *image, uint32_t segment)
{
    uint64_t at = GW_SEGMENT_DATA_AT;
    struct gw_batch batch;
    size_t used;

    while (at < image->size[segment] &&
           gw_batch_decode(gw_bytes_of(image->bytes[segment] + at, image->size[segment] - at),
                           KIT_SEED, &batch, &used) == GW_OK) {
        if (batch.kind == GW_BATCH_RECORDS) {
            assert_true(image->count < BATCHES_MAX);
            image->batches[image->count++] = (struct batch){.segment = segment,
                                                            .begin = at,
                                                            .end = at + used,
                                                            .lane = batch.lane,
                                                            .sequence = batch.sequence,
                                                            .durable = batch.durable};
            image->end = at + used;
        }
        at += used;
    }
}

static struct image *image_make(enum ending ending)
{
    struct image *image = calloc(1, sizeof *image);
    char path[256];

    assert_non_null(image);
    image->ending = ending;
    kit_dir_make(&image->dir);
    write_groups(&image->dir, ending);
    if (ending == POWER_CUT) {
        (void)snprintf(path, sizeof path, "%s/mark", image->dir.path);
        assert_int_equal(unlink(path), 0);
    }
    for (;; image->segments++) {
        uint32_t n = image->segments;

        kit_segment_path(path, &image->dir, n + 1);
        if (access(path, F_OK) != 0)
            break;
        assert_true(n < SEGMENTS_MAX);
        image->bytes[n] = kit_file_read(path, &image->size[n]);
        note_batches(image, n);
    }
    assert_int_equal(image->segments, 3);
    return image;
}

static void image_free(struct image *image)
{
    kit_dir_remove(&image->dir);
    for (uint32_t i = 0; i < image->segments; i++)
        free(image->bytes[i]);
    free(image);
}

static int open_segment(const struct image *image, uint32_t segment)
{
    char path[256];
    int fd;

    kit_segment_path(path, &image->dir, segment + 1);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static struct kit_found read_all(const struct kit_dir *dir)
{
    return kit_read(dir, (struct gw_journal_position){.segment = 0});
}

/* On a copy of the log: what readers see is the same before recovery and after it. */
static void recovery_agrees(const struct image *image, const struct kit_found *before)
{
    struct gw_journal_recovery recovery;
    struct kit_found after;
    struct kit_dir dir;
    char from[256], to[256];
    uint8_t *bytes;
    size_t size;

    kit_dir_make(&dir);
    for (uint32_t i = 0; i < image->segments; i++) {
        kit_segment_path(from, &image->dir, i + 1);
        kit_segment_path(to, &dir, i + 1);
        bytes = kit_file_read(from, &size);
        kit_file_write(to, bytes, size);
        free(bytes);
    }
    if (image->ending != POWER_CUT) {
        (void)snprintf(from, sizeof from, "%s/mark", image->dir.path);
        (void)snprintf(to, sizeof to, "%s/mark", dir.path);
        bytes = kit_file_read(from, &size);
        kit_file_write(to, bytes, size);
        free(bytes);
    }
    gw_journal_writer_close(kit_writer(&dir, SEGMENT_BYTES, NULL, &recovery), false);
    after = read_all(&dir);
    assert_int_equal(after.batches, before->batches);
    assert_int_equal(after.records, before->records);
    assert_int_equal(after.damaged_bytes, before->damaged_bytes);
    assert_int_equal(after.batches_lost, before->batches_lost);
    assert_true(after.in_order);
    kit_dir_remove(&dir);
}

/* ---- the oracle ---- */

/*
 * Does the log prove that batches [first, past) were durable? In a segment with a successor, with a
 * mark behind them or a clean stop: yes. Otherwise when one behind them says that its lane was
 * durable further than was met before them.
 */
static bool is_proven(const struct image *image, uint32_t first, uint32_t past)
{
    uint64_t met[LANES] = {0};

    if (image->ending != POWER_CUT || image->batches[first].segment + 1 < image->segments)
        return true;
    for (uint32_t i = 0; i < first; i++)
        met[image->batches[i].lane] = image->batches[i].sequence;
    for (uint32_t i = past; i < image->count; i++)
        if (image->batches[i].durable > met[image->batches[i].lane])
            return true;
    return false;
}

/* What must be found when batches [first, past) are unreadable. */
static void expect_without(const struct image *image, uint32_t first, uint32_t past,
                           const struct kit_found *found)
{
    uint64_t bytes = image->batches[past - 1].end - image->batches[first].begin;

    assert_true(found->in_order);
    if (is_proven(image, first, past)) {
        assert_int_equal(found->batches, image->count - (past - first));
        assert_int_equal(found->damaged_bytes, bytes);
        assert_int_equal(found->damages > 0, true);
        assert_true(found->batches_lost <= past - first);
    } else {
        assert_int_equal(found->batches, first);
        assert_int_equal(found->damages, 0);
    }
}

static void expect_all(const struct image *image, const struct kit_found *found)
{
    assert_true(found->in_order);
    assert_int_equal(found->batches, image->count);
    assert_int_equal(found->damages, 0);
}

/* ---- damage ---- */

enum damage { BIT, SECTOR, BLOCK, DAMAGES };

/* Puts other bytes at [*begin, *end) of `out`, which holds the segment's. */
static void damage_at(const struct image *image, uint32_t segment, enum damage kind, uint8_t *out,
                      size_t *begin, size_t *end)
{
    size_t bytes = kind == BLOCK ? BLOCK_BYTES : SECTOR_BYTES;
    size_t at = dice((uint32_t)image->size[segment]);

    *begin = kind == BIT ? at : at / bytes * bytes;
    *end = kind == BIT ? at + 1 : *begin + bytes;
    if (*end > image->size[segment])
        *end = image->size[segment];
    for (size_t i = *begin; i < *end; i++)
        out[i - *begin] = kind == BIT     ? image->bytes[segment][i] ^ (uint8_t)(1u << dice(8))
                          : kind == BLOCK ? 0
                                          : (uint8_t)dice(256); /* what lay there before */
}

/* The batches that hold a byte which is not what it was: [*first, *past); false for more than one
 * such run. */
static bool batches_hit(const struct image *image, uint32_t segment, const uint8_t *now,
                        size_t begin, size_t end, uint32_t *first, uint32_t *past)
{
    *first = *past = 0;
    for (uint32_t i = 0; i < image->count; i++) {
        const struct batch *b = &image->batches[i];
        size_t from = b->begin > begin ? b->begin : begin, to = b->end < end ? b->end : end;

        if (b->segment != segment || from >= to ||
            memcmp(now + (from - begin), image->bytes[segment] + from, to - from) == 0)
            continue;
        if (*past != 0 && *past != i)
            return false;
        if (*past == 0)
            *first = i;
        *past = i + 1;
    }
    return true;
}

/* A clean stop's own batch is nobody's. */
static bool is_closing(const struct image *image, uint32_t segment, size_t end)
{
    return image->ending == CLOSED && segment + 1 == image->segments && end > image->end;
}

static void damage(const struct image *image, enum damage kind, uint32_t round, uint32_t *hits)
{
    uint32_t segment = dice(image->segments), first, past;
    int fd = open_segment(image, segment);
    uint8_t now[BLOCK_BYTES];
    struct kit_found found;
    size_t begin, end;

    damage_at(image, segment, kind, now, &begin, &end);
    if (!is_closing(image, segment, end) &&
        batches_hit(image, segment, now, begin, end, &first, &past)) {
        assert_int_equal(pwrite(fd, now, end - begin, (off_t)begin), end - begin);
        found = read_all(&image->dir);
        if (past > first)
            expect_without(image, first, past, &found);
        else
            expect_all(image, &found);
        if (round % RECOVER_EVERY == 0)
            recovery_agrees(image, &found);
        assert_int_equal(pwrite(fd, image->bytes[segment] + begin, end - begin, (off_t)begin),
                         end - begin);
        *hits += past > first;
    }
    assert_int_equal(close(fd), 0);
}

static void damaged_places_are_never_given_out(void **state)
{
    uint32_t hits = 0;

    (void)state;
    for (enum ending ending = POWER_CUT; ending < ENDINGS; ending++) {
        struct image *image = image_make(ending);
        struct kit_found found = read_all(&image->dir);

        expect_all(image, &found);
        for (uint64_t round = 0; round < rounds; round++)
            damage(image, round % 8 < 6 ? BIT : round % 8 == 6 ? SECTOR : BLOCK, round, &hits);
        found = read_all(&image->dir);
        expect_all(image, &found); /* the test itself has left nothing behind */
        image_free(image);
    }
    print_message("%llu places damaged, %u of them in a batch\n",
                  (unsigned long long)rounds * ENDINGS, hits);
    assert_true(hits > rounds);
}

/* ---- cuts ---- */

static void a_log_cut_at_any_byte_keeps_what_is_whole(void **state)
{
    (void)state;
    for (enum ending ending = POWER_CUT; ending <= KILLED; ending++) {
        struct image *image = image_make(ending);
        uint32_t newest = image->segments - 1, whole = image->count;
        int fd = open_segment(image, newest);

        for (uint64_t cut = image->end + 8; cut > image->end - CUT_BYTES; cut--) {
            uint64_t kept;
            struct kit_found found;

            while (image->batches[whole - 1].end > cut)
                whole--;
            kept = image->batches[whole - 1].end;
            if (cut % every != 0 && cut > kept + 1 &&
                (whole == image->count || cut + 1 < image->batches[whole].end))
                continue; /* next to a batch's end always */
            assert_int_equal(ftruncate(fd, (off_t)cut), 0);
            found = read_all(&image->dir);
            assert_int_equal(found.batches, whole);
            assert_int_equal(found.damaged_bytes, ending == KILLED ? image->end - kept : 0);
            assert_true(found.in_order);
            /* Also where a zero at most is missing, of what fills the last batch up. */
            if (cut % (RECOVER_EVERY * every) == 0 ||
                (whole < image->count && cut + 1 == image->batches[whole].end))
                recovery_agrees(image, &found);
        }
        assert_int_equal(close(fd), 0);
        image_free(image);
    }
}

int main(int argc, char **argv)
{
    static const struct long_run_option names[] = {
        {"rounds", &rounds}, {"every", &every}, {"seed", &seed}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_places_are_never_given_out),
        cmocka_unit_test(a_log_cut_at_any_byte_keeps_what_is_whole),
    };

    if (long_run_read(argc, argv, names, GW_ARRAY_COUNT(names), 0,
                      "unit_journal_image_test [--rounds N] [--every N] [--seed S]") < 0)
        return 64;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
