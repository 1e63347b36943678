/*
 * Connections that have not said yet who they are, in the order in which they have kept us waiting.
 * While there is room they have their deadlines and are left alone. When there is none, those who
 * have kept us waiting longest make room: or else some hundreds that say half a hello, or nothing,
 * would keep a whole fleet out for as long as their deadlines last, and at no cost to themselves.
 *
 *     IDLE      holds a slot: waits for its handshake, or is waited for: its login, its request
 *     GREETING  in a handshake, and its hello is not whole: some 8 KiB, no private-key work done
 *     ANSWERED  in a handshake, and our flight is sent: that work is done, and would be in vain
 *
 * A board needs a second or two to answer our flight, and nothing to send the rest of a hello.
 *
 *   I1  A session is in one of these lists from its accept until it is logged in or closes.
 *   I2  Each list is in the order of stranger.since_tick.
 */
#include "shard_internal.h"

enum { GREETING_MS = 2 * GW_TIMER_TICK_MS };

static const uint32_t flag_of[STRANGER_KINDS] = {[STRANGER_IDLE] = GW_SESSION_IDLE,
                                                 [STRANGER_GREETING] = GW_SESSION_GREETING,
                                                 [STRANGER_ANSWERED] = GW_SESSION_ANSWERED};
#define STRANGER_FLAGS ((uint32_t)(GW_SESSION_IDLE | GW_SESSION_GREETING | GW_SESSION_ANSWERED))

static struct stranger_list *list_of(struct gw_shard *sh, const struct gw_session *s)
{
    for (size_t kind = 0; kind < STRANGER_KINDS; kind++)
        if (has(s, flag_of[kind]))
            return &sh->strangers[kind];
    return NULL;
}

static void leave(struct gw_shard *sh, struct gw_session *s)
{
    struct stranger_list *list = list_of(sh, s);
    const struct gw_session_cold *cold = cold_of(sh, s);
    uint32_t next = cold->stranger.next, prev = cold->stranger.prev;

    if (list == NULL)
        return;
    *(prev == GW_NONE ? &list->head : &sh->cold[prev].stranger.next) = next;
    *(next == GW_NONE ? &list->tail : &sh->cold[next].stranger.prev) = prev;
    list->count--;
    s->flags &= ~STRANGER_FLAGS;
}

void stranger_waits(struct gw_shard *sh, struct gw_session *s, enum stranger_kind kind)
{
    struct stranger_list *list = &sh->strangers[kind];
    struct gw_session_cold *cold = cold_of(sh, s);
    uint32_t slot = slot_of(sh, s);

    leave(sh, s);
    cold->stranger.next = GW_NONE;
    cold->stranger.prev = list->tail;
    cold->stranger.since_tick = tick_of(sh); /* I2 */
    *(list->tail == GW_NONE ? &list->head : &sh->cold[list->tail].stranger.next) = slot;
    list->tail = slot;
    list->count++;
    s->flags |= flag_of[kind];
}

void stranger_is_known(struct gw_shard *sh, struct gw_session *s)
{
    if (list_of(sh, s) == NULL)
        return;
    leave(sh, s);
    cold_of(sh, s)->held = GW_CHUNK_QUEUE_EMPTY; /* which shares the place of the links */
}

/* ---- when there is no room ---- */

static uint64_t patience_ns(const struct gw_shard *sh, enum stranger_kind kind)
{
    return kind == STRANGER_GREETING ? GREETING_MS * GW_NS_PER_MS
                                     : sh->options.stranger_s_max * GW_NS_PER_S;
}

/* How long until the first of them has kept us waiting for so long that it may go. */
static uint64_t due_ns(const struct gw_shard *sh, enum stranger_kind kind)
{
    uint32_t head = sh->strangers[kind].head;

    if (head == GW_NONE)
        return UINT64_MAX;
    uint64_t due = ns_of_tick(sh, sh->cold[head].stranger.since_tick) + patience_ns(sh, kind);

    return due > now_of(sh).ns ? due - now_of(sh).ns : 0;
}

static void show_out(struct gw_shard *sh, struct gw_session *s)
{
    peer_gone(sh, s, GW_CLOSE_CROWDED_OUT);
    retire_if_quiet(sh, s);
}

bool strangers_end_handshake(struct gw_shard *sh)
{
    static const enum stranger_kind kinds[] = {STRANGER_GREETING, STRANGER_ANSWERED};

    for (size_t i = 0; i < GW_ARRAY_COUNT(kinds); i++)
        if (due_ns(sh, kinds[i]) == 0) {
            show_out(sh, session_at(sh, sh->strangers[kinds[i]].head));
            return true;
        }
    return false;
}

void strangers_free_slots(struct gw_shard *sh)
{
    for (uint32_t n = 0; n < sh->options.accepts_pending && due_ns(sh, STRANGER_IDLE) == 0; n++) {
        struct gw_session *s = session_at(sh, sh->strangers[STRANGER_IDLE].head);

        if (s->state == GW_SESSION_HTTP && http_is_ours(sh, s))
            stranger_waits(sh, s, STRANGER_IDLE); /* it is we who keep it waiting */
        else
            show_out(sh, s);
    }
}

uint64_t strangers_due_ns(const struct gw_shard *sh)
{
    uint64_t ns = UINT64_MAX;

    if (accept_is_starved(sh))
        ns = due_ns(sh, STRANGER_IDLE);
    if (sh->hellos.count > 0) /* and none may begin, or there would be no sleep */
        ns = gw_min_u64(ns,
                        gw_min_u64(due_ns(sh, STRANGER_GREETING), due_ns(sh, STRANGER_ANSWERED)));
    return ns;
}
