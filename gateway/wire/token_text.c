/*
 * Token text: base64url, 32 characters to 24 bytes. Decoding looks at every character with the same
 * arithmetic and no table, so that its time says nothing about the token.
 */
#include <gw/wire/token_text.h>

/* All ones when lo <= c <= hi, else 0; for values below 256. */
static uint32_t in_range(uint32_t c, uint32_t lo, uint32_t hi)
{
    return (uint32_t)0 - ((((lo - 1 - c) & (c - hi - 1)) >> 31) & 1);
}

/* The six bits of a character, or bit 8 set when it is none of the alphabet. */
static uint32_t value_of(uint32_t c)
{
    uint32_t upper = in_range(c, 'A', 'Z'), lower = in_range(c, 'a', 'z');
    uint32_t digit = in_range(c, '0', '9');
    uint32_t minus = in_range(c, '-', '-'), under = in_range(c, '_', '_');

    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) |
           (minus & 62) | (under & 63) | (~(upper | lower | digit | minus | under) & 0x100);
}

bool gw_token_from_text(struct gw_bytes text, uint8_t out[GW_TOKEN_BYTES])
{
    uint32_t wrong = 0;

    memset(out, 0, GW_TOKEN_BYTES);
    if (text.size != GW_TOKEN_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < GW_TOKEN_TEXT_BYTES / 4; i++) {
        uint32_t bits = 0;

        for (size_t j = 0; j < 4; j++) {
            uint32_t value = value_of(text.data[4 * i + j]);

            wrong |= value;
            bits = bits << 6 | (value & 63);
        }
        out[3 * i] = (uint8_t)(bits >> 16);
        out[3 * i + 1] = (uint8_t)(bits >> 8);
        out[3 * i + 2] = (uint8_t)bits;
    }
    if ((wrong & 0x100) == 0)
        return true;
    memset(out, 0, GW_TOKEN_BYTES);
    return false;
}

void gw_token_to_text(const uint8_t token[GW_TOKEN_BYTES], char out[GW_TOKEN_TEXT_BYTES])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < GW_TOKEN_BYTES / 3; i++) {
        uint32_t bits =
            (uint32_t)token[3 * i] << 16 | (uint32_t)token[3 * i + 1] << 8 | token[3 * i + 2];

        for (size_t j = 0; j < 4; j++)
            out[4 * i + j] = alphabet[bits >> (18 - 6 * j) & 63];
    }
}
