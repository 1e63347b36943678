/*
 * ACME's challenge of kind http-01 (RFC 8555 8.3): a file, called as the challenge's token, out of
 * a folder into which an ACME client puts it. Whoever asks has no token of a device, so all of it
 * is strict: a name has the characters of such a token and no others, so it names an entry of that
 * folder; no link is followed; nothing is read but a small regular file, which costs the shard what
 * a look at a cached page does.
 */
#include "http_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NAME_BYTES_MAX = 128,
    CONTENT_BYTES_MAX = 1024, /* the token, a dot, and the thumbprint of a key */
};

/* RFC 8555 8.3: the base64url alphabet. */
static bool is_token(struct gw_bytes name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

    if (name.size == 0 || name.size > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (memchr(letters, name.data[i], sizeof letters - 1) == NULL)
            return false;
    return true;
}

/* All of a regular file that `room` has place for; 0 when it is none. */
static size_t read_file(const char *path, uint8_t *room, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat file;
    ssize_t got = -1;

    if (fd < 0)
        return 0;
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && (uint64_t)file.st_size <= capacity)
        got = read(fd, room, capacity);
    (void)close(fd);
    return got < 0 ? 0 : (size_t)got;
}

bool http_challenge_read(const char *folder, struct http_call *call, uint8_t *room, size_t capacity,
                         struct http_body *out)
{
    char path[PATH_MAX];
    size_t bytes = 0;

    if (folder != NULL && is_token(call->segment) &&
        (size_t)snprintf(path, sizeof path, "%s/%.*s", folder, (int)call->segment.size,
                         (const char *)call->segment.data) < sizeof path)
        bytes = read_file(path, room, capacity < CONTENT_BYTES_MAX ? capacity : CONTENT_BYTES_MAX);
    if (bytes == 0) {
        http_refuse(call, 404, HTTP_NOTHING_THERE);
        return false;
    }
    *out =
        (struct http_body){.type = "application/octet-stream", .bytes = gw_bytes_of(room, bytes)};
    return true;
}
