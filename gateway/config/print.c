/* A configuration as YAML that can be loaded again, and the table of its lists. Texts are always quoted, so that nothing in
 * them means something to YAML. */
#include "private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- parts ---- */
static void add_key(struct gw_buf *out, const char *key)
{
    size_t n = 0;
    while (isalnum((unsigned char)key[n]) || (n && key[n] && strchr("._-", key[n])))
        n++;
    if (n && !key[n])
        gw_buf_add_c(out, key);
    else
        gw_cfg_quote(out, key);
    gw_buf_add_c(out, ": ");
}

/* A line "  key: "text"", where there is a text. */
static void add_line(struct gw_buf *out, const char *lead, const char *key, const char *text)
{
    if (!text)
        return;
    gw_buf_addf(out, "%s%s: ", lead, key);
    gw_cfg_quote(out, text);
    gw_buf_add_char(out, '\n');
}

static void add_texts(struct gw_buf *out, const struct gw_cfg_texts *t)
{
    gw_buf_add_char(out, '[');
    for (size_t i = 0; i < t->n; i++) {
        gw_buf_add_c(out, i ? ", " : "");
        gw_cfg_quote(out, t->v[i].text);
    }
    gw_buf_add_char(out, ']');
}

static void add_texts_line(struct gw_buf *out, const char *lead, const char *key, const struct gw_cfg_texts *t)
{
    if (!t->n)
        return;
    gw_buf_addf(out, "%s%s: ", lead, key);
    add_texts(out, t);
    gw_buf_add_char(out, '\n');
}

static void add_rule(struct gw_buf *out, const struct gw_cfg_rule *rule)
{
    if (rule->kind == GW_RULE_ANY) {
        gw_buf_add_c(out, "any");
        return;
    }
    gw_buf_add_char(out, '{');
    if (rule->kind != GW_RULE_SCOPE) {
        gw_buf_add_c(out, "claim: ");
        gw_cfg_quote(out, rule->claim);
        gw_buf_add_c(out, ", ");
    }
    gw_buf_add_c(out, rule->kind == GW_RULE_SCOPE ? "scope: " : rule->kind == GW_RULE_EQUALS ? "equals: " : "contains: ");
    gw_cfg_quote(out, rule->value);
    gw_buf_add_char(out, '}');
}

static void add_rules_line(struct gw_buf *out, const char *key, const struct gw_cfg_rules *rules)
{
    if (!rules->n)
        return;
    gw_buf_addf(out, "    %s: ", key);
    if (rules->v[0].kind == GW_RULE_NONE) {
        gw_buf_add_c(out, "none\n");
        return;
    }
    gw_buf_add_char(out, '[');
    for (size_t i = 0; i < rules->n; i++) {
        gw_buf_add_c(out, i ? ", " : "");
        add_rule(out, &rules->v[i]);
    }
    gw_buf_add_c(out, "]\n");
}

/* ---- lists, from behind their name's colon ---- */
static void print_origins(const struct gw_config *c, bool mask, struct gw_buf *out)
{
    (void)mask;
    gw_buf_add_char(out, ' ');
    add_texts(out, &c->origins);
    gw_buf_add_char(out, '\n');
}

static void print_proxies(const struct gw_config *c, bool mask, struct gw_buf *out)
{
    (void)mask;
    gw_buf_add_char(out, ' ');
    add_texts(out, &c->proxies);
    gw_buf_add_char(out, '\n');
}

/* librdkafka's own names of what nobody should read: sasl.password, ssl.key.pem, sasl.oauthbearer.client.secret ... */
static bool is_secret(const char *name)
{
    return strcasestr(name, "password") || strcasestr(name, "secret") || strcasestr(name, "key.pem") ||
           strcasestr(name, "oauthbearer.config");
}

static void print_properties(const struct gw_config *c, bool mask, struct gw_buf *out)
{
    gw_buf_add_c(out, c->nproperties ? "\n" : " {}\n");
    for (size_t i = 0; i < c->nproperties; i++) {
        const struct gw_cfg_pair *p = &c->properties[i];
        gw_buf_add_c(out, "    ");
        add_key(out, p->name);
        gw_cfg_quote(out, mask && *p->value && is_secret(p->name) ? GW_CFG_MASK : p->value);
        gw_buf_add_char(out, '\n');
    }
}

static void print_issuers(const struct gw_config *c, bool mask, struct gw_buf *out)
{
    (void)mask;
    gw_buf_add_c(out, c->nissuers ? "\n" : " []\n");
    for (size_t i = 0; i < c->nissuers; i++) {
        const struct gw_cfg_issuer *is = &c->issuers[i];
        add_texts_line(out, "    - ", "algorithms", &is->algorithms);
        add_line(out, "      ", "issuer", is->issuer);
        add_texts_line(out, "      ", "audience", &is->audience);
        add_line(out, "      ", "key", is->key);
        add_line(out, "      ", "jwks", is->jwks);
        add_line(out, "      ", "kid", is->kid);
        add_texts_line(out, "      ", "require", &is->require);
    }
}

static void print_rooms(const struct gw_config *c, bool mask, struct gw_buf *out)
{
    (void)mask;
    gw_buf_add_c(out, c->nrooms ? "\n" : " []\n");
    for (size_t i = 0; i < c->nrooms; i++) {
        const struct gw_cfg_room *room = &c->rooms[i];
        add_line(out, "  - ", "pattern", room->pattern.text);
        add_rules_line(out, "join", &room->join);
        if (room->automatic)
            gw_buf_add_c(out, "    auto: true\n");
    }
}

static void add_when(struct gw_buf *out, const struct gw_cfg_route *route)
{
    if (route->nwhen)
        gw_buf_add_c(out, "    when:\n");
    for (size_t i = 0; i < route->nwhen; i++) {
        const struct gw_cfg_when *w = &route->when[i];
        gw_buf_add_c(out, "      ");
        add_key(out, w->ref);
        if (w->values.n)
            add_texts(out, &w->values);
        else
            gw_buf_add_c(out, "\"*\"");
        gw_buf_add_char(out, '\n');
    }
}

static void print_routes(const struct gw_config *c, bool mask, struct gw_buf *out)
{
    (void)mask;
    gw_buf_add_c(out, c->nroutes ? "\n" : " []\n");
    for (size_t i = 0; i < c->nroutes; i++) {
        const struct gw_cfg_route *route = &c->routes[i];
        add_texts_line(out, "  - ", "topics", &route->topics);
        add_when(out, route);
        add_line(out, "    ", "event", route->event.text);
        add_texts_line(out, "    ", "rooms", &route->rooms);
        add_texts_line(out, "    ", "require", &route->require);
    }
}

static void add_fields(struct gw_buf *out, const struct gw_cfg_action *a)
{
    if (a->nfields)
        gw_buf_add_c(out, "    fields:\n");
    for (size_t i = 0; i < a->nfields; i++) {
        gw_buf_add_c(out, "      ");
        add_key(out, a->fields[i].name);
        gw_buf_addf(out, "\"%s%s\"\n", gw_cfg_type_names[a->fields[i].type], a->fields[i].optional ? "?" : "");
    }
}

static void add_rate(struct gw_buf *out, const struct gw_cfg_action *a)
{
    if (!a->rate_count)
        return;
    gw_buf_addf(out, "    rate: %u/", (unsigned)a->rate_count);
    if (a->rate_ms == 1000 || a->rate_ms == 60000)
        gw_buf_addf(out, "%c\n", a->rate_ms == 1000 ? 's' : 'm');
    else
        gw_buf_addf(out, "%us\n", (unsigned)a->rate_ms / 1000);
}

static void add_headers(struct gw_buf *out, const struct gw_cfg_action *a)
{
    if (a->nheaders)
        gw_buf_add_c(out, "    headers:\n");
    for (size_t i = 0; i < a->nheaders; i++) {
        gw_buf_add_c(out, "      ");
        add_key(out, a->headers[i].name);
        gw_cfg_quote(out, a->headers[i].value.text);
        gw_buf_add_char(out, '\n');
    }
}

static void print_actions(const struct gw_config *c, bool mask, struct gw_buf *out)
{
    (void)mask;
    gw_buf_add_c(out, c->nactions ? "\n" : " []\n");
    for (size_t i = 0; i < c->nactions; i++) {
        const struct gw_cfg_action *a = &c->actions[i];
        add_line(out, "  - ", "name", a->name);
        add_line(out, "    ", "topic", a->topic);
        add_line(out, "    ", "room", a->room.text);
        add_line(out, "    ", "key", a->key.text);
        add_rules_line(out, "allow", &a->allow);
        add_fields(out, a);
        if (a->open)
            gw_buf_add_c(out, "    open: true\n");
        add_rate(out, a);
        add_headers(out, a);
    }
}

const struct gw_list gw_lists[] = {
    {"kafka.properties", gw_read_properties, print_properties, 0, 0,
     "Properties handed to librdkafka as they are."},
    {"auth.issuers", gw_read_issuers, print_issuers, GW_OPT_RELOAD, 0, "Whose tokens are taken, and by which keys."},
    {"origins", gw_read_origins, print_origins, GW_OPT_RELOAD, offsetof(struct gw_config, origins),
     "Web origins whose pages may connect."},
    {"proxies", gw_read_proxies, print_proxies, GW_OPT_RELOAD, offsetof(struct gw_config, proxies),
     "Addresses and networks whose word about clients (`http.forwarded_header`) is believed."},
    {"rooms", gw_read_rooms, print_rooms, GW_OPT_RELOAD, 0, "Which rooms there are and who may join them."},
    {"routes", gw_read_routes, print_routes, GW_OPT_RELOAD, 0, "Which topics are read, and to which rooms events go."},
    {"actions", gw_read_actions, print_actions, GW_OPT_RELOAD, 0, "What clients may do, and to which topics it goes."},
};
const size_t gw_lists_n = sizeof(gw_lists) / sizeof(gw_lists[0]);

/* ---- the whole ---- */
/* The section that a path is in: "kafka" of "kafka.brokers", "" of "listen". */
static struct gw_str section_of(const char *path)
{
    const char *dot = strchr(path, '.');
    return (struct gw_str){path, dot ? (size_t)(dot - path) : 0};
}

static const char *name_of(const char *path)
{
    const char *dot = strchr(path, '.');
    return dot ? dot + 1 : path;
}

static void add_lists(const struct gw_config *c, struct gw_str section, struct gw_buf *out)
{
    for (size_t i = 0; i < gw_lists_n; i++) {
        const struct gw_list *l = &gw_lists[i];
        if (!gw_str_eq(section_of(l->path), section))
            continue;
        gw_buf_addf(out, "%s%s:", section.len ? "  " : "", name_of(l->path));
        l->print(c, true, out);
    }
}

/* "  # learning.yaml:3": the path, which stands in front of it anyway, is left out. */
static void add_from(const char *from, const char *path, struct gw_buf *out)
{
    if (!from)
        return;
    size_t n = strlen(from), tail = strlen(path) + 2;
    if (n > tail && !strcmp(from + n - tail + 2, path) && from[n - tail] == ':')
        n -= tail;
    char *place = gw_str_dup((struct gw_str){from, n});
    gw_buf_addf(out, "  # %s", gw_cfg_show(place).s);
    free(place);
}

static void add_scalar(const struct gw_config *c, const struct gw_opt *o, bool indent, struct gw_buf *out)
{
    gw_buf_addf(out, "%s%s: ", indent ? "  " : "", name_of(o->path));
    gw_opt_print(c, o, true, out);
    add_from(c->from[o - gw_opts], o->path, out);
    gw_buf_add_char(out, '\n');
}

void gw_config_print(const struct gw_config *c, FILE *out)
{
    struct gw_buf b;
    struct gw_str section = {"", 0};
    gw_buf_init(&b);
    gw_buf_addf(&b, "# What is in force; file: %s%s\n", gw_cfg_show(c->source).s, c->dev ? ", --dev" : "");
    for (size_t i = 0; i < gw_opts_n; i++) {
        struct gw_str next = section_of(gw_opts[i].path);
        if (!gw_str_eq(next, section)) {
            if (section.len)
                add_lists(c, section, &b);
            gw_buf_addf(&b, "%.*s:\n", (int)next.len, next.p);
            section = next;
        }
        add_scalar(c, &gw_opts[i], section.len > 0, &b);
    }
    add_lists(c, section, &b);
    add_lists(c, (struct gw_str){"", 0}, &b);
    fwrite(b.data, 1, b.len, out);
    gw_buf_fini(&b);
}
