/* The configuration of the two clients: fixed choices that the gateway's promises rest on, then the options, then
 * kafka.properties. Any thread; keeps no state. It does not connect. */
#include "conf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SETTINGS_MAX 48

/* A list of settings in the order in which they are applied. */
struct setting {
    const char *name; /* borrowed */
    char *value;      /* owned */
    const char *at;   /* where a property was given; NULL: set by an option or fixed */
    bool optional;    /* not every version of librdkafka knows it, for this client */
};
struct settings {
    struct setting *v; /* owned */
    size_t n, cap;
};

static void add(struct settings *s, const char *name, const char *value, const char *at, bool optional)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : SETTINGS_MAX;
        s->v = gw_realloc(s->v, s->cap * sizeof(*s->v));
    }
    s->v[s->n++] = (struct setting){name, gw_strdup(value), at, optional};
}

static void set(struct settings *s, const char *name, const char *value)
{
    add(s, name, value, NULL, false);
}

static void set_int(struct settings *s, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    set(s, name, text);
}

static void set_if_known(struct settings *s, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    add(s, name, text, NULL, true);
}

static void settings_fini(struct settings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i].value);
    free(s->v);
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void add_security(struct settings *s, const struct gw_config *cfg)
{
    bool sasl = cfg->kafka_username[0] != '\0';
    if (!sasl && !cfg->kafka_ssl)
        return;
    set(s, "security.protocol", sasl ? cfg->kafka_ssl ? "SASL_SSL" : "SASL_PLAINTEXT" : "SSL");
    if (!sasl)
        return;
    set(s, "sasl.mechanisms", cfg->kafka_sasl_mechanism);
    set(s, "sasl.username", cfg->kafka_username);
    set(s, "sasl.password", cfg->kafka_password);
}

static void add_common(struct settings *s, const struct gw_config *cfg)
{
    set(s, "bootstrap.servers", cfg->kafka_brokers);
    set(s, "client.id", cfg->kafka_client_id);
    add_security(s, cfg);
    set_int(s, "socket.connection.setup.timeout.ms", cfg->kafka_connection_timeout_ms);
    set(s, "socket.nagle.disable", "true");
    set(s, "socket.keepalive.enable", "true");
    set_int(s, "reconnect.backoff.ms", cfg->kafka_retry_initial_ms);
    set_int(s, "reconnect.backoff.max.ms", max_i64(2000, cfg->kafka_retry_initial_ms)); /* 10 s by default: too long for clients that wait */
    set_if_known(s, "retry.backoff.ms", cfg->kafka_retry_initial_ms);
    set_if_known(s, "retry.backoff.max.ms", max_i64(1000, cfg->kafka_retry_initial_ms));
    set_int(s, "statistics.interval.ms", 5000);
    set(s, "log.queue", "true");
    set(s, "log.connection.close", "false"); /* brokers close idle connections all the time */
}

/* assign() needs a group.id all the same. Each node has one of its own, so that no two could ever share offsets. */
static void add_group_id(struct settings *s, const struct gw_config *cfg)
{
    uint64_t node = 0;
    if (getrandom(&node, sizeof(node), 0) != (ssize_t)sizeof(node))
        node = (uint64_t)(uintptr_t)s;
    struct gw_buf text;
    gw_buf_init(&text);
    gw_buf_addf(&text, "%s-%016" PRIx64, cfg->kafka_group_id, node);
    set(s, "group.id", gw_buf_c(&text));
    gw_buf_fini(&text);
}

static void add_consumer(struct settings *s, const struct gw_config *cfg)
{
    /* A real broker ends the wait as soon as there is data, so the wait only bounds how long a partition that was just
     * assigned stands outside the fetch that is under way. The embedded broker sleeps it out. */
    int64_t fetch_wait_ms = cfg->dev ? 10 : 100;
    add_group_id(s, cfg);
    set_int(s, "socket.timeout.ms", max_i64(cfg->kafka_request_timeout_ms, fetch_wait_ms + 1001));
    set(s, "enable.auto.commit", "false");
    set(s, "enable.auto.offset.store", "false");
    set(s, "auto.offset.reset", "error");
    set(s, "isolation.level", "read_committed");
    set(s, "enable.partition.eof", "true");
    set(s, "max.poll.interval.ms", "86400000"); /* back-pressure may hold the reader for as long as it takes */
    set_int(s, "fetch.wait.max.ms", fetch_wait_ms);
    set_int(s, "queued.max.messages.kbytes", cfg->kafka_queue_kbytes);
    set_int(s, "fetch.max.bytes", min_i64(52428800, max_i64(1048576, cfg->kafka_queue_kbytes * 1024)));
    set(s, "fetch.error.backoff.ms", "100");
    set_if_known(s, "fetch.queue.backoff.ms", 10);
}

static void add_producer(struct settings *s, const struct gw_config *cfg)
{
    set_int(s, "socket.timeout.ms", cfg->kafka_request_timeout_ms);
    set_int(s, "request.timeout.ms", cfg->kafka_request_timeout_ms);
    set(s, "enable.idempotence", "true");
    set(s, "acks", "all");
    set(s, "linger.ms", "0"); /* what comes while a request is under way shares the next one */
    set_int(s, "message.timeout.ms", cfg->producer_timeout_ms);
    set_int(s, "retries", max_i64(1, cfg->kafka_retries)); /* idempotence refuses 0 */
    set_int(s, "queue.buffering.max.messages", cfg->producer_queue + 10000);
    set_int(s, "queue.buffering.max.kbytes", 262144);
    set(s, "partitioner", "murmur2_random"); /* the same key goes where the Java clients put it */
}

static void drop_unknown(struct settings *s, const struct gw_kafka_scopes *scopes, enum gw_kafka_role role)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].optional && !gw_kafka_scopes_has(scopes, s->v[i].name, role))
            free(s->v[i].value);
        else
            s->v[kept++] = s->v[i];
    }
    s->n = kept;
}

/* -1: one of them is unknown to librdkafka or may not be given. */
static int add_properties(struct settings *s, const struct gw_config *cfg, const struct gw_kafka_scopes *scopes,
                          enum gw_kafka_role role, struct gw_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < cfg->nproperties && rc == 0; i++) {
        const struct gw_cfg_pair *p = &cfg->properties[i];
        const char *why = gw_kafka_property_refused(p->name, p->value);
        if (why)
            rc = gw_err_set(err, "%s: may not be \"%s\": %s", p->at, gw_kafka_property_secret(p->name) ? "********" : p->value, why);
        else if (!gw_kafka_scopes_known(scopes, p->name))
            rc = gw_err_set(err, "%s: librdkafka %s knows no such property", p->at, rd_kafka_version_str());
        else if (gw_kafka_scopes_has(scopes, p->name, role))
            add(s, p->name, p->value, p->at, false);
    }
    return rc;
}

static int collect(struct settings *s, const struct gw_config *cfg, enum gw_kafka_role role, struct gw_err *err)
{
    add_common(s, cfg);
    if (role == GW_KAFKA_CONSUMER)
        add_consumer(s, cfg);
    else
        add_producer(s, cfg);
    struct gw_kafka_scopes *scopes = gw_kafka_scopes_new();
    drop_unknown(s, scopes, role);
    int rc = add_properties(s, cfg, scopes, role, err);
    gw_kafka_scopes_free(scopes);
    return rc;
}

static int apply(rd_kafka_conf_t *conf, const struct settings *s, struct gw_err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct setting *e = &s->v[i];
        char why[256] = "";
        rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, e->name, e->value, why, sizeof(why));
        if (res == RD_KAFKA_CONF_OK)
            continue;
        if (gw_kafka_property_secret(e->name)) /* librdkafka's text may show the value */
            snprintf(why, sizeof(why), "value refused");
        return gw_err_set(err, "%s: %s", e->at ? e->at : e->name, why);
    }
    return 0;
}

rd_kafka_conf_t *gw_kafka_conf_new(const struct gw_config *cfg, enum gw_kafka_role role, struct gw_err *err)
{
    struct settings s = {0};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (collect(&s, cfg, role, err) != 0 || apply(conf, &s, err) != 0) {
        rd_kafka_conf_destroy(conf);
        conf = NULL;
    }
    settings_fini(&s);
    return conf;
}

void gw_kafka_conf_print(const struct gw_config *cfg, struct gw_buf *out)
{
    static const char *const names[] = {[GW_KAFKA_CONSUMER] = "consumer", [GW_KAFKA_PRODUCER] = "producer"};
    for (enum gw_kafka_role role = GW_KAFKA_CONSUMER; role <= GW_KAFKA_PRODUCER; role++) {
        struct settings s = {0};
        (void)collect(&s, cfg, role, NULL); /* what is refused is gw_kafka_conf_check's to say */
        for (size_t i = 0; i < s.n; i++)
            gw_buf_addf(out, "%s.%s=%s\n", names[role], s.v[i].name,
                        gw_kafka_property_secret(s.v[i].name) ? "********" : s.v[i].value);
        settings_fini(&s);
    }
}

/* A client without brokers: librdkafka checks what only rd_kafka_new checks (files, mechanisms, values that need each
 * other), and connects to nobody. */
static int check_role(const struct gw_config *cfg, enum gw_kafka_role role, struct gw_err *err)
{
    rd_kafka_conf_t *conf = gw_kafka_conf_new(cfg, role, err);
    if (!conf)
        return -1;
    char why[400] = "";
    rd_kafka_conf_set(conf, "bootstrap.servers", NULL, why, sizeof(why));
    rd_kafka_t *rk = rd_kafka_new(role == GW_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return gw_err_set(err, "kafka: %s", why);
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return 0;
}

int gw_kafka_conf_check(const struct gw_config *cfg, struct gw_err *err)
{
    return check_role(cfg, GW_KAFKA_CONSUMER, err) == 0 ? check_role(cfg, GW_KAFKA_PRODUCER, err) : -1;
}
