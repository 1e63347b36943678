/*
 * Each kind of confinement, in a child of its own: what is still needed works, and what is not is
 * refused. That the gateway confines itself is tests/system/confine_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gw/confine/confine.h>

#include "sanitized_internal.h"

enum { NOBODY = 65534 };

/* In a child: the line that did not hold is what it exits with. */
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__ & 0xff;                                                                \
    } while (0)

static char inside[] = "/tmp/gw_confine_test.inside.XXXXXX";
static char outside[] = "/tmp/gw_confine_test.outside.XXXXXX";
static char why[256];

/* How a child that does this ends. */
static int status_of(int (*body)(void))
{
    int status = -1;
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    if (child == 0)
        _exit(body());
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void expect_holds(int (*body)(void))
{
    int status = status_of(body);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("line %d (modulo 256) did not hold, signal %d", WEXITSTATUS(status),
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static int make_file(const char *folder, const char *name)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return fd < 0 ? -errno : close(fd);
}

static int read_file(const char *path)
{
    int fd = open(path, O_RDONLY);

    return fd < 0 ? -errno : close(fd);
}

/* ---- files ---- */

static int version;

static int confine_to_inside(void)
{
    const struct gw_confine_path paths[] = {{inside, GW_CONFINE_WRITE}, {"/usr", GW_CONFINE_READ}};

    return gw_confine_files(paths, 2, &version, why, sizeof why);
}

static int own_folders_are_what_they_were(void)
{
    char from[128], to[128];

    HOLDS(confine_to_inside() == 0);
    HOLDS(make_file(inside, "file.new") == 0);
    (void)snprintf(from, sizeof from, "%s/file.new", inside);
    (void)snprintf(to, sizeof to, "%s/file", inside);
    HOLDS(rename(from, to) == 0);
    HOLDS(truncate(to, 0) == 0);
    HOLDS(read_file(to) == 0);
    HOLDS(unlink(to) == 0);
    HOLDS(read_file("/usr") == 0);
    return 0;
}

static int other_folders_are_refused(void)
{
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int open_before = open("/etc/passwd", O_RDONLY), fd = socket(AF_INET, SOCK_STREAM, 0);
    char byte, link_to[128], folder[128];

    HOLDS(confine_to_inside() == 0);
    HOLDS(make_file(outside, "file") == -EACCES);
    HOLDS(make_file("/usr", "gw_confine_test") == -EACCES);
    (void)snprintf(link_to, sizeof link_to, "%s/link", inside);
    (void)snprintf(folder, sizeof folder, "%s/folder", inside);
    HOLDS(symlink("/etc/passwd", link_to) != 0 && errno == EACCES);
    HOLDS(mkdir(folder, 0700) != 0 && errno == EACCES);
    if (!GW_SANITIZED) {
        HOLDS(read_file("/etc/passwd") == -EACCES);
        HOLDS(read_file("/proc/self/maps") == -EACCES);
    }
    HOLDS(read(open_before, &byte, 1) == 1); /* what is open stays open */
    if (version >= 4) {
        HOLDS(bind(fd, (struct sockaddr *)&port, sizeof port) != 0 && errno == EACCES);
        HOLDS(connect(fd, (struct sockaddr *)&port, sizeof port) != 0 && errno == EACCES);
    }
    return 0;
}

static int a_folder_that_is_not_there_is_named(void)
{
    const struct gw_confine_path paths[] = {{"/nonexistent", GW_CONFINE_READ}};

    HOLDS(gw_confine_files(paths, 1, &version, why, sizeof why) == -ENOENT);
    HOLDS(strstr(why, "/nonexistent") != NULL);
    HOLDS(read_file("/etc/passwd") == 0); /* and nothing has changed */
    return 0;
}

static void files_are_those_of_the_folders(void **state)
{
    (void)state;
    version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    if (version < 1)
        skip(); /* this kernel has no Landlock */
    assert_non_null(mkdtemp(inside));
    assert_non_null(mkdtemp(outside));
    expect_holds(own_folders_are_what_they_were);
    expect_holds(other_folders_are_refused);
    expect_holds(a_folder_that_is_not_there_is_named);
    assert_int_equal(rmdir(inside), 0);
    assert_int_equal(rmdir(outside), 0);
}

/* ---- system calls ---- */

static int what_a_gateway_does_is_allowed(void)
{
    char byte = 0;
    int fds[2], fd;
    void *memory;

    HOLDS(pipe(fds) == 0);
    HOLDS(gw_confine_calls() == 0);
    HOLDS(write(fds[1], "x", 1) == 1 && read(fds[0], &byte, 1) == 1 && byte == 'x');
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    HOLDS(fd >= 0 && close(fd) == 0);
    HOLDS(read_file("/etc/passwd") == 0); /* which files is another matter */
    memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HOLDS(memory != MAP_FAILED && munmap(memory, 1 << 20) == 0);
    return 0;
}

static int other_calls_fail(void)
{
    HOLDS(gw_confine_calls() == 0);
    HOLDS(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
    HOLDS(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
    if (GW_SANITIZED)
        return 0;
    HOLDS(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 && errno == EPERM);
    HOLDS(kill(getppid(), 0) < 0 && errno == EPERM);
    HOLDS(syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 && errno == EPERM);
    HOLDS(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
              MAP_FAILED &&
          errno == EPERM);
    HOLDS(chdir("/") < 0 && errno == EPERM);
    return 0;
}

static int start_a_program(void)
{
    char name[] = "true", *arguments[] = {name, NULL};

    HOLDS(gw_confine_calls() == 0);
    (void)execve("/bin/true", arguments, NULL);
    return 0;
}

static int trace(void)
{
    HOLDS(gw_confine_calls() == 0);
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    return 0;
}

static int make_a_ring(void)
{
    struct io_uring_params params = {0};

    HOLDS(gw_confine_calls() == 0);
    (void)syscall(SYS_io_uring_setup, 4, &params);
    return 0;
}

static int become_another(void)
{
    HOLDS(gw_confine_calls() == 0);
    (void)setuid(NOBODY);
    return 0;
}

static int fail_an_assertion(void)
{
    HOLDS(gw_confine_calls() == 0);
    abort();
}

static void system_calls_are_those_of_a_gateway(void **state)
{
    static const struct {
        int (*body)(void);
        bool is_a_sanitizers;
    } fatal[] = {
        {start_a_program, true}, {trace, true}, {make_a_ring, false}, {become_another, false}};
    int status;

    (void)state;
    expect_holds(what_a_gateway_does_is_allowed);
    expect_holds(other_calls_fail);
    for (size_t i = 0; i < GW_ARRAY_COUNT(fatal); i++) {
        if (fatal[i].is_a_sanitizers && GW_SANITIZED)
            continue;
        status = status_of(fatal[i].body);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
    status = status_of(fail_an_assertion);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static int go[2];
static int result_of_thread;

static void *thread_main(void *argument)
{
    char byte;

    (void)argument;
    (void)!read(go[0], &byte, 1);
    result_of_thread = socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
    return NULL;
}

static int threads_that_run_are_held_to_it(void)
{
    pthread_t thread;

    HOLDS(pipe(go) == 0);
    HOLDS(pthread_create(&thread, NULL, thread_main, NULL) == 0);
    HOLDS(gw_confine_calls() == 0);
    HOLDS(write(go[1], "x", 1) == 1);
    HOLDS(pthread_join(thread, NULL) == 0);
    HOLDS(result_of_thread == EPERM);
    return 0;
}

static void the_filter_holds_for_every_thread(void **state)
{
    (void)state;
    expect_holds(threads_that_run_are_held_to_it);
}

/* ---- who it is ---- */

static int nobody_is_nobody_for_ever(void)
{
    uid_t real, effective, saved;

    HOLDS(gw_confine_user("nobody", NULL, why, sizeof why) == 0);
    HOLDS(getresuid(&real, &effective, &saved) == 0);
    HOLDS(real == NOBODY && effective == NOBODY && saved == NOBODY);
    HOLDS(getegid() != 0 && getgroups(0, NULL) == 0);
    HOLDS(setuid(0) != 0 && setgid(0) != 0);
    HOLDS(gw_confine_user("nobody", NULL, why, sizeof why) == 0); /* it is that already */
    HOLDS(gw_confine_user("root", NULL, why, sizeof why) == -EPERM);
    return 0;
}

static int strangers_are_named(void)
{
    HOLDS(gw_confine_user("no-such-user", NULL, why, sizeof why) == -ENOENT);
    HOLDS(strstr(why, "no-such-user") != NULL);
    HOLDS(gw_confine_user("root", "no-such-group", why, sizeof why) == -ENOENT);
    HOLDS(strstr(why, "no-such-group") != NULL);
    return 0;
}

static int nothing_is_left_or_comes_back(void)
{
    HOLDS(gw_confine_privileges() == 0);
    HOLDS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    if (geteuid() != 0)
        return 0;
    HOLDS(prctl(PR_CAPBSET_READ, 0, 0, 0, 0) == 0);
    HOLDS(setuid(NOBODY) != 0 && errno == EPERM); /* root, and not allowed to */
    HOLDS(chroot("/") != 0 && errno == EPERM);
    return 0;
}

static int memory_stays_here(void)
{
    struct rlimit core;

    HOLDS(gw_confine_memory() == 0);
    HOLDS(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    HOLDS(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
    return 0;
}

/* What another process of the same user meets that wants to see our memory: 0, or an errno. */
static int seen_by_another(void)
{
    char path[64];
    pid_t other;
    int status = -1;

    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)getpid());
    other = fork();
    if (other == 0)
        _exit(-read_file(path));
    return waitpid(other, &status, 0) == other && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int nobody_looks_into_it(void)
{
    HOLDS(geteuid() != 0 || gw_confine_user("nobody", NULL, why, sizeof why) == 0);
    HOLDS(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    HOLDS(seen_by_another() == 0);
    HOLDS(gw_confine_memory() == 0);
    HOLDS(seen_by_another() == EACCES);
    return 0;
}

static void users_and_privileges_are_given_up(void **state)
{
    (void)state;
    expect_holds(strangers_are_named);
    if (geteuid() == 0 && !GW_SANITIZED) /* ThreadSanitizer's own thread does not survive it */
        expect_holds(nobody_is_nobody_for_ever);
    expect_holds(nothing_is_left_or_comes_back);
    expect_holds(memory_stays_here);
    if (!GW_SANITIZED)
        expect_holds(nobody_looks_into_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_those_of_the_folders),
        cmocka_unit_test(system_calls_are_those_of_a_gateway),
        cmocka_unit_test(the_filter_holds_for_every_thread),
        cmocka_unit_test(users_and_privileges_are_given_up),
    };

    return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
