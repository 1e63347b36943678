/*
 * What the machine is, and what its kernel holds in slabs: where the memory of a connection lies
 * that no process is charged for.
 */
#ifndef SWARM_MACHINE_H
#define SWARM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <gw/base/defs.h>

struct swarm_machine {
    char cpu[128], kernel[128], congestion[32];
    long cores;
    double load; /* average of the last minute: who else was at work */
};

void swarm_machine_read(struct swarm_machine *out);

struct swarm_slab {
    uint64_t bytes; /* Slab of /proc/meminfo; 0: unknown                              */
    /* By /proc/slabinfo, which only root may read. */
    bool caches_known;
    uint64_t inode_bytes;  /* inodes of files, buffers and page trees: not of sockets */
    uint64_t dentry_bytes; /* of files and sockets alike                              */
    uint64_t dentry_size;  /* of one, its share of the slab's waste included          */
};

void swarm_slab_read(struct swarm_slab *out);
/* The part of it that does the work: adds up an open /proc/slabinfo. False: not one. */
GW_MUST_USE bool swarm_slab_add_caches(FILE *slabinfo, struct swarm_slab *out);

/*
 * How many bytes the slabs grew by `sockets` sockets. What inodes of files took is taken off, and
 * what dentries took beyond one for each socket: somebody looked at files meanwhile. Below 0 when
 * others gave back more than these took.
 */
double swarm_slab_growth(const struct swarm_slab *before, const struct swarm_slab *after,
                         uint64_t sockets, double *noise_bytes);

#endif
