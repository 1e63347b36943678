/*
 * Before a run: whose tokens, on how many threads. Both return 0, or the exit code after the reason
 * was printed.
 */
#ifndef SWARM_PLAN_H
#define SWARM_PLAN_H

#include <stdint.h>

#include <gw/base/defs.h>
#include <gw/wire/token_text.h>

#include "options.h"

/* The first *devices tokens of a file, 0 for all of them: then *devices says how many that are. */
GW_MUST_USE int swarm_tokens_read(const char *path, uint32_t *devices,
                                  char (**tokens)[GW_TOKEN_TEXT_BYTES]);

/* Threads, so that each one's devices fit its descriptor table; raises the soft limit if needed. */
GW_MUST_USE int swarm_threads_plan(const struct swarm_options *options, uint32_t devices,
                                   uint32_t *threads);

#endif
