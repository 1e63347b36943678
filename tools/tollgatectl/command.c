/*
 * Commands to devices, given to the gateway that runs on this machine: a line of JSON on its
 * control socket, a line back.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <gw/base/bytes.h>

#include "ctl_index.h"

enum { ANSWER_BYTES_MAX = 4096, ANSWER_S_MAX = 10 };

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
                        "the gateway did not answer within %d s; whether the device was "
                        "told is not known",
                        ANSWER_S_MAX);
    return ctl_fail(CTL_LATER, "the gateway went away before it answered; whether the device was "
                               "told is not known");
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
static int hear(int fd, char answer[ANSWER_BYTES_MAX])
{
    char *end = NULL;

    for (size_t bytes = 0; end == NULL;) {
        ssize_t n = recv(fd, answer + bytes, ANSWER_BYTES_MAX - bytes, 0);

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

static int ask(const char *path, const json_t *command, char answer[ANSWER_BYTES_MAX])
{
    char *text = json_dumps(command, JSON_COMPACT);
    int fd = -1, code;

    if (text == NULL)
        return ctl_fail(CTL_FAILED, "out of memory");
    code = open_socket(path, &fd);
    if (code == CTL_OK && (code = put(fd, text)) == CTL_OK && (code = put(fd, "\n")) == CTL_OK)
        code = hear(fd, answer);
    if (fd >= 0)
        (void)close(fd);
    free(text);
    return code;
}

/* What an answer means, for the exit code and for people. */
static int conclude(const char *answer, uint32_t device, json_t **object)
{
    static const struct {
        const char *result;
        int code;
        const char *sentence; /* behind "device 12 "; NULL: all is well */
    } results[] = {
        {"delivered", CTL_OK, NULL},
        {"online", CTL_OK, NULL},
        {"offline", CTL_LATER, "is not connected"},
        {"gone", CTL_LATER, "left while it was being told; whether it was is not known"},
        {"busy", CTL_LATER, "does not take what was sent to it before; try again later"},
        {"too_big", CTL_FAILED, "does not take messages of that length"},
        {"unknown", CTL_FAILED, "is not in the gateway's index"},
    };
    json_error_t why;
    const char *text;

    *object = json_loads(answer, 0, &why);
    text = json_string_value(json_object_get(*object, "error"));
    if (text != NULL)
        return ctl_fail(CTL_USAGE, "%s", text);
    text = json_string_value(json_object_get(*object, "result"));
    for (size_t i = 0; i < GW_ARRAY_COUNT(results) && text != NULL; i++)
        if (strcmp(text, results[i].result) == 0)
            return results[i].sentence == NULL ? CTL_OK
                                               : ctl_fail(results[i].code, "device %" PRIu32 " %s",
                                                          device, results[i].sentence);
    return ctl_fail(CTL_FAILED, "the gateway gave an answer that is not understood");
}

/* Takes `fields` (NULL: out of memory, or not UTF-8) and adds command and device. */
static int run(const char *path, const char *name, uint32_t device, json_t *fields)
{
    char answer[ANSWER_BYTES_MAX];
    json_t *object = NULL;
    int code;

    if (fields == NULL || json_object_set_new(fields, "cmd", json_string(name)) != 0 ||
        json_object_set_new(fields, "device", json_integer(device)) != 0)
        code = ctl_fail(CTL_USAGE, "what is sent must be UTF-8");
    else if ((code = ask(socket_path(path), fields, answer)) == CTL_OK &&
             (code = conclude(answer, device, &object)) == CTL_OK)
        (void)printf("delivered\n");
    json_decref(object);
    json_decref(fields);
    return code;
}

int ctl_send(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    json_t *values;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 3, 66, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    values = json_array();
    for (int i = 3; i <= words && values != NULL; i++)
        if (json_array_append_new(values, json_string(argv[i])) != 0) {
            json_decref(values);
            values = NULL;
        }
    return run(path, "send", device,
               values == NULL ? NULL : json_pack("{s:s, s:o}", "pin", argv[2], "values", values));
}

int ctl_ota(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    return run(path, "ota", device, json_pack("{s:s}", "url", argv[2]));
}

int ctl_reboot(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    return run(path, "reboot", device, json_object());
}

int ctl_app(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);
    bool connected;

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    connected = strcmp(argv[2], "connected") == 0;
    if (!connected && strcmp(argv[2], "gone") != 0)
        return ctl_fail(CTL_USAGE, "an app is 'connected' or 'gone', not '%s'", argv[2]);
    return run(path, "app", device, json_pack("{s:b}", "connected", connected));
}

int ctl_status(int argc, char **argv)
{
    const char *path = NULL;
    bool json = false;
    const struct ctl_option options[] = {{"socket", &path, NULL}, {"json", NULL, &json}};
    char answer[ANSWER_BYTES_MAX];
    uint32_t device = 0;
    json_t *command, *object = NULL;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    command = json_pack("{s:s, s:I}", "cmd", "status", "device", (json_int_t)device);
    code = ask(socket_path(path), command, answer);
    json_decref(command);
    if (code != CTL_OK)
        return code;
    if (json)
        (void)printf("%s\n", answer);
    code = conclude(answer, device, &object);
    if (code == CTL_OK && !json)
        (void)printf("device %" PRIu32 " is connected since %s, on shard %" JSON_INTEGER_FORMAT
                     "\n",
                     device, json_string_value(json_object_get(object, "since")),
                     json_integer_value(json_object_get(object, "shard")));
    json_decref(object);
    return code;
}
