/*
 * What the audit log is told of sessions: why logins and tokens were refused, and why devices that
 * were logged in were closed by us. A close reason that bears on security has a row here.
 */
#include "shard_internal.h"

#include <stdio.h>

static const struct {
    enum gw_close_reason reason;
    enum gw_audit_kind kind;
} told[] = {
    {GW_CLOSE_TOKEN_UNKNOWN, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_DEVICE_DISABLED, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_PRODUCT_CLOSED, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_TOKEN_NOT_NOW, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_PLAIN_REFUSED, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_LOCKED_OUT, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_FLAPPING, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_MISMATCH_DELAY, GW_AUDIT_LOGIN_REFUSED},
    {GW_CLOSE_PRODUCT_MISMATCH, GW_AUDIT_SESSION_ENDED},
    {GW_CLOSE_TOKEN_REVOKED, GW_AUDIT_SESSION_ENDED},
    {GW_CLOSE_DEVICE_MOVED, GW_AUDIT_SESSION_ENDED},
    {GW_CLOSE_QUOTA, GW_AUDIT_SESSION_ENDED},
    {GW_CLOSE_REPLACED, GW_AUDIT_TAKEN_OVER},
};

static void tell(struct gw_shard *sh, const struct gw_session *s, enum gw_audit_kind kind,
                 const char *reason, uint32_t ms)
{
    const struct gw_session_cold *cold = cold_of(sh, s);
    struct gw_audit_event event = {
        .kind = kind,
        .wall_us = gw_ring_wall_us(sh->ring),
        .device = s->device,
        .token_tag = cold->token_tag,
        .address_bytes = cold->peer_is_v6 ? 16 : 4,
        .ms = ms,
    };

    memcpy(event.address, cold->peer, event.address_bytes);
    (void)snprintf(event.reason, sizeof event.reason, "%s", reason);
    gw_audit_put(sh->options.audit, sh->options.number, &event);
}

void audit_close(struct gw_shard *sh, const struct gw_session *s, uint32_t ms)
{
    if (sh->options.audit == NULL)
        return;
    for (size_t i = 0; i < GW_ARRAY_COUNT(told); i++)
        if (told[i].reason == (enum gw_close_reason)s->close_reason)
            tell(sh, s,
                 s->state == GW_SESSION_LIVE && told[i].kind == GW_AUDIT_LOGIN_REFUSED
                     ? GW_AUDIT_SESSION_ENDED
                     : told[i].kind,
                 gw_close_reason_word(told[i].reason), ms);
}

void audit_http(struct gw_shard *sh, const struct gw_session *s, enum gw_login login)
{
    static const char *const words[] = {
        [GW_LOGIN_UNKNOWN] = "token_unknown", [GW_LOGIN_DISABLED] = "device_disabled",
        [GW_LOGIN_CLOSED] = "product_closed", [GW_LOGIN_NOT_NOW] = "token_not_now",
        [GW_LOGIN_PLAIN] = "plain_refused",
    };

    if (sh->options.audit != NULL && login < GW_ARRAY_COUNT(words) && words[login] != NULL)
        tell(sh, s, GW_AUDIT_HTTP_REFUSED, words[login], 0);
}
