/*
 * A disk in memory for the journal: knows what was synced, and fails when chance says so. What it
 * has synced it hands out, record by record: the simulation's truth about durability.
 */
#ifndef SIM_PRETEND_DISK_H
#define SIM_PRETEND_DISK_H

#include <gw/journal/batch.h>
#include <gw/journal/io.h>
#include <gw/journal/segment.h>

#include "random.h"

struct pretend_disk;

struct pretend_disk *pretend_disk_create(struct chance *chance, uint64_t seed,
                                         void (*durable)(void *context,
                                                         const struct gw_record *record),
                                         void *context);
void pretend_disk_destroy(struct pretend_disk *disk);
const struct gw_journal_io *pretend_disk_io(const struct pretend_disk *disk);
void pretend_disk_calm(struct pretend_disk *disk);
/* Writes and syncs that were made to fail. */
uint64_t pretend_disk_faults(const struct pretend_disk *disk);

#endif
