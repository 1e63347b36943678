/*
 * The audit log's file. It is appended to and never changed; a line is there whole or not at all,
 * so the numbers have no gap. At its largest size it is renamed, once: what is older is the
 * operator's to have taken away.
 */
#include "audit_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/log.h>

enum { TAIL_BYTES = 2 * GW_LOG_LINE_BYTES_MAX };

/* The number of the last whole line in the end of a file; 0 when there is none. */
static uint64_t last_sequence(char *tail)
{
    static const char key[] = "\"seq\":";
    char *end = strrchr(tail, '\n'), *line;
    const char *at;

    if (end == NULL)
        return 0;
    *end = '\0';
    line = strrchr(tail, '\n');
    at = strstr(line == NULL ? tail : line, key);
    return at == NULL ? 0 : strtoull(at + sizeof key - 1, NULL, 10);
}

/* Where the numbers go on. A line that was cut short, by a power cut, is ended. */
static int find_end(struct audit_file *file)
{
    char tail[TAIL_BYTES + 1];
    off_t end = lseek(file->fd, 0, SEEK_END);
    off_t from = end > TAIL_BYTES ? end - TAIL_BYTES : 0;
    ssize_t got = end < 0 ? -1 : pread(file->fd, tail, TAIL_BYTES, from);
    bool cut;

    if (got < 0)
        return -errno;
    tail[got] = '\0';
    cut = got > 0 && tail[got - 1] != '\n';
    if (file->sequence ==
        0) /* of the start: later ones know better than a file that was put there */
        file->sequence = last_sequence(tail);
    if (cut && write(file->fd, "\n", 1) != 1)
        return -EIO;
    file->bytes = (uint64_t)end + cut;
    return 0;
}

static int open_path(struct audit_file *file)
{
    int err;

    file->fd = open(file->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (file->fd < 0)
        return -errno;
    err = find_end(file);
    if (err != 0)
        audit_file_close(file);
    return err;
}

int audit_file_open(struct audit_file *file, const char *path, uint64_t bytes_max)
{
    *file = (struct audit_file){.path = path, .bytes_max = bytes_max, .fd = -1};
    return open_path(file);
}

void audit_file_close(struct audit_file *file)
{
    audit_file_sync(file);
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = -1;
}

static void report(struct audit_file *file, int err)
{
    if (!file->failing)
        gw_log(GW_LOG_ERROR, "audit_not_written", GW_TEXT("path", file->path),
               GW_TEXT("error", strerror(err)));
    file->failing = true;
}

void audit_file_reopen(struct audit_file *file)
{
    int err;

    audit_file_close(file);
    if ((err = open_path(file)) != 0)
        report(file, -err);
}

static void make_room(struct audit_file *file)
{
    char old[PATH_MAX];

    if ((size_t)snprintf(old, sizeof old, "%s.1", file->path) < sizeof old &&
        rename(file->path, old) == 0)
        audit_file_reopen(file);
}

bool audit_file_append(struct audit_file *file, struct gw_bytes line)
{
    ssize_t wrote;

    if (file->fd >= 0 && file->bytes > 0 && file->bytes + line.size > file->bytes_max)
        make_room(file);
    if (file->fd < 0)
        return false;
    wrote = write(file->fd, line.data, line.size);
    if (wrote != (ssize_t)line.size) {
        report(file, wrote < 0 ? errno : ENOSPC);
        if (wrote > 0 && ftruncate(file->fd, (off_t)file->bytes) != 0)
            audit_file_reopen(file); /* which ends the line */
        return false;
    }
    file->failing = false;
    file->bytes += line.size;
    file->sequence++;
    file->unsynced = true;
    return true;
}

/* One that fails is not repeated: the next would say that all is well. */
void audit_file_sync(struct audit_file *file)
{
    if (file->fd >= 0 && file->unsynced && fdatasync(file->fd) != 0)
        gw_log(GW_LOG_ERROR, "audit_not_synced", GW_TEXT("path", file->path),
               GW_TEXT("error", strerror(errno)));
    file->unsynced = false;
}
