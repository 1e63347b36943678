/*
 * Target  the rows of the token index: gw_*_row_unpack, gw_meta_unpack, gw_stream_unpack, and
 *         packing
 *
 * Input   which row | its key, 8 | the row, as a damaged file or another program may hold it
 *
 * Oracle  a row whose checksum is not right is never taken; one that is taken is packed to the
 *         very bytes it came from: each byte of it means something, or is held to be zero
 *
 * A random row has no right checksum, so each is tried as it is and sealed by a checksum made here.
 */
#include <string.h>
#include <xxhash.h>

#include <gw/base/assert.h>

#include "details_internal.h"
#include "fuzz.h"
#include "row_internal.h"

enum { STREAM_ROW = 6, ROWS };

/* Where the checksum stands, and what else it covers: the table's number, as row.c counts them. */
static const struct {
    uint64_t table;
    size_t check_at, bytes_min;
} rows[STREAM_ROW] = {
    {1, 152, GW_META_ROW_BYTES},   {2, 72, GW_TOKEN_ROW_BYTES},  {3, 16, GW_ORG_ROW_BYTES},
    {4, 24, GW_PRODUCT_ROW_BYTES}, {5, 40, GW_DEVICE_ROW_BYTES}, {6, 32, GW_CHANGE_ROW_BYTES},
};

/* Unpacks and packs again; 0 when the row is refused. */
static size_t again(unsigned which, uint64_t key, struct gw_bytes in, uint8_t out[GW_ROW_BYTES_MAX])
{
    union {
        struct gw_meta meta;
        struct gw_token_row token;
        struct gw_org_row org;
        struct gw_product_row product;
        struct gw_device_row device;
        struct gw_change_row change;
    } row;

    switch (which) {
    case 0:
        return gw_meta_unpack(in, &row.meta) ? gw_meta_pack(&row.meta, out) : 0;
    case 1:
        return gw_token_row_unpack(key, in, &row.token) ? gw_token_row_pack(key, &row.token, out)
                                                        : 0;
    case 2:
        return gw_org_row_unpack((uint32_t)key, in, &row.org)
                   ? gw_org_row_pack((uint32_t)key, &row.org, out)
                   : 0;
    case 3:
        return gw_product_row_unpack((uint32_t)key, in, &row.product)
                   ? gw_product_row_pack((uint32_t)key, &row.product, out)
                   : 0;
    case 4:
        return gw_device_row_unpack((uint32_t)key, in, &row.device)
                   ? gw_device_row_pack((uint32_t)key, &row.device, out)
                   : 0;
    default:
        return gw_change_row_unpack(key, in, &row.change)
                   ? gw_change_row_pack(key, &row.change, out)
                   : 0;
    }
}

static void check_row(unsigned which, uint64_t key, const uint8_t *data, size_t size)
{
    uint8_t row[2 * GW_ROW_BYTES_MAX], out[GW_ROW_BYTES_MAX];
    const size_t at = rows[which].check_at;
    uint64_t check;

    if (which == 0)
        key = 0;
    else if (which != 1 && which != 5)
        key = (uint32_t)key;
    if (size < rows[which].bytes_min || size > GW_ROW_BYTES_MAX) {
        gw_assert(again(which, key, gw_bytes_of(data, size), out) == 0);
        return;
    }
    memcpy(row, data, size);
    memset(row + at, 0, 8);
    check = XXH3_64bits_withSeed(row, size, key ^ rows[which].table << 56);
    if (gw_load_le64(data + at) != check)
        gw_assert(again(which, key, gw_bytes_of(data, size), out) == 0);
    gw_store_le64(row + at, check);
    if (again(which, key, gw_bytes_of(row, size), out) != 0)
        gw_assert(memcmp(row, out, size) == 0);
}

static void check_stream(uint8_t pin, const uint8_t *data, size_t size)
{
    uint8_t out[GW_DETAIL_ROW_BYTES_MAX], row[GW_DETAIL_ROW_BYTES_MAX];
    const struct gw_detail_key key = gw_detail_stream_key(1, pin);
    const struct gw_bytes name = gw_bytes_of(key.bytes, key.size);
    struct gw_bytes rest;
    struct gw_stream stream;

    if (size > sizeof row - GW_DETAIL_HEAD_BYTES)
        return;
    if (size > 0)
        memcpy(row + GW_DETAIL_HEAD_BYTES, data, size);
    gw_detail_seal(name, row, GW_DETAIL_HEAD_BYTES + size);
    gw_assert(gw_detail_open(name, gw_bytes_of(row, GW_DETAIL_HEAD_BYTES + size), &rest));
    gw_assert(rest.size == size);
    if (gw_stream_unpack(pin, rest, &stream)) {
        gw_assert(gw_stream_pack(&stream, out) == GW_DETAIL_HEAD_BYTES + size);
        gw_assert(memcmp(out + GW_DETAIL_HEAD_BYTES, rest.data, size) == 0);
    }
    row[GW_DETAIL_HEAD_BYTES + size - (size > 0)] ^= 1; /* its last byte, or the version */
    gw_assert(size == 0 ||
              !gw_detail_open(name, gw_bytes_of(row, GW_DETAIL_HEAD_BYTES + size), &rest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 9)
        return 0;
    if (data[0] % ROWS == STREAM_ROW)
        check_stream(data[1], data + 9, size - 9);
    else
        check_row(data[0] % ROWS, gw_load_le64(data + 1), data + 9, size - 9);
    return 0;
}
