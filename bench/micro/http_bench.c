/*
 * What HTTP itself costs: a request out of its bytes, and the head of an answer.
 */
#include <gw/http/request.h>
#include <gw/http/response.h>

#include "bench.h"

extern const struct gw_bench_case bench_http_cases[];

static const struct gw_http_limits limits = {
    .head_bytes_max = 8192, .headers_max = 64, .body_bytes_max = 524288};

static void read_head(struct gw_bench *b, const char *text)
{
    const struct gw_bytes in = gw_bytes_text(text);

    b->bytes_each = in.size;
    while (gw_bench_next(b)) {
        struct gw_http_request request;

        if (gw_http_head_read(in, &limits, &request) != GW_OK || request.head_bytes != in.size) {
            gw_bench_fail(b, "a good request is refused");
            return;
        }
        gw_bench_keep(&request);
    }
}

/*
 * Question: what does a strict parser cost that looks at each byte for itself?
 * Expected: 150 ns for the 100 bytes of a script's request: each is looked at twice, and a field's
 * name is compared with ten.
 * Found: 284 ns beside other work: three looks at most bytes, as lines, as a token or a target, and
 * at what they hold.
 */
static void http_head_of_a_script(struct gw_bench *b)
{
    read_head(b, "GET /external/api/get?token=xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl&v1 HTTP/1.1\r\n"
                 "Host: gateway.example\r\n\r\n");
}

/*
 * Question: and the many fields of a browser?
 * Expected: 1 us: some 700 bytes.
 * Found: 1.9 us beside other work; a field that nobody asks for is compared with all ten as well.
 */
static void http_head_of_a_browser(struct gw_bench *b)
{
    read_head(b,
              "GET /external/api/get?token=xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl&v1 HTTP/1.1\r\n"
              "Host: gateway.example\r\n"
              "Connection: keep-alive\r\n"
              "sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n"
              "sec-ch-ua-mobile: ?0\r\n"
              "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
              "Chrome/124.0.0.0 Safari/537.36\r\n"
              "sec-ch-ua-platform: \"Linux\"\r\n"
              "Accept: */*\r\n"
              "Origin: https://dashboard.example\r\n"
              "Sec-Fetch-Site: cross-site\r\n"
              "Sec-Fetch-Mode: cors\r\n"
              "Sec-Fetch-Dest: empty\r\n"
              "Referer: https://dashboard.example/\r\n"
              "Accept-Encoding: gzip, deflate, br, zstd\r\n"
              "Accept-Language: en-GB,en;q=0.9\r\n\r\n");
}

/*
 * Question: what does the head of an answer cost, of which all but the date and a length is known?
 * Expected: 100 ns: some twenty short copies, each with a strlen.
 * Found: 165 ns beside other work.
 */
static void http_response(struct gw_bench *b)
{
    struct gw_http_response response = {.status = 200,
                                        .keep_alive = true,
                                        .date_s = 1700000000,
                                        .content_type = "text/plain;charset=utf-8",
                                        .body = gw_bytes_text("21.5"),
                                        .cors_origin = "*"};

    while (gw_bench_next(b)) {
        uint8_t out[GW_HTTP_RESPONSE_HEAD_BYTES];

        response.date_s++;
        if (gw_http_response_write(out, sizeof out, &response) == 0) {
            gw_bench_fail(b, "an answer does not fit");
            return;
        }
        gw_bench_keep(out);
    }
}

const struct gw_bench_case bench_http_cases[] = {
    {"http_head_of_a_script", http_head_of_a_script},
    {"http_head_of_a_browser", http_head_of_a_browser},
    {"http_response", http_response},
    {0},
};
