/* The routes of a configuration, and which topics they are for. Made at load, immutable after it; any thread. What one
 * route means is compile.c's, what a topic's records need is topic.c's. */
#include "route_private.h"

#include <stdlib.h>
#include <string.h>

/* Topics of Kafka's own, which no regex means even where it matches; an exact name still gets them. */
static bool is_internal(const char *topic)
{
    return strcmp(topic, "__consumer_offsets") == 0 || strcmp(topic, "__transaction_state") == 0;
}

static bool regexes_may(const struct gw_routes *r, const char *topic)
{
    size_t len = strlen(topic), suffix = strlen(r->dlt_suffix);
    bool dead_letters = suffix > 0 && len >= suffix && memcmp(topic + len - suffix, r->dlt_suffix, suffix) == 0;

    return !dead_letters && !is_internal(topic);
}

const struct route_topic *route_find_topic(const struct gw_routes *r, const struct route *rt, const char *topic,
                                           regmatch_t *m)
{
    for (size_t i = 0; i < rt->ntopics; i++)
        if (!rt->topics[i].is_regex && strcmp(rt->topics[i].text, topic) == 0)
            return &rt->topics[i];
    if (!regexes_may(r, topic))
        return NULL;
    for (size_t i = 0; i < rt->ntopics; i++)
        if (rt->topics[i].is_regex && regexec(&rt->topics[i].regex, topic, m ? rt->groups_max + 1 : 0, m, 0) == 0)
            return &rt->topics[i];
    return NULL;
}

static void list_exact(struct gw_routes *r, const char *name)
{
    for (size_t i = 0; i < r->nexact; i++)
        if (strcmp(r->exact[i], name) == 0)
            return;
    r->exact = gw_realloc(r->exact, (r->nexact + 1) * sizeof(*r->exact));
    r->exact[r->nexact++] = name;
}

static void list_topics(struct gw_routes *r)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->v[i].ntopics; k++) {
            if (r->v[i].topics[k].is_regex)
                r->has_regex = true;
            else
                list_exact(r, r->v[i].topics[k].text);
        }
}

/* A topic's routes share one set of paths, and sets are bounded. Topics that only a regex finds are not known yet: all
 * routes with a regex must fit together, so that any of them do. */
static int check_regex_plan(const struct gw_routes *r, struct gw_err *err)
{
    const struct route **some = gw_alloc(r->n * sizeof(*some));
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->v[i].ntopics; k++)
            if (r->v[i].topics[k].is_regex) {
                some[n++] = &r->v[i];
                break;
            }
    struct path_plan plan = {0};
    int rc = path_plan_make(&plan, some, n, NULL, err);
    path_plan_fini(&plan);
    free(some);
    if (rc != 0)
        gw_err_prefix(err, "routes with a ^regex, together");
    return rc;
}

static int check_plans(const struct gw_routes *r, struct gw_err *err)
{
    for (size_t i = 0; i < r->nexact; i++) {
        struct gw_topic_routes *t = topic_routes_make(r, r->exact[i], err);
        if (!t) {
            gw_err_prefix(err, "routes of topic %s, together", r->exact[i]);
            return -1;
        }
        gw_topic_routes_free(t);
    }
    return check_regex_plan(r, err);
}

struct gw_routes *gw_routes_new(const struct gw_config *cfg, struct gw_err *err)
{
    struct gw_routes *r = gw_alloc(sizeof(*r));

    r->dlt_suffix = gw_strdup(cfg->kafka_dlt_suffix ? cfg->kafka_dlt_suffix : "");
    r->event_bytes_max = (size_t)cfg->limits_event_bytes;
    r->event_depth_max = (unsigned)cfg->limits_event_depth;
    r->rooms_max = (size_t)cfg->limits_rooms_per_event;
    r->v = gw_alloc(cfg->nroutes * sizeof(*r->v));
    for (size_t i = 0; i < cfg->nroutes; i++)
        if (route_compile(&r->v[r->n++], &cfg->routes[i], err) != 0)
            goto fail;
    list_topics(r);
    if (check_plans(r, err) == 0)
        return r;
fail:
    gw_routes_free(r);
    return NULL;
}

void gw_routes_free(struct gw_routes *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        route_fini(&r->v[i]);
    free(r->v);
    free(r->exact);
    free(r->dlt_suffix);
    free(r);
}

size_t gw_routes_exact_topics(const struct gw_routes *r, const char *const **names)
{
    *names = r->exact;
    return r->nexact;
}

bool gw_routes_has_regex(const struct gw_routes *r)
{
    return r->has_regex;
}

bool gw_routes_wants_topic(const struct gw_routes *r, const char *topic)
{
    for (size_t i = 0; i < r->n; i++)
        if (route_find_topic(r, &r->v[i], topic, NULL))
            return true;
    return false;
}
