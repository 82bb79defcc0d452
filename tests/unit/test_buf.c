/* Buffers and slices; strings as JSON and base64. */
#include "gw/json.h"

#include "unit_kit.h"

#include <openssl/evp.h>

static void test_slices(void **state)
{
    (void)state;
    assert_true(gw_str_eq(GW_STR("ab"), gw_str_of("ab")));
    assert_false(gw_str_eq(GW_STR("ab"), GW_STR("abc")));
    assert_true(gw_str_eq((struct gw_str){NULL, 0}, GW_STR("")));
    assert_true(gw_str_is(GW_STR(""), ""));
    assert_false(gw_str_is((struct gw_str){NULL, 0}, ""));
    assert_null(gw_str_of(NULL).p);
    assert_null(gw_str_dup((struct gw_str){NULL, 0}));
    assert_null(gw_strdup(NULL));
    char *copy = gw_str_dup((struct gw_str){"abcdef", 3}), *empty = gw_str_dup(GW_STR(""));
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    free(copy);
    free(empty);
}

static void test_growing(void **state)
{
    (void)state;
    struct gw_buf b;
    char *model = malloc(300000);
    size_t n = 0;
    uint32_t seed = 7;
    gw_buf_init(&b);
    assert_int_equal(gw_buf_str(&b).len, 0);
    assert_non_null(gw_buf_str(&b).p);
    while (n < 200000) {
        char piece[700];
        size_t len = random_below(&seed, sizeof(piece));
        memset(piece, (int)('a' + random_below(&seed, 26)), len);
        gw_buf_add(&b, piece, len);
        memcpy(model + n, piece, len);
        n += len;
        assert_int_equal(b.len, n);
        assert_true(b.cap >= n);
    }
    assert_memory_equal(b.data, model, n);
    size_t cap = b.cap;
    gw_buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, cap);
    gw_buf_fini(&b);
    assert_null(b.data);
    free(model);
}

static void test_appending(void **state)
{
    (void)state;
    struct gw_buf b = {0};
    gw_buf_add_i64(&b, 0);
    gw_buf_add_char(&b, ' ');
    gw_buf_add_i64(&b, INT64_MIN);
    gw_buf_add_c(&b, " ");
    gw_buf_add_i64(&b, INT64_MAX);
    gw_buf_add_str(&b, GW_STR(" "));
    gw_buf_add_i64(&b, -10);
    gw_buf_add_str(&b, (struct gw_str){NULL, 0});
    gw_buf_add(&b, NULL, 0);
    assert_string_equal(gw_buf_c(&b), "0 -9223372036854775808 9223372036854775807 -10");
    gw_buf_clear(&b);
    char text[5000];
    memset(text, 'y', sizeof(text));
    for (size_t n = 1; n < sizeof(text); n += 331) { /* around every capacity */
        size_t before = b.len;
        gw_buf_addf(&b, "%.*s%d", (int)n, text, 7);
        assert_int_equal(b.len, before + n + 1);
        assert_int_equal(b.data[b.len - 1], '7');
    }
    gw_buf_addf(&b, "%s", "");
    assert_int_equal(strlen(gw_buf_c(&b)), b.len);
    gw_buf_fini(&b);
}

/* RFC 8259 section 7; what is not UTF-8 (RFC 3629) becomes U+FFFD, byte by byte. */
#define BAD "\xEF\xBF\xBD"
static const struct {
    struct gw_str in;
    const char *out;
} json_rows[] = {
    {{NULL, 0}, "\"\""},
    {{"", 0}, "\"\""},
    {{"plain /<>&'", 11}, "\"plain /<>&'\""},
    {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
    {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
    {{"\0x\x01\x1F\x7F", 5}, "\"\\u0000x\\u0001\\u001f\\u007f\""},
    {{"\xC3\xA9", 2}, "\"\xC3\xA9\""},
    {{"\xE2\x82\xAC \xF0\x9F\x98\x80", 8}, "\"\xE2\x82\xAC \xF0\x9F\x98\x80\""},
    {{"\xED\x9F\xBF\xEE\x80\x80", 6}, "\"\xED\x9F\xBF\xEE\x80\x80\""}, /* both sides of the surrogates */
    {{"\xF4\x8F\xBF\xBF", 4}, "\"\xF4\x8F\xBF\xBF\""},                 /* U+10FFFF */
    {{"\x80", 1}, "\"" BAD "\""},
    {{"\xC0\x80", 2}, "\"" BAD BAD "\""},         /* overlong U+0000 */
    {{"\xC1\xBF", 2}, "\"" BAD BAD "\""},         /* overlong U+007F */
    {{"\xE0\x9F\xBF", 3}, "\"" BAD BAD BAD "\""}, /* overlong U+07FF */
    {{"\xF0\x8F\xBF\xBF", 4}, "\"" BAD BAD BAD BAD "\""},
    {{"\xED\xA0\x80", 3}, "\"" BAD BAD BAD "\""}, /* U+D800 */
    {{"\xF4\x90\x80\x80", 4}, "\"" BAD BAD BAD BAD "\""},
    {{"\xF5\x80\x80\x80", 4}, "\"" BAD BAD BAD BAD "\""},
    {{"\xFF\xFE", 2}, "\"" BAD BAD "\""},
    {{"a\xC3", 2}, "\"a" BAD "\""}, /* cut off */
    {{"a\xE2\x82", 3}, "\"a" BAD BAD "\""},
    {{"\xC3\"", 2}, "\"" BAD "\\\"\""}, /* the quote is not swallowed */
};

static void test_json_strings(void **state)
{
    (void)state;
    struct gw_buf b = {0};
    for (size_t i = 0; i < ROWS(json_rows); i++) {
        gw_buf_clear(&b);
        gw_buf_add_json(&b, json_rows[i].in);
        expect_str("row", gw_buf_str(&b), json_rows[i].out);
    }
    gw_buf_fini(&b);
}

/* Whatever comes in, what comes out is a JSON string; and it means the same where the input was text. */
static void check_round_trip(const char *in, size_t n)
{
    struct gw_buf b = {0}, back = {0};
    struct gw_err err = {0};
    gw_buf_add_json(&b, (struct gw_str){in, n});
    if (gw_json_scan(gw_buf_str(&b), NULL, NULL, NULL, &err) != 0)
        fail_msg("%.*s: %s", (int)b.len, b.data, err.text);
    struct gw_json_val v = {.type = GW_JSON_STRING, .escaped = true, .raw = gw_buf_str(&b)};
    if (gw_utf8_valid((struct gw_str){in, n}) && !memchr(in, 0, n)) {
        assert_int_equal(gw_json_text(&v, &back), 0);
        assert_true(gw_str_eq(gw_buf_str(&back), (struct gw_str){in, n}));
    }
    gw_buf_fini(&b);
    gw_buf_fini(&back);
}

static void test_json_always_valid(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "\"", "\\", "\n", "\xC3\xA9", "\xF0\x9F\x98\x80", "\xE2\x80\xA8", "\xED\xA0\x80", "\x80"};
    uint32_t seed = 99;
    for (int c = 0; c < 256; c++)
        check_round_trip((char[]){(char)c}, 1);
    for (int i = 0; i < 5000; i++) {
        char in[64];
        size_t n = 0;
        while (n < 40)
            if (random_below(&seed, 4) == 0) {
                in[n++] = (char)random_below(&seed, 256);
            } else {
                const char *piece = pieces[random_below(&seed, i % 2 ? 7 : ROWS(pieces))];
                memcpy(in + n, piece, strlen(piece));
                n += strlen(piece);
            }
        check_round_trip(in, random_below(&seed, (uint32_t)n + 1));
    }
}

/* RFC 4648 section 10, and OpenSSL as the second opinion. */
static void test_base64(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},           {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xBF", "+/+/"},
    };
    struct gw_buf b = {0};
    for (size_t i = 0; i < ROWS(rows); i++) {
        gw_buf_clear(&b);
        gw_buf_add_base64(&b, rows[i][0], strlen(rows[i][0]));
        expect_str(rows[i][0], gw_buf_str(&b), rows[i][1]);
    }
    unsigned char in[200];
    uint32_t seed = 5;
    for (size_t n = 0; n < sizeof(in); n++) {
        unsigned char want[300];
        for (size_t k = 0; k < n; k++)
            in[k] = (unsigned char)random_below(&seed, 256);
        int len = EVP_EncodeBlock(want, in, (int)n);
        gw_buf_clear(&b);
        gw_buf_add_base64(&b, in, n);
        assert_int_equal(b.len, len);
        assert_string_equal(gw_buf_c(&b), (char *)want);
    }
    gw_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),       cmocka_unit_test(test_growing),
        cmocka_unit_test(test_appending),    cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_always_valid), cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
