/*
 * The LMDB environment of the index: its tables, its constants, its pepper, and LMDB's errors as
 * ours. Reader and writer are built on it; nobody else sees lmdb.h.
 */
#ifndef GW_TOKEN_STORE_INTERNAL_H
#define GW_TOKEN_STORE_INTERNAL_H

#include <limits.h>
#include <lmdb.h>
#include <sys/stat.h>

#include <gw/crypto/crypto.h>

#include "row_internal.h"

/*
 * One size of map for every opener: the first one fixes it, and a map that the file outgrew makes
 * every look-up fail. It is address space, not memory. Readers: shards, tools and some to spare.
 */
#define GW_INDEX_MAP_BYTES (UINT64_C(64) << 30)
enum { GW_INDEX_READERS_MAX = 1024, GW_PEPPER_BYTES = 32 };

#define GW_INDEX_META_KEY "index"

enum gw_table {
    GW_TABLE_META,
    GW_TABLE_TOKENS,
    GW_TABLE_ORGS,
    GW_TABLE_ORG_NAMES,
    GW_TABLE_PRODUCTS,
    GW_TABLE_PRODUCT_IDS,
    GW_TABLE_DEVICES,
    GW_TABLE_CHANGES,
    GW_TABLES,
};

enum gw_store_mode {
    GW_STORE_READ,
    GW_STORE_BACKUP, /* read, and the file must be whole: a copy that nobody writes to */
    GW_STORE_WRITE,
    GW_STORE_CREATE,
};

struct gw_store {
    MDB_env *env;
    MDB_dbi tables[GW_TABLES];
    struct gw_hmac_key pepper;
    struct gw_hmac_key tag_key; /* for log tags; derived from the pepper                      */
    struct stat file;           /* data.mdb as it was opened: device and inode                 */
    char path[PATH_MAX];
};

/* A consistent look at the rows: a store and an open transaction. */
struct gw_index_view {
    const struct gw_store *store;
    MDB_txn *txn;
};

/* 0, or -errno with *why set to a text. GW_STORE_CREATE makes the tables and no meta row. */
GW_MUST_USE int gw_store_open(struct gw_store *store, const char *path, const char *pepper,
                              enum gw_store_mode mode, const char **why);
void gw_store_close(struct gw_store *store); /* twice is fine, and after a failed open too */

/* Is data.mdb at our path still the file we opened? False too when there is none any more. */
GW_MUST_USE bool gw_store_is_current(const struct gw_store *store);

/* LMDB's errors as -errno: -EBADMSG damage, -EUSERS no reader slot, -ENOSPC no room in the map. */
int gw_store_error(int mdb_result);

GW_MUST_USE int gw_pepper_load(const char *index_path, const char *file,
                               uint8_t out[GW_PEPPER_BYTES], const char **why);

uint64_t gw_store_key(const uint8_t token[GW_TOKEN_BYTES], uint64_t seed);
void gw_store_verifier(const struct gw_store *store, const uint8_t token[GW_TOKEN_BYTES],
                       uint8_t out[GW_VERIFIER_BYTES]);
void gw_store_pepper_check(const struct gw_store *store, uint8_t out[GW_PEPPER_CHECK_BYTES]);

/* 0, -ENOENT no such row, -EBADMSG a row that is none, or another -errno. */
GW_MUST_USE int gw_view_meta(const struct gw_index_view *view, struct gw_meta *out);
GW_MUST_USE int gw_view_org(const struct gw_index_view *view, uint32_t number,
                            struct gw_org_row *out);
GW_MUST_USE int gw_view_product(const struct gw_index_view *view, uint32_t number,
                                struct gw_product_row *out);
GW_MUST_USE int gw_view_device(const struct gw_index_view *view, uint32_t number,
                               struct gw_device_row *out);
/* The number that a name or id stands for in ORG_NAMES or PRODUCT_IDS. */
GW_MUST_USE int gw_view_number(const struct gw_index_view *view, enum gw_table table,
                               struct gw_bytes text, uint32_t *out);

/*
 * Rows under one key of the tokens table. -ENOENT when none matches; -EBADMSG when none matches
 * but one of them is damaged, since that one might have been it. The cursor, of the tokens table,
 * is left on the row found.
 */
GW_MUST_USE int gw_tokens_find_verifier(MDB_cursor *cursor, uint64_t key,
                                        const uint8_t verifier[GW_VERIFIER_BYTES],
                                        struct gw_token_row *out);
GW_MUST_USE int gw_tokens_find_device(MDB_cursor *cursor, uint64_t key, uint32_t device,
                                      struct gw_token_row *out);

static inline struct gw_bytes gw_bytes_of_val(MDB_val val)
{
    return gw_bytes_of(val.mv_data, val.mv_size);
}

static inline MDB_val gw_val_of(const void *data, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)(uintptr_t)data};
}

#endif
