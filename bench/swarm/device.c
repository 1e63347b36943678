/*
 * The life of a simulated device. Runs on its fleet's thread; nothing here blocks.
 *
 * D1: in IDLE, WAITING and OUT the link is closed and nothing of a session is left.
 * D2: counters.connecting and counters.sessions count exactly the devices in CONNECTING, HANDSHAKE,
 *     LOGIN_SENT and in LIVE; enter() is the only writer of `state`.
 */
#include "device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <gw/base/assert.h>

#include "dialect.h"
#include "ledger.h"
#include "revoke.h"
#include "told.h"

enum {
    PING_REPEAT_MS = 6000,
    SILENCE_MS = 18000, /* beyond the heartbeat */
    BUSY_MS = 300,      /* until a device that may not start yet asks again */
    /* What now_ms says when the fleet starts: beyond the longest heartbeat, so that "a heartbeat
       ago" has a number. */
    START_MS = 3600 * 1000,
};

struct swarm_carry {
    size_t bytes;
    uint8_t data[GW_FRAME_HEADER_BYTES + SWARM_BODY_BYTES_MAX];
};

static void fail(struct swarm_fleet *fleet, struct swarm_device *device, enum swarm_cause cause);

static uint32_t slot_of(const struct swarm_fleet *fleet, const struct swarm_device *device)
{
    return (uint32_t)(device - fleet->devices);
}

static uint32_t now_ms(const struct swarm_fleet *fleet)
{
    return START_MS + (uint32_t)(gw_ns_between(fleet->start, fleet->now) / GW_NS_PER_MS);
}

static struct gw_instant at_ms(const struct swarm_fleet *fleet, uint64_t ms)
{
    return gw_instant_after(fleet->start, (ms - START_MS) * GW_NS_PER_MS);
}

static bool is_connecting(uint8_t state)
{
    return state == SWARM_CONNECTING || state == SWARM_HANDSHAKE || state == SWARM_LOGIN_SENT;
}

static void enter(struct swarm_fleet *fleet, struct swarm_device *device,
                  enum swarm_device_state state)
{
    struct swarm_counts *counts = &fleet->counts;

    if (is_connecting(device->state))
        gw_counter_sub(&counts->connecting, 1);
    else if (device->state == SWARM_LIVE)
        gw_counter_sub(&counts->sessions, 1);
    device->state = (uint8_t)state;
    if (is_connecting(device->state))
        gw_counter_add(&counts->connecting, 1);
    else if (device->state == SWARM_LIVE)
        gw_counter_add(&counts->sessions, 1);
    gw_assert((device->link.fd >= 0) == (is_connecting(device->state) || state == SWARM_LIVE));
}

void swarm_device_init(struct swarm_device *device, bool resumes)
{
    *device = (struct swarm_device){.link = SWARM_LINK_CLOSED, .state = SWARM_IDLE};
    device->link.resumes = resumes;
}

static void say_goodbye(struct swarm_fleet *fleet, struct swarm_device *device)
{
    uint8_t out[SWARM_WRITE_BYTES_MAX];
    size_t bytes = fleet->dialect->put_goodbye(out, sizeof out);

    (void)!swarm_link_write(fleet->links, &device->link, gw_bytes_of(out, bytes)); /* it closes */
}

/* Ends the connection, and with a published session its line in the ledger. */
static void hang_up(struct swarm_fleet *fleet, struct swarm_device *device, bool politely)
{
    if (device->state == SWARM_LIVE && device->counter >= device->session_first &&
        fleet->ledger != NULL)
        swarm_ledger_write(fleet->ledger, &(struct swarm_ledger_line){
                                              .device = fleet->first + slot_of(fleet, device),
                                              .session = device->session,
                                              .first = device->session_first,
                                              .sent = device->counter,
                                              .acked = device->acked,
                                          });
    if (politely && device->state == SWARM_LIVE && fleet->dialect->put_goodbye != NULL)
        say_goodbye(fleet, device);
    swarm_link_close(fleet->links, &device->link, politely);
    free(device->carry);
    device->carry = NULL;
    device->generation++;
    gw_timer_disarm(&fleet->wheel, slot_of(fleet, device));
}

void swarm_device_leave(struct swarm_fleet *fleet, struct swarm_device *device)
{
    if (device->state == SWARM_OUT)
        return;
    hang_up(fleet, device, true);
    enter(fleet, device, SWARM_IDLE);
}

static void come_back_later(struct swarm_fleet *fleet, struct swarm_device *device)
{
    enter(fleet, device, SWARM_WAITING);
    gw_timer_arm(&fleet->wheel, slot_of(fleet, device),
                 gw_instant_after(fleet->now, fleet->options->back_off_s * GW_NS_PER_S));
}

/* Done with this round, may be started for another. */
static void rest(struct swarm_fleet *fleet, struct swarm_device *device)
{
    uint32_t place = (fleet->idle_head + fleet->idle_count) % fleet->device_count;

    swarm_device_leave(fleet, device);
    fleet->idle[place] = slot_of(fleet, device);
    fleet->idle_count++;
}

/* It was let in, which is all that those who come and go want. */
static void go(struct swarm_fleet *fleet, struct swarm_device *device)
{
    if (!swarm_fleet_is_crowding(fleet)) {
        rest(fleet, device);
        return;
    }
    hang_up(fleet, device, true);
    come_back_later(fleet, device);
}

static void fail(struct swarm_fleet *fleet, struct swarm_device *device, enum swarm_cause cause)
{
    gw_counter_add(&fleet->counts.failures[cause], 1);
    gw_counter_add(&fleet->counts.half_done,
                   device->state == SWARM_HANDSHAKE && device->link.answered);
    if (fleet->revocations != NULL)
        swarm_revocations_note(fleet->revocations, fleet->first + slot_of(fleet, device),
                               device->state == SWARM_LIVE,
                               cause == SWARM_CAUSE_LOGIN_INVALID_TOKEN);
    hang_up(fleet, device, false);
    if (cause == SWARM_CAUSE_LOGIN_INVALID_TOKEN) {
        gw_counter_add(&fleet->counts.out, 1);
        enter(fleet, device, SWARM_OUT);
    } else if (fleet->seen_phase == SWARM_DRAINING) {
        enter(fleet, device, SWARM_IDLE);
    } else {
        come_back_later(fleet, device);
    }
}

static void fail_link(struct swarm_fleet *fleet, struct swarm_device *device,
                      enum swarm_link_result result)
{
    bool live = device->state == SWARM_LIVE;

    switch (result) {
    case SWARM_LINK_WANT:
    case SWARM_LINK_DATA:
        gw_unreachable("a link that did not fail");
    case SWARM_LINK_ENDED:
        fail(fleet, device, live ? SWARM_CAUSE_HUNG_UP : SWARM_CAUSE_HUNG_UP_EARLY);
        return;
    case SWARM_LINK_RESET:
        fail(fleet, device, SWARM_CAUSE_RESET);
        return;
    case SWARM_LINK_REFUSED:
        fail(fleet, device, SWARM_CAUSE_REFUSED);
        return;
    case SWARM_LINK_UNREACHABLE:
        fail(fleet, device, SWARM_CAUSE_UNREACHABLE);
        return;
    case SWARM_LINK_CERTIFICATE:
    case SWARM_LINK_TLS:
        if (fleet->failure[0] == '\0')
            snprintf(fleet->failure, sizeof fleet->failure, "%s",
                     swarm_links_failure(fleet->links));
        fail(fleet, device, result == SWARM_LINK_TLS ? SWARM_CAUSE_TLS : SWARM_CAUSE_CERTIFICATE);
        return;
    }
}

/* Which of the source addresses: devices of one fleet take them in turn. */
static uint32_t source_of(const struct swarm_fleet *fleet, const struct swarm_device *device)
{
    uint32_t sources = fleet->options->sources;

    return sources <= 1 ? 0 : 1 + (fleet->first + slot_of(fleet, device)) % sources;
}

void swarm_device_start(struct swarm_fleet *fleet, struct swarm_device *device,
                        struct gw_instant due)
{
    uint32_t slot = slot_of(fleet, device);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u64 = (uint64_t)device->generation << 32 | slot};
    int err = swarm_link_open(fleet->links, &device->link, source_of(fleet, device));

    gw_assert(device->state == SWARM_IDLE || device->state == SWARM_WAITING);
    gw_counter_add(&fleet->counts.attempts, 1);
    if (err == 0 && epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, device->link.fd, &event) != 0)
        err = -errno;
    if (err != 0) {
        fail(fleet, device,
             err == -ECONNREFUSED                          ? SWARM_CAUSE_REFUSED
             : err == -ENETUNREACH || err == -EHOSTUNREACH ? SWARM_CAUSE_UNREACHABLE
                                                           : SWARM_CAUSE_LOCAL);
        return;
    }
    device->due = due;
    enter(fleet, device, SWARM_CONNECTING);
    gw_timer_arm(&fleet->wheel, slot,
                 gw_instant_after(fleet->now, fleet->options->give_up_s * GW_NS_PER_S));
}

void swarm_device_reconnect(struct swarm_fleet *fleet, struct swarm_device *device,
                            struct gw_instant due)
{
    if (device->state == SWARM_WAITING || device->state == SWARM_OUT)
        return;
    if (device->state != SWARM_IDLE) {
        gw_counter_add(&fleet->counts.churned, 1);
        hang_up(fleet, device, false);
        enter(fleet, device, SWARM_IDLE);
    }
    swarm_device_start(fleet, device, due);
}

/* Ids count from 1 and wrap past 65535 to 1; 0 is never used, nor the one of all pings. */
static uint16_t next_id(const struct swarm_fleet *fleet, struct swarm_device *device)
{
    do
        device->msg_id = device->msg_id == UINT16_MAX ? 1 : (uint16_t)(device->msg_id + 1);
    while (device->msg_id == fleet->dialect->ping_id);
    return device->msg_id;
}

static struct swarm_speaker speaker_of(const struct swarm_fleet *fleet,
                                       const struct swarm_device *device)
{
    uint32_t slot = slot_of(fleet, device);

    return (struct swarm_speaker){
        .token = gw_bytes_of(fleet->tokens[slot], GW_TOKEN_TEXT_BYTES),
        .device = fleet->first + slot,
        .product = fleet->options->product,
        .heartbeat_s = fleet->options->heartbeat_s,
        .pin = fleet->options->pin + device->counter % fleet->options->pins,
    };
}

static bool put_out(struct swarm_fleet *fleet, struct swarm_device *device, const uint8_t *bytes,
                    size_t count)
{
    if (!swarm_link_write(fleet->links, &device->link, gw_bytes_of(bytes, count))) {
        fail(fleet, device, SWARM_CAUSE_RESET);
        return false;
    }
    device->tx_ms = now_ms(fleet);
    return true;
}

static bool send_login(struct swarm_fleet *fleet, struct swarm_device *device)
{
    struct swarm_speaker speaker = speaker_of(fleet, device);
    uint8_t out[SWARM_WRITE_BYTES_MAX];

    device->msg_id = SWARM_LOGIN_ID;
    gw_counter_add(&fleet->counts.handshakes, fleet->options->tls);
    enter(fleet, device, SWARM_LOGIN_SENT);
    return put_out(fleet, device, out, fleet->dialect->put_login(out, sizeof out, &speaker));
}

static bool send_info(struct swarm_fleet *fleet, struct swarm_device *device)
{
    struct swarm_speaker speaker = speaker_of(fleet, device);
    uint8_t out[SWARM_WRITE_BYTES_MAX];

    return put_out(fleet, device, out,
                   fleet->dialect->put_info(out, sizeof out, next_id(fleet, device), &speaker));
}

/* When the timer must look at a live device again: to ping, or to give up. */
static uint64_t next_look_ms(const struct swarm_fleet *fleet, const struct swarm_device *device)
{
    uint64_t heartbeat_ms = fleet->options->heartbeat_s * UINT64_C(1000);
    uint64_t quiet_ms = gw_min_u64(device->rx_ms, device->tx_ms) + heartbeat_ms;
    uint64_t repeat_ms = device->ping_ms + (uint64_t)PING_REPEAT_MS;
    uint64_t silent_ms = device->rx_ms + heartbeat_ms + SILENCE_MS;

    return gw_min_u64(device->ping_id == 0 ? quiet_ms : gw_max_u64(quiet_ms, repeat_ms), silent_ms);
}

static void look_again(struct swarm_fleet *fleet, struct swarm_device *device)
{
    gw_timer_arm(&fleet->wheel, slot_of(fleet, device), at_ms(fleet, next_look_ms(fleet, device)));
}

/* What was sent with this id, due at `due`, acknowledges all up to counter `covers`. */
static void await(struct swarm_fleet *fleet, struct swarm_device *device, uint16_t id,
                  struct gw_instant due, uint32_t covers)
{
    gw_counter_add(&fleet->counts.pings, 1);
    device->ping_id = id;
    device->due = due;
    device->ping_covers = covers;
    device->ping_ms = now_ms(fleet);
}

/* Writes a PING that was due at `due` and acknowledges everything counted so far, what was owed
   included. */
static size_t put_ping(struct swarm_fleet *fleet, struct swarm_device *device, uint8_t *out,
                       size_t capacity, struct gw_instant due)
{
    const struct swarm_dialect *dialect = fleet->dialect;
    struct swarm_speaker speaker = speaker_of(fleet, device);
    uint16_t id = dialect->ping_id != 0 ? dialect->ping_id : next_id(fleet, device);

    await(fleet, device, id, due, device->counter);
    device->owed_due = (struct gw_instant){0};
    device->unbarred = 0;
    return dialect->put_ping(out, capacity, id, &speaker);
}

static bool send_ping(struct swarm_fleet *fleet, struct swarm_device *device, struct gw_instant due)
{
    uint8_t out[SWARM_WRITE_BYTES_MAX];

    return put_out(fleet, device, out, put_ping(fleet, device, out, sizeof out, due));
}

static void on_login_granted(struct swarm_fleet *fleet, struct swarm_device *device)
{
    struct swarm_link_facts facts = swarm_link_facts(&device->link);
    uint32_t heartbeat_ms = fleet->options->heartbeat_s * 1000, now = now_ms(fleet);
    uint32_t age_ms;

    gw_counter_add(&fleet->counts.logins, 1);
    gw_counter_add(&fleet->counts.tls12, facts.version == 0x0303);
    gw_counter_add(&fleet->counts.tls13, facts.version == 0x0304);
    gw_counter_add(&fleet->counts.tls12_resumed, facts.resumed && facts.version == 0x0303);
    gw_counter_add(&fleet->counts.tls13_resumed, facts.resumed && facts.version == 0x0304);
    gw_counter_add(&fleet->counts.tls_kept, facts.version != 0 && facts.bytes == 0);
    fleet->link_bytes = facts.bytes;
    if (fleet->seen_phase == SWARM_MEASURING ||
        (!swarm_comes_and_goes(fleet->options) && fleet->options->mode != SWARM_STORM))
        swarm_histogram_add(&fleet->login_us,
                            gw_ns_between(device->due, fleet->now) / GW_NS_PER_US);
    device->session++;
    device->session_first = device->counter + 1;
    device->acked = device->ping_covers = device->counter;
    device->ping_id = 0;
    device->owed_due = (struct gw_instant){0};
    device->unbarred = 0;
    enter(fleet, device, SWARM_LIVE);
    if (fleet->dialect->put_info == NULL && fleet->comes_and_goes) {
        go(fleet, device); /* the login is complete */
        return;
    }
    if (fleet->dialect->put_info != NULL && !send_info(fleet, device))
        return;
    /* A fleet that grew over days pings at all times evenly, while this one came up in seconds:
       the first heartbeat of each device comes early by its share of the interval. */
    age_ms =
        (uint32_t)((fleet->first + slot_of(fleet, device)) * UINT64_C(2654435761) % heartbeat_ms);
    device->tx_ms = now - age_ms;
    device->rx_ms = now;
    look_again(fleet, device);
}

static void on_login_answer(struct swarm_fleet *fleet, struct swarm_device *device, uint16_t status)
{
    switch (status) {
    case GW_RESPONSE_OK:
    case GW_RESPONSE_ALREADY_REGISTERED:
        on_login_granted(fleet, device);
        return;
    case GW_RESPONSE_QUOTA_LIMIT:
        fail(fleet, device, SWARM_CAUSE_LOGIN_QUOTA);
        return;
    case GW_RESPONSE_NOT_AUTHENTICATED:
        fail(fleet, device, SWARM_CAUSE_LOGIN_UNAUTHENTICATED);
        return;
    case GW_RESPONSE_NOT_ALLOWED:
        fail(fleet, device, SWARM_CAUSE_LOGIN_NOT_ALLOWED);
        return;
    case GW_RESPONSE_INVALID_TOKEN:
        fail(fleet, device, SWARM_CAUSE_LOGIN_INVALID_TOKEN);
        return;
    case GW_RESPONSE_SERVER_EXCEPTION:
        fail(fleet, device, SWARM_CAUSE_LOGIN_SERVER);
        return;
    default:
        fail(fleet, device, SWARM_CAUSE_LOGIN_OTHER);
        return;
    }
}

static void on_pong(struct swarm_fleet *fleet, struct swarm_device *device)
{
    struct gw_instant owed = device->owed_due;

    gw_counter_add(&fleet->counts.pongs, 1);
    gw_counter_add(&fleet->counts.acked, device->ping_covers - device->acked);
    if (fleet->seen_phase == SWARM_MEASURING && !fleet->comes_and_goes)
        swarm_histogram_add(&fleet->ping_us, gw_ns_between(device->due, fleet->now) / GW_NS_PER_US);
    device->acked = device->ping_covers;
    device->ping_id = 0;
    device->owed_due = (struct gw_instant){0};
    if (fleet->options->heartbeat_s * 1000 < PING_REPEAT_MS)
        look_again(fleet, device); /* its timer stands where the repetition was due */
    if (owed.ns != 0 && fleet->dialect->acknowledges_updates)
        await(fleet, device, device->msg_id, owed, device->counter - device->unbarred);
    else if (owed.ns != 0)
        (void)send_ping(fleet, device, owed);
    else if (fleet->seen_phase == SWARM_DRAINING)
        swarm_device_drain(fleet, device);
}

static void on_response(struct swarm_fleet *fleet, struct swarm_device *device,
                        const struct gw_frame *frame)
{
    if (device->state == SWARM_LOGIN_SENT) {
        if (frame->msg_id == SWARM_LOGIN_ID)
            on_login_answer(fleet, device, frame->status);
    } else if (frame->status == GW_RESPONSE_NOT_AUTHENTICATED) {
        fail(fleet, device, SWARM_CAUSE_NOT_AUTHENTICATED); /* as stock clients do */
    } else if (frame->status == GW_RESPONSE_QUOTA_LIMIT) {
        gw_counter_add(&fleet->counts.failures[SWARM_CAUSE_OVER_RATE], 1);
    } else if (fleet->comes_and_goes && frame->msg_id == SWARM_LOGIN_ID + 1) {
        go(fleet, device); /* the info frame is answered: the login is complete */
    } else if (frame->msg_id == device->ping_id && device->ping_id != 0 &&
               frame->status == GW_RESPONSE_OK) {
        on_pong(fleet, device);
    }
}

/* True when the device's connection is still the same afterwards. */
static bool on_frame(struct swarm_fleet *fleet, struct swarm_device *device,
                     const struct gw_frame *frame)
{
    uint32_t generation = device->generation;
    uint8_t out[SWARM_WRITE_BYTES_MAX];

    if (frame->msg_id == 0) { /* stock clients hang up on it, whatever it says */
        fail(fleet, device, SWARM_CAUSE_BAD_FRAME);
        return false;
    }
    switch (frame->type) {
    case GW_FRAME_RESPONSE:
        on_response(fleet, device, frame);
        break;
    case GW_FRAME_PING: {
        struct gw_frame answer = {
            .type = GW_FRAME_RESPONSE, .msg_id = frame->msg_id, .status = GW_RESPONSE_OK};

        gw_counter_add(&fleet->counts.server_pings, 1);
        (void)put_out(fleet, device, out, gw_frame_encode(out, sizeof out, &answer));
        break;
    }
    case GW_FRAME_REDIRECT:
        fail(fleet, device, SWARM_CAUSE_REDIRECTED);
        break;
    case GW_FRAME_HARDWARE:
        if (fleet->told != NULL)
            swarm_told_write(fleet->told, fleet->first + slot_of(fleet, device), frame->body);
        break;
    case GW_FRAME_INTERNAL:
    case GW_FRAME_BRIDGE:
    case GW_FRAME_DEBUG_PRINT:
        break;
    default:
        fail(fleet, device, SWARM_CAUSE_BAD_FRAME);
        break;
    }
    return device->generation == generation;
}

/* Decodes what stands at the front; false when the connection ended in between. */
static bool take_frames(struct swarm_fleet *fleet, struct swarm_device *device, struct gw_bytes in,
                        size_t *used)
{
    struct gw_frame frame;
    size_t bytes;

    for (*used = 0;; *used += bytes) {
        switch (fleet->dialect->decode(gw_bytes_after(in, *used), &frame, &bytes)) {
        case GW_MORE:
            return true;
        case GW_BAD_FRAME:
            fail(fleet, device, SWARM_CAUSE_BAD_FRAME);
            return false;
        case GW_OK:
            break;
        }
        if (!on_frame(fleet, device, &frame))
            return false;
    }
}

static bool on_plaintext(struct swarm_fleet *fleet, struct swarm_device *device, struct gw_bytes in)
{
    struct swarm_carry *carry = device->carry;
    size_t used;

    device->rx_ms = now_ms(fleet);
    while (carry != NULL && in.size > 0) { /* rare: a frame came in pieces */
        size_t taken = gw_min_u64(in.size, sizeof carry->data - carry->bytes);

        memcpy(carry->data + carry->bytes, in.data, taken);
        carry->bytes += taken;
        in = gw_bytes_after(in, taken);
        if (!take_frames(fleet, device, gw_bytes_of(carry->data, carry->bytes), &used))
            return false;
        carry->bytes -= used;
        memmove(carry->data, carry->data + used, carry->bytes);
        if (carry->bytes == 0) {
            free(carry);
            device->carry = carry = NULL;
        }
    }
    if (!take_frames(fleet, device, in, &used))
        return false;
    if (used < in.size) {
        carry = malloc(sizeof *carry);
        if (carry == NULL) {
            fail(fleet, device, SWARM_CAUSE_LOCAL);
            return false;
        }
        carry->bytes = in.size - used;
        gw_assert(carry->bytes <= sizeof carry->data); /* a whole frame would have been taken */
        memcpy(carry->data, in.data + used, carry->bytes);
        device->carry = carry;
    }
    return true;
}

void swarm_device_ready(struct swarm_fleet *fleet, struct swarm_device *device, uint32_t events)
{
    bool ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    enum swarm_link_result result;
    struct gw_bytes plaintext;

    if (device->state == SWARM_CONNECTING) {
        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
            return;
        result = swarm_link_connected(&device->link);
        if (result != SWARM_LINK_WANT) {
            fail_link(fleet, device, result);
            return;
        }
        enter(fleet, device, SWARM_HANDSHAKE);
    }
    swarm_link_begin(fleet->links, &device->link);
    do {
        if (device->state == SWARM_HANDSHAKE && device->link.established &&
            !send_login(fleet, device))
            return;
        result = swarm_link_read(fleet->links, &device->link, ended, &plaintext);
        if (result == SWARM_LINK_DATA && !on_plaintext(fleet, device, plaintext))
            return;
    } while (result == SWARM_LINK_DATA ||
             (result == SWARM_LINK_WANT && device->state == SWARM_HANDSHAKE &&
              device->link.established));
    if (result != SWARM_LINK_WANT)
        fail_link(fleet, device, result);
}

static void on_live_timer(struct swarm_fleet *fleet, struct swarm_device *device)
{
    uint64_t heartbeat_ms = fleet->options->heartbeat_s * UINT64_C(1000), now = now_ms(fleet);

    if (now >= device->rx_ms + heartbeat_ms + SILENCE_MS) {
        fail(fleet, device, SWARM_CAUSE_SILENT);
        return;
    }
    if (now >= next_look_ms(fleet, device)) {
        gw_counter_add(&fleet->counts.heartbeats, 1);
        /* A repeated PING is still the one that was due: its latency goes on from there. */
        if (!send_ping(fleet, device, device->ping_id != 0 ? device->due : fleet->now))
            return;
    }
    look_again(fleet, device);
}

void swarm_device_timer(struct swarm_fleet *fleet, struct swarm_device *device)
{
    switch ((enum swarm_device_state)device->state) {
    case SWARM_CONNECTING:
        fail(fleet, device, SWARM_CAUSE_TIMEOUT_CONNECT);
        return;
    case SWARM_HANDSHAKE:
        fail(fleet, device, SWARM_CAUSE_TIMEOUT_TLS);
        return;
    case SWARM_LOGIN_SENT:
        fail(fleet, device, SWARM_CAUSE_TIMEOUT_LOGIN);
        return;
    case SWARM_LIVE:
        on_live_timer(fleet, device);
        return;
    case SWARM_WAITING:
        if (fleet->comes_and_goes && !swarm_fleet_is_crowding(fleet))
            rest(fleet, device);
        else if (swarm_fleet_is_busy(fleet))
            gw_timer_arm(&fleet->wheel, slot_of(fleet, device),
                         gw_instant_after(fleet->now, BUSY_MS * GW_NS_PER_MS));
        else if (fleet->options->mode == SWARM_STORM && fleet->seen_phase == SWARM_MEASURING)
            swarm_device_start(fleet, device, fleet->load.start); /* it is out since then */
        else
            swarm_device_start(fleet, device, fleet->now);
        return;
    case SWARM_IDLE:
    case SWARM_OUT:
        gw_unreachable("a timer of a device without a connection");
    }
}

bool swarm_device_publish(struct swarm_fleet *fleet, struct swarm_device *device,
                          struct gw_instant due)
{
    const struct swarm_dialect *dialect = fleet->dialect;
    struct swarm_speaker speaker;
    uint32_t ping_every = fleet->options->ping_every;
    uint8_t out[SWARM_WRITE_BYTES_MAX];
    char value[SWARM_VALUE_BYTES_MAX];
    size_t bytes;
    uint16_t id;
    bool asks;

    if (device->state != SWARM_LIVE || !swarm_link_has_room(&device->link))
        return false;
    device->counter++;
    device->unbarred++;
    speaker = speaker_of(fleet, device); /* each counter has its pin */
    asks = ping_every > 0 && device->unbarred >= ping_every;
    /* MQTT numbers what asks, and that only: the last number is that of the last that asked. */
    id = asks || !dialect->acknowledges_updates ? next_id(fleet, device) : 0;
    bytes = swarm_value_write(value,
                              (struct swarm_stamp){.run = fleet->run,
                                                   .device = speaker.device,
                                                   .counter = device->counter},
                              fleet->options->value_bytes);
    bytes = dialect->put_update(out, sizeof out, id, asks, &speaker, gw_bytes_of(value, bytes));
    if (asks) {
        device->unbarred = 0;
        if (device->ping_id != 0) {
            gw_counter_add(&fleet->counts.merged, device->owed_due.ns != 0);
            if (device->owed_due.ns == 0)
                device->owed_due = due;
        } else if (dialect->acknowledges_updates) {
            await(fleet, device, id, due, device->counter);
        } else {
            bytes += put_ping(fleet, device, out + bytes, sizeof out - bytes, due);
        }
    }
    gw_counter_add(&fleet->counts.sent, 1);
    return put_out(fleet, device, out, bytes);
}

void swarm_device_drain(struct swarm_fleet *fleet, struct swarm_device *device)
{
    if (device->state != SWARM_LIVE || device->acked == device->counter)
        swarm_device_leave(fleet, device);
    else if (device->ping_id == 0)
        (void)send_ping(fleet, device, fleet->now);
}
