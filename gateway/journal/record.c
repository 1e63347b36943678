/*
 * Records as bytes. A shard encodes straight into its open batch; nothing here allocates.
 */
#include <gw/journal/record.h>

#include <assert.h>
#include <string.h>

#include <gw/base/assert.h>

enum {
    AT_BYTES = 0,
    AT_DEVICE = 4,
    AT_SESSION = 8,
    AT_TIME = 16,
    AT_SEQUENCE = 24,
    AT_MSG_ID = 28,
    AT_KIND = 30,
    AT_BANK = 31,
    AT_PIN = 32,
    AT_FLAGS = 33,
    AT_PIN_COUNT = 34,
    AT_NAME_BYTES = 36,
};

static_assert(AT_NAME_BYTES + 2 == GW_RECORD_HEADER_BYTES, "the name follows the header");

size_t gw_record_bytes(const struct gw_record *record)
{
    return GW_RECORD_HEADER_BYTES + record->name.size + record->value.size;
}

static void put_bytes(uint8_t *out, struct gw_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(out, bytes.data, bytes.size);
}

void gw_record_encode(uint8_t *out, const struct gw_record *record)
{
    gw_assert(record->name.size <= UINT16_MAX);
    gw_assert(record->value.size <= UINT32_MAX - GW_RECORD_HEADER_BYTES - UINT16_MAX);
    gw_store_le32(out + AT_BYTES, (uint32_t)gw_record_bytes(record));
    gw_store_le32(out + AT_DEVICE, record->device);
    gw_store_le64(out + AT_SESSION, record->session);
    gw_store_le64(out + AT_TIME, record->time_us);
    gw_store_le32(out + AT_SEQUENCE, record->sequence);
    gw_store_le16(out + AT_MSG_ID, record->msg_id);
    out[AT_KIND] = record->kind;
    out[AT_BANK] = (uint8_t)record->bank;
    out[AT_PIN] = record->pin;
    out[AT_FLAGS] = record->flags;
    gw_store_le16(out + AT_PIN_COUNT, record->pin_count);
    gw_store_le16(out + AT_NAME_BYTES, (uint16_t)record->name.size);
    put_bytes(out + GW_RECORD_HEADER_BYTES, record->name);
    put_bytes(out + GW_RECORD_HEADER_BYTES + record->name.size, record->value);
}

enum gw_status gw_record_decode(struct gw_bytes in, struct gw_record *out, size_t *used)
{
    size_t size, name_bytes;

    *used = 0;
    if (in.size < GW_RECORD_HEADER_BYTES)
        return GW_BAD_FRAME;
    size = gw_load_le32(in.data + AT_BYTES);
    name_bytes = gw_load_le16(in.data + AT_NAME_BYTES);
    if (size > in.size || size < GW_RECORD_HEADER_BYTES + name_bytes)
        return GW_BAD_FRAME;
    *out = (struct gw_record){
        .device = gw_load_le32(in.data + AT_DEVICE),
        .session = gw_load_le64(in.data + AT_SESSION),
        .time_us = gw_load_le64(in.data + AT_TIME),
        .sequence = gw_load_le32(in.data + AT_SEQUENCE),
        .msg_id = gw_load_le16(in.data + AT_MSG_ID),
        .kind = in.data[AT_KIND],
        .bank = (char)in.data[AT_BANK],
        .pin = in.data[AT_PIN],
        .flags = in.data[AT_FLAGS],
        .pin_count = gw_load_le16(in.data + AT_PIN_COUNT),
        .name = gw_bytes_of(in.data + GW_RECORD_HEADER_BYTES, name_bytes),
        .value = gw_bytes_of(in.data + GW_RECORD_HEADER_BYTES + name_bytes,
                             size - GW_RECORD_HEADER_BYTES - name_bytes),
    };
    *used = size;
    return GW_OK;
}

const char *gw_record_origin_text(uint8_t flags)
{
    if ((flags & GW_RECORD_FROM_HTTP) != 0)
        return "http";
    if ((flags & GW_RECORD_FROM_CONTROL) != 0)
        return "control";
    return (flags & GW_RECORD_FROM_BRIDGE) != 0 ? "bridge" : NULL;
}

const char *gw_record_kind_text(uint8_t kind)
{
    static const char *const texts[] = {
        [GW_RECORD_PIN_WRITE] = "pin_write", [GW_RECORD_PROPERTY] = "property",
        [GW_RECORD_EVENT] = "event",         [GW_RECORD_EVENT_CLEAR] = "event_clear",
        [GW_RECORD_META_SET] = "meta_set",   [GW_RECORD_GROUP_BEGIN] = "group_begin",
        [GW_RECORD_GROUP_END] = "group_end", [GW_RECORD_INFO] = "info",
        [GW_RECORD_ONLINE] = "online",       [GW_RECORD_OFFLINE] = "offline",
    };

    return kind < GW_ARRAY_COUNT(texts) ? texts[kind] : NULL;
}
