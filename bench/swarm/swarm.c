/*
 * The main thread: reads the tokens, plans threads and descriptors, starts the fleets, moves them
 * from phase to phase, watches the gateway's process, shows progress, adds everything up.
 */
#include "swarm.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "dialect.h"
#include "ledger.h"
#include "plan.h"
#include "restart.h"

enum {
    EXIT_USAGE = 64,
    EXIT_OS = 71,
    EXIT_CANT_CREATE = 73,
    /* The usual range holds 28,000, of which connect tries one half first, one after the other from
       where it last was: when most are taken, a search costs a millisecond and more. */
    PORTS_PER_SOURCE = 4000,
    TICK_MS = 100,
    PROGRESS_EVERY_TICKS = 5,
    AT_ONCE_MIN = 4,    /* attempts of a thread, however small its share                        */
    SETTLE_TICKS = 10,  /* between the ramp and the measured time: what came up comes to rest */
    WEIGHED_TICKS = 30, /* the same before a gateway is weighed: it gives back what logins took */
    CHURN_S = 1800,     /* mixed, unless told: every device loses its connection so often     */
    INTERVAL_S = 60,    /* mixed, unless told: between two updates of a device                */
    SETTLED_PART = 50,  /* overload, unless told: of the devices that come up first           */
    CALIBRATING = 100,  /* overload: devices whose logins are the capacity                    */
    WARM_UP_S = 2,
    CALIBRATE_S = 10,
    REVOKED_PART_MIN = 10, /* of the devices: more, and the index would lose its authority    */
    REVOKE_HEAD_START_MS = 200, /* until every fleet has seen that it begins                  */
    REVOKE_PATIENCE_S = 30,
};

struct swarm {
    const struct swarm_options *options;
    struct swarm_fleet *fleets;
    pthread_t *threads;
    uint32_t fleet_count, joined;
    _Atomic int phase;
    char (*tokens)[GW_TOKEN_TEXT_BYTES];
    FILE *ledger, *told; /* or NULL */
    struct gw_instant start;
    sigset_t stop_signals;
    bool progress;
    struct swarm_counts last_shown;
    struct swarm_timeline *timeline;
    pid_t gateway_pid; /* 0: not watched; another one after a restart */
    struct swarm_revocations *revocations;
};

static void add_counts(struct swarm_counts *into, const struct swarm_counts *from)
{
    struct gw_counter *to = (struct gw_counter *)into;
    const struct gw_counter *of = (const struct gw_counter *)from;

    static_assert(sizeof *into % sizeof *to == 0, "nothing but counters");
    for (size_t i = 0; i < sizeof *into / sizeof *to; i++)
        gw_counter_add(&to[i], gw_counter_read(&of[i]));
}

static void take_counts(struct swarm_counts *from, const struct swarm_counts *less)
{
    struct gw_counter *to = (struct gw_counter *)from;
    const struct gw_counter *of = (const struct gw_counter *)less;

    for (size_t i = 0; i < sizeof *from / sizeof *to; i++)
        gw_counter_sub(&to[i], gw_counter_read(&of[i]));
}

static struct swarm_counts count(const struct swarm *swarm)
{
    struct swarm_counts sum = {0};

    for (uint32_t i = 0; i < swarm->fleet_count; i++)
        add_counts(&sum, &swarm->fleets[i].counts);
    return sum;
}

/* --- before the start ------------------------------------------------------------------- */

/* Devices that come up before anything is measured. */
static uint32_t ramped(const struct swarm_options *options, uint32_t devices)
{
    return options->mode == SWARM_OVERLOAD ? options->settled : devices;
}

/* Without a path there is none, and all is well. */
static int open_file(const char *path, FILE **out)
{
    if (path == NULL || (*out = fopen(path, "we")) != NULL)
        return 0;
    fprintf(stderr, "tollgate-bench: %s: %s\n", path, strerror(errno));
    return EXIT_CANT_CREATE;
}

static int open_files(struct swarm *swarm, uint32_t run, uint32_t devices)
{
    int err = open_file(swarm->options->ledger, &swarm->ledger);

    if (err == 0)
        err = open_file(swarm->options->told, &swarm->told);
    if (swarm->ledger != NULL)
        swarm_ledger_write_head(swarm->ledger, run, devices);
    if (swarm->told != NULL) /* whoever reads it waits for lines */
        (void)setvbuf(swarm->told, NULL, _IOLBF, BUFSIZ);
    return err;
}

/* A fleet's share of the attempts that may be under way. */
static uint64_t at_once(const struct swarm_options *options, double share)
{
    double all = options->at_once < 0 ? options->ramp : options->at_once;

    return all == 0 ? UINT64_MAX : (uint64_t)(all * share) + AT_ONCE_MIN;
}

/* Where a fleet's devices end. Those that stay in an overload have the first thread for themselves:
   what they see of it is not to be what the crowd does to its own threads. */
static uint32_t fleet_end(const struct swarm_options *options, const struct swarm_result *plan,
                          uint32_t fleet)
{
    uint64_t aside = options->mode == SWARM_OVERLOAD ? 1 : 0, settled = options->settled;

    if (fleet < aside)
        return (uint32_t)settled;
    return (uint32_t)(settled +
                      (plan->devices - settled) * (fleet + 1 - aside) / (plan->threads - aside));
}

static int create_fleets(struct swarm *swarm, const struct swarm_result *plan)
{
    uint32_t first = 0, ramping = ramped(swarm->options, plan->devices);

    swarm->fleets = calloc(plan->threads, sizeof *swarm->fleets);
    swarm->threads = calloc(plan->threads, sizeof *swarm->threads);
    if (swarm->fleets == NULL || swarm->threads == NULL) {
        fprintf(stderr, "tollgate-bench: no memory for %u threads\n", plan->threads);
        return EXIT_OS;
    }
    for (uint32_t i = 0; i < plan->threads; i++) {
        uint32_t end = fleet_end(swarm->options, plan, i);
        double share = (double)(end - first) / ramping;
        struct swarm_fleet *fleet = &swarm->fleets[i];

        fleet->options = swarm->options;
        fleet->dialect = swarm->options->dialect;
        fleet->phase = &swarm->phase;
        fleet->tokens = (const char(*)[GW_TOKEN_TEXT_BYTES])swarm->tokens + first;
        fleet->first = first;
        fleet->device_count = end - first;
        fleet->run = plan->run;
        fleet->ledger = swarm->ledger;
        fleet->told = swarm->told;
        fleet->own_descriptors = plan->threads > 1;
        fleet->ramp = swarm->options->ramp * share;
        fleet->at_once = at_once(swarm->options, share);
        fleet->rate = swarm->options->rate * share;
        fleet->churn = plan->churn * share;
        fleet->comes_and_goes =
            swarm_comes_and_goes(swarm->options) && first >= swarm->options->settled;
        fleet->calibrating = fleet->device_count;
        if (swarm->options->mode == SWARM_OVERLOAD)
            fleet->calibrating = (uint32_t)gw_min_u64(
                1 + (CALIBRATING - 1) / gw_max_u64(1, plan->threads - 1), fleet->device_count);
        fleet->revocations = swarm->revocations;
        first = end;
    }
    return 0;
}

static int start_fleets(struct swarm *swarm, uint32_t threads)
{
    for (uint32_t i = 0; i < threads; i++) {
        int err = pthread_create(&swarm->threads[i], NULL, swarm_fleet_run, &swarm->fleets[i]);

        if (err != 0) {
            fprintf(stderr, "tollgate-bench: thread %u of %u: %s\n", i + 1, threads, strerror(err));
            return EXIT_OS;
        }
        swarm->fleet_count++;
    }
    return 0;
}

/* --- while it runs ---------------------------------------------------------------------- */

static void show_progress(struct swarm *swarm, const struct swarm_counts *now, const char *phase)
{
    double per_s = 1000.0 / (TICK_MS * PROGRESS_EVERY_TICKS);

    fprintf(
        stderr,
        "\r\033[K%s %4.0f s  sessions %llu  connecting %llu  logins %.0f/s  updates %.0f/s  "
        "acked %.0f/s  pings %.0f/s  failures %llu",
        phase, (double)gw_ns_between(swarm->start, gw_clock_now()) / 1e9,
        (unsigned long long)gw_counter_read(&now->sessions),
        (unsigned long long)gw_counter_read(&now->connecting),
        per_s *
            (double)(gw_counter_read(&now->logins) - gw_counter_read(&swarm->last_shown.logins)),
        per_s * (double)(gw_counter_read(&now->sent) - gw_counter_read(&swarm->last_shown.sent)),
        per_s * (double)(gw_counter_read(&now->acked) - gw_counter_read(&swarm->last_shown.acked)),
        per_s * (double)(gw_counter_read(&now->pongs) - gw_counter_read(&swarm->last_shown.pongs)),
        (unsigned long long)swarm_failure_count(now));
    swarm->last_shown = *now;
}

static void take_sample(const struct swarm *swarm)
{
    double at_s = (double)gw_ns_between(swarm->start, gw_clock_now()) / (double)GW_NS_PER_S;
    struct swarm_process_usage gateway = {0};
    struct swarm_counts now;

    if (!swarm_timeline_is_due(swarm->timeline, at_s))
        return;
    now = count(swarm);
    if (swarm->gateway_pid != 0 && !swarm_process_read(swarm->gateway_pid, &gateway))
        gateway.rss_bytes = 0;
    swarm_timeline_add(swarm->timeline, &(struct swarm_sample){
                                            .at_s = at_s,
                                            .sessions = gw_counter_read(&now.sessions),
                                            .connecting = gw_counter_read(&now.connecting),
                                            .logins = gw_counter_read(&now.logins),
                                            .sent = gw_counter_read(&now.sent),
                                            .acked = gw_counter_read(&now.acked),
                                            .failed = swarm_failure_count(&now),
                                            .gateway_rss_bytes = gateway.rss_bytes,
                                        });
}

/* Waits a tick. True when the run shall end: a signal came, or every fleet is gone. */
static bool tick(struct swarm *swarm, uint64_t number, const char *phase)
{
    struct timespec wait = {.tv_nsec = TICK_MS * (long)GW_NS_PER_MS};
    bool alive = false;

    take_sample(swarm);
    if (swarm->progress && number % PROGRESS_EVERY_TICKS == 0) {
        struct swarm_counts now = count(swarm);

        show_progress(swarm, &now, phase);
    }
    if (sigtimedwait(&swarm->stop_signals, NULL, &wait) > 0)
        return true;
    for (uint32_t i = 0; i < swarm->fleet_count; i++)
        alive |= !atomic_load(&swarm->fleets[i].ended);
    return !alive;
}

/* Waits until all are up, or until all were started and had one more round, and then until they
   have come to rest. True when a signal ended it. */
static bool ramp_up(struct swarm *swarm, uint32_t devices)
{
    uint64_t round_s = swarm->options->give_up_s + swarm->options->back_off_s;
    struct gw_instant patience = {.ns = UINT64_MAX};
    bool stopped = false;

    if (!swarm_has_ramp(swarm->options))
        return false;
    for (uint64_t number = 0; !stopped; number++) {
        struct swarm_counts now = count(swarm);

        if (gw_counter_read(&now.started) == devices) {
            if (gw_counter_read(&now.sessions) + gw_counter_read(&now.out) == devices ||
                gw_clock_now().ns > patience.ns)
                return false;
            if (patience.ns == UINT64_MAX)
                patience = gw_instant_after(gw_clock_now(), round_s * GW_NS_PER_S);
        }
        stopped = tick(swarm, number, "ramp    ");
    }
    return true;
}

static struct swarm_process_usage look_at_self(void)
{
    struct swarm_process_usage usage = {0};

    return swarm_process_read(getpid(), &usage) ? usage : (struct swarm_process_usage){0};
}

static void watch_gateway(const struct swarm *swarm, struct swarm_process_usage *out, bool *seen)
{
    *seen = *seen && swarm->gateway_pid != 0 && swarm_process_read(swarm->gateway_pid, out);
}

/* With everyone up and nothing to do: what do they cost by being there? */
static void weigh(const struct swarm *swarm, struct swarm_result *out)
{
    struct swarm_counts now = count(swarm);

    out->sessions_idle = gw_counter_read(&now.sessions);
    swarm_slab_read(&out->slab_idle);
    out->own_idle = look_at_self();
    watch_gateway(swarm, &out->gateway_idle, &out->gateway_seen);
}

/* A storm ends when everyone is in, apart from those who were told never to come again; and what is
   to be seen of revocations when each of their devices has been told that. */
static bool is_over(const struct swarm *swarm, uint32_t devices)
{
    struct swarm_revoked revoked;
    struct swarm_counts now;

    if (swarm->options->mode == SWARM_REVOKE)
        return swarm_revocations_count(swarm->revocations, &revoked);
    if (swarm->options->mode != SWARM_STORM)
        return false;
    for (uint32_t i = 0; i < swarm->fleet_count; i++) {
        if (!atomic_load(&swarm->fleets[i].storm_begun))
            return false; /* of a fleet that was up, some are not cut off yet */
    }
    now = count(swarm);
    return gw_counter_read(&now.sessions) + gw_counter_read(&now.out) == devices;
}

static bool settle(struct swarm *swarm)
{
    uint64_t ticks = swarm->options->gateway_pid != 0 ? WEIGHED_TICKS : SETTLE_TICKS;
    bool stopped = false;

    for (uint64_t i = 0; !stopped && i < ticks; i++)
        stopped = tick(swarm, i, "settle  ");
    return stopped;
}

/*
 * Asks for the restart and waits until it is done. Devices are on their own meanwhile: cut off,
 * they try again after their back-off, as in any other storm. The new process's CPU time counts
 * from when it served. False: a signal, or nobody restarts anything.
 */
static bool await_restart(struct swarm *swarm, struct gw_instant end, struct swarm_result *out)
{
    const char *folder = swarm->options->restart;
    const struct gw_instant begin = gw_clock_now();
    uint64_t number = 0;
    pid_t pid;

    if (!swarm_restart_ask(folder)) {
        fprintf(stderr, "tollgate-bench: %s/up: %s\n", folder, strerror(errno));
        return false;
    }
    while ((pid = swarm_restart_answer(folder)) == 0) {
        if (gw_clock_now().ns >= end.ns || tick(swarm, number++, "restart "))
            return false;
    }
    out->away_s = (double)gw_ns_between(begin, gw_clock_now()) / (double)GW_NS_PER_S;
    swarm->gateway_pid = swarm->gateway_pid == 0 ? 0 : pid;
    watch_gateway(swarm, &out->gateway_begin, &out->gateway_seen);
    return true;
}

/* Waits so long; true when the run shall end. */
static bool pass(struct swarm *swarm, uint32_t seconds, const char *phase)
{
    struct gw_instant end = gw_instant_after(gw_clock_now(), seconds * GW_NS_PER_S);
    bool stopped = false;

    for (uint64_t number = 0; !stopped && gw_clock_now().ns < end.ns; number++)
        stopped = tick(swarm, number, phase);
    return stopped;
}

/*
 * How many logins there can be in a second: a few devices log in again and again, none of which
 * waits for long. From that follows the crowd that offers so many times as much: one that is never
 * let in tries every give-up and back-off.
 */
static bool calibrate(struct swarm *swarm, struct swarm_result *out)
{
    const struct swarm_options *options = swarm->options;
    uint32_t most = out->devices - options->settled, round_s;
    struct swarm_counts before, after;
    struct gw_instant begin;
    double wanted;
    bool stopped;

    atomic_store(&swarm->phase, SWARM_CALIBRATING);
    stopped = pass(swarm, WARM_UP_S, "capacity");
    before = count(swarm);
    begin = gw_clock_now();
    stopped = stopped || pass(swarm, CALIBRATE_S, "capacity");
    after = count(swarm);
    out->capacity = (double)(gw_counter_read(&after.logins) - gw_counter_read(&before.logins)) *
                    (double)GW_NS_PER_S / (double)gw_ns_between(begin, gw_clock_now());
    round_s = options->give_up_s + options->back_off_s;
    wanted = options->times * out->capacity * round_s;
    out->crowd = wanted < most ? (uint32_t)wanted : most;
    if (wanted > most)
        fprintf(stderr,
                "tollgate-bench: %.0f devices would be needed for %.1f times %.0f logins/s; there "
                "are %u\n",
                wanted, options->times, out->capacity, most);
    for (uint32_t i = 0; i < swarm->fleet_count; i++)
        if (swarm->fleets[i].comes_and_goes)
            swarm->fleets[i].crowd =
                (uint32_t)((uint64_t)out->crowd * swarm->fleets[i].device_count / most);
    return !stopped;
}

/* The changes of the index; false: the thread could not be started. */
static bool begin_revoking(struct swarm *swarm, pthread_t *thread)
{
    struct gw_instant begin = gw_instant_after(gw_clock_now(), REVOKE_HEAD_START_MS * GW_NS_PER_MS);
    int err;

    swarm_revocations_schedule(swarm->revocations, begin, swarm->options->seconds);
    err = pthread_create(thread, NULL, swarm_revocations_run, swarm->revocations);

    if (err != 0)
        fprintf(stderr, "tollgate-bench: a thread to revoke: %s\n", strerror(err));
    return err == 0;
}

static void end_revoking(struct swarm *swarm, pthread_t thread, struct swarm_result *out)
{
    const struct swarm_revocations *all = swarm->revocations;

    atomic_store(&swarm->revocations->stop, true);
    pthread_join(thread, NULL);
    if (all->error != 0)
        fprintf(stderr, "tollgate-bench: --index %s: %s: %s\n", all->index,
                all->failure == NULL ? "it could not be opened" : all->failure,
                strerror(-all->error));
    (void)swarm_revocations_count(all, &out->revoked);
}

static void measure(struct swarm *swarm, struct swarm_result *out)
{
    bool stopped, revokes = swarm->revocations != NULL;
    double seconds = swarm->options->seconds + (revokes ? REVOKE_PATIENCE_S : 0);
    struct gw_instant begin, end;
    struct swarm_counts at_end;
    uint64_t number = 0;
    pthread_t revoker;

    if (swarm->options->mode == SWARM_OVERLOAD && !calibrate(swarm, out))
        return;
    if (revokes && !begin_revoking(swarm, &revoker))
        return;
    begin = gw_clock_now();
    out->measured_at_s = (double)gw_ns_between(swarm->start, begin) / (double)GW_NS_PER_S;
    out->ramp = count(swarm);
    watch_gateway(swarm, &out->gateway_begin, &out->gateway_seen);
    atomic_store(&swarm->phase, SWARM_MEASURING);
    end.ns = seconds == 0 ? UINT64_MAX : begin.ns + (uint64_t)(seconds * (double)GW_NS_PER_S);
    stopped = swarm->options->restart != NULL && !await_restart(swarm, end, out);
    while (!stopped && gw_clock_now().ns < end.ns && !is_over(swarm, out->devices))
        stopped = tick(swarm, number++, "measure ");
    at_end = count(swarm);
    watch_gateway(swarm, &out->gateway_end, &out->gateway_seen);
    out->measured_s = (double)gw_ns_between(begin, gw_clock_now()) / (double)GW_NS_PER_S;
    out->sessions = gw_counter_read(&at_end.sessions);
    out->measured = at_end;
    take_counts(&out->measured, &out->ramp);
    if (revokes)
        end_revoking(swarm, revoker, out);
    if (swarm->options->mode == SWARM_STORM && !settle(swarm))
        weigh(swarm, out);
}

/* Ends the fleets and adds their results up. */
static int gather(struct swarm *swarm, struct swarm_result *out)
{
    uint32_t link_bytes = 0;
    int err = 0;

    atomic_store(&swarm->phase, SWARM_DRAINING);
    for (uint32_t i = 0; i < swarm->fleet_count; i++) {
        struct swarm_fleet *fleet = &swarm->fleets[i];

        pthread_join(swarm->threads[i], NULL);
        swarm_histogram_merge(&out->ping_us, &fleet->ping_us);
        swarm_histogram_merge(&out->login_us, &fleet->login_us);
        swarm_histogram_merge(&out->late_us, &fleet->late_us);
        link_bytes = (uint32_t)gw_max_u64(link_bytes, fleet->link_bytes);
        if (out->failure[0] == '\0')
            memcpy(out->failure, fleet->failure, sizeof out->failure);
        if (fleet->failed && err == 0) {
            fprintf(stderr, "tollgate-bench: %s\n", fleet->failure);
            err = EXIT_OS;
        }
    }
    out->total = count(swarm);
    out->device_bytes = (uint32_t)(sizeof(struct swarm_device) + GW_TOKEN_TEXT_BYTES + link_bytes);
    if (swarm->progress)
        fputs("\r\033[K", stderr);
    return err;
}

static int close_file(const char *path, FILE **file)
{
    bool broken = *file != NULL && ferror(*file) != 0;

    if (*file != NULL && fclose(*file) != 0)
        broken = true;
    *file = NULL;
    if (!broken)
        return 0;
    fprintf(stderr, "tollgate-bench: %s could not be written whole\n", path);
    return EXIT_CANT_CREATE;
}

static int close_files(struct swarm *swarm)
{
    int ledger = close_file(swarm->options->ledger, &swarm->ledger);
    int told = close_file(swarm->options->told, &swarm->told);

    return ledger != 0 ? ledger : told;
}

/* What depends on how many devices there are. */
static int fit(struct swarm *swarm, struct swarm_options *options, struct swarm_result *out)
{
    uint32_t devices = out->devices, aside = 0;
    int err;

    if (options->mode == SWARM_REVOKE) {
        if (options->revoke >= devices / REVOKED_PART_MIN) {
            fprintf(stderr, "tollgate-bench: --revoke %u is not less than a tenth of %u devices\n",
                    options->revoke, devices);
            return EXIT_USAGE;
        }
        if (!swarm_revocations_create(options->revoke, devices, options->index,
                                      &swarm->revocations)) {
            fprintf(stderr, "tollgate-bench: no memory for %u revocations\n", options->revoke);
            return EXIT_OS;
        }
    }
    if (options->mode == SWARM_OVERLOAD) {
        if (options->settled == 0)
            options->settled = 1 + devices / SETTLED_PART;
        if (options->settled >= devices) {
            fprintf(stderr, "tollgate-bench: --settled %u of %u devices leaves none to log in\n",
                    options->settled, devices);
            return EXIT_USAGE;
        }
        aside = options->settled;
    }
    err = swarm_threads_plan(options, devices - aside, &out->threads);
    out->threads += aside > 0;
    return err;
}

static int plan(struct swarm *swarm, struct swarm_options *options, struct swarm_result *out)
{
    int err;

    *out = (struct swarm_result){.devices = options->devices, .gateway_seen = true};
    out->own_before = look_at_self();
    if ((err = swarm_tokens_read(options->tokens, &out->devices, &swarm->tokens)) != 0 ||
        (err = fit(swarm, options, out)) != 0)
        return err;
    if (getrandom(&out->run, sizeof out->run, 0) != sizeof out->run)
        return EXIT_OS;
    out->sources =
        options->sources != 0 ? options->sources : 1 + (out->devices - 1) / PORTS_PER_SOURCE;
    if (options->address.ss_family != AF_INET || options->allow_remote)
        out->sources = 1;
    if (options->gateway_pid != 0 &&
        !swarm_process_read(options->gateway_pid, &out->gateway_before)) {
        fprintf(stderr, "tollgate-bench: --gateway-pid %d: no such process\n",
                (int)options->gateway_pid);
        return EXIT_USAGE;
    }
    swarm_slab_read(&out->slab_before);
    return open_files(swarm, out->run, out->devices);
}

int swarm_run(const struct swarm_options *asked, struct swarm_result *out)
{
    struct swarm_options options = *asked;
    struct swarm swarm = {
        .options = &options, .timeline = &out->timeline, .gateway_pid = options.gateway_pid};
    int err = plan(&swarm, &options, out), end;
    bool stopped = false;

    options.sources = out->sources;
    if (options.mode == SWARM_MIXED) {
        options.rate =
            out->devices / (options.interval_s >= 0 ? options.interval_s : (double)INTERVAL_S);
        options.churn = options.churn >= 0 ? options.churn : (double)out->devices / CHURN_S;
    }
    out->rate = options.rate;
    out->churn = options.mode == SWARM_MIXED ? options.churn : 0;
    swarm_machine_read(&out->machine);
    if (err == 0)
        err = create_fleets(&swarm, out);
    if (err == 0) {
        sigemptyset(&swarm.stop_signals);
        sigaddset(&swarm.stop_signals, SIGINT);
        sigaddset(&swarm.stop_signals, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &swarm.stop_signals, NULL);
        swarm.progress = !options.quiet && isatty(STDERR_FILENO);
        swarm.start = gw_clock_now();
        err = start_fleets(&swarm, out->threads);
        if (err == 0 && !ramp_up(&swarm, ramped(&options, out->devices))) {
            out->ramp_s = (double)gw_ns_between(swarm.start, gw_clock_now()) / (double)GW_NS_PER_S;
            if (swarm_has_ramp(&options)) {
                watch_gateway(&swarm, &out->gateway_up, &out->gateway_seen);
                stopped = settle(&swarm);
                weigh(&swarm, out);
            }
            if (!stopped)
                measure(&swarm, out);
        }
        end = gather(&swarm, out);
        err = err == 0 ? end : err;
    }
    end = close_files(&swarm);
    free(swarm.fleets);
    free(swarm.threads);
    free(swarm.tokens);
    swarm_revocations_destroy(swarm.revocations);
    return err == 0 ? end : err;
}
