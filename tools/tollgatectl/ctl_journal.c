/*
 * The log as commands find it, and cursors.
 */
#include "ctl_journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gw/journal/cursor.h>

const char *ctl_journal_path(const char *option)
{
    const char *path = option != NULL ? option : getenv("TOLLGATE_JOURNAL");

    return path != NULL && path[0] != '\0' ? path : "/var/lib/tollgate/journal";
}

int ctl_cursor_start(const char *journal, const char *name,
                     struct gw_journal_reader_options *options)
{
    int err = gw_cursor_read(NULL, journal, name, &options->position);

    if (err == -ENOENT)
        return CTL_OK; /* its first commit makes it */
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE, "'%s' is no name for a cursor", name);
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "cannot read cursor %s: %s", name, strerror(-err));
    options->from = GW_JOURNAL_FROM_POSITION;
    return CTL_OK;
}

/*
 * It is a file that the gateway reads: it keeps what a cursor has yet to read, and keeps everything
 * for one that it may not open. So root's become the journal's owner's. A cursor that the gateway
 * meets in between holds the log for that moment, and no longer.
 */
int ctl_cursor_move(const char *journal, const char *name, struct gw_journal_position position)
{
    int err = gw_cursor_commit(NULL, journal, name, position);
    char path[4096];
    struct stat there;

    if (err != 0 || geteuid() != 0)
        return err;
    (void)snprintf(path, sizeof path, "%s/cursors/%s", journal, name);
    if (stat(journal, &there) != 0 || lchown(path, there.st_uid, there.st_gid) != 0)
        err = -errno;
    return err;
}
