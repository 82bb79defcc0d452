/* JWK sets (RFC 7517, RFC 7518 section 6) to keys.
 *
 * A set is the issuer's, and may hold what is none of our business: keys for encryption, of other kinds, on other
 * curves. Those are skipped and logged; a set that leaves nothing is an error. Private parts are not read. No threads,
 * no network: the text is given. */
#include "auth_private.h"

#include "gw/log.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

static const struct gw_json_opts jwks_opts = {.depth_max = 8, .unique_keys = true};

/* A base64url member, decoded. */
static int get_bytes(struct gw_str jwk, const char *name, struct gw_buf *out, struct gw_err *err)
{
    struct gw_json_val v;
    struct gw_str text;
    struct gw_buf scratch;
    int rc;

    gw_buf_init(&scratch);
    gw_object_get(jwk, gw_str_of(name), &v);
    rc = v.type == GW_JSON_STRING && gw_claims_text(&v, &scratch, &text) && text.len > 0 &&
                 gw_base64url_decode(text, out) == 0
             ? 0
             : gw_err_set(err, "%s: expected base64url without padding", name);
    gw_key_wipe(&scratch);
    return rc;
}

static EVP_PKEY *make_pkey(const char *kind, OSSL_PARAM_BLD *bld)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    EVP_PKEY *pkey = NULL;

    if (params != NULL && ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static int read_rsa(struct gw_str jwk, struct gw_key *key, struct gw_err *err)
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    struct gw_buf n, e;
    BIGNUM *bn_n = NULL, *bn_e = NULL;

    gw_buf_init(&n);
    gw_buf_init(&e);
    if (get_bytes(jwk, "n", &n, err) == 0 && get_bytes(jwk, "e", &e, err) == 0) {
        bn_n = BN_bin2bn((const unsigned char *)n.data, (int)n.len, NULL);
        bn_e = BN_bin2bn((const unsigned char *)e.data, (int)e.len, NULL);
    }
    if (bld != NULL && bn_n != NULL && bn_e != NULL &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn_n) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bn_e) == 1)
        key->pkey = make_pkey("RSA", bld);
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn_n);
    BN_free(bn_e);
    gw_buf_fini(&n);
    gw_buf_fini(&e);
    return key->pkey != NULL ? 0 : gw_err_set(err, "n and e are no RSA key");
}

/* 04 || x || y, each of the full length (RFC 7518 section 6.2.1.2). */
static int read_point(struct gw_str jwk, const struct gw_alg *es, struct gw_buf *point, struct gw_err *err)
{
    gw_buf_add_char(point, 4);
    if (get_bytes(jwk, "x", point, err) != 0)
        return -1;
    if (point->len != 1 + es->coord_bytes)
        return gw_err_set(err, "x: expected %zu bytes", es->coord_bytes);
    if (get_bytes(jwk, "y", point, err) != 0)
        return -1;
    if (point->len != 1 + 2 * es->coord_bytes)
        return gw_err_set(err, "y: expected %zu bytes", es->coord_bytes);
    return 0;
}

static int read_ec(struct gw_str jwk, struct gw_key *key, struct gw_err *err)
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    struct gw_json_val crv;
    const struct gw_alg *es = NULL;
    struct gw_buf point;

    gw_object_get(jwk, GW_STR("crv"), &crv);
    if (crv.type == GW_JSON_STRING)
        es = gw_alg_of_curve(NULL, (struct gw_str){crv.raw.p + 1, crv.raw.len - 2});
    gw_buf_init(&point);
    if (es == NULL)
        gw_err_set(err, "crv: expected P-256, P-384 or P-521");
    else if (read_point(jwk, es, &point, err) == 0 && bld != NULL &&
             OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, es->group, 0) == 1 &&
             OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) == 1)
        key->pkey = make_pkey("EC", bld);
    OSSL_PARAM_BLD_free(bld);
    gw_buf_fini(&point);
    return key->pkey != NULL ? 0 : gw_err_set(err, "x and y are no point of the curve");
}

static int read_oct(struct gw_str jwk, struct gw_key *key, struct gw_err *err)
{
    struct gw_buf k;
    int rc;

    gw_buf_init(&k);
    rc = get_bytes(jwk, "k", &k, err);
    if (rc == 0) {
        key->secret = gw_alloc(k.len + 1);
        memcpy(key->secret, k.data, k.len);
        key->secret_len = k.len;
    }
    gw_key_wipe(&k);
    return rc;
}

static bool lists_verify(struct gw_str ops)
{
    struct gw_json_val v;
    struct gw_str none;
    size_t pos = 0;
    bool escaped;

    while (gw_json_next(ops, &pos, &none, &escaped, &v))
        if (v.type == GW_JSON_STRING && gw_str_is(v.raw, "\"verify\""))
            return true;
    return false;
}

/* `use`, `key_ops` and `alg` (RFC 7517 sections 4.2 to 4.4): what the key is not meant for, it is not used for. */
static int read_purpose(struct gw_str jwk, unsigned *algs, struct gw_err *err)
{
    struct gw_json_val v;
    const struct gw_alg *alg;

    if (gw_object_get(jwk, GW_STR("use"), &v) && !gw_claims_has(jwk, "use", GW_STR("sig")))
        return gw_err_set(err, "its use is not \"sig\"");
    if (gw_object_get(jwk, GW_STR("key_ops"), &v) && (v.type != GW_JSON_ARRAY || !lists_verify(v.raw)))
        return gw_err_set(err, "its key_ops lack \"verify\"");
    if (!gw_object_get(jwk, GW_STR("alg"), &v))
        return 0;
    alg = v.type == GW_JSON_STRING ? gw_alg_find((struct gw_str){v.raw.p + 1, v.raw.len - 2}) : NULL;
    *algs &= alg == NULL ? 0 : gw_alg_bit(alg);
    return *algs != 0 ? 0 : gw_err_set(err, "its alg is not among the issuer's algorithms");
}

static int read_kid(struct gw_str jwk, char **kid, struct gw_err *err)
{
    struct gw_json_val v;
    struct gw_buf text;
    int rc = 0;

    if (!gw_object_get(jwk, GW_STR("kid"), &v))
        return 0;
    gw_buf_init(&text);
    if (v.type != GW_JSON_STRING || gw_json_text(&v, &text) != 0 || text.len == 0 || text.len > GW_KID_BYTES_MAX)
        rc = gw_err_set(err, "kid: expected a string of 1 to %d bytes", GW_KID_BYTES_MAX);
    else
        *kid = gw_str_dup(gw_buf_str(&text));
    gw_buf_fini(&text);
    return rc;
}

static int read_numbers(struct gw_str jwk, struct gw_key *key, struct gw_err *err)
{
    static const struct {
        struct gw_str kty;
        enum gw_alg_kind kind;
        int (*read)(struct gw_str jwk, struct gw_key *key, struct gw_err *err);
    } kinds[] = {
        {{"RSA", 3}, GW_ALG_RS, read_rsa}, {{"EC", 2}, GW_ALG_ES, read_ec}, {{"oct", 3}, GW_ALG_HS, read_oct}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!gw_claims_has(jwk, "kty", kinds[i].kty))
            continue;
        key->algs &= gw_alg_kind_bits(kinds[i].kind);
        if (key->algs == 0)
            return gw_err_set(err, "its kty %s fits none of the issuer's algorithms", kinds[i].kty.p);
        return kinds[i].read(jwk, key, err);
    }
    return gw_err_set(err, "kty: expected RSA, EC or oct");
}

static int add_jwk(struct gw_keys *keys, const struct gw_json_val *v, unsigned algs, struct gw_err *err)
{
    struct gw_key key = {.algs = algs};

    if (v->type != GW_JSON_OBJECT)
        return gw_err_set(err, "expected an object");
    if (read_purpose(v->raw, &key.algs, err) == 0 && read_kid(v->raw, &key.kid, err) == 0 &&
        read_numbers(v->raw, &key, err) == 0)
        return gw_keys_add(keys, key, err);
    gw_key_fini(&key);
    return -1;
}

static int add_all(struct gw_keys *keys, struct gw_str list, unsigned algs, const char *source, struct gw_err *err)
{
    size_t pos = 0, seen = 0, before = keys->n;
    struct gw_err why = {0};
    struct gw_json_val v;
    struct gw_str none;
    bool escaped;

    for (; gw_json_next(list, &pos, &none, &escaped, &v); seen++) {
        if (seen == GW_JWKS_KEYS_MAX)
            return gw_err_set(err, "more than %d keys", GW_JWKS_KEYS_MAX);
        why = (struct gw_err){0};
        if (add_jwk(keys, &v, algs, &why) != 0)
            GW_LOG(GW_LOG_WARN, "jwks.key.skipped", GW_KS("source", source), GW_KI("index", seen),
                   GW_KS("reason", why.text));
    }
    if (keys->n > before)
        return 0;
    return gw_err_set(err, "no usable key among %zu%s%s", seen, why.set ? "; of the last: " : "", why.text);
}

int gw_keys_add_jwks(struct gw_keys *keys, struct gw_str json, unsigned algs, const char *source, struct gw_err *err)
{
    struct gw_str set = gw_object_trim(json);
    struct gw_err why = {0};
    struct gw_json_val list;
    int rc;

    if (set.p == NULL)
        return gw_err_set(err, "expected a JWK set, an object with \"keys\"");
    if (gw_json_scan(set, &jwks_opts, NULL, NULL, &why) != 0)
        return gw_err_set(err, "not strict JSON: %s", why.text);
    gw_object_get(set, GW_STR("keys"), &list);
    if (list.type != GW_JSON_ARRAY)
        return gw_err_set(err, "expected a JWK set, an object with an array \"keys\"");
    ERR_set_mark();
    rc = add_all(keys, list.raw, algs, source, err);
    ERR_pop_to_mark();
    return rc;
}
