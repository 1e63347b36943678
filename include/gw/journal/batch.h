/*
 * A batch: records of one lane, sealed together. It is the unit that is written, hashed, made
 * durable and deduplicated: (lane, epoch, sequence) names it for ever, and a batch that had to be
 * written twice carries the same name both times.
 *
 *     offset  0  magic      4   "TGB1"
 *             4  version    1   1
 *             5  kind       1   enum gw_batch_kind
 *             6  header     2   72
 *             8  hash       8   over header and body, see below
 *            16  bytes      4   header and body; a multiple of 8
 *            20  count      4   records in the body
 *            24  lane       4   GW_BATCH_LANE_WRITER for the writer's own
 *            28  zero       4
 *            32  epoch      8   boot epoch: one life of the gateway
 *            40  sequence   8   of this lane in this epoch, from 1, without gaps
 *            48  durable    8   highest sequence of this lane known durable when it was sealed
 *            56  first_us   8   time of the first and of the last record, since 1970
 *            64  last_us    8
 *            72  body           records one behind the other, then zeros up to a multiple of 8
 *
 * All integers little-endian. The hash is the XXH3-64 of the body, seeded with the XXH3-64 of the
 * header (hash field zero), which is seeded with a random number that stands in the segment's
 * header and nowhere else. Devices choose what values say, and a value that spells a batch must not
 * be taken for one when a reader searches for the next batch behind a damaged place.
 *
 * `durable` is what makes damage provable: a sound batch that says its lane was durable up to 7
 * shows that batch 7 was once on disk, so that its absence is loss and not an unwritten tail.
 */
#ifndef GW_JOURNAL_BATCH_H
#define GW_JOURNAL_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/journal/record.h>

enum {
    GW_BATCH_HEADER_BYTES = 72,
    GW_BATCH_ALIGN_BYTES = 8,     /* batches begin at multiples of it              */
    GW_BATCH_BYTES_MAX = 1 << 20, /* a length above it is damage, not a long batch */
};

#define GW_BATCH_MAGIC       UINT32_C(0x31424754) /* "TGB1" */
#define GW_BATCH_LANE_WRITER UINT32_MAX

enum gw_batch_kind {
    GW_BATCH_RECORDS = 1, /* the body holds `count` records                                    */
    GW_BATCH_CLOSING,     /* clean stop; the body holds each lane's last sequence, 8 bytes each */
};

struct gw_batch {
    uint8_t kind; /* enum gw_batch_kind */
    uint32_t count;
    uint32_t lane;
    uint64_t epoch;
    uint64_t sequence;
    uint64_t durable;
    uint64_t first_us;
    uint64_t last_us;
    struct gw_bytes body; /* points into the input; its padding included */
};

/* What stands behind `bytes` of header and body, rounded up to the alignment. */
static inline size_t gw_batch_aligned(size_t bytes)
{
    return (bytes + (GW_BATCH_ALIGN_BYTES - 1)) & ~(size_t)(GW_BATCH_ALIGN_BYTES - 1);
}

/*
 * Seals the batch whose body already stands at buffer + GW_BATCH_HEADER_BYTES: pads it, writes the
 * header before it and hashes both. batch->body.data is not looked at. The buffer has room for
 * gw_batch_aligned(header + body) bytes, which is returned.
 */
size_t gw_batch_seal(uint8_t *buffer, const struct gw_batch *batch, uint64_t seed);

/*
 * Reads the batch at the front of `in`.
 *   GW_OK         *out is filled; *used bytes belong to it
 *   GW_MORE       the front may be a batch that ends behind `in`
 *   GW_BAD_FRAME  no sound batch begins here
 * Of a batch whose hash does not agree nothing is given out.
 */
GW_MUST_USE enum gw_status gw_batch_decode(struct gw_bytes in, uint64_t seed, struct gw_batch *out,
                                           size_t *used);

/* The identity of sealed bytes, taken on trust. */
struct gw_batch_name {
    uint32_t lane;
    uint64_t epoch;
    uint64_t sequence;
};

struct gw_batch_name gw_batch_name(const uint8_t *sealed);

/*
 * The records of a decoded batch, one by one. gw_batch_next returns GW_OK for a record, GW_MORE
 * after the last, GW_BAD_FRAME when the body does not hold `count` records and padding (a writer's
 * mistake: the hash was right).
 */
struct gw_batch_walk {
    struct gw_bytes rest;
    uint32_t left;
};

struct gw_batch_walk gw_batch_records(const struct gw_batch *batch);
/* The same of sealed bytes, taken on trust: for who sealed them, or wrote them just now. */
struct gw_batch_walk gw_batch_records_sealed(struct gw_bytes sealed);
GW_MUST_USE enum gw_status gw_batch_next(struct gw_batch_walk *walk, struct gw_record *out);

#endif
