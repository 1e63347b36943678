#include "fixture.h"

#include <math.h>

#include "details_internal.h"

static const struct gw_stream temperature = {.pin = 1,
                                             .number = 258,
                                             .type = GW_STREAM_DOUBLE,
                                             .sync = true,
                                             .has_min = true,
                                             .has_max = true,
                                             .has_decimals = true,
                                             .min = -40,
                                             .max = 85.5,
                                             .decimals = 2,
                                             .name = {(const uint8_t *)"Temperature", 11},
                                             .initial = {(const uint8_t *)"20.5", 4}};

static void add_everything(struct gw_index_writer *writer, const struct fixture *f)
{
    const struct gw_stream mode = {.pin = 255, .number = UINT16_MAX, .type = GW_STREAM_ENUM};
    const struct gw_stream text_stream = {.pin = 0, .type = GW_STREAM_STRING};

    assert_int_equal(gw_index_stream_add(writer, f->product, &temperature), 0);
    assert_int_equal(gw_index_stream_add(writer, f->product, &mode), 0);
    assert_int_equal(gw_index_stream_add(writer, f->product, &text_stream), 0);
    assert_int_equal(gw_index_event_add(writer, f->product, text("hot"), text("Too hot")), 0);
    assert_int_equal(gw_index_event_add(writer, f->product, text("cold"), text("")), 0);
    assert_int_equal(gw_index_field_set(writer, f->device, text("Serial Number"), text("123")), 0);
    assert_int_equal(gw_index_field_set(writer, f->device, text("Room"), text("")), 0);
    assert_int_equal(gw_index_field_name_add(writer, f->product, 1, text("Room")), 0);
    assert_int_equal(gw_index_field_name_add(writer, f->product, UINT16_MAX, text("Serial")), 0);
    assert_int_equal(gw_index_zone_set(writer, f->device, text("Europe/Berlin")), 0);
}

static void expect_everything(struct reading *r, const struct fixture *f)
{
    struct gw_stream stream;
    struct gw_bytes words;

    assert_int_equal(gw_index_stream(r->reader, f->product, 1, &stream), 0);
    assert_int_equal(stream.pin, 1);
    assert_int_equal(stream.type, GW_STREAM_DOUBLE);
    assert_true(stream.sync && stream.has_min && stream.has_max && stream.has_decimals);
    assert_true(stream.min == -40 && stream.max == 85.5);
    assert_int_equal(stream.decimals, 2);
    assert_true(gw_bytes_are(stream.name, "Temperature"));
    assert_true(gw_bytes_are(stream.initial, "20.5"));
    assert_int_equal(gw_index_stream(r->reader, f->product, 255, &stream), 0);
    assert_false(stream.sync || stream.has_min || stream.has_max || stream.has_decimals);
    assert_int_equal(gw_index_stream(r->reader, f->product, 2, &stream), -ENOENT);
    assert_int_equal(gw_index_stream(r->reader, f->plain_product, 1, &stream), -ENODATA);
    assert_int_equal(gw_index_stream_numbered(r->reader, f->product, 258, &stream), 0);
    assert_int_equal(stream.pin, 1);
    assert_int_equal(gw_index_stream_numbered(r->reader, f->product, UINT16_MAX, &stream), 0);
    assert_int_equal(stream.pin, 255);
    assert_int_equal(gw_index_stream_numbered(r->reader, f->product, 1, &stream), -ENOENT);
    assert_int_equal(gw_index_stream_numbered(r->reader, f->plain_product, 258, &stream), -ENODATA);
    assert_int_equal(gw_index_field_name(r->reader, f->product, 1, &words), 0);
    assert_true(gw_bytes_are(words, "Room"));
    assert_int_equal(gw_index_field_name(r->reader, f->product, 256, &words), -ENOENT);
    assert_int_equal(gw_index_field_name(r->reader, f->plain_product, 1, &words), -ENOENT);
    assert_int_equal(gw_index_event(r->reader, f->product, text("hot"), &words), 0);
    assert_true(gw_bytes_are(words, "Too hot"));
    assert_int_equal(gw_index_event(r->reader, f->product, text("ho"), &words), -ENOENT);
    assert_int_equal(gw_index_event(r->reader, f->product, text("hott"), &words), -ENOENT);
    assert_int_equal(gw_index_event(r->reader, f->plain_product, text("hot"), &words), -ENODATA);
    assert_int_equal(gw_index_field(r->reader, f->device, text("Serial Number"), &words), 0);
    assert_true(gw_bytes_are(words, "123"));
    assert_int_equal(gw_index_field(r->reader, f->device, text("Room"), &words), 0);
    assert_int_equal(words.size, 0);
    assert_int_equal(gw_index_field(r->reader, f->device, text("Serial"), &words), -ENOENT);
    assert_int_equal(gw_index_field(r->reader, f->device + 1, text("Room"), &words), -ENOENT);
    assert_int_equal(gw_index_zone(r->reader, f->device, &words), 0);
    assert_true(gw_bytes_are(words, "Europe/Berlin"));
    assert_int_equal(gw_index_zone(r->reader, f->device + 1, &words), -ENOENT);
    gw_index_reader_pause(r->reader);
}

/* An index that was made before there were details; the gateway is not started anew. */
static void a_reader_sees_the_first_details_of_an_index(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    struct gw_stream stream;
    struct gw_bytes words;

    assert_int_equal(gw_index_stream(r.reader, f->product, 1, &stream), -ENODATA);
    assert_int_equal(gw_index_event(r.reader, f->product, text("hot"), &words), -ENODATA);
    assert_int_equal(gw_index_field(r.reader, f->device, text("Room"), &words), -ENOENT);
    assert_int_equal(gw_index_zone(r.reader, f->device, &words), -ENOENT);
    gw_index_reader_pause(r.reader);
    fixture_in_child(f, add_everything);
    expect_everything(&r, f);
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    reading_end(&r);
}

static void walks_meet_each_row_of_their_own_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    const struct gw_index_view *view = gw_index_writer_view(writer);
    struct gw_bytes name = gw_bytes_of(NULL, 0), value;
    struct gw_stream stream;
    uint16_t number;

    add_everything(writer, f);
    assert_int_equal(gw_index_event_add(writer, f->plain_product, text("other"), text("")), 0);
    assert_int_equal(gw_catalog_stream_next(view, f->product, -1, &stream), 0);
    assert_int_equal(stream.pin, 0);
    assert_int_equal(gw_catalog_stream_next(view, f->product, 0, &stream), 0);
    assert_int_equal(stream.pin, 1);
    assert_int_equal(gw_catalog_stream_next(view, f->product, 1, &stream), 0);
    assert_int_equal(stream.pin, 255);
    assert_int_equal(gw_catalog_stream_next(view, f->product, 255, &stream), -ENOENT);
    assert_int_equal(gw_catalog_event_next(view, f->product, name, &name, &value), 0);
    assert_true(gw_bytes_are(name, "cold"));
    assert_int_equal(gw_catalog_event_next(view, f->product, name, &name, &value), 0);
    assert_true(gw_bytes_are(name, "hot") && gw_bytes_are(value, "Too hot"));
    assert_int_equal(gw_catalog_event_next(view, f->product, name, &name, &value), -ENOENT);
    assert_int_equal(gw_catalog_field_name_next(view, f->product, 0, &number, &name), 0);
    assert_true(number == 1 && gw_bytes_are(name, "Room"));
    assert_int_equal(gw_catalog_field_name_next(view, f->product, 1, &number, &name), 0);
    assert_true(number == UINT16_MAX && gw_bytes_are(name, "Serial"));
    assert_int_equal(gw_catalog_field_name_next(view, f->product, number, &number, &name), -ENOENT);
    name = gw_bytes_of(NULL, 0);
    assert_int_equal(gw_catalog_field_next(view, f->device, name, &name, &value), 0);
    assert_true(gw_bytes_are(name, "Room"));
    assert_int_equal(gw_catalog_field_next(view, f->device, name, &name, &value), 0);
    assert_true(gw_bytes_are(name, "Serial Number"));
    assert_int_equal(gw_catalog_field_next(view, f->device, name, &name, &value), -ENOENT);
    gw_index_writer_close(writer);
}

static const uint8_t zeros[GW_STREAM_INITIAL_BYTES_MAX + 1];

static void what_is_refused_leaves_the_transaction_good(void **state)
{
    static const struct {
        const char *what;
        struct gw_stream stream;
    } unsound[] = {
        {"min above max",
         {.type = GW_STREAM_INT, .has_min = true, .min = 2, .has_max = true, .max = 1}},
        {"bounds of a text", {.type = GW_STREAM_STRING, .has_min = true}},
        {"a bound of a place", {.type = GW_STREAM_LOCATION, .has_max = true}},
        {"a bound that is no number", {.type = GW_STREAM_DOUBLE, .has_min = true, .min = NAN}},
        {"a bound without end", {.type = GW_STREAM_DOUBLE, .has_max = true, .max = INFINITY}},
        {"decimals of a whole number", {.type = GW_STREAM_INT, .has_decimals = true}},
        {"too many decimals",
         {.type = GW_STREAM_DOUBLE, .has_decimals = true, .decimals = GW_STREAM_DECIMALS_MAX + 1}},
        {"a default of another type",
         {.type = GW_STREAM_INT, .initial = {(const uint8_t *)"x", 1}}},
        {"a default beyond the bounds",
         {.type = GW_STREAM_INT, .has_max = true, .initial = {(const uint8_t *)"1", 1}}},
        {"a name with a line's end", {.type = GW_STREAM_INT, .name = {(const uint8_t *)"a\nb", 3}}},
        {"a name with a DEL", {.type = GW_STREAM_INT, .name = {(const uint8_t *)"a\x7f", 2}}},
        {"too long a default",
         {.type = GW_STREAM_STRING, .initial = {zeros, GW_STREAM_INITIAL_BYTES_MAX + 1}}},
    };
    static const struct gw_stream same_number = {.pin = 9, .number = 258, .type = GW_STREAM_INT};
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    static const char long_text[GW_FIELD_VALUE_BYTES_MAX + 2] = {[0 ... GW_FIELD_VALUE_BYTES_MAX] =
                                                                     'x'};
    struct gw_bytes words;
    struct reading r;

    add_everything(writer, f);
    for (size_t i = 0; i < GW_ARRAY_COUNT(unsound); i++) {
        struct gw_stream stream = unsound[i].stream;

        stream.pin = 7;
        print_message("  %s\n", unsound[i].what);
        assert_int_equal(gw_index_stream_add(writer, f->product, &stream), -EINVAL);
    }
    assert_int_equal(gw_index_stream_add(writer, f->product, &temperature), -EEXIST);
    assert_int_equal(gw_index_stream_add(writer, 99, &temperature), -ENOENT);
    assert_int_equal(gw_index_stream_remove(writer, f->product, 9), -ENOENT);
    assert_int_equal(gw_index_stream_add(writer, f->product, &same_number), -EEXIST);
    assert_int_equal(gw_index_stream_add(writer, f->plain_product, &same_number), 0);
    assert_int_equal(gw_index_stream_remove(writer, f->plain_product, same_number.pin), 0);
    assert_int_equal(gw_index_field_name_add(writer, f->product, 1, text("other")), -EEXIST);
    assert_int_equal(gw_index_field_name_add(writer, f->product, 0, text("a")), -EINVAL);
    assert_int_equal(gw_index_field_name_add(writer, f->product, 2, text("")), -EINVAL);
    assert_int_equal(gw_index_field_name_add(writer, f->product, 2, text(long_text)), -EINVAL);
    assert_int_equal(gw_index_field_name_add(writer, 99, 2, text("a")), -ENOENT);
    assert_int_equal(gw_index_field_name_remove(writer, f->product, 2), -ENOENT);
    assert_int_equal(gw_index_event_add(writer, f->product, text("hot"), text("")), -EEXIST);
    assert_int_equal(gw_index_event_add(writer, f->product, text(""), text("")), -EINVAL);
    assert_int_equal(gw_index_event_add(writer, 99, text("hot"), text("")), -ENOENT);
    assert_int_equal(gw_index_event_add(writer, f->product, text(long_text), text("")), -EINVAL);
    assert_int_equal(gw_index_event_add(writer, f->product, text("a"), text(long_text)), -EINVAL);
    assert_int_equal(gw_index_event_remove(writer, f->product, text("none")), -ENOENT);
    assert_int_equal(gw_index_event_remove(writer, f->product, text("")), -ENOENT);
    assert_int_equal(gw_index_event_remove(writer, f->product, text(long_text)), -ENOENT);
    assert_int_equal(gw_index_field_remove(writer, f->device, text("")), -ENOENT);
    assert_int_equal(gw_index_field_remove(writer, f->device, text(long_text)), -ENOENT);
    assert_int_equal(gw_index_zone_set(writer, f->device, text(long_text)), -EINVAL);
    assert_int_equal(gw_index_field_set(writer, 99, text("a"), text("b")), -ENOENT);
    assert_int_equal(gw_index_field_set(writer, f->device, text(""), text("b")), -EINVAL);
    assert_int_equal(gw_index_field_set(writer, f->device, text("a"), text(long_text)), -EINVAL);
    assert_int_equal(gw_index_field_set(writer, f->device, text(long_text), text("b")), -EINVAL);
    assert_int_equal(gw_index_field_remove(writer, f->device, text("none")), -ENOENT);
    assert_int_equal(gw_index_zone_set(writer, 99, text("UTC")), -ENOENT);
    writer_commit(writer);
    r = reading_begin(f, false);
    expect_everything(&r, f);
    assert_int_equal(gw_index_event(r.reader, f->product, text(long_text), &words), -ENOENT);
    assert_int_equal(gw_index_field(r.reader, f->device, text(long_text), &words), -ENOENT);
    assert_int_equal(gw_catalog_event_next(gw_index_reader_view(r.reader), f->product,
                                           text(long_text), &words, &words),
                     -ENOENT);
    reading_end(&r);
}

static void what_is_removed_is_gone_and_what_is_set_again_replaced(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    struct gw_stream stream;
    struct gw_bytes words;
    struct reading r;

    add_everything(writer, f);
    for (int pin = 0; pin < 256; pin++)
        assert_int_equal(gw_index_stream_remove(writer, f->product, (uint8_t)pin),
                         pin == 0 || pin == 1 || pin == 255 ? 0 : -ENOENT);
    assert_int_equal(gw_index_event_remove(writer, f->product, text("hot")), 0);
    assert_int_equal(gw_index_field_remove(writer, f->device, text("Room")), 0);
    assert_int_equal(gw_index_field_name_remove(writer, f->product, 1), 0);
    assert_int_equal(gw_index_field_set(writer, f->device, text("Serial Number"), text("4")), 0);
    assert_int_equal(gw_index_zone_set(writer, f->device, text("")), 0);
    assert_int_equal(gw_index_zone_set(writer, f->device, text("")), 0);
    writer_commit(writer);
    r = reading_begin(f, false);
    assert_int_equal(gw_index_stream(r.reader, f->product, 1, &stream), -ENODATA);
    assert_int_equal(gw_index_event(r.reader, f->product, text("hot"), &words), -ENOENT);
    assert_int_equal(gw_index_field(r.reader, f->device, text("Room"), &words), -ENOENT);
    assert_int_equal(gw_index_field_name(r.reader, f->product, 1, &words), -ENOENT);
    assert_int_equal(gw_index_field(r.reader, f->device, text("Serial Number"), &words), 0);
    assert_true(gw_bytes_are(words, "4"));
    assert_int_equal(gw_index_zone(r.reader, f->device, &words), -ENOENT);
    reading_end(&r);
}

static void a_backup_carries_the_details(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    char backup[96];
    const char *why = "";
    struct reading r;

    add_everything(writer, f);
    writer_commit(writer);
    (void)snprintf(backup, sizeof backup, "%s/backup", f->base);
    assert_int_equal(gw_index_backup(f->path, NULL, backup, &why), 0);
    writer = writer_begin(f);
    assert_int_equal(gw_index_zone_set(writer, f->device, text("")), 0);
    writer_commit(writer);
    assert_int_equal(gw_index_restore(f->path, NULL, backup, &why), 0);
    r = reading_begin(f, false);
    expect_everything(&r, f);
    reading_end(&r);
}

static void ignore(void *context, const char *sentence)
{
    (void)context;
    print_message("  %s\n", sentence);
}

static uint64_t faults_of(const struct fixture *f)
{
    struct reading r = reading_begin(f, false);
    uint64_t faults = 0;

    assert_int_equal(gw_catalog_verify(gw_index_reader_view(r.reader), 100, ignore, NULL, &faults),
                     0);
    reading_end(&r);
    return faults;
}

static void damage_is_an_error_and_found_by_verify(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    uint8_t row[GW_DETAIL_ROW_BYTES_MAX];
    struct gw_detail_key key, orphan;
    struct gw_bytes name, words;
    struct reading r;
    size_t size;

    add_everything(writer, f);
    writer_commit(writer);
    assert_int_equal(faults_of(f), 0);
    assert_true(gw_detail_key(GW_DETAIL_ZONE, f->device, gw_bytes_of(NULL, 0), &key));
    name = gw_bytes_of(key.bytes, key.size);
    size = get_raw(f, GW_TABLE_META, name, row);
    for (size_t i = 0; i < size; i++) {
        row[i] ^= 1;
        put_raw(f, GW_TABLE_META, name, gw_bytes_of(NULL, 0), gw_bytes_of(row, size));
        row[i] ^= 1;
        r = reading_begin(f, false);
        assert_int_equal(gw_index_zone(r.reader, f->device, &words), -EBADMSG);
        reading_end(&r);
    }
    assert_int_equal(faults_of(f), 1);
    put_raw(f, GW_TABLE_META, name, gw_bytes_of(NULL, 0), gw_bytes_of(row, size));
    assert_int_equal(faults_of(f), 0);

    /* A row of nobody, and one that stands under another's key. */
    assert_true(gw_detail_key(GW_DETAIL_ZONE, 99, gw_bytes_of(NULL, 0), &orphan));
    gw_detail_seal(gw_bytes_of(orphan.bytes, orphan.size), row, size);
    put_raw(f, GW_TABLE_META, gw_bytes_of(orphan.bytes, orphan.size), gw_bytes_of(NULL, 0),
            gw_bytes_of(row, size));
    assert_int_equal(faults_of(f), 1);
    put_raw(f, GW_TABLE_META, name, gw_bytes_of(NULL, 0), gw_bytes_of(row, size));
    assert_int_equal(faults_of(f), 2);
    put_raw(f, GW_TABLE_META, text("abc"), gw_bytes_of(NULL, 0), gw_bytes_of(row, size));
    assert_int_equal(faults_of(f), 3);
}

#define VALUE(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void values_fit_their_stream_or_do_not(void **state)
{
    static const struct {
        struct gw_stream stream;
        struct gw_bytes value;
        enum gw_stream_fit fit;
    } rows[] = {
#define INT(...) {.type = GW_STREAM_INT, __VA_ARGS__}
#define DOUBLE(...)                                                                                \
    {                                                                                              \
        .type = GW_STREAM_DOUBLE, __VA_ARGS__                                                      \
    }
        {INT(), VALUE("5"), GW_STREAM_FITS},
        {INT(), VALUE("-5"), GW_STREAM_FITS},
        {INT(), VALUE("+5"), GW_STREAM_FITS},
        {INT(), VALUE("5.000"), GW_STREAM_FITS},
        {INT(), VALUE("1e3"), GW_STREAM_FITS},
        {INT(), VALUE("5.5"), GW_STREAM_WRONG_TYPE},
        {INT(), VALUE(""), GW_STREAM_WRONG_TYPE},
        {INT(), VALUE(" 5"), GW_STREAM_WRONG_TYPE},
        {INT(), VALUE("5 "), GW_STREAM_WRONG_TYPE},
        {INT(), VALUE("0x10"), GW_STREAM_WRONG_TYPE},
        {INT(), VALUE("five"), GW_STREAM_WRONG_TYPE},
        {INT(),
         VALUE("5\0"
               "6"),
         GW_STREAM_WRONG_TYPE},
        {INT(), VALUE("-"), GW_STREAM_WRONG_TYPE},
        {INT(), VALUE("-1e17"), GW_STREAM_FITS},
        {INT(), VALUE("1e17"), GW_STREAM_FITS},
        {INT(), VALUE("123456789012345678901234567890"), GW_STREAM_FITS},
        {INT(.has_min = true, .min = 0, .has_max = true, .max = 100), VALUE("0"), GW_STREAM_FITS},
        {INT(.has_min = true, .min = 0, .has_max = true, .max = 100), VALUE("100"), GW_STREAM_FITS},
        {INT(.has_min = true, .min = 0), VALUE("-1"), GW_STREAM_NOT_WITHIN},
        {INT(.has_max = true, .max = 100), VALUE("101"), GW_STREAM_NOT_WITHIN},
        {INT(.has_max = true, .max = 100), VALUE("-1000000"), GW_STREAM_FITS},
        {DOUBLE(), VALUE("5.5"), GW_STREAM_FITS},
        {DOUBLE(), VALUE(".5"), GW_STREAM_FITS},
        {DOUBLE(), VALUE("5."), GW_STREAM_FITS},
        {DOUBLE(), VALUE("."), GW_STREAM_WRONG_TYPE},
        {DOUBLE(), VALUE("1e"), GW_STREAM_WRONG_TYPE},
        {DOUBLE(), VALUE("1e400"), GW_STREAM_WRONG_TYPE},
        {DOUBLE(), VALUE("1e99999999999"), GW_STREAM_WRONG_TYPE},
        {DOUBLE(), VALUE("1e-99999999999"), GW_STREAM_FITS},
        {DOUBLE(), VALUE("0e99999999999"), GW_STREAM_FITS},
        {DOUBLE(), VALUE("0.123456789012345678901234567890"), GW_STREAM_FITS},
        {DOUBLE(), VALUE("nan"), GW_STREAM_WRONG_TYPE},
        {DOUBLE(), VALUE("inf"), GW_STREAM_WRONG_TYPE},
        {DOUBLE(), VALUE("5,5"), GW_STREAM_WRONG_TYPE},
        {DOUBLE(.has_max = true, .max = 0.1), VALUE("0.1"), GW_STREAM_FITS},
        {DOUBLE(.has_max = true, .max = 0.1), VALUE("0.10000001"), GW_STREAM_NOT_WITHIN},
        {{.type = GW_STREAM_ENUM, .has_max = true, .max = 2}, VALUE("2"), GW_STREAM_FITS},
        {{.type = GW_STREAM_ENUM, .has_max = true, .max = 2}, VALUE("3"), GW_STREAM_NOT_WITHIN},
        {{.type = GW_STREAM_ENUM}, VALUE("1.5"), GW_STREAM_WRONG_TYPE},
        {{.type = GW_STREAM_STRING}, VALUE("anything\0at all"), GW_STREAM_FITS},
        {{.type = GW_STREAM_STRING}, VALUE(""), GW_STREAM_FITS},
        {{.type = GW_STREAM_LOCATION},
         VALUE("13.4\0"
               "52.5"),
         GW_STREAM_FITS},
        {{.type = GW_STREAM_LOCATION},
         VALUE("-180\0"
               "-90"),
         GW_STREAM_FITS},
        {{.type = GW_STREAM_LOCATION},
         VALUE("181\0"
               "0"),
         GW_STREAM_NOT_WITHIN},
        {{.type = GW_STREAM_LOCATION},
         VALUE("0\0"
               "90.1"),
         GW_STREAM_NOT_WITHIN},
        {{.type = GW_STREAM_LOCATION},
         VALUE("-181\0"
               "0"),
         GW_STREAM_NOT_WITHIN},
        {{.type = GW_STREAM_LOCATION},
         VALUE("0\0"
               "-90.1"),
         GW_STREAM_NOT_WITHIN},
        {{.type = GW_STREAM_LOCATION},
         VALUE("east\0"
               "0"),
         GW_STREAM_WRONG_TYPE},
        {{.type = GW_STREAM_LOCATION},
         VALUE("0\0"
               "north"),
         GW_STREAM_WRONG_TYPE},
        {{.type = GW_STREAM_LOCATION}, VALUE(""), GW_STREAM_WRONG_TYPE},
        {{.type = GW_STREAM_LOCATION}, VALUE("13.4"), GW_STREAM_WRONG_TYPE},
        {{.type = GW_STREAM_LOCATION},
         VALUE("13.4\0"
               "52.5\0"
               "1"),
         GW_STREAM_WRONG_TYPE},
    };
    static const uint8_t long_text[GW_STREAM_STRING_BYTES_MAX + 1];
    const struct gw_stream string = {.type = GW_STREAM_STRING};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        print_message("  %s %.*s\n", gw_stream_type_word(rows[i].stream.type),
                      (int)rows[i].value.size, (const char *)rows[i].value.data);
        assert_int_equal(gw_stream_check(&rows[i].stream, rows[i].value), rows[i].fit);
    }
    assert_int_equal(gw_stream_check(&string, gw_bytes_of(long_text, sizeof long_text)),
                     GW_STREAM_WRONG_TYPE);
    assert_int_equal(gw_stream_check(&string, gw_bytes_of(long_text, sizeof long_text - 1)),
                     GW_STREAM_FITS);
}

/* What people write is read to the last bit, as strtod reads it. */
static void numbers_are_those_of_strtod(void **state)
{
    static const char *const words[] = {
        "0",        "-0",   "0.1",     "3.14159",    "1e22", "1e-22", "123456789012345",
        "0.000001", "98.6", "-273.15", "6.02214e20", "1E+5"};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(words); i++) {
        double number;

        assert_true(gw_stream_number(text(words[i]), &number));
        assert_true(number == strtod(words[i], NULL));
    }
    for (int i = -99999; i < 100000; i += 7) {
        double number;
        char word[32];

        (void)snprintf(word, sizeof word, "%d.%02d", i / 100, abs(i % 100));
        assert_true(gw_stream_number(text(word), &number));
        assert_true(number == strtod(word, NULL));
    }
}

static void types_have_words(void **state)
{
    enum gw_stream_type type;

    (void)state;
    for (int i = GW_STREAM_INT; i <= GW_STREAM_LOCATION; i++) {
        assert_true(gw_stream_type_of(gw_stream_type_word((enum gw_stream_type)i), &type));
        assert_int_equal(type, i);
    }
    assert_false(gw_stream_type_of("float", &type));
}

#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_INDEX(a_reader_sees_the_first_details_of_an_index),
        WITH_INDEX(walks_meet_each_row_of_their_own_and_no_other),
        WITH_INDEX(what_is_refused_leaves_the_transaction_good),
        WITH_INDEX(what_is_removed_is_gone_and_what_is_set_again_replaced),
        WITH_INDEX(a_backup_carries_the_details),
        WITH_INDEX(damage_is_an_error_and_found_by_verify),
        cmocka_unit_test(values_fit_their_stream_or_do_not),
        cmocka_unit_test(numbers_are_those_of_strtod),
        cmocka_unit_test(types_have_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
