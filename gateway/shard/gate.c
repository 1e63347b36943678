/*
 * Who is kept out for a while (gw/base/lockout.h).
 *
 * Addresses: logins and HTTP requests alike, since both guess the same tokens. Only a token that an
 * authoritative index does not hold counts; whoever is locked out is answered 6 or 429, never 9,
 * for a neighbour behind the same address may hear it. Sessions that live are not asked for their
 * address again.
 *
 * Tokens that log in again and again: mostly on two boards, each of which ends the other's session.
 * The login that is one too many is still granted, and its session then has its peace, for whoever
 * comes with the token meanwhile is answered 1. A new token begins anew.
 */
#include "shard_internal.h"

#include <stdio.h>

#include <gw/base/log.h>

static struct gw_source source_of(const struct gw_shard *sh, const struct gw_session *s)
{
    const struct gw_session_cold *cold = cold_of(sh, s);

    return cold->peer_is_v6 ? gw_source_v6(cold->peer) : gw_source_v4(cold->peer);
}

bool is_shut_out(const struct gw_shard *sh, const struct gw_session *s)
{
    return sh->options.lockout != NULL &&
           gw_lockout_look(sh->options.lockout, source_of(sh, s), now_of(sh)) == GW_LOCKOUT_SHUT;
}

bool fail_token(struct gw_shard *sh, const struct gw_session *s, uint32_t token_tag)
{
    char text[GW_SOURCE_TEXT_BYTES];
    struct gw_source source = source_of(sh, s);

    if (sh->options.lockout == NULL)
        return false;
    switch (gw_lockout_fail(sh->options.lockout, source, token_tag, now_of(sh))) {
    case GW_LOCKOUT_COUNTED:
        break;
    case GW_LOCKOUT_LOCKED_NOW: /* this one is still told what it is */
        COUNT(sh, lockouts);
        gw_source_text(source, text);
        gw_log(GW_LOG_DEBUG, "locked_out", GW_U64("shard", sh->options.number),
               GW_TEXT("source", text));
        break;
    case GW_LOCKOUT_LOCKED:
        return true;
    }
    return false;
}

bool is_flapping(struct gw_shard *sh, const struct gw_session *s, uint32_t device)
{
    uint32_t token_tag = cold_of(sh, s)->token_tag;
    char text[9];

    if (sh->options.flapping == NULL)
        return false;
    switch (gw_lockout_fail(sh->options.flapping, gw_source_number(token_tag), 0, now_of(sh))) {
    case GW_LOCKOUT_COUNTED:
        break;
    case GW_LOCKOUT_LOCKED_NOW: /* this one is still let in */
        COUNT(sh, flapping);
        (void)snprintf(text, sizeof text, "%08x", token_tag);
        gw_log(GW_LOG_WARN, "flapping", GW_U64("device", device), GW_TEXT("token", text),
               GW_TEXT("hint", "it logs in again and again: has another board the same token?"));
        break;
    case GW_LOCKOUT_LOCKED:
        return true;
    }
    return false;
}
