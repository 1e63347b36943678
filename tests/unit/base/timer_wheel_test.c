/*
 * The wheel against a table of deadlines that is searched from end to end, in virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/timer_wheel.h>

#define TICK_NS ((uint64_t)GW_TIMER_TICK_MS * GW_NS_PER_MS)

enum { NODES = 300 };

struct owner {
    uint64_t something_else;
    struct gw_timer_node timer;
};

static struct owner owners[NODES];
static struct gw_timer_wheel wheel;
static const struct gw_instant start = {.ns = UINT64_C(987654321987654321)};

static int fresh_wheel(void **state)
{
    (void)state;
    memset(owners, 0, sizeof owners);
    gw_timer_wheel_init(&wheel, &owners[0].timer, sizeof owners[0], start);
    return 0;
}

static struct gw_instant after(uint64_t ns)
{
    return gw_instant_after(start, ns);
}

static uint64_t seed;

static uint64_t next_random(void)
{
    uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Below `limit`, and as often small as large: all levels of the wheel get their share. */
static uint64_t next_span(uint64_t limit)
{
    uint64_t bits = next_random() % 64;

    return (next_random() >> bits) % limit;
}

/* What the model knows: when each slot was asked to fire, and the earliest turn it may. */
struct model {
    bool armed[NODES];
    uint64_t at_ns[NODES];
    uint64_t armed_at_ns[NODES]; /* a past deadline still waits for the next tick */
    uint32_t count;
};

static void model_arm(struct model *m, uint32_t slot, uint64_t now_ns, uint64_t at_ns)
{
    m->count += !m->armed[slot];
    m->armed[slot] = true;
    m->at_ns[slot] = at_ns;
    m->armed_at_ns[slot] = now_ns;
}

/* Pops all that is due: each must be due, and none that is overdue by a tick may be left. */
static void fire_all(struct model *m, uint64_t now_ns)
{
    uint32_t slot;

    while ((slot = gw_timer_wheel_pop(&wheel, after(now_ns))) != GW_NONE) {
        assert_true(slot < NODES && m->armed[slot]);
        assert_true(m->at_ns[slot] <= now_ns); /* never early */
        assert_false(gw_timer_is_armed(&wheel, slot));
        m->armed[slot] = false;
        m->count--;
    }
    for (slot = 0; slot < NODES; slot++)
        if (m->armed[slot]) {
            uint64_t from = gw_max_u64(m->at_ns[slot], m->armed_at_ns[slot]);

            assert_true(gw_timer_is_armed(&wheel, slot));
            assert_true(now_ns < from + TICK_NS); /* at most one tick late */
        }
    assert_int_equal(wheel.armed_count, m->count);
}

static void run_against_the_model(uint64_t horizon_ns, uint64_t stride_ns, int turns)
{
    struct model m = {.count = 0};
    uint64_t now_ns = 0;

    for (int turn = 0; turn < turns; turn++) {
        uint32_t slot = (uint32_t)(next_random() % NODES);

        switch (next_random() % 4) {
        case 0:
            gw_timer_disarm(&wheel, slot);
            m.count -= m.armed[slot];
            m.armed[slot] = false;
            break;
        case 1:
        case 2: {
            uint64_t span = next_span(horizon_ns);
            /* Sometimes in the past: that is due at once. */
            uint64_t at = span % 16 == 0 ? now_ns - next_span(now_ns + 1) : now_ns + span;

            gw_timer_arm(&wheel, slot, after(at));
            model_arm(&m, slot, now_ns, at);
            break;
        }
        default:
            now_ns += next_span(stride_ns);
            fire_all(&m, now_ns);
            break;
        }
        if (turn % 16 == 0)
            gw_timer_wheel_check(&wheel);
    }
}

static void timers_fire_in_time_like_the_model(void **state)
{
    static const struct {
        uint64_t horizon_ns, stride_ns;
    } runs[] = {
        {10 * GW_NS_PER_S, GW_NS_PER_S},               /* mostly level 0 and 1 */
        {4000 * GW_NS_PER_S, 100 * GW_NS_PER_S},       /* keepalives           */
        {4000 * GW_NS_PER_S, GW_NS_PER_MS},            /* a loop that turns    */
        {100000000 * GW_NS_PER_S, 1000 * GW_NS_PER_S}, /* years, all levels    */
        {100000000 * GW_NS_PER_S, 1000000 * GW_NS_PER_S},
    };

    for (size_t i = 0; i < GW_ARRAY_COUNT(runs); i++)
        for (seed = 1; seed <= 8 * UINT64_C(1000000); seed += 1000000) {
            (void)fresh_wheel(state);
            run_against_the_model(runs[i].horizon_ns, runs[i].stride_ns, 3000);
        }
}

/* A loop that sleeps exactly as long as it is told wakes for every timer, and rarely for none. */
static void sleeping_as_told_misses_nothing(void **state)
{
    struct model m = {.count = 0};
    uint64_t now_ns = 0;
    int wakes = 0;

    (void)state;
    seed = 5;
    for (uint32_t slot = 0; slot < NODES; slot++) {
        uint64_t at = next_span(10000000 * GW_NS_PER_S);

        gw_timer_arm(&wheel, slot, after(at));
        model_arm(&m, slot, 0, at);
    }
    while (m.count > 0) {
        uint64_t sleep_ns = gw_timer_wheel_next(&wheel, after(now_ns));

        assert_true(sleep_ns > 0 && sleep_ns != UINT64_MAX);
        now_ns += sleep_ns;
        assert_int_equal(now_ns % TICK_NS, 0); /* woken where a tick begins */
        fire_all(&m, now_ns);
        wakes++;
    }
    assert_true(wakes <= NODES * GW_TIMER_LEVELS); /* its own tick, and once a level before it */
    assert_true(gw_timer_wheel_next(&wheel, after(now_ns)) == UINT64_MAX);
}

static void every_distance_fires_at_its_tick(void **state)
{
    /* Around every power of 64, from every place within the lower levels. */
    static const uint64_t places[] = {0, 1, 62, 63, 64, 65, 4095, 4096, 262143, 16777215};

    for (size_t p = 0; p < GW_ARRAY_COUNT(places); p++)
        for (uint64_t power = 1; power <= UINT64_C(1) << 30; power *= 64)
            for (int64_t near = -1; near <= 1; near++) {
                uint64_t distance = power + (uint64_t)near, due = places[p] + distance;

                if (distance == 0)
                    continue;
                (void)fresh_wheel(state);
                assert_int_equal(gw_timer_wheel_pop(&wheel, after(places[p] * TICK_NS)), GW_NONE);
                gw_timer_arm(&wheel, 1, after(due * TICK_NS));
                assert_int_equal(gw_timer_wheel_pop(&wheel, after(due * TICK_NS - 1)), GW_NONE);
                gw_timer_wheel_check(&wheel);
                assert_int_equal(gw_timer_wheel_pop(&wheel, after(due * TICK_NS)), 1);
                assert_int_equal(gw_timer_wheel_pop(&wheel, after(due * TICK_NS)), GW_NONE);
            }
}

static void one_long_jump_fires_everything_in_order(void **state)
{
    uint64_t last_ns = 0;
    uint64_t at_ns[NODES];
    uint32_t slot;

    (void)state;
    seed = 9;
    for (slot = 0; slot < NODES; slot++) {
        at_ns[slot] = next_span(100000000 * GW_NS_PER_S);
        gw_timer_arm(&wheel, slot, after(at_ns[slot]));
    }
    for (int i = 0; i < NODES; i++) {
        slot = gw_timer_wheel_pop(&wheel, after(200000000 * GW_NS_PER_S));
        assert_true(slot < NODES);
        assert_true(at_ns[slot] + TICK_NS > last_ns); /* in order of ticks */
        last_ns = at_ns[slot];
    }
    assert_int_equal(gw_timer_wheel_pop(&wheel, after(200000000 * GW_NS_PER_S)), GW_NONE);
}

static void a_deadline_beyond_the_wheel_is_far_and_not_now(void **state)
{
    static const uint64_t far_ns[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - TICK_NS,
                                      UINT64_MAX / 2};

    for (size_t i = 0; i < GW_ARRAY_COUNT(far_ns); i++) {
        (void)fresh_wheel(state);
        gw_timer_wheel_init(&wheel, &owners[0].timer, sizeof owners[0], (struct gw_instant){0});
        gw_timer_arm(&wheel, 0, (struct gw_instant){.ns = far_ns[i]});
        assert_int_equal(owners[0].timer.deadline_tick, UINT32_MAX);
        assert_int_equal(gw_timer_wheel_pop(&wheel, (struct gw_instant){.ns = 86400 * GW_NS_PER_S}),
                         GW_NONE);
        gw_timer_wheel_check(&wheel);
        /* The wheel's end is where it stands still, not where it begins again. */
        struct gw_instant beyond = {.ns = (UINT64_C(1) << 33) * TICK_NS};

        assert_int_equal(gw_timer_wheel_pop(&wheel, beyond), 0);
        assert_int_equal(gw_timer_wheel_pop(&wheel, beyond), GW_NONE);
        assert_int_equal(wheel.tick, UINT32_MAX);
    }
}

static void a_timer_may_be_armed_and_disarmed_between_pops(void **state)
{
    (void)state;
    gw_timer_arm(&wheel, 1, after(TICK_NS));
    gw_timer_arm(&wheel, 2, after(TICK_NS));
    gw_timer_arm(&wheel, 3, after(TICK_NS));
    uint32_t first = gw_timer_wheel_pop(&wheel, after(TICK_NS));

    assert_true(first >= 1 && first <= 3);
    gw_timer_disarm(&wheel, first == 2 ? 1 : 2);
    gw_timer_arm(&wheel, first, after(0)); /* due at the next tick, not in this turn */
    uint32_t second = gw_timer_wheel_pop(&wheel, after(TICK_NS));

    assert_true(second != first && second != (first == 2 ? 1u : 2u));
    assert_int_equal(gw_timer_wheel_pop(&wheel, after(TICK_NS)), GW_NONE);
    gw_timer_wheel_check(&wheel);
    assert_int_equal(gw_timer_wheel_pop(&wheel, after(2 * TICK_NS)), first);
    gw_timer_disarm(&wheel, first); /* not armed: nothing happens */
    assert_int_equal(wheel.armed_count, 0);
}

int main(void)
{
#define WITH_WHEEL(test) cmocka_unit_test_setup(test, fresh_wheel)
    const struct CMUnitTest tests[] = {
        WITH_WHEEL(timers_fire_in_time_like_the_model),
        WITH_WHEEL(sleeping_as_told_misses_nothing),
        WITH_WHEEL(every_distance_fires_at_its_tick),
        WITH_WHEEL(one_long_jump_fires_everything_in_order),
        WITH_WHEEL(a_deadline_beyond_the_wheel_is_far_and_not_now),
        WITH_WHEEL(a_timer_may_be_armed_and_disarmed_between_pops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
