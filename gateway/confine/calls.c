/*
 * The filter of system calls, as a program for the kernel (seccomp). It is written here and not by
 * libseccomp: four tables are all there is to it, and the kernel remembers by itself for which
 * calls the answer never depends on arguments, so their order costs nothing.
 *
 * A call that no table has fails with EPERM, which a library that tries something new survives.
 * What only an intruder would do ends the process. Nothing here sees what goes through a ring; the
 * kernel is told of that elsewhere, see io/restrict.c.
 */
#include <gw/confine/confine.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gw/base/assert.h>

#include "sanitized_internal.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the architecture's number for seccomp is to be added here"
#endif
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an argument's low half comes first");

enum { X32_BIT = 0x40000000, PROGRAM_MAX = 512 };

/* clang-format off */
static const uint32_t allowed[] = {
    /* shards: the ring, its wake-ups, time */
    SYS_io_uring_enter, SYS_read, SYS_write, SYS_futex, SYS_clock_gettime, SYS_gettimeofday,
    SYS_clock_nanosleep, SYS_nanosleep, SYS_sched_yield, SYS_restart_syscall,
    /* the log, the last values, certificates; where they lie is Landlock's */
    SYS_openat, SYS_close, SYS_lseek, SYS_pread64, SYS_pwrite64, SYS_readv, SYS_writev,
    SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
    SYS_fallocate, SYS_fadvise64, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_fstatfs, SYS_statfs,
    SYS_faccessat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_getdents64, SYS_fcntl,
    SYS_flock,
#ifdef SYS_open /* what came before the calls with "at" */
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_unlink, SYS_rename, SYS_poll, SYS_time,
#endif
    /* admin port, control socket, who binds new devices, the service manager */
    SYS_connect, SYS_ppoll, SYS_accept, SYS_accept4, SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg,
    SYS_shutdown, SYS_setsockopt, SYS_getsockopt, SYS_getsockname, SYS_getpeername,
    /* memory */
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_msync, SYS_getrandom,
    /* what glibc asks, a failed assertion, the end */
    SYS_getpid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_sysinfo,
    SYS_sched_getaffinity, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn,
    SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_exit_group,
};

static const uint32_t fatal[] = {
#if !GW_SANITIZED
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv,
#endif
    SYS_process_vm_writev, SYS_io_uring_setup, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid,
    SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_capset, SYS_unshare, SYS_setns, SYS_mount,
    SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_bpf, SYS_init_module, SYS_finit_module,
    SYS_delete_module, SYS_kexec_load, SYS_keyctl, SYS_add_key, SYS_request_key,
    SYS_perf_event_open, SYS_userfaultfd, SYS_open_by_handle_at, SYS_reboot,
};
/* clang-format on */

/* Allowed when the argument, of which `mask` is looked at, is `value`. */
struct condition {
    uint32_t call, argument, mask, value;
};

static const struct condition conditions[] = {
    {SYS_socket, 0, UINT32_MAX,
     AF_UNIX}, /* the service manager and who binds devices are told by it */
#if !GW_SANITIZED
    {SYS_mmap, 2, PROT_EXEC, 0}, /* no code comes into the process any more */
    {SYS_mprotect, 2, PROT_EXEC, 0},
#endif
};

struct program {
    struct sock_filter steps[PROGRAM_MAX];
    unsigned short count;
};

static void add(struct program *program, struct sock_filter step)
{
    gw_assert(program->count < PROGRAM_MAX);
    program->steps[program->count++] = step;
}

static void load(struct program *program, size_t offset)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Ends with `answer` if what was loaded is `value`. */
static void answer_if(struct program *program, uint32_t value, uint32_t answer)
{
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
}

/* The call's number is loaded, before and, if it is another one, after. */
static void add_condition(struct program *program, const struct condition *c)
{
    const size_t low = offsetof(struct seccomp_data, args) +
                       c->argument * sizeof(((struct seccomp_data *)0)->args[0]);

    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->call, 0, 5));
    load(program, low);
    add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, c->mask));
    answer_if(program, c->value, SECCOMP_RET_ALLOW);
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
}

static void write_program(struct program *program)
{
    const struct condition own_signals = {SYS_tgkill, 0, UINT32_MAX, (uint32_t)getpid()};

    load(program, offsetof(struct seccomp_data, arch));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    load(program, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__) /* the same calls again, with other numbers */
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
#endif
    for (size_t i = 0; i < GW_ARRAY_COUNT(allowed); i++)
        answer_if(program, allowed[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < GW_ARRAY_COUNT(fatal); i++)
        answer_if(program, fatal[i], SECCOMP_RET_KILL_PROCESS);
    for (size_t i = 0; i < GW_ARRAY_COUNT(conditions); i++)
        add_condition(program, &conditions[i]);
    add_condition(program, &own_signals);
    /* Of a newer glibc: "not there" is what makes it fall back. */
#ifdef SYS_clone3
    answer_if(program, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
#endif
    add(program,
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                     GW_SANITIZED ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM));
}

int gw_confine_calls(void)
{
    struct program program = {.count = 0};
    struct sock_fprog filter = {.filter = program.steps};
    long thread;

    write_program(&program);
    filter.len = program.count;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    thread = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    if (thread < 0)
        return errno == EINVAL ? -ENOSYS : -errno;
    return thread == 0 ? 0 : -EBUSY; /* that thread has a filter of its own, and could not follow */
}
