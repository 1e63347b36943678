/*
 * All zones of a tz database: its files, wherever they lie below its folder, sorted by name.
 *
 * The copies in posix/ and right/, the tables and the lists beside the zones have names that no
 * zone has (gw_zone_is_name); what is left and does not begin as a TZif file is passed over.
 */
#include "zone_internal.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

enum { ZONES_MAX = 4096 };

struct gw_zones {
    uint32_t count;
    struct gw_zone *rows[ZONES_MAX];
};

static int by_name(const void *a, const void *b)
{
    const struct gw_zone *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

static int add(struct gw_zones *zones, const char *path, struct gw_bytes name, uint32_t *skipped)
{
    struct gw_zone *zone;
    int err;

    if (zones->count == ZONES_MAX)
        return -E2BIG;
    err = gw_zone_load(path, name, &zone);
    if (err == 0)
        zones->rows[zones->count++] = zone;
    else
        ++*skipped;
    return err == -ENOMEM ? err : 0;
}

static int walk(struct gw_zones *zones, const char *path, uint32_t *skipped)
{
    char *const roots[] = {(char *)(uintptr_t)path, NULL};
    const size_t path_bytes = strlen(path);
    const size_t name_at = path_bytes + (path_bytes > 0 && path[path_bytes - 1] != '/');
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    int err = tree == NULL ? -errno : 0;
    FTSENT *entry;

    while (err == 0 && (errno = 0, entry = fts_read(tree)) != NULL) {
        const struct gw_bytes name = entry->fts_level == FTS_ROOTLEVEL
                                         ? gw_bytes_of(NULL, 0)
                                         : gw_bytes_text(entry->fts_path + name_at);

        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS)
            err = entry->fts_level == FTS_ROOTLEVEL ? -entry->fts_errno : 0;
        else if (entry->fts_info == FTS_D && name.size != 0 && !gw_zone_is_name(name))
            (void)fts_set(tree, entry, FTS_SKIP);
        else if (entry->fts_info == FTS_F && gw_zone_is_name(name))
            err = add(zones, path, name, skipped);
    }
    if (err == 0 && errno != 0)
        err = -errno;
    if (tree != NULL)
        (void)fts_close(tree);
    return err;
}

int gw_zones_load(const char *path, struct gw_zones **out, uint32_t *skipped)
{
    struct gw_zones *zones = calloc(1, sizeof *zones);
    int err;

    *skipped = 0;
    if (zones == NULL)
        return -ENOMEM;
    err = walk(zones, path, skipped);
    if (err == 0 && zones->count == 0)
        err = -ENOENT;
    if (err != 0) {
        gw_zones_destroy(zones);
        return err;
    }
    qsort(zones->rows, zones->count, sizeof(struct gw_zone *), by_name);
    *out = zones;
    return 0;
}

void gw_zones_destroy(struct gw_zones *zones)
{
    if (zones == NULL)
        return;
    for (uint32_t i = 0; i < zones->count; i++)
        gw_zone_destroy(zones->rows[i]);
    free(zones);
}

uint32_t gw_zones_count(const struct gw_zones *zones)
{
    return zones->count;
}

const struct gw_zone *gw_zones_find(const struct gw_zones *zones, struct gw_bytes name)
{
    uint32_t low = 0, high = zones == NULL ? 0 : zones->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct gw_bytes there = gw_bytes_text(zones->rows[middle]->name);
        const size_t common = there.size < name.size ? there.size : name.size;
        int order = common == 0 ? 0 : memcmp(there.data, name.data, common);

        if (order == 0 && there.size == name.size)
            return zones->rows[middle];
        if (order < 0 || (order == 0 && there.size < name.size))
            low = middle + 1;
        else
            high = middle;
    }
    return gw_bytes_are(name, "UTC") ? gw_zone_utc() : NULL;
}
