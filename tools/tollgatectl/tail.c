/*
 * tail: the journal's records as lines, and the cursors that remember how far somebody got.
 *
 * With --cursor NAME reading begins where the cursor stands. --commit moves the cursor behind every
 * batch whose lines have been written and flushed: whoever restarts the command gets each record at
 * least once. Commits are made when the end is reached, after a second of lines, and on the way
 * out; without --commit the cursor stays, and `cursor commit NAME POSITION` moves it ("after" in
 * --json).
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/clock.h>
#include <gw/journal/cursor.h>
#include <gw/journal/reader.h>

#include "ctl_journal.h"
#include "record_print.h"

enum { WAIT_MS = 500, COMMIT_EVERY_MS = 1000 };

struct tail {
    const char *journal, *cursor;
    bool follow, json, commit;
    bool any_device, any_pin;
    uint32_t device;
    char bank;
    uint8_t pin;
    unsigned long long max; /* lines still wanted */
    struct gw_journal_position done, committed;
    struct gw_instant committed_at;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* "V1", "d13", "A0". */
static bool parse_pin(const char *text, struct tail *tail)
{
    unsigned long long pin;

    if (text[0] == '\0' || strchr("vdaVDA", text[0]) == NULL) {
        (void)ctl_fail(CTL_USAGE, "'%s' is no pin; V1, D13 and A0 are", text);
        return false;
    }
    if (!ctl_number(text + 1, "a pin", 0, UINT8_MAX, &pin))
        return false;
    tail->any_pin = false;
    tail->bank = (char)tolower((unsigned char)text[0]);
    tail->pin = (uint8_t)pin;
    return true;
}

/* "3:8192", as --json prints it. */
static bool parse_position(const char *text, struct gw_journal_position *out)
{
    char segment[24];
    const char *colon = strchr(text, ':');
    unsigned long long number, offset;

    if (colon == NULL || (size_t)(colon - text) >= sizeof(segment)) {
        (void)ctl_fail(CTL_USAGE, "'%s' is no position; one looks like 3:8192", text);
        return false;
    }
    memcpy(segment, text, (size_t)(colon - text));
    segment[colon - text] = '\0';
    if (!ctl_number(segment, "a segment", 1, UINT64_MAX, &number) ||
        !ctl_number(colon + 1, "an offset", 0, UINT64_MAX, &offset))
        return false;
    *out = (struct gw_journal_position){.segment = number, .offset = offset};
    return true;
}

/* A property names a run of pins; it is shown for each of them. */
static bool is_wanted(const struct tail *tail, const struct gw_record *record)
{
    unsigned last = record->pin + (record->pin_count > 1 ? record->pin_count - 1u : 0);

    if (!tail->any_device && record->device != tail->device)
        return false;
    if (tail->any_pin)
        return true;
    return (record->kind == GW_RECORD_PIN_WRITE || record->kind == GW_RECORD_PROPERTY) &&
           record->bank == tail->bank && tail->pin >= record->pin && tail->pin <= last;
}

/* First the lines, then the promise that they were written. */
static int commit(struct tail *tail)
{
    int err;

    if (fflush(stdout) != 0)
        return ctl_fail(CTL_FAILED, "standard output could not be written");
    if (!tail->commit || !gw_journal_position_is_before(tail->committed, tail->done))
        return CTL_OK;
    err = ctl_cursor_move(tail->journal, tail->cursor, tail->done);
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "cannot commit cursor %s: %s", tail->cursor,
                        strerror(-err));
    tail->committed = tail->done;
    tail->committed_at = gw_clock_now();
    return CTL_OK;
}

static void show(struct tail *tail, const struct gw_journal_item *item)
{
    if (item->kind == GW_JOURNAL_RECORD && !is_wanted(tail, &item->record))
        return;
    if (tail->json)
        record_print_json(stdout, item);
    else if (item->kind == GW_JOURNAL_RECORD)
        record_print_text(stdout, item);
    else
        damage_print_text(stderr, item);
    if (item->kind == GW_JOURNAL_RECORD)
        tail->max--;
}

static int run(struct tail *tail, struct gw_journal_reader *reader)
{
    struct gw_journal_item item;
    int code = CTL_OK;

    tail->committed_at = gw_clock_now();
    while (code == CTL_OK && tail->max > 0 && !interrupted && !ferror(stdout)) {
        int err = gw_journal_reader_next(reader, &item);

        if (err != 0)
            return ctl_fail(ctl_exit_of(err), "cannot read %s: %s", tail->journal, strerror(-err));
        if (item.kind != GW_JOURNAL_END) {
            show(tail, &item);
            if (item.kind == GW_JOURNAL_RECORD && item.last)
                tail->done = item.after;
            if (gw_ns_between(tail->committed_at, gw_clock_now()) >= COMMIT_EVERY_MS * GW_NS_PER_MS)
                code = commit(tail);
        } else {
            if (!tail->follow)
                break;
            code = commit(tail);
            (void)gw_journal_reader_wait(reader, WAIT_MS);
        }
    }
    return code == CTL_OK ? commit(tail) : code;
}

/* Where reading begins: at the cursor if there is one, else where --from says. */
static int start(const struct tail *tail, const char *from,
                 struct gw_journal_reader_options *options)
{
    if (from == NULL)
        from = tail->follow && tail->cursor == NULL ? "end" : "beginning";
    if (strcmp(from, "end") == 0)
        options->from = GW_JOURNAL_FROM_END;
    else if (strcmp(from, "beginning") != 0)
        return ctl_fail(CTL_USAGE, "--from is beginning or end, not '%s'", from);
    if (tail->cursor == NULL)
        return CTL_OK;
    return ctl_cursor_start(tail->journal, tail->cursor, options);
}

static int open_and_run(struct tail *tail, const char *from)
{
    struct gw_journal_reader_options options = {.path = tail->journal};
    struct sigaction stop = {.sa_handler = on_signal};
    struct gw_journal_reader *reader;
    char why[512];
    int err, code = start(tail, from, &options);

    if (code != CTL_OK)
        return code;
    if (options.from == GW_JOURNAL_FROM_POSITION)
        tail->done = tail->committed = options.position;
    err = gw_journal_reader_open(&options, &reader, why, sizeof(why));
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "%s", why);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    code = run(tail, reader);
    gw_journal_reader_close(reader);
    return code;
}

int ctl_tail(int argc, char **argv)
{
    struct tail tail = {.any_device = true, .any_pin = true, .max = UINT64_MAX};
    const char *journal = NULL, *device = NULL, *pin = NULL, *from = NULL, *max = NULL;
    const struct ctl_option options[] = {
        {"journal", &journal, NULL},    {"device", &device, NULL},  {"pin", &pin, NULL},
        {"from", &from, NULL},          {"max", &max, NULL},        {"cursor", &tail.cursor, NULL},
        {"follow", NULL, &tail.follow}, {"json", NULL, &tail.json}, {"commit", NULL, &tail.commit},
    };
    unsigned long long number;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code != CTL_OK)
        return code;
    if (tail.commit && tail.cursor == NULL)
        return ctl_fail(CTL_USAGE, "--commit needs --cursor NAME");
    if (device != NULL) {
        if (!ctl_number(device, "--device", 0, UINT32_MAX, &number))
            return CTL_USAGE;
        tail.any_device = false;
        tail.device = (uint32_t)number;
    }
    if ((pin != NULL && !parse_pin(pin, &tail)) ||
        (max != NULL && !ctl_number(max, "--max", 1, UINT64_MAX, &tail.max)))
        return CTL_USAGE;
    tail.journal = ctl_journal_path(journal);
    return open_and_run(&tail, from);
}

static int print_cursor(void *visitor, const char *name, int err,
                        struct gw_journal_position position)
{
    (void)visitor;
    if (err != 0)
        (void)printf("%s unreadable\n", name);
    else
        (void)printf("%s %" PRIu64 ":%" PRIu64 "\n", name, position.segment, position.offset);
    return 0;
}

/* Reads --journal and the words of a cursor command. */
static int cursor_words(int argc, char **argv, int count, const char **journal)
{
    const struct ctl_option options[] = {{"journal", journal, NULL}};
    int words, code = ctl_options(argc, argv, options, 1, count, count, &words);

    *journal = ctl_journal_path(*journal);
    return code;
}

static int cursor_result(int err, const char *what, const char *name)
{
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE, "'%s' is no name for a cursor", name);
    return err == 0
               ? CTL_OK
               : ctl_fail(ctl_exit_of(err), "cannot %s cursor %s: %s", what, name, strerror(-err));
}

int ctl_cursor_list(int argc, char **argv)
{
    const char *journal = NULL;
    int err, code = cursor_words(argc, argv, 0, &journal);

    if (code != CTL_OK)
        return code;
    err = gw_cursor_list(NULL, journal, print_cursor, NULL);
    return err == 0 ? CTL_OK
                    : ctl_fail(ctl_exit_of(err), "cannot list %s: %s", journal, strerror(-err));
}

int ctl_cursor_commit(int argc, char **argv)
{
    const char *journal = NULL;
    struct gw_journal_position position;
    int code = cursor_words(argc, argv, 2, &journal);

    if (code != CTL_OK)
        return code;
    if (!parse_position(argv[2], &position))
        return CTL_USAGE;
    return cursor_result(ctl_cursor_move(journal, argv[1], position), "commit", argv[1]);
}

int ctl_cursor_delete(int argc, char **argv)
{
    const char *journal = NULL;
    int code = cursor_words(argc, argv, 1, &journal);

    if (code != CTL_OK)
        return code;
    return cursor_result(gw_cursor_delete(NULL, journal, argv[1]), "delete", argv[1]);
}
