/* Common ground of the two clients. Callbacks run on the threads that poll; the logs of librdkafka come through its main queue too
 * (log.queue), so that none of its own threads ever writes to standard error. */
#include "client.h"

#include "gw/clock.h"
#include "gw/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

void gw_kafka_client_init(struct gw_kafka_client *c, const char *name)
{
    c->name = name;
    atomic_init(&c->fatal, false);
    gw_kafka_stats_init(&c->stats);
}

void gw_kafka_client_fini(struct gw_kafka_client *c)
{
    gw_kafka_stats_fini(&c->stats);
}

/* A broker that is away is an error to librdkafka; to the gateway it is weather: warn. */
static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    const struct gw_kafka_client *c = rd_kafka_opaque(rk);
    const char *name = c->name;
    if (level <= LOG_CRIT)
        GW_LOG(GW_LOG_ERROR, "kafka.log", GW_KS("client", name), GW_KS("facility", fac), GW_KS("text", text));
    else if (level <= LOG_WARNING)
        GW_LOG(GW_LOG_WARN, "kafka.log", GW_KS("client", name), GW_KS("facility", fac), GW_KS("text", text));
    else if (level <= LOG_INFO)
        GW_LOG(GW_LOG_INFO, "kafka.log", GW_KS("client", name), GW_KS("facility", fac), GW_KS("text", text));
    else
        GW_LOG(GW_LOG_DEBUG, "kafka.log", GW_KS("client", name), GW_KS("facility", fac), GW_KS("text", text));
}

/* Connections that fail are logged by librdkafka itself; topics that are gone, by the watcher, once. */
static bool said_elsewhere(int err)
{
    return err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || err == RD_KAFKA_RESP_ERR__RESOLVE ||
           err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct gw_kafka_client *c = opaque;
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        char why[512] = "";
        rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, why, sizeof(why));
        GW_LOG(GW_LOG_ERROR, "kafka.fatal", GW_KS("client", c->name), GW_KS("error", rd_kafka_err2name(cause)), GW_KS("text", why));
        atomic_store(&c->fatal, true);
        return;
    }
    const char *name = rd_kafka_err2name((rd_kafka_resp_err_t)err);
    if (said_elsewhere(err))
        GW_LOG(GW_LOG_DEBUG, "kafka.error", GW_KS("client", c->name), GW_KS("error", name), GW_KS("text", reason));
    else
        GW_LOG(GW_LOG_WARN, "kafka.error", GW_KS("client", c->name), GW_KS("error", name), GW_KS("text", reason));
}

static int on_stats(rd_kafka_t *rk, char *json, size_t len, void *opaque)
{
    (void)rk;
    struct gw_kafka_client *c = opaque;
    gw_kafka_stats_parse(&c->stats, json, len);
    return 0; /* librdkafka frees the text */
}

rd_kafka_t *gw_kafka_client_open(struct gw_kafka_client *c, enum gw_kafka_role role, rd_kafka_conf_t *conf,
                                 struct gw_err *err)
{
    char why[400] = "";
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_stats_cb(conf, on_stats);
    rd_kafka_t *rk = rd_kafka_new(role == GW_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        gw_err_set(err, "kafka: %s: %s", c->name, why);
        return NULL;
    }
    rd_kafka_set_log_queue(rk, NULL); /* into the main queue */
    return rk;
}

struct timespec gw_kafka_deadline(int64_t wait_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += wait_ms / 1000;
    t.tv_nsec += wait_ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

bool gw_kafka_join(pthread_t thread, int64_t wait_ms)
{
    struct timespec until = gw_kafka_deadline(wait_ms);
    if (pthread_timedjoin_np(thread, NULL, &until) == 0)
        return true;
    pthread_detach(thread);
    return false;
}

static void *destroy_main(void *arg)
{
    rd_kafka_destroy_flags(arg, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

bool gw_kafka_destroy(rd_kafka_t *rk, int64_t wait_ms)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, destroy_main, rk) == 0 && gw_kafka_join(thread, wait_ms))
        return true;
    GW_LOG(GW_LOG_WARN, "kafka.destroy_hangs", GW_KI("waited_ms", wait_ms));
    return false;
}
