/*
 * Time zones by their IANA names: what a wall clock shows at an instant, and when it jumps next.
 *
 * libc answers such questions for one zone per process (tzset), under a lock. Here every zone of
 * the system's tz database is read once, at start, and asked by any thread from then on: constant
 * data, no lock, no allocation, no file.
 *
 * Source of the format: RFC 8536 (TZif), versions 2 and later.
 */
#ifndef GW_ZONE_ZONE_H
#define GW_ZONE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

enum {
    GW_ZONE_NAME_BYTES_MAX = 64,
    GW_ZONE_RULE_BYTES_MAX = 64, /* the longest of tzdata 2025 has 45 */
};

#define GW_ZONES_PATH "/usr/share/zoneinfo" /* where Debian's package tzdata puts them */

struct gw_zone;

struct gw_zone_time {
    int32_t offset_s; /* added to UTC gives the wall clock; daylight saving included           */
    int32_t saving_s; /* of this, daylight saving: 0 outside it, negative for Ireland's winter */
};

struct gw_zone_change {
    int64_t at_s;     /* since 1970, UTC */
    int32_t offset_s; /* from then on */
};

/* UTC, which needs no database. */
const struct gw_zone *gw_zone_utc(void);

/*
 * A zone from the bytes of a TZif file. 0, -EBADMSG what is no such file or not sound, -ENOTSUP
 * version 1 or leap seconds, -ENOMEM. `name` has the shape that gw_zone_is_name asks for.
 */
GW_MUST_USE int gw_zone_parse(struct gw_bytes name, struct gw_bytes tzif, struct gw_zone **out);
/* The file `name` of the database at `path`; -EINVAL when that is no name of a zone, or -errno. */
GW_MUST_USE int gw_zone_load(const char *path, struct gw_bytes name, struct gw_zone **out);
void gw_zone_destroy(struct gw_zone *zone); /* NULL is fine */

/* Letters, digits, _ + - in parts joined by slashes, a capital first: no path can leave the
 * database. */
GW_MUST_USE bool gw_zone_is_name(struct gw_bytes name);

const char *gw_zone_name(const struct gw_zone *zone);
/* The POSIX TZ text for times after the last change that is listed; empty when nobody knows. */
const char *gw_zone_rule(const struct gw_zone *zone);
struct gw_zone_time gw_zone_at(const struct gw_zone *zone, int64_t utc_s);
/*
 * Changes of the offset after `utc_s`, the next one first; returns how many, at most `capacity`, of
 * which at least two are found if there will ever be so many.
 */
size_t gw_zone_changes(const struct gw_zone *zone, int64_t utc_s, struct gw_zone_change *out,
                       size_t capacity);

/* All zones of a database. */
struct gw_zones;

/* 0 or -errno, -ENOENT also for a folder without a zone. *skipped counts files that are not sound.
 */
GW_MUST_USE int gw_zones_load(const char *path, struct gw_zones **out, uint32_t *skipped);
void gw_zones_destroy(struct gw_zones *zones); /* NULL is fine */
uint32_t gw_zones_count(const struct gw_zones *zones);
/* NULL when it is not there. `zones` NULL: none is there. UTC is always found. */
const struct gw_zone *gw_zones_find(const struct gw_zones *zones, struct gw_bytes name);

/* The proleptic Gregorian calendar, years 0 to 9999; what lies outside is taken for its nearest
 * end. */
struct gw_civil {
    int32_t year;
    uint8_t month, day; /* from 1 */
    uint8_t hour, minute, second;
};

struct gw_civil gw_civil_of(int64_t s);

#endif
