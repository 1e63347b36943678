/*
 * Opening a journal to write: take the lock, look at what is there, find the end of the newest
 * segment, and begin a segment of a new boot epoch that says where that end is.
 *
 * I1  Until the new segment is durable nothing that was there is changed, except that copies of
 *     damaged ranges are put aside, and that retention makes room as it does at any time; so
 *     recovery may be cut off anywhere and be done again.
 * I2  The new epoch is EPOCH_STEP above every epoch that any segment or the mark names, and not
 *     below the wall clock in microseconds: a directory that was emptied does not bring old
 *     identities back.
 * I3  The new segment's number is above every one that a file, the mark or a cursor names: a place
 *     that was told to a reader once never means another.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <gw/base/assert.h>

#include "writer_internal.h"

/*
 * Sessions are numbered upward from the epoch of their gateway, and faster than time goes by they
 * never are. But a clock may have been set back, and then nothing but this keeps the numbers of one
 * life apart from those of the next.
 */
#define EPOCH_STEP (UINT64_C(1) << 32)

/* No log comes so far; a cursor that names more was written by somebody else. */
#define NUMBER_MAX (UINT64_C(1) << 48)

enum {
    LOCK_POLL_MS = 10,
    QUARANTINE_BYTES_MAX = 64 << 20, /* of one damaged range */
};

struct opening {
    struct gw_journal_writer *writer;
    struct gw_journal_recovery *recovery;
    char *why;
    size_t why_bytes;
};

GW_PRINTF(3, 4)
static int fail(struct opening *o, int err, const char *format, ...)
{
    va_list args;
    int length;

    if (o->why_bytes == 0)
        return err;
    va_start(args, format);
    length = vsnprintf(o->why, o->why_bytes, format, args); /* NOLINT(clang-analyzer-valist*) */
    va_end(args);
    if (length >= 0 && (size_t)length < o->why_bytes && err != -EWOULDBLOCK)
        (void)snprintf(o->why + length, o->why_bytes - (size_t)length, ": %s", strerror(-err));
    return err;
}

static int make_directory(struct opening *o, const char *name)
{
    struct gw_journal_writer *w = o->writer;
    char path[GW_JOURNAL_PATH_BYTES];
    int err = gw_journal_path(path, w->path, name);

    if (err == 0)
        err = w->io->mkdir(w->io->context, path, 0750);
    return err == 0 ? 0 : fail(o, err, "cannot make %s/%s", w->path, name);
}

static int open_in(struct opening *o, const char *name, int flags)
{
    struct gw_journal_writer *w = o->writer;
    char path[GW_JOURNAL_PATH_BYTES];
    int fd = gw_journal_path(path, w->path, name);

    if (fd == 0)
        fd = w->io->open(w->io->context, path, flags, 0640);
    return fd >= 0 ? fd : fail(o, fd, "cannot open %s/%s", w->path, name);
}

static int lock_refused(struct opening *o)
{
    struct gw_journal_writer *w = o->writer;
    char pid[24] = "";
    ssize_t got = w->io->pread(w->io->context, w->lock_fd, pid, sizeof(pid) - 1, 0);

    pid[got > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return fail(o, -EWOULDBLOCK, "the journal %s is being written by another process (pid %s)",
                w->path, pid[0] != '\0' ? pid : "unknown");
}

/* A plain descriptor that nothing else shares, so that the lock goes when this process does. */
static int take_lock(struct opening *o, uint32_t wait_ms)
{
    struct gw_journal_writer *w = o->writer;
    char pid[24];
    int err, length;

    w->lock_fd = open_in(o, "lock", O_RDWR | O_CREAT);
    if (w->lock_fd < 0)
        return w->lock_fd;
    while ((err = w->io->lock(w->io->context, w->lock_fd)) == -EWOULDBLOCK && wait_ms > 0) {
        uint32_t ms = wait_ms < LOCK_POLL_MS ? wait_ms : LOCK_POLL_MS;

        w->io->sleep_ms(w->io->context, ms);
        wait_ms -= ms;
    }
    if (err == -EWOULDBLOCK)
        return lock_refused(o);
    if (err != 0)
        return fail(o, err, "cannot lock %s/lock", w->path);
    length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    (void)w->io->truncate(w->io->context, w->lock_fd, 0);
    (void)gw_journal_write_all(w->io, w->lock_fd, pid, (size_t)length, 0);
    return 0;
}

/*
 * The journal's own directory is an entry of its parent, and must outlive a power cut as much as
 * what is in it. A parent that may not be read was made by somebody else, long before.
 */
static int sync_parent(struct opening *o)
{
    struct gw_journal_writer *w = o->writer;
    char parent[GW_JOURNAL_PATH_BYTES + 8];
    int fd, err;

    (void)snprintf(parent, sizeof(parent), "%s/..", w->path);
    fd = w->io->open(w->io->context, parent, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return 0;
    err = w->io->fsync(w->io->context, fd);
    (void)w->io->close(w->io->context, fd);
    return err == 0 ? 0 : fail(o, err, "cannot sync the directory above %s", w->path);
}

static int open_files(struct opening *o, uint32_t lock_wait_ms)
{
    struct gw_journal_writer *w = o->writer;
    int err = w->io->mkdir(w->io->context, w->path, 0750);

    if (err != 0)
        return fail(o, err, "cannot make %s", w->path);
    if ((err = sync_parent(o)) != 0)
        return err;
    if ((err = take_lock(o, lock_wait_ms)) != 0 || (err = make_directory(o, "cursors")) != 0)
        return err;
    w->dir_fd = w->io->open(w->io->context, w->path, O_RDONLY | O_DIRECTORY, 0);
    if (w->dir_fd < 0)
        return fail(o, w->dir_fd, "cannot open %s", w->path);
    w->mark_fd = open_in(o, "mark", O_RDWR | O_CREAT);
    return w->mark_fd < 0 ? w->mark_fd : 0;
}

/* A copy of the damaged bytes for whoever wants to look; failing to make it stops nothing. */
static void quarantine(struct opening *o, int fd, struct gw_byte_range range)
{
    struct gw_journal_writer *w = o->writer;
    const struct gw_journal_io *io = w->io;
    char name[80], path[GW_JOURNAL_PATH_BYTES];
    uint8_t page[4096];
    uint64_t end = gw_min_u64(range.end, range.begin + QUARANTINE_BYTES_MAX);
    int out;

    (void)snprintf(name, sizeof(name), "quarantine/%020" PRIu64 "-%012" PRIu64 ".bad", w->number,
                   range.begin);
    if (make_directory(o, "quarantine") != 0 || gw_journal_path(path, w->path, name) != 0)
        return;
    out = io->open(io->context, path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (out < 0)
        return;
    for (uint64_t at = range.begin; at < end;) {
        size_t wanted = (size_t)gw_min_u64(sizeof(page), end - at);
        ssize_t got = io->pread(io->context, fd, page, wanted, at);

        if (got == -EIO) { /* an unreadable page stays a hole in the copy */
            at += wanted;
            continue;
        }
        if (got <= 0 || gw_journal_write_all(io, out, page, (size_t)got, at - range.begin) != 0)
            break;
        at += (uint64_t)got;
    }
    (void)io->close(io->context, out);
}

static void count_damage(struct opening *o, int fd, struct gw_byte_range range)
{
    struct gw_journal_recovery *r = o->recovery;

    if (r->damaged_ranges == 0)
        r->damage_at =
            (struct gw_journal_position){.segment = o->writer->number, .offset = range.begin};
    r->damaged_ranges++;
    r->damaged_bytes += range.end - range.begin;
    quarantine(o, fd, range);
}

/*
 * The newest segment, whose header is `header`, or NULL when both its copies are gone. Without a
 * header there is no seed, and without the seed no batch in it can be told from chance: all of it
 * is damage, for a segment never stands under its name before its header is durable.
 */
static int recover_newest(struct opening *o, int fd, uint64_t size,
                          const struct gw_segment_header *header,
                          const struct gw_journal_mark *mark)
{
    struct gw_journal_writer *w = o->writer;
    struct gw_journal_recovery *r = o->recovery;
    struct gw_segment_scan scan;
    uint64_t mark_offset = 0;
    int err;

    if (header == NULL) {
        w->end = size;
        count_damage(o, fd, (struct gw_byte_range){.begin = 0, .end = size});
        return 0;
    }
    if (mark->epoch == header->epoch && mark->durable.segment == header->number)
        mark_offset = mark->durable.offset;
    if ((err = gw_segment_scan(w->io, fd, header, mark_offset, &scan)) != 0)
        return fail(o, err, "cannot read segment %" PRIu64 " of %s", header->number, w->path);
    w->end = scan.end;
    r->batches = scan.batches;
    r->tail_bytes = scan.tail_bytes;
    r->batches_lost = scan.batches_lost;
    r->clean = scan.closed;
    for (size_t i = 0; i < scan.damage_count; i++)
        count_damage(o, fd, scan.damage[i]);
    gw_segment_scan_fini(&scan);
    return 0;
}

/* One segment of those that are there; the list ends with the newest. */
static int look_at(struct opening *o, uint64_t number, bool newest,
                   const struct gw_journal_mark *mark, struct gw_segment_header *header)
{
    struct gw_journal_writer *w = o->writer;
    int fd = gw_segment_open(w->io, w->path, number, newest ? O_RDWR : O_RDONLY);
    int64_t size;
    int err;

    if (fd < 0)
        return fail(o, fd, "cannot open segment %" PRIu64 " of %s", number, w->path);
    err = gw_segment_header_read(w->io, fd, number, header);
    size = w->io->size(w->io->context, fd);
    if ((err != 0 && err != -EBADMSG) || size < 0) {
        (void)w->io->close(w->io->context, fd);
        return fail(o, size < 0 ? (int)size : err, "cannot read segment %" PRIu64 " of %s", number,
                    w->path);
    }
    if (err == 0) {
        w->epoch = gw_max_u64(w->epoch, header->epoch);
        if (w->closed_count > 0) {
            struct gw_closed_segment *before = &w->closed[w->closed_count - 1];

            before->closed_us = header->created_us;
            before->end = header->previous == before->number ? header->previous_end : 0;
        }
    }
    w->number = number;
    w->number_epoch = err == 0 ? header->epoch : 0;
    w->end = (uint64_t)size; /* until the successor says better */
    w->before = (struct gw_journal_position){.segment = number, .offset = w->end};
    if (err == 0)
        w->before = (struct gw_journal_position){.segment = header->previous,
                                                 .offset = header->previous_end};
    if (newest)
        err = recover_newest(o, fd, (uint64_t)size, err == 0 ? header : NULL, mark);
    else
        err = 0;
    if (err == 0 && (err = gw_writer_closed_reserve(w)) != 0)
        (void)fail(o, err, "no memory for the segments of %s", w->path);
    if (err == 0)
        gw_writer_closed_add(w, (struct gw_closed_segment){.number = number,
                                                           .epoch = w->number_epoch,
                                                           .bytes = (uint64_t)size,
                                                           .end = w->end,
                                                           .before = w->before});
    /* To be cut off where it ends; one that is too short for what is known of it never gets longer,
     * for then zeros would be what nobody wrote. */
    if (err == 0 && newest && (uint64_t)size > w->end)
        w->previous_fd = fd;
    else
        (void)w->io->close(w->io->context, fd);
    return err;
}

/*
 * The mark names a place in a segment that is not there: it was the newest one, and all of it was
 * durable. What comes next says that it comes behind it, so that every reader is told.
 */
static void miss_newest(struct opening *o, const struct gw_journal_mark *mark)
{
    struct gw_journal_writer *w = o->writer;
    struct gw_journal_recovery *r = o->recovery;

    if (w->previous_fd >= 0)
        (void)w->io->close(w->io->context, w->previous_fd);
    w->previous_fd = -1;
    w->number = mark->durable.segment;
    w->number_epoch = mark->epoch;
    w->end = mark->durable.offset;
    w->before = mark->durable;
    if (r->damaged_ranges++ == 0)
        r->damage_at =
            (struct gw_journal_position){.segment = w->number, .offset = GW_SEGMENT_DATA_AT};
    r->damaged_bytes += w->end - GW_SEGMENT_DATA_AT;
    r->clean = false;
}

static int look_around(struct opening *o)
{
    struct gw_journal_writer *w = o->writer;
    struct gw_segment_list list = GW_SEGMENT_LIST_EMPTY;
    struct gw_segment_header *header = malloc(sizeof(*header));
    struct gw_journal_mark mark = {.epoch = 0};
    int err = header == NULL ? -ENOMEM : gw_segment_list_read(w->io, w->path, &list);

    if (err != 0)
        (void)fail(o, err, "cannot list %s", w->path);
    else if ((err = gw_journal_mark_read(w->io, w->mark_fd, &mark)) == 0)
        w->mark_has_room = true;
    else if (err == -ENOENT)
        err = 0;
    else
        (void)fail(o, err, "cannot read %s/mark", w->path);
    w->epoch = mark.epoch;
    for (size_t i = 0; i < list.count && err == 0; i++)
        err = look_at(o, list.numbers[i], i + 1 == list.count, &mark, header);
    /* One in which nothing was durable yet may have been given up. */
    if (err == 0 && mark.durable.segment > w->number && mark.durable.offset > GW_SEGMENT_DATA_AT)
        miss_newest(o, &mark);
    o->recovery->segments = list.count;
    o->recovery->journal_bytes = gw_writer_bytes(w);
    gw_segment_list_fini(&list);
    free(header);
    return err;
}

static int visit_cursor(void *visitor, const char *name, int err,
                        struct gw_journal_position position)
{
    struct gw_journal_writer *w = visitor;

    (void)name;
    if (err == 0 && position.segment < NUMBER_MAX)
        w->number_next = gw_max_u64(w->number_next, position.segment + 1);
    return 0;
}

static bool is_lack_of_room(int err)
{
    return err == -ENOSPC || err == -EDQUOT;
}

static int begin_epoch(struct opening *o, uint64_t seed)
{
    struct gw_journal_writer *w = o->writer;
    int err;

    if (seed == 0 && getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return fail(o, -errno, "no random numbers");
    w->seed = seed;
    w->epoch = gw_max_u64(w->epoch + EPOCH_STEP, w->io->wall_us(w->io->context));
    w->number_next = w->number + 1;
    if ((err = gw_cursor_list(w->io, w->path, visit_cursor, w)) != 0) /* I3 */
        return fail(o, err, "cannot read the cursors of %s", w->path);
    if (w->number == 0)
        w->end = 0;
    err = gw_writer_segment_start(w);
    if (err != 0 && !is_lack_of_room(err))
        return fail(o, err, "cannot begin a segment in %s", w->path);
    o->recovery->epoch = w->epoch;
    o->recovery->stalled = err != 0;
    /* Readers go by the mark while a writer lives: they must not miss what was found. */
    if (err != 0 && w->number_epoch != 0)
        gw_writer_mark(w, false);
    w->last_error = err;
    return 0;
}

static int set_options(struct opening *o, const struct gw_journal_options *options)
{
    struct gw_journal_writer *w = o->writer;
    int length = snprintf(w->path, sizeof(w->path), "%s", options->path);

    w->segment_bytes =
        options->segment_bytes != 0 ? options->segment_bytes : GW_JOURNAL_SEGMENT_BYTES;
    w->bytes_max = options->bytes_max;
    w->keep_us = options->keep_s * 1000000;
    w->zero_ahead_bytes =
        options->zero_ahead_bytes != 0 ? options->zero_ahead_bytes : GW_JOURNAL_ZERO_AHEAD_BYTES;
    if (length < 0 || (size_t)length >= sizeof(w->path) - 64)
        return fail(o, -ENAMETOOLONG, "%.64s...", options->path);
    if (w->segment_bytes < GW_JOURNAL_SEGMENT_BYTES_MIN)
        return fail(o, -EINVAL, "segments of %" PRIu64 " bytes are too small", w->segment_bytes);
    if (w->bytes_max != 0 && w->bytes_max < 2 * w->segment_bytes)
        return fail(o, -EINVAL, "a journal of %" PRIu64 " bytes has no room for two segments",
                    w->bytes_max);
    return 0;
}

int gw_journal_writer_open(const struct gw_journal_options *options, struct gw_journal_writer **out,
                           struct gw_journal_recovery *recovery, char *why, size_t why_bytes)
{
    struct gw_journal_writer *w = calloc(1, sizeof(*w));
    struct opening o = {.writer = w, .recovery = recovery, .why = why, .why_bytes = why_bytes};
    int err;

    *out = NULL;
    *recovery = (struct gw_journal_recovery){.epoch = 0};
    if (w == NULL)
        return fail(&o, -ENOMEM, "no memory for a journal's writer");
    w->io = options->io != NULL ? options->io : &gw_journal_io_system;
    w->lock_fd = w->dir_fd = w->mark_fd = w->fd = w->previous_fd = -1;
    if ((err = set_options(&o, options)) != 0 ||
        (err = open_files(&o, options->lock_wait_ms)) != 0 || (err = look_around(&o)) != 0 ||
        (err = begin_epoch(&o, options->seed)) != 0) {
        gw_journal_writer_close(w, false);
        return err;
    }
    *out = w;
    return 0;
}
