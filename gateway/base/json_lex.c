/* JSON's tokens: strings, numbers, white space (RFC 8259 sections 2, 6, 7). Pure functions, any thread.
 *
 * This is where the bytes are spent, so the inside of a string goes 16 (SSE2) or 8 bytes at a time. It knows nothing of
 * arrays, objects and paths (json.c), and gives strings no value (json_text.c). */
#include "gw/json_inner.h"

#include <string.h>

#if defined(__SSE2__) && !defined(GW_JSON_PORTABLE)
#include <emmintrin.h>
#define WIDE 1
#endif

static const char *fail(struct gw_json_fault *f, const char *at, const char *what)
{
    f->at = at;
    f->what = what;
    return NULL;
}

/* Ends a run: quote, backslash, control characters, and the first byte of anything that is not ASCII. */
static inline bool is_plain(char c)
{
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

#ifdef WIDE
static inline unsigned special_mask(const char *p)
{
    __m128i v = _mm_loadu_si128((const void *)p);
    /* Compared as signed bytes, 80-FF lie below 20 like the control characters. */
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i back = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, back)));
}
#else
/* Whether one of the eight bytes is equal to the byte that `all` repeats: only there the difference has a zero byte. */
static inline uint64_t zero_bytes(uint64_t x)
{
    return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
}

static inline bool has_special(const char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    uint64_t low = (x - 0x2020202020202020u) & ~x; /* may also flag a byte above a real one: then a look decides */
    return ((low | x) & 0x8080808080808080u) | zero_bytes(x ^ 0x2222222222222222u) |
           zero_bytes(x ^ 0x5C5C5C5C5C5C5C5Cu);
}
#endif

static inline const char *skip_plain(const char *p, const char *end)
{
#ifdef WIDE
    while (end - p >= 16) {
        unsigned mask = special_mask(p);
        if (mask)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#else
    while (end - p >= 8 && !has_special(p))
        p += 8;
#endif
    while (p < end && is_plain(*p))
        p++;
    return p;
}

static int hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* p is at "\u". Surrogates only in pairs: anything else stands for no character (RFC 8259 section 8.2). */
static const char *lex_unicode(const char *p, const char *end, struct gw_json_fault *f)
{
    int unit = hex4(p + 2, end);
    if (unit < 0)
        return fail(f, p, "expected four hexadecimal digits behind \\u");
    if (unit < 0xD800 || unit > 0xDFFF)
        return p + 6;
    if (unit > 0xDBFF || end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return fail(f, p, "a \\u surrogate without its other half");
    int low = hex4(p + 8, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return fail(f, p, "a \\u surrogate without its other half");
    return p + 12;
}

static const char *lex_escape(const char *p, const char *end, struct gw_json_fault *f)
{
    if (end - p < 2)
        return fail(f, end, "the text ends inside a string");
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        return lex_unicode(p, end, f);
    default:
        return fail(f, p, "an unknown escape in a string");
    }
}

const char *gw_json_lex_string(const char *p, const char *end, bool *escaped, struct gw_json_fault *f)
{
    *escaped = false;
    for (p++;;) {
        p = skip_plain(p, end);
        if (p == end)
            return fail(f, end, "the text ends inside a string");
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            *escaped = true;
            p = lex_escape(p, end, f);
            if (!p)
                return NULL;
            continue;
        }
        if ((unsigned char)*p < 0x20)
            return fail(f, p, "a control character in a string");
        do { /* what is not ASCII seldom comes alone */
            size_t n = gw_utf8_len(p, end);
            if (n == 0)
                return fail(f, p, "invalid UTF-8");
            p += n;
        } while (p < end && (unsigned char)*p >= 0x80);
    }
}

const char *gw_json_skip_string(const char *p, const char *end, bool *escaped)
{
    *escaped = false;
    while (p < end) {
        p = skip_plain(p, end);
        if (p == end)
            break;
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            *escaped = true;
            p = end - p < 2 ? end : p + 2;
            continue;
        }
        do
            p++;
        while (p < end && (unsigned char)*p >= 0x80);
    }
    return end;
}

static inline bool is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

static inline const char *skip_digits(const char *p, const char *end)
{
    while (is_digit(p, end))
        p++;
    return p;
}

const char *gw_json_lex_number(const char *p, const char *end, struct gw_json_fault *f)
{
    if (*p == '-')
        p++;
    if (!is_digit(p, end))
        return fail(f, p, "expected a digit");
    if (*p == '0' && is_digit(p + 1, end))
        return fail(f, p, "a number with a zero in front");
    p = skip_digits(p, end);
    if (p < end && *p == '.') {
        if (!is_digit(p + 1, end))
            return fail(f, p + 1, "expected a digit behind the point");
        p = skip_digits(p + 1, end);
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (!is_digit(p, end))
            return fail(f, p, "expected a digit in the exponent");
        p = skip_digits(p, end);
    }
    return p;
}

const char *gw_json_lex_space(const char *p, const char *end)
{
    for (;;) {
        uint64_t eight;
        while (p < end && (*p == '\n' || *p == '\r' || *p == '\t'))
            p++;
        if (p == end || *p != ' ')
            return p;
        while (end - p >= 8 && (memcpy(&eight, p, 8), eight == 0x2020202020202020u)) /* indented text */
            p += 8;
        while (p < end && *p == ' ')
            p++;
    }
}
