/*
 * One request being read: what its endpoint's reader is given, and what readers share. A reader
 * fills the call, or refuses it.
 */
#ifndef GW_SHARD_HTTP_READING_H
#define GW_SHARD_HTTP_READING_H

#include "http_internal.h"

#define HTTP_WRONG_PIN    "Wrong pin format."
#define HTTP_WRONG_FORMAT "Wrong request format."
#define HTTP_WRONG_TYPE   "Unknown content type."

struct http_reading {
    const struct gw_shard_http_options *options;
    const struct gw_http_request *request;
    struct gw_bytes body;
    uint64_t wall_us;
    struct http_call *call;
};

/* http_params.c */

/* Escapes resolved, into the call's text. */
struct gw_bytes http_resolve(struct http_call *call, struct gw_bytes raw);
/*
 * All values of the parameter, resolved, NUL between them: how one pin holds several values. How
 * many there were; *out is empty when none was. Names are compared as they come: nobody escapes
 * theirs, and one with escapes is another name.
 */
uint32_t http_find_values(struct http_call *call, struct gw_bytes query, const char *wanted,
                          struct gw_bytes *out);
bool http_has_parameter(const struct http_reading *r, const char *wanted);
/* Any but the token and these, of which the second may be NULL? Passed over in silence, another pin
   would be lost. */
bool http_has_others(const struct http_reading *r, const char *one, const char *other);
/* A parameter that may be there once; false when it is longer than a value may be, or holds a NUL.
 */
GW_MUST_USE bool http_find_text(struct http_reading *r, const char *wanted, struct gw_bytes *out);
/* A NUL would make two values of one. */
bool http_is_value(const struct http_reading *r, struct gw_bytes value);
/* Each of the values that http_find_values put together. */
bool http_are_values(const struct http_reading *r, struct gw_bytes values, uint32_t count);
/* "V1", "v1", "D2", "A3": a bank, and digits as the device protocol has them. */
GW_MUST_USE bool http_pin_of(struct gw_bytes text, char *bank, uint8_t *pin);
/*
 * The one pin of the query: "pin=V1", or "dataStreamId=1", which is resolved later. False, refused,
 * when it is missing, malformed or there twice.
 */
GW_MUST_USE bool http_pin_parameter(struct http_reading *r, char *bank, uint8_t *pin);
/* The same, and refused as well when anything but the token and `beside`, which may be NULL, is
   with it. */
GW_MUST_USE bool http_pin_alone(struct http_reading *r, const char *beside, char *bank,
                                uint8_t *pin);
/*
 * The metadata field of the query: "metaFieldName=Room", or "metaFieldId=1", which is resolved
 * later. False, refused, in a sentence that ends with a dot or not.
 */
GW_MUST_USE bool http_field_parameter(struct http_reading *r, struct gw_bytes *field, bool dotted);
/* The pin of a path; false, refused, when it is none. */
GW_MUST_USE bool http_pin_segment(struct http_reading *r, char *bank, uint8_t *pin);
/* NULL, refused, when there are too many. */
struct gw_record *http_add_record(struct http_reading *r, enum gw_record_kind kind);
void http_add_write(struct http_reading *r, char bank, uint8_t pin, struct gw_bytes value);

/* http_writes.c */
void http_read_update(struct http_reading *r);
void http_read_put(struct http_reading *r);
void http_read_legacy_put(struct http_reading *r);
void http_read_points(struct http_reading *r);
void http_read_legacy_points(struct http_reading *r);
void http_read_property(struct http_reading *r);
void http_read_legacy_update(struct http_reading *r);
void http_read_event(struct http_reading *r);
void http_read_meta(struct http_reading *r);
void http_read_provision(struct http_reading *r);

/* http_questions.c */
void http_read_connected(struct http_reading *r);
void http_read_app(struct http_reading *r);
void http_read_time(struct http_reading *r);
void http_read_metadata(struct http_reading *r);
void http_read_get(struct http_reading *r);
void http_read_get_all(struct http_reading *r);
void http_read_legacy_get(struct http_reading *r);

#endif
