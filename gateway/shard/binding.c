/*
 * Devices that are yet to be bound to their product (docs/provisioning.md): one names it, in its
 * info frame or by HTTP, and until the index's writer has bound it nothing more of it is taken.
 * What named the product stays in front of the session's input, as a sync does that waits, and is
 * looked at again when the answer came: then the device is of that product like any other.
 *
 *   I1  A session waits for one answer at most, and each question comes home.
 *   I2  What a device is bound to is read from the index after the answer, never believed.
 */
#include "shard_internal.h"

#include <errno.h>

#include <gw/token/catalog.h>

/* The product that was named: 0 when the device may be bound to it, else why it may not. */
static uint16_t judge(struct gw_shard *sh, const struct gw_session *s, uint32_t product,
                      struct gw_bytes named, struct gw_product_info *out)
{
    const struct gw_index_view *view = gw_index_reader_view(sh->reader);
    struct gw_product_info own;
    uint32_t number;
    int err = view == NULL ? -EIO : gw_catalog_product(view, product, &own);

    if (named.size == 0 || named.size > GW_PRODUCT_ID_BYTES_MAX)
        return GW_RESPONSE_NOT_AUTHENTICATED;
    if (err == 0)
        err = gw_catalog_product_find(view, named, &number);
    if (err == 0)
        err = gw_catalog_product(view, number, out);
    if (err == -ENOENT)
        return GW_RESPONSE_NOT_AUTHENTICATED;
    if (err != 0)
        return GW_RESPONSE_SERVER_EXCEPTION;
    if (out->org != own.org || out->closed || (out->flags & GW_PRODUCT_PROVISIONS) != 0 ||
        (!has(s, GW_SESSION_TLS) && (out->flags & GW_PRODUCT_PLAIN_ALLOWED) == 0))
        return GW_RESPONSE_NOT_AUTHENTICATED;
    return 0;
}

uint16_t ask_binding(struct gw_shard *sh, const struct gw_session *s, uint32_t device,
                     uint32_t product, struct gw_bytes named)
{
    struct gw_binder *binder = sh->options.binder;
    struct gw_product_info target;
    uint16_t status = judge(sh, s, product, named, &target);
    uint32_t slot;

    if (status != 0)
        return status;
    if (binder == NULL || (slot = gw_slab_acquire(&sh->bindings)) == GW_NONE)
        return GW_RESPONSE_SERVER_EXCEPTION;
    struct gw_binding *binding = gw_slab_at(&sh->bindings, slot);

    *binding = (struct gw_binding){.shard = sh->options.number,
                                   .slot = slot_of(sh, s),
                                   .generation = s->generation,
                                   .device = device};
    memcpy(binding->product, target.id, sizeof binding->product);
    COUNT(sh, bindings_asked);
    if (gw_inbox_put(&binder->asked, &binding->item))
        binder->wake(binder->context);
    return 0;
}

bool bind_product(struct gw_shard *sh, struct gw_session *s, const struct gw_session_todo *todo)
{
    const struct gw_session_cold *cold = cold_of(sh, s);
    uint16_t status;

    if ((cold->product_flags & GW_PRODUCT_PROVISIONS) == 0)
        return true;
    status = ask_binding(sh, s, s->device, cold->product, todo->asked);
    if (status == 0) {
        s->flags |= GW_SESSION_BINDING;
        return false;
    }
    COUNT(sh, bindings_refused);
    reply_status(sh, s, todo->msg_id, status);
    close_session(sh, s,
                  status == GW_RESPONSE_SERVER_EXCEPTION ? GW_CLOSE_NOT_BOUND
                                                         : GW_CLOSE_PRODUCT_MISMATCH);
    return false;
}

void adopt_product(struct gw_session_cold *cold, const struct gw_grant *grant)
{
    cold->product = grant->product;
    cold->product_flags = grant->product_flags;
    cold->token_generation = grant->generation;
}

/* I2: as a login would find it now. False: it is not bound, or that cannot be told. */
static bool read_anew(struct gw_shard *sh, struct gw_session *s)
{
    struct gw_session_cold *cold = cold_of(sh, s);
    struct gw_grant grant;

    gw_index_reader_pause(sh->reader); /* the turn's transaction may be older than the answer */
    if (gw_index_recheck(sh->reader, s->device, cold->token_generation, has(s, GW_SESSION_TLS),
                         gw_ring_wall_us(sh->ring) / 1000000, &grant) != GW_LOGIN_GRANTED ||
        (grant.product_flags & GW_PRODUCT_PROVISIONS) != 0)
        return false;
    adopt_product(cold, &grant);
    return true;
}

static void on_bound(struct gw_shard *sh, struct gw_session *s, enum gw_binding_result result)
{
    bool bound = result == GW_BINDING_BOUND && read_anew(sh, s);

    if (bound)
        COUNT(sh, bindings_made);
    else
        COUNT(sh, bindings_refused);
    s->flags &= ~(uint32_t)GW_SESSION_BINDING;
    if (!bound) {
        bool refused = result == GW_BINDING_REFUSED;

        reply_status(sh, s, cold_of(sh, s)->last_id,
                     refused ? GW_RESPONSE_NOT_AUTHENTICATED : GW_RESPONSE_SERVER_EXCEPTION);
        close_session(sh, s, refused ? GW_CLOSE_PRODUCT_MISMATCH : GW_CLOSE_NOT_BOUND);
    }
    resume_reading(sh, s);
}

void bindings_handle(struct gw_shard *sh)
{
    struct gw_inbox_item *items = gw_inbox_take(&sh->bound);

    while (items != NULL) {
        struct gw_binding binding = *(struct gw_binding *)items;
        uint32_t slot =
            (uint32_t)(((const uint8_t *)items - sh->bindings.slots) / sh->bindings.slot_bytes);

        items = items->next; /* before the place is given back */
        gw_slab_release(&sh->bindings, slot);
        if (!gw_slab_is_taken(&sh->sessions, binding.slot))
            continue;
        struct gw_session *s = session_at(sh, binding.slot);

        if (s->generation != binding.generation)
            continue;
        if (s->state == GW_SESSION_LIVE)
            on_bound(sh, s, binding.result);
        else if (s->state == GW_SESSION_HTTP)
            http_bound(sh, s, binding.result);
    }
}

void gw_shard_bound(struct gw_shard *sh, struct gw_binding *binding)
{
    if (gw_inbox_put(&sh->bound, &binding->item))
        gw_ring_wake(sh->ring);
}
