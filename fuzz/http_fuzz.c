/*
 * Target  gw_http_head_read, gw_http_body_read, gw_http_query_next, gw_http_unescape
 *
 * Input   raw bytes, as a client would send them
 *
 * Oracle  a cut never changes the answer: a prefix is not whole, or refused for the same; what is
 *         taken whole, another parser (http_parser of Node.js, which many others descend from)
 *         takes whole, too, with the same method, target, body and end, and keeps the connection
 *         when we do. That ours refuses more is its purpose.
 */
#include <stdlib.h>
#include <strings.h>

#include <gw/base/assert.h>
#include <gw/http/request.h>

#ifdef HAVE_HTTP_PARSER
#include <http_parser.h>
#endif

#include "fuzz.h"

enum { INPUT_BYTES_MAX = 4096, CUTS_OF_BYTES_MAX = 256 };

static const struct gw_http_limits limits = {
    .head_bytes_max = 1024, .headers_max = 16, .body_bytes_max = 2048, .chunked_bytes_max = 2048};

struct answer {
    enum gw_status status;
    enum gw_http_fault fault;
    struct gw_http_request request;
    struct gw_http_body body;
    size_t used;
    uint8_t room[2048];
};

static void read_all(struct gw_bytes in, struct answer *out)
{
    out->status = gw_http_head_read(in, &limits, &out->request);
    out->fault = out->request.fault;
    if (out->status != GW_OK)
        return;
    gw_assert(out->request.head_bytes > 0 && out->request.head_bytes <= in.size);
    in = gw_bytes_after(in, out->request.head_bytes);
    out->status = gw_http_body_read(in, &out->request, &limits, out->room, &out->body);
    out->fault = out->body.fault;
    gw_assert(out->status != GW_OK || out->body.used <= in.size);
    gw_assert(out->status != GW_MORE || out->body.need > in.size);
    out->used = out->request.head_bytes + out->body.used;
}

static void check_cut(struct gw_bytes in, const struct answer *whole, size_t cut)
{
    static struct answer part;
    /* Bytes behind the cut may not be looked at: an allocation that ends there. */
    uint8_t *exact = malloc(cut == 0 ? 1 : cut);

    gw_assert(exact != NULL);
    if (cut > 0)
        memcpy(exact, in.data, cut);
    read_all(gw_bytes_of(exact, cut), &part);
    if (whole->status == GW_OK && cut >= whole->used)
        gw_assert(part.status == GW_OK && part.used == whole->used);
    else if (whole->status == GW_BAD_FRAME && part.status == GW_BAD_FRAME)
        gw_assert(part.fault == whole->fault);
    else
        gw_assert(part.status == GW_MORE);
    free(exact);
}

static void check_query(struct gw_bytes query)
{
    struct gw_bytes rest = query, name, value;
    uint8_t out[INPUT_BYTES_MAX];
    size_t seen = 0;

    while (gw_http_query_next(&rest, &name, &value)) {
        seen += name.size + value.size;
        gw_assert(gw_http_unescape(value, true, out) <= value.size);
    }
    gw_assert(seen <= query.size);
}

#ifdef HAVE_HTTP_PARSER
struct seen {
    uint8_t url[INPUT_BYTES_MAX], body[INPUT_BYTES_MAX];
    size_t url_bytes, body_bytes;
    unsigned complete;
};

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct seen *seen = parser->data;

    memcpy(seen->url + seen->url_bytes, at, size);
    seen->url_bytes += size;
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t size)
{
    struct seen *seen = parser->data;

    memcpy(seen->body + seen->body_bytes, at, size);
    seen->body_bytes += size;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    ((struct seen *)parser->data)->complete++;
    return 0;
}

/* What the other parser makes of these bytes. */
static void ask_other(http_parser *parser, struct seen *seen, const uint8_t *data, size_t size)
{
    static const http_parser_settings settings = {
        .on_url = on_url, .on_body = on_body, .on_message_complete = on_message_complete};

    *seen = (struct seen){.complete = 0};
    http_parser_init(parser, HTTP_REQUEST);
    parser->data = seen;
    (void)http_parser_execute(parser, &settings, (const char *)data, size);
}

static bool begins(struct gw_bytes in, const char *word)
{
    return in.size >= strlen(word) && strncasecmp((const char *)in.data, word, strlen(word)) == 0;
}

/*
 * Where the other parser is known to differ: it takes Proxy-Connection for Connection, ends a
 * request to upgrade elsewhere, and holds any name that begins with Transfer-Encoding for that.
 */
static bool is_read_differently(struct gw_bytes in)
{
    static const char coding[] = "transfer-encoding";

    for (; in.size > 0; in = gw_bytes_after(in, 1))
        if (begins(in, "proxy-") || begins(in, "upgrade") ||
            (begins(in, coding) && !begins(gw_bytes_after(in, sizeof coding - 1), ":")))
            return true;
    return false;
}

static void check_other(struct gw_bytes in, const struct answer *ours)
{
    static struct seen seen;
    http_parser parser;
    static const struct {
        enum gw_http_method ours;
        unsigned theirs;
    } methods[] = {{GW_HTTP_GET, HTTP_GET},
                   {GW_HTTP_HEAD, HTTP_HEAD},
                   {GW_HTTP_POST, HTTP_POST},
                   {GW_HTTP_PUT, HTTP_PUT},
                   {GW_HTTP_OPTIONS, HTTP_OPTIONS}};
    struct gw_bytes url;

    if (ours->request.method == GW_HTTP_OTHER || is_read_differently(in))
        return; /* it knows a list of methods only */
    ask_other(&parser, &seen, in.data, ours->used - 1);
    gw_assert(seen.complete == 0);
    ask_other(&parser, &seen, in.data, ours->used);
    gw_assert(HTTP_PARSER_ERRNO(&parser) == HPE_OK && seen.complete == 1);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        gw_assert((ours->request.method == methods[i].ours) ==
                  (parser.method == methods[i].theirs));
    gw_assert(gw_bytes_equal(ours->body.bytes, gw_bytes_of(seen.body, seen.body_bytes)));
    gw_assert(!ours->request.keep_alive || http_should_keep_alive(&parser) != 0);

    /* The end of the target is ours: path, or path, '?' and query. */
    url = gw_bytes_of(seen.url, seen.url_bytes);
    if (ours->request.query.size > 0) {
        gw_assert(url.size > ours->request.query.size);
        gw_assert(gw_bytes_equal(gw_bytes_after(url, url.size - ours->request.query.size),
                                 ours->request.query));
    } else if (ours->request.path.size <= url.size && url.data[url.size - 1] != '?' &&
               url.data[0] == '/') {
        gw_assert(gw_bytes_equal(ours->request.path, url));
    }
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct answer whole;
    struct gw_bytes in = gw_bytes_of(data, size);

    if (size > INPUT_BYTES_MAX)
        return 0;
    read_all(in, &whole);
    if (whole.status == GW_OK) {
        check_query(whole.request.query);
#ifdef HAVE_HTTP_PARSER
        check_other(in, &whole);
#endif
    }
    for (size_t cut = 0; cut <= size; cut += size <= CUTS_OF_BYTES_MAX ? 1 : 1 + size / 64)
        check_cut(in, &whole, cut);
    return 0;
}
