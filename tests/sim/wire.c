#include "wire.h"

#include <stdlib.h>

#include <gw/base/assert.h>
#include <gw/base/defs.h>

enum { PLAIN_LISTENER, SEALED_LISTENER, UPDATE_ONE_IN = 16 };

/* ---- out ---- */

static void put(struct wire *wire, uint8_t type, uint32_t number, const uint8_t *payload,
                uint32_t count)
{
    gw_assert(wire->out_bytes + SEAL_RECORD_BYTES_MAX <= WIRE_BYTES_MAX);
    wire->out_bytes += seal_record(wire->out + wire->out_bytes, type, number, payload, count);
}

static bool has_room(const struct wire *wire)
{
    return wire->out_bytes + SEAL_RECORD_BYTES_MAX <= WIRE_BYTES_MAX;
}

void wire_open(struct wire *wire, struct gw_ring *ring, uint16_t port, bool sealed,
               struct chance *chance)
{
    static const uint8_t hello[SEAL_HELLO_BYTES];

    wire->connection = connection_open(ring, sealed ? SEALED_LISTENER : PLAIN_LISTENER, port);
    wire->sealed = sealed;
    wire->state = sealed ? WIRE_GREETS : WIRE_OPEN;
    wire->halts = false;
    wire->flights = wire->said = wire->heard = 0;
    wire->in_bytes = wire->plain_at = wire->plain_bytes = wire->out_bytes = 0;
    if (!sealed)
        return;
    put(wire, SEAL_HANDSHAKE, 0, hello, sizeof hello);
    if (pretend.calm || !chance_one_in(chance, 20))
        return;
    wire->halts = true; /* within its hello, or behind it */
    if (chance_one_in(chance, 2))
        wire->out_bytes = 1 + chance_below(chance, wire->out_bytes - 1);
}

void wire_flush(struct wire *wire, struct chance *chance)
{
    while (wire->out_bytes > 0) {
        uint32_t count = pretend.calm ? wire->out_bytes : 1 + chance_below(chance, wire->out_bytes);

        if (!connection_write(wire->connection, wire->out, count))
            return;
        wire->out_bytes -= count;
        memmove(wire->out, wire->out + count, wire->out_bytes);
        if (!pretend.calm && chance_one_in(chance, 4))
            return;
    }
}

bool wire_write(struct wire *wire, const uint8_t *bytes, uint32_t count, struct chance *chance)
{
    if (!wire->sealed)
        return connection_write(wire->connection, bytes, count);
    if (wire->state != WIRE_OPEN || !has_room(wire) || count > SEAL_PAYLOAD_BYTES_MAX)
        return false;
    if (chance_one_in(chance, UPDATE_ONE_IN)) {
        put(wire, SEAL_UPDATE, ++wire->said, NULL, 0);
        if (!has_room(wire))
            return false;
    }
    put(wire, SEAL_DATA, ++wire->said, bytes, count);
    wire_flush(wire, chance);
    return true;
}

void wire_spoil(struct wire *wire, struct chance *chance)
{
    uint8_t noise[8] = {0};

    if (!wire->sealed || wire->state != WIRE_OPEN || !has_room(wire))
        return;
    wire->state = WIRE_SPOILT;
    put(wire, SEAL_DATA, wire->said + chance_below(chance, 2) * 2, noise, sizeof noise);
    if (chance_one_in(chance, 2)) /* longer than a record may be */
        gw_store_be16(wire->out + wire->out_bytes - sizeof noise - SEAL_NUMBER_BYTES - 2, 0xffff);
}

void wire_close(struct wire *wire, struct chance *chance)
{
    static const uint8_t close = SEAL_CLOSE;

    if (wire->sealed && wire->state == WIRE_OPEN && has_room(wire) && chance_one_in(chance, 2)) {
        put(wire, SEAL_ALERT, ++wire->said, &close, 1);
        wire_flush(wire, chance);
    }
    connection_close(wire->connection, chance_one_in(chance, 3));
    wire->connection = NULL; /* the world frees it when the gateway has closed it too */
}

/* ---- in ---- */

static void on_plain_record(struct wire *wire)
{
    static const uint8_t finished[SEAL_FINISHED_BYTES];

    if (wire->in[0] == SEAL_ALERT) {
        wire->state = WIRE_OVER;
        return;
    }
    gw_assert(wire->in[0] == SEAL_HANDSHAKE && wire->state == WIRE_GREETS);
    if (++wire->flights < 2 || wire->halts || !has_room(wire))
        return;
    put(wire, SEAL_HANDSHAKE, 0, finished, sizeof finished);
    wire->state = WIRE_OPEN;
}

static void on_sealed_record(struct wire *wire, uint32_t bytes)
{
    bool opened = seal_open(wire->in, bytes, wire->heard + 1, wire->plain, &wire->plain_bytes);

    gw_assert(opened);
    wire->heard++;
    wire->plain_at = 0;
    if (wire->in[0] == SEAL_DATA)
        return;
    wire->plain_bytes = 0; /* a ticket, an update, or the end */
    if (wire->in[0] == SEAL_ALERT)
        wire->state = WIRE_OVER;
}

/* The next record, if all of it is here. */
static bool hear_record(struct wire *wire)
{
    uint32_t whole;

    wire->in_bytes += connection_read(wire->connection, wire->in + wire->in_bytes,
                                      (uint32_t)sizeof wire->in - wire->in_bytes);
    gw_assert(wire->state != WIRE_OVER || wire->in_bytes == 0);
    whole = seal_bytes(wire->in, wire->in_bytes);
    gw_assert(whole <= sizeof wire->in);
    if (whole == 0 || wire->in_bytes < whole)
        return false;
    if (seal_is_sealed(wire->in))
        on_sealed_record(wire, whole);
    else
        on_plain_record(wire);
    wire->in_bytes -= whole;
    memmove(wire->in, wire->in + whole, wire->in_bytes);
    return true;
}

uint32_t wire_read(struct wire *wire, uint8_t *out, uint32_t capacity)
{
    uint32_t filled = 0;

    if (!wire->sealed)
        return connection_read(wire->connection, out, capacity);
    do {
        uint32_t count =
            (uint32_t)gw_min_u64(wire->plain_bytes - wire->plain_at, capacity - filled);

        memcpy(out + filled, wire->plain + wire->plain_at, count);
        wire->plain_at += count;
        filled += count;
    } while (filled < capacity && hear_record(wire));
    return filled;
}

bool wire_is_over(const struct wire *wire)
{
    const struct connection *connection = wire->connection;

    return connection->gateway_shut || connection->gateway_closed || wire->state == WIRE_OVER;
}
