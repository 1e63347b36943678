#include "ctl_index.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gw/crypto/crypto.h>

const char *ctl_index_path(struct ctl_index *ix)
{
    if (ix->path == NULL)
        ix->path = getenv("TOLLGATE_INDEX");
    if (ix->path == NULL || ix->path[0] == '\0')
        ix->path = "/var/lib/tollgate/index";
    return ix->path;
}

static int cannot_open(struct ctl_index *ix, int err, const char *why)
{
    if (err == -ENOENT && strstr(why, "no token index") != NULL)
        return ctl_fail(CTL_UNAVAILABLE,
                        "there is no token index at %s; make one with 'tollgatectl index init', or "
                        "name another with --index",
                        ix->path);
    return ctl_fail(ctl_exit_of(err), "the token index at %s cannot be used: %s (%s)", ix->path,
                    why, strerror(-err));
}

int ctl_index_read(struct ctl_index *ix)
{
    const struct gw_index_options options = {
        .path = ctl_index_path(ix), .pepper = ix->pepper, .high_water = ix->high_water};
    const char *why = "";
    int err = gw_index_open(&options, &ix->index, &why);

    if (err == 0) {
        why = "no reader's slot can be had";
        err = gw_index_reader_open(ix->index, &ix->reader);
    }
    if (err == 0) {
        why = "its head row cannot be read";
        ix->view = gw_index_reader_view(ix->reader);
        err = ix->view == NULL ? -EBADMSG : 0;
    }
    return err == 0 ? CTL_OK : cannot_open(ix, err, why);
}

int ctl_index_write(struct ctl_index *ix)
{
    const char *why = "";
    int err = gw_index_writer_open(ctl_index_path(ix), ix->pepper, &ix->writer, &why);

    if (err == 0) {
        why = "no change can be begun";
        err = gw_index_begin(ix->writer);
    }
    if (err != 0)
        return cannot_open(ix, err, why);
    ix->view = gw_index_writer_view(ix->writer);
    return CTL_OK;
}

int ctl_index_commit(struct ctl_index *ix)
{
    const int err = gw_index_commit(ix->writer);

    ix->view = NULL;
    return err == 0 ? CTL_OK : ctl_index_fail(ix, "the change", err);
}

void ctl_index_close(struct ctl_index *ix)
{
    gw_index_writer_close(ix->writer);
    gw_index_reader_close(ix->reader);
    gw_index_close(ix->index);
    ix->writer = NULL;
    ix->reader = NULL;
    ix->index = NULL;
    ix->view = NULL;
}

int ctl_index_fail(const struct ctl_index *ix, const char *what, int err)
{
    switch (-err) {
    case ENOENT:
        return ctl_fail(CTL_FAILED, "%s is not in the index at %s", what, ix->path);
    case EEXIST:
        return ctl_fail(CTL_FAILED, "%s is in the index at %s already", what, ix->path);
    case ESTALE:
        return ctl_fail(CTL_FAILED,
                        "%s: the index at %s was replaced meanwhile, nothing was changed; run the "
                        "command again",
                        what, ix->path);
    case ENOSPC:
        return ctl_fail(CTL_FAILED,
                        "%s: there is no room left for the index at %s, nothing was changed", what,
                        ix->path);
    case EBADMSG:
        return ctl_fail(CTL_CONFIG,
                        "%s: the index at %s is damaged; see 'tollgatectl index verify'", what,
                        ix->path);
    default:
        return ctl_fail(ctl_exit_of(err), "%s: %s, in the index at %s", what, strerror(-err),
                        ix->path);
    }
}

int ctl_find_org(struct ctl_index *ix, const char *name, uint32_t *number)
{
    char what[160];
    const int err = gw_catalog_org_find(ix->view, gw_bytes_text(name), number);

    (void)snprintf(what, sizeof what, "organisation '%.80s'", name);
    return err == 0 ? CTL_OK : ctl_index_fail(ix, what, err);
}

int ctl_find_product(struct ctl_index *ix, const char *id, uint32_t *number)
{
    char what[160];
    const int err = gw_catalog_product_find(ix->view, gw_bytes_text(id), number);

    (void)snprintf(what, sizeof what, "product '%.80s'", id);
    return err == 0 ? CTL_OK : ctl_index_fail(ix, what, err);
}

int ctl_read_device(const char *word, uint32_t *number)
{
    unsigned long long value;

    if (!ctl_number(word, "DEVICE", 1, UINT32_MAX, &value))
        return CTL_USAGE;
    *number = (uint32_t)value;
    return CTL_OK;
}

const char *ctl_device_words(uint32_t number, char out[32])
{
    (void)snprintf(out, 32, "device %" PRIu32, number);
    return out;
}

int ctl_json_print(struct json_t *value)
{
    const int failed = value == NULL || json_dumpf(value, stdout, JSON_INDENT(2)) != 0;

    json_decref(value);
    if (failed)
        return ctl_fail(CTL_FAILED, "the answer could not be printed");
    (void)putchar('\n');
    return CTL_OK;
}

int ctl_token_read(uint8_t token[GW_TOKEN_BYTES])
{
    char line[128];
    size_t bytes = 0;
    bool good;

    if (isatty(STDIN_FILENO))
        ctl_note("Type the token, then return:");
    while (bytes < sizeof line && memchr(line, '\n', bytes) == NULL) {
        const ssize_t got = read(STDIN_FILENO, line + bytes, sizeof line - bytes);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        bytes += (size_t)got;
    }
    if (memchr(line, '\n', bytes) != NULL)
        bytes = (size_t)((char *)memchr(line, '\n', bytes) - line);
    if (bytes > 0 && line[bytes - 1] == '\r')
        bytes--;
    good = gw_token_from_text(gw_bytes_of(line, bytes), token);
    gw_wipe(line, sizeof line);
    if (!good)
        return ctl_fail(CTL_FAILED,
                        "standard input holds no token: one is exactly 32 characters of "
                        "A-Z a-z 0-9 - and _");
    return CTL_OK;
}

int ctl_token_print(uint32_t device, uint8_t token[GW_TOKEN_BYTES], bool json)
{
    char token_text[GW_TOKEN_TEXT_BYTES + 1] = {0};
    char out[128];
    int bytes;
    ssize_t put;

    gw_token_to_text(token, token_text);
    bytes = snprintf(out, sizeof out,
                     json ? "{\"device\": %" PRIu32 ", \"token\": \"%s\"}\n"
                          : "device %" PRIu32 "\ntoken %s\n",
                     device, token_text);
    (void)fflush(stdout);
    put = write(STDOUT_FILENO, out, (size_t)bytes);
    gw_wipe(token, GW_TOKEN_BYTES);
    gw_wipe(token_text, sizeof token_text);
    gw_wipe(out, sizeof out);
    if (put != bytes)
        return ctl_fail(CTL_FAILED,
                        "device %" PRIu32 " has a new token, but it could not be printed; get "
                        "another with 'tollgatectl token rotate %" PRIu32 "'",
                        device, device);
    return CTL_OK;
}

const char *ctl_time(uint64_t s, char out[32])
{
    const time_t at = (time_t)s;
    struct tm parts;

    if (s == 0 || gmtime_r(&at, &parts) == NULL ||
        strftime(out, 32, "%Y-%m-%d %H:%M:%SZ", &parts) == 0)
        (void)snprintf(out, 32, "-");
    return out;
}

int ctl_in_child(int (*work)(void *context), void *context)
{
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    if (child < 0)
        return ctl_fail(CTL_FAILED, "no process could be started: %s", strerror(errno));
    if (child == 0) {
        const int code = work(context);

        _exit(fflush(stdout) == 0 ? code : CTL_FAILED);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        return ctl_fail(CTL_CONFIG,
                        "reading the index ended in '%s': its pages are damaged; restore a backup",
                        strsignal(WTERMSIG(status)));
    return WEXITSTATUS(status);
}
