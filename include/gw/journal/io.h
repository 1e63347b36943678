/*
 * What the journal asks of the file system, as a table, so that a test or a simulator can put a
 * disk in its place that fails, loses what was not synced, or lives in memory. Every call answers
 * like the system's own, with -errno instead of -1.
 */
#ifndef GW_JOURNAL_IO_H
#define GW_JOURNAL_IO_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct gw_journal_io {
    void *context; /* handed to every call */

    int (*open)(void *context, const char *path, int flags, mode_t mode);
    int (*close)(void *context, int fd);
    ssize_t (*pread)(void *context, int fd, void *buffer, size_t bytes, uint64_t offset);
    ssize_t (*pwritev)(void *context, int fd, const struct iovec *iov, int count, uint64_t offset);
    int (*fdatasync)(void *context, int fd);
    int (*fsync)(void *context, int fd); /* of a new file, or of a directory */
    /*
     * What is read from `offset` on is what the disk has, not what memory holds of it; NULL where
     * that is the same. A write that failed leaves pages behind that read as if it had not.
     */
    void (*forget)(void *context, int fd, uint64_t offset);
    int (*truncate)(void *context, int fd, uint64_t bytes);
    int64_t (*size)(void *context, int fd);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    int (*mkdir)(void *context, const char *path, mode_t mode); /* 0 when it is there already */

    /* Calls `visit` for each name in the directory; a result other than 0 ends it and is returned.
     */
    int (*list)(void *context, const char *path, int (*visit)(void *visitor, const char *name),
                void *visitor);

    /* An exclusive lock of the open file, gone when its last descriptor is; -EWOULDBLOCK if held.
     */
    int (*lock)(void *context, int fd);
    /* 1 when somebody holds the lock, 0 when not; takes nothing. */
    int (*is_locked)(void *context, int fd);

    uint64_t (*wall_us)(void *context); /* since 1970 */
    void (*sleep_ms)(void *context, uint32_t ms);
};

/* The operating system. */
extern const struct gw_journal_io gw_journal_io_system;

#endif
