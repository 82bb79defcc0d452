/* The reader's thread: takes records one by one, routes them and hands them to the hub; tells it how far each partition has come; carries
 * out the watcher's orders between batches.
 *
 * Back-pressure: gw_hub_publish blocks while a loop's queue is full. Nothing is polled meanwhile, librdkafka's queue (kafka.queue_kbytes)
 * fills, and it stops fetching. There is no pause, resume or seek: they drop what is fetched already, and in librdkafka 2.0 they can
 * read offsets twice or skip them. */
#include "reader.h"

#include "gw/log.h"
#include "gw/metrics.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 1000
#define IDLE_MS 100

static const enum gw_metric drop_metrics[] = {
    [GW_ROUTE_OK] = GW_M_COUNT,
    [GW_ROUTE_NO_MATCH] = GW_M_DROP_NO_MATCH,
    [GW_ROUTE_TOMBSTONE] = GW_M_DROP_TOMBSTONE,
    [GW_ROUTE_TOO_LARGE] = GW_M_DROP_TOO_LARGE,
    [GW_ROUTE_NOT_JSON] = GW_M_DROP_NOT_JSON,
    [GW_ROUTE_MISSING] = GW_M_DROP_MISSING,
    [GW_ROUTE_BAD_ROOM] = GW_M_DROP_BAD_ROOM,
    [GW_ROUTE_TOO_MANY] = GW_M_DROP_TOO_MANY,
};

/* ---- batches ---- */

static void touch(struct gw_reader *r, struct gw_part *p)
{
    if (p->touched)
        return;
    p->touched = true;
    if (r->ntouched == r->touched_cap) {
        r->touched_cap = r->touched_cap ? r->touched_cap * 2 : 64;
        r->touched = gw_realloc(r->touched, r->touched_cap * sizeof(struct gw_part *));
    }
    r->touched[r->ntouched++] = p;
}

static void end_batch(struct gw_reader *r)
{
    for (size_t i = 0; i < r->ntouched; i++) {
        struct gw_part *p = r->touched[i];
        p->touched = false;
        gw_hub_advance(r->hub, gw_str_of(p->topic->name), p->id, atomic_load_explicit(&p->position, memory_order_relaxed));
    }
    r->ntouched = 0;
    gw_metric_add(GW_M_EVENTS_READ, r->batch_records);
    gw_metric_add(GW_M_EVENT_BYTES_READ, r->batch_bytes);
    r->batch_records = r->batch_bytes = 0;
    gw_hub_flush(r->hub);
}

/* ---- records ---- */

static size_t take_headers(struct gw_reader *r, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *h = NULL;
    if (rd_kafka_message_headers(m, &h) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t n = rd_kafka_header_cnt(h);
    if (n > r->headers_cap) {
        r->headers_cap = n;
        r->headers = gw_realloc(r->headers, n * sizeof(*r->headers));
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t len = 0;
        rd_kafka_header_get_all(h, i, &name, &value, &len);
        r->headers[i] = (struct gw_record_header){gw_str_of(name), {value, len}};
    }
    return n;
}

static void fill_record(struct gw_reader *r, const struct gw_part *p, const rd_kafka_message_t *m, struct gw_record *rec)
{
    rd_kafka_timestamp_type_t type;
    rec->topic = gw_str_of(p->topic->name);
    rec->partition = m->partition;
    rec->offset = m->offset;
    rec->time_ms = rd_kafka_message_timestamp(m, &type);
    rec->key = (struct gw_str){m->key, m->key ? m->key_len : 0};
    rec->value = (struct gw_str){m->payload, m->payload ? m->len : 0};
    rec->nheaders = take_headers(r, m);
    rec->headers = r->headers;
}

static void route(struct gw_reader *r, struct gw_part *p, const rd_kafka_message_t *m)
{
    struct gw_record rec;
    struct gw_routed routed;
    struct gw_err err;
    err.set = false;
    fill_record(r, p, m, &rec);
    if (!p->topic->routes)
        p->topic->routes = gw_topic_routes_new(r->routes_now, p->topic->name);
    enum gw_route_reason reason = gw_route_apply(p->topic->routes, &rec, r->scratch, &routed, &err);
    if (reason == GW_ROUTE_OK) {
        if (routed.nrooms > 0)
            gw_hub_publish(r->hub, &rec, &routed);
        return;
    }
    gw_metric_add(drop_metrics[reason], 1);
    if (gw_route_reason_is_dlt(reason))
        gw_dlt_take(r->dlt, &rec, reason, err.text);
}

static void on_record(struct gw_reader *r, const rd_kafka_message_t *m)
{
    struct gw_part *p = gw_assign_find(r, rd_kafka_topic_name(m->rkt), m->partition);
    if (!p || m->offset < atomic_load_explicit(&p->position, memory_order_relaxed))
        return; /* fetched before the partition was dropped, or started anew */
    r->batch_records++;
    r->batch_bytes += (int64_t)m->len;
    /* Before the event's rooms are looked up: whoever marks a room as wanted first and reads the position then, knows that
     * everything from it on comes live. */
    atomic_store(&p->position, m->offset + 1);
    touch(r, p);
    route(r, p, m);
}

/* ---- what is no record ---- */

/* The end as of now: behind transaction markers and removed records too, which no record's offset ever shows. */
static void on_end(struct gw_reader *r, struct gw_part *p, int64_t offset)
{
    if (offset <= atomic_load_explicit(&p->position, memory_order_relaxed))
        return;
    atomic_store(&p->position, offset);
    touch(r, p);
}

static void on_event(struct gw_reader *r, const rd_kafka_message_t *m)
{
    const char *topic = m->rkt ? rd_kafka_topic_name(m->rkt) : NULL;
    struct gw_part *p = topic ? gw_assign_find(r, topic, m->partition) : NULL;
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (p)
            on_end(r, p, m->offset);
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: /* auto.offset.reset=error: librdkafka does not jump, it asks */
        if (p)
            gw_reader_report(r, GW_NOTE_RESET, topic, p->id, atomic_load(&p->position));
        return;
    default:
        GW_LOG(GW_LOG_WARN, "reader.error", GW_KS("topic", topic), GW_KI("partition", m->partition), GW_KI("offset", m->offset),
               GW_KS("error", rd_kafka_err2name(m->err)), GW_KS("text", rd_kafka_message_errstr(m)));
    }
}

/* ---- the thread ---- */

static bool take_one(struct gw_reader *r, int wait_ms)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, wait_ms);
    if (!m)
        return false;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        on_record(r, m);
    else
        on_event(r, m);
    rd_kafka_message_destroy(m);
    return true;
}

/* From here on nothing points into the old routes, and gw_reader_set_routes may return. */
static void take_routes(struct gw_reader *r)
{
    gw_assign_forget_routes(r);
    gw_route_scratch_free(r->scratch);
    pthread_mutex_lock(&r->lock);
    r->routes_now = r->routes;
    r->routes_now_version = atomic_load(&r->routes_version);
    pthread_mutex_unlock(&r->lock);
    r->scratch = gw_route_scratch_new(r->routes_now);
    pthread_mutex_lock(&r->lock);
    r->routes_reader_has = r->routes_now_version;
    pthread_cond_signal(&r->routes_taken);
    pthread_mutex_unlock(&r->lock);
}

static void between_batches(struct gw_reader *r)
{
    if (r->routes_now_version != atomic_load(&r->routes_version))
        take_routes(r);
    if (atomic_load(&r->have_orders))
        gw_assign_carry_out(r);
}

static void end_thread(struct gw_reader *r)
{
    gw_assign_forget_routes(r);
    gw_route_scratch_free(r->scratch);
    r->scratch = NULL;
    pthread_mutex_lock(&r->lock);
    r->reader_ended = true;
    pthread_cond_signal(&r->routes_taken);
    pthread_mutex_unlock(&r->lock);
}

void *gw_reader_thread(void *arg)
{
    struct gw_reader *r = arg;
    pthread_setname_np(pthread_self(), "sluice-reader");
    while (!atomic_load(&r->stop)) {
        size_t n = 0;
        between_batches(r);
        while (n < BATCH_MAX && take_one(r, 0))
            n++;
        /* The first record after a pause goes out alone and at once; what came with it makes up the next batch. */
        if (n == 0 && !take_one(r, IDLE_MS))
            continue;
        end_batch(r);
    }
    end_thread(r);
    return NULL;
}
