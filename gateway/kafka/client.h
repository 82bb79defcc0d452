/* What the consumer and the producer have in common: callbacks, statistics, an end that is bounded in time. Private to
 * gateway/kafka/. */
#ifndef GW_KAFKA_CLIENT_H
#define GW_KAFKA_CLIENT_H

#include "conf.h"

#include <pthread.h>
#include <stdatomic.h>

#define GW_KAFKA_BROKERS_MAX 64

/* The last statistics of a client. Any thread, under the lock. */
struct gw_kafka_stats {
    pthread_mutex_t lock;
    int64_t rx_msgs, rx_bytes, tx_msgs, tx_bytes; /* [lock] since the client was made */
    size_t nbrokers;                              /* [lock] */
    struct gw_kafka_rtt {
        char broker[64];               /* host:port, cut */
        int64_t p50_us, p95_us, p99_us; /* of the last interval that had requests */
    } brokers[GW_KAFKA_BROKERS_MAX];   /* [lock] */
};

void gw_kafka_stats_init(struct gw_kafka_stats *s);
void gw_kafka_stats_fini(struct gw_kafka_stats *s);
/* Takes in librdkafka's JSON; text that is not what was expected changes nothing. */
void gw_kafka_stats_parse(struct gw_kafka_stats *s, const char *json, size_t len);

/* The opaque of a rd_kafka_t: must outlive it. */
struct gw_kafka_client {
    const char *name; /* "consumer", "producer": for logs and metrics */
    struct gw_kafka_stats stats;
    atomic_bool fatal; /* librdkafka said that the instance is dead */
};

void gw_kafka_client_init(struct gw_kafka_client *c, const char *name);
void gw_kafka_client_fini(struct gw_kafka_client *c);

/* Sets log, error and statistics callbacks. They are called by the threads that poll: logs and statistics by the one that calls
 * rd_kafka_poll, errors by that one or the one that takes records. Takes conf, on failure too. NULL with err. */
rd_kafka_t *gw_kafka_client_open(struct gw_kafka_client *c, enum gw_kafka_role role, rd_kafka_conf_t *conf,
                                 struct gw_err *err);

/* Destroys on a thread of its own and waits at most wait_ms; an instance that hangs is left behind, and logged. All
 * rd_kafka_topic_t and rd_kafka_queue_t of it must have been given back. false: it was left behind. */
bool gw_kafka_destroy(rd_kafka_t *rk, int64_t wait_ms);

/* Joins; false after wait_ms: it still runs, and what it uses must be left alone. */
bool gw_kafka_join(pthread_t thread, int64_t wait_ms);
struct timespec gw_kafka_deadline(int64_t wait_ms); /* CLOCK_REALTIME, for pthread_*timed* */

#endif
