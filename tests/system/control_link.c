#include "control_link.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"

enum { SOON_MS = 5000 };

bool control_open(struct control_link *link, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    link->in_bytes = 0;
    link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect(link->fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

void control_close(struct control_link *link)
{
    if (link->fd >= 0)
        (void)close(link->fd);
    link->fd = -1;
}

static bool GW_PRINTF(2, 0) say(struct control_link *link, const char *format, va_list arguments)
{
    static _Thread_local char line[32768];
    /* clang-tidy 14 does not see that va_start initializes. */
    int bytes = vsnprintf(line, sizeof line - 1, format, arguments); /* NOLINT */

    if (bytes < 0 || (size_t)bytes >= sizeof line - 1)
        return false;
    line[bytes++] = '\n';
    return send(link->fd, line, (size_t)bytes, MSG_NOSIGNAL) == bytes;
}

bool control_say(struct control_link *link, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    bool said = say(link, format, arguments);
    va_end(arguments);
    return said;
}

size_t control_push(struct control_link *link, const char *bytes, size_t size)
{
    ssize_t n = send(link->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n < 0 ? 0 : (size_t)n;
}

bool control_hear(struct control_link *link, char answer[CONTROL_ANSWER_BYTES], uint32_t ms)
{
    uint64_t deadline = sys_now_ms() + ms;
    char *end;

    while ((end = memchr(link->in, '\n', link->in_bytes)) == NULL) {
        struct pollfd row = {.fd = link->fd, .events = POLLIN};
        uint64_t now = sys_now_ms();

        if (now >= deadline || poll(&row, 1, (int)(deadline - now)) <= 0)
            return false;
        ssize_t n = recv(link->fd, link->in + link->in_bytes, sizeof link->in - link->in_bytes, 0);

        if (n <= 0)
            return false;
        link->in_bytes += (size_t)n;
    }
    size_t bytes = (size_t)(end - link->in);

    if (bytes >= CONTROL_ANSWER_BYTES)
        return false;
    memcpy(answer, link->in, bytes);
    answer[bytes] = '\0';
    link->in_bytes -= bytes + 1;
    memmove(link->in, end + 1, link->in_bytes);
    return true;
}

const char *control_ask(struct control_link *link, char answer[CONTROL_ANSWER_BYTES],
                        const char *format, ...)
{
    const char *text = NULL;
    json_t *object;
    va_list arguments;

    va_start(arguments, format);
    bool said = say(link, format, arguments);
    va_end(arguments);
    if (!said || !control_hear(link, answer, sys_ms(SOON_MS)))
        return "no answer";
    object = json_loads(answer, 0, NULL);
    text = json_string_value(json_object_get(object, "result"));
    if (text == NULL)
        text = json_string_value(json_object_get(object, "error"));
    (void)snprintf(answer, CONTROL_ANSWER_BYTES, "%s", text == NULL ? "" : text);
    json_decref(object);
    return answer;
}
