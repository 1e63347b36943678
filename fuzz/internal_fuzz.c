/*
 * Target  gw_internal_parse
 *
 * Input   the body of an INTERNAL frame
 *
 * Oracle  a model that looks each key up in the parts of the body, from behind; an info frame put
 *         together again from what was parsed says the same
 */
#include <stdio.h>

#include <gw/wire/internal.h>

#include "fuzz.h"
#include "parts.h"

static const char *const info_keys[] = {"tmpl", "blynk", "ver",     "mcu",    "ncp",
                                        "fw",   "build", "fw-type", "dev",    "cpu",
                                        "con",  "conn",  "h-beat",  "buff-in"};
static const char *const commands[] = {"rtc", "utc", "meta", "ota", "vfs", "dbg", "acon", "adis"};

static bool is_among(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* The value behind the last of these keys (up to the first NULL); NULL when none stands there. */
static const char *last_of(const struct parts *parts, const char *a, const char *b, const char *c)
{
    for (size_t i = parts->count + parts->count % 2; i >= 2; i -= 2) {
        const char *key = parts_text(parts, i - 2);

        if (strcmp(key, a) == 0 || (b != NULL && strcmp(key, b) == 0) ||
            (c != NULL && strcmp(key, c) == 0))
            return parts_text(parts, i - 1);
    }
    return NULL;
}

static bool says(struct gw_bytes view, const char *text)
{
    return gw_bytes_are(view, text == NULL ? "" : text);
}

static int64_t number(const char *text)
{
    if (text == NULL || !parts_all_digits(text + (text[0] == '-')))
        return -1;
    if (text[0] == '-')
        return 0;
    unsigned long long value = strtoull(text, NULL, 10); /* ULLONG_MAX when it is too long */

    return value > INT32_MAX ? INT32_MAX : (int64_t)value;
}

static void check_info(const struct gw_info *info, const struct parts *parts)
{
    const char *blynk = last_of(parts, "blynk", NULL, NULL);

    if (blynk == NULL || blynk[0] == '\0')
        blynk = last_of(parts, "ver", NULL, NULL);
    gw_assert(says(info->library, blynk));
    gw_assert(says(info->product, last_of(parts, "tmpl", NULL, NULL)));
    gw_assert(says(info->firmware, last_of(parts, "mcu", "ncp", "fw")));
    gw_assert(says(info->firmware_type, last_of(parts, "fw-type", NULL, NULL)));
    gw_assert(says(info->build, last_of(parts, "build", NULL, NULL)));
    gw_assert(says(info->board, last_of(parts, "dev", NULL, NULL)));
    gw_assert(says(info->cpu, last_of(parts, "cpu", NULL, NULL)));
    gw_assert(says(info->connection, last_of(parts, "con", "conn", NULL)));
    gw_assert(info->heartbeat_s == number(last_of(parts, "h-beat", NULL, NULL)));
    gw_assert(info->buffer_bytes == number(last_of(parts, "buff-in", NULL, NULL)));
}

static size_t put(char *out, size_t used, const char *key, struct gw_bytes value)
{
    size_t key_bytes = strlen(key) + 1;

    memcpy(out + used, key, key_bytes);
    if (value.size > 0)
        memcpy(out + used + key_bytes, value.data, value.size);
    out[used + key_bytes + value.size] = '\0';
    return used + key_bytes + value.size + 1;
}

static void check_info_again(const struct gw_info *info)
{
    static char body[2 * PARTS_BYTES_MAX];
    struct gw_internal_request out;
    size_t used = put(body, 0, "blynk", info->library);

    used = put(body, used, "tmpl", info->product);
    used = put(body, used, "fw", info->firmware);
    used = put(body, used, "fw-type", info->firmware_type);
    used = put(body, used, "build", info->build);
    used = put(body, used, "dev", info->board);
    used = put(body, used, "cpu", info->cpu);
    used = put(body, used, "con", info->connection);
    gw_internal_parse(gw_bytes_of(body, used), &out);
    gw_assert(out.what == GW_INTERNAL_INFO);
    gw_assert(gw_bytes_equal(out.info.library, info->library));
    gw_assert(gw_bytes_equal(out.info.product, info->product));
    gw_assert(gw_bytes_equal(out.info.firmware, info->firmware));
    gw_assert(gw_bytes_equal(out.info.firmware_type, info->firmware_type));
    gw_assert(gw_bytes_equal(out.info.build, info->build));
    gw_assert(gw_bytes_equal(out.info.board, info->board));
    gw_assert(gw_bytes_equal(out.info.cpu, info->cpu));
    gw_assert(gw_bytes_equal(out.info.connection, info->connection));
    gw_assert(out.info.heartbeat_s == -1 && out.info.buffer_bytes == -1);
}

static enum gw_internal expected_kind(const struct parts *parts)
{
    const char *first = parts_text(parts, 0), *verb = parts_text(parts, 1);

    if (parts->count == 0)
        return GW_INTERNAL_EMPTY;
    if (strcmp(first, "rtc") == 0)
        return GW_INTERNAL_RTC;
    if (strcmp(first, "utc") == 0)
        return GW_INTERNAL_UTC;
    if (strcmp(first, "meta") == 0 && parts_text(parts, 2)[0] != '\0') {
        if (strcmp(verb, "get") == 0)
            return GW_INTERNAL_META_GET;
        if (strcmp(verb, "set") == 0)
            return GW_INTERNAL_META_SET;
    }
    if (is_among(first, commands, GW_ARRAY_COUNT(commands)))
        return GW_INTERNAL_UNKNOWN;
    for (size_t i = 0; i < parts->count; i += 2)
        if (is_among(parts_text(parts, i), info_keys, GW_ARRAY_COUNT(info_keys)))
            return GW_INTERNAL_INFO;
    return GW_INTERNAL_UNKNOWN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct parts parts;
    struct gw_internal_request out;

    if (!parts_split(&parts, data, size))
        return 0;
    gw_internal_parse(gw_bytes_of(data, size), &out);
    gw_assert(out.what == expected_kind(&parts));
    switch (out.what) {
    case GW_INTERNAL_INFO:
        check_info(&out.info, &parts);
        check_info_again(&out.info);
        break;
    case GW_INTERNAL_UTC:
        gw_assert(says(out.argument, parts_text(&parts, 1)));
        break;
    case GW_INTERNAL_META_GET:
    case GW_INTERNAL_META_SET:
        gw_assert(says(out.argument, parts_text(&parts, 2)));
        gw_assert(parts_view_is_rest(&parts, out.value, parts_left_after(&parts, 2)));
        break;
    case GW_INTERNAL_EMPTY:
    case GW_INTERNAL_RTC:
    case GW_INTERNAL_UNKNOWN:
        break;
    }
    return 0;
}
