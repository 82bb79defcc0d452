/* One event-loop thread: its libuv loop, its libwebsockets context, its mailbox and its tick. */
#include "net_private.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <inttypes.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAIL_BATCH 256
#define MAILS_MAX 2048                    /* of one wake-up */
#define UNFLUSHED_BYTES_MAX (1024 * 1024) /* frames that may wait for the end of a batch */

void loop_enter(struct loop *l)
{
    l->now_ms = gw_clock_mono_ms();
}

static void broadcast(struct loop *l, struct gw_buf *message)
{
    struct frame *f = frame_text(message);
    for (uint32_t i = 0; i < l->nslots; i++)
        if (l->slot[i] && l->slot[i]->state == SESSION_OPEN)
            session_send(l->slot[i], f);
    frame_unref(f);
}

static void set_kafka(struct loop *l, enum gw_kafka_state state)
{
    enum gw_kafka_state old = l->kafka;
    l->kafka = state;
    bool told = old == GW_KAFKA_CONNECTING && state == GW_KAFKA_DOWN; /* welcomed while connecting: "down" already */
    if (state == old || told || (state != GW_KAFKA_UP && state != GW_KAFKA_DOWN))
        return;
    gw_buf_clear(&l->text);
    gw_wire_put_status(&l->text, state == GW_KAFKA_UP ? "up" : "down");
    broadcast(l, &l->text);
}

static void reload_tls(struct loop *l, const struct gw_config *cfg)
{
    if (!l->tls || !*cfg->tls_cert)
        return;
    if (SSL_CTX_use_certificate_chain_file(l->tls, cfg->tls_cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(l->tls, cfg->tls_key, SSL_FILETYPE_PEM) != 1)
        GW_LOG(GW_LOG_ERROR, "tls.reload_failed", GW_KS("cert", cfg->tls_cert));
}

static void set_policy(struct loop *l, struct gw_policy *policy)
{
    gw_policy_unref(l->policy);
    l->policy = policy;
    reload_tls(l, policy->cfg);
    for (uint32_t i = 0; i < l->nslots; i++) {
        struct session *s = l->slot[i];
        if (!s)
            continue;
        free(s->rates);
        s->rates = NULL;
        if (s->state == SESSION_OPEN)
            session_reauthorise(s);
    }
}

static void stop(struct loop *l)
{
    listener_close(l);
    uv_timer_stop(&l->tick);
    uv_close((uv_handle_t *)&l->tick, NULL);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_stop(&l->uv);
}

static void take_one(struct loop *l, struct gw_mail mail)
{
    switch (mail.kind) {
    case GW_MAIL_EVENT: deliver_event(l, mail.item); break;
    case MAIL_PRODUCED: action_answer(l, mail.item); break;
    case MAIL_POLICY: set_policy(l, mail.item); break;
    case MAIL_KAFKA: set_kafka(l, (enum gw_kafka_state)(uintptr_t)mail.item); break;
    case MAIL_DRAIN: drain_start(l); break;
    case MAIL_STOP: stop(l); break;
    default: break;
    }
}

static void flush(struct loop *l)
{
    flush_dirty(l);
    deliver_observe(l);
}

bool loop_take_mail(struct loop *l, size_t most)
{
    struct gw_mail mail[MAIL_BATCH];
    while (most > 0) {
        size_t n = gw_mailbox_take(l->mailbox, mail, most < MAIL_BATCH ? most : MAIL_BATCH);
        if (n == 0)
            return true;
        for (size_t i = 0; i < n; i++) {
            take_one(l, mail[i]);
            if (l->unflushed_bytes > UNFLUSHED_BYTES_MAX)
                flush(l);
        }
        flush(l);
        most -= n;
    }
    return false;
}

static void on_wake(uv_async_t *async)
{
    struct loop *l = async->data;
    loop_enter(l);
    if (!loop_take_mail(l, MAILS_MAX))
        uv_async_send(async); /* sockets have their turn first */
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    loop_enter(l);
    heartbeat_update(l);
    wheel_tick(l);
    flush_dirty(l);
}

static void wake_up(void *arg)
{
    struct loop *l = arg;
    uv_async_send(&l->wake);
}

static const struct lws_protocols protocols[] = {
    {.name = "sluice.v1", .callback = ws_callback, .rx_buffer_size = 1024, .tx_packet_size = WRITE_BYTES_MAX},
    {0},
};

static int open_lws(struct loop *l, struct gw_err *err)
{
    const struct gw_config *cfg = l->net->cfg;
    void *foreign[1] = {&l->uv};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .foreign_loops = foreign,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN |
                   LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME,
        .max_http_header_data = 16384,
        .timeout_secs = 5,
        .keepalive_timeout = 30,
        .pt_serv_buf_size = 16384,
        .user = l,
        .vhost_name = "sluice",
        .pcontext = &l->lws,
    };
    static const lws_retry_bo_t no_idle_pings = {.secs_since_valid_ping = 0, .secs_since_valid_hangup = 0};
    info.retry_and_idle_policy = &no_idle_pings;
    if (*cfg->tls_cert) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = cfg->tls_cert;
        info.ssl_private_key_filepath = cfg->tls_key;
        info.alpn = "http/1.1";
        /* Without one lws 4.1 fills one with the system's CAs for each loop, and leaks all but the last. */
        info.provided_client_ssl_ctx = l->no_client = SSL_CTX_new(TLS_client_method());
    }
    l->lws = lws_create_context(&info);
    if (!l->lws)
        return gw_err_set(err, "libwebsockets gave no context%s",
                          *cfg->tls_cert ? ": is tls.cert a PEM certificate and tls.key its key?"
                                         : ": is the package libwebsockets-evlib-uv installed?");
    l->vhost = lws_get_vhost_by_name(l->lws, "sluice");
    return 0;
}

int loop_init(struct loop *l, struct gw_net *net, unsigned index, int listen_fd, struct gw_policy *policy,
              struct gw_err *err)
{
    const struct gw_config *cfg = net->cfg;
    l->net = net;
    l->index = index;
    l->listen_fd = listen_fd;
    l->policy = gw_policy_ref(policy);
    l->mailbox = gw_hub_mailbox(net->hub, index);
    l->kafka = net->producer ? GW_KAFKA_CONNECTING : GW_KAFKA_OFF;
    gw_rooms_init(&l->rooms, net->hub, index, (size_t)cfg->limits_rooms);
    l->deliver = deliver_new((size_t)cfg->limits_rooms_per_event);
    l->wire = gw_wire_new((unsigned)cfg->limits_json_depth);
    l->ping = frame_new(FRAME_PING, (struct gw_str){0}, (struct gw_str){0});
    loop_enter(l);
    uv_loop_init(&l->uv);
    uv_async_init(&l->uv, &l->wake, on_wake);
    l->wake.data = l;
    uv_timer_init(&l->uv, &l->tick);
    l->tick.data = l;
    if (open_lws(l, err) != 0)
        return -1;
    if (listener_watch(l) != 0)
        return gw_err_set(err, "cannot watch the listening socket");
    uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
    gw_mailbox_on_wake(l->mailbox, wake_up, l);
    return 0;
}

static void drop_mail(struct loop *l)
{
    struct gw_mail mail;
    while (gw_mailbox_take(l->mailbox, &mail, 1) > 0) {
        if (mail.kind == GW_MAIL_EVENT)
            gw_event_unref(mail.item);
        else if (mail.kind == MAIL_PRODUCED)
            action_forget(mail.item);
        else if (mail.kind == MAIL_POLICY)
            gw_policy_unref(mail.item);
    }
}

static void loop_fini(struct loop *l)
{
    drop_mail(l);
    batch_fini(&l->batch);
    if (l->heartbeat)
        frame_unref(l->heartbeat);
    frame_unref(l->ping);
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
}

void *loop_run(void *arg)
{
    struct loop *l = arg;
    char name[16];
    snprintf(name, sizeof(name), "sluice-loop-%u", l->index % 100);
    pthread_setname_np(pthread_self(), name);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* until stop() */
    lws_context_destroy(l->lws);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* until the last handle has been closed */
    if (l->lws) /* pcontext: NULL once it is gone. Handles that closed later than it began to go left it half-way */
        lws_context_destroy(l->lws);
    SSL_CTX_free(l->no_client);
    uv_loop_close(&l->uv);
    loop_fini(l);
    return NULL;
}
