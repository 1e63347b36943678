/*
 * What the sessions of a context live in once they have parted with their SSL objects: the sessions
 * themselves, their keys, and buffers for records that have not come whole.
 *
 * A pool belongs to the thread of its context. It is held by the context and by each session
 * without an SSL object, and so outlives the certificates after a reload.
 */
#ifndef GW_TLS_POOL_INTERNAL_H
#define GW_TLS_POOL_INTERNAL_H

#include <gw/base/slab.h>
#include <gw/tls/tls.h>

#include "keys_internal.h"

enum {
    GW_KEYS_CLASSES = 3, /* one, two and three cache lines */
    GW_PARTIAL_CLASSES = 2,
    GW_PARTIAL_SMALL_BYTES = 1008, /* four of them in a page: devices send little at a time */
};

/* A record that has not come whole: its first bytes. */
struct gw_partial {
    uint64_t since_ns; /* when the first of them came; 0 where the caller tells no time */
    uint32_t bytes;
    uint8_t data[];
};

struct gw_tls_pool {
    size_t holder_count;
    struct gw_slab sessions;
    struct gw_slab keys[GW_KEYS_CLASSES]; /* excluded from core dumps, cleansed on release */
    struct gw_slab partials[GW_PARTIAL_CLASSES];
    /* For the one record whose content and inner type fill more than the caller's room. */
    uint8_t scratch[GW_TLS_PLAINTEXT_BYTES_MAX + 1];
};

/* 0 or -ENOMEM. */
GW_MUST_USE int gw_tls_pool_create(uint32_t sessions_max, struct gw_tls_pool **out);
void gw_tls_pool_hold(struct gw_tls_pool *pool);
void gw_tls_pool_release(struct gw_tls_pool *pool); /* the last one frees it */

/* `bytes` is what it was acquired for. GW_NONE: none is left. */
GW_MUST_USE uint32_t gw_tls_pool_keys_acquire(struct gw_tls_pool *pool, size_t bytes);
size_t gw_tls_pool_keys_slot_bytes(size_t bytes); /* of memory, for so many bytes of keys */
void *gw_tls_pool_keys_at(struct gw_tls_pool *pool, size_t bytes, uint32_t slot);
void gw_tls_pool_keys_release(struct gw_tls_pool *pool, size_t bytes, uint32_t slot);

/* For a record of up to `bytes`, header and all. GW_NONE: none is left. */
GW_MUST_USE uint32_t gw_partial_acquire(struct gw_tls_pool *pool, size_t bytes);
struct gw_partial *gw_partial_at(struct gw_tls_pool *pool, uint32_t partial);
size_t gw_partial_capacity(uint32_t partial);
void gw_partial_release(struct gw_tls_pool *pool, uint32_t partial);
/* More than half of either class is on loan: those who hold one for long are asked to leave. */
bool gw_partials_are_scarce(const struct gw_tls_pool *pool);

#endif
