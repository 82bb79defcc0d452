/* Tokens: what is accepted, and that each known way to cheat is refused for the right reason. */
#include "auth_private.h"
#include "token_kit.h"

#include "gw/clock.h"
#include "gw/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD "\"sub\":\"u1\",\"exp\":1700000600"

static EVP_PKEY *rsa, *rsa_other, *rsa_small, *ec256, *ec384, *ec521, *ec256k;
static char *secret_file;
static struct gw_verifier *hs; /* one issuer without a name, HS256, no audience, no cache */

static int check(struct gw_verifier *v, const char *token, struct gw_identity **id, struct gw_err *err)
{
    *err = (struct gw_err){0};
    return gw_verifier_check(v, gw_str_of(token), KIT_NOW_MS, id, NULL, err);
}

static void accepts(struct gw_verifier *v, char *token, const char *what)
{
    struct gw_identity *id = NULL;
    struct gw_err err;

    if (check(v, token, &id, &err) != 0)
        fail_msg("%s: refused: %s", what, err.text);
    assert_true(gw_str_is(gw_identity_user(id), "u1"));
    gw_identity_unref(id);
    free(token);
}

static void refuses(struct gw_verifier *v, char *token, const char *why)
{
    struct gw_identity *id = NULL;
    struct gw_err err;

    if (check(v, token, &id, &err) == 0)
        fail_msg("accepted, though: %s", why);
    assert_null(id);
    assert_true(err.set);
    if (strstr(err.text, why) == NULL)
        fail_msg("expected \"%s\", got \"%s\"", why, err.text);
    free(token);
}

static char *hs_token(const char *header, const char *claims)
{
    return kit_token("HS256", NULL, GW_STR(KIT_SECRET), header, claims);
}

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

static void test_claims(void **state)
{
    static const struct {
        const char *claims, *why;
    } rows[] = {
        {"{" GOOD "}", NULL},
        {"\n{\t" GOOD " }\r\n", NULL},
        {"{\"\\u0073ub\":\"\\u00751\",\"exp\":1700000600}", NULL},
        {"{\"sub\":\"u1\",\"exp\":1700000600.75}", NULL},
        {"{\"sub\":\"u1\",\"exp\":1.7000006e9}", NULL},
        {"{\"sub\":\"u1\",\"exp\":17000006000E-1}", NULL},
        {"{\"sub\":\"u1\",\"exp\":0.00017000006e+13}", NULL},
        {"{\"sub\":\"u1\",\"exp\":253402300799}", NULL},
        {"{\"sub\":\"u1\",\"exp\":1699999996}", NULL}, /* 4 s ago, leeway 5 */
        {"{" GOOD ",\"nbf\":1700000005}", NULL},
        {"{" GOOD ",\"nbf\":0}", NULL},
        {"{" GOOD ",\"iat\":1900000000}", NULL},
        {"{" GOOD ",\"aud\":7}", NULL}, /* no audience configured */
        {"{" GOOD ",\"x\":{\"sub\":\"u2\",\"exp\":1}}", NULL},
        {"{\"x\":{\"sub\":\"u2\"},\"y\":[\"sub\"]," GOOD "}", NULL},
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
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *token = hs_token(HS, rows[i].claims);

        if (rows[i].why == NULL)
            accepts(hs, token, rows[i].claims);
        else
            refuses(hs, token, rows[i].why);
    }
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

/* A good token, with the bytes at `at` (from the end where negative) replaced. */
static char *altered(const char *token, long at, const char *with)
{
    char *t = gw_strdup(token);
    size_t n = strlen(t);

    memcpy(t + (at < 0 ? (size_t)((long)n + at) : (size_t)at), with, strlen(with));
    return t;
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

/* Each algorithm with a key of its own, and each of their tokens against each other's verifier. */
static void test_algorithms(void **state)
{
    struct {
        const char *alg;
        EVP_PKEY *key;
    } algs[] = {{"HS256", NULL},  {"HS384", NULL},  {"HS512", NULL},  {"RS256", rsa},   {"RS384", rsa},
                {"RS512", rsa}, {"ES256", ec256}, {"ES384", ec384}, {"ES512", ec521}};
    char header[64];

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        const char *file = algs[i].key == NULL ? secret_file : kit_pem_file("pub.pem", algs[i].key, false);
        struct gw_verifier *v =
            kit_verifier(&(struct kit_issuer){.algorithms = algs[i].alg, .key = file}, 1, 0, NULL);

        assert_non_null(v);
        for (size_t k = 0; k < 9; k++) {
            char *token;

            snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algs[k].alg);
            token = kit_token(algs[k].alg, algs[k].key, GW_STR(KIT_SECRET), header, "{" GOOD "}");
            if (i == k)
                accepts(v, token, algs[i].alg);
            else
                refuses(v, token, "no key for alg");
            /* the header names the alg that is asked for, the signature is made with another */
            snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algs[i].alg);
            token = kit_token(algs[k].alg, algs[k].key, GW_STR(KIT_SECRET), header, "{" GOOD "}");
            if (i == k)
                accepts(v, token, algs[i].alg);
            else
                refuses(v, token, "signature is not right");
        }
        gw_verifier_unref(v);
    }
}

/* CVE-2015-9235 and its kin: the public key's text used as a secret. */
static void test_confusion(void **state)
{
    const char *path = kit_pem_file("pub.pem", rsa, false);
    struct gw_err err = {0};
    struct gw_verifier *v;
    struct gw_buf pem;

    (void)state;
    gw_buf_init(&pem);
    assert_int_equal(gw_key_file_read(path, 65536, &pem, NULL), 0);
    v = kit_verifier(&(struct kit_issuer){.algorithms = "RS256", .key = path}, 1, 0, NULL);
    refuses(v, kit_token("HS256", NULL, gw_buf_str(&pem), HS, "{" GOOD "}"), "no key for alg HS256");
    gw_verifier_unref(v);
    assert_null(kit_verifier(&(struct kit_issuer){.algorithms = "RS256,HS256", .key = path}, 1, 0, &err));
    assert_non_null(strstr(err.text, "algorithms mix HS* with RS* or ES*"));
    err = (struct gw_err){0};
    assert_null(kit_verifier(&(struct kit_issuer){.algorithms = "HS256", .key = path}, 1, 0, &err));
    assert_non_null(strstr(err.text, "need a secret, but the file holds a PEM block"));
    gw_buf_fini(&pem);
}

/* header.claims with a signature of these bytes */
static char *with_signature(const char *header, const void *sig, size_t n)
{
    struct gw_buf out;
    char *t;

    gw_buf_init(&out);
    kit_b64(&out, header, strlen(header));
    gw_buf_add_char(&out, '.');
    kit_b64(&out, "{" GOOD "}", strlen("{" GOOD "}"));
    gw_buf_add_char(&out, '.');
    kit_b64(&out, sig, n);
    t = gw_str_dup(gw_buf_str(&out));
    gw_buf_fini(&out);
    return t;
}

static void test_ec_signatures(void **state)
{
    static const char header[] = "{\"alg\":\"ES256\"}";
    struct gw_verifier *v = kit_verifier(
        &(struct kit_issuer){.algorithms = "ES256", .key = kit_pem_file("ec.pem", ec256, false)}, 1, 0, NULL);
    unsigned char der[200], raw[200] = {0}, order[32];
    char *token = with_signature(header, "", 0);
    BIGNUM *bn = NULL;
    size_t n;

    (void)state;
    token[strlen(token) - 1] = '\0'; /* header.claims */
    n = kit_sign_pkey("ES256", ec256, gw_str_of(token), der, sizeof der);
    free(token);
    refuses(v, with_signature(header, der, n), "signature is not right"); /* DER instead of r||s */
    memcpy(raw, der, n);
    assert_int_equal(kit_der_to_raw(raw, n, 32), 64);
    accepts(v, with_signature(header, raw, 64), "r||s");
    refuses(v, with_signature(header, raw, 63), "signature is not right");
    raw[64] = 0;
    refuses(v, with_signature(header, raw, 65), "signature is not right");
    refuses(v, with_signature(header, raw, 32), "signature is not right");
    memmove(raw + 1, raw, 64);
    raw[0] = 0;
    refuses(v, with_signature(header, raw, 65), "signature is not right");
    memset(raw, 0, sizeof raw); /* CVE-2022-21449 */
    refuses(v, with_signature(header, raw, 64), "signature is not right");
    memset(raw, 0xff, sizeof raw);
    refuses(v, with_signature(header, raw, 64), "signature is not right");
    assert_int_equal(EVP_PKEY_get_bn_param(ec256, OSSL_PKEY_PARAM_EC_ORDER, &bn), 1);
    BN_bn2binpad(bn, order, 32);
    BN_free(bn);
    memcpy(raw, order, 32);
    memcpy(raw + 32, order, 32);
    refuses(v, with_signature(header, raw, 64), "signature is not right");
    refuses(v, kit_token("ES256", ec384, GW_STR(""), header, "{" GOOD "}"), "signature is not right");
    gw_verifier_unref(v);
}

static void test_rsa_signatures(void **state)
{
    static const char header[] = "{\"alg\":\"RS256\"}";
    struct gw_verifier *v = kit_verifier(
        &(struct kit_issuer){.algorithms = "RS256", .key = kit_pem_file("rsa.pem", rsa, false)}, 1, 0, NULL);
    unsigned char raw[300] = {0};

    (void)state;
    refuses(v, kit_token("RS256", rsa_other, GW_STR(""), header, "{" GOOD "}"), "signature is not right");
    refuses(v, with_signature(header, raw, 256), "signature is not right");
    refuses(v, with_signature(header, raw, 255), "signature is not right");
    refuses(v, with_signature(header, raw, 257), "signature is not right");
    raw[255] = 1;
    refuses(v, with_signature(header, raw, 256), "signature is not right");
    gw_verifier_unref(v);
}

static void test_key_files(void **state)
{
    struct {
        const char *algorithms, *file, *why; /* why NULL: fine */
    } rows[] = {
        {"HS256", kit_text_file("s", "0123456789abcdef0123456789abcde"), "at least 32 bytes, this one has 31"},
        {"HS256", kit_text_file("s", "0123456789abcdef0123456789abcde\n"), "at least 32 bytes, this one has 31"},
        {"HS256", kit_text_file("s", "0123456789abcdef0123456789abcdef\r\n"), NULL},
        {"HS256", kit_file("s", "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x20\x21\x22"
                                "\x23\x24\x25\x26\x27\x28\x29\x30\x31\n", 32), NULL},
        {"HS256", kit_text_file("s", ""), "the file is empty"},
        {"HS256", "/nonexistent/secret", "/nonexistent/secret: No such file"},
        {"HS256", "/", "/: Is a directory"},
        {"HS255", kit_text_file("s", KIT_SECRET), "algorithm \"HS255\": expected one of HS256, HS384"},
        {"none", kit_text_file("s", KIT_SECRET), "algorithm \"none\": expected one of"},
        {"", kit_text_file("s", KIT_SECRET), "algorithms: expected at least one"},
        {"RS256", kit_text_file("s", KIT_SECRET), "expected a PEM public key"},
        {"RS256", kit_pem_file("k", rsa_small, false), "at least 2048 bits and at most 16384, this one has 1024"},
        {"RS256", kit_pem_file("k", rsa, true), "holds a private key"},
        {"RS256,RS512", kit_pem_file("k", rsa, false), NULL},
        {"ES256", kit_pem_file("k", rsa, false), "does not fit the algorithms (ES256)"},
        {"RS256", kit_pem_file("k", ec256, false), "does not fit the algorithms (RS256)"},
        {"ES384,ES512", kit_pem_file("k", ec256, false), "does not fit the algorithms (ES384, ES512)"},
        {"ES256", kit_pem_file("k", ec256k, false), "curve \"secp256k1\"; expected P-256"},
        {"RS256,ES256", kit_pem_file("k", ec256, false), NULL},
        {"RS256", kit_text_file("k", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "found something else"},
        {"RS256", kit_text_file("k", "-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\n"), "several PEM blocks"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_err err = {0};
        struct gw_verifier *v =
            kit_verifier(&(struct kit_issuer){.algorithms = rows[i].algorithms, .key = rows[i].file}, 1, 0, &err);

        if ((v != NULL) != (rows[i].why == NULL))
            fail_msg("row %zu: %s", i, err.text);
        if (v == NULL && (strstr(err.text, rows[i].why) == NULL || strstr(err.text, "test.yaml:1: auth.issuers[0]: ") != err.text))
            fail_msg("row %zu: expected \"%s\", got \"%s\"", i, rows[i].why, err.text);
        gw_verifier_unref(v);
    }
}

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
    accepts(v, kit_token("RS256", rsa, GW_STR(""), "{\"alg\":\"RS256\"}", "{" GOOD ",\"iss\":\"https://b/\",\"aud\":\"z\"}"), "b");
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
    char *late = hs_token(HS, "{\"sub\":\"u1\",\"exp\":1600000000}"), *forged = altered(late, -9, late[strlen(late) - 9] == 'A' ? "B" : "A");
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
    char *t[3] = {hs_token(HS, "{" GOOD ",\"n\":0}"), hs_token(HS, "{" GOOD ",\"n\":1}"), hs_token(HS, "{" GOOD ",\"n\":2}")};
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

/* Threads on one verifier: tokens of each kind, a cache so small that they push one another out, claims read meanwhile. */
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

static void test_mint(void **state)
{
    struct {
        const char *alg;
        EVP_PKEY *key;
    } algs[] = {{NULL, NULL},   {"HS384", NULL}, {"HS512", NULL},  {"RS256", rsa},  {"RS384", rsa},
                {"RS512", rsa}, {"ES256", ec256}, {"ES384", ec384}, {"ES512", ec521}};
    struct gw_identity *id;
    struct gw_err err = {0};

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        const char *alg = algs[i].alg == NULL ? "HS256" : algs[i].alg;
        bool asymmetric = algs[i].key != NULL;
        const char *pub = asymmetric ? kit_pem_file("pub", algs[i].key, false) : secret_file;
        const char *priv = asymmetric ? kit_pem_file("priv", algs[i].key, true) : i == 1 ? secret_file : NULL;
        struct gw_verifier *v = kit_verifier(&(struct kit_issuer){.issuer = "me", .algorithms = alg, .key = pub}, 1, 0, NULL);
        char *token = gw_token_mint("u\xc3\xa9", "{\"iss\":\"me\",\"sessions\":[\"42\"]}", 60, algs[i].alg, priv,
                                    GW_STR(KIT_SECRET), &err);

        if (token == NULL)
            fail_msg("%s: %s", alg, err.text);
        if (gw_verifier_check(v, gw_str_of(token), gw_clock_wall_ms(), &id, NULL, &err) != 0)
            fail_msg("%s: %s", alg, err.text);
        assert_true(gw_str_is(gw_identity_user(id), "u\xc3\xa9"));
        assert_true(gw_identity_expires_ms(id) - gw_clock_wall_ms() <= 60000);
        gw_identity_unref(id);
        gw_verifier_unref(v);
        free(token);
    }
}

static void test_mint_refuses(void **state)
{
    const struct gw_str good = GW_STR(KIT_SECRET);
    struct {
        const char *sub, *claims, *alg, *file;
        struct gw_str secret;
        const char *why;
    } rows[] = {
        {"u1", NULL, "none", NULL, good, "algorithm \"none\""},
        {"u1", NULL, NULL, NULL, GW_STR("short"), "at least 32 bytes, this one has 5"},
        {"u1", NULL, "RS256", NULL, good, "RS256 needs a private key file"},
        {"u1", NULL, "RS256", secret_file, good, "expected a PEM private key"},
        {"u1", NULL, "RS256", kit_pem_file("k", ec256, true), good, "expected a PEM private key"},
        {"u1", NULL, "ES384", kit_pem_file("k", ec256, true), good, "expected a PEM private key"},
        {"u1", NULL, NULL, "/nonexistent", good, "No such file"},
        {"u1", "[]", NULL, NULL, good, "claims: expected a JSON object"},
        {"u1", "{", NULL, NULL, good, "claims: not strict JSON"},
        {"u1", "{\"a\":1,\"a\":2}", NULL, NULL, good, "claims: not strict JSON"},
        {"u\xff", NULL, NULL, NULL, good, "sub: expected"},
    };
    struct gw_identity *id;
    char *token;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_err err = {0};

        token = gw_token_mint(rows[i].sub, rows[i].claims, 60, rows[i].alg, rows[i].file, rows[i].secret, &err);
        if (token != NULL || strstr(err.text, rows[i].why) == NULL)
            fail_msg("row %zu: %s", i, err.text);
    }
    token = gw_token_mint("u2", "{\"sub\":\"u1\",\"exp\":1700000600}", 60, NULL, NULL, good, NULL); /* claims win */
    accepts(hs, token, "claims win");
    token = gw_token_mint(NULL, NULL, -60, NULL, NULL, good, NULL);
    assert_non_null(token);
    assert_int_equal(gw_verifier_check(hs, gw_str_of(token), gw_clock_wall_ms() - 120000, &id, NULL, NULL), -1);
    free(token);
}

static int setup(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    rsa_other = EVP_RSA_gen(2048);
    rsa_small = EVP_RSA_gen(1024);
    ec256 = EVP_EC_gen("P-256");
    ec384 = EVP_EC_gen("P-384");
    ec521 = EVP_EC_gen("P-521");
    ec256k = EVP_EC_gen("secp256k1");
    secret_file = kit_text_file("secret", KIT_SECRET "\n");
    hs = kit_verifier(&(struct kit_issuer){.algorithms = "HS256", .key = secret_file}, 1, 0, NULL);
    return hs == NULL || ec256k == NULL || rsa_small == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    EVP_PKEY *keys[] = {rsa, rsa_other, rsa_small, ec256, ec384, ec521, ec256k};

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        EVP_PKEY_free(keys[i]);
    gw_verifier_unref(hs);
    kit_clean();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),        cmocka_unit_test(test_claims),         cmocka_unit_test(test_sub_length),
        cmocka_unit_test(test_form),           cmocka_unit_test(test_size),           cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_confusion),      cmocka_unit_test(test_ec_signatures),  cmocka_unit_test(test_rsa_signatures),
        cmocka_unit_test(test_key_files),      cmocka_unit_test(test_issuers),        cmocka_unit_test(test_kids),
        cmocka_unit_test(test_expired_flag),   cmocka_unit_test(test_cache),          cmocka_unit_test(test_cache_bound),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_base64url),      cmocka_unit_test(test_mint),
        cmocka_unit_test(test_mint_refuses),
    };

    return cmocka_run_group_tests_name("jwt", tests, setup, teardown);
}
