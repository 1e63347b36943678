/*
 * What newer kernels know and liburing 2.3 does not name. Numbers from
 * include/uapi/linux/io_uring.h.
 */
#ifndef WAYS_URING_EXTRA_H
#define WAYS_URING_EXTRA_H

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXTRA_FEAT_MIN_TIMEOUT     (1U << 15) /* Linux 6.12 */
#define EXTRA_RECVSEND_BUNDLE      (1U << 4)  /* Linux 6.10 */
#define EXTRA_FEAT_RECVSEND_BUNDLE (1U << 14)
#define EXTRA_PBUF_RING_INC        2U /* Linux 6.12 */
#define EXTRA_CQE_F_BUF_MORE       (1U << 4)
#define EXTRA_FEAT_NO_IOWAIT       (1U << 17) /* Linux 6.15 */
#define EXTRA_ENTER_NO_IOWAIT      (1U << 7)
#define EXTRA_REGISTER_NAPI        27U /* Linux 6.9 */
#define EXTRA_SOCKET_OP_SETSOCKOPT 3U  /* Linux 6.7 */

struct extra_napi {
    uint32_t busy_poll_us;
    uint8_t prefer_busy_poll, opcode, pad[2];
    uint32_t op_param, reserved;
};

static inline int extra_register_napi(struct io_uring *ring, uint32_t busy_poll_us)
{
    struct extra_napi napi = {.busy_poll_us = busy_poll_us, .prefer_busy_poll = 1};

    return syscall(SYS_io_uring_register, ring->ring_fd, EXTRA_REGISTER_NAPI, &napi, 1) < 0 ? -errno
                                                                                            : 0;
}

static inline void extra_prep_setsockopt(struct io_uring_sqe *sqe, int fd, int level, int name,
                                         const int *value)
{
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, EXTRA_SOCKET_OP_SETSOCKOPT);
    sqe->addr = (uint64_t)(uint32_t)level | (uint64_t)(uint32_t)name << 32;
    sqe->splice_fd_in = sizeof *value; /* optlen */
    sqe->addr3 = (uint64_t)(uintptr_t)value;
}

/* Publishes the entries that were prepared; how many there are for the kernel to take. */
static inline unsigned extra_flush(struct io_uring *ring)
{
    struct io_uring_sq *sq = &ring->sq;
    unsigned tail = *sq->ktail, mask = *sq->kring_mask;

    for (; sq->sqe_head != sq->sqe_tail; sq->sqe_head++)
        sq->array[tail++ & mask] = sq->sqe_head & mask;
    io_uring_smp_store_release(sq->ktail, tail);
    return tail - *sq->khead;
}

/*
 * Submits, and sleeps until there are `count` completions; once `min_us` are over, one is enough,
 * and if there is none the next one wakes. That needs a timeout for the whole that is longer than
 * the minimum: without it the kernel returns empty-handed when the minimum is over.
 */
static inline int extra_submit_and_wait_min(struct io_uring *ring, unsigned count, uint32_t min_us,
                                            unsigned more_flags)
{
    struct __kernel_timespec whole = {.tv_sec = 60};
    struct io_uring_getevents_arg arg = {
        .sigmask_sz = _NSIG / 8, .pad = min_us, .ts = (uint64_t)(uintptr_t)&whole};
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | more_flags;
    long done;

    if (ring->enter_ring_fd != ring->ring_fd) /* it is registered */
        flags |= IORING_ENTER_REGISTERED_RING;
    done = syscall(SYS_io_uring_enter, ring->enter_ring_fd, extra_flush(ring), count, flags, &arg,
                   sizeof arg);
    return done < 0 ? -errno : (int)done;
}

#endif
