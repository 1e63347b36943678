#include "record_print.h"

#include <ctype.h>
#include <inttypes.h>
#include <time.h>

#include <gw/base/utf8.h>

static bool is_utf8(struct gw_bytes in)
{
    while (in.size > 0) {
        size_t bytes = gw_utf8_bytes(in);

        if (bytes == 0)
            return false;
        in = gw_bytes_after(in, bytes);
    }
    return true;
}

/* ASCII controls, and U+0080 to U+009F, which terminals obey too. */
static bool is_control(struct gw_bytes in)
{
    return in.data[0] < 0x20 || in.data[0] == 0x7f || (in.data[0] == 0xc2 && in.data[1] < 0xa0);
}

static void put_text(FILE *out, struct gw_bytes in)
{
    while (in.size > 0) {
        size_t bytes = gw_utf8_bytes(in);

        if (in.data[0] == '\0') {
            (void)fputs(" | ", out);
            bytes = 1;
        } else if (in.data[0] == '\\') {
            (void)fputs("\\\\", out);
        } else if (bytes == 0 || is_control(in)) {
            (void)fprintf(out, "\\x%02x", in.data[0]);
            bytes = 1;
        } else {
            (void)fwrite(in.data, 1, bytes, out);
        }
        in = gw_bytes_after(in, bytes);
    }
}

static bool has_pin(const struct gw_record *record)
{
    return (record->kind == GW_RECORD_PIN_WRITE || record->kind == GW_RECORD_PROPERTY) &&
           isalpha((unsigned char)record->bank);
}

static void put_time_text(FILE *out, uint64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;
    char text[32] = "?";

    if (localtime_r(&seconds, &tm) != NULL)
        (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    (void)fprintf(out, "%s.%03u", text, (unsigned)(time_us / 1000 % 1000));
}

void record_print_text(FILE *out, const struct gw_journal_item *item)
{
    const struct gw_record *record = &item->record;
    const char *kind = gw_record_kind_text(record->kind);
    const char *origin = gw_record_origin_text(record->flags);

    put_time_text(out, record->time_us);
    (void)fprintf(out, "  device %" PRIu32 "  ", record->device);
    if (has_pin(record))
        (void)fprintf(out, "%c%u", toupper((unsigned char)record->bank), record->pin);
    else if (kind != NULL)
        (void)fputs(kind, out);
    else
        (void)fprintf(out, "kind %u", record->kind);
    if (has_pin(record) && record->pin_count > 1)
        (void)fprintf(out, " (first of %u)", record->pin_count);
    if (origin != NULL)
        (void)fprintf(out, " (%s)", origin);
    if (record->name.size > 0) {
        (void)fputc(' ', out);
        put_text(out, record->name);
    }
    if (record->value.size > 0 || record->kind == GW_RECORD_PIN_WRITE) {
        (void)fputs(" = ", out);
        put_text(out, record->value);
    }
    (void)fputc('\n', out);
}

static void put_base64(FILE *out, struct gw_bytes in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < in.size; i += 3) {
        size_t left = in.size - i;
        uint32_t three = (uint32_t)in.data[i] << 16 |
                         (left > 1 ? (uint32_t)in.data[i + 1] << 8 : 0) |
                         (left > 2 ? in.data[i + 2] : 0);

        (void)fputc(digits[three >> 18], out);
        (void)fputc(digits[three >> 12 & 63], out);
        (void)fputc(left > 1 ? digits[three >> 6 & 63] : '=', out);
        (void)fputc(left > 2 ? digits[three & 63] : '=', out);
    }
}

/* ,"KEY":"text" or ,"KEY_base64":"..." */
static void put_json(FILE *out, const char *key, struct gw_bytes in)
{
    if (!is_utf8(in)) {
        (void)fprintf(out, ",\"%s_base64\":\"", key);
        put_base64(out, in);
        (void)fputc('"', out);
        return;
    }
    (void)fprintf(out, ",\"%s\":\"", key);
    while (in.size > 0) {
        size_t bytes = gw_utf8_bytes(in);

        if (in.data[0] == '"' || in.data[0] == '\\')
            (void)fprintf(out, "\\%c", in.data[0]);
        else if (is_control(in))
            (void)fprintf(out, "\\u%04x", bytes == 1 ? in.data[0] : in.data[1]);
        else
            (void)fwrite(in.data, 1, bytes, out);
        in = gw_bytes_after(in, bytes);
    }
    (void)fputc('"', out);
}

static void put_time_json(FILE *out, uint64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;
    char text[32];

    if (gmtime_r(&seconds, &tm) != NULL &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) > 0)
        (void)fprintf(out, "\"time\":\"%s.%06uZ\",", text, (unsigned)(time_us % 1000000));
    (void)fprintf(out, "\"time_us\":%" PRIu64, time_us);
}

static void damage_print_json(FILE *out, const struct gw_journal_item *item)
{
    (void)fprintf(out,
                  "{\"kind\":\"damage\",\"position\":\"%" PRIu64 ":%" PRIu64 "\",\"bytes\":%" PRIu64
                  ",\"batches_lost\":%" PRIu64 ",\"deleted\":%s}\n",
                  item->position.segment, item->position.offset, item->bytes, item->batches_lost,
                  item->deleted ? "true" : "false");
}

void record_print_json(FILE *out, const struct gw_journal_item *item)
{
    const struct gw_record *record = &item->record;
    const char *kind = gw_record_kind_text(record->kind);
    const char *origin = gw_record_origin_text(record->flags);

    if (item->kind == GW_JOURNAL_DAMAGE) {
        damage_print_json(out, item);
        return;
    }
    (void)fputc('{', out);
    put_time_json(out, record->time_us);
    (void)fprintf(out,
                  ",\"device_time\":%s,\"device\":%" PRIu32 ",\"session\":%" PRIu64
                  ",\"sequence\":%" PRIu32 ",\"msg_id\":%u",
                  (record->flags & GW_RECORD_DEVICE_TIME) != 0 ? "true" : "false", record->device,
                  record->session, record->sequence, record->msg_id);
    if (kind != NULL)
        (void)fprintf(out, ",\"kind\":\"%s\"", kind);
    else
        (void)fprintf(out, ",\"kind\":%u", record->kind);
    if ((record->flags & GW_RECORD_GROUPED) != 0)
        (void)fputs(",\"grouped\":true", out);
    if (origin != NULL)
        (void)fprintf(out, ",\"origin\":\"%s\"", origin);
    if (has_pin(record))
        (void)fprintf(out, ",\"pin\":\"%c%u\"", toupper((unsigned char)record->bank), record->pin);
    if (has_pin(record) && record->pin_count > 1)
        (void)fprintf(out, ",\"pin_count\":%u", record->pin_count);
    if (record->name.size > 0)
        put_json(out, "name", record->name);
    put_json(out, "value", record->value);
    (void)fprintf(out,
                  ",\"lane\":%" PRIu32 ",\"epoch\":%" PRIu64 ",\"batch\":%" PRIu64
                  ",\"index\":%" PRIu32 ",\"after\":\"%" PRIu64 ":%" PRIu64 "\"}\n",
                  item->batch.lane, item->batch.epoch, item->batch.sequence, item->index,
                  item->after.segment, item->after.offset);
}

void damage_print_text(FILE *out, const struct gw_journal_item *item)
{
    if (item->deleted)
        (void)fprintf(out, "what followed %" PRIu64 ":%" PRIu64 " was deleted before it was read\n",
                      item->position.segment, item->position.offset);
    else
        (void)fprintf(out,
                      "damage at %" PRIu64 ":%" PRIu64 ": %" PRIu64 " bytes unreadable, %" PRIu64
                      " batches missing\n",
                      item->position.segment, item->position.offset, item->bytes,
                      item->batches_lost);
}
