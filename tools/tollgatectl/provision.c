/*
 * provision serve: binds new devices to the products that they named, for gateways, which may only
 * read the index. A gateway asks on a unix socket, one JSON object a line:
 *
 *     {"cmd":"bind","device":12,"product":"TMPL0vFkFmJM7"}
 *     {"result":"bound"}    or "refused", or {"error":"a sentence"}
 *
 * Each answer comes behind its commit. Whoever may connect may bind any device that waits for it to
 * any product of its organisation, and may do nothing else.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gw/app/control.h>
#include <gw/base/clock.h>

#include "ctl_index.h"

enum { ANSWER_BYTES = 256 };

struct serving {
    struct ctl_index ix;
    struct gw_control *control;
    struct gw_instant now;
    int code; /* CTL_OK while it goes on */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* In a transaction of its own, so that other commands may change the index in between. */
static int bind_device(struct serving *s, uint32_t device, const char *product)
{
    int err = gw_index_begin(s->ix.writer);

    if (err != 0)
        return err;
    err = gw_index_device_bind(s->ix.writer, device, gw_bytes_text(product));
    if (err == 0)
        return gw_index_commit(s->ix.writer);
    gw_index_abort(s->ix.writer);
    return err;
}

static void say(struct serving *s, struct gw_control_client to, const char *text)
{
    gw_control_answer(s->control, s->now, to, gw_bytes_text(text));
}

static void on_line(void *context, struct gw_control_client from, struct gw_bytes line)
{
    struct serving *s = context;
    json_t *object = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL);
    const char *command = json_string_value(json_object_get(object, "cmd"));
    const char *product = json_string_value(json_object_get(object, "product"));
    json_int_t device = json_integer_value(json_object_get(object, "device"));
    char answer[ANSWER_BYTES];
    int err;

    if (command == NULL || strcmp(command, "bind") != 0 || product == NULL || device < 1 ||
        device > UINT32_MAX) {
        say(s, from,
            "{\"error\":\"not {\\\"cmd\\\":\\\"bind\\\",\\\"device\\\":NUMBER,"
            "\\\"product\\\":ID}\"}");
        json_decref(object);
        return;
    }
    err = bind_device(s, (uint32_t)device, product);
    if (err == 0 || err == -ENOENT || err == -EPERM) {
        say(s, from, err == 0 ? "{\"result\":\"bound\"}" : "{\"result\":\"refused\"}");
        if (err == 0)
            ctl_note("device %" PRIu32 " is of product %s\n", (uint32_t)device, product);
    } else {
        (void)snprintf(answer, sizeof answer, "{\"error\":\"%s\"}", strerror(-err));
        say(s, from, answer);
        ctl_note("device %" PRIu32 " could not be bound: %s\n", (uint32_t)device, strerror(-err));
        if (err == -ESTALE) /* started anew, it opens the one that is there now */
            s->code = ctl_fail(CTL_LATER, "the index at %s was replaced", s->ix.path);
    }
    json_decref(object);
}

/* Signals come while it waits, and at no other time. */
static void serve(struct serving *s)
{
    struct sigaction stop = {.sa_handler = on_signal};
    sigset_t blocked, before;

    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    while (!interrupted && s->code == CTL_OK) {
        static const struct timespec second = {.tv_sec = 1};
        struct pollfd fds[GW_CONTROL_FDS_MAX];
        size_t count = gw_control_fds(s->control, gw_clock_now(), fds);

        if (ppoll(fds, (nfds_t)count, &second, &before) < 0)
            continue;
        s->now = gw_clock_now();
        gw_control_step(s->control, s->now, fds, count);
    }
}

static int open_socket(struct serving *s, const char *path, const char *group)
{
    struct gw_control_options options = {
        .path = path,
        .line = on_line,
        .context = s,
        .too_long = "{\"error\":\"a line is too long\"}",
    };
    char why[GW_CONTROL_WHY_BYTES];
    gid_t gid;
    int err;

    if (group != NULL && (err = ctl_find_group(group, &gid)) != CTL_OK)
        return err;
    if ((err = gw_control_create(&options, &s->control, why)) != 0)
        return ctl_fail(err == -EADDRINUSE ? CTL_LATER : ctl_exit_of(err), "%s", why);
    if (group != NULL && chown(path, (uid_t)-1, gid) != 0)
        return ctl_fail(ctl_exit_of(-errno), "%s cannot be given to group %s: %s", path, group,
                        strerror(errno));
    return CTL_OK;
}

int ctl_provision_serve(int argc, char **argv)
{
    struct serving s = {.code = CTL_OK};
    const char *path = NULL, *group = NULL;
    const struct ctl_option options[] = {
        {"socket", &path, NULL}, {"group", &group, NULL}, CTL_INDEX_OPTIONS(&s.ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code != CTL_OK)
        return code;
    if (path == NULL)
        return ctl_fail(CTL_USAGE, "--socket says where gateways ask: their provision.socket");
    if ((code = ctl_index_write(&s.ix)) == CTL_OK) {
        gw_index_abort(s.ix.writer); /* it can be written to; others may meanwhile */
        if ((code = open_socket(&s, path, group)) == CTL_OK) {
            ctl_note("serving at %s\n", path);
            serve(&s);
            code = s.code;
        }
    }
    gw_control_destroy(s.control);
    ctl_index_close(&s.ix);
    return code;
}
