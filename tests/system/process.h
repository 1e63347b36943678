/*
 * Programs run as children: once to their end, or as servers that a test stops. A child dies with
 * the thread that started it (PR_SET_PDEATHSIG) and is ended by its own id, never by a name.
 */
#ifndef TESTS_SYSTEM_PROCESS_H
#define TESTS_SYSTEM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <gw/base/defs.h>

/*
 * A time allowance in milliseconds, stretched where a sanitizer slows every program down and by the
 * factor in the environment variable TOLLGATE_TEST_SLOW (1 to 100), for a machine that is slow.
 * Only for what must happen "soon"; times that a test claims something about are never stretched.
 */
uint32_t sys_ms(uint32_t ms);

/* Are these programs, and the gateway, built with a sanitizer? Then memory is no measure. */
bool sys_is_sanitized(void);

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t sys_now_ms(void);

/* Between two looks at a condition that nothing can wake us for (a file, a child). */
void sys_pause_ms(uint32_t ms);

struct sys_output {
    int exit_code; /* 128 + signal when a signal ended it; -1 when it overran its time */
    char *out;     /* NUL-terminated, owned                                            */
    char *err;
};

/*
 * Runs argv[0] to its end with `input` (NULL: none) on its standard input. False when it could not
 * be started; an exit code other than 0 is an answer, not a failure. `out` is to be released.
 */
GW_MUST_USE bool sys_run(const char *const argv[], const char *input, struct sys_output *out);
void sys_output_release(struct sys_output *output);

/*
 * Starts argv[0] with stdout and stderr appended to `log_path`; `env` holds "NAME=value" additions
 * and may be NULL. Returns the child's id, or -1.
 */
pid_t sys_spawn(const char *const argv[], const char *const env[], const char *log_path);

/* Waits for a child; false when it still runs after `ms`. *exit_code as in sys_output. */
GW_MUST_USE bool sys_wait(pid_t child, uint32_t ms, int *exit_code);

/* The whole file as a NUL-terminated text, owned by the caller; "" when there is none. */
char *sys_file_text(const char *path);

/* printf into a new text, owned by the caller. */
char *sys_text(const char *format, ...) GW_PRINTF(1, 2);

/* Writes (or replaces) a file; false with errno set. */
GW_MUST_USE bool sys_file_write(const char *path, const char *text);

/* A new directory under $TMPDIR or /tmp, owned by the caller; sys_tree_remove takes it away again.
 */
char *sys_tree_create(void);
void sys_tree_remove(const char *path);

#endif
