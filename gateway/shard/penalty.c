/*
 * Delays of single devices after a product mismatch. Races between shards can lose a strike or give
 * one twice; both only move a delay.
 */
#include <gw/shard/penalty.h>

#include <stddef.h>

static struct gw_penalty *set_of(const struct gw_penalty_table *table, uint32_t device)
{
    uint32_t set = (device * 0x9E3779B1u) >> 22; /* Fibonacci hashing: the top 10 bits */

    _Static_assert(GW_PENALTY_SETS == 1 << 10, "the shift above takes 10 bits");
    return ((struct gw_penalty_table *)(uintptr_t)table)->entries[set];
}

static struct gw_penalty *find(struct gw_penalty *set, uint32_t device)
{
    for (size_t i = 0; i < GW_PENALTY_WAYS; i++)
        if (atomic_load_explicit(&set[i].device, memory_order_relaxed) == device)
            return &set[i];
    return NULL;
}

bool gw_penalty_applies(const struct gw_penalty_table *table, uint32_t device,
                        struct gw_instant now)
{
    const struct gw_penalty *entry = find(set_of(table, device), device);

    return entry != NULL && atomic_load_explicit(&entry->until_ns, memory_order_relaxed) > now.ns;
}

uint32_t gw_penalty_add(struct gw_penalty_table *table, uint32_t device, struct gw_instant now,
                        uint32_t first_s, uint32_t max_s)
{
    struct gw_penalty *set = set_of(table, device);
    struct gw_penalty *entry = find(set, device);
    uint64_t delay_s = first_s;
    uint32_t strikes = 0;

    if (entry == NULL) {
        entry = &set[0];
        for (size_t i = 1; i < GW_PENALTY_WAYS; i++)
            if (atomic_load_explicit(&set[i].until_ns, memory_order_relaxed) <
                atomic_load_explicit(&entry->until_ns, memory_order_relaxed))
                entry = &set[i];
        atomic_store_explicit(&entry->until_ns, 0, memory_order_relaxed);
        atomic_store_explicit(&entry->device, device, memory_order_relaxed);
    } else {
        strikes = atomic_load_explicit(&entry->strikes, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < strikes && delay_s < max_s; i++)
        delay_s *= 2;
    uint64_t until = atomic_load_explicit(&entry->until_ns, memory_order_relaxed);

    if (strikes > 0 && now.ns > until && now.ns - until > 2 * delay_s * GW_NS_PER_S) {
        strikes = 0;
        delay_s = first_s;
    }
    if (delay_s > max_s)
        delay_s = max_s;
    strikes++;
    atomic_store_explicit(&entry->strikes, strikes, memory_order_relaxed);
    atomic_store_explicit(&entry->until_ns, now.ns + delay_s * GW_NS_PER_S, memory_order_relaxed);
    return strikes;
}
