#include "fixture.h"

static void ignore(void *context, const char *sentence)
{
    (void)sentence;
    ++*(uint64_t *)context;
}

/* How many faults the whole index has. */
static uint64_t faults_of(const struct fixture *f)
{
    struct reading r = reading_begin(f, false);
    uint64_t faults = 0, told = 0;

    assert_int_equal(
        gw_catalog_verify(gw_index_reader_view(r.reader), 1000, ignore, &told, &faults), 0);
    assert_int_equal(told, faults);
    reading_end(&r);
    return faults;
}

static struct gw_index_stat stat_of(const struct fixture *f)
{
    struct reading r = reading_begin(f, false);
    struct gw_index_stat stat;

    assert_int_equal(gw_index_stat(r.reader, &stat), 0);
    reading_end(&r);
    return stat;
}

static void an_abort_leaves_everything_as_it_was(void **state)
{
    struct fixture *f = *state;
    const struct gw_index_stat before = stat_of(f);
    struct gw_index_writer *writer = writer_begin(f);
    struct gw_index_stat after;

    (void)add_device(writer, f->product, token_of(1));
    assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
    gw_index_abort(writer);
    gw_index_writer_close(writer);
    after = stat_of(f);
    assert_int_equal(after.generation, before.generation);
    assert_int_equal(after.tokens, before.tokens);
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_GRANTED);
}

static void a_commit_raises_the_generation_by_one_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = stat_of(f).generation;
    struct gw_index_writer *writer = writer_begin(f);

    writer_commit(writer); /* nothing */
    assert_int_equal(stat_of(f).generation, before);
    writer = writer_begin(f);
    for (uint32_t i = 0; i < 20; i++)
        (void)add_device(writer, f->product, token_of(i));
    writer_commit(writer);
    assert_int_equal(stat_of(f).generation, before + 1);
    writer = writer_begin(f);
    assert_int_equal(gw_index_device_set_disabled(writer, f->device, false), 0); /* as it is */
    writer_commit(writer);
    assert_int_equal(stat_of(f).generation, before + 1);
}

static void a_refused_step_leaves_the_transaction_good(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    const struct gw_device_spec twice = {.product = f->product, .token = sample_token()};
    const struct gw_device_spec nowhere = {.product = 99, .token = sample_token()};
    const struct gw_device_spec forged = {
        .product = f->product, .token = token_of(7), .name = text("two\nlines")};
    const struct gw_product_spec taken = {.org = f->org, .id = text(SAMPLE_PRODUCT)};
    const struct gw_product_spec spaced = {.org = f->org, .id = text("TMPL x")};
    const struct gw_product_spec orphan = {.org = 99, .id = text("TMPLx")};
    uint32_t number = 0;

    assert_int_equal(gw_index_device_add(writer, &twice, &number), -EEXIST);
    assert_int_equal(gw_index_device_add(writer, &nowhere, &number), -ENOENT);
    assert_int_equal(gw_index_device_add(writer, &forged, &number), -EINVAL);
    assert_int_equal(gw_index_product_add(writer, &taken, &number), -EEXIST);
    assert_int_equal(gw_index_product_add(writer, &spaced, &number), -EINVAL);
    assert_int_equal(gw_index_product_add(writer, &orphan, &number), -ENOENT);
    assert_int_equal(gw_index_org_add(writer, text("acme"), &number), -EEXIST);
    assert_int_equal(gw_index_org_add(writer, text(""), &number), -EINVAL);
    assert_int_equal(gw_index_token_rotate(writer, f->device, sample_token()), -EEXIST);
    assert_int_equal(gw_index_token_rotate(writer, 99, token_of(3)), -ENOENT);
    assert_int_equal(gw_index_token_revoke(writer, 99), -ENOENT);
    assert_int_equal(gw_index_token_window(writer, f->device, 10, 5), -EINVAL);
    (void)add_device(writer, f->product, token_of(4));
    writer_commit(writer);
    assert_int_equal(login_once(f, false, token_of(4)), GW_LOGIN_GRANTED);
    assert_int_equal(faults_of(f), 0);
}

/* What is asked for is as it is already, or is too long to be anything. */
static void what_changes_nothing_is_no_change(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = stat_of(f).generation;
    struct gw_index_writer *writer = writer_begin(f);
    char letters[GW_DEVICE_NAME_BYTES_MAX + 2] = {0};
    struct gw_product_spec product = {.org = f->org};
    struct gw_device_spec device = {.product = f->product, .token = token_of(9)};
    uint32_t number;

    memset(letters, 'x', sizeof letters - 1);
    assert_int_equal(gw_index_org_set_closed(writer, f->org, false), 0);
    assert_int_equal(gw_index_org_set_closed(writer, 99, true), -ENOENT);
    assert_int_equal(gw_index_product_set_closed(writer, f->product, false), 0);
    assert_int_equal(gw_index_product_set_closed(writer, 99, true), -ENOENT);
    assert_int_equal(gw_index_device_set_disabled(writer, 99, true), -ENOENT);
    assert_int_equal(gw_index_device_move(writer, f->device, f->product), 0);
    assert_int_equal(gw_index_device_move(writer, f->device, 99), -ENOENT);
    assert_int_equal(gw_index_device_move(writer, 99, f->product), -ENOENT);
    assert_int_equal(gw_index_token_window(writer, 99, 1, 2), -ENOENT);
    assert_int_equal(gw_index_set_complete(writer, true), 0);
    assert_int_equal(gw_index_org_add(writer, text(letters), &number), -EINVAL);
    product.id = text("");
    assert_int_equal(gw_index_product_add(writer, &product, &number), -EINVAL);
    product.id = text(letters);
    assert_int_equal(gw_index_product_add(writer, &product, &number), -EINVAL);
    product.id = text("TMPLnew");
    product.name = text(letters);
    assert_int_equal(gw_index_product_add(writer, &product, &number), -EINVAL);
    device.not_before_s = 2;
    device.not_after_s = 1;
    assert_int_equal(gw_index_device_add(writer, &device, &number), -EINVAL);
    writer_commit(writer);
    assert_int_equal(stat_of(f).generation, before);
    gw_index_writer_close(NULL);
    gw_index_reader_close(NULL);
    gw_index_close(NULL);
}

static void a_revoked_device_stays_as_it_is_told(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    struct gw_device_info device;

    assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
    assert_int_equal(gw_index_token_revoke(writer, f->device), -ENOENT);
    assert_int_equal(gw_index_token_window(writer, f->device, 1, 2), -ENOENT);
    assert_int_equal(gw_index_device_set_disabled(writer, f->device, true), 0);
    assert_int_equal(gw_index_device_move(writer, f->device, f->plain_product), 0);
    writer_commit(writer);
    assert_int_equal(faults_of(f), 0);
    writer = writer_begin(f);
    assert_int_equal(gw_catalog_device(gw_index_writer_view(writer), f->device, &device), 0);
    assert_true(device.disabled && !device.has_token && device.product == f->plain_product);
    gw_index_writer_close(writer);
}

static void a_number_is_never_given_out_again(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    const uint32_t first = add_device(writer, f->product, token_of(1));

    assert_int_equal(gw_index_token_revoke(writer, first), 0);
    writer_commit(writer);
    writer = writer_begin(f);
    assert_int_equal(add_device(writer, f->product, token_of(2)), first + 1);
    writer_commit(writer);
}

static void a_revoked_device_gets_a_token_by_rotation(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);

    assert_int_equal(gw_index_device_set_disabled(writer, f->device, true), 0);
    assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
    assert_int_equal(gw_index_token_rotate(writer, f->device, token_of(8)), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, false, token_of(8)), GW_LOGIN_DISABLED);
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_UNKNOWN);
    writer = writer_begin(f);
    assert_int_equal(gw_index_device_set_disabled(writer, f->device, false), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, false, token_of(8)), GW_LOGIN_GRANTED);
    assert_int_equal(faults_of(f), 0);
}

static void generated_devices_log_in_in_the_order_of_their_tokens(void **state)
{
    enum { FEW = 700 };
    struct fixture *f = *state;
    FILE *file = tmpfile();
    char line[64];
    struct reading r;

    assert_non_null(file);
    for (int round = 0; round < 2; round++) { /* beside one device, then beside many */
        struct gw_index_writer *writer = writer_begin(f);
        uint32_t first = 0;

        rewind(file);
        assert_int_equal(gw_index_generate(writer, f->product, FEW, file, NULL, NULL, &first), 0);
        writer_commit(writer);
        assert_int_equal(first, 2 + round * FEW);
        rewind(file);
        r = reading_begin(f, false);
        for (uint32_t i = 0; i < FEW; i++) {
            uint8_t token[GW_TOKEN_BYTES];
            struct gw_grant grant;

            assert_non_null(fgets(line, sizeof line, file));
            assert_true(gw_token_from_text(gw_bytes_of(line, GW_TOKEN_TEXT_BYTES), token));
            assert_int_equal(line[GW_TOKEN_TEXT_BYTES], '\n');
            assert_int_equal(gw_index_login(r.reader, token, true, 1000, &grant), GW_LOGIN_GRANTED);
            assert_int_equal(grant.device, first + i);
        }
        reading_end(&r);
        assert_int_equal(faults_of(f), 0);
    }
    (void)fclose(file);
}

static bool give_up(void *context, uint32_t done)
{
    (void)context;
    (void)done;
    return false;
}

static void a_generation_that_fails_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = stat_of(f).devices;
    struct gw_index_writer *writer = writer_begin(f);
    FILE *full = fopen("/dev/full", "we"), *file = tmpfile();
    uint32_t first = 0;

    assert_non_null(full);
    assert_non_null(file);
    assert_int_equal(gw_index_generate(writer, f->product, 5000, full, NULL, NULL, &first),
                     -ENOSPC);
    assert_int_equal(gw_index_commit(writer), -ENOSPC);
    assert_int_equal(gw_index_begin(writer), 0);
    assert_int_equal(gw_index_generate(writer, f->product, 10, file, give_up, NULL, &first),
                     -ECANCELED);
    assert_int_equal(gw_index_commit(writer), -ECANCELED);
    gw_index_writer_close(writer);
    assert_int_equal(stat_of(f).devices, before);
    assert_int_equal(faults_of(f), 0);
    (void)fclose(full);
    (void)fclose(file);
}

static void the_catalog_lists_what_was_added(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    const struct gw_index_view *view = gw_index_reader_view(r.reader);
    struct gw_product_info product = {.number = 0};
    struct gw_device_info device = {.number = 0};
    struct gw_org_info org = {.number = 0};
    uint32_t number = 0;

    assert_int_equal(gw_catalog_org_next(view, 0, &org), 0);
    assert_string_equal(org.name, "acme");
    assert_int_equal(gw_catalog_org_next(view, org.number, &org), -ENOENT);
    assert_int_equal(gw_catalog_product_next(view, f->product, &product), 0);
    assert_string_equal(product.id, "TMPLplain");
    assert_int_equal(gw_catalog_device(view, f->device, &device), 0);
    assert_true(device.has_token && !device.disabled);
    assert_int_equal(gw_catalog_device_next(view, UINT32_MAX, &device), -ENOENT);
    assert_int_equal(gw_catalog_product_find(view, text(SAMPLE_PRODUCT), &number), 0);
    assert_int_equal(number, f->product);
    assert_int_equal(gw_catalog_product_find(view, text(""), &number), -ENOENT);
    reading_end(&r);
}

static void verify_finds_each_kind_of_damage(void **state)
{
    struct fixture *f = *state;
    const uint64_t key = sample_key(f), change = 1;
    const struct {
        enum gw_table table;
        struct gw_bytes key;
    } rows[] = {
        {GW_TABLE_TOKENS, gw_bytes_of(&key, sizeof key)},
        {GW_TABLE_ORGS, gw_bytes_of(&f->org, sizeof f->org)},
        {GW_TABLE_ORG_NAMES, text("acme")},
        {GW_TABLE_PRODUCTS, gw_bytes_of(&f->product, sizeof f->product)},
        {GW_TABLE_PRODUCT_IDS, text(SAMPLE_PRODUCT)},
        {GW_TABLE_DEVICES, gw_bytes_of(&f->device, sizeof f->device)},
        {GW_TABLE_CHANGES, gw_bytes_of(&change, sizeof change)},
    };

    assert_int_equal(faults_of(f), 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        uint8_t good[GW_ROW_BYTES_MAX], bad[GW_ROW_BYTES_MAX];
        const size_t size = get_raw(f, rows[i].table, rows[i].key, good);
        const struct gw_bytes none = gw_bytes_of(NULL, 0), row = gw_bytes_of(good, size);

        memcpy(bad, good, size);
        bad[0] ^= 0x80; /* altered */
        put_raw(f, rows[i].table, rows[i].key, row, gw_bytes_of(bad, size));
        assert_true(faults_of(f) > 0);
        put_raw(f, rows[i].table, rows[i].key, gw_bytes_of(bad, size), none); /* gone */
        assert_true(faults_of(f) > 0);
        put_raw(f, rows[i].table, rows[i].key, none, row);
        assert_int_equal(faults_of(f), 0);
    }
}

int main(void)
{
#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_INDEX(an_abort_leaves_everything_as_it_was),
        WITH_INDEX(a_commit_raises_the_generation_by_one_or_not_at_all),
        WITH_INDEX(a_refused_step_leaves_the_transaction_good),
        WITH_INDEX(what_changes_nothing_is_no_change),
        WITH_INDEX(a_revoked_device_stays_as_it_is_told),
        WITH_INDEX(a_number_is_never_given_out_again),
        WITH_INDEX(a_revoked_device_gets_a_token_by_rotation),
        WITH_INDEX(generated_devices_log_in_in_the_order_of_their_tokens),
        WITH_INDEX(a_generation_that_fails_leaves_nothing),
        WITH_INDEX(the_catalog_lists_what_was_added),
        WITH_INDEX(verify_finds_each_kind_of_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
