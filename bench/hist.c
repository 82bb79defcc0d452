/*
 * Reading the histogram of hist.h back. Any thread that owns the histogram; no locking.
 */
#include "hist.h"

#include <string.h>

void bench_hist_reset(struct bench_hist *hist)
{
    memset(hist, 0, sizeof *hist);
}

/* The highest value that falls into a slot. */
static uint64_t slot_top(unsigned slot)
{
    unsigned step = 1U << BENCH_HIST_STEP_BITS;
    if (slot < 2 * step)
        return slot;
    unsigned shift = (slot >> BENCH_HIST_STEP_BITS) - 1;
    uint64_t lead = (slot & (step - 1)) + step;
    return ((lead + 1) << shift) - 1;
}

uint64_t bench_hist_quantile(const struct bench_hist *hist, double share)
{
    if (hist->total == 0)
        return 0;
    uint64_t wanted = (uint64_t)((double)hist->total * share);
    if (wanted >= hist->total)
        return hist->max;
    uint64_t seen = 0;
    for (unsigned i = 0; i < BENCH_HIST_SLOTS; i++) {
        seen += hist->slots[i];
        if (seen > wanted)
            return slot_top(i) < hist->max ? slot_top(i) : hist->max;
    }
    return hist->max;
}
