/*
 * Rows whose checksum is right and whose content is not: what a faulty program would write, and no
 * disk. A look-up takes none of them, the check of the whole index names each, and a change that
 * meets one is not made.
 */
#include "fixture.h"

#include <math.h>
#include <xxhash.h>

#include "authority_internal.h"
#include "details_internal.h"
#include "writer_internal.h"

static const struct gw_bytes none = {NULL, 0};

/* ---- rows ---- */

enum { META = 1, TOKENS, ORGS, PRODUCTS, DEVICES, CHANGES }; /* as in row.c */

static struct gw_bytes seal(int table, uint64_t key, uint8_t *row, size_t size, size_t at)
{
    memset(row + at, 0, 8);
    gw_store_le64(row + at, XXH3_64bits_withSeed(row, size, key ^ (uint64_t)table << 56));
    return gw_bytes_of(row, size);
}

/* A row is refused, or says all that its bytes say: packed again it is the same. */
#define SAYS_ALL(name, unpack, pack, row_type)                                                     \
    static bool name(uint64_t key, struct gw_bytes in)                                             \
    {                                                                                              \
        uint8_t out[GW_ROW_BYTES_MAX];                                                             \
        struct row_type row;                                                                       \
                                                                                                   \
        (void)key;                                                                                 \
        return !(unpack) || gw_bytes_equal(in, gw_bytes_of(out, pack));                            \
    }
SAYS_ALL(meta_says_all, gw_meta_unpack(in, &row), gw_meta_pack(&row, out), gw_meta)
SAYS_ALL(token_says_all, gw_token_row_unpack(key, in, &row), gw_token_row_pack(key, &row, out),
         gw_token_row)
SAYS_ALL(org_says_all, gw_org_row_unpack((uint32_t)key, in, &row),
         gw_org_row_pack((uint32_t)key, &row, out), gw_org_row)
SAYS_ALL(product_says_all, gw_product_row_unpack((uint32_t)key, in, &row),
         gw_product_row_pack((uint32_t)key, &row, out), gw_product_row)
SAYS_ALL(device_says_all, gw_device_row_unpack((uint32_t)key, in, &row),
         gw_device_row_pack((uint32_t)key, &row, out), gw_device_row)
SAYS_ALL(change_says_all, gw_change_row_unpack(key, in, &row), gw_change_row_pack(key, &row, out),
         gw_change_row)

static void a_sealed_row_is_refused_or_says_all_that_its_bytes_say(void **state)
{
    static const uint8_t values[] = {0, 1, 2, 4, 0x7f, 0x80, 0xff};
    const struct gw_meta meta = {.schema = 1, .change_first = 1, .change_next = 4};
    const struct gw_token_row token = {.device = 8, .product = 2, .org = 1, .generation = 4};
    const struct gw_org_row org = {.name_bytes = 4, .name = "acme"};
    const struct gw_product_row product = {
        .org = 1, .id_bytes = 5, .name_bytes = 4, .id = "TMPL1", .name = "Lamp"};
    const struct gw_device_row device = {.has_token = true, .product = 2, .name_bytes = 1};
    const struct gw_change_row change = {.kind = GW_INDEX_TOKEN_REVOKED, .device = 8};
    struct {
        int table;
        size_t sealed_at, size;
        bool (*says_all)(uint64_t key, struct gw_bytes in);
        uint8_t row[GW_ROW_BYTES_MAX];
    } rows[] = {{META, 152, 0, meta_says_all, {0}},     {TOKENS, 72, 0, token_says_all, {0}},
                {ORGS, 16, 0, org_says_all, {0}},       {PRODUCTS, 24, 0, product_says_all, {0}},
                {DEVICES, 40, 0, device_says_all, {0}}, {CHANGES, 32, 0, change_says_all, {0}}};

    (void)state;
    rows[0].size = gw_meta_pack(&meta, rows[0].row);
    rows[1].size = gw_token_row_pack(0, &token, rows[1].row);
    rows[2].size = gw_org_row_pack(0, &org, rows[2].row);
    rows[3].size = gw_product_row_pack(0, &product, rows[3].row);
    rows[4].size = gw_device_row_pack(0, &device, rows[4].row);
    rows[5].size = gw_change_row_pack(0, &change, rows[5].row);
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        uint8_t *row = rows[i].row;

        for (size_t at = 0; at < rows[i].size; at++)
            for (size_t v = 0; v < sizeof values; v++) {
                const uint8_t good = row[at];

                row[at] = values[v];
                assert_true(rows[i].says_all(
                    0, seal(rows[i].table, 0, row, rows[i].size, rows[i].sealed_at)));
                row[at] = good;
            }
        for (size_t size = rows[i].sealed_at + 8; size <= GW_ROW_BYTES_MAX; size++)
            assert_true(rows[i].says_all(0, seal(rows[i].table, 0, row, size, rows[i].sealed_at)));
    }
}

static void a_datastream_that_no_writer_makes_is_refused(void **state)
{
    const struct gw_stream good = {.type = GW_STREAM_DOUBLE, .name = text("Level")};
    uint8_t row[GW_DETAIL_ROW_BYTES_MAX];
    const size_t size = gw_stream_pack(&good, row) - GW_DETAIL_HEAD_BYTES;
    uint8_t *rest = row + GW_DETAIL_HEAD_BYTES;
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{0, 0}, {0, 6}, {1, 16}, {6, 1}, {3, 6}};
    struct gw_stream stream;
    const double no_number = NAN;

    (void)state;
    assert_true(gw_stream_unpack(1, gw_bytes_of(rest, size), &stream));
    for (size_t i = 0; i < GW_ARRAY_COUNT(wrong); i++) {
        const uint8_t was = rest[wrong[i].at];

        rest[wrong[i].at] = wrong[i].value;
        assert_false(gw_stream_unpack(1, gw_bytes_of(rest, size), &stream));
        rest[wrong[i].at] = was;
    }
    for (size_t at = 7; at <= 15; at += 8) {
        uint8_t was[8];

        memcpy(was, rest + at, 8);
        memcpy(rest + at, &no_number, 8);
        assert_false(gw_stream_unpack(1, gw_bytes_of(rest, size), &stream));
        memcpy(rest + at, was, 8);
    }
    assert_false(gw_stream_unpack(1, gw_bytes_of(rest, GW_DETAIL_STREAM_BYTES - 1), &stream));
}

static void a_detail_of_another_version_or_size_is_refused(void **state)
{
    const struct gw_bytes key = text("key");
    uint8_t row[GW_DETAIL_ROW_BYTES_MAX + 1] = {0};
    struct gw_bytes rest;

    (void)state;
    gw_detail_seal(key, row, 12);
    assert_true(gw_detail_open(key, gw_bytes_of(row, 12), &rest));
    assert_int_equal(rest.size, 3);
    assert_false(gw_detail_open(key, gw_bytes_of(row, GW_DETAIL_HEAD_BYTES - 1), &rest));
    gw_detail_seal(key, row, sizeof row);
    assert_false(gw_detail_open(key, gw_bytes_of(row, sizeof row), &rest));
    row[8] = 2;
    gw_store_le64(row, XXH3_64bits_withSeed(row + 8, 4, XXH3_64bits(key.data, key.size)));
    assert_false(gw_detail_open(key, gw_bytes_of(row, 12), &rest));
}

static void what_lmdb_says_has_one_meaning_each(void **state)
{
    static const struct {
        int said, means;
    } rows[] = {
        {MDB_SUCCESS, 0},
        {ENOMEM, -ENOMEM},
        {MDB_NOTFOUND, -ENOENT},
        {MDB_KEYEXIST, -EEXIST},
        {MDB_MAP_FULL, -ENOSPC},
        {MDB_READERS_FULL, -EUSERS},
        {MDB_VERSION_MISMATCH, -EPROTO},
        {MDB_INCOMPATIBLE, -EPROTO},
        {MDB_PAGE_NOTFOUND, -EBADMSG},
        {MDB_CORRUPTED, -EBADMSG},
        {MDB_PANIC, -EBADMSG},
        {MDB_INVALID, -EBADMSG},
        {MDB_BAD_TXN, -EIO},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        assert_int_equal(gw_store_error(rows[i].said), rows[i].means);
}

/* ---- an index with one row changed ---- */

static struct gw_meta meta_of(const struct fixture *f)
{
    uint8_t row[GW_ROW_BYTES_MAX];
    struct gw_meta meta;

    assert_true(gw_meta_unpack(
        gw_bytes_of(row, get_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), row)), &meta));
    return meta;
}

static void put_meta(const struct fixture *f, const struct gw_meta *meta)
{
    uint8_t row[GW_ROW_BYTES_MAX];

    put_raw(f, GW_TABLE_META, text(GW_INDEX_META_KEY), none,
            gw_bytes_of(row, gw_meta_pack(meta, row)));
}

static struct gw_device_row device_of(const struct fixture *f)
{
    uint8_t row[GW_ROW_BYTES_MAX];
    const struct gw_bytes key = gw_bytes_of(&f->device, sizeof f->device);
    struct gw_device_row device;

    assert_true(gw_device_row_unpack(
        f->device, gw_bytes_of(row, get_raw(f, GW_TABLE_DEVICES, key, row)), &device));
    return device;
}

static void put_device(const struct fixture *f, const struct gw_device_row *device)
{
    uint8_t row[GW_ROW_BYTES_MAX];

    put_raw(f, GW_TABLE_DEVICES, gw_bytes_of(&f->device, sizeof f->device), none,
            gw_bytes_of(row, gw_device_row_pack(f->device, device, row)));
}

static struct gw_token_row token_row_of(const struct fixture *f)
{
    uint8_t row[GW_ROW_BYTES_MAX];
    const uint64_t key = sample_key(f);
    struct gw_token_row token;

    assert_true(gw_token_row_unpack(
        key, gw_bytes_of(row, get_raw(f, GW_TABLE_TOKENS, gw_bytes_of(&key, sizeof key), row)),
        &token));
    return token;
}

/* NULL: the row is taken away. */
static void put_token_row(const struct fixture *f, const struct gw_token_row *token)
{
    uint8_t old[GW_ROW_BYTES_MAX], row[GW_ROW_BYTES_MAX];
    const uint64_t key = sample_key(f);
    const struct gw_bytes k = gw_bytes_of(&key, sizeof key);
    const size_t size = get_raw(f, GW_TABLE_TOKENS, k, old);

    put_raw(f, GW_TABLE_TOKENS, k, gw_bytes_of(old, size),
            token == NULL ? none : gw_bytes_of(row, gw_token_row_pack(key, token, row)));
}

static void put_number(const struct fixture *f, enum gw_table table, const char *name,
                       uint32_t number)
{
    uint8_t row[4];

    gw_store_le32(row, number);
    put_raw(f, table, text(name), none, gw_bytes_of(row, sizeof row));
}

static void put_detail(const struct fixture *f, char kind, uint32_t number, const char *name)
{
    struct gw_detail_key key;
    uint8_t row[GW_DETAIL_HEAD_BYTES + 1] = {0};

    assert_true(gw_detail_key((enum gw_detail_kind)kind, number, text(name), &key));
    gw_detail_seal(gw_bytes_of(key.bytes, key.size), row, sizeof row);
    put_raw(f, GW_TABLE_META, gw_bytes_of(key.bytes, key.size), none, gw_bytes_of(row, sizeof row));
}

#define SPOIL_TOKEN(name, ...)                                                                     \
    static void name(const struct fixture *f)                                                      \
    {                                                                                              \
        struct gw_token_row row = token_row_of(f);                                                 \
                                                                                                   \
        __VA_ARGS__;                                                                               \
        put_token_row(f, &row);                                                                    \
    }
SPOIL_TOKEN(token_of_no_device, row.device = 77)
SPOIL_TOKEN(token_of_another_product, row.product = f->plain_product)
SPOIL_TOKEN(token_of_another_org, row.org = 2)
SPOIL_TOKEN(token_disabled_alone, row.disabled = true)
SPOIL_TOKEN(token_too_old, row.generation = 0)
SPOIL_TOKEN(token_too_new, row.generation = 9)
SPOIL_TOKEN(token_under_another_pepper, row.pepper_version = 3)

#define SPOIL_DEVICE(name, ...)                                                                    \
    static void name(const struct fixture *f)                                                      \
    {                                                                                              \
        struct gw_device_row row = device_of(f);                                                   \
                                                                                                   \
        __VA_ARGS__;                                                                               \
        put_device(f, &row);                                                                       \
    }
SPOIL_DEVICE(device_that_denies_its_token, row.has_token = false)
SPOIL_DEVICE(device_with_another_key, row.token_key++)
SPOIL_DEVICE(device_of_no_product, row.product = 77)
SPOIL_DEVICE(device_of_another_org, row.org = 2)

static void token_gone(const struct fixture *f)
{
    put_token_row(f, NULL);
}

static void product_of_no_org(const struct fixture *f)
{
    const struct gw_product_row row = {.org = 77, .id_bytes = 9, .id = "TMPLplain"};
    uint8_t bytes[GW_ROW_BYTES_MAX];

    put_raw(f, GW_TABLE_PRODUCTS, gw_bytes_of(&f->plain_product, sizeof f->plain_product), none,
            gw_bytes_of(bytes, gw_product_row_pack(f->plain_product, &row, bytes)));
}

static void id_of_another_product(const struct fixture *f)
{
    put_number(f, GW_TABLE_PRODUCT_IDS, SAMPLE_PRODUCT, 77);
}

static void name_of_another_org(const struct fixture *f)
{
    put_number(f, GW_TABLE_ORG_NAMES, "acme", 77);
}

static void id_of_nobody(const struct fixture *f)
{
    put_number(f, GW_TABLE_PRODUCT_IDS, "TMPLnobody", 77);
}

static void change_of_tomorrow(const struct fixture *f)
{
    const struct gw_change_row row = {.kind = GW_INDEX_ORG_ADDED};
    const uint64_t sequence = 1000;
    uint8_t bytes[GW_ROW_BYTES_MAX];

    put_raw(f, GW_TABLE_CHANGES, gw_bytes_of(&sequence, sizeof sequence), none,
            gw_bytes_of(bytes, gw_change_row_pack(sequence, &row, bytes)));
}

#define SPOIL_META(name, ...)                                                                      \
    static void name(const struct fixture *f)                                                      \
    {                                                                                              \
        struct gw_meta meta = meta_of(f);                                                          \
                                                                                                   \
        __VA_ARGS__;                                                                               \
        put_meta(f, &meta);                                                                        \
    }
SPOIL_META(org_to_come_again, meta.next_org = 1)
SPOIL_META(product_to_come_again, meta.next_product = 1)
SPOIL_META(device_to_come_again, meta.next_device = 1)
SPOIL_META(change_that_is_forgotten, meta.change_first++)

static void event_of_no_product(const struct fixture *f)
{
    put_detail(f, GW_DETAIL_EVENT, 77, "hot");
}

static void field_of_no_device(const struct fixture *f)
{
    put_detail(f, GW_DETAIL_FIELD, 77, "Room");
}

static void stream_of_two_pins(const struct fixture *f)
{
    put_detail(f, GW_DETAIL_STREAM, f->product, "12");
}

static void stream_of_one_byte(const struct fixture *f)
{
    put_detail(f, GW_DETAIL_STREAM, f->product, "1");
}

static void stream_of_no_product(const struct fixture *f)
{
    const struct gw_stream stream = {.pin = 1, .type = GW_STREAM_INT};
    const struct gw_detail_key key = gw_detail_stream_key(77, 1);
    uint8_t row[GW_DETAIL_ROW_BYTES_MAX];
    const size_t size = gw_stream_pack(&stream, row);

    gw_detail_seal(gw_bytes_of(key.bytes, key.size), row, size);
    put_raw(f, GW_TABLE_META, gw_bytes_of(key.bytes, key.size), none, gw_bytes_of(row, size));
}

static void detail_of_no_kind(const struct fixture *f)
{
    put_detail(f, 'X', f->product, "");
}

/* A table whose keys are of another width: LMDB keeps to one, whichever it is. */
static void org_with_a_wide_number(const struct fixture *f)
{
    uint8_t row[GW_ROW_BYTES_MAX];
    const struct gw_bytes narrow = gw_bytes_of(&f->org, sizeof f->org);
    const uint64_t wide = 1;
    const size_t size = get_raw(f, GW_TABLE_ORGS, narrow, row);

    put_raw(f, GW_TABLE_ORGS, narrow, gw_bytes_of(row, size), none);
    put_raw(f, GW_TABLE_ORGS, gw_bytes_of(&wide, sizeof wide), none, gw_bytes_of(row, size));
}

static void count(void *context, const char *sentence)
{
    assert_true(strlen(sentence) > 10);
    ++*(uint64_t *)context;
}

static uint64_t faults_of(const struct fixture *f, uint64_t told_max)
{
    struct reading r = reading_begin(f, false);
    uint64_t faults = 0, told = 0;

    assert_int_equal(
        gw_catalog_verify(gw_index_reader_view(r.reader), told_max, count, &told, &faults), 0);
    assert_int_equal(told, faults < told_max ? faults : told_max);
    reading_end(&r);
    return faults;
}

static void the_check_names_each_contradiction(void **state)
{
    static void (*const spoils[])(const struct fixture *f) = {
        token_of_no_device,
        token_of_another_product,
        token_of_another_org,
        token_disabled_alone,
        token_too_old,
        token_too_new,
        token_gone,
        token_under_another_pepper,
        device_that_denies_its_token,
        device_with_another_key,
        device_of_no_product,
        device_of_another_org,
        product_of_no_org,
        id_of_another_product,
        name_of_another_org,
        id_of_nobody,
        change_of_tomorrow,
        org_to_come_again,
        product_to_come_again,
        device_to_come_again,
        change_that_is_forgotten,
        event_of_no_product,
        field_of_no_device,
        stream_of_two_pins,
        stream_of_one_byte,
        stream_of_no_product,
        detail_of_no_kind,
        org_with_a_wide_number,
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(spoils); i++) {
        struct fixture *f;
        void *own;

        (void)fixture_setup(&own);
        f = own;
        assert_int_equal(faults_of(f, 100), 0);
        spoils[i](f);
        print_message("  %zu\n", i);
        assert_true(faults_of(f, 100) > 0);
        (void)faults_of(f, 1);
        assert_true(login_once(f, false, sample_token()) != GW_LOGIN_UNKNOWN);
        (void)fixture_teardown(&own);
    }
}

static void the_catalog_calls_a_contradiction_damage(void **state)
{
    struct fixture *f = *state;
    struct gw_device_info device;
    struct gw_stream stream;
    struct gw_org_info org;
    struct reading r;

    token_gone(f);
    stream_of_two_pins(f);
    org_with_a_wide_number(f);
    r = reading_begin(f, false);
    assert_int_equal(gw_catalog_device(gw_index_reader_view(r.reader), f->device, &device),
                     -EBADMSG);
    assert_int_equal(device.number, f->device);
    assert_int_equal(
        gw_catalog_stream_next(gw_index_reader_view(r.reader), f->product, -1, &stream), -EBADMSG);
    assert_int_equal(gw_catalog_org_next(gw_index_reader_view(r.reader), 0, &org), -EBADMSG);
    reading_end(&r);
    stream_of_one_byte(f);
    r = reading_begin(f, false);
    assert_int_equal(gw_index_stream(r.reader, f->product, '1', &stream), -EBADMSG);
    assert_int_equal(gw_index_stream(r.reader, f->product, '9', &stream), -ENOENT);
    reading_end(&r);
}

/* ---- changes that meet damage, or the end of numbers ---- */

static void a_change_of_a_device_without_its_token_row_is_not_made(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer;

    token_gone(f);
    for (int i = 0; i < 4; i++) {
        writer = writer_begin(f);
        assert_int_equal(i == 0   ? gw_index_device_set_disabled(writer, f->device, true)
                         : i == 1 ? gw_index_device_move(writer, f->device, f->plain_product)
                         : i == 2 ? gw_index_token_window(writer, f->device, 1, 2)
                                  : gw_index_token_revoke(writer, f->device),
                         -EBADMSG);
        assert_int_equal(gw_index_commit(writer), -EBADMSG);
        gw_index_writer_close(writer);
    }
    assert_false(device_of(f).disabled);
}

static void a_name_whose_number_is_damaged_is_not_given_again(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer;
    uint32_t number;

    put_raw(f, GW_TABLE_ORG_NAMES, text("acme"), none, text("abc"));
    writer = writer_begin(f);
    assert_int_equal(gw_index_org_add(writer, text("acme"), &number), -EBADMSG);
    assert_int_equal(gw_index_commit(writer), -EBADMSG);
    gw_index_writer_close(writer);
}

static void numbers_end_without_coming_again(void **state)
{
    struct fixture *f = *state;
    const struct gw_product_spec product = {.org = f->org, .id = text("TMPLlast")};
    const struct gw_device_spec device = {.product = f->product, .token = token_of(1)};
    struct gw_device_row old = device_of(f);
    struct gw_meta meta = meta_of(f);
    struct gw_index_writer *writer;
    uint32_t number;

    meta.next_org = meta.next_product = meta.next_device = UINT32_MAX;
    put_meta(f, &meta);
    old.generation = UINT32_MAX;
    put_device(f, &old);
    for (int i = 0; i < 6; i++) {
        writer = writer_begin(f);
        assert_int_equal(i == 0   ? gw_index_org_add(writer, text("last"), &number)
                         : i == 1 ? gw_index_product_add(writer, &product, &number)
                         : i == 2 ? gw_index_device_add(writer, &device, &number)
                         : i == 3 ? gw_index_device_move(writer, f->device, f->plain_product)
                         : i == 4 ? gw_index_token_rotate(writer, f->device, token_of(1))
                                  : gw_index_token_revoke(writer, f->device),
                         -EOVERFLOW);
        assert_int_equal(gw_index_commit(writer), -EOVERFLOW);
        gw_index_writer_close(writer);
    }
    writer = writer_begin(f);
    assert_int_equal(gw_index_generate(writer, f->product, 1, stdout, NULL, NULL, &number),
                     -EINVAL);
    assert_int_equal(gw_index_generate(writer, f->product, 0, stdout, NULL, NULL, &number),
                     -EINVAL);
    assert_int_equal(gw_index_generate(writer, 77, 1, stdout, NULL, NULL, &number), -ENOENT);
    gw_index_writer_close(writer);
}

static void only_the_newest_changes_are_kept(void **state)
{
    struct fixture *f = *state;
    struct gw_meta meta = meta_of(f);
    struct gw_index_change change;
    struct gw_index_writer *writer;
    struct reading r;
    size_t found;

    meta.change_next = meta.change_first + GW_INDEX_CHANGES_KEPT;
    put_meta(f, &meta);
    writer = writer_begin(f);
    (void)add_device(writer, f->product, token_of(1));
    writer_commit(writer);
    assert_int_equal(meta_of(f).change_first, meta.change_first + 1);
    r = reading_begin(f, false);
    assert_int_equal(gw_index_changes(r.reader, 0, &change, 1, &found), -ERANGE);
    assert_int_equal(gw_index_changes(r.reader, 1, &change, 1, &found), 0);
    assert_int_equal(change.sequence, 2);
    reading_end(&r);
}

/* ---- files that are not as they should be ---- */

static void a_path_that_is_too_long_is_told(void **state)
{
    struct fixture *f = *state;
    static char longest[PATH_MAX + 8], shorter[PATH_MAX - 6];
    struct gw_index_create_options create = {.path = longest};
    struct gw_index_options options = {.path = f->path, .high_water = longest};
    struct gw_high_water mark = {.known = true};
    struct gw_index_writer *writer;
    struct gw_index *index;
    const char *why = "";

    memset(longest, 'a', sizeof longest - 1);
    memset(shorter, 'a', sizeof shorter - 1);
    assert_int_equal(gw_index_open(&options, &index, &why), -ENAMETOOLONG);
    assert_int_equal(gw_index_writer_open(longest, NULL, &writer, &why), -ENAMETOOLONG);
    assert_int_equal(gw_index_writer_open(shorter, NULL, &writer, &why), -ENAMETOOLONG);
    assert_int_equal(gw_index_create(&create, &why), -ENAMETOOLONG);
    create.path = shorter;
    assert_int_equal(gw_index_create(&create, &why), -ENAMETOOLONG);
    create = (struct gw_index_create_options){.path = f->base, .pepper = longest};
    assert_int_equal(gw_index_create(&create, &why), -ENAMETOOLONG);
    assert_int_equal(gw_index_backup(f->path, NULL, longest, &why), -ENAMETOOLONG);
    assert_int_equal(gw_index_restore(longest, NULL, f->path, &why), -ENAMETOOLONG);
    assert_int_equal(gw_index_restore(shorter, NULL, f->path, &why), -ENAMETOOLONG);
    assert_int_equal(gw_high_water_store(longest, &mark), -ENAMETOOLONG);
    assert_int_equal(gw_files_set_modes(longest, false, 0), -ENAMETOOLONG);
    assert_true(strlen(why) > 0);
}

static void a_directory_in_the_place_of_a_file_is_told(void **state)
{
    struct fixture *f = *state;
    const struct gw_index_options options = {.path = f->path, .pepper = f->base};
    struct gw_index_create_options create = {.path = "/nonexistent/index"};
    const struct gw_high_water mark = {.known = true};
    struct gw_high_water got;
    struct gw_index *index;
    const char *why = "";
    char file[192];

    assert_int_equal(gw_high_water_load(f->base, &got), -EISDIR);
    assert_int_equal(gw_high_water_store(f->base, &mark), -EISDIR);
    assert_int_equal(gw_high_water_store("/nonexistent/mark", &mark), -ENOENT);
    assert_int_equal(gw_index_open(&options, &index, &why), -EISDIR);
    assert_int_equal(gw_index_create(&create, &why), -ENOENT);
    create = (struct gw_index_create_options){.path = f->base, .pepper = "/nonexistent/pepper"};
    assert_int_equal(gw_index_create(&create, &why), -ENOENT);
    assert_int_equal(gw_index_backup(f->path, NULL, f->base, &why), -EISDIR);
    assert_int_equal(gw_index_backup(f->base, NULL, "/nonexistent/backup", &why), -ENOENT);
    (void)snprintf(file, sizeof file, "%s/backup", f->base);
    assert_int_equal(gw_index_restore(f->path, NULL, file, &why), -ENOENT);
    assert_int_equal(gw_index_backup(f->path, NULL, file, &why), 0);
    (void)snprintf(file, sizeof file, "%s/backup.new", f->base);
    assert_int_equal(mkdir(file, 0700), 0);
    (void)snprintf(file, sizeof file, "%s/backup", f->base);
    assert_int_equal(gw_index_backup(f->path, NULL, file, &why), -EEXIST);
    assert_non_null(strstr(why, ".new"));
}

static void a_restore_says_what_stands_in_its_way(void **state)
{
    struct fixture *f = *state;
    char file[160], place[160], aside[160], fresh[160], pepper[160];
    const char *why = "";

    (void)snprintf(file, sizeof file, "%s/backup", f->base);
    (void)snprintf(place, sizeof place, "%s/other", f->base);
    (void)snprintf(fresh, sizeof fresh, "%s/other.new", f->base);
    (void)snprintf(aside, sizeof aside, "%s/index.old", f->base);
    (void)snprintf(pepper, sizeof pepper, "%s/pepper", f->path);
    assert_int_equal(gw_index_backup(f->path, NULL, file, &why), 0);
    assert_int_equal(gw_index_restore(place, NULL, file, &why), -ENOENT);
    assert_non_null(strstr(why, "pepper"));
    assert_int_equal(mkdir(fresh, 0700), 0);
    assert_int_equal(gw_index_restore(place, pepper, file, &why), -EEXIST);
    assert_non_null(strstr(why, ".new"));
    assert_int_equal(rmdir(fresh), 0);
    assert_int_equal(gw_index_restore(place, pepper, file, &why), 0);
    assert_int_equal(mkdir(aside, 0700), 0);
    assert_int_equal(gw_index_restore(f->path, NULL, file, &why), -EEXIST);
    assert_non_null(strstr(why, ".old"));
}

int main(void)
{
#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_row_is_refused_or_says_all_that_its_bytes_say),
        cmocka_unit_test(a_datastream_that_no_writer_makes_is_refused),
        cmocka_unit_test(a_detail_of_another_version_or_size_is_refused),
        cmocka_unit_test(what_lmdb_says_has_one_meaning_each),
        cmocka_unit_test(the_check_names_each_contradiction),
        WITH_INDEX(the_catalog_calls_a_contradiction_damage),
        WITH_INDEX(a_change_of_a_device_without_its_token_row_is_not_made),
        WITH_INDEX(a_name_whose_number_is_damaged_is_not_given_again),
        WITH_INDEX(numbers_end_without_coming_again),
        WITH_INDEX(only_the_newest_changes_are_kept),
        WITH_INDEX(a_path_that_is_too_long_is_told),
        WITH_INDEX(a_directory_in_the_place_of_a_file_is_told),
        WITH_INDEX(a_restore_says_what_stands_in_its_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
