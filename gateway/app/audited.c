/*
 * What the control thread tells the audit log. Its number there is the one after the last shard's.
 */
#include "gateway_internal.h"

#include <errno.h>
#include <stdio.h>

#include <gw/base/clock.h>

int audit_create(struct gateway *g, char *why)
{
    struct gw_audit_options options = {
        .path = g->config->audit_path,
        .threads = g->plan.shards + 1,
        .pending_max = g->config->audit_pending_max,
        .bytes_max = g->config->audit_bytes_max,
    };
    int err;

    if (options.path == NULL)
        return EXIT_OK;
    if ((err = gw_audit_open(&options, &g->audit, why, WHY_BYTES)) != 0)
        return err == -EACCES || err == -EPERM ? EXIT_PERMISSION : EXIT_SYSTEM;
    return EXIT_OK;
}

static void put(const struct gateway *g, struct gw_audit_event *event)
{
    event->wall_us = gw_clock_wall_us();
    gw_audit_put(g->audit, g->plan.shards, event);
}

void audit_tell(const struct gateway *g, enum gw_audit_kind kind, const char *reason,
                const char *subject, const char *detail)
{
    struct gw_audit_event event = {.kind = kind};

    (void)snprintf(event.reason, sizeof event.reason, "%s", reason);
    (void)snprintf(event.subject, sizeof event.subject, "%s", subject);
    (void)snprintf(event.detail, sizeof event.detail, "%s", detail);
    put(g, &event);
}

void audit_certificates(const struct gateway *g, enum gw_audit_kind kind, const char *reason)
{
    const struct {
        const char *name;
        const struct gw_tls_leaf *leaf;
    } leaves[] = {{"rsa", &g->rsa_leaf}, {"ec", &g->ec_leaf}};

    for (size_t i = 0; i < GW_ARRAY_COUNT(leaves); i++) {
        struct gw_audit_event event = {.kind = kind, .not_after_s = leaves[i].leaf->not_after_s};

        if (!leaves[i].leaf->present)
            continue;
        (void)snprintf(event.reason, sizeof event.reason, "%s", reason);
        (void)snprintf(event.subject, sizeof event.subject, "certificate %s", leaves[i].name);
        (void)snprintf(event.detail, sizeof event.detail, "serial %s", leaves[i].leaf->serial);
        put(g, &event);
    }
}

void audit_command(const struct gateway *g, const char *command, uint32_t device,
                   const char *result)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_COMMAND, .device = device};

    (void)snprintf(event.reason, sizeof event.reason, "%s", result);
    (void)snprintf(event.subject, sizeof event.subject, "%s", command);
    put(g, &event);
}
