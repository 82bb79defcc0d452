/* The policy: compiled configuration, swapped whole at a reload. Any thread. */
#include "gw/policy.h"

#include "proxies.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int compile_rules(struct gw_policy *p, struct gw_err *err)
{
    size_t n = gw_actions_count(p->actions);
    p->allow = gw_alloc(n * sizeof(struct gw_rule *));
    for (size_t i = 0; i < n; i++) {
        const struct gw_cfg_action *a = &p->cfg->actions[i];
        if (a->allow.n == 0)
            continue;
        p->allow[i] = gw_rule_new(&a->allow, gw_action_room(gw_actions_find(p->actions, gw_str_of(a->name))), err);
        if (!p->allow[i])
            return -1;
    }
    return 0;
}

/* A key with a passphrase: OpenSSL would ask the terminal for it. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return 0;
}

static int tls_error(struct gw_err *err, const char *option, const char *path)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    gw_err_set(err, "%s: %s: %s", option, path, why ? why : "cannot be used");
    ERR_clear_error();
    return -1;
}

/* Tried out before anything relies on them: libwebsockets takes a pair that does not fit and serves without TLS, and a reload
 * would change half of it. */
static int check_tls(const struct gw_config *cfg, struct gw_err *err)
{
    if (!*cfg->tls_cert)
        return 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return gw_err_set(err, "tls: OpenSSL gives no context");
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    int rc = 0;
    if (SSL_CTX_use_certificate_chain_file(ctx, cfg->tls_cert) != 1)
        rc = tls_error(err, "tls.cert", cfg->tls_cert);
    else if (SSL_CTX_use_PrivateKey_file(ctx, cfg->tls_key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        rc = tls_error(err, "tls.key", cfg->tls_key);
    SSL_CTX_free(ctx);
    return rc;
}

static int compile(struct gw_policy *p, struct gw_err *err)
{
    if (check_tls(p->cfg, err) != 0)
        return -1;
    p->routes = gw_routes_new(p->cfg, err);
    p->access = p->routes ? gw_access_new(p->cfg, err) : NULL;
    p->actions = p->access ? gw_actions_new(p->cfg, err) : NULL;
    if (!p->actions || compile_rules(p, err) != 0)
        return -1;
    p->proxies = gw_proxies_new(&p->cfg->proxies, err);
    p->verifier = p->proxies ? gw_verifier_new(p->cfg, err) : NULL;
    return p->verifier ? 0 : -1;
}

struct gw_policy *gw_policy_new(struct gw_config *cfg, struct gw_err *err)
{
    struct gw_policy *p = gw_alloc(sizeof(*p));
    p->refs = 1;
    p->cfg = cfg;
    if (compile(p, err) == 0)
        return p;
    gw_policy_unref(p);
    return NULL;
}

struct gw_policy *gw_policy_ref(struct gw_policy *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void gw_policy_unref(struct gw_policy *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    for (size_t i = 0; p->allow && i < gw_actions_count(p->actions); i++)
        gw_rule_free(p->allow[i]);
    free(p->allow);
    gw_proxies_free(p->proxies);
    gw_actions_free(p->actions);
    gw_access_free(p->access);
    gw_routes_free(p->routes);
    gw_verifier_unref(p->verifier);
    gw_config_free(p->cfg);
    free(p);
}

/* scheme://host[:port] of RFC 6454 section 6.2 against the Host header: the port may be left out where it is the scheme's own. */
static bool same_host(struct gw_str origin, struct gw_str host)
{
    bool tls = origin.len > 8 && strncasecmp(origin.p, "https://", 8) == 0;
    bool plain = origin.len > 7 && strncasecmp(origin.p, "http://", 7) == 0;
    if (!tls && !plain)
        return false;
    size_t skip = tls ? 8 : 7;
    struct gw_str at = {origin.p + skip, origin.len - skip};
    const char *port = tls ? ":443" : ":80";
    size_t n = strlen(port);
    if (host.len > n && strncmp(host.p + host.len - n, port, n) == 0)
        host.len -= n;
    return at.len == host.len && strncasecmp(at.p, host.p, at.len) == 0;
}

bool gw_policy_origin(const struct gw_policy *p, struct gw_str origin, struct gw_str host)
{
    for (size_t i = 0; i < p->cfg->origins.n; i++) {
        const char *allowed = p->cfg->origins.v[i].text;
        if (strcmp(allowed, "*") == 0 || (strcmp(allowed, "self") == 0 && same_host(origin, host)) ||
            (strlen(allowed) == origin.len && strncasecmp(allowed, origin.p, origin.len) == 0))
            return true;
    }
    return false;
}

void gw_policy_client_ip(const struct gw_policy *p, struct gw_str peer, struct gw_str header, struct gw_buf *out)
{
    gw_proxies_client(p->proxies, peer, header, p->cfg->http_forwarded_header == 1, out);
}

const char *gw_policy_forwarded_header(const struct gw_policy *p)
{
    return p->cfg->http_forwarded_header == 1 ? "forwarded:" : "x-forwarded-for:";
}
