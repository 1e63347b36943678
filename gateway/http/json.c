/*
 * The cursor over a JSON text.
 */
#include <gw/http/json.h>

#include <string.h>

#include "http_internal.h"

static void skip_blanks(struct gw_json *json)
{
    size_t i = 0;

    /* RFC 8259 2: four characters are white space. */
    while (i < json->rest.size && (json->rest.data[i] == ' ' || json->rest.data[i] == '\t' ||
                                   json->rest.data[i] == '\n' || json->rest.data[i] == '\r'))
        i++;
    json->rest = gw_bytes_after(json->rest, i);
}

bool gw_json_sees(struct gw_json *json, char structural)
{
    skip_blanks(json);
    return json->rest.size > 0 && json->rest.data[0] == (uint8_t)structural;
}

bool gw_json_take(struct gw_json *json, char structural)
{
    if (!gw_json_sees(json, structural))
        return false;
    json->rest = gw_bytes_after(json->rest, 1);
    return true;
}

bool gw_json_ended(struct gw_json *json)
{
    skip_blanks(json);
    return json->rest.size == 0;
}

/* ---- strings ---- */

struct writer {
    uint8_t *out;
    size_t bytes, capacity;
    bool full;
};

static void put(struct writer *writer, uint32_t byte)
{
    if (writer->bytes == writer->capacity)
        writer->full = true;
    else
        writer->out[writer->bytes++] = (uint8_t)byte;
}

static void put_utf8(struct writer *writer, uint32_t code)
{
    if (code < 0x80) {
        put(writer, code);
    } else if (code < 0x800) {
        put(writer, 0xc0 | code >> 6);
        put(writer, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(writer, 0xe0 | code >> 12);
        put(writer, 0x80 | (code >> 6 & 0x3f));
        put(writer, 0x80 | (code & 0x3f));
    } else {
        put(writer, 0xf0 | code >> 18);
        put(writer, 0x80 | (code >> 12 & 0x3f));
        put(writer, 0x80 | (code >> 6 & 0x3f));
        put(writer, 0x80 | (code & 0x3f));
    }
}

/* Four hexadecimal digits; false when they are not there. */
static bool take_unit(struct gw_bytes *rest, uint32_t *out)
{
    *out = 0;
    if (rest->size < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        int digit = http_hex_digit(rest->data[i]);

        if (digit < 0)
            return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    *rest = gw_bytes_after(*rest, 4);
    return true;
}

/* What follows a backslash and 'u'. RFC 8259 7: beyond the first plane it takes two, a pair. */
static bool take_code(struct gw_bytes *rest, uint32_t *code)
{
    uint32_t low;

    if (!take_unit(rest, code))
        return false;
    if (*code < 0xd800 || *code > 0xdfff)
        return true;
    if (*code > 0xdbff || rest->size < 2 || rest->data[0] != '\\' || rest->data[1] != 'u')
        return false;
    *rest = gw_bytes_after(*rest, 2);
    if (!take_unit(rest, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool take_escape(struct gw_bytes *rest, struct writer *writer)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name;
    uint32_t code;
    uint8_t c;

    if (rest->size == 0)
        return false;
    c = rest->data[0];
    *rest = gw_bytes_after(*rest, 1);
    if (c == 'u') {
        if (!take_code(rest, &code))
            return false;
        put_utf8(writer, code);
        return true;
    }
    name = c == '\0' ? NULL : strchr(names, c);
    if (name == NULL)
        return false;
    put(writer, (uint8_t)values[name - names]);
    return true;
}

/* Behind the opening quote. What is no control character passes as it is. */
static bool take_string(struct gw_bytes *rest, struct writer *writer)
{
    while (rest->size > 0 && !writer->full) {
        uint8_t c = rest->data[0];

        *rest = gw_bytes_after(*rest, 1);
        if (c == '"')
            return true;
        if (c < ' ' || (c == '\\' && !take_escape(rest, writer)))
            return false;
        if (c != '\\')
            put(writer, c);
    }
    return false;
}

/* ---- numbers and words ---- */

static size_t digits_of(struct gw_bytes text, size_t from)
{
    size_t i = from;

    while (i < text.size && http_is_digit(text.data[i]))
        i++;
    return i - from;
}

/* RFC 8259 6: [ - ] int [ frac ] [ exp ]. Its length; 0 when there is no number. */
static size_t number_bytes(struct gw_bytes text)
{
    size_t at = text.size > 0 && text.data[0] == '-' ? 1 : 0;
    size_t digits = digits_of(text, at);

    if (digits == 0 || (digits > 1 && text.data[at] == '0'))
        return 0;
    at += digits;
    if (at < text.size && text.data[at] == '.') {
        if ((digits = digits_of(text, at + 1)) == 0)
            return 0;
        at += 1 + digits;
    }
    if (at < text.size && (text.data[at] | 0x20) == 'e') {
        at++;
        if (at < text.size && (text.data[at] == '+' || text.data[at] == '-'))
            at++;
        if ((digits = digits_of(text, at)) == 0)
            return 0;
        at += digits;
    }
    return at;
}

static size_t word_bytes(struct gw_bytes text)
{
    static const char *const words[] = {"true", "false"};

    for (size_t i = 0; i < GW_ARRAY_COUNT(words); i++)
        if (text.size >= strlen(words[i]) && memcmp(text.data, words[i], strlen(words[i])) == 0)
            return strlen(words[i]);
    return 0;
}

bool gw_json_scalar(struct gw_json *json, uint8_t *room, size_t capacity, struct gw_json_value *out)
{
    struct writer writer = {.out = room, .capacity = capacity};
    size_t bytes;

    if (gw_json_take(json, '"')) {
        bool whole = take_string(&json->rest, &writer) && !writer.full;

        *out = (struct gw_json_value){.kind = GW_JSON_STRING,
                                      .text = gw_bytes_of(room, writer.bytes),
                                      .too_long = writer.full};
        return whole;
    }
    out->too_long = false;
    if ((bytes = number_bytes(json->rest)) > 0)
        out->kind = GW_JSON_NUMBER;
    else if ((bytes = word_bytes(json->rest)) > 0)
        out->kind = GW_JSON_BOOLEAN;
    out->text = gw_bytes_of(json->rest.data, bytes);
    json->rest = gw_bytes_after(json->rest, bytes);
    return bytes > 0;
}

bool gw_json_integer(struct gw_bytes text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');

        if (!http_is_digit(text.data[i]) || *out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return text.size > 0;
}
