/*
 * Lines and fields of heads and trailers.
 */
#include "http_internal.h"

#include <string.h>
#include <strings.h>

/*
 * RFC 9112 2.2: a recipient MAY take a single LF for the end of a line, and must not take a bare CR
 * for anything. Here neither passes: who takes LF for an end sees other lines than who does not.
 */
enum gw_status http_take_line(struct gw_bytes *rest, struct gw_bytes *line,
                              enum gw_http_fault *fault)
{
    for (size_t i = 0; i < rest->size; i++) {
        uint8_t c = rest->data[i];

        if (c == '\n') {
            *fault = GW_HTTP_FAULT_BARE_LF;
            return GW_BAD_FRAME;
        }
        if (c != '\r')
            continue;
        if (i + 1 == rest->size)
            return GW_MORE;
        if (rest->data[i + 1] != '\n') {
            *fault = GW_HTTP_FAULT_BARE_CR;
            return GW_BAD_FRAME;
        }
        *line = gw_bytes_of(rest->data, i);
        *rest = gw_bytes_after(*rest, i + 2);
        return GW_OK;
    }
    return GW_MORE;
}

static bool is_alphanumeric(uint8_t c)
{
    const uint8_t lower = c | 0x20;

    return (lower >= 'a' && lower <= 'z') || http_is_digit(c);
}

bool http_is_token(struct gw_bytes text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];

        if (!is_alphanumeric(c) && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return text.size > 0;
}

bool http_equals(struct gw_bytes text, const char *lower)
{
    return text.size == strlen(lower) &&
           (text.size == 0 || strncasecmp((const char *)text.data, lower, text.size) == 0);
}

bool http_split(struct gw_bytes *rest, char stop, struct gw_bytes *out)
{
    const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, stop, rest->size);

    if (at == NULL)
        return false;
    *out = gw_bytes_of(rest->data, (size_t)(at - rest->data));
    *rest = gw_bytes_after(*rest, out->size + 1);
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct gw_bytes http_trim(struct gw_bytes text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = gw_bytes_after(text, 1);
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

int http_hex_digit(uint8_t c)
{
    if (http_is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum gw_http_fault http_read_field(struct gw_bytes line, struct gw_bytes *name,
                                   struct gw_bytes *value)
{
    struct gw_bytes rest = line;

    /* RFC 9112 5.2: a line that begins with a blank continues the one before; refused. */
    if (line.size > 0 && is_blank(line.data[0]))
        return GW_HTTP_FAULT_FOLDED;
    /* RFC 9112 5.1: no white space between the name and its colon; a blank is in no token. */
    if (!http_split(&rest, ':', name) || !http_is_token(*name))
        return GW_HTTP_FAULT_FIELD_NAME;
    /* RFC 9110 5.5: NUL, CR and LF are dangerous, the other controls are not valid either. */
    for (size_t i = 0; i < rest.size; i++)
        if ((rest.data[i] < ' ' && rest.data[i] != '\t') || rest.data[i] == 0x7f)
            return GW_HTTP_FAULT_FIELD_VALUE;
    *value = http_trim(rest);
    return GW_HTTP_FAULT_NONE;
}
