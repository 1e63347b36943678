/*
 * A stack of one word: put in by compare and exchange, taken out whole by exchange. Since nothing
 * is ever taken out of its middle, an item that comes back while another thread puts one in can do
 * no harm.
 */
#include <gw/base/inbox.h>

bool gw_inbox_put(struct gw_inbox *inbox, struct gw_inbox_item *item)
{
    struct gw_inbox_item *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);

    do
        item->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &newest, item,
                                                  memory_order_release, memory_order_relaxed));
    return newest == NULL;
}

struct gw_inbox_item *gw_inbox_take(struct gw_inbox *inbox)
{
    struct gw_inbox_item *item, *after = NULL;

    if (gw_inbox_is_empty(inbox)) /* a load leaves the cache line where it is */
        return NULL;
    item = atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acquire);
    while (item != NULL) { /* newest first to oldest first */
        struct gw_inbox_item *before = item->next;

        item->next = after;
        after = item;
        item = before;
    }
    return after;
}

bool gw_inbox_is_empty(const struct gw_inbox *inbox)
{
    return atomic_load_explicit(&inbox->newest, memory_order_relaxed) == NULL;
}
