/*
 * sd_notify without libsystemd, which would bring a library into the process for one datagram.
 */
#include <gw/app/notify.h>

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/clock.h>

static int notify(const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *name = getenv("NOTIFY_SOCKET");
    size_t name_bytes = name == NULL ? 0 : strlen(name), bytes = strlen(state);
    ssize_t sent;
    int fd;

    if (name_bytes == 0)
        return 0;
    if ((name[0] != '/' && name[0] != '@') || name_bytes >= sizeof to.sun_path)
        return -EINVAL;
    memcpy(to.sun_path, name, name_bytes);
    if (name[0] == '@') /* an abstract address begins with a NUL and has no other end */
        to.sun_path[0] = '\0';

    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    sent = sendto(fd, state, bytes, MSG_NOSIGNAL, (const struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_bytes));
    int err = sent < 0 ? -errno : sent != (ssize_t)bytes ? -EMSGSIZE : 1;

    close(fd);
    return err;
}

int gw_notify_ready(void)
{
    return notify("READY=1");
}

int gw_notify_reloading(void)
{
    char state[64];

    /* Type=notify-reload wants to know which READY=1 belongs to this reload. */
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             gw_clock_now().ns / GW_NS_PER_US);
    return notify(state);
}

int gw_notify_stopping(void)
{
    return notify("STOPPING=1");
}

int gw_notify_status(const char *status)
{
    char state[256];

    gw_assert(strchr(status, '\n') == NULL);
    snprintf(state, sizeof state, "STATUS=%s", status);
    return notify(state);
}
