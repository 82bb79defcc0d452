/* Kafka: the reader (records to the hub), the producer (actions, dead letters), health, and the embedded broker of dev
 * mode. librdkafka's types stay inside gateway/kafka/. */
#ifndef GW_KAFKA_H
#define GW_KAFKA_H

#include "gw/config.h"
#include "gw/hub.h"
#include "gw/route.h"

/* ---- the embedded broker: librdkafka's mock cluster, in this process, for development and quick tests ---- */
struct gw_embedded;
struct gw_embedded *gw_embedded_start(struct gw_err *err); /* owned; loopback, a free port */
const char *gw_embedded_brokers(const struct gw_embedded *e); /* "127.0.0.1:port" */
/* Makes a topic; one that exists already is fine and stays as it is. Any client's first use of a name makes a topic too, with 4 partitions. */
int gw_embedded_create_topic(struct gw_embedded *e, const char *name, int partitions, struct gw_err *err);
void gw_embedded_stop(struct gw_embedded *e); /* NULL is fine; after reader and producer, which it would leave without a broker */

/* ---- the producer: one per node, idempotent, acks=all ---- */
struct gw_producer;

/* Outcome of one record. Called exactly once for each accepted one, on the producer's own thread; must not block. */
struct gw_produced {
    bool ok;
    int32_t partition; /* where ok */
    int64_t offset;
    const char *error; /* where not ok; borrowed for the call */
    bool retry;        /* where not ok: worth another try */
};
typedef void (*gw_produced_fn)(void *arg, const struct gw_produced *result);

struct gw_produce {
    const char *topic;
    struct gw_str key;   /* p NULL: null key */
    struct gw_str value;
    const struct gw_record_header *headers;
    size_t nheaders;
    gw_produced_fn done; /* may be NULL */
    void *arg;
};

struct gw_producer *gw_producer_start(const struct gw_config *cfg, struct gw_err *err); /* owned; does not wait for Kafka */
/* [any thread] Copies everything; never blocks. 0, or -1 where it cannot be taken now (producer.queue is full, shutting down), or -2 where it never
 * will be (larger than message.max.bytes): `done` is not called then. Partitions are chosen by the key as the Java clients do (murmur2); a null key takes any. */
int gw_producer_send(struct gw_producer *p, const struct gw_produce *rec, struct gw_err *err);
size_t gw_producer_pending(struct gw_producer *p); /* accepted and not answered yet, dead letters included */
/* Waits until nothing is pending or the time is over; what is left is answered as not ok. Then joins its thread and frees. Bounded in time. */
void gw_producer_stop(struct gw_producer *p, int64_t flush_ms); /* NULL is fine; after gw_reader_stop, as the reader sends dead letters */

/* ---- the reader: one thread that reads every partition of every routed topic ---- */
struct gw_reader;
enum gw_kafka_state { GW_KAFKA_OFF, GW_KAFKA_CONNECTING, GW_KAFKA_UP, GW_KAFKA_DOWN };
typedef void (*gw_kafka_state_fn)(void *arg, enum gw_kafka_state state); /* on the watcher thread, at each change */

/* routes is borrowed for the reader's life or until gw_reader_set_routes has returned. producer takes the dead letters (may be NULL: they are counted
 * and logged only). Returns at once; Kafka may be away. */
struct gw_reader *gw_reader_start(const struct gw_config *cfg, const struct gw_routes *routes, struct gw_hub *hub,
                                  struct gw_producer *producer, gw_kafka_state_fn on_state, void *arg,
                                  struct gw_err *err);
/* [main] New routes after a reload: when it returns, the reader no longer uses the old ones. Topics that are no longer routed are dropped, new
 * ones are read from their end. */
void gw_reader_set_routes(struct gw_reader *r, const struct gw_routes *routes);
/* [any thread] */
enum gw_kafka_state gw_reader_state(struct gw_reader *r);
/* Kafka has answered within health interval + kafka.down_grace_ms, and there was a moment at which the first topic list was read and every
 * partition that has a leader was assigned. Partitions that turn up later do not take it back. */
bool gw_reader_ready(struct gw_reader *r);
void gw_reader_stop(struct gw_reader *r); /* NULL is fine; bounded in time; gw_hub_stop was called before */

/* [any thread] Lag, position, request latency, message rates, queue of both; either may be NULL. One function, because a metric's series of both
 * clients must stand in one block of the text format. */
void gw_kafka_metrics(struct gw_reader *r, struct gw_producer *p, struct gw_buf *out);

/* What librdkafka was told, for --print-config and docs: name=value lines, password masked. */
void gw_kafka_conf_print(const struct gw_config *cfg, struct gw_buf *out);
/* Checks kafka.properties and the mapping without connecting: for --check. -1 with file:line. */
int gw_kafka_conf_check(const struct gw_config *cfg, struct gw_err *err);

#endif
