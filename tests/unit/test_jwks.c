/* JWK sets: what is taken, what is passed over, and which key a token gets. */
#include "../../gateway/auth/auth_private.h"
#include "token_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GOOD "{\"sub\":\"u1\",\"exp\":1700000600,\"iss\":\"i\"}"
#define ALL_RS_ES (gw_alg_kind_bits(GW_ALG_RS) | gw_alg_kind_bits(GW_ALG_ES))

static EVP_PKEY *rsa, *rsa_small, *ec256, *ec384, *ec521;

static unsigned bit(const char *alg)
{
    return gw_alg_bit(gw_alg_find(gw_str_of(alg)));
}

static int load(struct gw_keys *keys, const char *json, unsigned algs, struct gw_err *err)
{
    *err = (struct gw_err){0};
    return gw_keys_add_jwks(keys, gw_str_of(json), algs, "test", err);
}

/* A set of one key, loaded alone: its algorithms, or 0 with err. */
static unsigned load_one(const char *jwk, unsigned algs, struct gw_err *err)
{
    struct gw_keys keys = {0};
    struct gw_buf set;
    unsigned got = 0;

    gw_buf_init(&set);
    gw_buf_addf(&set, "{\"keys\":[%s]}", jwk);
    if (load(&keys, gw_buf_c(&set), algs, err) == 0) {
        assert_int_equal(keys.n, 1);
        got = keys.v[0].algs;
    } else {
        assert_int_equal(keys.n, 0);
        assert_true(err->set);
    }
    gw_keys_fini(&keys);
    gw_buf_fini(&set);
    return got;
}

static void test_kinds(void **state)
{
    struct {
        EVP_PKEY *key;
        const char *extra;
        unsigned algs; /* the issuer's */
        unsigned want;
        const char *why; /* where want is 0 */
    } rows[] = {
        {rsa, "", ALL_RS_ES, gw_alg_kind_bits(GW_ALG_RS), NULL},
        {rsa, "", bit("RS256"), bit("RS256"), NULL},
        {rsa, ",\"alg\":\"RS384\",\"use\":\"sig\",\"kid\":\"k\"", ALL_RS_ES, bit("RS384"), NULL},
        {rsa, ",\"key_ops\":[\"sign\",\"verify\"],\"x5c\":[\"AAAA\"],\"unheard\":{\"of\":1}", ALL_RS_ES,
         gw_alg_kind_bits(GW_ALG_RS), NULL},
        {rsa, ",\"d\":\"AAAA\"", ALL_RS_ES, gw_alg_kind_bits(GW_ALG_RS), NULL},
        {ec256, "", ALL_RS_ES, bit("ES256"), NULL},
        {ec384, "", ALL_RS_ES, bit("ES384"), NULL},
        {ec521, "", ALL_RS_ES, bit("ES512"), NULL},
        {ec256, ",\"alg\":\"ES256\"", ALL_RS_ES, bit("ES256"), NULL},
        {ec256, ",\"alg\":\"ES384\"", ALL_RS_ES, 0, "does not fit the algorithms (ES384)"},
        {ec256, ",\"alg\":\"RS256\"", ALL_RS_ES, 0, "kty EC fits none"},
        {rsa, ",\"alg\":\"HS256\"", ALL_RS_ES | bit("HS256"), 0, "kty RSA fits none"},
        {rsa, ",\"alg\":\"RS512\"", bit("RS256"), 0, "alg is not among"},
        {rsa, ",\"alg\":\"RSA-OAEP\"", ALL_RS_ES, 0, "alg is not among"},
        {rsa, ",\"alg\":7", ALL_RS_ES, 0, "alg is not among"},
        {rsa, ",\"use\":\"enc\"", ALL_RS_ES, 0, "use is not \"sig\""},
        {rsa, ",\"use\":null", ALL_RS_ES, 0, "use is not \"sig\""},
        {rsa, ",\"key_ops\":[\"encrypt\"]", ALL_RS_ES, 0, "key_ops lack"},
        {rsa, ",\"key_ops\":\"verify\"", ALL_RS_ES, 0, "key_ops lack"},
        {rsa, ",\"kid\":\"\"", ALL_RS_ES, 0, "kid: expected"},
        {rsa, ",\"kid\":1", ALL_RS_ES, 0, "kid: expected"},
        {rsa, "", bit("ES256"), 0, "kty RSA fits none"},
        {rsa_small, "", ALL_RS_ES, 0, "at least 2048 bits"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *jwk = kit_jwk(rows[i].key, rows[i].extra);
        struct gw_err err;
        unsigned got = load_one(jwk, rows[i].algs, &err);

        if (got != rows[i].want || (got == 0 && strstr(err.text, rows[i].why) == NULL))
            fail_msg("row %zu: 0x%x: %s", i, got, err.text);
        free(jwk);
    }
}

/* A member's text of a JWK replaced. Owned. */
static char *with_member(EVP_PKEY *key, const char *name, const char *value)
{
    char *jwk = kit_jwk(key, ""), *at, search[16];
    struct gw_buf out;

    snprintf(search, sizeof search, "\"%s\":\"", name);
    at = strstr(jwk, search);
    assert_non_null(at);
    at += strlen(search);
    gw_buf_init(&out);
    gw_buf_add(&out, jwk, (size_t)(at - jwk));
    gw_buf_add_c(&out, value);
    gw_buf_add_c(&out, at + strcspn(at, "\""));
    free(jwk);
    jwk = gw_str_dup(gw_buf_str(&out));
    gw_buf_fini(&out);
    return jwk;
}

static void test_bad_numbers(void **state)
{
    static const char x43[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"; /* 32 zero bytes */
    struct {
        EVP_PKEY *key;
        const char *name, *value, *why;
    } rows[] = {
        {rsa, "e", "AQ", "exponent is unsound"},   /* 1: every signature would be right */
        {rsa, "e", "Ag", "exponent is unsound"},   /* 2 */
        {rsa, "e", "AQAA", "exponent is unsound"}, /* even */
        {rsa, "e", "AA", ""},
        {rsa, "e", "", "e: expected base64url"},
        {rsa, "e", "AQAB=", "e: expected base64url"},
        {rsa, "n", "AQAB", "at least 2048 bits"},
        {rsa, "n", "A+/=", "n: expected base64url"},
        {rsa, "kty", "rsa", "kty: expected RSA, EC or oct"},
        {rsa, "kty", "OKP", "kty: expected RSA, EC or oct"},
        {rsa, "kty", "EC", "crv: expected P-256"},
        {ec256, "kty", "RSA", "n: expected base64url"},
        {ec256, "kty", "oct", "kty oct fits none"},
        {ec256, "crv", "P-384", "x: expected 48 bytes"},
        {ec256, "crv", "secp256k1", "crv: expected P-256"},
        {ec256, "crv", "prime256v1", "crv: expected P-256"},
        {ec256, "crv", "Ed25519", "crv: expected P-256"},
        {ec256, "x", x43, "no point of the curve"},
        {ec256, "y", x43, "no point of the curve"},
        {ec256, "x", "AA", "x: expected 32 bytes"},
        {ec256, "y", "AA", "y: expected 32 bytes"},
        {ec256, "y", "", "y: expected base64url"},
        {ec384, "crv", "P-256", "x: expected 32 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *jwk = with_member(rows[i].key, rows[i].name, rows[i].value);
        struct gw_err err;

        if (load_one(jwk, ALL_RS_ES, &err) != 0 || strstr(err.text, rows[i].why) == NULL)
            fail_msg("row %zu: %s", i, err.text);
        free(jwk);
    }
}

static void test_secrets(void **state)
{
    struct gw_err err;

    (void)state;
    assert_int_equal(load_one("{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}",
                              bit("HS256") | bit("RS256"), &err), bit("HS256"));
    assert_int_equal(load_one("{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZg\"}", bit("HS256"), &err), 0);
    assert_non_null(strstr(err.text, "at least 32 bytes, this one has 16"));
    assert_int_equal(load_one("{\"kty\":\"oct\"}", bit("HS256"), &err), 0);
    assert_non_null(strstr(err.text, "k: expected base64url"));
}

static void test_sets(void **state)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"", "expected a JWK set"},
        {"[]", "expected a JWK set"},
        {"null", "expected a JWK set"},
        {"{}", "an array \"keys\""},
        {"{\"keys\":{}}", "an array \"keys\""},
        {"{\"keys\":null}", "an array \"keys\""},
        {"{\"keys\":[]}", "no usable key among 0"},
        {"{\"keys\":[1,null,\"x\",[]]}", "no usable key among 4; of the last: expected an object"},
        {"{\"keys\":[{}]}", "kty: expected RSA, EC or oct"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"EC\"}]}", "not strict JSON"},
        {"{\"keys\":[],\"keys\":[]}", "not strict JSON"},
        {"{\"keys\":[]", "not strict JSON"},
        {"{\"keys\":[]}x", ""},
    };
    struct gw_keys keys = {0};
    struct gw_err err;
    struct gw_buf many;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(load(&keys, rows[i].json, ALL_RS_ES, &err), -1);
        if (strstr(err.text, rows[i].why) == NULL)
            fail_msg("row %zu: %s", i, err.text);
    }
    gw_buf_init(&many);
    gw_buf_add_c(&many, "{\"keys\":[{}");
    for (int i = 0; i < GW_JWKS_KEYS_MAX; i++)
        gw_buf_add_c(&many, ",{}");
    gw_buf_add_c(&many, "]}");
    assert_int_equal(load(&keys, gw_buf_c(&many), ALL_RS_ES, &err), -1);
    assert_string_equal(err.text, "more than 128 keys");
    gw_buf_fini(&many);
    gw_keys_fini(&keys);
}

/* RFC 7517 appendix A.1 and RFC 7518 appendix: keys that others made. */
static void test_published(void **state)
{
    static const char set[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
        "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"use\":\"enc\",\"kid\":\"1\"},"
        "{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
        "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJ"
        "ZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-"
        "csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}]}";
    struct gw_keys keys = {0};
    struct gw_err err;

    (void)state;
    assert_int_equal(load(&keys, set, ALL_RS_ES, &err), 0); /* the first is for encryption */
    assert_int_equal(keys.n, 1);
    assert_string_equal(keys.v[0].kid, "2011-04-29");
    assert_int_equal(keys.v[0].algs, bit("RS256"));
    assert_int_equal(EVP_PKEY_get_bits(keys.v[0].pkey), 2048);
    gw_keys_fini(&keys);
}

static void expect(struct gw_verifier *v, char *token, const char *why)
{
    struct gw_identity *id = NULL;
    struct gw_err err = {0};
    int rc = gw_verifier_check(v, gw_str_of(token), KIT_NOW_MS, &id, NULL, &err);

    if ((rc == 0) != (why == NULL) || (rc != 0 && strstr(err.text, why) == NULL))
        fail_msg("expected %s, got %s", why == NULL ? "acceptance" : why, err.text);
    gw_identity_unref(id);
    free(token);
}

static struct gw_verifier *verifier_of(const char *const *jwks, size_t n, const char *algorithms)
{
    struct gw_err err = {0};
    struct gw_verifier *v;
    struct gw_buf set;

    gw_buf_init(&set);
    gw_buf_add_c(&set, " {\"keys\":[");
    for (size_t i = 0; i < n; i++)
        gw_buf_addf(&set, "%s%s", i == 0 ? "" : ",", jwks[i]);
    gw_buf_add_c(&set, "],\"more\":true}\n");
    v = kit_verifier(&(struct kit_issuer){.issuer = "i", .algorithms = algorithms,
                                          .jwks = kit_text_file("jwks.json", gw_buf_c(&set))}, 1, 0, &err);
    if (v == NULL)
        fail_msg("%s", err.text);
    gw_buf_fini(&set);
    return v;
}

static void test_choice(void **state)
{
    static const char okp[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}";
    char *a = kit_jwk(rsa, ",\"kid\":\"a\""), *b = kit_jwk(ec256, ",\"kid\":\"b\",\"use\":\"sig\"");
    char *c = kit_jwk(ec384, "");
    struct gw_verifier *v = verifier_of((const char *[]){a, b, c, okp}, 4, "RS256,ES256,ES384");

    (void)state;
    expect(v, kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\",\"kid\":\"a\"}", GOOD), NULL);
    expect(v, kit_token("ES256", ec256, GW_STR(""), "{\"alg\":\"ES256\",\"kid\":\"b\"}", GOOD), NULL);
    expect(v, kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\"}", GOOD), NULL); /* the only one that fits */
    expect(v, kit_token("ES384", ec384, GW_STR(""), "{\"alg\":\"ES384\"}", GOOD), NULL);
    expect(v, kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\",\"kid\":\"c\"}", GOOD), "no key for kid \"c\"");
    expect(v, kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\",\"kid\":\"b\"}", GOOD),
           "no key for kid \"b\" with alg RS256");
    expect(v, kit_token("ES256", ec256, GW_STR(""), "{\"alg\":\"ES256\",\"kid\":\"a\"}", GOOD),
           "no key for kid \"a\" with alg ES256");
    expect(v, kit_token("RS512", rsa, GW_STR(""), "{\"alg\":\"RS512\",\"kid\":\"a\"}", GOOD),
           "no key for kid \"a\" with alg RS512");
    /* a key without a kid is not for tokens that name one */
    expect(v, kit_token("ES384", ec384, GW_STR(""), "{\"alg\":\"ES384\",\"kid\":\"x\"}", GOOD), "no key for kid \"x\"");
    expect(v, kit_token("ES384", ec256, GW_STR(""), "{\"alg\":\"ES384\"}", GOOD), "signature is not right");
    gw_verifier_unref(v);
    free(a);
    a = kit_jwk(rsa, ",\"kid\":\"b\""); /* one kid for two kinds: the alg tells them apart */
    v = verifier_of((const char *[]){a, b}, 2, "RS256,ES256");
    expect(v, kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\",\"kid\":\"b\"}", GOOD), NULL);
    expect(v, kit_token("ES256", ec256, GW_STR(""), "{\"alg\":\"ES256\",\"kid\":\"b\"}", GOOD), NULL);
    gw_verifier_unref(v);
    v = verifier_of((const char *[]){b, b}, 2, "ES256");
    expect(v, kit_token("ES256", ec256, GW_STR(""), "{\"alg\":\"ES256\",\"kid\":\"b\"}", GOOD), "several keys fit");
    expect(v, kit_token("ES256", ec256, GW_STR(""), "{\"alg\":\"ES256\"}", GOOD), "several keys fit");
    gw_verifier_unref(v);
    free(a);
    free(b);
    free(c);
}

static void test_files(void **state)
{
    static char big[GW_JWKS_BYTES_MAX + 2];
    struct {
        const char *file, *why;
    } rows[] = {
        {"/nonexistent/jwks.json", "/nonexistent/jwks.json: No such file"},
        {kit_text_file("j", ""), "expected a JWK set"},
        {NULL, "larger than 262144 bytes"},
    };

    (void)state;
    memset(big, ' ', sizeof big - 1);
    rows[2].file = kit_text_file("j", big);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_err err = {0};

        assert_null(kit_verifier(&(struct kit_issuer){.algorithms = "RS256", .jwks = rows[i].file}, 1, 0, &err));
        if (strstr(err.text, rows[i].why) == NULL || strncmp(err.text, "test.yaml:1: ", 13) != 0)
            fail_msg("row %zu: %s", i, err.text);
    }
}

static int setup(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    rsa_small = EVP_RSA_gen(1024);
    ec256 = EVP_EC_gen("P-256");
    ec384 = EVP_EC_gen("P-384");
    ec521 = EVP_EC_gen("P-521");
    return rsa == NULL || rsa_small == NULL || ec521 == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(rsa_small);
    EVP_PKEY_free(ec256);
    EVP_PKEY_free(ec384);
    EVP_PKEY_free(ec521);
    kit_clean();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds), cmocka_unit_test(test_bad_numbers), cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_sets),  cmocka_unit_test(test_published),   cmocka_unit_test(test_choice),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests_name("jwks", tests, setup, teardown);
}
