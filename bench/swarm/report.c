/*
 * The result of a run, for people and for programs.
 */
#include "swarm.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
static const char *const quantile_words[] = {"p50", "p90", "p99", "p99.9"};

static unsigned long long of(const struct gw_counter *counter)
{
    return gw_counter_read(counter);
}

static double per(double amount, double by)
{
    return by > 0 ? amount / by : 0;
}

static uint64_t failure_count(const struct swarm_counts *counts)
{
    uint64_t sum = 0;

    for (int i = 0; i < SWARM_CAUSES; i++)
        sum += gw_counter_read(&counts->failures[i]);
    return sum;
}

static void print_histogram(const char *title, const struct swarm_histogram *h)
{
    printf("  %-22s", title);
    for (size_t i = 0; i < GW_ARRAY_COUNT(quantiles); i++)
        printf("%s %.3f  ", quantile_words[i],
               (double)swarm_histogram_at(h, quantiles[i]) / 1000.0);
    printf("max %.3f ms  (%llu)\n", (double)h->max_us / 1000.0, (unsigned long long)h->count);
}

static double gateway_cpu_us(const struct swarm_result *result)
{
    return (double)(result->gateway_end.cpu_us - result->gateway_begin.cpu_us);
}

/* What the gateway had to do in the measured time: the unit that its CPU time is divided by. */
static uint64_t work_done(const struct swarm_options *options, const struct swarm_result *result,
                          const char **unit)
{
    switch (options->mode) {
    case SWARM_HOLD:
        *unit = "ping";
        return of(&result->measured.pongs);
    case SWARM_PUBLISH:
        *unit = "update";
        return of(&result->measured.sent);
    case SWARM_LOGIN:
        *unit = "login";
        return of(&result->measured.logins);
    }
    return 0;
}

static void print_gateway(const struct swarm_options *options, const struct swarm_result *result)
{
    const char *unit = "";
    double work = (double)work_done(options, result, &unit);
    double grown = (double)result->gateway_end.rss_bytes - (double)result->gateway_before.rss_bytes;

    printf("  gateway: %.3f%% of a core, %.1f us of CPU per %s, memory %.1f MiB",
           per(gateway_cpu_us(result), result->measured_s * 1e4), per(gateway_cpu_us(result), work),
           unit, (double)result->gateway_end.rss_bytes / 1048576.0);
    if (result->sessions > 0 && options->mode != SWARM_LOGIN)
        printf(", grown by %.0f bytes a session", grown / (double)result->sessions);
    printf("\n");
}

static void print_failures(const struct swarm_result *result)
{
    for (int i = 0; i < SWARM_CAUSES; i++) {
        if (of(&result->total.failures[i]) > 0)
            printf("  failed: %-26s %llu  (%s)\n", swarm_cause_words[i],
                   of(&result->total.failures[i]), swarm_cause_texts[i]);
    }
    if (result->failure[0] != '\0')
        printf("  the first TLS failure: %s\n", result->failure);
}

void swarm_report_text(const struct swarm_options *options, const struct swarm_result *result)
{
    const struct swarm_counts *total = &result->total, *measured = &result->measured;

    printf("%u devices on %u thread%s, measured for %.1f s\n", result->devices, result->threads,
           result->threads == 1 ? "" : "s", result->measured_s);
    if (options->mode != SWARM_LOGIN)
        printf("  sessions %llu at the end; %llu came up in %.1f s (%.0f logins/s)\n",
               (unsigned long long)result->sessions, of(&result->ramp.logins), result->ramp_s,
               per((double)of(&result->ramp.logins), result->ramp_s));
    printf("  logins %llu (%.0f/s measured), attempts %llu, failures %llu", of(&total->logins),
           per((double)of(&measured->logins), result->measured_s), of(&total->attempts),
           (unsigned long long)failure_count(total));
    if (options->tls)
        printf("; TLS 1.3 %llu, TLS 1.2 %llu", of(&total->tls13), of(&total->tls12));
    printf("\n");
    if (options->mode == SWARM_PUBLISH)
        printf("  updates sent %llu (%.0f/s), acknowledged %llu, skipped with their device away "
               "%llu\n",
               of(&total->sent), per((double)of(&measured->sent), result->measured_s),
               of(&total->acked), of(&total->skipped));
    printf("  pings sent %llu, answered %llu, merged %llu; %llu by heartbeat; from the gateway "
           "%llu\n",
           of(&total->pings), of(&total->pongs), of(&total->merged), of(&total->heartbeats),
           of(&total->server_pings));
    print_histogram("login latency", &result->login_us);
    if (options->mode != SWARM_LOGIN)
        print_histogram("PING latency", &result->ping_us);
    if (options->mode != SWARM_HOLD)
        print_histogram("own lateness", &result->late_us);
    if (result->gateway_seen && options->gateway_pid != 0)
        print_gateway(options, result);
    print_failures(result);
}

static json_t *of_histogram(const struct swarm_histogram *h)
{
    json_t *object = json_object();

    json_object_set_new(object, "count", json_integer((json_int_t)h->count));
    json_object_set_new(object, "mean", json_real(per((double)h->sum_us, (double)h->count)));
    for (size_t i = 0; i < GW_ARRAY_COUNT(quantiles); i++)
        json_object_set_new(object, quantile_words[i],
                            json_integer((json_int_t)swarm_histogram_at(h, quantiles[i])));
    json_object_set_new(object, "max", json_integer((json_int_t)h->max_us));
    return object;
}

static json_t *of_counts(const struct swarm_counts *counts)
{
    const struct {
        const char *name;
        const struct gw_counter *counter;
    } rows[] = {
        {"attempts", &counts->attempts},
        {"logins", &counts->logins},
        {"tls12", &counts->tls12},
        {"tls13", &counts->tls13},
        {"sent", &counts->sent},
        {"acked", &counts->acked},
        {"skipped", &counts->skipped},
        {"pings", &counts->pings},
        {"pongs", &counts->pongs},
        {"merged", &counts->merged},
        {"heartbeats", &counts->heartbeats},
        {"server_pings", &counts->server_pings},
    };
    json_t *object = json_object(), *failures = json_object();

    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        json_object_set_new(object, rows[i].name, json_integer((json_int_t)of(rows[i].counter)));
    for (int i = 0; i < SWARM_CAUSES; i++) {
        if (of(&counts->failures[i]) > 0)
            json_object_set_new(failures, swarm_cause_words[i],
                                json_integer((json_int_t)of(&counts->failures[i])));
    }
    json_object_set_new(object, "failed", json_integer((json_int_t)failure_count(counts)));
    json_object_set_new(object, "failures", failures);
    return object;
}

static json_t *of_gateway(const struct swarm_options *options, const struct swarm_result *result)
{
    const char *unit = "";
    double work = (double)work_done(options, result, &unit);
    char key[64];
    json_t *object = json_object();

    snprintf(key, sizeof key, "cpu_us_per_%s", unit);
    json_object_set_new(object, "cpu_us", json_real(gateway_cpu_us(result)));
    json_object_set_new(object, "cpu_percent_of_a_core",
                        json_real(per(gateway_cpu_us(result), result->measured_s * 1e4)));
    json_object_set_new(object, key, json_real(per(gateway_cpu_us(result), work)));
    json_object_set_new(object, "rss_bytes_before",
                        json_integer((json_int_t)result->gateway_before.rss_bytes));
    json_object_set_new(object, "rss_bytes",
                        json_integer((json_int_t)result->gateway_end.rss_bytes));
    return object;
}

static json_t *of_machine(void)
{
    json_t *object = json_object();
    struct utsname name;

    if (uname(&name) == 0)
        json_object_set_new(object, "kernel", json_string(name.release));
    json_object_set_new(object, "cores", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    return object;
}

int swarm_report_json(const struct swarm_options *options, const struct swarm_result *result)
{
    static const char *const modes[] = {
        [SWARM_HOLD] = "hold", [SWARM_PUBLISH] = "publish", [SWARM_LOGIN] = "login"};
    char run[16];
    json_t *object = json_object();
    int err;

    snprintf(run, sizeof run, "%08x", result->run);
    json_object_set_new(object, "command", json_string(modes[options->mode]));
    json_object_set_new(object, "run", json_string(run));
    json_object_set_new(object, "host", json_string(options->host));
    json_object_set_new(object, "port", json_string(options->port));
    json_object_set_new(object, "tls", json_boolean(options->tls));
    json_object_set_new(object, "devices", json_integer(result->devices));
    json_object_set_new(object, "threads", json_integer(result->threads));
    json_object_set_new(object, "rate", json_real(options->rate));
    json_object_set_new(object, "heartbeat_s", json_integer(options->heartbeat_s));
    json_object_set_new(object, "ramp_s", json_real(result->ramp_s));
    json_object_set_new(object, "measured_s", json_real(result->measured_s));
    json_object_set_new(object, "sessions", json_integer((json_int_t)result->sessions));
    json_object_set_new(object, "measured", of_counts(&result->measured));
    json_object_set_new(object, "total", of_counts(&result->total));
    json_object_set_new(object, "login_us", of_histogram(&result->login_us));
    json_object_set_new(object, "ping_us", of_histogram(&result->ping_us));
    json_object_set_new(object, "own_lateness_us", of_histogram(&result->late_us));
    if (result->gateway_seen && options->gateway_pid != 0)
        json_object_set_new(object, "gateway", of_gateway(options, result));
    json_object_set_new(object, "machine", of_machine());
    if (strcmp(options->json, "-") == 0) {
        err = json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        err = json_dump_file(object, options->json, JSON_INDENT(2));
    }
    json_decref(object);
    if (err == 0)
        return 0;
    fprintf(stderr, "tollgate-bench: %s: could not be written\n", options->json);
    return 73;
}
