/*
 * Named cursors: where a reader resumes. A cursor is a small file DIR/cursors/NAME, replaced whole
 * at every commit (written aside, synced, renamed, directory synced), so that after any crash it is
 * the old or the new position. Who commits after the work is done gets every batch at least once;
 * a batch's (lane, epoch, sequence) tells the ones that come twice.
 *
 * A cursor holds the segments from its position on: retention does not delete them.
 */
#ifndef GW_JOURNAL_CURSOR_H
#define GW_JOURNAL_CURSOR_H

#include <stdbool.h>

#include <gw/base/defs.h>
#include <gw/journal/io.h>
#include <gw/journal/segment.h>

enum { GW_CURSOR_NAME_BYTES_MAX = 64 };

/* 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot. */
bool gw_cursor_name_is_valid(const char *name);

/* `io` may be NULL. 0; -ENOENT for no such cursor; -EBADMSG for an unreadable one; -EINVAL. */
GW_MUST_USE int gw_cursor_read(const struct gw_journal_io *io, const char *dir, const char *name,
                               struct gw_journal_position *out);
GW_MUST_USE int gw_cursor_commit(const struct gw_journal_io *io, const char *dir, const char *name,
                                 struct gw_journal_position position);
GW_MUST_USE int gw_cursor_delete(const struct gw_journal_io *io, const char *dir, const char *name);

/* Visits every cursor; `err` is 0 or what gw_cursor_read said. A result other than 0 ends it. */
GW_MUST_USE int gw_cursor_list(const struct gw_journal_io *io, const char *dir,
                               int (*visit)(void *visitor, const char *name, int err,
                                            struct gw_journal_position position),
                               void *visitor);

#endif
