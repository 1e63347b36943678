/*
 * A device's end of a WebSocket: asks for it over HTTP, wraps what the device says in messages of
 * any cut, and unwraps what it is told. It judges what the gateway wraps:
 *
 *   - nothing is masked or in fragments, and a message is one whole frame of the device protocol;
 *   - a Pong is for the newest Ping of ours, or an older one that got none;
 *   - behind the gateway's Close nothing comes.
 */
#ifndef SIM_WRAPPING_H
#define SIM_WRAPPING_H

#include "wire.h"

enum { WRAPPED_BYTES_MAX = 1024 };

struct wrapping {
    enum { WRAPPING_ASKED, WRAPPING_OPEN, WRAPPING_CLOSED, WRAPPING_REFUSED } state;
    bool in_message;       /* its last fragment is yet to come */
    bool spoilt;           /* it said what no client may say   */
    uint32_t pings, pongs; /* by number: the newest            */
    uint8_t in[WRAPPED_BYTES_MAX];
    uint32_t in_bytes;
    uint8_t out[WRAPPED_BYTES_MAX];
    uint32_t out_bytes;
};

void wrapping_begin(struct wrapping *wrapping);
/* Takes some of what the device says; how many bytes. */
uint32_t wrapping_say(struct wrapping *wrapping, const uint8_t *bytes, uint32_t count,
                      struct chance *chance);
/* Our Close. */
void wrapping_say_close(struct wrapping *wrapping);
/* Something that ends the connection: 1002 or 1009. */
void wrapping_spoil(struct wrapping *wrapping, struct chance *chance);
/* Sends what fits, in pieces of any size. */
void wrapping_flush(struct wrapping *wrapping, struct wire *wire, struct chance *chance);
/* What the gateway told the device, at most `capacity` bytes of it. */
uint32_t wrapping_hear(struct wrapping *wrapping, struct wire *wire, uint8_t *out,
                       uint32_t capacity);

#endif
