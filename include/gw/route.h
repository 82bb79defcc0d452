/* Routing: which event a Kafka record is, and which rooms it belongs to. Everything is compiled at load; immutable and
 * thread-safe after that, but for the scratch, which belongs to one thread. */
#ifndef GW_ROUTE_H
#define GW_ROUTE_H

#include "gw/config.h"
#include "gw/json.h"
#include "gw/pattern.h"

struct gw_record_header {
    struct gw_str name;
    struct gw_str value; /* p NULL: a null value */
};

/* A record as Kafka has it; everything borrowed. key.p or value.p NULL: null (not empty). */
struct gw_record {
    struct gw_str topic;
    int32_t partition;
    int64_t offset;
    int64_t time_ms; /* -1: none */
    struct gw_str key;
    struct gw_str value;
    const struct gw_record_header *headers;
    size_t nheaders;
};

/* Why a record goes to no room. Texts for logs, DLT headers and metrics come from gw_route_reason_name. */
enum gw_route_reason {
    GW_ROUTE_OK,
    GW_ROUTE_NO_MATCH,  /* no route's `when` held: not an error, the record is skipped */
    GW_ROUTE_TOMBSTONE, /* null value: skipped, counted */
    GW_ROUTE_TOO_LARGE, /* DLT: the value is over limits.event_bytes; it was not scanned */
    GW_ROUTE_NOT_JSON,  /* DLT: not strict JSON, or deeper than limits.event_depth; an empty value too */
    GW_ROUTE_MISSING,   /* DLT: `require` fails, a template's reference has no text, or the event's name is none */
    GW_ROUTE_BAD_ROOM,  /* DLT: a room's name, or a reference in it, is empty; or it is too long or not printable */
    GW_ROUTE_TOO_MANY,  /* DLT: more rooms, or elements of arrays for them, than limits.rooms_per_event */
};
const char *gw_route_reason_name(enum gw_route_reason r); /* "not_json" ... */
bool gw_route_reason_is_dlt(enum gw_route_reason r);

/* How a route is read
 *
 * Templates and conditions (references without braces) may name: value.PATH (paths as in gw/json.h), key, header.NAME (the
 * last one of that name), topic, topic.N (what group N of the route's ^regex matched) and partition. A reference's text is a
 * string, a number or boolean as written; null, objects, arrays, strings with U+0000, null keys and headers and such
 * that are not UTF-8 have none, and the record is refused.
 *
 * A room's template with [*] gives one room for each element. Each element must have a text, and with "items[*].id" each
 * element must have an id. An array that is absent or null gives no rooms and is no error (`require` makes it one);
 * something else in its place is an error. `require: [userIds]` is content with an empty array; "items[*].id" there asks
 * for the array alone.
 *
 * Several texts of one `when` are alternatives; a condition without texts asks that there be something and not null. The
 * conditions of a route must all hold; routes are tried in the configuration's order.
 *
 * A ^regex is anchored at its start alone. It never means topics that end in kafka.dlt_suffix, nor __consumer_offsets and
 * __transaction_state: exact names only get those. */
struct gw_routes;
/* Owned; cfg is not needed afterwards. Errors carry file:line of the piece ("learning.yaml:12: routes[0].rooms[1]:
 * {valeu.x}: unknown reference; expected value., key, ..."). {topic.N} must be there for every topic of its route. */
struct gw_routes *gw_routes_new(const struct gw_config *cfg, struct gw_err *err);
void gw_routes_free(struct gw_routes *r); /* NULL is fine */

/* The topics to read: the exact names (without repeats), and whether a topic's name is routed, exactly or by a ^regex. */
size_t gw_routes_exact_topics(const struct gw_routes *r, const char *const **names); /* borrowed */
bool gw_routes_has_regex(const struct gw_routes *r);
bool gw_routes_wants_topic(const struct gw_routes *r, const char *topic);

/* What is known of one topic once its name is: its routes in the config's order and the regexes' captures. Owned by the
 * caller, and borrows from `r`; made once per topic, not per record. Never NULL; a topic that is not routed has no routes
 * (NO_MATCH). */
struct gw_topic_routes;
struct gw_topic_routes *gw_topic_routes_new(const struct gw_routes *r, const char *topic);
void gw_topic_routes_free(struct gw_topic_routes *t); /* NULL is fine */

/* Results of one record. Slices are in memory of the scratch or the routes: valid until the scratch's next use. */
struct gw_routed {
    struct gw_str event;        /* the event's name: 1 to 128 bytes of valid UTF-8 without control characters */
    const struct gw_str *rooms; /* distinct valid names, in the order of the templates and of the arrays in the value */
    size_t nrooms;              /* may be 0: an empty userIds[]; no error */
};
/* The memory for one record at a time. `r` says how large it starts; it may be used with any routes, also later ones. */
struct gw_route_scratch;
struct gw_route_scratch *gw_route_scratch_new(const struct gw_routes *r); /* owned */
void gw_route_scratch_free(struct gw_route_scratch *s);                   /* NULL is fine */

/* Applies the first route of the topic whose `when` holds. On a reason other than OK `err` says more ("rooms[0]:
 * value.sessionId is missing") and `out` is empty. rec->topic is not looked at: `t` knows it. The value is scanned once,
 * whatever the number of routes and templates; twice only where its arrays overrun limits.rooms_per_event. */
enum gw_route_reason gw_route_apply(const struct gw_topic_routes *t, const struct gw_record *rec,
                                    struct gw_route_scratch *s, struct gw_routed *out, struct gw_err *err);

#endif
