/* The reader's beginning and end, and what other threads may ask of it. What its two threads do stands in poll.c, assign.c and
 * watcher.c, topics.c, offsets.c. */
#include "reader.h"

#include "gw/clock.h"
#include "gw/log.h"

#include <stdlib.h>
#include <string.h>

#define READER_JOIN_MS 5000
#define WATCHER_JOIN_MS 12000 /* it may sit in a question to a broker that does not answer */
#define DESTROY_MS 3000

/* ---- notes ---- */

void gw_notes_init(struct gw_notes *l)
{
    l->first = NULL;
    l->last = &l->first;
}

void gw_notes_add(struct gw_notes *l, enum gw_note_kind kind, const char *topic, int32_t partition, int64_t offset)
{
    struct gw_note *n = gw_alloc(sizeof(*n));
    *n = (struct gw_note){.kind = kind, .topic = gw_strdup(topic), .partition = partition, .offset = offset};
    *l->last = n;
    l->last = &n->next;
}

void gw_notes_take(struct gw_notes *from, struct gw_notes *to)
{
    if (!from->first)
        return;
    *to->last = from->first;
    to->last = from->last;
    gw_notes_init(from);
}

void gw_notes_fini(struct gw_notes *l)
{
    for (struct gw_note *n = l->first, *next; n; n = next) {
        next = n->next;
        free(n->topic);
        free(n);
    }
    gw_notes_init(l);
}

void gw_reader_order(struct gw_reader *r, struct gw_notes *orders)
{
    if (!orders->first)
        return;
    pthread_mutex_lock(&r->lock);
    gw_notes_take(orders, &r->orders);
    atomic_store(&r->have_orders, true);
    pthread_mutex_unlock(&r->lock);
    rd_kafka_queue_yield(r->queue);
}

void gw_reader_report(struct gw_reader *r, enum gw_note_kind kind, const char *topic, int32_t partition, int64_t offset)
{
    pthread_mutex_lock(&r->lock);
    gw_notes_add(&r->reports, kind, topic, partition, offset);
    pthread_cond_signal(&r->watcher_wake);
    pthread_mutex_unlock(&r->lock);
}

/* ---- what others may ask ---- */

enum gw_kafka_state gw_reader_state(struct gw_reader *r)
{
    return (enum gw_kafka_state)atomic_load(&r->state);
}

bool gw_reader_ready(struct gw_reader *r)
{
    if (gw_reader_state(r) != GW_KAFKA_UP)
        return false;
    /* In this order: a start moves from unresolved to ordered, and is in both for a moment. */
    if (!atomic_load(&r->settled) && atomic_load(&r->listed) && atomic_load(&r->unresolved) == 0 && atomic_load(&r->ordered) == 0)
        atomic_store(&r->settled, true);
    return atomic_load(&r->settled);
}

void gw_reader_set_routes(struct gw_reader *r, const struct gw_routes *routes)
{
    pthread_mutex_lock(&r->lock);
    r->routes = routes;
    unsigned version = atomic_fetch_add(&r->routes_version, 1) + 1;
    pthread_cond_signal(&r->watcher_wake);
    pthread_mutex_unlock(&r->lock);
    rd_kafka_queue_yield(r->queue);
    pthread_mutex_lock(&r->lock);
    while (r->routes_reader_has != version && !r->reader_ended)
        pthread_cond_wait(&r->routes_taken, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

/* ---- beginning and end ---- */

static int open_consumer(struct gw_reader *r, struct gw_err *err)
{
    rd_kafka_conf_t *conf = gw_kafka_conf_new(r->cfg, GW_KAFKA_CONSUMER, err);
    if (!conf)
        return -1;
    r->rk = gw_kafka_client_open(&r->client, GW_KAFKA_CONSUMER, conf, err);
    if (!r->rk)
        return -1;
    /* The main queue (logs, errors, statistics) is not redirected into the consumer's: the watcher serves it, and the reader
     * has records alone. */
    r->queue = rd_kafka_queue_get_consumer(r->rk);
    return 0;
}

static void init_sync(struct gw_reader *r)
{
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->watcher_wake, &mono);
    pthread_cond_init(&r->routes_taken, NULL);
    pthread_mutex_init(&r->parts_lock, NULL);
    pthread_condattr_destroy(&mono);
    gw_notes_init(&r->orders);
    gw_notes_init(&r->reports);
    gw_map_init(&r->topics);
    gw_kafka_client_init(&r->client, "consumer");
}

/* Both threads have ended or were never started. */
static void reader_free(struct gw_reader *r)
{
    gw_assign_free(r);
    if (r->queue)
        rd_kafka_queue_destroy(r->queue);
    if (r->rk)
        gw_kafka_destroy(r->rk, DESTROY_MS);
    gw_notes_fini(&r->orders);
    gw_notes_fini(&r->reports);
    gw_dlt_free(r->dlt);
    gw_kafka_client_fini(&r->client);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->parts_lock);
    pthread_cond_destroy(&r->watcher_wake);
    pthread_cond_destroy(&r->routes_taken);
    free(r);
}

/* true: it has ended. */
static bool end_thread(struct gw_reader *r, pthread_t thread, int64_t wait_ms)
{
    atomic_store(&r->stop, true);
    pthread_mutex_lock(&r->lock);
    pthread_cond_signal(&r->watcher_wake);
    pthread_mutex_unlock(&r->lock);
    rd_kafka_queue_yield(r->queue);
    return gw_kafka_join(thread, wait_ms);
}

struct gw_reader *gw_reader_start(const struct gw_config *cfg, const struct gw_routes *routes, struct gw_hub *hub,
                                  struct gw_producer *producer, gw_kafka_state_fn on_state, void *arg,
                                  struct gw_err *err)
{
    struct gw_reader *r = gw_alloc(sizeof(*r));
    init_sync(r);
    r->cfg = cfg;
    r->hub = hub;
    r->on_state = on_state;
    r->on_state_arg = arg;
    r->routes = routes;
    atomic_store(&r->state, GW_KAFKA_CONNECTING);
    atomic_store(&r->routes_version, 1);
    r->dlt = gw_dlt_new(cfg, producer);
    if (open_consumer(r, err) != 0)
        goto fail;
    if (pthread_create(&r->reader_thread, NULL, gw_reader_thread, r) != 0) {
        gw_err_set(err, "kafka: cannot start the reader's thread");
        goto fail;
    }
    if (pthread_create(&r->watcher_thread, NULL, gw_watcher_thread, r) != 0) {
        gw_err_set(err, "kafka: cannot start the watcher's thread");
        end_thread(r, r->reader_thread, READER_JOIN_MS);
        goto fail;
    }
    return r;
fail:
    reader_free(r);
    return NULL;
}

void gw_reader_stop(struct gw_reader *r)
{
    if (!r)
        return;
    bool watcher = end_thread(r, r->watcher_thread, WATCHER_JOIN_MS);
    bool reader = end_thread(r, r->reader_thread, READER_JOIN_MS);
    if (watcher && reader)
        reader_free(r);
    else /* its memory is left to it: the process is about to end */
        GW_LOG(GW_LOG_ERROR, "reader.hangs", GW_KS("thread", reader ? "sluice-kafka" : "sluice-reader"));
}
