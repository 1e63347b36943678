/*
 * Cursors as files: one line "tollgate-cursor 1 SEGMENT OFFSET CHECK\n", readable by a person and
 * checked by a hash, because a cursor that a disk invented would skip what was never read.
 */
#include <gw/journal/cursor.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "journal_internal.h"

enum { LINE_BYTES = 128 };

bool gw_cursor_name_is_valid(const char *name)
{
    size_t length = strlen(name);

    return length >= 1 && length <= GW_CURSOR_NAME_BYTES_MAX && name[0] != '.' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               length;
}

static const struct gw_journal_io *io_or_system(const struct gw_journal_io *io)
{
    return io == NULL ? &gw_journal_io_system : io;
}

/* DIR/cursors/PREFIXname */
static int cursor_path(char out[GW_JOURNAL_PATH_BYTES], const char *dir, const char *prefix,
                       const char *name)
{
    char file[GW_CURSOR_NAME_BYTES_MAX + 32];

    if (!gw_cursor_name_is_valid(name))
        return -EINVAL;
    (void)snprintf(file, sizeof(file), "cursors/%s%s", prefix, name);
    return gw_journal_path(out, dir, file);
}

static int line_format(char out[LINE_BYTES], struct gw_journal_position position)
{
    int length = snprintf(out, LINE_BYTES, "tollgate-cursor 1 %" PRIu64 " %" PRIu64 " ",
                          position.segment, position.offset);

    return length + snprintf(out + length, LINE_BYTES - (size_t)length, "%016" PRIx64 "\n",
                             (uint64_t)XXH3_64bits(out, (size_t)length));
}

/* A line is right when formatting what it says gives it again. */
static int line_parse(const char *line, struct gw_journal_position *out)
{
    char again[LINE_BYTES];
    struct gw_journal_position position;

    if (sscanf(line, "tollgate-cursor 1 %" SCNu64 " %" SCNu64, /* NOLINT(cert-err34-c) */
               &position.segment, &position.offset) != 2)
        return -EBADMSG;
    (void)line_format(again, position);
    if (strcmp(again, line) != 0)
        return -EBADMSG;
    *out = position;
    return 0;
}

int gw_cursor_read(const struct gw_journal_io *io, const char *dir, const char *name,
                   struct gw_journal_position *out)
{
    char path[GW_JOURNAL_PATH_BYTES], line[LINE_BYTES + 1];
    ssize_t got;
    int fd, err;

    io = io_or_system(io);
    if ((err = cursor_path(path, dir, "", name)) != 0)
        return err;
    fd = io->open(io->context, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    got = io->pread(io->context, fd, line, LINE_BYTES, 0);
    (void)io->close(io->context, fd);
    if (got < 0)
        return (int)got;
    line[got] = '\0';
    return strlen(line) == (size_t)got ? line_parse(line, out) : -EBADMSG;
}

static int write_synced(const struct gw_journal_io *io, const char *path, const char *line,
                        size_t length)
{
    int fd = io->open(io->context, path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    int err;

    if (fd < 0)
        return fd;
    err = gw_journal_write_all(io, fd, line, length, 0);
    if (err == 0)
        err = io->fsync(io->context, fd);
    (void)io->close(io->context, fd);
    return err;
}

static int sync_cursors(const struct gw_journal_io *io, const char *dir)
{
    char path[GW_JOURNAL_PATH_BYTES];
    int fd, err = gw_journal_path(path, dir, "cursors");

    if (err != 0)
        return err;
    fd = io->open(io->context, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    err = io->fsync(io->context, fd);
    (void)io->close(io->context, fd);
    return err;
}

int gw_cursor_commit(const struct gw_journal_io *io, const char *dir, const char *name,
                     struct gw_journal_position position)
{
    char path[GW_JOURNAL_PATH_BYTES], aside[GW_JOURNAL_PATH_BYTES], line[LINE_BYTES];
    int err;

    io = io_or_system(io);
    if ((err = cursor_path(path, dir, "", name)) != 0 ||
        (err = cursor_path(aside, dir, ".new-", name)) != 0)
        return err;
    err = write_synced(io, aside, line, (size_t)line_format(line, position));
    if (err == 0)
        err = io->rename(io->context, aside, path);
    if (err != 0) {
        (void)io->unlink(io->context, aside);
        return err;
    }
    return sync_cursors(io, dir);
}

int gw_cursor_delete(const struct gw_journal_io *io, const char *dir, const char *name)
{
    char path[GW_JOURNAL_PATH_BYTES];
    int err;

    io = io_or_system(io);
    if ((err = cursor_path(path, dir, "", name)) != 0)
        return err;
    err = io->unlink(io->context, path);
    return err != 0 ? err : sync_cursors(io, dir);
}

struct lister {
    const struct gw_journal_io *io;
    const char *dir;
    int (*visit)(void *visitor, const char *name, int err, struct gw_journal_position position);
    void *visitor;
};

static int list_one(void *context, const char *name)
{
    const struct lister *lister = context;
    struct gw_journal_position position = {.segment = 0};
    int err;

    if (!gw_cursor_name_is_valid(name))
        return 0;
    err = gw_cursor_read(lister->io, lister->dir, name, &position);
    return err == -ENOENT ? 0 : lister->visit(lister->visitor, name, err, position);
}

int gw_cursor_list(const struct gw_journal_io *io, const char *dir,
                   int (*visit)(void *visitor, const char *name, int err,
                                struct gw_journal_position position),
                   void *visitor)
{
    struct lister lister = {.io = io_or_system(io), .dir = dir, .visit = visit, .visitor = visitor};
    char path[GW_JOURNAL_PATH_BYTES];
    int err = gw_journal_path(path, dir, "cursors");

    if (err == 0)
        err = lister.io->list(lister.io->context, path, list_one, &lister);
    return err == -ENOENT ? 0 : err;
}
