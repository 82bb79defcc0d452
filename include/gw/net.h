/* The network side: loops, listeners, WebSocket connections, HTTP. Everything of libwebsockets and libuv stays inside
 * gateway/net/. */
#ifndef GW_NET_H
#define GW_NET_H

#include "gw/config.h"
#include "gw/hub.h"
#include "gw/kafka.h"
#include "gw/policy.h"

struct gw_net;

/* What the network side asks of the rest; called on loop threads, must not block. */
struct gw_net_calls {
    void *arg;
    bool (*ready)(void *arg, struct gw_buf *json);        /* appends the body of /readyz; false: not ready */
    void (*metrics)(void *arg, struct gw_buf *out);       /* appends what is known only at run time */
    int (*dev_token)(void *arg, struct gw_str user, struct gw_buf *json); /* NULL: not dev mode */
    void (*dev_people)(void *arg, struct gw_buf *json);
};

struct gw_net_init {
    const struct gw_config *cfg;   /* borrowed for the life of the net */
    struct gw_hub *hub;            /* borrowed */
    struct gw_producer *producer;  /* borrowed; NULL: Kafka is off */
    struct gw_policy *policy;      /* one reference is taken */
    struct gw_net_calls calls;
};

/* Opens the port, starts the loops. NULL with err where it cannot. */
struct gw_net *gw_net_start(const struct gw_net_init *init, struct gw_err *err);
unsigned gw_net_loops(const struct gw_config *cfg); /* how many there will be */
const char *gw_net_address(const struct gw_net *n); /* "127.0.0.1:8080": with the real port */

/* [any thread] */
void gw_net_set_policy(struct gw_net *n, struct gw_policy *policy); /* a reload: each loop takes a reference of its own */
void gw_net_kafka_state(struct gw_net *n, enum gw_kafka_state state);

/* [main] Closes the listeners, tells clients to come back, closes them over drain.ms. Returns when all are gone or the time is over. */
void gw_net_drain(struct gw_net *n);
void gw_net_stop(struct gw_net *n); /* ends the loops, frees everything */

#endif
