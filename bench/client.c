/*
 * The load client of client.h: connection states, the handshake, the hot path from recv to histogram. One thread.
 * All reads go through one buffer; a connection keeps memory of its own only while a frame is cut.
 */
#include "client.h"

#include "payload.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (512U * 1024U)
#define EVENTS_MAX 512
#define MESSAGE_BYTES_MAX 60000
#define ANSWER_BYTES_MAX 8192
#define WS_KEY "c2x1aWNlLWJlbmNobWFyaw==" /* 16 bytes in base64; a nonce matters to caches, not to a benchmark */

enum state { NEW, CONNECTING, SHAKING, UPGRADING, JOINING, UP };

struct conn {
    int fd;
    enum state state;
    SSL *ssl;
    uint8_t *rest; /* owned: the beginning of a frame whose end has not come yet */
    size_t rest_len;
};

struct bench_client {
    const struct bench_client_config *config;
    struct conn *conns;
    unsigned started, opening, up;
    bool failed;
    int epoll;
    SSL_CTX *tls;
    uint8_t *buffer;
    char accept[BENCH_WIRE_ACCEPT_BYTES];
    struct bench_client_stats stats;
};

static int fail(struct bench_client *client, const struct conn *conn, const char *what)
{
    if (!client->failed)
        fprintf(stderr, "connection %ld: %s\n", (long)(conn - client->conns), what);
    client->failed = true;
    return -1;
}

struct bench_client *bench_client_new(const struct bench_client_config *config)
{
    struct bench_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->config = config;
    client->conns = calloc(config->count, sizeof *client->conns);
    client->buffer = malloc(BUFFER_BYTES);
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (config->tls)
        client->tls = SSL_CTX_new(TLS_client_method());
    if (!client->conns || !client->buffer || client->epoll < 0 || (config->tls && !client->tls)) {
        fprintf(stderr, "client: out of memory or files\n");
        bench_client_free(client);
        return NULL;
    }
    bench_wire_accept(WS_KEY, strlen(WS_KEY), client->accept);
    return client;
}

void bench_client_free(struct bench_client *client)
{
    if (!client)
        return;
    for (unsigned i = 0; client->conns && i < client->started; i++) {
        SSL_free(client->conns[i].ssl);
        free(client->conns[i].rest);
        if (client->conns[i].fd >= 0)
            close(client->conns[i].fd);
    }
    SSL_CTX_free(client->tls);
    if (client->epoll >= 0)
        close(client->epoll);
    free(client->buffer);
    free(client->conns);
    free(client);
}

/* Bytes read; 0 when there are none for now; -1 when the connection is over. */
static ssize_t conn_read(struct conn *conn, uint8_t *out, size_t cap)
{
    if (conn->ssl) {
        ERR_clear_error(); /* SSL_get_error reads the thread's queue */
        int n = SSL_read(conn->ssl, out, (int)cap);
        if (n > 0)
            return n;
        return SSL_get_error(conn->ssl, n) == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    ssize_t n = recv(conn->fd, out, cap, 0);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* The client writes little on sockets that are empty: a short write is a fault, not a case. */
static int conn_write(struct bench_client *client, struct conn *conn, const void *bytes, size_t n)
{
    ssize_t sent = conn->ssl ? SSL_write(conn->ssl, bytes, (int)n) : send(conn->fd, bytes, n, MSG_NOSIGNAL);
    return sent == (ssize_t)n ? 0 : fail(client, conn, "could not send");
}

static int send_frame(struct bench_client *client, struct conn *conn, enum bench_wire_op op, const void *payload, size_t n)
{
    static const uint8_t mask[4] = {0x5A, 0xC3, 0x3C, 0xA5};
    uint8_t frame[BENCH_WIRE_HEAD_MAX + MESSAGE_BYTES_MAX];
    if (n > MESSAGE_BYTES_MAX)
        return fail(client, conn, "message too long");
    size_t head = bench_wire_head(frame, op, n, mask);
    memcpy(frame + head, payload, n);
    bench_wire_mask(frame + head, n, mask);
    return conn_write(client, conn, frame, head + n);
}

int bench_client_send(struct bench_client *client, unsigned index, const char *text, size_t n)
{
    if (index >= client->started || client->conns[index].state != UP)
        return -1;
    return send_frame(client, &client->conns[index], BENCH_WIRE_TEXT, text, n);
}

static int send_upgrade(struct bench_client *client, struct conn *conn)
{
    const struct bench_client_config *config = client->config;
    char token[BENCH_TOKEN_BYTES_MAX], request[4096 + BENCH_TOKEN_BYTES_MAX];
    const char *bearer = config->token;
    if (!bearer && config->key) {
        if (bench_token_mint(config->key, (unsigned)(conn - client->conns), token) != 0)
            return fail(client, conn, "token too long");
        bearer = token;
    }
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: " WS_KEY "\r\nSec-WebSocket-Protocol: sluice.v1\r\n%s%s%s\r\n",
                     config->path, config->host, bearer ? "Authorization: Bearer " : "", bearer ? bearer : "", bearer ? "\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof request)
        return fail(client, conn, "request too long");
    conn->state = UPGRADING;
    return conn_write(client, conn, request, (size_t)n);
}

static int send_join(struct bench_client *client, struct conn *conn)
{
    const struct bench_client_config *config = client->config;
    char join[256];
    const char *mark = strchr(config->room, '%');
    int before = mark ? (int)(mark - config->room) : (int)strlen(config->room);
    char number[16] = "";
    if (mark)
        snprintf(number, sizeof number, "%u", (unsigned)(conn - client->conns) % config->rooms);
    int n = snprintf(join, sizeof join, "{\"type\":\"join\",\"id\":1,\"room\":\"%.*s%s%s\"}", before, config->room, number,
                     mark ? mark + 1 : "");
    if (n < 0 || (size_t)n >= sizeof join)
        return fail(client, conn, "room name too long");
    return send_frame(client, conn, BENCH_WIRE_TEXT, join, (size_t)n);
}

static int watch(const struct bench_client *client, struct conn *conn, int op, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = conn};
    return epoll_ctl(client->epoll, op, conn->fd, &event);
}

/* The answer to the upgrade: bytes of it taken, 0 when more must come, -1 refused. */
static ssize_t take_upgrade(struct bench_client *client, struct conn *conn, const uint8_t *bytes, size_t n)
{
    char text[ANSWER_BYTES_MAX + 1];
    size_t copied = n < ANSWER_BYTES_MAX ? n : ANSWER_BYTES_MAX;
    memcpy(text, bytes, copied);
    text[copied] = '\0';
    char *end = strstr(text, "\r\n\r\n");
    if (!end)
        return copied < ANSWER_BYTES_MAX ? 0 : fail(client, conn, "answer to the upgrade too long");
    *end = '\0';
    if (strncmp(text, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "%s\n", text);
        return fail(client, conn, "upgrade refused");
    }
    if (!strstr(text, client->accept) || !strstr(text, "sluice.v1"))
        return fail(client, conn, "answer to the upgrade names another key or protocol");
    conn->state = JOINING;
    if (client->config->room[0] && send_join(client, conn) != 0)
        return -1;
    if (watch(client, conn, EPOLL_CTL_MOD, EPOLLIN) != 0)
        return fail(client, conn, strerror(errno));
    return end + 4 - text;
}

/* A message that is no event: of interest while the connection comes up, or when it is an error. */
static int take_control(struct bench_client *client, struct conn *conn, const char *text, size_t n)
{
    static const char joined[] = "{\"type\":\"joined\"", welcome[] = "{\"type\":\"welcome\"", error[] = "{\"type\":\"error\"";
    const char *awaited = client->config->room[0] ? joined : welcome;
    if (conn->state == JOINING && n >= strlen(awaited) && memcmp(text, awaited, strlen(awaited)) == 0) {
        conn->state = UP;
        client->opening--;
        client->up++;
    } else if (n >= sizeof error - 1 && memcmp(text, error, sizeof error - 1) == 0) {
        fprintf(stderr, "%.*s\n", (int)(n < 500 ? n : 500), text);
        return fail(client, conn, "the server answered with an error");
    }
    return 0;
}

static int take_text(struct bench_client *client, struct conn *conn, const char *text, size_t n, uint64_t now)
{
    const char *end = text + n;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop)
            stop = end;
        size_t len = (size_t)(stop - text);
        if (bench_payload_is_event(text, len)) {
            uint64_t ts = bench_payload_ts(text, len);
            client->stats.deliveries++;
            client->stats.event_bytes += len;
            bench_hist_add(&client->stats.age, now > ts ? now - ts : 0);
        } else if (take_control(client, conn, text, len) != 0) {
            return -1;
        }
        text = stop + 1;
    }
    return 0;
}

static int take_frame(struct bench_client *client, struct conn *conn, const struct bench_wire_frame *frame, const uint8_t *payload, uint64_t now)
{
    if (frame->op == BENCH_WIRE_TEXT)
        return take_text(client, conn, (const char *)payload, frame->len, now);
    if (frame->op == BENCH_WIRE_PING)
        return send_frame(client, conn, BENCH_WIRE_PONG, payload, frame->len);
    if (frame->op == BENCH_WIRE_CLOSE) {
        unsigned code = frame->len >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 1005;
        fprintf(stderr, "close %u %.*s\n", code, frame->len > 2 ? (int)frame->len - 2 : 0, (const char *)payload + 2);
        return fail(client, conn, "closed by the server");
    }
    return frame->op == BENCH_WIRE_PONG ? 0 : fail(client, conn, "frame of an unknown kind");
}

/* Everything complete in n bytes is handled. Returns the bytes handled, or -1. */
static ssize_t take_bytes(struct bench_client *client, struct conn *conn, const uint8_t *bytes, size_t n, uint64_t now)
{
    size_t at = 0;
    if (conn->state == UPGRADING) {
        ssize_t head = take_upgrade(client, conn, bytes, n);
        if (head <= 0)
            return head;
        at = (size_t)head;
    }
    while (at < n) {
        struct bench_wire_frame frame;
        int got = bench_wire_read(bytes + at, n - at, &frame);
        if (got < 0)
            return fail(client, conn, "frame that RFC 6455 or this client does not know");
        if (got == 0 || frame.len > n - at - frame.head)
            break;
        if (take_frame(client, conn, &frame, bytes + at + frame.head, now) != 0)
            return -1;
        at += frame.head + frame.len;
    }
    return (ssize_t)at;
}

static int keep_rest(struct bench_client *client, struct conn *conn, const uint8_t *bytes, size_t n)
{
    if (n == 0) {
        free(conn->rest);
        conn->rest = NULL;
    } else {
        uint8_t *rest = realloc(conn->rest, n);
        if (!rest)
            return fail(client, conn, "out of memory");
        memcpy(rest, bytes, n);
        conn->rest = rest;
    }
    conn->rest_len = n;
    return 0;
}

/* Edge-triggered: a recv that did not fill the buffer has emptied the socket; TLS says so only by having nothing more. */
static int read_conn(struct bench_client *client, struct conn *conn)
{
    for (;;) {
        size_t old = conn->rest_len, room = BUFFER_BYTES - old;
        if (old == BUFFER_BYTES)
            return fail(client, conn, "frame too long");
        ssize_t got = conn_read(conn, client->buffer + old, room);
        if (got <= 0)
            return got == 0 ? 0 : fail(client, conn, "connection lost");
        client->stats.reads++;
        if (old)
            memcpy(client->buffer, conn->rest, old);
        size_t n = old + (size_t)got;
        ssize_t taken = take_bytes(client, conn, client->buffer, n, bench_now_us());
        if (taken < 0)
            return -1;
        if ((old || (size_t)taken < n) && keep_rest(client, conn, client->buffer + taken, n - (size_t)taken) != 0)
            return -1;
        if (!conn->ssl && (size_t)got < room)
            return 0;
    }
}

static int shake_tls(struct bench_client *client, struct conn *conn)
{
    int done = SSL_connect(conn->ssl);
    if (done == 1)
        return send_upgrade(client, conn);
    int why = SSL_get_error(conn->ssl, done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return 0;
    ERR_print_errors_fp(stderr);
    return fail(client, conn, "TLS handshake failed");
}

static int finish_connect(struct bench_client *client, struct conn *conn)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
        return fail(client, conn, strerror(error));
    if (!client->config->tls)
        return send_upgrade(client, conn);
    conn->ssl = SSL_new(client->tls);
    if (!conn->ssl || SSL_set_fd(conn->ssl, conn->fd) != 1)
        return fail(client, conn, "out of memory");
    conn->state = SHAKING;
    return 0;
}

static int handle(struct bench_client *client, struct conn *conn, uint32_t events)
{
    if (conn->state == CONNECTING) {
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return 0;
        if (finish_connect(client, conn) != 0)
            return -1;
    }
    if (conn->state == SHAKING && shake_tls(client, conn) != 0)
        return -1;
    return conn->state >= UPGRADING ? read_conn(client, conn) : 0;
}

int bench_client_poll(struct bench_client *client, uint64_t timeout_ns)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
    int n = epoll_pwait2(client->epoll, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < n; i++) {
        if (handle(client, events[i].data.ptr, events[i].events) != 0)
            return -1;
    }
    return 0;
}

static int start_conn(struct bench_client *client)
{
    struct conn *conn = &client->conns[client->started++];
    const struct sockaddr_in *address = &client->config->address;
    int on = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return fail(client, conn, strerror(errno));
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(conn->fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno != EINPROGRESS)
        return fail(client, conn, strerror(errno));
    conn->state = CONNECTING;
    client->opening++;
    if (watch(client, conn, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT) != 0)
        return fail(client, conn, strerror(errno));
    return 0;
}

int bench_client_open(struct bench_client *client, double seconds_max)
{
    uint64_t deadline = bench_now_us() + (uint64_t)(seconds_max * 1e6);
    while (client->up < client->config->count) {
        while (client->started < client->config->count && client->opening < client->config->opening_max) {
            if (start_conn(client) != 0)
                return -1;
        }
        if (bench_client_poll(client, 100000000) != 0)
            return -1;
        if (bench_now_us() > deadline) {
            fprintf(stderr, "only %u of %u connections came up in time\n", client->up, client->config->count);
            return -1;
        }
    }
    return 0;
}

unsigned bench_client_up(const struct bench_client *client)
{
    return client->up;
}

struct bench_client_stats *bench_client_stats(struct bench_client *client)
{
    return &client->stats;
}
