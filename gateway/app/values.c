/*
 * Last values, as the process sees them: where they lie, and what to say of how they were found.
 */
#include "gateway_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/log.h>

static void tell(const struct gw_values_recovery *found, const char *path)
{
    bool lost = found->why[0] != '\0' || found->incomplete;

    gw_log(lost ? GW_LOG_WARN : GW_LOG_INFO, "values", GW_TEXT("path", path),
           GW_U64("pins", found->rows), GW_U64("replayed", found->replayed),
           GW_U64("ms", found->ms), GW_U64("rebuilt", found->rebuilt),
           GW_U64("incomplete", found->incomplete), GW_TEXT("why", found->why));
}

int values_open(struct gateway *g, char *why)
{
    const struct gw_config *config = g->config;
    char path[PATH_MAX];
    struct gw_values_options options = {
        .path = config->values_path,
        .journal_path = config->journal_path,
        .memory_bytes = config->values_memory_bytes,
        .checkpoint_s = config->values_checkpoint_s,
    };
    struct gw_journal_writer_stat journal;
    struct gw_values_recovery found;
    int err;

    if (!config->values_enabled) {
        if ((err = gw_values_forget_cursor(config->journal_path)) == 0)
            return EXIT_OK;
        (void)snprintf(why, WHY_BYTES, "the log's cursor %s, which nobody moves without values: %s",
                       GW_VALUES_CURSOR, strerror(-err));
        return EXIT_SYSTEM;
    }
    if (options.path == NULL) {
        if ((size_t)snprintf(path, sizeof path, "%s/values", config->journal_path) >= sizeof path) {
            (void)snprintf(why, WHY_BYTES, "journal.path is too long");
            return EXIT_CONFIG;
        }
        options.path = path;
    }
    gw_journal_writer_stat(g->writer, &journal);
    options.journal_end = journal.durable;
    if ((err = gw_values_open(&options, &g->values, &found, why, WHY_BYTES)) != 0)
        return err == -EACCES || err == -EPERM ? EXIT_PERMISSION : EXIT_SYSTEM;
    tell(&found, options.path);
    return EXIT_OK;
}
