/*
 * A device frame: 5 bytes of header, then a body. The same both ways, on TCP, in TLS records and in
 * WebSocket messages.
 *
 *     | type, 1 | msg_id, 2 BE | length, 2 BE | body ... |
 *
 * RESPONSE (type 0) carries a status in place of the length, and no body.
 * Source: docs/protocol.md, "Frame".
 */
#ifndef GW_WIRE_FRAME_H
#define GW_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum { GW_FRAME_HEADER_BYTES = 5, GW_FRAME_FIELD_BYTES_MAX = 65535 };

enum gw_frame_type {
    GW_FRAME_RESPONSE = 0,
    GW_FRAME_LOGIN = 2, /* of v1 firmware; same body as HW_LOGIN */
    GW_FRAME_PING = 6,
    GW_FRAME_TWEET = 12,
    GW_FRAME_EMAIL = 13,
    GW_FRAME_NOTIFY = 14,
    GW_FRAME_BRIDGE = 15,
    GW_FRAME_HARDWARE_SYNC = 16,
    GW_FRAME_INTERNAL = 17,
    GW_FRAME_SMS = 18,
    GW_FRAME_PROPERTY = 19,
    GW_FRAME_HARDWARE = 20,
    GW_FRAME_GROUP = 21,
    GW_FRAME_HW_LOGIN = 29,
    GW_FRAME_REDIRECT = 41,
    GW_FRAME_DEBUG_PRINT = 55,
    GW_FRAME_EVENT_LOG = 64,
    GW_FRAME_EVENT_CLEAR = 65,
    GW_FRAME_TYPE_LIMIT = 100, /* a device that sends this or more is closed */
};

/* Status codes of a RESPONSE. Only those that the gateway gives. */
enum gw_response {
    GW_RESPONSE_OK = 200,
    GW_RESPONSE_QUOTA_LIMIT = 1,
    GW_RESPONSE_ILLEGAL_COMMAND = 2,
    GW_RESPONSE_ALREADY_REGISTERED = 4,
    GW_RESPONSE_NOT_AUTHENTICATED = 5, /* after login: stock clients disconnect on it */
    GW_RESPONSE_NOT_ALLOWED = 6,
    GW_RESPONSE_NOT_IN_NETWORK = 7, /* the target of a bridge is not connected */
    GW_RESPONSE_INVALID_TOKEN = 9,  /* takes real devices out of service for good */
    GW_RESPONSE_ILLEGAL_BODY = 11,
    GW_RESPONSE_SERVER_EXCEPTION = 19,
};

struct gw_frame {
    uint8_t type;         /* enum gw_frame_type; unknown types are passed on, not refused */
    uint16_t msg_id;      /* chosen by the sender; 0 is legal from a device, never to one */
    uint16_t status;      /* RESPONSE only; 0 otherwise                                   */
    struct gw_bytes body; /* points into the input and lives as long as it does           */
};

/*
 * Reads one frame from the front of `in`.
 *   GW_OK         *out is filled; *used > 0 bytes belong to it
 *   GW_MORE       a proper prefix so far; *used = 0, *out untouched
 *   GW_BAD_FRAME  the header announces a body above body_bytes_max; *used = 0
 * Same bytes, same answer, wherever the stream was cut. Any thread; allocates nothing.
 */
GW_MUST_USE enum gw_status gw_frame_decode(struct gw_bytes in, size_t body_bytes_max,
                                           struct gw_frame *out, size_t *used);

/* Bytes that gw_frame_encode writes for this frame. */
size_t gw_frame_bytes(const struct gw_frame *frame);

/*
 * Writes the frame; returns its bytes, or 0 (nothing written) when it does not fit in `capacity`.
 * A body above GW_FRAME_FIELD_BYTES_MAX is our mistake (asserted).
 */
size_t gw_frame_encode(uint8_t *out, size_t capacity, const struct gw_frame *frame);

#endif
