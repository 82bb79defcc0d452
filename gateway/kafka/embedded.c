/* The embedded broker: one node of librdkafka's mock cluster, on loopback, in memory. Its own threads serve it. Good for
 * development and quick tests: it keeps 5 MB a partition, knows no TLS, SASL, look-up by time or deletion of topics, and
 * shows the records of aborted transactions. */
#include "embedded.h"

#include "client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gw_embedded {
    rd_kafka_t *rk;                   /* owned: a client that does nothing but hold the cluster */
    rd_kafka_mock_cluster_t *cluster; /* owned */
};

static rd_kafka_t *holder_new(struct gw_err *err)
{
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "client.id", "sluice-embedded", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "2", NULL, 0); /* it would say that it has no brokers */
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        gw_err_set(err, "embedded broker: %s", why);
    }
    return rk;
}

struct gw_embedded *gw_embedded_start(struct gw_err *err)
{
    rd_kafka_t *rk = holder_new(err);
    if (!rk)
        return NULL;
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    if (!cluster) {
        gw_err_set(err, "embedded broker: cannot listen on loopback");
        gw_kafka_destroy(rk, 3000);
        return NULL;
    }
    struct gw_embedded *e = gw_alloc(sizeof(*e));
    e->rk = rk;
    e->cluster = cluster;
    return e;
}

const char *gw_embedded_brokers(const struct gw_embedded *e)
{
    return rd_kafka_mock_cluster_bootstraps(e->cluster);
}

rd_kafka_mock_cluster_t *gw_embedded_cluster(struct gw_embedded *e)
{
    return e->cluster;
}

int gw_embedded_create_topic(struct gw_embedded *e, const char *name, int partitions, struct gw_err *err)
{
    usleep(2000); /* the cluster's thread throws away a wake-up that comes right behind another, and would sleep for a second */
    rd_kafka_resp_err_t rc = rd_kafka_mock_topic_create(e->cluster, name, partitions, 1);
    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR || rc == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    return gw_err_set(err, "embedded broker: topic %s: %s", name, rd_kafka_err2str(rc));
}

void gw_embedded_stop(struct gw_embedded *e)
{
    if (!e)
        return;
    rd_kafka_mock_cluster_destroy(e->cluster);
    gw_kafka_destroy(e->rk, 3000);
    free(e);
}
