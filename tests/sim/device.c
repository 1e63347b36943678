#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/wire/body.h>
#include <gw/wire/frame.h>

#include "operator.h"

/* The gateway numbers its own frames from 1: so an id says whose it is. */
enum { ID_LOGIN = 1, ID_FIRST = 20000 };

static uint16_t take_id(struct device *device)
{
    device->next_id = device->next_id == UINT16_MAX ? ID_FIRST : (uint16_t)(device->next_id + 1);
    return device->next_id;
}

/* Queues a frame. */
static bool say(struct device *device, uint8_t type, uint16_t id, const void *body, size_t bytes)
{
    struct gw_frame frame = {.type = type, .msg_id = id, .body = gw_bytes_of(body, bytes)};
    size_t used = gw_frame_encode(device->out + device->out_bytes,
                                  sizeof device->out - device->out_bytes, &frame);

    device->out_bytes += (uint32_t)used;
    return used > 0;
}

/* Sends what fits, in pieces of any size; how many bytes were taken, 0: none now. */
static uint32_t send_some(struct device *device, struct chance *chance)
{
    uint32_t count = pretend.calm ? device->out_bytes : 1 + chance_below(chance, device->out_bytes);

    if (device->wraps)
        return wrapping_say(&device->wrapping, device->out, count, chance);
    return wire_write(&device->wire, device->out, count, chance) ? count : 0;
}

static void flush(struct device *device, struct chance *chance)
{
    if (device->out_bytes > 0 && !device->logged_in)
        device->asked_ns = pretend.now_ns;
    while (device->out_bytes > 0) {
        uint32_t count = send_some(device, chance);

        if (count == 0)
            break;
        device->out_bytes -= count;
        memmove(device->out, device->out + count, device->out_bytes);
        if (!pretend.calm && chance_one_in(chance, 4))
            break;
    }
    if (device->wraps)
        wrapping_flush(&device->wrapping, &device->wire, chance);
    if (device->seals)
        wire_flush(&device->wire, chance);
}

void device_take_token(struct device *device, const struct world_tokens *tokens)
{
    memcpy(device->text, tokens->text[device->token], sizeof device->text);
    device->drawn = device->token < tokens->count ? tokens->fate[device->token].drawn : 0;
    device->refused_for_good = false;
}

bool device_asks_to_be_let_in(const struct device *device)
{
    return device->wire.connection != NULL && !device->logged_in &&
           device->asked_ns == pretend.now_ns;
}

bool device_is_served(const struct device *device)
{
    const struct wire *wire = &device->wire;

    return wire->connection != NULL && device->logged_in && !wire_is_over(wire) &&
           !wire->connection->reset;
}

bool device_is_up_to_date(const struct device *device, const struct ledger *ledger, uint8_t pin)
{
    uint32_t last = ledger_last(ledger, device->token, pin);

    return last < device->begun || !ledger_is_passed_on(ledger, last) ||
           (device->heard[last / 8] >> last % 8 & 1) != 0;
}

static void leave(struct device *device, struct chance *chance)
{
    if (device->wraps && chance_one_in(chance, 2)) {
        wrapping_say_close(&device->wrapping);
        wrapping_flush(&device->wrapping, &device->wire, chance);
    }
    wire_close(&device->wire, chance);
    device->logged_in = false;
    device->in_bytes = device->out_bytes = 0;
    device->ping.id = device->property.id = device->sync.id = 0;
    device->back_ns =
        pretend.now_ns + (uint64_t)chance_below(chance, pretend.calm ? 20000 : 1000) * 1000000;
}

/* ---- what it is told ---- */

static void on_barrier(struct device *device, struct barrier *barrier, struct barrier *other,
                       struct ledger *ledger)
{
    for (uint32_t i = 0; i < barrier->covers; i++)
        ledger_acknowledged(ledger, device->unanswered[i]);
    device->unanswered_count -= barrier->covers;
    memmove(device->unanswered, device->unanswered + barrier->covers,
            device->unanswered_count * sizeof device->unanswered[0]);
    other->covers -= barrier->covers < other->covers ? barrier->covers : other->covers;
    barrier->id = 0;
}

static void on_pong(struct device *device, struct ledger *ledger)
{
    const struct sync *sync = &device->sync;

    on_barrier(device, &device->ping, &device->property, ledger);
    if (sync->id == 0 || !sync->pinged)
        return;
    /* What had a value was told before, unless the index could not say what else to tell. */
    for (uint32_t i = 0; i < PINS; i++)
        gw_assert(!sync->pins[i].asked || sync->pins[i].answered ||
                  (sync->pins[i].version == 0 && sync->pins[i].own == 0) ||
                  pretend.seen.index_failed_ns >= sync->asked_ns);
    device->sync.id = 0;
}

/* The operator wrote its token's index to it: to it, and to nobody else. */
static void on_told(struct device *device, struct gw_bytes value)
{
    char text[8] = "";

    gw_assert(value.size < sizeof text);
    memcpy(text, value.data, value.size);
    gw_assert(strtoul(text, NULL, 10) == device->token);
    device->told++;
}

/* "vw", pin, value: over HTTP, or because it asked. */
static void on_value(struct device *device, const struct gw_frame *frame,
                     const struct ledger *ledger)
{
    struct gw_pin_write write;
    enum gw_hardware kind = gw_hardware_parse(frame->body, &write);

    gw_assert(device->logged_in && kind == GW_HARDWARE_WRITE && write.bank == 'v');
    if (write.pin == OPERATOR_PIN) {
        on_told(device, write.value);
        return;
    }
    if (write.pin == BRIDGED_PIN) { /* last written by another device */
        gw_assert(frame->msg_id == device->sync.id);
        return;
    }
    uint32_t number = ledger_number(ledger, write.value, device->token, write.pin);
    uint32_t version = ledger_version(ledger, number);

    device->heard[number / 8] |= (uint8_t)(1 << number % 8);
    if (frame->msg_id < ID_FIRST) {
        device->forwarded++;
        return;
    }
    struct sync *sync = &device->sync;
    uint32_t pin = write.pin - PIN_FIRST;

    gw_assert(frame->msg_id == sync->id && sync->pins[pin].asked);
    gw_assert(!sync->pins[pin].answered); /* once */
    gw_assert(version > 0 && version >= sync->pins[pin].version);
    if (sync->pins[pin].own != 0) {
        uint32_t own = ledger_version(ledger, sync->pins[pin].own);

        gw_assert(own > 0 && version >= own);
    }
    sync->pins[pin].answered = true;
    device->synced++;
}

/* Another device wrote to it, for it has named it. */
static void on_bridged(struct device *device, struct gw_bytes body)
{
    char text[32] = "";
    unsigned long long named;
    unsigned pin;

    gw_assert(device->logged_in && body.size < sizeof text);
    for (size_t i = 0; i < body.size; i++)
        text[i] = body.data[i] == 0 ? ' ' : (char)body.data[i];
    int fields = sscanf(text, "vw %u %llx", &pin, &named);

    gw_assert(fields == 2 && pin == BRIDGED_PIN && device->token < TOKENS_MAX &&
              (named >> device->token & 1) != 0);
    device->bridged++;
}

/* No wrong 9, at the login or later. */
static void judge_refusal(struct device *device, const struct gw_frame *frame,
                          const struct world_tokens *tokens)
{
    if (frame->status != GW_RESPONSE_INVALID_TOKEN)
        return;
    gw_assert(token_was_unknown(tokens, device->token, device->drawn, device->asked_ns));
    device->refused_for_good = true;
}

static void on_login_answer(struct device *device, const struct gw_frame *frame,
                            const struct surroundings *around)
{
    const struct world_tokens *tokens = around->tokens;

    gw_assert(frame->msg_id == ID_LOGIN);
    judge_refusal(device, frame, tokens);
    gw_assert(frame->status != GW_RESPONSE_OK ||
              token_was_good(tokens, device->token, device->drawn, device->asked_ns));
    device->logged_in = frame->status == GW_RESPONSE_OK;
    device->begun = ledger_next(around->ledger);
    memset(device->heard, 0, sizeof device->heard);
}

static void on_frame(struct device *device, const struct gw_frame *frame,
                     const struct surroundings *around)
{
    gw_assert(frame->msg_id != 0); /* it would make a real client drop the link */
    pretend_trace((uint64_t)frame->type << 32 ^ (uint64_t)frame->msg_id << 16 ^ frame->status);
    switch (frame->type) {
    case GW_FRAME_PING:
        (void)say(device, GW_FRAME_RESPONSE, frame->msg_id, NULL, 0);
        return;
    case GW_FRAME_BRIDGE:
        on_bridged(device, frame->body);
        return;
    case GW_FRAME_HARDWARE:
        on_value(device, frame, around->ledger);
        return;
    default:
        gw_assert(frame->type == GW_FRAME_RESPONSE);
        break;
    }
    if (!device->logged_in) {
        on_login_answer(device, frame, around);
        return;
    }
    judge_refusal(device, frame, around->tokens);
    if (frame->msg_id == device->info.id) {
        gw_assert(
            frame->status != GW_RESPONSE_NOT_AUTHENTICATED || device->info.wrong ||
            !token_stayed_good(around->tokens, device->token, device->drawn, device->asked_ns));
        device->info.id = 0;
    }
    if (frame->status != GW_RESPONSE_OK)
        return;
    if (frame->msg_id == device->ping.id)
        on_pong(device, around->ledger);
    else if (frame->msg_id == device->property.id)
        on_barrier(device, &device->property, &device->ping, around->ledger);
}

static void listen_to(struct device *device, const struct surroundings *around)
{
    struct gw_frame frame;
    size_t used;

    uint8_t *behind = device->in + device->in_bytes;
    uint32_t room = (uint32_t)sizeof device->in - device->in_bytes;

    device->in_bytes += device->wraps
                            ? wrapping_hear(&device->wrapping, &device->wire, behind, room)
                            : wire_read(&device->wire, behind, room);
    while (gw_frame_decode(gw_bytes_of(device->in, device->in_bytes), 256, &frame, &used) ==
           GW_OK) {
        on_frame(device, &frame, around);
        device->in_bytes -= (uint32_t)used;
        memmove(device->in, device->in + used, device->in_bytes);
    }
}

/* ---- what it does ---- */

static void connect_again(struct device *device, const struct surroundings *around)
{
    struct chance *chance = around->chance;

    wire_open(&device->wire, around->rings[chance_below(chance, around->ring_count)],
              (uint16_t)(1000 + device->number), device->seals, chance);
    if (device->wraps)
        wrapping_begin(&device->wrapping);
    device->next_id = ID_FIRST;
    device->sent = device->unanswered_count = 0;
    device->info.id = 0;
    device->info.wrong = false;
    memset(device->newest, 0, sizeof device->newest);
    memset(device->named, 0, sizeof device->named);
    (void)say(device, GW_FRAME_HW_LOGIN, ID_LOGIN, device->text, GW_TOKEN_TEXT_BYTES);
    if (device->stranger) /* begins to log in, and falls silent */
        device->out_bytes = 1 + chance_below(chance, device->out_bytes - 1);
}

static void update(struct device *device, const struct surroundings *around)
{
    uint8_t pin = (uint8_t)(PIN_FIRST + chance_below(around->chance, PINS));
    char body[24];

    if (device->unanswered_count == UNANSWERED_MAX || device->out_bytes > 128)
        return;
    uint32_t number = ledger_write(around->ledger, device->wire.connection->number,
                                   device->sent + 1, true, device->token, pin);

    if (number == 0)
        return;
    int bytes = snprintf(body, sizeof body, "vw%c%u%c%u", 0, pin, 0, number);
    bool said = say(device, GW_FRAME_HARDWARE, take_id(device), body, (size_t)bytes);

    gw_assert(said);
    device->sent++;
    device->unanswered[device->unanswered_count++] = number;
    device->newest[pin - PIN_FIRST] = number;
}

/* Asks for one pin, or for all. */
static void ask(struct device *device, const struct surroundings *around)
{
    struct sync *sync = &device->sync;
    uint32_t one = chance_below(around->chance, 2 * PINS);
    char body[16];
    int bytes = one >= PINS ? 0 : snprintf(body, sizeof body, "vr%c%u", 0, PIN_FIRST + one);

    if (sync->id != 0 || !say(device, GW_FRAME_HARDWARE_SYNC, take_id(device), body, (size_t)bytes))
        return;
    *sync = (struct sync){.id = device->next_id, .asked_ns = pretend.now_ns};
    for (uint32_t i = 0; i < PINS; i++) {
        uint32_t last = ledger_last(around->ledger, device->token, (uint8_t)(PIN_FIRST + i));

        if (one < PINS && one != i)
            continue;
        sync->pins[i].asked = true;
        sync->pins[i].version = last == 0 ? 0 : ledger_version(around->ledger, last);
        sync->pins[i].own = device->newest[i];
    }
}

static void ping(struct device *device)
{
    if (device->ping.id != 0 || !say(device, GW_FRAME_PING, take_id(device), NULL, 0))
        return;
    device->ping = (struct barrier){.id = device->next_id, .covers = device->unanswered_count};
    device->sync.pinged = true;
}

/*
 * Names one of a few devices, or writes to the one that it gave a number to: a naming may be
 * refused, so that is one of those that it ever gave it to.
 */
static void bridge(struct device *device, const struct surroundings *around)
{
    char body[48];
    uint32_t number = chance_below(around->chance, BRIDGES_MAX);
    uint64_t *named = &device->named[number];
    int bytes;

    if (*named == 0 || chance_one_in(around->chance, 3)) {
        uint32_t token = chance_below(around->chance, around->tokens->count);

        bytes = snprintf(body, sizeof body, "%u%ci%c%.*s", number, 0, 0, GW_TOKEN_TEXT_BYTES,
                         around->tokens->text[token]);
        if (say(device, GW_FRAME_BRIDGE, take_id(device), body, (size_t)bytes))
            *named |= UINT64_C(1) << token;
        return;
    }
    bytes = snprintf(body, sizeof body, "%u%cvw%c%u%c%llx", number, 0, 0, BRIDGED_PIN, 0,
                     (unsigned long long)*named);
    (void)say(device, GW_FRAME_BRIDGE, take_id(device), body, (size_t)bytes);
}

/* What no firmware says. */
static void babble(struct device *device, struct chance *chance)
{
    uint8_t noise[GW_FRAME_HEADER_BYTES];

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(chance_one_in(chance, 2) ? 255 : chance_below(chance, 256));
    if (device->out_bytes + sizeof noise > sizeof device->out)
        return;
    memcpy(device->out + device->out_bytes, noise, sizeof noise);
    device->out_bytes += sizeof noise;
    flush(device, chance);
    leave(device, chance); /* what it says behind it would be read as anything */
}

static void tell_info(struct device *device, const struct surroundings *around)
{
    /* By product; one firmware in 40 was built for the other one. */
    static const char infos[2][24] = {"h-beat\0"
                                      "10\0"
                                      "tmpl\0"
                                      "TMPLfree",
                                      "h-beat\0"
                                      "10\0"
                                      "tmpl\0"
                                      "TMPLtold"};
    bool wrong = !pretend.calm && chance_one_in(around->chance, 40);
    bool told = device->token < around->tokens->count && around->tokens->needs_info[device->token];

    if (say(device, GW_FRAME_INTERNAL, take_id(device), infos[told != wrong],
            sizeof infos[0] - 1) &&
        device->info.id == 0)
        device->info.id = device->next_id;
    device->info.wrong |= wrong;
}

/* Or an event: both are answered when they are on the disk. */
static void tell_property(struct device *device, struct chance *chance)
{
    if (device->property.id != 0)
        return;
    if (chance_one_in(chance, 2) ? say(device, GW_FRAME_PROPERTY, take_id(device), "1\0label\0x", 9)
                                 : say(device, GW_FRAME_EVENT_LOG, take_id(device), "hot\0x", 5))
        device->property =
            (struct barrier){.id = device->next_id, .covers = device->unanswered_count};
}

static void work(struct device *device, const struct surroundings *around)
{
    struct chance *chance = around->chance;

    switch (chance_below(chance, pretend.calm ? 8 : 40)) {
    case 0:
    case 1:
        ping(device);
        break;
    case 2:
        tell_info(device, around);
        break;
    case 3:
        tell_property(device, chance);
        break;
    case 4:
    case 5:
        bridge(device, around);
        break;
    case 6:
        ask(device, around);
        break;
    case 8:
        leave(device, chance);
        break;
    case 9:
        if (!chance_one_in(chance, 20))
            break;
        if (device->seals && chance_one_in(chance, 2))
            wire_spoil(&device->wire, chance);
        else if (device->wraps && chance_one_in(chance, 2))
            wrapping_spoil(&device->wrapping, chance);
        else
            babble(device, chance);
        break;
    case 10:
        if (chance_one_in(chance, 10))
            device->deaf_until_ns =
                pretend.now_ns + (uint64_t)chance_below(chance, 40000) * 1000000;
        break;
    case 11: /* one may begin twice, and end without a beginning */
        (void)say(device, GW_FRAME_GROUP, take_id(device), chance_one_in(chance, 2) ? "b" : "e", 1);
        break;
    default:
        update(device, around);
        break;
    }
}

void device_step(struct device *device, const struct surroundings *around)
{
    const struct wire *wire = &device->wire;

    if (wire->connection == NULL) {
        if (device->refused_for_good && chance_one_in(around->chance, 20))
            device_take_token(device, around->tokens);
        if (pretend.now_ns >= device->back_ns && !device->refused_for_good && !pretend.hush)
            connect_again(device, around);
        return;
    }
    if (pretend.now_ns >= device->deaf_until_ns || pretend.calm)
        listen_to(device, around);
    if (wire_is_over(wire) || (device->wraps && device->wrapping.state >= WRAPPING_CLOSED)) {
        listen_to(device, around); /* what was said before */
        leave(device, around->chance);
        return;
    }
    if (device->logged_in && !pretend.hush)
        work(device, around);
    if (wire->connection != NULL)
        flush(device, around->chance);
}
