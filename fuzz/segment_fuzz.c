/*
 * Target  gw_segment_scan, gw_segment_walk_next, gw_segment_header_decode: where a log ends after
 *         a crash
 *
 * Input   a program, two bytes a step, that builds a segment's file: batches, garbage, zeros,
 *         batches of another life, a clean stop, syncs, flipped bits, pages that the disk cannot
 *         read
 *
 * Oracle  the end is not before what was marked as durable; before it stand as many batches as are
 *         counted, each of them sound and whole; damage lies before it, in order and apart; and
 *         the file cut at its end and durable so far, which is what recovery makes of it, reads
 *         the same
 *
 * The scan finds batches; here it is known where they were put, so each is only looked at.
 */
#include <errno.h>
#include <string.h>

#include <gw/base/assert.h>

#include "fuzz.h"
#include "journal_internal.h"

enum {
    SEED = 7,
    EPOCH = 3,
    LANES = 4,
    PAGE_BYTES = 4096,
    STEPS_MAX = 64,
    FILE_BYTES_MAX = 192 << 10,
    BODY_BYTES_MAX = 512,
};

enum step { BATCH, GARBAGE, ZEROS, SYNC, FLIP, OTHER_LIFE, CLOSING, UNREADABLE, STEPS };

struct place {
    uint64_t at, bytes;
};

static struct file {
    uint8_t bytes[FILE_BYTES_MAX];
    uint64_t size;
    bool unreadable[FILE_BYTES_MAX / PAGE_BYTES];
    uint64_t mark;
    struct place batches[STEPS_MAX];
    size_t batch_count;
    uint64_t sequence[LANES], durable[LANES];
} file;

/* ---- the file system ---- */

static ssize_t file_pread(void *context, int fd, void *out, size_t bytes, uint64_t at)
{
    (void)context;
    (void)fd;
    if (at >= file.size)
        return 0;
    bytes = (size_t)gw_min_u64(bytes, file.size - at);
    for (uint64_t page = at / PAGE_BYTES; page * PAGE_BYTES < at + bytes; page++)
        if (file.unreadable[page])
            return -EIO;
    memcpy(out, file.bytes + at, bytes);
    return (ssize_t)bytes;
}

static int64_t file_size(void *context, int fd)
{
    (void)context;
    (void)fd;
    return (int64_t)file.size;
}

static int file_fdatasync(void *context, int fd)
{
    (void)context;
    (void)fd;
    return 0;
}

static const struct gw_journal_io io = {
    .pread = file_pread, .size = file_size, .fdatasync = file_fdatasync};

/* ---- building it ---- */

static void put(const void *from, size_t bytes)
{
    if (file.size + bytes > FILE_BYTES_MAX)
        return;
    if (bytes > 0)
        memcpy(file.bytes + file.size, from, bytes);
    file.size += bytes;
}

static void put_batch(uint8_t kind, uint8_t how, struct gw_bytes body, uint64_t seed)
{
    static uint8_t sealed[GW_BATCH_HEADER_BYTES + BODY_BYTES_MAX + GW_BATCH_ALIGN_BYTES];
    const uint32_t lane = how % LANES;
    struct gw_batch batch = {.kind = kind, .epoch = EPOCH, .lane = lane};
    uint64_t at = file.size;

    memset(sealed, 0, sizeof sealed);
    if (kind == GW_BATCH_CLOSING) {
        batch.lane = GW_BATCH_LANE_WRITER;
        batch.sequence = 1;
        for (size_t i = 0; i < LANES; i++)
            gw_store_le64(sealed + GW_BATCH_HEADER_BYTES + 8 * i, file.sequence[i]);
        batch.body = gw_bytes_of(NULL, 8 * (size_t)LANES);
    } else {
        batch.sequence = ++file.sequence[lane];
        batch.durable = file.durable[lane];
        if (body.size > 0)
            memcpy(sealed + GW_BATCH_HEADER_BYTES, body.data, body.size);
        batch.body = gw_bytes_of(NULL, body.size);
    }
    put(sealed, gw_batch_seal(sealed, &batch, seed));
    if (file.size > at && seed == SEED)
        file.batches[file.batch_count++] = (struct place){.at = at, .bytes = file.size - at};
}

static void flip(uint8_t how, struct gw_bytes *rest)
{
    if (file.batch_count == 0 || rest->size == 0)
        return;
    const struct place *place = &file.batches[how % file.batch_count];

    file.bytes[place->at + rest->data[0] % place->bytes] ^= (uint8_t)(1u << rest->data[0] % 8);
    *rest = gw_bytes_after(*rest, 1);
}

static void take_step(enum step step, uint8_t how, struct gw_bytes *rest)
{
    static const uint8_t zeros[PAGE_BYTES];
    struct gw_bytes body = gw_bytes_of(rest->data, (size_t)gw_min_u64(how / LANES, rest->size));

    switch (step) {
    case BATCH:
        put_batch(GW_BATCH_RECORDS, how, body, SEED);
        *rest = gw_bytes_after(*rest, body.size);
        break;
    case GARBAGE:
        put(body.data, body.size);
        put(zeros, gw_batch_aligned(body.size) - body.size);
        *rest = gw_bytes_after(*rest, body.size);
        break;
    case ZEROS:
        put(zeros, how % 8 == 0 ? sizeof zeros : (size_t)8 * how);
        break;
    case SYNC: /* all of it is on disk, and the mark says so */
        memcpy(file.durable, file.sequence, sizeof file.durable);
        file.mark = file.size;
        break;
    case FLIP:
        flip(how, rest);
        break;
    case OTHER_LIFE:
        put_batch(GW_BATCH_RECORDS, how, body, SEED + 1);
        break;
    case CLOSING:
        put_batch(GW_BATCH_CLOSING, 0, body, SEED);
        break;
    case UNREADABLE:
        if (file.size > GW_SEGMENT_DATA_AT)
            file.unreadable[(GW_SEGMENT_DATA_AT + how * (uint64_t)PAGE_BYTES) % file.size /
                            PAGE_BYTES] = true;
        break;
    case STEPS:
        break;
    }
}

static void build(struct gw_bytes program)
{
    memset(&file, 0, sizeof file);
    file.size = GW_SEGMENT_DATA_AT;
    for (int i = 0; i < STEPS_MAX && program.size >= 2; i++) {
        enum step step = (enum step)(program.data[0] % STEPS);
        uint8_t how = program.data[1];

        program = gw_bytes_after(program, 2);
        take_step(step, how, &program);
    }
}

/* ---- what must be found ---- */

/* What cannot be read is taken for zeros. Where zeros are what was there, nothing is lost. */
static bool is_sound(struct place place)
{
    static uint8_t bytes[GW_BATCH_HEADER_BYTES + BODY_BYTES_MAX + GW_BATCH_ALIGN_BYTES];
    struct gw_batch batch;
    size_t used;

    gw_assert(place.bytes <= sizeof bytes);
    for (uint64_t i = 0; i < place.bytes; i++)
        bytes[i] = file.unreadable[(place.at + i) / PAGE_BYTES] ? 0 : file.bytes[place.at + i];
    return gw_batch_decode(gw_bytes_of(bytes, (size_t)place.bytes), SEED, &batch, &used) == GW_OK &&
           batch.epoch == EPOCH;
}

static void check(const struct gw_segment_scan *scan)
{
    uint64_t count = 0, behind = GW_SEGMENT_DATA_AT;

    gw_assert(scan->end >= GW_SEGMENT_DATA_AT && scan->end <= file.size);
    gw_assert(scan->end >= file.mark);
    for (size_t i = 0; i < file.batch_count; i++) {
        const struct place place = file.batches[i];

        if (!is_sound(place) || place.at >= scan->end)
            continue;
        gw_assert(place.at + place.bytes <= scan->end);
        count++;
    }
    gw_assert(count == scan->batches);
    for (size_t i = 0; i < scan->damage_count; i++) {
        gw_assert(scan->damage[i].begin >= behind && scan->damage[i].begin < scan->damage[i].end);
        gw_assert(scan->damage[i].end <= scan->end);
        behind = scan->damage[i].end;
    }
}

static void check_cut(const struct gw_segment_header *header, const struct gw_segment_scan *whole)
{
    struct gw_segment_scan again;

    file.size = whole->end;
    gw_assert(gw_segment_scan(&io, 0, header, whole->end, &again) == 0);
    gw_assert(again.end == whole->end && again.batches == whole->batches);
    gw_assert(again.tail_bytes == 0 && again.closed == whole->closed);
    gw_assert(again.damage_count == whole->damage_count);
    for (size_t i = 0; i < again.damage_count; i++)
        gw_assert(again.damage[i].begin == whole->damage[i].begin &&
                  again.damage[i].end == whole->damage[i].end);
    gw_segment_scan_fini(&again);
}

static void check_header(const uint8_t *data, size_t size)
{
    static uint8_t page[GW_SEGMENT_HEADER_BYTES], again[GW_SEGMENT_HEADER_BYTES];
    struct gw_segment_header header;

    memset(page, 0, sizeof page);
    memcpy(page, data, size < sizeof page ? size : sizeof page);
    if (!gw_segment_header_decode(page, &header))
        return;
    gw_segment_header_encode(again, &header);
    gw_assert(memcmp(page, again, sizeof page) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_segment_header header = {.number = 1, .epoch = EPOCH, .seed = SEED};
    struct gw_segment_scan scan;

    if (size > 0)
        check_header(data, size);
    build(gw_bytes_of(data, size));
    gw_assert(gw_segment_scan(&io, 0, &header, file.mark, &scan) == 0);
    check(&scan);
    check_cut(&header, &scan);
    gw_segment_scan_fini(&scan);
    return 0;
}
