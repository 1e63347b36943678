/*
 * The admin port: a small HTTP/1.1 server (RFC 9110, RFC 9112) for GET and HEAD of a handful of
 * pages, driven by the control thread's poll loop. One request a connection, then it is closed.
 *
 * It asks nobody who they are, and so refuses to listen on anything but a loopback address unless
 * told otherwise. What a client can hold: GW_ADMIN_CONNECTIONS_MAX connections, each with 4 KiB
 * and its answer, for GW_ADMIN_DEADLINE_NS.
 *
 *     struct pollfd fds[8 + GW_ADMIN_FDS_MAX];
 *     size_t count = gw_admin_fds(admin, now, fds + own);
 *     poll(fds, own + count, gw_admin_wait_ms(admin, now));
 *     gw_admin_step(admin, now, fds + own, count);
 */
#ifndef GW_APP_ADMIN_H
#define GW_APP_ADMIN_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/app/address.h>
#include <gw/app/text.h>
#include <gw/base/clock.h>
#include <gw/base/defs.h>

enum {
    GW_ADMIN_CONNECTIONS_MAX = 16,
    GW_ADMIN_FDS_MAX = 1 + GW_ADMIN_CONNECTIONS_MAX,
    GW_ADMIN_REQUEST_BYTES_MAX = 4096, /* request line and header fields */
    GW_ADMIN_HEADERS_MAX = 64,
    GW_ADMIN_WHY_BYTES = 256,
};

#define GW_ADMIN_DEADLINE_NS (5 * GW_NS_PER_S) /* from accept to close */

struct gw_admin;

/* Appends the page to `body` and returns the status: 200, or 503 for a page that says no. */
typedef int gw_admin_page(void *context, struct gw_text *body);

struct gw_admin_route {
    const char *path;         /* "/metrics" */
    const char *content_type; /* of status 200 and 503 alike */
    gw_admin_page *page;
};

struct gw_admin_options {
    struct gw_address address; /* port 0: the kernel chooses */
    bool allow_remote;
    const struct gw_admin_route *routes; /* stay valid until gw_admin_destroy */
    size_t route_count;
    void *context; /* handed to every page */
};

/* Listens. 0 or -errno (-EPERM: not a loopback address); `why` (GW_ADMIN_WHY_BYTES) names it. */
GW_MUST_USE int gw_admin_create(const struct gw_admin_options *options, struct gw_admin **out,
                                char why[GW_ADMIN_WHY_BYTES]);
void gw_admin_destroy(struct gw_admin *admin); /* NULL is fine */

/* Where it listens, with the port bound. */
void gw_admin_address(const struct gw_admin *admin, struct gw_address *out);

/* What to poll for, at most GW_ADMIN_FDS_MAX rows; the same number of connections may be open. */
size_t gw_admin_fds(const struct gw_admin *admin, struct gw_instant now, struct pollfd *fds);
/* How long poll may sleep before a deadline passes: milliseconds, or -1 for ever. */
int gw_admin_wait_ms(const struct gw_admin *admin, struct gw_instant now);
/* After poll: with the rows that gw_admin_fds gave, and nothing in between. Never blocks. */
void gw_admin_step(struct gw_admin *admin, struct gw_instant now, const struct pollfd *fds,
                   size_t count);

#endif
