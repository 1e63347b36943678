/*
 * A segment: one file of the journal, NUMBER.seg with twenty digits, counted upward from 1.
 *
 *     offset     0  header      4096 bytes
 *             4096  its copy
 *             8192  batches     one behind the other; zeros ahead of the last
 *
 *     header: | magic 8 "TGSEGMT1" | hash 8 | version 4 | lanes 4 | number 8 | epoch 8 | seed 8 |
 *             | created_us 8 | previous 8 | previous_end 8 | zero 24 | last sequence of lane 0 8 |
 * ...
 *
 * All integers little-endian; hash is the XXH3-64 of the 4096 bytes with the hash field zero. The
 * header is on disk, with its directory entry, before a batch in the segment is acknowledged.
 *
 * Every segment holds batches of one boot epoch and says where its predecessor ends: what a crash
 * or a failed write left behind that end was never acknowledged and is not part of the journal.
 * `last` says which batches came before, so that a reader that begins here notices every gap.
 */
#ifndef GW_JOURNAL_SEGMENT_H
#define GW_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/defs.h>

enum {
    GW_SEGMENT_HEADER_BYTES = 4096,
    GW_SEGMENT_DATA_AT = 8192, /* the first batch */
    GW_JOURNAL_LANES_MAX = 496,
    GW_SEGMENT_NAME_BYTES = 25, /* 20 digits, ".seg", NUL */
};

/* A place in the journal. A batch begins at it, or may once it is written. */
struct gw_journal_position {
    uint64_t segment; /* from 1; 0 for "before the first" */
    uint64_t offset;
};

static inline bool gw_journal_position_is_before(struct gw_journal_position a,
                                                 struct gw_journal_position b)
{
    return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

struct gw_segment_header {
    uint64_t number;
    uint64_t epoch;
    uint64_t seed; /* of the batches' hashes */
    uint64_t created_us;
    uint64_t previous;                   /* number of the segment before, 0 when there is none */
    uint64_t previous_end;               /* offset at which its batches end                    */
    uint32_t lanes;                      /* entries in `last`, at most GW_JOURNAL_LANES_MAX    */
    uint64_t last[GW_JOURNAL_LANES_MAX]; /* of this epoch, before this segment; 0 for none */
};

/* Writes one copy of GW_SEGMENT_HEADER_BYTES. */
void gw_segment_header_encode(uint8_t *out, const struct gw_segment_header *header);

/* False when the hash or the format does not agree. */
GW_MUST_USE bool gw_segment_header_decode(const uint8_t *in, struct gw_segment_header *out);

void gw_segment_name(char out[GW_SEGMENT_NAME_BYTES], uint64_t number);

/* False when it is not a segment's name. */
GW_MUST_USE bool gw_segment_name_parse(const char *name, uint64_t *number);

#endif
