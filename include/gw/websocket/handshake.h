/*
 * The opening handshake of a WebSocket, the server's half: RFC 6455, section 4.2. No subprotocol
 * and no extension is ever agreed upon. Any thread.
 */
#ifndef GW_WEBSOCKET_HANDSHAKE_H
#define GW_WEBSOCKET_HANDSHAKE_H

#include <stdint.h>

#include <gw/http/request.h>

enum { GW_WEBSOCKET_ACCEPT_BYTES = 28, GW_WEBSOCKET_SWITCH_BYTES_MAX = 192 };

/* Is it for the place where devices are served? A GET whose path begins with "/websocket". */
bool gw_websocket_is_for(const struct gw_http_request *request);

/* 101, or the status that refuses it, with a sentence for whoever sent it. */
uint16_t gw_websocket_judge(const struct gw_http_request *request, const char **message);

/* Writes the answer to a request that was judged 101; returns its bytes. */
size_t gw_websocket_switch(const struct gw_http_request *request,
                           uint8_t out[GW_WEBSOCKET_SWITCH_BYTES_MAX]);

#endif
