/*
 * tollgatectl: finds the command that its first words name and runs it. A command's words may be
 * one ("import"), two ("device add") or three ("product event add"); the longest match wins.
 */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *words;
    const char *usage;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
#define CTL_COMMAND(words, function, usage, summary) {words, usage, summary, ctl_##function},
#include "commands.def"
#undef CTL_COMMAND
};

static const char *running = "";

const char *ctl_command_words(void)
{
    return running;
}

enum { COMMAND_WORDS_MAX = 3 };

/* The first `words` of argv with blanks between them, as far as they fit. */
static void join_words(char **argv, int words, char *out, size_t capacity)
{
    size_t bytes = 0;

    out[0] = '\0';
    for (int i = 0; i < words && bytes < capacity; i++)
        bytes += (size_t)snprintf(out + bytes, capacity - bytes, i == 0 ? "%s" : " %s", argv[i]);
}

/* The command whose words argv starts with; *used is how many words those are. */
static const struct command *find_command(int argc, char **argv, int *used)
{
    for (int words = argc < COMMAND_WORDS_MAX ? argc : COMMAND_WORDS_MAX; words > 0; words--) {
        char name[128];

        join_words(argv, words, name, sizeof name);
        for (size_t i = 0; i < GW_ARRAY_COUNT(commands); i++)
            if (strcmp(commands[i].words, name) == 0) {
                *used = words;
                return &commands[i];
            }
    }
    return NULL;
}

static bool is_of_family(const char *words, const char *family)
{
    const size_t bytes = strlen(family);

    return strncmp(words, family, bytes) == 0 && words[bytes] == ' ';
}

static bool has_family(const char *family)
{
    for (size_t i = 0; i < GW_ARRAY_COUNT(commands); i++)
        if (is_of_family(commands[i].words, family))
            return true;
    return false;
}

/* Prints the commands of one family, or all of them; returns how many. */
static size_t list_commands(FILE *to, const char *family)
{
    size_t count = 0;

    for (size_t i = 0; i < GW_ARRAY_COUNT(commands); i++)
        if (family == NULL || is_of_family(commands[i].words, family)) {
            const char *summary = commands[i].summary, *end = strstr(summary, ". ");

            (void)fprintf(to, "  %-21s %.*s\n", commands[i].words,
                          (int)(end == NULL ? strlen(summary) : (size_t)(end - summary) + 1),
                          summary);
            count++;
        }
    return count;
}

/* The leading words that may name a command: up to the first option. */
static int count_words(int argc, char **argv)
{
    int words = 1;

    while (words < argc && words < COMMAND_WORDS_MAX && argv[words][0] != '-')
        words++;
    return words;
}

/* What the typed words are likely to mean, all of them or fewer; NULL if nothing. */
static const char *find_meant(char **argv, int words)
{
    const char *names[GW_ARRAY_COUNT(commands)], *meant = NULL;
    char typed[128];

    for (size_t i = 0; i < GW_ARRAY_COUNT(commands); i++)
        names[i] = commands[i].words;
    for (; words > 0 && meant == NULL; words--) {
        join_words(argv, words, typed, sizeof typed);
        meant = ctl_did_you_mean(typed, names, GW_ARRAY_COUNT(names));
    }
    return meant;
}

static int refuse(int argc, char **argv)
{
    const int words = count_words(argc, argv);
    const char *meant;
    char typed[128];

    join_words(argv, words, typed, sizeof typed);
    if (has_family(typed)) {
        (void)fprintf(stderr, "tollgatectl: '%s' has these commands:\n", typed);
        (void)list_commands(stderr, typed);
        return CTL_USAGE;
    }
    meant = find_meant(argv, words);
    join_words(argv, words < 2 ? words : 2, typed, sizeof typed);
    if (meant != NULL) {
        (void)fprintf(stderr, "tollgatectl: there is no command '%s'; did you mean '%s'?\n", typed,
                      meant);
        return CTL_USAGE;
    }
    (void)fprintf(stderr, "tollgatectl: there is no command '%s'\n", typed);
    if (list_commands(stderr, argv[0]) == 0)
        (void)fprintf(stderr, "'tollgatectl help' lists the commands.\n");
    return CTL_USAGE;
}

int ctl_version(int argc, char **argv)
{
    int words;
    const int code = ctl_options(argc, argv, NULL, 0, 0, 0, &words);

    if (code == CTL_OK)
        (void)printf("tollgatectl %s\n", TOLLGATE_VERSION);
    return code;
}

static int describe(const struct command *command)
{
    (void)printf("usage: tollgatectl %s%s%s\n\n%s\n", command->words,
                 command->usage[0] == '\0' ? "" : " ", command->usage, command->summary);
    return CTL_OK;
}

int ctl_help(int argc, char **argv)
{
    const struct command *command;
    char family[128];
    int used;

    if (argc <= 1) {
        (void)printf("usage: tollgatectl COMMAND [ARGUMENTS]\n\n");
        (void)list_commands(stdout, NULL);
        (void)printf("\n'tollgatectl help COMMAND' says how one is called. The index is the one "
                     "named by --index DIR,\nelse by TOLLGATE_INDEX, else "
                     "/var/lib/tollgate/index.\n");
        return CTL_OK;
    }
    command = find_command(argc - 1, argv + 1, &used);
    if (command != NULL)
        return describe(command);
    join_words(argv + 1, argc - 1, family, sizeof family);
    if (list_commands(stdout, family) > 0)
        return CTL_OK;
    return refuse(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    const struct command *command;
    int used, code;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: tollgatectl COMMAND [ARGUMENTS]; 'tollgatectl help' lists "
                              "the commands\n");
        return CTL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return ctl_help(1, argv + 1);
    if (strcmp(argv[1], "--version") == 0)
        return ctl_version(1, argv + 1);
    command = find_command(argc - 1, argv + 1, &used);
    if (command == NULL)
        return refuse(argc - 1, argv + 1);
    running = command->words;
    if (used + 1 < argc && strcmp(argv[used + 1], "--help") == 0)
        return describe(command);
    code = command->run(argc - used, argv + used);
    /* What was printed counts only once it has arrived: a full disk must not look like success. */
    if (fflush(stdout) != 0 || ferror(stdout))
        return ctl_fail(CTL_FAILED, "standard output could not be written");
    return code;
}
