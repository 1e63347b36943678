/*
 * The ring of one shard, over liburing 2.3.
 *
 * SINGLE_ISSUER | DEFER_TASKRUN: only the owning thread enters, and completions are produced only
 * while it does, so a turn of the loop is one system call. Completions are copied out in batches of
 * BATCH and the kernel's queue is advanced at once: it is as empty as it can be while handlers run.
 *
 *   I1  Operations of sessions name a direct descriptor, whose number is the session's slot.
 *   I2  A provided buffer is on loan from the completion that brought it until it is released.
 *   I3  Wakes are merged: `woken` is set by the first waker and cleared before the WAKE completion
 *       is handed out, so what was pushed before a wake is seen after its completion.
 */
#include <gw/io/ring.h>

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gw/base/assert.h>

#include "buffer_ring_internal.h"
#include "op_internal.h"
#include "restrict_internal.h"

enum {
    BATCH = 128,
    LISTENERS_MAX = 16,
    PEERS_MAX = 256,
    WORK_AT_ONCE = 16, /* of what the kernel defers; some of it completes nothing */
};

#define WAIT_NS_MAX         (3600 * GW_NS_PER_S)
#define SUBMIT_AGAIN_NS     GW_NS_PER_MS /* what the kernel had no memory for */
#define LONG_TURN_NS        GW_NS_PER_MS
#define FEATURE_MIN_TIMEOUT (1u << 15) /* IORING_FEAT_MIN_TIMEOUT, which liburing 2.3 lacks */

struct gw_ring {
    struct io_uring uring;
    struct buffer_ring buffers;
    uint32_t receives; /* under way */
    struct gw_completion batch[BATCH];
    uint32_t batch_next, batch_count;
    struct gw_instant now;
    uint64_t wall_us;
    uint64_t event_value; /* where the eventfd read lands */
    int event_fd;
    int fd; /* of the ring itself: what MSG_RING from another ring names */
    bool message_used;
    bool min_wait_used;
    bool worked; /* the last wait brought completions */
    uint32_t gather, gather_us;
    uint32_t enter_flags;             /* what an enter of our own must say of uring.enter_ring_fd */
    struct gw_ring *peers[PEERS_MAX]; /* rings that were sent a message */
    uint32_t peer_count;
    int listeners[LISTENERS_MAX];
    int listener_count;
    uint32_t overflow_seen;
    struct gw_ring_stat stat;
    _Alignas(GW_CACHE_LINE) _Atomic bool woken;
};

static void read_clock(struct gw_ring *ring)
{
    ring->now = gw_clock_now();
    ring->wall_us = gw_clock_wall_us();
}

/* An entry always comes: a full queue is submitted first, and the kernel consumes what it is given.
 */
static struct io_uring_sqe *take_sqe(struct gw_ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    while (sqe == NULL) {
        int taken = io_uring_submit(&ring->uring);

        ring->stat.enters++;
        /* -EBUSY: the completion queue overflows; reaping is what helps, and submit did flush. */
        gw_assert(taken >= 0 || taken == -EBUSY || taken == -EINTR || taken == -EAGAIN);
        if (taken < 0)
            (void)io_uring_get_events(&ring->uring);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    return sqe;
}

static void tag(struct io_uring_sqe *sqe, uint32_t kind, uint32_t slot, uint32_t generation)
{
    io_uring_sqe_set_data64(sqe, op_pack(kind, generation, slot));
}

/* Opcode, flags and user_data are set together, so that no entry carries its predecessor's. */
static void tag_file(struct io_uring_sqe *sqe, uint32_t kind, uint32_t slot, uint32_t generation)
{
    sqe->flags |= IOSQE_FIXED_FILE;
    tag(sqe, kind, slot, generation);
}

static void arm_event(struct gw_ring *ring)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    io_uring_prep_read(sqe, ring->event_fd, &ring->event_value, sizeof ring->event_value, 0);
    tag(sqe, OP_EVENT, 0, 0);
}

static void explain(char *why, size_t why_bytes, const char *step, int err,
                    const struct gw_ring_options *options)
{
    const char *cause = "";

    if (err == -EPERM || err == -EACCES)
        cause = ": the kernel refuses io_uring to this process; look at the sysctl "
                "kernel.io_uring_disabled and at the container's seccomp profile";
    else if (err == -ENOSYS)
        cause = ": this kernel has no io_uring, or a seccomp profile hides it";
    else if (err == -ENOMEM)
        cause = ": out of memory, or RLIMIT_MEMLOCK is too small for the ring";
    else if (err == -EMFILE)
        cause = ": RLIMIT_NOFILE is below the number of sessions per shard; raise it "
                "(LimitNOFILE=), or use more shards with fewer sessions each";
    else if (err == -EINVAL)
        cause = ": this kernel is too old; Linux 6.1 is the oldest supported";
    (void)snprintf(why, why_bytes, "io_uring %s (%u files, %u entries) failed: %s%s", step,
                   options->files, options->sq_entries, strerror(-err), cause);
}

static void write_event(struct gw_ring *ring)
{
    uint64_t one = 1;
    /* Cannot fail short of an overflowing counter, which a merged wake never reaches. */
    ssize_t wrote = write(ring->event_fd, &one, sizeof one);

    gw_assert(wrote == (ssize_t)sizeof one);
}

int gw_ring_create(const struct gw_ring_options *options, struct gw_ring **out, char *why,
                   size_t why_bytes)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP,
        .cq_entries = options->cq_entries,
    };
    struct gw_ring *ring = aligned_alloc(GW_CACHE_LINE, sizeof *ring);
    const bool restricted = (options->disabled & GW_RING_RESTRICTIONS) == 0;
    const char *step = "setup";
    int err;

    *out = NULL;
    if (ring == NULL) {
        explain(why, why_bytes, step, -ENOMEM, options);
        return -ENOMEM;
    }
    memset(ring, 0, sizeof *ring);
    ring->message_used = (options->disabled & GW_RING_MSG_RING) == 0;
    ring->gather = options->gather;
    ring->gather_us = options->gather_us;
    ring->event_fd = eventfd(0, EFD_CLOEXEC);
    if (ring->event_fd < 0) {
        err = -errno;
        explain(why, why_bytes, "eventfd", err, options);
        free(ring);
        return err;
    }
    if (restricted)
        params.flags |= IORING_SETUP_R_DISABLED;
    if ((err = io_uring_queue_init_params(options->sq_entries, &ring->uring, &params)) != 0)
        goto fail_event;
    ring->fd = ring->uring.ring_fd;
    ring->min_wait_used =
        (options->disabled & GW_RING_MIN_WAIT) == 0 && (params.features & FEATURE_MIN_TIMEOUT) != 0;
    step = "registration of the descriptor table";
    if ((err = io_uring_register_files_sparse(&ring->uring, options->files)) != 0)
        goto fail_ring;
    step = "registration of the receive buffers";
    err = buffer_ring_init(&ring->buffers, &ring->uring, options->buffers, options->buffer_bytes);
    if (err != 0)
        goto fail_ring;
    if (io_uring_register_ring_fd(&ring->uring) == 1) /* saves a look-up per enter; optional */
        ring->enter_flags = IORING_ENTER_REGISTERED_RING;
    step = "restriction, which ring.disable = [\"restrictions\"] does without,";
    if (restricted &&
        ((err = ring_restrict(&ring->uring)) != 0 || (err = ring_enable(&ring->uring)) != 0))
        goto fail_ring;
    arm_event(ring);
    read_clock(ring);
    *out = ring;
    return 0;

fail_ring:
    io_uring_queue_exit(&ring->uring);
    buffer_ring_fini(&ring->buffers, NULL);
fail_event:
    explain(why, why_bytes, step, err, options);
    (void)close(ring->event_fd);
    free(ring);
    return err;
}

void gw_ring_destroy(struct gw_ring *ring)
{
    if (ring == NULL)
        return;
    /* The kernel may read buffers until the ring is gone. */
    struct buffer_ring buffers = ring->buffers;

    io_uring_queue_exit(&ring->uring);
    buffer_ring_fini(&buffers, NULL);
    (void)close(ring->event_fd);
    free(ring);
}

int gw_ring_listener_add(struct gw_ring *ring, int fd)
{
    if (ring->listener_count == LISTENERS_MAX)
        return -ENOSPC;
    ring->listeners[ring->listener_count] = fd;
    return ring->listener_count++;
}

void gw_ring_accept(struct gw_ring *ring, int listener, uint32_t slot, uint32_t generation,
                    struct sockaddr_storage *peer, socklen_t *peer_bytes)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    gw_assert(listener >= 0 && listener < ring->listener_count);
    *peer_bytes = sizeof *peer;
    io_uring_prep_accept_direct(sqe, ring->listeners[listener], (struct sockaddr *)peer, peer_bytes,
                                0, slot);
    tag(sqe, GW_OP_ACCEPT, slot, generation);
}

void gw_ring_poll(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    io_uring_prep_poll_multishot(sqe, (int)slot, POLLIN | POLLRDHUP);
    tag_file(sqe, GW_OP_POLL, slot, generation);
}

/* Receives that are queued count on it, if there were too few for all of them. */
static void give_home(struct gw_ring *ring, uint16_t buffer)
{
    buffer_ring_release(&ring->buffers, buffer);
    buffer_ring_reserve(&ring->buffers, ring->receives);
}

static void receive(struct gw_ring *ring, uint32_t slot, uint32_t generation, uint32_t bytes,
                    int flags)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    buffer_ring_reserve(&ring->buffers, ++ring->receives);
    io_uring_prep_recv(sqe, (int)slot, NULL, bytes, MSG_DONTWAIT | flags);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    tag_file(sqe, GW_OP_RECV, slot, generation);
}

void gw_ring_recv(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    receive(ring, slot, generation, ring->buffers.bytes, 0);
}

void gw_ring_recv_front(struct gw_ring *ring, uint32_t slot, uint32_t generation, uint32_t bytes,
                        bool take)
{
    gw_assert(bytes <= ring->buffers.bytes);
    receive(ring, slot, generation, bytes, take ? 0 : MSG_PEEK);
}

void gw_ring_buffer_release(struct gw_ring *ring, uint16_t buffer)
{
    give_home(ring, buffer);
}

bool gw_ring_trim(struct gw_ring *ring)
{
    if (ring->receives > 0)
        return false;
    buffer_ring_trim(&ring->buffers);
    return true;
}

void gw_ring_send(struct gw_ring *ring, uint32_t slot, uint32_t generation, struct gw_bytes bytes)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    io_uring_prep_send(sqe, (int)slot, bytes.data, bytes.size, MSG_NOSIGNAL | MSG_WAITALL);
    tag_file(sqe, GW_OP_SEND, slot, generation);
}

void gw_ring_shutdown(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    io_uring_prep_shutdown(sqe, (int)slot, SHUT_WR);
    tag_file(sqe, GW_OP_SHUTDOWN, slot, generation);
}

/* By name and not by file: that would look at every armed poll of the ring, for each close. */
void gw_ring_cancel(struct gw_ring *ring, enum gw_op_kind kind, uint32_t slot, uint32_t generation)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    io_uring_prep_cancel64(sqe, op_pack(kind, generation, slot), 0);
    tag(sqe, OP_CANCEL, slot, generation);
}

void gw_ring_close(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    io_uring_prep_close_direct(sqe, slot);
    tag(sqe, GW_OP_CLOSE, slot, generation);
}

/* Waits for `count` completions, at most timeout_ns. */
static int wait_for(struct gw_ring *ring, uint32_t count, uint64_t timeout_ns)
{
    struct __kernel_timespec ts = {.tv_sec = (int64_t)(timeout_ns / GW_NS_PER_S),
                                   .tv_nsec = (int64_t)(timeout_ns % GW_NS_PER_S)};
    struct io_uring_cqe *cqe;

    ring->stat.enters++;
    return io_uring_submit_and_wait_timeout(&ring->uring, &cqe, count, &ts, NULL);
}

/*
 * Waits for `gather` completions until gather_us have passed, and from then on for the first one,
 * all in one call. The kernel looks at the minimum only below a longer timeout.
 */
static int wait_min(struct gw_ring *ring, uint64_t timeout_ns)
{
    struct __kernel_timespec ts = {.tv_sec = (int64_t)(timeout_ns / GW_NS_PER_S),
                                   .tv_nsec = (int64_t)(timeout_ns % GW_NS_PER_S)};
    struct io_uring_getevents_arg arg = {
        .pad = ring->gather_us, /* min_wait_usec in kernels that have it */
        .ts = (uint64_t)(uintptr_t)&ts,
    };

    ring->stat.enters++;
    return io_uring_enter2((unsigned)ring->uring.enter_ring_fd, 0, ring->gather,
                           ring->enter_flags | IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                           (sigset_t *)&arg, sizeof arg);
}

/*
 * A wake-up costs several times what a message does, so a busy shard wakes for some messages at a
 * time. An idle one is woken by the first: then gather_us have long passed.
 */
static int gather(struct gw_ring *ring, uint64_t timeout_ns)
{
    uint64_t gather_ns = ring->gather_us * GW_NS_PER_US;
    int err;

    if (ring->gather <= 1)
        return wait_for(ring, 1, timeout_ns);
    if (timeout_ns <= gather_ns) /* a timer is due sooner: it ends the gathering */
        return wait_for(ring, ring->gather, timeout_ns);
    if (ring->min_wait_used)
        return wait_min(ring, timeout_ns);
    if (!ring->worked)
        return wait_for(ring, 1, timeout_ns);
    err = wait_for(ring, ring->gather, gather_ns);
    return io_uring_cq_ready(&ring->uring) > 0 || (err < 0 && err != -ETIME)
               ? err
               : wait_for(ring, 1, timeout_ns - gather_ns);
}

/*
 * From 6.13 on the kernel runs some 20 pieces of deferred work at each call, however many there
 * are. Short turns with few completions are the best there are: what they touch is still in the
 * caches, receive buffers above all. But when turns are long, as with private keys to use, the
 * newest piece would wait for as many of them as it takes to reach it.
 */
static void take_the_rest(struct gw_ring *ring, uint32_t before)
{
    uint32_t ready = io_uring_cq_ready(&ring->uring), most = ring->uring.cq.ring_entries / 2;

    while (ready >= before + WORK_AT_ONCE && ready < most) {
        ring->stat.enters++;
        if (io_uring_get_events(&ring->uring) < 0)
            return;
        before = ready;
        ready = io_uring_cq_ready(&ring->uring);
    }
}

int gw_ring_wait(struct gw_ring *ring, uint64_t timeout_ns)
{
    uint32_t before = io_uring_cq_ready(&ring->uring);
    bool queued = io_uring_sq_ready(&ring->uring) > 0 || before > 0;
    bool was_long = gw_ns_between(ring->now, gw_clock_now()) > LONG_TURN_NS;
    int err = 0;

    timeout_ns = gw_min_u64(timeout_ns, WAIT_NS_MAX);
    if (ring->batch_next < ring->batch_count) { /* the turn was cut short: there is work already */
        ring->stat.enters++;
        err = io_uring_submit(&ring->uring);
        timeout_ns = 0;
    } else if (timeout_ns == 0) {
        ring->stat.enters++;
        err = io_uring_submit_and_get_events(&ring->uring);
    } else if (queued) {
        /* What is queued mostly completes at once, and waits for nobody. Who has something to say
           meanwhile is asked after that, and with others. */
        ring->stat.enters++;
        err = io_uring_submit(&ring->uring);
    }
    /* What was not taken is not waited for: it may be what would wake us. */
    if (io_uring_sq_ready(&ring->uring) > 0)
        timeout_ns = gw_min_u64(timeout_ns, SUBMIT_AGAIN_NS);
    if (timeout_ns > 0 && io_uring_cq_ready(&ring->uring) == 0)
        err = gather(ring, timeout_ns);
    if (was_long)
        take_the_rest(ring, before);
    ring->worked = io_uring_cq_ready(&ring->uring) > 0;
    read_clock(ring);
    uint32_t overflow = *ring->uring.cq.koverflow;

    ring->stat.overflows += overflow - ring->overflow_seen;
    ring->overflow_seen = overflow;
    if (err >= 0 || err == -EINTR || err == -ETIME || err == -EBUSY || err == -EAGAIN)
        return 0;
    return err;
}

/* Fills *out from one completion; false when it was of this room alone. */
static bool translate(struct gw_ring *ring, const struct io_uring_cqe *cqe,
                      struct gw_completion *out)
{
    uint32_t kind = op_kind(cqe->user_data);

    *out = (struct gw_completion){
        .kind = (enum gw_op_kind)kind,
        .slot = op_slot(cqe->user_data),
        .generation = op_generation(cqe->user_data),
        .res = cqe->res,
        .last = (cqe->flags & IORING_CQE_F_MORE) == 0,
        .nonempty = (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) != 0,
    };
    switch (kind) {
    case GW_OP_RECV:
        ring->receives--;
        if (cqe->res == -ENOBUFS)
            ring->stat.no_buffers++;
        if ((cqe->flags & IORING_CQE_F_BUFFER) == 0)
            return true;
        out->buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        const uint8_t *data = buffer_ring_take(&ring->buffers, out->buffer);

        if (cqe->res > 0)
            out->bytes = gw_bytes_of(data, (size_t)cqe->res);
        else
            give_home(ring, out->buffer);
        return true;
    case OP_EVENT:
        arm_event(ring);
        out->kind = GW_OP_WAKE;
        return true;
    case OP_MESSAGE:
        out->kind = GW_OP_WAKE;
        return true;
    case OP_MESSAGE_SENT: /* only failures complete: the wake that was promised goes another way */
        ring->message_used = false;
        write_event(ring->peers[op_slot(cqe->user_data)]);
        return false;
    case OP_CANCEL:
        return false;
    default:
        return true;
    }
}

bool gw_ring_next(struct gw_ring *ring, struct gw_completion *out)
{
    if (ring->batch_next == ring->batch_count) {
        struct io_uring_cqe *cqes[BATCH];
        uint32_t count = io_uring_peek_batch_cqe(&ring->uring, cqes, BATCH);

        ring->batch_next = 0;
        ring->batch_count = 0;
        for (uint32_t i = 0; i < count; i++)
            ring->batch_count += translate(ring, cqes[i], &ring->batch[ring->batch_count]);
        io_uring_cq_advance(&ring->uring, count);
        ring->stat.completions += count;
        if (ring->batch_count == 0)
            return false;
    }
    *out = ring->batch[ring->batch_next++];
    if (out->kind == GW_OP_WAKE)
        atomic_store_explicit(&ring->woken, false, memory_order_seq_cst); /* I3 */
    return true;
}

struct gw_instant gw_ring_now(const struct gw_ring *ring)
{
    return ring->now;
}

uint64_t gw_ring_wall_us(const struct gw_ring *ring)
{
    return ring->wall_us;
}

uint64_t gw_ring_cpu_ns(const struct gw_ring *ring)
{
    (void)ring; /* a pretended one has its own */
    return gw_clock_thread_ns();
}

void gw_ring_wake(struct gw_ring *ring)
{
    if (!atomic_exchange_explicit(&ring->woken, true, memory_order_seq_cst))
        write_event(ring);
}

/* The number of `ring` among those that `from` sent messages to; PEERS_MAX when there are too many.
 */
static uint32_t peer_number(struct gw_ring *from, struct gw_ring *ring)
{
    uint32_t number = 0;

    while (number < from->peer_count && from->peers[number] != ring)
        number++;
    if (number == from->peer_count && number < PEERS_MAX)
        from->peers[from->peer_count++] = ring;
    return number;
}

void gw_ring_wake_from(struct gw_ring *from, struct gw_ring *ring)
{
    uint32_t peer = peer_number(from, ring);

    if (!from->message_used || from == ring || peer == PEERS_MAX) {
        gw_ring_wake(ring);
        return;
    }
    if (atomic_exchange_explicit(&ring->woken, true, memory_order_seq_cst))
        return;
    struct io_uring_sqe *sqe = take_sqe(from);

    io_uring_prep_msg_ring(sqe, ring->fd, 0, op_pack(OP_MESSAGE, 0, 0), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    tag(sqe, OP_MESSAGE_SENT, peer, 0);
}

void gw_ring_stat(const struct gw_ring *ring, struct gw_ring_stat *out)
{
    *out = ring->stat;
}
