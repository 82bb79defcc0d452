/* What is being read: the tables of topics and partitions, and librdkafka's assignment, which follows the watcher's orders.
 * On the reader's thread. It decides nothing: where a partition starts is the watcher's to find out. */
#include "reader.h"

#include "gw/log.h"

#include <stdlib.h>
#include <string.h>

static struct gw_read_topic *topic_get(struct gw_reader *r, const char *name)
{
    struct gw_read_topic *t = gw_map_get(&r->topics, gw_str_of(name));
    if (t)
        return t;
    t = gw_alloc(sizeof(*t));
    t->name = gw_strdup(name);
    pthread_mutex_lock(&r->parts_lock);
    gw_map_put(&r->topics, gw_str_of(name), t);
    pthread_mutex_unlock(&r->parts_lock);
    return t;
}

static void topic_free(void *value)
{
    struct gw_read_topic *t = value;
    for (size_t i = 0; i < t->nparts; i++)
        free(t->parts[i]);
    free(t->parts);
    gw_topic_routes_free(t->routes);
    free(t->name);
    free(t);
}

static bool topic_empty(const struct gw_read_topic *t)
{
    for (size_t i = 0; i < t->nparts; i++)
        if (t->parts[i])
            return false;
    return true;
}

struct gw_part *gw_assign_find(struct gw_reader *r, const char *topic, int32_t partition)
{
    struct gw_read_topic *t = r->last_topic;
    if (!t || strcmp(t->name, topic) != 0)
        t = r->last_topic = gw_map_get(&r->topics, gw_str_of(topic));
    return t && partition >= 0 && (size_t)partition < t->nparts ? t->parts[partition] : NULL;
}

static void part_add(struct gw_reader *r, const struct gw_note *n)
{
    struct gw_read_topic *t = topic_get(r, n->topic);
    struct gw_part *p = gw_alloc(sizeof(*p));
    p->topic = t;
    p->id = n->partition;
    atomic_init(&p->position, n->offset);
    pthread_mutex_lock(&r->parts_lock);
    size_t need = (size_t)n->partition + 1;
    if (need > t->nparts) {
        t->parts = gw_realloc(t->parts, need * sizeof(struct gw_part *));
        memset(t->parts + t->nparts, 0, (need - t->nparts) * sizeof(struct gw_part *));
        t->nparts = need;
    }
    t->parts[n->partition] = p;
    pthread_mutex_unlock(&r->parts_lock);
}

static void part_remove(struct gw_reader *r, struct gw_part *p)
{
    struct gw_read_topic *t = p->topic;
    pthread_mutex_lock(&r->parts_lock);
    t->parts[p->id] = NULL;
    free(p);
    if (topic_empty(t)) {
        gw_map_del(&r->topics, gw_str_of(t->name));
        r->last_topic = NULL;
        topic_free(t);
    }
    pthread_mutex_unlock(&r->parts_lock);
}

/* true: done. What librdkafka says no to it says to the whole list. */
static bool change(struct gw_reader *r, rd_kafka_topic_partition_list_t *list, bool add)
{
    if (list->cnt == 0)
        return true;
    rd_kafka_error_t *e = add ? rd_kafka_incremental_assign(r->rk, list) : rd_kafka_incremental_unassign(r->rk, list);
    if (!e)
        return true;
    GW_LOG(GW_LOG_ERROR, "reader.assign_failed", GW_KS("call", add ? "assign" : "unassign"), GW_KI("partitions", list->cnt),
           GW_KS("text", rd_kafka_error_string(e)));
    rd_kafka_error_destroy(e);
    return false;
}

/* What Kafka no longer has stays in librdkafka's assignment until it is back: taken out of it while it is missing, version 2.0
 * loses a reference to the broker, and hangs at its end. Records of it find no partition here. */
static rd_kafka_topic_partition_list_t *assignment(struct gw_reader *r)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    return rd_kafka_assignment(r->rk, &list) == RD_KAFKA_RESP_ERR_NO_ERROR ? list : rd_kafka_topic_partition_list_new(0);
}

/* Unassigns what is dropped, and what is assigned and starts anew. */
static void stop_reading(struct gw_reader *r, const struct gw_notes *orders)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8), *now = assignment(r);
    for (const struct gw_note *n = orders->first; n; n = n->next) {
        struct gw_part *p = gw_assign_find(r, n->topic, n->partition);
        if (p)
            part_remove(r, p);
        if (n->kind != GW_NOTE_FORGET && now->cnt > 0 && rd_kafka_topic_partition_list_find(now, n->topic, n->partition))
            rd_kafka_topic_partition_list_add(list, n->topic, n->partition);
    }
    change(r, list, false);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_partition_list_destroy(now);
}

static void start_reading(struct gw_reader *r, const struct gw_notes *orders)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (const struct gw_note *n = orders->first; n; n = n->next)
        if (n->kind == GW_NOTE_START && !gw_assign_find(r, n->topic, n->partition)) {
            rd_kafka_topic_partition_list_add(list, n->topic, n->partition)->offset = n->offset;
            part_add(r, n);
        }
    if (!change(r, list, true)) {
        for (int i = 0; i < list->cnt; i++) {
            const rd_kafka_topic_partition_t *e = &list->elems[i];
            part_remove(r, gw_assign_find(r, e->topic, e->partition));
            gw_reader_report(r, GW_NOTE_REFUSED, e->topic, e->partition, e->offset);
        }
    }
    /* Everything below the start counts as handed over, so that positions name the partition before its first record. */
    for (const struct gw_note *n = orders->first; n; n = n->next)
        if (n->kind == GW_NOTE_START && gw_assign_find(r, n->topic, n->partition))
            gw_hub_advance(r->hub, gw_str_of(n->topic), n->partition, n->offset);
    rd_kafka_topic_partition_list_destroy(list);
}

/* A partition stands in the orders at hand once, or as a drop and later starts: a run ends before the second order for one. */
static void take_run(struct gw_notes *all, struct gw_notes *run)
{
    enum gw_note_kind kind = all->first->kind;
    while (all->first && all->first->kind == kind) {
        struct gw_note *n = all->first;
        all->first = n->next;
        n->next = NULL;
        *run->last = n;
        run->last = &n->next;
    }
    if (!all->first)
        all->last = &all->first;
}

void gw_assign_carry_out(struct gw_reader *r)
{
    struct gw_notes all, run;
    gw_notes_init(&all);
    gw_notes_init(&run);
    pthread_mutex_lock(&r->lock);
    gw_notes_take(&r->orders, &all);
    atomic_store(&r->have_orders, false);
    pthread_mutex_unlock(&r->lock);
    while (all.first) {
        int n = 0;
        take_run(&all, &run);
        for (const struct gw_note *note = run.first; note; note = note->next)
            n++;
        stop_reading(r, &run);
        start_reading(r, &run);
        gw_notes_fini(&run);
        atomic_fetch_sub(&r->ordered, n);
    }
    gw_hub_flush(r->hub);
}

void gw_assign_forget_routes(struct gw_reader *r)
{
    size_t pos = 0;
    void *value;
    while (gw_map_next(&r->topics, &pos, NULL, &value)) {
        struct gw_read_topic *t = value;
        gw_topic_routes_free(t->routes);
        t->routes = NULL;
    }
}

void gw_assign_free(struct gw_reader *r)
{
    gw_map_fini(&r->topics, topic_free);
    free(r->touched);
    free(r->headers);
}
