/*
 * UTF-8 in bytes that anybody may have sent.
 */
#ifndef GW_BASE_UTF8_H
#define GW_BASE_UTF8_H

#include <stddef.h>

#include <gw/base/bytes.h>

/* How many bytes of well-formed UTF-8 (RFC 3629) the first character of `in`, not empty, has: 0 for
 * none. */
size_t gw_utf8_bytes(struct gw_bytes in);

#endif
