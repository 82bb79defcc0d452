/* The scanner's insides: what gateway/base/json*.c and utf8.c share with each other and with nobody else. Contracts
 * for users are in gw/json.h. All functions are pure or work on what they are given: thread-safe. */
#ifndef GW_JSON_INNER_H
#define GW_JSON_INNER_H

#include "gw/json.h"

/* ---- tokens (json_lex.c): each takes the place of its first byte (p < end) and returns the place behind it, or NULL
 * with the reason in the fault. */
struct gw_json_fault {
    const char *at;   /* in the text, or its end */
    const char *what; /* a whole sentence's rest: "expected ',' or '}'" */
};
const char *gw_json_lex_string(const char *p, const char *end, bool *escaped, struct gw_json_fault *f);
const char *gw_json_lex_number(const char *p, const char *end, struct gw_json_fault *f);
const char *gw_json_lex_space(const char *p, const char *end); /* p <= end; never fails */

/* The place behind the closing quote of a string that a scan has accepted; p is behind the opening one. `end` where
 * there is none. */
const char *gw_json_skip_string(const char *p, const char *end, bool *escaped);

/* ---- text (json_text.c) */
/* Decodes one character of an accepted string's inside at *p (< end) into out, as UTF-8; moves *p on; returns the number
 * of bytes, 1 to 4. Bytes that stand for themselves come one at a time. */
size_t gw_json_unescape(const char **p, const char *end, char out[4]);
bool gw_json_same_text(struct gw_str a, struct gw_str b);  /* two insides of strings, compared by what they mean */
uint32_t gw_json_hash_text(struct gw_str s, bool escaped); /* of what an inside means */

/* The length of the valid UTF-8 sequence at p (p < end; RFC 3629 section 4): 1 to 4, or 0. (utf8.c) */
size_t gw_utf8_len(const char *p, const char *end);

/* ---- paths (json_paths.c): compiled to a tree. A state says what is looked for inside one value. All immutable. */
struct gw_json_state;
struct gw_json_key {
    const char *p; /* owned by the state; UTF-8, unescaped */
    size_t len;
    const struct gw_json_state *next;
};
struct gw_json_index {
    size_t n;
    const struct gw_json_state *next; /* also has what [*] asks for there */
};
struct gw_json_hit {
    uint16_t path;
    bool any; /* the path has [*] */
};
struct gw_json_state {
    struct gw_json_hit *hits; /* paths that end here, by index */
    size_t hits_len;
    struct gw_json_key *keys; /* at most GW_JSON_BRANCHES_MAX */
    size_t keys_len;
    uint64_t key_lens;             /* bit min(len, 63) of every key: most other members are passed over by it */
    struct gw_json_index *indexes; /* ascending, at most GW_JSON_BRANCHES_MAX */
    size_t indexes_len;
    const struct gw_json_state *any; /* for elements that indexes does not name; NULL: nothing */
};
const struct gw_json_state *gw_json_paths_root(const struct gw_json_paths *p);

#endif
