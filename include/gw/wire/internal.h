/*
 * INTERNAL (17) from a device: either the info frame that every client sends after its login, or a
 * request for time or metadata. The first key says whether it is a request; anything else that has
 * a key of info frames, at any place, is an info frame.
 */
#ifndef GW_WIRE_INTERNAL_H
#define GW_WIRE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum gw_internal {
    GW_INTERNAL_EMPTY,    /* no body: status 2                                      */
    GW_INTERNAL_INFO,     /* the info frame                                         */
    GW_INTERNAL_RTC,      /* "rtc" or "rtc" NUL "sync"                              */
    GW_INTERNAL_UTC,      /* "utc" NUL what: argument = what                        */
    GW_INTERNAL_META_GET, /* "meta" NUL "get" NUL field: argument = field           */
    GW_INTERNAL_META_SET, /* "meta" NUL "set" NUL field NUL value: argument, value  */
    GW_INTERNAL_UNKNOWN,  /* silence                                                */
};

/*
 * What the info frame says. Absent keys are empty or -1. Keys come in any order and unknown ones
 * are skipped; the same key twice: the last one counts.
 */
struct gw_info {
    struct gw_bytes product;  /* "tmpl": the product id that the firmware was built for */
    struct gw_bytes library;  /* "blynk", else "ver"                                    */
    struct gw_bytes firmware; /* "mcu", "ncp" or "fw"                                   */
    struct gw_bytes firmware_type, build, board, cpu, connection;
    int64_t heartbeat_s;  /* "h-beat": as sent, saturated to [0, 2^31); -1 absent or not a number */
    int64_t buffer_bytes; /* "buff-in": the largest body the device takes; same rules             */
};

struct gw_internal_request {
    enum gw_internal what;
    struct gw_bytes argument, value;
    struct gw_info info; /* INFO only */
};

void gw_internal_parse(struct gw_bytes body, struct gw_internal_request *out);

#endif
