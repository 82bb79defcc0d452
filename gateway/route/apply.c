/* A record routed: check, scan once, choose the route, expand its templates. On the thread of the scratch, which has all
 * the memory: nothing is allocated once it has seen its largest record. */
#include "route_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gw_route_scratch *gw_route_scratch_new(const struct gw_routes *r)
{
    struct gw_route_scratch *s = gw_alloc(sizeof(*s));

    room_set_reserve(&s->rooms, r->rooms_max);
    return s;
}

void gw_route_scratch_free(struct gw_route_scratch *s)
{
    if (!s)
        return;
    free(s->vals);
    free(s->many);
    gw_buf_fini(&s->text);
    gw_buf_fini(&s->tmp);
    room_set_fini(&s->rooms);
    free(s);
}

/* ---- the scan and the choice ---- */

static void make_room(struct gw_route_scratch *s, size_t nvals, size_t nmany)
{
    if (nvals > s->nvals) {
        s->vals = gw_realloc(s->vals, nvals * sizeof(*s->vals));
        s->nvals = nvals;
    }
    if (nmany > s->many_cap) {
        s->many = gw_realloc(s->many, nmany * sizeof(*s->many));
        s->many_cap = nmany;
    }
}

static int scan(struct route_view *view, const struct path_plan *plan, bool *overflow, struct gw_err *err)
{
    const struct gw_routes *all = view->topic->all;
    struct gw_route_scratch *s = view->s;
    size_t many_max = plan->nmany * all->rooms_max;
    struct gw_json_opts opts = {.depth_max = all->event_depth_max};

    make_room(s, plan->n, many_max);
    struct gw_json_out out = {.vals = s->vals, .many = s->many, .many_max = many_max};
    if (gw_json_scan(view->rec->value, &opts, plan->paths, plan->paths ? &out : NULL, err) != 0)
        return -1;
    s->many_len = out.many_len;
    *overflow = out.overflow;
    return 0;
}

static bool choose(struct route_view *view)
{
    for (size_t i = 0; i < view->topic->n; i++) {
        view->bound = &view->topic->v[i];
        view->slots = view->bound->slots;
        if (when_holds(view))
            return true;
    }
    return false;
}

/* The arrays did not fit. Those of routes that were not chosen do not matter: without them they may. */
static enum gw_route_reason scan_again(struct route_view *view, struct gw_err *err)
{
    const struct bound_route *b = view->bound;
    bool overflow = b->route->nmany > 0;

    if (b->own_slots) {
        view->slots = b->own_slots;
        if (scan(view, &b->own, &overflow, err) != 0)
            return GW_ROUTE_NOT_JSON;
    }
    if (!overflow)
        return GW_ROUTE_OK;
    gw_err_set(err, "the arrays that rooms are made of have more elements than limits.rooms_per_event (%zu)",
               view->topic->all->rooms_max);
    return GW_ROUTE_TOO_MANY;
}

/* ---- what must be there ---- */

static enum gw_route_reason check_required(const struct route_view *view, struct gw_err *err)
{
    const struct route *rt = view->bound->route;

    for (size_t i = 0; i < rt->nrequire; i++) {
        enum gw_json_type type = view_path(view, rt->require[i].path)->type;
        const char *expected = rt->require[i].is_array ? "; expected an array" : "";
        if (type > GW_JSON_NULL && (!rt->require[i].is_array || type == GW_JSON_ARRAY))
            continue;
        gw_err_set(err, "require: %s %s%s", rt->require[i].text, json_type_text(type), expected);
        return GW_ROUTE_MISSING;
    }
    return GW_ROUTE_OK;
}

/* ---- templates ---- */

static int resolve(const struct gw_template_part *part, struct gw_buf *out, void *arg)
{
    struct route_view *view = arg;
    const struct route_ref *ref = &view->bound->route->refs[part->slot];
    struct gw_str text;

    if (view_text(view, ref, &text) != 0)
        return -1;
    if (text.len == 0)
        view->empty = ref;
    gw_buf_add_str(out, text);
    return 0;
}

/* "rooms[1]: value.userIds[3] is null" */
static void say(const struct route_view *view, const struct route_ref *ref, const char *what, struct gw_err *err)
{
    if (ref->many)
        gw_err_set(err, "%.*s[%zu]%s %s", (int)ref->star, ref->text, view->element_index, ref->text + ref->star + 3,
                   what);
    else
        gw_err_set(err, "%s %s", ref->text, what);
}

static enum gw_route_reason expand(struct route_view *view, const struct gw_template *t, struct gw_err *err)
{
    const struct gw_template_part *part;

    view->empty = NULL;
    if (gw_template_expand(t, resolve, view, &view->s->text, &part) == 0)
        return GW_ROUTE_OK;
    say(view, &view->bound->route->refs[part->slot], view->why, err);
    return GW_ROUTE_MISSING;
}

static enum gw_route_reason expand_event(struct route_view *view, struct gw_err *err)
{
    const struct route *rt = view->bound->route;
    enum gw_route_reason reason;
    const char *fault;

    if (rt->event_literal.p)
        return GW_ROUTE_OK;
    reason = expand(view, rt->event, err);
    fault = reason == GW_ROUTE_OK ? event_name_fault(gw_buf_str(&view->s->text)) : NULL;
    if (fault) {
        gw_err_set(err, "the name %s", fault);
        reason = GW_ROUTE_MISSING;
    }
    return reason;
}

/* ---- rooms ---- */

static void say_bad_room(const struct gw_buf *text, size_t start, struct gw_err *err)
{
    struct gw_buf quoted;
    size_t len = text->len - start;

    if (!err)
        return;
    gw_buf_init(&quoted);
    gw_buf_add_json(&quoted, (struct gw_str){text->data + start, len < 64 ? len : 64});
    gw_err_set(err, "%s%s is no room's name: expected 1 to %d printable characters without white space",
               gw_buf_c(&quoted), len < 64 ? "" : "...", GW_ROOM_BYTES_MAX);
    gw_buf_fini(&quoted);
}

static enum gw_route_reason add_room(struct route_view *view, const struct route_room *room, struct gw_err *err)
{
    struct gw_route_scratch *s = view->s;
    size_t start = s->text.len, rooms_max = view->topic->all->rooms_max;
    enum gw_route_reason reason = expand(view, room->template, err);

    if (reason != GW_ROUTE_OK)
        return reason;
    if (view->empty) {
        say(view, view->empty, "is empty", err);
        return GW_ROUTE_BAD_ROOM;
    }
    reason = room_set_add(&s->rooms, &s->text, start, rooms_max);
    if (reason == GW_ROUTE_BAD_ROOM)
        say_bad_room(&s->text, start, err);
    else if (reason == GW_ROUTE_TOO_MANY)
        gw_err_set(err, "more rooms than limits.rooms_per_event (%zu)", rooms_max);
    return reason;
}

static size_t count_matches(const struct gw_route_scratch *s, uint16_t slot)
{
    size_t n = 0;
    for (size_t i = 0; i < s->many_len; i++)
        n += s->many[i].path == slot;
    return n;
}

/* Whether [*] stands for an array whose elements all have the field in question. An array that is not there, or null, is
 * one without elements: who needs it names it in `require`. */
static enum gw_route_reason check_array(const struct route_view *view, const struct route_ref *ref, struct gw_err *err)
{
    enum gw_json_type type = view_path(view, ref->array)->type;

    if (type > GW_JSON_NULL && type != GW_JSON_ARRAY) {
        gw_err_set(err, "%.*s %s; expected an array", (int)ref->star, ref->text, json_type_text(type));
        return GW_ROUTE_MISSING;
    }
    if (ref->element == ref->path)
        return GW_ROUTE_OK;
    size_t elements = count_matches(view->s, view->slots[ref->element]);
    size_t found = count_matches(view->s, view->slots[ref->path]);
    if (found == elements)
        return GW_ROUTE_OK;
    gw_err_set(err, "%s is missing in %zu of %zu elements", ref->text, elements - found, elements);
    return GW_ROUTE_MISSING;
}

static enum gw_route_reason add_many_rooms(struct route_view *view, const struct route_room *room, struct gw_err *err)
{
    const struct route_ref *ref = &view->bound->route->refs[room->many_ref];
    enum gw_route_reason reason = check_array(view, ref, err);
    uint16_t slot = view->slots[ref->path];

    view->element_index = 0;
    for (size_t i = 0; reason == GW_ROUTE_OK && i < view->s->many_len; i++) {
        if (view->s->many[i].path != slot)
            continue;
        view->element = &view->s->many[i].val;
        reason = add_room(view, room, err);
        view->element_index++;
    }
    return reason;
}

static enum gw_route_reason add_rooms(struct route_view *view, struct gw_err *err)
{
    const struct route *rt = view->bound->route;

    room_set_clear(&view->s->rooms);
    for (size_t i = 0; i < rt->nrooms; i++) {
        const struct route_room *room = &rt->rooms[i];
        enum gw_route_reason reason =
            room->many_ref < 0 ? add_room(view, room, err) : add_many_rooms(view, room, err);
        if (reason != GW_ROUTE_OK) {
            gw_err_prefix(err, "rooms[%zu]", i);
            return reason;
        }
    }
    return GW_ROUTE_OK;
}

static enum gw_route_reason apply_chosen(struct route_view *view, struct gw_routed *out, struct gw_err *err)
{
    struct gw_route_scratch *s = view->s;
    enum gw_route_reason reason = check_required(view, err);

    if (reason != GW_ROUTE_OK)
        return reason;
    gw_buf_clear(&s->text);
    reason = expand_event(view, err);
    if (reason != GW_ROUTE_OK) {
        gw_err_prefix(err, "event");
        return reason;
    }
    size_t event_len = s->text.len;
    reason = add_rooms(view, err);
    if (reason != GW_ROUTE_OK)
        return reason;
    const struct gw_str literal = view->bound->route->event_literal;
    out->event = literal.p ? literal : (struct gw_str){s->text.data, event_len};
    out->rooms = room_set_names(&s->rooms, &s->text);
    out->nrooms = s->rooms.n;
    return GW_ROUTE_OK;
}

enum gw_route_reason gw_route_apply(const struct gw_topic_routes *t, const struct gw_record *rec,
                                    struct gw_route_scratch *s, struct gw_routed *out, struct gw_err *err)
{
    struct route_view view = {.topic = t, .rec = rec, .s = s};
    bool overflow = false;

    *out = (struct gw_routed){0};
    if (!rec->value.p) {
        gw_err_set(err, "the value is null");
        return GW_ROUTE_TOMBSTONE;
    }
    if (rec->value.len > t->all->event_bytes_max) {
        gw_err_set(err, "the value's %zu bytes are more than limits.event_bytes (%zu)", rec->value.len,
                   t->all->event_bytes_max);
        return GW_ROUTE_TOO_LARGE;
    }
    if (t->n > 0 && scan(&view, &t->plan, &overflow, err) != 0)
        return GW_ROUTE_NOT_JSON;
    if (!choose(&view)) {
        gw_err_set(err, "no route's conditions hold");
        return GW_ROUTE_NO_MATCH;
    }
    if (overflow) {
        enum gw_route_reason reason = scan_again(&view, err);
        if (reason != GW_ROUTE_OK)
            return reason;
    }
    return apply_chosen(&view, out, err);
}
