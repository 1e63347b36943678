/*
 * `tollgate-bench compare BEFORE AFTER`: what got better and what got worse, beyond the noise.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "figures.h"
#include "swarm.h"

enum { COMPARE_WORSE = 3, COMPARE_USAGE = 64, COMPARE_DATA = 65, COMPARE_NO_INPUT = 66 };

static const double noise_percent_default = 15; /* what a shared machine's timings wander by */

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *run = json_load_file(path, 0, &error);

    if (json_is_object(run) && json_is_string(json_object_get(run, "scenario")))
        return run;
    fprintf(stderr, "tollgate-bench: %s: %s\n", path,
            run == NULL ? error.text : "not the result of a run");
    json_decref(run);
    return NULL;
}

/* Runs can be held against each other when they asked for the same. */
static bool asked_the_same(const json_t *before, const json_t *after)
{
    static const char *const keys[] = {
        "scenario",    "protocol",   "devices", "rate", "churn", "tls",           "tls_version_max",
        "heartbeat_s", "ping_every", "pins",    "ramp", "drop",  "resume_percent"};
    bool same = true;

    for (size_t i = 0; i < GW_ARRAY_COUNT(keys); i++) {
        json_t *a = json_object_get(before, keys[i]), *b = json_object_get(after, keys[i]);

        if (json_equal(a, b) || (a == NULL && b == NULL))
            continue;
        fprintf(stderr, "tollgate-bench: the runs differ in what they asked: %s\n", keys[i]);
        same = false;
    }
    return same;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "unknown" : text;
}

static void print_difference(const json_t *before, const json_t *after)
{
    static const char *const keys[] = {"cpu", "cores", "kernel", "congestion_control"};
    json_t *a = json_object_get(before, "machine"), *b = json_object_get(after, "machine");

    printf("%s: commit %s, then %s\n", text_of(before, "scenario"), text_of(before, "commit"),
           text_of(after, "commit"));
    for (size_t i = 0; i < GW_ARRAY_COUNT(keys); i++) {
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
            printf("  not the same machine: %s differs\n", keys[i]);
    }
    printf("  load of the machine at the start: %.2f, then %.2f\n",
           json_number_value(json_object_get(a, "load_average")),
           json_number_value(json_object_get(b, "load_average")));
}

static double figure_of(const json_t *run, int figure)
{
    const json_t *value = json_object_get(run, swarm_figure_kinds[figure].name);

    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void print_number(double number)
{
    if (isnan(number))
        printf(" %14s", "-");
    else
        printf(" %14.2f", number);
}

/* How many figures got worse. */
static int print_figures(const json_t *before, const json_t *after, double noise)
{
    static const char *const words[] = {[SWARM_UNKNOWN] = "not in both",
                                        [SWARM_SAME] = "same",
                                        [SWARM_BETTER] = "better",
                                        [SWARM_WORSE] = "WORSE"};
    int worse = 0;

    printf("  %-24s %14s %14s %9s\n", "", "before", "after", "change");
    for (int i = 0; i < SWARM_FIGURES; i++) {
        double a = figure_of(before, i), b = figure_of(after, i);
        enum swarm_verdict verdict = swarm_figure_compare((enum swarm_figure)i, a, b, noise);
        char change[32] = "";

        if (isnan(a) && isnan(b))
            continue;
        if (!isnan(a) && !isnan(b) && a != 0)
            snprintf(change, sizeof change, "%+.1f%%", (b - a) / fabs(a) * 100);
        printf("  %-24s", swarm_figure_kinds[i].name);
        print_number(a);
        print_number(b);
        printf(" %9s  %s\n", change, words[verdict]);
        worse += verdict == SWARM_WORSE;
    }
    return worse;
}

static int compare(const char *before_path, const char *after_path, double noise)
{
    json_t *before = load(before_path), *after = load(after_path);
    int err = 0, worse;

    if (before == NULL || after == NULL) {
        err = COMPARE_NO_INPUT;
    } else if (!asked_the_same(before, after)) {
        err = COMPARE_DATA;
    } else {
        print_difference(before, after);
        worse = print_figures(before, after, noise);
        if (worse > 0) {
            printf("%d figure%s worse by more than %.3g%%\n", worse, worse == 1 ? " is" : "s are",
                   noise * 100);
            err = COMPARE_WORSE;
        }
    }
    json_decref(before);
    json_decref(after);
    return err;
}

int swarm_compare(int argc, char **argv)
{
    static const struct option options[] = {{"noise", required_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    double percent = noise_percent_default;
    char *end;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            percent = strtod(optarg, &end);
            if (end == optarg || *end != '\0' || !(percent >= 0 && percent <= 1000)) {
                fprintf(stderr, "tollgate-bench: --noise %s: must be a percentage, 0 to 1000\n",
                        optarg);
                return COMPARE_USAGE;
            }
            break;
        case 'h':
            swarm_usage(false);
            return 0;
        default:
            return COMPARE_USAGE;
        }
    }
    if (argc - optind != 2) {
        fputs("usage: tollgate-bench compare BEFORE AFTER [--noise PERCENT]\n", stderr);
        return COMPARE_USAGE;
    }
    return compare(argv[optind], argv[optind + 1], percent / 100);
}
