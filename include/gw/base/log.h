/*
 * Log lines for the operator: one line an event, on stderr, as logfmt (`event=shard_up shard=3`) or
 * JSON. Values are escaped, so that nothing a peer sent can forge a line. Tokens, keys and payload
 * never go through here. Any thread; a line is one write(2), so lines never interleave. A blocked
 * stderr never blocks a caller: it is set non-blocking by gw_log_init where it is a pipe, and what
 * does not fit is counted (gw_log_dropped).
 *
 *     gw_log(GW_LOG_INFO, "shard_up", GW_U64("shard", 3), GW_TEXT("state", "ready"));
 */
#ifndef GW_BASE_LOG_H
#define GW_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>

enum gw_log_level {
    GW_LOG_ERROR, /* someone must act                */
    GW_LOG_WARN,  /* degraded                        */
    GW_LOG_INFO,  /* the life of the process         */
    GW_LOG_DEBUG, /* one session; off by default     */
};

enum gw_log_format { GW_LOG_LOGFMT, GW_LOG_JSON };

enum { GW_LOG_LINE_BYTES_MAX = 1024 }; /* longer lines end in "..." */

struct gw_log_field {
    const char *key;
    enum { GW_FIELD_U64, GW_FIELD_I64, GW_FIELD_BYTES } kind;
    union {
        uint64_t u64;
        int64_t i64;
        struct gw_bytes bytes;
    } value;
};

#define GW_U64(name, v)                                                                            \
    ((struct gw_log_field){.key = (name), .kind = GW_FIELD_U64, .value.u64 = (v)})
#define GW_I64(name, v)                                                                            \
    ((struct gw_log_field){.key = (name), .kind = GW_FIELD_I64, .value.i64 = (v)})
#define GW_BYTES(name, v)                                                                          \
    ((struct gw_log_field){.key = (name), .kind = GW_FIELD_BYTES, .value.bytes = (v)})
#define GW_TEXT(name, v) GW_BYTES(name, gw_bytes_text(v))

/* Start-up only. fd is normally 2. */
void gw_log_init(int fd, enum gw_log_format format, enum gw_log_level max);
void gw_log_level_set(enum gw_log_level max);
uint64_t gw_log_dropped(void);

#define gw_log(level, event, ...)                                                                  \
    gw_log_write((level), (event), (struct gw_log_field[]){{.key = NULL}, ##__VA_ARGS__},          \
                 sizeof((struct gw_log_field[]){{.key = NULL}, ##__VA_ARGS__}) /                   \
                     sizeof(struct gw_log_field))

/* fields[0] is a filler, so that an event without fields is legal C. Use the macro. */
void gw_log_write(enum gw_log_level level, const char *event, const struct gw_log_field *fields,
                  size_t field_count);

/*
 * The line itself, without the newline: for tests and for the audit log. Returns its length,
 * at most `capacity`.
 */
size_t gw_log_format_line(char *out, size_t capacity, enum gw_log_format format, uint64_t wall_us,
                          enum gw_log_level level, const char *event,
                          const struct gw_log_field *fields, size_t field_count);

#endif
