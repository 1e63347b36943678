/*
 * The devices of the simulation: what stock firmware does, sped up, and worse.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/wire/frame.h>

#include "world.h"

static uint16_t take_id(struct device *device)
{
    device->next_id = device->next_id == UINT16_MAX ? 1 : (uint16_t)(device->next_id + 1);
    return device->next_id;
}

/* Queues a frame, and sends what fits in pieces of any size. */
static bool say(struct device *device, uint8_t type, uint16_t id, const void *body, size_t bytes)
{
    struct gw_frame frame = {.type = type, .msg_id = id, .body = gw_bytes_of(body, bytes)};
    size_t used = gw_frame_encode(device->out + device->out_bytes,
                                  sizeof device->out - device->out_bytes, &frame);

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

static void listen_to(struct device *device, bool valid)
{
    struct gw_frame frame;
    size_t used;

    device->in_bytes += connection_read(device->connection, device->in + device->in_bytes,
                                        (uint32_t)sizeof device->in - device->in_bytes);
    while (gw_frame_decode(gw_bytes_of(device->in, device->in_bytes), 256, &frame, &used) ==
           GW_OK) {
        on_frame(device, &frame, valid);
        device->in_bytes -= (uint32_t)used;
        memmove(device->in, device->in + used, device->in_bytes);
    }
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
