/* The drain at SIGTERM: clients are told when to come back (jittered over drain.ms), and each is closed with 1012 at its time,
 * later where it still waits for the answer of an action. */
#include "net_private.h"

#include <stdlib.h>
#include <sys/random.h>

static int64_t random_below(int64_t n)
{
    uint32_t r = 0;
    if (n <= 0 || getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return 0;
    return (int64_t)r % n;
}

static void tell(struct session *s)
{
    struct loop *l = s->loop;
    int64_t span = l->net->cfg->drain_ms;
    int64_t after = random_below(span / 2);
    s->close_after_ms = l->now_ms + after;
    gw_buf_clear(&l->text);
    gw_wire_put_number(&l->text, "reconnect", "after", after + random_below(span / 2));
    session_send_text(s, &l->text);
    wheel_schedule(s);
}

bool drain_pace(struct session *s)
{
    struct loop *l = s->loop;
    if (s->close_after_ms == 0)
        tell(s);
    if (s->close_after_ms > l->now_ms)
        return false;
    if (s->in_flight) {
        s->close_after_ms = l->now_ms + TICK_MS;
        return false;
    }
    session_close(s, GW_CLOSE_DRAIN, NULL);
    return true;
}

void drain_check(struct loop *l)
{
    if (!l->draining || l->drained || l->nsessions)
        return;
    l->drained = true;
    pthread_mutex_lock(&l->net->lock);
    l->net->drained++;
    pthread_cond_broadcast(&l->net->changed);
    pthread_mutex_unlock(&l->net->lock);
}

void drain_start(struct loop *l)
{
    l->draining = true;
    listener_close(l);
    for (uint32_t i = 0; i < l->nslots; i++) {
        struct session *s = l->slot[i];
        if (s && s->state == SESSION_OPEN)
            tell(s);
        else if (s && s->state == SESSION_AUTH)
            session_close(s, GW_CLOSE_DRAIN, NULL);
    }
    drain_check(l);
}
