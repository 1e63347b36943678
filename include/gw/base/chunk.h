/*
 * Chunks: fixed-size pieces of buffer on loan from a shard's pool, chained into queues of bytes.
 * A session holds chunks only while bytes wait, to be sent or for the rest of a frame.
 */
#ifndef GW_BASE_CHUNK_H
#define GW_BASE_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/slab.h>

enum { GW_CHUNK_BYTES = 2048, GW_CHUNK_DATA_BYTES = GW_CHUNK_BYTES - 8 };

struct gw_chunk {
    uint32_t next;  /* GW_NONE at the end of a queue */
    uint16_t begin; /* bytes [begin, end) are filled */
    uint16_t end;
    uint8_t data[GW_CHUNK_DATA_BYTES];
};

struct gw_chunk_queue {
    uint32_t head, tail; /* GW_NONE, GW_NONE when empty */
};

#define GW_CHUNK_QUEUE_EMPTY ((struct gw_chunk_queue){.head = GW_NONE, .tail = GW_NONE})

static inline bool gw_chunk_queue_is_empty(const struct gw_chunk_queue *queue)
{
    return queue->head == GW_NONE;
}

static inline struct gw_chunk *gw_chunk_at(const struct gw_slab *pool, uint32_t slot)
{
    return (struct gw_chunk *)gw_slab_at(pool, slot);
}

/*
 * Copies `bytes` behind the queue, filling its last chunk first unless `keep_tail` (a chunk that
 * the kernel is reading may still be filled behind `end`, but is not when keep_tail is set).
 * All or nothing: false, with the queue untouched, when the pool has too few chunks.
 */
GW_MUST_USE bool gw_chunk_queue_append(struct gw_slab *pool, struct gw_chunk_queue *queue,
                                       struct gw_bytes bytes, bool keep_tail);

/* Drops `count` bytes from the front, returning emptied chunks; count <= gw_chunk_queue_bytes. */
void gw_chunk_queue_drop(struct gw_slab *pool, struct gw_chunk_queue *queue, size_t count);

/* Bytes that the last chunk still takes. */
uint32_t gw_chunk_queue_room(const struct gw_slab *pool, const struct gw_chunk_queue *queue);

/* The filled bytes of the first chunk; empty when the queue is. */
struct gw_bytes gw_chunk_queue_front(const struct gw_slab *pool,
                                     const struct gw_chunk_queue *queue);

/* Walks the queue. */
size_t gw_chunk_queue_bytes(const struct gw_slab *pool, const struct gw_chunk_queue *queue);

/* Returns every chunk. */
void gw_chunk_queue_clear(struct gw_slab *pool, struct gw_chunk_queue *queue);

#endif
