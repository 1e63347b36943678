/*
 * The devices of the simulation: what stock firmware does, sped up, and worse.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/websocket/stream.h>
#include <gw/wire/frame.h>

#include "world.h"

static uint16_t take_id(struct device *device)
{
    device->next_id = device->next_id == UINT16_MAX ? 1 : (uint16_t)(device->next_id + 1);
    return device->next_id;
}

/* One WebSocket frame as clients send it; false when it does not fit. */
static bool wrap(struct device *device, unsigned first, const uint8_t *payload, size_t bytes)
{
    static const uint8_t mask[4] = {0x17, 0xa5, 0x00, 0xff};
    uint8_t *at = device->out + device->out_bytes;

    gw_assert(bytes < 126);
    if (sizeof device->out - device->out_bytes < 2 + sizeof mask + bytes)
        return false;
    *at++ = (uint8_t)first;
    *at++ = (uint8_t)(0x80 | bytes);
    memcpy(at, mask, sizeof mask);
    at += sizeof mask;
    for (size_t i = 0; i < bytes; i++)
        *at++ = payload[i] ^ mask[i % 4];
    device->out_bytes = (uint32_t)(at - device->out);
    return true;
}

/* A frame in a message; by its id in two fragments, or behind a Ping. */
static bool say_message(struct device *device, const uint8_t *frame, size_t bytes, uint16_t id)
{
    enum { FIN = 0x80 };
    uint32_t before = device->out_bytes;
    size_t first = id % 3 == 0 ? bytes / 2 : bytes;
    bool fits = (id % 5 != 0 || wrap(device, FIN | GW_WEBSOCKET_PING, frame, 3)) &&
                wrap(device, (first == bytes ? FIN : 0u) | GW_WEBSOCKET_BINARY, frame, first) &&
                (first == bytes ||
                 wrap(device, FIN | GW_WEBSOCKET_CONTINUATION, frame + first, bytes - first));

    if (!fits)
        device->out_bytes = before;
    return fits;
}

/* Queues a frame, and sends what fits in pieces of any size. */
static bool say(struct device *device, uint8_t type, uint16_t id, const void *body, size_t bytes)
{
    struct gw_frame frame = {.type = type, .msg_id = id, .body = gw_bytes_of(body, bytes)};
    uint8_t alone[sizeof device->out];
    size_t used;

    if (device->websocket) {
        used = gw_frame_encode(alone, sizeof alone, &frame);
        return used > 0 && say_message(device, alone, used, id);
    }
    used = gw_frame_encode(device->out + device->out_bytes, sizeof device->out - device->out_bytes,
                           &frame);
    device->out_bytes += (uint32_t)used;
    return used > 0;
}

static void flush(struct device *device, struct chance *chance, bool calm)
{
    while (device->out_bytes > 0) {
        uint32_t count = calm ? device->out_bytes : 1 + chance_below(chance, device->out_bytes);

        if (!connection_write(device->connection, device->out, count))
            return;
        device->out_bytes -= count;
        memmove(device->out, device->out + count, device->out_bytes);
        if (!calm && chance_one_in(chance, 4))
            return;
    }
}

static void leave(struct device *device, struct chance *chance)
{
    connection_close(device->connection, chance_one_in(chance, 3));
    device->connection = NULL; /* the world frees it when the gateway has closed it too */
    device->logged_in = false;
    device->in_bytes = device->out_bytes = 0;
    device->opened = device->told_close = false;
    device->ping_id = 0;
    device->back_ns = pretend.now_ns + (uint64_t)chance_below(chance, 6000) * 1000000;
}

/* Another device wrote its token's index to it: to it, and to nobody else. */
static void on_bridged(struct device *device, struct gw_bytes body)
{
    char text[16] = "";
    unsigned token;

    gw_assert(device->logged_in && body.size < sizeof text);
    for (size_t i = 0; i < body.size; i++)
        text[i] = body.data[i] == 0 ? ' ' : (char)body.data[i];
    int fields = sscanf(text, "vw 2 %u", &token);

    gw_assert(fields == 1 && token == device->token);
    device->bridged++;
}

static void on_frame(struct device *device, const struct gw_frame *frame, bool valid)
{
    gw_assert(frame->msg_id != 0); /* it would make a real client drop the link */
    pretend_trace((uint64_t)frame->type << 32 ^ (uint64_t)frame->msg_id << 16 ^ frame->status);
    if (frame->type == GW_FRAME_PING) {
        (void)say(device, GW_FRAME_RESPONSE, frame->msg_id, NULL, 0);
        return;
    }
    if (frame->type == GW_FRAME_BRIDGE) {
        on_bridged(device, frame->body);
        return;
    }
    gw_assert(frame->type == GW_FRAME_RESPONSE);
    if (!device->logged_in) {
        gw_assert(frame->msg_id == 1);
        gw_assert(!valid || frame->status != GW_RESPONSE_INVALID_TOKEN); /* no wrong 9 */
        gw_assert(valid || frame->status == GW_RESPONSE_INVALID_TOKEN);
        device->logged_in = frame->status == GW_RESPONSE_OK;
        device->refused_for_good = frame->status == GW_RESPONSE_INVALID_TOKEN;
        return;
    }
    if (frame->msg_id == device->ping_id && frame->status == GW_RESPONSE_OK) {
        gw_assert(device->durable >= device->ping_covers); /* acknowledged means durable */
        if (device->ping_covers > device->acked)
            device->acked = device->ping_covers;
        device->ping_id = 0;
    }
}

static void drop_input(struct device *device, size_t count)
{
    device->in_bytes -= (uint32_t)count;
    memmove(device->in, device->in + count, device->in_bytes);
}

/* The answer to the request for a WebSocket: false while there is none, or when it is refused. */
static bool is_opened(struct device *device)
{
    static const char begin[] = "HTTP/1.1 101 ", end[] = "\r\n\r\n";
    const uint8_t *at = memmem(device->in, device->in_bytes, end, sizeof end - 1);

    if (device->opened)
        return true;
    if (at == NULL || memcmp(device->in, begin, sizeof begin - 1) != 0)
        return false;
    drop_input(device, (size_t)(at - device->in) + sizeof end - 1);
    device->opened = true;
    return true;
}

/* Messages of the gateway: not masked, each a whole frame, and nothing behind its Close. */
static void listen_to_messages(struct device *device, bool valid)
{
    while (is_opened(device) && device->in_bytes >= 2) {
        size_t header = device->in[1] == 126 ? 4 : 2, bytes = device->in[1], used;
        struct gw_frame frame;

        gw_assert(device->in[1] <= 126 && !device->told_close);
        if (device->in_bytes < header)
            return;
        if (header == 4)
            bytes = gw_load_be16(device->in + 2);
        if (device->in_bytes < header + bytes)
            return;
        switch (device->in[0] & 0x7f) {
        case GW_WEBSOCKET_BINARY:
            gw_assert(gw_frame_decode(gw_bytes_of(device->in + header, bytes), 256, &frame,
                                      &used) == GW_OK &&
                      used == bytes);
            on_frame(device, &frame, valid);
            break;
        case GW_WEBSOCKET_PONG:
            gw_assert(bytes == 3);
            break;
        default:
            gw_assert((device->in[0] & 0x7f) == GW_WEBSOCKET_CLOSE && bytes == 2);
            device->told_close = true;
            break;
        }
        drop_input(device, header + bytes);
    }
}

static void listen_to(struct device *device, bool valid)
{
    struct gw_frame frame;
    size_t used;

    device->in_bytes += connection_read(device->connection, device->in + device->in_bytes,
                                        (uint32_t)sizeof device->in - device->in_bytes);
    if (device->websocket) {
        listen_to_messages(device, valid);
        return;
    }
    while (gw_frame_decode(gw_bytes_of(device->in, device->in_bytes), 256, &frame, &used) ==
           GW_OK) {
        on_frame(device, &frame, valid);
        drop_input(device, used);
    }
}

static void ask_for_websocket(struct device *device)
{
    static const char request[] = "GET /websocket HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    _Static_assert(sizeof request < sizeof device->out, "the login goes behind it");
    memcpy(device->out, request, sizeof request - 1);
    device->out_bytes = sizeof request - 1;
}

static void connect_again(struct device *device, const struct world_tokens *tokens,
                          struct chance *chance)
{
    device->connection = calloc(1, sizeof *device->connection);
    gw_assert(device->connection != NULL);
    connection_open(device->connection, device->rings[chance_below(chance, device->ring_count)],
                    (uint16_t)(1000 + device->number));
    device->next_id = 0;
    device->sent_here = false;
    if (device->websocket)
        ask_for_websocket(device);
    (void)say(device, GW_FRAME_HW_LOGIN, take_id(device), tokens->text[device->token],
              GW_TOKEN_TEXT_BYTES);
    if (device->stranger) /* begins to log in, and falls silent */
        device->out_bytes = 1 + chance_below(chance, device->out_bytes - 1);
}

/* Names one of a few devices, or writes to the one that it gave a number to. */
static void bridge(struct device *device, const struct world_tokens *tokens, struct chance *chance)
{
    char body[48];
    uint32_t number = chance_below(chance, BRIDGES_MAX);
    uint32_t *named = &device->named[number];
    int bytes;

    if (chance_one_in(chance, 3)) {
        uint32_t token = chance_below(chance, tokens->count);

        bytes = snprintf(body, sizeof body, "%u%ci%c%.*s", number, 0, 0, GW_TOKEN_TEXT_BYTES,
                         tokens->text[token]);
        if (say(device, GW_FRAME_BRIDGE, take_id(device), body, (size_t)bytes))
            *named = token;
        return;
    }
    bytes = snprintf(body, sizeof body, "%u%cvw%c2%c%u", number, 0, 0, 0, *named);
    (void)say(device, GW_FRAME_BRIDGE, take_id(device), body, (size_t)bytes);
}

static void work(struct device *device, const struct world_tokens *tokens, struct chance *chance,
                 bool calm)
{
    /* By product; one firmware in 40 was built for the other one. */
    static const char infos[2][24] = {"h-beat\0"
                                      "10\0"
                                      "tmpl\0"
                                      "TMPLfree",
                                      "h-beat\0"
                                      "10\0"
                                      "tmpl\0"
                                      "TMPLtold"};
    uint32_t product = (device->token + (!calm && chance_one_in(chance, 40))) % 2;
    char body[40];

    switch (chance_below(chance, calm ? 8 : 40)) {
    case 0:
        if (device->ping_id == 0 && say(device, GW_FRAME_PING, take_id(device), NULL, 0)) {
            device->ping_id = device->next_id;
            /* What an earlier connection sent and lost is not its promise. */
            device->ping_covers = device->sent_here ? device->sent : 0;
        }
        break;
    case 1:
        (void)say(device, GW_FRAME_INTERNAL, take_id(device), infos[product],
                  sizeof infos[product] - 1);
        break;
    case 2:
        if (!calm)
            leave(device, chance);
        break;
    case 3:
        (void)say(device, GW_FRAME_PROPERTY, take_id(device), "1\0label\0x", 9);
        break;
    case 4:
    case 5:
        bridge(device, tokens, chance);
        break;
    default: {
        int bytes =
            snprintf(body, sizeof body, "vw%c1%c%u:%u", 0, 0, device->number, device->sent + 1);

        if (say(device, GW_FRAME_HARDWARE, take_id(device), body, (size_t)bytes)) {
            device->sent++;
            device->sent_here = true;
        }
        break;
    }
    }
}

void device_step(struct device *device, const struct world_tokens *tokens, struct chance *chance,
                 bool calm)
{
    bool valid = device->token < tokens->count;

    if (device->connection == NULL) {
        if (pretend.now_ns >= device->back_ns && !device->refused_for_good && !calm)
            connect_again(device, tokens, chance);
        return;
    }
    listen_to(device, valid);
    if (device->connection->gateway_shut || device->connection->gateway_closed) {
        listen_to(device, valid);
        leave(device, chance);
        return;
    }
    if (device->logged_in && !pretend.hush)
        work(device, tokens, chance, calm);
    if (device->connection != NULL)
        flush(device, chance, calm);
}
