/*
 * The environment under reader and writer.
 *
 * LMDB's own rules, kept here once: one environment per process and file, never a second open()
 * of its files (closing any descriptor of lock.mdb would drop our fcntl locks), MDB_NOTLS so that
 * a read transaction belongs to its reader and not to its thread, no MDB_WRITEMAP (a stray store
 * would reach the file), the same map size for everyone.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <gw/base/assert.h>

/* Pages that a transaction took and gave back at the file's end are never written. */
enum { PAGES_UNWRITTEN_MAX = 64 };

static const struct {
    const char *name;
    unsigned int flags;
} tables[GW_TABLES] = {
    [GW_TABLE_META] = {"meta", 0},
    [GW_TABLE_TOKENS] = {"tokens", MDB_INTEGERKEY | MDB_DUPSORT | MDB_DUPFIXED},
    [GW_TABLE_ORGS] = {"orgs", MDB_INTEGERKEY},
    [GW_TABLE_ORG_NAMES] = {"org_names", 0},
    [GW_TABLE_PRODUCTS] = {"products", MDB_INTEGERKEY},
    [GW_TABLE_PRODUCT_IDS] = {"product_ids", 0},
    [GW_TABLE_DEVICES] = {"devices", MDB_INTEGERKEY},
    [GW_TABLE_CHANGES] = {"changes", MDB_INTEGERKEY},
};

int gw_store_error(int result)
{
    if (result > 0)
        return -result;
    switch (result) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_KEYEXIST:
        return -EEXIST;
    case MDB_MAP_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
        return -EUSERS;
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return -EPROTO;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_PANIC:
    case MDB_INVALID:
        return -EBADMSG;
    default:
        return -EIO;
    }
}

static int stat_file(const char *path, struct stat *out)
{
    char file[PATH_MAX];

    if ((size_t)snprintf(file, sizeof file, "%s/data.mdb", path) >= sizeof file)
        return -ENAMETOOLONG;
    return stat(file, out) == 0 ? 0 : -errno;
}

bool gw_store_is_current(const struct gw_store *store)
{
    struct stat now;

    return stat_file(store->path, &now) == 0 && now.st_dev == store->file.st_dev &&
           now.st_ino == store->file.st_ino;
}

int gw_pepper_load(const char *index_path, const char *file, uint8_t out[GW_PEPPER_BYTES],
                   const char **why)
{
    char path[PATH_MAX];
    uint8_t bytes[GW_PEPPER_BYTES + 1];
    struct stat mode;
    ssize_t got;
    int fd, err = 0;

    if (file == NULL && (size_t)snprintf(path, sizeof path, "%s/pepper", index_path) >= sizeof path)
        return -ENAMETOOLONG;
    fd = open(file != NULL ? file : path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err = -errno;
        *why = err == -ENOENT ? "there is no pepper file" : "the pepper file cannot be opened";
        return err;
    }
    got = read(fd, bytes, sizeof bytes);
    if (got < 0 || fstat(fd, &mode) != 0) {
        err = -errno;
        *why = "the pepper file cannot be read";
    } else if (!S_ISREG(mode.st_mode) || got != GW_PEPPER_BYTES) {
        err = -EPROTO;
        *why = "the pepper file does not hold exactly 32 bytes";
    } else if ((mode.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) != 0) {
        err = -EPERM;
        *why = "the pepper file is open to others; its mode must be 0400, or 0440 for a group";
    } else {
        memcpy(out, bytes, GW_PEPPER_BYTES);
    }
    gw_wipe(bytes, sizeof bytes);
    (void)close(fd);
    return err;
}

static bool is_read(enum gw_store_mode mode)
{
    return mode == GW_STORE_READ || mode == GW_STORE_BACKUP;
}

static int open_tables(struct gw_store *store, enum gw_store_mode mode, const char **why)
{
    MDB_txn *txn;
    int err = mdb_txn_begin(store->env, NULL, is_read(mode) ? MDB_RDONLY : 0, &txn);

    if (err == MDB_READERS_FULL) {
        int dead;

        (void)mdb_reader_check(store->env, &dead);
        err = mdb_txn_begin(store->env, NULL, is_read(mode) ? MDB_RDONLY : 0, &txn);
    }
    if (err != 0) {
        *why =
            err == MDB_READERS_FULL ? "all reader slots are taken" : "no transaction can be begun";
        return gw_store_error(err);
    }
    for (size_t i = 0; i < GW_TABLES && err == 0; i++)
        err = mdb_dbi_open(txn, tables[i].name,
                           tables[i].flags | (mode == GW_STORE_CREATE ? MDB_CREATE : 0),
                           &store->tables[i]);
    if (err != 0) {
        mdb_txn_abort(txn);
        *why = err == MDB_NOTFOUND
                   ? "a table is missing: the file is no token index, or its creation was cut short"
                   : "the tables cannot be opened";
        return err == MDB_NOTFOUND ? -EPROTO : gw_store_error(err);
    }
    err = mdb_txn_commit(txn);
    if (err != 0)
        *why = "the tables cannot be opened";
    return gw_store_error(err);
}

/* The meta row must be ours, and written under the pepper that we hold. */
static int check_identity(struct gw_store *store, const char **why)
{
    struct gw_index_view view = {.store = store};
    struct gw_meta meta;
    uint8_t check[GW_PEPPER_CHECK_BYTES];
    int err = gw_store_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view.txn));

    if (err != 0) {
        *why = "no transaction can be begun";
        return err;
    }
    err = gw_view_meta(&view, &meta);
    mdb_txn_abort(view.txn);
    if (err != 0) {
        *why = err == -ENOENT || err == -EBADMSG ? "the index's head row is missing or damaged"
                                                 : "the index's head row cannot be read";
        return err == -ENOENT ? -EPROTO : err;
    }
    if (meta.schema != GW_INDEX_SCHEMA) {
        *why = "the index has another schema version than this program";
        return -EPROTO;
    }
    gw_store_pepper_check(store, check);
    if (!gw_equal_secret(check, meta.pepper_check, sizeof check)) {
        /* Under a wrong pepper no token matches, and every device would be told to give up. */
        *why = "the pepper is not the one this index was made with";
        return -EKEYREJECTED;
    }
    return 0;
}

/*
 * A read past the end of a mapped file is SIGBUS: a file cut short must not get that far. A backup
 * was written whole, so that of its pages not one may be missing.
 */
static int check_length(const struct gw_store *store, enum gw_store_mode mode, const char **why)
{
    MDB_envinfo info;
    MDB_stat stat;
    uint64_t pages;
    int err;

    *why = "its files cannot be looked at";
    if ((err = mdb_env_info(store->env, &info)) != 0 ||
        (err = mdb_env_stat(store->env, &stat)) != 0)
        return gw_store_error(err);
    *why = "its file is shorter than its pages: it was cut, or copied in part";
    pages = (uint64_t)store->file.st_size / stat.ms_psize;
    if (mode != GW_STORE_BACKUP)
        pages += PAGES_UNWRITTEN_MAX;
    return info.me_last_pgno < pages ? 0 : -EBADMSG;
}

static int open_env(struct gw_store *store, enum gw_store_mode mode, const char **why)
{
    unsigned int flags = MDB_NOTLS;
    struct stat before, after;
    int err;

    if (is_read(mode))
        flags |= MDB_RDONLY | MDB_NORDAHEAD;
    if (mode != GW_STORE_CREATE && (err = stat_file(store->path, &before)) != 0) {
        *why = err == -ENOENT ? "there is no token index" : "its directory cannot be entered";
        return err;
    }
    *why = "the index's files cannot be opened";
    if ((err = mdb_env_create(&store->env)) != 0)
        return gw_store_error(err);
    if ((err = mdb_env_set_mapsize(store->env, GW_INDEX_MAP_BYTES)) != 0 ||
        (err = mdb_env_set_maxreaders(store->env, GW_INDEX_READERS_MAX)) != 0 ||
        (err = mdb_env_set_maxdbs(store->env, GW_TABLES)) != 0 ||
        (err = mdb_env_open(store->env, store->path, flags, 0600)) != 0)
        return gw_store_error(err);
    if ((err = stat_file(store->path, &after)) != 0)
        return err;
    /* lock.mdb and data.mdb are opened one after the other: an exchange in between mixes two. */
    *why = "the index was replaced while it was being opened; try again";
    if (mode != GW_STORE_CREATE && (before.st_ino != after.st_ino || before.st_dev != after.st_dev))
        return -ESTALE;
    store->file = after;
    return mode == GW_STORE_CREATE ? 0 : check_length(store, mode, why);
}

/* The pepper, and the key of log tags, which is derived from it. */
static int load_keys(struct gw_store *store, const char *path, const char *file, const char **why)
{
    static const char tag_label[] = "tollgate log tag";
    uint8_t pepper[GW_PEPPER_BYTES], tag_secret[GW_SHA256_BYTES];
    const int err = gw_pepper_load(path, file, pepper, why);

    if (err != 0)
        return err;
    gw_hmac_key_set(&store->pepper, gw_bytes_of(pepper, sizeof pepper));
    gw_hmac_sha256_keyed(&store->pepper, gw_bytes_text(tag_label), tag_secret);
    gw_hmac_key_set(&store->tag_key, gw_bytes_of(tag_secret, sizeof tag_secret));
    gw_wipe(pepper, sizeof pepper);
    gw_wipe(tag_secret, sizeof tag_secret);
    return 0;
}

int gw_store_open(struct gw_store *store, const char *path, const char *pepper,
                  enum gw_store_mode mode, const char **why)
{
    int err;

    *store = (struct gw_store){.env = NULL};
    *why = "the path of the index is too long";
    if ((size_t)snprintf(store->path, sizeof store->path, "%s", path) >= sizeof store->path)
        return -ENAMETOOLONG;
    if ((err = open_env(store, mode, why)) != 0 ||
        (err = load_keys(store, path, pepper, why)) != 0 ||
        (err = open_tables(store, mode, why)) != 0 ||
        (mode != GW_STORE_CREATE && (err = check_identity(store, why)) != 0)) {
        gw_store_close(store);
        return err;
    }
    *why = "";
    return 0;
}

void gw_store_close(struct gw_store *store)
{
    if (store->env != NULL)
        mdb_env_close(store->env);
    store->env = NULL;
    gw_wipe(&store->pepper, sizeof store->pepper);
    gw_wipe(&store->tag_key, sizeof store->tag_key);
}

uint64_t gw_store_key(const uint8_t token[GW_TOKEN_BYTES], uint64_t seed)
{
    return XXH3_64bits_withSeed(token, GW_TOKEN_BYTES, seed);
}

void gw_store_verifier(const struct gw_store *store, const uint8_t token[GW_TOKEN_BYTES],
                       uint8_t out[GW_VERIFIER_BYTES])
{
    gw_hmac_sha256_keyed(&store->pepper, gw_bytes_of(token, GW_TOKEN_BYTES), out);
}

void gw_store_pepper_check(const struct gw_store *store, uint8_t out[GW_PEPPER_CHECK_BYTES])
{
    /* A label of another length than a token: no token's verifier can ever equal it. */
    static const char label[] = "tollgate pepper";
    uint8_t mac[GW_SHA256_BYTES];

    gw_hmac_sha256_keyed(&store->pepper, gw_bytes_text(label), mac);
    memcpy(out, mac, GW_PEPPER_CHECK_BYTES);
    gw_wipe(mac, sizeof mac);
}

static int get(const struct gw_index_view *view, enum gw_table table, const void *key,
               size_t key_bytes, struct gw_bytes *out)
{
    MDB_val k = gw_val_of(key, key_bytes), v;
    const int err = mdb_get(view->txn, view->store->tables[table], &k, &v);

    *out = err == 0 ? gw_bytes_of_val(v) : gw_bytes_of(NULL, 0);
    return gw_store_error(err);
}

int gw_view_meta(const struct gw_index_view *view, struct gw_meta *out)
{
    struct gw_bytes row;
    const int err = get(view, GW_TABLE_META, GW_INDEX_META_KEY, strlen(GW_INDEX_META_KEY), &row);

    return err != 0 ? err : gw_meta_unpack(row, out) ? 0 : -EBADMSG;
}

int gw_view_org(const struct gw_index_view *view, uint32_t number, struct gw_org_row *out)
{
    struct gw_bytes row;
    const int err = get(view, GW_TABLE_ORGS, &number, sizeof number, &row);

    return err != 0 ? err : gw_org_row_unpack(number, row, out) ? 0 : -EBADMSG;
}

int gw_view_product(const struct gw_index_view *view, uint32_t number, struct gw_product_row *out)
{
    struct gw_bytes row;
    const int err = get(view, GW_TABLE_PRODUCTS, &number, sizeof number, &row);

    return err != 0 ? err : gw_product_row_unpack(number, row, out) ? 0 : -EBADMSG;
}

int gw_view_device(const struct gw_index_view *view, uint32_t number, struct gw_device_row *out)
{
    struct gw_bytes row;
    const int err = get(view, GW_TABLE_DEVICES, &number, sizeof number, &row);

    return err != 0 ? err : gw_device_row_unpack(number, row, out) ? 0 : -EBADMSG;
}

int gw_view_number(const struct gw_index_view *view, enum gw_table table, struct gw_bytes text,
                   uint32_t *out)
{
    struct gw_bytes row;
    int err;

    gw_assert(table == GW_TABLE_ORG_NAMES || table == GW_TABLE_PRODUCT_IDS);
    /* LMDB calls an empty or an overlong key an error; to us it is a name that nobody has. */
    if (text.size == 0 || text.size > GW_DEVICE_NAME_BYTES_MAX)
        return -ENOENT;
    err = get(view, table, text.data, text.size, &row);
    if (err != 0)
        return err;
    if (row.size != GW_NUMBER_ROW_BYTES)
        return -EBADMSG;
    *out = gw_load_le32(row.data);
    return 0;
}

/* With `verifier` NULL the device decides, else the verifier does. */
static int find_token(MDB_cursor *cursor, uint64_t key, const uint8_t *verifier, uint32_t device,
                      struct gw_token_row *out)
{
    MDB_val k = gw_val_of(&key, sizeof key), v;
    int err = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);
    bool damaged = false;

    for (; err == 0; err = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP)) {
        if (!gw_token_row_unpack(key, gw_bytes_of_val(v), out))
            damaged = true;
        else if (verifier != NULL ? gw_equal_secret(out->verifier, verifier, GW_VERIFIER_BYTES)
                                  : out->device == device)
            return 0;
    }
    if (err != MDB_NOTFOUND)
        return gw_store_error(err);
    return damaged ? -EBADMSG : -ENOENT;
}

int gw_tokens_find_verifier(MDB_cursor *cursor, uint64_t key,
                            const uint8_t verifier[GW_VERIFIER_BYTES], struct gw_token_row *out)
{
    gw_assert(verifier != NULL);
    return find_token(cursor, key, verifier, 0, out);
}

int gw_tokens_find_device(MDB_cursor *cursor, uint64_t key, uint32_t device,
                          struct gw_token_row *out)
{
    return find_token(cursor, key, NULL, device, out);
}
