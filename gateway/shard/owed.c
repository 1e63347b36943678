/*
 * Pins whose values a device is still to be told. What is written over HTTP has its answer when it
 * is on disk, and nobody hears what became of it on its way to the device. So when the device takes
 * nothing more at the moment, the pin is noted here; once there is room the device is told the
 * value that the pin has by then. Values in between are left out, the last one is not.
 *
 *   I1  What is told is no older than anything that the device was told, or was to be told, of that
 *       pin: it is read when the lanes with all of that are durable, for then it is in the values
 *       (uplink, I3).
 */
#include "shard_internal.h"

#include <errno.h>

static const char banks[] = {'v', 'd', 'a'};

enum {
    BANKS = sizeof banks,
    PINS = UINT8_MAX + 1,
    LANES_MAX = 4, /* with something that is yet to become durable, of one device */
    LOOK_EVERY_MS = 64,
};

struct owed {
    uint32_t slot; /* the session's */
    uint32_t lane_count;
    struct owed_lane {
        uint32_t shard;
        uint64_t sequence;
    } lanes[LANES_MAX];
    uint8_t pins[BANKS][PINS / 8];
};

uint64_t owed_bytes(const struct gw_shard_options *options)
{
    return ((uint64_t)options->owed_max + 1) * sizeof(struct owed);
}

static struct owed *owed_of(const struct gw_shard *sh, const struct gw_session *s)
{
    uint32_t slot = slot_of(sh, s);

    for (uint32_t i = 0; i < sh->owed_count; i++)
        if (sh->owed[i].slot == slot)
            return &sh->owed[i];
    return NULL;
}

static void forget(struct gw_shard *sh, struct owed *owed)
{
    *owed = sh->owed[--sh->owed_count];
}

void forget_owed(struct gw_shard *sh, const struct gw_session *s)
{
    struct owed *owed = owed_of(sh, s);

    if (owed != NULL)
        forget(sh, owed);
}

static uint32_t bank_at(char bank)
{
    uint32_t at = 0;

    while (at < BANKS - 1 && banks[at] != bank)
        at++;
    gw_assert(banks[at] == bank);
    return at;
}

static bool is_noted(const struct owed *owed, const struct gw_pin_write *write)
{
    return (owed->pins[bank_at(write->bank)][write->pin / 8] >> write->pin % 8 & 1) != 0;
}

/* Of the lanes that it waits for, those that have got there; true: of all. */
static bool is_durable(const struct gw_shard *sh, struct owed *owed)
{
    for (uint32_t i = owed->lane_count; i-- > 0;)
        if (gw_lane_durable(shard_at(sh, owed->lanes[i].shard)->lane) >= owed->lanes[i].sequence)
            owed->lanes[i] = owed->lanes[--owed->lane_count];
    return owed->lane_count == 0;
}

/* I1. False: for too many. */
static bool wait_for(const struct gw_shard *sh, struct owed *owed,
                     const struct gw_downlink *downlink)
{
    struct owed_lane *lane = owed->lanes;

    (void)is_durable(sh, owed);
    while (lane < owed->lanes + owed->lane_count && lane->shard != downlink->kept_by)
        lane++;
    if (lane == owed->lanes + LANES_MAX)
        return false;
    if (lane == owed->lanes + owed->lane_count) {
        *lane = (struct owed_lane){.shard = downlink->kept_by};
        owed->lane_count++;
    }
    if (lane->sequence < downlink->kept_at)
        lane->sequence = downlink->kept_at;
    return true;
}

/* Does it write to a pin, so that the value is kept? */
static bool is_kept(const struct gw_shard *sh, const struct gw_downlink *downlink,
                    struct gw_pin_write *write)
{
    return downlink->kept_at != 0 && sh->values != NULL &&
           gw_hardware_parse(downlink->frame.body, write) == GW_HARDWARE_WRITE;
}

bool owe(struct gw_shard *sh, const struct gw_session *s, const struct gw_downlink *downlink)
{
    struct owed *owed = owed_of(sh, s);
    struct gw_pin_write write;

    if (!is_kept(sh, downlink, &write) || (owed == NULL && sh->owed_count == sh->options.owed_max))
        return false;
    if (owed == NULL) {
        if (sh->owed_count == 0)
            sh->owed_look = gw_instant_after(now_of(sh), LOOK_EVERY_MS * GW_NS_PER_MS);
        owed = &sh->owed[sh->owed_count++];
        *owed = (struct owed){.slot = slot_of(sh, s)};
    }
    if (!wait_for(sh, owed, downlink))
        return false;
    owed->pins[bank_at(write.bank)][write.pin / 8] |= (uint8_t)(1 << write.pin % 8);
    return true;
}

bool may_overtake_owed(struct gw_shard *sh, const struct gw_session *s,
                       const struct gw_downlink *downlink)
{
    struct owed *owed = owed_of(sh, s);
    struct gw_pin_write write;

    return owed == NULL || !is_kept(sh, downlink, &write) || !is_noted(owed, &write) ||
           wait_for(sh, owed, downlink);
}

/* False: there is no room for it now. What the device has written since, it knows. */
static bool tell(struct gw_shard *sh, struct gw_session *s, char bank, uint8_t pin)
{
    struct gw_value value;
    int err = gw_values_get(sh->values, s->device, bank, pin, &value);

    if (err != 0 && err != -ENOENT)
        COUNT(sh, sync_refused);
    if (err != 0 || value.origin == GW_VALUE_FROM_DEVICE)
        return true;
    switch (say_value(sh, s, 0, &value)) {
    case VALUE_SAID:
        COUNT(sh, owed_told);
        return true;
    case VALUE_TOO_BIG:
        return true;
    case VALUE_NO_ROOM:
        return false;
    }
    gw_unreachable("said, or not");
}

/* Forgets it when all of it was told. The session may close on the way, which forgets it too. */
static void pay(struct gw_shard *sh, struct owed *owed)
{
    struct gw_session *s = session_at(sh, owed->slot);

    if (!is_durable(sh, owed) ||
        has(s, GW_SESSION_PEER_GONE | GW_SESSION_SHUT | GW_SESSION_GOODBYE))
        return;
    for (uint32_t bank = 0; bank < BANKS; bank++)
        for (uint32_t pin = 0; pin < PINS; pin++) {
            uint8_t *byte = &owed->pins[bank][pin / 8], bit = (uint8_t)(1 << pin % 8);

            if ((*byte & bit) == 0)
                continue;
            if (!tell(sh, s, banks[bank], (uint8_t)pin))
                return;
            *byte &= (uint8_t)~bit;
        }
    forget(sh, owed);
}

uint64_t owed_due_ns(const struct gw_shard *sh)
{
    return sh->owed_count == 0 ? UINT64_MAX : gw_ns_between(now_of(sh), sh->owed_look);
}

void pay_owed(struct gw_shard *sh)
{
    if (owed_due_ns(sh) != 0)
        return;
    sh->owed_look = gw_instant_after(now_of(sh), LOOK_EVERY_MS * GW_NS_PER_MS);
    /* Backwards: the last takes the place of one that is forgotten. */
    for (uint32_t i = sh->owed_count; i-- > 0 && may_tell(sh);) {
        struct gw_session *s = session_at(sh, sh->owed[i].slot);

        pay(sh, &sh->owed[i]);
        flush_replies(sh, s);
        retire_if_quiet(sh, s);
    }
}
