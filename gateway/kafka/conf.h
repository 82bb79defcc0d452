/* From the configuration to what librdkafka is told. Private to gateway/kafka/. */
#ifndef GW_KAFKA_CONF_H
#define GW_KAFKA_CONF_H

#include "gw/kafka.h"

#include <librdkafka/rdkafka.h>

enum gw_kafka_role { GW_KAFKA_CONSUMER, GW_KAFKA_PRODUCER };

/* Owned by the caller until rd_kafka_new takes it. NULL with err. */
rd_kafka_conf_t *gw_kafka_conf_new(const struct gw_config *cfg, enum gw_kafka_role role, struct gw_err *err);

/* Which clients know a property, from librdkafka's own list. */
struct gw_kafka_scopes;
struct gw_kafka_scopes *gw_kafka_scopes_new(void); /* owned */
void gw_kafka_scopes_free(struct gw_kafka_scopes *s);
bool gw_kafka_scopes_known(const struct gw_kafka_scopes *s, const char *name);
bool gw_kafka_scopes_has(const struct gw_kafka_scopes *s, const char *name, enum gw_kafka_role role);

/* NULL: a value of kafka.properties that may stand; else why not: a promise would break, or another option sets it. */
const char *gw_kafka_property_refused(const char *name, const char *value);
bool gw_kafka_property_secret(const char *name);

#endif
