/*
 * Rows as people see them. Walks go by number and hold no state between calls, so that a list can
 * be cut anywhere.
 */
#include <gw/token/catalog.h>

#include <errno.h>
#include <string.h>

#include "store_internal.h"

/* The first number above `after` in a table with numbers for keys. */
static int next_number(const struct gw_index_view *view, enum gw_table table, uint32_t after,
                       uint32_t *out)
{
    uint32_t from = after + 1;
    MDB_cursor *cursor;
    MDB_val key = gw_val_of(&from, sizeof from), value;
    int err;

    if (after == UINT32_MAX)
        return -ENOENT;
    err = mdb_cursor_open(view->txn, view->store->tables[table], &cursor);
    if (err != 0)
        return gw_store_error(err);
    err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (err == 0 && key.mv_size != sizeof from)
        err = MDB_CORRUPTED;
    if (err == 0)
        memcpy(out, key.mv_data, sizeof *out);
    mdb_cursor_close(cursor);
    return gw_store_error(err);
}

int gw_catalog_org(const struct gw_index_view *view, uint32_t number, struct gw_org_info *out)
{
    struct gw_org_row row;
    const int err = gw_view_org(view, number, &row);

    *out = (struct gw_org_info){.number = number};
    if (err != 0)
        return err;
    out->closed = row.closed;
    out->created_s = row.created_s;
    memcpy(out->name, row.name, row.name_bytes);
    return 0;
}

int gw_catalog_org_next(const struct gw_index_view *view, uint32_t after, struct gw_org_info *out)
{
    uint32_t number = 0;
    const int err = next_number(view, GW_TABLE_ORGS, after, &number);

    return err != 0 ? err : gw_catalog_org(view, number, out);
}

int gw_catalog_product(const struct gw_index_view *view, uint32_t number,
                       struct gw_product_info *out)
{
    struct gw_product_row row;
    const int err = gw_view_product(view, number, &row);

    *out = (struct gw_product_info){.number = number};
    if (err != 0)
        return err;
    out->org = row.org;
    out->closed = row.closed;
    out->flags = row.flags;
    out->quota_class = row.quota_class;
    out->created_s = row.created_s;
    memcpy(out->id, row.id, row.id_bytes);
    memcpy(out->name, row.name, row.name_bytes);
    return 0;
}

int gw_catalog_product_next(const struct gw_index_view *view, uint32_t after,
                            struct gw_product_info *out)
{
    uint32_t number = 0;
    const int err = next_number(view, GW_TABLE_PRODUCTS, after, &number);

    return err != 0 ? err : gw_catalog_product(view, number, out);
}

static int token_window(const struct gw_index_view *view, const struct gw_device_row *row,
                        struct gw_device_info *out)
{
    struct gw_token_row token;
    MDB_cursor *cursor;
    int err = mdb_cursor_open(view->txn, view->store->tables[GW_TABLE_TOKENS], &cursor);

    if (err != 0)
        return gw_store_error(err);
    err = gw_tokens_find_device(cursor, row->token_key, out->number, &token);
    mdb_cursor_close(cursor);
    if (err != 0)
        return err == -ENOENT ? -EBADMSG : err; /* the device said that it has one */
    out->not_before_s = token.not_before_s;
    out->not_after_s = token.not_after_s;
    return 0;
}

int gw_catalog_device(const struct gw_index_view *view, uint32_t number, struct gw_device_info *out)
{
    struct gw_device_row row;
    const int err = gw_view_device(view, number, &row);

    *out = (struct gw_device_info){.number = number};
    if (err != 0)
        return err;
    out->product = row.product;
    out->org = row.org;
    out->owner = row.owner;
    out->generation = row.generation;
    out->disabled = row.disabled;
    out->has_token = row.has_token;
    out->created_s = row.created_s;
    memcpy(out->name, row.name, row.name_bytes);
    return row.has_token ? token_window(view, &row, out) : 0;
}

int gw_catalog_device_next(const struct gw_index_view *view, uint32_t after,
                           struct gw_device_info *out)
{
    uint32_t number = 0;
    const int err = next_number(view, GW_TABLE_DEVICES, after, &number);

    return err != 0 ? err : gw_catalog_device(view, number, out);
}

int gw_catalog_org_find(const struct gw_index_view *view, struct gw_bytes name, uint32_t *number)
{
    return gw_view_number(view, GW_TABLE_ORG_NAMES, name, number);
}

int gw_catalog_product_find(const struct gw_index_view *view, struct gw_bytes id, uint32_t *number)
{
    return gw_view_number(view, GW_TABLE_PRODUCT_IDS, id, number);
}
