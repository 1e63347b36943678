/*
 * Networks: an address of which the first bits count. Addresses are in network order, as sockets
 * have them.
 */
#ifndef GW_BASE_PREFIX_H
#define GW_BASE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>

enum { GW_PREFIX_TEXT_BYTES = 64 };

struct gw_prefix {
    uint8_t address[16]; /* IPv4 in the first four; what does not count is zero */
    bool is_v6;
    uint8_t bits;
};

/* "192.0.2.0/24", "2001:db8::/32", or one address. No bit may be set beyond those that count. */
GW_MUST_USE bool gw_prefix_parse(const char *text, struct gw_prefix *out);
/* What gw_prefix_parse reads back. */
void gw_prefix_format(const struct gw_prefix *prefix, char out[GW_PREFIX_TEXT_BYTES]);

bool gw_prefix_has(const struct gw_prefix *prefix, const uint8_t *address, bool is_v6);

#endif
