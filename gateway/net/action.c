/* Actions: from a client's message to a record on Kafka, and the way back of the answer.
 *
 * On the loop: name, rate, room, rule, data, idempotency key, envelope, hand-over to the producer. On the producer's thread:
 * action_done, which sends the answer to the loop by mail. On the loop again: action_answer. Nothing is acked that Kafka has not acked. */
#include "net_private.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include "idempotency.h"
#include "pending.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* One request on its way through the checks. */
struct request {
    struct session *s;
    const struct gw_message *m;
    const struct gw_action *action;
    struct gw_captures captures;
};

/* RFC 9562 section 5.4. */
static void uuid4(char out[37])
{
    unsigned char b[16];
    if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
        abort();
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
             b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static bool deny(struct request *r, enum gw_metric metric, enum gw_error_code code, const char *message)
{
    gw_metric_add(metric, 1);
    session_error(r->s, r->m->id, code, message);
    return false;
}

static bool within_rate(struct request *r)
{
    struct session *s = r->s;
    const struct gw_cfg_action *cfg = gw_action_cfg(r->action);
    if (cfg->rate_count == 0)
        return true;
    if (!s->rates)
        s->rates = gw_alloc(gw_actions_count(s->loop->policy->actions) * sizeof(*s->rates));
    return bucket_take(&s->rates[gw_action_index(r->action)], cfg->rate_count, cfg->rate_ms, cfg->rate_count,
                       s->loop->now_ms);
}

static bool room_fits(struct request *r)
{
    const struct gw_pattern *pattern = gw_action_room(r->action);
    if (!pattern && r->m->room.p)
        return deny(r, GW_M_ACTION_INVALID, GW_ERROR_BAD_FIELD, "room: this action is not for a room");
    if (!pattern)
        return true;
    if (!r->m->room.p)
        return deny(r, GW_M_ACTION_INVALID, GW_ERROR_BAD_FIELD, "room: is missing");
    if (!gw_pattern_match(pattern, r->m->room, &r->captures))
        return deny(r, GW_M_ACTION_INVALID, GW_ERROR_BAD_FIELD, "room: not of the kind that this action is for");
    if (!gw_rooms_membership(&r->s->rooms, r->m->room))
        return deny(r, GW_M_ACTION_FORBIDDEN, GW_ERROR_NOT_MEMBER, "join the room first");
    return true;
}

static bool key_fits(struct request *r)
{
    for (size_t i = 0; i < r->m->key.len; i++)
        if (r->m->key.p[i] <= ' ' || r->m->key.p[i] > '~')
            return deny(r, GW_M_ACTION_INVALID, GW_ERROR_BAD_FIELD,
                        "key: expected 1 to 128 printable ASCII characters without spaces");
    return true;
}

static bool allowed(struct request *r)
{
    const struct gw_policy *p = r->s->loop->policy;
    r->action = gw_actions_find(p->actions, r->m->name);
    if (!r->action)
        return deny(r, GW_M_ACTION_FORBIDDEN, GW_ERROR_FORBIDDEN, "there is no such action for you");
    if (!within_rate(r))
        return deny(r, GW_M_ACTION_RATE, GW_ERROR_RATE_LIMITED, "this action's rate is exceeded");
    if (!room_fits(r) || !key_fits(r))
        return false;
    const struct gw_rule *rule = p->allow[gw_action_index(r->action)];
    if (rule && !gw_rule_allows(rule, r->s->who, &r->captures))
        return deny(r, GW_M_ACTION_FORBIDDEN, GW_ERROR_FORBIDDEN, "there is no such action for you");
    return true;
}

static bool valid(struct request *r)
{
    struct gw_err err = {0};
    const struct gw_config *cfg = r->s->loop->net->cfg;
    if (gw_action_check(r->action, r->m->data, &err) != 0)
        return deny(r, GW_M_ACTION_INVALID, GW_ERROR_INVALID, err.text);
    if (r->s->in_flight >= (uint32_t)cfg->limits_in_flight) {
        gw_metric_add(GW_M_LIMIT_IN_FLIGHT, 1);
        return deny(r, GW_M_ACTION_LIMIT, GW_ERROR_LIMIT, "limits.in_flight actions wait for Kafka already");
    }
    if (!r->s->loop->net->producer)
        return deny(r, GW_M_ACTION_UNAVAILABLE, GW_ERROR_UNAVAILABLE, "Kafka is off on this gateway");
    return true;
}

static void copy(char *out, size_t size, struct gw_str s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

static struct pending *new_pending(struct request *r)
{
    struct pending *p = gw_alloc(sizeof(*p));
    p->loop = r->s->loop;
    p->session = r->s->id;
    p->topic = gw_strdup(gw_action_cfg(r->action)->topic);
    copy(p->msg_id, sizeof(p->msg_id), r->m->id);
    if (!r->m->key.p) {
        uuid4(p->event_id);
        return p;
    }
    copy(p->event_id, sizeof(p->event_id), r->m->key);
    if (p->loop->net->cfg->producer_idempotency_entries == 0)
        return p;
    struct gw_str user = gw_identity_user(r->s->who);
    gw_buf_addf(&p->key, "%zu:", user.len); /* the length keeps users and names apart */
    gw_buf_add_str(&p->key, user);
    gw_buf_addf(&p->key, " %s ", gw_action_cfg(r->action)->name);
    gw_buf_add_str(&p->key, r->m->key);
    return p;
}

static void free_pending(struct pending *p)
{
    gw_buf_fini(&p->key);
    free(p->topic);
    free(p);
}

void action_forget(struct pending *p)
{
    free_pending(p);
}

static void post(struct pending *p)
{
    struct gw_mailbox *mailbox = p->loop->mailbox; /* once it is in there, p may be gone at any moment */
    gw_mailbox_put(mailbox, (struct gw_mail){.kind = MAIL_PRODUCED, .item = p});
    gw_mailbox_wake(mailbox);
}

/* [any thread] The first one's result is in: tells those that wait for it, then the first one itself. */
static void finish(struct pending *p)
{
    struct idempotency_answer answer = {p->partition, p->offset};
    struct pending *w = NULL;
    if (p->key.len)
        w = idempotency_finish(p->loop->net->idempotency, gw_buf_str(&p->key), p->ok ? &answer : NULL);
    while (w) {
        struct pending *next = w->next_waiter;
        w->ok = p->ok;
        w->retry = p->retry;
        w->partition = p->partition;
        w->offset = p->offset;
        copy(w->error, sizeof(w->error), gw_str_of(p->error));
        post(w);
        w = next;
    }
    post(p);
}

/* [producer] */
static void action_done(void *arg, const struct gw_produced *result)
{
    struct pending *p = arg;
    p->ok = result->ok;
    p->retry = result->retry;
    p->partition = result->partition;
    p->offset = result->offset;
    if (!result->ok)
        copy(p->error, sizeof(p->error), gw_str_of(result->error));
    finish(p);
}

void action_answer(struct loop *l, struct pending *p)
{
    struct session *s = session_find(l, p->session);
    enum gw_metric failed = p->retry ? GW_M_ACTION_UNAVAILABLE : GW_M_ACTION_REFUSED;
    gw_metric_add(!p->ok ? failed : p->waits ? GW_M_ACTION_REPEATED : GW_M_ACTION_ACKED, 1);
    if (!s) {
        gw_metric_add(GW_M_STALE, 1);
        free_pending(p);
        return;
    }
    s->in_flight--;
    struct gw_str msg_id = *p->msg_id ? gw_str_of(p->msg_id) : (struct gw_str){0};
    if (p->ok) {
        gw_buf_clear(&l->text);
        gw_wire_put_ack(&l->text, msg_id, gw_str_of(p->topic), p->partition, p->offset, gw_str_of(p->event_id));
        session_send_text(s, &l->text);
    } else {
        char text[sizeof(p->error) + 40];
        snprintf(text, sizeof(text), "Kafka did not take it: %s", p->error);
        session_error(s, msg_id, p->retry ? GW_ERROR_UNAVAILABLE : GW_ERROR_REFUSED, text);
    }
    free_pending(p);
}

static bool first_text(struct gw_str text, void *arg)
{
    gw_buf_add_str(arg, text);
    return false;
}

static int claim_text(void *arg, struct gw_str path, struct gw_buf *out)
{
    char name[256];
    copy(name, sizeof(name), path);
    return gw_identity_claim(arg, name, first_text, out) > 0 ? 0 : -1;
}

/* Builds the record and hands it over. False: err says why, and nothing was sent. */
static bool produce(struct request *r, struct pending *p, enum gw_error_code *code, struct gw_err *err)
{
    struct session *s = r->s;
    struct gw_action_record rec;
    char correlation[37], connection[48];
    uuid4(correlation);
    session_connection_name(s, connection);
    struct gw_action_input in = {.data = r->m->data, .user = gw_identity_user(s->who), .connection = gw_str_of(connection),
                                 .ip = gw_str_of(s->ip), .user_agent = gw_str_of(s->user_agent), .room = r->m->room,
                                 .captures = &r->captures, .event_id = gw_str_of(p->event_id),
                                 .correlation_id = gw_str_of(correlation), .now_ms = gw_clock_wall_ms(),
                                 .claim = claim_text, .claim_arg = s->who};
    *code = GW_ERROR_INVALID;
    if (gw_action_build(r->action, &in, &s->loop->action, &rec, err) != 0)
        return false;
    struct gw_produce out = {.topic = p->topic, .key = rec.key, .value = rec.value, .headers = rec.headers,
                             .nheaders = rec.nheaders, .done = action_done, .arg = p};
    GW_LOG(GW_LOG_DEBUG, "action", GW_KS("conn", connection), GW_KV("name", r->m->name), GW_KS("correlation", correlation));
    int rc = gw_producer_send(s->loop->net->producer, &out, err);
    *code = rc == -2 ? GW_ERROR_REFUSED : GW_ERROR_UNAVAILABLE;
    return rc == 0;
}

void action_request(struct session *s, const struct gw_message *m)
{
    struct request r = {.s = s, .m = m};
    if (!allowed(&r) || !valid(&r))
        return;
    struct pending *p = new_pending(&r);
    struct idempotency_answer answer;
    enum idempotency_state state = IDEMPOTENCY_NEW;
    s->in_flight++;
    p->waits = true;
    if (p->key.len)
        state = idempotency_begin(s->loop->net->idempotency, gw_buf_str(&p->key), p, &answer);
    if (state == IDEMPOTENCY_WAIT)
        return; /* p may be gone by now: it belongs to the first one's answer */
    if (state == IDEMPOTENCY_DONE) {
        p->ok = true;
        p->partition = answer.partition;
        p->offset = answer.offset;
        action_answer(s->loop, p);
        return;
    }
    p->waits = false;
    struct gw_err err = {0};
    enum gw_error_code code;
    if (produce(&r, p, &code, &err))
        return;
    p->retry = code == GW_ERROR_UNAVAILABLE;
    copy(p->error, sizeof(p->error), gw_str_of(err.text));
    if (code != GW_ERROR_INVALID) {
        finish(p);
        return;
    }
    struct pending *w = p->key.len ? idempotency_finish(s->loop->net->idempotency, gw_buf_str(&p->key), NULL) : NULL;
    for (struct pending *next; w; w = next) {
        next = w->next_waiter;
        copy(w->error, sizeof(w->error), gw_str_of(err.text));
        post(w);
    }
    s->in_flight--;
    deny(&r, GW_M_ACTION_INVALID, code, err.text);
    free_pending(p);
}
