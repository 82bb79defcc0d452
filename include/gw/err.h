/* Errors for people: a text that says what went wrong and what was expected.
 *
 * Functions that can fail for a reason a human has to read take a `struct gw_err *` (may be NULL) and return -1 or
 * NULL. The first error wins; callers add context in front of it. Nobody logs and returns. */
#ifndef GW_ERR_H
#define GW_ERR_H

#include <stdbool.h>

struct gw_err {
    bool set;
    char text[480];
};

/* Sets the text unless one is set already. Always returns -1, so that `return gw_err_set(...)` reads well. */
int gw_err_set(struct gw_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the text. No effect where nothing is set. */
void gw_err_prefix(struct gw_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
