/* A growable byte buffer. One owner; no thread safety. Running out of memory aborts: every buffer's size is bounded
 * by its user, so a failing malloc means that the limits of the process are wrong. */
#ifndef GW_BUF_H
#define GW_BUF_H

#include <stddef.h>
#include <stdint.h>

struct gw_buf {
    char *data; /* owned; not NUL-terminated; NULL while cap is 0 */
    size_t len;
    size_t cap;
};

/* A slice of somebody else's bytes: borrowed, valid as long as they are. p == NULL means "absent". */
struct gw_str {
    const char *p;
    size_t len;
};

#define GW_STR(literal) ((struct gw_str){(literal), sizeof(literal) - 1})

struct gw_str gw_str_of(const char *c_string); /* NULL gives an absent slice */
int gw_str_eq(struct gw_str a, struct gw_str b);
int gw_str_is(struct gw_str a, const char *c_string);
char *gw_str_dup(struct gw_str a); /* owned NUL-terminated copy; NULL for an absent one */

void gw_buf_init(struct gw_buf *b);
void gw_buf_fini(struct gw_buf *b);
void gw_buf_clear(struct gw_buf *b); /* length 0, memory kept */
char *gw_buf_reserve(struct gw_buf *b, size_t more); /* room for `more` bytes at data + len; returns that place */
void gw_buf_add(struct gw_buf *b, const void *p, size_t n);
void gw_buf_add_str(struct gw_buf *b, struct gw_str s);
void gw_buf_add_c(struct gw_buf *b, const char *c_string);
void gw_buf_add_char(struct gw_buf *b, char c);
void gw_buf_add_i64(struct gw_buf *b, int64_t v);
void gw_buf_addf(struct gw_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends s as a JSON string with its quotes, escaped as RFC 8259 section 7 asks. s must be valid UTF-8 (see
 * gw_utf8_valid); bytes that are not are replaced by U+FFFD, so that the output always is valid JSON. */
void gw_buf_add_json(struct gw_buf *b, struct gw_str s);
void gw_buf_add_base64(struct gw_buf *b, const void *p, size_t n); /* RFC 4648 section 4, padded */

/* The bytes as a NUL-terminated string, borrowed until the next change of the buffer. */
const char *gw_buf_c(struct gw_buf *b);
struct gw_str gw_buf_str(const struct gw_buf *b);

void *gw_alloc(size_t n);                    /* zeroed; aborts when there is no memory */
void *gw_realloc(void *p, size_t n);         /* aborts when there is no memory */
char *gw_strdup(const char *s);              /* NULL gives NULL */

#endif
