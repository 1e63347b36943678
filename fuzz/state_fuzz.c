/*
 * Target  the small files that outlive the process: ticket keys, high-water mark, cursors, the
 *         journal's live mark
 *
 * Input   which | the file
 *
 * Oracle  what is taken, written again, is the very file: nothing in it is passed over, and no
 *         damage reads as another state. (Ticket keys: three keys of which no two share a name,
 *         one of them in use.)
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <gw/base/assert.h>
#include <gw/journal/cursor.h>
#include <gw/tls/ticket.h>

#include "authority_internal.h"
#include "fuzz.h"
#include "journal_internal.h"

enum { TICKET_KEYS, HIGH_WATER, CURSOR, MARK, KINDS, FILE_BYTES_MAX = 4096 };

/* A real file with these bytes, by a path. */
static const char *file_of(struct gw_bytes bytes)
{
    static int fd = -1;
    static char path[64];

    if (fd < 0) {
        fd = memfd_create("state", MFD_CLOEXEC);
        gw_assert(fd >= 0 && fchmod(fd, 0600) == 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    gw_assert(ftruncate(fd, 0) == 0);
    gw_assert(pwrite(fd, bytes.data, bytes.size, 0) == (ssize_t)bytes.size);
    return path;
}

/* ---- a file system of one file, for the journal ---- */

static struct gw_bytes there;
static uint8_t written[FILE_BYTES_MAX];
static size_t written_bytes;

static int one_open(void *context, const char *path, int flags, mode_t mode)
{
    (void)context;
    (void)path;
    (void)flags;
    (void)mode;
    return 3;
}

static int one_close(void *context, int fd)
{
    (void)context;
    (void)fd;
    return 0;
}

static ssize_t one_pread(void *context, int fd, void *out, size_t bytes, uint64_t at)
{
    (void)context;
    (void)fd;
    if (at >= there.size)
        return 0;
    bytes = (size_t)gw_min_u64(bytes, there.size - at);
    memcpy(out, there.data + at, bytes);
    return (ssize_t)bytes;
}

static ssize_t one_pwritev(void *context, int fd, const struct iovec *iov, int count, uint64_t at)
{
    (void)context;
    (void)fd;
    gw_assert(count == 1 && at + iov->iov_len <= sizeof written);
    memcpy(written + at, iov->iov_base, iov->iov_len);
    written_bytes = (size_t)at + iov->iov_len;
    return (ssize_t)iov->iov_len;
}

static int one_rename(void *context, const char *from, const char *to)
{
    (void)context;
    (void)from;
    (void)to;
    return 0;
}

static const struct gw_journal_io io = {.open = one_open,
                                        .close = one_close,
                                        .pread = one_pread,
                                        .pwritev = one_pwritev,
                                        .fsync = one_close,
                                        .rename = one_rename};

/* ---- the files ---- */

static void check_ticket_keys(struct gw_bytes in)
{
    struct gw_ticket_ring ring;
    char why[512];

    if (gw_ticket_file_load(file_of(in), &ring, why, sizeof why) != 0) {
        gw_assert(strncmp(why, "/proc/self/fd/", 14) == 0);
        return;
    }
    gw_assert(memchr(in.data, '\0', in.size) == NULL);
    gw_assert(ring.keys[GW_TICKET_NEXT].since_s == 0 && ring.keys[GW_TICKET_CURRENT].since_s != 0);
    for (int i = 0; i < GW_TICKET_PLACES; i++)
        gw_assert(memcmp(ring.keys[i].name, ring.keys[(i + 1) % GW_TICKET_PLACES].name,
                         GW_TICKET_NAME_BYTES) != 0);
}

static void check_high_water(struct gw_bytes in)
{
    char line[256];
    struct gw_high_water mark;
    int bytes;

    if (gw_high_water_load(file_of(in), &mark) != 0)
        return;
    gw_assert(mark.known);
    bytes = snprintf(line, sizeof line, "tollgate-high-water 1 ");
    for (size_t i = 0; i < GW_LINEAGE_BYTES; i++)
        bytes += snprintf(line + bytes, sizeof line - (size_t)bytes, "%02x", mark.lineage[i]);
    bytes += snprintf(line + bytes, sizeof line - (size_t)bytes, " %" PRIu64 " %" PRIu64,
                      mark.generation, mark.tokens);
    bytes += snprintf(line + bytes, sizeof line - (size_t)bytes, " %016" PRIx64 "\n",
                      (uint64_t)XXH3_64bits(line, (size_t)bytes));
    gw_assert(gw_bytes_equal(in, gw_bytes_of((uint8_t *)line, (size_t)bytes)));
}

static void check_cursor(struct gw_bytes in)
{
    struct gw_journal_position position;

    there = in;
    if (gw_cursor_read(&io, "dir", "name", &position) != 0)
        return;
    gw_assert(gw_cursor_commit(&io, "dir", "name", position) == 0);
    gw_assert(gw_bytes_equal(in, gw_bytes_of(written, written_bytes)));
}

static void check_mark(struct gw_bytes in)
{
    uint8_t again[GW_JOURNAL_MARK_BYTES];
    struct gw_journal_mark mark;

    there = in;
    if (gw_journal_mark_read(&io, 3, &mark) != 0)
        return;
    gw_journal_mark_encode(again, &mark);
    gw_assert(memcmp(in.data, again, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_bytes in;

    if (size == 0 || size > FILE_BYTES_MAX)
        return 0;
    in = gw_bytes_of(data + 1, size - 1);
    switch (data[0] % KINDS) {
    case TICKET_KEYS:
        check_ticket_keys(in);
        break;
    case HIGH_WATER:
        check_high_water(in);
        break;
    case CURSOR:
        check_cursor(in);
        break;
    default:
        check_mark(in);
        break;
    }
    return 0;
}
