/*
 * sim [--seeds N] [--from SEED] [--seed S] [--list FILE] [--steps N] [--twice]
 *
 * Runs the gateway's own code on a pretend kernel and a pretend disk, one run a seed. A run that
 * breaks an invariant aborts and names its seed.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/clock.h>
#include <gw/base/log.h>

#include "world.h"

enum {
    STEPS = 250,
    STEPS_PER_S_MIN = 20, /* of CPU, under a sanitizer; what takes longer has no end */
    MAPPED_BYTES_MIN = 32 << 20,
    TRIMMED_BYTES_MIN = 256 << 20,
};

struct plan {
    uint64_t from, count;
    uint32_t steps;
    bool twice;
    const char *list; /* of seeds, one a line, each with what it is for */
};

static void remove_index(const char *path)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "pepper"};
    char file[256];

    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]);
        (void)unlink(file);
    }
    (void)rmdir(path);
}

/* A broken invariant aborts; this names the run to repeat. */
static volatile uint64_t current_seed;

static void on_abort(int signal_number)
{
    static const char text[] = "repeat with: sim --seed ";
    char digits[24];
    size_t at = sizeof digits;
    uint64_t seed = current_seed;

    (void)signal_number; /* nothing here that is not safe in a handler */
    digits[--at] = '\n';
    do
        digits[--at] = (char)('0' + seed % 10);
    while ((seed /= 10) != 0);
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0 ||
        write(STDERR_FILENO, digits + at, sizeof digits - at) < 0)
        _exit(2);
}

static void on_no_end(int signal_number)
{
    static const char text[] = "assertion failed: the run comes to an end\n";

    (void)signal_number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    abort();
}

/* In time of our own, so that a machine with other work to do changes nothing. */
static void end_within(long s)
{
    const struct itimerval limit = {.it_value = {.tv_sec = s}};
    int err = setitimer(ITIMER_PROF, &limit, NULL);

    gw_assert(err == 0);
}

static void add(struct world_result *total, const struct world_result *result)
{
    /* Counters, every one of them. */
    const uint64_t *from = (const uint64_t *)result;
    uint64_t *to = (uint64_t *)total;

    _Static_assert(sizeof *total % sizeof *to == 0, "nothing but counters");
    for (size_t i = 0; i < sizeof *total / sizeof *to; i++)
        to[i] += from[i];
}

static bool run_seed(uint64_t seed, const struct plan *plan, struct registry *registry,
                     struct world_result *total)
{
    current_seed = seed;
    end_within(1 + plan->steps / STEPS_PER_S_MIN);
    struct world_result result = world_run(seed, plan->steps, registry);

    if (plan->twice && world_run(seed, plan->steps, registry).trace != result.trace) {
        fprintf(stderr, "sim: seed %" PRIu64 " ran differently the second time\n", seed);
        return false;
    }
    if (plan->count == 1)
        printf("seed %" PRIu64 ": trace %016" PRIx64 "\n", seed, result.trace);
    add(total, &result);
    return true;
}

/* Seeds of a file: a line begins with its seed, or with '#'. */
static bool run_list(const struct plan *plan, struct registry *registry, struct world_result *total,
                     uint64_t *count)
{
    FILE *file = fopen(plan->list, "r");
    char line[256];
    bool fine = file != NULL;

    if (!fine)
        perror(plan->list);
    while (fine && fgets(line, sizeof line, file) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);

        if (end == line)
            continue;
        fine = run_seed(seed, plan, registry, total);
        ++*count;
    }
    if (file != NULL)
        (void)fclose(file);
    return fine;
}

static double seconds_now(void)
{
    struct timespec now; /* gw_clock_now is the simulation's */

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void tell(const struct world_result *total, uint64_t count, double seconds)
{
    const struct life_counts *life = &total->life;

    printf("%" PRIu64 " seeds in %.1f s: %" PRIu64 " steps, %" PRIu64 " completions, %" PRIu64
           " faults\n"
           "  gateways: %" PRIu64 " begun, %" PRIu64 " killed, %" PRIu64 " without power, %" PRIu64
           " times not begun at once\n"
           "  devices: %" PRIu64 " logins, %" PRIu64 " takeovers, %" PRIu64
           " frames from others, %" PRIu64 " over HTTP, %" PRIu64 " from the operator, %" PRIu64
           " values asked for\n"
           "  tokens: %" PRIu64 " changes, %" PRIu64 " sessions ended by them\n"
           "  readers: %" PRIu64 " updates read, %" PRIu64 " times some were gone\n"
           "  updates: %" PRIu64 " durable, %" PRIu64 " acknowledged, %" PRIu64
           " lost with their connections; %" PRIu64 " HTTP requests\n",
           count, seconds, total->steps, total->completions, total->faults, life->lives,
           life->kills, life->power_cuts, life->starts_refused, life->logins, life->takeovers,
           total->bridged, total->forwarded, total->told, total->synced, total->changes,
           life->revocations, total->read, total->gaps, total->durable, total->acknowledged,
           total->lost, life->requests);
}

/* A simulation in which nothing happens proves nothing. */
static bool something_happened(const struct world_result *total)
{
    return total->acknowledged > 0 && total->life.logins > 0 && total->life.requests > 0 &&
           total->synced > 0 && total->life.revocations > 0;
}

static int run(const struct plan *plan, struct registry *registry)
{
    struct world_result total = {.trace = 0};
    double start = seconds_now();
    uint64_t count = 0;
    bool fine = true;

    if (plan->list != NULL) {
        fine = run_list(plan, registry, &total, &count);
    } else {
        while (fine && count < plan->count)
            fine = run_seed(plan->from + count++, plan, registry, &total);
    }
    if (!fine)
        return 1;
    tell(&total, count, seconds_now() - start);
    return count < 20 || something_happened(&total) ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"steps", required_argument, NULL, 'p'},
                                            {"list", required_argument, NULL, 'l'},
                                            {"twice", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    struct plan plan = {.from = 1, .count = 100, .steps = STEPS};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            plan.count = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            plan.from = strtoull(optarg, NULL, 10);
            break;
        case 's':
            plan.from = strtoull(optarg, NULL, 10);
            plan.count = 1;
            break;
        case 'p':
            plan.steps = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            plan.list = optarg;
            break;
        case 't':
            plan.twice = true;
            break;
        default:
            fprintf(stderr, "usage: sim [--seeds N] [--from SEED] [--seed S] [--list FILE] "
                            "[--steps N] [--twice]\n");
            return 2;
        }
    }
    static struct registry registry;
    (void)signal(SIGABRT, on_abort);
    (void)signal(SIGPROF, on_no_end);
    /* A world is made and unmade some hundred times a second: its memory stays with us. That is for
       speed alone, and allocators of sanitizers know nothing of it. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    (void)mallopt(M_TRIM_THRESHOLD, TRIMMED_BYTES_MIN);
    char path[] = "/tmp/tollgate-sim-XXXXXX";

    gw_log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), GW_LOG_LOGFMT, GW_LOG_ERROR);
    if (mkdtemp(path) == NULL)
        return 1;
    int code = registry_make(&registry, path) ? run(&plan, &registry) : 1;

    registry_close(&registry);
    remove_index(path);
    return code;
}
