/* The strict JSON scanner: the grammar of RFC 8259, the bounds, and the capture of wanted values, in one pass.
 *
 * Any thread; all state is on the stack of gw_json_scan (about 40 KiB, most of it untouched), nothing is allocated. It
 * does not recurse: open arrays and objects are frames in a fixed table. Inside something in which no path has any
 * interest, frames carry no state and keys are only checked, not compared. Tokens are in json_lex.c, what paths mean in
 * json_paths.c. */
#include "gw/json_inner.h"

#include <string.h>

struct frame {
    const char *start;                /* the opening bracket */
    const struct gw_json_state *want; /* what is looked for inside; NULL: nothing */
    uint64_t seen;                    /* objects: a bit for each key of `want` that has come; only the first one counts */
    size_t index;                     /* arrays: of the element at hand */
    size_t passed;                    /* arrays: how many of want->indexes lie behind us */
    size_t many_at;                   /* where the container's own matches in `many` begin */
    unsigned keys_at;                 /* where the object's keys begin in scan.keys */
    char close;                       /* ']' or '}' */
};

struct seen_key {
    struct gw_str text;
    uint32_t hash;
    bool escaped;
};

struct scan {
    const char *text, *end;
    struct gw_json_fault fault;
    struct gw_json_out *out; /* NULL: a mere check */
    unsigned depth, depth_max;
    bool unique;
    unsigned keys_len;
    struct frame frames[GW_JSON_DEPTH_MAX];
    struct seen_key keys[GW_JSON_OPEN_KEYS_MAX]; /* of the open objects, outer ones first; with unique_keys only */
};

static const char *fail(struct scan *s, const char *at, const char *what)
{
    s->fault.at = at;
    s->fault.what = what;
    return NULL;
}

/* White space between tokens is most often absent or one blank. */
static inline const char *skip_space(const char *p, const char *end)
{
    if (p < end && *p == ' ')
        p++;
    if (p < end && (unsigned char)*p > 0x20)
        return p;
    return gw_json_lex_space(p, end);
}

/* ---- capture */

/* Notes a wanted value. A container is noted where it begins, with the length 0 until its end is known. */
static void capture(struct gw_json_out *out, const struct gw_json_state *want, const struct gw_json_val *val)
{
    for (size_t i = 0; i < want->hits_len; i++) {
        struct gw_json_hit hit = want->hits[i];
        if (out->vals[hit.path].type == GW_JSON_NONE)
            out->vals[hit.path] = *val;
        if (!hit.any)
            continue;
        if (out->many_len < out->many_max)
            out->many[out->many_len++] = (struct gw_json_many){hit.path, *val};
        else
            out->overflow = true;
    }
}

static inline void capture_scalar(struct scan *s, const struct gw_json_state *want, enum gw_json_type type,
                                  bool escaped, const char *start, const char *behind)
{
    if (want && want->hits_len)
        capture(s->out, want, &(struct gw_json_val){type, escaped, {start, (size_t)(behind - start)}});
}

/* The container ends: its matches get their length. Its own entries in `many` were made in the order of the hits. */
static void capture_end(struct scan *s, const struct frame *f, const char *behind)
{
    struct gw_json_out *out = s->out;
    size_t len = (size_t)(behind - f->start), many_at = f->many_at;
    for (size_t i = 0; i < f->want->hits_len; i++) {
        struct gw_json_hit hit = f->want->hits[i];
        if (out->vals[hit.path].raw.p == f->start)
            out->vals[hit.path].raw.len = len;
        if (hit.any && many_at < out->many_max)
            out->many[many_at++].val.raw.len = len;
    }
}

static void clear_out(struct gw_json_out *out, const struct gw_json_paths *paths)
{
    for (size_t i = 0; i < gw_json_paths_count(paths); i++)
        out->vals[i] = (struct gw_json_val){0};
    out->many_len = 0;
    out->overflow = false;
}

/* ---- keys */

/* What is looked for behind this key of the object f; NULL for nothing. */
static const struct gw_json_state *match_key(struct frame *f, struct gw_str key, bool escaped)
{
    const struct gw_json_state *want = f->want;
    if (!escaped && !(want->key_lens >> (key.len < 63 ? key.len : 63) & 1))
        return NULL;
    for (size_t i = 0; i < want->keys_len; i++) {
        const struct gw_json_key *k = &want->keys[i];
        if (escaped ? !gw_json_key_is(key, true, (struct gw_str){k->p, k->len})
                    : k->len != key.len || memcmp(k->p, key.p, key.len) != 0)
            continue;
        uint64_t bit = 1ull << i;
        if (f->seen & bit)
            return NULL;
        f->seen |= bit;
        return k->next;
    }
    return NULL;
}

/* Remembers a key of the object f. NULL where the object has it already, or where there are too many. */
static const char *note_key(struct scan *s, const struct frame *f, struct gw_str key, bool escaped)
{
    struct seen_key k = {key, gw_json_hash_text(key, escaped), escaped};
    for (unsigned i = f->keys_at; i < s->keys_len; i++) {
        const struct seen_key *o = &s->keys[i];
        if (o->hash != k.hash)
            continue;
        if (o->escaped || escaped ? gw_json_same_text(o->text, key) : gw_str_eq(o->text, key))
            return fail(s, key.p - 1, "the object has this key twice");
    }
    if (s->keys_len - f->keys_at == GW_JSON_KEYS_MAX)
        return fail(s, key.p - 1, "too many keys in one object");
    if (s->keys_len == GW_JSON_OPEN_KEYS_MAX)
        return fail(s, key.p - 1, "too many keys in nested objects");
    s->keys[s->keys_len++] = k;
    return key.p;
}

/* ---- moving on: these return the place where the next value begins, and set *want for it. */

/* At the key of a member of the innermost container, an object. */
static const char *begin_member(struct scan *s, const char *p, const struct gw_json_state **want)
{
    struct frame *f = &s->frames[s->depth - 1];
    bool escaped;
    if (p == s->end || *p != '"')
        return fail(s, p, "expected a key");
    const char *behind = gw_json_lex_string(p, s->end, &escaped, &s->fault);
    if (!behind)
        return NULL;
    struct gw_str key = {p + 1, (size_t)(behind - p) - 2};
    if (s->unique && !note_key(s, f, key, escaped))
        return NULL;
    *want = f->want ? match_key(f, key, escaped) : NULL;
    p = skip_space(behind, s->end);
    if (p == s->end || *p != ':')
        return fail(s, p, "expected ':'");
    return skip_space(p + 1, s->end);
}

/* At an element of the innermost container, an array; f->index is its index. */
static const char *begin_element(struct scan *s, const char *p, const struct gw_json_state **want)
{
    struct frame *f = &s->frames[s->depth - 1];
    const struct gw_json_state *all = f->want;
    *want = NULL;
    if (!all)
        return p;
    if (f->passed < all->indexes_len && all->indexes[f->passed].n == f->index)
        *want = all->indexes[f->passed++].next;
    else
        *want = all->any;
    f->index++;
    return p;
}

/* At the opening bracket of a value that `want` is about; returns the place of the first byte inside. */
static const char *open_container(struct scan *s, const char *p, const struct gw_json_state *want)
{
    if (s->depth == s->depth_max)
        return fail(s, p, "nested too deeply");
    struct frame *f = &s->frames[s->depth++];
    f->start = p;
    f->want = want;
    f->close = (char)(*p + 2); /* '[' and ']', '{' and '}' lie two apart */
    f->keys_at = s->keys_len;
    if (want) {
        f->seen = f->index = f->passed = 0;
        f->many_at = s->out->many_len;
        if (want->hits_len)
            capture(s->out, want, &(struct gw_json_val){*p == '{' ? GW_JSON_OBJECT : GW_JSON_ARRAY, false, {p, 0}});
    }
    return skip_space(p + 1, s->end);
}

/* At the closing bracket of the innermost container. */
static const char *close_container(struct scan *s, const char *p)
{
    struct frame *f = &s->frames[--s->depth];
    s->keys_len = f->keys_at;
    if (f->want && f->want->hits_len)
        capture_end(s, f, p + 1);
    return p + 1;
}

static const char *scan_word(struct scan *s, const char *p, const char *word, size_t len)
{
    if ((size_t)(s->end - p) < len || memcmp(p, word, len) != 0)
        return fail(s, p, "expected a value");
    return p + len;
}

static const char *no_value(struct scan *s, const char *p)
{
    bool bom = p == s->text && s->end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0;
    return fail(s, p, bom ? "a byte order mark is not allowed" : "expected a value");
}

/* At a value that is no array and no object; returns the place behind it. */
static inline const char *scan_scalar(struct scan *s, const char *p, const struct gw_json_state *want)
{
    const char *start = p;
    bool escaped = false;
    enum gw_json_type type;
    switch (*p) {
    case '"':
        type = GW_JSON_STRING;
        p = gw_json_lex_string(p, s->end, &escaped, &s->fault);
        break;
    case 't':
        type = GW_JSON_TRUE;
        p = scan_word(s, p, "true", 4);
        break;
    case 'f':
        type = GW_JSON_FALSE;
        p = scan_word(s, p, "false", 5);
        break;
    case 'n':
        type = GW_JSON_NULL;
        p = scan_word(s, p, "null", 4);
        break;
    default:
        if (*p != '-' && (*p < '0' || *p > '9'))
            return no_value(s, p);
        type = GW_JSON_NUMBER;
        p = gw_json_lex_number(p, s->end, &s->fault);
    }
    if (p)
        capture_scalar(s, want, type, escaped, start, p);
    return p;
}

static const char *expected_more(struct scan *s, const char *p)
{
    bool object = s->frames[s->depth - 1].close == '}';
    return fail(s, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

/* At the value's end: closes what ends here, passes a comma. Returns where the next value begins, s->end with depth 0
 * where the text is over, or NULL. */
static const char *go_on(struct scan *s, const char *p, const struct gw_json_state **want)
{
    for (;;) {
        p = skip_space(p, s->end);
        if (s->depth == 0)
            return p == s->end ? p : fail(s, p, "expected the end of the text");
        if (p == s->end)
            return expected_more(s, p);
        char close = s->frames[s->depth - 1].close;
        if (*p == ',') {
            p = skip_space(p + 1, s->end);
            return close == '}' ? begin_member(s, p, want) : begin_element(s, p, want);
        }
        if (*p != close)
            return expected_more(s, p);
        p = close_container(s, p);
    }
}

/* p is at the first byte of the text that is not white space. */
static int scan_text(struct scan *s, const char *p, const struct gw_json_state *want)
{
    for (;;) {
        if (p == s->end) {
            fail(s, p, "expected a value");
            return -1;
        }
        if (*p == '{' || *p == '[') {
            char close = (char)(*p + 2);
            p = open_container(s, p, want);
            if (!p)
                return -1;
            if (p == s->end || *p != close) {
                p = close == '}' ? begin_member(s, p, &want) : begin_element(s, p, &want);
                if (!p)
                    return -1;
                continue;
            }
            p = close_container(s, p);
        } else {
            p = scan_scalar(s, p, want);
            if (!p)
                return -1;
        }
        p = go_on(s, p, &want);
        if (!p)
            return -1;
        if (s->depth == 0)
            return 0;
    }
}

static unsigned depth_of(const struct gw_json_opts *opts)
{
    if (!opts || opts->depth_max == 0)
        return GW_JSON_DEPTH_DEFAULT;
    return opts->depth_max < GW_JSON_DEPTH_MAX ? opts->depth_max : GW_JSON_DEPTH_MAX;
}

int gw_json_scan(struct gw_str text, const struct gw_json_opts *opts, const struct gw_json_paths *paths,
                 struct gw_json_out *out, struct gw_err *err)
{
    struct scan s; /* not zeroed as a whole: that would cost more than a short text */
    s.text = text.len ? text.p : "";
    s.end = s.text + text.len;
    s.out = paths ? out : NULL;
    s.depth = s.keys_len = 0;
    s.depth_max = depth_of(opts);
    s.unique = opts && opts->unique_keys;
    if (s.out)
        clear_out(out, paths);
    if (scan_text(&s, skip_space(s.text, s.end), s.out ? gw_json_paths_root(paths) : NULL) == 0)
        return 0;
    if (s.out)
        clear_out(out, paths);
    return gw_err_set(err, "byte %zu: %s", (size_t)(s.fault.at - s.text), s.fault.what);
}
