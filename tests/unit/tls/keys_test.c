/* Record protection held to published bytes: RFC 8448 section 3, "Simple 1-RTT Handshake". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "keys_internal.h"

static const char client_secret[] =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] =
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
static const char client_key_and_iv[] = "17422dda596ed5d9acd890e3c63f50515b78923dee08579033e523d9";
static const char server_key_and_iv[] = "9f02283b6c9c07efc26bb9f2ac92e356cf782b88dd83549aadf1e984";
/* The client's first record of data: the bytes 0 to 49. */
static const char client_record[] =
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e"
    "2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;

    for (; hex[2 * n] != '\0'; n++) {
        unsigned byte = 0;

        assert_int_equal(sscanf(hex + 2 * n, "%2x", &byte), 1);
        out[n] = (uint8_t)byte;
    }
    return n;
}

union room {
    struct gw_keys keys;
    uint8_t bytes[GW_KEYS_BYTES_MAX];
};

static const struct gw_keys_shape *make_keys(const char *read, const char *write, union room *out)
{
    const struct gw_keys_shape *shape =
        gw_keys_shape_at((unsigned)gw_keys_shape_find(TLS1_3_VERSION, 0x1301));
    uint8_t secrets[2][GW_KEYS_SECRET_BYTES_MAX];

    assert_int_equal(from_hex(read, secrets[0]), 32);
    assert_int_equal(from_hex(write, secrets[1]), 32);
    assert_true(gw_keys_from_secrets(shape, secrets[0], secrets[1], &out->keys));
    return shape;
}

static void keys_are_derived_as_published(void **state)
{
    uint8_t expected[64];
    union room room;
    const struct gw_keys_shape *shape = make_keys(client_secret, server_secret, &room);

    (void)state;
    assert_int_equal(gw_keys_bytes(shape), sizeof room.keys + 2 * (size_t)(28 + 32));
    assert_int_equal(from_hex(client_key_and_iv, expected), 28);
    assert_memory_equal(room.keys.bytes, expected, 28);
    assert_int_equal(from_hex(server_key_and_iv, expected), 28);
    assert_memory_equal(room.keys.bytes + 28 + 32, expected, 28);
}

static void a_published_record_is_opened_and_sealed(void **state)
{
    uint8_t record[128], content[128], sealed[128];
    const size_t size = from_hex(client_record, record);
    union room server, client;
    const struct gw_keys_shape *shape = make_keys(client_secret, server_secret, &server);
    size_t n = 0;

    (void)state;
    (void)make_keys(server_secret, client_secret, &client);
    assert_true(
        gw_keys_open(shape, &server.keys, record, gw_bytes_of(record + 5, size - 5), content, &n));
    assert_int_equal(n, 51);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(content[i], i);
    assert_int_equal(content[50], GW_RECORD_DATA);
    assert_int_equal(
        gw_keys_seal(shape, &client.keys, GW_RECORD_DATA, gw_bytes_of(content, 50), sealed), size);
    assert_memory_equal(sealed, record, size);
    /* Under the next number it is another record. */
    assert_false(
        gw_keys_open(shape, &server.keys, record, gw_bytes_of(record + 5, size - 5), content, &n));
}

static void an_update_changes_one_side_and_starts_its_count_anew(void **state)
{
    union room a, b;
    const struct gw_keys_shape *shape = make_keys(client_secret, server_secret, &a);
    const size_t side = 28 + 32;
    uint8_t record[64];

    (void)state;
    b = a;
    assert_true(gw_keys_seal(shape, &a.keys, GW_RECORD_DATA, gw_bytes_text("x"), record) > 0);
    assert_int_equal(a.keys.sequence[GW_KEYS_WRITE], 1);
    assert_true(gw_keys_update(shape, &a.keys, GW_KEYS_WRITE));
    assert_int_equal(a.keys.sequence[GW_KEYS_WRITE], 0);
    assert_memory_equal(a.keys.bytes, b.keys.bytes, side);
    assert_memory_not_equal(a.keys.bytes + side, b.keys.bytes + side, 16);
    assert_memory_not_equal(a.keys.bytes + side + 16, b.keys.bytes + side + 16, 12);
    assert_memory_not_equal(a.keys.bytes + side + 28, b.keys.bytes + side + 28, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_derived_as_published),
        cmocka_unit_test(a_published_record_is_opened_and_sealed),
        cmocka_unit_test(an_update_changes_one_side_and_starts_its_count_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
