/*
 * The parts of the audit log.
 *
 *   audit.c  rings, the thread, an event as a line
 *   file.c   the file: where its numbers go on, how it grows, is renamed, is opened anew
 *   fold.c   many events of one source as one
 */
#ifndef GW_AUDIT_AUDIT_INTERNAL_H
#define GW_AUDIT_AUDIT_INTERNAL_H

#include <stdbool.h>

#include <gw/audit/audit.h>
#include <gw/base/bytes.h>

/* ---- file.c ---- */

struct audit_file {
    const char *path;
    uint64_t bytes_max;
    int fd; /* -1: it could not be opened; to be tried again now and then */
    uint64_t bytes;
    uint64_t sequence; /* of the last line */
    bool unsynced;
    bool failing; /* and reported */
};

/* Opens or makes it, and finds the number of its last line. 0 or -errno. */
GW_MUST_USE int audit_file_open(struct audit_file *file, const char *path, uint64_t bytes_max);
void audit_file_close(struct audit_file *file);
/* The path again: the file that was open has another name now, or there was none. */
void audit_file_reopen(struct audit_file *file);
/* One line, with its newline: whole, or not at all and false. It has the number sequence + 1. */
GW_MUST_USE bool audit_file_append(struct audit_file *file, struct gw_bytes line);
void audit_file_sync(struct audit_file *file);

/* ---- fold.c ---- */

enum {
    FOLD_ROWS = 512,  /* sources that are told apart at a time */
    FOLD_SINGLE = 10, /* events of a source and a window that have a line each */
    FOLD_WINDOW_S = 60,
};

struct fold_row {
    bool taken;
    bool others; /* stands for sources that found no row: without their address */
    struct gw_instant since;
    uint32_t single;
    struct gw_audit_event last; /* its count: events since the last line */
};

struct fold {
    struct fold_row rows[FOLD_ROWS];
    struct fold_row others[GW_AUDIT_KINDS];
};

/* True: it has a line of its own. False: it is counted, and told of by fold_due. */
GW_MUST_USE bool fold_take(struct fold *fold, const struct gw_audit_event *event,
                           struct gw_instant now);
/*
 * Ends windows that are over, or with `all` every one. The next of them that has something to tell,
 * in *out; false when there is none left. *cursor starts at 0.
 */
GW_MUST_USE bool fold_due(struct fold *fold, struct gw_instant now, bool all, uint32_t *cursor,
                          struct gw_audit_event *out);

#endif
