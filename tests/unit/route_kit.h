/* Routes written as literals, made into the configuration that gw_routes_new takes. For tests and fuzzers. */
#ifndef GW_TESTS_ROUTE_KIT_H
#define GW_TESTS_ROUTE_KIT_H

#include "gw/route.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIT_LIST 6
#define KIT_ROUTES 8

struct route_spec { /* lists end at their first NULL */
    const char *topics[KIT_LIST];
    const char *event;
    const char *rooms[KIT_LIST];
    const char *require[KIT_LIST];
    struct {
        const char *ref;
        const char *values[KIT_LIST];
    } when[KIT_LIST];
};

static char *kit_at(const char *what, size_t route, const char *key, int index)
{
    char at[96];
    int n = snprintf(at, sizeof(at), "%s:%zu: routes[%zu]", what, route + 1, route);
    if (key && n > 0)
        n += snprintf(at + n, sizeof(at) - (size_t)n, ".%s", key);
    if (index >= 0)
        snprintf(at + n, sizeof(at) - (size_t)n, "[%d]", index);
    return gw_strdup(at);
}

static struct gw_cfg_texts kit_texts(const char *const *from, size_t route, const char *key)
{
    struct gw_cfg_texts texts = {gw_alloc(KIT_LIST * sizeof(*texts.v)), 0};
    for (; texts.n < KIT_LIST && from[texts.n]; texts.n++)
        texts.v[texts.n] = (struct gw_cfg_text){gw_strdup(from[texts.n]), kit_at("r.yaml", route, key, (int)texts.n)};
    return texts;
}

static void kit_texts_free(struct gw_cfg_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++) {
        free(texts->v[i].text);
        free(texts->v[i].at);
    }
    free(texts->v);
}

static void kit_route(struct gw_cfg_route *to, const struct route_spec *from, size_t i)
{
    to->at = kit_at("r.yaml", i, NULL, -1);
    to->topics = kit_texts(from->topics, i, "topics");
    to->event = (struct gw_cfg_text){gw_strdup(from->event), kit_at("r.yaml", i, "event", -1)};
    to->rooms = kit_texts(from->rooms, i, "rooms");
    to->require = kit_texts(from->require, i, "require");
    to->when = gw_alloc(KIT_LIST * sizeof(*to->when));
    for (; to->nwhen < KIT_LIST && from->when[to->nwhen].ref; to->nwhen++) {
        struct gw_cfg_when *when = &to->when[to->nwhen];
        when->ref = gw_strdup(from->when[to->nwhen].ref);
        when->at = kit_at("r.yaml", i, "when", (int)to->nwhen);
        when->values = kit_texts(from->when[to->nwhen].values, i, "when");
    }
}

static void kit_route_free(struct gw_cfg_route *r)
{
    free(r->at);
    free(r->event.text);
    free(r->event.at);
    kit_texts_free(&r->topics);
    kit_texts_free(&r->rooms);
    kit_texts_free(&r->require);
    for (size_t i = 0; i < r->nwhen; i++) {
        free(r->when[i].ref);
        free(r->when[i].at);
        kit_texts_free(&r->when[i].values);
    }
    free(r->when);
}

/* Compiles the specs up to the first without an event; the configuration is gone when it returns. limits: 0 takes the
 * usual ones. */
struct kit_limits {
    int64_t event_bytes, event_depth, rooms_per_event;
};

static struct gw_routes *kit_routes(const struct route_spec *specs, size_t max, struct kit_limits limits,
                                    struct gw_err *err)
{
    static char suffix[] = ".DLT";
    struct gw_config cfg = {.kafka_dlt_suffix = suffix};

    cfg.limits_event_bytes = limits.event_bytes ? limits.event_bytes : 1048576;
    cfg.limits_event_depth = limits.event_depth ? limits.event_depth : 64;
    cfg.limits_rooms_per_event = limits.rooms_per_event ? limits.rooms_per_event : 1024;
    cfg.routes = gw_alloc(max * sizeof(*cfg.routes));
    for (; cfg.nroutes < max && specs[cfg.nroutes].event; cfg.nroutes++)
        kit_route(&cfg.routes[cfg.nroutes], &specs[cfg.nroutes], cfg.nroutes);
    struct gw_routes *r = gw_routes_new(&cfg, err);
    for (size_t i = 0; i < cfg.nroutes; i++)
        kit_route_free(&cfg.routes[i]);
    free(cfg.routes);
    return r;
}

#endif
