/*
 * Prometheus' text format, version 0.0.4: a family says once what it is, then come its samples.
 *
 *     gw_metrics_family(page, "tollgate_sessions", GW_METRIC_GAUGE, "Sessions open now.");
 *     gw_metrics_sample(page, "tollgate_sessions", labels, label_count, 8000);
 *
 * The format wants every sample of a family in one block behind its head.
 * Source: prometheus.io, "Exposition formats", text-based format.
 */
#ifndef GW_APP_METRICS_TEXT_H
#define GW_APP_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include <gw/app/text.h>

#define GW_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum gw_metric_type {
    GW_METRIC_COUNTER, /* only grows; its name ends in _total */
    GW_METRIC_GAUGE,
};

struct gw_metric_label {
    const char *name;
    const char *value; /* escaped here */
};

/* The HELP and TYPE lines. Names are ours: a name that the format does not allow is asserted. */
void gw_metrics_family(struct gw_text *page, const char *name, enum gw_metric_type type,
                       const char *help);

void gw_metrics_sample(struct gw_text *page, const char *name, const struct gw_metric_label *labels,
                       size_t label_count, uint64_t value);

/* For what is not a whole number: seconds, ratios. NaN and the infinities are legal. */
void gw_metrics_sample_real(struct gw_text *page, const char *name,
                            const struct gw_metric_label *labels, size_t label_count, double value);

#endif
