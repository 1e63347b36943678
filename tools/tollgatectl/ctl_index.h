/*
 * What the commands about the token index share: finding and opening it, naming rows as people do,
 * and keeping tokens out of argv, out of stdio's buffers and on the screen at most once.
 */
#ifndef TOLLGATECTL_CTL_INDEX_H
#define TOLLGATECTL_CTL_INDEX_H

#include <gw/token/writer.h>

#include "ctl.h"

struct json_t; /* jansson.h */

/* One use of an index by one command. LMDB wants one environment per process: read or write. */
struct ctl_index {
    const char *path, *pepper; /* options; path falls back to TOLLGATE_INDEX and the default */
    const char *high_water;    /* a gateway's file to judge by, or NULL                      */
    struct gw_index *index;
    struct gw_index_reader *reader;
    struct gw_index_writer *writer;
    const struct gw_index_view *view;
};

/* The rows of an option table that every command about the index has. */
#define CTL_INDEX_OPTIONS(ix)                                                                      \
    {"index", &(ix)->path, NULL},                                                                  \
    {                                                                                              \
        "pepper", &(ix)->pepper, NULL                                                              \
    }

const char *ctl_index_path(struct ctl_index *ix);

/* Both say what went wrong and return an exit code. `write` begins a transaction. */
GW_MUST_USE int ctl_index_read(struct ctl_index *ix);
GW_MUST_USE int ctl_index_write(struct ctl_index *ix);
GW_MUST_USE int ctl_index_commit(struct ctl_index *ix);
/* Aborts what was not committed. Safe at any point. */
void ctl_index_close(struct ctl_index *ix);

/* The number behind a name, an id or a number in words; says so when there is none. */
GW_MUST_USE int ctl_find_org(struct ctl_index *ix, const char *name, uint32_t *number);
GW_MUST_USE int ctl_find_product(struct ctl_index *ix, const char *id, uint32_t *number);
GW_MUST_USE int ctl_read_device(const char *word, uint32_t *number);

/* "device 12", for sentences. */
const char *ctl_device_words(uint32_t number, char out[32]);

/* A JSON value on standard output, indented, with a line's end; released. NULL: out of memory. */
GW_MUST_USE int ctl_json_print(struct json_t *value);

/* A sentence for an error that the index gave to `what` ("device 12"). Returns the exit code. */
int ctl_index_fail(const struct ctl_index *ix, const char *what, int err);

/* One token, a line on standard input; says what is wrong with it without repeating it. */
GW_MUST_USE int ctl_token_read(uint8_t token[GW_TOKEN_BYTES]);
/*
 * Prints device and token, as two lines or as JSON, past stdio, so that no buffer keeps the text.
 * The caller's token is wiped.
 */
GW_MUST_USE int ctl_token_print(uint32_t device, uint8_t token[GW_TOKEN_BYTES], bool json);

/* "2026-01-31 12:00:00Z", or "-" for 0. */
const char *ctl_time(uint64_t s, char out[32]);

/*
 * Runs `work` in a child, so that an index damaged enough to crash its reader ends the child and
 * not the answer. Returns the child's exit code, or says that it crashed.
 */
GW_MUST_USE int ctl_in_child(int (*work)(void *context), void *context);

#endif
