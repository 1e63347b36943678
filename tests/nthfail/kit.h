/*
 * One gateway whose calls fail, what its devices were promised, and which of the calls are tried.
 */
#ifndef TESTS_NTHFAIL_KIT_H
#define TESTS_NTHFAIL_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../system/harness.h"
#include "nthfail.h"

enum { KIT_VALUES_MAX = 1 << 17, KIT_PIN = 7 };

extern struct sys_gateway kit_gateway;
extern struct nthfail *kit_nthfail; /* shared with the gateway */
extern bool kit_all;                /* every call is tried, not some of them */

/* Reads --all and the seed (TOLLGATE_TEST_SEED), which is printed. False: wrong arguments. */
GW_MUST_USE bool kit_arguments(int argc, char **argv);

/* An installation with the same ports at every start; `config` as in sys_gateway_options. */
void kit_create(const char *config);
void kit_destroy(void);

/* From now on calls of these classes count, and `count` of them from the `first` on fail. */
void kit_arm(uint32_t classes, int error, uint64_t first, uint64_t count);
void kit_disarm(void);

/*
 * Which calls to fail when there are `calls` of them: all, or about `points`, spread evenly from a
 * place that the seed chose.
 *
 *     for (uint64_t n = kit_first(calls, points); n <= calls; n += kit_stride(calls, points))
 */
uint64_t kit_stride(uint64_t calls, uint32_t points);
uint64_t kit_first(uint64_t calls, uint32_t points);

/* A device that writes rising numbers, and which of them were acknowledged. */
struct kit_account {
    struct sys_device device;
    uint32_t sent;
    uint32_t checked; /* up to here the log was found to hold what it must */
    bool acknowledged[KIT_VALUES_MAX];
};

void kit_account_open(struct kit_account *account);

/*
 * The status of the answer to `msg_id`, whatever else comes before it; 0 when none comes. Fails the
 * test when anything is answered with 9: no failure of ours makes a token invalid.
 */
uint16_t kit_status(struct sys_client *c, uint16_t msg_id, uint32_t ms);
/* The status of a login. */
uint16_t kit_login(struct sys_client *c, const struct kit_account *account);
/* Writes the next number, with so many bytes behind it; its acknowledgement is asked for later. */
GW_MUST_USE bool kit_write(struct sys_client *c, struct kit_account *account, size_t padding);
/* PING; once it is answered with 200, all that this session wrote is acknowledged. */
GW_MUST_USE bool kit_ping(struct sys_client *c, struct kit_account *account, uint32_t from,
                          uint32_t ms);

/* In the log numbers rise, and none that was acknowledged is missing. */
void kit_ledger_holds(struct kit_account *const *accounts, size_t count);

#endif
