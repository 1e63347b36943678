/*
 * LMDB in memory, as far as the token index uses it: implements lmdb.h for one database that any
 * number of environments have open. So the index's own code, reader and writer, is the real one,
 * and a run can change its tokens without a file.
 *
 * A commit makes a new version and leaves the old ones alone: a read transaction is a pointer to
 * one. Rows and versions come from one piece of memory, of which a run gives back what it took.
 * What LMDB may answer besides, it answers when it is told to fail.
 */
#ifndef SIM_PRETEND_LMDB_H
#define SIM_PRETEND_LMDB_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

/* What is committed now is what pretend_lmdb_restore goes back to. */
void pretend_lmdb_keep(void);
/* No transaction is open but readers that were reset. */
void pretend_lmdb_restore(void);
/* One step of a reader in `one_in` fails; 0: none. Writers never fail. */
void pretend_lmdb_fail(struct chance *chance, uint32_t one_in);
uint64_t pretend_lmdb_faults(void);

#endif
