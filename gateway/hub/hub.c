/* Hand-over of events from the reader to the loops that want them. */
#include "gw/hub.h"

#include "gw/map.h"
#include "gw/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 64

struct shard {
    pthread_mutex_t lock;
    struct gw_map loops; /* [lock] room -> bit mask of loops, kept in the pointer itself */
};

struct gw_hub {
    unsigned nloops;                 /* [const] */
    struct gw_mailbox **mailbox;     /* [const] one a loop */
    struct shard shard[SHARDS];
    struct gw_buf scratch;           /* [reader] */
    struct gw_str *wanted;           /* [reader] rooms of the event at hand that somebody wants */
    size_t wanted_cap;               /* [reader] */
    pthread_mutex_t positions_lock;
    struct gw_map positions;         /* [positions_lock] "partition topic" -> struct gw_hub_position */
    uint64_t version;                /* [positions_lock] */
};

_Static_assert(sizeof(void *) >= sizeof(uint64_t), "a mask of 64 loops is kept in a pointer");

struct gw_hub *gw_hub_new(unsigned nloops, size_t queue_events, size_t queue_bytes)
{
    struct gw_hub *h = gw_alloc(sizeof(*h));
    h->nloops = nloops;
    h->mailbox = gw_alloc(nloops * sizeof(struct gw_mailbox *));
    for (unsigned i = 0; i < nloops; i++)
        h->mailbox[i] = gw_mailbox_new(queue_events, queue_bytes);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&h->shard[i].lock, NULL);
    pthread_mutex_init(&h->positions_lock, NULL);
    return h;
}

static void free_mailbox(struct gw_mailbox *m)
{
    struct gw_mail mail;
    while (gw_mailbox_take(m, &mail, 1) > 0)
        if (mail.kind == GW_MAIL_EVENT)
            gw_event_unref(mail.item);
    gw_mailbox_free(m);
}

static void free_position(void *value)
{
    struct gw_hub_position *pos = value;
    free((char *)(uintptr_t)pos->topic.p);
    free(pos);
}

void gw_hub_free(struct gw_hub *h)
{
    if (!h)
        return;
    for (unsigned i = 0; i < h->nloops; i++)
        free_mailbox(h->mailbox[i]);
    free(h->mailbox);
    for (size_t i = 0; i < SHARDS; i++) {
        gw_map_fini(&h->shard[i].loops, NULL);
        pthread_mutex_destroy(&h->shard[i].lock);
    }
    gw_map_fini(&h->positions, free_position);
    pthread_mutex_destroy(&h->positions_lock);
    gw_buf_fini(&h->scratch);
    free(h->wanted);
    free(h);
}

unsigned gw_hub_loops(const struct gw_hub *h)
{
    return h->nloops;
}

struct gw_mailbox *gw_hub_mailbox(struct gw_hub *h, unsigned loop)
{
    return h->mailbox[loop];
}

static struct shard *shard_of(struct gw_hub *h, uint64_t hash)
{
    return &h->shard[hash >> 58 & (SHARDS - 1)];
}

static void set_interest(struct gw_hub *h, unsigned loop, struct gw_str room, int want)
{
    struct shard *s = shard_of(h, gw_hash(room.p, room.len));
    uint64_t bit = UINT64_C(1) << loop;
    pthread_mutex_lock(&s->lock);
    uint64_t mask = (uint64_t)(uintptr_t)gw_map_get(&s->loops, room);
    mask = want ? mask | bit : mask & ~bit;
    if (mask)
        gw_map_put(&s->loops, room, (void *)(uintptr_t)mask);
    else
        gw_map_del(&s->loops, room);
    pthread_mutex_unlock(&s->lock);
}

void gw_hub_want(struct gw_hub *h, unsigned loop, struct gw_str room)
{
    set_interest(h, loop, room, 1);
}

void gw_hub_unwant(struct gw_hub *h, unsigned loop, struct gw_str room)
{
    set_interest(h, loop, room, 0);
}

static uint64_t interest(struct gw_hub *h, struct gw_str room)
{
    uint64_t hash = gw_hash(room.p, room.len);
    struct shard *s = shard_of(h, hash);
    pthread_mutex_lock(&s->lock);
    uint64_t mask = (uint64_t)(uintptr_t)gw_map_get_hashed(&s->loops, room, hash);
    pthread_mutex_unlock(&s->lock);
    return mask;
}

/* Gathers the rooms that a loop wants in h->wanted. Returns the mask of all those loops. */
static uint64_t gather_wanted(struct gw_hub *h, const struct gw_routed *routed, size_t *nwanted)
{
    if (routed->nrooms > h->wanted_cap) {
        h->wanted_cap = routed->nrooms;
        h->wanted = gw_realloc(h->wanted, h->wanted_cap * sizeof(*h->wanted));
    }
    uint64_t all = 0;
    *nwanted = 0;
    for (size_t i = 0; i < routed->nrooms; i++) {
        uint64_t mask = interest(h, routed->rooms[i]);
        if (mask)
            h->wanted[(*nwanted)++] = routed->rooms[i];
        all |= mask;
    }
    return all;
}

static void hand_over(struct gw_hub *h, unsigned loop, struct gw_event *ev)
{
    struct gw_mail mail = {.kind = GW_MAIL_EVENT, .bytes = (uint32_t)ev->tail.len, .item = gw_event_ref(ev)};
    if (gw_mailbox_try_put(h->mailbox[loop], mail))
        return;
    gw_metric_add(GW_M_LIMIT_QUEUE, 1);
    if (!gw_mailbox_put_wait(h->mailbox[loop], mail))
        gw_event_unref(ev);
}

unsigned gw_hub_publish(struct gw_hub *h, const struct gw_record *rec, const struct gw_routed *routed)
{
    size_t nwanted;
    uint64_t mask = gather_wanted(h, routed, &nwanted);
    if (!mask) {
        gw_metric_add(GW_M_EVENTS_UNWANTED, 1);
        return 0;
    }
    struct gw_event *ev = gw_event_new(&(struct gw_event_init){.topic = rec->topic, .name = routed->event, .key = rec->key,
                                                               .data = rec->value, .rooms = h->wanted, .nrooms = nwanted,
                                                               .partition = rec->partition, .offset = rec->offset,
                                                               .time_ms = rec->time_ms},
                                       &h->scratch);
    unsigned loops = 0;
    for (unsigned i = 0; i < h->nloops; i++)
        if (mask >> i & 1) {
            hand_over(h, i, ev);
            loops++;
        }
    gw_event_unref(ev);
    gw_metric_add(GW_M_EVENTS_PUBLISHED, 1);
    return loops;
}

void gw_hub_flush(struct gw_hub *h)
{
    for (unsigned i = 0; i < h->nloops; i++)
        gw_mailbox_wake(h->mailbox[i]);
}

void gw_hub_stop(struct gw_hub *h)
{
    for (unsigned i = 0; i < h->nloops; i++)
        gw_mailbox_close(h->mailbox[i]);
}

void gw_hub_advance(struct gw_hub *h, struct gw_str topic, int32_t partition, int64_t next_offset)
{
    char key[300];
    size_t n = topic.len < sizeof(key) - sizeof(partition) ? topic.len : sizeof(key) - sizeof(partition);
    memcpy(key, &partition, sizeof(partition));
    memcpy(key + sizeof(partition), topic.p, n);
    struct gw_str k = {key, n + sizeof(partition)};

    pthread_mutex_lock(&h->positions_lock);
    struct gw_hub_position *pos = gw_map_get(&h->positions, k);
    if (!pos) {
        pos = gw_alloc(sizeof(*pos));
        *pos = (struct gw_hub_position){.topic = {gw_str_dup(topic), topic.len}, .partition = partition,
                                         .index = h->positions.len};
        gw_map_put(&h->positions, k, pos);
    }
    pos->next_offset = next_offset;
    pos->version = ++h->version;
    pthread_mutex_unlock(&h->positions_lock);
}

uint64_t gw_hub_positions(struct gw_hub *h, uint64_t version, void (*fn)(const struct gw_hub_position *pos, void *arg),
                          void *arg)
{
    pthread_mutex_lock(&h->positions_lock);
    uint64_t newest = h->version;
    void *value;
    for (size_t i = 0; newest != version && gw_map_next(&h->positions, &i, NULL, &value);) {
        struct gw_hub_position *pos = value;
        if (pos->version > version)
            fn(pos, arg);
    }
    pthread_mutex_unlock(&h->positions_lock);
    return newest;
}
