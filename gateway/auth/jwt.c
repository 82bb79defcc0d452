/* A token taken apart (RFC 7515 section 7.1, RFC 7519 section 7.2), and its header's fields read strictly.
 *
 * Any thread; decides on form alone. Nothing that the header says is followed: no key or address inside it (jwk, jku,
 * x5u, x5c) is ever looked at, and `alg` only narrows down the choice among the issuer's keys. */
#include "auth_private.h"

#include <string.h>
#include <strings.h>

const char *gw_quote(struct gw_str text, char out[80])
{
    size_t n = text.len < 64 ? text.len : 64;

    for (size_t i = 0; i < n; i++)
        out[i] = text.p[i] >= 0x20 && text.p[i] < 0x7f && text.p[i] != '"' ? text.p[i] : '?';
    memcpy(out + n, text.len > n ? "..." : "", text.len > n ? 4 : 1);
    return out;
}

static int split(struct gw_str token, struct gw_str segment[3], struct gw_err *err)
{
    size_t n = 0, start = 0;

    for (size_t i = 0; i <= token.len; i++) {
        if (i < token.len && token.p[i] != '.')
            continue;
        if (n < 3)
            segment[n] = (struct gw_str){token.p + start, i - start};
        n++;
        start = i + 1;
    }
    if (n == 5)
        return gw_err_set(err, "token is encrypted (five segments); expected a signed one, header.claims.signature");
    if (n != 3)
        return gw_err_set(err, "token has %zu segments; expected three, header.claims.signature", n);
    if (segment[2].len == 0)
        return gw_err_set(err, "token is not signed: its third segment is empty");
    return 0;
}

static int decode(struct gw_str segment, struct gw_buf *out, const char *what, struct gw_err *err)
{
    if (segment.len == 0 || gw_base64url_decode(segment, out) != 0)
        return gw_err_set(err, "token %s: expected base64url without padding", what);
    return 0;
}

/* Decodes a segment that must be a strict JSON object. */
static int decode_object(struct gw_str segment, struct gw_buf *out, struct gw_str *object, const char *what,
                         struct gw_err *err)
{
    struct gw_err why = {0};

    if (decode(segment, out, what, err) != 0)
        return -1;
    *object = gw_object_trim(gw_buf_str(out));
    if (object->p == NULL)
        return gw_err_set(err, "token %s: expected a JSON object", what);
    if (gw_json_scan(*object, &gw_claims_opts, NULL, NULL, &why) != 0)
        return gw_err_set(err, "token %s: not strict JSON: %s", what, why.text);
    return 0;
}

/* RFC 8725 section 3.11: a token made for something else (logout+jwt, dpop+jwt, secevent+jwt) is not one for access. */
static bool type_fits(struct gw_str typ)
{
    static const char prefix[] = "application/";

    if (typ.len > sizeof prefix - 1 && strncasecmp(typ.p, prefix, sizeof prefix - 1) == 0)
        typ = (struct gw_str){typ.p + sizeof prefix - 1, typ.len - (sizeof prefix - 1)};
    return (typ.len == 3 && strncasecmp(typ.p, "JWT", 3) == 0) ||
           (typ.len == 6 && strncasecmp(typ.p, "at+jwt", 6) == 0);
}

static int read_type(struct gw_str header, struct gw_buf *scratch, struct gw_err *err)
{
    struct gw_json_val v;
    struct gw_str text;

    if (!gw_object_get(header, GW_STR("typ"), &v))
        return 0;
    if (v.type != GW_JSON_STRING || !gw_claims_text(&v, scratch, &text) || !type_fits(text))
        return gw_err_set(err, "token header: typ: expected \"JWT\" or \"at+jwt\", or none");
    return 0;
}

static int read_alg(struct gw_jwt *j, struct gw_str header, struct gw_buf *scratch, struct gw_err *err)
{
    struct gw_json_val v;
    struct gw_str text;
    char quoted[80];

    gw_object_get(header, GW_STR("alg"), &v);
    if (v.type != GW_JSON_STRING || !gw_claims_text(&v, scratch, &text))
        return gw_err_set(err, "token header: alg: expected a string");
    j->alg = gw_alg_find(text);
    if (j->alg == NULL)
        return gw_err_set(err, "token header: alg \"%s\" is not supported; expected HS, RS or ES with 256, 384 or 512",
                          gw_quote(text, quoted));
    return 0;
}

static int read_kid(struct gw_jwt *j, struct gw_str header, struct gw_err *err)
{
    struct gw_json_val v;

    j->has_kid = gw_object_get(header, GW_STR("kid"), &v);
    if (j->has_kid && (v.type != GW_JSON_STRING || gw_json_text(&v, &j->kid) != 0 || j->kid.len == 0 ||
                       j->kid.len > GW_KID_BYTES_MAX))
        return gw_err_set(err, "token header: kid: expected a string of 1 to %d bytes", GW_KID_BYTES_MAX);
    return 0;
}

static int read_header(struct gw_jwt *j, struct gw_str header, struct gw_err *err)
{
    struct gw_json_val v;
    struct gw_buf scratch;
    int rc = -1;

    gw_buf_init(&scratch);
    if (gw_object_get(header, GW_STR("crit"), &v))
        gw_err_set(err, "token header: crit is not supported"); /* RFC 7515 section 4.1.11: refused, not ignored */
    else if (gw_object_get(header, GW_STR("b64"), &v))
        gw_err_set(err, "token header: b64 is not supported"); /* RFC 7797 section 7: not in a JWT */
    else if (read_type(header, &scratch, err) == 0 && read_alg(j, header, &scratch, err) == 0)
        rc = read_kid(j, header, err);
    gw_buf_fini(&scratch);
    return rc;
}

int gw_jwt_parse(struct gw_jwt *j, struct gw_str token, struct gw_err *err)
{
    struct gw_str segment[3] = {0}, header;

    *j = (struct gw_jwt){0};
    gw_buf_init(&j->header);
    gw_buf_init(&j->claims);
    gw_buf_init(&j->signature);
    gw_buf_init(&j->kid);
    if (token.len > GW_TOKEN_BYTES_MAX)
        return gw_err_set(err, "token has %zu bytes; at most %d are read", token.len, GW_TOKEN_BYTES_MAX);
    if (token.p == NULL || token.len == 0)
        return gw_err_set(err, "token is empty");
    if (split(token, segment, err) != 0)
        return -1;
    if (decode_object(segment[0], &j->header, &header, "header", err) != 0 || read_header(j, header, err) != 0)
        return -1;
    if (decode_object(segment[1], &j->claims, &j->claims_object, "claims", err) != 0)
        return -1;
    j->signed_text = (struct gw_str){token.p, segment[0].len + 1 + segment[1].len};
    return decode(segment[2], &j->signature, "signature", err);
}

void gw_jwt_fini(struct gw_jwt *j)
{
    gw_buf_fini(&j->header);
    gw_buf_fini(&j->claims);
    gw_buf_fini(&j->signature);
    gw_buf_fini(&j->kid);
}
