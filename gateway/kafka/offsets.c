/* Where partitions start. On the watcher's thread.
 *
 * rd_kafka_offsets_for_times sends its "times" to the broker as they are, so that -1 and -2, which ListOffsets defines as the end
 * and the beginning (KIP-79), come back as offsets: one request for all partitions of a leader. Each partition is started with an explicit
 * offset: a logical one would be looked up by librdkafka later, unseen, and what comes in between would be lost. */
#include "watcher.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 500
#define BATCH_TIMEOUT_MS 2000
#define SINGLE_TIMEOUT_MS 1000
#define SINGLE_BUDGET_MS 2000 /* per round, so that health checks go on */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

struct waiting {
    struct gw_watch_topic *topic;
    int32_t id;
};
struct waiting_list {
    struct waiting *v; /* owned */
    size_t n, cap;
};

static struct gw_watch_part *part_of(const struct waiting *x)
{
    return &x->topic->parts[x->id];
}

static void collect(struct gw_watch *w, struct waiting_list *l)
{
    size_t pos = 0;
    void *value;
    while (gw_map_next(&w->topics, &pos, NULL, &value)) {
        struct gw_watch_topic *t = value;
        for (int32_t i = 0; i < t->nparts; i++) {
            if (t->parts[i].given || t->parts[i].leader < 0)
                continue;
            if (l->n == l->cap) {
                l->cap = l->cap ? l->cap * 2 : 64;
                l->v = gw_realloc(l->v, l->cap * sizeof(*l->v));
            }
            l->v[l->n++] = (struct waiting){t, i};
        }
    }
}

static void start(struct gw_watch *w, const struct waiting *x, int64_t offset)
{
    struct gw_watch_part *p = part_of(x);
    p->given = true;
    p->backoff_ms = 0;
    gw_watch_order(w, GW_NOTE_START, x->topic->name, x->id, offset);
}

static void put_off(const struct waiting *x, const char *why)
{
    struct gw_watch_part *p = part_of(x);
    p->backoff_ms = p->backoff_ms == 0 ? BACKOFF_MIN_MS : p->backoff_ms * 2;
    if (p->backoff_ms >= BACKOFF_MAX_MS) {
        p->backoff_ms = BACKOFF_MAX_MS;
        GW_LOG(GW_LOG_WARN, "partition.no_start", GW_KS("topic", x->topic->name), GW_KI("partition", x->id), GW_KS("text", why));
    }
    p->retry_ms = gw_clock_mono_ms() + p->backoff_ms;
}

static int64_t logical(const struct gw_watch_part *p)
{
    return p->from == GW_FROM_END ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

/* ---- many at once: those that have not failed yet, of one leader ---- */

/* Picks up to BATCH_MAX of them; returns how many. */
static size_t pick(const struct waiting_list *l, size_t *picked, rd_kafka_topic_partition_list_t *list)
{
    size_t n = 0;
    int32_t leader = -1;
    for (size_t i = 0; i < l->n && n < BATCH_MAX; i++) {
        const struct gw_watch_part *p = part_of(&l->v[i]);
        if (p->given || p->backoff_ms > 0 || p->from == GW_FROM_POSITION || (leader >= 0 && p->leader != leader))
            continue;
        leader = p->leader;
        rd_kafka_topic_partition_list_add(list, l->v[i].topic->name, l->v[i].id)->offset = logical(p);
        picked[n++] = i;
    }
    return n;
}

/* true: there were some. */
static bool batch(struct gw_watch *w, struct waiting_list *l)
{
    size_t picked[BATCH_MAX];
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    size_t n = pick(l, picked, list);
    rd_kafka_resp_err_t rc = n > 0 ? rd_kafka_offsets_for_times(w->r->rk, list, BATCH_TIMEOUT_MS) : RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_topic_partition_t *e = &list->elems[i];
        if (rc == RD_KAFKA_RESP_ERR_NO_ERROR && e->err == RD_KAFKA_RESP_ERR_NO_ERROR && e->offset >= 0)
            start(w, &l->v[picked[i]], e->offset);
        else /* one that fails makes the whole call fail: from here on each is asked for alone */
            put_off(&l->v[picked[i]], rd_kafka_err2str(rc ? rc : e->err));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return n > 0;
}

/* ---- one by one ---- */

static int ask_one(struct gw_watch *w, const struct waiting *x, int64_t what, int64_t *offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *e = rd_kafka_topic_partition_list_add(list, x->topic->name, x->id);
    e->offset = what;
    rd_kafka_resp_err_t rc = rd_kafka_offsets_for_times(w->r->rk, list, SINGLE_TIMEOUT_MS);
    if (!rc)
        rc = list->elems[0].err;
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (rc == RD_KAFKA_RESP_ERR_NO_ERROR && *offset >= 0)
        return 0;
    put_off(x, rd_kafka_err2str(rc));
    return -1;
}

/* Kafka has no such offset (any more). Behind the end: the topic was made again, and all of it is new. Before the beginning: retention was
 * faster than the reader, the oldest that is left comes next. */
static void start_after_reset(struct gw_watch *w, const struct waiting *x)
{
    int64_t low, end, position = part_of(x)->position;
    if (ask_one(w, x, RD_KAFKA_OFFSET_BEGINNING, &low) != 0 || ask_one(w, x, RD_KAFKA_OFFSET_END, &end) != 0)
        return;
    if (position >= low && position <= end) {
        start(w, x, position);
        return;
    }
    GW_LOG(GW_LOG_WARN, "reader.offset_reset", GW_KS("topic", x->topic->name), GW_KI("partition", x->id), GW_KI("position", position),
           GW_KI("beginning", low), GW_KI("end", end), GW_KS("reason", position > end ? "made again or truncated" : "retention"));
    gw_metric_add(GW_M_OFFSET_RESETS, 1);
    start(w, x, low);
}

static void one(struct gw_watch *w, const struct waiting *x)
{
    int64_t offset;
    if (part_of(x)->from == GW_FROM_POSITION)
        start_after_reset(w, x);
    else if (ask_one(w, x, logical(part_of(x)), &offset) == 0)
        start(w, x, offset);
}

int64_t gw_watch_resolve(struct gw_watch *w)
{
    struct waiting_list l = {0};
    collect(w, &l);
    while (!atomic_load(&w->r->stop) && l.n > 0 && batch(w, &l))
        gw_watch_give_orders(w);
    int64_t until = gw_clock_mono_ms() + SINGLE_BUDGET_MS, due = INT64_MAX;
    int unresolved = 0;
    for (size_t i = 0; i < l.n; i++) {
        const struct gw_watch_part *p = part_of(&l.v[i]);
        int64_t now = gw_clock_mono_ms();
        if (!p->given && p->retry_ms <= now && now < until && !atomic_load(&w->r->stop))
            one(w, &l.v[i]);
        if (p->given)
            continue;
        unresolved++;
        if (p->retry_ms < due)
            due = p->retry_ms;
    }
    gw_watch_give_orders(w);
    atomic_store(&w->r->unresolved, unresolved);
    free(l.v);
    return due;
}
