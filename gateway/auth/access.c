/* Who may be in which room: the configuration's rooms in their order, and each user's own.
 *
 * Immutable after loading; any thread. Decides from the identity alone; who is in a room is the hub's business. */
#include "auth_private.h"

#include "gw/map.h"

#include <stdlib.h>
#include <string.h>

struct room {
    struct gw_pattern *pattern; /* owned */
    struct gw_rule *join;       /* owned */
    bool automatic;
    bool users; /* the pattern is about rooms of users: it begins with "user:" */
};

struct gw_access {
    struct room *rooms;
    size_t n;
};

static const char user_prefix[] = "user:";

static bool is_user_room(struct gw_str name)
{
    return name.len >= sizeof user_prefix - 1 && memcmp(name.p, user_prefix, sizeof user_prefix - 1) == 0;
}

static bool has_list(const struct gw_rule *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].lists)
            return true;
    return false;
}

/* An automatic room must be one that can be found from the identity alone. */
static int check_automatic(const struct room *room, struct gw_err *err)
{
    size_t captures = gw_pattern_captures(room->pattern);

    if (room->join->n == 0)
        return gw_err_set(err, "auto needs a join rule that says whom it is for (join: any for everybody)");
    if (captures > 1)
        return gw_err_set(err, "auto needs a pattern with one capture or none, \"%s\" has %zu",
                          gw_pattern_text(room->pattern), captures);
    if (captures == 1 && !has_list(room->join))
        return gw_err_set(err, "auto needs a join rule that compares a claim with the pattern's capture alone, "
                               "such as {claim: sub, equals: \"{id}\"}");
    return 0;
}

static int room_init(struct room *room, const struct gw_cfg_room *cfg, struct gw_err *err)
{
    struct gw_err why = {0};

    room->automatic = cfg->automatic;
    room->pattern = gw_pattern_new(cfg->pattern.text, &why);
    if (room->pattern != NULL) {
        room->users = is_user_room(gw_str_of(gw_pattern_text(room->pattern)));
        room->join = gw_rule_new(&cfg->join, room->pattern, err); /* its error says where */
        if (room->join == NULL)
            return -1;
        if (room->automatic)
            check_automatic(room, &why);
    }
    if (!why.set)
        return 0;
    if (cfg->pattern.at != NULL)
        gw_err_prefix(&why, "%s", cfg->pattern.at);
    return gw_err_set(err, "%s", why.text);
}

struct gw_access *gw_access_new(const struct gw_config *cfg, struct gw_err *err)
{
    struct gw_access *a = gw_alloc(sizeof *a);

    a->rooms = gw_alloc((cfg->nrooms + 1) * sizeof *a->rooms);
    while (a->n < cfg->nrooms) {
        const struct gw_cfg_room *room = &cfg->rooms[a->n];

        if (room_init(&a->rooms[a->n++], room, err) != 0) {
            gw_access_free(a);
            return NULL;
        }
    }
    return a;
}

void gw_access_free(struct gw_access *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->n; i++) {
        gw_pattern_free(a->rooms[i].pattern);
        gw_rule_free(a->rooms[i].join);
    }
    free(a->rooms);
    free(a);
}

/* Another user's room is opened by a pattern that speaks of users, never by one that happens to match ("{room}"). */
static bool matches(const struct room *room, struct gw_str name, struct gw_captures *captures)
{
    return (room->users || !is_user_room(name)) && gw_pattern_match(room->pattern, name, captures);
}

static bool is_own(const struct gw_identity *id, struct gw_str room)
{
    size_t n = sizeof user_prefix - 1;

    return is_user_room(room) && gw_str_eq((struct gw_str){room.p + n, room.len - n}, gw_identity_user(id));
}

bool gw_access_may_join(const struct gw_access *a, const struct gw_identity *id, struct gw_str room)
{
    struct gw_captures captures;

    if (!gw_room_name_valid(room))
        return false;
    if (is_own(id, room))
        return true;
    for (size_t i = 0; i < a->n; i++)
        if (matches(&a->rooms[i], room, &captures) && gw_rule_allows(a->rooms[i].join, id, &captures))
            return true;
    return false;
}

/* Automatic rooms on their way to the caller. */
struct listing {
    size_t n, max;
    struct gw_map seen;
    void (*fn)(struct gw_str room, void *arg);
    void *arg;
    const struct room *room; /* the rule that is being listed */
    struct gw_buf name;
};

static void emit(struct listing *l, struct gw_str name)
{
    if (l->n >= l->max || gw_map_get(&l->seen, name) != NULL)
        return;
    gw_map_put(&l->seen, name, l);
    l->n++;
    l->fn(name, l->arg);
}

/* A claim's text, made a room's name where it fits: it may not, being empty, too long, or with a ':' where the pattern
 * has no place for one. */
static bool list_text(struct gw_str text, void *arg)
{
    struct listing *l = arg;
    const struct gw_pattern *p = l->room->pattern;
    struct gw_captures captures = {.n = 1, .v = {{gw_pattern_capture(p, 0), text}}}, found;
    struct gw_str name;

    gw_buf_clear(&l->name);
    if (gw_pattern_fill(p, &captures, &l->name) != 0)
        return true;
    name = gw_buf_str(&l->name);
    if (gw_room_name_valid(name) && matches(l->room, name, &found) && gw_str_eq(found.v[0].value, text))
        emit(l, name);
    return l->n < l->max;
}

static void list_room(struct listing *l, const struct room *room, const struct gw_identity *id)
{
    const struct gw_captures none = {0};

    l->room = room;
    if (gw_pattern_captures(room->pattern) == 0) {
        gw_buf_clear(&l->name);
        if (gw_rule_allows(room->join, id, &none) && gw_pattern_fill(room->pattern, &none, &l->name) == 0)
            emit(l, gw_buf_str(&l->name));
        return;
    }
    for (size_t i = 0; i < room->join->n; i++)
        if (room->join->v[i].lists)
            gw_rule_list(&room->join->v[i], id, list_text, l);
}

size_t gw_access_auto_rooms(const struct gw_access *a, const struct gw_identity *id, size_t max,
                            void (*fn)(struct gw_str room, void *arg), void *arg)
{
    struct listing l = {.max = max, .fn = fn, .arg = arg};

    gw_map_init(&l.seen);
    gw_buf_init(&l.name);
    gw_buf_add_c(&l.name, user_prefix);
    gw_buf_add_str(&l.name, gw_identity_user(id));
    emit(&l, gw_buf_str(&l.name));
    for (size_t i = 0; i < a->n && l.n < max; i++)
        if (a->rooms[i].automatic)
            list_room(&l, &a->rooms[i], id);
    gw_map_fini(&l.seen, NULL);
    gw_buf_fini(&l.name);
    return l.n;
}
