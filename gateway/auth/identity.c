/* An identity: the claims of a token that was accepted, as the bytes that were signed.
 *
 * Immutable after it is made, so that any thread may read it; the reference count alone is shared. */
#include "auth_private.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct gw_identity {
    _Atomic uint32_t refs;
    int64_t expires_ms;
    char *user;     /* owned; printable, so that it has no NUL inside */
    char *claims;   /* owned; a strict JSON object */
    size_t claims_len;
};

/* `sub` becomes a room's name, `user:<sub>`, and goes into events and logs: the characters of room names are the
 * rule. */
static int read_user(struct gw_str claims, char **user, struct gw_err *err)
{
    struct gw_json_val v;
    struct gw_buf scratch;
    struct gw_str sub;
    int rc = 0;

    gw_buf_init(&scratch);
    gw_object_get(claims, GW_STR("sub"), &v);
    if (v.type == GW_JSON_NONE)
        rc = gw_err_set(err, "claim sub is missing; it names the user");
    else if (v.type != GW_JSON_STRING || !gw_claims_text(&v, &scratch, &sub) || sub.len < 1 ||
             sub.len > GW_USER_BYTES_MAX || !gw_name_printable(sub))
        rc = gw_err_set(err, "claim sub: expected a string of 1 to %d bytes, printable and without white space",
                        GW_USER_BYTES_MAX);
    else
        *user = gw_str_dup(sub);
    gw_buf_fini(&scratch);
    return rc;
}

struct gw_identity *gw_identity_new(struct gw_str claims, int64_t expires_ms, struct gw_err *err)
{
    struct gw_identity *id;
    char *user = NULL;

    if (read_user(claims, &user, err) != 0)
        return NULL;
    id = gw_alloc(sizeof *id);
    atomic_init(&id->refs, 1);
    id->expires_ms = expires_ms;
    id->user = user;
    id->claims = gw_str_dup(claims);
    id->claims_len = claims.len;
    return id;
}

struct gw_identity *gw_identity_ref(struct gw_identity *id)
{
    atomic_fetch_add_explicit(&id->refs, 1, memory_order_relaxed);
    return id;
}

void gw_identity_unref(struct gw_identity *id)
{
    if (id == NULL || atomic_fetch_sub_explicit(&id->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(id->user);
    free(id->claims);
    free(id);
}

struct gw_str gw_identity_user(const struct gw_identity *id)
{
    return gw_str_of(id->user);
}

int64_t gw_identity_expires_ms(const struct gw_identity *id)
{
    return id->expires_ms;
}

bool gw_identity_find(const struct gw_identity *id, const char *claim, struct gw_json_val *out)
{
    return gw_claims_find((struct gw_str){id->claims, id->claims_len}, gw_str_of(claim), out);
}

size_t gw_identity_claim(const struct gw_identity *id, const char *claim, bool (*fn)(struct gw_str text, void *arg),
                         void *arg)
{
    struct gw_json_val v, element;
    struct gw_buf scratch;
    struct gw_str text, none;
    size_t pos = 0, n = 0;
    bool escaped, more = true;

    gw_buf_init(&scratch);
    gw_identity_find(id, claim, &v);
    if (gw_claims_text(&v, &scratch, &text)) {
        n = 1;
        fn(text, arg);
    }
    while (more && v.type == GW_JSON_ARRAY && gw_json_next(v.raw, &pos, &none, &escaped, &element)) {
        if (!gw_claims_text(&element, &scratch, &text))
            continue;
        n++;
        more = fn(text, arg);
    }
    gw_buf_fini(&scratch);
    return n;
}

struct wanted {
    struct gw_str scope;
    bool found;
};

/* One text may hold several scopes, split at spaces (RFC 6749 section 3.3). */
static bool look_for_scope(struct gw_str text, void *arg)
{
    struct wanted *w = arg;
    size_t start = 0;

    for (size_t i = 0; i <= text.len && !w->found; i++) {
        if (i < text.len && text.p[i] != ' ')
            continue;
        w->found = i > start && gw_str_eq((struct gw_str){text.p + start, i - start}, w->scope);
        start = i + 1;
    }
    return !w->found;
}

bool gw_identity_has_scope(const struct gw_identity *id, struct gw_str scope)
{
    struct wanted w = {.scope = scope};

    gw_identity_claim(id, "scope", look_for_scope, &w);
    if (!w.found)
        gw_identity_claim(id, "scp", look_for_scope, &w);
    return w.found;
}
