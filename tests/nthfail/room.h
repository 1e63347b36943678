/*
 * The nth failure in one room. A scene is played in this very process, with the first of its calls
 * into the system failing, then with the second, and so on until none is left to fail. Whatever
 * fails: an answer is an error or right, no descriptor stays open, and what the scene finds when
 * nothing fails any more is what it was told. AddressSanitizer sees what memory was not given back.
 */
#ifndef TESTS_NTHFAIL_ROOM_H
#define TESTS_NTHFAIL_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nthfail.h"

struct room_failure {
    const char *name;
    uint32_t classes; /* enum nthfail_class */
    int error;
    uint64_t count; /* so many calls from the nth on */
};

struct room_scene {
    const char *name;
    void (*prepare)(void); /* what the scene finds; nothing fails */
    void (*play)(void);    /* in here calls fail, also the test's own: it should make none */
    void (*check)(void);   /* nothing fails: does what must hold? It leaves nothing behind */
    const struct room_failure *failures;
    size_t failure_count;
};

void room_play(const struct room_scene *scene);

/* Did any call fail in this round, and which failure is it that is tried? */
bool room_has_failed(void);
const struct room_failure *room_failure(void);

/* In play and check; says which call failed when the condition does not hold. */
#define room_check(condition) room_check_at(condition, #condition, __FILE__, __LINE__)
void room_check_at(bool holds, const char *condition, const char *file, int line);

#endif
