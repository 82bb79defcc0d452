/* What the files of gateway/config/ share. Nobody else includes it.
 *
 * Loading runs on one thread (main); nothing here is locked. Functions return 0, or -1 with the reader's err set. */
#ifndef GW_CONFIG_PRIVATE_H
#define GW_CONFIG_PRIVATE_H

#include "gw/buf.h"
#include "gw/config.h"
#include "gw/err.h"

#define GW_CFG_FILE_BYTES_MAX ((size_t)4 << 20)
#define GW_CFG_NODES_MAX 100000u
#define GW_CFG_DEPTH_MAX 64u
#define GW_CFG_TEXT_BYTES_MAX 4096u     /* a scalar option, a template, a pattern */
#define GW_CFG_PROPERTY_BYTES_MAX 65536u /* a value of kafka.properties: may be a whole certificate */
#define GW_CFG_KEY_BYTES_MAX 256u       /* keys that people choose; libyaml reads keys of up to 1024 bytes */
#define GW_CFG_NAME_MAX 64u             /* SLUICE_... and flags, with the NUL */
#define GW_CFG_MASK "********"

/* ---- the table of scalar options (options.c) ---- */
enum gw_opt_type { GW_OPT_TYPE_STR, GW_OPT_TYPE_INT, GW_OPT_TYPE_BOOL, GW_OPT_TYPE_ENUM };

struct gw_opt {
    const char *path;
    enum gw_opt_type type;
    size_t offset;    /* into struct gw_config */
    const char *text; /* STR: default; ENUM: names, split by '|'; else NULL */
    int64_t def, min, max;
    unsigned flags;
    const char *help;
};
extern const struct gw_opt gw_opts[];
extern const size_t gw_opts_n;

const struct gw_opt *gw_opt_find(const char *path);
/* Writes "SLUICE_KAFKA_CLIENT_ID" and "kafka-client-id" of a path. */
void gw_opt_env_name(const char *path, char out[GW_CFG_NAME_MAX]);
void gw_opt_flag_name(const char *path, char out[GW_CFG_NAME_MAX]);
void gw_opt_set_default(struct gw_config *c, const struct gw_opt *o);
/* Takes the value from a text. words: the booleans of the environment (1, yes, on ...) are fine too. dir: what a file's name
 * is relative to. at is copied. */
int gw_opt_set(struct gw_config *c, const struct gw_opt *o, const char *text, bool words, const char *dir,
               const char *at, struct gw_err *err);
/* Appends the value as YAML; a secret as it is unless mask. */
void gw_opt_print(const struct gw_config *c, const struct gw_opt *o, bool mask, struct gw_buf *out);
void gw_opt_print_range(const struct gw_opt *o, struct gw_buf *out); /* "1 to 64", "true or false", "debug, info" */
void gw_opt_print_default(const struct gw_opt *o, struct gw_buf *out);
bool gw_opt_equal(const struct gw_config *a, const struct gw_config *b, const struct gw_opt *o);

/* ---- texts (text.c) ---- */
struct gw_shown {
    char s[80];
};
struct gw_shown gw_cfg_show(const char *text); /* shortened, without control characters: for errors and comments */
int gw_cfg_nearest(struct gw_str word, const struct gw_str *names, size_t n); /* index of a likely misspelling, or -1 */
char *gw_cfg_join_path(const char *dir, const char *name); /* owned; absolute names and "" stay; dir NULL: as it is */
char *gw_cfg_dir_of(const char *file); /* owned, absolute; NULL: the working directory. NULL if that is unknown */
void gw_cfg_quote(struct gw_buf *out, const char *text); /* double-quoted YAML */

/* ---- YAML as nodes (yaml.c) ---- */
enum gw_node_kind { GW_NODE_SCALAR, GW_NODE_LIST, GW_NODE_MAP };

struct gw_node {
    enum gw_node_kind kind;
    size_t line;           /* from 1 */
    char *text;            /* SCALAR: owned */
    bool plain;            /* SCALAR: without quotes */
    struct gw_node *items; /* LIST, MAP: owned array of n */
    size_t n;
    char *key;             /* item of a MAP: owned */
    size_t key_line;
};

/* An owned tree, aliases expanded, or NULL. source is the name in errors. An empty document is an empty map. */
struct gw_node *gw_node_parse(const char *source, const char *text, size_t len, struct gw_err *err);
void gw_node_free(struct gw_node *n);
bool gw_node_is_null(const struct gw_node *n); /* nothing, ~ or null */

/* ---- reading nodes (read.c) ---- */
struct gw_reading {
    struct gw_config *c;
    const char *source; /* borrowed */
    char *dir;          /* owned: what file names are relative to; may be NULL */
    struct gw_err *err;
};

/* Where a node stands: a chain up to the document, spelt out only where it is needed. */
struct gw_place {
    const struct gw_place *up; /* NULL: the document */
    const char *key;           /* NULL: an item of a list */
    size_t index;
    size_t line;
};

char *gw_place_text(const struct gw_reading *r, const struct gw_place *p); /* owned: "file:line: key" */
int gw_cfg_fail(const struct gw_reading *r, const struct gw_place *p, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int gw_cfg_fail_unknown(const struct gw_reading *r, const struct gw_place *p, const struct gw_str *names, size_t n);
/* `expected` completes "...; expected". Fails unless n is of that kind. */
int gw_cfg_want(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, enum gw_node_kind kind,
                const char *expected);

typedef int gw_read_fn(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, void *dst);

struct gw_key {
    const char *name;
    gw_read_fn *read;
    size_t offset;        /* of what `read` fills, in the struct of the map */
    const char *required; /* what was expected where the key is missing; NULL: it may be */
};

int gw_read_map(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n,
                const struct gw_key *keys, size_t nkeys, void *dst);
/* Reads a list into a new array of items of `size` bytes. */
int gw_read_list(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, size_t size,
                 gw_read_fn *item, const char *expected, void *array, size_t *count);
/* Reads a map with keys that people choose: `item` is called with the place of each value. */
int gw_read_pairs(const struct gw_reading *r, const struct gw_place *p, const struct gw_node *n, size_t size,
                  gw_read_fn *item, const char *expected, void *array, size_t *count);
gw_read_fn gw_read_string; /* char *: a text that is not empty */
gw_read_fn gw_read_path;   /* char *: a file's name */
gw_read_fn gw_read_text;   /* struct gw_cfg_text, not empty */
gw_read_fn gw_read_texts;  /* struct gw_cfg_texts: a text or a list of them */
gw_read_fn gw_read_texts1; /* the same, at least one */
gw_read_fn gw_read_bool;   /* bool */
int gw_cfg_bool(const char *text, bool words); /* 0, 1, or -1 */
int gw_read_document(const struct gw_reading *r, const struct gw_node *root);

/* ---- the lists (lists.c, actions.c) and how they print (print.c) ---- */
struct gw_list {
    const char *path;
    gw_read_fn *read; /* dst: the struct gw_config; replaces what is there */
    void (*print)(const struct gw_config *c, bool mask, struct gw_buf *out); /* from behind "name:" */
    unsigned flags;
    size_t texts; /* offset of a struct gw_cfg_texts that env and flags may give; 0: none */
    const char *help;
};
extern const struct gw_list gw_lists[];
extern const size_t gw_lists_n;

gw_read_fn gw_read_properties, gw_read_issuers, gw_read_origins, gw_read_proxies, gw_read_rooms, gw_read_routes,
    gw_read_actions;
gw_read_fn gw_read_rules; /* struct gw_cfg_rules */

extern const char *const gw_cfg_type_names[]; /* by enum gw_cfg_type, NULL at the end */

void gw_cfg_texts_free(struct gw_cfg_texts *t);
void gw_cfg_texts_split(struct gw_cfg_texts *t, const char *text, const char *at); /* at commas; replaces */
void gw_cfg_issuers_free(struct gw_config *c);

/* ---- environment and flags (env.c), checks across options (check.c) ---- */
struct gw_kafka_name {
    const char *name;
    const char *path;
};
extern const struct gw_kafka_name gw_kafka_names[];
extern const size_t gw_kafka_names_n;
extern const char *const gw_env_allowed[]; /* SLUICE_* that are no options; NULL at the end */

int gw_env_read(struct gw_config *c, char *const *env, const char *dir, struct gw_err *err);
int gw_flags_read(struct gw_config *c, const struct gw_cfg_flag *flags, size_t n, const char *dir, struct gw_err *err);
/* Also brings origins into the spelling of browsers. */
int gw_cfg_check(struct gw_config *c, struct gw_err *err);

extern const char gw_docs_head[], gw_docs_text[]; /* docs_text.c: before and behind the tables */

#endif
