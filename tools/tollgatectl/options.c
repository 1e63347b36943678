/*
 * Options by table: getopt_long cannot say which name was meant, and tollgatectl must.
 */
#include "ctl.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 32 };

static const struct ctl_option *find(const struct ctl_option *options, size_t option_count,
                                     const char *name, size_t name_bytes)
{
    for (size_t i = 0; i < option_count; i++)
        if (strlen(options[i].name) == name_bytes && memcmp(options[i].name, name, name_bytes) == 0)
            return &options[i];
    return NULL;
}

static int refuse(const char *name, const struct ctl_option *options, size_t option_count)
{
    const char *names[OPTIONS_MAX], *meant;
    size_t name_count = 0;

    while (name_count < option_count && name_count < OPTIONS_MAX) {
        names[name_count] = options[name_count].name;
        name_count++;
    }
    meant = ctl_did_you_mean(name, names, name_count);
    if (meant != NULL)
        return ctl_fail(CTL_USAGE, "there is no option --%s; did you mean --%s?", name, meant);
    return ctl_fail(CTL_USAGE, "there is no option --%s; see 'tollgatectl help %s'", name,
                    ctl_command_words());
}

/* Takes the option at argv[at]; returns how many words it used, or 0 after saying what is wrong. */
static int take(int argc, char **argv, int at, const struct ctl_option *options,
                size_t option_count)
{
    const char *name = argv[at] + 2;
    const char *equals = strchr(name, '=');
    const size_t name_bytes = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct ctl_option *option = find(options, option_count, name, name_bytes);

    if (option == NULL) {
        (void)refuse(name, options, option_count);
        return 0;
    }
    if (option->value == NULL) {
        if (equals != NULL) {
            (void)ctl_fail(CTL_USAGE, "--%s takes no value", option->name);
            return 0;
        }
        *option->flag = true;
        return 1;
    }
    if (*option->value != NULL) {
        (void)ctl_fail(CTL_USAGE, "--%s is given twice", option->name);
        return 0;
    }
    if (equals != NULL) {
        *option->value = equals + 1;
        return 1;
    }
    if (at + 1 >= argc) {
        (void)ctl_fail(CTL_USAGE, "--%s needs a value", option->name);
        return 0;
    }
    *option->value = argv[at + 1];
    return 2;
}

int ctl_options(int argc, char **argv, const struct ctl_option *options, size_t option_count,
                int word_min, int word_max, int *word_count)
{
    bool ended = false;
    int words = 0;

    for (int at = 1; at < argc;) {
        if (!ended && strcmp(argv[at], "--") == 0) {
            ended = true;
            at++;
        } else if (!ended && strncmp(argv[at], "--", 2) == 0) {
            const int used = take(argc, argv, at, options, option_count);

            if (used == 0)
                return CTL_USAGE;
            at += used;
        } else if (!ended && argv[at][0] == '-' && argv[at][1] != '\0') {
            return ctl_fail(CTL_USAGE, "there is no option %s; options are written out, as --name",
                            argv[at]);
        } else {
            argv[++words] = argv[at++];
        }
    }
    if (words < word_min)
        return ctl_fail(CTL_USAGE, "an argument is missing; see 'tollgatectl help %s'",
                        ctl_command_words());
    if (words > word_max)
        return ctl_fail(CTL_USAGE, "'%s' is one argument too many; see 'tollgatectl help %s'",
                        argv[word_max + 1], ctl_command_words());
    *word_count = words;
    return CTL_OK;
}

bool ctl_number(const char *text, const char *what, unsigned long long min, unsigned long long max,
                unsigned long long *out)
{
    char *end = NULL;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < min ||
        number > max) {
        (void)ctl_fail(CTL_USAGE, "%s must be a whole number from %llu to %llu, not '%s'", what,
                       min, max, text);
        return false;
    }
    *out = number;
    return true;
}

int ctl_find_group(const char *name, gid_t *group)
{
    const struct group *entry = getgrnam(name);

    if (entry == NULL)
        return ctl_fail(CTL_FAILED, "there is no group '%s' on this machine", name);
    *group = entry->gr_gid;
    return CTL_OK;
}
