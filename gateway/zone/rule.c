/*
 * The POSIX TZ rule, which ends a TZif file and holds for all times after its last change:
 * "CET-1CEST,M3.5.0,M10.5.0/3". With the calendar that it needs.
 *
 * A rule says for each year when daylight saving begins and when it ends, each on the clock that
 * shows until then. The two are taken as marks on one line of time, those of the years around the
 * instant in question in order; the last one that has passed decides. So the southern half of the
 * world, an end before its year begins (UTC), and saving all year round need no cases of their own.
 */
#include "zone_internal.h"

/* ---- calendar ---- */

bool civil_is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* With March as the first month, leap days come last and 153 days are five months. */
int64_t civil_days(int64_t year, unsigned month, unsigned day)
{
    const int64_t y = year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t of_era = y - era * 400;
    const int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct gw_civil gw_civil_of(int64_t s)
{
    const int64_t at = civil_clamp(s);
    const int64_t left = (at % DAY_S + DAY_S) % DAY_S;
    const int64_t days = (at - left) / DAY_S + 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t of_era = days - era * 146097;
    const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * of_year + 2) / 153;

    return (struct gw_civil){
        .year = (int32_t)(year + era * 400 + (month >= 10)),
        .month = (uint8_t)(month < 10 ? month + 3 : month - 9),
        .day = (uint8_t)(of_year - (153 * month + 2) / 5 + 1),
        .hour = (uint8_t)(left / 3600),
        .minute = (uint8_t)(left / 60 % 60),
        .second = (uint8_t)(left % 60),
    };
}

/* ---- text ---- */

static bool take(struct gw_bytes *text, uint8_t byte)
{
    if (text->size == 0 || text->data[0] != byte)
        return false;
    *text = gw_bytes_after(*text, 1);
    return true;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Three or more letters, or whatever stands between angle brackets. */
static bool take_name(struct gw_bytes *text)
{
    const bool quoted = take(text, '<');
    size_t bytes = 0;

    while (bytes < text->size &&
           (is_letter(text->data[bytes]) ||
            (quoted && (is_digit(text->data[bytes]) || text->data[bytes] == '+' ||
                        text->data[bytes] == '-'))))
        bytes++;
    *text = gw_bytes_after(*text, bytes);
    return bytes >= 3 && (!quoted || take(text, '>'));
}

static bool take_number(struct gw_bytes *text, unsigned max, unsigned *out)
{
    unsigned value = 0;
    size_t digits = 0;

    for (; digits < text->size && digits < 3 && is_digit(text->data[digits]); digits++)
        value = value * 10 + (unsigned)(text->data[digits] - '0');
    *text = gw_bytes_after(*text, digits);
    *out = value;
    return digits > 0 && value <= max;
}

/* [+-]hours[:minutes[:seconds]] */
static bool take_time(struct gw_bytes *text, unsigned hours_max, int32_t *out)
{
    unsigned hours, minutes = 0, seconds = 0;
    const bool negative = take(text, '-');

    if (!negative)
        (void)take(text, '+');
    if (!take_number(text, hours_max, &hours))
        return false;
    if (take(text, ':') &&
        (!take_number(text, 59, &minutes) || (take(text, ':') && !take_number(text, 59, &seconds))))
        return false;
    *out = (int32_t)(hours * 3600 + minutes * 60 + seconds);
    if (negative)
        *out = -*out;
    return true;
}

static bool take_date(struct gw_bytes *text, struct rule_date *out)
{
    unsigned day = 0, month = 0, week = 0, weekday = 0;

    *out = (struct rule_date){.time_s = 2 * 3600};
    if (take(text, 'M')) {
        out->kind = RULE_WEEKDAY;
        if (!take_number(text, 12, &month) || month == 0 || !take(text, '.') ||
            !take_number(text, 5, &week) || week == 0 || !take(text, '.') ||
            !take_number(text, 6, &weekday))
            return false;
    } else {
        out->kind = take(text, 'J') ? RULE_JULIAN : RULE_DAY;
        if (!take_number(text, 365, &day) || (out->kind == RULE_JULIAN && day == 0))
            return false;
    }
    out->day = (uint16_t)day;
    out->month = (uint8_t)month;
    out->week = (uint8_t)week;
    out->weekday = (uint8_t)weekday;
    return !take(text, '/') || take_time(text, 167, &out->time_s);
}

bool rule_parse(struct gw_bytes text, struct rule *out)
{
    int32_t west_s, saving_west_s;

    *out = (struct rule){.has_saving = false};
    if (!take_name(&text) || !take_time(&text, 24, &west_s))
        return false;
    out->standard_s = -west_s; /* POSIX counts westward */
    if (text.size == 0)
        return true;
    if (!take_name(&text))
        return false;
    saving_west_s = west_s - 3600;
    if (text.size > 0 && text.data[0] != ',' && !take_time(&text, 24, &saving_west_s))
        return false;
    out->saving_s = west_s - saving_west_s;
    out->has_saving = true;
    return take(&text, ',') && take_date(&text, &out->start) && take(&text, ',') &&
           take_date(&text, &out->end) && text.size == 0;
}

/* ---- marks ---- */

/* Days since 1970. */
static int64_t day_of(const struct rule_date *date, int64_t year)
{
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int64_t new_year = civil_days(year, 1, 1);
    int64_t first, day;
    unsigned last;

    switch (date->kind) {
    case RULE_DAY:
        return new_year + date->day;
    case RULE_JULIAN: /* the 29th of February is not counted */
        return new_year + date->day - 1 + (civil_is_leap(year) && date->day >= 60);
    case RULE_WEEKDAY:
        break;
    }
    first = civil_days(year, date->month, 1);
    /* 1970 began on a Thursday. */
    day = 1 + (date->weekday - ((first + 4) % 7 + 7) % 7 + 7) % 7 + INT64_C(7) * (date->week - 1);
    last = month_days[date->month - 1] + (date->month == 2 && civil_is_leap(year));
    while (day > last) /* week 5 is the last one that there is */
        day -= 7;
    return first + day - 1;
}

struct mark {
    int64_t at_s;
    bool saving; /* from then on */
};

enum { MARK_YEARS = 5, MARKS = 2 * MARK_YEARS };

/*
 * Those of the year of `utc_s`, of two before and of two after it, in order. A mark may lie some
 * days outside of its year, so before the second year and after the last but one some may be
 * missing.
 */
static void marks_around(const struct rule *rule, int64_t utc_s, struct mark out[MARKS])
{
    const int64_t first = gw_civil_of(utc_s).year - 2;

    for (size_t i = 0; i < MARK_YEARS; i++) {
        out[2 * i] = (struct mark){.at_s = day_of(&rule->end, first + (int64_t)i) * DAY_S +
                                           rule->end.time_s - rule->standard_s - rule->saving_s};
        out[2 * i + 1] = (struct mark){.at_s = day_of(&rule->start, first + (int64_t)i) * DAY_S +
                                               rule->start.time_s - rule->standard_s,
                                       .saving = true};
    }
    /* Stable: where an end meets the start of the next stretch, it stays before it, and saving goes
     * on. */
    for (size_t i = 1; i < MARKS; i++)
        for (size_t j = i; j > 0 && out[j].at_s < out[j - 1].at_s; j--) {
            const struct mark later = out[j - 1];

            out[j - 1] = out[j];
            out[j] = later;
        }
}

struct gw_zone_time rule_at(const struct rule *rule, int64_t utc_s)
{
    struct mark marks[MARKS];
    bool saving = false;

    utc_s = civil_clamp(utc_s);
    if (rule->has_saving) {
        marks_around(rule, utc_s, marks);
        for (unsigned i = 0; i < MARKS && marks[i].at_s <= utc_s; i++)
            saving = marks[i].saving;
    }
    return (struct gw_zone_time){.offset_s = rule->standard_s + (saving ? rule->saving_s : 0),
                                 .saving_s = saving ? rule->saving_s : 0};
}

size_t rule_changes(const struct rule *rule, int64_t utc_s, int32_t offset_s,
                    struct gw_zone_change *out, size_t capacity)
{
    struct mark marks[MARKS];
    size_t count = 0;

    if (!rule->has_saving)
        return 0;
    utc_s = civil_clamp(utc_s);
    marks_around(rule, utc_s, marks);
    for (unsigned i = 0; i + 2 < MARKS && count < capacity; i++) {
        const int32_t then_s = rule->standard_s + (marks[i].saving ? rule->saving_s : 0);
        const bool met = marks[i + 1].at_s == marks[i].at_s;

        if (marks[i].at_s > CIVIL_S_MAX) /* and there all stays as it is */
            break;
        if (marks[i].at_s <= utc_s || then_s == offset_s || met)
            continue;
        out[count++] = (struct gw_zone_change){.at_s = marks[i].at_s, .offset_s = then_s};
        offset_s = then_s;
    }
    return count;
}
