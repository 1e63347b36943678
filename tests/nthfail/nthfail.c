/*
 * The calls of calls.def, counted and failed. Linked into a program in front of the real ones
 * (the linker's --wrap), so that it works under every sanitizer and meets the gateway's own calls
 * alone. BoringSSL and jansson are libraries of their own, and ask here for their memory.
 */
#include "nthfail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <liburing.h>
#include <lmdb.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <gw/io/ring.h>

static struct nthfail *control;
static bool is_own; /* the test is this very program: it asks, and is not told */

static struct {
    const char *name;
    const void *caller;
} told;

extern const char __executable_start[];

/* A line that addr2line understands: where in the program the call stands that fails. */
void nthfail_tell(void)
{
    char line[128];
    int bytes = snprintf(line, sizeof line, "nthfail: %s fails, called from 0x%zx\n", told.name,
                         (size_t)((const char *)told.caller - __executable_start));

    if (bytes > 0)
        (void)!write(STDERR_FILENO, line, (size_t)bytes); /* never one of those that fail */
}

/* Counts a call; the error it ends with, or 0 when it is to be made. */
static int failure(uint32_t class, const char *name, const void *caller)
{
    uint64_t call, first;

    if (control == NULL || (atomic_load(&control->classes) & class) == 0)
        return 0;
    call = atomic_fetch_add(&control->calls, 1) + 1;
    first = atomic_load(&control->first);
    if (first == 0 || call < first || call - first >= atomic_load(&control->count))
        return 0;
    if (atomic_fetch_add(&control->failed, 1) == 0) {
        told.name = name;
        told.caller = caller;
        if (!is_own)
            nthfail_tell();
    }
    return atomic_load(&control->error);
}

#define NTHFAIL_BY_HAND(name)
#define NTHFAIL_CALL(class, type, name, parameters, arguments, result)                             \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        const int error = failure(class, #name, __builtin_return_address(0));                      \
                                                                                                   \
        if (error == 0)                                                                            \
            return __real_##name arguments;                                                        \
        errno = error;                                                                             \
        return result;                                                                             \
    }
#include "calls.def"
#undef NTHFAIL_CALL
#undef NTHFAIL_BY_HAND

#define FAILURE(class, name) failure(class, name, __builtin_return_address(0))

/* ---- by hand ---- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    const int error = FAILURE(NTHFAIL_FILE, "open");
    mode_t mode = 0;
    va_list more;

    if (error != 0) {
        errno = error;
        return -1;
    }
    va_start(more, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(more, mode_t);
    va_end(more);
    return __real_open(path, flags, mode);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    const int error = FAILURE(NTHFAIL_FILE, "fcntl");
    void *argument;
    va_list more;

    if (error != 0) {
        errno = error;
        return -1;
    }
    va_start(more, command);
    argument = va_arg(more, void *); /* every command that the gateway uses has a pointer */
    va_end(more);
    return __real_fcntl(fd, command, argument);
}

int __real_fstat(int fd, struct stat *out);

/* The log's lines, too, go to a file here; but they are what the test reads. */
static bool is_file(int fd)
{
    struct stat of_fd;

    return fd > STDERR_FILENO && __real_fstat(fd, &of_fd) == 0 && S_ISREG(of_fd.st_mode);
}

ssize_t __real_read(int fd, void *out, size_t bytes);
ssize_t __wrap_read(int fd, void *out, size_t bytes);
ssize_t __wrap_read(int fd, void *out, size_t bytes)
{
    const int error = is_file(fd) ? FAILURE(NTHFAIL_FILE, "read") : 0;

    if (error == 0)
        return __real_read(fd, out, bytes);
    errno = error;
    return -1;
}

ssize_t __real_write(int fd, const void *from, size_t bytes);
ssize_t __wrap_write(int fd, const void *from, size_t bytes);
ssize_t __wrap_write(int fd, const void *from, size_t bytes)
{
    const int error = is_file(fd) ? FAILURE(NTHFAIL_FILE, "write") : 0;

    if (error == 0)
        return __real_write(fd, from, bytes);
    errno = error;
    return -1;
}

/* Whatever it says, the transaction is gone. */
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    const int error = FAILURE(NTHFAIL_LMDB, "mdb_txn_commit");

    if (error == 0)
        return __real_mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return error;
}

/*
 * What the kernel has done was done, so only what says no more than "done" may be turned into a
 * failure: a send, a shutdown, a close. An accepted connection would stay open, and received bytes
 * would be lost with the buffer that holds them.
 */
static bool may_have_failed(const struct io_uring_cqe *cqe)
{
    const uint64_t kind = cqe->user_data >> 56; /* as in gateway/io/op_internal.h */

    return cqe->res >= 0 && (cqe->flags & (IORING_CQE_F_MORE | IORING_CQE_F_BUFFER)) == 0 &&
           (kind == GW_OP_SEND || kind == GW_OP_SHUTDOWN || kind == GW_OP_CLOSE);
}

unsigned __real_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
                                        unsigned count);
unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
                                        unsigned count);
unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
                                        unsigned count)
{
    count = __real_io_uring_peek_batch_cqe(ring, cqes, count);
    for (unsigned i = 0; i < count; i++) {
        int error = 0;

        if (may_have_failed(cqes[i]))
            error = FAILURE(NTHFAIL_DONE, "an operation");
        if (error != 0)
            cqes[i]->res = -error;
    }
    return count;
}

/* ---- other libraries' memory ---- */

/* BoringSSL looks for these (openssl/mem.h): all three or none. */
void *OPENSSL_memory_alloc(size_t bytes);
void OPENSSL_memory_free(void *memory);
size_t OPENSSL_memory_get_size(void *memory);

void *OPENSSL_memory_alloc(size_t bytes)
{
    const int error = FAILURE(NTHFAIL_MEMORY, "OPENSSL_malloc");

    return error == 0 ? __real_malloc(bytes) : NULL;
}

void OPENSSL_memory_free(void *memory)
{
    free(memory);
}

size_t OPENSSL_memory_get_size(void *memory)
{
    return memory == NULL ? 0 : malloc_usable_size(memory);
}

static void *json_memory(size_t bytes)
{
    const int error = FAILURE(NTHFAIL_MEMORY, "jansson's malloc");

    return error == 0 ? __real_malloc(bytes) : NULL;
}

/* ---- the control ---- */

void nthfail_control(struct nthfail *own)
{
    is_own = true;
    control = own;
}

__attribute__((constructor)) static void find_control(void)
{
    const char *path = getenv("NTHFAIL");
    void *memory;
    int fd;

    if (path == NULL)
        return;
    fd = __real_open(path, O_RDWR | O_CLOEXEC);
    memory = fd < 0 ? MAP_FAILED
                    : __real_mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        perror(path);
        abort();
    }
    (void)close(fd);
    json_set_alloc_funcs(json_memory, free);
    control = memory;
}
