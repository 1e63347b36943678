/*
 * HTTP/1.1 requests as bytes: the head, then the body. Strict where leniency lets two parties of a
 * chain read the same bytes as different requests (RFC 9112 11.2), so what is doubtful is refused,
 * and whoever refuses closes the connection.
 *
 * Both readers are given all bytes so far from the request's first, and answer with views into
 * them; they keep nothing, allocate nothing and know no clock. The same bytes get the same answer
 * wherever the stream was cut. Any thread.
 */
#ifndef GW_HTTP_REQUEST_H
#define GW_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum gw_http_fault {
    GW_HTTP_FAULT_NONE,
#define GW_HTTP_FAULT(name, status, text) GW_HTTP_FAULT_##name,
#include <gw/http/faults.def>
#undef GW_HTTP_FAULT
    GW_HTTP_FAULTS,
};

/* The status that refuses such a request, and a sentence for whoever sent it. Not for NONE. */
uint16_t gw_http_fault_status(enum gw_http_fault fault);
const char *gw_http_fault_text(enum gw_http_fault fault);

enum gw_http_method {
    GW_HTTP_GET = 1 << 0, /* a bit each, for tables that permit several */
    GW_HTTP_HEAD = 1 << 1,
    GW_HTTP_POST = 1 << 2,
    GW_HTTP_PUT = 1 << 3,
    GW_HTTP_OPTIONS = 1 << 4,
    GW_HTTP_OTHER = 1 << 5, /* a token that names none of these */
};

struct gw_http_limits {
    uint32_t head_bytes_max; /* from the first byte to the empty line                        */
    uint32_t headers_max;
    uint32_t body_bytes_max;
    uint32_t chunked_bytes_max; /* of a chunked body, as it comes: it is read again with each
                                   piece that arrives                                          */
};

struct gw_http_request {
    enum gw_http_fault fault;   /* with GW_BAD_FRAME                                           */
    enum gw_http_method method; /* 0 when the request was refused before it was read           */
    uint8_t minor;              /* HTTP/1.minor: 0, or 1 for 1.1 and later                     */
    bool keep_alive;            /* another request may follow                                  */
    bool expects_continue;      /* "100 Continue" is waited for                                */
    bool chunked;
    uint64_t content_length; /* 0 when chunked or without a body                               */
    struct gw_bytes path;    /* begins with '/'; its escapes are well formed, but not resolved */
    struct gw_bytes query;   /* behind the '?'; likewise                                       */
    struct gw_bytes host, authorization, content_type; /* empty when absent                    */
    struct gw_bytes websocket_key, websocket_version;  /* Sec-WebSocket-...; likewise           */
    bool upgrade_websocket;  /* Upgrade names "websocket"                                      */
    bool connection_upgrade; /* and Connection names Upgrade                                   */
    size_t head_bytes;
};

/*
 * GW_OK         *out is filled, out->head_bytes belong to the head
 * GW_MORE       a proper prefix of one so far
 * GW_BAD_FRAME  out->fault says why; method, minor and query are set as far as they were read
 */
GW_MUST_USE enum gw_status gw_http_head_read(struct gw_bytes in,
                                             const struct gw_http_limits *limits,
                                             struct gw_http_request *out);

struct gw_http_body {
    enum gw_http_fault fault; /* with GW_BAD_FRAME                                            */
    struct gw_bytes bytes;    /* the content: in the input, or in `room` when it came in chunks */
    size_t used;              /* bytes of the input that were the body, trailers included     */
    size_t need;              /* with GW_MORE: fewer bytes than this are no reason to ask again */
};

/*
 * Reads the body of `request`; `in` begins behind its head. `room` takes the content of a chunked
 * body and is limits->chunked_bytes_max large. Trailers are checked and dropped.
 */
GW_MUST_USE enum gw_status gw_http_body_read(struct gw_bytes in,
                                             const struct gw_http_request *request,
                                             const struct gw_http_limits *limits, uint8_t *room,
                                             struct gw_http_body *out);

/*
 * The next "name=value" of a query, escapes not resolved; false after the last. Empty pairs are
 * passed over. value.data is NULL when there is no '='.
 */
bool gw_http_query_next(struct gw_bytes *rest, struct gw_bytes *name, struct gw_bytes *value);

/*
 * Resolves %XX, and '+' to a blank where that is the custom (`form`: queries, not paths). Writes at
 * most in.size bytes; returns how many. Escapes must be well formed: those of a head that was read
 * are.
 */
size_t gw_http_unescape(struct gw_bytes in, bool form, uint8_t *out);

/* Is this field value the media type, whatever parameters follow? "application/json". */
bool gw_http_media_type_is(struct gw_bytes value, const char *type);

#endif
