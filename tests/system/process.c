/*
 * Children, files and patience. See process.h.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLOWDOWN 3
#elif defined(__SANITIZE_THREAD__)
#define SLOWDOWN 6
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOWDOWN 3
#elif __has_feature(thread_sanitizer)
#define SLOWDOWN 6
#endif
#endif
#ifndef SLOWDOWN
#define SLOWDOWN 1
#endif

enum { RUN_MS_MAX = 60000, LOOK_AGAIN_MS = 5, PATIENCE_MAX = 100 };

static uint32_t patience = 1;

struct growing {
    char *data;
    size_t bytes, capacity;
};

/* Read before there are threads, whom setenv in another would surprise. */
__attribute__((constructor)) static void read_patience(void)
{
    const char *text = getenv("TOLLGATE_TEST_SLOW");
    unsigned long factor = text != NULL ? strtoul(text, NULL, 10) : 1;

    if (factor >= 1 && factor <= PATIENCE_MAX)
        patience = (uint32_t)factor;
}

uint32_t sys_ms(uint32_t ms)
{
    return ms * SLOWDOWN * patience;
}

bool sys_is_sanitized(void)
{
    return SLOWDOWN > 1;
}

uint64_t sys_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sys_pause_ms(uint32_t ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
}

static void growing_add(struct growing *text, const char *data, size_t bytes)
{
    if (text->bytes + bytes + 1 > text->capacity) {
        text->capacity = (text->bytes + bytes + 1) * 2;
        text->data = (char *)realloc(text->data, text->capacity);
        if (text->data == NULL)
            abort(); /* a test program out of memory has nothing to say */
    }
    if (bytes > 0)
        memcpy(text->data + text->bytes, data, bytes);
    text->bytes += bytes;
    text->data[text->bytes] = '\0';
}

/* In the child, between fork and exec. */
static void child_becomes(const char *const argv[], const char *const env[], pid_t parent, int in,
                          int out, int err)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we asked to be told */
        _exit(127);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    for (; env != NULL && *env != NULL; env++)
        putenv((char *)*env);
    execvp(argv[0], (char *const *)argv);
    dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool sys_wait(pid_t child, uint32_t ms, int *exit_code)
{
    uint64_t deadline = sys_now_ms() + ms;

    for (;;) {
        int status = 0;
        pid_t got = waitpid(child, &status, WNOHANG);

        if (got == child) {
            *exit_code = exit_code_of(status);
            return true;
        }
        if (got < 0 && errno != EINTR) {
            *exit_code = -1;
            return true;
        }
        if (sys_now_ms() >= deadline)
            return false;
        sys_pause_ms(LOOK_AGAIN_MS);
    }
}

pid_t sys_spawn(const char *const argv[], const char *const env[], const char *log_path)
{
    pid_t parent = getpid();
    pid_t child = -1;
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (log >= 0 && null >= 0) {
        child = fork();
        if (child == 0)
            child_becomes(argv, env, parent, null, log, log);
    }
    if (log >= 0)
        close(log);
    if (null >= 0)
        close(null);
    return child;
}

/* One turn of moving bytes between us and the child; false once both its outputs have ended. */
static bool move_bytes(struct pollfd fds[3], const char **input, struct growing out[2])
{
    if (poll(fds, 3, 50) < 0)
        return errno == EINTR;
    if (fds[0].fd >= 0 && fds[0].revents != 0) {
        ssize_t sent = **input == '\0' ? -1 : write(fds[0].fd, *input, strlen(*input));

        *input += sent > 0 ? sent : 0;
        if (sent < 0 || **input == '\0') {
            close(fds[0].fd);
            fds[0].fd = -1;
        }
    }
    for (int i = 0; i < 2; i++) {
        char room[4096];
        ssize_t got;

        if (fds[i + 1].fd < 0 || fds[i + 1].revents == 0)
            continue;
        got = read(fds[i + 1].fd, room, sizeof room);
        if (got > 0) {
            growing_add(&out[i], room, (size_t)got);
        } else {
            close(fds[i + 1].fd);
            fds[i + 1].fd = -1;
        }
    }
    return fds[1].fd >= 0 || fds[2].fd >= 0;
}

bool sys_run(const char *const argv[], const char *input, struct sys_output *output)
{
    struct growing out[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    uint64_t deadline = sys_now_ms() + sys_ms(RUN_MS_MAX);
    int in[2], ou[2], er[2];
    pid_t parent = getpid();
    pid_t child;
    struct pollfd fds[3];
    void (*pipe_action)(int);

    *output = (struct sys_output){.exit_code = -1};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(ou, O_CLOEXEC) != 0 || pipe2(er, O_CLOEXEC) != 0)
        return false;
    child = fork();
    if (child == 0)
        child_becomes(argv, NULL, parent, in[0], ou[1], er[1]);
    close(in[0]);
    close(ou[1]);
    close(er[1]);
    fds[0] = (struct pollfd){.fd = in[1], .events = POLLOUT};
    fds[1] = (struct pollfd){.fd = ou[0], .events = POLLIN};
    fds[2] = (struct pollfd){.fd = er[0], .events = POLLIN};
    pipe_action = signal(SIGPIPE, SIG_IGN); /* a child need not read what it is given */
    if (input == NULL)
        input = "";
    growing_add(&out[0], "", 0);
    growing_add(&out[1], "", 0);
    while (child > 0 && sys_now_ms() < deadline && move_bytes(fds, &input, out))
        continue;
    signal(SIGPIPE, pipe_action);
    for (int i = 0; i < 3; i++)
        if (fds[i].fd >= 0)
            close(fds[i].fd);
    output->out = out[0].data;
    output->err = out[1].data;
    if (child > 0 && !sys_wait(child, sys_ms(5000), &output->exit_code)) {
        int ignored;

        kill(child, SIGKILL);
        (void)!sys_wait(child, sys_ms(5000), &ignored);
        output->exit_code = -1;
    }
    return child > 0;
}

void sys_output_release(struct sys_output *output)
{
    free(output->out);
    free(output->err);
    output->out = output->err = NULL;
}

char *sys_text(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    return text;
}

char *sys_file_text(const char *path)
{
    struct growing text = {NULL, 0, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char room[16384];
    ssize_t got;

    growing_add(&text, "", 0);
    while (fd >= 0 && (got = read(fd, room, sizeof room)) > 0)
        growing_add(&text, room, (size_t)got);
    if (fd >= 0)
        close(fd);
    return text.data;
}

bool sys_file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written;

    if (fd < 0)
        return false;
    written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    return close(fd) == 0 && written;
}

char *sys_tree_create(void)
{
    const char *base = getenv("TMPDIR");
    char *path = sys_text("%s/tollgate-test-XXXXXX", base != NULL && *base != '\0' ? base : "/tmp");

    if (mkdtemp(path) == NULL)
        abort();
    return path;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

void sys_tree_remove(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
