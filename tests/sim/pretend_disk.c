#include "pretend_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "pretend_file.h"
#include "pretend_ring.h"

enum {
    FILES_MAX = 512,
    OPEN_MAX = 64,
    PATH_BYTES = 96,
    CHANGES_MAX = 64,
    READ_FAILS_LESS = 4, /* often than other operations */
    BURST_GOES_ON_ONE_IN = 2,
    NOBODY = UINT32_MAX,
};

struct name {
    uint32_t hash;
    char path[PATH_BYTES];
    uint32_t file;
};

struct tree {
    struct name names[FILES_MAX];
    uint32_t count; /* none behind it */
};

/* Of a directory, not on the disk yet. */
struct change {
    enum { MADE, REMOVED, RENAMED } what;
    char path[PATH_BYTES], to[PATH_BYTES];
    uint32_t file;
};

struct descriptor {
    bool used, locks, elsewhere;
    uint32_t file;         /* NOBODY: a directory */
    char path[PATH_BYTES]; /* of a directory      */
};

struct pretend_disk {
    struct gw_journal_io io;
    struct chance *chance;
    uint64_t seed; /* of the batches' hashes */
    pretend_disk_durable *durable;
    void *context;

    struct pretend_file files[FILES_MAX];
    bool file_used[FILES_MAX], locked[FILES_MAX];
    struct tree seen, stable;
    struct change changes[CHANGES_MAX];
    uint32_t change_count;
    struct descriptor open[OPEN_MAX];

    uint32_t fail_one_in, die_in, die_in_syncs; /* 0: not */
    uint32_t power_cuts;
    bool full, broken, tells, watched, elsewhere, dead;
    bool bursts, failed; /* the last one that may fail did */
    bool read_failed;    /* the last one; the next one does not */
    uint64_t faults;
};

/* ---- names ---- */

static uint32_t hash_of(const char *path)
{
    uint32_t hash = 2166136261;

    while (*path != '\0')
        hash = (hash ^ (uint8_t)*path++) * 16777619;
    return hash;
}

static struct name *find(struct tree *tree, const char *path)
{
    uint32_t hash = hash_of(path);

    for (uint32_t i = 0; i < tree->count; i++)
        if (tree->names[i].hash == hash && strcmp(tree->names[i].path, path) == 0)
            return &tree->names[i];
    return NULL;
}

static void set(struct tree *tree, const char *path, uint32_t file)
{
    struct name *name = find(tree, path);

    if (name == NULL) {
        gw_assert(tree->count < FILES_MAX);
        name = &tree->names[tree->count++];
        name->hash = hash_of(path);
        (void)snprintf(name->path, sizeof name->path, "%s", path);
    }
    name->file = file;
}

static void drop(struct tree *tree, const char *path)
{
    struct name *name = find(tree, path);

    if (name != NULL)
        *name = tree->names[--tree->count];
}

static void apply(struct tree *tree, const struct change *change)
{
    switch (change->what) {
    case MADE:
        set(tree, change->path, change->file);
        break;
    case REMOVED:
        drop(tree, change->path);
        break;
    case RENAMED:
        drop(tree, change->path);
        set(tree, change->to, change->file);
        break;
    }
}

/* The first changes reach the disk. */
static void commit(struct pretend_disk *disk, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        apply(&disk->stable, &disk->changes[i]);
    disk->change_count -= count;
    memmove(disk->changes, disk->changes + count, disk->change_count * sizeof disk->changes[0]);
}

static void change(struct pretend_disk *disk, const struct change *what)
{
    apply(&disk->seen, what);
    if (disk->change_count == CHANGES_MAX)
        commit(disk, CHANGES_MAX / 2);
    disk->changes[disk->change_count++] = *what;
}

static bool is_in(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    return strncmp(path, directory, length) == 0 && path[length] == '/' &&
           strchr(path + length + 1, '/') == NULL;
}

static void commit_directory(struct pretend_disk *disk, const char *directory)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < disk->change_count; i++) {
        if (is_in(disk->changes[i].path, directory))
            apply(&disk->stable, &disk->changes[i]);
        else
            disk->changes[kept++] = disk->changes[i];
    }
    disk->change_count = kept;
}

/* ---- files ---- */

static void mark_named(const struct tree *tree, bool *named)
{
    for (uint32_t i = 0; i < tree->count; i++)
        named[tree->names[i].file] = true;
}

/* Nobody can ever see them again. */
static void free_nameless(struct pretend_disk *disk)
{
    bool named[FILES_MAX] = {false};

    mark_named(&disk->seen, named);
    mark_named(&disk->stable, named);
    for (uint32_t i = 0; i < disk->change_count; i++)
        named[disk->changes[i].file] = true;
    for (uint32_t fd = 0; fd < OPEN_MAX; fd++)
        if (disk->open[fd].used && disk->open[fd].file != NOBODY)
            named[disk->open[fd].file] = true;
    for (uint32_t i = 0; i < FILES_MAX; i++)
        if (disk->file_used[i] && !named[i]) {
            pretend_file_free(&disk->files[i]);
            disk->file_used[i] = false;
        }
}

static uint32_t make_file(struct pretend_disk *disk)
{
    for (int tries = 0; tries < 2; tries++) {
        for (uint32_t i = 0; i < FILES_MAX; i++)
            if (!disk->file_used[i]) {
                disk->file_used[i] = true;
                disk->locked[i] = false;
                pretend_file_init(&disk->files[i]);
                return i;
            }
        free_nameless(disk);
    }
    gw_unreachable("more files than a run makes");
}

static struct pretend_file *file_at(struct pretend_disk *disk, int fd)
{
    gw_assert(fd >= 0 && fd < OPEN_MAX && disk->open[fd].used && disk->open[fd].file != NOBODY);
    return &disk->files[disk->open[fd].file];
}

/* ---- faults ---- */

/* For the gateway's process. */
static bool is_over(const struct pretend_disk *disk)
{
    return disk->dead && !disk->elsewhere;
}

/* False: dead, or dies now. */
static bool lives(struct pretend_disk *disk)
{
    if (disk->elsewhere)
        return true;
    if (!disk->dead && !disk->watched && disk->die_in > 0 && --disk->die_in == 0)
        disk->dead = true;
    return !disk->dead;
}

/* 0, or the error that this operation gets. */
static int begin(struct pretend_disk *disk)
{
    if (!lives(disk))
        return -EIO;
    if (disk->watched || disk->fail_one_in == 0)
        return 0;
    disk->failed =
        chance_one_in(disk->chance, disk->failed ? BURST_GOES_ON_ONE_IN : disk->fail_one_in);
    if (!disk->failed)
        return 0;
    disk->faults++;
    disk->failed = disk->bursts;
    return chance_one_in(disk->chance, 3) ? -ENOSPC : -EIO;
}

/* The same for a read: one that failed is not the disk's last word. */
static int begin_read(struct pretend_disk *disk)
{
    bool may_fail = !disk->watched && disk->fail_one_in != 0 && !disk->read_failed;

    if (!lives(disk))
        return -EIO;
    disk->read_failed =
        may_fail && chance_one_in(disk->chance, READ_FAILS_LESS * disk->fail_one_in);
    disk->faults += disk->read_failed;
    return disk->read_failed ? -EIO : 0;
}

bool pretend_disk_allows(struct pretend_disk *disk)
{
    return begin(disk) == 0;
}

/* ---- gw/journal/io.h ---- */

static int disk_open(void *context, const char *path, int flags, mode_t mode)
{
    struct pretend_disk *disk = context;
    struct name *name = find(&disk->seen, path);
    struct descriptor opened = {.used = true, .elsewhere = disk->elsewhere, .file = NOBODY};
    int err = (flags & O_CREAT) != 0 ? begin(disk) : begin_read(disk);
    int fd = 0;

    (void)mode;
    if (err != 0)
        return err;
    if (name == NULL && (flags & (O_CREAT | O_DIRECTORY)) == 0)
        return -ENOENT;
    if (name == NULL && (flags & O_CREAT) != 0 && disk->full)
        return -ENOSPC;
    while (disk->open[fd].used)
        if (++fd == OPEN_MAX)
            return -EMFILE;
    if ((flags & O_DIRECTORY) != 0) {
        (void)snprintf(opened.path, sizeof opened.path, "%s", path);
    } else if (name != NULL) {
        opened.file = name->file;
        if ((flags & O_TRUNC) != 0)
            pretend_file_resize(&disk->files[opened.file], 0);
    } else {
        struct change made = {.what = MADE, .file = make_file(disk)};

        (void)snprintf(made.path, sizeof made.path, "%s", path);
        change(disk, &made);
        opened.file = made.file;
    }
    disk->open[fd] = opened;
    return fd;
}

static int disk_close(void *context, int fd)
{
    struct pretend_disk *disk = context;

    gw_assert(fd >= 0 && fd < OPEN_MAX && disk->open[fd].used);
    if (disk->open[fd].locks)
        disk->locked[disk->open[fd].file] = false;
    disk->open[fd].used = false;
    return 0;
}

static ssize_t disk_pread(void *context, int fd, void *buffer, size_t bytes, uint64_t offset)
{
    struct pretend_disk *disk = context;
    int err = begin_read(disk);

    if (err != 0)
        return err;
    return (ssize_t)pretend_file_read(file_at(disk, fd), buffer, bytes, offset);
}

/* How much of a write is done: mostly all of it. */
static size_t write_done(struct pretend_disk *disk, const struct pretend_file *file, size_t bytes,
                         uint64_t offset, ssize_t *result)
{
    int err = begin(disk);

    *result = (ssize_t)bytes;
    if (err != 0) { /* as much as there was time, or room, for */
        *result = err;
        return disk->watched ? 0 : chance_below(disk->chance, (uint32_t)bytes + 1);
    }
    if (disk->full && !disk->watched && offset + bytes > file->seen.size) {
        bytes = offset < file->seen.size ? file->seen.size - offset : 0;
        *result = bytes == 0 ? -ENOSPC : (ssize_t)bytes;
        return bytes;
    }
    if (disk->fail_one_in != 0 && !disk->watched && bytes > 1 &&
        chance_one_in(disk->chance, disk->fail_one_in)) { /* short */
        bytes = 1 + chance_below(disk->chance, (uint32_t)bytes - 1);
        *result = (ssize_t)bytes;
    }
    return bytes;
}

static ssize_t disk_pwritev(void *context, int fd, const struct iovec *iov, int count,
                            uint64_t offset)
{
    struct pretend_disk *disk = context;
    struct pretend_file *file = file_at(disk, fd);
    size_t bytes = 0;
    ssize_t result;

    if (is_over(disk))
        return -EIO;
    for (int i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    bytes = write_done(disk, file, bytes, offset, &result);
    for (int i = 0; i < count && bytes > 0; i++) {
        size_t piece = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;

        pretend_file_write(file, iov[i].iov_base, piece, offset);
        offset += piece;
        bytes -= piece;
    }
    if (!disk->watched && chance_one_in(disk->chance, 16))
        pretend_file_write_back(file, disk->chance);
    return result;
}

/* Every record of the batches between two offsets has just become durable. */
static void tell(const struct pretend_disk *disk, const struct pretend_file *file, size_t from,
                 size_t to)
{
    if (from < GW_SEGMENT_DATA_AT)
        from = GW_SEGMENT_DATA_AT;
    while (from + GW_BATCH_HEADER_BYTES <= to) {
        struct gw_batch batch;
        struct gw_record record;
        size_t used;

        if (gw_load_le32(file->seen.at + from) != GW_BATCH_MAGIC ||
            gw_batch_decode(gw_bytes_of(file->seen.at + from, to - from), disk->seed, &batch,
                            &used) != GW_OK) {
            from += GW_BATCH_ALIGN_BYTES;
            continue;
        }
        struct gw_batch_walk walk = gw_batch_records(&batch);

        while (batch.kind == GW_BATCH_RECORDS && gw_batch_next(&walk, &record) == GW_OK)
            disk->durable(disk->context, &batch, &record);
        from += used;
    }
}

static int disk_sync(void *context, int fd)
{
    struct pretend_disk *disk = context;

    if (disk->open[fd].file != NOBODY && !disk->watched && !disk->elsewhere &&
        disk->die_in_syncs > 0 && --disk->die_in_syncs == 0)
        disk->dead = true;
    int err = begin(disk);

    if (disk->open[fd].file == NOBODY) {
        if (err == 0)
            commit_directory(disk, disk->open[fd].path);
        return err;
    }
    struct pretend_file *file = file_at(disk, fd);

    if (is_over(disk))
        return -EIO;
    if (err != 0) {
        pretend_file_sync_failed(file, disk->chance);
        return err;
    }
    if (disk->tells)
        for (uint32_t i = 0; i < file->dirty_count; i++)
            tell(disk, file, file->dirty[i].from, file->dirty[i].to);
    pretend_file_sync(file);
    return 0;
}

static int disk_sync_data(void *context, int fd)
{
    struct pretend_disk *disk = context;

    if (!disk->broken || disk->watched || disk->elsewhere || disk->dead)
        return disk_sync(context, fd);
    disk->faults++;
    pretend_file_sync_failed(file_at(disk, fd), disk->chance);
    return -EIO;
}

static void disk_forget(void *context, int fd, uint64_t offset)
{
    pretend_file_forget(file_at(context, fd), offset);
}

static int disk_truncate(void *context, int fd, uint64_t bytes)
{
    struct pretend_disk *disk = context;
    int err = begin(disk);

    if (err == 0)
        pretend_file_resize(file_at(disk, fd), bytes);
    return err;
}

static int64_t disk_size(void *context, int fd)
{
    struct pretend_disk *disk = context;

    int err = begin_read(disk);

    return err == 0 ? (int64_t)file_at(disk, fd)->seen.size : err;
}

static int disk_rename(void *context, const char *from, const char *to)
{
    struct pretend_disk *disk = context;
    const struct name *name = find(&disk->seen, from);
    struct change renamed = {.what = RENAMED};
    int err = begin(disk);

    if (err != 0 || name == NULL)
        return err != 0 ? err : -ENOENT;
    renamed.file = name->file;
    (void)snprintf(renamed.path, sizeof renamed.path, "%s", from);
    (void)snprintf(renamed.to, sizeof renamed.to, "%s", to);
    change(disk, &renamed);
    return 0;
}

static int disk_unlink(void *context, const char *path)
{
    struct pretend_disk *disk = context;
    const struct name *name = find(&disk->seen, path);
    struct change removed = {.what = REMOVED};
    int err = begin(disk);

    if (err != 0 || name == NULL)
        return err != 0 ? err : -ENOENT;
    removed.file = name->file;
    (void)snprintf(removed.path, sizeof removed.path, "%s", path);
    change(disk, &removed);
    return 0;
}

static int disk_mkdir(void *context, const char *path, mode_t mode)
{
    (void)path;
    (void)mode;
    return begin(context);
}

static int disk_list(void *context, const char *path, int (*visit)(void *, const char *),
                     void *visitor)
{
    struct pretend_disk *disk = context;
    int err = begin_read(disk);

    for (uint32_t i = 0; i < disk->seen.count && err == 0; i++)
        if (is_in(disk->seen.names[i].path, path))
            err = visit(visitor, disk->seen.names[i].path + strlen(path) + 1);
    return err;
}

static int disk_lock(void *context, int fd)
{
    struct pretend_disk *disk = context;
    bool *locked = &disk->locked[disk->open[fd].file];

    if (*locked)
        return -EWOULDBLOCK;
    *locked = disk->open[fd].locks = true;
    return 0;
}

static int disk_is_locked(void *context, int fd)
{
    const struct pretend_disk *disk = context;

    return disk->locked[disk->open[fd].file];
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

/* ---- the simulation's side ---- */

struct pretend_disk *pretend_disk_create(struct chance *chance, uint64_t seed,
                                         pretend_disk_durable *durable, void *context)
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
        .fdatasync = disk_sync_data,
        .fsync = disk_sync,
        .forget = disk_forget,
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
        pretend_file_free(&disk->files[i]);
    free(disk);
}

const struct gw_journal_io *pretend_disk_io(const struct pretend_disk *disk)
{
    return &disk->io;
}

void pretend_disk_fail(struct pretend_disk *disk, uint32_t one_in)
{
    disk->fail_one_in = one_in;
}

void pretend_disk_fail_in_bursts(struct pretend_disk *disk, bool bursts)
{
    disk->bursts = bursts;
}

void pretend_disk_fill(struct pretend_disk *disk, bool full)
{
    disk->full = full;
}

void pretend_disk_break(struct pretend_disk *disk, bool broken)
{
    disk->broken = broken;
}

uint64_t pretend_disk_faults(const struct pretend_disk *disk)
{
    return disk->faults;
}

void pretend_disk_tell(struct pretend_disk *disk, bool tells)
{
    disk->tells = tells;
}

void pretend_disk_watch(struct pretend_disk *disk, bool watched)
{
    disk->watched = watched;
}

void pretend_disk_die(struct pretend_disk *disk)
{
    disk->dead = true;
}

void pretend_disk_die_in(struct pretend_disk *disk, uint32_t operations)
{
    disk->die_in = operations;
    disk->die_in_syncs = 0;
}

void pretend_disk_die_in_sync(struct pretend_disk *disk, uint32_t syncs)
{
    disk->die_in = 0;
    disk->die_in_syncs = syncs;
}

bool pretend_disk_is_dead(const struct pretend_disk *disk)
{
    return disk->dead;
}

/* Elsewhere a descriptor stays, and with the power what it was for goes. */
static void lose_descriptor(struct descriptor *descriptor, bool power_was_lost)
{
    if (!descriptor->elsewhere)
        descriptor->used = false;
    else if (power_was_lost)
        descriptor->file = NOBODY;
}

void pretend_disk_elsewhere(struct pretend_disk *disk, bool elsewhere)
{
    disk->elsewhere = elsewhere;
}

uint32_t pretend_disk_power_cuts(const struct pretend_disk *disk)
{
    return disk->power_cuts;
}

void pretend_disk_revive(struct pretend_disk *disk, bool power_was_lost)
{
    for (uint32_t fd = 0; fd < OPEN_MAX; fd++)
        lose_descriptor(&disk->open[fd], power_was_lost);
    memset(disk->locked, 0, sizeof disk->locked);
    disk->dead = disk->failed = false;
    disk->die_in = disk->die_in_syncs = 0;
    disk->power_cuts += power_was_lost;
    if (!power_was_lost)
        return;
    commit(disk, chance_below(disk->chance, disk->change_count + 1));
    disk->change_count = 0;
    disk->seen = disk->stable;
    for (uint32_t i = 0; i < FILES_MAX; i++)
        if (disk->file_used[i])
            pretend_file_lose_power(&disk->files[i], disk->chance);
    free_nameless(disk);
}
