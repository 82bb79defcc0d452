/* For the tests of connections: one loop without a thread, without a socket, and a libwebsockets that only takes notes. A test
 * program that includes this has lws_write and its like from here, not from the library. */
#ifndef GW_TESTS_SESSION_KIT_H
#define GW_TESTS_SESSION_KIT_H

#include "net_private.h"

#include "auth_private.h"

#include "gw/log.h"

#include "config_load.h"
#include "unit_kit.h"

/* ---- libwebsockets ---- */

struct lws {
    struct gw_buf sent;  /* what has left */
    size_t read;         /* of it, by next_frame */
    size_t room;         /* bytes that the peer still takes; SIZE_MAX: all */
    bool partial;        /* lws holds the rest of a write */
    bool broken;         /* the next write fails */
    bool wants_write, killed;
    void *opaque;
    bool first, final, binary; /* of the message at hand */
    size_t remaining;
};

int lws_write(struct lws *wsi, unsigned char *buf, size_t len, enum lws_write_protocol protocol)
{
    assert_int_equal(protocol, LWS_WRITE_RAW);
    assert_false(wsi->partial);
    assert_true(len > 0 && len <= WRITE_BYTES_MAX + GW_ROOM_BYTES_MAX);
    if (wsi->broken)
        return -1;
    gw_buf_add(&wsi->sent, buf, len); /* lws sends the rest some time, in any case */
    wsi->partial = len > wsi->room;
    if (wsi->room != SIZE_MAX)
        wsi->room -= len > wsi->room ? wsi->room : len;
    return (int)len;
}

int lws_partial_buffered(struct lws *wsi)
{
    return wsi->partial;
}

int lws_callback_on_writable(struct lws *wsi)
{
    wsi->wants_write = true;
    return 1;
}

void lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int secs)
{
    (void)reason;
    assert_int_equal(secs, LWS_TO_KILL_ASYNC);
    wsi->killed = true;
}

void lws_cancel_service(struct lws_context *context)
{
    (void)context;
}

int lws_is_first_fragment(struct lws *wsi)
{
    return wsi->first;
}

int lws_is_final_fragment(struct lws *wsi)
{
    return wsi->final;
}

int lws_frame_is_binary(struct lws *wsi)
{
    return wsi->binary;
}

size_t lws_remaining_packet_payload(struct lws *wsi)
{
    return wsi->remaining;
}

void *lws_get_opaque_user_data(const struct lws *wsi)
{
    return wsi->opaque;
}

void lws_set_opaque_user_data(struct lws *wsi, void *data)
{
    wsi->opaque = data;
}

struct lws_context *lws_get_context(const struct lws *wsi)
{
    return (struct lws_context *)((struct session *)wsi->opaque)->loop;
}

void *lws_context_user(struct lws_context *context)
{
    return context;
}

/* ---- one loop ---- */

struct world {
    struct gw_net net;
    struct loop *loop;
    struct gw_policy *first; /* its configuration is net.cfg */
};

static inline struct gw_policy *policy_of(const char *yaml)
{
    struct gw_err err = {0};
    struct gw_policy *p = gw_policy_new(must_load(yaml), &err);
    if (!p)
        fail_msg("%s: %s", yaml, err.text);
    return p;
}

static inline struct world *world_new(const char *yaml)
{
    struct world *w = gw_alloc(sizeof(*w));
    gw_log_setup(GW_LOG_ERROR, GW_LOG_LOGFMT);
    struct loop *l = w->loop = gw_alloc(sizeof(*l));
    w->first = policy_of(yaml);
    w->net.cfg = w->first->cfg;
    w->net.hub = gw_hub_new(1, 1 << 16, SIZE_MAX);
    w->net.nloops = 1;
    w->net.loop = l;
    w->net.node_id = 0xABCD;
    w->net.idempotency = NULL;
    pthread_mutex_init(&w->net.lock, NULL);
    pthread_cond_init(&w->net.changed, NULL);
    l->net = &w->net;
    l->listen_fd = -1;
    l->policy = gw_policy_ref(w->first);
    l->mailbox = gw_hub_mailbox(w->net.hub, 0);
    l->kafka = GW_KAFKA_UP;
    gw_rooms_init(&l->rooms, w->net.hub, 0, (size_t)w->net.cfg->limits_rooms);
    l->deliver = deliver_new((size_t)w->net.cfg->limits_rooms_per_event);
    l->wire = gw_wire_new((unsigned)w->net.cfg->limits_json_depth);
    l->ping = frame_new(FRAME_PING, (struct gw_str){0}, (struct gw_str){0});
    loop_enter(l);
    return w;
}

static inline struct lws *conn_open(struct world *w, const char *claims)
{
    struct lws *wsi = gw_alloc(sizeof(*wsi));
    struct gw_err err = {0};
    wsi->room = SIZE_MAX;
    wsi->opaque = session_new(w->loop, wsi);
    struct session *s = wsi->opaque;
    s->ip = gw_strdup("1.2.3.4");
    if (claims && !(s->who = gw_identity_new(gw_str_of(claims), gw_clock_wall_ms() + 3600 * 1000, &err)))
        fail_msg("%s: %s", claims, err.text);
    session_established(s);
    flush_dirty(w->loop);
    return wsi;
}

static inline struct session *session_of_conn(const struct lws *wsi)
{
    return wsi->opaque;
}

/* lws calls back. The loop's time is the test's own. */
static inline int conn_event(struct lws *wsi, enum lws_callback_reasons reason, void *in, size_t len)
{
    struct loop *l = session_of_conn(wsi)->loop;
    int64_t now = l->now_ms;
    int rc = ws_callback(wsi, reason, NULL, in, len);
    l->now_ms = now;
    return rc;
}

/* As lws does when a connection is gone. */
static inline void conn_gone(struct lws *wsi)
{
    conn_event(wsi, LWS_CALLBACK_WSI_DESTROY, NULL, 0);
    assert_null(wsi->opaque);
    gw_buf_fini(&wsi->sent);
    free(wsi);
}

static inline void world_free(struct world *w)
{
    struct loop *l = w->loop;
    assert_int_equal(l->nsessions, 0);
    assert_int_equal(l->rooms.map.len, 0);
    if (l->heartbeat)
        frame_unref(l->heartbeat);
    frame_unref(l->ping);
    batch_fini(&l->batch);
    chunk_pool_fini(&l->chunks);
    gw_rooms_fini(&l->rooms);
    deliver_free(l->deliver);
    gw_wire_free(l->wire);
    gw_action_scratch_fini(&l->action);
    gw_buf_fini(&l->text);
    free(l->position);
    free(l->slot);
    free(l->generation);
    free(l->free_slot);
    gw_policy_unref(l->policy);
    gw_policy_unref(w->first);
    gw_hub_free(w->net.hub);
    pthread_cond_destroy(&w->net.changed);
    pthread_mutex_destroy(&w->net.lock);
    free(l);
    free(w);
}

/* A whole text message of the client. */
static inline void conn_says(struct lws *wsi, const char *text)
{
    struct loop *l = session_of_conn(wsi)->loop;
    verbs_receive(session_of_conn(wsi), gw_str_of(text));
    flush_dirty(l);
}

/* lws has got rid of what it held and calls back. */
static inline void conn_writable(struct lws *wsi, size_t room)
{
    wsi->partial = false;
    wsi->wants_write = false;
    wsi->room = room;
    flush_writeable(session_of_conn(wsi));
    flush_dirty(session_of_conn(wsi)->loop);
}

/* The next frame that was sent: its opcode and payload; 0 where there is none. */
static inline unsigned next_frame(struct lws *wsi, struct gw_str *payload)
{
    const unsigned char *p = (unsigned char *)wsi->sent.data + wsi->read;
    size_t left = wsi->sent.len - wsi->read, header = 2;
    *payload = (struct gw_str){0};
    if (left == 0)
        return 0;
    uint64_t len = p[1];
    if (len > 125) {
        size_t width = len == 126 ? 2 : 8;
        header += width;
        len = 0;
        for (size_t i = 0; i < width; i++)
            len = len << 8 | p[2 + i];
    }
    assert_true(header + len <= left);
    assert_int_equal(p[0] & 0xF0, 0x80);
    wsi->read += header + len;
    *payload = (struct gw_str){(const char *)p + header, len};
    return p[0] & 0x0F;
}

/* The next text must be this one; NULL: nothing more was sent. */
static inline void expect_text_frame(struct lws *wsi, const char *want)
{
    struct gw_str got;
    unsigned opcode = next_frame(wsi, &got);
    if (want || opcode)
        expect_str("frame", got, want);
    assert_int_equal(opcode, want ? FRAME_TEXT : 0);
}

static inline void expect_close_frame(struct lws *wsi, unsigned code, const char *reason)
{
    struct gw_str got;
    assert_int_equal(next_frame(wsi, &got), FRAME_CLOSE);
    assert_int_equal((unsigned char)got.p[0] << 8 | (unsigned char)got.p[1], code);
    expect_str("reason", (struct gw_str){got.p + 2, got.len - 2}, reason);
    assert_int_equal(session_of_conn(wsi)->state, SESSION_CLOSING);
}

/* Passes over everything sent so far. */
static inline void skip_frames(struct lws *wsi)
{
    wsi->read = wsi->sent.len;
}

#endif
