/*
 * Retention: which closed segments may go. Oldest first, and never one that a cursor still needs; a
 * cursor that cannot be read holds everything, because deleting what it may need cannot be undone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "writer_internal.h"

int gw_writer_closed_reserve(struct gw_journal_writer *writer)
{
    size_t capacity = 2 * writer->closed_capacity;
    struct gw_closed_segment *closed;

    if (writer->closed_count < writer->closed_capacity)
        return 0;
    capacity = gw_max_u64(capacity, 64);
    closed = realloc(writer->closed, capacity * sizeof(*closed));
    if (closed == NULL)
        return -ENOMEM;
    writer->closed = closed;
    writer->closed_capacity = capacity;
    return 0;
}

void gw_writer_closed_add(struct gw_journal_writer *writer, struct gw_closed_segment segment)
{
    gw_assert(writer->closed_count < writer->closed_capacity);
    gw_assert(writer->closed_count == 0 ||
              writer->closed[writer->closed_count - 1].number < segment.number);
    writer->closed[writer->closed_count++] = segment;
}

uint64_t gw_writer_bytes(const struct gw_journal_writer *writer)
{
    uint64_t bytes = writer->fd >= 0 ? writer->filled : 0;

    for (size_t i = 0; i < writer->closed_count; i++)
        bytes += writer->closed[i].bytes;
    return bytes;
}

/* A cursor behind all segments comes from a journal that was here before: it has read nothing. */
static int earliest(void *visitor, const char *name, int err, struct gw_journal_position position)
{
    struct gw_journal_writer *writer = visitor;

    if (err != 0 || position.segment >= writer->number_next)
        position = (struct gw_journal_position){.segment = 0};
    if (writer->reader[0] == '\0' || gw_journal_position_is_before(position, writer->needed)) {
        writer->needed = position;
        (void)snprintf(writer->reader, sizeof(writer->reader), "%s", name);
    }
    return 0;
}

/* A cursor at the end of a closed segment has done with it. */
static bool is_needed(const struct gw_journal_writer *writer,
                      const struct gw_closed_segment *segment)
{
    struct gw_journal_position needed = writer->needed;

    return writer->reader[0] != '\0' &&
           (needed.segment < segment->number ||
            (needed.segment == segment->number && needed.offset < segment->end));
}

static int look_at_readers(struct gw_journal_writer *writer)
{
    int err;

    writer->reader[0] = '\0';
    writer->held_bytes = 0;
    err = gw_cursor_list(writer->io, writer->path, earliest, writer);
    for (size_t i = 0; i < writer->closed_count; i++)
        if (is_needed(writer, &writer->closed[i]))
            writer->held_bytes += writer->closed[i].bytes;
    return err;
}

static int delete_oldest(struct gw_journal_writer *writer)
{
    const struct gw_journal_io *io = writer->io;
    char name[GW_SEGMENT_NAME_BYTES], path[GW_JOURNAL_PATH_BYTES];
    int err;

    gw_segment_name(name, writer->closed[0].number);
    if ((err = gw_journal_path(path, writer->path, name)) != 0)
        return err;
    err = io->unlink(io->context, path);
    if (err != 0 && err != -ENOENT)
        return err;
    memmove(writer->closed, writer->closed + 1,
            (writer->closed_count - 1) * sizeof(*writer->closed));
    writer->closed_count--;
    writer->segments_deleted++;
    return 0;
}

/* False: it is as long as it was. */
static bool cut_off_tail(struct gw_journal_writer *writer, struct gw_closed_segment *segment)
{
    const struct gw_journal_io *io = writer->io;
    int fd = gw_segment_open(io, writer->path, segment->number, O_RDWR);
    int err;

    if (fd < 0)
        return false;
    err = io->truncate(io->context, fd, segment->end);
    (void)io->close(io->context, fd);
    if (err == 0)
        segment->bytes = segment->end;
    return err == 0;
}

/*
 * What is behind the end of a segment with a successor was given back when that began. But nobody
 * has synced this, and a power cut may have brought it again. True when there is less now.
 */
static bool cut_off_tails(struct gw_journal_writer *writer)
{
    bool any = false;

    for (size_t i = 0; i < writer->closed_count; i++) {
        struct gw_closed_segment *segment = &writer->closed[i];

        if (segment->number != writer->number && segment->end != 0 &&
            segment->bytes > segment->end && cut_off_tail(writer, segment))
            any = true;
    }
    return any;
}

static int retain(struct gw_journal_writer *writer, uint64_t coming_bytes)
{
    uint64_t now_us = writer->io->wall_us(writer->io->context);
    int known = look_at_readers(writer), err;

    for (;;) {
        bool over =
            writer->bytes_max != 0 && gw_writer_bytes(writer) + coming_bytes > writer->bytes_max;
        const struct gw_closed_segment *oldest = writer->closed;

        if (writer->closed_count == 0)
            return over && coming_bytes > 0 ? -EDQUOT : 0;
        /*
         * The newest one is never deleted while nothing is written: its number must not return. It
         * may be longer than a segment is, by a closing batch or because segments are shorter now;
         * who waited for room beside it would wait for good.
         */
        if (oldest->number == writer->number)
            return over && coming_bytes > 0 && (known != 0 || is_needed(writer, oldest)) ? -EDQUOT
                                                                                         : 0;
        if (!over && (writer->keep_us == 0 || oldest->closed_us == 0 ||
                      oldest->closed_us + writer->keep_us > now_us))
            return 0;
        if (known != 0) /* what cannot be looked at holds everything */
            return known;
        if (is_needed(writer, oldest))
            return over && coming_bytes > 0 ? -EDQUOT : 0;
        if ((err = delete_oldest(writer)) != 0)
            return err;
    }
}

int gw_writer_retain(struct gw_journal_writer *writer, uint64_t coming_bytes)
{
    int err = retain(writer, coming_bytes);

    return err == -EDQUOT && cut_off_tails(writer) ? retain(writer, coming_bytes) : err;
}

void gw_writer_retain_replaced(struct gw_journal_writer *writer)
{
    uint64_t coming = gw_max_u64(writer->segment_bytes, writer->filled) - writer->filled;

    if (writer->bytes_max != 0 && gw_writer_bytes(writer) + coming > writer->bytes_max)
        (void)gw_writer_retain(writer, coming);
}
