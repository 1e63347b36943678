/*
 * A ring asks the kernel for nothing but what this room needs, whoever has got hold of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gw/io/ring.h>

#include "restrict_internal.h"

static int result_of(struct io_uring *uring, uint8_t operation, uint8_t flags)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(uring);
    struct io_uring_cqe *cqe;
    int res;

    if (sqe == NULL) {
        fail_msg("no entry");
        return 0;
    }
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = operation;
    sqe->flags = flags;
    sqe->fd = -1;
    assert_int_equal(io_uring_submit(uring), 1);
    assert_int_equal(io_uring_wait_cqe(uring, &cqe), 0);
    res = cqe->res;
    io_uring_cqe_seen(uring, cqe);
    return res;
}

static void open_restricted(struct io_uring *uring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL};

    assert_int_equal(io_uring_queue_init_params(8, uring, &params), 0);
    assert_int_equal(ring_restrict(uring), 0);
    assert_int_equal(ring_enable(uring), 0);
}

static void other_operations_are_refused(void **state)
{
    static const uint8_t refused[] = {
        IORING_OP_NOP,    IORING_OP_READV,        IORING_OP_WRITEV,   IORING_OP_OPENAT,
        IORING_OP_WRITE,  IORING_OP_FILES_UPDATE, IORING_OP_STATX,    IORING_OP_CONNECT,
        IORING_OP_SPLICE, IORING_OP_OPENAT2,      IORING_OP_UNLINKAT, IORING_OP_RENAMEAT,
        IORING_OP_SOCKET, IORING_OP_SENDMSG,      IORING_OP_RECVMSG,  IORING_OP_URING_CMD,
    };
    struct io_uring uring;

    (void)state;
    open_restricted(&uring);
    for (size_t i = 0; i < GW_ARRAY_COUNT(refused); i++)
        assert_int_equal(result_of(&uring, refused[i], 0), -EACCES);
    /* One that is in use gets further: there is no such file. */
    assert_int_equal(result_of(&uring, IORING_OP_SHUTDOWN, 0), -EBADF);
    /* And with flags that are not. */
    assert_int_equal(result_of(&uring, IORING_OP_SHUTDOWN, IOSQE_IO_LINK), -EACCES);
    io_uring_queue_exit(&uring);
}

/* The descriptor of the one ring of this process. */
static int find_ring(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    int fd = -1;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char path[300], to[64] = "";

        (void)snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, to, sizeof to - 1) > 0 && strstr(to, "[io_uring]") != NULL)
            fd = atoi(entry->d_name);
    }
    (void)closedir(folder);
    return fd;
}

static int register_of_a_made_ring(uint32_t disabled)
{
    struct gw_ring_options options = {.sq_entries = 8,
                                      .cq_entries = 16,
                                      .files = 4,
                                      .buffers = 1,
                                      .buffer_bytes = 64,
                                      .disabled = disabled};
    struct gw_ring *ring;
    char why[256];
    int fds[1] = {-1}, fd, res;

    assert_int_equal(gw_ring_create(&options, &ring, why, sizeof why), 0);
    fd = find_ring();
    assert_true(fd >= 0);
    res = (int)syscall(SYS_io_uring_register, fd, IORING_REGISTER_EVENTFD, fds, 1);
    res = res < 0 ? -errno : res;
    gw_ring_destroy(ring);
    return res;
}

static void a_ring_that_serves_registers_nothing_more(void **state)
{
    (void)state;
    assert_int_equal(register_of_a_made_ring(0), -EACCES);
    assert_int_equal(register_of_a_made_ring(GW_RING_RESTRICTIONS), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_operations_are_refused),
        cmocka_unit_test(a_ring_that_serves_registers_nothing_more),
    };

    return cmocka_run_group_tests_name("restrict", tests, NULL, NULL);
}
