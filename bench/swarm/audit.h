/*
 * Holds a journal's updates against a ledger: is everything that was acknowledged there, once, in
 * the device's order, under one device, and is nothing there that was never sent?
 * Costs a bit for each update sent.
 */
#ifndef SWARM_AUDIT_H
#define SWARM_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"

struct swarm_audit_result {
    uint64_t sessions;      /* that published                                                  */
    uint64_t sent, acked;   /* by the ledger                                                   */
    uint64_t durable;       /* different updates of this run found in the journal              */
    uint64_t lost;          /* acknowledged and not found                                      */
    uint64_t out_of_order;  /* first found behind a later update of the same device            */
    uint64_t duplicates;    /* found again                                                     */
    uint64_t invented;      /* found, but never sent                                           */
    uint64_t misattributed; /* found under another device number than the device's first one,
                               or under a number that belongs to another device                */
    uint32_t lost_device, lost_counter; /* the first loss, when there is one                   */
};

struct swarm_audit;

/* NULL when out of memory or when the ledger's sessions overlap. Keeps a pointer to the ledger. */
GW_MUST_USE struct swarm_audit *swarm_audit_create(const struct swarm_ledger *ledger);
void swarm_audit_destroy(struct swarm_audit *audit);

/*
 * An update as the journal has it, in the journal's order: the number the gateway knows the device
 * by, and the value. Values of no swarm or of another run are passed over.
 */
void swarm_audit_saw(struct swarm_audit *audit, uint32_t device_number, struct gw_bytes value);

void swarm_audit_finish(struct swarm_audit *audit, struct swarm_audit_result *out);

/* Duplicates are reported and allowed: an identity written twice is what a reader skips. */
bool swarm_audit_is_clean(const struct swarm_audit_result *result);

#endif
