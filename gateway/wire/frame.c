/*
 * Device frames: bytes to values and back. On the path of every update.
 */
#include <gw/wire/frame.h>

#include <gw/base/assert.h>

enum gw_status gw_frame_decode(struct gw_bytes in, size_t body_bytes_max, struct gw_frame *out,
                               size_t *used)
{
    *used = 0;
    if (in.size < GW_FRAME_HEADER_BYTES)
        return GW_MORE;
    uint8_t type = in.data[0];
    uint16_t field = gw_load_be16(in.data + 3);
    size_t body = type == GW_FRAME_RESPONSE ? 0 : field;

    if (body > body_bytes_max)
        return GW_BAD_FRAME;
    if (in.size - GW_FRAME_HEADER_BYTES < body)
        return GW_MORE;
    out->type = type;
    out->msg_id = gw_load_be16(in.data + 1);
    out->status = type == GW_FRAME_RESPONSE ? field : 0;
    out->body = gw_bytes_of(in.data + GW_FRAME_HEADER_BYTES, body);
    *used = GW_FRAME_HEADER_BYTES + body;
    return GW_OK;
}

size_t gw_frame_bytes(const struct gw_frame *frame)
{
    return GW_FRAME_HEADER_BYTES + (frame->type == GW_FRAME_RESPONSE ? 0 : frame->body.size);
}

size_t gw_frame_encode(uint8_t *out, size_t capacity, const struct gw_frame *frame)
{
    size_t bytes = gw_frame_bytes(frame);
    bool response = frame->type == GW_FRAME_RESPONSE;

    gw_assert(frame->body.size <= GW_FRAME_FIELD_BYTES_MAX);
    if (bytes > capacity)
        return 0;
    out[0] = frame->type;
    gw_store_be16(out + 1, frame->msg_id);
    gw_store_be16(out + 3, response ? frame->status : (uint16_t)frame->body.size);
    if (!response && frame->body.size > 0)
        memcpy(out + GW_FRAME_HEADER_BYTES, frame->body.data, frame->body.size);
    return bytes;
}
