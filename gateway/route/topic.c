/* What is known of a record once its topic is: the routes in question, the regexes' captures, and one set of paths for all
 * of them, so that a value is scanned once. Made once per topic; immutable after it. */
#include "route_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- path plans ---- */

struct plan_builder {
    const char **paths; /* borrowed from the routes */
    size_t n;
    size_t nmany;
};

static size_t plan_slot(struct plan_builder *b, const struct route *rt, size_t path)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->paths[i], rt->paths[path]) == 0)
            return i;
    b->paths[b->n] = rt->paths[path];
    b->nmany += rt->is_many[path];
    return b->n++;
}

int path_plan_make(struct path_plan *plan, const struct route *const *routes, size_t n, uint16_t **slots,
                   struct gw_err *err)
{
    struct plan_builder b = {0};
    size_t all = 0;

    for (size_t i = 0; i < n; i++)
        all += routes[i]->npaths;
    b.paths = gw_alloc(all * sizeof(*b.paths));
    for (size_t i = 0; i < n; i++) {
        uint16_t *to = slots ? gw_alloc(routes[i]->npaths * sizeof(*to)) : NULL;
        for (size_t k = 0; k < routes[i]->npaths; k++) {
            size_t slot = plan_slot(&b, routes[i], k);
            if (to)
                to[k] = (uint16_t)slot; /* in range, or gw_json_paths_new refuses the set */
        }
        if (slots)
            slots[i] = to;
    }
    *plan = (struct path_plan){.n = b.n, .nmany = b.nmany};
    if (b.n > 0)
        plan->paths = gw_json_paths_new(b.paths, b.n, err);
    free(b.paths);
    return b.n > 0 && !plan->paths ? -1 : 0;
}

void path_plan_fini(struct path_plan *plan)
{
    gw_json_paths_free(plan->paths);
    *plan = (struct path_plan){0};
}

/* ---- routes of a topic ---- */

static void keep_captures(struct bound_route *b, const regmatch_t *m, const char *topic)
{
    size_t n = b->route->groups_max + 1;

    b->captures = gw_alloc(n * sizeof(*b->captures));
    for (size_t i = 0; i < n; i++)
        if (m[i].rm_so >= 0)
            b->captures[i] = (struct gw_str){topic + m[i].rm_so, (size_t)(m[i].rm_eo - m[i].rm_so)};
}

static void bind_route(struct gw_topic_routes *t, const struct route *rt)
{
    regmatch_t *m = gw_alloc((rt->groups_max + 1) * sizeof(*m));
    const struct route_topic *found = route_find_topic(t->all, rt, t->topic, m);

    if (found) {
        struct bound_route *b = &t->v[t->n++];
        b->route = rt;
        for (size_t i = 0; !found->is_regex && i <= rt->groups_max; i++)
            m[i].rm_so = -1;
        keep_captures(b, m, t->topic);
    }
    free(m);
}

static int make_own_plan(struct bound_route *b, size_t nmany_shared, struct gw_err *err)
{
    if (b->route->nmany == 0 || b->route->nmany == nmany_shared)
        return 0;
    return path_plan_make(&b->own, &b->route, 1, &b->own_slots, err);
}

static int make_plans(struct gw_topic_routes *t, struct gw_err *err)
{
    const struct route **routes = gw_alloc(t->n * sizeof(*routes));
    uint16_t **slots = gw_alloc(t->n * sizeof(*slots));

    for (size_t i = 0; i < t->n; i++)
        routes[i] = t->v[i].route;
    int rc = path_plan_make(&t->plan, routes, t->n, slots, err);
    for (size_t i = 0; i < t->n; i++)
        t->v[i].slots = slots[i];
    for (size_t i = 0; rc == 0 && i < t->n; i++)
        rc = make_own_plan(&t->v[i], t->plan.nmany, err);
    free(slots);
    free(routes);
    return rc;
}

struct gw_topic_routes *topic_routes_make(const struct gw_routes *r, const char *topic, struct gw_err *err)
{
    struct gw_topic_routes *t = gw_alloc(sizeof(*t));

    t->all = r;
    t->topic = gw_strdup(topic);
    t->name = gw_str_of(t->topic);
    t->v = gw_alloc(r->n * sizeof(*t->v));
    for (size_t i = 0; i < r->n; i++)
        bind_route(t, &r->v[i]);
    if (make_plans(t, err) != 0) {
        gw_topic_routes_free(t);
        return NULL;
    }
    return t;
}

struct gw_topic_routes *gw_topic_routes_new(const struct gw_routes *r, const char *topic)
{
    struct gw_topic_routes *t = topic_routes_make(r, topic, NULL);

    assert(t != NULL); /* gw_routes_new has tried every set of paths that can come about */
    return t;
}

void gw_topic_routes_free(struct gw_topic_routes *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++) {
        path_plan_fini(&t->v[i].own);
        free(t->v[i].own_slots);
        free(t->v[i].slots);
        free(t->v[i].captures);
    }
    path_plan_fini(&t->plan);
    free(t->v);
    free(t->topic);
    free(t);
}
