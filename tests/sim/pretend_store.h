/*
 * The store of last values without LMDB: implements what gateway/values/store.c does, in memory. A
 * write is there with all of it or, when the machine dies in it, with rows and without its head, as
 * a checkpoint of several transactions may be.
 */
#ifndef SIM_PRETEND_STORE_H
#define SIM_PRETEND_STORE_H

#include <stdbool.h>

#include "pretend_disk.h"

/* An empty one. It shares the fate of `disk`. */
void pretend_store_begin(struct pretend_disk *disk);
/* At the next start it cannot be read. */
void pretend_store_damage(void);

#endif
