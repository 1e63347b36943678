/*
 * The whole index, row by row. What a gateway can only notice when it meets it (a damaged row, a
 * reference to nothing) is found here before anyone serves it.
 *
 * Tokens and devices are in one-to-one relation when every token row names a device whose row
 * names that key back, and there are as many token rows as devices that say they have one.
 */
#include <gw/token/catalog.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "details_internal.h"

struct check {
    const struct gw_index_view *view;
    struct gw_meta meta;
    uint64_t findings_left, faults;
    uint64_t devices_with_token;
    uint32_t product_max, org_max, device_max;
    void (*finding)(void *context, const char *sentence);
    void *context;
};

static void GW_PRINTF(2, 3) fault(struct check *check, const char *format, ...)
{
    char sentence[256];
    va_list arguments;

    check->faults++;
    if (check->findings_left == 0)
        return;
    check->findings_left--;
    va_start(arguments, format);
    /* clang-tidy 14 does not see that va_start initializes. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    check->finding(check->context, sentence);
}

/* Rows and keys of a table with integer keys of `key_bytes`. */
static int walk(struct check *check, enum gw_table table, size_t key_bytes,
                void (*row)(struct check *check, uint64_t key, struct gw_bytes value),
                uint64_t *count)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int err = mdb_cursor_open(check->view->txn, check->view->store->tables[table], &cursor);

    *count = 0;
    if (err != 0)
        return gw_store_error(err);
    while ((err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint64_t number = 0;
        uint32_t short_number;

        ++*count;
        if (key.mv_size != key_bytes) {
            fault(check, "table %d holds a key of %zu bytes", (int)table, key.mv_size);
            continue;
        }
        if (key_bytes == sizeof short_number) {
            memcpy(&short_number, key.mv_data, sizeof short_number);
            number = short_number;
        } else {
            memcpy(&number, key.mv_data, sizeof number);
        }
        row(check, number, gw_bytes_of_val(value));
    }
    mdb_cursor_close(cursor);
    return err == MDB_NOTFOUND ? 0 : gw_store_error(err);
}

static void check_org(struct check *check, uint64_t number, struct gw_bytes value)
{
    struct gw_org_row row;
    uint32_t back = 0;

    check->org_max = (uint32_t)number;
    if (!gw_org_row_unpack((uint32_t)number, value, &row))
        fault(check, "organisation %" PRIu64 ": its row is damaged", number);
    else if (gw_view_number(check->view, GW_TABLE_ORG_NAMES, gw_bytes_of(row.name, row.name_bytes),
                            &back) != 0 ||
             back != number)
        fault(check, "organisation %" PRIu64 ": its name does not lead back to it", number);
}

static void check_product(struct check *check, uint64_t number, struct gw_bytes value)
{
    struct gw_product_row row;
    struct gw_org_row org;
    uint32_t back = 0;

    check->product_max = (uint32_t)number;
    if (!gw_product_row_unpack((uint32_t)number, value, &row)) {
        fault(check, "product %" PRIu64 ": its row is damaged", number);
        return;
    }
    if (gw_view_number(check->view, GW_TABLE_PRODUCT_IDS, gw_bytes_of(row.id, row.id_bytes),
                       &back) != 0 ||
        back != number)
        fault(check, "product %" PRIu64 ": its id does not lead back to it", number);
    if (gw_view_org(check->view, row.org, &org) != 0)
        fault(check, "product %" PRIu64 ": organisation %" PRIu32 " has no good row", number,
              row.org);
}

static void check_device(struct check *check, uint64_t number, struct gw_bytes value)
{
    struct gw_device_row row;
    struct gw_product_row product;

    check->device_max = (uint32_t)number;
    if (!gw_device_row_unpack((uint32_t)number, value, &row)) {
        fault(check, "device %" PRIu64 ": its row is damaged", number);
        return;
    }
    check->devices_with_token += row.has_token;
    if (gw_view_product(check->view, row.product, &product) != 0)
        fault(check, "device %" PRIu64 ": product %" PRIu32 " has no good row", number,
              row.product);
    else if (product.org != row.org)
        fault(check, "device %" PRIu64 ": its organisation is not its product's", number);
}

static void check_token(struct check *check, uint64_t key, struct gw_bytes value)
{
    struct gw_token_row row;
    struct gw_device_row device;

    if (!gw_token_row_unpack(key, value, &row)) {
        fault(check, "tokens, key %016" PRIx64 ": a row is damaged", key);
        return;
    }
    if (row.pepper_version != check->meta.pepper_version)
        fault(check, "device %" PRIu32 ": its token is under another pepper", row.device);
    if (gw_view_device(check->view, row.device, &device) != 0)
        fault(check, "tokens, key %016" PRIx64 ": device %" PRIu32 " has no good row", key,
              row.device);
    else if (!device.has_token || device.token_key != key || device.product != row.product ||
             device.org != row.org || device.disabled != row.disabled ||
             row.generation < device.token_generation || row.generation > device.generation)
        fault(check, "device %" PRIu32 ": its row and its token's row disagree", row.device);
}

static void check_change(struct check *check, uint64_t sequence, struct gw_bytes value)
{
    struct gw_change_row row;

    if (sequence < check->meta.change_first || sequence >= check->meta.change_next)
        fault(check, "change %" PRIu64 " lies outside the kept ones", sequence);
    if (!gw_change_row_unpack(sequence, value, &row))
        fault(check, "change %" PRIu64 ": its row is damaged", sequence);
}

/* Datastreams, events, fields, zones; and the head row, which was read already. */
static int walk_details(struct check *check)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int err = mdb_cursor_open(check->view->txn, check->view->store->tables[GW_TABLE_META], &cursor);

    if (err != 0)
        return gw_store_error(err);
    while ((err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        const struct gw_bytes name = gw_bytes_of_val(key);
        const char *what = gw_bytes_are(name, GW_INDEX_META_KEY)
                               ? NULL
                               : gw_detail_fault(check->view, name, gw_bytes_of_val(value));

        if (what != NULL && name.size >= 5)
            fault(check, "details of number %" PRIu32 ": %s",
                  (uint32_t)gw_load_be16(name.data + 1) << 16 | gw_load_be16(name.data + 3), what);
        else if (what != NULL)
            fault(check, "%s", what);
    }
    mdb_cursor_close(cursor);
    return err == MDB_NOTFOUND ? 0 : gw_store_error(err);
}

static int count_of(struct check *check, enum gw_table table, uint64_t *out)
{
    MDB_stat stat;
    const int err = mdb_stat(check->view->txn, check->view->store->tables[table], &stat);

    *out = err == 0 ? stat.ms_entries : 0;
    return gw_store_error(err);
}

static void compare(struct check *check, const char *what, uint64_t rows, uint64_t said)
{
    if (rows != said)
        fault(check, "there are %" PRIu64 " %s, and %" PRIu64 " were expected", rows, what, said);
}

static int walk_all(struct check *check)
{
    uint64_t orgs, names, products, ids, devices, tokens, changes;
    int err;

    if ((err = walk(check, GW_TABLE_ORGS, 4, check_org, &orgs)) != 0 ||
        (err = walk(check, GW_TABLE_PRODUCTS, 4, check_product, &products)) != 0 ||
        (err = walk(check, GW_TABLE_DEVICES, 4, check_device, &devices)) != 0 ||
        (err = walk(check, GW_TABLE_TOKENS, 8, check_token, &tokens)) != 0 ||
        (err = walk(check, GW_TABLE_CHANGES, 8, check_change, &changes)) != 0 ||
        (err = walk_details(check)) != 0 ||
        (err = count_of(check, GW_TABLE_ORG_NAMES, &names)) != 0 ||
        (err = count_of(check, GW_TABLE_PRODUCT_IDS, &ids)) != 0)
        return err;
    compare(check, "organisations", orgs, check->meta.orgs);
    compare(check, "names of organisations", names, orgs);
    compare(check, "products", products, check->meta.products);
    compare(check, "product ids", ids, products);
    compare(check, "devices", devices, check->meta.devices);
    compare(check, "tokens", tokens, check->meta.tokens);
    compare(check, "tokens", tokens, check->devices_with_token);
    compare(check, "changes", changes, check->meta.change_next - check->meta.change_first);
    if (check->org_max >= check->meta.next_org || check->product_max >= check->meta.next_product ||
        check->device_max >= check->meta.next_device)
        fault(check, "a number is in use that the head row would give out again");
    return 0;
}

int gw_catalog_verify(const struct gw_index_view *view, uint64_t findings_max,
                      void (*finding)(void *context, const char *sentence), void *context,
                      uint64_t *faults)
{
    struct check check = {
        .view = view, .findings_left = findings_max, .finding = finding, .context = context};
    int err = gw_view_meta(view, &check.meta);

    if (err == 0)
        err = walk_all(&check);
    *faults = check.faults;
    return err;
}
