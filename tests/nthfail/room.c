/*
 * Plays scenes of one room, each with every one of its calls failing. See room.h.
 */
#include "room.h"

#include <dirent.h>

enum { ROUNDS_MAX = 20000 };

static struct nthfail calls;

static struct {
    const char *scene;
    const struct room_failure *failure;
    uint64_t n;
} now;

bool room_has_failed(void)
{
    return atomic_load(&calls.failed) > 0;
}

const struct room_failure *room_failure(void)
{
    return now.failure;
}

static void arm(const struct room_failure *failure, uint64_t n)
{
    atomic_store(&calls.error, failure->error);
    atomic_store(&calls.first, n);
    atomic_store(&calls.count, failure->count);
    atomic_store(&calls.calls, 0);
    atomic_store(&calls.failed, 0);
    atomic_store(&calls.classes, failure->classes);
}

static void disarm(void)
{
    atomic_store(&calls.classes, 0);
}

void room_check_at(bool holds, const char *condition, const char *file, int line)
{
    if (holds)
        return;
    disarm();
    if (now.failure != NULL)
        print_error("%s, %s, call %llu: it does not hold that %s\n", now.scene, now.failure->name,
                    (unsigned long long)now.n, condition);
    if (room_has_failed())
        nthfail_tell();
    _fail(file, line);
}

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void play_round(const struct room_scene *scene)
{
    const int before = descriptors();

    scene->prepare();
    arm(now.failure, now.n);
    scene->play();
    disarm();
    scene->check();
    room_check(descriptors() == before);
}

void room_play(const struct room_scene *scene)
{
    uint64_t tried = 0;

    nthfail_control(&calls);
    now.scene = scene->name;
    for (size_t i = 0; i < scene->failure_count; i++) {
        /* Memory is what a sanitizer is asked about: of the other calls it is shown some. */
        const uint64_t stride = scene->failures[i].classes == NTHFAIL_MEMORY ? 1 : ROOM_STRIDE;

        now.failure = &scene->failures[i];
        now.n = 1 + i % stride;
        play_round(scene);
        for (; room_has_failed(); tried++) {
            now.n += stride;
            assert_true(now.n < ROUNDS_MAX);
            play_round(scene);
        }
        print_message("%s, %s: %llu calls\n", scene->name, now.failure->name,
                      (unsigned long long)atomic_load(&calls.calls));
    }
    assert_true(tried > 0);
}
