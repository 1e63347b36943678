/*
 * Responses. Every head holds the same few fields, which are put behind each other by hand: printf
 * would read a format for each, at every answer.
 */
#include <gw/http/response.h>

#include <string.h>

#include <gw/zone/zone.h>

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

static void put_two_digits(char *at, unsigned number)
{
    at[0] = (char)('0' + number / 10);
    at[1] = (char)('0' + number % 10);
}

/* Not by strftime and gmtime_r: the former asks the locale, the latter takes libc's lock. */
void gw_http_date(uint64_t unix_s, char out[GW_HTTP_DATE_BYTES])
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const struct gw_civil at = gw_civil_of((int64_t)unix_s);

    memcpy(out, "Day, 01 Mon 1970 00:00:00 GMT", GW_HTTP_DATE_BYTES);
    memcpy(out, days + unix_s / 86400 % 7 * 3, 3);
    put_two_digits(out + 5, at.day);
    memcpy(out + 8, months + (size_t)(at.month - 1) * 3, 3);
    put_two_digits(out + 12, (unsigned)at.year / 100);
    put_two_digits(out + 14, (unsigned)at.year % 100);
    put_two_digits(out + 17, at.hour);
    put_two_digits(out + 20, at.minute);
    put_two_digits(out + 23, at.second);
}

/* Text that grows to its end; too long once, it stays so. */
struct text {
    uint8_t *at;
    size_t bytes, capacity;
    bool full;
};

static void put(struct text *text, const char *words)
{
    const size_t bytes = strlen(words);

    text->full |= text->capacity - text->bytes < bytes;
    if (text->full)
        return;
    memcpy(text->at + text->bytes, words, bytes);
    text->bytes += bytes;
}

static void put_number(struct text *text, uint64_t number)
{
    char digits[21], *at = digits + sizeof digits - 1;

    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    put(text, at);
}

/* "name: value", where there is one. */
static void put_field(struct text *text, const char *name, const char *value)
{
    if (value == NULL)
        return;
    put(text, name);
    put(text, ": ");
    put(text, value);
    put(text, "\r\n");
}

static void put_numbered_field(struct text *text, const char *name, uint64_t number)
{
    put(text, name);
    put(text, ": ");
    put_number(text, number);
    put(text, "\r\n");
}

size_t gw_http_response_write(uint8_t *out, size_t capacity,
                              const struct gw_http_response *response)
{
    struct text head = {.at = out, .capacity = capacity};
    char date[GW_HTTP_DATE_BYTES];
    size_t body_bytes = response->head_only ? 0 : response->body.size;

    gw_http_date(response->date_s, date);
    put(&head, "HTTP/1.1 ");
    put_number(&head, response->status);
    put(&head, " ");
    put(&head, gw_http_reason(response->status));
    put(&head, "\r\n");
    put_field(&head, "date", date);
    put_field(&head, "content-type", response->content_type);
    if (response->status != 204) /* RFC 9110 8.6: a 204 must have none */
        put_numbered_field(&head, "content-length", response->body.size);
    put(&head, response->status == 426 ? "connection: upgrade, " : "connection: ");
    put(&head, response->keep_alive ? "keep-alive\r\n" : "close\r\n");
    if (response->status == 426) /* RFC 9110 15.5.22, RFC 6455 4.4 */
        put(&head, "upgrade: websocket\r\nsec-websocket-version: 13\r\n");
    /* What is answered may hang on a token in the target: neither is to be kept or passed on. */
    put(&head, "cache-control: no-store\r\nreferrer-policy: no-referrer\r\n");
    put_field(&head, "allow", response->allow);
    if (response->retry_after_s != 0)
        put_numbered_field(&head, "retry-after", response->retry_after_s);
    put_field(&head, "access-control-allow-origin", response->cors_origin);
    if (response->cors_origin != NULL && response->preflight)
        put(&head, "access-control-allow-methods: GET, HEAD, POST, PUT\r\n"
                   "access-control-allow-headers: authorization, content-type\r\n"
                   "access-control-max-age: 86400\r\n");
    put(&head, "\r\n");
    if (head.full || capacity - head.bytes < body_bytes)
        return 0;
    if (body_bytes > 0)
        memcpy(out + head.bytes, response->body.data, body_bytes);
    return head.bytes + body_bytes;
}
