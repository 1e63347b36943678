/*
 * The record layer of lean sessions: what TLS asks of either end after the handshake, and nothing
 * that it leaves open. Each rule names its section where it is enforced.
 *
 *     io->in --collect--> one whole record --open--> type, content --+-- data: to the caller
 *                  |                                                 +-- alert: an end, or a
 * warning
 *                  +-- not whole: kept in a buffer on loan           +-- KeyUpdate: new keys
 *                                                                    +-- to a client: a ticket,
 *                                                                    |   HelloRequest: nothing
 *                                                                    +-- anything else: an end
 *
 * What a peer can send without end and without saying anything is counted, in a row and
 * (KeyUpdates, each of which costs two derivations) per minute.
 *
 * Runs on the thread of its shard. Invariants:
 *   I1  GW_TLS_WANT means that io->in is used up
 *   I2  a fatal alert of ours is the last thing we seal; after close_notify we seal nothing
 *   I3  keys are held in OPEN and SHUT alone; a partial record never outlives the record
 */
#include "tls_internal.h"

#include <openssl/mem.h>

#include <gw/base/assert.h>

enum {
    EMPTY_IN_A_ROW_MAX = 32,   /* as BoringSSL has it */
    UPDATES_IN_A_ROW_MAX = 32, /* as BoringSSL has it */
    WARNINGS_IN_A_ROW_MAX = 4, /* as BoringSSL has it */
    UPDATES_PER_MINUTE_MAX = 60,
    PARTIAL_S_MAX = 30, /* for a record to come whole while buffers are scarce */

    /*
     * RFC 8446 5.5: 2^24.5 records of full size under one AES-GCM key; new keys come well before
     * that, whatever the suite. TLS 1.2 has no KeyUpdate: such a session ends at the limit.
     */
    KEY_RECORDS_MAX_TLS13 = 1 << 23,
    KEY_RECORDS_MAX_TLS12_GCM = 23726566,

    HANDSHAKE_HELLO_REQUEST = 0,
    HANDSHAKE_CLIENT_HELLO = 1,
    HANDSHAKE_NEW_SESSION_TICKET = 4,
    HANDSHAKE_KEY_UPDATE = 24,
    HANDSHAKE_HEADER_BYTES = 4, /* type, 24-bit length */
    KEY_UPDATE_BYTES = 5,       /* RFC 8446 4 and 4.6.3: type, 24-bit length 1, request */
    ALERT_BYTES = 2,
    ALERT_WARNING = 1,
    ALERT_FATAL = 2,
};

static const char text_flood[] = "a flood of records that carry nothing";
static const char text_header[] = "a record has a header that does not belong there";
static const char text_overflow[] = "a record is longer than TLS allows";
static const char text_mac[] = "a record fails its check: altered, or keys do not agree";
static const char text_memory[] = "out of memory for new keys";
static const char text_message[] = "a handshake message that does not belong there";

static const struct gw_keys_shape *shape_of(const struct gw_tls *tls)
{
    return gw_keys_shape_at(tls->shape);
}

static struct gw_keys *keys_of(const struct gw_tls *tls)
{
    gw_assert(tls->keys != GW_NONE); /* I3 */
    return gw_tls_pool_keys_at(tls->pool, gw_keys_bytes(shape_of(tls)), tls->keys);
}

static void drop_partial(struct gw_tls *tls)
{
    if (tls->partial != GW_NONE)
        gw_partial_release(tls->pool, tls->partial);
    tls->partial = GW_NONE;
}

void gw_record_release(struct gw_tls *tls)
{
    gw_assert(tls->lean && tls->state != GW_TLS_STATE_FAILED);
    drop_partial(tls);
    if (tls->keys != GW_NONE)
        gw_tls_pool_keys_release(tls->pool, gw_keys_bytes(shape_of(tls)), tls->keys);
    tls->keys = GW_NONE;
}

/* ---- what we seal ---- */

/* One record behind io->out_bytes. False: no room, numbers or memory; nothing is in the output. */
static bool seal_record(struct gw_tls *tls, struct gw_tls_io *io, uint8_t type,
                        struct gw_bytes content)
{
    struct gw_keys *keys = keys_of(tls);
    size_t bytes;

    if (content.size + GW_RECORD_OVERHEAD_BYTES_MAX > io->out_capacity - io->out_bytes ||
        gw_keys_are_spent(keys, GW_KEYS_WRITE))
        return false;
    bytes = gw_keys_seal(shape_of(tls), keys, type, content, io->out + io->out_bytes);
    io->out_bytes += bytes;
    return bytes > 0;
}

static void send_alert(struct gw_tls *tls, struct gw_tls_io *io, uint8_t level,
                       enum gw_tls_alert alert)
{
    const uint8_t content[ALERT_BYTES] = {level, (uint8_t)alert};

    (void)seal_record(tls, io, GW_RECORD_ALERT, gw_bytes_of(content, sizeof content));
}

static enum gw_tls_result fail_silently(struct gw_tls *tls, enum gw_tls_failure_kind kind,
                                        const char *text)
{
    gw_record_release(tls);
    tls->state = GW_TLS_STATE_FAILED;
    gw_tls_failure_put(tls, kind, text);
    return GW_TLS_FAILED;
}

static enum gw_tls_result fail(struct gw_tls *tls, struct gw_tls_io *io, enum gw_tls_alert alert,
                               enum gw_tls_failure_kind kind, const char *text)
{
    if (tls->state == GW_TLS_STATE_OPEN) /* I2 */
        send_alert(tls, io, ALERT_FATAL, alert);
    return fail_silently(tls, kind, text);
}

static enum gw_tls_result fail_record(struct gw_tls *tls, struct gw_tls_io *io,
                                      enum gw_tls_alert alert, const char *text)
{
    return fail(tls, io, alert, GW_TLS_FAILURE_RECORD, text);
}

/*
 * RFC 8446 4.6.3: sealed under the old key, and everything after it under the new one. It never
 * asks the peer for the same, so that two peers do not keep each other busy.
 */
static bool send_key_update(struct gw_tls *tls, struct gw_tls_io *io)
{
    static const uint8_t message[KEY_UPDATE_BYTES] = {HANDSHAKE_KEY_UPDATE, 0, 0, 1, 0};

    if (!seal_record(tls, io, GW_RECORD_HANDSHAKE, gw_bytes_of(message, sizeof message)))
        return false;
    tls->conduct.answer_due = 0;
    return gw_keys_update(shape_of(tls), keys_of(tls), GW_KEYS_WRITE);
}

/* What `record_count` more records ask for first. False: they cannot be sealed at all. */
static bool renew_key_for(struct gw_tls *tls, struct gw_tls_io *io, size_t record_count)
{
    const struct gw_keys_shape *shape = shape_of(tls);
    const uint64_t after = keys_of(tls)->sequence[GW_KEYS_WRITE] + record_count;

    if (shape->tls13)
        return (after <= KEY_RECORDS_MAX_TLS13 && !tls->conduct.answer_due) ||
               send_key_update(tls, io);
    if (after <=
        (shape->aead == EVP_aead_chacha20_poly1305 ? UINT32_MAX : KEY_RECORDS_MAX_TLS12_GCM))
        return true;
    send_alert(tls, io, ALERT_WARNING, GW_ALERT_CLOSE_NOTIFY); /* nobody is to blame */
    (void)fail_silently(tls, GW_TLS_FAILURE_OTHER,
                        "as many records as one key may protect; TLS 1.2 cannot change keys");
    return false;
}

bool gw_record_seal(struct gw_tls *tls, struct gw_tls_io *io, struct gw_bytes plaintext)
{
    const size_t piece_bytes = gw_tls_record_bytes_max(tls);
    const size_t record_count = (plaintext.size + piece_bytes - 1) / piece_bytes;
    /* Asked before the first record is made: one that is not sent would be missed for ever. */
    const size_t room = plaintext.size + record_count * GW_RECORD_OVERHEAD_BYTES_MAX +
                        KEY_UPDATE_BYTES + GW_RECORD_OVERHEAD_BYTES_MAX;

    if (room > io->out_capacity - io->out_bytes)
        return false;
    if (!renew_key_for(tls, io, record_count)) {
        if (tls->state == GW_TLS_STATE_OPEN)
            (void)fail_silently(tls, GW_TLS_FAILURE_OTHER, text_memory);
        return false;
    }
    while (plaintext.size > 0) {
        const size_t n = gw_min_u64(plaintext.size, piece_bytes);

        if (!seal_record(tls, io, GW_RECORD_DATA, gw_bytes_of(plaintext.data, n))) {
            (void)fail_silently(tls, GW_TLS_FAILURE_OTHER, "a record could not be sealed");
            return false;
        }
        plaintext = gw_bytes_after(plaintext, n);
    }
    return true;
}

void gw_record_shutdown(struct gw_tls *tls, struct gw_tls_io *io)
{
    send_alert(tls, io, ALERT_WARNING, GW_ALERT_CLOSE_NOTIFY);
    tls->state = GW_TLS_STATE_SHUT;
}

/* ---- what a record says ---- */

/* These answer GW_TLS_WANT where there is nothing to tell the caller. */

static enum gw_tls_result on_data(struct gw_tls *tls, struct gw_tls_io *io, size_t bytes)
{
    if (bytes == 0) { /* RFC 8446 5.1: allowed, as a measure against traffic analysis */
        if (++tls->conduct.empty_count > EMPTY_IN_A_ROW_MAX)
            return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_flood);
        return GW_TLS_WANT;
    }
    tls->conduct.empty_count = 0;
    tls->conduct.update_count = 0;
    tls->conduct.warning_count = 0;
    return GW_TLS_DATA;
}

static enum gw_tls_result on_close_notify(struct gw_tls *tls, struct gw_tls_io *io)
{
    /* RFC 5246 7.2.1: answered; RFC 8446 6.1 leaves us free to. Not if it was the answer (I2). */
    if (tls->state == GW_TLS_STATE_OPEN)
        send_alert(tls, io, ALERT_WARNING, GW_ALERT_CLOSE_NOTIFY);
    gw_record_release(tls);
    tls->state = GW_TLS_STATE_CLOSED;
    return GW_TLS_CLOSED;
}

static enum gw_tls_result on_warning(struct gw_tls *tls, struct gw_tls_io *io)
{
    if (++tls->conduct.warning_count > WARNINGS_IN_A_ROW_MAX)
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_flood);
    return GW_TLS_WANT;
}

static enum gw_tls_result on_alert(struct gw_tls *tls, struct gw_tls_io *io,
                                   struct gw_bytes content)
{
    uint8_t level, alert;
    bool harmless;

    /* RFC 8446 5.1: one whole alert to a record. In TLS 1.2 nobody cuts two bytes either. */
    if (content.size != ALERT_BYTES)
        return fail_record(tls, io, GW_ALERT_DECODE_ERROR, text_header);
    level = content.data[0];
    alert = content.data[1];
    if (level != ALERT_WARNING && level != ALERT_FATAL)
        return fail_record(tls, io, GW_ALERT_ILLEGAL_PARAMETER, text_header);
    if (alert == GW_ALERT_CLOSE_NOTIFY && level == ALERT_WARNING)
        return on_close_notify(tls, io);
    /* RFC 8446 6: the level says nothing; 6.1: user_canceled announces a close_notify. All others
       are errors (6.2). RFC 5246 7.2.2: a warning is for the receiver to judge. */
    harmless = level == ALERT_WARNING && (!shape_of(tls)->tls13 || alert == GW_ALERT_USER_CANCELED);
    if (!harmless) {
        gw_record_release(tls); /* RFC 8446 6.2: no further data either way */
        tls->state = GW_TLS_STATE_FAILED;
        gw_tls_failure_put_alert(tls, alert);
        return GW_TLS_FAILED;
    }
    return on_warning(tls, io);
}

static bool updates_too_often(struct gw_tls *tls, struct gw_instant now)
{
    const uint32_t minute = (uint32_t)(now.ns / (60 * GW_NS_PER_S)) % 64;

    if (++tls->conduct.update_count > UPDATES_IN_A_ROW_MAX)
        return true;
    if (now.ns == 0)
        return false;
    if (minute != tls->conduct.minute) {
        tls->conduct.minute = minute;
        tls->conduct.minute_updates = 0;
    }
    return ++tls->conduct.minute_updates > UPDATES_PER_MINUTE_MAX;
}

static enum gw_tls_result on_key_update(struct gw_tls *tls, struct gw_tls_io *io, bool requested)
{
    if (updates_too_often(tls, io->now))
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_flood);
    if (!gw_keys_update(shape_of(tls), keys_of(tls), GW_KEYS_READ))
        return fail(tls, io, GW_ALERT_INTERNAL_ERROR, GW_TLS_FAILURE_OTHER, text_memory);
    /* RFC 8446 4.6.3: before our next data; one answer will do for several requests. */
    if (requested && tls->state == GW_TLS_STATE_OPEN)
        tls->conduct.answer_due = 1;
    return GW_TLS_WANT;
}

/*
 * What of a record's handshake messages belongs to tickets (RFC 8446 4.6.1: a server may send them
 * at any time) is taken off it unread: who wants a ticket has kept its SSL object until it came.
 * Between records no more is kept than how far the header came, as message_bytes from TICKET_HEAD
 * on, and how much of the body is missing. One flood limit serves for tickets and KeyUpdates.
 */
enum { TICKET_HEAD = KEY_UPDATE_BYTES, TICKET_HEAD_END = TICKET_HEAD + HANDSHAKE_HEADER_BYTES - 2 };

static enum gw_tls_result skip_tickets(struct gw_tls *tls, struct gw_tls_io *io,
                                       struct gw_bytes *content)
{
    struct gw_tls_conduct *conduct = &tls->conduct;

    while (content->size > 0) {
        const uint8_t byte = content->data[0];
        size_t used = 1;

        if (conduct->message_bytes == TICKET_HEAD && byte != 0)
            return fail_record(tls, io, GW_ALERT_DECODE_ERROR, "a ticket is longer than 64 KiB");
        if (conduct->message_bytes >= TICKET_HEAD) {
            tls->skip_bytes = (uint16_t)(tls->skip_bytes << 8 | byte);
            conduct->message_bytes =
                conduct->message_bytes == TICKET_HEAD_END ? 0 : conduct->message_bytes + 1u;
        } else if (tls->skip_bytes > 0) {
            used = gw_min_u64(content->size, tls->skip_bytes);
            tls->skip_bytes -= (uint16_t)used;
        } else if (conduct->message_bytes == 0 && byte == HANDSHAKE_NEW_SESSION_TICKET) {
            if (++conduct->update_count > UPDATES_IN_A_ROW_MAX)
                return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_flood);
            conduct->message_bytes = TICKET_HEAD;
        } else {
            break;
        }
        *content = gw_bytes_after(*content, used);
    }
    return GW_TLS_WANT;
}

static bool is_amid_message(const struct gw_tls *tls)
{
    return tls->conduct.message_bytes > 0 || (tls->client && tls->skip_bytes > 0);
}

/*
 * TLS 1.3: a client without certificates has nothing to say but KeyUpdate (RFC 8446 4.6). Its five
 * bytes are checked as they come, so that no more than their number is kept between records. A
 * server may also give tickets.
 */
static enum gw_tls_result on_handshake_tls13(struct gw_tls *tls, struct gw_tls_io *io,
                                             struct gw_bytes content)
{
    static const uint8_t expected[KEY_UPDATE_BYTES - 1] = {HANDSHAKE_KEY_UPDATE, 0, 0, 1};
    uint8_t request;

    if (content.size == 0) /* RFC 8446 5.1: no handshake fragment is empty */
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_message);
    if (tls->client && skip_tickets(tls, io, &content) != GW_TLS_WANT)
        return GW_TLS_FAILED;
    while (content.size > 0 && tls->conduct.message_bytes < sizeof expected) {
        const uint8_t wanted = expected[tls->conduct.message_bytes];

        if (content.data[0] != wanted)
            return fail_record(tls, io,
                               tls->conduct.message_bytes == 0 ? GW_ALERT_UNEXPECTED_MESSAGE
                                                               : GW_ALERT_DECODE_ERROR,
                               text_message);
        tls->conduct.message_bytes++;
        content = gw_bytes_after(content, 1);
    }
    if (content.size == 0)
        return GW_TLS_WANT; /* RFC 8446 5.1: messages may be fragmented */
    request = content.data[0];
    if (request > 1) /* RFC 8446 4.6.3 */
        return fail_record(tls, io, GW_ALERT_ILLEGAL_PARAMETER, text_message);
    if (content.size > 1) /* RFC 8446 5.1: a key change stands at the end of a record */
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_message);
    tls->conduct.message_bytes = 0;
    return on_key_update(tls, io, request == 1);
}

/*
 * TLS 1.2: a server asks a client to renegotiate. RFC 5246 7.4.1.1: it may answer with a warning,
 * and all goes on.
 */
static enum gw_tls_result on_hello_request(struct gw_tls *tls, struct gw_tls_io *io,
                                           struct gw_bytes content)
{
    static const uint8_t request[HANDSHAKE_HEADER_BYTES] = {HANDSHAKE_HELLO_REQUEST, 0, 0, 0};

    if (!gw_bytes_equal(content, gw_bytes_of(request, sizeof request)))
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_message);
    if (tls->state == GW_TLS_STATE_OPEN) /* I2 */
        send_alert(tls, io, ALERT_WARNING, GW_ALERT_NO_RENEGOTIATION);
    return on_warning(tls, io);
}

/*
 * TLS 1.2: a ClientHello asks to renegotiate, which we may refuse (RFC 5246 7.4.1.2). The alert for
 * that is a warning by its definition (7.2.2). It goes out as a fatal one, as BoringSSL's does:
 * clients do not go on without the keys they have asked for, and one end is simpler than two.
 */
static enum gw_tls_result on_handshake_tls12(struct gw_tls *tls, struct gw_tls_io *io,
                                             struct gw_bytes content)
{
    if (tls->client)
        return on_hello_request(tls, io, content);
    if (content.size == 0 || content.data[0] != HANDSHAKE_CLIENT_HELLO)
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_message);
    return fail(tls, io, GW_ALERT_NO_RENEGOTIATION, GW_TLS_FAILURE_OTHER,
                "the peer wants to renegotiate, which is never done");
}

static enum gw_tls_result on_content(struct gw_tls *tls, struct gw_tls_io *io, uint8_t type,
                                     struct gw_bytes content)
{
    /* RFC 8446 5.1: no record may stand between the parts of a message. An end is an end, though.
     */
    if (is_amid_message(tls) && type != GW_RECORD_HANDSHAKE && type != GW_RECORD_ALERT)
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_message);
    switch (type) {
    case GW_RECORD_DATA:
        return on_data(tls, io, content.size);
    case GW_RECORD_ALERT:
        return on_alert(tls, io, content);
    case GW_RECORD_HANDSHAKE:
        return shape_of(tls)->tls13 ? on_handshake_tls13(tls, io, content)
                                    : on_handshake_tls12(tls, io, content);
    default: /* RFC 8446 5: change_cipher_spec too is never protected */
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_header);
    }
}

/* ---- from bytes to records ---- */

static size_t body_bytes(const uint8_t *header)
{
    return gw_load_be16(header + 3);
}

/* Everything a header can be wrong in, before a byte of its body is waited for. */
static enum gw_tls_result check_header(struct gw_tls *tls, struct gw_tls_io *io,
                                       const uint8_t *header)
{
    const struct gw_keys_shape *shape = shape_of(tls);
    const size_t overhead = gw_keys_body_overhead(shape);
    const uint8_t type = header[0];

    /* RFC 8446 5.2: all records are application_data now; a change_cipher_spec after Finished is
       unexpected (5). RFC 5246 6.2.1: the four types. */
    if (shape->tls13 ? type != GW_RECORD_DATA : type < GW_RECORD_ALERT || type > GW_RECORD_DATA)
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_header);
    /* RFC 5246 6.2.1. RFC 8446 5.1 wants it ignored in 1.3, where the tag covers it anyway. */
    if (!shape->tls13 && gw_load_be16(header + 1) != TLS1_2_VERSION)
        return fail_record(tls, io, GW_ALERT_PROTOCOL_VERSION, text_header);
    /* RFC 8446 5.4: content and inner type make at most 2^14 + 1; RFC 5246 6.2.1: 2^14. What is
       longer under RFC 8446 5.2 and RFC 5246 6.2.3 could only be so after its check. */
    if (body_bytes(header) > GW_TLS_PLAINTEXT_BYTES_MAX + (shape->tls13 ? 1u : 0u) + overhead)
        return fail_record(tls, io, GW_ALERT_RECORD_OVERFLOW, text_overflow);
    if (body_bytes(header) < overhead) /* RFC 8446 5.2: no tag, no match */
        return fail_record(tls, io, GW_ALERT_BAD_RECORD_MAC, text_mac);
    return GW_TLS_WANT;
}

/* RFC 8446 5.4: the last byte that is not zero is the type. False: there is none. */
static bool strip_padding(struct gw_bytes *inner, uint8_t *type)
{
    size_t size = inner->size;

    while (size > 0 && inner->data[size - 1] == 0)
        size--;
    if (size == 0)
        return false;
    *type = inner->data[size - 1];
    *inner = gw_bytes_of(inner->data, size - 1);
    return true;
}

static enum gw_tls_result open_record(struct gw_tls *tls, struct gw_tls_io *io,
                                      struct gw_bytes record, uint8_t *out, size_t out_capacity,
                                      size_t *out_bytes)
{
    const struct gw_keys_shape *shape = shape_of(tls);
    const struct gw_bytes body = gw_bytes_after(record, GW_RECORD_HEADER_BYTES);
    const size_t opened_bytes = body.size - gw_keys_body_overhead(shape);
    uint8_t *room = opened_bytes <= out_capacity ? out : tls->pool->scratch;
    uint8_t type = record.data[0];
    struct gw_bytes content;
    size_t n = 0;
    enum gw_tls_result result;

    if (gw_keys_are_spent(keys_of(tls), GW_KEYS_READ)) /* RFC 8446 5.3, RFC 5246 6.1: no wrapping */
        return fail(tls, io, GW_ALERT_INTERNAL_ERROR, GW_TLS_FAILURE_OTHER,
                    "the peer has used up all sequence numbers");
    if (!gw_keys_open(shape, keys_of(tls), record.data, body, room, &n))
        return fail_record(tls, io, GW_ALERT_BAD_RECORD_MAC, text_mac);
    content = gw_bytes_of(room, n);
    if (shape->tls13 && !strip_padding(&content, &type))
        return fail_record(tls, io, GW_ALERT_UNEXPECTED_MESSAGE, text_header); /* RFC 8446 5.4 */
    result = on_content(tls, io, type, content);
    if (result == GW_TLS_DATA) {
        if (room != out)
            memcpy(out, content.data, content.size);
        *out_bytes = content.size;
    }
    return result;
}

static enum gw_tls_result fail_for_room(struct gw_tls *tls, struct gw_tls_io *io)
{
    return fail(tls, io, GW_ALERT_INTERNAL_ERROR, GW_TLS_FAILURE_OTHER,
                "no buffer is left for records that come in pieces");
}

/* Moves bytes from the input until the partial record has `bytes`. False: the input ended before.
 */
static bool fill_partial(struct gw_partial *partial, struct gw_tls_io *io, size_t bytes)
{
    const size_t n = gw_min_u64(io->in.size, bytes - partial->bytes);

    memcpy(partial->data + partial->bytes, io->in.data, n);
    partial->bytes += (uint32_t)n;
    io->in = gw_bytes_after(io->in, n);
    return partial->bytes == bytes;
}

/* The length is known now, and may be more than the buffer has room for. */
static bool grow_partial(struct gw_tls *tls, size_t bytes)
{
    struct gw_partial *from = gw_partial_at(tls->pool, tls->partial), *to;
    uint32_t larger;

    if (bytes <= gw_partial_capacity(tls->partial))
        return true;
    larger = gw_partial_acquire(tls->pool, bytes);
    if (larger == GW_NONE)
        return false;
    to = gw_partial_at(tls->pool, larger);
    to->since_ns = from->since_ns;
    to->bytes = from->bytes;
    memcpy(to->data, from->data, from->bytes);
    drop_partial(tls);
    tls->partial = larger;
    return true;
}

/* Goes on with a record whose first bytes came earlier. DATA: it is whole, in *record. */
static enum gw_tls_result collect_rest(struct gw_tls *tls, struct gw_tls_io *io,
                                       struct gw_bytes *record)
{
    struct gw_partial *partial = gw_partial_at(tls->pool, tls->partial);
    size_t bytes;

    if (gw_partials_are_scarce(tls->pool) && gw_ns_between((struct gw_instant){partial->since_ns},
                                                           io->now) > PARTIAL_S_MAX * GW_NS_PER_S)
        return fail_for_room(tls, io);
    if (partial->bytes < GW_RECORD_HEADER_BYTES) {
        enum gw_tls_result result;

        if (!fill_partial(partial, io, GW_RECORD_HEADER_BYTES))
            return GW_TLS_WANT;
        result = check_header(tls, io, partial->data);
        if (result != GW_TLS_WANT)
            return result;
    }
    bytes = GW_RECORD_HEADER_BYTES + body_bytes(partial->data);
    if (!grow_partial(tls, bytes))
        return fail_for_room(tls, io);
    partial = gw_partial_at(tls->pool, tls->partial);
    if (!fill_partial(partial, io, bytes))
        return GW_TLS_WANT;
    *record = gw_bytes_of(partial->data, bytes);
    return GW_TLS_DATA;
}

/* DATA: one whole record stands in *record, in the input or in the partial buffer. */
static enum gw_tls_result collect(struct gw_tls *tls, struct gw_tls_io *io, struct gw_bytes *record)
{
    size_t bytes = GW_RECORD_HEADER_BYTES;

    if (io->in.size == 0)
        return GW_TLS_WANT;
    if (tls->partial != GW_NONE)
        return collect_rest(tls, io, record);
    if (io->in.size >= GW_RECORD_HEADER_BYTES) {
        const enum gw_tls_result result = check_header(tls, io, io->in.data);

        if (result != GW_TLS_WANT)
            return result;
        bytes += body_bytes(io->in.data);
        if (io->in.size >= bytes) {
            *record = gw_bytes_of(io->in.data, bytes);
            io->in = gw_bytes_after(io->in, bytes);
            return GW_TLS_DATA;
        }
    }
    tls->partial = gw_partial_acquire(tls->pool, bytes);
    if (tls->partial == GW_NONE)
        return fail_for_room(tls, io);
    *gw_partial_at(tls->pool, tls->partial) = (struct gw_partial){.since_ns = io->now.ns};
    (void)fill_partial(gw_partial_at(tls->pool, tls->partial), io, bytes);
    return GW_TLS_WANT;
}

enum gw_tls_result gw_record_read(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                                  size_t out_capacity, size_t *out_bytes)
{
    enum gw_tls_result result;
    struct gw_bytes record = gw_bytes_of(NULL, 0);

    do {
        result = collect(tls, io, &record);
        if (result != GW_TLS_DATA)
            break;
        result = open_record(tls, io, record, out, out_capacity, out_bytes);
        if (tls->state == GW_TLS_STATE_OPEN || tls->state == GW_TLS_STATE_SHUT)
            drop_partial(tls); /* I3 */
    } while (result == GW_TLS_WANT);
    gw_assert(result != GW_TLS_WANT || io->in.size == 0); /* I1 */
    /* At once if there is room, else with the next record: the caller's output may be in use. */
    if (tls->state == GW_TLS_STATE_OPEN && tls->conduct.answer_due &&
        io->out_capacity - io->out_bytes >= KEY_UPDATE_BYTES + GW_RECORD_OVERHEAD_BYTES_MAX &&
        !send_key_update(tls, io)) {
        *out_bytes = 0;
        return fail_silently(tls, GW_TLS_FAILURE_OTHER, text_memory);
    }
    return result;
}
