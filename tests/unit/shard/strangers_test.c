/*
 * Who has to go when there is no room, and who has not: one shard whose kernel does nothing, and a
 * clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard_internal.h"

#include "still_ring.h"

enum { SLOTS = 8, ACCEPTS = 2, PATIENCE_S = 3 };

static struct gw_shard *sh;

static int start(void **state)
{
    const struct gw_shard_options options = {
        .count = 1,
        .sessions_max = SLOTS,
        .listener_count = 1,
        .accepts_pending = ACCEPTS,
        .chunk_count = 16,
        .answers_max = 16,
        .rate_frames_per_s = 10,
        .downlink_pending_max = 1,
        .handshakes_max = 1,
        .stranger_s_max = PATIENCE_S,
        .limits = {.frame_body_bytes_max = 1024},
    };

    (void)state;
    assert_int_equal(gw_shard_create(&options, &sh), 0);
    gw_timer_wheel_init(&sh->wheel, &session_at(sh, 0)->timer, sizeof(struct gw_session),
                        (struct gw_instant){.ns = 0});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gw_shard_destroy(sh);
    return 0;
}

static void pass(uint64_t ms)
{
    still_ring_now_ns += ms * GW_NS_PER_MS;
}

static struct gw_session *stranger(enum gw_session_state in, enum stranger_kind kind)
{
    uint32_t slot = gw_slab_acquire(&sh->sessions);
    struct gw_session *s = session_at(sh, slot);

    *s = (struct gw_session){.generation = 7,
                             .rx = GW_CHUNK_QUEUE_EMPTY,
                             .tx = GW_CHUNK_QUEUE_EMPTY,
                             .state = (uint8_t)in};
    sh->cold[slot] = (struct gw_session_cold){.held = GW_CHUNK_QUEUE_EMPTY};
    stranger_waits(sh, s, kind);
    return s;
}

static void expect_out(const struct gw_session *s, bool out)
{
    assert_int_equal(s->state == GW_SESSION_CLOSING, out);
    if (out)
        assert_int_equal(s->close_reason, GW_CLOSE_CROWDED_OUT);
}

static void of_slots_the_longest_go_first_and_not_before_their_time(void **state)
{
    struct gw_session *s[4];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(s); i++) {
        s[i] = stranger(GW_SESSION_LOGIN, STRANGER_IDLE);
        pass(200);
    }
    strangers_free_slots(sh);
    for (size_t i = 0; i < GW_ARRAY_COUNT(s); i++)
        expect_out(s[i], false);
    stranger_waits(sh, s[0], STRANGER_IDLE); /* it has asked for something, and waits anew */
    pass(PATIENCE_S * 1000 - 400);
    strangers_free_slots(sh);
    for (size_t i = 0; i < GW_ARRAY_COUNT(s); i++)
        expect_out(s[i], i == 1 || i == 2); /* as many as accepts can be queued */
    strangers_free_slots(sh);
    expect_out(s[3], false);
    pass(500);
    strangers_free_slots(sh);
    expect_out(s[3], true);
    expect_out(s[0], true);
    assert_int_equal(sh->strangers[STRANGER_IDLE].count, 0);
}

static void while_it_is_we_who_are_late_nobody_goes(void **state)
{
    struct gw_session *s = stranger(GW_SESSION_HTTP, STRANGER_IDLE);

    (void)state;
    sh->http_count++;
    cold_of(sh, s)->http.waits = 1;
    pass(2 * PATIENCE_S * 1000);
    strangers_free_slots(sh);
    expect_out(s, false);
    cold_of(sh, s)->http.waits = 0;
    strangers_free_slots(sh); /* its time began when it was looked at */
    expect_out(s, false);
    pass(PATIENCE_S * 1000 + GW_TIMER_TICK_MS);
    strangers_free_slots(sh);
    expect_out(s, true);
}

static void half_a_hello_goes_before_one_that_was_answered(void **state)
{
    struct gw_session *answered = stranger(GW_SESSION_HANDSHAKE, STRANGER_ANSWERED);
    struct gw_session *greeting;

    (void)state;
    pass(2 * PATIENCE_S * 1000);
    greeting = stranger(GW_SESSION_HANDSHAKE, STRANGER_GREETING);
    pass(1000);
    assert_true(strangers_end_handshake(sh));
    expect_out(greeting, true);
    expect_out(answered, false);
    assert_true(strangers_end_handshake(sh));
    expect_out(answered, true);
    assert_false(strangers_end_handshake(sh));
}

static void who_was_answered_has_time_to_answer(void **state)
{
    struct gw_session *s = stranger(GW_SESSION_HANDSHAKE, STRANGER_GREETING);

    (void)state;
    assert_false(strangers_end_handshake(sh)); /* the rest may be a segment away */
    pass(1000);
    stranger_waits(sh, s, STRANGER_ANSWERED);
    pass(PATIENCE_S * 1000 - 500);
    assert_false(strangers_end_handshake(sh));
    pass(600);
    assert_true(strangers_end_handshake(sh));
    expect_out(s, true);
}

static void who_is_known_is_left_alone(void **state)
{
    struct gw_session *first = stranger(GW_SESSION_LOGIN, STRANGER_IDLE);
    struct gw_session *known = stranger(GW_SESSION_LOGIN, STRANGER_IDLE);
    struct gw_session *last = stranger(GW_SESSION_LOGIN, STRANGER_IDLE);

    (void)state;
    stranger_is_known(sh, known);
    stranger_is_known(sh, known);
    assert_true(gw_chunk_queue_is_empty(&cold_of(sh, known)->held));
    pass(2 * PATIENCE_S * 1000);
    strangers_free_slots(sh);
    expect_out(first, true);
    expect_out(last, true);
    expect_out(known, false);
}

/* Somebody must want the room: only then is there anything to wake up for. */
static void nobody_goes_for_nothing(void **state)
{
    (void)state;
    (void)stranger(GW_SESSION_LOGIN, STRANGER_IDLE);
    (void)stranger(GW_SESSION_HANDSHAKE, STRANGER_ANSWERED);
    pass(2 * PATIENCE_S * 1000);
    assert_true(strangers_due_ns(sh) == UINT64_MAX);
    sh->listening = true;
    sh->accepting[0] = 1;
    assert_true(strangers_due_ns(sh) == UINT64_MAX);
    sh->accepting[0] = 0;
    assert_true(strangers_due_ns(sh) == 0);
    sh->accepting[0] = 1;
    sh->hellos.count = 1;
    assert_true(strangers_due_ns(sh) == 0);
    sh->hellos.count = 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(of_slots_the_longest_go_first_and_not_before_their_time),
        CASE(while_it_is_we_who_are_late_nobody_goes),
        CASE(half_a_hello_goes_before_one_that_was_answered),
        CASE(who_was_answered_has_time_to_answer),
        CASE(who_is_known_is_left_alone),
        CASE(nobody_goes_for_nothing),
    };

    return cmocka_run_group_tests_name("shard.strangers", tests, NULL, NULL);
}
