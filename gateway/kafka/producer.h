/* The producer's inner side: dead letters, tests. Private to gateway/kafka/ and its test. */
#ifndef GW_KAFKA_PRODUCER_H
#define GW_KAFKA_PRODUCER_H

#include "client.h"

#define GW_DLT_PENDING_MAX 10000 /* dead letters on their way; actions have producer.queue */

enum gw_send { GW_SEND_OK, GW_SEND_FULL, GW_SEND_TOO_LARGE, GW_SEND_REFUSED };

/* As gw_producer_send, for dead letters: they have a bound of their own, so that neither kind can starve the other. */
enum gw_send gw_producer_send_dlt(struct gw_producer *p, const struct gw_produce *rec, struct gw_err *err);

struct gw_kafka_stats *gw_producer_stats(struct gw_producer *p);

/* Calls fn with the instance at hand, which cannot be replaced meanwhile. For tests that break it. */
void gw_producer_with_handle(struct gw_producer *p, void (*fn)(rd_kafka_t *rk, void *arg), void *arg);

#endif
