/*
 * Details written, in the writer's transaction. Whatever is refused leaves it as it was. The feed
 * of changes does not tell of them: nothing that a session was granted depends on a detail, and
 * readers look a detail up when they need it.
 */
#include "details_internal.h"
#include "writer_internal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static int put(struct gw_index_writer *writer, const struct gw_detail_key *key, uint8_t *row,
               size_t row_bytes, unsigned int flags)
{
    MDB_val k = gw_val_of(key->bytes, key->size), v;

    /* Refused before anything is put, so that the transaction is not spoiled. */
    if ((flags & MDB_NOOVERWRITE) != 0) {
        const int err =
            gw_store_error(mdb_get(writer->view.txn, writer->store.tables[GW_TABLE_META], &k, &v));

        if (err != -ENOENT)
            return err == 0 ? -EEXIST : gw_writer_fail(writer, err);
    }
    gw_detail_seal(gw_bytes_of(key->bytes, key->size), row, row_bytes);
    return gw_writer_put(writer, GW_TABLE_META, key->bytes, key->size, row, row_bytes, 0);
}

static int put_text(struct gw_index_writer *writer, const struct gw_detail_key *key,
                    struct gw_bytes text, unsigned int flags)
{
    uint8_t row[GW_DETAIL_ROW_BYTES_MAX];

    if (text.size != 0)
        memcpy(row + GW_DETAIL_HEAD_BYTES, text.data, text.size);
    return put(writer, key, row, GW_DETAIL_HEAD_BYTES + text.size, flags);
}

static int drop(struct gw_index_writer *writer, const struct gw_detail_key *key)
{
    MDB_val k = gw_val_of(key->bytes, key->size);
    const int err =
        gw_store_error(mdb_del(writer->view.txn, writer->store.tables[GW_TABLE_META], &k, NULL));

    if (err == -ENOENT)
        return err;
    writer->changed = true;
    return gw_writer_fail(writer, err);
}

static int find_product(struct gw_index_writer *writer, uint32_t number)
{
    struct gw_product_row row;
    const int err = gw_view_product(&writer->view, number, &row);

    return err == -ENOENT ? err : gw_writer_fail(writer, err);
}

static int find_device(struct gw_index_writer *writer, uint32_t number)
{
    struct gw_device_row row;
    const int err = gw_view_device(&writer->view, number, &row);

    return err == -ENOENT ? err : gw_writer_fail(writer, err);
}

static bool is_sound(const struct gw_stream *stream)
{
    const bool number = stream->type == GW_STREAM_INT || stream->type == GW_STREAM_DOUBLE ||
                        stream->type == GW_STREAM_ENUM;

    if (!gw_writer_is_text(stream->name, GW_STREAM_NAME_BYTES_MAX) ||
        stream->initial.size > GW_STREAM_INITIAL_BYTES_MAX ||
        stream->decimals > GW_STREAM_DECIMALS_MAX)
        return false;
    if (((stream->has_min || stream->has_max) && !number) ||
        (stream->has_decimals && stream->type != GW_STREAM_DOUBLE))
        return false;
    if ((stream->has_min && !isfinite(stream->min)) ||
        (stream->has_max && !isfinite(stream->max)) ||
        (stream->has_min && stream->has_max && stream->min > stream->max))
        return false;
    return stream->initial.size == 0 || gw_stream_check(stream, stream->initial) == GW_STREAM_FITS;
}

int gw_index_stream_add(struct gw_index_writer *writer, uint32_t product,
                        const struct gw_stream *stream)
{
    uint8_t row[GW_DETAIL_ROW_BYTES_MAX];
    const struct gw_detail_key key = gw_detail_stream_key(product, stream->pin);
    const int err = find_product(writer, product);

    if (err != 0)
        return err;
    if (!is_sound(stream))
        return -EINVAL;
    if (stream->number != 0) {
        struct gw_stream other;
        const int found =
            gw_catalog_stream_numbered(&writer->view, product, stream->number, &other);

        if (found != -ENOENT && found != -ENODATA)
            return found == 0 ? -EEXIST : gw_writer_fail(writer, found);
    }
    return put(writer, &key, row, gw_stream_pack(stream, row), MDB_NOOVERWRITE);
}

int gw_index_stream_remove(struct gw_index_writer *writer, uint32_t product, uint8_t pin)
{
    const struct gw_detail_key key = gw_detail_stream_key(product, pin);

    return drop(writer, &key);
}

int gw_index_event_add(struct gw_index_writer *writer, uint32_t product, struct gw_bytes code,
                       struct gw_bytes name)
{
    struct gw_detail_key key;
    const int err = find_product(writer, product);

    if (err != 0)
        return err;
    if (code.size == 0 || !gw_writer_is_text(code, GW_EVENT_CODE_BYTES_MAX) ||
        !gw_writer_is_text(name, GW_EVENT_NAME_BYTES_MAX) ||
        !gw_detail_key(GW_DETAIL_EVENT, product, code, &key))
        return -EINVAL;
    return put_text(writer, &key, name, MDB_NOOVERWRITE);
}

int gw_index_event_remove(struct gw_index_writer *writer, uint32_t product, struct gw_bytes code)
{
    struct gw_detail_key key;

    return code.size != 0 && gw_detail_key(GW_DETAIL_EVENT, product, code, &key)
               ? drop(writer, &key)
               : -ENOENT;
}

int gw_index_field_name_add(struct gw_index_writer *writer, uint32_t product, uint16_t number,
                            struct gw_bytes name)
{
    const struct gw_detail_key key = gw_detail_field_name_key(product, number);
    const int err = find_product(writer, product);

    if (err != 0)
        return err;
    if (number == 0 || name.size == 0 || !gw_writer_is_text(name, GW_FIELD_NAME_BYTES_MAX))
        return -EINVAL;
    return put_text(writer, &key, name, MDB_NOOVERWRITE);
}

int gw_index_field_name_remove(struct gw_index_writer *writer, uint32_t product, uint16_t number)
{
    const struct gw_detail_key key = gw_detail_field_name_key(product, number);

    return drop(writer, &key);
}

int gw_index_field_set(struct gw_index_writer *writer, uint32_t device, struct gw_bytes name,
                       struct gw_bytes value)
{
    struct gw_detail_key key;
    const int err = find_device(writer, device);

    if (err != 0)
        return err;
    if (name.size == 0 || !gw_writer_is_text(name, GW_FIELD_NAME_BYTES_MAX) ||
        !gw_writer_is_text(value, GW_FIELD_VALUE_BYTES_MAX) ||
        !gw_detail_key(GW_DETAIL_FIELD, device, name, &key))
        return -EINVAL;
    return put_text(writer, &key, value, 0);
}

int gw_index_field_remove(struct gw_index_writer *writer, uint32_t device, struct gw_bytes name)
{
    struct gw_detail_key key;

    return name.size != 0 && gw_detail_key(GW_DETAIL_FIELD, device, name, &key) ? drop(writer, &key)
                                                                                : -ENOENT;
}

int gw_index_zone_set(struct gw_index_writer *writer, uint32_t device, struct gw_bytes name)
{
    const struct gw_detail_key key = gw_detail_zone_key(device);
    int err = find_device(writer, device);

    if (err != 0)
        return err;
    if (!gw_writer_is_text(name, GW_DETAIL_TEXT_BYTES_MAX))
        return -EINVAL;
    if (name.size != 0)
        return put_text(writer, &key, name, 0);
    err = drop(writer, &key);
    return err == -ENOENT ? 0 : err;
}
