/*
 * Rows to bytes and back. Explicit stores, no struct overlaid on the file: LMDB hands out pointers
 * at even addresses only, and the layout must not follow the compiler. Bytes that mean nothing yet
 * are zero and checked to be, so that a later schema can give them a meaning.
 */
#include "row_internal.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include <gw/base/assert.h>

enum table { META = 1, TOKENS, ORGS, PRODUCTS, DEVICES, CHANGES };

enum { ROW_VERSION = 1, CHECK_BYTES = 8 };

static_assert(GW_DEVICE_ROW_BYTES + GW_DEVICE_NAME_BYTES_MAX <= GW_ROW_BYTES_MAX, "fits a row");
static_assert(GW_PRODUCT_ROW_BYTES + GW_PRODUCT_ID_BYTES_MAX + GW_DEVICE_NAME_BYTES_MAX <=
                  GW_ROW_BYTES_MAX,
              "fits a row");
static_assert(GW_ORG_ROW_BYTES + GW_DEVICE_NAME_BYTES_MAX <= GW_ROW_BYTES_MAX, "fits a row");
static_assert(GW_ROW_BYTES_MAX <= 511, "LMDB's bound for a value that may have duplicates");

/* Over the whole row with the checksum's own eight bytes, which start at `at`, taken as zero. */
static uint64_t checksum(enum table table, uint64_t key, struct gw_bytes row, size_t at)
{
    uint8_t copy[GW_ROW_BYTES_MAX];

    gw_assert(row.size <= sizeof copy);
    memcpy(copy, row.data, row.size);
    memset(copy + at, 0, CHECK_BYTES);
    return XXH3_64bits_withSeed(copy, row.size, key ^ (uint64_t)table << 56);
}

static void seal(enum table table, uint64_t key, uint8_t *row, size_t size, size_t at)
{
    gw_store_le64(row + at, checksum(table, key, gw_bytes_of(row, size), at));
}

static bool are_zero(const uint8_t *bytes, size_t count)
{
    while (count > 0 && bytes[count - 1] == 0)
        count--;
    return count == 0;
}

static bool is_sealed(enum table table, uint64_t key, struct gw_bytes row, size_t at)
{
    return gw_load_le64(row.data + at) == checksum(table, key, row, at);
}

size_t gw_meta_pack(const struct gw_meta *row, uint8_t out[GW_ROW_BYTES_MAX])
{
    memset(out, 0, GW_META_ROW_BYTES);
    gw_store_le32(out, row->schema);
    out[4] = row->complete;
    out[5] = row->pepper_version;
    gw_store_le64(out + 8, row->generation);
    gw_store_le64(out + 16, row->hash_seed);
    memcpy(out + 24, row->lineage, GW_LINEAGE_BYTES);
    gw_store_le64(out + 40, row->tokens);
    gw_store_le64(out + 48, row->products);
    gw_store_le64(out + 56, row->devices);
    gw_store_le64(out + 64, row->orgs);
    gw_store_le32(out + 72, row->next_device);
    gw_store_le32(out + 76, row->next_product);
    gw_store_le32(out + 80, row->next_org);
    gw_store_le64(out + 88, row->change_first);
    gw_store_le64(out + 96, row->change_next);
    gw_store_le64(out + 104, row->accepted_generation);
    gw_store_le64(out + 112, row->accepted_tokens);
    gw_store_le64(out + 120, row->created_s);
    gw_store_le64(out + 128, row->changed_us);
    memcpy(out + 136, row->pepper_check, GW_PEPPER_CHECK_BYTES);
    seal(META, 0, out, GW_META_ROW_BYTES, 152);
    return GW_META_ROW_BYTES;
}

bool gw_meta_unpack(struct gw_bytes in, struct gw_meta *out)
{
    const uint8_t *p = in.data;

    if (in.size != GW_META_ROW_BYTES || !is_sealed(META, 0, in, 152) || p[4] > 1)
        return false;
    *out = (struct gw_meta){
        .schema = gw_load_le32(p),
        .complete = p[4] != 0,
        .pepper_version = p[5],
        .generation = gw_load_le64(p + 8),
        .hash_seed = gw_load_le64(p + 16),
        .tokens = gw_load_le64(p + 40),
        .products = gw_load_le64(p + 48),
        .devices = gw_load_le64(p + 56),
        .orgs = gw_load_le64(p + 64),
        .next_device = gw_load_le32(p + 72),
        .next_product = gw_load_le32(p + 76),
        .next_org = gw_load_le32(p + 80),
        .change_first = gw_load_le64(p + 88),
        .change_next = gw_load_le64(p + 96),
        .accepted_generation = gw_load_le64(p + 104),
        .accepted_tokens = gw_load_le64(p + 112),
        .created_s = gw_load_le64(p + 120),
        .changed_us = gw_load_le64(p + 128),
    };
    memcpy(out->lineage, p + 24, GW_LINEAGE_BYTES);
    memcpy(out->pepper_check, p + 136, GW_PEPPER_CHECK_BYTES);
    return out->change_first >= 1 && out->change_first <= out->change_next && are_zero(p + 6, 2) &&
           are_zero(p + 84, 4) && are_zero(p + 144, 8);
}

size_t gw_token_row_pack(uint64_t key, const struct gw_token_row *row,
                         uint8_t out[GW_ROW_BYTES_MAX])
{
    memset(out, 0, GW_TOKEN_ROW_BYTES);
    memcpy(out, row->verifier, GW_VERIFIER_BYTES);
    gw_store_le32(out + 32, row->device);
    gw_store_le32(out + 36, row->product);
    gw_store_le32(out + 40, row->org);
    gw_store_le32(out + 44, row->generation);
    gw_store_le64(out + 48, row->not_before_s);
    gw_store_le64(out + 56, row->not_after_s);
    out[64] = row->disabled;
    out[65] = row->quota_class;
    out[66] = row->pepper_version;
    out[67] = ROW_VERSION;
    seal(TOKENS, key, out, GW_TOKEN_ROW_BYTES, 72);
    return GW_TOKEN_ROW_BYTES;
}

bool gw_token_row_unpack(uint64_t key, struct gw_bytes in, struct gw_token_row *out)
{
    const uint8_t *p = in.data;

    if (in.size != GW_TOKEN_ROW_BYTES || !is_sealed(TOKENS, key, in, 72))
        return false;
    *out = (struct gw_token_row){
        .device = gw_load_le32(p + 32),
        .product = gw_load_le32(p + 36),
        .org = gw_load_le32(p + 40),
        .generation = gw_load_le32(p + 44),
        .not_before_s = gw_load_le64(p + 48),
        .not_after_s = gw_load_le64(p + 56),
        .disabled = p[64] != 0,
        .quota_class = p[65],
        .pepper_version = p[66],
    };
    memcpy(out->verifier, p, GW_VERIFIER_BYTES);
    return p[64] <= 1 && p[67] == ROW_VERSION && gw_load_le32(p + 68) == 0 && out->device != 0 &&
           out->product != 0 && out->org != 0;
}

size_t gw_org_row_pack(uint32_t number, const struct gw_org_row *row, uint8_t out[GW_ROW_BYTES_MAX])
{
    const size_t size = (size_t)GW_ORG_ROW_BYTES + row->name_bytes;

    memset(out, 0, GW_ORG_ROW_BYTES);
    out[0] = ROW_VERSION;
    out[1] = row->closed;
    out[2] = row->name_bytes;
    gw_store_le64(out + 8, row->created_s);
    memcpy(out + GW_ORG_ROW_BYTES, row->name, row->name_bytes);
    seal(ORGS, number, out, size, 16);
    return size;
}

bool gw_org_row_unpack(uint32_t number, struct gw_bytes in, struct gw_org_row *out)
{
    const uint8_t *p = in.data;

    if (in.size < GW_ORG_ROW_BYTES || in.size > GW_ORG_ROW_BYTES + sizeof out->name ||
        !is_sealed(ORGS, number, in, 16) || p[0] != ROW_VERSION || p[1] > 1 ||
        !are_zero(p + 3, 5) || in.size != (size_t)GW_ORG_ROW_BYTES + p[2])
        return false;
    *out = (struct gw_org_row){
        .closed = p[1] != 0, .created_s = gw_load_le64(p + 8), .name_bytes = p[2]};
    memcpy(out->name, p + GW_ORG_ROW_BYTES, out->name_bytes);
    return true;
}

size_t gw_product_row_pack(uint32_t number, const struct gw_product_row *row,
                           uint8_t out[GW_ROW_BYTES_MAX])
{
    const size_t size = (size_t)GW_PRODUCT_ROW_BYTES + row->id_bytes + row->name_bytes;

    memset(out, 0, GW_PRODUCT_ROW_BYTES);
    out[0] = ROW_VERSION;
    out[1] = row->closed;
    out[2] = row->flags;
    out[3] = row->quota_class;
    gw_store_le32(out + 4, row->org);
    out[8] = row->id_bytes;
    out[9] = row->name_bytes;
    gw_store_le64(out + 16, row->created_s);
    memcpy(out + GW_PRODUCT_ROW_BYTES, row->id, row->id_bytes);
    memcpy(out + GW_PRODUCT_ROW_BYTES + row->id_bytes, row->name, row->name_bytes);
    seal(PRODUCTS, number, out, size, 24);
    return size;
}

bool gw_product_row_unpack(uint32_t number, struct gw_bytes in, struct gw_product_row *out)
{
    const uint8_t *p = in.data;

    if (in.size < GW_PRODUCT_ROW_BYTES ||
        in.size > GW_PRODUCT_ROW_BYTES + sizeof out->id + sizeof out->name ||
        !is_sealed(PRODUCTS, number, in, 24) || p[0] != ROW_VERSION || p[1] > 1 ||
        p[8] > sizeof out->id || p[9] > sizeof out->name || !are_zero(p + 10, 6) ||
        in.size != (size_t)GW_PRODUCT_ROW_BYTES + p[8] + p[9])
        return false;
    *out = (struct gw_product_row){
        .closed = p[1] != 0,
        .flags = p[2],
        .quota_class = p[3],
        .org = gw_load_le32(p + 4),
        .created_s = gw_load_le64(p + 16),
        .id_bytes = p[8],
        .name_bytes = p[9],
    };
    memcpy(out->id, p + GW_PRODUCT_ROW_BYTES, out->id_bytes);
    memcpy(out->name, p + GW_PRODUCT_ROW_BYTES + out->id_bytes, out->name_bytes);
    return (out->flags & ~GW_PRODUCT_FLAGS) == 0;
}

size_t gw_device_row_pack(uint32_t number, const struct gw_device_row *row,
                          uint8_t out[GW_ROW_BYTES_MAX])
{
    const size_t size = (size_t)GW_DEVICE_ROW_BYTES + row->name_bytes;

    memset(out, 0, GW_DEVICE_ROW_BYTES);
    out[0] = ROW_VERSION;
    out[1] = (uint8_t)(row->disabled | row->has_token << 1);
    out[2] = row->name_bytes;
    gw_store_le32(out + 4, row->product);
    gw_store_le32(out + 8, row->org);
    gw_store_le32(out + 12, row->generation);
    gw_store_le32(out + 16, row->token_generation);
    gw_store_le32(out + 20, row->owner);
    gw_store_le64(out + 24, row->token_key);
    gw_store_le64(out + 32, row->created_s);
    memcpy(out + GW_DEVICE_ROW_BYTES, row->name, row->name_bytes);
    seal(DEVICES, number, out, size, 40);
    return size;
}

bool gw_device_row_unpack(uint32_t number, struct gw_bytes in, struct gw_device_row *out)
{
    const uint8_t *p = in.data;

    if (in.size < GW_DEVICE_ROW_BYTES || in.size > GW_DEVICE_ROW_BYTES + sizeof out->name ||
        !is_sealed(DEVICES, number, in, 40) || p[0] != ROW_VERSION || p[1] > 3 || p[3] != 0 ||
        in.size != (size_t)GW_DEVICE_ROW_BYTES + p[2])
        return false;
    *out = (struct gw_device_row){
        .disabled = (p[1] & 1) != 0,
        .has_token = (p[1] & 2) != 0,
        .product = gw_load_le32(p + 4),
        .org = gw_load_le32(p + 8),
        .generation = gw_load_le32(p + 12),
        .token_generation = gw_load_le32(p + 16),
        .owner = gw_load_le32(p + 20),
        .token_key = gw_load_le64(p + 24),
        .created_s = gw_load_le64(p + 32),
        .name_bytes = p[2],
    };
    memcpy(out->name, p + GW_DEVICE_ROW_BYTES, out->name_bytes);
    return out->token_generation <= out->generation;
}

size_t gw_change_row_pack(uint64_t sequence, const struct gw_change_row *row,
                          uint8_t out[GW_ROW_BYTES_MAX])
{
    memset(out, 0, GW_CHANGE_ROW_BYTES);
    out[0] = row->kind;
    gw_store_le32(out + 4, row->device);
    gw_store_le32(out + 8, row->product);
    gw_store_le32(out + 12, row->org);
    gw_store_le32(out + 16, row->generation);
    gw_store_le32(out + 20, row->count);
    gw_store_le64(out + 24, row->at_us);
    seal(CHANGES, sequence, out, GW_CHANGE_ROW_BYTES, 32);
    return GW_CHANGE_ROW_BYTES;
}

bool gw_change_row_unpack(uint64_t sequence, struct gw_bytes in, struct gw_change_row *out)
{
    const uint8_t *p = in.data;

    if (in.size != GW_CHANGE_ROW_BYTES || !is_sealed(CHANGES, sequence, in, 32) ||
        !are_zero(p + 1, 3))
        return false;
    *out = (struct gw_change_row){
        .kind = p[0],
        .device = gw_load_le32(p + 4),
        .product = gw_load_le32(p + 8),
        .org = gw_load_le32(p + 12),
        .generation = gw_load_le32(p + 16),
        .count = gw_load_le32(p + 20),
        .at_us = gw_load_le64(p + 24),
    };
    return true;
}
