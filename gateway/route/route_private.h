/* What the files of gateway/route/ share. Three layers, each compiled from the one above it:
 *
 *   struct route        one route of the configuration; its paths have numbers of its own   (compile.c)
 *   struct bound_route  that route for one topic: captures, numbers in the topic's path set (topic.c)
 *   struct route_view   that one for one record, while it is applied                        (resolve.c, when.c, apply.c) */
#ifndef GW_ROUTE_PRIVATE_H
#define GW_ROUTE_PRIVATE_H

#include "gw/route.h"
#include "gw/template.h"

#include <regex.h>

#define EVENT_NAME_BYTES_MAX 128
#define TOPIC_BYTES_MAX 249 /* Kafka's own limit */
#define REGEX_BYTES_MAX 512

/* ---- compiled once, at load ---- */

enum ref_kind { REF_VALUE, REF_KEY, REF_HEADER, REF_TOPIC, REF_CAPTURE, REF_PARTITION };

/* What a template or a condition reads of a record. */
struct route_ref {
    enum ref_kind kind;
    char *text;         /* owned; as in the configuration, without braces: for errors */
    struct gw_str name; /* HEADER: inside `text` */
    unsigned group;     /* CAPTURE */
    bool many;          /* VALUE: the path has [*] */
    size_t star;        /* many: where [*] stands in `text` */
    uint16_t path;      /* VALUE: index into the route's paths, like the two below */
    uint16_t array;     /* many: the array itself, "items" of "items[*].id" */
    uint16_t element;   /* many: its elements, "items[*]"; the same as `path` where nothing stands behind [*] */
};

struct route_topic {
    char *text; /* owned */
    bool is_regex;
    regex_t regex;
};

struct route_room {
    struct gw_template *template; /* slots are indexes into the route's refs */
    int many_ref;                 /* index of the ref with [*], or -1 */
};

struct route_when {
    size_t ref;
    struct gw_str *values; /* their bytes are in `store` */
    size_t n;              /* 0: it must exist */
    struct gw_buf store;
};

struct route_require {
    char *text; /* owned; the path as in the configuration */
    uint16_t path;
    bool is_array; /* the path has [*]: `path` is that of the array */
};

struct route {
    struct route_topic *topics;
    size_t ntopics;
    size_t groups_max; /* the most groups that one of its regexes has */
    struct gw_template *event;
    struct gw_str event_literal; /* absent where the name depends on the record */
    struct route_room *rooms;
    size_t nrooms;
    struct route_when *when;
    size_t nwhen;
    struct route_require *require;
    size_t nrequire;
    struct route_ref *refs;
    size_t nrefs;
    char **paths; /* owned; without repeats */
    bool *is_many; /* for each path: it has [*] */
    size_t npaths;
    size_t nmany;  /* how many of them have [*] */
};

struct gw_routes {
    struct route *v;
    size_t n;
    const char **exact; /* names borrowed from the routes, without repeats */
    size_t nexact;
    bool has_regex;
    char *dlt_suffix;
    size_t event_bytes_max;
    unsigned event_depth_max;
    size_t rooms_max;
};

/* NULL where it is a good name for an event, or what is wrong: "is empty". */
const char *event_name_fault(struct gw_str name);

int route_compile(struct route *rt, const struct gw_cfg_route *cfg, struct gw_err *err);
void route_fini(struct route *rt);

/* Whether the route is for this topic: its entry, or NULL. Where that is a regex, m (NULL or groups_max + 1 of them)
 * gets the match. */
const struct route_topic *route_find_topic(const struct gw_routes *r, const struct route *rt, const char *topic,
                                           regmatch_t *m);

/* ---- compiled once per topic ---- */

/* The paths of some routes as one set. */
struct path_plan {
    struct gw_json_paths *paths; /* NULL where there are none: the value is only checked */
    size_t n;
    size_t nmany; /* how many of them have [*] */
};

/* slots[i][k]: where path k of route i is in the set; slots may be NULL, its elements are owned by the caller, on failure
 * too. -1 with err: more paths than a set can have. */
int path_plan_make(struct path_plan *plan, const struct route *const *routes, size_t n, uint16_t **slots,
                   struct gw_err *err);
void path_plan_fini(struct path_plan *plan);

struct bound_route {
    const struct route *route;
    struct gw_str *captures; /* groups_max + 1; absent: the group took no part in the match */
    uint16_t *slots;         /* the route's paths in the topic's plan */
    /* Only where other routes of the topic have [*] paths that this one has not: its own paths alone, for the rare value
     * whose arrays, perhaps theirs, do not fit into the scratch. */
    struct path_plan own;
    uint16_t *own_slots; /* NULL: there is no such plan */
};

struct gw_topic_routes {
    const struct gw_routes *all;
    char *topic;
    struct gw_str name; /* the same */
    struct bound_route *v;
    size_t n;
    struct path_plan plan;
};

struct gw_topic_routes *topic_routes_make(const struct gw_routes *r, const char *topic, struct gw_err *err);

/* ---- used per record ---- */

struct room_cell {
    uint32_t round; /* the cell is empty unless this is the set's round */
    uint32_t index;
};

/* Names without repeats, in the order in which they came. The bytes are in a buffer of the caller's, which may move while
 * rooms are added. */
struct room_set {
    struct room_span {
        size_t start, len;
    } *spans;
    struct gw_str *names; /* filled in at the end */
    size_t cap;           /* of both */
    size_t n;
    struct room_cell *cells; /* a hash table over spans, in use from ROOMS_SCANNED rooms on */
    size_t ncells;           /* power of two, or 0 */
    uint32_t round;
    bool indexed; /* all spans are in the table */
};

void room_set_reserve(struct room_set *rs, size_t rooms_max); /* the table for so many rooms */
void room_set_fini(struct room_set *rs);
void room_set_clear(struct room_set *rs);
/* Takes the bytes from `start` to the end of `text` as a room, or cuts them off again where it is there already. */
enum gw_route_reason room_set_add(struct room_set *rs, struct gw_buf *text, size_t start, size_t rooms_max);
const struct gw_str *room_set_names(struct room_set *rs, const struct gw_buf *text);

struct gw_route_scratch {
    struct gw_json_val *vals;
    size_t nvals;
    struct gw_json_many *many;
    size_t many_cap;
    size_t many_len;
    struct gw_buf text; /* the event's name, then the rooms */
    struct gw_buf tmp;  /* one reference's text where it is no slice of the record */
    struct room_set rooms;
};

struct route_view {
    const struct gw_topic_routes *topic;
    const struct gw_record *rec;
    struct gw_route_scratch *s;
    const struct bound_route *bound;
    const uint16_t *slots;             /* of the plan that the value was scanned with */
    const struct gw_json_val *element; /* what the [*] of the template stands for at the moment */
    size_t element_index;
    const char *why;               /* "is missing": why the last reference has no text */
    const struct route_ref *empty; /* a reference whose text is empty */
};

const struct gw_json_val *view_value(const struct route_view *view, const struct route_ref *ref);
const struct gw_json_val *view_path(const struct route_view *view, uint16_t path);
bool view_exists(const struct route_view *view, const struct route_ref *ref);
/* The reference's text, borrowed from the record or from s->tmp until the next call. -1 sets view->why. */
int view_text(struct route_view *view, const struct route_ref *ref, struct gw_str *out);
const char *json_type_text(enum gw_json_type type); /* "is an array" */

/* Whether all conditions of view->bound hold; view->slots must be set. */
bool when_holds(struct route_view *view);

#endif
