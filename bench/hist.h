/*
 * A histogram of microseconds in log-linear slots: 64 to each power of two, so a value read back is at most 1.6 % too high.
 * One thread's own; adding costs a few instructions and no allocation. It keeps no order and no minimum.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define BENCH_HIST_STEP_BITS 6
#define BENCH_HIST_VALUE_BITS 40 /* 2^40 us = 12 days: whatever is longer counts as that */
#define BENCH_HIST_SLOTS ((BENCH_HIST_VALUE_BITS - BENCH_HIST_STEP_BITS + 1) << BENCH_HIST_STEP_BITS)

struct bench_hist {
    uint64_t total;
    uint64_t max; /* us, exact */
    uint64_t slots[BENCH_HIST_SLOTS];
};

/* Counts one value of `us` microseconds. */
static inline void bench_hist_add(struct bench_hist *hist, uint64_t us)
{
    if (us >> BENCH_HIST_VALUE_BITS)
        us = (UINT64_C(1) << BENCH_HIST_VALUE_BITS) - 1;
    if (us > hist->max)
        hist->max = us;
    hist->total++;
    unsigned shift = 0;
    if (us >> BENCH_HIST_STEP_BITS)
        shift = 63 - (unsigned)__builtin_clzll(us) - BENCH_HIST_STEP_BITS;
    hist->slots[((uint64_t)shift << BENCH_HIST_STEP_BITS) + (us >> shift)]++;
}

/* Forgets everything. */
void bench_hist_reset(struct bench_hist *hist);

/* The value in microseconds that `share` (0..1) of all values do not exceed; 0 when there are none. */
uint64_t bench_hist_quantile(const struct bench_hist *hist, double share);

#endif
