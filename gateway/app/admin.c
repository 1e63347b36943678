/*
 * The admin port's server: plain non-blocking sockets in the control thread's poll loop, for a
 * scraper and a few probes. Shards never wait for it, and it never waits for a client.
 *
 *   FREE --accept--> READING --head whole--> WRITING --all sent--> LINGERING
 *    ^                  |                       |                      |
 *    +------------------+--- error, deadline ---+----------------------+--- the client hung up
 *
 *   READING    in[0..in_bytes) is the start of a request
 *   WRITING    out is the whole answer, out.data[sent..] is still to go
 *   LINGERING  our side is shut; what the client still sends is dropped, for closing a socket with
 *              unread bytes resets it and may take the answer away from the client (RFC 9112 9.6)
 *
 * I1: a connection lives until its deadline at most, whatever it sends or does not read.
 */
#include <gw/app/admin.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/assert.h>

#include <gw/http/request.h>
#include <gw/http/response.h>

/* After accept found no descriptor free: the listener stays readable, and poll would spin. */
#define ACCEPT_PAUSE_NS (100 * GW_NS_PER_MS)

enum state { FREE, READING, WRITING, LINGERING };

struct connection {
    enum state state;
    int fd;
    struct gw_instant deadline;
    size_t in_bytes;
    struct gw_text out;
    size_t sent;
    uint8_t in[GW_ADMIN_REQUEST_BYTES_MAX];
};

struct gw_admin {
    int listener;
    struct gw_instant accept_after;
    const struct gw_admin_route *routes;
    size_t route_count;
    void *context;
    struct gw_address address;
    struct connection connections[GW_ADMIN_CONNECTIONS_MAX];
};

static int open_listener(struct gw_admin *admin)
{
    struct gw_address *address = &admin->address;
    int on = 1;

    admin->listener =
        socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (admin->listener < 0)
        return -errno;
    if (setsockopt(admin->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return -errno;
    if (address->storage.ss_family == AF_INET6 &&
        setsockopt(admin->listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        return -errno;
    if (bind(admin->listener, (const struct sockaddr *)&address->storage, address->bytes) != 0 ||
        listen(admin->listener, GW_ADMIN_CONNECTIONS_MAX) != 0)
        return -errno;
    address->bytes = sizeof address->storage;
    if (getsockname(admin->listener, (struct sockaddr *)&address->storage, &address->bytes) != 0)
        return -errno;
    return 0;
}

int gw_admin_create(const struct gw_admin_options *options, struct gw_admin **out,
                    char why[GW_ADMIN_WHY_BYTES])
{
    struct gw_admin *admin;
    char address[GW_ADDRESS_TEXT_BYTES];
    int err;

    *out = NULL;
    gw_address_format(&options->address, address);
    if (!options->allow_remote && !gw_address_is_loopback(&options->address)) {
        snprintf(why, GW_ADMIN_WHY_BYTES,
                 "%s is no loopback address, and this port asks nobody "
                 "who they are",
                 address);
        return -EPERM;
    }
    admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        snprintf(why, GW_ADMIN_WHY_BYTES, "out of memory");
        return -ENOMEM;
    }
    admin->address = options->address;
    admin->routes = options->routes;
    admin->route_count = options->route_count;
    admin->context = options->context;
    err = open_listener(admin);
    if (err != 0) {
        snprintf(why, GW_ADMIN_WHY_BYTES, "%s: %s", address, strerror(-err));
        gw_admin_destroy(admin);
        return err;
    }
    *out = admin;
    return 0;
}

static void release(struct connection *c)
{
    close(c->fd);
    gw_text_fini(&c->out);
    c->state = FREE;
}

void gw_admin_destroy(struct gw_admin *admin)
{
    if (admin == NULL)
        return;
    for (size_t i = 0; i < GW_ADMIN_CONNECTIONS_MAX; i++)
        if (admin->connections[i].state != FREE)
            release(&admin->connections[i]);
    if (admin->listener >= 0)
        close(admin->listener);
    free(admin);
}

void gw_admin_address(const struct gw_admin *admin, struct gw_address *out)
{
    *out = admin->address;
}

/* GW_ADMIN_CONNECTIONS_MAX when every connection is in use. */
static size_t free_slot(const struct gw_admin *admin)
{
    size_t slot = 0;

    while (slot < GW_ADMIN_CONNECTIONS_MAX && admin->connections[slot].state != FREE)
        slot++;
    return slot;
}

size_t gw_admin_fds(const struct gw_admin *admin, struct gw_instant now, struct pollfd *fds)
{
    bool accepts = free_slot(admin) < GW_ADMIN_CONNECTIONS_MAX && now.ns >= admin->accept_after.ns;

    /* Row 0 is the listener, row i + 1 connection i; poll skips the rows whose fd is -1. */
    fds[0] = (struct pollfd){.fd = accepts ? admin->listener : -1, .events = POLLIN};
    for (size_t i = 0; i < GW_ADMIN_CONNECTIONS_MAX; i++) {
        const struct connection *c = &admin->connections[i];

        fds[i + 1] = (struct pollfd){.fd = c->state == FREE ? -1 : c->fd,
                                     .events = c->state == WRITING ? POLLOUT : POLLIN};
    }
    return GW_ADMIN_FDS_MAX;
}

int gw_admin_wait_ms(const struct gw_admin *admin, struct gw_instant now)
{
    uint64_t wait_ns = UINT64_MAX;

    for (size_t i = 0; i < GW_ADMIN_CONNECTIONS_MAX; i++)
        if (admin->connections[i].state != FREE)
            wait_ns = gw_min_u64(wait_ns, gw_ns_between(now, admin->connections[i].deadline));
    if (now.ns < admin->accept_after.ns)
        wait_ns = gw_min_u64(wait_ns, gw_ns_between(now, admin->accept_after));
    if (wait_ns == UINT64_MAX)
        return -1;
    return (int)((wait_ns + GW_NS_PER_MS - 1) / GW_NS_PER_MS); /* at most 5 s */
}

static const struct gw_admin_route *find_route(const struct gw_admin *admin, struct gw_bytes path)
{
    for (size_t i = 0; i < admin->route_count; i++)
        if (gw_bytes_are(path, admin->routes[i].path))
            return &admin->routes[i];
    return NULL;
}

/* Fills c->out for a request that was read whole, or refused before that. */
static void answer(const struct gw_admin *admin, struct connection *c,
                   const struct gw_http_request *request)
{
    static const char allowed[] = "GET, HEAD", plain[] = "text/plain; charset=utf-8";
    const struct gw_admin_route *route = NULL;
    struct gw_http_response response = {.content_type = plain,
                                        .date_s = gw_clock_wall_us() / 1000000};
    uint8_t head[GW_HTTP_RESPONSE_HEAD_BYTES];
    struct gw_text body = GW_TEXT_EMPTY;
    int status = request->fault == GW_HTTP_FAULT_NONE ? 0 : gw_http_fault_status(request->fault);

    if (status == 0 && (route = find_route(admin, request->path)) == NULL)
        status = 404;
    if (status == 0 && (request->method & (GW_HTTP_GET | GW_HTTP_HEAD)) == 0)
        status = 405;
    if (status == 0) {
        status = route->page(admin->context, &body);
        response.content_type = route->content_type;
    }
    if (body.failed) { /* half a page would be taken for a whole one */
        gw_text_fini(&body);
        status = 500;
        response.content_type = plain;
    }
    response.status = (uint16_t)status;
    if (body.bytes == 0 && status != 200)
        gw_text_print(&body, "%d %s\n", status, gw_http_reason(response.status));
    if (status == 405)
        response.allow = allowed;
    response.body = gw_bytes_of(body.data, body.bytes);
    response.head_only = true; /* the page goes behind it, or is left out */
    size_t head_bytes = gw_http_response_write(head, sizeof head, &response);

    gw_assert(head_bytes > 0);
    gw_text_append(&c->out, gw_bytes_of(head, head_bytes));
    if (request->method != GW_HTTP_HEAD)
        gw_text_append(&c->out, gw_bytes_of(body.data, body.bytes));
    gw_text_fini(&body);
}

static void on_writable(struct connection *c)
{
    ssize_t n = send(c->fd, c->out.data + c->sent, c->out.bytes - c->sent, MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            release(c);
        return;
    }
    c->sent += (size_t)n;
    if (c->sent < c->out.bytes)
        return;
    gw_text_fini(&c->out); /* a page may be large, and the client slow to leave */
    if (shutdown(c->fd, SHUT_WR) != 0)
        release(c);
    else
        c->state = LINGERING;
}

static void on_request(const struct gw_admin *admin, struct connection *c)
{
    static const struct gw_http_limits limits = {
        .head_bytes_max = GW_ADMIN_REQUEST_BYTES_MAX,
        .headers_max = GW_ADMIN_HEADERS_MAX,
        .body_bytes_max = UINT32_MAX, /* it is dropped with whatever else follows */
    };
    struct gw_http_request request;

    if (gw_http_head_read(gw_bytes_of(c->in, c->in_bytes), &limits, &request) == GW_MORE)
        return;
    answer(admin, c, &request);
    if (c->out.failed) {
        release(c);
        return;
    }
    c->sent = 0;
    c->state = WRITING;
    on_writable(c);
}

static void on_readable(const struct gw_admin *admin, struct connection *c)
{
    uint8_t dropped[4096];
    bool reading = c->state == READING;
    ssize_t n = recv(c->fd, reading ? c->in + c->in_bytes : dropped,
                     reading ? sizeof c->in - c->in_bytes : sizeof dropped, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        release(c);
        return;
    }
    if (n > 0 && reading) {
        c->in_bytes += (size_t)n;
        on_request(admin, c);
    }
}

static void accept_some(struct gw_admin *admin, struct gw_instant now)
{
    size_t slot;

    while ((slot = free_slot(admin)) < GW_ADMIN_CONNECTIONS_MAX) {
        struct connection *c = &admin->connections[slot];
        int fd = accept4(admin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            if (errno != EAGAIN)
                admin->accept_after = gw_instant_after(now, ACCEPT_PAUSE_NS);
            return;
        }
        c->state = READING;
        c->fd = fd;
        c->deadline = gw_instant_after(now, GW_ADMIN_DEADLINE_NS);
        c->in_bytes = 0;
        c->out = GW_TEXT_EMPTY;
    }
}

void gw_admin_step(struct gw_admin *admin, struct gw_instant now, const struct pollfd *fds,
                   size_t count)
{
    gw_assert(count == GW_ADMIN_FDS_MAX);
    for (size_t i = 0; i < GW_ADMIN_CONNECTIONS_MAX; i++) {
        struct connection *c = &admin->connections[i];

        if (c->state == FREE)
            continue;
        gw_assert(fds[i + 1].fd == c->fd);
        if (now.ns >= c->deadline.ns)
            release(c);
        else if (fds[i + 1].revents != 0 && c->state == WRITING)
            on_writable(c);
        else if (fds[i + 1].revents != 0)
            on_readable(admin, c);
    }
    if (fds[0].fd >= 0 && fds[0].revents != 0)
        accept_some(admin, now);
}
