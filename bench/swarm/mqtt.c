/*
 * MQTT 3.1.1 as far as a device that only publishes needs it: CONNECT, PUBLISH with QoS 0 or 1,
 * PINGREQ, DISCONNECT, and the answers to them. Sections are those of the OASIS standard of 2014.
 */
#include "dialect.h"

#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>

/* 2.2.1: the type stands in the upper half of the first byte. */
enum {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH = 0x30,
    PUBACK = 0x40,
    PINGREQ = 0xc0,
    PINGRESP = 0xd0,
    DISCONNECT = 0xe0,
};

enum {
    PUBLISH_QOS_1 = 0x02,
    CONNECT_LEVEL = 4,    /* 3.1.2.2: of 3.1.1                                   */
    CONNECT_FLAGS = 0xc2, /* 3.1.2.3: clean session, with user name and password */
    HEADER_BYTES = 2,     /* type and length: what we send and accept is shorter than 128 bytes */
    LENGTH_MAX = 127,
    PING_ID = UINT16_MAX,
};

/* 3.2.2.3: a CONNACK's return code. */
enum { ACCEPTED = 0, UNAVAILABLE = 3, BAD_PASSWORD = 4, NOT_AUTHORIZED = 5 };

/* 1.5.3: a length of two bytes, then the text. Returns where the next field begins. */
static size_t put_text(uint8_t rest[LENGTH_MAX], size_t at, struct gw_bytes text)
{
    gw_assert(at + 2 + text.size <= LENGTH_MAX);
    gw_store_be16(rest + at, (uint16_t)text.size);
    memcpy(rest + at + 2, text.data, text.size);
    return at + 2 + text.size;
}

static size_t put(uint8_t *out, size_t capacity, uint8_t type, struct gw_bytes rest)
{
    gw_assert(rest.size <= LENGTH_MAX);
    gw_assert(rest.size + HEADER_BYTES <= capacity);
    out[0] = type;
    out[1] = (uint8_t)rest.size;
    if (rest.size > 0)
        memcpy(out + HEADER_BYTES, rest.data, rest.size);
    return HEADER_BYTES + rest.size;
}

static struct gw_bytes name_of(char out[24], const struct swarm_speaker *speaker)
{
    return gw_bytes_of(out, (size_t)snprintf(out, 24, "device-%u", speaker->device));
}

/* 3.1: the device's number names the client and the user; its token is the password. */
static size_t put_login(uint8_t *out, size_t capacity, const struct swarm_speaker *speaker)
{
    static const uint8_t protocol[] = {0, 4, 'M', 'Q', 'T', 'T', CONNECT_LEVEL, CONNECT_FLAGS};
    uint8_t rest[LENGTH_MAX];
    char text[24];
    struct gw_bytes name = name_of(text, speaker);
    size_t at = sizeof protocol;

    memcpy(rest, protocol, sizeof protocol);
    gw_store_be16(rest + at, (uint16_t)speaker->heartbeat_s);
    at += 2;
    at = put_text(rest, at, name); /* client, user, password */
    at = put_text(rest, at, name);
    at = put_text(rest, at, speaker->token);
    return put(out, capacity, CONNECT, gw_bytes_of(rest, at));
}

/* 3.3: to a topic of the device's own. A packet id is there with QoS 1 only. */
static size_t put_update(uint8_t *out, size_t capacity, uint16_t id, bool acknowledge,
                         const struct swarm_speaker *speaker, struct gw_bytes value)
{
    uint8_t rest[LENGTH_MAX];
    char topic[24];
    int bytes = snprintf(topic, sizeof topic, "device-%u/v%u", speaker->device, speaker->pin);
    size_t at;

    gw_assert((size_t)bytes < sizeof topic);
    at = put_text(rest, 0, gw_bytes_of(topic, (size_t)bytes));
    if (acknowledge) {
        gw_assert(at + 2 <= LENGTH_MAX);
        gw_store_be16(rest + at, id);
        at += 2;
    }
    gw_assert(at + value.size <= LENGTH_MAX);
    memcpy(rest + at, value.data, value.size);
    return put(out, capacity, acknowledge ? PUBLISH | PUBLISH_QOS_1 : PUBLISH,
               gw_bytes_of(rest, at + value.size));
}

static size_t put_ping(uint8_t *out, size_t capacity, uint16_t id,
                       const struct swarm_speaker *speaker)
{
    (void)id; /* 3.12: it carries none */
    (void)speaker;
    return put(out, capacity, PINGREQ, gw_bytes_of(NULL, 0));
}

static size_t put_goodbye(uint8_t *out, size_t capacity)
{
    return put(out, capacity, DISCONNECT, gw_bytes_of(NULL, 0));
}

static uint16_t status_of(uint8_t return_code)
{
    switch (return_code) {
    case ACCEPTED:
        return GW_RESPONSE_OK;
    case UNAVAILABLE:
        return GW_RESPONSE_SERVER_EXCEPTION;
    case BAD_PASSWORD:
        return GW_RESPONSE_NOT_AUTHENTICATED;
    case NOT_AUTHORIZED:
        return GW_RESPONSE_NOT_ALLOWED;
    default:
        return GW_RESPONSE_ILLEGAL_COMMAND; /* protocol level or client id refused */
    }
}

/* Nothing but answers is expected, since nothing was subscribed to; each has one length. */
static enum gw_status decode(struct gw_bytes in, struct gw_frame *out, size_t *used)
{
    struct gw_frame answer = {.type = GW_FRAME_RESPONSE, .status = GW_RESPONSE_OK};
    size_t rest;

    *used = 0;
    if (in.size == 0)
        return GW_MORE;
    if (in.data[0] != CONNACK && in.data[0] != PUBACK && in.data[0] != PINGRESP)
        return GW_BAD_FRAME;
    rest = in.data[0] == PINGRESP ? 0 : 2;
    if (in.size > 1 && in.data[1] != rest)
        return GW_BAD_FRAME;
    if (in.size < HEADER_BYTES + rest)
        return GW_MORE;
    switch (in.data[0]) {
    case CONNACK: /* 3.2: flags, of which a clean session has none, and return code */
        answer.msg_id = SWARM_LOGIN_ID;
        answer.status = status_of(in.data[3]);
        break;
    case PUBACK: /* 3.4 */
        answer.msg_id = gw_load_be16(in.data + 2);
        break;
    case PINGRESP:
        answer.msg_id = PING_ID;
        break;
    }
    *out = answer;
    *used = HEADER_BYTES + rest;
    return GW_OK;
}

const struct swarm_dialect swarm_dialect_mqtt = {
    .word = "mqtt",
    .acknowledges_updates = true,
    .ping_id = PING_ID,
    .put_login = put_login,
    .put_update = put_update,
    .put_ping = put_ping,
    .put_goodbye = put_goodbye,
    .decode = decode,
};
