/* A bounded queue between threads: a ring under a mutex, a condition for waiting senders, one wake-up for many items.
 * The lock is held for a few instructions, never across a callback. */
#include "gw/mailbox.h"

#include "gw/buf.h"

#include <pthread.h>
#include <stdlib.h>

struct gw_mailbox {
    pthread_mutex_t lock;
    pthread_cond_t room;
    struct gw_mail *ring; /* [lock] */
    size_t cap;           /* [lock] power of two; grows only by gw_mailbox_put past the bound */
    size_t head, len;     /* [lock] */
    size_t max;           /* [const] */
    size_t bytes;         /* [lock] */
    size_t bytes_max;     /* [const] */
    size_t waiting;       /* [lock] senders that wait for a place */
    bool woken;           /* [lock] a wake-up is on its way, or the receiver is taking */
    bool closed;          /* [lock] */
    void (*wake)(void *arg);
    void *wake_arg;
};

struct gw_mailbox *gw_mailbox_new(size_t max, size_t bytes_max)
{
    struct gw_mailbox *m = gw_alloc(sizeof(*m));
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->room, NULL);
    m->max = max;
    m->bytes_max = bytes_max;
    return m;
}

void gw_mailbox_free(struct gw_mailbox *m)
{
    if (!m)
        return;
    pthread_cond_destroy(&m->room);
    pthread_mutex_destroy(&m->lock);
    free(m->ring);
    free(m);
}

void gw_mailbox_on_wake(struct gw_mailbox *m, void (*wake)(void *arg), void *arg)
{
    m->wake = wake;
    m->wake_arg = arg;
}

/* [lock held] */
static void append(struct gw_mailbox *m, struct gw_mail mail)
{
    if (m->len == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 64;
        struct gw_mail *ring = gw_alloc(cap * sizeof(*ring));
        for (size_t i = 0; i < m->len; i++)
            ring[i] = m->ring[(m->head + i) & (m->cap - 1)];
        free(m->ring);
        m->ring = ring;
        m->cap = cap;
        m->head = 0;
    }
    m->ring[(m->head + m->len++) & (m->cap - 1)] = mail;
    m->bytes += mail.bytes;
}

/* [lock held] */
static bool has_room(const struct gw_mailbox *m)
{
    return m->len == 0 || (m->len < m->max && m->bytes < m->bytes_max);
}

bool gw_mailbox_try_put(struct gw_mailbox *m, struct gw_mail mail)
{
    pthread_mutex_lock(&m->lock);
    bool ok = !m->closed && has_room(m);
    if (ok)
        append(m, mail);
    pthread_mutex_unlock(&m->lock);
    return ok;
}

bool gw_mailbox_put_wait(struct gw_mailbox *m, struct gw_mail mail)
{
    if (gw_mailbox_try_put(m, mail))
        return true;
    gw_mailbox_wake(m);
    pthread_mutex_lock(&m->lock);
    m->waiting++;
    while (!m->closed && !has_room(m))
        pthread_cond_wait(&m->room, &m->lock);
    m->waiting--;
    bool ok = !m->closed;
    if (ok)
        append(m, mail);
    pthread_mutex_unlock(&m->lock);
    return ok;
}

void gw_mailbox_put(struct gw_mailbox *m, struct gw_mail mail)
{
    pthread_mutex_lock(&m->lock);
    append(m, mail);
    pthread_mutex_unlock(&m->lock);
}

void gw_mailbox_wake(struct gw_mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    bool wake = !m->woken && m->len > 0;
    m->woken = m->woken || wake;
    pthread_mutex_unlock(&m->lock);
    if (wake && m->wake)
        m->wake(m->wake_arg);
}

void gw_mailbox_close(struct gw_mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->closed = true;
    pthread_cond_broadcast(&m->room);
    pthread_mutex_unlock(&m->lock);
}

size_t gw_mailbox_take(struct gw_mailbox *m, struct gw_mail *out, size_t max)
{
    pthread_mutex_lock(&m->lock);
    size_t n = m->len < max ? m->len : max;
    for (size_t i = 0; i < n; i++) {
        out[i] = m->ring[(m->head + i) & (m->cap - 1)];
        m->bytes -= out[i].bytes;
    }
    m->head = (m->head + n) & (m->cap ? m->cap - 1 : 0);
    m->len -= n;
    if (n == 0)
        m->woken = false;
    else if (m->waiting)
        pthread_cond_broadcast(&m->room);
    pthread_mutex_unlock(&m->lock);
    return n;
}

size_t gw_mailbox_len(struct gw_mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    size_t n = m->len;
    pthread_mutex_unlock(&m->lock);
    return n;
}
