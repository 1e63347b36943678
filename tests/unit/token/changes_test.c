#include "fixture.h"

/* Every kind of change, in the order in which this writer makes them. */
static void change_everything(struct gw_index_writer *writer, const struct fixture *f)
{
    uint8_t fresh[GW_TOKEN_BYTES];
    int err = 0;

    memcpy(fresh, token_of(50), sizeof fresh);
    err |= gw_index_device_set_disabled(writer, f->device, true);
    err |= gw_index_device_set_disabled(writer, f->device, true); /* no change: not noted */
    err |= gw_index_device_set_disabled(writer, f->device, false);
    err |= gw_index_product_set_closed(writer, f->product, true);
    err |= gw_index_product_set_closed(writer, f->product, false);
    err |= gw_index_org_set_closed(writer, f->org, true);
    err |= gw_index_org_set_closed(writer, f->org, false);
    err |= gw_index_token_window(writer, f->device, 5, 10);
    err |= gw_index_device_move(writer, f->device, f->plain_product);
    err |= gw_index_token_rotate(writer, f->device, fresh);
    err |= gw_index_token_revoke(writer, f->device);
    if (err != 0)
        _exit(4);
}

static const enum gw_index_change_kind kinds[] = {
    GW_INDEX_ORG_ADDED,      GW_INDEX_PRODUCT_ADDED,   GW_INDEX_PRODUCT_ADDED,
    GW_INDEX_DEVICES_ADDED,  GW_INDEX_DEVICE_DISABLED, GW_INDEX_DEVICE_ENABLED,
    GW_INDEX_PRODUCT_CLOSED, GW_INDEX_PRODUCT_OPENED,  GW_INDEX_ORG_CLOSED,
    GW_INDEX_ORG_OPENED,     GW_INDEX_TOKEN_WINDOW,    GW_INDEX_DEVICE_REBOUND,
    GW_INDEX_TOKEN_ROTATED,  GW_INDEX_TOKEN_REVOKED,
};

static void every_change_is_followed_in_order_whatever_the_capacity(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);

    fixture_in_child(f, change_everything);
    for (size_t capacity = 1; capacity <= GW_ARRAY_COUNT(kinds) + 1; capacity++) {
        struct gw_index_change changes[GW_ARRAY_COUNT(kinds) + 1];
        uint64_t after = 0, newest = 0;
        size_t count;

        do {
            assert_int_equal(gw_index_changes(r.reader, after, changes, capacity, &count), 0);
            assert_true(count <= capacity);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(changes[i].sequence, after + 1 + i);
                assert_int_equal(changes[i].kind, kinds[after + i]);
            }
            after += count;
        } while (count > 0);
        assert_int_equal(after, GW_ARRAY_COUNT(kinds));
        assert_int_equal(gw_index_change_newest(r.reader, &newest), 0);
        assert_int_equal(newest, after);
        gw_index_reader_pause(r.reader);
    }
    reading_end(&r);
}

static void a_change_says_whom_it_is_about(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    struct gw_index_change last;
    size_t count;

    fixture_in_child(f, change_everything);
    assert_int_equal(gw_index_changes(r.reader, GW_ARRAY_COUNT(kinds) - 1, &last, 1, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(last.device, f->device);
    assert_int_equal(last.product, f->plain_product);
    assert_int_equal(last.org, f->org);
    assert_int_equal(last.generation, 4); /* added, moved, rotated, revoked */
    reading_end(&r);
}

static void a_gap_or_a_number_of_another_index_is_said_so(void **state)
{
    struct fixture *f = *state;
    struct reading r;
    struct gw_index_change change;
    struct gw_meta meta;
    uint8_t row[GW_ROW_BYTES_MAX];
    size_t count;

    assert_true(gw_meta_unpack(
        gw_bytes_of(row, get_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), row)), &meta));
    meta.change_first = 3; /* 1 and 2 were forgotten */
    put_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), gw_bytes_of(NULL, 0),
            gw_bytes_of(row, gw_meta_pack(&meta, row)));
    r = reading_begin(f, false);
    assert_int_equal(gw_index_changes(r.reader, 0, &change, 1, &count), -ERANGE);
    assert_int_equal(gw_index_changes(r.reader, 1, &change, 1, &count), -ERANGE);
    assert_int_equal(gw_index_changes(r.reader, 2, &change, 1, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(gw_index_changes(r.reader, 4, &change, 1, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(gw_index_changes(r.reader, 5, &change, 1, &count), -ERANGE);
    assert_int_equal(gw_index_changes(r.reader, UINT64_MAX, &change, 1, &count), -ERANGE);
    reading_end(&r);
}

static void a_damaged_change_is_an_error_not_a_silence(void **state)
{
    struct fixture *f = *state;
    const uint64_t second = 2;
    const struct gw_bytes key = gw_bytes_of(&second, sizeof second);
    struct gw_index_change changes[8];
    uint8_t row[GW_ROW_BYTES_MAX];
    const size_t size = get_raw(f, GW_TABLE_CHANGES, key, row);
    struct reading r;
    size_t count;

    row[4] ^= 1;
    put_raw(f, GW_TABLE_CHANGES, key, gw_bytes_of(NULL, 0), gw_bytes_of(row, size));
    r = reading_begin(f, false);
    assert_int_equal(gw_index_changes(r.reader, 0, changes, 8, &count), -EBADMSG);
    assert_int_equal(gw_index_changes(r.reader, 2, changes, 8, &count), 0);
    reading_end(&r);
}

struct rechecked {
    const char *name;
    void (*act)(struct gw_index_writer *writer, const struct fixture *f);
    enum gw_login expected;
    uint32_t generation; /* in the grant */
};

static void act_nothing(struct gw_index_writer *writer, const struct fixture *f)
{
    (void)writer;
    (void)f;
}

static void act_disable(struct gw_index_writer *writer, const struct fixture *f)
{
    assert_int_equal(gw_index_device_set_disabled(writer, f->device, true), 0);
}

static void act_close(struct gw_index_writer *writer, const struct fixture *f)
{
    assert_int_equal(gw_index_product_set_closed(writer, f->product, true), 0);
}

static void act_rotate(struct gw_index_writer *writer, const struct fixture *f)
{
    assert_int_equal(gw_index_token_rotate(writer, f->device, token_of(50)), 0);
}

static void act_revoke(struct gw_index_writer *writer, const struct fixture *f)
{
    assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
}

static void act_move(struct gw_index_writer *writer, const struct fixture *f)
{
    assert_int_equal(gw_index_device_move(writer, f->device, f->plain_product), 0);
}

static void act_rotate_and_move(struct gw_index_writer *writer, const struct fixture *f)
{
    act_rotate(writer, f);
    act_move(writer, f);
}

static const struct rechecked rechecks[] = {
    {"nothing", act_nothing, GW_LOGIN_GRANTED, 1},
    {"disabled", act_disable, GW_LOGIN_DISABLED, 0},
    {"closed", act_close, GW_LOGIN_CLOSED, 0},
    {"rotated", act_rotate, GW_LOGIN_UNKNOWN, 0},
    {"revoked", act_revoke, GW_LOGIN_UNKNOWN, 0},
    {"moved", act_move, GW_LOGIN_GRANTED, 2},
    {"rotated, then moved", act_rotate_and_move, GW_LOGIN_UNKNOWN, 0},
};

static void a_live_session_is_rechecked_without_its_token(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rechecks); i++) {
        struct gw_grant grant = {.generation = 0};
        struct gw_index_writer *writer;
        enum gw_login answer;
        struct reading r;
        void *own;

        (void)fixture_setup(&own);
        writer = writer_begin(own);
        rechecks[i].act(writer, own);
        writer_commit(writer);
        r = reading_begin(own, false);
        answer = gw_index_recheck(r.reader, ((struct fixture *)own)->device, 1, true, 1000, &grant);
        if (answer != rechecks[i].expected)
            print_error("case: %s\n", rechecks[i].name);
        assert_int_equal(answer, rechecks[i].expected);
        assert_int_equal(grant.generation, rechecks[i].generation);
        reading_end(&r);
        (void)fixture_teardown(&own);
    }
}

static void a_recheck_of_what_cannot_be_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    struct gw_grant grant;

    assert_int_equal(gw_index_recheck(r.reader, 999, 1, true, 1000, &grant), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(gw_index_recheck(r.reader, f->device, 2, true, 1000, &grant),
                     GW_LOGIN_UNAVAILABLE);
    reading_end(&r);
}

int main(void)
{
#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_INDEX(every_change_is_followed_in_order_whatever_the_capacity),
        WITH_INDEX(a_change_says_whom_it_is_about),
        WITH_INDEX(a_gap_or_a_number_of_another_index_is_said_so),
        WITH_INDEX(a_damaged_change_is_an_error_not_a_silence),
        cmocka_unit_test(a_live_session_is_rechecked_without_its_token),
        WITH_INDEX(a_recheck_of_what_cannot_be_is_unavailable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
