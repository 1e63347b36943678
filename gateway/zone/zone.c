/*
 * One zone: its TZif file turned into a list of changes, and the questions it answers.
 *
 * A file says of each kind of local time its offset from UTC and whether it is daylight saving, but
 * not how much of the offset that is: it is what the offset differs from the standard time before
 * it, or after it where a zone begins with daylight saving. Changes that alter neither are left
 * out.
 *
 * The rule holds from the last time of the file on, and has to agree with the file there.
 */
#include "zone_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 8536 3.1, 3.2. */
enum { HEADER_BYTES = 44, TYPE_BYTES = 6, TIME_BYTES = 8, TYPES_MAX = 256 };
enum { OFFSET_S_MIN = -25 * 3600, OFFSET_S_MAX = 26 * 3600 }; /* neither is reached */

static const struct gw_zone utc = {
    .name = "UTC", .rule_text = "UTC0", .has_rule = true, .rule_from_s = INT64_MIN};

const struct gw_zone *gw_zone_utc(void)
{
    return &utc;
}

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)gw_load_be16(p) << 16 | gw_load_be16(p + 2);
}

static int64_t load_be64(const uint8_t *p)
{
    return (int64_t)((uint64_t)load_be32(p) << 32 | load_be32(p + 4));
}

struct counts {
    uint32_t is_ut, is_standard, leaps, times, types, chars;
};

/* False when these are not the bytes of a header, or its counts are beyond any file we read. */
static bool read_header(struct gw_bytes in, struct counts *out, uint8_t *version)
{
    uint32_t *const fields[] = {&out->is_ut, &out->is_standard, &out->leaps,
                                &out->times, &out->types,       &out->chars};

    if (in.size < HEADER_BYTES || memcmp(in.data, "TZif", 4) != 0)
        return false;
    *version = in.data[4];
    for (size_t i = 0; i < GW_ARRAY_COUNT(fields); i++) {
        *fields[i] = load_be32(in.data + 20 + 4 * i);
        if (*fields[i] > ZONE_FILE_BYTES_MAX)
            return false;
    }
    return out->types > 0 && out->types <= TYPES_MAX;
}

static size_t data_bytes(const struct counts *counts, size_t time_bytes)
{
    return counts->times * (time_bytes + 1) + (size_t)counts->types * TYPE_BYTES + counts->chars +
           counts->leaps * (time_bytes + 4) + counts->is_standard + counts->is_ut;
}

struct kind {
    int32_t offset_s;
    bool saving;
};

static bool read_kinds(struct gw_bytes in, uint32_t count, struct kind out[TYPES_MAX])
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row = in.data + (size_t)i * TYPE_BYTES;

        out[i] = (struct kind){.offset_s = (int32_t)load_be32(row), .saving = row[4] != 0};
        if (out[i].offset_s <= OFFSET_S_MIN || out[i].offset_s >= OFFSET_S_MAX || row[4] > 1)
            return false;
    }
    return true;
}

/* Fills the zone's list from the times and the kinds they begin. */
static bool read_changes(struct gw_zone *zone, struct gw_bytes in, const struct counts *counts,
                         const struct kind kinds[TYPES_MAX])
{
    const uint8_t *which = in.data + (size_t)counts->times * TIME_BYTES;
    int32_t standard_s = kinds[0].offset_s;
    struct gw_zone_time before;

    zone->rule_from_s = INT64_MIN;
    /* A zone that begins with daylight saving takes the first standard time for its own. */
    for (uint32_t i = 0; i < counts->times && kinds[0].saving; i++)
        if (which[i] < counts->types && !kinds[which[i]].saving) {
            standard_s = kinds[which[i]].offset_s;
            break;
        }
    zone->first = before = (struct gw_zone_time){
        kinds[0].offset_s, kinds[0].saving ? kinds[0].offset_s - standard_s : 0};
    for (uint32_t i = 0; i < counts->times; i++) {
        const int64_t at_s = load_be64(in.data + (size_t)i * TIME_BYTES);
        struct gw_zone_time time;

        if (which[i] >= counts->types || (i > 0 && at_s <= zone->rule_from_s) || at_s > CIVIL_S_MAX)
            return false;
        zone->rule_from_s = at_s;
        if (!kinds[which[i]].saving)
            standard_s = kinds[which[i]].offset_s;
        time =
            (struct gw_zone_time){kinds[which[i]].offset_s, kinds[which[i]].offset_s - standard_s};
        if (time.offset_s == before.offset_s && time.saving_s == before.saving_s)
            continue;
        zone->changes[zone->change_count++] = (struct zone_change){.at_s = at_s, .time = time};
        before = time;
    }
    return true;
}

static struct gw_zone_time last_time(const struct gw_zone *zone)
{
    return zone->change_count == 0 ? zone->first : zone->changes[zone->change_count - 1].time;
}

/* The text between two newlines; an empty one says that nobody knows. */
static bool read_footer(struct gw_zone *zone, struct gw_bytes in)
{
    const uint8_t *end;
    size_t bytes;

    if (in.size < 2 || in.data[0] != '\n' || (end = memchr(in.data + 1, '\n', in.size - 1)) == NULL)
        return false;
    bytes = (size_t)(end - in.data) - 1;
    if (bytes > GW_ZONE_RULE_BYTES_MAX)
        return false;
    memcpy(zone->rule_text, in.data + 1, bytes);
    zone->has_rule = bytes > 0;
    if (bytes == 0)
        return true;
    if (!rule_parse(gw_bytes_of(in.data + 1, bytes), &zone->rule))
        return false;
    return zone->rule_from_s == INT64_MIN || /* it holds for all times */
           rule_at(&zone->rule, zone->rule_from_s).offset_s == last_time(zone).offset_s;
}

int gw_zone_parse(struct gw_bytes name, struct gw_bytes tzif, struct gw_zone **out)
{
    struct kind kinds[TYPES_MAX] = {{0, false}};
    struct counts counts;
    struct gw_zone *zone;
    uint8_t version;
    bool sound;

    if (name.size > GW_ZONE_NAME_BYTES_MAX || !read_header(tzif, &counts, &version))
        return -EBADMSG;
    if (version < '2' || counts.leaps != 0) /* "right" zones count seconds that Unix does not */
        return -ENOTSUP;
    /* The first block is the second one again, for programs that know 32 bits of time. */
    if (tzif.size - HEADER_BYTES < data_bytes(&counts, 4))
        return -EBADMSG;
    tzif = gw_bytes_after(tzif, HEADER_BYTES + data_bytes(&counts, 4));
    if (!read_header(tzif, &counts, &version) ||
        tzif.size - HEADER_BYTES < data_bytes(&counts, TIME_BYTES))
        return -EBADMSG;
    if (counts.leaps != 0)
        return -ENOTSUP;
    tzif = gw_bytes_after(tzif, HEADER_BYTES);
    zone = calloc(1, sizeof *zone + counts.times * sizeof zone->changes[0]);
    if (zone == NULL)
        return -ENOMEM;
    memcpy(zone->name, name.data, name.size);
    sound = read_kinds(gw_bytes_after(tzif, (size_t)counts.times * (TIME_BYTES + 1)), counts.types,
                       kinds) &&
            read_changes(zone, tzif, &counts, kinds) &&
            read_footer(zone, gw_bytes_after(tzif, data_bytes(&counts, TIME_BYTES)));
    if (!sound) {
        free(zone);
        return -EBADMSG;
    }
    *out = zone;
    return 0;
}

bool gw_zone_is_name(struct gw_bytes name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";

    if (name.size == 0 || name.size > GW_ZONE_NAME_BYTES_MAX || name.data[0] < 'A' ||
        name.data[0] > 'Z' || name.data[name.size - 1] == '/')
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (memchr(letters, name.data[i], sizeof letters - 1) == NULL ||
            (name.data[i] == '/' && name.data[i - 1] == '/'))
            return false;
    return true;
}

int gw_zone_load(const char *path, struct gw_bytes name, struct gw_zone **out)
{
    char file[PATH_MAX];
    struct stat stat;
    uint8_t *bytes;
    ssize_t got;
    int fd, err = 0;

    if (!gw_zone_is_name(name))
        return -EINVAL;
    if ((size_t)snprintf(file, sizeof file, "%s/%.*s", path, (int)name.size,
                         (const char *)name.data) >= sizeof file)
        return -ENAMETOOLONG;
    fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &stat) != 0)
        err = -errno;
    else if (!S_ISREG(stat.st_mode) || stat.st_size > ZONE_FILE_BYTES_MAX)
        err = -EBADMSG;
    bytes = err == 0 ? malloc((size_t)stat.st_size + 1) : NULL;
    if (err == 0 && bytes == NULL)
        err = -ENOMEM;
    if (err == 0) {
        got = read(fd, bytes, (size_t)stat.st_size + 1);
        err = got < 0               ? -errno
              : got != stat.st_size ? -EBADMSG
                                    : gw_zone_parse(name, gw_bytes_of(bytes, (size_t)got), out);
    }
    free(bytes);
    (void)close(fd);
    return err;
}

void gw_zone_destroy(struct gw_zone *zone)
{
    free(zone);
}

const char *gw_zone_name(const struct gw_zone *zone)
{
    return zone->name;
}

const char *gw_zone_rule(const struct gw_zone *zone)
{
    return zone->rule_text;
}

/* How many changes have happened by then. */
static uint32_t passed(const struct gw_zone *zone, int64_t utc_s)
{
    uint32_t low = 0, high = zone->change_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (zone->changes[middle].at_s <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct gw_zone_time gw_zone_at(const struct gw_zone *zone, int64_t utc_s)
{
    const uint32_t before = passed(zone, utc_s);

    if (zone->has_rule && utc_s >= zone->rule_from_s)
        return rule_at(&zone->rule, utc_s);
    return before == 0 ? zone->first : zone->changes[before - 1].time;
}

size_t gw_zone_changes(const struct gw_zone *zone, int64_t utc_s, struct gw_zone_change *out,
                       size_t capacity)
{
    int32_t offset_s = gw_zone_at(zone, utc_s).offset_s;
    size_t count = 0;

    for (uint32_t i = passed(zone, utc_s); i < zone->change_count && count < capacity; i++) {
        const struct zone_change *change = &zone->changes[i];

        if (change->time.offset_s == offset_s)
            continue;
        offset_s = change->time.offset_s;
        out[count++] = (struct gw_zone_change){.at_s = change->at_s, .offset_s = offset_s};
    }
    if (count < capacity && zone->has_rule)
        count += rule_changes(&zone->rule, utc_s < zone->rule_from_s ? zone->rule_from_s : utc_s,
                              offset_s, out + count, capacity - count);
    return count;
}
