/* Actions: what a client may do, compiled from the configuration; checks the data and builds the Kafka record. Whether the
 * user may do it (membership, rules, rates) is decided by the caller. Immutable after compilation; any thread. */
#ifndef GW_ACTION_H
#define GW_ACTION_H

#include "gw/config.h"
#include "gw/pattern.h"
#include "gw/route.h"

#define GW_ACTION_HEADERS_MAX 32

struct gw_actions;
struct gw_action;

struct gw_actions *gw_actions_new(const struct gw_config *cfg, struct gw_err *err); /* owned; errors carry file:line */
void gw_actions_free(struct gw_actions *as);
const struct gw_action *gw_actions_find(const struct gw_actions *as, struct gw_str name); /* NULL: no such action */
size_t gw_actions_count(const struct gw_actions *as);

size_t gw_action_index(const struct gw_action *a); /* 0 .. count-1 */
const struct gw_cfg_action *gw_action_cfg(const struct gw_action *a);
const struct gw_pattern *gw_action_room(const struct gw_action *a); /* NULL: needs no room */

/* Checks data (raw strict JSON; absent counts as {}) against the action's fields. err names the field: "data.message: expected a string". */
int gw_action_check(const struct gw_action *a, struct gw_str data, struct gw_err *err);

/* What the record is made of. Identity comes from the token, address and agent from the connection: never from data. */
struct gw_action_input {
    struct gw_str data; /* checked */
    struct gw_str user, connection, ip, user_agent;
    struct gw_str room; /* absent: none */
    const struct gw_captures *captures; /* of the room */
    struct gw_str event_id, correlation_id;
    int64_t now_ms;
    int (*claim)(void *arg, struct gw_str path, struct gw_buf *out); /* appends a claim's text; -1: there is none */
    void *claim_arg;
};

/* The record in memory of the scratch, valid until its next use. */
struct gw_action_record {
    struct gw_str key, value;
    struct gw_record_header headers[GW_ACTION_HEADERS_MAX];
    size_t nheaders;
};
struct gw_action_scratch {
    struct gw_buf value, texts;
};
void gw_action_scratch_fini(struct gw_action_scratch *s);

/* -1: a template's reference is missing in data or claims; err names it. */
int gw_action_build(const struct gw_action *a, const struct gw_action_input *in, struct gw_action_scratch *s,
                    struct gw_action_record *out, struct gw_err *err);

#endif
