/* What the files of gateway/net share: the net, its loops, its connections.
 *
 * The path of an event here: loop.c takes it from the mailbox -> deliver.c finds the members and fills their outboxes ->
 * flush.c writes. The path of an action: ws.c reassembles the message -> verbs.c -> action.c -> the producer; the answer
 * comes back through the mailbox to action.c. */
#ifndef GW_NET_PRIVATE_H
#define GW_NET_PRIVATE_H

#include "gw/net.h"
#include "gw/rooms.h"
#include "gw/wire.h"

#include "frame.h"
#include "outbox.h"

#include <libwebsockets.h>
#include <pthread.h>
#include <uv.h>

#define TICK_MS 100
#define WHEEL_BUCKETS 512
#define WRITE_BYTES_MAX (256 * 1024) /* lws's tx_packet_size: more in one write would be cut into a partial */

/* Control mail of the loops; GW_MAIL_EVENT comes from the hub. */
enum {
    MAIL_PRODUCED = GW_MAIL_FIRST_FREE, /* struct pending: an action's answer */
    MAIL_POLICY,                        /* struct gw_policy, one reference */
    MAIL_KAFKA,                         /* item: the new enum gw_kafka_state */
    MAIL_DRAIN,
    MAIL_STOP,
};

/* What stands behind lws's opaque pointer of a connection. */
enum conn_kind { CONN_HTTP, CONN_SESSION };

enum session_state {
    SESSION_HANDSHAKE, /* accepted in CONFIRM_UPGRADE, not established yet */
    SESSION_AUTH,      /* established, waits for an auth message */
    SESSION_OPEN,
    SESSION_CLOSING, /* our close frame is on its way */
};

/* Another thread's name for a session: stale ones are found out. */
struct session_id {
    uint32_t slot, generation;
};

/* A token bucket. A token costs per_ms of the credit, each millisecond brings `count`: nothing is rounded, so that a slow rate
 * gives what it promises to those who ask often, too. Always to be asked with the same rate. */
struct bucket {
    int64_t credit, at_ms;
};
bool bucket_take(struct bucket *b, int64_t count, int64_t per_ms, int64_t burst, int64_t now_ms);

struct session {
    struct loop *loop;
    struct lws *wsi;
    struct session_id id;
    enum session_state state;
    bool blocked; /* lws holds a part of our last write: nothing is written until WRITEABLE */
    bool dirty;   /* in the loop's list of those with something to write */
    bool dead;    /* a write failed or the deadline passed: lws drops it, nothing more is written */
    bool counted; /* in the gauges */

    struct outbox out;
    size_t waiting_bytes; /* of `out`, as they stand in the gauge: 0 unless blocked */
    struct session *dirty_next;
    uint64_t event_seq; /* the last event that found this session; `set` belongs to it */
    uint32_t set;       /* which rooms of that event matched: deliver.c */

    struct gw_memberships rooms;
    struct gw_identity *who; /* NULL until authenticated */
    char *ip, *user_agent;   /* owned; user_agent may be NULL */

    struct gw_buf rx; /* a message that came in several pieces */
    bool rx_binary;
    uint32_t in_flight;
    struct bucket messages, errors;
    struct bucket *rates; /* one an action, made at the first action; forgotten at a reload */

    struct session *wheel_next, **wheel_prev; /* wheel_prev NULL: not in the wheel */
    int64_t due_ms;
    int64_t deadline_ms;  /* AUTH: for the auth message; CLOSING: for the peer's close */
    int64_t expires_ms;   /* the token's end on the monotonic clock; 0: none */
    int64_t warn_ms;      /* when to send `expiring`; 0: sent, or none */
    int64_t heartbeat_ms; /* next one */
    int64_t pong_ms;      /* pong must be here by then; 0: no ping is out */
    int64_t blocked_ms;   /* since when no byte has left */
    int64_t close_after_ms; /* drain: when to close; 0: not draining */
    unsigned close_code;  /* of our close frame, or the peer's */
};

/* A partition's position as this loop knows it. */
struct loop_position {
    struct gw_str topic;
    int32_t partition;
    int64_t next_offset;
    int64_t moved_ms;
    bool heads;        /* the topic's first one here */
    size_t next, last; /* the topic's partitions are chained: index of the next one, or 0; heads: of the last one */
};

struct loop {
    struct gw_net *net;
    unsigned index;
    pthread_t thread;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t tick;
    uv_poll_t listen_poll;
    int listen_fd; /* -1: closed */
    int spare_fd;  /* given up for a moment when the process is out of descriptors */
    struct lws_context *lws;
    struct lws_vhost *vhost;
    struct ssl_ctx_st *tls; /* the vhost's, for new certificates */
    struct ssl_ctx_st *no_client; /* lws wants one for outgoing connections, which there are none of */
    struct gw_mailbox *mailbox;
    struct gw_policy *policy;
    struct gw_rooms rooms;
    enum gw_kafka_state kafka;
    bool draining, drained, kick;
    int64_t now_ms; /* monotonic, taken at each entry */

    struct session **slot; /* slot number -> session, or NULL */
    uint32_t *generation;
    uint32_t nslots, free_slots;
    uint32_t *free_slot;
    uint32_t nsessions;

    struct session *dirty;
    size_t unflushed_bytes; /* of frames encoded since the last flush */
    struct chunk_pool chunks;
    struct batch batch;
    struct frame *ping;
    struct session *wheel[WHEEL_BUCKETS];
    int64_t wheel_tick;

    struct deliver *deliver;
    struct gw_wire *wire;
    struct gw_action_scratch action;
    struct gw_buf text; /* scratch for one message out */

    struct loop_position *position;
    size_t npositions;
    uint64_t position_version;
    struct frame *heartbeat; /* of this tick; NULL: not made yet */
};

struct gw_net {
    const struct gw_config *cfg;
    struct gw_hub *hub;
    struct gw_producer *producer;
    struct gw_net_calls calls;
    struct static_files *files;
    struct idempotency *idempotency;
    char address[128];
    uint32_t node_id; /* random: part of connection ids */
    unsigned nloops, started;
    struct loop *loop;
    _Atomic bool draining;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned drained; /* [lock] loops without connections */
};

/* loop.c */
int loop_init(struct loop *l, struct gw_net *net, unsigned index, int listen_fd, struct gw_policy *policy,
              struct gw_err *err);
void *loop_run(void *arg); /* the thread */
void loop_enter(struct loop *l); /* takes the time; at each entry from uv or lws */
bool loop_take_mail(struct loop *l, size_t most); /* true: the mailbox is empty */

/* listener.c */
int listener_open(const char *listen, char *address, size_t size, struct gw_err *err); /* fd, or -1 */
int listener_again(const char *address, struct gw_err *err); /* one more on the same port */
int listener_watch(struct loop *l);
void listener_close(struct loop *l);

/* ws.c: the callback of libwebsockets */
int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

/* handshake.c */
int handshake_confirm(struct loop *l, struct lws *wsi);

/* session.c */
struct session *session_new(struct loop *l, struct lws *wsi);
void session_free(struct session *s);
struct session *session_find(struct loop *l, struct session_id id); /* NULL: gone */
void session_established(struct session *s);
void session_auth(struct session *s, struct gw_str token, struct gw_str msg_id);
void session_reauthorise(struct session *s); /* after a renewal or a reload: leaves what is no longer allowed */
void session_send(struct session *s, struct frame *f); /* borrows */
void session_send_text(struct session *s, const struct gw_buf *message);
void session_error(struct session *s, struct gw_str msg_id, enum gw_error_code code, const char *message);
void session_close(struct session *s, enum gw_close_code code, const char *reason); /* reason NULL: the table's */
void session_kill(struct session *s); /* no close frame: the peer is gone or does not answer */
void session_connection_name(const struct session *s, char out[48]);

/* flush.c */
void flush_mark(struct session *s);
void flush_dirty(struct loop *l);
void flush_writeable(struct session *s);
void flush_forget(struct session *s);
void flush_gauge(struct session *s); /* after a change of a blocked session's outbox */

/* wheel.c: time-outs, heartbeats, pings */
void wheel_schedule(struct session *s);
void wheel_remove(struct session *s);
void wheel_tick(struct loop *l);

/* deliver.c */
struct deliver *deliver_new(size_t rooms_max);
void deliver_free(struct deliver *d);
void deliver_event(struct loop *l, struct gw_event *ev);
void deliver_observe(struct loop *l); /* after the flush: the latency histogram */

/* heartbeat.c */
void heartbeat_update(struct loop *l); /* positions; empties the mailbox */
struct frame *heartbeat_frame(struct loop *l);

/* verbs.c */
void verbs_receive(struct session *s, struct gw_str text);

/* action.c */
struct pending;
void action_request(struct session *s, const struct gw_message *m);
void action_answer(struct loop *l, struct pending *p);
void action_forget(struct pending *p);

/* drain.c */
void drain_start(struct loop *l);
bool drain_pace(struct session *s); /* from the wheel: closes when its time has come */
void drain_check(struct loop *l);

/* http.c */
int http_request(struct loop *l, struct lws *wsi);
int http_refuse(struct lws *wsi, unsigned status, const char *extra_headers, const char *body);
struct gw_str http_arg(struct lws *wsi, const char *name, char *at, size_t size); /* name with its '='; absent: none */
struct gw_str http_header(struct lws *wsi, enum lws_token_indexes token, char *at, size_t size, bool *twice);

/* static_files.c */
struct static_file {
    const char *type;
    char *content;
    size_t len;
    char etag[36];
};
struct static_files *static_files_load(const char *dir, struct gw_err *err);
void static_files_free(struct static_files *f);
const struct static_file *static_files_get(const struct static_files *f, struct gw_str path);

#endif
