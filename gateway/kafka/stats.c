/* Reads the few figures that are wanted out of librdkafka's statistics (STATISTICS.md): message totals and each broker's
 * round trip. Called on the thread that polls the client; read on any. */
#include "client.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

void gw_kafka_stats_init(struct gw_kafka_stats *s)
{
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
}

void gw_kafka_stats_fini(struct gw_kafka_stats *s)
{
    pthread_mutex_destroy(&s->lock);
}

static int64_t number(struct json_object *o, const char *key)
{
    struct json_object *v = NULL;
    return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

static struct gw_kafka_rtt *rtt_of(struct gw_kafka_stats *s, const char *broker)
{
    char name[sizeof(s->brokers[0].broker)];
    snprintf(name, sizeof(name), "%s", broker);
    for (size_t i = 0; i < s->nbrokers; i++)
        if (strcmp(s->brokers[i].broker, name) == 0)
            return &s->brokers[i];
    if (s->nbrokers == GW_KAFKA_BROKERS_MAX)
        return NULL;
    struct gw_kafka_rtt *r = &s->brokers[s->nbrokers++];
    memcpy(r->broker, name, sizeof(name));
    return r;
}

/* A broker without requests in the interval keeps its last figures. */
static void take_broker(struct gw_kafka_stats *s, struct json_object *broker)
{
    struct json_object *name = NULL, *rtt = NULL;
    if (number(broker, "nodeid") < 0 || !json_object_object_get_ex(broker, "nodename", &name) ||
        !json_object_object_get_ex(broker, "rtt", &rtt) || number(rtt, "cnt") == 0)
        return;
    struct gw_kafka_rtt *r = rtt_of(s, json_object_get_string(name));
    if (!r)
        return;
    r->p50_us = number(rtt, "p50");
    r->p95_us = number(rtt, "p95");
    r->p99_us = number(rtt, "p99");
}

static void take(struct gw_kafka_stats *s, struct json_object *root)
{
    pthread_mutex_lock(&s->lock);
    s->rx_msgs = number(root, "rxmsgs");
    s->rx_bytes = number(root, "rxmsg_bytes");
    s->tx_msgs = number(root, "txmsgs");
    s->tx_bytes = number(root, "txmsg_bytes");
    struct json_object *brokers = NULL;
    if (json_object_object_get_ex(root, "brokers", &brokers) && json_object_is_type(brokers, json_type_object)) {
        json_object_object_foreach(brokers, key, broker)
        {
            (void)key;
            take_broker(s, broker);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

void gw_kafka_stats_parse(struct gw_kafka_stats *s, const char *json, size_t len)
{
    struct json_tokener *tok = json_tokener_new();
    struct json_object *root = len < INT32_MAX ? json_tokener_parse_ex(tok, json, (int)len) : NULL;
    if (root && json_object_is_type(root, json_type_object))
        take(s, root);
    json_object_put(root);
    json_tokener_free(tok);
}
