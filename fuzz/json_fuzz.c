/*
 * Target  gw_json_take, gw_json_scalar, gw_json_ended; gw_json_put_string, gw_json_put_value
 *
 * Input   a text, as the body of a request; and the same bytes as a value to be written
 *
 * Oracle  what is read to its end without null and deeper than we go, another parser (jansson)
 *         reads to the same values; what is written is one scalar to both, and a string of UTF-8
 *         comes back as it was
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/http/json.h>

#include "fuzz.h"

enum { DEPTH_MAX = 8, TEXT_BYTES_MAX = 4096 };

/* Of the other parser's: a number beyond a double's range is an error to it. */
#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

/* Is `theirs` what ours just read? */
static void compare(const struct gw_json_value *ours, const json_t *theirs)
{
    char number[TEXT_BYTES_MAX + 1];

    switch (ours->kind) {
    case GW_JSON_STRING:
        gw_assert(json_is_string(theirs));
        gw_assert(gw_bytes_equal(ours->text, gw_bytes_of((const uint8_t *)json_string_value(theirs),
                                                         json_string_length(theirs))));
        break;
    case GW_JSON_NUMBER:
        gw_assert(json_is_real(theirs) && ours->text.size <= TEXT_BYTES_MAX);
        memcpy(number, ours->text.data, ours->text.size);
        number[ours->text.size] = '\0';
        gw_assert(strtod(number, NULL) == json_real_value(theirs));
        break;
    case GW_JSON_BOOLEAN:
        gw_assert(json_is_boolean(theirs));
        gw_assert(gw_bytes_are(ours->text, json_is_true(theirs) ? "true" : "false"));
        break;
    }
}

/* One value, arrays of them included. `theirs` is NULL while it is only looked whether it is one.
 */
static bool read_value(struct gw_json *json, const json_t *theirs, unsigned depth)
{
    static uint8_t room[TEXT_BYTES_MAX];
    struct gw_json_value value;
    size_t count = 0;

    if (!gw_json_take(json, '[')) {
        if (!gw_json_scalar(json, room, sizeof room, &value))
            return false;
        if (theirs != NULL)
            compare(&value, theirs);
        return true;
    }
    if (depth == DEPTH_MAX)
        return false;
    gw_assert(theirs == NULL || json_is_array(theirs));
    if (gw_json_take(json, ']'))
        return theirs == NULL || json_array_size(theirs) == 0;
    do {
        if (!read_value(json, json_array_get(theirs, count), depth + 1))
            return false;
        count++;
    } while (gw_json_take(json, ','));
    gw_assert(theirs == NULL || count == json_array_size(theirs));
    return gw_json_take(json, ']');
}

/* Bytes that are no UTF-8 pass through us and not through the other; nor do huge numbers. */
static bool is_refused_by_the_other_alone(const json_error_t *why)
{
    const enum json_error_code code = json_error_code(why);

    return code == json_error_invalid_utf8 || code == json_error_numeric_overflow;
}

static void check_reading(struct gw_bytes in)
{
    struct gw_json json = {.rest = in};
    json_error_t why;
    json_t *theirs;

    if (!read_value(&json, NULL, 0) || !gw_json_ended(&json))
        return;
    theirs = json_loadb((const char *)in.data, in.size, FLAGS, &why);
    if (theirs == NULL) {
        gw_assert(is_refused_by_the_other_alone(&why));
        return;
    }
    json.rest = in;
    gw_assert(read_value(&json, theirs, 0));
    json_decref(theirs);
}

static void check_writing(struct gw_bytes value,
                          void (*write)(struct gw_json_out *out, struct gw_bytes value))
{
    static uint8_t text[6 * TEXT_BYTES_MAX + 2], room[3 * TEXT_BYTES_MAX];
    struct gw_json_out out = {.at = text, .capacity = sizeof text};
    struct gw_json json;
    struct gw_json_value ours;
    json_error_t why;
    json_t *theirs;

    write(&out, value);
    gw_assert(!out.full && out.bytes > 0);
    json.rest = gw_bytes_of(text, out.bytes);
    gw_assert(gw_json_scalar(&json, room, sizeof room, &ours) && gw_json_ended(&json));
    theirs = json_loadb((const char *)text, out.bytes, FLAGS, &why);
    gw_assert(theirs != NULL || is_refused_by_the_other_alone(&why));
    if (theirs != NULL)
        compare(&ours, theirs);
    if (theirs != NULL && json_is_string(theirs)) {
        json_t *as_it_was = json_stringn((const char *)value.data, value.size);

        gw_assert(as_it_was == NULL || json_equal(as_it_was, theirs) != 0);
        json_decref(as_it_was);
    }
    json_decref(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_bytes in = gw_bytes_of(data, size);

    if (size > TEXT_BYTES_MAX)
        return 0;
    check_reading(in);
    check_writing(in, gw_json_put_string);
    check_writing(in, gw_json_put_value);
    return 0;
}
