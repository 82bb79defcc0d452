/* Keys: each algorithm against each, signatures that are wrong in form, key files that are refused, and minting. */
#include "../../gateway/auth/auth_private.h"
#include "token_expect.h"

#include "gw/clock.h"

static EVP_PKEY *rsa, *rsa_other, *rsa_small, *ec256, *ec384, *ec521, *ec256k;
static char *secret_file;
static struct gw_verifier *hs; /* one issuer without a name, HS256, no audience, no cache */

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
        if (v == NULL && (strstr(err.text, rows[i].why) == NULL ||
                          strstr(err.text, "test.yaml:1: auth.issuers[0]: ") != err.text))
            fail_msg("row %zu: expected \"%s\", got \"%s\"", i, rows[i].why, err.text);
        gw_verifier_unref(v);
    }
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
        struct gw_verifier *v =
            kit_verifier(&(struct kit_issuer){.issuer = "me", .algorithms = alg, .key = pub}, 1, 0, NULL);
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
        cmocka_unit_test(test_algorithms),     cmocka_unit_test(test_confusion), cmocka_unit_test(test_ec_signatures),
        cmocka_unit_test(test_rsa_signatures), cmocka_unit_test(test_key_files), cmocka_unit_test(test_mint),
        cmocka_unit_test(test_mint_refuses),
    };

    return cmocka_run_group_tests_name("jwt_keys", tests, setup, teardown);
}
