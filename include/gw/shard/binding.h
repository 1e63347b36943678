/*
 * A device that logged in with a token for provisioning and has named its product: the question to
 * the index's writer to bind it, and what came of it. A shard only reads the index, so it asks the
 * process that writes it, by way of a thread that may wait:
 *
 *     shard --asked--> binder (the control thread) --socket--> tollgatectl provision serve
 *       ^                |
 *       +---- result ----+
 *
 * The question is the shard's memory all the way, as a message to a device is
 * (gw/shard/downlink.h).
 */
#ifndef GW_SHARD_BINDING_H
#define GW_SHARD_BINDING_H

#include <stdint.h>

#include <gw/base/inbox.h>
#include <gw/token/index.h>

struct gw_shard;

enum gw_binding_result {
    GW_BINDING_BOUND,   /* it is in the index, and every reader's next transaction sees it    */
    GW_BINDING_REFUSED, /* not this device, or not to this product                            */
    GW_BINDING_UNKNOWN, /* nobody could be asked, or did not say: it may even be bound        */
};

struct gw_binding {
    struct gw_inbox_item item; /* first: whose inbox it is in, owns it */
    uint32_t shard;
    uint32_t slot, generation; /* of the session that waits            */
    uint32_t device;
    char product[GW_PRODUCT_ID_BYTES_MAX + 1]; /* its public id, as the index has it */
    enum gw_binding_result result;
};

/* Who binds. `asked` is put into by shards' threads. */
struct gw_binder {
    struct gw_inbox asked;       /* of struct gw_binding                                       */
    void (*wake)(void *context); /* from a shard's thread, when `asked` is no longer empty     */
    void *context;
};

/* Its result is set; it goes back to the shard that asked. Any thread but a shard's. */
void gw_shard_bound(struct gw_shard *shard, struct gw_binding *binding);

#endif
