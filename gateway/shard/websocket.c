/*
 * Devices whose frames come in WebSocket messages. A connection that speaks HTTP asks for it once;
 * from then on it is a device's like any other, in LOGIN at first, and what its messages hold is
 * read as TCP's bytes are: a frame may span messages, a message may hold several. What is said to
 * it goes in one binary message a frame.
 *
 * What is kept between two receives is what take_frames has left, unwrapped, and behind it a header
 * or control frame that is cut, wrapped still. A session that waits with neither holds no buffer.
 *
 *   I1  What came before the peer's Close, or before its fault, is taken before the session closes.
 *   I2  Nothing is said after our Close: it is said by close_session alone.
 */
#include "shard_internal.h"

static struct websocket *websocket_of(const struct gw_shard *sh, const struct gw_session *s)
{
    return &sh->websockets[slot_of(sh, s)];
}

/* ---- the beginning ---- */

void websocket_begin(struct gw_shard *sh, struct gw_session *s,
                     const struct gw_http_request *request)
{
    if (sh->reply_bytes + GW_WEBSOCKET_SWITCH_BYTES_MAX > REPLY_BYTES_MAX)
        flush_replies(sh, s);
    if (s->state == GW_SESSION_CLOSING)
        return;
    sh->reply_bytes += (uint32_t)gw_websocket_switch(request, sh->replies + sh->reply_bytes);
    *websocket_of(sh, s) = (struct websocket){.wrapped_bytes = 0};
    sh->http_count--;
    sh->websocket_count++;
    COUNT(sh, http_requests);
    COUNT(sh, websockets);
    s->flags &= ~(uint32_t)GW_SESSION_SPEAKS_HTTP;
    s->flags |= GW_SESSION_WEBSOCKET;
    s->device = 0; /* of a request before this one, and so is the sequence of its records */
    cold_of(sh, s)->sequence = 0;
    gw_session_move(s, GW_SESSION_LOGIN);
    stranger_waits(sh, s, STRANGER_IDLE);
    set_deadline(sh, s, sh->options.login_s_max);
}

void websocket_follows(struct gw_shard *sh, struct gw_session *s, size_t bytes)
{
    websocket_of(sh, s)->wrapped_bytes = (uint32_t)bytes;
    sh->rescan = true; /* once they are kept */
}

/* ---- what comes ---- */

/* Control frames count as a device's frames do, or they would be free. */
static void on_controls(struct gw_shard *sh, struct gw_session *s,
                        const struct gw_websocket_input *input)
{
    if (input->pinged) {
        if (sh->reply_bytes + GW_WEBSOCKET_HEADER_BYTES_MAX + input->ping_bytes > REPLY_BYTES_MAX)
            flush_replies(sh, s);
        sh->reply_bytes += (uint32_t)gw_websocket_header(GW_WEBSOCKET_PONG, input->ping_bytes,
                                                         sh->replies + sh->reply_bytes);
        memcpy(sh->replies + sh->reply_bytes, input->ping, input->ping_bytes);
        sh->reply_bytes += input->ping_bytes;
    }
    if (s->state != GW_SESSION_LIVE) /* a stranger's end is near */
        return;
    for (uint32_t i = 0; i < input->control_count; i++)
        charge_rate(sh, s);
    if (input->control_count > 0 && !has(s, GW_SESSION_SLOWED))
        (void)within_rate(sh, s); /* or it is slowed */
}

size_t websocket_unwrap(struct gw_shard *sh, struct gw_session *s, size_t fresh,
                        struct gw_bytes *in)
{
    struct websocket *websocket = websocket_of(sh, s);
    size_t wrapped = websocket->wrapped_bytes + fresh;
    struct gw_websocket_input input;
    uint8_t *bytes;

    gw_assert(in->data == sh->joined && wrapped <= in->size);
    bytes = sh->joined + (in->size - wrapped);
    gw_websocket_read(&websocket->stream, sh->options.http.websocket_message_bytes_max, bytes,
                      wrapped, &input);
    websocket->wrapped_bytes = (uint32_t)(wrapped - input.used);
    memmove(bytes + input.data_bytes, bytes + input.used, websocket->wrapped_bytes);
    in->size -= input.used - input.data_bytes;
    on_controls(sh, s, &input);
    return websocket->wrapped_bytes;
}

/* ---- the end ---- */

void websocket_end_if_told(struct gw_shard *sh, struct gw_session *s)
{
    const struct gw_websocket *stream = &websocket_of(sh, s)->stream;

    if (!has(s, GW_SESSION_WEBSOCKET) || s->state == GW_SESSION_CLOSING || stream->close_code == 0)
        return;
    /* I1: what waits is resumed, and comes back here. */
    if (has(s, NOT_READ_NOW) ||
        cold_of(sh, s)->tx_bytes + sh->reply_bytes > sh->options.tx_bytes_max)
        return;
    close_session(sh, s, stream->refused ? GW_CLOSE_WEBSOCKET_REFUSED : GW_CLOSE_PEER_CLOSED);
}

/* RFC 6455 7.4.1: what the peer is told, when it was not the peer who said something. */
static uint16_t code_of(enum gw_close_reason reason)
{
    switch (reason) {
    case GW_CLOSE_PEER_CLOSED:
    case GW_CLOSE_REPLACED:
        return GW_WEBSOCKET_NORMAL;
    case GW_CLOSE_SHUTDOWN:
        return GW_WEBSOCKET_GOING_AWAY;
    case GW_CLOSE_INDEX_UNAVAILABLE:
    case GW_CLOSE_UPSTREAM_FULL:
    case GW_CLOSE_NO_MEMORY:
        return GW_WEBSOCKET_TRY_AGAIN;
    default:
        return GW_WEBSOCKET_POLICY;
    }
}

void websocket_say_close(struct gw_shard *sh, struct gw_session *s)
{
    enum { CODE_BYTES = 2 };
    enum gw_close_reason reason = (enum gw_close_reason)s->close_reason;
    uint16_t code = websocket_of(sh, s)->stream.close_code;

    if (reason == GW_CLOSE_TLS_ERROR) /* nothing can be sealed any more */
        return;
    if (code == 0)
        code = code_of(reason);
    if (sh->reply_bytes + GW_WEBSOCKET_HEADER_BYTES_MAX + CODE_BYTES > REPLY_BYTES_MAX)
        flush_replies(sh, s);
    sh->reply_bytes += (uint32_t)gw_websocket_header(GW_WEBSOCKET_CLOSE, CODE_BYTES,
                                                     sh->replies + sh->reply_bytes);
    gw_store_be16(sh->replies + sh->reply_bytes, code);
    sh->reply_bytes += CODE_BYTES;
}
