/*
 * How many handshakes begin in a turn: one shard whose kernel does nothing, and TLS states that
 * nobody reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard_internal.h"

#include "still_ring.h"

enum { SLOTS = 32, PER_TURN = 8, US_PER_TURN = 2000, AT_ONCE = 20 };

static struct gw_shard *sh;

struct gw_tls *__wrap_gw_tls_open(struct gw_tls_context *context);
void __wrap_gw_tls_close(struct gw_tls *tls);

struct gw_tls *__wrap_gw_tls_open(struct gw_tls_context *context)
{
    static char state;

    (void)context;
    return (struct gw_tls *)(void *)&state;
}

void __wrap_gw_tls_close(struct gw_tls *tls)
{
    (void)tls;
}

static int start(void **state)
{
    const struct gw_shard_options options = {
        .count = 1,
        .sessions_max = SLOTS,
        .listener_count = 1,
        .accepts_pending = 1,
        .chunk_count = 16,
        .answers_max = 16,
        .rate_frames_per_s = 10,
        .downlink_pending_max = 1,
        .handshakes_max = AT_ONCE,
        .handshakes_per_turn = PER_TURN,
        .handshake_us_per_turn = US_PER_TURN,
        .handshake_age_s_max = 4,
        .stranger_s_max = 3,
        .limits = {.frame_body_bytes_max = 1024},
    };

    (void)state;
    assert_int_equal(gw_shard_create(&options, &sh), 0);
    gw_timer_wheel_init(&sh->wheel, &session_at(sh, 0)->timer, sizeof(struct gw_session),
                        (struct gw_instant){.ns = 0});
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct gw_session *s = session_at(sh, gw_slab_acquire(&sh->sessions));

        *s = (struct gw_session){.generation = 7,
                                 .rx = GW_CHUNK_QUEUE_EMPTY,
                                 .tx = GW_CHUNK_QUEUE_EMPTY,
                                 .state = GW_SESSION_HANDSHAKE};
        *cold_of(sh, s) = (struct gw_session_cold){.held = GW_CHUNK_QUEUE_EMPTY};
        wait_for_handshake(sh, s);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gw_shard_destroy(sh);
    return 0;
}

static void expect_begun(uint32_t count)
{
    uint32_t before = sh->handshake_count;

    admit_handshakes(sh);
    assert_int_equal(sh->handshake_count - before, count);
}

static void as_many_as_are_cheap(void **state)
{
    (void)state;
    expect_begun(PER_TURN); /* nothing is known of their price yet */
    handshake_took(sh, 200 * GW_NS_PER_US);
    expect_begun(PER_TURN);
    assert_int_equal(sh->hellos.count, SLOTS - 2 * PER_TURN);
}

static void fewer_when_they_are_dear(void **state)
{
    (void)state;
    handshake_took(sh, 900 * GW_NS_PER_US);
    expect_begun(2);
    for (int i = 0; i < 20; i++)
        handshake_took(sh, 500 * GW_NS_PER_US);
    expect_begun(3); /* the average is still a little above it */
}

static void one_whatever_it_takes(void **state)
{
    (void)state;
    handshake_took(sh, GW_NS_PER_S);
    expect_begun(1);
}

static void no_more_than_may_be_under_way(void **state)
{
    (void)state;
    expect_begun(PER_TURN);
    expect_begun(PER_TURN);
    expect_begun(AT_ONCE - 2 * PER_TURN);
    expect_begun(0);
    assert_false(may_admit(sh));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(as_many_as_are_cheap),
        CASE(fewer_when_they_are_dear),
        CASE(one_whatever_it_takes),
        CASE(no_more_than_may_be_under_way),
    };

    return cmocka_run_group_tests_name("admit", tests, NULL, NULL);
}
