/*
 * Binding: a device whose product provisions becomes one of the product that it named, with its
 * token, and nothing else does.
 */
#include "fixture.h"

enum { NOW_S = 1000, WEEK_S = 604800 };

struct newcomer {
    uint32_t org, foreign_org, newcomers, others, foreign, device;
};

static struct newcomer add_newcomer(struct gw_index_writer *writer, const struct fixture *f)
{
    struct newcomer n = {.org = f->org};
    struct gw_device_spec spec = {.token = token_of(1), .not_after_s = NOW_S + WEEK_S};

    assert_int_equal(gw_index_org_add(writer, text("elsewhere"), &n.foreign_org), 0);
    n.newcomers = add_product(writer, f->org, "newcomers", GW_PRODUCT_PROVISIONS, 0);
    n.others = add_product(writer, f->org, "newcomers2", GW_PRODUCT_PROVISIONS, 0);
    n.foreign = add_product(writer, n.foreign_org, "TMPLforeign", 0, 0);
    spec.product = n.newcomers;
    assert_int_equal(gw_index_device_add(writer, &spec, &n.device), 0);
    return n;
}

static void a_device_is_bound_to_what_it_named_and_keeps_its_token(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    struct newcomer n = add_newcomer(writer, f);
    struct gw_device_info device;
    struct gw_grant grant;
    struct reading r;

    writer_commit(writer);
    r = reading_begin(f, false);
    assert_int_equal(gw_index_login(r.reader, token_of(1), true, NOW_S, &grant), GW_LOGIN_GRANTED);
    /* Nobody is to be served before he has said what he is. */
    assert_int_equal(grant.product_flags, GW_PRODUCT_PROVISIONS | GW_PRODUCT_INFO_REQUIRED);
    assert_int_equal(gw_index_login(r.reader, token_of(1), true, NOW_S + WEEK_S + 1, &grant),
                     GW_LOGIN_NOT_NOW);
    reading_end(&r);

    writer = writer_begin(f);
    assert_int_equal(gw_index_device_bind(writer, n.device, text(SAMPLE_PRODUCT)), 0);
    writer_commit(writer);
    r = reading_begin(f, false);
    assert_int_equal(gw_index_login(r.reader, token_of(1), true, NOW_S + 100 * WEEK_S, &grant),
                     GW_LOGIN_GRANTED);
    assert_int_equal(grant.device, n.device);
    assert_int_equal(grant.product, f->product);
    assert_int_equal(grant.org, f->org);
    assert_int_equal(grant.quota_class, 3);
    assert_int_equal(grant.product_flags, GW_PRODUCT_INFO_REQUIRED);
    assert_int_equal(gw_catalog_device(gw_index_reader_view(r.reader), n.device, &device), 0);
    assert_int_equal(device.product, f->product);
    assert_int_equal(device.not_after_s, 0);
    reading_end(&r);
}

static void count_faults(void *context, const char *sentence)
{
    print_error("%s\n", sentence);
    ++*(unsigned *)context;
}

static void nothing_else_is_bound(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    struct newcomer n = add_newcomer(writer, f);
    unsigned findings = 0;
    uint64_t faults = 0;
    struct reading r;

    assert_int_equal(gw_index_device_bind(writer, 4000, text(SAMPLE_PRODUCT)), -ENOENT);
    assert_int_equal(gw_index_device_bind(writer, n.device, text("TMPLnone")), -ENOENT);
    assert_int_equal(gw_index_device_bind(writer, n.device, text("")), -ENOENT);
    assert_int_equal(gw_index_device_bind(writer, n.device, text("TMPLforeign")), -ENOENT);
    assert_int_equal(gw_index_device_bind(writer, n.device, text("newcomers")), -ENOENT);
    assert_int_equal(gw_index_device_bind(writer, n.device, text("newcomers2")), -ENOENT);
    assert_int_equal(gw_index_product_set_closed(writer, f->plain_product, true), 0);
    assert_int_equal(gw_index_device_bind(writer, n.device, text("TMPLplain")), -ENOENT);
    assert_int_equal(gw_index_product_set_closed(writer, f->plain_product, false), 0);
    assert_int_equal(gw_index_device_set_disabled(writer, n.device, true), 0);
    assert_int_equal(gw_index_device_bind(writer, n.device, text(SAMPLE_PRODUCT)), -EPERM);
    assert_int_equal(gw_index_device_set_disabled(writer, n.device, false), 0);
    /* A device that is one of a product stays that. */
    assert_int_equal(gw_index_device_bind(writer, f->device, text("TMPLplain")), -EPERM);
    assert_int_equal(gw_index_device_bind(writer, f->device, text(SAMPLE_PRODUCT)), 0);

    assert_int_equal(gw_index_device_bind(writer, n.device, text("TMPLplain")), 0);
    assert_int_equal(gw_index_device_bind(writer, n.device, text("TMPLplain")), 0); /* again */
    assert_int_equal(gw_index_device_bind(writer, n.device, text(SAMPLE_PRODUCT)), -EPERM);
    writer_commit(writer);
    r = reading_begin(f, false);
    assert_int_equal(
        gw_catalog_verify(gw_index_reader_view(r.reader), 10, count_faults, &findings, &faults), 0);
    assert_int_equal(faults, 0);
    reading_end(&r);

    writer = writer_begin(f);
    assert_int_equal(gw_index_token_revoke(writer, n.device), 0);
    assert_int_equal(gw_index_device_move(writer, n.device, n.newcomers), 0);
    assert_int_equal(gw_index_device_bind(writer, n.device, text(SAMPLE_PRODUCT)), -EPERM);
    writer_commit(writer);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_device_is_bound_to_what_it_named_and_keeps_its_token,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_else_is_bound, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("token.bind", tests, NULL, NULL);
}
