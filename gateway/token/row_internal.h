/*
 * The rows of the token index as bytes. All integers little-endian, every row ends its fixed part
 * with an XXH3-64 over table, key and the rest of the row: LMDB has no checksums of its own, and a
 * damaged row must never read as "no such token".
 *
 *     table         key                       value
 *     meta          "index"                   struct gw_meta, 160 bytes
 *                   details' keys             see details_internal.h
 *     tokens        XXH3-64 of the token      struct gw_token_row, 80 bytes, several under a key
 *                   (host order)              where hashes collide (DUPFIXED); verifier first
 *     orgs          number, 32 bits           struct gw_org_row, 24 bytes and the name
 *     org_names     name                      number, 4 bytes
 *     products      number, 32 bits           struct gw_product_row, 32 bytes, the id and the name
 *     product_ids   id                        number, 4 bytes
 *     devices       number, 32 bits           struct gw_device_row, 48 bytes and the name
 *     changes       sequence, 64 bits         struct gw_change_row, 40 bytes
 *
 * Integer keys are in host order, because MDB_INTEGERKEY compares them so: an index moves between
 * machines of one byte order.
 */
#ifndef GW_TOKEN_ROW_INTERNAL_H
#define GW_TOKEN_ROW_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/token/index.h>

enum {
    GW_INDEX_SCHEMA = 1,
    GW_VERIFIER_BYTES = 32,
    GW_LINEAGE_BYTES = 16,
    GW_PEPPER_CHECK_BYTES = 8,

    GW_META_ROW_BYTES = 160,
    GW_TOKEN_ROW_BYTES = 80,
    GW_ORG_ROW_BYTES = 24,
    GW_PRODUCT_ROW_BYTES = 32,
    GW_DEVICE_ROW_BYTES = 48,
    GW_CHANGE_ROW_BYTES = 40,
    GW_NUMBER_ROW_BYTES = 4,
    GW_ROW_BYTES_MAX = GW_META_ROW_BYTES,
};

struct gw_meta {
    uint32_t schema;
    bool complete;
    uint8_t pepper_version;
    uint64_t generation; /* grows by one with every commit that changed something           */
    uint64_t hash_seed;
    uint8_t lineage[GW_LINEAGE_BYTES]; /* drawn at creation and at every restore            */
    uint64_t tokens, products, devices, orgs;
    uint32_t next_device, next_product, next_org; /* never reused                           */
    uint64_t change_first, change_next;           /* the kept ones: [first, next)           */
    uint64_t accepted_generation, accepted_tokens;
    uint64_t created_s, changed_us;
    uint8_t pepper_check[GW_PEPPER_CHECK_BYTES];
};

struct gw_token_row {
    uint8_t verifier[GW_VERIFIER_BYTES];
    uint32_t device, product, org;
    uint32_t generation;   /* of the device's row when token or binding last changed     */
    uint64_t not_before_s; /* 0: no bound                                                */
    uint64_t not_after_s;  /* 0: no bound                                                */
    bool disabled;
    uint8_t quota_class;
    uint8_t pepper_version;
};

struct gw_org_row {
    bool closed;
    uint64_t created_s;
    uint8_t name_bytes;
    char name[GW_DEVICE_NAME_BYTES_MAX];
};

struct gw_product_row {
    bool closed;
    uint8_t flags; /* enum gw_product_flags */
    uint8_t quota_class;
    uint32_t org;
    uint64_t created_s;
    uint8_t id_bytes, name_bytes;
    char id[GW_PRODUCT_ID_BYTES_MAX];
    char name[GW_DEVICE_NAME_BYTES_MAX];
};

struct gw_device_row {
    bool disabled;
    bool has_token; /* false once revoked                                         */
    uint32_t product, org, owner;
    uint32_t generation;       /* grows with rotate, revoke and move                         */
    uint32_t token_generation; /* what it was when the current token was set                 */
    uint64_t token_key;        /* where the current token's row stands; 0 without one        */
    uint64_t created_s;
    uint8_t name_bytes;
    char name[GW_DEVICE_NAME_BYTES_MAX];
};

struct gw_change_row {
    uint8_t kind; /* enum gw_index_change_kind */
    uint32_t device, product, org;
    uint32_t generation, count;
    uint64_t at_us;
};

/* pack: returns the row's size. unpack: false when the bytes are no such row under that key. */
size_t gw_meta_pack(const struct gw_meta *row, uint8_t out[GW_ROW_BYTES_MAX]);
GW_MUST_USE bool gw_meta_unpack(struct gw_bytes in, struct gw_meta *out);
size_t gw_token_row_pack(uint64_t key, const struct gw_token_row *row,
                         uint8_t out[GW_ROW_BYTES_MAX]);
GW_MUST_USE bool gw_token_row_unpack(uint64_t key, struct gw_bytes in, struct gw_token_row *out);
size_t gw_org_row_pack(uint32_t number, const struct gw_org_row *row,
                       uint8_t out[GW_ROW_BYTES_MAX]);
GW_MUST_USE bool gw_org_row_unpack(uint32_t number, struct gw_bytes in, struct gw_org_row *out);
size_t gw_product_row_pack(uint32_t number, const struct gw_product_row *row,
                           uint8_t out[GW_ROW_BYTES_MAX]);
GW_MUST_USE bool gw_product_row_unpack(uint32_t number, struct gw_bytes in,
                                       struct gw_product_row *out);
size_t gw_device_row_pack(uint32_t number, const struct gw_device_row *row,
                          uint8_t out[GW_ROW_BYTES_MAX]);
GW_MUST_USE bool gw_device_row_unpack(uint32_t number, struct gw_bytes in,
                                      struct gw_device_row *out);
size_t gw_change_row_pack(uint64_t sequence, const struct gw_change_row *row,
                          uint8_t out[GW_ROW_BYTES_MAX]);
GW_MUST_USE bool gw_change_row_unpack(uint64_t sequence, struct gw_bytes in,
                                      struct gw_change_row *out);

#endif
