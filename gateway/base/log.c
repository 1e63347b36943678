/*
 * Log lines. A line is built on the stack and leaves in one write, so threads need no lock; what a
 * full pipe does not take is counted, never waited for.
 */
#include <gw/base/log.h>
#include <gw/base/utf8.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/clock.h>
#include <gw/base/defs.h>

static int log_fd = STDERR_FILENO;
static enum gw_log_format log_format = GW_LOG_LOGFMT;
static _Atomic int log_max = GW_LOG_INFO;
static _Atomic uint64_t log_dropped;

static const char *const level_words[] = {[GW_LOG_ERROR] = "error",
                                          [GW_LOG_WARN] = "warn",
                                          [GW_LOG_INFO] = "info",
                                          [GW_LOG_DEBUG] = "debug"};

void gw_log_init(int fd, enum gw_log_format format, enum gw_log_level max)
{
    struct stat st;

    log_fd = fd;
    log_format = format;
    gw_log_level_set(max);
    if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
        int flags = fcntl(fd, F_GETFL);

        if (flags >= 0)
            (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

void gw_log_level_set(enum gw_log_level max)
{
    atomic_store_explicit(&log_max, (int)max, memory_order_relaxed);
}

uint64_t gw_log_dropped(void)
{
    return atomic_load_explicit(&log_dropped, memory_order_relaxed);
}

/* ---- building a line ---- */

struct line {
    char *out;
    size_t capacity, used;
    bool cut;
};

static void put(struct line *line, const char *bytes, size_t count)
{
    if (line->cut)
        return;
    if (count > line->capacity - line->used) {
        line->cut = true;
        return;
    }
    memcpy(line->out + line->used, bytes, count);
    line->used += count;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

GW_PRINTF(2, 3)
static void put_format(struct line *line, const char *format, ...)
{
    char piece[64];
    va_list arguments;

    va_start(arguments, format);
    int count = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (count > 0)
        put(line, piece, gw_min_u64((uint64_t)count, sizeof piece - 1));
}

/*
 * Characters of several bytes that terminals or line readers obey: the C1 controls, NEL among them,
 * and the line and paragraph separators. 0 when `in` begins with none of them.
 */
static unsigned obeyed_character(struct gw_bytes in, size_t length)
{
    if (length == 2 && in.data[0] == 0xC2 && in.data[1] < 0xA0)
        return in.data[1];
    if (length == 3 && in.data[0] == 0xE2 && in.data[1] == 0x80 && (in.data[2] & 0xFE) == 0xA8)
        return 0x2000u + (in.data[2] & 0x3F);
    return 0;
}

/* Both formats escape alike: backslash, quote, control characters and what is no UTF-8. */
static void put_quoted(struct line *line, struct gw_bytes value)
{
    put(line, "\"", 1);
    while (value.size > 0 && !line->cut) {
        size_t length = gw_utf8_bytes(value);
        uint8_t byte = value.data[0];

        if (byte == '"' || byte == '\\')
            put_format(line, "\\%c", byte);
        else if (byte == '\n')
            put_text(line, "\\n");
        else if (length == 0 || byte < 0x20 || byte == 0x7F)
            put_format(line, "\\u%04x", byte);
        else if (obeyed_character(value, length) != 0)
            put_format(line, "\\u%04x", obeyed_character(value, length));
        else
            put(line, (const char *)value.data, length);
        value = gw_bytes_after(value, length == 0 ? 1 : length);
    }
    put(line, "\"", 1);
}

static bool is_plain(struct gw_bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];

        if (byte <= ' ' || byte >= 0x7F || byte == '"' || byte == '=' || byte == '\\')
            return false;
    }
    return value.size > 0;
}

static void put_value(struct line *line, enum gw_log_format format,
                      const struct gw_log_field *field)
{
    switch (field->kind) {
    case GW_FIELD_U64:
        put_format(line, "%" PRIu64, field->value.u64);
        break;
    case GW_FIELD_I64:
        put_format(line, "%" PRId64, field->value.i64);
        break;
    case GW_FIELD_BYTES:
        if (format == GW_LOG_LOGFMT && is_plain(field->value.bytes))
            put(line, (const char *)field->value.bytes.data, field->value.bytes.size);
        else
            put_quoted(line, field->value.bytes);
        break;
    }
}

static void put_key(struct line *line, enum gw_log_format format, const char *key, bool first)
{
    if (format == GW_LOG_JSON) {
        put_text(line, first ? "{\"" : ",\"");
        put_text(line, key);
        put_text(line, "\":");
    } else {
        put_text(line, first ? "" : " ");
        put_text(line, key);
        put_text(line, "=");
    }
}

static void put_time(struct line *line, uint64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;

    (void)gmtime_r(&seconds, &tm);
    put_format(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(wall_us / 1000 % 1000));
}

size_t gw_log_format_line(char *out, size_t capacity, enum gw_log_format format, uint64_t wall_us,
                          enum gw_log_level level, const char *event,
                          const struct gw_log_field *fields, size_t field_count)
{
    static const char *const ending[] = {[GW_LOG_LOGFMT] = " ...", [GW_LOG_JSON] = ",\"cut\":1"};
    const size_t reserve = sizeof ",\"cut\":1}" - 1;
    struct line line = {.out = out, .capacity = capacity > reserve ? capacity - reserve : 0};
    size_t whole; /* what may stand if the next field does not fit */
    bool json = format == GW_LOG_JSON;

    put_key(&line, format, "ts", true);
    put_text(&line, json ? "\"" : "");
    put_time(&line, wall_us);
    put_text(&line, json ? "\"" : "");
    put_key(&line, format, "level", false);
    put_format(&line, json ? "\"%s\"" : "%s", level_words[level]);
    put_key(&line, format, "event", false);
    put_text(&line, json ? "\"" : "");
    put_text(&line, event);
    put_text(&line, json ? "\"" : "");
    whole = line.used;
    for (size_t i = 0; i < field_count && !line.cut; i++) {
        if (fields[i].key == NULL)
            continue;
        put_key(&line, format, fields[i].key, false);
        put_value(&line, format, &fields[i]);
        if (!line.cut)
            whole = line.used;
    }
    line.used = whole;
    line.capacity = capacity;
    if (line.cut) {
        line.cut = false;
        put_text(&line, ending[format]);
    }
    if (json)
        put(&line, "}", 1);
    return line.used;
}

void gw_log_write(enum gw_log_level level, const char *event, const struct gw_log_field *fields,
                  size_t field_count)
{
    char line[GW_LOG_LINE_BYTES_MAX];

    if ((int)level > atomic_load_explicit(&log_max, memory_order_relaxed))
        return;
    size_t bytes = gw_log_format_line(line, sizeof line - 1, log_format, gw_clock_wall_us(), level,
                                      event, fields, field_count);

    line[bytes] = '\n';
    if (write(log_fd, line, bytes + 1) != (ssize_t)(bytes + 1))
        atomic_fetch_add_explicit(&log_dropped, 1, memory_order_relaxed);
}
