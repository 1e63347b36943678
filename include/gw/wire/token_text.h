/*
 * A device token: 24 random bytes, written as 32 characters of URL-safe base64 without padding
 * (RFC 4648, section 5). Older tokens are 32 hexadecimal digits, which are 32 characters of the
 * same alphabet and decode to 24 bytes like any other.
 */
#ifndef GW_WIRE_TOKEN_TEXT_H
#define GW_WIRE_TOKEN_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum { GW_TOKEN_BYTES = 24, GW_TOKEN_TEXT_BYTES = 32 };

/*
 * False, with `out` zeroed, unless `text` is exactly 32 characters of the alphabet. Takes the same
 * time for every 32-character text.
 */
GW_MUST_USE bool gw_token_from_text(struct gw_bytes text, uint8_t out[GW_TOKEN_BYTES]);

/* Writes 32 characters and no NUL. */
void gw_token_to_text(const uint8_t token[GW_TOKEN_BYTES], char out[GW_TOKEN_TEXT_BYTES]);

#endif
