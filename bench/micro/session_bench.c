/*
 * The session's step: from a decoded frame to a to-do list.
 */
#include <gw/session/session.h>

#include "bench.h"

extern const struct gw_bench_case bench_session_cases[];

static const struct gw_session_limits limits = {.frame_body_bytes_max = 4096,
                                                .heartbeat_default_s = 45,
                                                .heartbeat_min_s = 5,
                                                .heartbeat_max_s = 3600};

static void step(struct gw_bench *b, const struct gw_frame *frame, bool publishes)
{
    struct gw_session session = {.rx = GW_CHUNK_QUEUE_EMPTY, .tx = GW_CHUNK_QUEUE_EMPTY};
    struct gw_session_cold cold = {.held = GW_CHUNK_QUEUE_EMPTY};
    struct gw_grant grant = {.device = 7, .product = 3, .org = 1};
    struct gw_session_todo todo;

    gw_session_move(&session, GW_SESSION_ACCEPTING);
    gw_session_move(&session, GW_SESSION_LOGIN);
    gw_session_login(&session, &cold, &limits, 1, GW_LOGIN_GRANTED, &grant, &todo);
    while (gw_bench_next(b)) {
        gw_session_frame(&session, &cold, &limits, frame, UINT64_C(1700000000000000), &todo);
        if (todo.publish != publishes || todo.close != GW_CLOSE_NONE) {
            gw_bench_fail(b, "the step did something else");
            return;
        }
        gw_bench_keep(&todo);
    }
}

/*
 * Question: what does the state machine add to an update?
 * Expected: 35 ns: clearing a to-do list of some 250 bytes, two memchr and a short number.
 */
static void session_pin_write(struct gw_bench *b)
{
    static const char body[] = "vw\0"
                               "1\0"
                               "1023";
    struct gw_frame frame = {
        .type = GW_FRAME_HARDWARE, .msg_id = 7, .body = gw_bytes_of(body, sizeof body - 1)};

    step(b, &frame, true);
}

/*
 * Question: what does a heartbeat cost here, the frame that a million idle devices send?
 * Expected: 12 ns: the to-do list is cleared and two of its fields are set.
 */
static void session_ping(struct gw_bench *b)
{
    struct gw_frame frame = {.type = GW_FRAME_PING, .msg_id = 7};

    step(b, &frame, false);
}

const struct gw_bench_case bench_session_cases[] = {
    {"session_pin_write", session_pin_write},
    {"session_ping", session_ping},
    {0},
};
