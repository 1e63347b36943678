/*
 * `tollgate-bench verify`: reads a journal from its beginning to its durable end and holds it
 * against a ledger. Works on the journal of a running gateway, of a stopped one, and of one that
 * was killed.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <gw/journal/reader.h>

#include "audit.h"
#include "ledger.h"
#include "swarm.h"

enum {
    VERIFY_LOST = 1,
    VERIFY_USAGE = 64,
    VERIFY_NO_INPUT = 66,
    VERIFY_CANT_CREATE = 73,
    VERIFY_IO = 74
};

/* What the journal itself says of its state. */
struct journal_state {
    uint64_t records, batches_lost, damages;
};

static int read_ledger(const char *path, struct swarm_ledger *out)
{
    FILE *file = fopen(path, "re");
    size_t bad_line = 0;
    int err;

    if (file == NULL) {
        fprintf(stderr, "tollgate-bench: %s: %s\n", path, strerror(errno));
        return VERIFY_NO_INPUT;
    }
    err = swarm_ledger_read(file, out, &bad_line);
    fclose(file);
    if (err == -EINVAL)
        fprintf(stderr, "tollgate-bench: %s, line %zu: not a line of a ledger\n", path, bad_line);
    else if (err != 0)
        fprintf(stderr, "tollgate-bench: %s: %s\n", path, strerror(-err));
    return err == 0 ? 0 : VERIFY_NO_INPUT;
}

static int read_journal(const char *path, struct swarm_audit *audit, struct journal_state *state)
{
    struct gw_journal_reader_options options = {.path = path, .from = GW_JOURNAL_FROM_BEGINNING};
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    char why[256];
    int err = gw_journal_reader_open(&options, &reader, why, sizeof why);

    if (err != 0) {
        fprintf(stderr, "tollgate-bench: %s: %s\n", path, why);
        return VERIFY_NO_INPUT;
    }
    while ((err = gw_journal_reader_next(reader, &item)) == 0 && item.kind != GW_JOURNAL_END) {
        if (item.kind == GW_JOURNAL_DAMAGE) {
            state->damages++;
            state->batches_lost += item.batches_lost;
        } else {
            state->records++;
            if (item.record.kind == GW_RECORD_PIN_WRITE)
                swarm_audit_saw(audit, item.record.device, item.record.value);
        }
    }
    gw_journal_reader_close(reader);
    if (err == 0)
        return 0;
    fprintf(stderr, "tollgate-bench: %s: %s\n", path, strerror(-err));
    return VERIFY_IO;
}

static void print(const struct swarm_audit_result *result, const struct journal_state *state)
{
    if (state->damages > 0)
        printf("journal: %llu damaged places, %llu batches lost\n",
               (unsigned long long)state->damages, (unsigned long long)state->batches_lost);
    if (result->lost > 0)
        printf("first loss: device %u, update %u\n", result->lost_device, result->lost_counter);
    printf("sessions %llu sent %llu acked %llu durable %llu lost %llu out_of_order %llu "
           "duplicates %llu invented %llu misattributed %llu\n",
           (unsigned long long)result->sessions, (unsigned long long)result->sent,
           (unsigned long long)result->acked, (unsigned long long)result->durable,
           (unsigned long long)result->lost, (unsigned long long)result->out_of_order,
           (unsigned long long)result->duplicates, (unsigned long long)result->invented,
           (unsigned long long)result->misattributed);
}

/* Adds the verdict to the JSON of the run, and replaces it whole. */
static int add_to(const char *path, const struct swarm_audit_result *result)
{
    json_error_t error;
    json_t *run = json_load_file(path, 0, &error);
    char temporary[4096];
    int err = 0;

    if (!json_is_object(run)) {
        fprintf(stderr, "tollgate-bench: %s: %s\n", path,
                run == NULL ? error.text : "no JSON object");
        json_decref(run);
        return VERIFY_NO_INPUT;
    }
    json_object_set_new(run, "lost", json_integer((json_int_t)result->lost));
    json_object_set_new(run, "audit",
                        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "acked", (json_int_t)result->acked,
                                  "durable", (json_int_t)result->durable, "out_of_order",
                                  (json_int_t)result->out_of_order, "duplicates",
                                  (json_int_t)result->duplicates, "invented",
                                  (json_int_t)result->invented, "misattributed",
                                  (json_int_t)result->misattributed));
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary ||
        json_dump_file(run, temporary, JSON_INDENT(2)) != 0 || rename(temporary, path) != 0) {
        fprintf(stderr, "tollgate-bench: %s: could not be written\n", path);
        err = VERIFY_CANT_CREATE;
    }
    json_decref(run);
    return err;
}

static int verify(const char *ledger_path, const char *journal_path, const char *into)
{
    struct journal_state state = {0};
    struct swarm_audit_result result;
    struct swarm_ledger ledger;
    struct swarm_audit *audit;
    int err = read_ledger(ledger_path, &ledger);

    if (err != 0)
        return err;
    audit = swarm_audit_create(&ledger);
    if (audit == NULL) {
        fprintf(stderr, "tollgate-bench: %s: sessions of a device overlap, or no memory\n",
                ledger_path);
        err = VERIFY_NO_INPUT;
    } else if ((err = read_journal(journal_path, audit, &state)) == 0) {
        swarm_audit_finish(audit, &result);
        print(&result, &state);
        err = into == NULL ? 0 : add_to(into, &result);
        if (!swarm_audit_is_clean(&result))
            err = VERIFY_LOST;
    }
    swarm_audit_destroy(audit);
    swarm_ledger_fini(&ledger);
    return err;
}

int swarm_verify(int argc, char **argv)
{
    static const struct option options[] = {{"ledger", required_argument, NULL, 'l'},
                                            {"journal", required_argument, NULL, 'j'},
                                            {"into", required_argument, NULL, 'i'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *ledger = NULL, *journal = NULL, *into = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            ledger = optarg;
            break;
        case 'j':
            journal = optarg;
            break;
        case 'i':
            into = optarg;
            break;
        case 'h':
            swarm_usage(false);
            return 0;
        default:
            return VERIFY_USAGE;
        }
    }
    if (ledger == NULL || journal == NULL || optind < argc) {
        fputs("usage: tollgate-bench verify --ledger FILE --journal DIR [--into RESULT]\n", stderr);
        return VERIFY_USAGE;
    }
    return verify(ledger, journal, into);
}
