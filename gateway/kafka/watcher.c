/* The watcher's thread: serves the consumer's main queue (logs, errors, statistics), asks Kafka whether it is there and what
 * topics it has, and finds out where partitions start. It may wait for answers, each time for a bounded while; the reader never waits for it. */
#include "watcher.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <stdlib.h>
#include <string.h>

#define TICK_MS 200          /* between two looks at the main queue */
#define SOON_MS 500          /* next look at the topics where something is missing */
#define REFUSED_BACKOFF_MS 1000

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- state ---- */

static void set_state(struct gw_reader *r, enum gw_kafka_state state)
{
    static const char *const names[] = {"off", "connecting", "up", "down"};
    enum gw_kafka_state before = (enum gw_kafka_state)atomic_load(&r->state);
    if (state == before)
        return;
    atomic_store(&r->state, (int)state);
    gw_metric_add(GW_M_KAFKA_UP, (state == GW_KAFKA_UP) - (before == GW_KAFKA_UP));
    if (state == GW_KAFKA_DOWN)
        GW_LOG(GW_LOG_WARN, "kafka.state", GW_KS("state", names[state]), GW_KS("brokers", r->cfg->kafka_brokers));
    else
        GW_LOG(GW_LOG_INFO, "kafka.state", GW_KS("state", names[state]), GW_KS("brokers", r->cfg->kafka_brokers));
    if (r->on_state)
        r->on_state(r->on_state_arg, state);
}

static void update_state(struct gw_watch *w)
{
    const struct gw_config *cfg = w->r->cfg;
    int64_t since = w->answered_ms ? w->answered_ms : w->started_ms;
    bool silent = gw_clock_mono_ms() - since > cfg->kafka_health_interval_ms + cfg->kafka_down_grace_ms;
    if (silent)
        set_state(w->r, GW_KAFKA_DOWN);
    else if (w->answered_ms)
        set_state(w->r, GW_KAFKA_UP);
}

/* ---- reports ---- */

static void wait_for_start(struct gw_watch *w, const struct gw_note *n, int64_t backoff_ms)
{
    struct gw_watch_part *p = gw_watch_find(w, n->topic, n->partition);
    if (!p || !p->given)
        return;
    p->given = false;
    p->from = GW_FROM_POSITION;
    p->position = n->offset;
    p->backoff_ms = backoff_ms;
    p->retry_ms = gw_clock_mono_ms() + backoff_ms;
}

static void take_reports(struct gw_watch *w)
{
    struct gw_notes l;
    gw_notes_init(&l);
    pthread_mutex_lock(&w->r->lock);
    gw_notes_take(&w->r->reports, &l);
    pthread_mutex_unlock(&w->r->lock);
    for (const struct gw_note *n = l.first; n; n = n->next)
        wait_for_start(w, n, n->kind == GW_NOTE_REFUSED ? REFUSED_BACKOFF_MS : 0);
    gw_notes_fini(&l);
}

/* ---- what is due ---- */

static void look_at_topics(struct gw_watch *w)
{
    const struct gw_config *cfg = w->r->cfg;
    int rc = gw_watch_list(w);
    int64_t every = cfg->kafka_topic_refresh_ms;
    if (rc != 0)
        every = min_i64(every, cfg->kafka_health_interval_ms);
    else if (w->suspicious)
        every = min_i64(every, SOON_MS);
    int64_t now = gw_clock_mono_ms();
    w->refresh_ms = now + every;
    if (rc == 0) {
        w->listed = true;
        w->health_ms = now + cfg->kafka_health_interval_ms; /* it has just answered */
    }
    gw_watch_give_orders(w);
}

/* Returns when it wants to be called again, monotonic ms. */
static int64_t round_of(struct gw_watch *w)
{
    if (w->routes_version != atomic_load(&w->r->routes_version))
        gw_watch_take_routes(w);
    take_reports(w);
    int64_t now = gw_clock_mono_ms();
    bool answers = true;
    if (now >= w->health_ms) {
        answers = gw_watch_ping(w) == 0;
        w->health_ms = gw_clock_mono_ms() + w->r->cfg->kafka_health_interval_ms;
        update_state(w);
    }
    if (!answers) { /* whatever else is asked would only take longer to fail */
        w->refresh_ms = w->refresh_ms > w->health_ms ? w->refresh_ms : w->health_ms;
        return w->health_ms;
    }
    if (now >= w->refresh_ms)
        look_at_topics(w);
    int64_t due = gw_watch_resolve(w);
    if (w->listed)
        atomic_store(&w->r->listed, true); /* not before `unresolved` is known */
    update_state(w);
    return min_i64(due, min_i64(w->health_ms, w->refresh_ms));
}

static void serve_main_queue(struct gw_watch *w)
{
    while (rd_kafka_poll(w->r->rk, 0) > 0)
        ;
}

static void wait_until(struct gw_watch *w, int64_t due_ms)
{
    struct gw_reader *r = w->r;
    int64_t until = min_i64(due_ms, gw_clock_mono_ms() + TICK_MS);
    struct timespec t = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    pthread_mutex_lock(&r->lock);
    while (!atomic_load(&r->stop) && !r->reports.first && w->routes_version == atomic_load(&r->routes_version))
        if (pthread_cond_timedwait(&r->watcher_wake, &r->lock, &t) != 0)
            break;
    pthread_mutex_unlock(&r->lock);
}

void *gw_watcher_thread(void *arg)
{
    struct gw_watch w = {.r = arg};
    pthread_setname_np(pthread_self(), "sluice-kafka");
    gw_map_init(&w.topics);
    gw_notes_init(&w.orders);
    w.started_ms = gw_clock_mono_ms();
    while (!atomic_load(&w.r->stop)) {
        int64_t due = round_of(&w);
        serve_main_queue(&w);
        wait_until(&w, due);
    }
    if (gw_reader_state(w.r) == GW_KAFKA_UP)
        gw_metric_add(GW_M_KAFKA_UP, -1);
    gw_watch_free_topics(&w);
    gw_notes_fini(&w.orders);
    return NULL;
}
