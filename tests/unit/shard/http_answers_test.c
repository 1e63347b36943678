/*
 * What HTTP answers with, over an index and a store that are the test's: last and initial values as
 * one, bodies to the byte, and 503 for whatever cannot be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gw/token/details.h>

#include "http_internal.h"

enum { DEVICE = 7, PRODUCT = 3, PINS = 256, NUMBER = 300 };

/* ---- an index and a store ---- */

static struct {
    const char *written[PINS]; /* of the virtual pins */
    int written_err;
    struct gw_stream streams[PINS]; /* type 0: none */
    int index_err;                  /* of every look-up */
    bool index_gone;
    const char *field;
} world;

static struct gw_index_reader *const index_reader = (struct gw_index_reader *)&world;
static struct gw_values_reader *const values_reader = (struct gw_values_reader *)&world;

int gw_values_get(struct gw_values_reader *reader, uint32_t device, char bank, uint8_t pin,
                  struct gw_value *out)
{
    assert_ptr_equal(reader, values_reader);
    assert_int_equal(device, DEVICE);
    if (world.written_err != 0)
        return world.written_err;
    if (bank != 'v' || world.written[pin] == NULL)
        return -ENOENT;
    *out = (struct gw_value){.bank = bank, .pin = pin, .bytes = gw_bytes_text(world.written[pin])};
    return 0;
}

int gw_values_each(struct gw_values_reader *reader, uint32_t device, char bank, uint8_t from,
                   bool (*visit)(void *context, const struct gw_value *value), void *context)
{
    struct gw_value value;

    if (world.written_err != 0)
        return world.written_err;
    for (unsigned pin = from; pin < PINS; pin++)
        if (gw_values_get(reader, device, bank, (uint8_t)pin, &value) == 0 &&
            !visit(context, &value))
            break;
    return 0;
}

const struct gw_index_view *gw_index_reader_view(struct gw_index_reader *reader)
{
    assert_ptr_equal(reader, index_reader);
    return world.index_gone ? NULL : (const struct gw_index_view *)&world;
}

int gw_catalog_stream_next(const struct gw_index_view *view, uint32_t product, int after,
                           struct gw_stream *out)
{
    (void)view;
    assert_int_equal(product, PRODUCT);
    if (world.index_err != 0)
        return world.index_err;
    while (++after < PINS)
        if (world.streams[after].type != 0) {
            *out = world.streams[after];
            out->pin = (uint8_t)after;
            return 0;
        }
    return -ENOENT;
}

int gw_index_stream(struct gw_index_reader *reader, uint32_t product, uint8_t pin,
                    struct gw_stream *out)
{
    struct gw_stream any;

    assert_ptr_equal(reader, index_reader);
    if (world.index_err != 0)
        return world.index_err;
    *out = world.streams[pin];
    if (out->type != 0)
        return 0;
    return gw_catalog_stream_next(NULL, product, -1, &any) == 0 ? -ENOENT : -ENODATA;
}

int gw_index_stream_numbered(struct gw_index_reader *reader, uint32_t product, uint16_t number,
                             struct gw_stream *out)
{
    assert_ptr_equal(reader, index_reader);
    assert_int_equal(product, PRODUCT);
    if (world.index_err != 0)
        return world.index_err;
    *out = (struct gw_stream){.pin = 5, .type = GW_STREAM_INT};
    return number == NUMBER ? 0 : -ENOENT;
}

int gw_index_field_name(struct gw_index_reader *reader, uint32_t product, uint16_t number,
                        struct gw_bytes *name)
{
    assert_ptr_equal(reader, index_reader);
    assert_int_equal(product, PRODUCT);
    if (world.index_err != 0)
        return world.index_err;
    *name = gw_bytes_text("Room");
    return number == NUMBER ? 0 : -ENOENT;
}

int gw_index_event(struct gw_index_reader *reader, uint32_t product, struct gw_bytes code,
                   struct gw_bytes *name)
{
    (void)reader, (void)product, (void)code, (void)name;
    return world.index_err != 0 ? world.index_err : -ENODATA;
}

int gw_index_field(struct gw_index_reader *reader, uint32_t device, struct gw_bytes name,
                   struct gw_bytes *value)
{
    (void)reader, (void)device, (void)name;
    if (world.index_err != 0)
        return world.index_err;
    if (world.field == NULL)
        return -ENOENT;
    *value = gw_bytes_text(world.field);
    return 0;
}

static const struct pin_source source = {
    .values = values_reader, .index = index_reader, .device = DEVICE, .product = PRODUCT};

static void give_stream(uint8_t pin, bool sync, const char *initial)
{
    world.streams[pin] = (struct gw_stream){
        .pin = pin, .type = GW_STREAM_STRING, .sync = sync, .initial = gw_bytes_text(initial)};
}

static int clear(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    return 0;
}

/* ---- values as one ---- */

struct seen {
    char text[256];
    unsigned count, count_max;
    uint8_t last;
};

static bool see(void *context, const struct gw_value *value)
{
    struct seen *seen = context;
    size_t at = strlen(seen->text);

    seen->last = value->pin;
    if (seen->count == seen->count_max)
        return false;
    seen->count++;
    (void)snprintf(seen->text + at, sizeof seen->text - at, "%s%u=%.*s", at > 0 ? " " : "",
                   value->pin, (int)value->bytes.size, (const char *)value->bytes.data);
    return true;
}

static const char *all_of(enum pin_choice choice, uint8_t from)
{
    static struct seen seen;

    seen = (struct seen){.count_max = UINT32_MAX};
    assert_int_equal(pin_values_each(&source, from, choice, see, &seen), 0);
    return seen.text;
}

static void a_pin_that_was_never_written_has_its_initial_value(void **state)
{
    struct gw_value value;

    (void)state;
    world.written[1] = "w";
    assert_int_equal(pin_value_get(&source, 'v', 2, &value), -ENOENT); /* no streams at all */
    assert_string_equal(all_of(PINS_ALL, 0), "1=w");
    assert_string_equal(all_of(PINS_SYNCED, 0), "1=w");
    assert_string_equal(all_of(PINS_MARKED, 0), "");

    give_stream(1, false, "i");
    give_stream(2, false, "i");
    give_stream(3, true, "");
    assert_int_equal(pin_value_get(&source, 'v', 1, &value), 0);
    assert_true(gw_bytes_are(value.bytes, "w"));
    assert_int_equal(pin_value_get(&source, 'v', 2, &value), 0);
    assert_true(gw_bytes_are(value.bytes, "i"));
    assert_int_equal(value.bank, 'v');
    assert_int_equal(value.pin, 2);
    assert_int_equal(pin_value_get(&source, 'v', 3, &value), -ENOENT);
    assert_int_equal(pin_value_get(&source, 'v', 4, &value), -ENOENT); /* no stream of its own */
    assert_int_equal(pin_value_get(&source, 'd', 2, &value), -ENOENT); /* streams are virtual */
}

static void pins_come_in_order_each_once(void **state)
{
    (void)state;
    world.written[1] = world.written[5] = world.written[200] = world.written[254] = "w";
    give_stream(0, true, "i");
    give_stream(1, true, "i");
    give_stream(5, false, "i");
    give_stream(7, false, "i");
    give_stream(9, true, "");
    give_stream(254, true, "");
    give_stream(255, true, "i");
    assert_string_equal(all_of(PINS_ALL, 0), "0=i 1=w 5=w 7=i 200=w 254=w 255=i");
    assert_string_equal(all_of(PINS_SYNCED, 0), "0=i 1=w 254=w 255=i");
    assert_string_equal(all_of(PINS_MARKED, 0), "0=i 1=w 254=w 255=i");
    assert_string_equal(all_of(PINS_ALL, 5), "5=w 7=i 200=w 254=w 255=i");
    assert_string_equal(all_of(PINS_ALL, 255), "255=i");
}

/* As a sync does that finds no room: it goes on with the pin that had none. */
static void a_walk_may_be_cut_anywhere(void **state)
{
    static const char whole[] = "0=i 1=w 5=w 7=i 200=w 254=w 255=i";

    (void)state;
    pins_come_in_order_each_once(state);
    for (unsigned piece = 1; piece <= 8; piece++) {
        struct seen seen = {.last = 0};
        unsigned before;

        do {
            before = seen.count;
            seen.count_max = before + piece;
            assert_int_equal(pin_values_each(&source, seen.last, PINS_ALL, see, &seen), 0);
            assert_true(strlen(seen.text) <= strlen(whole)); /* none comes twice */
        } while (seen.count == before + piece && strcmp(seen.text, whole) != 0);
        assert_string_equal(seen.text, whole);
    }
}

/* ---- bodies ---- */

static struct http_call call;

static void ask(int form, uint32_t pin_count)
{
    memset(&call, 0, offsetof(struct http_call, text));
    call.status = 200;
    call.what = HTTP_CALL_VALUES;
    call.form = form;
    call.pin_count = pin_count;
    for (uint32_t i = 0; i < pin_count; i++)
        call.pins[i] = (struct http_pin){.bank = 'v', .number = (uint8_t)(i + 1)};
}

static void a_body_may_be_as_long_as_its_room(void **state)
{
    static const char expected[] = "{\"v1\":\"a\\\"b\",\"v2\":[2,\"x\"]}";
    uint8_t room[sizeof expected];
    struct http_body body;

    (void)state;
    world.written[1] = "a\"b";
    give_stream(2, false, "");
    world.streams[2].initial = gw_bytes_of("2\0x", 3);
    world.streams[2].type = GW_STREAM_LOCATION; /* of strings, 2 would be one */
    for (size_t capacity = 0; capacity <= sizeof expected; capacity++) {
        ask(HTTP_VALUES_NAMED, 2);
        if (capacity >= sizeof expected - 1) {
            assert_true(http_values_read(&source, &call, room, capacity, &body));
            assert_true(gw_bytes_are(body.bytes, expected));
        } else {
            assert_false(http_values_read(&source, &call, room, capacity, &body));
            assert_int_equal(call.status, 400);
        }
    }
    ask(HTTP_VALUES_TEXT, 1); /* it is sent from where it lies, and bounded all the same */
    assert_true(http_values_read(&source, &call, room, 3, &body));
    assert_true(gw_bytes_are(body.bytes, "a\"b"));
    ask(HTTP_VALUES_TEXT, 1);
    assert_false(http_values_read(&source, &call, room, 2, &body));
    assert_int_equal(call.status, 400);
}

/* What looks like a number may be none, where the product says so. */
static void a_datastream_of_strings_has_strings(void **state)
{
    uint8_t room[64];
    struct http_body body;

    (void)state;
    world.written[1] = "1e999";
    world.written[2] = "1e999";
    ask(HTTP_VALUES_NAMED, 2);
    assert_true(http_values_read(&source, &call, room, sizeof room, &body));
    assert_true(gw_bytes_are(body.bytes, "{\"v1\":1e999,\"v2\":1e999}"));
    give_stream(2, false, "");
    ask(HTTP_VALUES_NAMED, 2);
    assert_true(http_values_read(&source, &call, room, sizeof room, &body));
    assert_true(gw_bytes_are(body.bytes, "{\"v1\":1e999,\"v2\":\"1e999\"}"));
}

static void a_field_is_a_text(void **state)
{
    uint8_t room[64];
    struct http_body body;

    (void)state;
    ask(0, 0);
    assert_false(http_field_read(index_reader, DEVICE, &call, room, sizeof room, &body));
    assert_int_equal(call.status, 400);
    world.field = "A\"7";
    ask(0, 0);
    assert_true(http_field_read(index_reader, DEVICE, &call, room, sizeof room, &body));
    assert_true(gw_bytes_are(body.bytes, "{\"type\":\"Text\",\"value\":\"A\\\"7\"}"));
}

/* ---- numbers ---- */

/* A call with one record and one pin, whatever it is for. */
static void name_by_number(int what, int numbered, uint16_t number)
{
    ask(0, 1);
    call.what = what;
    call.record_count = 1;
    call.records[0] = (struct gw_record){.kind = GW_RECORD_PIN_WRITE, .bank = 'v', .pin = 0};
    call.numbered = numbered;
    call.number = number;
    http_call_resolve(index_reader, PRODUCT, &call);
}

static void a_number_is_what_the_product_says(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint16_t number;
    } words[] = {{"1", true, 1},
                 {"65535", true, UINT16_MAX},
                 {"65536", true, 0},
                 {"0", true, 0},
                 {"", false, 0},
                 {"x", false, 0},
                 {"-1", false, 0},
                 {"1.0", false, 0},
                 {"18446744073709551616", false, 0},
                 {"007", true, 7}};
    static const struct {
        int what, numbered;
        const char *message;
    } unknown[] = {
        {HTTP_CALL_RECORDS, HTTP_NUMBER_OF_STREAM, "No datastream setup for that pin."},
        {HTTP_CALL_POINTS, HTTP_NUMBER_OF_STREAM, "No datastream setup for that pin."},
        {HTTP_CALL_VALUES, HTTP_NUMBER_OF_STREAM,
         "Requested dataStream doesn't exist in the product."},
        {HTTP_CALL_FIELD, HTTP_NUMBER_OF_FIELD, "MetaField doesn't exist."},
        {HTTP_CALL_RECORDS, HTTP_NUMBER_OF_FIELD, "MetaField doesn't exist"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(words); i++) {
        uint16_t number = 9;

        assert_int_equal(http_number_of(gw_bytes_text(words[i].text), &number), words[i].good);
        assert_true(!words[i].good || number == words[i].number);
    }
    name_by_number(HTTP_CALL_RECORDS, HTTP_NUMBER_OF_STREAM, NUMBER);
    assert_int_equal(call.status, 200);
    assert_int_equal(call.records[0].pin, 5);
    assert_int_equal(call.pins[0].number, 5);
    name_by_number(HTTP_CALL_RECORDS, HTTP_NUMBER_OF_FIELD, NUMBER);
    assert_int_equal(call.status, 200);
    assert_true(gw_bytes_are(call.field, "Room") && gw_bytes_are(call.records[0].name, "Room"));
    name_by_number(HTTP_CALL_RECORDS, HTTP_NUMBER_OF_NONE, NUMBER);
    assert_int_equal(call.records[0].pin, 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(unknown); i++)
        for (uint16_t number = 0; number < 2; number++) {
            name_by_number(unknown[i].what, unknown[i].numbered, number);
            assert_int_equal(call.status, 400);
            assert_string_equal(call.message, unknown[i].message);
        }
}

/* ---- what cannot be read ---- */

static const int errors[] = {-EIO, -EBADMSG, -ENOMEM, -EAGAIN};

static void expect_503(void)
{
    assert_int_equal(call.status, 503);
    assert_string_equal(call.message, "Try again later.");
}

static void values_that_cannot_be_read_are_503_and_never_none(void **state)
{
    static const int forms[] = {HTTP_VALUES_TEXT, HTTP_VALUES_ARRAY, HTTP_VALUES_NAMED,
                                HTTP_VALUES_ALL};
    uint8_t room[256];
    struct http_body body;

    (void)state;
    for (size_t e = 0; e < GW_ARRAY_COUNT(errors); e++)
        for (size_t f = 0; f < GW_ARRAY_COUNT(forms); f++) {
            world.written_err = errors[e];
            ask(forms[f], forms[f] == HTTP_VALUES_ALL ? 0 : 1);
            assert_false(http_values_read(&source, &call, room, sizeof room, &body));
            expect_503();
            world.written_err = 0; /* the store says there is none, and the index fails */
            world.index_err = errors[e];
            ask(forms[f], forms[f] == HTTP_VALUES_ALL ? 0 : 1);
            assert_false(http_values_read(&source, &call, room, sizeof room, &body));
            expect_503();
            world.index_err = 0;
        }
    world.index_gone = true;
    ask(HTTP_VALUES_ALL, 0);
    assert_false(http_values_read(&source, &call, room, sizeof room, &body));
    expect_503();
}

static void a_write_that_cannot_be_checked_is_503(void **state)
{
    static const struct gw_record records[] = {
        {.kind = GW_RECORD_PIN_WRITE, .bank = 'v', .pin = 1, .pin_count = 1},
        {.kind = GW_RECORD_EVENT},
    };
    uint8_t room[64];
    struct http_body body;

    (void)state;
    for (size_t e = 0; e < GW_ARRAY_COUNT(errors); e++) {
        world.index_err = errors[e];
        for (size_t i = 0; i < GW_ARRAY_COUNT(records); i++) {
            ask(0, 0);
            call.what = HTTP_CALL_RECORDS;
            call.record_count = 1;
            call.records[0] = records[i];
            http_call_check(index_reader, PRODUCT, &call);
            expect_503();
        }
        ask(0, 0);
        call.what = HTTP_CALL_POINTS;
        call.records[0] = records[0];
        call.points = gw_bytes_text("[[1,2]]");
        http_call_check(index_reader, PRODUCT, &call);
        expect_503();
        ask(0, 0);
        assert_false(http_field_read(index_reader, DEVICE, &call, room, sizeof room, &body));
        expect_503();
        name_by_number(HTTP_CALL_RECORDS, HTTP_NUMBER_OF_STREAM, NUMBER);
        expect_503();
        name_by_number(HTTP_CALL_FIELD, HTTP_NUMBER_OF_FIELD, NUMBER);
        expect_503();
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_pin_that_was_never_written_has_its_initial_value, clear),
        cmocka_unit_test_setup(pins_come_in_order_each_once, clear),
        cmocka_unit_test_setup(a_walk_may_be_cut_anywhere, clear),
        cmocka_unit_test_setup(a_body_may_be_as_long_as_its_room, clear),
        cmocka_unit_test_setup(a_datastream_of_strings_has_strings, clear),
        cmocka_unit_test_setup(a_field_is_a_text, clear),
        cmocka_unit_test_setup(a_number_is_what_the_product_says, clear),
        cmocka_unit_test_setup(values_that_cannot_be_read_are_503_and_never_none, clear),
        cmocka_unit_test_setup(a_write_that_cannot_be_checked_is_503, clear),
    };

    return cmocka_run_group_tests_name("shard.http_answers", tests, NULL, NULL);
}
