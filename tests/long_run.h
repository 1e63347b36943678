/*
 * Numbers on the command line of a test that can also run for long: --NAME N, each above 0.
 */
#ifndef TESTS_LONG_RUN_H
#define TESTS_LONG_RUN_H

#include <stddef.h>
#include <stdint.h>

struct long_run_option {
    const char *name;
    uint64_t *value; /* stays as it is when it is not given */
};

/* The index in argv of what follows them; -1, and `usage` was printed, when one is wrong or more
   than `others` words follow. */
int long_run_read(int argc, char **argv, const struct long_run_option *options, size_t count,
                  int others, const char *usage);

#endif
