/*
 * The file of a ticket ring: read whole, checked whole, replaced whole. tollgatectl writes it, the
 * gateway reads it at start and when it is told to. See gw/tls/ticket.h for the layout.
 */
#include <gw/tls/ticket.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/crypto/crypto.h>

#define FIRST_LINE "tollgate-ticket-keys 1"

static const char *const place_words[] = {"next", "current", "previous"};
static_assert(GW_ARRAY_COUNT(place_words) == GW_TICKET_PLACES, "a word for each place");

static GW_PRINTF(4, 5) int refuse(int err, char *why, size_t why_bytes, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, why_bytes, format, args); /* NOLINT(clang-analyzer-valist.Uninitialized) */
    va_end(args);
    return err;
}

/* ---- text ---- */

/* Takes one word of lower-case hexadecimal, exactly as long as `out`; case is not forgiven. */
static bool take_hex(const char **text, uint8_t *out, size_t out_bytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < 2 * out_bytes; i++) {
        const char *digit = **text == '\0' ? NULL : strchr(digits, **text);

        if (digit == NULL)
            return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (digit - digits));
        (*text)++;
    }
    return true;
}

static bool take_text(const char **text, const char *expected)
{
    const size_t bytes = strlen(expected);

    if (strncmp(*text, expected, bytes) != 0)
        return false;
    *text += bytes;
    return true;
}

static bool take_number(const char **text, uint64_t *out)
{
    enum { DIGITS_MAX = 12 }; /* some thirty thousand years, and no overflow */
    size_t digits = 0;

    for (*out = 0; **text >= '0' && **text <= '9' && digits < DIGITS_MAX; digits++)
        *out = *out * 10 + (uint64_t)(*(*text)++ - '0');
    return digits > 0;
}

static bool take_key(const char **text, enum gw_ticket_place place, struct gw_ticket_key *out)
{
    return take_text(text, place_words[place]) && take_text(text, " ") &&
           take_number(text, &out->since_s) && take_text(text, " ") &&
           take_hex(text, out->name, sizeof out->name) && take_text(text, " ") &&
           take_hex(text, out->cipher, sizeof out->cipher) &&
           take_hex(text, out->mac, sizeof out->mac) && take_text(text, "\n");
}

/* NULL, or what is wrong. */
static const char *parse(const char *text, size_t bytes, struct gw_ticket_ring *out)
{
    static const char *const wrong[] = {
        "line 2 is not: next 0 NAME SECRET",
        "line 3 is not: current SINCE NAME SECRET",
        "line 4 is not: previous SINCE NAME SECRET",
    };
    const struct gw_ticket_key *keys = out->keys;
    const char *end = text + bytes; /* a NUL may stand before it */

    if (!take_text(&text, FIRST_LINE "\n"))
        return "line 1 is not: " FIRST_LINE;
    for (unsigned place = 0; place < GW_TICKET_PLACES; place++)
        if (!take_key(&text, (enum gw_ticket_place)place, &out->keys[place]))
            return wrong[place];
    if (text != end)
        return "something follows line 4";
    if (keys[GW_TICKET_NEXT].since_s != 0)
        return "the next key has been in use already";
    if (keys[GW_TICKET_CURRENT].since_s == 0 ||
        keys[GW_TICKET_PREVIOUS].since_s > keys[GW_TICKET_CURRENT].since_s)
        return "the current key must be in use, and not since before the previous one";
    for (unsigned place = 0; place < GW_TICKET_PLACES; place++)
        if (memcmp(keys[place].name, keys[(place + 1) % GW_TICKET_PLACES].name,
                   GW_TICKET_NAME_BYTES) == 0)
            return "two keys have the same name";
    return NULL;
}

static void add_hex(char *text, size_t *at, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        *at += (size_t)snprintf(text + *at, GW_TICKET_FILE_BYTES_MAX - *at, "%02x", bytes[i]);
}

/* Returns the length; the text ends with NUL. */
static size_t format(const struct gw_ticket_ring *ring, char text[GW_TICKET_FILE_BYTES_MAX])
{
    size_t at = (size_t)snprintf(text, GW_TICKET_FILE_BYTES_MAX, "%s\n", FIRST_LINE);

    for (size_t place = 0; place < GW_TICKET_PLACES; place++) {
        const struct gw_ticket_key *key = &ring->keys[place];

        at += (size_t)snprintf(text + at, GW_TICKET_FILE_BYTES_MAX - at, "%s %llu ",
                               place_words[place], (unsigned long long)key->since_s);
        add_hex(text, &at, key->name, sizeof key->name);
        at += (size_t)snprintf(text + at, GW_TICKET_FILE_BYTES_MAX - at, " ");
        add_hex(text, &at, key->cipher, sizeof key->cipher);
        add_hex(text, &at, key->mac, sizeof key->mac);
        at += (size_t)snprintf(text + at, GW_TICKET_FILE_BYTES_MAX - at, "\n");
    }
    gw_assert(at < GW_TICKET_FILE_BYTES_MAX);
    return at;
}

/* ---- reading ---- */

static int read_whole(int fd, char text[GW_TICKET_FILE_BYTES_MAX], size_t *bytes)
{
    ssize_t n;

    *bytes = 0;
    do {
        n = read(fd, text + *bytes, GW_TICKET_FILE_BYTES_MAX - *bytes);
        if (n > 0)
            *bytes += (size_t)n;
    } while (*bytes < GW_TICKET_FILE_BYTES_MAX && (n > 0 || (n < 0 && errno == EINTR)));
    return n < 0 ? -errno : 0;
}

static int load_open(int fd, const char *path, struct stat *status, struct gw_ticket_ring *out,
                     char *why, size_t why_bytes)
{
    char text[GW_TICKET_FILE_BYTES_MAX];
    const char *wrong = "more than a ring is in it";
    size_t bytes = 0;
    int err;

    if (fstat(fd, status) != 0)
        return refuse(-errno, why, why_bytes, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status->st_mode))
        return refuse(-EBADMSG, why, why_bytes, "%s: not a file", path);
    if ((status->st_mode & 0177) != 0)
        return refuse(-EPERM, why, why_bytes,
                      "%s: mode %04o; ticket keys are for their owner alone: chmod 600", path,
                      (unsigned)(status->st_mode & 07777));
    err = read_whole(fd, text, &bytes);
    if (err != 0) {
        (void)refuse(err, why, why_bytes, "%s: %s", path, strerror(-err));
    } else if (bytes == sizeof text ||
               (text[bytes] = '\0', wrong = parse(text, bytes, out)) != NULL) {
        err = refuse(-EBADMSG, why, why_bytes, "%s: %s", path, wrong);
    }
    gw_wipe(text, sizeof text);
    return err;
}

int gw_ticket_file_load(const char *path, struct gw_ticket_ring *out, char *why, size_t why_bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    int err;

    *out = (struct gw_ticket_ring){0};
    if (fd < 0)
        return refuse(-errno, why, why_bytes, "%s: %s%s", path, strerror(errno),
                      errno == ENOENT ? "; make it with: tollgatectl ticket-keys init" : "");
    err = load_open(fd, path, &status, out, why, why_bytes);
    (void)close(fd);
    if (err != 0)
        gw_wipe(out, sizeof *out);
    return err;
}

/* ---- writing ---- */

static int write_whole(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, text, bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        bytes -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* The name is on disk, too, once its folder is. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int err = 0;
    int fd;

    (void)snprintf(folder, sizeof folder, "%.*s",
                   slash == NULL || slash == path ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fsync(fd) != 0)
        err = -errno;
    (void)close(fd);
    return err;
}

/* `like`: the file whose mode and owner are kept, or NULL for a file of our own, mode 0600. */
static int write_temporary(const char *temporary, const struct gw_ticket_ring *ring,
                           const struct stat *like)
{
    char text[GW_TICKET_FILE_BYTES_MAX];
    size_t bytes;
    int err = 0;
    int fd;

    (void)unlink(temporary); /* of a run that was cut short */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    bytes = format(ring, text);
    if (like != NULL && ((like->st_uid != geteuid() || like->st_gid != getegid()) &&
                         fchown(fd, like->st_uid, like->st_gid) != 0))
        err = -errno;
    else if (like != NULL && fchmod(fd, like->st_mode & 0600) != 0)
        err = -errno;
    else
        err = write_whole(fd, text, bytes);
    gw_wipe(text, sizeof text);
    if (close(fd) != 0 && err == 0)
        err = -errno;
    return err;
}

static int put(const char *path, const struct gw_ticket_ring *ring, const struct stat *like,
               char *why, size_t why_bytes)
{
    char temporary[PATH_MAX];
    int err;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return refuse(-ENAMETOOLONG, why, why_bytes, "%s: the name is too long", path);
    err = write_temporary(temporary, ring, like);
    /* A link is refused where there is a file, a rename is not. */
    if (err == 0 && (like == NULL ? link(temporary, path) : rename(temporary, path)) != 0)
        err = -errno;
    if (like == NULL || err != 0)
        (void)unlink(temporary);
    if (err == 0)
        err = sync_folder(path);
    return err == 0 ? 0 : refuse(err, why, why_bytes, "%s: %s", path, strerror(-err));
}

int gw_ticket_file_create(const char *path, uint64_t now_s, char *why, size_t why_bytes)
{
    struct gw_ticket_ring ring;
    int err;

    gw_ticket_ring_draw(&ring, now_s);
    err = put(path, &ring, NULL, why, why_bytes);
    gw_wipe(&ring, sizeof ring);
    return err;
}

/*
 * Opens and locks the file that has the name now: while we waited for the lock, another run may
 * have put a new one in its place.
 */
static int open_locked(const char *path, int *out)
{
    for (;;) {
        struct stat opened, named;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX) != 0 || fstat(fd, &opened) != 0 || stat(path, &named) != 0) {
            const int err = -errno;

            (void)close(fd);
            if (err != -EINTR)
                return err;
            continue;
        }
        if (opened.st_dev == named.st_dev && opened.st_ino == named.st_ino) {
            *out = fd;
            return 0;
        }
        (void)close(fd);
    }
}

int gw_ticket_file_rotate(const char *path, uint64_t now_s, bool force, bool *rotated,
                          struct gw_ticket_ring *ring_out, char *why, size_t why_bytes)
{
    struct stat status;
    int fd = -1;
    int err = open_locked(path, &fd);

    *rotated = false;
    *ring_out = (struct gw_ticket_ring){0};
    if (err != 0)
        return refuse(err, why, why_bytes, "%s: %s%s", path, strerror(-err),
                      err == -ENOENT ? "; make it with: tollgatectl ticket-keys init" : "");
    err = load_open(fd, path, &status, ring_out, why, why_bytes);
    if (err == 0 && (force || gw_ticket_ring_is_due(ring_out, now_s))) {
        gw_ticket_ring_rotate(ring_out, now_s);
        err = put(path, ring_out, &status, why, why_bytes);
        *rotated = err == 0;
    }
    (void)close(fd); /* and with it the lock */
    if (err != 0)
        gw_wipe(ring_out, sizeof *ring_out);
    return err;
}
