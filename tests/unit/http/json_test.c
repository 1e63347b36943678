/*
 * The cursor over JSON: what is a value, and what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <gw/http/json.h>

static const struct {
    const char *json, *text; /* NULL: refused */
    size_t size;
    enum gw_json_kind kind;
} scalars[] = {
#define STRING(json, text)                                                                         \
    {                                                                                              \
        json, text, sizeof(text) - 1, GW_JSON_STRING                                               \
    }
#define NUMBER(json)                                                                               \
    {                                                                                              \
        json, json, sizeof(json) - 1, GW_JSON_NUMBER                                               \
    }
#define BOOLEAN(json)                                                                              \
    {                                                                                              \
        json, json, sizeof(json) - 1, GW_JSON_BOOLEAN                                              \
    }
#define NOTHING(json)                                                                              \
    {                                                                                              \
        json, NULL, 0, GW_JSON_STRING                                                              \
    }
    STRING("\"\"", ""),
    STRING("\"abc\"", "abc"),
    STRING(" \t\r\n\"a\"", "a"),
    STRING("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"),
    STRING("\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac"),
    STRING("\"\\uD83D\\ude00\"", "\xf0\x9f\x98\x80"),
    STRING("\"\\u0000\"", "\0"),
    STRING("\"caf\xc3\xa9\"", "caf\xc3\xa9"),
    NUMBER("0"),
    NUMBER("-0"),
    NUMBER("12"),
    NUMBER("-1.5"),
    NUMBER("1e9"),
    NUMBER("1.25E-3"),
    NUMBER("10.0e+10"),
    BOOLEAN("true"),
    BOOLEAN("false"),
    NOTHING(""),
    NOTHING("null"),
    NOTHING("\"abc"),
    NOTHING("\"a\nb\""),
    NOTHING("\"a\x01\""),
    NOTHING("\"\\x41\""),
    NOTHING("\"\\u12g4\""),
    NOTHING("\"\\u12"),
    NOTHING("\"\\ud800\""),
    NOTHING("\"\\ud800\\u0041\""),
    NOTHING("\"\\udc00\""),
    NOTHING("\"\\"),
    NOTHING("'a'"),
    NOTHING("+1"),
    NOTHING("-"),
    NOTHING("01"),
    NOTHING("1."),
    NOTHING(".5"),
    NOTHING("1e"),
    NOTHING("1e+"),
    NOTHING("NaN"),
    NOTHING("True"),
    NOTHING("["),
    NOTHING("{}"),
};

static void scalars_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(scalars); i++) {
        size_t size = strlen(scalars[i].json);
        uint8_t *exact = malloc(size + 1), room[64];
        struct gw_json json = {.rest = gw_bytes_of(exact, size)};
        struct gw_json_value value;
        bool taken;

        assert_non_null(exact);
        memcpy(exact, scalars[i].json, size);
        taken = gw_json_scalar(&json, room, sizeof room, &value);
        if (taken != (scalars[i].text != NULL))
            fail_msg("%s is %s", scalars[i].json, taken ? "taken" : "refused");
        if (taken) {
            assert_int_equal(value.kind, scalars[i].kind);
            assert_int_equal(value.text.size, scalars[i].size);
            assert_memory_equal(value.text.data, scalars[i].text, scalars[i].size);
            assert_true(gw_json_ended(&json));
        }
        free(exact);
    }
}

static void a_string_takes_the_room_it_is_given(void **state)
{
    struct gw_json json = {.rest = gw_bytes_text("\"abcd\"")}, again = json;
    struct gw_json_value value;
    uint8_t room[4];

    (void)state;
    assert_true(gw_json_scalar(&json, room, 4, &value));
    assert_false(gw_json_scalar(&again, room, 3, &value));
}

static void structure_is_what_was_asked_for(void **state)
{
    struct gw_json json = {.rest = gw_bytes_text(" [ 1 , {\"a\":\n2}]x")};
    struct gw_json_value value;
    uint8_t room[8];

    (void)state;
    assert_false(gw_json_take(&json, '{'));
    assert_true(gw_json_take(&json, '['));
    assert_true(gw_json_scalar(&json, room, sizeof room, &value));
    assert_true(gw_json_sees(&json, ','));
    assert_true(gw_json_take(&json, ','));
    assert_true(gw_json_take(&json, '{'));
    assert_true(gw_json_scalar(&json, room, sizeof room, &value));
    assert_true(gw_json_take(&json, ':'));
    assert_true(gw_json_scalar(&json, room, sizeof room, &value));
    assert_true(gw_json_take(&json, '}'));
    assert_true(gw_json_take(&json, ']'));
    assert_false(gw_json_ended(&json));
}

static void integers_are_digits_that_fit(void **state)
{
    uint64_t number;

    (void)state;
    assert_true(gw_json_integer(gw_bytes_text("18446744073709551615"), &number));
    assert_true(number == UINT64_MAX);
    assert_false(gw_json_integer(gw_bytes_text("18446744073709551616"), &number));
    assert_false(gw_json_integer(gw_bytes_text("99999999999999999999"), &number));
    assert_false(gw_json_integer(gw_bytes_text(""), &number));
    assert_false(gw_json_integer(gw_bytes_text("-1"), &number));
    assert_false(gw_json_integer(gw_bytes_text("1.0"), &number));
}

static const struct {
    const char *value;
    size_t size;
    const char *json;
} written[] = {
#define WRITTEN(value, json)                                                                       \
    {                                                                                              \
        value, sizeof(value) - 1, json                                                             \
    }
    WRITTEN("5", "5"),
    WRITTEN("-0.50e3", "-0.50e3"),
    WRITTEN("", "\"\""),
    WRITTEN("05", "\"05\""),
    WRITTEN("+5", "\"+5\""),
    WRITTEN(" 5", "\" 5\""),
    WRITTEN("5 ", "\"5 \""),
    WRITTEN("5,6", "\"5,6\""),
    WRITTEN("nan", "\"nan\""),
    WRITTEN("true", "\"true\""),
    WRITTEN("\"5\"", "\"\\\"5\\\"\""),
    WRITTEN("a\\b\x01\x1f\x7f", "\"a\\\\b\\u0001\\u001f\x7f\""),
    WRITTEN("a\0b", "\"a\\u0000b\""),
    WRITTEN("21\xc2\xb0\xe2\x82\xac\xf0\x9f\x98\x80", "\"21\xc2\xb0\xe2\x82\xac\xf0\x9f\x98\x80\""),
    WRITTEN("\xc2", "\"\\ufffd\""),
    WRITTEN("\xc0\x80z", "\"\\ufffd\\ufffdz\""),
    WRITTEN("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""),
};

static void any_bytes_are_written_as_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(written); i++) {
        struct gw_bytes value = gw_bytes_of(written[i].value, written[i].size);
        size_t bytes = strlen(written[i].json);

        for (size_t capacity = 0; capacity <= bytes; capacity++) {
            uint8_t *room = malloc(capacity > 0 ? capacity : 1);
            struct gw_json_out out = {.at = room, .capacity = capacity};

            assert_non_null(room);
            gw_json_put_value(&out, value);
            assert_int_equal(out.full, capacity < bytes);
            if (!out.full)
                assert_true(gw_bytes_are(gw_bytes_of(room, out.bytes), written[i].json));
            free(room);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_are_read_or_refused),
        cmocka_unit_test(a_string_takes_the_room_it_is_given),
        cmocka_unit_test(structure_is_what_was_asked_for),
        cmocka_unit_test(integers_are_digits_that_fit),
        cmocka_unit_test(any_bytes_are_written_as_json),
    };

    return cmocka_run_group_tests_name("http json", tests, NULL, NULL);
}
