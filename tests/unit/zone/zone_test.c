/*
 * Zones against libc, which reads the same files by other code; against what the files cannot say;
 * and against files that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gw/zone/zone.h>

/* A zone of the system's database, or the test is left out. */
static struct gw_zone *zone_of(const char *name)
{
    struct gw_zone *zone;

    if (gw_zone_load(GW_ZONES_PATH, gw_bytes_text(name), &zone) != 0) {
        print_message("no %s in %s: install tzdata\n", name, GW_ZONES_PATH);
        skip();
    }
    return zone;
}

/* What libc shows in that zone. */
static struct tm libc_at(const char *name, int64_t s)
{
    const time_t at = (time_t)s;
    struct tm parts;

    assert_int_equal(setenv("TZ", name, 1), 0);
    tzset();
    assert_non_null(localtime_r(&at, &parts));
    return parts;
}

static const char *const names[] = {
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",       /* its winter is the exception      */
    "Asia/Kolkata",        /* +05:30                           */
    "Asia/Kathmandu",      /* +05:45                           */
    "Australia/Lord_Howe", /* half an hour of daylight saving  */
    "Pacific/Chatham",     /* +12:45, southern                 */
    "Pacific/Apia",        /* skipped a day                    */
    "Pacific/Kiritimati",  /* +14                              */
    "America/New_York",    /* west                             */
    "America/St_Johns",    /* -03:30                           */
    "America/Nuuk",        /* changes on a Saturday, local     */
    "America/Sao_Paulo",   /* gave daylight saving up          */
    "Africa/Casablanca",   /* suspends it for Ramadan          */
    "Asia/Gaza",           /* the same, and a rule of 50 hours */
    "Antarctica/Troll",    /* two hours of it                  */
    "Africa/Monrovia",     /* -00:44:30 until 1972             */
    "Etc/GMT+12",
};

static void offsets_are_those_of_libc(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        struct gw_zone *zone = zone_of(names[i]);
        size_t checked = 0;

        /* From 1900 to 2150: before the first change, among the listed ones, and by the rule. */
        for (int64_t s = INT64_C(-2208988800); s < INT64_C(5680281600); s += 40620) {
            if (gw_zone_at(zone, s).offset_s != libc_at(names[i], s).tm_gmtoff) {
                print_error("%s at %lld\n", names[i], (long long)s);
                fail();
            }
            checked++;
        }
        assert_true(checked > 100000);
        gw_zone_destroy(zone);
    }
}

/* To the second, on both sides of each change of a century that libc knows by rule and by list. */
static void changes_happen_at_their_second(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        struct gw_zone *zone = zone_of(names[i]);
        struct gw_zone_change next;
        int64_t s = 0;

        while (s < INT64_C(4102444800) && gw_zone_changes(zone, s, &next, 1) == 1) {
            const long before = libc_at(names[i], next.at_s - 1).tm_gmtoff;
            const long after = libc_at(names[i], next.at_s).tm_gmtoff;

            assert_true(next.at_s > s);
            assert_int_equal(after, next.offset_s);
            assert_int_not_equal(before, after);
            assert_int_equal(gw_zone_at(zone, next.at_s - 1).offset_s, before);
            assert_int_equal(gw_zone_at(zone, next.at_s).offset_s, after);
            /* Nothing in between was left out. */
            for (int64_t t = s; t < next.at_s; t += 21600)
                assert_int_equal(gw_zone_at(zone, t).offset_s, before);
            s = next.at_s;
        }
        gw_zone_destroy(zone);
    }
}

/* What the vendor's documentation shows for one instant. */
static void the_example_of_the_documentation_holds(void **state)
{
    enum { NOW = 1601968586 };
    struct gw_zone *zone = zone_of("Europe/Kiev");
    struct gw_zone_time now = gw_zone_at(zone, NOW);
    struct gw_zone_change next[2];

    (void)state;
    assert_int_equal(now.offset_s, 3 * 3600);
    assert_int_equal(now.saving_s, 3600);
    assert_string_equal(gw_zone_rule(zone), "EET-2EEST,M3.5.0/3,M10.5.0/4");
    assert_int_equal(gw_zone_changes(zone, NOW, next, 2), 2);
    assert_int_equal(next[0].at_s, 1603587600);
    assert_int_equal(next[0].offset_s, 120 * 60);
    assert_int_equal(next[1].at_s, 1616893200);
    assert_int_equal(next[1].offset_s, 180 * 60);
    gw_zone_destroy(zone);
}

static void daylight_saving_is_told_apart(void **state)
{
    enum { WINTER = 1705320000, SUMMER = 1721044800 }; /* January and July of 2024 */
    static const struct {
        const char *name;
        int32_t winter_s, summer_s; /* of it, daylight saving */
    } rows[] = {
        {"Europe/Berlin", 0, 3600},       {"Europe/Dublin", -3600, 0},
        {"Australia/Lord_Howe", 1800, 0}, {"Antarctica/Troll", 0, 7200},
        {"Asia/Kolkata", 0, 0},           {"America/New_York", 0, 3600},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_zone *zone = zone_of(rows[i].name);

        assert_int_equal(gw_zone_at(zone, WINTER).saving_s, rows[i].winter_s);
        assert_int_equal(gw_zone_at(zone, SUMMER).saving_s, rows[i].summer_s);
        gw_zone_destroy(zone);
    }
}

/* ---- files of our own ---- */

static uint8_t file[512];

static void put_be32(uint8_t *p, uint32_t v)
{
    gw_store_be16(p, (uint16_t)(v >> 16));
    gw_store_be16(p + 2, (uint16_t)v);
}

/* A file without a change: one kind of time, which is UTC, and a rule. */
static struct gw_bytes file_of(const char *rule)
{
    uint8_t *p = file;

    memset(file, 0, sizeof file);
    for (int block = 0; block < 2; block++) {
        memcpy(p, "TZif2", 5);
        put_be32(p + 36, 1); /* types */
        put_be32(p + 40, 4); /* chars */
        p += 44 + 6 + 4;
    }
    return gw_bytes_of(file, (size_t)(p - file) + (size_t)sprintf((char *)p, "\n%s\n", rule));
}

static int parse(const char *rule, struct gw_zone **out)
{
    return gw_zone_parse(gw_bytes_text("Test/Zone"), file_of(rule), out);
}

static void a_rule_is_read_or_refused(void **state)
{
    static const char *const good[] = {
        "UTC0",
        "EST5EDT,M3.2.0,M11.1.0",
        "<+0545>-5:45",
        "XXX-1:02:03",
        "IST-2IDT,M3.4.4/26,M10.5.0",
        "AAA3BBB,J1/0,J365/23",
        "AAA3BBB4,0/0,J365/23",
        "CET-1CEST-2,59,300/-2:30",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "EET-2EEST,M3.4.4/50,M10.4.4/50",
    };
    static const char *const bad[] = {
        "X0",
        "UTC",
        "UTC0 ",
        "UTC25",
        "<UTC0",
        "AAA3BBB",
        "AAA3BBB,",
        "AAA3BBB,M3.2",
        "AAA3BBB,M0.1.0,M1.1.0",
        "AAA3BBB,M3.6.0,M4.1.0",
        "AAA3BBB,M3.1.7,M4.1.0",
        "AAA3BBB,J0,J5",
        "AAA3BBB,J366,J5",
        "AAA3BBB,366,5",
        "AAA3BBB,1,2,3",
        "AAA3BBB,1/168,2",
        "AAA3BBB,1/1:60,2",
        "AAA-",
        "AAA3BBB,1",
    };
    struct gw_zone *zone;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(good); i++) {
        print_message("  %s\n", good[i]);
        assert_int_equal(parse(good[i], &zone), 0);
        assert_string_equal(gw_zone_rule(zone), good[i]);
        gw_zone_destroy(zone);
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(bad); i++) {
        print_message("  not %s\n", bad[i]);
        assert_int_equal(parse(bad[i], &zone), -EBADMSG);
    }
}

static void rules_are_those_of_libc(void **state)
{
    static const char *const rules[] = {
        "EST5EDT,M3.2.0,M11.1.0",          "AEST-10AEDT,M10.1.0,M4.1.0/3",
        "AAA3BBB,J60/0,J300/23",           "AAA3BBB,59/0,300/23",
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "EET-2EEST,M3.4.4/50,M10.4.4/50",
    };
    struct gw_zone *zone;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rules); i++) {
        assert_int_equal(parse(rules[i], &zone), 0);
        for (int64_t s = 1577836800; s < INT64_C(1893456000); s += 1800)
            if (gw_zone_at(zone, s).offset_s != libc_at(rules[i], s).tm_gmtoff) {
                print_error("%s at %lld\n", rules[i], (long long)s);
                fail();
            }
        gw_zone_destroy(zone);
    }
}

static void daylight_saving_all_year_round_never_changes(void **state)
{
    struct gw_zone_change next[2];
    struct gw_zone *zone;

    (void)state;
    assert_int_equal(parse("XXX3EDT4,0/0,J365/23", &zone), 0); /* RFC 8536 3.3.1 */
    for (int64_t s = 1577836800; s < INT64_C(1735689600); s += 1800)
        assert_int_equal(gw_zone_at(zone, s).offset_s, -4 * 3600);
    assert_int_equal(gw_zone_changes(zone, 1577836800, next, 2), 0);
    gw_zone_destroy(zone);
}

static void a_zone_whose_rule_nobody_knows_keeps_its_last_time(void **state)
{
    struct gw_zone *zone;

    (void)state;
    assert_int_equal(parse("", &zone), 0);
    assert_string_equal(gw_zone_rule(zone), "");
    assert_int_equal(gw_zone_at(zone, 1700000000).offset_s, 0);
    gw_zone_destroy(zone);
}

static void leap_seconds_and_old_versions_are_refused(void **state)
{
    struct gw_zone *zone;
    struct gw_bytes in = file_of("UTC0");

    (void)state;
    file[4] = 0;
    assert_int_equal(gw_zone_parse(gw_bytes_text("A"), in, &zone), -ENOTSUP);
    in = file_of("UTC0");
    put_be32(file + 28, 1);
    assert_int_equal(gw_zone_parse(gw_bytes_text("A"), in, &zone), -ENOTSUP);
}

static struct gw_bytes read_file(const char *name, uint8_t *out, size_t capacity)
{
    char path[128];
    size_t bytes;
    FILE *in;

    (void)snprintf(path, sizeof path, "%s/%s", GW_ZONES_PATH, name);
    in = fopen(path, "rb");
    if (in == NULL)
        skip();
    bytes = fread(out, 1, capacity, in);
    assert_int_equal(fclose(in), 0);
    return gw_bytes_of(out, bytes);
}

/* No prefix of a file is one, and whatever is altered in it reads within its bytes. */
static void what_is_cut_or_altered_does_no_harm(void **state)
{
    static uint8_t bytes[8192];
    const struct gw_bytes whole = read_file("Europe/Berlin", bytes, sizeof bytes);
    struct gw_zone_change next[2];
    struct gw_zone *zone;

    (void)state;
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *cut = malloc(size + 1); /* exactly as long, for AddressSanitizer */

        assert_non_null(cut);
        memcpy(cut, whole.data, size);
        assert_int_not_equal(gw_zone_parse(gw_bytes_text("A"), gw_bytes_of(cut, size), &zone), 0);
        free(cut);
    }
    for (size_t i = 0; i < whole.size; i++)
        for (unsigned flip = 1; flip < 256; flip = flip * 2 + 1) {
            bytes[i] = (uint8_t)(bytes[i] ^ flip);
            if (gw_zone_parse(gw_bytes_text("A"), whole, &zone) == 0) {
                (void)gw_zone_at(zone, 1700000000);
                (void)gw_zone_at(zone, INT64_MAX);
                (void)gw_zone_at(zone, INT64_MIN);
                (void)gw_zone_changes(zone, 1700000000, next, 2);
                gw_zone_destroy(zone);
            }
            bytes[i] = (uint8_t)(bytes[i] ^ flip);
        }
}

static void no_name_leads_out_of_the_database(void **state)
{
    static const char *const good[] = {
        "UTC",        "Europe/Berlin", "America/Argentina/Buenos_Aires",
        "Etc/GMT+12", "GB-Eire",       "EST5EDT"};
    static const char *const bad[] = {"",
                                      "/etc/passwd",
                                      "../passwd",
                                      "Europe/../../x",
                                      "Europe/",
                                      "Europe//Berlin",
                                      "europe/berlin",
                                      "posix/UTC",
                                      "Europe/Berlin ",
                                      "Zone.tab",
                                      "A\xc3\xa4"};
    char long_name[GW_ZONE_NAME_BYTES_MAX + 2] = "";

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(good); i++)
        assert_true(gw_zone_is_name(gw_bytes_text(good[i])));
    for (size_t i = 0; i < GW_ARRAY_COUNT(bad); i++)
        assert_false(gw_zone_is_name(gw_bytes_text(bad[i])));
    memset(long_name, 'A', GW_ZONE_NAME_BYTES_MAX + 1);
    assert_false(gw_zone_is_name(gw_bytes_text(long_name)));
    assert_true(gw_zone_is_name(gw_bytes_of(long_name, GW_ZONE_NAME_BYTES_MAX)));
}

static void the_calendar_is_that_of_libc(void **state)
{
    (void)state;
    for (int64_t s = INT64_C(-62167219200); s <= INT64_C(253402300799); s += INT64_C(12345) * 677) {
        const struct gw_civil c = gw_civil_of(s);
        const time_t at = (time_t)s;
        struct tm parts;

        assert_non_null(gmtime_r(&at, &parts));
        assert_int_equal(c.year, parts.tm_year + 1900);
        assert_int_equal(c.month, parts.tm_mon + 1);
        assert_int_equal(c.day, parts.tm_mday);
        assert_int_equal(c.hour, parts.tm_hour);
        assert_int_equal(c.minute, parts.tm_min);
        assert_int_equal(c.second, parts.tm_sec);
    }
    assert_int_equal(gw_civil_of(INT64_MAX).year, 9999);
    assert_int_equal(gw_civil_of(INT64_MIN).year, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_those_of_libc),
        cmocka_unit_test(changes_happen_at_their_second),
        cmocka_unit_test(the_example_of_the_documentation_holds),
        cmocka_unit_test(daylight_saving_is_told_apart),
        cmocka_unit_test(a_rule_is_read_or_refused),
        cmocka_unit_test(rules_are_those_of_libc),
        cmocka_unit_test(daylight_saving_all_year_round_never_changes),
        cmocka_unit_test(a_zone_whose_rule_nobody_knows_keeps_its_last_time),
        cmocka_unit_test(leap_seconds_and_old_versions_are_refused),
        cmocka_unit_test(what_is_cut_or_altered_does_no_harm),
        cmocka_unit_test(no_name_leads_out_of_the_database),
        cmocka_unit_test(the_calendar_is_that_of_libc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
