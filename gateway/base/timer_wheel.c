/*
 * The wheel: level 0 holds the next 64 ticks, one list a tick; level n holds 64 times as many ticks
 * a list. When level 0 has gone round, the next list of level 1 is spread over it, and so on up.
 *
 *   I1  A node on level n, list i is due within the 64^n ticks that list stands for.
 *   I2  filled[n] bit i == (lists[n][i] != GW_NONE), so an empty wheel is skipped, not walked.
 *   I3  Every node's deadline_tick is > tick, or stands in the list at tick and is being popped;
 *       0 means not armed (a deadline is never 0).
 */
#include <gw/base/timer_wheel.h>

#include <string.h>

#include <gw/base/assert.h>

/* prev of the first node in a list carries the list: FIRST + level * LISTS + list. */
#define FIRST (GW_NONE - 1 - GW_TIMER_LEVELS * GW_TIMER_LISTS)

#define TICK_NS ((uint64_t)GW_TIMER_TICK_MS * GW_NS_PER_MS)

_Static_assert(6 * GW_TIMER_LEVELS >= 32, "every pair of ticks differs on some level");

static struct gw_timer_node *node_at(const struct gw_timer_wheel *wheel, uint32_t slot)
{
    return (struct gw_timer_node *)(void *)(wheel->nodes + (size_t)slot * wheel->stride);
}

void gw_timer_wheel_init(struct gw_timer_wheel *wheel, void *nodes, size_t stride,
                         struct gw_instant start)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->nodes = nodes;
    wheel->stride = stride;
    wheel->start = start;
    memset(wheel->lists, 0xFF, sizeof wheel->lists); /* GW_NONE */
}

/* The level on which the deadline's list differs from the one that stands at `tick`. */
static uint32_t level_of(const struct gw_timer_wheel *wheel, uint32_t deadline_tick)
{
    uint32_t level = 0;

    for (uint32_t apart = deadline_tick ^ wheel->tick; apart >= GW_TIMER_LISTS; apart >>= 6)
        level++;
    return level;
}

static void link_node(struct gw_timer_wheel *wheel, uint32_t slot)
{
    struct gw_timer_node *node = node_at(wheel, slot);
    uint32_t level = level_of(wheel, node->deadline_tick);

    gw_assert(level < GW_TIMER_LEVELS);
    uint32_t list = node->deadline_tick >> (6 * level) & (GW_TIMER_LISTS - 1);
    uint32_t *first = &wheel->lists[level][list];

    node->next = *first;
    node->prev = FIRST + level * GW_TIMER_LISTS + list;
    if (*first != GW_NONE)
        node_at(wheel, *first)->prev = slot;
    *first = slot;
    wheel->filled[level] |= UINT64_C(1) << list;
}

static void unlink_node(struct gw_timer_wheel *wheel, uint32_t slot)
{
    struct gw_timer_node *node = node_at(wheel, slot);

    if (node->next != GW_NONE)
        node_at(wheel, node->next)->prev = node->prev;
    if (node->prev < FIRST) {
        node_at(wheel, node->prev)->next = node->next;
        return;
    }
    uint32_t at = node->prev - FIRST;
    uint32_t level = at / GW_TIMER_LISTS, list = at % GW_TIMER_LISTS;

    wheel->lists[level][list] = node->next;
    if (node->next == GW_NONE)
        wheel->filled[level] &= ~(UINT64_C(1) << list);
}

/* The first tick that begins at or after `at`. */
static uint64_t tick_from(const struct gw_timer_wheel *wheel, struct gw_instant at)
{
    uint64_t ns = gw_ns_between(wheel->start, at);

    return ns / TICK_NS + (ns % TICK_NS != 0); /* no sum that could wrap: "never" is a legal at */
}

void gw_timer_arm(struct gw_timer_wheel *wheel, uint32_t slot, struct gw_instant at)
{
    uint64_t tick = tick_from(wheel, at);

    gw_timer_disarm(wheel, slot);
    if (tick <= wheel->tick)
        tick = (uint64_t)wheel->tick + 1;
    node_at(wheel, slot)->deadline_tick = (uint32_t)gw_min_u64(tick, UINT32_MAX);
    link_node(wheel, slot);
    wheel->armed_count++;
}

void gw_timer_disarm(struct gw_timer_wheel *wheel, uint32_t slot)
{
    struct gw_timer_node *node = node_at(wheel, slot);

    if (node->deadline_tick == 0)
        return;
    unlink_node(wheel, slot);
    node->deadline_tick = 0;
    wheel->armed_count--;
}

bool gw_timer_is_armed(const struct gw_timer_wheel *wheel, uint32_t slot)
{
    return node_at(wheel, slot)->deadline_tick != 0;
}

/* The first tick after `tick` on which something is due or a list must be spread; 0 for none. */
static uint64_t next_tick(const struct gw_timer_wheel *wheel)
{
    for (uint32_t level = 0; level < GW_TIMER_LEVELS; level++) {
        uint32_t shift = 6 * level;
        uint32_t here = wheel->tick >> shift & (GW_TIMER_LISTS - 1);
        /* Only lists behind the present one: the deadline's higher digits are those of tick. */
        uint64_t ahead = here == 63 ? 0 : wheel->filled[level] >> (here + 1) << (here + 1);

        if (ahead != 0) {
            uint64_t list = (uint64_t)__builtin_ctzll(ahead);
            uint64_t span = (uint64_t)GW_TIMER_LISTS << shift;

            return (wheel->tick & ~(span - 1)) + (list << shift);
        }
    }
    return 0;
}

/* Moves the nodes of every list that begins at `tick` one or more levels down. */
static void spread(struct gw_timer_wheel *wheel)
{
    for (uint32_t level = GW_TIMER_LEVELS - 1; level > 0; level--) {
        uint32_t shift = 6 * level;

        if ((wheel->tick & ((1u << shift) - 1)) != 0)
            continue;
        uint32_t list = wheel->tick >> shift & (GW_TIMER_LISTS - 1);
        uint32_t slot = wheel->lists[level][list];

        wheel->lists[level][list] = GW_NONE;
        wheel->filled[level] &= ~(UINT64_C(1) << list);
        while (slot != GW_NONE) {
            uint32_t next = node_at(wheel, slot)->next;

            link_node(wheel, slot);
            slot = next;
        }
    }
}

uint32_t gw_timer_wheel_pop(struct gw_timer_wheel *wheel, struct gw_instant now)
{
    uint64_t until = gw_min_u64(gw_ns_between(wheel->start, now) / TICK_NS, UINT32_MAX);

    for (;;) {
        uint32_t list = wheel->tick & (GW_TIMER_LISTS - 1);
        uint32_t slot = wheel->lists[0][list];

        if (slot != GW_NONE && node_at(wheel, slot)->deadline_tick <= wheel->tick) {
            gw_timer_disarm(wheel, slot);
            return slot;
        }
        if (wheel->tick >= until)
            return GW_NONE;
        uint64_t next = next_tick(wheel);

        if (next == 0 || next > until) {
            wheel->tick = (uint32_t)until;
            return GW_NONE;
        }
        wheel->tick = (uint32_t)next;
        spread(wheel);
    }
}

uint64_t gw_timer_wheel_next(const struct gw_timer_wheel *wheel, struct gw_instant now)
{
    if (wheel->armed_count == 0)
        return UINT64_MAX;
    uint64_t tick = next_tick(wheel);
    uint64_t at = wheel->start.ns + tick * TICK_NS;

    if (wheel->lists[0][wheel->tick & (GW_TIMER_LISTS - 1)] != GW_NONE)
        return 0;
    gw_assert(tick != 0);
    return at > now.ns ? at - now.ns : 0;
}

void gw_timer_wheel_check(const struct gw_timer_wheel *wheel)
{
    uint32_t count = 0;

    for (uint32_t level = 0; level < GW_TIMER_LEVELS; level++)
        for (uint32_t list = 0; list < GW_TIMER_LISTS; list++) {
            uint32_t slot = wheel->lists[level][list];
            uint32_t before = FIRST + level * GW_TIMER_LISTS + list;

            gw_assert(((wheel->filled[level] >> list & 1) != 0) == (slot != GW_NONE));
            for (; slot != GW_NONE; slot = node_at(wheel, slot)->next) {
                const struct gw_timer_node *node = node_at(wheel, slot);

                gw_assert(node->deadline_tick != 0 && node->prev == before);
                gw_assert((node->deadline_tick >> (6 * level) & (GW_TIMER_LISTS - 1)) == list);
                gw_assert(node->deadline_tick >= wheel->tick);
                gw_assert(level_of(wheel, node->deadline_tick) == level);
                before = slot;
                count++;
            }
        }
    gw_assert(count == wheel->armed_count);
}
