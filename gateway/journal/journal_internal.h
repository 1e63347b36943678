/*
 * What the files of this room share: a journal's directory, a window over a segment's file, the
 * live mark, and the scan that finds where a segment ends.
 */
#ifndef GW_JOURNAL_INTERNAL_H
#define GW_JOURNAL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/journal/batch.h>
#include <gw/journal/io.h>
#include <gw/journal/segment.h>

enum { GW_JOURNAL_PATH_BYTES = 1024 };

/* DIR/NAME; -ENAMETOOLONG. */
GW_MUST_USE int gw_journal_path(char out[GW_JOURNAL_PATH_BYTES], const char *dir, const char *name);

/* The numbers of the segments that are there, ascending. */
struct gw_segment_list {
    uint64_t *numbers;
    size_t count, capacity;
};

#define GW_SEGMENT_LIST_EMPTY ((struct gw_segment_list){.numbers = NULL})

GW_MUST_USE int gw_segment_list_read(const struct gw_journal_io *io, const char *dir,
                                     struct gw_segment_list *list);
void gw_segment_list_fini(struct gw_segment_list *list);

/* A descriptor or -errno. */
GW_MUST_USE int gw_segment_open(const struct gw_journal_io *io, const char *dir, uint64_t number,
                                int flags);

/* 0; -EBADMSG when neither copy is sound; -errno. */
GW_MUST_USE int gw_segment_header_read(const struct gw_journal_io *io, int fd, uint64_t number,
                                       struct gw_segment_header *header);

/* All of `bytes`, or an error; -EIO for a write that makes no progress. */
int gw_journal_write_all(const struct gw_journal_io *io, int fd, const void *data, size_t bytes,
                         uint64_t offset);

/*
 * A walk over a segment's batches. Between two steps the caller may read `at`, where the next step
 * begins to look, and move it.
 */
struct gw_segment_walk {
    const struct gw_journal_io *io;
    int fd;
    uint64_t epoch, seed; /* batches of another epoch are not sound here  */
    uint64_t at;
    uint64_t end; /* nothing at or behind it is looked at */
    uint8_t *buffer;
    uint64_t buffer_at;
    size_t buffer_bytes;
    uint64_t unreadable_bytes; /* answered with EIO and taken for damage */
};

/* 0 or -ENOMEM. The descriptor stays the caller's. */
GW_MUST_USE int gw_segment_walk_init(struct gw_segment_walk *walk, const struct gw_journal_io *io);
void gw_segment_walk_fini(struct gw_segment_walk *walk);
void gw_segment_walk_to(struct gw_segment_walk *walk, int fd,
                        const struct gw_segment_header *header, uint64_t at, uint64_t end);

/*
 * Finds the first sound batch at or behind `at`: 1 with *found_at (at more than the old `at` when
 * something unsound lies between) and `at` behind the batch; 0 when there is none before `end`,
 * with `at` where it was; -errno. *batch points into the walk's buffer until the next step.
 */
GW_MUST_USE int gw_segment_walk_next(struct gw_segment_walk *walk, struct gw_batch *batch,
                                     uint64_t *found_at);

/* The live mark: up to where the journal is durable, for readers in other processes. */
struct gw_journal_mark {
    uint64_t epoch;
    struct gw_journal_position durable;
    bool closed; /* by a clean stop */
};

enum { GW_JOURNAL_MARK_BYTES = 48 };

void gw_journal_mark_encode(uint8_t out[GW_JOURNAL_MARK_BYTES], const struct gw_journal_mark *mark);
/* 0; -ENOENT when there is no sound mark; -errno. */
GW_MUST_USE int gw_journal_mark_read(const struct gw_journal_io *io, int fd,
                                     struct gw_journal_mark *mark);

/* How far each lane has come. */
struct gw_lane_marks {
    uint32_t lanes;
    uint64_t last[GW_JOURNAL_LANES_MAX];
};

static inline uint64_t gw_lane_marks_at(const struct gw_lane_marks *marks, uint32_t lane)
{
    return lane < marks->lanes ? marks->last[lane] : 0;
}

/* Raises lane's mark to `sequence`; marks never go down. */
void gw_lane_marks_raise(struct gw_lane_marks *marks, uint32_t lane, uint64_t sequence);
/* Raises to what a batch says was durable: its own lane, or with a closing batch all lanes. */
void gw_lane_marks_prove(struct gw_lane_marks *marks, const struct gw_batch *batch);
/* How many batches stand between the two: the sum over lanes of what `to` is ahead. */
uint64_t gw_lane_marks_missing(const struct gw_lane_marks *from, const struct gw_lane_marks *to);

struct gw_byte_range {
    uint64_t begin, end;
};

/* What a scan found in one segment. */
struct gw_segment_scan {
    uint64_t end;        /* behind the last batch that belongs to the journal             */
    uint64_t tail_bytes; /* behind `end`: written, but never provably durable             */
    uint64_t batches;    /* sound ones before `end`                                       */
    uint64_t batches_lost;
    bool closed; /* the last batch is a closing one */
    struct gw_lane_marks last;
    struct gw_byte_range *damage; /* before `end`; owned by the scan */
    size_t damage_count, damage_capacity;
    uint64_t unreadable_bytes;
};

/*
 * Finds the end of a segment that no successor describes, on disk and not in memory. `mark_offset`
 * is what the live mark says was durable in it, 0 when it says nothing.
 */
GW_MUST_USE int gw_segment_scan(const struct gw_journal_io *io, int fd,
                                const struct gw_segment_header *header, uint64_t mark_offset,
                                struct gw_segment_scan *scan);
void gw_segment_scan_fini(struct gw_segment_scan *scan);

#endif
