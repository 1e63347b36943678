/*
 * Status 9 takes a real device out of service until a person visits it. It may be said only by an
 * index that is whole and not older or oddly smaller than what was served before. What was served
 * is one line of text in a file of the gateway's own, replaced atomically:
 *
 *     tollgate-high-water 1 <lineage, 32 hex> <generation> <tokens> <XXH3-64 of all before, 16 hex>
 *
 * An operator's `tollgatectl index accept` is written into the index (accepted generation and
 * count) and overrules a mark that is older than it.
 */
#include "authority_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <gw/base/assert.h>

enum { LINE_BYTES_MAX = 160 };

struct gw_authority gw_authority_judge(const struct gw_meta *meta, uint64_t token_rows,
                                       const struct gw_high_water *mark)
{
    const bool accepted = mark->known && meta->accepted_generation > mark->generation;
    uint64_t served = mark->tokens;

    if (mark->known && !accepted && memcmp(meta->lineage, mark->lineage, GW_LINEAGE_BYTES) != 0)
        return (struct gw_authority){GW_AUTHORITY_NONE, "it is not the index served before"};
    if (mark->known && meta->generation < mark->generation)
        return (struct gw_authority){GW_AUTHORITY_NONE, "it is older than what was served before"};
    if (!meta->complete)
        return (struct gw_authority){GW_AUTHORITY_HITS, "it is not marked complete"};
    if (token_rows != meta->tokens)
        return (struct gw_authority){GW_AUTHORITY_HITS, "its token count disagrees with its rows"};
    if (meta->tokens == 0)
        return (struct gw_authority){GW_AUTHORITY_HITS, "it holds no token"};
    if (accepted)
        served = gw_min_u64(served, meta->accepted_tokens);
    /* More than a tenth fewer, without products that could overflow. */
    if (mark->known && meta->tokens < served && served - meta->tokens > served / 10)
        return (struct gw_authority){GW_AUTHORITY_HITS,
                                     "it holds over a tenth fewer tokens than were served before"};
    return (struct gw_authority){GW_AUTHORITY_FULL, ""};
}

/* Without the newline; returns its length. */
static size_t format_line(const struct gw_high_water *mark, char out[LINE_BYTES_MAX])
{
    char lineage[2 * GW_LINEAGE_BYTES + 1];
    int bytes;

    for (size_t i = 0; i < GW_LINEAGE_BYTES; i++)
        (void)snprintf(lineage + 2 * i, 3, "%02x", mark->lineage[i]);
    bytes = snprintf(out, LINE_BYTES_MAX, "tollgate-high-water 1 %s %" PRIu64 " %" PRIu64, lineage,
                     mark->generation, mark->tokens);
    bytes += snprintf(out + bytes, (size_t)(LINE_BYTES_MAX - bytes), " %016" PRIx64,
                      (uint64_t)XXH3_64bits(out, (size_t)bytes));
    gw_assert(bytes > 0 && bytes < LINE_BYTES_MAX);
    return (size_t)bytes;
}

/* Reads the values, then writes the line anew: equal text is the whole check. */
static bool parse_line(const char *line, struct gw_high_water *out)
{
    char lineage[2 * GW_LINEAGE_BYTES + 1], again[LINE_BYTES_MAX];

    *out = (struct gw_high_water){.known = true};
    if (sscanf(line, "tollgate-high-water 1 %32[0-9a-f] %20" SCNu64 " %20" SCNu64, lineage,
               &out->generation, &out->tokens) != 3 ||
        strlen(lineage) != sizeof lineage - 1)
        return false;
    for (size_t i = 0; i < GW_LINEAGE_BYTES; i++) {
        const char pair[3] = {lineage[2 * i], lineage[2 * i + 1], '\0'};

        out->lineage[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    (void)format_line(out, again);
    return strcmp(line, again) == 0;
}

int gw_high_water_load(const char *file, struct gw_high_water *out)
{
    char line[LINE_BYTES_MAX + 2];
    ssize_t got;
    int fd, err;

    *out = (struct gw_high_water){.known = false};
    fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    got = read(fd, line, sizeof line - 1);
    err = got < 0 ? -errno : 0;
    (void)close(fd);
    if (err != 0)
        return err;
    if (got == 0 || line[got - 1] != '\n')
        return -EPROTO;
    line[got - 1] = '\0';
    return strlen(line) == (size_t)got - 1 && parse_line(line, out) ? 0 : -EPROTO;
}

static int sync_directory_of(const char *file)
{
    char path[PATH_MAX];
    int fd, err = 0;

    (void)snprintf(path, sizeof path, "%s", file);
    fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fsync(fd) != 0)
        err = -errno;
    (void)close(fd);
    return err;
}

int gw_high_water_store(const char *file, const struct gw_high_water *mark)
{
    char line[LINE_BYTES_MAX], fresh[PATH_MAX];
    size_t bytes = format_line(mark, line);
    ssize_t put;
    int fd, err = 0;

    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", file) >= sizeof fresh)
        return -ENAMETOOLONG;
    line[bytes++] = '\n';
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    put = write(fd, line, bytes);
    if (put < 0 || fsync(fd) != 0)
        err = -errno;
    else if ((size_t)put != bytes)
        err = -ENOSPC;
    (void)close(fd);
    if (err == 0 && rename(fresh, file) != 0)
        err = -errno;
    if (err != 0) {
        (void)unlink(fresh);
        return err;
    }
    return sync_directory_of(file);
}
