/*
 * What stands in the bodies of device frames. Everything is a view into the body.
 */
#include <gw/wire/body.h>

enum { HARDWARE_BODY_BYTES_MIN = 4, NUMBER_DIGITS_MAX = 19 };

bool gw_body_next(struct gw_bytes *rest, struct gw_bytes *part)
{
    if (rest->size == 0)
        return false;
    const uint8_t *nul = memchr(rest->data, 0, rest->size);
    size_t bytes = nul == NULL ? rest->size : (size_t)(nul - rest->data);

    *part = gw_bytes_of(rest->data, bytes);
    *rest = gw_bytes_after(*rest, nul == NULL ? bytes : bytes + 1);
    return true;
}

bool gw_pin_parse(struct gw_bytes text, uint8_t *pin)
{
    uint32_t value = 0;

    if (text.size == 0 || text.size > 3)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - (uint32_t)'0');
    }
    if (value > UINT8_MAX)
        return false;
    *pin = (uint8_t)value;
    return true;
}

static bool is_bank(uint8_t letter)
{
    return letter == 'v' || letter == 'd' || letter == 'a';
}

enum gw_hardware gw_hardware_parse(struct gw_bytes body, struct gw_pin_write *out)
{
    struct gw_bytes rest = body, operation, pin;

    if (body.size < HARDWARE_BODY_BYTES_MIN || !gw_body_next(&rest, &operation))
        return GW_HARDWARE_ILLEGAL;
    if (operation.size != 2 || operation.data[1] != 'w' || !is_bank(operation.data[0]))
        return GW_HARDWARE_IGNORED;
    if (!gw_body_next(&rest, &pin) || rest.size == 0 || !gw_pin_parse(pin, &out->pin))
        return GW_HARDWARE_ILLEGAL;
    out->bank = (char)operation.data[0];
    out->value = rest;
    return GW_HARDWARE_WRITE;
}

enum gw_sync gw_sync_parse(struct gw_bytes body, struct gw_sync_pins *out)
{
    struct gw_bytes rest = body, operation;

    if (!gw_body_next(&rest, &operation))
        return GW_SYNC_ALL;
    if (rest.size == 0)
        return GW_SYNC_ILLEGAL;
    if (operation.size != 2 || operation.data[1] != 'r' || !is_bank(operation.data[0]))
        return GW_SYNC_IGNORED;
    out->bank = (char)operation.data[0];
    out->pins = rest;
    return GW_SYNC_PINS;
}

static bool is_number(struct gw_bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return text.size > 0;
}

bool gw_property_parse(struct gw_bytes body, struct gw_property *out)
{
    struct gw_bytes rest = body, part;
    uint32_t pins = 0;
    uint8_t pin;

    while (gw_body_next(&rest, &part) && gw_pin_parse(part, &pin))
        if (pins++ == 0)
            out->pin = pin;
    /* `part` is the property's name now, `rest` its value. No property is called by a number: that
       is a pin out of range, and the value may be one. */
    if (pins == 0 || pins > UINT16_MAX || part.size == 0 || rest.size == 0 || is_number(part))
        return false;
    out->pin_count = (uint16_t)pins;
    out->name = part;
    out->value = rest;
    return true;
}

bool gw_event_parse(struct gw_bytes body, struct gw_event *out)
{
    struct gw_bytes rest = body;

    if (!gw_body_next(&rest, &out->code) || out->code.size == 0)
        return false;
    out->text = rest;
    return true;
}

static bool parse_number(struct gw_bytes text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.size == 0 || text.size > NUMBER_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - (uint64_t)'0');
    }
    *out = value;
    return true;
}

bool gw_group_parse(struct gw_bytes body, struct gw_group *out)
{
    struct gw_bytes rest = body, what, time;

    *out = (struct gw_group){.what = GW_GROUP_BEGIN};
    if (!gw_body_next(&rest, &what) || what.size != 1)
        return false;
    switch (what.data[0]) {
    case 'b':
        return true;
    case 'e':
        out->what = GW_GROUP_END;
        return true;
    case 't':
        out->what = GW_GROUP_BEGIN_AT;
        return gw_body_next(&rest, &time) && parse_number(time, &out->time_ms);
    default:
        return false;
    }
}

bool gw_bridge_parse(struct gw_bytes body, struct gw_bridge *out)
{
    struct gw_bytes rest = body, number, what;
    struct gw_pin_write pin_write;

    *out = (struct gw_bridge){0};
    if (!gw_body_next(&rest, &number) || !gw_pin_parse(number, &out->number))
        return false;
    out->write = rest;
    if (gw_hardware_parse(rest, &pin_write) == GW_HARDWARE_WRITE)
        return true;
    out->write = gw_bytes_of(NULL, 0);
    return gw_body_next(&rest, &what) && gw_bytes_are(what, "i") &&
           gw_body_next(&rest, &out->token);
}

size_t gw_hardware_head(uint8_t out[GW_HARDWARE_HEAD_BYTES_MAX], char bank, uint8_t pin)
{
    size_t bytes = 0;

    out[bytes++] = (uint8_t)bank;
    out[bytes++] = 'w';
    out[bytes++] = 0;
    if (pin >= 100)
        out[bytes++] = (uint8_t)('0' + pin / 100);
    if (pin >= 10)
        out[bytes++] = (uint8_t)('0' + pin / 10 % 10);
    out[bytes++] = (uint8_t)('0' + pin % 10);
    out[bytes++] = 0;
    return bytes;
}

size_t gw_body_join(uint8_t *out, size_t capacity, const struct gw_bytes *parts, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        if (parts[i].size + (i > 0) > capacity - bytes)
            return 0;
        if (i > 0)
            out[bytes++] = 0;
        if (parts[i].size > 0)
            memcpy(out + bytes, parts[i].data, parts[i].size);
        bytes += parts[i].size;
    }
    return bytes;
}
