/*
 * The client process: opens its connections, then sends at a fixed rate while it is told to. Gaps
 * are exponential, so that messages come as from many devices and not as by a metronome; it looks
 * at the clock all the time, because its own waking up would be seen as the server's delay.
 */
#include "ways.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, AHEAD_MAX = 512, DRAIN_MS = 200 };

struct client {
    const struct ways_load *load;
    struct ways_board *board;
    int *fds;
    uint32_t *awaited; /* bytes of the answer that are still to come; 0: none is awaited */
    struct gw_instant *sent_at;
    uint8_t *message, *answer;
    uint64_t random;
    uint32_t under_way;
    int epoll;
};

GW_NORETURN static void fail(const char *what)
{
    fprintf(stderr, "tollgate-ways: client: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static uint64_t next_random(struct client *cl)
{
    cl->random ^= cl->random << 13;
    cl->random ^= cl->random >> 7;
    cl->random ^= cl->random << 17;
    return cl->random;
}

static void connect_all(struct client *cl)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atomic_load(&cl->board->port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger reset = {.l_onoff = 1}; /* nothing is left in TIME_WAIT */
    const int one = 1;

    for (uint32_t i = 0; i < cl->load->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        /* Never far ahead of the accepts: a full backlog costs a second. */
        while (i > atomic_load(&cl->board->armed) + AHEAD_MAX)
            (void)usleep(50);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            fail("connect");
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (cl->load->echo && epoll_ctl(cl->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            fail("epoll_ctl");
        cl->fds[i] = fd;
        atomic_store(&cl->board->connected, i + 1);
    }
}

static void read_answers(struct client *cl, bool measuring)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(cl->epoll, events, EVENTS, 0);

    for (int i = 0; i < count; i++) {
        uint32_t number = events[i].data.u32;
        ssize_t got = recv(cl->fds[number], cl->answer, cl->load->bytes, MSG_DONTWAIT);

        if (got < 0 && errno == EAGAIN)
            continue;
        if (got <= 0)
            _exit(0); /* the server has ended, and said why */
        cl->awaited[number] -= (uint32_t)got;
        if (cl->awaited[number] > 0)
            continue;
        cl->under_way--;
        if (measuring)
            swarm_histogram_add(&cl->board->answer,
                                gw_ns_between(cl->sent_at[number], gw_clock_now()) / GW_NS_PER_US);
    }
}

/* The message begins with the moment it is sent: the server tells from it how long it took. */
static void send_one(struct client *cl)
{
    uint32_t number = (uint32_t)(next_random(cl) % cl->load->connections);
    uint32_t left = cl->load->bytes;
    struct gw_instant now;

    while (cl->load->echo && cl->awaited[number] > 0) /* one request at a time on a connection */
        number = (number + 1) % cl->load->connections;
    now = gw_clock_now();
    memcpy(cl->message, &now.ns, sizeof now.ns);
    while (left > 0) {
        ssize_t sent =
            send(cl->fds[number], cl->message + cl->load->bytes - left, left, MSG_NOSIGNAL);

        if (sent < 0)
            _exit(0); /* the same */
        left -= (uint32_t)sent;
    }
    ways_add(&cl->board->sent, 1);
    if (cl->load->echo) {
        cl->sent_at[number] = now;
        cl->awaited[number] = cl->load->bytes;
        cl->under_way++;
    }
}

static uint64_t gap_ns(struct client *cl)
{
    double uniform = ((double)(next_random(cl) >> 11) + 1) / 9007199254740993.0;

    return (uint64_t)(-log(uniform) * 1e9 / cl->load->rate);
}

/* Late by more than this, messages are let go: a burst of them would answer another question. */
static const uint64_t late_ns_max = 500 * GW_NS_PER_US;

static void send_while_told(struct client *cl)
{
    struct gw_instant now = gw_clock_now();
    struct gw_instant end, due = gw_instant_after(now, gap_ns(cl));

    while (atomic_load_explicit(&cl->board->sending, memory_order_relaxed)) {
        bool measuring = atomic_load_explicit(&cl->board->measuring, memory_order_relaxed);

        if (now.ns >= due.ns) {
            if (now.ns - due.ns < late_ns_max && cl->under_way < cl->load->connections / 2)
                send_one(cl);
            else
                ways_add(&cl->board->skipped, 1);
            due = gw_instant_after(due, gap_ns(cl));
        }
        if (cl->load->echo && cl->under_way > 0)
            read_answers(cl, measuring);
        now = gw_clock_now();
    }
    end = gw_instant_after(now, DRAIN_MS * GW_NS_PER_MS);
    while (cl->under_way > 0 && gw_clock_now().ns < end.ns)
        read_answers(cl, false);
}

void ways_load(const struct ways_load *load, struct ways_board *board, int control)
{
    struct client cl = {.load = load, .board = board, .random = 0x9e3779b97f4a7c15};
    char byte;

    cl.fds = calloc(load->connections, sizeof *cl.fds);
    cl.awaited = calloc(load->connections, sizeof *cl.awaited);
    cl.sent_at = calloc(load->connections, sizeof *cl.sent_at);
    cl.message = calloc(1, load->bytes);
    cl.answer = malloc(load->bytes);
    cl.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (cl.fds == NULL || cl.awaited == NULL || cl.sent_at == NULL || cl.message == NULL ||
        cl.answer == NULL || cl.epoll < 0)
        fail("start");
    connect_all(&cl);
    while (read(control, &byte, 1) == 1) {
        send_while_told(&cl);
        if (write(control, &byte, 1) != 1)
            break;
    }
    _exit(0); /* resets every connection */
}
