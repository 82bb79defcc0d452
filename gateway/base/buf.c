/* Byte buffers and slices. No thread safety of its own. */
#include "gw/buf.h"

#include "gw/json_inner.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_die(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return p;
}

void *gw_alloc(size_t n)
{
    return or_die(calloc(1, n ? n : 1));
}

void *gw_realloc(void *p, size_t n)
{
    return or_die(realloc(p, n ? n : 1));
}

char *gw_strdup(const char *s)
{
    return s ? or_die(strdup(s)) : NULL;
}

struct gw_str gw_str_of(const char *c_string)
{
    return (struct gw_str){c_string, c_string ? strlen(c_string) : 0};
}

int gw_str_eq(struct gw_str a, struct gw_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

int gw_str_is(struct gw_str a, const char *c_string)
{
    return a.p && gw_str_eq(a, gw_str_of(c_string));
}

char *gw_str_dup(struct gw_str a)
{
    if (!a.p)
        return NULL;
    char *s = gw_alloc(a.len + 1);
    memcpy(s, a.p, a.len);
    return s;
}

void gw_buf_init(struct gw_buf *b)
{
    *b = (struct gw_buf){0};
}

void gw_buf_fini(struct gw_buf *b)
{
    free(b->data);
    *b = (struct gw_buf){0};
}

void gw_buf_clear(struct gw_buf *b)
{
    b->len = 0;
}

char *gw_buf_reserve(struct gw_buf *b, size_t more)
{
    if (b->cap - b->len < more) {
        size_t cap = b->cap ? b->cap * 2 : 64;
        if (cap < b->len + more)
            cap = b->len + more;
        b->data = gw_realloc(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void gw_buf_add(struct gw_buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(gw_buf_reserve(b, n), p, n);
    b->len += n;
}

void gw_buf_add_str(struct gw_buf *b, struct gw_str s)
{
    gw_buf_add(b, s.p, s.len);
}

void gw_buf_add_c(struct gw_buf *b, const char *c_string)
{
    gw_buf_add(b, c_string, strlen(c_string));
}

void gw_buf_add_char(struct gw_buf *b, char c)
{
    gw_buf_add(b, &c, 1);
}

void gw_buf_add_i64(struct gw_buf *b, int64_t v)
{
    char digits[24];
    char *end = digits + sizeof(digits), *p = end;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        *--p = '-';
    gw_buf_add(b, p, (size_t)(end - p));
}

void gw_buf_addf(struct gw_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0) {
        vsnprintf(gw_buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

static void add_json_special(struct gw_buf *b, unsigned char c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof(shorts); i += 2)
        if ((unsigned char)shorts[i] == c) {
            gw_buf_add(b, (char[]){'\\', shorts[i + 1]}, 2);
            return;
        }
    gw_buf_addf(b, "\\u%04x", c);
}

void gw_buf_add_json(struct gw_buf *b, struct gw_str s)
{
    gw_buf_add_char(b, '"');
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.len;) {
        size_t run = i;
        while (run < s.len && is_plain(p[run]))
            run++;
        gw_buf_add(b, p + i, run - i);
        i = run;
        if (i == s.len)
            break;
        size_t n = gw_utf8_len(s.p + i, s.p + s.len);
        if (n == 0)
            gw_buf_add(b, "\xEF\xBF\xBD", 3);
        else if (n == 1)
            add_json_special(b, p[i]);
        else
            gw_buf_add(b, p + i, n);
        i += n ? n : 1;
    }
    gw_buf_add_char(b, '"');
}

void gw_buf_add_base64(struct gw_buf *b, const void *data, size_t n)
{
    static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        if (i + 1 < n)
            v |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < n)
            v |= p[i + 2];
        char out[4] = {abc[v >> 18], abc[v >> 12 & 63], i + 1 < n ? abc[v >> 6 & 63] : '=',
                       i + 2 < n ? abc[v & 63] : '='};
        gw_buf_add(b, out, 4);
    }
}

const char *gw_buf_c(struct gw_buf *b)
{
    *gw_buf_reserve(b, 1) = '\0';
    return b->data;
}

struct gw_str gw_buf_str(const struct gw_buf *b)
{
    return (struct gw_str){b->data ? b->data : "", b->len};
}
