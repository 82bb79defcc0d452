/*
 * The Kafka side of the benchmarks: a producer that sends a burst as one record batch, and a broker that lives in the process
 * (librdkafka's mock cluster) where no real one is given. One thread owns each; librdkafka's own threads do the rest.
 */
#ifndef BENCH_KAFKA_H
#define BENCH_KAFKA_H

#include <stddef.h>
#include <stdint.h>

struct bench_producer;

/* A producer to partition 0 of `topic`, whose batches are sent as soon as they hold `burst` records. Waits until the brokers
 * know the topic. NULL after a line on standard error. */
struct bench_producer *bench_producer_new(const char *brokers, const char *topic, unsigned burst);

/* Hands a record over; key and value are copied. 0, or -1 after a line on standard error. */
int bench_producer_send(struct bench_producer *producer, const char *key, const void *value, size_t n);

/* Serves delivery reports. Returns the number of records that Kafka has refused so far. */
uint64_t bench_producer_poll(struct bench_producer *producer);

/* Waits up to `timeout_ms` for what is under way, then frees. Returns the number of records refused or left over. */
uint64_t bench_producer_free(struct bench_producer *producer, int timeout_ms);

struct bench_broker;

/* A broker on a loopback port of its own with `topic` in one partition. NULL after a line on standard error. */
struct bench_broker *bench_broker_new(const char *topic);
const char *bench_broker_address(const struct bench_broker *broker);
void bench_broker_free(struct bench_broker *broker);

#endif
