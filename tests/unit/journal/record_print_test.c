/*
 * What tail prints: lines for people and JSON, whatever bytes a device sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record_print.h"

static const struct {
    struct gw_record record;
    const char *text; /* behind the time */
    const char *json; /* a part of the object */
} rows[] = {
    {{.device = 12,
      .kind = GW_RECORD_PIN_WRITE,
      .bank = 'v',
      .pin = 1,
      .value = {(const uint8_t *)"23.5", 4}},
     "  device 12  V1 = 23.5\n",
     "\"kind\":\"pin_write\",\"pin\":\"V1\",\"value\":\"23.5\","},
    {{.kind = GW_RECORD_PIN_WRITE, .bank = 'd', .pin = 255, .value = {(const uint8_t *)"a\0b", 3}},
     "  device 0  D255 = a | b\n",
     "\"pin\":\"D255\",\"value\":\"a\\u0000b\","},
    {{.kind = GW_RECORD_PIN_WRITE, .bank = 'v', .value = {(const uint8_t *)"\n\x1b[2J\\\"\x7f", 8}},
     "  device 0  V0 = \\x0a\\x1b[2J\\\\\"\\x7f\n",
     "\"value\":\"\\u000a\\u001b[2J\\\\\\\"\\u007f\","},
    {{.kind = GW_RECORD_PIN_WRITE,
      .bank = 'v',
      .value = {(const uint8_t *)"\xc2\xb0"
                                 "C \xc2\x9b",
                6}},
     "  device 0  V0 = \xc2\xb0"
     "C \\xc2\\x9b\n",
     "\"value\":\"\xc2\xb0"
     "C \\u009b\","},
    {{.kind = GW_RECORD_PIN_WRITE, .bank = 'v', .value = {(const uint8_t *)"\xff\x00\x10", 3}},
     "  device 0  V0 = \\xff | \\x10\n",
     "\"value_base64\":\"/wAQ\","},
    {{.kind = GW_RECORD_PIN_WRITE, .bank = 'v', .value = {(const uint8_t *)"\xed\xa0\x80", 3}},
     "  device 0  V0 = \\xed\\xa0\\x80\n",
     "\"value_base64\":\"7aCA\","},
    {{.kind = GW_RECORD_PIN_WRITE, .bank = 'v', .value = {(const uint8_t *)"\xc0\x80\xe2\x82", 4}},
     "  device 0  V0 = \\xc0\\x80\\xe2\\x82\n",
     "\"value_base64\":\"wIDigg==\","},
    {{.kind = GW_RECORD_PROPERTY,
      .bank = 'v',
      .pin = 3,
      .pin_count = 2,
      .name = {(const uint8_t *)"label", 5},
      .value = {(const uint8_t *)"x", 1}},
     "  device 0  V3 (first of 2) label = x\n",
     "\"pin\":\"V3\",\"pin_count\":2,\"name\":\"label\",\"value\":\"x\","},
    {{.kind = GW_RECORD_OFFLINE, .name = {(const uint8_t *)"silent", 6}},
     "  device 0  offline silent\n",
     "\"kind\":\"offline\",\"name\":\"silent\",\"value\":\"\","},
    {{.kind = GW_RECORD_PIN_WRITE,
      .bank = 'a',
      .flags = GW_RECORD_FROM_HTTP,
      .value = {(const uint8_t *)"1", 1}},
     "  device 0  A0 (http) = 1\n",
     "\"kind\":\"pin_write\",\"origin\":\"http\",\"pin\":\"A0\","},
    {{.kind = GW_RECORD_PIN_WRITE,
      .bank = 'a',
      .flags = GW_RECORD_FROM_CONTROL,
      .value = {(const uint8_t *)"1", 1}},
     "  device 0  A0 (control) = 1\n",
     "\"kind\":\"pin_write\",\"origin\":\"control\",\"pin\":\"A0\","},
    {{.kind = GW_RECORD_PIN_WRITE,
      .bank = 'a',
      .flags = GW_RECORD_FROM_BRIDGE,
      .value = {(const uint8_t *)"1", 1}},
     "  device 0  A0 (bridge) = 1\n",
     "\"kind\":\"pin_write\",\"origin\":\"bridge\",\"pin\":\"A0\","},
    {{.kind = 200}, "  device 0  kind 200\n", "\"kind\":200,"},
};

static char *printed(void (*print)(FILE *, const struct gw_journal_item *),
                     const struct gw_journal_item *item)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    print(out, item);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void whatever_a_device_sent_is_one_harmless_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_journal_item item = {.kind = GW_JOURNAL_RECORD, .record = rows[i].record};
        char *text = printed(record_print_text, &item);
        char *json = printed(record_print_json, &item);

        assert_non_null(strstr(text, "  device"));
        assert_string_equal(strstr(text, "  device"), rows[i].text);
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        if (strstr(json, rows[i].json) == NULL)
            fail_msg("%s is not in %s", rows[i].json, json);
        assert_ptr_equal(strchr(json, '\n'), json + strlen(json) - 1);
        free(text);
        free(json);
    }
}

static void json_names_the_batch_and_the_place_behind_it(void **state)
{
    struct gw_journal_item item = {
        .kind = GW_JOURNAL_RECORD,
        .record = {.kind = GW_RECORD_GROUP_END, .time_us = 1795356187000125},
        .batch = {.lane = 3, .epoch = UINT64_MAX, .sequence = 7},
        .index = 5,
        .after = {.segment = 2, .offset = 9216},
    };
    char *json = printed(record_print_json, &item);

    (void)state;
    assert_non_null(
        strstr(json, "{\"time\":\"2026-11-22T14:03:07.000125Z\",\"time_us\":1795356187000125,"));
    assert_non_null(strstr(json,
                           "\"lane\":3,\"epoch\":18446744073709551615,\"batch\":7,\"index\":5,"
                           "\"after\":\"2:9216\"}\n"));
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_a_device_sent_is_one_harmless_line),
        cmocka_unit_test(json_names_the_batch_and_the_place_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
