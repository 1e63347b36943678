/*
 * The servers over io_uring: direct descriptors, provided buffers, a ring as the gateway's own.
 */
#include "server_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "uring_extra.h"

enum {
    SQ_ENTRIES = 4096,
    CQ_ENTRIES = 32768,
    BATCH = 128,
    BUFFER_COUNT = 1024,
    BUFFER_BYTES = 4096,
    BUFFER_GROUP = 0,
    SEND_GROUP_FIRST = 1, /* of connection 0, when sends take bundles */
    SQPOLL_IDLE_MS = 1,
};

enum op { OP_ACCEPT, OP_POLL, OP_RECV, OP_SEND, OP_OPTION };

struct ring_server {
    struct server *sv;
    struct io_uring uring;
    struct io_uring_buf_ring *buffers;
    uint8_t *memory;
    uint32_t buffer_count, buffer_bytes;
    uint32_t *offsets;                       /* incremental: how far a buffer is filled   */
    uint16_t *order;                         /* bundles: which buffer lies at a ring place */
    uint16_t *place;                         /* and the reverse                            */
    uint16_t tail;                           /* the next ring place                        */
    struct io_uring_buf_ring **send_buffers; /* bundles: a ring for each connection */
    uint32_t accepted;
    uint64_t spin_ns; /* what looking pays at the moment */
    bool busy;        /* the last turn found something   */
};

static struct io_uring_sqe *take_sqe(struct ring_server *rs)
{
    struct io_uring_sqe *sqe;

    while ((sqe = io_uring_get_sqe(&rs->uring)) == NULL) {
        (void)io_uring_submit(&rs->uring);
        ways_add(&rs->sv->board->enters, 1);
        if (rs->sv->way->sqpoll)
            (void)io_uring_sqring_wait(&rs->uring);
    }
    return sqe;
}

static void tag(struct io_uring_sqe *sqe, enum op op, uint32_t slot)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)op << 32 | slot);
}

/* ---- buffers ---- */

static void give(struct ring_server *rs, uint16_t id)
{
    int mask = io_uring_buf_ring_mask(rs->buffer_count);

    io_uring_buf_ring_add(rs->buffers, rs->memory + (size_t)id * rs->buffer_bytes, rs->buffer_bytes,
                          id, mask, 0);
    io_uring_buf_ring_advance(rs->buffers, 1);
    rs->offsets[id] = 0;
    rs->place[id] = (uint16_t)(rs->tail & mask);
    rs->order[rs->tail++ & mask] = id;
}

static struct io_uring_buf_ring *register_buffers(struct ring_server *rs, uint32_t count,
                                                  uint16_t group, bool incremental, int *err)
{
    struct io_uring_buf_reg reg = {.ring_entries = count, .bgid = group};
    void *memory = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        server_fail("buffer ring", -ENOMEM);
    reg.ring_addr = (uint64_t)(uintptr_t)memory;
    reg.pad = incremental ? EXTRA_PBUF_RING_INC : 0; /* `flags` of newer headers */
    *err = io_uring_register_buf_ring(&rs->uring, &reg, 0);
    io_uring_buf_ring_init(memory);
    return memory;
}

static void make_buffers(struct ring_server *rs)
{
    const struct ways_way *way = rs->sv->way;
    size_t bytes;
    int err;

    rs->buffer_count = way->buffer_count > 0 ? way->buffer_count : BUFFER_COUNT;
    rs->buffer_bytes = way->buffer_bytes > 0 ? way->buffer_bytes : BUFFER_BYTES;
    bytes = (size_t)rs->buffer_count * rs->buffer_bytes;
    rs->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rs->offsets = calloc(rs->buffer_count, sizeof *rs->offsets);
    rs->order = calloc(rs->buffer_count, sizeof *rs->order);
    rs->place = calloc(rs->buffer_count, sizeof *rs->place);
    if (rs->memory == MAP_FAILED || rs->offsets == NULL || rs->order == NULL || rs->place == NULL)
        server_fail("buffers", -ENOMEM);
    rs->buffers = register_buffers(rs, rs->buffer_count, BUFFER_GROUP, way->incremental, &err);
    if (err != 0)
        server_refuse(rs->sv, "buffer ring", err);
    for (uint32_t id = 0; id < rs->buffer_count; id++)
        give(rs, (uint16_t)id);
}

/* A group for each connection: a bundle takes whatever lies next in its group. */
static void make_send_buffers(struct ring_server *rs)
{
    int err = 0;

    rs->send_buffers = calloc(rs->sv->load->connections, sizeof(struct io_uring_buf_ring *));
    if (rs->send_buffers == NULL)
        server_fail("send buffers", -ENOMEM);
    for (uint32_t i = 0; i < rs->sv->load->connections; i++) {
        rs->send_buffers[i] =
            register_buffers(rs, 2, (uint16_t)(SEND_GROUP_FIRST + i), false, &err);
        if (err != 0)
            server_refuse(rs->sv, "a buffer ring for each connection", err);
    }
}

/* ---- operations ---- */

static void arm(struct ring_server *rs, uint32_t slot)
{
    struct io_uring_sqe *sqe = take_sqe(rs);

    switch (rs->sv->way->receive) {
    case WAYS_POLL_RECV:
        io_uring_prep_poll_multishot(sqe, (int)slot, POLLIN | POLLRDHUP);
        tag(sqe, OP_POLL, slot);
        break;
    case WAYS_RECV_MULTI:
    case WAYS_RECV_BUNDLE:
        io_uring_prep_recv_multishot(sqe, (int)slot, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUFFER_GROUP;
        if (rs->sv->way->receive == WAYS_RECV_BUNDLE)
            sqe->ioprio |= EXTRA_RECVSEND_BUNDLE;
        tag(sqe, OP_RECV, slot);
        break;
    case WAYS_EPOLL:
    case WAYS_IDLE:
        io_uring_prep_nop(sqe);
        tag(sqe, OP_OPTION, slot);
        return;
    }
    sqe->flags |= IOSQE_FIXED_FILE;
}

static void receive(struct ring_server *rs, uint32_t slot)
{
    struct io_uring_sqe *sqe = take_sqe(rs);

    io_uring_prep_recv(sqe, (int)slot, NULL, rs->buffer_bytes, MSG_DONTWAIT);
    tag(sqe, OP_RECV, slot);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    rs->sv->connections[slot].reading = true;
}

static void send_rest(struct ring_server *rs, uint32_t slot)
{
    struct connection *c = &rs->sv->connections[slot];
    uint8_t *data = server_answer(rs->sv, c) + rs->sv->load->bytes - c->unsent;
    struct io_uring_sqe *sqe = take_sqe(rs);

    switch (rs->sv->way->send) {
    case WAYS_SEND:
        io_uring_prep_send(sqe, (int)slot, data, c->unsent, MSG_NOSIGNAL);
        break;
    case WAYS_SEND_WAITALL:
        io_uring_prep_send(sqe, (int)slot, data, c->unsent, MSG_NOSIGNAL | MSG_WAITALL);
        break;
    case WAYS_SEND_ZC:
        io_uring_prep_send_zc(sqe, (int)slot, data, c->unsent, MSG_NOSIGNAL | MSG_WAITALL, 0);
        break;
    case WAYS_SEND_BUNDLE:
        io_uring_buf_ring_add(rs->send_buffers[slot], data, c->unsent, 0, io_uring_buf_ring_mask(2),
                              0);
        io_uring_buf_ring_advance(rs->send_buffers[slot], 1);
        io_uring_prep_send(sqe, (int)slot, NULL, 0, MSG_NOSIGNAL | MSG_WAITALL);
        sqe->ioprio |= EXTRA_RECVSEND_BUNDLE;
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = (uint16_t)(SEND_GROUP_FIRST + slot);
        break;
    }
    tag(sqe, OP_SEND, slot);
    sqe->flags |= IOSQE_FIXED_FILE;
    c->sending = true;
}

static void answer(struct ring_server *rs, uint32_t slot)
{
    struct connection *c = &rs->sv->connections[slot];

    if (c->sending || c->owed == 0)
        return;
    c->owed--;
    c->unsent = rs->sv->load->bytes;
    send_rest(rs, slot);
}

/* ---- completions ---- */

static void on_accept(struct ring_server *rs, const struct io_uring_cqe *cqe)
{
    static const int one = 1;

    if (cqe->res < 0)
        server_fail("accept", cqe->res);
    if (rs->sv->way->quickack) {
        struct io_uring_sqe *sqe = take_sqe(rs);

        extra_prep_setsockopt(sqe, cqe->res, IPPROTO_TCP, TCP_QUICKACK, &one);
        tag(sqe, OP_OPTION, (uint32_t)cqe->res);
        sqe->flags |= IOSQE_FIXED_FILE;
    }
    arm(rs, (uint32_t)cqe->res);
    atomic_store(&rs->sv->board->armed, ++rs->accepted);
}

/* What lies in the buffers of a completion: one, or several in ring order if it is a bundle. */
static uint32_t take_buffers(struct ring_server *rs, struct connection *c,
                             const struct io_uring_cqe *cqe)
{
    uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    uint16_t at = rs->place[id];
    uint32_t left = (uint32_t)cqe->res, whole = 0;

    while (left > 0) {
        uint32_t room = rs->buffer_bytes - rs->offsets[id];
        uint32_t part = (uint32_t)gw_min_u64(left, room);

        whole += server_take(rs->sv, c,
                             rs->memory + (size_t)id * rs->buffer_bytes + rs->offsets[id], part);
        left -= part;
        if (left == 0 && (cqe->flags & EXTRA_CQE_F_BUF_MORE) != 0) {
            rs->offsets[id] += part; /* incremental: the kernel goes on in this buffer */
            break;
        }
        give(rs, id);
        at = (uint16_t)((at + 1U) & (rs->buffer_count - 1));
        id = rs->order[at];
    }
    return whole;
}

static void on_recv(struct ring_server *rs, uint32_t slot, const struct io_uring_cqe *cqe)
{
    struct connection *c = &rs->sv->connections[slot];
    bool polled = rs->sv->way->receive == WAYS_POLL_RECV;

    c->reading = false;
    if (cqe->res > 0) {
        c->owed += take_buffers(rs, c, cqe);
        if (rs->sv->load->echo)
            answer(rs, slot);
        if (polled && (c->readable || (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) != 0)) {
            c->readable = false;
            receive(rs, slot);
        }
    } else {
        if ((cqe->flags & IORING_CQE_F_BUFFER) != 0)
            give(rs, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
        if (cqe->res == -EINVAL)
            server_refuse(rs->sv, "recv", cqe->res);
        if (cqe->res != -ENOBUFS && cqe->res != -EAGAIN)
            return; /* the client's end is the end of the question */
        if (polled && cqe->res == -ENOBUFS)
            receive(rs, slot);
    }
    if (!polled && (cqe->flags & IORING_CQE_F_MORE) == 0) {
        ways_add(&rs->sv->board->rearms, 1);
        arm(rs, slot);
    }
}

static void on_poll(struct ring_server *rs, uint32_t slot, const struct io_uring_cqe *cqe)
{
    struct connection *c = &rs->sv->connections[slot];

    if (cqe->res < 0)
        return;
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        ways_add(&rs->sv->board->rearms, 1);
        arm(rs, slot);
    }
    if (c->reading)
        c->readable = true;
    else
        receive(rs, slot);
}

static void on_send(struct ring_server *rs, uint32_t slot, const struct io_uring_cqe *cqe)
{
    struct connection *c = &rs->sv->connections[slot];

    if (cqe->res == -EINVAL)
        server_refuse(rs->sv, "send", cqe->res);
    if ((cqe->flags & IORING_CQE_F_NOTIF) == 0)
        c->unsent -= cqe->res > 0 ? (uint32_t)cqe->res : c->unsent; /* an error: the client went */
    if ((cqe->flags & IORING_CQE_F_MORE) != 0)
        return; /* zero-copy: the bytes are still read; a notification follows */
    c->sending = false;
    if (c->unsent > 0)
        send_rest(rs, slot);
    else
        answer(rs, slot);
}

static void on_completion(struct ring_server *rs, const struct io_uring_cqe *cqe)
{
    uint32_t slot = (uint32_t)cqe->user_data;

    switch ((enum op)(cqe->user_data >> 32)) {
    case OP_ACCEPT:
        on_accept(rs, cqe);
        break;
    case OP_POLL:
        on_poll(rs, slot, cqe);
        break;
    case OP_RECV:
        on_recv(rs, slot, cqe);
        break;
    case OP_SEND:
        on_send(rs, slot, cqe);
        break;
    case OP_OPTION:
        if (cqe->res < 0)
            server_refuse(rs->sv, "setsockopt by the ring", cqe->res);
        break;
    }
}

/* ---- waiting ---- */

static void wait_one(struct ring_server *rs)
{
    (void)io_uring_submit_and_wait(&rs->uring, 1);
}

static void wait_count(struct ring_server *rs)
{
    struct __kernel_timespec timeout = {.tv_nsec = rs->sv->way->wait_us * 1000LL};
    struct io_uring_cqe *cqe;

    if (rs->busy)
        (void)io_uring_submit_and_wait_timeout(&rs->uring, &cqe, rs->sv->way->batch, &timeout,
                                               NULL);
    else
        wait_one(rs);
}

/*
 * The kernel tells by a flag in shared memory that it has work for us, so looking is no system
 * call. The time spent on it doubles when it was of use and halves when not.
 */
static void wait_spin(struct ring_server *rs)
{
    const uint64_t max_ns = rs->sv->way->wait_us * GW_NS_PER_US;
    const uint64_t min_ns = max_ns / 64;
    struct gw_instant start = gw_clock_now();

    do {
        if (io_uring_cq_ready(&rs->uring) > 0 ||
            (*(volatile unsigned *)rs->uring.sq.kflags & IORING_SQ_TASKRUN) != 0) {
            rs->spin_ns = gw_min_u64(rs->spin_ns * 2, max_ns);
            (void)io_uring_submit_and_get_events(&rs->uring);
            return;
        }
        __builtin_ia32_pause();
    } while (gw_ns_between(start, gw_clock_now()) < rs->spin_ns);
    rs->spin_ns = gw_max_u64(rs->spin_ns / 2, min_ns);
    wait_one(rs);
}

/*
 * What is submitted here, recv of a readable socket and send, ends at once. Unless the way merges,
 * its completions are fetched first and handled before anything is waited for.
 */
static void wait_for_completions(struct ring_server *rs)
{
    const struct ways_way *way = rs->sv->way;

    ways_add(&rs->sv->board->enters, 1);
    if (io_uring_cq_ready(&rs->uring) > 0 ||
        (way->wait != WAYS_WAIT_ONE && !way->merge && io_uring_sq_ready(&rs->uring) > 0)) {
        (void)io_uring_submit_and_get_events(&rs->uring);
        return;
    }
    switch (way->wait) {
    case WAYS_WAIT_ONE:
        wait_one(rs);
        break;
    case WAYS_WAIT_MIN:
        (void)extra_submit_and_wait_min(&rs->uring, way->batch, way->wait_us,
                                        way->no_iowait ? EXTRA_ENTER_NO_IOWAIT : 0);
        break;
    case WAYS_WAIT_COUNT:
        wait_count(rs);
        break;
    case WAYS_WAIT_SPIN:
        wait_spin(rs);
        break;
    }
}

static void make_ring(struct ring_server *rs)
{
    const struct ways_way *way = rs->sv->way;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CLAMP,
        .cq_entries = CQ_ENTRIES,
    };
    int err;

    if (way->sqpoll) {
        params.flags |= IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
        params.sq_thread_cpu = (unsigned)sched_getcpu(); /* the server's: both are its cost */
        params.sq_thread_idle = SQPOLL_IDLE_MS;
    } else {
        params.flags |= way->coop ? IORING_SETUP_COOP_TASKRUN : IORING_SETUP_DEFER_TASKRUN;
        if (way->wait == WAYS_WAIT_SPIN)
            params.flags |= IORING_SETUP_TASKRUN_FLAG;
    }
    /* The kernel's thread inherits our scheduling: of real time, it would not let us have the core.
     */
    int policy = sched_getscheduler(0);
    struct sched_param priority = {0};

    (void)sched_getparam(0, &priority);
    if (way->sqpoll)
        (void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    if ((err = io_uring_queue_init_params(SQ_ENTRIES, &rs->uring, &params)) != 0)
        server_refuse(rs->sv, "ring", err);
    (void)sched_setscheduler(0, policy, &priority);
    if ((err = io_uring_register_files_sparse(&rs->uring, rs->sv->load->connections)) != 0)
        server_refuse(rs->sv, "descriptor table", err);
    (void)io_uring_register_ring_fd(&rs->uring);
    if (way->wait == WAYS_WAIT_MIN && (params.features & EXTRA_FEAT_MIN_TIMEOUT) == 0)
        server_refuse(rs->sv, "minimum wait", -EOPNOTSUPP);
    if (way->no_iowait && (params.features & EXTRA_FEAT_NO_IOWAIT) == 0)
        server_refuse(rs->sv, "sleep without iowait", -EOPNOTSUPP);
    if ((way->receive == WAYS_RECV_BUNDLE || way->send == WAYS_SEND_BUNDLE) &&
        (params.features & EXTRA_FEAT_RECVSEND_BUNDLE) == 0)
        server_refuse(rs->sv, "bundles", -EOPNOTSUPP);
    if (way->napi && (err = extra_register_napi(&rs->uring, 50)) != 0)
        server_refuse(rs->sv, "NAPI", err);
    make_buffers(rs);
    if (way->send == WAYS_SEND_BUNDLE)
        make_send_buffers(rs);
}

void serve_ring(struct server *sv)
{
    struct ring_server rs = {.sv = sv};
    struct io_uring_cqe *cqes[BATCH];
    struct io_uring_sqe *sqe;
    unsigned count;

    make_ring(&rs);
    sqe = take_sqe(&rs);
    io_uring_prep_multishot_accept_direct(sqe, sv->listener, NULL, NULL, 0);
    tag(sqe, OP_ACCEPT, 0);
    for (;;) {
        wait_for_completions(&rs);
        server_turn_begin(sv);
        rs.busy = false;
        while ((count = io_uring_peek_batch_cqe(&rs.uring, cqes, BATCH)) > 0) {
            /* Copied out, as the gateway does, so that the queue is empty while they are served. */
            struct io_uring_cqe copies[BATCH];

            for (unsigned i = 0; i < count; i++)
                copies[i] = *cqes[i];
            io_uring_cq_advance(&rs.uring, count);
            for (unsigned i = 0; i < count; i++)
                on_completion(&rs, &copies[i]);
            rs.busy = true;
        }
        server_turn_end(sv);
    }
}
