/*
 * What the tests of the last values share: a log in a directory of its own, written as the uplink
 * writes it, and the values beside it.
 */
#ifndef TESTS_VALUES_KIT_H
#define TESTS_VALUES_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gw/journal/record.h>
#include <gw/journal/writer.h>
#include <gw/values/values.h>

struct kit {
    char path[64]; /* of the log */
    char store[128];
    uint32_t checkpoint_s;          /* 3600 at first: nothing happens by its age */
    uint64_t segment_bytes;         /* 1 MiB at first                            */
    const struct gw_journal_io *io; /* of the log's writer; NULL at first */
    struct gw_journal_writer *writer;
    struct gw_values *values;
    struct gw_values_reader *reader;
    struct gw_values_recovery found;
    uint64_t sequence; /* of the newest batch */
};

void kit_make(struct kit *kit);
void kit_remove(struct kit *kit);

/* The log recovers, the values are opened, and a reader. */
void kit_open(struct kit *kit);
/* As SIGTERM does. */
void kit_stop(struct kit *kit);
/* As kill -9 does: nothing is finished. */
void kit_crash(struct kit *kit);

/* One batch with one record becomes durable, and the values are told, unless `untold`. */
void kit_record(struct kit *kit, const struct gw_record *record, bool untold);
/* A pin write of bank v, at the time `sequence` of the kit. */
void kit_write(struct kit *kit, uint32_t device, uint8_t pin, const char *value);

/* The pin has this value, or none (NULL), seen in a turn of its own. */
void kit_expect(struct kit *kit, uint32_t device, uint8_t pin, const char *value);
/* "1=a 2=b ": pins of bank v from `from` on. The result lives until the next call. */
const char *kit_pins(struct kit *kit, uint32_t device, uint8_t from);

/* Where the log's cursor for us stands. */
struct gw_journal_position kit_cursor(const struct kit *kit);
struct gw_journal_position kit_durable(const struct kit *kit);

#endif
