/*
 * Queues of bytes in chunks on loan from a pool.
 */
#include <gw/base/chunk.h>

#include <string.h>

#include <gw/base/assert.h>

_Static_assert(sizeof(struct gw_chunk) == GW_CHUNK_BYTES, "a chunk is one slot");

uint32_t gw_chunk_queue_room(const struct gw_slab *pool, const struct gw_chunk_queue *queue)
{
    if (queue->tail == GW_NONE)
        return 0;
    return (uint32_t)GW_CHUNK_DATA_BYTES - gw_chunk_at(pool, queue->tail)->end;
}

static void add_chunk(struct gw_slab *pool, struct gw_chunk_queue *queue)
{
    uint32_t slot = gw_slab_acquire(pool);

    gw_assert(slot != GW_NONE);
    struct gw_chunk *chunk = gw_chunk_at(pool, slot);

    chunk->next = GW_NONE;
    chunk->begin = chunk->end = 0;
    if (queue->tail == GW_NONE)
        queue->head = slot;
    else
        gw_chunk_at(pool, queue->tail)->next = slot;
    queue->tail = slot;
}

bool gw_chunk_queue_append(struct gw_slab *pool, struct gw_chunk_queue *queue,
                           struct gw_bytes bytes, bool keep_tail)
{
    uint32_t room = keep_tail ? 0 : gw_chunk_queue_room(pool, queue);
    size_t beyond = bytes.size > room ? bytes.size - room : 0;
    size_t chunks = (beyond + GW_CHUNK_DATA_BYTES - 1) / GW_CHUNK_DATA_BYTES;

    if (chunks > pool->slot_count - pool->taken_count)
        return false;
    while (bytes.size > 0) {
        if (room == 0) {
            add_chunk(pool, queue);
            room = GW_CHUNK_DATA_BYTES;
        }
        struct gw_chunk *tail = gw_chunk_at(pool, queue->tail);
        size_t part = bytes.size < room ? bytes.size : room;

        memcpy(tail->data + tail->end, bytes.data, part);
        tail->end = (uint16_t)(tail->end + part);
        bytes = gw_bytes_after(bytes, part);
        room = 0;
    }
    return true;
}

void gw_chunk_queue_drop(struct gw_slab *pool, struct gw_chunk_queue *queue, size_t count)
{
    while (count > 0) {
        gw_assert(queue->head != GW_NONE);
        uint32_t slot = queue->head;
        struct gw_chunk *chunk = gw_chunk_at(pool, slot);
        size_t filled = (size_t)(chunk->end - chunk->begin);

        if (count < filled) {
            chunk->begin = (uint16_t)(chunk->begin + count);
            return;
        }
        count -= filled;
        queue->head = chunk->next;
        if (queue->head == GW_NONE)
            queue->tail = GW_NONE;
        gw_slab_release(pool, slot);
    }
}

struct gw_bytes gw_chunk_queue_front(const struct gw_slab *pool, const struct gw_chunk_queue *queue)
{
    if (queue->head == GW_NONE)
        return gw_bytes_of(NULL, 0);
    const struct gw_chunk *chunk = gw_chunk_at(pool, queue->head);

    return gw_bytes_of(chunk->data + chunk->begin, (size_t)(chunk->end - chunk->begin));
}

size_t gw_chunk_queue_bytes(const struct gw_slab *pool, const struct gw_chunk_queue *queue)
{
    size_t bytes = 0;

    for (uint32_t slot = queue->head; slot != GW_NONE; slot = gw_chunk_at(pool, slot)->next)
        bytes += (size_t)(gw_chunk_at(pool, slot)->end - gw_chunk_at(pool, slot)->begin);
    return bytes;
}

void gw_chunk_queue_clear(struct gw_slab *pool, struct gw_chunk_queue *queue)
{
    while (queue->head != GW_NONE) {
        uint32_t slot = queue->head;

        queue->head = gw_chunk_at(pool, slot)->next;
        gw_slab_release(pool, slot);
    }
    queue->tail = GW_NONE;
}
