/*
 * The certificates of every shard: loaded at start, and again when they are told to be.
 */
#include "gateway_internal.h"

#include <errno.h>

#include <gw/base/log.h>

bool gateway_has_tls(const struct gw_config *config)
{
    for (uint32_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].tls)
            return true;
    return false;
}

int gateway_tls_create(const struct gw_config *config, struct gw_ticket_keys *ticket_keys,
                       struct gw_tls_context **out, uint32_t count, char *why)
{
    struct gw_tls_options options = {
        .profile = config->tls_profile,
        .rsa_chain = config->tls_rsa_chain,
        .rsa_key = config->tls_rsa_key,
        .ec_chain = config->tls_ec_chain,
        .ec_key = config->tls_ec_key,
        .session_tickets = config->tls_tickets,
        .sessions_max = config->sessions_per_shard,
        .lean = config->tls_lean,
        .ticket_keys = ticket_keys,
    };

    int err = gw_tls_contexts_create(&options, out, count, why, WHY_BYTES);

    return err == 0 ? EXIT_OK : err == -ENOMEM ? EXIT_SYSTEM : EXIT_CONFIG;
}

static void log_leaf(const char *kind, const struct gw_tls_leaf *leaf)
{
    if (leaf->present)
        gw_log(GW_LOG_INFO, "certificate", GW_TEXT("kind", kind), GW_TEXT("serial", leaf->serial),
               GW_TEXT("subject", leaf->subject), GW_U64("not_after", leaf->not_after_s));
}

void certificates_log(const struct gateway *g)
{
    char why[WHY_BYTES];

    log_leaf("rsa", &g->rsa_leaf);
    log_leaf("ec", &g->ec_leaf);
    if (!gw_tls_leaves_fit(&g->rsa_leaf, &g->ec_leaf, why, sizeof why))
        gw_log(GW_LOG_WARN, "certificates_do_not_fit", GW_TEXT("why", why));
}

/* New contexts for every shard, or none: a bad pair of files leaves the old ones in place. */
bool certificates_reload(struct gateway *g, const char *cause)
{
    struct gw_tls_context *contexts[GW_SHARDS_MAX] = {NULL};
    char why[WHY_BYTES];

    if (gateway_tls_create(g->config, g->ticket_keys, contexts, g->plan.shards, why) != EXIT_OK) {
        gw_log(GW_LOG_ERROR, "reload_refused", GW_TEXT("what", "certificates"),
               GW_TEXT("cause", cause), GW_TEXT("error", why),
               GW_TEXT("kept", "the certificates in use"));
        audit_tell(g, GW_AUDIT_RELOAD_REFUSED, cause, "certificates", why);
        return false;
    }
    gw_tls_context_leaves(contexts[0], &g->rsa_leaf, &g->ec_leaf);
    for (uint32_t i = 0; i < g->plan.shards; i++)
        gw_shard_tls_set(g->shards[i], contexts[i]);
    certificates_log(g);
    audit_certificates(g, GW_AUDIT_RELOADED, cause);
    gw_log(GW_LOG_INFO, "reloaded", GW_TEXT("what", "certificates"), GW_TEXT("cause", cause),
           GW_TEXT("not_reloaded", "parameters: they need a restart"));
    return true;
}
