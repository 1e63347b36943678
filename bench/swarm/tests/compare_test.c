/*
 * compare, plot and handshake as a person calls them: exit codes, and what they do with files that
 * do not fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

static char folder[] = "/tmp/swarm-compare-XXXXXX";

static const char run_text[] =
    "{\"scenario\": \"publish\", \"devices\": %d, \"commit\": null, \"sessions\": 10,"
    " \"lost\": %d, \"failed\": 0, \"ping_p99_us\": %s, \"updates_per_s\": %d,"
    " \"login_us\": {\"curve\": [[0.0, 900.0], [0.5, 1000.0], [0.9, 4000.0]]},"
    " \"ping_us\": {\"curve\": []},"
    " \"timeline\": [{\"at_s\": 0.0, \"sessions\": 0, \"logins\": 0},"
    " {\"at_s\": 0.5, \"sessions\": 10, \"logins\": 10}]}\n";

static void write_run(const char *name, int devices, int lost, const char *ping, int updates)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, run_text, devices, lost, ping, updates); /* NOLINT: a constant */
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    write_run("base", 10, 0, "1000", 500);
    write_run("near", 10, 0, "1100", 490);
    write_run("slow", 10, 0, "1300", 500);
    write_run("less", 10, 0, "1000", 300);
    write_run("loss", 10, 1, "500", 900);
    write_run("other", 11, 0, "1000", 500);
    write_run("silent", 10, 0, "null", 500);
    return 0;
}

/* Runs a command line in the folder; returns its exit code. */
static int run(const char *environment, const char *arguments)
{
    char command[1024];
    int status;

    snprintf(command, sizeof command, "cd %s && %s '%s' %s >out 2>&1", folder, environment,
             TOLLGATE_BENCH, arguments);
    status = system(command); /* NOLINT: fixed words and paths of our own */
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool exists(const char *name)
{
    char path[128];
    struct stat found;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &found) == 0 && found.st_size > 0;
}

static void a_regression_ends_with_3(void **state)
{
    static const struct {
        const char *arguments;
        int code;
    } rows[] = {
        {"compare base base", 0},
        {"compare base near", 0},
        {"compare base near --noise 5", 3},
        {"compare base slow", 3},
        {"compare base slow --noise 40", 0},
        {"compare slow base", 0},
        {"compare base less", 3},
        {"compare less base", 0},
        {"compare base loss --noise 1000", 3},
        {"compare base silent", 0},
        {"compare base other", 65},
        {"compare base nowhere", 66},
        {"compare base out", 66},
        {"compare base", 64},
        {"compare base near --noise much", 64},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int code = run("", rows[i].arguments);

        if (code != rows[i].code)
            fail_msg("%s: %d, not %d", rows[i].arguments, code, rows[i].code);
    }
}

static void without_gnuplot_the_data_is_there(void **state)
{
    (void)state;
    assert_int_equal(run("PATH=/nowhere", "plot base"), 69);
    assert_true(exists("timeline.dat") && exists("login.dat") && exists("plot.gnuplot"));
    assert_int_equal(run("", "plot nowhere"), 66);
    assert_int_equal(run("", "plot base --out nowhere"), 73);
}

static void with_gnuplot_there_are_pictures(void **state)
{
    (void)state;
    if (system("command -v gnuplot >/dev/null 2>&1") != 0) /* NOLINT: fixed words */
        skip();
    assert_int_equal(run("", "plot base"), 0);
    assert_true(exists("ramp.svg") && exists("memory.svg") && exists("latency.svg"));
}

static void write_text(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static double number_in(const char *name, const char *key)
{
    char path[128];
    json_t *object;
    double value;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    object = json_load_file(path, 0, NULL);
    assert_non_null(object);
    value = json_number_value(json_object_get(object, key));
    json_decref(object);
    return value;
}

/* A micro benchmark with one row, of which the mean is not the one that counts. */
#define MICRO(name, us)                                                                            \
    "{\"benchmarks\": [{\"run_name\": \"" name "\", \"aggregate_name\": \"mean\","                 \
    " \"time_unit\": \"ns\", \"cpu_time\": 1}, {\"run_name\": \"" name "\","                       \
    " \"aggregate_name\": \"median\", \"time_unit\": \"ns\", \"cpu_time\": " us "000}]}"

static void a_login_is_told_in_handshakes(void **state)
{
    (void)state;
    write_text("logins",
               "{\"scenario\": \"login\", \"cpu_us_per_login\": 300, \"resume_percent\": 0,"
               " \"measured\": {\"tls12\": 0, \"tls12_resumed\": 0, \"tls13\": 10,"
               " \"tls13_resumed\": 0}}");
    write_text("resumed", "{\"scenario\": \"login\", \"cpu_us_per_login\": 300, \"resume_percent\":"
                          " 100, \"measured\": {\"tls12\": 0, \"tls12_resumed\": 0, \"tls13\": 10,"
                          " \"tls13_resumed\": 4}}");
    write_text("micro", MICRO("tls_13_whole", "190"));
    write_text("later", MICRO("tls_13_whole", "210"));
    assert_int_equal(run("", "handshake --into logins micro later"), 0);
    assert_true(number_in("logins", "handshake_us") == 200);
    assert_true(number_in("logins", "login_per_handshake") == 1.5);
    assert_int_equal(run("", "handshake --into resumed micro"),
                     65); /* what is resumed is missing */
    assert_int_equal(run("", "handshake --into logins nowhere"), 66);
    assert_int_equal(run("", "handshake --into nowhere micro"), 66);
    assert_int_equal(run("", "handshake logins micro"), 64);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {
        "logins",   "resumed",    "micro",       "later",        "base",
        "near",     "slow",       "less",        "loss",         "other",
        "silent",   "out",        "login.dat",   "ping.dat",     "plot.gnuplot",
        "ramp.svg", "memory.svg", "latency.svg", "timeline.dat",
    };
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_regression_ends_with_3),
        cmocka_unit_test(a_login_is_told_in_handshakes),
        cmocka_unit_test(without_gnuplot_the_data_is_there),
        cmocka_unit_test(with_gnuplot_there_are_pictures),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
