/*
 * Lines and fields, shared by heads and by the trailers of chunked bodies.
 */
#ifndef GW_HTTP_INTERNAL_H
#define GW_HTTP_INTERNAL_H

#include <gw/http/request.h>

/*
 * Takes a line and its CR LF off *rest. GW_MORE while it is not whole; GW_BAD_FRAME with *fault for
 * a CR or a LF without the other.
 */
enum gw_status http_take_line(struct gw_bytes *rest, struct gw_bytes *line,
                              enum gw_http_fault *fault);

/* RFC 9110 5.6.2: what methods and field names are made of. */
bool http_is_token(struct gw_bytes text);

/* "name: value", white space around the value taken off. */
enum gw_http_fault http_read_field(struct gw_bytes line, struct gw_bytes *name,
                                   struct gw_bytes *value);

/* Equal but for the case of ASCII letters. */
bool http_equals(struct gw_bytes text, const char *lower);

/* The bytes before the first `stop`, which is taken off *rest with them. False: there is none. */
bool http_split(struct gw_bytes *rest, char stop, struct gw_bytes *out);

struct gw_bytes http_trim(struct gw_bytes text);

static inline bool http_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit; -1 for any other character. */
int http_hex_digit(uint8_t c);

#endif
