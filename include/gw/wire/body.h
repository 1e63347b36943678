/*
 * Bodies: parts joined by single NUL bytes. The last part is normally not terminated, but the
 * Linux client's info frame is; a trailing NUL is legal. Values are opaque bytes: a virtual write
 * may carry NULs and anything else after its second separator.
 */
#ifndef GW_WIRE_BODY_H
#define GW_WIRE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

/* Takes the next part off *rest; false when *rest is exhausted ("a\0" has one part, "" none). */
bool gw_body_next(struct gw_bytes *rest, struct gw_bytes *part);

/* Decimal digits only, 0..255: no sign, no blank, at most 3 digits. */
GW_MUST_USE bool gw_pin_parse(struct gw_bytes text, uint8_t *pin);

/* HARDWARE (20) from a device. */
enum gw_hardware {
    GW_HARDWARE_WRITE,   /* *out is filled                                         */
    GW_HARDWARE_IGNORED, /* well formed, but not a write (a poll, pin modes)       */
    GW_HARDWARE_ILLEGAL, /* too short, no value, or a pin that is no number 0..255 */
};

struct gw_pin_write {
    char bank; /* 'v' virtual, 'd' digital, 'a' analog                             */
    uint8_t pin;
    struct gw_bytes value; /* everything after the second NUL, at least one byte   */
};

GW_MUST_USE enum gw_hardware gw_hardware_parse(struct gw_bytes body, struct gw_pin_write *out);

/*
 * HARDWARE_SYNC (16): nothing, or an operation ("vr", "dr", "ar") NUL pin [NUL pin ...]. The pins
 * are left to gw_body_next and gw_pin_parse: one that is no pin has no value.
 */
enum gw_sync {
    GW_SYNC_ALL,
    GW_SYNC_PINS,    /* *out is filled                  */
    GW_SYNC_IGNORED, /* an operation that we do not know */
    GW_SYNC_ILLEGAL, /* no pin                          */
};

struct gw_sync_pins {
    char bank; /* as in a pin write */
    struct gw_bytes pins;
};

GW_MUST_USE enum gw_sync gw_sync_parse(struct gw_bytes body, struct gw_sync_pins *out);

/*
 * PROPERTY (19): pin NUL [pin NUL ...] property NUL value. Leading numeric parts are pins (library
 * 1.2 and later names several). False for a missing part or a bad pin.
 */
struct gw_property {
    uint8_t pin;           /* the first pin                                   */
    uint16_t pin_count;    /* how many were named                             */
    struct gw_bytes name;  /* the property                                    */
    struct gw_bytes value; /* everything behind its name and NUL              */
};

GW_MUST_USE bool gw_property_parse(struct gw_bytes body, struct gw_property *out);

/* EVENT_LOG (64): code [NUL text]; EVENT_CLEAR (65): code [NUL "all"]. False when the code is
 * empty. */
struct gw_event {
    struct gw_bytes code;
    struct gw_bytes text; /* empty when absent */
};

GW_MUST_USE bool gw_event_parse(struct gw_bytes body, struct gw_event *out);

/* GROUP (21): "b" begins, "t" NUL unix-ms begins with a time of its own, "e" ends. */
struct gw_group {
    enum { GW_GROUP_BEGIN, GW_GROUP_BEGIN_AT, GW_GROUP_END } what;
    uint64_t time_ms; /* BEGIN_AT only */
};

GW_MUST_USE bool gw_group_parse(struct gw_bytes body, struct gw_group *out);

/*
 * BRIDGE (15): number NUL "i" NUL token names the device behind the token; number NUL and a write
 * as in HARDWARE writes to the device that the number was given to. False for anything else.
 */
enum { GW_BRIDGES_MAX = 256 };

struct gw_bridge {
    uint8_t number;        /* of the device's choice */
    struct gw_bytes token; /* of a naming            */
    struct gw_bytes write; /* of a write, else empty */
};

GW_MUST_USE bool gw_bridge_parse(struct gw_bytes body, struct gw_bridge *out);

/* What a HARDWARE body has in front of its value: "vw" NUL pin NUL. The bytes written. */
enum { GW_HARDWARE_HEAD_BYTES_MAX = sizeof "vw" + sizeof "255" };

size_t gw_hardware_head(uint8_t out[GW_HARDWARE_HEAD_BYTES_MAX], char bank, uint8_t pin);

/* The parts with a NUL between each two; the bytes written, or 0 when `capacity` is too small. */
size_t gw_body_join(uint8_t *out, size_t capacity, const struct gw_bytes *parts, size_t count);

#endif
