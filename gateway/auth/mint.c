/* Tokens for development and tests, signed by libjwt: a different hand from the one that verifies.
 *
 * No thread of its own, no state. The gateway itself mints nothing for strangers: `sluice token` and the development
 * page call this. */
#include "auth_private.h"

#include "gw/clock.h"

#include <errno.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#define TTL_S_MAX (INT64_C(100) * 366 * 86400)

/* Strict, so that what is minted here can be read here: libjwt would let the last of two equal keys win. */
static int check_claims(const char *json, struct gw_err *err)
{
    struct gw_str object = gw_object_trim(gw_str_of(json));
    struct gw_err why = {0};

    if (object.p == NULL)
        return gw_err_set(err, "claims: expected a JSON object");
    if (gw_json_scan(object, &gw_claims_opts, NULL, NULL, &why) != 0)
        return gw_err_set(err, "claims: not strict JSON: %s", why.text);
    return 0;
}

static int add_claims(jwt_t *jwt, const char *sub, const char *claims_json, int64_t ttl_s, struct gw_err *err)
{
    int64_t now_s = gw_clock_wall_ms() / 1000;

    if (ttl_s < -TTL_S_MAX || ttl_s > TTL_S_MAX)
        return gw_err_set(err, "time to live: expected at most a hundred years");
    if (jwt_add_grant_int(jwt, "iat", (long)now_s) != 0 || jwt_add_grant_int(jwt, "exp", (long)(now_s + ttl_s)) != 0)
        return gw_err_set(err, "claims cannot be set");
    if (sub != NULL && jwt_add_grant(jwt, "sub", sub) != 0)
        return gw_err_set(err, "sub: expected a text in UTF-8");
    if (claims_json == NULL)
        return 0;
    if (check_claims(claims_json, err) != 0)
        return -1;
    return jwt_add_grants_json(jwt, claims_json) == 0 ? 0 : gw_err_set(err, "claims: numbers too large");
}

/* A passphrase is nobody's to type here. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

/* libjwt signs ES384 with a P-256 key if it is given one; nobody would accept that. */
static int check_private(const struct gw_alg *alg, struct gw_str pem, struct gw_err *err)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    EVP_PKEY *pkey;
    struct gw_err why = {0};
    int rc = 0;

    ERR_set_mark();
    pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (pkey == NULL || (gw_pkey_algs(pkey, &why) & gw_alg_bit(alg)) == 0)
        rc = gw_err_set(err, "cannot sign with %s: expected a PEM private key that fits it, without a passphrase%s%s",
                        alg->name, why.set ? "; " : "", why.text);
    EVP_PKEY_free(pkey);
    ERR_pop_to_mark();
    return rc;
}

/* libjwt copies the key. */
static int set_key(jwt_t *jwt, const struct gw_alg *alg, struct gw_str key, struct gw_err *err)
{
    if (alg->kind == GW_ALG_HS && key.len < GW_SECRET_BYTES_MIN)
        return gw_err_set(err, "a secret needs at least %d bytes, this one has %zu", GW_SECRET_BYTES_MIN, key.len);
    if (alg->kind != GW_ALG_HS && check_private(alg, key, err) != 0)
        return -1;
    if (jwt_set_alg(jwt, jwt_str_alg(alg->name), (const unsigned char *)key.p, (int)key.len) != 0)
        return gw_err_set(err, "the key cannot be used with %s", alg->name);
    return 0;
}

static int read_key(jwt_t *jwt, const struct gw_alg *alg, const char *key_file, struct gw_str secret,
                    struct gw_err *err)
{
    struct gw_buf file;
    struct gw_str key;
    int rc;

    if (key_file == NULL)
        return alg->kind == GW_ALG_HS ? set_key(jwt, alg, secret, err)
                                      : gw_err_set(err, "%s needs a private key file", alg->name);
    gw_buf_init(&file);
    rc = gw_key_file_read(key_file, GW_KEY_FILE_BYTES_MAX, &file, err);
    key = gw_buf_str(&file);
    if (rc == 0)
        rc = set_key(jwt, alg, alg->kind == GW_ALG_HS ? gw_key_secret(key) : key, err);
    gw_key_wipe(&file);
    return rc;
}

static char *encode(jwt_t *jwt, const struct gw_alg *alg, struct gw_err *err)
{
    char *token, *copy = NULL;

    ERR_set_mark();
    token = jwt_encode_str(jwt);
    ERR_pop_to_mark();
    if (token == NULL)
        gw_err_set(err, "cannot sign with %s", alg->name);
    else if (strlen(token) > GW_TOKEN_BYTES_MAX)
        gw_err_set(err, "the token has %zu bytes; at most %d are read", strlen(token), GW_TOKEN_BYTES_MAX);
    else
        copy = gw_strdup(token);
    free(token);
    return copy;
}

char *gw_token_mint(const char *sub, const char *claims_json, int64_t ttl_s, const char *alg, const char *key_file,
                    struct gw_str secret, struct gw_err *err)
{
    const struct gw_alg *a = gw_alg_find(gw_str_of(alg == NULL ? "HS256" : alg));
    char *token = NULL;
    jwt_t *jwt = NULL;

    if (a == NULL) {
        gw_err_set(err, "algorithm \"%s\": expected HS, RS or ES with 256, 384 or 512", alg);
        return NULL;
    }
    if (jwt_new(&jwt) != 0) {
        gw_err_set(err, "cannot make a token: %s", strerror(errno));
        return NULL;
    }
    if (add_claims(jwt, sub, claims_json, ttl_s, err) == 0 && read_key(jwt, a, key_file, secret, err) == 0)
        token = encode(jwt, a, err);
    jwt_free(jwt);
    return token;
}
