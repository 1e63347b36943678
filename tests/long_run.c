#include "long_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t *value_of(const char *word, const struct long_run_option *options, size_t count)
{
    for (size_t i = 0; i < count && strncmp(word, "--", 2) == 0; i++)
        if (strcmp(word + 2, options[i].name) == 0)
            return options[i].value;
    return NULL;
}

int long_run_read(int argc, char **argv, const struct long_run_option *options, size_t count,
                  int others, const char *usage)
{
    int at = 1;

    while (at + 1 < argc) {
        uint64_t *value = value_of(argv[at], options, count);
        char *end;

        if (value == NULL)
            break;
        *value = strtoull(argv[at + 1], &end, 10);
        if (*end != '\0' || *value == 0)
            break;
        at += 2;
    }
    if (argc - at == others)
        return at;
    (void)fprintf(stderr, "%s\n", usage);
    return -1;
}
