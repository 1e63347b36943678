/*
 * A reader of a journal: any number of them, in any process, without a lock, while it is written or
 * after. It never passes what is durable: with a live writer that is the live mark, without one it
 * is what recovery would find.
 *
 *     for (;;) {
 *         if (gw_journal_reader_next(reader, &item) < 0) ...
 *         switch (item.kind) {
 *         case GW_JOURNAL_RECORD: work(&item.record); if (item.last) commit(item.after); break;
 *         case GW_JOURNAL_DAMAGE: report(&item); break;
 *         case GW_JOURNAL_END:    gw_journal_reader_wait(reader, 1000); break;
 *         }
 *     }
 *
 * Order: batches of a lane come in the order of their sequence. A batch that stands twice is given
 * once, and a gap in a lane's sequence is reported wherever it comes from.
 */
#ifndef GW_JOURNAL_READER_H
#define GW_JOURNAL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>
#include <gw/journal/batch.h>
#include <gw/journal/io.h>
#include <gw/journal/record.h>
#include <gw/journal/segment.h>

struct gw_journal_reader;

enum gw_journal_from {
    GW_JOURNAL_FROM_BEGINNING, /* the oldest batch that is there             */
    GW_JOURNAL_FROM_END,       /* what becomes durable from now on           */
    GW_JOURNAL_FROM_POSITION,  /* as item.after or gw_cursor_read gave it    */
};

struct gw_journal_reader_options {
    const char *path;
    enum gw_journal_from from;
    struct gw_journal_position position; /* GW_JOURNAL_FROM_POSITION only   */
    struct gw_journal_position until;    /* what the writer, in this process, says is durable, in */
                                         /* place of the mark; segment 0: the mark says           */
    const struct gw_journal_io *io;      /* NULL: the operating system      */
};

enum gw_journal_item_kind {
    GW_JOURNAL_END,    /* nothing more is durable now                        */
    GW_JOURNAL_RECORD, /* a record                                           */
    GW_JOURNAL_DAMAGE, /* something that was durable once is gone            */
};

struct gw_journal_item {
    enum gw_journal_item_kind kind;
    struct gw_journal_position position; /* of the batch, of the damage, or of the end       */

    /* GW_JOURNAL_RECORD; name and value live until the next call */
    struct gw_record record;
    struct gw_batch_name batch;       /* identifies the batch for ever              */
    uint32_t index;                   /* of the record in its batch, from 0         */
    bool last;                        /* of its batch: `after` may be committed now */
    struct gw_journal_position after; /* where reading resumes behind the batch     */

    /* GW_JOURNAL_DAMAGE */
    uint64_t bytes;        /* unreadable, from `position`; 0 when only the gap is known     */
    uint64_t batches_lost; /* by gaps in the lanes' sequences; they show behind the damage, */
                           /* so it may be 0 where bytes are reported, and the other way    */
    bool deleted;          /* the reader came too late: retention was faster                */
};

/* 0, or -errno with the reason in `why`: -ENOENT when there is no journal. */
GW_MUST_USE int gw_journal_reader_open(const struct gw_journal_reader_options *options,
                                       struct gw_journal_reader **out, char *why, size_t why_bytes);
void gw_journal_reader_close(struct gw_journal_reader *reader); /* NULL is fine */

/* 0 with *item filled, or -errno when the file system failed; the call may be repeated. */
GW_MUST_USE int gw_journal_reader_next(struct gw_journal_reader *reader,
                                       struct gw_journal_item *item);

/* Waits, 50 ms at a time, until there is more or the time is over. True when there is more. */
bool gw_journal_reader_wait(struct gw_journal_reader *reader, uint32_t timeout_ms);

#endif
