/*
 * Where the devices that a shard owns are connected, on whatever shard that is.
 */
#ifndef GW_SHARD_DIRECTORY_H
#define GW_SHARD_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/defs.h>
#include <gw/io/ring.h>
#include <gw/shard/shard.h>

struct place {
    uint32_t device; /* 0: nowhere */
    uint32_t shard, slot;
    uint32_t generation; /* as operations carry it: GW_OP_GENERATION_BITS of the slot's */
};

/* A place, packed: there are more of these than sessions. */
struct directory_cell {
    uint32_t device; /* 0: an empty cell */
    uint32_t slot;
    uint32_t shard : 8;
    uint32_t generation : GW_OP_GENERATION_BITS;
};
_Static_assert(GW_SHARDS_MAX <= 1 << 8, "a shard's number has 8 bits");

struct directory {
    struct directory_cell *cells; /* open addressing, linear probing */
    uint32_t cell_count;
    uint32_t count, count_max;
};

/* What is mapped for so many entries. */
uint64_t directory_bytes(uint32_t entries_max);
GW_MUST_USE int directory_init(struct directory *directory, uint32_t entries_max);
void directory_fini(struct directory *directory);
/*
 * Puts the device's new place and gives the one it had (device 0 if none). False: full, nothing
 * changed.
 */
GW_MUST_USE bool directory_claim(struct directory *directory, struct place place,
                                 struct place *before);
/* Where the device is; device 0: nowhere. */
struct place directory_find(const struct directory *directory, uint32_t device);
/* Forgets the device if it is still at this place; a late release of an old life changes nothing.
 */
void directory_release(struct directory *directory, struct place place);

#endif
