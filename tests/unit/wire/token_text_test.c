/*
 * Token text: every character at every place, every length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <gw/wire/token_text.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const struct {
    const char *text;
    uint8_t token[GW_TOKEN_BYTES + 1]; /* and the NUL of the literal */
} known[] = {
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", {0}},
    {"________________________________",
     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
     "\xff"},
    /* RFC 4648, section 10, three times over: "foobar" is Zm9vYmFy. */
    {"Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy", "foobarfoobarfoobarfoobar"},
    {"-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_",
     "\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff"
     "\xbf"},
};

static const char valid[] = "xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl";

static void assert_wiped(const uint8_t token[GW_TOKEN_BYTES])
{
    static const uint8_t zeros[GW_TOKEN_BYTES];

    assert_memory_equal(token, zeros, sizeof zeros);
}

static void known_texts_are_known_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(known); i++) {
        uint8_t token[GW_TOKEN_BYTES];
        char text[GW_TOKEN_TEXT_BYTES];

        assert_true(gw_token_from_text(gw_bytes_text(known[i].text), token));
        assert_memory_equal(token, known[i].token, sizeof token);
        gw_token_to_text(known[i].token, text);
        assert_memory_equal(text, known[i].text, sizeof text);
    }
}

static void every_character_at_every_place_is_taken_or_refused(void **state)
{
    (void)state;
    for (size_t place = 0; place < GW_TOKEN_TEXT_BYTES; place++)
        for (unsigned value = 0; value < 256; value++) {
            char text[GW_TOKEN_TEXT_BYTES], again[sizeof text];
            uint8_t token[GW_TOKEN_BYTES];

            memcpy(text, valid, sizeof text);
            text[place] = (char)value;
            bool legal = memchr(alphabet, (int)value, sizeof alphabet - 1) != NULL;

            memset(token, 0xA5, sizeof token);
            assert_int_equal(gw_token_from_text(gw_bytes_of(text, sizeof text), token), legal);
            if (legal) {
                gw_token_to_text(token, again);
                assert_memory_equal(again, text, sizeof text);
            } else {
                assert_wiped(token);
            }
        }
}

static void each_place_holds_its_own_six_bits(void **state)
{
    (void)state;
    for (size_t place = 0; place < GW_TOKEN_TEXT_BYTES; place++)
        for (unsigned value = 0; value < 64; value++) {
            char text[GW_TOKEN_TEXT_BYTES];
            uint8_t token[GW_TOKEN_BYTES];

            memset(text, 'A', sizeof text);
            text[place] = alphabet[value];
            assert_true(gw_token_from_text(gw_bytes_of(text, sizeof text), token));
            for (size_t bit = 0; bit < 8 * sizeof token; bit++) {
                unsigned expected = bit / 6 == place ? value >> (5 - bit % 6) & 1 : 0;

                assert_int_equal(token[bit / 8] >> (7 - bit % 8) & 1, expected);
            }
        }
}

static void only_thirty_two_characters_are_a_token(void **state)
{
    static char text[65536];

    (void)state;
    memset(text, 'A', sizeof text);
    for (size_t size = 0; size < 300; size++) {
        uint8_t token[GW_TOKEN_BYTES];

        memset(token, 0xA5, sizeof token);
        assert_int_equal(gw_token_from_text(gw_bytes_of(text, size), token), size == 32);
        assert_wiped(token); /* "AAA..." is all zeros too */
    }
    static const size_t long_ones[] = {256 + 32, 512 + 32, 65535};

    for (size_t i = 0; i < GW_ARRAY_COUNT(long_ones); i++) {
        uint8_t token[GW_TOKEN_BYTES];

        assert_false(gw_token_from_text(gw_bytes_of(text, long_ones[i]), token));
    }
    uint8_t token[GW_TOKEN_BYTES];

    assert_false(gw_token_from_text(gw_bytes_of(NULL, 0), token));
}

static void an_old_hexadecimal_token_is_a_token(void **state)
{
    uint8_t token[GW_TOKEN_BYTES];
    char text[GW_TOKEN_TEXT_BYTES];

    (void)state;
    assert_true(gw_token_from_text(gw_bytes_text("0123456789abcdef0123456789abcdef"), token));
    gw_token_to_text(token, text);
    assert_memory_equal(text, "0123456789abcdef0123456789abcdef", sizeof text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_are_known_tokens),
        cmocka_unit_test(every_character_at_every_place_is_taken_or_refused),
        cmocka_unit_test(each_place_holds_its_own_six_bits),
        cmocka_unit_test(only_thirty_two_characters_are_a_token),
        cmocka_unit_test(an_old_hexadecimal_token_is_a_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
