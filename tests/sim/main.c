/*
 * sim [--seeds N] [--from SEED] [--seed S] [--twice]
 *
 * Runs the gateway's own code on a pretend kernel and a pretend disk, one run a seed. A run that
 * breaks an invariant aborts and names its seed.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/clock.h>
#include <gw/base/log.h>
#include <gw/token/writer.h>
#include <gw/wire/token_text.h>

#include "world.h"

/* An index of TOKENS_MAX devices on the real disk: runs only read it. */
static struct gw_index *make_index(const char *path, struct world_tokens *tokens)
{
    struct gw_index_create_options create = {.path = path};
    struct gw_index_options open = {.path = path};
    struct gw_product_spec products[] = {
        {.id = gw_bytes_text("TMPLfree"), .flags = GW_PRODUCT_PLAIN_ALLOWED},
        {.id = gw_bytes_text("TMPLtold"),
         .flags = GW_PRODUCT_PLAIN_ALLOWED | GW_PRODUCT_INFO_REQUIRED},
    };
    struct gw_index_writer *writer = NULL;
    struct gw_index *index = NULL;
    uint32_t org, numbers[2];
    const char *why = "";
    struct chance chance = {.state = 99};

    if (gw_index_create(&create, &why) != 0 ||
        gw_index_writer_open(path, NULL, &writer, &why) != 0 || gw_index_begin(writer) != 0 ||
        gw_index_org_add(writer, gw_bytes_text("sim"), &org) != 0)
        goto fail;
    for (size_t i = 0; i < 2; i++) {
        products[i].org = org;
        if (gw_index_product_add(writer, &products[i], &numbers[i]) != 0)
            goto fail;
    }
    tokens->count = TOKENS_MAX;
    for (uint32_t i = 0; i <= TOKENS_MAX; i++) {
        uint8_t token[GW_TOKEN_BYTES];
        struct gw_device_spec device = {.product = numbers[i % 2], .token = token};
        uint32_t device_number;

        for (size_t b = 0; b < sizeof token; b++)
            token[b] = (uint8_t)chance_below(&chance, 256);
        gw_token_to_text(token, tokens->text[i]);
        if (i < TOKENS_MAX && gw_index_device_add(writer, &device, &device_number) != 0)
            goto fail;
    }
    if (gw_index_commit(writer) != 0)
        goto fail;
    gw_index_writer_close(writer);
    writer = NULL;
    if (gw_index_open(&open, &index, &why) == 0)
        return index;
fail:
    fprintf(stderr, "sim: index %s: %s\n", path, why);
    gw_index_writer_close(writer);
    return NULL;
}

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

static int run(uint64_t from, uint64_t count, bool twice, struct gw_index *index,
               const struct world_tokens *tokens)
{
    struct world_result total = {0};
    struct gw_instant start = gw_clock_now();

    for (uint64_t seed = from; seed < from + count; seed++) {
        current_seed = seed;
        struct world_result result = world_run(seed, index, tokens);

        if (twice && world_run(seed, index, tokens).trace != result.trace) {
            fprintf(stderr, "\nsim: seed %" PRIu64 " ran differently the second time\n", seed);
            return 1;
        }
        total.completions += result.completions;
        total.updates_acked += result.updates_acked;
        total.updates_durable += result.updates_durable;
        total.logins += result.logins;
        total.takeovers += result.takeovers;
        total.faults += result.faults;
        total.bridged += result.bridged;
        total.websockets += result.websockets;
    }
    double seconds = (double)gw_ns_between(start, gw_clock_now()) / 1e9;

    printf("%" PRIu64 " seeds in %.1f s: %" PRIu64 " completions, %" PRIu64 " logins, %" PRIu64
           " takeovers, %" PRIu64 " updates acknowledged, %" PRIu64 " durable, %" PRIu64
           " frames from device to device, %" PRIu64 " WebSockets, %" PRIu64 " faults\n",
           count, seconds, total.completions, total.logins, total.takeovers, total.updates_acked,
           total.updates_durable, total.bridged, total.websockets, total.faults);
    /* A simulation in which nothing happens proves nothing. */
    return total.logins > 0 && total.updates_acked > 0 && total.takeovers > 0 &&
                   total.bridged > 0 && total.websockets > 0
               ? 0
               : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"twice", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    uint64_t from = 1, count = 100;
    bool twice = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            count = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            from = strtoull(optarg, NULL, 10);
            break;
        case 's':
            from = strtoull(optarg, NULL, 10);
            count = 1;
            break;
        case 't':
            twice = true;
            break;
        default:
            fprintf(stderr, "usage: sim [--seeds N] [--from SEED] [--seed S] [--twice]\n");
            return 2;
        }
    }
    static struct world_tokens tokens;
    (void)signal(SIGABRT, on_abort);
    char path[] = "/tmp/tollgate-sim-XXXXXX";

    gw_log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), GW_LOG_LOGFMT, GW_LOG_ERROR);
    if (mkdtemp(path) == NULL)
        return 1;
    struct gw_index *index = make_index(path, &tokens);
    int code = index == NULL ? 1 : run(from, count, twice, index, &tokens);

    gw_index_close(index);
    remove_index(path);
    return code;
}
