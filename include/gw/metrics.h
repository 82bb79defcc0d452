/* Counters, gauges and histograms: one block of atomics a thread (written by that thread alone, relaxed), summed when
 * read. tbl/metrics.def is the list of all of them; docs/metrics.md and /metrics come from it. What has labels that
 * are known only at run time (topic, partition, broker, loop) is rendered by its module with gw_metrics_series. */
#ifndef GW_METRICS_H
#define GW_METRICS_H

#include "gw/buf.h"

#include <stdint.h>
#include <stdio.h>

enum gw_metric {
#define GW_COUNTER(id, name, help) GW_M_##id,
#define GW_COUNTER_L(id, name, label, value, help) GW_M_##id,
#define GW_GAUGE(id, name, help) GW_M_##id,
#define GW_HISTOGRAM(id, name, help) GW_M_##id,
#define GW_DYNAMIC(name, kind, labels, help)
#include "gw/tbl/metrics.def"
#undef GW_COUNTER
#undef GW_COUNTER_L
#undef GW_GAUGE
#undef GW_HISTOGRAM
#undef GW_DYNAMIC
    GW_M_COUNT
};

/* Adds on the calling thread's block (made at first use). For gauges n may be negative: the sum over threads counts. */
void gw_metric_add(enum gw_metric m, int64_t n);
int64_t gw_metric_sum(enum gw_metric m); /* over all threads */

/* Histograms only: one observation of so many microseconds. Buckets: 100 us to 60 s. */
void gw_metric_observe_us(enum gw_metric m, int64_t us);

/* Prometheus text format 0.0.4 of everything in the table with values here. */
void gw_metrics_render(struct gw_buf *out);
/* "# HELP", "# TYPE" of a GW_DYNAMIC row; then its series are added with gw_metrics_series. */
void gw_metrics_head(struct gw_buf *out, const char *name);
/* One line: name{labels} value. labels: "topic=\"a\",partition=\"0\"" (values escaped with gw_metrics_label), may be "". */
void gw_metrics_series(struct gw_buf *out, const char *name, const char *labels, double value);
void gw_metrics_label(struct gw_buf *out, const char *label, struct gw_str value); /* appends label="escaped", with a comma before it where needed */

void gw_metrics_docs(FILE *out); /* docs/metrics.md */

#endif
