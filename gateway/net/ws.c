/* libwebsockets' callback: where its events become ours. Every wsi that reaches a WebSocket handshake carries its session in
 * the opaque pointer; WSI_DESTROY is the last word on each and the only place that frees. */
#include "net_private.h"

#include "gw/log.h"
#include "gw/metrics.h"

#include <string.h>

static struct session *session_of(struct lws *wsi)
{
    return lws_get_opaque_user_data(wsi);
}

static void count_close(const struct session *s)
{
    static const struct {
        unsigned code;
        enum gw_metric metric;
    } rows[] = {
#define GW_CLOSE(id, code, back, reason, help) {code, GW_M_CLOSED_##id},
#include "gw/tbl/close.def"
#undef GW_CLOSE
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].code == s->close_code) {
            gw_metric_add(rows[i].metric, 1);
            return;
        }
    gw_metric_add(s->close_code ? GW_M_CLOSED_OTHER : GW_M_CLOSED_ABNORMAL, 1);
}

static void closed(struct session *s)
{
    if (s->counted) {
        char name[48];
        session_connection_name(s, name);
        GW_LOG(GW_LOG_INFO, "connection.closed", GW_KS("conn", name), GW_KI("code", s->close_code ? s->close_code : 1006));
        count_close(s);
    }
    session_free(s);
}

/* A message may come in several pieces; a small one that comes whole is not copied. */
static void receive(struct session *s, const char *in, size_t len)
{
    if (s->state == SESSION_CLOSING || s->dead)
        return;
    bool last = lws_is_final_fragment(s->wsi) && !lws_remaining_packet_payload(s->wsi);
    if (lws_is_first_fragment(s->wsi)) {
        gw_buf_clear(&s->rx);
        s->rx_binary = lws_frame_is_binary(s->wsi);
    }
    if (s->rx_binary) {
        session_close(s, GW_CLOSE_UNSUPPORTED, NULL);
        return;
    }
    size_t max = (size_t)s->loop->net->cfg->limits_message_bytes;
    if (s->rx.len + len > max || s->rx.len + lws_remaining_packet_payload(s->wsi) > max) {
        gw_metric_add(GW_M_LIMIT_MESSAGE, 1);
        session_close(s, GW_CLOSE_TOO_LARGE, NULL);
        return;
    }
    if (last && s->rx.len == 0) {
        verbs_receive(s, (struct gw_str){in, len});
        return;
    }
    gw_buf_add(&s->rx, in, len);
    if (!last)
        return;
    struct gw_buf message = s->rx; /* the session keeps no memory between messages */
    gw_buf_init(&s->rx);
    verbs_receive(s, gw_buf_str(&message));
    gw_buf_fini(&message);
}

/* RFC 6455 section 5.5.1. libwebsockets answers it; ours was sent already where we are closing. */
static int peer_close(struct session *s, const unsigned char *in, size_t len)
{
    if (s->state == SESSION_CLOSING)
        return -1;
    s->close_code = len >= 2 ? (unsigned)in[0] << 8 | in[1] : 1000;
    s->state = SESSION_CLOSING;
    gw_rooms_leave_all(&s->loop->rooms, &s->rooms);
    outbox_clear(&s->out, &s->loop->chunks);
    flush_gauge(s);
    s->deadline_ms = s->loop->now_ms + s->loop->net->cfg->ws_close_timeout_ms;
    wheel_schedule(s);
    return 0;
}

static int on_session(struct session *s, enum lws_callback_reasons reason, void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: session_established(s); break;
    case LWS_CALLBACK_RECEIVE: receive(s, in, len); break;
    case LWS_CALLBACK_RECEIVE_PONG:
        s->pong_ms = 0;
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE: flush_writeable(s); break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return peer_close(s, in, len);
    default: break;
    }
    return 0;
}

int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    (void)user;
    struct loop *l = lws_context_user(lws_get_context(wsi));
    int rc = 0;
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: /* user is the SSL_CTX; the wsi is not a real one */
        l->tls = user;
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        loop_enter(l);
        return handshake_confirm(l, wsi);
    case LWS_CALLBACK_HTTP:
        loop_enter(l);
        return http_request(l, wsi);
    case LWS_CALLBACK_WSI_DESTROY:
        if (session_of(wsi)) {
            closed(session_of(wsi));
            lws_set_opaque_user_data(wsi, NULL);
        }
        return 0;
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (!session_of(wsi))
            return -1;
        loop_enter(l);
        rc = on_session(session_of(wsi), reason, in, len);
        flush_dirty(l);
        return rc;
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED: return 0;
    case LWS_CALLBACK_RAW_ADOPT: /* CONNECT makes a raw socket of it, which nobody would ever time out */
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_FILE_COMPLETION: return -1;
    default: return 0;
    }
}
