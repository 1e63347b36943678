/*
 * The server process: a listener with the options of its way, then the loop of its kind.
 */
#include "server_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void server_refuse(struct server *sv, const char *what, int err)
{
    (void)snprintf(sv->board->why, sizeof sv->board->why, "%s: %s", what, strerror(-err));
    atomic_store(&sv->board->refused, true);
    _exit(0);
}

void server_fail(const char *what, int err)
{
    fprintf(stderr, "tollgate-ways: server: %s: %s\n", what, strerror(-err));
    _exit(1);
}

void server_turn_begin(struct server *sv)
{
    sv->now_ns = gw_clock_now().ns;
    sv->taken = 0;
    sv->measuring = atomic_load_explicit(&sv->board->measuring, memory_order_relaxed);
}

void server_turn_end(struct server *sv)
{
    if (sv->taken > 0)
        ways_add(&sv->board->messages, sv->taken);
}

uint32_t server_take(struct server *sv, struct connection *c, const uint8_t *data, uint32_t bytes)
{
    uint32_t whole = 0;

    while (bytes > 0) {
        uint32_t take = (uint32_t)gw_min_u64(bytes, sv->load->bytes - c->got);

        /* A stamp is never cut: the client writes a message by one call, into an empty socket. */
        if (c->got == 0 && take >= sizeof c->stamp)
            memcpy(&c->stamp, data, sizeof c->stamp);
        c->got += take;
        data += take;
        bytes -= take;
        if (c->got < sv->load->bytes)
            break;
        c->got = 0;
        whole++;
        if (sv->measuring && !sv->load->echo)
            swarm_histogram_add(&sv->board->delay, gw_ns_between((struct gw_instant){c->stamp},
                                                                 (struct gw_instant){sv->now_ns}) /
                                                       GW_NS_PER_US);
    }
    sv->taken += whole;
    return whole;
}

uint8_t *server_answer(struct server *sv, struct connection *c)
{
    uint8_t *answer = sv->answers + (size_t)(c - sv->connections) * sv->load->bytes;

    memcpy(answer, &c->stamp, sizeof c->stamp);
    return answer;
}

static void set(int fd, int level, int name, int value, const char *what)
{
    if (setsockopt(fd, level, name, &value, sizeof value) != 0)
        server_fail(what, -errno);
}

/* What is set on a listener its connections inherit. */
static void open_listener(struct server *sv)
{
    const struct ways_way *way = sv->way;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        server_fail("socket", -errno);
    if (!way->delay)
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    if (way->rcvbuf_bytes > 0)
        set(fd, SOL_SOCKET, SO_RCVBUF, (int)way->rcvbuf_bytes, "SO_RCVBUF");
    if (way->busy_poll_us > 0)
        set(fd, SOL_SOCKET, SO_BUSY_POLL, (int)way->busy_poll_us, "SO_BUSY_POLL");
    if (way->congestion != NULL && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, way->congestion,
                                              (socklen_t)strlen(way->congestion)) != 0)
        server_refuse(sv, way->congestion, -errno);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        server_fail("listen", -errno);
    sv->listener = fd;
    atomic_store(&sv->board->port, ntohs(address.sin_port));
}

void ways_serve(const struct ways_way *way, const struct ways_load *load, struct ways_board *board)
{
    struct server sv = {.way = way, .load = load, .board = board};

    sv.connections = calloc(load->connections, sizeof *sv.connections);
    if (load->echo)
        sv.answers = calloc(load->connections, load->bytes);
    if (sv.connections == NULL || (load->echo && sv.answers == NULL))
        server_fail("memory", -ENOMEM);
    open_listener(&sv);
    if (way->receive == WAYS_EPOLL)
        serve_epoll(&sv);
    serve_ring(&sv);
}
