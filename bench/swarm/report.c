/*
 * The result of a run, for people and for programs.
 */
#include "swarm.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "dialect.h"

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
static const char *const quantile_words[] = {"p50", "p90", "p99", "p99.9"};

enum { WORST_S = 10 };

static unsigned long long of(const struct gw_counter *counter)
{
    return gw_counter_read(counter);
}

static double per(double amount, double by)
{
    return by > 0 ? amount / by : 0;
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

static double known(double amount, double by)
{
    return by > 0 ? amount / by : (double)NAN;
}

static double at_quantile(const struct swarm_histogram *h, double quantile)
{
    return h->count > 0 ? (double)swarm_histogram_at(h, quantile) : (double)NAN;
}

/* CPU and memory of the gateway, as far as it was watched. */
static void add_gateway_figures(const struct swarm_options *options,
                                const struct swarm_result *result, double out[SWARM_FIGURES])
{
    bool ramp = of(&result->ramp.logins) > 0 && options->mode != SWARM_STORM &&
                options->mode != SWARM_OVERLOAD;
    double ramp_us = (double)(result->gateway_up.cpu_us - result->gateway_before.cpu_us);
    double cpu_us = gateway_cpu_us(result);

    out[SWARM_FIGURE_cpu_percent] = known(cpu_us, result->measured_s * 1e4);
    if (ramp)
        out[SWARM_FIGURE_cpu_us_per_login] = known(ramp_us, (double)of(&result->ramp.logins));
    else
        out[SWARM_FIGURE_cpu_us_per_login] = known(cpu_us, (double)of(&result->measured.logins));
    out[SWARM_FIGURE_cpu_us_per_update] = known(cpu_us, (double)of(&result->measured.sent));
    if (options->empty_rss_bytes > 0)
        out[SWARM_FIGURE_user_bytes_per_session] =
            known((double)result->gateway_idle.rss_bytes - (double)options->empty_rss_bytes,
                  (double)result->sessions_idle);
}

/* Answered by the gateway, which is most of their work, and no login came of it. */
static double wasted_handshakes(const struct swarm_counts *counts)
{
    return (double)(of(&counts->handshakes) + of(&counts->half_done)) - (double)of(&counts->logins);
}

/* The fewest logins of any WORST_S of the overload, a second. */
static double worst_logins_per_s(const struct swarm_result *result)
{
    const struct swarm_timeline *timeline = &result->timeline;
    double worst = (double)INFINITY, end_s = result->measured_at_s + result->measured_s;

    for (uint32_t from = 0, to = 0; from < timeline->count; from++) {
        const struct swarm_sample *first = &timeline->samples[from];

        if (first->at_s < result->measured_at_s)
            continue;
        while (to < timeline->count && timeline->samples[to].at_s < first->at_s + WORST_S)
            to++;
        if (to == timeline->count || timeline->samples[to].at_s > end_s)
            break;
        worst = fmin(worst, (double)(timeline->samples[to].logins - first->logins) /
                                (timeline->samples[to].at_s - first->at_s));
    }
    return isinf(worst) ? (double)NAN : worst;
}

static void add_overload_figures(const struct swarm_result *result, double out[SWARM_FIGURES])
{
    const struct swarm_counts *measured = &result->measured;

    out[SWARM_FIGURE_capacity_per_s] = result->capacity;
    out[SWARM_FIGURE_logins_per_s] = known((double)of(&measured->logins), result->measured_s);
    out[SWARM_FIGURE_percent_of_capacity] =
        known(100 * out[SWARM_FIGURE_logins_per_s], result->capacity);
    out[SWARM_FIGURE_worst_percent_of_capacity] =
        known(100 * worst_logins_per_s(result), result->capacity);
    out[SWARM_FIGURE_wasted_percent] =
        known(100 * wasted_handshakes(measured),
              (double)(of(&measured->handshakes) + of(&measured->half_done)));
}

void swarm_figures_of(const struct swarm_options *options, const struct swarm_result *result,
                      double out[SWARM_FIGURES])
{
    const struct swarm_counts *measured = &result->measured;
    uint64_t sockets = 2 * result->sessions_idle, in = of(&measured->logins);
    double noise;

    for (int i = 0; i < SWARM_FIGURES; i++)
        out[i] = (double)NAN;
    out[SWARM_FIGURE_failed] = (double)swarm_failure_count(&result->total);
    out[SWARM_FIGURE_login_p50_us] = at_quantile(&result->login_us, 0.5);
    out[SWARM_FIGURE_login_p99_us] = at_quantile(&result->login_us, 0.99);
    out[SWARM_FIGURE_ping_p50_us] = at_quantile(&result->ping_us, 0.5);
    out[SWARM_FIGURE_ping_p99_us] = at_quantile(&result->ping_us, 0.99);
    if (of(&measured->sent) > 0)
        out[SWARM_FIGURE_updates_per_s] = known((double)of(&measured->sent), result->measured_s);
    if (options->mode != SWARM_LOGIN)
        out[SWARM_FIGURE_sessions] = (double)result->sessions;
    out[SWARM_FIGURE_logins_per_s] = of(&result->ramp.logins) > 0
                                         ? known((double)of(&result->ramp.logins), result->ramp_s)
                                         : known((double)in, result->measured_s);
    if (options->mode == SWARM_OVERLOAD)
        add_overload_figures(result, out);
    if (options->mode == SWARM_REVOKE) {
        out[SWARM_FIGURE_revoked_p99_us] = at_quantile(&result->revoked.delay_us, 0.99);
        out[SWARM_FIGURE_revoked_max_us] = result->revoked.delay_us.count > 0
                                               ? (double)result->revoked.delay_us.max_us
                                               : (double)NAN;
        out[SWARM_FIGURE_revoked_left] = (double)result->revoked.left;
    }
    if (options->mode == SWARM_STORM) {
        double last_in_s = (double)result->login_us.max_us / 1e6;

        out[SWARM_FIGURE_wasted_handshakes] =
            options->tls ? wasted_handshakes(measured) : (double)NAN;
        out[SWARM_FIGURE_logins_per_s] = known((double)in, last_in_s - result->away_s);
        if (result->sessions + of(&result->total.out) == result->devices)
            out[SWARM_FIGURE_last_in_s] = last_in_s;
    }
    if (sockets > 0 && result->slab_before.bytes > 0)
        out[SWARM_FIGURE_slab_bytes_per_session] =
            swarm_slab_growth(&result->slab_before, &result->slab_idle, sockets, &noise) /
            (double)sockets;
    if (options->gateway_pid != 0 && result->gateway_seen)
        add_gateway_figures(options, result, out);
}

/* What the gateway had to do in the measured time: the unit that its CPU time is divided by. */
static uint64_t work_done(const struct swarm_options *options, const struct swarm_result *result,
                          const char **unit)
{
    switch (options->mode) {
    case SWARM_HOLD:
    case SWARM_REVOKE:
        *unit = "ping";
        return of(&result->measured.pongs);
    case SWARM_MIXED:
    case SWARM_PUBLISH:
        *unit = "update";
        return of(&result->measured.sent);
    case SWARM_STORM:
    case SWARM_OVERLOAD:
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

    printf("  gateway: %.3f%% of a core, %.1f us of CPU per %s, memory %.1f MiB",
           per(gateway_cpu_us(result), result->measured_s * 1e4), per(gateway_cpu_us(result), work),
           unit, (double)result->gateway_end.rss_bytes / 1048576.0);
    printf("\n");
}

/* What a session takes at the devices' end, its share of what they have in common included. */
static double own_bytes_per_session(const struct swarm_result *result)
{
    return per((double)result->own_idle.rss_bytes - (double)result->own_before.rss_bytes,
               (double)result->sessions_idle);
}

static void print_memory(const struct swarm_options *options, const struct swarm_result *result)
{
    double figures[SWARM_FIGURES], noise, grown;

    swarm_figures_of(options, result, figures);
    if (result->sessions_idle == 0)
        return;
    grown = swarm_slab_growth(&result->slab_before, &result->slab_idle, 2 * result->sessions_idle,
                              &noise);
    printf("  at rest, %llu sessions:", (unsigned long long)result->sessions_idle);
    if (!isnan(figures[SWARM_FIGURE_user_bytes_per_session]))
        printf(" %.0f bytes of the gateway each", figures[SWARM_FIGURE_user_bytes_per_session]);
    if (options->planned_bytes > 0)
        printf(" (planned: %llu)", (unsigned long long)options->planned_bytes);
    printf("; %.0f of the swarm (planned: %u);", own_bytes_per_session(result),
           result->device_bytes);
    printf(" %.0f bytes of slab for each end (%.1f MiB in all",
           grown / 2 / (double)result->sessions_idle, grown / 1048576.0);
    if (result->slab_idle.caches_known)
        printf(", %+.1f MiB of file noise taken off)\n", noise / 1048576.0);
    else
        printf("; /proc/slabinfo is not readable, so files may be among it)\n");
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

static void print_storm(const struct swarm_options *options, const struct swarm_result *result)
{
    double figures[SWARM_FIGURES];

    swarm_figures_of(options, result, figures);
    if (options->restart != NULL)
        printf("  the gateway was ended and served again after %.2f s\n", result->away_s);
    printf("  the storm: %llu of %u in", of(&result->measured.logins), result->devices);
    if (!isnan(figures[SWARM_FIGURE_last_in_s]))
        printf(", the last after %.2f s: %.0f logins/s", figures[SWARM_FIGURE_last_in_s],
               figures[SWARM_FIGURE_logins_per_s]);
    printf("; %.0f handshakes wasted, %llu given up half-way\n",
           figures[SWARM_FIGURE_wasted_handshakes],
           of(&result->measured.failures[SWARM_CAUSE_TIMEOUT_TLS]));
}

static void print_overload(const struct swarm_options *options, const struct swarm_result *result)
{
    double figures[SWARM_FIGURES];

    swarm_figures_of(options, result, figures);
    printf(
        "  capacity: %.0f logins/s. Then %u devices offered %.0f a second, %.1f times that:\n"
        "  %.0f logins/s, %.0f%% of it, and %.0f%% in the worst %d s; of the handshakes that were\n"
        "  answered %.1f%% came to nothing\n",
        result->capacity, result->crowd, per(of(&result->measured.attempts), result->measured_s),
        per(per(of(&result->measured.attempts), result->measured_s), result->capacity),
        figures[SWARM_FIGURE_logins_per_s], figures[SWARM_FIGURE_percent_of_capacity],
        figures[SWARM_FIGURE_worst_percent_of_capacity], WORST_S,
        figures[SWARM_FIGURE_wasted_percent]);
}

static void print_revoked(const struct swarm_result *result)
{
    const struct swarm_revoked *revoked = &result->revoked;

    printf("  revoked %u of %u: %llu were connected, %u refused at their login, %u are left\n",
           revoked->committed, revoked->asked, (unsigned long long)revoked->delay_us.count,
           revoked->at_login, revoked->left);
    print_histogram("commit to the end", &revoked->delay_us);
}

void swarm_report_text(const struct swarm_options *options, const struct swarm_result *result)
{
    const struct swarm_counts *total = &result->total, *measured = &result->measured;

    printf("%u devices on %u thread%s, measured for %.1f s\n", result->devices, result->threads,
           result->threads == 1 ? "" : "s", result->measured_s);
    if (options->mode != SWARM_LOGIN)
        printf("  sessions %llu at the end", (unsigned long long)result->sessions);
    if (of(&result->ramp.logins) > 0)
        printf("; %llu came up in %.1f s (%.0f logins/s)", of(&result->ramp.logins), result->ramp_s,
               per((double)of(&result->ramp.logins), result->ramp_s));
    if (options->mode != SWARM_LOGIN)
        printf("\n");
    if (options->mode == SWARM_STORM)
        print_storm(options, result);
    if (options->mode == SWARM_OVERLOAD)
        print_overload(options, result);
    if (options->mode == SWARM_REVOKE)
        print_revoked(result);
    printf("  logins %llu (%.0f/s measured), attempts %llu, failures %llu", of(&total->logins),
           per((double)of(&measured->logins), result->measured_s), of(&total->attempts),
           (unsigned long long)swarm_failure_count(total));
    if (options->tls)
        printf("; TLS 1.3 %llu (%llu resumed), TLS 1.2 %llu (%llu resumed)", of(&total->tls13),
               of(&total->tls13_resumed), of(&total->tls12), of(&total->tls12_resumed));
    if (of(&total->tls_kept) > 0)
        printf("; %llu with an SSL object of their own", of(&total->tls_kept));
    printf("\n");
    if (options->mode == SWARM_PUBLISH || options->mode == SWARM_MIXED)
        printf("  updates sent %llu (%.0f/s), acknowledged %llu, skipped with their device away "
               "%llu\n",
               of(&total->sent), per((double)of(&measured->sent), result->measured_s),
               of(&total->acked), of(&total->skipped));
    printf("  pings sent %llu, answered %llu, merged %llu; %llu by heartbeat; from the gateway "
           "%llu\n",
           of(&total->pings), of(&total->pongs), of(&total->merged), of(&total->heartbeats),
           of(&total->server_pings));
    print_histogram("login latency", &result->login_us);
    if (result->ping_us.count > 0)
        print_histogram("PING latency", &result->ping_us);
    if (result->late_us.count > 0)
        print_histogram("own lateness", &result->late_us);
    if (result->gateway_seen && options->gateway_pid != 0)
        print_gateway(options, result);
    print_memory(options, result);
    print_failures(result);
}

/* [quantile, us] for a plot: ever closer to 1, as far as there are values. */
static json_t *of_curve(const struct swarm_histogram *h)
{
    json_t *curve = json_array();

    for (double beyond = 1; h->count > 0 && beyond * (double)h->count >= 1; beyond *= 0.8) {
        double us = (double)swarm_histogram_at(h, 1 - beyond);

        json_array_append_new(curve, json_pack("[f,f]", 1 - beyond, us));
    }
    return curve;
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
    json_object_set_new(object, "curve", of_curve(h));
    return object;
}

static json_t *of_counts(const struct swarm_counts *counts)
{
    const struct {
        const char *name;
        const struct gw_counter *counter;
    } rows[] = {
        {"attempts", &counts->attempts},
        {"handshakes", &counts->handshakes},
        {"half_done", &counts->half_done},
        {"logins", &counts->logins},
        {"tls12", &counts->tls12},
        {"tls13", &counts->tls13},
        {"tls12_resumed", &counts->tls12_resumed},
        {"tls13_resumed", &counts->tls13_resumed},
        {"tls_kept", &counts->tls_kept},
        {"sent", &counts->sent},
        {"acked", &counts->acked},
        {"skipped", &counts->skipped},
        {"pings", &counts->pings},
        {"pongs", &counts->pongs},
        {"merged", &counts->merged},
        {"heartbeats", &counts->heartbeats},
        {"server_pings", &counts->server_pings},
        {"churned", &counts->churned},
    };
    json_t *object = json_object(), *failures = json_object();

    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        json_object_set_new(object, rows[i].name, json_integer((json_int_t)of(rows[i].counter)));
    for (int i = 0; i < SWARM_CAUSES; i++) {
        if (of(&counts->failures[i]) > 0)
            json_object_set_new(failures, swarm_cause_words[i],
                                json_integer((json_int_t)of(&counts->failures[i])));
    }
    json_object_set_new(object, "failed", json_integer((json_int_t)swarm_failure_count(counts)));
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

static json_t *of_machine(const struct swarm_machine *machine)
{
    return json_pack("{s:s,s:i,s:s,s:s,s:f}", "cpu", machine->cpu, "cores", (int)machine->cores,
                     "kernel", machine->kernel, "congestion_control", machine->congestion,
                     "load_average", machine->load);
}

static json_t *of_slab(const struct swarm_result *result)
{
    const struct swarm_slab *before = &result->slab_before, *idle = &result->slab_idle;
    double noise, grown = swarm_slab_growth(before, idle, 2 * result->sessions_idle, &noise);

    return json_pack("{s:I,s:I,s:f,s:b,s:I,s:I,s:f}", "bytes_before", (json_int_t)before->bytes,
                     "bytes", (json_int_t)idle->bytes, "grown_without_noise", grown, "noise_known",
                     (int)idle->caches_known, "inode_bytes_grown",
                     (json_int_t)(idle->inode_bytes - before->inode_bytes), "dentry_bytes_grown",
                     (json_int_t)(idle->dentry_bytes - before->dentry_bytes), "noise_bytes", noise);
}

static json_t *of_timeline(const struct swarm_timeline *timeline)
{
    json_t *samples = json_array();

    for (uint32_t i = 0; i < timeline->count; i++) {
        const struct swarm_sample *s = &timeline->samples[i];

        json_array_append_new(
            samples, json_pack("{s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "at_s", s->at_s, "sessions",
                               (json_int_t)s->sessions, "connecting", (json_int_t)s->connecting,
                               "logins", (json_int_t)s->logins, "sent", (json_int_t)s->sent,
                               "acked", (json_int_t)s->acked, "failed", (json_int_t)s->failed,
                               "gateway_rss_bytes", (json_int_t)s->gateway_rss_bytes));
    }
    return samples;
}

static void set_figures(json_t *object, const struct swarm_options *options,
                        const struct swarm_result *result)
{
    double figures[SWARM_FIGURES];

    swarm_figures_of(options, result, figures);
    for (int i = 0; i < SWARM_FIGURES; i++) {
        const struct swarm_figure_kind *kind = &swarm_figure_kinds[i];
        double rounded = round(figures[i]);

        if (isnan(figures[i]))
            json_object_set_new(object, kind->name, json_null());
        else if (figures[i] == rounded)
            json_object_set_new(object, kind->name, json_integer((json_int_t)rounded));
        else
            json_object_set_new(object, kind->name, json_real(figures[i]));
    }
}

static json_t *of_revoked(const struct swarm_revoked *revoked)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:o}", "asked", (int)revoked->asked, "committed",
                     (int)revoked->committed, "at_login", (int)revoked->at_login, "left",
                     (int)revoked->left, "delay_us", of_histogram(&revoked->delay_us));
}

static void set_run(json_t *object, const struct swarm_options *options,
                    const struct swarm_result *result)
{
    static const char *const modes[] = {
        [SWARM_HOLD] = "hold",         [SWARM_PUBLISH] = "publish", [SWARM_LOGIN] = "login",
        [SWARM_STORM] = "storm",       [SWARM_MIXED] = "mixed",     [SWARM_REVOKE] = "revoke",
        [SWARM_OVERLOAD] = "overload",
    };
    char run[16];

    snprintf(run, sizeof run, "%08x", result->run);
    json_object_set_new(object, "scenario", json_string(modes[options->mode]));
    json_object_set_new(object, "commit",
                        options->commit == NULL ? json_null() : json_string(options->commit));
    json_object_set_new(object, "run", json_string(run));
    json_object_set_new(object, "host", json_string(options->host));
    json_object_set_new(object, "port", json_string(options->port));
    json_object_set_new(object, "protocol", json_string(options->dialect->word));
    json_object_set_new(object, "tls", json_boolean(options->tls));
    json_object_set_new(object, "tls_version_max", json_integer(options->tls_version_max));
    json_object_set_new(object, "devices", json_integer(result->devices));
    json_object_set_new(object, "threads", json_integer(result->threads));
    json_object_set_new(object, "rate", json_real(result->rate));
    json_object_set_new(object, "churn", json_real(result->churn));
    json_object_set_new(object, "drop", json_boolean(options->drop));
    json_object_set_new(object, "resume_percent", json_integer(options->resume));
    json_object_set_new(object, "away_s",
                        options->restart == NULL ? json_null() : json_real(result->away_s));
    json_object_set_new(object, "heartbeat_s", json_integer(options->heartbeat_s));
    json_object_set_new(object, "ping_every", json_integer(options->ping_every));
    if (options->pins > 1)
        json_object_set_new(object, "pins", json_integer(options->pins));
    json_object_set_new(object, "ramp", json_real(options->ramp));
    json_object_set_new(object, "ramp_s", json_real(result->ramp_s));
    json_object_set_new(object, "measured_s", json_real(result->measured_s));
}

int swarm_report_json(const struct swarm_options *options, const struct swarm_result *result)
{
    json_t *object = json_object();
    int err;

    set_run(object, options, result);
    set_figures(object, options, result);
    json_object_set_new(object, "measured", of_counts(&result->measured));
    json_object_set_new(object, "total", of_counts(&result->total));
    json_object_set_new(object, "login_us", of_histogram(&result->login_us));
    json_object_set_new(object, "ping_us", of_histogram(&result->ping_us));
    json_object_set_new(object, "own_lateness_us", of_histogram(&result->late_us));
    if (result->gateway_seen && options->gateway_pid != 0)
        json_object_set_new(object, "gateway", of_gateway(options, result));
    if (options->mode == SWARM_REVOKE)
        json_object_set_new(object, "revoked", of_revoked(&result->revoked));
    if (options->mode == SWARM_OVERLOAD)
        json_object_set_new(object, "crowd", json_integer(result->crowd));
    if (result->sessions_idle > 0) {
        json_object_set_new(object, "slab", of_slab(result));
        json_object_set_new(object, "swarm_bytes_per_session",
                            json_real(own_bytes_per_session(result)));
    }
    json_object_set_new(object, "device_bytes", json_integer(result->device_bytes));
    json_object_set_new(object, "planned_bytes_per_session",
                        options->planned_bytes == 0
                            ? json_null()
                            : json_integer((json_int_t)options->planned_bytes));
    json_object_set_new(object, "timeline", of_timeline(&result->timeline));
    json_object_set_new(object, "machine", of_machine(&result->machine));
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
