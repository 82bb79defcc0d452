/* Templates: what is cut, what is refused and in which words, what comes out. */
#include "gw/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const roots[] = {"value.", "key", "header.", "topic", "topic.N", "partition", NULL};

static void expect_text(const char *name, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s: got \"%s\", want \"%s\"", name, got, want);
}

/* Gives back the reference in angle brackets; "header.none" is missing. */
static int resolve(const struct gw_template_part *part, struct gw_buf *out, void *arg)
{
    (void)arg;
    if (gw_str_is(part->path, "none"))
        return -1;
    gw_buf_add_char(out, '<');
    gw_buf_add_str(out, part->root);
    if (part->path.p) {
        gw_buf_add_char(out, '|');
        gw_buf_add_str(out, part->path);
    }
    gw_buf_add_c(out, part->many ? "|many>" : ">");
    return 0;
}

static const struct {
    const char *text, *out;
    size_t parts;
    int many;
} good[] = {
    {"", "", 0, -1},
    {"plain", "plain", 1, -1},
    {"{key}", "<key>", 1, -1},
    {"a{key}b", "a<key>b", 3, -1},
    {"{key}{key}", "<key><key>", 2, -1},
    {"session:{value.sessionId}", "session:<value|sessionId>", 2, -1},
    {"{value.a.b[0].c}", "<value|a.b[0].c>", 1, -1},
    {"user:{value.userIds[*]}", "user:<value|userIds[*]|many>", 2, 1},
    {"{value.items[*].id}!", "<value|items[*].id|many>!", 2, 0},
    {"{value.[*]}", "<value|[*]|many>", 1, 0},
    {"{value.odd\\[*]}", "<value|odd\\[*]>", 1, -1},
    {"{value.odd\\\\[*]}", "<value|odd\\\\[*]|many>", 1, 0},
    {"{header.event-type}", "<header|event-type>", 1, -1},
    {"{header.a.b}", "<header|a.b>", 1, -1},
    {"{topic}/{topic.1}/{topic.99}", "<topic>/<topic|1>/<topic|99>", 5, -1},
    {"{partition}", "<partition>", 1, -1},
    {"{{", "{", 1, -1},
    {"}}", "}", 1, -1},
    {"a{{b}}c", "a{b}c", 1, -1},
    {"{{key}}", "{key}", 1, -1},
    {"{{{key}}}", "{<key>}", 3, -1},
    {"\xC3\xA9{key}", "\xC3\xA9<key>", 2, -1},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct gw_err err = {0};
        struct gw_buf out = {0};
        struct gw_template *t = gw_template_new(good[i].text, roots, true, &err);
        if (!t)
            fail_msg("%s: %s", good[i].text, err.text);
        struct gw_template_part *parts;
        assert_int_equal(gw_template_parts(t, &parts), good[i].parts);
        for (size_t k = 0; k < good[i].parts; k++)
            assert_int_equal(parts[k].slot, -1);
        assert_int_equal(gw_template_many_part(t), good[i].many);
        assert_int_equal(gw_template_is_literal(t), strchr(good[i].out, '<') == NULL);
        assert_int_equal(gw_template_expand(t, resolve, NULL, &out, NULL), 0);
        expect_text(good[i].text, gw_buf_c(&out), good[i].out);
        gw_buf_fini(&out);
        gw_template_free(t);
    }
}

#define EXPECTED "unknown reference; expected value., key, header., topic, topic.N, partition"

static const struct {
    const char *text;
    bool allow_many;
    const char *err;
} bad[] = {
    {"{valeu.x}", true, "{valeu.x}: " EXPECTED},
    {"{}", true, "{}: " EXPECTED},
    {"{ key }", true, "{ key }: " EXPECTED},
    {"{value}", true, "{value}: " EXPECTED},
    {"{value.}", true, "{value.}: " EXPECTED},
    {"{key.x}", true, "{key.x}: " EXPECTED},
    {"{key.}", true, "{key.}: " EXPECTED},
    {"{header}", true, "{header}: " EXPECTED},
    {"{topic.0}", true, "{topic.0}: " EXPECTED},
    {"{topic.01}", true, "{topic.01}: " EXPECTED},
    {"{topic.100}", true, "{topic.100}: " EXPECTED},
    {"{topic.N}", true, "{topic.N}: " EXPECTED},
    {"{topic.}", true, "{topic.}: " EXPECTED},
    {"a{", true, "'{' is never closed; a literal brace is written twice"},
    {"a{key", true, "'{' is never closed; a literal brace is written twice"},
    {"a}", true, "'}' closes nothing; a literal brace is written twice"},
    {"{key}}", true, "'}' closes nothing; a literal brace is written twice"},
    {"{value.a{b}", true, "{value.a{b}: '{' inside a reference"},
    {"{value.a[*]}", false, "{value.a[*]}: [*] cannot stand here"},
    {"{value.a[*]}{value.b[*]}", true, "{value.b[*]}: [*] can stand once only"},
    {"{value.a[*].b[*]}", true, "{value.a[*].b[*]}: [*] can stand once only"},
    {"bad \xFF utf-8", true, "not valid UTF-8"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct gw_err err = {0};
        assert_null(gw_template_new(bad[i].text, roots, bad[i].allow_many, &err));
        expect_text(bad[i].text, err.text, bad[i].err);
        assert_null(gw_template_new(bad[i].text, roots, bad[i].allow_many, NULL));
    }
}

static void test_bounds(void **state)
{
    (void)state;
    char text[GW_TEMPLATE_BYTES_MAX + 2];
    struct gw_err err = {0};

    memset(text, 'x', sizeof(text));
    text[GW_TEMPLATE_BYTES_MAX] = '\0';
    struct gw_template *t = gw_template_new(text, roots, true, &err);
    assert_non_null(t);
    gw_template_free(t);

    text[GW_TEMPLATE_BYTES_MAX] = 'x';
    text[GW_TEMPLATE_BYTES_MAX + 1] = '\0';
    assert_null(gw_template_new(text, roots, true, &err));
    expect_text("long", err.text, "longer than 2048 bytes");

    err.set = false;
    for (size_t i = 0; i <= GW_TEMPLATE_PARTS_MAX; i++)
        memcpy(text + i * 5, "{key}", 6);
    assert_null(gw_template_new(text, roots, true, &err));
    expect_text("many pieces", err.text, "more than 32 pieces");
    text[GW_TEMPLATE_PARTS_MAX * 5] = '\0';
    t = gw_template_new(text, roots, true, NULL);
    assert_non_null(t);
    gw_template_free(t);
    gw_template_free(NULL);
}

/* What is missing leaves the output as it was, and is named. */
static void test_missing(void **state)
{
    (void)state;
    struct gw_buf out = {0};
    const struct gw_template_part *missing = NULL;
    struct gw_template *t = gw_template_new("a{key}b{header.none}c", roots, false, NULL);

    assert_non_null(t);
    gw_buf_add_c(&out, "before ");
    assert_int_equal(gw_template_expand(t, resolve, NULL, &out, &missing), -1);
    expect_text("out", gw_buf_c(&out), "before ");
    assert_non_null(missing);
    assert_true(gw_str_is(missing->root, "header"));
    assert_true(gw_str_is(missing->path, "none"));
    assert_int_equal(gw_template_expand(t, resolve, NULL, &out, NULL), -1);
    gw_buf_fini(&out);
    gw_template_free(t);
}

/* The text is the caller's and may go. */
static void test_copies(void **state)
{
    (void)state;
    char text[] = "user:{value.id}";
    struct gw_buf out = {0};
    struct gw_template *t = gw_template_new(text, roots, false, NULL);

    memset(text, '?', sizeof(text));
    assert_int_equal(gw_template_expand(t, resolve, NULL, &out, NULL), 0);
    expect_text("out", gw_buf_c(&out), "user:<value|id>");
    gw_buf_fini(&out);
    gw_template_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_bad),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_missing), cmocka_unit_test(test_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
