/*
 * HTTP/1.1 responses as bytes. Field names are in lower case: small clients of devices compare them
 * byte by byte.
 */
#ifndef GW_HTTP_RESPONSE_H
#define GW_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum {
    GW_HTTP_DATE_BYTES = 30,           /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL             */
    GW_HTTP_ORIGIN_BYTES_MAX = 128,    /* of cors_origin                                        */
    GW_HTTP_RESPONSE_HEAD_BYTES = 768, /* more than any head takes                              */
};

struct gw_http_response {
    uint16_t status;
    bool keep_alive;
    bool head_only;           /* the request was HEAD: the length of the body, not the body    */
    uint64_t date_s;          /* since 1970                                                    */
    const char *content_type; /* NULL without a body                                           */
    struct gw_bytes body;
    const char *allow;       /* NULL, or the methods that are: with 405                        */
    uint32_t retry_after_s;  /* 0: not said                                                    */
    const char *cors_origin; /* NULL, or which origin's pages may read the answer              */
    bool preflight;          /* and what they may send: the answer to their OPTIONS            */
};

/* Writes the response; its bytes, or 0 (nothing written) when it does not fit. */
size_t gw_http_response_write(uint8_t *out, size_t capacity,
                              const struct gw_http_response *response);

/* "Not Found"; "Unknown" for a status that is never given. */
const char *gw_http_reason(uint16_t status);

/* RFC 9110 5.6.7, whatever the locale. */
void gw_http_date(uint64_t unix_s, char out[GW_HTTP_DATE_BYTES]);

#endif
