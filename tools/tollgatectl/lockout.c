/*
 * Addresses that the gateway has locked out, and those that are to be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ctl_socket.h"

/* Takes `command`, which may be NULL for want of memory. *out is the answer, to be released. */
static int ask(const char *path, json_t *command, json_t **out)
{
    char answer[CTL_ANSWER_BYTES_MAX];
    int code = command == NULL ? ctl_fail(CTL_USAGE, "an address is ASCII")
                               : ctl_ask(path, command, answer);
    json_error_t why;
    const char *error;

    *out = code == CTL_OK ? json_loads(answer, 0, &why) : NULL;
    json_decref(command);
    if (code != CTL_OK)
        return code;
    if (*out == NULL)
        return ctl_fail(CTL_FAILED, "the gateway gave an answer that is not understood");
    error = json_string_value(json_object_get(*out, "error"));
    return error == NULL ? CTL_OK : ctl_fail(CTL_USAGE, "%s", error);
}

static void print_row(const json_t *row)
{
    const char *by = json_string_value(json_object_get(row, "by"));

    (void)printf("%s  %" JSON_INTEGER_FORMAT " s left%s\n",
                 json_string_value(json_object_get(row, "source")),
                 json_integer_value(json_object_get(row, "seconds")),
                 by != NULL && strcmp(by, "hand") == 0 ? "  by hand" : "");
}

int ctl_locked(int argc, char **argv)
{
    const char *path = NULL;
    bool json = false;
    const struct ctl_option options[] = {{"socket", &path, NULL}, {"json", NULL, &json}};
    json_t *answer = NULL;
    const json_t *rows;
    json_int_t count;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code == CTL_OK)
        code = ask(path, json_pack("{s:s}", "cmd", "locked"), &answer);
    rows = json_object_get(answer, "locked");
    count = json_integer_value(json_object_get(answer, "count"));
    if (code == CTL_OK && json) {
        (void)json_dumpf(answer, stdout, JSON_COMPACT);
        (void)putchar('\n');
    } else if (code == CTL_OK) {
        for (size_t i = 0; i < json_array_size(rows); i++)
            print_row(json_array_get(rows, i));
        if ((size_t)count > json_array_size(rows))
            ctl_note("%" JSON_INTEGER_FORMAT " in all", count);
    }
    json_decref(answer);
    return code;
}

/* Prints what became of the address, which is the answer's "result". */
static int conclude(int code, json_t *answer)
{
    const char *result = json_string_value(json_object_get(answer, "result"));
    const char *source = json_string_value(json_object_get(answer, "source"));

    if (code == CTL_OK && (result == NULL || source == NULL))
        code = ctl_fail(CTL_FAILED, "the gateway gave an answer that is not understood");
    else if (code == CTL_OK && strcmp(result, "full") == 0)
        code = ctl_fail(CTL_FAILED, "no room is left beside what was banned by hand before; raise "
                                    "lockout.sources");
    else if (code == CTL_OK && strcmp(result, "not_locked") == 0)
        code = ctl_fail(CTL_FAILED, "%s is not locked out", source);
    else if (code == CTL_OK)
        (void)printf("%s %s\n", source, result);
    json_decref(answer);
    return code;
}

int ctl_ban(int argc, char **argv)
{
    const char *path = NULL, *seconds = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}, {"seconds", &seconds, NULL}};
    unsigned long long number = 0;
    json_t *command, *answer = NULL;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK)
        return code;
    if (seconds != NULL && !ctl_number(seconds, "--seconds", 1, UINT32_MAX, &number))
        return CTL_USAGE;
    command = json_pack("{s:s, s:s}", "cmd", "ban", "source", argv[1]);
    if (seconds != NULL)
        (void)json_object_set_new(command, "seconds", json_integer((json_int_t)number));
    code = ask(path, command, &answer);
    return conclude(code, answer);
}

int ctl_unban(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    json_t *answer = NULL;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK)
        code = ask(path, json_pack("{s:s, s:s}", "cmd", "unban", "source", argv[1]), &answer);
    return conclude(code, answer);
}
