/* Answers to actions by idempotency key: a key that is sent again gets the answer of the first time, on whichever loop it comes. Bounded by
 * producer.idempotency_entries, the oldest answers go first. Shared by all loops and the producer's thread, under one lock. */
#ifndef GW_IDEMPOTENCY_H
#define GW_IDEMPOTENCY_H

#include "gw/buf.h"

#include <stdbool.h>

struct idempotency;
struct pending;

struct idempotency *idempotency_new(size_t entries_max);
void idempotency_free(struct idempotency *c);

struct idempotency_answer {
    int32_t partition;
    int64_t offset;
};

enum idempotency_state {
    IDEMPOTENCY_NEW,  /* the caller does it, and then calls idempotency_finish */
    IDEMPOTENCY_WAIT, /* it is under way: `waiter` comes back from idempotency_finish */
    IDEMPOTENCY_DONE, /* *answer is the one of the first time */
};
enum idempotency_state idempotency_begin(struct idempotency *c, struct gw_str key, struct pending *waiter,
                                         struct idempotency_answer *answer);

/* answer NULL: it failed, and the key is free again. Returns the waiters, linked by pending.next_waiter. */
struct pending *idempotency_finish(struct idempotency *c, struct gw_str key, const struct idempotency_answer *answer);

#endif
