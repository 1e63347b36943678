/*
 * `tollgate-bench handshake --into RESULT MICRO...`: what a login cost the gateway, beside what its
 * TLS handshake alone costs the same machine in the same minutes. MICRO is what the micro
 * benchmarks wrote (--benchmark_out), before and after the run; of several, the mean of their
 * medians counts.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "figures.h"
#include "swarm.h"

enum {
    HANDSHAKE_USAGE = 64,
    HANDSHAKE_DATA = 65,
    HANDSHAKE_NO_INPUT = 66,
    HANDSHAKE_CANT_CREATE = 73
};

/* A device that does not resume asks for no ticket: TLS 1.2 then makes none, TLS 1.3 all the same.
 */
static const struct kind {
    const char *count;   /* logins in the result, those that were resumed among them */
    const char *resumed; /* those                                                    */
    const char *whole;   /* benchmarks                                               */
    const char *unticketed;
    const char *resumption;
} kinds[] = {
    {"tls12", "tls12_resumed", "tls_12_whole", "tls_12_unticketed", "tls_12_resumed"},
    {"tls13", "tls13_resumed", "tls_13_whole", "tls_13_whole", "tls_13_resumed"},
};

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *object = json_load_file(path, 0, &error);

    if (json_is_object(object))
        return object;
    fprintf(stderr, "tollgate-bench: %s: %s\n", path,
            object == NULL ? error.text : "no JSON object");
    json_decref(object);
    return NULL;
}

/* The median of a benchmark's repetitions in CPU microseconds; NAN when it is not there. */
static double median_us(const json_t *micro, const char *name)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(micro, "benchmarks"), i, row)
    {
        const char *run = json_string_value(json_object_get(row, "run_name"));
        const char *aggregate = json_string_value(json_object_get(row, "aggregate_name"));
        const char *unit = json_string_value(json_object_get(row, "time_unit"));

        if (run != NULL && aggregate != NULL && unit != NULL && strcmp(run, name) == 0 &&
            strcmp(aggregate, "median") == 0 && strcmp(unit, "ns") == 0)
            return json_number_value(json_object_get(row, "cpu_time")) / 1000;
    }
    return (double)NAN;
}

/* Of all files, each of which is kept in `seen` under the benchmark's name. */
static double mean_us(json_t *const *micros, int count, const char *name, json_t *seen)
{
    json_t *medians = json_array();
    double sum = 0;

    for (int i = 0; i < count; i++) {
        const double us = median_us(micros[i], name);

        sum += us;
        json_array_append_new(medians, isnan(us) ? json_null() : json_real(us));
    }
    json_object_set_new(seen, name, medians);
    return sum / count;
}

/* The mean handshake of the logins that were measured; NAN: a benchmark of one kind is missing. */
static double handshake_us(const json_t *run, json_t *const *micros, int count, json_t *seen)
{
    const json_t *measured = json_object_get(run, "measured");
    const bool ticketed = json_integer_value(json_object_get(run, "resume_percent")) > 0;
    double logins = 0, us = 0;

    for (size_t i = 0; i < GW_ARRAY_COUNT(kinds); i++) {
        const struct kind *kind = &kinds[i];
        const double resumed = json_number_value(json_object_get(measured, kind->resumed));
        const double whole = json_number_value(json_object_get(measured, kind->count)) - resumed;

        if (whole > 0)
            us += whole * mean_us(micros, count, ticketed ? kind->whole : kind->unticketed, seen);
        if (resumed > 0)
            us += resumed * mean_us(micros, count, kind->resumption, seen);
        logins += whole + resumed;
    }
    return logins > 0 ? us / logins : (double)NAN;
}

static int relate(const char *path, json_t *run, json_t *const *micros, int count)
{
    json_t *seen = json_object();
    const double login_us = json_number_value(json_object_get(run, "cpu_us_per_login"));
    const double us = handshake_us(run, micros, count, seen);
    char temporary[4096];

    json_object_set_new(run, "handshakes_us", seen);
    if (isnan(us) || login_us <= 0) {
        fprintf(stderr,
                "tollgate-bench: %s: no CPU time of a login, or no benchmark of its "
                "handshake\n",
                path);
        return HANDSHAKE_DATA;
    }
    json_object_set_new(run, "handshake_us", json_real(us));
    json_object_set_new(run, "login_per_handshake", json_real(login_us / us));
    printf("  a login took the gateway %.0f us of CPU, a handshake alone %.0f us: %.2f times\n",
           login_us, us, login_us / us);
    if (snprintf(temporary, sizeof temporary, "%s.new", path) < (int)sizeof temporary &&
        json_dump_file(run, temporary, JSON_INDENT(2)) == 0 && rename(temporary, path) == 0)
        return 0;
    fprintf(stderr, "tollgate-bench: %s: could not be written\n", path);
    return HANDSHAKE_CANT_CREATE;
}

int swarm_handshake(int argc, char **argv)
{
    enum { MICROS_MAX = 16 };
    json_t *micros[MICROS_MAX] = {NULL}, *run;
    const int count = argc - 3;
    int err = 0;

    if (argc < 4 || strcmp(argv[1], "--into") != 0 || count > MICROS_MAX) {
        fputs("usage: tollgate-bench handshake --into RESULT MICRO...\n", stderr);
        return HANDSHAKE_USAGE;
    }
    run = load(argv[2]);
    for (int i = 0; run != NULL && err == 0 && i < count; i++) {
        micros[i] = load(argv[3 + i]);
        err = micros[i] == NULL ? HANDSHAKE_NO_INPUT : 0;
    }
    if (run == NULL)
        err = HANDSHAKE_NO_INPUT;
    else if (err == 0)
        err = relate(argv[2], run, micros, count);
    for (int i = 0; i < count; i++)
        json_decref(micros[i]);
    json_decref(run);
    return err;
}
