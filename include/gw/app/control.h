/*
 * The control socket: a unix stream on which programs of this machine give commands, one a line,
 * and get one line for each, as they are done. Driven by the control thread's
 * poll loop, as the admin port is; what the lines say is the business of whoever made it.
 *
 * Who may connect is who may write to the socket's file (mode 0660). What a client can hold: one of
 * GW_CONTROL_CLIENTS_MAX places, a line, GW_CONTROL_PENDING_MAX commands without an answer, and
 * GW_CONTROL_OUT_BYTES_MAX of answers that it has not read; it is not read beyond that, and closed
 * when it takes none of them for GW_CONTROL_SLOW_NS. When all places are taken, the client that has
 * been idle for longest makes room.
 */
#ifndef GW_APP_CONTROL_H
#define GW_APP_CONTROL_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/clock.h>
#include <gw/base/defs.h>

enum {
    GW_CONTROL_CLIENTS_MAX = 16,
    GW_CONTROL_FDS_MAX = 1 + GW_CONTROL_CLIENTS_MAX,
    GW_CONTROL_LINE_BYTES_MAX = 16384, /* its newline among them */
    GW_CONTROL_PENDING_MAX = 32,
    GW_CONTROL_OUT_BYTES_MAX = 65536,
    GW_CONTROL_WHY_BYTES = 256,
};

#define GW_CONTROL_SLOW_NS (30 * GW_NS_PER_S)

struct gw_control;

/* A client, by place and life: it may have left when its answer is ready. */
struct gw_control_client {
    uint32_t place;
    uint64_t life;
};

struct gw_control_options {
    const char *path; /* of the socket; what a process that ended has left there is replaced */
    /* A line came, without its newline; leads to one gw_control_answer, at once or later. */
    void (*line)(void *context, struct gw_control_client from, struct gw_bytes line);
    void *context;
    const char *too_long; /* the answer to a line above the limit, after which it is closed */
};

/* 0 or -errno (-EADDRINUSE: a process serves that path); `why` names it. */
GW_MUST_USE int gw_control_create(const struct gw_control_options *options, struct gw_control **out,
                                  char why[GW_CONTROL_WHY_BYTES]);
/* Takes the file away. NULL is fine. */
void gw_control_destroy(struct gw_control *control);

/* What to poll for, at most GW_CONTROL_FDS_MAX rows. */
size_t gw_control_fds(const struct gw_control *control, struct gw_instant now, struct pollfd *fds);
/* After poll: with the rows that gw_control_fds gave; only answers in between. Never blocks. */
void gw_control_step(struct gw_control *control, struct gw_instant now, const struct pollfd *fds,
                     size_t count);

/* One line to a client that gave one, without a newline; to nobody, if it has left. */
void gw_control_answer(struct gw_control *control, struct gw_instant now,
                       struct gw_control_client to, struct gw_bytes line);

#endif
