/*
 * What the commands about the update log share: where it is, and where somebody got to in it.
 */
#ifndef TOLLGATECTL_CTL_JOURNAL_H
#define TOLLGATECTL_CTL_JOURNAL_H

#include <gw/journal/reader.h>

#include "ctl.h"

/* The option, else TOLLGATE_JOURNAL, else the default. */
const char *ctl_journal_path(const char *option);

/* Where reading begins by that cursor; *options stays as it is where there is none yet. Says what
 * is wrong and returns an exit code. */
GW_MUST_USE int ctl_cursor_start(const char *journal, const char *name,
                                 struct gw_journal_reader_options *options);

/* Moves a cursor, and makes it; 0 or -errno. */
GW_MUST_USE int ctl_cursor_move(const char *journal, const char *name,
                                struct gw_journal_position position);

#endif
