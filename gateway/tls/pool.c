/*
 * Slabs for sessions without an SSL object. They are mapped for the most there can be of everything
 * and touched only as far as they are used.
 */
#include "pool_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <openssl/mem.h>

#include <gw/base/assert.h>

#include "tls_internal.h"

enum {
    PARTIALS_SMALL_MAX = 8192, /* 8 MiB                                                        */
    PARTIALS_LARGE_MAX = 512,  /* 8 MiB                                                        */
};
#define PARTIAL_LARGE UINT32_C(0x80000000) /* set in the name of a large one */

static_assert((int)GW_KEYS_CLASSES * (int)GW_CACHE_LINE == (int)GW_KEYS_BYTES_MAX,
              "the largest keys fill the largest class");

#define ROUND8(bytes) (((bytes) + 7) / 8 * 8)

static const struct {
    uint32_t bytes, count_max;
} partials[GW_PARTIAL_CLASSES] = {
    {ROUND8(sizeof(struct gw_partial) + GW_PARTIAL_SMALL_BYTES), PARTIALS_SMALL_MAX},
    {ROUND8(sizeof(struct gw_partial) + GW_TLS_RECORD_BYTES_MAX), PARTIALS_LARGE_MAX},
};

static uint32_t partial_count(size_t class, uint32_t sessions_max)
{
    return (uint32_t)gw_min_u64(sessions_max, partials[class].count_max);
}

uint32_t gw_tls_session_bytes(void)
{
    return (uint32_t)(sizeof(struct gw_tls) + GW_KEYS_BYTES_MAX + 1 /* bits of their pools */);
}

uint64_t gw_tls_context_bytes(uint32_t sessions_max)
{
    uint64_t bytes = sizeof(struct gw_tls_pool) + (uint64_t)sessions_max * gw_tls_session_bytes();

    for (size_t class = 0; class < GW_PARTIAL_CLASSES; class ++)
        bytes += gw_slab_bytes(partials[class].bytes, partial_count(class, sessions_max));
    return bytes;
}

static int create_slabs(struct gw_tls_pool *pool, uint32_t sessions_max)
{
    int err = gw_slab_init(&pool->sessions, sizeof(struct gw_tls), sessions_max);

    for (uint32_t class = 0; err == 0 && class < GW_KEYS_CLASSES; class ++) {
        struct gw_slab *slab = &pool->keys[class];

        /* One more: during hand-over a session has its secrets and its keys. */
        err = gw_slab_init(slab, (class + 1) * GW_CACHE_LINE, sessions_max + 1);
        /* A kernel that cannot leave memory out of core dumps is no reason not to serve. */
        if (err == 0)
            (void)madvise(slab->slots, (size_t)slab->slot_bytes * slab->slot_count, MADV_DONTDUMP);
    }
    for (size_t class = 0; err == 0 && class < GW_PARTIAL_CLASSES; class ++)
        err = gw_slab_init(&pool->partials[class], partials[class].bytes,
                           partial_count(class, sessions_max));
    return err;
}

int gw_tls_pool_create(uint32_t sessions_max, struct gw_tls_pool **out)
{
    struct gw_tls_pool *pool = calloc(1, sizeof *pool);
    int err;

    *out = NULL;
    if (pool == NULL)
        return -ENOMEM;
    pool->holder_count = 1;
    err = create_slabs(pool, sessions_max);
    if (err != 0)
        gw_tls_pool_release(pool);
    else
        *out = pool;
    return err;
}

void gw_tls_pool_hold(struct gw_tls_pool *pool)
{
    pool->holder_count++;
}

void gw_tls_pool_release(struct gw_tls_pool *pool)
{
    gw_assert(pool->holder_count > 0);
    if (--pool->holder_count > 0)
        return;
    gw_assert(pool->sessions.taken_count == 0);
    gw_slab_fini(&pool->sessions);
    for (size_t i = 0; i < GW_KEYS_CLASSES; i++) {
        gw_assert(pool->keys[i].taken_count == 0);
        gw_slab_fini(&pool->keys[i]);
    }
    for (size_t i = 0; i < GW_PARTIAL_CLASSES; i++) {
        gw_assert(pool->partials[i].taken_count == 0);
        gw_slab_fini(&pool->partials[i]);
    }
    OPENSSL_cleanse(pool->scratch, sizeof pool->scratch);
    free(pool);
}

static struct gw_slab *keys_slab(struct gw_tls_pool *pool, size_t bytes)
{
    gw_assert(bytes > 0 && bytes <= GW_KEYS_BYTES_MAX);
    return &pool->keys[(bytes - 1) / GW_CACHE_LINE];
}

size_t gw_tls_pool_keys_slot_bytes(size_t bytes)
{
    return (bytes + GW_CACHE_LINE - 1) / GW_CACHE_LINE * GW_CACHE_LINE;
}

uint32_t gw_tls_pool_keys_acquire(struct gw_tls_pool *pool, size_t bytes)
{
    return gw_slab_acquire(keys_slab(pool, bytes));
}

void *gw_tls_pool_keys_at(struct gw_tls_pool *pool, size_t bytes, uint32_t slot)
{
    return gw_slab_at(keys_slab(pool, bytes), slot);
}

void gw_tls_pool_keys_release(struct gw_tls_pool *pool, size_t bytes, uint32_t slot)
{
    struct gw_slab *slab = keys_slab(pool, bytes);

    OPENSSL_cleanse(gw_slab_at(slab, slot), slab->slot_bytes);
    gw_slab_release(slab, slot);
}

uint32_t gw_partial_acquire(struct gw_tls_pool *pool, size_t bytes)
{
    uint32_t slot;

    gw_assert(bytes <= GW_TLS_RECORD_BYTES_MAX);
    if (bytes <= GW_PARTIAL_SMALL_BYTES)
        return gw_slab_acquire(&pool->partials[0]);
    slot = gw_slab_acquire(&pool->partials[1]);
    return slot == GW_NONE ? GW_NONE : slot | PARTIAL_LARGE;
}

static struct gw_slab *partial_slab(struct gw_tls_pool *pool, uint32_t partial)
{
    return &pool->partials[(partial & PARTIAL_LARGE) != 0];
}

struct gw_partial *gw_partial_at(struct gw_tls_pool *pool, uint32_t partial)
{
    return gw_slab_at(partial_slab(pool, partial), partial & ~PARTIAL_LARGE);
}

size_t gw_partial_capacity(uint32_t partial)
{
    return (partial & PARTIAL_LARGE) != 0 ? GW_TLS_RECORD_BYTES_MAX : GW_PARTIAL_SMALL_BYTES;
}

void gw_partial_release(struct gw_tls_pool *pool, uint32_t partial)
{
    gw_slab_release(partial_slab(pool, partial), partial & ~PARTIAL_LARGE);
}

bool gw_partials_are_scarce(const struct gw_tls_pool *pool)
{
    for (size_t i = 0; i < GW_PARTIAL_CLASSES; i++) {
        if (pool->partials[i].taken_count > pool->partials[i].slot_count / 2)
            return true;
    }
    return false;
}
