/*
 * The writer of a journal: one process at a time, one thread at a time.
 *
 *     DIR/00000000000000000001.seg ...   segments (segment.h)
 *     DIR/lock                           held by the writer while it lives
 *     DIR/mark                           up to where the journal is durable
 *     DIR/cursors/NAME                   what readers have done with (cursor.h)
 *     DIR/quarantine/SEGMENT-OFFSET.bad  copies of damaged ranges that recovery met
 *
 * Opening recovers: it finds the end of the newest segment, tells the unwritten tail (dropped, it
 * was never acknowledged) from damage (kept in quarantine, counted as loss), and starts a new
 * segment with a new boot epoch. Recovery changes nothing that may be read before that segment is
 * durable, so that a crash or an error on the way only means doing it again.
 *
 * After a failed write or sync the segment is poisoned: nothing more is written to it, the sync is
 * never repeated (the kernel would call it a success, with the data gone), and the batches that
 * were not durable go to a new segment, whose header says where the poisoned one ends.
 */
#ifndef GW_JOURNAL_WRITER_H
#define GW_JOURNAL_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/journal/batch.h>
#include <gw/journal/io.h>
#include <gw/journal/segment.h>

struct gw_journal_writer;

enum {
    GW_JOURNAL_SEGMENT_BYTES = 256 << 20,
    GW_JOURNAL_SEGMENT_BYTES_MIN = 16 << 10,
    GW_JOURNAL_ZERO_AHEAD_BYTES = 8 << 20,
};

struct gw_journal_options {
    const char *path;          /* of the directory; made when missing                           */
    uint64_t segment_bytes;    /* 0: GW_JOURNAL_SEGMENT_BYTES                                   */
    uint64_t bytes_max;        /* of all segments, at least two of them; 0: no bound            */
    uint64_t keep_s;           /* closed segments older than this go; 0: age does not matter    */
    uint32_t zero_ahead_bytes; /* 0: GW_JOURNAL_ZERO_AHEAD_BYTES                                */
    uint32_t lock_wait_ms;     /* how long to wait for another writer to go                     */
    uint64_t seed;             /* 0: random; tests and simulators choose it                     */
    const struct gw_journal_io *io; /* NULL: the operating system                                */
};

/* What opening found. */
struct gw_journal_recovery {
    uint64_t epoch;          /* the new boot epoch                                           */
    uint64_t segments;       /* that were there                                              */
    uint64_t journal_bytes;  /* in them                                                      */
    uint64_t batches;        /* sound ones in the newest segment                             */
    uint64_t tail_bytes;     /* behind its end: never acknowledged, dropped                  */
    uint64_t damaged_ranges; /* before its end: acknowledged once, now unreadable            */
    uint64_t damaged_bytes;
    uint64_t batches_lost;                /* by the gaps in the lanes' sequences */
    struct gw_journal_position damage_at; /* the first damaged range             */
    bool clean;                           /* the last writer closed the journal  */
    bool stalled; /* no room for a new segment: writes fail until there is */
};

/*
 * 0, or -errno with the reason as text in `why`: -EWOULDBLOCK when another process writes this
 * journal, -ENOSPC never (a full disk opens, stalled).
 */
GW_MUST_USE int gw_journal_writer_open(const struct gw_journal_options *options,
                                       struct gw_journal_writer **out,
                                       struct gw_journal_recovery *recovery, char *why,
                                       size_t why_bytes);

/* What every batch of this writer carries, and the seed of its hash. */
uint64_t gw_journal_writer_epoch(const struct gw_journal_writer *writer);
uint64_t gw_journal_writer_seed(const struct gw_journal_writer *writer);

/*
 * Writes sealed batches and syncs them. *durable says how many, from the front, are on disk and
 * may be acknowledged, also after an error. A failed segment is replaced once within the call;
 * after an error the caller comes again, some time later, with the batches that are not durable.
 *   0             all of them
 *   -EDQUOT       bytes_max is reached, and a cursor still needs the oldest segment
 *   -ENOSPC ...   what the file system said
 */
GW_MUST_USE int gw_journal_writer_write(struct gw_journal_writer *writer,
                                        const struct gw_bytes *batches, uint32_t count,
                                        uint32_t *durable);

/*
 * For idle moments: writes the next piece of zeros ahead, so that the syncs to come need not change
 * the file's size. True while there is more to do.
 */
bool gw_journal_writer_prepare(struct gw_journal_writer *writer);

/*
 * For idle moments, every few seconds: looks how far readers have come, and deletes what bytes_max
 * and keep_s no longer allow.
 */
void gw_journal_writer_retain(struct gw_journal_writer *writer);

/*
 * Ends the log cleanly, as below, and keeps its lock: nothing more is written, and nobody else
 * begins to before the close.
 */
void gw_journal_writer_finish(struct gw_journal_writer *writer);
/*
 * Frees the writer; NULL is fine. `clean` writes a closing batch first: every batch handed over is
 * durable, and the caller stops for good. Without it the journal looks as after a crash.
 */
void gw_journal_writer_close(struct gw_journal_writer *writer, bool clean);

struct gw_journal_writer_stat {
    uint64_t writes, syncs, bytes, batches;
    uint64_t failures;         /* segments poisoned                     */
    uint64_t segments;         /* on disk now                           */
    uint64_t segments_deleted; /* by retention                          */
    uint64_t journal_bytes;    /* on disk now                           */
    uint64_t bytes_max;        /* as it was asked for                   */
    uint64_t held_bytes;       /* of these, in segments that are kept because a reader needs them */
    const char *reader; /* the cursor furthest behind; empty: none. Valid until the next call */
    int last_error;     /* -errno of the latest failure, or 0    */
    struct gw_journal_position durable;
};
void gw_journal_writer_stat(const struct gw_journal_writer *writer,
                            struct gw_journal_writer_stat *out);

#endif
