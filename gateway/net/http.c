/* Plain HTTP on the same port: health, readiness, metrics, version, the demo's files, and in dev mode tokens. Every answer is
 * one write of head and body; what the socket does not take, libwebsockets sends later. */
#include "net_private.h"

#include "gw/log.h"
#include "gw/metrics.h"

#include <string.h>

static const char security_headers[] =
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

struct request {
    struct loop *l;
    struct lws *wsi;
    struct gw_str path;
    bool head;
};

struct answer {
    unsigned status;
    const char *type;
    const char *extra; /* header lines */
    struct gw_str body;
};

static const char *status_text(unsigned status)
{
    switch (status) {
    case 200: return "OK";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    default: return "Service Unavailable";
    }
}

static int write_answer(struct lws *wsi, const struct answer *a, bool with_body, bool close)
{
    struct gw_buf b;
    gw_buf_init(&b);
    gw_buf_addf(&b, "HTTP/1.1 %u %s\r\nContent-Length: %zu\r\n", a->status, status_text(a->status), a->body.len);
    if (a->type)
        gw_buf_addf(&b, "Content-Type: %s\r\n", a->type);
    gw_buf_add_c(&b, security_headers);
    gw_buf_add_c(&b, a->extra ? a->extra : "Cache-Control: no-store\r\n");
    gw_buf_add_c(&b, close ? "Connection: close\r\n\r\n" : "\r\n");
    if (with_body)
        gw_buf_add_str(&b, a->body);
    int n = lws_write(wsi, (unsigned char *)b.data, b.len, LWS_WRITE_HTTP);
    gw_buf_fini(&b);
    return n < 0 ? -1 : 0;
}

int http_refuse(struct lws *wsi, unsigned status, const char *extra_headers, const char *body)
{
    struct answer a = {.status = status, .type = "text/plain; charset=utf-8", .extra = extra_headers, .body = gw_str_of(body)};
    return write_answer(wsi, &a, true, true);
}

static int answer(struct request *r, const struct answer *a)
{
    if (write_answer(r->wsi, a, !r->head && a->status != 304, false) != 0)
        return -1;
    return lws_http_transaction_completed(r->wsi) ? -1 : 0;
}

static int answer_text(struct request *r, unsigned status, const char *type, struct gw_str body)
{
    return answer(r, &(struct answer){.status = status, .type = type, .body = body});
}

struct gw_str http_header(struct lws *wsi, enum lws_token_indexes token, char *at, size_t size, bool *twice)
{
    if (lws_hdr_fragment_length(wsi, token, 1) > 0)
        *twice = true;
    int n = lws_hdr_copy(wsi, at, (int)size, token);
    return n > 0 ? (struct gw_str){at, (size_t)n} : (struct gw_str){0};
}

struct gw_str http_arg(struct lws *wsi, const char *name, char *at, size_t size)
{
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
    int n = lws_get_urlarg_by_name_safe(wsi, name, at, (int)size);
    return n >= 0 ? (struct gw_str){at, (size_t)n} : (struct gw_str){0};
#else /* a value with %00 never gets here: 4.1 drops the connection */
    return gw_str_of(lws_get_urlarg_by_name(wsi, name, at, (int)size));
#endif
}

static int get_healthz(struct request *r)
{
    return answer_text(r, 200, "application/json", GW_STR("{\"status\":\"ok\"}\n"));
}

static int get_readyz(struct request *r)
{
    struct gw_net *n = r->l->net;
    struct gw_buf b;
    gw_buf_init(&b);
    bool ready = n->calls.ready(n->calls.arg, &b);
    if (atomic_load(&n->draining))
        ready = false;
    int rc = answer_text(r, ready ? 200 : 503, "application/json", gw_buf_str(&b));
    gw_buf_fini(&b);
    return rc;
}

static int get_metrics(struct request *r)
{
    struct gw_net *n = r->l->net;
    struct gw_buf b;
    gw_buf_init(&b);
    gw_metrics_render(&b);
    gw_metrics_head(&b, "sluice_queue_events");
    for (unsigned i = 0; i < n->nloops; i++) {
        char labels[32];
        snprintf(labels, sizeof(labels), "loop=\"%u\"", i);
        gw_metrics_series(&b, "sluice_queue_events", labels, (double)gw_mailbox_len(gw_hub_mailbox(n->hub, i)));
    }
    n->calls.metrics(n->calls.arg, &b);
    gw_metrics_head(&b, "sluice_build_info");
    gw_metrics_series(&b, "sluice_build_info", "version=\"" GW_VERSION "\"", 1);
    int rc = answer_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", gw_buf_str(&b));
    gw_buf_fini(&b);
    return rc;
}

static int get_version(struct request *r)
{
    return answer_text(r, 200, "application/json", GW_STR("{\"name\":\"sluice\",\"version\":\"" GW_VERSION "\",\"protocol\":\"sluice.v1\"}\n"));
}

static int get_people(struct request *r)
{
    struct gw_net *n = r->l->net;
    if (!n->calls.dev_people)
        return http_refuse(r->wsi, 404, "", "not found\n"), -1;
    struct gw_buf b;
    gw_buf_init(&b);
    n->calls.dev_people(n->calls.arg, &b);
    int rc = answer_text(r, 200, "application/json", gw_buf_str(&b));
    gw_buf_fini(&b);
    return rc;
}

/* Tokens for anyone who asks: dev mode only, and never for another site's page. */
static int get_token(struct request *r)
{
    struct gw_net *n = r->l->net;
    char user[160], origin[256], host[256];
    bool twice = false;
    if (!n->calls.dev_token)
        return http_refuse(r->wsi, 404, "", "not found\n"), -1;
    struct gw_str from = http_header(r->wsi, WSI_TOKEN_ORIGIN, origin, sizeof(origin), &twice);
    struct gw_str to = http_header(r->wsi, WSI_TOKEN_HOST, host, sizeof(host), &twice);
    if (twice || (from.p && !gw_policy_origin(r->l->policy, from, to)))
        return answer_text(r, 403, "text/plain", GW_STR("this Origin is not allowed\n"));
    struct gw_buf b;
    gw_buf_init(&b);
    struct gw_str name = http_arg(r->wsi, "user=", user, sizeof(user));
    int rc = name.len ? n->calls.dev_token(n->calls.arg, name, &b) : -1;
    rc = rc == 0 ? answer_text(r, 200, "application/json", gw_buf_str(&b))
                 : answer_text(r, 400, "text/plain", GW_STR("user: expected one of /dev/people\n"));
    gw_buf_fini(&b);
    return rc;
}

static int get_file(struct request *r)
{
    const struct static_file *f = static_files_get(r->l->net->files, r->path);
    if (!f)
        return answer_text(r, 404, "text/plain; charset=utf-8", GW_STR("not found\n"));
    char extra[128], known[128];
    bool twice = false;
    snprintf(extra, sizeof(extra), "ETag: %s\r\nCache-Control: no-cache\r\n", f->etag);
    struct gw_str if_none = http_header(r->wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, known, sizeof(known), &twice);
    struct answer a = {.status = 200, .type = f->type, .extra = extra, .body = {f->content, f->len}};
    if (gw_str_is(if_none, f->etag))
        a = (struct answer){.status = 304, .extra = extra};
    return answer(r, &a);
}

static const struct {
    const char *path;
    int (*get)(struct request *r);
} pages[] = {
    {"/healthz", get_healthz}, {"/readyz", get_readyz},     {"/metrics", get_metrics},
    {"/version", get_version}, {"/dev/people", get_people}, {"/dev/token", get_token},
};

int http_request(struct loop *l, struct lws *wsi)
{
    char *uri;
    int len, method = lws_http_get_uri_and_method(wsi, &uri, &len);
    struct request r = {.l = l, .wsi = wsi, .path = {uri, len > 0 ? (size_t)len : 0}};
    r.head = method == LWSHUMETH_HEAD;
    if (method != LWSHUMETH_GET && !r.head) {
        http_refuse(wsi, 405, "Allow: GET, HEAD\r\n", "only GET and HEAD are served\n");
        return -1;
    }
    if (gw_str_is(r.path, "/ws")) {
        http_refuse(wsi, 400, "", "this is a WebSocket endpoint: expected Upgrade: websocket\n");
        return -1;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
        if (gw_str_is(r.path, pages[i].path))
            return pages[i].get(&r);
    return get_file(&r);
}
