/* The gateway as a whole: the only file that knows every module. Main's thread, but for the calls that the loops make. */
#include "gw/app.h"

#include "gw/clock.h"
#include "gw/dev.h"
#include "gw/hub.h"
#include "gw/kafka.h"
#include "gw/log.h"
#include "gw/metrics.h"
#include "gw/net.h"
#include "gw/policy.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_MS 10000
#define DEV_READY_MS 5000

struct app {
    const struct gw_config_source *src;
    struct gw_embedded *embedded;
    struct gw_policy *first;  /* owns the configuration that the modules were made with */
    struct gw_policy *policy; /* the one in force */
    struct gw_hub *hub;
    struct gw_producer *producer; /* [kafka_lock] */
    struct gw_net *net;
    pthread_rwlock_t kafka_lock; /* the loops ask reader and producer while main may take them down */
    struct gw_reader *reader;    /* [kafka_lock] */
    struct gw_dev_feed *feed;
    _Atomic bool draining;
};

/* ---- configuration ---- */

/* The broker of --dev: the embedded one, unless environment or flags name another. */
static bool brokers_are_named(const struct gw_config *cfg)
{
    const char *from = gw_config_from(cfg, "kafka.brokers");
    return from && (strstr(from, "KAFKA_BROKERS") || strncmp(from, "--", 2) == 0);
}

static void use_demo_page(struct gw_config *cfg)
{
    static const char *const places[] = {"web-demo", "/usr/local/share/sluice/web-demo", "/usr/share/sluice/web-demo"};
    for (size_t i = 0; !*cfg->http_static_dir && i < sizeof(places) / sizeof(*places); i++)
        if (access(places[i], R_OK | X_OK) == 0) {
            free(cfg->http_static_dir);
            cfg->http_static_dir = gw_strdup(places[i]);
        }
}

struct gw_config *gw_app_config(const struct gw_config_source *src, struct gw_err *err)
{
    struct gw_config_source with = *src;
    if (src->dev && !src->file)
        with.builtin = gw_builtin_config;
    struct gw_config *cfg = gw_config_load(&with, err);
    if (!cfg || !src->dev)
        return cfg;
    const char *key = gw_dev_key_file(err);
    if (!key) {
        gw_config_free(cfg);
        return NULL;
    }
    gw_config_use_dev(cfg, NULL, key);
    use_demo_page(cfg);
    return cfg;
}

int gw_app_check(struct gw_config *cfg, struct gw_err *err)
{
    if (gw_kafka_conf_check(cfg, err) != 0) {
        gw_config_free(cfg);
        return -1;
    }
    struct gw_policy *policy = gw_policy_new(cfg, err);
    gw_policy_unref(policy);
    return policy ? 0 : -1;
}

/* ---- what the loops ask ---- */

static const char *state_name(enum gw_kafka_state state)
{
    static const char *const names[] = {"off", "connecting", "up", "down"};
    return names[state];
}

static bool is_ready(void *arg, struct gw_buf *json)
{
    struct app *app = arg;
    pthread_rwlock_rdlock(&app->kafka_lock);
    enum gw_kafka_state state = app->reader ? gw_reader_state(app->reader) : GW_KAFKA_CONNECTING;
    if (!app->first->cfg->kafka_enabled)
        state = GW_KAFKA_OFF;
    bool draining = atomic_load(&app->draining);
    bool ready = !draining && (state == GW_KAFKA_OFF || (app->reader && gw_reader_ready(app->reader)));
    pthread_rwlock_unlock(&app->kafka_lock);
    gw_buf_addf(json, "{\"ready\":%s,\"kafka\":\"%s\",\"draining\":%s}\n", ready ? "true" : "false", state_name(state),
                draining ? "true" : "false");
    return ready;
}

static void add_metrics(void *arg, struct gw_buf *out)
{
    struct app *app = arg;
    pthread_rwlock_rdlock(&app->kafka_lock);
    gw_kafka_metrics(app->reader, app->producer, out);
    pthread_rwlock_unlock(&app->kafka_lock);
}

static void on_kafka_state(void *arg, enum gw_kafka_state state)
{
    struct app *app = arg;
    gw_net_kafka_state(app->net, state);
}

/* ---- start ---- */

static int create_topics(struct app *app, const struct gw_config *cfg, struct gw_err *err)
{
    const char *const *names;
    size_t n = gw_routes_exact_topics(app->policy->routes, &names);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = gw_embedded_create_topic(app->embedded, names[i], 4, err);
    for (size_t i = 0; rc == 0 && i < cfg->nactions; i++)
        if (!gw_routes_wants_topic(app->policy->routes, cfg->actions[i].topic))
            rc = gw_embedded_create_topic(app->embedded, cfg->actions[i].topic, 4, err);
    return rc;
}

static struct gw_policy *load_policy(struct app *app, struct gw_err *err)
{
    struct gw_config *cfg = gw_app_config(app->src, err);
    if (!cfg)
        return NULL;
    if (cfg->dev && cfg->kafka_enabled && !brokers_are_named(cfg)) {
        if (!app->embedded)
            app->embedded = gw_embedded_start(err);
        if (!app->embedded) {
            gw_config_free(cfg);
            return NULL;
        }
        gw_config_use_dev(cfg, gw_embedded_brokers(app->embedded), gw_dev_key_file(err));
    }
    if (gw_kafka_conf_check(cfg, err) != 0) {
        gw_config_free(cfg);
        return NULL;
    }
    return gw_policy_new(cfg, err);
}

static int start_kafka_out(struct app *app, struct gw_err *err)
{
    const struct gw_config *cfg = app->first->cfg;
    if (!cfg->kafka_enabled) {
        GW_LOG(GW_LOG_WARN, "kafka.off", GW_KS("text", "kafka.enabled is false: no event is read, no action is taken"));
        return 0;
    }
    if (app->embedded && create_topics(app, cfg, err) != 0)
        return -1;
    app->producer = gw_producer_start(cfg, err);
    return app->producer ? 0 : -1;
}

static int start_net(struct app *app, struct gw_err *err)
{
    const struct gw_config *cfg = app->first->cfg;
    struct gw_net_init init = {.cfg = cfg, .hub = app->hub, .producer = app->producer, .policy = app->policy,
                               .calls = {.arg = app, .ready = is_ready, .metrics = add_metrics}};
    if (cfg->dev) {
        init.calls.dev_people = gw_dev_people;
        init.calls.dev_token = gw_dev_token;
    }
    app->net = gw_net_start(&init, err);
    return app->net ? 0 : -1;
}

static int start_reader(struct app *app, struct gw_err *err)
{
    if (!app->producer)
        return 0;
    struct gw_reader *reader = gw_reader_start(app->first->cfg, app->policy->routes, app->hub, app->producer,
                                               on_kafka_state, app, err);
    pthread_rwlock_wrlock(&app->kafka_lock);
    app->reader = reader;
    pthread_rwlock_unlock(&app->kafka_lock);
    return reader ? 0 : -1;
}

static int start(struct app *app, struct gw_err *err)
{
    app->policy = load_policy(app, err);
    if (!app->policy)
        return -1;
    app->first = gw_policy_ref(app->policy);
    const struct gw_config *cfg = app->first->cfg;
    gw_log_setup((enum gw_log_level)cfg->log_level, (enum gw_log_format)cfg->log_format);
    app->hub = gw_hub_new(gw_net_loops(cfg), (size_t)cfg->limits_queue_events, (size_t)cfg->limits_queue_bytes);
    if (start_kafka_out(app, err) != 0 || start_net(app, err) != 0 || start_reader(app, err) != 0)
        return -1;
    const char *feed = getenv("SLUICE_DEV_FEED");
    if (cfg->dev && app->producer && !(feed && strcmp(feed, "false") == 0))
        app->feed = gw_dev_feed_start(app->producer);
    return 0;
}

/* In development an event that is produced right behind the LISTEN= line is to be seen. */
static void await_reader(struct app *app)
{
    int64_t until = gw_clock_mono_ms() + DEV_READY_MS;
    while (app->producer && !gw_reader_ready(app->reader) && gw_clock_mono_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void say_hello(struct app *app)
{
    const struct gw_config *cfg = app->first->cfg;
    const char *address = gw_net_address(app->net);
    const char *port = strrchr(address, ':') + 1;
    if (cfg->dev) {
        await_reader(app);
        printf("\n  Sluice " GW_VERSION " in development mode\n\n  Open     %s://localhost:%s/  (twice, as two people)\n",
               *cfg->tls_cert ? "https" : "http", port);
        if (app->producer)
            printf("  Produce  echo '{\"userIds\":[\"u1\"],\"message\":\"Hello from Kafka\",\"type\":\"info\",\"data\":{\"id\":\"1\"}}' | \\\n"
                   "             kcat -P -b %s -t concept-notifications -k u1\n"
                   "  Stop     Ctrl-C\n\nBROKERS=%s\n", cfg->kafka_brokers, cfg->kafka_brokers);
    }
    printf("LISTEN=%s\n", address);
    fflush(stdout);
    GW_LOG(GW_LOG_INFO, "start", GW_KS("version", GW_VERSION), GW_KS("listen", address), GW_KS("brokers", cfg->kafka_brokers),
           GW_KI("loops", gw_net_loops(cfg)), GW_KS("config", cfg->source));
}

/* ---- reload and end ---- */

static void log_difference(void *arg, const char *path, bool reload)
{
    (void)arg;
    if (!reload)
        GW_LOG(GW_LOG_WARN, "reload.needs_restart", GW_KS("option", path));
}

static void reload(struct app *app)
{
    struct gw_err err = {0};
    struct gw_policy *policy = load_policy(app, &err);
    if (!policy) {
        gw_metric_add(GW_M_RELOAD_FAILED, 1);
        GW_LOG(GW_LOG_ERROR, "reload.failed", GW_KS("error", err.text), GW_KS("text", "nothing was changed"));
        return;
    }
    gw_config_compare(app->first->cfg, policy->cfg, log_difference, NULL);
    gw_log_setup((enum gw_log_level)policy->cfg->log_level, (enum gw_log_format)policy->cfg->log_format);
    if (app->producer)
        gw_reader_set_routes(app->reader, policy->routes);
    gw_net_set_policy(app->net, policy);
    gw_policy_unref(app->policy);
    app->policy = policy;
    gw_metric_add(GW_M_RELOAD_OK, 1);
    GW_LOG(GW_LOG_INFO, "reload.done", GW_KS("config", policy->cfg->source));
}

static void stop_kafka(struct app *app)
{
    pthread_rwlock_wrlock(&app->kafka_lock);
    struct gw_reader *reader = app->reader;
    struct gw_producer *producer = app->producer;
    app->reader = NULL;
    app->producer = NULL;
    pthread_rwlock_unlock(&app->kafka_lock);
    gw_reader_stop(reader);
    gw_producer_stop(producer, FLUSH_MS);
}

static void stop(struct app *app, const sigset_t *signals)
{
    const struct gw_config *cfg = app->first->cfg;
    GW_LOG(GW_LOG_INFO, "drain.start", GW_KI("ms", cfg->drain_ms));
    atomic_store(&app->draining, true);
    int64_t delay = cfg->drain_delay_ms;
    if (delay) /* a second signal cuts it short */
        sigtimedwait(signals, NULL, &(struct timespec){.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000});
    gw_dev_feed_stop(app->feed);
    gw_net_drain(app->net);
    gw_hub_stop(app->hub);
    stop_kafka(app);
    gw_net_stop(app->net);
    gw_hub_free(app->hub);
    gw_embedded_stop(app->embedded);
    gw_policy_unref(app->policy);
    gw_policy_unref(app->first);
    GW_LOG(GW_LOG_INFO, "stop");
}

static void block_signals(sigset_t *signals)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

int gw_app_run(const struct gw_config_source *src, struct gw_err *err)
{
    struct app app = {.src = src, .kafka_lock = PTHREAD_RWLOCK_INITIALIZER};
    sigset_t signals;
    block_signals(&signals);
    if (start(&app, err) != 0)
        return 1;
    say_hello(&app);
    for (int sig = 0; sigwait(&signals, &sig) == 0 && sig == SIGHUP;)
        reload(&app);
    stop(&app, &signals);
    return 0;
}
