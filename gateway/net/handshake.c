/* The WebSocket handshake (RFC 6455 section 4.2.1), checked by hand: libwebsockets is lenient with versions, keys and methods.
 * Finds the token (Authorization header, cookie, query), refuses with a plain HTTP answer that says why. The token is never logged. */
#include "net_private.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SUBPROTOCOL "sluice.v1"
#define AGENT_BYTES_MAX 512

struct handshake {
    struct loop *l;
    struct lws *wsi;
    char text[GW_TOKEN_BYTES_MAX + 64]; /* of the header at hand */
    char origin[256];
    bool has_origin;
    struct gw_str token; /* absent: the client will send an auth message */
};

static int refuse(struct handshake *h, enum gw_metric why, unsigned status, const char *extra, const char *body)
{
    gw_metric_add(why, 1);
    GW_LOG(GW_LOG_INFO, "handshake.refused", GW_KI("status", status), GW_KS("reason", body));
    http_refuse(h->wsi, status, extra, body);
    return -1;
}

static struct gw_str header(struct handshake *h, enum lws_token_indexes token, bool *twice)
{
    return http_header(h->wsi, token, h->text, sizeof(h->text), twice);
}

static const char *fault_of_request(struct handshake *h)
{
    bool twice = false;
    char *uri;
    int uri_len;
    if (lws_http_get_uri_and_method(h->wsi, &uri, &uri_len) < 0 || lws_hdr_total_length(h->wsi, WSI_TOKEN_GET_URI) <= 0)
        return "a WebSocket handshake is a GET request";
    if (uri_len != 3 || memcmp(uri, "/ws", 3) != 0)
        return "WebSockets are served at /ws";
    struct gw_str v = header(h, WSI_TOKEN_UPGRADE, &twice);
    if (twice || v.len != 9 || strncasecmp(v.p, "websocket", 9) != 0)
        return "Upgrade: expected websocket";
    if (!gw_str_is(header(h, WSI_TOKEN_VERSION, &twice), "13") || twice)
        return "Sec-WebSocket-Version: expected 13";
    v = header(h, WSI_TOKEN_KEY, &twice);
    if (twice || v.len != 24)
        return "Sec-WebSocket-Key: expected 16 bytes in base64";
    if (!header(h, WSI_TOKEN_HOST, &twice).p || twice)
        return "Host: expected once";
    return NULL;
}

static bool offers_subprotocol(struct handshake *h)
{
    bool twice = false;
    struct gw_str list = header(h, WSI_TOKEN_PROTOCOL, &twice);
    while (list.p && list.len) {
        const char *comma = memchr(list.p, ',', list.len);
        struct gw_str one = {list.p, comma ? (size_t)(comma - list.p) : list.len};
        while (one.len && *one.p == ' ')
            one.p++, one.len--;
        while (one.len && one.p[one.len - 1] == ' ')
            one.len--;
        if (gw_str_is(one, SUBPROTOCOL))
            return true;
        list = comma ? (struct gw_str){comma + 1, (size_t)(list.p + list.len - comma - 1)} : (struct gw_str){0};
    }
    return false;
}

/* False: not allowed. No Origin at all is not a browser. */
static bool origin_allowed(struct handshake *h)
{
    bool twice = false;
    struct gw_str origin = http_header(h->wsi, WSI_TOKEN_ORIGIN, h->origin, sizeof(h->origin), &twice);
    if (twice)
        return false;
    h->has_origin = origin.p != NULL;
    if (!h->has_origin)
        return lws_hdr_total_length(h->wsi, WSI_TOKEN_ORIGIN) <= 0;
    char text[256];
    struct gw_str host = http_header(h->wsi, WSI_TOKEN_HOST, text, sizeof(text), &twice);
    return gw_policy_origin(h->l->policy, origin, host);
}

/* The value of one cookie: RFC 6265 section 4.2.1. */
static struct gw_str cookie(struct gw_str cookies, const char *name)
{
    size_t n = strlen(name);
    while (cookies.len) {
        const char *semi = memchr(cookies.p, ';', cookies.len);
        struct gw_str one = {cookies.p, semi ? (size_t)(semi - cookies.p) : cookies.len};
        while (one.len && *one.p == ' ')
            one.p++, one.len--;
        if (one.len > n && memcmp(one.p, name, n) == 0 && one.p[n] == '=')
            return (struct gw_str){one.p + n + 1, one.len - n - 1};
        cookies = semi ? (struct gw_str){semi + 1, (size_t)(cookies.p + cookies.len - semi - 1)} : (struct gw_str){0};
    }
    return (struct gw_str){0};
}

/* Sets h->token from the first place that has one. -1: a place has a faulty one. */
static int find_token(struct handshake *h)
{
    const struct gw_config *cfg = h->l->net->cfg;
    bool twice = false;
    if (cfg->auth_header && lws_hdr_total_length(h->wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0) {
        struct gw_str v = header(h, WSI_TOKEN_HTTP_AUTHORIZATION, &twice);
        if (twice || !v.p || v.len < 7 || strncasecmp(v.p, "Bearer ", 7) != 0)
            return -1;
        h->token = (struct gw_str){v.p + 7, v.len - 7};
        return 0;
    }
    if (*cfg->auth_cookie && h->has_origin) {
        h->token = cookie(header(h, WSI_TOKEN_HTTP_COOKIE, &twice), cfg->auth_cookie);
        if (h->token.p)
            return twice ? -1 : 0;
    }
    if (*cfg->auth_query) {
        char name[128];
        snprintf(name, sizeof(name), "%s=", cfg->auth_query);
        h->token = http_arg(h->wsi, name, h->text, sizeof(h->text));
    }
    return 0;
}

/* What the proxies said. Several X-Forwarded-For lines come joined in order: still one list. Of several Forwarded lines
 * libwebsockets shows the first only, so a proxy has to replace that header. */
static struct gw_str forwarded_list(struct handshake *h, char *text, size_t size)
{
    bool twice = false;
    const char *name = gw_policy_forwarded_header(h->l->policy);
    if (strcmp(name, "x-forwarded-for:") == 0)
        return http_header(h->wsi, WSI_TOKEN_X_FORWARDED_FOR, text, size, &twice);
    int n = lws_hdr_custom_copy(h->wsi, text, (int)size, name, (int)strlen(name));
    return (struct gw_str){text, n > 0 ? (size_t)n : 0};
}

static void note_client(struct handshake *h, struct session *s)
{
    char peer[64] = "", text[1024];
    bool twice = false;
    lws_get_peer_simple(h->wsi, peer, sizeof(peer));
    struct gw_buf ip;
    gw_buf_init(&ip);
    gw_policy_client_ip(h->l->policy, gw_str_of(peer), forwarded_list(h, text, sizeof(text)), &ip);
    s->ip = gw_str_dup(gw_buf_str(&ip));
    gw_buf_fini(&ip);
    struct gw_str agent = header(h, WSI_TOKEN_HTTP_USER_AGENT, &twice);
    if (agent.len > AGENT_BYTES_MAX)
        agent.len = AGENT_BYTES_MAX;
    s->user_agent = gw_str_dup(agent);
}

static int accept_client(struct handshake *h)
{
    struct gw_identity *who = NULL;
    struct gw_err err = {0};
    if (h->token.p &&
        gw_verifier_check(h->l->policy->verifier, h->token, gw_clock_wall_ms(), &who, NULL, &err) != 0) {
        char body[sizeof(err.text) + 32];
        snprintf(body, sizeof(body), "token refused: %s", err.text);
        return refuse(h, GW_M_HANDSHAKE_TOKEN, 401, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n", body);
    }
    struct session *s = session_new(h->l, h->wsi);
    s->who = who;
    note_client(h, s);
    lws_set_opaque_user_data(h->wsi, s);
    return 0;
}

int handshake_confirm(struct loop *l, struct lws *wsi)
{
    struct handshake *h = &(struct handshake){.l = l, .wsi = wsi};
    if (lws_get_network_wsi(wsi) != wsi || lws_get_opaque_user_data(wsi))
        return -1;
    const char *fault = fault_of_request(h);
    if (fault)
        return refuse(h, GW_M_HANDSHAKE_BAD, 400, "", fault);
    if (!offers_subprotocol(h))
        return refuse(h, GW_M_HANDSHAKE_BAD, 400, "", "Sec-WebSocket-Protocol: expected sluice.v1");
    if (!origin_allowed(h))
        return refuse(h, GW_M_HANDSHAKE_ORIGIN, 403, "", "this Origin is not allowed: see origins in the configuration");
    if (l->draining)
        return refuse(h, GW_M_HANDSHAKE_DRAIN, 503, "Retry-After: 1\r\n", "this node is going down");
    if (gw_metric_sum(GW_M_CONNECTIONS) >= l->net->cfg->limits_connections) {
        gw_metric_add(GW_M_LIMIT_CONNECTIONS, 1);
        return refuse(h, GW_M_HANDSHAKE_LIMIT, 503, "Retry-After: 5\r\n", "limits.connections is reached");
    }
    if (find_token(h) != 0)
        return refuse(h, GW_M_HANDSHAKE_TOKEN, 401, "WWW-Authenticate: Bearer\r\n",
                      "Authorization: expected once, as Bearer <token>");
    return accept_client(h);
}
