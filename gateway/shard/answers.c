/*
 * Answers that promise durability: they wait, in the order of the lane's sequence numbers, until
 * the batch that holds the session's newest record is on disk.
 *
 * One bounded ring for the whole shard. A PING takes at most one place in it per session, whatever
 * the device sends: only the newest waiting id is answered. While a PING waits, or a session is not
 * read because the lane is full, the shard sends a PING of its own every 4 s, because stock clients
 * give up when nothing at all arrives for three times their timeout (6 s in the oldest), and any
 * frame counts.
 *
 *   I1  No answer leaves before gw_lane_durable covers the records that it stands for.
 *   I2  The ring has room for whatever one frame may ask: answers_have_room was asked before.
 *   I3  Answers that could be given stay here while few chunks are free: after a stall of the disk
 *       there are more than there are chunks, which come back as the sends are done.
 */
#include "shard_internal.h"

enum { OWN_PING_EVERY_MS = 4000, OWN_PING_AGAIN_MS = 250, ANSWERS_ROOM = 2 };

static uint32_t waiting_count(const struct gw_shard *sh)
{
    return sh->answers_tail - sh->answers_head;
}

bool answers_have_room(const struct gw_shard *sh)
{
    return waiting_count(sh) + ANSWERS_ROOM <= sh->answers_mask + 1;
}

bool may_tell(const struct gw_shard *sh)
{
    return sh->chunks.taken_count < sh->chunks.slot_count - sh->chunks.slot_count / 8;
}

bool answers_wait_for_chunks(const struct gw_shard *sh)
{
    return waiting_count(sh) > 0 && !may_tell(sh);
}

bool answers_wait(const struct gw_shard *sh)
{
    return waiting_count(sh) > 0;
}

static void push(struct gw_shard *sh, struct gw_session *s, enum waiting_kind kind, uint16_t msg_id,
                 uint16_t status, uint64_t sequence)
{
    gw_assert(waiting_count(sh) <= sh->answers_mask); /* I2 */
    sh->answers[sh->answers_tail++ & sh->answers_mask] =
        (struct waiting_answer){.sequence = sequence,
                                .slot = slot_of(sh, s),
                                .generation = s->generation,
                                .msg_id = msg_id,
                                .status = status,
                                .kind = kind};
    if (sequence >= gw_lane_open_sequence(sh->lane))
        sh->flush_urgent = true;
}

void answer_when_durable(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id,
                         uint16_t status)
{
    if (msg_id != 0)
        push(sh, s, WAITING_STATUS, msg_id, status, cold_of(sh, s)->updates_at);
}

void wait_for_sync(struct gw_shard *sh, struct gw_session *s)
{
    COUNT(sh, syncs_waited);
    s->flags |= GW_SESSION_SYNC_WAITS;
    ping_meanwhile(sh, s);
    push(sh, s, WAITING_SYNC, 0, 0, cold_of(sh, s)->updates_at);
}

void answer_http_when_durable(struct gw_shard *sh, struct gw_session *s)
{
    cold_of(sh, s)->http.waits++;
    push(sh, s, WAITING_HTTP, 0, 0, cold_of(sh, s)->updates_at);
}

void ping_meanwhile(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (s->state != GW_SESSION_LIVE)
        return;
    cold->ping_tick = tick_after(sh, OWN_PING_EVERY_MS * GW_NS_PER_MS);
    arm_by(sh, s, ns_of_tick(sh, cold->ping_tick));
}

void answer_ping(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (msg_id == 0)
        return;
    if (!has(s, GW_SESSION_PING_WAITS) && cold->updates_at <= gw_lane_durable(sh->lane)) {
        reply_status(sh, s, msg_id, GW_RESPONSE_OK);
        return;
    }
    cold->ping_id = msg_id;
    if (has(s, GW_SESSION_PING_WAITS))
        return; /* its place in the ring stands; give_durable_answers looks again */
    COUNT(sh, pings_waited);
    s->flags |= GW_SESSION_PING_WAITS;
    ping_meanwhile(sh, s);
    push(sh, s, WAITING_PING, msg_id, GW_RESPONSE_OK, cold->updates_at);
}

void ping_on_timer(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (!has(s, GW_SESSION_PING_WAITS | GW_SESSION_SYNC_WAITS | GW_SESSION_PARKED) ||
        cold->ping_tick > tick_of(sh))
        return;
    if (!may_tell(sh)) {
        cold->ping_tick = tick_after(sh, OWN_PING_AGAIN_MS * GW_NS_PER_MS);
        return;
    }
    struct gw_frame ping = {.type = GW_FRAME_PING, .msg_id = next_own_id(s)};

    COUNT(sh, own_pings);
    reply_frame(sh, s, &ping);
    flush_replies(sh, s);
    cold->ping_tick = tick_after(sh, OWN_PING_EVERY_MS * GW_NS_PER_MS);
}

/* One answer whose sequence is durable. */
static void give(struct gw_shard *sh, struct gw_session *s, const struct waiting_answer *answer)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (answer->kind == WAITING_HTTP) {
        http_give(sh, s);
        return;
    }
    if (answer->kind == WAITING_STATUS) {
        reply_status(sh, s, answer->msg_id, answer->status);
        return;
    }
    gw_assert(has(s, GW_SESSION_PING_WAITS));
    if (cold->updates_at > gw_lane_durable(sh->lane)) {
        /* Newer updates, perhaps a newer PING behind them: wait for those too. */
        push(sh, s, WAITING_PING, cold->ping_id, answer->status, cold->updates_at);
        return;
    }
    s->flags &= ~(uint32_t)GW_SESSION_PING_WAITS;
    reply_status(sh, s, cold->ping_id, answer->status);
}

static void end_of(struct gw_shard *sh, struct gw_session *s)
{
    flush_replies(sh, s);
    if (s->state == GW_SESSION_HTTP)
        resume_reading(sh, s); /* requests may have waited for these answers */
    else
        retire_if_quiet(sh, s);
}

void give_durable_answers(struct gw_shard *sh)
{
    uint64_t durable = gw_lane_durable(sh->lane);
    struct gw_session *last = NULL;

    while (waiting_count(sh) > 0 && may_tell(sh)) {
        struct waiting_answer answer = sh->answers[sh->answers_head & sh->answers_mask];

        if (answer.sequence > durable)
            break;
        sh->answers_head++;
        if (!gw_slab_is_taken(&sh->sessions, answer.slot))
            continue;
        struct gw_session *s = session_at(sh, answer.slot);

        if (s->generation != answer.generation ||
            (s->state != GW_SESSION_LIVE && s->state != GW_SESSION_HTTP))
            continue;
        if (last != s && last != NULL)
            end_of(sh, last);
        last = s;
        if (answer.kind == WAITING_SYNC) {
            end_of(sh, s);
            s->flags &= ~(uint32_t)GW_SESSION_SYNC_WAITS;
            resume_reading(sh, s);
            last = NULL;
            continue;
        }
        if (sh->reply_bytes + GW_HTTP_RESPONSE_HEAD_BYTES > REPLY_BYTES_MAX)
            flush_replies(sh, s);
        if (s->state != GW_SESSION_CLOSING)
            give(sh, s, &answer);
    }
    if (last != NULL)
        end_of(sh, last);
    if (waiting_count(sh) == 0)
        sh->answers_head = sh->answers_tail = 0; /* the same few pages again, not the next ones */
}

bool answers_ask_for_wake(struct gw_shard *sh)
{
    return waiting_count(sh) == 0 || !may_tell(sh) ||
           gw_lane_wake_at(sh->lane, sh->answers[sh->answers_head & sh->answers_mask].sequence);
}
