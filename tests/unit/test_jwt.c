/* Tokens: what is accepted, and that each known way to cheat is refused for the right reason. Signatures and key files
 * are test_jwt_keys.c's, the choice of issuer and key and the cache are test_verifier.c's. */
#include "../../gateway/auth/auth_private.h"
#include "token_expect.h"

static struct gw_verifier *hs; /* one issuer without a name, HS256, no audience, no cache */

static void test_headers(void **state)
{
    static const struct {
        const char *header, *why; /* why NULL: accepted */
    } rows[] = {
        {HS, NULL},
        {"{\"alg\":\"HS256\"}", NULL},
        {" {\"alg\" : \"HS256\"}\n", NULL},
        {"{\"\\u0061lg\":\"HS25\\u0036\"}", NULL},
        {"{\"alg\":\"HS256\",\"typ\":\"jwt\"}", NULL},
        {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", NULL},
        {"{\"alg\":\"HS256\",\"typ\":\"application/at+JWT\"}", NULL},
        {"{\"alg\":\"HS256\",\"kid\":\"any\"}", NULL},
        {"{\"alg\":\"HS256\",\"jku\":\"https://evil.example/keys\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", NULL},
        {"{\"alg\":\"HS256\",\"typ\":\"logout+jwt\"}", "typ: expected"},
        {"{\"alg\":\"HS256\",\"typ\":7}", "typ: expected"},
        {"{\"alg\":\"HS256\",\"typ\":\"application/\"}", "typ: expected"},
        {"{\"alg\":\"none\"}", "alg \"none\" is not supported"},
        {"{\"alg\":\"None\"}", "alg \"None\" is not supported"},
        {"{\"alg\":\"hs256\"}", "alg \"hs256\" is not supported"},
        {"{\"alg\":\"\"}", "alg \"\" is not supported"},
        {"{\"alg\":\"PS256\"}", "alg \"PS256\" is not supported"},
        {"{\"alg\":\"HS256\\u0000\"}", "alg: expected a string"},
        {"{\"alg\":null}", "alg: expected a string"},
        {"{\"alg\":[\"HS256\"]}", "alg: expected a string"},
        {"{\"typ\":\"JWT\"}", "alg: expected a string"},
        {"{}", "alg: expected a string"},
        {"{\"alg\":\"HS384\"}", "no key for alg HS384"},
        {"{\"alg\":\"RS256\",\"kid\":\"a\\\"\\u0007b\"}", "no key for kid \"a??b\" with alg RS256"},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "not strict JSON"},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", "not strict JSON"},
        {"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", "not strict JSON"},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", "kid: expected"},
        {"{\"alg\":\"HS256\",\"kid\":7}", "kid: expected"},
        {"{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}", "kid: expected"},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", "crit is not supported"},
        {"{\"alg\":\"HS256\",\"crit\":null}", "crit is not supported"},
        {"{\"alg\":\"HS256\",\"crit\":[]}", "crit is not supported"},
        {"{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", "crit is not supported"},
        {"{\"alg\":\"HS256\",\"b64\":false}", "b64 is not supported"},
        {"{\"alg\":\"HS256\"} x", "header: "},
        {"{\"alg\":\"HS256\",}", "not strict JSON"},
        {"{'alg':'HS256'}", "not strict JSON"},
        {"[\"HS256\"]", "header: expected a JSON object"},
        {"\"HS256\"", "header: expected a JSON object"},
        {"\xef\xbb\xbf{\"alg\":\"HS256\"}", "header: expected a JSON object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *token = hs_token(rows[i].header, "{" GOOD "}");

        if (rows[i].why == NULL)
            accepts(hs, token, rows[i].header);
        else
            refuses(hs, token, rows[i].why);
    }
}

struct claims_row {
    const char *claims, *why; /* why NULL: accepted */
};

static void check_claims(const struct claims_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *token = hs_token(HS, rows[i].claims);

        if (rows[i].why == NULL)
            accepts(hs, token, rows[i].claims);
        else
            refuses(hs, token, rows[i].why);
    }
}

static void test_times(void **state)
{
    static const struct claims_row rows[] = {
        {"{\"sub\":\"u1\",\"exp\":1700000600.75}", NULL},
        {"{\"sub\":\"u1\",\"exp\":1.7000006e9}", NULL},
        {"{\"sub\":\"u1\",\"exp\":17000006000E-1}", NULL},
        {"{\"sub\":\"u1\",\"exp\":0.00017000006e+13}", NULL},
        {"{\"sub\":\"u1\",\"exp\":253402300799}", NULL},
        {"{\"sub\":\"u1\",\"exp\":1699999996}", NULL}, /* 4 s ago, leeway 5 */
        {"{" GOOD ",\"nbf\":1700000005}", NULL},
        {"{" GOOD ",\"nbf\":0}", NULL},
        {"{" GOOD ",\"iat\":1900000000}", NULL},
        {"{" GOOD ",\"x\":{\"sub\":\"u2\",\"exp\":1}}", NULL},
        {"{\"sub\":\"u1\"}", "claim exp is missing"},
        {"{\"sub\":\"u1\",\"x\":{\"exp\":1700000600}}", "claim exp is missing"},
        {"{\"sub\":\"u1\",\"exp\":1699999995}", "token expired 5 s ago"},
        {"{\"sub\":\"u1\",\"exp\":1699999995.999}", "token expired 5 s ago"},
        {"{\"sub\":\"u1\",\"exp\":0}", "token expired 1700000000 s ago"},
        {"{\"sub\":\"u1\",\"exp\":0e999999999}", "token expired 1700000000 s ago"},
        {"{\"sub\":\"u1\",\"exp\":17e-5}", "token expired 1700000000 s ago"},
        {"{\"sub\":\"u1\",\"exp\":-1}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":253402300800}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":18446744073709551616}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":9999999999999999999999999999999999999}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":1e400}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":1e99999999999999999999}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":\"1700000600\"}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":null}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":true}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":[1700000600]}", "claim exp: expected a number"},
        {"{\"sub\":\"u1\",\"exp\":NaN}", "not strict JSON"},
        {"{\"sub\":\"u1\",\"exp\":Infinity}", "not strict JSON"},
        {"{\"sub\":\"u1\",\"exp\":01700000600}", "not strict JSON"},
        {"{" GOOD ",\"nbf\":1700000006}", "claim nbf: token is not valid before 6 s from now"},
        {"{" GOOD ",\"nbf\":\"0\"}", "claim nbf: expected a number"},
        {"{" GOOD ",\"iat\":\"yesterday\"}", "claim iat: expected a number"},
    };

    (void)state;
    check_claims(rows, sizeof rows / sizeof *rows);
}

static void test_claims(void **state)
{
    static const struct claims_row rows[] = {
        {"{" GOOD "}", NULL},
        {"\n{\t" GOOD " }\r\n", NULL},
        {"{\"\\u0073ub\":\"\\u00751\",\"exp\":1700000600}", NULL},
        {"{" GOOD ",\"aud\":7}", NULL}, /* no audience configured */
        {"{\"x\":{\"sub\":\"u2\"},\"y\":[\"sub\"]," GOOD "}", NULL},
        {"{\"exp\":1700000600}", "claim sub is missing"},
        {"{\"sub\":\"\",\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":1,\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":null,\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":[\"u1\"],\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":\"u 1\",\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":\"u1\\n\",\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":\"u1\\u0000\",\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":\"u1\\u202e\",\"exp\":1700000600}", "claim sub: expected"},
        {"{\"sub\":\"u1\",\"sub\":\"u2\",\"exp\":1700000600}", "not strict JSON"},
        {"{\"sub\":\"u1\",\"s\\u0075b\":\"u2\",\"exp\":1700000600}", "not strict JSON"},
        {"{" GOOD ",\"x\":{\"a\":1,\"a\":2}}", "not strict JSON"},
        {"{" GOOD ",\"x\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}", "not strict JSON"},
        {"{" GOOD ",\"x\":\"\xff\"}", "not strict JSON"},
        {"{" GOOD "}{}", "claims: "},
        {"{" GOOD "", "not strict JSON"},
        {"[" GOOD "]", "claims: expected a JSON object"},
        {"\"u1\"", "claims: expected a JSON object"},
        {"null", "claims: expected a JSON object"},
        {"42", "claims: expected a JSON object"},
        {" ", "claims: expected a JSON object"},
        {"eyJhbGciOiJub25lIn0.e30.", "claims: expected a JSON object"}, /* a token in the token */
    };

    (void)state;
    check_claims(rows, sizeof rows / sizeof *rows);
}

static void test_sub_length(void **state)
{
    char sub[GW_USER_BYTES_MAX + 2], claims[400];
    struct gw_identity *id;
    struct gw_err err;
    char *token;

    (void)state;
    memset(sub, 'x', sizeof sub);
    snprintf(claims, sizeof claims, "{\"sub\":\"%.*s\",\"exp\":1700000600}", GW_USER_BYTES_MAX, sub);
    token = hs_token(HS, claims);
    assert_int_equal(check(hs, token, &id, &err), 0);
    assert_int_equal(gw_identity_user(id).len, GW_USER_BYTES_MAX);
    assert_true(gw_identity_expires_ms(id) == INT64_C(1700000600000));
    gw_identity_unref(id);
    free(token);
    snprintf(claims, sizeof claims, "{\"sub\":\"%.*s\",\"exp\":1700000600}", GW_USER_BYTES_MAX + 1, sub);
    refuses(hs, hs_token(HS, claims), "claim sub: expected a string of 1 to 128 bytes");
}

static char *joined(const char *a, size_t a_len, const char *b)
{
    struct gw_buf out;
    char *t;

    gw_buf_init(&out);
    gw_buf_add(&out, a, a_len);
    gw_buf_add_c(&out, b);
    t = gw_str_dup(gw_buf_str(&out));
    gw_buf_fini(&out);
    return t;
}

static void test_form(void **state)
{
    char *good = hs_token(HS, "{" GOOD "}");
    size_t n = strlen(good), first = strcspn(good, "."), second = first + 1 + strcspn(good + first + 1, ".");
    char spare[2] = {0};

    (void)state;
    accepts(hs, gw_strdup(good), "good");
    refuses(hs, gw_strdup(""), "token is empty");
    refuses(hs, gw_strdup("x"), "token has 1 segments");
    refuses(hs, gw_strdup(".."), "not signed");
    refuses(hs, gw_strdup("..x"), "header: expected base64url");
    refuses(hs, joined(good, second, ""), "token has 2 segments");
    refuses(hs, joined(good, second, "."), "not signed");
    refuses(hs, joined(good, n, "."), "token has 4 segments");
    refuses(hs, joined(good, n, ".x.y"), "encrypted");
    refuses(hs, joined(good, n, "="), "signature: expected base64url");
    refuses(hs, joined(good, n, "=="), "signature: expected base64url");
    refuses(hs, joined(good, n, "\n"), "signature: expected base64url");
    refuses(hs, joined(good, n, " "), "signature: expected base64url");
    refuses(hs, joined(good, n, "A"), "signature");
    refuses(hs, joined(good, n, "AA"), "signature");
    refuses(hs, joined(good, n - 1, ""), "signature");
    refuses(hs, joined(good, n - 4, ""), "signature is not right");
    refuses(hs, joined(good, second, ".A"), "signature: expected base64url");
    refuses(hs, joined(good, second, ".AAAA"), "signature is not right");
    refuses(hs, joined(" ", 1, good), "header: expected base64url");
    refuses(hs, joined("", 0, good + first), "header: expected base64url");
    refuses(hs, altered(good, -2, "+"), "signature: expected base64url");
    refuses(hs, altered(good, -2, "/"), "signature: expected base64url");
    refuses(hs, altered(good, -2, "\xff"), "signature: expected base64url");
    refuses(hs, altered(good, -9, good[n - 9] == 'A' ? "B" : "A"), "signature is not right");
    refuses(hs, altered(good, (long)first + 5, "!"), "claims: expected base64url");
    /* a digest of 32 bytes leaves four bits over in the last digit: 16 spellings for libraries that do not look */
    spare[0] = (char)(good[n - 1] + 1);
    refuses(hs, altered(good, -1, spare), "signature");
    free(good);
}

static void test_size(void **state)
{
    static char claims[GW_TOKEN_BYTES_MAX];
    struct gw_buf big;
    char *token = NULL;
    int pad = 6000;

    (void)state;
    do { /* as long as it may be */
        free(token);
        snprintf(claims, sizeof claims, "{" GOOD ",\"pad\":\"%*s\"}", ++pad, "");
        token = hs_token(HS, claims);
    } while (strlen(token) < GW_TOKEN_BYTES_MAX);
    assert_int_equal(strlen(token), GW_TOKEN_BYTES_MAX);
    accepts(hs, token, "8 KiB");
    snprintf(claims, sizeof claims, "{" GOOD ",\"pad\":\"%*s\"}", pad + 1, "");
    refuses(hs, hs_token(HS, claims), "at most 8192 are read");
    gw_buf_init(&big);
    for (int i = 0; i < 100; i++)
        gw_buf_addf(&big, "%1000s", "");
    refuses(hs, gw_str_dup(gw_buf_str(&big)), "token has 100000 bytes");
    gw_buf_fini(&big);
}

static void test_base64url(void **state)
{
    static const struct {
        const char *text, *bytes; /* NULL: refused */
    } rows[] = {
        {"", ""},          {"Zg", "f"},       {"Zm8", "fo"},     {"Zm9v", "foo"},  {"Zm9vYg", "foob"}, {"_-8", "\xff\xef"},
        {"Zg==", NULL},    {"Zh", NULL},      {"Zm9", NULL},     {"Z", NULL},      {"Zm9vY", NULL},    {"Zm 9v", NULL},
        {"Zm9v\n", NULL},  {"/+8", NULL},     {"Zm.v", NULL},    {"=", NULL},      {"\xc3\xa9xx", NULL},
    };
    struct gw_buf out;

    (void)state;
    gw_buf_init(&out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gw_buf_clear(&out);
        gw_buf_add_c(&out, "<");
        if (gw_base64url_decode(gw_str_of(rows[i].text), &out) != (rows[i].bytes == NULL ? -1 : 0))
            fail_msg("%s", rows[i].text);
        assert_string_equal(gw_buf_c(&out) + 1, rows[i].bytes == NULL ? "" : rows[i].bytes);
    }
    gw_buf_fini(&out);
}

static int setup(void **state)
{
    (void)state;
    hs = kit_verifier(&(struct kit_issuer){.algorithms = "HS256", .key = kit_text_file("secret", KIT_SECRET "\n")}, 1,
                      0, NULL);
    return hs == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_verifier_unref(hs);
    kit_clean();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers), cmocka_unit_test(test_times), cmocka_unit_test(test_claims),
        cmocka_unit_test(test_sub_length), cmocka_unit_test(test_form), cmocka_unit_test(test_size),
        cmocka_unit_test(test_base64url),
    };

    return cmocka_run_group_tests_name("jwt", tests, setup, teardown);
}
