/* Claims: finding them in the token's own JSON, and the checks of RFC 7519 section 4.1.
 *
 * Any thread; nothing is kept. The claims stay the bytes that were signed: there is no parsed tree that could be shared
 * unsafely, or differ from them. */
#include "auth_private.h"

#include <inttypes.h>
#include <string.h>

const struct gw_json_opts gw_claims_opts = {.depth_max = 16, .unique_keys = true};

struct gw_str gw_object_trim(struct gw_str text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.p[0], 4) != NULL)
        text = (struct gw_str){text.p + 1, text.len - 1};
    while (text.len > 0 && memchr(" \t\r\n", text.p[text.len - 1], 4) != NULL)
        text.len--;
    if (text.len == 0 || text.p[0] != '{')
        return (struct gw_str){NULL, 0};
    return text;
}

bool gw_claims_text(const struct gw_json_val *v, struct gw_buf *scratch, struct gw_str *out)
{
    switch (v->type) {
    case GW_JSON_NUMBER:
    case GW_JSON_TRUE:
    case GW_JSON_FALSE:
        *out = v->raw;
        return true;
    case GW_JSON_STRING:
        if (!v->escaped) {
            *out = (struct gw_str){v->raw.p + 1, v->raw.len - 2};
            return true;
        }
        gw_buf_clear(scratch);
        if (gw_json_text(v, scratch) != 0)
            return false;
        *out = scratch->len > 0 ? gw_buf_str(scratch) : GW_STR("");
        return true;
    default:
        return false;
    }
}

/* A member's key, unescaped where it has to be; absent where it cannot be read (a U+0000 in it). */
static struct gw_str key_text(struct gw_str key, bool escaped, struct gw_buf *scratch)
{
    const struct gw_json_val as_string = {GW_JSON_STRING, escaped, {key.p - 1, key.len + 2}};
    struct gw_str text = {NULL, 0};

    return gw_claims_text(&as_string, scratch, &text) ? text : (struct gw_str){NULL, 0};
}

bool gw_object_get(struct gw_str object, struct gw_str key, struct gw_json_val *out)
{
    struct gw_buf scratch;
    struct gw_str k;
    size_t pos = 0;
    bool escaped, found = false;

    gw_buf_init(&scratch);
    while (!found && gw_json_next(object, &pos, &k, &escaped, out)) {
        k = key_text(k, escaped, &scratch);
        found = k.p != NULL && gw_str_eq(k, key);
    }
    gw_buf_fini(&scratch);
    if (!found)
        *out = (struct gw_json_val){0};
    return found;
}

/* Objects inside objects are bounded by gw_claims_opts, and so is the recursion. */
bool gw_claims_find(struct gw_str object, struct gw_str path, struct gw_json_val *out)
{
    struct gw_str head, rest;
    const char *dot;

    if (gw_object_get(object, path, out))
        return true;
    for (size_t from = 0; from < path.len; from = (size_t)(dot - path.p) + 1) {
        dot = memchr(path.p + from, '.', path.len - from);
        if (dot == NULL)
            break;
        head = (struct gw_str){path.p, (size_t)(dot - path.p)};
        rest = (struct gw_str){dot + 1, path.len - head.len - 1};
        if (gw_object_get(object, head, out) && out->type == GW_JSON_OBJECT && gw_claims_find(out->raw, rest, out))
            return true;
    }
    *out = (struct gw_json_val){0};
    return false;
}

static bool is_string(const struct gw_json_val *v, struct gw_str text)
{
    struct gw_buf scratch;
    struct gw_str own;
    bool same;

    gw_buf_init(&scratch);
    same = v->type == GW_JSON_STRING && gw_claims_text(v, &scratch, &own) && gw_str_eq(own, text);
    gw_buf_fini(&scratch);
    return same;
}

bool gw_claims_has(struct gw_str object, const char *key, struct gw_str text)
{
    struct gw_json_val v;

    return gw_object_get(object, gw_str_of(key), &v) && is_string(&v, text);
}

/* Digits of a JSON number and where its point stands, by hand: no locale, no rounding. */
static void read_digits(struct gw_str n, int64_t *whole, bool *huge)
{
    size_t i, mantissa_end = 0;
    long point = -1, digits = 0, exponent = 0;
    bool negative_exponent = false;

    while (mantissa_end < n.len && n.p[mantissa_end] != 'e' && n.p[mantissa_end] != 'E')
        mantissa_end++;
    for (i = mantissa_end + 1; i < n.len; i++) {
        if (n.p[i] == '-' || n.p[i] == '+')
            negative_exponent = n.p[i] == '-';
        else if (exponent < 100000)
            exponent = exponent * 10 + (n.p[i] - '0');
    }
    for (i = 0; i < mantissa_end; i++)
        if (n.p[i] == '.')
            point = (long)i;
    point = (point < 0 ? (long)mantissa_end : point) + (negative_exponent ? -exponent : exponent);
    *whole = 0;
    *huge = false;
    for (i = 0; digits < point && !*huge && (i < mantissa_end || *whole > 0); i++) {
        if (i < mantissa_end && n.p[i] == '.')
            continue;
        *whole = *whole * 10 + (i < mantissa_end ? n.p[i] - '0' : 0);
        *huge = *whole > GW_NUMERIC_DATE_MAX;
        digits++;
    }
}

/* RFC 7519 section 2: "a JSON numeric value", so 1.7e9 and 1700000000.5 are dates too. */
int gw_claims_date(const struct gw_json_val *v, int64_t *seconds)
{
    bool huge;

    if (v->type != GW_JSON_NUMBER || v->raw.p[0] == '-')
        return -1;
    read_digits(v->raw, seconds, &huge);
    return huge ? -1 : 0;
}

/* 1: it is there; 0: it is not; -1: it is no date. */
static int get_date(struct gw_str claims, const char *name, int64_t *ms, struct gw_err *err)
{
    struct gw_json_val v;

    if (!gw_object_get(claims, gw_str_of(name), &v))
        return 0;
    if (gw_claims_date(&v, ms) != 0)
        return gw_err_set(err, "claim %s: expected a number of seconds since 1970, from 0 to %" PRId64, name,
                          (int64_t)GW_NUMERIC_DATE_MAX);
    *ms *= 1000;
    return 1;
}

static int check_times(struct gw_str claims, int64_t leeway_ms, int64_t now_ms, int64_t *exp_ms, bool *expired,
                       struct gw_err *err)
{
    int64_t ms;
    int is;

    is = get_date(claims, "exp", exp_ms, err);
    if (is <= 0)
        return is < 0 ? -1 : gw_err_set(err, "claim exp is missing; a token that never expires is not accepted");
    if (now_ms >= *exp_ms + leeway_ms) { /* section 4.1.4: "on or after" */
        *expired = true;
        return gw_err_set(err, "token expired %" PRId64 " s ago", (now_ms - *exp_ms) / 1000);
    }
    is = get_date(claims, "nbf", &ms, err);
    if (is < 0)
        return -1;
    if (is > 0 && now_ms < ms - leeway_ms)
        return gw_err_set(err, "claim nbf: token is not valid before %" PRId64 " s from now",
                          (ms - now_ms + 999) / 1000);
    return get_date(claims, "iat", &ms, err) < 0 ? -1 : 0; /* its value says nothing about validity */
}

static bool is_one_of(const struct gw_json_val *v, char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_string(v, gw_str_of(texts[i])))
            return true;
    return false;
}

/* Section 4.1.3: a string or an array of strings. An array with anything else in it is no audience at all. */
static int check_audience(struct gw_str claims, const struct gw_claims_want *want, struct gw_err *err)
{
    struct gw_json_val aud, v;
    struct gw_str key;
    size_t pos = 0;
    bool escaped, found, strings = true;

    if (want->naudience == 0)
        return 0;
    gw_object_get(claims, GW_STR("aud"), &aud);
    found = is_one_of(&aud, want->audience, want->naudience);
    while (aud.type == GW_JSON_ARRAY && gw_json_next(aud.raw, &pos, &key, &escaped, &v)) {
        strings = strings && v.type == GW_JSON_STRING;
        found = found || is_one_of(&v, want->audience, want->naudience);
    }
    if (found && strings)
        return 0;
    return gw_err_set(err, "claim aud: expected \"%s\"%s", want->audience[0],
                      want->naudience > 1 ? " or another audience of this service" : "");
}

int gw_claims_check(struct gw_str claims, const struct gw_claims_want *want, int64_t now_ms, int64_t *exp_ms,
                    bool *expired, struct gw_err *err)
{
    struct gw_json_val v;

    if (check_times(claims, want->leeway_ms, now_ms, exp_ms, expired, err) != 0)
        return -1;
    if (check_audience(claims, want, err) != 0)
        return -1;
    for (size_t i = 0; i < want->nrequire; i++)
        if (!gw_claims_find(claims, gw_str_of(want->require[i]), &v) || v.type == GW_JSON_NULL)
            return gw_err_set(err, "claim %s is missing; this service requires it", want->require[i]);
    return 0;
}
