/* Configured proxies and what they say of their clients' addresses. Immutable; any thread. */
#ifndef GW_PROXIES_H
#define GW_PROXIES_H

#include "gw/config.h"
#include "gw/buf.h"

struct gw_proxies;
struct gw_proxies *gw_proxies_new(const struct gw_cfg_texts *list, struct gw_err *err); /* addresses or CIDR */
void gw_proxies_free(struct gw_proxies *p);

/* Appends the client's address: walks the chain from the peer towards the client as long as the speaker is a proxy. */
void gw_proxies_client(const struct gw_proxies *p, struct gw_str peer, struct gw_str header, bool is_forwarded,
                       struct gw_buf *out);

#endif
