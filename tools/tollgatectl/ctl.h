/*
 * What the commands of tollgatectl share: exit codes, the way to read options, the way to say what
 * went wrong. A command is a function of its words, listed in commands.def.
 */
#ifndef TOLLGATECTL_CTL_H
#define TOLLGATECTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <gw/base/defs.h>

/* 69, 75, 77 and 78 as in sysexits.h; a service manager can tell by them what a retry may mend. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_UNAVAILABLE = 69,   /* what the command needs is not there: index, socket, kernel */
    CTL_LATER = 75,         /* not now: the device is away, or takes nothing more           */
    CTL_NO_PERMISSION = 77, /* the file system said no                                    */
    CTL_CONFIG = 78,        /* it is there, but it is not what it should be               */
};

#define CTL_COMMAND(words, function, usage, summary) int ctl_##function(int argc, char **argv);
#include "commands.def"
#undef CTL_COMMAND

/* An option takes a value (`--name VALUE` or `--name=VALUE`), or is a flag. */
struct ctl_option {
    const char *name;   /* without the dashes                         */
    const char **value; /* NULL: a flag                               */
    bool *flag;
};

/*
 * Reads argv[1..]. Options may stand anywhere; `--` ends them. The other words are moved to the
 * front of argv, from argv[1], and their count goes to *word_count, which must lie within
 * [word_min, word_max]. Says what is wrong and returns CTL_USAGE, or returns CTL_OK.
 */
GW_MUST_USE int ctl_options(int argc, char **argv, const struct ctl_option *options,
                            size_t option_count, int word_min, int word_max, int *word_count);

/* A decimal number within bounds, whole text; says what is wrong with `what` and returns false. */
GW_MUST_USE bool ctl_number(const char *text, const char *what, unsigned long long min,
                            unsigned long long max, unsigned long long *out);

/* The number of a group of this machine; says that there is none. */
GW_MUST_USE int ctl_find_group(const char *name, gid_t *group);

/* One sentence on stderr after "tollgatectl COMMAND: ". Returns `code`, so that it can be returned.
 */
int ctl_fail(int code, const char *format, ...) GW_PRINTF(2, 3);

/* Notes for people, on stderr: not part of what a script reads. */
void ctl_note(const char *format, ...) GW_PRINTF(1, 2);

/* The exit code that fits a -errno. */
int ctl_exit_of(int err);

/* The words of the command that runs ("device add"), for sentences. */
const char *ctl_command_words(void);

/*
 * Which of `names` a mistyped word is likely to mean, or NULL: the nearest within a third of its
 * length, counting a swap of neighbours as one mistake.
 */
const char *ctl_did_you_mean(const char *word, const char *const *names, size_t name_count);

#endif
