/*
 * The header with which a proxy begins a connection that it makes for somebody else: the PROXY
 * protocol, versions 1 (a line of text) and 2 (binary).
 *
 *     PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n
 *
 *     | 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | version and command | family | length, 2 BE | ... |
 *
 * Source: HAProxy's doc/proxy-protocol.txt, sections 2.1 and 2.2.
 */
#ifndef GW_WIRE_PROXY_H
#define GW_WIRE_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum {
    GW_PROXY_LINE_BYTES_MAX = 107,   /* version 1, its CR LF among them                     */
    GW_PROXY_HEADER_BYTES_MAX = 512, /* version 2, the bound of ours: it may name up to 65551 */
};

struct gw_proxy {
    bool is_known; /* false: the proxy speaks for itself (LOCAL), or of no TCP (UNKNOWN)     */
    bool is_v6;
    uint8_t address[16]; /* the client's, network order; IPv4 in the first four */
    uint16_t port;
};

/*
 * Reads a header from the front of `in`.
 *   GW_OK         *out is filled; *used > 0 bytes belong to it
 *   GW_MORE       a proper prefix so far; *used = 0, *out untouched
 *   GW_BAD_FRAME  no header, or one that is not exactly as the protocol has it, or too long
 * Same bytes, same answer, wherever the stream was cut. Any thread; allocates nothing.
 */
GW_MUST_USE enum gw_status gw_proxy_decode(struct gw_bytes in, struct gw_proxy *out, size_t *used);

#endif
