/*
 * Commands to devices, given to the gateway that runs on this machine.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/bytes.h>

#include "ctl_index.h"
#include "ctl_socket.h"

/* What an answer means, for the exit code and for people. */
static int conclude(const char *answer, uint32_t device, json_t **object)
{
    static const struct {
        const char *result;
        int code;
        const char *sentence; /* behind "device 12 "; NULL: all is well */
    } results[] = {
        {"delivered", CTL_OK, NULL},
        {"online", CTL_OK, NULL},
        {"offline", CTL_LATER, "is not connected"},
        {"gone", CTL_LATER, "left while it was being told; whether it was is not known"},
        {"busy", CTL_LATER, "does not take what was sent to it before; try again later"},
        {"too_big", CTL_FAILED, "does not take messages of that length"},
        {"unknown", CTL_FAILED, "is not in the gateway's index"},
    };
    json_error_t why;
    const char *text;

    *object = json_loads(answer, 0, &why);
    text = json_string_value(json_object_get(*object, "error"));
    if (text != NULL)
        return ctl_fail(CTL_USAGE, "%s", text);
    text = json_string_value(json_object_get(*object, "result"));
    for (size_t i = 0; i < GW_ARRAY_COUNT(results) && text != NULL; i++)
        if (strcmp(text, results[i].result) == 0)
            return results[i].sentence == NULL ? CTL_OK
                                               : ctl_fail(results[i].code, "device %" PRIu32 " %s",
                                                          device, results[i].sentence);
    return ctl_fail(CTL_FAILED, "the gateway gave an answer that is not understood");
}

/* Takes `fields` (NULL: out of memory, or not UTF-8) and adds command and device. */
static int run(const char *path, const char *name, uint32_t device, json_t *fields)
{
    char answer[CTL_ANSWER_BYTES_MAX];
    json_t *object = NULL;
    int code;

    if (fields == NULL || json_object_set_new(fields, "cmd", json_string(name)) != 0 ||
        json_object_set_new(fields, "device", json_integer(device)) != 0)
        code = ctl_fail(CTL_USAGE, "what is sent must be UTF-8");
    else if ((code = ctl_ask(path, fields, answer)) == CTL_OK &&
             (code = conclude(answer, device, &object)) == CTL_OK)
        (void)printf("delivered\n");
    json_decref(object);
    json_decref(fields);
    return code;
}

int ctl_send(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    json_t *values;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 3, 66, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    values = json_array();
    for (int i = 3; i <= words && values != NULL; i++)
        if (json_array_append_new(values, json_string(argv[i])) != 0) {
            json_decref(values);
            values = NULL;
        }
    return run(path, "send", device,
               values == NULL ? NULL : json_pack("{s:s, s:o}", "pin", argv[2], "values", values));
}

int ctl_ota(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    return run(path, "ota", device, json_pack("{s:s}", "url", argv[2]));
}

int ctl_reboot(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    return run(path, "reboot", device, json_object());
}

int ctl_app(int argc, char **argv)
{
    const char *path = NULL;
    const struct ctl_option options[] = {{"socket", &path, NULL}};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);
    bool connected;

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    connected = strcmp(argv[2], "connected") == 0;
    if (!connected && strcmp(argv[2], "gone") != 0)
        return ctl_fail(CTL_USAGE, "an app is 'connected' or 'gone', not '%s'", argv[2]);
    return run(path, "app", device, json_pack("{s:b}", "connected", connected));
}

int ctl_status(int argc, char **argv)
{
    const char *path = NULL;
    bool json = false;
    const struct ctl_option options[] = {{"socket", &path, NULL}, {"json", NULL, &json}};
    char answer[CTL_ANSWER_BYTES_MAX];
    uint32_t device = 0;
    json_t *command, *object = NULL;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK || (code = ctl_read_device(argv[1], &device)) != CTL_OK)
        return code;
    command = json_pack("{s:s, s:I}", "cmd", "status", "device", (json_int_t)device);
    code = ctl_ask(path, command, answer);
    json_decref(command);
    if (code != CTL_OK)
        return code;
    if (json)
        (void)printf("%s\n", answer);
    code = conclude(answer, device, &object);
    if (code == CTL_OK && !json)
        (void)printf("device %" PRIu32 " is connected since %s, on shard %" JSON_INTEGER_FORMAT
                     "\n",
                     device, json_string_value(json_object_get(object, "since")),
                     json_integer_value(json_object_get(object, "shard")));
    json_decref(object);
    return code;
}
