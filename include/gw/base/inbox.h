/*
 * What many threads put in and one takes out, all of it at once. Items bring their own link, so
 * putting in never fails and never copies: an item belongs to whoever put it in until then, and
 * from then on to whoever takes it out. How much there can be is bounded by how many items exist.
 */
#ifndef GW_BASE_INBOX_H
#define GW_BASE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <gw/base/defs.h>

struct gw_inbox_item {
    struct gw_inbox_item *next; /* in an inbox: the one put in before */
};

struct gw_inbox {
    _Alignas(GW_CACHE_LINE) _Atomic(struct gw_inbox_item *) newest; /* NULL: empty */
};

/* Any thread. True: it was empty, and whoever takes out may have to be woken. */
GW_MUST_USE bool gw_inbox_put(struct gw_inbox *inbox, struct gw_inbox_item *item);

/* One thread. Everything there is, linked by `next`, in the order in which it was put in. */
struct gw_inbox_item *gw_inbox_take(struct gw_inbox *inbox);

/* Any thread; exact for the taker while nobody puts in. */
bool gw_inbox_is_empty(const struct gw_inbox *inbox);

#endif
