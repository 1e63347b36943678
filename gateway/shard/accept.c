/*
 * Listeners to sessions. A number of single-shot accepts is kept queued per listener, each into the
 * file of a slot acquired beforehand and with an address of its own: a multishot accept would write
 * every peer's address to one place, and a direct descriptor has no getpeername.
 *
 * Accepting goes on whatever else there is to do, so that the age of a connection is known: what
 * waits in the listen queue is not seen.
 *
 *   I1  open + accepting sessions never exceed sessions_max: an accepted connection has a slot.
 */
#include "shard_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include <gw/base/log.h>

enum { RETRY_AFTER_MS = 100 };

static void queue_accept(struct gw_shard *sh, uint32_t listener)
{
    uint32_t peer = gw_slab_acquire(&sh->accept_peers);
    uint32_t slot = gw_slab_acquire(&sh->sessions);
    struct gw_session *s = session_at(sh, slot);
    struct accept_peer *at = gw_slab_at(&sh->accept_peers, peer);

    gw_assert(slot != GW_NONE && peer != GW_NONE); /* I1 */
    gw_assert(s->state == GW_SESSION_FREE);
    s->tls = NULL;
    s->rx = s->tx = GW_CHUNK_QUEUE_EMPTY;
    s->listener = (uint8_t)listener;
    s->ops_inflight = 1;
    sh->cold[slot].park_next = peer;
    gw_session_move(s, GW_SESSION_ACCEPTING);
    sh->accepting_count++;
    sh->accepting[listener]++;
    gw_ring_accept(sh->ring, (int)listener, slot, s->generation, &at->address, &at->bytes);
}

void accept_refill(struct gw_shard *sh)
{
    if (!sh->listening || sh->phase != SHARD_SERVING || sh->accept_retry.ns > now_of(sh).ns)
        return;
    for (uint32_t i = 0; i < sh->options.listener_count; i++)
        while (sh->accepting[i] < sh->options.accepts_pending &&
               sh->open_count + sh->accepting_count < sh->options.sessions_max)
            queue_accept(sh, i);
    if (accept_is_starved(sh))
        strangers_free_slots(sh);
}

bool accept_is_starved(const struct gw_shard *sh)
{
    if (!sh->listening || sh->phase != SHARD_SERVING || sh->accept_retry.ns > now_of(sh).ns)
        return false;
    for (uint32_t i = 0; i < sh->options.listener_count; i++)
        if (sh->accepting[i] == 0)
            return true;
    return false;
}

void accept_stop(struct gw_shard *sh)
{
    for (uint32_t slot = 0; slot < sh->sessions.fresh; slot++) {
        if (!gw_slab_is_taken(&sh->sessions, slot))
            continue;
        const struct gw_session *s = session_at(sh, slot);

        if (s->state == GW_SESSION_ACCEPTING)
            gw_ring_cancel(sh->ring, GW_OP_ACCEPT, slot, s->generation);
    }
}

static void remember_peer(struct gw_session_cold *cold, const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
            memcpy(cold->peer, v6->sin6_addr.s6_addr + 12, 4);
        } else {
            memcpy(cold->peer, &v6->sin6_addr, 16);
            cold->peer_is_v6 = 1;
        }
        cold->peer_port = ntohs(v6->sin6_port);
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

        memcpy(cold->peer, &v4->sin_addr, 4);
        cold->peer_port = ntohs(v4->sin_port);
    }
}

static void give_back(struct gw_shard *sh, struct gw_session *s)
{
    gw_session_move(s, GW_SESSION_FREE);
    s->generation++;
    gw_slab_release(&sh->sessions, slot_of(sh, s));
}

static void open_session(struct gw_shard *sh, struct gw_session *s, struct gw_session_cold *cold)
{
    uint32_t slot = slot_of(sh, s);

    cold->buffer_bytes = GW_SESSION_BUFFER_BYTES_DEFAULT;
    sh->open_count++;
    COUNT(sh, accepted);
    s->alive_tick = tick_of(sh);
    gw_ring_poll(sh->ring, slot, s->generation);
    s->flags |= GW_SESSION_POLL;
    s->ops_inflight++;
    stranger_waits(sh, s, STRANGER_IDLE);
    if (comes_from_proxy(sh, s))
        s->flags |= GW_SESSION_PROXIED;
    if (sh->options.listeners[s->listener].tls) {
        s->flags |= GW_SESSION_TLS;
        gw_session_move(s, GW_SESSION_HANDSHAKE);
        set_deadline(sh, s, sh->options.handshake_s_max);
    } else {
        gw_session_move(s, GW_SESSION_LOGIN);
        set_deadline(sh, s, sh->options.login_s_max);
    }
}

void on_accept(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    uint32_t peer = cold->park_next;
    const struct accept_peer *at = gw_slab_at(&sh->accept_peers, peer);

    gw_assert(s->state == GW_SESSION_ACCEPTING);
    sh->accepting_count--;
    sh->accepting[s->listener]--;
    *cold = (struct gw_session_cold){.park_next = GW_NONE, .held = GW_CHUNK_QUEUE_EMPTY};
    s->own_id = 0;
    if (c->res == 0)
        remember_peer(cold, &at->address);
    gw_slab_release(&sh->accept_peers, peer);
    if (c->res == 0) {
        open_session(sh, s, cold);
        if (sh->phase == SHARD_CLOSING) /* it won its race against the end of accepting */
            close_session(sh, s, GW_CLOSE_SHUTDOWN);
        return;
    }
    give_back(sh, s);
    switch (-c->res) {
    case ECANCELED:
        break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        /* Waiting peers stay in the listen queue; asking again at once would only spin. */
        if (sh->accept_retry.ns <= now_of(sh).ns)
            gw_log(GW_LOG_WARN, "accept_failed", GW_U64("shard", sh->options.number),
                   GW_TEXT("error", strerror(-c->res)));
        COUNT(sh, accept_errors);
        sh->accept_retry = gw_instant_after(now_of(sh), RETRY_AFTER_MS * GW_NS_PER_MS);
        break;
    default: /* the peer left while it waited: ECONNABORTED and whatever TCP puts on the socket */
        break;
    }
}
