/*
 * Words every room uses: must-use results, the empty slot, alignment helpers.
 */
#ifndef GW_BASE_DEFS_H
#define GW_BASE_DEFS_H

#include <stdint.h>

#define GW_MUST_USE     __attribute__((warn_unused_result))
#define GW_NORETURN     __attribute__((noreturn))
#define GW_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define GW_CACHE_LINE   64

/* "No slot": what a link holds when it links to nothing. */
#define GW_NONE UINT32_MAX

/* Answer of a decoder that reads from a stream. */
enum gw_status {
    GW_OK,        /* an item was read                                   */
    GW_MORE,      /* a proper prefix so far; nothing was consumed       */
    GW_BAD_FRAME, /* the bytes break the format: the sender's fault     */
};

#define GW_ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline uint64_t gw_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t gw_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
