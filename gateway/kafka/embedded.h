/* The mock cluster behind the embedded broker, for tests that take it down. Private to gateway/kafka/ and its test. */
#ifndef GW_KAFKA_EMBEDDED_H
#define GW_KAFKA_EMBEDDED_H

#include "gw/kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h> /* needs the one above */

rd_kafka_mock_cluster_t *gw_embedded_cluster(struct gw_embedded *e); /* borrowed */

#endif
