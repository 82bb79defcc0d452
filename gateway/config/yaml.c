/* YAML text to a tree of nodes with line numbers, by libyaml; its types stay in this file. Reads events, not libyaml's
 * documents: so depth and nodes are capped while it reads, and neither a small file with aliases nor a large one of brackets
 * takes much memory or time. Knows nothing about options. */
#include "private.h"

#include "gw/map.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct building {
    yaml_parser_t parser;
    const char *source;
    const char *text; /* all of it, for the places of errors */
    size_t len;
    size_t nodes;
    struct gw_map anchors; /* name -> struct gw_node, a copy of its own */
    struct gw_err *err;
};

static void clear_node(struct gw_node *n)
{
    for (size_t i = 0; i < n->n; i++)
        clear_node(&n->items[i]);
    free(n->items);
    free(n->text);
    free(n->key);
}

void gw_node_free(struct gw_node *n)
{
    if (!n)
        return;
    clear_node(n);
    free(n);
}

bool gw_node_is_null(const struct gw_node *n)
{
    return n->kind == GW_NODE_SCALAR && n->plain &&
           (!n->text[0] || !strcmp(n->text, "~") || !strcmp(n->text, "null") || !strcmp(n->text, "Null") ||
            !strcmp(n->text, "NULL"));
}

static size_t line_of(const yaml_event_t *e)
{
    return e->start_mark.line + 1;
}

static int fail(struct building *b, size_t line, const char *what)
{
    return gw_err_set(b->err, "%s:%zu: %s", b->source, line, what);
}

/* libyaml's reader knows the offset of a bad byte only; its scanner and parser know line and column. */
static int fail_syntax(const struct building *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";
    if (p->error == YAML_READER_ERROR) {
        size_t line = 1, column = 1;
        for (size_t i = 0; i < p->problem_offset && i < b->len; i++) {
            column = b->text[i] == '\n' ? 1 : column + 1;
            line += b->text[i] == '\n';
        }
        return gw_err_set(b->err, "%s:%zu:%zu: %s", b->source, line, column, problem);
    }
    const yaml_mark_t *at = &p->problem_mark;
    bool tab = at->index < b->len && b->text[at->index] == '\t';
    return gw_err_set(b->err, "%s:%zu:%zu: %s%s%s%s", b->source, at->line + 1, at->column + 1, problem,
                      p->context ? " " : "", p->context ? p->context : "",
                      tab ? "; YAML is indented with spaces, never with tabs" : "");
}

/* The event is to be deleted where 0 is returned. */
static int next_event(struct building *b, yaml_event_t *e)
{
    return yaml_parser_parse(&b->parser, e) ? 0 : fail_syntax(b);
}

static int count_node(struct building *b, size_t line)
{
    if (++b->nodes <= GW_CFG_NODES_MAX)
        return 0;
    return gw_err_set(b->err, "%s:%zu: more than %u nodes, aliases expanded", b->source, line, GW_CFG_NODES_MAX);
}

static char *take_text(struct building *b, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    if (!memchr(text, 0, e->data.scalar.length))
        return gw_strdup(text);
    fail(b, line_of(e), "a NUL character is not allowed");
    return NULL;
}

static struct gw_node *add_item(struct gw_node *n)
{
    if (!(n->n & (n->n - 1))) /* 0 or a power of two: full */
        n->items = gw_realloc(n->items, (n->n ? 2 * n->n : 1) * sizeof(*n->items));
    memset(&n->items[n->n], 0, sizeof(*n->items));
    return &n->items[n->n++];
}

/* ---- anchors and aliases ---- */
/* Everything but key and line, which are the copy's own. depth: where the copy stands. */
static int copy_node(struct building *b, const struct gw_node *from, size_t depth, struct gw_node *to)
{
    if (count_node(b, to->line) < 0)
        return -1;
    if (depth > GW_CFG_DEPTH_MAX)
        return gw_err_set(b->err, "%s:%zu: nested more than %u deep", b->source, to->line, GW_CFG_DEPTH_MAX);
    to->kind = from->kind;
    to->plain = from->plain;
    to->text = gw_strdup(from->text);
    for (size_t i = 0; i < from->n; i++) {
        struct gw_node *item = add_item(to);
        item->line = from->items[i].line;
        item->key = gw_strdup(from->items[i].key);
        item->key_line = from->items[i].key_line;
        if (copy_node(b, &from->items[i], depth + 1, item) < 0)
            return -1;
    }
    return 0;
}

/* An anchor is known from its node's end on, so no alias can stand within what it stands for. */
static int keep_anchor(struct building *b, const yaml_char_t *name, size_t depth, const struct gw_node *n)
{
    if (!name)
        return 0;
    struct gw_node *copy = gw_alloc(sizeof(*copy));
    copy->line = n->line;
    if (copy_node(b, n, depth, copy) < 0) {
        gw_node_free(copy);
        return -1;
    }
    gw_node_free(gw_map_put(&b->anchors, gw_str_of((const char *)name), copy));
    return 0;
}

static int build_alias(struct building *b, const yaml_event_t *e, size_t depth, struct gw_node *out)
{
    const char *name = (const char *)e->data.alias.anchor;
    const struct gw_node *from = gw_map_get(&b->anchors, gw_str_of(name));
    if (!from)
        return gw_err_set(b->err, "%s:%zu: *%s: no such anchor before it", b->source, out->line,
                          gw_cfg_show(name).s);
    return copy_node(b, from, depth, out);
}

/* ---- nodes ---- */
static int build(struct building *b, const yaml_event_t *e, size_t depth, struct gw_node *out);

static int build_scalar(struct building *b, const yaml_event_t *e, struct gw_node *out)
{
    out->kind = GW_NODE_SCALAR;
    out->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    out->text = take_text(b, e);
    return out->text ? 0 : -1;
}

static int build_list(struct building *b, size_t depth, struct gw_node *out)
{
    int rc = 0;
    bool end = false;
    out->kind = GW_NODE_LIST;
    while (!rc && !end) {
        yaml_event_t e;
        if (next_event(b, &e) < 0)
            return -1;
        end = e.type == YAML_SEQUENCE_END_EVENT;
        if (!end)
            rc = build(b, &e, depth + 1, add_item(out));
        yaml_event_delete(&e);
    }
    return rc;
}

/* Reads a key into item; seen has the lines of the keys before it. */
static int build_key(struct building *b, const yaml_event_t *e, struct gw_map *seen, struct gw_node *item)
{
    item->key_line = line_of(e);
    if (e->type != YAML_SCALAR_EVENT)
        return fail(b, item->key_line, "a key must be text");
    item->key = take_text(b, e);
    if (!item->key)
        return -1;
    size_t first = (size_t)(uintptr_t)gw_map_put(seen, gw_str_of(item->key), (void *)(uintptr_t)item->key_line);
    if (first)
        return gw_err_set(b->err, "%s:%zu: %s: double key; it was given in line %zu already", b->source,
                          item->key_line, gw_cfg_show(item->key).s, first);
    return 0;
}

static int build_entry(struct building *b, const yaml_event_t *key, struct gw_map *seen, size_t depth,
                       struct gw_node *item)
{
    yaml_event_t e;
    if (build_key(b, key, seen, item) < 0 || next_event(b, &e) < 0)
        return -1;
    int rc = build(b, &e, depth + 1, item);
    yaml_event_delete(&e);
    return rc;
}

static int build_map(struct building *b, size_t depth, struct gw_node *out)
{
    struct gw_map seen;
    int rc = 0;
    bool end = false;
    out->kind = GW_NODE_MAP;
    gw_map_init(&seen);
    while (!rc && !end) {
        yaml_event_t e;
        rc = next_event(b, &e);
        if (rc)
            break;
        end = e.type == YAML_MAPPING_END_EVENT;
        if (!end)
            rc = build_entry(b, &e, &seen, depth, add_item(out));
        yaml_event_delete(&e);
    }
    gw_map_fini(&seen, NULL);
    return rc;
}

static const yaml_char_t *tag_of(const yaml_event_t *e)
{
    return e->type == YAML_SCALAR_EVENT           ? e->data.scalar.tag
           : e->type == YAML_SEQUENCE_START_EVENT ? e->data.sequence_start.tag
           : e->type == YAML_MAPPING_START_EVENT  ? e->data.mapping_start.tag
                                                  : NULL;
}

static int build(struct building *b, const yaml_event_t *e, size_t depth, struct gw_node *out)
{
    out->line = line_of(e);
    if (depth > GW_CFG_DEPTH_MAX)
        return gw_err_set(b->err, "%s:%zu: nested more than %u deep", b->source, out->line, GW_CFG_DEPTH_MAX);
    if (count_node(b, out->line) < 0)
        return -1;
    if (tag_of(e))
        return fail(b, out->line, "tags (!...) are not used here");
    switch (e->type) {
    case YAML_ALIAS_EVENT: return build_alias(b, e, depth, out);
    case YAML_SCALAR_EVENT:
        return build_scalar(b, e, out) < 0 ? -1 : keep_anchor(b, e->data.scalar.anchor, depth, out);
    case YAML_SEQUENCE_START_EVENT:
        return build_list(b, depth, out) < 0 ? -1 : keep_anchor(b, e->data.sequence_start.anchor, depth, out);
    case YAML_MAPPING_START_EVENT:
        return build_map(b, depth, out) < 0 ? -1 : keep_anchor(b, e->data.mapping_start.anchor, depth, out);
    default: return fail(b, out->line, "unreadable node");
    }
}

/* ---- the stream: one document, or nothing ---- */
static int build_stream(struct building *b, struct gw_node *root)
{
    bool end = false, any = false;
    int rc = 0;
    root->kind = GW_NODE_MAP;
    root->line = 1;
    while (!rc && !end) {
        yaml_event_t e;
        if (next_event(b, &e) < 0)
            return -1;
        end = e.type == YAML_STREAM_END_EVENT;
        if (e.type == YAML_DOCUMENT_START_EVENT && any)
            rc = fail(b, line_of(&e), "a second document; expected one");
        else if (e.type == YAML_DOCUMENT_START_EVENT)
            any = true;
        else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_END_EVENT && !end)
            rc = build(b, &e, 1, root);
        yaml_event_delete(&e);
    }
    return rc;
}

static void free_anchor(void *node)
{
    gw_node_free(node);
}

struct gw_node *gw_node_parse(const char *source, const char *text, size_t len, struct gw_err *err)
{
    struct building b = {.source = source, .text = text, .len = len, .err = err};
    if (!yaml_parser_initialize(&b.parser)) {
        gw_err_set(err, "%s: out of memory", source);
        return NULL;
    }
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
    gw_map_init(&b.anchors);
    struct gw_node *root = gw_alloc(sizeof(*root));
    int rc = build_stream(&b, root);
    gw_map_fini(&b.anchors, free_anchor);
    yaml_parser_delete(&b.parser);
    if (!rc)
        return root;
    gw_node_free(root);
    return NULL;
}
