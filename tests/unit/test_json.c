/* The JSON scanner's grammar: tables of texts that RFC 8259 allows and forbids, bounds, error texts, and what accepted
 * values mean (text, integers, members). Wanted paths are in test_json_paths.c. */
#include "gw/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T(literal) {(literal), sizeof(literal) - 1}

/* Scans a copy that ends where its memory ends, so that the address sanitizer sees a read behind it. */
static int scan_copy(struct gw_str text, const struct gw_json_opts *opts, struct gw_err *err)
{
    char *copy = malloc(text.len ? text.len : 1);
    memcpy(copy, text.p, text.len);
    int rc = gw_json_scan((struct gw_str){copy, text.len}, opts, NULL, NULL, err);
    free(copy);
    return rc;
}

static void expect_all(const struct gw_str *texts, size_t n, int rc)
{
    for (size_t i = 0; i < n; i++) {
        struct gw_err err = {0};
        if (scan_copy(texts[i], NULL, &err) != rc)
            fail_msg("text %zu, %.*s: %s", i, (int)texts[i].len, texts[i].p, rc ? "accepted" : err.text);
    }
}

static void accepts_what_the_rfc_allows(void **state)
{
    (void)state;
    static const struct gw_str good[] = {
        /* any value, alone */
        T("null"), T("true"), T("false"), T("0"), T("\"\""), T("[]"), T("{}"), T("\"a\""), T("42"),
        /* numbers */
        T("-0"), T("-1"), T("10"), T("0.0"), T("-0.0"), T("1.5"), T("123.456"), T("1e5"), T("1E5"), T("1e+5"),
        T("1E-5"), T("0e0"), T("0E+1"), T("-0e-00"), T("1.5e007"), T("123456789012345678901234567890"),
        T("1e999999"), T("0.00000000000000000000000000000000000000001"), T("[123e65]"), T("[20e1]"), T("[-123]"),
        /* white space: four kinds, everywhere */
        T(" 1"), T("1 "), T("\t\n\r 1 \t\n\r"), T("[ ]"), T("{ }"), T("[\n1\t,\r2 ]"), T("{ \"a\" : 1 , \"b\":2 }"),
        T("                    [                     1                    ]                 "),
        T("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n[]"),
        /* structure */
        T("[1,2,3]"), T("[[]]"), T("[[],[[]],{}]"), T("{\"a\":{\"b\":[{\"c\":null}]}}"), T("{\"a\":1,\"a\":2}"),
        T("{\"\":0}"), T("[1,null,true,false,\"s\",{},[]]"), T("{\"a\":[]}"), T("[\"\",\"\"]"),
        /* escapes */
        T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\u0000\""), T("\"\\u00e9\""), T("\"\\uABCD\\uabcd\\uAbCd\""),
        T("\"\\uD83D\\uDE00\""), T("\"\\ud800\\udc00\""), T("\"\\uDBFF\\uDFFF\""), T("\"\\uFFFF\\uFFFE\""),
        T("\"\\\\u12\""), T("\"\\\\\""), T("{\"\\u0061\":1}"), T("\"a\\\\\\\\\""), T("\"\\uD7FF\\uE000\""),
        T("\"012345678901234\\n67890123456\\u00e9789\""),
        /* characters that stand for themselves */
        T("\"\x7f\""), T("\"/\""), T("\"'\""), T("\" \""), T("\"{[,:]}\""), T("\"\xC2\x80\""), T("\"\xDF\xBF\""),
        T("\"\xE0\xA0\x80\""), T("\"\xED\x9F\xBF\""), T("\"\xEE\x80\x80\""), T("\"\xEF\xBF\xBF\""),
        T("\"\xEF\xBB\xBF\""), T("\"\xF0\x90\x80\x80\""), T("\"\xF4\x8F\xBF\xBF\""), T("\"\xE2\x80\xA8\xE2\x80\xA9\""),
        T("\"0123456789abcdef\xC3\xA9 0123456789abcdef\xE2\x82\xAC\xF0\x9F\x98\x80\""), T("{\"\xC3\xA9\":1}"),
    };
    expect_all(good, sizeof(good) / sizeof(*good), 0);
}

static void refuses_bad_numbers_and_words(void **state)
{
    (void)state;
    static const struct gw_str bad[] = {
        T("-"), T("+1"), T("01"), T("00"), T("-01"), T("-00"), T("1."), T(".5"), T("-.5"), T("1.e5"), T("1e"), T("1e+"),
        T("1E-"), T("1eE2"), T("1e5.5"), T("1e1.0"), T("1..2"), T("1.2.3"), T("--1"), T("-+1"), T("+-1"), T("1+2"),
        T("1-2"), T("0x1"), T("0x"), T("1a"), T("1_000"), T("1 000"), T("1,000"), T("- 1"), T("NaN"), T("-NaN"),
        T("Infinity"), T("-Infinity"), T("Inf"), T("\xEF\xBC\x91"), T("-a"), T("0e"), T("0.e1"), T("[1\xE5]"),
        T("[0\xE5]"), T("[1e1\xE5]"), T("1\0"), T("012"), T("1f"), T("1L"), T("0.1.2"), T("9.e+"), T("[-2.]"), T("[-]"),
        /* words */
        T("nul"), T("nulll"), T("Null"), T("NULL"), T("tru"), T("True"), T("truee"), T("fals"), T("False"), T("none"),
        T("undefined"), T("n"), T("t"), T("f"), T("nan"), T("[nul]"), T("[tru]"), T("[fals]"), T("true false"),
        T("a"), T("'a'"), T("`a`"), T("*"), T("<null>"), T("[<null>]"),
    };
    expect_all(bad, sizeof(bad) / sizeof(*bad), -1);
}

static void refuses_bad_structure(void **state)
{
    (void)state;
    static const struct gw_str bad[] = {
        T(""), T(" "), T("\n"), T("["), T("]"), T("{"), T("}"), T("[["), T("[]]"), T("{}}"), T("[}"), T("{]"), T("[1}"),
        T("{\"a\":1]"), T(","), T(":"), T("[,]"), T("[,1]"), T("[1,]"), T("[1,,2]"), T("[1"), T("[1,"), T("[1 2]"),
        T("[1 true]"), T("[\"a\" \"b\"]"), T("[1:2]"), T("[1;2]"), T("[]1"), T("[] []"), T("1 2"), T("{}{}"), T("[],"),
        T("{,}"), T("{\"a\"}"), T("{\"a\":}"), T("{\"a\":1,}"), T("{\"a\":1,,}"), T("{\"a\":1,,\"b\":2}"), T("{\"a\""),
        T("{\"a\":"), T("{\"a\":1"), T("{\"a\":1,"), T("{\"a\" 1}"), T("{\"a\",1}"), T("{\"a\"::1}"), T("{\"a\"=1}"),
        T("{\"a\":1 \"b\":2}"), T("{\"a\":1;\"b\":2}"), T("{a:1}"), T("{'a':1}"), T("{1:1}"), T("{null:1}"), T("{[]:1}"),
        T("{\"a\":1:2}"), T("{:1}"), T("{\"a\":\"b\"}#"), T("{\"a\":1}}"), T("{\"a\" : [}"), T("[\"a\",}"), T("((1))"),
        /* comments and other white space */
        T("/**/1"), T("1//"), T("[1/*x*/]"), T("{\"a\":1}//"), T("#\n1"), T("\v1"), T("\f1"), T("[\f]"), T("\xC2\xA0" "1"),
        T("\xE2\x81\xA0[]"), T("\xE2\x80\xA8[]"), T("[\x1F]"),
        /* NUL, BOM, other encodings */
        T("\0"), T("1\0"), T("\0001"), T("[\0]"), T("{}\0"), T("\xEF\xBB\xBF{}"), T("\xEF\xBB\xBF"), T("\xEF\xBB{}"),
        T("[]\xEF\xBB\xBF"), T("\xFF\xFE[\0]\0"), T("\0[\0]"), T("[\0]\0"), T("\xE5"), T("\xC3\xA9"), T("[\xFF]"),
        T("{\"a\":\xC3\xA9}"), T("{\xF0\x9F\x87\xA8:1}"), T("\\u0031"), T("[\\n]"), T("\\u005B]"),
    };
    expect_all(bad, sizeof(bad) / sizeof(*bad), -1);
}

static void refuses_bad_strings(void **state)
{
    (void)state;
    static const struct gw_str bad[] = {
        T("\""), T("\"a"), T("a\""), T("\"a\"b"), T("\"a\"\"b\""), T("'a'"), T("\"\\"), T("\"\\\""), T("\"a\\\\\\\""),
        /* escapes */
        T("\"\\a\""), T("\"\\v\""), T("\"\\0\""), T("\"\\x41\""), T("\"\\'\""), T("\"\\ \""), T("\"\\U0041\""),
        T("\"\\N\""), T("\"\\\n\""), T("\"\\\0\""), T("\"\\\xC3\xA9\""), T("\"\\\xE5\""), T("\"\\u\""), T("\"\\u1\""),
        T("\"\\u12\""), T("\"\\u123\""), T("\"\\u123"), T("\"\\u1234"), T("\"\\u123g\""), T("\"\\u-123\""),
        T("\"\\u 123\""), T("\"\\u12\\u1234\""), T("\"\\u00A\""), T("\"\\u\xE5\""), T("\"\\u{41}\""), T("{\"\\x\":1}"),
        T("{\"\\u12\":1}"), T("\"\\u12:4\""), T("\"\\u@@@@\""), T("\"\\uGGGG\""), T("\"\\u````\""),
        /* surrogates: alone, the wrong way round, two of a kind, half an escape behind */
        T("\"\\uD800\""), T("\"\\uDBFF\""), T("\"\\uDC00\""), T("\"\\uDFFF\""), T("\"\\uDC00\\uD800\""),
        T("\"\\uDC00\\uDC00\""), T("\"\\uDFFF\\uDFFF\""),
        T("\"\\uD800\\uD800\""), T("\"\\uD800\\u0041\""), T("\"\\uD800\\uE000\""), T("\"\\uD800x\""),
        T("\"\\uD800\\n\""), T("\"\\uD800\\\""), T("\"\\uD800\\u\""), T("\"\\uD800\\uDC\""), T("\"\\uD800\\uDC0"),
        T("\"\\uD800\\uDC00\\uDC00\""), T("\"\\uD800\\uDBFF\\uDFFF\""), T("{\"\\uD800\":1}"),
        T("\"\\uD800\xF0\x90\x80\x80\""),
        /* control characters */
        T("\"\0\""), T("\"\x01\""), T("\"\x1F\""), T("\"\n\""), T("\"\r\""), T("\"\t\""), T("\"a\0b\""), T("{\"\n\":1}"),
        T("\"0123456789abcde\x1F\""), T("\"0123456789abcdef0123\x0B 56789abcdef\""), T("\"0123456\n\""),
        /* UTF-8: tails, overlong forms, surrogates, too large, cut off (RFC 3629 section 4) */
        T("\"\x80\""), T("\"\xBF\""), T("\"\xC0\x80\""), T("\"\xC0\xAF\""), T("\"\xC1\xBF\""), T("\"\xC2\""),
        T("\"\xC2\xC2\x80\""), T("\"\xE0\x80\x80\""), T("\"\xE0\x9F\xBF\""), T("\"\xE2\x82\""), T("\"\xE2\x28\xA1\""),
        T("\"\xE2\x82\x28\""), T("\"\xED\xA0\x80\""), T("\"\xED\xBF\xBF\""), T("\"\xED\xA0\x80\xED\xB0\x80\""),
        T("\"\xF0\x80\x80\x80\""), T("\"\xF0\x8F\xBF\xBF\""), T("\"\xF0\x9F\x98\""), T("\"\xF0\x28\x8C\xBC\""),
        T("\"\xF0\x90\x28\xBC\""), T("\"\xF0\x90\x8C\x28\""), T("\"\xF4\x90\x80\x80\""), T("\"\xF5\x80\x80\x80\""),
        T("\"\xF8\x88\x80\x80\x80\""), T("\"\xFC\x84\x80\x80\x80\x80\""), T("\"\xFE\""), T("\"\xFF\""), T("\"\xE2\x82"),
        T("\"\xF0\x9F"), T("\"\xC3"), T("\"\xE9\""), T("\"0123456789abcdef\xE9 0123456789abcdef\""), T("{\"\xE9\":1}"),
    };
    expect_all(bad, sizeof(bad) / sizeof(*bad), -1);
}

/* Every byte at every place of strings of all lengths: the wide loops must agree with the narrow ones. */
static void every_byte_at_every_offset(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 40; len++)
        for (size_t at = 0; at < len; at++)
            for (int c = 0; c < 256; c++) {
                char text[48];
                memset(text, 'a', sizeof(text));
                text[0] = text[len + 1] = '"';
                text[1 + at] = (char)c;
                /* \a is no escape, and a backslash in front of the closing quote leaves the string open */
                bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                if (scan_copy((struct gw_str){text, len + 2}, NULL, NULL) != (good ? 0 : -1))
                    fail_msg("byte %d at %zu of %zu", c, at, len);
            }
}

static void every_prefix_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1.5e+3,true,false,null,\"x\\n\\uD83D\\uDE00\xE2\x82\xAC\"],\"b\":{\"c\":{}},\"d\":[[]]}";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct gw_err err = {0};
        assert_int_equal(scan_copy((struct gw_str){text, len}, NULL, &err), -1);
        assert_true(err.set);
    }
    assert_int_equal(scan_copy((struct gw_str){text, sizeof(text) - 1}, NULL, NULL), 0);
}

static void errors_name_the_byte(void **state)
{
    (void)state;
    static const struct {
        struct gw_str text;
        const char *says;
    } cases[] = {
        {T(""), "byte 0: expected a value"},
        {T("{\"a\":1 \"b\":2}"), "byte 7: expected ',' or '}'"},
        {T("[1 2]"), "byte 3: expected ',' or ']'"},
        {T("[1,2"), "byte 4: expected ',' or ']'"},
        {T("{\"a\" 1}"), "byte 5: expected ':'"},
        {T("{\"a\":1,}"), "byte 7: expected a key"},
        {T("[1,]"), "byte 3: expected a value"},
        {T("1 x"), "byte 2: expected the end of the text"},
        {T("\xEF\xBB\xBF{}"), "byte 0: a byte order mark is not allowed"},
        {T("\"ab\xFF\""), "byte 3: invalid UTF-8"},
        {T("\"ab\n\""), "byte 3: a control character in a string"},
        {T("\"ab"), "byte 3: the text ends inside a string"},
        {T("\"\\x\""), "byte 1: an unknown escape in a string"},
        {T("\"\\u12\""), "byte 1: expected four hexadecimal digits behind \\u"},
        {T("\"\\uD800\""), "byte 1: a \\u surrogate without its other half"},
        {T("[01]"), "byte 1: a number with a zero in front"},
        {T("[-]"), "byte 2: expected a digit"},
        {T("[1.]"), "byte 3: expected a digit behind the point"},
        {T("[1e]"), "byte 3: expected a digit in the exponent"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct gw_err err = {0};
        assert_int_equal(scan_copy(cases[i].text, NULL, &err), -1);
        assert_string_equal(err.text, cases[i].says);
    }
}

/* n opening brackets or {"a":, a value, and the closing ones. Owned. */
static struct gw_str nested(size_t n, bool objects)
{
    struct gw_buf b;
    gw_buf_init(&b);
    for (size_t i = 0; i < n; i++)
        gw_buf_add_c(&b, objects ? "{\"a\":" : "[");
    gw_buf_add_c(&b, "1");
    for (size_t i = 0; i < n; i++)
        gw_buf_add_c(&b, objects ? "}" : "]");
    return gw_buf_str(&b);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static const struct {
        unsigned depth_max;
        size_t deepest;
    } cases[] = {{0, 64}, {1, 1}, {2, 2}, {100, 100}, {256, 256}, {257, 256}, {100000, 256}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int objects = 0; objects < 2; objects++) {
            struct gw_json_opts opts = {.depth_max = cases[i].depth_max, .unique_keys = objects};
            struct gw_str fits = nested(cases[i].deepest, objects), over = nested(cases[i].deepest + 1, objects);
            struct gw_err err = {0};
            assert_int_equal(scan_copy(fits, &opts, NULL), 0);
            assert_int_equal(scan_copy(over, &opts, &err), -1);
            assert_non_null(strstr(err.text, "nested too deeply"));
            free((char *)fits.p);
            free((char *)over.p);
        }
    struct gw_str huge = nested(100000, false);
    assert_int_equal(scan_copy(huge, NULL, NULL), -1);
    free((char *)huge.p);
}

static void unique_keys(void **state)
{
    (void)state;
    static const struct gw_str good[] = {
        T("{\"a\":1,\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":1}]}"), T("{\"a\":{\"b\":1},\"b\":1}"), T("{\"a\":1,\"A\":1}"),
        T("[{\"a\":1},{\"a\":1}]"), T("{\"\":1,\"\\u0000\":1,\" \":1}"), T("{\"\\\\u0061\":1,\"a\":1}"),
    };
    static const struct gw_str bad[] = {
        T("{\"a\":1,\"a\":1}"), T("{\"a\":1,\"b\":1,\"a\":1}"), T("[{\"b\":{\"a\":1,\"a\":1}}]"), T("{\"\":1,\"\":1}"),
        T("{\"a\":1,\"\\u0061\":1}"), T("{\"\\u0061\":1,\"a\":1}"), T("{\"\\u0061\":1,\"\\u0061\":1}"),
        T("{\"\\n\":1,\"\\u000a\":1}"), T("{\"\\/\":1,\"/\":1}"), T("{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":1}"),
        T("{\"a\":{\"b\":1},\"a\":{\"c\":1}}"), T("{\"a\":{\"x\":1,\"y\":1},\"b\":1,\"b\":1}"),
    };
    struct gw_json_opts opts = {.unique_keys = true};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(scan_copy(good[i], &opts, NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct gw_err err = {0};
        assert_int_equal(scan_copy(bad[i], NULL, NULL), 0);
        assert_int_equal(scan_copy(bad[i], &opts, &err), -1);
        assert_non_null(strstr(err.text, "the object has this key twice"));
    }
}

static void add_members(struct gw_buf *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        gw_buf_addf(b, "%s\"k%u\":1", i ? "," : "", i);
}

static void unique_keys_are_bounded(void **state)
{
    (void)state;
    struct gw_json_opts opts = {.unique_keys = true};
    struct gw_err err = {0};
    struct gw_buf b;
    gw_buf_init(&b);
    gw_buf_add_c(&b, "[{");
    add_members(&b, GW_JSON_KEYS_MAX);
    gw_buf_add_c(&b, "},{");
    add_members(&b, GW_JSON_KEYS_MAX);
    gw_buf_add_c(&b, "}]");
    assert_int_equal(scan_copy(gw_buf_str(&b), &opts, NULL), 0);
    b.len -= 2;
    gw_buf_add_c(&b, ",\"one more\":1}]");
    assert_int_equal(scan_copy(gw_buf_str(&b), &opts, &err), -1);
    assert_non_null(strstr(err.text, "too many keys in one object"));
    assert_int_equal(scan_copy(gw_buf_str(&b), NULL, NULL), 0);

    gw_buf_clear(&b);
    for (int depth = 0; depth < 20; depth++) { /* 20 * 62 open keys */
        gw_buf_add_c(&b, "{");
        add_members(&b, 61);
        gw_buf_add_c(&b, ",\"in\":");
    }
    gw_buf_add_c(&b, "0}}}}}}}}}}}}}}}}}}}}");
    err = (struct gw_err){0};
    assert_int_equal(scan_copy(gw_buf_str(&b), NULL, NULL), 0);
    assert_int_equal(scan_copy(gw_buf_str(&b), &opts, &err), -1);
    assert_non_null(strstr(err.text, "too many keys in nested objects"));
    gw_buf_fini(&b);
}

static void utf8_valid(void **state)
{
    (void)state;
    assert_true(gw_utf8_valid(GW_STR("")));
    assert_true(gw_utf8_valid((struct gw_str){NULL, 0}));
    assert_true(gw_utf8_valid(GW_STR("plain text, longer than one word \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")));
    assert_false(gw_utf8_valid(GW_STR("0123456701234567\xC3")));
    assert_false(gw_utf8_valid(GW_STR("0123456\xFF" "01234567")));
    /* Numbers packed into two, three and four bytes: valid where that is the shortest form of a character. */
    for (unsigned cp = 0; cp <= 0x1FFFFF; cp += cp < 0x11000 ? 1 : 255) {
        char s[4] = {(char)(0xF0 | cp >> 18), (char)(0x80 | (cp >> 12 & 63)), (char)(0x80 | (cp >> 6 & 63)),
                     (char)(0x80 | (cp & 63))};
        assert_int_equal(gw_utf8_valid((struct gw_str){s, 4}), cp >= 0x10000 && cp <= 0x10FFFF);
        s[1] = (char)(0xE0 | cp >> 12);
        if (cp <= 0xFFFF)
            assert_int_equal(gw_utf8_valid((struct gw_str){s + 1, 3}), cp >= 0x800 && (cp < 0xD800 || cp > 0xDFFF));
        s[2] = (char)(0xC0 | cp >> 6);
        if (cp <= 0x7FF)
            assert_int_equal(gw_utf8_valid((struct gw_str){s + 2, 2}), cp >= 0x80);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_the_rfc_allows),
        cmocka_unit_test(refuses_bad_numbers_and_words),
        cmocka_unit_test(refuses_bad_structure),
        cmocka_unit_test(refuses_bad_strings),
        cmocka_unit_test(every_byte_at_every_offset),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(errors_name_the_byte),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(unique_keys),
        cmocka_unit_test(unique_keys_are_bounded),
        cmocka_unit_test(utf8_valid),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
