/*
 * A record: one thing that a device did, as it lies in a batch of the journal.
 *
 *     | bytes 4 | device 4 | session 8 | time_us 8 | sequence 4 | msg_id 2 | kind 1 | bank 1 |
 *     | pin 1 | flags 1 | pin_count 2 | name_bytes 2 | name ... | value ... |
 *
 * All integers little-endian; `bytes` counts the whole record, so the value's length follows.
 */
#ifndef GW_JOURNAL_RECORD_H
#define GW_JOURNAL_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum { GW_RECORD_HEADER_BYTES = 38 };

enum gw_record_kind {
    GW_RECORD_PIN_WRITE = 1, /* bank, pin, value                                             */
    GW_RECORD_PROPERTY,      /* pin (first of pin_count), name = property, value             */
    GW_RECORD_EVENT,         /* name = code, value = description                             */
    GW_RECORD_EVENT_CLEAR,   /* name = code, value = "all" or empty                          */
    GW_RECORD_META_SET,      /* name = field, value                                          */
    GW_RECORD_GROUP_BEGIN,   /* members until GROUP_END carry its time and GW_RECORD_GROUPED */
    GW_RECORD_GROUP_END,
    GW_RECORD_INFO,    /* value = the info frame's body                                */
    GW_RECORD_ONLINE,  /* value = peer address as text                                 */
    GW_RECORD_OFFLINE, /* name = close reason                                          */
};

enum gw_record_flags {
    GW_RECORD_GROUPED = 1,      /* member of a group                                          */
    GW_RECORD_DEVICE_TIME = 2,  /* time_us came from the device, not from our clock           */
    GW_RECORD_FROM_HTTP = 4,    /* came in an HTTP request; msg_id is 0, and the session is what
                                   one connection did in the name of one device, without
                                   ONLINE and OFFLINE                                          */
    GW_RECORD_FROM_CONTROL = 8, /* written to it by a program on the control socket; msg_id is 0 */
    GW_RECORD_FROM_BRIDGE = 16, /* written to it by another device, whose msg_id it is. Of both
                                   the session is what one shard recorded so, of many devices,
                                   counted from 1 without gaps                                */
};

/* "http", "control", "bridge": who wrote it; NULL: the device itself. */
const char *gw_record_origin_text(uint8_t flags);

struct gw_record {
    uint32_t device;   /* number in the token index                                          */
    uint64_t session;  /* session epoch: one login's life, unique for ever; or see the flags */
    uint64_t time_us;  /* since 1970                                                         */
    uint32_t sequence; /* counts the records of a session from 1, without gaps               */
    uint16_t msg_id;   /* of the frame                                                       */
    uint8_t kind;      /* enum gw_record_kind                                                */
    char bank;         /* 'v' 'd' 'a', PIN_WRITE and PROPERTY; 0 otherwise                   */
    uint8_t pin;
    uint8_t flags;
    uint16_t pin_count;
    struct gw_bytes name;  /* at most 65535 bytes */
    struct gw_bytes value; /* opaque              */
};

size_t gw_record_bytes(const struct gw_record *record);

/* Writes gw_record_bytes(record) bytes; the caller made room. */
void gw_record_encode(uint8_t *out, const struct gw_record *record);

/* GW_OK or GW_BAD_FRAME (a record is never partial inside a valid batch). */
GW_MUST_USE enum gw_status gw_record_decode(struct gw_bytes in, struct gw_record *out,
                                            size_t *used);

/* "pin_write", "offline" ...; NULL for a kind we do not know. */
const char *gw_record_kind_text(uint8_t kind);

#endif
