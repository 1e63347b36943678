/*
 * The index as a whole: made, looked at, checked, copied, put back, accepted, filled.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gw/base/clock.h>
#include <gw/crypto/crypto.h>

#include "ctl_index.h"

enum { FINDINGS_MAX = 50, FILE_BUFFER_BYTES = 65536, PROGRESS_CELLS = 30 };

int ctl_index_init(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *group = NULL, *why = "";
    const struct ctl_option options[] = {{"group", &group, NULL}, CTL_INDEX_OPTIONS(&ix)};
    struct gw_index_create_options create;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code != CTL_OK)
        return code;
    create = (struct gw_index_create_options){.path = ctl_index_path(&ix), .pepper = ix.pepper};
    if (group != NULL) {
        code = ctl_find_group(group, &create.group);
        if (code != CTL_OK)
            return code;
        create.has_group = true;
    }
    err = gw_index_create(&create, &why);
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "no index was made at %s: %s (%s)", ix.path, why,
                        strerror(-err));
    (void)printf("index %s\n", ix.path);
    ctl_note("Keep a copy of %s%s in a safe place: a backup of the index is of no use without it.",
             ix.pepper != NULL ? ix.pepper : ix.path, ix.pepper != NULL ? "" : "/pepper");
    return CTL_OK;
}

static uint64_t file_bytes(const char *path)
{
    char file[4096];
    struct stat there;

    (void)snprintf(file, sizeof file, "%s/data.mdb", path);
    return stat(file, &there) == 0 ? (uint64_t)there.st_size : 0;
}

static int print_stat(struct ctl_index *ix, bool json)
{
    struct gw_index_stat stat;
    int err = gw_index_stat(ix->reader, &stat);

    if (err != 0)
        return ctl_index_fail(ix, "its head row", err);
    if (json) {
        json_t *row = json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:s, s:I}", "index", ix->path, "generation",
            (json_int_t)stat.generation, "tokens", (json_int_t)stat.tokens, "devices",
            (json_int_t)stat.devices, "products", (json_int_t)stat.products, "orgs",
            (json_int_t)stat.orgs, "complete", stat.complete, "authoritative", stat.authoritative,
            "why_not", stat.why_not, "file_bytes", (json_int_t)file_bytes(ix->path));

        err = row == NULL ? -1 : json_dumpf(row, stdout, JSON_INDENT(2));
        json_decref(row);
        (void)putchar('\n');
        return err == 0 ? CTL_OK : ctl_fail(CTL_FAILED, "the figures could not be printed");
    }
    (void)printf("index          %s\ngeneration     %" PRIu64 "\ntokens         %" PRIu64
                 "\ndevices        %" PRIu64 "\nproducts       %" PRIu64 "\norgs           %" PRIu64
                 "\ncomplete       %s\nauthoritative  %s%s%s\n"
                 "file bytes     %" PRIu64 "\n",
                 ix->path, stat.generation, stat.tokens, stat.devices, stat.products, stat.orgs,
                 stat.complete ? "yes" : "no", stat.authoritative ? "yes" : "no",
                 stat.authoritative ? "" : ": ", stat.why_not, file_bytes(ix->path));
    return CTL_OK;
}

int ctl_index_stat(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *high_water = NULL;
    bool json = false;
    const struct ctl_option options[] = {
        {"json", NULL, &json}, {"high-water", &high_water, NULL}, CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code != CTL_OK)
        return code;
    ix.high_water = high_water;
    code = ctl_index_read(&ix);
    if (code == CTL_OK)
        code = print_stat(&ix, json);
    ctl_index_close(&ix);
    return code;
}

static void print_finding(void *context, const char *sentence)
{
    (void)context;
    (void)printf("%s\n", sentence);
}

static int verify(void *context)
{
    struct ctl_index *ix = context;
    uint64_t faults = 0;
    int err, code = ctl_index_read(ix);

    if (code == CTL_OK) {
        err = gw_catalog_verify(ix->view, FINDINGS_MAX, print_finding, NULL, &faults);
        if (err != 0)
            code = ctl_fail(CTL_CONFIG, "the index at %s cannot be read to its end: %s", ix->path,
                            strerror(-err));
        else if (faults != 0)
            code = ctl_fail(CTL_CONFIG, "the index at %s has %" PRIu64 " faults", ix->path, faults);
        else
            code = print_stat(ix, false);
    }
    ctl_index_close(ix);
    return code;
}

int ctl_index_verify(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    int words;
    const int code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    return code != CTL_OK ? code : ctl_in_child(verify, &ix);
}

int ctl_index_backup(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    const char *why = "";
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK)
        return code;
    err = gw_index_backup(ctl_index_path(&ix), ix.pepper, argv[1], &why);
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "no backup of %s was made at %s: %s (%s)", ix.path,
                        argv[1], why, strerror(-err));
    (void)printf("backup %s\n", argv[1]);
    return CTL_OK;
}

static int accept_now(struct ctl_index *ix, const char *high_water)
{
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK)
        return code;
    err = gw_index_accept(ix->writer, high_water);
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "the high-water file %s cannot be used: %s", high_water,
                        strerror(-err));
    return ctl_index_commit(ix);
}

int ctl_index_accept(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *high_water = NULL;
    const struct ctl_option options[] = {{"high-water", &high_water, NULL}, CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code == CTL_OK)
        code = accept_now(&ix, high_water);
    if (code == CTL_OK && high_water == NULL)
        ctl_note("Accepted as it stands. A gateway that served a later state, or another index, "
                 "still refuses it: name its high-water file with --high-water.");
    ctl_index_close(&ix);
    return code;
}

struct restore {
    struct ctl_index ix;
    const char *file;
};

static int restore(void *context)
{
    struct restore *job = context;
    const char *why = "";
    const int err = gw_index_restore(ctl_index_path(&job->ix), job->ix.pepper, job->file, &why);

    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "%s was not restored to %s: %s (%s)", job->file,
                        job->ix.path, why, strerror(-err));
    return CTL_OK;
}

int ctl_index_restore(int argc, char **argv)
{
    struct restore job = {.file = NULL};
    const char *high_water = NULL;
    bool accept = false;
    const struct ctl_option options[] = {
        {"accept", NULL, &accept}, {"high-water", &high_water, NULL}, CTL_INDEX_OPTIONS(&job.ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK)
        return code;
    if (high_water != NULL && !accept)
        return ctl_fail(CTL_USAGE, "--high-water is of use with --accept only");
    job.file = argv[1];
    code = ctl_in_child(restore, &job);
    if (code != CTL_OK) {
        char left[4096];
        struct stat there;

        (void)snprintf(left, sizeof left, "%s.new", ctl_index_path(&job.ix));
        if (stat(left, &there) == 0)
            ctl_note("The copy is left at %s; remove it before the next try.", left);
        return code;
    }
    if (accept) {
        code = accept_now(&job.ix, high_water);
        ctl_index_close(&job.ix);
    } else {
        ctl_note("Devices added after the backup are not in it, so gateways refuse it until you "
                 "say 'tollgatectl index accept', with --high-water FILE for a gateway that has "
                 "served a later state.");
    }
    if (code == CTL_OK) {
        (void)printf("index %s\n", ctl_index_path(&job.ix));
        ctl_note("Gateways that run serve the former index until they are restarted.");
    }
    return code;
}

/* What the progress line needs; `shown` is false where nobody watches. */
struct progress {
    uint32_t count;
    bool shown;
    struct gw_instant began;
};

static bool show_progress(void *context, uint32_t done)
{
    const struct progress *progress = context;
    const uint64_t ns = gw_ns_between(progress->began, gw_clock_now());
    const unsigned int cells = (unsigned int)((uint64_t)PROGRESS_CELLS * done / progress->count);

    if (progress->shown)
        (void)fprintf(stderr, "\r[%.*s%*s] %3u%%  %" PRIu64 " rows/s ", (int)cells,
                      "##############################", (int)(PROGRESS_CELLS - cells), "",
                      (unsigned int)(UINT64_C(100) * done / progress->count),
                      ns == 0 ? 0 : (uint64_t)done * GW_NS_PER_S / ns);
    return true;
}

/* The product to fill: the one named, or TMPLgenerated of 'generated', made where missing. */
static int product_to_fill(struct ctl_index *ix, const char *id, uint32_t *number)
{
    struct gw_product_spec spec = {.id = gw_bytes_text("TMPLgenerated")};
    int err;

    if (id != NULL)
        return ctl_find_product(ix, id, number);
    err = gw_catalog_product_find(ix->view, spec.id, number);
    if (err == -ENOENT) {
        err = gw_catalog_org_find(ix->view, gw_bytes_text("generated"), &spec.org);
        if (err == -ENOENT)
            err = gw_index_org_add(ix->writer, gw_bytes_text("generated"), &spec.org);
        if (err == 0)
            err = gw_index_product_add(ix->writer, &spec, number);
    }
    return err == 0 ? CTL_OK : ctl_index_fail(ix, "product 'TMPLgenerated'", err);
}

static int generate(struct ctl_index *ix, const char *product, uint32_t count, FILE *tokens)
{
    struct progress progress = {
        .count = count, .shown = isatty(STDERR_FILENO) != 0, .began = gw_clock_now()};
    uint32_t number = 0, first = 0;
    uint64_t ms;
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK || (code = product_to_fill(ix, product, &number)) != CTL_OK)
        return code;
    err = gw_index_generate(ix->writer, number, count, tokens, show_progress, &progress, &first);
    if (err == 0 && fsync(fileno(tokens)) != 0)
        err = -errno;
    if (progress.shown)
        (void)fprintf(stderr, "\r%*s\r", PROGRESS_CELLS + 40, "");
    if (err != 0)
        return ctl_index_fail(ix, "the devices", err);
    code = ctl_index_commit(ix);
    ms = gw_ns_between(progress.began, gw_clock_now()) / GW_NS_PER_MS;
    if (code == CTL_OK) {
        (void)printf("first %" PRIu32 "\ncount %" PRIu32 "\n", first, count);
        ctl_note("%" PRIu32 " devices in %" PRIu64 ".%01" PRIu64 " s", count, ms / 1000,
                 ms % 1000 / 100);
    }
    return code;
}

int ctl_index_generate(int argc, char **argv)
{
    static char buffer[FILE_BUFFER_BYTES]; /* stdio's own could not be wiped */
    struct ctl_index ix = {0};
    const char *devices = NULL, *file = NULL, *product = NULL;
    const struct ctl_option options[] = {{"devices", &devices, NULL},
                                         {"tokens", &file, NULL},
                                         {"product", &product, NULL},
                                         CTL_INDEX_OPTIONS(&ix)};
    unsigned long long count = 0;
    int words, fd, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);
    FILE *tokens;

    if (code != CTL_OK)
        return code;
    if (devices == NULL || file == NULL)
        return ctl_fail(CTL_USAGE, "--devices says how many, --tokens where their tokens go");
    if (!ctl_number(devices, "--devices", 1, 100000000, &count))
        return CTL_USAGE;
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    tokens = fd < 0 ? NULL : fdopen(fd, "w");
    if (tokens == NULL)
        return ctl_fail(ctl_exit_of(-errno), "%s cannot be made: %s", file, strerror(errno));
    (void)setvbuf(tokens, buffer, _IOFBF, sizeof buffer);
    code = generate(&ix, product, (uint32_t)count, tokens);
    if (code != CTL_OK)
        (void)unlink(file);
    /* The commit stands: the file is synced, and must not go whatever close says. */
    if (fclose(tokens) != 0 && code == CTL_OK)
        code = ctl_fail(CTL_FAILED, "%s: %s", file, strerror(errno));
    gw_wipe(buffer, sizeof buffer);
    ctl_index_close(&ix);
    return code;
}
