#include "pretend_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/defs.h>

#include "pretend_ring.h"

enum {
    TABLES_MAX = 12,
    NAME_BYTES = 24,
    ARENA_BYTES = 8 << 20,
    ALIGN_BYTES = 8,
    PAGE_BYTES = 4096,
};

struct row {
    uint32_t key_bytes, value_bytes;
    uint8_t bytes[]; /* key, padded to ALIGN_BYTES, then value */
};

struct rows {
    uint32_t count, capacity;
    const struct row **at; /* ascending */
};

struct version {
    size_t id;
    uint32_t table_count;
    struct rows tables[TABLES_MAX];
};

static struct {
    uint8_t *arena;
    size_t used, kept;
    char names[TABLES_MAX][NAME_BYTES];
    unsigned flags[TABLES_MAX];
    struct version *current, *base;
    bool written; /* a write transaction is open */
    struct chance *chance;
    uint32_t fail_one_in;
    uint64_t faults;
} db;

struct MDB_env {
    size_t map_bytes;
};

struct MDB_txn {
    const struct version *version; /* what it sees; NULL: it was reset */
    struct version *draft;         /* of a writer: the same, its own    */
    bool mine[TABLES_MAX];         /* that table's rows are the draft's */
    bool reads;
};

struct MDB_cursor {
    MDB_txn *txn;
    MDB_dbi table;
    uint32_t at;
    bool placed;
};

/* ---- memory ---- */

static void *take(size_t bytes)
{
    void *taken;

    if (db.arena == NULL)
        db.arena = malloc(ARENA_BYTES);
    bytes = (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    gw_assert(db.arena != NULL && bytes <= ARENA_BYTES - db.used);
    taken = db.arena + db.used;
    db.used += bytes;
    return taken;
}

void pretend_lmdb_keep(void)
{
    db.base = db.current;
    db.kept = db.used;
}

void pretend_lmdb_restore(void)
{
    gw_assert(!db.written);
    db.current = db.base;
    db.used = db.kept;
    db.faults = 0;
}

void pretend_lmdb_fail(struct chance *chance, uint32_t one_in)
{
    db.chance = chance;
    db.fail_one_in = one_in;
}

uint64_t pretend_lmdb_faults(void)
{
    return db.faults;
}

/* What this step of a reader meets. */
static int fault(const MDB_txn *txn)
{
    static const int errors[] = {
        MDB_READERS_FULL, MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_MAP_RESIZED, EIO, ENOMEM};

    if (!txn->reads || db.fail_one_in == 0 || !chance_one_in(db.chance, db.fail_one_in))
        return 0;
    db.faults++;
    pretend.seen.index_failed_ns = pretend.now_ns;
    return errors[chance_below(db.chance, GW_ARRAY_COUNT(errors))];
}

/* ---- rows ---- */

static size_t padded(size_t bytes)
{
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

static MDB_val key_of(const struct row *row)
{
    return (MDB_val){.mv_size = row->key_bytes, .mv_data = (void *)(uintptr_t)row->bytes};
}

static MDB_val value_of(const struct row *row)
{
    return (MDB_val){.mv_size = row->value_bytes,
                     .mv_data = (void *)(uintptr_t)(row->bytes + padded(row->key_bytes))};
}

static uint64_t integer_of(MDB_val key)
{
    uint64_t wide = 0;
    uint32_t narrow;

    if (key.mv_size == sizeof wide) {
        memcpy(&wide, key.mv_data, sizeof wide);
        return wide;
    }
    gw_assert(key.mv_size == sizeof narrow);
    memcpy(&narrow, key.mv_data, sizeof narrow);
    return narrow;
}

static int compare_bytes(MDB_val a, MDB_val b)
{
    size_t common = a.mv_size < b.mv_size ? a.mv_size : b.mv_size;
    int order = common == 0 ? 0 : memcmp(a.mv_data, b.mv_data, common);

    return order != 0 ? order : (a.mv_size > b.mv_size) - (a.mv_size < b.mv_size);
}

static int compare_keys(MDB_dbi table, MDB_val a, MDB_val b)
{
    uint64_t left, right;

    if ((db.flags[table] & MDB_INTEGERKEY) == 0)
        return compare_bytes(a, b);
    left = integer_of(a);
    right = integer_of(b);
    return (left > right) - (left < right);
}

/* The first row that is not before the key; and, among several of one key, not before the value. */
static uint32_t find(const struct rows *rows, MDB_dbi table, MDB_val key, const MDB_val *value)
{
    uint32_t low = 0, high = rows->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = compare_keys(table, key_of(rows->at[middle]), key);

        if (order == 0 && value != NULL)
            order = compare_bytes(value_of(rows->at[middle]), *value);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_key(const struct rows *rows, MDB_dbi table, uint32_t at, MDB_val key)
{
    return at < rows->count && compare_keys(table, key_of(rows->at[at]), key) == 0;
}

static const struct rows *rows_of(const MDB_txn *txn, MDB_dbi table)
{
    gw_assert(txn->version != NULL && table < txn->version->table_count);
    return &txn->version->tables[table];
}

/* To be changed: a copy, the first time. */
static struct rows *own_rows(MDB_txn *txn, MDB_dbi table, uint32_t more)
{
    struct rows *rows = &txn->draft->tables[table];
    const struct row **copy;

    gw_assert(!txn->reads && table < txn->draft->table_count);
    if (txn->mine[table] && rows->count + more <= rows->capacity)
        return rows;
    rows->capacity = rows->count + rows->count / 4 + 8;
    copy = take(rows->capacity * sizeof *copy);
    if (rows->count > 0)
        memcpy(copy, rows->at, rows->count * sizeof *copy);
    rows->at = copy;
    txn->mine[table] = true;
    return rows;
}

static const struct row *make_row(MDB_val key, MDB_val value)
{
    struct row *row = take(sizeof *row + padded(key.mv_size) + value.mv_size);

    row->key_bytes = (uint32_t)key.mv_size;
    row->value_bytes = (uint32_t)value.mv_size;
    memcpy(row->bytes, key.mv_data, key.mv_size);
    if (value.mv_size > 0)
        memcpy(row->bytes + padded(key.mv_size), value.mv_data, value.mv_size);
    return row;
}

static void remove_row(struct rows *rows, uint32_t at)
{
    rows->count--;
    memmove(rows->at + at, rows->at + at + 1, (rows->count - at) * sizeof rows->at[0]);
}

/* ---- lmdb.h: environments ---- */

int mdb_env_create(MDB_env **env)
{
    *env = calloc(1, sizeof **env);
    return *env == NULL ? ENOMEM : 0;
}

int mdb_env_set_mapsize(MDB_env *env, size_t bytes)
{
    env->map_bytes = bytes;
    return 0;
}

int mdb_env_set_maxreaders(MDB_env *env, unsigned count)
{
    (void)env, (void)count;
    return 0;
}

int mdb_env_set_maxdbs(MDB_env *env, MDB_dbi count)
{
    (void)env;
    gw_assert(count <= TABLES_MAX);
    return 0;
}

/* The files are there, and empty: who opens an index looks at them. */
int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    char file[256];

    (void)env, (void)flags;
    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]);
        int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, mode);

        if (fd < 0)
            return errno;
        (void)close(fd);
    }
    if (db.current == NULL)
        db.current = memset(take(sizeof *db.current), 0, sizeof *db.current);
    return 0;
}

void mdb_env_close(MDB_env *env)
{
    free(env);
}

int mdb_env_info(MDB_env *env, MDB_envinfo *out)
{
    *out = (MDB_envinfo){.me_mapsize = env->map_bytes};
    return 0;
}

int mdb_env_stat(MDB_env *env, MDB_stat *out)
{
    (void)env;
    *out = (MDB_stat){.ms_psize = PAGE_BYTES};
    return 0;
}

int mdb_reader_check(MDB_env *env, int *dead)
{
    (void)env;
    *dead = 0;
    return 0;
}

/* ---- lmdb.h: transactions ---- */

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
    MDB_txn *txn = calloc(1, sizeof *txn);

    (void)env;
    gw_assert(txn != NULL && parent == NULL);
    txn->reads = (flags & MDB_RDONLY) != 0;
    txn->version = db.current;
    if (!txn->reads) {
        gw_assert(!db.written); /* one thread: nobody would ever end the other one */
        db.written = true;
        txn->draft = take(sizeof *txn->draft);
        *txn->draft = *db.current;
        txn->draft->id++;
        txn->version = txn->draft;
    }
    *out = txn;
    return 0;
}

static void end(MDB_txn *txn)
{
    if (!txn->reads)
        db.written = false;
    free(txn);
}

int mdb_txn_commit(MDB_txn *txn)
{
    if (!txn->reads)
        db.current = txn->draft;
    end(txn);
    return 0;
}

void mdb_txn_abort(MDB_txn *txn)
{
    end(txn);
}

void mdb_txn_reset(MDB_txn *txn)
{
    gw_assert(txn->reads);
    txn->version = NULL;
}

int mdb_txn_renew(MDB_txn *txn)
{
    int err = fault(txn);

    gw_assert(txn->reads && txn->version == NULL);
    if (err == 0)
        txn->version = db.current;
    return err;
}

size_t mdb_txn_id(MDB_txn *txn)
{
    return txn->version->id;
}

int mdb_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *out)
{
    const struct version *version = txn->version;
    MDB_dbi table = 0;

    while (table < version->table_count && strcmp(db.names[table], name) != 0)
        table++;
    *out = table;
    if (table < version->table_count)
        return 0;
    if (txn->reads || (flags & MDB_CREATE) == 0)
        return MDB_NOTFOUND;
    gw_assert(table < TABLES_MAX && strlen(name) < NAME_BYTES);
    (void)snprintf(db.names[table], NAME_BYTES, "%s", name);
    db.flags[table] = flags;
    txn->draft->tables[table] = (struct rows){.count = 0};
    txn->draft->table_count++;
    return 0;
}

/* ---- lmdb.h: rows ---- */

int mdb_stat(MDB_txn *txn, MDB_dbi table, MDB_stat *out)
{
    *out = (MDB_stat){.ms_psize = PAGE_BYTES, .ms_entries = rows_of(txn, table)->count};
    return fault(txn);
}

int mdb_get(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value)
{
    const struct rows *rows = rows_of(txn, table);
    uint32_t at = find(rows, table, *key, NULL);
    int err = fault(txn);

    if (err != 0)
        return err;
    if (!has_key(rows, table, at, *key))
        return MDB_NOTFOUND;
    *value = value_of(rows->at[at]);
    return 0;
}

int mdb_put(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned flags)
{
    const bool several = (db.flags[table] & MDB_DUPSORT) != 0;
    struct rows *rows = own_rows(txn, table, 1);
    uint32_t at = find(rows, table, *key, several ? value : NULL);
    bool there = has_key(rows, table, at, *key);

    gw_assert((flags & MDB_RESERVE) == 0);
    if (there && several)
        there = compare_bytes(value_of(rows->at[at]), *value) == 0;
    if (there && (flags & (MDB_NOOVERWRITE | MDB_NODUPDATA | MDB_APPEND)) != 0)
        return MDB_KEYEXIST;
    if (!there) {
        memmove(rows->at + at + 1, rows->at + at, (rows->count - at) * sizeof rows->at[0]);
        rows->count++;
    }
    rows->at[at] = make_row(*key, *value);
    return 0;
}

int mdb_del(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value)
{
    struct rows *rows = own_rows(txn, table, 0);
    uint32_t at = find(rows, table, *key, NULL);
    bool any = false;

    gw_assert(value == NULL);
    while (has_key(rows, table, at, *key)) {
        remove_row(rows, at);
        any = true;
    }
    return any ? 0 : MDB_NOTFOUND;
}

/* ---- lmdb.h: cursors ---- */

int mdb_cursor_open(MDB_txn *txn, MDB_dbi table, MDB_cursor **out)
{
    MDB_cursor *cursor = malloc(sizeof *cursor);

    gw_assert(cursor != NULL);
    *cursor = (MDB_cursor){.txn = txn, .table = table};
    *out = cursor;
    return 0;
}

void mdb_cursor_close(MDB_cursor *cursor)
{
    free(cursor);
}

int mdb_cursor_renew(MDB_txn *txn, MDB_cursor *cursor)
{
    cursor->txn = txn;
    cursor->placed = false;
    return 0;
}

int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op to)
{
    const struct rows *rows = rows_of(cursor->txn, cursor->table);
    uint32_t before = cursor->at;
    int err = fault(cursor->txn);

    if (err != 0)
        return err;
    switch (to) {
    case MDB_FIRST:
        cursor->at = 0;
        break;
    case MDB_NEXT:
    case MDB_NEXT_DUP:
        cursor->at = cursor->placed ? cursor->at + 1 : 0;
        break;
    case MDB_SET_KEY:
    case MDB_SET_RANGE:
        cursor->at = find(rows, cursor->table, *key, NULL);
        break;
    default:
        gw_unreachable("the index moves a cursor in a way of its own");
    }
    if (cursor->at >= rows->count ||
        (to == MDB_SET_KEY && !has_key(rows, cursor->table, cursor->at, *key)) ||
        (to == MDB_NEXT_DUP &&
         !has_key(rows, cursor->table, cursor->at, key_of(rows->at[before])))) {
        cursor->at = before;
        return MDB_NOTFOUND;
    }
    cursor->placed = true;
    *key = key_of(rows->at[cursor->at]);
    *value = value_of(rows->at[cursor->at]);
    return 0;
}

int mdb_cursor_del(MDB_cursor *cursor, unsigned flags)
{
    gw_assert(cursor->placed && flags == 0);
    remove_row(own_rows(cursor->txn, cursor->table, 0), cursor->at);
    return 0;
}
