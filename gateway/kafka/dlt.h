/* Dead letters: records that could not be decoded or routed. Private to gateway/kafka/; used by the reader's thread. */
#ifndef GW_KAFKA_DLT_H
#define GW_KAFKA_DLT_H

#include "producer.h"

struct gw_dlt;
struct gw_dlt *gw_dlt_new(const struct gw_config *cfg, struct gw_producer *producer); /* owned; producer borrowed, may be NULL */
void gw_dlt_free(struct gw_dlt *d);

/* Produces the record to its dead-letter topic and logs it. Where the producer has no room it waits, at most a second, and not again
 * until there was room once more: a flood of bad records must not hold good ones back for long. */
void gw_dlt_take(struct gw_dlt *d, const struct gw_record *rec, enum gw_route_reason reason, const char *text);

#endif
