/*
 * What requests of the device API mean, between http_serve.c, which has the session, and
 * http_route.c, which has the endpoints and knows no session, lane or socket.
 *
 *     http_route        which endpoint, whose token; before the body is there
 *     (the token is looked up)
 *     http_call_read    what it asks for: records, points, or an answer; judged whole, so that
 *                       nothing of a request that is refused is recorded
 *     http_call_resolve which pin or field it means, where it gave a number of the product's
 *     http_call_check   what its product has to say to that
 *     http_values_read  and what the answer is, where last values were asked for
 *     http_field_read   or a field of the device's metadata
 */
#ifndef GW_SHARD_HTTP_INTERNAL_H
#define GW_SHARD_HTTP_INTERNAL_H

#include <gw/http/json.h>
#include <gw/http/request.h>
#include <gw/http/response.h>
#include <gw/journal/record.h>
#include <gw/shard/shard.h>
#include <gw/token/index.h>

#include "pin_values.h"

enum {
    HTTP_HEAD_BYTES_MAX = 65536,    /* what the parameters of these names may be at most */
    HTTP_CONTENT_BYTES_MAX = 65536, /* of a body that comes in chunks, of one with last values */
    HTTP_VALUE_BYTES_MAX = 8192,
    HTTP_RECORDS_MAX = 256, /* of one request, but for points: as many as there are pins */
    /* The query is resolved at most twice, values of a body are not longer than it may be. */
    HTTP_TEXT_BYTES = 2 * HTTP_HEAD_BYTES_MAX + 2 * HTTP_VALUE_BYTES_MAX,
    HTTP_REFUSAL_BYTES_MAX = 512,
};

#define HTTP_NOTHING_THERE  "There is nothing of this name."
#define HTTP_WRONG_TEMPLATE "Wrong templateId."
#define HTTP_NO_STREAM      "Requested dataStream doesn't exist in the product."
/* The vendor ends its sentences about reading with a dot, those about writing not. */
#define HTTP_NO_FIELD "MetaField doesn't exist"

struct http_endpoint;

struct http_pin {
    char bank;
    uint8_t number;
};

struct http_call {
    const struct http_endpoint *endpoint; /* NULL when there is none                            */
    uint16_t status;                      /* 200, or what it is refused with                    */
    const char *message;                  /* of a refusal                                       */
    char sentence[96];                    /* for a message with a number in it                  */
    bool legacy;                          /* refusals are plain text                            */
    bool binds;                           /* it names the product that others must have named   */
    char allow[32];                       /* with 405 and to OPTIONS                            */
    struct gw_bytes token;                /* as it came; empty when there is none, or several   */
    bool token_unknown; /* it was looked up, and the index does not hold it: a failure to count */
    uint32_t token_tag;
    enum gw_login login;     /* what the index says of it, once it was asked       */
    struct gw_bytes segment; /* of a path that names a pin, or a file              */
    enum {
        HTTP_CALL_RECORDS,
        HTTP_CALL_POINTS,
        HTTP_CALL_CONNECTED, /* is the device connected?  */
        HTTP_CALL_APP,       /* is an app? None ever is   */
        HTTP_CALL_TIME,
        HTTP_CALL_VALUES,
        HTTP_CALL_FIELD,     /* of its metadata */
        HTTP_CALL_BIND,      /* the device to the product `field`; its one record is for then */
        HTTP_CALL_PREFLIGHT, /* this and the next: of anybody, without a token */
        HTTP_CALL_CHALLENGE,
    } what;
    uint32_t record_count;
    struct gw_record records[HTTP_RECORDS_MAX]; /* kind, pin, name, value, flags                */
    struct gw_bytes points;                     /* JSON, judged                                 */
    uint32_t point_count;
    enum {
        HTTP_VALUES_TEXT,  /* of one pin, as it is             */
        HTTP_VALUES_ARRAY, /* of one pin, as old servers had it */
        HTTP_VALUES_NAMED, /* an object: these pins            */
        HTTP_VALUES_ALL,   /* an object: every pin             */
    } form;                /* of VALUES                        */
    uint32_t pin_count;
    struct http_pin pins[HTTP_RECORDS_MAX]; /* of VALUES: each once */
    /* The pin, or the field, was named by a number: what stands in its place is not it yet. */
    enum { HTTP_NUMBER_OF_NONE, HTTP_NUMBER_OF_STREAM, HTTP_NUMBER_OF_FIELD } numbered;
    uint16_t number;       /* 0: one that nothing can have */
    struct gw_bytes field; /* of FIELD: its name; of BIND: the product's id */
    size_t text_bytes;
    uint8_t text[HTTP_TEXT_BYTES]; /* what records and token point to */
};

/* From now on the call is to be refused. `message` lives as long as the call. */
void http_refuse(struct http_call *call, uint16_t status, const char *message);

/* Fills endpoint, what, token, segment and legacy; status says whether there is such an endpoint.
 */
void http_route(const struct gw_http_request *request, struct http_call *call);

/* What the routed call asks for. Times of points are judged against `wall_us`, unless it is 0. */
void http_call_read(const struct gw_shard_http_options *options,
                    const struct gw_http_request *request, struct gw_bytes body, uint64_t wall_us,
                    struct http_call *call);

/* http_points.c. http_points_next goes through those of a call that was read; `out` points into
   `room`. False at the end. */
struct http_points {
    struct gw_json json;
    bool begun;
    bool legacy; /* objects with a timestamp and a value, not pairs */
};

void http_points_begin(struct http_points *points, const struct http_call *call);
/* The next one, not judged yet: GW_OK, GW_MORE when none is left, GW_BAD_FRAME malformed. */
GW_MUST_USE enum gw_status http_point_read(struct http_points *points,
                                           uint8_t room[HTTP_VALUE_BYTES_MAX], uint64_t *time_ms,
                                           struct gw_bytes *value);
bool http_points_next(struct http_points *points, uint8_t room[HTTP_VALUE_BYTES_MAX],
                      const struct http_call *call, struct gw_record *out);

/* http_numbers.c. Puts what has the number in its place, or refuses the call. */
GW_MUST_USE bool http_number_of(struct gw_bytes text, uint16_t *out);
void http_call_resolve(struct gw_index_reader *reader, uint32_t product, struct http_call *call);

/*
 * Refuses what does not suit the datastreams and events of the product, if it has any. `reader` is
 * the shard's.
 */
void http_call_check(struct gw_index_reader *reader, uint32_t product, struct http_call *call);

struct http_body {
    const char *type;
    struct gw_bytes bytes; /* in the room, or a reader's: until its pause */
};

/* What answers a call for last values; false: call->status and message say why there is none. */
GW_MUST_USE bool http_values_read(const struct pin_source *source, struct http_call *call,
                                  uint8_t *room, size_t capacity, struct http_body *out);
/* The same for a metadata field. */
GW_MUST_USE bool http_field_read(struct gw_index_reader *reader, uint32_t device,
                                 struct http_call *call, uint8_t *room, size_t capacity,
                                 struct http_body *out);
/* The same for ACME: the file that was named, in the folder; NULL: there is none. */
GW_MUST_USE bool http_challenge_read(const char *folder, struct http_call *call, uint8_t *room,
                                     size_t capacity, struct http_body *out);

#endif
