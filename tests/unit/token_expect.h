/* accepts and refuses: what the tests of tokens expect of a verifier. */
#ifndef GW_TOKEN_EXPECT_H
#define GW_TOKEN_EXPECT_H

#include "token_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD "\"sub\":\"u1\",\"exp\":1700000600" /* members of the claims */

static inline int check(struct gw_verifier *v, const char *token, struct gw_identity **id, struct gw_err *err)
{
    *err = (struct gw_err){0};
    return gw_verifier_check(v, gw_str_of(token), KIT_NOW_MS, id, NULL, err);
}

/* Takes the token; its user must be u1. */
static inline void accepts(struct gw_verifier *v, char *token, const char *what)
{
    struct gw_identity *id = NULL;
    struct gw_err err;

    if (check(v, token, &id, &err) != 0)
        fail_msg("%s: refused: %s", what, err.text);
    assert_true(gw_str_is(gw_identity_user(id), "u1"));
    gw_identity_unref(id);
    free(token);
}

/* Takes the token; `why` must stand in the reason. */
static inline void refuses(struct gw_verifier *v, char *token, const char *why)
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

/* A good token, with the bytes at `at` (from the end where negative) replaced. Owned. */
static inline char *altered(const char *token, long at, const char *with)
{
    char *t = gw_strdup(token);
    size_t n = strlen(t);

    memcpy(t + (at < 0 ? (size_t)((long)n + at) : (size_t)at), with, strlen(with));
    return t;
}

static inline char *hs_token(const char *header, const char *claims)
{
    return kit_token("HS256", NULL, GW_STR(KIT_SECRET), header, claims);
}

#endif
