/*
 * INTERNAL frames. The first key may be a command; everything else that holds a key of info frames
 * is one, so that a firmware which puts a new key first is understood too.
 */
#include <gw/wire/internal.h>

#include <gw/wire/body.h>

static const struct {
    const char *key;
    size_t field; /* offset of the struct gw_bytes in struct gw_info, or NONE */
} info_keys[] = {
#define NONE SIZE_MAX
    {"tmpl", offsetof(struct gw_info, product)},
    {"blynk", offsetof(struct gw_info, library)},
    {"mcu", offsetof(struct gw_info, firmware)},
    {"ncp", offsetof(struct gw_info, firmware)},
    {"fw", offsetof(struct gw_info, firmware)},
    {"fw-type", offsetof(struct gw_info, firmware_type)},
    {"build", offsetof(struct gw_info, build)},
    {"dev", offsetof(struct gw_info, board)},
    {"cpu", offsetof(struct gw_info, cpu)},
    {"con", offsetof(struct gw_info, connection)},
    {"conn", offsetof(struct gw_info, connection)},
    {"ver", NONE},
    {"h-beat", NONE},
    {"buff-in", NONE},
};

/* First keys that are not a device's to send, or that the gateway does not know what to do with. */
static const char *const other_commands[] = {"ota", "vfs", "dbg", "acon", "adis"};

static bool is_other_command(struct gw_bytes key)
{
    for (size_t i = 0; i < GW_ARRAY_COUNT(other_commands); i++)
        if (gw_bytes_are(key, other_commands[i]))
            return true;
    return false;
}

/* The row of this key, or the count of rows. */
static size_t info_key(struct gw_bytes key)
{
    size_t i = 0;

    while (i < GW_ARRAY_COUNT(info_keys) && !gw_bytes_are(key, info_keys[i].key))
        i++;
    return i;
}

/* A whole number, negative ones as 0, large ones as 2^31 - 1; -1 for what is no number. */
static int64_t parse_saturated(struct gw_bytes text)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    int64_t value = 0;

    if (negative)
        text = gw_bytes_after(text, 1);
    if (text.size == 0)
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
        if (value > INT32_MAX)
            value = INT32_MAX;
    }
    return negative ? 0 : value;
}

/* False when no key is one that info frames are made of. */
static bool parse_info(struct gw_bytes body, struct gw_info *info)
{
    struct gw_bytes rest = body, key, value, version = {0};
    bool known = false;

    while (gw_body_next(&rest, &key)) {
        if (!gw_body_next(&rest, &value))
            value = gw_bytes_of(NULL, 0);
        size_t row = info_key(key);

        if (row == GW_ARRAY_COUNT(info_keys))
            continue;
        known = true;
        if (info_keys[row].field != NONE)
            memcpy((char *)info + info_keys[row].field, &value, sizeof value);
        else if (gw_bytes_are(key, "ver"))
            version = value;
        else if (gw_bytes_are(key, "h-beat"))
            info->heartbeat_s = parse_saturated(value);
        else
            info->buffer_bytes = parse_saturated(value);
    }
    if (info->library.size == 0)
        info->library = version; /* "ver" is the library's version in old info frames */
    return known;
}

static void parse_meta(struct gw_bytes rest, struct gw_internal_request *out)
{
    struct gw_bytes what, field;

    if (!gw_body_next(&rest, &what) || !gw_body_next(&rest, &field) || field.size == 0)
        return;
    if (gw_bytes_are(what, "get"))
        out->what = GW_INTERNAL_META_GET;
    else if (gw_bytes_are(what, "set"))
        out->what = GW_INTERNAL_META_SET;
    else
        return;
    out->argument = field;
    out->value = rest;
}

void gw_internal_parse(struct gw_bytes body, struct gw_internal_request *out)
{
    struct gw_bytes rest = body, key;

    *out = (struct gw_internal_request){
        .what = GW_INTERNAL_UNKNOWN,
        .info = {.heartbeat_s = -1, .buffer_bytes = -1},
    };
    if (!gw_body_next(&rest, &key)) {
        out->what = GW_INTERNAL_EMPTY;
    } else if (gw_bytes_are(key, "rtc")) {
        out->what = GW_INTERNAL_RTC;
    } else if (gw_bytes_are(key, "utc")) {
        out->what = GW_INTERNAL_UTC;
        if (!gw_body_next(&rest, &out->argument))
            out->argument = gw_bytes_of(NULL, 0);
    } else if (gw_bytes_are(key, "meta")) {
        parse_meta(rest, out);
    } else if (!is_other_command(key) && parse_info(body, &out->info)) {
        out->what = GW_INTERNAL_INFO;
    }
}
