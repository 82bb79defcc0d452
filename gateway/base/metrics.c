/* Metrics: one block of relaxed atomics a thread, all blocks in one list that only grows; summed when read. */
#include "gw/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define BUCKETS 20
static const int64_t bucket_us[BUCKETS] = {100,    250,    500,     1000,    2500,    5000,    10000,    25000,    50000,    100000,
                                           250000, 500000, 1000000, 2500000, 5000000, 10000000, 20000000, 30000000, 45000000, 60000000};

enum kind { COUNTER, GAUGE, HISTOGRAM, DYNAMIC };
struct row {
    enum kind kind;
    const char *name, *label, *value, *help;
};

static const struct row rows[] = {
#define GW_COUNTER(id, name, help) {COUNTER, name, NULL, NULL, help},
#define GW_COUNTER_L(id, name, label, value, help) {COUNTER, name, label, value, help},
#define GW_GAUGE(id, name, help) {GAUGE, name, NULL, NULL, help},
#define GW_HISTOGRAM(id, name, help) {HISTOGRAM, name, NULL, NULL, help},
#define GW_DYNAMIC(name, kind, labels, help)
#include "gw/tbl/metrics.def"
#undef GW_DYNAMIC
};

static const struct dynamic_row {
    const char *name, *kind, *labels, *help;
} dynamic_rows[] = {
#undef GW_COUNTER
#undef GW_COUNTER_L
#undef GW_GAUGE
#undef GW_HISTOGRAM
#define GW_COUNTER(id, name, help)
#define GW_COUNTER_L(id, name, label, value, help)
#define GW_GAUGE(id, name, help)
#define GW_HISTOGRAM(id, name, help)
#define GW_DYNAMIC(name, kind, labels, help) {name, kind, labels, help},
#include "gw/tbl/metrics.def"
};

struct histogram {
    _Atomic int64_t bucket[BUCKETS + 1];
    _Atomic int64_t sum_us;
};

enum { /* histograms get their own places */
#undef GW_HISTOGRAM
#undef GW_DYNAMIC
#define GW_HISTOGRAM(id, name, help) HIST_##id,
#define GW_DYNAMIC(name, kind, labels, help)
#include "gw/tbl/metrics.def"
    HIST_COUNT
};

struct block {
    struct block *next; /* [const] once linked */
    _Atomic int64_t v[GW_M_COUNT];
    struct histogram hist[HIST_COUNT];
};

static _Atomic(struct block *) blocks;
static __thread struct block *mine;

static struct block *my_block(void)
{
    if (!mine) {
        mine = gw_alloc(sizeof(*mine));
        mine->next = atomic_load(&blocks);
        while (!atomic_compare_exchange_weak(&blocks, &mine->next, mine))
            ;
    }
    return mine;
}

/* The block's thread is the only writer: no read-modify-write is needed. */
static void bump(_Atomic int64_t *v, int64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}

void gw_metric_add(enum gw_metric m, int64_t n)
{
    bump(&my_block()->v[m], n);
}

static size_t hist_index(enum gw_metric m)
{
    size_t index = 0;
    for (enum gw_metric i = 0; i < m; i++)
        index += rows[i].kind == HISTOGRAM;
    return index;
}

void gw_metric_observe_us(enum gw_metric m, int64_t us)
{
    struct histogram *h = &my_block()->hist[hist_index(m)];
    size_t i = 0;
    while (i < BUCKETS && us > bucket_us[i])
        i++;
    bump(&h->bucket[i], 1);
    bump(&h->sum_us, us);
}

int64_t gw_metric_sum(enum gw_metric m)
{
    int64_t sum = 0;
    for (struct block *b = atomic_load(&blocks); b; b = b->next)
        sum += atomic_load_explicit(&b->v[m], memory_order_relaxed);
    return sum;
}

static void render_histogram(struct gw_buf *out, enum gw_metric m)
{
    int64_t bucket[BUCKETS + 1] = {0}, sum = 0, total = 0;
    size_t index = hist_index(m);
    for (struct block *b = atomic_load(&blocks); b; b = b->next) {
        for (size_t i = 0; i <= BUCKETS; i++)
            bucket[i] += atomic_load_explicit(&b->hist[index].bucket[i], memory_order_relaxed);
        sum += atomic_load_explicit(&b->hist[index].sum_us, memory_order_relaxed);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        total += bucket[i];
        gw_buf_addf(out, "%s_bucket{le=\"%g\"} %lld\n", rows[m].name, (double)bucket_us[i] / 1e6, (long long)total);
    }
    total += bucket[BUCKETS];
    gw_buf_addf(out, "%s_bucket{le=\"+Inf\"} %lld\n%s_sum %.6f\n%s_count %lld\n", rows[m].name, (long long)total,
                rows[m].name, (double)sum / 1e6, rows[m].name, (long long)total);
}

static void head(struct gw_buf *out, const char *name, const char *kind, const char *help)
{
    gw_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void gw_metrics_render(struct gw_buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (enum gw_metric m = 0; m < GW_M_COUNT; m++) {
        const struct row *r = &rows[m];
        if (m == 0 || strcmp(rows[m - 1].name, r->name) != 0)
            head(out, r->name, kinds[r->kind], r->help);
        if (r->kind == HISTOGRAM)
            render_histogram(out, m);
        else if (r->label)
            gw_buf_addf(out, "%s{%s=\"%s\"} %lld\n", r->name, r->label, r->value, (long long)gw_metric_sum(m));
        else
            gw_buf_addf(out, "%s %lld\n", r->name, (long long)gw_metric_sum(m));
    }
}

void gw_metrics_head(struct gw_buf *out, const char *name)
{
    for (size_t i = 0; i < sizeof(dynamic_rows) / sizeof(*dynamic_rows); i++)
        if (strcmp(dynamic_rows[i].name, name) == 0)
            head(out, name, dynamic_rows[i].kind, dynamic_rows[i].help);
}

void gw_metrics_series(struct gw_buf *out, const char *name, const char *labels, double value)
{
    if (*labels)
        gw_buf_addf(out, "%s{%s} %.15g\n", name, labels, value);
    else
        gw_buf_addf(out, "%s %.15g\n", name, value);
}

void gw_metrics_label(struct gw_buf *out, const char *label, struct gw_str value)
{
    gw_buf_addf(out, "%s%s=\"", out->len ? "," : "", label);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];
        if (c == '\n')
            gw_buf_add_c(out, "\\n");
        else if (c == '"' || c == '\\')
            gw_buf_addf(out, "\\%c", c);
        else
            gw_buf_add_char(out, c);
    }
    gw_buf_add_char(out, '"');
}

/* "code: 1000, 1002" for a metric whose rows begin at m. */
static void doc_labels(FILE *out, enum gw_metric m)
{
    if (!rows[m].label)
        return;
    fprintf(out, "%s:", rows[m].label);
    for (enum gw_metric k = m; k < GW_M_COUNT && strcmp(rows[k].name, rows[m].name) == 0; k++)
        fprintf(out, "%s %s", k == m ? "" : ",", rows[k].value);
}

void gw_metrics_docs(FILE *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    fputs("# Metrics\n\n`GET /metrics` answers in the Prometheus text format. This page is made from the table in\n"
          "`include/gw/tbl/metrics.def` by `sluice --print-docs metrics`.\n\n"
          "| metric | kind | labels | what it tells |\n| --- | --- | --- | --- |\n",
          out);
    for (enum gw_metric m = 0; m < GW_M_COUNT; m++) {
        if (m > 0 && strcmp(rows[m - 1].name, rows[m].name) == 0)
            continue;
        fprintf(out, "| `%s` | %s | ", rows[m].name, kinds[rows[m].kind]);
        doc_labels(out, m);
        fprintf(out, " | %s |\n", rows[m].help);
    }
    for (size_t i = 0; i < sizeof(dynamic_rows) / sizeof(*dynamic_rows); i++)
        fprintf(out, "| `%s` | %s | %s | %s |\n", dynamic_rows[i].name, dynamic_rows[i].kind, dynamic_rows[i].labels,
                dynamic_rows[i].help);
}
