/*
 * The token index is the real one, on a pretend LMDB that fails now and then (pretend_lmdb.h). What
 * would take a million changes is here: those that a shard has yet to read are forgotten. The
 * linker gives calls of gw_index_changes to this (--wrap).
 */
#ifndef SIM_PRETEND_INDEX_H
#define SIM_PRETEND_INDEX_H

#include <stdint.h>

#include "random.h"

/* One step of a reader in `one_in` fails, and now and then it misses changes; 0: none. */
void pretend_index_fail(struct chance *chance, uint32_t one_in);
/* How often a reader was not told, or not all; the last time, 0: never. */
uint64_t pretend_index_failures(void);
uint64_t pretend_index_failed_ns(void);

#endif
