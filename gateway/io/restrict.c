/*
 * What a ring may be asked for once it serves. A filter of system calls sees io_uring_enter and
 * nothing of what was put into the ring, so without this a ring could open files and connect
 * sockets for whoever has got hold of the process. The kernel holds the ring to this table: any
 * other operation completes with -EACCES, and any further registration fails with it; only the
 * ring's own entry in its thread's table, which would keep it alive, can still be taken out.
 */
#include "restrict_internal.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gw/base/defs.h>

/* Every operation that ring.c prepares. */
static const uint8_t operations[] = {
    IORING_OP_ACCEPT, IORING_OP_POLL_ADD,     IORING_OP_RECV,
    IORING_OP_SEND,   IORING_OP_SHUTDOWN,     IORING_OP_CLOSE,
    IORING_OP_READ,   IORING_OP_ASYNC_CANCEL, IORING_OP_MSG_RING,
};

enum { FLAGS = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS };

/* liburing 2.3 declares functions for both, and exports neither. */
static int registered(const struct io_uring *uring, unsigned operation, const void *rows,
                      unsigned count)
{
    return syscall(SYS_io_uring_register, uring->ring_fd, operation, rows, count) < 0 ? -errno : 0;
}

int ring_restrict(struct io_uring *uring)
{
    struct io_uring_restriction rows[2 + GW_ARRAY_COUNT(operations)] = {
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = FLAGS},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_RING_FDS}};

    for (size_t i = 0; i < GW_ARRAY_COUNT(operations); i++)
        rows[2 + i] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP,
                                                    .sqe_op = operations[i]};
    return registered(uring, IORING_REGISTER_RESTRICTIONS, rows, GW_ARRAY_COUNT(rows));
}

int ring_enable(struct io_uring *uring)
{
    return registered(uring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}
