/*
 * What the admin port shows. Counters are the shards' own, read without stopping anybody, so a page
 * is as exact as a glance can be.
 */
#include "gateway_internal.h"

#include <stdio.h>

#include <gw/app/metrics_text.h>
#include <gw/base/log.h>

enum { BEATS_STUCK = 5 };

enum metric_kind { COUNTER = GW_METRIC_COUNTER, GAUGE = GW_METRIC_GAUGE };

static const struct {
    const char *name, *help;
    enum metric_kind kind;
    size_t offset;
} shard_metrics[] = {
#define GW_METRIC(field, type, what, advice)                                                       \
    {#field, what, type, offsetof(struct gw_shard_metrics, field)},
#include <gw/shard/metrics.def>
#undef GW_METRIC
};

static uint64_t sum_over_shards(const struct gateway *g, size_t offset)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < g->plan.shards; i++) {
        const char *metrics = (const char *)gw_shard_metrics(g->shards[i]);

        total += gw_counter_read((const struct gw_counter *)(const void *)(metrics + offset));
    }
    return total;
}

static void one(struct gw_text *page, const char *name, enum gw_metric_type type, const char *help,
                uint64_t value)
{
    gw_metrics_family(page, name, type, help);
    gw_metrics_sample(page, name, NULL, 0, value);
}

static void shard_page(const struct gateway *g, struct gw_text *page)
{
    for (size_t i = 0; i < GW_ARRAY_COUNT(shard_metrics); i++) {
        char name[96];

        (void)snprintf(name, sizeof name, "tollgate_%s%s", shard_metrics[i].name,
                       shard_metrics[i].kind == COUNTER ? "_total" : "");
        one(page, name, (enum gw_metric_type)shard_metrics[i].kind, shard_metrics[i].help,
            sum_over_shards(g, shard_metrics[i].offset));
    }
    gw_metrics_family(page, "tollgate_closed_total", GW_METRIC_COUNTER,
                      "Sessions closed, by reason; docs/close-reasons.md has causes and cures");
    for (int reason = 1; reason < GW_CLOSE_REASONS; reason++) {
        struct gw_metric_label label = {
            .name = "reason", .value = gw_close_reason_word((enum gw_close_reason)reason)};

        gw_metrics_sample(page, "tollgate_closed_total", &label, 1,
                          sum_over_shards(g, offsetof(struct gw_shard_metrics, closed) +
                                                 (size_t)reason * sizeof(struct gw_counter)));
    }
}

static void uplink_page(const struct gateway *g, struct gw_text *page)
{
    struct gw_uplink_stat stat;

    gw_uplink_stat(g->uplink, &stat);
    one(page, "tollgate_journal_writes_total", GW_METRIC_COUNTER, "Writes to the log", stat.writes);
    one(page, "tollgate_journal_syncs_total", GW_METRIC_COUNTER, "fdatasync calls", stat.syncs);
    one(page, "tollgate_journal_written_bytes_total", GW_METRIC_COUNTER, "Bytes written",
        stat.bytes);
    one(page, "tollgate_journal_batches_total", GW_METRIC_COUNTER, "Batches made durable",
        stat.batches);
    one(page, "tollgate_journal_failures_total", GW_METRIC_COUNTER,
        "Segments given up after a failed write or sync; nothing acknowledged is lost by it",
        stat.failures);
    one(page, "tollgate_journal_bytes", GW_METRIC_GAUGE, "Bytes of the log on disk",
        stat.journal_bytes);
    one(page, "tollgate_journal_held_bytes", GW_METRIC_GAUGE,
        "Of these, kept because a reader has yet to pass them", stat.held_bytes);
    one(page, "tollgate_journal_pressure", GW_METRIC_GAUGE,
        "0 none, 1 the disk is slow, 2 devices with updates are not read, 3 nothing can be written",
        stat.pressure);
    one(page, "tollgate_journal_stalled", GW_METRIC_GAUGE,
        "1 while nothing can be written: disk full, hanging, in error, or a reader at the limit",
        stat.stalled);
    gw_metrics_family(page, "tollgate_journal_sync_seconds_max", GW_METRIC_GAUGE,
                      "Longest write and sync since the last look");
    gw_metrics_sample_real(page, "tollgate_journal_sync_seconds_max", NULL, 0,
                           (double)gw_uplink_sync_us_max_take(g->uplink) / 1e6);
}

static void values_page(const struct gateway *g, struct gw_text *page)
{
    struct gw_values_stat stat = {0};

    if (g->values == NULL)
        return;
    gw_values_stat(g->values, &stat);
    one(page, "tollgate_values_applied_total", GW_METRIC_COUNTER, "Updates that set a last value",
        stat.applied);
    one(page, "tollgate_values_pins", GW_METRIC_GAUGE, "Pins whose last value is on disk",
        stat.rows);
    one(page, "tollgate_values_memory_pins", GW_METRIC_GAUGE,
        "Pins in the table that is being filled", stat.memory_pins);
    one(page, "tollgate_values_lag_updates", GW_METRIC_GAUGE,
        "Updates that the last values on disk do not have yet", stat.lag_records);
    gw_metrics_family(page, "tollgate_values_lag_seconds", GW_METRIC_GAUGE,
                      "How long the oldest of them has waited");
    gw_metrics_sample_real(page, "tollgate_values_lag_seconds", NULL, 0, stat.lag_s);
    one(page, "tollgate_values_checkpoints_total", GW_METRIC_COUNTER,
        "Times the last values on disk were brought up to date", stat.checkpoints);
    one(page, "tollgate_values_rows_written_total", GW_METRIC_COUNTER,
        "Pins written to disk by them", stat.rows_written);
    one(page, "tollgate_values_bytes", GW_METRIC_GAUGE, "Bytes of the last values on disk",
        stat.store_bytes);
    one(page, "tollgate_values_waits_total", GW_METRIC_COUNTER,
        "Times the log waited because the last values' memory was full", stat.waits);
    one(page, "tollgate_values_stalled", GW_METRIC_GAUGE,
        "1 while the last values cannot be written to disk", stat.stalled);
}

static void process_page(struct gateway *g, struct gw_text *page)
{
    const struct {
        const char *kind;
        const struct gw_tls_leaf *leaf;
    } leaves[] = {{"rsa", &g->rsa_leaf}, {"ec", &g->ec_leaf}};
    struct gw_index_stat index = {0};
    bool known = gw_index_stat(g->reader, &index) == 0;

    gw_index_reader_pause(g->reader);
    one(page, "tollgate_index_tokens", GW_METRIC_GAUGE, "Tokens in the index", index.tokens);
    one(page, "tollgate_index_generation", GW_METRIC_GAUGE, "Commits of the index so far",
        index.generation);
    one(page, "tollgate_index_authoritative", GW_METRIC_GAUGE,
        "1 while the index may say that a token does not exist; otherwise logins are answered 19",
        known && index.authoritative);
    one(page, "tollgate_lockout_sources", GW_METRIC_GAUGE, "Addresses that are locked out",
        gw_lockout_list(g->lockout, gw_clock_now(), NULL, 0));
    one(page, "tollgate_lockout_overflows_total", GW_METRIC_COUNTER,
        "Unknown tokens that were not counted, for want of room to remember their address",
        gw_lockout_overflows(g->lockout));
    gw_metrics_family(page, "tollgate_certificate_not_after_seconds", GW_METRIC_GAUGE,
                      "When the certificate in use expires, since 1970");
    for (size_t i = 0; i < GW_ARRAY_COUNT(leaves); i++) {
        struct gw_metric_label label = {.name = "kind", .value = leaves[i].kind};

        if (leaves[i].leaf->present)
            gw_metrics_sample(page, "tollgate_certificate_not_after_seconds", &label, 1,
                              leaves[i].leaf->not_after_s);
    }
    if (g->audit != NULL) {
        struct gw_audit_stat audit;

        gw_audit_stat(g->audit, &audit);
        one(page, "tollgate_audit_lines_total", GW_METRIC_COUNTER, "Lines of the audit log",
            audit.written);
        one(page, "tollgate_audit_lost_total", GW_METRIC_COUNTER,
            "Events that came too fast for it, or that its disk did not take", audit.lost);
    }
    one(page, "tollgate_reloads_total", GW_METRIC_COUNTER,
        "Times certificates or ticket keys were read again", g->reloads);
    one(page, "tollgate_reloads_refused_total", GW_METRIC_COUNTER,
        "Times their files were bad and what was in use was kept", g->reloads_refused);
    one(page, "tollgate_log_lines_dropped_total", GW_METRIC_COUNTER,
        "Log lines that stderr did not take", gw_log_dropped());
    one(page, "tollgate_shards", GW_METRIC_GAUGE, "Shards", g->plan.shards);
    one(page, "tollgate_sessions_max", GW_METRIC_GAUGE, "Connections that can be held",
        g->plan.sessions);
    one(page, "tollgate_uptime_seconds", GW_METRIC_GAUGE, "Since the start",
        gw_ns_between(g->started, gw_clock_now()) / GW_NS_PER_S);
}

static int metrics_page(void *context, struct gw_text *page)
{
    struct gateway *g = context;

    shard_page(g, page);
    uplink_page(g, page);
    values_page(g, page);
    process_page(g, page);
    return 200;
}

static bool stuck(const struct gateway *g, uint32_t *shard)
{
    for (uint32_t i = 0; i < g->plan.shards; i++)
        if (g->threads[i].beats_still >= BEATS_STUCK) {
            *shard = i;
            return true;
        }
    return false;
}

static int live_page(void *context, struct gw_text *page)
{
    const struct gateway *g = context;
    uint32_t shard;

    if (stuck(g, &shard)) {
        gw_text_print(page, "{\"live\":false,\"why\":\"shard %u has not turned for %d s\"}\n",
                      shard, BEATS_STUCK);
        return 503;
    }
    gw_text_print(page, "{\"live\":true}\n");
    return 200;
}

static int ready_page(void *context, struct gw_text *page)
{
    struct gateway *g = context;
    struct gw_uplink_stat uplink;
    struct gw_values_stat values = {.stalled = false};
    struct gw_index_stat index;
    const char *why = NULL;
    uint32_t shard;

    gw_uplink_stat(g->uplink, &uplink);
    if (g->values != NULL)
        gw_values_stat(g->values, &values);
    int err = gw_index_stat(g->reader, &index);

    gw_index_reader_pause(g->reader);
    if (g->draining)
        why = "the gateway is stopping";
    else if (err != 0)
        why = "the token index cannot be read";
    else if (!index.authoritative)
        why = index.why_not;
    else if (uplink.stalled)
        why = "the log cannot be written";
    else if (values.stalled)
        why = "the last values cannot be written";
    else if (stuck(g, &shard))
        why = "a shard does not turn";
    gw_text_print(page, "{\"ready\":%s%s%s%s}\n", why == NULL ? "true" : "false",
                  why == NULL ? "" : ",\"why\":\"", why == NULL ? "" : why,
                  why == NULL ? "" : "\"");
    return why == NULL ? 200 : 503;
}

const struct gw_admin_route gateway_routes[] = {
    {"/metrics", GW_METRICS_CONTENT_TYPE, metrics_page},
    {"/livez", "application/json", live_page},
    {"/readyz", "application/json", ready_page},
};
const size_t gateway_route_count = GW_ARRAY_COUNT(gateway_routes);
