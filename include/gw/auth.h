/* Who a token says its bearer is. JSON Web Tokens (RFC 7519) in JWS compact form (RFC 7515), HS/RS/ES 256, 384, 512.
 *
 * Strict where libraries are lenient:
 *  - base64url without padding, strangers or stray bits; header and claims are strict JSON objects without double
 *    keys;
 *  - `crit` and `b64` are refused; `typ` is absent, "JWT" or "at+jwt" (RFC 9068), in any case, also with
 *    "application/";
 *  - the key is chosen by `iss`, then by kid, and only if the alg is allowed *for that key* (RFC 8725 section 3.1):
 *    what the header asks for never decides. With a kid: the issuer's key of that kid, else a `key:` file that has
 *    none configured. Without one: the only key that fits the alg; several are an error;
 *  - `exp` must be there (a token for ever is refused) and `sub` too. `exp`, `nbf`, `iat` are JSON numbers from 0 to
 *    the year 9999; fractions are floored. `iat` is not compared with the clock;
 *  - `aud` is a string or an array of strings. Where no audience is configured it is not looked at.
 * Tokens over GW_TOKEN_BYTES_MAX are refused unread.
 *
 * Keys: secrets of 32 bytes or more (one newline at the end of a secret of printable ASCII is not part of it), RSA
 * of 2048 to 16384 bits, EC with the curve that the alg names. A key file is for HS* or for RS*, ES*, never both. Of
 * a JWK set the usable keys are taken, the others logged; a kid-less key in it is only for tokens without kid. */
#ifndef GW_AUTH_H
#define GW_AUTH_H

#include "gw/config.h"
#include "gw/pattern.h"

#define GW_TOKEN_BYTES_MAX 8192

/* Who somebody is. Immutable, reference counted (atomic); may be used on any thread. */
struct gw_identity;
struct gw_identity *gw_identity_ref(struct gw_identity *id);
void gw_identity_unref(struct gw_identity *id); /* NULL is fine */
/* `sub`: 1 to 128 bytes with the characters of room names; ':' may be among them. */
struct gw_str gw_identity_user(const struct gw_identity *id);
int64_t gw_identity_expires_ms(const struct gw_identity *id); /* `exp` in Unix ms, without leeway */

/* The texts of a claim ("sub", "sessions", "realm_access.roles"; a claim whose name has dots itself goes before a
 * path): a string, number or boolean is one text, an array gives one per scalar element; null, objects and what
 * stands deeper give none. Strings are unescaped, numbers as written; the text is borrowed until fn returns. Calls
 * fn for each until it returns false. Returns how many times it did. */
size_t gw_identity_claim(const struct gw_identity *id, const char *claim, bool (*fn)(struct gw_str text, void *arg),
                         void *arg);
/* RFC 8693 section 4.2 `scope`, or `scp`; a string is split at spaces, and so is each element of an array. */
bool gw_identity_has_scope(const struct gw_identity *id, struct gw_str scope);

/* Checks tokens against the issuers of a configuration; without any, every token is refused. Thread-safe: keys are
 * immutable, the verdict cache (accepted tokens only, until they expire) has a lock. A reload makes a new verifier,
 * and so an empty cache. Reference counted. Borrows nothing of cfg. */
struct gw_verifier;
/* Owned; reads the key files; errors carry `at`. */
struct gw_verifier *gw_verifier_new(const struct gw_config *cfg, struct gw_err *err);
struct gw_verifier *gw_verifier_ref(struct gw_verifier *v);
void gw_verifier_unref(struct gw_verifier *v);

/* 0 and *out owned by the caller, or -1, *out NULL, and err says why in words fit for the bearer ("token expired 12
 * s ago", "no key for kid ...": nothing secret, never the token itself). *expired tells an expired token (signed by
 * its issuer, nothing else is looked at) from a bad one; may be NULL. Costs a digest for a token seen before, else a
 * signature check of 0.01 to 0.1 ms (ES384, ES512: 0.6 ms). Counts sluice_tokens_checked_total. */
int gw_verifier_check(struct gw_verifier *v, struct gw_str token, int64_t now_ms, struct gw_identity **out,
                      bool *expired, struct gw_err *err);

/* An access rule, compiled: it allows when one of its alternatives does, and nothing where it has none. Its texts
 * may name the pattern's captures (pattern NULL: none). any, none; equals: a scalar claim is the text; contains: a
 * scalar claim is the text, or an array has it as an element (never a part of a string); scope: see
 * gw_identity_has_scope. Immutable; any thread. gw_rule_new does not keep the pattern; its errors carry `at`. */
struct gw_rule;
struct gw_rule *gw_rule_new(const struct gw_cfg_rules *rules, const struct gw_pattern *pattern, struct gw_err *err);
void gw_rule_free(struct gw_rule *r); /* NULL is fine */
bool gw_rule_allows(const struct gw_rule *r, const struct gw_identity *id, const struct gw_captures *captures);

/* Who may be in which room: the `rooms` of the configuration, compiled. Immutable; any thread. A room may be joined
 * when one of the rooms whose pattern matches has a join rule that allows it.
 *
 * `user:<sub>` is an automatic room of each user, and may be joined by that user, whatever the configuration says.
 * By others it may be joined only if a pattern that itself begins with "user:" has a rule that allows it; patterns
 * that merely match ("{any}") do not open it.
 *
 * Automatic rooms (`auto: true`): a pattern without a capture whose rule allows is one room. A pattern with one
 * capture is one room for each text of the claims that its rule's alternatives compare with that capture alone
 * ({claim: sessions, contains: "{id}"}); texts that make no valid name are passed over; other alternatives only
 * allow to join by asking. Anything else is an error of the configuration. */
struct gw_access;
struct gw_access *gw_access_new(const struct gw_config *cfg, struct gw_err *err); /* owned; borrows nothing of cfg */
void gw_access_free(struct gw_access *a);                                         /* NULL is fine */
bool gw_access_may_join(const struct gw_access *a, const struct gw_identity *id, struct gw_str room);
/* Calls fn with each automatic room of the identity, its own first, without repeats, at most `max`. Returns how
 * many. The name is borrowed until fn returns. */
size_t gw_access_auto_rooms(const struct gw_access *a, const struct gw_identity *id, size_t max,
                            void (*fn)(struct gw_str room, void *arg), void *arg);

/* Mints a token for development and tests (libjwt signs). sub: NULL leaves it out. claims_json: an object merged in,
 * whose members win over sub, iat and exp, or NULL. ttl_s may be negative (a token that has expired). alg: NULL is
 * HS256. key_file: a secret or a PEM private key; NULL takes `secret` (HS* only). Returns an owned string (free) or
 * NULL with err. */
char *gw_token_mint(const char *sub, const char *claims_json, int64_t ttl_s, const char *alg, const char *key_file,
                    struct gw_str secret, struct gw_err *err);

#endif
