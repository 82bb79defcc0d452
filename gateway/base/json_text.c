/* What accepted JSON means: the text of scalars, integers, and walking over members. Pure functions, any thread.
 *
 * All of this is given values that gw_json_scan has accepted and checks nothing again; given anything else it may answer
 * nonsense, but stays inside the slice. */
#include "gw/json_inner.h"

#include <string.h>

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10) & 15u;
}

/* The UTF-16 unit of "\uXXXX" at p, or 0 where the slice ends too early. */
static unsigned unit_at(const char *p, const char *end)
{
    if (end - p < 6)
        return 0;
    return hex_value(p[2]) << 12 | hex_value(p[3]) << 8 | hex_value(p[4]) << 4 | hex_value(p[5]);
}

static size_t put_utf8(unsigned c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

static size_t unescape_unicode(const char **p, const char *end, char out[4])
{
    unsigned c = unit_at(*p, end);
    *p = end - *p < 6 ? end : *p + 6;
    if (c >= 0xD800 && c <= 0xDBFF && end - *p >= 6) {
        c = 0x10000 + ((c & 0x3FFu) << 10) + (unit_at(*p, end) & 0x3FFu);
        *p += 6;
    }
    return put_utf8(c, out);
}

size_t gw_json_unescape(const char **p, const char *end, char out[4])
{
    const char *s = *p;
    if (*s != '\\' || end - s < 2) {
        out[0] = *s;
        *p = s + 1;
        return 1;
    }
    if (s[1] == 'u')
        return unescape_unicode(p, end, out);
    *p = s + 2;
    switch (s[1]) {
    case 'b':
        out[0] = '\b';
        break;
    case 'f':
        out[0] = '\f';
        break;
    case 'n':
        out[0] = '\n';
        break;
    case 'r':
        out[0] = '\r';
        break;
    case 't':
        out[0] = '\t';
        break;
    default: /* quote, backslash, slash */
        out[0] = s[1];
    }
    return 1;
}

/* The bytes that the inside of a string means, one at a time. */
struct reader {
    const char *p, *end;
    char bytes[4];
    size_t len, at;
};

static int next_byte(struct reader *r)
{
    if (r->at == r->len) {
        if (r->p >= r->end)
            return -1;
        r->len = gw_json_unescape(&r->p, r->end, r->bytes);
        r->at = 0;
    }
    return (unsigned char)r->bytes[r->at++];
}

static struct reader reader_of(struct gw_str s)
{
    return (struct reader){.p = s.p, .end = s.len ? s.p + s.len : s.p};
}

bool gw_json_same_text(struct gw_str a, struct gw_str b)
{
    struct reader x = reader_of(a), y = reader_of(b);
    int c;
    do {
        c = next_byte(&x);
        if (c != next_byte(&y))
            return false;
    } while (c >= 0);
    return true;
}

bool gw_json_key_is(struct gw_str key, bool key_escaped, struct gw_str name)
{
    if (!key.p)
        return false;
    if (!key_escaped)
        return gw_str_eq(key, name);
    struct reader r = reader_of(key);
    for (size_t i = 0; i < name.len; i++)
        if (next_byte(&r) != (unsigned char)name.p[i])
            return false;
    return next_byte(&r) < 0;
}

uint32_t gw_json_hash_text(struct gw_str s, bool escaped)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    if (!escaped) {
        for (size_t i = 0; i < s.len; i++)
            h = (h ^ (unsigned char)s.p[i]) * 16777619u;
        return h;
    }
    struct reader r = reader_of(s);
    for (int c = next_byte(&r); c >= 0; c = next_byte(&r))
        h = (h ^ (unsigned char)c) * 16777619u;
    return h;
}

static int add_unescaped(struct gw_str inside, struct gw_buf *out)
{
    size_t before = out->len;
    char bytes[4];
    for (const char *p = inside.p, *end = p + inside.len; p < end;) {
        const char *back = memchr(p, '\\', (size_t)(end - p));
        gw_buf_add(out, p, (size_t)((back ? back : end) - p));
        if (!back)
            break;
        p = back;
        size_t n = gw_json_unescape(&p, end, bytes);
        if (n == 1 && bytes[0] == '\0') {
            out->len = before;
            return -1;
        }
        gw_buf_add(out, bytes, n);
    }
    return 0;
}

int gw_json_text(const struct gw_json_val *v, struct gw_buf *out)
{
    switch (v->type) {
    case GW_JSON_FALSE:
    case GW_JSON_TRUE:
    case GW_JSON_NUMBER:
        gw_buf_add_str(out, v->raw);
        return 0;
    case GW_JSON_STRING: {
        struct gw_str inside = {v->raw.p + 1, v->raw.len - 2};
        if (v->escaped)
            return add_unescaped(inside, out);
        gw_buf_add_str(out, inside);
        return 0;
    }
    default:
        return -1;
    }
}

int gw_json_i64(const struct gw_json_val *v, int64_t *out)
{
    if (v->type != GW_JSON_NUMBER)
        return -1;
    const char *p = v->raw.p, *end = p + v->raw.len;
    bool minus = *p == '-';
    int64_t n = 0; /* kept negative: there is one more of those */
    for (p += minus; p < end; p++) {
        if (*p < '0' || *p > '9')
            return -1;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, *p - '0', &n))
            return -1;
    }
    if (!minus && n == INT64_MIN)
        return -1;
    *out = minus ? n : -n;
    return 0;
}

/* The place behind the array or object that starts at p: brackets counted, strings jumped over. */
static const char *skip_container(const char *p, const char *end)
{
    size_t depth = 0;
    bool escaped;
    while (p < end) {
        char c = *p++;
        if (c == '"')
            p = gw_json_skip_string(p, end, &escaped);
        else if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && --depth == 0)
            return p;
    }
    return end;
}

static bool ends_scalar(char c)
{
    return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Fills val from the value at p; returns the place behind it. */
static const char *take_value(const char *p, const char *end, struct gw_json_val *val)
{
    const char *start = p;
    val->escaped = false;
    if (*p == '"') {
        val->type = GW_JSON_STRING;
        p = gw_json_skip_string(p + 1, end, &val->escaped);
    } else if (*p == '{' || *p == '[') {
        val->type = *p == '{' ? GW_JSON_OBJECT : GW_JSON_ARRAY;
        p = skip_container(p, end);
    } else {
        val->type = *p == 'n'   ? GW_JSON_NULL
                    : *p == 't' ? GW_JSON_TRUE
                    : *p == 'f' ? GW_JSON_FALSE
                                : GW_JSON_NUMBER;
        while (p < end && !ends_scalar(*p))
            p++;
    }
    val->raw = (struct gw_str){start, (size_t)(p - start)};
    return p;
}

/* Reads `"key" :` at p into key; NULL where there is no such thing. */
static const char *take_key(const char *p, const char *end, struct gw_str *key, bool *escaped)
{
    if (*p != '"')
        return NULL;
    const char *behind = gw_json_skip_string(p + 1, end, escaped);
    if (behind - p < 2)
        return NULL;
    *key = (struct gw_str){p + 1, (size_t)(behind - p) - 2};
    p = gw_json_lex_space(behind, end);
    if (p == end || *p != ':')
        return NULL;
    p = gw_json_lex_space(p + 1, end);
    return p == end ? NULL : p;
}

bool gw_json_next(struct gw_str raw, size_t *pos, struct gw_str *key, bool *key_escaped, struct gw_json_val *val)
{
    struct gw_str name = {0};
    bool escaped = false;
    if (raw.len < 2 || *pos >= raw.len || (raw.p[0] != '{' && raw.p[0] != '['))
        return false;
    const char *end = raw.p + raw.len - 1; /* the closing bracket */
    const char *p = gw_json_lex_space(raw.p + *pos, end);
    if (p == end || (*pos > 0 && *p != ','))
        return false;
    p = gw_json_lex_space(p + 1, end); /* behind the opening bracket or the comma */
    if (p < end && raw.p[0] == '{')
        p = take_key(p, end, &name, &escaped);
    if (!p || p == end)
        return false;
    p = take_value(p, end, val);
    *pos = (size_t)(p - raw.p);
    if (key)
        *key = name;
    if (key_escaped)
        *key_escaped = escaped;
    return true;
}
