/*
 * What the parts of the room share: a zone's bytes in memory, and the rule for times after them.
 */
#ifndef GW_ZONE_ZONE_INTERNAL_H
#define GW_ZONE_ZONE_INTERNAL_H

#include <gw/zone/zone.h>

enum { DAY_S = 86400, ZONE_FILE_BYTES_MAX = 256 * 1024 };

/* Seconds since 1970 of the first and the last moment that has four digits of a year. */
#define CIVIL_S_MIN INT64_C(-62167219200)
#define CIVIL_S_MAX INT64_C(253402300799)

static inline int64_t civil_clamp(int64_t s)
{
    return s < CIVIL_S_MIN ? CIVIL_S_MIN : s > CIVIL_S_MAX ? CIVIL_S_MAX : s;
}

/* Days since 1970 of a date; `year` may be negative. */
int64_t civil_days(int64_t year, unsigned month, unsigned day);
bool civil_is_leap(int64_t year);

/* A day of the year and a time on it, as POSIX TZ has them. */
struct rule_date {
    enum { RULE_JULIAN, RULE_DAY, RULE_WEEKDAY } kind; /* Jn, n, Mm.w.d */
    uint16_t day;                                      /* Jn: 1..365; n: 0..365 */
    uint8_t month, week, weekday;
    int32_t time_s; /* after midnight; RFC 8536 3.3.1: -167 to 167 hours */
};

struct rule {
    int32_t standard_s, saving_s; /* offset from UTC, and what daylight saving adds to it */
    bool has_saving;
    struct rule_date start, end;
};

/* False for what is no POSIX TZ text, or one that leaves the dates of daylight saving open. */
GW_MUST_USE bool rule_parse(struct gw_bytes text, struct rule *out);
struct gw_zone_time rule_at(const struct rule *rule, int64_t utc_s);
/* As gw_zone_changes; `offset_s` is the offset that the first change is compared with. */
size_t rule_changes(const struct rule *rule, int64_t utc_s, int32_t offset_s,
                    struct gw_zone_change *out, size_t capacity);

struct zone_change {
    int64_t at_s;
    struct gw_zone_time time; /* from then on */
};

struct gw_zone {
    char name[GW_ZONE_NAME_BYTES_MAX + 1];
    char rule_text[GW_ZONE_RULE_BYTES_MAX + 1];
    bool has_rule;
    struct rule rule;
    int64_t rule_from_s;       /* what the rule says holds from the last time of the file on */
    struct gw_zone_time first; /* before the first change                                    */
    uint32_t change_count;
    struct zone_change changes[]; /* ascending */
};

#endif
