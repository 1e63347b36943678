#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/defs.h>
#include <gw/crypto/crypto.h>

/* RFC 4231, section 4: cases 1, 2, 3, 6 (a key longer than a block) and 7; then the empty one. */
static const struct {
    const char *key; /* text, or one byte repeated when key_repeat is set */
    size_t key_repeat;
    const char *data;
    size_t data_repeat;
    const char *mac;
} vectors[] = {
    {"\x0b", 20, "Hi There", 0, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", 0, "what do ya want for nothing?", 0,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"\xaa", 20, "\xdd", 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"\xaa", 131,
     "This is a test using a larger than block-size key and a larger than block-size data. The "
     "key needs to be hashed before being used by the HMAC algorithm.",
     0, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {"", 0, "", 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static struct gw_bytes fill(uint8_t *memory, const char *text, size_t repeat)
{
    if (repeat == 0)
        return gw_bytes_text(text);
    memset(memory, (unsigned char)text[0], repeat);
    return gw_bytes_of(memory, repeat);
}

static void hmac_matches_the_published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(vectors); i++) {
        uint8_t key[256], data[256], mac[GW_SHA256_BYTES];
        char text[2 * GW_SHA256_BYTES + 1];

        gw_hmac_sha256(fill(key, vectors[i].key, vectors[i].key_repeat),
                       fill(data, vectors[i].data, vectors[i].data_repeat), mac);
        for (size_t at = 0; at < sizeof mac; at++)
            (void)snprintf(text + 2 * at, 3, "%02x", mac[at]);
        assert_string_equal(text, vectors[i].mac);
    }
}

static void a_key_that_is_kept_says_the_same_each_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(vectors); i++) {
        uint8_t memory[256] = {0}, once[GW_SHA256_BYTES], again[GW_SHA256_BYTES];
        struct gw_bytes secret = fill(memory, vectors[i].key, vectors[i].key_repeat);
        struct gw_hmac_key key;

        gw_hmac_key_set(&key, secret);
        for (size_t bytes = 0; bytes < sizeof memory; bytes += 7) { /* over the ends of blocks */
            const struct gw_bytes data = gw_bytes_of(memory, bytes);

            gw_hmac_sha256(secret, data, once);
            for (size_t turn = 0; turn < 2; turn++) {
                gw_hmac_sha256_keyed(&key, data, again);
                assert_memory_equal(once, again, sizeof once);
            }
        }
    }
}

static void an_empty_key_is_not_the_key_of_the_last_time(void **state)
{
    uint8_t empty[GW_SHA256_BYTES], after_other[GW_SHA256_BYTES], other[GW_SHA256_BYTES];
    const struct gw_bytes none = {NULL, 0};

    (void)state;
    gw_hmac_sha256(none, gw_bytes_text("x"), empty);
    gw_hmac_sha256(gw_bytes_text("key"), gw_bytes_text("x"), other);
    gw_hmac_sha256(none, gw_bytes_text("x"), after_other);
    assert_memory_equal(empty, after_other, sizeof empty);
    assert_memory_not_equal(empty, other, sizeof empty);
}

static void sha1_and_base64_match_the_published_vectors(void **state)
{
    /* RFC 3174 7.3, the empty text, and RFC 6455 1.3; RFC 4648, section 10. */
    static const struct {
        const char *text, *hash;
    } hashes[] = {
        {"abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="},
        {"", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
        {"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
    };
    static const char *const texts[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    uint8_t hash[GW_SHA1_BYTES];
    char out[32];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(hashes); i++) {
        gw_sha1(gw_bytes_text(hashes[i].text), hash);
        gw_base64(gw_bytes_of(hash, sizeof hash), out);
        assert_string_equal(out, hashes[i].hash);
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(texts); i++) {
        gw_base64(gw_bytes_text(texts[i][0]), out);
        assert_string_equal(out, texts[i][1]);
    }
}

static void equality_sees_every_byte(void **state)
{
    uint8_t a[64], b[64];

    (void)state;
    gw_random(a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(gw_equal_secret(a, b, sizeof a));
    assert_true(gw_equal_secret(a, b, 0));
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(gw_equal_secret(a, b, sizeof a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void randomness_does_not_repeat(void **state)
{
    uint8_t draws[64][24];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(draws); i++) {
        gw_random(draws[i], sizeof draws[i]);
        for (size_t other = 0; other < i; other++)
            assert_memory_not_equal(draws[i], draws[other], sizeof draws[i]);
    }
}

static void a_wipe_leaves_zeros_and_keeps_its_bounds(void **state)
{
    uint8_t memory[34];

    (void)state;
    memset(memory, 0x5a, sizeof memory);
    gw_wipe(memory + 1, 32);
    assert_int_equal(memory[0], 0x5a);
    assert_int_equal(memory[33], 0x5a);
    for (size_t i = 1; i < 33; i++)
        assert_int_equal(memory[i], 0);
}

static void the_version_names_boringssl(void **state)
{
    (void)state;
    assert_non_null(strstr(gw_crypto_version(), "BoringSSL (API "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_matches_the_published_vectors),
        cmocka_unit_test(a_key_that_is_kept_says_the_same_each_time),
        cmocka_unit_test(an_empty_key_is_not_the_key_of_the_last_time),
        cmocka_unit_test(sha1_and_base64_match_the_published_vectors),
        cmocka_unit_test(equality_sees_every_byte),
        cmocka_unit_test(randomness_does_not_repeat),
        cmocka_unit_test(a_wipe_leaves_zeros_and_keeps_its_bounds),
        cmocka_unit_test(the_version_names_boringssl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
