/* The verifier: which issuer and which key a token gets, the flag of expiry, the cache of verdicts, many threads. */
#include "../../gateway/auth/auth_private.h"
#include "token_expect.h"

#include "gw/metrics.h"

#include <pthread.h>

static EVP_PKEY *rsa, *ec256;
static char *secret_file;
static struct gw_verifier *hs; /* one issuer without a name, HS256, no audience, no cache */

static void test_issuers(void **state)
{
    const char *pem = kit_pem_file("rsa.pem", rsa, false);
    const struct kit_issuer two[] = {
        {.issuer = "https://a/", .audience = "web,app", .algorithms = "HS256", .key = secret_file, .require = "tenant,x.y"},
        {.issuer = "https://b/", .algorithms = "RS256", .key = pem},
    };
    struct gw_verifier *v = kit_verifier(two, 2, 0, NULL);
    struct gw_err err = {0};
    static const struct {
        const char *claims, *why;
    } rows[] = {
        {"{" GOOD ",\"iss\":\"https://a/\",\"aud\":\"web\",\"tenant\":1,\"x\":{\"y\":false}}", NULL},
        {"{" GOOD ",\"iss\":\"https:\\/\\/a\\/\",\"aud\":[\"x\",\"app\"],\"tenant\":1,\"x.y\":0}", NULL},
        {"{" GOOD ",\"iss\":\"https://a/\",\"aud\":\"web\",\"tenant\":null,\"x\":{\"y\":1}}", "claim tenant is missing"},
        {"{" GOOD ",\"iss\":\"https://a/\",\"aud\":\"web\",\"tenant\":1,\"x\":{}}", "claim x.y is missing"},
        {"{" GOOD ",\"iss\":\"https://a/\",\"aud\":\"webx\"}", "claim aud: expected \"web\" or another"},
        {"{" GOOD ",\"iss\":\"https://a/\",\"aud\":[]}", "claim aud: expected"},
        {"{" GOOD ",\"iss\":\"https://a/\",\"aud\":[\"web\",1]}", "claim aud: expected"},
        {"{" GOOD ",\"iss\":\"https://a/\",\"aud\":{\"web\":1}}", "claim aud: expected"},
        {"{" GOOD ",\"iss\":\"https://a/\"}", "claim aud: expected"},
        {"{" GOOD ",\"iss\":\"https://b/\"}", "no key for alg HS256"}, /* a's key, b's name */
        {"{" GOOD ",\"iss\":\"https://a\"}", "claim iss: not one of the issuers accepted here"},
        {"{" GOOD ",\"iss\":[\"https://a/\"]}", "claim iss: not one of"},
        {"{" GOOD "}", "claim iss: not one of"},
    };

    (void)state;
    assert_non_null(v);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].why == NULL)
            accepts(v, hs_token(HS, rows[i].claims), rows[i].claims);
        else
            refuses(v, hs_token(HS, rows[i].claims), rows[i].why);
    }
    accepts(v, kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\"}",
                         "{" GOOD ",\"iss\":\"https://b/\",\"aud\":\"z\"}"), "b");
    gw_verifier_unref(v);
    v = kit_verifier(two, 1, 0, NULL);
    refuses(v, hs_token(HS, "{" GOOD ",\"iss\":\"https://b/\"}"), "claim iss: expected \"https://a/\"");
    gw_verifier_unref(v);
    v = kit_verifier(two, 0, 0, NULL);
    refuses(v, hs_token(HS, "{" GOOD "}"), "no issuer is accepted here");
    gw_verifier_unref(v);
    assert_null(kit_verifier((struct kit_issuer[]){two[1], {.algorithms = "HS256", .key = secret_file}}, 2, 0, &err));
    assert_string_equal(err.text, "test.yaml:2: auth.issuers[1]: issuer is missing; only a sole issuer may leave it out");
    err = (struct gw_err){0};
    assert_null(kit_verifier(&(struct kit_issuer){.algorithms = "HS256"}, 1, 0, &err));
    assert_non_null(strstr(err.text, "expected either key or jwks"));
}

/* Two key files of one issuer: an old key and a new one. */
static void test_kids(void **state)
{
    const char *other = kit_text_file("s", "ffffffffffffffffffffffffffffffff");
    struct kit_issuer is[] = {
        {.issuer = "i", .algorithms = "HS256", .key = secret_file, .kid = "old"},
        {.issuer = "i", .algorithms = "HS256", .key = other, .kid = "new"},
    };
    static const char claims[] = "{" GOOD ",\"iss\":\"i\"}";
    struct gw_verifier *v = kit_verifier(is, 2, 0, NULL);

    (void)state;
    accepts(v, hs_token("{\"alg\":\"HS256\",\"kid\":\"old\"}", claims), "old");
    refuses(v, hs_token("{\"alg\":\"HS256\",\"kid\":\"new\"}", claims), "signature is not right");
    refuses(v, hs_token("{\"alg\":\"HS256\",\"kid\":\"newer\"}", claims), "no key for kid \"newer\" with alg HS256");
    refuses(v, hs_token(HS, claims), "several keys fit alg HS256");
    gw_verifier_unref(v);
    is[0].kid = NULL; /* takes any kid but one that is another key's */
    v = kit_verifier(is, 2, 0, NULL);
    accepts(v, hs_token("{\"alg\":\"HS256\",\"kid\":\"old\"}", claims), "any");
    refuses(v, hs_token("{\"alg\":\"HS256\",\"kid\":\"new\"}", claims), "signature is not right");
    gw_verifier_unref(v);
    is[1].kid = NULL;
    v = kit_verifier(is, 2, 0, NULL);
    refuses(v, hs_token("{\"alg\":\"HS256\",\"kid\":\"old\"}", claims), "several keys fit");
    gw_verifier_unref(v);
}

static void test_expired_flag(void **state)
{
    struct gw_identity *id = NULL;
    char *late = hs_token(HS, "{\"sub\":\"u1\",\"exp\":1600000000}");
    char *forged = altered(late, -9, late[strlen(late) - 9] == 'A' ? "B" : "A");
    bool expired = false;

    (void)state;
    assert_int_equal(gw_verifier_check(hs, gw_str_of(late), KIT_NOW_MS, &id, &expired, NULL), -1);
    assert_true(expired);
    assert_int_equal(gw_verifier_check(hs, gw_str_of(forged), KIT_NOW_MS, &id, &expired, NULL), -1);
    assert_false(expired);
    assert_int_equal(gw_verifier_check(hs, gw_str_of(late), INT64_C(1599999999000), &id, &expired, NULL), 0);
    assert_false(expired);
    gw_identity_unref(id);
    free(late);
    free(forged);
}

static void test_cache(void **state)
{
    struct gw_verifier *v = kit_verifier(&(struct kit_issuer){.algorithms = "HS256", .key = secret_file}, 1, 2, NULL);
    int64_t cached = gw_metric_sum(GW_M_TOKEN_CACHED), ok = gw_metric_sum(GW_M_TOKEN_OK);
    int64_t refused = gw_metric_sum(GW_M_TOKEN_REFUSED), late = gw_metric_sum(GW_M_TOKEN_EXPIRED);
    char *t[3] = {hs_token(HS, "{" GOOD ",\"n\":0}"), hs_token(HS, "{" GOOD ",\"n\":1}"),
                  hs_token(HS, "{" GOOD ",\"n\":2}")};
    static const int order[] = {0, 0, 1, 0, 2, 0, 1}; /* 2 pushes 1 out, for 0 was used after it */
    struct gw_identity *id, *first = NULL;
    struct gw_err err;

    (void)state;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        assert_int_equal(check(v, t[order[i]], &id, &err), 0);
        if (first == NULL)
            first = gw_identity_ref(id);
        assert_int_equal(id == first, order[i] == 0);
        gw_identity_unref(id);
    }
    assert_int_equal(gw_metric_sum(GW_M_TOKEN_CACHED) - cached, 3);
    assert_int_equal(gw_metric_sum(GW_M_TOKEN_OK) - ok, 4);
    /* until exp and leeway, not longer */
    assert_int_equal(gw_verifier_check(v, gw_str_of(t[0]), INT64_C(1700000604999), &id, NULL, NULL), 0);
    assert_ptr_equal(id, first);
    gw_identity_unref(id);
    assert_int_equal(gw_verifier_check(v, gw_str_of(t[0]), INT64_C(1700000605000), &id, NULL, NULL), -1);
    assert_int_equal(gw_metric_sum(GW_M_TOKEN_EXPIRED) - late, 1);
    /* a refusal is not kept, and a token is the same only byte for byte */
    refuses(v, altered(t[0], -9, t[0][strlen(t[0]) - 9] == 'A' ? "B" : "A"), "signature is not right");
    assert_int_equal(gw_metric_sum(GW_M_TOKEN_REFUSED) - refused, 1);
    gw_verifier_unref(v);
    assert_true(gw_str_is(gw_identity_user(first), "u1")); /* outlives the verifier */
    gw_identity_unref(first);
    for (int i = 0; i < 3; i++)
        free(t[i]);
}

/* Threads on one verifier: tokens of each kind, a cache so small that they push one another out, claims read
 * meanwhile. */
struct crowd {
    struct gw_verifier *v;
    char *tokens[3];
    _Atomic int accepted;
};

static bool count_text(struct gw_str text, void *arg)
{
    size_t *bytes = arg;

    *bytes += text.len;
    return true;
}

static void *check_many(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < 60; i++) {
        struct gw_identity *id = NULL;
        size_t bytes = 0;

        if (gw_verifier_check(c->v, gw_str_of(c->tokens[i % 3]), KIT_NOW_MS, &id, NULL, NULL) == 0 &&
            gw_identity_claim(id, "s", count_text, &bytes) == 2 && bytes == 4)
            c->accepted++;
        gw_identity_unref(id);
    }
    gw_verifier_unref(c->v);
    return NULL;
}

static void test_threads(void **state)
{
    static const char claims[] = "{" GOOD ",\"iss\":\"i\",\"s\":[\"\\u0061b\",\"cd\"]}";
    const struct kit_issuer is[] = {
        {.issuer = "i", .algorithms = "HS256", .key = secret_file},
        {.issuer = "i", .algorithms = "RS256", .key = kit_pem_file("r", rsa, false)},
        {.issuer = "i", .algorithms = "ES256", .key = kit_pem_file("e", ec256, false)},
    };
    struct crowd c = {.v = kit_verifier(is, 3, 2, NULL)};
    pthread_t threads[4];

    (void)state;
    c.tokens[0] = hs_token(HS, claims);
    c.tokens[1] = kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\"}", claims);
    c.tokens[2] = kit_token("ES256", ec256, GW_STR(""), "{\"alg\":\"ES256\"}", claims);
    for (size_t i = 0; i < 4; i++) {
        gw_verifier_ref(c.v);
        assert_int_equal(pthread_create(&threads[i], NULL, check_many, &c), 0);
    }
    gw_verifier_unref(c.v);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(c.accepted, 4 * 60);
    for (size_t i = 0; i < 3; i++)
        free(c.tokens[i]);
}

static void test_cache_bound(void **state)
{
    struct gw_token_cache *c = gw_token_cache_new(3);
    struct gw_identity *id = gw_identity_new(GW_STR("{\"sub\":\"u1\"}"), 1000, NULL), *got;
    unsigned char digest[GW_DIGEST_BYTES] = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        digest[0] = (unsigned char)(i % 50);
        gw_token_cache_put(c, digest, id, 1000);
        gw_token_cache_put(c, digest, id, 1000);
        assert_int_equal(gw_token_cache_len(c), i < 3 ? i + 1 : 3);
    }
    got = gw_token_cache_get(c, digest, 999);
    assert_ptr_equal(got, id);
    gw_identity_unref(got);
    assert_null(gw_token_cache_get(c, digest, 1000));
    assert_int_equal(gw_token_cache_len(c), 2);
    gw_token_cache_free(c);
    gw_identity_unref(id);
    assert_null(gw_token_cache_new(0));
    assert_null(gw_token_cache_get(NULL, digest, 0));
}

static int setup(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    ec256 = EVP_EC_gen("P-256");
    secret_file = kit_text_file("secret", KIT_SECRET "\n");
    hs = kit_verifier(&(struct kit_issuer){.algorithms = "HS256", .key = secret_file}, 1, 0, NULL);
    return hs == NULL || ec256 == NULL || rsa == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec256);
    gw_verifier_unref(hs);
    kit_clean();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_issuers), cmocka_unit_test(test_kids),        cmocka_unit_test(test_expired_flag),
        cmocka_unit_test(test_cache),   cmocka_unit_test(test_cache_bound), cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests_name("verifier", tests, setup, teardown);
}
