#include "wrapping.h"

#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/base/bytes.h>
#include <gw/websocket/stream.h>
#include <gw/wire/frame.h>

enum {
    HEADER_BYTES = 6, /* of what is short, with its mask */
    SHORT_BYTES_MAX = 125,
    CODE_BYTES = 2,
    FIN = 0x80,
    MASKED = 0x80,
    RESERVED = 0x40,
    BODY_BYTES_MAX = 256, /* of a frame that a device is sent */
};

/* Of RFC 6455 1.3: a key and its answer. */
static const char asks[] = "GET /websockets HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char accepts[] = "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/* ---- what is said ---- */

static uint32_t room(const struct wrapping *wrapping)
{
    uint32_t left = WRAPPED_BYTES_MAX - wrapping->out_bytes;

    return left > HEADER_BYTES ? left - HEADER_BYTES : 0;
}

/* One frame, masked with something. */
static void put(struct wrapping *wrapping, uint8_t first, const uint8_t *bytes, uint32_t count)
{
    const uint8_t mask[4] = {(uint8_t)(0x5a + count), 0, (uint8_t)wrapping->out_bytes, 0xff};
    uint8_t *to = wrapping->out + wrapping->out_bytes;

    gw_assert(count <= SHORT_BYTES_MAX && count <= room(wrapping));
    to[0] = first;
    to[1] = (uint8_t)(MASKED | count);
    memcpy(to + 2, mask, sizeof mask);
    for (uint32_t i = 0; i < count; i++)
        to[HEADER_BYTES + i] = bytes[i] ^ mask[i % sizeof mask];
    wrapping->out_bytes += HEADER_BYTES + count;
}

void wrapping_begin(struct wrapping *wrapping)
{
    *wrapping = (struct wrapping){.state = WRAPPING_ASKED, .out_bytes = sizeof asks - 1};
    memcpy(wrapping->out, asks, sizeof asks - 1);
}

static void say_control(struct wrapping *wrapping, struct chance *chance)
{
    uint8_t number[4];

    if (room(wrapping) < sizeof number)
        return;
    if (chance_one_in(chance, 4)) {
        put(wrapping, FIN | GW_WEBSOCKET_PONG, NULL, 0);
        return;
    }
    gw_store_le32(number, ++wrapping->pings);
    put(wrapping, FIN | GW_WEBSOCKET_PING, number, sizeof number);
}

uint32_t wrapping_say(struct wrapping *wrapping, const uint8_t *bytes, uint32_t count,
                      struct chance *chance)
{
    uint8_t first = wrapping->in_message ? GW_WEBSOCKET_CONTINUATION : GW_WEBSOCKET_BINARY;
    uint32_t taken = count;

    if (wrapping->state != WRAPPING_OPEN || wrapping->spoilt)
        return 0;
    if (!pretend.calm && chance_one_in(chance, 4))
        taken = chance_below(chance, count + 1); /* of no bytes, now and then */
    if (!pretend.calm && chance_one_in(chance, 10))
        say_control(wrapping, chance);
    taken = taken < SHORT_BYTES_MAX ? taken : SHORT_BYTES_MAX;
    if (room(wrapping) < taken)
        return 0;
    wrapping->in_message = !pretend.calm && chance_one_in(chance, 4);
    put(wrapping, (uint8_t)(first | (wrapping->in_message ? 0 : FIN)), bytes, taken);
    return taken;
}

void wrapping_say_close(struct wrapping *wrapping)
{
    uint8_t code[CODE_BYTES];

    if (wrapping->state != WRAPPING_OPEN || wrapping->spoilt || room(wrapping) < sizeof code)
        return;
    gw_store_be16(code, GW_WEBSOCKET_NORMAL);
    put(wrapping, FIN | GW_WEBSOCKET_CLOSE, code, sizeof code);
    wrapping->spoilt = true; /* nothing comes behind it */
}

void wrapping_spoil(struct wrapping *wrapping, struct chance *chance)
{
    static const uint8_t firsts[] = {FIN | RESERVED | GW_WEBSOCKET_BINARY, GW_WEBSOCKET_PING,
                                     FIN | 3, FIN | 11};
    uint8_t noise[8] = {0};

    if (wrapping->state != WRAPPING_OPEN || wrapping->spoilt || room(wrapping) < sizeof noise)
        return;
    wrapping->spoilt = true;
    if (chance_one_in(chance, 2)) {
        put(wrapping, firsts[chance_below(chance, GW_ARRAY_COUNT(firsts))], noise, sizeof noise);
        return;
    }
    put(wrapping, FIN | GW_WEBSOCKET_BINARY, noise, sizeof noise);
    wrapping->out[wrapping->out_bytes - HEADER_BYTES - sizeof noise + 1] &= 0x7f; /* not masked */
}

void wrapping_flush(struct wrapping *wrapping, struct wire *wire, struct chance *chance)
{
    while (wrapping->out_bytes > 0) {
        uint32_t count =
            pretend.calm ? wrapping->out_bytes : 1 + chance_below(chance, wrapping->out_bytes);

        count = count < SEAL_PAYLOAD_BYTES_MAX ? count : SEAL_PAYLOAD_BYTES_MAX;
        if (!wire_write(wire, wrapping->out, count, chance))
            return;
        wrapping->out_bytes -= count;
        memmove(wrapping->out, wrapping->out + count, wrapping->out_bytes);
        if (!pretend.calm && chance_one_in(chance, 4))
            return;
    }
}

/* ---- what is told ---- */

static void drop_in(struct wrapping *wrapping, uint32_t count)
{
    wrapping->in_bytes -= count;
    memmove(wrapping->in, wrapping->in + count, wrapping->in_bytes);
}

/* The answer to the request; false: not all of it is here. */
static bool hear_answer(struct wrapping *wrapping)
{
    char text[WRAPPED_BYTES_MAX + 1];
    const char *end;

    memcpy(text, wrapping->in, wrapping->in_bytes);
    text[wrapping->in_bytes] = '\0';
    if ((end = strstr(text, "\r\n\r\n")) == NULL)
        return false;
    if (strncmp(text, "HTTP/1.1 101 ", 13) != 0) {
        wrapping->state = WRAPPING_REFUSED;
        return false;
    }
    gw_assert(strstr(text, accepts) != NULL);
    wrapping->state = WRAPPING_OPEN;
    drop_in(wrapping, (uint32_t)(end - text) + 4);
    return true;
}

static void hear_message(const uint8_t *bytes, uint32_t count)
{
    struct gw_frame frame;
    size_t used;
    enum gw_status status =
        gw_frame_decode(gw_bytes_of(bytes, count), BODY_BYTES_MAX, &frame, &used);

    gw_assert(status == GW_OK && used == count);
}

static void hear_pong(struct wrapping *wrapping, const uint8_t *bytes, uint32_t count)
{
    uint32_t number = count == sizeof number ? gw_load_le32(bytes) : 0;

    gw_assert(number > wrapping->pongs && number <= wrapping->pings);
    wrapping->pongs = number;
}

/* One frame of the gateway's; how many bytes of `out` were filled. *used 0: it is not whole. */
static uint32_t hear_frame(struct wrapping *wrapping, uint8_t *out, uint32_t capacity,
                           uint32_t *used)
{
    const uint8_t *at = wrapping->in;
    uint32_t header = 2, count;

    *used = 0;
    if (wrapping->in_bytes < header)
        return 0;
    gw_assert((at[0] & ~0xf) == FIN && (at[1] & MASKED) == 0 && at[1] <= SHORT_BYTES_MAX + 1);
    count = at[1];
    if (count > SHORT_BYTES_MAX) {
        header = 4;
        if (wrapping->in_bytes < header)
            return 0;
        count = gw_load_be16(at + 2);
        gw_assert(count > SHORT_BYTES_MAX);
    }
    if (wrapping->in_bytes < header + count)
        return 0;
    switch (at[0] & 0xf) {
    case GW_WEBSOCKET_BINARY:
        if (count > capacity)
            return 0;
        hear_message(at + header, count);
        memcpy(out, at + header, count);
        *used = header + count;
        return count;
    case GW_WEBSOCKET_PONG:
        hear_pong(wrapping, at + header, count);
        break;
    case GW_WEBSOCKET_CLOSE:
        gw_assert(count == CODE_BYTES && wrapping->in_bytes == header + count);
        wrapping->state = WRAPPING_CLOSED;
        break;
    default:
        gw_unreachable("a frame that no server sends");
    }
    *used = header + count;
    return 0;
}

uint32_t wrapping_hear(struct wrapping *wrapping, struct wire *wire, uint8_t *out,
                       uint32_t capacity)
{
    uint32_t filled = 0, used;

    wrapping->in_bytes +=
        wire_read(wire, wrapping->in + wrapping->in_bytes, WRAPPED_BYTES_MAX - wrapping->in_bytes);
    gw_assert(wrapping->state != WRAPPING_CLOSED || wrapping->in_bytes == 0);
    if (wrapping->state == WRAPPING_ASKED && !hear_answer(wrapping))
        return 0;
    while (wrapping->state == WRAPPING_OPEN) {
        filled += hear_frame(wrapping, out + filled, capacity - filled, &used);
        if (used == 0)
            break;
        drop_in(wrapping, used);
    }
    return filled;
}
