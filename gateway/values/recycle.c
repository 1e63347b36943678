/*
 * Entries that a newer value of their pin has replaced, until their memory may be used again.
 *
 *     replaced --a meeting of the readers--> waiting --all of them gone--> free --> an entry again
 *
 * A reader may look at an entry that it found until its turn ends. So one that is replaced waits
 * for two meetings of the uplink's: at the first all readers that may look at it are noted, and the
 * next one comes about only when each of these has ended the turn it was in. A busy pin therefore
 * takes the memory of a few entries and not one more for each write.
 *
 * Entries of one size stand in a queue, in the order in which they were replaced, through `next`:
 *
 *     head -> free ... free -> waiting ... waiting -> replaced ... replaced <- tail
 *
 *   I1  The first entry of a pin is none of these: the pins of a device are found by way of it.
 */
#include "values_internal.h"

#include <gw/base/assert.h>

/* Those of this entry's size; NULL when it is too large for that. */
static struct values_recycled *queue_of(struct values_table *table, uint64_t bytes)
{
    uint64_t index = (bytes - sizeof(struct values_entry)) / VALUES_UNIT_BYTES;

    return index < VALUES_RECYCLED_SIZES ? &table->recycled[index] : NULL;
}

void values_recycle_put(struct values_table *table, uint32_t place)
{
    struct values_entry *entry = values_entry_at(table, place);
    struct values_recycled *queue = queue_of(table, values_entry_bytes(entry->value_bytes));

    gw_assert(!entry->is_first); /* I1 */
    if (queue == NULL)
        return;
    entry->next = 0;
    if (queue->free + queue->waiting + queue->replaced == 0)
        queue->head = place;
    else
        values_entry_at(table, queue->tail)->next = place;
    queue->tail = place;
    queue->replaced++;
}

uint32_t values_recycle_take(struct values_table *table, uint64_t bytes)
{
    struct values_recycled *queue = queue_of(table, bytes);

    if (queue == NULL || queue->free == 0)
        return 0;
    uint32_t place = queue->head;

    queue->head = values_entry_at(table, place)->next;
    queue->free--;
    return place;
}

void values_recycle_meeting(struct values_table *table)
{
    for (uint32_t i = 0; i < VALUES_RECYCLED_SIZES; i++) {
        struct values_recycled *queue = &table->recycled[i];

        queue->free += queue->waiting;
        queue->waiting = queue->replaced;
        queue->replaced = 0;
    }
}
