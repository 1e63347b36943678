/*
 * One simulated run: a gateway, its disk, devices and HTTP clients in one thread, from one seed;
 * gateways that are killed and started again, disks that fail and lose what was not synced.
 *
 * What is held true: the log, see ledger.h; what devices and clients are told, see device.h and
 * client.h; the shards' own invariants (gw_shard_check). And when all is calm: at most one live
 * session per token, every question answered, although no shard turns that sleeps; after a stop
 * every slot, chunk, buffer and message back home.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "registrar.h"

struct world_result {
    uint64_t trace, steps, completions, faults;
    uint64_t acknowledged, durable, lost, bridged, forwarded, synced, told, changes, read, gaps;
    struct life_counts life;
};

/* Runs one seed; asserts what must hold. */
struct world_result world_run(uint64_t seed, uint32_t steps, struct registry *registry);

#endif
