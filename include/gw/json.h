/* Strict JSON in one pass: RFC 8259 to the letter, and the wanted fields found on the way.
 *
 * Accepts exactly one value with white space around it; valid UTF-8 only (no overlong forms, no surrogates, nothing
 * above U+10FFFF); no BOM; escapes \uD800-\uDFFF only in pairs; depth bounded; an object with the same key twice is
 * refused where `unique_keys` is set. Nothing is copied or allocated: results are slices of the input.
 * Thread-safe (no globals). */
#ifndef GW_JSON_H
#define GW_JSON_H

#include "gw/buf.h"
#include "gw/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_json_type {
    GW_JSON_NONE, /* absent */
    GW_JSON_NULL,
    GW_JSON_FALSE,
    GW_JSON_TRUE,
    GW_JSON_NUMBER,
    GW_JSON_STRING,
    GW_JSON_ARRAY,
    GW_JSON_OBJECT,
};

struct gw_json_val {
    enum gw_json_type type;
    bool escaped;       /* a string that contains a backslash: use gw_json_text to read it */
    struct gw_str raw;  /* the value's own bytes; strings with their quotes */
};

/* What to look for, compiled once: a set of paths such as "a", "a.b", "userIds[*]", "items[*].id", "a.b[0]", "[0].a"
 * (keys, array indexes from 0, and [*] for every element of an array; objects have no [*]). "" is the whole value.
 * A backslash takes the special meaning from the character behind it: a\.b is the one key "a.b". Keys are compared
 * by what they mean: {"\u0061":1} has "a". Immutable after compilation; shared by threads. */
#define GW_JSON_PATHS_MAX 1024   /* paths in a set */
#define GW_JSON_STEPS_MAX 16     /* keys and indexes in a path */
#define GW_JSON_PATH_BYTES_MAX 512
#define GW_JSON_BRANCHES_MAX 64  /* different keys (and different indexes) that a set names at one place */
#define GW_JSON_STATES_MAX 4096  /* places in all; only many [*] crossed with many [n] come near it */

struct gw_json_paths;
struct gw_json_paths *gw_json_paths_new(const char *const *paths, size_t n, struct gw_err *err); /* owned */
void gw_json_paths_free(struct gw_json_paths *p);
size_t gw_json_paths_count(const struct gw_json_paths *p);

/* Where results go. For path i: vals[i] is the value found (of the first match where the path has [*]); type NONE where
 * there is none. For paths with [*] every match is appended to `many` with its path's index, in the order in which the
 * values begin (one value that several paths match: by path index), up to many_max; more than that sets `overflow`.
 * The caller owns the arrays and sets vals, many and many_max; the scan sets all the rest. `many` may be NULL where
 * many_max is 0. Slices borrow from the scanned text. */
struct gw_json_many {
    uint16_t path;
    struct gw_json_val val;
};
struct gw_json_out {
    struct gw_json_val *vals; /* gw_json_paths_count() entries */
    struct gw_json_many *many;
    size_t many_max;
    size_t many_len;
    bool overflow;
};

#define GW_JSON_DEPTH_MAX 256      /* a hard bound on depth_max */
#define GW_JSON_DEPTH_DEFAULT 64
#define GW_JSON_KEYS_MAX 64        /* with unique_keys: in one object */
#define GW_JSON_OPEN_KEYS_MAX 1024 /* with unique_keys: in an object and all those around it together */

struct gw_json_opts {
    unsigned depth_max;  /* nested arrays and objects; 0 means GW_JSON_DEPTH_DEFAULT */
    bool unique_keys;    /* refuse an object at any depth that has a key twice, however it is escaped; an object with
                            more keys than the two bounds above is refused too, so that the check stays cheap */
};

/* Scans all of `text`. 0, or -1 with the reason and byte offset (from 0, at most text.len) in err ("byte 17: expected
 * ',' or '}'"); `out` is then empty. opts may be NULL: the defaults. paths and out may be NULL: a mere check. With a key
 * that comes twice and unique_keys unset, the first one counts, with all that is inside it: the second is not looked at. */
int gw_json_scan(struct gw_str text, const struct gw_json_opts *opts, const struct gw_json_paths *paths,
                 struct gw_json_out *out, struct gw_err *err);

/* The text of a scalar as it appears in a room name or a header: a string unescaped, numbers, true, false as written.
 * Appends to `out`, which is left as it was at -1: null, arrays, objects, absent ones, strings that contain U+0000. */
int gw_json_text(const struct gw_json_val *v, struct gw_buf *out);

/* Iterates the members of an object or the elements of an array that a scan has accepted (anything else ends early, and
 * never reads outside container_raw). Start with *pos = 0. false at the end, and for what is no array or object. key is
 * the raw key without quotes (key_escaped tells of backslashes: see gw_json_key_is); for arrays it is absent. Costs the
 * length of the member. key and key_escaped may be NULL. */
bool gw_json_next(struct gw_str container_raw, size_t *pos, struct gw_str *key, bool *key_escaped, struct gw_json_val *val);

/* Whether a raw key (or the inside of any accepted string) means `name`. */
bool gw_json_key_is(struct gw_str key, bool key_escaped, struct gw_str name);

/* An integer in the range of int64 written without fraction or exponent. -1 otherwise; out is then left as it was. */
int gw_json_i64(const struct gw_json_val *v, int64_t *out);

bool gw_utf8_valid(struct gw_str s); /* RFC 3629 */

#endif
