/*
 * The nth failure, as SQLite's tests have it: a gateway whose calls into the system are counted,
 * and of which one, or all from one on, fail.
 *
 * The program tollgate_nthfail is tollgate linked with nthfail.c in front of the calls that
 * calls.def names. It maps the file that the environment variable NTHFAIL names, and the test that
 * started it maps it too: the test arms it, before the start or at any moment later, and reads how
 * many calls there were and how many of them failed. Without the variable nothing fails.
 *
 * A test of one room (room.h) is linked with nthfail.c itself, and fails its own calls.
 */
#ifndef TESTS_NTHFAIL_H
#define TESTS_NTHFAIL_H

#include <stdatomic.h>
#include <stdint.h>

/* What calls ask for; calls are counted and failed by class. */
enum nthfail_class {
    NTHFAIL_MEMORY = 1, /* of the heap, also for BoringSSL and jansson, and pages */
    NTHFAIL_FILE = 2,   /* regular files and folders                              */
    NTHFAIL_SYSTEM = 4, /* sockets and other descriptors                          */
    NTHFAIL_THREAD = 8,
    NTHFAIL_RING = 16,  /* what makes a ring                                      */
    NTHFAIL_ENTER = 32, /* what enters it                                         */
    NTHFAIL_DONE = 64,  /* an operation on a connection, in its completion        */
    NTHFAIL_LMDB = 128,
};

struct nthfail {
    _Atomic uint32_t classes; /* that count; 0: nothing fails                      */
    _Atomic int32_t error;    /* an errno                                          */
    _Atomic uint64_t first;   /* the calls from this one on, counted from 1, ...   */
    _Atomic uint64_t count;   /* ... so many of them, fail                         */
    _Atomic uint64_t calls;   /* so far                                            */
    _Atomic uint64_t failed;  /* of these                                          */
};

#define NTHFAIL_FOR_EVER UINT64_MAX

/* For a program that fails its own calls: what it arms, in place of a file. */
void nthfail_control(struct nthfail *own);
/* Prints which call failed first since it was armed; such a program is silent otherwise. */
void nthfail_tell(void);

#endif
