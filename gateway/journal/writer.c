/*
 * Writing: batches go to the end of the newest segment by pwritev and are synced before anyone
 * hears of them. One thread, the uplink's.
 *
 *   no segment --segment_start--> writing --full--> no segment
 *                                    |
 *                                    +--- a write or sync failed: poisoned ---> no segment
 *
 * I1  `end`, the marks in `last` and the live mark move only after fdatasync returned 0, in this
 *     order: durable, marked, reported to the caller.
 * I2  fdatasync is called at most once for any bytes. What it failed on is written again elsewhere.
 * I3  Zeros ahead are a matter of speed alone. Failing to write them is no failure, but they are
 *     synced with batches, and a failed sync poisons whatever it was for.
 * I4  A segment is there only with its header: written aside, synced, renamed, directory synced.
 * I5  A place in an empty segment is told to nobody: it is where the one before ends. So a segment
 *     that was given up before its first batch was durable takes nobody's place with it, and the
 *     disk that fails for a night does not leave two of them with each try.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "writer_internal.h"

enum {
    ZERO_PIECE_BYTES = 1 << 20,
    IOV_MAX_HERE = 256, /* batches per pwritev: at most 16 MiB of a shard's buffers */
};

static const uint8_t zeros[ZERO_PIECE_BYTES];

void gw_writer_mark(struct gw_journal_writer *writer, bool closed)
{
    struct gw_journal_mark mark = {
        .epoch = writer->number_epoch,
        .durable = {.segment = writer->number, .offset = writer->end},
        .closed = closed,
    };
    uint8_t bytes[GW_JOURNAL_MARK_BYTES];

    gw_journal_mark_encode(bytes, &mark);
    /* Readers are late when this fails, until it is tried again; nothing else depends on it. */
    writer->mark_is_late =
        gw_journal_write_all(writer->io, writer->mark_fd, bytes, sizeof(bytes), 0) != 0;
    if (writer->mark_is_late || writer->mark_has_room)
        return;
    /* A sync that failed may have taken from memory what was written. */
    writer->mark_has_room = writer->io->fdatasync(writer->io->context, writer->mark_fd) == 0;
    writer->mark_is_late = !writer->mark_has_room;
}

/* Writes zeros from the end of the file, at most `piece` bytes and not beyond a full segment. */
static void write_zeros(struct gw_journal_writer *writer, uint64_t piece)
{
    uint64_t bytes = 0;
    int err;

    if (writer->zeros_failed || writer->filled >= writer->segment_bytes)
        return;
    bytes = gw_min_u64(gw_min_u64(piece, ZERO_PIECE_BYTES), writer->segment_bytes - writer->filled);
    err = gw_journal_write_all(writer->io, writer->fd, zeros, (size_t)bytes, writer->filled);
    if (err != 0)
        writer->zeros_failed = true;
    else
        writer->filled += bytes;
}

static int write_header(struct gw_journal_writer *writer, int fd, uint64_t created_us)
{
    uint8_t pages[GW_SEGMENT_DATA_AT];
    struct gw_segment_header header = {
        .number = writer->number_next,
        .epoch = writer->epoch,
        .seed = writer->seed,
        .created_us = created_us,
        .previous = writer->number,
        .previous_end = writer->end,
        .lanes = writer->last.lanes,
    };

    memcpy(header.last, writer->last.last, sizeof(header.last));
    gw_segment_header_encode(pages, &header);
    memcpy(pages + GW_SEGMENT_HEADER_BYTES, pages, GW_SEGMENT_HEADER_BYTES);
    return gw_journal_write_all(writer->io, fd, pages, sizeof(pages), 0);
}

/*
 * A segment that has its name but was given up: the name may not be on the disk, or nothing in it
 * is. Retention does not know of it and would go on to delete those behind it; so nothing is begun
 * behind it before it is gone.
 */
static int orphan_remove(struct gw_journal_writer *writer)
{
    char name[GW_SEGMENT_NAME_BYTES], path[GW_JOURNAL_PATH_BYTES];
    int err;

    if (writer->orphan == 0)
        return 0;
    gw_segment_name(name, writer->orphan);
    if ((err = gw_journal_path(path, writer->path, name)) != 0)
        return err;
    err = writer->io->unlink(writer->io->context, path);
    if (err != 0 && err != -ENOENT)
        return err;
    writer->orphan = 0;
    return 0;
}

/* The file under its final name, all synced: a descriptor, or -errno; an orphan may be left. */
static int segment_create(struct gw_journal_writer *writer, uint64_t created_us)
{
    const struct gw_journal_io *io = writer->io;
    char name[GW_SEGMENT_NAME_BYTES], path[GW_JOURNAL_PATH_BYTES], aside[GW_JOURNAL_PATH_BYTES];
    uint64_t number = writer->number_next;
    int fd, err;

    gw_segment_name(name, number);
    if ((err = orphan_remove(writer)) != 0 ||
        (err = gw_journal_path(path, writer->path, name)) != 0 ||
        (err = gw_journal_path(aside, writer->path, "new.tmp")) != 0)
        return err;
    fd = io->open(io->context, aside, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (fd < 0)
        return fd;
    err = write_header(writer, fd, created_us);
    if (err == 0)
        err = io->fsync(io->context, fd);
    if (err == 0) {
        writer->number_next++;
        if ((err = io->rename(io->context, aside, path)) == 0 &&
            (err = io->fsync(io->context, writer->dir_fd)) != 0) {
            writer->orphan = number;
            (void)orphan_remove(writer);
        }
    }
    if (err == 0)
        return fd;
    (void)io->close(io->context, fd);
    (void)io->unlink(io->context, aside);
    return err;
}

/*
 * The predecessor is finished once its successor says where it ends: what it holds behind that
 * (zeros, an unsynced tail) is given back to the file system.
 */
static void previous_finish(struct gw_journal_writer *writer, uint64_t now_us)
{
    const struct gw_journal_io *io = writer->io;

    if (writer->closed_count > 0 && writer->closed[writer->closed_count - 1].closed_us == 0)
        writer->closed[writer->closed_count - 1].closed_us = now_us;
    if (writer->previous_fd < 0)
        return;
    if (io->truncate(io->context, writer->previous_fd, writer->end) == 0 &&
        writer->closed_count > 0)
        writer->closed[writer->closed_count - 1].bytes = writer->end;
    (void)io->close(io->context, writer->previous_fd);
    writer->previous_fd = -1;
}

int gw_writer_segment_start(struct gw_journal_writer *writer)
{
    uint64_t now_us = writer->io->wall_us(writer->io->context);
    uint64_t number = writer->number_next;
    int fd, err;

    gw_assert(writer->fd < 0);
    if ((err = gw_writer_closed_reserve(writer)) != 0 ||
        (err = gw_writer_retain(writer, writer->segment_bytes)) != 0)
        return err;
    fd = segment_create(writer, now_us);
    if (fd < 0)
        return fd;
    previous_finish(writer, now_us);
    writer->fd = fd;
    writer->before = (struct gw_journal_position){.segment = writer->number, .offset = writer->end};
    writer->number = number;
    writer->number_epoch = writer->epoch;
    writer->end = writer->filled = GW_SEGMENT_DATA_AT;
    writer->zeros_failed = false;
    gw_writer_mark(writer, false);
    gw_writer_retain_replaced(writer);
    return 0;
}

/* Full or poisoned: nothing more is written to it. */
static void segment_leave(struct gw_journal_writer *writer)
{
    gw_writer_closed_add(writer, (struct gw_closed_segment){.number = writer->number,
                                                            .epoch = writer->number_epoch,
                                                            .bytes = writer->filled,
                                                            .end = writer->end,
                                                            .before = writer->before});
    gw_assert(writer->previous_fd < 0);
    writer->previous_fd = writer->fd;
    writer->fd = -1;
}

/* I5: all is as it was before the segment was begun, unless retention has deleted what was. */
static bool segment_give_up(struct gw_journal_writer *writer)
{
    struct gw_closed_segment *newest;

    if (writer->end > GW_SEGMENT_DATA_AT || writer->closed_count == 0)
        return false;
    newest = &writer->closed[writer->closed_count - 1];
    if (newest->number != writer->before.segment)
        return false;
    (void)writer->io->close(writer->io->context, writer->fd);
    writer->fd = -1;
    writer->orphan = writer->number;
    writer->number = newest->number;
    writer->number_epoch = newest->epoch;
    writer->end = newest->end;
    writer->before = newest->before;
    newest->closed_us = 0;
    (void)orphan_remove(writer);
    if (writer->number_epoch != 0)
        gw_writer_mark(writer, false);
    return true;
}

static void segment_poison(struct gw_journal_writer *writer, int cause)
{
    writer->failures++;
    writer->last_error = cause;
    if (!segment_give_up(writer))
        segment_leave(writer);
}

/* Writes and syncs `count` batches; 0, or the failure that poisons the segment. */
static int write_and_sync(struct gw_journal_writer *writer, const struct gw_bytes *batches,
                          uint32_t count, uint64_t bytes)
{
    const struct gw_journal_io *io = writer->io;
    struct iovec iov[IOV_MAX_HERE], *rest = iov;
    uint64_t at = writer->end, left = bytes;
    int rest_count = (int)count;

    for (uint32_t i = 0; i < count; i++)
        iov[i] = (struct iovec){.iov_base = (void *)(uintptr_t)batches[i].data,
                                .iov_len = batches[i].size};
    while (left > 0) {
        ssize_t put = io->pwritev(io->context, writer->fd, rest, rest_count, at);

        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        gw_assert((uint64_t)put <= left);
        at += (uint64_t)put;
        left -= (uint64_t)put;
        while (rest_count > 0 && (size_t)put >= rest->iov_len) {
            put -= (ssize_t)rest->iov_len;
            rest++;
            rest_count--;
        }
        if (put > 0) {
            rest->iov_base = (uint8_t *)rest->iov_base + put;
            rest->iov_len -= (size_t)put;
        }
    }
    writer->writes++;
    if (at > writer->filled) {
        writer->filled = at;
        write_zeros(writer, ZERO_PIECE_BYTES);
    }
    writer->syncs++;
    return io->fdatasync(io->context, writer->fd);
}

static void batches_are_durable(struct gw_journal_writer *writer, const struct gw_bytes *batches,
                                uint32_t count, uint64_t bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        struct gw_batch_name name = gw_batch_name(batches[i].data);

        if (name.lane != GW_BATCH_LANE_WRITER)
            gw_lane_marks_raise(&writer->last, name.lane, name.sequence);
    }
    writer->end += bytes;
    writer->bytes += bytes;
    writer->batches += count;
}

/* How many of the batches go into the segment as it is; at least one into an empty one. */
static uint32_t batches_that_fit(const struct gw_journal_writer *writer,
                                 const struct gw_bytes *batches, uint32_t count, uint64_t *bytes)
{
    uint64_t room = writer->segment_bytes > writer->end ? writer->segment_bytes - writer->end : 0;
    uint64_t sum = 0;
    uint32_t fit = 0;

    while (fit < count && fit < IOV_MAX_HERE && sum + batches[fit].size <= room)
        sum += batches[fit++].size;
    if (fit == 0 && writer->end == GW_SEGMENT_DATA_AT)
        sum = batches[fit++].size;
    *bytes = sum;
    return fit;
}

int gw_journal_writer_write(struct gw_journal_writer *writer, const struct gw_bytes *batches,
                            uint32_t count, uint32_t *durable)
{
    bool replaced = false;
    int err;

    *durable = 0;
    while (*durable < count) {
        const struct gw_bytes *rest = batches + *durable;
        uint64_t bytes;
        uint32_t fit;

        if (writer->fd < 0 && (err = gw_writer_segment_start(writer)) != 0) {
            writer->last_error = err;
            return err;
        }
        fit = batches_that_fit(writer, rest, count - *durable, &bytes);
        if (fit == 0) {
            segment_leave(writer);
            continue;
        }
        err = write_and_sync(writer, rest, fit, bytes);
        if (err == 0) {
            batches_are_durable(writer, rest, fit, bytes);
            gw_writer_mark(writer, false);
            *durable += fit;
            replaced = false;
            continue;
        }
        segment_poison(writer, err);
        if (replaced)
            return err;
        replaced = true;
    }
    return 0;
}

/*
 * Begun when half of them are used up, then until all are there. Topping them up after every batch
 * would double the syncs, and each would have a new file size to write.
 */
static bool zeros_are_wanted(struct gw_journal_writer *writer)
{
    uint64_t ahead = writer->filled - gw_min_u64(writer->filled, writer->end);

    writer->zeroing = ahead < writer->zero_ahead_bytes / (writer->zeroing ? 1 : 2);
    return writer->zeroing;
}

bool gw_journal_writer_prepare(struct gw_journal_writer *writer)
{
    uint64_t filled = writer->filled;
    int err;

    if (writer->mark_is_late)
        gw_writer_mark(writer, false);
    if (writer->fd < 0 || !zeros_are_wanted(writer))
        return false;
    write_zeros(writer, writer->end + writer->zero_ahead_bytes - writer->filled);
    if (writer->filled == filled)
        return false;
    err = writer->io->fdatasync(writer->io->context, writer->fd);
    if (err != 0) {
        segment_poison(writer, err);
        return false;
    }
    return true;
}

void gw_journal_writer_retain(struct gw_journal_writer *writer)
{
    (void)gw_writer_retain(writer, 0);
}

/* The closing batch says each lane's last sequence, so that a loss before it cannot hide. */
static void write_closing(struct gw_journal_writer *writer)
{
    const struct gw_journal_io *io = writer->io;
    uint64_t now_us = io->wall_us(io->context);
    uint8_t buffer[GW_BATCH_HEADER_BYTES + 8 * GW_JOURNAL_LANES_MAX];
    struct gw_batch batch = {
        .kind = GW_BATCH_CLOSING,
        .lane = GW_BATCH_LANE_WRITER,
        .epoch = writer->epoch,
        .sequence = 1,
        .first_us = now_us,
        .last_us = now_us,
        .body = gw_bytes_of(NULL, 8 * (size_t)writer->last.lanes),
    };
    struct gw_bytes bytes;

    for (uint32_t lane = 0; lane < writer->last.lanes; lane++)
        gw_store_le64(buffer + GW_BATCH_HEADER_BYTES + 8 * (size_t)lane, writer->last.last[lane]);
    bytes = gw_bytes_of(buffer, gw_batch_seal(buffer, &batch, writer->seed));
    if (write_and_sync(writer, &bytes, 1, bytes.size) == 0) {
        batches_are_durable(writer, &bytes, 1, bytes.size);
        gw_writer_mark(writer, true);
        if (io->truncate(io->context, writer->fd, writer->end) == 0)
            (void)io->fsync(io->context, writer->fd);
    }
}

static void close_one(const struct gw_journal_writer *writer, int *fd)
{
    if (*fd >= 0)
        (void)writer->io->close(writer->io->context, *fd);
    *fd = -1;
}

static void close_files(struct gw_journal_writer *writer)
{
    close_one(writer, &writer->previous_fd);
    close_one(writer, &writer->fd);
    close_one(writer, &writer->mark_fd);
    close_one(writer, &writer->dir_fd);
}

void gw_journal_writer_finish(struct gw_journal_writer *writer)
{
    if (writer->fd >= 0)
        write_closing(writer);
    close_files(writer);
}

void gw_journal_writer_close(struct gw_journal_writer *writer, bool clean)
{
    if (writer == NULL)
        return;
    if (clean)
        gw_journal_writer_finish(writer);
    close_files(writer);
    close_one(writer, &writer->lock_fd);
    free(writer->closed);
    free(writer);
}

uint64_t gw_journal_writer_epoch(const struct gw_journal_writer *writer)
{
    return writer->epoch;
}

uint64_t gw_journal_writer_seed(const struct gw_journal_writer *writer)
{
    return writer->seed;
}

/* I5 */
static struct gw_journal_position durable_to(const struct gw_journal_writer *writer)
{
    if (writer->end == GW_SEGMENT_DATA_AT)
        return writer->before;
    return (struct gw_journal_position){.segment = writer->number, .offset = writer->end};
}

void gw_journal_writer_stat(const struct gw_journal_writer *writer,
                            struct gw_journal_writer_stat *out)
{
    *out = (struct gw_journal_writer_stat){
        .writes = writer->writes,
        .syncs = writer->syncs,
        .bytes = writer->bytes,
        .batches = writer->batches,
        .failures = writer->failures,
        .segments = writer->closed_count + (writer->fd >= 0 ? 1 : 0),
        .segments_deleted = writer->segments_deleted,
        .journal_bytes = gw_writer_bytes(writer),
        .bytes_max = writer->bytes_max,
        .held_bytes = writer->held_bytes,
        .reader = writer->reader,
        .last_error = writer->last_error,
        .durable = durable_to(writer),
    };
}
