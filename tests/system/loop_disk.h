/*
 * A disk of a test's own: a file system on a loop device whose image lies in a tmpfs of its own.
 * Its power can be cut, it can hang, and the medium behind it can run out of blocks.
 *
 *     <dir>/medium        tmpfs of medium_bytes; holds the image, and what is put there to fill it
 *     <dir>/medium/image  image_bytes, sparse
 *     <dir>/disk          the file system
 *
 * Needs root. Everything is mounted in a mount namespace of the test's, so that nothing stays when
 * it dies, however that happens. Children are born into that namespace.
 */
#ifndef TESTS_SYSTEM_LOOP_DISK_H
#define TESTS_SYSTEM_LOOP_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <gw/base/defs.h>

struct sys_disk {
    const char *kind; /* "ext4" or "xfs" */
    bool page_writes;
    char *dir, *medium, *image, *path, *ballast;
    pid_t freezer; /* 0: not frozen */
    int freezer_fd;
};

struct sys_disk_options {
    const char *kind;
    uint64_t image_bytes, medium_bytes;
    bool page_writes; /* for sys_medium_fill: see loop_disk.c; slow */
};

/*
 * True with an empty file system at disk->path. False with the reason in `why`, a sentence, when
 * this machine or this user cannot do that; then there is nothing to destroy.
 */
GW_MUST_USE bool sys_disk_create(struct sys_disk *disk, const struct sys_disk_options *options,
                                 char *why, size_t why_bytes);
void sys_disk_destroy(struct sys_disk *disk);

/*
 * The power goes: what the file system has not synced is gone, and every call on it fails from now
 * on. Any thread. It comes back with sys_disk_remount.
 */
void sys_disk_cut(const struct sys_disk *disk);
/* Mounts it anew, once nobody has a file on it open: what is read then is what the medium has. */
void sys_disk_remount(struct sys_disk *disk);

/*
 * Freezes it: writes and syncs that begin from now on do not return before the thaw. A frozen file
 * system outlives its mounts, so a child does it, who thaws when it is told to or when we are gone.
 */
void sys_disk_freeze(struct sys_disk *disk);
void sys_disk_thaw(struct sys_disk *disk); /* not frozen is fine */

/* Fills the file system, or the medium behind it, up to `bytes_left`; and takes that away again, if
 * any. */
void sys_disk_fill(struct sys_disk *disk, uint64_t bytes_left);
void sys_medium_fill(struct sys_disk *disk, uint64_t bytes_left);
void sys_disk_unfill(struct sys_disk *disk);

#endif
