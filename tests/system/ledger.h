/*
 * The books of a test that takes away the gateway or its disk: what devices sent, what they were
 * told, and so what the log and the last values must hold. Every device writes to one pin, and its
 * values count up over all rounds; a round is one life of the gateway.
 *
 *     1 2 3 4 5 6 7 8 | 9 10 11 ...      the next round goes on behind what was sent,
 *           ^     ^   |                  the log behind what it kept
 *           |     sent: the log may hold it
 *           answered: the log must hold it
 *
 *     sys_ledger_create(&l, &gateway, &options);
 *     for each round {
 *         sys_gateway_start(&gateway);
 *         sys_ledger_log_in(&l);
 *         sys_ledger_play(&l, &over);        another thread kills, cuts or stalls, and says so
 *         sys_gateway_kill(&gateway);
 *         sys_ledger_hang_up(&l);
 *         sys_ledger_read(&l);               the log, as it was left
 *         sys_gateway_start(&gateway);
 *         sys_ledger_replay(&l);             the same batches under the same names
 *         sys_ledger_values(&l);             and the last values are those of the log
 *     }
 *
 * Like harness.h, these fail the running test themselves: main thread only.
 */
#ifndef TESTS_SYSTEM_LEDGER_H
#define TESTS_SYSTEM_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/journal/batch.h>
#include <gw/journal/segment.h>

#include "harness.h"

enum {
    SYS_LEDGER_PIN = 7,
    SYS_LEDGER_WRITES = 7, /* of a burst, before its PING */
    SYS_LEDGER_BURSTS = 2, /* of a device that may be unanswered */
};

struct sys_ledger_options {
    uint32_t devices;
    uint32_t http_devices; /* of these, so many write over HTTP, one request after the other */
    uint32_t value_bytes;  /* of each value at least, 1000 at most over HTTP; for logs that grow */
};

struct sys_account {
    struct sys_device device;
    struct sys_client client;
    enum sys_transport transport;
    bool http;
    uint32_t sent;                       /* the last value written                             */
    uint32_t answered;                   /* the last value that an answer covers               */
    uint32_t round_first;                /* the first value of this round                      */
    uint32_t logged;                     /* the last value that the log has shown              */
    uint32_t bursts, bursts_done;        /* of this round; over HTTP, requests       */
    uint32_t covered[SYS_LEDGER_BURSTS]; /* the last value of a burst, by its number */
    uint64_t session;                    /* of the last record of this device   */
    uint32_t sequence;
};

/* A batch as a reader saw it: its name and a hash over its records. */
struct sys_seen_batch {
    struct gw_batch_name name;
    uint64_t hash;
};

struct sys_ledger {
    struct sys_gateway *gateway;
    struct sys_ledger_options options;
    struct sys_account *accounts;
    struct gw_journal_position read_from, read_to; /* of the latest sys_ledger_read */
    struct sys_seen_batch *seen;                   /* between the two */
    size_t seen_count, seen_capacity;
    const atomic_bool *deaf; /* NULL, or: once true, answers prove nothing any more */
    uint64_t batches;        /* read so far                                   */
    uint64_t refused;        /* HTTP requests answered 503; they are sent again */
    uint64_t own_pings;      /* of the gateway's                              */
};

void sys_ledger_create(struct sys_ledger *l, struct sys_gateway *gateway,
                       const struct sys_ledger_options *options);
void sys_ledger_destroy(struct sys_ledger *l);

/* Everybody connects and logs in: a round begins. */
void sys_ledger_log_in(struct sys_ledger *l);

/*
 * Everybody writes, and awaits an answer to what was written before last, until *over. A connection
 * that ends before that fails the test.
 */
void sys_ledger_play(struct sys_ledger *l, const atomic_bool *over);
/* One pass over all devices: takes answers, and writes where `write` says so. True if any came. */
bool sys_ledger_pass(struct sys_ledger *l, const atomic_bool *over, bool write);
/* Takes answers until nothing is unanswered; false when that takes longer. */
GW_MUST_USE bool sys_ledger_settle(struct sys_ledger *l, uint32_t ms);
/* `count` values of one device and no PING: nothing answers them. */
void sys_ledger_write(struct sys_ledger *l, struct sys_account *account, uint32_t count);

/* Answers that were on their way are answers, too; then the connections are closed. */
void sys_ledger_hang_up(struct sys_ledger *l);

/*
 * Reads the log from where the last reading ended: every device's values in order and without
 * gaps, all that was answered, nothing that was not sent, no damage.
 */
void sys_ledger_read(struct sys_ledger *l);
/* From now on the log is kept, by a cursor, from where the last reading ended. */
void sys_ledger_commit(struct sys_ledger *l);
/* Reads the same again, and finds the same. */
void sys_ledger_replay(struct sys_ledger *l);
/* Asks the running gateway for each device's last value. */
void sys_ledger_values(struct sys_ledger *l);

uint64_t sys_ledger_sent(const struct sys_ledger *l);
uint64_t sys_ledger_answered(const struct sys_ledger *l);

/*
 * A small generator whose seed is printed, from --seed or TOLLGATE_TEST_SEED or the kernel: a run
 * that failed can be had again.
 */
void sys_dice_seed(uint64_t seed);
uint32_t sys_dice(uint32_t below);

#endif
