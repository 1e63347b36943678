/*
 * Changes to the index: one LMDB write transaction at a time, each step checked before anything is
 * put, so that a refusal (-EEXIST, -ENOENT, -EINVAL) leaves the transaction as it was and an import
 * can skip a bad line. An error of LMDB itself spoils the transaction: it is remembered, and commit
 * aborts.
 *
 * I1  A token's row and its device's row change together: device.token_key names the row's key,
 *     row.device names the device, and both carry the same product, organisation and state.
 * I2  A changed token row is deleted and put: under DUPFIXED a put would add a duplicate.
 * I3  The generation grows by one with every commit that changed something, and never otherwise.
 */
#include "writer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/base/clock.h>

int gw_writer_fail(struct gw_index_writer *writer, int err)
{
    if (err != 0 && writer->failed == 0)
        writer->failed = err;
    return err;
}

int gw_writer_put(struct gw_index_writer *writer, enum gw_table table, const void *key,
                  size_t key_bytes, const uint8_t *row, size_t row_bytes, unsigned int flags)
{
    MDB_val k = gw_val_of(key, key_bytes), v = gw_val_of(row, row_bytes);

    writer->changed = true;
    return gw_writer_fail(
        writer,
        gw_store_error(mdb_put(writer->view.txn, writer->store.tables[table], &k, &v, flags)));
}

static int drop(struct gw_index_writer *writer, enum gw_table table, const void *key,
                size_t key_bytes)
{
    MDB_val k = gw_val_of(key, key_bytes);

    writer->changed = true;
    return gw_writer_fail(
        writer, gw_store_error(mdb_del(writer->view.txn, writer->store.tables[table], &k, NULL)));
}

int gw_writer_note(struct gw_index_writer *writer, enum gw_index_change_kind kind,
                   struct gw_change_row row)
{
    uint8_t bytes[GW_ROW_BYTES_MAX];
    const uint64_t sequence = writer->meta.change_next;
    int err;

    row.kind = (uint8_t)kind;
    row.at_us = writer->now_us;
    err = gw_writer_put(writer, GW_TABLE_CHANGES, &sequence, sizeof sequence, bytes,
                        gw_change_row_pack(sequence, &row, bytes), MDB_APPEND);
    if (err != 0)
        return err;
    writer->meta.change_next++;
    /* Two at a time, so that a list grown too long by a smaller constant shrinks as well. */
    for (int i = 0; i < 2 && err == 0; i++)
        if (writer->meta.change_next - writer->meta.change_first > GW_INDEX_CHANGES_KEPT) {
            const uint64_t oldest = writer->meta.change_first++;

            err = drop(writer, GW_TABLE_CHANGES, &oldest, sizeof oldest);
        }
    return err;
}

int gw_index_writer_open(const char *path, const char *pepper, struct gw_index_writer **out,
                         const char **why)
{
    struct gw_index_writer *writer = calloc(1, sizeof *writer);
    int err;

    *why = "out of memory";
    if (writer == NULL)
        return -ENOMEM;
    err = gw_store_open(&writer->store, path, pepper, GW_STORE_WRITE, why);
    if (err != 0) {
        free(writer);
        return err;
    }
    writer->view.store = &writer->store;
    *out = writer;
    return 0;
}

void gw_index_writer_close(struct gw_index_writer *writer)
{
    if (writer == NULL)
        return;
    gw_index_abort(writer);
    gw_store_close(&writer->store);
    free(writer);
}

const struct gw_index_view *gw_index_writer_view(struct gw_index_writer *writer)
{
    gw_assert(writer->view.txn != NULL);
    return &writer->view;
}

int gw_index_begin(struct gw_index_writer *writer)
{
    int dead, err;

    gw_assert(writer->view.txn == NULL);
    (void)mdb_reader_check(writer->store.env, &dead);
    err = gw_store_error(mdb_txn_begin(writer->store.env, NULL, 0, &writer->view.txn));
    if (err != 0) {
        writer->view.txn = NULL;
        return err;
    }
    writer->changed = false;
    writer->failed = 0;
    writer->now_us = gw_clock_wall_us();
    /* While we waited for the lock a restore may have put another index in this one's place. */
    if (!gw_store_is_current(&writer->store))
        err = -ESTALE;
    else
        err = gw_view_meta(&writer->view, &writer->meta);
    if (err != 0)
        gw_index_abort(writer);
    return err;
}

int gw_writer_put_meta(struct gw_index_writer *writer)
{
    uint8_t bytes[GW_ROW_BYTES_MAX];

    return gw_writer_put(writer, GW_TABLE_META, GW_INDEX_META_KEY, strlen(GW_INDEX_META_KEY), bytes,
                         gw_meta_pack(&writer->meta, bytes), 0);
}

int gw_index_commit(struct gw_index_writer *writer)
{
    int err = writer->failed;

    gw_assert(writer->view.txn != NULL);
    if (err == 0 && writer->changed) {
        writer->meta.generation++; /* I3 */
        writer->meta.changed_us = writer->now_us;
        err = gw_writer_put_meta(writer);
    }
    if (err != 0 || !writer->changed) {
        gw_index_abort(writer);
        return err;
    }
    err = gw_store_error(mdb_txn_commit(writer->view.txn));
    writer->view.txn = NULL; /* gone, whatever commit said */
    return err;
}

void gw_index_abort(struct gw_index_writer *writer)
{
    if (writer->view.txn != NULL)
        mdb_txn_abort(writer->view.txn);
    writer->view.txn = NULL;
}

bool gw_writer_is_text(struct gw_bytes text, size_t bytes_max)
{
    if (text.size > bytes_max)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return true;
}

static bool is_name(struct gw_bytes name)
{
    return gw_writer_is_text(name, GW_DEVICE_NAME_BYTES_MAX);
}

static bool is_product_id(struct gw_bytes id)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

    if (id.size == 0 || id.size > GW_PRODUCT_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < id.size; i++)
        if (memchr(letters, id.data[i], sizeof letters - 1) == NULL)
            return false;
    return true;
}

/* -EEXIST when the text already stands for a number, 0 when it is free. */
static int check_free(struct gw_index_writer *writer, enum gw_table table, struct gw_bytes text)
{
    uint32_t number;
    const int err = gw_view_number(&writer->view, table, text, &number);

    if (err == 0)
        return -EEXIST;
    return err == -ENOENT ? 0 : gw_writer_fail(writer, err);
}

/* A lookup's -ENOENT is an answer; its other errors spoil the transaction. */
static int looked_up(struct gw_index_writer *writer, int err)
{
    return err == -ENOENT ? err : gw_writer_fail(writer, err);
}

static int put_text_number(struct gw_index_writer *writer, enum gw_table table,
                           struct gw_bytes text, uint32_t number)
{
    uint8_t bytes[GW_NUMBER_ROW_BYTES];

    gw_store_le32(bytes, number);
    return gw_writer_put(writer, table, text.data, text.size, bytes, sizeof bytes, MDB_NOOVERWRITE);
}

static int put_org(struct gw_index_writer *writer, uint32_t number, const struct gw_org_row *row)
{
    uint8_t bytes[GW_ROW_BYTES_MAX];

    return gw_writer_put(writer, GW_TABLE_ORGS, &number, sizeof number, bytes,
                         gw_org_row_pack(number, row, bytes), 0);
}

static int put_product(struct gw_index_writer *writer, uint32_t number,
                       const struct gw_product_row *row)
{
    uint8_t bytes[GW_ROW_BYTES_MAX];

    return gw_writer_put(writer, GW_TABLE_PRODUCTS, &number, sizeof number, bytes,
                         gw_product_row_pack(number, row, bytes), 0);
}

static int put_device(struct gw_index_writer *writer, uint32_t number,
                      const struct gw_device_row *row, unsigned int flags)
{
    uint8_t bytes[GW_ROW_BYTES_MAX];

    return gw_writer_put(writer, GW_TABLE_DEVICES, &number, sizeof number, bytes,
                         gw_device_row_pack(number, row, bytes), flags);
}

static int put_token(struct gw_index_writer *writer, uint64_t key, const struct gw_token_row *row)
{
    uint8_t bytes[GW_ROW_BYTES_MAX];

    return gw_writer_put(writer, GW_TABLE_TOKENS, &key, sizeof key, bytes,
                         gw_token_row_pack(key, row, bytes), MDB_NODUPDATA);
}

int gw_index_org_add(struct gw_index_writer *writer, struct gw_bytes name, uint32_t *number)
{
    struct gw_org_row row = {.created_s = writer->now_us / 1000000,
                             .name_bytes = (uint8_t)name.size};
    int err;

    if (name.size == 0 || !is_name(name))
        return -EINVAL;
    if ((err = check_free(writer, GW_TABLE_ORG_NAMES, name)) != 0)
        return err;
    memcpy(row.name, name.data, name.size);
    if (writer->meta.next_org == UINT32_MAX)
        return gw_writer_fail(writer, -EOVERFLOW);
    *number = writer->meta.next_org++;
    writer->meta.orgs++;
    if ((err = put_org(writer, *number, &row)) != 0 ||
        (err = put_text_number(writer, GW_TABLE_ORG_NAMES, name, *number)) != 0)
        return err;
    return gw_writer_note(writer, GW_INDEX_ORG_ADDED, (struct gw_change_row){.org = *number});
}

int gw_index_org_set_closed(struct gw_index_writer *writer, uint32_t number, bool closed)
{
    struct gw_org_row row;
    int err = looked_up(writer, gw_view_org(&writer->view, number, &row));

    if (err != 0 || row.closed == closed)
        return err;
    row.closed = closed;
    if ((err = put_org(writer, number, &row)) != 0)
        return err;
    return gw_writer_note(writer, closed ? GW_INDEX_ORG_CLOSED : GW_INDEX_ORG_OPENED,
                          (struct gw_change_row){.org = number});
}

int gw_index_product_add(struct gw_index_writer *writer, const struct gw_product_spec *spec,
                         uint32_t *number)
{
    struct gw_product_row row = {.flags = spec->flags,
                                 .quota_class = spec->quota_class,
                                 .org = spec->org,
                                 .created_s = writer->now_us / 1000000,
                                 .id_bytes = (uint8_t)spec->id.size,
                                 .name_bytes = (uint8_t)spec->name.size};
    struct gw_org_row owner;
    int err;

    gw_assert((spec->flags & ~GW_PRODUCT_FLAGS) == 0);
    if (!is_product_id(spec->id) || !is_name(spec->name))
        return -EINVAL;
    if ((spec->flags & GW_PRODUCT_PROVISIONS) != 0)
        row.flags |= GW_PRODUCT_INFO_REQUIRED;
    if ((err = looked_up(writer, gw_view_org(&writer->view, spec->org, &owner))) != 0 ||
        (err = check_free(writer, GW_TABLE_PRODUCT_IDS, spec->id)) != 0)
        return err;
    memcpy(row.id, spec->id.data, spec->id.size);
    if (spec->name.size != 0)
        memcpy(row.name, spec->name.data, spec->name.size);
    if (writer->meta.next_product == UINT32_MAX)
        return gw_writer_fail(writer, -EOVERFLOW);
    *number = writer->meta.next_product++;
    writer->meta.products++;
    if ((err = put_product(writer, *number, &row)) != 0 ||
        (err = put_text_number(writer, GW_TABLE_PRODUCT_IDS, spec->id, *number)) != 0)
        return err;
    return gw_writer_note(writer, GW_INDEX_PRODUCT_ADDED,
                          (struct gw_change_row){.product = *number, .org = spec->org});
}

int gw_index_product_set_closed(struct gw_index_writer *writer, uint32_t number, bool closed)
{
    struct gw_product_row row;
    int err = looked_up(writer, gw_view_product(&writer->view, number, &row));

    if (err != 0 || row.closed == closed)
        return err;
    row.closed = closed;
    if ((err = put_product(writer, number, &row)) != 0)
        return err;
    return gw_writer_note(writer, closed ? GW_INDEX_PRODUCT_CLOSED : GW_INDEX_PRODUCT_OPENED,
                          (struct gw_change_row){.product = number, .org = row.org});
}

/* Key and verifier of a token that must not be in the index yet. */
static int claim_token(struct gw_index_writer *writer, const uint8_t token[GW_TOKEN_BYTES],
                       uint64_t *key, uint8_t verifier[GW_VERIFIER_BYTES])
{
    struct gw_token_row other;
    MDB_cursor *cursor;
    int err = mdb_cursor_open(writer->view.txn, writer->store.tables[GW_TABLE_TOKENS], &cursor);

    if (err != 0)
        return gw_writer_fail(writer, gw_store_error(err));
    *key = gw_store_key(token, writer->meta.hash_seed);
    gw_store_verifier(&writer->store, token, verifier);
    err = gw_tokens_find_verifier(cursor, *key, verifier, &other);
    mdb_cursor_close(cursor);
    if (err == 0)
        return -EEXIST;
    return err == -ENOENT ? 0 : gw_writer_fail(writer, err);
}

/* Takes the device's token row out of the table and hands it back. */
static int pull_token(struct gw_index_writer *writer, uint32_t number,
                      const struct gw_device_row *device, struct gw_token_row *out)
{
    MDB_cursor *cursor;
    int err = mdb_cursor_open(writer->view.txn, writer->store.tables[GW_TABLE_TOKENS], &cursor);

    gw_assert(device->has_token);
    if (err != 0)
        return gw_writer_fail(writer, gw_store_error(err));
    err = gw_tokens_find_device(cursor, device->token_key, number, out);
    if (err == -ENOENT)
        err = -EBADMSG; /* I1 does not hold in this file */
    if (err == 0) {
        writer->changed = true;
        err = gw_store_error(mdb_cursor_del(cursor, 0));
    }
    mdb_cursor_close(cursor);
    return gw_writer_fail(writer, err);
}

int gw_index_device_add(struct gw_index_writer *writer, const struct gw_device_spec *spec,
                        uint32_t *number)
{
    struct gw_device_row device = {.has_token = true,
                                   .product = spec->product,
                                   .owner = spec->owner,
                                   .generation = 1,
                                   .token_generation = 1,
                                   .created_s = writer->now_us / 1000000,
                                   .name_bytes = (uint8_t)spec->name.size};
    struct gw_token_row row = {.product = spec->product,
                               .generation = 1,
                               .not_before_s = spec->not_before_s,
                               .not_after_s = spec->not_after_s,
                               .pepper_version = writer->meta.pepper_version};
    struct gw_product_row product;
    int err;

    if (!is_name(spec->name) || (spec->not_after_s != 0 && spec->not_after_s < spec->not_before_s))
        return -EINVAL;
    if ((err = looked_up(writer, gw_view_product(&writer->view, spec->product, &product))) != 0 ||
        (err = claim_token(writer, spec->token, &device.token_key, row.verifier)) != 0)
        return err;
    if (writer->meta.next_device == UINT32_MAX)
        return gw_writer_fail(writer, -EOVERFLOW);
    *number = writer->meta.next_device++;
    writer->meta.devices++;
    writer->meta.tokens++;
    if (spec->name.size != 0)
        memcpy(device.name, spec->name.data, spec->name.size);
    device.org = product.org;
    row.device = *number;
    row.org = product.org;
    row.quota_class = product.quota_class;
    if ((err = put_device(writer, *number, &device, MDB_APPEND)) != 0 ||
        (err = put_token(writer, device.token_key, &row)) != 0)
        return err;
    return gw_writer_note(writer, GW_INDEX_DEVICES_ADDED,
                          (struct gw_change_row){.device = *number,
                                                 .product = spec->product,
                                                 .org = product.org,
                                                 .generation = 1,
                                                 .count = 1});
}

static struct gw_change_row about(uint32_t number, const struct gw_device_row *device)
{
    return (struct gw_change_row){.device = number,
                                  .product = device->product,
                                  .org = device->org,
                                  .generation = device->generation};
}

int gw_index_device_set_disabled(struct gw_index_writer *writer, uint32_t number, bool disabled)
{
    struct gw_device_row device;
    struct gw_token_row row;
    int err = looked_up(writer, gw_view_device(&writer->view, number, &device));

    if (err != 0 || device.disabled == disabled)
        return err;
    device.disabled = disabled;
    if ((err = put_device(writer, number, &device, 0)) != 0)
        return err;
    if (device.has_token) {
        if ((err = pull_token(writer, number, &device, &row)) != 0)
            return err;
        row.disabled = disabled;
        if ((err = put_token(writer, device.token_key, &row)) != 0) /* I2 */
            return err;
    }
    return gw_writer_note(writer, disabled ? GW_INDEX_DEVICE_DISABLED : GW_INDEX_DEVICE_ENABLED,
                          about(number, &device));
}

int gw_index_device_move(struct gw_index_writer *writer, uint32_t number, uint32_t product)
{
    struct gw_product_row target;
    struct gw_device_row device;
    struct gw_token_row row;
    int err;

    if ((err = looked_up(writer, gw_view_device(&writer->view, number, &device))) != 0 ||
        (err = looked_up(writer, gw_view_product(&writer->view, product, &target))) != 0)
        return err;
    if (device.product == product)
        return 0;
    if (device.generation == UINT32_MAX)
        return gw_writer_fail(writer, -EOVERFLOW);
    device.product = product;
    device.org = target.org;
    device.generation++;
    if ((err = put_device(writer, number, &device, 0)) != 0)
        return err;
    if (device.has_token) {
        if ((err = pull_token(writer, number, &device, &row)) != 0)
            return err;
        row.product = product;
        row.org = target.org;
        row.quota_class = target.quota_class;
        row.generation = device.generation;
        if ((err = put_token(writer, device.token_key, &row)) != 0)
            return err;
    }
    return gw_writer_note(writer, GW_INDEX_DEVICE_REBOUND, about(number, &device));
}

int gw_index_token_rotate(struct gw_index_writer *writer, uint32_t number,
                          const uint8_t token[GW_TOKEN_BYTES])
{
    struct gw_product_row product;
    struct gw_device_row device;
    struct gw_token_row row = {.device = number};
    uint8_t verifier[GW_VERIFIER_BYTES];
    uint64_t key = 0;
    int err;

    if ((err = looked_up(writer, gw_view_device(&writer->view, number, &device))) != 0 ||
        (err = claim_token(writer, token, &key, verifier)) != 0)
        return err;
    if (device.generation == UINT32_MAX)
        return gw_writer_fail(writer, -EOVERFLOW);
    if (device.has_token) {
        err = pull_token(writer, number, &device, &row);
    } else {
        err = gw_writer_fail(writer, gw_view_product(&writer->view, device.product, &product));
        row.product = device.product;
        row.org = device.org;
        row.disabled = device.disabled;
        row.quota_class = err == 0 ? product.quota_class : 0;
        writer->meta.tokens++;
    }
    if (err != 0)
        return err;
    device.has_token = true;
    device.token_key = key;
    device.token_generation = ++device.generation;
    row.generation = device.generation;
    row.pepper_version = writer->meta.pepper_version;
    memcpy(row.verifier, verifier, sizeof row.verifier);
    if ((err = put_device(writer, number, &device, 0)) != 0 ||
        (err = put_token(writer, key, &row)) != 0)
        return err;
    return gw_writer_note(writer, GW_INDEX_TOKEN_ROTATED, about(number, &device));
}

int gw_index_token_revoke(struct gw_index_writer *writer, uint32_t number)
{
    struct gw_device_row device;
    struct gw_token_row row;
    int err = looked_up(writer, gw_view_device(&writer->view, number, &device));

    if (err != 0)
        return err;
    if (!device.has_token)
        return -ENOENT;
    if (device.generation == UINT32_MAX)
        return gw_writer_fail(writer, -EOVERFLOW);
    if ((err = pull_token(writer, number, &device, &row)) != 0)
        return err;
    writer->meta.tokens--;
    device.has_token = false;
    device.token_key = 0;
    device.token_generation = ++device.generation;
    if ((err = put_device(writer, number, &device, 0)) != 0)
        return err;
    return gw_writer_note(writer, GW_INDEX_TOKEN_REVOKED, about(number, &device));
}

int gw_index_token_window(struct gw_index_writer *writer, uint32_t number, uint64_t not_before_s,
                          uint64_t not_after_s)
{
    struct gw_device_row device;
    struct gw_token_row row;
    int err;

    if (not_after_s != 0 && not_after_s < not_before_s)
        return -EINVAL;
    if ((err = looked_up(writer, gw_view_device(&writer->view, number, &device))) != 0)
        return err;
    if (!device.has_token)
        return -ENOENT;
    if ((err = pull_token(writer, number, &device, &row)) != 0)
        return err;
    row.not_before_s = not_before_s;
    row.not_after_s = not_after_s;
    if ((err = put_token(writer, device.token_key, &row)) != 0)
        return err;
    return gw_writer_note(writer, GW_INDEX_TOKEN_WINDOW, about(number, &device));
}

int gw_index_set_complete(struct gw_index_writer *writer, bool complete)
{
    if (writer->meta.complete != complete) {
        writer->meta.complete = complete;
        writer->changed = true;
    }
    return 0;
}
