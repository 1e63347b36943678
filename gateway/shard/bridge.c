/*
 * BRIDGE of old firmware (docs/protocol.md): a device names another by its token, and from then on
 * writes to that one's pins. Both belong to one organisation.
 *
 * Few devices do this, so sessions have no room for it: a set is acquired with the first target and
 * found by its session's slot. They lie side by side, and are looked through from the first to the
 * last; that is done for BRIDGE frames, and for changes of the index, alone.
 *
 * A target whose token would no longer be granted is forgotten (revoke.c); writes to it are then
 * answered as those to a number that was never given.
 */
#include "shard_internal.h"

#include <gw/crypto/crypto.h>
#include <gw/token/catalog.h>

uint64_t bridge_bytes(const struct gw_shard_options *options)
{
    return (uint64_t)options->bridge_sessions_max * sizeof(struct bridge_set);
}

static struct bridge_set *set_of(struct gw_shard *sh, const struct gw_session *s)
{
    uint32_t slot = slot_of(sh, s), i = 0;

    if (!has(s, GW_SESSION_BRIDGES))
        return NULL;
    while (sh->bridges[i].slot != slot) {
        i++;
        gw_assert(i < sh->bridge_count);
    }
    return &sh->bridges[i];
}

static struct bridge_set *make_set(struct gw_shard *sh, struct gw_session *s)
{
    struct bridge_set *set = &sh->bridges[sh->bridge_count++];

    *set = (struct bridge_set){.slot = slot_of(sh, s)};
    s->flags |= GW_SESSION_BRIDGES;
    return set;
}

void forget_bridges(struct gw_shard *sh, struct gw_session *s)
{
    struct bridge_set *set = set_of(sh, s);

    if (set == NULL)
        return;
    *set = sh->bridges[--sh->bridge_count];
    s->flags &= ~(uint32_t)GW_SESSION_BRIDGES;
}

/* The device behind a token of the session's organisation: 200, or the status to refuse with. */
static uint16_t find_target(struct gw_shard *sh, struct gw_session *s, struct gw_bytes text,
                            struct gw_grant *grant)
{
    const struct gw_index_view *view;
    struct gw_product_info product;
    uint8_t token[GW_TOKEN_BYTES];
    bool shaped = gw_token_from_text(text, token);
    enum gw_login login = gw_index_login(sh->reader, shaped ? token : NULL, true,
                                         gw_ring_wall_us(sh->ring) / 1000000, grant);

    gw_wipe(token, sizeof token);
    gw_wipe((uint8_t *)(uintptr_t)text.data, text.size); /* where it came in: nobody looks again */
    if (login == GW_LOGIN_UNAVAILABLE)
        return GW_RESPONSE_SERVER_EXCEPTION;
    if (login != GW_LOGIN_GRANTED)
        return GW_RESPONSE_NOT_ALLOWED;
    view = gw_index_reader_view(sh->reader);
    if (view == NULL || gw_catalog_product(view, cold_of(sh, s)->product, &product) != 0)
        return GW_RESPONSE_SERVER_EXCEPTION;
    return product.org == grant->org ? GW_RESPONSE_OK : GW_RESPONSE_NOT_ALLOWED;
}

static uint16_t name_target(struct gw_shard *sh, struct gw_session *s,
                            const struct gw_bridge *bridge)
{
    struct bridge_set *set = set_of(sh, s);
    struct gw_grant grant = {0};
    uint16_t status;

    if (set == NULL && sh->bridge_count == sh->options.bridge_sessions_max)
        return GW_RESPONSE_SERVER_EXCEPTION;
    if (set != NULL && set->devices[bridge->number] == 0 &&
        set->count == sh->options.bridge_targets_max)
        return GW_RESPONSE_NOT_ALLOWED;
    if ((status = find_target(sh, s, bridge->token, &grant)) != GW_RESPONSE_OK)
        return status;
    if (set == NULL)
        set = make_set(sh, s);
    set->count += set->devices[bridge->number] == 0;
    set->devices[bridge->number] = grant.device;
    set->generations[bridge->number] = grant.generation;
    return GW_RESPONSE_OK;
}

/* False: whether it may still be written to cannot be told. */
static bool recheck_target(struct gw_shard *sh, struct bridge_set *set, size_t i)
{
    struct gw_grant grant = {0};
    enum gw_login login = gw_index_recheck(sh->reader, set->devices[i], set->generations[i], true,
                                           gw_ring_wall_us(sh->ring) / 1000000, &grant);

    if (login == GW_LOGIN_UNAVAILABLE)
        return false;
    if (login != GW_LOGIN_GRANTED || grant.generation != set->generations[i]) {
        set->devices[i] = 0;
        set->count--;
    }
    return true;
}

uint32_t recheck_bridges_to(struct gw_shard *sh, uint32_t device)
{
    uint32_t untold = 0;

    for (uint32_t number = 0; number < sh->bridge_count; number++)
        for (size_t i = 0; i < GW_BRIDGES_MAX; i++)
            if (sh->bridges[number].devices[i] == device)
                untold += !recheck_target(sh, &sh->bridges[number], i);
    return untold;
}

uint32_t recheck_bridge_set(struct gw_shard *sh, uint32_t number, uint32_t *looked)
{
    struct bridge_set *set = &sh->bridges[number];
    uint32_t untold = 0;

    gw_assert(number < sh->bridge_count);
    for (size_t i = 0; i < GW_BRIDGES_MAX; i++) {
        if (set->devices[i] == 0)
            continue;
        ++*looked;
        untold += !recheck_target(sh, set, i);
    }
    return untold;
}

/* 0: nothing is said, as to every write. */
static uint16_t status_of(enum gw_downlink_result result)
{
    switch (result) {
    case GW_DOWNLINK_UNDER_WAY:
    case GW_DOWNLINK_DELIVERED:
    case GW_DOWNLINK_OWED:
        break;
    case GW_DOWNLINK_OFFLINE:
    case GW_DOWNLINK_GONE:
        return GW_RESPONSE_NOT_IN_NETWORK;
    case GW_DOWNLINK_TOO_BIG:
        return GW_RESPONSE_ILLEGAL_BODY;
    case GW_DOWNLINK_BUSY:
        return GW_RESPONSE_SERVER_EXCEPTION;
    case GW_DOWNLINK_RESULTS:
        gw_unreachable("no such result");
    }
    return 0;
}

static void on_bridged(struct gw_shard *sh, const struct downlink_origin *origin,
                       enum gw_downlink_result result)
{
    uint16_t status = status_of(result);

    if (status == 0 || !gw_slab_is_taken(&sh->sessions, origin->slot))
        return;
    struct gw_session *s = session_at(sh, origin->slot);

    if (s->generation != origin->generation || s->state != GW_SESSION_LIVE)
        return;
    reply_status(sh, s, (uint16_t)origin->tag, status);
    flush_replies(sh, s);
    retire_if_quiet(sh, s);
}

static uint16_t write_to(struct gw_shard *sh, struct gw_session *s, const struct gw_bridge *bridge,
                         uint16_t msg_id)
{
    const struct bridge_set *set = set_of(sh, s);
    struct downlink_origin origin = {.slot = slot_of(sh, s),
                                     .generation = s->generation,
                                     .tag = msg_id,
                                     .recorded_as = GW_RECORD_FROM_BRIDGE,
                                     .done = on_bridged};
    struct gw_frame frame = {.type = GW_FRAME_BRIDGE, .msg_id = msg_id, .body = bridge->write};

    if (set == NULL || set->devices[bridge->number] == 0)
        return GW_RESPONSE_NOT_ALLOWED;
    return status_of(downlink_send(sh, &origin, set->devices[bridge->number], &frame));
}

void do_bridge(struct gw_shard *sh, struct gw_session *s, struct gw_session_todo *todo)
{
    struct gw_bridge bridge;
    bool parsed = gw_bridge_parse(todo->asked, &bridge);

    gw_assert(parsed); /* or it had not been asked */
    todo->status = bridge.write.size > 0 ? write_to(sh, s, &bridge, todo->msg_id)
                                         : name_target(sh, s, &bridge);
    if (todo->status != 0)
        todo->answer = GW_ANSWER_NOW;
}
