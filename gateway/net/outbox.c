/* The outbox of a connection. One loop's thread. */
#include "outbox.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct chunk *chunk_take(struct chunk_pool *pool)
{
    struct chunk *c = pool->free;
    if (c) {
        pool->free = c->next;
        pool->n--;
    } else {
        c = gw_alloc(sizeof(*c));
    }
    c->next = NULL;
    c->head = c->len = 0;
    return c;
}

static void chunk_give(struct chunk_pool *pool, struct chunk *c)
{
    if (pool->n == CHUNKS_KEPT) {
        free(c);
        return;
    }
    c->next = pool->free;
    pool->free = c;
    pool->n++;
}

void chunk_pool_fini(struct chunk_pool *pool)
{
    while (pool->free) {
        struct chunk *c = pool->free;
        pool->free = c->next;
        free(c);
    }
    pool->n = 0;
}

void outbox_push(struct outbox *o, struct chunk_pool *pool, struct frame *f)
{
    struct chunk *c = o->last;
    if (!c || c->head + c->len == CHUNK_FRAMES) {
        c = chunk_take(pool);
        if (o->last)
            o->last->next = c;
        else
            o->first = c;
        o->last = c;
    }
    c->f[c->head + c->len++] = frame_ref(f);
    o->bytes += f->len;
}

void outbox_drop(struct outbox *o, struct chunk_pool *pool, size_t nframes)
{
    while (nframes--) {
        struct chunk *c = o->first;
        struct frame *f = c->f[c->head++];
        c->len--;
        o->bytes -= f->len;
        frame_unref(f);
        if (c->len)
            continue;
        o->first = c->next;
        if (!o->first)
            o->last = NULL;
        chunk_give(pool, c);
    }
}

void outbox_clear(struct outbox *o, struct chunk_pool *pool)
{
    while (o->first)
        outbox_drop(o, pool, 1);
}

void batch_reset(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        frame_unref(b->frames[i]);
    b->n = 0;
    gw_buf_clear(&b->bytes);
}

void batch_fini(struct batch *b)
{
    batch_reset(b);
    gw_buf_fini(&b->bytes);
    free(b->frames);
}

/* True where the batch holds exactly the first n frames of the outbox. */
static bool same_frames(const struct batch *b, const struct outbox *o, size_t n)
{
    if (b->n != n)
        return false;
    size_t i = 0;
    for (const struct chunk *c = o->first; c && i < n; c = c->next)
        for (uint32_t k = 0; k < c->len && i < n; k++, i++)
            if (b->frames[i] != c->f[c->head + k])
                return false;
    return true;
}

static void fill(struct batch *b, const struct outbox *o, size_t n)
{
    batch_reset(b);
    if (n > b->cap) {
        b->cap = n;
        b->frames = gw_realloc(b->frames, n * sizeof(*b->frames));
    }
    for (const struct chunk *c = o->first; c && b->n < n; c = c->next)
        for (uint32_t k = 0; k < c->len && b->n < n; k++) {
            struct frame *f = c->f[c->head + k];
            gw_buf_add(&b->bytes, f->bytes, f->len);
            b->frames[b->n++] = frame_ref(f);
        }
}

struct gw_str outbox_head(const struct outbox *o, struct batch *b, size_t bytes_max, size_t *nframes)
{
    size_t n = 0, bytes = 0;
    for (const struct chunk *c = o->first; c; c = c->next)
        for (uint32_t k = 0; k < c->len; k++) {
            bytes += c->f[c->head + k]->len;
            if (n > 0 && bytes > bytes_max)
                goto enough;
            n++;
        }
enough:
    *nframes = n;
    if (n == 1) {
        struct frame *f = o->first->f[o->first->head];
        return (struct gw_str){(const char *)f->bytes, f->len};
    }
    if (!same_frames(b, o, n))
        fill(b, o, n);
    return gw_buf_str(&b->bytes);
}
