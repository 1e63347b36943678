#include "fixture.h"

struct sample {
    const char *name;
    uint64_t key;
    size_t size;
    uint8_t bytes[GW_ROW_BYTES_MAX];
    bool (*reads)(uint64_t key, struct gw_bytes in);
};

static bool reads_meta(uint64_t key, struct gw_bytes in)
{
    struct gw_meta row;

    return key == 0 && gw_meta_unpack(in, &row);
}

static bool reads_token(uint64_t key, struct gw_bytes in)
{
    struct gw_token_row row;

    return gw_token_row_unpack(key, in, &row);
}

static bool reads_org(uint64_t key, struct gw_bytes in)
{
    struct gw_org_row row;

    return gw_org_row_unpack((uint32_t)key, in, &row);
}

static bool reads_product(uint64_t key, struct gw_bytes in)
{
    struct gw_product_row row;

    return gw_product_row_unpack((uint32_t)key, in, &row);
}

static bool reads_device(uint64_t key, struct gw_bytes in)
{
    struct gw_device_row row;

    return gw_device_row_unpack((uint32_t)key, in, &row);
}

static bool reads_change(uint64_t key, struct gw_bytes in)
{
    struct gw_change_row row;

    return gw_change_row_unpack(key, in, &row);
}

static size_t make_samples(struct sample out[6])
{
    const struct gw_meta meta = {.schema = 1,
                                 .complete = true,
                                 .generation = 7,
                                 .next_device = 9,
                                 .change_first = 1,
                                 .change_next = 4};
    const struct gw_token_row token = {
        .verifier = {1, 2, 3}, .device = 8, .product = 2, .org = 1, .generation = 4};
    const struct gw_org_row org = {.closed = true, .name_bytes = 4, .name = "acme"};
    const struct gw_product_row product = {
        .flags = 3, .org = 1, .id_bytes = 5, .name_bytes = 4, .id = "TMPL1", .name = "Lamp"};
    const struct gw_device_row device = {
        .has_token = true, .product = 2, .org = 1, .generation = 4, .token_key = 99};
    const struct gw_change_row change = {.kind = GW_INDEX_TOKEN_REVOKED, .device = 8};

    out[0] = (struct sample){"meta", 0, 0, {0}, reads_meta};
    out[0].size = gw_meta_pack(&meta, out[0].bytes);
    out[1] = (struct sample){"token", 0x0123456789abcdef, 0, {0}, reads_token};
    out[1].size = gw_token_row_pack(out[1].key, &token, out[1].bytes);
    out[2] = (struct sample){"org", 1, 0, {0}, reads_org};
    out[2].size = gw_org_row_pack(1, &org, out[2].bytes);
    out[3] = (struct sample){"product", 2, 0, {0}, reads_product};
    out[3].size = gw_product_row_pack(2, &product, out[3].bytes);
    out[4] = (struct sample){"device", 8, 0, {0}, reads_device};
    out[4].size = gw_device_row_pack(8, &device, out[4].bytes);
    out[5] = (struct sample){"change", 3, 0, {0}, reads_change};
    out[5].size = gw_change_row_pack(3, &change, out[5].bytes);
    return 6;
}

static void a_row_reads_under_its_own_key_only(void **state)
{
    struct sample samples[6];
    const size_t count = make_samples(samples);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct gw_bytes row = gw_bytes_of(samples[i].bytes, samples[i].size);

        assert_true(samples[i].reads(samples[i].key, row));
        assert_false(samples[i].reads(samples[i].key + 1, row));
    }
}

static void a_row_with_any_bit_flipped_is_refused(void **state)
{
    struct sample samples[6];
    const size_t count = make_samples(samples);

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t bit = 0; bit < 8 * samples[i].size; bit++) {
            samples[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(
                samples[i].reads(samples[i].key, gw_bytes_of(samples[i].bytes, samples[i].size)));
            samples[i].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
}

static void a_row_cut_or_lengthened_is_refused(void **state)
{
    struct sample samples[6];
    const size_t count = make_samples(samples);

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t size = 0; size <= GW_ROW_BYTES_MAX; size++)
            assert_int_equal(samples[i].reads(samples[i].key, gw_bytes_of(samples[i].bytes, size)),
                             size == samples[i].size);
}

static void a_row_of_one_table_is_none_of_another(void **state)
{
    struct sample samples[6];
    const size_t count = make_samples(samples);

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t other = 0; other < count; other++)
            if (other != i)
                assert_false(samples[other].reads(samples[i].key,
                                                  gw_bytes_of(samples[i].bytes, samples[i].size)));
}

static void a_device_row_keeps_every_field(void **state)
{
    struct gw_device_row in = {.disabled = true,
                               .has_token = true,
                               .product = 0x01020304,
                               .org = 0x11121314,
                               .owner = 0x21222324,
                               .generation = 0x31323334,
                               .token_generation = 0x31323330,
                               .token_key = UINT64_C(0x4142434445464748),
                               .created_s = UINT64_C(0x5152535455565758),
                               .name_bytes = GW_DEVICE_NAME_BYTES_MAX};
    struct gw_device_row out;
    uint8_t bytes[GW_ROW_BYTES_MAX];

    (void)state;
    memset(in.name, 'n', sizeof in.name);
    assert_true(
        gw_device_row_unpack(5, gw_bytes_of(bytes, gw_device_row_pack(5, &in, bytes)), &out));
    assert_true(out.disabled && out.has_token);
    assert_int_equal(out.product, in.product);
    assert_int_equal(out.org, in.org);
    assert_int_equal(out.owner, in.owner);
    assert_int_equal(out.generation, in.generation);
    assert_int_equal(out.token_generation, in.token_generation);
    assert_true(out.token_key == in.token_key && out.created_s == in.created_s);
    assert_int_equal(out.name_bytes, in.name_bytes);
    assert_memory_equal(out.name, in.name, sizeof in.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_reads_under_its_own_key_only),
        cmocka_unit_test(a_row_with_any_bit_flipped_is_refused),
        cmocka_unit_test(a_row_cut_or_lengthened_is_refused),
        cmocka_unit_test(a_row_of_one_table_is_none_of_another),
        cmocka_unit_test(a_device_row_keeps_every_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
