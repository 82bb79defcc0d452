/* For the tests of the Kafka layer: the embedded broker, a configuration for it, and a hub that only takes notes. A test program
 * that includes this has the reader's side of gw_hub_* from here, not from gateway/hub. */
#ifndef GW_TEST_KAFKA_KIT_H
#define GW_TEST_KAFKA_KIT_H

#include "config_load.h"

#include "../../gateway/kafka/embedded.h"
#include "../../gateway/kafka/producer.h"

#include "gw/clock.h"
#include "gw/kafka.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 20000

#define AWAIT(condition)                                                                                              \
    do {                                                                                                              \
        int64_t until_ = gw_clock_mono_ms() + WAIT_MS;                                                                \
        while (!(condition)) {                                                                                        \
            if (gw_clock_mono_ms() > until_)                                                                          \
                fail_msg("%s:%d: never came true: %s", __FILE__, __LINE__, #condition);                               \
            usleep(2000);                                                                                             \
        }                                                                                                             \
    } while (0)

/* ---- the hub that takes notes ---- */

struct seen {
    char topic[64], event[64], room[64], key[64], header[64];
    int32_t partition;
    int64_t offset, time_ms;
    size_t value_len, nheaders;
    char value[64]; /* its beginning */
    bool null_key;
};
struct gw_hub {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct seen *v; /* [lock] */
    size_t n, cap;  /* [lock] */
    bool hold;      /* [lock] publish blocks */
    bool blocked;   /* [lock] and somebody does */
    bool stopped;   /* [lock] */
    size_t flushed; /* [lock] v[0..flushed) have been flushed */
    int64_t next[8]; /* [lock] of the first partitions of the topic that was advanced last */
    char advanced[64];
};

static inline struct gw_hub *hub_new(void)
{
    struct gw_hub *h = gw_alloc(sizeof(*h));
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->change, NULL);
    return h;
}

static inline void hub_free(struct gw_hub *h)
{
    free(h->v);
    free(h);
}

static inline void copy_text(char out[64], struct gw_str s)
{
    size_t n = s.len < 63 ? s.len : 63;
    if (n > 0)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

unsigned gw_hub_publish(struct gw_hub *h, const struct gw_record *rec, const struct gw_routed *routed)
{
    struct seen s = {.partition = rec->partition, .offset = rec->offset, .time_ms = rec->time_ms, .value_len = rec->value.len,
                     .nheaders = rec->nheaders, .null_key = rec->key.p == NULL};
    copy_text(s.topic, rec->topic);
    copy_text(s.event, routed->event);
    copy_text(s.room, routed->rooms[0]);
    copy_text(s.key, rec->key);
    copy_text(s.value, rec->value);
    if (rec->nheaders > 0)
        copy_text(s.header, rec->headers[0].value);
    pthread_mutex_lock(&h->lock);
    while (h->hold && !h->stopped) {
        h->blocked = true;
        pthread_cond_wait(&h->change, &h->lock);
    }
    h->blocked = false;
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 256;
        h->v = gw_realloc(h->v, h->cap * sizeof(*h->v));
    }
    h->v[h->n++] = s;
    pthread_mutex_unlock(&h->lock);
    return 1;
}

void gw_hub_advance(struct gw_hub *h, struct gw_str topic, int32_t partition, int64_t next_offset)
{
    pthread_mutex_lock(&h->lock);
    copy_text(h->advanced, topic);
    if (partition < 8)
        h->next[partition] = next_offset;
    pthread_mutex_unlock(&h->lock);
}

void gw_hub_flush(struct gw_hub *h)
{
    pthread_mutex_lock(&h->lock);
    h->flushed = h->n;
    pthread_mutex_unlock(&h->lock);
}

static inline void hub_set(struct gw_hub *h, bool hold, bool stopped)
{
    pthread_mutex_lock(&h->lock);
    h->hold = hold;
    h->stopped = stopped;
    pthread_cond_broadcast(&h->change);
    pthread_mutex_unlock(&h->lock);
}

static inline size_t hub_flushed(struct gw_hub *h)
{
    pthread_mutex_lock(&h->lock);
    size_t n = h->flushed;
    pthread_mutex_unlock(&h->lock);
    return n;
}

static inline bool hub_blocked(struct gw_hub *h)
{
    pthread_mutex_lock(&h->lock);
    bool blocked = h->blocked;
    pthread_mutex_unlock(&h->lock);
    return blocked;
}

static inline int64_t hub_next(struct gw_hub *h, int32_t partition)
{
    pthread_mutex_lock(&h->lock);
    int64_t next = h->next[partition];
    pthread_mutex_unlock(&h->lock);
    return next;
}

static inline struct seen hub_at(struct gw_hub *h, size_t i)
{
    pthread_mutex_lock(&h->lock);
    assert_true(i < h->n);
    struct seen s = h->v[i];
    pthread_mutex_unlock(&h->lock);
    return s;
}

/* ---- broker, configuration, client ---- */

struct kit {
    struct gw_embedded *broker;
    struct gw_config *cfg;
    struct gw_routes *routes;
    struct gw_hub *hub;
    struct gw_producer *producer;
    struct gw_reader *reader;
    rd_kafka_t *client; /* a producer that has nothing to do with the gateway's */
    _Atomic int states[4]; /* how often each was told */
};

/* A route over `topics` (a YAML list); the quick intervals that a test wants; then what `more` says under kafka:. */
static inline struct gw_config *kit_config(const struct gw_embedded *broker, const char *topics, const char *more)
{
    struct gw_buf yaml;
    gw_buf_init(&yaml);
    gw_buf_addf(&yaml,
                "kafka:\n"
                "  brokers: \"%s\"\n"
                "  topic_refresh_ms: 100\n"
                "  health_interval_ms: 100\n"
                "  down_grace_ms: 400\n"
                "%s"
                "actions: []\n"
                "routes:\n"
                "  - topics: %s\n"
                "    event: test.event\n"
                "    rooms: [\"all:{topic}\"]\n"
                "    require: [n]\n",
                broker ? gw_embedded_brokers(broker) : "127.0.0.1:9", more, topics);
    struct gw_config *c = must_load(gw_buf_c(&yaml));
    gw_buf_fini(&yaml);
    return c;
}

static inline rd_kafka_t *kit_client(const char *brokers)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)), RD_KAFKA_CONF_OK);
    rd_kafka_conf_set(conf, "linger.ms", "1", why, sizeof(why));
    rd_kafka_conf_set(conf, "log_level", "2", why, sizeof(why));
    rd_kafka_conf_set(conf, "batch.size", "200000", why, sizeof(why));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_non_null(rk);
    return rk;
}

static inline void kit_put(struct kit *k, const char *topic, int32_t partition, const char *value, size_t len)
{
    rd_kafka_resp_err_t rc = rd_kafka_producev(
        k->client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
        RD_KAFKA_V_KEY("k", 1), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len), RD_KAFKA_V_END);
    assert_int_equal(rc, RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* {"n":first} ... {"n":first+count-1} */
static inline void kit_put_numbers(struct kit *k, const char *topic, int32_t partition, int first, int count)
{
    char value[32];
    for (int i = first; i < first + count; i++) {
        int len = snprintf(value, sizeof(value), "{\"n\":%d}", i);
        kit_put(k, topic, partition, value, (size_t)len);
    }
    assert_int_equal(rd_kafka_flush(k->client, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static inline void kit_on_state(void *arg, enum gw_kafka_state state)
{
    struct kit *k = arg;
    atomic_fetch_add(&k->states[state], 1);
}

static inline void kit_start(struct kit *k, const char *topics, const char *more)
{
    struct gw_err err = {0};
    memset(k, 0, sizeof(*k));
    gw_log_setup(getenv("GW_TEST_LOG") ? GW_LOG_DEBUG : GW_LOG_ERROR, GW_LOG_LOGFMT);
    k->broker = gw_embedded_start(&err);
    assert_non_null(k->broker);
    k->client = kit_client(gw_embedded_brokers(k->broker));
    k->cfg = kit_config(k->broker, topics, more);
    k->routes = gw_routes_new(k->cfg, &err);
    if (!k->routes)
        fail_msg("%s", err.text);
    k->hub = hub_new();
    k->producer = gw_producer_start(k->cfg, &err);
    if (!k->producer)
        fail_msg("%s", err.text);
}

static inline void kit_read(struct kit *k)
{
    struct gw_err err = {0};
    k->reader = gw_reader_start(k->cfg, k->routes, k->hub, k->producer, kit_on_state, k, &err);
    if (!k->reader)
        fail_msg("%s", err.text);
    AWAIT(gw_reader_ready(k->reader));
}

static inline void kit_stop(struct kit *k)
{
    hub_set(k->hub, false, true);
    gw_reader_stop(k->reader);
    gw_producer_stop(k->producer, 1000);
    rd_kafka_destroy(k->client);
    gw_embedded_stop(k->broker);
    gw_routes_free(k->routes);
    gw_config_free(k->cfg);
    hub_free(k->hub);
}

#endif
