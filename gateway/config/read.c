/* Nodes to values: maps by a table of their keys, lists, texts; and errors that say where. Then the document itself: its
 * sections and scalars by the option table, its lists by the list table. What a list's items are is in lists.c. */
#include "private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 64u /* of one map or section, for "expected one of" */

static void add_path(struct gw_buf *b, const struct gw_place *p)
{
    if (!p->up)
        return;
    add_path(b, p->up);
    if (p->key)
        gw_buf_addf(b, "%s%s", p->up->up ? "." : "", gw_cfg_show(p->key).s);
    else
        gw_buf_addf(b, "[%zu]", p->index);
}

char *gw_place_text(const struct gw_reading *r, const struct gw_place *p)
{
    struct gw_buf b;
    gw_buf_init(&b);
    gw_buf_addf(&b, "%s:%zu", r->source, p->line);
    if (p->up) {
        gw_buf_add_c(&b, ": ");
        add_path(&b, p);
    }
    char *text = gw_strdup(gw_buf_c(&b));
    gw_buf_fini(&b);
    return text;
}

int gw_cfg_fail(const struct gw_reading *r, const struct gw_place *p, const char *fmt, ...)
{
    char *at = gw_place_text(r, p);
    char what[sizeof(r->err->text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    gw_err_set(r->err, "%s: %s", at, what);
    free(at);
    return -1;
}

int gw_cfg_fail_unknown(const struct gw_reading *r, const struct gw_place *p, const struct gw_str *names, size_t n)
{
    struct gw_buf b;
    gw_buf_init(&b);
    int near = gw_cfg_nearest(gw_str_of(p->key), names, n);
    gw_buf_add_c(&b, "unknown key; ");
    if (near >= 0)
        gw_buf_addf(&b, "did you mean %.*s? ", (int)names[near].len, names[near].p);
    gw_buf_addf(&b, "%sxpected one of: ", near >= 0 ? "E" : "e");
    for (size_t i = 0; i < n; i++)
        gw_buf_addf(&b, "%s%.*s", i ? ", " : "", (int)names[i].len, names[i].p);
    gw_cfg_fail(r, p, "%s", gw_buf_c(&b));
    gw_buf_fini(&b);
    return -1;
}

int gw_cfg_want(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, enum gw_node_kind kind,
                const char *expected)
{
    static const char *const kinds[] = {"a text", "a list", "a map"};
    if (gw_node_is_null(n))
        return gw_cfg_fail(r, p, "is empty; expected %s", expected);
    if (n->kind != kind)
        return gw_cfg_fail(r, p, "is %s; expected %s", kinds[n->kind], expected);
    return 0;
}

/* ---- single values ---- */
static int want_text(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, size_t max)
{
    if (gw_cfg_want(r, p, n, GW_NODE_SCALAR, "a text") < 0)
        return -1;
    if (strlen(n->text) > max)
        return gw_cfg_fail(r, p, "longer than %zu bytes", max);
    return 0;
}

int gw_read_string(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    if (want_text(r, p, n, GW_CFG_TEXT_BYTES_MAX) < 0)
        return -1;
    if (!n->text[0])
        return gw_cfg_fail(r, p, "is empty; expected a text");
    *(char **)dst = gw_strdup(n->text);
    return 0;
}

int gw_read_path(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    char *name = NULL;
    if (gw_read_string(r, p, n, &name) < 0)
        return -1;
    if (strstr(name, "://")) {
        free(name);
        return gw_cfg_fail(r, p, "fetching \"%s\" is not supported yet; save it to a file and name that",
                           gw_cfg_show(n->text).s);
    }
    *(char **)dst = gw_cfg_join_path(r->dir, name);
    free(name);
    return 0;
}

int gw_read_text(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_text *t = dst;
    if (gw_read_string(r, p, n, &t->text) < 0)
        return -1;
    t->at = gw_place_text(r, p);
    return 0;
}

int gw_read_bool(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    if (gw_cfg_want(r, p, n, GW_NODE_SCALAR, "true or false") < 0)
        return -1;
    int v = gw_cfg_bool(n->text, false);
    if (v < 0)
        return gw_cfg_fail(r, p, "\"%s\": expected true or false", gw_cfg_show(n->text).s);
    *(bool *)dst = v == 1;
    return 0;
}

/* ---- lists and maps ---- */
int gw_read_list(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, size_t size,
                 gw_read_fn *item, const char *expected, void *array, size_t *count)
{
    if (gw_node_is_null(n))
        return 0;
    if (gw_cfg_want(r, p, n, GW_NODE_LIST, expected) < 0)
        return -1;
    if (!n->n)
        return 0;
    char *v = gw_alloc(n->n * size);
    memcpy(array, &v, sizeof(v));
    *count = n->n; /* zeroed items are as good as none for those who free them */
    for (size_t i = 0; i < n->n; i++) {
        struct gw_place q = {.up = p, .index = i, .line = n->items[i].line};
        if (item(r, &q, &n->items[i], v + i * size) < 0)
            return -1;
    }
    return 0;
}

int gw_read_texts(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    struct gw_cfg_texts *t = dst;
    if (n->kind != GW_NODE_SCALAR || gw_node_is_null(n))
        return gw_read_list(r, p, n, sizeof(*t->v), gw_read_text, "a text or a list of texts", &t->v, &t->n);
    t->v = gw_alloc(sizeof(*t->v));
    t->n = 1;
    return gw_read_text(r, p, n, t->v);
}

int gw_read_texts1(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst)
{
    if (gw_read_texts(r, p, n, dst) < 0)
        return -1;
    if (!((struct gw_cfg_texts *)dst)->n)
        return gw_cfg_fail(r, p, "is empty; expected a text or a list of texts");
    return 0;
}

static bool good_key(const char *key)
{
    size_t len = strlen(key);
    if (!len || len > GW_CFG_KEY_BYTES_MAX)
        return false;
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}

int gw_read_pairs(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, size_t size,
                  gw_read_fn *item, const char *expected, void *array, size_t *count)
{
    if (gw_node_is_null(n))
        return 0;
    if (gw_cfg_want(r, p, n, GW_NODE_MAP, expected) < 0)
        return -1;
    if (!n->n)
        return 0;
    char *v = gw_alloc(n->n * size);
    memcpy(array, &v, sizeof(v));
    *count = n->n;
    for (size_t i = 0; i < n->n; i++) {
        const struct gw_node *child = &n->items[i];
        struct gw_place q = {.up = p, .key = child->key, .line = child->line};
        if (!good_key(child->key))
            return gw_cfg_fail(r, &q, "a key must have 1 to %u bytes and no control characters", GW_CFG_KEY_BYTES_MAX);
        if (item(r, &q, child, v + i * size) < 0)
            return -1;
    }
    return 0;
}

static const struct gw_key *find_key(const struct gw_key *keys, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    return NULL;
}

static bool has_key(const struct gw_node *n, const char *name)
{
    for (size_t i = 0; i < n->n; i++)
        if (!strcmp(n->items[i].key, name))
            return true;
    return false;
}

static int fail_unknown_key(const struct gw_reading *r, const struct gw_place *p, const struct gw_key *keys, size_t n)
{
    struct gw_str names[KEYS_MAX];
    for (size_t i = 0; i < n && i < KEYS_MAX; i++)
        names[i] = gw_str_of(keys[i].name);
    return gw_cfg_fail_unknown(r, p, names, n < KEYS_MAX ? n : KEYS_MAX);
}

int gw_read_map(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n,
                const struct gw_key *keys, size_t nkeys, void *dst)
{
    if (gw_cfg_want(r, p, n, GW_NODE_MAP, "a map") < 0)
        return -1;
    for (size_t i = 0; i < n->n; i++) {
        const struct gw_node *child = &n->items[i];
        const struct gw_key *key = find_key(keys, nkeys, child->key);
        struct gw_place q = {.up = p, .key = child->key, .line = key ? child->line : child->key_line};
        if (!key)
            return fail_unknown_key(r, &q, keys, nkeys);
        if (key->read(r, &q, child, (char *)dst + key->offset) < 0)
            return -1;
    }
    for (size_t i = 0; i < nkeys; i++)
        if (keys[i].required && !has_key(n, keys[i].name))
            return gw_cfg_fail(r, p, "%s is missing; expected %s", keys[i].name, keys[i].required);
    return 0;
}

/* ---- the document ---- */
static const struct gw_list *find_list(const char *path)
{
    for (size_t i = 0; i < gw_lists_n; i++)
        if (!strcmp(gw_lists[i].path, path))
            return &gw_lists[i];
    return NULL;
}

/* What stands between the section and the next dot of a path, or nothing when the path is elsewhere. */
static struct gw_str key_in(const char *path, const char *section)
{
    size_t n = strlen(section);
    if (n && (strncmp(path, section, n) != 0 || path[n] != '.'))
        return (struct gw_str){NULL, 0};
    path += n ? n + 1 : 0;
    return (struct gw_str){path, strcspn(path, ".")};
}

static size_t add_name(struct gw_str *names, size_t n, struct gw_str name)
{
    if (!name.p || n == KEYS_MAX)
        return n;
    for (size_t i = 0; i < n; i++)
        if (gw_str_eq(names[i], name))
            return n;
    names[n] = name;
    return n + 1;
}

static size_t section_names(const char *section, struct gw_str *names)
{
    size_t n = 0;
    for (size_t i = 0; i < gw_opts_n; i++)
        n = add_name(names, n, key_in(gw_opts[i].path, section));
    for (size_t i = 0; i < gw_lists_n; i++)
        n = add_name(names, n, key_in(gw_lists[i].path, section));
    return n;
}

static int read_scalar(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n,
                       const struct gw_opt *o)
{
    struct gw_buf expected;
    gw_buf_init(&expected);
    gw_opt_print_range(o, &expected);
    int rc = gw_cfg_want(r, p, n, GW_NODE_SCALAR, gw_buf_c(&expected));
    gw_buf_fini(&expected);
    if (rc < 0)
        return -1;
    char *at = gw_place_text(r, p);
    rc = gw_opt_set(r->c, o, n->text, false, r->dir, at, r->err);
    free(at);
    return rc;
}

static int read_section(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n,
                        const char *section);

static int read_entry(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, const char *section)
{
    char path[GW_CFG_NAME_MAX];
    struct gw_str names[KEYS_MAX];
    int len = snprintf(path, sizeof(path), "%s%s%s", section, *section ? "." : "", n->key);
    if (len > 0 && (size_t)len < sizeof(path)) {
        const struct gw_opt *o = gw_opt_find(path);
        const struct gw_list *l = find_list(path);
        if (o)
            return read_scalar(r, p, n, o);
        if (l)
            return l->read(r, p, n, r->c);
        if (section_names(path, names))
            return read_section(r, p, n, path);
    }
    struct gw_place at_key = *p;
    at_key.line = n->key_line;
    return gw_cfg_fail_unknown(r, &at_key, names, section_names(section, names));
}

static int read_section(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n,
                        const char *section)
{
    if (gw_node_is_null(n))
        return 0;
    if (gw_cfg_want(r, p, n, GW_NODE_MAP, "a map of options") < 0)
        return -1;
    for (size_t i = 0; i < n->n; i++) {
        struct gw_place q = {.up = p, .key = n->items[i].key, .line = n->items[i].line};
        if (read_entry(r, &q, &n->items[i], section) < 0)
            return -1;
    }
    return 0;
}

int gw_read_document(const struct gw_reading *r, const struct gw_node *root)
{
    struct gw_place top = {.line = root->line};
    return read_section(r, &top, root, "");
}
