/*
 * librdkafka behind kafka.h. The owner's thread calls; callbacks run inside bench_producer_poll.
 */
#include "kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST_LINGER_MS "50" /* upper bound only: a full batch goes at once */

struct bench_producer {
    rd_kafka_t *kafka;
    rd_kafka_topic_t *topic;
    uint64_t refused;
};

struct bench_broker {
    rd_kafka_t *kafka;
    rd_kafka_mock_cluster_t *cluster;
};

struct setting {
    const char *name, *value;
};

static void on_report(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque)
{
    struct bench_producer *producer = opaque;
    (void)kafka;
    if (!message->err)
        return;
    if (producer->refused++ == 0)
        fprintf(stderr, "kafka: %s\n", rd_kafka_err2str(message->err));
}

/* Takes conf's ownership over to the handle. */
static rd_kafka_t *new_handle(rd_kafka_conf_t *conf, const struct setting *settings, size_t count)
{
    char error[256];
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_conf_set(conf, settings[i].name, settings[i].value, error, sizeof error) != RD_KAFKA_CONF_OK) {
            fprintf(stderr, "kafka: %s\n", error);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (!kafka) {
        fprintf(stderr, "kafka: %s\n", error);
        rd_kafka_conf_destroy(conf);
    }
    return kafka;
}

static int await_topic(struct bench_producer *producer)
{
    for (int i = 0; i < 50; i++) {
        const struct rd_kafka_metadata *metadata = NULL;
        rd_kafka_resp_err_t error = rd_kafka_metadata(producer->kafka, 0, producer->topic, &metadata, 2000);
        bool known = !error && metadata->topic_cnt == 1 && metadata->topics[0].partition_cnt > 0;
        if (!error)
            rd_kafka_metadata_destroy(metadata);
        if (known)
            return 0;
        rd_kafka_poll(producer->kafka, 100);
    }
    fprintf(stderr, "kafka: topic not known to the brokers\n");
    return -1;
}

struct bench_producer *bench_producer_new(const char *brokers, const char *topic, unsigned burst)
{
    char records[16];
    snprintf(records, sizeof records, "%u", burst);
    const struct setting settings[] = {
        {"bootstrap.servers", brokers}, {"linger.ms", burst > 1 ? BURST_LINGER_MS : "0"}, {"batch.num.messages", records},
        {"socket.nagle.disable", "true"}, {"acks", "1"},
    };
    struct bench_producer *producer = calloc(1, sizeof *producer);
    if (!producer)
        return NULL;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_opaque(conf, producer);
    producer->kafka = new_handle(conf, settings, sizeof settings / sizeof *settings);
    if (producer->kafka)
        producer->topic = rd_kafka_topic_new(producer->kafka, topic, NULL);
    if (!producer->topic || await_topic(producer) != 0) {
        bench_producer_free(producer, 0);
        return NULL;
    }
    return producer;
}

int bench_producer_send(struct bench_producer *producer, const char *key, const void *value, size_t n)
{
    /* librdkafka takes the value as non-const; with MSG_F_COPY it only reads it */
    union {
        const void *in;
        void *out;
    } bytes = {.in = value};
    if (rd_kafka_produce(producer->topic, 0, RD_KAFKA_MSG_F_COPY, bytes.out, n, key, strlen(key), NULL) == 0)
        return 0;
    fprintf(stderr, "kafka: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
    return -1;
}

uint64_t bench_producer_poll(struct bench_producer *producer)
{
    rd_kafka_poll(producer->kafka, 0);
    return producer->refused;
}

uint64_t bench_producer_free(struct bench_producer *producer, int timeout_ms)
{
    if (!producer)
        return 0;
    uint64_t lost = 0;
    if (producer->kafka) {
        rd_kafka_flush(producer->kafka, timeout_ms);
        lost = (uint64_t)rd_kafka_outq_len(producer->kafka) + producer->refused;
        if (producer->topic)
            rd_kafka_topic_destroy(producer->topic);
        rd_kafka_destroy(producer->kafka);
    }
    free(producer);
    return lost;
}

struct bench_broker *bench_broker_new(const char *topic)
{
    struct bench_broker *broker = calloc(1, sizeof *broker);
    if (!broker)
        return NULL;
    broker->kafka = new_handle(rd_kafka_conf_new(), NULL, 0);
    if (broker->kafka)
        broker->cluster = rd_kafka_mock_cluster_new(broker->kafka, 1);
    if (!broker->cluster || rd_kafka_mock_topic_create(broker->cluster, topic, 1, 1)) {
        fprintf(stderr, "broker: could not be started\n");
        bench_broker_free(broker);
        return NULL;
    }
    return broker;
}

const char *bench_broker_address(const struct bench_broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}

void bench_broker_free(struct bench_broker *broker)
{
    if (!broker)
        return;
    if (broker->cluster)
        rd_kafka_mock_cluster_destroy(broker->cluster);
    if (broker->kafka)
        rd_kafka_destroy(broker->kafka);
    free(broker);
}
