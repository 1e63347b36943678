/*
 * Asks a question: a server and a client process for each way, slices in turn, figures out of what
 * the processes counted and out of the server's own CPU clock.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "ways.h"

enum {
    WARM_MS = 100,
    READY_S_MAX = 60,
    SETTLE_MS = 400,
    ROUND_STEP = 7,
    CHILD_PRIORITY = 1,
    OWN_PRIORITY = 2, /* a client never sleeps: on its core we would not wake before it ends */
};

#define REHEARSAL_S 0.1

struct pair {
    struct ways_board *board;
    pid_t server, client;
    int control;
};

/* What is read before and after a slice. */
struct reading {
    uint64_t cpu_ns, wall_ns, messages, enters, sleeps, sent, skipped;
};

static void sleep_ms(uint64_t ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}

/* ---- processes ---- */

/* The number-th core that we may use; -1: there are fewer. */
static int core_at(int number)
{
    cpu_set_t cpus;

    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &cpus) && number-- == 0)
            return cpu;
    return -1;
}

bool ways_have_cores(void)
{
    return core_at(1) >= 0;
}

/* Before all that is not of real time, if we may: else whoever is beside us is measured too. */
static void run_before_others(int priority)
{
    (void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = priority});
}

/* A child that ends with us, on its own core, with all the descriptors it may have. */
static pid_t start_child(int number, unsigned seconds_max)
{
    pid_t parent = getpid(), child = fork();
    cpu_set_t cpus;

    if (child != 0)
        return child;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    (void)alarm(seconds_max);
    CPU_ZERO(&cpus);
    CPU_SET(core_at(number), &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
        _exit(1);
    run_before_others(CHILD_PRIORITY);
    return 0;
}

static void end_pair(struct pair *pair)
{
    if (pair->control >= 0) { /* shut, as later clients have the descriptor too */
        (void)shutdown(pair->control, SHUT_RDWR);
        (void)close(pair->control);
    }
    if (pair->client > 0)
        (void)waitpid(pair->client, NULL, 0);
    if (pair->server > 0) {
        (void)kill(pair->server, SIGKILL);
        (void)waitpid(pair->server, NULL, 0);
    }
    if (pair->board != NULL)
        (void)munmap(pair->board, sizeof *pair->board);
    *pair = (struct pair){.control = -1};
}

static bool has_ended(pid_t *child)
{
    if (waitpid(*child, NULL, WNOHANG) != *child)
        return false;
    *child = 0;
    return true;
}

/* More than any question takes: the end of a child that nobody ends. */
static unsigned life_s_max(const struct ways_options *options)
{
    return 2 * READY_S_MAX +
           (unsigned)(2 * WAYS_PER_QUESTION_MAX * (options->rounds + 1) * (options->seconds + 1));
}

/* 0, -ECANCELED when the way is refused, or -errno. */
static int start_pair(struct pair *pair, const struct ways_way *way, const struct ways_load *load,
                      const struct ways_options *options)
{
    unsigned seconds_max = life_s_max(options);
    int ends[2];

    *pair = (struct pair){.control = -1};
    pair->board =
        mmap(NULL, sizeof *pair->board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pair->board == MAP_FAILED) {
        pair->board = NULL;
        return -ENOMEM;
    }
    if ((pair->server = start_child(0, seconds_max)) == 0)
        ways_serve(way, load, pair->board);
    while (pair->server > 0 && atomic_load(&pair->board->port) == 0) {
        if (has_ended(&pair->server))
            return atomic_load(&pair->board->refused) ? -ECANCELED : -ECHILD;
        sleep_ms(1);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    pair->control = ends[0];
    if ((pair->client = start_child(1, seconds_max)) == 0) {
        (void)close(ends[0]);
        ways_load(load, pair->board, ends[1]);
    }
    (void)close(ends[1]);
    for (uint32_t ms = 0; atomic_load(&pair->board->connected) < load->connections ||
                          atomic_load(&pair->board->armed) < load->connections;
         ms++) {
        if (has_ended(&pair->server) || has_ended(&pair->client))
            return atomic_load(&pair->board->refused) ? -ECANCELED : -ECHILD;
        if (ms > READY_S_MAX * 1000)
            return -ETIMEDOUT;
        sleep_ms(1);
    }
    return 0;
}

/* ---- readings ---- */

static uint64_t cpu_of(pid_t pid)
{
    struct timespec time;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
        return 0;
    return (uint64_t)time.tv_sec * GW_NS_PER_S + (uint64_t)time.tv_nsec;
}

static uint64_t sleeps_of(pid_t pid)
{
    unsigned long long sleeps = 0;
    char path[64], line[256];
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if ((file = fopen(path, "re")) == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &sleeps) == 1)
            break;
    (void)fclose(file);
    return sleeps;
}

static struct reading read_pair(const struct pair *pair)
{
    return (struct reading){
        .sleeps = sleeps_of(pair->server),
        .messages = atomic_load(&pair->board->messages),
        .enters = atomic_load(&pair->board->enters),
        .sent = atomic_load(&pair->board->sent),
        .skipped = atomic_load(&pair->board->skipped),
        .cpu_ns = cpu_of(pair->server),
        .wall_ns = gw_clock_now().ns,
    };
}

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static int run_slice(struct pair *pair, const struct ways_load *load, double seconds,
                     double out[WAYS_FIGURE_COUNT])
{
    struct ways_board *board = pair->board;
    const struct swarm_histogram *times = load->echo ? &board->answer : &board->delay;
    struct reading before, after;
    char byte = 0;

    board->answer = board->delay = (struct swarm_histogram){0};
    atomic_store(&board->sending, true);
    if (send(pair->control, &byte, 1, MSG_NOSIGNAL) != 1)
        return -errno;
    sleep_ms(WARM_MS);
    atomic_store(&board->measuring, true);
    before = read_pair(pair);
    sleep_ms((uint64_t)(seconds * 1000));
    after = read_pair(pair);
    atomic_store(&board->measuring, false);
    atomic_store(&board->sending, false);
    if (read(pair->control, &byte, 1) != 1)
        return -ECHILD;
    uint64_t messages = after.messages - before.messages;
    uint64_t cpu_ns = after.cpu_ns - before.cpu_ns, wall_ns = after.wall_ns - before.wall_ns;
    uint64_t skipped = after.skipped - before.skipped;

    out[WAYS_FIGURE_cpu_us] = share(cpu_ns, messages * GW_NS_PER_US);
    out[WAYS_FIGURE_busy_percent] = share(cpu_ns * 100, wall_ns);
    out[WAYS_FIGURE_messages_per_enter] = share(messages, after.enters - before.enters);
    out[WAYS_FIGURE_sleeps_per_message] = share(after.sleeps - before.sleeps, messages);
    out[WAYS_FIGURE_p50_us] = (double)swarm_histogram_at(times, 0.5);
    out[WAYS_FIGURE_p99_us] = (double)swarm_histogram_at(times, 0.99);
    out[WAYS_FIGURE_messages_per_s] = share(messages * GW_NS_PER_S, wall_ns);
    out[WAYS_FIGURE_skipped_percent] = share(skipped * 100, skipped + after.sent - before.sent);
    return messages > 0 ? 0 : -ENODATA;
}

/* ---- questions ---- */

static void refuse(struct ways_result *result, const char *why)
{
    (void)snprintf(result->why, sizeof result->why, "%s", why);
    result->refused = true;
}

/* A round over all ways that were not refused. Each begins elsewhere and every other one goes
   backwards, so that nobody keeps his place or his neighbour. */
static int run_round(const struct ways_question *question, uint32_t round, double seconds,
                     struct ways_result *results, struct pair *pairs, bool rehearsal)
{
    uint32_t into = rehearsal ? 0 : round;

    for (uint32_t i = 0; i < question->way_count; i++) {
        uint32_t at = (i + round * ROUND_STEP) % question->way_count;
        uint32_t w = round % 2 == 0 ? at : question->way_count - 1 - at;
        struct ways_result *result = &results[w];
        int err;

        if (result->refused)
            continue;
        err = run_slice(&pairs[w], &question->load, seconds, result->slices[into]);
        if (err != 0 && atomic_load(&pairs[w].board->refused))
            refuse(result, pairs[w].board->why);
        else if (err == -ENODATA && !rehearsal)
            refuse(result, "not a message was taken in a slice");
        else if (err != 0 && err != -ENODATA)
            return err;
    }
    return 0;
}

static int ask_time(const struct ways_question *question, const struct ways_options *options,
                    struct ways_result *results, struct pair *pairs)
{
    int err;

    for (uint32_t w = 0; w < question->way_count; w++) {
        err = start_pair(&pairs[w], &question->ways[w], &question->load, options);
        if (err == -ECANCELED)
            refuse(&results[w], pairs[w].board->why);
        else if (err != 0)
            return err;
    }
    /* Once for nothing: the first bytes of a connection are dearer than all that follow. */
    if ((err = run_round(question, 0, REHEARSAL_S, results, pairs, true)) != 0)
        return err;
    for (uint32_t round = 0; round < options->rounds; round++)
        if ((err = run_round(question, round, options->seconds, results, pairs, false)) != 0)
            return err;
    for (uint32_t w = 0; w < question->way_count; w++)
        results[w].rearms = results[w].refused ? 0 : atomic_load(&pairs[w].board->rearms);
    return 0;
}

/* What the slabs grow by while a pair of one way comes up, for a connection. */
static int weigh(const struct ways_way *way, const struct ways_load *load,
                 const struct ways_options *options, double *bytes)
{
    struct swarm_slab before, after;
    struct pair pair;
    double noise;
    int err;

    sleep_ms(SETTLE_MS); /* what the last one held comes back with a delay */
    swarm_slab_read(&before);
    if ((err = start_pair(&pair, way, load, options)) == 0) {
        sleep_ms(SETTLE_MS);
        swarm_slab_read(&after);
        *bytes = swarm_slab_growth(&before, &after, 2 * (uint64_t)load->connections, &noise) /
                 load->connections;
    }
    end_pair(&pair);
    return err == -ECANCELED ? -EOPNOTSUPP : err;
}

/*
 * Slabs that others left half empty would be filled first and hide what a connection takes. So one
 * pair of each way is there all the time, and what is weighed comes on top of them.
 */
static int ask_memory(const struct ways_question *question, const struct ways_options *options,
                      struct ways_result *results, struct pair *ballast)
{
    int err = 0;

    for (uint32_t w = 0; w < question->way_count && err == 0; w++)
        err = start_pair(&ballast[w], &question->ways[w], &question->load, options);
    for (uint32_t round = 0; round < options->rounds; round++)
        for (uint32_t w = 0; w < question->way_count && err == 0; w++)
            err = weigh(&question->ways[w], &question->load, options,
                        &results[w].slices[round][WAYS_FIGURE_kernel_bytes]);
    return err;
}

int ways_ask(const struct ways_question *question, const struct ways_options *options,
             struct ways_result *results)
{
    struct pair *pairs = calloc(question->way_count, sizeof *pairs);
    int err;

    if (pairs == NULL)
        return -ENOMEM;
    for (uint32_t w = 0; w < question->way_count; w++) {
        results[w] = (struct ways_result){.way = &question->ways[w]};
        pairs[w].control = -1;
    }
    run_before_others(OWN_PRIORITY);
    err = question->memory ? ask_memory(question, options, results, pairs)
                           : ask_time(question, options, results, pairs);
    for (uint32_t w = 0; w < question->way_count; w++)
        end_pair(&pairs[w]);
    free(pairs);
    return err;
}
