/*
 * tollgate-bench: the subcommands.
 */
#include <stdio.h>
#include <string.h>

#include "swarm.h"

static int run(int argc, char **argv)
{
    static struct swarm_result result; /* with its histograms too large for a stack */
    struct swarm_options options;
    int err = swarm_options_parse(argc, argv, &options);

    if (err != 0)
        return err < 0 ? 0 : err;
    err = swarm_run(&options, &result);
    if (err != 0)
        return err;
    if (options.json == NULL || strcmp(options.json, "-") != 0)
        swarm_report_text(&options, &result);
    if (options.json != NULL)
        err = swarm_report_json(&options, &result);
    if (err == 0 && gw_counter_read(&result.total.logins) == 0)
        err = 1; /* nothing was measured */
    if (err == 0 && result.revoked.committed - result.revoked.left < result.revoked.asked)
        err = 1; /* who lost its token is still there, or none was taken away */
    return err;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "hold") == 0 || strcmp(command, "publish") == 0 ||
        strcmp(command, "login") == 0 || strcmp(command, "storm") == 0 ||
        strcmp(command, "mixed") == 0 || strcmp(command, "revoke") == 0 ||
        strcmp(command, "overload") == 0)
        return run(argc - 1, argv + 1);
    if (strcmp(command, "verify") == 0)
        return swarm_verify(argc - 1, argv + 1);
    if (strcmp(command, "handshake") == 0)
        return swarm_handshake(argc - 1, argv + 1);
    if (strcmp(command, "compare") == 0)
        return swarm_compare(argc - 1, argv + 1);
    if (strcmp(command, "plot") == 0)
        return swarm_plot(argc - 1, argv + 1);
    if (strcmp(command, "--help") == 0 || strcmp(command, "help") == 0) {
        swarm_usage(false);
        return 0;
    }
    if (argc > 1)
        fprintf(stderr, "tollgate-bench: no command \"%s\"\n\n", command);
    swarm_usage(true);
    return 64;
}
