/* What the JSON scanner finds on its way: paths, many matches, and what the found values mean (text, integers, members).
 * The grammar is in test_json.c. */
#include "gw/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATHS_MAX 8

/* One text and paths (separated by blanks); found: every path's value separated by '|', '-' for none; many: all matches
 * as "index:value" separated by '|'. */
struct find_case {
    const char *paths, *text, *found, *many;
};

static const struct find_case find_cases[] = {
    {"a", "{\"a\":1}", "1", ""},
    {"a", "{\"b\":1}", "-", ""},
    {"a", "[1]", "-", ""},
    {"a", "\"a\"", "-", ""},
    {"a a.b", "{ \"a\" : { \"b\" : [ 1 , 2 ] } }", "{ \"b\" : [ 1 , 2 ] }|[ 1 , 2 ]", ""},
    {"a.b.c b", "{\"a\":{\"b\":{\"c\":\"x\"}},\"b\":null}", "\"x\"|null", ""},
    {"b a", "{\"a\":true,\"b\":false}", "false|true", ""},
    {"a a", "{\"a\":-1.5e3}", "-1.5e3|-1.5e3", ""},
    {"abc ab", "{\"a\":1,\"ab\":2,\"abc\":3,\"abcd\":4}", "3|2", ""},
    {"a.b", "{\"a\":1,\"b\":{\"b\":2},\"c\":{\"a\":{\"b\":3}}}", "-", ""},
    /* escaped keys mean the same; a path's backslash makes a dot part of a key */
    {"a", "{\"\\u0061\":1}", "1", ""},
    {"\xC3\xA9", "{\"\\u00E9\":1}", "1", ""},
    {"a\\.b a.b", "{\"a.b\":1,\"a\":{\"b\":2}}", "1|2", ""},
    {"a\\[0] a\\\\b", "{\"a[0]\":1,\"a\\\\b\":2}", "1|2", ""},
    /* a key that comes twice: the first counts, with all that is inside */
    {"a a.b", "{\"a\":{\"c\":1},\"a\":{\"b\":2}}", "{\"c\":1}|-", ""},
    {"a[*]", "{\"a\":[1],\"a\":[2],\"\\u0061\":[3]}", "1", "0:1"},
    /* indexes */
    {"a[0] a[2] a[3]", "{\"a\":[7,8,9]}", "7|9|-", ""},
    {"[1] [0].a", "[{\"a\":5},[6]]", "[6]|5", ""},
    {"[10] [2] [1]", "[0,1,2,3,4,5,6,7,8,9,10,11]", "10|2|1", ""},
    {"[0]", "{\"0\":1}", "-", ""},
    {"[0][1][0]", "[[[1],[2]],[[3]]]", "2", ""},
    /* every element */
    {"u[*]", "{\"u\":[\"a\",1,null,[],{}]}", "\"a\"", "0:\"a\"|0:1|0:null|0:[]|0:{}"},
    {"u[*]", "{\"u\":[]}", "-", ""},
    {"u[*]", "{\"u\":\"a\"}", "-", ""},
    {"u[*]", "{\"u\":{\"a\":1}}", "-", ""},
    {"i[*].id", "{\"i\":[{\"id\":1},{\"x\":2},3,{\"id\":4}]}", "1", "0:1|0:4"},
    {"[*][*]", "[[1,2],3,[],[4]]", "1", "0:1|0:2|0:4"},
    {"[*] [*].a", "[{\"a\":1},{\"a\":[2]}]", "{\"a\":1}|1", "0:{\"a\":1}|1:1|0:{\"a\":[2]}|1:[2]"},
    {"a[*].x b[*]", "{\"b\":[1],\"a\":[{\"x\":2}]}", "2|1", "1:1|0:2"},
    {"a[*].b[*]", "{\"a\":[{\"b\":[1,2]},{\"b\":3},{\"b\":[4]}]}", "1", "0:1|0:2|0:4"},
    /* both [n] and [*] name an element */
    {"[*].a [0].b [1].a", "[{\"a\":1,\"b\":2},{\"a\":3,\"b\":4}]", "1|2|3", "0:1|0:3"},
    {"[*] [1] [*]", "[1,2]", "1|2|1", "0:1|2:1|0:2|2:2"},
    {"[0][*] [*][0] [*][*]", "[[1,2],[3,4]]", "1|1|1", "0:1|1:1|2:1|0:2|2:2|1:3|2:3|2:4"},
    /* the whole value, and nothing around it */
    {"a ", " {\"a\":1} ", "1|{\"a\":1}", ""},
    {" [*]", "\n[1]\n", "[1]|1", "1:1"},
    {" ", " 42 ", "42|42", ""},
};

/* Splits at blanks: "a " is two paths, the second one empty. */
static size_t split(char *text, const char **parts)
{
    size_t n = 0;
    for (char *p = text; p && n < PATHS_MAX;)
        parts[n++] = strsep(&p, " ");
    return n;
}

static const char *render_found(struct gw_buf *b, const struct gw_json_out *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        gw_buf_add_c(b, i ? "|" : "");
        gw_buf_add_str(b, out->vals[i].type == GW_JSON_NONE ? GW_STR("-") : out->vals[i].raw);
    }
    return gw_buf_c(b);
}

static const char *render_many(struct gw_buf *b, const struct gw_json_out *out)
{
    for (size_t i = 0; i < out->many_len; i++) {
        gw_buf_addf(b, "%s%d:", i ? "|" : "", out->many[i].path);
        gw_buf_add_str(b, out->many[i].val.raw);
    }
    return gw_buf_c(b);
}

static void run_find_case(const struct find_case *c, bool unique)
{
    const char *parts[PATHS_MAX];
    char *text = gw_strdup(c->paths);
    size_t n = split(text, parts);
    struct gw_err err = {0};
    struct gw_json_paths *paths = gw_json_paths_new(parts, n, &err);
    assert_non_null(paths);
    assert_int_equal(gw_json_paths_count(paths), n);
    struct gw_json_val vals[PATHS_MAX];
    struct gw_json_many many[16];
    struct gw_json_out out = {.vals = vals, .many = many, .many_max = 16};
    struct gw_json_opts opts = {.unique_keys = unique};
    assert_int_equal(gw_json_scan(gw_str_of(c->text), &opts, paths, &out, &err), 0);
    struct gw_buf b;
    gw_buf_init(&b);
    assert_string_equal(render_found(&b, &out, n), c->found);
    gw_buf_clear(&b);
    assert_string_equal(render_many(&b, &out), c->many);
    assert_false(out.overflow);
    gw_buf_fini(&b);
    gw_json_paths_free(paths);
    free(text);
}

static void finds_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(find_cases) / sizeof(*find_cases); i++) {
        run_find_case(&find_cases[i], false);
        struct gw_json_opts opts = {.unique_keys = true};
        if (gw_json_scan(gw_str_of(find_cases[i].text), &opts, NULL, NULL, NULL) == 0)
            run_find_case(&find_cases[i], true);
    }
}

static struct gw_json_paths *paths_of(const char *path)
{
    struct gw_json_paths *paths = gw_json_paths_new(&path, 1, NULL);
    assert_non_null(paths);
    return paths;
}

static void many_is_bounded(void **state)
{
    (void)state;
    struct gw_json_paths *paths = paths_of("[*]");
    struct gw_json_val val;
    struct gw_json_many many[3] = {{.path = 77}, {.path = 77}, {.path = 77}};
    struct gw_json_out out = {.vals = &val, .many = many, .many_max = 2};
    assert_int_equal(gw_json_scan(GW_STR("[[1],[2,[3]],[4]]"), NULL, paths, &out, NULL), 0);
    assert_true(out.overflow);
    assert_int_equal(out.many_len, 2);
    assert_true(gw_str_is(many[1].val.raw, "[2,[3]]"));
    assert_int_equal(many[2].path, 77);
    assert_int_equal(gw_json_scan(GW_STR("[1,2]"), NULL, paths, &out, NULL), 0);
    assert_false(out.overflow);
    out = (struct gw_json_out){.vals = &val};
    assert_int_equal(gw_json_scan(GW_STR("[[1]]"), NULL, paths, &out, NULL), 0);
    assert_true(out.overflow);
    assert_true(gw_str_is(val.raw, "[1]"));
    gw_json_paths_free(paths);
}

static void nothing_is_found_in_a_bad_text(void **state)
{
    (void)state;
    struct gw_json_paths *paths = paths_of("[*]");
    struct gw_json_val val;
    struct gw_json_many many[4];
    struct gw_json_out out = {.vals = &val, .many = many, .many_max = 4};
    assert_int_equal(gw_json_scan(GW_STR("[1,[2],x]"), NULL, paths, &out, NULL), -1);
    assert_int_equal(val.type, GW_JSON_NONE);
    assert_null(val.raw.p);
    assert_int_equal(out.many_len, 0);
    gw_json_paths_free(paths);
    paths = gw_json_paths_new(NULL, 0, NULL);
    out = (struct gw_json_out){0};
    assert_int_equal(gw_json_scan(GW_STR("{\"a\":[1]}"), NULL, paths, &out, NULL), 0);
    gw_json_paths_free(paths);
}

static void refuses_bad_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {".",    ".a",   "a.",    "a..b", "a.[0]",  "a[",   "a[]",   "a[x]",          "a[-1]",
                                      "a[01]", "a[1", "a[*",   "a[**]", "a[0]b", "a[ 0]", "[0]a", "a[1234567890]", "\xFF"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct gw_err err = {0};
        if (gw_json_paths_new(&bad[i], 1, &err))
            fail_msg("accepted %s", bad[i]);
        assert_true(err.set);
    }
    struct gw_err err = {0};
    assert_null(gw_json_paths_new(&(const char *){"a[0].b.."}, 1, &err));
    assert_string_equal(err.text, "path \"a[0].b..\": byte 6: expected a key");
}

/* n paths of the form fmt % i. */
static struct gw_json_paths *numbered(const char *fmt, unsigned n, struct gw_err *err)
{
    char (*texts)[32] = gw_alloc(n * sizeof(*texts));
    const char **paths = gw_alloc(n * sizeof(*paths));
    for (unsigned i = 0; i < n; i++) {
        struct gw_buf b;
        gw_buf_init(&b);
        for (const char *f = fmt; *f; f++)
            if (*f == '#')
                gw_buf_add_i64(&b, i);
            else
                gw_buf_add_char(&b, *f);
        memcpy(texts[i], gw_buf_c(&b), b.len + 1);
        gw_buf_fini(&b);
        paths[i] = texts[i];
    }
    struct gw_json_paths *set = gw_json_paths_new(paths, n, err);
    free(paths);
    free(texts);
    return set;
}

static void sets_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *fmt;
        unsigned fits;
        const char *says;
    } cases[] = {
        {"k#", GW_JSON_BRANCHES_MAX, "different keys at one place"},
        {"[#]", GW_JSON_BRANCHES_MAX, "different indexes at one place"},
        {"a[*]", GW_JSON_PATHS_MAX, "1025 paths, more than 1024"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct gw_err err = {0};
        struct gw_json_paths *set = numbered(cases[i].fmt, cases[i].fits, &err);
        assert_non_null(set);
        gw_json_paths_free(set);
        assert_null(numbered(cases[i].fmt, cases[i].fits + 1, &err));
        assert_non_null(strstr(err.text, cases[i].says));
    }
    struct gw_err err = {0};
    assert_null(gw_json_paths_new(&(const char *){"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a"}, 1, &err));
    assert_non_null(strstr(err.text, "more than 16 steps"));
    const char *crossed[13 * 2];
    for (size_t i = 0; i < 13; i++) {
        static char texts[26][64];
        for (size_t k = 0; k < 13; k++)
            memcpy(texts[i] + 3 * k, k == i ? "[0]" : "[*]", 4);
        for (size_t k = 0; k < 13; k++)
            memcpy(texts[13 + i] + 3 * k, k == i ? "[1]" : "[*]", 4);
        crossed[i] = texts[i];
        crossed[13 + i] = texts[13 + i];
    }
    err = (struct gw_err){0};
    assert_null(gw_json_paths_new(crossed, 26, &err));
    assert_non_null(strstr(err.text, "states"));
}

static int text_of(const char *json, struct gw_buf *b)
{
    struct gw_json_paths *paths = paths_of("");
    struct gw_json_val val;
    struct gw_json_out out = {.vals = &val};
    assert_int_equal(gw_json_scan(gw_str_of(json), NULL, paths, &out, NULL), 0);
    gw_json_paths_free(paths);
    return gw_json_text(&val, b);
}

static void text_of_scalars(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"\"", ""}, {"\"abc\"", "abc"}, {"1.50", "1.50"}, {"-0", "-0"}, {"true", "true"}, {"false", "false"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"}, {"\"x\\u00e9\\u20ACy\"", "x\xC3\xA9\xE2\x82\xACy"},
        {"\"\\uD83D\\ude00\"", "\xF0\x9F\x98\x80"}, {"\"\\uD837\\uDE00\"", "\xF0\x9D\xB8\x80"},
        {"\"\\uDBFF\\uDFFF\"", "\xF4\x8F\xBF\xBF"},
        {"\"\\u007F\\u0080\"", "\x7F\xC2\x80"},
        {"\"\\u07ff\\u0800\\uffff\"", "\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"}, {"\"\\\\u0000\"", "\\u0000"},
        {"null", NULL}, {"[]", NULL}, {"{}", NULL}, {"\"a\\u0000b\"", NULL},
    };
    struct gw_buf b;
    gw_buf_init(&b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        gw_buf_clear(&b);
        gw_buf_add_c(&b, "before ");
        assert_int_equal(text_of(cases[i][0], &b), cases[i][1] ? 0 : -1);
        assert_string_equal(gw_buf_c(&b) + 7, cases[i][1] ? cases[i][1] : "");
    }
    assert_int_equal(gw_json_text(&(struct gw_json_val){0}, &b), -1);
    gw_buf_fini(&b);
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        {"0", 0, 0}, {"-0", 0, 0}, {"42", 0, 42}, {"-7", 0, -7}, {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN}, {"9223372036854775808", -1, 0}, {"-9223372036854775809", -1, 0},
        {"99999999999999999999999", -1, 0}, {"1.0", -1, 0}, {"1e3", -1, 0}, {"0E0", -1, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t v = 5;
        struct gw_json_val val = {GW_JSON_NUMBER, false, gw_str_of(cases[i].text)};
        assert_int_equal(gw_json_i64(&val, &v), cases[i].rc);
        assert_true(v == (cases[i].rc ? 5 : cases[i].value));
    }
    int64_t v;
    assert_int_equal(gw_json_i64(&(struct gw_json_val){GW_JSON_STRING, false, GW_STR("\"1\"")}, &v), -1);
    assert_int_equal(gw_json_i64(&(struct gw_json_val){0}, &v), -1);
}

static void walks_members(void **state)
{
    (void)state;
    static const char text[] = " { \"a\" : [ 1 , \"]\" ] , "
                               "\"b\\\"\" :{\"x\":\"}\\\\\"},\"c\":-1.5,\"\":\"\\n\" , \"n\": null} ";
    static const struct {
        const char *key, *raw;
        enum gw_json_type type;
        bool key_escaped, escaped;
    } members[] = {
        {"a", "[ 1 , \"]\" ]", GW_JSON_ARRAY, false, false}, {"b\\\"", "{\"x\":\"}\\\\\"}", GW_JSON_OBJECT, true, false},
        {"c", "-1.5", GW_JSON_NUMBER, false, false},         {"", "\"\\n\"", GW_JSON_STRING, false, true},
        {"n", "null", GW_JSON_NULL, false, false},
    };
    struct gw_str raw = {text + 1, sizeof(text) - 3}, key;
    size_t pos = 0, n = 0;
    bool key_escaped;
    struct gw_json_val val;
    while (gw_json_next(raw, &pos, &key, &key_escaped, &val)) {
        assert_true(gw_str_is(key, members[n].key));
        assert_true(gw_str_is(val.raw, members[n].raw));
        assert_int_equal(val.type, members[n].type);
        assert_int_equal(key_escaped, members[n].key_escaped);
        assert_int_equal(val.escaped, members[n++].escaped);
    }
    assert_int_equal(n, 5);
    assert_false(gw_json_next(raw, &pos, &key, &key_escaped, &val));
}

static void walks_elements(void **state)
{
    (void)state;
    static const char *const raws[] = {"true", "false", "\"[\"", "[]", "0"};
    struct gw_str raw = GW_STR("[true,false , \"[\",[],0]"), key = GW_STR("old");
    size_t pos = 0, n = 0;
    struct gw_json_val val;
    while (gw_json_next(raw, &pos, &key, NULL, &val)) {
        assert_null(key.p);
        assert_true(gw_str_is(val.raw, raws[n++]));
    }
    assert_int_equal(n, 5);
    static const char *const empty[] = {"[]", "{}", "[ ]", "{\n}", "1", "\"[1]\"", "null", ""};
    for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
        pos = 0;
        assert_false(gw_json_next(gw_str_of(empty[i]), &pos, NULL, NULL, &val));
    }
    assert_false(gw_json_next((struct gw_str){0}, &pos, NULL, NULL, &val));
}

static void keys_mean_their_text(void **state)
{
    (void)state;
    assert_true(gw_json_key_is(GW_STR("abc"), false, GW_STR("abc")));
    assert_true(gw_json_key_is(GW_STR("\\u0061bc"), true, GW_STR("abc")));
    assert_true(gw_json_key_is(GW_STR("\\ud83d\\ude00"), true, GW_STR("\xF0\x9F\x98\x80")));
    assert_false(gw_json_key_is(GW_STR("\\u0061bc"), true, GW_STR("ab")));
    assert_false(gw_json_key_is(GW_STR("\\u0061b"), true, GW_STR("abc")));
    assert_false(gw_json_key_is(GW_STR("a"), false, GW_STR("")));
    assert_true(gw_json_key_is(GW_STR(""), false, GW_STR("")));
    assert_false(gw_json_key_is((struct gw_str){0}, false, GW_STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_paths),       cmocka_unit_test(many_is_bounded),
        cmocka_unit_test(refuses_bad_paths), cmocka_unit_test(nothing_is_found_in_a_bad_text),
        cmocka_unit_test(sets_are_bounded),  cmocka_unit_test(text_of_scalars),
        cmocka_unit_test(integers),          cmocka_unit_test(walks_members),
        cmocka_unit_test(walks_elements),    cmocka_unit_test(keys_mean_their_text),
    };
    return cmocka_run_group_tests_name("json_paths", tests, NULL, NULL);
}
