/* The cache of answers: a map, and a list of the finished ones from oldest to newest. */
#include "idempotency.h"

#include "gw/map.h"

#include "pending.h"

#include <pthread.h>
#include <stdlib.h>

struct entry {
    bool done;
    struct idempotency_answer answer;
    struct pending *waiters;
    struct entry *newer;
    char *key; /* owned */
    size_t key_len;
};

struct idempotency {
    pthread_mutex_t lock;
    struct gw_map map;              /* [lock] */
    struct entry *oldest, *newest;  /* [lock] of those that are done */
    size_t done, max;               /* [lock], [const] */
};

struct idempotency *idempotency_new(size_t entries_max)
{
    struct idempotency *c = gw_alloc(sizeof(*c));
    pthread_mutex_init(&c->lock, NULL);
    c->max = entries_max;
    return c;
}

static void free_entry(void *value)
{
    struct entry *e = value;
    free(e->key);
    free(e);
}

void idempotency_free(struct idempotency *c)
{
    if (!c)
        return;
    gw_map_fini(&c->map, free_entry);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

enum idempotency_state idempotency_begin(struct idempotency *c, struct gw_str key, struct pending *waiter,
                                         struct idempotency_answer *answer)
{
    enum idempotency_state state = IDEMPOTENCY_NEW;
    pthread_mutex_lock(&c->lock);
    struct entry *e = gw_map_get(&c->map, key);
    if (e && e->done) {
        *answer = e->answer;
        state = IDEMPOTENCY_DONE;
    } else if (e) {
        waiter->next_waiter = e->waiters;
        e->waiters = waiter;
        state = IDEMPOTENCY_WAIT;
    } else {
        e = gw_alloc(sizeof(*e));
        e->key = gw_str_dup(key);
        e->key_len = key.len;
        gw_map_put(&c->map, key, e);
    }
    pthread_mutex_unlock(&c->lock);
    return state;
}

static void forget(struct idempotency *c, struct entry *e)
{
    gw_map_del(&c->map, (struct gw_str){e->key, e->key_len});
    free_entry(e);
}

/* [lock] */
static void keep(struct idempotency *c, struct entry *e, const struct idempotency_answer *answer)
{
    e->done = true;
    e->answer = *answer;
    e->waiters = NULL;
    if (c->newest)
        c->newest->newer = e;
    else
        c->oldest = e;
    c->newest = e;
    c->done++;
    while (c->done > c->max) {
        struct entry *old = c->oldest;
        c->oldest = old->newer;
        if (!c->oldest)
            c->newest = NULL;
        c->done--;
        forget(c, old);
    }
}

struct pending *idempotency_finish(struct idempotency *c, struct gw_str key, const struct idempotency_answer *answer)
{
    pthread_mutex_lock(&c->lock);
    struct entry *e = gw_map_get(&c->map, key);
    struct pending *waiters = e ? e->waiters : NULL;
    if (e && answer)
        keep(c, e, answer);
    else if (e)
        forget(c, e);
    pthread_mutex_unlock(&c->lock);
    return waiters;
}
