/*
 * The classic bounded ring of two indices that only grow. Each side keeps a copy of the other's
 * index and looks at the real one only when the copy says full or empty, so that in a steady flow
 * the cache lines move rarely.
 */
#include <gw/base/spsc.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

int gw_spsc_init(struct gw_spsc *queue, uint32_t item_bytes, uint32_t capacity)
{
    uint32_t count = 1;

    gw_assert(item_bytes > 0 && capacity > 0 && capacity <= 1u << 30);
    while (count < capacity)
        count *= 2;
    memset(queue, 0, sizeof *queue);
    queue->items = malloc((size_t)count * item_bytes);
    if (queue->items == NULL)
        return -ENOMEM;
    queue->item_bytes = item_bytes;
    queue->mask = count - 1;
    return 0;
}

void gw_spsc_fini(struct gw_spsc *queue)
{
    free(queue->items);
    queue->items = NULL;
}

bool gw_spsc_push(struct gw_spsc *queue, const void *item)
{
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);

    if (tail - queue->head_seen > queue->mask) {
        queue->head_seen = atomic_load_explicit(&queue->head, memory_order_acquire);
        if (tail - queue->head_seen > queue->mask)
            return false;
    }
    memcpy(queue->items + (size_t)(tail & queue->mask) * queue->item_bytes, item,
           queue->item_bytes);
    atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
    return true;
}

bool gw_spsc_pop(struct gw_spsc *queue, void *item)
{
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);

    if (head == queue->tail_seen) {
        queue->tail_seen = atomic_load_explicit(&queue->tail, memory_order_acquire);
        if (head == queue->tail_seen)
            return false;
    }
    memcpy(item, queue->items + (size_t)(head & queue->mask) * queue->item_bytes,
           queue->item_bytes);
    atomic_store_explicit(&queue->head, head + 1, memory_order_release);
    return true;
}

uint32_t gw_spsc_count(const struct gw_spsc *queue)
{
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_acquire);

    return tail - head;
}
