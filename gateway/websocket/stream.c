/*
 * WebSocket messages as bytes.
 *
 *   I1  Data is written before the place that is read: a frame is longer than what it holds.
 *   I2  A frame is taken when its header is whole, a control frame when all of it is; what was
 *       taken is never looked at again.
 */
#include <gw/websocket/stream.h>

#include <string.h>

#include <gw/base/assert.h>
#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum {
    SHORT_HEADER_BYTES = 2,
    MASK_BYTES = 4,
    LENGTH_OF_2 = 126, /* in place of a length: it follows, in so many bytes */
    LENGTH_OF_8 = 127,
};

struct header {
    bool fin;
    uint8_t opcode;
    uint64_t payload_bytes;
    const uint8_t *mask;
    size_t bytes;
};

static bool is_control(uint8_t opcode)
{
    return (opcode & 8) != 0;
}

/* RFC 6455 5.2. GW_BAD_FRAME: what no client may send (1002). */
static enum gw_status read_header(const uint8_t *at, size_t size, struct header *out)
{
    uint8_t length;
    size_t length_bytes;

    if (size < SHORT_HEADER_BYTES)
        return GW_MORE;
    length = at[1] & 0x7f;
    length_bytes = length == LENGTH_OF_2 ? 2 : length == LENGTH_OF_8 ? 8 : 0;
    *out = (struct header){.fin = (at[0] & 0x80) != 0,
                           .opcode = at[0] & 0x0f,
                           .payload_bytes = length,
                           .bytes = SHORT_HEADER_BYTES + length_bytes + MASK_BYTES};
    if ((at[0] & 0x70) != 0) /* no extension was agreed upon that gives these bits a meaning */
        return GW_BAD_FRAME;
    if ((at[1] & 0x80) == 0) /* 5.1: a client masks all it sends */
        return GW_BAD_FRAME;
    if (is_control(out->opcode) && (!out->fin || length_bytes > 0)) /* 5.5 */
        return GW_BAD_FRAME;
    if (size < out->bytes)
        return GW_MORE;
    if (length_bytes > 0) {
        out->payload_bytes = 0;
        for (size_t i = 0; i < length_bytes; i++)
            out->payload_bytes = out->payload_bytes << 8 | at[SHORT_HEADER_BYTES + i];
        /* The shortest form alone is valid, and 8 bytes hold 63 bits. */
        if (out->payload_bytes < (length_bytes == 2 ? LENGTH_OF_2 : 1u << 16) ||
            out->payload_bytes >> 63 != 0)
            return GW_BAD_FRAME;
    }
    out->mask = at + out->bytes - MASK_BYTES;
    return GW_OK;
}

/* `to` may lie before `from` in the same memory. Turns the mask by as many bytes. */
static void unmask(uint8_t *to, const uint8_t *from, size_t count, uint8_t mask[MASK_BYTES])
{
    uint8_t turned[MASK_BYTES];

    for (size_t i = 0; i < count; i++)
        to[i] = from[i] ^ mask[i % MASK_BYTES];
    for (size_t i = 0; i < MASK_BYTES; i++)
        turned[i] = mask[(count + i) % MASK_BYTES];
    memcpy(mask, turned, MASK_BYTES);
}

static void end(struct gw_websocket *stream, uint16_t code, bool refused)
{
    stream->close_code = code;
    stream->refused = refused;
}

/* RFC 6455 7.4: which codes may stand in a Close; those that only describe its absence may not. */
static bool is_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* 7.1.5: one without a body says nothing, and is answered as if it said 1000. */
static void on_close(struct gw_websocket *stream, const uint8_t *payload, size_t size)
{
    uint16_t code = size < 2 ? GW_WEBSOCKET_NORMAL : gw_load_be16(payload);

    if (size == 1 || !is_close_code(code))
        end(stream, GW_WEBSOCKET_PROTOCOL_ERROR, true);
    else
        end(stream, code, false);
}

static void on_control(struct gw_websocket *stream, const struct header *header,
                       const uint8_t *payload, struct gw_websocket_input *out)
{
    uint8_t mask[MASK_BYTES], plain[GW_WEBSOCKET_CONTROL_BYTES_MAX];
    size_t size = (size_t)header->payload_bytes;

    memcpy(mask, header->mask, sizeof mask);
    unmask(plain, payload, size, mask);
    out->control_count++;
    switch (header->opcode) {
    case GW_WEBSOCKET_CLOSE:
        on_close(stream, plain, size);
        break;
    case GW_WEBSOCKET_PING:
        out->pinged = true;
        out->ping_bytes = (uint8_t)size;
        memcpy(out->ping, plain, size);
        break;
    case GW_WEBSOCKET_PONG: /* nobody asked for it, which is allowed (5.5.3) */
        break;
    default:
        end(stream, GW_WEBSOCKET_PROTOCOL_ERROR, true);
        break;
    }
}

static void begin_data(struct gw_websocket *stream, const struct header *header,
                       uint32_t message_bytes_max)
{
    bool begins = header->opcode == GW_WEBSOCKET_BINARY || header->opcode == GW_WEBSOCKET_TEXT;

    if (begins == stream->in_message || (!begins && header->opcode != GW_WEBSOCKET_CONTINUATION)) {
        end(stream, GW_WEBSOCKET_PROTOCOL_ERROR, true);
        return;
    }
    if (begins) {
        stream->message_bytes = 0;
        stream->is_text = header->opcode == GW_WEBSOCKET_TEXT;
    }
    if (header->payload_bytes > message_bytes_max - stream->message_bytes) {
        end(stream, GW_WEBSOCKET_TOO_BIG, true);
        return;
    }
    stream->message_bytes += (uint32_t)header->payload_bytes;
    stream->frame_left = (uint32_t)header->payload_bytes;
    stream->in_message = !header->fin;
    memcpy(stream->mask, header->mask, sizeof stream->mask);
}

/* One header, with all of it if it is a control frame; how many bytes it was, 0: not whole yet. */
static size_t take_frame(struct gw_websocket *stream, uint32_t message_bytes_max, const uint8_t *at,
                         size_t size, struct gw_websocket_input *out)
{
    struct header header;
    enum gw_status status = read_header(at, size, &header);

    if (status == GW_MORE)
        return 0;
    if (status == GW_BAD_FRAME) {
        end(stream, GW_WEBSOCKET_PROTOCOL_ERROR, true);
        return size;
    }
    if (!is_control(header.opcode)) {
        begin_data(stream, &header, message_bytes_max);
        return header.bytes;
    }
    if (size - header.bytes < header.payload_bytes)
        return 0;
    on_control(stream, &header, at + header.bytes, out);
    return header.bytes + (size_t)header.payload_bytes;
}

void gw_websocket_read(struct gw_websocket *stream, uint32_t message_bytes_max, uint8_t *bytes,
                       size_t size, struct gw_websocket_input *out)
{
    size_t at = 0, used;

    *out = (struct gw_websocket_input){.data_bytes = 0};
    while (at < size && stream->close_code == 0) {
        if (stream->frame_left > 0) {
            size_t count = (size_t)gw_min_u64(stream->frame_left, size - at);

            gw_assert(out->data_bytes <= at); /* I1 */
            if (!stream->is_text) {
                unmask(bytes + out->data_bytes, bytes + at, count, stream->mask);
                out->data_bytes += count;
            }
            stream->frame_left -= (uint32_t)count;
            at += count;
            continue;
        }
        used = take_frame(stream, message_bytes_max, bytes + at, size - at, out);
        if (used == 0)
            break;
        at += used;
    }
    out->used = stream->close_code != 0 ? size : at;
    gw_assert(size - out->used < GW_WEBSOCKET_UNREAD_BYTES_MAX);
}

size_t gw_websocket_header(enum gw_websocket_opcode opcode, size_t payload_bytes,
                           uint8_t out[GW_WEBSOCKET_HEADER_BYTES_MAX])
{
    gw_assert(payload_bytes <= UINT16_MAX);
    out[0] = (uint8_t)(0x80 | opcode);
    if (payload_bytes < LENGTH_OF_2) {
        out[1] = (uint8_t)payload_bytes;
        return SHORT_HEADER_BYTES;
    }
    out[1] = LENGTH_OF_2;
    gw_store_be16(out + SHORT_HEADER_BYTES, (uint16_t)payload_bytes);
    return SHORT_HEADER_BYTES + 2;
}
