/*
 * Who the process is, and what that is worth. Users are looked up in the files alone: what the
 * system's own look-up loads into a process (LDAP, SSSD) brings libraries along that nobody chose.
 */
#include <gw/confine/confine.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    ENTRY_BYTES_MAX = 16384, /* one line of either file; a longer one is passed over */
    GROUPS_MAX = 64,
};

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    size_t group_count;
};

static bool find_user(const char *name, struct identity *out)
{
    FILE *file = fopen("/etc/passwd", "re");
    char room[ENTRY_BYTES_MAX];
    struct passwd entry, *found;
    bool is_there = false;
    int err = 0;

    while (file != NULL && !is_there && (err == 0 || err == ERANGE)) {
        err = fgetpwent_r(file, &entry, room, sizeof room, &found);
        is_there = err == 0 && strcmp(entry.pw_name, name) == 0;
    }
    if (is_there)
        *out = (struct identity){.uid = entry.pw_uid, .gid = entry.pw_gid};
    if (file != NULL)
        (void)fclose(file);
    return is_there;
}

static bool names(char *const *members, const char *user)
{
    while (*members != NULL && strcmp(*members, user) != 0)
        members++;
    return *members != NULL;
}

/* The group by its name, or with NULL the user's own; and every group that has the user. */
static bool find_groups(const char *user, const char *name, struct identity *who)
{
    FILE *file = fopen("/etc/group", "re");
    char room[ENTRY_BYTES_MAX];
    struct group entry, *found;
    bool is_there = name == NULL;
    int err = 0;

    while (file != NULL && (err == 0 || err == ERANGE)) {
        err = fgetgrent_r(file, &entry, room, sizeof room, &found);
        if (err != 0)
            continue;
        if (name != NULL && strcmp(entry.gr_name, name) == 0) {
            who->gid = entry.gr_gid;
            is_there = true;
        }
        if (names(entry.gr_mem, user) && who->group_count < GROUPS_MAX)
            who->groups[who->group_count++] = entry.gr_gid;
    }
    if (file != NULL)
        (void)fclose(file);
    return is_there;
}

static int become(const struct identity *who)
{
    if (setgroups(who->group_count, who->groups) != 0 ||
        setresgid(who->gid, who->gid, who->gid) != 0 ||
        setresuid(who->uid, who->uid, who->uid) != 0)
        return -errno;
    return 0;
}

int gw_confine_user(const char *user, const char *group, char *why, size_t why_bytes)
{
    struct identity who;
    int err = 0;

    if (!find_user(user, &who)) {
        (void)snprintf(why, why_bytes, "user \"%s\" is not in /etc/passwd", user);
        return -ENOENT;
    }
    if (!find_groups(user, group, &who)) {
        (void)snprintf(why, why_bytes, "group \"%s\" is not in /etc/group", group);
        return -ENOENT;
    }
    if (geteuid() == 0)
        err = become(&who);
    else if (geteuid() != who.uid || (group != NULL && getegid() != who.gid))
        err = -EPERM;
    if (err != 0)
        (void)snprintf(why, why_bytes, "cannot become user \"%s\": %s%s", user, strerror(-err),
                       err == -EPERM ? "; only a gateway that root starts can" : "");
    return err;
}

int gw_confine_privileges(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    /* Who has no right to shrink the bounding set gains nothing from it: no_new_privs sees to it.
     */
    for (unsigned long number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; number++)
        (void)prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
        syscall(SYS_capset, &header, none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return 0;
}

int gw_confine_memory(void)
{
    const struct rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};

    /* The limit for what a later change of the first would allow. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0)
        return -errno;
    return 0;
}
