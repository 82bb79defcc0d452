/* References read from a record: "value.sessionId" -> its text, or why there is none. On the thread of the scratch. */
#include "route_private.h"

const char *json_type_text(enum gw_json_type type)
{
    switch (type) {
    case GW_JSON_NONE:
        return "is missing";
    case GW_JSON_NULL:
        return "is null";
    case GW_JSON_FALSE:
    case GW_JSON_TRUE:
        return "is a boolean";
    case GW_JSON_NUMBER:
        return "is a number";
    case GW_JSON_STRING:
        return "is a string";
    case GW_JSON_ARRAY:
        return "is an array";
    case GW_JSON_OBJECT:
        return "is an object";
    }
    return "is unknown";
}

const struct gw_json_val *view_path(const struct route_view *view, uint16_t path)
{
    return &view->s->vals[view->slots[path]];
}

const struct gw_json_val *view_value(const struct route_view *view, const struct route_ref *ref)
{
    return ref->many ? view->element : view_path(view, ref->path);
}

/* The last header of that name counts, as in Kafka's own lastHeader(). */
static const struct gw_record_header *find_header(const struct gw_record *rec, struct gw_str name)
{
    for (size_t i = rec->nheaders; i-- > 0;)
        if (gw_str_eq(rec->headers[i].name, name))
            return &rec->headers[i];
    return NULL;
}

static int missing(struct route_view *view, const char *why)
{
    view->why = why;
    return -1;
}

static int bytes_text(struct route_view *view, struct gw_str bytes, struct gw_str *out)
{
    if (!bytes.p)
        return missing(view, "is null");
    if (!gw_utf8_valid(bytes))
        return missing(view, "is not valid UTF-8");
    *out = bytes;
    return 0;
}

/* Scalars are slices of the record, but for strings with escapes. */
static int value_text(struct route_view *view, const struct gw_json_val *val, struct gw_str *out)
{
    switch (val->type) {
    case GW_JSON_STRING:
        if (val->escaped)
            break;
        *out = (struct gw_str){val->raw.p + 1, val->raw.len - 2};
        return 0;
    case GW_JSON_NUMBER:
    case GW_JSON_TRUE:
    case GW_JSON_FALSE:
        *out = val->raw;
        return 0;
    default:
        return missing(view, json_type_text(val->type));
    }
    gw_buf_clear(&view->s->tmp);
    if (gw_json_text(val, &view->s->tmp) != 0)
        return missing(view, "contains U+0000");
    *out = gw_buf_str(&view->s->tmp);
    return 0;
}

static int header_text(struct route_view *view, struct gw_str name, struct gw_str *out)
{
    const struct gw_record_header *h = find_header(view->rec, name);

    return h ? bytes_text(view, h->value, out) : missing(view, "is missing");
}

int view_text(struct route_view *view, const struct route_ref *ref, struct gw_str *out)
{
    switch (ref->kind) {
    case REF_VALUE:
        return value_text(view, view_value(view, ref), out);
    case REF_KEY:
        return bytes_text(view, view->rec->key, out);
    case REF_HEADER:
        return header_text(view, ref->name, out);
    case REF_TOPIC:
        *out = view->topic->name;
        return 0;
    case REF_CAPTURE:
        *out = view->bound->captures[ref->group];
        return out->p ? 0 : missing(view, "took no part in the match");
    case REF_PARTITION:
        gw_buf_clear(&view->s->tmp);
        gw_buf_add_i64(&view->s->tmp, view->rec->partition);
        *out = gw_buf_str(&view->s->tmp);
        return 0;
    }
    return missing(view, "is unknown");
}

bool view_exists(const struct route_view *view, const struct route_ref *ref)
{
    const struct gw_record_header *h;

    switch (ref->kind) {
    case REF_VALUE:
        return view_value(view, ref)->type > GW_JSON_NULL; /* neither NONE nor NULL */
    case REF_KEY:
        return view->rec->key.p != NULL;
    case REF_HEADER:
        h = find_header(view->rec, ref->name);
        return h && h->value.p;
    case REF_CAPTURE:
        return view->bound->captures[ref->group].p != NULL;
    default:
        return true;
    }
}
