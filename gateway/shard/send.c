/*
 * Answers to records of TLS to the socket. What a session is told in one turn leaves as one record
 * and one send: stock clients read a frame with one call and give up on half a header.
 *
 * While input of a session is worked on, what it asks for is collected: tickets, answers and alerts
 * then leave together.
 *
 *   I1  One send of a session is in flight; the bytes it reads stay in s->tx until it completed.
 *   I2  Bytes are protected once and queued in the order of their protection.
 */
#include "shard_internal.h"

#include <errno.h>

void begin_reply(struct gw_shard *sh, const struct gw_session *s, size_t bytes)
{
    if (!has(s, GW_SESSION_WEBSOCKET))
        return;
    gw_assert(sizeof sh->replies - sh->reply_bytes >= GW_WEBSOCKET_HEADER_BYTES_MAX);
    sh->reply_bytes +=
        (uint32_t)gw_websocket_header(GW_WEBSOCKET_BINARY, bytes, sh->replies + sh->reply_bytes);
}

void reply_frame(struct gw_shard *sh, struct gw_session *s, const struct gw_frame *frame)
{
    size_t bytes;

    begin_reply(sh, s, gw_frame_bytes(frame));
    bytes =
        gw_frame_encode(sh->replies + sh->reply_bytes, sizeof sh->replies - sh->reply_bytes, frame);
    gw_assert(bytes > 0 && frame->msg_id != 0); /* an id of 0 makes every client drop the link */
    sh->reply_bytes += (uint32_t)bytes;
}

void reply_status(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id, uint16_t status)
{
    struct gw_frame response = {.type = GW_FRAME_RESPONSE, .msg_id = msg_id, .status = status};

    if (msg_id != 0)
        reply_frame(sh, s, &response);
}

static void queue_piece(struct gw_shard *sh, struct gw_session *s, struct gw_bytes bytes,
                        bool in_new_chunk)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    if (bytes.size == 0 || has(s, GW_SESSION_PEER_GONE | GW_SESSION_SHUT))
        return;
    if (!gw_chunk_queue_append(&sh->chunks, &s->tx, bytes, in_new_chunk)) {
        /* A hole in the stream would be worse than its end. */
        s->flags |= GW_SESSION_PEER_GONE;
        close_session(sh, s, GW_CLOSE_NO_MEMORY);
        return;
    }
    cold->tx_bytes += (uint32_t)bytes.size;
    start_send(sh, s);
}

void queue_bytes(struct gw_shard *sh, struct gw_session *s, struct gw_bytes bytes)
{
    queue_piece(sh, s, bytes, false);
}

/*
 * Frames without a record of TLS around them: each goes whole into one chunk, and so into one send,
 * unless it is longer than a chunk.
 */
static void queue_frames(struct gw_shard *sh, struct gw_session *s, struct gw_bytes frames)
{
    while (frames.size > 0 && !has(s, GW_SESSION_PEER_GONE)) {
        size_t piece = 0;

        while (piece < frames.size) {
            struct gw_frame frame;
            size_t used;
            enum gw_status status = gw_frame_decode(gw_bytes_after(frames, piece),
                                                    GW_FRAME_FIELD_BYTES_MAX, &frame, &used);

            gw_assert(status == GW_OK);
            if (piece > 0 && piece + used > GW_CHUNK_DATA_BYTES)
                break;
            piece += used;
        }
        queue_piece(sh, s, gw_bytes_of(frames.data, piece),
                    gw_chunk_queue_room(&sh->chunks, &s->tx) < piece);
        frames = gw_bytes_after(frames, piece);
    }
}

void flush_replies(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_bytes replies = gw_bytes_of(sh->replies, sh->reply_bytes);
    struct gw_tls_io io = {.out = sh->cipher, .out_capacity = sizeof sh->cipher};

    sh->reply_bytes = 0;
    if (replies.size == 0 || has(s, GW_SESSION_PEER_GONE | GW_SESSION_SHUT | GW_SESSION_GOODBYE))
        return;
    if (s->tls == NULL) {
        if (has(s, GW_SESSION_SPEAKS_HTTP | GW_SESSION_WEBSOCKET))
            queue_bytes(sh, s, replies);
        else
            queue_frames(sh, s, replies);
        return;
    }
    if (!gw_tls_seal(s->tls, &io, replies)) {
        s->flags |= GW_SESSION_PEER_GONE;
        close_session(sh, s, GW_CLOSE_TLS_ERROR);
        return;
    }
    queue_bytes(sh, s, gw_bytes_of(io.out, io.out_bytes));
}

void start_send(struct gw_shard *sh, struct gw_session *s)
{
    if (has(s, GW_SESSION_SEND | GW_SESSION_CANCELLED) || gw_chunk_queue_is_empty(&s->tx) ||
        s == sh->fed)
        return;
    gw_ring_send(sh->ring, slot_of(sh, s), s->generation,
                 gw_chunk_queue_front(&sh->chunks, &s->tx));
    s->flags |= GW_SESSION_SEND;
    s->ops_inflight++;
    s->send_tick = tick_after(sh, sh->options.send_s_max * GW_NS_PER_S);
    if (s->state != GW_SESSION_CLOSING)
        arm_by(sh, s, ns_of_tick(sh, s->send_tick));
}

void on_send(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    s->flags &= ~(uint32_t)GW_SESSION_SEND;
    if (c->res > 0) {
        COUNT_BY(sh, bytes_out, (uint64_t)c->res);
        gw_chunk_queue_drop(&sh->chunks, &s->tx, (size_t)c->res);
        cold->tx_bytes -= (uint32_t)c->res;
        start_send(sh, s);
        if (s->state != GW_SESSION_CLOSING && cold->tx_bytes <= sh->options.tx_bytes_max)
            resume_reading(sh, s);
        return;
    }
    if (c->res == -EINTR || c->res == -EAGAIN) {
        start_send(sh, s);
        return;
    }
    if (c->res != -ECANCELED) {
        s->flags |= GW_SESSION_PEER_GONE;
        close_session(sh, s, GW_CLOSE_PEER_RESET);
    }
}
