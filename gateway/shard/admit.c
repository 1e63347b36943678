/*
 * Handshakes are begun in the order in which clients spoke, a few each turn, and never for a
 * client that has waited for so long that it is about to leave. Devices give up after 6 s and come
 * back 5 s later, without jitter: a queue that is served beyond that age is work for those who
 * have gone, and stays so for ever. Until its turn comes a connection costs its slot and no TLS
 * state; the private key's work, which is nearly all of a login, comes after. Who stalls in a
 * handshake makes room for those who wait (strangers.c).
 *
 *   I1  A session in HANDSHAKE has no TLS state, and is not read, before it is admitted here; but a
 *       trusted proxy's header is, before it is even waiting.
 *   I2  A client that hung up or waited too long is closed without a private-key operation.
 */
#include "shard_internal.h"

enum { LOOKED_AT_PER_TURN_MAX = 1024 };

/* Who was slow to speak, on a lossy link, and then waits for nobody, is not late. */
static bool is_late(const struct gw_shard *sh, const struct gw_session *s)
{
    /* Nothing was read of it yet (I1): its newest sign of life is its accept. */
    uint64_t age_ns = (uint64_t)(tick_of(sh) - s->alive_tick) * TICK_NS;

    return age_ns > sh->options.handshake_age_s_max * GW_NS_PER_S &&
           tick_of(sh) > cold_of(sh, s)->hello_tick + 1;
}

static void admit(struct gw_shard *sh, struct gw_session *s)
{
    if (is_late(sh, s)) {
        peer_gone(sh, s, GW_CLOSE_HANDSHAKE_LATE); /* I2 */
        return;
    }
    s->tls = gw_tls_open(sh->tls);
    if (s->tls == NULL) {
        close_session(sh, s, GW_CLOSE_NO_MEMORY);
        return;
    }
    sh->handshake_count++;
    stranger_waits(sh, s, STRANGER_GREETING);
    try_receive(sh, s);
}

bool may_admit(const struct gw_shard *sh)
{
    return sh->hellos.count > 0 && sh->handshake_count < sh->options.handshakes_max;
}

void wait_for_handshake(struct gw_shard *sh, struct gw_session *s)
{
    cold_of(sh, s)->hello_tick = tick_of(sh);
    slot_list_push(sh, &sh->hellos, slot_of(sh, s));
}

/* Somebody waits, and there is room for it or can be made. */
static bool has_room(struct gw_shard *sh)
{
    return may_admit(sh) || (sh->hellos.count > 0 && strangers_end_handshake(sh));
}

void handshake_took(struct gw_shard *sh, uint64_t ns)
{
    sh->handshake_ns = sh->handshake_ns == 0 ? ns : (3 * sh->handshake_ns + ns) / 4;
}

/* As many as the time for them allows, if they are like the last ones. */
static uint32_t begin_max(const struct gw_shard *sh)
{
    uint64_t time_ns = sh->options.handshake_us_per_turn * GW_NS_PER_US;

    if (time_ns >= sh->handshake_ns * sh->options.handshakes_per_turn)
        return sh->options.handshakes_per_turn;
    return time_ns < sh->handshake_ns ? 1 : (uint32_t)(time_ns / sh->handshake_ns);
}

void admit_handshakes(struct gw_shard *sh)
{
    uint32_t begun = 0;

    for (uint32_t n = 0; n < LOOKED_AT_PER_TURN_MAX && begun < begin_max(sh) && has_room(sh); n++) {
        struct gw_session *s = session_at(sh, slot_list_pop(sh, &sh->hellos));

        if (s->state == GW_SESSION_HANDSHAKE)
            admit(sh, s);
        begun += s->state == GW_SESSION_HANDSHAKE;
        retire_if_quiet(sh, s);
    }
}
