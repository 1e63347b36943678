/*
 * Devices with tokens they have already, from a CSV file (RFC 4180, a field ends on its line). The
 * first line names the columns; token and product must be among them. All of the file goes in with
 * one commit, or, unless --skip-bad is given, none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/crypto/crypto.h>

#include "ctl_index.h"

enum { COLUMNS_MAX = 64, COMPLAINTS_MAX = 20, FILE_BUFFER_BYTES = 65536 };

enum column { TOKEN, PRODUCT, NAME, OWNER, COLUMNS };

static const char *const column_names[COLUMNS] = {"token", "product", "name", "owner"};

struct import {
    struct ctl_index ix;
    const char *file;
    bool skip_bad;
    int at[COLUMNS]; /* which field of a line; -1: the file has none */
    int column_count;
    uint64_t line, imported, bad;
    char last_id[GW_PRODUCT_ID_BYTES_MAX + 1]; /* a file names the same product again and again */
    uint32_t last_product;
};

/* Cuts a line into fields, in place. Returns how many, or -1 for quotes that make no sense. */
static int split(char *line, char *fields[COLUMNS_MAX])
{
    char *in = line;
    int count = 0;

    for (;;) {
        char *out = in;

        if (count == COLUMNS_MAX)
            return -1;
        fields[count++] = out;
        if (*in == '"') {
            for (in++; *in != '\0' && (*in != '"' || in[1] == '"'); in++) {
                in += *in == '"';
                *out++ = *in;
            }
            if (*in != '"' || (in[1] != ',' && in[1] != '\0'))
                return -1;
            in++;
        } else {
            while (*in != ',' && *in != '\0')
                in++;
            out = in;
        }
        if (*in == '\0') {
            *out = '\0';
            return count;
        }
        in++;
        *out = '\0';
    }
}

static void complain(struct import *job, const char *what)
{
    job->bad++;
    if (job->bad <= COMPLAINTS_MAX)
        ctl_note("%s:%" PRIu64 ": %s", job->file, job->line, what);
    else if (job->bad == COMPLAINTS_MAX + 1)
        ctl_note("%s: further bad lines are only counted", job->file);
}

static size_t column_of(const char *name)
{
    size_t c = 0;

    while (c < COLUMNS && strcmp(name, column_names[c]) != 0)
        c++;
    return c;
}

/*
 * Names are repeated to the user only once the line has proved to be a header: in a file without
 * one they are the first device's token.
 */
static int read_header(struct import *job, char *line)
{
    char *fields[COLUMNS_MAX];

    job->column_count = split(line, fields);
    for (size_t c = 0; c < COLUMNS; c++)
        job->at[c] = -1;
    for (int i = 0; i < job->column_count; i++) {
        const size_t c = column_of(fields[i]);

        if (c < COLUMNS && job->at[c] >= 0)
            return ctl_fail(CTL_FAILED, "%s:1: column '%s' stands there twice", job->file,
                            column_names[c]);
        if (c < COLUMNS)
            job->at[c] = i;
    }
    if (job->at[TOKEN] < 0 || job->at[PRODUCT] < 0)
        return ctl_fail(CTL_FAILED,
                        "%s:1: the first line must name the columns, token and product among them "
                        "(also known: name, owner), with commas between them",
                        job->file);
    for (int i = 0; i < job->column_count; i++)
        if (column_of(fields[i]) == COLUMNS)
            ctl_note("%s:1: column '%.40s' is ignored", job->file, fields[i]);
    return CTL_OK;
}

static const char *field(const struct import *job, char *const *fields, enum column column)
{
    return job->at[column] < 0 ? "" : fields[job->at[column]];
}

/* 0, or -errno; *what says what a person can do about -EINVAL, -EEXIST and -ENOENT. */
static int import_device(struct import *job, char *const *fields, const char **what)
{
    const char *id = field(job, fields, PRODUCT), *owner = field(job, fields, OWNER);
    struct gw_device_spec spec = {.name = gw_bytes_text(field(job, fields, NAME))};
    uint8_t token[GW_TOKEN_BYTES];
    uint32_t number;
    char *end = NULL;
    int err;

    *what = "the token is not exactly 32 characters of A-Z a-z 0-9 - and _";
    if (!gw_token_from_text(gw_bytes_text(field(job, fields, TOKEN)), token))
        return -EINVAL;
    *what = "the owner is not a number";
    errno = 0;
    if (owner[0] != '\0') {
        const unsigned long value = strtoul(owner, &end, 10);

        if (owner[0] < '0' || owner[0] > '9' || *end != '\0' || errno != 0 || value > UINT32_MAX) {
            gw_wipe(token, sizeof token);
            return -EINVAL;
        }
        spec.owner = (uint32_t)value;
    }
    if (job->last_product == 0 || strcmp(job->last_id, id) != 0) {
        *what = "the product is not in the index; add it with 'tollgatectl product add --id'";
        err = gw_catalog_product_find(job->ix.view, gw_bytes_text(id), &job->last_product);
        if (err != 0) {
            job->last_product = 0;
            gw_wipe(token, sizeof token);
            return err;
        }
        (void)snprintf(job->last_id, sizeof job->last_id, "%s", id);
    }
    spec.product = job->last_product;
    spec.token = token;
    err = gw_index_device_add(job->ix.writer, &spec, &number);
    gw_wipe(token, sizeof token);
    *what = err == -EEXIST ? "the token is in the index, or in an earlier line, already"
                           : "the name is over 64 bytes long or holds control characters";
    return err;
}

static int import_line(struct import *job, char *line)
{
    char *fields[COLUMNS_MAX];
    const char *what = "the quotes or commas make no sense";
    const int count = split(line, fields);
    int err = -EINVAL;

    if (count > job->column_count) {
        what = "the line has more fields than the first one names; a comma in a field needs quotes "
               "around it";
    } else if (count >= 0) {
        what = "the line has fewer fields than the first one names";
        if (count > job->at[TOKEN] && count > job->at[PRODUCT] && count > job->at[NAME] &&
            count > job->at[OWNER])
            err = import_device(job, fields, &what);
    }
    if (err == 0)
        job->imported++;
    else if (err == -EINVAL || err == -EEXIST || err == -ENOENT)
        complain(job, what);
    else
        return ctl_index_fail(&job->ix, job->file, err);
    return CTL_OK;
}

static int import_lines(struct import *job, FILE *file)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t bytes;
    int code = CTL_OK;

    while (code == CTL_OK && (bytes = getline(&line, &capacity, file)) >= 0) {
        char *text = line;

        job->line++;
        while (bytes > 0 && (line[bytes - 1] == '\n' || line[bytes - 1] == '\r'))
            line[--bytes] = '\0';
        if (job->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
            text += 3; /* a byte order mark, as spreadsheets write it */
        if (memchr(line, '\0', (size_t)bytes) != NULL)
            complain(job, "the line holds a NUL byte");
        else if (job->line == 1)
            code = read_header(job, text);
        else if (text[0] != '\0')
            code = import_line(job, text);
    }
    if (code == CTL_OK && ferror(file))
        code = ctl_fail(CTL_FAILED, "%s cannot be read: %s", job->file, strerror(errno));
    if (code == CTL_OK && job->line == 0)
        code = ctl_fail(CTL_FAILED, "%s is empty; its first line must name the columns", job->file);
    if (line != NULL)
        gw_wipe(line, capacity);
    free(line);
    return code;
}

static int import_file(struct import *job, FILE *file)
{
    int code = ctl_index_write(&job->ix);

    if (code == CTL_OK)
        code = import_lines(job, file);
    if (code != CTL_OK)
        return code;
    if (job->bad != 0 && !job->skip_bad)
        return ctl_fail(CTL_FAILED,
                        "%s: %" PRIu64 " of %" PRIu64 " lines are bad, nothing was imported; mend "
                        "them, or leave them out with --skip-bad",
                        job->file, job->bad, job->imported + job->bad);
    code = ctl_index_commit(&job->ix);
    if (code == CTL_OK)
        (void)printf("imported %" PRIu64 "\nskipped %" PRIu64 "\n", job->imported, job->bad);
    return code;
}

int ctl_import(int argc, char **argv)
{
    static char buffer[FILE_BUFFER_BYTES]; /* stdio's own could not be wiped */
    struct import job = {.skip_bad = false};
    const struct ctl_option options[] = {{"skip-bad", NULL, &job.skip_bad},
                                         CTL_INDEX_OPTIONS(&job.ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);
    FILE *file;

    if (code != CTL_OK)
        return code;
    job.file = argv[1];
    file = strcmp(job.file, "-") == 0 ? fdopen(dup(STDIN_FILENO), "r") : fopen(job.file, "re");
    if (file == NULL)
        return ctl_fail(ctl_exit_of(-errno), "%s cannot be opened: %s", job.file, strerror(errno));
    (void)setvbuf(file, buffer, _IOFBF, sizeof buffer);
    code = import_file(&job, file);
    (void)fclose(file);
    gw_wipe(buffer, sizeof buffer);
    ctl_index_close(&job.ix);
    return code;
}
