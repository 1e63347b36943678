/*
 * The journal's file system, as the operating system gives it.
 *
 * The lock is an open-file-description lock (fcntl), not flock: like flock it belongs to the open
 * file and dies with its last descriptor, and unlike flock a reader can ask whether it is held
 * without taking it for a moment, which would make a writer that starts just then believe that
 * another one is alive.
 */
#include <gw/journal/io.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/clock.h>

static int or_errno(int result)
{
    return result < 0 ? -errno : result;
}

static int system_open(void *context, const char *path, int flags, mode_t mode)
{
    (void)context;
    return or_errno(open(path, flags | O_CLOEXEC, mode));
}

static int system_close(void *context, int fd)
{
    (void)context;
    return or_errno(close(fd));
}

static ssize_t system_pread(void *context, int fd, void *buffer, size_t bytes, uint64_t offset)
{
    ssize_t got;

    (void)context;
    do
        got = pread(fd, buffer, bytes, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t system_pwritev(void *context, int fd, const struct iovec *iov, int count,
                              uint64_t offset)
{
    ssize_t got;

    (void)context;
    do
        got = pwritev(fd, iov, count, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* Never repeated, not even after EINTR: the second call may say "done" about lost data. */
static int system_fdatasync(void *context, int fd)
{
    (void)context;
    return or_errno(fdatasync(fd));
}

static int system_fsync(void *context, int fd)
{
    (void)context;
    return or_errno(fsync(fd));
}

static void system_forget(void *context, int fd, uint64_t offset)
{
    (void)context;
    (void)posix_fadvise(fd, (off_t)offset, 0, POSIX_FADV_DONTNEED);
}

static int system_truncate(void *context, int fd, uint64_t bytes)
{
    (void)context;
    return or_errno(ftruncate(fd, (off_t)bytes));
}

static int64_t system_size(void *context, int fd)
{
    struct stat st;

    (void)context;
    return fstat(fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int system_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return or_errno(rename(from, to));
}

static int system_unlink(void *context, const char *path)
{
    (void)context;
    return or_errno(unlink(path));
}

static int system_mkdir(void *context, const char *path, mode_t mode)
{
    (void)context;
    return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int system_list(void *context, const char *path,
                       int (*visit)(void *visitor, const char *name), void *visitor)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int err = 0;

    (void)context;
    if (dir == NULL)
        return -errno;
    while (err == 0) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            err = -errno;
            break;
        }
        if (entry->d_name[0] != '.')
            err = visit(visitor, entry->d_name);
    }
    closedir(dir);
    return err;
}

static int system_lock(void *context, int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    (void)context;
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EWOULDBLOCK : -errno;
}

static int system_is_locked(void *context, int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    (void)context;
    if (fcntl(fd, F_OFD_GETLK, &whole) < 0)
        return -errno;
    return whole.l_type != F_UNLCK;
}

static uint64_t system_wall_us(void *context)
{
    (void)context;
    return gw_clock_wall_us();
}

static void system_sleep_ms(void *context, uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)context;
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

const struct gw_journal_io gw_journal_io_system = {
    .open = system_open,
    .close = system_close,
    .pread = system_pread,
    .pwritev = system_pwritev,
    .fdatasync = system_fdatasync,
    .fsync = system_fsync,
    .forget = system_forget,
    .truncate = system_truncate,
    .size = system_size,
    .rename = system_rename,
    .unlink = system_unlink,
    .mkdir = system_mkdir,
    .list = system_list,
    .lock = system_lock,
    .is_locked = system_is_locked,
    .wall_us = system_wall_us,
    .sleep_ms = system_sleep_ms,
};
