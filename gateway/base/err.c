/* Errors for people. Any thread: the struct belongs to its caller. */
#include "gw/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int gw_err_set(struct gw_err *err, const char *fmt, ...)
{
    if (!err || err->set)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    err->set = true;
    return -1;
}

void gw_err_prefix(struct gw_err *err, const char *fmt, ...)
{
    if (!err || !err->set)
        return;
    char old[sizeof(err->text)];
    memcpy(old, err->text, sizeof(old));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n, size = sizeof(err->text);
    if (used + 3 > size)
        return;
    memcpy(err->text + used, ": ", 2);
    size_t keep = strnlen(old, size - used - 3);
    memcpy(err->text + used + 2, old, keep);
    err->text[used + 2 + keep] = '\0';
}
