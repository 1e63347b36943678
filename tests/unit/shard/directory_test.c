/*
 * The directory against a model that is an array with one place per device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "directory.h"

enum { DEVICES = 400, ROUNDS = 200000 };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void claims_and_releases_agree_with_a_plain_array(void **unused)
{
    struct place model[DEVICES + 1] = {{0}};
    struct directory directory;
    uint32_t random = 1, count = 0;

    (void)unused;
    assert_int_equal(directory_init(&directory, DEVICES / 2), 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t device = 1 + next_random(&random) % DEVICES;
        struct place place = {.device = device,
                              .shard = next_random(&random) % 3,
                              .slot = next_random(&random) % 5,
                              .generation = next_random(&random) % 2};

        if (next_random(&random) % 2 == 0) {
            struct place before;
            bool room = model[device].device != 0 || count < DEVICES / 2;

            assert_int_equal(directory_claim(&directory, place, &before), room);
            if (!room)
                continue;
            assert_memory_equal(&before, &model[device], sizeof before);
            count += model[device].device == 0;
            model[device] = place;
        } else {
            if (next_random(&random) % 2 == 0)
                place = model[device].device != 0 ? model[device] : place;
            directory_release(&directory, place);
            if (memcmp(&place, &model[device], sizeof place) == 0) {
                model[device] = (struct place){0};
                count--;
            }
        }
        assert_int_equal(directory.count, count);
        device = 1 + next_random(&random) % DEVICES;
        place = directory_find(&directory, device);
        assert_memory_equal(&place, &model[device], sizeof place);
    }
    directory_fini(&directory);
}

static void a_late_release_leaves_the_newer_place(void **unused)
{
    struct directory directory;
    struct place old = {.device = 9, .shard = 0, .slot = 4, .generation = 1};
    struct place new = {.device = 9, .shard = 1, .slot = 4, .generation = 1};
    struct place before;

    (void)unused;
    assert_int_equal(directory_init(&directory, 8), 0);
    assert_true(directory_claim(&directory, old, &before));
    assert_int_equal(before.device, 0);
    assert_true(directory_claim(&directory, new, &before));
    assert_memory_equal(&before, &old, sizeof old);
    directory_release(&directory, old);
    assert_true(directory_claim(&directory, old, &before));
    assert_memory_equal(&before, &new, sizeof new);
    directory_fini(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_and_releases_agree_with_a_plain_array),
        cmocka_unit_test(a_late_release_leaves_the_newer_place),
    };

    return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
