/*
 * The ledger: what a swarm sent and what was acknowledged, one line for each session that
 * published, so that a journal can be held against it afterwards.
 *
 *     # tollgate-bench ledger 1 run 5f3a91c2 devices 40
 *     device session first sent acked
 *
 * `device` is the place of its token in the tokens file, from 0; `session` counts that device's
 * logins from 1. Each device counts its updates from 1, over all its sessions, and never uses a
 * number twice: this session sent `first`..`sent`, and everything up to `acked` was acknowledged
 * (`acked` = `first` - 1 when nothing was). Sessions of one device stand in their order.
 *
 * Each update's value ends in a stamp that names it: "21.4 5f3a91c2.17.204" is a reading, then run,
 * device and counter. The run is a random number, so that runs share a journal without confusion.
 */
#ifndef SWARM_LEDGER_H
#define SWARM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum {
    SWARM_VALUE_BYTES_MAX = 4000,
    SWARM_STAMPED_BYTES_MAX = 48, /* of a value that is no longer than it needs to be */
};

struct swarm_stamp {
    uint32_t run, device, counter;
};

/*
 * Writes an update's value, reading and stamp, without a NUL; returns its bytes: `wanted`, or as
 * many as it needs where that is 0. Wanted longer, the reading has zeros in front; shorter than it
 * needs, the stamp is cut off.
 */
size_t swarm_value_write(char out[SWARM_VALUE_BYTES_MAX], struct swarm_stamp stamp, size_t wanted);
/* False when the value does not end in a stamp: not an update of any swarm. */
GW_MUST_USE bool swarm_value_read(struct gw_bytes value, struct swarm_stamp *out);

struct swarm_ledger_line {
    uint32_t device, session, first, sent, acked;
};

void swarm_ledger_write_head(FILE *file, uint32_t run, uint32_t devices);
void swarm_ledger_write(FILE *file, const struct swarm_ledger_line *line);

struct swarm_ledger {
    uint32_t run, devices;
    struct swarm_ledger_line *lines; /* in file order */
    size_t line_count;
};

/*
 * 0 or -errno; -EINVAL for a line that breaks the form or its own arithmetic, with *bad_line its
 * number, from 1.
 */
GW_MUST_USE int swarm_ledger_read(FILE *file, struct swarm_ledger *out, size_t *bad_line);
void swarm_ledger_fini(struct swarm_ledger *ledger);

#endif
