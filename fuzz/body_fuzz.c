/*
 * Target  gw_body_next, gw_pin_parse, gw_hardware_parse, gw_sync_parse, gw_property_parse,
 *         gw_event_parse, gw_group_parse
 *
 * Input   a body, given to all of them
 *
 * Oracle  a naive model of each, made of C strings; a pin write put together again from what was
 *         parsed is parsed the same
 */
#include <stdio.h>

#include <gw/wire/body.h>

#include "fuzz.h"
#include "parts.h"

static void check_parts(struct gw_bytes body, const struct parts *parts)
{
    struct gw_bytes rest = body, part;
    size_t count = 0;

    for (; gw_body_next(&rest, &part); count++) {
        const char *text = parts_text(parts, count);
        uint8_t pin = 0;

        gw_assert(count < parts->count);
        gw_assert(gw_bytes_are(part, text));
        gw_assert(rest.size == parts_left_after(parts, count));
        gw_assert(gw_pin_parse(part, &pin) == parts_is_pin(text));
        gw_assert(!parts_is_pin(text) || pin == strtoul(text, NULL, 10));
    }
    gw_assert(count == parts->count && rest.size == 0);
}

static void check_write_again(const struct gw_pin_write *expected)
{
    uint8_t body[PARTS_BYTES_MAX + 8];
    struct gw_pin_write out = {0};
    int head =
        snprintf((char *)body, sizeof body, "%cw%c%u%c", expected->bank, 0, expected->pin, 0);

    memcpy(body + head, expected->value.data, expected->value.size);
    gw_assert(gw_hardware_parse(gw_bytes_of(body, (size_t)head + expected->value.size), &out) ==
              GW_HARDWARE_WRITE);
    gw_assert(out.bank == expected->bank && out.pin == expected->pin);
    gw_assert(gw_bytes_equal(out.value, expected->value));
}

static void check_hardware(struct gw_bytes body, const struct parts *parts)
{
    const char *operation = parts_text(parts, 0), *pin = parts_text(parts, 1);
    bool writes = strcmp(operation, "vw") == 0 || strcmp(operation, "dw") == 0 ||
                  strcmp(operation, "aw") == 0;
    struct gw_pin_write out = {0};

    switch (gw_hardware_parse(body, &out)) {
    case GW_HARDWARE_WRITE:
        gw_assert(writes && parts->size >= 4 && parts_is_pin(pin));
        gw_assert(out.bank == operation[0] && out.pin == strtoul(pin, NULL, 10));
        gw_assert(out.value.size > 0);
        gw_assert(parts_view_is_rest(parts, out.value, parts_left_after(parts, 1)));
        check_write_again(&out);
        break;
    case GW_HARDWARE_IGNORED:
        gw_assert(parts->size >= 4 && !writes);
        break;
    case GW_HARDWARE_ILLEGAL:
        gw_assert(parts->size < 4 || (writes && (parts->count < 2 || !parts_is_pin(pin) ||
                                                 parts_left_after(parts, 1) == 0)));
        break;
    }
}

static void check_sync(struct gw_bytes body, const struct parts *parts)
{
    const char *operation = parts_text(parts, 0);
    bool known = strcmp(operation, "vr") == 0 || strcmp(operation, "dr") == 0 ||
                 strcmp(operation, "ar") == 0;
    bool named = parts->size > 0 && parts_left_after(parts, 0) > 0;
    struct gw_sync_pins out = {0};

    switch (gw_sync_parse(body, &out)) {
    case GW_SYNC_ALL:
        gw_assert(parts->size == 0);
        break;
    case GW_SYNC_PINS:
        gw_assert(named && known && out.bank == operation[0]);
        gw_assert(parts_view_is_rest(parts, out.pins, parts_left_after(parts, 0)));
        break;
    case GW_SYNC_IGNORED:
        gw_assert(named && !known);
        break;
    case GW_SYNC_ILLEGAL:
        gw_assert(parts->size > 0 && !named);
        break;
    }
}

static void check_property(struct gw_bytes body, const struct parts *parts)
{
    struct gw_property out = {0};
    size_t pins = 0;

    while (pins < parts->count && parts_is_pin(parts_text(parts, pins)))
        pins++;
    const char *name = parts_text(parts, pins);
    bool good = pins > 0 && pins < parts->count && name[0] != '\0' && !parts_all_digits(name) &&
                parts_left_after(parts, pins) > 0;

    gw_assert(gw_property_parse(body, &out) == good);
    if (!good)
        return;
    gw_assert(out.pin == strtoul(parts_text(parts, 0), NULL, 10));
    gw_assert(out.pin_count == pins);
    gw_assert(gw_bytes_are(out.name, name));
    gw_assert(parts_view_is_rest(parts, out.value, parts_left_after(parts, pins)));
}

static void check_event(struct gw_bytes body, const struct parts *parts)
{
    struct gw_event out = {0};
    const char *code = parts_text(parts, 0);

    gw_assert(gw_event_parse(body, &out) == (code[0] != '\0'));
    if (code[0] == '\0')
        return;
    gw_assert(gw_bytes_are(out.code, code));
    gw_assert(parts_view_is_rest(parts, out.text, parts_left_after(parts, 0)));
}

static void check_group(struct gw_bytes body, const struct parts *parts)
{
    const char *what = parts_text(parts, 0), *time = parts_text(parts, 1);
    bool timed = strcmp(what, "t") == 0 && parts_all_digits(time) && strlen(time) <= 19;
    bool good = timed || strcmp(what, "b") == 0 || strcmp(what, "e") == 0;
    struct gw_group out;

    gw_assert(gw_group_parse(body, &out) == good);
    if (!good)
        return;
    gw_assert(out.what == (what[0] == 'b'   ? GW_GROUP_BEGIN
                           : what[0] == 'e' ? GW_GROUP_END
                                            : GW_GROUP_BEGIN_AT));
    gw_assert(out.time_ms == (timed ? strtoull(time, NULL, 10) : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct parts parts;
    struct gw_bytes body = gw_bytes_of(data, size);

    if (!parts_split(&parts, data, size))
        return 0;
    check_parts(body, &parts);
    check_hardware(body, &parts);
    check_sync(body, &parts);
    check_property(body, &parts);
    check_event(body, &parts);
    check_group(body, &parts);
    return 0;
}
