/* An event: one Kafka record, decoded, as it is handed to the loops. Immutable, reference counted (atomic).
 *
 * The part of its frame that all receivers share is encoded once, when the event is made: everything from "event" on,
 * the record's value spliced as it is. Only the list of matching rooms differs from receiver to receiver. */
#ifndef GW_EVENT_H
#define GW_EVENT_H

#include "gw/buf.h"

#include <stdatomic.h>
#include <stdint.h>

struct gw_event_room {
    struct gw_str name; /* points into the event's own memory */
    uint64_t hash;      /* gw_hash of the name */
};

struct gw_event {
    _Atomic uint32_t refs;
    int32_t partition;
    int64_t offset;
    int64_t time_ms; /* Kafka's time stamp, Unix ms; -1: none */
    struct gw_str topic;
    struct gw_str tail; /* `,"event":...,"data":...}`: behind the rooms, to the end of the JSON object */
    const struct gw_event_room *rooms;
    size_t nrooms;
};

/* What an event is made of; everything is copied, in one allocation. key.p NULL: no key. data: strict JSON. */
struct gw_event_init {
    struct gw_str topic, name, key, data;
    const struct gw_str *rooms;
    size_t nrooms;
    int32_t partition;
    int64_t offset;
    int64_t time_ms;
};

/* scratch is the caller's, kept from event to event. Line feeds between the tokens of data become spaces: a frame's messages
 * are split at line feeds, and inside strings JSON has none. */
struct gw_event *gw_event_new(const struct gw_event_init *init, struct gw_buf *scratch); /* owned: one reference */
struct gw_event *gw_event_ref(struct gw_event *ev);
void gw_event_unref(struct gw_event *ev);

#endif
