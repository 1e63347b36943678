/*
 * A crowd: many sessions of one suite that are up, and what their devices seal with. Visited at
 * random, they show what a record costs when its session is not in the cache.
 *
 * Sessions with an SSL object come out of a handshake with BoringSSL's client, whose keys are then
 * taken and which is freed. Lean ones are given keys at random, without a handshake: BoringSSL's
 * client cannot be made to choose AES-256 or ChaCha20 in TLS 1.3, and 50,000 handshakes take half a
 * minute.
 */
#ifndef GW_BENCH_TLS_CROWD_H
#define GW_BENCH_TLS_CROWD_H

#include <gw/tls/tls.h>

#include "bench.h"

struct tls_crowd_suite {
    uint16_t version, id;
    const char *name;    /* in the name of a benchmark                                     */
    const char *openssl; /* how BoringSSL's client calls it; NULL where it is what it offers */
    bool has_client;     /* which chooses it                                               */
};

/* Rows of the table of suites; NULL behind the last one. */
const struct tls_crowd_suite *tls_crowd_suite_at(size_t row);

/*
 * The crowd of `row`, lean or not, with at least `count` sessions. It is kept until another one is
 * asked for. False: the benchmark has failed.
 */
bool tls_crowd_take(struct gw_bench *b, size_t row, bool lean, uint32_t count);

/*
 * Lean sessions count their records from 0 again: one key protects no more than some ten million,
 * which a benchmark reaches. An SSL object does not mind.
 */
void tls_crowd_rewind(uint32_t count);

struct gw_tls *tls_crowd_session(uint32_t number);

/* A record of that session's device; `out` holds 64 bytes more than the content. Its bytes. */
size_t tls_crowd_seal(uint32_t number, struct gw_bytes content, uint8_t *out);

#endif
