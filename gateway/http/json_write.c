/*
 * JSON as bytes, for what others wrote and nobody may have checked.
 */
#include <gw/http/json.h>

#include <string.h>

#include <gw/base/utf8.h>

static void put(struct gw_json_out *out, const void *data, size_t bytes)
{
    if (out->full || bytes > out->capacity - out->bytes) {
        out->full = true;
        return;
    }
    memcpy(out->at + out->bytes, data, bytes);
    out->bytes += bytes;
}

void gw_json_put(struct gw_json_out *out, const char *text)
{
    put(out, text, strlen(text));
}

/* RFC 8259 7: below U+0020, the quote and the backslash must be escaped. */
static void put_byte(struct gw_json_out *out, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    char escape[] = {'\\', (char)byte}, code[] = "\\u0000";

    if (byte == '"' || byte == '\\') {
        put(out, escape, sizeof escape);
    } else if (byte < 0x20) {
        code[4] = digits[byte >> 4];
        code[5] = digits[byte & 15];
        put(out, code, sizeof code - 1);
    } else {
        put(out, &byte, 1);
    }
}

void gw_json_put_string(struct gw_json_out *out, struct gw_bytes value)
{
    size_t bytes;

    gw_json_put(out, "\"");
    for (size_t i = 0; i < value.size && !out->full; i += bytes == 0 ? 1 : bytes) {
        const uint8_t *at = value.data + i;

        bytes = gw_utf8_bytes(gw_bytes_of(at, value.size - i));
        if (bytes == 0)
            gw_json_put(out, "\\ufffd");
        else if (bytes == 1)
            put_byte(out, *at);
        else
            put(out, at, bytes);
    }
    gw_json_put(out, "\"");
}

void gw_json_put_value(struct gw_json_out *out, struct gw_bytes value)
{
    struct gw_json json = {.rest = value};
    struct gw_json_value scalar;
    uint8_t none;

    if (value.size > 0 && gw_json_scalar(&json, &none, 0, &scalar) &&
        scalar.kind == GW_JSON_NUMBER && scalar.text.size == value.size)
        put(out, value.data, value.size);
    else
        gw_json_put_string(out, value);
}
