/*
 * Segment headers and names as bytes.
 */
#include <gw/journal/segment.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include <gw/base/assert.h>
#include <gw/base/bytes.h>

enum {
    AT_MAGIC = 0,
    AT_HASH = 8,
    AT_VERSION = 16,
    AT_LANES = 20,
    AT_NUMBER = 24,
    AT_EPOCH = 32,
    AT_SEED = 40,
    AT_CREATED = 48,
    AT_PREVIOUS = 56,
    AT_PREVIOUS_END = 64,
    AT_LAST = 96,
    VERSION = 1,
};

static const uint8_t magic[8] = {'T', 'G', 'S', 'E', 'G', 'M', 'T', '1'};

static_assert(AT_LAST + 8 * GW_JOURNAL_LANES_MAX <= GW_SEGMENT_HEADER_BYTES, "lanes fit the page");
static_assert(2 * GW_SEGMENT_HEADER_BYTES == GW_SEGMENT_DATA_AT, "two copies, then batches");

static uint64_t header_hash(const uint8_t *page)
{
    uint8_t copy[GW_SEGMENT_HEADER_BYTES];

    memcpy(copy, page, sizeof(copy));
    memset(copy + AT_HASH, 0, 8);
    return XXH3_64bits(copy, sizeof(copy));
}

void gw_segment_header_encode(uint8_t *out, const struct gw_segment_header *header)
{
    gw_assert(header->lanes <= GW_JOURNAL_LANES_MAX);
    memset(out, 0, GW_SEGMENT_HEADER_BYTES);
    memcpy(out + AT_MAGIC, magic, sizeof(magic));
    gw_store_le32(out + AT_VERSION, VERSION);
    gw_store_le32(out + AT_LANES, header->lanes);
    gw_store_le64(out + AT_NUMBER, header->number);
    gw_store_le64(out + AT_EPOCH, header->epoch);
    gw_store_le64(out + AT_SEED, header->seed);
    gw_store_le64(out + AT_CREATED, header->created_us);
    gw_store_le64(out + AT_PREVIOUS, header->previous);
    gw_store_le64(out + AT_PREVIOUS_END, header->previous_end);
    for (uint32_t lane = 0; lane < header->lanes; lane++)
        gw_store_le64(out + AT_LAST + 8 * (size_t)lane, header->last[lane]);
    gw_store_le64(out + AT_HASH, header_hash(out));
}

bool gw_segment_header_decode(const uint8_t *in, struct gw_segment_header *out)
{
    if (memcmp(in + AT_MAGIC, magic, sizeof(magic)) != 0 ||
        gw_load_le64(in + AT_HASH) != header_hash(in) || gw_load_le32(in + AT_VERSION) != VERSION ||
        gw_load_le32(in + AT_LANES) > GW_JOURNAL_LANES_MAX)
        return false;
    *out = (struct gw_segment_header){
        .number = gw_load_le64(in + AT_NUMBER),
        .epoch = gw_load_le64(in + AT_EPOCH),
        .seed = gw_load_le64(in + AT_SEED),
        .created_us = gw_load_le64(in + AT_CREATED),
        .previous = gw_load_le64(in + AT_PREVIOUS),
        .previous_end = gw_load_le64(in + AT_PREVIOUS_END),
        .lanes = gw_load_le32(in + AT_LANES),
    };
    for (uint32_t lane = 0; lane < out->lanes; lane++)
        out->last[lane] = gw_load_le64(in + AT_LAST + 8 * (size_t)lane);
    return true;
}

void gw_segment_name(char out[GW_SEGMENT_NAME_BYTES], uint64_t number)
{
    int length = snprintf(out, GW_SEGMENT_NAME_BYTES, "%020" PRIu64 ".seg", number);

    gw_assert(length == GW_SEGMENT_NAME_BYTES - 1);
}

bool gw_segment_name_parse(const char *name, uint64_t *number)
{
    uint64_t value = 0;

    if (strlen(name) != GW_SEGMENT_NAME_BYTES - 1 || strcmp(name + 20, ".seg") != 0)
        return false;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(name[i] - '0'), &value))
            return false;
    }
    *number = value;
    return value > 0;
}
