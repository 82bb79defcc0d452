/* Templates: text with references in braces, compiled once.
 *
 *   {key}  {header.NAME}  {topic}  {topic.1}  {partition}  {value.a.b}  {value.userIds[*]}      in routes
 *   {room}  {room.id} (any capture of the action's room pattern)  {user}  {claim.x}  {data.a.b}      in actions
 *
 * A reference is a root and, behind the first dot, a path. A literal brace is written twice; names that contain a
 * brace cannot be referred to. The set of roots that may be used is the caller's. What a path means is the caller's
 * too, but for [*] (every element of an array), which is found here as JSON paths have it: \[*] is not one. Immutable
 * after compilation; any thread. */
#ifndef GW_TEMPLATE_H
#define GW_TEMPLATE_H

#include "gw/buf.h"
#include "gw/err.h"

#include <stdbool.h>

#define GW_TEMPLATE_BYTES_MAX 2048
#define GW_TEMPLATE_PARTS_MAX 32

struct gw_template_part {
    struct gw_str literal; /* p NULL: a reference */
    struct gw_str root;    /* "value", "key", "header", ... */
    struct gw_str path;    /* what stands behind the first dot; may be absent */
    bool many;             /* the path has [*] */
    int slot;              /* free for the user of the template (e.g. index into gw_json_paths); -1 at first */
};

struct gw_template;
/* roots: NULL-terminated list of what may stand between braces. "key" is the name alone; "value." must be followed by a
 * path; "topic.N" by a number from 1 to 99. List several where several are fine ("topic", "topic.N"). [*] may stand
 * once in the whole text (allow_many false: not at all). Neighbouring literals are one part; "" has no parts. The text
 * must be valid UTF-8. Errors name the reference and, where it is unknown, the list. Owned by the caller; text is
 * copied. */
struct gw_template *gw_template_new(const char *text, const char *const *roots, bool allow_many, struct gw_err *err);
void gw_template_free(struct gw_template *t); /* NULL is fine */
/* borrowed; slots may be set at load */
size_t gw_template_parts(struct gw_template *t, struct gw_template_part **parts);
bool gw_template_is_literal(const struct gw_template *t);  /* no references */
int gw_template_many_part(const struct gw_template *t);    /* index of the part with [*], or -1 */

/* Appends the expansion to `out`. resolve appends a reference's text and returns 0, or -1 where it is missing; then -1 is
 * returned, `out` is as it was, and *missing (may be NULL) is the part. */
int gw_template_expand(const struct gw_template *t,
                       int (*resolve)(const struct gw_template_part *part, struct gw_buf *out, void *arg), void *arg,
                       struct gw_buf *out, const struct gw_template_part **missing);

#endif
