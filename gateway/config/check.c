/* What the values must be beyond their ranges, and with one another: addresses, names, pairs, doubles. Origins are brought
 * into the spelling of browsers on the way. Whether files exist and what patterns and templates mean is for those who
 * use them. */
#include "private.h"

#include "gw/map.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TOPIC_BYTES_MAX 249u /* Kafka: org.apache.kafka.common.internals.Topic.MAX_NAME_LENGTH */
#define NAME_BYTES_MAX 128u

/* An error about a scalar option: "<where it was given, else its path>: ..." */
static int fail_option(const struct gw_config *c, const char *path, struct gw_err *err, const char *what)
{
    const char *from = gw_config_from(c, path);
    return gw_err_set(err, "%s: %s", from ? from : path, what);
}

static bool all_of(const char *text, size_t n, const char *also)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(also, text[i]))
            return false;
    return n > 0;
}

/* ---- addresses ---- */
/* 1 to 5 digits up to 65535, nothing behind them. */
static bool read_port(const char *text, uint16_t *port)
{
    size_t n = strspn(text, "0123456789");
    unsigned long v = n && n <= 5 && !text[n] ? strtoul(text, NULL, 10) : 65536;
    *port = (uint16_t)v;
    return v <= 65535;
}

static bool is_v6(struct gw_str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    if (s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = 0;
    return inet_pton(AF_INET6, text, &addr) == 1;
}

/* A name, an IPv4 address or [an IPv6 address] at the start of text; without its brackets. Returns what follows, or NULL. */
static const char *take_host(const char *text, struct gw_str *host)
{
    if (*text == '[') {
        *host = (struct gw_str){text + 1, strcspn(text + 1, "]")};
        return text[1 + host->len] && is_v6(*host) ? text + 2 + host->len : NULL;
    }
    *host = (struct gw_str){text, strcspn(text, ":")};
    return !host->len || all_of(text, host->len, ".-_") ? text + host->len : NULL;
}

int gw_config_split_listen(const char *listen, struct gw_str *host, uint16_t *port)
{
    const char *rest = take_host(listen, host);
    return rest && *rest == ':' && read_port(rest + 1, port) ? 0 : -1;
}

static bool default_port(const char *scheme, uint16_t port)
{
    return (!strncmp(scheme, "https:", 6) && port == 443) || (!strncmp(scheme, "http:", 5) && port == 80);
}

/* Lower case, no default port: RFC 6454 section 6.2, which is what Origin headers hold. */
static bool normalise_origin(char *text)
{
    struct gw_str host;
    uint16_t port = 0;
    if (!strcmp(text, "self") || !strcmp(text, "*"))
        return true;
    char *at = strstr(text, "://");
    if (!at || !isalpha((unsigned char)*text) || !all_of(text, (size_t)(at - text), "+-."))
        return false;
    const char *rest = take_host(at + 3, &host);
    if (!rest || !host.len || (*rest && (*rest != ':' || !read_port(rest + 1, &port))))
        return false;
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (*rest && default_port(text, port))
        text[rest - text] = 0;
    return true;
}

static int check_origins(struct gw_config *c, struct gw_err *err)
{
    for (size_t i = 0; i < c->origins.n; i++) {
        const struct gw_cfg_text *t = &c->origins.v[i];
        if (!normalise_origin(t->text))
            return gw_err_set(err, "%s: \"%s\": expected self, * or scheme://host[:port] without a path", t->at,
                              gw_cfg_show(t->text).s);
    }
    return 0;
}

static bool is_network(const char *text)
{
    unsigned char addr[sizeof(struct in6_addr)];
    char host[INET6_ADDRSTRLEN];
    uint16_t bits = 0;
    size_t n = strcspn(text, "/");
    if (n >= sizeof(host) || (text[n] && !read_port(text + n + 1, &bits)))
        return false;
    memcpy(host, text, n);
    host[n] = 0;
    return (bits <= 32 && inet_pton(AF_INET, host, addr) == 1) || (bits <= 128 && inet_pton(AF_INET6, host, addr) == 1);
}

static int check_proxies(const struct gw_config *c, struct gw_err *err)
{
    for (size_t i = 0; i < c->proxies.n; i++) {
        const struct gw_cfg_text *t = &c->proxies.v[i];
        if (!is_network(t->text))
            return gw_err_set(err, "%s: \"%s\": expected an address or a network such as 10.0.0.0/8", t->at,
                              gw_cfg_show(t->text).s);
    }
    return 0;
}

/* ---- scalars ---- */
static int check_listen(const struct gw_config *c, struct gw_err *err)
{
    struct gw_str host;
    uint16_t port;
    char what[160];
    if (!gw_config_split_listen(c->listen, &host, &port))
        return 0;
    snprintf(what, sizeof(what), "\"%s\": expected host:port, such as 0.0.0.0:8080 or [::]:8080",
             gw_cfg_show(c->listen).s);
    return fail_option(c, "listen", err, what);
}

static int check_tls(const struct gw_config *c, struct gw_err *err)
{
    if (*c->tls_cert && !*c->tls_key)
        return fail_option(c, "tls.cert", err, "tls.key is missing; expected both or none");
    if (*c->tls_key && !*c->tls_cert)
        return fail_option(c, "tls.key", err, "tls.cert is missing; expected both or none");
    return 0;
}

static bool is_topic(const char *name)
{
    size_t n = strlen(name);
    return n <= TOPIC_BYTES_MAX && all_of(name, n, "._-") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int check_sasl(const struct gw_config *c, struct gw_err *err)
{
    static const char *const known[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
    bool ok = false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        ok |= !strcmp(known[i], c->kafka_sasl_mechanism);
    if (!ok)
        return fail_option(c, "kafka.sasl_mechanism", err, "expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512");
    if (*c->kafka_username && !*c->kafka_password)
        return fail_option(c, "kafka.username", err, "kafka.password is missing; expected both or none");
    if (*c->kafka_password && !*c->kafka_username)
        return fail_option(c, "kafka.password", err, "kafka.username is missing; expected both or none");
    return 0;
}

static int check_kafka(const struct gw_config *c, struct gw_err *err)
{
    if (c->kafka_enabled && !*c->kafka_brokers)
        return fail_option(c, "kafka.brokers", err, "is empty; expected host:port, or kafka.enabled: false");
    if (c->kafka_dlt && !is_topic(c->kafka_dlt_suffix))
        return fail_option(c, "kafka.dlt_suffix", err,
                           "expected letters, digits, dots, dashes and underscores; dead letters must not come back");
    return check_sasl(c, err);
}

/* RFC 9110 section 5.6.2, token; a cookie's name is one too (RFC 6265 section 4.1.1). */
static bool is_token(const char *text)
{
    return all_of(text, strlen(text), "!#$%&'*+-.^_`|~");
}

static int check_names(const struct gw_config *c, struct gw_err *err)
{
    if (*c->auth_cookie && !is_token(c->auth_cookie))
        return fail_option(c, "auth.cookie", err, "expected a cookie's name");
    if (*c->auth_query && !all_of(c->auth_query, strlen(c->auth_query), "-._~"))
        return fail_option(c, "auth.query", err, "expected a query parameter's name: letters, digits, - . _ ~");
    return 0;
}

/* ---- issuers ---- */
static bool is_algorithm(const char *text)
{
    return strlen(text) == 5 && (!strncmp(text, "HS", 2) || !strncmp(text, "RS", 2) || !strncmp(text, "ES", 2)) &&
           (!strcmp(text + 2, "256") || !strcmp(text + 2, "384") || !strcmp(text + 2, "512"));
}

static int check_algorithms(const struct gw_cfg_issuer *is, struct gw_err *err)
{
    size_t secret = 0;
    for (size_t i = 0; i < is->algorithms.n; i++) {
        const struct gw_cfg_text *t = &is->algorithms.v[i];
        if (!is_algorithm(t->text))
            return gw_err_set(err, "%s: \"%s\": expected one of: HS256, HS384, HS512, RS256, RS384, RS512, ES256, "
                                   "ES384, ES512", t->at, gw_cfg_show(t->text).s);
        secret += t->text[0] == 'H';
    }
    if (is->key && secret && secret < is->algorithms.n)
        return gw_err_set(err, "%s: algorithms: HS* takes a secret, RS* and ES* a public key; expected one sort for one key",
                          is->at);
    return 0;
}

static int check_issuer(const struct gw_config *c, const struct gw_cfg_issuer *is, struct gw_err *err)
{
    if (!is->key && !is->jwks)
        return gw_err_set(err, "%s: key is missing; expected key or jwks, each a file", is->at);
    if (is->key && is->jwks)
        return gw_err_set(err, "%s: expected key or jwks, not both", is->at);
    if (is->kid && !is->key)
        return gw_err_set(err, "%s: kid goes with key; a JWK set has its own", is->at);
    if (!is->issuer && c->nissuers > 1)
        return gw_err_set(err, "%s: issuer is missing; expected one in each where there are several", is->at);
    return check_algorithms(is, err);
}

static int check_issuers(const struct gw_config *c, struct gw_err *err)
{
    if (!c->nissuers && !c->dev)
        return gw_err_set(err, "%s: auth.issuers: missing; at least one issuer is needed; for a first try: sluice --dev",
                          c->source);
    for (size_t i = 0; i < c->nissuers; i++)
        if (check_issuer(c, &c->issuers[i], err) < 0)
            return -1;
    return 0;
}

/* ---- rooms, routes, actions ---- */
static bool has_claim(const struct gw_cfg_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        if (rules->v[i].kind == GW_RULE_EQUALS || rules->v[i].kind == GW_RULE_CONTAINS)
            return true;
    return false;
}

static int check_rooms(const struct gw_config *c, struct gw_map *seen, struct gw_err *err)
{
    for (size_t i = 0; i < c->nrooms; i++) {
        struct gw_cfg_room *room = &c->rooms[i];
        const struct gw_cfg_room *before = gw_map_put(seen, gw_str_of(room->pattern.text), room);
        if (before)
            return gw_err_set(err, "%s: \"%s\" was given already (%s)", room->pattern.at,
                              gw_cfg_show(room->pattern.text).s, before->pattern.at);
        if (room->automatic && !has_claim(&room->join) && (room->join.n == 0 || strchr(room->pattern.text, '{')))
            return gw_err_set(err, "%s: auto: true needs a join rule with a claim, such as {claim: sub, equals: \"{id}\"}",
                              room->pattern.at);
    }
    return 0;
}

static int check_route(const struct gw_cfg_route *route, struct gw_err *err)
{
    for (size_t i = 0; i < route->topics.n; i++) {
        const struct gw_cfg_text *t = &route->topics.v[i];
        if (t->text[0] != '^' && !is_topic(t->text))
            return gw_err_set(err, "%s: \"%s\": expected a topic's name, or a regular expression that starts with ^",
                              t->at, gw_cfg_show(t->text).s);
    }
    return 0;
}

static bool is_name(const char *text)
{
    size_t n = 0;
    for (; text[n]; n++)
        if ((unsigned char)text[n] <= 0x20 || text[n] == 0x7f)
            return false;
    return n && n <= NAME_BYTES_MAX;
}

static int check_actions(const struct gw_config *c, struct gw_map *seen, struct gw_err *err)
{
    for (size_t i = 0; i < c->nactions; i++) {
        struct gw_cfg_action *a = &c->actions[i];
        const struct gw_cfg_action *before = gw_map_put(seen, gw_str_of(a->name), a);
        if (before)
            return gw_err_set(err, "%s: name: \"%s\" was given already (%s)", a->at, gw_cfg_show(a->name).s,
                              before->at);
        if (!is_name(a->name))
            return gw_err_set(err, "%s: name: \"%s\": expected up to %u bytes without spaces", a->at,
                              gw_cfg_show(a->name).s, NAME_BYTES_MAX);
        if (!is_topic(a->topic))
            return gw_err_set(err, "%s: topic: \"%s\": expected a topic's name", a->at, gw_cfg_show(a->topic).s);
    }
    return 0;
}

static int check_lists(const struct gw_config *c, struct gw_err *err)
{
    struct gw_map rooms, actions;
    gw_map_init(&rooms);
    gw_map_init(&actions);
    int rc = check_rooms(c, &rooms, err);
    for (size_t i = 0; i < c->nroutes && !rc; i++)
        rc = check_route(&c->routes[i], err);
    if (!rc)
        rc = check_actions(c, &actions, err);
    gw_map_fini(&rooms, NULL);
    gw_map_fini(&actions, NULL);
    return rc;
}

int gw_cfg_check(struct gw_config *c, struct gw_err *err)
{
    if (check_listen(c, err) < 0 || check_tls(c, err) < 0 || check_kafka(c, err) < 0 || check_names(c, err) < 0)
        return -1;
    if (check_origins(c, err) < 0 || check_proxies(c, err) < 0)
        return -1;
    return check_issuers(c, err) < 0 ? -1 : check_lists(c, err);
}
