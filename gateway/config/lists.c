/* The lists of the configuration as plain data: texts, Kafka properties, issuers, access rules, rooms, routes. Shapes only;
 * what a pattern or template means is compiled elsewhere, contradictions are found in check.c. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- lists of texts, as they stand at the top ---- */
void gw_cfg_texts_free(struct gw_cfg_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].text);
        free(t->v[i].at);
    }
    free(t->v);
    *t = (struct gw_cfg_texts){NULL, 0};
}

void gw_cfg_texts_split(struct gw_cfg_texts *t, const char *text, const char *at)
{
    size_t most = 1;
    for (const char *c = text; *c; c++)
        most += *c == ',';
    gw_cfg_texts_free(t);
    t->v = gw_alloc(most * sizeof(*t->v));
    while (*text) {
        size_t n = strcspn(text, ",");
        size_t lead = strspn(text, " \t"), end = n;
        while (end > lead && strchr(" \t", text[end - 1]))
            end--;
        if (end > lead)
            t->v[t->n++] = (struct gw_cfg_text){gw_str_dup((struct gw_str){text + lead, end - lead}), gw_strdup(at)};
        text += n + (text[n] == ',');
    }
}

static int replace_texts(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n,
                         struct gw_cfg_texts *t)
{
    if (gw_node_is_null(n))
        return 0;
    gw_cfg_texts_free(t);
    return gw_read_texts(r, p, n, t);
}

int gw_read_origins(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    return replace_texts(r, p, n, &((struct gw_config *)dst)->origins);
}

int gw_read_proxies(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    return replace_texts(r, p, n, &((struct gw_config *)dst)->proxies);
}

/* ---- kafka.properties ---- */
static int read_property(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_pair *pair = dst;
    if (gw_cfg_want(r, p, n, GW_NODE_SCALAR, "a text or number") < 0)
        return -1;
    if (strlen(n->text) > GW_CFG_PROPERTY_BYTES_MAX)
        return gw_cfg_fail(r, p, "longer than %u bytes", GW_CFG_PROPERTY_BYTES_MAX);
    pair->name = gw_strdup(p->key);
    pair->value = gw_strdup(n->text);
    pair->at = gw_place_text(r, p);
    return 0;
}

int gw_read_properties(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_config *c = dst;
    return gw_read_pairs(r, p, n, sizeof(*c->properties), read_property, "a map of librdkafka's properties",
                         &c->properties, &c->nproperties);
}

/* ---- auth.issuers ---- */
static int read_issuer(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
#define AT(field) offsetof(struct gw_cfg_issuer, field)
    static const struct gw_key keys[] = {
        {"issuer", gw_read_string, AT(issuer), NULL},
        {"audience", gw_read_texts, AT(audience), NULL},
        {"algorithms", gw_read_texts1, AT(algorithms), "a list such as [RS256, ES256]"},
        {"key", gw_read_path, AT(key), NULL},
        {"jwks", gw_read_path, AT(jwks), NULL},
        {"kid", gw_read_string, AT(kid), NULL},
        {"require", gw_read_texts, AT(require), NULL},
    };
#undef AT
    ((struct gw_cfg_issuer *)dst)->at = gw_place_text(r, p);
    return gw_read_map(r, p, n, keys, COUNT(keys), dst);
}

int gw_read_issuers(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_config *c = dst;
    return gw_read_list(r, p, n, sizeof(*c->issuers), read_issuer, "a list of issuers", &c->issuers, &c->nissuers);
}

/* ---- access rules: rooms[].join, actions[].allow ---- */
struct rule_texts {
    char *claim, *equals, *contains, *scope;
};

/* Takes the texts when they are one of the three shapes. */
static int take_rule(struct gw_cfg_rule *rule, struct rule_texts *t)
{
    bool claim = t->claim && !t->equals != !t->contains && !t->scope;
    bool scope = t->scope && !t->claim && !t->equals && !t->contains;
    if (!claim && !scope)
        return -1;
    rule->kind = scope ? GW_RULE_SCOPE : t->equals ? GW_RULE_EQUALS : GW_RULE_CONTAINS;
    rule->claim = t->claim;
    rule->value = scope ? t->scope : t->equals ? t->equals : t->contains;
    return 0;
}

static int read_rule_map(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n,
                         struct gw_cfg_rule *rule)
{
    static const struct gw_key keys[] = {
        {"claim", gw_read_string, offsetof(struct rule_texts, claim), NULL},
        {"equals", gw_read_string, offsetof(struct rule_texts, equals), NULL},
        {"contains", gw_read_string, offsetof(struct rule_texts, contains), NULL},
        {"scope", gw_read_string, offsetof(struct rule_texts, scope), NULL},
    };
    struct rule_texts t = {NULL, NULL, NULL, NULL};
    if (!gw_read_map(r, p, n, keys, COUNT(keys), &t)) {
        if (!take_rule(rule, &t))
            return 0;
        gw_cfg_fail(r, p, "expected claim with equals, claim with contains, or scope alone");
    }
    free(t.claim);
    free(t.equals);
    free(t.contains);
    free(t.scope);
    return -1;
}

static int read_rule(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_rule *rule = dst;
    rule->at = gw_place_text(r, p);
    if (n->kind == GW_NODE_MAP)
        return read_rule_map(r, p, n, rule);
    if (n->kind == GW_NODE_SCALAR && !strcmp(n->text, "any")) {
        rule->kind = GW_RULE_ANY;
        return 0;
    }
    return gw_cfg_fail(r, p, "expected any, {claim, equals}, {claim, contains} or {scope}");
}

int gw_read_rules(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_rules *rules = dst;
    if (n->kind == GW_NODE_LIST && n->n)
        return gw_read_list(r, p, n, sizeof(*rules->v), read_rule, "a rule", &rules->v, &rules->n);
    if (n->kind == GW_NODE_LIST || gw_node_is_null(n))
        return gw_cfg_fail(r, p, "is empty; expected any, none, a rule or a list of rules");
    rules->v = gw_alloc(sizeof(*rules->v));
    rules->n = 1;
    if (n->kind == GW_NODE_SCALAR && !strcmp(n->text, "none")) {
        rules->v->kind = GW_RULE_NONE;
        rules->v->at = gw_place_text(r, p);
        return 0;
    }
    if (n->kind == GW_NODE_SCALAR && strcmp(n->text, "any") != 0)
        return gw_cfg_fail(r, p, "\"%s\": expected any, none, a rule or a list of rules", gw_cfg_show(n->text).s);
    return read_rule(r, p, n, rules->v);
}

/* ---- rooms ---- */
static int read_room(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    static const struct gw_key keys[] = {
        {"pattern", gw_read_text, offsetof(struct gw_cfg_room, pattern), "a text such as \"session:{id}\""},
        {"join", gw_read_rules, offsetof(struct gw_cfg_room, join), NULL},
        {"auto", gw_read_bool, offsetof(struct gw_cfg_room, automatic), NULL},
    };
    return gw_read_map(r, p, n, keys, COUNT(keys), dst);
}

int gw_read_rooms(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_config *c = dst;
    return gw_read_list(r, p, n, sizeof(*c->rooms), read_room, "a list of rooms", &c->rooms, &c->nrooms);
}

/* ---- routes ---- */
static int read_value(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_text *t = dst;
    if (gw_cfg_want(r, p, n, GW_NODE_SCALAR, "a text") < 0)
        return -1;
    if (strlen(n->text) > GW_CFG_TEXT_BYTES_MAX)
        return gw_cfg_fail(r, p, "longer than %u bytes", GW_CFG_TEXT_BYTES_MAX);
    t->text = gw_strdup(n->text);
    t->at = gw_place_text(r, p);
    return 0;
}

static int read_condition(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_when *w = dst;
    w->ref = gw_strdup(p->key);
    w->at = gw_place_text(r, p);
    if (n->kind == GW_NODE_SCALAR && !strcmp(n->text, "*"))
        return 0;
    if (n->kind == GW_NODE_LIST && n->n)
        return gw_read_list(r, p, n, sizeof(*w->values.v), read_value, "", &w->values.v, &w->values.n);
    if (gw_node_is_null(n) || n->kind != GW_NODE_SCALAR)
        return gw_cfg_fail(r, p, "expected a text, a list of texts, or \"*\" for a field that is there");
    w->values.v = gw_alloc(sizeof(*w->values.v));
    w->values.n = 1;
    return read_value(r, p, n, w->values.v);
}

static int read_when(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_route *route = dst;
    return gw_read_pairs(r, p, n, sizeof(*route->when), read_condition, "a map of conditions, such as {value.type: chat}",
                         &route->when, &route->nwhen);
}

static int read_route(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
#define AT(field) offsetof(struct gw_cfg_route, field)
    static const struct gw_key keys[] = {
        {"topics", gw_read_texts1, AT(topics), "topics' names or ^regexes"},
        {"event", gw_read_text, AT(event), "a name such as session.starting or \"{value.type}\""},
        {"rooms", gw_read_texts1, AT(rooms), "rooms such as \"session:{value.sessionId}\""},
        {"require", gw_read_texts, AT(require), NULL},
        {"when", read_when, 0, NULL},
    };
#undef AT
    ((struct gw_cfg_route *)dst)->at = gw_place_text(r, p);
    return gw_read_map(r, p, n, keys, COUNT(keys), dst);
}

int gw_read_routes(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_config *c = dst;
    return gw_read_list(r, p, n, sizeof(*c->routes), read_route, "a list of routes", &c->routes, &c->nroutes);
}
