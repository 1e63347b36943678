#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    EXIT_USAGE = 64,
    EXIT_NO_INPUT = 66,
    EXIT_OS = 71,
    DESCRIPTORS_ASIDE = 64, /* of a thread, for what is not a device */
};

int swarm_tokens_read(const char *path, uint32_t *devices, char (**tokens)[GW_TOKEN_TEXT_BYTES])
{
    FILE *file = fopen(path, "re");
    char line[256];
    size_t room = 0, count = 0, number = 0;
    int err = 0;

    if (file == NULL) {
        fprintf(stderr, "tollgate-bench: %s: %s\n", path, strerror(errno));
        return EXIT_NO_INPUT;
    }
    while (err == 0 && (*devices == 0 || count < *devices) &&
           fgets(line, sizeof line, file) != NULL) {
        size_t bytes = strcspn(line, "\r\n");

        number++;
        if (bytes == 0)
            continue;
        if (bytes != GW_TOKEN_TEXT_BYTES) {
            fprintf(stderr, "tollgate-bench: %s, line %zu: a token has 32 characters, not %zu\n",
                    path, number, bytes);
            err = EXIT_NO_INPUT;
        } else if (count == room) {
            void *grown;

            room = room == 0 ? 1024 : room * 2;
            grown = realloc(*tokens, room * sizeof **tokens);
            if (grown == NULL) {
                fprintf(stderr, "tollgate-bench: no memory for %zu tokens\n", room);
                err = EXIT_OS;
            } else {
                *tokens = grown;
            }
        }
        if (err == 0)
            memcpy((*tokens)[count++], line, GW_TOKEN_TEXT_BYTES);
    }
    fclose(file);
    if (err == 0 && (count == 0 || count < *devices)) {
        fprintf(stderr, "tollgate-bench: %s holds %zu tokens; %u devices need one each\n", path,
                count, *devices == 0 ? 1 : *devices);
        err = EXIT_NO_INPUT;
    }
    *devices = (uint32_t)count;
    return err;
}

int swarm_threads_plan(const struct swarm_options *options, uint32_t devices, uint32_t *threads)
{
    struct rlimit limit;
    uint64_t needed, per_thread;

    *threads = options->threads == 0 ? 1 : options->threads;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    needed = (devices + *threads - 1) / *threads + DESCRIPTORS_ASIDE;
    if (limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur <= 2ull * DESCRIPTORS_ASIDE) {
        fprintf(stderr, "tollgate-bench: RLIMIT_NOFILE is %llu: raise it (ulimit -n)\n",
                (unsigned long long)limit.rlim_cur);
        return EXIT_OS;
    }
    per_thread = limit.rlim_cur - DESCRIPTORS_ASIDE;
    if (limit.rlim_cur < needed && options->threads == 0) {
        *threads = (uint32_t)((devices + per_thread - 1) / per_thread);
        return 0;
    }
    if (limit.rlim_cur >= needed)
        return 0;
    fprintf(stderr,
            "tollgate-bench: %u devices on %u threads need %llu descriptors a thread, and "
            "RLIMIT_NOFILE allows %llu: raise it (ulimit -n), or give at least --threads %llu\n",
            devices, *threads, (unsigned long long)needed, (unsigned long long)limit.rlim_cur,
            (unsigned long long)((devices + per_thread - 1) / per_thread));
    return EXIT_USAGE;
}
