/*
 * The tls room without cryptography: implements gw/tls/tls.h for the shard, with the records of
 * sealing.h. A handshake is a hello, two records that answer it, and a finish; then a ticket comes.
 * The real one costs a millisecond a handshake, and draws numbers that no seed repeats.
 */
#ifndef SIM_PRETEND_TLS_H
#define SIM_PRETEND_TLS_H

#include <gw/tls/tls.h>

/* For a shard, which destroys it. */
struct gw_tls_context *pretend_tls_context(void);
/* Contexts and sessions that are there now. */
uint32_t pretend_tls_count(void);

#endif
