/*
 * What is read again while the gateway serves: certificates and ticket keys, when SIGHUP asks for
 * it, and by itself when their files have changed.
 *
 * A change is noticed by a look at each file once a second. The kernel could tell of it (inotify),
 * but tells of names in folders: with a link to a link in a folder that is itself swapped, as
 * Let's Encrypt and Kubernetes have them, every folder on the way would have to be watched and
 * found anew, and file systems of the network tell nothing. What a look sees is what a reload would
 * read. It is read once it has stayed the same for a second, so that a chain and its key which are
 * written one after the other are not met half-way.
 */
#include "gateway_internal.h"

#include <string.h>
#include <sys/stat.h>

#include <gw/app/notify.h>
#include <gw/base/log.h>

/* All that tells one content of a name from the next; zero when there is no such file. */
static void look(const struct watch *watch, struct file_stamp *stamps)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct stat file;

        memset(&stamps[i], 0, sizeof stamps[i]); /* compared as bytes */
        if (stat(watch->paths[i], &file) != 0)
            continue;
        stamps[i].device = file.st_dev;
        stamps[i].number = file.st_ino;
        stamps[i].bytes = (uint64_t)file.st_size;
        stamps[i].modified_ns =
            (int64_t)file.st_mtim.tv_sec * (int64_t)GW_NS_PER_S + file.st_mtim.tv_nsec;
        stamps[i].changed_ns =
            (int64_t)file.st_ctim.tv_sec * (int64_t)GW_NS_PER_S + file.st_ctim.tv_nsec;
    }
}

/* They are about to be read. */
static void watch_note(struct watch *watch)
{
    look(watch, watch->known);
    watch->changed = false;
}

/* Leaves NULLs among `paths` out; the others stay valid. */
static void watch_init(struct watch *watch, const char *const *paths, size_t count)
{
    *watch = (struct watch){.count = 0};
    for (size_t i = 0; i < count; i++)
        if (paths[i] != NULL)
            watch->paths[watch->count++] = paths[i];
    watch_note(watch);
}

/* Are they different from what was read, and have they been since the last look? */
static bool watch_look(struct watch *watch)
{
    struct file_stamp now[WATCH_FILES_MAX];
    const size_t bytes = watch->count * sizeof now[0];

    look(watch, now);
    if (memcmp(now, watch->known, bytes) == 0) {
        watch->changed = false;
        return false;
    }
    if (watch->changed && memcmp(now, watch->seen, bytes) == 0) {
        memcpy(watch->known, now, bytes);
        watch->changed = false;
        return true;
    }
    memcpy(watch->seen, now, bytes);
    watch->changed = true;
    return false;
}

void reload_init(struct gateway *g)
{
    const struct gw_config *c = g->config;
    const char *const certificates[] = {c->tls_rsa_chain, c->tls_rsa_key, c->tls_ec_chain,
                                        c->tls_ec_key};
    const char *const tickets[] = {c->tls_ticket_keys};

    if (!gateway_has_tls(c))
        return;
    watch_init(&g->certificate_files, certificates, GW_ARRAY_COUNT(certificates));
    watch_init(&g->ticket_files, tickets, GW_ARRAY_COUNT(tickets));
}

static void count(struct gateway *g, bool done)
{
    ++*(done ? &g->reloads : &g->reloads_refused);
}

/* What is noted before it is read is noticed when it changes while it is read. */
void reload(struct gateway *g, const char *cause)
{
    if (!gateway_has_tls(g->config)) {
        gw_log(GW_LOG_INFO, "reloaded", GW_TEXT("what", "nothing: no TLS listener"));
        return;
    }
    (void)gw_notify_reloading();
    if (tickets_have_file(g)) {
        watch_note(&g->ticket_files);
        count(g, tickets_reload(g, cause));
    }
    watch_note(&g->certificate_files);
    count(g, certificates_reload(g, cause));
    (void)gw_notify_ready();
}

void reload_if_changed(struct gateway *g)
{
    if (!g->config->tls_watch || !gateway_has_tls(g->config))
        return;
    if (tickets_have_file(g) && watch_look(&g->ticket_files))
        count(g, tickets_reload(g, "file"));
    if (watch_look(&g->certificate_files))
        count(g, certificates_reload(g, "file"));
}
