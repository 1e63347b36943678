/*
 * Target  gw_session_frame and what answers its questions, fed by gw_frame_decode
 *
 * Input   16 bytes that say what the index answers, then what a device sends, frame by frame
 *
 * Oracle  a frame leads to one record at most, that the log can hold and give back; status 9 comes
 *         from a token that is unknown and from nothing else; whatever is pointed to lies in the
 *         frame or in the room for the answer; the session is sound after each frame
 */
#include <string.h>

#include <gw/base/assert.h>
#include <gw/session/session.h>

#include "fuzz.h"

enum { ANSWERS = 16, RECORD_BYTES_MAX = 8192 };

#define NOW_US UINT64_C(1700000000000123)

static const struct gw_session_limits limits = {.frame_body_bytes_max = 4096,
                                                .heartbeat_default_s = 10,
                                                .heartbeat_min_s = 5,
                                                .heartbeat_max_s = 3600};

struct life {
    struct gw_session s;
    struct gw_session_cold cold;
    struct gw_session_todo todo;
    const uint8_t *answers; /* what the index says, in turn */
    unsigned asked;
    bool token_is_unknown;
};

static uint8_t next_answer(struct life *l)
{
    return l->answers[l->asked++ % ANSWERS];
}

/* In the frame, or in the room of the answer, or a word of the program's own. */
static void check_view(struct gw_bytes view, struct gw_bytes body)
{
    if (view.size > 0 && view.data >= body.data && view.data < body.data + body.size)
        gw_assert(view.size <= (size_t)(body.data + body.size - view.data));
}

static void check_record(const struct gw_record *record)
{
    static uint8_t bytes[GW_RECORD_HEADER_BYTES + RECORD_BYTES_MAX];
    struct gw_record again;
    size_t used, size = gw_record_bytes(record);

    gw_assert(gw_record_kind_text(record->kind) != NULL && size <= sizeof bytes);
    gw_record_encode(bytes, record);
    gw_assert(gw_record_decode(gw_bytes_of(bytes, size), &again, &used) == GW_OK && used == size);
    gw_assert(gw_bytes_equal(again.name, record->name) &&
              gw_bytes_equal(again.value, record->value));
    gw_assert(again.pin == record->pin && again.bank == record->bank);
}

static void log_in(struct life *l, const struct gw_frame *frame)
{
    uint8_t answer = next_answer(l);
    struct gw_grant grant = {.device = 7, .product = 3, .org = 1, .product_flags = answer >> 4 & 3};
    static const enum gw_login logins[] = {GW_LOGIN_GRANTED, GW_LOGIN_UNKNOWN, GW_LOGIN_DISABLED,
                                           GW_LOGIN_UNAVAILABLE};
    enum gw_login login = logins[answer % GW_ARRAY_COUNT(logins)];

    l->token_is_unknown = login == GW_LOGIN_UNKNOWN;
    gw_session_login(&l->s, &l->cold, &limits, frame->msg_id, login, &grant, &l->todo);
}

static void answer_question(struct life *l, const struct gw_frame *frame,
                            uint8_t room[GW_SESSION_ANSWER_BYTES_MAX])
{
    struct gw_bytes value;
    uint8_t answer;

    check_view(l->todo.asked, frame->body);
    switch (l->todo.ask) {
    case GW_ASK_LOGIN:
        log_in(l, frame);
        break;
    case GW_ASK_PRODUCT:
        gw_session_info(&l->s, &l->cold, &limits, frame, next_answer(l) % 2 == 0, &l->todo);
        break;
    case GW_ASK_ZONE:
        gw_session_time(frame, next_answer(l) % 2 == 0 ? gw_zone_utc() : NULL, NOW_US, room,
                        &l->todo);
        break;
    case GW_ASK_FIELD:
        answer = next_answer(l);
        value = gw_bytes_of(l->answers, answer % ANSWERS);
        gw_session_field(&l->cold, l->todo.asked, answer >= 128 ? NULL : &value, room, &l->todo);
        break;
    case GW_ASK_EVENT:
        if (next_answer(l) % 2 == 0)
            gw_session_event_unknown(&l->todo);
        break;
    case GW_ASK_NOTHING:
    case GW_ASK_VALUES:
    case GW_ASK_BRIDGE:
        break;
    }
}

static void check_todo(const struct life *l, const struct gw_frame *frame)
{
    if (l->todo.publish)
        check_record(&l->todo.record);
    if (l->todo.answer == GW_ANSWER_NOW || l->todo.answer == GW_ANSWER_DURABLE)
        gw_assert((l->todo.status == GW_RESPONSE_INVALID_TOKEN) == l->token_is_unknown);
    if (l->todo.answer == GW_ANSWER_BODY) {
        gw_assert(l->todo.body.size <= GW_SESSION_ANSWER_BYTES_MAX);
        check_view(l->todo.body, frame->body);
    }
    gw_assert(l->todo.close < GW_CLOSE_REASONS);
    gw_session_check(&l->s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct life l = {.s = {.rx = GW_CHUNK_QUEUE_EMPTY, .tx = GW_CHUNK_QUEUE_EMPTY},
                     .cold = {.held = GW_CHUNK_QUEUE_EMPTY},
                     .answers = data};
    uint8_t room[GW_SESSION_ANSWER_BYTES_MAX];
    struct gw_bytes in;

    if (size <= ANSWERS)
        return 0;
    in = gw_bytes_of(data + ANSWERS, size - ANSWERS);
    if (gw_session_first_byte(in.data[0]) != GW_CLOSE_NONE)
        return 0;
    gw_session_move(&l.s, GW_SESSION_ACCEPTING);
    gw_session_move(&l.s, GW_SESSION_LOGIN);
    do {
        struct gw_frame frame;
        size_t used;

        if (gw_frame_decode(in, gw_session_body_bytes_max(&l.s, &limits), &frame, &used) != GW_OK)
            break;
        in = gw_bytes_after(in, used);
        gw_session_frame(&l.s, &l.cold, &limits, &frame, NOW_US, &l.todo);
        answer_question(&l, &frame, room);
        check_todo(&l, &frame);
    } while (l.todo.close == GW_CLOSE_NONE);
    return 0;
}
