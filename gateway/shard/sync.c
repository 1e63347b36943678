/*
 * HARDWARE_SYNC: a device asks for last values, one frame a pin comes back, each with the id of the
 * request; a pin without a value is silence. Most sketches ask right after their login, so a fleet
 * that comes back asks once a device. And a device that has told who it is gets, unasked, the
 * values of the pins that are marked for it.
 *
 * The frame stays in front of the session's input until all of it is answered, so nothing of it is
 * kept anywhere else than in `sync_at`.
 *
 * I1  A device sees what it wrote before: the frame is answered once the session's newest record is
 *     durable, for then it is in the values (uplink, I3). It waits for that among the answers.
 *
 * I2  However much is asked for, no more is said than a device may have unsent: the rest follows
 *     when it took some.
 */
#include "shard_internal.h"

#include <errno.h>

#include <gw/wire/body.h>

enum {
    PINS = UINT8_MAX + 1,
};

struct sync {
    struct gw_shard *sh;
    struct gw_session *s;
    uint16_t msg_id; /* 0: each frame is numbered by us */
    bool cut;        /* I2: it goes on later            */
};

/* May one more frame be said? Makes room for it. */
static bool has_room(struct gw_shard *sh, struct gw_session *s, size_t bytes)
{
    const struct gw_session_cold *cold = cold_of(sh, s);

    if (sh->reply_bytes + GW_WEBSOCKET_HEADER_BYTES_MAX + bytes > REPLY_BYTES_MAX)
        flush_replies(sh, s);
    return s->state == GW_SESSION_LIVE &&
           cold->tx_bytes + sh->reply_bytes <= sh->options.tx_bytes_max;
}

/* A hardware write; its body is not in one piece, so it is put together where it goes out. */
static void reply_value(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id,
                        const struct gw_value *value)
{
    uint8_t body[GW_HARDWARE_HEAD_BYTES_MAX], *out;
    size_t bytes = gw_hardware_head(body, value->bank, value->pin);
    struct gw_frame frame = {.type = GW_FRAME_HARDWARE,
                             .msg_id = msg_id != 0 ? msg_id : next_own_id(s),
                             .body = gw_bytes_of(body, bytes)};

    begin_reply(sh, s, gw_frame_bytes(&frame) + value->bytes.size);
    out = sh->replies + sh->reply_bytes;
    sh->reply_bytes += (uint32_t)gw_frame_encode(out, REPLY_BYTES_MAX - sh->reply_bytes, &frame);
    gw_store_be16(out + 3, (uint16_t)(bytes + value->bytes.size));
    memcpy(sh->replies + sh->reply_bytes, value->bytes.data, value->bytes.size);
    sh->reply_bytes += (uint32_t)value->bytes.size;
}

static size_t reply_bytes(const struct gw_value *value)
{
    size_t digits = value->pin < 10 ? 1 : value->pin < 100 ? 2 : 3;

    return GW_FRAME_HEADER_BYTES + sizeof "vw" + digits + 1 + value->bytes.size;
}

enum value_said say_value(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id,
                          const struct gw_value *value)
{
    size_t bytes = reply_bytes(value);

    if (bytes > cold_of(sh, s)->buffer_bytes ||
        bytes > REPLY_BYTES_MAX - GW_WEBSOCKET_HEADER_BYTES_MAX) {
        COUNT(sh, sync_refused); /* it would drop the link */
        return VALUE_TOO_BIG;
    }
    if (!has_room(sh, s, bytes))
        return VALUE_NO_ROOM;
    reply_value(sh, s, msg_id, value);
    return VALUE_SAID;
}

/* False when there is no room for it now. */
static bool say(struct sync *sync, const struct gw_value *value)
{
    switch (say_value(sync->sh, sync->s, sync->msg_id, value)) {
    case VALUE_SAID:
        COUNT(sync->sh, sync_values);
        return true;
    case VALUE_TOO_BIG:
        return true;
    case VALUE_NO_ROOM:
        sync->cut = true;
        return false;
    }
    gw_unreachable("said, or not");
}

static bool visit(void *context, const struct gw_value *value)
{
    struct sync *sync = context;

    sync->s->sync_at = value->pin;
    return say(sync, value);
}

struct pin_source pins_of(const struct gw_shard *sh, uint32_t device, uint32_t product)
{
    return (struct pin_source){
        .values = sh->values, .index = sh->reader, .device = device, .product = product};
}

static struct pin_source source_of(const struct sync *sync)
{
    return pins_of(sync->sh, sync->s->device, cold_of(sync->sh, sync->s)->product);
}

/* From pin sync_at on. Virtual pins alone: the others are what the board has measured, and it would
   take them for orders. */
static void say_all(struct sync *sync, enum pin_choice choice)
{
    struct pin_source source = source_of(sync);

    if (pin_values_each(&source, sync->s->sync_at, choice, visit, sync) != 0)
        COUNT(sync->sh, sync_refused);
}

/* In the order of the request, each once: a short request must not ask for much. The first sync_at
   of them were answered. */
static void say_pins(struct sync *sync, char bank, struct gw_bytes rest)
{
    struct gw_shard *sh = sync->sh;
    struct pin_source source = source_of(sync);
    bool named[PINS] = {false};
    struct gw_bytes part;
    uint32_t number = 0;

    while (!sync->cut && gw_body_next(&rest, &part)) {
        struct gw_value value;
        uint8_t pin;

        if (!gw_pin_parse(part, &pin) || named[pin])
            continue;
        named[pin] = true;
        if (number++ < sync->s->sync_at)
            continue;
        int err = pin_value_get(&source, bank, pin, &value);

        if (err == 0 && !say(sync, &value))
            sync->s->sync_at = (uint8_t)(number - 1);
        if (err != 0 && err != -ENOENT)
            COUNT(sh, sync_refused);
    }
}

bool answer_sync(struct gw_shard *sh, struct gw_session *s, const struct gw_session_todo *todo)
{
    struct sync sync = {.sh = sh, .s = s, .msg_id = todo->msg_id};
    struct gw_sync_pins pins;

    if (sh->values == NULL || todo->msg_id == 0 || has(s, GW_SESSION_GOODBYE))
        return true;                                              /* nothing can be said */
    if (cold_of(sh, s)->updates_at > gw_lane_durable(sh->lane)) { /* I1 */
        wait_for_sync(sh, s);
        return false;
    }
    if (gw_sync_parse(todo->asked, &pins) == GW_SYNC_ALL)
        say_all(&sync, PINS_SYNCED);
    else
        say_pins(&sync, pins.bank, pins.pins);
    if (sync.cut && s->state == GW_SESSION_LIVE)
        return false; /* on_send comes back */
    s->sync_at = 0;
    COUNT(sh, syncs);
    return true;
}

bool give_marked(struct gw_shard *sh, struct gw_session *s)
{
    struct sync sync = {.sh = sh, .s = s};

    if (sh->values != NULL && s->state == GW_SESSION_LIVE && !has(s, GW_SESSION_GOODBYE))
        say_all(&sync, PINS_MARKED);
    if (sync.cut && s->state == GW_SESSION_LIVE)
        return false;
    s->flags &= ~(uint32_t)GW_SESSION_SYNC_OWED;
    s->sync_at = 0;
    return true;
}
