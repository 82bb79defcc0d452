/* The hub: which loops care for a room, and the hand-over of events from the reader to them.
 *
 * Interest is a sharded table (room -> bit mask of loops) under short locks: a loop sets its bit when its first member
 * joins, before it confirms the join, and clears it with its last. The reader looks each event's rooms up once; an event
 * that no loop wants costs that look-up and nothing more. Each loop has one bounded mailbox; a full one holds the reader
 * back, and so Kafka. */
#ifndef GW_HUB_H
#define GW_HUB_H

#include "gw/event.h"
#include "gw/mailbox.h"
#include "gw/route.h"

#define GW_LOOPS_MAX 64

/* Kinds of mail in a loop's mailbox; the owner of the loops adds its own from GW_MAIL_FIRST_FREE on. */
enum { GW_MAIL_EVENT = 1, GW_MAIL_FIRST_FREE }; /* GW_MAIL_EVENT: item is a struct gw_event, one reference goes along */

struct gw_hub;
struct gw_hub *gw_hub_new(unsigned nloops, size_t queue_events, size_t queue_bytes); /* owned; bounds of each loop's queue */
void gw_hub_free(struct gw_hub *h);                              /* after reader and loops have ended */
unsigned gw_hub_loops(const struct gw_hub *h);

/* [loop] A room's first member came, its last one left. */
void gw_hub_want(struct gw_hub *h, unsigned loop, struct gw_str room);
void gw_hub_unwant(struct gw_hub *h, unsigned loop, struct gw_str room);

/* [reader] Hands a routed record to the loops that want one of its rooms: the event is made (bytes copied once) only
 * where one does. Blocks while a loop's queue is full, at most until gw_hub_stop. Does not wake the loops: gw_hub_flush does,
 * once a batch. Returns the number of loops. */
unsigned gw_hub_publish(struct gw_hub *h, const struct gw_record *rec, const struct gw_routed *routed);
void gw_hub_flush(struct gw_hub *h);

/* Positions. [reader] Notes that everything of the partition below `next_offset` has been handed over. [loop] A loop that
 * takes a snapshot and then empties its mailbox has put out everything below it. */
void gw_hub_advance(struct gw_hub *h, struct gw_str topic, int32_t partition, int64_t next_offset);
struct gw_hub_position {
    struct gw_str topic; /* lives as long as the hub */
    int32_t partition;
    int64_t next_offset;
    size_t index;     /* 0, 1, 2 ... in order of appearance; stays */
    uint64_t version; /* of the change; versions rise with every change of any position */
};
/* Calls fn with what has changed since `version`; returns the newest version. fn runs under the hub's lock: it copies, no more. */
uint64_t gw_hub_positions(struct gw_hub *h, uint64_t version, void (*fn)(const struct gw_hub_position *pos, void *arg),
                          void *arg);

/* [any thread] Ends waiting in gw_hub_publish: events are dropped from here on; used at the end only. */
void gw_hub_stop(struct gw_hub *h);

/* The loop's queue; its wake-up is set by the loop before the reader starts. */
struct gw_mailbox *gw_hub_mailbox(struct gw_hub *h, unsigned loop);

#endif
