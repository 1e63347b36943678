/*
 * The inbox: order and emptiness alone, then with several threads that put in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <gw/base/inbox.h>

enum { PUTTERS = 3, EACH = 20000 };

struct letter {
    struct gw_inbox_item item;
    uint32_t from, number;
};

static void what_was_put_in_first_comes_out_first(void **state)
{
    struct gw_inbox inbox = {NULL};
    struct letter letters[3] = {{.number = 0}, {.number = 1}, {.number = 2}};

    (void)state;
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t seen = 0;

        assert_true(gw_inbox_is_empty(&inbox));
        assert_null(gw_inbox_take(&inbox));
        for (uint32_t i = 0; i <= round; i++) /* only the first finds it empty */
            assert_int_equal(gw_inbox_put(&inbox, &letters[i].item), i == 0);
        assert_false(gw_inbox_is_empty(&inbox));
        for (struct gw_inbox_item *item = gw_inbox_take(&inbox); item != NULL; item = item->next)
            assert_int_equal(((struct letter *)item)->number, seen++);
        assert_int_equal(seen, round + 1);
    }
}

struct putter {
    struct gw_inbox *inbox;
    struct letter *letters;
    uint32_t number;
};

static void *put_all(void *context)
{
    struct putter *putter = context;

    for (uint32_t i = 0; i < EACH; i++) {
        putter->letters[i] = (struct letter){.from = putter->number, .number = i};
        if (gw_inbox_put(putter->inbox, &putter->letters[i].item) && i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static void of_many_threads_nothing_is_lost_and_each_keeps_its_order(void **state)
{
    static struct gw_inbox inbox;
    struct putter putters[PUTTERS];
    pthread_t threads[PUTTERS];
    uint32_t next[PUTTERS] = {0}, count = 0;

    (void)state;
    for (uint32_t i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){
            .inbox = &inbox, .letters = calloc(EACH, sizeof(struct letter)), .number = i};
        assert_non_null(putters[i].letters);
        assert_int_equal(pthread_create(&threads[i], NULL, put_all, &putters[i]), 0);
    }
    while (count < PUTTERS * EACH) {
        struct gw_inbox_item *item = gw_inbox_take(&inbox);

        if (item == NULL)
            sched_yield();
        for (; item != NULL; item = item->next, count++) {
            const struct letter *letter = (const struct letter *)item;

            assert_int_equal(letter->number, next[letter->from]++);
        }
    }
    assert_true(gw_inbox_is_empty(&inbox));
    for (uint32_t i = 0; i < PUTTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(next[i], EACH);
        free(putters[i].letters);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_first_comes_out_first),
        cmocka_unit_test(of_many_threads_nothing_is_lost_and_each_keeps_its_order),
    };

    return cmocka_run_group_tests_name("base.inbox", tests, NULL, NULL);
}
