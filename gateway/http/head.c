/*
 * The head of a request. Read line by line from its first byte each time, so that the first fault
 * is the same one wherever the stream was cut: what a prefix is refused for, its continuation is
 * refused for, too.
 */
#include "http_internal.h"

#include <string.h>
#include <strings.h>

static const struct {
    uint16_t status;
    const char *text;
} faults[] = {
#define GW_HTTP_FAULT(name, status, text) [GW_HTTP_FAULT_##name] = {status, text},
#include <gw/http/faults.def>
#undef GW_HTTP_FAULT
};

uint16_t gw_http_fault_status(enum gw_http_fault fault)
{
    return faults[fault].status;
}

const char *gw_http_fault_text(enum gw_http_fault fault)
{
    return faults[fault].text;
}

/* ---- the request line ---- */

static enum gw_http_method method_of(struct gw_bytes text)
{
    static const struct {
        const char *name;
        enum gw_http_method method;
    } methods[] = {
        {"GET", GW_HTTP_GET}, {"HEAD", GW_HTTP_HEAD},       {"POST", GW_HTTP_POST},
        {"PUT", GW_HTTP_PUT}, {"OPTIONS", GW_HTTP_OPTIONS},
    };

    for (size_t i = 0; i < GW_ARRAY_COUNT(methods); i++)
        if (gw_bytes_are(text, methods[i].name)) /* RFC 9110 9.1: case counts */
            return methods[i].method;
    return GW_HTTP_OTHER;
}

/* RFC 3986 2.1 and 3.5: visible ASCII, escapes are '%' and two digits, a fragment is never sent. */
static bool is_target(struct gw_bytes target)
{
    for (size_t i = 0; i < target.size; i++) {
        uint8_t c = target.data[i];

        if (c <= ' ' || c >= 0x7f || c == '#')
            return false;
        if (c == '%' && (target.size - i < 3 || http_hex_digit(target.data[i + 1]) < 0 ||
                         http_hex_digit(target.data[i + 2]) < 0))
            return false;
    }
    return target.size > 0;
}

/*
 * RFC 9112 3.2: the origin form, the absolute form (which a server must take although only proxies
 * are sent it), and '*' for OPTIONS alone. *authority stays empty for all but the absolute form.
 */
static bool read_target(struct gw_bytes target, struct gw_http_request *out,
                        struct gw_bytes *authority)
{
    static const char *const schemes[] = {"http://", "https://"};

    if (!is_target(target))
        return false;
    if (gw_bytes_are(target, "*") && out->method == GW_HTTP_OPTIONS) {
        out->path = target;
        return true;
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(schemes); i++) {
        size_t bytes = strlen(schemes[i]), end = bytes;

        if (target.size < bytes || strncasecmp((const char *)target.data, schemes[i], bytes) != 0)
            continue;
        while (end < target.size && target.data[end] != '/' && target.data[end] != '?')
            end++;
        *authority = gw_bytes_of(target.data + bytes, end - bytes);
        target = gw_bytes_after(target, end);
        if (authority->size == 0) /* RFC 9110 4.2.1: an empty host is invalid */
            return false;
        if (target.size == 0)
            target = gw_bytes_text("/");
        break;
    }
    if (target.data[0] != '/')
        return false;
    out->path = out->query = target;
    if (http_split(&out->query, '?', &out->path) == false)
        out->query = gw_bytes_of(NULL, 0);
    return true;
}

/* RFC 9112 3: method SP request-target SP HTTP-version, one blank each. */
static enum gw_http_fault read_request_line(struct gw_bytes line, struct gw_http_request *out,
                                            struct gw_bytes *authority)
{
    struct gw_bytes method, target;

    if (!http_split(&line, ' ', &method))
        return http_is_token(line) ? GW_HTTP_FAULT_REQUEST_LINE : GW_HTTP_FAULT_METHOD;
    if (!http_is_token(method))
        return GW_HTTP_FAULT_METHOD;
    out->method = method_of(method);
    if (!http_split(&line, ' ', &target)) /* RFC 1945's simple request has no version */
        return GW_HTTP_FAULT_REQUEST_LINE;
    /* RFC 9112 2.3: the name is "HTTP", in capitals, the numbers are one digit each. */
    if (line.size != 8 || memcmp(line.data, "HTTP/", 5) != 0 || !http_is_digit(line.data[5]) ||
        line.data[6] != '.' || !http_is_digit(line.data[7]))
        return GW_HTTP_FAULT_VERSION;
    if (line.data[5] != '1')
        return GW_HTTP_FAULT_VERSION_UNKNOWN;
    out->minor = line.data[7] == '0' ? 0 : 1; /* RFC 9110 2.5: a higher minor is read as ours */
    return read_target(target, out, authority) ? GW_HTTP_FAULT_NONE : GW_HTTP_FAULT_TARGET;
}

/* ---- fields ---- */

/* What the fields say together is judged at the end. */
struct fields_seen {
    uint32_t seen; /* bit i: fields[i] */
    bool close, keep_alive;
};

static enum gw_http_fault on_authorization(struct gw_http_request *out, struct fields_seen *seen,
                                           struct gw_bytes value)
{
    (void)seen;
    out->authorization = value;
    return GW_HTTP_FAULT_NONE;
}

/* Takes the next of a list off *rest; false: that was the last. */
static bool next_of_list(struct gw_bytes *rest, struct gw_bytes *out)
{
    bool more = http_split(rest, ',', out);

    *out = http_trim(more ? *out : *rest);
    return more;
}

/* RFC 9110 7.6.1: a list of options, in any case. */
static enum gw_http_fault on_connection(struct gw_http_request *out, struct fields_seen *seen,
                                        struct gw_bytes value)
{
    struct gw_bytes option;
    bool more;

    do {
        more = next_of_list(&value, &option);
        seen->close |= http_equals(option, "close");
        seen->keep_alive |= http_equals(option, "keep-alive");
        out->connection_upgrade |= http_equals(option, "upgrade");
    } while (more);
    return GW_HTTP_FAULT_NONE;
}

/* RFC 9110 7.8: a list of protocols; RFC 6455 4.2.1 compares its own in any case. */
static enum gw_http_fault on_upgrade(struct gw_http_request *out, struct fields_seen *seen,
                                     struct gw_bytes value)
{
    struct gw_bytes protocol;
    bool more;

    (void)seen;
    do {
        more = next_of_list(&value, &protocol);
        out->upgrade_websocket |= http_equals(protocol, "websocket");
    } while (more);
    return GW_HTTP_FAULT_NONE;
}

static enum gw_http_fault on_websocket_key(struct gw_http_request *out, struct fields_seen *seen,
                                           struct gw_bytes value)
{
    (void)seen;
    out->websocket_key = value;
    return GW_HTTP_FAULT_NONE;
}

static enum gw_http_fault on_websocket_version(struct gw_http_request *out,
                                               struct fields_seen *seen, struct gw_bytes value)
{
    (void)seen;
    out->websocket_version = value;
    return GW_HTTP_FAULT_NONE;
}

/* RFC 9110 8.6: digits alone. A list of equal lengths could be taken, and is refused. */
static enum gw_http_fault on_content_length(struct gw_http_request *out, struct fields_seen *seen,
                                            struct gw_bytes value)
{
    (void)seen;
    if (value.size == 0)
        return GW_HTTP_FAULT_LENGTH;
    for (size_t i = 0; i < value.size; i++) {
        if (!http_is_digit(value.data[i]))
            return GW_HTTP_FAULT_LENGTH;
        if (out->content_length <= UINT32_MAX) /* stays far above every limit from here on */
            out->content_length = out->content_length * 10 + (uint64_t)(value.data[i] - '0');
    }
    return GW_HTTP_FAULT_NONE;
}

static enum gw_http_fault on_content_type(struct gw_http_request *out, struct fields_seen *seen,
                                          struct gw_bytes value)
{
    (void)seen;
    out->content_type = value;
    return GW_HTTP_FAULT_NONE;
}

/* RFC 9110 10.1.1: an expectation that is not understood is refused with 417. */
static enum gw_http_fault on_expect(struct gw_http_request *out, struct fields_seen *seen,
                                    struct gw_bytes value)
{
    (void)seen;
    out->expects_continue = true;
    return http_equals(value, "100-continue") ? GW_HTTP_FAULT_NONE : GW_HTTP_FAULT_EXPECTATION;
}

/* RFC 3986 3.2: host [":" port]; what stands in none of them is refused (RFC 9112 3.2). */
static enum gw_http_fault on_host(struct gw_http_request *out, struct fields_seen *seen,
                                  struct gw_bytes value)
{
    static const char others[] = ".-_~%!$&'()*+;=";
    size_t i = 0;

    (void)seen;
    out->host = value;
    if (value.size > 0 && value.data[0] == '[') {
        for (i = 1; i < value.size && (http_hex_digit(value.data[i]) >= 0 || value.data[i] == ':' ||
                                       value.data[i] == '.');
             i++)
            continue;
        if (i < 3 || i == value.size || value.data[i] != ']')
            return GW_HTTP_FAULT_HOST;
        i++;
    } else {
        while (i < value.size && value.data[i] != ':') {
            uint8_t c = value.data[i++], lower = c | 0x20;

            if (!http_is_digit(c) && !(lower >= 'a' && lower <= 'z') &&
                (c == '\0' || strchr(others, c) == NULL))
                return GW_HTTP_FAULT_HOST;
        }
        if (i == 0)
            return GW_HTTP_FAULT_HOST;
    }
    if (i < value.size && value.data[i++] != ':')
        return GW_HTTP_FAULT_HOST;
    for (; i < value.size; i++)
        if (!http_is_digit(value.data[i]))
            return GW_HTTP_FAULT_HOST;
    return GW_HTTP_FAULT_NONE;
}

/* RFC 9112 6.1: what is no coding of ours, or not chunked in the end, has no length we know. */
static enum gw_http_fault on_transfer_encoding(struct gw_http_request *out,
                                               struct fields_seen *seen, struct gw_bytes value)
{
    (void)seen;
    out->chunked = true;
    return http_equals(value, "chunked") ? GW_HTTP_FAULT_NONE : GW_HTTP_FAULT_CODING;
}

static const struct {
    const char *name;
    enum gw_http_fault (*read)(struct gw_http_request *, struct fields_seen *, struct gw_bytes);
    bool may_repeat;
} fields[] = {
    {"authorization", on_authorization, false},
    {"connection", on_connection, true},
    {"content-length", on_content_length, false}, /* RFC 9112 6.3: several are an attack */
    {"content-type", on_content_type, false},
    {"expect", on_expect, false},
    {"host", on_host, false}, /* RFC 9112 3.2: more than one has to be answered with 400 */
    {"sec-websocket-key", on_websocket_key, false},
    {"sec-websocket-version", on_websocket_version, false},
    {"transfer-encoding", on_transfer_encoding, false},
    {"upgrade", on_upgrade, true},
};

static enum gw_http_fault on_field(struct gw_http_request *out, struct fields_seen *seen,
                                   struct gw_bytes name, struct gw_bytes value)
{
    for (size_t i = 0; i < GW_ARRAY_COUNT(fields); i++) {
        if (!http_equals(name, fields[i].name))
            continue;
        if ((seen->seen >> i & 1u) != 0 && !fields[i].may_repeat)
            return GW_HTTP_FAULT_FIELD_TWICE;
        seen->seen |= 1u << i;
        return fields[i].read(out, seen, value);
    }
    return GW_HTTP_FAULT_NONE;
}

/* What no field shows alone. */
static enum gw_http_fault judge(struct gw_http_request *out, const struct fields_seen *seen,
                                struct gw_bytes authority, const struct gw_http_limits *limits)
{
    static const char length[] = "content-length";
    bool has_length = false;

    for (size_t i = 0; i < GW_ARRAY_COUNT(fields); i++)
        if (strcmp(fields[i].name, length) == 0)
            has_length = (seen->seen >> i & 1u) != 0;
    /* RFC 9112 6.1: Transfer-Encoding in 1.0, or beside Content-Length, is likely an attack. */
    if (out->chunked && out->minor == 0)
        return GW_HTTP_FAULT_CODING_IN_1_0;
    if (out->chunked && has_length)
        return GW_HTTP_FAULT_LENGTH_AND_CODING;
    /* RFC 9112 3.2: none in HTTP/1.1 has to be answered with 400. */
    if (out->host.size == 0 && out->minor > 0)
        return GW_HTTP_FAULT_HOST_MISSING;
    /* RFC 9112 3.2.2: the target's wins over Host; two that differ fool whoever looks at one. */
    if (authority.size > 0 && out->host.size > 0 &&
        (authority.size != out->host.size ||
         strncasecmp((const char *)authority.data, (const char *)out->host.data, authority.size) !=
             0))
        return GW_HTTP_FAULT_HOST_DIFFERS;
    if (out->content_length > limits->body_bytes_max)
        return GW_HTTP_FAULT_BODY_TOO_LARGE;
    /* RFC 9112 9.3: 1.1 stays unless told to close, 1.0 closes unless asked to stay. */
    out->keep_alive = !seen->close && (out->minor > 0 || seen->keep_alive);
    if (out->minor == 0) /* RFC 9110 10.1.1: it cannot know what it expects */
        out->expects_continue = false;
    return GW_HTTP_FAULT_NONE;
}

/* ---- the head ---- */

static enum gw_status refuse(struct gw_http_request *out, enum gw_http_fault fault)
{
    out->fault = fault;
    return GW_BAD_FRAME;
}

/* Reads what lies inside of the limit. *line_seen: the request line was whole. */
static enum gw_status read_lines(struct gw_bytes in, const struct gw_http_limits *limits,
                                 struct gw_http_request *out, bool *line_seen)
{
    struct gw_bytes rest = in, line = {.size = 0}, name, value;
    struct gw_bytes authority = {.size = 0};
    struct fields_seen seen = {.seen = 0};
    enum gw_http_fault fault = GW_HTTP_FAULT_NONE;
    enum gw_status status;

    do { /* RFC 9112 2.2: empty lines before the request are ignored */
        if ((status = http_take_line(&rest, &line, &fault)) != GW_OK)
            return status == GW_MORE ? GW_MORE : refuse(out, fault);
    } while (line.size == 0);
    *line_seen = true;
    if ((fault = read_request_line(line, out, &authority)) != GW_HTTP_FAULT_NONE)
        return refuse(out, fault);
    for (uint32_t count = 0;; count++) {
        if ((status = http_take_line(&rest, &line, &fault)) != GW_OK)
            return status == GW_MORE ? GW_MORE : refuse(out, fault);
        if (line.size == 0)
            break;
        if (count == limits->headers_max)
            return refuse(out, GW_HTTP_FAULT_HEADERS_TOO_MANY);
        if ((fault = http_read_field(line, &name, &value)) != GW_HTTP_FAULT_NONE ||
            (fault = on_field(out, &seen, name, value)) != GW_HTTP_FAULT_NONE)
            return refuse(out, fault);
    }
    if ((fault = judge(out, &seen, authority, limits)) != GW_HTTP_FAULT_NONE)
        return refuse(out, fault);
    out->head_bytes = in.size - rest.size;
    return GW_OK;
}

enum gw_status gw_http_head_read(struct gw_bytes in, const struct gw_http_limits *limits,
                                 struct gw_http_request *out)
{
    bool full = in.size >= limits->head_bytes_max, line_seen = false;
    enum gw_status status;

    *out = (struct gw_http_request){.fault = GW_HTTP_FAULT_NONE};
    if (full)
        in.size = limits->head_bytes_max;
    status = read_lines(in, limits, out, &line_seen);
    if (status == GW_MORE && full)
        return refuse(out,
                      line_seen ? GW_HTTP_FAULT_HEAD_TOO_LARGE : GW_HTTP_FAULT_TARGET_TOO_LONG);
    return status;
}
