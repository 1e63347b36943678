/*
 * The head of an HTTP request, as far as a server needs it that answers one GET a connection. Fed
 * all bytes so far each time, so the answer cannot depend on where the stream was cut.
 */
#include "admin_internal.h"

#include <string.h>

#include <gw/base/defs.h>

/* RFC 9110 5.6.2: what methods and field names are made of. */
static bool is_token(struct gw_bytes text)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\0' || strchr(token, text.data[i]) == NULL)
            return false;
    return text.size > 0;
}

/* The bytes before `stop`, which is dropped from *rest with them. False: there is no `stop`. */
static bool split(struct gw_bytes *rest, char stop, struct gw_bytes *out)
{
    const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, stop, rest->size);

    if (at == NULL)
        return false;
    *out = gw_bytes_of(rest->data, (size_t)(at - rest->data));
    *rest = gw_bytes_after(*rest, out->size + 1);
    return true;
}

/* RFC 9112 2.2: a line ends in CR LF; a LF alone may be taken for it. */
static bool take_line(struct gw_bytes *rest, struct gw_bytes *out)
{
    if (!split(rest, '\n', out))
        return false;
    if (out->size > 0 && out->data[out->size - 1] == '\r')
        out->size--;
    return true;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9112 3: method SP request-target SP HTTP-version. 0, or the status that refuses it. */
static int read_request_line(struct gw_bytes line, struct gw_admin_request *out)
{
    static const char scheme[] = "http://";
    struct gw_bytes method, target;

    if (!split(&line, ' ', &method) || !split(&line, ' ', &target) || !is_token(method))
        return 400;
    out->is_head = gw_bytes_are(method, "HEAD"); /* also an answer that refuses has no body then */
    out->is_get = gw_bytes_are(method, "GET");
    for (size_t i = 0; i < target.size; i++)
        if (target.data[i] <= ' ' || target.data[i] >= 0x7f)
            return 400;
    if (line.size != 8 || memcmp(line.data, "HTTP/", 5) != 0 || !is_digit(line.data[5]) ||
        line.data[6] != '.' || !is_digit(line.data[7]))
        return 400;
    if (line.data[5] != '1')
        return 505;
    out->wants_host = line.data[7] != '0';

    /* RFC 9112 3.2.2: the absolute form is accepted although only proxies are sent it. */
    if (target.size >= sizeof scheme - 1 && memcmp(target.data, scheme, sizeof scheme - 1) == 0) {
        target = gw_bytes_after(target, sizeof scheme - 1);
        while (target.size > 0 && target.data[0] != '/')
            target = gw_bytes_after(target, 1);
        if (target.size == 0)
            target = gw_bytes_text("/");
    }
    if (target.size == 0 || target.data[0] != '/')
        return 400;
    out->path = target;
    for (size_t i = 0; i < target.size; i++)
        if (target.data[i] == '?') {
            out->path.size = i;
            break;
        }
    return 0;
}

static bool is_host(struct gw_bytes name)
{
    return name.size == 4 && strncasecmp((const char *)name.data, "Host", 4) == 0;
}

enum gw_status gw_admin_request_read(struct gw_bytes in, struct gw_admin_request *out)
{
    struct gw_bytes rest = in, line = {.size = 0}, request_line, name;
    unsigned hosts = 0;
    int fault = 0;

    *out = (struct gw_admin_request){.status = 0};
    do { /* RFC 9112 2.2: empty lines before the request are ignored */
        if (!take_line(&rest, &line))
            return GW_MORE;
    } while (line.size == 0);
    request_line = line;
    for (;;) {
        if (!take_line(&rest, &line))
            return GW_MORE;
        if (line.size == 0)
            break;
        /* A folded line begins with a space, which no name holds: RFC 9112 5.2 wants it refused. */
        if (!split(&line, ':', &name) || !is_token(name))
            fault = 400;
        else
            hosts += is_host(name);
    }
    out->status = read_request_line(request_line, out);
    if (out->status == 0)
        out->status = fault;
    /* RFC 9112 3.2: none in HTTP/1.1, or more than one, has to be answered with 400. */
    if (out->status == 0 && (hosts > 1 || (hosts == 0 && out->wants_host)))
        out->status = 400;
    return GW_OK;
}
