#include "pretend_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "pretend_ring.h"

enum { FILES_MAX = 256, OPEN_MAX = 64, PATH_BYTES = 128, FAULT_ONE_IN = 60 };

struct file {
    bool used;
    char path[PATH_BYTES];
    uint8_t *data;
    size_t size, capacity;
    size_t dirty_from, dirty_to; /* written since the last sync; empty when equal */
    bool locked;
};

struct pretend_disk {
    struct gw_journal_io io;
    struct chance *chance;
    uint64_t seed; /* of the batches' hashes */
    void (*durable)(void *context, const struct gw_record *record);
    void *context;
    struct file files[FILES_MAX];
    struct file *open[OPEN_MAX]; /* by descriptor */
    uint64_t faults;
    bool calm;
};

static struct file *find(struct pretend_disk *disk, const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (disk->files[i].used && strcmp(disk->files[i].path, path) == 0)
            return &disk->files[i];
    return NULL;
}

static struct file *file_at(struct pretend_disk *disk, int fd)
{
    gw_assert(fd >= 0 && fd < OPEN_MAX && disk->open[fd] != NULL);
    return disk->open[fd];
}

static struct file *make(struct pretend_disk *disk, const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct file *file = &disk->files[i];

        if (file->used)
            continue;
        *file = (struct file){.used = true};
        (void)snprintf(file->path, sizeof file->path, "%s", path);
        return file;
    }
    gw_unreachable("more files than a run makes");
}

static int disk_open(void *context, const char *path, int flags, mode_t mode)
{
    struct pretend_disk *disk = context;
    struct file *file = find(disk, path);

    (void)mode;
    if (file == NULL && (flags & O_CREAT) == 0 && (flags & O_DIRECTORY) == 0)
        return -ENOENT;
    if (file != NULL && (flags & O_EXCL) != 0)
        return -EEXIST;
    if (file == NULL)
        file = make(disk, path);
    if ((flags & O_TRUNC) != 0)
        file->size = 0;
    for (int fd = 0; fd < OPEN_MAX; fd++)
        if (disk->open[fd] == NULL) {
            disk->open[fd] = file;
            return fd;
        }
    return -EMFILE;
}

static int disk_close(void *context, int fd)
{
    struct pretend_disk *disk = context;

    file_at(disk, fd)->locked = false;
    disk->open[fd] = NULL;
    return 0;
}

static ssize_t disk_pread(void *context, int fd, void *buffer, size_t bytes, uint64_t offset)
{
    const struct file *file = file_at(context, fd);

    if (offset >= file->size)
        return 0;
    if (bytes > file->size - offset)
        bytes = file->size - offset;
    memcpy(buffer, file->data + offset, bytes);
    return (ssize_t)bytes;
}

static void grow(struct file *file, size_t size)
{
    if (size > file->capacity) {
        size_t capacity = file->capacity == 0 ? 65536 : file->capacity;

        while (capacity < size)
            capacity *= 2;
        file->data = realloc(file->data, capacity);
        gw_assert(file->data != NULL);
        file->capacity = capacity;
    }
    if (size > file->size) {
        memset(file->data + file->size, 0, size - file->size);
        file->size = size;
    }
}

static bool fails(struct pretend_disk *disk)
{
    bool now = !disk->calm && chance_one_in(disk->chance, FAULT_ONE_IN);

    disk->faults += now;
    return now;
}

static bool is_segment(const struct file *file)
{
    return strstr(file->path, ".seg") != NULL;
}

static ssize_t disk_pwritev(void *context, int fd, const struct iovec *iov, int count,
                            uint64_t offset)
{
    struct pretend_disk *disk = context;
    struct file *file = file_at(disk, fd);
    size_t at = offset;

    if (is_segment(file) && fails(disk))
        return chance_one_in(disk->chance, 2) ? -ENOSPC : -EIO;
    for (int i = 0; i < count; i++) {
        grow(file, at + iov[i].iov_len);
        memcpy(file->data + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    if (file->dirty_from == file->dirty_to)
        file->dirty_from = file->dirty_to = offset;
    if (offset < file->dirty_from)
        file->dirty_from = offset;
    if (at > file->dirty_to)
        file->dirty_to = at;
    return (ssize_t)(at - offset);
}

/* Every record of the batches between two offsets has just become durable. */
static void tell(struct pretend_disk *disk, const struct file *file, size_t from, size_t to)
{
    if (from < GW_SEGMENT_DATA_AT)
        from = GW_SEGMENT_DATA_AT;
    while (from + GW_BATCH_HEADER_BYTES <= to) {
        struct gw_batch batch;
        struct gw_record record;
        size_t used;

        if (gw_batch_decode(gw_bytes_of(file->data + from, to - from), disk->seed, &batch, &used) !=
            GW_OK) {
            from += GW_BATCH_ALIGN_BYTES;
            continue;
        }
        struct gw_batch_walk walk = gw_batch_records(&batch);

        while (batch.kind == GW_BATCH_RECORDS && gw_batch_next(&walk, &record) == GW_OK)
            disk->durable(disk->context, &record);
        from += used;
    }
}

static int disk_sync(void *context, int fd)
{
    struct pretend_disk *disk = context;
    struct file *file = file_at(disk, fd);
    size_t from = file->dirty_from, to = file->dirty_to;

    file->dirty_from = file->dirty_to = 0;
    if (!is_segment(file))
        return 0;
    if (fails(disk)) {
        /* The kernel drops what it could not write and calls the next sync a success. */
        if (from < to)
            memset(file->data + from, 0, to - from);
        return -EIO;
    }
    tell(disk, file, from, to);
    return 0;
}

static int disk_truncate(void *context, int fd, uint64_t bytes)
{
    struct file *file = file_at(context, fd);

    if (bytes > file->size)
        grow(file, bytes);
    file->size = bytes;
    return 0;
}

static int64_t disk_size(void *context, int fd)
{
    return (int64_t)file_at(context, fd)->size;
}

static void remove_file(struct file *file)
{
    free(file->data);
    *file = (struct file){0};
}

static int disk_rename(void *context, const char *from, const char *to)
{
    struct file *file = find(context, from), *other = find(context, to);

    if (file == NULL)
        return -ENOENT;
    if (other != NULL)
        remove_file(other);
    (void)snprintf(file->path, sizeof file->path, "%s", to);
    return 0;
}

static int disk_unlink(void *context, const char *path)
{
    struct file *file = find(context, path);

    if (file == NULL)
        return -ENOENT;
    remove_file(file);
    return 0;
}

static int disk_mkdir(void *context, const char *path, mode_t mode)
{
    (void)context;
    (void)path;
    (void)mode;
    return 0;
}

static int disk_list(void *context, const char *path, int (*visit)(void *, const char *),
                     void *visitor)
{
    struct pretend_disk *disk = context;
    size_t length = strlen(path);
    int err = 0;

    for (size_t i = 0; i < FILES_MAX && err == 0; i++) {
        const char *name = disk->files[i].path;

        if (disk->files[i].used && strncmp(name, path, length) == 0 && name[length] == '/' &&
            strchr(name + length + 1, '/') == NULL)
            err = visit(visitor, name + length + 1);
    }
    return err;
}

static int disk_lock(void *context, int fd)
{
    struct file *file = file_at(context, fd);

    if (file->locked)
        return -EWOULDBLOCK;
    file->locked = true;
    return 0;
}

static int disk_is_locked(void *context, int fd)
{
    return file_at(context, fd)->locked;
}

static uint64_t disk_wall_us(void *context)
{
    (void)context;
    return pretend.wall_us;
}

static void disk_sleep_ms(void *context, uint32_t ms)
{
    (void)context;
    (void)ms;
}

struct pretend_disk *pretend_disk_create(struct chance *chance, uint64_t seed,
                                         void (*durable)(void *, const struct gw_record *),
                                         void *context)
{
    struct pretend_disk *disk = calloc(1, sizeof *disk);

    gw_assert(disk != NULL);
    disk->chance = chance;
    disk->seed = seed;
    disk->durable = durable;
    disk->context = context;
    disk->io = (struct gw_journal_io){
        .context = disk,
        .open = disk_open,
        .close = disk_close,
        .pread = disk_pread,
        .pwritev = disk_pwritev,
        .fdatasync = disk_sync,
        .fsync = disk_sync,
        .truncate = disk_truncate,
        .size = disk_size,
        .rename = disk_rename,
        .unlink = disk_unlink,
        .mkdir = disk_mkdir,
        .list = disk_list,
        .lock = disk_lock,
        .is_locked = disk_is_locked,
        .wall_us = disk_wall_us,
        .sleep_ms = disk_sleep_ms,
    };
    return disk;
}

void pretend_disk_destroy(struct pretend_disk *disk)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        free(disk->files[i].data);
    free(disk);
}

const struct gw_journal_io *pretend_disk_io(const struct pretend_disk *disk)
{
    return &disk->io;
}

void pretend_disk_calm(struct pretend_disk *disk)
{
    disk->calm = true;
}

uint64_t pretend_disk_faults(const struct pretend_disk *disk)
{
    return disk->faults;
}
