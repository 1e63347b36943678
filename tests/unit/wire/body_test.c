/*
 * Bodies as tables; D and F numbers are the conformance cases of docs/protocol.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <gw/wire/body.h>

/* In the tables '|' stands for the NUL that separates parts. */
static struct gw_bytes body_of(char memory[256], const char *text)
{
    size_t size = strlen(text);

    assert_true(size < 256);
    for (size_t i = 0; i < size; i++)
        memory[i] = text[i] == '|' ? '\0' : text[i];
    return gw_bytes_of(memory, size);
}

static bool is_body(struct gw_bytes bytes, const char *text)
{
    char memory[256];

    return gw_bytes_equal(bytes, body_of(memory, text));
}

static void parts_end_at_nuls_and_a_trailing_one_is_legal(void **state)
{
    static const struct {
        const char *body;
        int count;
        const char *parts[4];
    } rows[] = {
        {"", 0, {NULL}},         {"a", 1, {"a"}},
        {"a|", 1, {"a"}},        {"|", 1, {""}},
        {"||", 2, {"", ""}},     {"a||b", 3, {"a", "", "b"}},
        {"a|b|", 2, {"a", "b"}}, {"vw|1|10", 3, {"vw", "1", "10"}},
        {"|a", 2, {"", "a"}},
    };
    char memory[256];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_bytes rest = body_of(memory, rows[i].body), part;

        for (int n = 0; n < rows[i].count; n++) {
            assert_true(gw_body_next(&rest, &part));
            assert_true(gw_bytes_are(part, rows[i].parts[n]));
        }
        assert_false(gw_body_next(&rest, &part));
    }
}

static void pins_are_the_numbers_from_0_to_255(void **state)
{
    static const char *const refused[] = {"",   "256", "999", "1000", "0001", "-1",
                                          "+1", " 1",  "1 ",  "1.0",  "x",    "0x1",
                                          "1a", "1|",  "/",   ":",    "25:",  "\xb2"};
    static const struct {
        const char *text;
        int pin;
    } taken[] = {{"00", 0}, {"007", 7}, {"010", 10}, {"255", 255}};
    char text[256];
    uint8_t pin;

    (void)state;
    for (int n = 0; n < 1000; n++) {
        (void)snprintf(text, sizeof text, "%d", n);
        assert_int_equal(gw_pin_parse(gw_bytes_text(text), &pin), n <= 255);
        if (n <= 255)
            assert_int_equal(pin, n);
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(taken); i++) {
        assert_true(gw_pin_parse(gw_bytes_text(taken[i].text), &pin));
        assert_int_equal(pin, taken[i].pin);
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(refused); i++)
        assert_false(gw_pin_parse(body_of(text, refused[i]), &pin));
}

static void hardware_bodies_are_writes_polls_or_illegal(void **state)
{
    static const struct {
        const char *body;
        enum gw_hardware answer;
        char bank;
        uint8_t pin;
        const char *value;
    } rows[] = {
        {"vw|1|10", GW_HARDWARE_WRITE, 'v', 1, "10"},                     /* D31 */
        {"vw|6|a|b|c", GW_HARDWARE_WRITE, 'v', 6, "a|b|c"},               /* D32 */
        {"vw|2|22.5\xc2\xb0", GW_HARDWARE_WRITE, 'v', 2, "22.5\xc2\xb0"}, /* D34 */
        {"dw|13|1", GW_HARDWARE_WRITE, 'd', 13, "1"},                     /* D35 */
        {"aw|3|512", GW_HARDWARE_WRITE, 'a', 3, "512"},                   /* D35 */
        {"vw|255|x|", GW_HARDWARE_WRITE, 'v', 255, "x|"},
        {"vw|0||", GW_HARDWARE_WRITE, 'v', 0, "|"},  /* a value of one NUL is a value */
        {"vw|1", GW_HARDWARE_ILLEGAL, 0, 0, ""},     /* D36 */
        {"vw|1|", GW_HARDWARE_ILLEGAL, 0, 0, ""},    /* D37 */
        {"vw|256|1", GW_HARDWARE_ILLEGAL, 0, 0, ""}, /* D38 */
        {"vw|x|1", GW_HARDWARE_ILLEGAL, 0, 0, ""},   /* D39 */
        {"vw|", GW_HARDWARE_ILLEGAL, 0, 0, ""},      /* D40 */
        {"vw||1", GW_HARDWARE_ILLEGAL, 0, 0, ""},
        {"vw||", GW_HARDWARE_ILLEGAL, 0, 0, ""},
        {"", GW_HARDWARE_ILLEGAL, 0, 0, ""},
        {"dr|5", GW_HARDWARE_IGNORED, 0, 0, ""},
        {"pm|1|out", GW_HARDWARE_IGNORED, 0, 0, ""},
        {"xw|1|1", GW_HARDWARE_IGNORED, 0, 0, ""},
        {"vww|1|1", GW_HARDWARE_IGNORED, 0, 0, ""},
        {"VW|1|1", GW_HARDWARE_IGNORED, 0, 0, ""},
        {"||||", GW_HARDWARE_IGNORED, 0, 0, ""},
    };
    char memory[256];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_pin_write out = {0};

        assert_int_equal(gw_hardware_parse(body_of(memory, rows[i].body), &out), rows[i].answer);
        if (rows[i].answer != GW_HARDWARE_WRITE)
            continue;
        assert_int_equal(out.bank, rows[i].bank);
        assert_int_equal(out.pin, rows[i].pin);
        assert_true(is_body(out.value, rows[i].value));
    }
}

/* D33, and with every byte there is as the value. */
static void a_value_is_kept_byte_for_byte(void **state)
{
    uint8_t body[5 + 256] = "vw\0007";
    struct gw_pin_write out;

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        body[5 + i] = (uint8_t)i;
    for (size_t from = 1; from <= 256; from++) {
        assert_int_equal(gw_hardware_parse(gw_bytes_of(body, 5 + from), &out), GW_HARDWARE_WRITE);
        assert_ptr_equal(out.value.data, body + 5);
        assert_int_equal(out.value.size, from);
    }
}

static void properties_name_pins_a_property_and_a_value(void **state)
{
    static const struct {
        const char *body;
        int pin, pin_count; /* 0 pins: refused */
        const char *name, *value;
    } rows[] = {
        {"1|color|#D3435C", 1, 1, "color", "#D3435C"},         /* F49 */
        {"0|1|2|isDisabled|true", 0, 3, "isDisabled", "true"}, /* F50 */
        {"1|color", 0, 0, "", ""},                             /* F51 */
        {"1|color|", 0, 0, "", ""},
        {"7|max|100", 7, 1, "max", "100"},
        {"7|labels|a|b|c", 7, 1, "labels", "a|b|c"},
        {"7|labels||b", 7, 1, "labels", "|b"},
        {"", 0, 0, "", ""},
        {"1", 0, 0, "", ""},
        {"1|2|3", 0, 0, "", ""},
        {"color|x", 0, 0, "", ""},
        {"x|color|y", 0, 0, "", ""},
        {"1||y", 0, 0, "", ""},
        {"256|color|y", 0, 0, "", ""},
        {"1|256|y", 0, 0, "", ""}, /* a pin out of range is no property's name */
        {"1|0002|color|y", 0, 0, "", ""},
        {"1|-2|y", 1, 1, "-2", "y"},
    };
    char memory[256];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_property out = {0};

        assert_int_equal(gw_property_parse(body_of(memory, rows[i].body), &out),
                         rows[i].pin_count > 0);
        if (rows[i].pin_count == 0)
            continue;
        assert_int_equal(out.pin, rows[i].pin);
        assert_int_equal(out.pin_count, rows[i].pin_count);
        assert_true(gw_bytes_are(out.name, rows[i].name));
        assert_true(is_body(out.value, rows[i].value));
    }
}

/* A body of `pins` pins, a name and a value. */
static struct gw_bytes body_of_pins(uint8_t *memory, size_t pins)
{
    static const uint8_t ending[] = {'a', 0, 'b'};

    for (size_t i = 0; i < pins; i++) {
        memory[2 * i] = '9';
        memory[2 * i + 1] = 0;
    }
    memcpy(memory + 2 * pins, ending, sizeof ending);
    return gw_bytes_of(memory, 2 * pins + sizeof ending);
}

static void pins_are_counted_as_far_as_a_count_goes(void **state)
{
    /* 32766 is the most that a frame's body holds beside a name and a value. */
    static const size_t counts[] = {1, 2, 255, 256, 257, 32766, 65535, 65536};
    static uint8_t memory[2 * 65536 + 3];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(counts); i++) {
        struct gw_property out = {0};
        bool good = gw_property_parse(body_of_pins(memory, counts[i]), &out);

        assert_int_equal(good, counts[i] <= UINT16_MAX);
        assert_int_equal(out.pin_count, good ? counts[i] : 0);
    }
}

static void events_have_a_code_and_perhaps_a_text(void **state)
{
    static const struct {
        const char *body;
        bool good;
        const char *code, *text;
    } rows[] = {
        {"hot|desc", true, "hot", "desc"}, /* F52 */
        {"", false, "", ""},               /* F53 */
        {"hot", true, "hot", ""},          /* F54 */
        {"hot|all", true, "hot", "all"},   /* F54 */
        {"hot|", true, "hot", ""},
        {"|desc", false, "", ""},
        {"hot|a|b", true, "hot", "a|b"},
    };
    char memory[256];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_event out = {0};

        assert_int_equal(gw_event_parse(body_of(memory, rows[i].body), &out), rows[i].good);
        if (!rows[i].good)
            continue;
        assert_true(gw_bytes_are(out.code, rows[i].code));
        assert_true(is_body(out.text, rows[i].text));
    }
}

static void groups_begin_and_end(void **state)
{
    static const struct {
        const char *body;
        bool good;
        int what;
        uint64_t time_ms;
    } rows[] = {
        {"b", true, GW_GROUP_BEGIN, 0},                                        /* F55 */
        {"e", true, GW_GROUP_END, 0},                                          /* F55 */
        {"t|1700000000123", true, GW_GROUP_BEGIN_AT, UINT64_C(1700000000123)}, /* F56 */
        {"t|9999999999999999999", true, GW_GROUP_BEGIN_AT, UINT64_C(9999999999999999999)},
        {"t|0|", true, GW_GROUP_BEGIN_AT, 0},
        {"b|", true, GW_GROUP_BEGIN, 0},
        {"t|10000000000000000000", false, 0, 0},
        {"t", false, 0, 0},
        {"t|", false, 0, 0},
        {"t|-1", false, 0, 0},
        {"t|1x", false, 0, 0},
        {"", false, 0, 0},
        {"|b", false, 0, 0},
        {"bb", false, 0, 0},
        {"x", false, 0, 0},
    };
    char memory[256];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_group out;

        assert_int_equal(gw_group_parse(body_of(memory, rows[i].body), &out), rows[i].good);
        if (!rows[i].good)
            continue;
        assert_int_equal(out.what, rows[i].what);
        assert_true(out.time_ms == rows[i].time_ms);
    }
}

static void a_sync_names_a_bank_and_pins_or_nothing(void **state)
{
    static const struct {
        const char *body;
        enum gw_sync what;
        char bank;
        const char *pins;
    } rows[] = {
        {"", GW_SYNC_ALL, 0, NULL},           {"vr", GW_SYNC_ILLEGAL, 0, NULL},
        {"vr|", GW_SYNC_ILLEGAL, 0, NULL},    {"vr|1", GW_SYNC_PINS, 'v', "1"},
        {"vr|1|2", GW_SYNC_PINS, 'v', "1|2"}, {"dr|1|", GW_SYNC_PINS, 'd', "1|"},
        {"ar||x", GW_SYNC_PINS, 'a', "|x"},   {"vw|1", GW_SYNC_IGNORED, 0, NULL},
        {"xr|1", GW_SYNC_IGNORED, 0, NULL},   {"v|1", GW_SYNC_IGNORED, 0, NULL},
        {"vrr|1", GW_SYNC_IGNORED, 0, NULL},  {"|1", GW_SYNC_IGNORED, 0, NULL},
    };
    char memory[256];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_sync_pins out;

        assert_int_equal(gw_sync_parse(body_of(memory, rows[i].body), &out), rows[i].what);
        if (rows[i].what != GW_SYNC_PINS)
            continue;
        assert_int_equal(out.bank, rows[i].bank);
        assert_true(is_body(out.pins, rows[i].pins));
    }
}

static void bridges_name_a_device_or_write_to_it(void **state)
{
    static const struct {
        const char *body;
        bool good;
        uint8_t number;
        const char *token, *write;
    } rows[] = {
        {"64|i|token", true, 64, "token", ""}, /* F61 */
        {"64|vw|1|5", true, 64, "", "vw|1|5"}, /* F62 */
        {"0|aw|255|a|b", true, 0, "", "aw|255|a|b"},
        {"255|dw|13|1", true, 255, "", "dw|13|1"},
        {"64|i", false, 0, "", ""},
        {"64|vw|1", false, 0, "", ""},
        {"64|vw|256|1", false, 0, "", ""},
        {"64|dr|5", false, 0, "", ""}, /* a poll would be answered to us */
        {"256|i|token", false, 0, "", ""},
        {"|i|token", false, 0, "", ""},
        {"64", false, 0, "", ""},
        {"", false, 0, "", ""},
    };
    char memory[256], other[256];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_bridge out;

        assert_int_equal(gw_bridge_parse(body_of(memory, rows[i].body), &out), rows[i].good);
        if (!rows[i].good)
            continue;
        assert_int_equal(out.number, rows[i].number);
        assert_true(gw_bytes_equal(out.token, body_of(other, rows[i].token)));
        assert_true(gw_bytes_equal(out.write, body_of(other, rows[i].write)));
    }
}

static void parts_are_joined_by_nuls_if_they_fit(void **state)
{
    const struct gw_bytes parts[] = {gw_bytes_text("vw"), gw_bytes_text("1"), gw_bytes_text(""),
                                     gw_bytes_text("42")};
    static const char whole[] = "vw\0"
                                "1\0\0"
                                "42";
    uint8_t out[16];

    (void)state;
    for (size_t room = 0; room < sizeof whole - 1; room++)
        assert_int_equal(gw_body_join(out, room, parts, 4), 0);
    assert_int_equal(gw_body_join(out, sizeof whole - 1, parts, 4), sizeof whole - 1);
    assert_memory_equal(out, whole, sizeof whole - 1);
    assert_int_equal(gw_body_join(out, sizeof out, parts, 1), 2);
    assert_int_equal(gw_body_join(out, sizeof out, parts, 0), 0);
}

static void every_pin_is_written_as_it_is_read(void **state)
{
    (void)state;
    for (unsigned pin = 0; pin <= UINT8_MAX; pin++) {
        uint8_t body[GW_HARDWARE_HEAD_BYTES_MAX + 1];
        size_t bytes = gw_hardware_head(body, 'd', (uint8_t)pin);
        struct gw_pin_write write;

        assert_in_range(bytes, 5, GW_HARDWARE_HEAD_BYTES_MAX);
        body[bytes] = '7';
        assert_int_equal(gw_hardware_parse(gw_bytes_of(body, bytes + 1), &write),
                         GW_HARDWARE_WRITE);
        assert_int_equal(write.bank, 'd');
        assert_int_equal(write.pin, pin);
        assert_true(gw_bytes_are(write.value, "7"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_end_at_nuls_and_a_trailing_one_is_legal),
        cmocka_unit_test(pins_are_the_numbers_from_0_to_255),
        cmocka_unit_test(hardware_bodies_are_writes_polls_or_illegal),
        cmocka_unit_test(a_value_is_kept_byte_for_byte),
        cmocka_unit_test(properties_name_pins_a_property_and_a_value),
        cmocka_unit_test(pins_are_counted_as_far_as_a_count_goes),
        cmocka_unit_test(events_have_a_code_and_perhaps_a_text),
        cmocka_unit_test(groups_begin_and_end),
        cmocka_unit_test(a_sync_names_a_bank_and_pins_or_nothing),
        cmocka_unit_test(bridges_name_a_device_or_write_to_it),
        cmocka_unit_test(parts_are_joined_by_nuls_if_they_fit),
        cmocka_unit_test(every_pin_is_written_as_it_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
