/*
 * The last value of each pin of each device, with its time and who wrote it.
 *
 * The log is the truth; this is what a look at it would give, kept at hand. Records are applied in
 * the order of the log, by the uplink thread, before their lane is told that they are durable: what
 * was acknowledged is seen by every reader. The newest are in memory, the rest in an LMDB store,
 * which is brought up to date now and then (a *checkpoint*) and names the place in the log up to
 * which it is complete. From there the log is read again at a start.
 *
 *     uplink --> table in use --full or old--> frozen table --values thread--> store
 *                     |                             |                            |
 *     a reader looks here first,              then here,               then here (LMDB, read-only)
 *
 * "Last" is meant in the order of the log, not by the clock of a device: a board that sends in the
 * history of a day is believed to have set the last of it.
 */
#ifndef GW_VALUES_VALUES_H
#define GW_VALUES_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/journal/io.h>
#include <gw/journal/segment.h>

struct gw_values;
struct gw_values_reader;

enum gw_value_origin {
    GW_VALUE_FROM_DEVICE = 1,
    GW_VALUE_FROM_HTTP,    /* written in its name, by a script or an app */
    GW_VALUE_FROM_CONTROL, /* written to it by a program of this machine */
    GW_VALUE_FROM_BRIDGE,  /* written to it by another device            */
};

struct gw_value {
    char bank; /* 'v', 'd' or 'a' */
    uint8_t pin;
    uint8_t origin;        /* enum gw_value_origin                                           */
    uint64_t time_us;      /* of its record, since 1970                                      */
    struct gw_bytes bytes; /* opaque; several values of one write have NULs between them     */
};

/* The cursor that keeps, in the log, what the store does not cover yet. */
#define GW_VALUES_CURSOR "tollgate-values"

enum { GW_VALUES_MEMORY_BYTES_MIN = 256 << 10 };

struct gw_values_options {
    const char *path;         /* folder of the store; made when missing                       */
    const char *journal_path; /* its writer is open, by this process, and has written nothing */
    struct gw_journal_position journal_end; /* it is at least as long                         */
    const struct gw_journal_io *journal_io; /* NULL: the operating system                     */
    uint64_t memory_bytes; /* for both tables; at least GW_VALUES_MEMORY_BYTES_MIN         */
    uint32_t checkpoint_s; /* a table that is older is frozen                              */
};

/* What opening found. */
struct gw_values_recovery {
    uint64_t rows;     /* pins in the store                                                  */
    uint64_t replayed; /* records of the log that it did not cover                           */
    uint64_t ms;       /* that took                                                          */
    bool rebuilt;      /* the store was missing or unreadable, and begun anew                */
    bool incomplete;   /* the log lacks something that the store does not cover              */
    char why[256];     /* of `rebuilt`: what was wrong with the store; empty: there was none */
};

/*
 * Opens the store and brings it up to the end of the log. A store that cannot be read is put aside
 * and built anew from the log. 0, or -errno with the reason in `why`.
 */
GW_MUST_USE int gw_values_open(const struct gw_values_options *options, struct gw_values **out,
                               struct gw_values_recovery *found, char *why, size_t why_bytes);

/* Starts the thread that writes checkpoints. Without it they are written where they fall due. */
GW_MUST_USE int gw_values_start(struct gw_values *values);

/*
 * Applies batches that are on disk: what gw_uplink_options.observe asks for. One thread. Waits
 * while the table in use is full and the other one is not in the store yet.
 */
void gw_values_observe(void *values, const struct gw_bytes *batches, uint32_t count,
                       struct gw_journal_position position);

/*
 * Before the uplink stops: from now on nobody waits for a store that cannot be written. What was
 * not applied is read from the log at the next start.
 */
void gw_values_hurry(struct gw_values *values);
/* After it stopped: a last checkpoint, and the end of the thread. */
void gw_values_stop(struct gw_values *values);
/* The readers are closed and the thread was stopped; NULL is fine. */
void gw_values_close(struct gw_values *values);

/* Values are off: the log need not be kept for them. */
GW_MUST_USE int gw_values_forget_cursor(const char *journal_path);

struct gw_values_stat {
    uint64_t applied;     /* records that set a value                                         */
    uint64_t lag_records; /* of these, not in the store yet                                   */
    double lag_s;         /* how long the oldest of them has waited                           */
    uint64_t memory_pins; /* in the table in use                                              */
    uint64_t rows;        /* pins in the store                                                */
    uint64_t rows_written, checkpoints;
    uint64_t store_bytes; /* of its file                                                      */
    uint64_t waits;       /* times the uplink waited for the store                            */
    bool stalled;         /* the last attempt to write the store failed                       */
};
void gw_values_stat(struct gw_values *values, struct gw_values_stat *out); /* any thread */

/* ---- readers: one a thread ---- */

GW_MUST_USE int gw_values_reader_open(struct gw_values *values, struct gw_values_reader **out);
void gw_values_reader_close(struct gw_values_reader *reader); /* NULL is fine */
/* Before every wait: what was read before is not valid any longer, and its memory is used again. */
void gw_values_reader_pause(struct gw_values_reader *reader);

/*
 * The value of one pin. 0 with *out filled, its bytes valid until the pause; -ENOENT when it has
 * none; another -errno when the store cannot be read.
 */
GW_MUST_USE int gw_values_get(struct gw_values_reader *reader, uint32_t device, char bank,
                              uint8_t pin, struct gw_value *out);

/*
 * Visits the pins of a bank that have a value, from pin `from` on, in ascending order, until
 * `visit` says false. 0 or -errno as above.
 */
GW_MUST_USE int gw_values_each(struct gw_values_reader *reader, uint32_t device, char bank,
                               uint8_t from,
                               bool (*visit)(void *context, const struct gw_value *value),
                               void *context);

#endif
