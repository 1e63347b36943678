/*
 * Last values on disk: one LMDB environment of two tables.
 *
 *     rows   device << 16 | bank << 8 | pin (integer key)  ->  | time_us 8 | origin 1 | value ... |
 *     head   "head"                 ->  | magic 8 | segment 8 | offset 8 | time_us 8 |
 *
 * Integers in values are little-endian. No MDB_WRITEMAP (a stray store would reach the file), no
 * MDB_NOSYNC (the log may be gone when a torn page is noticed), MDB_NOTLS so that a read
 * transaction belongs to its reader. MDB_NOMETASYNC, and a sync of our own behind the last commit:
 * LMDB writes its meta page through a descriptor that syncs, the kernel reports there what some
 * earlier write of the file has met, and LMDB then refuses all work until it is opened anew.
 *
 * LMDB holds every page that a transaction touches in memory. So a checkpoint that may touch more
 * than 64 MiB of them is several transactions, and no more than it must be: neighbours share pages,
 * and each transaction writes those that it touched anew. The head comes with the last one: after a
 * crash in between rows are newer than it says, and the log that is read again from there only sets
 * them again.
 */
#include "values_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gw/base/assert.h>

enum {
    READERS_MAX = 1024,
    PAGES_PER_TRANSACTION = 16384, /* 64 MiB */
    ROW_HEADER_BYTES = 9,
    HEAD_BYTES = 32,
    PAGES_UNWRITTEN_MAX = 64, /* at the file's end: taken by a transaction and given back */
};

#define MAP_BYTES (UINT64_C(64) << 30)
#define MAGIC     UINT64_C(0x31534C4156544754) /* "TGTVALS1" */

static int error_of(int result)
{
    if (result > 0)
        return -result;
    switch (result) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
        return -EUSERS;
    default:
        return -EBADMSG;
    }
}

/* Of a page that is all zeros no row is: there is no origin 0. */
static bool row_is_sound(MDB_val row)
{
    return row.mv_size >= ROW_HEADER_BYTES && ((const uint8_t *)row.mv_data)[8] != 0;
}

static MDB_val val_of(const void *data, size_t bytes)
{
    return (MDB_val){.mv_size = bytes, .mv_data = (void *)(uintptr_t)data};
}

/* ---- open ---- */

static int file_path(char out[PATH_MAX], const char *path, const char *name)
{
    return (size_t)snprintf(out, PATH_MAX, "%s/%s", path, name) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/*
 * A read past the end of a mapped file is SIGBUS: a file cut short must not get that far. But one
 * may rightly lack its last pages, if a transaction took and gave them back. So a file that lacks a
 * few is made whole with zeros, which LMDB takes for no page of its own, and then looked through.
 */
static int check_length(struct values_store *store, enum values_store_mode mode, const char **why)
{
    char file[PATH_MAX];
    struct stat data;
    MDB_envinfo info;
    MDB_stat stat_of_env;
    uint64_t bytes;
    int err;

    if ((err = file_path(file, store->path, "data.mdb")) != 0)
        return err;
    if (stat(file, &data) != 0)
        return -errno;
    if ((err = mdb_env_info(store->env, &info)) != 0 ||
        (err = mdb_env_stat(store->env, &stat_of_env)) != 0)
        return error_of(err);
    bytes = (info.me_last_pgno + 1) * (uint64_t)stat_of_env.ms_psize;
    if ((uint64_t)data.st_size >= bytes)
        return 0;
    *why = "its file is shorter than its pages";
    if (bytes - (uint64_t)data.st_size > PAGES_UNWRITTEN_MAX * (uint64_t)stat_of_env.ms_psize)
        return -EBADMSG;
    if (mode == VALUES_STORE_WRITE && truncate(file, (off_t)bytes) != 0)
        return -errno;
    store->is_suspect = true;
    return 0;
}

static int open_env(struct values_store *store, enum values_store_mode mode, const char **why)
{
    unsigned flags =
        MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMETASYNC | (mode == VALUES_STORE_READ ? MDB_RDONLY : 0);
    int err;

    *why = "its folder cannot be made";
    if (mode == VALUES_STORE_WRITE && mkdir(store->path, 0750) != 0 && errno != EEXIST)
        return -errno;
    *why = "its files cannot be opened";
    if ((err = mdb_env_create(&store->env)) != 0)
        return error_of(err);
    if ((err = mdb_env_set_mapsize(store->env, MAP_BYTES)) != 0 ||
        (err = mdb_env_set_maxreaders(store->env, READERS_MAX)) != 0 ||
        (err = mdb_env_set_maxdbs(store->env, 2)) != 0 ||
        (err = mdb_env_open(store->env, store->path, flags, 0640)) != 0)
        return error_of(err);
    return check_length(store, mode, why);
}

static int open_tables(struct values_store *store, enum values_store_mode mode, const char **why)
{
    const bool reads = mode == VALUES_STORE_READ;
    const unsigned make = reads ? 0 : MDB_CREATE;
    MDB_txn *txn;
    int err = mdb_txn_begin(store->env, NULL, reads ? MDB_RDONLY : 0, &txn);

    *why = "its tables cannot be opened";
    if (err != 0)
        return error_of(err);
    if ((err = mdb_dbi_open(txn, "rows", make | MDB_INTEGERKEY, &store->rows)) != 0 ||
        (err = mdb_dbi_open(txn, "head", make, &store->head)) != 0) {
        mdb_txn_abort(txn);
        return error_of(err);
    }
    return error_of(mdb_txn_commit(txn));
}

/*
 * The log lets go of what the store holds, so the store's names must be on disk as much as its
 * pages. A folder above that may not be read was made by somebody else, long before.
 */
static int sync_folders(const char *path)
{
    static const char *const folders[] = {"/.", "/.."};
    int err = 0;

    for (size_t i = 0; i < GW_ARRAY_COUNT(folders) && err == 0; i++) {
        char folder[PATH_MAX + sizeof "/.."];
        int fd;

        (void)snprintf(folder, sizeof folder, "%s%s", path, folders[i]);
        if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            return i == 0 ? -errno : 0;
        err = fsync(fd) == 0 ? 0 : -errno;
        (void)close(fd);
    }
    return err;
}

/* Reads all of it and writes something: whatever is not as it should be is found now. */
static int look_through(struct values_store *store)
{
    struct values_view view = {.txn = NULL};
    struct values_head head = {.time_us = 0};
    MDB_val key, row;
    int err = values_view_open(store, &view);

    if (err != 0 || (err = values_view_renew(&view)) != 0) {
        values_view_close(&view);
        return err;
    }
    while ((err = mdb_cursor_get(view.cursor, &key, &row, MDB_NEXT)) == 0)
        if (key.mv_size != sizeof(uint64_t) || !row_is_sound(row))
            break;
    values_view_close(&view);
    if (err != MDB_NOTFOUND)
        return err == 0 ? -EBADMSG : error_of(err);
    err = values_store_head(store, &head);
    return err == 0 ? values_store_write(store, NULL, 0, &head) : err;
}

int values_store_open(struct values_store *store, const char *path, enum values_store_mode mode,
                      const char **why)
{
    int err;

    *store = (struct values_store){.env = NULL};
    *why = "its path is too long";
    if ((size_t)snprintf(store->path, sizeof store->path, "%s", path) >= sizeof store->path)
        return -ENAMETOOLONG;
    if ((err = open_env(store, mode, why)) != 0 || (err = open_tables(store, mode, why)) != 0 ||
        (mode == VALUES_STORE_WRITE && store->is_suspect && (err = look_through(store)) != 0)) {
        if (store->is_suspect)
            *why = "its file is shorter than its pages";
        values_store_close(store);
        return err;
    }
    if (mode == VALUES_STORE_WRITE && (err = sync_folders(store->path)) != 0) {
        *why = "its folder cannot be synced";
        values_store_close(store);
    }
    return err;
}

void values_store_close(struct values_store *store)
{
    if (store->env != NULL)
        mdb_env_close(store->env);
    store->env = NULL;
}

int values_store_put_aside(const char *path)
{
    char from[PATH_MAX], to[PATH_MAX];
    int err;

    if ((err = file_path(from, path, "data.mdb")) != 0 ||
        (err = file_path(to, path, "data.mdb.unreadable")) != 0)
        return err;
    if (rename(from, to) != 0 && errno != ENOENT)
        return -errno;
    /* The lock file is of no use to anybody, and may be what is damaged. */
    if ((err = file_path(from, path, "lock.mdb")) != 0)
        return err;
    return remove(from) != 0 && errno != ENOENT ? -errno : 0;
}

/* ---- the head ---- */

static const char head_key[] = "head";

int values_store_head(const struct values_store *store, struct values_head *out)
{
    MDB_val key = val_of(head_key, sizeof head_key - 1), row;
    MDB_txn *txn;
    int err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

    if (err != 0)
        return error_of(err);
    err = error_of(mdb_get(txn, store->head, &key, &row));
    if (err == 0) {
        const uint8_t *p = row.mv_data;

        if (row.mv_size == HEAD_BYTES && gw_load_le64(p) == MAGIC)
            *out = (struct values_head){
                .position = {.segment = gw_load_le64(p + 8), .offset = gw_load_le64(p + 16)},
                .time_us = gw_load_le64(p + 24)};
        else
            err = -EBADMSG;
    }
    mdb_txn_abort(txn);
    return err;
}

static int put_head(const struct values_store *store, MDB_txn *txn, const struct values_head *head)
{
    uint8_t row[HEAD_BYTES];
    MDB_val key = val_of(head_key, sizeof head_key - 1), value = val_of(row, sizeof row);

    gw_store_le64(row, MAGIC);
    gw_store_le64(row + 8, head->position.segment);
    gw_store_le64(row + 16, head->position.offset);
    gw_store_le64(row + 24, head->time_us);
    return mdb_put(txn, store->head, &key, &value, 0);
}

/* ---- writing ---- */

static int put_row(const struct values_store *store, MDB_txn *txn, const struct values_item *item)
{
    const struct values_entry *entry = item->entry;
    MDB_val key = val_of(&item->key, sizeof item->key);
    MDB_val row = {.mv_size = ROW_HEADER_BYTES + entry->value_bytes};
    int err = mdb_put(txn, store->rows, &key, &row, MDB_RESERVE);

    if (err != 0)
        return err;
    uint8_t *p = row.mv_data;

    gw_store_le64(p, entry->time_us);
    p[8] = (uint8_t)entry->origin;
    memcpy(p + ROW_HEADER_BYTES, entry->value, entry->value_bytes);
    return 0;
}

/* A row touches at most one of the leaves that there are; new ones hold many. */
static uint32_t rows_per_transaction(const struct values_store *store, MDB_txn *txn)
{
    MDB_stat of_rows;

    return mdb_stat(txn, store->rows, &of_rows) == 0 &&
                   of_rows.ms_leaf_pages <= PAGES_PER_TRANSACTION
               ? UINT32_MAX
               : PAGES_PER_TRANSACTION;
}

int values_store_write(const struct values_store *store, const struct values_item *items,
                       uint32_t count, const struct values_head *head)
{
    uint32_t done = 0;
    int dead;

    (void)mdb_reader_check(store->env, &dead); /* a reader that was killed would hold old pages */
    do {
        MDB_txn *txn;
        int err = mdb_txn_begin(store->env, NULL, 0, &txn);

        if (err != 0)
            return error_of(err);
        uint32_t end = done + (uint32_t)gw_min_u64(count - done, rows_per_transaction(store, txn));

        while (done < end && err == 0)
            err = put_row(store, txn, &items[done++]);
        if (err == 0 && done == count)
            err = put_head(store, txn, head);
        if (err != 0) {
            mdb_txn_abort(txn);
            return error_of(err);
        }
        if ((err = mdb_txn_commit(txn)) != 0)
            return error_of(err);
    } while (done < count);
    return error_of(mdb_env_sync(store->env, 1));
}

void values_store_size(const struct values_store *store, uint64_t *rows, uint64_t *bytes)
{
    char file[PATH_MAX];
    struct stat data;
    MDB_stat of_rows;
    MDB_txn *txn;

    *rows = *bytes = 0;
    if (file_path(file, store->path, "data.mdb") == 0 && stat(file, &data) == 0)
        *bytes = (uint64_t)data.st_size;
    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    if (mdb_stat(txn, store->rows, &of_rows) == 0)
        *rows = of_rows.ms_entries;
    mdb_txn_abort(txn);
}

/* ---- reading ---- */

int values_view_open(const struct values_store *store, struct values_view *view)
{
    int dead, err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view->txn);

    if (err == MDB_READERS_FULL) { /* slots of killed processes are only freed when someone looks */
        (void)mdb_reader_check(store->env, &dead);
        err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view->txn);
    }
    if (err == 0 && (err = mdb_cursor_open(view->txn, store->rows, &view->cursor)) != 0) {
        mdb_txn_abort(view->txn);
        view->cursor = NULL;
    }
    if (err != 0) {
        view->txn = NULL;
        return error_of(err);
    }
    view->store = store;
    mdb_txn_reset(view->txn);
    return 0;
}

void values_view_close(struct values_view *view)
{
    if (view->txn == NULL)
        return;
    mdb_cursor_close(view->cursor);
    mdb_txn_abort(view->txn);
    *view = (struct values_view){.txn = NULL};
}

int values_view_renew(struct values_view *view)
{
    int err = mdb_txn_renew(view->txn);

    if (err != 0)
        return error_of(err);
    if ((err = mdb_cursor_renew(view->txn, view->cursor)) != 0)
        mdb_txn_reset(view->txn);
    return error_of(err);
}

void values_view_reset(struct values_view *view)
{
    mdb_txn_reset(view->txn);
}

int values_view_get(const struct values_view *view, uint64_t key, struct gw_value *out)
{
    MDB_val k = val_of(&key, sizeof key), row;
    int err = error_of(mdb_get(view->txn, view->store->rows, &k, &row));

    if (err != 0)
        return err;
    if (!row_is_sound(row))
        return -EBADMSG;
    const uint8_t *p = row.mv_data;

    *out = (struct gw_value){
        .bank = (char)(key >> 8 & 0xff),
        .pin = (uint8_t)key,
        .origin = p[8],
        .time_us = gw_load_le64(p),
        .bytes = gw_bytes_of(p + ROW_HEADER_BYTES, row.mv_size - ROW_HEADER_BYTES),
    };
    return 0;
}

int values_view_pins(const struct values_view *view, uint32_t device, char bank,
                     struct values_pins *pins)
{
    uint64_t first = values_key(device, bank, 0);
    MDB_val key = val_of(&first, sizeof first), row;
    int err = mdb_cursor_get(view->cursor, &key, &row, MDB_SET_RANGE);

    while (err == 0) {
        uint64_t found;

        if (key.mv_size != sizeof found)
            return -EBADMSG;
        memcpy(&found, key.mv_data, sizeof found);
        if (found >> 8 != first >> 8)
            return 0;
        values_pins_add(pins, (uint8_t)found);
        err = mdb_cursor_get(view->cursor, &key, &row, MDB_NEXT);
    }
    return err == MDB_NOTFOUND ? 0 : error_of(err);
}
