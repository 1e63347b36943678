/*
 * The gateway's ring with real sockets: what a message, a connection and a wake-up cost where the
 * kernel's work and our share of it meet. Compare with the bare system calls of kernel_bench.c.
 *
 * A turn serves CLIENTS connections at once, as a shard under load does; what is shown is a turn's
 * time divided by them.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/clock.h>
#include <gw/io/ring.h>

#include "bench.h"

enum { CLIENTS = 64, MESSAGE_BYTES = 33, WHY_BYTES = 256 };

/* Nothing takes so long; a benchmark that waits for what does not come ends, and has failed. */
#define WAIT_NS_MAX (5 * GW_NS_PER_S)

extern const struct gw_bench_case bench_ring_cases[];

static const struct gw_ring_options options = {
    .sq_entries = 256, .cq_entries = 1024, .files = CLIENTS, .buffers = 256, .buffer_bytes = 4096};

static const uint8_t message[MESSAGE_BYTES];

/* A ring with CLIENTS connections in its slots, and their other ends. */
static struct {
    struct gw_ring *ring;
    struct sockaddr_in address;
    int listener_fd, listener;
    int clients[CLIENTS];
    struct sockaddr_storage peers[CLIENTS];
    socklen_t peer_bytes[CLIENTS];
} stage;

/* What a shard does at each completion, as far as it is the ring's. */
static bool on_completion(const struct gw_completion *c)
{
    if (c->kind == GW_OP_POLL)
        gw_ring_recv(stage.ring, c->slot, 1);
    if (c->kind == GW_OP_RECV && c->res > 0)
        gw_ring_buffer_release(stage.ring, c->buffer);
    return c->kind == GW_OP_RECV || c->kind == GW_OP_SEND ? c->res == MESSAGE_BYTES : c->res >= 0;
}

/* Takes completions until `count` of `kind` were there. */
static bool await(enum gw_op_kind kind, size_t count)
{
    while (count > 0) {
        struct gw_completion c;
        bool any = false;

        if (gw_ring_wait(stage.ring, WAIT_NS_MAX) != 0)
            return false;
        for (; gw_ring_next(stage.ring, &c); any = true) {
            if (!on_completion(&c))
                return false;
            count -= c.kind == kind;
        }
        if (!any)
            return false;
    }
    return true;
}

/* ---- connections ---- */

static bool connect_clients(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        stage.clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (stage.clients[i] < 0 ||
            setsockopt(stage.clients[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0 ||
            connect(stage.clients[i], (struct sockaddr *)&stage.address, sizeof stage.address) != 0)
            return false;
    }
    return true;
}

/* By a reset, so that no port is held afterwards. */
static void disconnect_clients(void)
{
    const struct linger reset = {.l_onoff = 1};

    for (size_t i = 0; i < CLIENTS; i++) {
        if (stage.clients[i] <= 0)
            continue;
        (void)setsockopt(stage.clients[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        (void)close(stage.clients[i]);
        stage.clients[i] = 0;
    }
}

static bool accept_clients(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        stage.peer_bytes[i] = sizeof stage.peers[i];
        gw_ring_accept(stage.ring, stage.listener, i, 1, &stage.peers[i], &stage.peer_bytes[i]);
    }
    return await(GW_OP_ACCEPT, CLIENTS);
}

static bool close_files(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        gw_ring_close(stage.ring, i, 1);
    return await(GW_OP_CLOSE, CLIENTS);
}

static void stage_close(void)
{
    gw_ring_destroy(stage.ring);
    stage.ring = NULL;
    disconnect_clients();
    if (stage.listener_fd > 0)
        (void)close(stage.listener_fd);
    stage.listener_fd = 0;
}

static bool stage_open(struct gw_bench *b)
{
    socklen_t size = sizeof stage.address;
    char why[WHY_BYTES];

    stage.address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    stage.listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (gw_ring_create(&options, &stage.ring, why, sizeof why) == 0 && stage.listener_fd >= 0 &&
        bind(stage.listener_fd, (struct sockaddr *)&stage.address, size) == 0 &&
        listen(stage.listener_fd, 2 * CLIENTS) == 0 &&
        getsockname(stage.listener_fd, (struct sockaddr *)&stage.address, &size) == 0 &&
        (stage.listener = gw_ring_listener_add(stage.ring, stage.listener_fd)) >= 0)
        return true;
    gw_bench_fail(b, "no ring with a listener");
    stage_close();
    return false;
}

/*
 * Runs `turn` for CLIENTS turns of the benchmark together, and `before` before it and `after`
 * behind it while the clock stands (NULL: nothing).
 */
static void run_turns(struct gw_bench *b, bool (*before)(void), bool (*turn)(void),
                      bool (*after)(void))
{
    size_t served = CLIENTS;

    while (gw_bench_next(b)) {
        bool good = true;

        if (served++ < CLIENTS)
            continue;
        served = 1;
        gw_bench_pause(b);
        good = before == NULL || before();
        gw_bench_resume(b);
        good = good && turn();
        gw_bench_pause(b);
        good = good && (after == NULL || after());
        gw_bench_resume(b);
        if (!good) {
            gw_bench_fail(b, "a turn of the ring failed");
            return;
        }
    }
}

static bool accept_and_close(void)
{
    return accept_clients() && close_files();
}

static bool leave(void)
{
    disconnect_clients();
    return true;
}

/*
 * Question: what does a connection cost to take and to give back, handshake and goodbye of TCP
 * apart from what the client pays for?
 * Expected: 12 us: a socket's inode and file are made and freed (5), a FIN goes out and is answered
 * over loopback (6), two operations of the ring.
 * Found: 3.8 to 5.4 us: the answer to the FIN is the client's to pay for.
 */
static void ring_accept_and_close(struct gw_bench *b)
{
    if (!stage_open(b))
        return;
    run_turns(b, connect_clients, accept_and_close, leave);
    stage_close();
}

/* ---- messages ---- */

static bool clients_send(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (send(stage.clients[i], message, sizeof message, MSG_NOSIGNAL) != MESSAGE_BYTES)
            return false;
    }
    return true;
}

static bool clients_receive(void)
{
    uint8_t room[4 * MESSAGE_BYTES];

    for (size_t i = 0; i < CLIENTS; i++) {
        if (recv(stage.clients[i], room, sizeof room, MSG_DONTWAIT) != MESSAGE_BYTES)
            return false;
    }
    return true;
}

static bool receive_all(void)
{
    return await(GW_OP_RECV, CLIENTS);
}

static bool send_all(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        gw_ring_send(stage.ring, i, 1, gw_bytes_of(message, sizeof message));
    return await(GW_OP_SEND, CLIENTS);
}

static void with_connections(struct gw_bench *b, bool (*before)(void), bool (*turn)(void),
                             bool (*after)(void))
{
    if (!stage_open(b))
        return;
    if (connect_clients() && accept_clients()) {
        for (uint32_t i = 0; i < CLIENTS; i++)
            gw_ring_poll(stage.ring, i, 1);
        run_turns(b, before, turn, after);
    } else {
        gw_bench_fail(b, "no connections over loopback");
    }
    stage_close();
}

/*
 * Question: what does it cost to hear of an update and to take it from its socket?
 * Expected: 1.2 us: recv's 500 ns without its system call, a poll's completion and a recv's (200
 * each), a buffer's way to the kernel and back, and two system calls among 64.
 * Found: 1.8 us, where a bare recv takes 3.4: 64 messages share their system calls.
 */
static void ring_recv_33(struct gw_bench *b)
{
    with_connections(b, clients_send, receive_all, NULL);
}

/*
 * Question: and to send an answer?
 * Expected: 6 us, as the bare system call: nearly all of it is the way to the other socket.
 * Found: 1.5 to 2.6 us, where a bare send takes 3.5 to 4.1: 64 of them share a system call.
 */
static void ring_send_33(struct gw_bench *b)
{
    with_connections(b, NULL, send_all, clients_receive);
}

/* ---- wake-ups ---- */

/*
 * Question: what does a turn cost that finds nothing but a wake-up?
 * Expected: 1.2 us: a write to an eventfd, an enter, a read of the eventfd that is armed again.
 * Found: 3.3 to 3.7 us: two system calls of 1.2 us, see kernel_syscall.
 */
static void ring_wake_self(struct gw_bench *b)
{
    if (!stage_open(b))
        return;
    while (gw_bench_next(b)) {
        gw_ring_wake(stage.ring);
        if (!await(GW_OP_WAKE, 1)) {
            gw_bench_fail(b, "no wake-up came");
            break;
        }
    }
    stage_close();
}

/* A thread that answers each wake-up of its ring with one of ours. */
struct echo {
    pthread_t thread;
    pthread_barrier_t ready;
    struct gw_ring *ring; /* NULL: it could not be made */
    uint64_t cpu_ns;      /* what its thread worked     */
    bool stop;            /* read after a wake-up, whose eventfd orders it */
};

static void *echo_run(void *argument)
{
    struct echo *echo = argument;
    struct gw_completion c;
    struct timespec worked;
    char why[WHY_BYTES];

    if (gw_ring_create(&options, &echo->ring, why, sizeof why) != 0)
        echo->ring = NULL;
    (void)pthread_barrier_wait(&echo->ready);
    while (echo->ring != NULL && gw_ring_wait(echo->ring, UINT64_MAX) == 0) {
        while (gw_ring_next(echo->ring, &c))
            ;
        if (__atomic_load_n(&echo->stop, __ATOMIC_ACQUIRE))
            break;
        gw_ring_wake(stage.ring);
    }
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
    echo->cpu_ns = (uint64_t)worked.tv_sec * 1000000000 + (uint64_t)worked.tv_nsec;
    gw_ring_destroy(echo->ring);
    return NULL;
}

/*
 * Question: how long does a thread that sleeps in its ring take to hear of another, and what do the
 * two work for it? (The uplink wakes a shard so, for every batch that somebody waits for.)
 * Expected, there and back: 20 us of time, 5 us of CPU in each thread; in a virtual machine a core
 * that slept is woken by an interrupt that its host has to deliver.
 */
static void ring_wake_and_back(struct gw_bench *b)
{
    struct echo echo = {.stop = false};
    bool good;

    if (!stage_open(b))
        return;
    good = pthread_barrier_init(&echo.ready, NULL, 2) == 0 &&
           pthread_create(&echo.thread, NULL, echo_run, &echo) == 0;
    if (good) {
        (void)pthread_barrier_wait(&echo.ready);
        good = echo.ring != NULL;
        while (good && gw_bench_next(b)) {
            gw_ring_wake(echo.ring);
            good = await(GW_OP_WAKE, 1);
        }
        __atomic_store_n(&echo.stop, true, __ATOMIC_RELEASE);
        if (echo.ring != NULL)
            gw_ring_wake(echo.ring);
        (void)pthread_join(echo.thread, NULL);
        b->other_cpu_ns = echo.cpu_ns;
    }
    if (!good)
        gw_bench_fail(b, "no wake-up came");
    (void)pthread_barrier_destroy(&echo.ready);
    stage_close();
}

const struct gw_bench_case bench_ring_cases[] = {
    {"ring_accept_and_close", ring_accept_and_close},
    {"ring_recv_33", ring_recv_33},
    {"ring_send_33", ring_send_33},
    {"ring_wake_self", ring_wake_self},
    {"ring_wake_and_back", ring_wake_and_back},
    {0},
};
