/*
 * Devices that named their product, to the process that writes the index (tollgatectl provision
 * serve), and its answers back to their shards. The gateway itself may only read the index: that
 * process belongs to the index's owner, and a gateway that is broken into can bind devices which
 * wait for that, and do nothing else.
 *
 * One question at a time: the answer is a commit, which takes a few milliseconds.
 *
 *     {"cmd":"bind","device":12,"product":"TMPL0vFkFmJM7"}
 *     {"result":"bound"}    or "refused", or {"error":"a sentence"}
 *
 *   I1  A question is in the inbox, waits here, or is the current one, until its answer was given.
 */
#include "gateway_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/log.h>

enum { LINE_BYTES_MAX = 512 };
#define ANSWER_NS (5 * GW_NS_PER_S) /* a device leaves after 6 s in which it heard nothing */

struct provision {
    struct gateway *gateway;
    struct gw_binder binder;
    struct sockaddr_un address;
    int wake_fd, fd;               /* fd -1: not connected      */
    struct gw_binding *current;    /* NULL: none was asked      */
    struct gw_instant asked;       /* when                      */
    struct gw_inbox_item *waiting; /* the next ones, in order  */
    bool failing;                  /* and reported              */
    size_t in_bytes;
    char in[LINE_BYTES_MAX];
};

/* ---- the shards' side ---- */

/* From a shard's thread. */
static void wake(void *context)
{
    const struct provision *p = context;
    uint64_t one = 1;

    if (write(p->wake_fd, &one, sizeof one) < 0)
        gw_assert(errno == EAGAIN); /* it is readable already */
}

static void give(struct provision *p, struct gw_binding *binding, enum gw_binding_result result)
{
    binding->result = result;
    gw_shard_bound(p->gateway->shards[binding->shard], binding);
}

/* Behind those that wait. */
static void take_questions(struct provision *p)
{
    struct gw_inbox_item **end = &p->waiting;
    uint64_t wakes;

    if (read(p->wake_fd, &wakes, sizeof wakes) < 0 && errno != EAGAIN && errno != EINTR)
        gw_unreachable("an eventfd that cannot be read");
    while (*end != NULL)
        end = &(*end)->next;
    *end = gw_inbox_take(&p->binder.asked);
}

static struct gw_binding *next_question(struct provision *p)
{
    struct gw_binding *binding = (struct gw_binding *)p->waiting;

    if (binding != NULL)
        p->waiting = p->waiting->next;
    return binding;
}

/* ---- the index's side ---- */

static void hang_up(struct provision *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
    p->in_bytes = 0;
}

/* Nobody is bound now: whoever waits is told so, and asks again when it comes back. */
static void fail_all(struct provision *p, const char *why)
{
    struct gw_binding *binding;

    hang_up(p);
    if (!p->failing)
        gw_log(GW_LOG_ERROR, "provision_failed", GW_TEXT("path", p->address.sun_path),
               GW_TEXT("error", why),
               GW_TEXT("hint", "devices that are to be provisioned are answered 19 until "
                               "tollgatectl provision serve answers there"));
    p->failing = true;
    if (p->current != NULL)
        give(p, p->current, GW_BINDING_UNKNOWN);
    p->current = NULL;
    while ((binding = next_question(p)) != NULL)
        give(p, binding, GW_BINDING_UNKNOWN);
}

static int connect_to(struct provision *p)
{
    int err;

    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return -errno;
    if (connect(p->fd, (const struct sockaddr *)&p->address, sizeof p->address) == 0)
        return 0;
    err = -errno;
    hang_up(p);
    return err;
}

static int say(struct provision *p, const struct gw_binding *binding)
{
    char line[LINE_BYTES_MAX];
    int bytes = snprintf(line, sizeof line,
                         "{\"cmd\":\"bind\",\"device\":%" PRIu32 ",\"product\":\"%s\"}\n",
                         binding->device, binding->product); /* an id needs no escapes */
    ssize_t sent;

    gw_assert(bytes > 0 && (size_t)bytes < sizeof line);
    sent = send(p->fd, line, (size_t)bytes, MSG_NOSIGNAL);
    if (sent < 0)
        return -errno;
    return sent == bytes ? 0 : -EAGAIN; /* it takes nothing more: it has left us all its answers */
}

/* One that was idle may have hung up since: then there is another try. */
static int ask(struct provision *p, const struct gw_binding *binding)
{
    bool fresh = p->fd < 0;
    int err = fresh ? connect_to(p) : 0;

    if (err == 0 && (err = say(p, binding)) != 0 && !fresh) {
        hang_up(p);
        if ((err = connect_to(p)) == 0)
            err = say(p, binding);
    }
    return err;
}

static void ask_next(struct provision *p, struct gw_instant now)
{
    int err;

    if (p->current != NULL || (p->current = next_question(p)) == NULL)
        return;
    p->asked = now;
    if ((err = ask(p, p->current)) != 0)
        fail_all(p, strerror(-err));
}

/* False: it is no answer. */
static bool read_answer(const char *line, size_t bytes, enum gw_binding_result *result)
{
    json_t *object = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(object, "result"));
    const char *error = json_string_value(json_object_get(object, "error"));
    bool known = true;

    if (text != NULL && strcmp(text, "bound") == 0)
        *result = GW_BINDING_BOUND;
    else if (text != NULL && strcmp(text, "refused") == 0)
        *result = GW_BINDING_REFUSED;
    else if (error != NULL)
        *result = GW_BINDING_UNKNOWN;
    else
        known = false;
    json_decref(object);
    return known;
}

static void on_line(struct provision *p, size_t bytes)
{
    struct gw_binding *binding = p->current;
    enum gw_binding_result result;

    if (binding == NULL || !read_answer(p->in, bytes, &result)) {
        fail_all(p, "what answers there is no tollgatectl provision serve");
        return;
    }
    p->current = NULL;
    p->in_bytes -= bytes + 1;
    memmove(p->in, p->in + bytes + 1, p->in_bytes);
    if (result != GW_BINDING_UNKNOWN)
        p->failing = false;
    gw_log(GW_LOG_INFO, "provision", GW_U64("device", binding->device),
           GW_TEXT("product", binding->product),
           GW_TEXT("result", result == GW_BINDING_BOUND     ? "bound"
                             : result == GW_BINDING_REFUSED ? "refused"
                                                            : "failed"));
    give(p, binding, result);
}

static void read_some(struct provision *p)
{
    ssize_t got = recv(p->fd, p->in + p->in_bytes, sizeof p->in - p->in_bytes, 0);
    const char *end;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 && p->current == NULL) {
        hang_up(p); /* it was idle */
        return;
    }
    if (got <= 0) {
        fail_all(p, got == 0 ? "it hung up" : strerror(errno));
        return;
    }
    p->in_bytes += (size_t)got;
    if ((end = memchr(p->in, '\n', p->in_bytes)) != NULL)
        on_line(p, (size_t)(end - p->in));
    else if (p->in_bytes == sizeof p->in)
        fail_all(p, "an answer is too long");
}

/* ---- the control thread's loop ---- */

int provision_create(struct gateway *g, struct provision **out, char *why)
{
    const char *path = g->config->provision_socket;
    struct provision *p;

    *out = NULL;
    if (path == NULL)
        return EXIT_OK;
    p = aligned_alloc(GW_CACHE_LINE,
                      (sizeof *p + GW_CACHE_LINE - 1) & ~(size_t)(GW_CACHE_LINE - 1));
    if (p == NULL) {
        (void)snprintf(why, WHY_BYTES, "provision.socket: out of memory");
        return EXIT_SYSTEM;
    }
    *p = (struct provision){.gateway = g,
                            .address = {.sun_family = AF_UNIX},
                            .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                            .fd = -1};
    p->binder.wake = wake;
    p->binder.context = p;
    *out = p;
    if (strlen(path) >= sizeof p->address.sun_path) {
        (void)snprintf(why, WHY_BYTES, "provision.socket: %.160s: %s", path,
                       strerror(ENAMETOOLONG));
        return EXIT_CONFIG;
    }
    memcpy(p->address.sun_path, path, strlen(path) + 1);
    if (p->wake_fd < 0) {
        (void)snprintf(why, WHY_BYTES, "provision.socket: %s", strerror(errno));
        return EXIT_SYSTEM;
    }
    return EXIT_OK;
}

void provision_destroy(struct provision *p)
{
    if (p == NULL)
        return;
    hang_up(p);
    if (p->wake_fd >= 0)
        (void)close(p->wake_fd);
    free(p);
}

struct gw_binder *provision_binder(struct provision *p)
{
    return &p->binder;
}

size_t provision_fds(const struct provision *p, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = p->wake_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = p->fd, .events = POLLIN};
    return PROVISION_FDS_MAX;
}

void provision_step(struct provision *p, struct gw_instant now, const struct pollfd *fds)
{
    take_questions(p);
    if (fds[1].fd == p->fd && p->fd >= 0 && fds[1].revents != 0)
        read_some(p);
    if (p->current != NULL && gw_ns_between(p->asked, now) >= ANSWER_NS)
        fail_all(p, "it did not answer in time");
    ask_next(p, now);
}
