/* Room names and patterns: what is a name, what is a pattern, and that a name matches in one way only. */
#include "gw/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool valid;
    } rows[] = {
        {"session:42", true},
        {"lobby", true},
        {"a", true},
        {":", true},
        {"user:auth0|5f7c", true},
        {"repo:octo/cat", true},
        {"quote:\"\\{}", true},
        {"caf\xc3\xa9:\xe6\x97\xa5\xe6\x9c\xac", true},
        {"smile:\xf0\x9f\x98\x80", true},
        {"", false},
        {"a b", false},
        {"a\tb", false},
        {"a\nb", false},
        {"a\x7f", false},
        {"a\xc2\x85", false},         /* NEL */
        {"a\xc2\xa0", false},         /* no-break space */
        {"a\xe2\x80\x8b", false},     /* zero width space */
        {"a\xe2\x80\xae", false},     /* right-to-left override */
        {"a\xe2\x80\xa8", false},     /* line separator */
        {"a\xe3\x80\x80", false},     /* ideographic space */
        {"a\xef\xbb\xbf", false},     /* BOM */
        {"a\xf3\xa0\x81\x81", false}, /* tag character */
        {"a\xc0\x80", false},         /* overlong */
        {"a\xed\xa0\x80", false},     /* surrogate */
        {"a\xff", false},
        {"a\xc3", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (gw_room_name_valid(gw_str_of(rows[i].name)) != rows[i].valid)
            fail_msg("row %zu: \"%s\"", i, rows[i].name);
    assert_false(gw_room_name_valid((struct gw_str){NULL, 0}));
    assert_false(gw_room_name_valid((struct gw_str){"a\0b", 3}));
}

static void test_name_length(void **state)
{
    char name[GW_ROOM_BYTES_MAX + 1];

    (void)state;
    memset(name, 'x', sizeof name);
    assert_true(gw_room_name_valid((struct gw_str){name, GW_ROOM_BYTES_MAX}));
    assert_false(gw_room_name_valid((struct gw_str){name, GW_ROOM_BYTES_MAX + 1}));
    assert_true(gw_name_printable((struct gw_str){name, GW_ROOM_BYTES_MAX + 1}));
}

/* want: "name=value;..." of the captures, "" for none, NULL for no match */
static void test_match(void **state)
{
    static const struct {
        const char *pattern, *room, *want;
    } rows[] = {
        {"session:{id}", "session:42", "id=42;"},
        {"session:{id}", "session:", NULL},
        {"session:{id}", "session", NULL},
        {"session:{id}", "xsession:42", NULL},
        {"session:{id}", "Session:42", NULL},
        {"session:{id}", "session:a:b", "id=a:b;"},
        {"session:{id}", "session::", "id=:;"},
        {"lobby", "lobby", ""},
        {"lobby", "lobby2", NULL},
        {"lobby", "lobb", NULL},
        {"doc:{tenant}:{id}", "doc:acme:7", "tenant=acme;id=7;"},
        {"doc:{tenant}:{id}", "doc:acme:7:8", "tenant=acme;id=7:8;"},
        {"doc:{tenant}:{id}", "doc::7", NULL},
        {"doc:{tenant}:{id}", "doc:acme:", NULL},
        {"doc:{tenant}:{id}", "doc:acme", NULL},
        {"doc:{id}:meta", "doc:7:meta", "id=7;"},
        {"doc:{id}:meta", "doc:7:8:meta", NULL},
        {"doc:{id}:meta", "doc::meta", NULL},
        {"doc:{id}:meta", "doc:7:meta2", NULL},
        {"doc:{id}-draft", "doc:7-draft", "id=7;"},
        {"doc:{id}-draft", "doc:7-draft-draft", "id=7-draft;"},
        {"doc:{id}-draft", "doc:7:8-draft", NULL},
        {"doc:{id}-draft", "doc:-draft", NULL},
        {"doc:{id}-draft", "doc:", NULL},
        {"{a}-x:{b}", "1-x:2", "a=1;b=2;"},
        {"{a}-x:{b}", "-x:2", NULL},
        {"{a}-x:{b}", "1-y:2", NULL},
        {"{a}-x:{b}", "x:2", NULL},
        {"{a}-x:{b}", ":2", NULL},
        {"{all}", "any:thing", "all=any:thing;"},
        {"{a}:{b}:{c}", "1:2:3", "a=1;b=2;c=3;"},
        {"a{{{id}}}", "a{7}", "id=7;"},
        {"a}}b", "a}b", ""},
        {"\xc3\xa9:{id}", "\xc3\xa9:\xc3\xa9", "id=\xc3\xa9;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_err err = {0};
        struct gw_pattern *p = gw_pattern_new(rows[i].pattern, &err);
        struct gw_captures c;
        struct gw_buf got, back;
        bool matched;

        if (p == NULL)
            fail_msg("%s: %s", rows[i].pattern, err.text);
        matched = gw_pattern_match(p, gw_str_of(rows[i].room), &c);
        assert_int_equal(matched, gw_pattern_match(p, gw_str_of(rows[i].room), NULL));
        if (matched != (rows[i].want != NULL))
            fail_msg("%s against %s: %d", rows[i].pattern, rows[i].room, matched);
        gw_buf_init(&got);
        gw_buf_init(&back);
        for (size_t k = 0; matched && k < c.n; k++)
            gw_buf_addf(&got, "%.*s=%.*s;", (int)c.v[k].name.len, c.v[k].name.p, (int)c.v[k].value.len, c.v[k].value.p);
        if (matched) {
            assert_string_equal(gw_buf_c(&got), rows[i].want);
            assert_int_equal(c.n, gw_pattern_captures(p));
            assert_int_equal(gw_pattern_fill(p, &c, &back), 0); /* filling undoes matching */
            assert_string_equal(gw_buf_c(&back), rows[i].room);
        }
        gw_buf_fini(&got);
        gw_buf_fini(&back);
        gw_pattern_free(p);
    }
}

static void test_bad_patterns(void **state)
{
    static const struct {
        const char *pattern, *error;
    } rows[] = {
        {"", "1 to 512 bytes"},
        {"a b", "printable"},
        {"a\xff", "printable"},
        {"a:{", "written twice"},
        {"a:}", "written twice"},
        {"a:{}", "written twice"},
        {"a:{id", "written twice"},
        {"a:{i.d}", "written twice"},
        {"a:{{id}", "written twice"},
        {"a:{id}:{id}", "{id} stands there twice"},
        {"{a}{b}", "expected a ':' between {b} and the capture before it"},
        {"{a}-{b}", "expected a ':' between"},
        {"{a}:{b}:{c}:{d}:{e}:{f}:{g}:{h}:{i}", "more than 8 captures"},
    };
    char longest[GW_ROOM_BYTES_MAX + 2];
    struct gw_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err = (struct gw_err){0};
        assert_null(gw_pattern_new(rows[i].pattern, &err));
        if (strstr(err.text, rows[i].error) == NULL)
            fail_msg("%s: %s", rows[i].pattern, err.text);
    }
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(gw_pattern_new(longest, NULL));
    assert_null(gw_pattern_new(NULL, NULL));
}

static void test_expand(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {
        {"{id}", "7"},       {"a{id}b{tenant}", "a7bacme"}, {"plain", "plain"}, {"{{id}}", "{id}"},
        {"{other}", NULL},   {"x{id", NULL},                {"}", NULL},        {"{id}{other}", NULL},
        {"{{{id}}}", "{7}"},
    };
    struct gw_pattern *p = gw_pattern_new("doc:{tenant}:{id}", NULL);
    struct gw_captures c;
    struct gw_buf out;

    (void)state;
    assert_true(gw_pattern_match(p, GW_STR("doc:acme:7"), &c));
    gw_buf_init(&out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_str text = gw_str_of(rows[i].text);

        gw_buf_clear(&out);
        gw_buf_add_c(&out, ">");
        assert_int_equal(gw_captures_expand(&c, text, &out), rows[i].want == NULL ? -1 : 0);
        assert_string_equal(gw_buf_c(&out) + 1, rows[i].want == NULL ? "" : rows[i].want);
        assert_int_equal(gw_pattern_check_text(p, text, NULL), rows[i].want == NULL ? -1 : 0);
    }
    assert_int_equal(gw_captures_expand(NULL, GW_STR("{id}"), &out), -1);
    assert_int_equal(gw_captures_expand(NULL, GW_STR("id"), &out), 0);
    gw_buf_fini(&out);
    gw_pattern_free(p);
}

static void test_captures(void **state)
{
    struct gw_pattern *p = gw_pattern_new("doc:{tenant}:{id}", NULL);
    struct gw_err err = {0};

    (void)state;
    assert_string_equal(gw_pattern_text(p), "doc:{tenant}:{id}");
    assert_int_equal(gw_pattern_captures(p), 2);
    assert_true(gw_pattern_has_capture(p, GW_STR("id")));
    assert_false(gw_pattern_has_capture(p, GW_STR("i")));
    assert_false(gw_pattern_has_capture(p, GW_STR("doc:")));
    assert_true(gw_str_is(gw_pattern_capture(p, 1), "id"));
    assert_null(gw_pattern_capture(p, 2).p);
    assert_int_equal(gw_pattern_check_text(p, GW_STR("{room}"), &err), -1);
    assert_string_equal(err.text, "{room} is no capture of the room pattern \"doc:{tenant}:{id}\"");
    err = (struct gw_err){0};
    assert_int_equal(gw_pattern_check_text(NULL, GW_STR("{room}"), &err), -1);
    assert_string_equal(err.text, "{room} is no capture of a room pattern: there is none here");
    gw_pattern_free(p);
    gw_pattern_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_name_length), cmocka_unit_test(test_match),
        cmocka_unit_test(test_bad_patterns), cmocka_unit_test(test_expand),      cmocka_unit_test(test_captures),
    };

    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
