/*
 * Batches as bytes. No clock, file or allocator: the shard that seals a batch, the writer that
 * finds the end of a journal and a reader in another process all come through here.
 *
 * I1  Nothing is read from a body before the hash over header and body agreed.
 * I2  Every bit of a batch is covered: the padding is hashed with the rest.
 */
#include <gw/journal/batch.h>

#include <assert.h>
#include <string.h>

#include <gw/base/assert.h>

#include <xxhash.h>

enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_KIND = 5,
    AT_HEADER = 6,
    AT_HASH = 8,
    AT_BYTES = 16,
    AT_COUNT = 20,
    AT_LANE = 24,
    AT_ZERO = 28,
    AT_EPOCH = 32,
    AT_SEQUENCE = 40,
    AT_DURABLE = 48,
    AT_FIRST_US = 56,
    AT_LAST_US = 64,
    VERSION = 1,
};

static_assert(GW_BATCH_HEADER_BYTES % GW_BATCH_ALIGN_BYTES == 0, "bodies are padded, not headers");

/* The hash field counts as zero. A copy of the header costs less than a streaming hash. */
static uint64_t batch_hash(const uint8_t *bytes, size_t size, uint64_t seed)
{
    uint8_t header[GW_BATCH_HEADER_BYTES];
    uint64_t of_header;

    memcpy(header, bytes, sizeof(header));
    memset(header + AT_HASH, 0, 8);
    of_header = XXH3_64bits_withSeed(header, sizeof(header), seed);
    /* The body is hashed under the header's hash, which binds the two. */
    return XXH3_64bits_withSeed(bytes + GW_BATCH_HEADER_BYTES, size - GW_BATCH_HEADER_BYTES,
                                of_header);
}

size_t gw_batch_seal(uint8_t *buffer, const struct gw_batch *batch, uint64_t seed)
{
    size_t filled = GW_BATCH_HEADER_BYTES + batch->body.size;
    size_t size = gw_batch_aligned(filled);

    gw_assert(size <= GW_BATCH_BYTES_MAX);
    gw_assert(batch->sequence > 0);
    gw_assert(batch->durable < batch->sequence || batch->kind == GW_BATCH_CLOSING);
    memset(buffer + filled, 0, size - filled);
    gw_store_le32(buffer + AT_MAGIC, GW_BATCH_MAGIC);
    buffer[AT_VERSION] = VERSION;
    buffer[AT_KIND] = batch->kind;
    gw_store_le16(buffer + AT_HEADER, GW_BATCH_HEADER_BYTES);
    gw_store_le32(buffer + AT_BYTES, (uint32_t)size);
    gw_store_le32(buffer + AT_COUNT, batch->count);
    gw_store_le32(buffer + AT_LANE, batch->lane);
    gw_store_le32(buffer + AT_ZERO, 0);
    gw_store_le64(buffer + AT_EPOCH, batch->epoch);
    gw_store_le64(buffer + AT_SEQUENCE, batch->sequence);
    gw_store_le64(buffer + AT_DURABLE, batch->durable);
    gw_store_le64(buffer + AT_FIRST_US, batch->first_us);
    gw_store_le64(buffer + AT_LAST_US, batch->last_us);
    gw_store_le64(buffer + AT_HASH, batch_hash(buffer, size, seed));
    return size;
}

/* What can be said before the length is trusted; the hash decides afterwards. */
static bool header_is_plausible(const uint8_t *p)
{
    uint32_t size = gw_load_le32(p + AT_BYTES);

    return gw_load_le32(p + AT_MAGIC) == GW_BATCH_MAGIC && p[AT_VERSION] == VERSION &&
           (p[AT_KIND] == GW_BATCH_RECORDS || p[AT_KIND] == GW_BATCH_CLOSING) &&
           gw_load_le16(p + AT_HEADER) == GW_BATCH_HEADER_BYTES && size >= GW_BATCH_HEADER_BYTES &&
           size <= GW_BATCH_BYTES_MAX && size % GW_BATCH_ALIGN_BYTES == 0 &&
           gw_load_le32(p + AT_ZERO) == 0;
}

enum gw_status gw_batch_decode(struct gw_bytes in, uint64_t seed, struct gw_batch *out,
                               size_t *used)
{
    size_t size;

    *used = 0;
    if (in.size < GW_BATCH_HEADER_BYTES) {
        uint8_t magic[4];

        gw_store_le32(magic, GW_BATCH_MAGIC);
        return memcmp(in.data == NULL ? magic : in.data, magic, in.size < 4 ? in.size : 4) == 0
                   ? GW_MORE
                   : GW_BAD_FRAME;
    }
    if (!header_is_plausible(in.data))
        return GW_BAD_FRAME;
    size = gw_load_le32(in.data + AT_BYTES);
    if (size > in.size)
        return GW_MORE;
    if (batch_hash(in.data, size, seed) != gw_load_le64(in.data + AT_HASH))
        return GW_BAD_FRAME;
    *out = (struct gw_batch){
        .kind = in.data[AT_KIND],
        .count = gw_load_le32(in.data + AT_COUNT),
        .lane = gw_load_le32(in.data + AT_LANE),
        .epoch = gw_load_le64(in.data + AT_EPOCH),
        .sequence = gw_load_le64(in.data + AT_SEQUENCE),
        .durable = gw_load_le64(in.data + AT_DURABLE),
        .first_us = gw_load_le64(in.data + AT_FIRST_US),
        .last_us = gw_load_le64(in.data + AT_LAST_US),
        .body = gw_bytes_of(in.data + GW_BATCH_HEADER_BYTES, size - GW_BATCH_HEADER_BYTES),
    };
    *used = size;
    return GW_OK;
}

struct gw_batch_name gw_batch_name(const uint8_t *sealed)
{
    gw_assert(gw_load_le32(sealed + AT_MAGIC) == GW_BATCH_MAGIC);
    return (struct gw_batch_name){
        .lane = gw_load_le32(sealed + AT_LANE),
        .epoch = gw_load_le64(sealed + AT_EPOCH),
        .sequence = gw_load_le64(sealed + AT_SEQUENCE),
    };
}

struct gw_batch_walk gw_batch_records(const struct gw_batch *batch)
{
    return (struct gw_batch_walk){
        .rest = batch->body,
        .left = batch->kind == GW_BATCH_RECORDS ? batch->count : 0,
    };
}

struct gw_batch_walk gw_batch_records_sealed(struct gw_bytes sealed)
{
    gw_assert(sealed.size >= GW_BATCH_HEADER_BYTES);
    gw_assert(gw_load_le32(sealed.data + AT_MAGIC) == GW_BATCH_MAGIC);
    return (struct gw_batch_walk){
        .rest = gw_bytes_after(sealed, GW_BATCH_HEADER_BYTES),
        .left = sealed.data[AT_KIND] == GW_BATCH_RECORDS ? gw_load_le32(sealed.data + AT_COUNT) : 0,
    };
}

enum gw_status gw_batch_next(struct gw_batch_walk *walk, struct gw_record *out)
{
    size_t used;

    if (walk->left == 0)
        return GW_MORE;
    if (gw_record_decode(walk->rest, out, &used) != GW_OK) {
        walk->left = 0;
        return GW_BAD_FRAME;
    }
    walk->rest = gw_bytes_after(walk->rest, used);
    walk->left--;
    return GW_OK;
}
