/*
 * A device's or client's way to the gateway: a connection, with or without what stands for TLS.
 * Sealed, it judges what comes: every record in its turn, and nothing behind an alert.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include "pretend_ring.h"
#include "sealing.h"

enum { WIRE_BYTES_MAX = 2 * SEAL_RECORD_BYTES_MAX };

struct wire {
    struct connection *connection; /* NULL: there is none */
    bool sealed;
    bool halts; /* it never ends its handshake */
    enum { WIRE_GREETS, WIRE_OPEN, WIRE_SPOILT, WIRE_OVER } state;
    uint32_t flights;     /* answers to its hello */
    uint32_t said, heard; /* sealed records, by number */
    uint8_t in[SEAL_RECORD_BYTES_MAX];
    uint32_t in_bytes;
    uint8_t plain[SEAL_PAYLOAD_BYTES_MAX]; /* of the last record, and not read yet: */
    uint32_t plain_at, plain_bytes;
    uint8_t out[WIRE_BYTES_MAX];
    uint32_t out_bytes;
};

void wire_open(struct wire *wire, struct gw_ring *ring, uint16_t port, bool sealed,
               struct chance *chance);
/* Ends it, politely or not; whoever held the connection before frees it. */
void wire_close(struct wire *wire, struct chance *chance);
/* False: not now. */
bool wire_write(struct wire *wire, const uint8_t *bytes, uint32_t count, struct chance *chance);
uint32_t wire_read(struct wire *wire, uint8_t *out, uint32_t capacity);
/* What was written and not sent yet, in pieces of any size. */
void wire_flush(struct wire *wire, struct chance *chance);
/* A record that is not what it should be. */
void wire_spoil(struct wire *wire, struct chance *chance);
/* The gateway has ended it, or is about to. */
bool wire_is_over(const struct wire *wire);

#endif
