/*
 * HTTP/1.1 as a client of the gateway's device API that keeps its connection: one question for the
 * login, and the same again for each heartbeat. Whether its device is connected is asked, since
 * that is answered without the disk. It writes nothing: what a write over HTTP costs is asked by
 * bench/http.
 */
#include "dialect.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <gw/base/assert.h>

static size_t put_question(uint8_t *out, size_t capacity, const struct swarm_speaker *speaker)
{
    int bytes = snprintf((char *)out, capacity,
                         "GET /external/api/isHardwareConnected?token=%.*s HTTP/1.1\r\n"
                         "Host: gateway\r\n\r\n",
                         (int)speaker->token.size, (const char *)speaker->token.data);

    gw_assert(bytes > 0 && (size_t)bytes < capacity);
    return (size_t)bytes;
}

static size_t put_ping(uint8_t *out, size_t capacity, uint16_t id,
                       const struct swarm_speaker *speaker)
{
    (void)id; /* answers come in the order of the questions, and carry none */
    return put_question(out, capacity, speaker);
}

static uint16_t status_of(unsigned status)
{
    switch (status) {
    case 200:
        return GW_RESPONSE_OK;
    case 400:
        return GW_RESPONSE_INVALID_TOKEN;
    case 403:
        return GW_RESPONSE_NOT_ALLOWED;
    case 429:
        return GW_RESPONSE_QUOTA_LIMIT;
    case 503:
        return GW_RESPONSE_SERVER_EXCEPTION;
    default:
        return GW_RESPONSE_ILLEGAL_COMMAND;
    }
}

/* The digits at the front, up to three of a status and four of a length; false when none is. */
static bool take_number(struct gw_bytes text, size_t digits_max, unsigned *out)
{
    size_t digits = 0;

    for (*out = 0; digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9';
         digits++) {
        if (digits == digits_max)
            return false;
        *out = *out * 10 + (unsigned)(text.data[digits] - '0');
    }
    return digits > 0;
}

/* Of a head that is whole: what its Content-Length says; false without one that is a number. */
static bool find_length(struct gw_bytes head, unsigned *out)
{
    static const char name[] = "content-length: ";
    const uint8_t *end;

    while (head.size > 0 && (end = memchr(head.data, '\n', head.size)) != NULL) {
        head = gw_bytes_after(head, (size_t)(end - head.data) + 1);
        if (head.size >= sizeof name - 1 &&
            strncasecmp((const char *)head.data, name, sizeof name - 1) == 0)
            return take_number(gw_bytes_after(head, sizeof name - 1), 4, out);
    }
    return false;
}

/* Each answer has the id of the login and of pings: only one of them is awaited at a time. */
static enum gw_status decode(struct gw_bytes in, struct gw_frame *out, size_t *used)
{
    static const char version[] = "HTTP/1.1 ";
    const size_t known = gw_min_u64(in.size, sizeof version - 1);
    const uint8_t *end = in.size == 0 ? NULL : memmem(in.data, in.size, "\r\n\r\n", 4);
    unsigned status, length;
    size_t head_bytes;

    *used = 0;
    if (known > 0 && memcmp(in.data, version, known) != 0)
        return GW_BAD_FRAME;
    if (end == NULL)
        return in.size < SWARM_BODY_BYTES_MAX ? GW_MORE : GW_BAD_FRAME;
    head_bytes = (size_t)(end - in.data) + 4;
    if (!take_number(gw_bytes_after(in, sizeof version - 1), 3, &status) ||
        !find_length(gw_bytes_of(in.data, head_bytes), &length) ||
        head_bytes + length > SWARM_BODY_BYTES_MAX)
        return GW_BAD_FRAME;
    if (in.size < head_bytes + length)
        return GW_MORE;
    *out = (struct gw_frame){
        .type = GW_FRAME_RESPONSE, .msg_id = SWARM_LOGIN_ID, .status = status_of(status)};
    *used = head_bytes + length;
    return GW_OK;
}

const struct swarm_dialect swarm_dialect_http = {
    .word = "http",
    .ping_id = SWARM_LOGIN_ID,
    .put_login = put_question,
    .put_ping = put_ping,
    .decode = decode,
};
