/*
 * A device whose frames come in WebSocket messages, on top of a client (client.h) and by its rules:
 * false, and a sentence in `failure`; threads may call.
 */
#ifndef TESTS_SYSTEM_WEBSOCKET_CLIENT_H
#define TESTS_SYSTEM_WEBSOCKET_CLIENT_H

#include <gw/websocket/stream.h>

#include "client.h"

/* The handshake of RFC 6455 1.2, with its key, and the answer that follows from it. */
#define SYS_WEBSOCKET_KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SYS_WEBSOCKET_UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define SYS_WEBSOCKET_OPEN                                                                         \
    "GET /websocket HTTP/1.1\r\nHost: a\r\n" SYS_WEBSOCKET_UPGRADE                                 \
    "Sec-WebSocket-Version: 13\r\n" SYS_WEBSOCKET_KEY "\r\n"
#define SYS_WEBSOCKET_OPENED                                                                       \
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"            \
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

enum {
    SYS_WEBSOCKET_FIN = 0x80,
    SYS_WEBSOCKET_WRAP_BYTES = 8, /* what wrapping adds at most, to payloads below 64 KiB */
};

/* On a client that is connected. */
GW_MUST_USE bool sys_websocket_open(struct sys_client *c);

/* A frame as clients send it, masked; `first` is its first byte. Returns how long it is. */
size_t sys_websocket_wrap(uint8_t *out, unsigned first, const void *payload, size_t size);
GW_MUST_USE bool sys_websocket_send(struct sys_client *c, unsigned first, const void *payload,
                                    size_t size);
/* Exactly this message comes next: not masked, in one frame. */
GW_MUST_USE bool sys_websocket_expect(struct sys_client *c, enum gw_websocket_opcode opcode,
                                      const void *payload, size_t size);
/* A Close with this code comes next, and then the end. */
GW_MUST_USE bool sys_websocket_expect_close(struct sys_client *c, uint16_t code);

/* Frames of the device protocol, each a message. */
GW_MUST_USE bool sys_websocket_send_frame(struct sys_client *c, uint8_t type, uint16_t msg_id,
                                          const void *body, size_t size);
GW_MUST_USE bool sys_websocket_expect_response(struct sys_client *c, uint16_t msg_id,
                                               uint16_t status);
/* HW_LOGIN with id 1; the answer has `status`. */
GW_MUST_USE bool sys_websocket_login(struct sys_client *c, const char *token, uint16_t status);
/* PING and its answer, with nothing before it. */
GW_MUST_USE bool sys_websocket_ping(struct sys_client *c, uint16_t msg_id);

#endif
