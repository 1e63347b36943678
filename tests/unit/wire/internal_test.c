/*
 * INTERNAL frames: the info frames of all clients, requests, and everything else. B and F numbers
 * are the conformance cases of docs/protocol.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <gw/wire/internal.h>

/* In the tables '|' stands for the NUL that separates parts. */
static struct gw_bytes body_of(char memory[512], const char *text)
{
    size_t size = strlen(text);

    assert_true(size < 512);
    for (size_t i = 0; i < size; i++)
        memory[i] = text[i] == '|' ? '\0' : text[i];
    return gw_bytes_of(memory, size);
}

struct info_row {
    const char *body;
    const char *product, *library, *firmware, *firmware_type, *build, *board, *cpu, *connection;
    int64_t heartbeat_s, buffer_bytes;
};

static void says(const struct info_row *row)
{
    struct gw_internal_request out;
    char memory[512];

    gw_internal_parse(body_of(memory, row->body), &out);
    assert_int_equal(out.what, GW_INTERNAL_INFO);
    const struct {
        struct gw_bytes is;
        const char *text;
    } fields[] = {
        {out.info.product, row->product},   {out.info.library, row->library},
        {out.info.firmware, row->firmware}, {out.info.firmware_type, row->firmware_type},
        {out.info.build, row->build},       {out.info.board, row->board},
        {out.info.cpu, row->cpu},           {out.info.connection, row->connection},
    };

    for (size_t i = 0; i < GW_ARRAY_COUNT(fields); i++)
        assert_true(gw_bytes_are(fields[i].is, fields[i].text == NULL ? "" : fields[i].text));
    assert_true(out.info.heartbeat_s == row->heartbeat_s);
    assert_true(out.info.buffer_bytes == row->buffer_bytes);
}

#define TMPL "TMPL0vFkFmJM7"

static const struct info_row clients[] = {
    /* Arduino, mbed and Particle, library 1.3 and later: B18 */
    {"mcu|0.1.0|fw-type|" TMPL "|build|Jan  1 2026 00:00:00|blynk|1.4.0|h-beat|40|buff-in|1024|dev|"
     "ESP32|cpu|ESP32|con|WiFi|tmpl|" TMPL,
     TMPL, "1.4.0", "0.1.0", TMPL, "Jan  1 2026 00:00:00", "ESP32", "ESP32", "WiFi", 40, 1024},
    /* the same from a co-processor: B19 */
    {"ncp|0.6.3|h-beat|45|buff-in|1024|tmpl|" TMPL, TMPL, NULL, "0.6.3", NULL, NULL, NULL, NULL,
     NULL, 45, 1024},
    /* the same, library 1.2 and earlier */
    {"ver|1.2.0|h-beat|45|buff-in|256|dev|Arduino|cpu|ATmega2560|con|W5000|fw-type|" TMPL
     "|fw|0.2.0|build|Oct  1 2022|tmpl|" TMPL,
     TMPL, "1.2.0", "0.2.0", TMPL, "Oct  1 2022", "Arduino", "ATmega2560", "W5000", 45, 256},
    /* Linux and Raspberry, with its trailing NUL: B20 */
    {"ver|1.4.0|h-beat|40|buff-in|4096|dev|Linux|fw-type|" TMPL
     "|fw|0.1.0|build|Jan  1 2026 00:00:00|conn|Socket|tmpl|" TMPL "|",
     TMPL, "1.4.0", "0.1.0", TMPL, "Jan  1 2026 00:00:00", "Linux", NULL, "Socket", 40, 4096},
    /* Python */
    {"ver|1.0.0|h-beat|50|buff-in|1024|dev|python|tmpl|" TMPL "|fw-type|" TMPL "|fw|0.1.0", TMPL,
     "1.0.0", "0.1.0", TMPL, NULL, "python", NULL, NULL, 50, 1024},
    /* node: B21 */
    {"ver|0.5.4|buff-in|4096|dev|js", NULL, "0.5.4", NULL, NULL, NULL, "js", NULL, NULL, -1, 4096},
};

static const struct info_row odd_ones[] = {
    /* any order; keys that nobody knows are skipped, also in front */
    {"tmpl|T|h-beat|10|ver|1", "T", "1", NULL, NULL, NULL, NULL, NULL, NULL, 10, -1},
    {"uid|x|tmpl|T|zzz|tmpl|buff-in|9", "T", NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, 9},
    {"|x|tmpl|T", "T", NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    /* the same key twice: the last one counts; "blynk" before "ver" wherever they stand */
    {"h-beat|10|h-beat|20|tmpl|A|tmpl|B", "B", NULL, NULL, NULL, NULL, NULL, NULL, NULL, 20, -1},
    {"blynk|1.4|ver|9", NULL, "1.4", NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    {"ver|9|blynk|1.4", NULL, "1.4", NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    {"ver|9|blynk|", NULL, "9", NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    /* a key without its value */
    {"ver", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    {"ver|1|tmpl", NULL, "1", NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    {"tmpl||ver|1", NULL, "1", NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    /* numbers (T4) */
    {"h-beat|0|buff-in|-5", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0},
    {"h-beat|4000000|buff-in|2147483647", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 4000000,
     INT32_MAX},
    {"h-beat|2147483648|buff-in|99999999999999999999999999", NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, INT32_MAX, INT32_MAX},
    {"h-beat|fast|buff-in|", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    {"h-beat|4 |buff-in|-", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
    {"h-beat|1.5|buff-in|+1", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, -1},
};

static void the_info_frame_of_every_client_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(clients); i++)
        says(&clients[i]);
}

static void odd_info_frames_say_what_can_be_made_of_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(odd_ones); i++)
        says(&odd_ones[i]);
}

/* The pairs in any rotation say the same. */
static void the_order_of_keys_does_not_matter(void **state)
{
    static const char *const pairs[] = {"mcu|0.1|", "h-beat|40|", "buff-in|512|", "tmpl|T|",
                                        "dev|D|",   "blynk|1.4|", "con|C|"};

    (void)state;
    for (size_t first = 0; first < GW_ARRAY_COUNT(pairs); first++) {
        char text[256] = "";
        struct info_row row = {text, "T", "1.4", "0.1", NULL, NULL, "D", NULL, "C", 40, 512};

        for (size_t i = 0, used = 0; i < GW_ARRAY_COUNT(pairs); i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s",
                                     pairs[(first + i) % GW_ARRAY_COUNT(pairs)]);
        says(&row);
        text[strlen(text) - 1] = '\0'; /* and without the trailing NUL */
        says(&row);
    }
}

static void a_cut_info_frame_says_a_part_of_the_product_or_nothing(void **state)
{
    char memory[512];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(clients); i++) {
        struct gw_bytes body = body_of(memory, clients[i].body);

        for (size_t cut = 0; cut <= body.size; cut++) {
            struct gw_internal_request out;

            gw_internal_parse(gw_bytes_of(body.data, cut), &out);
            if (out.what == GW_INTERNAL_INFO)
                assert_true(out.info.product.size == 0 ||
                            memcmp(out.info.product.data, TMPL, out.info.product.size) == 0);
            else
                assert_true(out.what == GW_INTERNAL_EMPTY || out.what == GW_INTERNAL_UNKNOWN);
        }
    }
}

static void requests_are_told_by_their_first_key(void **state)
{
    static const struct {
        const char *body;
        enum gw_internal what;
        const char *argument, *value;
    } rows[] = {
        {"", GW_INTERNAL_EMPTY, "", ""},        /* B24 */
        {"zzz|1", GW_INTERNAL_UNKNOWN, "", ""}, /* B25 */
        {"rtc|sync", GW_INTERNAL_RTC, "", ""},  /* F57 */
        {"rtc", GW_INTERNAL_RTC, "", ""},
        {"utc|time", GW_INTERNAL_UTC, "time", ""}, /* F58 */
        {"utc", GW_INTERNAL_UTC, "", ""},
        {"utc|tz_rule|", GW_INTERNAL_UTC, "tz_rule", ""},
        {"meta|get|Serial Number", GW_INTERNAL_META_GET, "Serial Number", ""},        /* F59 */
        {"meta|set|Serial Number|123", GW_INTERNAL_META_SET, "Serial Number", "123"}, /* F60 */
        {"meta|set|Name|", GW_INTERNAL_META_SET, "Name", ""},
        {"meta|set|Name", GW_INTERNAL_META_SET, "Name", ""},
        {"meta|set", GW_INTERNAL_UNKNOWN, "", ""},
        {"meta|set||x", GW_INTERNAL_UNKNOWN, "", ""},
        {"meta|del|Name", GW_INTERNAL_UNKNOWN, "", ""},
        {"meta", GW_INTERNAL_UNKNOWN, "", ""},
        /* commands stay commands, whatever follows them */
        {"ota|ver|1", GW_INTERNAL_UNKNOWN, "", ""},
        {"dbg|reboot|tmpl|T", GW_INTERNAL_UNKNOWN, "", ""},
        {"acon", GW_INTERNAL_UNKNOWN, "", ""},
        {"adis|x|ver|1", GW_INTERNAL_UNKNOWN, "", ""},
        {"vfs", GW_INTERNAL_UNKNOWN, "", ""},
        {"rtc|x|tmpl|T", GW_INTERNAL_RTC, "", ""},
        /* a key that only begins like one is another */
        {"rtcx", GW_INTERNAL_UNKNOWN, "", ""},
        {"RTC", GW_INTERNAL_UNKNOWN, "", ""},
        {"vers|1", GW_INTERNAL_UNKNOWN, "", ""},
        {"x|ver", GW_INTERNAL_UNKNOWN, "", ""}, /* a value is no key */
        {"|", GW_INTERNAL_UNKNOWN, "", ""},
    };
    char memory[512];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_internal_request out;

        gw_internal_parse(body_of(memory, rows[i].body), &out);
        assert_int_equal(out.what, rows[i].what);
        assert_true(gw_bytes_are(out.argument, rows[i].argument));
        assert_true(gw_bytes_are(out.value, rows[i].value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_info_frame_of_every_client_is_understood),
        cmocka_unit_test(odd_info_frames_say_what_can_be_made_of_them),
        cmocka_unit_test(the_order_of_keys_does_not_matter),
        cmocka_unit_test(a_cut_info_frame_says_a_part_of_the_product_or_nothing),
        cmocka_unit_test(requests_are_told_by_their_first_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
