/* The verdict on a token: which issuer's, which of its keys, is it signed, are its claims in force.
 *
 * Any thread: what is built at load never changes, and the cache has its own lock. Nothing of the claims but `iss` is
 * looked at before the signature is right, so that a stranger learns nothing about what a good token would hold. */
#include "auth_private.h"

#include "gw/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

struct issuer {
    char *name; /* owned; expected `iss`, or NULL */
    struct gw_claims_want want; /* its texts owned */
    struct gw_keys keys;
};

struct gw_verifier {
    _Atomic uint32_t refs;
    struct issuer *issuers; /* [const] */
    size_t n;
    struct gw_token_cache *cache;
};

static char **copy_texts(const struct gw_cfg_texts *texts)
{
    char **v = gw_alloc((texts->n + 1) * sizeof *v);

    for (size_t i = 0; i < texts->n; i++)
        v[i] = gw_strdup(texts->v[i].text);
    return v;
}

static void free_texts(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i]);
    free(v);
}

static int read_algs(const struct gw_cfg_issuer *cfg, unsigned *algs, struct gw_err *err)
{
    for (size_t i = 0; i < cfg->algorithms.n; i++) {
        const struct gw_alg *alg = gw_alg_find(gw_str_of(cfg->algorithms.v[i].text));
        struct gw_buf names;

        if (alg != NULL) {
            *algs |= gw_alg_bit(alg);
            continue;
        }
        gw_buf_init(&names);
        gw_alg_names(~0u, &names);
        gw_err_set(err, "algorithm \"%s\": expected one of %s", cfg->algorithms.v[i].text, gw_buf_c(&names));
        gw_buf_fini(&names);
        return -1;
    }
    return *algs != 0 ? 0 : gw_err_set(err, "algorithms: expected at least one");
}

static int load_jwks(struct gw_keys *keys, const char *path, unsigned algs, struct gw_err *err)
{
    struct gw_err why = {0};
    struct gw_buf file;
    int rc;

    gw_buf_init(&file);
    rc = gw_key_file_read(path, GW_JWKS_BYTES_MAX, &file, err);
    if (rc == 0 && gw_keys_add_jwks(keys, gw_buf_str(&file), algs, path, &why) != 0)
        rc = gw_err_set(err, "%s: %s", path, why.text);
    gw_key_wipe(&file); /* it may hold secrets (oct) */
    return rc;
}

static int issuer_init(struct issuer *is, const struct gw_cfg_issuer *cfg, const struct gw_config *all,
                       struct gw_err *err)
{
    unsigned algs = 0;

    is->name = gw_strdup(cfg->issuer);
    is->want = (struct gw_claims_want){
        .audience = copy_texts(&cfg->audience),
        .naudience = cfg->audience.n,
        .require = copy_texts(&cfg->require),
        .nrequire = cfg->require.n,
        .leeway_ms = all->auth_leeway_s * 1000,
    };
    if (cfg->issuer == NULL && all->nissuers > 1)
        return gw_err_set(err, "issuer is missing; only a sole issuer may leave it out");
    if ((cfg->key == NULL) == (cfg->jwks == NULL))
        return gw_err_set(err, "expected either key or jwks");
    if (read_algs(cfg, &algs, err) != 0)
        return -1;
    if (cfg->key != NULL)
        return gw_keys_add_file(&is->keys, cfg->key, cfg->kid, algs, err);
    return load_jwks(&is->keys, cfg->jwks, algs, err);
}

struct gw_verifier *gw_verifier_new(const struct gw_config *cfg, struct gw_err *err)
{
    struct gw_verifier *v = gw_alloc(sizeof *v);
    struct gw_err why = {0};

    atomic_init(&v->refs, 1);
    v->issuers = gw_alloc((cfg->nissuers + 1) * sizeof *v->issuers);
    while (v->n < cfg->nissuers && !why.set) {
        const struct gw_cfg_issuer *issuer = &cfg->issuers[v->n];

        if (issuer_init(&v->issuers[v->n++], issuer, cfg, &why) != 0)
            gw_err_prefix(&why, "%s", issuer->at == NULL ? "auth.issuers" : issuer->at);
    }
    if (why.set) {
        gw_err_set(err, "%s", why.text);
        gw_verifier_unref(v);
        return NULL;
    }
    v->cache = gw_token_cache_new((size_t)cfg->auth_cache_entries);
    return v;
}

struct gw_verifier *gw_verifier_ref(struct gw_verifier *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void gw_verifier_unref(struct gw_verifier *v)
{
    if (v == NULL || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < v->n; i++) {
        struct issuer *is = &v->issuers[i];

        free(is->name);
        free_texts(is->want.audience, is->want.naudience);
        free_texts(is->want.require, is->want.nrequire);
        gw_keys_fini(&is->keys);
    }
    free(v->issuers);
    gw_token_cache_free(v->cache);
    free(v);
}

static bool is_from(const struct issuer *is, const struct gw_jwt *jwt)
{
    return is->name == NULL || gw_claims_has(jwt->claims_object, "iss", gw_str_of(is->name));
}

/* The key to check with, and whose it is. A key of the token's kid goes before a key file without one. */
struct choice {
    const struct issuer *issuer;
    const struct gw_key *key;
    size_t same_kid, other; /* how many would do */
};

static void consider(struct choice *c, const struct issuer *is, const struct gw_key *key, const struct gw_jwt *jwt)
{
    bool same = jwt->has_kid && key->kid != NULL && gw_str_is(gw_buf_str(&jwt->kid), key->kid);

    if ((key->algs & gw_alg_bit(jwt->alg)) == 0 || (jwt->has_kid && !same && !key->any_kid))
        return;
    if (same ? c->same_kid++ == 0 : c->same_kid == 0 && c->other == 0) {
        c->issuer = is;
        c->key = key;
    }
    c->other += same ? 0 : 1;
}

static int no_key(const struct gw_jwt *jwt, struct gw_err *err)
{
    char kid[80];

    if (!jwt->has_kid)
        return gw_err_set(err, "no key for alg %s", jwt->alg->name);
    return gw_err_set(err, "no key for kid \"%s\" with alg %s", gw_quote(gw_buf_str(&jwt->kid), kid), jwt->alg->name);
}

static int choose(const struct gw_verifier *v, const struct gw_jwt *jwt, struct choice *c, struct gw_err *err)
{
    bool known = false;

    for (size_t i = 0; i < v->n; i++) {
        const struct issuer *is = &v->issuers[i];

        if (!is_from(is, jwt))
            continue;
        known = true;
        for (size_t k = 0; k < is->keys.n; k++)
            consider(c, is, &is->keys.v[k], jwt);
    }
    if (!known && v->n == 1)
        return gw_err_set(err, "claim iss: expected \"%s\"", v->issuers[0].name);
    if (!known)
        return gw_err_set(err, "claim iss: %s",
                          v->n == 0 ? "no issuer is accepted here" : "not one of the issuers accepted here");
    if (c->key == NULL)
        return no_key(jwt, err);
    if (c->same_kid > 1 || (c->same_kid == 0 && c->other > 1))
        return gw_err_set(err, "several keys fit alg %s; expected a kid in the token's header that names one",
                          jwt->alg->name);
    return 0;
}

static struct gw_identity *check_parsed(const struct gw_verifier *v, const struct gw_jwt *jwt, int64_t now_ms,
                                        int64_t *until_ms, bool *expired, struct gw_err *err)
{
    struct choice c = {0};
    int64_t exp_ms = 0;

    if (choose(v, jwt, &c, err) != 0)
        return NULL;
    if (gw_key_verify(c.key, jwt->alg, jwt->signed_text, gw_buf_str(&jwt->signature)) != 0) {
        gw_err_set(err, "signature is not right for the issuer's key");
        return NULL;
    }
    if (gw_claims_check(jwt->claims_object, &c.issuer->want, now_ms, &exp_ms, expired, err) != 0)
        return NULL;
    *until_ms = exp_ms + c.issuer->want.leeway_ms;
    return gw_identity_new(jwt->claims_object, exp_ms, err);
}

static struct gw_identity *check_new(struct gw_verifier *v, struct gw_str token, const unsigned char *digest,
                                     int64_t now_ms, bool *expired, struct gw_err *err)
{
    struct gw_identity *id = NULL;
    struct gw_jwt jwt;
    int64_t until_ms = 0;

    if (gw_jwt_parse(&jwt, token, err) == 0)
        id = check_parsed(v, &jwt, now_ms, &until_ms, expired, err);
    if (id != NULL && digest != NULL)
        gw_token_cache_put(v->cache, digest, id, until_ms);
    gw_jwt_fini(&jwt);
    return id;
}

/* true where a token can be in the cache at all */
static bool digest_of(const struct gw_verifier *v, struct gw_str token, unsigned char digest[GW_DIGEST_BYTES])
{
    return v->cache != NULL && token.p != NULL && token.len <= GW_TOKEN_BYTES_MAX &&
           EVP_Digest(token.p, token.len, digest, NULL, EVP_sha256(), NULL) == 1;
}

int gw_verifier_check(struct gw_verifier *v, struct gw_str token, int64_t now_ms, struct gw_identity **out,
                      bool *expired, struct gw_err *err)
{
    unsigned char digest[GW_DIGEST_BYTES];
    bool cacheable = digest_of(v, token, digest), late = false;

    *out = cacheable ? gw_token_cache_get(v->cache, digest, now_ms) : NULL;
    if (*out != NULL) {
        gw_metric_add(GW_M_TOKEN_CACHED, 1);
    } else {
        *out = check_new(v, token, cacheable ? digest : NULL, now_ms, &late, err);
        gw_metric_add(*out != NULL ? GW_M_TOKEN_OK : late ? GW_M_TOKEN_EXPIRED : GW_M_TOKEN_REFUSED, 1);
    }
    if (expired != NULL)
        *expired = late;
    return *out != NULL ? 0 : -1;
}
