/* Verdicts on tokens, kept until they expire: thousands of clients that reconnect at once cost a digest each, not a
 * signature.
 *
 * Any thread: one lock, held for a look-up or two; no reference is dropped and nothing is called under it. Refusals are
 * not kept: they would let strangers push the accepted ones out. */
#include "auth_private.h"

#include "gw/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    unsigned char digest[GW_DIGEST_BYTES];
    struct gw_identity *id; /* one reference owned */
    int64_t until_ms;
    struct entry *prev, *next; /* the ring of all, from the one used last to the one longest unused */
};

struct gw_token_cache {
    pthread_mutex_t lock;
    size_t entries_max; /* [const] */
    struct gw_map map;  /* [lock] digest -> entry */
    struct entry ring;  /* [lock] its head */
};

static struct gw_str digest_str(const unsigned char *digest)
{
    return (struct gw_str){(const char *)digest, GW_DIGEST_BYTES};
}

static void ring_del(struct entry *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
}

static void ring_add(struct gw_token_cache *c, struct entry *e)
{
    e->next = c->ring.next;
    e->prev = &c->ring;
    e->next->prev = e;
    c->ring.next = e;
}

static void remove_entry(struct gw_token_cache *c, struct entry *e)
{
    gw_map_del(&c->map, digest_str(e->digest));
    ring_del(e);
}

static void entry_free(struct entry *e)
{
    if (e == NULL)
        return;
    gw_identity_unref(e->id);
    free(e);
}

struct gw_token_cache *gw_token_cache_new(size_t entries_max)
{
    struct gw_token_cache *c;

    if (entries_max == 0)
        return NULL;
    c = gw_alloc(sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->entries_max = entries_max;
    gw_map_init(&c->map);
    c->ring.prev = c->ring.next = &c->ring;
    return c;
}

void gw_token_cache_free(struct gw_token_cache *c)
{
    struct entry *next;

    if (c == NULL)
        return;
    for (struct entry *e = c->ring.next; e != &c->ring; e = next) {
        next = e->next;
        entry_free(e);
    }
    gw_map_fini(&c->map, NULL);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct gw_identity *gw_token_cache_get(struct gw_token_cache *c, const unsigned char digest[GW_DIGEST_BYTES],
                                       int64_t now_ms)
{
    struct gw_identity *id = NULL;
    struct entry *e, *stale = NULL;

    if (c == NULL)
        return NULL;
    pthread_mutex_lock(&c->lock);
    e = gw_map_get(&c->map, digest_str(digest));
    if (e != NULL && now_ms >= e->until_ms) {
        remove_entry(c, e);
        stale = e;
    } else if (e != NULL) {
        ring_del(e);
        ring_add(c, e);
        id = gw_identity_ref(e->id);
    }
    pthread_mutex_unlock(&c->lock);
    entry_free(stale);
    return id;
}

void gw_token_cache_put(struct gw_token_cache *c, const unsigned char digest[GW_DIGEST_BYTES], struct gw_identity *id,
                        int64_t until_ms)
{
    struct entry *e, *old = NULL;

    if (c == NULL)
        return;
    e = gw_alloc(sizeof *e);
    memcpy(e->digest, digest, GW_DIGEST_BYTES);
    e->id = gw_identity_ref(id);
    e->until_ms = until_ms;
    pthread_mutex_lock(&c->lock);
    old = gw_map_get(&c->map, digest_str(digest)); /* two threads may check one token at once */
    if (old == NULL && c->map.len >= c->entries_max)
        old = c->ring.prev;
    if (old != NULL)
        remove_entry(c, old);
    gw_map_put(&c->map, digest_str(digest), e);
    ring_add(c, e);
    pthread_mutex_unlock(&c->lock);
    entry_free(old);
}

size_t gw_token_cache_len(struct gw_token_cache *c)
{
    size_t n;

    if (c == NULL)
        return 0;
    pthread_mutex_lock(&c->lock);
    n = c->map.len;
    pthread_mutex_unlock(&c->lock);
    return n;
}
