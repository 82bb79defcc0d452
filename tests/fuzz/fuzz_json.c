/* Fuzz target for the JSON scanner. An input is a JSON text, or paths (one a line), a NUL, and a JSON text.
 *
 * It checks more than survival:
 *  - a refused text has an error that names a byte in it; checks with and without paths agree;
 *  - every value inside an accepted text is accepted alone, and gw_json_next walks exactly over all of them;
 *  - what the paths found is what a slow walk by gw_json_next finds;
 *  - json-c in strict mode accepts what we accept, and finds the same types, lengths, strings and integers in it.
 * Known differences, left out of the comparison: json-c ends a key at U+0000, keeps the last of equal keys, stores "-0"
 * as a double, clamps integers beyond 64 bits, and reads a pair of \u escapes for a character such as U+1DE00, whose
 * lower 16 bits look like a surrogate, as U+FFFD. (What json-c accepts and we refuse is not compared: it is laxer.) */
#include "gw/json.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATHS_MAX 8
#define MANY_MAX 64
#define CHECK(what) ((what) ? (void)0 : broken(#what, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "fuzz_json.c:%d: not so: %s\n", line, what);
    abort();
}

static void check_error(const struct gw_err *err, struct gw_str text)
{
    char *end = NULL;
    CHECK(err->set && strncmp(err->text, "byte ", 5) == 0);
    unsigned long at = strtoul(err->text + 5, &end, 10);
    CHECK(at <= text.len && end[0] == ':' && end[2] != '\0');
}

/* The whole text as a value. */
static struct gw_json_val whole(struct gw_str text)
{
    const char *root = "";
    struct gw_json_val val;
    struct gw_json_out out = {.vals = &val};
    struct gw_json_paths *paths = gw_json_paths_new(&root, 1, NULL);
    CHECK(gw_json_scan(text, NULL, paths, &out, NULL) == 0 && val.type != GW_JSON_NONE);
    gw_json_paths_free(paths);
    return val;
}

/* ---- walking: each value alone is the value that it was inside */

static void check_inside(const struct gw_json_val *val)
{
    struct gw_json_val again = whole(val->raw), member;
    struct gw_str key;
    size_t pos = 0;
    bool escaped;
    CHECK(again.type == val->type && again.escaped == val->escaped && gw_str_eq(again.raw, val->raw));
    while (gw_json_next(val->raw, &pos, &key, &escaped, &member)) {
        CHECK((key.p != NULL) == (val->type == GW_JSON_OBJECT));
        check_inside(&member);
    }
    /* behind the last one nothing but the bracket is left */
    if (val->type == GW_JSON_ARRAY || val->type == GW_JSON_OBJECT)
        for (const char *p = val->raw.p + (pos ? pos : 1); p < val->raw.p + val->raw.len - 1; p++)
            CHECK(strchr(" \t\r\n", *p));
}

/* ---- paths, the slow way */

struct found {
    struct gw_json_val vals[MANY_MAX];
    size_t len; /* may be more than MANY_MAX */
    bool any;   /* the path went through [*] */
};

static void find(const struct gw_json_val *val, const char *path, struct found *found);

static void find_key(const struct gw_json_val *val, const char *path, struct found *found)
{
    char name[GW_JSON_PATH_BYTES_MAX];
    size_t len = 0, pos = 0;
    while (*path && *path != '.' && *path != '[') {
        if (*path == '\\' && path[1])
            path++;
        name[len++] = *path++;
    }
    struct gw_str key;
    bool escaped;
    struct gw_json_val member;
    while (val->type == GW_JSON_OBJECT && gw_json_next(val->raw, &pos, &key, &escaped, &member))
        if (gw_json_key_is(key, escaped, (struct gw_str){name, len})) {
            find(&member, path + (*path == '.'), found);
            return;
        }
}

static void find(const struct gw_json_val *val, const char *path, struct found *found)
{
    if (!*path) {
        if (found->len++ < MANY_MAX)
            found->vals[found->len - 1] = *val;
        return;
    }
    if (*path != '[') {
        find_key(val, path, found);
        return;
    }
    size_t pos = 0, wanted = path[1] == '*' ? SIZE_MAX : strtoul(path + 1, NULL, 10);
    struct gw_json_val element;
    found->any |= wanted == SIZE_MAX;
    path = strchr(path, ']') + 1;
    for (size_t i = 0; val->type == GW_JSON_ARRAY && gw_json_next(val->raw, &pos, NULL, NULL, &element); i++)
        if (wanted == SIZE_MAX || wanted == i)
            find(&element, path + (*path == '.'), found);
}

static bool same_val(const struct gw_json_val *a, const struct gw_json_val *b)
{
    return a->type == b->type && a->raw.p == b->raw.p && a->raw.len == b->raw.len && a->escaped == b->escaped;
}

static void check_path(const struct gw_json_val *root, const char *path, uint16_t index, const struct gw_json_out *out)
{
    struct found found = {.len = 0};
    size_t n = 0;
    find(root, path, &found);
    CHECK((out->vals[index].type != GW_JSON_NONE) == (found.len > 0));
    CHECK(found.len == 0 || same_val(&out->vals[index], &found.vals[0]));
    for (size_t i = 0; i < out->many_len; i++)
        if (out->many[i].path == index) {
            CHECK(n < found.len && n < MANY_MAX);
            CHECK(same_val(&out->many[i].val, &found.vals[n]));
            n++;
        }
    CHECK(n == (found.any ? found.len : 0) || out->overflow);
}

static void check_many_order(const struct gw_json_out *out)
{
    for (size_t i = 1; i < out->many_len; i++) {
        const struct gw_json_many *a = &out->many[i - 1], *b = &out->many[i];
        CHECK(a->val.raw.p < b->val.raw.p || (a->val.raw.p == b->val.raw.p && a->path < b->path));
    }
}

/* Scans with the paths; returns what a scan without them must return too. */
static int check_paths(struct gw_str text, const char *const *texts, size_t n)
{
    struct gw_err err = {0};
    struct gw_json_val vals[PATHS_MAX];
    struct gw_json_many many[MANY_MAX];
    struct gw_json_out out = {.vals = vals, .many = many, .many_max = MANY_MAX};
    struct gw_json_paths *paths = gw_json_paths_new(texts, n, &err);
    if (!paths) {
        CHECK(err.set);
        return gw_json_scan(text, NULL, NULL, NULL, NULL);
    }
    int rc = gw_json_scan(text, NULL, paths, &out, &err);
    if (rc == 0) {
        struct gw_json_val root = whole(text);
        for (size_t i = 0; i < n; i++)
            check_path(&root, texts[i], (uint16_t)i, &out);
        check_many_order(&out);
    }
    CHECK(rc == 0 || out.many_len == 0);
    gw_json_paths_free(paths);
    return rc;
}

/* ---- json-c */

static void check_same(const struct gw_json_val *val, struct json_object *o, bool unique);

/* The text of a string, unless it is one of those that json-c is known to read differently. */
static int comparable_text(const struct gw_json_val *val, struct gw_buf *text)
{
    gw_buf_clear(text);
    if (gw_json_text(val, text))
        return -1;
    for (size_t i = 0; val->escaped && i + 3 < text->len; i++) {
        const unsigned char *p = (const unsigned char *)text->data + i;
        if (p[0] >= 0xF0 && (p[1] & 0x0F) == 0x0D && (p[2] & 0x20))
            return -1;
    }
    return 0;
}

static void check_same_members(const struct gw_json_val *val, struct json_object *o)
{
    struct gw_buf name;
    struct gw_str key;
    struct gw_json_val member;
    bool escaped, cut = false;
    size_t pos = 0, n = 0;
    gw_buf_init(&name);
    for (; gw_json_next(val->raw, &pos, &key, &escaped, &member); n++) {
        struct gw_json_val quoted = {GW_JSON_STRING, escaped, {key.p - 1, key.len + 2}};
        struct json_object *other;
        if (comparable_text(&quoted, &name)) {
            cut = true;
            continue;
        }
        CHECK(json_object_object_get_ex(o, gw_buf_c(&name), &other));
        if (!cut)
            check_same(&member, other, true);
    }
    CHECK(cut || json_object_object_length(o) == (int)n);
    gw_buf_fini(&name);
}

static void check_same_elements(const struct gw_json_val *val, struct json_object *o, bool unique)
{
    struct gw_json_val element;
    size_t pos = 0, n = 0;
    for (; gw_json_next(val->raw, &pos, NULL, NULL, &element); n++) {
        CHECK(n < json_object_array_length(o));
        check_same(&element, json_object_array_get_idx(o, n), unique);
    }
    CHECK(json_object_array_length(o) == n);
}

static void check_same_scalar(const struct gw_json_val *val, struct json_object *o)
{
    int64_t n;
    struct gw_buf text;
    gw_buf_init(&text);
    switch (json_object_get_type(o)) {
    case json_type_null:
        CHECK(val->type == GW_JSON_NULL);
        break;
    case json_type_boolean:
        CHECK(val->type == (json_object_get_boolean(o) ? GW_JSON_TRUE : GW_JSON_FALSE));
        break;
    case json_type_string:
        CHECK(val->type == GW_JSON_STRING);
        if (comparable_text(val, &text) == 0) {
            CHECK(text.len == (size_t)json_object_get_string_len(o));
            CHECK(memcmp(gw_buf_c(&text), json_object_get_string(o), text.len) == 0);
        }
        break;
    default:
        CHECK(val->type == GW_JSON_NUMBER);
        if (gw_json_i64(val, &n) == 0 && n != 0)
            CHECK(json_object_is_type(o, json_type_int) && json_object_get_int64(o) == n);
    }
    gw_buf_fini(&text);
}

static void check_same(const struct gw_json_val *val, struct json_object *o, bool unique)
{
    if (val->type == GW_JSON_ARRAY) {
        CHECK(json_object_is_type(o, json_type_array));
        check_same_elements(val, o, unique);
    } else if (val->type == GW_JSON_OBJECT) {
        CHECK(json_object_is_type(o, json_type_object));
        if (unique)
            check_same_members(val, o);
    } else {
        check_same_scalar(val, o);
    }
}

static void check_json_c(const struct gw_json_val *val, bool unique)
{
    char *text = gw_str_dup(val->raw);
    struct json_tokener *t = json_tokener_new_ex(GW_JSON_DEPTH_MAX + 2);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    CHECK(val->raw.len < INT_MAX);
    struct json_object *o = json_tokener_parse_ex(t, text, (int)val->raw.len + 1);
    CHECK(json_tokener_get_error(t) == json_tokener_success);
    CHECK(json_tokener_get_parse_end(t) == val->raw.len);
    check_same(val, o, unique);
    json_object_put(o);
    json_tokener_free(t);
    free(text);
}

/* ---- the target */

/* Splits the bytes in front of a NUL into paths in place; without a NUL, a set that has a bit of everything. */
static size_t paths_of_input(char *bytes, const char *nul, const char **paths)
{
    static const char *const usual[PATHS_MAX] = {"a", "a.b", "a[*]", "a[*].b", "a[0]", "[*]", "[1].a[*]", "[*][0]"};
    size_t n = 0;
    if (!nul) {
        memcpy(paths, usual, sizeof(usual));
        return PATHS_MAX;
    }
    for (char *p = bytes; p && n < PATHS_MAX;)
        paths[n++] = strsep(&p, "\n");
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = gw_str_dup((struct gw_str){size ? (const char *)data : "", size});
    const char *nul = memchr(bytes, '\0', size), *paths[PATHS_MAX];
    struct gw_str text = {(const char *)data + (nul ? nul + 1 - bytes : 0), size - (size_t)(nul ? nul + 1 - bytes : 0)};
    struct gw_err err = {0};
    struct gw_json_opts unique_opts = {.unique_keys = true, .depth_max = GW_JSON_DEPTH_DEFAULT};
    int rc = gw_json_scan(text, NULL, NULL, NULL, &err);
    int unique = gw_json_scan(text, &unique_opts, NULL, NULL, NULL);
    CHECK(rc == 0 || unique != 0);
    CHECK(check_paths(text, paths, paths_of_input(bytes, nul, paths)) == rc);
    if (rc != 0) {
        check_error(&err, text);
    } else {
        struct gw_json_val val = whole(text);
        CHECK(gw_utf8_valid(text));
        check_inside(&val);
        check_json_c(&val, unique == 0);
    }
    free(bytes);
    return 0;
}
