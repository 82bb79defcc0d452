/* What clients say: one function a verb. The loop's thread. */
#include "net_private.h"

#include "gw/metrics.h"

#include <string.h>

static void do_auth(struct session *s, const struct gw_message *m)
{
    session_auth(s, m->token, m->id);
}

static void do_join(struct session *s, const struct gw_message *m)
{
    struct loop *l = s->loop;
    if (!gw_access_may_join(l->policy->access, s->who, m->room)) {
        session_error(s, m->id, GW_ERROR_FORBIDDEN, "you may not join this room");
        return;
    }
    if (s->rooms.n >= (uint32_t)l->net->cfg->limits_rooms_per_connection && !gw_rooms_membership(&s->rooms, m->room)) {
        gw_metric_add(GW_M_LIMIT_ROOMS_CONN, 1);
        session_error(s, m->id, GW_ERROR_LIMIT, "limits.rooms_per_connection is reached");
        return;
    }
    if (gw_rooms_join(&l->rooms, &s->rooms, s, m->room, false) != 0) {
        session_error(s, m->id, GW_ERROR_LIMIT, "limits.rooms of this node is reached");
        return;
    }
    gw_buf_clear(&l->text);
    gw_wire_put_room(&l->text, "joined", m->id, m->room, NULL);
    session_send_text(s, &l->text);
}

static void do_leave(struct session *s, const struct gw_message *m)
{
    struct loop *l = s->loop;
    struct gw_membership *in = gw_rooms_membership(&s->rooms, m->room);
    if (in)
        gw_rooms_leave(&l->rooms, &s->rooms, in);
    gw_buf_clear(&l->text);
    gw_wire_put_room(&l->text, "left", m->id, m->room, NULL);
    session_send_text(s, &l->text);
}

static void do_ping(struct session *s, const struct gw_message *m)
{
    gw_buf_clear(&s->loop->text);
    gw_wire_put_pong(&s->loop->text, m->id);
    session_send_text(s, &s->loop->text);
}

static void (*const verbs[GW_VERB_COUNT])(struct session *, const struct gw_message *) = {
    [GW_VERB_AUTH] = do_auth,
    [GW_VERB_JOIN] = do_join,
    [GW_VERB_LEAVE] = do_leave,
    [GW_VERB_ACTION] = action_request,
    [GW_VERB_PING] = do_ping,
};

static void one_message(struct session *s, struct gw_str text)
{
    struct loop *l = s->loop;
    const struct gw_config *cfg = l->net->cfg;
    struct gw_message m;
    enum gw_error_code code;
    struct gw_err err = {0};
    gw_metric_add(GW_M_MESSAGES_IN, 1);
    int rc = gw_wire_parse(l->wire, text, &m, &code, &err);
    if (!bucket_take(&s->messages, cfg->limits_messages_per_s, 1000, 2 * cfg->limits_messages_per_s, l->now_ms)) {
        gw_metric_add(GW_M_LIMIT_MESSAGES, 1);
        session_error(s, m.id, GW_ERROR_RATE_LIMITED, "more than limits.messages_per_s messages");
    } else if (rc != 0) {
        session_error(s, m.id, code, err.text);
    } else if (s->state == SESSION_AUTH && m.verb != GW_VERB_AUTH) {
        session_error(s, m.id, GW_ERROR_UNAUTHENTICATED, "the first message must be auth");
        session_close(s, GW_CLOSE_UNAUTHENTICATED, "the first message must be auth");
    } else {
        verbs[m.verb](s, &m);
    }
}

void verbs_receive(struct session *s, struct gw_str text)
{
    while (text.len && s->state != SESSION_CLOSING && !s->dead) {
        const char *lf = memchr(text.p, '\n', text.len);
        struct gw_str line = {text.p, lf ? (size_t)(lf - text.p) : text.len};
        text = lf ? (struct gw_str){lf + 1, text.len - line.len - 1} : (struct gw_str){0};
        if (line.len)
            one_message(s, line);
    }
}
