/* What the files of gateway/auth share, and tests and fuzzers look into; nobody else includes it. The contract for the
 * rest of the gateway is gw/auth.h.
 *
 * The way of a token: jwt.c takes it apart, verifier.c finds the issuer and its key, keys.c checks the signature,
 * claims.c the claims, identity.c keeps them, cache.c remembers the verdict. */
#ifndef GW_AUTH_PRIVATE_H
#define GW_AUTH_PRIVATE_H

#include "gw/auth.h"
#include "gw/json.h"

#include <openssl/evp.h>

#define GW_USER_BYTES_MAX 128
#define GW_KID_BYTES_MAX 256
#define GW_KEY_FILE_BYTES_MAX 65536
#define GW_JWKS_BYTES_MAX 262144
#define GW_JWKS_KEYS_MAX 128
#define GW_SECRET_BYTES_MIN 32
#define GW_RSA_BITS_MIN 2048
#define GW_RSA_BITS_MAX 16384
#define GW_NUMERIC_DATE_MAX 253402300799 /* the end of the year 9999 */
#define GW_DIGEST_BYTES 32

/* base64url.c: RFC 4648 section 5 without padding, as RFC 7515 asks; one text only for the same bytes. -1: not so. */
int gw_base64url_decode(struct gw_str in, struct gw_buf *out);

/* claims.c: reading JSON objects that gw_json_scan has accepted with unique keys. `object` is the object's own
 * bytes. */
extern const struct gw_json_opts gw_claims_opts;
struct gw_str gw_object_trim(struct gw_str text); /* without white space around; absent where it is no object */
bool gw_object_get(struct gw_str object, struct gw_str key, struct gw_json_val *out); /* this very key */
/* `path` as a key, else its dots lead into objects: "a.b.c" is "a.b.c", or "b.c" of "a", or "c" of "a.b". */
bool gw_claims_find(struct gw_str object, struct gw_str path, struct gw_json_val *out);
/* The text of a scalar: its own bytes or, unescaped, those of `scratch`. false for others. */
bool gw_claims_text(const struct gw_json_val *v, struct gw_buf *scratch, struct gw_str *out);
bool gw_claims_has(struct gw_str object, const char *key, struct gw_str text); /* a string member with this text */
int gw_claims_date(const struct gw_json_val *v, int64_t *seconds); /* NumericDate, floored; 0 to the year 9999 */

/* What is asked of the claims, besides the signature and the issuer, which has been chosen by `iss`. */
struct gw_claims_want {
    char **audience;    /* one of them; none: `aud` is not looked at */
    size_t naudience;
    char **require; /* all of them */
    size_t nrequire;
    int64_t leeway_ms;
};
/* 0 and *exp_ms, or -1 with err. */
int gw_claims_check(struct gw_str claims, const struct gw_claims_want *want, int64_t now_ms, int64_t *exp_ms,
                    bool *expired, struct gw_err *err);

/* keys.c: algorithms and keys. */
enum gw_alg_kind { GW_ALG_HS, GW_ALG_RS, GW_ALG_ES };
struct gw_alg {
    char name[8];
    enum gw_alg_kind kind;
    const EVP_MD *(*md)(void);
    const char *group; /* ES: OpenSSL's name of the curve */
    const char *crv;   /* ES: RFC 7518 section 6.2.1.1 */
    size_t coord_bytes; /* ES: of r, s, x and y each */
};
const struct gw_alg *gw_alg_find(struct gw_str name); /* NULL: not one of ours */
unsigned gw_alg_bit(const struct gw_alg *alg);
unsigned gw_alg_kind_bits(enum gw_alg_kind kind);
const struct gw_alg *gw_alg_of_curve(const char *group, struct gw_str crv); /* by either name; the other absent */
void gw_alg_names(unsigned algs, struct gw_buf *out); /* "RS256, ES256" */

struct gw_key {
    unsigned algs;  /* bits of the algorithms that it may be used with; of one kind only */
    char *kid;      /* owned, or NULL */
    bool any_kid;   /* a `key:` file without a kid: whatever kid the token names */
    EVP_PKEY *pkey; /* owned; RS, ES; shared by threads, read only */
    unsigned char *secret; /* owned; HS */
    size_t secret_len;
};
struct gw_keys {
    struct gw_key *v;
    size_t n;
};
unsigned gw_pkey_algs(EVP_PKEY *pkey, struct gw_err *err); /* what it is fit for by kind, size and curve; 0 with err */
void gw_key_fini(struct gw_key *key);
void gw_keys_fini(struct gw_keys *keys);
/* Take what `key` owns, on failure too: checks its strength and the algorithms, and appends it. */
int gw_keys_add(struct gw_keys *keys, struct gw_key key, struct gw_err *err);
int gw_keys_add_file(struct gw_keys *keys, const char *path, const char *kid, unsigned algs, struct gw_err *err);
int gw_key_verify(const struct gw_key *key, const struct gw_alg *alg, struct gw_str text, struct gw_str signature);
int gw_key_file_read(const char *path, size_t max, struct gw_buf *out, struct gw_err *err); /* wipe `out` after use */
/* A secret file's bytes without the newline that an editor or `echo` put behind a secret of printable ASCII. */
struct gw_str gw_key_secret(struct gw_str file);
void gw_key_wipe(struct gw_buf *b); /* overwrites and frees */

/* jwks.c: appends the usable keys of a JWK set (RFC 7517 section 5) and logs those that it skips. -1: not a set, or
 * none is usable. `source` names it in the log. */
int gw_keys_add_jwks(struct gw_keys *keys, struct gw_str json, unsigned algs, const char *source, struct gw_err *err);

/* jwt.c: a token taken apart; nothing in it is believed yet. */
struct gw_jwt {
    const struct gw_alg *alg;
    struct gw_str signed_text; /* borrowed from the token */
    struct gw_buf header, claims, signature; /* decoded; header and claims are strict JSON objects */
    struct gw_str claims_object; /* in `claims` */
    bool has_kid;
    struct gw_buf kid;
};
int gw_jwt_parse(struct gw_jwt *j, struct gw_str token, struct gw_err *err); /* fini on failure too */
void gw_jwt_fini(struct gw_jwt *j);
/* Text of a stranger for an error: at most 64 bytes, what is not printable ASCII as '?'. */
const char *gw_quote(struct gw_str text, char out[80]);

/* identity.c: claims is an object that was scanned with gw_claims_opts; it is copied. */
struct gw_identity *gw_identity_new(struct gw_str claims, int64_t expires_ms, struct gw_err *err);

/* cache.c: verdicts by the token's SHA-256, the one longest unused gives way. Any thread. NULL is a cache of
 * nothing. */
struct gw_token_cache;
struct gw_token_cache *gw_token_cache_new(size_t entries_max); /* 0 gives NULL */
void gw_token_cache_free(struct gw_token_cache *c);
struct gw_identity *gw_token_cache_get(struct gw_token_cache *c, const unsigned char digest[GW_DIGEST_BYTES],
                                       int64_t now_ms); /* a reference of the caller's own, or NULL */
void gw_token_cache_put(struct gw_token_cache *c, const unsigned char digest[GW_DIGEST_BYTES], struct gw_identity *id,
                        int64_t until_ms);
size_t gw_token_cache_len(struct gw_token_cache *c);

/* rule.c */
struct gw_rule_alt {
    enum gw_cfg_rule_kind kind;
    char *claim; /* owned */
    char *value; /* owned; may name captures */
    bool lists;  /* EQUALS or CONTAINS with one capture as its whole value: the claim's texts are the capture's */
};
struct gw_rule {
    size_t n;
    struct gw_rule_alt *v;
};
/* Calls fn with each text of the claim that the alternative would allow for its capture. */
void gw_rule_list(const struct gw_rule_alt *alt, const struct gw_identity *id,
                  bool (*fn)(struct gw_str text, void *arg), void *arg);
bool gw_identity_find(const struct gw_identity *id, const char *claim, struct gw_json_val *out);

#endif
