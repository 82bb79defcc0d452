/* Makes keys, tokens good and bad, and configurations for the tests of auth. Signs with OpenSSL by hand, so that a
 * token can be wrong in any way; keys are made anew at each run. One thread. */
#ifndef GW_TOKEN_KIT_H
#define GW_TOKEN_KIT_H

#include "gw/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define KIT_NOW_S INT64_C(1700000000)
#define KIT_NOW_MS (KIT_NOW_S * 1000)
#define KIT_SECRET "0123456789abcdef0123456789abcdef"

static inline void kit_check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "token_kit: %s\n", what);
    abort();
}

static inline void kit_b64(struct gw_buf *out, const void *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *c = p;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)c[i] << 16 | (i + 1 < n ? (uint32_t)c[i + 1] << 8 : 0) | (i + 2 < n ? c[i + 2] : 0u);

        for (unsigned k = 0; k < 4 && k <= n - i; k++)
            gw_buf_add_char(out, digits[bits >> (18 - 6 * k) & 63]);
    }
}

static inline const EVP_MD *kit_md(const char *alg)
{
    return strcmp(alg + 2, "384") == 0 ? EVP_sha384() : strcmp(alg + 2, "512") == 0 ? EVP_sha512() : EVP_sha256();
}

static inline size_t kit_sign_hmac(const char *alg, struct gw_str secret, struct gw_str text, unsigned char *sig)
{
    unsigned n = 0;

    HMAC(kit_md(alg), secret.p, (int)secret.len, (const unsigned char *)text.p, text.len, sig, &n);
    kit_check(n > 0, "HMAC");
    return n;
}

/* For EC this is DER. */
static inline size_t kit_sign_pkey(const char *alg, EVP_PKEY *key, struct gw_str text, unsigned char *sig, size_t max)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    kit_check(EVP_DigestSignInit(ctx, NULL, kit_md(alg), NULL, key) == 1, "sign init");
    kit_check(EVP_DigestSign(ctx, sig, &max, (const unsigned char *)text.p, text.len) == 1, "sign");
    EVP_MD_CTX_free(ctx);
    return max;
}

static inline size_t kit_der_to_raw(unsigned char *sig, size_t n, int coord)
{
    const unsigned char *p = sig;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);
    unsigned char raw[132];

    BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, coord);
    BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + coord, coord);
    ECDSA_SIG_free(s);
    memcpy(sig, raw, (size_t)coord * 2);
    return (size_t)coord * 2;
}

static inline int kit_coord(EVP_PKEY *key)
{
    return (EVP_PKEY_get_bits(key) + 7) / 8;
}

/* Signs `header.claims` (JSON texts, encoded here) the way `alg` asks, whatever the header says. Owned. */
static inline char *kit_token(const char *alg, EVP_PKEY *key, struct gw_str secret, const char *header,
                              const char *claims)
{
    unsigned char sig[2048];
    struct gw_buf out;
    size_t n;
    char *token;

    gw_buf_init(&out);
    kit_b64(&out, header, strlen(header));
    gw_buf_add_char(&out, '.');
    kit_b64(&out, claims, strlen(claims));
    n = alg[0] == 'H' ? kit_sign_hmac(alg, secret, gw_buf_str(&out), sig)
                      : kit_sign_pkey(alg, key, gw_buf_str(&out), sig, sizeof sig);
    if (alg[0] == 'E')
        n = kit_der_to_raw(sig, n, kit_coord(key));
    gw_buf_add_char(&out, '.');
    kit_b64(&out, sig, n);
    token = gw_str_dup(gw_buf_str(&out));
    gw_buf_fini(&out);
    return token;
}

/* Files under a directory of this process; kit_clean removes them. */
static char kit_dir[64];
static char kit_paths[256][160];
static size_t kit_npaths;

static inline char *kit_file(const char *name, const void *bytes, size_t n)
{
    char *path;
    FILE *f;

    if (kit_dir[0] == '\0') {
        memcpy(kit_dir, "/tmp/gw-token-XXXXXX", 21);
        kit_check(mkdtemp(kit_dir) != NULL, "mkdtemp");
    }
    kit_check(kit_npaths < 256, "too many files");
    path = kit_paths[kit_npaths++];
    snprintf(path, sizeof kit_paths[0], "%s/%zu-%s", kit_dir, kit_npaths, name);
    f = fopen(path, "wb");
    kit_check(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "cannot write a file");
    return path;
}

static inline char *kit_text_file(const char *name, const char *text)
{
    return kit_file(name, text, strlen(text));
}

static inline char *kit_pem_file(const char *name, EVP_PKEY *key, bool private_key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p, *path;
    long n;

    kit_check((private_key ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                           : PEM_write_bio_PUBKEY(bio, key)) == 1,
              "PEM");
    n = BIO_get_mem_data(bio, &p);
    path = kit_file(name, p, (size_t)n);
    BIO_free(bio);
    return path;
}

static inline void kit_clean(void)
{
    for (size_t i = 0; i < kit_npaths; i++)
        unlink(kit_paths[i]);
    kit_npaths = 0;
    if (kit_dir[0] != '\0')
        rmdir(kit_dir);
    kit_dir[0] = '\0';
}

/* A list of comma-separated texts. Owned. */
static inline struct gw_cfg_texts kit_texts(const char *list)
{
    struct gw_cfg_texts t = {0};
    struct gw_str rest = gw_str_of(list);

    while (rest.p != NULL && rest.len > 0) {
        const char *comma = memchr(rest.p, ',', rest.len);
        size_t n = comma == NULL ? rest.len : (size_t)(comma - rest.p);

        t.v = gw_realloc(t.v, (t.n + 1) * sizeof *t.v);
        t.v[t.n++] = (struct gw_cfg_text){.text = gw_str_dup((struct gw_str){rest.p, n})};
        n += comma == NULL ? 0 : 1;
        rest = (struct gw_str){rest.p + n, rest.len - n};
    }
    return t;
}

static inline void kit_texts_free(struct gw_cfg_texts *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->v[i].text);
    free(t->v);
}

struct kit_issuer {
    const char *issuer, *audience, *algorithms, *key, *jwks, *kid, *require;
};

/* A verifier of these issuers, leeway 5 s. NULL with err. */
static inline struct gw_verifier *kit_verifier(const struct kit_issuer *issuers, size_t n, int64_t cache,
                                               struct gw_err *err)
{
    struct gw_config cfg = {.auth_leeway_s = 5, .auth_cache_entries = cache, .nissuers = n};
    struct gw_cfg_issuer list[8] = {0};
    struct gw_verifier *v;
    char at[8][96];

    cfg.issuers = list;
    for (size_t i = 0; i < n; i++) {
        snprintf(at[i], sizeof at[i], "test.yaml:%zu: auth.issuers[%zu]", i + 1, i);
        list[i] = (struct gw_cfg_issuer){
            .issuer = gw_strdup(issuers[i].issuer), .audience = kit_texts(issuers[i].audience),
            .algorithms = kit_texts(issuers[i].algorithms), .key = gw_strdup(issuers[i].key),
            .jwks = gw_strdup(issuers[i].jwks), .kid = gw_strdup(issuers[i].kid),
            .require = kit_texts(issuers[i].require), .at = at[i]};
    }
    v = gw_verifier_new(&cfg, err);
    for (size_t i = 0; i < n; i++) {
        kit_texts_free(&list[i].audience);
        kit_texts_free(&list[i].algorithms);
        kit_texts_free(&list[i].require);
        free(list[i].issuer);
        free(list[i].key);
        free(list[i].jwks);
        free(list[i].kid);
    }
    return v;
}

/* "{"kty":...}" of a public key; extra: further members, each with a comma before it. Owned. */
static inline char *kit_jwk(EVP_PKEY *key, const char *extra)
{
    static const char *const names[2][2] = {{OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E},
                                            {OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y}};
    bool ec = EVP_PKEY_is_a(key, "EC") == 1;
    unsigned char bytes[2][2048];
    struct gw_buf out;
    char *text;

    gw_buf_init(&out);
    gw_buf_addf(&out, ec ? "{\"kty\":\"EC\",\"crv\":\"P-%d\"" : "{\"kty\":\"RSA\"", EVP_PKEY_get_bits(key));
    for (int i = 0; i < 2; i++) {
        BIGNUM *bn = NULL;
        int n;

        kit_check(EVP_PKEY_get_bn_param(key, names[ec][i], &bn) == 1, "key numbers");
        n = ec ? kit_coord(key) : BN_num_bytes(bn);
        BN_bn2binpad(bn, bytes[i], n);
        BN_free(bn);
        gw_buf_addf(&out, ",\"%s\":\"", ec ? (i == 0 ? "x" : "y") : (i == 0 ? "n" : "e"));
        kit_b64(&out, bytes[i], (size_t)n);
        gw_buf_add_char(&out, '"');
    }
    gw_buf_addf(&out, "%s}", extra);
    text = gw_str_dup(gw_buf_str(&out));
    gw_buf_fini(&out);
    return text;
}

#endif
