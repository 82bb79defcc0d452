/* One WebSocket connection: its life from handshake to close, its identity, its rooms. The loop's thread only. */
#include "net_private.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void take_slot(struct session *s)
{
    struct loop *l = s->loop;
    if (l->free_slots == 0) {
        uint32_t n = l->nslots ? l->nslots * 2 : 64;
        l->slot = gw_realloc(l->slot, n * sizeof(struct session *));
        l->generation = gw_realloc(l->generation, n * sizeof(*l->generation));
        l->free_slot = gw_realloc(l->free_slot, n * sizeof(*l->free_slot));
        for (uint32_t i = n; i-- > l->nslots;) {
            l->slot[i] = NULL;
            l->generation[i] = 0;
            l->free_slot[l->free_slots++] = i;
        }
        l->nslots = n;
    }
    s->id.slot = l->free_slot[--l->free_slots];
    s->id.generation = ++l->generation[s->id.slot];
    l->slot[s->id.slot] = s;
}

struct session *session_new(struct loop *l, struct lws *wsi)
{
    struct session *s = gw_alloc(sizeof(*s));
    s->loop = l;
    s->wsi = wsi;
    s->state = SESSION_HANDSHAKE;
    take_slot(s);
    l->nsessions++;
    return s;
}

void session_free(struct session *s)
{
    struct loop *l = s->loop;
    flush_forget(s);
    wheel_remove(s);
    gw_rooms_leave_all(&l->rooms, &s->rooms);
    s->dead = true;
    outbox_clear(&s->out, &l->chunks);
    flush_gauge(s);
    if (s->counted)
        gw_metric_add(GW_M_CONNECTIONS, -1);
    l->slot[s->id.slot] = NULL;
    l->free_slot[l->free_slots++] = s->id.slot;
    l->nsessions--;
    gw_identity_unref(s->who);
    gw_buf_fini(&s->rx);
    free(s->rates);
    free(s->ip);
    free(s->user_agent);
    free(s);
    drain_check(l);
}

struct session *session_find(struct loop *l, struct session_id id)
{
    struct session *s = id.slot < l->nslots ? l->slot[id.slot] : NULL;
    return s && s->id.generation == id.generation ? s : NULL;
}

void session_connection_name(const struct session *s, char out[48])
{
    snprintf(out, 48, "c-%08" PRIx32 "-%x-%" PRIx32 "-%" PRIx32, s->loop->net->node_id, s->loop->index, s->id.slot,
             s->id.generation);
}

void session_send(struct session *s, struct frame *f)
{
    if (s->dead || s->state == SESSION_CLOSING)
        return;
    size_t max = (size_t)s->loop->net->cfg->limits_outbox_bytes;
    if (s->blocked && s->out.bytes > 0 && s->out.bytes + f->len > max) {
        gw_metric_add(GW_M_LIMIT_OUTBOX, 1);
        session_close(s, GW_CLOSE_SLOW, NULL);
        return;
    }
    outbox_push(&s->out, &s->loop->chunks, f);
    if (s->blocked)
        flush_gauge(s);
    flush_mark(s);
}

void session_send_text(struct session *s, const struct gw_buf *message)
{
    struct frame *f = frame_text(message);
    session_send(s, f);
    frame_unref(f);
}

static enum gw_metric error_metric(enum gw_error_code code)
{
    return (enum gw_metric)(GW_M_ERROR_BAD_MESSAGE + (int)code);
}

void session_error(struct session *s, struct gw_str msg_id, enum gw_error_code code, const char *message)
{
    struct loop *l = s->loop;
    gw_metric_add(error_metric(code), 1);
    gw_buf_clear(&l->text);
    gw_wire_put_error(&l->text, msg_id, code, message);
    session_send_text(s, &l->text);
    int64_t per_min = l->net->cfg->limits_errors_per_min;
    if (code != GW_ERROR_UNAVAILABLE && !bucket_take(&s->errors, per_min, 60000, per_min, l->now_ms)) {
        gw_metric_add(GW_M_LIMIT_ERRORS, 1);
        session_close(s, GW_CLOSE_ABUSE, NULL);
    }
}

/* ---- identity and rooms ---- */

struct auto_join {
    struct session *s;
    bool tell; /* the rooms are not listed in a welcome that follows */
};

static void join_auto(struct gw_str room, void *arg)
{
    struct auto_join *a = arg;
    struct session *s = a->s;
    struct loop *l = s->loop;
    if (s->state != SESSION_OPEN || gw_rooms_membership(&s->rooms, room))
        return;
    if (s->rooms.n >= (uint32_t)l->net->cfg->limits_rooms_per_connection) {
        gw_metric_add(GW_M_LIMIT_ROOMS_CONN, 1);
        return;
    }
    if (gw_rooms_join(&l->rooms, &s->rooms, s, room, true) != 0 || !a->tell)
        return;
    gw_buf_clear(&l->text);
    gw_wire_put_room(&l->text, "joined", (struct gw_str){0}, room, NULL);
    session_send_text(s, &l->text);
}

static void join_auto_rooms(struct session *s, bool tell)
{
    struct loop *l = s->loop;
    gw_access_auto_rooms(l->policy->access, s->who, (size_t)l->net->cfg->limits_rooms_per_connection, join_auto,
                         &(struct auto_join){s, tell});
}

/* The answer to a token: welcome or renewed, with all rooms the connection is in. */
static void send_who(struct session *s, struct gw_str msg_id, void (*put)(struct gw_buf *, const struct gw_wire_welcome *))
{
    struct loop *l = s->loop;
    const struct gw_config *cfg = l->net->cfg;
    struct gw_str *rooms = gw_alloc((s->rooms.n + 1) * sizeof(*rooms));
    size_t n = s->rooms.n;
    for (struct gw_membership *m = s->rooms.first; m; m = m->next)
        rooms[--n] = m->room->name;
    char name[48];
    session_connection_name(s, name);
    gw_buf_clear(&l->text);
    put(&l->text, &(struct gw_wire_welcome){.id = msg_id, .connection = gw_str_of(name), .user = gw_identity_user(s->who),
                                            .rooms = rooms, .nrooms = s->rooms.n,
                                            .expires_ms = gw_identity_expires_ms(s->who),
                                            .heartbeat_s = cfg->ws_heartbeat_s,
                                            .message_bytes = cfg->limits_message_bytes,
                                            .rooms_max = cfg->limits_rooms_per_connection,
                                            .in_flight = cfg->limits_in_flight});
    free(rooms);
    session_send_text(s, &l->text);
}

/* When the connection ends with its token (auth.leeway_s later, as clocks differ), and the warning: warn_s before the token's
 * end, or half-way there for a short-lived one. */
static void set_clock(struct session *s)
{
    int64_t expires = gw_identity_expires_ms(s->who);
    s->expires_ms = s->warn_ms = 0;
    if (expires == INT64_MAX)
        return;
    const struct gw_config *cfg = s->loop->policy->cfg;
    int64_t now = s->loop->now_ms, left = expires - gw_clock_wall_ms(), warn = cfg->auth_warn_s * 1000;
    s->expires_ms = now + left + cfg->auth_leeway_s * 1000;
    if (s->expires_ms < now)
        s->expires_ms = now;
    s->warn_ms = left > 2 * warn ? now + left - warn : left > 0 ? now + left / 2 : now;
}

static void open_session(struct session *s, struct gw_str msg_id)
{
    struct loop *l = s->loop;
    s->state = SESSION_OPEN;
    s->deadline_ms = 0;
    set_clock(s);
    s->heartbeat_ms = l->now_ms + l->net->cfg->ws_heartbeat_s * 1000;
    join_auto_rooms(s, false);
    send_who(s, msg_id, gw_wire_put_welcome);
    if (l->kafka != GW_KAFKA_UP) {
        gw_buf_clear(&l->text);
        gw_wire_put_status(&l->text, l->kafka == GW_KAFKA_OFF ? "off" : "down");
        session_send_text(s, &l->text);
    }
    char name[48];
    session_connection_name(s, name);
    GW_LOG(GW_LOG_INFO, "connection.open", GW_KS("conn", name), GW_KV("user", gw_identity_user(s->who)),
           GW_KS("ip", s->ip), GW_KI("loop", l->index));
    if (l->draining)
        drain_pace(s);
    wheel_schedule(s);
}

void session_established(struct session *s)
{
    s->counted = true;
    gw_metric_add(GW_M_CONNECTIONS, 1);
    gw_metric_add(GW_M_CONNECTIONS_TOTAL, 1);
    if (s->who) {
        open_session(s, (struct gw_str){0});
        return;
    }
    s->state = SESSION_AUTH;
    s->deadline_ms = s->loop->now_ms + s->loop->net->cfg->auth_timeout_ms;
    wheel_schedule(s);
}

void session_reauthorise(struct session *s)
{
    struct loop *l = s->loop;
    if (s->dead)
        return;
    for (struct gw_membership *m = s->rooms.first, *next; m; m = next) {
        next = m->next;
        if (gw_access_may_join(l->policy->access, s->who, m->room->name))
            continue;
        gw_buf_clear(&l->text);
        gw_wire_put_room(&l->text, "left", (struct gw_str){0}, m->room->name, "no longer allowed");
        gw_rooms_leave(&l->rooms, &s->rooms, m);
        session_send_text(s, &l->text);
        if (s->state != SESSION_OPEN) /* that was one too many for a slow client: its other rooms are gone, `next` with them */
            return;
    }
    join_auto_rooms(s, true);
}

static void renew(struct session *s, struct gw_identity *who, struct gw_str msg_id)
{
    if (!gw_str_eq(gw_identity_user(who), gw_identity_user(s->who))) {
        gw_identity_unref(who);
        session_error(s, msg_id, GW_ERROR_FORBIDDEN, "the new token is for another user: open a new connection for it");
        return;
    }
    gw_identity_unref(s->who);
    s->who = who;
    set_clock(s);
    session_reauthorise(s);
    send_who(s, msg_id, gw_wire_put_renewed);
    wheel_schedule(s);
}

void session_auth(struct session *s, struct gw_str token, struct gw_str msg_id)
{
    struct gw_identity *who = NULL;
    struct gw_err err = {0};
    bool expired = false;
    if (gw_verifier_check(s->loop->policy->verifier, token, gw_clock_wall_ms(), &who, &expired, &err) == 0) {
        if (s->who) {
            renew(s, who, msg_id);
        } else {
            s->who = who;
            open_session(s, msg_id);
        }
        return;
    }
    session_error(s, msg_id, GW_ERROR_UNAUTHENTICATED, err.text);
    if (!s->who)
        session_close(s, expired ? GW_CLOSE_EXPIRED : GW_CLOSE_UNAUTHENTICATED, err.text);
}

/* ---- the end ---- */

void session_kill(struct session *s)
{
    if (s->dead)
        return;
    s->dead = true;
    gw_rooms_leave_all(&s->loop->rooms, &s->rooms);
    outbox_clear(&s->out, &s->loop->chunks);
    flush_gauge(s);
    lws_set_timeout(s->wsi, 1, LWS_TO_KILL_ASYNC);
    s->loop->kick = true; /* armed outside of lws, the timer needs a push: flush_dirty gives it */
}

void session_close(struct session *s, enum gw_close_code code, const char *reason)
{
    if (s->dead || s->state == SESSION_CLOSING)
        return;
    char name[48];
    session_connection_name(s, name);
    GW_LOG(code == GW_CLOSE_DRAIN ? GW_LOG_DEBUG : GW_LOG_INFO, "connection.close", GW_KS("conn", name), GW_KI("code", code),
           GW_KS("reason", reason ? reason : gw_close_reason(code)));
    gw_rooms_leave_all(&s->loop->rooms, &s->rooms);
    if (code == GW_CLOSE_SLOW || s->blocked) /* what it did not take will be resumed: only the close still goes out */
        outbox_clear(&s->out, &s->loop->chunks);
    struct frame *f = frame_close((unsigned)code, reason ? reason : gw_close_reason(code));
    outbox_push(&s->out, &s->loop->chunks, f);
    frame_unref(f);
    flush_gauge(s);
    s->state = SESSION_CLOSING;
    s->close_code = (unsigned)code;
    s->deadline_ms = s->loop->now_ms + s->loop->net->cfg->ws_close_timeout_ms;
    flush_mark(s);
    wheel_schedule(s);
}
