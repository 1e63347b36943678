/*
 * A new index: directory, pepper, tables, head row, then the modes that let a gateway of another
 * user read it. What is written before the head row is no index yet: an interrupted creation is
 * refused by every opener and can be removed.
 */
#include "writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/clock.h>

static int join(char out[PATH_MAX], const char *directory, const char *name)
{
    return (size_t)snprintf(out, PATH_MAX, "%s/%s", directory, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int gw_files_set_modes(const char *path, bool has_group, gid_t group)
{
    static const struct {
        const char *name;
        mode_t alone, shared;
    } files[] = {
        {"data.mdb", 0600, 0640},
        {"lock.mdb", 0600, 0660}, /* readers write their slots here */
        {"pepper", 0400, 0440},
        {"", 0700, 0750},
    };

    for (size_t i = 0; i < GW_ARRAY_COUNT(files); i++) {
        char file[PATH_MAX];

        if (join(file, path, files[i].name) != 0)
            return -ENAMETOOLONG;
        /* By path: opening and closing lock.mdb would drop the locks of our own environment. */
        if ((has_group && chown(file, (uid_t)-1, group) != 0) ||
            chmod(file, has_group ? files[i].shared : files[i].alone) != 0) {
            if (errno != ENOENT || strcmp(files[i].name, "pepper") != 0)
                return -errno; /* a pepper kept elsewhere is its keeper's business */
        }
    }
    return 0;
}

/* Makes the pepper if it is not there; either way it must load. */
static int ensure_pepper(const struct gw_index_create_options *options,
                         uint8_t pepper[GW_PEPPER_BYTES], const char **why)
{
    char path[PATH_MAX];
    ssize_t put;
    int fd, err = 0;

    *why = "the pepper file cannot be made";
    if (options->pepper != NULL)
        err = (size_t)snprintf(path, sizeof path, "%s", options->pepper) < sizeof path
                  ? 0
                  : -ENAMETOOLONG;
    else
        err = join(path, options->path, "pepper");
    if (err != 0)
        return err;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd >= 0) {
        gw_random(pepper, GW_PEPPER_BYTES);
        put = write(fd, pepper, GW_PEPPER_BYTES);
        if (put != GW_PEPPER_BYTES || fsync(fd) != 0)
            err = put >= 0 && put != GW_PEPPER_BYTES ? -ENOSPC : -errno;
        (void)close(fd);
        if (err != 0)
            (void)unlink(path);
    } else if (errno != EEXIST) {
        err = -errno;
    }
    return err != 0 ? err : gw_pepper_load(options->path, options->pepper, pepper, why);
}

void gw_writer_draw_lineage(struct gw_meta *meta)
{
    gw_random(meta->lineage, sizeof meta->lineage);
}

static int put_head_row(struct gw_store *store)
{
    struct gw_index_writer writer = {.store = *store, .now_us = gw_clock_wall_us()};
    int err = gw_store_error(mdb_txn_begin(store->env, NULL, 0, &writer.view.txn));

    if (err != 0)
        return err;
    writer.view.store = store;
    writer.meta = (struct gw_meta){
        .schema = GW_INDEX_SCHEMA,
        .complete = true,
        .generation = 1,
        .next_device = 1,
        .next_product = 1,
        .next_org = 1,
        .change_first = 1,
        .change_next = 1,
        .created_s = writer.now_us / 1000000,
        .changed_us = writer.now_us,
    };
    gw_random(&writer.meta.hash_seed, sizeof writer.meta.hash_seed);
    gw_writer_draw_lineage(&writer.meta);
    gw_store_pepper_check(store, writer.meta.pepper_check);
    err = gw_writer_put_meta(&writer);
    gw_wipe(&writer.store.pepper, sizeof writer.store.pepper);
    gw_wipe(&writer.store.tag_key, sizeof writer.store.tag_key);
    if (err != 0) {
        mdb_txn_abort(writer.view.txn);
        return err;
    }
    return gw_store_error(mdb_txn_commit(writer.view.txn));
}

int gw_index_create(const struct gw_index_create_options *options, const char **why)
{
    uint8_t pepper[GW_PEPPER_BYTES];
    char file[PATH_MAX];
    struct gw_store store;
    struct stat there;
    int err;

    *why = "the path of the index is too long";
    if ((err = join(file, options->path, "data.mdb")) != 0)
        return err;
    *why = "there is an index already";
    if (stat(file, &there) == 0)
        return -EEXIST;
    *why = "its directory cannot be made";
    if (mkdir(options->path, 0700) != 0 && errno != EEXIST)
        return -errno;
    err = ensure_pepper(options, pepper, why);
    gw_wipe(pepper, sizeof pepper);
    if (err != 0 ||
        (err = gw_store_open(&store, options->path, options->pepper, GW_STORE_CREATE, why)) != 0)
        return err;
    *why = "its head row cannot be written";
    err = put_head_row(&store);
    if (err == 0) {
        *why = "the modes of its files cannot be set";
        err = gw_files_set_modes(options->path, options->has_group, options->group);
    }
    gw_store_close(&store);
    if (err == 0)
        *why = "";
    return err;
}
