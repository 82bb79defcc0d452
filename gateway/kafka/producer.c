/* The idempotent producer. Any thread sends; one thread, sluice-producer, serves delivery reports, answers, and replaces the
 * instance after a fatal error. It keeps a list of what is pending, so that each record is answered exactly once even where
 * librdkafka hangs. It knows nothing of actions or envelopes. */
#include "producer.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 100
#define PURGE_MS 2000         /* how long a purged instance may take to give its reports */
#define DESTROY_MS 2000
#define RECREATE_MIN_MS 100   /* between two replacements; doubled each time up to the maximum, as the reason may last */
#define RECREATE_MAX_MS 30000
#define RECREATE_CALM_MS 60000

enum kind { ACTION, DEAD_LETTER, KINDS };

struct pending {
    struct pending *prev, *next; /* [lock] */
    gw_produced_fn done;
    void *arg;
    enum kind kind;
    unsigned generation; /* of the instance that has it */
};

struct gw_producer {
    const struct gw_config *cfg; /* [const] borrowed */
    struct gw_kafka_client client;
    pthread_rwlock_t swap; /* held for reading around produce, for writing while the instance is replaced */
    rd_kafka_t *rk;        /* [swap] owned */
    unsigned generation;   /* [swap] */
    pthread_mutex_t lock;
    struct pending head;   /* [lock] a ring */
    size_t count[KINDS];   /* [lock] */
    atomic_bool closing;   /* nothing more is accepted */
    atomic_bool stop;      /* the thread ends */
    pthread_t thread;
    int64_t recreated_ms;  /* [thread] */
    int64_t recreate_wait_ms; /* [thread] */
};

static void link_pending(struct gw_producer *p, struct pending *e)
{
    e->next = &p->head;
    e->prev = p->head.prev;
    e->prev->next = e;
    p->head.prev = e;
    p->count[e->kind]++;
}

static void unlink_pending(struct gw_producer *p, struct pending *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    p->count[e->kind]--;
}

static struct pending *pending_new(struct gw_producer *p, const struct gw_produce *rec, enum kind kind)
{
    size_t max = kind == ACTION ? (size_t)p->cfg->producer_queue : GW_DLT_PENDING_MAX;
    struct pending *e = gw_alloc(sizeof(*e));
    *e = (struct pending){.done = rec->done, .arg = rec->arg, .kind = kind, .generation = p->generation};
    pthread_mutex_lock(&p->lock);
    bool room = p->count[kind] < max;
    if (room)
        link_pending(p, e);
    pthread_mutex_unlock(&p->lock);
    if (room)
        return e;
    free(e);
    return NULL;
}

static void forget(struct gw_producer *p, struct pending *e)
{
    pthread_mutex_lock(&p->lock);
    unlink_pending(p, e);
    pthread_mutex_unlock(&p->lock);
}

/* ---- sending ---- */

static rd_kafka_headers_t *headers_of(const struct gw_produce *rec)
{
    if (rec->nheaders == 0)
        return NULL;
    rd_kafka_headers_t *h = rd_kafka_headers_new(rec->nheaders);
    for (size_t i = 0; i < rec->nheaders; i++)
        rd_kafka_header_add(h, rec->headers[i].name.p, (ssize_t)rec->headers[i].name.len, rec->headers[i].value.p,
                            (ssize_t)rec->headers[i].value.len);
    return h;
}

static rd_kafka_resp_err_t produce(rd_kafka_t *rk, const struct gw_produce *rec, struct pending *e)
{
    rd_kafka_headers_t *headers = headers_of(rec);
    rd_kafka_resp_err_t rc = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(rec->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY((void *)(uintptr_t)rec->key.p, rec->key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)rec->value.p, rec->value.len), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(e), RD_KAFKA_V_END);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR && headers)
        rd_kafka_headers_destroy(headers);
    return rc;
}

static enum gw_send refused(rd_kafka_resp_err_t rc, struct gw_err *err)
{
    gw_err_set(err, "%s", rd_kafka_err2str(rc));
    switch (rc) {
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return GW_SEND_FULL;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return GW_SEND_TOO_LARGE;
    default:
        return GW_SEND_REFUSED;
    }
}

static enum gw_send send_kind(struct gw_producer *p, const struct gw_produce *rec, enum kind kind, struct gw_err *err)
{
    pthread_rwlock_rdlock(&p->swap);
    enum gw_send result = GW_SEND_OK;
    struct pending *e = NULL;
    if (atomic_load(&p->closing)) {
        gw_err_set(err, "the producer is going down");
        result = GW_SEND_REFUSED;
    } else if (!(e = pending_new(p, rec, kind))) {
        gw_err_set(err, kind == ACTION ? "too many actions wait for Kafka (producer.queue)" : "too many dead letters wait for Kafka");
        result = GW_SEND_FULL;
    } else {
        rd_kafka_resp_err_t rc = produce(p->rk, rec, e);
        if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
            forget(p, e);
            free(e);
            result = refused(rc, err);
        }
    }
    pthread_rwlock_unlock(&p->swap);
    return result;
}

int gw_producer_send(struct gw_producer *p, const struct gw_produce *rec, struct gw_err *err)
{
    enum gw_send result = send_kind(p, rec, ACTION, err);
    if (result == GW_SEND_FULL)
        gw_metric_add(GW_M_LIMIT_ACTIONS, 1);
    return result == GW_SEND_OK ? 0 : result == GW_SEND_TOO_LARGE ? -2 : -1;
}

enum gw_send gw_producer_send_dlt(struct gw_producer *p, const struct gw_produce *rec, struct gw_err *err)
{
    return send_kind(p, rec, DEAD_LETTER, err);
}

size_t gw_producer_pending(struct gw_producer *p)
{
    pthread_mutex_lock(&p->lock);
    size_t n = p->count[ACTION] + p->count[DEAD_LETTER];
    pthread_mutex_unlock(&p->lock);
    return n;
}

struct gw_kafka_stats *gw_producer_stats(struct gw_producer *p)
{
    return &p->client.stats;
}

void gw_producer_with_handle(struct gw_producer *p, void (*fn)(rd_kafka_t *rk, void *arg), void *arg)
{
    pthread_rwlock_rdlock(&p->swap);
    fn(p->rk, arg);
    pthread_rwlock_unlock(&p->swap);
}

/* ---- answers, all on the producer's thread ---- */

/* Errors that the same record will meet again. */
static bool worth_another_try(rd_kafka_resp_err_t rc)
{
    switch (rc) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return false;
    default:
        return true;
    }
}

static void answer(struct pending *e, const struct gw_produced *result)
{
    if (e->done)
        e->done(e->arg, result);
    free(e);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct gw_kafka_client *c = opaque;
    struct gw_producer *p = (struct gw_producer *)((char *)c - offsetof(struct gw_producer, client));
    struct pending *e = m->_private;
    forget(p, e);
    struct gw_produced result = {.ok = m->err == RD_KAFKA_RESP_ERR_NO_ERROR, .partition = m->partition, .offset = m->offset};
    if (!result.ok) {
        result.error = rd_kafka_err2str(m->err);
        result.retry = worth_another_try(m->err);
    }
    answer(e, &result);
}

/* What an instance of this generation or an older one still owes is answered for it: it is polled no more. */
static size_t give_up(struct gw_producer *p, unsigned generation)
{
    static const struct gw_produced lost = {.error = "Kafka did not answer in time", .retry = true};
    struct pending *left = NULL;
    size_t n = 0;
    pthread_mutex_lock(&p->lock);
    for (struct pending *e = p->head.next, *next; e != &p->head; e = next) {
        next = e->next;
        if (e->generation > generation)
            continue;
        unlink_pending(p, e);
        e->next = left;
        left = e;
    }
    pthread_mutex_unlock(&p->lock);
    for (struct pending *next; left; left = next, n++) {
        next = left->next;
        answer(left, &lost);
    }
    return n;
}

/* ---- an instance's beginning and end ---- */

/* librdkafka looks a topic up up to a second after its first use (the scan of rd_kafka_topic.c): each action's topic is used
 * now, so that the first action does not wait for it. The instance keeps a topic once it knows it. */
static void know_topics(const struct gw_config *cfg, rd_kafka_t *rk)
{
    for (size_t i = 0; i < cfg->nactions; i++) {
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, cfg->actions[i].topic, NULL);
        if (rkt)
            rd_kafka_topic_destroy(rkt);
    }
}

static rd_kafka_t *instance_new(struct gw_producer *p, struct gw_err *err)
{
    rd_kafka_conf_t *conf = gw_kafka_conf_new(p->cfg, GW_KAFKA_PRODUCER, err);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = gw_kafka_client_open(&p->client, GW_KAFKA_PRODUCER, conf, err);
    if (rk)
        know_topics(p->cfg, rk);
    return rk;
}

/* Purging without waiting: a broker's thread may hang in a DNS look-up. also: another instance to be served meanwhile, or NULL. */
static void instance_end(struct gw_producer *p, rd_kafka_t *rk, unsigned generation, rd_kafka_t *also)
{
    int64_t until = gw_clock_mono_ms() + PURGE_MS;
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    while (rd_kafka_poll(rk, 10), rd_kafka_outq_len(rk) > 0 && gw_clock_mono_ms() < until)
        if (also)
            rd_kafka_poll(also, 0);
    size_t left = give_up(p, generation);
    if (left > 0)
        GW_LOG(GW_LOG_WARN, "producer.gave_up", GW_KI("records", left));
    gw_kafka_destroy(rk, DESTROY_MS);
}

/* A fatal error ends an idempotent instance for good (its sequence numbers are in doubt): everything in flight is answered with
 * retry, and a new instance goes on. */
static void recreate(struct gw_producer *p)
{
    int64_t now = gw_clock_mono_ms();
    if (now - p->recreated_ms < p->recreate_wait_ms)
        return;
    p->recreate_wait_ms = now - p->recreated_ms > RECREATE_CALM_MS ? RECREATE_MIN_MS : p->recreate_wait_ms * 2;
    if (p->recreate_wait_ms > RECREATE_MAX_MS)
        p->recreate_wait_ms = RECREATE_MAX_MS;
    p->recreated_ms = now;
    struct gw_err err = {0};
    rd_kafka_t *fresh = instance_new(p, &err);
    if (!fresh) {
        GW_LOG(GW_LOG_ERROR, "producer.recreate_failed", GW_KS("text", err.text));
        return;
    }
    atomic_store(&p->client.fatal, false);
    pthread_rwlock_wrlock(&p->swap);
    rd_kafka_t *old = p->rk;
    unsigned generation = p->generation++;
    p->rk = fresh;
    pthread_rwlock_unlock(&p->swap);
    gw_metric_add(GW_M_PRODUCER_RECREATED, 1);
    GW_LOG(GW_LOG_WARN, "producer.recreated", GW_KI("pending", rd_kafka_outq_len(old)));
    instance_end(p, old, generation, fresh);
    if (!rd_kafka_fatal_error(fresh, NULL, 0)) /* the old one may have said it once more while it was purged */
        atomic_store(&p->client.fatal, false);
}

static void *producer_main(void *arg)
{
    struct gw_producer *p = arg;
    pthread_setname_np(pthread_self(), "sluice-producer");
    while (!atomic_load(&p->stop)) {
        rd_kafka_poll(p->rk, POLL_MS);
        if (atomic_load(&p->client.fatal))
            recreate(p);
    }
    instance_end(p, p->rk, p->generation, NULL);
    return NULL;
}

struct gw_producer *gw_producer_start(const struct gw_config *cfg, struct gw_err *err)
{
    struct gw_producer *p = gw_alloc(sizeof(*p));
    p->cfg = cfg;
    p->head.prev = p->head.next = &p->head;
    p->recreate_wait_ms = RECREATE_MIN_MS;
    p->recreated_ms = gw_clock_mono_ms() - RECREATE_CALM_MS;
    gw_kafka_client_init(&p->client, "producer");
    pthread_rwlock_init(&p->swap, NULL);
    pthread_mutex_init(&p->lock, NULL);
    p->rk = instance_new(p, err);
    if (p->rk && pthread_create(&p->thread, NULL, producer_main, p) == 0)
        return p;
    if (p->rk) {
        gw_err_set(err, "kafka: cannot start the producer's thread");
        gw_kafka_destroy(p->rk, DESTROY_MS);
    }
    gw_kafka_client_fini(&p->client);
    pthread_rwlock_destroy(&p->swap);
    pthread_mutex_destroy(&p->lock);
    free(p);
    return NULL;
}

void gw_producer_stop(struct gw_producer *p, int64_t flush_ms)
{
    if (!p)
        return;
    int64_t until = gw_clock_mono_ms() + flush_ms;
    pthread_rwlock_wrlock(&p->swap); /* behind it no sender is inside, and those to come are refused */
    atomic_store(&p->closing, true);
    pthread_rwlock_unlock(&p->swap);
    while (gw_producer_pending(p) > 0 && gw_clock_mono_ms() < until)
        usleep(2000);
    atomic_store(&p->stop, true);
    if (!gw_kafka_join(p->thread, POLL_MS + 2 * (PURGE_MS + DESTROY_MS) + 1000)) {
        GW_LOG(GW_LOG_ERROR, "producer.hangs"); /* its memory is left to it */
        return;
    }
    gw_kafka_client_fini(&p->client);
    pthread_rwlock_destroy(&p->swap);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
