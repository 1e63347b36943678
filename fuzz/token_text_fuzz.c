/*
 * Target  gw_token_from_text, gw_token_to_text
 *
 * Input   a token's text, as a login carries it; when it has 24 bytes, also a token
 *
 * Oracle  a decoder that looks characters up and moves single bits; text -> token -> text and
 *         token -> text -> token come back unchanged; a refused text leaves nothing behind
 */
#include <string.h>

#include <gw/base/assert.h>
#include <gw/wire/token_text.h>

#include "fuzz.h"

static bool model(const uint8_t *text, size_t size, uint8_t out[GW_TOKEN_BYTES])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    memset(out, 0, GW_TOKEN_BYTES);
    if (size != 32)
        return false;
    for (size_t bit = 0; bit < 6 * size; bit++) {
        const char *place = memchr(alphabet, text[bit / 6], sizeof alphabet - 1);

        if (place == NULL) {
            memset(out, 0, GW_TOKEN_BYTES);
            return false;
        }
        if (((place - alphabet) >> (5 - bit % 6) & 1) != 0)
            out[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t token[GW_TOKEN_BYTES], expected[GW_TOKEN_BYTES];
    char text[GW_TOKEN_TEXT_BYTES];

    memset(token, 0xA5, sizeof token);
    bool good = gw_token_from_text(gw_bytes_of(data, size), token);

    gw_assert(good == model(data, size, expected));
    gw_assert(memcmp(token, expected, sizeof token) == 0);
    if (good) {
        gw_token_to_text(token, text);
        gw_assert(memcmp(text, data, sizeof text) == 0);
    }
    if (size == GW_TOKEN_BYTES) {
        gw_token_to_text(data, text);
        gw_assert(gw_token_from_text(gw_bytes_of(text, sizeof text), token));
        gw_assert(memcmp(token, data, sizeof token) == 0);
    }
    return 0;
}
