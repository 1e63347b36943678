/*
 * WebSocket messages (RFC 6455, section 5) as bytes: what a client sends is unwrapped where it
 * lies, and what it is told gets a header.
 *
 *     | fin 1, rsv 3, opcode 4 | masked 1, length 7 | length, 0, 2 or 8 | mask, 4 | payload ... |
 *
 * What binary messages hold is one stream, and text is passed over: neither their borders nor those
 * of their fragments mean anything to whoever reads it. So no message is kept to be whole; of a
 * stream there is kept what struct gw_websocket holds, and a header or control frame that is cut,
 * which stays with the caller. Knows no clock, allocates nothing. Any thread.
 */
#ifndef GW_WEBSOCKET_STREAM_H
#define GW_WEBSOCKET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GW_WEBSOCKET_HEADER_BYTES_MAX = 4,    /* of what is sent: a frame of ours has a short length */
    GW_WEBSOCKET_CONTROL_BYTES_MAX = 125, /* payload of a control frame                          */
    GW_WEBSOCKET_UNREAD_BYTES_MAX = 2 + 4 + GW_WEBSOCKET_CONTROL_BYTES_MAX,
};

enum gw_websocket_opcode {
    GW_WEBSOCKET_CONTINUATION = 0,
    GW_WEBSOCKET_TEXT = 1,
    GW_WEBSOCKET_BINARY = 2,
    GW_WEBSOCKET_CLOSE = 8,
    GW_WEBSOCKET_PING = 9,
    GW_WEBSOCKET_PONG = 10,
};

/* RFC 6455 7.4.1; the last is in IANA's registry alone. */
enum gw_websocket_code {
    GW_WEBSOCKET_NORMAL = 1000,
    GW_WEBSOCKET_GOING_AWAY = 1001,
    GW_WEBSOCKET_PROTOCOL_ERROR = 1002,
    GW_WEBSOCKET_POLICY = 1008,
    GW_WEBSOCKET_TOO_BIG = 1009,
    GW_WEBSOCKET_TRY_AGAIN = 1013,
};

/* Between two pieces of a client's stream; all zeros at its beginning. */
struct gw_websocket {
    uint32_t frame_left;    /* payload of the data frame under way that is yet to come           */
    uint32_t message_bytes; /* of the message under way, as its frames so far announced them     */
    uint8_t mask[4];        /* of that frame, turned so that the next byte's comes first         */
    uint16_t close_code;    /* it has ended, and this is what its Close is to be answered with   */
    bool in_message;        /* a fragment came, and its continuation is due                      */
    bool is_text;           /* the message under way is one of text                              */
    bool refused;           /* it ended by a fault, not by the client's Close                    */
};

struct gw_websocket_input {
    size_t data_bytes; /* what the messages hold, unmasked and moved to the front of the bytes */
    size_t used;       /* the bytes behind these are to be given again, with more              */
    uint32_t control_count;
    bool pinged; /* the newest Ping that came, which may be answered for all (RFC 6455 5.5.3) */
    uint8_t ping_bytes;
    uint8_t ping[GW_WEBSOCKET_CONTROL_BYTES_MAX];
};

/*
 * Reads what came of a stream, into its own place. What is left unread is a proper prefix of a
 * header or control frame, so less than GW_WEBSOCKET_UNREAD_BYTES_MAX. From a Close or a fault on
 * (stream->close_code) everything is used and nothing is data. Same bytes, same data and same end,
 * wherever the stream was cut. A message may hold message_bytes_max, below 2^31.
 */
void gw_websocket_read(struct gw_websocket *stream, uint32_t message_bytes_max, uint8_t *bytes,
                       size_t size, struct gw_websocket_input *out);

/* Writes what goes before a payload of so many bytes, 65535 at most; returns its own bytes. */
size_t gw_websocket_header(enum gw_websocket_opcode opcode, size_t payload_bytes,
                           uint8_t out[GW_WEBSOCKET_HEADER_BYTES_MAX]);

#endif
