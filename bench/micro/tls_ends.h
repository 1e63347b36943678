/*
 * What the benchmarks of TLS share: contexts of our side with certificates made for the run, and
 * BoringSSL's client as the device.
 */
#ifndef GW_BENCH_TLS_ENDS_H
#define GW_BENCH_TLS_ENDS_H

#include <openssl/ssl.h>

#include <gw/tls/tls.h>

#include "bench.h"

/* Made by create_contexts; lean_context and ticket_context have the EC leaf. */
extern struct gw_tls_context *ec_context, *rsa_context; /* sessions keep their SSL objects     */
extern struct gw_tls_context *lean_context;             /* and here they do not                */
extern struct gw_tls_context *ticket_context;           /* lean, and its devices may come back */

/* Once; false, with the benchmark failed, when they cannot be made. */
bool create_contexts(struct gw_bench *b);

/* A client of one version whose first key share is of `group` (a NID); in memory. */
SSL *client_create(uint16_t version, int group);

/* Hands over what the client has to say, and the answer back; false once our side has failed. */
bool carry(SSL *client, struct gw_tls *server);

#endif
