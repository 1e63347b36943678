/*
 * Messages to devices, on whatever shard they are connected: to the device's owner, which knows
 * where; to the shard that has its session, which puts the frame into its transmit queue; and the
 * result back to whoever asked (gw/shard/downlink.h).
 *
 * Between shards a message is its asker's memory, passed on through inboxes that cannot be full.
 * A shard asks no more at once than its pool has messages, so the pools bound count and bytes.
 *
 * A device that logs in elsewhere meanwhile: the owner sends to the newest place it knows of, and
 * a session is the one that was meant only in the same life of its slot. So a frame reaches one
 * connection at most, and one that closed first is told of as gone.
 *
 *   I1  What was asked is answered exactly once: a message is in one inbox, or in the hands of one
 *       shard, or in its asker's pool.
 *   I2  A frame has an id, and lies whole in one record as far as the device's records allow.
 */
#include "shard_internal.h"

/* A message of this shard's own asking. */
struct asked {
    struct gw_downlink downlink; /* first */
    struct downlink_origin origin;
    uint8_t body[];
};

/* Chunks beyond those that a frame fills: ends of records, and a begun one. */
enum { CHUNKS_SPARE = 3 };

const char *gw_downlink_word(enum gw_downlink_result result)
{
    static const char *const words[GW_DOWNLINK_RESULTS] = {
        [GW_DOWNLINK_UNDER_WAY] = "under_way", [GW_DOWNLINK_DELIVERED] = "delivered",
        [GW_DOWNLINK_OFFLINE] = "offline",     [GW_DOWNLINK_TOO_BIG] = "too_big",
        [GW_DOWNLINK_BUSY] = "busy",           [GW_DOWNLINK_GONE] = "gone",
        [GW_DOWNLINK_OWED] = "owed",
    };

    return words[result];
}

uint32_t downlink_slot_bytes(const struct gw_shard_options *options)
{
    return (uint32_t)(sizeof(struct asked) + options->limits.frame_body_bytes_max + 7) & ~7u;
}

/* To `number`, which owns it from now on. Our own are looked at before we sleep. */
static void pass_to(struct gw_shard *sh, uint32_t number, struct gw_downlink *downlink)
{
    struct gw_shard *to = shard_at(sh, number);

    if (gw_inbox_put(&to->downlinks, &downlink->item) && to != sh)
        gw_ring_wake_from(sh->ring, to->ring);
}

static void count_result(struct gw_shard *sh, enum gw_downlink_result result)
{
    switch (result) {
    case GW_DOWNLINK_DELIVERED:
        COUNT(sh, downlinks_sent);
        break;
    case GW_DOWNLINK_OFFLINE:
        COUNT(sh, downlinks_offline);
        break;
    case GW_DOWNLINK_TOO_BIG:
        COUNT(sh, downlinks_too_big);
        break;
    case GW_DOWNLINK_BUSY:
        COUNT(sh, downlinks_busy);
        break;
    case GW_DOWNLINK_GONE:
        COUNT(sh, downlinks_gone);
        break;
    case GW_DOWNLINK_OWED:
        COUNT(sh, downlinks_owed);
        break;
    case GW_DOWNLINK_UNDER_WAY:
    case GW_DOWNLINK_RESULTS:
        gw_unreachable("a result that is none");
    }
}

static void answer(struct gw_shard *sh, struct gw_downlink *downlink,
                   enum gw_downlink_result result)
{
    struct gw_downlink_desk *desk = downlink->desk;

    if (!downlink->question)
        count_result(sh, result);
    downlink->step = GW_DOWNLINK_ANSWERED;
    downlink->result = result;
    if (desk == NULL)
        pass_to(sh, downlink->asker, downlink);
    else if (gw_inbox_put(&desk->answers, &downlink->item))
        desk->wake(desk->context);
}

/* ---- asking ---- */

/* For so many messages at once. A quarter is left to devices that write to others. */
static bool has_room_for(const struct gw_shard *sh, uint32_t count)
{
    const struct gw_slab *asked = &sh->asked;

    return asked->taken_count == 0 ||
           asked->taken_count + count + asked->slot_count / 4 <= asked->slot_count;
}

bool may_ask_for_downlinks(const struct gw_shard *sh, uint32_t count)
{
    return count == 0 ||
           ((sh->asked_parked.count == 0 || sh->asked_resumes) && has_room_for(sh, count));
}

void park_for_downlinks(struct gw_shard *sh, struct gw_session *s)
{
    COUNT(sh, parked_for_downlinks);
    slot_list_push(sh, &sh->asked_parked, slot_of(sh, s));
}

void resume_for_downlinks(struct gw_shard *sh)
{
    uint32_t count = sh->asked_parked.count;

    sh->asked_resumes = true;
    while (count-- > 0 && (has_room_for(sh, HTTP_RECORDS_MAX) || sh->phase != SHARD_SERVING))
        resume_reading(sh, session_at(sh, slot_list_pop(sh, &sh->asked_parked)));
    sh->asked_resumes = false;
}

enum gw_downlink_result downlink_send(struct gw_shard *sh, const struct downlink_origin *origin,
                                      uint32_t device, const struct gw_frame *frame)
{
    enum gw_downlink_result refusal = GW_DOWNLINK_UNDER_WAY;
    uint32_t slot = GW_NONE;

    if (frame->body.size > sh->options.limits.frame_body_bytes_max)
        refusal = GW_DOWNLINK_TOO_BIG;
    else if ((slot = gw_slab_acquire(&sh->asked)) == GW_NONE)
        refusal = GW_DOWNLINK_BUSY;
    if (refusal != GW_DOWNLINK_UNDER_WAY) {
        count_result(sh, refusal);
        return refusal;
    }
    struct asked *asked = gw_slab_at(&sh->asked, slot);

    asked->downlink = (struct gw_downlink){.asker = sh->options.number,
                                           .device = device,
                                           .frame = *frame,
                                           .recorded_as = origin->recorded_as,
                                           .kept_at = origin->kept_at,
                                           .kept_by = sh->options.number};
    asked->origin = *origin;
    if (frame->body.size > 0)
        memcpy(asked->body, frame->body.data, frame->body.size);
    asked->downlink.frame.body.data = asked->body;
    pass_to(sh, device % sh->options.count, &asked->downlink);
    return GW_DOWNLINK_UNDER_WAY;
}

void gw_shard_downlink(struct gw_shard *any, struct gw_downlink *downlink)
{
    struct gw_shard *owner = shard_at(any, downlink->device % any->options.count);

    gw_assert(downlink->desk != NULL);
    downlink->step = GW_DOWNLINK_ASKED;
    downlink->result = GW_DOWNLINK_UNDER_WAY;
    if (gw_inbox_put(&owner->downlinks, &downlink->item))
        gw_ring_wake(owner->ring);
}

/* ---- the owner ---- */

static void on_asked(struct gw_shard *sh, struct gw_downlink *downlink)
{
    struct place place = directory_find(&sh->directory, downlink->device);

    if (downlink->recorded_as != 0 && !record_written(sh, downlink)) {
        answer(sh, downlink, GW_DOWNLINK_BUSY);
        return;
    }
    if (place.device == 0) {
        answer(sh, downlink, GW_DOWNLINK_OFFLINE);
        return;
    }
    downlink->step = GW_DOWNLINK_FOUND;
    downlink->shard = place.shard;
    downlink->slot = place.slot;
    downlink->generation = place.generation;
    pass_to(sh, place.shard, downlink);
}

/* ---- the holder ---- */

/* The session that was meant, or NULL: it has closed. */
static struct gw_session *session_of(const struct gw_shard *sh, const struct gw_downlink *downlink)
{
    gw_assert(downlink->slot < sh->sessions.slot_count);
    if (!gw_slab_is_taken(&sh->sessions, downlink->slot))
        return NULL;
    struct gw_session *s = session_at(sh, downlink->slot);
    bool same = (s->generation & GW_OP_GENERATION_MASK) == downlink->generation &&
                s->device == downlink->device && s->state == GW_SESSION_LIVE;

    return same && !has(s, GW_SESSION_PEER_GONE | GW_SESSION_SHUT | GW_SESSION_GOODBYE) ? s : NULL;
}

uint16_t next_own_id(struct gw_session *s)
{
    s->own_id = s->own_id == UINT16_MAX ? 1 : (uint16_t)(s->own_id + 1);
    return s->own_id;
}

static bool chunks_have_room(const struct gw_shard *sh, size_t bytes)
{
    return sh->chunks.slot_count - sh->chunks.taken_count >=
           bytes / GW_CHUNK_DATA_BYTES + CHUNKS_SPARE;
}

static bool is_busy(const struct gw_shard *sh, const struct gw_session_cold *cold, size_t bytes)
{
    return (cold->tx_bytes > 0 && cold->tx_bytes + bytes > sh->options.downlink_bytes_max) ||
           !chunks_have_room(sh, bytes);
}

static enum gw_downlink_result put(struct gw_shard *sh, struct gw_session *s,
                                   struct gw_downlink *downlink)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    struct gw_frame *frame = &downlink->frame;
    size_t bytes = gw_frame_bytes(frame);

    if ((cold->product_flags & GW_PRODUCT_INFO_REQUIRED) != 0 && !has(s, GW_SESSION_INFO_SEEN))
        return GW_DOWNLINK_OFFLINE;
    /* Some clients compare their buff-in with the body, others with the whole frame. */
    if (bytes > cold->buffer_bytes || bytes > REPLY_BYTES_MAX - GW_WEBSOCKET_HEADER_BYTES_MAX)
        return GW_DOWNLINK_TOO_BIG;
    if (is_busy(sh, cold, bytes)) /* who sees the result, sees to it that it is said again */
        return downlink->recorded_as == 0 && owe(sh, s, downlink) ? GW_DOWNLINK_OWED
                                                                  : GW_DOWNLINK_BUSY;
    if (!may_overtake_owed(sh, s, downlink))
        return GW_DOWNLINK_BUSY;
    if (frame->msg_id == 0)
        frame->msg_id = next_own_id(s); /* I2 */
    gw_assert(sh->reply_bytes == 0);
    reply_frame(sh, s, frame);
    flush_replies(sh, s);
    return s->state == GW_SESSION_LIVE ? GW_DOWNLINK_DELIVERED : GW_DOWNLINK_GONE;
}

static void on_found(struct gw_shard *sh, struct gw_downlink *downlink)
{
    struct gw_session *s = session_of(sh, downlink);
    enum gw_downlink_result result = GW_DOWNLINK_GONE;

    if (s != NULL) {
        /* deadline_tick is login_s_max behind the login. */
        uint64_t login_ns =
            ns_of_tick(sh, cold_of(sh, s)->deadline_tick) - sh->options.login_s_max * GW_NS_PER_S;
        uint64_t ago_ns = gw_ns_between((struct gw_instant){.ns = login_ns}, now_of(sh));

        downlink->since_us = gw_ring_wall_us(sh->ring) - ago_ns / GW_NS_PER_US;
        result = downlink->question ? GW_DOWNLINK_DELIVERED : put(sh, s, downlink);
        retire_if_quiet(sh, s);
    }
    answer(sh, downlink, result);
}

/* ---- the asker ---- */

static void on_answered(struct gw_shard *sh, struct gw_downlink *downlink)
{
    struct asked *asked = (struct asked *)downlink;
    struct downlink_origin origin = asked->origin;
    enum gw_downlink_result result = downlink->result;
    uint32_t slot = (uint32_t)(((const uint8_t *)asked - sh->asked.slots) / sh->asked.slot_bytes);

    gw_assert(downlink->asker == sh->options.number);
    gw_slab_release(&sh->asked, slot); /* before the call, which may ask again */
    origin.done(sh, &origin, result);
}

struct gw_inbox_item *downlinks_take(struct gw_shard *sh)
{
    struct gw_inbox_item *items = gw_inbox_take(&sh->downlinks);

    if (items != NULL)
        sh->mail_arrived = true;
    return items;
}

void downlinks_handle(struct gw_shard *sh, struct gw_inbox_item *items)
{
    while (items != NULL) {
        struct gw_downlink *downlink = (struct gw_downlink *)items;

        items = items->next; /* before it is passed on */
        switch (downlink->step) {
        case GW_DOWNLINK_ASKED:
            on_asked(sh, downlink);
            break;
        case GW_DOWNLINK_FOUND:
            on_found(sh, downlink);
            break;
        case GW_DOWNLINK_ANSWERED:
            on_answered(sh, downlink);
            break;
        }
    }
}
