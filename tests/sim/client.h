/*
 * A pretend HTTP client: writes and reads the pins of a few tokens over connections that it keeps,
 * several requests at once. It judges the answers:
 *
 *   - they come in the order of the requests;
 *   - 200 to a write means durable, a refused write is never seen again;
 *   - what is read was written to this pin, and is not older than what was durable when it asked;
 *   - only a token that was unknown is answered as one, and only one that was good is served.
 */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "device.h"

enum { REQUESTS_MAX = 4 };

struct request {
    enum { WRITE, WRITE_PUT, WRITE_TWO, WRITE_POINTS, READ, READ_ALL, CONNECTED, UNKNOWN } what;
    uint32_t token, drawn; /* drawn: which one of the device's tokens it had */
    uint64_t asked_ns;
    uint8_t pin;
    uint32_t numbers[2];     /* of writes                   */
    uint32_t versions[PINS]; /* of reads: at least this one */
};

struct client {
    uint32_t number;
    struct wire wire; /* to nowhere while it is away */
    bool seals;       /* HTTPS */
    uint64_t back_ns;
    uint32_t sent;                         /* updates on this connection */
    struct request requests[REQUESTS_MAX]; /* oldest first */
    uint32_t request_count;
    bool says_close; /* its last request asks for the end of the connection */
    uint64_t answered, refused;
    uint8_t in[2048];
    uint32_t in_bytes;
    uint8_t out[1024];
    uint32_t out_bytes;
};

void client_step(struct client *client, const struct surroundings *around);

#endif
