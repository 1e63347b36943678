/*
 * A disk that stops: preloaded into the gateway, fdatasync and fsync do not return while the file
 * named by SLOW_DISK_STALL exists. Everything else about the disk stays as it is.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_for_the_disk(void)
{
    const char *stall = getenv("SLOW_DISK_STALL");
    const struct timespec look_again = {.tv_nsec = 5000000};

    while (stall != NULL && access(stall, F_OK) == 0)
        (void)nanosleep(&look_again, NULL);
}

static int sync_by(const char *name, int fd)
{
    int (*real)(int) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, name);
    wait_for_the_disk();
    return real(fd);
}

int fdatasync(int fd)
{
    return sync_by("fdatasync", fd);
}

int fsync(int fd)
{
    return sync_by("fsync", fd);
}
