/* An action that waits for Kafka. Made by the loop that took it, filled in on the producer's thread, answered and freed on its loop. */
#ifndef GW_PENDING_H
#define GW_PENDING_H

#include "net_private.h"

struct pending {
    struct loop *loop;
    struct session_id session;
    struct pending *next_waiter; /* others with the same idempotency key */
    bool waits;                  /* a repetition: the first one's answer is passed on */
    bool ok, retry;
    int32_t partition;
    int64_t offset;
    char *topic;           /* owned */
    struct gw_buf key;     /* for the cache of answers; empty: none */
    char error[160];
    char event_id[132];
    char msg_id[68];       /* raw JSON; "" : none */
};

#endif
