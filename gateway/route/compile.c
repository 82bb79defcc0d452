/* One route of the configuration, compiled: topics, templates, conditions and requirements, checked with the place of
 * whatever is wrong. At load only; the result is immutable. */
#include "route_private.h"

#include <stdlib.h>
#include <string.h>

static const char *const roots[] = {"value.", "key", "header.", "topic", "topic.N", "partition", NULL};

static int fail_at(struct gw_err *err, const char *at)
{
    if (at)
        gw_err_prefix(err, "%s", at);
    return -1;
}

/* ---- topics ---- */

static bool topic_name_valid(struct gw_str name)
{
    if (name.len == 0 || name.len > TOPIC_BYTES_MAX || gw_str_is(name, ".") || gw_str_is(name, ".."))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return true;
}

static int compile_regex(struct route_topic *topic, struct gw_err *err)
{
    if (strlen(topic->text) > REGEX_BYTES_MAX)
        return gw_err_set(err, "a regular expression is at most %d bytes long", REGEX_BYTES_MAX);
    int code = regcomp(&topic->regex, topic->text, REG_EXTENDED);
    if (code != 0) {
        char why[128];
        regerror(code, &topic->regex, why, sizeof(why));
        return gw_err_set(err, "\"%s\" is no POSIX extended regular expression: %s", topic->text, why);
    }
    topic->is_regex = true;
    return 0;
}

static int compile_topic(struct route *rt, const char *text, struct gw_err *err)
{
    struct route_topic *topic = &rt->topics[rt->ntopics++];

    topic->text = gw_strdup(text ? text : "");
    if (topic->text[0] != '^') {
        if (!topic_name_valid(gw_str_of(topic->text)))
            return gw_err_set(err,
                              "\"%.100s\" is no topic: expected 1 to %d of letters, digits, '.', '_' and '-', or a "
                              "regular expression that starts with '^'",
                              topic->text, TOPIC_BYTES_MAX);
        return 0;
    }
    if (compile_regex(topic, err) != 0)
        return -1;
    if (topic->regex.re_nsub > rt->groups_max)
        rt->groups_max = topic->regex.re_nsub;
    return 0;
}

static int compile_topics(struct route *rt, const struct gw_cfg_route *cfg, struct gw_err *err)
{
    if (cfg->topics.n == 0) {
        gw_err_set(err, "topics: expected at least one");
        return fail_at(err, cfg->at);
    }
    rt->topics = gw_alloc(cfg->topics.n * sizeof(*rt->topics));
    for (size_t i = 0; i < cfg->topics.n; i++)
        if (compile_topic(rt, cfg->topics.v[i].text, err) != 0)
            return fail_at(err, cfg->topics.v[i].at);
    return 0;
}

/* ---- paths and references ---- */

/* The number of a path within the route. -1: the path is none, or there are too many. */
static int add_path(struct route *rt, struct gw_str path, bool many, struct gw_err *err)
{
    for (size_t i = 0; i < rt->npaths; i++)
        if (gw_str_is(path, rt->paths[i]))
            return (int)i;
    if (rt->npaths == GW_JSON_PATHS_MAX)
        return gw_err_set(err, "more than %d different paths in one route", GW_JSON_PATHS_MAX);

    char *text = gw_str_dup(path);
    struct gw_json_paths *trial = gw_json_paths_new((const char *const[]){text}, 1, err);
    if (!trial) {
        free(text);
        return -1;
    }
    gw_json_paths_free(trial);
    rt->paths = gw_realloc(rt->paths, (rt->npaths + 1) * sizeof(*rt->paths));
    rt->is_many = gw_realloc(rt->is_many, (rt->npaths + 1) * sizeof(*rt->is_many));
    rt->paths[rt->npaths] = text;
    rt->is_many[rt->npaths] = many;
    rt->nmany += many;
    return (int)rt->npaths++;
}

/* Where the first [*] stands, or the path's length. */
static size_t find_star(struct gw_str path)
{
    for (size_t i = 0; i + 2 < path.len; i++) {
        if (path.p[i] == '\\')
            i++;
        else if (memcmp(path.p + i, "[*]", 3) == 0)
            return i;
    }
    return path.len;
}

static int add_value_paths(struct route *rt, struct route_ref *ref, struct gw_str path, struct gw_err *err)
{
    int whole = add_path(rt, path, ref->many, err), array = whole, element = whole;

    if (whole < 0)
        return -1;
    if (ref->many) {
        size_t star = find_star(path);
        ref->star = strlen(ref->text) - path.len + star;
        array = add_path(rt, (struct gw_str){path.p, star}, false, err);
        element = add_path(rt, (struct gw_str){path.p, star + 3}, true, err);
    }
    if (array < 0 || element < 0)
        return -1;
    ref->path = (uint16_t)whole;
    ref->array = (uint16_t)array;
    ref->element = (uint16_t)element;
    return 0;
}

static const char *groups_text(size_t n)
{
    return n == 0 ? "no group" : n == 1 ? "one group only" : "fewer groups";
}

/* Every topic of the route must have the group, or else some of its records could never be routed. */
static int check_group(const struct route *rt, const struct route_ref *ref, struct gw_err *err)
{
    for (size_t i = 0; i < rt->ntopics; i++) {
        const struct route_topic *topic = &rt->topics[i];
        size_t groups = topic->is_regex ? topic->regex.re_nsub : 0;
        if (ref->group > groups)
            return gw_err_set(err, "{%s}: the topic \"%s\" has %s", ref->text, topic->text,
                              topic->is_regex ? groups_text(groups) : "no groups: it is an exact name");
    }
    return 0;
}

static enum ref_kind kind_of(struct gw_str root, bool has_path)
{
    switch (root.p[0]) { /* the template has checked the root against `roots` */
    case 'v':
        return REF_VALUE;
    case 'k':
        return REF_KEY;
    case 'h':
        return REF_HEADER;
    case 't':
        return has_path ? REF_CAPTURE : REF_TOPIC;
    default:
        return REF_PARTITION;
    }
}

static char *ref_text(const struct gw_template_part *part)
{
    struct gw_buf text;
    gw_buf_init(&text);
    gw_buf_add_str(&text, part->root);
    if (part->path.p) {
        gw_buf_add_char(&text, '.');
        gw_buf_add_str(&text, part->path);
    }
    gw_buf_c(&text);
    return text.data;
}

static int compile_ref(struct route *rt, struct gw_template_part *part, struct gw_err *err)
{
    rt->refs = gw_realloc(rt->refs, (rt->nrefs + 1) * sizeof(*rt->refs));
    struct route_ref *ref = &rt->refs[rt->nrefs];
    *ref = (struct route_ref){.kind = kind_of(part->root, part->path.p), .text = ref_text(part), .many = part->many};
    part->slot = (int)rt->nrefs++;

    if (ref->many && ref->kind != REF_VALUE)
        return gw_err_set(err, "{%s}: [*] is for fields of the value", ref->text);
    switch (ref->kind) {
    case REF_VALUE:
        if (add_value_paths(rt, ref, part->path, err) == 0)
            return 0;
        gw_err_prefix(err, "{%s}", ref->text);
        return -1;
    case REF_HEADER:
        ref->name = (struct gw_str){ref->text + part->root.len + 1, part->path.len};
        return 0;
    case REF_CAPTURE:
        ref->group = (unsigned)strtoul(ref->text + part->root.len + 1, NULL, 10);
        return check_group(rt, ref, err);
    default:
        return 0;
    }
}

static struct gw_template *compile_template(struct route *rt, const char *text, bool allow_many, struct gw_err *err)
{
    struct gw_template *t = gw_template_new(text, roots, allow_many, err);
    struct gw_template_part *parts;
    size_t n = t ? gw_template_parts(t, &parts) : 0;

    if (t && n == 0)
        gw_err_set(err, "expected a text");
    for (size_t i = 0; i < n; i++)
        if (!parts[i].literal.p && compile_ref(rt, &parts[i], err) != 0)
            n = 0;
    if (n == 0) {
        gw_template_free(t);
        return NULL;
    }
    return t;
}

/* ---- the pieces of a route ---- */

static int compile_event(struct route *rt, const struct gw_cfg_text *cfg, struct gw_err *err)
{
    struct gw_template_part *parts;

    rt->event = compile_template(rt, cfg->text, false, err);
    if (!rt->event)
        return -1;
    gw_template_parts(rt->event, &parts);
    if (!gw_template_is_literal(rt->event))
        return 0;
    rt->event_literal = parts[0].literal;
    const char *why = event_name_fault(rt->event_literal);
    return why ? gw_err_set(err, "the name %s", why) : 0;
}

static int compile_room(struct route *rt, const char *text, struct gw_err *err)
{
    struct route_room *room = &rt->rooms[rt->nrooms];
    struct gw_template_part *parts;

    room->template = compile_template(rt, text, true, err);
    if (!room->template)
        return -1;
    rt->nrooms++;
    size_t n = gw_template_parts(room->template, &parts);
    int many = gw_template_many_part(room->template);
    room->many_ref = many < 0 ? -1 : parts[many].slot;
    for (size_t i = 0; i < n; i++)
        if (parts[i].literal.p && (parts[i].literal.len > GW_ROOM_BYTES_MAX || !gw_name_printable(parts[i].literal)))
            return gw_err_set(err, "\"%s\": a room's name is at most %d printable characters without white space",
                              text, GW_ROOM_BYTES_MAX);
    return 0;
}

static int compile_rooms(struct route *rt, const struct gw_cfg_route *cfg, struct gw_err *err)
{
    if (cfg->rooms.n == 0) {
        gw_err_set(err, "rooms: expected at least one");
        return fail_at(err, cfg->at);
    }
    rt->rooms = gw_alloc(cfg->rooms.n * sizeof(*rt->rooms));
    for (size_t i = 0; i < cfg->rooms.n; i++)
        if (compile_room(rt, cfg->rooms.v[i].text, err) != 0)
            return fail_at(err, cfg->rooms.v[i].at);
    return 0;
}

static int compile_require(struct route *rt, const struct gw_cfg_texts *cfg, struct gw_err *err)
{
    rt->require = gw_alloc(cfg->n * sizeof(*rt->require));
    for (size_t i = 0; i < cfg->n; i++) {
        struct route_require *req = &rt->require[rt->nrequire++];
        struct gw_str path = gw_str_of(cfg->v[i].text ? cfg->v[i].text : "");
        size_t star = find_star(path);
        req->text = gw_str_dup(path);
        req->is_array = star < path.len;
        /* What stands behind [*] is checked too, but not asked for: the array is what must be there. */
        struct gw_json_paths *trial = gw_json_paths_new((const char *const[]){req->text}, 1, err);
        gw_json_paths_free(trial);
        int number = trial ? add_path(rt, (struct gw_str){path.p, star}, false, err) : -1;
        if (number < 0)
            return fail_at(err, cfg->v[i].at);
        req->path = (uint16_t)number;
    }
    return 0;
}

static int compile_when_ref(struct route *rt, struct route_when *when, const char *ref, struct gw_err *err)
{
    struct gw_template_part *parts;
    struct gw_buf text;

    gw_buf_init(&text);
    gw_buf_addf(&text, "{%s}", ref ? ref : "");
    struct gw_template *t = compile_template(rt, gw_buf_c(&text), false, err);
    gw_buf_fini(&text);
    if (!t)
        return -1;
    bool one_ref = gw_template_parts(t, &parts) == 1 && !parts[0].literal.p;
    when->ref = one_ref ? (size_t)parts[0].slot : 0;
    gw_template_free(t);
    return one_ref ? 0 : gw_err_set(err, "\"%s\": expected one reference without braces, such as value.type", ref);
}

static void copy_values(struct route_when *when, const struct gw_cfg_texts *from)
{
    size_t start = 0;

    when->values = gw_alloc(from->n * sizeof(*when->values));
    for (; when->n < from->n; when->n++) {
        when->values[when->n] = gw_str_of(from->v[when->n].text ? from->v[when->n].text : "");
        gw_buf_add_str(&when->store, when->values[when->n]);
    }
    for (size_t i = 0; i < when->n; start += when->values[i++].len)
        when->values[i].p = when->store.data ? when->store.data + start : "";
}

static int compile_when(struct route *rt, const struct gw_cfg_route *cfg, struct gw_err *err)
{
    rt->when = gw_alloc(cfg->nwhen * sizeof(*rt->when));
    for (size_t i = 0; i < cfg->nwhen; i++) {
        struct route_when *when = &rt->when[rt->nwhen++];
        const struct gw_cfg_when *from = &cfg->when[i];
        if (compile_when_ref(rt, when, from->ref, err) != 0)
            return fail_at(err, from->at);
        copy_values(when, &from->values);
    }
    return 0;
}

int route_compile(struct route *rt, const struct gw_cfg_route *cfg, struct gw_err *err)
{
    if (compile_topics(rt, cfg, err) != 0)
        return -1;
    if (compile_event(rt, &cfg->event, err) != 0)
        return fail_at(err, cfg->event.at ? cfg->event.at : cfg->at);
    if (compile_rooms(rt, cfg, err) != 0 || compile_require(rt, &cfg->require, err) != 0)
        return -1;
    return compile_when(rt, cfg, err);
}

void route_fini(struct route *rt)
{
    for (size_t i = 0; i < rt->ntopics; i++) {
        if (rt->topics[i].is_regex)
            regfree(&rt->topics[i].regex);
        free(rt->topics[i].text);
    }
    for (size_t i = 0; i < rt->nrooms; i++)
        gw_template_free(rt->rooms[i].template);
    for (size_t i = 0; i < rt->nwhen; i++) {
        gw_buf_fini(&rt->when[i].store);
        free(rt->when[i].values);
    }
    for (size_t i = 0; i < rt->nrequire; i++)
        free(rt->require[i].text);
    for (size_t i = 0; i < rt->nrefs; i++)
        free(rt->refs[i].text);
    for (size_t i = 0; i < rt->npaths; i++)
        free(rt->paths[i]);
    gw_template_free(rt->event);
    free(rt->topics);
    free(rt->rooms);
    free(rt->when);
    free(rt->require);
    free(rt->refs);
    free(rt->paths);
    free(rt->is_many);
}
