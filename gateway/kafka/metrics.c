/* What the Kafka layer shows to Prometheus beyond the table of counters: lag and position of each partition, round trips and
 * totals of each client. Any thread; keeps no state. */
#include "producer.h"
#include "reader.h"

#include "gw/metrics.h"

#include <stdlib.h>

/* A partition as it was a moment ago, so that no lock is held while librdkafka is asked. */
struct seen {
    char *topic; /* owned by the first of its topic's; borrowed by the others */
    bool owner;
    int32_t id;
    int64_t position;
};
struct seen_list {
    struct seen *v;
    size_t n, cap;
};

static void add_seen(struct seen_list *l, struct seen s)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->v = gw_realloc(l->v, l->cap * sizeof(*l->v));
    }
    l->v[l->n++] = s;
}

static void look(struct gw_reader *r, struct seen_list *l)
{
    size_t pos = 0;
    void *value;
    pthread_mutex_lock(&r->parts_lock);
    while (gw_map_next(&r->topics, &pos, NULL, &value)) {
        const struct gw_read_topic *t = value;
        char *name = NULL;
        for (size_t i = 0; i < t->nparts; i++) {
            if (!t->parts[i])
                continue;
            bool owner = !name;
            if (owner)
                name = gw_strdup(t->name);
            add_seen(l, (struct seen){name, owner, t->parts[i]->id, atomic_load(&t->parts[i]->position)});
        }
    }
    pthread_mutex_unlock(&r->parts_lock);
}

/* The high watermark is the one that came with the last fetch. Never negative: it may be older than the position. */
static int64_t lag_of(const struct gw_reader *r, const struct seen *s)
{
    int64_t low = -1, high = -1;
    if (rd_kafka_get_watermark_offsets(r->rk, s->topic, s->id, &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return high > s->position ? high - s->position : 0;
}

static void add_series(struct gw_buf *out, struct gw_buf *labels, const char *name, const struct seen *s, int64_t value)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", (int)s->id);
    gw_buf_clear(labels);
    gw_metrics_label(labels, "topic", gw_str_of(s->topic));
    gw_metrics_label(labels, "partition", gw_str_of(id));
    gw_metrics_series(out, name, gw_buf_c(labels), (double)value);
}

static void add_parts(struct gw_reader *r, struct gw_buf *out, struct gw_buf *labels)
{
    struct seen_list l = {0};
    look(r, &l);
    gw_metrics_head(out, "sluice_consumer_lag");
    for (size_t i = 0; i < l.n; i++)
        add_series(out, labels, "sluice_consumer_lag", &l.v[i], lag_of(r, &l.v[i]));
    gw_metrics_head(out, "sluice_consumer_position");
    for (size_t i = 0; i < l.n; i++)
        add_series(out, labels, "sluice_consumer_position", &l.v[i], l.v[i].position);
    for (size_t i = 0; i < l.n; i++)
        if (l.v[i].owner)
            free(l.v[i].topic);
    free(l.v);
}

static void add_rtt(struct gw_buf *out, struct gw_buf *labels, const char *client, const struct gw_kafka_rtt *rtt)
{
    const struct {
        const char *quantile;
        int64_t us;
    } q[] = {{"0.5", rtt->p50_us}, {"0.95", rtt->p95_us}, {"0.99", rtt->p99_us}};
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
        gw_buf_clear(labels);
        gw_metrics_label(labels, "client", gw_str_of(client));
        gw_metrics_label(labels, "broker", gw_str_of(rtt->broker));
        gw_metrics_label(labels, "quantile", gw_str_of(q[i].quantile));
        gw_metrics_series(out, "sluice_kafka_request_latency_seconds", gw_buf_c(labels), (double)q[i].us / 1e6);
    }
}

static void add_total(struct gw_buf *out, struct gw_buf *labels, const char *name, const char *client, const char *direction,
                      int64_t value)
{
    gw_buf_clear(labels);
    gw_metrics_label(labels, "client", gw_str_of(client));
    gw_metrics_label(labels, "direction", gw_str_of(direction));
    gw_metrics_series(out, name, gw_buf_c(labels), (double)value);
}

static struct gw_kafka_stats stats_copy(struct gw_kafka_stats *from)
{
    struct gw_kafka_stats copy = {.nbrokers = 0};
    pthread_mutex_lock(&from->lock);
    copy.rx_msgs = from->rx_msgs;
    copy.rx_bytes = from->rx_bytes;
    copy.tx_msgs = from->tx_msgs;
    copy.tx_bytes = from->tx_bytes;
    copy.nbrokers = from->nbrokers;
    for (size_t i = 0; i < from->nbrokers; i++)
        copy.brokers[i] = from->brokers[i];
    pthread_mutex_unlock(&from->lock);
    return copy;
}

static void add_clients(struct gw_reader *r, struct gw_producer *p, struct gw_buf *out, struct gw_buf *labels)
{
    struct gw_kafka_stats in = {.nbrokers = 0}, up = {.nbrokers = 0};
    if (r)
        in = stats_copy(&r->client.stats);
    if (p)
        up = stats_copy(gw_producer_stats(p));
    gw_metrics_head(out, "sluice_kafka_request_latency_seconds");
    for (size_t i = 0; i < in.nbrokers; i++)
        add_rtt(out, labels, "consumer", &in.brokers[i]);
    for (size_t i = 0; i < up.nbrokers; i++)
        add_rtt(out, labels, "producer", &up.brokers[i]);
    gw_metrics_head(out, "sluice_kafka_messages_total");
    add_total(out, labels, "sluice_kafka_messages_total", "consumer", "received", in.rx_msgs);
    add_total(out, labels, "sluice_kafka_messages_total", "producer", "sent", up.tx_msgs);
    gw_metrics_head(out, "sluice_kafka_bytes_total");
    add_total(out, labels, "sluice_kafka_bytes_total", "consumer", "received", in.rx_bytes);
    add_total(out, labels, "sluice_kafka_bytes_total", "producer", "sent", up.tx_bytes);
}

void gw_kafka_metrics(struct gw_reader *r, struct gw_producer *p, struct gw_buf *out)
{
    struct gw_buf labels;
    gw_buf_init(&labels);
    if (r)
        add_parts(r, out, &labels);
    add_clients(r, p, out, &labels);
    if (p) {
        gw_metrics_head(out, "sluice_producer_queue");
        gw_metrics_series(out, "sluice_producer_queue", "", (double)gw_producer_pending(p));
    }
    gw_buf_fini(&labels);
}
