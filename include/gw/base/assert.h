/*
 * Assertions: for what only our own mistake can break (contracts, edges of state, counters that
 * must not wrap). Never for what a peer sent, the kernel returned or an operator configured.
 *
 * gw_assert stays in release builds. gw_assert_slow guards walks over whole structures and is on
 * where GW_SLOW_CHECKS is defined (test, fuzz and sanitizer builds).
 */
#ifndef GW_BASE_ASSERT_H
#define GW_BASE_ASSERT_H

#include <gw/base/defs.h>

/* Prints the claim and where it stands to stderr, then aborts. */
GW_NORETURN void gw_assert_failed(const char *claim, const char *file, int line);

#define gw_assert(claim)                                                                           \
    (__builtin_expect(!!(claim), 1) ? (void)0 : gw_assert_failed(#claim, __FILE__, __LINE__))

#define gw_unreachable(why) gw_assert_failed("unreachable: " why, __FILE__, __LINE__)

#ifdef GW_SLOW_CHECKS
#define gw_assert_slow(claim) gw_assert(claim)
#else
#define gw_assert_slow(claim) ((void)0)
#endif

#endif
