/*
 * A disk in memory for the log: names and bytes, each as a program sees them and as the disk has
 * them (pretend_file.h). It fails when chance says so, and dies in the middle of an operation when
 * it is told to. What it has synced it hands out, record by record: the simulation's truth about
 * durability.
 *
 * What is in a directory reaches the disk in the order in which it was done, as with a journaling
 * file system, and for certain with an fsync of the directory. Directories themselves are always
 * there. A read that fails succeeds when it is repeated.
 */
#ifndef SIM_PRETEND_DISK_H
#define SIM_PRETEND_DISK_H

#include <gw/journal/batch.h>
#include <gw/journal/io.h>
#include <gw/journal/segment.h>

#include "random.h"

struct pretend_disk;

/* Told of each record that a sync has just made durable. */
typedef void pretend_disk_durable(void *context, const struct gw_batch *batch,
                                  const struct gw_record *record);

struct pretend_disk *pretend_disk_create(struct chance *chance, uint64_t seed,
                                         pretend_disk_durable *durable, void *context);
void pretend_disk_destroy(struct pretend_disk *disk);
const struct gw_journal_io *pretend_disk_io(const struct pretend_disk *disk);

/* One operation in `one_in` fails; 0: none. In bursts: every other one behind one that failed. */
void pretend_disk_fail(struct pretend_disk *disk, uint32_t one_in);
void pretend_disk_fail_in_bursts(struct pretend_disk *disk, bool bursts);
/* No file grows. */
void pretend_disk_fill(struct pretend_disk *disk, bool full);
/* No fdatasync succeeds, while all else may. */
void pretend_disk_break(struct pretend_disk *disk, bool broken);
/* Operations that were made to fail. */
uint64_t pretend_disk_faults(const struct pretend_disk *disk);

/* Tells of what becomes durable; while the log is opened nobody need be told. */
void pretend_disk_tell(struct pretend_disk *disk, bool tell);
/* For the simulation's own look: nothing fails, there is room, and nothing is left to chance. */
void pretend_disk_watch(struct pretend_disk *disk, bool watched);

/*
 * The process, or the machine, dies now, or within the so manieth operation from now, or sync of a
 * file; 0: not.
 */
void pretend_disk_die(struct pretend_disk *disk);
void pretend_disk_die_in(struct pretend_disk *disk, uint32_t operations);
void pretend_disk_die_in_sync(struct pretend_disk *disk, uint32_t syncs);
bool pretend_disk_is_dead(const struct pretend_disk *disk);
/* The next life: descriptors and locks are gone, and with the power whatever was not synced. */
void pretend_disk_revive(struct pretend_disk *disk, bool power_was_lost);
/*
 * What is opened belongs to a process of its own. That lives on when the gateway's dies; with the
 * power it goes as well, and then has nothing to do but to close what it had.
 */
void pretend_disk_elsewhere(struct pretend_disk *disk, bool elsewhere);
/* How often the power was lost. */
uint32_t pretend_disk_power_cuts(const struct pretend_disk *disk);

/* False: the disk is dead, or dies with this, or the operation fails. For others who share it. */
bool pretend_disk_allows(struct pretend_disk *disk);

#endif
