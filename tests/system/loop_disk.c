/*
 * A disk of a test's own. See loop_disk.h.
 */
#include "loop_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

/* The same for ext4 and XFS; no header of the C library's has it. */
#define DISK_SHUTDOWN    _IOR('X', 125, uint32_t)
#define DISK_NO_LOG_SYNC UINT32_C(2)

enum { LOOP_TRIES = 16, UNMOUNT_TRIES = 400, UNMOUNT_AGAIN_MS = 5, THAW_MS = 30000 };

GW_PRINTF(3, 4)
static bool refuse(char *why, size_t why_bytes, const char *format, ...)
{
    int err = errno;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(why, why_bytes, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < why_bytes)
        (void)snprintf(why + length, why_bytes - (size_t)length, ": %s", strerror(err));
    return false;
}

/* The image on a free loop device, as its path; the device goes with its last user. */
static int loop_attach(const char *image, char path[32])
{
    struct loop_config config = {.info.lo_flags = LO_FLAGS_AUTOCLEAR};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int file = open(image, O_RDWR | O_CLOEXEC);
    int loop = -1, err = control < 0 || file < 0 ? errno : EBUSY;

    /* Another one may take the free device before we do. */
    for (int i = 0; i < LOOP_TRIES && loop < 0 && err == EBUSY; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);

        (void)snprintf(path, 32, "/dev/loop%d", number);
        loop = number < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
        config.fd = (uint32_t)file;
        if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) == 0)
            break;
        err = errno;
        if (loop >= 0)
            (void)close(loop);
        loop = -1;
    }
    if (control >= 0)
        (void)close(control);
    if (file >= 0)
        (void)close(file);
    errno = err;
    return loop;
}

/*
 * A loop device calls a write a success of which its medium took only the beginning. With a page at
 * a time there is no such write.
 */
static bool write_pages(const char *device)
{
    char *limit = sys_text("/sys/block/%s/queue/max_sectors_kb", device + strlen("/dev/"));
    bool set = sys_file_write(limit, "4");

    free(limit);
    return set;
}

static bool mount_image(struct sys_disk *disk)
{
    char device[32];
    int loop = loop_attach(disk->image, device), err;
    bool mounted;

    if (loop < 0)
        return false;
    mounted = (!disk->page_writes || write_pages(device)) &&
              mount(device, disk->path, disk->kind, MS_NOATIME, NULL) == 0;
    err = errno;
    (void)close(loop);
    errno = err;
    return mounted;
}

static void unmount(const char *path)
{
    for (int i = 0; umount(path) != 0; i++) {
        assert_true(errno == EBUSY && i < UNMOUNT_TRIES);
        sys_pause_ms(UNMOUNT_AGAIN_MS);
    }
}

static bool make_file_system(const struct sys_disk *disk, char *why, size_t why_bytes)
{
    const char *const ext4[] = {"/sbin/mkfs.ext4", "-q", "-F", "-m", "0", disk->image, NULL};
    const char *const xfs[] = {"/sbin/mkfs.xfs", "-q", "-f", disk->image, NULL};
    struct sys_output output;
    bool made = false;

    errno = 0;
    if (!sys_run(strcmp(disk->kind, "xfs") == 0 ? xfs : ext4, NULL, &output))
        return refuse(why, why_bytes, "mkfs.%s cannot be started", disk->kind);
    made = output.exit_code == 0;
    if (!made)
        (void)snprintf(why, why_bytes, "mkfs.%s: %.200s", disk->kind, output.err);
    sys_output_release(&output);
    return made;
}

static bool make_image(const struct sys_disk *disk, uint64_t bytes)
{
    int fd = open(disk->image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool made = fd >= 0 && ftruncate(fd, (off_t)bytes) == 0;

    if (fd >= 0)
        (void)close(fd);
    return made;
}

bool sys_disk_create(struct sys_disk *disk, const struct sys_disk_options *options, char *why,
                     size_t why_bytes)
{
    char size[48];

    *disk = (struct sys_disk){.kind = options->kind, .page_writes = options->page_writes};
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return refuse(why, why_bytes, "no mount namespace of our own (it takes root)");
    disk->dir = sys_tree_create();
    disk->medium = sys_text("%s/medium", disk->dir);
    disk->image = sys_text("%s/image", disk->medium);
    disk->path = sys_text("%s/disk", disk->dir);
    (void)snprintf(size, sizeof size, "size=%llu", (unsigned long long)options->medium_bytes);
    if (mkdir(disk->medium, 0700) != 0 || mkdir(disk->path, 0700) != 0 ||
        mount("tmpfs", disk->medium, "tmpfs", 0, size) != 0 ||
        !make_image(disk, options->image_bytes))
        (void)refuse(why, why_bytes, "no tmpfs for the image");
    else if (!make_file_system(disk, why, why_bytes))
        ;
    else if (!mount_image(disk))
        (void)refuse(why, why_bytes, "no %s on a loop device", disk->kind);
    else
        return true;
    (void)umount(disk->medium);
    sys_disk_destroy(disk);
    return false;
}

static bool is_mounted(const char *path)
{
    struct stat here, above;
    char *up = sys_text("%s/..", path);
    bool mounted = stat(path, &here) == 0 && stat(up, &above) == 0 && here.st_dev != above.st_dev;

    free(up);
    return mounted;
}

void sys_disk_destroy(struct sys_disk *disk)
{
    if (disk->dir == NULL)
        return;
    sys_disk_thaw(disk);
    if (is_mounted(disk->path))
        unmount(disk->path);
    if (is_mounted(disk->medium))
        unmount(disk->medium);
    sys_tree_remove(disk->dir);
    free(disk->dir);
    free(disk->medium);
    free(disk->image);
    free(disk->path);
    free(disk->ballast);
    *disk = (struct sys_disk){.kind = NULL};
}

static int disk_ioctl(const struct sys_disk *disk, unsigned long request, void *argument)
{
    int fd = open(disk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : ioctl(fd, request, argument);
    int err = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = err;
    return result;
}

void sys_disk_cut(const struct sys_disk *disk)
{
    uint32_t how = DISK_NO_LOG_SYNC;

    if (disk_ioctl(disk, DISK_SHUTDOWN, &how) != 0)
        abort(); /* not in a thread that cmocka knows */
}

void sys_disk_remount(struct sys_disk *disk)
{
    unmount(disk->path);
    assert_true(mount_image(disk));
}

/* Between fork and _exit; its only files are the three it was given. */
static void freezer_main(int dir, int ack, int told)
{
    uint8_t byte = 0;

    if (dup2(dir, 0) != 0 || dup2(ack, 1) != 1 || dup2(told, 2) != 2 ||
        close_range(3, ~0U, 0) != 0 || ioctl(0, FIFREEZE, NULL) != 0)
        _exit(1);
    if (write(1, &byte, 1) == 1)
        while (read(2, &byte, 1) < 0 && errno == EINTR)
            continue;
    (void)ioctl(0, FITHAW, NULL);
    _exit(0);
}

void sys_disk_freeze(struct sys_disk *disk)
{
    int dir = open(disk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ack[2], told[2];
    uint8_t byte;

    assert_true(dir >= 0 && pipe2(ack, O_CLOEXEC) == 0 && pipe2(told, O_CLOEXEC) == 0);
    disk->freezer = fork();
    if (disk->freezer == 0)
        freezer_main(dir, ack[1], told[0]);
    assert_true(disk->freezer > 0);
    disk->freezer_fd = told[1];
    (void)close(dir);
    (void)close(ack[1]);
    (void)close(told[0]);
    assert_int_equal(read(ack[0], &byte, 1), 1);
    (void)close(ack[0]);
}

void sys_disk_thaw(struct sys_disk *disk)
{
    int exit_code;

    if (disk->freezer == 0)
        return;
    (void)close(disk->freezer_fd);
    assert_true(sys_wait(disk->freezer, THAW_MS, &exit_code));
    disk->freezer = 0;
    assert_int_equal(exit_code, 0);
}

static void fill(struct sys_disk *disk, const char *path, uint64_t bytes_left)
{
    struct statfs room;
    uint64_t bytes;
    int fd;

    assert_null(disk->ballast);
    disk->ballast = sys_text("%s/ballast", path);
    fd = open(disk->ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fstatfs(fd, &room), 0);
    bytes = (uint64_t)room.f_bavail * (uint64_t)room.f_bsize;
    assert_true(bytes > bytes_left);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(bytes - bytes_left)), 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(close(fd), 0);
}

void sys_disk_fill(struct sys_disk *disk, uint64_t bytes_left)
{
    fill(disk, disk->path, bytes_left);
}

/*
 * What is in use keeps its blocks on the medium, what is free gives them back: so only new data is
 * refused, and the file system itself stays well.
 */
void sys_medium_fill(struct sys_disk *disk, uint64_t bytes_left)
{
    struct fstrim_range all = {.len = UINT64_MAX};
    struct stat image;
    int fd = open(disk->image, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &image), 0);
    assert_int_equal(posix_fallocate(fd, 0, image.st_size), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(disk_ioctl(disk, FITRIM, &all), 0);
    fill(disk, disk->medium, bytes_left);
}

void sys_disk_unfill(struct sys_disk *disk)
{
    if (disk->ballast != NULL)
        assert_int_equal(unlink(disk->ballast), 0);
    free(disk->ballast);
    disk->ballast = NULL;
}
