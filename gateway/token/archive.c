/*
 * The index as a whole: an operator's word over it, a copy of it, another one in its place.
 *
 * A restore never touches the files in use. Gateways hold data.mdb and lock.mdb open, and a new
 * data.mdb beside the old lock.mdb would be read with the old one's transaction numbers; so the
 * unit that is exchanged is the directory, in one renameat2. A gateway keeps serving the former
 * files and notices (gw_index_replaced); a writer that waited for the former index's lock is told
 * -ESTALE.
 */
#include "writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "authority_internal.h"

enum { COPY_BYTES = 256 * 1024 };

int gw_index_accept(struct gw_index_writer *writer, const char *high_water)
{
    struct gw_high_water mark = {.known = false};
    int err;

    if (high_water != NULL) {
        if ((err = gw_high_water_load(high_water, &mark)) != 0)
            return err;
        if (!mark.known)
            return -ENOENT;
    }
    if (mark.known)
        writer->meta.generation = gw_max_u64(writer->meta.generation, mark.generation);
    writer->meta.accepted_generation = writer->meta.generation + 1; /* what commit will make it */
    writer->meta.accepted_tokens = writer->meta.tokens;
    writer->changed = true;
    return 0;
}

static int with_suffix(char out[PATH_MAX], const char *path, const char *suffix)
{
    size_t bytes = strlen(path);

    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    return (size_t)snprintf(out, PATH_MAX, "%.*s%s", (int)bytes, path, suffix) < PATH_MAX
               ? 0
               : -ENAMETOOLONG;
}

static int sync_directory(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = 0;

    if (fd < 0)
        return -errno;
    if (fsync(fd) != 0)
        err = -errno;
    (void)close(fd);
    return err;
}

static int sync_parent(const char *path)
{
    char copy[PATH_MAX];

    if (with_suffix(copy, path, "") != 0)
        return -ENAMETOOLONG;
    return sync_directory(dirname(copy));
}

int gw_index_backup(const char *path, const char *pepper, const char *file, const char **why)
{
    char fresh[PATH_MAX];
    struct gw_store store;
    int fd, err;

    *why = "the name of the backup is too long";
    if ((err = with_suffix(fresh, file, ".new")) != 0)
        return err;
    if ((err = gw_store_open(&store, path, pepper, GW_STORE_READ, why)) != 0)
        return err;
    *why = "the backup file cannot be made";
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        err = -errno;
        if (err == -EEXIST)
            *why = "its unfinished copy (the name with .new) is there: another backup runs, or one "
                   "was cut short; remove it then";
        gw_store_close(&store);
        return err;
    }
    *why = "the backup cannot be written";
    err = gw_store_error(mdb_env_copyfd2(store.env, fd, MDB_CP_COMPACT));
    gw_store_close(&store);
    if (err == 0 && fsync(fd) != 0)
        err = -errno;
    (void)close(fd);
    if (err == 0 && rename(fresh, file) != 0)
        err = -errno;
    if (err == 0)
        return sync_parent(file);
    (void)unlink(fresh);
    return err;
}

static int copy_bytes(int from, int to)
{
    static uint8_t buffer[COPY_BYTES]; /* one restore at a time; too big for a stack */

    for (;;) {
        const ssize_t got = read(from, buffer, sizeof buffer);
        ssize_t put;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return fsync(to) == 0 ? 0 : -errno;
        for (ssize_t done = 0; done < got; done += put) {
            put = write(to, buffer + done, (size_t)(got - done));
            if (put < 0 && errno == EINTR)
                put = 0;
            if (put < 0)
                return -errno;
        }
    }
}

static int copy_file(const char *from, const char *directory, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    int in, out, err;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path)
        return -ENAMETOOLONG;
    in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return -errno;
    out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    err = out < 0 ? -errno : copy_bytes(in, out);
    (void)close(in);
    if (out >= 0)
        (void)close(out);
    return err;
}

static void remove_index(const char *path)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "pepper"};

    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        char file[PATH_MAX];

        if ((size_t)snprintf(file, sizeof file, "%s/%s", path, names[i]) < sizeof file)
            (void)unlink(file);
    }
    (void)rmdir(path);
}

static void ignore_finding(void *context, const char *sentence)
{
    (void)context;
    (void)sentence;
}

/* Checks the copy whole and makes it another index than the one that was backed up. */
static int check_and_rename_lineage(const char *path, const char *pepper, const char **why)
{
    struct gw_index_writer *writer;
    struct gw_store store;
    uint64_t faults = 0;
    int err = gw_store_open(&store, path, pepper, GW_STORE_BACKUP, why);

    if (err != 0)
        return err;
    gw_store_close(&store);
    if ((err = gw_index_writer_open(path, pepper, &writer, why)) != 0)
        return err;
    *why = "the backup is damaged";
    if ((err = gw_index_begin(writer)) == 0)
        err = gw_catalog_verify(gw_index_writer_view(writer), 0, ignore_finding, NULL, &faults);
    if (err == 0 && faults != 0)
        err = -EBADMSG;
    if (err == 0) {
        gw_writer_draw_lineage(&writer->meta);
        writer->meta.accepted_generation = 0;
        writer->meta.accepted_tokens = 0;
        writer->changed = true;
        *why = "the copy cannot be written";
        err = gw_index_commit(writer);
    }
    gw_index_writer_close(writer);
    return err;
}

/* Whoever could read the former index can read the new one; a fresh one is the owner's alone. */
static int take_over_modes(const char *fresh, const char *path)
{
    char file[PATH_MAX];
    struct stat former;

    if ((size_t)snprintf(file, sizeof file, "%s/data.mdb", path) >= sizeof file)
        return -ENAMETOOLONG;
    if (stat(file, &former) != 0)
        return gw_files_set_modes(fresh, false, 0);
    return gw_files_set_modes(fresh, (former.st_mode & S_IRGRP) != 0, former.st_gid);
}

/* In one step, while no writer of the former index can commit. */
static int exchange(const char *fresh, const char *path, const char *old, const char *pepper)
{
    struct gw_index_writer *former = NULL;
    const char *why;
    int err = 0;

    /* A former index too damaged to be opened has no writer to wait for. */
    if (gw_index_writer_open(path, pepper, &former, &why) == 0 && gw_index_begin(former) != 0) {
        gw_index_writer_close(former);
        former = NULL;
    }
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) != 0) {
        err = -errno;
        remove_index(fresh);
    } else if (renameat2(AT_FDCWD, fresh, AT_FDCWD, old, RENAME_NOREPLACE) != 0) {
        err = -errno; /* the new one is in place; the former one stays under the name of the copy */
    }
    gw_index_writer_close(former);
    return err;
}

static int fill_fresh(const char *fresh, const char *path, const char *pepper, const char *file,
                      const char **why)
{
    char path_pepper[PATH_MAX];
    int err;

    *why = "the backup cannot be copied";
    if ((err = copy_file(file, fresh, "data.mdb", 0600)) != 0)
        return err;
    *why = "there is no pepper beside the former index, and none was named";
    if (pepper == NULL && ((size_t)snprintf(path_pepper, sizeof path_pepper, "%s/pepper", path) >=
                               sizeof path_pepper ||
                           (err = copy_file(path_pepper, fresh, "pepper", 0400)) != 0))
        return err != 0 ? err : -ENAMETOOLONG;
    if ((err = check_and_rename_lineage(fresh, pepper, why)) != 0)
        return err;
    *why = "the modes of the copy cannot be set";
    if ((err = take_over_modes(fresh, path)) != 0)
        return err;
    *why = "the copy cannot be made durable";
    return sync_directory(fresh);
}

int gw_index_restore(const char *path, const char *pepper, const char *file, const char **why)
{
    char fresh[PATH_MAX], old[PATH_MAX];
    struct stat there;
    bool replaces;
    int err;

    *why = "the path of the index is too long";
    if ((err = with_suffix(fresh, path, ".new")) != 0 ||
        (err = with_suffix(old, path, ".old")) != 0)
        return err;
    replaces = stat(path, &there) == 0;
    *why = "the index that an earlier restore put aside (the path with .old) is still there; move "
           "it away first";
    if (replaces && stat(old, &there) == 0)
        return -EEXIST;
    *why = "the directory for the copy (the path with .new) cannot be made; if an earlier restore "
           "was cut short, remove it";
    if (mkdir(fresh, 0700) != 0)
        return -errno;
    err = fill_fresh(fresh, path, pepper, file, why);
    if (err != 0) {
        remove_index(fresh);
        return err;
    }
    *why = "the new index cannot be put in the former one's place";
    if (replaces)
        err = exchange(fresh, path, old, pepper);
    else
        err = rename(fresh, path) == 0 ? 0 : -errno;
    if (err == 0)
        err = sync_parent(path);
    return err;
}
