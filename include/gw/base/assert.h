/*
 * Assertions: for what only our own mistake can break (contracts, edges of state, counters that
 * must not wrap). Never for what a peer sent, the kernel returned or an operator configured.
 *
 * They stay in release builds. Walks over whole structures have functions of their own
 * (gw_slab_check, gw_timer_wheel_check, gw_shard_check), which tests and the simulation call.
 */
#ifndef GW_BASE_ASSERT_H
#define GW_BASE_ASSERT_H

#include <gw/base/defs.h>

/* Prints the claim and where it stands to stderr, then aborts. */
GW_NORETURN void gw_assert_failed(const char *claim, const char *file, int line);

#define gw_assert(claim)                                                                           \
    (__builtin_expect(!!(claim), 1) ? (void)0 : gw_assert_failed(#claim, __FILE__, __LINE__))

#define gw_unreachable(why) gw_assert_failed("unreachable: " why, __FILE__, __LINE__)

#endif
