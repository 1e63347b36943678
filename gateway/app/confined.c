/*
 * What this process gives up, and when: its user and privileges as soon as its ports are bound, so
 * that whatever it opens later it opens as it will be able to open it again at a reload; other
 * folders than its own before it makes threads; other system calls once every shard has its ring.
 */
#include "gateway_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/log.h>
#include <gw/confine/confine.h>

enum { PATHS_MAX = 24 };

int confine_identity(const struct gw_config *config, char *why)
{
    int err = 0;

    if (config->user != NULL && gw_confine_user(config->user, config->group, why, WHY_BYTES) != 0)
        return EXIT_PERMISSION;
    if (config->confine_privileges && (err = gw_confine_privileges()) == 0 && geteuid() == 0)
        gw_log(GW_LOG_WARN, "runs_as_root",
               GW_TEXT("hint", "root without privileges still owns root's files: set user"));
    if (err == 0 && config->confine_memory)
        err = gw_confine_memory();
    if (err == 0)
        return EXIT_OK;
    (void)snprintf(why, WHY_BYTES, "cannot give up privileges: %s", strerror(-err));
    return EXIT_SYSTEM;
}

/* ---- folders ---- */

struct folders {
    struct gw_confine_path rows[PATHS_MAX];
    char *texts[PATHS_MAX]; /* owned; rows point to them */
    size_t count;
    bool out_of_memory;
};

/* Takes `path`, which is NULL when there was no memory for it. */
static void add_folder(struct folders *folders, char *path, enum gw_confine_access access)
{
    if (path == NULL) {
        folders->out_of_memory = true;
        return;
    }
    gw_assert(folders->count < PATHS_MAX);
    folders->texts[folders->count] = path;
    folders->rows[folders->count++] = (struct gw_confine_path){.path = path, .access = access};
}

/* Where `file` lies; "." when only a name is given. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    return slash == NULL ? strdup(".") : strndup(file, slash == file ? 1 : (size_t)(slash - file));
}

/*
 * A file that is read again when it is replaced: its folder, and the one that it lies in when it is
 * a link, as Let's Encrypt's certificates are.
 */
static void add_reloaded(struct folders *folders, const char *file)
{
    char *real = file == NULL ? NULL : realpath(file, NULL);

    if (real != NULL) {
        add_folder(folders, folder_of(file), GW_CONFINE_READ);
        add_folder(folders, folder_of(real), GW_CONFINE_READ);
    }
    free(real);
}

int confine_files(struct gateway *g, char *why)
{
    const struct gw_config *c = g->config;
    const char *const reloaded[] = {c->tls_rsa_chain, c->tls_rsa_key, c->tls_ec_chain,
                                    c->tls_ec_key, c->tls_ticket_keys};
    const char *const written_in[] = {c->index_high_water, c->control_path, c->audit_path};
    struct folders folders = {.count = 0};
    int err = 0;

    if (!c->confine_files)
        return EXIT_OK;
    add_folder(&folders, strdup(c->journal_path), GW_CONFINE_WRITE);
    if (c->values_enabled && c->values_path != NULL)
        add_folder(&folders, strdup(c->values_path), GW_CONFINE_WRITE);
    add_folder(&folders, strdup(c->index_path), GW_CONFINE_READ);
    if (c->http_acme_folder != NULL)
        add_folder(&folders, strdup(c->http_acme_folder), GW_CONFINE_READ);
    for (size_t i = 0; i < GW_ARRAY_COUNT(written_in); i++)
        if (written_in[i] != NULL)
            add_folder(&folders, folder_of(written_in[i]), GW_CONFINE_WRITE);
    for (size_t i = 0; gateway_has_tls(c) && i < GW_ARRAY_COUNT(reloaded); i++)
        add_reloaded(&folders, reloaded[i]);
    if (folders.out_of_memory) {
        err = -ENOMEM;
        (void)snprintf(why, WHY_BYTES, "out of memory for the names of folders");
    } else {
        err = gw_confine_files(folders.rows, folders.count, &g->landlock, why, WHY_BYTES);
    }
    for (size_t i = 0; i < folders.count; i++)
        free(folders.texts[i]);
    if (err == 0 && g->landlock == 0)
        gw_log(GW_LOG_WARN, "files_not_confined",
               GW_TEXT("hint", "this kernel has no Landlock, or it is not switched on (lsm=)"));
    return err == 0 ? EXIT_OK : EXIT_SYSTEM;
}

/* ---- system calls ---- */

int confine_calls(struct gateway *g, char *why)
{
    int err = g->config->confine_system_calls ? gw_confine_calls() : 0;

    if (err == -ENOSYS)
        gw_log(GW_LOG_WARN, "system_calls_not_confined",
               GW_TEXT("hint", "this kernel has no seccomp filters"));
    if (err != 0 && err != -ENOSYS) {
        (void)snprintf(why, WHY_BYTES, "cannot confine system calls: %s", strerror(-err));
        return EXIT_SYSTEM;
    }
    gw_log(GW_LOG_INFO, "confined", GW_U64("uid", geteuid()), GW_U64("gid", getegid()),
           GW_U64("privileges", !g->config->confine_privileges),
           GW_U64("core_dumps", !g->config->confine_memory), GW_I64("landlock", g->landlock),
           GW_U64("system_calls", g->config->confine_system_calls && err == 0));
    return EXIT_OK;
}
