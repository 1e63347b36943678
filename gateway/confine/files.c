/*
 * Landlock: the kernel refuses to open what no rule names. It is asked for its version and given
 * what that version knows; the newer rights are numbers here, for the headers of Debian 12 end with
 * version 2.
 *
 * A rule is about a folder and holds for what lies below it whatever it is called later, so a file
 * that is replaced by a rename stays within reach.
 */
#include <gw/confine/confine.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sanitized_internal.h"

#define FILES_1  ((UINT64_C(1) << 13) - 1)             /* everything of version 1 */
#define REFER    (UINT64_C(1) << 13)                   /* version 2: to another folder */
#define TRUNCATE (UINT64_C(1) << 14)                   /* version 3 */
#define DEVICES  (UINT64_C(1) << 15)                   /* version 5: ioctl */
#define PORTS    (UINT64_C(1) << 0 | UINT64_C(1) << 1) /* version 4: bind and connect TCP */

#define MAY_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define MAY_WRITE                                                                                  \
    (MAY_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                      \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | TRUNCATE)

/* struct landlock_ruleset_attr, as of version 4. */
struct ruleset {
    uint64_t files, ports;
};

static uint64_t known_files(int version)
{
    uint64_t known = FILES_1;

    if (version >= 2)
        known |= REFER;
    if (version >= 3)
        known |= TRUNCATE;
    if (version >= 5)
        known |= DEVICES;
    return known;
}

static int add_rule(int rules, const char *path, uint64_t access, char *why, size_t why_bytes)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = access,
        .parent_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC),
    };
    int err = 0;

    if (rule.parent_fd < 0 ||
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
        err = -errno;
        (void)snprintf(why, why_bytes, "%s: %s", path, strerror(-err));
    }
    if (rule.parent_fd >= 0)
        (void)close(rule.parent_fd);
    return err;
}

static int add_rules(int rules, const struct gw_confine_path *paths, size_t count, uint64_t known,
                     char *why, size_t why_bytes)
{
    int err = 0;

    for (size_t i = 0; i < count && err == 0; i++) {
        const uint64_t access = paths[i].access == GW_CONFINE_WRITE ? MAY_WRITE : MAY_READ;

        err = add_rule(rules, paths[i].path, access & known, why, why_bytes);
    }
    /* A report reads the program's own symbols, wherever they are, by way of another program. */
    if (GW_SANITIZED && err == 0)
        err = add_rule(rules, "/", MAY_READ | LANDLOCK_ACCESS_FS_EXECUTE, why, why_bytes);
    return err;
}

int gw_confine_files(const struct gw_confine_path *paths, size_t count, int *version, char *why,
                     size_t why_bytes)
{
    struct ruleset handled = {0};
    int rules, err;

    *version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (*version < 0) {
        *version = 0; /* not built in, or not switched on */
        return 0;
    }
    handled.files = known_files(*version);
    handled.ports = *version >= 4 ? PORTS : 0;
    rules = (int)syscall(SYS_landlock_create_ruleset, &handled,
                         *version >= 4 ? sizeof handled : sizeof handled.files, 0);
    if (rules < 0) {
        err = -errno;
        (void)snprintf(why, why_bytes, "landlock_create_ruleset: %s", strerror(-err));
        return err;
    }
    err = add_rules(rules, paths, count, handled.files, why, why_bytes);
    if (err == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                     syscall(SYS_landlock_restrict_self, rules, 0) != 0)) {
        err = -errno;
        (void)snprintf(why, why_bytes, "landlock_restrict_self: %s", strerror(-err));
    }
    (void)close(rules);
    return err;
}
