/* UTF-8 as RFC 3629 defines it. Pure functions, any thread. It does not repair or convert. */
#include "gw/json_inner.h"

#include <string.h>

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t gw_utf8_len(const char *p, const char *end)
{
    unsigned char c = (unsigned char)p[0];
    size_t left = (size_t)(end - p);
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || left < 2 || !is_tail(p[1])) /* a tail byte, or the overlong C0 and C1 */
        return 0;
    if (c < 0xE0)
        return 2;
    unsigned char second = (unsigned char)p[1];
    if (left < 3 || !is_tail(p[2]))
        return 0;
    if (c < 0xF0) /* E0: nothing overlong; ED: no surrogates */
        return (c == 0xE0 && second < 0xA0) || (c == 0xED && second > 0x9F) ? 0 : 3;
    if (c > 0xF4 || left < 4 || !is_tail(p[3])) /* F0: nothing overlong; F4: not above U+10FFFF */
        return 0;
    return (c == 0xF0 && second < 0x90) || (c == 0xF4 && second > 0x8F) ? 0 : 4;
}

bool gw_utf8_valid(struct gw_str s)
{
    const char *p = s.p, *end = s.len ? s.p + s.len : s.p;
    while (p < end) {
        uint64_t eight;
        if (end - p >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080u) == 0)) {
            p += 8;
            continue;
        }
        size_t n = gw_utf8_len(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}
