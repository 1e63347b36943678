/*
 * The nth failure in the token index: a change is made whole or not at all, a token that is there
 * is never unknown, what is told of the index is right or an error, and a copy in the place of the
 * index is a whole index.
 */
#include "room.h"

#include <fcntl.h>

#include "../unit/token/fixture.h"

#include <gw/token/details.h>

enum { GENERATED = 3, NEW_TOKEN = 100, ROTATED_TOKEN, REVOKED_TOKEN, FRESH_TOKEN, NOBODYS_TOKEN };

/* What is put before each scene: an index, its pepper, the memory of what was served, a backup. */
static struct {
    uint8_t *index, *pepper, *high_water, *backup;
    size_t index_bytes, pepper_bytes, high_water_bytes, backup_bytes;
    uint32_t org, product, plain_product, unbound_product;
    uint32_t device, rotated, revoked, unbound;
    uint64_t generation;
} template;

static struct fixture at; /* where a scene plays */

static struct {
    bool created, committed, backed_up, restored;
    uint32_t added;
    FILE *tokens;
} seen;

/* Nothing that LMDB or the system says here is an answer to a question about what is in the index.
 */
static const struct room_failure failures[] = {
    {"no memory", NTHFAIL_MEMORY, ENOMEM, 1},
    {"no memory any more", NTHFAIL_MEMORY, ENOMEM, NTHFAIL_FOR_EVER},
    {"I/O error", NTHFAIL_FILE, EIO, 1},
    {"I/O errors", NTHFAIL_FILE, EIO, NTHFAIL_FOR_EVER},
    {"disk full", NTHFAIL_FILE, ENOSPC, 1},
    {"interrupted", NTHFAIL_FILE, EINTR, 1},
    {"LMDB: I/O error", NTHFAIL_LMDB, EIO, 1},
    {"LMDB: I/O errors", NTHFAIL_LMDB, EIO, NTHFAIL_FOR_EVER},
    {"LMDB: no memory", NTHFAIL_LMDB, ENOMEM, 1},
    {"LMDB: map full", NTHFAIL_LMDB, MDB_MAP_FULL, 1},
    {"LMDB: no reader's slot", NTHFAIL_LMDB, MDB_READERS_FULL, 1},
    {"LMDB: no reader's slot, twice", NTHFAIL_LMDB, MDB_READERS_FULL, 2},
    {"LMDB: damage", NTHFAIL_LMDB, MDB_CORRUPTED, 1},
};

/* ---- files ---- */

static uint8_t *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "re");
    struct stat there;
    uint8_t *data;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &there), 0);
    *bytes = (size_t)there.st_size;
    data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    (void)fclose(file);
    return data;
}

static void write_file(const char *path, const uint8_t *data, size_t bytes, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    (void)close(fd);
}

static char *beside(const char *name)
{
    static char path[192];

    (void)snprintf(path, sizeof path, "%s/%s", at.base, name);
    return path;
}

static bool exists(const char *name)
{
    struct stat there;

    return stat(beside(name), &there) == 0;
}

/* `name` with a suffix, as a directory of an index or as a file. */
static void remove_one(const char *name, const char *suffix)
{
    static const char *const files[] = {"/data.mdb", "/lock.mdb", "/pepper", ""};

    for (size_t i = 0; i < GW_ARRAY_COUNT(files); i++) {
        char path[64];

        (void)snprintf(path, sizeof path, "%s%s%s", name, suffix, files[i]);
        (void)remove(beside(path));
    }
}

static void remove_place(void)
{
    static const char *const names[] = {"index", "other", "backup", "copy", "high_water", "pepper"};

    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        remove_one(names[i], "");
        remove_one(names[i], ".new");
        remove_one(names[i], ".old");
    }
    assert_int_equal(rmdir(at.base), 0); /* or something else was left behind */
}

static void make_place(void)
{
    memset(&seen, 0, sizeof seen);
    /* Thousands of small indexes: none of this is about a real disk. */
    (void)snprintf(at.base, sizeof at.base, "%s/gw_token_nth.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(at.base));
    (void)snprintf(at.path, sizeof at.path, "%s/index", at.base);
    (void)snprintf(at.high_water, sizeof at.high_water, "%s/high_water", at.base);
}

/* ---- the template ---- */

static void add_details(struct gw_index_writer *writer)
{
    const struct gw_stream stream = {.pin = 1, .type = GW_STREAM_INT, .name = text("Level")};

    assert_int_equal(gw_index_stream_add(writer, template.product, &stream), 0);
    assert_int_equal(gw_index_event_add(writer, template.product, text("hot"), text("Too hot")), 0);
    assert_int_equal(gw_index_field_set(writer, template.device, text("Room"), text("Attic")), 0);
    assert_int_equal(gw_index_zone_set(writer, template.device, text("Europe/Berlin")), 0);
}

static int make_template(void **state)
{
    struct gw_index_writer *writer;
    struct gw_index_stat stat;
    struct reading r;
    struct fixture *f;
    char path[192];
    const char *why;

    (void)fixture_setup(state);
    f = *state;
    template.org = f->org;
    template.product = f->product;
    template.plain_product = f->plain_product;
    template.device = f->device;
    writer = writer_begin(f);
    template.unbound_product = add_product(writer, f->org, "TMPLunbound", GW_PRODUCT_PROVISIONS, 0);
    template.unbound = add_device(writer, template.unbound_product, token_of(NEW_TOKEN));
    template.rotated = add_device(writer, f->product, token_of(ROTATED_TOKEN));
    template.revoked = add_device(writer, f->product, token_of(REVOKED_TOKEN));
    writer_commit(writer);
    r = reading_begin(f, true);
    assert_int_equal(gw_index_high_water_save(r.reader), 0);
    reading_end(&r);
    writer = writer_begin(f); /* one generation above what was served */
    add_details(writer);
    writer_commit(writer);
    r = reading_begin(f, false);
    assert_int_equal(gw_index_stat(r.reader, &stat), 0);
    template.generation = stat.generation;
    reading_end(&r);
    (void)snprintf(path, sizeof path, "%s/backup", f->base);
    assert_int_equal(gw_index_backup(f->path, NULL, path, &why), 0);
    template.backup = read_file(path, &template.backup_bytes);
    (void)snprintf(path, sizeof path, "%s/data.mdb", f->path);
    template.index = read_file(path, &template.index_bytes);
    (void)snprintf(path, sizeof path, "%s/pepper", f->path);
    template.pepper = read_file(path, &template.pepper_bytes);
    template.high_water = read_file(f->high_water, &template.high_water_bytes);
    return 0;
}

static int free_template(void **state)
{
    free(template.backup);
    free(template.index);
    free(template.pepper);
    free(template.high_water);
    return fixture_teardown(state);
}

static void prepare_index(void)
{
    make_place();
    assert_int_equal(mkdir(at.path, 0700), 0);
    write_file(beside("index/data.mdb"), template.index, template.index_bytes, 0600);
    write_file(beside("index/pepper"), template.pepper, template.pepper_bytes, 0400);
    write_file(at.high_water, template.high_water, template.high_water_bytes, 0644);
}

/* ---- what must hold ---- */

/* An error of the world: none that says that something is there or is not. */
static bool is_trouble(int err)
{
    return err < 0 && err != -EEXIST && err != -ENOENT && err != -ENODATA && err != -EINVAL &&
           err != -EPERM && room_has_failed();
}

static void told(void *context, const char *sentence)
{
    (void)context;
    print_error("  %s\n", sentence);
}

/* Its generation; every row is sound. */
static uint64_t whole_index(void)
{
    struct reading r = reading_begin(&at, false);
    struct gw_index_stat stat;
    uint64_t faults = 1;

    room_check(gw_catalog_verify(gw_index_reader_view(r.reader), 10, told, NULL, &faults) == 0);
    room_check(faults == 0);
    room_check(gw_index_stat(r.reader, &stat) == 0);
    reading_end(&r);
    return stat.generation;
}

/* ---- a new index ---- */

static bool pepper_elsewhere;

static const char *pepper_file(void)
{
    return pepper_elsewhere ? beside("pepper") : NULL;
}

static void play_creation(void)
{
    const struct gw_index_create_options options = {.path = at.path,
                                                    .pepper = pepper_file(),
                                                    .has_group = !pepper_elsewhere,
                                                    .group = getgid()};
    const char *why = "";
    int err = gw_index_create(&options, &why);

    room_check(err == 0 || (is_trouble(err) && why[0] != '\0'));
    seen.created = err == 0;
}

/* What was cut short can be removed and made anew. */
static void check_creation(void)
{
    struct gw_index_writer *writer;
    const char *why;
    uint32_t org;

    if (!seen.created) {
        remove_one("index", "");
        remove_one("pepper", "");
        play_creation();
        room_check(seen.created);
    }
    room_check(gw_index_writer_open(at.path, pepper_file(), &writer, &why) == 0);
    room_check(gw_index_begin(writer) == 0);
    room_check(gw_index_org_add(writer, text("first"), &org) == 0 && org == 1);
    room_check(gw_index_commit(writer) == 0);
    gw_index_writer_close(writer);
    remove_place();
}

static void a_creation_is_whole_or_can_be_done_again(void **state)
{
    static const struct room_scene scene = {"a creation",   make_place, play_creation,
                                            check_creation, failures,   GW_ARRAY_COUNT(failures)};

    (void)state;
    pepper_elsewhere = false;
    room_play(&scene);
    pepper_elsewhere = true;
    room_play(&scene);
}

/* ---- changes ---- */

static void prepare_changes(void)
{
    prepare_index();
    seen.tokens = fopen("/dev/null", "we");
    assert_non_null(seen.tokens);
}

/* All that a writer can do, up to the first error. */
static int change_rows(struct gw_index_writer *writer)
{
    const struct gw_product_spec product = {.org = template.org, .id = text("TMPLnew")};
    uint32_t org, number, first;
    int err;

    if ((err = gw_index_org_add(writer, text("another"), &org)) != 0 ||
        (err = gw_index_product_add(writer, &product, &number)) != 0)
        return err;
    const struct gw_device_spec device = {
        .product = number, .name = text("Porch"), .token = token_of(FRESH_TOKEN)};

    if ((err = gw_index_device_add(writer, &device, &seen.added)) != 0 ||
        (err = gw_index_generate(writer, number, GENERATED, seen.tokens, NULL, NULL, &first)) !=
            0 ||
        (err = gw_index_device_set_disabled(writer, first, true)) != 0 ||
        (err = gw_index_device_set_disabled(writer, first, false)) != 0 ||
        (err = gw_index_device_move(writer, first, template.product)) != 0 ||
        (err = gw_index_token_window(writer, first, 1, 2)) != 0 ||
        (err = gw_index_device_bind(writer, template.unbound, text(SAMPLE_PRODUCT))) != 0 ||
        (err = gw_index_token_rotate(writer, template.rotated, token_of(NOBODYS_TOKEN))) != 0 ||
        (err = gw_index_token_revoke(writer, template.revoked)) != 0 ||
        (err = gw_index_token_rotate(writer, template.revoked, token_of(1))) != 0 ||
        (err = gw_index_token_revoke(writer, template.revoked)) != 0)
        return err;
    if ((err = gw_index_product_set_closed(writer, number, true)) != 0 ||
        (err = gw_index_product_set_closed(writer, number, false)) != 0 ||
        (err = gw_index_org_set_closed(writer, org, true)) != 0 ||
        (err = gw_index_set_complete(writer, false)) != 0)
        return err;
    return gw_index_set_complete(writer, true);
}

static int change_details(struct gw_index_writer *writer)
{
    const struct gw_stream stream = {.pin = 2, .type = GW_STREAM_STRING};
    int err;

    if ((err = gw_index_stream_add(writer, template.product, &stream)) != 0 ||
        (err = gw_index_stream_remove(writer, template.product, 1)) != 0 ||
        (err = gw_index_event_add(writer, template.product, text("cold"), text(""))) != 0 ||
        (err = gw_index_event_remove(writer, template.product, text("hot"))) != 0 ||
        (err = gw_index_field_set(writer, template.device, text("Floor"), text("2"))) != 0 ||
        (err = gw_index_field_remove(writer, template.device, text("Room"))) != 0 ||
        (err = gw_index_zone_set(writer, template.rotated, text("Asia/Tokyo"))) != 0)
        return err;
    return gw_index_zone_set(writer, template.device, text(""));
}

static void play_changes(void)
{
    struct gw_index_writer *writer;
    const char *why = "";
    int err = gw_index_writer_open(at.path, NULL, &writer, &why), committed;

    room_check(err == 0 || (is_trouble(err) && why[0] != '\0'));
    if (err != 0)
        return;
    err = gw_index_begin(writer);
    room_check(err == 0 || is_trouble(err) || err == -ESTALE);
    if (err == 0) {
        if ((err = change_rows(writer)) == 0)
            err = change_details(writer);
        room_check(err == 0 || is_trouble(err));
        committed = gw_index_commit(writer);
        room_check(err == 0 ? committed == 0 || is_trouble(committed) : committed != 0);
        seen.committed = committed == 0;
    }
    gw_index_writer_close(writer);
}

static void check_changes(void)
{
    const bool done = seen.committed;
    struct gw_stream stream;
    struct gw_bytes words;
    struct reading r;

    room_check(whole_index() == template.generation + done);
    r = reading_begin(&at, true);
    room_check(login(&r, sample_token()) == GW_LOGIN_GRANTED);
    room_check(login(&r, token_of(FRESH_TOKEN)) == (done ? GW_LOGIN_GRANTED : GW_LOGIN_UNKNOWN));
    room_check(login(&r, token_of(NOBODYS_TOKEN)) == (done ? GW_LOGIN_GRANTED : GW_LOGIN_UNKNOWN));
    room_check(login(&r, token_of(ROTATED_TOKEN)) == (done ? GW_LOGIN_UNKNOWN : GW_LOGIN_GRANTED));
    room_check(login(&r, token_of(REVOKED_TOKEN)) == (done ? GW_LOGIN_UNKNOWN : GW_LOGIN_GRANTED));
    room_check(gw_index_stream(r.reader, template.product, 2, &stream) == (done ? 0 : -ENOENT));
    room_check(gw_index_stream(r.reader, template.product, 1, &stream) == (done ? -ENOENT : 0));
    room_check(gw_index_event(r.reader, template.product, text("cold"), &words) ==
               (done ? 0 : -ENOENT));
    room_check(gw_index_field(r.reader, template.device, text("Room"), &words) ==
               (done ? -ENOENT : 0));
    room_check(gw_index_zone(r.reader, template.device, &words) == (done ? -ENOENT : 0));
    reading_end(&r);
    (void)fclose(seen.tokens);
    remove_place();
}

static void changes_are_made_whole_or_not_at_all(void **state)
{
    static const struct room_scene scene = {"changes",    prepare_changes,
                                            play_changes, check_changes,
                                            failures,     GW_ARRAY_COUNT(failures)};

    (void)state;
    room_play(&scene);
}

/* ---- questions ---- */

static void ask_about_tokens(struct gw_index_reader *reader)
{
    struct gw_grant grant;
    bool is;
    enum gw_login answer = gw_index_login(reader, sample_token(), true, 1000, &grant);

    room_check(answer == GW_LOGIN_GRANTED ? grant.device == template.device
                                          : answer == GW_LOGIN_UNAVAILABLE && room_has_failed());
    answer = gw_index_login(reader, token_of(NOBODYS_TOKEN), true, 1000, &grant);
    room_check(answer == GW_LOGIN_UNKNOWN || (answer == GW_LOGIN_UNAVAILABLE && room_has_failed()));
    answer = gw_index_recheck(reader, template.device, 1, true, 1000, &grant);
    room_check(answer == GW_LOGIN_GRANTED || (answer == GW_LOGIN_UNAVAILABLE && room_has_failed()));
    room_check(gw_index_product_is(reader, template.product, text(SAMPLE_PRODUCT), &is) == 0
                   ? is
                   : room_has_failed());
    room_check(gw_index_product_is(reader, template.product, text("TMPLplain"), &is) == 0
                   ? !is
                   : room_has_failed());
}

static void ask_about_changes(struct gw_index_reader *reader)
{
    struct gw_index_change changes[16];
    struct gw_index_stat stat;
    uint64_t newest = 0, rows = 0;
    size_t count = 0;
    int err = gw_index_change_newest(reader, &newest);

    room_check(err == 0 || is_trouble(err));
    err = gw_index_changes(reader, 0, changes, GW_ARRAY_COUNT(changes), &count);
    room_check(err == 0 ? newest == 0 || count == newest : is_trouble(err));
    err = gw_index_stat(reader, &stat);
    room_check(err == 0 ? stat.generation == template.generation && stat.devices == 4
                        : is_trouble(err));
    err = gw_index_preload(reader, (struct gw_instant){.ns = UINT64_MAX}, &rows);
    room_check(err == 0 ? rows == 4 : is_trouble(err));
}

static void ask_about_details(struct gw_index_reader *reader)
{
    struct gw_stream stream;
    struct gw_bytes words;
    int err = gw_index_stream(reader, template.product, 1, &stream);

    room_check(err == 0 ? stream.type == GW_STREAM_INT : is_trouble(err));
    err = gw_index_stream(reader, template.product, 9, &stream);
    room_check(err == -ENOENT || is_trouble(err));
    err = gw_index_stream(reader, template.plain_product, 9, &stream);
    room_check(err == -ENODATA || is_trouble(err));
    err = gw_index_event(reader, template.product, text("hot"), &words);
    room_check(err == 0 ? gw_bytes_are(words, "Too hot") : is_trouble(err));
    err = gw_index_field(reader, template.device, text("Room"), &words);
    room_check(err == 0 ? gw_bytes_are(words, "Attic") : is_trouble(err));
    err = gw_index_zone(reader, template.device, &words);
    room_check(err == 0 ? gw_bytes_are(words, "Europe/Berlin") : is_trouble(err));
}

/* A walk that comes to its end has met all there is. */
static void walk(struct gw_index_reader *reader)
{
    const struct gw_index_view *view = gw_index_reader_view(reader);
    struct gw_org_info org = {.number = 0};
    struct gw_product_info product = {.number = 0};
    struct gw_device_info device = {.number = 0};
    struct gw_stream stream = {.pin = 0};
    struct gw_bytes code = text(""), name;
    uint32_t orgs = 0, products = 0, devices = 0, streams = 0, events = 0, number;
    uint64_t faults = 0;
    int err;

    room_check(view != NULL || room_has_failed());
    if (view == NULL)
        return;
    while ((err = gw_catalog_org_next(view, org.number, &org)) == 0)
        orgs++;
    room_check(err == -ENOENT ? orgs == 1 : is_trouble(err));
    while ((err = gw_catalog_product_next(view, product.number, &product)) == 0)
        products++;
    room_check(err == -ENOENT ? products == 3 : is_trouble(err));
    while ((err = gw_catalog_device_next(view, device.number, &device)) == 0)
        devices++;
    room_check(err == -ENOENT ? devices == 4 : is_trouble(err));
    for (int pin = -1; (err = gw_catalog_stream_next(view, template.product, pin, &stream)) == 0;
         pin = stream.pin)
        streams++;
    room_check(err == -ENOENT ? streams == 1 : is_trouble(err));
    while ((err = gw_catalog_event_next(view, template.product, code, &code, &name)) == 0)
        events++;
    room_check(err == -ENOENT ? events == 1 : is_trouble(err));
    err = gw_catalog_product_find(view, text(SAMPLE_PRODUCT), &number);
    room_check(err == 0 ? number == template.product : is_trouble(err));
    err = gw_catalog_verify(view, 0, told, NULL, &faults);
    room_check(err == 0 || is_trouble(err));
    room_check(faults == 0 || room_has_failed()); /* a row that cannot be read is a fault */
}

static void play_questions(void)
{
    const struct gw_index_options options = {.path = at.path, .high_water = at.high_water};
    struct gw_index_reader *reader;
    struct gw_index *index;
    const char *why = "";
    int err = gw_index_open(&options, &index, &why);

    room_check(err == 0 || (is_trouble(err) && why[0] != '\0'));
    if (err != 0)
        return;
    err = gw_index_reader_open(index, &reader);
    room_check(err == 0 || is_trouble(err));
    if (err == 0) {
        for (int turn = 0; turn < 2; turn++) {
            ask_about_tokens(reader);
            ask_about_changes(reader);
            ask_about_details(reader);
            walk(reader);
            gw_index_reader_pause(reader);
            /* A file that cannot be looked at may be another's. */
            room_check(!gw_index_replaced(index) || room_has_failed());
        }
        err = gw_index_high_water_save(reader);
        room_check(err == 0 || err == -ESTALE || is_trouble(err));
        gw_index_reader_pause(reader);
        ask_about_tokens(reader);
        gw_index_reader_close(reader);
    }
    gw_index_close(index);
}

static void check_questions(void)
{
    struct reading r = reading_begin(&at, true); /* the memory of what was served is sound */

    room_check(login(&r, sample_token()) == GW_LOGIN_GRANTED);
    room_check(login(&r, token_of(NOBODYS_TOKEN)) == GW_LOGIN_UNKNOWN);
    reading_end(&r);
    remove_place();
}

static void answers_are_right_or_errors(void **state)
{
    static const struct room_scene scene = {"questions",    prepare_index,
                                            play_questions, check_questions,
                                            failures,       GW_ARRAY_COUNT(failures)};

    (void)state;
    room_play(&scene);
}

/* ---- copies ---- */

static void prepare_copies(void)
{
    prepare_index();
    write_file(beside("backup"), template.backup, template.backup_bytes, 0600);
}

static void play_copies(void)
{
    char file[192];
    struct gw_index_writer *writer;
    const char *why = "";
    int err;

    (void)snprintf(file, sizeof file, "%s/copy", at.base);
    err = gw_index_backup(at.path, NULL, file, &why);
    room_check(err == 0 || (is_trouble(err) && why[0] != '\0'));
    seen.backed_up = err == 0;
    (void)snprintf(file, sizeof file, "%s/backup", at.base);
    err = gw_index_restore(at.path, NULL, file, &why);
    room_check(err == 0 || (room_has_failed() && why[0] != '\0'));
    seen.restored = err == 0;
    if (!seen.restored || gw_index_writer_open(at.path, NULL, &writer, &why) != 0)
        return;
    if (gw_index_begin(writer) == 0) {
        err = gw_index_accept(writer, at.high_water);
        room_check(err == 0 || room_has_failed());
        if (err == 0)
            seen.committed = gw_index_commit(writer) == 0;
        else
            gw_index_abort(writer);
    }
    gw_index_writer_close(writer);
}

static void check_copies(void)
{
    char file[192], other[192], pepper[192];
    const char *why = "";

    (void)whole_index();
    room_check(login_once(&at, false, sample_token()) == GW_LOGIN_GRANTED);
    room_check(!seen.committed ||
               login_once(&at, true, token_of(NOBODYS_TOKEN)) == GW_LOGIN_UNKNOWN);
    room_check(!seen.restored || exists("index.old"));
    room_check(!exists("copy.new") || room_failure()->count == NTHFAIL_FOR_EVER);
    room_check(!seen.backed_up || exists("copy"));
    if (exists("copy")) {
        (void)snprintf(file, sizeof file, "%s/copy", at.base);
        (void)snprintf(other, sizeof other, "%s/other", at.base);
        (void)snprintf(pepper, sizeof pepper, "%s/pepper", at.path);
        room_check(gw_index_restore(other, pepper, file, &why) == 0);
    }
    remove_place();
}

static void a_copy_in_the_place_of_the_index_is_a_whole_index(void **state)
{
    static const struct room_scene scene = {"copies",     prepare_copies, play_copies,
                                            check_copies, failures,       GW_ARRAY_COUNT(failures)};

    (void)state;
    room_play(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_creation_is_whole_or_can_be_done_again),
        cmocka_unit_test(changes_are_made_whole_or_not_at_all),
        cmocka_unit_test(answers_are_right_or_errors),
        cmocka_unit_test(a_copy_in_the_place_of_the_index_is_a_whole_index),
    };

    return cmocka_run_group_tests_name("nthfail token", tests, make_template, free_template);
}
