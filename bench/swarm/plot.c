/*
 * `tollgate-bench plot RESULT`: a run as pictures, drawn by gnuplot. The data is written beside
 * them, so that whoever has no gnuplot can draw it otherwise.
 */
#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "swarm.h"

enum {
    PLOT_FAILED = 1,
    PLOT_USAGE = 64,
    PLOT_NO_INPUT = 66,
    PLOT_NO_GNUPLOT = 69,
    PLOT_CANT_CREATE = 73,
    PATH_BYTES = 4096,
    NO_SUCH_PROGRAM = 127,
};

/* Opens FOLDER/NAME for writing; says so when it cannot. */
static FILE *create(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    FILE *file = NULL;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
        file = fopen(path, "we");
    else
        errno = ENAMETOOLONG;
    if (file == NULL)
        fprintf(stderr, "tollgate-bench: %s/%s: %s\n", folder, name, strerror(errno));
    return file;
}

static bool finish(FILE *file, const char *name)
{
    bool broken = ferror(file) != 0;

    if (fclose(file) == 0 && !broken)
        return true;
    fprintf(stderr, "tollgate-bench: %s could not be written whole\n", name);
    return false;
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static bool write_timeline(const json_t *run, const char *folder)
{
    FILE *file = create(folder, "timeline.dat");
    const json_t *sample, *last = NULL;
    size_t i;

    if (file == NULL)
        return false;
    fputs("# s sessions connecting logins/s updates/s failed gateway_MiB\n", file);
    json_array_foreach(json_object_get(run, "timeline"), i, sample)
    {
        double span = number_of(sample, "at_s") - number_of(last, "at_s");
        double logins = number_of(sample, "logins") - number_of(last, "logins");
        double sent = number_of(sample, "sent") - number_of(last, "sent");

        fprintf(file, "%.3f %.0f %.0f %.1f %.1f %.0f %.2f\n", number_of(sample, "at_s"),
                number_of(sample, "sessions"), number_of(sample, "connecting"),
                span > 0 ? logins / span : 0, span > 0 ? sent / span : 0,
                number_of(sample, "failed"), number_of(sample, "gateway_rss_bytes") / 1048576);
        last = sample;
    }
    return finish(file, "timeline.dat");
}

/* Quantiles as "one in so many is slower", which spreads the tail over the picture. */
static bool write_curve(const json_t *run, const char *histogram, const char *folder,
                        const char *name)
{
    FILE *file = create(folder, name);
    const json_t *point;
    size_t i;

    if (file == NULL)
        return false;
    fputs("# one_in ms\n", file);
    json_array_foreach(json_object_get(json_object_get(run, histogram), "curve"), i, point)
        fprintf(file, "%.4f %.4f\n", 1 / (1 - json_number_value(json_array_get(point, 0))),
                json_number_value(json_array_get(point, 1)) / 1000);
    return finish(file, name);
}

static bool has_curve(const json_t *run, const char *histogram)
{
    return json_array_size(json_object_get(json_object_get(run, histogram), "curve")) > 0;
}

static bool write_script(const json_t *run, const char *folder)
{
    FILE *file = create(folder, "plot.gnuplot");
    const char *separator = "";

    if (file == NULL)
        return false;
    fprintf(file,
            "set terminal svg size 900,500 dynamic\n"
            "set grid\n"
            "set key left top\n"
            "set xlabel 'seconds'\n"
            "set output 'ramp.svg'\n"
            "set title '%s: sessions, logins and updates'\n"
            "set ylabel 'sessions'\n"
            "set y2label 'a second'\n"
            "set ytics nomirror\n"
            "set y2tics\n"
            "set yrange [0:*]\n"
            "set y2range [0:*]\n"
            "plot 'timeline.dat' using 1:2 with lines title 'sessions', '' using 1:3 with lines "
            "title 'connecting', '' using 1:4 axes x1y2 with lines title 'logins/s', '' using 1:5 "
            "axes x1y2 with lines title 'updates/s'\n"
            "unset y2tics\n"
            "unset y2label\n"
            "set output 'memory.svg'\n"
            "set title 'resident memory of the gateway'\n"
            "set ylabel 'MiB'\n"
            "plot 'timeline.dat' using 1:7 with lines notitle\n",
            json_string_value(json_object_get(run, "scenario")));
    if (has_curve(run, "login_us") || has_curve(run, "ping_us")) {
        fputs("set output 'latency.svg'\n"
              "set title 'latency'\n"
              "set xlabel 'one in so many took longer'\n"
              "set ylabel 'ms'\n"
              "set yrange [*:*]\n"
              "set logscale xy\n"
              "plot ",
              file);
        if (has_curve(run, "login_us")) {
            fputs("'login.dat' with lines title 'login'", file);
            separator = ", ";
        }
        if (has_curve(run, "ping_us"))
            fprintf(file, "%s'ping.dat' with lines title 'PING'", separator);
        fputs("\n", file);
    }
    return finish(file, "plot.gnuplot");
}

static int draw(const char *folder)
{
    static char program[] = "gnuplot", script[] = "plot.gnuplot";
    char *argv[] = {program, script, NULL};
    posix_spawn_file_actions_t actions;
    int err, status = 0;
    pid_t pid;

    err = posix_spawn_file_actions_init(&actions);
    if (err == 0) {
        err = posix_spawn_file_actions_addchdir_np(&actions, folder);
        if (err == 0)
            err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    if (err == 0 && waitpid(pid, &status, 0) != pid)
        err = errno;
    if (err == ENOENT ||
        (err == 0 && WIFEXITED(status) && WEXITSTATUS(status) == NO_SUCH_PROGRAM)) {
        fprintf(stderr,
                "tollgate-bench: gnuplot is not installed. The data is in %s, and plot.gnuplot "
                "draws it\n",
                folder);
        return PLOT_NO_GNUPLOT;
    }
    if (err != 0)
        fprintf(stderr, "tollgate-bench: gnuplot: %s\n", strerror(err));
    else if (status != 0)
        fprintf(stderr, "tollgate-bench: gnuplot failed\n");
    return err == 0 && status == 0 ? 0 : PLOT_FAILED;
}

static int plot(const char *path, const char *folder)
{
    json_error_t error;
    json_t *run = json_load_file(path, 0, &error);
    int err = 0;

    if (json_array_size(json_object_get(run, "timeline")) == 0 ||
        !json_is_string(json_object_get(run, "scenario"))) {
        fprintf(stderr, "tollgate-bench: %s: %s\n", path,
                run == NULL ? error.text : "not the result of a run");
        err = PLOT_NO_INPUT;
    } else if (!write_timeline(run, folder) || !write_curve(run, "login_us", folder, "login.dat") ||
               !write_curve(run, "ping_us", folder, "ping.dat") || !write_script(run, folder)) {
        err = PLOT_CANT_CREATE;
    }
    json_decref(run);
    return err == 0 ? draw(folder) : err;
}

int swarm_plot(int argc, char **argv)
{
    static const struct option options[] = {{"out", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *folder = ".";
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            folder = optarg;
            break;
        case 'h':
            swarm_usage(false);
            return 0;
        default:
            return PLOT_USAGE;
        }
    }
    if (argc - optind != 1) {
        fputs("usage: tollgate-bench plot RESULT [--out FOLDER]\n", stderr);
        return PLOT_USAGE;
    }
    return plot(argv[optind], folder);
}
