/*
 * A walk over the batches of one segment, through a window of 2 MiB that is filled by pread. Not a
 * mapping: a file that shrinks or a disk that cannot read would then kill the process instead of
 * giving an answer.
 *
 * Behind something unsound the walk looks at every multiple of 8 for the next sound batch. A value
 * cannot pretend to be one (the hash is seeded, see batch.h), and what is looked at is bounded by
 * the segment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "journal_internal.h"

enum {
    WINDOW_BYTES = 2 * GW_BATCH_BYTES_MAX,
    PAGE_BYTES = 4096, /* the unit in which an unreadable disk is skipped */
};

int gw_segment_walk_init(struct gw_segment_walk *walk, const struct gw_journal_io *io)
{
    *walk = (struct gw_segment_walk){.io = io, .fd = -1};
    walk->buffer = malloc(WINDOW_BYTES);
    return walk->buffer == NULL ? -ENOMEM : 0;
}

void gw_segment_walk_fini(struct gw_segment_walk *walk)
{
    free(walk->buffer);
    walk->buffer = NULL;
}

void gw_segment_walk_to(struct gw_segment_walk *walk, int fd,
                        const struct gw_segment_header *header, uint64_t at, uint64_t end)
{
    walk->fd = fd;
    walk->epoch = header->epoch;
    walk->seed = header->seed;
    walk->at = at;
    walk->end = end;
    walk->buffer_bytes = 0;
}

/*
 * A page that answers EIO is taken for zeros, and the rest is read. A batch across it is sound only
 * if zeros are what it had there: its hash tells.
 */
static ssize_t read_some(struct gw_segment_walk *walk, uint8_t *out, size_t bytes, uint64_t offset)
{
    const struct gw_journal_io *io = walk->io;
    ssize_t got = io->pread(io->context, walk->fd, out, bytes, offset);
    size_t page;

    if (got != -EIO)
        return got;
    page = PAGE_BYTES - offset % PAGE_BYTES;
    if (page > bytes)
        page = bytes;
    got = io->pread(io->context, walk->fd, out, page, offset);
    if (got != -EIO)
        return got;
    memset(out, 0, page);
    walk->unreadable_bytes += page;
    return (ssize_t)page;
}

/*
 * The bytes from `offset` that the window holds, at least `wanted` of them unless the file or `end`
 * comes first.
 */
static int window_at(struct gw_segment_walk *walk, uint64_t offset, size_t wanted,
                     struct gw_bytes *out)
{
    uint64_t limit = gw_min_u64(walk->end - offset, WINDOW_BYTES);
    size_t have = 0;

    gw_assert(wanted <= WINDOW_BYTES);
    if (wanted > limit)
        wanted = (size_t)limit;
    if (offset >= walk->buffer_at && offset < walk->buffer_at + walk->buffer_bytes)
        have = (size_t)(walk->buffer_at + walk->buffer_bytes - offset);
    if (have < wanted || have == 0) {
        if (have > 0)
            memmove(walk->buffer, walk->buffer + (offset - walk->buffer_at), have);
        walk->buffer_at = offset;
        walk->buffer_bytes = have;
        while (walk->buffer_bytes < limit) {
            ssize_t got =
                read_some(walk, walk->buffer + walk->buffer_bytes,
                          (size_t)limit - walk->buffer_bytes, offset + walk->buffer_bytes);

            if (got < 0)
                return (int)got;
            if (got == 0)
                break;
            walk->buffer_bytes += (size_t)got;
        }
        have = walk->buffer_bytes;
    }
    *out = gw_bytes_of(walk->buffer + (offset - walk->buffer_at),
                       (size_t)gw_min_u64(have, walk->end - offset));
    return 0;
}

static bool belongs_here(const struct gw_segment_walk *walk, const struct gw_batch *batch)
{
    return batch->epoch == walk->epoch &&
           (batch->kind == GW_BATCH_CLOSING ? batch->lane == GW_BATCH_LANE_WRITER
                                            : batch->lane < GW_JOURNAL_LANES_MAX);
}

static int batch_at(struct gw_segment_walk *walk, uint64_t offset, struct gw_batch *batch,
                    size_t *used)
{
    struct gw_bytes bytes;
    enum gw_status status;
    int err = window_at(walk, offset, GW_BATCH_HEADER_BYTES, &bytes);

    if (err != 0)
        return err;
    status = gw_batch_decode(bytes, walk->seed, batch, used);
    if (status == GW_MORE) {
        if ((err = window_at(walk, offset, GW_BATCH_BYTES_MAX, &bytes)) != 0)
            return err;
        status = gw_batch_decode(bytes, walk->seed, batch, used);
    }
    return status == GW_OK && belongs_here(walk, batch);
}

/* The next multiple of 8 behind `offset` at which a batch's magic stands, or `end`. */
static int next_magic(struct gw_segment_walk *walk, uint64_t offset, uint64_t *out)
{
    struct gw_bytes bytes;
    int err;

    for (;;) {
        size_t i = 0;

        if (offset + GW_BATCH_HEADER_BYTES > walk->end)
            break;
        if ((err = window_at(walk, offset, GW_BATCH_HEADER_BYTES, &bytes)) != 0)
            return err;
        if (bytes.size < GW_BATCH_HEADER_BYTES)
            break;
        for (; i + 4 <= bytes.size; i += GW_BATCH_ALIGN_BYTES) {
            if (gw_load_le32(bytes.data + i) == GW_BATCH_MAGIC) {
                *out = offset + i;
                return 0;
            }
        }
        offset += i;
    }
    *out = walk->end;
    return 0;
}

int gw_segment_walk_next(struct gw_segment_walk *walk, struct gw_batch *batch, uint64_t *found_at)
{
    uint64_t offset = gw_batch_aligned(walk->at);
    size_t used;
    int result;

    while (offset + GW_BATCH_HEADER_BYTES <= walk->end) {
        result = batch_at(walk, offset, batch, &used);
        if (result < 0)
            return result;
        if (result == 1) {
            *found_at = offset;
            walk->at = offset + used;
            return 1;
        }
        result = next_magic(walk, offset + GW_BATCH_ALIGN_BYTES, &offset);
        if (result < 0)
            return result;
    }
    return 0;
}
