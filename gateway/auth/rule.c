/* Access rules: alternatives of which one must allow. Texts are checked against the pattern's captures at load.
 *
 * Immutable after that; any thread. What has no alternative allows nothing. */
#include "auth_private.h"

#include <stdlib.h>

static void rule_fini(struct gw_rule *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].claim);
        free(r->v[i].value);
    }
    free(r->v);
}

void gw_rule_free(struct gw_rule *r)
{
    if (r == NULL)
        return;
    rule_fini(r);
    free(r);
}

/* Whether the value is one capture and nothing else; it has passed gw_pattern_check_text. */
static bool is_capture(const char *value)
{
    struct gw_str s = gw_str_of(value);

    if (s.len < 3 || s.p[0] != '{' || s.p[1] == '{')
        return false;
    for (size_t i = 1; i + 1 < s.len; i++)
        if (s.p[i] == '{' || s.p[i] == '}')
            return false;
    return s.p[s.len - 1] == '}';
}

static int add_alt(struct gw_rule *r, const struct gw_cfg_rule *cfg, const struct gw_pattern *pattern,
                   struct gw_err *err)
{
    bool claim = cfg->kind == GW_RULE_EQUALS || cfg->kind == GW_RULE_CONTAINS;
    bool value = claim || cfg->kind == GW_RULE_SCOPE;

    if (claim && (cfg->claim == NULL || cfg->claim[0] == '\0'))
        return gw_err_set(err, "expected a claim's name");
    if (value && (cfg->value == NULL || cfg->value[0] == '\0'))
        return gw_err_set(err, "expected a text to compare with");
    if (value && gw_pattern_check_text(pattern, gw_str_of(cfg->value), err) != 0)
        return -1;
    r->v[r->n++] = (struct gw_rule_alt){
        .kind = cfg->kind,
        .claim = claim ? gw_strdup(cfg->claim) : NULL,
        .value = value ? gw_strdup(cfg->value) : NULL,
        .lists = claim && is_capture(cfg->value),
    };
    return 0;
}

struct gw_rule *gw_rule_new(const struct gw_cfg_rules *rules, const struct gw_pattern *pattern, struct gw_err *err)
{
    struct gw_rule *r = gw_alloc(sizeof *r);
    struct gw_err why = {0};

    r->v = gw_alloc((rules->n + 1) * sizeof *r->v);
    for (size_t i = 0; i < rules->n; i++) {
        if (add_alt(r, &rules->v[i], pattern, &why) == 0)
            continue;
        if (rules->v[i].at != NULL)
            gw_err_prefix(&why, "%s", rules->v[i].at);
        gw_err_set(err, "%s", why.text);
        gw_rule_free(r);
        return NULL;
    }
    return r;
}

void gw_rule_list(const struct gw_rule_alt *alt, const struct gw_identity *id,
                  bool (*fn)(struct gw_str text, void *arg), void *arg)
{
    struct gw_json_val v;

    /* an array equals nothing */
    if (alt->kind == GW_RULE_EQUALS && gw_identity_find(id, alt->claim, &v) && v.type == GW_JSON_ARRAY)
        return;
    gw_identity_claim(id, alt->claim, fn, arg);
}

struct wanted {
    struct gw_str text;
    bool found;
};

static bool look_for_text(struct gw_str text, void *arg)
{
    struct wanted *w = arg;

    w->found = gw_str_eq(text, w->text);
    return !w->found;
}

static bool alt_allows(const struct gw_rule_alt *alt, const struct gw_identity *id, const struct gw_captures *captures,
                       struct gw_buf *scratch)
{
    struct wanted w = {0};

    if (alt->kind == GW_RULE_NONE || alt->kind == GW_RULE_ANY)
        return alt->kind == GW_RULE_ANY;
    gw_buf_clear(scratch);
    if (gw_captures_expand(captures, gw_str_of(alt->value), scratch) != 0 || scratch->len == 0)
        return false;
    w.text = gw_buf_str(scratch);
    if (alt->kind == GW_RULE_SCOPE)
        return gw_identity_has_scope(id, w.text);
    gw_rule_list(alt, id, look_for_text, &w);
    return w.found;
}

bool gw_rule_allows(const struct gw_rule *r, const struct gw_identity *id, const struct gw_captures *captures)
{
    struct gw_buf scratch;
    bool allowed = false;

    gw_buf_init(&scratch);
    for (size_t i = 0; i < r->n && !allowed; i++)
        allowed = alt_allows(&r->v[i], id, captures, &scratch);
    gw_buf_fini(&scratch);
    return allowed;
}
