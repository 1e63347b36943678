#include "authority_internal.h"
#include "fixture.h"

static const struct {
    const char *name;
    struct gw_meta meta;
    uint64_t rows;
    struct gw_high_water mark;
    enum gw_authority_level expected;
} judgements[] = {
    {"no memory", {.complete = true, .generation = 1, .tokens = 1}, 1, {0}, GW_AUTHORITY_FULL},
    {"empty", {.complete = true, .generation = 1}, 0, {0}, GW_AUTHORITY_HITS},
    {"incomplete", {.generation = 1, .tokens = 1}, 1, {0}, GW_AUTHORITY_HITS},
    {"rows missing", {.complete = true, .tokens = 5}, 4, {0}, GW_AUTHORITY_HITS},
    {"rows too many", {.complete = true, .tokens = 5}, 6, {0}, GW_AUTHORITY_HITS},
    {"the same as served",
     {.complete = true, .generation = 7, .tokens = 100},
     100,
     {.known = true, .generation = 7, .tokens = 100},
     GW_AUTHORITY_FULL},
    {"one generation older",
     {.complete = true, .generation = 6, .tokens = 100},
     100,
     {.known = true, .generation = 7, .tokens = 100},
     GW_AUTHORITY_NONE},
    {"a tenth fewer",
     {.complete = true, .generation = 8, .tokens = 90},
     90,
     {.known = true, .generation = 7, .tokens = 100},
     GW_AUTHORITY_FULL},
    {"over a tenth fewer",
     {.complete = true, .generation = 8, .tokens = 89},
     89,
     {.known = true, .generation = 7, .tokens = 100},
     GW_AUTHORITY_HITS},
    {"over a tenth fewer, accepted before",
     {.complete = true, .generation = 8, .tokens = 89, .accepted_generation = 7},
     89,
     {.known = true, .generation = 7, .tokens = 100},
     GW_AUTHORITY_HITS},
    {"over a tenth fewer, accepted since",
     {.complete = true,
      .generation = 9,
      .tokens = 50,
      .accepted_generation = 8,
      .accepted_tokens = 50},
     50,
     {.known = true, .generation = 7, .tokens = 100},
     GW_AUTHORITY_FULL},
    {"shrunk again after it was accepted",
     {.complete = true,
      .generation = 9,
      .tokens = 40,
      .accepted_generation = 8,
      .accepted_tokens = 50},
     40,
     {.known = true, .generation = 7, .tokens = 100},
     GW_AUTHORITY_HITS},
    {"another index",
     {.complete = true, .generation = 9, .tokens = 100, .lineage = {1}},
     100,
     {.known = true, .generation = 7, .tokens = 100, .lineage = {2}},
     GW_AUTHORITY_NONE},
    {"another index, accepted",
     {.complete = true,
      .generation = 9,
      .tokens = 100,
      .lineage = {1},
      .accepted_generation = 9,
      .accepted_tokens = 100},
     100,
     {.known = true, .generation = 7, .tokens = 100, .lineage = {2}},
     GW_AUTHORITY_FULL},
    {"counts that would overflow a product",
     {.complete = true, .generation = 8, .tokens = UINT64_MAX / 2},
     UINT64_MAX / 2,
     {.known = true, .generation = 7, .tokens = UINT64_MAX},
     GW_AUTHORITY_HITS},
};

static void judgement_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(judgements); i++) {
        const struct gw_authority got =
            gw_authority_judge(&judgements[i].meta, judgements[i].rows, &judgements[i].mark);

        if (got.level != judgements[i].expected)
            print_error("case: %s\n", judgements[i].name);
        assert_int_equal(got.level, judgements[i].expected);
        assert_int_equal(got.why_not[0] == '\0', got.level == GW_AUTHORITY_FULL);
    }
}

static void the_high_water_file_reads_back_and_shows_every_damage(void **state)
{
    struct fixture *f = *state;
    const struct gw_high_water mark = {
        .known = true, .lineage = {1, 2, 255}, .generation = UINT64_MAX, .tokens = 12};
    struct gw_high_water got;
    char line[256];
    size_t size;
    FILE *file;

    assert_int_equal(gw_high_water_load(f->high_water, &got), 0);
    assert_false(got.known);
    assert_int_equal(gw_high_water_store(f->high_water, &mark), 0);
    assert_int_equal(gw_high_water_load(f->high_water, &got), 0);
    assert_true(got.known && got.generation == UINT64_MAX && got.tokens == 12);
    assert_memory_equal(got.lineage, mark.lineage, sizeof mark.lineage);

    file = fopen(f->high_water, "re");
    assert_non_null(file);
    size = fread(line, 1, sizeof line, file);
    (void)fclose(file);
    for (size_t at = 0; at <= size; at++) { /* each byte altered, then each cut */
        for (int cut = 0; cut < 2; cut++) {
            if (at == size && !cut)
                continue;
            file = fopen(f->high_water, "we");
            assert_non_null(file);
            line[at] ^= cut ? 0 : 1;
            assert_int_equal(fwrite(line, 1, cut ? at : size, file), cut ? at : size);
            line[at] ^= cut ? 0 : 1;
            assert_int_equal(fclose(file), 0);
            assert_int_equal(gw_high_water_load(f->high_water, &got),
                             cut && at == size ? 0 : -EPROTO);
        }
    }
}

static void save(const struct fixture *f, int expected)
{
    struct reading r = reading_begin(f, true);

    assert_int_equal(gw_index_high_water_save(r.reader), expected);
    reading_end(&r);
}

static void copy_index(const struct fixture *f, const char *from, const char *to)
{
    char command[512];

    (void)snprintf(command, sizeof command,
                   "cp '%s/%s/data.mdb' '%s/%s' 2>/dev/null || cp "
                   "'%s/%s' '%s/%s/data.mdb'",
                   f->base, from, f->base, to, f->base, from, f->base, to);
    assert_int_equal(system(command), 0); /* NOLINT: a fixed command on our own directory */
}

static void an_older_copy_put_back_grants_nothing_until_accepted(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer;
    struct gw_index_stat stat;
    struct reading r;

    copy_index(f, "index", "older.mdb");
    writer = writer_begin(f);
    (void)add_device(writer, f->product, token_of(1));
    writer_commit(writer);
    save(f, 0);
    copy_index(f, "older.mdb", "index");

    r = reading_begin(f, true);
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(login(&r, token_of(1)), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(gw_index_stat(r.reader, &stat), 0);
    assert_false(stat.authoritative);
    assert_non_null(strstr(stat.why_not, "older"));
    assert_int_equal(gw_index_high_water_save(r.reader), -ESTALE);
    reading_end(&r);

    writer = writer_begin(f);
    assert_int_equal(gw_index_accept(writer, f->high_water), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, true, sample_token()), GW_LOGIN_GRANTED);
    assert_int_equal(login_once(f, true, token_of(1)), GW_LOGIN_UNKNOWN);
    save(f, 0);
}

static void a_large_shrink_makes_misses_unavailable_until_accepted(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);
    uint32_t numbers[20];
    struct reading r;

    for (uint32_t i = 0; i < 20; i++)
        numbers[i] = add_device(writer, f->product, token_of(i));
    writer_commit(writer);
    save(f, 0);
    writer = writer_begin(f);
    for (uint32_t i = 0; i < 2; i++) /* 19 of 21 is a tenth, rounded */
        assert_int_equal(gw_index_token_revoke(writer, numbers[i]), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, true, token_of(0)), GW_LOGIN_UNKNOWN);
    writer = writer_begin(f);
    assert_int_equal(gw_index_token_revoke(writer, numbers[2]), 0);
    writer_commit(writer);

    r = reading_begin(f, true);
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    assert_int_equal(login(&r, token_of(0)), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(login(&r, NULL), GW_LOGIN_UNAVAILABLE);
    reading_end(&r);
    save(f, -ESTALE);

    writer = writer_begin(f);
    assert_int_equal(gw_index_accept(writer, NULL), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, true, token_of(0)), GW_LOGIN_UNKNOWN);
}

static void an_incomplete_index_grants_and_calls_nothing_unknown(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);

    assert_int_equal(gw_index_set_complete(writer, false), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_GRANTED);
    assert_int_equal(login_once(f, false, token_of(1)), GW_LOGIN_UNAVAILABLE);
    writer = writer_begin(f);
    assert_int_equal(gw_index_set_complete(writer, true), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, false, token_of(1)), GW_LOGIN_UNKNOWN);
}

static void an_index_without_tokens_calls_nothing_unknown(void **state)
{
    struct fixture *f = *state;
    struct gw_index_writer *writer = writer_begin(f);

    assert_int_equal(gw_index_token_revoke(writer, f->device), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_UNAVAILABLE);
}

static void a_damaged_high_water_file_is_named_at_open(void **state)
{
    struct fixture *f = *state;
    const struct gw_index_options options = {.path = f->path, .high_water = f->high_water};
    struct gw_index *index = NULL;
    const char *why = "";
    FILE *file = fopen(f->high_water, "we");

    assert_non_null(file);
    (void)fputs("tollgate-high-water 1\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(gw_index_open(&options, &index, &why), -EPROTO);
    assert_non_null(strstr(why, "high-water"));
}

static void a_replaced_index_is_noticed_and_calls_nothing_unknown(void **state)
{
    struct fixture *f = *state;
    struct reading r = reading_begin(f, false);
    char file[160];

    assert_false(gw_index_replaced(r.index));
    assert_int_equal(login(&r, token_of(1)), GW_LOGIN_UNKNOWN);
    copy_index(f, "index", "other.mdb");
    (void)snprintf(file, sizeof file, "%s/data.mdb", f->path);
    assert_int_equal(unlink(file), 0);
    copy_index(f, "other.mdb", "index");
    assert_true(gw_index_replaced(r.index));
    assert_int_equal(login(&r, token_of(1)), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    reading_end(&r);
}

int main(void)
{
#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judgement_follows_the_table),
        WITH_INDEX(the_high_water_file_reads_back_and_shows_every_damage),
        WITH_INDEX(an_older_copy_put_back_grants_nothing_until_accepted),
        WITH_INDEX(a_large_shrink_makes_misses_unavailable_until_accepted),
        WITH_INDEX(an_incomplete_index_grants_and_calls_nothing_unknown),
        WITH_INDEX(an_index_without_tokens_calls_nothing_unknown),
        WITH_INDEX(a_damaged_high_water_file_is_named_at_open),
        WITH_INDEX(a_replaced_index_is_noticed_and_calls_nothing_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
