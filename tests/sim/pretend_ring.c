#include "pretend_ring.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/base/slab.h>

enum { LISTENERS = 2, BACKLOG = 256, OPS_MAX = 1 << 10, READY_MAX = 1 << 11 };

struct pretend_world pretend;

/* An operation that the kernel holds. */
struct op {
    bool used;
    enum gw_op_kind kind;
    uint32_t slot, generation;
    struct gw_bytes bytes; /* SEND */
    uint32_t listener;     /* ACCEPT */
    struct sockaddr_storage *peer;
    socklen_t *peer_bytes;
    bool event;     /* POLL: something happened since it was last reported */
    bool cancelled; /* it was told to end                                  */
    uint64_t not_before_ns;
};

struct gw_ring {
    struct gw_ring_options options;
    struct connection **files; /* by slot */
    struct backlog {
        struct connection *waits[BACKLOG];
        uint32_t head, tail;
    } backlogs[LISTENERS];
    uint32_t ops_high; /* no op from here on */
    uint32_t ready_head, ready_tail;
    uint32_t ready_now; /* of these, what this turn sees: an overflown queue gives the rest later */
    uint8_t *buffers;
    bool *buffer_taken;
    uint32_t buffers_taken;
    struct gw_ring_stat stat;
    bool woken;
    bool dead; /* its process was killed */

    /* not zeroed when it is made */
    struct op ops[OPS_MAX];
    struct gw_completion ready[READY_MAX];
};

/* ---- connections, the device's side ---- */

static void note_event(struct connection *connection)
{
    if (!connection->accepted || connection->gateway_closed)
        return;
    struct gw_ring *ring = connection->ring;

    for (uint32_t i = 0; i < ring->ops_high; i++)
        if (ring->ops[i].used && ring->ops[i].kind == GW_OP_POLL &&
            ring->ops[i].slot == connection->slot)
            ring->ops[i].event = true;
}

struct connection *connection_open(struct gw_ring *ring, uint32_t listener, uint16_t port)
{
    struct connection *connection = malloc(sizeof *connection);
    struct backlog *backlog = &ring->backlogs[listener];

    gw_assert(connection != NULL && listener < LISTENERS);
    memset(connection, 0, offsetof(struct connection, up)); /* pipes begin empty */
    connection->up.head = connection->up.tail = connection->down.head = connection->down.tail = 0;
    connection->ring = ring;
    connection->port = port;
    connection->number = ++pretend.connections;
    if (backlog->tail - backlog->head == BACKLOG)
        connection->reset = connection->gateway_closed = true;
    else
        backlog->waits[backlog->tail++ % BACKLOG] = connection;
    return connection;
}

static uint32_t pipe_room(struct pipe *pipe)
{
    if (pipe->head > 0) {
        memmove(pipe->bytes, pipe->bytes + pipe->head, pipe->tail - pipe->head);
        pipe->tail -= pipe->head;
        pipe->head = 0;
    }
    return PIPE_BYTES_MAX - pipe->tail;
}

bool connection_write(struct connection *connection, const void *bytes, uint32_t count)
{
    if (connection->reset || connection->device_closed || connection->gateway_closed ||
        pipe_room(&connection->up) < count)
        return false;
    memcpy(connection->up.bytes + connection->up.tail, bytes, count);
    connection->up.tail += count;
    note_event(connection);
    return true;
}

uint32_t connection_read(struct connection *connection, void *bytes, uint32_t count)
{
    uint32_t there = connection->down.tail - connection->down.head;
    uint32_t taken = there < count ? there : count;

    memcpy(bytes, connection->down.bytes + connection->down.head, taken);
    connection->down.head += taken;
    return taken;
}

void connection_close(struct connection *connection, bool reset)
{
    connection->device_closed = true;
    connection->reset = connection->reset || reset;
    note_event(connection);
}

bool connection_is_over(const struct connection *connection)
{
    return connection->gateway_closed;
}

/* ---- operations ---- */

static struct op *queue_op(struct gw_ring *ring, enum gw_op_kind kind, uint32_t slot,
                           uint32_t generation)
{
    uint32_t i = 0;

    while (i < ring->ops_high && ring->ops[i].used)
        i++;
    gw_assert(i < OPS_MAX);
    if (i == ring->ops_high)
        ring->ops_high = i + 1;
    ring->ops[i] = (struct op){
        .used = true,
        .kind = kind,
        .slot = slot,
        .generation = generation & GW_OP_GENERATION_MASK,
        .not_before_ns = pretend.now_ns + (pretend.calm ? 0
                                           : chance_below(&pretend.chance, 4) == 0
                                               ? chance_below(&pretend.chance, 50000000)
                                               : 0),
    };
    return &ring->ops[i];
}

static void complete(struct gw_ring *ring, struct op *op, int32_t res, bool last)
{
    struct gw_completion *c = &ring->ready[ring->ready_tail++ % READY_MAX];

    gw_assert(ring->ready_tail - ring->ready_head <= READY_MAX);
    *c = (struct gw_completion){
        .kind = op->kind, .slot = op->slot, .generation = op->generation, .res = res, .last = last};
    pretend_trace((uint64_t)op->kind << 40 ^ (uint64_t)op->slot << 16 ^ (uint32_t)res);
    pretend.seen.completions++;
    ring->stat.completions++;
    if (last)
        op->used = false;
}

static struct connection *file_of(const struct gw_ring *ring, const struct op *op)
{
    return ring->files[op->slot];
}

static bool run_accept(struct gw_ring *ring, struct op *op)
{
    struct sockaddr_in *peer = (struct sockaddr_in *)op->peer;
    struct backlog *backlog = &ring->backlogs[op->listener];

    if (!pretend.calm && chance_one_in(&pretend.chance, 400)) {
        pretend.seen.accept_errors++;
        complete(ring, op, chance_one_in(&pretend.chance, 2) ? -ENFILE : -ECONNABORTED, true);
        return true;
    }
    if (backlog->head == backlog->tail)
        return false;
    struct connection *connection = backlog->waits[backlog->head++ % BACKLOG];

    gw_assert(ring->files[op->slot] == NULL); /* a slot is not used before its file is closed */
    ring->files[op->slot] = connection;
    connection->accepted = true;
    connection->accepted_ns = pretend.now_ns;
    connection->slot = op->slot;
    memset(peer, 0, sizeof *peer);
    peer->sin_family = AF_INET;
    peer->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->sin_port = htons(connection->port);
    *op->peer_bytes = sizeof *peer;
    complete(ring, op, 0, true);
    return true;
}

static bool run_poll(struct gw_ring *ring, struct op *op)
{
    if (!op->event)
        return false;
    op->event = false;
    bool ends = !pretend.calm && chance_one_in(&pretend.chance, 50);

    pretend.seen.ended_multishots += ends;
    if (ends && chance_one_in(&pretend.chance, 8))
        complete(ring, op, -ENOMEM, true);
    else
        complete(ring, op, POLLIN, ends);
    return true;
}

static uint16_t take_buffer(struct gw_ring *ring)
{
    uint16_t id = 0;

    while (ring->buffer_taken[id])
        id++;
    ring->buffer_taken[id] = true;
    ring->buffers_taken++;
    return id;
}

static void run_recv(struct gw_ring *ring, struct op *op)
{
    struct connection *connection = file_of(ring, op);
    uint32_t there = connection->up.tail - connection->up.head;

    if (connection->reset) {
        complete(ring, op, -ECONNRESET, true);
    } else if (there == 0) {
        complete(ring, op, connection->device_closed ? 0 : -EAGAIN, true);
    } else if (ring->buffers_taken == ring->options.buffers ||
               (!pretend.calm && chance_one_in(&pretend.chance, 100))) {
        pretend.seen.no_buffers++;
        ring->stat.no_buffers++;
        complete(ring, op, -ENOBUFS, true);
    } else {
        uint32_t count = there < ring->options.buffer_bytes ? there : ring->options.buffer_bytes;

        if (!pretend.calm && chance_one_in(&pretend.chance, 3)) {
            count = 1 + chance_below(&pretend.chance, count);
            pretend.seen.short_reads += count < there;
        }
        uint16_t id = take_buffer(ring);
        uint8_t *buffer = ring->buffers + (size_t)id * ring->options.buffer_bytes;

        memcpy(buffer, connection->up.bytes + connection->up.head, count);
        connection->up.head += count;
        complete(ring, op, (int32_t)count, true);
        struct gw_completion *c = &ring->ready[(ring->ready_tail - 1) % READY_MAX];

        c->buffer = id;
        c->bytes = gw_bytes_of(buffer, count);
        c->nonempty = connection->up.head != connection->up.tail;
    }
}

static bool run_send(struct gw_ring *ring, struct op *op)
{
    struct connection *connection = file_of(ring, op);

    if (connection->reset) {
        complete(ring, op, -EPIPE, true);
        return true;
    }
    if (pipe_room(&connection->down) < op->bytes.size) {
        if (!connection->device_closed)
            return false; /* a slow reader: waits */
        complete(ring, op, -ECONNRESET, true);
        return true;
    }
    uint32_t count = (uint32_t)op->bytes.size;

    if (!pretend.calm && chance_one_in(&pretend.chance, 400)) { /* the connection fails within it */
        count = 1 + chance_below(&pretend.chance, count);
        connection->reset = true;
        note_event(connection);
    }
    memcpy(connection->down.bytes + connection->down.tail, op->bytes.data, count);
    connection->down.tail += count;
    complete(ring, op, (int32_t)count, true);
    return true;
}

/* One operation makes its step, if it can. */
static bool run(struct gw_ring *ring, struct op *op)
{
    struct connection *connection;

    if (!op->used || op->not_before_ns > pretend.now_ns)
        return false;
    if (op->cancelled) { /* too late, now and then: what was under way got through */
        if (op->kind != GW_OP_SEND || chance_one_in(&pretend.chance, 2) || !run_send(ring, op))
            complete(ring, op, -ECANCELED, true);
        return true;
    }
    switch (op->kind) {
    case GW_OP_ACCEPT:
        return run_accept(ring, op);
    case GW_OP_POLL:
        return run_poll(ring, op);
    case GW_OP_RECV:
        run_recv(ring, op);
        return true;
    case GW_OP_SEND:
        return run_send(ring, op);
    case GW_OP_SHUTDOWN:
        connection = file_of(ring, op);
        connection->gateway_shut = true;
        complete(ring, op, connection->reset ? -ENOTCONN : 0, true);
        return true;
    case GW_OP_CLOSE:
        connection = file_of(ring, op);
        connection->gateway_closed = true;
        ring->files[op->slot] = NULL;
        complete(ring, op, 0, true);
        return true;
    case GW_OP_WAKE:
        break;
    }
    gw_unreachable("an operation of no kind");
}

/* ---- gw/io/ring.h ---- */

int gw_ring_create(const struct gw_ring_options *options, struct gw_ring **out, char *why,
                   size_t why_bytes)
{
    struct gw_ring *ring = malloc(sizeof *ring);

    (void)why;
    (void)why_bytes;
    gw_assert(ring != NULL);
    memset(ring, 0, offsetof(struct gw_ring, ops));
    ring->options = *options;
    ring->files = calloc(options->files, sizeof(struct connection *));
    ring->buffers = malloc((size_t)options->buffers * options->buffer_bytes);
    ring->buffer_taken = calloc(options->buffers, sizeof *ring->buffer_taken);
    *out = ring;
    return 0;
}

void gw_ring_destroy(struct gw_ring *ring)
{
    if (ring == NULL)
        return;
    free(ring->files);
    free(ring->buffers);
    free(ring->buffer_taken);
    free(ring);
}

int gw_ring_listener_add(struct gw_ring *ring, int fd)
{
    (void)ring;
    return fd;
}

void gw_ring_accept(struct gw_ring *ring, int listener, uint32_t slot, uint32_t generation,
                    struct sockaddr_storage *peer, socklen_t *peer_bytes)
{
    struct op *op = queue_op(ring, GW_OP_ACCEPT, slot, generation);

    gw_assert(listener >= 0 && listener < LISTENERS);
    op->listener = (uint32_t)listener;
    op->peer = peer;
    op->peer_bytes = peer_bytes;
}

void gw_ring_poll(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    struct op *op = queue_op(ring, GW_OP_POLL, slot, generation);
    const struct connection *connection = ring->files[slot];

    op->event = connection->up.head != connection->up.tail || connection->device_closed;
}

void gw_ring_recv(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    (void)queue_op(ring, GW_OP_RECV, slot, generation);
}

/* No proxy is trusted here. */
void gw_ring_recv_front(struct gw_ring *ring, uint32_t slot, uint32_t generation, uint32_t bytes,
                        bool take)
{
    (void)ring, (void)slot, (void)generation, (void)bytes, (void)take;
    gw_unreachable("a PROXY header is read");
}

void gw_ring_buffer_release(struct gw_ring *ring, uint16_t buffer)
{
    gw_assert(ring->buffer_taken[buffer]);
    ring->buffer_taken[buffer] = false;
    ring->buffers_taken--;
    /* Whoever reads it now reads garbage. */
    memset(ring->buffers + (size_t)buffer * ring->options.buffer_bytes, 0xDD,
           ring->options.buffer_bytes);
}

bool gw_ring_trim(struct gw_ring *ring)
{
    for (uint32_t i = 0; i < ring->ops_high; i++)
        if (ring->ops[i].used && ring->ops[i].kind == GW_OP_RECV)
            return false;
    return ring->buffers_taken == 0; /* else a completion that is yet to be read has one */
}

void gw_ring_send(struct gw_ring *ring, uint32_t slot, uint32_t generation, struct gw_bytes bytes)
{
    for (uint32_t i = 0; i < ring->ops_high; i++) /* one at a time */
        gw_assert(!ring->ops[i].used || ring->ops[i].kind != GW_OP_SEND ||
                  ring->ops[i].slot != slot);
    queue_op(ring, GW_OP_SEND, slot, generation)->bytes = bytes;
}

void gw_ring_shutdown(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    (void)queue_op(ring, GW_OP_SHUTDOWN, slot, generation);
}

void gw_ring_cancel(struct gw_ring *ring, enum gw_op_kind kind, uint32_t slot, uint32_t generation)
{
    for (uint32_t i = 0; i < ring->ops_high; i++) {
        struct op *op = &ring->ops[i];

        if (op->used && op->kind == kind && op->slot == slot &&
            op->generation == (generation & GW_OP_GENERATION_MASK))
            op->cancelled = true;
    }
}

void gw_ring_close(struct gw_ring *ring, uint32_t slot, uint32_t generation)
{
    for (uint32_t i = 0; i < ring->ops_high; i++) /* closing is a join */
        gw_assert(!ring->ops[i].used || ring->ops[i].slot != slot);
    (void)queue_op(ring, GW_OP_CLOSE, slot, generation);
}

void pretend_ring_run(struct gw_ring *ring)
{
    uint32_t start = ring->ops_high == 0 ? 0 : chance_below(&pretend.chance, ring->ops_high);

    if (ring->dead)
        return;
    for (uint32_t n = 0; n < ring->ops_high; n++) {
        struct op *op = &ring->ops[(start + n) % ring->ops_high];

        if (ring->ready_tail - ring->ready_head < READY_MAX / 2 &&
            (pretend.calm || chance_below(&pretend.chance, 8) != 0))
            (void)run(ring, op);
    }
    while (ring->ops_high > 0 && !ring->ops[ring->ops_high - 1].used)
        ring->ops_high--;
}

bool pretend_ring_has_work(const struct gw_ring *ring)
{
    return ring->woken || ring->ready_head != ring->ready_tail;
}

int gw_ring_wait(struct gw_ring *ring, uint64_t timeout_ns)
{
    (void)timeout_ns; /* the world decides when a shard turns */
    if (ring->dead)
        return 0;
    pretend_ring_run(ring);
    ring->stat.enters++;
    ring->ready_now = ring->ready_tail - ring->ready_head;
    if (!pretend.calm && chance_one_in(&pretend.chance, 8)) {
        ring->ready_now = chance_below(&pretend.chance, ring->ready_now + 1);
        ring->stat.overflows++;
        pretend.seen.overflows++;
    }
    return 0;
}

bool gw_ring_next(struct gw_ring *ring, struct gw_completion *out)
{
    if (ring->woken) {
        ring->woken = false;
        *out = (struct gw_completion){.kind = GW_OP_WAKE};
        return true;
    }
    if (ring->ready_now == 0)
        return false;
    ring->ready_now--;
    *out = ring->ready[ring->ready_head++ % READY_MAX];
    return true;
}

struct gw_instant gw_ring_now(const struct gw_ring *ring)
{
    (void)ring;
    return (struct gw_instant){.ns = pretend.now_ns};
}

uint64_t gw_ring_wall_us(const struct gw_ring *ring)
{
    (void)ring;
    return pretend.wall_us;
}

uint64_t gw_ring_cpu_ns(const struct gw_ring *ring)
{
    (void)ring;
    return 0;
}

void gw_ring_wake(struct gw_ring *ring)
{
    ring->woken = true;
}

void gw_ring_wake_from(struct gw_ring *from, struct gw_ring *ring)
{
    (void)from;
    ring->woken = true;
}

void gw_ring_stat(const struct gw_ring *ring, struct gw_ring_stat *out)
{
    *out = ring->stat;
}

static void cut_off(struct connection *connection)
{
    connection->reset = true;
    connection->gateway_closed = true;
}

void pretend_ring_kill(struct gw_ring *ring)
{
    ring->dead = true;
    ring->ready_now = 0;
    ring->woken = false;
    for (uint32_t slot = 0; slot < ring->options.files; slot++)
        if (ring->files[slot] != NULL)
            cut_off(ring->files[slot]);
    for (struct backlog *backlog = ring->backlogs; backlog < ring->backlogs + LISTENERS; backlog++)
        while (backlog->head != backlog->tail)
            cut_off(backlog->waits[backlog->head++ % BACKLOG]);
}

uint32_t pretend_ring_buffers_on_loan(const struct gw_ring *ring)
{
    return ring->buffers_taken;
}

/* ---- gw/base/clock.h: time for whoever is not a shard ---- */

struct gw_instant gw_clock_now(void)
{
    return (struct gw_instant){.ns = pretend.now_ns};
}

uint64_t gw_clock_wall_us(void)
{
    return pretend.wall_us;
}
