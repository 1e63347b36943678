/*
 * An index in a directory of its own, with one organisation, two products and some devices.
 * LMDB forbids two environments on one file in one process, so a test either writes or reads at a
 * time, or writes in a child (fixture_in_child).
 */
#ifndef TESTS_UNIT_TOKEN_FIXTURE_H
#define TESTS_UNIT_TOKEN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gw/crypto/crypto.h>
#include <gw/token/writer.h>

#include "store_internal.h"

#define SAMPLE_TOKEN   "xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl"
#define SAMPLE_PRODUCT "TMPL0vFkFmJM7"

struct fixture {
    char base[64];        /* a temporary directory        */
    char path[128];       /* the index in it              */
    char high_water[128]; /* a file in it                 */
    uint32_t org, product, plain_product, device;
};

static inline struct gw_bytes text(const char *t)
{
    return gw_bytes_text(t);
}

/* The token number `n` of a series that every test shares. */
static inline const uint8_t *token_of(uint32_t n)
{
    static uint8_t token[GW_TOKEN_BYTES];

    memset(token, 0x5a, sizeof token);
    gw_store_le32(token + 8, n);
    return token;
}

static inline const uint8_t *sample_token(void)
{
    static uint8_t token[GW_TOKEN_BYTES];

    assert_true(gw_token_from_text(text(SAMPLE_TOKEN), token));
    return token;
}

static inline struct gw_index_writer *writer_begin(const struct fixture *f)
{
    struct gw_index_writer *writer = NULL;
    const char *why;

    assert_int_equal(gw_index_writer_open(f->path, NULL, &writer, &why), 0);
    assert_int_equal(gw_index_begin(writer), 0);
    return writer;
}

static inline void writer_commit(struct gw_index_writer *writer)
{
    assert_int_equal(gw_index_commit(writer), 0);
    gw_index_writer_close(writer);
}

static inline uint32_t add_device(struct gw_index_writer *writer, uint32_t product,
                                  const uint8_t *token)
{
    const struct gw_device_spec spec = {.product = product, .token = token};
    uint32_t number = 0;

    assert_int_equal(gw_index_device_add(writer, &spec, &number), 0);
    return number;
}

static inline uint32_t add_product(struct gw_index_writer *writer, uint32_t org, const char *id,
                                   uint8_t flags, uint8_t quota_class)
{
    const struct gw_product_spec spec = {
        .org = org, .id = text(id), .flags = flags, .quota_class = quota_class};
    uint32_t number = 0;

    assert_int_equal(gw_index_product_add(writer, &spec, &number), 0);
    return number;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct gw_index_create_options options = {0};
    struct gw_index_writer *writer;
    const char *why;

    assert_non_null(f);
    (void)snprintf(f->base, sizeof f->base, "/tmp/gw_token_test.XXXXXX");
    assert_non_null(mkdtemp(f->base));
    (void)snprintf(f->path, sizeof f->path, "%s/index", f->base);
    (void)snprintf(f->high_water, sizeof f->high_water, "%s/high_water", f->base);
    options.path = f->path;
    assert_int_equal(gw_index_create(&options, &why), 0);
    writer = writer_begin(f);
    assert_int_equal(gw_index_org_add(writer, text("acme"), &f->org), 0);
    f->product = add_product(writer, f->org, SAMPLE_PRODUCT, GW_PRODUCT_INFO_REQUIRED, 3);
    f->plain_product = add_product(writer, f->org, "TMPLplain", GW_PRODUCT_PLAIN_ALLOWED, 0);
    f->device = add_device(writer, f->product, sample_token());
    writer_commit(writer);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    char command[256];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->base);
    assert_int_equal(system(command), 0); /* NOLINT: a fixed command on our own directory */
    free(f);
    return 0;
}

struct reading {
    struct gw_index *index;
    struct gw_index_reader *reader;
};

static inline struct reading reading_begin(const struct fixture *f, bool with_memory)
{
    const struct gw_index_options options = {.path = f->path,
                                             .high_water = with_memory ? f->high_water : NULL};
    struct reading r = {NULL, NULL};
    const char *why = "";
    const int err = gw_index_open(&options, &r.index, &why);

    if (err != 0)
        print_error("%s (%d)\n", why, err);
    assert_int_equal(err, 0);
    assert_int_equal(gw_index_reader_open(r.index, &r.reader), 0);
    return r;
}

static inline void reading_end(struct reading *r)
{
    gw_index_reader_close(r->reader);
    gw_index_close(r->index);
    *r = (struct reading){NULL, NULL};
}

static inline enum gw_login login(struct reading *r, const uint8_t *token)
{
    struct gw_grant grant;
    const enum gw_login answer = gw_index_login(r->reader, token, true, 1000, &grant);

    gw_index_reader_pause(r->reader);
    return answer;
}

/* One question to a freshly opened index. */
static inline enum gw_login login_once(const struct fixture *f, bool with_memory,
                                       const uint8_t *token)
{
    struct reading r = reading_begin(f, with_memory);
    const enum gw_login answer = login(&r, token);

    reading_end(&r);
    return answer;
}

/* Changes by a process of its own, as tollgatectl makes them, while this one reads. */
static inline void fixture_in_child(const struct fixture *f,
                                    void (*work)(struct gw_index_writer *writer,
                                                 const struct fixture *f))
{
    const pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct gw_index_writer *writer;
        const char *why;

        if (gw_index_writer_open(f->path, NULL, &writer, &why) != 0 || gw_index_begin(writer) != 0)
            _exit(2);
        work(writer, f);
        _exit(gw_index_commit(writer) == 0 ? 0 : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Writes bytes as they are into a table, past all checks. */
static inline void put_raw(const struct fixture *f, enum gw_table table, struct gw_bytes key,
                           struct gw_bytes old, struct gw_bytes row)
{
    struct gw_store store;
    const char *why;
    MDB_val k = gw_val_of(key.data, key.size), o = gw_val_of(old.data, old.size),
            v = gw_val_of(row.data, row.size);
    MDB_txn *txn;

    assert_int_equal(gw_store_open(&store, f->path, NULL, GW_STORE_WRITE, &why), 0);
    assert_int_equal(mdb_txn_begin(store.env, NULL, 0, &txn), 0);
    if (old.size != 0)
        assert_int_equal(mdb_del(txn, store.tables[table], &k, &o), 0);
    if (row.size != 0)
        assert_int_equal(mdb_put(txn, store.tables[table], &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    gw_store_close(&store);
}

/* The bytes that stand under a key now; returns their count. */
static inline size_t get_raw(const struct fixture *f, enum gw_table table, struct gw_bytes key,
                             uint8_t out[GW_ROW_BYTES_MAX])
{
    struct gw_store store;
    const char *why;
    MDB_val k = gw_val_of(key.data, key.size), v;
    MDB_txn *txn;
    size_t size;

    assert_int_equal(gw_store_open(&store, f->path, NULL, GW_STORE_READ, &why), 0);
    assert_int_equal(mdb_txn_begin(store.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_get(txn, store.tables[table], &k, &v), 0);
    size = v.mv_size;
    assert_true(size <= GW_ROW_BYTES_MAX);
    memcpy(out, v.mv_data, size);
    mdb_txn_abort(txn);
    gw_store_close(&store);
    return size;
}

static inline uint64_t sample_key(const struct fixture *f)
{
    uint8_t row[GW_ROW_BYTES_MAX];
    struct gw_meta meta;
    const size_t size = get_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), row);

    assert_true(gw_meta_unpack(gw_bytes_of(row, size), &meta));
    return gw_store_key(sample_token(), meta.hash_seed);
}

#endif
