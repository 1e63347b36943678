/*
 * Connections that a trusted proxy makes for somebody else. They begin with a header that says for
 * whom, before TLS and everything else; from then on the session's address is that one, for logs,
 * the audit log and whatever is counted by address.
 *
 * The header is looked at while it stays in the socket, and then taken out alone: what follows it
 * is read when its time comes, as if the connection began there, and nothing is kept of a header
 * that is not whole. It waits no longer than the handshake, or the login, may take.
 *
 *   I1  Nothing but a header is read of a session that is PROXIED.
 */
#include "shard_internal.h"

#include <gw/wire/proxy.h>

bool comes_from_proxy(const struct gw_shard *sh, const struct gw_session *s)
{
    const struct gw_shard_listener *listener = &sh->options.listeners[s->listener];
    const struct gw_session_cold *cold = cold_of(sh, s);

    for (uint32_t i = 0; i < listener->proxy_count; i++)
        if (gw_prefix_has(&listener->proxy_from[i], cold->peer, cold->peer_is_v6))
            return true;
    return false;
}

void read_proxy_header(struct gw_shard *sh, struct gw_session *s)
{
    gw_ring_recv_front(sh->ring, slot_of(sh, s), s->generation, GW_PROXY_HEADER_BYTES_MAX, false);
}

/* IPv4 in IPv6 is IPv4, as it is of a socket. */
static void remember_client(struct gw_session_cold *cold, const struct gw_proxy *proxy)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_mapped = proxy->is_v6 && memcmp(proxy->address, mapped, sizeof mapped) == 0;

    memset(cold->peer, 0, sizeof cold->peer);
    cold->peer_is_v6 = proxy->is_v6 && !is_mapped;
    memcpy(cold->peer, proxy->address + (is_mapped ? sizeof mapped : 0), cold->peer_is_v6 ? 16 : 4);
    cold->peer_port = proxy->port;
}

static void take_header(struct gw_shard *sh, struct gw_session *s, size_t bytes)
{
    s->flags |= GW_SESSION_PROXY_TAKEN | GW_SESSION_RECV;
    s->ops_inflight++;
    sh->receives_inflight++;
    gw_ring_recv_front(sh->ring, slot_of(sh, s), s->generation, (uint32_t)bytes, true);
}

static void look_at_header(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in)
{
    struct gw_proxy proxy;
    size_t used;

    switch (gw_proxy_decode(in, &proxy, &used)) {
    case GW_OK:
        if (proxy.is_known)
            remember_client(cold_of(sh, s), &proxy);
        take_header(sh, s, used);
        break;
    case GW_MORE: /* its next bytes are another event */
        s->flags &= ~(uint32_t)GW_SESSION_READABLE;
        break;
    case GW_BAD_FRAME:
        close_session(sh, s, GW_CLOSE_PROXY_BAD);
        break;
    }
}

void on_proxy_header(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c)
{
    if (s->state == GW_SESSION_CLOSING)
        return;
    if (!has(s, GW_SESSION_PROXY_TAKEN)) {
        look_at_header(sh, s, c->bytes);
        return;
    }
    COUNT(sh, proxied);
    COUNT_BY(sh, bytes_in, c->bytes.size);
    s->flags &= ~(uint32_t)(GW_SESSION_PROXIED | GW_SESSION_PROXY_TAKEN);
    if (!c->nonempty)
        s->flags &= ~(uint32_t)GW_SESSION_READABLE;
}
