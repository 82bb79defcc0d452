/* Hash map: open addressing, linear probing, back-shift deletion (no tombstones). One owner. */
#include "gw/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct gw_map_slot {
    uint64_t hash;
    char *key; /* owned; NULL: empty slot */
    size_t len;
    void *value;
};

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        abort();
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* A seeded multiply-and-fold hash over 8-byte words. */
uint64_t gw_hash(const void *p, size_t n)
{
    pthread_once(&seeded, make_seed);
    const unsigned char *s = p;
    uint64_t h = seed[0] ^ n, w;
    for (; n >= 8; n -= 8, s += 8) {
        memcpy(&w, s, 8);
        h = mix(h ^ w, seed[1] | 1);
    }
    w = 0;
    if (n)
        memcpy(&w, s, n);
    return mix(h ^ w, (seed[1] | 1) ^ 0x9E3779B97F4A7C15u);
}

void gw_map_init(struct gw_map *m)
{
    *m = (struct gw_map){0};
}

void gw_map_fini(struct gw_map *m, void (*free_value)(void *))
{
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key) {
            if (free_value)
                free_value(m->slots[i].value);
            free(m->slots[i].key);
        }
    free(m->slots);
    *m = (struct gw_map){0};
}

/* The slot that holds the key, or the empty one where it would go. cap must not be 0. */
static struct gw_map_slot *find(const struct gw_map *m, struct gw_str key, uint64_t hash)
{
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct gw_map_slot *s = &m->slots[i];
        if (!s->key || (s->hash == hash && s->len == key.len && memcmp(s->key, key.p, key.len) == 0))
            return s;
    }
}

void *gw_map_get_hashed(const struct gw_map *m, struct gw_str key, uint64_t hash)
{
    if (m->len == 0)
        return NULL;
    struct gw_map_slot *s = find(m, key, hash);
    return s->key ? s->value : NULL;
}

void *gw_map_get(const struct gw_map *m, struct gw_str key)
{
    return m->len ? gw_map_get_hashed(m, key, gw_hash(key.p, key.len)) : NULL;
}

static void grow(struct gw_map *m)
{
    struct gw_map old = *m;
    m->cap = old.cap ? old.cap * 2 : 8;
    m->slots = gw_alloc(m->cap * sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key)
            *find(m, (struct gw_str){old.slots[i].key, old.slots[i].len}, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void *gw_map_put(struct gw_map *m, struct gw_str key, void *value)
{
    if (m->len * 4 >= m->cap * 3)
        grow(m);
    uint64_t hash = gw_hash(key.p, key.len);
    struct gw_map_slot *s = find(m, key, hash);
    void *old = s->key ? s->value : NULL;
    if (!s->key) {
        *s = (struct gw_map_slot){.hash = hash, .key = gw_alloc(key.len + 1), .len = key.len};
        if (key.len)
            memcpy(s->key, key.p, key.len);
        m->len++;
    }
    s->value = value;
    return old;
}

void *gw_map_del(struct gw_map *m, struct gw_str key)
{
    if (m->len == 0)
        return NULL;
    struct gw_map_slot *s = find(m, key, gw_hash(key.p, key.len));
    if (!s->key)
        return NULL;
    void *old = s->value;
    free(s->key);
    m->len--;
    size_t hole = (size_t)(s - m->slots);
    for (size_t i = (hole + 1) & (m->cap - 1); m->slots[i].key; i = (i + 1) & (m->cap - 1)) {
        size_t home = m->slots[i].hash & (m->cap - 1);
        if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct gw_map_slot){0};
    return old;
}

bool gw_map_next(const struct gw_map *m, size_t *pos, struct gw_str *key, void **value)
{
    for (; *pos < m->cap; (*pos)++) {
        const struct gw_map_slot *s = &m->slots[*pos];
        if (!s->key)
            continue;
        if (key)
            *key = (struct gw_str){s->key, s->len};
        if (value)
            *value = s->value;
        (*pos)++;
        return true;
    }
    return false;
}
