/* The policy: everything of the configuration that a reload replaces at once, compiled. Immutable, reference counted; it
 * owns its configuration, so that a loop that still holds the old one is safe. */
#ifndef GW_POLICY_H
#define GW_POLICY_H

#include "gw/action.h"
#include "gw/auth.h"
#include "gw/config.h"
#include "gw/route.h"

#include <stdatomic.h>

struct gw_policy {
    _Atomic uint32_t refs;
    struct gw_config *cfg;
    struct gw_verifier *verifier;
    struct gw_access *access;
    struct gw_routes *routes;
    struct gw_actions *actions;
    struct gw_rule **allow; /* one an action; NULL: membership is enough */
    struct gw_proxies *proxies;
};

/* Takes cfg in any case. NULL with err ("file:line: ...") where something cannot be compiled. */
struct gw_policy *gw_policy_new(struct gw_config *cfg, struct gw_err *err);
struct gw_policy *gw_policy_ref(struct gw_policy *p);
void gw_policy_unref(struct gw_policy *p);

/* Whether an Origin header's value is allowed; host is the request's Host header. */
bool gw_policy_origin(const struct gw_policy *p, struct gw_str origin, struct gw_str host);

/* The client's address: the peer's, or what a configured proxy says of it in the header that http.forwarded_header names
 * (Forwarded of RFC 7239, or X-Forwarded-For): the nearest address that is not itself a configured proxy. Appends it to out. */
void gw_policy_client_ip(const struct gw_policy *p, struct gw_str peer, struct gw_str header, struct gw_buf *out);
const char *gw_policy_forwarded_header(const struct gw_policy *p); /* in lower case with its colon */

#endif
