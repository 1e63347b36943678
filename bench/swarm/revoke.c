#include "revoke.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gw/token/writer.h>

enum {
    /* How long before the commit a device is sent to log in: each step of a login has its turn. */
    HEAD_START_MS = 16,
    HEAD_STARTS = 32,
};

bool swarm_revocations_create(uint32_t count, uint32_t devices, const char *index,
                              struct swarm_revocations **out)
{
    struct swarm_revocations *all = calloc(1, sizeof *all);

    *out = all;
    if (all == NULL)
        return false;
    *all = (struct swarm_revocations){.items = calloc(count, sizeof *all->items),
                                      .by_device = calloc(count, sizeof *all->by_device),
                                      .count = count,
                                      .index = index};
    if (all->items == NULL || all->by_device == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        /* The factor is a prime above any count: each turn comes once, and in no order. */
        uint32_t turn = (uint32_t)(i * UINT64_C(2654435761) % count);

        all->items[i].device = (uint32_t)((uint64_t)turn * devices / count);
        all->items[i].returns = i % 2 == 1;
        all->by_device[turn] = i;
    }
    return true;
}

void swarm_revocations_destroy(struct swarm_revocations *all)
{
    if (all == NULL)
        return;
    free(all->items);
    free(all->by_device);
    free(all);
}

void swarm_revocations_schedule(struct swarm_revocations *all, struct gw_instant begin,
                                double seconds)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct swarm_revocation *item = &all->items[i];
        uint64_t head_start =
            (uint64_t)(i / 2 % HEAD_STARTS) * HEAD_START_MS * GW_NS_PER_MS / HEAD_STARTS;

        item->return_at =
            gw_instant_after(begin, (uint64_t)(seconds * (double)GW_NS_PER_S / all->count * i));
        item->due = gw_instant_after(item->return_at, item->returns ? head_start : 0);
    }
}

static void sleep_until(struct gw_instant due)
{
    struct timespec until = {.tv_sec = (time_t)(due.ns / GW_NS_PER_S),
                             .tv_nsec = (long)(due.ns % GW_NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        continue;
}

/* Devices are numbered from 1 in the order of their tokens, as in an index that was generated. */
static int revoke(struct gw_index_writer *writer, struct swarm_revocation *item)
{
    int err = gw_index_begin(writer);

    if (err != 0)
        return err;
    err = gw_index_token_revoke(writer, item->device + 1);
    if (err != 0) {
        gw_index_abort(writer);
        return err;
    }
    err = gw_index_commit(writer);
    if (err == 0)
        atomic_store(&item->committed_ns, gw_clock_now().ns);
    return err;
}

void *swarm_revocations_run(void *context)
{
    struct swarm_revocations *all = context;
    struct gw_index_writer *writer = NULL;

    all->error = gw_index_writer_open(all->index, NULL, &writer, &all->failure);
    for (uint32_t i = 0; all->error == 0 && i < all->count && !atomic_load(&all->stop); i++) {
        sleep_until(all->items[i].due);
        all->error = revoke(writer, &all->items[i]);
        if (all->error != 0)
            all->failure = "a token could not be revoked";
    }
    gw_index_writer_close(writer);
    return NULL;
}

void swarm_revocations_note(struct swarm_revocations *all, uint32_t device, bool was_live,
                            bool refused)
{
    uint32_t low = 0, high = all->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (all->items[all->by_device[middle]].device < device)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == all->count || all->items[all->by_device[low]].device != device)
        return;
    if (was_live)
        atomic_store(&all->items[all->by_device[low]].last_alive_ns, gw_clock_now().ns);
    if (refused)
        atomic_store(&all->items[all->by_device[low]].refused, true);
}

bool swarm_revocations_count(const struct swarm_revocations *all, struct swarm_revoked *out)
{
    uint32_t settled = 0;

    memset(out, 0, sizeof *out);
    out->asked = all->count;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct swarm_revocation *item = &all->items[i];
        uint64_t committed = atomic_load(&item->committed_ns);
        uint64_t alive = atomic_load(&item->last_alive_ns);
        bool refused = atomic_load(&item->refused);

        out->committed += committed != 0;
        settled += committed != 0 && refused;
        if (committed != 0 && alive >= committed)
            swarm_histogram_add(&out->delay_us, (alive - committed) / GW_NS_PER_US);
        else if (refused)
            out->at_login++;
        else
            out->left++;
    }
    return settled == all->count;
}
