/* The list of actions: what clients may produce, with which fields and how often. Shapes only; see lists.c. */
#include "private.h"

#include <stdlib.h>
#include <string.h>

#define RATE_COUNT_MAX 1000000u
#define RATE_WINDOW_S_MAX 86400u

const char *const gw_cfg_type_names[] = {"any", "string", "number", "integer", "boolean", "object", "array", NULL};

static int read_field(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_field *f = dst;
    f->name = gw_strdup(p->key);
    f->at = gw_place_text(r, p);
    const char *text = n->kind == GW_NODE_SCALAR ? n->text : "";
    size_t len = strlen(text);
    f->optional = len && text[len - 1] == '?';
    len -= f->optional;
    for (int i = 0; gw_cfg_type_names[i]; i++) {
        if (strlen(gw_cfg_type_names[i]) == len && !memcmp(gw_cfg_type_names[i], text, len)) {
            f->type = (enum gw_cfg_type)i;
            return 0;
        }
    }
    return gw_cfg_fail(r, p, "\"%s\": expected any, string, number, integer, boolean, object or array, with ? behind it "
                             "where the field may be missing", gw_cfg_show(text).s);
}

static int read_fields(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_action *a = dst;
    return gw_read_pairs(r, p, n, sizeof(*a->fields), read_field, "a map of fields, such as {message: string}",
                         &a->fields, &a->nfields);
}

static int read_header(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_header *h = dst;
    h->name = gw_strdup(p->key);
    return gw_read_text(r, p, n, &h->value);
}

static int read_headers(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_action *a = dst;
    return gw_read_pairs(r, p, n, sizeof(*a->headers), read_header, "a map of headers, such as {tenant: \"{claim.tenant}\"}",
                         &a->headers, &a->nheaders);
}

/* Digits only, no sign, not 0; *text is moved behind them. 0: there is no such number up to max. */
static uint32_t take_number(const char **text, uint32_t max)
{
    uint32_t v = 0;
    while (**text >= '0' && **text <= '9') {
        v = v * 10 + (uint32_t)(**text - '0');
        if (v > max)
            return 0;
        (*text)++;
    }
    return v;
}

/* "10/s", "100/m", "5/10s", "1000/h" */
static int parse_rate(const char *text, struct gw_cfg_action *a)
{
    uint32_t count = take_number(&text, RATE_COUNT_MAX);
    if (!count || *text++ != '/')
        return -1;
    uint32_t units = *text >= '0' && *text <= '9' ? take_number(&text, RATE_WINDOW_S_MAX) : 1;
    uint32_t unit_s = *text == 's' ? 1 : *text == 'm' ? 60 : *text == 'h' ? 3600 : 0;
    if (!units || !unit_s || text[1] || units > RATE_WINDOW_S_MAX / unit_s)
        return -1;
    a->rate_count = count;
    a->rate_ms = units * unit_s * 1000;
    return 0;
}

static int read_rate(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    if (gw_cfg_want(r, p, n, GW_NODE_SCALAR, "a rate such as 10/s") < 0)
        return -1;
    if (parse_rate(n->text, dst) < 0)
        return gw_cfg_fail(r, p, "\"%s\": expected a rate such as 10/s, 100/m or 5/10s, up to a day",
                           gw_cfg_show(n->text).s);
    return 0;
}

static bool captures_id(const char *pattern)
{
    const char *at = strstr(pattern, "{id}");
    while (at && at > pattern && at[-1] == '{') /* a doubled brace is a literal one */
        at = strstr(at + 1, "{id}");
    return at != NULL;
}

static void default_key(struct gw_cfg_action *a)
{
    const char *key = !a->room.text ? "{user}" : captures_id(a->room.text) ? "{room.id}" : "{room}";
    a->key = (struct gw_cfg_text){gw_strdup(key), gw_strdup(a->at)};
}

static int read_action(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
#define AT(field) offsetof(struct gw_cfg_action, field)
    static const struct gw_key keys[] = {
        {"name", gw_read_string, AT(name), "a name such as session.chat"},
        {"topic", gw_read_string, AT(topic), "the topic to produce to"},
        {"key", gw_read_text, AT(key), NULL},
        {"room", gw_read_text, AT(room), NULL},
        {"allow", gw_read_rules, AT(allow), NULL},
        {"fields", read_fields, 0, NULL},
        {"open", gw_read_bool, AT(open), NULL},
        {"rate", read_rate, 0, NULL},
        {"headers", read_headers, 0, NULL},
    };
#undef AT
    struct gw_cfg_action *a = dst;
    a->at = gw_place_text(r, p);
    if (gw_read_map(r, p, n, keys, sizeof(keys) / sizeof(keys[0]), a) < 0)
        return -1;
    if (!a->key.text)
        default_key(a);
    return 0;
}

int gw_read_actions(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_config *c = dst;
    return gw_read_list(r, p, n, sizeof(*c->actions), read_action, "a list of actions", &c->actions, &c->nactions);
}
