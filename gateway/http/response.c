/*
 * Responses. Every head holds the same few fields, so it is printed, not assembled.
 */
#include <gw/http/response.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *gw_http_reason(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {204, "No Content"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < GW_ARRAY_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

void gw_http_date(uint64_t unix_s, char out[GW_HTTP_DATE_BYTES])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)unix_s;
    struct tm at;

    out[0] = '\0';
    if (gmtime_r(&seconds, &at) == NULL)
        return;
    (void)strftime(out, GW_HTTP_DATE_BYTES, "???, %d ??? %Y %H:%M:%S GMT", &at);
    memcpy(out, days[at.tm_wday], 3); /* the locale's names would stand there */
    memcpy(out + sizeof "???, 01", months[at.tm_mon], 3);
}

/* Text that grows to its end; too long once, it stays so. */
struct text {
    char *at;
    size_t bytes, capacity;
    bool full;
};

static void GW_PRINTF(2, 3) print(struct text *text, const char *format, ...)
{
    va_list args;

    if (text->full)
        return;
    va_start(args, format);
    int bytes = vsnprintf(text->at + text->bytes, text->capacity - text->bytes, format, args);
    va_end(args);
    if (bytes < 0 || (size_t)bytes >= text->capacity - text->bytes)
        text->full = true;
    else
        text->bytes += (size_t)bytes;
}

size_t gw_http_response_write(uint8_t *out, size_t capacity,
                              const struct gw_http_response *response)
{
    struct text head = {.at = (char *)out, .capacity = capacity};
    char date[GW_HTTP_DATE_BYTES];
    size_t body_bytes = response->head_only ? 0 : response->body.size;

    gw_http_date(response->date_s, date);
    print(&head, "HTTP/1.1 %u %s\r\ndate: %s\r\n", response->status,
          gw_http_reason(response->status), date);
    if (response->content_type != NULL)
        print(&head, "content-type: %s\r\n", response->content_type);
    if (response->status != 204) /* RFC 9110 8.6: a 204 must have none */
        print(&head, "content-length: %zu\r\n", response->body.size);
    print(&head, "connection: %s%s\r\n", response->status == 426 ? "upgrade, " : "",
          response->keep_alive ? "keep-alive" : "close");
    if (response->status == 426) /* RFC 9110 15.5.22, RFC 6455 4.4 */
        print(&head, "upgrade: websocket\r\nsec-websocket-version: 13\r\n");
    /* What is answered may hang on a token in the target: neither is to be kept or passed on. */
    print(&head, "cache-control: no-store\r\nreferrer-policy: no-referrer\r\n");
    if (response->allow != NULL)
        print(&head, "allow: %s\r\n", response->allow);
    if (response->retry_after_s != 0)
        print(&head, "retry-after: %u\r\n", response->retry_after_s);
    if (response->cors_origin != NULL)
        print(&head, "access-control-allow-origin: %s\r\n", response->cors_origin);
    if (response->cors_origin != NULL && response->preflight)
        print(&head, "access-control-allow-methods: GET, HEAD, POST, PUT\r\n"
                     "access-control-allow-headers: authorization, content-type\r\n"
                     "access-control-max-age: 86400\r\n");
    print(&head, "\r\n");
    if (head.full || capacity - head.bytes < body_bytes)
        return 0;
    if (body_bytes > 0)
        memcpy(out + head.bytes, response->body.data, body_bytes);
    return head.bytes + body_bytes;
}
