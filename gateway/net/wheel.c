/* Time: one wheel of sessions a loop, a tick of 100 ms. Each session stands in the bucket of its next due time; only those
 * that are due are looked at. No timers of libwebsockets are used: it keeps them in a sorted list. */
#include "net_private.h"

bool bucket_take(struct bucket *b, int64_t count, int64_t per_ms, int64_t burst, int64_t now_ms)
{
    int64_t full = burst * per_ms;
    b->credit = b->at_ms == 0 ? full : b->credit + (now_ms - b->at_ms) * count;
    if (b->credit > full)
        b->credit = full;
    b->at_ms = now_ms;
    if (b->credit < per_ms)
        return false;
    b->credit -= per_ms;
    return true;
}

void wheel_remove(struct session *s)
{
    if (!s->wheel_prev)
        return;
    *s->wheel_prev = s->wheel_next;
    if (s->wheel_next)
        s->wheel_next->wheel_prev = s->wheel_prev;
    s->wheel_prev = NULL;
}

static int64_t earliest(int64_t a, int64_t b)
{
    return b != 0 && b < a ? b : a;
}

static int64_t next_due(const struct session *s)
{
    int64_t due = INT64_MAX;
    due = earliest(due, s->deadline_ms);
    if (s->state != SESSION_OPEN)
        return due;
    due = earliest(due, s->heartbeat_ms);
    due = earliest(due, s->pong_ms);
    due = earliest(due, s->close_after_ms);
    due = earliest(due, s->expires_ms);
    return earliest(due, s->warn_ms);
}

static void insert(struct session *s, int64_t tick)
{
    struct loop *l = s->loop;
    if (tick <= l->wheel_tick)
        tick = l->wheel_tick + 1;
    if (tick >= l->wheel_tick + WHEEL_BUCKETS)
        tick = l->wheel_tick + WHEEL_BUCKETS - 1; /* looked at early, and put back */
    struct session **bucket = &l->wheel[tick % WHEEL_BUCKETS];
    s->wheel_next = *bucket;
    if (*bucket)
        (*bucket)->wheel_prev = &s->wheel_next;
    *bucket = s;
    s->wheel_prev = bucket;
}

void wheel_schedule(struct session *s)
{
    wheel_remove(s);
    s->due_ms = next_due(s);
    if (s->due_ms != INT64_MAX)
        insert(s, (s->due_ms + TICK_MS - 1) / TICK_MS);
}

static void send_heartbeat(struct session *s)
{
    struct loop *l = s->loop;
    const struct gw_config *cfg = l->net->cfg;
    s->heartbeat_ms = l->now_ms + cfg->ws_heartbeat_s * 1000;
    if (s->blocked) {
        if (l->now_ms - s->blocked_ms >= (cfg->ws_heartbeat_s + cfg->ws_pong_timeout_s) * 1000)
            session_close(s, GW_CLOSE_DEAD, "no byte was taken for too long");
        return;
    }
    session_send(s, heartbeat_frame(l));
    session_send(s, l->ping);
    if (s->pong_ms == 0)
        s->pong_ms = l->now_ms + cfg->ws_pong_timeout_s * 1000;
}

static void check_expiry(struct session *s)
{
    struct loop *l = s->loop;
    if (s->expires_ms && s->expires_ms <= l->now_ms) {
        session_close(s, GW_CLOSE_EXPIRED, NULL);
    } else if (s->warn_ms && s->warn_ms <= l->now_ms) {
        s->warn_ms = 0;
        gw_buf_clear(&l->text);
        int64_t left = s->expires_ms - l->policy->cfg->auth_leeway_s * 1000 - l->now_ms;
        gw_wire_put_number(&l->text, "expiring", "seconds", left > 0 ? (left + 999) / 1000 : 0);
        session_send_text(s, &l->text);
    }
}

static void act(struct session *s)
{
    struct loop *l = s->loop;
    if (s->deadline_ms && s->deadline_ms <= l->now_ms) {
        if (s->state == SESSION_AUTH)
            session_close(s, GW_CLOSE_AUTH_TIMEOUT, NULL);
        else
            session_kill(s);
        return;
    }
    if (s->state == SESSION_OPEN)
        check_expiry(s);
    if (s->state == SESSION_OPEN && s->pong_ms && s->pong_ms <= l->now_ms)
        session_close(s, GW_CLOSE_DEAD, NULL);
    if (s->state == SESSION_OPEN && s->heartbeat_ms <= l->now_ms)
        send_heartbeat(s);
    if (s->state == SESSION_OPEN && s->close_after_ms)
        drain_pace(s);
}

static void run_bucket(struct loop *l, int64_t tick)
{
    struct session *list = l->wheel[tick % WHEEL_BUCKETS];
    l->wheel[tick % WHEEL_BUCKETS] = NULL;
    for (struct session *s = list; s; s = s->wheel_next)
        s->wheel_prev = NULL;
    while (list) {
        struct session *s = list;
        list = s->wheel_next;
        s->wheel_next = NULL;
        if (s->due_ms <= l->now_ms)
            act(s);
        if (!s->dead)
            wheel_schedule(s);
    }
}

void wheel_tick(struct loop *l)
{
    int64_t now = l->now_ms / TICK_MS;
    if (l->wheel_tick == 0 || now - l->wheel_tick > WHEEL_BUCKETS)
        l->wheel_tick = now - WHEEL_BUCKETS;
    while (l->wheel_tick < now)
        run_bucket(l, ++l->wheel_tick);
}
