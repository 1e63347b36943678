/*
 * Sources that fail, on a clock of the test's own: what counts, for how long, and what a flood or
 * many threads can do to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <gw/base/lockout.h>

enum { FAILURES = 5, WINDOW_S = 600, LOCK_S = 600, SOURCES = 64, THREADS = 4, ROUNDS = 2000 };

#define BEGIN_NS (1000 * GW_NS_PER_S)

static struct gw_lockout *make(enum gw_lockout_profile profile, uint32_t sources)
{
    struct gw_lockout_options options = {.profile = profile,
                                         .failures = FAILURES,
                                         .window_s = WINDOW_S,
                                         .lock_s = LOCK_S,
                                         .sources = sources,
                                         .seed = 0x123456789abcdef};
    struct gw_lockout *lockout;

    assert_int_equal(gw_lockout_create(&options, &lockout), 0);
    return lockout;
}

static struct gw_instant at_ms(uint64_t ms)
{
    return (struct gw_instant){.ns = BEGIN_NS + ms * GW_NS_PER_MS};
}

static struct gw_instant at(uint32_t s)
{
    return at_ms(UINT64_C(1000) * s);
}

static struct gw_source v4(uint32_t number)
{
    uint8_t address[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};

    return gw_source_v4(address);
}

static struct gw_source parsed(const char *text)
{
    struct gw_source source;

    assert_true(gw_source_parse(text, &source));
    return source;
}

static void a_source_is_an_address_or_a_network(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:db8:1:2::/64", "2001:db8:1:2::/64"},
        {"::1", "::/64"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"64:ff9b::192.0.2.1", "192.0.2.1"},
        {"64:ff9b:1::192.0.2.1", "64:ff9b:1::/64"},
    };
    static const char *const wrong[] = {
        "",    "x",      "192.0.2.1/64", "192.0.2",
        "/64", "::1/48", "2001:db8::1 ", "2001:0db8:0001:0002:0003:0004:0005:0006:0007:0008:0009"};
    struct gw_source source;
    char text[GW_SOURCE_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        gw_source_text(parsed(rows[i].text), text);
        assert_string_equal(text, rows[i].shown);
        assert_true(parsed(rows[i].shown).key == parsed(rows[i].text).key);
        assert_true(parsed(rows[i].text).key != 0);
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(wrong); i++)
        assert_false(gw_source_parse(wrong[i], &source));
}

static void the_last_failure_that_is_allowed_locks(void **state)
{
    static const struct {
        enum gw_lockout_profile profile;
        enum gw_lockout_state locked;
    } rows[] = {{GW_LOCKOUT_NAT, GW_LOCKOUT_GUARDED}, {GW_LOCKOUT_LITERAL, GW_LOCKOUT_SHUT}};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_lockout *lockout = make(rows[i].profile, SOURCES);

        for (uint32_t k = 0; k < FAILURES - 1; k++) {
            assert_int_equal(gw_lockout_fail(lockout, v4(1), k, at(k)), GW_LOCKOUT_COUNTED);
            assert_int_equal(gw_lockout_look(lockout, v4(1), at(k)), GW_LOCKOUT_OPEN);
        }
        assert_int_equal(gw_lockout_fail(lockout, v4(1), 99, at(10)), GW_LOCKOUT_LOCKED_NOW);
        assert_int_equal(gw_lockout_look(lockout, v4(1), at(10)), rows[i].locked);
        assert_int_equal(gw_lockout_look(lockout, v4(2), at(10)), GW_LOCKOUT_OPEN);
        /* Tries meanwhile do not lengthen it. */
        assert_int_equal(gw_lockout_fail(lockout, v4(1), 100, at(300)), GW_LOCKOUT_LOCKED);
        assert_int_equal(gw_lockout_look(lockout, v4(1), at_ms(10000 + LOCK_S * 1000 - 1)),
                         rows[i].locked);
        assert_int_equal(gw_lockout_look(lockout, v4(1), at(10 + LOCK_S)), GW_LOCKOUT_OPEN);
        /* And afterwards it takes as many again. */
        for (uint32_t k = 0; k < FAILURES - 1; k++)
            assert_int_equal(gw_lockout_fail(lockout, v4(1), k, at(10 + LOCK_S)),
                             GW_LOCKOUT_COUNTED);
        assert_int_equal(gw_lockout_fail(lockout, v4(1), 98, at(11 + LOCK_S)),
                         GW_LOCKOUT_LOCKED_NOW);
        gw_lockout_destroy(lockout);
    }
}

static void the_window_slides(void **state)
{
    struct gw_lockout *lockout = make(GW_LOCKOUT_LITERAL, SOURCES);

    (void)state;
    /* One failure in a fifth of the window, for ever: the fifth comes when the first is too old. */
    for (uint32_t k = 0; k < 50; k++)
        assert_int_equal(gw_lockout_fail(lockout, v4(1), k, at(k * WINDOW_S / (FAILURES - 1))),
                         GW_LOCKOUT_COUNTED);
    /* A little faster, and it does not. */
    for (uint32_t k = 0; k < FAILURES; k++)
        assert_int_equal(
            gw_lockout_fail(lockout, v4(2), k, at(k * (WINDOW_S / (FAILURES - 1) - 1))),
            k == FAILURES - 1 ? GW_LOCKOUT_LOCKED_NOW : GW_LOCKOUT_COUNTED);
    gw_lockout_destroy(lockout);
}

static void in_nat_one_stale_board_locks_nobody(void **state)
{
    struct gw_lockout *nat = make(GW_LOCKOUT_NAT, SOURCES),
                      *literal = make(GW_LOCKOUT_LITERAL, SOURCES);
    uint32_t locked = 0;

    (void)state;
    for (uint32_t s = 0; s < 5 * WINDOW_S; s += 5) { /* it comes back every 5 s */
        assert_int_equal(gw_lockout_fail(nat, v4(1), 7, at(s)), GW_LOCKOUT_COUNTED);
        locked += gw_lockout_fail(literal, v4(1), 7, at(s)) == GW_LOCKOUT_LOCKED_NOW;
    }
    assert_in_range(locked, 4, 5);
    /* Beside it, others count from 2 on. */
    for (uint32_t k = 2; k <= FAILURES; k++)
        assert_int_equal(gw_lockout_fail(nat, v4(1), 7 + k, at(5 * WINDOW_S - 1)),
                         k == FAILURES ? GW_LOCKOUT_LOCKED_NOW : GW_LOCKOUT_COUNTED);
    gw_lockout_destroy(nat);
    gw_lockout_destroy(literal);
}

static void off_counts_nothing(void **state)
{
    struct gw_lockout *lockout = make(GW_LOCKOUT_OFF, SOURCES);

    (void)state;
    for (uint32_t k = 0; k < 10 * FAILURES; k++)
        assert_int_equal(gw_lockout_fail(lockout, v4(1), k, at(1)), GW_LOCKOUT_COUNTED);
    assert_int_equal(gw_lockout_look(lockout, v4(1), at(1)), GW_LOCKOUT_OPEN);
    assert_int_equal(gw_lockout_ban(lockout, v4(1), at(1), 60), 0);
    assert_int_equal(gw_lockout_look(lockout, v4(1), at(1)), GW_LOCKOUT_SHUT);
    gw_lockout_destroy(lockout);
}

static void a_flood_flushes_neither_locks_nor_counts(void **state)
{
    enum { FLOOD = 200000 };
    struct gw_lockout *lockout = make(GW_LOCKOUT_LITERAL, SOURCES);
    struct gw_source guesser = parsed("192.0.2.7"), locked = parsed("192.0.2.8");

    (void)state;
    for (uint32_t k = 0; k < FAILURES; k++)
        (void)gw_lockout_fail(lockout, locked, k, at(1));
    for (uint32_t k = 0; k < FAILURES - 1; k++)
        (void)gw_lockout_fail(lockout, guesser, k, at(1));
    for (uint32_t k = 0; k < FLOOD; k++) /* far more sources than there is room for */
        (void)gw_lockout_fail(lockout, v4(k), k, at(2));
    assert_int_equal(gw_lockout_look(lockout, locked, at(3)), GW_LOCKOUT_SHUT);
    assert_int_equal(gw_lockout_fail(lockout, guesser, 1, at(3)), GW_LOCKOUT_LOCKED_NOW);
    assert_int_equal(gw_lockout_list(lockout, at(3), NULL, 0), 2);
    assert_true(gw_lockout_overflows(lockout) == 0);
    gw_lockout_destroy(lockout);
}

static void a_table_full_of_locks_lets_the_rest_pass_and_says_so(void **state)
{
    struct gw_lockout *lockout = make(GW_LOCKOUT_LITERAL, SOURCES);
    struct gw_lockout_row rows[3];
    uint32_t locked = 0, source = 0;

    (void)state;
    for (; source < 100 * SOURCES; source++)
        for (uint32_t k = 0; k < FAILURES; k++)
            locked += gw_lockout_fail(lockout, v4(source), k, at(1)) == GW_LOCKOUT_LOCKED_NOW;
    assert_int_equal(locked, SOURCES);
    assert_int_equal(gw_lockout_list(lockout, at(1), rows, 3), SOURCES);
    assert_int_equal(rows[2].seconds_left, LOCK_S);
    assert_false(rows[2].by_hand);
    assert_true(gw_lockout_overflows(lockout) == FAILURES * (100 * SOURCES - SOURCES));
    /* IPv6 has its own half. */
    assert_int_equal(gw_lockout_fail(lockout, parsed("2001:db8::1"), 1, at(1)), GW_LOCKOUT_COUNTED);
    assert_true(gw_lockout_overflows(lockout) == FAILURES * (100 * SOURCES - SOURCES));
    /* By hand there is room, until everything is by hand. */
    for (source = 0, locked = 0; source < 100 * SOURCES; source++)
        locked += gw_lockout_ban(lockout, v4(source), at(2), 3600) == 0;
    assert_int_equal(locked, SOURCES);
    assert_int_equal(gw_lockout_list(lockout, at(2 + LOCK_S), rows, 3), SOURCES);
    assert_true(rows[0].by_hand);
    /* When they end, the room is free again. */
    assert_int_equal(gw_lockout_list(lockout, at(3602), rows, 3), 0);
    for (uint32_t k = 0; k < FAILURES; k++)
        assert_int_equal(gw_lockout_fail(lockout, v4(7), k, at(3602)),
                         k == FAILURES - 1 ? GW_LOCKOUT_LOCKED_NOW : GW_LOCKOUT_COUNTED);
    gw_lockout_destroy(lockout);
}

static void what_is_locked_can_be_let_in(void **state)
{
    struct gw_lockout *lockout = make(GW_LOCKOUT_NAT, SOURCES);

    (void)state;
    assert_false(gw_lockout_unban(lockout, v4(1), at(1)));
    for (uint32_t k = 0; k < FAILURES; k++)
        (void)gw_lockout_fail(lockout, v4(1), k, at(1));
    assert_true(gw_lockout_unban(lockout, v4(1), at(2)));
    assert_int_equal(gw_lockout_look(lockout, v4(1), at(2)), GW_LOCKOUT_OPEN);
    assert_false(gw_lockout_unban(lockout, v4(1), at(2)));
    assert_int_equal(gw_lockout_ban(lockout, v4(1), at(2), 5), 0);
    assert_int_equal(gw_lockout_look(lockout, v4(1), at_ms(6999)), GW_LOCKOUT_SHUT);
    assert_int_equal(gw_lockout_look(lockout, v4(1), at(7)), GW_LOCKOUT_OPEN);
    gw_lockout_destroy(lockout);
}

/* ---- threads ---- */

struct thread {
    pthread_t thread;
    struct gw_lockout *lockout;
    uint32_t number;
    atomic_uint *locked_now, *before;
};

/* Everyone fails from the same sources at the same time, each with secrets of its own. */
static void *fail_on(void *argument)
{
    const struct thread *t = argument;

    for (uint32_t i = 0; i < ROUNDS; i++)
        for (uint32_t k = 0; k < FAILURES; k++)
            switch (gw_lockout_fail(t->lockout, v4(i), t->number * FAILURES + k, at(1))) {
            case GW_LOCKOUT_COUNTED:
                atomic_fetch_add(&t->before[i], 1);
                break;
            case GW_LOCKOUT_LOCKED_NOW:
                atomic_fetch_add(&t->locked_now[i], 1);
                break;
            case GW_LOCKOUT_LOCKED:
                if (gw_lockout_look(t->lockout, v4(i), at(1)) != GW_LOCKOUT_GUARDED)
                    atomic_fetch_add(&t->locked_now[i], 100);
                break;
            }
    return NULL;
}

static void counts_are_exact_across_threads(void **state)
{
    struct gw_lockout *lockout = make(GW_LOCKOUT_NAT, 64 * ROUNDS);
    atomic_uint *locked_now = calloc(ROUNDS, sizeof *locked_now);
    atomic_uint *before = calloc(ROUNDS, sizeof *before);
    struct thread threads[THREADS];

    (void)state;
    assert_true(locked_now != NULL && before != NULL);
    for (uint32_t t = 0; t < THREADS; t++) {
        threads[t] = (struct thread){
            .lockout = lockout, .number = t, .locked_now = locked_now, .before = before};
        assert_int_equal(pthread_create(&threads[t].thread, NULL, fail_on, &threads[t]), 0);
    }
    for (uint32_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_join(threads[t].thread, NULL), 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(atomic_load(&locked_now[i]), 1);
        assert_int_equal(atomic_load(&before[i]), FAILURES - 1);
    }
    assert_int_equal(gw_lockout_list(lockout, at(1), NULL, 0), ROUNDS);
    free(locked_now);
    free(before);
    gw_lockout_destroy(lockout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_is_an_address_or_a_network),
        cmocka_unit_test(the_last_failure_that_is_allowed_locks),
        cmocka_unit_test(the_window_slides),
        cmocka_unit_test(in_nat_one_stale_board_locks_nobody),
        cmocka_unit_test(off_counts_nothing),
        cmocka_unit_test(a_flood_flushes_neither_locks_nor_counts),
        cmocka_unit_test(a_table_full_of_locks_lets_the_rest_pass_and_says_so),
        cmocka_unit_test(what_is_locked_can_be_let_in),
        cmocka_unit_test(counts_are_exact_across_threads),
    };

    return cmocka_run_group_tests_name("base.lockout", tests, NULL, NULL);
}
