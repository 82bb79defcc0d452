/* Actions, compiled: the templates of key and headers, the room's pattern, the fields. */
#include "gw/action.h"

#include "gw/map.h"
#include "gw/template.h"

#include "action_private.h"

#include <stdlib.h>

static const char *const roots[] = {"room", "room.", "user", "claim.", "data.", NULL};

struct gw_actions {
    struct gw_action *v;
    size_t n;
    struct gw_map by_name; /* -> struct gw_action */
};

static struct gw_template *compile(const struct gw_cfg_text *text, struct gw_err *err)
{
    struct gw_template *t = gw_template_new(text->text, roots, false, err);
    if (!t && text->at)
        gw_err_prefix(err, "%s", text->at);
    return t;
}

/* {room.x} needs a room whose pattern captures x. */
static int check_room_refs(const struct gw_action *a, struct gw_template *t, const struct gw_cfg_text *text,
                           struct gw_err *err)
{
    struct gw_template_part *parts;
    size_t n = gw_template_parts(t, &parts);
    for (size_t i = 0; i < n; i++) {
        if (!gw_str_is(parts[i].root, "room"))
            continue;
        if (!a->room || (parts[i].path.p && !gw_pattern_has_capture(a->room, parts[i].path)))
            return gw_err_set(err, "%s: {room%s%.*s}: the action's room has no such capture", text->at ? text->at : a->cfg->at,
                              parts[i].path.p ? "." : "", (int)parts[i].path.len, parts[i].path.p ? parts[i].path.p : "");
    }
    return 0;
}

static int compile_headers(struct gw_action *a, struct gw_err *err)
{
    if (a->cfg->nheaders > GW_ACTION_HEADERS_MAX - 3)
        return gw_err_set(err, "%s: headers: at most %d", a->cfg->at, GW_ACTION_HEADERS_MAX - 3);
    a->headers = gw_alloc(a->cfg->nheaders * sizeof(struct gw_template *));
    for (size_t i = 0; i < a->cfg->nheaders; i++) {
        const struct gw_cfg_text *text = &a->cfg->headers[i].value;
        a->headers[i] = compile(text, err);
        if (!a->headers[i] || check_room_refs(a, a->headers[i], text, err) != 0)
            return -1;
    }
    return 0;
}

static int compile_action(struct gw_action *a, struct gw_err *err)
{
    if (a->cfg->room.text) {
        a->room = gw_pattern_new(a->cfg->room.text, err);
        if (!a->room) {
            gw_err_prefix(err, "%s", a->cfg->room.at);
            return -1;
        }
    }
    a->key = compile(&a->cfg->key, err);
    if (!a->key || check_room_refs(a, a->key, &a->cfg->key, err) != 0)
        return -1;
    return compile_headers(a, err);
}

struct gw_actions *gw_actions_new(const struct gw_config *cfg, struct gw_err *err)
{
    struct gw_actions *as = gw_alloc(sizeof(*as));
    as->v = gw_alloc(cfg->nactions * sizeof(*as->v));
    as->n = cfg->nactions;
    for (size_t i = 0; i < as->n; i++) {
        struct gw_action *a = &as->v[i];
        a->cfg = &cfg->actions[i];
        a->index = i;
        if (compile_action(a, err) != 0) {
            gw_actions_free(as);
            return NULL;
        }
        gw_map_put(&as->by_name, gw_str_of(a->cfg->name), a);
    }
    return as;
}

void gw_actions_free(struct gw_actions *as)
{
    if (!as)
        return;
    for (size_t i = 0; i < as->n; i++) {
        struct gw_action *a = &as->v[i];
        for (size_t k = 0; a->headers && k < a->cfg->nheaders; k++)
            gw_template_free(a->headers[k]);
        free(a->headers);
        gw_template_free(a->key);
        gw_pattern_free(a->room);
    }
    gw_map_fini(&as->by_name, NULL);
    free(as->v);
    free(as);
}

const struct gw_action *gw_actions_find(const struct gw_actions *as, struct gw_str name)
{
    return gw_map_get(&as->by_name, name);
}

size_t gw_actions_count(const struct gw_actions *as)
{
    return as->n;
}

size_t gw_action_index(const struct gw_action *a)
{
    return a->index;
}

const struct gw_cfg_action *gw_action_cfg(const struct gw_action *a)
{
    return a->cfg;
}

const struct gw_pattern *gw_action_room(const struct gw_action *a)
{
    return a->room;
}
