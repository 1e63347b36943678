/*
 * What stands for TLS here: records that are numbered and garbled, one after the other.
 *
 *     | type, 1 | 3 | 3: in the clear, 4: sealed | length, 2 BE | payload ... | number, 4 LE |
 *
 * A sealed record ends with its number, and all of it depends on it: one that is left out, sent
 * twice or sealed out of its turn is not read. Both ends, pretend_tls.c and wire.c, use this.
 */
#ifndef SIM_SEALING_H
#define SIM_SEALING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <gw/base/bytes.h>

enum {
    SEAL_ALERT = 21,
    SEAL_HANDSHAKE = 22,
    SEAL_DATA = 23,
    SEAL_UPDATE = 24, /* is answered by one, whatever else there is to say */
    SEAL_HEADER_BYTES = 5,
    SEAL_NUMBER_BYTES = 4,
    SEAL_PAYLOAD_BYTES_MAX = 512,
    SEAL_RECORD_BYTES_MAX = SEAL_HEADER_BYTES + SEAL_PAYLOAD_BYTES_MAX + SEAL_NUMBER_BYTES,
    SEAL_HELLO_BYTES = 100,  /* of a client's first record              */
    SEAL_FLIGHT_BYTES = 500, /* of each of the two that answer it       */
    SEAL_FINISHED_BYTES = 36,
    SEAL_CLOSE = 0, /* what an alert says */
    SEAL_FATAL = 2,
};

static inline uint8_t seal_mask(uint32_t number, uint32_t at)
{
    return (uint8_t)(number * 31 + at * 7 + 0x5a);
}

/* Number 0: in the clear. How many bytes it is. */
static inline uint32_t seal_record(uint8_t *out, uint8_t type, uint32_t number,
                                   const uint8_t *payload, uint32_t count)
{
    uint32_t bytes = count + (number == 0 ? 0 : SEAL_NUMBER_BYTES);

    out[0] = type;
    out[1] = 3;
    out[2] = number == 0 ? 3 : 4;
    gw_store_be16(out + 3, (uint16_t)bytes);
    for (uint32_t i = 0; i < count; i++)
        out[SEAL_HEADER_BYTES + i] = payload[i] ^ (number == 0 ? 0 : seal_mask(number, i));
    if (number != 0)
        gw_store_le32(out + SEAL_HEADER_BYTES + count, number);
    return SEAL_HEADER_BYTES + bytes;
}

/* Of the record in front: all its bytes, as its header says; 0 while that is not here. */
static inline uint32_t seal_bytes(const uint8_t *in, uint32_t count)
{
    return count < SEAL_HEADER_BYTES ? 0 : SEAL_HEADER_BYTES + gw_load_be16(in + 3);
}

static inline bool seal_is_sealed(const uint8_t *record)
{
    return record[2] == 4;
}

/* Of a whole one: its payload; false when it is not the one with this number. */
static inline bool seal_open(const uint8_t *record, uint32_t bytes, uint32_t number, uint8_t *out,
                             uint32_t *count)
{
    if (bytes < SEAL_HEADER_BYTES + SEAL_NUMBER_BYTES ||
        gw_load_le32(record + bytes - SEAL_NUMBER_BYTES) != number)
        return false;
    *count = bytes - SEAL_HEADER_BYTES - SEAL_NUMBER_BYTES;
    for (uint32_t i = 0; i < *count; i++)
        out[i] = record[SEAL_HEADER_BYTES + i] ^ seal_mask(number, i);
    return true;
}

#endif
