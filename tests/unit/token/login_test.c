#include "fixture.h"

enum { NOW = 1700000000 };

/* What an operator did to the device, its product and its organisation before the login. */
struct act {
    bool disable, close_product, close_org, revoke, rotate;
    uint64_t not_before_s, not_after_s;
};

static const struct {
    const char *name;
    struct act act;
    bool plain_product, over_tls;
    enum gw_login expected;
} answers[] = {
    {"active", {0}, false, true, GW_LOGIN_GRANTED},
    {"disabled", {.disable = true}, false, true, GW_LOGIN_DISABLED},
    {"product closed", {.close_product = true}, false, true, GW_LOGIN_CLOSED},
    {"organisation closed", {.close_org = true}, false, true, GW_LOGIN_CLOSED},
    {"disabled in a closed product",
     {.disable = true, .close_product = true},
     false,
     true,
     GW_LOGIN_DISABLED},
    {"before its window", {.not_before_s = NOW + 1}, false, true, GW_LOGIN_NOT_NOW},
    {"window opens now", {.not_before_s = NOW}, false, true, GW_LOGIN_GRANTED},
    {"window ends now", {.not_after_s = NOW}, false, true, GW_LOGIN_GRANTED},
    {"after its window", {.not_after_s = NOW - 1}, false, true, GW_LOGIN_NOT_NOW},
    {"plain where TLS is a must", {0}, false, false, GW_LOGIN_PLAIN},
    {"plain where it may be", {0}, true, false, GW_LOGIN_GRANTED},
    {"revoked", {.revoke = true}, false, true, GW_LOGIN_UNKNOWN},
    {"rotated out", {.rotate = true}, false, true, GW_LOGIN_UNKNOWN},
    {"revoked while closed", {.revoke = true, .close_org = true}, false, true, GW_LOGIN_UNKNOWN},
    {"disabled, then revoked", {.disable = true, .revoke = true}, false, true, GW_LOGIN_UNKNOWN},
};

static void apply(const struct fixture *f, struct act act, bool plain_product)
{
    struct gw_index_writer *writer = writer_begin(f);
    const uint32_t product = plain_product ? f->plain_product : f->product;

    /* Another token, so that an index without the first one is not simply empty. */
    (void)add_device(writer, f->plain_product, token_of(1));
    if (plain_product)
        assert_int_equal(gw_index_device_move(writer, f->device, product), 0);
    if (act.not_before_s != 0 || act.not_after_s != 0)
        assert_int_equal(
            gw_index_token_window(writer, f->device, act.not_before_s, act.not_after_s), 0);
    if (act.disable)
        assert_int_equal(gw_index_device_set_disabled(writer, f->device, true), 0);
    if (act.close_product)
        assert_int_equal(gw_index_product_set_closed(writer, product, true), 0);
    if (act.close_org)
        assert_int_equal(gw_index_org_set_closed(writer, f->org, true), 0);
    if (act.revoke)
        assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
    if (act.rotate)
        assert_int_equal(gw_index_token_rotate(writer, f->device, token_of(2)), 0);
    writer_commit(writer);
}

static void every_state_of_a_token_has_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(answers); i++) {
        void *own;
        struct gw_grant grant;
        struct reading r;
        enum gw_login answer;

        (void)fixture_setup(&own);
        apply(own, answers[i].act, answers[i].plain_product);
        r = reading_begin(own, false);
        answer = gw_index_login(r.reader, sample_token(), answers[i].over_tls, NOW, &grant);
        if (answer != answers[i].expected)
            print_error("case: %s\n", answers[i].name);
        assert_int_equal(answer, answers[i].expected);
        reading_end(&r);
        (void)fixture_teardown(&own);
    }
}

static void a_grant_says_who_it_is_for(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    struct gw_grant grant;

    assert_int_equal(gw_index_login(r.reader, sample_token(), true, NOW, &grant), GW_LOGIN_GRANTED);
    assert_int_equal(grant.device, f->device);
    assert_int_equal(grant.product, f->product);
    assert_int_equal(grant.org, f->org);
    assert_int_equal(grant.generation, 1);
    assert_int_equal(grant.product_flags, GW_PRODUCT_INFO_REQUIRED);
    assert_int_equal(grant.quota_class, 3);
    reading_end(&r);
}

static void a_refusal_leaves_the_grant_untouched(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    struct gw_grant grant = {.device = 77};

    assert_int_equal(gw_index_login(r.reader, token_of(5), true, NOW, &grant), GW_LOGIN_UNKNOWN);
    assert_int_equal(gw_index_login(r.reader, NULL, true, NOW, &grant), GW_LOGIN_UNKNOWN);
    assert_int_equal(grant.device, 77);
    reading_end(&r);
}

static void a_wrong_shape_is_unknown_even_if_the_zero_token_exists(void **state)
{
    static const uint8_t zero[GW_TOKEN_BYTES];
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    struct reading r;

    (void)add_device(writer, f->product, zero);
    writer_commit(writer);
    r = reading_begin(f, false);
    assert_int_equal(login(&r, zero), GW_LOGIN_GRANTED);
    assert_int_equal(login(&r, NULL), GW_LOGIN_UNKNOWN);
    reading_end(&r);
}

static void a_damaged_row_is_unavailable_at_every_bit(void **state)
{
    struct fixture *f = *state;
    const uint64_t key = sample_key(f);
    const struct gw_bytes key_bytes = gw_bytes_of(&key, sizeof key);
    uint8_t good[GW_ROW_BYTES_MAX], bad[GW_ROW_BYTES_MAX];
    const size_t size = get_raw(f, GW_TABLE_TOKENS, key_bytes, good);

    assert_int_equal(size, GW_TOKEN_ROW_BYTES);
    for (size_t bit = 0; bit < 8 * size; bit += 13) {
        memcpy(bad, good, size);
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        put_raw(f, GW_TABLE_TOKENS, key_bytes, gw_bytes_of(good, size), gw_bytes_of(bad, size));
        assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_UNAVAILABLE);
        put_raw(f, GW_TABLE_TOKENS, key_bytes, gw_bytes_of(bad, size), gw_bytes_of(good, size));
    }
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_GRANTED);
}

static void a_row_whose_product_or_organisation_is_damaged_is_unavailable(void **state)
{
    struct fixture *f = *state;
    const struct {
        enum gw_table table;
        uint32_t number;
    } rows[] = {{GW_TABLE_PRODUCTS, f->product}, {GW_TABLE_ORGS, f->org}};

    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        const struct gw_bytes key = gw_bytes_of(&rows[i].number, sizeof rows[i].number);
        uint8_t good[GW_ROW_BYTES_MAX], bad[GW_ROW_BYTES_MAX];
        const size_t size = get_raw(f, rows[i].table, key, good);

        memcpy(bad, good, size);
        bad[1] ^= 1; /* "closed" */
        put_raw(f, rows[i].table, key, gw_bytes_of(NULL, 0), gw_bytes_of(bad, size));
        assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_UNAVAILABLE);
        put_raw(f, rows[i].table, key, gw_bytes_of(good, 0), gw_bytes_of(good, size));
        assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_GRANTED);
    }
}

static void a_damaged_head_row_makes_everything_unavailable(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    pid_t child;
    int status;

    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    child = fork();
    if (child == 0) {
        uint8_t row[GW_ROW_BYTES_MAX] = {0};

        put_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), gw_bytes_of(NULL, 0),
                gw_bytes_of(row, GW_META_ROW_BYTES));
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(login(&r, token_of(9)), GW_LOGIN_UNAVAILABLE);
    reading_end(&r);
}

static void a_token_is_found_among_many_that_share_its_hash(void **state)
{
    enum { SHARERS = 200 };
    struct fixture *f = *state;
    const uint64_t key = sample_key(f);
    uint8_t bytes[GW_ROW_BYTES_MAX];
    struct gw_index_writer *writer;
    struct gw_meta meta;

    for (uint32_t i = 0; i < SHARERS; i++) {
        struct gw_token_row row = {
            .device = 1000 + i, .product = f->product, .org = f->org, .generation = 1};

        gw_random(row.verifier, sizeof row.verifier);
        put_raw(f, GW_TABLE_TOKENS, gw_bytes_of(&key, sizeof key), gw_bytes_of(NULL, 0),
                gw_bytes_of(bytes, gw_token_row_pack(key, &row, bytes)));
    }
    assert_true(gw_meta_unpack(
        gw_bytes_of(bytes, get_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), bytes)), &meta));
    meta.tokens += SHARERS;
    put_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), gw_bytes_of(NULL, 0),
            gw_bytes_of(bytes, gw_meta_pack(&meta, bytes)));
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_GRANTED);

    /* A change finds the right one of them too, and takes no other away. */
    writer = writer_begin(f);
    assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_UNKNOWN);
    assert_true(gw_meta_unpack(
        gw_bytes_of(bytes, get_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), bytes)), &meta));
    assert_int_equal(meta.tokens, SHARERS);
}

static void one_damaged_row_among_sharers_makes_their_misses_unavailable(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    const uint64_t key = sample_key(f);
    uint8_t bytes[GW_ROW_BYTES_MAX];

    /* The device is gone, but a row that cannot be read stands where its token would. */
    (void)add_device(writer, f->product, token_of(1));
    assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_UNKNOWN);
    memset(bytes, 0xee, sizeof bytes);
    put_raw(f, GW_TABLE_TOKENS, gw_bytes_of(&key, sizeof key), gw_bytes_of(NULL, 0),
            gw_bytes_of(bytes, GW_TOKEN_ROW_BYTES));
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_UNAVAILABLE);
}

static bool product_is(const struct reading *r, uint32_t number, struct gw_bytes id)
{
    bool is = true;

    assert_int_equal(gw_index_product_is(r->reader, number, id, &is), 0);
    return is;
}

static void a_product_is_named_by_its_whole_id(void **state)
{
    static const char *const others[] = {"", "TMPL0vFkFmJM", "TMPL0vFkFmJM77", "tMPL0vFkFmJM7",
                                         "TMPLplain"};
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    char longest[GW_PRODUCT_ID_BYTES_MAX + 2];

    assert_true(product_is(&r, f->product, text(SAMPLE_PRODUCT)));
    for (size_t i = 0; i < GW_ARRAY_COUNT(others); i++)
        assert_false(product_is(&r, f->product, text(others[i])));
    memset(longest, 'T', sizeof longest);
    assert_false(product_is(&r, f->product, gw_bytes_of(longest, sizeof longest)));
    assert_false(product_is(&r, 99, text(SAMPLE_PRODUCT)));
    assert_false(product_is(&r, 99, gw_bytes_of(NULL, 0)));
    reading_end(&r);
}

static void close_product(struct gw_index_writer *writer, const struct fixture *f)
{
    if (gw_index_product_set_closed(writer, f->product, true) != 0)
        _exit(4);
}

static void open_product_close_org(struct gw_index_writer *writer, const struct fixture *f)
{
    if (gw_index_product_set_closed(writer, f->product, false) != 0 ||
        gw_index_org_set_closed(writer, f->org, true) != 0)
        _exit(4);
}

static void open_org(struct gw_index_writer *writer, const struct fixture *f)
{
    if (gw_index_org_set_closed(writer, f->org, false) != 0)
        _exit(4);
}

static void what_a_reader_keeps_of_a_product_ends_with_the_next_commit(void **state)
{
    static const struct {
        void (*change)(struct gw_index_writer *writer, const struct fixture *f);
        enum gw_login answer;
    } steps[] = {{close_product, GW_LOGIN_CLOSED},
                 {open_product_close_org, GW_LOGIN_CLOSED},
                 {open_org, GW_LOGIN_GRANTED}};
    const struct fixture *f = *state;
    struct reading r = reading_begin(f, false);

    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    for (size_t i = 0; i < GW_ARRAY_COUNT(steps); i++) {
        fixture_in_child(f, steps[i].change);
        for (size_t turn = 0; turn < 2; turn++)
            assert_int_equal(login(&r, sample_token()), steps[i].answer);
    }
    reading_end(&r);
}

/* More products than a reader keeps, so that some of them share a place. */
static void products_are_not_taken_for_each_other(void **state)
{
    enum { PRODUCTS = 200 };
    const struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    uint32_t products[PRODUCTS];
    struct reading r;

    for (uint32_t i = 0; i < PRODUCTS; i++) {
        char id[16];

        (void)snprintf(id, sizeof id, "TMPLmany%u", i);
        products[i] = add_product(writer, f->org, id, i % 3 == 0 ? GW_PRODUCT_PLAIN_ALLOWED : 0, 0);
        (void)add_device(writer, products[i], token_of(100 + i));
        if (i % 7 == 0)
            assert_int_equal(gw_index_product_set_closed(writer, products[i], true), 0);
    }
    writer_commit(writer);
    r = reading_begin(f, false);
    for (uint32_t turn = 0; turn < 4 * PRODUCTS; turn++) {
        const uint32_t i = turn * 64 % (PRODUCTS - 1); /* neighbours in a place, one by one */
        struct gw_grant grant = {0};
        const enum gw_login answer = gw_index_login(r.reader, token_of(100 + i), true, NOW, &grant);
        char id[16];

        assert_int_equal(answer, i % 7 == 0 ? GW_LOGIN_CLOSED : GW_LOGIN_GRANTED);
        if (answer == GW_LOGIN_GRANTED) {
            assert_int_equal(grant.product, products[i]);
            assert_int_equal(grant.product_flags, i % 3 == 0 ? GW_PRODUCT_PLAIN_ALLOWED : 0);
        }
        (void)snprintf(id, sizeof id, "TMPLmany%u", i);
        assert_true(product_is(&r, products[i], text(id)));
        assert_false(product_is(&r, products[i], text("TMPLmany")));
    }
    reading_end(&r);
}

static void a_tag_depends_on_the_token(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    uint32_t tag = gw_index_token_tag(r.index, sample_token());

    assert_int_equal(gw_index_token_tag(r.index, sample_token()), tag);
    assert_int_not_equal(gw_index_token_tag(r.index, token_of(1)), tag);
    reading_end(&r);
}

static void preloading_sees_every_token_unless_time_is_up(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    struct reading r;
    uint64_t rows;

    for (uint32_t i = 1; i <= 5000; i++)
        (void)add_device(writer, f->product, token_of(i));
    writer_commit(writer);
    r = reading_begin(f, false);
    assert_int_equal(gw_index_preload(r.reader, (struct gw_instant){.ns = UINT64_MAX}, &rows), 0);
    assert_true(rows >= 5000);
    assert_int_equal(gw_index_preload(r.reader, (struct gw_instant){.ns = 0}, &rows), 0);
    assert_int_equal(rows, 0);
    reading_end(&r);
}

static void readers_run_out_as_an_error_and_come_back(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    struct gw_index_reader *more[GW_INDEX_READERS_MAX];
    size_t count = 0;
    int err;

    while (count < GW_ARRAY_COUNT(more) && (err = gw_index_reader_open(r.index, &more[count])) == 0)
        count++;
    assert_int_equal(err, -EUSERS);
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    while (count > 0)
        gw_index_reader_close(more[--count]);
    assert_int_equal(gw_index_reader_open(r.index, &more[0]), 0);
    gw_index_reader_close(more[0]);
    reading_end(&r);
}

static const struct {
    const char *name;
    int expected;
    mode_t mode;
    size_t bytes;
    bool other;
} peppers[] = {
    {"for the owner", 0, 0400, 32, false},
    {"for owner and group", 0, 0440, 32, false},
    {"readable by all", -EPERM, 0444, 32, false},
    {"group may write", -EPERM, 0460, 32, false},
    {"short", -EPROTO, 0400, 31, false},
    {"long", -EPROTO, 0400, 33, false},
    {"empty", -EPROTO, 0400, 0, false},
    {"of another index", -EKEYREJECTED, 0400, 32, true},
};

static void a_pepper_that_is_not_right_is_named_at_open(void **state)
{
    struct fixture *f = *state;
    char ours[160], file[160];
    uint8_t pepper[33] = {0};
    FILE *in;

    (void)snprintf(ours, sizeof ours, "%s/pepper", f->path);
    (void)snprintf(file, sizeof file, "%s/pepper", f->base);
    in = fopen(ours, "re");
    assert_non_null(in);
    assert_int_equal(fread(pepper, 1, sizeof pepper, in), 32);
    (void)fclose(in);
    for (size_t i = 0; i < GW_ARRAY_COUNT(peppers); i++) {
        const struct gw_index_options options = {.path = f->path, .pepper = file};
        struct gw_index *index = NULL;
        const char *why = "";
        FILE *out = fopen(file, "we");
        int err;

        assert_non_null(out);
        pepper[0] ^= peppers[i].other;
        assert_int_equal(fwrite(pepper, 1, peppers[i].bytes, out), peppers[i].bytes);
        pepper[0] ^= peppers[i].other;
        assert_int_equal(fclose(out), 0);
        assert_int_equal(chmod(file, peppers[i].mode), 0);
        err = gw_index_open(&options, &index, &why);
        if (err != peppers[i].expected)
            print_error("case: %s: %s\n", peppers[i].name, why);
        assert_int_equal(err, peppers[i].expected);
        assert_true(err == 0 || strstr(why, "pepper") != NULL);
        if (err == 0)
            gw_index_close(index);
        (void)unlink(file);
    }
}

static void a_missing_pepper_or_index_is_named_at_open(void **state)
{
    struct fixture *f = *state;
    struct gw_index_options options = {.path = f->path, .pepper = "/nonexistent/pepper"};
    struct gw_index *index = NULL;
    const char *why = "";

    assert_int_equal(gw_index_open(&options, &index, &why), -ENOENT);
    assert_non_null(strstr(why, "pepper"));
    options = (struct gw_index_options){.path = f->base};
    assert_int_equal(gw_index_open(&options, &index, &why), -ENOENT);
    assert_non_null(strstr(why, "no token index"));
}

int main(void)
{
#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_of_a_token_has_its_answer),
        WITH_INDEX(a_grant_says_who_it_is_for),
        WITH_INDEX(a_refusal_leaves_the_grant_untouched),
        WITH_INDEX(a_wrong_shape_is_unknown_even_if_the_zero_token_exists),
        WITH_INDEX(a_damaged_row_is_unavailable_at_every_bit),
        WITH_INDEX(a_row_whose_product_or_organisation_is_damaged_is_unavailable),
        WITH_INDEX(a_damaged_head_row_makes_everything_unavailable),
        WITH_INDEX(a_token_is_found_among_many_that_share_its_hash),
        WITH_INDEX(one_damaged_row_among_sharers_makes_their_misses_unavailable),
        WITH_INDEX(a_product_is_named_by_its_whole_id),
        WITH_INDEX(what_a_reader_keeps_of_a_product_ends_with_the_next_commit),
        WITH_INDEX(products_are_not_taken_for_each_other),
        WITH_INDEX(a_tag_depends_on_the_token),
        WITH_INDEX(preloading_sees_every_token_unless_time_is_up),
        WITH_INDEX(readers_run_out_as_an_error_and_come_back),
        WITH_INDEX(a_pepper_that_is_not_right_is_named_at_open),
        WITH_INDEX(a_missing_pepper_or_index_is_named_at_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
