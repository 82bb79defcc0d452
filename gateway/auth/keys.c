/* Keys and what they may be used for: an algorithm is bound to a key when it is loaded, never by a token (RFC 8725
 * section 3.1), and a signature is checked with OpenSSL on a key that is parsed once.
 *
 * Keys are immutable after loading; any thread may verify with them. JWK sets are jwks.c's. */
#include "auth_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

static const struct gw_alg algs_known[] = {
    {"HS256", GW_ALG_HS, EVP_sha256, NULL, NULL, 0},
    {"HS384", GW_ALG_HS, EVP_sha384, NULL, NULL, 0},
    {"HS512", GW_ALG_HS, EVP_sha512, NULL, NULL, 0},
    {"RS256", GW_ALG_RS, EVP_sha256, NULL, NULL, 0},
    {"RS384", GW_ALG_RS, EVP_sha384, NULL, NULL, 0},
    {"RS512", GW_ALG_RS, EVP_sha512, NULL, NULL, 0},
    {"ES256", GW_ALG_ES, EVP_sha256, "prime256v1", "P-256", 32},
    {"ES384", GW_ALG_ES, EVP_sha384, "secp384r1", "P-384", 48},
    {"ES512", GW_ALG_ES, EVP_sha512, "secp521r1", "P-521", 66},
};
#define NALGS (sizeof algs_known / sizeof *algs_known)

const struct gw_alg *gw_alg_find(struct gw_str name)
{
    for (size_t i = 0; i < NALGS; i++)
        if (gw_str_is(name, algs_known[i].name))
            return &algs_known[i];
    return NULL;
}

unsigned gw_alg_bit(const struct gw_alg *alg)
{
    return 1u << (alg - algs_known);
}

unsigned gw_alg_kind_bits(enum gw_alg_kind kind)
{
    unsigned bits = 0;

    for (size_t i = 0; i < NALGS; i++)
        bits |= algs_known[i].kind == kind ? 1u << i : 0;
    return bits;
}

const struct gw_alg *gw_alg_of_curve(const char *group, struct gw_str crv)
{
    for (size_t i = 0; i < NALGS; i++) {
        const struct gw_alg *a = &algs_known[i];

        if (a->kind == GW_ALG_ES &&
            ((group != NULL && strcmp(group, a->group) == 0) || (crv.p != NULL && gw_str_is(crv, a->crv))))
            return a;
    }
    return NULL;
}

void gw_alg_names(unsigned algs, struct gw_buf *out)
{
    for (size_t i = 0; i < NALGS; i++) {
        if ((algs & 1u << i) == 0)
            continue;
        gw_buf_add_c(out, out->len > 0 ? ", " : "");
        gw_buf_add_c(out, algs_known[i].name);
    }
}

void gw_key_fini(struct gw_key *key)
{
    if (key->secret != NULL)
        OPENSSL_cleanse(key->secret, key->secret_len);
    free(key->secret);
    free(key->kid);
    EVP_PKEY_free(key->pkey);
}

void gw_keys_fini(struct gw_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        gw_key_fini(&keys->v[i]);
    free(keys->v);
    *keys = (struct gw_keys){0};
}

/* An exponent of 1 would make every padded digest its own signature. */
static int check_rsa(EVP_PKEY *pkey, struct gw_err *err)
{
    BIGNUM *e = NULL;
    int bits = EVP_PKEY_get_bits(pkey);
    bool sound;

    if (bits < GW_RSA_BITS_MIN || bits > GW_RSA_BITS_MAX)
        return gw_err_set(err, "an RSA key needs at least %d bits and at most %d, this one has %d", GW_RSA_BITS_MIN,
                          GW_RSA_BITS_MAX, bits);
    sound = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) && BN_get_word(e) >= 3;
    BN_free(e);
    return sound ? 0 : gw_err_set(err, "the RSA key's exponent is unsound");
}

unsigned gw_pkey_algs(EVP_PKEY *pkey, struct gw_err *err)
{
    const struct gw_alg *es;
    char group[64] = "";

    if (EVP_PKEY_is_a(pkey, "RSA"))
        return check_rsa(pkey, err) == 0 ? gw_alg_kind_bits(GW_ALG_RS) : 0;
    if (!EVP_PKEY_is_a(pkey, "EC")) {
        gw_err_set(err, "a key of an unknown kind; expected RSA or EC");
        return 0;
    }
    es = EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1
             ? gw_alg_of_curve(group, (struct gw_str){NULL, 0})
             : NULL;
    if (es == NULL)
        gw_err_set(err, "an EC key on the curve \"%s\"; expected P-256, P-384 or P-521", group);
    return es == NULL ? 0 : gw_alg_bit(es);
}

/* Whether the numbers are a key at all: a point on its curve, a modulus without small factors. Milliseconds; at
 * load. */
static int check_numbers(EVP_PKEY *pkey, struct gw_err *err)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    int ok = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok ? 0 : gw_err_set(err, "the key's numbers are no public key");
}

static unsigned fit_algs(const struct gw_key *key, struct gw_err *err)
{
    unsigned fit;

    if (key->pkey == NULL) {
        if (key->secret_len >= GW_SECRET_BYTES_MIN)
            return gw_alg_kind_bits(GW_ALG_HS);
        gw_err_set(err, "a secret needs at least %d bytes, this one has %zu", GW_SECRET_BYTES_MIN, key->secret_len);
        return 0;
    }
    fit = gw_pkey_algs(key->pkey, err);
    return fit != 0 && check_numbers(key->pkey, err) == 0 ? fit : 0;
}

int gw_keys_add(struct gw_keys *keys, struct gw_key key, struct gw_err *err)
{
    unsigned wanted = key.algs;
    struct gw_buf names;

    ERR_set_mark();
    key.algs &= fit_algs(&key, err);
    ERR_pop_to_mark();
    if (key.algs != 0) {
        keys->v = gw_realloc(keys->v, (keys->n + 1) * sizeof *keys->v);
        keys->v[keys->n++] = key;
        return 0;
    }
    gw_buf_init(&names);
    gw_alg_names(wanted, &names);
    gw_err_set(err, "the key does not fit the algorithms (%s)", gw_buf_c(&names)); /* unless a reason is set */
    gw_buf_fini(&names);
    gw_key_fini(&key);
    return -1;
}

void gw_key_wipe(struct gw_buf *b)
{
    if (b->data != NULL)
        OPENSSL_cleanse(b->data, b->cap);
    gw_buf_fini(b);
}

int gw_key_file_read(const char *path, size_t max, struct gw_buf *out, struct gw_err *err)
{
    FILE *f = fopen(path, "rbe");
    size_t n;
    int rc = 0;

    if (f == NULL)
        return gw_err_set(err, "%s: %s", path, strerror(errno));
    setvbuf(f, NULL, _IONBF, 0); /* no second copy of a secret */
    n = fread(gw_buf_reserve(out, max + 1), 1, max + 1, f);
    out->len += n;
    if (ferror(f) != 0)
        rc = gw_err_set(err, "%s: %s", path, strerror(errno));
    else if (n > max)
        rc = gw_err_set(err, "%s: larger than %zu bytes", path, max);
    fclose(f);
    return rc;
}

struct gw_str gw_key_secret(struct gw_str file)
{
    struct gw_str text = file;

    if (text.len > 0 && text.p[text.len - 1] == '\n')
        text.len--;
    if (text.len > 0 && text.len < file.len && text.p[text.len - 1] == '\r')
        text.len--;
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] < 0x20 || text.p[i] >= 0x7f)
            return file;
    return text;
}

static int load_secret(struct gw_key *key, struct gw_str file, struct gw_err *err)
{
    struct gw_str secret = gw_key_secret(file);

    if (memmem(file.p, file.len, "-----BEGIN", 10) != NULL)
        return gw_err_set(err, "the issuer's algorithms are HS*, which need a secret, but the file holds a PEM block");
    key->secret = gw_alloc(secret.len + 1);
    if (secret.len > 0)
        memcpy(key->secret, secret.p, secret.len);
    key->secret_len = secret.len;
    return 0;
}

static int load_pem(struct gw_key *key, struct gw_str file, struct gw_err *err)
{
    static const char begin[] = "-----BEGIN ";
    const char *first = memmem(file.p, file.len, begin, sizeof begin - 1), *rest;
    BIO *bio;

    if (first == NULL)
        return gw_err_set(err, "expected a PEM public key (-----BEGIN PUBLIC KEY-----)");
    rest = first + sizeof begin - 1;
    if (memmem(rest, file.len - (size_t)(rest - file.p), begin, sizeof begin - 1) != NULL)
        return gw_err_set(err, "holds several PEM blocks; expected one public key");
    if (memmem(file.p, file.len, "PRIVATE KEY-----", 16) != NULL)
        return gw_err_set(err, "holds a private key; the gateway needs the public one and must not have more");
    ERR_set_mark();
    bio = BIO_new_mem_buf(file.p, (int)file.len);
    key->pkey = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_pop_to_mark();
    return key->pkey != NULL ? 0 : gw_err_set(err, "expected a PEM public key, found something else");
}

int gw_keys_add_file(struct gw_keys *keys, const char *path, const char *kid, unsigned algs, struct gw_err *err)
{
    struct gw_key key = {.algs = algs, .kid = gw_strdup(kid), .any_kid = kid == NULL};
    unsigned hs = algs & gw_alg_kind_bits(GW_ALG_HS);
    struct gw_err why = {0};
    struct gw_buf file;
    int rc;

    gw_buf_init(&file);
    rc = gw_key_file_read(path, GW_KEY_FILE_BYTES_MAX, &file, err);
    if (rc == 0 && file.len == 0)
        rc = gw_err_set(&why, "the file is empty");
    else if (rc == 0 && hs != 0 && hs != algs)
        rc = gw_err_set(&why, "algorithms mix HS* with RS* or ES*; one file is either a secret or a public key");
    else if (rc == 0)
        rc = hs != 0 ? load_secret(&key, gw_buf_str(&file), &why) : load_pem(&key, gw_buf_str(&file), &why);
    if (rc == 0)
        rc = gw_keys_add(keys, key, &why);
    else
        gw_key_fini(&key);
    if (why.set)
        gw_err_set(err, "%s: %s", path, why.text);
    gw_key_wipe(&file);
    return rc;
}

static int verify_hmac(const struct gw_key *key, const struct gw_alg *alg, struct gw_str text, struct gw_str signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (HMAC(alg->md(), key->secret, (int)key->secret_len, (const unsigned char *)text.p, text.len, mac, &len) == NULL)
        return -1;
    return len == signature.len && CRYPTO_memcmp(mac, signature.p, len) == 0 ? 0 : -1;
}

static int verify_pkey(EVP_PKEY *pkey, const struct gw_alg *alg, struct gw_str text, const unsigned char *sig,
                       size_t sig_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, alg->md(), NULL, pkey) == 1 &&
             EVP_DigestVerify(ctx, sig, sig_len, (const unsigned char *)text.p, text.len) == 1;

    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -1;
}

/* RFC 7518 section 3.4: r and s side by side, each as long as the curve's order; OpenSSL wants them as DER. */
static int verify_ecdsa(const struct gw_key *key, const struct gw_alg *alg, struct gw_str text, struct gw_str signature)
{
    const unsigned char *raw = (const unsigned char *)signature.p;
    ECDSA_SIG *sig = NULL;
    BIGNUM *r, *s;
    unsigned char *der = NULL;
    int len = -1, rc = -1;

    if (signature.len != 2 * alg->coord_bytes)
        return -1;
    r = BN_bin2bn(raw, (int)alg->coord_bytes, NULL);
    s = BN_bin2bn(raw + alg->coord_bytes, (int)alg->coord_bytes, NULL);
    sig = ECDSA_SIG_new();
    if (r != NULL && s != NULL && sig != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* taken */
        len = i2d_ECDSA_SIG(sig, &der);
    }
    if (len > 0)
        rc = verify_pkey(key->pkey, alg, text, der, (size_t)len);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    BN_free(r);
    BN_free(s);
    return rc;
}

/* OpenSSL's error queue is left as it was: TLS on the same thread reads it. */
int gw_key_verify(const struct gw_key *key, const struct gw_alg *alg, struct gw_str text, struct gw_str signature)
{
    int rc = -1;

    if ((key->algs & gw_alg_bit(alg)) == 0)
        return -1;
    ERR_set_mark();
    if (alg->kind == GW_ALG_HS)
        rc = verify_hmac(key, alg, text, signature);
    else if (alg->kind == GW_ALG_ES)
        rc = verify_ecdsa(key, alg, text, signature);
    else
        rc = verify_pkey(key->pkey, alg, text, (const unsigned char *)signature.p, signature.len);
    ERR_pop_to_mark();
    return rc;
}
