/*
 * What a login asks of the wire's room: the token's text and the info frame that follows it.
 */
#include <string.h>

#include <gw/wire/internal.h>
#include <gw/wire/token_text.h>

#include "bench.h"

extern const struct gw_bench_case bench_login_cases[];

/*
 * Question: what does a decoder without a table cost, whose time says nothing about the token?
 * Expected: 100 ns: 32 characters at 20 operations each, some of them side by side. A login's
 * handshake takes more than two thousand times as long.
 * Found: 160 ns. Five range checks a character are nearer to 30 operations, and gcc 12 leaves them
 * scalar at -O2; beside the handshake it still does not show.
 */
static void token_text_decode(struct gw_bench *b)
{
    enum { TOKENS = 64 };
    static char texts[TOKENS][GW_TOKEN_TEXT_BYTES];
    uint64_t seed = 2;
    size_t turn = 0;

    for (size_t i = 0; i < TOKENS; i++) {
        uint64_t token[GW_TOKEN_BYTES / 8] = {gw_bench_random(&seed), gw_bench_random(&seed),
                                              gw_bench_random(&seed)};

        gw_token_to_text((const uint8_t *)token, texts[i]);
    }
    while (gw_bench_next(b)) {
        uint8_t token[GW_TOKEN_BYTES];

        if (!gw_token_from_text(gw_bytes_of(texts[turn++ % TOKENS], GW_TOKEN_TEXT_BYTES), token)) {
            gw_bench_fail(b, "a good token is refused");
            return;
        }
        gw_bench_keep(token);
    }
}

/*
 * Question: does the key table want more than a walk from its first row to its last?
 * Expected: 300 ns for the nine keys of today's Arduino library: about six comparisons a key, of
 * which the length decides most. Once a connection, so a walk will do.
 * Found: 455 ns. Each comparison asks strlen for the length of its row's key first.
 */
static void internal_parse_info(struct gw_bench *b)
{
    static const char text[] = "mcu\0"
                               "0.1.0\0fw-type\0TMPL0vFkFmJM7\0build\0Jan  1 2026 00:00:00\0"
                               "blynk\0"
                               "1.4.0\0h-beat\0"
                               "40\0buff-in\0"
                               "1024\0dev\0ESP32\0con\0WiFi\0tmpl\0TMPL0vFkFmJM7";
    struct gw_bytes body = gw_bytes_of(text, sizeof text - 1);

    b->bytes_each = body.size;
    while (gw_bench_next(b)) {
        struct gw_internal_request request;

        gw_internal_parse(body, &request);
        if (request.what != GW_INTERNAL_INFO || request.info.heartbeat_s != 40) {
            gw_bench_fail(b, "the info frame is not understood");
            return;
        }
        gw_bench_keep(&request);
    }
}

const struct gw_bench_case bench_login_cases[] = {
    {"token_text_decode", token_text_decode},
    {"internal_parse_info", internal_parse_info},
    {0},
};
