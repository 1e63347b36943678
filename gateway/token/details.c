/*
 * Details read: rows found by their key, and walks over one product's or device's rows.
 */
#include "details_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include <gw/base/assert.h>

enum { VERSION = 1 };
enum { HAS_SYNC = 1, HAS_MIN = 2, HAS_MAX = 4, HAS_DECIMALS = 8, FLAGS = 15 };

static_assert((int)GW_EVENT_CODE_BYTES_MAX <= GW_DETAIL_TEXT_BYTES_MAX &&
                  (int)GW_FIELD_NAME_BYTES_MAX <= GW_DETAIL_TEXT_BYTES_MAX &&
                  (int)GW_FIELD_VALUE_BYTES_MAX <= GW_DETAIL_ROW_BYTES_MAX - GW_DETAIL_HEAD_BYTES,
              "every row has room");

/* ---- bytes ---- */

bool gw_detail_key(enum gw_detail_kind kind, uint32_t number, struct gw_bytes text,
                   struct gw_detail_key *out)
{
    if (text.size > GW_DETAIL_TEXT_BYTES_MAX)
        return false;
    out->bytes[0] = (uint8_t)kind;
    gw_store_be16(out->bytes + 1, (uint16_t)(number >> 16));
    gw_store_be16(out->bytes + 3, (uint16_t)number);
    if (text.size != 0)
        memcpy(out->bytes + 5, text.data, text.size);
    out->size = 5 + text.size;
    return true;
}

struct gw_detail_key gw_detail_stream_key(uint32_t product, uint8_t pin)
{
    struct gw_detail_key key;

    gw_assert(gw_detail_key(GW_DETAIL_STREAM, product, gw_bytes_of(&pin, 1), &key));
    return key;
}

struct gw_detail_key gw_detail_field_name_key(uint32_t product, uint16_t number)
{
    struct gw_detail_key key;
    uint8_t text[2];

    gw_store_be16(text, number);
    gw_assert(gw_detail_key(GW_DETAIL_FIELD_NAME, product, gw_bytes_of(text, sizeof text), &key));
    return key;
}

struct gw_detail_key gw_detail_zone_key(uint32_t device)
{
    struct gw_detail_key key;

    gw_assert(gw_detail_key(GW_DETAIL_ZONE, device, gw_bytes_of(NULL, 0), &key));
    return key;
}

static uint64_t checksum(struct gw_bytes key, struct gw_bytes row)
{
    return XXH3_64bits_withSeed(row.data + 8, row.size - 8, XXH3_64bits(key.data, key.size));
}

void gw_detail_seal(struct gw_bytes key, uint8_t *row, size_t size)
{
    gw_assert(size >= GW_DETAIL_HEAD_BYTES);
    row[8] = VERSION;
    gw_store_le64(row, checksum(key, gw_bytes_of(row, size)));
}

bool gw_detail_open(struct gw_bytes key, struct gw_bytes row, struct gw_bytes *rest)
{
    if (row.size < GW_DETAIL_HEAD_BYTES || row.size > GW_DETAIL_ROW_BYTES_MAX ||
        row.data[8] != VERSION || gw_load_le64(row.data) != checksum(key, row))
        return false;
    *rest = gw_bytes_after(row, GW_DETAIL_HEAD_BYTES);
    return true;
}

static void store_double(uint8_t *p, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    gw_store_le64(p, bits);
}

static double load_double(const uint8_t *p)
{
    const uint64_t bits = gw_load_le64(p);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

size_t gw_stream_pack(const struct gw_stream *stream, uint8_t out[GW_DETAIL_ROW_BYTES_MAX])
{
    uint8_t *p = out + GW_DETAIL_HEAD_BYTES;

    memset(p, 0, GW_DETAIL_STREAM_BYTES);
    p[0] = (uint8_t)stream->type;
    p[1] = (uint8_t)((stream->sync ? HAS_SYNC : 0) | (stream->has_min ? HAS_MIN : 0) |
                     (stream->has_max ? HAS_MAX : 0) | (stream->has_decimals ? HAS_DECIMALS : 0));
    p[2] = stream->decimals;
    p[3] = (uint8_t)stream->name.size;
    gw_store_be16(p + 4, stream->number);
    store_double(p + 7, stream->min);
    store_double(p + 15, stream->max);
    p += GW_DETAIL_STREAM_BYTES;
    if (stream->name.size != 0)
        memcpy(p, stream->name.data, stream->name.size);
    p += stream->name.size;
    if (stream->initial.size != 0)
        memcpy(p, stream->initial.data, stream->initial.size);
    return (size_t)(p - out) + stream->initial.size;
}

bool gw_stream_unpack(uint8_t pin, struct gw_bytes rest, struct gw_stream *out)
{
    const uint8_t *p = rest.data;

    if (rest.size < GW_DETAIL_STREAM_BYTES || p[0] < GW_STREAM_INT || p[0] > GW_STREAM_LOCATION ||
        (p[1] & ~FLAGS) != 0 || p[6] != 0 || rest.size < (size_t)GW_DETAIL_STREAM_BYTES + p[3])
        return false;
    *out = (struct gw_stream){
        .pin = pin,
        .number = gw_load_be16(p + 4),
        .type = (enum gw_stream_type)p[0],
        .sync = (p[1] & HAS_SYNC) != 0,
        .has_min = (p[1] & HAS_MIN) != 0,
        .has_max = (p[1] & HAS_MAX) != 0,
        .has_decimals = (p[1] & HAS_DECIMALS) != 0,
        .min = load_double(p + 7),
        .max = load_double(p + 15),
        .decimals = p[2],
        .name = gw_bytes_of(p + GW_DETAIL_STREAM_BYTES, p[3]),
        .initial = gw_bytes_after(rest, (size_t)GW_DETAIL_STREAM_BYTES + p[3]),
    };
    return !isnan(out->min) && !isnan(out->max);
}

/* ---- one row ---- */

static int get(const struct gw_index_view *view, const struct gw_detail_key *key,
               struct gw_bytes *rest)
{
    MDB_val k = gw_val_of(key->bytes, key->size), v;
    const int err = gw_store_error(mdb_get(view->txn, view->store->tables[GW_TABLE_META], &k, &v));

    if (err != 0)
        return err;
    return gw_detail_open(gw_bytes_of(key->bytes, key->size), gw_bytes_of_val(v), rest) ? 0
                                                                                        : -EBADMSG;
}

/*
 * The first row of a kind and number whose text comes after `after`, or at it. `text` is on loan
 * from the transaction.
 */
static int next(const struct gw_index_view *view, enum gw_detail_kind kind, uint32_t number,
                struct gw_bytes after, bool at_it, struct gw_bytes *text, struct gw_bytes *rest)
{
    struct gw_detail_key from;
    MDB_cursor *cursor;
    MDB_val key, value;
    int err;

    *text = *rest = gw_bytes_of(NULL, 0);
    if (!gw_detail_key(kind, number, after, &from))
        return -ENOENT;
    err = mdb_cursor_open(view->txn, view->store->tables[GW_TABLE_META], &cursor);
    if (err != 0)
        return gw_store_error(err);
    key = gw_val_of(from.bytes, from.size);
    err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (err == 0 && !at_it &&
        gw_bytes_equal(gw_bytes_of_val(key), gw_bytes_of(from.bytes, from.size)))
        err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    mdb_cursor_close(cursor);
    if (err != 0)
        return gw_store_error(err);
    if (key.mv_size < 5 || memcmp(key.mv_data, from.bytes, 5) != 0)
        return -ENOENT;
    *text = gw_bytes_after(gw_bytes_of_val(key), 5);
    return gw_detail_open(gw_bytes_of_val(key), gw_bytes_of_val(value), rest) ? 0 : -EBADMSG;
}

/* Of a product that has no row of this kind nothing is known. */
static int or_nothing_known(const struct gw_index_view *view, enum gw_detail_kind kind,
                            uint32_t product, int err)
{
    struct gw_bytes text, rest;

    if (err != -ENOENT)
        return err;
    err = next(view, kind, product, gw_bytes_of(NULL, 0), true, &text, &rest);
    if (err == -ENOENT)
        return -ENODATA;
    return err == 0 ? -ENOENT : err;
}

int gw_catalog_stream(const struct gw_index_view *view, uint32_t product, uint8_t pin,
                      struct gw_stream *out)
{
    const struct gw_detail_key key = gw_detail_stream_key(product, pin);
    struct gw_bytes rest;
    int err = get(view, &key, &rest);

    if (err == 0 && !gw_stream_unpack(pin, rest, out))
        err = -EBADMSG;
    return or_nothing_known(view, GW_DETAIL_STREAM, product, err);
}

int gw_catalog_stream_next(const struct gw_index_view *view, uint32_t product, int after,
                           struct gw_stream *out)
{
    const uint8_t pin = (uint8_t)(after + 1);
    struct gw_bytes text, rest;
    int err;

    if (after >= UINT8_MAX)
        return -ENOENT;
    err = next(view, GW_DETAIL_STREAM, product, gw_bytes_of(&pin, 1), true, &text, &rest);
    if (err != 0)
        return err;
    return text.size == 1 && gw_stream_unpack(text.data[0], rest, out) ? 0 : -EBADMSG;
}

int gw_catalog_stream_numbered(const struct gw_index_view *view, uint32_t product, uint16_t number,
                               struct gw_stream *out)
{
    int pin = -1, err;

    while ((err = gw_catalog_stream_next(view, product, pin, out)) == 0) {
        if (out->number == number)
            return 0;
        pin = out->pin;
    }
    return err == -ENOENT && pin == -1 ? -ENODATA : err;
}

int gw_catalog_field_name(const struct gw_index_view *view, uint32_t product, uint16_t number,
                          struct gw_bytes *name)
{
    const struct gw_detail_key key = gw_detail_field_name_key(product, number);

    return get(view, &key, name);
}

int gw_catalog_field_name_next(const struct gw_index_view *view, uint32_t product, uint16_t after,
                               uint16_t *number, struct gw_bytes *name)
{
    struct gw_bytes text;
    uint8_t from[2];
    int err;

    gw_store_be16(from, after);
    err = next(view, GW_DETAIL_FIELD_NAME, product, gw_bytes_of(from, sizeof from), false, &text,
               name);
    if (err != 0)
        return err;
    if (text.size != sizeof from)
        return -EBADMSG;
    *number = gw_load_be16(text.data);
    return 0;
}

int gw_catalog_event(const struct gw_index_view *view, uint32_t product, struct gw_bytes code,
                     struct gw_bytes *name)
{
    struct gw_detail_key key;
    const int err =
        gw_detail_key(GW_DETAIL_EVENT, product, code, &key) ? get(view, &key, name) : -ENOENT;

    return or_nothing_known(view, GW_DETAIL_EVENT, product, err);
}

int gw_catalog_event_next(const struct gw_index_view *view, uint32_t product, struct gw_bytes after,
                          struct gw_bytes *code, struct gw_bytes *name)
{
    return next(view, GW_DETAIL_EVENT, product, after, false, code, name);
}

int gw_catalog_field(const struct gw_index_view *view, uint32_t device, struct gw_bytes name,
                     struct gw_bytes *value)
{
    struct gw_detail_key key;

    return gw_detail_key(GW_DETAIL_FIELD, device, name, &key) ? get(view, &key, value) : -ENOENT;
}

int gw_catalog_field_next(const struct gw_index_view *view, uint32_t device, struct gw_bytes after,
                          struct gw_bytes *name, struct gw_bytes *value)
{
    return next(view, GW_DETAIL_FIELD, device, after, false, name, value);
}

int gw_catalog_zone(const struct gw_index_view *view, uint32_t device, struct gw_bytes *name)
{
    const struct gw_detail_key key = gw_detail_zone_key(device);

    return get(view, &key, name);
}

/* ---- through a reader ---- */

int gw_index_stream(struct gw_index_reader *reader, uint32_t product, uint8_t pin,
                    struct gw_stream *out)
{
    const struct gw_index_view *view = gw_index_reader_view(reader);

    return view == NULL ? -EIO : gw_catalog_stream(view, product, pin, out);
}

int gw_index_stream_numbered(struct gw_index_reader *reader, uint32_t product, uint16_t number,
                             struct gw_stream *out)
{
    const struct gw_index_view *view = gw_index_reader_view(reader);

    return view == NULL ? -EIO : gw_catalog_stream_numbered(view, product, number, out);
}

int gw_index_field_name(struct gw_index_reader *reader, uint32_t product, uint16_t number,
                        struct gw_bytes *name)
{
    const struct gw_index_view *view = gw_index_reader_view(reader);

    return view == NULL ? -EIO : gw_catalog_field_name(view, product, number, name);
}

int gw_index_event(struct gw_index_reader *reader, uint32_t product, struct gw_bytes code,
                   struct gw_bytes *name)
{
    const struct gw_index_view *view = gw_index_reader_view(reader);

    return view == NULL ? -EIO : gw_catalog_event(view, product, code, name);
}

int gw_index_field(struct gw_index_reader *reader, uint32_t device, struct gw_bytes name,
                   struct gw_bytes *value)
{
    const struct gw_index_view *view = gw_index_reader_view(reader);

    return view == NULL ? -EIO : gw_catalog_field(view, device, name, value);
}

int gw_index_zone(struct gw_index_reader *reader, uint32_t device, struct gw_bytes *name)
{
    const struct gw_index_view *view = gw_index_reader_view(reader);

    return view == NULL ? -EIO : gw_catalog_zone(view, device, name);
}

/* ---- the check of the whole index ---- */

const char *gw_detail_fault(const struct gw_index_view *view, struct gw_bytes key,
                            struct gw_bytes row)
{
    struct gw_product_row product;
    struct gw_device_row device;
    struct gw_stream stream;
    struct gw_bytes rest;
    uint32_t number;

    if (key.size < 5)
        return "a row of the table meta has a key that nobody makes";
    if (!gw_detail_open(key, row, &rest))
        return "a row is damaged";
    number = (uint32_t)gw_load_be16(key.data + 1) << 16 | gw_load_be16(key.data + 3);
    switch (key.data[0]) {
    case GW_DETAIL_STREAM:
        if (key.size != 6 || !gw_stream_unpack(key.data[5], rest, &stream))
            return "a datastream's row is damaged";
        return gw_view_product(view, number, &product) == 0
                   ? NULL
                   : "a datastream belongs to a product that has no good row";
    case GW_DETAIL_EVENT:
        return gw_view_product(view, number, &product) == 0
                   ? NULL
                   : "an event belongs to a product that has no good row";
    case GW_DETAIL_FIELD_NAME:
        if (key.size != 7)
            return "the row of a field's number is damaged";
        return gw_view_product(view, number, &product) == 0
                   ? NULL
                   : "a field's number belongs to a product that has no good row";
    case GW_DETAIL_FIELD:
    case GW_DETAIL_ZONE:
        return gw_view_device(view, number, &device) == 0
                   ? NULL
                   : "a field or a time zone belongs to a device that has no good row";
    default:
        return "a row of the table meta is of no kind that is known";
    }
}
