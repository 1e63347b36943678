/*
 * What the log holds, read as any consumer would: with libgw's journal reader, from another process
 * than the gateway's.
 */
#ifndef TESTS_SYSTEM_UPDATES_H
#define TESTS_SYSTEM_UPDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/journal/record.h>

#include "harness.h"

struct sys_update {
    struct gw_record record; /* its name and value are the list's own copies */
    uint32_t lane;
};

struct sys_updates {
    struct sys_update *items;
    size_t count, capacity;
};

/* Everything durable, in the order of the log; what was read before is released. */
void sys_updates_read(struct sys_gateway *g, struct sys_updates *updates);
void sys_updates_release(struct sys_updates *updates);

/*
 * What a device did, without INFO, ONLINE and OFFLINE, "; " between them, owned by the caller:
 *
 *     write v1 3130             virtual write to pin 1, value in hexadecimal
 *     property v0 (3) color 23  of pin 0, 3 pins named
 *     group_begin at 17000000   with a time of the device, in microseconds
 *     write v1 31 grouped
 */
char *sys_updates_text(const struct sys_updates *updates, uint32_t device);

/* How many records of this kind a device has; the last one in *last, unless NULL. */
size_t sys_updates_count(const struct sys_updates *updates, uint32_t device,
                         enum gw_record_kind kind, const struct sys_update **last);

/* Reads until the device has `count` records of this kind; fails the test when that takes long. */
void sys_updates_wait(struct sys_gateway *g, struct sys_updates *updates, uint32_t device,
                      enum gw_record_kind kind, size_t count);

#endif
