/*
 * Somebody who has got hold of a gateway that serves: preloaded into it, the thread that syncs the
 * log does what the file named by INTRUDER_ORDER says, in the middle of its work and with all that
 * the process may do, and writes on stderr what became of it, as the log does.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int or_errno(long result)
{
    return result < 0 ? -errno : 0;
}

static int read_elsewhere(void)
{
    return or_errno(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int write_elsewhere(void)
{
    return or_errno(open(getenv("INTRUDER_ELSEWHERE"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int connect_out(void)
{
    return or_errno(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int split(void)
{
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (child == 0)
        _exit(0);
    return or_errno(child);
}

static int bring_code(void)
{
    const void *memory =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? -errno : 0;
}

static int signal_others(void)
{
    return or_errno(kill(getppid(), 0));
}

static int start_a_program(void)
{
    char name[] = "true", *arguments[] = {name, NULL};

    return or_errno(execve("/bin/true", arguments, NULL));
}

static int be_traced(void)
{
    return or_errno(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int make_a_ring(void)
{
    struct io_uring_params params = {.flags = 0};

    return or_errno(syscall(SYS_io_uring_setup, 4, &params));
}

static int become_another(void)
{
    return or_errno(syscall(SYS_setuid, 65533));
}

static const struct {
    const char *name;
    int (*act)(void);
} acts[] = {
    {"read_elsewhere", read_elsewhere},   {"write_elsewhere", write_elsewhere},
    {"connect_out", connect_out},         {"split", split},
    {"bring_code", bring_code},           {"signal_others", signal_others},
    {"start_a_program", start_a_program}, {"be_traced", be_traced},
    {"make_a_ring", make_a_ring},         {"become_another", become_another},
};

static void obey(void)
{
    const char *path = getenv("INTRUDER_ORDER");
    char order[64] = "", line[160];
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!read(fd, order, sizeof order - 1);
    (void)close(fd);
    (void)unlink(path);
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(acts[i].name, order) != 0)
            continue;
        int bytes =
            snprintf(line, sizeof line, "event=intruder act=%s result=%d\n", order, acts[i].act());

        (void)!write(STDERR_FILENO, line, (size_t)bytes);
    }
}

int fdatasync(int fd)
{
    int (*real)(int) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    obey();
    return real(fd);
}
