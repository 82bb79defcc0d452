/* Templates: "session:{value.sessionId}" cut into literals and references once, expanded often.
 *
 * Any thread. Does not know what a reference means: the caller gives the roots and resolves. */
#include "gw/template.h"

#include "gw/json.h"

#include <stdlib.h>
#include <string.h>

struct gw_template {
    char *store; /* owned; literals, roots and paths without their braces, one behind the other */
    struct gw_template_part *parts;
    size_t n;
    int many;
};

struct parser {
    struct gw_template *t;
    const char *const *roots;
    bool allow_many;
    const char *p, *end; /* what is left of the text */
    char *to;            /* free place in the store */
    struct gw_err *err;
};

static int add_part(struct parser *ps, struct gw_template_part part)
{
    struct gw_template *t = ps->t;

    if (t->n == GW_TEMPLATE_PARTS_MAX)
        return gw_err_set(ps->err, "more than %d pieces", GW_TEMPLATE_PARTS_MAX);
    part.slot = -1;
    if (part.many)
        t->many = (int)t->n;
    t->parts = gw_realloc(t->parts, (t->n + 1) * sizeof(*t->parts));
    t->parts[t->n++] = part;
    return 0;
}

static bool doubled(const struct parser *ps)
{
    return ps->end - ps->p > 1 && ps->p[1] == ps->p[0];
}

static bool at_reference(const struct parser *ps)
{
    return *ps->p == '{' && !doubled(ps);
}

static int parse_literal(struct parser *ps)
{
    char *start = ps->to;

    while (ps->p < ps->end && !at_reference(ps)) {
        if (*ps->p == '{' || *ps->p == '}') {
            if (!doubled(ps))
                return gw_err_set(ps->err, "'}' closes nothing; a literal brace is written twice");
            ps->p++;
        }
        *ps->to++ = *ps->p++;
    }
    return add_part(ps, (struct gw_template_part){.literal = {start, (size_t)(ps->to - start)}});
}

/* 1 to 99, written without a leading zero. */
static bool is_number(struct gw_str s)
{
    return s.p && (s.len == 1 || s.len == 2) && s.p[0] >= '1' && s.p[0] <= '9' &&
           (s.len == 1 || (s.p[1] >= '0' && s.p[1] <= '9'));
}

static bool root_allows(const char *allowed, struct gw_str root, struct gw_str path)
{
    const char *dot = strchr(allowed, '.');
    size_t len = dot ? (size_t)(dot - allowed) : strlen(allowed);

    if (!gw_str_eq(root, (struct gw_str){allowed, len}))
        return false;
    if (!dot)
        return !path.p;
    return dot[1] == 'N' ? is_number(path) : path.p && path.len > 0;
}

static int unknown_reference(struct parser *ps, struct gw_str ref)
{
    struct gw_buf list;
    gw_buf_init(&list);
    for (size_t i = 0; ps->roots[i]; i++)
        gw_buf_addf(&list, "%s%s", i ? ", " : "", ps->roots[i]);
    gw_err_set(ps->err, "{%.*s}: unknown reference; expected %s", (int)ref.len, ref.p, gw_buf_c(&list));
    gw_buf_fini(&list);
    return -1;
}

static size_t count_many(struct gw_str path)
{
    size_t n = 0;
    for (size_t i = 0; i + 2 < path.len; i++) {
        if (path.p[i] == '\\')
            i++;
        else if (memcmp(path.p + i, "[*]", 3) == 0)
            n++;
    }
    return n;
}

static int check_reference(struct parser *ps, struct gw_str ref, struct gw_str root, struct gw_str path)
{
    size_t many = count_many(path);

    for (size_t i = 0;; i++) {
        if (!ps->roots[i])
            return unknown_reference(ps, ref);
        if (root_allows(ps->roots[i], root, path))
            break;
    }
    if (many && !ps->allow_many)
        return gw_err_set(ps->err, "{%.*s}: [*] cannot stand here", (int)ref.len, ref.p);
    if (many > 1 || (many && ps->t->many >= 0))
        return gw_err_set(ps->err, "{%.*s}: [*] can stand once only", (int)ref.len, ref.p);
    return 0;
}

static int parse_reference(struct parser *ps)
{
    const char *close = memchr(ps->p, '}', (size_t)(ps->end - ps->p));
    if (!close)
        return gw_err_set(ps->err, "'{' is never closed; a literal brace is written twice");

    struct gw_str ref = {ps->to, (size_t)(close - ps->p) - 1}, root = ref, path = {0};
    if (ref.len)
        memcpy(ps->to, ps->p + 1, ref.len);
    ps->to += ref.len;
    ps->p = close + 1;

    const char *dot = memchr(ref.p, '.', ref.len);
    if (dot) {
        root.len = (size_t)(dot - ref.p);
        path = (struct gw_str){dot + 1, ref.len - root.len - 1};
    }
    if (memchr(ref.p, '{', ref.len))
        return gw_err_set(ps->err, "{%.*s}: '{' inside a reference", (int)ref.len, ref.p);
    if (check_reference(ps, ref, root, path) != 0)
        return -1;
    return add_part(ps, (struct gw_template_part){.root = root, .path = path, .many = count_many(path) > 0});
}

static int parse(struct parser *ps)
{
    while (ps->p < ps->end)
        if ((at_reference(ps) ? parse_reference(ps) : parse_literal(ps)) != 0)
            return -1;
    return 0;
}

struct gw_template *gw_template_new(const char *text, const char *const *roots, bool allow_many, struct gw_err *err)
{
    struct gw_str all = gw_str_of(text ? text : "");

    if (all.len > GW_TEMPLATE_BYTES_MAX) {
        gw_err_set(err, "longer than %d bytes", GW_TEMPLATE_BYTES_MAX);
        return NULL;
    }
    if (!gw_utf8_valid(all)) {
        gw_err_set(err, "not valid UTF-8");
        return NULL;
    }
    struct gw_template *t = gw_alloc(sizeof(*t));
    t->many = -1;
    t->store = gw_alloc(all.len + 1);
    struct parser ps = {t, roots, allow_many, all.p, all.p + all.len, t->store, err};
    if (parse(&ps) != 0) {
        gw_template_free(t);
        return NULL;
    }
    return t;
}

void gw_template_free(struct gw_template *t)
{
    if (!t)
        return;
    free(t->parts);
    free(t->store);
    free(t);
}

size_t gw_template_parts(struct gw_template *t, struct gw_template_part **parts)
{
    *parts = t->parts;
    return t->n;
}

bool gw_template_is_literal(const struct gw_template *t)
{
    return t->n == 0 || (t->n == 1 && t->parts[0].literal.p);
}

int gw_template_many_part(const struct gw_template *t)
{
    return t->many;
}

int gw_template_expand(const struct gw_template *t,
                       int (*resolve)(const struct gw_template_part *part, struct gw_buf *out, void *arg), void *arg,
                       struct gw_buf *out, const struct gw_template_part **missing)
{
    size_t before = out->len;

    for (size_t i = 0; i < t->n; i++) {
        const struct gw_template_part *part = &t->parts[i];
        if (part->literal.p) {
            gw_buf_add_str(out, part->literal);
        } else if (resolve(part, out, arg) != 0) {
            out->len = before;
            if (missing)
                *missing = part;
            return -1;
        }
    }
    return 0;
}
