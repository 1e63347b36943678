/*
 * Queries and media types.
 */
#include "http_internal.h"

bool gw_http_query_next(struct gw_bytes *rest, struct gw_bytes *name, struct gw_bytes *value)
{
    struct gw_bytes pair;

    do {
        if (rest->size == 0)
            return false;
        if (!http_split(rest, '&', &pair)) {
            pair = *rest;
            *rest = gw_bytes_of(NULL, 0);
        }
    } while (pair.size == 0);
    *value = pair;
    if (!http_split(value, '=', name)) {
        *name = pair;
        *value = gw_bytes_of(NULL, 0);
    }
    return true;
}

size_t gw_http_unescape(struct gw_bytes in, bool form, uint8_t *out)
{
    size_t bytes = 0;

    for (size_t i = 0; i < in.size; i++) {
        uint8_t c = in.data[i];

        if (c == '%' && in.size - i >= 3) {
            c = (uint8_t)(http_hex_digit(in.data[i + 1]) << 4 | http_hex_digit(in.data[i + 2]));
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        out[bytes++] = c;
    }
    return bytes;
}

bool gw_http_media_type_is(struct gw_bytes value, const char *type)
{
    struct gw_bytes bare;

    if (!http_split(&value, ';', &bare)) /* RFC 9110 8.3.1: parameters follow a semicolon */
        bare = value;
    return http_equals(http_trim(bare), type);
}
