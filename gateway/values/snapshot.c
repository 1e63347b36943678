/*
 * The store alone, for people: one read transaction from the beginning to the end.
 */
#include <gw/values/snapshot.h>

#include <errno.h>
#include <stdlib.h>

#include "values_internal.h"

struct gw_values_snapshot {
    struct values_store store;
    struct values_view view;
    struct values_head head;
};

int gw_values_snapshot_open(const char *path, struct gw_values_snapshot **out, const char **why)
{
    struct gw_values_snapshot *snapshot = calloc(1, sizeof *snapshot);
    int err;

    *out = NULL;
    *why = "out of memory";
    if (snapshot == NULL)
        return -ENOMEM;
    if ((err = values_store_open(&snapshot->store, path, VALUES_STORE_READ, why)) == 0) {
        *why = "no checkpoint has been written to it yet";
        if ((err = values_store_head(&snapshot->store, &snapshot->head)) == 0) {
            *why = "it cannot be read now";
            if ((err = values_view_open(&snapshot->store, &snapshot->view)) == 0)
                err = values_view_renew(&snapshot->view);
        }
    }
    if (err != 0) {
        gw_values_snapshot_close(snapshot);
        return err;
    }
    *out = snapshot;
    return 0;
}

void gw_values_snapshot_close(struct gw_values_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    values_view_close(&snapshot->view);
    values_store_close(&snapshot->store);
    free(snapshot);
}

uint64_t gw_values_snapshot_time_us(const struct gw_values_snapshot *snapshot)
{
    return snapshot->head.time_us;
}

int gw_values_snapshot_each(struct gw_values_snapshot *snapshot, uint32_t device, char bank,
                            bool (*visit)(void *context, const struct gw_value *value),
                            void *context)
{
    struct values_pins pins = {{0}};
    int err = values_view_pins(&snapshot->view, device, bank, &pins);

    for (uint32_t pin = 0; pin < VALUES_PINS && err == 0; pin++) {
        struct gw_value value;

        if (!values_pins_have(&pins, (uint8_t)pin))
            continue;
        err = values_view_get(&snapshot->view, values_key(device, bank, (uint8_t)pin), &value);
        if (err == 0 && !visit(context, &value))
            break;
    }
    return err;
}
