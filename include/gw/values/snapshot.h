/*
 * The store of last values, read by another process than the gateway's: what the last checkpoint
 * left there, which is up to values.checkpoint_s old while the gateway runs.
 */
#ifndef GW_VALUES_SNAPSHOT_H
#define GW_VALUES_SNAPSHOT_H

#include <gw/values/values.h>

struct gw_values_snapshot;

/* 0, or -errno with a reason: -ENOENT when there is no store, or nothing in it yet. */
GW_MUST_USE int gw_values_snapshot_open(const char *path, struct gw_values_snapshot **out,
                                        const char **why);
void gw_values_snapshot_close(struct gw_values_snapshot *snapshot); /* NULL is fine */

/* Of the checkpoint, since 1970. */
uint64_t gw_values_snapshot_time_us(const struct gw_values_snapshot *snapshot);

/* As gw_values_each, of this one state; bytes live until the snapshot is closed. */
GW_MUST_USE int gw_values_snapshot_each(struct gw_values_snapshot *snapshot, uint32_t device,
                                        char bank,
                                        bool (*visit)(void *context, const struct gw_value *value),
                                        void *context);

#endif
