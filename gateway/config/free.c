/* Frees a configuration, also one that was read half-way: what is not there is NULL or 0. */
#include "private.h"

#include <stdlib.h>

static void free_text(struct gw_cfg_text *t)
{
    free(t->text);
    free(t->at);
}

static void free_rules(struct gw_cfg_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        free(rules->v[i].claim);
        free(rules->v[i].value);
        free(rules->v[i].at);
    }
    free(rules->v);
}

void gw_cfg_issuers_free(struct gw_config *c)
{
    for (size_t i = 0; i < c->nissuers; i++) {
        struct gw_cfg_issuer *is = &c->issuers[i];
        gw_cfg_texts_free(&is->audience);
        gw_cfg_texts_free(&is->algorithms);
        gw_cfg_texts_free(&is->require);
        free(is->issuer);
        free(is->key);
        free(is->jwks);
        free(is->kid);
        free(is->at);
    }
    free(c->issuers);
    c->issuers = NULL;
    c->nissuers = 0;
}

static void free_rooms(struct gw_config *c)
{
    for (size_t i = 0; i < c->nrooms; i++) {
        free_text(&c->rooms[i].pattern);
        free_rules(&c->rooms[i].join);
    }
    free(c->rooms);
}

static void free_route(struct gw_cfg_route *route)
{
    for (size_t i = 0; i < route->nwhen; i++) {
        free(route->when[i].ref);
        free(route->when[i].at);
        gw_cfg_texts_free(&route->when[i].values);
    }
    free(route->when);
    gw_cfg_texts_free(&route->topics);
    gw_cfg_texts_free(&route->rooms);
    gw_cfg_texts_free(&route->require);
    free_text(&route->event);
    free(route->at);
}

static void free_action(struct gw_cfg_action *a)
{
    for (size_t i = 0; i < a->nfields; i++) {
        free(a->fields[i].name);
        free(a->fields[i].at);
    }
    for (size_t i = 0; i < a->nheaders; i++) {
        free(a->headers[i].name);
        free_text(&a->headers[i].value);
    }
    free(a->fields);
    free(a->headers);
    free_rules(&a->allow);
    free_text(&a->key);
    free_text(&a->room);
    free(a->name);
    free(a->topic);
    free(a->at);
}

static void free_scalars(struct gw_config *c)
{
    for (size_t i = 0; i < gw_opts_n; i++) {
        if (gw_opts[i].type == GW_OPT_TYPE_STR)
            free(*(char **)(void *)((char *)c + gw_opts[i].offset));
        free(c->from[i]);
    }
    free(c->from);
}

void gw_config_free(struct gw_config *c)
{
    if (!c)
        return;
    free_scalars(c);
    for (size_t i = 0; i < c->nproperties; i++) {
        free(c->properties[i].name);
        free(c->properties[i].value);
        free(c->properties[i].at);
    }
    free(c->properties);
    gw_cfg_texts_free(&c->origins);
    gw_cfg_texts_free(&c->proxies);
    gw_cfg_issuers_free(c);
    free_rooms(c);
    for (size_t i = 0; i < c->nroutes; i++)
        free_route(&c->routes[i]);
    free(c->routes);
    for (size_t i = 0; i < c->nactions; i++)
        free_action(&c->actions[i]);
    free(c->actions);
    free(c->source);
    free(c);
}
