/* From a client's data to a Kafka record: the check of the fields, the envelope, key and headers. Pure functions. */
#include "gw/action.h"

#include "gw/clock.h"
#include "gw/json.h"
#include "gw/template.h"

#include "action_private.h"

#include <string.h>

static const char *const type_names[] = {"any value", "a string", "a number", "an integer",
                                         "true or false", "an object", "an array"};

static bool type_fits(enum gw_cfg_type type, const struct gw_json_val *v)
{
    int64_t integer;
    switch (type) {
    case GW_TYPE_ANY: return true;
    case GW_TYPE_STRING: return v->type == GW_JSON_STRING;
    case GW_TYPE_NUMBER: return v->type == GW_JSON_NUMBER;
    case GW_TYPE_INTEGER: return v->type == GW_JSON_NUMBER && gw_json_i64(v, &integer) == 0;
    case GW_TYPE_BOOLEAN: return v->type == GW_JSON_TRUE || v->type == GW_JSON_FALSE;
    case GW_TYPE_OBJECT: return v->type == GW_JSON_OBJECT;
    case GW_TYPE_ARRAY: return v->type == GW_JSON_ARRAY;
    }
    return false;
}

static struct gw_json_val member(struct gw_str object, struct gw_str name)
{
    struct gw_json_val v;
    struct gw_str key;
    bool escaped;
    for (size_t pos = 0; gw_json_next(object, &pos, &key, &escaped, &v);)
        if (gw_json_key_is(key, escaped, name))
            return v;
    return (struct gw_json_val){.type = GW_JSON_NONE};
}

static bool is_listed(const struct gw_cfg_action *cfg, struct gw_str key, bool escaped)
{
    for (size_t i = 0; i < cfg->nfields; i++)
        if (gw_json_key_is(key, escaped, gw_str_of(cfg->fields[i].name)))
            return true;
    return false;
}

static int check_unlisted(const struct gw_cfg_action *cfg, struct gw_str data, struct gw_err *err)
{
    struct gw_json_val v;
    struct gw_str key;
    bool escaped;
    for (size_t pos = 0; gw_json_next(data, &pos, &key, &escaped, &v);)
        if (!is_listed(cfg, key, escaped))
            return gw_err_set(err, "data.%.*s: this action has no such field", (int)(key.len < 64 ? key.len : 64), key.p);
    return 0;
}

int gw_action_check(const struct gw_action *a, struct gw_str data, struct gw_err *err)
{
    if (!data.p)
        data = GW_STR("{}");
    if (data.p[0] != '{')
        return gw_err_set(err, "data: expected an object");
    for (size_t i = 0; i < a->cfg->nfields; i++) {
        const struct gw_cfg_field *f = &a->cfg->fields[i];
        struct gw_json_val v = member(data, gw_str_of(f->name));
        if (v.type == GW_JSON_NONE && f->optional)
            continue;
        if (v.type == GW_JSON_NONE)
            return gw_err_set(err, "data.%s: is missing; expected %s", f->name, type_names[f->type]);
        if (!type_fits(f->type, &v))
            return gw_err_set(err, "data.%s: expected %s", f->name, type_names[f->type]);
    }
    return a->cfg->open ? 0 : check_unlisted(a->cfg, data, err);
}

static int data_text(struct gw_str data, struct gw_str path, struct gw_buf *out)
{
    struct gw_json_val v = {.type = GW_JSON_OBJECT, .raw = data};
    while (path.len > 0) {
        const char *dot = memchr(path.p, '.', path.len);
        size_t n = dot ? (size_t)(dot - path.p) : path.len;
        if (v.type != GW_JSON_OBJECT)
            return -1;
        v = member(v.raw, (struct gw_str){path.p, n});
        path = dot ? (struct gw_str){dot + 1, path.len - n - 1} : (struct gw_str){path.p + n, 0};
    }
    return gw_json_text(&v, out);
}

static int resolve(const struct gw_template_part *part, struct gw_buf *out, void *arg)
{
    const struct gw_action_input *in = arg;
    if (gw_str_is(part->root, "user")) {
        gw_buf_add_str(out, in->user);
        return 0;
    }
    if (gw_str_is(part->root, "data"))
        return data_text(in->data, part->path, out);
    if (gw_str_is(part->root, "claim"))
        return in->claim(in->claim_arg, part->path, out);
    if (!part->path.p) {
        gw_buf_add_str(out, in->room);
        return 0;
    }
    for (size_t i = 0; i < in->captures->n; i++)
        if (gw_str_eq(in->captures->v[i].name, part->path)) {
            gw_buf_add_str(out, in->captures->v[i].value);
            return 0;
        }
    return -1;
}

/* Expands into the scratch; *at is where the text begins, since the scratch may still move. */
static int expand(const struct gw_template *t, const char *what, const struct gw_action_input *in,
                  struct gw_action_scratch *s, size_t *at, size_t *len, struct gw_err *err)
{
    const struct gw_template_part *missing = NULL;
    *at = s->texts.len;
    if (gw_template_expand(t, resolve, (void *)(uintptr_t)in, &s->texts, &missing) != 0)
        return gw_err_set(err, "%s: {%.*s.%.*s} is missing or not a text", what, (int)missing->root.len, missing->root.p,
                          (int)missing->path.len, missing->path.p ? missing->path.p : "");
    *len = s->texts.len - *at;
    return 0;
}

static void add_member(struct gw_buf *b, const char *name, struct gw_str value)
{
    if (!value.p)
        return;
    if (b->data[b->len - 1] != '{')
        gw_buf_add_char(b, ',');
    gw_buf_addf(b, "\"%s\":", name);
    gw_buf_add_json(b, value);
}

/* The envelope of docs/protocol.md. data is spliced as the client wrote it: numbers keep all their digits. */
static void put_envelope(const struct gw_action *a, const struct gw_action_input *in, struct gw_buf *b)
{
    char time[25];
    gw_clock_rfc3339(in->now_ms, time);
    gw_buf_add_char(b, '{');
    add_member(b, "eventId", in->event_id);
    add_member(b, "eventType", gw_str_of(a->cfg->name));
    add_member(b, "timestamp", gw_str_of(time));
    add_member(b, "version", GW_STR("1.0"));
    gw_buf_add_c(b, ",\"data\":");
    gw_buf_add_str(b, in->data);
    gw_buf_add_c(b, ",\"metadata\":{");
    add_member(b, "source", GW_STR("sluice"));
    add_member(b, "userId", in->user);
    add_member(b, "connectionId", in->connection);
    add_member(b, "room", in->room);
    add_member(b, "correlationId", in->correlation_id);
    add_member(b, "ip", in->ip);
    add_member(b, "userAgent", in->user_agent);
    gw_buf_add_c(b, "}}");
}

int gw_action_build(const struct gw_action *a, const struct gw_action_input *in, struct gw_action_scratch *s,
                    struct gw_action_record *out, struct gw_err *err)
{
    size_t at[GW_ACTION_HEADERS_MAX + 1] = {0}, len[GW_ACTION_HEADERS_MAX + 1] = {0};
    struct gw_action_input input = *in;
    if (!input.data.p)
        input.data = GW_STR("{}");
    gw_buf_clear(&s->texts);
    gw_buf_clear(&s->value);
    if (expand(a->key, "key", &input, s, &at[0], &len[0], err) != 0)
        return -1;
    for (size_t i = 0; i < a->cfg->nheaders; i++)
        if (expand(a->headers[i], a->cfg->headers[i].name, &input, s, &at[i + 1], &len[i + 1], err) != 0)
            return -1;
    put_envelope(a, &input, &s->value);

    gw_buf_reserve(&s->texts, 1);
    out->key = (struct gw_str){s->texts.data + at[0], len[0]};
    out->value = gw_buf_str(&s->value);
    out->headers[0] = (struct gw_record_header){GW_STR("event-type"), gw_str_of(a->cfg->name)};
    out->headers[1] = (struct gw_record_header){GW_STR("correlation-id"), input.correlation_id};
    out->headers[2] = (struct gw_record_header){GW_STR("content-type"), GW_STR("application/json")};
    out->nheaders = 3;
    for (size_t i = 0; i < a->cfg->nheaders; i++)
        out->headers[out->nheaders++] = (struct gw_record_header){
            gw_str_of(a->cfg->headers[i].name), {s->texts.data + at[i + 1], len[i + 1]}};
    return 0;
}

void gw_action_scratch_fini(struct gw_action_scratch *s)
{
    gw_buf_fini(&s->value);
    gw_buf_fini(&s->texts);
}
