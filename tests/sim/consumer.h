/*
 * Who reads the log: a program that follows it with a cursor of its own, and one that only looks
 * on. Both come and go, and their reads and writes fail as the gateway's do. Held true:
 *
 *   - each finds what is durable, in its order, and goes on where it was;
 *   - what is missing is told of before what follows it;
 *   - nothing is missing for who has a cursor.
 */
#ifndef SIM_CONSUMER_H
#define SIM_CONSUMER_H

#include <gw/journal/reader.h>

#include "ledger.h"
#include "pretend_disk.h"

enum { PLACES_MAX = 256 };

struct consumer {
    const char *cursor; /* NULL: it has none, and begins anew each time */
    struct ledger *ledger;
    struct chance *chance;
    struct gw_journal_reader *reader; /* NULL: it has none open                */
    uint32_t away;                    /* for so many steps it reads nothing    */
    uint32_t power_cuts;              /* that it has seen                      */
    bool gap_told;                    /* something is missing before the next update */
    uint32_t version;                 /* of the newest update that it read           */
    struct place {
        struct gw_journal_position position; /* behind a batch            */
        uint32_t version;                    /* of the newest update then */
    } here, places[PLACES_MAX];
    uint32_t place_count; /* what its cursor may say: as it was written last, then what failed */
    uint64_t read, gaps;
};

/* Before the first gateway begins: its cursor, if it has one, is there. */
void consumer_begin(struct consumer *consumer, const char *path, const struct gw_journal_io *io);
/* It is a process of its own: it dies with the power alone, and what it has not written with it. */
void consumer_step(struct consumer *consumer, const char *path, struct pretend_disk *disk);
/* For good. */
void consumer_stop(struct consumer *consumer);

#endif
