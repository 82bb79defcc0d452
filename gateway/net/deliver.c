/* Delivery of one event on one loop: rooms -> members -> outboxes. A frame is encoded once for each set of matching rooms, and
 * a connection gets the event once however many of its rooms match.
 *
 * With one matching room that is a walk through its members. With several, sets of rooms are interned: set 0 is empty, and
 * "set s plus room i" is looked up in a small table, so that a connection's set is a number and its frame an array element. */
#include "net_private.h"

#include "gw/clock.h"
#include "gw/map.h"
#include "gw/metrics.h"

#include <stdlib.h>

#define OBSERVED_MAX 1024

struct room_set {
    uint32_t parent; /* the set without its last room */
    uint32_t room;   /* index into matched[] */
    struct frame *frame;
};

struct deliver {
    uint64_t seq; /* of the event at hand */
    struct gw_room **matched;
    size_t rooms_max;
    struct room_set *set; /* [0] is the empty one */
    uint32_t nsets, sets_cap;
    uint32_t *child; /* open addressing over (parent, room) -> set; 0: empty */
    uint32_t child_cap;
    struct session **touched;
    size_t ntouched, touched_cap;
    struct gw_buf head;
    int64_t times[OBSERVED_MAX]; /* Kafka time of the events since the last flush */
    size_t ntimes;
};

struct deliver *deliver_new(size_t rooms_max)
{
    struct deliver *d = gw_alloc(sizeof(*d));
    d->rooms_max = rooms_max;
    d->matched = gw_alloc(rooms_max * sizeof(struct gw_room *));
    return d;
}

void deliver_free(struct deliver *d)
{
    if (!d)
        return;
    free(d->matched);
    free(d->set);
    free(d->child);
    free(d->touched);
    gw_buf_fini(&d->head);
    free(d);
}

static struct frame *encode(struct loop *l, const struct gw_event *ev, uint32_t first_set, struct gw_room *only)
{
    struct deliver *d = l->deliver;
    gw_buf_clear(&d->head);
    gw_buf_add_c(&d->head, "{\"type\":\"event\",\"rooms\":[");
    if (only)
        gw_buf_add_json(&d->head, only->name);
    for (uint32_t s = first_set; s; s = d->set[s].parent) { /* last room first: the order says nothing */
        if (s != first_set)
            gw_buf_add_char(&d->head, ',');
        gw_buf_add_json(&d->head, d->matched[d->set[s].room]->name);
    }
    gw_buf_add_char(&d->head, ']');
    gw_metric_add(GW_M_FRAMES_ENCODED, 1);
    l->unflushed_bytes += d->head.len + ev->tail.len;
    return frame_new(FRAME_TEXT, gw_buf_str(&d->head), ev->tail);
}

static size_t deliver_one_room(struct loop *l, const struct gw_event *ev, struct gw_room *room)
{
    struct frame *f = encode(l, ev, 0, room);
    size_t n = room->n;
    for (size_t i = n; i-- > 0;) /* backwards: a close takes its member out, the last one moves */
        session_send(room->member[i].owner, f);
    frame_unref(f);
    return n;
}

static uint32_t child_slot(const struct deliver *d, uint32_t parent, uint32_t room)
{
    uint64_t key = (uint64_t)parent << 32 | room;
    uint32_t i = (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (d->child_cap - 1);
    while (d->child[i] && (d->set[d->child[i]].parent != parent || d->set[d->child[i]].room != room))
        i = (i + 1) & (d->child_cap - 1);
    return i;
}

static void grow_sets(struct deliver *d)
{
    d->sets_cap = d->sets_cap ? d->sets_cap * 2 : 64;
    d->set = gw_realloc(d->set, d->sets_cap * sizeof(*d->set));
    d->child_cap = d->sets_cap * 2;
    free(d->child);
    d->child = gw_alloc(d->child_cap * sizeof(*d->child));
    for (uint32_t s = 1; s < d->nsets; s++)
        d->child[child_slot(d, d->set[s].parent, d->set[s].room)] = s;
}

static uint32_t set_with(struct deliver *d, uint32_t parent, uint32_t room)
{
    if (d->nsets + 1 >= d->sets_cap)
        grow_sets(d);
    uint32_t slot = child_slot(d, parent, room);
    if (!d->child[slot]) {
        d->set[d->nsets] = (struct room_set){parent, room, NULL};
        d->child[slot] = d->nsets++;
    }
    return d->child[slot];
}

/* Leaves the table empty for the next event: what this one used is cleared, not the whole table. Last ones first, as each is found
 * behind those that came before it. */
static void forget_sets(struct deliver *d)
{
    for (uint32_t s = d->nsets; s-- > 1;) {
        d->child[child_slot(d, d->set[s].parent, d->set[s].room)] = 0;
        if (d->set[s].frame)
            frame_unref(d->set[s].frame);
    }
}

static void touch(struct deliver *d, struct session *s, uint32_t room)
{
    if (s->event_seq != d->seq) {
        s->event_seq = d->seq;
        s->set = 0;
        if (d->ntouched == d->touched_cap) {
            d->touched_cap = d->touched_cap ? d->touched_cap * 2 : 64;
            d->touched = gw_realloc(d->touched, d->touched_cap * sizeof(struct session *));
        }
        d->touched[d->ntouched++] = s;
    }
    s->set = set_with(d, s->set, room);
}

static size_t deliver_many_rooms(struct loop *l, const struct gw_event *ev, size_t nmatched)
{
    struct deliver *d = l->deliver;
    d->seq++;
    d->ntouched = 0;
    d->nsets = 1;
    for (size_t i = 0; i < nmatched; i++)
        for (size_t k = 0; k < d->matched[i]->n; k++)
            touch(d, d->matched[i]->member[k].owner, (uint32_t)i);
    for (size_t i = 0; i < d->ntouched; i++) {
        struct room_set *set = &d->set[d->touched[i]->set];
        if (!set->frame)
            set->frame = encode(l, ev, d->touched[i]->set, NULL);
        session_send(d->touched[i], set->frame);
    }
    forget_sets(d);
    return d->ntouched;
}

void deliver_event(struct loop *l, struct gw_event *ev)
{
    struct deliver *d = l->deliver;
    size_t n = 0;
    for (size_t i = 0; i < ev->nrooms && n < d->rooms_max; i++) {
        struct gw_room *room = gw_rooms_find(&l->rooms, ev->rooms[i].name, ev->rooms[i].hash);
        if (room)
            d->matched[n++] = room;
    }
    size_t deliveries = n == 0 ? 0 : n == 1 ? deliver_one_room(l, ev, d->matched[0]) : deliver_many_rooms(l, ev, n);
    gw_metric_add(GW_M_DELIVERIES, (int64_t)deliveries);
    if (deliveries && ev->time_ms >= 0 && d->ntimes < OBSERVED_MAX)
        d->times[d->ntimes++] = ev->time_ms;
    gw_event_unref(ev);
}

void deliver_observe(struct loop *l)
{
    struct deliver *d = l->deliver;
    if (d->ntimes == 0)
        return;
    int64_t now = gw_clock_wall_ms();
    for (size_t i = 0; i < d->ntimes; i++)
        gw_metric_observe_us(GW_M_DELIVERY_SECONDS, now > d->times[i] ? (now - d->times[i]) * 1000 : 0);
    d->ntimes = 0;
}
