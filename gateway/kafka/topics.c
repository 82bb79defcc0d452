/* Which topics and partitions there are. On the watcher's thread.
 *
 * Single topics are asked for one by one, which needs no more rights than reading them does and costs big clusters nothing; a ^regex, or
 * many topics, take the list of the whole cluster. Names that begin with two underscores are Kafka's own: only an exact route
 * reads them. */
#include "watcher.h"

#include "gw/clock.h"
#include "gw/log.h"

#include <stdlib.h>
#include <string.h>

#define SINGLE_TOPICS_MAX 64 /* more than that are cheaper by one list */
#define LIST_TIMEOUT_MS 5000
#define PING_TIMEOUT_MIN_MS 500
#define PING_TIMEOUT_MAX_MS 2000 /* also how long the end of the process may have to wait for it */
/* A broker that has just started may not know all topics yet. One that was forgotten too early would be read from its beginning
 * when it comes back. */
#define MISSES_MAX 3

void gw_watch_order(struct gw_watch *w, enum gw_note_kind kind, const char *topic, int32_t partition, int64_t offset)
{
    gw_notes_add(&w->orders, kind, topic, partition, offset);
    w->norders++;
}

void gw_watch_give_orders(struct gw_watch *w)
{
    atomic_fetch_add(&w->r->ordered, w->norders);
    w->norders = 0;
    gw_reader_order(w->r, &w->orders);
}

struct gw_watch_part *gw_watch_find(struct gw_watch *w, const char *topic, int32_t partition)
{
    struct gw_watch_topic *t = gw_map_get(&w->topics, gw_str_of(topic));
    return t && partition >= 0 && partition < t->nparts ? &t->parts[partition] : NULL;
}

/* ---- the table ---- */

/* kind: DROP or FORGET */
static void drop_parts(struct gw_watch *w, struct gw_watch_topic *t, enum gw_note_kind kind)
{
    for (int32_t i = 0; i < t->nparts; i++)
        if (t->parts[i].given)
            gw_watch_order(w, kind, t->name, i, -1);
    free(t->parts);
    t->parts = NULL;
    t->nparts = 0;
}

static void topic_free(void *value)
{
    struct gw_watch_topic *t = value;
    if (t->rkt)
        rd_kafka_topic_destroy(t->rkt);
    free(t->parts);
    free(t->name);
    free(t);
}

void gw_watch_free_topics(struct gw_watch *w)
{
    gw_map_fini(&w->topics, topic_free);
    for (size_t i = 0; i < w->nexact; i++)
        free(w->exact[i]);
    free(w->exact);
}

static struct gw_watch_topic *topic_new(struct gw_watch *w, const char *name, enum gw_from from)
{
    struct gw_watch_topic *t = gw_alloc(sizeof(*t));
    t->name = gw_strdup(name);
    t->from = from;
    gw_map_put(&w->topics, gw_str_of(name), t);
    return t;
}

static void add_parts(struct gw_watch_topic *t, int32_t n)
{
    GW_LOG(GW_LOG_INFO, "topic.found", GW_KS("topic", t->name), GW_KI("partitions", n), GW_KI("new", n - t->nparts),
           GW_KS("from", t->from == GW_FROM_END ? "end" : "beginning"));
    t->parts = gw_realloc(t->parts, (size_t)n * sizeof(*t->parts));
    for (int32_t i = t->nparts; i < n; i++)
        t->parts[i] = (struct gw_watch_part){.from = t->from, .leader = -1};
    t->nparts = n;
    t->from = GW_FROM_BEGINNING;
}

/* ---- routes ---- */

static bool is_exact(const struct gw_watch *w, const char *name)
{
    for (size_t i = 0; i < w->nexact; i++)
        if (strcmp(w->exact[i], name) == 0)
            return true;
    return false;
}

static bool wants(struct gw_watch *w, const char *name)
{
    if (strncmp(name, "__", 2) == 0 && !is_exact(w, name))
        return false;
    pthread_mutex_lock(&w->r->lock); /* they cannot be replaced while they are looked at */
    bool yes = gw_routes_wants_topic(w->r->routes, name);
    pthread_mutex_unlock(&w->r->lock);
    return yes;
}

static void copy_exact(struct gw_watch *w)
{
    const char *const *names = NULL;
    for (size_t i = 0; i < w->nexact; i++)
        free(w->exact[i]);
    pthread_mutex_lock(&w->r->lock);
    w->routes_version = atomic_load(&w->r->routes_version);
    w->nexact = gw_routes_exact_topics(w->r->routes, &names);
    w->exact = gw_realloc(w->exact, (w->nexact + 1) * sizeof(char *));
    for (size_t i = 0; i < w->nexact; i++)
        w->exact[i] = gw_strdup(names[i]);
    w->by_list = gw_routes_has_regex(w->r->routes) || w->nexact > SINGLE_TOPICS_MAX;
    pthread_mutex_unlock(&w->r->lock);
}

/* Takes a topic out of the table. */
static void forget(struct gw_watch *w, struct gw_watch_topic *t)
{
    gw_map_del(&w->topics, gw_str_of(t->name));
    topic_free(t);
}

/* Calls fn for each topic until it says that the table has changed; then from the start again. */
static void for_topics(struct gw_watch *w, bool (*fn)(struct gw_watch *w, struct gw_watch_topic *t))
{
    for (bool changed = true; changed;) {
        size_t pos = 0;
        void *value;
        changed = false;
        while (!changed && gw_map_next(&w->topics, &pos, NULL, &value))
            changed = fn(w, value);
    }
}

static bool rejudge(struct gw_watch *w, struct gw_watch_topic *t)
{
    t->wanted = wants(w, t->name);
    if (t->wanted)
        return false;
    drop_parts(w, t, GW_NOTE_DROP);
    t->from = GW_FROM_END; /* should it be wanted again */
    if (w->by_list)
        return false;
    forget(w, t);
    return true;
}

/* Topics that are routed no longer are dropped at once; new ones are found by the listing that follows. */
void gw_watch_take_routes(struct gw_watch *w)
{
    copy_exact(w);
    for_topics(w, rejudge);
    if (!w->by_list)
        w->full_listed = false;
    w->refresh_ms = 0;
}

/* ---- what a listing says ---- */

static void set_leaders(struct gw_watch *w, struct gw_watch_topic *t, const rd_kafka_metadata_topic_t *m)
{
    for (int i = 0; i < m->partition_cnt; i++) {
        const rd_kafka_metadata_partition_t *p = &m->partitions[i];
        if (p->id < 0 || p->id >= t->nparts)
            continue;
        t->parts[p->id].leader = p->leader;
        if (p->leader < 0 && !t->parts[p->id].given)
            w->suspicious = true; /* it may have one any moment */
    }
}

static void take_present(struct gw_watch *w, struct gw_watch_topic *t, const rd_kafka_metadata_topic_t *m)
{
    t->listing = w->listing;
    if (!t->wanted || m->partition_cnt <= 0 || m->partition_cnt > GW_KAFKA_PARTITIONS_MAX)
        return;
    if (m->partition_cnt < t->nparts) { /* only a topic made again has fewer */
        w->suspicious = true;
        if (++t->misses < MISSES_MAX)
            return;
        GW_LOG(GW_LOG_WARN, "topic.made_again", GW_KS("topic", t->name), GW_KI("partitions", m->partition_cnt));
        drop_parts(w, t, GW_NOTE_FORGET);
    }
    t->misses = 0;
    if (m->partition_cnt > t->nparts)
        add_parts(t, m->partition_cnt);
    set_leaders(w, t, m);
}

/* true: it is gone for good. */
static bool take_absent(struct gw_watch *w, struct gw_watch_topic *t)
{
    if (t->nparts > 0) {
        w->suspicious = true;
        if (++t->misses < MISSES_MAX)
            return false;
        GW_LOG(GW_LOG_WARN, "topic.gone", GW_KS("topic", t->name), GW_KI("partitions", t->nparts));
        drop_parts(w, t, GW_NOTE_FORGET);
    }
    t->misses = 0;
    t->from = GW_FROM_BEGINNING;
    return true;
}

static int ask(struct gw_watch *w, rd_kafka_topic_t *only, int timeout_ms, const struct rd_kafka_metadata **md)
{
    rd_kafka_resp_err_t rc = rd_kafka_metadata(w->r->rk, only ? 0 : 1, only, md, timeout_ms);
    if (rc != RD_KAFKA_RESP_ERR_NO_ERROR) {
        GW_LOG(GW_LOG_DEBUG, "kafka.no_answer", GW_KS("error", rd_kafka_err2name(rc)));
        return -1;
    }
    w->answered_ms = gw_clock_mono_ms();
    return 0;
}

/* ---- topics asked for one by one ---- */

static void take_single(struct gw_watch *w, struct gw_watch_topic *t, const rd_kafka_metadata_topic_t *m)
{
    switch (m->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
        take_present(w, t, m);
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        if (t->from == GW_FROM_END) /* the first look */
            GW_LOG(GW_LOG_WARN, "topic.missing", GW_KS("topic", t->name));
        take_absent(w, t);
        break;
    default: /* not authorised, for one: neither there nor not there */
        GW_LOG(GW_LOG_WARN, "topic.refused", GW_KS("topic", t->name), GW_KS("error", rd_kafka_err2name(m->err)));
        break;
    }
}

static struct gw_watch_topic *single(struct gw_watch *w, const char *name)
{
    struct gw_watch_topic *t = gw_map_get(&w->topics, gw_str_of(name));
    if (!t)
        t = topic_new(w, name, GW_FROM_END);
    t->wanted = true;
    if (!t->rkt)
        t->rkt = rd_kafka_topic_new(w->r->rk, name, NULL);
    return t;
}

static int list_single(struct gw_watch *w, const char *name)
{
    struct gw_watch_topic *t = single(w, name);
    const struct rd_kafka_metadata *md = NULL;
    if (!t->rkt || ask(w, t->rkt, PING_TIMEOUT_MAX_MS, &md) != 0)
        return -1;
    for (int i = 0; i < md->topic_cnt; i++)
        if (strcmp(md->topics[i].topic, name) == 0)
            take_single(w, t, &md->topics[i]);
    rd_kafka_metadata_destroy(md);
    return 0;
}

/* ---- the list of the whole cluster ---- */

static void take_listed(struct gw_watch *w, const rd_kafka_metadata_topic_t *m)
{
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && m->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return;
    struct gw_watch_topic *t = gw_map_get(&w->topics, gw_str_of(m->topic));
    if (!t) {
        /* One that the last list did not have was made since; one that nobody wants will be an old one when somebody does. */
        bool wanted = wants(w, m->topic);
        t = topic_new(w, m->topic, wanted && w->full_listed ? GW_FROM_BEGINNING : GW_FROM_END);
        t->wanted = wanted;
    }
    take_present(w, t, m);
}

static bool forget_unlisted(struct gw_watch *w, struct gw_watch_topic *t)
{
    if (t->listing == w->listing || !take_absent(w, t))
        return false;
    forget(w, t);
    return true;
}

static void warn_of_missing(struct gw_watch *w)
{
    for (size_t i = 0; i < w->nexact; i++)
        if (!gw_map_get(&w->topics, gw_str_of(w->exact[i])))
            GW_LOG(GW_LOG_WARN, "topic.missing", GW_KS("topic", w->exact[i]));
}

static int list_all(struct gw_watch *w)
{
    const struct rd_kafka_metadata *md = NULL;
    if (ask(w, NULL, LIST_TIMEOUT_MS, &md) != 0)
        return -1;
    for (int i = 0; i < md->topic_cnt; i++)
        take_listed(w, &md->topics[i]);
    rd_kafka_metadata_destroy(md);
    for_topics(w, forget_unlisted);
    if (!w->full_listed)
        warn_of_missing(w);
    w->full_listed = true;
    return 0;
}

int gw_watch_list(struct gw_watch *w)
{
    w->listing++;
    w->suspicious = false;
    int rc = 0;
    if (w->by_list)
        rc = list_all(w);
    else
        for (size_t i = 0; i < w->nexact && rc == 0; i++)
            rc = list_single(w, w->exact[i]);
    return rc;
}

/* Any topic will do. One is better than all of them: its answer is short, and needs no right to others. */
static rd_kafka_topic_t *ping_topic(struct gw_watch *w)
{
    size_t pos = 0;
    void *value;
    if (!w->by_list && w->nexact > 0)
        return single(w, w->exact[0])->rkt;
    while (gw_map_next(&w->topics, &pos, NULL, &value)) {
        struct gw_watch_topic *t = value;
        if (t->nparts > 0 && !t->rkt)
            t->rkt = rd_kafka_topic_new(w->r->rk, t->name, NULL);
        if (t->rkt)
            return t->rkt;
    }
    return NULL;
}

int gw_watch_ping(struct gw_watch *w)
{
    int64_t timeout_ms = w->r->cfg->kafka_health_interval_ms;
    if (timeout_ms < PING_TIMEOUT_MIN_MS)
        timeout_ms = PING_TIMEOUT_MIN_MS;
    if (timeout_ms > PING_TIMEOUT_MAX_MS)
        timeout_ms = PING_TIMEOUT_MAX_MS;
    const struct rd_kafka_metadata *md = NULL;
    if (ask(w, ping_topic(w), (int)timeout_ms, &md) != 0)
        return -1;
    rd_kafka_metadata_destroy(md);
    return 0;
}
