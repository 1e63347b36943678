/*
 * Reading: one segment after the other, each up to its end, and the end is never guessed:
 *
 *   - a segment with a successor ends where the successor's header says;
 *   - the newest one, while a writer lives, ends at the live mark;
 *   - the newest one of a journal that nobody writes ends where recovery would say (scan.c).
 *
 * Nothing before such an end was ever less than durable, so an unsound place before it is damage.
 *
 * I1  `last` holds, for each lane of the current epoch, the highest sequence met or known to have
 *     come before. A batch not above it stands twice and is passed over; one that is more than one
 *     above it shows what is missing.
 * I2  A position behind which reading began is reached by walking the segment from its start
 * without giving anything out, so that I1 holds from the first batch that is.
 * I3  An empty segment is left again for the end of the one before, as long as it has no successor:
 *     its writer may give it up, and another one may begin a segment with its number.
 */
#include <gw/journal/reader.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "journal_internal.h"

enum { POLL_MS = 50, REFRESH_TRIES = 8 };

struct gw_journal_reader {
    const struct gw_journal_io *io;
    char path[GW_JOURNAL_PATH_BYTES];
    int mark_fd, lock_fd; /* -1 until the files are there */
    struct gw_segment_list list;

    int fd; /* of the current segment, or -1 between two */
    struct gw_segment_header header;
    bool headless;     /* both copies of its header are gone       */
    uint64_t size;     /* of a headless one                        */
    uint64_t number;   /* of the current segment, or the last one  */
    uint64_t end;      /* how far it may be read                   */
    bool end_is_final; /* it has a successor                       */
    bool scanned;      /* `end` comes from a scan                  */
    struct gw_segment_walk walk;

    bool entered;                     /* a segment was opened           */
    struct gw_journal_position start; /* nothing before it is given out */
    struct gw_journal_position until; /* as in the options              */
    uint64_t epoch;                   /* of `last` and `proven`         */
    struct gw_lane_marks last, proven;

    struct gw_journal_position waited_for; /* the mark that ended the last wait */

    bool in_batch, has_damage;
    struct gw_journal_item damage; /* goes out before the batch */
    struct gw_journal_item item;   /* the batch's part of every record's item */
    struct gw_batch_walk records;
};

static int open_in(struct gw_journal_reader *reader, const char *name)
{
    char path[GW_JOURNAL_PATH_BYTES];
    int err = gw_journal_path(path, reader->path, name);

    return err != 0 ? err : reader->io->open(reader->io->context, path, O_RDONLY, 0);
}

/* -ENOENT when no writer was ever here, or only its segments were copied. */
static int read_mark(struct gw_journal_reader *reader, struct gw_journal_mark *mark)
{
    if (reader->mark_fd < 0 && (reader->mark_fd = open_in(reader, "mark")) < 0)
        return reader->mark_fd;
    return gw_journal_mark_read(reader->io, reader->mark_fd, mark);
}

/* 1 or 0; -errno when it cannot be told: what a writer has not synced yet must not be given out. */
static int writer_lives(struct gw_journal_reader *reader)
{
    if (reader->lock_fd < 0 && (reader->lock_fd = open_in(reader, "lock")) < 0)
        return reader->lock_fd == -ENOENT ? 0 : reader->lock_fd;
    return reader->io->is_locked(reader->io->context, reader->lock_fd);
}

/* The first segment above `number`, 0 when there is none; -errno. */
static int segment_above(struct gw_journal_reader *reader, uint64_t number, uint64_t *out)
{
    int err = gw_segment_list_read(reader->io, reader->path, &reader->list);

    *out = 0;
    for (size_t i = 0; i < reader->list.count && err == 0; i++) {
        if (reader->list.numbers[i] > number) {
            *out = reader->list.numbers[i];
            break;
        }
    }
    return err;
}

/* Something that was durable is missing at `position`; several reports before a batch add up. */
static void report(struct gw_journal_reader *reader, struct gw_journal_position position,
                   uint64_t bytes, uint64_t batches_lost)
{
    if (bytes == 0 && batches_lost == 0)
        return;
    if (!reader->has_damage)
        reader->damage = (struct gw_journal_item){.kind = GW_JOURNAL_DAMAGE, .position = position};
    reader->has_damage = true;
    reader->damage.bytes += bytes;
    reader->damage.batches_lost += batches_lost;
}

static struct gw_journal_position here(const struct gw_journal_reader *reader)
{
    return (struct gw_journal_position){.segment = reader->number, .offset = reader->walk.at};
}

static bool is_before_start(const struct gw_journal_reader *reader,
                            struct gw_journal_position position)
{
    return gw_journal_position_is_before(position, reader->start);
}

/* Nothing more of this epoch comes: what was proven durable and was not met is lost. */
static void settle(struct gw_journal_reader *reader, struct gw_journal_position at)
{
    if (!is_before_start(reader, at))
        report(reader, at, 0, gw_lane_marks_missing(&reader->last, &reader->proven));
    for (uint32_t lane = 0; lane < reader->proven.lanes; lane++)
        gw_lane_marks_raise(&reader->last, lane, reader->proven.last[lane]);
}

/* What the header says came before, against what was met. */
static void enter_epoch(struct gw_journal_reader *reader)
{
    const struct gw_segment_header *header = &reader->header;
    struct gw_journal_position at = {.segment = header->number, .offset = 0};

    if (reader->epoch != header->epoch) {
        settle(reader, at);
        reader->last.lanes = reader->proven.lanes = 0;
    }
    for (uint32_t lane = 0; lane < header->lanes; lane++) {
        uint64_t have = gw_lane_marks_at(&reader->last, lane);

        if (reader->epoch == header->epoch && header->last[lane] > have)
            report(reader, at, 0, header->last[lane] - have);
        gw_lane_marks_raise(&reader->last, lane, header->last[lane]);
    }
    reader->epoch = header->epoch;
}

static void report_deleted(struct gw_journal_reader *reader, struct gw_journal_position position)
{
    reader->has_damage = true;
    reader->damage =
        (struct gw_journal_item){.kind = GW_JOURNAL_DAMAGE, .position = position, .deleted = true};
}

/*
 * The first segment that is opened lies behind the one where reading was to begin: did batches
 * behind that position go with it?
 */
static bool is_start_deleted(const struct gw_journal_reader *reader)
{
    struct gw_journal_position start = reader->start;

    if (start.segment == 0 || reader->number <= start.segment)
        return false;
    return reader->headless || reader->header.previous > start.segment ||
           (reader->header.previous == start.segment && start.offset < reader->header.previous_end);
}

/*
 * Retention may overtake a reader that stands in a segment: what it takes of the epoch that goes on
 * shows in the lanes' sequences, but of epochs that end or begin within it nothing does.
 */
static void note_deleted(struct gw_journal_reader *reader, struct gw_journal_position left)
{
    if (!reader->entered && is_start_deleted(reader))
        report_deleted(reader, reader->start);
    else if (reader->entered && !reader->headless && reader->header.previous > left.segment)
        report_deleted(reader, left);
}

/*
 * The segment that told us where ours ends was given up before its writer died (I3), and recovery
 * has found more in ours: what nobody was told of, but was on the disk.
 */
static bool has_grown(const struct gw_journal_reader *reader, struct gw_journal_position left)
{
    return reader->entered && !reader->headless && reader->header.previous == left.segment &&
           reader->header.previous_end > left.offset;
}

static void leave(struct gw_journal_reader *reader)
{
    (void)reader->io->close(reader->io->context, reader->fd);
    reader->fd = -1;
}

/* 1 when there is a next segment and it is open now, 0 when there is none yet. */
static int enter_next(struct gw_journal_reader *reader)
{
    struct gw_journal_position left = here(reader);
    uint64_t number;
    int64_t size;
    int err, fd;

    if ((err = segment_above(reader, reader->number, &number)) != 0 || number == 0)
        return err;
    fd = gw_segment_open(reader->io, reader->path, number, O_RDONLY);
    if (fd == -ENOENT) /* retention took it between the two calls; the next is asked for again */
        return 0;
    if (fd < 0)
        return fd;
    err = gw_segment_header_read(reader->io, fd, number, &reader->header);
    size = reader->io->size(reader->io->context, fd);
    if ((err != 0 && err != -EBADMSG) || size < 0) {
        (void)reader->io->close(reader->io->context, fd);
        return size < 0 ? (int)size : err;
    }
    reader->headless = err == -EBADMSG;
    reader->size = (uint64_t)size;
    reader->fd = fd;
    if (has_grown(reader, left)) {
        leave(reader);
        reader->start = left;
        reader->entered = false; /* as if reading began there */
        reader->number = left.segment - 1;
        return 1;
    }
    reader->number = number;
    reader->end = GW_SEGMENT_DATA_AT;
    reader->end_is_final = reader->scanned = false;
    note_deleted(reader, left);
    reader->entered = true;
    if (reader->headless)
        memset(&reader->header, 0, sizeof(reader->header));
    else
        enter_epoch(reader);
    gw_segment_walk_to(&reader->walk, fd, &reader->header, GW_SEGMENT_DATA_AT, reader->end);
    return 1;
}

/*
 * Nobody says where the segment ends: look as recovery would. `mark_offset` as in gw_segment_scan.
 */
static int end_from_scan(struct gw_journal_reader *reader, uint64_t mark_offset)
{
    struct gw_segment_scan *scan;
    int err;

    if (reader->scanned || reader->headless)
        return 0;
    if ((scan = malloc(sizeof(*scan))) == NULL)
        return -ENOMEM;
    err = gw_segment_scan(reader->io, reader->fd, &reader->header, mark_offset, scan);
    if (err == 0) {
        reader->end = gw_max_u64(scan->end, reader->walk.at);
        reader->scanned = true;
        for (uint32_t lane = 0; lane < scan->last.lanes; lane++)
            gw_lane_marks_raise(&reader->proven, lane, scan->last.last[lane]);
        gw_segment_scan_fini(scan);
    }
    free(scan);
    return err;
}

/* The successor says where this one ends; -ENOENT when there is none, -EAGAIN to ask again. */
static int end_from_successor(struct gw_journal_reader *reader)
{
    struct gw_segment_header *next;
    uint64_t number;
    int fd, err = segment_above(reader, reader->number, &number);

    if (err != 0 || number == 0)
        return err != 0 ? err : -ENOENT;
    fd = gw_segment_open(reader->io, reader->path, number, O_RDONLY);
    if (fd < 0)
        return fd == -ENOENT ? -EAGAIN : fd;
    next = malloc(sizeof(*next));
    err = next == NULL ? -ENOMEM : gw_segment_header_read(reader->io, fd, number, next);
    (void)reader->io->close(reader->io->context, fd);
    if (err == -EBADMSG || (err == 0 && next->previous > reader->number)) {
        /* The one that knew is gone or unreadable. */
        err = end_from_scan(reader, 0);
    } else if (err == 0) {
        /* One that does not follow on us says that nothing of ours was acknowledged. */
        reader->end = next->previous == reader->number ? next->previous_end : reader->walk.at;
        reader->scanned = false;
    }
    reader->end_is_final = err == 0;
    free(next);
    return err;
}

/*
 * How far may the current segment be read? The order matters: the successor is looked for again
 * after the lock was found free, because a writer may have gone on to a new segment and died in
 * between, and only the successor knows which end of ours was synced.
 */
static int refresh_end(struct gw_journal_reader *reader)
{
    struct gw_journal_mark mark = {.epoch = 0};
    int err, lives;

    for (int tries = 0; tries < REFRESH_TRIES; tries++) {
        if ((err = end_from_successor(reader)) == -EAGAIN)
            continue;
        if (err != -ENOENT)
            return err;
        if (reader->until.segment != 0) {
            if (reader->until.segment == reader->number)
                reader->end = gw_max_u64(reader->until.offset, reader->walk.at);
            reader->end_is_final = reader->headless;
            return 0;
        }
        if ((lives = writer_lives(reader)) < 0)
            return lives;
        if (reader->headless) {
            reader->end = reader->walk.at;
            reader->end_is_final = lives == 0;
            return 0;
        }
        err = read_mark(reader, &mark);
        if (err != 0 && err != -ENOENT)
            return err;
        if (lives == 1) {
            if (err == 0 && mark.durable.segment > reader->number)
                continue;
            if (err == 0 && mark.durable.segment == reader->number &&
                mark.epoch == reader->header.epoch)
                reader->end = gw_max_u64(mark.durable.offset, reader->walk.at);
            reader->scanned = false;
            return 0;
        }
        if ((err = end_from_successor(reader)) != -ENOENT) {
            if (err == -EAGAIN)
                continue;
            return err;
        }
        if (mark.epoch != reader->header.epoch || mark.durable.segment != reader->number)
            mark.durable.offset = 0;
        return end_from_scan(reader, mark.durable.offset);
    }
    return 0; /* somebody moves files about; as far as we got, and the next call asks again */
}

/* Notes the batch, and prepares to give its records out unless they were, or come before `start`.
 */
static void take_batch(struct gw_journal_reader *reader, const struct gw_batch *batch,
                       uint64_t found_at)
{
    struct gw_journal_position at = {.segment = reader->number, .offset = found_at};
    uint64_t last;

    gw_lane_marks_prove(&reader->proven, batch);
    if (batch->kind == GW_BATCH_CLOSING)
        settle(reader, at);
    if (batch->kind != GW_BATCH_RECORDS)
        return;
    last = gw_lane_marks_at(&reader->last, batch->lane);
    if (batch->sequence <= last)
        return;
    gw_lane_marks_raise(&reader->last, batch->lane, batch->sequence);
    if (is_before_start(reader, at))
        return;
    report(reader, at, 0, batch->sequence - last - 1);
    reader->item = (struct gw_journal_item){
        .kind = GW_JOURNAL_RECORD,
        .position = at,
        .batch = {.lane = batch->lane, .epoch = batch->epoch, .sequence = batch->sequence},
        .after = here(reader),
    };
    reader->records = gw_batch_records(batch);
    reader->in_batch = reader->records.left > 0;
}

/* From where the walk stands to the end: 1 when a batch or damage can be given out, 0 at the end.
 */
static int read_on(struct gw_journal_reader *reader)
{
    struct gw_batch batch;
    uint64_t before, found_at;
    int result;

    reader->walk.end = reader->end;
    for (;;) {
        before = reader->walk.at;
        result = gw_segment_walk_next(&reader->walk, &batch, &found_at);
        if (result < 0)
            return result;
        if (result == 0)
            found_at = reader->walk.at = gw_max_u64(reader->end, before);
        if (found_at > before) {
            struct gw_journal_position hole = {.segment = reader->number, .offset = before};
            struct gw_journal_position hole_end = {.segment = reader->number, .offset = found_at};

            if (gw_journal_position_is_before(reader->start, hole_end))
                report(reader, hole, found_at - before, 0);
        }
        if (result == 1)
            take_batch(reader, &batch, found_at);
        else if (reader->scanned)
            settle(reader, here(reader));
        if (reader->in_batch || reader->has_damage)
            return 1;
        if (result == 0)
            return 0;
    }
}

/* A segment without a header: all of it is damage, once it has a successor or no writer. */
static int pass_headless(struct gw_journal_reader *reader)
{
    struct gw_journal_position at = {.segment = reader->number, .offset = 0};

    if (!reader->end_is_final)
        return 0;
    report(reader, at, reader->size, 0);
    reader->walk.at = reader->size;
    leave(reader);
    return 1;
}

/* I3 */
static void step_back(struct gw_journal_reader *reader)
{
    struct gw_journal_position from = here(reader);

    if (reader->fd < 0 || reader->headless || from.offset > GW_SEGMENT_DATA_AT)
        return;
    leave(reader);
    if (gw_journal_position_is_before(reader->waited_for, from)) /* nothing to come back for */
        reader->waited_for = from;
    reader->number = reader->header.previous;
    reader->walk.at = reader->header.previous_end;
}

static void next_record(struct gw_journal_reader *reader, struct gw_journal_item *item)
{
    enum gw_status status = gw_batch_next(&reader->records, &reader->item.record);

    reader->in_batch = reader->records.left > 0;
    *item = reader->item;
    item->last = !reader->in_batch;
    reader->item.index++;
    if (status != GW_OK) { /* sound by its hash, but not what a lane writes */
        reader->in_batch = false;
        *item = (struct gw_journal_item){.kind = GW_JOURNAL_DAMAGE,
                                         .position = reader->item.position,
                                         .bytes = reader->item.after.offset -
                                                  reader->item.position.offset};
    }
}

int gw_journal_reader_next(struct gw_journal_reader *reader, struct gw_journal_item *item)
{
    int result;

    for (;;) {
        if (reader->has_damage) {
            *item = reader->damage;
            reader->has_damage = false;
            return 0;
        }
        if (reader->in_batch) {
            next_record(reader, item);
            return 0;
        }
        if (reader->fd < 0) {
            if ((result = enter_next(reader)) < 0)
                return result;
            if (result == 0)
                break;
            continue;
        }
        if (!reader->end_is_final && reader->walk.at >= reader->end &&
            (result = refresh_end(reader)) != 0) {
            step_back(reader);
            return result;
        }
        if (reader->headless) {
            if (pass_headless(reader) == 0)
                break;
            continue;
        }
        if ((result = read_on(reader)) < 0)
            return result;
        if (result == 1)
            continue;
        if (!reader->end_is_final)
            break;
        leave(reader);
    }
    step_back(reader);
    *item = (struct gw_journal_item){.kind = GW_JOURNAL_END, .position = here(reader)};
    /* What was passed over may be all that can be read by now: the mark was late (I2). */
    if (is_before_start(reader, item->position))
        item->position = reader->start;
    return 0;
}

bool gw_journal_reader_wait(struct gw_journal_reader *reader, uint32_t timeout_ms)
{
    struct gw_journal_mark mark;

    for (;;) {
        uint32_t ms = timeout_ms < POLL_MS ? timeout_ms : POLL_MS;

        /* A mark is good for one yes: should nothing be readable up to it, the caller must not
         * spin. */
        if (read_mark(reader, &mark) == 0 &&
            gw_journal_position_is_before(here(reader), mark.durable) &&
            gw_journal_position_is_before(reader->waited_for, mark.durable)) {
            reader->waited_for = mark.durable;
            return true;
        }
        if (timeout_ms == 0)
            return false;
        reader->io->sleep_ms(reader->io->context, ms);
        timeout_ms -= ms;
    }
}

/* The end as it is now: the newest segment, and how far it may be read. */
static int go_to_end(struct gw_journal_reader *reader)
{
    int result = gw_segment_list_read(reader->io, reader->path, &reader->list);

    if (result != 0 || reader->list.count == 0)
        return result;
    reader->number = reader->list.numbers[reader->list.count - 1] - 1;
    if ((result = enter_next(reader)) != 1 || (result = refresh_end(reader)) != 0)
        return result;
    reader->start = (struct gw_journal_position){.segment = reader->number, .offset = reader->end};
    if (!reader->headless && reader->end == GW_SEGMENT_DATA_AT)
        reader->start = (struct gw_journal_position){.segment = reader->header.previous,
                                                     .offset = reader->header.previous_end};
    return 0;
}

/*
 * A position behind all segments belongs to a journal that was taken away, and another one has
 * begun from 1. All of that one is new, and what followed the position is gone.
 */
static void go_to(struct gw_journal_reader *reader, struct gw_journal_position position)
{
    size_t count = reader->list.count;

    if (count > 0 && position.segment > reader->list.numbers[count - 1]) {
        report_deleted(reader, position);
        return;
    }
    reader->start = position;
    if (position.segment > 0)
        reader->number = position.segment - 1;
}

static int start(struct gw_journal_reader *reader, const struct gw_journal_reader_options *options)
{
    switch (options->from) {
    case GW_JOURNAL_FROM_BEGINNING:
        return 0;
    case GW_JOURNAL_FROM_END:
        return go_to_end(reader);
    case GW_JOURNAL_FROM_POSITION:
        go_to(reader, options->position);
        return 0;
    }
    gw_unreachable("a reader from nowhere");
}

static int refuse(const struct gw_journal_reader_options *options, int err, char *why,
                  size_t why_bytes)
{
    if (why_bytes > 0)
        (void)snprintf(why, why_bytes, "cannot read the journal %.256s: %s", options->path,
                       strerror(-err));
    return err;
}

int gw_journal_reader_open(const struct gw_journal_reader_options *options,
                           struct gw_journal_reader **out, char *why, size_t why_bytes)
{
    struct gw_journal_reader *reader = calloc(1, sizeof(*reader));
    int length, err;

    *out = NULL;
    if (reader == NULL)
        return refuse(options, -ENOMEM, why, why_bytes);
    reader->io = options->io != NULL ? options->io : &gw_journal_io_system;
    reader->mark_fd = reader->lock_fd = reader->fd = -1;
    reader->until = options->until;
    length = snprintf(reader->path, sizeof(reader->path), "%s", options->path);
    err = length < 0 || (size_t)length >= sizeof(reader->path) ? -ENAMETOOLONG : 0;
    if (err == 0)
        err = gw_segment_walk_init(&reader->walk, reader->io);
    if (err == 0)
        err = gw_segment_list_read(reader->io, reader->path, &reader->list);
    if (err == 0)
        err = start(reader, options);
    if (err != 0) {
        gw_journal_reader_close(reader);
        return refuse(options, err, why, why_bytes);
    }
    *out = reader;
    return 0;
}

void gw_journal_reader_close(struct gw_journal_reader *reader)
{
    if (reader == NULL)
        return;
    int fds[] = {reader->mark_fd, reader->lock_fd, reader->fd};

    for (size_t i = 0; i < GW_ARRAY_COUNT(fds); i++) {
        if (fds[i] >= 0)
            (void)reader->io->close(reader->io->context, fds[i]);
    }
    gw_segment_walk_fini(&reader->walk);
    gw_segment_list_fini(&reader->list);
    free(reader);
}
