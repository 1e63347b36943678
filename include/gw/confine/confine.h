/*
 * What a process gives up once it holds what it needs, so that a mistake in it is worth less to
 * whoever finds it: its user, its privileges, the files of others, the system calls it never makes.
 *
 * Everything here but gw_confine_calls holds for the thread that calls it and those it makes later:
 * it comes before there are threads. Nothing can be taken back.
 */
#ifndef GW_CONFINE_CONFINE_H
#define GW_CONFINE_CONFINE_H

#include <stddef.h>

#include <gw/base/defs.h>

/*
 * Becomes this user and group (NULL: the user's own), with the groups that the user is in, as
 * /etc/passwd and /etc/group have them: nothing is loaded into the process to ask others. Who is
 * that user already stays it.
 *   0; -ENOENT: there is no such user or group; -EPERM: only root can; `why` says which
 */
GW_MUST_USE int gw_confine_user(const char *user, const char *group, char *why, size_t why_bytes);

/* No capability is left, and no program that is started can have one. 0 or -errno. */
GW_MUST_USE int gw_confine_privileges(void);

/* No core dump, and no look into the memory by other processes of the same user. 0 or -errno. */
GW_MUST_USE int gw_confine_memory(void);

enum gw_confine_access {
    GW_CONFINE_READ,
    GW_CONFINE_WRITE, /* and make, rename and remove files */
};

/* A folder and what lies below it. */
struct gw_confine_path {
    const char *path;
    enum gw_confine_access access;
};

/*
 * Opens files below these folders alone from now on, and binds or connects no TCP port (Landlock).
 * What is open stays open. 0 or -errno, with `why` naming the folder; *version is the kernel's
 * version of Landlock, or 0 when it has none and nothing was done.
 */
GW_MUST_USE int gw_confine_files(const struct gw_confine_path *paths, size_t count, int *version,
                                 char *why, size_t why_bytes);

/*
 * In every thread, only the system calls of a gateway that serves: others fail with EPERM, and
 * those that only an intruder would make (a program, a debugger, a further ring, another user) end
 * the process. No thread can be made any more. 0 or -errno: -ENOSYS where the kernel has no
 * filters.
 */
GW_MUST_USE int gw_confine_calls(void);

#endif
