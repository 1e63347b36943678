/*
 * The pool of slots: every slot once, none twice, all of them back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gw/base/poison.h>
#include <gw/base/slab.h>

enum { SLOTS = 100 };

static struct gw_slab make(void)
{
    struct gw_slab slab;

    assert_int_equal(gw_slab_init(&slab, 24, SLOTS), 0);
    return slab;
}

/* How `act` ends in a process of its own: the signal that killed it, or 0. */
static int signal_of(void (*act)(void))
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO); /* the claim it breaks is not news */
        (void)signal(SIGABRT, SIG_DFL);
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void every_slot_is_given_once_then_none(void **state)
{
    struct gw_slab slab = make();
    uint8_t given[SLOTS] = {0};

    (void)state;
    for (int i = 0; i < SLOTS; i++) {
        uint32_t slot = gw_slab_acquire(&slab);

        assert_true(slot < SLOTS);
        assert_int_equal(given[slot], 0);
        given[slot] = 1;
        memset(gw_slab_at(&slab, slot), i, slab.slot_bytes);
    }
    assert_int_equal(gw_slab_acquire(&slab), GW_NONE);
    assert_int_equal(slab.taken_count, SLOTS);
    for (uint32_t slot = 0; slot < SLOTS; slot++) { /* and no slot overlaps another */
        const uint8_t *bytes = gw_slab_at(&slab, slot);

        for (uint32_t i = 1; i < slab.slot_bytes; i++)
            assert_int_equal(bytes[i], bytes[0]);
    }
    gw_slab_release(&slab, 42);
    assert_int_equal(gw_slab_acquire(&slab), 42);
    assert_int_equal(gw_slab_acquire(&slab), GW_NONE);
    gw_slab_fini(&slab);
}

static void the_last_released_is_the_next_acquired(void **state)
{
    struct gw_slab slab = make();

    (void)state;
    for (int i = 0; i < 10; i++)
        (void)gw_slab_is_taken(&slab, gw_slab_acquire(&slab));
    gw_slab_release(&slab, 3);
    gw_slab_release(&slab, 7);
    assert_int_equal(gw_slab_acquire(&slab), 7);
    assert_int_equal(gw_slab_acquire(&slab), 3);
    assert_int_equal(gw_slab_acquire(&slab), 10); /* never used before */
    gw_slab_fini(&slab);
}

static void taken_slots_agree_with_a_table_of_bits(void **state)
{
    struct gw_slab slab = make();
    uint8_t taken[SLOTS] = {0};
    uint32_t count = 0, random = 1;

    (void)state;
    for (int turn = 0; turn < 20000; turn++) {
        random = random * 1664525 + 1013904223;
        uint32_t slot = (random >> 8) % SLOTS;

        if (taken[slot]) {
            gw_slab_release(&slab, slot);
            taken[slot] = 0;
            count--;
        } else {
            slot = gw_slab_acquire(&slab);
            if (count == SLOTS) {
                assert_int_equal(slot, GW_NONE);
                continue;
            }
            assert_true(slot < SLOTS && !taken[slot]);
            taken[slot] = 1;
            count++;
        }
        assert_int_equal(slab.taken_count, count);
        if (turn % 97 == 0) {
            gw_slab_check(&slab);
            for (uint32_t i = 0; i < SLOTS; i++)
                assert_int_equal(gw_slab_is_taken(&slab, i), taken[i]);
        }
    }
    gw_slab_fini(&slab);
}

static void release_a_free_slot(void)
{
    struct gw_slab slab = make();
    uint32_t slot = gw_slab_acquire(&slab);

    gw_slab_release(&slab, slot);
    gw_slab_release(&slab, slot);
}

static void release_a_slot_that_was_never_used(void)
{
    struct gw_slab slab = make();

    gw_slab_release(&slab, 5);
}

static void release_no_slot(void)
{
    struct gw_slab slab = make();

    gw_slab_release(&slab, GW_NONE);
}

static void check_a_list_with_a_cycle(void)
{
    struct gw_slab slab = make();
    uint32_t a = gw_slab_acquire(&slab), b = gw_slab_acquire(&slab);

    gw_slab_release(&slab, a);
    gw_slab_release(&slab, b);
    gw_unpoison(gw_slab_at(&slab, a), sizeof b);
    memcpy(gw_slab_at(&slab, a), &b, sizeof b); /* where its link is */
    gw_slab_check(&slab);
}

static void our_mistakes_stop_the_process(void **state)
{
    (void)state;
    assert_int_equal(signal_of(release_a_free_slot), SIGABRT);
    assert_int_equal(signal_of(release_a_slot_that_was_never_used), SIGABRT);
    assert_int_equal(signal_of(release_no_slot), SIGABRT);
    assert_int_equal(signal_of(check_a_list_with_a_cycle), SIGABRT);
}

static void a_slab_that_the_machine_cannot_map_is_refused(void **state)
{
    struct gw_slab slab;

    (void)state;
    /* 2^47 bytes is all the address space there is. */
    assert_int_equal(gw_slab_init(&slab, 1u << 20, 1u << 30), -ENOMEM);
    assert_null(slab.slots);
    assert_null(slab.taken);
    gw_slab_fini(&slab);
}

static void ending_twice_or_before_the_beginning_is_safe(void **state)
{
    struct gw_slab slab = GW_SLAB_EMPTY;

    (void)state;
    gw_slab_fini(&slab);
    slab = make();
    gw_slab_fini(&slab);
    gw_slab_fini(&slab);
    assert_null(slab.slots);
}

static void an_empty_slab_takes_no_pages(void **state)
{
    struct rusage before, after;
    struct gw_slab slab;

    (void)state;
    (void)getrusage(RUSAGE_SELF, &before);
    assert_int_equal(gw_slab_init(&slab, 2048, 1u << 20), 0);
    for (int i = 0; i < 100; i++)
        memset(gw_slab_at(&slab, gw_slab_acquire(&slab)), 1, 2048);
    (void)getrusage(RUSAGE_SELF, &after);
    assert_true(gw_slab_bytes(2048, 1u << 20) > UINT64_C(1) << 31);
    assert_true(after.ru_maxrss - before.ru_maxrss < 65536); /* KiB, of 2 GiB that are mapped */
    gw_slab_fini(&slab);
}

static long resident_pages(const struct gw_slab *slab)
{
    unsigned char in[64];
    long pages = 0;

    assert_int_equal(mincore(slab->slots, sizeof in * 4096, in), 0);
    for (size_t i = 0; i < sizeof in; i++)
        pages += in[i] & 1;
    return pages;
}

/* Every choice of slots that stay, of a few pages. */
static void trimming_gives_back_what_lies_behind_the_last_taken(void **state)
{
    enum { PAGES = 64, PER_PAGE = 2, USED = 9 };
    struct gw_slab slab;

    (void)state;
    for (uint32_t kept = 0; kept < 1u << USED; kept++) {
        uint32_t last = 0, kept_count = 0;

        assert_int_equal(gw_slab_init(&slab, 4096 / PER_PAGE, PAGES * PER_PAGE), 0);
        for (uint32_t i = 0; i < USED; i++)
            memset(gw_slab_at(&slab, gw_slab_acquire(&slab)), (int)i + 1, slab.slot_bytes);
        for (uint32_t i = 0; i < USED; i++) {
            if ((kept >> i & 1) == 0) {
                gw_slab_release(&slab, i);
            } else {
                last = i + 1;
                kept_count++;
            }
        }
        gw_slab_trim(&slab);
        gw_slab_check(&slab);
        assert_int_equal(slab.taken_count, kept_count);
        assert_int_equal(resident_pages(&slab), (last + PER_PAGE - 1) / PER_PAGE);
        for (uint32_t i = 0; i < USED; i++) {
            const uint8_t *bytes = gw_slab_at(&slab, i);

            assert_int_equal(gw_slab_is_taken(&slab, i), kept >> i & 1);
            for (uint32_t k = 0; (kept >> i & 1) != 0 && k < slab.slot_bytes; k++)
                assert_int_equal(bytes[k], i + 1);
        }
        for (uint32_t i = 0; i < PAGES * PER_PAGE; i++) { /* low ones first, and none is lost */
            if (i >= USED || (kept >> i & 1) == 0)
                assert_int_equal(gw_slab_acquire(&slab), i);
        }
        assert_int_equal(gw_slab_acquire(&slab), GW_NONE);
        gw_slab_fini(&slab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slot_is_given_once_then_none),
        cmocka_unit_test(the_last_released_is_the_next_acquired),
        cmocka_unit_test(taken_slots_agree_with_a_table_of_bits),
        cmocka_unit_test(our_mistakes_stop_the_process),
        cmocka_unit_test(a_slab_that_the_machine_cannot_map_is_refused),
        cmocka_unit_test(ending_twice_or_before_the_beginning_is_safe),
        cmocka_unit_test(an_empty_slab_takes_no_pages),
        cmocka_unit_test(trimming_gives_back_what_lies_behind_the_last_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
