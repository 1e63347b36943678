/*
 * JSON (RFC 8259), read and written. A cursor over a text: the reader asks for what its grammar
 * wants next. Strict, without a tree and without memory of its own; whoever asks decides how deep
 * it goes.
 *
 *     if (!gw_json_take(&json, '[')) ...
 *     do { if (!gw_json_scalar(&json, room, sizeof room, &value)) ... } while (gw_json_take(&json,
 * ',')); if (!gw_json_take(&json, ']') || !gw_json_ended(&json)) ...
 */
#ifndef GW_HTTP_JSON_H
#define GW_HTTP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

struct gw_json {
    struct gw_bytes rest;
};

/* Consumes this structural character if it comes next, after white space. */
bool gw_json_take(struct gw_json *json, char structural);
/* Would gw_json_take consume it? */
bool gw_json_sees(struct gw_json *json, char structural);
/* Nothing but white space is left. */
bool gw_json_ended(struct gw_json *json);

enum gw_json_kind { GW_JSON_STRING, GW_JSON_NUMBER, GW_JSON_BOOLEAN };

struct gw_json_value {
    enum gw_json_kind kind;
    struct gw_bytes
        text;      /* a string's content, in `room`; a number or boolean as it stands there */
    bool too_long; /* a string whose content needs more than `capacity` bytes: not read further */
};

/*
 * A string, a number, true or false. False when something else comes next (null among it), when it
 * is malformed, or when the string's content needs more than `capacity` bytes.
 */
GW_MUST_USE bool gw_json_scalar(struct gw_json *json, uint8_t *room, size_t capacity,
                                struct gw_json_value *out);

/* Decimal digits alone, without sign or fraction; false for more than UINT64_MAX. */
GW_MUST_USE bool gw_json_integer(struct gw_bytes text, uint64_t *out);

/* ---- writing ---- */

/* A text that grows to the end of its room; too long once, it stays `full` and is of no use. */
struct gw_json_out {
    uint8_t *at;
    size_t bytes, capacity;
    bool full;
};

/* Structure, as it stands: "{", ",". */
void gw_json_put(struct gw_json_out *out, const char *text);
/* A string of any bytes; those that are no UTF-8 become U+FFFD, for JSON has no others. */
void gw_json_put_string(struct gw_json_out *out, struct gw_bytes value);
/* The value as a number where it is one as it stands, and else as a string. */
void gw_json_put_value(struct gw_json_out *out, struct gw_bytes value);

#endif
