#include "fixture.h"

struct place {
    char backup[160], old[160], fresh[160];
};

static struct place place_of(const struct fixture *f)
{
    struct place p;

    (void)snprintf(p.backup, sizeof p.backup, "%s/backup", f->base);
    (void)snprintf(p.old, sizeof p.old, "%s.old", f->path);
    (void)snprintf(p.fresh, sizeof p.fresh, "%s.new", f->path);
    return p;
}

static bool exists(const char *path)
{
    struct stat there;

    return stat(path, &there) == 0;
}

static void save_mark(const struct fixture *f)
{
    struct reading r = reading_begin(f, true);

    assert_int_equal(gw_index_high_water_save(r.reader), 0);
    reading_end(&r);
}

static void a_restored_index_is_refused_until_accepted(void **state)
{
    struct fixture *f = *state;
    const struct place p = place_of(f);
    struct gw_index_writer *writer;
    const char *why = "";

    assert_int_equal(gw_index_backup(f->path, NULL, p.backup, &why), 0);
    writer = writer_begin(f);
    (void)add_device(writer, f->product, token_of(1));
    writer_commit(writer);
    save_mark(f);
    assert_int_equal(gw_index_restore(f->path, NULL, p.backup, &why), 0);
    assert_true(exists(p.old) && !exists(p.fresh));
    assert_int_equal(login_once(f, true, sample_token()), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(login_once(f, true, token_of(1)), GW_LOGIN_UNAVAILABLE);
    writer = writer_begin(f);
    assert_int_equal(gw_index_accept(writer, f->high_water), 0);
    writer_commit(writer);
    assert_int_equal(login_once(f, true, sample_token()), GW_LOGIN_GRANTED);
    assert_int_equal(login_once(f, true, token_of(1)), GW_LOGIN_UNKNOWN);
}

/* Even of equal generation and count: what came after the backup and was lost cannot be seen. */
static void a_restore_makes_another_index_of_the_same_rows(void **state)
{
    struct fixture *f = *state;
    const struct place p = place_of(f);
    const char *why = "";

    save_mark(f);
    assert_int_equal(gw_index_backup(f->path, NULL, p.backup, &why), 0);
    assert_int_equal(gw_index_restore(f->path, NULL, p.backup, &why), 0);
    assert_int_equal(login_once(f, true, sample_token()), GW_LOGIN_UNAVAILABLE);
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_GRANTED);
}

static void a_gateway_that_reads_goes_on_and_notices(void **state)
{
    struct fixture *f = *state;
    const struct place p = place_of(f);
    struct reading r;
    const char *why = "";
    pid_t child;
    int status;

    assert_int_equal(gw_index_backup(f->path, NULL, p.backup, &why), 0);
    r = reading_begin(f, false);
    assert_int_equal(login(&r, token_of(1)), GW_LOGIN_UNKNOWN);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(gw_index_restore(f->path, NULL, p.backup, &why) == 0 ? 0 : 2);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    assert_true(gw_index_replaced(r.index));
    assert_int_equal(login(&r, sample_token()), GW_LOGIN_GRANTED);
    assert_int_equal(login(&r, token_of(1)), GW_LOGIN_UNAVAILABLE);
    reading_end(&r);
}

static void a_writer_of_the_former_index_is_told(void **state)
{
    struct fixture *f = *state;
    const struct place p = place_of(f);
    struct gw_index_writer *writer;
    const char *why = "";
    pid_t child;
    int status;

    assert_int_equal(gw_index_backup(f->path, NULL, p.backup, &why), 0);
    assert_int_equal(gw_index_writer_open(f->path, NULL, &writer, &why), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(gw_index_restore(f->path, NULL, p.backup, &why) == 0 ? 0 : 2);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(gw_index_begin(writer), -ESTALE);
    gw_index_writer_close(writer);
}

static void a_backup_cut_anywhere_is_refused_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const struct place p = place_of(f);
    struct stat whole;
    const char *why = "";

    assert_int_equal(gw_index_backup(f->path, NULL, p.backup, &why), 0);
    assert_int_equal(stat(p.backup, &whole), 0);
    for (off_t size = whole.st_size - 1; size >= 0; size -= 4096) {
        assert_int_equal(truncate(p.backup, size), 0);
        assert_int_not_equal(gw_index_restore(f->path, NULL, p.backup, &why), 0);
        assert_string_not_equal(why, "");
        assert_false(exists(p.fresh) || exists(p.old));
    }
    assert_int_equal(login_once(f, false, sample_token()), GW_LOGIN_GRANTED);
}

static void a_backup_under_another_pepper_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct place p = place_of(f);
    struct fixture *other;
    void *own;
    const char *why = "";

    (void)fixture_setup(&own);
    other = own;
    assert_int_equal(gw_index_backup(other->path, NULL, p.backup, &why), 0);
    assert_int_equal(gw_index_restore(f->path, NULL, p.backup, &why), -EKEYREJECTED);
    assert_non_null(strstr(why, "pepper"));
    assert_false(exists(p.fresh) || exists(p.old));
    (void)fixture_teardown(&own);
}

static void an_index_for_a_group_has_the_modes_that_readers_need(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = {{"", 0750}, {"data.mdb", 0640}, {"lock.mdb", 0660}, {"pepper", 0440}};
    struct fixture *f = *state;
    char path[160];
    const struct gw_index_create_options options = {
        .path = path, .has_group = true, .group = getgid()};
    const char *why = "";

    (void)snprintf(path, sizeof path, "%s/shared", f->base);
    assert_int_equal(gw_index_create(&options, &why), 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(files); i++) {
        char file[200];
        struct stat there;

        (void)snprintf(file, sizeof file, "%s/%s", path, files[i].name);
        assert_int_equal(stat(file, &there), 0);
        assert_int_equal(there.st_mode & 07777, files[i].mode);
        assert_int_equal(there.st_gid, getgid());
    }
    assert_int_equal(gw_index_create(&options, &why), -EEXIST);
}

int main(void)
{
#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH_INDEX(a_restored_index_is_refused_until_accepted),
        WITH_INDEX(a_restore_makes_another_index_of_the_same_rows),
        WITH_INDEX(a_gateway_that_reads_goes_on_and_notices),
        WITH_INDEX(a_writer_of_the_former_index_is_told),
        WITH_INDEX(a_backup_cut_anywhere_is_refused_and_changes_nothing),
        WITH_INDEX(a_backup_under_another_pepper_is_refused),
        WITH_INDEX(an_index_for_a_group_has_the_modes_that_readers_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
