/* Room names and patterns. A room's name is 1 to 256 bytes of printable UTF-8 without white space, control
 * characters or invisible ones (zero width, bidirectional marks); by custom `kind:id`. A pattern is a literal with
 * captures in braces, "session:{id}", "doc:{tenant}:{id}"; a literal brace is written twice.
 *
 * A capture matches one or more bytes and never a ':', unless the pattern ends with it: then it takes the rest. Two
 * captures must have a ':' somewhere between them, so that a name matches in one way only. Immutable after
 * compilation; any thread. */
#ifndef GW_PATTERN_H
#define GW_PATTERN_H

#include "gw/buf.h"
#include "gw/err.h"

#include <stdbool.h>

#define GW_CAPTURES_MAX 8
#define GW_ROOM_BYTES_MAX 256

struct gw_captures {
    size_t n;
    struct gw_capture {
        struct gw_str name; /* borrowed from the pattern */
        struct gw_str value; /* borrowed from the room's name */
    } v[GW_CAPTURES_MAX];
};

bool gw_room_name_valid(struct gw_str room);
bool gw_name_printable(struct gw_str name); /* the characters alone, of any length; users' names follow it too */

struct gw_pattern;
struct gw_pattern *gw_pattern_new(const char *text, struct gw_err *err); /* owned; text is copied */
void gw_pattern_free(struct gw_pattern *p);                              /* NULL is fine */
const char *gw_pattern_text(const struct gw_pattern *p);                 /* borrowed */
size_t gw_pattern_captures(const struct gw_pattern *p);
/* A capture's name, borrowed; absent past the last. */
struct gw_str gw_pattern_capture(const struct gw_pattern *p, size_t index);
bool gw_pattern_has_capture(const struct gw_pattern *p, struct gw_str name);
/* out may be NULL; it is written where the name matches, and borrows from both. */
bool gw_pattern_match(const struct gw_pattern *p, struct gw_str room, struct gw_captures *out);

/* Appends `text` with each {name} replaced by its capture. -1: a name is not captured (c may be NULL), or a brace is
 * astray; then `out` is as it was. */
int gw_captures_expand(const struct gw_captures *c, struct gw_str text, struct gw_buf *out);

/* Appends the pattern with its captures filled in from `c`. -1: one is missing; then `out` is as it was. The result
 * need not be a valid name, nor match the pattern (a value with a ':'). */
int gw_pattern_fill(const struct gw_pattern *p, const struct gw_captures *c, struct gw_buf *out);

/* For texts that gw_captures_expand will get later: -1 with err where a brace is astray or a {name} is no capture of
 * the pattern (p NULL: there are none). */
int gw_pattern_check_text(const struct gw_pattern *p, struct gw_str text, struct gw_err *err);

#endif
