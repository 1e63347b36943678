/*
 * The control socket's server: plain non-blocking sockets in the control thread's poll loop. It
 * never waits for a client, and knows lines, not commands.
 *
 *   FREE --accept--> OPEN --end of stream, or too long a line--> LAST --all answered and read-->
 * FREE
 *
 *   OPEN  lines are taken from in[0..in_bytes) while its pending answers and its unread ones allow
 *   LAST  nothing more is read; what was taken is still answered
 *
 * I1: `pending` is how many lines of this life were handed over and not answered.
 */
#include <gw/app/control.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gw/app/text.h>
#include <gw/base/assert.h>

/* After accept found no descriptor free: the listener stays readable, and poll would spin. */
#define ACCEPT_PAUSE_NS (100 * GW_NS_PER_MS)

enum state { FREE, OPEN, LAST };

struct client {
    enum state state;
    int fd;
    uint64_t life;
    uint32_t pending;
    struct gw_instant active; /* when bytes last moved, either way */
    struct gw_text out;
    size_t sent; /* of out */
    size_t in_bytes;
    uint8_t in[GW_CONTROL_LINE_BYTES_MAX];
};

struct gw_control {
    int listener;
    struct gw_instant accept_after;
    uint64_t lives;
    struct gw_control_options options;
    struct sockaddr_un address;
    struct client clients[GW_CONTROL_CLIENTS_MAX];
};

/* ---- the socket's file ---- */

/* A socket on which nobody listens any more: a process that was killed left it. */
static bool is_abandoned(const struct sockaddr_un *address)
{
    struct stat file;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 && lstat(address->sun_path, &file) == 0 && S_ISSOCK(file.st_mode) &&
                   connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED; /* which any other kind of file would answer too */

    if (fd >= 0)
        close(fd);
    return refused;
}

static int bind_to(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0117); /* 0660 from the start; no other thread makes files yet */
    int err = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : -errno;

    (void)umask(mask);
    return err;
}

static int open_listener(struct gw_control *control)
{
    const char *path = control->options.path;
    int err;

    if (strlen(path) >= sizeof control->address.sun_path)
        return -ENAMETOOLONG;
    control->address.sun_family = AF_UNIX;
    memcpy(control->address.sun_path, path, strlen(path) + 1);
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (control->listener < 0)
        return -errno;
    err = bind_to(control->listener, &control->address);
    if (err == -EADDRINUSE && is_abandoned(&control->address)) {
        if (unlink(path) != 0)
            return -errno;
        err = bind_to(control->listener, &control->address);
    }
    if (err == 0 && listen(control->listener, GW_CONTROL_CLIENTS_MAX) != 0)
        err = -errno;
    return err;
}

int gw_control_create(const struct gw_control_options *options, struct gw_control **out,
                      char why[GW_CONTROL_WHY_BYTES])
{
    struct gw_control *control = calloc(1, sizeof *control);
    int err;

    *out = NULL;
    if (control == NULL) {
        (void)snprintf(why, GW_CONTROL_WHY_BYTES, "out of memory");
        return -ENOMEM;
    }
    control->options = *options;
    control->listener = -1;
    if ((err = open_listener(control)) != 0) {
        (void)snprintf(why, GW_CONTROL_WHY_BYTES, "%.160s: %s", options->path,
                       err == -EADDRINUSE ? "another process serves it, or it is no socket"
                                          : strerror(-err));
        if (control->listener >= 0)
            close(control->listener);
        free(control);
        return err;
    }
    *out = control;
    return 0;
}

static void release(struct client *c)
{
    close(c->fd);
    gw_text_fini(&c->out);
    c->state = FREE;
}

void gw_control_destroy(struct gw_control *control)
{
    if (control == NULL)
        return;
    for (size_t i = 0; i < GW_CONTROL_CLIENTS_MAX; i++)
        if (control->clients[i].state != FREE)
            release(&control->clients[i]);
    (void)unlink(control->options.path); /* before it is closed: until then it is ours */
    close(control->listener);
    free(control);
}

/* ---- clients ---- */

static size_t unread_bytes(const struct client *c)
{
    return c->out.bytes - c->sent;
}

static bool may_take(const struct client *c)
{
    return c->pending < GW_CONTROL_PENDING_MAX && unread_bytes(c) < GW_CONTROL_OUT_BYTES_MAX;
}

static bool is_idle(const struct client *c)
{
    return c->state == OPEN && c->pending == 0 && unread_bytes(c) == 0;
}

/* A free place, else that of the client that has been idle for longest, else CLIENTS_MAX. */
static size_t place_for_one(const struct gw_control *control)
{
    size_t longest = GW_CONTROL_CLIENTS_MAX;

    for (size_t i = 0; i < GW_CONTROL_CLIENTS_MAX; i++) {
        const struct client *c = &control->clients[i];

        if (c->state == FREE)
            return i;
        if (is_idle(c) && (longest == GW_CONTROL_CLIENTS_MAX ||
                           c->active.ns < control->clients[longest].active.ns))
            longest = i;
    }
    return longest;
}

size_t gw_control_fds(const struct gw_control *control, struct gw_instant now, struct pollfd *fds)
{
    bool accepts =
        place_for_one(control) < GW_CONTROL_CLIENTS_MAX && now.ns >= control->accept_after.ns;

    /* Row 0 is the listener, row i + 1 client i; poll skips the rows whose fd is -1. */
    fds[0] = (struct pollfd){.fd = accepts ? control->listener : -1, .events = POLLIN};
    for (size_t i = 0; i < GW_CONTROL_CLIENTS_MAX; i++) {
        const struct client *c = &control->clients[i];
        short events = 0;

        if (c->state == OPEN && c->in_bytes < sizeof c->in && may_take(c))
            events |= POLLIN;
        if (c->state != FREE && unread_bytes(c) > 0)
            events |= POLLOUT;
        fds[i + 1] = (struct pollfd){.fd = events == 0 ? -1 : c->fd, .events = events};
    }
    return GW_CONTROL_FDS_MAX;
}

static void append_line(struct client *c, struct gw_instant now, struct gw_bytes line)
{
    if (unread_bytes(c) == 0)
        c->active = now; /* the time to read it begins */
    gw_text_append(&c->out, line);
    gw_text_append(&c->out, gw_bytes_text("\n"));
}

void gw_control_answer(struct gw_control *control, struct gw_instant now,
                       struct gw_control_client to, struct gw_bytes line)
{
    struct client *c = &control->clients[to.place];

    gw_assert(to.place < GW_CONTROL_CLIENTS_MAX);
    if (c->state == FREE || c->life != to.life)
        return;
    gw_assert(c->pending > 0); /* I1 */
    c->pending--;
    append_line(c, now, line);
}

/* Hands over the whole lines that came, as many as may be. */
static void take_lines(struct gw_control *control, struct client *c, struct gw_instant now)
{
    struct gw_control_client from = {.place = (uint32_t)(c - control->clients), .life = c->life};
    struct gw_bytes rest = gw_bytes_of(c->in, c->in_bytes);
    const uint8_t *end = NULL;

    while (rest.size > 0 && may_take(c) && (end = memchr(rest.data, '\n', rest.size)) != NULL) {
        struct gw_bytes line = gw_bytes_of(rest.data, (size_t)(end - rest.data));

        rest = gw_bytes_after(rest, line.size + 1);
        if (line.size == 0)
            continue;
        c->pending++;
        control->options.line(control->options.context, from, line);
    }
    if (rest.size > 0)
        memmove(c->in, rest.data, rest.size);
    c->in_bytes = rest.size;
    if (c->in_bytes == sizeof c->in && may_take(c)) { /* and not one end of a line in it */
        append_line(c, now, gw_bytes_text(control->options.too_long));
        c->in_bytes = 0;
        c->state = LAST;
    }
}

static void read_some(struct client *c, struct gw_instant now)
{
    ssize_t n = recv(c->fd, c->in + c->in_bytes, sizeof c->in - c->in_bytes, 0);

    if (n > 0) {
        c->in_bytes += (size_t)n;
        c->active = now;
    } else if (n == 0) {
        c->state = LAST;
    } else if (errno != EAGAIN && errno != EINTR) {
        release(c);
    }
}

static void write_some(struct client *c, struct gw_instant now)
{
    ssize_t n = send(c->fd, c->out.data + c->sent, unread_bytes(c), MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            release(c);
        return;
    }
    c->active = now;
    c->sent += (size_t)n;
    if (unread_bytes(c) == 0) {
        gw_text_fini(&c->out);
        c->sent = 0;
    }
}

static bool is_done(const struct client *c)
{
    return c->state == LAST && c->pending == 0 && unread_bytes(c) == 0 &&
           memchr(c->in, '\n', c->in_bytes) == NULL;
}

static void step_client(struct gw_control *control, struct client *c, struct gw_instant now,
                        const struct pollfd *row)
{
    if (c->state == OPEN && (row->revents & ~POLLOUT) != 0 && c->in_bytes < sizeof c->in)
        read_some(c, now);
    if (c->state != FREE)
        take_lines(control, c, now);
    if (c->state != FREE && unread_bytes(c) > 0)
        write_some(c, now);
    if (c->state == FREE)
        return;
    bool slow = unread_bytes(c) > 0 && now.ns >= c->active.ns + GW_CONTROL_SLOW_NS;

    if (slow || is_done(c) || c->out.failed) /* half an answer would be taken for a whole one */
        release(c);
}

static void accept_some(struct gw_control *control, struct gw_instant now)
{
    size_t place;

    while ((place = place_for_one(control)) < GW_CONTROL_CLIENTS_MAX) {
        struct client *c = &control->clients[place];
        int fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            if (errno != EAGAIN)
                control->accept_after = gw_instant_after(now, ACCEPT_PAUSE_NS);
            return;
        }
        if (c->state != FREE)
            release(c);
        c->state = OPEN;
        c->fd = fd;
        c->life = ++control->lives;
        c->pending = 0;
        c->active = now;
        c->out = GW_TEXT_EMPTY;
        c->sent = 0;
        c->in_bytes = 0;
    }
}

void gw_control_step(struct gw_control *control, struct gw_instant now, const struct pollfd *fds,
                     size_t count)
{
    gw_assert(count == GW_CONTROL_FDS_MAX);
    for (size_t i = 0; i < GW_CONTROL_CLIENTS_MAX; i++)
        if (control->clients[i].state != FREE)
            step_client(control, &control->clients[i], now, &fds[i + 1]);
    if (fds[0].revents != 0)
        accept_some(control, now);
}
