/*
 * values: the last value of each pin of a device, as the gateway's store has them.
 */
#include "ctl_index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/clock.h>
#include <gw/values/snapshot.h>

#include "record_print.h"

enum { PATH_BYTES = 4096 };

static const char *store_path(const char *option, const char *journal, char out[PATH_BYTES])
{
    if (option != NULL)
        return option;
    if (journal == NULL || journal[0] == '\0')
        journal = getenv("TOLLGATE_JOURNAL");
    (void)snprintf(out, PATH_BYTES, "%s/values",
                   journal != NULL && journal[0] != '\0' ? journal : "/var/lib/tollgate/journal");
    return out;
}

/* As the write that set it. */
static bool print_value(void *context, const struct gw_value *value)
{
    static const uint8_t flags[] = {
        [GW_VALUE_FROM_DEVICE] = 0,
        [GW_VALUE_FROM_HTTP] = GW_RECORD_FROM_HTTP,
        [GW_VALUE_FROM_CONTROL] = GW_RECORD_FROM_CONTROL,
        [GW_VALUE_FROM_BRIDGE] = GW_RECORD_FROM_BRIDGE,
    };
    struct gw_journal_item item = {
        .kind = GW_JOURNAL_RECORD,
        .record = {.kind = GW_RECORD_PIN_WRITE,
                   .flags = value->origin < GW_ARRAY_COUNT(flags) ? flags[value->origin] : 0,
                   .device = *(const uint32_t *)context,
                   .time_us = value->time_us,
                   .bank = value->bank,
                   .pin = value->pin,
                   .value = value->bytes}};

    record_print_text(stdout, &item);
    return true;
}

static int print_all(struct gw_values_snapshot *snapshot, uint32_t device)
{
    static const char banks[] = {'v', 'd', 'a'};
    uint64_t now_us = gw_clock_wall_us(), of_us = gw_values_snapshot_time_us(snapshot);

    for (size_t i = 0; i < GW_ARRAY_COUNT(banks); i++) {
        int err = gw_values_snapshot_each(snapshot, device, banks[i], print_value, &device);

        if (err != 0)
            return ctl_fail(ctl_exit_of(err), "cannot read the values: %s", strerror(-err));
    }
    if (fflush(stdout) != 0)
        return ctl_fail(CTL_FAILED, "standard output could not be written");
    ctl_note("as of %" PRIu64 " s ago; what is newer, 'tollgatectl tail' shows\n",
             (now_us - gw_min_u64(of_us, now_us)) / 1000000);
    return CTL_OK;
}

int ctl_values(int argc, char **argv)
{
    const char *journal = NULL, *path = NULL, *why;
    const struct ctl_option options[] = {{"journal", &journal, NULL}, {"values", &path, NULL}};
    struct gw_values_snapshot *snapshot;
    char memory[PATH_BYTES];
    uint32_t device;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    path = store_path(path, journal, memory);
    if ((err = gw_values_snapshot_open(path, &snapshot, &why)) != 0)
        return ctl_fail(ctl_exit_of(err), "last values in %s: %s: %s", path, why, strerror(-err));
    code = print_all(snapshot, device);
    gw_values_snapshot_close(snapshot);
    return code;
}
