/*
 * The keys of session tickets, as the control thread keeps them. A ring that comes from a file is
 * rotated by whoever writes the file: two gateways that rotated by themselves would not open each
 * other's tickets. A ring that was drawn here is rotated here.
 */
#include "gateway_internal.h"

#include <errno.h>
#include <stdio.h>

#include <gw/base/clock.h>
#include <gw/base/log.h>
#include <gw/crypto/crypto.h>

static uint64_t now_s(void)
{
    return gw_clock_wall_us() / 1000000;
}

static bool has_tickets(const struct gw_config *config)
{
    return gateway_has_tls(config) && config->tls_tickets > 0;
}

static void log_keys(struct gateway *g, const char *what, const char *cause)
{
    gw_log(GW_LOG_INFO, what, GW_TEXT("what", "ticket_keys"), GW_TEXT("cause", cause),
           GW_U64("current_since", gw_ticket_keys_since_s(g->ticket_keys)));
}

int tickets_create(const struct gw_config *config, struct gw_ticket_keys **out, char *why)
{
    struct gw_ticket_ring ring;
    int err;

    *out = NULL;
    if (!has_tickets(config))
        return EXIT_OK;
    if (config->tls_ticket_keys == NULL)
        gw_ticket_ring_draw(&ring, now_s());
    else if ((err = gw_ticket_file_load(config->tls_ticket_keys, &ring, why, WHY_BYTES)) != 0)
        return err == -EACCES ? EXIT_PERMISSION : EXIT_CONFIG;
    err = gw_ticket_keys_create(&ring, out);
    gw_wipe(&ring, sizeof ring);
    if (err != 0)
        (void)snprintf(why, WHY_BYTES, "out of memory for ticket keys");
    return err == 0 ? EXIT_OK : EXIT_SYSTEM;
}

bool tickets_have_file(const struct gateway *g)
{
    return g->ticket_keys != NULL && g->config->tls_ticket_keys != NULL;
}

bool tickets_reload(struct gateway *g, const char *cause)
{
    struct gw_ticket_ring ring;
    char why[WHY_BYTES];

    if (gw_ticket_file_load(g->config->tls_ticket_keys, &ring, why, sizeof why) != 0) {
        gw_log(GW_LOG_ERROR, "reload_refused", GW_TEXT("what", "ticket_keys"),
               GW_TEXT("cause", cause), GW_TEXT("error", why), GW_TEXT("kept", "the keys in use"));
        audit_tell(g, GW_AUDIT_RELOAD_REFUSED, cause, "ticket keys", why);
        return false;
    }
    gw_ticket_keys_set(g->ticket_keys, &ring);
    gw_wipe(&ring, sizeof ring);
    g->ticket_keys_old = false;
    log_keys(g, "reloaded", cause);
    audit_tell(g, GW_AUDIT_RELOADED, cause, "ticket keys", "");
    return true;
}

void tickets_tend(struct gateway *g)
{
    if (g->ticket_keys == NULL)
        return;
    if (g->config->tls_ticket_keys == NULL) {
        if (gw_ticket_keys_rotate_if_due(g->ticket_keys, now_s())) {
            log_keys(g, "rotated", "time");
            audit_tell(g, GW_AUDIT_RELOADED, "time", "ticket keys", "");
        }
        return;
    }
    /* Twice the time is a rotation that was missed, and not one that is about to come. */
    if (!g->ticket_keys_old &&
        gw_ticket_keys_since_s(g->ticket_keys) + UINT64_C(2) * GW_TICKET_ROTATE_S < now_s()) {
        g->ticket_keys_old = true;
        gw_log(GW_LOG_WARN, "ticket_keys_old", GW_TEXT("path", g->config->tls_ticket_keys),
               GW_U64("current_since", gw_ticket_keys_since_s(g->ticket_keys)),
               GW_TEXT("hint", "run tollgatectl ticket-keys rotate every hour"));
    }
}
