/*
 * The baseline: epoll, level-triggered, one recv and one send for an event.
 */
#include "server_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 512, BUFFER_BYTES = 16384 };

static void accept_all(struct server *sv, int epoll)
{
    for (uint32_t i = 0; i < sv->load->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        int one = 1, fd;

        while ((fd = accept4(sv->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
            if (errno != EAGAIN)
                server_fail("accept", -errno);
            (void)usleep(100);
        }
        sv->connections[i].fd = fd;
        if (sv->way->quickack)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            server_fail("epoll_ctl", -errno);
        atomic_store(&sv->board->armed, i + 1);
    }
}

/* The client has one request under way on a connection, so an answer always finds room. */
static void answer(struct server *sv, struct connection *c)
{
    const uint8_t *data = server_answer(sv, c);
    uint32_t left = sv->load->bytes;

    while (left > 0) {
        ssize_t sent = send(c->fd, data + sv->load->bytes - left, left, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            return; /* the client has gone */
        left -= sent > 0 ? (uint32_t)sent : 0;
    }
}

void serve_epoll(struct server *sv)
{
    static uint8_t buffer[BUFFER_BYTES];
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        server_fail("epoll_create1", -errno);
    accept_all(sv, epoll);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);

        ways_add(&sv->board->enters, 1);
        server_turn_begin(sv);
        for (int i = 0; i < count; i++) {
            struct connection *c = &sv->connections[events[i].data.u32];
            ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
            uint32_t whole;

            if (got < 0 && errno == EAGAIN)
                continue;
            if (got <= 0) { /* the client's end is the end of the question */
                (void)epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
                continue;
            }
            whole = server_take(sv, c, buffer, (uint32_t)got);
            for (; sv->load->echo && whole > 0; whole--)
                answer(sv, c);
        }
        server_turn_end(sv);
    }
}
