/* base64url as JWS has it: no padding, no white space, no strangers, and no second spelling of the same bytes, so
 * that a token that was accepted cannot be altered without its signature noticing. Any thread. */
#include "auth_private.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int gw_base64url_decode(struct gw_str in, struct gw_buf *out)
{
    size_t start = out->len;
    uint32_t bits = 0;
    unsigned nbits = 0;
    char *to = gw_buf_reserve(out, in.len / 4 * 3 + 3);

    if (in.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < in.len; i++) {
        int d = digit(in.p[i]);

        if (d < 0)
            goto fail;
        bits = bits << 6 | (uint32_t)d;
        nbits += 6;
        if (nbits >= 8) {
            nbits -= 8;
            *to++ = (char)(unsigned char)(bits >> nbits & 0xffu);
            out->len++;
        }
    }
    if ((bits & ((1u << nbits) - 1u)) == 0) /* RFC 4648 section 3.5 */
        return 0;
fail:
    out->len = start;
    return -1;
}
