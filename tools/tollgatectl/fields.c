/*
 * device meta follow: sets the metadata fields that devices and HTTP clients asked to be set. A
 * gateway may only read the index, so it records such a request; this reads the log by a cursor of
 * its own, as the index's owner, and changes the index. The cursor moves behind the commit, so that
 * after a crash some are set a second time and none is left out.
 *
 * A field is set that the device has, or that its product has given a number: whoever holds a
 * device's token may not fill the index.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/clock.h>
#include <gw/token/details.h>

#include "ctl_index.h"
#include "ctl_journal.h"

enum { WAIT_MS = 500, CHANGES_MAX = 256, CHANGE_MS_MAX = 200 };

struct following {
    struct ctl_index ix;
    const char *journal, *cursor;
    struct gw_journal_position done, committed;
    bool once, changing;     /* a transaction is open, and other commands wait for it */
    struct gw_instant since; /* when it was begun                                     */
    unsigned changes;        /* in it                                                 */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int fail_of_index(const struct following *f, int err)
{
    if (err == -ESTALE) /* started anew, it opens the one that is there now */
        return ctl_fail(CTL_LATER, "the index at %s was replaced", f->ix.path);
    return ctl_index_fail(&f->ix, "a field", err);
}

/* What was read so far is in the index, then the cursor says so. */
static int commit(struct following *f)
{
    int err;

    if (f->changing) {
        f->changing = false;
        if ((err = gw_index_commit(f->ix.writer)) != 0)
            return fail_of_index(f, err);
    }
    if (!gw_journal_position_is_before(f->committed, f->done))
        return CTL_OK;
    if ((err = ctl_cursor_move(f->journal, f->cursor, f->done)) != 0)
        return ctl_fail(ctl_exit_of(err), "cannot commit cursor %s: %s", f->cursor, strerror(-err));
    f->committed = f->done;
    return CTL_OK;
}

static int begin(struct following *f)
{
    int err = f->changing ? 0 : gw_index_begin(f->ix.writer);

    if (err != 0 || f->changing)
        return err;
    f->changing = true;
    f->changes = 0;
    f->since = gw_clock_now();
    f->ix.view = gw_index_writer_view(f->ix.writer);
    return 0;
}

/* 0 when the device may have this field set; -ENOENT when not. */
static int may_set(const struct following *f, uint32_t device, struct gw_bytes name)
{
    struct gw_device_info info;
    struct gw_bytes text;
    uint16_t number = 0;
    int err = gw_catalog_device(f->ix.view, device, &info);

    if (err != 0 || (err = gw_catalog_field(f->ix.view, device, name, &text)) != -ENOENT)
        return err;
    while ((err = gw_catalog_field_name_next(f->ix.view, info.product, number, &number, &text)) ==
           0)
        if (gw_bytes_equal(text, name))
            return 0;
    return err;
}

/* What cannot be set is passed over: it would stand in the way of all that comes behind it. */
static int set_field(struct following *f, const struct gw_record *record)
{
    int err = begin(f);

    if (err == 0 && (err = may_set(f, record->device, record->name)) == 0)
        err = gw_index_field_set(f->ix.writer, record->device, record->name, record->value);
    if (err == -ENOENT)
        ctl_note("device %" PRIu32 " has no field '%.*s', and its product names none so\n",
                 record->device, (int)record->name.size, (const char *)record->name.data);
    else if (err == -EINVAL)
        ctl_note("device %" PRIu32 ": a value of '%.*s' is longer than %d bytes, or no text\n",
                 record->device, (int)record->name.size, (const char *)record->name.data,
                 GW_FIELD_VALUE_BYTES_MAX);
    else if (err != 0)
        return fail_of_index(f, err);
    f->changes++;
    return CTL_OK;
}

static bool is_time_to_commit(const struct following *f)
{
    return f->changing && (f->changes >= CHANGES_MAX ||
                           gw_ns_between(f->since, gw_clock_now()) >= CHANGE_MS_MAX * GW_NS_PER_MS);
}

static int run(struct following *f, struct gw_journal_reader *reader)
{
    struct gw_journal_item item;
    int code = CTL_OK;

    while (code == CTL_OK && !interrupted) {
        int err = gw_journal_reader_next(reader, &item);

        if (err != 0)
            return ctl_fail(ctl_exit_of(err), "cannot read %s: %s", f->journal, strerror(-err));
        if (item.kind == GW_JOURNAL_END) {
            code = commit(f);
            if (f->once)
                return code;
            (void)gw_journal_reader_wait(reader, WAIT_MS);
            continue;
        }
        if (item.kind != GW_JOURNAL_RECORD)
            continue;
        if (item.record.kind == GW_RECORD_META_SET)
            code = set_field(f, &item.record);
        if (item.last)
            f->done = item.after;
        if (code == CTL_OK && is_time_to_commit(f))
            code = commit(f);
    }
    return code == CTL_OK ? commit(f) : code;
}

static int open_and_run(struct following *f)
{
    struct gw_journal_reader_options options = {.path = f->journal};
    struct sigaction stop = {.sa_handler = on_signal};
    struct gw_journal_reader *reader;
    char why[512];
    int err, code = ctl_cursor_start(f->journal, f->cursor, &options);

    if (code != CTL_OK)
        return code;
    if (options.from == GW_JOURNAL_FROM_POSITION)
        f->done = f->committed = options.position;
    if ((err = gw_journal_reader_open(&options, &reader, why, sizeof why)) != 0)
        return ctl_fail(ctl_exit_of(err), "%s", why);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    code = run(f, reader);
    gw_journal_reader_close(reader);
    return code;
}

int ctl_device_meta_follow(int argc, char **argv)
{
    struct following f = {.cursor = "tollgate-fields"};
    const char *journal = NULL;
    const struct ctl_option options[] = {{"journal", &journal, NULL},
                                         {"cursor", &f.cursor, NULL},
                                         {"once", NULL, &f.once},
                                         CTL_INDEX_OPTIONS(&f.ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code != CTL_OK)
        return code;
    f.journal = ctl_journal_path(journal);
    if ((code = ctl_index_write(&f.ix)) == CTL_OK) {
        gw_index_abort(f.ix.writer); /* it can be written to; others may meanwhile */
        code = open_and_run(&f);
    }
    ctl_index_close(&f.ix);
    return code;
}
