/*
 * The control socket of the gateway that runs on this machine: a line of JSON there, a line back.
 */
#include "ctl_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <gw/base/bytes.h>

#include "ctl.h"

enum { ANSWER_S_MAX = 10 };

static const char *socket_path(const char *option)
{
    const char *path = option != NULL ? option : getenv("TOLLGATE_CONTROL");

    return path == NULL || path[0] == '\0' ? "/var/lib/tollgate/control" : path;
}

static int open_socket(const char *path, int *fd)
{
    const struct timeval patience = {.tv_sec = ANSWER_S_MAX};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int err = 0;

    if (strlen(path) >= sizeof address.sun_path)
        return ctl_fail(CTL_USAGE, "the path of a socket has at most %zu bytes",
                        sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
        connect(*fd, (const struct sockaddr *)&address, sizeof address) != 0)
        err = -errno;
    if (err == -ENOENT || err == -ECONNREFUSED)
        return ctl_fail(CTL_UNAVAILABLE,
                        "no gateway listens on %s; its control.path, and --socket here, say where",
                        path);
    if (err == -EACCES)
        return ctl_fail(CTL_NO_PERMISSION, "%s may not be used; its group may", path);
    return err == 0 ? CTL_OK : ctl_fail(ctl_exit_of(err), "%s: %s", path, strerror(-err));
}

static int lost(void)
{
    if (errno == EAGAIN)
        return ctl_fail(CTL_LATER,
                        "the gateway did not answer within %d s; whether it was done is not known",
                        ANSWER_S_MAX);
    return ctl_fail(CTL_LATER,
                    "the gateway went away before it answered; whether it was done is not "
                    "known");
}

static int put(int fd, const char *text)
{
    struct gw_bytes rest = gw_bytes_text(text);

    while (rest.size > 0) {
        ssize_t n = send(fd, rest.data, rest.size, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return lost();
        rest = gw_bytes_after(rest, n < 0 ? 0 : (size_t)n);
    }
    return CTL_OK;
}

/* A line, without its newline. */
static int hear(int fd, char answer[CTL_ANSWER_BYTES_MAX])
{
    char *end = NULL;

    for (size_t bytes = 0; end == NULL;) {
        ssize_t n = recv(fd, answer + bytes, CTL_ANSWER_BYTES_MAX - bytes, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? ECONNRESET : errno;
            return lost();
        }
        bytes += (size_t)n;
        end = memchr(answer, '\n', bytes);
    }
    *end = '\0';
    return CTL_OK;
}

int ctl_ask(const char *option, const json_t *command, char answer[CTL_ANSWER_BYTES_MAX])
{
    char *text = json_dumps(command, JSON_COMPACT);
    int fd = -1, code;

    if (text == NULL)
        return ctl_fail(CTL_FAILED, "out of memory");
    code = open_socket(socket_path(option), &fd);
    if (code == CTL_OK && (code = put(fd, text)) == CTL_OK && (code = put(fd, "\n")) == CTL_OK)
        code = hear(fd, answer);
    if (fd >= 0)
        (void)close(fd);
    free(text);
    return code;
}
