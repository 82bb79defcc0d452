/* What unit tests share: cmocka with the headers that it needs, random numbers that are the same in every run, waiting for a
 * condition with a deadline. */
#ifndef GW_TESTS_UNIT_KIT_H
#define GW_TESTS_UNIT_KIT_H

#include "gw/buf.h"
#include "gw/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

#define AWAIT(condition)                                                                                              \
    do {                                                                                                              \
        int64_t until_ = gw_clock_mono_ms() + 20000;                                                                  \
        while (!(condition)) {                                                                                        \
            if (gw_clock_mono_ms() > until_)                                                                          \
                fail_msg("%s:%d: never came true: %s", __FILE__, __LINE__, #condition);                               \
            usleep(1000);                                                                                             \
        }                                                                                                             \
    } while (0)

/* xorshift32: good enough to shake things up. */
static inline uint32_t random_below(uint32_t *state, uint32_t n)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % n;
}

static inline void expect_str(const char *name, struct gw_str got, const char *want)
{
    if (!want && !got.p)
        return;
    if (!want || !gw_str_is(got, want))
        fail_msg("%s:\n  got  %s%.*s\n  want %s", name, got.p ? "" : "(absent)", (int)got.len, got.p ? got.p : "",
                 want ? want : "(absent)");
}

#endif
