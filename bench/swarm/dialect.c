/*
 * The device protocol as stock firmware speaks it. Source: docs/protocol.md.
 */
#include "dialect.h"

#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>

#include "ledger.h"

static size_t put(uint8_t *out, size_t capacity, uint8_t type, uint16_t id, struct gw_bytes body)
{
    struct gw_frame frame = {.type = type, .msg_id = id, .body = body};
    size_t used = gw_frame_encode(out, capacity, &frame);

    gw_assert(used > 0);
    return used;
}

static size_t put_login(uint8_t *out, size_t capacity, const struct swarm_speaker *speaker)
{
    return put(out, capacity, GW_FRAME_HW_LOGIN, SWARM_LOGIN_ID, speaker->token);
}

/* What library 1.3 and later send, in its order. */
static size_t put_info(uint8_t *out, size_t capacity, uint16_t id,
                       const struct swarm_speaker *speaker)
{
    const char *product = speaker->product;
    char body[256];
    int n = snprintf(body, sizeof body,
                     "mcu%c1.0.0%cfw-type%c%s%cblynk%c1.3.2%ch-beat%c%u"
                     "%cbuff-in%c1024%cdev%cswarm",
                     0, 0, 0, product != NULL ? product : "swarm", 0, 0, 0, 0, speaker->heartbeat_s,
                     0, 0, 0, 0);
    size_t bytes = (size_t)n;

    if (product != NULL)
        bytes += (size_t)snprintf(body + bytes, sizeof body - bytes, "%ctmpl%c%s", 0, 0, product);
    return put(out, capacity, GW_FRAME_INTERNAL, id, gw_bytes_of(body, bytes));
}

static size_t put_update(uint8_t *out, size_t capacity, uint16_t id, bool acknowledge,
                         const struct swarm_speaker *speaker, struct gw_bytes value)
{
    char body[16 + SWARM_VALUE_BYTES_MAX];
    size_t bytes = (size_t)snprintf(body, sizeof body, "vw%c%u%c", 0, speaker->pin, 0);

    (void)acknowledge; /* a PING's affair */
    gw_assert(value.size <= sizeof body - bytes);
    memcpy(body + bytes, value.data, value.size);
    return put(out, capacity, GW_FRAME_HARDWARE, id, gw_bytes_of(body, bytes + value.size));
}

static size_t put_ping(uint8_t *out, size_t capacity, uint16_t id,
                       const struct swarm_speaker *speaker)
{
    (void)speaker;
    return put(out, capacity, GW_FRAME_PING, id, gw_bytes_of(NULL, 0));
}

static enum gw_status decode(struct gw_bytes in, struct gw_frame *out, size_t *used)
{
    return gw_frame_decode(in, SWARM_BODY_BYTES_MAX, out, used);
}

const struct swarm_dialect swarm_dialect_device = {
    .word = "device",
    .put_login = put_login,
    .put_info = put_info,
    .put_update = put_update,
    .put_ping = put_ping,
    .decode = decode,
};
