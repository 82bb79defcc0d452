/* The configuration: scalars from tbl/config.def, and the lists (issuers, rooms, routes, actions) as plain data.
 *
 * One struct, filled in this order, later wins: defaults, the YAML file, KAFKA_* of existing services, SLUICE_*
 * environment, flags. Immutable once loaded; read by any thread. This module checks shapes, types, ranges and names;
 * what a template, pattern or rule means is compiled by the module that uses it, which reports errors with the `at`
 * text kept here ("learning.yaml:12: routes[0].rooms[1]"). */
#ifndef GW_CONFIG_H
#define GW_CONFIG_H

#include "gw/buf.h"
#include "gw/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A string of a list and where it stands, for errors of those who compile it. */
struct gw_cfg_text {
    char *text; /* owned */
    char *at;   /* owned: "file:line: key" */
};

struct gw_cfg_texts {
    struct gw_cfg_text *v;
    size_t n;
};

/* One alternative of an access rule; a list of them allows when one of them does. */
enum gw_cfg_rule_kind { GW_RULE_NONE, GW_RULE_ANY, GW_RULE_EQUALS, GW_RULE_CONTAINS, GW_RULE_SCOPE };
struct gw_cfg_rule {
    enum gw_cfg_rule_kind kind;
    char *claim; /* EQUALS, CONTAINS: claim's name; dots lead into objects ("realm_access.roles") */
    char *value; /* EQUALS, CONTAINS, SCOPE: text with captures of the room's pattern, such as "{id}" */
    char *at;
};
struct gw_cfg_rules {
    struct gw_cfg_rule *v;
    size_t n; /* 0: nothing was given; each user of it says what that means */
};

struct gw_cfg_issuer {
    char *issuer;                 /* expected `iss`; NULL: none expected (only where it is the only issuer) */
    struct gw_cfg_texts audience; /* one of them must be in `aud`; none: `aud` is not looked at */
    struct gw_cfg_texts algorithms; /* of HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512; at least one */
    char *key;                    /* file: a PEM public key (RS*, ES*) or a secret's bytes (HS*), or NULL */
    char *jwks;                   /* file: a JWK set (RFC 7517), or NULL; exactly one of the two is there */
    char *kid;                    /* with `key`: the kid that a token must name if it names one; or NULL */
    struct gw_cfg_texts require;  /* claims that must be there */
    char *at;
};

struct gw_cfg_room {
    struct gw_cfg_text pattern;
    struct gw_cfg_rules join; /* none given: nobody joins */
    bool automatic;           /* `auto: true`: joined at welcome, once for each value that the rule's claim has */
};

struct gw_cfg_when { /* a condition on a field; all of a route's conditions must hold */
    char *ref;       /* what stands between braces in a template: "value.type", "key", "header.x", "topic.1" */
    struct gw_cfg_texts values; /* its text must be one of these; none: it must exist (YAML: "*") */
    char *at;
};

struct gw_cfg_route {
    struct gw_cfg_texts topics;  /* exact names or ^regex (POSIX extended) */
    struct gw_cfg_text event;    /* template */
    struct gw_cfg_texts rooms;   /* templates */
    struct gw_cfg_texts require; /* paths into the value that must be there and not null */
    struct gw_cfg_when *when;
    size_t nwhen;
    char *at;
};

enum gw_cfg_type { GW_TYPE_ANY, GW_TYPE_STRING, GW_TYPE_NUMBER, GW_TYPE_INTEGER, GW_TYPE_BOOLEAN, GW_TYPE_OBJECT, GW_TYPE_ARRAY };
struct gw_cfg_field {
    char *name;
    enum gw_cfg_type type;
    bool optional; /* "string?" */
    char *at;
};

struct gw_cfg_header {
    char *name;
    struct gw_cfg_text value; /* template */
};

struct gw_cfg_action {
    char *name;
    char *topic;
    struct gw_cfg_text key;   /* template; default "{room.id}" where the room's pattern captures `id`, "{room}" where it does
                               * not, "{user}" where there is no room; never NULL */
    struct gw_cfg_text room;  /* pattern; text NULL: the action needs no room */
    struct gw_cfg_rules allow; /* besides membership; none given: every member (or every user) may */
    struct gw_cfg_field *fields;
    size_t nfields;
    bool open; /* fields that are not listed are let through; default false */
    uint32_t rate_count; /* at most so many per rate_ms for each connection; 0: no limit of its own */
    uint32_t rate_ms;
    struct gw_cfg_header *headers;
    size_t nheaders;
    char *at;
};

struct gw_cfg_pair {
    char *name;
    char *value;
    char *at;
};

struct gw_config {
#define GW_OPT_STR(field, path, def, flags, help) char *field;
#define GW_OPT_INT(field, path, def, min, max, flags, help) int64_t field;
#define GW_OPT_BOOL(field, path, def, flags, help) bool field;
#define GW_OPT_ENUM(field, path, def, names, flags, help) int field; /* index into names, which are split by '|' */
#include "gw/tbl/config.def"
#undef GW_OPT_STR
#undef GW_OPT_INT
#undef GW_OPT_BOOL
#undef GW_OPT_ENUM
    struct gw_cfg_pair *properties; /* kafka.properties: anything librdkafka knows */
    size_t nproperties;
    struct gw_cfg_texts origins;    /* "self", "*" or scheme://host[:port]; default [self] */
    struct gw_cfg_texts proxies;    /* addresses or CIDR whose http.forwarded_header is believed */
    struct gw_cfg_issuer *issuers;
    size_t nissuers;
    struct gw_cfg_room *rooms;
    size_t nrooms;
    struct gw_cfg_route *routes;
    size_t nroutes;
    struct gw_cfg_action *actions;
    size_t nactions;
    char *source; /* the file's name as given, or "(built in)", or "(no file)" */
    char **from;  /* one for each row of the table: where its value was given; NULL: default. See gw_config_from */
    bool dev;     /* --dev */
};

/* flags of an option */
#define GW_OPT_SECRET 1u     /* masked by --print-config */
#define GW_OPT_RELOAD 2u     /* takes effect at SIGHUP; others need a restart, and a change is logged */
#define GW_OPT_PATH 4u       /* a file's name; made absolute at load, see gw_config_load */

struct gw_config_source {
    const char *file;           /* path, or NULL */
    const char *builtin;        /* YAML text used where file is NULL, or NULL */
    bool dev;
    char *const *env;           /* like environ */
    const struct gw_cfg_flag {  /* --name value pairs as given on the command line, without the dashes */
        const char *name, *value;
    } *flags;
    size_t nflags;
};

/* Loads and checks. NULL with err set, e.g.
 *   learning.yaml:14: routes[0].topcis: unknown key; did you mean topics? Expected one of: topics, event, rooms, require, when
 *   SLUICE_LIMITS_OUTBOX_BYTES: "lots": expected an integer from 4096 to 1073741824
 * File names are made absolute: in a YAML file they are relative to that file's directory, elsewhere to the working
 * directory. Origins are in lower case and without their scheme's default port, as browsers send them. The environment
 * and flags may also give the lists `origins` and `proxies`, comma-separated. Owned by the caller. */
struct gw_config *gw_config_load(const struct gw_config_source *src, struct gw_err *err);
void gw_config_free(struct gw_config *c); /* NULL is fine */

/* --dev: replaces kafka.brokers (NULL: leaves them) and the issuers by a single one without `issuer`, HS256, whose key is
 * the file key_file. To be called before c is used. */
void gw_config_use_dev(struct gw_config *c, const char *brokers, const char *key_file);

/* Where the scalar option with this YAML path was given ("learning.yaml:3", "KAFKA_BROKERS", "--listen"), borrowed; NULL: nowhere, it is
 * the default. */
const char *gw_config_from(const struct gw_config *c, const char *path);

/* Splits "host:port", "[v6]:port" or ":port" (any address: host is then empty). host borrows from `listen` and has no
 * brackets. -1: not of that shape. Whatever is in a loaded configuration's `listen` has it. */
int gw_config_split_listen(const char *listen, struct gw_str *host, uint16_t *port);

/* Calls fn with the path of each option or list ("kafka.brokers", "routes") that differs; reload says whether it takes
 * effect at SIGHUP. Returns how many there were. For a reload's log. */
size_t gw_config_compare(const struct gw_config *a, const struct gw_config *b,
                         void (*fn)(void *arg, const char *path, bool reload), void *arg);

/* What is in force, as YAML that can be loaded again; secrets read "********". A comment behind a scalar says where it was
 * given; scalars without one are defaults. */
void gw_config_print(const struct gw_config *c, FILE *out);

/* docs/configuration.md, made from the table. */
void gw_config_docs(FILE *out);

/* The options as lines for --help. */
void gw_config_help(FILE *out);

/* True for "--name" of an option in the table or of a list that flags may give (name without dashes); main() uses it to
 * read flags. Each takes a value, booleans too. */
bool gw_config_is_flag(const char *name);

#endif
