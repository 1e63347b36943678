#include "restart.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *open_in(const char *folder, const char *name, const char *how)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, how);
}

bool swarm_restart_ask(const char *folder)
{
    FILE *file = open_in(folder, "up", "we");

    return file != NULL && fclose(file) == 0;
}

pid_t swarm_restart_answer(const char *folder)
{
    FILE *file = open_in(folder, "back", "re");
    char text[32] = "";
    long pid = 0;

    if (file == NULL)
        return 0;
    /* Without its newline it is not written to the end yet. */
    if (fgets(text, sizeof text, file) != NULL && text[0] >= '1' && text[0] <= '9') {
        char *end;

        pid = strtol(text, &end, 10);
        pid = *end == '\n' ? pid : 0;
    }
    fclose(file);
    return (pid_t)pid;
}
