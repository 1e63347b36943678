/*
 * Messages of WebSocket on top of a client. See websocket_client.h.
 */
#include "websocket_client.h"

#include <stdlib.h>
#include <string.h>

#include "process.h"

enum { ANSWER_MS = 5000 };

size_t sys_websocket_wrap(uint8_t *out, unsigned first, const void *payload, size_t size)
{
    static const uint8_t mask[4] = {0x5a, 0x01, 0xfe, 0x80};
    size_t header = size < 126 ? 2 : 4;

    out[0] = (uint8_t)first;
    out[1] = (uint8_t)(0x80 | (size < 126 ? size : 126));
    if (header == 4)
        gw_store_be16(out + 2, (uint16_t)size);
    memcpy(out + header, mask, sizeof mask);
    header += sizeof mask;
    for (size_t i = 0; i < size; i++)
        out[header + i] = ((const uint8_t *)payload)[i] ^ mask[i % sizeof mask];
    return header + size;
}

static uint8_t *room_for(size_t size)
{
    uint8_t *room = malloc(size);

    if (room == NULL)
        abort();
    return room;
}

bool sys_websocket_open(struct sys_client *c)
{
    return sys_client_send(c, SYS_WEBSOCKET_OPEN, strlen(SYS_WEBSOCKET_OPEN)) &&
           sys_client_expect(c, SYS_WEBSOCKET_OPENED, strlen(SYS_WEBSOCKET_OPENED),
                             sys_ms(ANSWER_MS));
}

bool sys_websocket_send(struct sys_client *c, unsigned first, const void *payload, size_t size)
{
    uint8_t *room = room_for(size + SYS_WEBSOCKET_WRAP_BYTES);
    bool sent = sys_client_send(c, room, sys_websocket_wrap(room, first, payload, size));

    free(room);
    return sent;
}

bool sys_websocket_expect(struct sys_client *c, enum gw_websocket_opcode opcode,
                          const void *payload, size_t size)
{
    uint8_t *room = room_for(size + GW_WEBSOCKET_HEADER_BYTES_MAX);
    size_t header = gw_websocket_header(opcode, size, room);
    bool came;

    if (size > 0)
        memcpy(room + header, payload, size);
    came = sys_client_expect(c, room, header + size, sys_ms(ANSWER_MS));
    free(room);
    return came;
}

bool sys_websocket_expect_close(struct sys_client *c, uint16_t code)
{
    uint8_t payload[2];

    gw_store_be16(payload, code);
    return sys_websocket_expect(c, GW_WEBSOCKET_CLOSE, payload, sizeof payload) &&
           sys_client_expect_end(c, sys_ms(ANSWER_MS));
}

bool sys_websocket_send_frame(struct sys_client *c, uint8_t type, uint16_t msg_id, const void *body,
                              size_t size)
{
    struct gw_frame frame = {.type = type, .msg_id = msg_id, .body = gw_bytes_of(body, size)};
    uint8_t *room = room_for(gw_frame_bytes(&frame));
    size_t bytes = gw_frame_encode(room, gw_frame_bytes(&frame), &frame);
    bool sent = sys_websocket_send(c, SYS_WEBSOCKET_FIN | GW_WEBSOCKET_BINARY, room, bytes);

    free(room);
    return sent;
}

bool sys_websocket_expect_response(struct sys_client *c, uint16_t msg_id, uint16_t status)
{
    struct gw_frame frame = {.type = GW_FRAME_RESPONSE, .msg_id = msg_id, .status = status};
    uint8_t want[GW_FRAME_HEADER_BYTES];

    return sys_websocket_expect(c, GW_WEBSOCKET_BINARY, want,
                                gw_frame_encode(want, sizeof want, &frame));
}

bool sys_websocket_login(struct sys_client *c, const char *token, uint16_t status)
{
    return sys_websocket_send_frame(c, GW_FRAME_HW_LOGIN, 1, token, strlen(token)) &&
           sys_websocket_expect_response(c, 1, status);
}

bool sys_websocket_ping(struct sys_client *c, uint16_t msg_id)
{
    return sys_websocket_send_frame(c, GW_FRAME_PING, msg_id, NULL, 0) &&
           sys_websocket_expect_response(c, msg_id, GW_RESPONSE_OK);
}
