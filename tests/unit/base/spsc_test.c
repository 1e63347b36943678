/*
 * The queue between two threads: alone against a counter, then with both at work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <gw/base/spsc.h>

struct item {
    uint64_t number;
    uint8_t rest[20]; /* not a round size, and wide enough to be seen half written */
};

static struct item item_of(uint64_t number)
{
    struct item item = {.number = number};

    memset(item.rest, (int)(number % 251), sizeof item.rest);
    return item;
}

static bool is_item(const struct item *item, uint64_t number)
{
    struct item expected = item_of(number);

    return item->number == number && memcmp(item->rest, expected.rest, sizeof item->rest) == 0;
}

static void a_full_queue_refuses_and_an_empty_one_gives_nothing(void **state)
{
    static const struct {
        uint32_t asked, given;
    } sizes[] = {{1, 1}, {2, 2}, {3, 4}, {64, 64}, {65, 128}};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(sizes); i++) {
        struct gw_spsc queue;
        struct item item;
        uint64_t in = 0, out = 0;

        assert_int_equal(gw_spsc_init(&queue, sizeof(struct item), sizes[i].asked), 0);
        assert_false(gw_spsc_pop(&queue, &item));
        for (int round = 0; round < 5; round++) { /* further than the ring is long */
            for (item = item_of(in); gw_spsc_push(&queue, &item); item = item_of(in))
                in++;
            assert_int_equal(in - out, sizes[i].given);
            assert_int_equal(gw_spsc_count(&queue), sizes[i].given);
            for (uint32_t n = 0; n < sizes[i].given - (round % 2 != 0); n++) {
                assert_true(gw_spsc_pop(&queue, &item));
                assert_true(is_item(&item, out++));
            }
            assert_int_equal(gw_spsc_count(&queue), in - out);
        }
        while (gw_spsc_pop(&queue, &item))
            assert_true(is_item(&item, out++));
        assert_int_equal(in, out);
        gw_spsc_fini(&queue);
    }
}

static void indices_may_wrap(void **state)
{
    struct gw_spsc queue;
    struct item item;

    (void)state;
    assert_int_equal(gw_spsc_init(&queue, sizeof(struct item), 4), 0);
    atomic_store(&queue.head, UINT32_MAX - 2);
    atomic_store(&queue.tail, UINT32_MAX - 2);
    queue.head_seen = queue.tail_seen = UINT32_MAX - 2;
    for (uint64_t i = 0; i < 12; i += 3) {
        for (uint64_t n = 0; n < 3; n++) {
            item = item_of(i + n);
            assert_true(gw_spsc_push(&queue, &item));
        }
        assert_int_equal(gw_spsc_count(&queue), 3);
        for (uint64_t n = 0; n < 3; n++) {
            assert_true(gw_spsc_pop(&queue, &item));
            assert_true(is_item(&item, i + n));
        }
        assert_false(gw_spsc_pop(&queue, &item));
    }
    gw_spsc_fini(&queue);
}

enum { ITEMS = 200000 };

static void *push_all(void *argument)
{
    struct gw_spsc *queue = argument;

    for (uint64_t i = 0; i < ITEMS; i++) {
        struct item item = item_of(i);

        while (!gw_spsc_push(queue, &item))
            (void)sched_yield();
    }
    return NULL;
}

static void two_threads_pass_every_item_once_whole_and_in_order(void **state)
{
    static const uint32_t capacities[] = {1, 8, 1024};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(capacities); i++) {
        struct gw_spsc queue;
        struct item item;
        pthread_t pusher;
        bool good = true;

        assert_int_equal(gw_spsc_init(&queue, sizeof(struct item), capacities[i]), 0);
        assert_int_equal(pthread_create(&pusher, NULL, push_all, &queue), 0);
        for (uint64_t n = 0; n < ITEMS; n++) {
            while (!gw_spsc_pop(&queue, &item))
                (void)sched_yield();
            good = good && is_item(&item, n);
        }
        assert_int_equal(pthread_join(pusher, NULL), 0);
        assert_true(good);
        assert_false(gw_spsc_pop(&queue, &item));
        gw_spsc_fini(&queue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses_and_an_empty_one_gives_nothing),
        cmocka_unit_test(indices_may_wrap),
        cmocka_unit_test(two_threads_pass_every_item_once_whole_and_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
