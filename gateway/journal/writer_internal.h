/*
 * The writer, as its three files see it: writer.c writes, recover.c opens, retain.c deletes.
 */
#ifndef GW_JOURNAL_WRITER_INTERNAL_H
#define GW_JOURNAL_WRITER_INTERNAL_H

#include <gw/journal/cursor.h>
#include <gw/journal/writer.h>

#include "journal_internal.h"

/* A segment that is no longer written. */
struct gw_closed_segment {
    uint64_t number;
    uint64_t epoch;                    /* 0: its header is gone                            */
    uint64_t bytes;                    /* of the file                                      */
    uint64_t end;                      /* of its batches                                   */
    uint64_t closed_us;                /* when its successor began; 0 while it is unknown  */
    struct gw_journal_position before; /* where the journal ended when it was begun        */
};

struct gw_journal_writer {
    const struct gw_journal_io *io;
    char path[GW_JOURNAL_PATH_BYTES];
    uint64_t segment_bytes, bytes_max, keep_us;
    uint64_t zero_ahead_bytes;
    bool zeroing; /* between too few zeros ahead and all of them */

    int lock_fd, dir_fd, mark_fd;
    bool mark_is_late;  /* the last one could not be written                          */
    bool mark_has_room; /* on the disk: it can be written over however full that gets */
    uint64_t epoch, seed;
    struct gw_lane_marks last; /* durable, of this epoch */

    int fd;                /* of the segment being written, or -1                        */
    uint64_t number;       /* of the newest segment, written or not; 0 before the first  */
    uint64_t number_epoch; /* its epoch; 0: its header is gone                          */
    uint64_t end;          /* of the batches in it: durable                              */
    struct gw_journal_position before; /* where the journal ended when it was begun      */
    uint64_t filled;      /* size of its file: batches, then zeros                      */
    bool zeros_failed;    /* no zeros ahead in this segment any more                    */
    int previous_fd;      /* of the poisoned or full one, until its successor is there  */
    uint64_t number_next; /* a number whose rename was tried is never used again        */
    uint64_t orphan;      /* may stand under its name, but was given up; 0: none is     */

    struct gw_closed_segment *closed; /* oldest first */
    size_t closed_count, closed_capacity;
    /* As of the last look at the cursors: */
    struct gw_journal_position needed;         /* by the reader furthest behind           */
    char reader[GW_CURSOR_NAME_BYTES_MAX + 1]; /* its cursor; empty: there is none        */
    uint64_t held_bytes; /* of closed segments that it needs: no retention deletes them */

    uint64_t writes, syncs, bytes, batches, failures, segments_deleted;
    int last_error;
};

/* Makes a new segment the one that is written. 0 or -errno; then there is none. */
GW_MUST_USE int gw_writer_segment_start(struct gw_journal_writer *writer);

/* Publishes how far the journal is durable. */
void gw_writer_mark(struct gw_journal_writer *writer, bool closed);

/*
 * Adds to the list of closed segments, in room that was reserved before the segment was begun: to
 * leave a poisoned segment must not depend on memory.
 */
GW_MUST_USE int gw_writer_closed_reserve(struct gw_journal_writer *writer);
void gw_writer_closed_add(struct gw_journal_writer *writer, struct gw_closed_segment segment);

/*
 * Deletes closed segments, oldest first, as long as bytes_max (with `coming_bytes` more) or keep_s
 * ask for it and no cursor needs them. -EDQUOT when bytes_max still does not allow coming_bytes,
 * unless nothing but the newest one, which nobody needs, is in the way of its successor.
 */
int gw_writer_retain(struct gw_journal_writer *writer, uint64_t coming_bytes);
/* A new segment was begun beside one that had to stay for it, and bytes_max has no room for both.
 */
void gw_writer_retain_replaced(struct gw_journal_writer *writer);

uint64_t gw_writer_bytes(const struct gw_journal_writer *writer);

#endif
