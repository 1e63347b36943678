/*
 * The command line of tollgate.
 */
#include "gateway_internal.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <gw/base/log.h>
#include <gw/crypto/crypto.h>

static const char usage[] =
    "usage: tollgate --config FILE          run the gateway\n"
    "       tollgate --config FILE -t       check the configuration, certificates and limits\n"
    "       tollgate [--config FILE] --dump-config\n"
    "                                       every parameter with its value, as a file\n"
    "       tollgate [--config FILE] --probe\n"
    "                                       what this kernel offers, and what is used\n"
    "       tollgate --manual               the parameters as a manual page (Markdown)\n"
    "       tollgate --version\n"
    "\n"
    "SIGTERM stops it: what was received becomes durable, then devices are closed.\n"
    "SIGHUP reads certificates and ticket keys again, and has the audit log made anew.\n"
    "Exit codes: 0 ended as asked, 2 usage, 69 kernel or index missing, 71 system,\n"
    "75 another gateway has the log or the port, 77 permission, 78 configuration.\n";

static const char see_help[] = "'tollgate --help' says how it is called.\n";

static void print_version(void)
{
    struct utsname host;

    printf("tollgate %s\n", GW_VERSION);
    printf("  %s\n", gw_crypto_version());
    printf("  %s\n", gw_ring_library_version());
    printf("  LMDB %s\n", GW_LMDB_VERSION);
    if (uname(&host) == 0)
        printf("  %s %s %s\n", host.sysname, host.release, host.machine);
}

static int print_probe(const struct gw_config *config)
{
    struct gw_ring_probe_row rows[32];
    struct gw_ring_options ring = plan_ring(config);
    size_t count = gw_ring_probe(ring.disabled, rows, GW_ARRAY_COUNT(rows));
    int code = EXIT_OK;

    printf("%-36s %-7s %-8s %-5s %s\n", "feature", "kernel", "present", "used", "without it");
    for (size_t i = 0; i < count; i++) {
        printf("%-36s %-7s %-8s %-5s %s\n", rows[i].feature, rows[i].since,
               rows[i].present ? "yes" : "no", rows[i].used && rows[i].present ? "yes" : "no",
               rows[i].required ? "the gateway does not run" : rows[i].fallback);
        if (rows[i].required && !rows[i].present)
            code = EXIT_UNAVAILABLE;
    }
    if (code != EXIT_OK) {
        struct gw_ring *made;
        char why[WHY_BYTES];

        if (gw_ring_create(&ring, &made, why, sizeof why) != 0)
            fprintf(stderr, "tollgate: %s\n", why);
        else
            gw_ring_destroy(made);
    }
    return code;
}

/* What -t looks at beyond the file: limits and certificates. Nothing is changed. */
static int check(const struct gw_config *config, const char *path)
{
    struct plan plan;
    struct gw_tls_context *tls = NULL;
    struct gw_tls_leaf rsa, ec;
    struct gw_ticket_keys *ticket_keys = NULL;
    char why[WHY_BYTES];
    int code = plan_make(config, &plan, why);

    if (code != EXIT_OK)
        fprintf(stderr, "tollgate: %s\n", why);
    if (tickets_create(config, &ticket_keys, why) != EXIT_OK) {
        fprintf(stderr, "tollgate: %s\n", why);
        code = EXIT_CONFIG;
    }
    if (gateway_has_tls(config) &&
        gateway_tls_create(config, ticket_keys, &tls, 1, why) != EXIT_OK) {
        fprintf(stderr, "tollgate: %s\n", why);
        code = EXIT_CONFIG;
    }
    if (tls != NULL) {
        gw_tls_context_leaves(tls, &rsa, &ec);
        if (!gw_tls_leaves_fit(&rsa, &ec, why, sizeof why))
            fprintf(stderr, "tollgate: warning: %s\n", why);
    }
    gw_tls_context_destroy(tls);
    gw_ticket_keys_release(ticket_keys);
    if (code == EXIT_OK)
        printf("%s: fine: %u shards, %llu sessions, %llu MiB in pools\n", path, plan.shards,
               (unsigned long long)plan.sessions, (unsigned long long)(plan.total_bytes >> 20));
    return code == EXIT_OK ? EXIT_OK : EXIT_CONFIG;
}

static int load(const char *path, struct gw_config *config)
{
    static struct gw_config_errors errors; /* 24 KiB: not for the stack */
    int err = gw_config_load(path, config, &errors);

    for (uint32_t i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.rows[i].text);
    if (errors.left_out > 0)
        fprintf(stderr, "and %u more errors\n", errors.left_out);
    return err == 0 ? EXIT_OK : EXIT_CONFIG;
}

enum action { ACTION_RUN, ACTION_CHECK, ACTION_DUMP, ACTION_PROBE, ACTION_MANUAL };

static int act(enum action action, const char *path)
{
    struct gw_config config = {0};
    int code;

    if (action == ACTION_MANUAL) {
        gw_config_manual(stdout);
        return EXIT_OK;
    }
    if (path == NULL && (action == ACTION_RUN || action == ACTION_CHECK)) {
        fprintf(stderr, "tollgate: --config FILE is missing\n%s", see_help);
        return EXIT_USAGE;
    }
    if (path == NULL)
        code = gw_config_default(&config) == 0 ? EXIT_OK : EXIT_SYSTEM;
    else
        code = load(path, &config);
    if (code != EXIT_OK)
        return code;
    switch (action) {
    case ACTION_RUN:
        gw_log_init(STDERR_FILENO, config.log_format, config.log_level);
        gw_log(GW_LOG_INFO, "start", GW_TEXT("version", GW_VERSION),
               GW_TEXT("tls", gw_crypto_version()), GW_TEXT("config", path));
        code = gateway_run(&config);
        break;
    case ACTION_CHECK:
        code = check(&config, path);
        break;
    case ACTION_DUMP:
        gw_config_dump(&config, stdout);
        break;
    case ACTION_PROBE:
        code = print_probe(&config);
        break;
    case ACTION_MANUAL:
        break;
    }
    gw_config_free(&config);
    return code;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},
        {"dump-config", no_argument, NULL, 'd'},  {"probe", no_argument, NULL, 'p'},
        {"manual", no_argument, NULL, 'm'},       {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    enum action action = ACTION_RUN;
    const char *path = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "c:th", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 't':
            action = ACTION_CHECK;
            break;
        case 'd':
            action = ACTION_DUMP;
            break;
        case 'p':
            action = ACTION_PROBE;
            break;
        case 'm':
            action = ACTION_MANUAL;
            break;
        case 'V':
            print_version();
            return EXIT_OK;
        case 'h':
            fputs(usage, stdout);
            return EXIT_OK;
        default:
            fputs(see_help, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "tollgate: unexpected argument: %s\n%s", argv[optind], see_help);
        return EXIT_USAGE;
    }
    int code = act(action, path);

    if (fflush(stdout) != 0 || ferror(stdout))
        return EXIT_SYSTEM;
    return code;
}
