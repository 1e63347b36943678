/*
 * The loop of a fleet: start what is due, publish what is due, run due timers, wait, serve what
 * became ready. Every step takes a bounded amount, and none looks at devices that have nothing to
 * do.
 */
#include "fleet.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "revoke.h"

enum {
    EVENTS = 256,
    STARTS_PER_TURN = 64,
    UPDATES_PER_TURN = 1024,
    DRAINS_PER_TURN = 1024,
    TIMERS_PER_TURN = 64, /* of a crowd that comes back: what is answered goes before who starts  */
    PAUSE_US_MIN = 200,   /* at high rates updates go out in small groups, not one a wake-up */
    PAUSE_MS_MAX = 50,    /* how late a change of phase may be noticed                       */
};

#define SWARM_CAUSE(name, word, text) word,
const char *const swarm_cause_words[SWARM_CAUSES] = {
#include "causes.def"
};
#undef SWARM_CAUSE
#define SWARM_CAUSE(name, word, text) text,
const char *const swarm_cause_texts[SWARM_CAUSES] = {
#include "causes.def"
};
#undef SWARM_CAUSE

uint64_t swarm_failure_count(const struct swarm_counts *counts)
{
    uint64_t sum = 0;

    for (int i = 0; i < SWARM_CAUSES; i++)
        sum += gw_counter_read(&counts->failures[i]);
    return sum;
}

static struct swarm_pacer pacer_at(double per_s, struct gw_instant start)
{
    return (struct swarm_pacer){.start = start,
                                .interval_ns = per_s == 0 ? 0 : (double)GW_NS_PER_S / per_s};
}

static struct gw_instant pacer_next(const struct swarm_pacer *pacer, struct gw_instant now)
{
    if (pacer->interval_ns == 0)
        return now;
    return gw_instant_after(pacer->start, (uint64_t)((double)pacer->done * pacer->interval_ns));
}

/* Takes one that is due. */
static bool pacer_take(struct swarm_pacer *pacer, struct gw_instant now, struct gw_instant *due)
{
    *due = pacer_next(pacer, now);
    if (due->ns > now.ns)
        return false;
    pacer->done++;
    return true;
}

static void note_lateness(struct swarm_fleet *fleet, struct gw_instant due)
{
    if (fleet->seen_phase == SWARM_MEASURING)
        swarm_histogram_add(&fleet->late_us, gw_ns_between(due, fleet->now) / GW_NS_PER_US);
}

/* The swarm's cores are those of all its devices. A storm of more of them than it can serve in the
   time that a device waits would be one of its own making, so it may be told a bound. */
static bool is_bounded(const struct swarm_fleet *fleet)
{
    return fleet->seen_phase == SWARM_RAMPING ||
           (fleet->options->restart != NULL && fleet->options->at_once > 0);
}

bool swarm_fleet_is_busy(const struct swarm_fleet *fleet)
{
    return is_bounded(fleet) && gw_counter_read(&fleet->counts.connecting) >= fleet->at_once;
}

/* All but login: the ramp. */
static void start_devices(struct swarm_fleet *fleet)
{
    struct gw_instant due;

    for (int i = 0; i < STARTS_PER_TURN && fleet->next_start < fleet->device_count &&
                    !swarm_fleet_is_busy(fleet) && pacer_take(&fleet->starts, fleet->now, &due);
         i++) {
        gw_counter_add(&fleet->counts.started, 1);
        swarm_device_start(fleet, &fleet->devices[fleet->next_start++], due);
    }
}

bool swarm_fleet_is_crowding(const struct swarm_fleet *fleet)
{
    return fleet->comes_and_goes && fleet->options->mode == SWARM_OVERLOAD &&
           fleet->seen_phase == SWARM_MEASURING;
}

/* Those who come and go log in as soon as they may. */
static bool logs_in(const struct swarm_fleet *fleet)
{
    enum swarm_phase phase =
        fleet->options->mode == SWARM_LOGIN ? SWARM_MEASURING : SWARM_CALIBRATING;

    return fleet->comes_and_goes && fleet->seen_phase == phase;
}

/* login: whoever is idle takes the login that is due. */
static void start_logins(struct swarm_fleet *fleet)
{
    struct gw_instant due;

    for (int i = 0;
         i < STARTS_PER_TURN && fleet->idle_count > 0 && pacer_take(&fleet->load, fleet->now, &due);
         i++) {
        uint32_t slot = fleet->idle[fleet->idle_head];

        fleet->idle_head = (fleet->idle_head + 1) % fleet->device_count;
        fleet->idle_count--;
        note_lateness(fleet, due);
        swarm_device_start(fleet, &fleet->devices[slot], due);
    }
}

/* Open loop: an update whose device is away is skipped and counted, and nobody waits. */
static void publish(struct swarm_fleet *fleet)
{
    struct gw_instant due;

    for (int i = 0; i < UPDATES_PER_TURN && pacer_take(&fleet->load, fleet->now, &due); i++) {
        struct swarm_device *device = &fleet->devices[fleet->next_update];

        fleet->next_update = (fleet->next_update + 1) % fleet->device_count;
        note_lateness(fleet, due);
        if (!swarm_device_publish(fleet, device, due))
            gw_counter_add(&fleet->counts.skipped, 1);
    }
}

static uint32_t storm_count(const struct swarm_fleet *fleet)
{
    return fleet->options->mode == SWARM_OVERLOAD ? fleet->crowd : fleet->device_count;
}

/* storm: whoever has a connection loses it, and everyone connects, all due at the same moment.
   Where the gateway itself is restarted, it is the one that cuts them off. */
static void storm(struct swarm_fleet *fleet)
{
    if (fleet->options->restart != NULL)
        fleet->storm_next = storm_count(fleet);
    for (int i = 0; i < STARTS_PER_TURN && fleet->storm_next < storm_count(fleet); i++)
        swarm_device_reconnect(fleet, &fleet->devices[fleet->storm_next++], fleet->load.start);
    if (fleet->storm_next == storm_count(fleet))
        atomic_store(&fleet->storm_begun, true);
}

/* revoke: those whose token is about to go, and who are to meet that while they log in. */
static void send_back(struct swarm_fleet *fleet)
{
    const struct swarm_revocations *all = fleet->revocations;

    for (; fleet->return_next < all->count &&
           all->items[fleet->return_next].return_at.ns <= fleet->now.ns;
         fleet->return_next++) {
        const struct swarm_revocation *item = &all->items[fleet->return_next];

        if (item->returns && item->device >= fleet->first &&
            item->device < fleet->first + fleet->device_count)
            swarm_device_reconnect(fleet, &fleet->devices[item->device - fleet->first],
                                   item->return_at);
    }
}

/* mixed: connections break one by one; over time each device's does. */
static void churn(struct swarm_fleet *fleet)
{
    struct gw_instant due;

    for (int i = 0; i < STARTS_PER_TURN && pacer_take(&fleet->churns, fleet->now, &due); i++) {
        /* The factor is a prime above any number of devices: every device has its turn. */
        uint64_t turn = fleet->churns.done * UINT64_C(2654435761);

        swarm_device_reconnect(fleet, &fleet->devices[turn % fleet->device_count], due);
    }
}

/* True when everyone has left. */
static bool drain(struct swarm_fleet *fleet)
{
    for (int i = 0; i < DRAINS_PER_TURN && fleet->drain_next < fleet->device_count; i++)
        swarm_device_drain(fleet, &fleet->devices[fleet->drain_next++]);
    return fleet->drain_next == fleet->device_count &&
           gw_counter_read(&fleet->counts.sessions) == 0 &&
           gw_counter_read(&fleet->counts.connecting) == 0;
}

static bool publishes(const struct swarm_fleet *fleet)
{
    return (fleet->options->mode == SWARM_PUBLISH || fleet->options->mode == SWARM_MIXED) &&
           fleet->seen_phase == SWARM_MEASURING;
}

static bool churns(const struct swarm_fleet *fleet)
{
    return fleet->churn > 0 && fleet->seen_phase == SWARM_MEASURING;
}

static bool storms(const struct swarm_fleet *fleet)
{
    return (fleet->options->mode == SWARM_STORM || swarm_fleet_is_crowding(fleet)) &&
           fleet->seen_phase == SWARM_MEASURING && fleet->storm_next < storm_count(fleet);
}

static bool sends_back(const struct swarm_fleet *fleet)
{
    return fleet->revocations != NULL && fleet->seen_phase == SWARM_MEASURING &&
           fleet->return_next < fleet->revocations->count;
}

/* How long there is nothing to do. */
static uint64_t pause_ns(const struct swarm_fleet *fleet)
{
    struct gw_instant now = gw_clock_now();
    uint64_t pause =
        gw_min_u64(PAUSE_MS_MAX * GW_NS_PER_MS, gw_timer_wheel_next(&fleet->wheel, now));

    if (fleet->seen_phase == SWARM_DRAINING)
        return fleet->drain_next < fleet->device_count ? 0 : pause;
    if (fleet->comes_and_goes) {
        if (logs_in(fleet) && fleet->idle_count > 0)
            pause = gw_min_u64(pause, gw_ns_between(now, pacer_next(&fleet->load, now)));
    } else if (fleet->next_start < fleet->device_count && !swarm_fleet_is_busy(fleet)) {
        pause = gw_min_u64(pause, gw_ns_between(now, pacer_next(&fleet->starts, now)));
    }
    if (publishes(fleet))
        pause = gw_min_u64(pause, gw_ns_between(now, pacer_next(&fleet->load, now)));
    if (churns(fleet))
        pause = gw_min_u64(pause, gw_ns_between(now, pacer_next(&fleet->churns, now)));
    if (sends_back(fleet))
        pause = gw_min_u64(
            pause, gw_ns_between(now, fleet->revocations->items[fleet->return_next].return_at));
    if (storms(fleet))
        pause = 0;
    return pause == 0 ? 0 : gw_max_u64(pause, PAUSE_US_MIN * GW_NS_PER_US);
}

/* The part of the pause in which even what comes is left to wait; returns the rest. */
static uint64_t gather(const struct swarm_fleet *fleet, uint64_t pause)
{
    uint64_t asleep = gw_min_u64(pause, fleet->options->gather_us * GW_NS_PER_US);
    struct timespec wait = {.tv_sec = (time_t)(asleep / GW_NS_PER_S),
                            .tv_nsec = (long)(asleep % GW_NS_PER_S)};

    if (asleep > 0)
        (void)nanosleep(&wait, NULL);
    return pause - asleep;
}

static void serve(struct swarm_fleet *fleet)
{
    uint64_t pause = gather(fleet, pause_ns(fleet));
    struct timespec wait = {.tv_sec = (time_t)(pause / GW_NS_PER_S),
                            .tv_nsec = (long)(pause % GW_NS_PER_S)};
    struct epoll_event events[EVENTS];
    int count = epoll_pwait2(fleet->epoll, events, EVENTS, &wait, NULL);

    fleet->now = gw_clock_now();
    for (int i = 0; i < count; i++) {
        struct swarm_device *device = &fleet->devices[(uint32_t)events[i].data.u64];

        if (device->generation == (uint32_t)(events[i].data.u64 >> 32))
            swarm_device_ready(fleet, device, events[i].events);
    }
}

static void run_timers(struct swarm_fleet *fleet)
{
    for (int i = 0; i < TIMERS_PER_TURN; i++) {
        uint32_t slot = gw_timer_wheel_pop(&fleet->wheel, fleet->now);

        if (slot == GW_NONE)
            return;
        swarm_device_timer(fleet, &fleet->devices[slot]);
    }
}

static void follow_phase(struct swarm_fleet *fleet, struct gw_instant *drain_until)
{
    enum swarm_phase phase = (enum swarm_phase)atomic_load(fleet->phase);

    if (phase == fleet->seen_phase)
        return;
    fleet->seen_phase = phase;
    if (phase == SWARM_MEASURING) {
        fleet->load = pacer_at(fleet->rate, fleet->now);
        fleet->churns = pacer_at(fleet->churn, fleet->now);
    } else if (phase == SWARM_DRAINING) {
        *drain_until = gw_instant_after(fleet->now, fleet->options->give_up_s * GW_NS_PER_S);
    }
}

static void loop(struct swarm_fleet *fleet)
{
    struct gw_instant drain_until = {.ns = UINT64_MAX};

    for (;;) {
        fleet->now = gw_clock_now();
        follow_phase(fleet, &drain_until);
        if (fleet->seen_phase == SWARM_DRAINING) {
            if (drain(fleet) || fleet->now.ns > drain_until.ns)
                return;
        } else if (!fleet->comes_and_goes) {
            start_devices(fleet);
        } else if (logs_in(fleet)) {
            start_logins(fleet);
        }
        if (sends_back(fleet))
            send_back(fleet);
        if (storms(fleet))
            storm(fleet);
        if (churns(fleet))
            churn(fleet);
        if (publishes(fleet))
            publish(fleet);
        run_timers(fleet);
        serve(fleet);
    }
}

/* Spread evenly, so that each fleet has its share of those who come back with a ticket. */
static bool resumes(const struct swarm_fleet *fleet, uint32_t slot)
{
    const uint64_t number = (uint64_t)fleet->first + slot, percent = fleet->options->resume;

    return (number + 1) * percent / 100 > number * percent / 100;
}

static bool set_up(struct swarm_fleet *fleet)
{
    /* A table of descriptors of its own: the limit counts for each table. What was open when the
       thread began (standard streams, the ledger) is in both. */
    if (fleet->own_descriptors && unshare(CLONE_FILES) != 0) {
        snprintf(fleet->failure, sizeof fleet->failure, "a descriptor table of its own: %s",
                 strerror(errno));
        return false;
    }
    fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (fleet->epoll < 0) {
        snprintf(fleet->failure, sizeof fleet->failure, "epoll: %s", strerror(errno));
        return false;
    }
    fleet->devices = calloc(fleet->device_count, sizeof *fleet->devices);
    if (fleet->comes_and_goes)
        fleet->idle = calloc(fleet->device_count, sizeof *fleet->idle);
    if (fleet->devices == NULL || (fleet->comes_and_goes && fleet->idle == NULL)) {
        snprintf(fleet->failure, sizeof fleet->failure, "no memory for %u devices",
                 fleet->device_count);
        return false;
    }
    for (uint32_t i = 0; i < fleet->device_count; i++)
        swarm_device_init(&fleet->devices[i], resumes(fleet, i));
    for (uint32_t i = 0; fleet->idle != NULL && i < fleet->calibrating; i++)
        fleet->idle[fleet->idle_count++] = i;
    fleet->start = fleet->now = gw_clock_now();
    gw_timer_wheel_init(&fleet->wheel, &fleet->devices[0].timer, sizeof fleet->devices[0],
                        fleet->start);
    fleet->starts = pacer_at(fleet->ramp, fleet->start);
    if (!swarm_has_ramp(fleet->options) || fleet->comes_and_goes)
        fleet->next_start = fleet->device_count; /* there is no ramp */
    return swarm_links_create(fleet->options, fleet->device_count, &fleet->links, fleet->failure,
                              sizeof fleet->failure);
}

void *swarm_fleet_run(void *context)
{
    struct swarm_fleet *fleet = context;

    fleet->epoll = -1;
    fleet->failed = !set_up(fleet);
    if (!fleet->failed) {
        loop(fleet);
        for (uint32_t i = 0; i < fleet->device_count; i++) {
            swarm_device_leave(fleet, &fleet->devices[i]);
            swarm_link_forget_ticket(&fleet->devices[i].link);
        }
    }
    swarm_links_destroy(fleet->links);
    free(fleet->devices);
    free(fleet->idle);
    if (fleet->epoll >= 0)
        close(fleet->epoll);
    atomic_store(&fleet->ended, true);
    return NULL;
}
